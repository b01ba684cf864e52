/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * machine.c: see machine.h.
 *
 * The standing of the credential (only enter() changes it):
 *
 *     standing             left when
 *     EMPTY                a person signs in                                        ─▶ ACTIVE
 *     ACTIVE               the server wants a person again                          ─▶ NEEDS_AUTHORIZATION
 *                          the server refuses the client, or our own key is at fault ─▶ CLIENT_ERROR
 *                          the server refuses the client to another account          ─▶ REFUSED_ELSEWHERE
 *     NEEDS_AUTHORIZATION  a person signs in, or a probe succeeds                    ─▶ ACTIVE
 *     CLIENT_ERROR         a probe succeeds, or configuration or client may be mended ─▶ ACTIVE
 *     REFUSED_ELSEWHERE    the same, or the server takes the client again            ─▶ ACTIVE
 *     any                  the tokens are wiped                                      ─▶ EMPTY
 *
 * A refresh (only refresh_to() changes it):
 *
 *     REFRESH_NONE      begin()                                   ─▶ INTENT; READY where an intent is on disk
 *     REFRESH_INTENT    the intent is on disk; cannot be written  ─▶ READY; NONE
 *     REFRESH_READY     the request is handed out (MACHINE_ASK)   ─▶ SENT
 *     REFRESH_SENT      the answer; the configuration changed     ─▶ NONE; OUTDATED
 *     REFRESH_OUTDATED  the answer, whose access token is dropped ─▶ NONE
 *
 * Rotation, the only place where a crash can cost a person's consent:
 *
 *   INTENT    the credential with intent = 1 is written; it is complete, with the refresh token that is
 *             about to be sent
 *   SENT      the server answers with a new refresh token. It is written, with the one before as
 *             previous_token and intent = 0 (WRITE_ROTATED)
 *   NONE      only when that is on disk the access token is given away
 *
 * A crash before the second write leaves an intent on disk. The refresh token in that record may have been
 * used up: it is tried, and if the server refuses it, the text says what happened. If the second write
 * fails, the tokens stay in memory and the write is repeated until it succeeds. If the first write fails,
 * nothing is asked: what cannot be stored must not be rotated.
 *
 * A token that was used since it came is refreshed min(max(90 s, 10 % of its life), half of its life)
 * before its end, a tenth more or less; any other when somebody asks. A refresh token is used once a week,
 * so that it does not die of idleness. The life that a caller demands is capped at half of the token's, so
 * that very short tokens work.
 *
 * After a failure: 5 s to 15 min with full jitter; at least 30 s where the server itself answered, and
 * 15 min from the fifth equal answer on (Microsoft blocks clients that repeat a failing request:
 * AADSTS50196); Retry-After where it is longer.
 *
 * An unattended machine (machine_describe) has nothing to rotate: it asks at once and writes nothing.
 */
#include "broker/keeper/accounts/machine.h"

#include <errno.h>
#include <string.h>

enum {
	SECOND = 1000,
	MARGIN_MIN = 90 * SECOND,
	WANT_MIN = 10 * SECOND,    /* a token must live long enough to be used at all */
	LIFE_ABSENT = 300,         /* seconds, where the server does not say */
	LIFE_MAX = 30 * 24 * 3600, /* seconds */
	REFRESH_LIFE_MAX = 10 * 365 * 24 * 3600, /* seconds */
	BACKOFF_FIRST = 5 * SECOND,
	BACKOFF_MAX = 900 * SECOND,
	ANSWERED_MIN = 30 * SECOND, /* between two requests of which the first was refused */
	PROBED_MIN = 5 * SECOND,    /* ... where a person asks for the second */
	EQUAL_MAX = 5,
	RETRY_AFTER_MAX = 24 * 3600, /* seconds */
	WRITE_AGAIN = 1 * SECOND,
	WRITE_AGAIN_MAX = 60 * SECOND,
	JUST_ROTATED = 600 * SECOND,
	GRANT_AGAIN = 60 * SECOND,
	IDLE_REFRESH = 7 * 24 * 3600,    /* seconds */
	IDLE_SPREAD = 600 * SECOND,      /* after a start, not all at once */
	INTERRUPTED_CHECK = 30 * SECOND, /* how soon an interrupted rotation is looked into */
	CLIENT_AGAIN =
	    6 * 3600 * SECOND,     /* a refused client may have been mended at the provider */
	LOCAL_AGAIN = 60 * SECOND, /* a key file that could not be used may have been mended */
	SKEW_TELLING = 60,         /* seconds by which clocks must differ to explain a refusal */
	TEXT_MAX = 2500,
};

#define LONG_AGO (INT64_MIN / 2) /* ms of the boot clock */

enum standing { EMPTY, ACTIVE, NEEDS_AUTHORIZATION, CLIENT_ERROR, REFUSED_ELSEWHERE };

enum refresh { REFRESH_NONE, REFRESH_INTENT, REFRESH_READY, REFRESH_SENT, REFRESH_OUTDATED };

