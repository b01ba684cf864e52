/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * api.c: see api.h. The routes stand in one table at the end; what is answered later (waits, releases, streams) is a list.
 *
 * HTML of a mail is served under a policy with `sandbox`, which holds also where the document is opened by itself: no script, no
 * form, no frame, nothing from elsewhere unless remote=1 asks for images. Attachments of types that a browser would run are
 * served as octets to be saved.
 */
#include "inbox/api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/codec.h"
#include "inbox/compose.h"
#include "inbox/html.h"
#include "inbox/maildir.h"
#include "inbox/openapi.h"
#include "inbox/release.h"
#include "inbox/wait.h"
#include "web/serve.h"

enum {
	LIMIT = 50,
	LIMIT_MAX = 10000,
	STATS_MS = 250, /* at most one in this time */
};

/* A request that is answered later. */
struct pending {
	TAILQ_ENTRY(pending) link;
	struct inbox_api *api;
	struct httpd_request *request;
	bool detached;
	struct inbox_wait *wait;     /* of /wait */
	struct release *release;     /* of /release */
	struct httpd_stream *stream; /* of /events */
};

struct inbox_api {
	struct inbox_api_config c;
	TAILQ_HEAD(, pending) pending;
	size_t count;
	struct event *stats;
	bool stats_wanted;
	time_t since;
};

/* ---- answers ---- */

static void
answer_text(struct httpd_request *r, int status, const char *text)
{
	httpd_reply(r, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* Mailpit's "ok", or what went wrong. */
static void
answer_result(struct httpd_request *r, int result)
{
	if (result == 0)
		answer_text(r, 200, "ok");
	else if (result == -EINVAL)
		answer_text(
		    r, 400, "a tag is 1 to 100 octets without <>\",; and control characters");
	else
		answer_text(r, 500, strerror(-result));
}

static void
answer_missing(struct httpd_request *r)
{
	answer_text(r, 404, "Message not found");
}

/* ---- parameters ---- */

static bool
flag(const struct httpd_request *r, const char *name)
{
	const char *value = httpd_query(r, name);

	return value != NULL && strcmp(value, "1") == 0;
}

static uint64_t
number(const struct httpd_request *r, const char *name, uint64_t fallback)
{
	const char *value = httpd_query(r, name);
	uint64_t n;

	return value != NULL && text_number(value, strlen(value), &n) ? n : fallback;
}

/* The message that a path names. */
static const char *
id_in(const struct httpd_request *r)
{
	const char *id = httpd_parameter(r, "id");

	return id == NULL ? "" : id;
}

/* What a request selects by query, tz and before. */
struct asked {
	struct inbox_query query;
	struct inbox_selection selection;
};

/* `text` is the query, or NULL. False: it is too long, and that has been answered. */
static bool
choose(struct httpd_request *r, const char *text, struct asked *c)
{
	const char *before = httpd_query(r, "before");
	int64_t seconds;
	bool zoned;

	memset(c, 0, sizeof(*c));
	c->selection.query = &c->query;
	c->selection.zone = httpd_query(r, "tz");
	if (text != NULL && inbox_query_parse(&c->query, text, strlen(text)) < 0) {
		answer_text(r, 400, "Error: the query is too long");
		return false;
	}
	if (before != NULL && inbox_query_date(before, &seconds, &zoned) && seconds > 0)
		c->selection.before = (uint64_t)seconds * 1000000;
	return true;
}

/* "latest", by the query where there is one, or an ID. False: there is none, and that has been answered. */
static bool
resolve(struct inbox_api *a, struct httpd_request *r, const char *id, char ret[INBOX_ID_SIZE])
{
	struct asked c;
	bool found;

	if (strcmp(id, "latest") != 0) {
		(void)snprintf(ret, INBOX_ID_SIZE, "%s", id);
		found = strlen(id) < INBOX_ID_SIZE && inbox_mark_of(a->c.inbox, id) != 0;
	} else {
		if (!choose(r, httpd_query(r, "query"), &c))
			return false;
		found = inbox_latest(a->c.inbox, &c.selection, ret);
		inbox_query_clear(&c.query);
	}
	if (!found)
		answer_missing(r);
	return found;
}

/* The body as JSON; NULL where there is none, or it is none. */
static json_t *
body(struct httpd_request *r)
{
	size_t len;
	const char *bytes = httpd_body(r, &len);

	return len == 0 ? NULL : json_loadb(bytes, len, 0, NULL);
}

/* ---- lists ---- */

static json_t *
tag_names(struct inbox_api *a)
{
	json_t *counts = inbox_tags(a->c.inbox), *names = json_array(), *value;
	const char *name;

	json_object_foreach(counts, name, value)(void)
	    json_array_append_new(names, json_string(name));
	json_decref(counts);
	return names;
}

static void
list(struct inbox_api *a, struct httpd_request *r, const char *query)
{
	uint64_t start = number(r, "start", 0), limit = number(r, "limit", LIMIT);
	uint64_t total = 0, unread = 0;
	struct inbox_stats stats;
	struct asked c;
	json_t *messages;

	if (!choose(r, query, &c))
		return;
	if (limit == 0 || limit > LIMIT_MAX)
		limit = LIMIT_MAX;
	messages = inbox_list(a->c.inbox, &c.selection, start, limit, &total, &unread);
	inbox_stats(a->c.inbox, &stats);
	httpd_reply_json(r, 200,
	    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "total", (json_int_t)stats.total,
		"unread", (json_int_t)stats.unread, "count", (json_int_t)json_array_size(messages),
		"messages_count", (json_int_t)total, "messages_unread", (json_int_t)unread, "start",
		(json_int_t)start, "tags", tag_names(a), "messages", messages));
	inbox_query_clear(&c.query);
}

static void
get_messages(void *arg, struct httpd_request *r)
{
	list(arg, r, NULL);
}

/* The query that a search must have. NULL: it has none, and that has been answered. */
static const char *
search_query(struct httpd_request *r)
{
	const char *query = httpd_query(r, "query");

	if (query != NULL && query[strspn(query, " ")] != '\0')
		return query;
	answer_text(r, 400, "Error: no search query");
	return NULL;
}

static void
get_search(void *arg, struct httpd_request *r)
{
	const char *query = search_query(r);

	if (query != NULL)
		list(arg, r, query);
}

static void
delete_search(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	const char *query = search_query(r);
	struct asked c;

	if (query == NULL || !choose(r, query, &c))
		return;
	/* a query of which nothing is left selects nothing to be deleted */
	if (c.query.count == 0)
		answer_text(r, 400, "Error: no search query");
	else
		answer_result(r, inbox_delete_all(a->c.inbox, &c.selection));
	inbox_query_clear(&c.query);
}

static void
delete_messages(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r), *ids = json_object_get(json, "IDs"), *one;
	struct inbox_selection all = {0};
	size_t n;
	int result = 0;

	if (json_array_size(ids) == 0)
		result = inbox_delete_all(a->c.inbox, &all);
	json_array_foreach(ids, n, one) if (json_is_string(one) && result == 0) result =
	    inbox_delete(a->c.inbox, json_string_value(one));
	json_decref(json);
	answer_result(r, result);
}

