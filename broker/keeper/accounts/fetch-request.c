/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fetch-request.c: requests to the fetch role, which main starts when it is needed and which leaves when
 * it is not.
 *
 * A request waits until the role is there; whatever is outstanding when its channel closes has
 * failed, and may or may not have reached the server. A request that is not answered in
 * REQUEST_LONGEST ends the role: so there are no late answers, and nothing that an answer may bring
 * is ever dropped. The role is let go when it had nothing to do for a minute.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/log.h"
#include "broker/keeper/accounts/assertion.h"
#include "broker/keeper/accounts/scope.h"

enum { IN_FLIGHT_MAX = 256, AUDIENCE_SHOWN = 500 };
enum { REQUEST_LONGEST = 180000, START_LONGEST = 30000 }; /* ms */
enum { IDLE_LONGEST = 60 };                               /* seconds */

struct request {
	struct request *next;
	uint64_t id;
	struct message *message; /* NULL once it is sent */
	int64_t since;           /* ms of the boot clock */
	request_done *done;      /* NULL: cancelled */
	void *arg;
	uint64_t tag;
};

bool
requests_idle(const struct keeper *k)
{
	return k->requests == NULL;
}

uint64_t
request_id(struct keeper *k)
{
	return ++k->last_request_id;
}

static struct request *
unlink_request(struct keeper *k, uint64_t id)
{
	for (struct request **p = &k->requests; *p != NULL; p = &(*p)->next) {
		struct request *r = *p;

		if (r->id != id)
			continue;
		*p = r->next;
		if (k->last_request == &r->next)
			k->last_request = p;
		return r;
	}
	return NULL;
}

/* Takes the request. */
static void
finish(struct keeper *k, struct request *r, const struct message *answer, const char *fault)
{
	bool sent = r->message == NULL;
	request_done *done = r->done;
	void *arg = r->arg;
	uint64_t tag = r->tag;

	(void)message_free(r->message);
	free(r);
	if (done != NULL)
		done(arg, tag, k, answer, fault, sent);
}

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void
set_timer(struct keeper *k)
{
	struct timeval t = {.tv_sec = k->requests == NULL ? IDLE_LONGEST : 5};

	if (k->fetch_timer == NULL)
		k->fetch_timer = evtimer_new(role_base(k->role), on_timer, k);
	if (k->fetch_timer != NULL)
		(void)evtimer_add(k->fetch_timer, &t);
}

/* Fails what is outstanding (`sent`: only that, and not what still waits). */
static void
fail_all(struct keeper *k, bool sent, const char *fault)
{
	struct request *r = k->requests, *next;
	struct request *failed = NULL, **last = &failed;

	k->requests = NULL;
	k->last_request = &k->requests;
	for (; r != NULL; r = next) {
		next = r->next;
		r->next = NULL;
		if (sent && r->message != NULL) {
			*k->last_request = r;
			k->last_request = &r->next;
		} else {
			*last = r;
			last = &r->next;
		}
	}
	while (failed != NULL) {
		r = failed;
		failed = r->next;
		finish(k, r, NULL, fault);
	}
}

static void
flush(struct keeper *k)
{
	struct channel *c = role_peer(k->role, ROLE_FETCH);
	unsigned in_flight = 0;

	for (struct request *r = k->requests; c != NULL && r != NULL && in_flight < IN_FLIGHT_MAX;
	     r = r->next) {
		in_flight++;
		if (r->message == NULL)
			continue;
		if (channel_send(c, TAKE_PTR(r->message), -1) < 0) {
			/* The channel is broken or hopelessly full: its end fails what is
			 * outstanding. */
			log_error("A request does not reach the fetch role.");
			role_drop(k->role, ROLE_FETCH);
			return;
		}
	}
}

void
request_start(
    struct keeper *k, uint64_t id, struct message *m, request_done *done, void *arg, uint64_t tag)
{
	struct request *r = message_error(m) < 0 ? NULL : calloc(1, sizeof(*r));

	if (r == NULL) {
		(void)message_free(m);
		done(arg, tag, k, NULL,
		    "the request could not be made: it is too long, or memory ran out", false);
		return;
	}
	*r = (struct request){.id = id,
	    .message = m,
	    .since = keeper_now(k).boot,
	    .done = done,
	    .arg = arg,
	    .tag = tag};
	*k->last_request = r;
	k->last_request = &r->next;
	if (role_peer(k->role, ROLE_FETCH) == NULL)
		role_need(k->role, ROLE_FETCH);
	else
		flush(k);
	set_timer(k);
}

