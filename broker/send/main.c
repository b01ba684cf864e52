/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-send, the program of the send role. It is started when queue needs it and ends when
 * queue lets go of it.
 */
#include <errno.h>

#include "broker/role/role.h"
#include "broker/send/send.h"

static struct send *
send_of(const struct role *r)
{
	return *(struct send **)role_state(r);
}

static int
start(struct role *r)
{
	struct send **s = role_state(r);

	*s = send_new(role_base(r), &role_transport_ops, r);
	return *s == NULL ? -errno : 0;
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	send_message(send_of(r), m, fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	if (peer == ROLE_KEEPER)
		send_keeper_up(send_of(r), up);
	else if (!up)
		send_hang_up(send_of(r)); /* without queue there is no more work */
}

/* What keeper's channel had no room for is asked now. */
static void
on_writable(struct role *r, struct channel *c)
{
	if (c == role_peer(r, ROLE_KEEPER))
		send_keeper_up(send_of(r), true);
}

static void
on_shutdown(struct role *r)
{
	send_shut_down(send_of(r));
}

static void
stop(struct role *r)
{
	(void)send_free(send_of(r));
}

int
main(int argc, char **argv)
{
	static const struct role_def def = {
	    .id = ROLE_SEND,
	    .log_name = "frankd[send]",
	    .start = start,
	    .message = on_message,
	    .peer = on_peer,
	    .writable = on_writable,
	    .stop = stop,
	    .shutdown = on_shutdown,
	};
	struct send *send = NULL;

	return role_main(&def, &send, argc, argv);
}