static void
put_messages(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r), *ids = json_object_get(json, "IDs"), *one;
	bool read = json_is_true(json_object_get(json, "Read"));
	const char *search = json_string_value(json_object_get(json, "Search"));
	struct asked c;
	size_t n;
	int result = 0;

	if (!json_is_object(json)) {
		answer_text(r, 400, "a JSON object is wanted");
	} else if (json_array_size(ids) > 0 && search != NULL && search[0] != '\0') {
		answer_text(r, 400, "You may specify either IDs or a search query, not both");
	} else if (json_array_size(ids) > 0) {
		json_array_foreach(ids, n, one) if (json_is_string(one) && result == 0) result =
		    inbox_set_read(a->c.inbox, json_string_value(one), read);
		answer_result(r, result);
	} else if (choose(r, search, &c)) {
		answer_result(r, inbox_set_read_all(a->c.inbox, &c.selection, read));
		inbox_query_clear(&c.query);
	}
	json_decref(json);
}

static void
get_mailboxes(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	httpd_reply_json(r, 200, inbox_mailboxes(a->c.inbox));
}

/* ---- one message ---- */

/* Reads the message of a route. NULL: it has been answered. */
static struct inbox_message *
message_of(struct inbox_api *a, struct httpd_request *r, const char *id, char ret_id[INBOX_ID_SIZE])
{
	struct inbox_message *m;
	int error;

	if (!resolve(a, r, id, ret_id))
		return NULL;
	m = inbox_read(a->c.inbox, ret_id, &error);
	if (m == NULL && error == -ENOENT)
		answer_missing(r);
	else if (m == NULL)
		answer_text(r, 500, strerror(-error));
	return m;
}

