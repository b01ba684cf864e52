/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * command.c: keeper.sock, and who may do what there.
 *
 * Who calls is told by the kernel, and what that allows by the table of caller.h. Whoever is no
 * administrator gets an access token if a service of the configuration has `token = true`, matches the caller and names the
 * account, and sees the state of just those accounts. Each answer with or about a token leaves a line in the log.
 *
 * A client asks one thing at a time: while one is under way its channel is not read.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/keeper/accounts/assertion.h"
#include "broker/role/caller.h"

enum { ACCOUNT_SHOWN_MAX = 64 /* octets of a name that is no account's */ };

/* Idle for longer than an attempt to sign in may take. */
static const struct places_config places_config = {
    .most = 512, .kept = 64, .most_each = 64, .idle_seconds = 15 * 60};

struct client {
	struct place place;
	struct client *next;
	struct keeper *keeper;
	struct channel *channel;
	struct caller_peer peer;
	unsigned rights; /* enum caller_right */
	bool busy, rows;
	char *row_after, *row_only; /* the last account told of; the only one asked for */
};

uid_t
client_uid(const struct client *c)
{
	return c->peer.uid;
}

/* ---- the end of a client, and of what it asked ---- */

static void
client_free(struct client *c)
{
	struct keeper *k = c->keeper;

	for (struct client **p = &k->clients; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	keeper_forget(k, c, ROLE_CLIENT);
	authorize_forget_client(k, c);
	revoke_forget_client(k, c);
	keys_forget_client(k, c);
	place_leave(&c->place);
	(void)channel_free(c->channel);
	free(c->peer.groups);
	free(c->row_after);
	free(c->row_only);
	free(c);
}

void
client_release(struct client *c)
{
	c->busy = false;
	channel_pause(c->channel, false);
}

void
client_occupy(struct client *c)
{
	c->busy = true;
	channel_pause(c->channel, true);
}

int
client_send(struct client *c, struct message *m)
{
	return channel_send(c->channel, m, -1);
}

void
client_done(struct client *c, int exit, const char *error, const char *next, const char *text)
{
	struct message *m = message_new(M_KEEPER_DONE);

	message_put_str(m, F_ERROR, error);
	if (exit != 0)
		message_put_u64(m, F_EXIT, (uint64_t)exit);
	if (next != NULL && *next != '\0')
		message_put_str(m, F_NEXT, next);
	if (text != NULL && *text != '\0')
		message_put_str(m, F_TEXT, text);
	(void)client_send(c, m);
	client_release(c);
}

void
client_done_warned(struct client *c, const char *text, const char *warning)
{
	struct message *m = message_new(M_KEEPER_DONE);

	if (text != NULL && *text != '\0')
		message_put_str(m, F_TEXT, text);
	if (warning != NULL && *warning != '\0')
		message_put_str(m, F_WARNING, warning);
	(void)client_send(c, m);
	client_release(c);
}

static bool
is_admin(const struct client *c)
{
	return (c->rights & CALLER_MAY_ADMINISTER) != 0;
}

/* Of an administrator each; of others a name that is no account's may be anything. */
static void
audit(const struct client *c, const char *account, const char *service, const char *what,
    const char *outcome)
{
	char uid[24], who[LOG_LIMIT_WHO_MAX], cut[ACCOUNT_SHOWN_MAX + sizeof("...")];
	const struct log_pair *pairs;

	if (account != NULL && strlen(account) > ACCOUNT_SHOWN_MAX &&
	    keeper_find(c->keeper, account) == NULL) {
		(void)snprintf(cut, sizeof(cut), "%.*s...", ACCOUNT_SHOWN_MAX, account);
		account = cut;
	}
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)c->peer.uid);
	pairs = LOG_PAIRS(
	    {LOG_ACCOUNT, account}, {LOG_UID, uid}, {LOG_SERVICE, service}, {LOG_OUTCOME, outcome});
	if (is_admin(c)) {
		log_line(LOG_LEVEL_INFO, what, pairs);
		return;
	}
	users_name_bucket(place_bucket(&c->place), who, sizeof(who));
	log_limited(c->keeper->log, who, LOG_LEVEL_INFO, what, pairs);
}

/* ---- who may ---- */

static bool
is_member(const struct client *c, gid_t gid)
{
	for (size_t i = 0; i < c->peer.group_count; i++)
		if (c->peer.groups[i] == gid)
			return true;
	return false;
}

