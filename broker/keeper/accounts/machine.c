/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * machine.c: see machine.h; what an answer of the server does is in machine-answer.c.
 *
 * Rotation, the only place where a crash can cost a person's consent:
 *
 *   begin     the credential with intent = 1 is written; it is complete, with the refresh token
 *             that is about to be sent
 *   written   ask
 *   answer    the new refresh token, with the one before as previous_token and intent = 0, is
 *             written
 *   written   only now the access token is given away
 *
 * A crash before the second write leaves an intent on disk. The refresh token in it may have been
 * used up; it is tried, and if the server refuses it the text says what happened. Where the second
 * write fails the tokens stay in memory and it is repeated until it succeeds. Where the first fails
 * nothing is asked: what cannot be stored must not be rotated.
 *
 * When to refresh: min(max(90 s, 10 % of life), half of life) before the end, a tenth more or less,
 * if the token was used since it came; else when somebody asks; and once a week, so that the
 * refresh token does not die of idleness. What a caller demands is capped at half of life as well,
 * so that very short tokens work.
 *
 * An unattended machine (machine_set_unattended) has nothing to rotate: it asks at once and writes
 * nothing.
 *
 * Only machine_enter changes the standing.
 */
#include "broker/keeper/accounts/machine-internal.h"

#include <errno.h>
#include <string.h>

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
	m->forced_at = m->rotated_at = INT64_MIN / 2;
	m->not_before = INT64_MIN / 2;
	buf_init(&m->text, TEXT_MAX);
	buf_init(&m->next, TEXT_MAX);
	buf_init(&m->words, TEXT_MAX);
	m->cause = m->fixer = "";
	m->whose.account = m->account;
	return m;
}

struct machine *
machine_free(struct machine *m)
{
	if (m != NULL) {
		(void)sealed_free(m->refresh);
		(void)sealed_free(m->previous);
		(void)sealed_free(m->access);
		buf_free(&m->text);
		buf_free(&m->next);
		buf_free(&m->words);
		free(m->account);
		free(m->scope);
		free(m->waiters);
		free(m);
	}
	return NULL;
}

/* ---- small helpers ---- */

int64_t
machine_jitter(struct machine *m, int64_t range)
{
	return range <= 0
		   ? 0
		   : (int64_t)((double)range * ((double)m->random(m->random_arg) / UINT32_MAX));
}

void
machine_enter(struct machine *m, enum machine_state standing)
{
	m->standing = standing;
	m->by_neighbour = false;
	m->changed = true;
}

void
machine_say_nothing(struct machine *m)
{
	if (m->text.len > 0)
		machine_say(m, "", "");
}

void
machine_say(struct machine *m, const char *text, const char *next)
{
	m->changed = true;
	buf_clear(&m->text);
	buf_clear(&m->next);
	buf_clear(&m->words);
	m->cause = m->fixer = "";
	(void)buf_append_str(&m->text, text);
	(void)buf_append_str(&m->next, next);
}

void
machine_say_verdict(struct machine *m, const struct answer_verdict *v, const char *words)
{
	machine_say(m, v->d.text, v->d.next);
	m->cause = v->d.cause;
	m->fixer = v->d.fixer;
	if (*words == '\0')
		return;
	(void)buf_append_str(&m->words, words);
	(void)buf_printf(&m->text, "%s%s", m->text.len > 0 ? " " : "", words);
}

/* Is there an access token that may be given away? */
static bool
usable(const struct machine *m, struct machine_now now)
{
	return m->access != NULL && !m->rejected && !m->unwritten && !m->suspended &&
	       m->expires > now.boot;
}

static bool
can_ask(const struct machine *m, struct machine_now now)
{
	return (m->refresh != NULL || m->unattended) && !m->suspended && !m->refreshing &&
	       m->writing != WRITE_PAIR && now.boot >= m->not_before &&
	       (m->standing == MACHINE_ACTIVE || (m->probing && m->standing != MACHINE_EMPTY));
}

void
machine_drop_access(struct machine *m)
{
	sealed_replace(&m->access, NULL);
	m->rejected = false;
	m->refresh_at = MACHINE_NEVER;
}

void
machine_plan_refresh(struct machine *m)
{
	int64_t margin = max64(max64(MARGIN_MIN, m->life / 10), m->min_valid);

	margin = min64(margin, m->life / 2);
	margin = margin - margin / 10 + machine_jitter(m, margin / 5);
	m->refresh_at = m->expires - margin;
}

