/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account.c: see account.h.
 *
 * A credential belongs to somebody: tokens belong to a login at an authorization server and to a client,
 * a password belongs to a login at a submission server. The record says to whom. While the configuration
 * names another, the credential stays stored and is not used. So no reload ever sends a credential to a
 * server, or under an account, that it was not given for.
 *
 * A secret that the configuration refers to counts before one in the store. The store takes none then, so
 * that there is one place to look.
 */
#include "broker/keeper/accounts/account.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/issuer.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/keeper/accounts/derive.h"

enum { VIEW_MAX = 3000 };

/* ---- the record ---- */

#define PAIR(member, packed)                                                                 \
	{                                                                                    \
		offsetof(struct account_record, member), offsetof(struct credential, packed) \
	}

struct pair {
	size_t record, credential;
};

static const struct pair secrets[] = {
    PAIR(client.secret, client_secret),
    PAIR(client.key, signing_key),
    PAIR(password.secret, password),
    PAIR(invitation, invitation),
};

static const struct pair texts[] = {
    PAIR(client.id, client_secret_id),
    PAIR(client.server, client_secret_server),
    PAIR(client.key_id, signing_key_id),
    PAIR(password.user, password_user),
    PAIR(password.host, password_host),
    PAIR(tokens.issuer, issuer),
    PAIR(tokens.token_endpoint, token_endpoint),
    PAIR(tokens.client_id, client_id),
    PAIR(tokens.mailbox, mailbox),
    PAIR(tokens.auth_user, auth_user),
    PAIR(tokens.identity, identity),
};

/* The pointer at this offset. */
static void *
member(const void *of, size_t offset)
{
	void *p;

	memcpy(&p, (const char *)of + offset, sizeof(p));
	return p;
}

static void
set_member(void *of, size_t offset, void *value)
{
	memcpy((char *)of + offset, &value, sizeof(value));
}

static void
record_clear(struct account_record *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		(void)vault_drop(member(r, secrets[i].record));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(member(r, texts[i].record));
	*r = (struct account_record){0};
}

/* Takes what an unpacked credential holds. 0 or -ENOMEM. */
static int
record_take(struct account_record *r, struct vault *v, struct credential *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		const struct secret *from = member(c, secrets[i].credential);
		struct sealed *sealed = vault_seal(v, from);

		if (from != NULL && sealed == NULL)
			return -ENOMEM;
		set_member(r, secrets[i].record, sealed);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		set_member(r, texts[i].record, member(c, texts[i].credential));
		set_member(c, texts[i].credential, NULL);
	}
	return 0;
}

/* Copies into a credential that is to be packed. 0 or -ENOMEM. */
static int
record_fill(const struct account_record *r, const struct vault *v, struct credential *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		const struct sealed *from = member(r, secrets[i].record);
		struct secret *open = vault_open(v, from);

		if (from != NULL && open == NULL)
			return -ENOMEM;
		set_member(c, secrets[i].credential, open);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *copy;

		if (text_copy(member(r, texts[i].record), &copy) < 0)
			return -ENOMEM;
		set_member(c, texts[i].credential, copy);
	}
	return 0;
}

/* Forgets the tokens; the secrets that a person gave stay. */
static void
record_clear_tokens(struct account_record *r)
{
	struct account_record kept = {.client = r->client, .password = r->password};

	memset(&r->client, 0, sizeof(r->client));
	memset(&r->password, 0, sizeof(r->password));
	record_clear(r);
	*r = kept;
}

/* ---- the account ---- */

/* Gives the machine the parts of the configuration that it needs. */
static void
configure_machine(const struct account_conf *c, struct machine *m)
{
	struct diagnosis_facts whose;

	account_conf_facts(c, &whose);
	machine_set_min_valid(m, c->min_valid);
	machine_describe(m, &whose, grant_is_unattended(c->grant));
}

struct account *
account_new(struct account_conf *conf, struct vault *v, const struct account_ops *ops)
{
	struct account *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		(void)account_conf_free(conf);
		return NULL;
	}
	a->conf = conf;
	a->vault = v;
	a->ops = ops;
	a->trouble = STORE_UNREADABLE;
	a->machine = machine_new(conf->name, v, ops->random, ops->arg);
	if (a->machine == NULL)
		return account_free(a);
	configure_machine(conf, a->machine);
	return a;
}

