/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fetch.c: see fetch.h.
 *
 * A job is one request of the keeper's and at most one HTTP transfer at a time:
 *
 *   TOKEN_REQUEST with an endpoint    ask ────────────────────────────────▶ answer
 *   TOKEN_REQUEST without one         discover (cache, addresses in turn) ─▶ ask ─▶ answer
 *   DISCOVER                          discover ───────────────────────────▶ answer
 *   USERINFO, DEVICE_REQUEST, REVOKE_REQUEST
 *                                     ask ────────────────────────────────▶ answer
 *
 * Redirects are followed while discovering, within the origin. A token endpoint that redirects is a fault: what was
 * posted there is meant for nobody else.
 */
#include "broker/https/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/issuer.h"
#include "base/log.h"
#include "broker/conf/wire.h"
#include "broker/https/discovery-cache.h"
#include "broker/https/document.h"
#include "broker/https/http.h"
#include "broker/https/request.h"
#include "broker/https/url.h"

enum { JOBS_MAX = 1024, REDIRECTS_MAX = 3, SENTENCE_MAX = 900, ADDRESS_MAX = 2 * URL_MAX };

struct fetch {
	struct http *http;
	struct conf *conf, *coming; /* NULL: none yet */
	struct discovery_cache *cache;
	const struct fetch_ops *ops;
	void *arg;
	struct fetch_job *jobs;
	unsigned job_count;
};

struct fetch_job {
	struct fetch *fetch;
	struct fetch_job *next;
	struct request *request;
	struct buf address; /* of the document that is being asked for */
	unsigned candidate; /* which of discovery_address's */
	unsigned redirects;
	bool unfit; /* what was found is not this issuer's metadata, and will not be */
	char sentence[SENTENCE_MAX]; /* why discovery got nowhere so far; then the fault that is
					answered */
};

