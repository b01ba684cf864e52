/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * api.c: see api.h.
 *
 * Errors: {"error": {"code": "ErrorSendAsDenied", "message": ..., "innerError": {...}}} from
 * Microsoft, {"error": {"code": 403, "message": ..., "status": "PERMISSION_DENIED", "errors":
 * [{"reason": ...}], "details": [{"reason": ...}]}} from Google. Whatever names the case is put in
 * front of the message, for the table of verdicts and for people.
 */
#include "broker/https/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "broker/https/document.h"

enum { WORDS_MAX = 1800, MESSAGE_TEXT_MAX = 1200, NAME_MAX_LEN = 100, RETRY_LONGEST = 24 * 3600 };

static const struct api apis[] = {
    {
	.transport = "graph",
	.name = "Microsoft Graph",
	.content_type = "Content-Type: text/plain",
	.id_header = "request-id",
	.base64 = true,
	.message_max = 3 * 1024 * 1024, /* a request of 4 MB */
    },
    {
	.transport = "gmail",
	.name = "the Gmail API",
	.content_type = "Content-Type: message/rfc822",
	.message_max = 36700160,
    },
};

const struct api *
api_by_transport(const char *transport)
{
	for (size_t i = 0; i < ARRAY_SIZE(apis); i++)
		if (strcmp(apis[i].transport, transport) == 0)
			return &apis[i];
	return NULL;
}

int
api_url(const struct api *a, const char *endpoint, const char *mailbox, struct buf *out)
{
	size_t len = strlen(endpoint);
	int r;

	while (len > 0 && endpoint[len - 1] == '/')
		len--;
	r = buf_append(out, endpoint, len);
	if (r < 0)
		return r;
	if (!a->base64)
		return buf_append_str(
		    out, "/upload/gmail/v1/users/me/messages/send?uploadType=media");
	if (mailbox == NULL)
		return buf_append_str(out, "/me/sendMail");
	r = buf_append_str(out, "/users/");
	if (r == 0)
		r = form_encode(out, mailbox, strlen(mailbox));
	return r < 0 ? r : buf_append_str(out, "/sendMail");
}

/* ---- answers ---- */

/* Adds a name of the case, such as "ErrorSendAsDenied", unless it stands there already. */
static void
add_name(struct buf *words, const char *name)
{
	CLEANUP_FREE char *plain = name == NULL ? NULL : document_plain(name, NAME_MAX_LEN);

	if (plain == NULL || *plain == '\0' || strstr(buf_str(words), plain) != NULL)
		return;
	(void)buf_printf(words, "%s%s", words->len > 0 ? " " : "", plain);
}

static void
add_reasons(struct buf *words, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) add_name(words, document_text(item, "reason"));
}

static void
add_message(struct buf *words, const char *message)
{
	CLEANUP_FREE char *plain =
	    message == NULL ? NULL : document_plain(message, MESSAGE_TEXT_MAX);

	if (plain != NULL && *plain != '\0')
		(void)buf_printf(words, "%s%s", words->len > 0 ? ": " : "", plain);
}

/* Google may name the time: "User-rate limit exceeded.  Retry after 2026-11-28T09:00:00.000Z". */
static unsigned
retry_after(const char *words, int64_t now)
{
	static const char mark[] = "Retry after ";
	const char *at = strstr(words, mark);
	struct tm t = {0};
	int64_t wait;

	if (at == NULL || strptime(at + sizeof(mark) - 1, "%Y-%m-%dT%H:%M:%S", &t) == NULL)
		return 0;
	wait = (int64_t)timegm(&t) - now;
	return wait <= 0 ? 0 : wait < RETRY_LONGEST ? (unsigned)wait : RETRY_LONGEST;
}

static int
fill(struct smtp_reply *r, struct buf *words)
{
	r->text = buf_take(words);
	return r->text == NULL ? -ENOMEM : 0;
}

static int
read_accepted(
    const struct api *a, const json_t *document, const char *request_id, struct smtp_reply *ret)
{
	CLEANUP_BUF struct buf words = BUF_INIT(WORDS_MAX);
	CLEANUP_FREE char *id = NULL;
	const char *given = request_id != NULL ? request_id : document_text(document, "id");

	*ret = (struct smtp_reply){.code = 250, .stage = SMTP_STAGE_EOM};
	memcpy(ret->enhanced, "2.0.0", sizeof("2.0.0"));
	id = given == NULL ? NULL : document_plain(given, NAME_MAX_LEN);
	(void)buf_printf(&words, "accepted by %s%s%s%s", a->name, id == NULL ? "" : ", ",
	    id == NULL           ? ""
	    : request_id != NULL ? "request-id "
				 : "id ",
	    id == NULL ? "" : id);
	return fill(ret, &words);
}

static int
read_refused(
    const json_t *error, long status, const char *request_id, int64_t now, struct smtp_reply *ret)
{
	CLEANUP_BUF struct buf words = BUF_INIT(WORDS_MAX);
	CLEANUP_FREE char *id =
	    request_id == NULL ? NULL : document_plain(request_id, NAME_MAX_LEN);

	/* 504: the front end got no answer itself (RFC 9110 section 15.6.5). */
	*ret = (struct smtp_reply){
	    .code = (int)status, .stage = SMTP_STAGE_API, .in_doubt = status == 504};
	add_name(&words, document_text(error, "code"));
	add_name(&words, document_text(json_object_get(error, "innerError"), "code"));
	add_reasons(&words, json_object_get(error, "errors"));
	add_reasons(&words, json_object_get(error, "details"));
	add_name(&words, document_text(error, "status"));
	add_message(&words, document_text(error, "message"));
	if (words.len == 0)
		(void)buf_printf(&words, "HTTP status %ld", status);
	ret->retry_after = retry_after(buf_str(&words), now);
	if (id != NULL && *id != '\0')
		(void)buf_printf(&words, " (request-id %s)", id);
	return fill(ret, &words);
}

/* Not the API's words. What agreed may have passed the message on all the same. */
static int
read_foreign(const struct api *a, long status, const char *instead, struct smtp_reply *ret)
{
	CLEANUP_BUF struct buf words = BUF_INIT(WORDS_MAX);

	*ret = (struct smtp_reply){.stage = SMTP_STAGE_API,
	    .fault = SMTP_FAULT_PROTOCOL,
	    .in_doubt = status >= 200 && status < 300};
	(void)buf_printf(&words, "something else answered %ld in place of %s, with %s", status,
	    a->name, instead);
	return fill(ret, &words);
}

int
api_answer_read(const struct api *a, long status, const char *body, size_t len,
    const char *request_id, int64_t now, struct smtp_reply *ret)
{
	CLEANUP_DOCUMENT json_t *document = NULL;
	const char *instead = NULL;

	document = document_parse(body, len, &instead);
	if (status >= 200 && status < 300) {
		/* Graph's answer is empty; Gmail's names the message. */
		if (document == NULL && !(a->base64 && len == 0))
			return read_foreign(a, status, instead, ret);
		return read_accepted(a, document, request_id, ret);
	}
	if (status < 400 || status == 407)
		return read_foreign(a, status,
		    status == 407 ? "the demand for a login at a proxy" : "a redirect", ret);
	/* What stands before the API (its front end, under load) also answers without JSON. */
	return read_refused(json_object_get(document, "error"), status, request_id, now, ret);
}
