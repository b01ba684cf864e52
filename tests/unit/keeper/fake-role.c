/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fake-role.c: see fake-role.h. */
#include "tests/unit/keeper/fake-role.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

struct event_base *
role_base(const struct role *r)
{
	return r->base;
}

void *
role_state(const struct role *r)
{
	return r->state;
}

struct channel *
role_main_channel(const struct role *r)
{
	return r->channels[ROLE_MAIN];
}

struct channel *
role_peer(const struct role *r, enum role_id peer)
{
	return r->channels[peer];
}

int
role_dir(const struct role *r, const char *name)
{
	return strcmp(name, "tokens") == 0 ? r->dir : -1;
}

const char *
role_state_path(const struct role *r)
{
	return "/nonexistent";
}

void
role_need(struct role *r, enum role_id peer)
{
	assert_int_equal(peer, ROLE_FETCH);
	r->needed++;
}

void
role_drop(struct role *r, enum role_id peer)
{
	if (r->channels[peer] == NULL)
		return;
	r->channels[peer] = channel_free(r->channels[peer]);
	keeper_role.peer(r, peer, false);
}

void
role_exit(struct role *r, int status)
{
	r->exited = status;
}

int
role_main(const struct role_def *def, void *state, int argc, char **argv)
{
	return -1;
}

static void
on_message(void *arg, struct channel *c, const struct message *m, int fd)
{
	keeper_role.message(arg, c, m, fd);
}

static void
on_closed(void *arg, struct channel *c)
{
	role_drop(arg, channel_peer(c));
}

static void
on_writable(void *arg, struct channel *c)
{
	keeper_role.writable(arg, c);
}

static const struct channel_ops ops = {
    .message = on_message, .closed = on_closed, .writable = on_writable};

static void
make_channel(struct role *r, enum role_id peer)
{
	int pair[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	r->ends[peer] = pair[1];
	r->channels[peer] = channel_new(r->base, pair[0], ROLE_KEEPER, peer, &ops, r);
	assert_non_null(r->channels[peer]);
}

void
fake_role_open(struct role *r, int dir, const struct file_ops *files)
{
	*r = (struct role){.base = event_base_new(),
	    .state = keeper_new(files),
	    .dir = dir,
	    .exited = -1,
	    .fetch_starts = true};
	for (size_t i = 0; i < ROLE_COUNT; i++)
		r->ends[i] = -1;
	assert_non_null(r->state);
	make_channel(r, ROLE_MAIN);
	assert_int_equal(keeper_role.start(r), 0);
}

void
fake_role_close(struct role *r)
{
	keeper_role.stop(r);
	for (size_t i = 0; i < ROLE_COUNT; i++) {
		r->channels[i] = channel_free(r->channels[i]);
		if (r->ends[i] >= 0)
			close(r->ends[i]);
	}
	event_base_free(r->base);
}

void
fake_role_connect(struct role *r, enum role_id peer)
{
	if (r->ends[peer] >= 0)
		close(r->ends[peer]);
	role_drop(r, peer);
	make_channel(r, peer);
	keeper_role.peer(r, peer, true);
}

void
fake_role_disconnect(struct role *r, enum role_id peer)
{
	close(r->ends[peer]);
	r->ends[peer] = -1;
	fake_role_pump(r);
}

void
fake_role_pump(struct role *r)
{
	for (int i = 0; i < 10; i++)
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	if (r->needed > 0 && r->fetch_starts && r->channels[ROLE_FETCH] == NULL) {
		r->needed = 0;
		fake_role_connect(r, ROLE_FETCH);
		fake_role_pump(r);
	}
}

void
fake_role_wait(struct role *r, unsigned ms)
{
	for (unsigned i = 0; i <= ms / 20; i++) {
		(void)usleep(20 * 1000);
		fake_role_pump(r);
	}
}

void
fake_role_say(struct role *r, enum role_id peer, struct message *m)
{
	assert_int_equal(message_write(r->ends[peer], m, -1), 0);
	(void)message_free(m);
	fake_role_pump(r);
}

struct message *
fake_role_hear(struct role *r, enum role_id peer)
{
	struct message *m = NULL;
	const char *why;
	int fd = -1;

	fake_role_pump(r);
	if (r->ends[peer] < 0 || message_read(r->ends[peer], &m, &fd) != 1)
		return NULL;
	if (message_check(m, ROLE_KEEPER, peer, fd >= 0, &why) < 0)
		fail_msg("%s: %s", message_type_name(message_type(m)), why);
	return m;
}

struct message *
fake_role_expect(struct role *r, enum role_id peer, enum message_type type)
{
	struct message *m = fake_role_hear(r, peer);

	if (m == NULL)
		fail_msg("nothing came, and %s was expected", message_type_name(type));
	if (message_type(m) != type)
		fail_msg("%s came, and %s was expected: %s", message_type_name(message_type(m)),
		    message_type_name(type),
		    message_type(m) == M_KEEPER_DONE && message_str(m, F_ERROR) != NULL
			? message_str(m, F_ERROR)
			: "");
	return m;
}
