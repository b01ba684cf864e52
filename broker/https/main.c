/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-https, the program of two roles, told apart by the name that frankd runs it under:
 * fetch, started when the keeper needs it, and post (frank-post), started when the queue does. Each
 * ends when the role that needed it lets go of it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "broker/https/document.h"
#include "broker/https/fetch.h"
#include "broker/https/http.h"
#include "broker/https/post.h"
#include "broker/role/role.h"

struct state {
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
	return role_answer(arg, ROLE_KEEPER, m, -1);
}

static const struct fetch_ops fetch_ops = {.answer = send_answer};

static int
fetch_start(struct role *r)
{
	struct state *s = role_state(r);

	if (start_library() < 0)
		return -ENOMEM;
	s->fetch = fetch_new(role_base(r), &fetch_ops, r);
	return s->fetch == NULL ? -ENOMEM : 0;
}

static void
fetch_on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	fetch_message(((struct state *)role_state(r))->fetch, m, fd);
}

/* ---- post ---- */

static int
post_start(struct role *r)
{
	struct state *s = role_state(r);

	if (start_library() < 0)
		return -ENOMEM;
	s->post = post_new(role_base(r), &role_transport_ops, r);
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

static void
stop(struct role *r)
{
	struct state *s = role_state(r);

	s->fetch = fetch_free(s->fetch);
	s->post = post_free(s->post);
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
	    .stop = stop,
	};
	static const struct role_def post = {
	    .id = ROLE_POST,
	    .log_name = "frankd[post]",
	    .start = post_start,
	    .message = post_on_message,
	    .peer = post_on_peer,
	    .writable = post_on_writable,
	    .stop = stop,
	    .shutdown = post_on_shutdown,
	};
	struct state state = {0};

	return role_main(is_named(argv[0], "frank-post") ? &post : &fetch, &state, argc, argv);
}
