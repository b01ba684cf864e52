/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of allocation failure: each module's work is done again and again, with the first,
 * second, third... allocation failing, until it succeeds. Whatever fails must say so, and the
 * sanitizer must find nothing lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/smtp/server.h"

static unsigned fail_at; /* 0: never */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);

static bool
fails(void)
{
	if (fail_at == 0 || --fail_at > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

/* Does the work with ever later failures; `work` returns 0 or -ENOMEM. Returns how many failures
 * there were. */
static unsigned
until_it_works(int (*work)(void))
{
	for (unsigned n = 1;; n++) {
		bool used_up;
		int r;

		fail_at = n;
		r = work();
		used_up = fail_at == 0;
		fail_at = 0;
		if (!used_up) {
			assert_int_equal(r, 0);
			return n - 1;
		}
		assert_int_equal(r, -ENOMEM);
		assert_true(n < 1000);
	}
}

static int
append(struct buf *b)
{
	size_t before;
	int r = 0;

	for (int i = 0; i < 2000 && r == 0; i++) {
		before = b->len;
		r = buf_append_str(b, "ab");
		if (r < 0)
			assert_true(b->failed && b->len == before && strlen(buf_str(b)) == before);
	}
	buf_free(b);
	return r;
}

static int
work_buf(void)
{
	struct buf b = BUF_INIT(10000);

	return append(&b);
}

static int
work_buf_wipe(void)
{
	struct buf b = BUF_INIT_WIPE(10000);

	return append(&b);
}

static int
work_codec(void)
{
	CLEANUP_BUF struct buf b = BUF_INIT(10000);
	static const char octets[1000] = "\xff";
	int r = base64_encode(&b, octets, sizeof(octets));

	if (r == 0)
		r = xtext_encode(&b, octets, sizeof(octets));
	if (r == 0)
		r = hex_encode(&b, octets, sizeof(octets));
	return r;
}

static int
visit(void *arg, const struct address_item *item)
{
	return strcmp(item->name, "Pat") == 0 && strcmp(item->address, "pat@x") == 0 ? 0 : -EINVAL;
}

static int
work_address(void)
{
	static const char list[] = "Pat <pat@x>, Pat <@a:pat@x>";

	return address_list_parse(list, strlen(list), visit, NULL, NULL);
}

static int
work_empty_reply(void)
{
	struct smtp_reply_parser p = {0};
	struct smtp_reply r = {0};
	int e = smtp_reply_parser_line(&p, "250", 3);

	if (e == 1)
		e = smtp_reply_parser_take(&p, SMTP_STAGE_RCPT, &r);
	if (e == 0)
		assert_string_equal(r.text, "");
	smtp_reply_parser_free(&p);
	smtp_reply_clear(&r);
	return e;
}

static int
work_reply(void)
{
	struct smtp_reply_parser p = {0};
	struct smtp_reply r = {.code = 1}, copy = {.code = 2};
	int e = smtp_reply_parser_line(&p, "550-5.1.1 a", 11);

	if (e == 0)
		e = smtp_reply_parser_line(&p, "550 5.1.1 b", 11);
	if (e == 1) {
		e = smtp_reply_parser_take(&p, SMTP_STAGE_RCPT, &r);
		assert_int_equal(r.code, e < 0 ? 1 : 550);
	}
	if (e == 0) {
		e = smtp_reply_copy(&copy, &r);
		assert_int_equal(copy.code, 550);
		assert_int_equal(copy.text == NULL, e < 0);
	}
	smtp_reply_parser_free(&p);
	smtp_reply_clear(&r);
	smtp_reply_clear(&copy);
	return e;
}

/* ---- the server ---- */

static struct {
	bool open;
	unsigned ends, auths;
	size_t content;
} calls;

static enum smtp_decision
on_mail(void *arg, const char *sender, const struct smtp_mail_params *params)
{
	assert_false(calls.open);
	calls.open = true;
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_rcpt(void *arg, const char *recipient, const struct smtp_rcpt_params *params)
{
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_data(void *arg)
{
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	calls.content += len;
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_end(void *arg)
{
	calls.ends++;
	return SMTP_ACCEPT;
}

static void
on_reset(void *arg)
{
	calls.open = false;
}

static enum smtp_decision
on_auth(void *arg, const char *mechanism, const char *response, size_t len)
{
	calls.auths++;
	return SMTP_ACCEPT;
}

static bool
on_known(void *arg, const char *id)
{
	return false;
}

static const struct smtp_server_ops ops = {
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .known = on_known,
};

static int
work_server(void)
{
	static const struct smtp_server_config config = {.hostname = "mx.test",
	    .software = "Frank",
	    .auth_mechanisms = "PLAIN",
	    .extensions = ~0U};
	static const char stream[] = "EHLO a\r\nAUTH PLAIN YQ==\r\nMAIL FROM:<a@b> XNAME=a "
				     "ENVID=b\r\nRCPT TO:<c@d> ORCPT=rfc822;x\r\n"
				     "BDAT 3\r\nabcBDAT 0 LAST\r\nQUIT\r\n";
	struct smtp_server *s = smtp_server_new(&config, &ops, NULL);
	bool lost = false;
	int r = 0;

	memset(&calls, 0, sizeof(calls));
	if (s == NULL)
		return -ENOMEM;
	/* In pieces of seven octets, so that there is input to be kept. */
	for (size_t at = 0; at < sizeof(stream) - 1 && r == 0; at += 7) {
		size_t n = sizeof(stream) - 1 - at;

		r = smtp_server_input(s, stream + at, n < 7 ? n : 7);
		/* A command for which memory ran out is refused for now: 451 or 454. */
		lost = lost || strstr(buf_str(smtp_server_output(s)), "\r\n45") != NULL;
	}
	(void)smtp_server_free(s);
	assert_false(calls.open);
	if (r == 0 && !lost) {
		assert_int_equal(calls.ends, 1);
		assert_int_equal(calls.content, 3);
	}
	return r == 0 && lost ? -ENOMEM : r;
}

static void
test_all(void **state)
{
	assert_true(until_it_works(work_buf) > 2);
	assert_true(until_it_works(work_buf_wipe) > 2);
	assert_true(until_it_works(work_codec) > 2);
	assert_true(until_it_works(work_address) >= 2);
	assert_true(until_it_works(work_reply) >= 3);
	assert_true(until_it_works(work_empty_reply) >= 1);
	assert_true(until_it_works(work_server) >= 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests_name("base/allocation", tests, NULL, NULL);
}
