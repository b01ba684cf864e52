/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message.c: see message.h.
 *
 * GMime has no bounds of its own, so what would cost much is cut off before it sees the message (bounded_length).
 * Which part is text, inline or an attachment follows enmime, the reader of Mailpit, and so do the numbers of parts.
 * The header's fields are read by base/header.h: GMime keeps those of the first part apart.
 */
#include "inbox/message.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/header.h"
#include "inbox/html.h"

enum { PART_ID_SIZE = INBOX_DEPTH_MAX * 5 };

struct mime_part {
	char id[PART_ID_SIZE];
	char *name, *type, *cid;
	bool attachment;
	GMimeObject *object; /* borrowed from the message */
};

struct inbox_message {
	char *raw;
	size_t len;
	GMimeMessage *message; /* NULL: GMime found none */
	char *subject, *id, *text, *html;
	size_t html_len;
	bool has_text; /* a plain part was seen */
	struct mime_part *parts;
	size_t part_count;
	size_t attachments, inlines; /* as Mailpit's summary counts: with a name or not */
	size_t seen;                 /* parts looked at */
};

/* How much of the message is read: see message.h. */
static size_t
bounded_length(const char *bytes, size_t len)
{
	size_t at = 0, header = 0, boundaries = 0;
	bool in_header = true;

	while (at < len) {
		const char *end = memchr(bytes + at, '\n', len - at);
		size_t n = end == NULL ? len - at : (size_t)(end - bytes) + 1 - at;
		bool blank = n == 1 || (n == 2 && bytes[at] == '\r');

		if (n >= 2 && bytes[at] == '-' && bytes[at + 1] == '-') {
			in_header = true;
			if (++boundaries > INBOX_BOUNDARIES_MAX)
				return at;
		} else if (in_header && blank) {
			in_header = false;
		} else if (in_header) {
			header += n;
			if (header > INBOX_HEADER_MAX)
				return at;
		}
		at += n;
	}
	return len;
}

/* Valid UTF-8 of at most INBOX_BODY_MAX octets, LF line ends. Takes `bytes`, returns what the caller frees by g_free. */
static char *
tidy(GByteArray *bytes)
{
	size_t i, n = 0;
	char *text, *valid;

	if (bytes->len > INBOX_BODY_MAX)
		g_byte_array_set_size(bytes, INBOX_BODY_MAX);
	for (i = 0; i < bytes->len; i++)
		if (bytes->data[i] != '\r' || i + 1 == bytes->len || bytes->data[i + 1] != '\n')
			bytes->data[n++] = bytes->data[i];
	text = (char *)g_byte_array_free(bytes, FALSE);
	valid = g_utf8_make_valid(text == NULL ? "" : text, (gssize)n);
	g_free(text);
	return valid;
}

/* A part's content without its transfer encoding, in `charset` turned to UTF-8 where that is not NULL. */
static GByteArray *
decode(GMimeObject *object, const char *charset)
{
	GByteArray *bytes = g_byte_array_new();
	GMimeStream *memory = g_mime_stream_mem_new(), *out;

	g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(memory), bytes);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(memory), FALSE);
	out = g_mime_stream_filter_new(memory);
	if (charset != NULL) {
		GMimeFilter *filter = g_mime_filter_charset_new(charset, "utf-8");

		if (filter != NULL) {
			(void)g_mime_stream_filter_add(GMIME_STREAM_FILTER(out), filter);
			g_object_unref(filter);
		}
	}
	if (GMIME_IS_PART(object)) {
		GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(object));

		if (content != NULL)
			(void)g_mime_data_wrapper_write_to_stream(content, out);
	} else if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

		if (inner != NULL)
			(void)g_mime_object_write_to_stream(GMIME_OBJECT(inner), NULL, out);
	}
	(void)g_mime_stream_flush(out);
	g_object_unref(out);
	g_object_unref(memory);
	return bytes;
}

static char *
part_text(GMimeObject *object)
{
	const char *charset = g_mime_object_get_content_type_parameter(object, "charset");
	GByteArray *bytes;

	if (charset != NULL && g_ascii_strcasecmp(charset, "utf-8") == 0)
		return tidy(decode(object, NULL));
	if (charset != NULL && g_ascii_strcasecmp(charset, "us-ascii") != 0)
		return tidy(decode(object, charset));
	bytes = decode(object, NULL);
	/* nothing is said, and it is not UTF-8: what most such mail was written in */
	if (!g_utf8_validate((const char *)bytes->data, bytes->len, NULL) &&
	    memchr(bytes->data, '\0', bytes->len) == NULL) {
		g_byte_array_free(bytes, TRUE);
		bytes = decode(object, "windows-1252");
	}
	return tidy(bytes);
}