void
requests_cancel(struct keeper *k, void *arg)
{
	for (struct request *r = k->requests; r != NULL; r = r->next)
		if (r->arg == arg)
			r->done = NULL;
}

void
requests_answer(struct keeper *k, const struct message *m)
{
	struct request *r = unlink_request(k, message_u64(m, F_ID, 0));

	if (r == NULL)
		return;
	finish(k, r, m, NULL);
	flush(k);
	set_timer(k);
}

void
requests_peer(struct keeper *k, bool up)
{
	if (up) {
		flush(k);
		set_timer(k);
		return;
	}
	fail_all(k, true, "the process that talks to it ended in the middle");
	if (k->requests != NULL)
		role_need(k->role, ROLE_FETCH);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	int64_t now = keeper_now(k).boot;
	bool up = role_peer(k->role, ROLE_FETCH) != NULL;

	if (k->requests == NULL) {
		role_drop(k->role, ROLE_FETCH);
		return;
	}
	if (up && now - k->requests->since > REQUEST_LONGEST) {
		log_error("The fetch role does not answer; it is ended.");
		role_drop(k->role, ROLE_FETCH);
	} else if (!up && now - k->requests->since > START_LONGEST) {
		fail_all(k, false, "the process that talks to it could not be started");
	}
	if (k->requests != NULL)
		set_timer(k);
}

void
requests_clear(struct keeper *k)
{
	if (k->fetch_timer != NULL)
		event_free(k->fetch_timer);
	k->fetch_timer = NULL;
	while (k->requests != NULL) {
		struct request *r = k->requests;

		k->requests = r->next;
		(void)message_free(r->message);
		free(r);
	}
	k->last_request = &k->requests;
}

/* ---- the forms of a token request and its answer ---- */

static void
put_place(struct message *m, enum message_type type, const char *endpoint)
{
	message_put_str(m,
	    type == M_TOKEN_REQUEST    ? F_TOKEN_ENDPOINT
	    : type == M_DEVICE_REQUEST ? F_DEVICE_ENDPOINT
				       : F_REVOCATION_ENDPOINT,
	    endpoint);
}