enum access {
	ACCESS_NONE,
	ACCESS_UNUSED, /* nobody wanted it since it came */
	ACCESS_USED,
	ACCESS_REJECTED, /* a server refused it */
};

/* Why the record on disk must be written. */
enum writing {
	WRITE_NONE,
	WRITE_PLAIN,
	WRITE_INTENT,
	WRITE_ACCESS,  /* a new access token */
	WRITE_ROTATED, /* a new refresh token, which is in memory alone */
};

enum intent {
	INTENT_NONE,
	INTENT_ON_DISK,     /* the record says that a refresh was begun */
	INTENT_INTERRUPTED, /* ... and the server may have answered it, but no answer came */
};

/* What happens as soon as not_before allows a request. */
enum due {
	DUE_NOTHING,
	DUE_REFRESH, /* a waiter was refused: the machine tries again by itself */
	DUE_PROBE,   /* the same, also where the standing is a refusal */
};

struct token_waiter {
	uint64_t id;
	int64_t min_valid; /* ms */
	enum { UNDECIDED, GRANTED, REFUSED } decision;
};

struct machine {
	char *account;
	struct diagnosis_facts whose;
	struct vault *vault;
	uint32_t (*random)(void *arg);
	void *random_arg;

	enum standing standing;
	enum refresh refreshing;
	enum writing writing;
	enum intent intent;
	enum due due;
	uint64_t generation;
	bool suspended, unattended;

	struct sealed *refresh, *previous;
	char *scope;
	int64_t refreshed_wall, authorized_wall; /* seconds since 1970 */
	int64_t refresh_ends_wall, refresh_life; /* of the refresh token; seconds */
	int64_t rotated_at, idle_at;             /* ms of the boot clock */
	enum access access_state;
	struct sealed *access;
	int64_t life, expires, refresh_at; /* ms; ms of the boot clock */
	int64_t min_valid;                 /* ms */

	uint64_t request, serial;
	int64_t asked_at;
	int64_t forced_at; /* last refresh for a rejected token */

	unsigned failures, equal;
	uint64_t last_failure; /* a hash, by which equal failures are recognised */
	int64_t not_before;    /* nothing is asked until then */
	int64_t probe_at;      /* when a refused client is tried again */

	unsigned write_failures;
	int64_t write_at;

	struct token_waiter *waiters;
	size_t waiting, room;
	bool changed; /* MACHINE_CHANGED is due */
	struct machine_report report;
};

static void settle(struct machine *m, struct machine_now now);

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

const char *
machine_state_name(enum machine_state s)
{
	static const char *const names[] = {
	    "empty", "active", "refreshing", "needs-authorization", "client-error"};

	return names[s];
}

struct machine *
machine_new(
    const char *account, struct vault *vault, uint32_t (*random)(void *arg), void *random_arg)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->account = strdup(account);
	if (m->account == NULL)
		return machine_free(m);
	m->vault = vault;
	m->random = random;
	m->random_arg = random_arg;
	m->idle_at = m->probe_at = MACHINE_NEVER;
	m->forced_at = m->rotated_at = LONG_AGO;
	m->not_before = LONG_AGO;
	buf_init(&m->report.text, TEXT_MAX);
	buf_init(&m->report.next, TEXT_MAX);
	buf_init(&m->report.words, TEXT_MAX);
	m->report.cause = m->report.fixer = "";
	m->whose.account = m->account;
	return m;
}

struct machine *
machine_free(struct machine *m)
{
	if (m != NULL) {
		(void)vault_drop(m->refresh);
		(void)vault_drop(m->previous);
		(void)vault_drop(m->access);
		buf_free(&m->report.text);
		buf_free(&m->report.next);
		buf_free(&m->report.words);
		free(m->account);
		free(m->scope);
		free(m->waiters);
		free(m);
	}
	return NULL;
}

/* ---- small helpers ---- */

static int64_t
jitter(struct machine *m, int64_t range)
{
	return range <= 0
		   ? 0
		   : (int64_t)((double)range * ((double)m->random(m->random_arg) / UINT32_MAX));
}

static void
enter(struct machine *m, enum standing standing)
{
	m->standing = standing;
	m->changed = true;
}

static void
refresh_to(struct machine *m, enum refresh refreshing)
{
	m->refreshing = refreshing;
}

static bool
is_refused_client(const struct machine *m)
{
	return m->standing == CLIENT_ERROR || m->standing == REFUSED_ELSEWHERE;
}

static void
say(struct machine *m, const char *text, const char *next)
{
	m->changed = true;
	buf_clear(&m->report.text);
	buf_clear(&m->report.next);
	buf_clear(&m->report.words);
	m->report.cause = m->report.fixer = "";
	(void)buf_append_str(&m->report.text, text);
	(void)buf_append_str(&m->report.next, next);
}

static void
say_nothing(struct machine *m)
{
	if (m->report.text.len > 0)
		say(m, "", "");
}

