/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of broker/keeper/accounts/machine.c under virtual time, against a server, a disk and callers
 * that are variables of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/keeper/accounts/machine.h"

struct world {
	struct vault *vault;
	struct machine *m;
	struct machine_now now;
	uint32_t random;

	int disk_error;         /* what MACHINE_WRITE gets */
	struct credential disk; /* the last record written */
	uint64_t disk_generation;
	unsigned writes;

	unsigned asked;
	uint64_t request; /* in flight; 0: none */
	char sent[64];    /* the refresh token of the last request */

	unsigned granted, refused, changes;
	char token[64]; /* the last one granted */
	uint64_t last_waiter;
};

static int
fixed_random(void *arg, void *to, size_t len)
{
	memset(to, 7, len);
	return 0;
}

static uint32_t
next_random(void *arg)
{
	struct world *w = arg;

	return w->random;
}

static void
copy_text(char *to, const struct secret *s)
{
	(void)snprintf(to, 64, "%s", s == NULL ? "" : (const char *)secret_bytes(s));
}

static void
write_disk(struct world *w)
{
	int r = w->disk_error;

	w->writes++;
	if (r == 0) {
		credential_clear(&w->disk);
		assert_int_equal(machine_fill(w->m, w->now, &w->disk), 0);
		w->disk_generation = machine_generation(w->m);
	}
	machine_written(w->m, w->now, r);
}

/* Does what the machine asks for, until it asks for nothing. */
static void
run(struct world *w)
{
	for (unsigned guard = 0;; guard++) {
		struct machine_action a = machine_next(w->m, w->now);
		CLEANUP_SECRET struct secret *s = NULL;

		assert_true(guard < 10000);
		switch (a.act) {
		case MACHINE_NOTHING:
			return;
		case MACHINE_WRITE:
			write_disk(w);
			break;
		case MACHINE_ASK:
			/* Never without the intent on disk, and the record is complete. */
			assert_int_equal(w->disk.intent, 1);
			s = machine_refresh_token(w->m);
			assert_true(secret_equal(s, w->disk.refresh_token));
			copy_text(w->sent, s);
			assert_int_equal(w->request, 0);
			w->request = a.request;
			w->asked++;
			break;
		case MACHINE_GRANT:
			s = machine_access_token(w->m);
			copy_text(w->token, s);
			w->granted++;
			w->last_waiter = a.waiter;
			/* Whatever was given away, its refresh token is on disk. */
			s = secret_free(s);
			s = machine_refresh_token(w->m);
			assert_true(secret_equal(s, w->disk.refresh_token));
			break;
		case MACHINE_REFUSE:
			w->refused++;
			w->last_waiter = a.waiter;
			break;
		case MACHINE_CHANGED:
			w->changes++;
			break;
		}
	}
}

static void
want(struct world *w, uint64_t waiter, uint64_t min_valid, uint64_t rejected)
{
	assert_int_equal(machine_want(w->m, w->now, waiter, min_valid, rejected), 0);
	run(w);
}

/* Time passes; the machine is woken exactly when it asks to be. */
static void
pass(struct world *w, int64_t ms)
{
	int64_t until = w->now.boot + ms, start = w->now.boot;

	for (unsigned guard = 0;; guard++) {
		int64_t at = machine_deadline(w->m);

		assert_true(guard < 2000);
		if (at > until)
			break;
		if (at > w->now.boot) {
			w->now.wall += (at - start) / 1000 - (w->now.boot - start) / 1000;
			w->now.boot = at;
		}
		machine_tick(w->m, w->now);
		run(w);
		/* A deadline that has been served must move on. */
		assert_true(machine_deadline(w->m) > w->now.boot || w->request != 0);
	}
	w->now.wall += (until - start) / 1000 - (w->now.boot - start) / 1000;
	w->now.boot = until;
}

static bool
answer(struct world *w, const struct machine_answer *a)
{
	uint64_t request = w->request;
	bool taken;

	w->request = 0;
	taken = machine_answer(w->m, w->now, request, a);
	run(w);
	return taken;
}

