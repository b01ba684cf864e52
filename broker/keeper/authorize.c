/*
 * authorize.c: a person signing in by the authorization code grant with PKCE (RFC 6749, 7636, 8252,
 * 9207).
 *
 *     AUTHORIZE ─▶ (DISCOVER) ─▶ AUTHORIZE_URL ─▶ AUTHORIZE_CALLBACK ─▶ TOKEN_REQUEST ─▶ (USERINFO)
 * ─▶ sealed ─▶ KEEPER_DONE
 *
 * Several attempts for one account live side by side (a person who calls the command twice may
 * finish either), at most ATTEMPTS_PER_ACCOUNT; each is used up by the first callback that bears
 * its state, and by ATTEMPT_LIFE. What a callback brings is checked in callback.c; then the scope,
 * then who signed in. Nothing is stored, and what was stored before stays, until all of it holds.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/log.h"
#include "broker/keeper/attempt.h"
#include "broker/keeper/callback.h"

enum {
	ATTEMPTS_PER_ACCOUNT = 4,
	ATTEMPT_LIFE = 600 /* seconds */,
	ATTEMPT_ID = 16,
	URL_MAX = 16 * 1024,
	REDIRECT_MAX = 2048,
	TEXT_MAX = 1500
};

enum phase { DISCOVERING, WAITING, EXCHANGING, IDENTIFYING };

struct attempt {
	struct attempt *next;
	struct keeper *keeper;
	uint8_t id[ATTEMPT_ID];
	struct account *account; /* borrowed */
	uint64_t conf_serial;    /* of the account, when it began */
	struct client *client;   /* NULL: gone */
	enum phase phase;
	struct sealed *state, *verifier, *nonce;
	char *redirect_uri;
	char *issuer, *authorization_endpoint, *token_endpoint,
	    *userinfo_endpoint; /* configured or discovered */
	bool iss_required;
	int64_t asked_at;
	struct event *timer;
	/* between the exchange and the question who it is */
	struct sealed *access, *refresh;
	char *scope;
	bool has_life;
	uint64_t life;
};

