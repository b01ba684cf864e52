/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * attempt.c: see attempt.h.
 *
 *     discover ─▶ (the person signs in) ─▶ TOKEN_REQUEST ─▶ (USERINFO) ─▶ sealed ─▶ KEEPER_DONE
 *
 * Up to ATTEMPTS_PER_ACCOUNT attempts for one account live side by side, so that a person who called the
 * command twice may finish either. When tokens come, their scope is checked first, then their audience,
 * then who signed in. Nothing is stored, and what was stored before stays, until all three hold.
 */
#include "broker/keeper/sign-in/attempt.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "base/codec.h"
#include "base/text.h"
#include "broker/keeper/accounts/scope.h"
#include "broker/keeper/sign-in/authorization-request.h"

enum { ATTEMPTS_PER_ACCOUNT = 4, GRANTED_MAX = 500 };

/* ---- the life of an attempt ---- */

void
attempt_free(struct attempt *t)
{
	LIST_REMOVE(t, entry);
	token_request_cancel(t->all->requests, t);
	if (t->timer != NULL)
		event_free(t->timer);
	if (t->poll != NULL)
		event_free(t->poll);
	(void)vault_drop(t->state);
	(void)vault_drop(t->verifier);
	(void)vault_drop(t->nonce);
	(void)vault_drop(t->code);
	(void)vault_drop(t->device_code);
	(void)vault_drop(t->access);
	(void)vault_drop(t->refresh);
	free(t->redirect_uri);
	free(t->issuer);
	free(t->authorization_endpoint);
	free(t->token_endpoint);
	free(t->device_endpoint);
	free(t->userinfo_endpoint);
	free(t->scope);
	identity_known_clear(&t->known);
	free(t->refusal);
	free(t->refusal_next);
	free(t);
}

void
attempt_finish(struct attempt *t, int exit, const char *next, const char *format, ...)
{
	struct buf sentence CLEANUP_BUF = BUF_INIT(2 * SIGN_IN_TEXT_MAX);
	struct client *c = t->client;
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&sentence, format, ap);
	va_end(ap);
	log_line(exit == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, buf_str(&sentence),
	    LOG_PAIRS({LOG_ACCOUNT, t->account->conf->name},
		{LOG_OUTCOME, exit == 0 ? "authorized" : "not-authorized"}));
	attempt_free(t);
	if (c != NULL)
		client_done(c, exit, next, "%s", buf_str(&sentence));
}

void
attempt_fail_memory(struct attempt *t)
{
	attempt_finish(t, EX_TEMPFAIL, NULL, "Memory ran out.");
}

static void
judge(const struct attempt *t, const struct answer_facts *f, struct answer_verdict *ret)
{
	struct diagnosis_facts whose;

	account_conf_facts(t->account->conf, &whose);
	answer_judge(f, &whose, ret);
}

enum answer_class
attempt_judge(const struct attempt *t, const struct answer_facts *f)
{
	struct answer_verdict v;

	judge(t, f, &v);
	return v.class;
}

void
attempt_fail_facts(struct attempt *t, const struct answer_facts *f)
{
	struct answer_verdict v;
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX),
			next CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);

	judge(t, f, &v);
	answer_text(f, &v, &text);
	/* Unlike a refresh a sign-in is not repeated by itself. Where somebody here has to do
	 * something, that comes first. */
	if (v.class != ANSWER_TRANSIENT)
		(void)buf_append_str(&next, v.d.next);
	else if (strcmp(v.d.fixer, "provider") == 0 || v.d.retry == RETRY_THROTTLED)
		(void)buf_printf(&next, "Try again in a moment: run `frank authorize %s`.",
		    t->account->conf->name);
	else
		(void)buf_printf(&next,
		    "%s A sign-in is not repeated by itself: run `frank authorize %s` then.",
		    v.d.next, t->account->conf->name);
	attempt_finish(t,
	    v.class == ANSWER_TRANSIENT ? EX_TEMPFAIL
	    : v.class == ANSWER_CLIENT  ? EX_CONFIG
					: EX_NOPERM,
	    buf_str(&next), "%s", buf_str(&text));
}

void
attempt_fail_write(struct attempt *t, int error)
{
	attempt_finish(t, EX_IOERR, "Nothing has changed. Mend the disk and try again.",
	    "The token store cannot be written: %s.", strerror(-error));
}

