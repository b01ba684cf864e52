/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * http.c: see http.h.
 *
 * curl tells which sockets to watch (watch_socket) and when to be woken (set_timer); libevent's
 * events for them end in curl_multi_socket_action. A finished transfer is taken out of the multi
 * handle, then its owner is called.
 *
 * curl's error buffer is not used: sentences are made here from the result code, so that nothing of
 * a request or an answer can slip into a log through them.
 */
#include "broker/https/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "base/wipe.h"
#include "broker/https/document.h"
#include "broker/https/http-time.h"
#include "broker/https/url.h"
#include "config.h"

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	struct event *start; /* runs transfers that wait, outside of any callback of curl's */
	struct http_transfer *waiting, **waiting_last;
	struct http_transfer *active;
	unsigned active_count, active_max;
};

struct http_transfer {
	struct http *http;
	struct http_transfer *next;
	CURL *easy;
	struct curl_slist *headers;
	char authority[URL_AUTHORITY_MAX];
	char fault[URL_AUTHORITY_MAX + 256];
	struct buf request; /* the form */
	struct upload *upload;
	struct buf body; /* the answer */
	size_t header_octets;
	const char *wanted;
	char address[80], tls[80];
	unsigned seconds;
	enum smtp_fault kind;
	enum smtp_stage stage;
	bool too_big;
	http_done *done;
	void *arg;
};

static void
transfer_free(struct http_transfer *t)
{
	if (t->easy != NULL)
		curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	buf_free(&t->request);
	buf_free(&t->body);
	free(t);
}

/* ---- what went wrong ---- */

/* Verification results of OpenSSL (openssl-verify(1) lists the numbers), which is what Debian's
 * libcurl is built with. */
static const char *
certificate_fault(long verify)
{
	switch (verify) {
	case 0:
	case 1: /* curl compares names itself, and its result then stands at "not checked" */
		return "is for another host name";
	case 9:
		return "is not valid yet: compare this machine's clock";
	case 10:
		return "has expired; or this machine's clock is wrong";
	case 18:
	case 19:
		return "is self-signed; name its authority with ca-file if it is meant to be "
		       "trusted";
	case 2:
	case 20:
	case 21:
		return "is from an unknown authority; name it with ca-file if it is meant to be "
		       "trusted";
	default:
		return "is not accepted";
	}
}

/* Was there a connection, over which the request could go? Not every libcurl gives a time for one that is used again. */
static bool
was_connected(const struct http_transfer *t)
{
	curl_off_t ready = 0;
	long sent = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
	(void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
	return ready > 0 || sent > 0;
}

/* Which fault it is for the table of verdicts. */
static void
name_fault(struct http_transfer *t, CURLcode code)
{
	bool connected = was_connected(t);
	long number = 0;

	t->stage = connected ? SMTP_STAGE_API : SMTP_STAGE_CONNECT;
	t->kind = connected ? SMTP_FAULT_CLOSED : SMTP_FAULT_UNREACHABLE;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		t->stage = SMTP_STAGE_DNS;
		t->kind = SMTP_FAULT_DNS;
		break;
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
		if (number == 0 || number == ECONNREFUSED)
			t->kind = SMTP_FAULT_REFUSED;
		break;
	case CURLE_OPERATION_TIMEDOUT:
		t->kind = connected ? SMTP_FAULT_TIMEOUT : SMTP_FAULT_CONNECT_TIMEOUT;
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		(void)curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &number);
		t->stage = SMTP_STAGE_TLS;
		t->kind = number == 0 || number == 1    ? SMTP_FAULT_CERT_NAME
			  : number == 9 || number == 10 ? SMTP_FAULT_CERT_EXPIRED
							: SMTP_FAULT_CERT_UNTRUSTED;
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		t->stage = SMTP_STAGE_TLS;
		t->kind = SMTP_FAULT_TLS;
		break;
	case CURLE_OUT_OF_MEMORY:
		t->kind = SMTP_FAULT_LOCAL;
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_WRITE_ERROR:
		t->kind = SMTP_FAULT_PROTOCOL;
		break;
	default:
		break;
	}
}

