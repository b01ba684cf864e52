/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sockets.h: the listening sockets in the runtime folder: made here, or handed over by systemd
 * (sd_listen_fds(3)), which are told apart by their addresses.
 */
#ifndef FRANK_BROKER_MAIN_SOCKETS_H
#define FRANK_BROKER_MAIN_SOCKETS_H

#include "base/buf.h"

enum socket_id { SOCKET_SUBMIT, SOCKET_CONTROL, SOCKET_KEEPER, SOCKET_COUNT };

struct sockets {
	int fds[SOCKET_COUNT];
	char *paths[SOCKET_COUNT]; /* of those made here, to be removed at the end */
};
#define SOCKETS_INIT                  \
	{                             \
		.fds = { -1, -1, -1 } \
	}

/* "submit", "control", "keeper": the NAME of LISTEN. */
const char *socket_name(enum socket_id id);

/* Do the sockets' paths fit into an address? 0; -ENAMETOOLONG with a sentence in `why`. */
int sockets_check(const char *runtime_dir, struct buf *why);

/* Opens all. Whoever may connect may do so: what he may then do is decided by his credentials. 0;
 * negative errno with a sentence in `why`. */
int sockets_open(struct sockets *s, const char *runtime_dir, struct buf *why);

/* Removes the socket that a killed daemon left at this address, of type SOCK_STREAM or
 * SOCK_SEQPACKET. 0, also where there is none; -EADDRINUSE where somebody answers; negative errno
 * with a sentence in `why` where it is known. */
struct sockaddr_un;
int socket_remove_stale(const struct sockaddr_un *address, int type, struct buf *why);

/* Closes; removes the names of those made here. */
void sockets_close(struct sockets *s);

#endif
