/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of base/address.c: envelope addresses, and address lists as real headers spell them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/address.h"

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void
test_valid(void **state)
{
	static const char *const good[] = {
	    "a@b",
	    "a.b@c.d",
	    "user+tag=x@example.com",
	    "\"john,doe\"@example.org",
	    "\"a\\\"b\"@c",
	    "\"\"@c",
	    "a@[192.0.2.1]",
	    "a@[IPv6:2001:db8::1]",
	    "!#$%&'*+-/=?^_`{|}~@x",
	    "a@b_c.d",
	    "a@1.2",
	    "\xc3\xa4@\xc3\xb6.de",
	    SIXTY SIXTY SIXTY "@x",
	    "a@x-y.z",
	};
	static const char *const bad[] = {
	    "",
	    "@",
	    "@b",
	    "a@",
	    "a b@c",
	    "a@b c",
	    ".a@b",
	    "a.@b",
	    "a..b@c",
	    "a@b..c",
	    "a@.b",
	    "a@b.",
	    "a@-b",
	    "a@b-",
	    "a@b-.c",
	    "a@@b",
	    "a@b@c",
	    "\"a@b",
	    "\"a\nb\"@c",
	    "\"a\\\"@c",
	    "a@[",
	    "a@[]",
	    "a@[1.2.3.4",
	    "a@[1]x",
	    "a@[a[b]",
	    "a@[a\"b]",
	    "a@[a>b]",
	    "a<b@c",
	    "a@b>",
	    "a\r@b",
	    "a@b\n",
	    "a\x7f@b",
	    "\xc3@b",
	    "a@\xff",
	    "a@" SIXTY "0123.x",
	    "\xc2\x85@b",
	    "a,b@c",
	    "(c)a@b",
	    "\"a\"b@c",
	};
	static const char *const local[] = {"root", "a.b", "\"a b\"", "\xc3\xa4"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!address_is_valid(good[i], strlen(good[i]), false) ||
		    !address_is_valid(good[i], strlen(good[i]), true))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (address_is_valid(bad[i], strlen(bad[i]), false) ||
		    address_is_valid(bad[i], strlen(bad[i]), true))
			fail_msg("%s", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
		assert_true(address_is_valid(local[i], strlen(local[i]), true));
		assert_false(address_is_valid(local[i], strlen(local[i]), false));
	}
	assert_false(address_is_valid("a@b\0c", 5, true));
	assert_false(address_is_valid("a\0b", 3, true));
}

/* What people and programs write, and what an envelope gets of it. */
static void
test_read(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: no server could take it */
	} rows[] = {
	    {"a@b", "a@b"},
	    {"a..b@example.org", "\"a..b\"@example.org"},
	    {"a.@example.org", "\"a.\"@example.org"},
	    {".a@example.org", "\".a\"@example.org"},
	    {"..@x", "\"..\"@x"},
	    {"a..b", "\"a..b\""},
	    {"\"a..b\"@x", "\"a..b\"@x"},
	    {"\"a.b\"@x", "a.b@x"},
	    {"\"a\".b@x", "a.b@x"},
	    {"a.\"b c\".d@x", "\"a.b c.d\"@x"},
	    {"\"\\a\"@x", "a@x"},
	    {"\"a\\\"b\\\\c\"@x", "\"a\\\"b\\\\c\"@x"},
	    {"\"\"@x", "\"\"@x"},
	    {"a@example.org.", "a@example.org"},
	    {SIXTY TEN "=list.example@x", SIXTY TEN "=list.example@x"},
	    {"bounces+1234567-abcd-someone.with.a.long.name=some.long.domain.example.org@em.x",
		"bounces+1234567-abcd-someone.with.a.long.name=some.long.domain.example.org@em.x"},
	    {"user%host@relay", "user%host@relay"},
	    {"host!user@relay", "host!user@relay"},
	    {"\xc3\xa4..@\xc3\xb6", "\"\xc3\xa4..\"@\xc3\xb6"},
	    {"a@[192.0.2.1]", "a@[192.0.2.1]"},
	    {"", NULL},
	    {"@b", NULL},
	    {"a@", NULL},
	    {"a@.", NULL},
	    {"a@b..", NULL},
	    {"a@b..c", NULL},
	    {"a@b@c", NULL},
	    {"a b@c", NULL},
	    {"<a@b>", NULL},
	    {"a(c)@b", NULL},
	    {"@r:a@b", NULL},
	    {"\"a@b", NULL},
	    {"\"a\"b@c", NULL},
	    {"a\"b\"@c", NULL},
	    {"\"a\x01\"@c", NULL},
	    {"\xff@c", NULL},
	    {"a@b\r\n", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(ADDRESS_MAX);
		int r = address_read(rows[i].in, strlen(rows[i].in), true, &out);

		assert_int_equal(address_read(rows[i].in, strlen(rows[i].in), true, NULL), r);
		if (rows[i].out == NULL) {
			if (r != -EBADMSG)
				fail_msg("%s: %d", rows[i].in, r);
			continue;
		}
		if (r != 0 || strcmp(out.data, rows[i].out) != 0)
			fail_msg("%s: %d, %s", rows[i].in, r, buf_str(&out));
		assert_true(address_is_valid(out.data, out.len, true));
	}
}