static void
say_verdict(struct machine *m, const struct answer_verdict *v, const char *words)
{
	say(m, v->d.text, v->d.next);
	m->report.cause = v->d.cause;
	m->report.fixer = v->d.fixer;
	if (*words == '\0')
		return;
	(void)buf_append_str(&m->report.words, words);
	(void)buf_printf(&m->report.text, "%s%s", m->report.text.len > 0 ? " " : "", words);
}

/* Is there an access token that may be given away? */
static bool
usable(const struct machine *m, struct machine_now now)
{
	return (m->access_state == ACCESS_UNUSED || m->access_state == ACCESS_USED) &&
	       m->writing != WRITE_ROTATED && !m->suspended && m->expires > now.boot;
}

/* Is there anything to ask with? */
static bool
has_grant(const struct machine *m)
{
	return m->refresh != NULL || m->unattended;
}

static bool
is_writing_answer(const struct machine *m)
{
	return m->writing == WRITE_ACCESS || m->writing == WRITE_ROTATED;
}

static bool
can_ask(const struct machine *m, struct machine_now now)
{
	return has_grant(m) && !m->suspended && m->refreshing == REFRESH_NONE &&
	       !is_writing_answer(m) && now.boot >= m->not_before &&
	       (m->standing == ACTIVE || (m->due == DUE_PROBE && m->standing != EMPTY));
}

static void
drop_access(struct machine *m)
{
	vault_replace(&m->access, NULL);
	m->access_state = ACCESS_NONE;
	m->refresh_at = MACHINE_NEVER;
}

static void
plan_refresh(struct machine *m)
{
	int64_t margin = max64(max64(MARGIN_MIN, m->life / 10), m->min_valid);

	margin = min64(margin, m->life / 2);
	margin = margin - margin / 10 + jitter(m, margin / 5);
	m->refresh_at = m->expires - margin;
}

static void
plan_idle(struct machine *m, int64_t from)
{
	int64_t span = (int64_t)IDLE_REFRESH * SECOND;

	if (m->unattended) {
		m->idle_at = MACHINE_NEVER; /* nothing dies of idleness */
		return;
	}
	m->idle_at = from + span - jitter(m, span / 10);
}

static void
write_soon(struct machine *m, struct machine_now now, enum writing what)
{
	if (m->unattended)
		return;
	m->writing = what;
	m->write_at = now.boot;
	m->write_failures = 0;
}

static uint64_t
failure_hash(const struct answer_facts *f)
{
	const char *s = f->fault != NULL ? "fault" : f->error == NULL ? "" : f->error;
	uint64_t hash = 14695981039346656037u ^ f->status;

	for (; *s != '\0'; s++)
		hash = (hash ^ (uint8_t)*s) * 1099511628211u;
	return hash == 0 ? 1 : hash;
}

static void
back_off(struct machine *m, struct machine_now now, bool answered, uint64_t failure,
    uint64_t retry_after)
{
	int64_t ceiling = BACKOFF_MAX, delay;

	if (m->failures < 8)
		ceiling = min64(BACKOFF_MAX, (int64_t)BACKOFF_FIRST << m->failures);
	m->failures++;
	m->equal = failure == m->last_failure ? m->equal + 1 : 1;
	m->last_failure = failure;
	delay = BACKOFF_FIRST + jitter(m, ceiling - BACKOFF_FIRST);
	if (answered)
		delay = max64(delay, ANSWERED_MIN);
	if (answered && m->equal >= EQUAL_MAX)
		delay = max64(delay, BACKOFF_MAX + jitter(m, BACKOFF_MAX / 5));
	delay = max64(delay,
	    (int64_t)(retry_after > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : retry_after) * SECOND);
	m->not_before = now.boot + delay;
	m->idle_at = max64(m->idle_at, m->not_before);
}

/* ---- what it holds ---- */

void
machine_describe(struct machine *m, const struct diagnosis_facts *whose, bool unattended)
{
	m->whose = *whose;
	if (unattended == m->unattended)
		return;
	m->unattended = unattended;
	m->idle_at = MACHINE_NEVER;
	say_nothing(m);
	enter(m, unattended || m->refresh != NULL ? ACTIVE : EMPTY);
}

static void
load_access(struct machine *m, struct machine_now now, const struct credential *c)
{
	int64_t obtained = (int64_t)c->access_obtained, expires = (int64_t)c->access_expires,
		left = expires - now.wall;

	/* A clock that was set back must not lengthen a token's life. */
	if (c->access_token == NULL || expires <= obtained || expires - obtained > LIFE_MAX ||
	    left <= 0 || left > expires - obtained)
		return;
	m->access = vault_seal(m->vault, c->access_token);
	m->access_state = m->access == NULL ? ACCESS_NONE : ACCESS_UNUSED;
	m->life = (expires - obtained) * SECOND;
	m->expires = now.boot + left * SECOND;
	plan_refresh(m);
}

