/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token.c: the endpoints that programs ask: token, revocation, userinfo, discovery, keys.
 */
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "sandbox/endpoints.h"

enum { ID_TOKEN_LIFE = 3600 };

/* "Basic" credentials: client id and secret are form-encoded inside the base64 (RFC 6749
 * section 2.3.1). */
static bool
basic_credentials(const char *value, struct buf *id, struct buf *secret)
{
	struct buf both CLEANUP_BUF = BUF_INIT_WIPE(4096);
	const char *colon;

	if (base64_decode(&both, value, strlen(value)) < 0)
		return false;
	colon = memchr(buf_str(&both), ':', both.len);
	return colon != NULL && form_decode(id, both.data, (size_t)(colon - both.data)) == 0 &&
	       form_decode(secret, colon + 1, both.len - (size_t)(colon + 1 - both.data)) == 0;
}

/* Is the audience, a text or an array of them, the issuer or the token endpoint (RFC 7523 section 3)? */
static bool
audience_fits(const struct sandbox *s, const json_t *audience)
{
	size_t count = json_is_array(audience) ? json_array_size(audience) : 1,
	       n = strlen(s->issuer);

	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(
		    json_is_array(audience) ? json_array_get(audience, i) : audience);

		if (text != NULL && strncmp(text, s->issuer, n) == 0 &&
		    (text[n] == '\0' || strcmp(text + n, "/") == 0 ||
			strcmp(text + n, "/token") == 0))
			return true;
	}
	return false;
}