static void
test_read_limits(void **state)
{
	CLEANUP_BUF struct buf in = BUF_INIT(10000), out = BUF_INIT(10000);

	while (in.len < ADDRESS_MAX - 2)
		assert_int_equal(buf_append_char(&in, 'x'), 0);
	assert_int_equal(buf_append(&in, "@b", 2), 0);
	assert_int_equal(address_read(in.data, in.len, false, &out), 0);
	in.data[0] = '.'; /* its quotes make it too long */
	assert_int_equal(address_read(in.data, in.len, false, &out), -EBADMSG);
	in.data[0] = 'x';
	assert_int_equal(buf_append_char(&in, 'b'), 0);
	assert_int_equal(address_read(in.data, in.len, false, &out), -EBADMSG);
	while (in.len < 9000)
		assert_int_equal(buf_append_char(&in, '.'), 0);
	assert_int_equal(address_read(in.data, in.len, false, &out), -EBADMSG);
}

static void
test_domain_limit(void **state)
{
	char address[600] = "a@";

	for (size_t i = 2; i < sizeof(address); i++)
		address[i] = i % 2 == 0 ? 'x' : '.';
	assert_true(address_is_valid(address, 2 + 255, false));
	assert_false(address_is_valid(address, 2 + 257, false));
}

static void
test_parts(void **state)
{
	assert_string_equal(address_domain("a@b.c"), "b.c");
	assert_string_equal(address_domain("\"a@x\"@b.c"), "b.c");
	assert_string_equal(address_domain("\"a\\\"@x\"@b.c"), "b.c");
	assert_null(address_domain("root"));
	assert_null(address_domain("a@"));
	assert_null(address_domain("\"a@b\""));
	assert_null(address_domain(""));
	assert_true(address_equal("a@B.c", "a@b.C"));
	assert_false(address_equal("A@b.c", "a@b.c"));
	assert_false(address_equal("a@b.c", "a@b.cd"));
	assert_false(address_equal("aa@b", "a@bb"));
	assert_true(address_equal("root", "root"));
	assert_false(address_equal("root", "Root"));
	assert_false(address_equal("root", "root@x"));
	assert_int_equal(address_hash("a@B.c", 7), address_hash("a@b.C", 7));
	assert_int_equal(address_hash("root", 7), address_hash("root", 7));
	assert_int_not_equal(address_hash("root", 7), address_hash("root", 8));
	assert_int_not_equal(address_hash("ab@b.c", 7), address_hash("Ab@b.c", 7));
	assert_int_not_equal(address_hash("root", 7), address_hash("Root", 7));
	assert_true(address_equal_nocase("Me@B.c", "me@b.C"));
	assert_true(address_is_utf8("\xc3\xa4@b", 4));
	assert_false(address_is_utf8("a@b", 3));
}

