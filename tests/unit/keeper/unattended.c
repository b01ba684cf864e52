/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of broker/keeper/accounts/machine.c where tokens come from a secret or a key alone: it asks at
 * once, writes nothing, and a refresh token of before stays where it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "broker/keeper/accounts/machine.h"

struct world {
	struct vault *vault;
	struct machine *m;
	struct machine_now now;
	unsigned asked, granted, refused;
	uint64_t request;
};

static int
fixed_random(void *arg, void *to, size_t len)
{
	memset(to, 7, len);
	return 0;
}

static uint32_t
half(void *arg)
{
	return UINT32_MAX / 2;
}

static void
run(struct world *w)
{
	for (;;) {
		struct machine_action a = machine_next(w->m, w->now);

		if (a.act == MACHINE_NOTHING)
			return;
		assert_int_not_equal(a.act, MACHINE_WRITE); /* never */
		if (a.act == MACHINE_ASK) {
			w->request = a.request;
			w->asked++;
		}
		w->granted += a.act == MACHINE_GRANT;
		w->refused += a.act == MACHINE_REFUSE;
	}
}

static void
describe(struct world *w, const char *grant, bool unattended)
{
	machine_describe(w->m,
	    &(struct diagnosis_facts){.account = "app", .grant = grant, .secret_from = "file:/s"},
	    unattended);
}

static void
want(struct world *w)
{
	assert_int_equal(machine_want(w->m, w->now, w->granted + w->refused + 1, 0, 0), 0);
	run(w);
}

static void
pass(struct world *w, int64_t seconds)
{
	w->now.boot += seconds * 1000;
	w->now.wall += seconds;
	machine_tick(w->m, w->now);
	run(w);
}

static void
answer(struct world *w, const struct machine_answer *a)
{
	assert_true(machine_answer(w->m, w->now, w->request, a));
	run(w);
}

static void
answer_token(struct world *w, const char *lacking, const char *misdirected)
{
	CLEANUP_SECRET struct secret *s = secret_new("token", 5), *r = secret_new("refresh", 7);
	/* a refresh token has no place here, and some servers give one */
	const struct machine_answer a = {.facts.status = 200,
	    .access_token = s,
	    .refresh_token = r,
	    .has_life = true,
	    .life = 3600,
	    .lacking = lacking,
	    .misdirected = misdirected};

	answer(w, &a);
}

static void
answer_error(struct world *w, const char *error, uint64_t skew)
{
	const struct machine_answer a = {.facts = {.error = error, .status = 400}, .skew = skew};

	answer(w, &a);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->vault = vault_new(fixed_random, NULL);
	w->m = machine_new("app", w->vault, half, w);
	w->now = (struct machine_now){.boot = 1000000, .wall = 1700000000};
	describe(w, "client-credentials", true);
	run(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	(void)machine_free(w->m);
	(void)vault_free(w->vault);
	free(w);
	return 0;
}

static void
test_asks_when_wanted(void **state)
{
	struct world *w = *state;

	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
	assert_int_equal(machine_deadline(w->m), MACHINE_NEVER); /* nothing is asked for nobody */
	want(w);
	want(w);
	assert_int_equal(w->asked, 1);
	answer_token(w, NULL, NULL);
	assert_int_equal(w->granted, 2);
	assert_null(machine_refresh_token(w->m));
	/* before its end, since it is used */
	want(w);
	pass(w, 3500);
	assert_int_equal(w->asked, 2);
	answer_token(w, NULL, NULL);
	/* and not again where nobody uses it */
	pass(w, 30 * 24 * 3600);
	assert_int_equal(w->asked, 2);
}

static void
test_refusals(void **state)
{
	static const char *const permanent[] = {"invalid_grant", "invalid_client",
	    "unauthorized_client", "interaction_required", "access_denied", "invalid_scope"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(permanent); i++) {
		want(w);
		answer_error(w, permanent[i], i == 0 ? 660 : 0);
		assert_int_equal(machine_standing(w->m), MACHINE_CLIENT_ERROR);
		assert_int_equal(
		    strstr(buf_str(&machine_report(w->m)->text), "clock") != NULL, i == 0);
		assert_null(strstr(buf_str(&machine_report(w->m)->next), "frank authorize"));
		w->now.boot += 31000;
		machine_probe(w->m, w->now);
		run(w);
		answer_token(w, NULL, NULL);
		assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
		pass(w, 3601);
	}
}

static void
test_transient(void **state)
{
	struct world *w = *state;

	want(w);
	answer_error(w, "server_error", 0);
	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
	assert_int_equal(w->refused, 1);
	pass(w, 20);
	assert_int_equal(w->asked, 1); /* a server that answered has half a minute */
	pass(w, 20);
	assert_int_equal(w->asked, 2); /* somebody was sent away: it tries by itself */
}

/* A key file that cannot be used is looked at again within a minute, and no server was asked. */
static void
test_local_fault(void **state)
{
	struct world *w = *state;
	const struct machine_answer a = {
	    .facts = {.fault = "the client key is no private key", .local = true}, .unsent = true};

	want(w);
	answer(w, &a);
	assert_int_equal(machine_standing(w->m), MACHINE_CLIENT_ERROR);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text),
	    "No token could be asked for. The reason: the client key"));
	pass(w, 61);
	assert_int_equal(w->asked, 2);
	answer_token(w, NULL, NULL);
	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
}

static void
test_narrow_and_misdirected(void **state)
{
	struct world *w = *state;

	want(w);
	answer_token(w, "mail.send", NULL);
	assert_int_equal(machine_standing(w->m), MACHINE_CLIENT_ERROR);
	assert_int_equal(w->granted, 0);
	w->now.boot += 31000;
	machine_probe(w->m, w->now);
	run(w);
	answer_token(w, NULL, "https://graph.example");
	assert_int_equal(machine_standing(w->m), MACHINE_CLIENT_ERROR);
	assert_non_null(strstr(buf_str(&machine_report(w->m)->text), "https://graph.example"));
	assert_int_equal(machine_expires_at(w->m, w->now), 0);
}

/* What a person's sign-in left stays in the record, unused, and works again with the grant. */
static void
test_refresh_token_of_before_stays(void **state)
{
	struct world *w = *state;
	struct credential c CLEANUP_CREDENTIAL = {0}, out CLEANUP_CREDENTIAL = {0};

	c.refresh_token = secret_new("consent", 7);
	assert_int_equal(machine_load(w->m, w->now, &c, 5), 0);
	want(w);
	answer_token(w, NULL, NULL);
	assert_int_equal(machine_fill(w->m, w->now, &out), 0);
	assert_true(secret_equal(out.refresh_token, c.refresh_token));
	assert_null(out.access_token);
	assert_int_equal(out.intent, 0);
	describe(w, "authorization-code", false);
	assert_int_equal(machine_standing(w->m), MACHINE_ACTIVE);
	assert_int_equal(machine_wipe(w->m, w->now), 0);
	assert_int_equal(machine_standing(w->m), MACHINE_EMPTY);
	assert_null(machine_refresh_token(w->m));
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_asks_when_wanted),
	    T(test_refusals),
	    T(test_transient),
	    T(test_local_fault),
	    T(test_narrow_and_misdirected),
	    T(test_refresh_token_of_before_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
