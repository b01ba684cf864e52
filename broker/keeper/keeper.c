/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keeper.c: the life of the keeper role: its clock, its refreshes, and what it tells queue. See
 * keeper.h.
 *
 * queue learns how each account stands: all of them when it connects and after each reload, one when
 * it changes.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "broker/keeper/accounts/assertion.h"
#include "broker/keeper/accounts/scope.h"

enum {
	LOCK_STEP = 50,   /* ms */
	LOCK_WAIT = 5000, /* ms */
	CLOCK_JUMP = 30,  /* seconds by which the clocks must part to count as set */
	TIMER_LONGEST =
	    3600 * 1000,        /* ms; libevent's clock stands still while the machine sleeps */
	STOP_LONGEST = 3,       /* seconds that a request in flight is waited for at the end */
	SKEW_WORTH_SAYING = 60, /* seconds */
};

/* ---- the clock, and an account's turn ---- */

static void
clock_jumped(struct keeper *k)
{
	for (size_t i = 0; i < k->accounts.count; i++)
		machine_clock_jumped(k->accounts.items[i]->machine);
	log_notice("The system's clock was set.");
}

struct machine_now
keeper_now(struct keeper *k)
{
	struct timespec boot, wall;
	struct machine_now now;
	int64_t offset;

	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	now.boot = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000;
	now.wall = wall.tv_sec;
	offset = now.wall - boot.tv_sec;
	if (k->clock_offset != 0 &&
	    (offset - k->clock_offset > CLOCK_JUMP || k->clock_offset - offset > CLOCK_JUMP)) {
		k->clock_offset = offset;
		clock_jumped(k);
	}
	k->clock_offset = offset;
	return now;
}

static struct machine_now
ops_now(void *arg)
{
	return keeper_now(arg);
}

static uint32_t
ops_random(void *arg)
{
	struct keeper *k = arg;
	uint32_t r = 0;

	(void)k->files->random(k->files->arg, &r, sizeof(r));
	return r;
}

static void
on_account_timer(evutil_socket_t fd, short what, void *arg)
{
	struct account *a = arg;
	struct keeper *k = a->ops->arg;

	machine_tick(a->machine, keeper_now(k));
	keeper_run(k, a);
	configuration_end_retired(k, a);
	if (k->store != NULL)
		store_keep_spares(k->store);
}

static void
set_account_timer(struct keeper *k, struct account *a)
{
	int64_t at = machine_deadline(a->machine), now = keeper_now(k).boot;
	int64_t in = at <= now ? 0 : at - now;
	struct timeval t;

	if (at == MACHINE_NEVER) {
		if (a->timer != NULL)
			(void)evtimer_del(a->timer);
		return;
	}
	if (a->timer == NULL)
		a->timer = evtimer_new(role_base(k->role), on_account_timer, a);
	if (in > TIMER_LONGEST)
		in = TIMER_LONGEST;
	t = (struct timeval){.tv_sec = in / 1000, .tv_usec = in % 1000 * 1000};
	if (a->timer != NULL)
		(void)evtimer_add(a->timer, &t);
}

void
keeper_run(struct keeper *k, struct account *a)
{
	account_run(a);
	set_account_timer(k, a);
	if (k->store != NULL && store_ledger_error(k->store) != 0)
		log_warning("The ledger of the token store cannot be written; old copies of its "
			    "files may go unnoticed.");
}