static void
answer_tokens(struct world *w, const char *access, const char *refresh, uint64_t life)
{
	CLEANUP_SECRET struct secret *a = secret_new(access, strlen(access));
	CLEANUP_SECRET struct secret *r =
	    refresh == NULL ? NULL : secret_new(refresh, strlen(refresh));
	struct machine_answer reply = {.facts.status = 200,
	    .access_token = a,
	    .refresh_token = r,
	    .has_life = life != 0,
	    .life = life};

	assert_true(answer(w, &reply));
}

static void
answer_error(struct world *w, const char *error, uint64_t status, uint64_t retry_after)
{
	struct machine_answer reply = {
	    .facts = {.error = error, .status = status, .text = "as the test has it"},
	    .retry_after = retry_after};

	assert_true(answer(w, &reply));
}

static void
answer_fault(struct world *w)
{
	struct machine_answer reply = {.facts.fault = "connection refused"};

	assert_true(answer(w, &reply));
}

static void
adopt(struct world *w, const char *access, const char *refresh, uint64_t life)
{
	CLEANUP_SECRET struct secret *a = secret_new(access, strlen(access)),
				     *r = secret_new(refresh, strlen(refresh));
	struct machine_answer reply = {
	    .access_token = a, .refresh_token = r, .has_life = true, .life = life};

	assert_int_equal(machine_adopt(w->m, w->now, &reply), 0);
	run(w);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->now = (struct machine_now){.boot = 1000 * 1000, .wall = 1767225600};
	w->random = UINT32_MAX / 2;
	w->vault = vault_new(fixed_random, NULL);
	w->m = machine_new("billing", w->vault, next_random, w);
	*state = w;
	return 0;
}

/* A machine with a fresh token of an hour, and nobody waiting. */
static int
setup_active(void **state)
{
	(void)setup(state);
	adopt(*state, "access-1", "refresh-1", 3600);
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	credential_clear(&w->disk);
	(void)machine_free(w->m);
	(void)vault_free(w->vault);
	free(w);
	return 0;
}

/* What was written, read by a machine that has just started. */
static void
restart(struct world *w)
{
	(void)machine_free(w->m);
	w->m = machine_new("billing", w->vault, next_random, w);
	w->request = 0;
	assert_int_equal(machine_load(w->m, w->now, &w->disk, w->disk_generation), 0);
	run(w);
}

/* ---- the tests ---- */

static void
test_empty_refuses(void **state)
{
	struct world *w = *state;

	want(w, 1, 0, 0);
	assert_int_equal(w->refused, 1);
	assert_int_equal(w->asked, 0);
	assert_int_equal(machine_state(w->m), MACHINE_EMPTY);
	assert_true(machine_deadline(w->m) == MACHINE_NEVER);
}

static void
test_adopt_and_grant(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->writes, 1);
	assert_int_equal(w->disk.intent, 0);
	want(w, 7, 600, 0);
	assert_int_equal(w->granted, 1);
	assert_int_equal(w->last_waiter, 7);
	assert_string_equal(w->token, "access-1");
	assert_int_equal(w->asked, 0);
	assert_int_equal(machine_expires_at(w->m, w->now), w->now.wall + 3600);
}

static void
test_fifty_waiters_one_request(void **state)
{
	struct world *w = *state;

	pass(w, 3601 * 1000);
	assert_int_equal(w->asked, 0); /* nobody used it: nothing is asked ahead */
	for (uint64_t i = 1; i <= 50; i++)
		want(w, i, 0, 0);
	assert_int_equal(w->asked, 1);
	assert_string_equal(w->sent, "refresh-1");
	assert_int_equal(w->granted + w->refused, 0);
	assert_int_equal(machine_state(w->m), MACHINE_REFRESHING);
	answer_tokens(w, "access-2", "refresh-2", 3600);
	assert_int_equal(w->granted, 50);
	assert_string_equal(w->token, "access-2");
	assert_int_equal(w->asked, 1);
	assert_int_equal(w->disk.intent, 0);
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-2", 9);
	assert_memory_equal(secret_bytes(w->disk.previous_token), "refresh-1", 9);
}