static void
describe_fault(struct http_transfer *t, CURLcode code)
{
	long number = 0;

	name_fault(t, code);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		(void)snprintf(t->fault, sizeof(t->fault), "the name %.*s could not be resolved",
		    (int)strcspn(t->authority, ":"), t->authority);
		break;
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
		(void)snprintf(t->fault, sizeof(t->fault), "no connection to %s: %s", t->authority,
		    number == 0 ? "refused or unreachable" : strerror((int)number));
		break;
	case CURLE_OPERATION_TIMEDOUT:
		if (!was_connected(t))
			(void)snprintf(t->fault, sizeof(t->fault),
			    "no connection to %s within %d s", t->authority, HTTP_CONNECT_SECONDS);
		else
			(void)snprintf(t->fault, sizeof(t->fault), "%s did not answer within %u s",
			    t->authority, t->seconds);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		(void)curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &number);
		(void)snprintf(t->fault, sizeof(t->fault), "the certificate of %s %s", t->authority,
		    certificate_fault(number));
		break;
	case CURLE_SSL_CACERT_BADFILE:
		(void)snprintf(t->fault, sizeof(t->fault),
		    "the CA certificates for %s could not be read", t->authority);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		(void)snprintf(t->fault, sizeof(t->fault), "no TLS session with %s could be made",
		    t->authority);
		break;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_PARTIAL_FILE:
		(void)snprintf(t->fault, sizeof(t->fault),
		    "%s closed the connection before its answer was complete", t->authority);
		break;
	default:
		(void)snprintf(t->fault, sizeof(t->fault), "%s: %s", t->authority,
		    t->too_big ? "the answer is longer than 256 kB" : curl_easy_strerror(code));
		break;
	}
}

/* ---- finished transfers ---- */

static const char *
header_value(CURL *easy, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
		   ? header->value
		   : NULL;
}

static void
finish(struct http_transfer *t, CURLcode code)
{
	struct http_answer answer = {.date = -1, .retry_after = -1};
	char *location = NULL;

	if (code == CURLE_OK) {
		(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &answer.status);
		(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location);
		answer.body = buf_str(&t->body);
		answer.body_len = t->body.len;
		answer.location = location;
		if (t->wanted != NULL)
			answer.wanted = header_value(t->easy, t->wanted);
		answer.date = http_date(header_value(t->easy, "Date"));
		answer.retry_after =
		    http_retry_after(header_value(t->easy, "Retry-After"), answer.date, time(NULL));
	} else {
		describe_fault(t, code);
		answer.fault = t->fault;
		answer.kind = t->kind;
		answer.stage = t->stage;
	}
	answer.sent = code == CURLE_OK || (t->upload != NULL && upload_left(t->upload) == 0);
	answer.address = t->address;
	answer.tls = t->tls;
	t->done(t->arg, &answer);
}

static void
detach(struct http_transfer *t)
{
	struct http *h = t->http;

	(void)curl_multi_remove_handle(h->multi, t->easy);
	for (struct http_transfer **p = &h->active; *p != NULL; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			h->active_count--;
			break;
		}
	}
}

static void
wake(struct http *h)
{
	const struct timeval now = {0};

	if (h->waiting != NULL && h->active_count < h->active_max)
		(void)event_add(h->start, &now);
}

static void
collect(struct http *h)
{
	struct CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_transfer *t = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		detach(t);
		finish(t, code);
		transfer_free(t);
	}
	wake(h);
}

/* ---- the loop ---- */

static void
act(struct http *h, curl_socket_t sock, int what)
{
	int running;

	(void)curl_multi_socket_action(h->multi, sock, what, &running);
	collect(h);
}

