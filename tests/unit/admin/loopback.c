/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of admin/loopback.c and page.c: what browsers do at the end of a sign-in, over real
 * sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/loopback.h"

static int
browser(const struct loopback *l, int family)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)loopback_port(l)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
	    .sin6_port = htons((uint16_t)loopback_port(l)),
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		assert_int_equal(connect(fd, (struct sockaddr *)&four, sizeof(four)), 0);
	else if (connect(fd, (struct sockaddr *)&six, sizeof(six)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
turn(struct loopback *l, int64_t now)
{
	for (int i = 0; i < 10; i++) {
		struct pollfd fds[LOOPBACK_FDS];
		int timeout = 5;
		size_t count = loopback_prepare(l, fds, now, &timeout);

		assert_int_equal(count, LOOPBACK_FDS);
		assert_true(poll(fds, count, 5) >= 0);
		loopback_handle(l, fds, count, now);
	}
}

static void
ask(const struct loopback *l, int fd, const char *target, const char *host)
{
	char request[512];
	int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s:%u\r\n\r\n", target,
	    host, loopback_port(l));

	assert_int_equal(send(fd, request, (size_t)n, 0), n);
}

/* Reads to the end; the browser closes. */
static void
expect(int fd, const char *status, const char *part)
{
	static char answer[64 * 1024];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	answer[len] = '\0';
	assert_memory_equal(answer, "HTTP/1.1 ", 9);
	assert_memory_equal(answer + 9, status, strlen(status));
	if (part != NULL)
		assert_non_null(strstr(answer, part));
	assert_null(strstr(answer, "<script"));
	close(fd);
}

static struct loopback *
start(const char *path)
{
	struct loopback *l;

	assert_int_equal(loopback_open(&l, 0, path, NULL, 0), 0);
	return l;
}

static void
test_what_is_not_for_us(void **state)
{
	struct loopback *l = start("/cb");
	static const struct {
		const char *target, *host, *status;
	} rows[] = {
	    {"/favicon.ico", "127.0.0.1", "404"},
	    {"/?code=c&state=s", "127.0.0.1", "404"},
	    {"/cb/?code=c&state=s", "127.0.0.1", "404"},
	    {"/cb", "127.0.0.1", "400"},
	    {"/cb?", "127.0.0.1", "400"},
	    {"/CB?code=c", "127.0.0.1", "404"},
	    {"/frank-signed-in", "127.0.0.1", "404"},
	    {"/cb?code=c&state=s", "evil.example", "403"},
	    {"/cb?code=c&state=s", "127.0.0.1.evil.example", "403"},
	    {"/cb?code=c&state=s", "127.0.0.2", "403"},
	    {"/cb?code=c&state=s", "::1", "403"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int fd = browser(l, AF_INET);

		ask(l, fd, rows[i].target, rows[i].host);
		turn(l, 0);
		assert_null(loopback_callback(l));
		expect(fd, rows[i].status, "Content-Security-Policy: default-src 'none'");
		turn(l, 0);
	}
	/* another port in Host */
	{
		int fd = browser(l, AF_INET);
		static const char request[] =
		    "GET /cb?code=c HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n";

		assert_true(send(fd, request, strlen(request), 0) > 0);
		turn(l, 0);
		expect(fd, "403", NULL);
	}
	(void)loopback_free(l);
}

static void
test_the_callback(void **state)
{
	struct loopback *l = start("");
	int wrong = browser(l, AF_INET), right, again, six;

	ask(l, wrong, "/?state=x&code=1", "127.0.0.1");
	turn(l, 0);
	assert_string_equal(loopback_callback(l), "state=x&code=1");
	loopback_ignore(l, "Another <attempt>");
	turn(l, 0);
	expect(wrong, "400", "Another &lt;attempt&gt;");
	turn(l, 0);
	right = browser(l, AF_INET);
	ask(l, right, "/?state=s&code=c", "localhost");
	turn(l, 0);
	assert_string_equal(loopback_callback(l), "state=s&code=c");
	again = browser(l, AF_INET); /* a browser that asks twice */
	ask(l, again, "/?state=s&code=c", "LOCALHOST");
	turn(l, 0);
	loopback_finish(l, PAGE_GOOD, "Signed in", "It worked.", NULL);
	turn(l, 0);
	expect(right, "303", "Location: /frank-signed-in\r\n");
	expect(again, "303", "Location: /frank-signed-in\r\n");
	turn(l, 0);
	assert_false(loopback_is_done(l)); /* the page was not fetched yet */
	six = browser(l, AF_INET6);
	right = six >= 0 ? six : browser(l, AF_INET);
	ask(l, right, "/frank-signed-in", six >= 0 ? "[::1]" : "127.0.0.1");
	turn(l, 0);
	expect(right, "200", "<h1>Signed in</h1>");
	turn(l, 0);
	assert_false(loopback_is_done(l)); /* the other one's was not */
	again = browser(l, AF_INET);
	ask(l, again, "/frank-signed-in", "localhost");
	turn(l, 0);
	expect(again, "200", "It worked.");
	turn(l, 0);
	assert_true(loopback_is_done(l));
	(void)loopback_free(l);
}

/* What one request is told, and what the terminal is: NULL where that is nothing. */
static void
exchange(
    struct loopback *l, const char *request, const char *status, const char *page, const char *note)
{
	const char *got;
	int fd = browser(l, AF_INET);

	assert_true(send(fd, request, strlen(request), 0) > 0);
	turn(l, 0);
	got = loopback_note(l);
	if (note == NULL) {
		assert_null(got);
	} else {
		assert_non_null(got);
		assert_non_null(strstr(got, note));
		assert_null(loopback_note(l)); /* once */
		assert_null(strstr(got, "s3cr3t"));
	}
	assert_null(loopback_callback(l));
	if (status != NULL)
		expect(fd, status, page);
	else
		close(fd);
	turn(l, 0);
}

/* Answers that come otherwise than they should are explained, in the browser and at the terminal. */
static void
test_not_understood(void **state)
{
	struct loopback *l = start("/cb");

	exchange(l, "GET /cb HTTP/1.1\r\nHost: elsewhere\r\n\r\n", "403", "Refused",
	    "the host elsewhere");
	(void)loopback_free(l);
	l = start("/cb");
	{
		static const struct {
			const char *start, *rest; /* the Host stands between them; no rest: alone */
			const char *status, *page, *note;
		} rows[] = {
		    {"GET /cb HTTP/1.1", "\r\n", "400", "response_mode=query", "behind a #"},
		    {"GET /callback?code=s3cr3t&state=s HTTP/1.1", "\r\n", "404",
			"the path /callback", "redirect-path"},
		    {"GET /favicon.ico HTTP/1.1", "\r\n", "404", "still waiting", NULL},
		    {"HEAD /cb?code=s3cr3t&state=s HTTP/1.1", "\r\n", "200", NULL, NULL},
		    {"GET /cb?code=s3cr3t&state=s HTTP/1.1",
			"Sec-Purpose: prefetch;prerender\r\n\r\n", "503", NULL, NULL},
		    {"OPTIONS /cb HTTP/1.1", "\r\n", "405", "Allow: GET, HEAD, POST",
			"HTTP status 405"},
		    {"POST /cb HTTP/1.1", "Content-Length: 2\r\n\r\n{}", "415", NULL,
			"HTTP status 415"},
		    {"\x16\x03\x01\x02\x01\x01", NULL, NULL, NULL, "Change https to http"},
		    /* and no more than so many notes */
		    {"GET /cb HTTP/1.1", "\r\n", "400", "response_mode=query", NULL},
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			char request[512];

			if (rows[i].rest == NULL)
				(void)snprintf(request, sizeof(request), "%s", rows[i].start);
			else
				(void)snprintf(request, sizeof(request),
				    "%s\r\nHost: 127.0.0.1:%u\r\n%s", rows[i].start,
				    loopback_port(l), rows[i].rest);
			exchange(l, request, rows[i].status, rows[i].page, rows[i].note);
		}
	}
	(void)loopback_free(l);
}

/* response_mode=form_post: the form is the answer as the query is. */
static void
test_form_post(void **state)
{
	struct loopback *l = start("/");
	char request[512];
	int fd = browser(l, AF_INET);

	(void)snprintf(request, sizeof(request),
	    "POST / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: "
	    "https://login.example\r\nContent-Type: "
	    "application/x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\n",
	    loopback_port(l));
	assert_true(send(fd, request, strlen(request), 0) > 0);
	turn(l, 0);
	assert_null(loopback_callback(l));
	assert_int_equal(send(fd, "state=s&code=c", 14, 0), 14);
	turn(l, 0);
	assert_string_equal(loopback_callback(l), "state=s&code=c");
	loopback_finish(l, PAGE_GOOD, "Signed in", "It worked.", NULL);
	turn(l, 0);
	expect(fd, "303", "Location: /frank-signed-in\r\n");
	(void)loopback_free(l);
}

/* ---- other users ---- */

static struct {
	in_port_t port[1000];
	uid_t uid[1000];
	unsigned count;
} played;

int __real_peer_uid_ask(int diag, int fd, uint32_t *ret_uid);
int __wrap_peer_uid_ask(int diag, int fd, uint32_t *ret_uid);

/* The connection is of the user whom the test says. */
int
__wrap_peer_uid_ask(int diag, int fd, uint32_t *ret_uid)
{
	int r = __real_peer_uid_ask(diag, fd, ret_uid);
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	for (unsigned i = 0; r == 0 && i < played.count; i++)
		if (played.port[i] == peer.sin_port)
			*ret_uid = played.uid[i];
	return r;
}

static int
browser_of(const struct loopback *l, uid_t uid)
{
	struct sockaddr_in ours;
	socklen_t len = sizeof(ours);
	int fd = browser(l, AF_INET);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ours, &len), 0);
	assert_true(played.count < ARRAY_SIZE(played.port));
	played.port[played.count] = ours.sin_port;
	played.uid[played.count++] = uid;
	return fd;
}

