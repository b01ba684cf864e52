/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of admin/http-get.c, paste.c and terminal.c: what a browser or a person gives at the
 * end of a sign-in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "admin/http-get.h"
#include "admin/paste.h"
#include "admin/terminal.h"

struct row {
	const char *request;
	int status;
	const char *path, *query, *host;
};

static const struct row rows[] = {
    {"GET /?code=4%2F0A&state=s HTTP/1.1\r\nHost: 127.0.0.1:7000\r\n\r\n", 0, "/",
	"code=4%2F0A&state=s", "127.0.0.1:7000"},
    {"GET /cb HTTP/1.1\r\nHost:localhost:7000\r\nAccept: */*\r\nCookie: a=b; c\r\n\r\n", 0, "/cb",
	NULL, "localhost:7000"},
    {"GET /? HTTP/1.0\nhOsT: \t[::1]:7000 \t\n\n", 0, "/", "", "[::1]:7000"},
    {"\r\n\nGET /a?b?c HTTP/1.1\r\nHost: x\r\n\r\nbody behind", 0, "/a", "b?c", "x"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "/", NULL, ""},
    {"HEAD /a?b HTTP/1.1\r\nHost: x\r\n\r\n", 0, "/a", "b", "x"},
    {"POST /cb?x=y HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\nContent-Type: "
     "application/x-www-form-urlencoded\r\n\r\ncode=c&state=sand more",
	0, "/cb", "code=c&state=s", "x"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: APPLICATION/x-www-form-urlencoded; "
     "charset=UTF-8\r\nContent-Length: 0\r\n\r\n",
	0, "/", NULL, "x"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", 415, NULL, NULL, NULL},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: "
     "application/x-www-form-urlencodedx\r\nContent-Length: 4\r\n\r\nbody",
	415, NULL, NULL, NULL},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, NULL, NULL,
	NULL},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413, NULL, NULL,
	NULL},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, NULL, NULL, NULL},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, NULL,
	NULL, NULL},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Type: "
     "application/x-www-form-urlencoded\r\n\r\na\nb",
	400, NULL, NULL, NULL},
    {"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", 405, NULL, NULL, NULL},
    {"get / HTTP/1.1\r\nHost: x\r\n\r\n", 405, NULL, NULL, NULL},
    {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, NULL, NULL, NULL},
    {"GET / HTTP/1.1\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"GET /\r\nHost: a\r\n\r\n", 400, NULL, NULL, NULL},
    {"\x16\x03\x01 tls\r\n\r\n", 400, NULL, NULL, NULL},
};

static void
expect(const struct http_get *g, const struct row *row)
{
	assert_int_equal(g->status, row->status);
	if (row->status != 0)
		return;
	assert_string_equal(g->path, row->path);
	assert_string_equal(g->host, row->host);
	if (row->query == NULL)
		assert_null(g->query);
	else
		assert_string_equal(g->query, row->query);
}

/* Whole, octet by octet, and cut in two at every octet. */
static void
test_requests(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *text = rows[i].request;
		size_t len = strlen(text);

		for (size_t cut = 0; cut <= len + 1; cut++) {
			struct http_get g = HTTP_GET_INIT;
			bool complete = false;

			if (cut > len) {
				for (size_t at = 0; at < len && !complete; at++)
					complete = http_get_take(&g, text + at, 1);
			} else {
				complete = http_get_take(&g, text, cut) ||
					   http_get_take(&g, text + cut, len - cut);
			}
			assert_true(complete);
			expect(&g, &rows[i]);
			http_get_clear(&g);
		}
	}
}

static void
test_bounds(void **state)
{
	struct http_get g = HTTP_GET_INIT;
	char chunk[1000];
	bool complete = false;
	size_t sent = 0;

	assert_false(http_get_take(&g, "", 0));
	assert_false(http_get_take(&g, "\r\n\r\n\r\n", 6)); /* blank lines alone are no request */
	memset(chunk, 'a', sizeof(chunk));
	while (!complete) {
		complete = http_get_take(&g, chunk, sizeof(chunk));
		sent += sizeof(chunk);
		assert_true(sent <= HTTP_GET_MAX + sizeof(chunk));
	}
	assert_int_equal(g.status, 431);
	http_get_clear(&g);
	complete = http_get_take(&g, "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 30);
	assert_true(complete);
	assert_int_equal(g.status, 400);
	http_get_clear(&g);
}

static void
test_paste(void **state)
{
	static const struct {
		const char *line, *query;
	} table[] = {
	    {"http://127.0.0.1:7000/?code=4%2F0&state=s", "code=4%2F0&state=s"},
	    {"  \"http://localhost/?state=s&code=c#_=_\" ", "state=s&code=c"},
	    {"http://localhost:7000/#code=c&state=s", "code=c&state=s"},
	    {"http://localhost:7000/?x=y#error=access_denied&state=s",
		"error=access_denied&state=s"},
	    {"http://localhost:7000/?code=c#state=s", NULL},
	    {"code=c&state=s", "code=c&state=s"},
	    {"http://x/?error=access_denied&state=s&error_description=a+b",
		"error=access_denied&state=s&error_description=a+b"},
	    {"http://x/?error=server_error", "error=server_error"},
	    {"4/0AbCdEf", NULL},
	    {"http://127.0.0.1:7000/?code=c", NULL},
	    {"http://127.0.0.1:7000/?state=s", NULL},
	    {"http://127.0.0.1:7000/?xcode=c&xstate=s", NULL},
	    {"https://login.example.com/authorize?client_id=x&state=s", NULL},
	    {"http://127.0.0.1/?code=a b&state=s", NULL},
	    {"http://127.0.0.1/?code=\xc3\xa9&state=s", NULL},
	    {"", NULL},
	    {"?", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *query;
		size_t len;
		bool found = paste_query(table[i].line, strlen(table[i].line), &query, &len);

		assert_int_equal(found, table[i].query != NULL);
		if (found) {
			assert_int_equal(len, strlen(table[i].query));
			assert_memory_equal(query, table[i].query, len);
		}
	}
}

static void
test_terminal(void **state)
{
	CLEANUP_BUF struct buf b = BUF_INIT_WIPE(16);

	assert_int_equal(terminal_take(&b, "pass", 4), TERMINAL_MORE);
	assert_int_equal(terminal_take(&b, "w\x7f\x7fX\r", 5), TERMINAL_LINE);
	assert_string_equal(buf_str(&b), "pasX");
	buf_clear(&b);
	assert_int_equal(terminal_take(&b,
			     "gone\x15"
			     "a\xc3\xa9\x08",
			     9),
	    TERMINAL_MORE);
	assert_string_equal(buf_str(&b), "a");
	assert_int_equal(terminal_take(&b, "\x04", 1), TERMINAL_LINE);
	buf_clear(&b);
	assert_int_equal(terminal_take(&b, "\x7f\x04", 2), TERMINAL_END);
	assert_int_equal(terminal_take(&b, "0123456789abcdefg", 17), TERMINAL_MORE);
	assert_true(b.failed);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_paste),
	    cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