static bool
service_matches(const struct token_service *s, const struct client *c)
{
	if (s->any_user)
		return true;
	for (size_t i = 0; i < s->user_count; i++)
		if (s->users[i] == c->peer.uid)
			return true;
	for (size_t i = 0; i < s->group_count; i++)
		if (is_member(c, s->groups[i]))
			return true;
	return false;
}

static bool
service_names_account(const struct token_service *s, const char *account)
{
	for (size_t i = 0; i < s->account_count; i++)
		if (strcmp(s->accounts[i], account) == 0)
			return true;
	return false;
}

/* The name of the service that lets the client have tokens of this account, or NULL. */
static const char *
service_for(const struct client *c, const char *account)
{
	const struct keeper *k = c->keeper;

	for (size_t i = 0; i < k->service_count; i++) {
		const struct token_service *s = &k->services[i];

		if (service_matches(s, c) && service_names_account(s, account))
			return s->name;
	}
	return NULL;
}

static bool
may_have_token(const struct client *c, const char *account, const char **ret_service)
{
	*ret_service = (c->rights & CALLER_MAY_TOKEN) != 0 ? service_for(c, account) : NULL;
	return is_admin(c) || *ret_service != NULL;
}

static void
find_out_rights(struct client *c)
{
	enum caller_kind kind = caller_kind(&c->peer, getuid(), c->keeper->admin_gid);

	c->rights = caller_rights(CALLER_KEEPER, kind);
}

/* ---- what they ask ---- */

static void
done_needs_administrator(struct client *c)
{
	client_done(c, EX_NOPERM,
	    "This needs an administrator of Frank: root, the user Frank runs as, or a member of "
	    "its admin-group.",
	    "Call it with sudo, or ask an administrator.", NULL);
}

static void
refuse(struct client *c, const char *account, const char *what)
{
	audit(c, account, NULL, what, "refused");
	done_needs_administrator(c);
}

static void
no_such_account(struct client *c)
{
	client_done(c, EX_NOUSER, "The configuration has no account of that name.",
	    "See the names: frank status", NULL);
}