void
machine_plan_idle(struct machine *m, int64_t from)
{
	int64_t span = (int64_t)IDLE_REFRESH * SECOND;

	if (m->unattended) {
		m->idle_at = MACHINE_NEVER; /* nothing dies of idleness */
		return;
	}
	m->idle_at = from + span - machine_jitter(m, span / 10);
}

void
machine_write_soon(struct machine *m, struct machine_now now, enum writing what)
{
	if (m->unattended)
		return;
	m->writing = what;
	m->write_at = now.boot;
	m->write_failures = 0;
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
	machine_say_nothing(m);
	machine_enter(m, unattended || m->refresh != NULL ? MACHINE_ACTIVE : MACHINE_EMPTY);
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
	m->life = (expires - obtained) * SECOND;
	m->expires = now.boot + left * SECOND;
	machine_plan_refresh(m);
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
		diagnosis_step(m->standing == MACHINE_NEEDS_AUTHORIZATION
				   ? "{sign-in}"
				   : "Frank looks at it again; at once where you {retry}.",
		    &m->whose, v.d.next, sizeof(v.d.next));
	machine_say_verdict(m, &v, words);
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
	machine_enter(m, MACHINE_ACTIVE);
	if (c->condition == CREDENTIAL_NEEDS_AUTHORIZATION)
		machine_enter(m, MACHINE_NEEDS_AUTHORIZATION);
	else if (c->condition == CREDENTIAL_CLIENT_ERROR)
		machine_enter(m, MACHINE_CLIENT_ERROR);
	if (m->standing != MACHINE_ACTIVE)
		say_condition(m, c->condition_text == NULL ? "" : c->condition_text);
	/* Somebody may have restarted because it is mended. */
	if (m->standing == MACHINE_CLIENT_ERROR)
		m->probe_at = now.boot + machine_jitter(m, INTERRUPTED_CHECK);
	idle_for = max64(now.wall - max64(m->refreshed_wall, m->authorized_wall), 0);
	machine_plan_idle(m, now.boot - min64(idle_for, IDLE_REFRESH) * SECOND);
	m->idle_at = max64(m->idle_at, now.boot + machine_jitter(m, IDLE_SPREAD));
	if (c->intent != 0) {
		m->intent_on_disk = m->interrupted = true;
		m->idle_at = now.boot + machine_jitter(m, INTERRUPTED_CHECK);
	}
	return 0;
}

/* Does a record that is written now say that a refresh was begun? */
static bool
bears_intent(const struct machine *m)
{
	if (m->writing == WRITE_INTENT || m->writing == WRITE_PAIR)
		return m->writing == WRITE_INTENT;
	return m->interrupted || m->refreshing || m->intent_on_disk;
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
	    fill_secret(m, m->rejected || m->unattended ? NULL : m->access, &c->access_token) < 0)
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
	if (m->standing == MACHINE_NEEDS_AUTHORIZATION)
		c->condition = CREDENTIAL_NEEDS_AUTHORIZATION;
	else if (m->standing == MACHINE_CLIENT_ERROR)
		c->condition = CREDENTIAL_CLIENT_ERROR;
	if (c->condition != CREDENTIAL_FINE &&
	    (c->condition_text = strdup(buf_str(m->words.len > 0 ? &m->words : &m->text))) == NULL)
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
	m->refreshing = true;
	m->stale = false;
	m->demand = m->probing = false;
	if (m->rejected)
		m->forced_at = now.boot;
	if (m->unattended || (m->intent_on_disk && m->writing == WRITE_NONE))
		m->ask_now = true; /* the record says already what is about to happen */
	else
		machine_write_soon(m, now, WRITE_INTENT);
}

void
machine_settle(struct machine *m, struct machine_now now)
{
	for (size_t i = 0; i < m->waiting; i++) {
		struct waiter *w = &m->waiters[i];
		int64_t want = min64(max64(w->min_valid, WANT_MIN), m->life / 2);

		if (w->decided)
			continue;
		if (usable(m, now) && m->expires - now.boot >= want) {
			w->granted = true;
		} else if (m->suspended) {
			w->granted = false;
		} else if (m->refreshing || (m->writing == WRITE_PAIR && m->write_failures == 0)) {
			continue;
		} else if (can_ask(m, now)) {
			begin(m, now);
			continue;
		} else {
			w->granted = usable(m, now);
			if (!w->granted)
				m->demand = true;
		}
		w->decided = true;
	}
	if (m->used && m->access != NULL && !m->rejected && now.boot >= m->refresh_at &&
	    can_ask(m, now))
		begin(m, now);
}