static void
attempt_free(struct attempt *t)
{
	struct keeper *k = t->keeper;

	for (struct attempt **p = &k->attempts; *p != NULL; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	requests_cancel(k, t);
	if (t->timer != NULL)
		event_free(t->timer);
	(void)sealed_free(t->state);
	(void)sealed_free(t->verifier);
	(void)sealed_free(t->nonce);
	(void)sealed_free(t->access);
	(void)sealed_free(t->refresh);
	free(t->redirect_uri);
	free(t->issuer);
	free(t->authorization_endpoint);
	free(t->token_endpoint);
	free(t->userinfo_endpoint);
	free(t->scope);
	free(t);
}

/* The end of an attempt; `error` NULL is success. */
static void
finish(struct attempt *t, int exit, const char *error, const char *next, const char *text)
{
	struct client *c = t->client;

	log_line(error == NULL ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, error == NULL ? text : error,
	    LOG_PAIRS({LOG_ACCOUNT, t->account->conf->name},
		{LOG_OUTCOME, error == NULL ? "authorized" : "not-authorized"}));
	attempt_free(t);
	if (c != NULL)
		client_done(c, exit, error, next, text);
}

static void
fail_memory(struct attempt *t)
{
	finish(t, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
}

/* An error of the server's, in words. */
static void
fail_facts(struct attempt *t, const struct answer_facts *f)
{
	enum answer_class class = classify_authorization(f);
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX), next CLEANUP_BUF = BUF_INIT(TEXT_MAX);

	classify_text(f, NULL, &text);
	if (class == ANSWER_TRANSIENT)
		(void)buf_printf(&next, "Try again: frank authorize %s", t->account->conf->name);
	else
		classify_next(class, f, t->account->conf->name, &next);
	finish(t,
	    class == ANSWER_TRANSIENT ? EX_TEMPFAIL
	    : class == ANSWER_CLIENT  ? EX_CONFIG
				      : EX_NOPERM,
	    buf_str(&text), buf_str(&next), NULL);
}

static void
fail_fault(struct attempt *t, const char *fault)
{
	struct answer_facts f = {.fault = fault};

	fail_facts(t, &f);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *t = arg;
	struct timeval more = {.tv_sec = 60};

	if (t->phase > WAITING && evtimer_add(t->timer, &more) == 0)
		return; /* the server has the code: its answer is on the way, or a fault */
	finish(arg, EX_TEMPFAIL, "Nobody finished signing in within ten minutes.",
	    "Start again with frank authorize.", NULL);
}

/* ---- the start ---- */

static struct attempt *
find_attempt(struct keeper *k, const uint8_t *id, size_t len)
{
	for (struct attempt *t = k->attempts; len == ATTEMPT_ID && t != NULL; t = t->next)
		if (mem_equal_ct(t->id, id, ATTEMPT_ID))
			return t;
	return NULL;
}

/* Makes room for one more: the oldest of the account's goes. */
static void
evict(struct keeper *k, const struct account *a)
{
	struct attempt *oldest = NULL;
	unsigned count = 0;

	for (struct attempt *t = k->attempts; t != NULL; t = t->next)
		if (t->account == a) {
			count++;
			oldest = t; /* new ones come first in the list */
		}
	if (count >= ATTEMPTS_PER_ACCOUNT)
		finish(oldest, EX_TEMPFAIL, "Newer attempts to sign in took the place of this one.",
		    NULL, NULL);
}

static int
put_text(const char *from, char **to)
{
	*to = from == NULL ? NULL : strdup(from);
	return from != NULL && *to == NULL ? -ENOMEM : 0;
}

static int
make_secrets(struct attempt *t)
{
	struct keeper *k = t->keeper;
	uint8_t random[3 * ATTEMPT_RANDOM];
	struct attempt_secrets s;
	int r = k->files->random(k->files->arg, random, sizeof(random));

	if (r == 0)
		r = k->files->random(k->files->arg, t->id, sizeof(t->id));
	if (r == 0)
		r = attempt_secrets_make(random, &s);
	mem_wipe(random, sizeof(random));
	if (r < 0)
		return r;
	t->state = vault_seal(k->vault, s.state);
	t->verifier = vault_seal(k->vault, s.verifier);
	t->nonce = vault_seal(k->vault, s.nonce);
	attempt_secrets_clear(&s);
	return t->state == NULL || t->verifier == NULL || t->nonce == NULL ? -ENOMEM : 0;
}

static struct attempt *
attempt_new(struct keeper *k, struct client *c, struct account *a, const char *redirect_uri)
{
	struct attempt *t = calloc(1, sizeof(*t));
	const struct account_conf *conf = a->conf;
	struct timeval life = {.tv_sec = ATTEMPT_LIFE};

	if (t == NULL)
		return NULL;
	*t = (struct attempt){.next = k->attempts,
	    .keeper = k,
	    .account = a,
	    .conf_serial = a->conf_serial,
	    .client = c};
	k->attempts = t;
	t->timer = evtimer_new(role_base(k->role), on_timer, t);
	if (t->timer == NULL || evtimer_add(t->timer, &life) < 0 || make_secrets(t) < 0 ||
	    put_text(redirect_uri, &t->redirect_uri) < 0 ||
	    put_text(conf->issuer, &t->issuer) < 0 ||
	    put_text(conf->authorization_endpoint, &t->authorization_endpoint) < 0 ||
	    put_text(conf->token_endpoint, &t->token_endpoint) < 0 ||
	    put_text(conf->userinfo_endpoint, &t->userinfo_endpoint) < 0) {
		attempt_free(t);
		return NULL;
	}
	return t;
}

static bool
secrets_open(const struct attempt *t, struct attempt_secrets *ret)
{
	const struct vault *v = t->keeper->vault;

	*ret = (struct attempt_secrets){.state = vault_open(v, t->state),
	    .verifier = vault_open(v, t->verifier),
	    .nonce = vault_open(v, t->nonce)};
	if (ret->state != NULL && ret->verifier != NULL && ret->nonce != NULL)
		return true;
	attempt_secrets_clear(ret);
	return false;
}

static void
send_url(struct attempt *t)
{
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(URL_MAX);
	struct attempt_secrets s;
	struct message *m;
	int r;

	if (!secrets_open(t, &s)) {
		fail_memory(t);
		return;
	}
	r = attempt_url(t->account->conf, t->authorization_endpoint, t->redirect_uri, &s, &url);
	attempt_secrets_clear(&s);
	if (r < 0) {
		finish(t, EX_CONFIG, "The address for signing in gets too long.",
		    "Shorten scopes or extra-parameters.", NULL);
		return;
	}
	t->phase = WAITING;
	if (t->client == NULL)
		return;
	m = message_new(M_AUTHORIZE_URL);
	message_put_bytes(m, F_URL, buf_str(&url), url.len);
	message_put_bytes(m, F_ATTEMPT, t->id, sizeof(t->id));
	(void)client_send(t->client, m);
	client_release(t->client);
}

/* What is configured counts before what was discovered. */
static int
take_discovered(const struct message *m, enum field f, char **to)
{
	return *to != NULL ? 0 : put_text(message_str(m, f), to);
}

static void
discovered(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct attempt *t = arg;
	const char *issuer;

	if (m == NULL || message_has(m, F_FAULT)) {
		fail_fault(t, m == NULL ? fault : message_str(m, F_FAULT));
		return;
	}
	if (take_discovered(m, F_AUTHORIZATION_ENDPOINT, &t->authorization_endpoint) < 0 ||
	    take_discovered(m, F_TOKEN_ENDPOINT, &t->token_endpoint) < 0 ||
	    take_discovered(m, F_USERINFO_ENDPOINT, &t->userinfo_endpoint) < 0) {
		fail_memory(t);
		return;
	}
	/* As the document spells it: Microsoft's has a hole for the tenant. */
	issuer = message_str(m, F_ISSUER);
	if (issuer != NULL) {
		free(t->issuer);
		if (put_text(issuer, &t->issuer) < 0) {
			fail_memory(t);
			return;
		}
	}
	t->iss_required = message_u64(m, F_ISS_REQUIRED, 0) != 0;
	if (t->authorization_endpoint == NULL || t->token_endpoint == NULL)
		finish(t, EX_CONFIG,
		    "The issuer's metadata names no authorization endpoint or no token endpoint.",
		    "Set authorization-endpoint and token-endpoint in the account's block.", NULL);
	else
		send_url(t);
}

static void
discover(struct attempt *t)
{
	struct keeper *k = t->keeper;
	uint64_t id = request_id(k);
	struct message *m = message_new(M_DISCOVER);

	t->phase = DISCOVERING;
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, t->account->conf->name);
	message_put_str(m, F_ISSUER, t->issuer);
	request_start(k, id, m, discovered, t, 0);
}

