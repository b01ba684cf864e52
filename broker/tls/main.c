/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-tls, the program of the role that ends TLS for the listeners, so that queue, which
 * has the messages, has none of it. It opens nothing: connections are handed to it, with the
 * certificates. It is started where a listener with TLS is configured and in use, and ends when
 * queue lets go of it.
 */
#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/role/role.h"
#include "broker/tls/ways.h"

struct state {
	struct role *role;
	struct ways *ways;
};

static void
to_queue(void *arg, struct message *m, int fd)
{
	struct state *s = arg;
	struct channel *queue = role_peer(s->role, ROLE_QUEUE);

	if (queue == NULL) {
		(void)message_free(m);
		if (fd >= 0)
			(void)close(fd);
	} else if (channel_send(queue, m, fd) < 0) {
		/* queue waits for each answer, and learns of our end instead */
		log_error("The queue cannot be answered.");
		role_exit(s->role, EX_SOFTWARE);
	}
}

static const struct ways_ops ops = {to_queue};

static int
start(struct role *r)
{
	struct state *s = role_state(r);

	s->role = r;
	/* no configuration file: there is none to be read any more */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOMEM;
	s->ways = ways_new(role_base(r), &ops, s);
	return s->ways == NULL ? -ENOMEM : 0;
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	ways_message(((struct state *)role_state(r))->ways, m, fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	struct ways *w = ((struct state *)role_state(r))->ways;

	if (peer == ROLE_QUEUE)
		(up ? ways_tell : ways_flush)(w);
}

int
main(int argc, char **argv)
{
	static const struct role_def def = {
	    .id = ROLE_TLS,
	    .log_name = "frankd[tls]",
	    .start = start,
	    .message = on_message,
	    .peer = on_peer,
	};
	struct state state = {0};

	return role_main(&def, &state, argc, argv);
}