static void
test_refresh_ahead_while_used(void **state)
{
	struct world *w = *state;

	want(w, 1, 0, 0);
	pass(w, (3600 - 360 - 40) * 1000); /* the margin is 10 %, a tenth more or less */
	assert_int_equal(w->asked, 0);
	pass(w, 80 * 1000);
	assert_int_equal(w->asked, 1);
	want(w, 2, 0, 0); /* served from the token that still lives */
	assert_int_equal(w->granted, 2);
	assert_string_equal(w->token, "access-1");
	answer_tokens(w, "access-2", NULL, 3600);
	want(w, 3, 0, 0);
	assert_string_equal(w->token, "access-2");
	/* No new refresh token was given: the old one stays, and there is no other. */
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-1", 9);
	assert_null(w->disk.previous_token);
}

static void
test_short_life(void **state)
{
	struct world *w = *state;

	adopt(w, "a", "r", 5);
	for (uint64_t i = 1; i <= 20; i++) {
		unsigned asked = w->asked;

		want(w, i, 3600, 0); /* more than the life: capped at half of it */
		if (w->request != 0)
			answer_tokens(w, "b", "r", 5);
		assert_int_equal(w->granted, i);
		assert_true(w->asked <= asked + 1);
		pass(w, 1000);
		if (w->request != 0)
			answer_tokens(w, "b", "r", 5);
	}
	assert_true(w->asked <= 10);
}

static void
test_failed_early_refresh_still_serves(void **state)
{
	struct world *w = *state;

	want(w, 1, 0, 0);
	pass(w, 3300 * 1000);
	assert_int_equal(w->asked, 1);
	answer_error(w, "temporarily_unavailable", 503, 0);
	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text), "temporarily_unavailable"));
	want(w, 2, 0, 0);
	assert_int_equal(w->granted, 2);
	want(w, 3, 1800,
	    0); /* more than is left, and no request allowed now: still better than nothing */
	assert_int_equal(w->granted, 3);
	assert_int_equal(w->asked, 1);
	pass(w, 31 * 1000);
	assert_int_equal(w->asked, 2);
	answer_tokens(w, "access-2", NULL, 3600);
	assert_string_equal(buf_str(&machine_report(w->m)->text), "");
}

static void
test_back_off(void **state)
{
	struct world *w = *state;
	int64_t gap[12];

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	for (size_t i = 0; i < 12; i++) {
		int64_t failed_at = w->now.boot;

		assert_int_equal(w->request != 0, true);
		answer_fault(w);
		while (w->request == 0)
			pass(w, 500);
		gap[i] = w->now.boot - failed_at;
	}
	assert_int_equal(w->refused, 1);
	assert_true(gap[0] >= 5000 && gap[0] <= 5500);
	for (size_t i = 0; i < 12; i++)
		assert_true(gap[i] >= 5000 && gap[i] <= 901 * 1000);
	assert_true(gap[11] > 400 * 1000); /* half of 15 min, with a jitter of one half */
	answer_tokens(w, "access-2", NULL, 3600);
	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
}

static void
test_answered_failures_wait_longer(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	for (unsigned i = 1; i <= 5; i++) {
		int64_t failed_at = w->now.boot;

		answer_error(w, "server_error", 500, 0);
		want(w, 10 + i, 0, 0);
		assert_int_equal(w->request, 0);
		while (w->request == 0)
			pass(w, 500);
		assert_true(w->now.boot - failed_at >= (i < 5 ? 30 : 900) * 1000);
	}
	assert_int_equal(w->refused, 6);
}

static void
test_retry_after(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	answer_error(w, NULL, 429, 600);
	assert_int_equal(w->refused, 1);
	assert_int_equal(machine_retry_at(w->m, w->now), w->now.wall + 600);
	pass(w, 599 * 1000);
	assert_int_equal(w->asked, 1);
	pass(w, 2 * 1000);
	assert_int_equal(w->asked, 2);
}