/* Another user's connections are refused before they take up room; the callers' and root's are not. */
static void
test_other_users(void **state)
{
	const uid_t callers[] = {4711, 4712};
	int others[1 + 3 * LOOPBACK_CONNECTIONS], fd, timeout = 0, used = 0;
	struct pollfd fds[LOOPBACK_FDS];
	struct loopback *l;
	size_t count;

	assert_int_equal(loopback_open(&l, 0, "/", callers, ARRAY_SIZE(callers)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = browser_of(l, i == 0 ? 4712 : 4713);
	turn(l, 0);
	fd = browser_of(l, 0);
	ask(l, fd, "/?state=s&code=c", "127.0.0.1");
	turn(l, 0);
	assert_string_equal(loopback_callback(l), "state=s&code=c");
	/* the places are taken by that one and by the caller's: no other's is waited for */
	count = loopback_prepare(l, fds, 0, &timeout);
	for (size_t i = 2; i < count; i++)
		used += fds[i].fd >= 0;
	assert_int_equal(used, 2);
	assert_non_null(strstr(loopback_note(l), "uid 4713"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		close(others[i]);
	close(fd);
	(void)loopback_free(l);
}

/* A browser that goes away while its callback is looked at does not make another's be ignored. */
static void
test_gone_while_asked(void **state)
{
	struct loopback *l = start("/");
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int first = browser(l, AF_INET), second;

	ask(l, first, "/?state=1&code=1", "127.0.0.1");
	turn(l, 0);
	assert_string_equal(loopback_callback(l), "state=1&code=1");
	second = browser(l, AF_INET);
	ask(l, second, "/?state=2&code=2", "127.0.0.1");
	turn(l, 0);
	assert_int_equal(setsockopt(first, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(first);
	turn(l, 0);
	loopback_ignore(l, "no");
	assert_string_equal(loopback_callback(l), "state=2&code=2");
	loopback_finish(l, PAGE_BAD, "No", "no", NULL);
	turn(l, 0);
	expect(second, "303", NULL);
	(void)loopback_free(l);
}

/* Connections that say nothing: more than there is room for, and longer than there is patience. */
static void
test_silent(void **state)
{
	struct loopback *l = start("/");
	int silent[LOOPBACK_CONNECTIONS + 4], fd, timeout;
	struct pollfd fds[LOOPBACK_FDS];

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		silent[i] = browser(l, AF_INET);
		turn(l, (int64_t)i);
	}
	fd = browser(l, AF_INET);
	ask(l, fd, "/?state=s&code=c", "127.0.0.1");
	turn(l, 100);
	assert_string_equal(loopback_callback(l), "state=s&code=c");
	timeout = 1000000;
	(void)loopback_prepare(l, fds, 100, &timeout);
	assert_true(timeout > 0 && timeout <= LOOPBACK_IDLE_MS);
	turn(l, 200 + LOOPBACK_IDLE_MS);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		char c;

		assert_int_equal(recv(silent[i], &c, 1, 0), 0);
		close(silent[i]);
	}
	assert_string_equal(
	    loopback_callback(l), "state=s&code=c"); /* that one waits as long as it must */
	close(fd);
	(void)loopback_free(l);
}

static void
test_ports(void **state)
{
	struct loopback *l = start("/"), *other;

	assert_true(loopback_port(l) > 0);
	assert_int_equal(loopback_open(&other, loopback_port(l), "/", NULL, 0), -EADDRINUSE);
	assert_true(loopback_is_host("localhost"));
	assert_true(loopback_is_host("[::1]"));
	assert_false(loopback_is_host("example.com"));
	assert_false(loopback_is_host("127.0.0.2"));
	(void)loopback_free(l);
}

static void
test_page(void **state)
{
	CLEANUP_BUF struct buf b = BUF_INIT(64 * 1024);
	const char *body;
	size_t told;

	assert_int_equal(page_response(&b, 200, PAGE_BAD, "<b>",
			     "a & \"b\" 'c'\x1b[31m\r\nSet-Cookie: x", "<i>"),
	    0);
	assert_non_null(strstr(b.data, "<h1>&lt;b&gt;</h1>"));
	assert_non_null(strstr(b.data, "a &amp; &quot;b&quot; &#39;c&#39;[31mSet-Cookie: x"));
	body = strstr(b.data, "\r\n\r\n") + 4;
	told = strtoul(strstr(b.data, "Content-Length: ") + 16, NULL, 10);
	assert_int_equal(told, strlen(body));
	assert_non_null(strstr(b.data, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(b.data, "Referrer-Policy: no-referrer\r\n"));
	{
		CLEANUP_BUF struct buf huge = BUF_INIT(PAGE_MAX), page = BUF_INIT(PAGE_MAX);

		for (int i = 0; i < PAGE_MAX; i++)
			(void)buf_append_char(&huge, '"');
		assert_int_equal(
		    page_response(&page, 200, PAGE_BAD, huge.data, huge.data, huge.data), 0);
		assert_non_null(strstr(page.data, "</html>"));
	}
	assert_null(strstr(b.data, "http://"));
	assert_null(strstr(b.data, "https://"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_not_for_us),
	    cmocka_unit_test(test_the_callback),
	    cmocka_unit_test(test_not_understood),
	    cmocka_unit_test(test_form_post),
	    cmocka_unit_test(test_other_users),
	    cmocka_unit_test(test_gone_while_asked),
	    cmocka_unit_test(test_silent),
	    cmocka_unit_test(test_ports),
	    cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