static void
on_socket(evutil_socket_t sock, short what, void *arg)
{
	act(arg, sock,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
watch_socket(CURL *easy, curl_socket_t sock, int what, void *arg, void *of_socket)
{
	struct http *h = arg;
	struct event *e = of_socket;

	if (e != NULL)
		event_free(e);
	e = NULL;
	if (what != CURL_POLL_REMOVE) {
		e = event_new(h->base, sock,
		    (short)((what & CURL_POLL_IN ? EV_READ : 0) |
			    (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST),
		    on_socket, h);
		if (e == NULL || event_add(e, NULL) < 0) {
			if (e != NULL)
				event_free(e);
			(void)curl_multi_assign(h->multi, sock, NULL);
			return -1;
		}
	}
	(void)curl_multi_assign(h->multi, sock, e);
	return 0;
}

static int
set_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;
	struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	return ms < 0 ? event_del(h->timer) : event_add(h->timer, &after);
}

static void
on_start(evutil_socket_t sock, short what, void *arg)
{
	struct http *h = arg;

	while (h->waiting != NULL && h->active_count < h->active_max) {
		struct http_transfer *t = h->waiting;

		h->waiting = t->next;
		if (h->waiting == NULL)
			h->waiting_last = &h->waiting;
		t->next = h->active;
		h->active = t;
		h->active_count++;
		if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
			detach(t);
			finish(t, CURLE_OUT_OF_MEMORY);
			transfer_free(t);
		}
	}
}

int
http_init(void)
{
	return curl_global_init_mem(
		   CURL_GLOBAL_ALL, malloc, wipe_free, wipe_realloc, strdup, calloc) == CURLE_OK
		   ? 0
		   : -ENOMEM;
}

struct http *
http_new(struct event_base *base, unsigned active_max)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->base = base;
	h->active_max = active_max;
	h->waiting_last = &h->waiting;
	h->multi = curl_multi_init();
	h->timer = event_new(base, -1, 0, on_timer, h);
	h->start = event_new(base, -1, 0, on_start, h);
	if (h->multi == NULL || h->timer == NULL || h->start == NULL) {
		errno = ENOMEM;
		return http_free(h);
	}
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return h;
}

struct http *
http_free(struct http *h)
{
	if (h == NULL)
		return NULL;
	while (h->active != NULL) {
		struct http_transfer *t = h->active;

		h->active = t->next;
		(void)curl_multi_remove_handle(h->multi, t->easy);
		transfer_free(t);
	}
	while (h->waiting != NULL) {
		struct http_transfer *t = h->waiting;

		h->waiting = t->next;
		transfer_free(t);
	}
	if (h->multi != NULL)
		(void)curl_multi_cleanup(h->multi);
	if (h->timer != NULL)
		event_free(h->timer);
	if (h->start != NULL)
		event_free(h->start);
	free(h);
	return NULL;
}

/* ---- a request ---- */

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;

	/* anything but size * count ends the transfer */
	if (buf_append(&t->body, data, size * count) < 0) {
		t->too_big = true;
		return 0;
	}
	return size * count;
}

static size_t
give_upload(char *to, size_t size, size_t count, void *arg)
{
	return upload_read(((struct http_transfer *)arg)->upload, to, size * count);
}

/* Who answers, and over what; while the transfer runs, since the connection may go with its end. */
static void
note_connection(struct http_transfer *t)
{
	struct curl_tlssessioninfo *session = NULL;
	char *address = NULL;
	long port = 0;

	if (t->address[0] != '\0' ||
	    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &address) != CURLE_OK ||
	    address == NULL)
		return;
	(void)curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port);
	(void)snprintf(t->address, sizeof(t->address),
	    strchr(address, ':') == NULL ? "%s:%ld" : "[%s]:%ld", address, port);
	if (curl_easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK &&
	    session != NULL && session->backend == CURLSSLBACKEND_OPENSSL &&
	    session->internals != NULL) {
		const SSL *ssl = session->internals;

		(void)snprintf(t->tls, sizeof(t->tls), "%s %s", SSL_get_version(ssl),
		    SSL_get_cipher_name(ssl));
	}
}

/* A line of the header section. curl keeps them all, and older ones of it however many there are. */
static size_t
take_header(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;

	note_connection(t);
	t->header_octets += size * count;
	if (t->header_octets > DOCUMENT_MAX) {
		t->too_big = true;
		return 0;
	}
	return size * count;
}

static int
add_header(struct http_transfer *t, const char *line)
{
	struct curl_slist *more = line == NULL ? t->headers : curl_slist_append(t->headers, line);

	if (more == NULL && line != NULL)
		return -ENOMEM;
	t->headers = more;
	return 0;
}

