/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * command.c: see command.h.
 *
 * A caller who is no administrator gets an access token if a service of the configuration has
 * `token = true`, matches the caller and names the account. It sees the state of those accounts alone. Each
 * answer with or about a token leaves a line in the log.
 */
#include "broker/keeper/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#include "base/text.h"
#include "broker/ipc/metric.h"
#include "broker/keeper/accounts/assertion.h"
#include "broker/keeper/sign-in/authorize.h"
#include "broker/keeper/sign-in/device.h"
#include "broker/keeper/sign-in/invitation.h"

enum { ACCOUNT_SHOWN_MAX = 64 /* octets of a name that is no account's */ };

/* Rows that a client asked for and did not take yet. */
struct credential_rows {
	LIST_ENTRY(credential_rows) entry;
	struct client *client;
	char *after;  /* the last account whose row was sent */
	char *only;   /* the only one asked for; NULL: all */
	bool metrics; /* ROW_KEEPER_METRICS, not ROW_CREDENTIAL */
};

struct command_desk {
	struct clients *clients;
	struct command_parts parts;
	struct conf *conf; /* whose services give tokens; NULL: none yet */
	LIST_HEAD(, credential_rows) listings;
	int64_t started; /* seconds since 1970 */
	struct clients_ops ops;
};

/* A name that is no account's may be anything, and is cut. */
static void
audit(const struct command_desk *cmd, const struct client *c, const char *account,
    const char *service, const char *what, const char *outcome)
{
	char uid[CLIENT_UID_TEXT], cut[ACCOUNT_SHOWN_MAX + sizeof("...")];

	if (account != NULL && strlen(account) > ACCOUNT_SHOWN_MAX &&
	    accounts_find(cmd->parts.accounts, account) == NULL) {
		(void)snprintf(cut, sizeof(cut), "%.*s...", ACCOUNT_SHOWN_MAX, account);
		account = cut;
	}
	client_log(c, what,
	    LOG_PAIRS({LOG_ACCOUNT, account}, {LOG_UID, client_uid_text(c, uid)},
		{LOG_SERVICE, service}, {LOG_OUTCOME, outcome}));
}

/* ---- who may ---- */

static bool
service_matches(const struct conf_service *s, const struct caller_peer *who)
{
	if (s->any_user)
		return true;
	for (size_t i = 0; i < s->users.count; i++)
		if (s->users.items[i] == who->uid)
			return true;
	for (size_t i = 0; i < s->groups.count; i++)
		if (caller_is_member(who, s->groups.items[i]))
			return true;
	return false;
}

/* Does the service give tokens of the account to callers that are known by uid? One with a socket of its own knows them by that socket
 * alone. */
static bool
service_gives(const struct conf_service *s, const char *account)
{
	for (size_t i = 0; s->token && !s->socket && i < s->accounts.count; i++)
		if (strcmp(s->accounts.items[i], account) == 0)
			return true;
	return false;
}

/* The name of the service that lets the client have tokens of this account, or NULL. */
static const char *
service_for(const struct command_desk *cmd, const struct client *c, const char *account)
{
	for (size_t i = 0; cmd->conf != NULL && i < cmd->conf->service_count; i++) {
		const struct conf_service *s = &cmd->conf->services[i];

		if (service_matches(s, client_peer(c)) && service_gives(s, account))
			return s->name;
	}
	return NULL;
}

static bool
may_have_token(const struct command_desk *cmd, const struct client *c, const char *account,
    const char **ret_service)
{
	*ret_service = client_may(c, CALLER_MAY_TOKEN) ? service_for(cmd, c, account) : NULL;
	return client_is_admin(c) || *ret_service != NULL;
}

/* ---- what they ask ---- */

static void
done_needs_administrator(struct client *c)
{
	client_done(c, EX_NOPERM, "Call it with sudo, or ask an administrator.",
	    "This needs an administrator of Frank: root, the user Frank runs as, or a member of "
	    "its admin-group.");
}