bool
attempt_conf_changed(struct attempt *t)
{
	if (t->conf_serial == t->account->conf_serial)
		return false;
	attempt_finish(t, EX_TEMPFAIL, "Start again with frank authorize.",
	    "The account's configuration changed in the middle of the sign-in.");
	return true;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *t = arg;
	struct timeval more = {.tv_sec = 60};

	if (t->phase > WAITING && evtimer_add(t->timer, &more) == 0)
		return; /* the server has the code: its answer is on the way, or a fault */
	attempt_finish(t, EX_TEMPFAIL, "Start again with frank authorize.", "%s",
	    t->device_code == NULL ? "Nobody finished signing in within ten minutes."
				   : "Nobody finished signing in while the code was valid.");
}

/* Makes room for one more: the oldest of the account's goes. */
static void
evict(struct attempts *all, const struct account *a)
{
	struct attempt *t, *oldest = NULL;
	unsigned count = 0;

	LIST_FOREACH (t, &all->list, entry)
		if (t->account == a) {
			count++;
			oldest = t;
		}
	if (count >= ATTEMPTS_PER_ACCOUNT)
		attempt_finish(oldest, EX_TEMPFAIL, NULL,
		    "Newer attempts to sign in took the place of this one.");
}

static int
make_secrets(struct attempt *t)
{
	const struct file_ops *files = t->all->files;
	struct vault *v = t->all->vault;
	uint8_t random[3 * AUTHORIZATION_REQUEST_RANDOM];
	struct authorization_secrets s = {0};
	int r = files->random(files->arg, random, sizeof(random));

	if (r == 0)
		r = files->random(files->arg, t->id, sizeof(t->id));
	if (r == 0)
		r = authorization_request_make_secrets(random, &s);
	mem_wipe(random, sizeof(random));
	if (r < 0)
		return r;
	t->state = vault_seal(v, s.state);
	t->verifier = vault_seal(v, s.verifier);
	t->nonce = vault_seal(v, s.nonce);
	authorization_request_clear_secrets(&s);
	return t->state == NULL || t->verifier == NULL || t->nonce == NULL ? -ENOMEM : 0;
}

int
attempt_set_life(struct attempt *t, uint64_t seconds)
{
	struct timeval life = {.tv_sec = (time_t)seconds};

	return evtimer_add(t->timer, &life) < 0 ? -ENOMEM : 0;
}

static int
start(struct attempt *t, const char *redirect_uri)
{
	const struct account_conf *conf = t->account->conf;

	t->timer = evtimer_new(t->all->base, on_timer, t);
	if (t->timer == NULL || attempt_set_life(t, ATTEMPT_LIFE) < 0 ||
	    text_copy(redirect_uri, &t->redirect_uri) < 0 ||
	    text_copy(conf->issuer, &t->issuer) < 0 ||
	    text_copy(conf->authorization_endpoint, &t->authorization_endpoint) < 0 ||
	    text_copy(conf->token_endpoint, &t->token_endpoint) < 0 ||
	    text_copy(conf->device_endpoint, &t->device_endpoint) < 0 ||
	    text_copy(conf->userinfo_endpoint, &t->userinfo_endpoint) < 0)
		return -ENOMEM;
	return make_secrets(t);
}

struct attempt *
attempt_new(struct attempts *all, struct client *c, struct account *a, const char *redirect_uri,
    const char *sentence)
{
	char uid[CLIENT_UID_TEXT];
	struct attempt *t;

	evict(all, a);
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		client_done_memory(c);
		return NULL;
	}
	*t = (struct attempt){.all = all, .account = a, .conf_serial = a->conf_serial, .client = c};
	LIST_INSERT_HEAD(&all->list, t, entry);
	if (start(t, redirect_uri) < 0) {
		attempt_fail_memory(t);
		return NULL;
	}
	log_line(LOG_LEVEL_NOTICE, sentence,
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_UID, client_uid_text(c, uid)}));
	return t;
}

/* ---- the start ---- */

/* A configured endpoint counts before a discovered one. */
static int
take_discovered(const struct message *m, enum field f, char **to)
{
	return *to != NULL ? 0 : text_copy(message_str(m, f), to);
}

/* The issuer's metadata is not what the configuration expects. */
static void
fail_unfit(struct attempt *t, const char *fault)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);

	(void)buf_append_str(&text, "The issuer's metadata cannot be used: ");
	(void)text_plain(&text, fault, strlen(fault), SIGN_IN_TEXT_MAX);
	(void)buf_append_char(&text, '.');
	attempt_finish(t, EX_CONFIG,
	    "Correct issuer in the account's block; if that is right, name the endpoints there one "
	    "by one.",
	    "%s", buf_str(&text));
}