static void
test_invalid_grant(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	answer_error(w, "invalid_grant", 400, 0);
	assert_int_equal(w->refused, 1);
	assert_int_equal(machine_state(w->m), MACHINE_NEEDS_AUTHORIZATION);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->next), "frank authorize billing"));
	assert_null(strstr(buf_str(&machine_report(w->m)->text), "interrupted"));
	/* Nothing is thrown away, and it survives a restart as what it is, without asking again. */
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-1", 9);
	assert_int_equal(w->disk.condition, CREDENTIAL_NEEDS_AUTHORIZATION);
	restart(w);
	assert_int_equal(machine_state(w->m), MACHINE_NEEDS_AUTHORIZATION);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text), "invalid_grant"));
	pass(w, (int64_t)30 * 24 * 3600 * 1000);
	assert_int_equal(w->asked, 1);
	/* A person asks to try: once. */
	machine_probe(w->m, w->now);
	run(w);
	assert_int_equal(w->asked, 2);
	answer_tokens(w, "access-2", NULL, 3600);
	assert_int_equal(machine_state(w->m), MACHINE_ACTIVE);
	assert_int_equal(w->disk.condition, CREDENTIAL_FINE);
}

static void
test_invalid_grant_just_after_rotation(void **state)
{
	struct world *w = *state;

	adopt(w, "a", "r0", 5);
	want(w, 1, 0, 0);
	pass(w, 4000);
	answer_tokens(w, "b", "r1", 5);
	want(w, 2, 0, 0);
	pass(w, 4000);
	assert_string_equal(w->sent, "r1");
	answer_error(w, "invalid_grant", 400, 0);
	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
	pass(w, 59 * 1000);
	assert_int_equal(w->request, 0);
	pass(w, 2 * 1000);
	assert_int_not_equal(w->request, 0);
	assert_string_equal(w->sent, "r1");
	answer_error(w, "invalid_grant", 400, 0); /* once only */
	assert_int_equal(machine_state(w->m), MACHINE_NEEDS_AUTHORIZATION);
}

static void
test_invalid_client(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	answer_error(w, "invalid_client", 401, 0);
	assert_int_equal(machine_state(w->m), MACHINE_CLIENT_ERROR);
	want(w, 2, 0, 0);
	assert_int_equal(w->refused, 2);
	pass(w, (int64_t)5 * 3600 * 1000);
	assert_int_equal(w->asked, 1);
	pass(w, (int64_t)2 * 3600 * 1000); /* four times a day somebody may have mended it */
	assert_int_equal(w->asked, 2);
	answer_error(w, "invalid_client", 401, 0);
	assert_int_equal(machine_state(w->m), MACHINE_CLIENT_ERROR);
	/* A new client secret. */
	machine_renew(w->m, w->now);
	run(w);
	assert_int_equal(machine_state(w->m), MACHINE_ACTIVE);
	want(w, 3, 0, 0);
	assert_int_equal(w->asked, 3);
	answer_error(w, "invalid_client", 401, 0);
	/* A restart tries once, without anybody asking. */
	restart(w);
	assert_int_equal(machine_state(w->m), MACHINE_CLIENT_ERROR);
	pass(w, 31 * 1000);
	assert_int_equal(w->asked, 4);
	answer_tokens(w, "access-2", NULL, 3600);
	want(w, 4, 0, 0);
	assert_int_equal(w->granted, 1);
}

static void
test_rejected_forces_one_refresh(void **state)
{
	struct world *w = *state;
	uint64_t generation = machine_generation(w->m);

	want(w, 1, 0, 0);
	for (uint64_t i = 2; i < 10; i++) /* eight sessions with the same token */
		want(w, i, 0, generation);
	assert_int_equal(w->asked, 1);
	assert_int_equal(w->granted, 1);
	answer_tokens(w, "access-2", NULL, 3600);
	assert_int_equal(w->granted, 9);
	want(w, 11, 0, generation); /* late news of the old token */
	assert_int_equal(w->granted, 10);
	assert_string_equal(w->token, "access-2");
	assert_int_equal(w->asked, 1);
	/* The new one refused at once: not again before half a minute. */
	want(w, 12, 0, machine_generation(w->m));
	assert_int_equal(w->refused, 1);
	assert_int_equal(w->asked, 1);
	pass(w, 31 * 1000);
	assert_int_equal(w->asked, 2);
}