static char *
valid_copy(const char *text)
{
	return text == NULL ? g_strdup("") : g_utf8_make_valid(text, -1);
}

/* A file's name without anything that a path could be made of. */
static char *
file_name(GMimeObject *object)
{
	const char *name = NULL;
	char *valid, *at;

	if (GMIME_IS_PART(object))
		name = g_mime_part_get_filename(GMIME_PART(object));
	if (name == NULL)
		name = g_mime_object_get_content_disposition_parameter(object, "filename");
	if (name == NULL || name[0] == '\0') /* as Mailpit */
		name = g_mime_object_get_content_id(object);
	valid = valid_copy(name);
	for (at = valid; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == '/' || *at == '\\' || *at == 0x7f)
			*at = '_';
	return valid;
}

static char *
mime_type(GMimeContentType *type)
{
	char *text = g_mime_content_type_get_mime_type(type), *valid = valid_copy(text);

	g_free(text);
	return valid;
}

static bool
is_multipart_alternative(GMimeObject *object)
{
	GMimeContentType *type = g_mime_object_get_content_type(object);

	return type != NULL && g_mime_content_type_is_type(type, "multipart", "alternative");
}

/* Text for people: the plain parts one after the other, and the first that is HTML. */
static bool
take_text(struct inbox_message *m, GMimeObject *object, GMimeContentType *type)
{
	char *text;

	if (g_mime_content_type_is_type(type, "text", "html")) {
		if (m->html == NULL)
			m->html = part_text(object);
		return true;
	}
	if (!g_mime_content_type_is_type(type, "text", "plain"))
		return false;
	if (m->text != NULL && is_multipart_alternative(g_mime_message_get_mime_part(m->message)))
		return true;
	text = part_text(object);
	m->has_text = true;
	if (m->text != NULL && strlen(m->text) + strlen(text) < INBOX_BODY_MAX) {
		char *both = g_strconcat(m->text, "\n--\n", text, NULL);

		g_free(m->text);
		g_free(text);
		m->text = both;
	} else if (m->text != NULL) {
		g_free(text);
	} else {
		m->text = text;
	}
	return true;
}

static void
take_leaf(struct inbox_message *m, GMimeObject *object, const char *id)
{
	GMimeContentType *type = g_mime_object_get_content_type(object);
	GMimeContentDisposition *disposition = g_mime_object_get_content_disposition(object);
	const char *word =
	    disposition == NULL ? "" : g_mime_content_disposition_get_disposition(disposition);
	struct mime_part p = {.object = object};
	bool attached = g_ascii_strcasecmp(word, "attachment") == 0 ||
			g_mime_content_type_is_type(type, "application", "octet-stream");

	if (!attached && take_text(m, object, type) && g_ascii_strcasecmp(word, "inline") != 0)
		return;
	if (attached)
		m->attachments++;
	else
		m->inlines++;
	p.name = file_name(object);
	p.cid = valid_copy(g_mime_object_get_content_id(object));
	p.type = mime_type(type);
	p.attachment = attached;
	if (p.name[0] == '\0' && p.cid[0] == '\0' && !attached) {
		g_free(p.name);
		g_free(p.cid);
		g_free(p.type);
		return;
	}
	(void)g_strlcpy(p.id, id, sizeof(p.id));
	m->parts = g_renew(struct mime_part, m->parts, m->part_count + 1);
	m->parts[m->part_count++] = p;
}

static void
walk(struct inbox_message *m, GMimeObject *object, const char *id, unsigned depth)
{
	int i, count;

	if (object == NULL || depth > INBOX_DEPTH_MAX || ++m->seen > INBOX_PARTS_MAX)
		return;
	if (!GMIME_IS_MULTIPART(object)) {
		take_leaf(m, object, id);
		return;
	}
	count = g_mime_multipart_get_count(GMIME_MULTIPART(object));
	for (i = 0; i < count && m->seen < INBOX_PARTS_MAX; i++) {
		char below[PART_ID_SIZE];

		if (strcmp(id, "0") == 0)
			(void)g_snprintf(below, sizeof(below), "%d", i + 1);
		else
			(void)g_snprintf(below, sizeof(below), "%s.%d", id, i + 1);
		walk(m, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), below, depth + 1);
	}
}

