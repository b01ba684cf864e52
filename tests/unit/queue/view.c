/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * view.c: see view.h.
 */
#include "tests/unit/queue/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void
keep(char *to, size_t size, const struct message *m, enum field f)
{
	const char *text = message_str(m, f);

	(void)snprintf(to, size, "%s", text == NULL ? "" : text);
}

static void
take_row(void *arg, const struct message *m)
{
	struct shown *s = arg;

	switch (message_type(m)) {
	case M_ROW_MESSAGE:
		s->messages++;
		keep(s->id, sizeof(s->id), m, F_QUEUE_ID);
		keep(s->sender, sizeof(s->sender), m, F_SENDER);
		keep(s->state, sizeof(s->state), m, F_STATE);
		break;
	case M_ROW_RECIPIENT:
		s->recipients++;
		keep(s->rcpt_state, sizeof(s->rcpt_state), m, F_STATE);
		keep(s->reply, sizeof(s->reply), m, F_REPLY);
		keep(s->cause, sizeof(s->cause), m, F_CAUSE);
		keep(s->text, sizeof(s->text), m, F_TEXT);
		keep(s->next, sizeof(s->next), m, F_NEXT);
		s->tries = (unsigned)message_u64(m, F_ATTEMPTS, 0);
		s->until = message_u64(m, F_UNTIL, 0);
		break;
	case M_ROW_ATTEMPT:
		s->attempts++;
		s->has_transcript = message_has(m, F_TRANSCRIPT);
		keep(s->attempt_text, sizeof(s->attempt_text), m, F_TEXT);
		keep(s->attempt_next, sizeof(s->attempt_next), m, F_NEXT);
		break;
	case M_ROW_PROBLEM:
		keep(s->problem, sizeof(s->problem), m, F_TEXT);
		break;
	case M_ROW_ACCOUNT:
		keep(s->account_state, sizeof(s->account_state), m, F_STATE);
		keep(s->account_text, sizeof(s->account_text), m, F_TEXT);
		break;
	default:
		break;
	}
}

struct shown
view_list(struct harness *h, uid_t uid)
{
	struct shown s = {0};

	(void)message_free(harness_ask(h, uid, message_new(M_QUEUE_LIST), take_row, &s));
	return s;
}

struct shown
view_show(struct harness *h, const char *id)
{
	struct message *m = message_new(M_QUEUE_SHOW);
	struct shown s = {0};

	message_put_str(m, F_QUEUE_ID, id);
	(void)message_free(harness_ask(h, 0, m, take_row, &s));
	return s;
}

struct shown
view_status(struct harness *h)
{
	struct shown s = {0};

	(void)message_free(harness_ask(h, 0, message_new(M_STATUS), take_row, &s));
	return s;
}

unsigned
view_act(struct harness *h, uid_t uid, const char *action, const char *id, const char *account)
{
	struct message *m = message_new(M_QUEUE_ACT), *done;
	unsigned status;

	message_put_str(m, F_ACTION, action);
	message_put_str(m, F_QUEUE_ID, id);
	message_put_str(m, F_ACCOUNT, account);
	done = harness_ask(h, uid, m, NULL, NULL);
	assert_non_null(done);
	status = (unsigned)message_u64(done, F_EXIT, 99);
	(void)message_free(done);
	return status;
}

void
view_copy_id(const struct message *job, char *id)
{
	(void)snprintf(id, 32, "%s", message_str(job, F_QUEUE_ID));
}

/* Waits until the outcome is on record. */
struct shown
view_settled(struct harness *h, const char *id, const char *state)
{
	struct shown s = {0};

	for (int i = 0; i < 100; i++) {
		s = view_show(h, id);
		if (strcmp(s.state, state) == 0)
			return s;
		harness_serve(h, 20);
	}
	fail_msg("%s is %s and not %s", id, s.state, state);
	return s;
}