static void
get_message(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	static const char *const kept[] = {"Tags", "Username", "Bcc"};
	char real[INBOX_ID_SIZE];
	struct inbox_message *m = message_of(a, r, id_in(r), real);
	json_t *summary, *json;
	size_t n;

	if (m == NULL)
		return;
	summary = inbox_summary(a->c.inbox, real);
	json = inbox_message_details(m);
	(void)inbox_message_free(m);
	(void)json_object_set_new(json, "ID", json_string(real));
	for (n = 0; n < ARRAY_SIZE(kept); n++)
		(void)json_object_set(json, kept[n], json_object_get(summary, kept[n]));
	if (json_object_get(json, "Date") == NULL)
		(void)json_object_set(json, "Date", json_object_get(summary, "Created"));
	json_decref(summary);
	(void)inbox_set_read(a->c.inbox, real, true);
	httpd_reply_json(r, 200, json);
}

static void
get_headers(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	char real[INBOX_ID_SIZE];
	struct inbox_message *m = message_of(a, r, id_in(r), real);

	if (m != NULL)
		httpd_reply_json(r, 200, inbox_message_headers(m));
	(void)inbox_message_free(m);
}

static void
get_raw(void *arg, struct httpd_request *r)
{
	char real[INBOX_ID_SIZE], file[INBOX_ID_SIZE + 40];
	struct inbox_message *m = message_of(arg, r, id_in(r), real);
	const char *bytes;
	size_t len;

	if (m == NULL)
		return;
	bytes = inbox_message_raw(m, &len);
	if (flag(r, "dl")) {
		(void)snprintf(file, sizeof(file), "attachment; filename=\"%s.eml\"", real);
		httpd_set_header(r, "Content-Disposition", file);
	}
	httpd_reply(r, 200, "text/plain; charset=utf-8", bytes, len);
	(void)inbox_message_free(m);
}

static void
get_session(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	struct buf note CLEANUP_BUF = BUF_INIT(INBOX_API_BODY_MAX);
	char real[INBOX_ID_SIZE];

	if (!resolve(a, r, id_in(r), real))
		return;
	if (inbox_session(a->c.inbox, real, &note) < 0)
		answer_text(r, 404, "How this message came was not recorded");
	else
		httpd_reply(r, 200, "application/json", buf_str(&note), note.len);
}

/* May a browser show it in its place? Images but SVG, which is a document with scripts; all else is saved. */
static bool
is_shown(const char *type)
{
	static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp",
	    "image/bmp", "image/avif", "image/x-icon"};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(types); n++)
		if (strcasecmp(type, types[n]) == 0)
			return true;
	return false;
}

/* Types that tests look for and no browser runs. */
static bool
is_told(const char *type)
{
	return is_shown(type) || strcasecmp(type, "text/plain") == 0 ||
	       strcasecmp(type, "text/calendar") == 0 || strcasecmp(type, "text/csv") == 0 ||
	       strcasecmp(type, "application/pdf") == 0 ||
	       strcasecmp(type, "application/zip") == 0 ||
	       strcasecmp(type, "application/json") == 0 ||
	       strncasecmp(type, "application/vnd.", 16) == 0 ||
	       strncasecmp(type, "audio/", 6) == 0 || strncasecmp(type, "video/", 6) == 0;
}

/* Content-Disposition with the name as RFC 6266 wants it. */
static void
disposition(struct buf *out, const struct inbox_part *p)
{
	(void)buf_append_str(out, is_shown(p->type) ? "inline" : "attachment");
	if (p->name[0] != '\0') {
		const char *at;

		(void)buf_append_str(out, "; filename*=UTF-8''");
		for (at = p->name; *at != '\0'; at++) {
			if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
			    (*at >= '0' && *at <= '9') || strchr("-._~", *at) != NULL)
				(void)buf_append_char(out, *at);
			else
				(void)buf_printf(out, "%%%02X", (unsigned)(unsigned char)*at);
		}
	}
}

static void
get_part(void *arg, struct httpd_request *r)
{
	struct buf how CLEANUP_BUF = BUF_INIT(8192);
	const char *part_id = httpd_parameter(r, "part");
	char real[INBOX_ID_SIZE];
	struct inbox_message *m = message_of(arg, r, id_in(r), real);
	struct inbox_part part;
	char *content = NULL;
	size_t len;

	if (m == NULL)
		return;
	if (inbox_message_part_find(m, part_id, &part))
		content = inbox_message_part_content(m, part_id, &len);
	if (content == NULL) {
		answer_text(r, 404, "There is no such part");
	} else {
		disposition(&how, &part);
		httpd_set_header(r, "Content-Disposition", buf_str(&how));
		httpd_set_header(r, "Content-Security-Policy", "sandbox; default-src 'none'");
		/* a mail is shown with an opaque origin: to a browser its images come from elsewhere */
		httpd_set_header(r, "Cross-Origin-Resource-Policy", "cross-origin");
		httpd_reply(r, 200, is_told(part.type) ? part.type : "application/octet-stream",
		    content, len);
	}
	free(content);
	(void)inbox_message_free(m);
}