static bool
is_redirect_fit(const char *uri)
{
	return (strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0) &&
	       strlen(uri) <= REDIRECT_MAX &&
	       uri[strspn(uri, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:"
			       "/?[]@!$&'()*+,;=%")] == '\0';
}

/* Why nobody can sign in for this account, told before anybody tries. True where that is so. */
static bool
refuse_start(struct client *c, const struct account *a)
{
	const struct account_conf *conf = a->conf;

	if (conf->grant == GRANT_PASSWORD)
		client_done(c, EX_CONFIG, "This account signs in with a password.",
		    "Store it with: frank secret set", NULL);
	else if (conf->grant != GRANT_AUTHORIZATION_CODE)
		client_done(c, EX_CONFIG,
		    "This account needs nobody to sign in: its grant is another.", NULL, NULL);
	else if (conf->client_id == NULL)
		client_done(c, EX_CONFIG, "The account has no client-id.",
		    "Register an application with the provider and set client-id.", NULL);
	else if (conf->issuer == NULL &&
		 (conf->authorization_endpoint == NULL || conf->token_endpoint == NULL))
		client_done(c, EX_CONFIG, "The account names neither an issuer nor both endpoints.",
		    "Set issuer, or authorization-endpoint and token-endpoint.", NULL);
	else if (a->file == NULL)
		client_done(c, EX_CONFIG, store_trouble_text(a->trouble),
		    store_trouble_next(a->trouble), NULL);
	else if (a->status == FILE_UNREADABLE)
		client_done(c, EX_IOERR, file_status_text(a->status),
		    "Mend the disk or the file's owner and mode, then restart.", NULL);
	else
		return false;
	return true;
}