static int
collect(void *arg, const struct address_item *item)
{
	struct buf *b = arg;

	(void)buf_append_str(b, item->address);
	if (item->name[0] != '\0')
		(void)buf_printf(b, "{%s}", item->name);
	if (item->phrase)
		(void)buf_append_char(b, '?');
	return buf_append_char(b, '|');
}

/* Parses an exact copy, so that the sanitizer sees a read behind its end. */
static int
parse(const char *s, size_t len, struct buf *out, size_t *ret_at)
{
	char *copy = malloc(len == 0 ? 1 : len);
	int r;

	assert_non_null(copy);
	memcpy(copy, s, len);
	r = address_list_parse(copy, len, collect, out, ret_at);
	free(copy);
	return r;
}

static void
test_lists(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"", ""},
	    {" \r\n\t", ""},
	    {",, ;,", ""},
	    {"(nobody)", ""},
	    {"a@b", "a@b|"},
	    {"a@b,c@d", "a@b|c@d|"},
	    {"a@b c@d\te", "a@b|c@d|e?|"},
	    {"root, www-data", "root|www-data|"},
	    {"<a@b>", "a@b|"},
	    {"< a@b >", "a@b|"},
	    {"A B <a@b>", "a@b{A B}|"},
	    {"\"Doe, Jane\" <jane@x>, pat@x (Pat, the builder),\r\n \"Smith \\\"Jr, X\\\" "
	     "<y@bad>\" <smith@x>",
		"jane@x{Doe, Jane}|pat@x{Pat, the builder}|smith@x{Smith \"Jr, X\" <y@bad>}|"},
	    {"\"john,doe\"@example.org, Carol (a (nested, comma) b) <carol@x>",
		"\"john,doe\"@example.org|carol@x{Carol}|"},
	    {"(c (d\\) e) f) a@b (g)", "a@b{g}|"},
	    {"root (Cron Daemon)", "root{Cron Daemon}|"},
	    {"a@b (one)(two) c@d (x (y\\)\r\n z) w),e@f()", "a@b{one}|c@d{x (y) z) w}|e@f|"},
	    {"undisclosed-recipients:;", ""},
	    {"undisclosed-recipients:", ""},
	    {"Undisclosed recipients <>", ""},
	    {"Friends: ann@x, \"Ben, B\" <ben@x>; , solo@x", "ann@x|ben@x{Ben, B}|solo@x|"},
	    {"A:;B: b@x;", "b@x|"},
	    {"<@relay1.example,@relay2.example:joe@x>,\r\n Pat <@relay:pat@x>, ,, tail@x,",
		"joe@x|pat@x{Pat}|tail@x|"},
	    {"a@b; c@d", "a@b|c@d|"},
	    {"joe . doe @ x . y", "joe.doe@x.y|"},
	    {"joe@x.org <joe@x.org>", "joe@x.org{joe@x.org}|"},
	    {"J. R. Ewing <jr@x>", "jr@x{J. R. Ewing}|"},
	    {"[Bug 12] tracker <bugs@x>", "bugs@x{[Bug 12] tracker}|"},
	    {"=?utf-8?q?J=C3=BCrgen?= <j@x>", "j@x{=?utf-8?q?J=C3=BCrgen?=}|"},
	    {"Zo\xc3\xab <z@x>, \xc3\xa4@\xc3\xb6", "z@x{Zo\xc3\xab}|\xc3\xa4@\xc3\xb6|"},
	    {"a@[192.0.2.1], b@[IPv6:::1]", "a@[192.0.2.1]|b@[IPv6:::1]|"},
	    {"\"a b\"@c", "\"a b\"@c|"},
	    {"\"a b\"", "\"a b\"?|"},
	    {"Backup Script", "Backup?|Script?|"},
	    {"Backup Script x@y", "Backup?|Script?|x@y|"},
	    {"x@y Backup", "x@y|Backup?|"},
	    {"Mr. X", "Mr.X?|"},
	    {"M\xc3\xbcller, =?utf-8?q?x?=, <M\xc3\xbcller>",
		"M\xc3\xbcller?|=?utf-8?q?x?=?|M\xc3\xbcller|"},
	    {"Backup, Script", "Backup|Script|"},
	    {"Backup (x) Script", "Backup{x}?|Script?|"},
	    {"a..b@c, .d@e, f.@g, h@i.", "\"a..b\"@c|\".d\"@e|\"f.\"@g|h@i|"},
	    {"X <a..b@c>, <..>, <\"q r\">", "\"a..b\"@c{X}|\"..\"|\"q r\"|"},
	    {"\"a\".b@c", "a.b@c|"},
	    {"Pat <p@x> (Pat) Smith, q@x", "p@x{Pat}|q@x|"},
	    {"\"folded\r\n name\" <a@b>", "a@b{folded name}|"},
	    {"Pat\r\n\t<a@b>", "a@b{Pat}|"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(10000);
		size_t at;

		assert_int_equal(parse(rows[i].in, strlen(rows[i].in), &out, &at), 0);
		assert_string_equal(buf_str(&out), rows[i].out);
	}
}