static void
get_thumb(void *arg, struct httpd_request *r)
{
	answer_text(r, 404, "Thumbnails are not made here: ask for the part itself");
}

/* ---- the views ---- */

struct view {
	const struct inbox_message *message;
	const char *origin, *id;
};

static bool
resolve_cid(void *arg, const char *cid, struct buf *out)
{
	const struct view *v = arg;
	struct inbox_part part;

	return inbox_message_part_by_cid(v->message, cid, &part) && is_shown(part.type) &&
	       buf_printf(out, "%s/api/v1/message/%s/part/%s", v->origin, v->id, part.id) == 0;
}

/* Where the client found us: its Host, which is one of ours. */
static void
origin(const struct inbox_api *a, const struct httpd_request *r, char ret[300])
{
	const char *host = httpd_header(r, "Host");

	(void)snprintf(ret, 300, "%s://%.255s", a->c.tls ? "https" : "http",
	    host == NULL || strpbrk(host, " ;,'\"<>") != NULL ? "localhost" : host);
}

/* The policy of a mail's document. An opaque origin is nobody's 'self', so it names ours. */
static void
set_policy(struct httpd_request *r, const char *own)
{
	char policy[640];

	(void)snprintf(policy, sizeof(policy),
	    "sandbox%s; default-src 'none'; img-src %s data:%s; style-src 'unsafe-inline'; "
	    "form-action "
	    "'none'; base-uri 'none'; frame-ancestors 'self'",
	    flag(r, "embed") ? " allow-popups allow-popups-to-escape-sandbox" : "", own,
	    flag(r, "remote") ? " https: http:" : "");
	httpd_set_header(r, "Content-Security-Policy", policy);
	httpd_set_header(r, "X-DNS-Prefetch-Control", "off");
	httpd_set_header(r, "X-Frame-Options", "SAMEORIGIN");
}

/* The document of a mail. embed=1: links open in a window of their own; remote=1: images from elsewhere load. */
static void
view_html(struct inbox_api *a, struct httpd_request *r, const char *id)
{
	struct buf page CLEANUP_BUF = BUF_INIT(4 * INBOX_BODY_MAX);
	char real[INBOX_ID_SIZE], own[300];
	struct inbox_message *m = message_of(a, r, id, real);
	struct view v = {.message = m, .origin = own, .id = real};
	const char *html;

	if (m == NULL)
		return;
	html = inbox_message_html(m);
	origin(a, r, own);
	if (flag(r, "embed"))
		(void)buf_append_str(&page, "<base target=\"_blank\">");
	if (html[0] == '\0') {
		answer_text(r, 404, "This message does not contain a HTML part");
	} else if (html_for_view(&page, html, strlen(html), resolve_cid, &v) < 0) {
		answer_text(r, 500, "no memory");
	} else {
		(void)inbox_set_read(a->c.inbox, real, true);
		set_policy(r, own);
		httpd_reply(r, 200, "text/html; charset=utf-8", buf_str(&page), page.len);
	}
	(void)inbox_message_free(m);
}

static void
view_text(struct inbox_api *a, struct httpd_request *r, const char *id)
{
	char real[INBOX_ID_SIZE];
	struct inbox_message *m = message_of(a, r, id, real);

	if (m == NULL)
		return;
	(void)inbox_set_read(a->c.inbox, real, true);
	answer_text(r, 200, inbox_message_text(m));
	(void)inbox_message_free(m);
}

/* "ID.html" or "ID.txt". */
static void
get_view(void *arg, struct httpd_request *r)
{
	const char *file = httpd_parameter(r, "file"), *dot = strrchr(file, '.');
	char id[INBOX_ID_SIZE];

	if (dot == NULL || (size_t)(dot - file) >= sizeof(id) ||
	    (strcmp(dot, ".html") != 0 && strcmp(dot, ".txt") != 0)) {
		answer_missing(r);
		return;
	}
	(void)snprintf(id, sizeof(id), "%.*s", (int)(dot - file), file);
	if (strcmp(dot, ".html") == 0)
		view_html(arg, r, id);
	else
		view_text(arg, r, id);
}

/* ---- tags, information ---- */

static void
get_tags(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	httpd_reply_json(r, 200, tag_names(a));
}

static void
put_tags(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r), *tags = json_object_get(json, "Tags"), *one;
	size_t n;
	int result = 0;

	if (json_is_object(json)) {
		json_array_foreach(json_object_get(json, "IDs"), n,
		    one) if (json_is_string(one) && result == 0) result =
		    inbox_set_tags(a->c.inbox, json_string_value(one), tags);
		answer_result(r, result);
	} else {
		answer_text(r, 400, "a JSON object with IDs and Tags is wanted");
	}
	json_decref(json);
}