static void
strip_angles(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (text[len - 1] == '>' || text[len - 1] == ' '))
		text[--len] = '\0';
	memmove(text, text + strspn(text, " <"), len + 1 - strspn(text, " <"));
}

/* How far the header is looked for. */
static size_t
header_bound(const struct inbox_message *m)
{
	return m->len < INBOX_HEADER_MAX ? m->len : INBOX_HEADER_MAX;
}

/* A field's value on one line, valid UTF-8. g_free it. */
static char *
unfolded(const struct header_field *f)
{
	GString *value = g_string_sized_new(f->value_len);
	char *valid;
	size_t i;

	for (i = 0; i < f->value_len; i++) {
		char c = f->value[i];

		if (c == '\r' || c == '\n') {
			while (i + 1 < f->value_len && strchr("\r\n \t", f->value[i + 1]) != NULL &&
			       f->value[i + 1] != '\0')
				i++;
			c = ' ';
		}
		if (value->len > 0 || (c != ' ' && c != '\t'))
			g_string_append_c(value, c);
	}
	while (value->len > 0 && strchr(" \t", value->str[value->len - 1]) != NULL)
		g_string_truncate(value, value->len - 1);
	valid = g_utf8_make_valid(value->str, (gssize)value->len);
	(void)g_string_free(value, TRUE);
	return valid;
}

/* The first field of this name, unfolded and not decoded; "" where there is none. g_free it. */
static char *
field(const struct inbox_message *m, const char *name)
{
	struct header_field f;
	size_t at = 0, bound = header_bound(m);

	(void)header_skip_envelope(m->raw, bound, true, &at);
	while (header_next(m->raw, bound, true, &at, &f) > 0)
		if (header_is(&f, name))
			return unfolded(&f);
	return g_strdup("");
}

/* Text from the HTML where there is no plain part. */
static void
text_from_html(struct inbox_message *m)
{
	struct buf text CLEANUP_BUF = BUF_INIT(INBOX_BODY_MAX);

	if (m->has_text || m->html == NULL)
		return;
	(void)html_to_text(&text, m->html, strlen(m->html));
	g_free(m->text);
	m->text = valid_copy(buf_str(&text));
}

static void
parse(struct inbox_message *m)
{
	GMimeStream *stream = g_mime_stream_mem_new();
	GByteArray bytes = {(guint8 *)m->raw, (guint)bounded_length(m->raw, m->len)};
	GMimeParser *parser;
	char *value;

	g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), &bytes);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
	parser = g_mime_parser_new_with_stream(stream);
	/* contents are copied, so that nothing refers to `bytes` afterwards */
	g_mime_parser_set_persist_stream(parser, FALSE);
	m->message = g_mime_parser_construct_message(parser, NULL);
	g_object_unref(parser);
	g_object_unref(stream);
	if (m->message != NULL)
		walk(m, g_mime_message_get_mime_part(m->message), "0", 0);
	value = field(m, "Subject");
	m->subject = g_mime_utils_header_decode_text(NULL, value);
	g_free(value);
	value = valid_copy(m->subject);
	g_free(m->subject);
	m->subject = value;
	value = field(m, "Message-ID");
	m->id = valid_copy(value);
	g_free(value);
	strip_angles(m->id);
	text_from_html(m);
	if (m->text == NULL)
		m->text = g_strdup("");
	if (m->html == NULL)
		m->html = g_strdup("");
}

/* Takes `raw`. */
static struct inbox_message *
from_bytes(char *raw, size_t len)
{
	static bool ready;
	struct inbox_message *m = g_new0(struct inbox_message, 1);

	if (!ready)
		g_mime_init();
	ready = true;
	m->raw = raw;
	m->len = len;
	parse(m);
	return m;
}

struct inbox_message *
inbox_message_read(int fd, int *ret_error)
{
	struct stat st;
	char *raw;
	size_t len = 0;
	ssize_t n = 1;

	if (fstat(fd, &st) < 0) {
		*ret_error = -errno;
		return NULL;
	}
	*ret_error = -EFBIG;
	if (st.st_size < 0 || st.st_size > INBOX_MESSAGE_MAX)
		return NULL;
	*ret_error = -ENOMEM;
	raw = g_try_malloc((size_t)st.st_size + 1);
	if (raw == NULL)
		return NULL;
	while (n > 0 && len < (size_t)st.st_size) {
		n = pread(fd, raw + len, (size_t)st.st_size - len, (off_t)len);
		if (n > 0)
			len += (size_t)n;
	}
	if (n < 0) {
		*ret_error = -errno;
		g_free(raw);
		return NULL;
	}
	raw[len] = '\0';
	return from_bytes(raw, len);
}

