/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * machine-answer.c: what an answer of the token endpoint, or none, does to an account. See machine.h,
 * and machine.c for the order of writing and asking.
 *
 * After a failure: 5 s to 15 min with full jitter; at least 30 s where the server itself answered,
 * and 15 min from the fifth equal answer on (Microsoft blocks clients that repeat a failing
 * request: AADSTS50196); Retry-After where it is longer.
 */
#include "broker/keeper/accounts/machine-internal.h"

#include <errno.h>
#include <string.h>

static uint64_t
failure_hash(const struct answer_facts *f)
{
	const char *s = f->fault != NULL ? "fault" : f->error == NULL ? "" : f->error;
	uint64_t hash = 14695981039346656037u ^ f->status;

	for (; *s != '\0'; s++)
		hash = (hash ^ (uint8_t)*s) * 1099511628211u;
	return hash == 0 ? 1 : hash;
}

void
machine_back_off(struct machine *m, struct machine_now now, bool answered, uint64_t failure,
    uint64_t retry_after)
{
	int64_t ceiling = BACKOFF_MAX, delay;

	if (m->failures < 8)
		ceiling = min64(BACKOFF_MAX, (int64_t)BACKOFF_FIRST << m->failures);
	m->failures++;
	m->equal = failure == m->last_failure ? m->equal + 1 : 1;
	m->last_failure = failure;
	delay = BACKOFF_FIRST + machine_jitter(m, ceiling - BACKOFF_FIRST);
	if (answered)
		delay = max64(delay, ANSWERED_MIN);
	if (answered && m->equal >= EQUAL_MAX)
		delay = max64(delay, BACKOFF_MAX + machine_jitter(m, BACKOFF_MAX / 5));
	delay = max64(delay,
	    (int64_t)(retry_after > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : retry_after) * SECOND);
	m->not_before = now.boot + delay;
	m->idle_at = max64(m->idle_at, m->not_before);
}

/* `more`: what belongs to the server's words besides, "" for nothing. */
static void
say_answer(struct machine *m, const struct answer_verdict *v, const struct machine_answer *a,
    const char *more)
{
	struct buf words CLEANUP_BUF = BUF_INIT(TEXT_MAX);

	answer_words(&a->facts, &words);
	(void)buf_append_str(&words, more);
	if (a->skew >= SKEW_TELLING)
		(void)buf_printf(&words,
		    " This machine's clock and the server's differ by %llu seconds.",
		    (unsigned long long)a->skew);
	machine_say_verdict(m, v, buf_str(&words));
}

static void
fail_transient(struct machine *m, struct machine_now now, const struct answer_verdict *v,
    const struct machine_answer *a)
{
	/* a server that wants to be left alone says for how long, or its rule does */
	uint64_t rest = v->d.retry == RETRY_THROTTLED ? v->d.delay : 0;
	uint64_t delay = a->retry_after > rest ? a->retry_after : rest;

	/* A fault may have struck before or after the server took the refresh token. */
	if (!m->unattended && !a->unsent && (a->facts.fault != NULL || a->facts.status >= 500))
		m->interrupted = true;
	if (m->standing == MACHINE_ACTIVE)
		say_answer(m, v, a, "");
	else if (m->standing == MACHINE_CLIENT_ERROR)
		m->probe_at = now.boot + CLIENT_AGAIN;
	machine_back_off(m, now, a->facts.status != 0, failure_hash(&a->facts), delay);
}