/* 0 or -ENOMEM. */
static int
take_metadata(struct attempt *t, const struct message *m)
{
	const char *issuer = message_str(m, F_ISSUER);

	if (take_discovered(m, F_AUTHORIZATION_ENDPOINT, &t->authorization_endpoint) < 0 ||
	    take_discovered(m, F_TOKEN_ENDPOINT, &t->token_endpoint) < 0 ||
	    take_discovered(m, F_DEVICE_ENDPOINT, &t->device_endpoint) < 0 ||
	    take_discovered(m, F_USERINFO_ENDPOINT, &t->userinfo_endpoint) < 0)
		return -ENOMEM;
	t->iss_required = message_u64(m, F_ISS_REQUIRED, 0) != 0;
	if (issuer == NULL)
		return 0;
	/* As the document spells it: Microsoft's has a hole for the tenant. */
	free(t->issuer);
	return text_copy(issuer, &t->issuer);
}

static void
discovered(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct attempt *t = arg;
	const struct message *m = answer->message;

	if (attempt_conf_changed(t))
		return;
	if (answer->fault != NULL && m != NULL && message_has(m, F_UNFIT))
		fail_unfit(t, answer->fault);
	else if (answer->fault != NULL)
		attempt_fail_facts(t, &(struct answer_facts){.fault = answer->fault});
	else if (take_metadata(t, m) < 0)
		attempt_fail_memory(t);
	else if (t->token_endpoint == NULL)
		attempt_finish(t, EX_CONFIG, "Set token-endpoint in the account's block.",
		    "The issuer's metadata names no token endpoint.");
	else
		t->discovered(t);
}

void
attempt_discover(struct attempt *t, bool lacking, void (*next)(struct attempt *t))
{
	if (!lacking) {
		next(t);
		return;
	}
	t->phase = DISCOVERING;
	t->discovered = next;
	fetch_request_discover(t->all->fetch, t->account->conf->name, t->issuer, discovered, t);
}

/* Tells the client why nobody can sign in for this account, before a person tries. True where that is so. */
static bool
refuse_start(struct client *c, const struct account *a)
{
	const struct account_conf *conf = a->conf;
	struct diagnosis_facts whose;
	char step[512];

	account_conf_facts(conf, &whose);
	diagnosis_step("{Renew}.", &whose, step, sizeof(step));
	if (conf->grant == GRANT_PASSWORD)
		client_done(c, EX_CONFIG, step, "This account signs in with a password.");
	else if (!grant_needs_person(conf->grant))
		client_done(c, EX_CONFIG, NULL,
		    "This account needs nobody to sign in: its grant is another.");
	else if (conf->client_id == NULL)
		client_done(c, EX_CONFIG,
		    "Register an application with the provider and set client-id.",
		    "The account has no client-id.");
	else if (conf->issuer == NULL && conf->token_endpoint == NULL)
		client_done(c, EX_CONFIG, "Set issuer, or the endpoints one by one.",
		    "The account names neither an issuer nor the token endpoint.");
	else if (a->file == NULL)
		client_done(c, EX_CONFIG, store_trouble_next(a->trouble), "%s",
		    store_trouble_text(a->trouble));
	else if (a->status == FILE_UNREADABLE)
		client_done(c, EX_IOERR,
		    "Mend the disk or the file's owner and mode, then restart.", "%s",
		    store_file_status_text(a->status));
	else
		return false;
	return true;
}

struct account *
attempt_account(const struct attempts *all, struct client *c, const struct message *m)
{
	struct account *a = accounts_find(all->accounts, message_str(m, F_ACCOUNT));

	if (a == NULL)
		client_done(c, EX_NOUSER, "See the names: frank status",
		    "The configuration has no account of that name.");
	else if (refuse_start(c, a))
		return NULL;
	return a;
}

/* ---- the end ---- */

/* Success, and what a person should know about it: a token that may do more than send mail. */
static void
finish_well(struct attempt *t, const char *text)
{
	const struct account *a = t->account;
	struct buf warning CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);
	struct client *c = t->client;

	scope_warn(a->conf->scopes, t->scope, &warning);
	log_line(LOG_LEVEL_NOTICE, text,
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_OUTCOME, "authorized"}));
	if (warning.len > 0)
		log_line(LOG_LEVEL_WARNING, buf_str(&warning),
		    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_OUTCOME, "broader-than-needed"}));
	attempt_free(t);
	if (c != NULL)
		client_done_warned(c, text, buf_str(&warning));
}

