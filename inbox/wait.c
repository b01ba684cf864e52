/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * wait.c: see wait.h.
 *
 * What is there already is found by the index as far as it can (conditions that say "contains" become terms of a query, which
 * find at least as much), and judged here. What arrives is judged as it comes. Regular expressions are PCRE's, by GLib,
 * which bounds the work of a match.
 */
#include "inbox/wait.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/codec.h"

enum {
	LOOK_MAX = 1000,    /* messages that are there already */
	NEAREST_LOOK = 100, /* messages that are looked at for near misses */
	NEAREST_MAX = 5,
	TIMEOUT_MS = 30000,
	QUIET_MS = 1000,
};

enum field {
	FROM,
	TO,
	CC,
	BCC,
	REPLY_TO,
	ADDRESSED,
	MAILBOX,
	ACCOUNT,
	SUBJECT,
	MESSAGE_ID,
	TEXT,
	HTML,
	HEADER,
	ATTACHMENT,
	FIELDS
};

enum how { CONTAINS, EQUALS, REGEX };

static const struct {
	const char *name;
	const char *key;         /* of the summary */
	enum inbox_field search; /* INBOX_FIELD_MAILBOX: the index cannot narrow it down */
} fields[FIELDS] = {
    [FROM] = {"from", "From", INBOX_FIELD_FROM},
    [TO] = {"to", "To", INBOX_FIELD_TO},
    [CC] = {"cc", "Cc", INBOX_FIELD_CC},
    [BCC] = {"bcc", "Bcc", INBOX_FIELD_BCC},
    [REPLY_TO] = {"reply-to", "ReplyTo", INBOX_FIELD_REPLY_TO},
    [ADDRESSED] = {"addressed", NULL, INBOX_FIELD_ADDRESSED},
    [MAILBOX] = {"mailbox", NULL, INBOX_FIELD_MAILBOX},
    [ACCOUNT] = {"account", "Username", INBOX_FIELD_MAILBOX},
    [SUBJECT] = {"subject", "Subject", INBOX_FIELD_SUBJECT},
    [MESSAGE_ID] = {"message-id", "MessageID", INBOX_FIELD_MESSAGE_ID},
    [TEXT] = {"text", NULL, INBOX_FIELD_TEXT},
    [HTML] = {"html", NULL, INBOX_FIELD_MAILBOX},
    [HEADER] = {"header", NULL, INBOX_FIELD_MAILBOX},
    [ATTACHMENT] = {"attachment", NULL, INBOX_FIELD_MAILBOX},
};

struct wait_condition {
	enum field field;
	enum how how;
	bool not ;
	char *value;  /* as it was given */
	char *folded; /* in one case; of a header, without the name */
	char *name;   /* of a header */
	GRegex *regex;
};

struct inbox_wait {
	struct wait_condition conditions[WAIT_CONDITIONS_MAX];
	size_t count;
	struct inbox_query query;
	bool has_query;
	char *zone;
	uint64_t since;
	unsigned wanted, timeout, quiet; /* milliseconds */
	bool exactly, none;
	json_t *found; /* summaries, oldest first */
	size_t matched;
};

struct inbox_wait *
wait_new(void)
{
	struct inbox_wait *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->wanted = 1;
	w->timeout = TIMEOUT_MS;
	w->quiet = QUIET_MS;
	w->found = json_array();
	return w->found == NULL ? wait_free(w) : w;
}

struct inbox_wait *
wait_free(struct inbox_wait *w)
{
	if (w == NULL)
		return NULL;
	while (w->count > 0) {
		struct wait_condition *c = &w->conditions[--w->count];

		g_free(c->value);
		g_free(c->folded);
		g_free(c->name);
		if (c->regex != NULL)
			g_regex_unref(c->regex);
	}
	inbox_query_clear(&w->query);
	json_decref(w->found);
	g_free(w->zone);
	free(w);
	return NULL;
}

/* ---- parameters ---- */

/* "2.5" in milliseconds. */
static bool
read_seconds(const char *text, unsigned *ret)
{
	char *end = NULL;
	double value = g_ascii_strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= 0) || value > WAIT_TIMEOUT_MAX)
		return false;
	*ret = (unsigned)(value * 1000);
	return true;
}