/* What was wrong when the record was written, judged anew: rules and configuration may have changed. */
static void
say_condition(struct machine *m, const char *words)
{
	struct answer_verdict v;

	answer_judge_words(words, &m->whose, &v);
	if (!v.d.known)
		v.d.text[0] = '\0';
	if (!v.d.known)
		diagnosis_step(m->standing == NEEDS_AUTHORIZATION
				   ? "{sign-in}"
				   : "Frank looks at it again; at once where you {retry}.",
		    &m->whose, v.d.next, sizeof(v.d.next));
	say_verdict(m, &v, words);
}

int
machine_load(
    struct machine *m, struct machine_now now, const struct credential *c, uint64_t generation)
{
	int64_t idle_for;

	m->generation = generation;
	if (c->refresh_token == NULL)
		return 0;
	m->refresh = vault_seal(m->vault, c->refresh_token);
	m->previous = vault_seal(m->vault, c->previous_token);
	m->scope = c->scope == NULL ? NULL : strdup(c->scope);
	if (m->refresh == NULL || (c->previous_token != NULL && m->previous == NULL) ||
	    (c->scope != NULL && m->scope == NULL))
		return -ENOMEM;
	m->refreshed_wall = (int64_t)c->refreshed_at;
	m->authorized_wall = (int64_t)c->authorized_at;
	m->refresh_ends_wall = (int64_t)c->refresh_expires;
	m->refresh_life = (int64_t)c->refresh_life;
	if (m->unattended)
		return 0;
	load_access(m, now, c);
	enter(m, ACTIVE);
	if (c->condition == CREDENTIAL_NEEDS_AUTHORIZATION)
		enter(m, NEEDS_AUTHORIZATION);
	else if (c->condition == CREDENTIAL_CLIENT_ERROR)
		enter(m, CLIENT_ERROR);
	if (m->standing != ACTIVE)
		say_condition(m, c->condition_text == NULL ? "" : c->condition_text);
	/* Somebody may have restarted because it is mended. */
	if (is_refused_client(m))
		m->probe_at = now.boot + jitter(m, INTERRUPTED_CHECK);
	idle_for = max64(now.wall - max64(m->refreshed_wall, m->authorized_wall), 0);
	plan_idle(m, now.boot - min64(idle_for, IDLE_REFRESH) * SECOND);
	m->idle_at = max64(m->idle_at, now.boot + jitter(m, IDLE_SPREAD));
	if (c->intent != 0) {
		m->intent = INTENT_INTERRUPTED;
		m->idle_at = now.boot + jitter(m, INTERRUPTED_CHECK);
	}
	return 0;
}

/* Does a record that is written now say that a refresh was begun? */
static bool
bears_intent(const struct machine *m)
{
	return m->writing == WRITE_INTENT || (!is_writing_answer(m) && m->intent != INTENT_NONE);
}

static int64_t
to_wall(struct machine_now now, int64_t boot)
{
	return now.wall + (boot - now.boot) / SECOND;
}

static int
fill_secret(const struct machine *m, const struct sealed *from, struct secret **to)
{
	*to = vault_open(m->vault, from);
	return from != NULL && *to == NULL ? -ENOMEM : 0;
}

int
machine_fill(const struct machine *m, struct machine_now now, struct credential *c)
{
	if (fill_secret(m, m->refresh, &c->refresh_token) < 0 ||
	    fill_secret(m, m->previous, &c->previous_token) < 0 ||
	    fill_secret(m, m->access_state == ACCESS_REJECTED || m->unattended ? NULL : m->access,
		&c->access_token) < 0)
		return -ENOMEM;
	if (c->access_token != NULL) {
		c->access_expires = (uint64_t)to_wall(now, m->expires);
		c->access_obtained = c->access_expires - (uint64_t)(m->life / SECOND);
	}
	if (m->scope != NULL && (c->scope = strdup(m->scope)) == NULL)
		return -ENOMEM;
	c->refreshed_at = (uint64_t)m->refreshed_wall;
	c->authorized_at = (uint64_t)m->authorized_wall;
	c->refresh_expires = (uint64_t)m->refresh_ends_wall;
	c->refresh_life = (uint64_t)m->refresh_life;
	if (m->unattended)
		return 0;
	c->intent = bears_intent(m);
	if (m->standing == NEEDS_AUTHORIZATION)
		c->condition = CREDENTIAL_NEEDS_AUTHORIZATION;
	else if (is_refused_client(m))
		c->condition = CREDENTIAL_CLIENT_ERROR;
	if (c->condition != CREDENTIAL_FINE &&
	    (c->condition_text = strdup(
		 buf_str(m->report.words.len > 0 ? &m->report.words : &m->report.text))) == NULL)
		return -ENOMEM;
	return 0;
}

uint64_t
machine_generation(const struct machine *m)
{
	return m->generation;
}

void
machine_raise_generation(struct machine *m, uint64_t generation)
{
	if (generation > m->generation)
		m->generation = generation;
}

struct secret *
machine_refresh_token(const struct machine *m)
{
	return vault_open(m->vault, m->refresh);
}

struct secret *
machine_access_token(const struct machine *m)
{
	return vault_open(m->vault, m->access);
}

/* ---- asking ---- */

