/*
 * machine.c: see machine.h.
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
 * After a failure: 5 s to 15 min with full jitter; at least 30 s where the server itself answered,
 * and 15 min from the fifth equal answer on (Microsoft blocks clients that repeat a failing
 * request: AADSTS50196); Retry-After where it is longer.
 *
 * An unattended machine (machine_set_unattended) has nothing to rotate: it asks at once and writes
 * nothing.
 *
 * Only machine_enter changes the standing.
 */
#include "broker/keeper/machine.h"

#include <errno.h>
#include <string.h>

enum {
	SECOND = 1000,
	MARGIN_MIN = 90 * SECOND,
	WANT_MIN = 10 * SECOND,    /* a token must live long enough to be used at all */
	LIFE_ABSENT = 300,         /* seconds, where the server does not tell */
	LIFE_MAX = 30 * 24 * 3600, /* seconds */
	BACKOFF_FIRST = 5 * SECOND,
	BACKOFF_MAX = 900 * SECOND,
	ANSWERED_MIN = 30 * SECOND, /* between two requests of which the first was refused */
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
	TEXT_MAX = 1000,
};

enum writing { WRITE_NONE, WRITE_PLAIN, WRITE_INTENT, WRITE_PAIR };

struct waiter {
	uint64_t id;
	int64_t min_valid; /* ms */
	bool decided, granted;
};

struct machine {
	char *account;
	struct vault *vault;
	uint32_t (*random)(void *arg);
	void *random_arg;

	enum machine_state standing;
	uint64_t generation;
	bool suspended, unattended;

	struct sealed *refresh, *previous, *access;
	char *scope;
	int64_t life, expires;       /* of the access token: ms; ms of the boot clock */
	int64_t refresh_at, idle_at; /* ms of the boot clock */
	int64_t refreshed_wall, authorized_wall;
	int64_t min_valid; /* ms */
	bool rejected;     /* a server refused the access token */
	bool unwritten;    /* a refresh token that is in memory alone */
	bool used;         /* somebody wanted the access token */

	bool refreshing, ask_now;
	bool stale;       /* the request in flight is of an older generation */
	bool interrupted; /* a request may have reached the server, and no answer came */
	bool intent_on_disk;
	uint64_t request, serial;
	int64_t asked_at;
	int64_t forced_at; /* last refresh for a rejected token */
	int64_t rotated_at;
	bool grant_again; /* invalid_grant came once, right after a rotation */

	unsigned failures, equal;
	uint64_t last_failure; /* a hash: equal failures are told by it */
	int64_t not_before;
	bool demand; /* somebody was sent away: try by itself */
	bool probing;
	int64_t probe_at; /* when a refused client is tried again */

	enum writing writing;
	unsigned write_failures;
	int64_t write_at;

	struct waiter *waiters;
	size_t waiting, room;
	bool changed;
	struct buf text, next;
};

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
		free(m->account);
		free(m->scope);
		free(m->waiters);
		free(m);
	}
	return NULL;
}

/* ---- small helpers ---- */

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

/* A number from 0 to `range`. */
static int64_t
jitter(struct machine *m, int64_t range)
{
	return range <= 0
		   ? 0
		   : (int64_t)((double)range * ((double)m->random(m->random_arg) / UINT32_MAX));
}

static void
machine_enter(struct machine *m, enum machine_state standing)
{
	m->standing = standing;
	m->changed = true;
}

static void
say_nothing(struct machine *m)
{
	if (m->text.len > 0)
		m->changed = true;
	buf_clear(&m->text);
	buf_clear(&m->next);
}