static void
give_token(struct client *c, const struct account *a, const char *service)
{
	CLEANUP_SECRET struct secret *s = machine_access_token(a->machine);
	int64_t until = machine_expires_at(a->machine, keeper_now(c->keeper));
	struct message *m;

	if (s == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	m = message_new(M_TOKEN);
	message_put_secret(m, F_SECRET, s);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	(void)client_send(c, m);
	audit(c, a->conf->name, service, "An access token was asked for.", "given");
	client_release(c);
}

static void
refuse_token(struct client *c, const char *account)
{
	audit(c, account, NULL, "An access token was asked for.", "refused");
	client_done(c, EX_NOPERM, "You may not have tokens of this account.",
	    "A service with token = true that names the account and its callers allows it.", NULL);
}

void
client_decide(struct keeper *k, const struct waiter *w, bool granted)
{
	struct client *c = w->client;
	const char *service;
	struct account_view v;

	/* A reload while it waited may have taken the right away. */
	if (!may_have_token(c, w->account->conf->name, &service)) {
		refuse_token(c, w->account->conf->name);
		return;
	}
	if (granted) {
		give_token(c, w->account, service);
		return;
	}
	account_view(w->account, &v);
	audit(c, w->account->conf->name, w->service, "An access token was asked for.", v.state);
	client_done(c, v.usable ? EX_TEMPFAIL : EX_UNAVAILABLE,
	    v.text.len > 0 ? buf_str(&v.text) : "No access token can be had at the moment.",
	    buf_str(&v.next), NULL);
	account_view_clear(&v);
}

static void
token_get(struct client *c, const struct message *m)
{
	const char *name = message_str(m, F_ACCOUNT), *service;
	struct account *a = keeper_find(c->keeper, name);

	if (!may_have_token(c, name, &service)) {
		refuse_token(c, name);
	} else if (a == NULL) {
		audit(c, name, service, "An access token was asked for.", "no-such-account");
		no_such_account(c);
	} else if (!account_conf_has_tokens(a->conf)) {
		audit(c, name, service, "An access token was asked for.", "no-token");
		client_done(c, EX_CONFIG, "This account has no access token: its grant is another.",
		    NULL, NULL);
	} else {
		/* A command knows no generation: it means the token that was given out last. Said
		 * too often it is not heard, or whoever may have a token could keep it from all
		 * others. */
		bool rejected = message_has(m, F_REJECTED) &&
				machine_can_force(a->machine, keeper_now(c->keeper));

		client_occupy(c);
		if (keeper_wait(c->keeper, a, c, ROLE_CLIENT, 0, service,
			message_u64(m, F_MIN_VALID, 0),
			rejected ? machine_generation(a->machine) : 0) < 0) {
			audit(c, name, service, "An access token was asked for.", "too-many");
			client_done(c, EX_TEMPFAIL, "Too many wait for a token of this account.",
			    "Try again in a moment.", NULL);
		}
	}
}

static void
say_secret_failed(struct client *c, const struct account *a, int r)
{
	struct buf text CLEANUP_BUF = BUF_INIT(1024);

	if (r == -EPERM) {
		struct diagnosis_facts whose;
		char step[512];

		account_conf_facts(a->conf, &whose);
		diagnosis_step("{Store}; or take the reference out of the configuration.", &whose,
		    step, sizeof(step));
		client_done(c, EX_CONFIG,
		    "The configuration refers to this secret (file:, credential: or command:), and "
		    "that counts first.",
		    step, NULL);
	} else if (r == -ENOKEY) {
		client_done(c, EX_CONFIG, store_trouble_text(a->trouble),
		    store_trouble_next(a->trouble), NULL);
	} else {
		(void)buf_printf(&text, "The token store cannot be written: %s.", strerror(-r));
		client_done(c, EX_IOERR, buf_str(&text),
		    "Nothing has changed. Mend the disk and try again.", NULL);
	}
}

/* What is wrong with a secret for this account, or NULL. */
static const char *
find_secret_flaw(const struct account *a, const struct message *m, const struct secret *s)
{
	const char *owner = message_str(m, F_CLIENT_ID), *why;

	if (account_secret_kind(a) == SECRET_SIGNING_KEY) {
		if (owner != NULL && !text_same(owner, a->conf->client_id))
			return "This key belongs to another client than the account's client-id.";
		if (s == NULL || assertion_check_key(s, &why) < 0)
			return "The account's client signs, so a private key in PEM is wanted (RSA "
			       "of 2048 bits or more, or EC on P-256), without a passphrase, or "
			       "Google's JSON key file.";
		return NULL;
	}
	if (owner != NULL)
		return "This is the key file of a service account, and the account's grant is "
		       "another.";
	if (s == NULL || secret_len(s) == 0 || !secret_is_printable(s, true))
		return "The secret is empty, or holds a control character or a line break. Give it "
		       "on one line.";
	return NULL;
}

static void
secret_set(struct client *c, const struct message *m)
{
	static const char *const stored[] = {[SECRET_PASSWORD] = "The password is stored, sealed.",
	    [SECRET_CLIENT] = "The client secret is stored, sealed.",
	    [SECRET_SIGNING_KEY] = "The client's key is stored, sealed."};
	const char *name = message_str(m, F_ACCOUNT);
	struct account *a = keeper_find(c->keeper, name);
	CLEANUP_SECRET struct secret *s = message_secret(m, F_SECRET);
	const char *why;
	int r;

	if (!is_admin(c)) {
		refuse(c, name, "A secret was to be stored.");
		return;
	}
	if (a == NULL) {
		no_such_account(c);
		return;
	}
	if (a->conf->grant == GRANT_NONE) {
		client_done(
		    c, EX_CONFIG, "This account needs no secret: its grant is none.", NULL, NULL);
		return;
	}
	why = find_secret_flaw(a, m, s);
	if (why != NULL) {
		client_done(c, EX_DATAERR, why, "Nothing has changed.", NULL);
		return;
	}
	r = account_set_secret(a, s, message_str(m, F_KEY_ID));
	keeper_run(c->keeper, a);
	audit(c, name, NULL, "A secret was to be stored.", r == 0 ? "stored" : "failed");
	if (r < 0)
		say_secret_failed(c, a, r);
	else
		client_done(c, 0, NULL, NULL, stored[account_secret_kind(a)]);
}

/* ---- rows ---- */

/* Which services give the account's access token away. */
static void
put_token_services(const struct keeper *k, const struct account *a, struct message *m)
{
	CLEANUP_BUF struct buf names = BUF_INIT(4096);
	bool any_user = false;

	for (size_t i = 0; i < k->service_count; i++) {
		const struct token_service *s = &k->services[i];

		if (!service_names_account(s, a->conf->name))
			continue;
		(void)buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", s->name);
		any_user = any_user || s->any_user;
	}
	if (names.len == 0)
		return;
	message_put_str(m, F_SERVICE, buf_str(&names));
	message_put_u64(m, F_ANY_USER, any_user);
}

static struct message *
make_row(const struct client *c, const struct account *a)
{
	struct machine_now now = keeper_now(c->keeper);
	struct message *m = message_new(M_ROW_CREDENTIAL);
	bool oauth = account_conf_has_tokens(a->conf);
	struct account_view v;

	account_view(a, &v);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	message_put_str(m, F_STATE, v.state);
	message_put_str(m, F_GRANT, a->conf->grant_name);
	/* where a secret lies, and who else may have the token, is nobody else's business */
	if (is_admin(c)) {
		message_put_str(m, F_SECRET_FROM, a->conf->secret_from);
		put_token_services(c->keeper, a, m);
	}
	if (authorize_is_under_way(c->keeper, a))
		(void)buf_printf(
		    &v.text, "%sSomebody is signing in right now.", v.text.len > 0 ? " " : "");
	if (v.text.len > 0)
		message_put_str(m, F_TEXT, buf_str(&v.text));
	if (v.next.len > 0)
		message_put_str(m, F_NEXT, buf_str(&v.next));
	if (*v.cause != '\0') {
		message_put_str(m, F_CAUSE, v.cause);
		message_put_str(m, F_FIXER, v.fixer);
	}
	if (oauth && machine_refreshed_at(a->machine) > 0)
		message_put_u64(m, F_TIME, (uint64_t)machine_refreshed_at(a->machine));
	if (oauth && machine_expires_at(a->machine, now) > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)machine_expires_at(a->machine, now));
	if (oauth)
		message_put_str(m, F_SCOPE, machine_scope(a->machine));
	if (oauth)
		message_put_str(m, F_IDENTITY, a->record.identity);
	message_put_str(m, F_REDIRECT_HOST, a->conf->redirect_host);
	message_put_str(m, F_REDIRECT_PATH, a->conf->redirect_path);
	message_put_str(m, F_REDIRECT_SCHEME, a->conf->redirect_scheme);
	if (a->conf->redirect_port != 0)
		message_put_u64(m, F_REDIRECT_PORT, a->conf->redirect_port);
	account_view_clear(&v);
	return m;
}