static void
test_late_answer_of_an_older_generation(void **state)
{
	struct world *w = *state;
	CLEANUP_SECRET struct secret *a = secret_new("stale", 5),
				     *r = secret_new("stale-refresh", 13);
	struct machine_answer reply = {.facts.status = 200, .access_token = a, .refresh_token = r};
	uint64_t request;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	request = w->request;
	w->request = 0;
	adopt(w, "new-access", "new-refresh", 3600); /* a person signed in meanwhile */
	assert_int_equal(w->granted, 1);
	assert_string_equal(w->token, "new-access");
	assert_false(machine_answer(w->m, w->now, request, &reply));
	run(w);
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "new-refresh", 11);
	want(w, 2, 0, 0);
	assert_string_equal(w->token, "new-access");
}

/* The configuration changes while a request is under way: its access token is not used, its refresh
 * token is kept. */
static void
test_renewed_in_flight(void **state)
{
	struct world *w = *state;
	uint64_t generation;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	generation = machine_generation(w->m);
	machine_renew(w->m, w->now);
	run(w);
	assert_true(machine_generation(w->m) > generation);
	assert_int_equal(
	    w->disk.intent, 1); /* whatever is written meanwhile still tells of the request */
	answer_tokens(w, "for-the-old", "refresh-2", 3600);
	assert_int_equal(w->granted, 0);
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-2", 9);
	assert_int_equal(w->asked, 2);
	assert_string_equal(w->sent, "refresh-2");
	answer_tokens(w, "for-the-new", "refresh-3", 3600);
	assert_int_equal(w->granted, 1);
	assert_string_equal(w->token, "for-the-new");
}

static void
test_suspended(void **state)
{
	struct world *w = *state;

	machine_suspend(w->m, w->now, true);
	run(w);
	want(w, 1, 0, 0);
	assert_int_equal(w->refused, 1);
	pass(w, (int64_t)20 * 24 * 3600 * 1000);
	assert_int_equal(w->asked, 0);
	machine_suspend(w->m, w->now, false);
	want(w, 2, 0, 0);
	assert_int_equal(w->asked, 1);
}

static void
test_intent_cannot_be_written(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	w->disk_error = -ENOSPC;
	want(w, 1, 0, 0);
	assert_int_equal(w->asked, 0); /* what cannot be stored is not rotated */
	assert_int_equal(w->refused, 1);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text), "No space left"));
	w->disk_error = 0;
	pass(w, 6000);
	assert_int_equal(w->asked, 1);
	answer_tokens(w, "access-2", "refresh-2", 3600);
	assert_string_equal(buf_str(&machine_report(w->m)->text), "");
}

static void
test_new_pair_cannot_be_written(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	w->disk_error = -EIO;
	answer_tokens(w, "access-2", "refresh-2", 3600);
	assert_int_equal(w->granted, 0); /* not before it is on disk */
	assert_int_equal(w->refused, 1);
	assert_true(machine_is_unwritten(w->m));
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text), "in memory only"));
	pass(w, 300 * 1000);
	assert_true(w->writes > 8);
	want(w, 2, 0, 0);
	assert_int_equal(w->granted, 0);
	w->disk_error = 0;
	pass(w, 61 * 1000);
	assert_false(machine_is_unwritten(w->m));
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-2", 9);
	want(w, 3, 0, 0);
	assert_string_equal(w->token, "access-2");
	assert_int_equal(w->asked, 1);
	assert_string_equal(buf_str(&machine_report(w->m)->text), "");
}

/* Without rotation nothing new has to be kept, and a full disk stops nobody. */
static void
test_full_disk_without_rotation(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	w->disk_error = -ENOSPC;
	answer_tokens(w, "access-2", NULL, 3600);
	assert_int_equal(w->granted, 1);
	w->disk_error = 0;
	pass(w, 2000);
	assert_int_equal(w->disk.intent, 0);
}

