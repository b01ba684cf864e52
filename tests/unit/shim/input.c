/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of shim/input.c, recipients.c and the exit statuses: dots at every split, header
 * sections of any size, sets of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* with its inside: what becomes of octets as they come */
#include "shim/input.c"

#include "base/io.h"

struct dots_case {
	const char *in, *out;
};

static const struct dots_case dots[] = {
    {"", ""},
    {"a\nb\n", "a\nb\n"},
    {"a\n.\nrest\n", "a\n"},
    {"a\r\n.\r\nrest\r\n", "a\r\n"},
    {".\nrest", ""},
    {"a\n.", "a\n"},
    {"a\n.\r", "a\n"},
    {"a\n..\nb\n", "a\n.\nb\n"},
    {"a\n..two\n", "a\n.two\n"},
    {"..", "."},
    {"a\n...\n", "a\n..\n"},
    {"a\n.x\n", "a\n.x\n"},
    {"a\n.\rx\n", "a\n.\rx\n"},
    {"a\n.\r\r\nb", "a\n.\r\r\nb"},
    {"a.\n", "a.\n"},
    {"a\n .\n", "a\n .\n"},
    {"a\r.\r\n", "a\r.\r\n"},
};

static void
feed(struct input *in, const char *bytes, size_t len)
{
	if (in->eof)
		return;
	memcpy(in->data + in->len + in->held, bytes, len);
	in->eof = len == 0;
	take(in, len);
}

static void
check_dots(const struct dots_case *c, size_t first, size_t second)
{
	char room[INPUT_CHUNK];
	struct input in;
	size_t len = strlen(c->in);

	input_init(&in, -1, room, true);
	/* a piece of no octets is the end */
	for (size_t at = 0; at < len;) {
		size_t end = at < first ? first : at < second ? second : len;

		feed(&in, c->in + at, end - at);
		at = end;
	}
	feed(&in, "", 0);
	assert_true(in.eof);
	assert_int_equal(in.held, 0);
	assert_int_equal(in.len, strlen(c->out));
	assert_memory_equal(in.data, c->out, in.len);
}

static void
test_dots_at_every_split(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(dots); i++) {
		size_t len = strlen(dots[i].in);

		for (size_t first = 0; first <= len; first++)
			for (size_t second = first; second <= len; second++)
				check_dots(&dots[i], first, second);
	}
}

static void
test_dots_are_text(void **state)
{
	char room[INPUT_CHUNK];
	struct input in;

	input_init(&in, -1, room, false);
	feed(&in, "a\n.\n..b\n", 8);
	feed(&in, "", 0);
	assert_int_equal(in.len, 8);
}

/* A file that holds these bytes, to be read from its start. */
static int
file_with(const char *bytes, size_t len)
{
	char name[] = "/tmp/frank-shim-test-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(io_write_all(fd, bytes, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
test_header_grows_the_buffer(void **state)
{
	static const struct {
		size_t octets;
		int result;
	} cases[] = {{10, 0}, {INPUT_CHUNK - 3, 0}, {INPUT_CHUNK - 2, 0}, {INPUT_CHUNK, 0},
	    {300000, 0}, {INPUT_HEADER_MAX + 10, -EMSGSIZE}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = cases[i].octets, header = 0;
		char room[INPUT_CHUNK], *bytes = malloc(len + 8);
		struct input in;
		int fd;

		assert_non_null(bytes);
		memset(bytes, 'x', len);
		memcpy(bytes, "X: ", 3);
		memcpy(bytes + len, "\n\nbody\n", 7);
		fd = file_with(bytes, len + 7);
		input_init(&in, fd, room, true);
		assert_int_equal(input_fill_header(&in, &header), cases[i].result);
		if (cases[i].result == 0) {
			assert_int_equal(header, len + 2);
			assert_memory_equal(in.data, bytes, header);
		}
		input_free(&in);
		close(fd);
		free(bytes);
	}
}

static void
test_closing_dot_drains(void **state)
{
	char room[INPUT_CHUNK], rest[8];
	int fd = file_with("a\n.\nrest\n", 9);
	struct input in;

	input_init(&in, fd, room, true);
	assert_int_equal(fill(&in), 0);
	assert_int_equal(in.len, 2);
	assert_int_equal(read(fd, rest, sizeof(rest)), 0);
	close(fd);
}

static void
test_from_line(void **state)
{
	static const struct dots_case cases[] = {
	    {"From me@x Mon Jan  1 00:00:00 2024\nTo: a\n", "To: a\n"},
	    {"From 0123 Mon Sep 17 00:00:00 2001\r\n..x\n", ".x\n"},
	    {"From me Mon Jan  1 00:00:00 2024\n>From you\nTo: a\n", "To: a\n"},
	    {"From ops@example.test\nTo: a\n", "To: a\n"},
	    {"From here on: all is text\n", "From here on: all is text\n"},
	    {"From: me 1:2\n", "From: me 1:2\n"},
	    {"From me 1:2", "From me 1:2"},
	    {"From 1", "From 1"},
	    {"From ", "From "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[INPUT_CHUNK];
		int fd = file_with(cases[i].in, strlen(cases[i].in));
		struct input in;

		input_init(&in, fd, room, true);
		assert_int_equal(fill(&in), 0);
		assert_int_equal(in.len, strlen(cases[i].out));
		assert_memory_equal(in.data, cases[i].out, in.len);
		close(fd);
	}
}

static void
test_unreadable(void **state)
{
	char room[INPUT_CHUNK];
	struct input in;
	int pipes[2];

	input_init(&in, -1, room, true);
	assert_int_equal(fill(&in), 0); /* closed by the caller: an empty message */
	assert_true(in.eof);
	assert_int_equal(pipe(pipes), 0);
	input_init(&in, pipes[1], room, true);
	assert_int_equal(fill(&in), -EBADF); /* the write end is open, and no message */
	close(pipes[0]);
	close(pipes[1]);
	input_init(&in, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), room, true);
	assert_int_equal(fill(&in), -EISDIR);
	close(in.fd);
}

/* ---- recipients ---- */

static void
assert_recipients(const struct recipients *r, const char *want)
{
	char got[1024] = "";
	const char *address;
	size_t at = 0, count = 0;

	while ((address = recipients_next(r, &at)) != NULL) {
		(void)strncat(got, count++ > 0 ? " " : "", sizeof(got) - strlen(got) - 1);
		(void)strncat(got, address, sizeof(got) - strlen(got) - 1);
	}
	assert_string_equal(got, want);
	assert_int_equal(count, r->count);
}

static void
test_recipients_once_each(void **state)
{
	struct recipients r = RECIPIENTS_INIT;

	assert_int_equal(recipients_add_list(&r, "a@b.c, Name <d@e.f>", 19), 0);
	assert_int_equal(recipients_add_list(&r, "a@B.C A@b.c root", 16), 0);
	assert_int_equal(recipients_add_list(&r, "root Root", 9), 0);
	assert_recipients(&r, "a@b.c d@e.f A@b.c root Root");
	assert_int_equal(recipients_add_list(&r, "a@b.c@d", 7), -EBADMSG);
	assert_int_equal(recipients_add_list(&r, "a@b..c", 6), -EBADMSG);
	recipients_free(&r);
}

static void
test_many_recipients(void **state)
{
	struct recipients r = RECIPIENTS_INIT;
	char address[] = "u000000@example.org";

	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < 20000; i++) {
			unsigned rest = i;

			for (int d = 6; d > 0; d--, rest /= 10)
				address[d] = (char)('0' + rest % 10);
			assert_int_equal(recipients_add_list(&r, address, strlen(address)), 0);
		}
	}
	assert_int_equal(r.count, 20000);
	recipients_free(&r);
}