/* The assertion of private_key_jwt (RFC 7523 section 3): signed by the client's key, by and about the client, for us, and in time. */
static bool
assertion_fits(const struct web_request *r, const struct sandbox_client *client)
{
	const char *text = form_get(&r->body, "client_assertion"),
		   *type = form_get(&r->body, "client_assertion_type");
	json_t *claims = NULL;
	json_int_t now = (json_int_t)web_now(), until;
	const char *iss, *sub;
	bool ok;

	if (text != NULL && type != NULL &&
	    strcmp(type, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") == 0)
		claims = jwt_verify(client->key, text);
	iss = json_string_value(json_object_get(claims, "iss"));
	sub = json_string_value(json_object_get(claims, "sub"));
	until = json_integer_value(json_object_get(claims, "exp"));
	ok = iss != NULL && sub != NULL && strcmp(iss, client->id) == 0 &&
	     strcmp(sub, client->id) == 0 && until > now && until <= now + 3600 &&
	     audience_fits(r->sandbox, json_object_get(claims, "aud"));
	json_decref(claims);
	return ok;
}

/* The client that an assertion belongs to, where nothing else names it (RFC 7521 section 4.2); NULL: none. */
static const struct sandbox_client *
assertion_client(const struct web_request *r)
{
	for (size_t i = 0; i < r->sandbox->client_count; i++)
		if (r->sandbox->clients[i].key != NULL &&
		    assertion_fits(r, &r->sandbox->clients[i]))
			return &r->sandbox->clients[i];
	return NULL;
}

/* The client that asks, proven where it has a secret; NULL when the answer has been given. */
static const struct sandbox_client *
authenticate_client(struct web_request *r)
{
	struct buf id CLEANUP_BUF = BUF_INIT(256), secret CLEANUP_BUF = BUF_INIT_WIPE(1024);
	const char *header = web_header(r, "Authorization"),
		   *given_id = form_get(&r->body, "client_id");
	const char *given = form_get(&r->body, "client_secret");
	const struct sandbox_client *client;

	if (header != NULL && strncasecmp(header, "Basic ", 6) == 0 &&
	    basic_credentials(header + 6, &id, &secret)) {
		given_id = buf_str(&id);
		given = buf_str(&secret);
	}
	client = given_id == NULL ? assertion_client(r) : sandbox_client(r->sandbox, given_id);
	if (client != NULL && client->secret == NULL && client->key == NULL)
		return client;
	if (client != NULL &&
	    (client->key != NULL ? assertion_fits(r, client)
				 : given != NULL && sandbox_secret_fits(client->secret, given)))
		return client;
	r->sandbox->stats.token_errors++;
	httpd_set_header(r->http, "WWW-Authenticate", "Basic realm=\"frank-sandbox\"");
	web_refuse(
	    r, r->sandbox->personality->refusals[client == NULL ? REFUSE_CLIENT : REFUSE_SECRET]);
	return NULL;
}

static json_t *
identity_claims(const char *account)
{
	return json_pack("{s:s, s:s, s:b, s:s}", "sub", account, "email", account, "email_verified",
	    1, "preferred_username", account);
}

/* The ID token of a code's exchange or a refresh: OpenID Connect Core sections 2 and 12.2. NULL: no
 * memory. */
static json_t *
make_id_token(const struct sandbox *s, const struct grant_issue *issue, uint64_t now)
{
	struct buf text CLEANUP_BUF = BUF_INIT(8192);
	json_t *claims = identity_claims(issue->account), *more, *ret = NULL;

	more = json_pack("{s:s, s:s, s:I, s:I}", "iss", s->issuer, "aud", issue->client, "iat",
	    (json_int_t)now, "exp", (json_int_t)(now + ID_TOKEN_LIFE));
	if (claims != NULL && more != NULL && json_object_update(claims, more) == 0 &&
	    (issue->nonce == NULL ||
		json_object_set_new(claims, "nonce", json_string(issue->nonce)) == 0) &&
	    jwt_sign(s->key, claims, &text) == 0)
		ret = json_string(buf_str(&text));
	json_decref(more);
	json_decref(claims);
	return ret;
}

static void
reply_tokens(struct web_request *r, const struct grant_issue *issue)
{
	json_t *answer = json_pack("{s:s, s:s, s:i, s:s}", "access_token", buf_str(&issue->access),
	    "token_type", "Bearer", "expires_in",
	    (int)(issue->expires_in > 0 ? issue->expires_in : 3600), "scope", issue->scope);
	bool ok = answer != NULL;

	if (ok && issue->refresh.len > 0)
		ok = json_object_set_new(
			 answer, "refresh_token", json_string(buf_str(&issue->refresh))) == 0;
	if (ok && grant_scope_has(issue->scope, "openid"))
		ok = json_object_set_new(
			 answer, "id_token", make_id_token(r->sandbox, issue, web_now())) == 0;
	if (!ok) {
		json_decref(answer);
		answer = NULL;
	}
	web_reply_json(r, 200, answer);
}

/* Refuses in the words of the provider that is played. */
static void
refuse(struct web_request *r, enum personality_refusal what)
{
	r->sandbox->stats.token_errors++;
	web_refuse(r, r->sandbox->personality->refusals[what]);
}

static void
reply_refusal(struct web_request *r, enum grant_result result, const char *what)
{
	switch (result) {
	case GRANT_REUSED:
		r->sandbox->stats.reuse_detected++;
		log_warning("a %s was used twice: everything that came from it is revoked", what);
		refuse(r, REFUSE_REUSED);
		break;
	case GRANT_INVALID_SCOPE:
		refuse(r, REFUSE_SCOPE);
		break;
	case GRANT_REVOKED:
		refuse(r, REFUSE_REVOKED);
		break;
	case GRANT_INVALID:
		refuse(r, REFUSE_GRANT);
		break;
	case GRANT_FAILED:
	case GRANT_OK:
		r->sandbox->stats.token_errors++;
		web_reply_error(
		    r, 503, "temporarily_unavailable", "There is no memory for a new token.");
	}
}

static void
exchange_code(struct web_request *r, const struct sandbox_client *client)
{
	const char *code = form_get(&r->body, "code"), *uri = form_get(&r->body, "redirect_uri");
	const char *verifier = form_get(&r->body, "code_verifier");
	struct grant_issue issue CLEANUP_ISSUE;
	enum grant_result result;

	grant_issue_init(&issue);
	if (code == NULL || uri == NULL || verifier == NULL) {
		r->sandbox->stats.token_errors++;
		web_reply_error(r, 400, "invalid_request",
		    "code, redirect_uri and code_verifier are required.");
		return;
	}
	result =
	    grants_exchange(r->sandbox->grants, code, client->id, uri, verifier, web_now(), &issue);
	if (result != GRANT_OK) {
		reply_refusal(r, result, "code");
		return;
	}
	r->sandbox->stats.codes_exchanged++;
	log_line(LOG_LEVEL_INFO, "code exchanged", LOG_PAIRS({LOG_ACCOUNT, issue.account}));
	reply_tokens(r, &issue);
}

static void
refresh(struct web_request *r, const struct sandbox_client *client)
{
	const char *token = form_get(&r->body, "refresh_token");
	struct grant_issue issue CLEANUP_ISSUE;
	enum grant_result result;

	grant_issue_init(&issue);
	if (token == NULL) {
		r->sandbox->stats.token_errors++;
		web_reply_error(r, 400, "invalid_request", "refresh_token is required.");
		return;
	}
	result = grants_refresh(
	    r->sandbox->grants, token, client->id, form_get(&r->body, "scope"), web_now(), &issue);
	if (result != GRANT_OK) {
		reply_refusal(r, result, "refresh token");
		return;
	}
	r->sandbox->stats.refreshes++;
	log_line(LOG_LEVEL_INFO, "token refreshed", LOG_PAIRS({LOG_ACCOUNT, issue.account}));
	reply_tokens(r, &issue);
}

/* A client's own token (RFC 6749 section 4.4), for any account here: as a tenant's permission for all mailboxes is. */
static void
client_credentials(struct web_request *r, const struct sandbox_client *client)
{
	const struct personality *p = r->sandbox->personality;
	const char *scope = form_get(&r->body, "scope");
	const struct grant_consent consent = {.client = client->id, .scope = p->send_scope};
	struct grant_issue issue CLEANUP_ISSUE;

	grant_issue_init(&issue);
	if (client->secret == NULL && client->key == NULL) {
		r->sandbox->stats.token_errors++;
		web_reply_error(r, 400, "unauthorized_client",
		    "A client without a secret or key cannot ask by itself.");
	} else if (scope != NULL && strcmp(scope, p->app_scope) != 0) {
		refuse(r, REFUSE_SCOPE);
	} else if (grants_give(r->sandbox->grants, &consent, "client_credentials", web_now(),
		       &issue) != GRANT_OK) {
		reply_refusal(r, GRANT_FAILED, "client");
	} else {
		reply_tokens(r, &issue);
	}
}

static void
device_poll(struct web_request *r, const struct sandbox_client *client)
{
	static const enum personality_refusal refusals[] = {[DEVICE_PENDING] = REFUSE_PENDING,
	    [DEVICE_SLOW_DOWN] = REFUSE_SLOW_DOWN,
	    [DEVICE_DENIED] = REFUSE_DENIED,
	    [DEVICE_EXPIRED] = REFUSE_EXPIRED,
	    [DEVICE_UNKNOWN] = REFUSE_GRANT};
	const char *code = form_get(&r->body, "device_code"), *account, *scope;
	struct grant_issue issue CLEANUP_ISSUE;
	enum device_result result;

	grant_issue_init(&issue);
	result = code == NULL ? DEVICE_UNKNOWN
			      : devices_poll(r->sandbox->devices, code, client->id, web_now(),
				    &account, &scope);
	if (result != DEVICE_GRANTED) {
		refuse(r, refusals[result]);
		return;
	}
	if (grants_give(r->sandbox->grants,
		&(struct grant_consent){.account = account,
		    .client = client->id,
		    .scope = scope,
		    .offline = r->sandbox->personality->offline_by_parameter},
		"device_code", web_now(), &issue) != GRANT_OK) {
		reply_refusal(r, GRANT_FAILED, "device code");
		return;
	}
	r->sandbox->stats.codes_exchanged++;
	log_line(LOG_LEVEL_INFO, "device connected", LOG_PAIRS({LOG_ACCOUNT, issue.account}));
	reply_tokens(r, &issue);
}

/* RFC 8628 section 3.1 and 3.2. */
static void
device_authorization_post(struct web_request *r)
{
	const struct sandbox_client *client = authenticate_client(r);
	const struct grants_config *config = grants_config(r->sandbox->grants);
	const char *scope = form_get(&r->body, "scope");
	struct buf code CLEANUP_BUF = BUF_INIT_WIPE(128);
	char user_code[DEVICE_USER_CODE_SIZE];
	struct fault fault;

	if (client == NULL || web_fault(r, FAULT_DEVICE, NULL, &fault))
		return;
	if (scope == NULL || !grant_scope_within(scope, r->sandbox->personality->scopes)) {
		refuse(r, REFUSE_SCOPE);
		return;
	}
	if (devices_begin(r->sandbox->devices, client->id, scope, config->device_life,
		config->device_interval, web_now(), &code, user_code) < 0) {
		web_reply_error(
		    r, 503, "temporarily_unavailable", "There is no memory for a device.");
		return;
	}
	web_reply_json(r, 200,
	    json_pack("{s:s, s:s, s:o, s:o, s:i, s:i}", "device_code", buf_str(&code), "user_code",
		user_code, "verification_uri", json_sprintf("%s/device", r->sandbox->issuer),
		"verification_uri_complete",
		json_sprintf("%s/device?user_code=%s", r->sandbox->issuer, user_code), "expires_in",
		(int)config->device_life, "interval", (int)config->device_interval));
}

static void
serve_grant(struct web_request *r, const struct sandbox_client *client)
{
	const char *type = form_get(&r->body, "grant_type");

	if (type != NULL && strcmp(type, "authorization_code") == 0) {
		exchange_code(r, client);
	} else if (type != NULL && strcmp(type, "refresh_token") == 0) {
		refresh(r, client);
	} else if (type != NULL && strcmp(type, "client_credentials") == 0) {
		client_credentials(r, client);
	} else if (type != NULL &&
		   strcmp(type, "urn:ietf:params:oauth:grant-type:device_code") == 0) {
		device_poll(r, client);
	} else {
		r->sandbox->stats.token_errors++;
		web_reply_error(r, 400, type == NULL ? "invalid_request" : "unsupported_grant_type",
		    "grant_type must be authorization_code, refresh_token, client_credentials or "
		    "the device code's.");
	}
}

/* Whom the request is about, as far as a fault may want to know; NULL: unknown. */
static const char *
account_of(const struct web_request *r)
{
	const char *text = form_get(&r->body, "refresh_token");

	if (text == NULL)
		text = form_get(&r->body, "code");
	return text == NULL ? NULL : grants_account(r->sandbox->grants, text);
}

static void
token_post(struct web_request *r)
{
	const struct sandbox_client *client = authenticate_client(r);
	const char *account = client == NULL ? NULL : account_of(r);
	struct grants_config *config = grants_config(r->sandbox->grants), kept = *config;
	struct fault fault;

	if (client == NULL)
		return;
	if (web_fault(r, FAULT_TOKEN, account, &fault)) {
		r->sandbox->stats.token_errors++;
		return;
	}
	if (fault.action == FAULT_REVOKE && account != NULL)
		(void)grants_revoke_account(r->sandbox->grants, account);
	if (fault.action == FAULT_EXPIRED)
		config->access_life = 0;
	if (fault.action == FAULT_NARROW)
		config->withhold = r->sandbox->personality->send_scope;
	serve_grant(r, client);
	config->access_life = kept.access_life;
	config->withhold = NULL;
}

/* RFC 7009 section 2.2: an unknown token is no error. */
static void
revoke_post(struct web_request *r)
{
	const char *token = form_get(&r->body, "token");
	const struct sandbox_client *client = authenticate_client(r);

	if (client == NULL)
		return;
	if (token == NULL) {
		web_reply_error(r, 400, "invalid_request", "token is required.");
		return;
	}
	(void)grants_revoke(r->sandbox->grants, token, client->id);
	web_reply_json(r, 200, json_object());
}

static void
userinfo_get(struct web_request *r)
{
	const char *token = web_bearer(r);
	struct grant_access access;

	if (token != NULL && grants_check(r->sandbox->grants, token, web_now(), &access) &&
	    grant_scope_has(access.scope, "openid")) {
		web_reply_json(r, 200, identity_claims(access.account));
		return;
	}
	httpd_set_header(r->http, "WWW-Authenticate",
	    token == NULL ? "Bearer" : "Bearer error=\"invalid_token\"");
	web_reply_error(
	    r, 401, "invalid_token", "A valid access token with the scope openid is needed.");
}

static json_t *
endpoint(const struct web_request *r, const char *path)
{
	return json_sprintf("%s%s", r->sandbox->issuer, path);
}

static void
discovery_get(struct web_request *r)
{
	json_t *list = json_array();
	size_t n;

	for (const char *at = r->sandbox->personality->scopes; list != NULL && *at != '\0';
	     at += n) {
		at += strspn(at, " ");
		n = strcspn(at, " ");
		if (json_array_append_new(list, json_stringn(at, n)) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	web_reply_json(r, 200,
	    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:[s], s:[s,s,s,s], s:[s], s:[s], "
		      "s:[s,s,s,s], s:[s,s,s], s:[s], s:[s], s:o, s:b}",
		"issuer", r->sandbox->issuer, "authorization_endpoint", endpoint(r, "/authorize"),
		"token_endpoint", endpoint(r, "/token"), "revocation_endpoint",
		endpoint(r, "/revoke"), "userinfo_endpoint", endpoint(r, "/userinfo"), "jwks_uri",
		endpoint(r, "/jwks"), "scopes_supported", list, "response_types_supported", "code",
		"grant_types_supported", "authorization_code", "refresh_token",
		"client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
		"response_modes_supported", "query", "code_challenge_methods_supported", "S256",
		"token_endpoint_auth_methods_supported", "none", "client_secret_post",
		"client_secret_basic", "private_key_jwt",
		"token_endpoint_auth_signing_alg_values_supported", "RS256", "PS256", "ES256",
		"subject_types_supported", "public", "id_token_signing_alg_values_supported",
		"ES256", "device_authorization_endpoint", endpoint(r, "/device_authorization"),
		"authorization_response_iss_parameter_supported", 1));
}

static void
jwks_get(struct web_request *r)
{
	web_reply_json(r, 200, jwt_key_set(r->sandbox->key));
}

const struct web_route token_routes[] = {
    {"/token", HTTPD_POST, token_post},
    {"/device_authorization", HTTPD_POST, device_authorization_post},
    {"/revoke", HTTPD_POST, revoke_post},
    {"/userinfo", HTTPD_GET, userinfo_get},
    {"/userinfo", HTTPD_POST, userinfo_get},
    {"/.well-known/openid-configuration", HTTPD_GET, discovery_get},
    {"/.well-known/oauth-authorization-server", HTTPD_GET, discovery_get},
    {"/jwks", HTTPD_GET, jwks_get},
    {NULL},
};
