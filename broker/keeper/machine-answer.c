/*
 * machine-answer.c: what an answer of the token endpoint, or none, does to an account. See machine.h,
 * and machine.c for the order of writing and asking.
 *
 * After a failure: 5 s to 15 min with full jitter; at least 30 s where the server itself answered,
 * and 15 min from the fifth equal answer on (Microsoft blocks clients that repeat a failing
 * request: AADSTS50196); Retry-After where it is longer.
 */
#include "broker/keeper/machine-internal.h"

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

static void
say_facts(struct machine *m, enum answer_class c, const struct machine_answer *a)
{
	machine_say(m, "", "");
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
	machine_back_off(m, now, a->facts.status != 0, failure_hash(&a->facts), a->retry_after);
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

static void
lacks_scope(struct machine *m, struct machine_now now, const char *lacking)
{
	machine_drop_access(m);
	machine_say(m, "", "");
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
	machine_drop_access(m);
	machine_say(m, "", "");
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
		lacks_scope(m, now, a->lacking);
	else if (a->misdirected != NULL)
		is_misdirected(m, now, a->misdirected);
	machine_write_soon(m, now, WRITE_PAIR);
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
