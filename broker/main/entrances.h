/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * entrances.h: the entrances that the configuration names: a service's own socket
 * (RUNTIME_DIR/services/NAME/submit.sock) and the addresses of listeners.
 *
 * They follow the configuration: a reload makes what is new, keeps what stays (connections that
 * wait in it included) and removes what is gone. A service's folder is there to be mounted into a
 * container: it outlives frankd, so that the mount shows the socket of the next one.
 */
#ifndef FRANK_BROKER_MAIN_ENTRANCES_H
#define FRANK_BROKER_MAIN_ENTRANCES_H

#include "broker/main/settings.h"

enum entrance_kind { ENTRANCE_SERVICE, ENTRANCE_LISTENER };

struct entrance {
	enum entrance_kind kind;
	char *owner;   /* the service or the listener */
	char *address; /* the socket's path, or "127.0.0.1:2525" */
	unsigned mode; /* of a service's socket; whoever may write may connect */
	gid_t group;
	bool has_group;
	int fd;
	bool fresh; /* queue was not given it yet */
	bool made;  /* by the entrances_open that is under way */
};

struct entrances {
	struct entrance *items;
	size_t count;
	/* Asks the kernel whose a loopback connection is (sock_diag(7)): opened here, because queue
	 * may open nothing. -1: no listener, or a kernel without. */
	int diag;
};
#define ENTRANCES_INIT      \
	{                   \
		.diag = -1, \
	}

/* Do the sockets' paths fit into an address? 0; -ENAMETOOLONG with a sentence in `why`. */
int entrances_check(const struct conf *c, struct buf *why);

/*
 * What `c` names, in *ret; entrances of `old` that stay are in both until entrances_replace. `lenient`: NULL, or at a start the settings
 * that `c` belongs to: an address that cannot be listened at is noted there as out of force, and is no error. 0; negative errno with
 * a sentence in `why`: nothing was changed.
 */
int entrances_open(const struct entrances *old, const struct conf *c, struct settings *lenient,
    struct entrances *ret, struct buf *why);

/* `next`, made from it, takes the place of *e: what it no longer has is closed and removed. */
void entrances_replace(struct entrances *e, struct entrances *next);

/* Closes all, and removes the sockets' names. */
void entrances_close(struct entrances *e);

#endif
