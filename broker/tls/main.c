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
#include <string.h>

#include "broker/role/role.h"
#include "broker/tls/check-pair.h"
#include "broker/tls/terminator.h"

static void
to_queue(void *arg, struct message *m, int fd)
{
	(void)role_answer(arg, ROLE_QUEUE, m, fd);
}

static const struct terminator_ops ops = {to_queue};

static int
start(struct role *r)
{
	struct terminator **w = role_state(r);

	/* no configuration file: there is none to be read any more */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOMEM;
	*w = terminator_new(role_base(r), &ops, r);
	return *w == NULL ? -ENOMEM : 0;
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	terminator_message(*(struct terminator **)role_state(r), m, fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	struct terminator *w = *(struct terminator **)role_state(r);

	if (peer == ROLE_QUEUE)
		(up ? terminator_report : terminator_flush)(w);
}

static void
stop(struct role *r)
{
	(void)terminator_free(*(struct terminator **)role_state(r));
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
	    .stop = stop,
	};
	struct terminator *terminator = NULL;

	if (argc == 2 && strcmp(argv[1], "--check-pair") == 0)
		return check_pair();
	return role_main(&def, &terminator, argc, argv);
}