static void
refuse(const struct command_desk *cmd, struct client *c, const char *account, const char *what)
{
	audit(cmd, c, account, NULL, what, "refused");
	done_needs_administrator(c);
}

static void
no_such_account(struct client *c)
{
	client_done(c, EX_NOUSER, "See the names: frank status",
	    "The configuration has no account of that name.");
}

static const char token_asked[] = "An access token was asked for.";

static void
give_token(
    const struct command_desk *cmd, struct client *c, const struct account *a, const char *service)
{
	CLEANUP_SECRET struct secret *s = machine_access_token(a->machine);
	int64_t until = machine_expires_at(a->machine, accounts_now(cmd->parts.accounts));
	struct message *m;

	if (s == NULL) {
		client_done_memory(c);
		return;
	}
	m = message_new(M_TOKEN);
	message_put_secret(m, F_SECRET, s);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	(void)client_send(c, m);
	client_release(c);
	audit(cmd, c, a->conf->name, service, token_asked, "given");
}

static void
refuse_token(const struct command_desk *cmd, struct client *c, const char *account)
{
	audit(cmd, c, account, NULL, token_asked, "refused");
	client_done(c, EX_NOPERM,
	    "A service with token = true that names the account and its callers allows it.",
	    "You may not have tokens of this account.");
}

/* The machine's decision about a client that waits. */
static void
decided(void *waiter, struct account *a, bool granted)
{
	struct client *c = waiter;
	const struct command_desk *cmd = client_ops_arg(c);
	const char *service;
	struct account_view v;

	/* A reload while it waited may have taken the right away. */
	if (!may_have_token(cmd, c, a->conf->name, &service)) {
		refuse_token(cmd, c, a->conf->name);
		return;
	}
	if (granted) {
		give_token(cmd, c, a, service);
		return;
	}
	account_view(a, &v);
	audit(cmd, c, a->conf->name, service, token_asked, v.state);
	client_done(c, v.usable ? EX_TEMPFAIL : EX_UNAVAILABLE, buf_str(&v.next), "%s",
	    v.text.len > 0 ? buf_str(&v.text) : "No access token can be had at the moment.");
	account_view_clear(&v);
}

static void
wait_for_token(struct command_desk *cmd, struct client *c, struct account *a, const char *service,
    const struct message *m)
{
	/* A command knows no generation: it means the token that was given out last. Frank ignores
	 * that when it comes too often, or one caller could keep the token from all others. */
	bool rejected = message_has(m, F_REJECTED) &&
			machine_can_force(a->machine, accounts_now(cmd->parts.accounts));

	client_occupy(c);
	if (lease_wait(cmd->parts.leases, a, decided, c, message_u64(m, F_MIN_VALID, 0),
		rejected ? machine_generation(a->machine) : 0) == 0)
		return;
	audit(cmd, c, a->conf->name, service, token_asked, "too-many");
	client_done(
	    c, EX_TEMPFAIL, "Try again in a moment.", "Too many wait for a token of this account.");
}

static void
token_get(struct command_desk *cmd, struct client *c, const struct message *m)
{
	const char *name = message_str(m, F_ACCOUNT), *service;
	struct account *a = accounts_find(cmd->parts.accounts, name);

	if (!may_have_token(cmd, c, name, &service)) {
		refuse_token(cmd, c, name);
	} else if (a == NULL) {
		audit(cmd, c, name, service, token_asked, "no-such-account");
		no_such_account(c);
	} else if (!grant_has_tokens(a->conf->grant)) {
		audit(cmd, c, name, service, token_asked, "no-token");
		client_done(
		    c, EX_CONFIG, NULL, "This account has no access token: its grant is another.");
	} else {
		wait_for_token(cmd, c, a, service, m);
	}
}