static void
test_crash_with_an_intent(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	assert_int_equal(w->disk.intent, 1);
	restart(w);
	assert_int_equal(machine_state(w->m), MACHINE_ACTIVE);
	pass(w, 31 * 1000); /* looked into without anybody asking */
	assert_int_equal(w->asked, 2);
	assert_string_equal(w->sent, "refresh-1");
	answer_error(w, "invalid_grant", 400, 0);
	assert_int_equal(machine_state(w->m), MACHINE_NEEDS_AUTHORIZATION);
	assert_non_null(
	    strstr(buf_str(&machine_report(w->m)->text), "A refresh was interrupted before"));
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-1", 9);
}

static void
test_restart_keeps_the_token(void **state)
{
	struct world *w = *state;

	pass(w, 1000 * 1000);
	restart(w);
	want(w, 1, 0, 0);
	assert_int_equal(w->granted, 1);
	assert_string_equal(w->token, "access-1");
	assert_int_equal(machine_expires_at(w->m, w->now), w->now.wall + 2600);
}

static void
test_clock_jumps(void **state)
{
	struct world *w = *state;
	unsigned writes = w->writes;

	/* The wall clock is set a year ahead: age runs on the other clock, and the disk is told. */
	w->now.wall += 365 * 24 * 3600;
	machine_clock_jumped(w->m);
	run(w);
	assert_int_equal(w->writes, writes + 1);
	assert_true(w->disk.access_expires == (uint64_t)w->now.wall + 3600);
	want(w, 1, 0, 0);
	assert_string_equal(w->token, "access-1");
	/* The clock set back across a restart must not lengthen a life. */
	w->now.wall -= 2 * 365 * 24 * 3600;
	restart(w);
	assert_int_equal(machine_expires_at(w->m, w->now), 0);
	want(w, 2, 0, 0);
	assert_int_equal(w->asked, 1);
	answer_tokens(w, "access-2", NULL, 3600);
	/* And ahead across a restart: expired, asked anew. */
	w->now.wall += 365 * 24 * 3600;
	restart(w);
	want(w, 3, 0, 0);
	assert_int_equal(w->asked, 2);
}

static void
test_suspend_counts(void **state)
{
	struct world *w = *state;

	want(w, 1, 0, 0);
	w->now.boot += (int64_t)8 * 3600 * 1000; /* the lid was closed */
	w->now.wall += 8 * 3600;
	machine_tick(w->m, w->now);
	run(w);
	assert_int_equal(w->asked, 1);
}

static void
test_idle_refresh(void **state)
{
	struct world *w = *state;

	pass(w, (int64_t)6 * 24 * 3600 * 1000);
	assert_int_equal(w->asked, 0);
	pass(w, (int64_t)24 * 3600 * 1000);
	assert_int_equal(w->asked, 1);
	answer_tokens(w, "access-2", NULL, 3600);
	restart(w);
	pass(w, (int64_t)5 * 24 * 3600 * 1000);
	assert_int_equal(w->asked, 1);
	pass(w, (int64_t)2 * 24 * 3600 * 1000);
	assert_int_equal(w->asked, 2);
}

static void
test_scope_taken_away(void **state)
{
	struct world *w = *state;
	CLEANUP_SECRET struct secret *a = secret_new("narrow", 6), *r = secret_new("refresh-2", 9);
	struct machine_answer reply = {.facts.status = 200,
	    .access_token = a,
	    .refresh_token = r,
	    .scope = "openid",
	    .lacking = "https://mail.google.com/"};

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	assert_true(answer(w, &reply));
	assert_int_equal(w->granted, 0);
	assert_int_equal(w->refused, 1);
	assert_int_equal(machine_state(w->m), MACHINE_NEEDS_AUTHORIZATION);
	assert_memory_equal(secret_bytes(w->disk.refresh_token), "refresh-2", 9);
}

static void
test_forgotten_waiter(void **state)
{
	struct world *w = *state;

	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	want(w, 2, 0, 0);
	machine_forget(w->m, 1);
	answer_tokens(w, "access-2", NULL, 3600);
	assert_int_equal(w->granted, 1);
	assert_int_equal(w->last_waiter, 2);
}