static void
put_tag(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r);
	const char *name = json_string_value(json_object_get(json, "Name"));

	if (name == NULL)
		answer_text(r, 400, "a JSON object with Name is wanted");
	else
		answer_result(r, inbox_rename_tag(a->c.inbox, httpd_parameter(r, "tag"), name));
	json_decref(json);
}

static void
delete_tag(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;

	answer_result(r, inbox_rename_tag(a->c.inbox, httpd_parameter(r, "tag"), NULL));
}

/* Octets of memory in use. */
static json_int_t
memory(void)
{
	unsigned long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		if (fscanf(f, "%lu %lu", &pages, &resident) != 2)
			resident = 0;
		(void)fclose(f);
	}
	return (json_int_t)resident * sysconf(_SC_PAGESIZE);
}

static void
get_info(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	struct inbox_stats s;

	inbox_stats(a->c.inbox, &s);
	httpd_reply_json(r, 200,
	    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
		"Version", a->c.version, "LatestVersion", "disabled", "Database", a->c.database,
		"DatabaseSize", (json_int_t)s.database_octets, "Messages", (json_int_t)s.total,
		"Unread", (json_int_t)s.unread, "Tags", inbox_tags(a->c.inbox), "RuntimeStats",
		"Uptime", (json_int_t)(time(NULL) - a->since), "Memory", memory(),
		"MessagesDeleted", (json_int_t)s.deleted, "SMTPAccepted", (json_int_t)s.accepted,
		"SMTPAcceptedSize", (json_int_t)s.accepted_octets, "SMTPRejected", (json_int_t)0,
		"SMTPIgnored", (json_int_t)0));
}

static void
get_webui(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	const char *command = a->c.release_command;
	json_t *allow = json_array();
	json_t *submission = a->c.submission == NULL ? NULL : a->c.submission(a->c.submission_arg);
	size_t n;

	for (n = 0; n < a->c.release_allow_count; n++)
		(void)json_array_append_new(allow, json_string(a->c.release_allow[n]));
	httpd_reply_json(r, 200,
	    json_pack(
		"{s:s, s:{s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o}, s:b, s:b, s:b, s:b, s:o*}",
		"Label", "frank-sandbox", "MessageRelay", "Enabled", (int)(command != NULL),
		"SMTPServer", command == NULL ? "" : command, "ReturnPath", "", "AllowedRecipients",
		"", "BlockedRecipients", "", "OverrideFrom", "", "PreserveMessageIDs", 1,
		"RecipientAllowlist", "", "Allow", allow, "SpamAssassin", 0, "ChaosEnabled",
		(int)(a->c.chaos_get != NULL), "DuplicatesIgnored", 0, "HideDeleteAllButton", 0,
		"Submission", submission));
}

static void
get_page(void *arg, struct httpd_request *r)
{
	web_serve(r, "inbox.html");
}

static void
get_live(void *arg, struct httpd_request *r)
{
	answer_text(r, 200, "ok");
}

static void
get_openapi(void *arg, struct httpd_request *r)
{
	httpd_reply(r, 200, "application/json", openapi, sizeof(openapi) - 1);
}

static void
get_chaos(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	if (a->c.chaos_get == NULL)
		answer_text(r, 400, "Chaos is not enabled");
	else
		httpd_reply_json(r, 200, a->c.chaos_get(a->c.chaos_arg));
}

static void
put_chaos(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r);
	const char *why = "a JSON object is wanted";

	if (a->c.chaos_put == NULL)
		answer_text(r, 400, "Chaos is not enabled");
	else if (!json_is_object(json) || a->c.chaos_put(a->c.chaos_arg, json, &why) < 0)
		answer_text(r, 400, why);
	else
		httpd_reply_json(r, 200, a->c.chaos_get(a->c.chaos_arg));
	json_decref(json);
}

/* ---- POST /send ---- */

/* Puts a message into the Maildirs and the index. */
static int
capture(struct inbox_api *a, const char *text, const json_t *to, const char *user,
    char ret_id[INBOX_ID_SIZE])
{
	size_t count = json_array_size(to), n;
	const char **recipients CLEANUP_FREE = calloc(count, sizeof(*recipients));
	struct maildir_message *m = NULL;
	int r = recipients == NULL ? -ENOMEM : maildir_begin(a->c.root, &m);

	if (r == 0)
		r = maildir_write(m, text, strlen(text));
	if (r == 0)
		r = maildir_commit(m);
	for (n = 0; n < count && r == 0; n++) {
		recipients[n] = json_string_value(json_array_get(to, n));
		r = maildir_link(m, recipients[n]);
	}
	if (r == 0) {
		struct inbox_arrival arrival = {.name = maildir_name(m),
		    .recipients = recipients,
		    .recipient_count = count,
		    .account = user};

		r = inbox_add(a->c.inbox, &arrival, ret_id);
	}
	(void)maildir_end(m);
	return r == 0 ? inbox_flush(a->c.inbox) : r;
}