struct account *
account_free(struct account *a)
{
	if (a != NULL) {
		record_clear(&a->record);
		(void)machine_free(a->machine);
		(void)store_account_free(a->file);
		(void)account_conf_free(a->conf);
		free(a->logged);
		free(a->endpoint);
		free(a);
	}
	return NULL;
}

static struct machine_now
now_of(const struct account *a)
{
	return a->ops->now(a->ops->arg);
}

/* ---- whose credential it is ---- */

static bool
same_nocase(const char *a, const char *b)
{
	return strcasecmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* Why the stored tokens are not for the present configuration: NULL where they are. `was` and `is`
 * say more. */
static const char *
tokens_mismatch(const struct account *a, const char **was, const char **is)
{
	const struct account_record *r = &a->record;
	const struct account_conf *c = a->conf;

	*was = r->tokens.auth_user != NULL ? r->tokens.auth_user : r->tokens.mailbox;
	*is = account_conf_login(c);
	if (!same_nocase(*was, *is))
		return "login";
	*was = r->tokens.client_id;
	*is = c->client_id;
	if (!text_same(*was, *is))
		return "client-id";
	if (r->tokens.token_endpoint != NULL && c->token_endpoint != NULL) {
		*was = r->tokens.token_endpoint;
		*is = c->token_endpoint;
		return issuer_is_same_origin(*was, *is) ? NULL : "token endpoint";
	}
	*was = r->tokens.issuer;
	*is = c->issuer;
	return text_same(*was, *is) ? NULL : "issuer";
}

bool
account_tokens_fit(const struct account *a)
{
	const char *was, *is;

	return tokens_mismatch(a, &was, &is) == NULL;
}

/* The same of the client's secret or key in the store. One that was stored before Frank noted whose
 * it is counts as the present client's. */
static const char *
client_mismatch(const struct account *a, const char **was, const char **is)
{
	const struct account_record *r = &a->record;
	const char *server = account_conf_server(a->conf);

	*was = r->client.id;
	*is = a->conf->client_id;
	if (*was != NULL && !text_same(*was, *is))
		return "client-id";
	*was = r->client.server;
	*is = server;
	if (*was == NULL || (server != NULL && issuer_is_same_origin(*was, server)))
		return NULL;
	return "authorization server";
}

static const char *
password_mismatch(const struct account *a, const char **was, const char **is)
{
	*was = a->record.password.user;
	*is = account_conf_login(a->conf);
	if (!same_nocase(*was, *is))
		return "login";
	*was = a->record.password.host;
	*is = a->conf->host;
	return same_nocase(*was, *is) ? NULL : "submission server";
}

static bool
has_tokens(const struct account *a)
{
	return !grant_is_unattended(a->conf->grant) &&
	       machine_standing(a->machine) != MACHINE_EMPTY;
}

/* Is there a secret or key with which the client can ask by itself? */
static bool
has_client(const struct account *a)
{
	const char *was, *is;
	bool configured, stored;

	if (account_conf_signs(a->conf)) {
		configured = a->conf->sealed_key != NULL;
		stored = a->record.client.key != NULL;
	} else {
		configured = a->conf->sealed_secret != NULL;
		stored = a->record.client.secret != NULL;
	}
	return configured || (stored && client_mismatch(a, &was, &is) == NULL);
}

/* Lets the machine work, or not. */
static void
check_binding(struct account *a)
{
	const char *was, *is;
	bool fits;

	if (grant_is_unattended(a->conf->grant))
		fits = has_client(a);
	else
		fits = grant_needs_person(a->conf->grant) &&
		       (!has_tokens(a) || tokens_mismatch(a, &was, &is) == NULL);
	machine_suspend(a->machine, now_of(a), a->paused || !fits);
}

void
account_pause(struct account *a, bool paused)
{
	a->paused = paused;
	check_binding(a);
}

/* ---- reading and writing ---- */

static void
log_status(const struct account *a)
{
	if (a->status != FILE_GOOD && a->status != FILE_ABSENT)
		log_line(a->status == FILE_TORN ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR,
		    store_file_status_text(a->status),
		    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_FILE, store_account_file(a->file)},
			{LOG_OUTCOME, store_file_status_name(a->status)}));
}