static void
say_secret_failed(struct client *c, const struct account *a, int r)
{
	if (r == -EPERM) {
		struct diagnosis_facts whose;
		char step[512];

		account_conf_facts(a->conf, &whose);
		diagnosis_step("{Store}; or take the reference out of the configuration.", &whose,
		    step, sizeof(step));
		client_done(c, EX_CONFIG, step,
		    "The configuration refers to this secret (file:, credential: or command:), and "
		    "that counts first.");
	} else if (r == -ENOKEY) {
		client_done(c, EX_CONFIG, store_trouble_next(a->trouble), "%s",
		    store_trouble_text(a->trouble));
	} else {
		client_done(c, EX_IOERR, "Nothing has changed. Mend the disk and try again.",
		    "The token store cannot be written: %s.", strerror(-r));
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
secret_set(struct command_desk *cmd, struct client *c, const struct message *m)
{
	static const char *const stored[] = {[SECRET_PASSWORD] = "The password is stored, sealed.",
	    [SECRET_CLIENT] = "The client secret is stored, sealed.",
	    [SECRET_SIGNING_KEY] = "The client's key is stored, sealed."};
	const char *name = message_str(m, F_ACCOUNT);
	struct account *a = accounts_find(cmd->parts.accounts, name);
	CLEANUP_SECRET struct secret *s = message_secret(m, F_SECRET);
	const char *why;
	int r;

	if (!client_is_admin(c)) {
		refuse(cmd, c, name, "A secret was to be stored.");
		return;
	}
	if (a == NULL) {
		no_such_account(c);
		return;
	}
	if (grant_rows[a->conf->grant].credential == GRANT_GIVES_NOTHING) {
		client_done(c, EX_CONFIG, NULL, "This account needs no secret: its grant is none.");
		return;
	}
	why = find_secret_flaw(a, m, s);
	if (why != NULL) {
		client_done(c, EX_DATAERR, "Nothing has changed.", "%s", why);
		return;
	}
	r = account_set_secret(a, s, message_str(m, F_KEY_ID));
	accounts_run(cmd->parts.accounts, a);
	audit(cmd, c, name, NULL, "A secret was to be stored.", r == 0 ? "stored" : "failed");
	if (r < 0)
		say_secret_failed(c, a, r);
	else
		client_done(c, 0, NULL, "%s", stored[account_secret_kind(a)]);
}

/* ---- rows ---- */

/* Which services give the account's access token away. */
static void
put_token_services(const struct command_desk *cmd, const struct account *a, struct message *m)
{
	CLEANUP_BUF struct buf names = BUF_INIT(4096);
	bool any_user = false;

	for (size_t i = 0; cmd->conf != NULL && i < cmd->conf->service_count; i++) {
		const struct conf_service *s = &cmd->conf->services[i];

		if (!service_gives(s, a->conf->name))
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
make_row(const struct command_desk *cmd, const struct client *c, const struct account *a)
{
	struct machine_now now = accounts_now(cmd->parts.accounts);
	struct message *m = message_new(M_ROW_CREDENTIAL);
	bool oauth = grant_has_tokens(a->conf->grant);
	struct account_view v;

	account_view(a, &v);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	message_put_str(m, F_STATE, v.state);
	message_put_str(m, F_GRANT, grant_rows[a->conf->grant].name);
	/* where a secret lies, and who else may have the token, is nobody else's business */
	if (client_is_admin(c)) {
		message_put_str(m, F_SECRET_FROM, a->conf->secret_from);
		put_token_services(cmd, a, m);
	}
	if (attempts_under_way(cmd->parts.attempts, a))
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
		message_put_str(m, F_IDENTITY, a->record.tokens.identity);
	message_put_str(m, F_REDIRECT_HOST, a->conf->redirect_host);
	message_put_str(m, F_REDIRECT_PATH, a->conf->redirect_path);
	message_put_str(
	    m, F_REDIRECT_SCHEME, conf_word(CONF_TYPE_redirect_scheme, a->conf->redirect_scheme));
	if (a->conf->redirect_port != 0)
		message_put_u64(m, F_REDIRECT_PORT, a->conf->redirect_port);
	account_view_clear(&v);
	return m;
}

static struct message *
make_metrics(const struct command_desk *cmd, const struct account *a)
{
	static const char *const results[ACCOUNT_REFRESHES] = {[REFRESH_SUCCESS] = "success",
	    [REFRESH_FAILURE] = "failure",
	    [REFRESH_REFUSED] = "refused"};
	int64_t until = machine_expires_at(a->machine, accounts_now(cmd->parts.accounts));
	struct message *m = message_new(M_ROW_KEEPER_METRICS);
	bool known = grant_has_tokens(a->conf->grant) && until > 0;

	message_put_str(m, F_ACCOUNT, a->conf->name);
	metric_put(m, METRIC_TOKEN, NULL, known ? (uint64_t)until : METRIC_UNKNOWN);
	for (size_t i = 0; i < ACCOUNT_REFRESHES; i++)
		metric_put(m, METRIC_REFRESHES, results[i], a->refreshes[i]);
	return m;
}

static struct credential_rows *
find_listing(const struct command_desk *cmd, const struct client *c)
{
	struct credential_rows *l;

	LIST_FOREACH (l, &cmd->listings, entry)
		if (l->client == c)
			return l;
	return NULL;
}

static void
listing_free(struct credential_rows *l)
{
	if (l == NULL)
		return;
	LIST_REMOVE(l, entry);
	free(l->after);
	free(l->only);
	free(l);
}

/* Rows until the channel is full, then later the rest: in the order of names, so that a reload in
 * between does no harm. */
static void
send_rows(struct command_desk *cmd, struct credential_rows *l)
{
	struct client *c = l->client;

	for (size_t i = 0; i < accounts_count(cmd->parts.accounts); i++) {
		const struct account *a = accounts_at(cmd->parts.accounts, i);
		const char *name = a->conf->name, *service;
		int r;

		if ((l->after != NULL && strcmp(name, l->after) <= 0) ||
		    (l->only != NULL && strcmp(name, l->only) != 0) ||
		    (!l->metrics && !may_have_token(cmd, c, name, &service)))
			continue;
		r = client_send(c, l->metrics ? make_metrics(cmd, a) : make_row(cmd, c, a));
		if (r == -EAGAIN)
			return; /* on_writable goes on */
		free(l->after);
		if (r < 0 || text_copy(name, &l->after) < 0)
			break;
	}
	listing_free(l);
	client_done(c, 0, NULL, NULL);
}

static void
begin_rows(struct command_desk *cmd, struct client *c, const char *only, bool metrics)
{
	struct credential_rows *l = calloc(1, sizeof(*l));

	if (l == NULL || text_copy(only, &l->only) < 0) {
		free(l);
		client_done_memory(c);
		return;
	}
	l->client = c;
	l->metrics = metrics;
	LIST_INSERT_HEAD(&cmd->listings, l, entry);
	client_occupy_reading(c);
	send_rows(cmd, l);
}

static bool
is_monitor(const struct command_desk *cmd, const struct client *c)
{
	return cmd->conf != NULL && cmd->conf->has_monitor_gid &&
	       caller_is_member(client_peer(c), cmd->conf->monitor_gid);
}

static void
keeper_metrics(struct command_desk *cmd, struct client *c)
{
	struct message *m;

	if (!client_is_admin(c) && !is_monitor(cmd, c)) {
		done_needs_administrator(c);
		return;
	}
	m = message_new(M_ROW_KEEPER_METRICS);
	metric_put(m, METRIC_ROLE_START, "keeper", (uint64_t)cmd->started);
	(void)client_send(c, m);
	begin_rows(cmd, c, NULL, true);
}

static void
keeper_status(struct command_desk *cmd, struct client *c, const struct message *m)
{
	const char *only = message_str(m, F_ACCOUNT), *service;

	/* The answer is the same whether there is such an account or not: who may not see it does
	 * not learn that. */
	if (only != NULL && !may_have_token(cmd, c, only, &service)) {
		done_needs_administrator(c);
		return;
	}
	if (only != NULL && accounts_find(cmd->parts.accounts, only) == NULL) {
		no_such_account(c);
		return;
	}
	begin_rows(cmd, c, only, false);
}

/* ---- what only administrators may ask for ---- */

static void
on_administration(struct command_desk *cmd, struct client *c, const struct message *m)
{
	static const struct {
		enum message_type type;
		void (*start)(struct attempts *all, struct client *c, const struct message *m);
		const char *what;
	} verbs[] = {
	    {M_AUTHORIZE, authorize_start, "Somebody wanted to sign in."},
	    {M_AUTHORIZE_CALLBACK, authorize_callback, "Somebody wanted to sign in."},
	    {M_AUTHORIZE_DEVICE, device_start, "Somebody wanted to sign in."},
	    {M_AUTHORIZE_INVITE, invitation_start, "Somebody wanted to invite to sign in."},
	    {M_AUTHORIZE_FINISH, invitation_answer, "Somebody wanted to sign in."},
	    {M_ACCOUNT_REVOKE, NULL, "A grant was to be revoked."},
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(verbs) && message_type(m) != verbs[i].type)
		i++;
	if (i == ARRAY_SIZE(verbs))
		return; /* the table of messages allows nothing else */
	if (!client_is_admin(c)) {
		refuse(cmd, c, message_str(m, F_ACCOUNT), verbs[i].what);
		return;
	}
	client_occupy(c);
	if (verbs[i].start == NULL)
		revocation_start(cmd->parts.revocations, c, m);
	else
		verbs[i].start(cmd->parts.attempts, c, m);
}

static void
key_act(struct command_desk *cmd, struct client *c, const struct message *m, int fd)
{
	int taken CLEANUP_CLOSE = fd;

	if (client_is_admin(c))
		keys_act(cmd->parts.keys, c, m, TAKE_FD(taken));
	else
		refuse(cmd, c, NULL, "A key of the token store was asked for.");
}

/* ---- the clients ---- */

static void
on_message(void *arg, struct client *c, const struct message *m, int fd)
{
	struct command_desk *cmd = arg;
	int taken CLEANUP_CLOSE = fd;

	switch (message_type(m)) {
	case M_KEY_ACT:
		key_act(cmd, c, m, TAKE_FD(taken));
		break;
	case M_TOKEN_GET:
		token_get(cmd, c, m);
		break;
	case M_SECRET_SET:
		secret_set(cmd, c, m);
		break;
	case M_KEEPER_STATUS:
		keeper_status(cmd, c, m);
		break;
	case M_KEEPER_METRICS:
		keeper_metrics(cmd, c);
		break;
	default:
		on_administration(cmd, c, m);
	}
}

static void
on_gone(void *arg, struct client *c)
{
	struct command_desk *cmd = arg;

	listing_free(find_listing(cmd, c));
	lease_forget(cmd->parts.leases, c);
	attempts_forget_client(cmd->parts.attempts, c);
	revocations_forget_client(cmd->parts.revocations, c);
	keys_forget_client(cmd->parts.keys, c);
}

static void
on_writable(void *arg, struct client *c)
{
	struct command_desk *cmd = arg;
	struct credential_rows *l = find_listing(cmd, c);

	if (l != NULL)
		send_rows(cmd, l);
	else
		keys_writable(cmd->parts.keys, c);
}

struct clients *
commands_clients(struct command_desk *cmd)
{
	return cmd->clients;
}

void
commands_set_services(struct command_desk *cmd, struct conf *c)
{
	(void)conf_free(cmd->conf);
	cmd->conf = c;
}

struct command_desk *
commands_new(struct role *role, const struct command_parts *parts)
{
	struct command_desk *cmd = calloc(1, sizeof(*cmd));

	if (cmd == NULL)
		return NULL;
	cmd->parts = *parts;
	cmd->started = accounts_now(parts->accounts).wall;
	cmd->ops = (struct clients_ops){
	    .message = on_message, .gone = on_gone, .writable = on_writable, .arg = cmd};
	cmd->clients = clients_new(role, &cmd->ops);
	return cmd->clients == NULL ? commands_free(cmd) : cmd;
}

struct command_desk *
commands_free(struct command_desk *cmd)
{
	if (cmd == NULL)
		return NULL;
	(void)clients_free(cmd->clients);
	(void)conf_free(cmd->conf);
	free(cmd);
	return NULL;
}
