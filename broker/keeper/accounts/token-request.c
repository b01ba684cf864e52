/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token-request.c: see token-request.h. A preparation is a request that is not sent yet, because main is
 * reading its account's files or the issuer is asked for its endpoint.
 */
#include "broker/keeper/accounts/token-request.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "broker/keeper/accounts/assertion.h"
#include "broker/keeper/accounts/clock.h"

struct preparation {
	LIST_ENTRY(preparation) entry;
	struct token_requests *all;
	struct account *account; /* borrowed */
	uint64_t conf_serial;    /* of the account, when it began */
	uint64_t key_query;      /* the question to main; 0: none is open */
	enum message_type type;
	const char *endpoint; /* borrowed; NULL: the account's */
	const struct token_request_ops *ops;
	void *arg;
	uint64_t tag;
};

struct token_requests {
	struct role *role;
	struct fetch_requests *fetch;
	struct vault *vault;
	const struct file_ops *files;
	LIST_HEAD(, preparation) preparations;
	uint64_t last_query;
};

/* The end without a request. Takes the preparation. `local`: our own file or key is at fault. */
static void
fail(struct preparation *p, const char *fault, bool local)
{
	const struct fetch_answer answer = {.fault = fault, .local = local};
	const struct preparation was = *p;

	LIST_REMOVE(p, entry);
	free(p);
	was.ops->done(was.arg, was.tag, &answer);
}

/* ---- the request ---- */

static void
put_endpoint(struct message *m, enum message_type type, const char *endpoint)
{
	message_put_str(m,
	    type == M_TOKEN_REQUEST    ? F_TOKEN_ENDPOINT
	    : type == M_DEVICE_REQUEST ? F_DEVICE_ENDPOINT
				       : F_REVOCATION_ENDPOINT,
	    endpoint);
}

/* The assertion of a client that signs, or of a service account; NULL with *ret_why. */
static struct secret *
sign(struct token_requests *t, const struct account *a, const char **ret_why)
{
	const struct account_conf *c = a->conf;
	bool service = grant_rows[c->grant].by == GRANT_BY_KEY;
	CLEANUP_SECRET struct secret *key = account_signing_key(a);
	struct secret *signature = NULL;
	uint8_t jti[ASSERTION_JTI];
	struct assertion claims = {.issuer = c->client_id,
	    .subject = service ? account_conf_login(c) : c->client_id,
	    .audience = account_token_endpoint(a),
	    .scope = service ? c->scopes : NULL,
	    .key_id = c->client_key_id != NULL ? c->client_key_id : a->record.client.key_id,
	    .algorithm = c->client_key_algorithm != CONF_KEY_ALGORITHM_UNSET
			     ? conf_word(CONF_TYPE_key_algorithm, c->client_key_algorithm)
			 : service ? "RS256"
				   : NULL,
	    .jti = service ? NULL : jti,
	    .now = clock_now().wall,
	    .leeway = ASSERTION_LEEWAY,
	    .life = ASSERTION_LIFE};

	*ret_why = "no key is stored for the client";
	if (key == NULL)
		return NULL;
	*ret_why = "memory ran out";
	if (c->certificate.len > 0) {
		claims.certificate = c->certificate.data;
		claims.certificate_len = c->certificate.len;
	}
	if (t->files->random(t->files->arg, jti, sizeof(jti)) < 0 ||
	    assertion_sign(&claims, key, &signature, ret_why) < 0)
		return NULL;
	return signature;
}

