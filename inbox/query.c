/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
#include "inbox/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/codec.h"

/* Lower case of the letters outside ASCII that mail is written in: Latin-1, Latin Extended-A, Greek, Cyrillic and
 * Armenian. Both sides go through this, so that letters it does not know still match themselves. */
static uint32_t
lower(uint32_t c)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) ||
	    (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
		return c + 0x20;
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	if (c >= 0x531 && c <= 0x556)
		return c + 0x30;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c + (c & 1);
	if (c == 0x178)
		return 0xff;
	if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14a && c <= 0x177))
		return c | 1;
	return c;
}

char *
inbox_query_clean(const char *text, size_t len)
{
	struct buf out CLEANUP_BUF = BUF_INIT(2 * len + 1);
	bool space = false;
	size_t i = 0;

	if (buf_reserve(&out, len) < 0)
		return NULL;
	while (i < len) {
		uint32_t c;
		size_t n = utf8_length(text + i, len - i, &c);

		if (n == 0) { /* not UTF-8: left out */
			i++;
			continue;
		}
		i += n;
		if (c <= ' ' || c == 0x7f || c == 0xfeff || c == 0xa0 ||
		    (c < 0x80 && strchr("<>\",;()", (int)c) != NULL)) {
			space = out.len > 0;
			continue;
		}
		if (space)
			(void)buf_append_char(&out, ' ');
		space = false;
		(void)utf8_append(&out, lower(c));
	}
	if (out.failed)
		return NULL;
	return out.len == 0 ? strdup("") : buf_take(&out);
}

/* Digits at `*at`, at most `most` of them and at least one. */
static bool
digits(const char **at, int most, int *ret)
{
	int n = 0, value = 0;

	while (n < most && **at >= '0' && **at <= '9') {
		value = value * 10 + (*(*at)++ - '0');
		n++;
	}
	*ret = value;
	return n > 0;
}

/* "Z", "+01:00" or "+0100" up to the end; nothing at all is a time without a zone. */
static bool
read_zone(const char *at, int *ret_offset, bool *ret_zoned)
{
	int sign, hours, minutes = 0;

	while (*at == ' ')
		at++;
	*ret_offset = 0;
	*ret_zoned = *at != '\0';
	if (*at == '\0')
		return true;
	if ((at[0] == 'z' || at[0] == 'Z') && at[1] == '\0')
		return true;
	if (*at != '+' && *at != '-')
		return false;
	sign = *at++ == '-' ? -1 : 1;
	if (!digits(&at, 2, &hours) || hours > 14)
		return false;
	if (*at == ':')
		at++;
	if (*at != '\0' && (!digits(&at, 2, &minutes) || minutes > 59))
		return false;
	*ret_offset = sign * (hours * 3600 + minutes * 60);
	return *at == '\0';
}

bool
inbox_query_date(const char *text, int64_t *ret_seconds, bool *ret_zoned)
{
	struct tm tm = {0};
	const char *at = text;
	int offset = 0;
	char mark;

	if (!digits(&at, 4, &tm.tm_year) || tm.tm_year < 1900 || (*at != '-' && *at != '/'))
		return false;
	mark = *at++;
	if (!digits(&at, 2, &tm.tm_mon) || *at++ != mark || !digits(&at, 2, &tm.tm_mday) ||
	    tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return false;
	if ((*at == ' ' || *at == 't' || *at == 'T') && at[1] >= '0' && at[1] <= '9') {
		at++;
		if (!digits(&at, 2, &tm.tm_hour) || *at++ != ':' || !digits(&at, 2, &tm.tm_min) ||
		    tm.tm_hour > 23 || tm.tm_min > 59)
			return false;
		if (*at == ':') {
			at++;
			if (!digits(&at, 2, &tm.tm_sec) || tm.tm_sec > 60)
				return false;
		}
		if (*at == '.') {
			for (at++; *at >= '0' && *at <= '9'; at++)
				;
		}
	}
	if (!read_zone(at, &offset, ret_zoned))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ret_seconds = (int64_t)timegm(&tm) - offset;
	return true;
}

/* "12", "1.5m", "3 kb"; 0: it is no size. */
static int64_t
read_size(const char *text)
{
	double value = 0, unit = 1, place = 0.1;
	const char *at = text;

	if (*at < '0' || *at > '9')
		return 0;
	for (; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (*at - '0');
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++, place /= 10)
			value += (*at - '0') * place;
	}
	while (*at == ' ')
		at++;
	if (*at == 'k')
		unit = 1024;
	else if (*at == 'm')
		unit = 1024 * 1024;
	else if (*at != '\0')
		return 0;
	if (*at != '\0' && *++at == 'b')
		at++;
	value *= unit;
	return *at != '\0' || value > 1e15 ? 0 : (int64_t)value;
}

