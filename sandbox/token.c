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
	client = given_id == NULL ? NULL : sandbox_client(r->sandbox, given_id);
	if (client != NULL && (client->secret == NULL ||
				  (given != NULL && sandbox_secret_fits(client->secret, given))))
		return client;
	r->sandbox->stats.token_errors++;
	/* a header that a reply lacks for want of memory changes nothing for the client */
	(void)evhttp_add_header(evhttp_request_get_output_headers(r->http), "WWW-Authenticate",
	    "Basic realm=\"frank-sandbox\"");
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

static void
serve_grant(struct web_request *r, const struct sandbox_client *client)
{
	const char *type = form_get(&r->body, "grant_type");

	if (type != NULL && strcmp(type, "authorization_code") == 0) {
		exchange_code(r, client);
	} else if (type != NULL && strcmp(type, "refresh_token") == 0) {
		refresh(r, client);
	} else {
		r->sandbox->stats.token_errors++;
		web_reply_error(r, 400, type == NULL ? "invalid_request" : "unsupported_grant_type",
		    "grant_type must be authorization_code or refresh_token.");
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
	(void)evhttp_add_header(evhttp_request_get_output_headers(r->http), "WWW-Authenticate",
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
	    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:[s], s:[s,s], s:[s], s:[s], "
		      "s:[s,s,s], s:[s], s:[s], s:b}",
		"issuer", r->sandbox->issuer, "authorization_endpoint", endpoint(r, "/authorize"),
		"token_endpoint", endpoint(r, "/token"), "revocation_endpoint",
		endpoint(r, "/revoke"), "userinfo_endpoint", endpoint(r, "/userinfo"), "jwks_uri",
		endpoint(r, "/jwks"), "scopes_supported", list, "response_types_supported", "code",
		"grant_types_supported", "authorization_code", "refresh_token",
		"response_modes_supported", "query", "code_challenge_methods_supported", "S256",
		"token_endpoint_auth_methods_supported", "none", "client_secret_post",
		"client_secret_basic", "subject_types_supported", "public",
		"id_token_signing_alg_values_supported", "ES256",
		"authorization_response_iss_parameter_supported", 1));
}

static void
jwks_get(struct web_request *r)
{
	web_reply_json(r, 200, jwt_key_set(r->sandbox->key));
}

const struct web_route token_routes[] = {
    {"/token", EVHTTP_REQ_POST, token_post},
    {"/revoke", EVHTTP_REQ_POST, revoke_post},
    {"/userinfo", EVHTTP_REQ_GET, userinfo_get},
    {"/userinfo", EVHTTP_REQ_POST, userinfo_get},
    {"/.well-known/openid-configuration", EVHTTP_REQ_GET, discovery_get},
    {"/.well-known/oauth-authorization-server", EVHTTP_REQ_GET, discovery_get},
    {"/jwks", EVHTTP_REQ_GET, jwks_get},
    {NULL},
};