void
authorize_start(struct keeper *k, struct client *c, const struct message *m)
{
	struct account *a = keeper_find(k, message_str(m, F_ACCOUNT));
	const char *uri = message_str(m, F_REDIRECT_URI);
	struct attempt *t;
	char uid[24];

	if (a == NULL) {
		client_done(c, EX_CONFIG, "The configuration has no account of that name.",
		    "See the names: frank status", NULL);
		return;
	}
	if (refuse_start(c, a))
		return;
	if (!is_redirect_fit(uri)) {
		client_done(c, EX_USAGE,
		    "The redirect address is not one that a browser could come back to.", NULL,
		    NULL);
		return;
	}
	evict(k, a);
	t = attempt_new(k, c, a, uri);
	if (t == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)client_uid(c));
	log_line(LOG_LEVEL_NOTICE, "Somebody begins to sign in.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_UID, uid}));
	if (t->authorization_endpoint == NULL)
		discover(t);
	else
		send_url(t);
}

/* ---- the end ---- */

static void
store_tokens(struct attempt *t, const char *identity)
{
	const struct vault *v = t->keeper->vault;
	struct keeper *k = t->keeper;
	struct account *a = t->account;
	CLEANUP_SECRET struct secret *access = vault_open(v, t->access),
				     *refresh = vault_open(v, t->refresh);
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	uint64_t gone = (uint64_t)(keeper_now(k).boot - t->asked_at) / 1000;
	struct machine_answer answer = {.access_token = access,
	    .refresh_token = refresh,
	    .has_life = t->has_life,
	    .scope = t->scope,
	    .life = t->life > gone ? t->life - gone : 1};
	int r;

	if (access == NULL || refresh == NULL) {
		fail_memory(t);
		return;
	}
	r = account_adopt(a, &answer, identity, a->conf->issuer, t->token_endpoint);
	keeper_run(k, a);
	if (r == -ENOMEM) {
		fail_memory(t);
	} else if (r < 0) {
		(void)buf_printf(&text,
		    "The sign-in succeeded, but the token store cannot be written: %s.",
		    strerror(-r));
		finish(t, EX_IOERR, buf_str(&text),
		    "Mend the disk before Frank is stopped: the tokens are in memory, and it keeps "
		    "trying to write.",
		    NULL);
	} else {
		(void)buf_append_str(&text, "Signed in");
		if (identity != NULL) {
			(void)buf_append_str(&text, " as ");
			(void)text_escape(&text, identity, strlen(identity), false);
		}
		(void)buf_append_char(&text, '.');
		finish(t, 0, NULL, NULL, buf_str(&text));
	}
}

/* The name by which the person is the account's, or NULL. Points into the message. */
static const char *
find_identity(const struct account_conf *c, const struct message *m, const char **ret_first)
{
	const char *name;
	size_t at = 0;

	*ret_first = NULL;
	while (message_next_str(m, F_IDENTITY, &at, &name)) {
		if (*ret_first == NULL)
			*ret_first = name;
		if ((c->mailbox != NULL && address_equal_nocase(name, c->mailbox)) ||
		    (c->auth_user != NULL && address_equal_nocase(name, c->auth_user)))
			return name;
	}
	return NULL;
}

static void
fail_identity(struct attempt *t, const char *who)
{
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX), next CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	const char *login = account_conf_login(t->account->conf);

	if (who == NULL) {
		(void)buf_append_str(&text,
		    "The provider does not say who signed in, so the mailbox cannot be verified.");
		(void)buf_append_str(&next,
		    "Ask for the scopes openid and email, set userinfo-endpoint, or say "
		    "verify-identity = false in the account's block.");
	} else {
		(void)text_escape(&text, who, strlen(who), false);
		(void)buf_printf(
		    &text, " signed in, but this account is for %s. Nothing was stored.", login);
		(void)buf_printf(&next,
		    "Sign in as %s (a private window helps), or set auth-user to the name that "
		    "signs in.",
		    login);
	}
	finish(t, who == NULL ? EX_CONFIG : EX_NOPERM, buf_str(&text), buf_str(&next), NULL);
}

static bool
conf_changed(struct attempt *t)
{
	if (t->conf_serial == t->account->conf_serial)
		return false;
	finish(t, EX_TEMPFAIL, "The account's configuration changed in the middle of the sign-in.",
	    "Start again with frank authorize.", NULL);
	return true;
}