static void
test_providers_min_valid(void **state)
{
	struct world *w = *state;

	machine_set_min_valid(w->m, 1200);
	want(w, 1, 0, 0);
	pass(w, (3600 - 1200 - 150) * 1000);
	assert_int_equal(w->asked, 0);
	pass(w, 300 * 1000);
	assert_int_equal(w->asked, 1);
}

static void
test_same_client_refused_elsewhere(void **state)
{
	struct world *w = *state;

	const struct answer_facts f = {.error = "invalid_client",
	    .text = "AADSTS7000222: The provided client secret keys are expired.",
	    .status = 401};

	machine_client_refused(w->m, w->now, &f, "alerts");
	run(w);
	assert_int_equal(machine_state(w->m), MACHINE_CLIENT_ERROR);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text), "\"alerts\""));
	assert_non_null(strstr(buf_str(&machine_report(w->m)->next), "billing")); /* its own step */
	assert_null(strstr(buf_str(&machine_report(w->m)->next), "alerts"));
	want(w, 1, 0, 0); /* what still lives is still given */
	assert_int_equal(w->granted, 1);
	pass(w, 4000 * 1000);
	want(w, 2, 0, 0);
	assert_int_equal(w->refused, 1);
	assert_int_equal(w->asked, 0);
	machine_probe(w->m, w->now);
	run(w);
	assert_int_equal(w->asked, 1);
}

/* The other account's recovery says nothing of a mistake of this one. */
static void
test_same_client_accepted_elsewhere(void **state)
{
	struct world *w = *state;
	const struct answer_facts f = {.error = "deleted_client", .status = 401};

	machine_client_refused(w->m, w->now, &f, "alerts");
	machine_client_accepted(w->m, w->now);
	assert_int_equal(machine_state(w->m), MACHINE_ACTIVE);
	pass(w, 4000 * 1000);
	want(w, 1, 0, 0);
	answer_error(w, "invalid_scope", 400, 0);
	assert_int_equal(machine_state(w->m), MACHINE_CLIENT_ERROR);
	machine_client_accepted(w->m, w->now);
	assert_int_equal(machine_state(w->m), MACHINE_CLIENT_ERROR);
	machine_reconsider(w->m, w->now);
	assert_int_equal(machine_state(w->m), MACHINE_ACTIVE);
}

/* Random walks: whatever happens, one request at a time, nothing given away unwritten, and no
 * waiter forgotten. */
static void
test_random_walks(void **state)
{
	for (unsigned seed = 1; seed <= 300; seed++) {
		struct world *w;
		void *inner;
		uint64_t waiter = 0;
		char token[32];

		(void)setup_active(&inner);
		w = inner;
		srandom(seed);
		for (unsigned step = 0; step < 300; step++) {
			w->random = (uint32_t)random() * 2u;
			w->disk_error = random() % 8 == 0 ? -EIO : 0;
			switch (random() % 9) {
			case 0:
			case 1:
				want(w, ++waiter, (uint64_t)random() % 4000,
				    random() % 4 == 0 ? machine_generation(w->m) : 0);
				break;
			case 2:
				pass(w, random() % 2000000);
				break;
			case 3:
			case 4:
				(void)snprintf(token, sizeof(token), "r-%u-%u", seed, step);
				if (w->request != 0)
					answer_tokens(w, "x", random() % 2 ? token : NULL,
					    (uint64_t)random() % 7200);
				break;
			case 5:
				if (w->request != 0)
					answer_error(w,
					    random() % 4 ? "server_error" : "invalid_client", 400,
					    0);
				break;
			case 6:
				if (w->request != 0)
					answer_fault(w);
				break;
			case 7:
				machine_renew(w->m, w->now);
				run(w);
				break;
			default:
				machine_probe(w->m, w->now);
				run(w);
			}
		}
		w->disk_error = 0;
		pass(w, 100000);
		if (w->request != 0)
			answer_fault(w);
		assert_int_equal(w->granted + w->refused, waiter);
		(void)teardown(&inner);
	}
}