/* A server refused the token of this generation. */
static void
reject(struct machine *m)
{
	if (m->access == NULL || m->rejected)
		return;
	m->rejected = true;
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
		struct waiter *more = reallocarray(m->waiters, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		m->waiters = more;
		m->room = room;
	}
	if (rejected != 0 && rejected == m->generation)
		reject(m);
	m->waiters[m->waiting++] = (struct waiter){.id = waiter,
	    .min_valid = (int64_t)(min_valid > LIFE_MAX ? LIFE_MAX : min_valid) * SECOND};
	m->used = true;
	machine_settle(m, now);
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
	machine_say(m, "", "");
	(void)buf_printf(&m->text, "The token store cannot be written: %s.%s", strerror(-error),
	    m->unwritten ? " A new refresh token is in memory only." : "");
	(void)buf_append_str(&m->next,
	    m->unwritten ? "Mend the disk before Frank is stopped: it keeps trying to write."
			 : "Mend the disk: it is tried again by itself.");
}

void
machine_written(struct machine *m, struct machine_now now, int error)
{
	enum writing what = m->writing;

	if (error == 0) {
		if (m->write_failures > 0 && m->standing == MACHINE_ACTIVE)
			machine_say_nothing(m);
		m->intent_on_disk = bears_intent(m);
		m->writing = WRITE_NONE;
		m->write_failures = 0;
		if (what == WRITE_PAIR)
			m->unwritten = m->demand = false;
		else if (what == WRITE_INTENT)
			m->ask_now = true;
	} else if (what == WRITE_INTENT) {
		m->writing = WRITE_NONE;
		m->refreshing = false;
		say_write_failed(m, error);
		machine_back_off(m, now, false, 2, 0);
	} else {
		m->write_at = now.boot + min64(WRITE_AGAIN_MAX,
					     (int64_t)WRITE_AGAIN << min64(m->write_failures, 10));
		m->write_failures++;
		if (what == WRITE_PAIR)
			say_write_failed(m, error);
	}
	machine_settle(m, now);
}

/* ---- other events ---- */

void
machine_tick(struct machine *m, struct machine_now now)
{
	bool due;

	if (m->standing == MACHINE_CLIENT_ERROR && now.boot >= m->probe_at) {
		m->probing = true;
		m->probe_at = MACHINE_NEVER;
	}
	due = m->demand || m->probing || now.boot >= m->idle_at;

	if (due && can_ask(m, now))
		begin(m, now);
	machine_settle(m, now);
}

void
machine_renew(struct machine *m, struct machine_now now)
{
	m->generation++;
	m->stale = m->refreshing;
	machine_drop_access(m);
	m->not_before = now.boot;
	m->equal = m->failures = 0;
	if (m->standing == MACHINE_CLIENT_ERROR)
		machine_enter(m, MACHINE_ACTIVE);
	if (m->standing == MACHINE_ACTIVE)
		machine_say_nothing(m);
	if (m->writing == WRITE_NONE && m->refresh != NULL)
		machine_write_soon(m, now, WRITE_PLAIN);
	machine_settle(m, now);
}

void
machine_suspend(struct machine *m, struct machine_now now, bool suspended)
{
	if (m->suspended == suspended)
		return;
	m->suspended = suspended;
	m->changed = true;
	machine_settle(m, now);
}

int
machine_wipe(struct machine *m, struct machine_now now)
{
	if (m->refreshing)
		return -EBUSY;
	sealed_replace(&m->refresh, NULL);
	sealed_replace(&m->previous, NULL);
	machine_drop_access(m);
	free(m->scope);
	m->scope = NULL;
	m->refreshed_wall = m->authorized_wall = 0;
	m->refresh_ends_wall = m->refresh_life = 0;
	m->interrupted = m->intent_on_disk = m->unwritten = m->demand = m->probing = false;
	m->idle_at = m->probe_at = MACHINE_NEVER;
	m->generation++;
	machine_say_nothing(m);
	machine_enter(m, m->unattended ? MACHINE_ACTIVE : MACHINE_EMPTY);
	m->writing = WRITE_NONE;
	machine_settle(m, now);
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
	if ((m->refresh == NULL && !m->unattended) || m->refreshing)
		return;
	ask_soon(m, now);
	if (m->standing == MACHINE_ACTIVE)
		m->demand = m->demand || m->failures > 0;
	else
		m->probing = true;
	machine_tick(m, now);
}