static void
test_header_recipients(void **state)
{
	static const struct {
		const char *header, *want;
		int result;
	} cases[] = {
	    {"To: a@b.c\nCc: d@e.f\nBcc: g@h.i\nSubject: j@k.l\n\n", "a@b.c d@e.f g@h.i", 0},
	    {"to : a@b.c\r\nTO: d@e.f,\r\n\tg@h.i\r\n\r\nTo: body@b.c\r\n", "a@b.c d@e.f g@h.i", 0},
	    {"To: a@b.c\nResent-To: r@s.t\nResent-Cc: u@v.w\n\n", "r@s.t u@v.w", 0},
	    {"To: a@b.c\nResent-From: r@s.t\n\n", "a@b.c", 0},
	    {"To: undisclosed-recipients:;\nBcc: a@b.c\n\n", "a@b.c", 0},
	    {"no field\nTo: a@b.c\n\n", "", 0},
	    {"To: a@b.c\nCc: <a@b.c@d>\n\n", "a@b.c", -EBADMSG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct recipients r = RECIPIENTS_INIT;
		const char *field = NULL;

		assert_int_equal(
		    recipients_add_header(&r, cases[i].header, strlen(cases[i].header), &field),
		    cases[i].result);
		assert_recipients(&r, cases[i].want);
		if (cases[i].result < 0)
			assert_string_equal(field, "Cc");
		recipients_free(&r);
	}
}

/* ---- exit statuses ---- */

static void
test_exit_statuses(void **state)
{
	static const struct {
		int code;
		const char *enhanced;
		int status;
	} cases[] = {
	    {250, "2.0.0", EX_OK},
	    {451, "4.3.0", EX_TEMPFAIL},
	    {450, "", EX_TEMPFAIL},
	    {550, "5.1.1", EX_NOUSER},
	    {553, "5.1.3", EX_NOUSER},
	    {550, "5.7.1", EX_NOPERM},
	    {530, "5.7.0", EX_NOPERM},
	    {554, "5.6.0", EX_DATAERR},
	    {552, "5.3.4", EX_DATAERR},
	    {552, "", EX_DATAERR},
	    {554, "5.3.4", EX_DATAERR},
	    {550, "5.3.5", EX_CONFIG},
	    {503, "5.5.1", EX_UNAVAILABLE},
	    {554, "", EX_UNAVAILABLE},
	    {550, "5.17.1", EX_UNAVAILABLE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
		    session_exit_status(cases[i].code, cases[i].enhanced), cases[i].status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dots_at_every_split),
	    cmocka_unit_test(test_dots_are_text),
	    cmocka_unit_test(test_header_grows_the_buffer),
	    cmocka_unit_test(test_closing_dot_drains),
	    cmocka_unit_test(test_from_line),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_recipients_once_each),
	    cmocka_unit_test(test_many_recipients),
	    cmocka_unit_test(test_header_recipients),
	    cmocka_unit_test(test_exit_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