int
account_open(struct account *a, struct store *s)
{
	struct credential c CLEANUP_CREDENTIAL = {0};
	CLEANUP_SECRET struct secret *payload = NULL;
	int r = store_account_open(s, a->conf->name, &a->file);

	if (r < 0)
		return r;
	a->trouble = STORE_FINE;
	a->status = store_account_status(a->file);
	log_status(a);
	payload = store_account_take(a->file);
	if (payload != NULL) {
		r = credential_unpack(secret_bytes(payload), secret_len(payload), &c);
		if (r == 0)
			r = record_take(&a->record, a->vault, &c);
		if (r == 0)
			r = machine_load(
			    a->machine, now_of(a), &c, store_account_generation(a->file));
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			log_line(LOG_LEVEL_ERROR,
			    "The account's sealed record was written by a later release of Frank.",
			    LOG_PAIRS({LOG_ACCOUNT, a->conf->name},
				{LOG_FILE, store_account_file(a->file)}));
			store_account_distrust(a->file);
			a->status = FILE_DAMAGED;
		}
	}
	check_binding(a);
	return 0;
}

int
account_reload(struct account *a, struct store *s)
{
	struct machine *fresh = machine_new(a->conf->name, a->vault, a->ops->random, a->ops->arg);

	if (fresh == NULL)
		return -ENOMEM;
	configure_machine(a->conf, fresh);
	(void)machine_free(a->machine);
	a->machine = fresh;
	record_clear(&a->record);
	a->file = store_account_free(a->file);
	a->replace = false;
	a->write_error = 0;
	return account_open(a, s);
}

static int
write_payload(struct account *a, const struct secret *payload)
{
	uint64_t generation = machine_generation(a->machine);
	int r = store_account_write(a->file, generation, payload, a->replace);

	if (r != -ESTALE)
		return r;
	/* What we hold is newer than whatever somebody put there: theirs is kept aside, ours is
	 * written. */
	log_line(LOG_LEVEL_ERROR,
	    "The account's sealed file was changed by somebody else; it is kept aside.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_FILE, store_account_file(a->file)}));
	store_account_distrust(a->file);
	return store_account_write(a->file, generation, payload, true);
}

static int
account_write(struct account *a)
{
	struct credential c CLEANUP_CREDENTIAL = {0};
	CLEANUP_SECRET struct secret *payload = NULL;
	int r = a->file == NULL ? -ENOKEY : machine_fill(a->machine, now_of(a), &c);

	if (r == 0)
		r = record_fill(&a->record, a->vault, &c);
	if (r == 0)
		r = credential_pack(&c, &payload);
	if (r == 0)
		r = write_payload(a, payload);
	if (r == 0) {
		a->status = FILE_GOOD;
		a->replace = false;
		if (a->write_error != 0)
			log_line(LOG_LEVEL_NOTICE, "The token store can be written again.",
			    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}));
	} else if (r != a->write_error) {
		log_line(LOG_LEVEL_ERROR, "The account's sealed record cannot be written.",
		    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_ERROR, strerror(-r)}));
	}
	a->write_error = r;
	return r;
}

int
account_rewrite(struct account *a)
{
	return account_write(a);
}

void
account_run(struct account *a)
{
	struct machine_action act;

	if (a->running)
		return;
	a->running = true;
	do {
		struct machine_now now = now_of(a);

		act = machine_next(a->machine, now);
		switch (act.act) {
		case MACHINE_WRITE:
			machine_written(a->machine, now, account_write(a));
			break;
		case MACHINE_ASK:
			a->ops->ask(a->ops->arg, a, act.request);
			break;
		case MACHINE_GRANT:
		case MACHINE_REFUSE:
			a->ops->decide(a->ops->arg, a, act.waiter, act.act == MACHINE_GRANT);
			break;
		case MACHINE_CHANGED:
			a->ops->changed(a->ops->arg, a);
			break;
		case MACHINE_NOTHING:
			break;
		}
	} while (act.act != MACHINE_NOTHING);
	a->running = false;
}

void
account_flush(struct account *a)
{
	if (machine_is_unwritten(a->machine))
		machine_written(a->machine, now_of(a), account_write(a));
}

