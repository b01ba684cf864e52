/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of what the post role is made of: uploads, envelopes, the APIs' answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "broker/https/api.h"
#include "broker/https/envelope.h"
#include "broker/https/upload.h"

/* ---- uploads ---- */

/* The example of the reference: the two encodings differ at '/' and in the padding. */
static void
test_upload_encodes(void **state)
{
	static const char message[] = "From: user@example.com\r\nTo: rcpt@example.net\r\nSubject: "
				      "hi\r\n\r\nbody\xC3\xBF?>\r\n";
	static const char wanted[] =
	    "RnJvbTogdXNlckBleGFtcGxlLmNvbQ0KVG86IHJjcHRAZXhhbXBsZS5uZXQNClN1YmplY3Q6IGhpDQoNCmJvZH"
	    "nDvz8+DQo=";
	size_t len = sizeof(message) - 1;

	/* Split between its parts at every octet, and read in rooms of every small size. */
	for (size_t split = 0; split <= len; split++) {
		for (size_t room = 4; room < 24; room++) {
			struct upload u = {.parts = {message, message + split},
			    .lens = {split, len - split},
			    .base64 = true};
			char out[256];
			size_t made = 0, n;

			assert_int_equal(upload_left(&u), sizeof(wanted) - 1);
			while ((n = upload_read(&u, out + made, room)) > 0)
				made += n;
			assert_int_equal(made, sizeof(wanted) - 1);
			assert_memory_equal(out, wanted, made);
			assert_int_equal(upload_left(&u), 0);
		}
	}
}

static void
test_upload_as_it_is(void **state)
{
	struct upload u = {.parts = {"Bcc: <a@b>\r\n", "To: c\r\n\r\nx"}, .lens = {12, 11}};
	char out[64];

	assert_int_equal(upload_left(&u), 23);
	assert_int_equal(upload_read(&u, out, 14), 14);
	assert_int_equal(upload_read(&u, out + 14, sizeof(out) - 14), 9);
	assert_memory_equal(out, "Bcc: <a@b>\r\nTo: c\r\n\r\nx", 23);
	assert_int_equal(upload_read(&u, out, sizeof(out)), 0);
}

/* ---- envelopes ---- */

static const struct {
	const char *message;
	const char *recipients[4];
	int result;
	const char *bcc; /* or a part of why */
} envelopes[] = {
    {"To: a@x.example\r\n\r\n", {"a@x.example"}, 0, ""},
    {"To: A@X.Example\r\nCc: \"B, b\" <b@x.example>\r\n\r\n", {"b@x.example", "a@x.example"}, 0,
	""},
    {"To: a@x.example\r\n\r\n", {"a@x.example", "b@x.example"}, 0, "Bcc: <b@x.example>\r\n"},
    {"Subject: none\r\n\r\nTo: z@x.example\r\n", {"a@x.example", "b@x.example"}, 0,
	"Bcc: <a@x.example>,\r\n <b@x.example>\r\n"},
    {"To: undisclosed-recipients:;\r\n\r\n", {"a@x.example"}, 0, "Bcc: <a@x.example>\r\n"},
    {"Bcc: a@x.example\r\n\r\n", {"a@x.example"}, 0, ""},
    {"To: team: a@x.example, b@x.example;\r\n\r\n", {"a@x.example", "b@x.example"}, 0, ""},
    {"To: a@x.example, c@x.example\r\n\r\n", {"a@x.example"}, -EBADMSG, "To names c@x.example"},
    {"Cc: c@x.example\r\n\r\n", {"a@x.example"}, -EBADMSG, "Cc names c@x.example"},
    {"To: a@x.example\r\nTo: d@x.example\r\n\r\n", {"a@x.example"}, -EBADMSG,
	"To names d@x.example"},
    {" To: a@x.example\r\n\r\n", {"a@x.example"}, -EBADMSG, "begins with white space"},
    {"To: a@x.example, \"open\r\n\r\n", {"a@x.example"}, -EBADMSG, "cannot be read"},
    {"Resent-To: z@x.example\r\nReply-To: y@x.example\r\nTo: a@x.example\r\n\r\n", {"a@x.example"},
	0, ""},
};

static void
test_envelopes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(envelopes); i++) {
		CLEANUP_BUF struct buf bcc = BUF_INIT(4096), why = BUF_INIT(4096);
		size_t count = 0, added;

		while (count < 4 && envelopes[i].recipients[count] != NULL)
			count++;
		assert_int_equal(envelope_fit(envelopes[i].message, strlen(envelopes[i].message),
				     envelopes[i].recipients, count, &bcc, &added, &why),
		    envelopes[i].result);
		if (envelopes[i].result == 0)
			assert_string_equal(buf_str(&bcc), envelopes[i].bcc);
		else
			assert_non_null(strstr(buf_str(&why), envelopes[i].bcc));
	}
}

/* ---- the APIs ---- */

