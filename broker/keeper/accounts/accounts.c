/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * accounts.c: see accounts.h.
 *
 * A server's answer about a client holds for every account that uses the same client. When the server
 * refuses the client, the other accounts stop asking; when it takes the client again, they ask again.
 */
#include "broker/keeper/accounts/accounts.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/text.h"
#include "broker/keeper/accounts/clock.h"
#include "broker/keeper/accounts/scope.h"
#include "broker/keeper/accounts/token-answer.h"

enum {
	CLOCK_JUMP = 30, /* seconds by which the clocks must part to count as set */
	TIMER_LONGEST =
	    3600 * 1000,        /* ms; libevent's clock stands still while the machine sleeps */
	SKEW_WORTH_SAYING = 60, /* seconds */
};

LIST_HEAD(account_list, account);

struct accounts {
	struct event_base *base;
	const struct file_ops *files;
	struct vault *vault;
	struct token_requests *requests;
	const struct accounts_ops *ops;
	struct account_ops account_ops;
	struct store *store; /* NULL: not open, for `trouble` */
	enum store_trouble trouble;
	struct account **items; /* sorted by name */
	size_t count;
	struct account_list
	    unlisted;         /* taken out of the configuration in the middle of a refresh */
	int64_t clock_offset; /* wall minus boot, in seconds; 0: not yet known */
};

size_t
accounts_count(const struct accounts *s)
{
	return s->count;
}

struct account *
accounts_at(const struct accounts *s, size_t i)
{
	return s->items[i];
}

static int
compare_name(const void *name, const void *a)
{
	return strcmp(name, (*(struct account *const *)a)->conf->name);
}

struct account *
accounts_find(const struct accounts *s, const char *name)
{
	struct account **found = s->count == 0 ? NULL
					       : bsearch(name, s->items, s->count,
						     sizeof(struct account *), compare_name);

	return found == NULL ? NULL : *found;
}

static struct account *
find_unlisted(const struct accounts *s, const char *name)
{
	struct account *a;

	LIST_FOREACH (a, &s->unlisted, unlisted)
		if (strcmp(a->conf->name, name) == 0)
			return a;
	return NULL;
}

struct account *
accounts_find_any(const struct accounts *s, const char *name)
{
	struct account *a = accounts_find(s, name);

	return a != NULL ? a : find_unlisted(s, name);
}

/* ---- the clock, and an account's turn ---- */

struct machine_now
accounts_now(struct accounts *s)
{
	struct machine_now now = clock_now();
	int64_t before = s->clock_offset;

	s->clock_offset = now.wall - now.boot / 1000;
	if (before != 0 && llabs(s->clock_offset - before) > CLOCK_JUMP) {
		for (size_t i = 0; i < s->count; i++)
			machine_clock_jumped(s->items[i]->machine);
		log_notice("The system's clock was set.");
	}
	return now;
}

/* Has it a refresh under way, or a refresh token that is in memory only? */
static bool
is_busy(const struct account *a)
{
	return machine_state(a->machine) == MACHINE_REFRESHING || machine_is_unwritten(a->machine);
}

static void
end_account(struct accounts *s, struct account *a)
{
	token_request_cancel(s->requests, a);
	if (a->timer != NULL)
		event_free(a->timer);
	(void)account_free(a);
}

/* Frees an unlisted account that has nothing under way any more. */
static void
end_unlisted(struct accounts *s, struct account *a)
{
	if (find_unlisted(s, a->conf->name) != a || is_busy(a))
		return;
	LIST_REMOVE(a, unlisted);
	end_account(s, a);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct account *a = arg;
	struct accounts *s = a->ops->arg;

	machine_tick(a->machine, accounts_now(s));
	accounts_run(s, a);
	end_unlisted(s, a);
	if (s->store != NULL)
		store_keep_spares(s->store);
}

static void
set_timer(struct accounts *s, struct account *a)
{
	int64_t at = machine_deadline(a->machine), now = accounts_now(s).boot;
	int64_t in = at <= now ? 0 : at - now;
	struct timeval t;

	if (at == MACHINE_NEVER) {
		if (a->timer != NULL)
			(void)evtimer_del(a->timer);
		return;
	}
	if (a->timer == NULL)
		a->timer = evtimer_new(s->base, on_timer, a);
	if (in > TIMER_LONGEST)
		in = TIMER_LONGEST;
	t = (struct timeval){.tv_sec = in / 1000, .tv_usec = in % 1000 * 1000};
	if (a->timer != NULL)
		(void)evtimer_add(a->timer, &t);
}

void
accounts_run(struct accounts *s, struct account *a)
{
	account_run(a);
	set_timer(s, a);
	if (s->store != NULL && store_ledger_error(s->store) != 0)
		log_warning("The ledger of the token store cannot be written; old copies of its "
			    "files may go unnoticed.");
}

static void
run_all(struct accounts *s)
{
	for (size_t i = 0; i < s->count; i++)
		accounts_run(s, s->items[i]);
}