static int64_t
seconds_since_boot(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

/* ---- the end of a job ---- */

static void
job_free(struct fetch_job *j)
{
	struct fetch *f = j->fetch;

	for (struct fetch_job **p = &f->jobs; *p != NULL; p = &(*p)->next) {
		if (*p == j) {
			*p = j->next;
			f->job_count--;
			break;
		}
	}
	(void)request_free(j->request);
	buf_free(&j->address);
	free(j);
}

static void
deliver(struct fetch *f, const struct request *r, const struct answer_head *head, struct message *m)
{
	const struct answer_head too_long = {.status = head->status,
	    .date = -1,
	    .retry_after = -1,
	    .now = head->now,
	    .fault = "the answer is too long for Frank"};
	int e = f->ops->answer(f->arg, m);

	if (e == -EMSGSIZE)
		e = f->ops->answer(f->arg, request_fault(r, &too_long));
	if (e < 0)
		log_error("An answer for the keeper was lost: %s", strerror(-e));
}

static void
log_outcome(const struct request *r, const char *outcome, const char *error)
{
	char authority[URL_AUTHORITY_MAX];
	const char *address = r->endpoint == NULL || *r->endpoint == '\0' ? r->issuer : r->endpoint;

	url_authority(address == NULL ? "" : address, authority, sizeof(authority));
	log_line(error == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE,
	    r->type == M_TOKEN_REQUEST    ? "Asked for a token."
	    : r->type == M_DISCOVER       ? "Asked for the authorization server's metadata."
	    : r->type == M_DEVICE_REQUEST ? "Asked for a device code."
	    : r->type == M_REVOKE_REQUEST ? "Asked to revoke a grant."
					  : "Asked who signed in.",
	    LOG_PAIRS({LOG_ACCOUNT, r->account}, {LOG_ENDPOINT, authority}, {LOG_OUTCOME, outcome},
		{LOG_ERROR, error}));
}

static struct answer_head
head_of(const struct http_answer *a)
{
	struct answer_head head = {.date = -1, .retry_after = -1, .now = time(NULL)};

	if (a != NULL) {
		head.status = a->status;
		head.date = a->date;
		head.retry_after = a->retry_after;
	}
	return head;
}

/* Answers with the sentence that stands in the job, and ends it. */
static void
fail(struct fetch_job *j, const struct http_answer *a)
{
	struct answer_head head = head_of(a);

	head.fault = j->sentence;
	head.unfit = j->unfit;
	log_outcome(j->request, "fault", j->sentence);
	deliver(j->fetch, j->request, &head, request_fault(j->request, &head));
	job_free(j);
}

static void PRINTF_LIKE(2, 3) say(struct fetch_job *j, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(j->sentence, sizeof(j->sentence), format, ap);
	va_end(ap);
}

/* Why an answer with a status is of no use: a redirect, a page, another document. */
static void
say_unusable(struct fetch_job *j, const char *url, const struct http_answer *a, const char *instead,
    bool is_json)
{
	char authority[URL_AUTHORITY_MAX], elsewhere[URL_AUTHORITY_MAX];

	url_authority(url, authority, sizeof(authority));
	if (a->status == 407) {
		say(j, "%s answered 407: a proxy on the way wants a sign-in of its own", authority);
	} else if (a->status >= 300 && a->status < 400) {
		url_authority(a->location == NULL ? "" : a->location, elsewhere, sizeof(elsewhere));
		say(j,
		    "%s answered %ld and points to %s, which is not followed: a captive portal, a "
		    "proxy or a wrong address",
		    authority, a->status, *elsewhere == '\0' ? "another place" : elsewhere);
	} else if (a->status < 400 && strncmp(instead, "JSON", 4) != 0 && !is_json) {
		say(j, "%s answered %ld with %s: a captive portal, a proxy or a wrong address",
		    authority, a->status, instead);
	} else {
		say(j, "%s answered %ld with %s", authority, a->status, instead);
	}
}

/* ---- asking ---- */

static void
on_token_answer(struct fetch_job *j, const struct http_answer *a)
{
	struct answer_head head = head_of(a);
	struct token_response t;

	if (token_answer_parse(a->status, a->body, a->body_len, &t) < 0) {
		say(j, "memory ran out");
		fail(j, a);
		return;
	}
	if (t.fault != NULL || (a->status >= 300 && a->status < 400)) {
		say_unusable(j, j->request->endpoint, a, t.fault, t.is_json);
		token_answer_clear(&t);
		fail(j, a);
		return;
	}
	log_outcome(j->request, t.error == NULL ? "token" : "refused", t.error);
	deliver(j->fetch, j->request, &head, request_token_answer(j->request, &head, &t));
	token_answer_clear(&t);
	job_free(j);
}

static void
on_userinfo_answer(struct fetch_job *j, const struct http_answer *a)
{
	CLEANUP_DOCUMENT json_t *d = NULL;
	struct answer_head head = head_of(a);
	struct claims claims = {0};
	const char *instead;

	d = document_parse(a->body, a->body_len, &instead);
	if (d == NULL || a->status != 200) {
		say_unusable(
		    j, j->request->endpoint, a, d == NULL ? instead : "an error", d != NULL);
		fail(j, a);
		return;
	}
	if (id_token_claims_read(d, &claims) < 0) {
		say(j, "memory ran out");
		fail(j, a);
	} else {
		log_outcome(j->request, "identity", NULL);
		deliver(j->fetch, j->request, &head,
		    request_userinfo_answer(j->request, &head, &claims));
		job_free(j);
	}
	id_token_claims_clear(&claims);
}

static void
on_device_answer(struct fetch_job *j, const struct http_answer *a)
{
	struct answer_head head = head_of(a);
	struct device_answer d;

	if (device_answer_parse(a->status, a->body, a->body_len, &d) < 0) {
		say(j, "memory ran out");
		fail(j, a);
		return;
	}
	if (d.fault != NULL) {
		say_unusable(j, j->request->endpoint, a, d.fault, false);
		fail(j, a);
	} else {
		log_outcome(j->request, d.error == NULL ? "device-code" : "refused", d.error);
		deliver(j->fetch, j->request, &head, request_device_answer(j->request, &head, &d));
		job_free(j);
	}
	device_answer_clear(&d);
}

/* RFC 7009 section 2.2: 200 says that the token is void, also one that never was; the body is
 * nothing. Everything else is no success. */
static void
on_revoke_answer(struct fetch_job *j, const struct http_answer *a)
{
	struct answer_head head = head_of(a);
	struct token_response t;

	if (a->status == 200) {
		log_outcome(j->request, "revoked", NULL);
		deliver(j->fetch, j->request, &head,
		    request_revoke_answer(j->request, &head, NULL, NULL));
		job_free(j);
		return;
	}
	if (token_answer_parse(a->status, a->body, a->body_len, &t) < 0) {
		say(j, "memory ran out");
		fail(j, a);
		return;
	}
	if (t.error == NULL) {
		say_unusable(
		    j, j->request->endpoint, a, t.fault == NULL ? "no error" : t.fault, t.is_json);
		fail(j, a);
	} else {
		log_outcome(j->request, "refused", t.error);
		deliver(j->fetch, j->request, &head,
		    request_revoke_answer(j->request, &head, t.error, t.description));
		job_free(j);
	}
	token_answer_clear(&t);
}

static void
on_answer(void *arg, const struct http_answer *a)
{
	struct fetch_job *j = arg;

	if (a->fault != NULL) {
		say(j, "%s", a->fault);
		fail(j, a);
	} else if (j->request->type == M_TOKEN_REQUEST) {
		on_token_answer(j, a);
	} else if (j->request->type == M_DEVICE_REQUEST) {
		on_device_answer(j, a);
	} else if (j->request->type == M_REVOKE_REQUEST) {
		on_revoke_answer(j, a);
	} else {
		on_userinfo_answer(j, a);
	}
}

static void
take_configuration(struct fetch *f, const struct message *m, int fd)
{
	int r = wire_collect(&f->coming, ROLE_FETCH, m, fd);

	if (r < 0)
		log_error("A configuration did not arrive whole; the one before stays.");
	if (r != 1)
		return;
	(void)conf_free(f->conf);
	f->conf = TAKE_PTR(f->coming);
	discovery_cache_clear(f->cache);
}

/* The certificate authorities for an account: NULL for the system's. False where its own cannot be read: it is not asked with
 * others instead. */
static bool
find_ca(const struct fetch *f, const char *name, const struct buf **ret)
{
	const struct conf_account *a = f->conf == NULL ? NULL : conf_find_account(f->conf, name);

	*ret = a == NULL || a->ca_file.text.len == 0 ? NULL : &a->ca_file.text;
	return a == NULL || !a->ca_file.unreadable;
}

/* Sends a request of the job's; with `ask` the one that bears its form and credentials. On failure
 * the job is answered and gone. */
static void
start_transfer(struct fetch_job *j, const char *url, http_done *done, bool ask)
{
	const struct request *r = j->request;
	struct http_request q = {.url = url};
	int e;

	if (!find_ca(j->fetch, r->account, &q.ca)) {
		say(j, "the account's ca-file could not be read");
		fail(j, NULL);
		return;
	}
	if (ask && request_is_form(r))
		q.body = &r->form;
	if (ask && r->authorization.len > 0)
		q.authorization = buf_str(&r->authorization);
	e = http_start(j->fetch->http, &q, done, j);
	if (e < 0) {
		say(j, "the request could not be made: %s", strerror(-e));
		fail(j, NULL);
	}
}

static void
ask(struct fetch_job *j)
{
	const char *refusal = url_refusal(j->request->endpoint);

	if (refusal != NULL) {
		say(j, "the %s endpoint is not usable: %s",
		    j->request->type == M_TOKEN_REQUEST    ? "token"
		    : j->request->type == M_DEVICE_REQUEST ? "device"
		    : j->request->type == M_REVOKE_REQUEST ? "revocation"
							   : "userinfo",
		    refusal);
		fail(j, NULL);
		return;
	}
	start_transfer(j, j->request->endpoint, on_answer, true);
}

/* ---- discovering ---- */

static void on_document(void *arg, const struct http_answer *a);

static void
discovered(struct fetch_job *j, const struct discovery *d, const struct http_answer *a)
{
	struct answer_head head = head_of(a);

	if (j->request->type == M_TOKEN_REQUEST) {
		free(j->request->endpoint);
		j->request->endpoint = strdup(d->token_endpoint);
		if (j->request->endpoint == NULL) {
			say(j, "memory ran out");
			fail(j, NULL);
			return;
		}
		ask(j);
		return;
	}
	log_outcome(j->request, a == NULL ? "cached" : "metadata", NULL);
	deliver(j->fetch, j->request, &head, request_discovered(j->request, &head, d));
	job_free(j);
}

/* Asks at the job's next address, or gives up. */
static void
next_candidate(struct fetch_job *j)
{
	int r = discovery_address(j->request->issuer, j->candidate++, &j->address);
	char authority[URL_AUTHORITY_MAX];

	j->redirects = 0;
	if (r == 1) {
		start_transfer(j, buf_str(&j->address), on_document, false);
		return;
	}
	if (*j->sentence == '\0') {
		url_authority(j->request->issuer, authority, sizeof(authority));
		say(j,
		    "%s offers no metadata for the issuer %s: name the endpoints in the "
		    "configuration",
		    authority, j->request->issuer);
		j->unfit = true;
	}
	fail(j, NULL);
}

static bool
follow(struct fetch_job *j, const struct http_answer *a)
{
	if (a->status < 300 || a->status >= 400 || a->location == NULL ||
	    j->redirects++ >= REDIRECTS_MAX || url_refusal(a->location) != NULL ||
	    !issuer_is_same_origin(a->location, buf_str(&j->address)))
		return false;
	buf_clear(&j->address);
	if (buf_append_str(&j->address, a->location) < 0)
		return false;
	start_transfer(j, buf_str(&j->address), on_document, false);
	return true;
}

static void
read_metadata(struct fetch_job *j, const struct http_answer *a)
{
	CLEANUP_BUF struct buf why = BUF_INIT(SENTENCE_MAX);
	struct fetch *f = j->fetch;
	struct discovery d;
	int r = discovery_parse(a->body, a->body_len, j->request->issuer, &d, &why);

	if (r == 0) {
		discovery_cache_put(
		    f->cache, j->request->account, j->request->issuer, &d, seconds_since_boot());
		discovered(j, &d, a);
		discovery_clear(&d);
		return;
	}
	say(j, "%s %s", buf_str(&j->address),
	    r == -ENOMEM ? "could not be read: memory ran out" : buf_str(&why));
	j->unfit = r == -EINVAL;
	next_candidate(j);
}

static void
on_document(void *arg, const struct http_answer *a)
{
	struct fetch_job *j = arg;

	if (a->fault != NULL) {
		say(j, "%s", a->fault);
		fail(j, a);
	} else if (a->status == 429 || a->status >= 500) {
		say(j, "%s answered %ld", buf_str(&j->address), a->status);
		fail(j, a);
	} else if (a->status == 200) {
		read_metadata(j, a);
	} else if (!follow(j, a)) {
		next_candidate(j);
	}
}

static void
discover(struct fetch_job *j)
{
	const char *issuer = j->request->issuer, *refusal;
	const struct discovery *known;

	refusal = issuer == NULL || *issuer == '\0'
		      ? "the account names neither an issuer nor a token endpoint"
		      : url_refusal(issuer);
	if (refusal != NULL) {
		say(j, "the issuer is not usable: %s", refusal);
		fail(j, NULL);
		return;
	}
	known =
	    discovery_cache_get(j->fetch->cache, j->request->account, issuer, seconds_since_boot());
	if (known != NULL)
		discovered(j, known, NULL);
	else
		next_candidate(j);
}

/* ---- messages ---- */

/* Answers a request that could not be taken in. */
static void
refuse(struct fetch *f, const struct message *m, const char *why)
{
	const struct request r = {.type = message_type(m), .id = message_u64(m, F_ID, 0)};
	struct answer_head head = head_of(NULL);

	head.fault = why;
	deliver(f, &r, &head, request_fault(&r, &head));
}

static void
on_request(struct fetch *f, const struct message *m)
{
	struct fetch_job *j;

	if (f->job_count >= JOBS_MAX) {
		refuse(f, m, "too many requests to authorization servers are under way");
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j == NULL) {
		refuse(f, m, "memory ran out");
		return;
	}
	j->fetch = f;
	j->address = (struct buf)BUF_INIT(ADDRESS_MAX);
	j->request = request_new(m);
	if (j->request == NULL) {
		refuse(f, m,
		    errno == EINVAL ? "the request holds a malformed parameter" : strerror(errno));
		free(j);
		return;
	}
	j->next = f->jobs;
	f->jobs = j;
	f->job_count++;
	if (j->request->type == M_DISCOVER ||
	    (j->request->type == M_TOKEN_REQUEST && *j->request->endpoint == '\0'))
		discover(j);
	else
		ask(j);
}

void
fetch_message(struct fetch *f, const struct message *m, int fd)
{
	CLEANUP_CLOSE int taken = fd;

	switch (message_type(m)) {
	case M_TOKEN_REQUEST:
	case M_DISCOVER:
	case M_USERINFO:
	case M_DEVICE_REQUEST:
	case M_REVOKE_REQUEST:
		on_request(f, m);
		break;
	default:
		take_configuration(f, m, taken);
		break;
	}
}

struct fetch *
fetch_new(struct event_base *base, const struct fetch_ops *ops, void *arg)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->ops = ops;
	f->arg = arg;
	f->http = http_new(base, HTTP_ACTIVE_USUAL);
	f->cache = discovery_cache_new();
	if (f->http == NULL || f->cache == NULL) {
		(void)fetch_free(f);
		errno = ENOMEM;
		return NULL;
	}
	return f;
}

struct fetch *
fetch_free(struct fetch *f)
{
	if (f == NULL)
		return NULL;
	(void)http_free(f->http);
	while (f->jobs != NULL)
		job_free(f->jobs);
	(void)conf_free(f->conf);
	(void)conf_free(f->coming);
	(void)discovery_cache_free(f->cache);
	free(f);
	return NULL;
}