static void
fail_for_good(struct machine *m, struct machine_now now, const struct answer_verdict *v,
    const struct machine_answer *a)
{
	bool grant = a->facts.error != NULL && strcasecmp(a->facts.error, "invalid_grant") == 0;

	if (grant && !m->unattended && !m->grant_again && now.boot - m->rotated_at < JUST_ROTATED) {
		/* A token that was just issued may not have reached every machine of the server. */
		m->grant_again = true;
		say_answer(m, v, a, "");
		(void)buf_append_str(&m->text, " It is asked once more in a minute.");
		m->not_before = now.boot + GRANT_AGAIN;
		m->demand = true;
		return;
	}
	say_answer(m, v, a,
	    grant && m->interrupted
		? " A refresh was interrupted before: the server had probably replaced the token, "
		  "and its answer never arrived."
		: "");
	m->interrupted = m->intent_on_disk = false;
	m->not_before = now.boot + ANSWERED_MIN;
	machine_enter(
	    m, v->class == ANSWER_NEEDS_USER ? MACHINE_NEEDS_AUTHORIZATION : MACHINE_CLIENT_ERROR);
	if (a->facts.local)
		m->probe_at = now.boot + LOCAL_AGAIN;
	else if (v->class == ANSWER_CLIENT)
		m->probe_at = now.boot + CLIENT_AGAIN + machine_jitter(m, CLIENT_AGAIN / 10);
	machine_write_soon(m, now, WRITE_PLAIN);
}

/* Everything that must be allocated for new tokens, so that taking them over cannot fail half-way.
 */
struct incoming {
	struct sealed *access, *refresh;
	char *scope;
};

static int
prepare(struct machine *m, const struct machine_answer *a, struct incoming *ret)
{
	ret->access = vault_seal(m->vault, a->access_token);
	ret->refresh = vault_seal(m->vault, a->refresh_token);
	ret->scope = a->scope == NULL ? NULL : strdup(a->scope);
	if ((a->access_token != NULL && ret->access == NULL) ||
	    (a->refresh_token != NULL && ret->refresh == NULL) ||
	    (a->scope != NULL && ret->scope == NULL)) {
		(void)sealed_free(ret->access);
		(void)sealed_free(ret->refresh);
		free(ret->scope);
		return -ENOMEM;
	}
	return 0;
}

/* The access token, whose life began when it was asked for at the latest. */
static void
take_access(struct machine *m, struct machine_now now, const struct machine_answer *a,
    struct incoming *in, int64_t asked_at)
{
	uint64_t life = !a->has_life || a->life == 0 ? LIFE_ABSENT
			: a->life > LIFE_MAX         ? LIFE_MAX
						     : a->life;

	m->generation++;
	sealed_replace(&m->access, TAKE_PTR(in->access));
	m->rejected = false;
	m->life = (int64_t)life * SECOND;
	m->expires = asked_at + m->life;
	m->used = false;
	if (in->scope != NULL) {
		free(m->scope);
		m->scope = TAKE_PTR(in->scope);
	}
	m->failures = m->equal = 0;
	m->last_failure = 0;
	m->interrupted = m->grant_again = m->intent_on_disk = false;
	m->refreshed_wall = now.wall;
	machine_plan_refresh(m);
	machine_plan_idle(m, now.boot);
}

static int64_t
bounded_refresh_life(const struct machine_answer *a)
{
	return a->refresh_life > REFRESH_LIFE_MAX ? REFRESH_LIFE_MAX : (int64_t)a->refresh_life;
}

/* When the refresh token ends. A new one of which nothing is said may live as long as it likes; what was said
 * of the present one stands. */
static void
note_refresh_end(
    struct machine *m, struct machine_now now, const struct machine_answer *a, bool is_new)
{
	if (a->has_refresh_life)
		m->refresh_ends_wall =
		    a->refresh_life == 0 ? 0 : now.wall + bounded_refresh_life(a);
	else if (is_new)
		m->refresh_ends_wall = 0;
}

static bool
is_new_refresh_token(const struct machine *m, const struct machine_answer *a)
{
	CLEANUP_SECRET struct secret *present = vault_open(m->vault, m->refresh);

	return a->refresh_token != NULL && !secret_equal(present, a->refresh_token);
}

/* The answer was good, and the token of no use: judged by the same table, in our words. */
static void
refuse_token(struct machine *m, struct machine_now now, const char *before, const char *what,
    const char *behind)
{
	struct buf words CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct answer_verdict v;

	machine_drop_access(m);
	(void)buf_printf(&words, "%s %s%s", before, what, behind);
	answer_judge_words(buf_str(&words), &m->whose, &v);
	machine_say_verdict(m, &v, buf_str(&words));
	machine_enter(
	    m, v.class == ANSWER_NEEDS_USER ? MACHINE_NEEDS_AUTHORIZATION : MACHINE_CLIENT_ERROR);
	if (v.class != ANSWER_NEEDS_USER)
		m->probe_at = now.boot + CLIENT_AGAIN;
}