static void
begin(struct machine *m, struct machine_now now)
{
	m->due = DUE_NOTHING;
	if (m->access_state == ACCESS_REJECTED)
		m->forced_at = now.boot;
	if (m->unattended || (m->intent != INTENT_NONE && m->writing == WRITE_NONE)) {
		refresh_to(m, REFRESH_READY); /* the record says already that a refresh was begun */
		return;
	}
	refresh_to(m, REFRESH_INTENT);
	write_soon(m, now, WRITE_INTENT);
}

/* A waiter was refused, or a request must be repeated. */
static void
demand(struct machine *m)
{
	if (m->due == DUE_NOTHING)
		m->due = DUE_REFRESH;
}

/* Decides what can be decided for those who wait; begins a refresh where one is needed. */
static void
settle(struct machine *m, struct machine_now now)
{
	for (size_t i = 0; i < m->waiting; i++) {
		struct token_waiter *w = &m->waiters[i];
		int64_t want = min64(max64(w->min_valid, WANT_MIN), m->life / 2);

		if (w->decision != UNDECIDED)
			continue;
		if (usable(m, now) && m->expires - now.boot >= want) {
			w->decision = GRANTED;
		} else if (m->suspended) {
			w->decision = REFUSED;
		} else if (m->refreshing != REFRESH_NONE ||
			   (is_writing_answer(m) && m->write_failures == 0)) {
			continue;
		} else if (can_ask(m, now)) {
			begin(m, now);
		} else if (usable(m, now)) {
			w->decision = GRANTED;
		} else {
			w->decision = REFUSED;
			demand(m);
		}
	}
	if (m->access_state == ACCESS_USED && now.boot >= m->refresh_at && can_ask(m, now))
		begin(m, now);
}

/* A server refused the token of this generation. */
static void
reject(struct machine *m)
{
	if (m->access_state == ACCESS_NONE || m->access_state == ACCESS_REJECTED)
		return;
	m->access_state = ACCESS_REJECTED;
	/* Once now; again not sooner than 30 s later: a server whose token check is down refuses
	 * good tokens too. */
	m->not_before = max64(m->not_before, m->forced_at + ANSWERED_MIN);
}

bool
machine_can_force(const struct machine *m, struct machine_now now)
{
	return now.boot >= m->forced_at + ANSWERED_MIN;
}

int
machine_want(struct machine *m, struct machine_now now, uint64_t waiter, uint64_t min_valid,
    uint64_t rejected)
{
	if (m->waiting >= MACHINE_WAITERS_MAX)
		return -EBUSY;
	if (m->waiting == m->room) {
		size_t room = m->room == 0 ? 4 : m->room * 2;
		struct token_waiter *more = reallocarray(m->waiters, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		m->waiters = more;
		m->room = room;
	}
	if (rejected != 0 && rejected == m->generation)
		reject(m);
	m->waiters[m->waiting++] = (struct token_waiter){.id = waiter,
	    .min_valid = (int64_t)(min_valid > LIFE_MAX ? LIFE_MAX : min_valid) * SECOND};
	if (m->access_state == ACCESS_UNUSED)
		m->access_state = ACCESS_USED;
	settle(m, now);
	return 0;
}

static void
remove_waiter(struct machine *m, size_t at)
{
	m->waiting--;
	memmove(&m->waiters[at], &m->waiters[at + 1], (m->waiting - at) * sizeof(*m->waiters));
	if (m->waiting == 0) {
		free(m->waiters);
		m->waiters = NULL;
		m->room = 0;
	}
}

void
machine_forget(struct machine *m, uint64_t waiter)
{
	for (size_t i = 0; i < m->waiting; i++)
		if (m->waiters[i].id == waiter) {
			remove_waiter(m, i);
			return;
		}
}

/* ---- writing ---- */

static void
say_write_failed(struct machine *m, int error)
{
	say(m, "", "");
	(void)buf_printf(&m->report.text, "The token store cannot be written: %s.%s",
	    strerror(-error),
	    m->writing == WRITE_ROTATED ? " A new refresh token is in memory only." : "");
	(void)buf_append_str(&m->report.next,
	    m->writing == WRITE_ROTATED
		? "Mend the disk before Frank is stopped: it keeps trying to write."
		: "Mend the disk: it is tried again by itself.");
}

void
machine_written(struct machine *m, struct machine_now now, int error)
{
	enum writing what = m->writing;

	if (error == 0) {
		if (m->write_failures > 0 && m->standing == ACTIVE)
			say_nothing(m);
		if (what == WRITE_INTENT) {
			m->intent = m->intent == INTENT_NONE ? INTENT_ON_DISK : m->intent;
			refresh_to(m, REFRESH_READY);
		} else if (what != WRITE_PLAIN) {
			m->intent = INTENT_NONE;
			m->due = m->due == DUE_REFRESH ? DUE_NOTHING : m->due;
		}
		m->writing = WRITE_NONE;
		m->write_failures = 0;
	} else if (what == WRITE_INTENT) {
		m->writing = WRITE_NONE;
		refresh_to(m, REFRESH_NONE);
		say_write_failed(m, error);
		back_off(m, now, false, 2, 0);
	} else {
		m->write_at = now.boot + min64(WRITE_AGAIN_MAX,
					     (int64_t)WRITE_AGAIN << min64(m->write_failures, 10));
		m->write_failures++;
		if (is_writing_answer(m))
			say_write_failed(m, error);
	}
	settle(m, now);
}

/* ---- answers ---- */

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
	say_verdict(m, v, buf_str(&words));
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
		m->intent = INTENT_INTERRUPTED;
	if (m->standing == ACTIVE)
		say_answer(m, v, a, "");
	else if (is_refused_client(m))
		m->probe_at = now.boot + CLIENT_AGAIN;
	back_off(m, now, a->facts.status != 0, failure_hash(&a->facts), delay);
}

