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
	/* After confinement and before the first message. 0 or negative errno: the role ends. */
	int (*start)(struct role *r);
	/* A message from main (not HELLO, PEER, SHUTDOWN, LISTEN) or from a peer. `fd` is the
	 * callee's. */
	void (*message)(struct role *r, struct channel *from, const struct message *m, int fd);
	/* A listening socket of main's (directories are for role_dir); `fd` is the callee's. Called
	 * first when the first CONF_END was handled. May be NULL for a role that is given none. */
	void (*listen)(struct role *r, const char *name, const char *service, int fd);
	/* A channel to a peer opened (`up`) or is gone. role_peer answers accordingly. May be NULL.
	 */
	void (*peer)(struct role *r, enum role_id peer, bool up);
	/* A channel whose queue was full (channel_send gave -EAGAIN) has room again. May be NULL.
	 */
	void (*writable)(struct role *r, struct channel *c);
	/* The loop has ended, and is still there: frees what `start` made, also where that failed half-way. May be NULL. */
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
 * Sends what a peer waits for; the message (NULL: memory was out for it) and `fd` (-1: none) are taken. A peer that is gone
 * waits no more: -EPIPE. -EMSGSIZE where it does not fit into a packet: another may be sent. Anything else ends the
 * role, for the peer would wait forever: it sees the closed channel instead.
 */
int role_answer(struct role *r, enum role_id peer, struct message *m, int fd);
/* role_answer to queue, a question to keeper, role_exit: of a role that carries mail; the argument is the role. */
extern const struct transport_ops role_transport_ops;

/* The directory that main opened for this role ("bodies", "tokens", "state", "drop"), or -1:
 * borrowed. Main hands directories over before HELLO, so they are there in `start`. */
int role_dir(const struct role *r, const char *name);
/* The path of the directory "state", in which the spool's database stands (a folder of its own
 * below state-dir, so that Landlock can keep the keys beside it out of reach), for libraries that
 * open by path (SQLite). */
const char *role_state_path(const struct role *r);

/* Closes the channel to a peer. The user of an on-demand role (queue of send, keeper of fetch)
 * drops it when it has had no work for it for a minute; the role ends with status 0 when its user's
 * channel closes. So no request can be lost on the way out. */
void role_drop(struct role *r, enum role_id peer);

/* Ends the loop; role_main returns this status. */
void role_exit(struct role *r, int status);

#endif