bool
account_configure(struct account *a, struct account_conf *conf)
{
	bool same = account_conf_same(a->vault, a->conf, conf);

	(void)account_conf_free(a->conf);
	a->conf = conf;
	configure_machine(conf, a->machine);
	if (!same) {
		a->conf_serial++;
		free(a->endpoint);
		a->endpoint = NULL;
		machine_renew(a->machine, now_of(a));
	} else {
		/* A person who reloads may have mended the client at the provider. */
		machine_reconsider(a->machine, now_of(a));
	}
	check_binding(a);
	return !same;
}

/* ---- the views ---- */

struct secret *
account_password(const struct account *a)
{
	const char *was, *is;
	CLEANUP_SECRET struct secret *key = NULL;
	struct secret *s = NULL;

	if (a->conf->sealed_password != NULL)
		s = vault_open(a->vault, a->conf->sealed_password);
	else if (a->record.password.secret != NULL && password_mismatch(a, &was, &is) == NULL)
		s = vault_open(a->vault, a->record.password.secret);
	if (s == NULL || a->conf->password_derivation != CONF_PASSWORD_DERIVATION_AWS_SES)
		return s;
	key = s;
	return derive_ses_password(key, a->conf->region == NULL ? "" : a->conf->region);
}

/* A client's secret or key in the store goes only to the server that it was given for. */
static struct secret *
open_client(const struct account *a, const struct sealed *configured, const struct sealed *stored)
{
	const char *was, *is;

	if (configured != NULL)
		return vault_open(a->vault, configured);
	return stored == NULL || client_mismatch(a, &was, &is) != NULL
		   ? NULL
		   : vault_open(a->vault, stored);
}

struct secret *
account_client_secret(const struct account *a)
{
	return open_client(a, a->conf->sealed_secret, a->record.client.secret);
}

struct secret *
account_signing_key(const struct account *a)
{
	return open_client(a, a->conf->sealed_key, a->record.client.key);
}

const char *
account_token_endpoint(const struct account *a)
{
	return a->conf->token_endpoint != NULL ? a->conf->token_endpoint : a->endpoint;
}

static void
view_set(struct account_view *v, const char *state, const char *text, const char *next)
{
	v->state = state;
	v->usable = false;
	(void)buf_append_str(&v->text, text);
	(void)buf_append_str(&v->next, next);
}

static void
view_mismatch(struct account_view *v, const char *what, const char *credential, const char *was,
    const char *is)
{
	view_set(v, "needs-authorization", "", "");
	(void)buf_printf(&v->text, "The stored %s is for the %s %s; the account now names %s.",
	    credential, what, was == NULL ? "(none)" : was,
	    is == NULL || *is == '\0' ? "none" : is);
}

/* The next step, as the account's grant and the place of its secret allow it. */
static void
view_step(struct account_view *v, const struct account *a, const char *format)
{
	struct diagnosis_facts whose;
	char step[512];

	account_conf_facts(a->conf, &whose);
	diagnosis_step(format, &whose, step, sizeof(step));
	(void)buf_append_str(&v->next, step);
}

/* True where the file or the store has the last word. */
static bool
view_store(const struct account *a, struct account_view *v)
{
	if (a->file == NULL) {
		view_set(v, "configuration", store_trouble_text(a->trouble),
		    store_trouble_next(a->trouble));
		return true;
	}
	if (a->status == FILE_GOOD || a->status == FILE_ABSENT || a->status == FILE_TORN ||
	    has_tokens(a) || a->record.password.secret != NULL || a->record.client.secret != NULL ||
	    a->record.client.key != NULL)
		return false;
	view_set(v, "needs-authorization", store_file_status_text(a->status), "");
	(void)buf_printf(&v->next,
	    "Put the file %s back from a backup and restart, or give a new credential: ",
	    store_account_file(a->file));
	view_step(v, a, "{renew}.");
	return true;
}

static void
view_password(const struct account *a, struct account_view *v)
{
	const char *was, *is, *what;

	if (a->conf->sealed_password != NULL || view_store(a, v))
		return;
	if (a->record.password.secret == NULL) {
		view_set(v, "needs-authorization", "No password is stored for this account.", "");
		view_step(v, a, "{Renew}.");
		return;
	}
	what = password_mismatch(a, &was, &is);
	if (what != NULL) {
		view_mismatch(v, what, "password", was, is);
		view_step(v, a, "{Renew}.");
	}
}