static void
fail_for_good(struct machine *m, struct machine_now now, const struct answer_verdict *v,
    const struct machine_answer *a)
{
	bool grant = a->facts.error != NULL && strcasecmp(a->facts.error, "invalid_grant") == 0;

	if (grant && !m->unattended && now.boot - m->rotated_at < JUST_ROTATED) {
		/* A token that was just issued may not have reached every machine of the server: it
		 * is asked once more. */
		m->rotated_at = LONG_AGO;
		say_answer(m, v, a, "");
		(void)buf_append_str(&m->report.text, " It is asked once more in a minute.");
		m->not_before = now.boot + GRANT_AGAIN;
		demand(m);
		return;
	}
	say_answer(m, v, a,
	    grant && m->intent == INTENT_INTERRUPTED
		? " A refresh was interrupted before: the server had probably replaced the token, "
		  "and its answer never arrived."
		: "");
	m->intent = INTENT_NONE;
	m->not_before = now.boot + ANSWERED_MIN;
	enter(m, v->class == ANSWER_NEEDS_USER ? NEEDS_AUTHORIZATION : CLIENT_ERROR);
	if (a->facts.local)
		m->probe_at = now.boot + LOCAL_AGAIN;
	else if (v->class == ANSWER_CLIENT)
		m->probe_at = now.boot + CLIENT_AGAIN + jitter(m, CLIENT_AGAIN / 10);
	write_soon(m, now, WRITE_PLAIN);
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
		(void)vault_drop(ret->access);
		(void)vault_drop(ret->refresh);
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
	vault_replace(&m->access, TAKE_PTR(in->access));
	m->access_state = ACCESS_UNUSED;
	m->life = (int64_t)life * SECOND;
	m->expires = asked_at + m->life;
	if (in->scope != NULL) {
		free(m->scope);
		m->scope = TAKE_PTR(in->scope);
	}
	m->failures = m->equal = 0;
	m->last_failure = 0;
	m->intent = INTENT_NONE;
	m->refreshed_wall = now.wall;
	plan_refresh(m);
	plan_idle(m, now.boot);
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

	drop_access(m);
	(void)buf_printf(&words, "%s %s%s", before, what, behind);
	answer_judge_words(buf_str(&words), &m->whose, &v);
	say_verdict(m, &v, buf_str(&words));
	enter(m, v.class == ANSWER_NEEDS_USER ? NEEDS_AUTHORIZATION : CLIENT_ERROR);
	if (v.class != ANSWER_NEEDS_USER)
		m->probe_at = now.boot + CLIENT_AGAIN;
}

static void
succeed(struct machine *m, struct machine_now now, const struct machine_answer *a)
{
	bool rotated = !m->unattended && is_new_refresh_token(m, a);
	struct incoming in;

	if (prepare(m, a, &in) < 0) {
		if (!m->unattended)
			m->intent = INTENT_INTERRUPTED;
		/* The new refresh token is lost to us; the one before still is what we have. */
		say(m, "Memory ran out while a token was received.",
		    "Nothing to do: it is tried again by itself.");
		back_off(m, now, true, 1, 0);
		return;
	}
	/* The refresh token that was sent has worked: what was before it is of no more use. */
	if (!m->unattended)
		vault_replace(&m->previous, NULL);
	if (rotated) {
		m->previous = m->refresh;
		m->refresh = TAKE_PTR(in.refresh);
		m->rotated_at = now.boot;
	}
	(void)vault_drop(in.refresh);
	if (!m->unattended)
		note_refresh_end(m, now, a, rotated);
	take_access(m, now, a, &in, m->asked_at);
	free(in.scope);
	m->not_before = now.boot;
	if (m->standing != ACTIVE)
		enter(m, ACTIVE);
	say_nothing(m);
	m->changed = true;
	if (m->refreshing == REFRESH_OUTDATED)
		drop_access(m);
	if (a->lacking != NULL)
		refuse_token(m, now, "The authorization server does not grant the scope",
		    a->lacking, " any more.");
	else if (a->misdirected != NULL)
		refuse_token(m, now, "The access token is meant for", a->misdirected,
		    ", which is not what the account's audience names.");
	write_soon(m, now, rotated ? WRITE_ROTATED : WRITE_ACCESS);
}