struct inbox_message *
inbox_message_free(struct inbox_message *m)
{
	size_t i;

	if (m == NULL)
		return NULL;
	for (i = 0; i < m->part_count; i++) {
		g_free(m->parts[i].name);
		g_free(m->parts[i].type);
		g_free(m->parts[i].cid);
	}
	g_free(m->parts);
	g_free(m->subject);
	g_free(m->id);
	g_free(m->text);
	g_free(m->html);
	g_free(m->raw);
	if (m->message != NULL)
		g_object_unref(m->message);
	g_free(m);
	return NULL;
}

const char *
inbox_message_raw(const struct inbox_message *m, size_t *ret_len)
{
	*ret_len = m->len;
	return m->raw;
}

const char *
inbox_message_text(const struct inbox_message *m)
{
	return m->text;
}

const char *
inbox_message_html(const struct inbox_message *m)
{
	return m->html;
}

/* ---- addresses ---- */

static void
append_address(json_t *list, InternetAddress *a)
{
	char *name = valid_copy(internet_address_get_name(a));
	char *addr = valid_copy(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a)));

	(void)json_array_append_new(list, json_pack("{s:s, s:s}", "Name", name, "Address", addr));
	g_free(name);
	g_free(addr);
}

static void
append_addresses(json_t *list, InternetAddressList *from, unsigned depth)
{
	int i, count = from == NULL ? 0 : internet_address_list_length(from);

	for (i = 0; i < count && json_array_size(list) < INBOX_ADDRESSES_MAX; i++) {
		InternetAddress *a = internet_address_list_get_address(from, i);

		if (INTERNET_ADDRESS_IS_MAILBOX(a))
			append_address(list, a);
		else if (INTERNET_ADDRESS_IS_GROUP(a) && depth < INBOX_DEPTH_MAX)
			append_addresses(list,
			    internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)),
			    depth + 1);
	}
}

json_t *
inbox_message_addresses(const struct inbox_message *m, const char *name)
{
	char *value = field(m, name);
	InternetAddressList *parsed = internet_address_list_parse(NULL, value);
	json_t *list = json_array();

	if (list != NULL)
		append_addresses(list, parsed, 0);
	if (parsed != NULL)
		g_object_unref(parsed);
	g_free(value);
	return list;
}

/* The first sender; a From that is no address is shown as a name. */
static json_t *
from_address(const struct inbox_message *m)
{
	json_t *list = inbox_message_addresses(m, "From");
	json_t *first = json_incref(json_array_get(list, 0));

	json_decref(list);
	if (first == NULL) {
		char *value = field(m, "From");
		char *decoded = g_mime_utils_header_decode_phrase(NULL, value);
		char *name = valid_copy(decoded);

		first = json_pack("{s:s, s:s}", "Name", name, "Address", "");
		g_free(name);
		g_free(decoded);
		g_free(value);
	}
	return first;
}

/* ---- JSON ---- */

static json_t *
snippet(const struct inbox_message *m)
{
	const char *text = m->text, *at;
	struct buf out CLEANUP_BUF = BUF_INIT(INBOX_SNIPPET_MAX + 8);
	struct buf html CLEANUP_BUF = BUF_INIT(INBOX_BODY_MAX);

	if (m->html[0] != '\0' && m->has_text) {
		(void)html_to_text(&html, m->html, strlen(m->html));
		if (html.len > 0 && g_utf8_validate(html.data, (gssize)html.len, NULL))
			text = buf_str(&html);
	}
	for (at = text; *at != '\0' && out.len <= INBOX_SNIPPET_MAX; at = g_utf8_next_char(at)) {
		if (g_unichar_isspace(g_utf8_get_char(at)) || g_utf8_get_char(at) == 0xfeff) {
			if (out.len > 0 && out.data[out.len - 1] != ' ')
				(void)buf_append_char(&out, ' ');
		} else {
			(void)buf_append(&out, at, (size_t)(g_utf8_next_char(at) - at));
		}
	}
	if (out.len > INBOX_SNIPPET_MAX) {
		size_t len = INBOX_SNIPPET_MAX;

		while (len > 0 && ((unsigned char)out.data[len] & 0xc0) == 0x80)
			len--;
		out.len = len;
		(void)buf_append(&out, "...", 3);
	} else if (out.len > 0 && out.data[out.len - 1] == ' ') {
		out.len--;
	}
	return json_stringn(buf_str(&out), out.len);
}