void
machine_client_refused(
    struct machine *m, struct machine_now now, const struct answer_facts *f, const char *account)
{
	struct buf words CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct answer_verdict v;

	if (m->standing != MACHINE_ACTIVE || m->refreshing)
		return;
	answer_judge(f, &m->whose, &v);
	answer_words(f, &words);
	(void)buf_printf(
	    &words, " So it answered account \"%s\", which has the same client.", account);
	machine_say_verdict(m, &v, buf_str(&words));
	machine_enter(m, MACHINE_CLIENT_ERROR);
	m->by_neighbour = true;
	m->probe_at = now.boot + CLIENT_AGAIN + machine_jitter(m, CLIENT_AGAIN / 10);
	machine_settle(m, now);
}

void
machine_client_accepted(struct machine *m, struct machine_now now)
{
	if (m->by_neighbour)
		machine_reconsider(m, now);
}

void
machine_reconsider(struct machine *m, struct machine_now now)
{
	if (m->standing != MACHINE_CLIENT_ERROR || m->refreshing)
		return;
	ask_soon(m, now);
	machine_say_nothing(m);
	machine_enter(m, MACHINE_ACTIVE);
	machine_settle(m, now);
}

void
machine_clock_jumped(struct machine *m)
{
	if (m->access != NULL && m->writing == WRITE_NONE && !m->unattended) {
		m->writing = WRITE_PLAIN;
		m->write_at = INT64_MIN / 2;
	}
}

void
machine_set_min_valid(struct machine *m, uint64_t seconds)
{
	m->min_valid = (int64_t)(seconds > LIFE_MAX ? LIFE_MAX : seconds) * SECOND;
	if (m->access != NULL)
		machine_plan_refresh(m);
}

/* ---- actions and views ---- */

struct machine_action
machine_next(struct machine *m, struct machine_now now)
{
	struct machine_action none = {.act = MACHINE_NOTHING};

	if (m->writing != WRITE_NONE && now.boot >= m->write_at)
		return (struct machine_action){.act = MACHINE_WRITE};
	if (m->ask_now) {
		m->ask_now = false;
		m->request = ++m->serial;
		m->asked_at = now.boot;
		return (struct machine_action){.act = MACHINE_ASK, .request = m->request};
	}
	for (size_t i = 0; i < m->waiting; i++) {
		struct waiter w = m->waiters[i];

		if (w.decided) {
			remove_waiter(m, i);
			return (struct machine_action){
			    .act = w.granted ? MACHINE_GRANT : MACHINE_REFUSE, .waiter = w.id};
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

	if (m->suspended || m->refreshing || (m->refresh == NULL && !m->unattended) ||
	    m->writing == WRITE_PAIR)
		return at;
	if (m->standing == MACHINE_CLIENT_ERROR)
		at = min64(at, m->probe_at);
	if (m->standing != MACHINE_ACTIVE)
		return m->probing ? min64(at, m->not_before) : at;
	if (m->demand)
		ask = m->not_before;
	if (m->used && m->access != NULL && !m->rejected)
		ask = min64(ask, max64(m->refresh_at, m->not_before));
	if (m->idle_at != MACHINE_NEVER)
		ask = min64(ask, max64(m->idle_at, m->not_before));
	return min64(at, ask);
}

enum machine_state
machine_state(const struct machine *m)
{
	return m->refreshing ? MACHINE_REFRESHING : m->standing;
}

enum machine_state
machine_standing(const struct machine *m)
{
	return m->standing;
}

bool
machine_has_token(const struct machine *m, struct machine_now now)
{
	return usable(m, now);
}

bool
machine_is_unwritten(const struct machine *m)
{
	return m->unwritten;
}

const char *
machine_text(const struct machine *m)
{
	return buf_str(&m->text);
}

const char *
machine_next_step(const struct machine *m)
{
	return buf_str(&m->next);
}

const char *
machine_words(const struct machine *m)
{
	return buf_str(&m->words);
}

const char *
machine_cause(const struct machine *m)
{
	return m->cause;
}

const char *
machine_fixer(const struct machine *m)
{
	return m->fixer;
}

int64_t
machine_retry_at(const struct machine *m, struct machine_now now)
{
	return m->standing == MACHINE_ACTIVE && m->not_before > now.boot
		   ? to_wall(now, m->not_before)
		   : 0;
}

int64_t
machine_expires_at(const struct machine *m, struct machine_now now)
{
	return m->access == NULL || m->rejected || m->expires <= now.boot
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