bool
machine_answer(
    struct machine *m, struct machine_now now, uint64_t request, const struct machine_answer *a)
{
	struct answer_verdict v;

	if (m->request == 0 || request != m->request)
		return false;
	m->request = 0;
	answer_judge(&a->facts, &m->whose, &v);
	if (v.class == ANSWER_GOOD && a->access_token != NULL) {
		succeed(m, now, a);
	} else if (m->refreshing == REFRESH_OUTDATED) {
		m->not_before = now.boot + (a->facts.status != 0 ? ANSWERED_MIN : BACKOFF_FIRST);
		if (!m->unattended && !a->unsent && a->facts.fault != NULL)
			m->intent = INTENT_INTERRUPTED;
		demand(m);
	} else if (v.class == ANSWER_NEEDS_USER || v.class == ANSWER_CLIENT) {
		fail_for_good(m, now, &v, a);
	} else {
		fail_transient(m, now, &v, a);
	}
	refresh_to(m, REFRESH_NONE);
	settle(m, now);
	return true;
}

int
machine_adopt(struct machine *m, struct machine_now now, const struct machine_answer *a)
{
	struct incoming in;

	if (prepare(m, a, &in) < 0)
		return -ENOMEM;
	m->request = 0;
	m->due = DUE_NOTHING;
	refresh_to(m, REFRESH_NONE);
	vault_replace(&m->previous, NULL);
	vault_replace(&m->refresh, TAKE_PTR(in.refresh));
	free(m->scope);
	m->scope = NULL;
	take_access(m, now, a, &in, now.boot);
	free(in.scope);
	m->authorized_wall = now.wall;
	note_refresh_end(m, now, a, true);
	m->refresh_life = a->has_refresh_life ? bounded_refresh_life(a) : 0;
	m->rotated_at = now.boot;
	m->not_before = now.boot;
	enter(m, ACTIVE);
	say_nothing(m);
	write_soon(m, now, WRITE_ROTATED);
	settle(m, now);
	return 0;
}

/* ---- other events ---- */

void
machine_tick(struct machine *m, struct machine_now now)
{
	if (is_refused_client(m) && now.boot >= m->probe_at) {
		m->due = DUE_PROBE;
		m->probe_at = MACHINE_NEVER;
	}
	if ((m->due != DUE_NOTHING || now.boot >= m->idle_at) && can_ask(m, now))
		begin(m, now);
	settle(m, now);
}

void
machine_renew(struct machine *m, struct machine_now now)
{
	m->generation++;
	if (m->refreshing == REFRESH_SENT)
		refresh_to(m, REFRESH_OUTDATED);
	drop_access(m);
	m->not_before = now.boot;
	m->equal = m->failures = 0;
	if (is_refused_client(m))
		enter(m, ACTIVE);
	if (m->standing == ACTIVE)
		say_nothing(m);
	if (m->writing == WRITE_NONE && m->refresh != NULL)
		write_soon(m, now, WRITE_PLAIN);
	settle(m, now);
}

void
machine_suspend(struct machine *m, struct machine_now now, bool suspended)
{
	if (m->suspended == suspended)
		return;
	m->suspended = suspended;
	m->changed = true;
	settle(m, now);
}

int
machine_wipe(struct machine *m, struct machine_now now)
{
	if (m->refreshing != REFRESH_NONE)
		return -EBUSY;
	vault_replace(&m->refresh, NULL);
	vault_replace(&m->previous, NULL);
	drop_access(m);
	free(m->scope);
	m->scope = NULL;
	m->refreshed_wall = m->authorized_wall = 0;
	m->refresh_ends_wall = m->refresh_life = 0;
	m->intent = INTENT_NONE;
	m->due = DUE_NOTHING;
	m->idle_at = m->probe_at = MACHINE_NEVER;
	m->generation++;
	say_nothing(m);
	enter(m, m->unattended ? ACTIVE : EMPTY);
	m->writing = WRITE_NONE;
	settle(m, now);
	return 0;
}

/* Somebody wants it tried: the rest after a refusal is cut short. */
static void
ask_soon(struct machine *m, struct machine_now now)
{
	m->not_before = min64(m->not_before, max64(now.boot, m->asked_at + PROBED_MIN));
}

void
machine_probe(struct machine *m, struct machine_now now)
{
	if (!has_grant(m) || m->refreshing != REFRESH_NONE)
		return;
	ask_soon(m, now);
	if (m->standing != ACTIVE)
		m->due = DUE_PROBE;
	else if (m->failures > 0)
		demand(m);
	machine_tick(m, now);
}

void
machine_client_refused(
    struct machine *m, struct machine_now now, const struct answer_facts *f, const char *account)
{
	struct buf words CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct answer_verdict v;