/* ---- accounts with the same client ---- */

/* Both absent, or equal. Takes neither. */
static bool
same_secret(const struct secret *a, const struct secret *b)
{
	return a == NULL || b == NULL ? a == b : secret_equal(a, b);
}

static bool
same_proof(const struct account *a, const struct account *b)
{
	CLEANUP_SECRET struct secret *sa = account_client_secret(a), *sb = account_client_secret(b);
	CLEANUP_SECRET struct secret *ka = account_signing_key(a), *kb = account_signing_key(b);

	return same_secret(sa, sb) && same_secret(ka, kb);
}

/* Do both prove to the same server, in the same manner, that they are the same client? */
static bool
is_same_client(const struct account *a, const struct account *b)
{
	return grant_has_tokens(b->conf->grant) &&
	       text_same(a->conf->client_id, b->conf->client_id) &&
	       text_same(a->conf->token_endpoint, b->conf->token_endpoint) &&
	       text_same(a->conf->issuer, b->conf->issuer) &&
	       a->conf->client_auth == b->conf->client_auth && same_proof(a, b);
}

/* Lets the other accounts of the client know: `refused` is the server's answer, NULL where it takes
 * the client again. */
static void
spread_to_same_client(
    struct accounts *s, const struct account *a, const struct answer_facts *refused)
{
	struct machine_now now = accounts_now(s);

	for (size_t i = 0; i < s->count; i++) {
		struct account *b = s->items[i];

		if (b == a || !is_same_client(a, b))
			continue;
		if (refused == NULL)
			machine_client_accepted(b->machine, now);
		else
			machine_client_refused(b->machine, now, refused, a->conf->name);
		accounts_run(s, b);
	}
}

/* ---- refreshing ---- */

static void
log_skew(const struct account *a, const struct message *m)
{
	int64_t skew = m == NULL ? 0 : (int64_t)message_u64(m, F_SKEW, 0);

	if (skew > SKEW_WORTH_SAYING || skew < -SKEW_WORTH_SAYING)
		log_line(LOG_LEVEL_WARNING,
		    "This machine's clock and the authorization server's differ by more than a "
		    "minute.",
		    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}));
}

static void
take_answer(struct accounts *s, struct account *a, uint64_t request, const struct token_answer *t)
{
	enum machine_state before = machine_standing(a->machine), after;
	struct diagnosis_facts whose;
	struct answer_verdict v;

	account_conf_facts(a->conf, &whose);
	answer_judge(&t->answer.facts, &whose, &v);
	if (!machine_answer(a->machine, accounts_now(s), request, &t->answer))
		return;
	a->refreshes[v.class == ANSWER_GOOD        ? REFRESH_SUCCESS
		     : v.class == ANSWER_TRANSIENT ? REFRESH_FAILURE
						   : REFRESH_REFUSED]++;
	after = machine_standing(a->machine);
	accounts_run(s, a);
	if (v.d.whole_client && after == MACHINE_CLIENT_ERROR)
		spread_to_same_client(s, a, &t->answer.facts);
	else if (before == MACHINE_CLIENT_ERROR && after == MACHINE_ACTIVE)
		spread_to_same_client(s, a, NULL);
}

/* The outcome of the machine's request `tag`. */
static void
refreshed(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct account *a = arg;
	struct accounts *s = a->ops->arg;
	struct token_answer t;

	token_answer_read(answer, a->conf, &t);
	log_skew(a, answer->message);
	take_answer(s, a, tag, &t);
	token_answer_clear(&t);
	end_unlisted(s, a);
}

/* RFC 6749 section 6; without a person section 4.4.2, or RFC 7523 section 2.1, where the assertion
 * names the scopes. */
static const char *
put_grant(void *arg, uint64_t tag, struct message *m)
{
	const struct account *a = arg;
	const struct grant_row *grant = &grant_rows[a->conf->grant];
	CLEANUP_SECRET struct secret *token = NULL;
	struct buf scopes CLEANUP_BUF = BUF_INIT(8192);

	if (grant->request != NULL) {
		token_request_put_text(m, "grant_type", grant->request);
		if (grant->by == GRANT_BY_CLIENT)
			token_request_put_text(m, "scope", a->conf->scopes);
		return NULL;
	}
	token = machine_refresh_token(a->machine);
	token_request_put_text(m, "grant_type", "refresh_token");
	if (token != NULL)
		token_request_put(m, "refresh_token", secret_bytes(token), secret_len(token));
	if (scope_for_refresh(a->conf->scopes, &scopes) == 0 && scopes.len > 0)
		token_request_put(m, "scope", buf_str(&scopes), scopes.len);
	return NULL;
}

static void
ops_ask(void *arg, struct account *a, uint64_t request)
{
	static const struct token_request_ops refresh = {.fill = put_grant, .done = refreshed};
	struct accounts *s = arg;

	token_request_start(s->requests, a, M_TOKEN_REQUEST, NULL, &refresh, a, request);
}