/* The name before the colon of Authorization: Basic, whoever has checked it; NULL: there is none. */
static const char *
user_of(struct httpd_request *r, char ret[256])
{
	const char *value = httpd_header(r, "Authorization");
	struct buf text CLEANUP_BUF = BUF_INIT_WIPE(1024);
	size_t len;

	if (value == NULL || strncasecmp(value, "Basic ", 6) != 0 ||
	    base64_decode(&text, value + 6, strlen(value + 6)) < 0)
		return NULL;
	len = strcspn(buf_str(&text), ":");
	(void)snprintf(ret, 256, "%.*s", (int)(len < 255 ? len : 255), buf_str(&text));
	return ret;
}

static void
post_send(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r), *recipients = NULL;
	char why[256], id[INBOX_ID_SIZE], user[256];
	char *text = compose_message(json, &recipients, why);
	int result = text == NULL ? -EINVAL : capture(a, text, recipients, user_of(r, user), id);

	if (text == NULL)
		httpd_reply_json(r, 400, json_pack("{s:s}", "Error", why));
	else if (result < 0)
		httpd_reply_json(r, 500, json_pack("{s:s}", "Error", strerror(-result)));
	else
		httpd_reply_json(r, 200, json_pack("{s:s}", "ID", id));
	json_decref(recipients);
	json_decref(json);
	free(text);
}

/* ---- what is answered later ---- */

/* Takes it out of the list: what arrives from now on is none of its business. */
static void
pending_detach(struct pending *p)
{
	if (!p->detached) {
		TAILQ_REMOVE(&p->api->pending, p, link);
		p->api->count--;
	}
	p->detached = true;
}

static void
pending_free(struct pending *p)
{
	pending_detach(p);
	(void)wait_free(p->wait);
	(void)release_cancel(p->release);
	free(p);
}

/* NULL: it has been answered. */
static struct pending *
pending_new(struct inbox_api *a, struct httpd_request *r)
{
	struct pending *p = a->count < INBOX_API_WAITING_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (p == NULL) {
		answer_text(r, 503, "too many requests wait");
		return NULL;
	}
	p->api = a;
	p->request = r;
	TAILQ_INSERT_TAIL(&a->pending, p, link);
	a->count++;
	return p;
}

static void
wait_done(struct pending *p, bool found)
{
	struct httpd_request *r = p->request;
	json_t *json;

	pending_detach(p); /* making the answer looks into the inbox, which may tell of arrivals */
	json = wait_answer(p->wait, p->api->c.inbox, found);
	pending_free(p);
	httpd_reply_json(r, found ? 200 : 408, json);
}

static void
wait_ended(void *arg, struct httpd_request *r, bool gone)
{
	struct pending *p = arg;

	if (gone)
		pending_free(p);
	else
		wait_done(p, wait_end(p->wait) == WAIT_TRUE);
}

/* What the state of a wait asks for. */
static void
wait_moved(struct pending *p, enum wait_state state)
{
	if (state == WAIT_TRUE || state == WAIT_FALSE)
		wait_done(p, state == WAIT_TRUE);
	else if (state == WAIT_QUIET &&
		 httpd_later(p->request, wait_quiet(p->wait), wait_ended, p) < 0)
		wait_done(p, false);
}

/* Reads the conditions. NULL: it has been answered. */
static struct inbox_wait *
read_wait(struct inbox_api *a, struct httpd_request *r)
{
	const struct form *query = httpd_query_form(r);
	struct inbox_wait *w = wait_new();
	char why[256] = "no memory";
	bool good = w != NULL;
	size_t n;

	for (n = 0; good && n < query->count; n++)
		good = wait_set(w, a->c.inbox, query->fields[n].name, query->fields[n].value, why);
	if (good)
		return w;
	answer_text(r, w == NULL ? 500 : 400, why);
	return wait_free(w);
}

