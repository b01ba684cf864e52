/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The HTTP server: a child serves on a loopback port, and the test speaks to it over plain sockets, whole
 * requests and in pieces.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "httpd/httpd.h"

enum { PATIENCE = 20000, ANSWER_MAX = 256 * 1024 };

static struct sockaddr_in address;
static pid_t server;

/* ---- the server ---- */

static struct httpd_request *kept;
static struct httpd_stream *stream;
static unsigned gone;

static void
on_echo(void *arg, struct httpd_request *r)
{
	const char *q = httpd_query(r, "q");

	httpd_reply_json(r, 200,
	    json_pack("{s:s, s:s, s:s?}", "id", httpd_parameter(r, "id"), "part",
		httpd_parameter(r, "part"), "q", q));
}

static void
on_body(void *arg, struct httpd_request *r)
{
	size_t len;
	const char *bytes = httpd_body(r, &len);

	httpd_set_header(r, "X-Frame-Options", NULL);
	httpd_set_header(r, "Cache-Control", "max-age=60");
	httpd_reply(r, 201, "text/plain", bytes, len);
}

static void
on_json(void *arg, struct httpd_request *r)
{
	json_t *value = httpd_body_json(r);

	if (value != NULL)
		httpd_reply_json(r, 200, value);
}

static void
end_kept(void *arg, struct httpd_request *r, bool is_gone)
{
	kept = NULL;
	if (is_gone)
		gone++;
	else
		httpd_reply_error(r, 504, "time is up");
}

static void
on_later(void *arg, struct httpd_request *r)
{
	const char *ms = httpd_query(r, "ms");

	kept = r;
	if (httpd_later(r, (unsigned)strtoul(ms == NULL ? "60000" : ms, NULL, 10), end_kept, NULL) <
	    0)
		httpd_reply_error(r, 500, "no memory");
}

static void
on_wake(void *arg, struct httpd_request *r)
{
	struct httpd_request *k = kept;

	kept = NULL;
	if (k != NULL)
		httpd_reply(k, 200, "text/plain", "awake", 5);
	if (stream != NULL)
		httpd_stream_send(stream, "new", "7", "one\ntwo");
	httpd_reply_json(r, 200, json_pack("{s:b, s:i}", "kept", k != NULL, "gone", (int)gone));
}

static void
on_stream_gone(void *arg)
{
	stream = NULL;
	gone++;
}

static void
on_stream(void *arg, struct httpd_request *r)
{
	stream = httpd_stream(r, on_stream_gone, NULL);
}

/* More than a client that does not read may be behind. */
static void
on_flood(void *arg, struct httpd_request *r)
{
	char *text = malloc(200000);

	memset(text, 'x', 199999);
	text[199999] = '\0';
	for (int i = 0; i < 40 && stream != NULL; i++)
		httpd_stream_send(stream, NULL, NULL, text);
	free(text);
	httpd_reply(r, 200, "text/plain", "", 0);
}

static void
on_file(void *arg, struct httpd_request *r)
{
	httpd_reply(r, 200, "text/plain", "from a file", 11);
}

static bool
admit(void *arg, struct httpd_request *r)
{
	const char *key = httpd_header(r, "Authorization");

	if (key == NULL || strcmp(key, "Bearer no") != 0)
		return true;
	httpd_reply_error(r, 401, "not you");
	return false;
}

static const struct httpd_route routes[] = {
    {HTTPD_GET, "/m/{id}/p/{part}", on_echo},
    {HTTPD_POST | HTTPD_PUT, "/body", on_body},
    {HTTPD_POST, "/json", on_json},
    {HTTPD_GET, "/later", on_later},
    {HTTPD_GET, "/wake", on_wake},
    {HTTPD_GET, "/stream", on_stream},
    {HTTPD_GET, "/flood", on_flood},
    {HTTPD_GET, "/file", on_file},
    {0},
};