static void
succeed(struct machine *m, struct machine_now now, const struct machine_answer *a)
{
	bool rotated = !m->unattended && is_new_refresh_token(m, a);
	struct incoming in;

	if (prepare(m, a, &in) < 0) {
		m->interrupted |= !m->unattended;
		/* The new refresh token is lost to us; the one before still is what we have. */
		machine_say(m, "Memory ran out while a token was received.",
		    "Nothing to do: it is tried again by itself.");
		machine_back_off(m, now, true, 1, 0);
		return;
	}
	/* The refresh token that was sent has worked: what was before it is of no more use. */
	if (!m->unattended)
		sealed_replace(&m->previous, NULL);
	if (rotated) {
		m->previous = m->refresh;
		m->refresh = TAKE_PTR(in.refresh);
		m->rotated_at = now.boot;
		m->unwritten = true;
	}
	(void)sealed_free(in.refresh);
	if (!m->unattended)
		note_refresh_end(m, now, a, rotated);
	take_access(m, now, a, &in, m->asked_at);
	free(in.scope);
	m->not_before = now.boot;
	if (m->standing != MACHINE_ACTIVE)
		machine_enter(m, MACHINE_ACTIVE);
	machine_say_nothing(m);
	m->changed = true;
	if (m->stale)
		machine_drop_access(m);
	if (a->lacking != NULL)
		refuse_token(m, now, "The authorization server does not grant the scope",
		    a->lacking, " any more.");
	else if (a->misdirected != NULL)
		refuse_token(m, now, "The access token is meant for", a->misdirected,
		    ", which is not what the account's audience names.");
	machine_write_soon(m, now, WRITE_PAIR);
}

bool
machine_answer(
    struct machine *m, struct machine_now now, uint64_t request, const struct machine_answer *a)
{
	struct answer_verdict v;

	if (m->request == 0 || request != m->request)
		return false;
	m->request = 0;
	m->refreshing = false;
	answer_judge(&a->facts, &m->whose, &v);
	if (v.class == ANSWER_GOOD && a->access_token != NULL) {
		succeed(m, now, a);
	} else if (m->stale) {
		m->not_before = now.boot + (a->facts.status != 0 ? ANSWERED_MIN : BACKOFF_FIRST);
		m->interrupted |= !m->unattended && !a->unsent && a->facts.fault != NULL;
		m->demand = true;
	} else if (v.class == ANSWER_NEEDS_USER || v.class == ANSWER_CLIENT) {
		fail_for_good(m, now, &v, a);
	} else {
		fail_transient(m, now, &v, a);
	}
	m->stale = false;
	machine_settle(m, now);
	return true;
}

int
machine_adopt(struct machine *m, struct machine_now now, const struct machine_answer *a)
{
	struct incoming in;

	if (prepare(m, a, &in) < 0)
		return -ENOMEM;
	m->request = 0;
	m->refreshing = m->ask_now = m->stale = m->probing = m->demand = false;
	sealed_replace(&m->previous, NULL);
	sealed_replace(&m->refresh, TAKE_PTR(in.refresh));
	free(m->scope);
	m->scope = NULL;
	take_access(m, now, a, &in, now.boot);
	free(in.scope);
	m->authorized_wall = now.wall;
	note_refresh_end(m, now, a, true);
	m->refresh_life = a->has_refresh_life ? bounded_refresh_life(a) : 0;
	m->rotated_at = now.boot;
	m->not_before = now.boot;
	m->unwritten = true;
	machine_enter(m, MACHINE_ACTIVE);
	machine_say_nothing(m);
	machine_write_soon(m, now, WRITE_PAIR);
	machine_settle(m, now);
	return 0;
}
