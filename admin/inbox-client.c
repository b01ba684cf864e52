/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbox-client.c: see inbox-client.h. One request of HTTP/1.0 (RFC 1945) on a connection of its own, whose end is the end
 * of the answer: frank links no HTTP library, since it has to start fast.
 */
#include "admin/inbox-client.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/codec.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, REQUEST_MAX = 64 * 1024, PATIENCE = 10 /* seconds */ };

/* ---- where it is ---- */

static int
fail_address(const struct cli *cli, const char *api)
{
	return cli_fail(cli, EX_USAGE, "\"api\" in the ready.json of frank-sandbox is one",
	    "%s is neither http://HOST:PORT nor a sandbox's ready.json", api);
}

/* "http://HOST:PORT[/]" */
static int
read_address(struct inbox_client *c, const char *api)
{
	const char *host = api + strlen("http://");
	size_t len = *host == '[' ? strcspn(host, "]") : strcspn(host, ":/");
	const char *port = host + len + (*host == '[');

	if (*host == '[') {
		host++;
		len--;
	}
	if (len == 0 || len >= sizeof(c->host) || *port != ':' ||
	    strspn(port + 1, "0123456789") == 0 || strcspn(port + 1, "/") >= sizeof(c->port) ||
	    (port[1 + strcspn(port + 1, "/")] == '/' && port[2 + strcspn(port + 1, "/")] != '\0'))
		return fail_address(c->cli, api);
	(void)snprintf(c->host, sizeof(c->host), "%.*s", (int)len, host);
	(void)snprintf(c->port, sizeof(c->port), "%.*s", (int)strcspn(port + 1, "/"), port + 1);
	return EX_OK;
}

int
inbox_client_init(struct inbox_client *c, const struct cli *cli, const char *api)
{
	json_t *ready;
	const char *address;
	int status;

	*c = (struct inbox_client){.cli = cli};
	if (strncmp(api, "http://", 7) == 0)
		return read_address(c, api);
	ready = json_load_file(api, 0, NULL);
	address = cli_text(ready, "api");
	status = address != NULL && strncmp(address, "http://", 7) == 0 ? read_address(c, address)
									: fail_address(cli, api);
	json_decref(ready);
	return status;
}

/* ---- one request ---- */

/* The connection; -1 with errno. */
static int
dial(const struct inbox_client *c)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	const struct timeval limit = {.tv_sec = PATIENCE};
	struct addrinfo *all;
	int sock = -1;

	errno = ENOENT;
	if (getaddrinfo(c->host, c->port, &hints, &all) != 0)
		return -1;
	for (const struct addrinfo *a = all; a != NULL && sock < 0; a = a->ai_next) {
		sock = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (sock >= 0 &&
		    (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
			connect(sock, a->ai_addr, a->ai_addrlen) < 0)) {
			int e = errno;

			(void)close(sock);
			sock = -1;
			errno = e;
		}
	}
	freeaddrinfo(all);
	return sock;
}

/* Everything up to the end of the connection. 0 or negative errno. */
static int
read_all(int sock, uint64_t end, struct buf *out)
{
	for (;;) {
		ssize_t n;
		int r = link_wait(sock, end);

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		r = buf_reserve(out, 16 * 1024);
		if (r < 0)
			return r;
		n = recv(sock, out->data + out->len, 16 * 1024, 0);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
	}
}