static void
say(struct machine *m, const char *text, const char *next)
{
	m->changed = true;
	buf_clear(&m->text);
	buf_clear(&m->next);
	(void)buf_append_str(&m->text, text);
	(void)buf_append_str(&m->next, next);
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

static void
drop_access(struct machine *m)
{
	sealed_replace(&m->access, NULL);
	m->rejected = false;
	m->refresh_at = MACHINE_NEVER;
}

/* When the access token is to be refreshed ahead of its end. */
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
write_now(struct machine *m, struct machine_now now, enum writing what)
{
	if (m->unattended)
		return;
	m->writing = what;
	m->write_at = now.boot;
	m->write_failures = 0;
}

/* ---- what it holds ---- */

void
machine_set_unattended(struct machine *m, bool unattended)
{
	if (unattended == m->unattended)
		return;
	m->unattended = unattended;
	m->idle_at = MACHINE_NEVER;
	say_nothing(m);
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
	plan_refresh(m);
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
	if (m->unattended)
		return 0;
	load_access(m, now, c);
	machine_enter(m, MACHINE_ACTIVE);
	if (c->condition == CREDENTIAL_NEEDS_AUTHORIZATION)
		machine_enter(m, MACHINE_NEEDS_AUTHORIZATION);
	else if (c->condition == CREDENTIAL_CLIENT_ERROR)
		machine_enter(m, MACHINE_CLIENT_ERROR);
	if (m->standing != MACHINE_ACTIVE) {
		say(m, c->condition_text == NULL ? "" : c->condition_text, "");
		if (m->standing == MACHINE_NEEDS_AUTHORIZATION)
			(void)buf_printf(&m->next, "Sign in again: frank authorize %s", m->account);
		else
			(void)buf_append_str(&m->next,
			    "Check client-id, the client secret and scopes, then: frank reload");
	}
	/* Somebody may have restarted because it is mended. */
	if (m->standing == MACHINE_CLIENT_ERROR)
		m->probe_at = now.boot + jitter(m, INTERRUPTED_CHECK);
	idle_for = max64(now.wall - max64(m->refreshed_wall, m->authorized_wall), 0);
	plan_idle(m, now.boot - min64(idle_for, IDLE_REFRESH) * SECOND);
	m->idle_at = max64(m->idle_at, now.boot + jitter(m, IDLE_SPREAD));
	if (c->intent != 0) {
		m->intent_on_disk = m->interrupted = true;
		m->idle_at = now.boot + jitter(m, INTERRUPTED_CHECK);
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
	if (m->unattended)
		return 0;
	c->intent = bears_intent(m);
	if (m->standing == MACHINE_NEEDS_AUTHORIZATION)
		c->condition = CREDENTIAL_NEEDS_AUTHORIZATION;
	else if (m->standing == MACHINE_CLIENT_ERROR)
		c->condition = CREDENTIAL_CLIENT_ERROR;
	if (c->condition != CREDENTIAL_FINE &&
	    (c->condition_text = strdup(buf_str(&m->text))) == NULL)
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
		write_now(m, now, WRITE_INTENT);
}

/* Decides what can be decided for those who wait; begins a refresh where one is needed. */
static void
settle(struct machine *m, struct machine_now now)
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

/* ---- answers ---- */

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

static void
say_facts(struct machine *m, enum answer_class c, const struct machine_answer *a)
{
	say(m, "", "");
	classify_text(&a->facts, NULL, &m->text);
	classify_next(c, &a->facts, m->account, &m->next);
	if (c != ANSWER_TRANSIENT && a->skew >= SKEW_TELLING)
		(void)buf_printf(&m->text,
		    " This machine's clock and the server's differ by %llu seconds.",
		    (unsigned long long)a->skew);
}

static void
fail_transient(struct machine *m, struct machine_now now, const struct machine_answer *a)
{
	/* A fault may have struck before or after the server took the refresh token. */
	if (!m->unattended && !a->unsent && (a->facts.fault != NULL || a->facts.status >= 500))
		m->interrupted = true;
	if (m->standing == MACHINE_ACTIVE)
		say_facts(m, ANSWER_TRANSIENT, a);
	else if (m->standing == MACHINE_CLIENT_ERROR)
		m->probe_at = now.boot + CLIENT_AGAIN;
	back_off(m, now, a->facts.status != 0, failure_hash(&a->facts), a->retry_after);
}

static void
fail_for_good(
    struct machine *m, struct machine_now now, enum answer_class c, const struct machine_answer *a)
{
	bool grant = a->facts.error != NULL && strcmp(a->facts.error, "invalid_grant") == 0;

	if (grant && !m->unattended && !m->grant_again && now.boot - m->rotated_at < JUST_ROTATED) {
		/* A token that was just issued may not have reached every machine of the server. */
		m->grant_again = true;
		say_facts(m, ANSWER_TRANSIENT, a);
		m->not_before = now.boot + GRANT_AGAIN;
		m->demand = true;
		return;
	}
	say_facts(m, c, a);
	if (grant && m->interrupted)
		(void)buf_append_str(&m->text,
		    " A refresh was interrupted before: the server had probably replaced "
		    "the token, and its answer never arrived.");
	m->interrupted = m->intent_on_disk = false;
	m->not_before = now.boot + ANSWERED_MIN;
	machine_enter(
	    m, c == ANSWER_NEEDS_USER ? MACHINE_NEEDS_AUTHORIZATION : MACHINE_CLIENT_ERROR);
	if (a->facts.local)
		m->probe_at = now.boot + LOCAL_AGAIN;
	else if (c == ANSWER_CLIENT)
		m->probe_at = now.boot + CLIENT_AGAIN + jitter(m, CLIENT_AGAIN / 10);
	write_now(m, now, WRITE_PLAIN);
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
	plan_refresh(m);
	plan_idle(m, now.boot);
}

static bool
is_new_refresh_token(const struct machine *m, const struct machine_answer *a)
{
	CLEANUP_SECRET struct secret *present = vault_open(m->vault, m->refresh);

	return a->refresh_token != NULL && !secret_equal(present, a->refresh_token);
}

static void
lacks_scope(struct machine *m, struct machine_now now, const char *lacking)
{
	drop_access(m);
	say(m, "", "");
	(void)buf_printf(
	    &m->text, "The authorization server does not grant the scope %s any more.", lacking);
	if (m->unattended) {
		(void)buf_append_str(&m->next, "Let the provider's administrator grant it to the "
					       "application, or mend scopes.");
		machine_enter(m, MACHINE_CLIENT_ERROR);
		m->probe_at = now.boot + CLIENT_AGAIN;
		return;
	}
	(void)buf_printf(&m->next,
	    "Sign in again and leave every permission ticked: frank authorize %s", m->account);
	machine_enter(m, MACHINE_NEEDS_AUTHORIZATION);
}

static void
is_misdirected(struct machine *m, struct machine_now now, const char *audience)
{
	drop_access(m);
	say(m, "", "");
	(void)buf_printf(&m->text,
	    "The access token is meant for %s, which is not what the account's audience names.",
	    audience);
	(void)buf_append_str(&m->next,
	    "Check scopes in the account's block: they name another service than the mail server.");
	machine_enter(m, MACHINE_CLIENT_ERROR);
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
		say(m, "Memory ran out while a token was received.",
		    "Nothing to do: it is tried again by itself.");
		back_off(m, now, true, 1, 0);
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
	take_access(m, now, a, &in, m->asked_at);
	free(in.scope);
	m->not_before = now.boot;
	if (m->standing != MACHINE_ACTIVE)
		machine_enter(m, MACHINE_ACTIVE);
	say_nothing(m);
	m->changed = true;
	if (m->stale)
		drop_access(m);
	if (a->lacking != NULL)
		lacks_scope(m, now, a->lacking);
	else if (a->misdirected != NULL)
		is_misdirected(m, now, a->misdirected);
	write_now(m, now, WRITE_PAIR);
}

bool
machine_answer(
    struct machine *m, struct machine_now now, uint64_t request, const struct machine_answer *a)
{
	enum answer_class c;

	if (m->request == 0 || request != m->request)
		return false;
	m->request = 0;
	m->refreshing = false;
	c = m->unattended ? classify_unattended(&a->facts) : classify_refresh(&a->facts);
	if (c == ANSWER_GOOD && a->access_token != NULL) {
		succeed(m, now, a);
	} else if (m->stale) {
		m->not_before = now.boot + (a->facts.status != 0 ? ANSWERED_MIN : BACKOFF_FIRST);
		m->interrupted |= !m->unattended && !a->unsent && a->facts.fault != NULL;
		m->demand = true;
	} else if (c == ANSWER_NEEDS_USER || c == ANSWER_CLIENT) {
		fail_for_good(m, now, c, a);
	} else {
		fail_transient(m, now, a);
	}
	m->stale = false;
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
	m->refreshing = m->ask_now = m->stale = m->probing = m->demand = false;
	sealed_replace(&m->previous, NULL);
	sealed_replace(&m->refresh, TAKE_PTR(in.refresh));
	free(m->scope);
	m->scope = NULL;
	take_access(m, now, a, &in, now.boot);
	free(in.scope);
	m->authorized_wall = now.wall;
	m->rotated_at = now.boot;
	m->not_before = now.boot;
	m->unwritten = true;
	machine_enter(m, MACHINE_ACTIVE);
	say_nothing(m);
	write_now(m, now, WRITE_PAIR);
	settle(m, now);
	return 0;
}

/* ---- writing ---- */

static void
say_write_failed(struct machine *m, int error)
{
	say(m, "", "");
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
			say_nothing(m);
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
		back_off(m, now, false, 2, 0);
	} else {
		m->write_at = now.boot + min64(WRITE_AGAIN_MAX,
					     (int64_t)WRITE_AGAIN << min64(m->write_failures, 10));
		m->write_failures++;
		if (what == WRITE_PAIR)
			say_write_failed(m, error);
	}
	settle(m, now);
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
	settle(m, now);
}

void
machine_renew(struct machine *m, struct machine_now now)
{
	m->generation++;
	m->stale = m->refreshing;
	drop_access(m);
	m->not_before = now.boot;
	m->equal = m->failures = 0;
	if (m->standing == MACHINE_CLIENT_ERROR)
		machine_enter(m, MACHINE_ACTIVE);
	if (m->standing == MACHINE_ACTIVE)
		say_nothing(m);
	if (m->writing == WRITE_NONE && m->refresh != NULL)
		write_now(m, now, WRITE_PLAIN);
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
	if (m->refreshing)
		return -EBUSY;
	sealed_replace(&m->refresh, NULL);
	sealed_replace(&m->previous, NULL);
	drop_access(m);
	free(m->scope);
	m->scope = NULL;
	m->refreshed_wall = m->authorized_wall = 0;
	m->interrupted = m->intent_on_disk = m->unwritten = m->demand = m->probing = false;
	m->idle_at = m->probe_at = MACHINE_NEVER;
	m->generation++;
	say_nothing(m);
	machine_enter(m, m->unattended ? MACHINE_ACTIVE : MACHINE_EMPTY);
	m->writing = WRITE_NONE;
	settle(m, now);
	return 0;
}

void
machine_probe(struct machine *m, struct machine_now now)
{
	if ((m->refresh == NULL && !m->unattended) || m->refreshing)
		return;
	m->not_before = min64(m->not_before, max64(now.boot, m->asked_at + ANSWERED_MIN));
	if (m->standing == MACHINE_ACTIVE)
		m->demand = m->demand || m->failures > 0;
	else
		m->probing = true;
	machine_tick(m, now);
}

void
machine_client_refused(
    struct machine *m, struct machine_now now, const char *text, const char *next)
{
	if (m->standing != MACHINE_ACTIVE || m->refreshing)
		return;
	say(m, text, next);
	machine_enter(m, MACHINE_CLIENT_ERROR);
	settle(m, now);
}

void
machine_client_accepted(struct machine *m, struct machine_now now)
{
	if (m->standing != MACHINE_CLIENT_ERROR || m->refreshing)
		return;
	say_nothing(m);
	machine_enter(m, MACHINE_ACTIVE);
	settle(m, now);
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
		plan_refresh(m);
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
machine_refreshed_at(const struct machine *m)
{
	return m->refreshed_wall;
}

const char *
machine_scope(const struct machine *m)
{
	return m->scope;
}
