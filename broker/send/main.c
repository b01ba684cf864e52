/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-send, the program of the send role. It is started when queue needs it and ends when
 * queue lets go of it.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/role/role.h"
#include "broker/send/send.h"

struct state {
	struct role *role;
	struct send *send;
};

static void
to_queue(void *arg, struct message *m)
{
	struct state *s = arg;
	struct channel *queue = role_peer(s->role, ROLE_QUEUE);
	int r = 0;

	if (queue == NULL)
		(void)message_free(m);
	else
		r = channel_send(queue, m, -1);
	if (r < 0 && r != -EPIPE) {
		/* Queue would wait for ever for an outcome that cannot be told; of our end it
		 * learns. */
		log_error("An outcome cannot be told to the queue: %s.", strerror(-r));
		role_exit(s->role, EX_SOFTWARE);
	}
}

static bool
to_keeper(void *arg, struct message *m)
{
	struct state *s = arg;
	struct channel *keeper = role_peer(s->role, ROLE_KEEPER);

	if (keeper == NULL) {
		(void)message_free(m);
		return false;
	}
	return channel_send(keeper, m, -1) == 0;
}

static void
idle(void *arg)
{
	role_exit(((struct state *)arg)->role, EX_OK);
}

static const struct send_ops ops = {.to_queue = to_queue, .to_keeper = to_keeper, .idle = idle};

static int
start(struct role *r)
{
	struct state *s = role_state(r);

	s->role = r;
	s->send = send_new(role_base(r), &ops, s);
	return s->send == NULL ? -errno : 0;
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	send_message(((struct state *)role_state(r))->send, m, fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	struct state *s = role_state(r);

	if (peer == ROLE_KEEPER)
		send_keeper_up(s->send, up);
	else if (!up)
		send_hang_up(s->send); /* without queue there is no more work */
}

/* What keeper's channel had no room for is asked now. */
static void
on_writable(struct role *r, struct channel *c)
{
	if (c == role_peer(r, ROLE_KEEPER))
		send_keeper_up(((struct state *)role_state(r))->send, true);
}

static void
on_shutdown(struct role *r)
{
	send_shut_down(((struct state *)role_state(r))->send);
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
	    .shutdown = on_shutdown,
	};
	struct state state = {0};

	return role_main(&def, &state, argc, argv);
}