static int
send_all(int sock, const struct buf *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = send(sock, b->data + at, b->len - at, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

/* Status and JSON of the answer. 0 or -EPROTO. */
static int
read_answer(const struct buf *in, unsigned *ret_status, json_t **ret)
{
	const char *body = in->len == 0 ? NULL : strstr(in->data, "\r\n\r\n");
	uint64_t status;

	if (body == NULL || strncmp(in->data, "HTTP/1.", 7) != 0 || in->len < 12 ||
	    !text_number(in->data + 9, 3, &status))
		return -EPROTO;
	*ret_status = (unsigned)status;
	*ret = json_loads(body + 4, 0, NULL);
	return *ret == NULL && status == 200 ? -EPROTO : 0;
}

/* `milliseconds`: how long the answer may take, beside what every answer may. */
static int
request(const struct inbox_client *c, const char *method, const char *target, uint64_t milliseconds,
    json_t **ret)
{
	CLEANUP_BUF struct buf out = BUF_INIT(REQUEST_MAX), in = BUF_INIT(ANSWER_MAX);
	bool v6 = strchr(c->host, ':') != NULL;
	CLEANUP_CLOSE int sock = dial(c);
	unsigned status = 0;
	int r = sock < 0 ? -errno : 0;

	*ret = NULL;
	(void)buf_printf(&out,
	    "%s %s HTTP/1.0\r\nHost: %s%s%s:%s\r\nContent-Length: 0\r\nAccept: "
	    "application/json\r\n\r\n",
	    method, target, v6 ? "[" : "", c->host, v6 ? "]" : "", c->port);
	if (r == 0)
		r = out.failed ? -EMSGSIZE : send_all(sock, &out);
	if (r == 0)
		r = read_all(sock, link_clock() + milliseconds + PATIENCE * UINT64_C(1000), &in);
	if (r == 0)
		r = read_answer(&in, &status, ret);
	if (r < 0)
		return cli_fail(c->cli, EX_UNAVAILABLE, "start frank-sandbox, or name its API",
		    "the sandbox at %s:%s: %s", c->host, c->port, strerror(-r));
	/* 408 is the answer of a wait whose time is up */
	if (status == 200 || (status == 408 && *ret != NULL))
		return EX_OK;
	r = cli_fail(c->cli, status == 400 ? EX_USAGE : EX_PROTOCOL, NULL,
	    "the sandbox at %s:%s answers %u: %s", c->host, c->port, status,
	    cli_text(*ret, "Error") != NULL   ? cli_text(*ret, "Error")
	    : cli_text(*ret, "error") != NULL ? cli_text(*ret, "error")
					      : "it is no inbox of frank-sandbox");
	json_decref(*ret);
	*ret = NULL;
	return r;
}

int
inbox_client_mark(const struct inbox_client *c, uint64_t *ret)
{
	const char *mark;
	json_t *answer;
	int status = request(c, "POST", "/api/v1/mark", 0, &answer);

	if (status != EX_OK)
		return status;
	mark = cli_text(answer, "mark");
	if (mark == NULL || !text_number(mark, strlen(mark), ret))
		status = cli_fail(c->cli, EX_PROTOCOL, NULL, "the sandbox gave no mark");
	json_decref(answer);
	return status;
}

/* ---- messages ---- */

static const char *
address_of(const json_t *person)
{
	const char *address = cli_text(person, "Address");

	return address == NULL ? "" : address;
}

/* Mailpit's summary, as captured mail is. */
static json_t *
convert(const json_t *m)
{
	static const char *const fields[] = {"To", "Cc", "Bcc"};
	json_t *recipients = json_array(), *person;
	size_t i;

	for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
		json_array_foreach(json_object_get(m, fields[f]), i, person)
		{
			(void)json_array_append_new(
			    recipients, json_pack("{s:s}", "recipient", address_of(person)));
		}
	}
	return json_pack("{s:s*, s:s, s:o, s:s*, s:s*, s:O*}", "id", cli_text(m, "ID"), "sender",
	    address_of(json_object_get(m, "From")), "recipients", recipients, "subject",
	    cli_text(m, "Subject"), "created", cli_text(m, "Created"), "missed",
	    json_object_get(m, "missed"));
}

static void
convert_list(json_t *answer, const char *key)
{
	json_t *list = json_array(), *m;
	size_t i;

	json_array_foreach(json_object_get(answer, key), i, m)
	{
		(void)json_array_append_new(list, convert(m));
	}
	(void)json_object_set_new(answer, key, list);
}

int
inbox_client_wait(const struct inbox_client *c, const struct inbox_ask *ask, json_t **ret)
{
	CLEANUP_BUF struct buf target = BUF_INIT(REQUEST_MAX), why = BUF_INIT(1024);
	uint64_t longest = ask->none ? ask->quiet : ask->timeout;
	int status;

	(void)buf_printf(&target, "/api/v1/wait?since=%" PRIu64, ask->since);
	if (ask->none)
		(void)buf_printf(&target, "&none=%" PRIu64, ask->quiet / 1000);
	else
		(void)buf_printf(&target, "&%s=%" PRIu64 "&timeout=%" PRIu64,
		    ask->exactly ? "exactly" : "count", ask->count, ask->timeout / 1000);
	if (ask->exactly)
		(void)buf_printf(&target, "&quiet=%" PRIu64, ask->quiet / 1000);
	if (conditions_query(ask->conditions, &target, &why) < 0)
		return cli_fail(c->cli, EX_USAGE, NULL, "%s", buf_str(&why));
	status =
	    request(c, "GET", buf_str(&target), longest + (ask->exactly ? ask->quiet : 0), ret);
	if (status != EX_OK)
		return status;
	convert_list(*ret, "messages");
	convert_list(*ret, "nearest");
	return EX_OK;
}