json_t *
inbox_message_summary(const struct inbox_message *m)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:o}", "MessageID",
	    m->id, "From", from_address(m), "To", inbox_message_addresses(m, "To"), "Cc",
	    inbox_message_addresses(m, "Cc"), "Bcc", inbox_message_addresses(m, "Bcc"), "ReplyTo",
	    inbox_message_addresses(m, "Reply-To"), "Subject", m->subject, "Size",
	    (json_int_t)m->len, "Attachments", (json_int_t)m->attachments, "Inline",
	    (json_int_t)m->inlines, "Snippet", snippet(m));
}

static json_t *
checksum(GChecksumType type, const GByteArray *bytes)
{
	char *hex = g_compute_checksum_for_data(type, bytes->data, bytes->len);
	json_t *value = json_string(hex == NULL ? "" : hex);

	g_free(hex);
	return value;
}

static json_t *
part_json(const struct mime_part *p)
{
	GByteArray *bytes = decode(p->object, NULL);
	json_t *value = json_pack("{s:s, s:s, s:s, s:s, s:I, s:{s:o, s:o, s:o}}", "PartID", p->id,
	    "FileName", p->name, "ContentType", p->type, "ContentID", p->cid, "Size",
	    (json_int_t)bytes->len, "Checksums", "MD5", checksum(G_CHECKSUM_MD5, bytes), "SHA1",
	    checksum(G_CHECKSUM_SHA1, bytes), "SHA256", checksum(G_CHECKSUM_SHA256, bytes));

	g_byte_array_free(bytes, TRUE);
	return value;
}

static json_t *
parts_json(const struct inbox_message *m, bool attachments)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < m->part_count; i++)
		if (m->parts[i].attachment == attachments)
			(void)json_array_append_new(list, part_json(&m->parts[i]));
	return list;
}

/* RFC 3339, as Go writes it. NULL: the message has no date. */
static json_t *
date_json(const struct inbox_message *m)
{
	char *value = field(m, "Date");
	GDateTime *date = value[0] == '\0' ? NULL : g_mime_utils_header_decode_date(value);
	json_t *json = NULL;

	g_free(value);
	if (date == NULL)
		return NULL;
	value = g_date_time_format(date,
	    g_date_time_get_utc_offset(date) == 0 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%S%:z");
	if (value != NULL)
		json = json_string(value);
	g_free(value);
	g_date_time_unref(date);
	return json;
}

/* The addresses between <> of List-Unsubscribe, and what is wrong with it (RFC 2369 section 2, RFC 8058). */
static json_t *
unsubscribe_json(const struct inbox_message *m)
{
	char *value = field(m, "List-Unsubscribe"), *post = field(m, "List-Unsubscribe-Post");
	char *header = valid_copy(value), *header_post = valid_copy(post);
	json_t *links = json_array(), *json;
	const char *at = header, *error = "";

	while ((at = strchr(at, '<')) != NULL) {
		const char *end = strchr(++at, '>');

		if (end == NULL || json_array_size(links) >= INBOX_ADDRESSES_MAX)
			break;
		if (g_ascii_strncasecmp(at, "mailto:", 7) == 0 ||
		    g_ascii_strncasecmp(at, "https://", 8) == 0 ||
		    g_ascii_strncasecmp(at, "http://", 7) == 0)
			(void)json_array_append_new(links, json_stringn(at, (size_t)(end - at)));
		else
			error = "a link should start with http://, https:// or mailto:";
		at = end;
	}
	if (header[0] != '\0' && json_array_size(links) == 0 && error[0] == '\0')
		error = "no valid unsubscribe links found";
	else if (json_array_size(links) > 2)
		error = "should include a maximum of one email and one HTTP link";
	json = json_pack("{s:s, s:o, s:s, s:s}", "Header", header, "Links", links, "Errors", error,
	    "HeaderPost", header_post);
	g_free(value);
	g_free(post);
	g_free(header);
	g_free(header_post);
	return json;
}

json_t *
inbox_message_details(const struct inbox_message *m)
{
	json_t *from = from_address(m), *json, *date = date_json(m);
	char *path = field(m, "Return-Path");
	char *return_path = valid_copy(path);

	strip_angles(return_path);
	json = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:s, s:I, s:o, s:o}",
	    "MessageID", m->id, "ReturnPath",
	    path[0] == '\0' ? json_string_value(json_object_get(from, "Address")) : return_path,
	    "To", inbox_message_addresses(m, "To"), "Cc", inbox_message_addresses(m, "Cc"), "Bcc",
	    inbox_message_addresses(m, "Bcc"), "ReplyTo", inbox_message_addresses(m, "Reply-To"),
	    "Subject", m->subject, "ListUnsubscribe", unsubscribe_json(m), "Text", m->text, "HTML",
	    m->html, "Size", (json_int_t)m->len, "Inline", parts_json(m, false), "Attachments",
	    parts_json(m, true));
	g_free(path);
	g_free(return_path);
	(void)json_object_set_new(json, "From", from);
	if (date != NULL)
		(void)json_object_set_new(json, "Date", date);
	return json;
}

