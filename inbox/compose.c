/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
#include "inbox/compose.h"

#include <gmime/gmime.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/codec.h"

enum { RECIPIENTS_MAX = 1000, ATTACHMENTS_MAX = 100, ATTACHMENT_MAX = 48 * 1024 * 1024 };

struct composer {
	GMimeMessage *message;
	json_t *recipients;
	char *why;
};

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

static bool
has_line_end(const char *text)
{
	return strpbrk(text, "\r\n") != NULL;
}

static bool
add_mailbox(struct composer *c, GMimeAddressType type, const char *field, const char *name,
    const char *email, bool recipient)
{
	if (!address_is_valid(email, strlen(email), true) || has_line_end(name) ||
	    (recipient && json_array_size(c->recipients) >= RECIPIENTS_MAX)) {
		(void)snprintf(c->why, 256, "invalid %s address: %.200s", field, email);
		return false;
	}
	g_mime_message_add_mailbox(c->message, type, name[0] == '\0' ? NULL : name, email);
	if (recipient)
		(void)json_array_append_new(c->recipients, json_string(email));
	return true;
}

/* A field of the request that is a list of {Email, Name}, or of addresses. */
static bool
add_list(struct composer *c, const json_t *mail, GMimeAddressType type, const char *field,
    bool recipient)
{
	const json_t *one;
	size_t n;

	json_array_foreach(json_object_get(mail, field), n, one)
	{
		const char *email =
		    json_is_string(one) ? json_string_value(one) : text_of(one, "Email");

		if (!add_mailbox(c, type, field, text_of(one, "Name"), email, recipient))
			return false;
	}
	return true;
}

static bool
add_addresses(struct composer *c, const json_t *mail)
{
	const json_t *from = json_object_get(mail, "From");

	if (!add_mailbox(c, GMIME_ADDRESS_TYPE_FROM, "From", text_of(from, "Name"),
		text_of(from, "Email"), false) ||
	    !add_list(c, mail, GMIME_ADDRESS_TYPE_TO, "To", true) ||
	    !add_list(c, mail, GMIME_ADDRESS_TYPE_CC, "Cc", true) ||
	    !add_list(c, mail, GMIME_ADDRESS_TYPE_BCC, "Bcc", true) ||
	    !add_list(c, mail, GMIME_ADDRESS_TYPE_REPLY_TO, "ReplyTo", false))
		return false;
	if (json_array_size(c->recipients) > 0)
		return true;
	(void)snprintf(c->why, 256, "no recipient: To, Cc or Bcc is needed");
	return false;
}

static bool
is_restricted(const char *name)
{
	static const char *const names[] = {"To", "From", "Cc", "Bcc", "Reply-To", "Date",
	    "Subject", "Content-Type", "Mime-Version", "X-Tags"};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(names); n++)
		if (strcasecmp(name, names[n]) == 0)
			return true;
	return false;
}

static bool
add_fields(struct composer *c, json_t *mail)
{
	struct buf tags CLEANUP_BUF = BUF_INIT(4096);
	const char *name;
	json_t *value;
	size_t n;

	json_object_foreach(json_object_get(mail, "Headers"), name, value)
	{
		const char *text = json_string_value(value);

		if (text == NULL || has_line_end(text) || name[0] == '\0' ||
		    strpbrk(name, ": \t\r\n") != NULL || is_restricted(name)) {
			(void)snprintf(c->why, 256, "cannot set header: \"%.100s\"", name);
			return false;
		}
		g_mime_object_set_header(GMIME_OBJECT(c->message), name, text, "utf-8");
	}
	json_array_foreach(json_object_get(mail, "Tags"), n,
	    value) if (json_is_string(value) && !has_line_end(json_string_value(value)))(void)
	    buf_printf(&tags, "%s%s", n > 0 ? ", " : "", json_string_value(value));
	if (tags.len > 0)
		g_mime_object_set_header(
		    GMIME_OBJECT(c->message), "X-Tags", buf_str(&tags), "utf-8");
	return true;
}

static GMimeObject *
text_part(const char *subtype, const char *text)
{
	GMimeTextPart *part = g_mime_text_part_new_with_subtype(subtype);

	g_mime_text_part_set_charset(part, "utf-8");
	g_mime_text_part_set_text(part, text);
	g_mime_part_set_content_encoding(
	    GMIME_PART(part), g_mime_part_get_best_content_encoding(
				  GMIME_PART(part), GMIME_ENCODING_CONSTRAINT_7BIT));
	return GMIME_OBJECT(part);
}

