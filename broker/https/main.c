/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-https, the program of two roles, told apart by the name that frankd runs it under:
 * fetch, started when the keeper needs it, and post (frank-post), started when the queue does. Each
 * ends when the role that needed it lets go of it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/https/document.h"
#include "broker/https/fetch.h"
#include "broker/https/http.h"
#include "broker/https/post.h"
#include "broker/role/role.h"

struct state {
	struct role *role;
	struct fetch *fetch;
	struct post *post;
};

/* libcurl writes to sockets by way of OpenSSL, which knows no MSG_NOSIGNAL. */
static int
start_library(void)
{
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	document_init();
	return http_init();
}

/* ---- fetch ---- */

static int
send_answer(void *arg, struct message *m)
{
	struct state *s = arg;
	struct channel *keeper = role_peer(s->role, ROLE_KEEPER);
	int r;

	if (keeper == NULL) {
		(void)message_free(m);
		return -EPIPE;
	}
	r = channel_send(keeper, m, -1);
	if (r == -EAGAIN) {
		/* an answer that cannot be handed over may bear a rotated refresh token; a keeper
		 * that reads no more is told by our end */
		log_error("The keeper does not read its answers.");
		role_exit(s->role, 1);
	}
	return r;
}

static const struct fetch_ops fetch_ops = {.answer = send_answer};

static int
fetch_start(struct role *r)
{
	struct state *s = role_state(r);

	s->role = r;
	if (start_library() < 0)
		return -ENOMEM;
	s->fetch = fetch_new(role_base(r), &fetch_ops, s);
	return s->fetch == NULL ? -ENOMEM : 0;
}

static void
fetch_on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	fetch_message(((struct state *)role_state(r))->fetch, m, fd);
}

/* ---- post ---- */

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

static const struct post_ops post_ops = {
    .to_queue = to_queue, .to_keeper = to_keeper, .idle = idle};

static int
post_start(struct role *r)
{
	struct state *s = role_state(r);

	s->role = r;
	if (start_library() < 0)
		return -ENOMEM;
	s->post = post_new(role_base(r), &post_ops, s);
	return s->post == NULL ? -ENOMEM : 0;
}

static void
post_on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	post_message(((struct state *)role_state(r))->post, m, fd);
}

static void
post_on_peer(struct role *r, enum role_id peer, bool up)
{
	if (peer == ROLE_KEEPER)
		post_keeper_up(((struct state *)role_state(r))->post, up);
}

/* What keeper's channel had no room for is asked now. */
static void
post_on_writable(struct role *r, struct channel *c)
{
	if (c == role_peer(r, ROLE_KEEPER))
		post_keeper_up(((struct state *)role_state(r))->post, true);
}

static void
post_on_shutdown(struct role *r)
{
	post_shut_down(((struct state *)role_state(r))->post);
}

/* ---- which of them ---- */

static bool
is_named(const char *program, const char *name)
{
	return program != NULL && strcmp(basename(program), name) == 0;
}

int
main(int argc, char **argv)
{
	static const struct role_def fetch = {
	    .id = ROLE_FETCH,
	    .log_name = "frankd[fetch]",
	    .start = fetch_start,
	    .message = fetch_on_message,
	};
	static const struct role_def post = {
	    .id = ROLE_POST,
	    .log_name = "frankd[post]",
	    .start = post_start,
	    .message = post_on_message,
	    .peer = post_on_peer,
	    .writable = post_on_writable,
	    .shutdown = post_on_shutdown,
	};
	struct state state = {0};
	int status =
	    role_main(is_named(argv[0], "frank-post") ? &post : &fetch, &state, argc, argv);

	state.fetch = fetch_free(state.fetch);
	state.post = post_free(state.post);
	return status;
}