/* The assertion of a client that signs, or of a service account; NULL with *ret_why. */
static struct secret *
sign(struct keeper *k, const struct account *a, const char **ret_why)
{
	const struct account_conf *c = a->conf;
	bool service = c->grant == GRANT_SERVICE_ACCOUNT;
	CLEANUP_SECRET struct secret *key = account_signing_key(a);
	struct secret *signature = NULL;
	uint8_t jti[ASSERTION_JTI];
	struct assertion claims = {.issuer = c->client_id,
	    .subject = service ? account_conf_login(c) : c->client_id,
	    .audience = account_token_endpoint(a),
	    .scope = service ? c->scopes : NULL,
	    .key_id = c->key_id != NULL ? c->key_id : a->record.signing_key_id,
	    .algorithm = c->key_algorithm != NULL ? c->key_algorithm
			 : service                ? "RS256"
						  : NULL,
	    .jti = service ? NULL : jti,
	    .now = keeper_now(k).wall,
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
	if (k->files->random(k->files->arg, jti, sizeof(jti)) < 0 ||
	    assertion_sign(&claims, key, &signature, ret_why) < 0)
		return NULL;
	return signature;
}

static void
put_assertion(struct message *m, const struct account *a, const struct secret *signature)
{
	static const char type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

	if (a->conf->grant == GRANT_SERVICE_ACCOUNT) {
		token_request_put(m, "assertion", secret_bytes(signature), secret_len(signature));
		return;
	}
	token_request_put(m, "client_assertion_type", type, sizeof(type) - 1);
	token_request_put(m, "client_assertion", secret_bytes(signature), secret_len(signature));
}

struct message *
token_request_new(struct keeper *k, const struct account *a, enum message_type type, uint64_t id,
    const char *endpoint, const char **ret_why)
{
	const struct account_conf *c = a->conf;
	bool signs = account_conf_signs(c);
	CLEANUP_SECRET struct secret *secret = signs ? NULL : account_client_secret(a);
	CLEANUP_SECRET struct secret *signature = NULL;
	const char *way = c->client_auth != NULL ? c->client_auth : "post";
	struct message *m;

	*ret_why = NULL;
	if (signs && (signature = sign(k, a, ret_why)) == NULL)
		return NULL;
	m = message_new(type);
	if (secret == NULL)
		way = "none";
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, c->name);
	/* "" where it is not known: the fetch role asks the issuer's metadata for it. */
	if (endpoint == NULL)
		endpoint = account_token_endpoint(a) != NULL ? account_token_endpoint(a) : "";
	put_place(m, type, endpoint);
	/* a service account's assertion says who it is */
	message_put_str(m, F_CLIENT_ID,
	    c->client_id == NULL || c->grant == GRANT_SERVICE_ACCOUNT ? "" : c->client_id);
	message_put_str(m, F_CLIENT_AUTH, way);
	if (strcmp(way, "none") != 0)
		message_put_secret(m, F_CLIENT_SECRET, secret);
	if (type == M_TOKEN_REQUEST)
		message_put_str(m, F_ISSUER, c->issuer);
	if (signature != NULL)
		put_assertion(m, a, signature);
	return m;
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

/* Equal but for a slash at the end, which some servers add. */
static bool
audience_fits(const char *wanted, const char *got)
{
	size_t w = strlen(wanted), g = strlen(got);

	w -= w > 0 && wanted[w - 1] == '/';
	g -= g > 0 && got[g - 1] == '/';
	return w == g && strncasecmp(wanted, got, w) == 0;
}

/* Whom the token is meant for, where the account names others only; else nothing. */
static void
find_misdirection(const struct message *m, const struct account_conf *c, struct buf *ret)
{
	const char *audience, *first = NULL;
	size_t at = 0;

	while (message_next_str(m, F_TOKEN_AUDIENCE, &at, &audience)) {
		if (first == NULL)
			first = audience;
		for (size_t i = 0; i < c->audience_count; i++)
			if (audience_fits(c->audience[i], audience))
				return;
	}
	if (first != NULL && c->audience_count > 0)
		(void)text_plain(ret, first, strlen(first), AUDIENCE_SHOWN);
}

void
token_answer_read(const struct message *m, const char *fault, bool sent,
    const struct account_conf *conf, struct token_answer *ret)
{
	struct machine_answer *a = &ret->answer;

	*ret = (struct token_answer){.lacking = BUF_INIT(1024), .misdirected = BUF_INIT(2100)};
	if (m == NULL) {
		a->facts.fault = fault;
		a->unsent = !sent;
		return;
	}
	a->facts.fault = message_str(m, F_FAULT);
	a->facts.error = message_str(m, F_OAUTH_ERROR);
	a->facts.text = message_str(m, F_TEXT);
	a->facts.status = message_u64(m, F_HTTP_STATUS, 0);
	a->retry_after = message_u64(m, F_RETRY_AFTER, 0);
	a->skew = message_u64(m, F_SKEW, 0);
	ret->access_token = message_secret(m, F_ACCESS_TOKEN);
	ret->refresh_token = message_secret(m, F_REFRESH_TOKEN);
	a->access_token = ret->access_token;
	a->refresh_token = ret->refresh_token;
	a->has_life = message_has(m, F_EXPIRES_IN);
	a->life = message_u64(m, F_EXPIRES_IN, 0);
	a->has_refresh_life = message_has(m, F_REFRESH_EXPIRES_IN);
	a->refresh_life = message_u64(m, F_REFRESH_EXPIRES_IN, 0);
	a->scope = message_str(m, F_SCOPE);
	if (ret->access_token == NULL && a->facts.fault == NULL && a->facts.error == NULL)
		a->facts.fault = "an answer with neither a token nor an error";
	if (ret->access_token == NULL)
		return;
	if (scope_lacking(conf->scopes, a->scope, &ret->lacking))
		a->lacking = buf_str(&ret->lacking);
	find_misdirection(m, conf, &ret->misdirected);
	if (ret->misdirected.len > 0)
		a->misdirected = buf_str(&ret->misdirected);
}

void
token_answer_clear(struct token_answer *t)
{
	(void)secret_free(t->access_token);
	(void)secret_free(t->refresh_token);
	buf_free(&t->lacking);
	buf_free(&t->misdirected);
}