static void
identified(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct attempt *t = arg;
	const char *first, *name;

	if (conf_changed(t))
		return;
	if (m == NULL || message_has(m, F_FAULT)) {
		fail_fault(t, m == NULL ? fault : message_str(m, F_FAULT));
		return;
	}
	name = find_identity(t->account->conf, m, &first);
	if (name == NULL)
		fail_identity(t, first);
	else
		store_tokens(t, name);
}

static void
ask_userinfo(struct attempt *t, const struct secret *access)
{
	struct keeper *k = t->keeper;
	uint64_t id = request_id(k);
	struct message *m = message_new(M_USERINFO);

	t->phase = IDENTIFYING;
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, t->account->conf->name);
	message_put_str(m, F_USERINFO_ENDPOINT, t->userinfo_endpoint);
	message_put_secret(m, F_ACCESS_TOKEN, access);
	request_start(k, id, m, identified, t, 0);
}

/* What is wrong with the ID token's claims, or NULL (OpenID Connect Core section 3.1.3.7). */
static const char *
find_id_flaw(const struct attempt *t, const struct message *m)
{
	CLEANUP_SECRET struct secret *got = message_secret(m, F_NONCE),
				     *nonce = vault_open(t->keeper->vault, t->nonce);
	const char *issuer = message_str(m, F_ID_ISSUER), *audience;
	bool ours = false;
	size_t at = 0;

	if (issuer == NULL)
		return message_has(m, F_IDENTITY) ? "The ID token does not name its issuer."
						  : NULL; /* there was none */
	if (t->issuer != NULL && !callback_issuer_fits(t->issuer, issuer, strlen(issuer)))
		return "The ID token was issued by another than the account's issuer.";
	while (message_next_str(m, F_ID_AUDIENCE, &at, &audience))
		ours |= strcmp(audience, t->account->conf->client_id) == 0;
	if (!ours)
		return "The ID token is meant for another client.";
	if (got != NULL ? !secret_equal(got, nonce)
			: attempt_has_scope(t->account->conf->scopes, "openid"))
		return "The ID token does not belong to this sign-in.";
	return NULL;
}

/* Who signed in? */
static void
check_identity(struct attempt *t, const struct message *m, const struct secret *access)
{
	const char *first, *name = find_identity(t->account->conf, m, &first),
			   *flaw = find_id_flaw(t, m);

	if (flaw != NULL)
		finish(t, EX_PROTOCOL, flaw,
		    "Start again with frank authorize; if it stays, check issuer and client-id.",
		    NULL);
	else if (!t->account->conf->verify_identity)
		store_tokens(t, name != NULL ? name : first);
	else if (name != NULL)
		store_tokens(t, name);
	else if (t->userinfo_endpoint != NULL)
		ask_userinfo(t, access);
	else
		fail_identity(t, first);
}

static void
fail_scope(struct attempt *t, const char *lacking)
{
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);

	(void)buf_append_str(&text, "The permission ");
	(void)text_escape(&text, lacking, strlen(lacking), false);
	(void)buf_append_str(&text, " was not granted. Nothing was stored.");
	finish(
	    t, EX_NOPERM, buf_str(&text), "Sign in again and leave every permission ticked.", NULL);
}

static void
exchanged(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct attempt *t = arg;
	struct token_answer a;

	if (conf_changed(t))
		return;
	token_answer_read(m, fault, sent, t->account->conf->scopes, &a);
	if (classify_authorization(&a.answer.facts) != ANSWER_GOOD) {
		fail_facts(t, &a.answer.facts);
	} else if (a.answer.lacking != NULL) {
		fail_scope(t, a.answer.lacking);
	} else if (a.refresh_token == NULL || a.access_token == NULL) {
		finish(t, EX_CONFIG,
		    "The provider gave no refresh token, so the sign-in would end within the hour. "
		    "Nothing was stored.",
		    "Microsoft wants the scope offline_access for one, Google access_type=offline "
		    "and prompt=consent in extra-parameters.",
		    NULL);
	} else {
		t->access = vault_seal(k->vault, a.access_token);
		t->refresh = vault_seal(k->vault, a.refresh_token);
		t->has_life = a.answer.has_life;
		t->life = a.answer.life;
		if (t->access == NULL || t->refresh == NULL ||
		    put_text(a.answer.scope, &t->scope) < 0)
			fail_memory(t);
		else
			check_identity(t, m, a.access_token);
	}
	token_answer_clear(&a);
}