/* How the machine stands. */
static void
view_machine(const struct account *a, struct account_view *v)
{
	const struct machine_report *report = machine_report(a->machine);

	v->until = machine_retry_at(a->machine, now_of(a));
	v->state = machine_state_name(machine_standing(a->machine));
	v->usable = machine_standing(a->machine) == MACHINE_ACTIVE;
	(void)buf_append_str(&v->text, buf_str(&report->text));
	(void)buf_append_str(&v->next, buf_str(&report->next));
	v->words = buf_str(&report->words);
	v->cause = report->cause;
	v->fixer = report->fixer;
}

static void
view_unattended(const struct account *a, struct account_view *v)
{
	bool signs = account_conf_signs(a->conf);
	const char *was, *is, *what;

	if (has_client(a)) {
		view_machine(a, v);
		return;
	}
	if (view_store(a, v))
		return;
	if (signs ? a->record.client.key == NULL : a->record.client.secret == NULL) {
		view_set(v, "needs-authorization",
		    signs ? "No key is stored for this account's client, and none is configured."
			  : "No secret is stored for this account's client, and none is "
			    "configured.",
		    "");
		view_step(v, a, "{Renew}.");
		return;
	}
	what = client_mismatch(a, &was, &is);
	view_mismatch(v, what, signs ? "key" : "client secret", was, is);
	view_step(v, a, "{Renew}.");
}

static void
view_token(const struct account *a, struct account_view *v)
{
	const char *was, *is, *what;

	if (view_store(a, v))
		return;
	if (!has_tokens(a)) {
		view_set(
		    v, "needs-authorization", "Nobody has signed in for this account yet.", "");
		view_step(v, a, "{Renew}.");
		return;
	}
	what = tokens_mismatch(a, &was, &is);
	if (what != NULL) {
		view_mismatch(v, what, "sign-in", was, is);
		view_step(v, a, "{Renew}.");
		return;
	}
	view_machine(a, v);
	if (a->status == FILE_DAMAGED && v->text.len == 0)
		(void)buf_append_str(&v->text, store_file_status_text(a->status));
}

void
account_view(const struct account *a, struct account_view *ret)
{
	*ret = (struct account_view){.state = "active",
	    .usable = true,
	    .words = "",
	    .cause = "",
	    .fixer = "",
	    .text = BUF_INIT(VIEW_MAX),
	    .next = BUF_INIT(VIEW_MAX)};
	if (grant_rows[a->conf->grant].credential == GRANT_GIVES_PASSWORD)
		view_password(a, ret);
	else if (grant_needs_person(a->conf->grant))
		view_token(a, ret);
	else if (grant_is_unattended(a->conf->grant))
		view_unattended(a, ret);
}

void
account_view_clear(struct account_view *v)
{
	buf_free(&v->text);
	buf_free(&v->next);
}

/* ---- new credentials ---- */

int
account_adopt(struct account *a, const struct machine_answer *answer, const char *identity,
    const char *issuer, const char *token_endpoint)
{
	struct account_record fresh = {0};
	int e;

	if (a->file == NULL)
		return -ENOKEY;
	if (text_copy(identity, &fresh.tokens.identity) < 0 ||
	    text_copy(issuer, &fresh.tokens.issuer) < 0 ||
	    text_copy(token_endpoint, &fresh.tokens.token_endpoint) < 0 ||
	    text_copy(a->conf->client_id, &fresh.tokens.client_id) < 0 ||
	    text_copy(a->conf->mailbox, &fresh.tokens.mailbox) < 0 ||
	    text_copy(a->conf->auth_user, &fresh.tokens.auth_user) < 0)
		e = -ENOMEM;
	else
		e = machine_adopt(a->machine, now_of(a), answer);
	if (e < 0) {
		record_clear(&fresh);
		return e;
	}
	record_clear_tokens(&a->record);
	a->record.tokens = fresh.tokens;
	a->replace = true;
	a->given = now_of(a).wall;
	check_binding(a);
	account_run(a);
	a->ops->changed(a->ops->arg, a);
	return machine_is_unwritten(a->machine) ? a->write_error : 0;
}