static void
get_wait(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	struct inbox_wait *w = read_wait(a, r);
	struct pending *p;

	/* tell of what is there before this one listens: wait_begin finds it */
	(void)inbox_flush(a->c.inbox);
	p = w == NULL ? NULL : pending_new(a, r);

	if (p == NULL) {
		(void)wait_free(w);
		return;
	}
	p->wait = w;
	if (httpd_later(r, wait_timeout(w), wait_ended, p) < 0)
		wait_done(p, false);
	else
		wait_moved(p, wait_begin(w, a->c.inbox));
}

static void
post_mark(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	httpd_reply_json(
	    r, 200, json_pack("{s:o}", "mark", json_sprintf("%" PRIu64, inbox_mark(a->c.inbox))));
}

static void
on_released(void *arg, const char *why)
{
	struct pending *p = arg;
	struct httpd_request *r = p->request;
	struct buf text CLEANUP_BUF = BUF_INIT(4096);

	p->release = NULL; /* it goes by itself */
	pending_free(p);
	(void)buf_printf(&text, "not released: %s", why == NULL ? "" : why);
	answer_text(r, why == NULL ? 200 : 400, why == NULL ? "ok" : buf_str(&text));
}

/* The client has gone (the command goes on to its end, unheard), or the time is up. */
static void
release_ended(void *arg, struct httpd_request *r, bool gone)
{
	pending_free(arg);
	if (!gone)
		answer_text(r, 504, "the command did not end in time");
}

/* The recipients of a release. False: `why` says what is wrong. */
static bool
release_to(struct inbox_api *a, const json_t *to, char why[256])
{
	const json_t *one;
	size_t n;

	(void)snprintf(why, 256, "No valid addresses found");
	if (json_array_size(to) == 0 || json_array_size(to) > RELEASE_RECIPIENTS_MAX)
		return false;
	json_array_foreach(to, n, one)
	{
		const char *address = json_string_value(one);

		if (address == NULL || address[0] == '-' ||
		    !address_is_valid(address, strlen(address), false)) {
			(void)snprintf(why, 256, "Invalid email address: %.200s",
			    address == NULL ? "(no text)" : address);
			return false;
		}
		if (!release_allows(a->c.release_allow, a->c.release_allow_count, address)) {
			(void)snprintf(why, 256,
			    "Failed: Address does not match the allowlist: %.180s", address);
			return false;
		}
	}
	return true;
}

/* Starts the command for a message that may go. */
static void
release_message(struct inbox_api *a, struct httpd_request *r, const json_t *to)
{
	char real[INBOX_ID_SIZE];
	struct inbox_message *m = message_of(a, r, id_in(r), real);
	struct pending *p = m == NULL ? NULL : pending_new(a, r);
	int error = -ENOMEM;

	if (p != NULL && httpd_later(r, (RELEASE_SECONDS + 5) * 1000, release_ended, p) == 0)
		p->release =
		    release_start(a->c.base, a->c.release_command, m, to, on_released, p, &error);
	if (p != NULL && p->release == NULL) {
		pending_free(p);
		answer_text(r, 400, error == -EDOM ? "No From header found" : strerror(-error));
	}
	(void)inbox_message_free(m);
}

static void
post_release(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	json_t *json = body(r);
	char why[256];

	if (a->c.release_command == NULL)
		answer_text(r, 400,
		    "nothing is released: frank-sandbox was started without --release-command");
	else if (!release_to(a, json_object_get(json, "To"), why))
		answer_text(r, 400, why);
	else
		release_message(a, r, json_object_get(json, "To"));
	json_decref(json);
}

/* ---- events ---- */

static bool
has_streams(const struct inbox_api *a)
{
	struct pending *p;

	TAILQ_FOREACH (p, &a->pending, link)
		if (p->stream != NULL)
			return true;
	return false;
}

/* Takes `value`; NULL is null. */
static void
push_event(struct inbox_api *a, const char *name, json_t *value)
{
	json_t *json =
	    json_pack("{s:s, s:o}", "Type", name, "Data", value == NULL ? json_null() : value);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	struct pending *p;

	TAILQ_FOREACH (p, &a->pending, link)
		if (p->stream != NULL && text != NULL)
			httpd_stream_send(p->stream, name, NULL, text);
	free(text);
	json_decref(json);
}

static void
on_stats(evutil_socket_t fd, short what, void *arg)
{
	struct inbox_api *a = arg;
	struct inbox_stats s;

	a->stats_wanted = false;
	inbox_stats(a->c.inbox, &s);
	push_event(a, "stats",
	    json_pack("{s:I, s:I, s:s}", "Total", (json_int_t)s.total, "Unread",
		(json_int_t)s.unread, "Version", a->c.version));
}

/* Counts follow a change, but not each of thousands. */
static void
want_stats(struct inbox_api *a)
{
	static const struct timeval soon = {.tv_usec = STATS_MS * 1000};

	if (!a->stats_wanted && evtimer_add(a->stats, &soon) == 0)
		a->stats_wanted = true;
}