struct account *
keeper_find(const struct keeper *k, const char *name)
{
	size_t low = 0, high = k->accounts.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(name, k->accounts.items[mid]->conf->name);

		if (order == 0)
			return k->accounts.items[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* ---- what queue is told ---- */

/* The ends that a person has to see to in time. */
static void
put_ends(const struct account *a, struct message *m)
{
	const struct account_conf *c = a->conf;
	int64_t end, authorized = machine_authorized_at(a->machine), life;
	int64_t lapses = machine_refresh_ends(a->machine, &life);

	if (c->certificate.len > 0 &&
	    assertion_certificate_end(c->certificate.data, c->certificate.len, &end) == 0)
		message_put_u64(m, F_CERTIFICATE_EXPIRES, (uint64_t)end);
	/* what the server said, or what the configuration knows: the earlier */
	end = authorized + (int64_t)c->consent_lifetime;
	if (c->consent_lifetime > 0 && authorized > 0 && (lapses == 0 || end < lapses)) {
		lapses = end;
		life = (int64_t)c->consent_lifetime;
	}
	if (lapses > 0) {
		message_put_u64(m, F_CONSENT_LAPSES, (uint64_t)lapses);
		message_put_u64(m, F_CONSENT_LIFETIME, (uint64_t)life);
	}
}

/* False when the queue's channel is full or not there. */
static bool
tell_state(struct keeper *k, struct account *a)
{
	struct channel *c = role_peer(k->role, ROLE_QUEUE);
	struct account_view v;
	struct message *m;
	int r;

	if (c == NULL)
		return false;
	account_view(a, &v);
	m = message_new(M_ACCOUNT_STATE);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	message_put_str(m, F_STATE, v.state);
	if (v.text.len > 0)
		message_put_str(m, F_TEXT, buf_str(&v.text));
	if (v.next.len > 0)
		message_put_str(m, F_NEXT, buf_str(&v.next));
	if (v.until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)v.until);
	if (a->given > 0)
		message_put_u64(m, F_TIME, (uint64_t)a->given);
	put_ends(a, m);
	account_view_clear(&v);
	r = channel_send(c, m, -1);
	return r == 0;
}

static void
tell_due_states(struct keeper *k)
{
	k->states_due = false;
	for (size_t i = 0; i < k->accounts.count; i++) {
		struct account *a = k->accounts.items[i];

		if (!a->state_due)
			continue;
		if (!tell_state(k, a)) {
			k->states_due = true;
			return;
		}
		a->state_due = false;
	}
}

void
keeper_tell_all(struct keeper *k)
{
	for (size_t i = 0; i < k->accounts.count; i++)
		k->accounts.items[i]->state_due = true;
	tell_due_states(k);
}

/* One line in the log for each state and sentence that is new. */
static void
log_state(struct account *a, const struct account_view *v)
{
	struct buf told CLEANUP_BUF = BUF_INIT(4096);
	bool fine = v->usable && v->text.len == 0;

	(void)buf_printf(&told, "%s %s", v->state, buf_str(&v->text));
	if (a->told != NULL && strcmp(a->told, buf_str(&told)) == 0)
		return;
	if (a->told != NULL || !fine)
		log_line(fine ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
		    fine ? "The account's credential is in order." : buf_str(&v->text),
		    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_OUTCOME, v->state}));
	free(a->told);
	a->told = buf_take(&told);
}

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
	return account_conf_has_tokens(b->conf) &&
	       text_same(a->conf->client_id, b->conf->client_id) &&
	       text_same(a->conf->token_endpoint, b->conf->token_endpoint) &&
	       text_same(a->conf->issuer, b->conf->issuer) &&
	       text_same(a->conf->client_auth, b->conf->client_auth) && same_proof(a, b);
}

/* What a server has proved to think of a client holds for every account that uses it: `refused` is its
 * answer, NULL where it takes the client again. */
static void
tell_same_client(struct keeper *k, const struct account *a, const struct answer_facts *refused)
{
	struct machine_now now = keeper_now(k);

	for (size_t i = 0; i < k->accounts.count; i++) {
		struct account *b = k->accounts.items[i];

		if (b == a || !is_same_client(a, b))
			continue;
		if (refused == NULL)
			machine_client_accepted(b->machine, now);
		else
			machine_client_refused(b->machine, now, refused, a->conf->name);
		keeper_run(k, b);
	}
}

static void
ops_changed(void *arg, struct account *a)
{
	struct keeper *k = arg;
	struct account_view v;

	account_view(a, &v);
	log_state(a, &v);
	account_view_clear(&v);
	/* Those that could not be told before go first, in on_writable. */
	a->state_due = k->states_due || !a->listed || !tell_state(k, a);
	k->states_due |= a->state_due && a->listed;
}

/* ---- refreshing ---- */

static void
say_skew(const struct account *a, const struct message *m)
{
	int64_t skew = m == NULL ? 0 : (int64_t)message_u64(m, F_SKEW, 0);

	if (skew > SKEW_WORTH_SAYING || skew < -SKEW_WORTH_SAYING)
		log_line(LOG_LEVEL_WARNING,
		    "This machine's clock and the authorization server's differ by more than a "
		    "minute.",
		    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}));
}