static const struct {
	const char *word;
	enum inbox_field field;
} prefixes[] = {
    {"from:", INBOX_FIELD_FROM},
    {"to:", INBOX_FIELD_TO},
    {"cc:", INBOX_FIELD_CC},
    {"bcc:", INBOX_FIELD_BCC},
    {"reply-to:", INBOX_FIELD_REPLY_TO},
    {"addressed:", INBOX_FIELD_ADDRESSED},
    {"subject:", INBOX_FIELD_SUBJECT},
    {"message-id:", INBOX_FIELD_MESSAGE_ID},
    {"tag:", INBOX_FIELD_TAG},
    {"mailbox:", INBOX_FIELD_MAILBOX},
    {"after:", INBOX_FIELD_AFTER},
    {"before:", INBOX_FIELD_BEFORE},
    {"larger:", INBOX_FIELD_LARGER},
    {"smaller:", INBOX_FIELD_SMALLER},
};

static const struct {
	const char *word;
	enum inbox_field field;
} states[] = {
    {"is:read", INBOX_FIELD_READ},
    {"is:unread", INBOX_FIELD_UNREAD},
    {"is:tagged", INBOX_FIELD_TAGGED},
    {"has:inline", INBOX_FIELD_INLINE},
    {"has:inlines", INBOX_FIELD_INLINE},
    {"has:attachment", INBOX_FIELD_ATTACHMENT},
    {"has:attachments", INBOX_FIELD_ATTACHMENT},
};

/* What a word is. `*ret_value`: where its text begins. */
static enum inbox_field
classify(const char *word, const char **ret_value)
{
	size_t i;

	*ret_value = word;
	for (i = 0; i < ARRAY_SIZE(states); i++)
		if (strcasecmp(word, states[i].word) == 0)
			return states[i].field;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i].word);

		if (strncasecmp(word, prefixes[i].word, n) == 0) {
			*ret_value = word + n;
			return prefixes[i].field;
		}
	}
	return INBOX_FIELD_TEXT;
}

static int
add_term(struct inbox_query *q, const char *word)
{
	struct inbox_term t = {0};
	const char *value;

	if (word[0] == '\0')
		return 0;
	if ((word[0] == '-' || word[0] == '!') && word[1] != '\0') {
		t.exclude = true;
		word++;
	}
	t.field = classify(word, &value);
	if (t.field == INBOX_FIELD_LARGER || t.field == INBOX_FIELD_SMALLER) {
		char *clean = inbox_query_clean(value, strlen(value));

		if (clean == NULL)
			return -ENOMEM;
		t.number = read_size(clean);
		free(clean);
		if (t.number == 0) { /* as Mailpit: no size makes it a word like any other */
			t.field = INBOX_FIELD_TEXT;
			value = word;
		}
	}
	if ((t.field == INBOX_FIELD_AFTER || t.field == INBOX_FIELD_BEFORE) &&
	    !inbox_query_date(value, &t.number, &t.zoned))
		return 0;
	if (t.field < INBOX_FIELD_AFTER) {
		t.text = inbox_query_clean(value, strlen(value));
		if (t.text == NULL)
			return -ENOMEM;
		if (t.text[0] == '\0') {
			free(t.text);
			return 0;
		}
	}
	if (q->count == INBOX_QUERY_TERMS_MAX) {
		free(t.text);
		return -E2BIG;
	}
	q->terms[q->count++] = t;
	return 0;
}

int
inbox_query_parse(struct inbox_query *q, const char *text, size_t len)
{
	struct buf word CLEANUP_BUF = BUF_INIT(INBOX_QUERY_TEXT_MAX + 1);
	bool quoted = false;
	size_t i;
	int r = 0;

	q->count = 0;
	if (len > INBOX_QUERY_TEXT_MAX)
		return -E2BIG;
	for (i = 0; i < len && r == 0; i++) {
		char c = text[i];

		if (c == '"') {
			quoted = !quoted;
		} else if (c == '\0' ||
			   (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))) {
			r = add_term(q, buf_str(&word));
			buf_clear(&word);
		} else {
			r = buf_append_char(&word, c);
		}
	}
	if (r == 0)
		r = add_term(q, buf_str(&word));
	if (r < 0)
		inbox_query_clear(q);
	return r;
}

void
inbox_query_clear(struct inbox_query *q)
{
	while (q->count > 0)
		free(q->terms[--q->count].text);
}