	if (m->standing != ACTIVE || m->refreshing != REFRESH_NONE)
		return;
	answer_judge(f, &m->whose, &v);
	answer_words(f, &words);
	(void)buf_printf(
	    &words, " So it answered account \"%s\", which has the same client.", account);
	say_verdict(m, &v, buf_str(&words));
	enter(m, REFUSED_ELSEWHERE);
	m->probe_at = now.boot + CLIENT_AGAIN + jitter(m, CLIENT_AGAIN / 10);
	settle(m, now);
}

void
machine_client_accepted(struct machine *m, struct machine_now now)
{
	if (m->standing == REFUSED_ELSEWHERE)
		machine_reconsider(m, now);
}

void
machine_reconsider(struct machine *m, struct machine_now now)
{
	if (!is_refused_client(m) || m->refreshing != REFRESH_NONE)
		return;
	ask_soon(m, now);
	say_nothing(m);
	enter(m, ACTIVE);
	settle(m, now);
}

void
machine_clock_jumped(struct machine *m)
{
	if (m->access != NULL && m->writing == WRITE_NONE && !m->unattended) {
		m->writing = WRITE_PLAIN;
		m->write_at = LONG_AGO;
	}
}

void
machine_set_min_valid(struct machine *m, uint64_t seconds)
{
	m->min_valid = (int64_t)(seconds > LIFE_MAX ? LIFE_MAX : seconds) * SECOND;
	if (m->access != NULL)
		plan_refresh(m);
}

/* ---- actions and views ---- */

struct machine_action
machine_next(struct machine *m, struct machine_now now)
{
	struct machine_action none = {.act = MACHINE_NOTHING};

	if (m->writing != WRITE_NONE && now.boot >= m->write_at)
		return (struct machine_action){.act = MACHINE_WRITE};
	if (m->refreshing == REFRESH_READY) {
		refresh_to(m, REFRESH_SENT);
		m->request = ++m->serial;
		m->asked_at = now.boot;
		return (struct machine_action){.act = MACHINE_ASK, .request = m->request};
	}
	for (size_t i = 0; i < m->waiting; i++) {
		struct token_waiter w = m->waiters[i];

		if (w.decision != UNDECIDED) {
			remove_waiter(m, i);
			return (struct machine_action){
			    .act = w.decision == GRANTED ? MACHINE_GRANT : MACHINE_REFUSE,
			    .waiter = w.id};
		}
	}
	if (m->changed) {
		m->changed = false;
		return (struct machine_action){.act = MACHINE_CHANGED};
	}
	return none;
}

int64_t
machine_deadline(const struct machine *m)
{
	int64_t at = m->writing != WRITE_NONE ? m->write_at : MACHINE_NEVER, ask = MACHINE_NEVER;

	if (m->suspended || m->refreshing != REFRESH_NONE || !has_grant(m) || is_writing_answer(m))
		return at;
	if (is_refused_client(m))
		at = min64(at, m->probe_at);
	if (m->standing != ACTIVE)
		return m->due == DUE_PROBE ? min64(at, m->not_before) : at;
	if (m->due != DUE_NOTHING)
		ask = m->not_before;
	if (m->access_state == ACCESS_USED)
		ask = min64(ask, max64(m->refresh_at, m->not_before));
	if (m->idle_at != MACHINE_NEVER)
		ask = min64(ask, max64(m->idle_at, m->not_before));
	return min64(at, ask);
}

enum machine_state
machine_state(const struct machine *m)
{
	return m->refreshing != REFRESH_NONE ? MACHINE_REFRESHING : machine_standing(m);
}

enum machine_state
machine_standing(const struct machine *m)
{
	static const enum machine_state states[] = {[EMPTY] = MACHINE_EMPTY,
	    [ACTIVE] = MACHINE_ACTIVE,
	    [NEEDS_AUTHORIZATION] = MACHINE_NEEDS_AUTHORIZATION,
	    [CLIENT_ERROR] = MACHINE_CLIENT_ERROR,
	    [REFUSED_ELSEWHERE] = MACHINE_CLIENT_ERROR};

	return states[m->standing];
}

bool
machine_is_unwritten(const struct machine *m)
{
	return m->writing == WRITE_ROTATED;
}

const struct machine_report *
machine_report(const struct machine *m)
{
	return &m->report;
}

int64_t
machine_retry_at(const struct machine *m, struct machine_now now)
{
	return m->standing == ACTIVE && m->not_before > now.boot ? to_wall(now, m->not_before) : 0;
}

int64_t
machine_expires_at(const struct machine *m, struct machine_now now)
{
	return m->access_state == ACCESS_NONE || m->access_state == ACCESS_REJECTED ||
		       m->expires <= now.boot
		   ? 0
		   : to_wall(now, m->expires);
}

int64_t
machine_authorized_at(const struct machine *m)
{
	return m->authorized_wall;
}

int64_t
machine_refresh_ends(const struct machine *m, int64_t *ret_life)
{
	*ret_life = m->refresh_life;
	return m->refresh_ends_wall;
}

int64_t
machine_refreshed_at(const struct machine *m)
{
	return m->refreshed_wall;
}

const char *
machine_scope(const struct machine *m)
{
	return m->scope;
}
