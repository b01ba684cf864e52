/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * peer-uid.h: which uid has the other end of a connection over loopback? The kernel says it through
 * sock_diag(7), asked for the one socket whose two ends are ours, reversed.
 *
 * What is an answer, and what is not (measured on Linux 6.x):
 *   - a socket that no process has any more (closed, its last octets under way) is reported with
 *     inode 0 and uid 0: that is nobody, not root;
 *   - the kernel falls back to a listening socket on the asker's port, so both ends and the state
 *     are compared;
 *   - a caller with an IPv6 socket that connects to an IPv4 address shows mapped addresses;
 *   - the answer is right only as long as our own end still stands: whoever asks looks at that
 *     afterwards (peer_uid_ask does), since a port that was let go may be another's by then.
 */
#ifndef FRANK_BASE_PEER_UID_H
#define FRANK_BASE_PEER_UID_H

#include <stdbool.h>
#include <stdint.h>

/* Asks through the netlink socket `diag` about the peer of the connected TCP socket `fd`; does not
 * block. 0 with the uid; -ENOENT where nobody can be named; negative errno. */
int peer_uid_ask(int diag, int fd, uint32_t *ret_uid);

/* Does the kernel answer such questions here? Asks about a connection of this process with itself; where it does not
 * (sock_diag is a module, and not part of every sandbox), peer_uid_ask would call nobody the owner of everything. */
bool peer_uid_is_known(int diag);

#endif