static void
on_other(void *arg, struct httpd_request *r)
{
	httpd_reply(r, 200, "text/plain", arg, strlen(arg));
}

/* A table that is added later. */
static const struct httpd_route others[] = {
    {HTTPD_GET, "/other", on_other},
    {HTTPD_GET, "/file", on_other},
    {HTTPD_DELETE, "/body", on_other},
    {0},
};

static void
on_stop(evutil_socket_t signum, short what, void *base)
{
	(void)event_base_loopbreak(base);
}

static _Noreturn void
serve(int fd)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", NULL};
	static char second[] = "the second";
	struct event_base *base = event_base_new();
	const struct httpd_options o = {
	    .base = base, .routes = routes, .body_max = 1000, .hosts = hosts, .admit = admit};
	struct httpd *h = httpd_new(&o);
	struct event *stop = evsignal_new(base, SIGTERM, on_stop, base);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (httpd_add_routes(h, others, second) < 0 || httpd_listen(h, fd) < 0 ||
	    event_add(stop, NULL) < 0)
		_exit(2);
	(void)event_base_dispatch(base);
	event_free(stop);
	(void)httpd_free(h);
	event_base_free(base);
	exit(0);
}

static int
start(void **state)
{
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -1;
	server = fork();
	if (server == 0)
		serve(fd);
	(void)close(fd);
	return server < 0 ? -1 : 0;
}

static int
stop(void **state)
{
	int status = 0;

	return kill(server, SIGTERM) < 0 || waitpid(server, &status, 0) < 0 || status != 0 ? -1 : 0;
}

/* ---- the client ---- */

static int
open_client(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
put(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return; /* the server has refused before it read all */
		text += n;
		len -= (size_t)n;
	}
}

/* Reads until `until` has come, or to the end where it is NULL. */
static const char *
take(int fd, const char *until)
{
	static char answer[ANSWER_MAX];
	size_t len = 0;

	answer[0] = '\0';
	while (len < sizeof(answer) - 1 && (until == NULL || strstr(answer, until) == NULL)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENCE), 1);
		n = read(fd, answer + len, sizeof(answer) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		answer[len] = '\0';
	}
	return answer;
}

static const char *
ask(const char *head, const char *body)
{
	char text[8192];
	int fd = open_client(), len;
	const char *answer;

	len = snprintf(text, sizeof(text),
	    "%s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", head, strlen(body), body);
	put(fd, text, (size_t)len);
	answer = take(fd, NULL);
	(void)close(fd);
	return answer;
}

#define assert_answer(answer, status, text)                                          \
	do {                                                                         \
		const char *got = (answer);                                          \
		if (strncmp(got, "HTTP/1.1 " status, 12) != 0 || !strstr(got, text)) \
			fail_msg("expected %s and %s: %s", status, text, got);       \
	} while (0)

#define HOST " HTTP/1.1\r\nHost: 127.0.0.1:1"

/* ---- tests ---- */

static void
test_routes(void **state)
{
	assert_answer(ask("GET /m/a%20b/p/2?q=x%26y" HOST, ""), "200",
	    "{\"id\":\"a b\",\"part\":\"2\",\"q\":\"x&y\"}");
	assert_answer(ask("GET /m/a/p" HOST, ""), "404", "nothing at this address");
	assert_answer(ask("GET /m//p/2" HOST, ""), "404", "nothing");
	assert_answer(ask("GET /m/a/p/2/" HOST, ""), "404", "nothing");
	assert_answer(ask("GET /m/a%00/p/2" HOST, ""), "404", "nothing");
	assert_answer(ask("POST /m/a/p/2" HOST, ""), "405", "Allow: OPTIONS, GET, HEAD\r\n");
	assert_answer(
	    ask("OPTIONS /body" HOST, ""), "204", "Allow: OPTIONS, POST, PUT, DELETE\r\n");
	assert_answer(ask("GET /m/a/p/2?q=1&q=2" HOST, ""), "400", "twice");
	assert_answer(ask("GET /file" HOST, ""), "200", "\r\n\r\nfrom a file");
}