static void
test_faults(void **state)
{
	static const struct {
		const char *in;
		size_t at;
	} rows[] = {
	    {"a@b, (open", 5},
	    {"a@b (", 4},
	    {"\"open", 0},
	    {"a@b \"open\\\"", 4},
	    {"<a@b", 4},
	    {"<a@b, c@d>", 4},
	    {"<a <b>>", 3},
	    {"a@b>", 3},
	    {"<a b@c>", 3},
	    {"<@relay>", 7},
	    {"<@relay:", 8},
	    {"@b", 0},
	    {"a@", 2},
	    {"a@,b", 2},
	    {"a@b@c", 3},
	    {"x, a@b..c", 7},
	    {"x, a@-b", 3},
	    {"a@\"b\"", 2},
	    {"[1.2.3.4]", 0},
	    {"\"a\"b@c", 3},
	    {"a\\b", 1},
	    {"a\x01", 1},
	    {"a@b\x7f", 3},
	    {"<p@x> <q@x>", 6},
	    {"<p@x> q@x", 7},
	    {": a@b", 0},
	    {"a@b: c@d;", 3},
	    {"a)b", 1},
	    {"a]b", 1},
	    {"\"a\x02\"", 0},
	    {"\"a\\\r\n \"@b", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(10000);
		size_t at = 999;

		if (parse(rows[i].in, strlen(rows[i].in), &out, &at) != -EBADMSG ||
		    at != rows[i].at)
			fail_msg("%s: at %zu", rows[i].in, at);
	}
}

static void
test_nul_and_null(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT(100);
	size_t at;

	assert_int_equal(parse("a\0b", 3, &out, &at), -EBADMSG);
	assert_int_equal(at, 1);
	assert_int_equal(address_list_parse("a,\x01", 3, collect, &out, NULL), -EBADMSG);
}

static int
stop_at_second(void *arg, const struct address_item *item)
{
	return ++*(int *)arg == 2 ? 42 : 0;
}

static void
test_visitor_stops(void **state)
{
	int seen = 0;
	size_t at;

	assert_int_equal(address_list_parse("a, b, c", 7, stop_at_second, &seen, &at), 42);
	assert_int_equal(seen, 2);
}

/* A list cut anywhere is parsed or refused, never read behind its end. */
static void
test_cut(void **state)
{
	static const char list[] = "F: <@r,@s:a@b>, \"q\\\"\" <c@[d]>; (x(y)) e . f @ g, h i@j";

	for (size_t cut = 0; cut < sizeof(list); cut++) {
		CLEANUP_BUF struct buf out = BUF_INIT(10000);
		size_t at = 0;
		int r = parse(list, cut, &out, &at);

		assert_true(r == 0 || r == -EBADMSG);
		assert_true(at <= cut);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valid),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_read_limits),
	    cmocka_unit_test(test_domain_limit),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_nul_and_null),
	    cmocka_unit_test(test_visitor_stops),
	    cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("base/address", tests, NULL, NULL);
}
