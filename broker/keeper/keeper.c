/*
 * keeper.c: the life of the keeper role, its configuration, and what it tells queue and send. See
 * keeper.h.
 *
 * send gets a credential for an account that queue has lent to it, and no other. queue learns how
 * each account stands: all of them when it connects and after each reload, one when it changes.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "tokenstore/seal.h"

enum {
	CLOCK_JUMP = 30,      /* seconds by which the clocks must part to count as set */
	TIMER_LONGEST = 3600, /* seconds; libevent's clock stands still while the machine sleeps */
	STOP_LONGEST = 3,     /* seconds that a request in flight is waited for at the end */
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
	if (in > TIMER_LONGEST * 1000)
		in = TIMER_LONGEST * 1000;
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

static void
tell_all_states(struct keeper *k)
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

/* What a server thinks of a client holds for every account that uses it. */
static void
tell_same_client(struct keeper *k, const struct account *a, bool accepted)
{
	struct machine_now now = keeper_now(k);

	for (size_t i = 0; i < k->accounts.count; i++) {
		struct account *b = k->accounts.items[i];

		if (b == a || b->conf->grant != GRANT_AUTHORIZATION_CODE ||
		    !text_same(a->conf->client_id, b->conf->client_id) ||
		    !text_same(a->conf->token_endpoint, b->conf->token_endpoint) ||
		    !text_same(a->conf->issuer, b->conf->issuer))
			continue;
		if (accepted)
			machine_client_accepted(b->machine, now);
		else
			machine_client_refused(b->machine, now, machine_text(a->machine),
			    machine_next_step(a->machine));
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
	a->state_due = true;
	if (a->listed)
		tell_due_states(k);
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

/* The answer to the machine's request `tag`. */
static void
refresh_done(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct account *a = arg;
	enum machine_state before = machine_standing(a->machine);
	struct token_answer t;
	bool client;

	token_answer_read(m, fault, sent, a->conf->scopes, &t);
	client = classify_is_client(&t.answer.facts);
	if (machine_answer(a->machine, keeper_now(k), tag, &t.answer)) {
		enum machine_state after = machine_standing(a->machine);

		keeper_run(k, a);
		if (client && after == MACHINE_CLIENT_ERROR)
			tell_same_client(k, a, false);
		else if (before == MACHINE_CLIENT_ERROR && after == MACHINE_ACTIVE)
			tell_same_client(k, a, true);
	}
	token_answer_clear(&t);
	say_skew(a, m);
	if (k->stopping && requests_idle(k))
		role_exit(k->role, EX_OK);
}

static void
ops_ask(void *arg, struct account *a, uint64_t request)
{
	struct keeper *k = arg;
	uint64_t id = request_id(k);
	CLEANUP_SECRET struct secret *token = machine_refresh_token(a->machine);
	struct buf scopes CLEANUP_BUF = BUF_INIT(8192);
	struct message *m = token_request_new(a, id, NULL);

	token_request_put(m, "grant_type", "refresh_token", strlen("refresh_token"));
	if (token != NULL)
		token_request_put(m, "refresh_token", secret_bytes(token), secret_len(token));
	if (scope_for_refresh(a->conf->scopes, &scopes) == 0 && scopes.len > 0)
		token_request_put(m, "scope", buf_str(&scopes), scopes.len);
	request_start(k, id, m, refresh_done, a, request);
}

/* ---- those who wait ---- */

int
keeper_wait(struct keeper *k, struct account *a, struct client *client, uint64_t send_id,
    const char *service, uint64_t min_valid, uint64_t rejected)
{
	struct waiter *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	*w = (struct waiter){.next = k->waiters,
	    .id = ++k->last_waiter,
	    .account = a,
	    .client = client,
	    .send_id = send_id};
	w->service = service == NULL ? NULL : strdup(service);
	if (min_valid < a->conf->min_valid)
		min_valid = a->conf->min_valid;
	k->waiters = w;
	r = machine_want(a->machine, keeper_now(k), w->id, min_valid, rejected);
	if (r < 0) {
		k->waiters = w->next;
		free(w->service);
		free(w);
		return r;
	}
	keeper_run(k, a);
	return 0;
}

static struct waiter *
take_waiter(struct keeper *k, uint64_t id)
{
	for (struct waiter **p = &k->waiters; *p != NULL; p = &(*p)->next)
		if ((*p)->id == id) {
			struct waiter *w = *p;

			*p = w->next;
			return w;
		}
	return NULL;
}

void
keeper_forget(struct keeper *k, const struct client *client)
{
	struct waiter **p = &k->waiters;

	while (*p != NULL) {
		struct waiter *w = *p;

		if (w->client != client) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		machine_forget(w->account->machine, w->id);
		free(w->service);
		free(w);
	}
}

static void
audit_send(const struct account *a, const char *outcome)
{
	log_line(LOG_LEVEL_INFO, "A credential was asked for.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_ROLE, "send"}, {LOG_OUTCOME, outcome}));
}

static void
send_to_send(struct keeper *k, struct message *m)
{
	struct channel *c = role_peer(k->role, ROLE_SEND);

	if (c == NULL)
		(void)message_free(m);
	else if (channel_send(c, m, -1) < 0)
		log_error("An answer does not reach the send role.");
}

static void
fail_credential(struct keeper *k, uint64_t id, const char *name, const char *state,
    const char *error, int64_t until)
{
	struct message *m = message_new(M_CREDENTIAL_FAILED);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, name);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_ERROR, error);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	send_to_send(k, m);
}

/* "unreachable" where the account stands well and a token merely cannot be had now. */
static void
refuse_credential(struct keeper *k, const struct account *a, uint64_t id)
{
	struct account_view v;

	account_view(a, &v);
	fail_credential(k, id, a->conf->name, v.usable ? "unreachable" : v.state,
	    v.text.len > 0 ? buf_str(&v.text) : "No access token can be had at the moment.",
	    v.until);
	audit_send(a, v.state);
	account_view_clear(&v);
}

static void
give_credential(struct keeper *k, const struct account *a, uint64_t id, const char *kind,
    const struct secret *s, int64_t until)
{
	struct message *m = message_new(M_CREDENTIAL);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	message_put_str(m, F_KIND, kind);
	message_put_str(m, F_USER_NAME, account_conf_login(a->conf));
	message_put_u64(m, F_GENERATION, machine_generation(a->machine));
	message_put_secret(m, F_SECRET, s);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	send_to_send(k, m);
	audit_send(a, kind);
}

static void
ops_decide(void *arg, struct account *a, uint64_t waiter, bool granted)
{
	struct keeper *k = arg;
	struct waiter *w = take_waiter(k, waiter);

	if (w == NULL)
		return;
	if (w->client != NULL) {
		client_decide(k, w, granted);
	} else if (granted) {
		CLEANUP_SECRET struct secret *s = machine_access_token(a->machine);

		if (s != NULL)
			give_credential(k, a, w->send_id, "token", s,
			    machine_expires_at(a->machine, keeper_now(k)));
		else
			fail_credential(
			    k, w->send_id, a->conf->name, "unreachable", "Memory ran out.", 0);
	} else {
		refuse_credential(k, a, w->send_id);
	}
	free(w->service);
	free(w);
}

static void
credential_get(struct keeper *k, const struct message *m)
{
	const char *name = message_str(m, F_ACCOUNT);
	struct account *a = keeper_find(k, name);
	uint64_t id = message_u64(m, F_ID, 0);
	CLEANUP_SECRET struct secret *s = NULL;

	if (a == NULL || !a->lent) {
		log_line(LOG_LEVEL_WARNING,
		    "The send role asks for an account that is not lent to it.",
		    LOG_PAIRS({LOG_ACCOUNT, name}, {LOG_OUTCOME, "refused"}));
		fail_credential(
		    k, id, name, "configuration", "This account is not lent for sending.", 0);
		return;
	}
	switch (account_credential(a)) {
	case CREDENTIAL_NONE:
		give_credential(k, a, id, "none", NULL, 0);
		break;
	case CREDENTIAL_PASSWORD:
		s = account_password(a);
		if (s != NULL)
			give_credential(k, a, id, "password", s, 0);
		else
			refuse_credential(k, a, id);
		break;
	case CREDENTIAL_TOKEN:
		if (keeper_wait(k, a, NULL, id, NULL, message_u64(m, F_MIN_VALID, 0),
			message_u64(m, F_REJECTED, 0)) < 0)
			fail_credential(k, id, name, "unreachable",
			    "Too many wait for a token of this account.", 0);
	}
}

/* ---- the configuration ---- */

static void
services_free(struct token_service *s, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(s[i].name);
		free(s[i].users);
		free(s[i].groups);
		for (size_t n = 0; n < s[i].account_count; n++)
			free(s[i].accounts[n]);
		free(s[i].accounts);
	}
	free(s);
}