/* A second table has an argument of its own, and answers what the first does not. */
static void
test_tables(void **state)
{
	assert_answer(ask("GET /other" HOST, ""), "200", "\r\n\r\nthe second");
	assert_answer(ask("GET /file" HOST, ""), "200", "\r\n\r\nfrom a file");
	assert_answer(ask("DELETE /body" HOST, ""), "200", "\r\n\r\nthe second");
	assert_answer(ask("GET /body" HOST, ""), "405", "Allow: OPTIONS, POST, PUT, DELETE\r\n");
	assert_answer(ask("GET /other" HOST "\r\nAuthorization: Bearer no", ""), "401", "not you");
}

static void
test_head(void **state)
{
	const char *answer = ask("HEAD /file" HOST, "");

	assert_answer(answer, "200", "Content-Length: 11\r\n");
	assert_null(strstr(answer, "from a file"));
}

static void
test_headers(void **state)
{
	const char *answer = ask("GET /file" HOST, "");

	assert_answer(answer, "200", "X-Content-Type-Options: nosniff\r\n");
	assert_answer(answer, "200", "X-Frame-Options: DENY\r\n");
	assert_answer(answer, "200", "Cache-Control: no-store\r\n");
	assert_answer(answer, "200", "default-src 'none'");
	assert_null(strstr(answer, "Access-Control"));
	answer = ask("POST /body" HOST, "abc");
	assert_answer(answer, "201", "Cache-Control: max-age=60\r\n");
	assert_null(strstr(answer, "X-Frame-Options"));
	assert_answer(answer, "201", "\r\n\r\nabc");
}

static void
test_bodies(void **state)
{
	char large[2000];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_answer(ask("PUT /body" HOST, large), "413", "");
	assert_answer(ask("POST /json" HOST, "{\"a\": [1, 2]}"), "200", "{\"a\":[1,2]}");
	assert_answer(ask("POST /json" HOST, "{\"a\": 1, \"a\": 2}"), "400", "duplicate");
	assert_answer(ask("POST /json" HOST, "{\n\n"), "400", "line 3");
}

static void
test_who_may_ask(void **state)
{
	assert_answer(ask("GET /file HTTP/1.1\r\nHost: evil.example", ""), "421", "another name");
	assert_answer(ask("GET /file HTTP/1.1\r\nHost: LOCALHOST:80", ""), "200", "from a file");
	assert_answer(ask("GET /file" HOST "\r\nAuthorization: Bearer no", ""), "401", "not you");
	assert_answer(
	    ask("POST /body" HOST "\r\nOrigin: http://evil.example", "x"), "403", "another origin");
	assert_answer(ask("POST /body" HOST "\r\nOrigin: null", "x"), "403", "another origin");
	assert_answer(
	    ask("POST /body" HOST "\r\nOrigin: http://127.0.0.1:2", "x"), "403", "another origin");
	assert_answer(ask("POST /body" HOST "\r\nOrigin: http://127.0.0.1:1", "x"), "201", "x");
	assert_answer(
	    ask("POST /body" HOST "\r\nSec-Fetch-Site: cross-site", "x"), "403", "another origin");
	assert_answer(
	    ask("POST /body" HOST "\r\nSec-Fetch-Site: same-site", "x"), "403", "another origin");
	assert_answer(ask("POST /body" HOST "\r\nSec-Fetch-Site: same-origin", "x"), "201", "x");
}

/* The same answer wherever the request is cut, and however many come on one connection. */
static void
test_pieces(void **state)
{
	static const char request[] = "PUT /body" HOST "\r\nContent-Length: 5\r\n\r\nabcde";
	int fd = open_client();

	for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
		put(fd, request, cut);
		put(fd, request + cut, sizeof(request) - 1 - cut);
		assert_answer(take(fd, "abcde"), "201", "\r\n\r\nabcde");
	}
	(void)close(fd);
}

