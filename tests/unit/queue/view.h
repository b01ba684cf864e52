/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * view.h: what a test of the queue role sees, and does, through control.sock.
 */
#ifndef FRANK_TESTS_QUEUE_VIEW_H
#define FRANK_TESTS_QUEUE_VIEW_H

#include "tests/unit/queue/harness.h"

/* What the rows of one answer said: counts, and of each kind the last. */
struct shown {
	unsigned messages, recipients, attempts;
	char id[32], sender[100], state[32], rcpt_state[32], reply[200], cause[64],
	    account_state[32];
	char problem[1024];
	char text[1024], next[512], account_text[1024], attempt_text[1024], attempt_next[512];
	unsigned tries;
	uint64_t until; /* the last recipient's next try */
	bool has_transcript;
};

struct shown view_list(struct harness *h, uid_t uid);
struct shown view_show(struct harness *h, const char *id);
struct shown view_status(struct harness *h);
/* Does something to a message or an account (either may be NULL): the exit status. */
unsigned view_act(
    struct harness *h, uid_t uid, const char *action, const char *id, const char *account);
/* The queue id of a job, into 32 octets. */
void view_copy_id(const struct message *job, char *id);
/* Waits until the outcome is on record. */
struct shown view_settled(struct harness *h, const char *id, const char *state);

#endif