/* Rows until the channel is full, then later the rest: in the order of names, so that a reload in
 * between does no harm. */
static void
send_rows(struct client *c)
{
	const struct accounts *all = &c->keeper->accounts;

	for (size_t i = 0; i < all->count; i++) {
		const struct account *a = all->items[i];
		const char *service;
		int r;

		if (c->row_after != NULL && strcmp(a->conf->name, c->row_after) <= 0)
			continue;
		if (c->row_only != NULL && strcmp(a->conf->name, c->row_only) != 0)
			continue;
		if (!may_have_token(c, a->conf->name, &service))
			continue;
		r = client_send(c, make_row(c, a));
		if (r == -EAGAIN)
			return; /* on_writable goes on */
		if (r < 0)
			break;
		free(c->row_after);
		c->row_after = strdup(a->conf->name);
		if (c->row_after == NULL)
			break;
	}
	c->rows = false;
	free(c->row_after);
	free(c->row_only);
	c->row_after = c->row_only = NULL;
	client_done(c, 0, NULL, NULL, NULL);
}

static void
keeper_status(struct client *c, const struct message *m)
{
	const char *only = message_str(m, F_ACCOUNT), *service;

	/* The answer is the same whether there is such an account or not: who may not see it
	 * does not learn that. */
	if (only != NULL && !may_have_token(c, only, &service)) {
		done_needs_administrator(c);
		return;
	}
	if (only != NULL && keeper_find(c->keeper, only) == NULL) {
		no_such_account(c);
		return;
	}
	c->row_only = only == NULL ? NULL : strdup(only);
	if (only != NULL && c->row_only == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	c->rows = true;
	client_occupy(c);
	send_rows(c);
}

static void
key_act(struct client *c, const struct message *m, int fd)
{
	int taken CLEANUP_CLOSE = fd;

	if (is_admin(c))
		keys_act(c->keeper, c, m, TAKE_FD(taken));
	else
		refuse(c, NULL, "A key of the token store was asked for.");
}

/* ---- the channel ---- */

/* What only administrators may ask for; the table allows nothing else. */
static void
on_administration(struct client *c, const struct message *m)
{
	static const struct {
		enum message_type type;
		void (*start)(struct keeper *k, struct client *c, const struct message *m);
		const char *what;
	} verbs[] = {
	    {M_AUTHORIZE, authorize_start, "Somebody wanted to sign in."},
	    {M_AUTHORIZE_CALLBACK, authorize_callback, "Somebody wanted to sign in."},
	    {M_AUTHORIZE_DEVICE, authorize_device, "Somebody wanted to sign in."},
	    {M_AUTHORIZE_INVITE, authorize_invite, "Somebody wanted to invite to sign in."},
	    {M_AUTHORIZE_FINISH, authorize_finish, "Somebody wanted to sign in."},
	    {M_ACCOUNT_REVOKE, revoke_start, "A grant was to be revoked."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (message_type(m) != verbs[i].type)
			continue;
		if (!is_admin(c)) {
			refuse(c, message_str(m, F_ACCOUNT), verbs[i].what);
			return;
		}
		client_occupy(c);
		verbs[i].start(c->keeper, c, m);
		return;
	}
}

static void
on_message(void *arg, struct channel *channel, const struct message *m, int fd)
{
	struct client *c = arg;

	if (fd >= 0 && message_type(m) != M_KEY_ACT)
		(void)close(fd);
	place_touch(&c->place);
	switch (message_type(m)) {
	case M_KEY_ACT:
		key_act(c, m, fd);
		break;
	case M_TOKEN_GET:
		token_get(c, m);
		break;
	case M_SECRET_SET:
		secret_set(c, m);
		break;
	case M_KEEPER_STATUS:
		keeper_status(c, m);
		break;
	default:
		on_administration(c, m);
	}
}

static void
on_closed(void *arg, struct channel *channel)
{
	client_free(arg);
}

static void
on_writable(void *arg, struct channel *channel)
{
	struct client *c = arg;

	place_touch(&c->place);
	if (c->rows)
		send_rows(c);
	keys_writable(c->keeper, c);
}

/* Rows wait for nobody but the client. */
static bool
place_is_idle(const struct place *p)
{
	const struct client *c = (const struct client *)p;

	return !c->busy || c->rows;
}

static void
place_end(struct place *p)
{
	client_free((struct client *)p);
}

static const struct places_ops places_ops = {place_is_idle, place_end};

static const struct channel_ops client_ops = {
    .message = on_message, .closed = on_closed, .writable = on_writable};

static int
read_peer(struct client *c, int fd)
{
	int r = caller_peer_of(fd, &c->peer);

	if (r == 0)
		find_out_rights(c);
	return r;
}

/* Takes the connection. */
static void
take_client(struct keeper *k, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	int taken CLEANUP_CLOSE = fd;

	if (c == NULL)
		return;
	c->keeper = k;
	if (read_peer(c, taken) < 0 ||
	    !place_take(&k->places, &c->place, role_base(k->role), c->peer.uid, c->rights)) {
		free(c->peer.groups);
		free(c);
		return;
	}
	c->channel = channel_new(
	    role_base(k->role), TAKE_FD(taken), ROLE_KEEPER, ROLE_CLIENT, &client_ops, c);
	if (c->channel == NULL) {
		place_leave(&c->place);
		free(c->peer.groups);
		free(c);
		return;
	}
	c->next = k->clients;
	k->clients = c;
}

static void
on_accept(evutil_socket_t sock, short what, void *arg)
{
	int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		take_client(arg, fd);
}

void
clients_listen(struct keeper *k, int fd)
{
	int taken CLEANUP_CLOSE = fd;

	if (k->listener != NULL)
		return; /* main hands the socket over once */
	k->users = users_new(role_main_channel(k->role));
	k->log = log_limit_new(role_base(k->role));
	if (k->users == NULL || k->log == NULL) {
		log_error("keeper.sock cannot be served.");
		return;
	}
	places_init(&k->places, k->users, &places_config, &places_ops);
	(void)evutil_make_socket_nonblocking(taken);
	k->listener = event_new(role_base(k->role), taken, EV_READ | EV_PERSIST, on_accept, k);
	if (k->listener == NULL || event_add(k->listener, NULL) < 0)
		log_error("keeper.sock cannot be served.");
	else
		k->listen_fd = TAKE_FD(taken);
}

void
clients_reloaded(struct keeper *k)
{
	for (struct client *c = k->clients; c != NULL; c = c->next)
		find_out_rights(c);
}

void
clients_clear(struct keeper *k)
{
	if (k->listener != NULL)
		event_free(k->listener);
	k->listener = NULL;
	if (k->listen_fd >= 0)
		(void)close(k->listen_fd);
	k->listen_fd = -1;
	while (k->clients != NULL)
		client_free(k->clients);
	k->users = users_free(k->users);
	k->log = log_limit_free(k->log);
}