#define ACTIVE(t) cmocka_unit_test_setup_teardown(t, setup_active, teardown)

/* A refresh token that ends: as the server said last, and kept over a restart. */
static void
test_refresh_token_ends(void **state)
{
	struct world *w = *state;
	CLEANUP_SECRET struct secret *a = secret_new("access", 6), *r1 = secret_new("refresh-1", 9),
				     *r2 = secret_new("refresh-2", 9);
	struct machine_answer reply = {.access_token = a,
	    .refresh_token = r1,
	    .has_life = true,
	    .life = 60,
	    .has_refresh_life = true,
	    .refresh_life = 604800};
	int64_t start = w->now.wall, life;

	assert_int_equal(machine_adopt(w->m, w->now, &reply), 0);
	run(w);
	assert_int_equal(machine_refresh_ends(w->m, &life), start + 604800);
	assert_int_equal(life, 604800);
	restart(w);
	assert_int_equal(machine_refresh_ends(w->m, &life), start + 604800);
	assert_int_equal(life, 604800);

	/* an answer that says nothing of a token that stays leaves it; one that counts down moves it */
	for (unsigned told = 0; told < 2; told++) {
		pass(w, 100 * 1000);
		want(w, 1 + told, 0, 0);
		reply.refresh_token = NULL;
		reply.has_refresh_life = told == 1;
		reply.refresh_life = 1000;
		assert_true(answer(w, &reply));
		assert_int_equal(machine_refresh_ends(w->m, &life),
		    told == 1 ? w->now.wall + 1000 : start + 604800);
		assert_int_equal(life, 604800);
	}
	/* 0 is for good, and so is another token of which nothing is said */
	pass(w, 100 * 1000);
	want(w, 3, 0, 0);
	reply.refresh_life = 0;
	assert_true(answer(w, &reply));
	assert_int_equal(machine_refresh_ends(w->m, &life), 0);
	pass(w, 100 * 1000);
	want(w, 4, 0, 0);
	reply.refresh_life = UINT64_MAX;
	assert_true(answer(w, &reply));
	assert_true(machine_refresh_ends(w->m, &life) > w->now.wall);
	pass(w, 100 * 1000);
	want(w, 5, 0, 0);
	reply.has_refresh_life = false;
	reply.refresh_token = r2;
	assert_true(answer(w, &reply));
	assert_int_equal(machine_refresh_ends(w->m, &life), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_empty_refuses, setup, teardown),
	    ACTIVE(test_adopt_and_grant),
	    ACTIVE(test_fifty_waiters_one_request),
	    cmocka_unit_test_setup_teardown(test_refresh_token_ends, setup, teardown),
	    ACTIVE(test_refresh_ahead_while_used),
	    ACTIVE(test_short_life),
	    ACTIVE(test_failed_early_refresh_still_serves),
	    ACTIVE(test_back_off),
	    ACTIVE(test_answered_failures_wait_longer),
	    ACTIVE(test_retry_after),
	    ACTIVE(test_invalid_grant),
	    ACTIVE(test_invalid_grant_just_after_rotation),
	    ACTIVE(test_invalid_client),
	    ACTIVE(test_rejected_forces_one_refresh),
	    ACTIVE(test_late_answer_of_an_older_generation),
	    ACTIVE(test_renewed_in_flight),
	    ACTIVE(test_suspended),
	    ACTIVE(test_intent_cannot_be_written),
	    ACTIVE(test_new_pair_cannot_be_written),
	    ACTIVE(test_full_disk_without_rotation),
	    ACTIVE(test_crash_with_an_intent),
	    ACTIVE(test_restart_keeps_the_token),
	    ACTIVE(test_clock_jumps),
	    ACTIVE(test_suspend_counts),
	    ACTIVE(test_idle_refresh),
	    ACTIVE(test_scope_taken_away),
	    ACTIVE(test_forgotten_waiter),
	    ACTIVE(test_providers_min_valid),
	    ACTIVE(test_same_client_refused_elsewhere),
	    ACTIVE(test_same_client_accepted_elsewhere),
	    cmocka_unit_test(test_random_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