static void
store_tokens(struct attempt *t, const char *identity)
{
	const struct vault *v = t->all->vault;
	struct accounts *accounts = t->all->accounts;
	struct account *a = t->account;
	CLEANUP_SECRET struct secret *access = vault_open(v, t->access),
				     *refresh = vault_open(v, t->refresh);
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);
	uint64_t gone = (uint64_t)(accounts_now(accounts).boot - t->asked_at) / 1000;
	struct machine_answer answer = {.access_token = access,
	    .refresh_token = refresh,
	    .has_life = t->has_life,
	    .scope = t->scope,
	    .life = t->life > gone ? t->life - gone : 1,
	    .has_refresh_life = t->has_refresh_life,
	    .refresh_life = t->refresh_life};
	int r;

	if (access == NULL || refresh == NULL) {
		attempt_fail_memory(t);
		return;
	}
	r = account_adopt(a, &answer, identity, a->conf->issuer, t->token_endpoint);
	accounts_run(accounts, a);
	if (r == -ENOMEM) {
		attempt_fail_memory(t);
	} else if (r < 0) {
		attempt_finish(t, EX_IOERR,
		    "Mend the disk before Frank is stopped: the tokens are in memory, and it keeps "
		    "trying to write.",
		    "The sign-in succeeded, but the token store cannot be written: %s.",
		    strerror(-r));
	} else {
		(void)buf_append_str(&text, "Signed in");
		if (identity != NULL) {
			(void)buf_append_str(&text, " as ");
			(void)text_plain(&text, identity, strlen(identity), SIGN_IN_TEXT_MAX);
		}
		(void)buf_append_char(&text, '.');
		finish_well(t, buf_str(&text));
	}
}

static struct identity_expected
expected(const struct attempt *t, const struct secret *nonce)
{
	return (struct identity_expected){.conf = t->account->conf,
	    .issuer = t->issuer,
	    .authorization_endpoint = t->authorization_endpoint,
	    .token_endpoint = t->token_endpoint,
	    .nonce = nonce};
}

static void
fail_identity(
    struct attempt *t, enum identity_verdict verdict, const char *name, const struct message *m)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX),
			next CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);
	const struct identity_expected e = expected(t, NULL);

	identity_explain(verdict, name, m, &e, &text, &next);
	attempt_finish(t,
	    verdict == IDENTITY_UNKNOWN ? EX_CONFIG
	    : verdict == IDENTITY_MIXED ? EX_PROTOCOL
					: EX_NOPERM,
	    buf_str(&next), "%s", buf_str(&text));
}

/* What the ID token says is kept for an end that the userinfo endpoint has nothing to say about. */
static int
keep_refusal(
    struct attempt *t, enum identity_verdict verdict, const char *name, const struct message *m)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX),
			next CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);
	const struct identity_expected e = expected(t, NULL);

	if (verdict == IDENTITY_UNKNOWN && !message_has(m, F_ID_FAULT))
		return 0;
	identity_explain(verdict, name, m, &e, &text, &next);
	t->refusal = strdup(buf_str(&text));
	t->refusal_next = strdup(buf_str(&next));
	return t->refusal == NULL || t->refusal_next == NULL ? -ENOMEM : 0;
}

static void
finish_refused(struct attempt *t)
{
	CLEANUP_FREE char *text = TAKE_PTR(t->refusal), *next = TAKE_PTR(t->refusal_next);

	attempt_finish(t, EX_NOPERM, next, "%s", text);
}

static void
identified(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct attempt *t = arg;
	const struct message *m = answer->message;
	const struct identity_expected e = expected(t, NULL);
	enum identity_verdict verdict;
	const char *name;

	if (attempt_conf_changed(t))
		return;
	if (answer->fault != NULL) {
		if (t->refusal != NULL)
			finish_refused(t);
		else
			attempt_fail_facts(t, &(struct answer_facts){.fault = answer->fault});
		return;
	}
	verdict = identity_judge(m, &e, &t->known, &name);
	if (verdict == IDENTITY_UNKNOWN && t->refusal != NULL)
		finish_refused(t);
	else if (verdict == IDENTITY_FITS)
		store_tokens(t, name);
	else
		fail_identity(t, verdict, name, m);
}

static void
ask_userinfo(struct attempt *t, const struct secret *access)
{
	struct message *m = fetch_request_new(t->all->fetch, M_USERINFO, t->account->conf->name);

	t->phase = IDENTIFYING;
	message_put_str(m, F_USERINFO_ENDPOINT, t->userinfo_endpoint);
	message_put_secret(m, F_ACCESS_TOKEN, access);
	fetch_request_start(t->all->fetch, m, identified, t, 0);
}