static void
take_answer(struct keeper *k, struct account *a, uint64_t request, struct token_answer *t)
{
	enum machine_state before = machine_standing(a->machine);
	struct diagnosis_facts whose;
	struct answer_verdict v;

	account_conf_facts(a->conf, &whose);
	answer_judge(&t->answer.facts, &whose, &v);
	if (machine_answer(a->machine, keeper_now(k), request, &t->answer)) {
		enum machine_state after = machine_standing(a->machine);

		keeper_run(k, a);
		if (v.d.whole_client && after == MACHINE_CLIENT_ERROR)
			tell_same_client(k, a, &t->answer.facts);
		else if (before == MACHINE_CLIENT_ERROR && after == MACHINE_ACTIVE)
			tell_same_client(k, a, NULL);
	}
	configuration_end_retired(k, a);
	if (k->stopping && requests_idle(k) && prepare_is_idle(k))
		role_exit(k->role, EX_OK);
}

/* The answer to the machine's request `tag`. */
static void
refresh_done(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct account *a = arg;
	struct token_answer t;

	token_answer_read(m, fault, sent, a->conf, &t);
	say_skew(a, m);
	take_answer(k, a, tag, &t);
	token_answer_clear(&t);
}

/* The machine's request did not leave: `local` where our own key or file is the reason. */
static void
refresh_failed(struct keeper *k, struct account *a, uint64_t request, const char *why, bool local)
{
	struct token_answer t;

	token_answer_read(NULL, why, false, a->conf, &t);
	t.answer.facts.local = local;
	take_answer(k, a, request, &t);
	token_answer_clear(&t);
}

static void
put_refresh(struct message *m, const struct account *a)
{
	CLEANUP_SECRET struct secret *token = machine_refresh_token(a->machine);
	struct buf scopes CLEANUP_BUF = BUF_INIT(8192);

	token_request_put(m, "grant_type", "refresh_token", strlen("refresh_token"));
	if (token != NULL)
		token_request_put(m, "refresh_token", secret_bytes(token), secret_len(token));
	if (scope_for_refresh(a->conf->scopes, &scopes) == 0 && scopes.len > 0)
		token_request_put(m, "scope", buf_str(&scopes), scopes.len);
}

/* RFC 6749 section 4.4.2; RFC 7523 section 2.1, where the assertion names the scopes. */
static void
put_unattended(struct message *m, const struct account_conf *c)
{
	const char *type = c->grant == GRANT_CLIENT_CREDENTIALS
			       ? "client_credentials"
			       : "urn:ietf:params:oauth:grant-type:jwt-bearer";

	token_request_put(m, "grant_type", type, strlen(type));
	if (c->grant == GRANT_CLIENT_CREDENTIALS && c->scopes != NULL)
		token_request_put(m, "scope", c->scopes, strlen(c->scopes));
}

static void
refresh_prepared(void *arg, uint64_t tag, struct keeper *k, const char *fault, bool local)
{
	struct account *a = arg;
	uint64_t id = request_id(k);
	const char *why = NULL;
	struct message *m =
	    fault != NULL ? NULL : token_request_new(k, a, M_TOKEN_REQUEST, id, NULL, &why);

	if (m == NULL) {
		refresh_failed(k, a, tag,
		    fault != NULL ? fault
		    : why != NULL ? why
				  : "memory ran out",
		    fault != NULL ? local : why != NULL);
		return;
	}
	if (account_conf_is_unattended(a->conf))
		put_unattended(m, a->conf);
	else
		put_refresh(m, a);
	request_start(k, id, m, refresh_done, a, tag);
}

static void
ops_ask(void *arg, struct account *a, uint64_t request)
{
	prepare(arg, a, refresh_prepared, a, request);
}

/* ---- the role ---- */

int
keeper_init(struct keeper *k, const struct file_ops *files)
{
	k->files = files;
	k->dir = k->listen_fd = -1;
	k->trouble = STORE_UNREADABLE;
	k->incoming.admin_gid = k->admin_gid = UINT64_MAX;
	k->last_request = &k->requests;
	k->account_ops = (struct account_ops){.ask = ops_ask,
	    .decide = keeper_decide,
	    .changed = ops_changed,
	    .now = ops_now,
	    .random = ops_random,
	    .arg = k};
	k->vault = vault_new(files->random, files->arg);
	return k->vault == NULL ? -errno : 0;
}

void
keeper_clear(struct keeper *k)
{
	clients_clear(k);
	authorize_clear(k);
	revoke_clear(k);
	keys_end(k);
	requests_clear(k);
	prepare_clear(k);
	keeper_forget(k, NULL, ROLE_SEND);
	keeper_forget(k, NULL, ROLE_POST);
	if (k->stop_timer != NULL)
		event_free(k->stop_timer);
	configuration_clear(k);
	k->store = store_free(k->store);
	sealed_replace(&k->key, NULL);
	k->vault = vault_free(k->vault);
}