static int
set_headers(struct http_transfer *t, const struct http_request *q)
{
	/* "Expect:" takes away the pause that curl makes before a long POST */
	const char *lines[] = {"Accept: application/json", "Expect:", q->authorization};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lines) && r == 0; i++)
		r = add_header(t, lines[i]);
	for (size_t i = 0; i < HTTP_HEADERS_MAX && q->headers[i] != NULL && r == 0; i++)
		r = add_header(t, q->headers[i]);
	if (r < 0)
		return r;
	return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK ? 0 : -ENOMEM;
}

static int
set_fresh(struct http_transfer *t)
{
	return curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK ||
		       curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L) != CURLE_OK
		   ? -ENOMEM
		   : 0;
}

static int
set_upload(struct http_transfer *t, const struct http_request *q)
{
	t->upload = q->upload;
	if (curl_easy_setopt(t->easy, CURLOPT_POST, 1L) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_upload) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_READDATA, t) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		(curl_off_t)upload_left(q->upload)) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_MAXAGE_CONN, (long)HTTP_KEEP_SECONDS) != CURLE_OK)
		return -ENOMEM;
	return q->keep ? 0 : set_fresh(t);
}

static int
set_body(struct http_transfer *t, const struct http_request *q)
{
	int r;

	if (q->upload != NULL)
		return set_upload(t, q);
	if (q->body == NULL)
		return 0;
	r = buf_append(&t->request, q->body->data, q->body->len);
	if (r < 0)
		return r;
	if (curl_easy_setopt(t->easy, CURLOPT_POST, 1L) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, buf_str(&t->request)) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.len) !=
		CURLE_OK)
		return -ENOMEM;
	return set_fresh(t);
}

/* Refuses a second handshake within a session, as tls.c of the send role does: a server has no reason for
 * one, and could change its certificate by it. */
static CURLcode
refuse_renegotiation(CURL *easy, void *context, void *arg)
{
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	return CURLE_OK;
}

static int
set_trust(struct http_transfer *t, const struct http_request *q)
{
	struct curl_blob blob;

	if (curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) !=
		CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_FUNCTION, refuse_renegotiation) != CURLE_OK)
		return -EINVAL;
	if (q->ca == NULL)
		return 0;
	blob = (struct curl_blob){.data = q->ca->data, .len = q->ca->len, .flags = CURL_BLOB_COPY};
	if (curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &blob) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
		return -ENOMEM;
	return 0;
}

static int
set_options(struct http_transfer *t, const struct http_request *q)
{
	const char *scheme = strncasecmp(q->url, "https:", 6) == 0 ? "https" : "http";
	CURL *e = t->easy;

	/* CURLOPT_PROXY "": the proxies of the environment are not ours */
	if (curl_easy_setopt(e, CURLOPT_URL, q->url) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_PRIVATE, t) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, scheme) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_PROXY, "") != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_SECONDS) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)t->seconds) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_USERAGENT, "Frank/" FRANK_VERSION) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_HEADERDATA, t) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_WRITEDATA, t) != CURLE_OK)
		return -EINVAL;
	return 0;
}

int
http_start(struct http *h, const struct http_request *q, http_done *done, void *arg)
{
	struct http_transfer *t;
	int r;

	if (url_refusal(q->url) != NULL)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->http = h;
	t->done = done;
	t->arg = arg;
	t->wanted = q->wanted_header;
	t->seconds = q->seconds == 0 ? HTTP_TOTAL_SECONDS : q->seconds;
	t->body = (struct buf)BUF_INIT_WIPE(DOCUMENT_MAX);
	t->request = (struct buf)BUF_INIT_WIPE(DOCUMENT_MAX);
	url_authority(q->url, t->authority, sizeof(t->authority));
	t->easy = curl_easy_init();
	r = t->easy == NULL ? -ENOMEM : set_options(t, q);
	if (r == 0)
		r = set_headers(t, q);
	if (r == 0)
		r = set_body(t, q);
	if (r == 0)
		r = set_trust(t, q);
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	*h->waiting_last = t;
	h->waiting_last = &t->next;
	wake(h);
	return 0;
}