static void
on_change(void *arg, enum inbox_change change, const json_t *value)
{
	static const char *const names[] = {"new", "update", "delete", "prune", "truncate"};
	struct inbox_api *a = arg;
	struct pending *p, *next;

	for (p = TAILQ_FIRST(&a->pending); p != NULL && change == INBOX_NEW; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->wait != NULL)
			wait_moved(p, wait_arrival(p->wait, a->c.inbox, value));
	}
	if (!has_streams(a))
		return;
	push_event(a, names[change], json_incref((json_t *)value));
	want_stats(a);
}

static void
stream_gone(void *arg)
{
	pending_free(arg);
}

static void
get_events(void *arg, struct httpd_request *r)
{
	struct inbox_api *a = arg;
	struct pending *p = pending_new(a, r);

	if (p == NULL)
		return;
	p->stream = httpd_stream(r, stream_gone, p);
	if (p->stream == NULL)
		pending_free(p);
	else
		want_stats(a);
}

/* ---- routes ---- */

const struct httpd_route inbox_api_routes[] = {
    {HTTPD_GET, "/api/v1/messages", get_messages},
    {HTTPD_PUT, "/api/v1/messages", put_messages},
    {HTTPD_DELETE, "/api/v1/messages", delete_messages},
    {HTTPD_GET, "/api/v1/search", get_search},
    {HTTPD_DELETE, "/api/v1/search", delete_search},
    {HTTPD_GET, "/api/v1/message/{id}", get_message},
    {HTTPD_GET, "/api/v1/message/{id}/headers", get_headers},
    {HTTPD_GET, "/api/v1/message/{id}/raw", get_raw},
    {HTTPD_GET, "/api/v1/message/{id}/session", get_session},
    {HTTPD_GET, "/api/v1/message/{id}/part/{part}", get_part},
    {HTTPD_GET, "/api/v1/message/{id}/part/{part}/thumb", get_thumb},
    {HTTPD_POST, "/api/v1/message/{id}/release", post_release},
    {HTTPD_POST, "/api/v1/send", post_send},
    {HTTPD_GET, "/api/v1/tags", get_tags},
    {HTTPD_PUT, "/api/v1/tags", put_tags},
    {HTTPD_PUT, "/api/v1/tags/{tag}", put_tag},
    {HTTPD_DELETE, "/api/v1/tags/{tag}", delete_tag},
    {HTTPD_GET, "/api/v1/mailboxes", get_mailboxes},
    {HTTPD_GET, "/api/v1/wait", get_wait},
    {HTTPD_POST, "/api/v1/mark", post_mark},
    {HTTPD_GET, "/api/v1/info", get_info},
    {HTTPD_GET, "/api/v1/webui", get_webui},
    {HTTPD_GET, "/api/v1/chaos", get_chaos},
    {HTTPD_PUT, "/api/v1/chaos", put_chaos},
    {HTTPD_GET, "/api/v1/openapi.json", get_openapi},
    {HTTPD_GET, "/api/v1/swagger.json", get_openapi},
    {HTTPD_GET, "/api/events", get_events},
    {HTTPD_GET, "/view/{file}", get_view},
    {HTTPD_GET, "/", get_page},
    {HTTPD_GET, "/web/{name}", web_serve_named},
    {HTTPD_GET, "/livez", get_live},
    {HTTPD_GET, "/readyz", get_live},
    {0},
};

bool
inbox_api_admit(void *api, struct httpd_request *r)
{
	const struct inbox_api *a = api;
	const char *path = httpd_path(r);

	return a->c.admit == NULL || strcmp(path, "/livez") == 0 || strcmp(path, "/readyz") == 0 ||
	       a->c.admit(a->c.admit_arg, r);
}

struct inbox_api *
inbox_api_new(const struct inbox_api_config *config)
{
	struct inbox_api *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->c = *config;
	a->since = time(NULL);
	TAILQ_INIT(&a->pending);
	a->stats = evtimer_new(config->base, on_stats, a);
	if (a->stats == NULL)
		return inbox_api_free(a);
	inbox_listen(config->inbox, on_change, a);
	return a;
}

struct inbox_api *
inbox_api_free(struct inbox_api *a)
{
	struct pending *p;

	if (a == NULL)
		return NULL;
	inbox_listen(a->c.inbox, NULL, NULL);
	while ((p = TAILQ_FIRST(&a->pending)) != NULL)
		pending_free(p);
	if (a->stats != NULL)
		event_free(a->stats);
	free(a);
	return NULL;
}