/* Who signed in? */
static void
check_identity(struct attempt *t, const struct message *m, const struct secret *access)
{
	/* a device code has no nonce: the tokens came straight to whoever holds the code */
	CLEANUP_SECRET struct secret *nonce =
	    t->device_code != NULL ? NULL : vault_open(t->all->vault, t->nonce);
	const struct identity_expected e = expected(t, nonce);
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX),
			next CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);
	enum identity_verdict verdict;
	const char *name;

	if ((t->device_code == NULL && nonce == NULL) || identity_note(m, &t->known) < 0) {
		attempt_fail_memory(t);
		return;
	}
	if (identity_find_flaw(m, &e, &text, &next)) {
		attempt_finish(t, EX_PROTOCOL, buf_str(&next), "%s", buf_str(&text));
		return;
	}
	verdict = identity_judge(m, &e, &t->known, &name);
	if (verdict == IDENTITY_FITS || !t->account->conf->verify_identity)
		store_tokens(t, name);
	else if (t->userinfo_endpoint != NULL && keep_refusal(t, verdict, name, m) < 0)
		attempt_fail_memory(t);
	else if (t->userinfo_endpoint != NULL)
		ask_userinfo(t, access);
	else
		fail_identity(t, verdict, name, m);
}

static void
fail_scope(struct attempt *t, const char *lacking, const char *granted)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);

	(void)buf_append_str(&text, "The permission ");
	(void)text_plain(&text, lacking, strlen(lacking), GRANTED_MAX);
	(void)buf_append_str(&text, " was not granted, but ");
	(void)text_plain(&text, granted, strlen(granted), GRANTED_MAX);
	(void)buf_append_str(&text, ". Nothing was stored.");
	attempt_finish(
	    t, EX_NOPERM, "Sign in again and leave every permission ticked.", "%s", buf_str(&text));
}

static void
fail_audience(struct attempt *t, const char *audience)
{
	attempt_finish(t, EX_CONFIG,
	    "Check scopes in the account's block: they name another service than the mail server.",
	    "The access token is meant for %s, which is not what the account's audience names. "
	    "Nothing was stored.",
	    audience);
}

void
attempt_take_tokens(struct attempt *t, const struct message *m, const struct machine_answer *answer)
{
	struct vault *v = t->all->vault;

	if (answer->lacking != NULL) {
		fail_scope(t, answer->lacking, answer->scope);
	} else if (answer->misdirected != NULL) {
		fail_audience(t, answer->misdirected);
	} else if (answer->refresh_token == NULL || answer->access_token == NULL) {
		attempt_finish(t, EX_CONFIG,
		    "Microsoft wants the scope offline_access for one, Google access_type=offline "
		    "and prompt=consent in extra-parameters.",
		    "The provider gave no refresh token, so the sign-in would end within the hour. "
		    "Nothing was stored.");
	} else {
		t->access = vault_seal(v, answer->access_token);
		t->refresh = vault_seal(v, answer->refresh_token);
		t->has_life = answer->has_life;
		t->life = answer->life;
		t->has_refresh_life = answer->has_refresh_life;
		t->refresh_life = answer->refresh_life;
		if (t->access == NULL || t->refresh == NULL ||
		    text_copy(answer->scope, &t->scope) < 0)
			attempt_fail_memory(t);
		else
			check_identity(t, m, answer->access_token);
	}
}

/* ---- all of them ---- */

void
attempts_forget_client(struct attempts *all, const struct client *c)
{
	struct attempt *t;

	LIST_FOREACH (t, &all->list, entry)
		if (t->client == c)
			t->client = NULL;
}

void
attempts_forget_account(struct attempts *all, const struct account *a)
{
	struct attempt *t, *next;

	for (t = LIST_FIRST(&all->list); t != NULL; t = next) {
		next = LIST_NEXT(t, entry);
		if (t->account == a)
			attempt_finish(
			    t, EX_CONFIG, NULL, "The account was taken out of the configuration.");
	}
}

bool
attempts_under_way(const struct attempts *all, const struct account *a)
{
	const struct attempt *t;

	LIST_FOREACH (t, &all->list, entry)
		if (t->account == a)
			return true;
	return false;
}

void
attempts_clear(struct attempts *all)
{
	while (!LIST_EMPTY(&all->list))
		attempt_free(LIST_FIRST(&all->list));
}