/* Text, HTML, or both as alternatives. */
static GMimeObject *
body(const json_t *mail)
{
	const char *text = text_of(mail, "Text"), *html = text_of(mail, "HTML");
	GMimeObject *plain, *rich;
	GMimeMultipart *both;

	if (html[0] == '\0')
		return text_part("plain", text);
	rich = text_part("html", html);
	if (text[0] == '\0')
		return rich;
	plain = text_part("plain", text);
	both = g_mime_multipart_new_with_subtype("alternative");
	g_mime_multipart_add(both, plain);
	g_mime_multipart_add(both, rich);
	g_object_unref(plain);
	g_object_unref(rich);
	return GMIME_OBJECT(both);
}

/* Content may be a data: address, as browsers make them. */
static GMimeStream *
content(const char *text)
{
	const char *comma = strrchr(text, ',');
	struct buf bytes CLEANUP_BUF = BUF_INIT(ATTACHMENT_MAX);

	if (comma != NULL)
		text = comma + 1;
	if (base64_decode(&bytes, text, strlen(text)) < 0)
		return NULL;
	return g_mime_stream_mem_new_with_buffer(buf_str(&bytes), bytes.len);
}

static GMimeObject *
attachment(const json_t *a, char *why)
{
	const char *name = text_of(a, "Filename"), *type = text_of(a, "ContentType"),
		   *cid = text_of(a, "ContentID");
	GMimeStream *stream = content(text_of(a, "Content"));
	GMimeContentType *parsed;
	GMimeDataWrapper *wrapper;
	GMimePart *part;

	if (stream == NULL || has_line_end(name) || has_line_end(type) || has_line_end(cid)) {
		(void)snprintf(why, 256, "error decoding base64 attachment \"%.100s\"", name);
		if (stream != NULL)
			g_object_unref(stream);
		return NULL;
	}
	parsed =
	    g_mime_content_type_parse(NULL, type[0] == '\0' ? "application/octet-stream" : type);
	part = g_mime_part_new();
	g_mime_object_set_content_type(GMIME_OBJECT(part), parsed);
	wrapper = g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);
	g_mime_part_set_content(part, wrapper);
	g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
	g_mime_object_set_disposition(GMIME_OBJECT(part), cid[0] == '\0' ? "attachment" : "inline");
	if (name[0] != '\0')
		g_mime_part_set_filename(part, name);
	if (cid[0] != '\0')
		g_mime_part_set_content_id(part, cid);
	g_object_unref(wrapper);
	g_object_unref(parsed);
	g_object_unref(stream);
	return GMIME_OBJECT(part);
}

static bool
add_content(struct composer *c, const json_t *mail)
{
	const json_t *list = json_object_get(mail, "Attachments"), *a;
	GMimeObject *top = body(mail);
	size_t n;
	bool ok = json_array_size(list) <= ATTACHMENTS_MAX;

	if (json_array_size(list) > 0 && ok) {
		GMimeMultipart *mixed = g_mime_multipart_new_with_subtype("mixed");

		g_mime_multipart_add(mixed, top);
		g_object_unref(top);
		top = GMIME_OBJECT(mixed);
		json_array_foreach(list, n, a)
		{
			GMimeObject *part = ok ? attachment(a, c->why) : NULL;

			ok = part != NULL;
			if (ok) {
				g_mime_multipart_add(mixed, part);
				g_object_unref(part);
			}
		}
	}
	g_mime_message_set_mime_part(c->message, top);
	g_object_unref(top);
	return ok;
}

char *
compose_message(const json_t *mail, json_t **ret_recipients, char why[256])
{
	struct composer c = {.why = why};
	GDateTime *now;
	char *text = NULL, *id;

	g_mime_init();
	(void)snprintf(why, 256, "a JSON object with From and To is wanted");
	*ret_recipients = NULL;
	if (!json_is_object(mail) || has_line_end(text_of(mail, "Subject")))
		return NULL;
	c.message = g_mime_message_new(TRUE);
	c.recipients = json_array();
	now = g_date_time_new_now_local();
	id = g_mime_utils_generate_message_id("frank-sandbox.invalid");
	g_mime_message_set_date(c.message, now);
	g_mime_message_set_message_id(c.message, id);
	g_mime_message_set_subject(c.message, text_of(mail, "Subject"), "utf-8");
	if (add_addresses(&c, mail) && add_fields(&c, (json_t *)mail) && add_content(&c, mail))
		text = g_mime_object_to_string(GMIME_OBJECT(c.message), NULL);
	g_free(id);
	g_date_time_unref(now);
	g_object_unref(c.message);
	if (text != NULL)
		*ret_recipients = c.recipients;
	else
		json_decref(c.recipients);
	return text;
}