static void
incoming_clear(struct incoming_conf *in)
{
	for (size_t i = 0; i < in->account_count; i++)
		(void)account_conf_free(in->accounts[i]);
	free(in->accounts);
	services_free(in->services, in->service_count);
	free(in->key_from);
	(void)secret_free(in->key);
	*in = (struct incoming_conf){.admin_gid = UINT64_MAX};
}

static void
conf_begin(struct keeper *k, const struct message *m)
{
	struct incoming_conf *in = &k->incoming;
	const char *from = message_str(m, F_MASTER_KEY_FROM);

	incoming_clear(in);
	in->begun = true;
	in->admin_gid = message_u64(m, F_ADMIN_GID, UINT64_MAX);
	in->key_from = strdup(from == NULL ? "key-file" : from);
	in->key = message_secret(m, F_KEY);
	in->failed = in->key_from == NULL;
}

static void
conf_account(struct keeper *k, const struct message *m)
{
	struct incoming_conf *in = &k->incoming;
	struct account_conf *c;

	if (in->account_count == in->account_room) {
		size_t room = in->account_room == 0 ? 16 : in->account_room * 2;
		struct account_conf **more = reallocarray(in->accounts, room, sizeof(*more));

		if (more == NULL) {
			in->failed = true;
			return;
		}
		in->accounts = more;
		in->account_room = room;
	}
	c = account_conf_new(k->vault, m);
	if (c == NULL) {
		in->failed = true;
		log_line(LOG_LEVEL_ERROR, "An account of the configuration cannot be taken.",
		    LOG_PAIRS(
			{LOG_ACCOUNT, message_str(m, F_ACCOUNT)}, {LOG_ERROR, strerror(errno)}));
		return;
	}
	in->accounts[in->account_count++] = c;
}