enum account_secret
account_secret_kind(const struct account *a)
{
	return grant_rows[a->conf->grant].credential == GRANT_GIVES_PASSWORD ? SECRET_PASSWORD
	       : account_conf_signs(a->conf)                                 ? SECRET_SIGNING_KEY
									     : SECRET_CLIENT;
}

static struct sealed **
secret_place(struct account_record *r, enum account_secret kind)
{
	return kind == SECRET_PASSWORD ? &r->password.secret
	       : kind == SECRET_CLIENT ? &r->client.secret
				       : &r->client.key;
}

/* Frees what put_secret sets. */
static void
drop_secret(struct account_record *r, enum account_secret kind)
{
	(void)vault_drop(*secret_place(r, kind));
	if (kind == SECRET_PASSWORD) {
		free(r->password.user);
		free(r->password.host);
		return;
	}
	free(r->client.id);
	free(r->client.server);
	free(r->client.key_id);
}

/* Puts the secret, and whom it belongs to, into the record. What was there is not freed. 0 or -ENOMEM. */
static int
put_secret(struct account *a, enum account_secret kind, struct sealed *sealed, const char *key_id)
{
	struct account_record *r = &a->record;
	const struct account_conf *c = a->conf;
	int e;

	*secret_place(r, kind) = sealed;
	if (kind == SECRET_PASSWORD) {
		r->password.user = r->password.host = NULL;
		e = text_copy(account_conf_login(c), &r->password.user);
		return e < 0 ? e : text_copy(c->host, &r->password.host);
	}
	r->client.id = r->client.server = r->client.key_id = NULL;
	e = text_copy(c->client_id, &r->client.id);
	if (e == 0)
		e = text_copy(account_conf_server(c), &r->client.server);
	return e < 0 ? e : text_copy(key_id, &r->client.key_id);
}

int
account_set_secret(struct account *a, const struct secret *s, const char *key_id)
{
	enum account_secret kind = account_secret_kind(a);
	const struct sealed *const configured[] = {
	    a->conf->sealed_password, a->conf->sealed_secret, a->conf->sealed_key};
	struct account_record before = a->record;
	struct sealed *sealed;
	int e;

	if (configured[kind] != NULL)
		return -EPERM;
	if (a->file == NULL)
		return -ENOKEY;
	sealed = vault_seal(a->vault, s);
	if (sealed == NULL)
		return -ENOMEM;
	a->replace = true;
	machine_raise_generation(a->machine, machine_generation(a->machine) + 1);
	e = put_secret(a, kind, sealed, kind == SECRET_CLIENT ? before.client.key_id : key_id);
	if (e == 0)
		e = account_write(a);
	drop_secret(e < 0 ? &a->record : &before, kind);
	if (e < 0)
		a->record = before;
	a->replace = false;
	if (e == 0) {
		a->given = now_of(a).wall;
		check_binding(a);
		machine_renew(a->machine, now_of(a));
		account_run(a);
		a->ops->changed(a->ops->arg, a);
	}
	return e;
}

int
account_forget(struct account *a, bool all)
{
	int e;

	if (a->file == NULL)
		return -ENOKEY;
	e = machine_wipe(a->machine, now_of(a));
	if (e < 0)
		return e;
	if (all)
		record_clear(&a->record);
	else
		record_clear_tokens(&a->record);
	check_binding(a);
	/* A record has two places on disk, which are written in turn: two writes erase both. */
	e = account_write(a);
	if (e == 0)
		e = account_write(a);
	account_run(a);
	a->ops->changed(a->ops->arg, a);
	return e;
}

int
account_set_invitation(struct account *a, const struct secret *packed)
{
	struct sealed *old = a->record.invitation, *sealed = vault_seal(a->vault, packed);
	int e;

	if (a->file == NULL || (packed != NULL && sealed == NULL)) {
		(void)vault_drop(sealed);
		return a->file == NULL ? -ENOKEY : -ENOMEM;
	}
	a->record.invitation = sealed;
	machine_raise_generation(a->machine, machine_generation(a->machine) + 1);
	e = account_write(a);
	if (e < 0)
		a->record.invitation = old;
	(void)vault_drop(e < 0 ? sealed : old);
	return e;
}