static void
ops_decide(void *arg, struct account *a, uint64_t waiter, bool granted)
{
	const struct accounts *s = arg;

	s->ops->decide(s->ops->arg, a, waiter, granted);
}

static void
ops_changed(void *arg, struct account *a)
{
	const struct accounts *s = arg;

	s->ops->changed(s->ops->arg, a);
}

static struct machine_now
ops_now(void *arg)
{
	return accounts_now(arg);
}

static uint32_t
ops_random(void *arg)
{
	const struct accounts *s = arg;
	uint32_t r = 0;

	(void)s->files->random(s->files->arg, &r, sizeof(r));
	return r;
}

/* ---- store and configuration ---- */

void
accounts_use_store(struct accounts *s, struct store *store, enum store_trouble trouble)
{
	s->store = store;
	s->trouble = trouble;
}

static void
open_account(struct accounts *s, struct account *a)
{
	a->trouble = s->trouble;
	if (a->file == NULL && s->store != NULL && account_open(a, s->store) < 0)
		a->trouble = STORE_UNREADABLE;
}

void
accounts_open(struct accounts *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i]->file == NULL)
			open_account(s, s->items[i]);
	run_all(s);
	for (size_t i = 0; i < s->count; i++)
		s->ops->changed(s->ops->arg, s->items[i]);
}

int
accounts_reload(struct accounts *s, struct account *a)
{
	int r;

	s->ops->forget(s->ops->arg, a);
	token_request_cancel(s->requests, a);
	r = account_reload(a, s->store);
	accounts_run(s, a);
	s->ops->changed(s->ops->arg, a);
	return r;
}

void
accounts_flush(struct accounts *s)
{
	for (size_t i = 0; i < s->count; i++)
		account_flush(s->items[i]);
}

static int
by_name(const void *a, const void *b)
{
	const struct account *const *x = a, *const *y = b;

	return strcmp((*x)->conf->name, (*y)->conf->name);
}

/* A configured account becomes one that works: the one that is there, or a new one. `listed` says of an
 * account that is there that no configured one took it over yet. */
static struct account *
place_account(struct accounts *s, struct account_conf *c)
{
	struct account *a = accounts_find(s, c->name);

	if (a != NULL && !a->listed) {
		(void)account_conf_free(c); /* a name given twice: main refuses that */
		return NULL;
	}
	if (a == NULL && (a = find_unlisted(s, c->name)) != NULL)
		LIST_REMOVE(a, unlisted);
	if (a == NULL) {
		a = account_new(c, s->vault, &s->account_ops);
	} else {
		a->listed = false; /* taken over */
		(void)account_configure(a, c);
	}
	if (a != NULL)
		open_account(s, a);
	return a;
}

static void
drop_account(struct accounts *s, struct account *a)
{
	s->ops->forget(s->ops->arg, a);
	a->listed = false;
	if (is_busy(a))
		LIST_INSERT_HEAD(&s->unlisted, a, unlisted);
	else
		end_account(s, a);
}

int
accounts_configure(struct accounts *s, struct account_conf **confs, size_t count)
{
	struct account **before = s->items, **items = calloc(count + 1, sizeof(*items));
	size_t before_count = s->count, n = 0;

	if (items == NULL) {
		for (size_t i = 0; i < count; i++)
			confs[i] = account_conf_free(confs[i]);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		items[n] = place_account(s, TAKE_PTR(confs[i]));
		n += items[n] != NULL;
	}
	s->items = items;
	s->count = n;
	qsort(items, n, sizeof(*items), by_name);
	for (size_t i = 0; i < before_count; i++)
		if (before[i]->listed)
			drop_account(s, before[i]);
	free(before);
	run_all(s);
	for (size_t i = 0; i < s->count; i++)
		s->items[i]->listed = true;
	return 0;
}

/* ---- begin and end ---- */

struct accounts *
accounts_new(struct event_base *base, const struct file_ops *files, struct vault *vault,
    struct token_requests *requests, const struct accounts_ops *ops)
{
	struct accounts *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct accounts){.base = base,
	    .files = files,
	    .vault = vault,
	    .requests = requests,
	    .ops = ops,
	    .account_ops = {.ask = ops_ask,
		.decide = ops_decide,
		.changed = ops_changed,
		.now = ops_now,
		.random = ops_random,
		.arg = s},
	    .trouble = STORE_UNREADABLE};
	return s;
}

struct accounts *
accounts_free(struct accounts *s)
{
	if (s == NULL)
		return NULL;
	while (!LIST_EMPTY(&s->unlisted)) {
		struct account *a = LIST_FIRST(&s->unlisted);

		LIST_REMOVE(a, unlisted);
		end_account(s, a);
	}
	for (size_t i = 0; i < s->count; i++)
		end_account(s, s->items[i]);
	free(s->items);
	free(s);
	return NULL;
}