static int
take_ids(const struct message *m, enum field f, uid_t **ret, size_t *ret_count)
{
	size_t at = 0, count = 0;
	uint64_t value;

	while (message_next_u64(m, f, &at, &value))
		count++;
	if (count == 0)
		return 0;
	*ret = calloc(count, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (at = 0; message_next_u64(m, f, &at, &value);)
		(*ret)[(*ret_count)++] = (uid_t)value;
	return 0;
}

static int
take_names(const struct message *m, char ***ret, size_t *ret_count)
{
	size_t at = 0, count = 0;
	const char *s;

	while (message_next_str(m, F_ACCOUNT, &at, &s))
		count++;
	if (count == 0)
		return 0;
	*ret = calloc(count, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (at = 0; message_next_str(m, F_ACCOUNT, &at, &s); (*ret_count)++) {
		(*ret)[*ret_count] = strdup(s);
		if ((*ret)[*ret_count] == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Only services that may have tokens are of interest, and of them those whose callers are known by
 * uid here: one with a socket of its own is recognised by that socket alone. */
static void
conf_service(struct keeper *k, const struct message *m)
{
	struct incoming_conf *in = &k->incoming;
	const char *socket_name = message_str(m, F_SOCKET_NAME);
	struct token_service *more, *s;

	if (message_u64(m, F_TOKEN_ALLOWED, 0) == 0 ||
	    (socket_name != NULL && *socket_name != '\0'))
		return;
	more = reallocarray(in->services, in->service_count + 1, sizeof(*more));
	if (more == NULL) {
		in->failed = true;
		return;
	}
	in->services = more;
	s = &more[in->service_count++];
	*s = (struct token_service){.any_user = message_u64(m, F_ANY_USER, 0) != 0};
	s->name = strdup(message_str(m, F_SERVICE));
	if (s->name == NULL || take_ids(m, F_USER, &s->users, &s->user_count) < 0 ||
	    take_ids(m, F_GROUP, &s->groups, &s->group_count) < 0 ||
	    take_names(m, &s->accounts, &s->account_count) < 0)
		in->failed = true;
}

static void
open_store(struct keeper *k)
{
	struct incoming_conf *in = &k->incoming;
	enum keyslot_kind kind = keyslot_kind_by_name(in->key_from);
	bool made = false;
	int r;

	if (in->key == NULL || k->dir < 0)
		return;
	if (k->store != NULL) {
		if (store_try_key(k->store, in->key) == -EKEYREJECTED)
			log_error("The master key that is configured now does not open the token "
				  "store, which stays open with the one "
				  "before. After a restart it would not open.");
		return;
	}
	r = store_open(k->files, k->dir, kind, in->key, (uint64_t)keeper_now(k).wall, &k->store,
	    &made, &k->trouble);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, store_trouble_text(k->trouble),
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
		return;
	}
	if (made)
		log_notice(
		    "A new token store was made, under the master key from the %s.", in->key_from);
	if (store_ledger_bad(k->store) > 0)
		log_warning(
		    "%u entries of the token store's ledger were damaged and are passed over.",
		    store_ledger_bad(k->store));
}

static int
by_name(const void *a, const void *b)
{
	const struct account *const *x = a, *const *y = b;

	return strcmp((*x)->conf->name, (*y)->conf->name);
}

static void
drop_account(struct keeper *k, struct account *a)
{
	authorize_forget_account(k, a);
	requests_cancel(k, a);
	for (struct waiter *w = k->waiters, *next; w != NULL; w = next) {
		next = w->next;
		if (w->account == a) {
			machine_forget(a->machine, w->id);
			ops_decide(k, a, w->id, false);
		}
	}
	if (a->timer != NULL)
		event_free(a->timer);
	(void)account_free(a);
}

/* A configured account becomes one that works: the one that is there, or a new one. */
static struct account *
place_account(struct keeper *k, struct account_conf *c)
{
	struct account *a = keeper_find(k, c->name);

	if (a != NULL && !a->listed) {
		(void)account_conf_free(c); /* a name given twice: main refuses that */
		return NULL;
	}
	if (a == NULL) {
		a = account_new(c, k->vault, &k->account_ops);
	} else {
		a->listed = false; /* taken over */
		(void)account_configure(a, c);
	}
	if (a == NULL)
		return NULL;
	a->trouble = k->trouble;
	if (a->file == NULL && k->store != NULL && account_open(a, k->store) < 0)
		a->trouble = STORE_UNREADABLE;
	return a;
}

static void
swap_accounts(struct keeper *k)
{
	struct incoming_conf *in = &k->incoming;
	struct accounts fresh = {.items = calloc(in->account_count + 1, sizeof(*fresh.items))};
	struct accounts old = k->accounts;

	if (fresh.items == NULL) {
		log_error("Memory ran out while a configuration was taken; the one before stays.");
		return;
	}
	for (size_t i = 0; i < in->account_count; i++) {
		struct account *a = place_account(k, TAKE_PTR(in->accounts[i]));

		if (a != NULL)
			fresh.items[fresh.count++] = a;
	}
	k->accounts = fresh;
	if (fresh.count > 0)
		qsort(fresh.items, fresh.count, sizeof(*fresh.items), by_name);
	for (size_t i = 0; i < old.count; i++)
		if (old.items[i]->listed)
			drop_account(k, old.items[i]);
	free(old.items);
	for (size_t i = 0; i < k->accounts.count; i++) {
		k->accounts.items[i]->listed = true;
		keeper_run(k, k->accounts.items[i]);
	}
}

static void
conf_end(struct keeper *k)
{
	struct incoming_conf *in = &k->incoming;

	if (!in->begun || in->failed) {
		log_error("A configuration did not arrive whole; the one before stays.");
		incoming_clear(in);
		return;
	}
	open_store(k);
	k->admin_gid = in->admin_gid;
	services_free(k->services, k->service_count);
	k->services = TAKE_PTR(in->services);
	k->service_count = in->service_count;
	in->service_count = 0;
	swap_accounts(k);
	incoming_clear(in);
	clients_reloaded(k);
	tell_all_states(k);
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
	    .decide = ops_decide,
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
	requests_clear(k);
	keeper_forget(k, NULL);
	if (k->stop_timer != NULL)
		event_free(k->stop_timer);
	for (size_t i = 0; i < k->accounts.count; i++) {
		struct account *a = k->accounts.items[i];

		if (a->timer != NULL)
			event_free(a->timer);
		(void)account_free(a);
	}
	free(k->accounts.items);
	services_free(k->services, k->service_count);
	incoming_clear(&k->incoming);
	k->store = store_free(k->store);
	k->vault = vault_free(k->vault);
}

static int
start(struct role *r)
{
	struct keeper *k = role_state(r);

	k->role = r;
	k->dir = role_dir(r, "tokens");
	if (k->dir < 0)
		log_error("The folder of the token store was not handed over.");
	return 0;
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
	case M_CONF_BEGIN:
		conf_begin(k, m);
		break;
	case M_CONF_ACCOUNT:
		conf_account(k, m);
		break;
	case M_CONF_SERVICE:
		conf_service(k, m);
		break;
	case M_CONF_END:
		conf_end(k);
		break;
	case M_LEND:
		lend(k, m);
		break;
	case M_PROBE:
		probe(k, m);
		break;
	case M_CREDENTIAL_GET:
		credential_get(k, m);
		break;
	case M_TOKEN_ANSWER:
	case M_DISCOVERED:
	case M_USERINFO_ANSWER:
		requests_answer(k, m);
		break;
	default:
		break; /* the table allows nothing else */
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
	} else if (peer == ROLE_SEND && !up) {
		keeper_forget(k, NULL);
	} else if (peer == ROLE_QUEUE && up) {
		tell_all_states(k);
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
	if (requests_idle(k) ||
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
