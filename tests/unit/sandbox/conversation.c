/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conversation.c: what is kept of a session and of its messages. The server's engine feeds it, with the input cut at every octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/smtp/server.h"
#include "sandbox/record.h"

/* The lines as one text: C:, S: and -: before each. */
static void
text_of(struct conversation *c, uint64_t now, const char *reply, struct buf *out)
{
	json_t *lines = conversation_lines(c, now, reply), *line;
	size_t i;

	assert_non_null(lines);
	buf_clear(out);
	json_array_foreach(lines, i, line)
	{
		const char *from = json_string_value(json_object_get(line, "from"));

		assert_int_equal(buf_printf(out, "%s:%s\n",
				     strcmp(from, "client") == 0   ? "C"
				     : strcmp(from, "server") == 0 ? "S"
								   : "-",
				     json_string_value(json_object_get(line, "text"))),
		    0);
	}
	json_decref(lines);
}

static void
on_trace(void *arg, bool from_client, const char *text, size_t len)
{
	conversation_add(
	    arg, from_client ? CONVERSATION_CLIENT : CONVERSATION_SERVER, 0, text, len);
}

static enum smtp_decision
yes_mail(void *arg, const char *sender, const struct smtp_mail_params *p)
{
	return SMTP_ACCEPT;
}

static enum smtp_decision
yes_rcpt(void *arg, const char *to, const struct smtp_rcpt_params *p)
{
	return SMTP_ACCEPT;
}

static enum smtp_decision
yes(void *arg)
{
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	conversation_content(arg, len);
	return SMTP_ACCEPT;
}

static void
on_reset(void *arg)
{
}

static const struct smtp_server_ops ops = {
    .trace = on_trace,
    .mail = yes_mail,
    .rcpt = yes_rcpt,
    .data = yes,
    .content = on_content,
    .end = yes,
    .reset = on_reset,
};

static void
test_cut_anywhere(void **state)
{
	static const struct smtp_server_config config = {
	    .hostname = "h", .software = "s", .extensions = SMTP_EXT_ENHANCED};
	static const char in[] =
	    "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\none\r\n.\r\n"
	    "MAIL FROM:<a@c>\r\nRCPT TO:<z@y>\r\nDATA\r\nsecond one\r\n.\r\n";
	static const char want[] =
	    "S:220 h ESMTP s\nC:HELO c\nS:250 h\nC:MAIL FROM:<a@c>\nS:250 2.1.0 Sender "
	    "accepted\nC:RCPT TO:<z@y>\nS:250 2.1.5 Recipient accepted\nC:DATA\nS:354 Go ahead, "
	    "end with CRLF.CRLF\nC:(12 octets of content)\nS:250 2.0.0 Accepted\n";
	size_t cut;

	for (cut = 1; cut < sizeof(in) - 1; cut++) {
		struct conversation *c = conversation_new(0);
		struct smtp_server *s = smtp_server_new(&config, &ops, c);
		struct buf out CLEANUP_BUF = BUF_INIT(1 << 16);

		smtp_server_wrote(s, smtp_server_output(s)->len);
		assert_int_equal(smtp_server_input(s, in, cut), 0);
		smtp_server_wrote(s, smtp_server_output(s)->len);
		assert_int_equal(smtp_server_input(s, in + cut, sizeof(in) - 1 - cut), 0);
		text_of(c, 0, NULL, &out);
		assert_string_equal(buf_str(&out), want);
		(void)smtp_server_free(s);
		(void)conversation_free(c);
	}
}

static void
add(struct conversation *c, enum conversation_speaker who, const char *text)
{
	conversation_add(c, who, 2500, text, strlen(text));
}

static void
test_bounds(void **state)
{
	struct conversation *c = conversation_new(1000);
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);
	char big[3000];
	json_t *lines;
	unsigned i;

	memset(big, 'x', sizeof(big));
	conversation_add(c, CONVERSATION_CLIENT, 1000, big, sizeof(big));
	conversation_add(c, CONVERSATION_CLIENT, 1000, "\xff\x01ok\xc3\xa9", 6);
	add(c, CONVERSATION_NOTE, "tls");
	add(c, CONVERSATION_CLIENT, "mail from:<>");
	lines = conversation_lines(c, 3000, "250 stored");
	assert_int_equal(json_array_size(lines), 5);
	assert_int_equal(json_string_length(json_object_get(json_array_get(lines, 0), "text")),
	    CONVERSATION_LINE_MAX);
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(lines, 1), "text")), "??ok\xc3\xa9");
	assert_true(json_real_value(json_object_get(json_array_get(lines, 3), "at")) == 1.5);
	assert_true(json_real_value(json_object_get(json_array_get(lines, 4), "at")) == 2.0);
	json_decref(lines);
	for (i = 0; i < CONVERSATION_LINES_MAX + 10; i++)
		add(c, CONVERSATION_CLIENT, "RCPT TO:<a@b>");
	text_of(c, 3000, NULL, &out);
	assert_non_null(strstr(buf_str(&out), "-:(11 lines left out)\n"));
	add(c, CONVERSATION_CLIENT, "MAIL FROM:<>");
	text_of(c, 3000, NULL, &out);
	assert_null(strstr(buf_str(&out), "left out"));
	(void)conversation_free(c);
}

static void
test_record(void **state)
{
	struct grant_access a = {.account = "a@b",
	    .client = "frank",
	    .scope = "openid  mail.send",
	    .grant = "authorization_code",
	    .since = 100,
	    .until = 160,
	    .id = "9f86d081"};
	json_t *token = record_token(&a), *none = json_array(), *r, *t;
	struct record_facts f = {.address = "127.0.0.1",
	    .hello = "c",
	    .personality = "standard",
	    .tls_mode = "implicit",
	    .tls_version = "TLSv1.3",
	    .tls_cipher = "X",
	    .mechanism = "XOAUTH2",
	    .account = "a@b",
	    .sender = "",
	    .token = token,
	    .recipients = none,
	    .faults = none,
	    .now = 130};

	r = record_new(&f, json_array());
	assert_non_null(r);
	t = json_object_get(json_object_get(r, "auth"), "token");
	assert_int_equal(json_integer_value(json_object_get(t, "age")), 30);
	assert_int_equal(json_integer_value(json_object_get(t, "expires_in")), 30);
	assert_int_equal(json_array_size(json_object_get(t, "scopes")), 2);
	assert_null(json_object_get(token, "age"));
	json_decref(r);
	f.token = NULL;
	r = record_new(&f, json_array());
	assert_true(json_is_null(json_object_get(json_object_get(r, "auth"), "token")));
	json_decref(r);
	json_decref(token);
	json_decref(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cut_anywhere),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
