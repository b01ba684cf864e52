/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * role.h: what the main() of every role does, in this order: take the channel to main on descriptor
 * 3, wait for HELLO and compare the message table, confine itself, loop, and end when the channel
 * to main closes or SHUTDOWN is done.
 *
 * A role never opens a path that its confinement does not name; sockets, directories and files are
 * handed to it (LISTEN).
 */
#ifndef FRANK_BROKER_ROLE_ROLE_H
#define FRANK_BROKER_ROLE_ROLE_H

#include <event2/event.h>

#include "broker/ipc/channel.h"
#include "broker/ipc/transport.h"
#include "broker/role/confine.h"

struct role;

struct role_def {
	enum role_id id;
	const char *log_name; /* "frankd[queue]" */
	/* Called after confinement, before the first message. 0; negative errno ends the role. */
	int (*start)(struct role *r);
	/* A message from main (not HELLO, PEER, SHUTDOWN, LISTEN) or from a peer. `fd` is the
	 * callee's. */
	void (*message)(struct role *r, struct channel *from, const struct message *m, int fd);
	/* A listening socket that main opened; `fd` is the callee's. The first call comes after the first CONF_END was
	 * handled. May be NULL for a role that gets no sockets. */
	void (*listen)(struct role *r, const char *name, const char *service, int fd);
	/* A channel to a peer opened (`up`) or is gone. role_peer answers accordingly. May be NULL.
	 */
	void (*peer)(struct role *r, enum role_id peer, bool up);
	/* A channel whose queue was full (channel_send gave -EAGAIN) has room again. May be NULL.
	 */
	void (*writable)(struct role *r, struct channel *c);
	/* The loop has ended. Frees what `start` made, while the event base still exists. Called also where `start` failed.
	 * May be NULL. */
	void (*stop)(struct role *r);
	/* SHUTDOWN: finish what is begun, then role_exit. NULL: exit at once. */
	void (*shutdown)(struct role *r);
};

/* The whole main() of a role. Returns the exit status. */
int role_main(const struct role_def *def, void *state, int argc, char **argv);

struct event_base *role_base(const struct role *r);
void *role_state(const struct role *r);
struct channel *role_main_channel(const struct role *r);

/* The channel to a peer, or NULL. role_need asks main for one (once until it is up). */
struct channel *role_peer(const struct role *r, enum role_id peer);
void role_need(struct role *r, enum role_id peer);

/*
 * Sends an answer that a peer waits for. Takes the message (NULL: there was no memory for it) and `fd` (-1: none). 0; -EPIPE
 * where the peer is gone; -EMSGSIZE where the answer does not fit into a packet, and a shorter one may be sent. Any other
 * error ends the role: the peer would wait forever for an answer that we could not send, and sees the closed channel
 * instead.
 */
int role_answer(struct role *r, enum role_id peer, struct message *m, int fd);
/* What a transport (send, post) has from above; the argument is the role: role_answer to queue, a question to keeper,
 * role_exit. */
extern const struct transport_ops role_transport_ops;

/* The directory that main opened for this role ("bodies", "tokens", "state", "drop"), or -1:
 * borrowed. Main hands directories over before HELLO, so they are there in `start`. */
int role_dir(const struct role *r, const char *name);
/* The path of the directory "state", in which the spool's database stands (a folder of its own
 * below state-dir, so that Landlock can keep the keys beside it out of reach), for libraries that
 * open by path (SQLite). */
const char *role_state_path(const struct role *r);

/* Closes the channel to a peer. An on-demand role has a user (queue uses send, keeper uses fetch), which drops it after a
 * minute without work; the role ends with status 0 when that channel closes. Since the user decides, no request is lost
 * while the role ends. */
void role_drop(struct role *r, enum role_id peer);

/* Ends the loop; role_main returns this status. */
void role_exit(struct role *r, int status);

#endif