/*
 * Two keepers on one store would refresh the same tokens, which a server takes for theft. main's lock does not bar that: where
 * main was killed, the keeper it had may be ending still while the next one starts. So each keeper locks the folder, and waits
 * for the one before. 0, or negative errno where that does not end.
 */
static int
lock_store(int dir)
{
	for (int waited = 0;; waited += LOCK_STEP) {
		if (flock(dir, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || waited >= LOCK_WAIT)
			return -errno;
		(void)poll(NULL, 0, LOCK_STEP);
	}
}

static int
start(struct role *r)
{
	struct keeper *k = role_state(r);
	int lock;

	k->role = r;
	k->dir = role_dir(r, "tokens");
	if (k->dir < 0) {
		log_error("The folder of the token store was not handed over.");
		return 0;
	}
	lock = lock_store(k->dir);
	if (lock < 0)
		log_error("The token store is in use by another keeper: %s.", strerror(-lock));
	return lock;
}

static void
lend(struct keeper *k, const struct message *m)
{
	struct account *a = keeper_find(k, message_str(m, F_ACCOUNT));

	if (a != NULL)
		a->lent = message_u64(m, F_WANTED, 0) != 0;
}

static void
probe(struct keeper *k, const struct message *m)
{
	struct account *a = keeper_find(k, message_str(m, F_ACCOUNT));

	if (a == NULL)
		return;
	machine_probe(a->machine, keeper_now(k));
	keeper_run(k, a);
	a->state_due = true;
	tell_due_states(k);
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	struct keeper *k = role_state(r);

	if (fd >= 0)
		(void)close(fd);
	switch (message_type(m)) {
	case M_LEND:
		lend(k, m);
		break;
	case M_PROBE:
		probe(k, m);
		break;
	case M_CREDENTIAL_GET:
		lending_get(k, channel_peer(from), m);
		break;
	case M_USER_ANSWER:
		if (k->users != NULL)
			users_answer(k->users, m);
		break;
	case M_KEY_ANSWER:
		prepare_answer(k, m);
		break;
	case M_TOKEN_ANSWER:
	case M_DISCOVERED:
	case M_USERINFO_ANSWER:
	case M_DEVICE_ANSWER:
	case M_REVOKE_ANSWER:
		requests_answer(k, m);
		break;
	default:
		(void)configuration_message(k, m); /* the table allows nothing else */
	}
}

static void
on_listen(struct role *r, const char *name, const char *service, int fd)
{
	struct keeper *k = role_state(r);

	if (strcmp(name, "keeper") == 0)
		clients_listen(k, fd);
	else
		(void)close(fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	struct keeper *k = role_state(r);

	if (peer == ROLE_FETCH) {
		requests_peer(k, up);
	} else if ((peer == ROLE_SEND || peer == ROLE_POST) && !up) {
		keeper_forget(k, NULL, peer);
	} else if (peer == ROLE_QUEUE && up) {
		keeper_tell_all(k);
	} else if (peer == ROLE_QUEUE) {
		for (size_t i = 0; i < k->accounts.count; i++)
			k->accounts.items[i]->lent = false;
	}
}

static void
on_writable(struct role *r, struct channel *c)
{
	struct keeper *k = role_state(r);

	if (channel_peer(c) == ROLE_QUEUE && k->states_due)
		tell_due_states(k);
	else if (channel_peer(c) == ROLE_FETCH)
		requests_peer(k, true);
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;

	role_exit(k->role, EX_OK);
}

/* A refresh in flight is waited for: its answer may bring a refresh token that replaces the one we
 * have. */
static void
on_shutdown(struct role *r)
{
	struct keeper *k = role_state(r);
	struct timeval t = {.tv_sec = STOP_LONGEST};

	k->stopping = true;
	clients_clear(k);
	for (size_t i = 0; i < k->accounts.count; i++)
		account_flush(k->accounts.items[i]);
	if ((requests_idle(k) && prepare_is_idle(k)) ||
	    (k->stop_timer = evtimer_new(role_base(r), on_stop_timer, k)) == NULL)
		role_exit(r, EX_OK);
	else
		(void)evtimer_add(k->stop_timer, &t);
}

const struct role_def keeper_role = {
    .id = ROLE_KEEPER,
    .log_name = "frankd[keeper]",
    .start = start,
    .message = on_message,
    .listen = on_listen,
    .peer = on_peer,
    .writable = on_writable,
    .shutdown = on_shutdown,
};
