/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fake-role.h: broker/role as a test sees it: the keeper between a main, a queue, a send and a fetch that are sockets in the
 * test's hand.
 */
#ifndef FRANK_TESTS_FAKE_ROLE_H
#define FRANK_TESTS_FAKE_ROLE_H

#include "broker/keeper/keeper.h"

struct role {
	struct event_base *base;
	void *state;
	int dir;
	struct channel *channels[ROLE_COUNT]; /* the keeper's ends; [ROLE_MAIN] too */
	int ends[ROLE_COUNT];                 /* ours; -1: none */
	unsigned needed;                      /* how often fetch was asked for */
	bool fetch_starts;                    /* it is there as soon as it is asked for */
	int exited;                           /* status of role_exit; -1: still there */
};

void fake_role_open(struct role *r, int dir, const struct file_ops *files);
void fake_role_close(struct role *r);

/* Opens the channel to a peer, or closes our end of it. */
void fake_role_connect(struct role *r, enum role_id peer);
void fake_role_disconnect(struct role *r, enum role_id peer);

/* Lets the loop do what is due. */
void fake_role_pump(struct role *r);
/* ... and what becomes due within `ms`. */
void fake_role_wait(struct role *r, unsigned ms);

/* Sends as the peer; the message is taken. */
void fake_role_say(struct role *r, enum role_id peer, struct message *m);
/* The next message to the peer, checked against the table; NULL where there is none. */
struct message *fake_role_hear(struct role *r, enum role_id peer);
/* ... which must be of this type. */
struct message *fake_role_expect(struct role *r, enum role_id peer, enum message_type type);

#endif