static void
put_assertion(struct message *m, const struct account *a, const struct secret *signature)
{
	if (grant_rows[a->conf->grant].by == GRANT_BY_KEY) {
		token_request_put(m, "assertion", secret_bytes(signature), secret_len(signature));
		return;
	}
	token_request_put_text(
	    m, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	token_request_put(m, "client_assertion", secret_bytes(signature), secret_len(signature));
}

/* The request without its parameters but for what proves who the client is. NULL, with *ret_why,
 * where the client's key cannot be used. */
static struct message *
make(const struct preparation *p, const char **ret_why)
{
	const struct account *a = p->account;
	const struct account_conf *c = a->conf;
	bool signs = account_conf_signs(c);
	CLEANUP_SECRET struct secret *secret = signs ? NULL : account_client_secret(a);
	CLEANUP_SECRET struct secret *signature = NULL;
	const char *endpoint = p->endpoint != NULL ? p->endpoint : account_token_endpoint(a);
	struct message *m;

	if (signs && (signature = sign(p->all, a, ret_why)) == NULL)
		return NULL;
	m = fetch_request_new(p->all->fetch, p->type, c->name);
	/* "" where it is not known: the fetch role asks the issuer's metadata for it. */
	put_endpoint(m, p->type, endpoint == NULL ? "" : endpoint);
	/* a service account's assertion says who it is */
	message_put_str(m, F_CLIENT_ID,
	    c->client_id == NULL || grant_rows[c->grant].by == GRANT_BY_KEY ? "" : c->client_id);
	message_put_str(m, F_CLIENT_AUTH,
	    conf_word(CONF_TYPE_client_auth, secret == NULL ? CONF_CLIENT_AUTH_NONE
					     : c->client_auth != CONF_CLIENT_AUTH_UNSET
						 ? c->client_auth
						 : CONF_CLIENT_AUTH_POST));
	if (secret != NULL && c->client_auth != CONF_CLIENT_AUTH_NONE)
		message_put_secret(m, F_CLIENT_SECRET, secret);
	if (p->type == M_TOKEN_REQUEST)
		message_put_str(m, F_ISSUER, c->issuer);
	if (signature != NULL)
		put_assertion(m, a, signature);
	return m;
}

/* Everything that the request needs is there. Takes the preparation. */
static void
send_request(struct preparation *p)
{
	const char *why = NULL;
	struct message *m = make(p, &why);

	if (m == NULL) {
		fail(p, why != NULL ? why : "memory ran out", why != NULL);
		return;
	}
	why = p->ops->fill(p->arg, p->tag, m);
	if (why != NULL) {
		(void)message_free(m);
		fail(p, why, false);
		return;
	}
	LIST_REMOVE(p, entry);
	fetch_request_start(p->all->fetch, m, p->ops->done, p->arg, p->tag);
	free(p);
}

void
token_request_put(struct message *m, const char *key, const void *value, size_t len)
{
	struct buf pair CLEANUP_BUF = BUF_INIT_WIPE(MESSAGE_MAX);

	(void)buf_append_str(&pair, key);
	(void)buf_append_char(&pair, '=');
	(void)buf_append(&pair, value, len);
	/* A parameter that does not fit makes the message fail as a whole. */
	message_put_bytes(
	    m, F_PARAMETER, buf_str(&pair), pair.failed ? (size_t)MESSAGE_MAX + 1 : pair.len);
}

void
token_request_put_text(struct message *m, const char *key, const char *text)
{
	if (text != NULL && *text != '\0')
		token_request_put(m, key, text, strlen(text));
}

/* ---- before it ---- */

/* Ends a preparation whose account was configured anew: its answers are about a server that the account may
 * not name any more. True where it has ended. */
static bool
is_stale(struct preparation *p)
{
	if (p->conf_serial == p->account->conf_serial)
		return false;
	fail(p, "the account's configuration changed meanwhile", false);
	return true;
}

static void
discovered(void *arg, uint64_t tag, const struct fetch_answer *answer)
{
	struct preparation *p = arg;
	struct account *a = p->account;
	const char *endpoint =
	    answer->message == NULL ? NULL : message_str(answer->message, F_TOKEN_ENDPOINT);

	if (is_stale(p))
		return;
	if (endpoint != NULL) {
		free(a->endpoint);
		a->endpoint = strdup(endpoint);
	}
	if (a->endpoint != NULL)
		send_request(p);
	else if (endpoint != NULL)
		fail(p, "memory ran out", false);
	else
		fail(p,
		    answer->fault != NULL ? answer->fault
					  : "the issuer's metadata names no token endpoint",
		    false);
}

static void
find_endpoint(struct preparation *p)
{
	const struct account_conf *c = p->account->conf;

	p->key_query = 0;
	if (!account_conf_signs(c) || account_token_endpoint(p->account) != NULL)
		send_request(p);
	else
		fetch_request_discover(p->all->fetch, c->name, c->issuer, discovered, p);
}

void
token_request_start(struct token_requests *t, struct account *a, enum message_type type,
    const char *endpoint, const struct token_request_ops *ops, void *arg, uint64_t tag)
{
	struct preparation *p = calloc(1, sizeof(*p));
	struct message *m;

	if (p == NULL) {
		const struct fetch_answer none = {.fault = "memory ran out"};

		ops->done(arg, tag, &none);
		return;
	}
	*p = (struct preparation){.all = t,
	    .account = a,
	    .conf_serial = a->conf_serial,
	    .type = type,
	    .endpoint = endpoint,
	    .ops = ops,
	    .arg = arg,
	    .tag = tag};
	LIST_INSERT_HEAD(&t->preparations, p, entry);
	if (!a->conf->rereads) {
		find_endpoint(p);
		return;
	}
	p->key_query = ++t->last_query;
	m = message_new(M_KEY_QUERY);
	message_put_u64(m, F_ID, p->key_query);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	if (channel_send(role_main_channel(t->role), m, -1) < 0)
		fail(p, "frankd's main process could not be asked for the key", false);
}

/* Puts what was read in the place of what was there; a file that is configured and empty is an error
 * of main's already. */
static int
take_secret(struct vault *v, const struct message *m, enum field f, struct sealed **to)
{
	CLEANUP_SECRET struct secret *s = NULL;
	struct sealed *sealed;

	if (!message_has(m, f))
		return 0;
	s = message_secret(m, f);
	sealed = vault_seal(v, s);
	if (sealed == NULL)
		return -ENOMEM;
	vault_replace(to, sealed);
	return 0;
}

static int
take_files(struct vault *v, struct account_conf *c, const struct message *m)
{
	size_t len;
	const uint8_t *pem = message_bytes(m, F_CLIENT_CERTIFICATE, &len);

	if (pem != NULL) {
		buf_clear(&c->certificate);
		if (buf_append(&c->certificate, pem, len) < 0)
			return -ENOMEM;
	}
	if (take_secret(v, m, F_CLIENT_KEY, &c->sealed_key) < 0)
		return -ENOMEM;
	return take_secret(v, m, F_CLIENT_SECRET, &c->sealed_secret);
}

void
token_request_key_answer(struct token_requests *t, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);
	struct preparation *p;

	LIST_FOREACH (p, &t->preparations, entry)
		if (p->key_query != 0 && p->key_query == id)
			break;
	if (p == NULL || is_stale(p))
		return;
	if (message_has(m, F_ERROR))
		fail(p, message_str(m, F_ERROR), true);
	else if (take_files(t->vault, p->account->conf, m) < 0)
		fail(p, "memory ran out", false);
	else
		find_endpoint(p);
}

static void
drop(struct preparation *p)
{
	fetch_request_cancel(p->all->fetch, p);
	LIST_REMOVE(p, entry);
	free(p);
}

void
token_request_cancel(struct token_requests *t, const void *arg)
{
	struct preparation *p, *next;

	fetch_request_cancel(t->fetch, arg);
	for (p = LIST_FIRST(&t->preparations); p != NULL; p = next) {
		next = LIST_NEXT(p, entry);
		if (p->arg == arg)
			drop(p);
	}
}

bool
token_request_is_idle(const struct token_requests *t)
{
	return LIST_EMPTY(&t->preparations);
}

struct token_requests *
token_requests_new(struct role *role, struct fetch_requests *fetch, struct vault *vault,
    const struct file_ops *files)
{
	struct token_requests *t = calloc(1, sizeof(*t));

	if (t != NULL)
		*t = (struct token_requests){
		    .role = role, .fetch = fetch, .vault = vault, .files = files};
	return t;
}

struct token_requests *
token_requests_free(struct token_requests *t)
{
	if (t == NULL)
		return NULL;
	while (!LIST_EMPTY(&t->preparations))
		drop(LIST_FIRST(&t->preparations));
	free(t);
	return NULL;
}