static bool
read_count(const char *text, unsigned *ret)
{
	uint64_t n;

	if (!text_number(text, strlen(text), &n) || n > WAIT_COUNT_MAX)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* A mark, an ID, a date, or seconds since 1970. */
static bool
read_since(struct inbox *i, const char *text, uint64_t *ret)
{
	uint64_t number;
	int64_t seconds;
	bool zoned;

	if (strlen(text) == INBOX_ID_SIZE - 1) {
		number = inbox_mark_of(i, text);
		if (number == 0)
			return false;
		*ret = number;
		return true;
	}
	if (text_number(text, strlen(text), &number)) {
		*ret = strlen(text) <= 11 ? number * 1000000 : number;
		return true;
	}
	if (!inbox_query_date(text, &seconds, &zoned) || seconds < 0)
		return false;
	*ret = (uint64_t)seconds * 1000000;
	return true;
}

/* "subject.not.regex": what it is about, and how. */
static bool
read_name(const char *name, struct wait_condition *c)
{
	static const char *const ways[] = {"contains", "equals", "regex"};
	size_t len = strcspn(name, "."), n, end = strlen(name), digits = end;

	/* ".2" behind it: a query has each name once */
	while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9')
		digits--;
	if (digits > 0 && digits < end && name[digits - 1] == '.')
		end = digits - 1;

	for (n = 0; n < FIELDS; n++)
		if (text_is(name, len, fields[n].name))
			break;
	if (n == FIELDS)
		return false;
	c->field = (enum field)n;
	name += len;
	end -= len;
	if (strncmp(name, ".not", 4) == 0 && (end == 4 || name[4] == '.')) {
		c->not = true;
		name += 4;
		end -= 4;
	}
	if (end == 0)
		return true;
	for (n = 0; n < ARRAY_SIZE(ways); n++) {
		if (text_is(name + 1, end - 1, ways[n])) {
			c->how = (enum how)n;
			return true;
		}
	}
	return false;
}

static bool
add_condition(struct inbox_wait *w, const char *name, const char *value, char why[256])
{
	struct wait_condition c = {0};
	const char *rest = value;
	GError *error = NULL;

	if (!read_name(name, &c)) {
		(void)snprintf(why, 256, "%.80s is no parameter of wait", name);
		return false;
	}
	if (w->count == WAIT_CONDITIONS_MAX || !g_utf8_validate(value, -1, NULL)) {
		(void)snprintf(why, 256, "too many conditions, or one is not UTF-8");
		return false;
	}
	if (c.field == HEADER) {
		rest = strchr(value, ':');
		if (rest == NULL) {
			(void)snprintf(why, 256, "header wants \"Name: value\"");
			return false;
		}
		c.name = g_strndup(value, (gsize)(rest - value));
		rest += 1 + strspn(rest + 1, " ");
	}
	if (c.how == REGEX) {
		c.regex = g_regex_new(rest, G_REGEX_CASELESS | G_REGEX_MULTILINE, 0, &error);
		if (c.regex == NULL) {
			(void)snprintf(why, 256, "%.40s: %.200s", name, error->message);
			g_error_free(error);
			g_free(c.name);
			return false;
		}
	}
	c.value = g_strdup(value);
	c.folded = g_utf8_casefold(rest, -1);
	w->conditions[w->count++] = c;
	return true;
}

bool
wait_set(struct inbox_wait *w, struct inbox *i, const char *name, const char *value, char why[256])
{
	(void)snprintf(why, 256, "%.40s: %.80s is not possible", name, value);
	if (strcmp(name, "count") == 0)
		return read_count(value, &w->wanted) && w->wanted > 0;
	if (strcmp(name, "exactly") == 0) {
		w->exactly = true;
		return read_count(value, &w->wanted);
	}
	if (strcmp(name, "none") == 0) {
		w->none = true;
		return read_seconds(value, &w->timeout);
	}
	if (strcmp(name, "timeout") == 0)
		return w->none || read_seconds(value, &w->timeout);
	if (strcmp(name, "quiet") == 0)
		return read_seconds(value, &w->quiet);
	if (strcmp(name, "since") == 0)
		return read_since(i, value, &w->since);
	if (strcmp(name, "tz") == 0) {
		g_free(w->zone);
		w->zone = g_strdup(value);
		return true;
	}
	if (strcmp(name, "query") == 0) {
		inbox_query_clear(&w->query);
		w->has_query = true;
		return inbox_query_parse(&w->query, value, strlen(value)) == 0;
	}
	return add_condition(w, name, value, why);
}

unsigned
wait_timeout(const struct inbox_wait *w)
{
	return w->timeout;
}

unsigned
wait_quiet(const struct inbox_wait *w)
{
	return w->quiet;
}

/* ---- one message ---- */

/* A message that is judged; the file is read when a condition wants it. */
struct candidate {
	struct inbox *inbox;
	const json_t *summary;
	struct inbox_message *message;
};

static struct inbox_message *
message_of(struct candidate *m)
{
	const char *id = json_string_value(json_object_get(m->summary, "ID"));
	int error;

	if (m->message == NULL && id != NULL)
		m->message = inbox_read(m->inbox, id, &error);
	return m->message;
}

static bool
text_fits(const struct wait_condition *c, const char *text)
{
	char *folded;
	bool fits;

	if (text == NULL)
		return false;
	if (c->how == REGEX)
		return g_regex_match(c->regex, text, 0, NULL);
	folded = g_utf8_casefold(text, -1);
	fits =
	    c->how == EQUALS ? strcmp(folded, c->folded) == 0 : strstr(folded, c->folded) != NULL;
	g_free(folded);
	return fits;
}

static bool
address_fits(const struct wait_condition *c, const json_t *address)
{
	const char *name = json_string_value(json_object_get(address, "Name"));
	const char *at = json_string_value(json_object_get(address, "Address"));
	char *whole;
	bool fits;

	if (name == NULL || at == NULL)
		return false;
	whole = name[0] == '\0' ? g_strdup(at) : g_strdup_printf("%s <%s>", name, at);
	fits = text_fits(c, whole) || (c->how != CONTAINS && text_fits(c, at));
	g_free(whole);
	return fits;
}

static bool
addresses_fit(const struct wait_condition *c, const json_t *value)
{
	const json_t *a;
	size_t n;

	if (json_is_object(value))
		return address_fits(c, value);
	json_array_foreach(value, n, a) if (address_fits(c, a)) return true;
	return false;
}

static bool
header_fits(const struct wait_condition *c, struct candidate *m)
{
	const struct inbox_message *message = message_of(m);
	char *all = message == NULL ? NULL : inbox_message_header_text(message), *at, *line;
	size_t len = strlen(c->name);
	bool fits = false;

	for (at = all; !fits && at != NULL && (line = strsep(&at, "\n")) != NULL;)
		if (strncasecmp(line, c->name, len) == 0 && line[len] == ':')
			fits = text_fits(c, line + len + 1 + (line[len + 1] == ' '));
	free(all);
	return fits;
}

static bool
attachment_fits(const struct wait_condition *c, struct candidate *m)
{
	const struct inbox_message *message = message_of(m);
	struct inbox_part part;
	size_t n;

	for (n = 0; message != NULL && inbox_message_part(message, n, &part); n++)
		if (text_fits(c, part.name))
			return true;
	return false;
}

static bool
addressed_fits(const struct wait_condition *c, const json_t *summary)
{
	static const enum field parts[] = {FROM, TO, CC, BCC, REPLY_TO};
	size_t n;

	for (n = 0; n < ARRAY_SIZE(parts); n++)
		if (addresses_fit(c, json_object_get(summary, fields[parts[n]].key)))
			return true;
	return false;
}

static bool
mailbox_fits(const struct wait_condition *c, struct candidate *m)
{
	const char *id = json_string_value(json_object_get(m->summary, "ID"));
	json_t *boxes = id == NULL ? NULL : inbox_mailboxes_of(m->inbox, id);
	const json_t *box;
	size_t n;
	bool fits = false;

	json_array_foreach(boxes, n, box) fits = fits || text_fits(c, json_string_value(box));
	json_decref(boxes);
	return fits;
}

static bool
fits(const struct wait_condition *c, struct candidate *m)
{
	const json_t *value =
	    fields[c->field].key == NULL ? NULL : json_object_get(m->summary, fields[c->field].key);
	const struct inbox_message *message;

	switch (c->field) {
	case FROM:
	case TO:
	case CC:
	case BCC:
	case REPLY_TO:
		return addresses_fit(c, value);
	case ADDRESSED:
		return addressed_fits(c, m->summary);
	case MAILBOX:
		return mailbox_fits(c, m);
	case TEXT:
		message = message_of(m);
		return message != NULL && text_fits(c, inbox_message_text(message));
	case HTML:
		message = message_of(m);
		return message != NULL && text_fits(c, inbox_message_html(message));
	case HEADER:
		return header_fits(c, m);
	case ATTACHMENT:
		return attachment_fits(c, m);
	default:
		return text_fits(c, json_string_value(value));
	}
}

/* How many conditions fail, and which (a bit each). */
static unsigned
misses(const struct inbox_wait *w, struct inbox *i, const json_t *summary, uint64_t *ret_which)
{
	struct candidate m = {.inbox = i, .summary = summary};
	unsigned count = 0;
	size_t n;

	*ret_which = 0;
	for (n = 0; n < w->count; n++) {
		if (fits(&w->conditions[n], &m) == w->conditions[n].not ) {
			*ret_which |= UINT64_C(1) << n;
			count++;
		}
	}
	(void)inbox_message_free(m.message);
	return count;
}

/* ---- waiting ---- */

static enum wait_state
state(const struct inbox_wait *w)
{
	if (w->none)
		return w->matched > 0 ? WAIT_FALSE : WAIT_OPEN;
	if (w->exactly)
		return w->matched > w->wanted    ? WAIT_FALSE
		       : w->matched == w->wanted ? WAIT_QUIET
						 : WAIT_OPEN;
	return w->matched >= w->wanted ? WAIT_TRUE : WAIT_OPEN;
}

static void
note(struct inbox_wait *w, const json_t *summary)
{
	w->matched++;
	if (json_array_size(w->found) < WAIT_COUNT_MAX)
		(void)json_array_append(w->found, (json_t *)summary);
}

/* What the index can find: the query, and what has to be contained. Text alone, released by free_narrow. */
static void
narrow(const struct inbox_wait *w, struct inbox_query *q)
{
	size_t n;

	*q = w->query;
	for (n = 0; n < q->count; n++)
		q->terms[n].text = q->terms[n].text == NULL ? NULL : strdup(q->terms[n].text);
	for (n = 0; n < w->count && q->count < INBOX_QUERY_TERMS_MAX; n++) {
		const struct wait_condition *c = &w->conditions[n];
		char *text;

		if (c->not || c->how != CONTAINS || fields[c->field].search == INBOX_FIELD_MAILBOX)
			continue;
		text = inbox_query_clean(c->value, strlen(c->value));
		if (text != NULL && text[0] != '\0')
			q->terms[q->count++] =
			    (struct inbox_term){.field = fields[c->field].search, .text = text};
		else
			free(text);
	}
}

enum wait_state
wait_begin(struct inbox_wait *w, struct inbox *i)
{
	struct inbox_query q;
	struct inbox_selection s = {.query = &q, .zone = w->zone, .after = w->since};
	json_t *list;
	size_t n;
	uint64_t which;

	narrow(w, &q);
	list = inbox_list(i, &s, 0, LOOK_MAX, NULL, NULL);
	inbox_query_clear(&q);
	for (n = json_array_size(list); n > 0; n--) {
		const json_t *summary = json_array_get(list, n - 1);

		if (misses(w, i, summary, &which) == 0)
			note(w, summary);
	}
	json_decref(list);
	return state(w);
}

/* Is it among what the query selects? */
static bool
query_fits(const struct inbox_wait *w, struct inbox *i, const char *id)
{
	uint64_t mark = inbox_mark_of(i, id);
	struct inbox_selection s = {
	    .query = &w->query, .zone = w->zone, .after = mark - 1, .before = mark + 1};
	char found[INBOX_ID_SIZE];

	return !w->has_query || inbox_latest(i, &s, found);
}

enum wait_state
wait_arrival(struct inbox_wait *w, struct inbox *i, const json_t *summary)
{
	const char *id = json_string_value(json_object_get(summary, "ID"));
	uint64_t which;

	if (id != NULL && inbox_mark_of(i, id) > w->since && misses(w, i, summary, &which) == 0 &&
	    query_fits(w, i, id))
		note(w, summary);
	return state(w);
}

enum wait_state
wait_end(struct inbox_wait *w)
{
	return w->none || state(w) == WAIT_QUIET || state(w) == WAIT_TRUE ? WAIT_TRUE : WAIT_FALSE;
}

/* ---- the answer ---- */

static json_t *
condition_text(const struct wait_condition *c)
{
	static const char *const words[] = {"contains", "equals", "matches"};

	return json_sprintf(
	    "%s%s %s \"%s\"", c->not ? "not " : "", fields[c->field].name, words[c->how], c->value);
}

static json_t *
near_miss(const struct inbox_wait *w, const json_t *summary, uint64_t which)
{
	json_t *missed = json_array();
	size_t n;

	for (n = 0; n < w->count; n++)
		if (which & UINT64_C(1) << n)
			(void)json_array_append_new(missed, condition_text(&w->conditions[n]));
	if (which == 0)
		(void)json_array_append_new(missed, json_string("query"));
	return json_pack("{s:O, s:O, s:O, s:O, s:o}", "ID", json_object_get(summary, "ID"), "From",
	    json_object_get(summary, "From"), "To", json_object_get(summary, "To"), "Subject",
	    json_object_get(summary, "Subject"), "missed", missed);
}

/* Why nothing was found, in a sentence; `common`: what every message missed. */
static json_t *
reason(const struct inbox_wait *w, uint64_t arrived, uint64_t common)
{
	json_t *text, *condition;
	size_t n;

	if (w->none)
		return json_sprintf("%zu arrived that should not have", w->matched);
	if (w->matched > 0)
		return json_sprintf("%zu found, %s %u wanted", w->matched,
		    w->exactly ? "exactly" : "at least", w->wanted);
	if (arrived == 0)
		return json_string("none arrived");
	for (n = 0; n < w->count && !(common & UINT64_C(1) << n); n++)
		;
	if (n == w->count)
		return json_sprintf("%" PRIu64 " arrived, none met all conditions", arrived);
	condition = condition_text(&w->conditions[n]);
	text = json_sprintf(
	    "%" PRIu64 " arrived, none had: %s", arrived, json_string_value(condition));
	json_decref(condition);
	return text;
}

/* Adds "arrived", "nearest" and "reason": those with the fewest misses first, the newest among equals. */
static void
explain(const struct inbox_wait *w, struct inbox *i, json_t *answer)
{
	struct inbox_selection s = {.after = w->since};
	uint64_t arrived = 0, unread, common = UINT64_MAX, which;
	json_t *list = inbox_list(i, &s, 0, NEAREST_LOOK, &arrived, &unread),
	       *nearest = json_array();
	unsigned most = WAIT_CONDITIONS_MAX + 1, few;
	unsigned counts[NEAREST_LOOK] = {0};
	uint64_t sets[NEAREST_LOOK] = {0};
	size_t n;

	for (n = 0; n < json_array_size(list); n++) {
		counts[n] = misses(w, i, json_array_get(list, n), &which);
		sets[n] = which;
		common &= which;
	}
	for (few = 0; few < most && json_array_size(nearest) < NEAREST_MAX; few++)
		for (n = 0; n < json_array_size(list) && json_array_size(nearest) < NEAREST_MAX;
		     n++)
			if (counts[n] == few && (few > 0 || w->matched == 0))
				(void)json_array_append_new(
				    nearest, near_miss(w, json_array_get(list, n), sets[n]));
	json_decref(list);
	(void)json_object_set_new(answer, "arrived", json_integer((json_int_t)arrived));
	(void)json_object_set_new(answer, "nearest", nearest);
	(void)json_object_set_new(answer, "reason", reason(w, arrived, common));
}

json_t *
wait_answer(struct inbox_wait *w, struct inbox *i, bool found)
{
	struct inbox_stats stats;
	const json_t *newest = json_array_get(w->found, json_array_size(w->found) - 1);
	const char *last = json_string_value(json_object_get(newest, "ID"));
	/* behind the last that was found: the next wait sees what came with it */
	uint64_t mark = found && last != NULL ? inbox_mark_of(i, last) : inbox_mark(i);
	json_t *answer = json_pack("{s:b, s:I, s:o, s:O}", "found", (int)found, "count",
	    (json_int_t)w->matched, "mark", json_sprintf("%" PRIu64, mark), "messages", w->found);

	if (answer == NULL)
		return NULL;
	if (!found)
		explain(w, i, answer);
	inbox_stats(i, &stats);
	if (w->since > 0 && w->since < stats.pruned)
		(void)json_object_set_new(answer, "warning",
		    json_string(
			"the mark is older than what is kept: messages behind it were removed"));
	return answer;
}