/* "x-mailer" as Go spells it: "X-Mailer". */
static void
canonical(char *name)
{
	bool start = true;

	for (; *name != '\0'; name++) {
		*name = start ? g_ascii_toupper(*name) : g_ascii_tolower(*name);
		start = *name == '-';
	}
}

json_t *
inbox_message_headers(const struct inbox_message *m)
{
	struct header_field f;
	size_t at = 0, bound = header_bound(m);
	json_t *headers = json_object();

	(void)header_skip_envelope(m->raw, bound, true, &at);
	while (headers != NULL && header_next(m->raw, bound, true, &at, &f) > 0) {
		char *name = g_strndup(f.name, f.name_len), *value = unfolded(&f);
		json_t *list;

		canonical(name);
		list = json_object_get(headers, name);
		if (list == NULL) {
			list = json_array();
			(void)json_object_set_new(headers, name, list);
		}
		(void)json_array_append_new(list, json_string(value));
		g_free(name);
		g_free(value);
	}
	return headers;
}

char *
inbox_message_header_text(const struct inbox_message *m)
{
	struct header_field f;
	size_t at = 0, bound = header_bound(m);
	struct buf out CLEANUP_BUF = BUF_INIT(4 * INBOX_HEADER_MAX);

	(void)header_skip_envelope(m->raw, bound, true, &at);
	while (header_next(m->raw, bound, true, &at, &f) > 0) {
		char *value = unfolded(&f);
		char *decoded = g_mime_utils_header_decode_text(NULL, value);
		char *valid = valid_copy(decoded);

		(void)buf_append(&out, f.name, f.name_len);
		(void)buf_printf(&out, ": %s\n", valid);
		g_free(valid);
		g_free(decoded);
		g_free(value);
	}
	return out.data == NULL ? g_strdup("") : buf_take(&out);
}

/* ---- parts ---- */

static void
describe(const struct mime_part *p, struct inbox_part *ret)
{
	*ret = (struct inbox_part){.id = p->id,
	    .name = p->name,
	    .type = p->type,
	    .cid = p->cid,
	    .attachment = p->attachment};
}

bool
inbox_message_part(const struct inbox_message *m, size_t n, struct inbox_part *ret)
{
	if (n >= m->part_count)
		return false;
	describe(&m->parts[n], ret);
	return true;
}

static const struct mime_part *
find(const struct inbox_message *m, const char *id)
{
	size_t i;

	for (i = 0; i < m->part_count; i++)
		if (strcmp(m->parts[i].id, id) == 0)
			return &m->parts[i];
	return NULL;
}

bool
inbox_message_part_find(const struct inbox_message *m, const char *id, struct inbox_part *ret)
{
	const struct mime_part *p = find(m, id);

	if (p != NULL)
		describe(p, ret);
	return p != NULL;
}

bool
inbox_message_part_by_cid(const struct inbox_message *m, const char *cid, struct inbox_part *ret)
{
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		if (cid[0] != '\0' && g_ascii_strcasecmp(m->parts[i].cid, cid) == 0) {
			describe(&m->parts[i], ret);
			return true;
		}
	}
	return false;
}

char *
inbox_message_part_content(const struct inbox_message *m, const char *id, size_t *ret_len)
{
	const struct mime_part *p = find(m, id);
	GByteArray *bytes;

	if (p == NULL)
		return NULL;
	bytes = decode(p->object, NULL);
	*ret_len = bytes->len;
	g_byte_array_append(bytes, (const guint8 *)"", 1);
	return (char *)g_byte_array_free(bytes, FALSE);
}