static void
test_later(void **state)
{
	int fd = open_client();

	put(fd, "GET /later" HOST "\r\n\r\n", strlen("GET /later" HOST "\r\n\r\n"));
	while (strstr(ask("GET /wake" HOST, ""), "\"kept\":true") == NULL)
		(void)poll(NULL, 0, 10);
	assert_answer(take(fd, "awake"), "200", "awake");
	(void)close(fd);
	assert_answer(ask("GET /later?ms=30" HOST, ""), "504", "time is up");
	/* one that goes away is noticed, also behind a request that came before its time */
	fd = open_client();
	put(fd, "GET /later" HOST "\r\n\r\nGET /file" HOST "\r\n\r\n",
	    strlen("GET /later" HOST "\r\n\r\nGET /file" HOST "\r\n\r\n"));
	(void)poll(NULL, 0, 50);
	(void)close(fd);
	while (strstr(ask("GET /wake" HOST, ""), "\"gone\":1") == NULL)
		(void)poll(NULL, 0, 10);
}

static void
test_stream(void **state)
{
	const char *answer;
	int fd = open_client();

	put(fd, "GET /stream" HOST "\r\n\r\n", strlen("GET /stream" HOST "\r\n\r\n"));
	answer = take(fd, "\r\n\r\n");
	assert_answer(answer, "200", "text/event-stream");
	(void)ask("GET /wake" HOST, "");
	assert_non_null(strstr(take(fd, "two\n\n"), "event: new\nid: 7\ndata: one\ndata: two\n\n"));
	/* it does not read any more */
	(void)ask("GET /flood" HOST, "");
	while (strstr(ask("GET /wake" HOST, ""), "\"gone\":2") == NULL)
		(void)poll(NULL, 0, 10);
	(void)close(fd);
}

/* Streams whose clients reset the connection, while something is being written, leave nothing behind: the
 * sanitizer looks when the server ends. */
static void
test_stream_reset(void **state)
{
	const struct linger reset = {.l_onoff = 1};

	for (int i = 0; i < 20; i++) {
		int fd = open_client();

		put(fd, "GET /stream" HOST "\r\n\r\n", strlen("GET /stream" HOST "\r\n\r\n"));
		(void)take(fd, "\r\n\r\n");
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		(void)kill(server, SIGSTOP);
		(void)close(fd);
		(void)kill(server, SIGCONT);
		(void)ask("GET /flood" HOST, "");
	}
}

/* What nobody should send is refused, and the server lives. */
static void
test_hostile(void **state)
{
	static const char *const requests[] = {"\r\n\r\n\r\n", "GET\r\n\r\n",
	    "GET / HTTP/9.9\r\n\r\n", "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    "GET http://evil.example/file HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
	    "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
	    "99999999999999999999\r\n\r\n",
	    "POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
	    "chunked\r\n\r\nffffffffffffffff\r\n",
	    "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    "GET /m/%zz/p/%f HTTP/1.1\r\nHost: localhost\r\n\r\n"};
	char *large = malloc(100 * 1024);

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		int fd = open_client();

		put(fd, requests[i], strlen(requests[i]));
		(void)shutdown(fd, SHUT_WR);
		(void)take(fd, NULL);
		(void)close(fd);
	}
	for (int header = 0; header < 2; header++) {
		int fd = open_client();

		memset(large, 'a', 100 * 1024);
		put(fd, header ? "GET / HTTP/1.1\r\nX: " : "GET /", header ? 19 : 5);
		put(fd, large, 100 * 1024);
		(void)shutdown(fd, SHUT_WR);
		(void)take(fd, NULL);
		(void)close(fd);
	}
	free(large);
	assert_answer(ask("GET /file" HOST, ""), "200", "from a file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_routes),
	    cmocka_unit_test(test_tables),
	    cmocka_unit_test(test_head),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_who_may_ask),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_later),
	    cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_stream_reset),
	    cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