static void
test_urls(void **state)
{
	static const struct {
		const char *transport, *endpoint, *mailbox, *url;
	} cases[] = {
	    {"graph", "https://graph.microsoft.com/v1.0", NULL,
		"https://graph.microsoft.com/v1.0/me/sendMail"},
	    {"graph", "https://graph.microsoft.us/v1.0/", "o'neil+x@example.com",
		"https://graph.microsoft.us/v1.0/users/o%27neil%2Bx%40example.com/sendMail"},
	    {"gmail", "https://gmail.googleapis.com", NULL,
		"https://gmail.googleapis.com/upload/gmail/v1/users/me/messages/"
		"send?uploadType=media"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_BUF struct buf url = BUF_INIT(1000);

		assert_int_equal(api_url(api_by_transport(cases[i].transport), cases[i].endpoint,
				     cases[i].mailbox, &url),
		    0);
		assert_string_equal(buf_str(&url), cases[i].url);
	}
	assert_null(api_by_transport("smtp"));
}

static const struct {
	const char *transport;
	long status;
	const char *body;
	int code;
	enum smtp_fault fault;
	const char *text;
	unsigned retry_after;
	bool in_doubt;
} answers[] = {
    {"graph", 202, "", 250, SMTP_FAULT_NONE, "accepted by Microsoft Graph, request-id r-1", 0},
    {"graph", 202, "<html>", 0, SMTP_FAULT_PROTOCOL,
	"something else answered 202 in place of Microsoft Graph, with a web page instead of JSON",
	0, true},
    {"graph", 302, "", 0, SMTP_FAULT_PROTOCOL,
	"something else answered 302 in place of Microsoft Graph, with a redirect", 0},
    {"graph", 407, "<html>", 0, SMTP_FAULT_PROTOCOL,
	"something else answered 407 in place of Microsoft Graph, with the demand for a login at a "
	"proxy",
	0},
    {"graph", 403,
	"{\"error\":{\"code\":\"ErrorSendAsDenied\",\"message\":\"The user account which was used "
	"to "
	"submit this request does not have the right to send mail\\non behalf of the "
	"specified sending account.\",\"innerError\":{\"request-id\":\"x\"}}}",
	403, SMTP_FAULT_NONE,
	"ErrorSendAsDenied: The user account which was used to submit this request does not have "
	"the "
	"right to send mail on behalf of the specified sending account. (request-id r-1)",
	0},
    {"graph", 503, "upstream connect error", 503, SMTP_FAULT_NONE,
	"HTTP status 503 (request-id r-1)", 0},
    {"gmail", 200, "{\"id\":\"18f\",\"threadId\":\"18f\",\"labelIds\":[\"SENT\"]}", 250,
	SMTP_FAULT_NONE, "accepted by the Gmail API, id 18f", 0},
    {"gmail", 200, "", 0, SMTP_FAULT_PROTOCOL,
	"something else answered 200 in place of the Gmail API, with an empty body", 0, true},
    {"graph", 503, "", 503, SMTP_FAULT_NONE, "HTTP status 503 (request-id r-1)", 0},
    {"graph", 504, "", 504, SMTP_FAULT_NONE, "HTTP status 504 (request-id r-1)", 0, true},
    {"gmail", 403,
	"{\"error\":{\"code\":403,\"message\":\"Gmail API has not been used in project 1 "
	"before or it is disabled.\",\"errors\":[{\"domain\":\"usageLimits\",\"reason\":"
	"\"accessNotConfigured\",\"message\":\"x\"}],\"status\":\"PERMISSION_DENIED\",\"details\":["
	"{\"reason\":\"SERVICE_DISABLED\"}]}}",
	403, SMTP_FAULT_NONE,
	"accessNotConfigured SERVICE_DISABLED PERMISSION_DENIED: Gmail API has not been used in "
	"project 1 before or it is disabled.",
	0},
    {"gmail", 429,
	"{\"error\":{\"code\":429,\"message\":\"User-rate limit exceeded.  Retry after "
	"2026-11-28T09:00:30.000Z\",\"errors\":[{\"reason\":\"rateLimitExceeded\"}],\"status\":"
	"\"RESOURCE_EXHAUSTED\"}}",
	429, SMTP_FAULT_NONE,
	"rateLimitExceeded RESOURCE_EXHAUSTED: User-rate limit exceeded. Retry after "
	"2026-11-28T09:00:30.000Z",
	30},
    {"gmail", 418, "{\"error\":[1,2]}", 418, SMTP_FAULT_NONE, "HTTP status 418", 0},
};

static void
test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		const struct api *api = api_by_transport(answers[i].transport);
		struct smtp_reply r = {0};

		assert_int_equal(api_answer_read(api, answers[i].status, answers[i].body,
				     strlen(answers[i].body), api->id_header == NULL ? NULL : "r-1",
				     1795856400, &r),
		    0);
		assert_int_equal(r.code, answers[i].code);
		assert_int_equal(r.fault, answers[i].fault);
		assert_string_equal(r.text, answers[i].text);
		assert_int_equal(r.retry_after, answers[i].retry_after);
		assert_int_equal(r.in_doubt, answers[i].in_doubt);
		assert_int_equal(r.stage, r.code == 250 ? SMTP_STAGE_EOM : SMTP_STAGE_API);
		smtp_reply_clear(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_upload_encodes),
	    cmocka_unit_test(test_upload_as_it_is),
	    cmocka_unit_test(test_envelopes),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests_name("https/post-parts", tests, NULL, NULL);
}