static void
exchange(struct attempt *t, const struct secret *code)
{
	struct keeper *k = t->keeper;
	CLEANUP_SECRET struct secret *verifier = vault_open(k->vault, t->verifier);
	uint64_t id = request_id(k);
	struct message *m = token_request_new(t->account, id, t->token_endpoint);

	t->phase = EXCHANGING;
	t->asked_at = keeper_now(k).boot;
	token_request_put(m, "grant_type", "authorization_code", strlen("authorization_code"));
	token_request_put(m, "code", secret_bytes(code), secret_len(code));
	token_request_put(m, "redirect_uri", t->redirect_uri, strlen(t->redirect_uri));
	if (verifier != NULL)
		token_request_put(m, "code_verifier", secret_bytes(verifier), secret_len(verifier));
	request_start(k, id, m, exchanged, t, 0);
}

static void
ignore(struct client *c, const char *why)
{
	struct message *m = message_new(M_AUTHORIZE_IGNORED);

	message_put_str(m, F_TEXT, why);
	(void)client_send(c, m);
	client_release(c);
}

static void
take_callback(struct attempt *t, struct client *c, const struct message *m)
{
	CLEANUP_SECRET struct secret *state = vault_open(t->keeper->vault, t->state);
	struct callback_expected expected = {
	    .state = state, .issuer = t->issuer, .iss_required = t->iss_required};
	struct answer_facts facts;
	struct callback got = {0};
	const uint8_t *query;
	size_t len;

	query = message_bytes(m, F_CALLBACK, &len);
	if (state == NULL) {
		fail_memory(t);
		return;
	}
	switch (callback_read((const char *)query, len, &expected, &got)) {
	case CALLBACK_CODE:
		exchange(t, got.code);
		break;
	case CALLBACK_IGNORED:
		ignore(c, got.why);
		break;
	case CALLBACK_ERROR:
		facts =
		    (struct answer_facts){.error = buf_str(&got.error), .text = buf_str(&got.text)};
		fail_facts(t, &facts);
		break;
	case CALLBACK_INVALID:
		finish(t, EX_PROTOCOL, got.why, "Start again with frank authorize.", NULL);
		break;
	case CALLBACK_FAILED:
		fail_memory(t);
		break;
	}
	callback_clear(&got);
}

void
authorize_callback(struct keeper *k, struct client *c, const struct message *m)
{
	size_t len;
	const uint8_t *id = message_bytes(m, F_ATTEMPT, &len);
	struct attempt *t = find_attempt(k, id, len);

	if (t == NULL) {
		client_done(c, EX_TEMPFAIL,
		    "This sign-in is not waited for any more: it was finished, or is older than "
		    "ten minutes.",
		    "Start again with frank authorize.", NULL);
		return;
	}
	if (t->phase != WAITING) {
		ignore(c, "This sign-in is being finished already.");
		return;
	}
	if (t->client != NULL && t->client != c)
		client_done(
		    t->client, EX_TEMPFAIL, "Another command finishes this sign-in.", NULL, NULL);
	t->client = c;
	if (!conf_changed(t))
		take_callback(t, c, m);
}

/* ---- the others ---- */

void
authorize_forget_client(struct keeper *k, const struct client *c)
{
	for (struct attempt *t = k->attempts; t != NULL; t = t->next)
		if (t->client == c)
			t->client = NULL;
}

void
authorize_forget_account(struct keeper *k, const struct account *a)
{
	for (struct attempt *t = k->attempts, *next; t != NULL; t = next) {
		next = t->next;
		if (t->account == a)
			finish(t, EX_CONFIG, "The account was taken out of the configuration.",
			    NULL, NULL);
	}
}

bool
authorize_is_under_way(const struct keeper *k, const struct account *a)
{
	for (const struct attempt *t = k->attempts; t != NULL; t = t->next)
		if (t->account == a)
			return true;
	return false;
}

void
authorize_clear(struct keeper *k)
{
	while (k->attempts != NULL)
		attempt_free(k->attempts);
}
