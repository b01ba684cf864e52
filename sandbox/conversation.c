/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conversation.c: see conversation.h. Two arrays of JSON objects: the session's part ends where the first transaction begins.
 */
#include "sandbox/conversation.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/codec.h"

struct part {
	json_t *lines;
	size_t left_out;
};

struct conversation {
	uint64_t began;
	struct part session, transaction;
	bool in_transaction; /* one was begun at some time */
	size_t octets;       /* of content, not shown yet */
};

struct conversation *
conversation_free(struct conversation *c)
{
	if (c == NULL)
		return NULL;
	json_decref(c->session.lines);
	json_decref(c->transaction.lines);
	free(c);
	return NULL;
}

struct conversation *
conversation_new(uint64_t now)
{
	struct conversation *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->began = now;
	c->session.lines = json_array();
	c->transaction.lines = json_array();
	if (c->session.lines == NULL || c->transaction.lines == NULL)
		return conversation_free(c);
	return c;
}

/* The text as a JSON string. NULL: no memory. */
static json_t *
printable(const char *text, size_t len)
{
	struct buf out CLEANUP_BUF = BUF_INIT(CONVERSATION_LINE_MAX + 8);
	size_t at = 0;

	if (len > CONVERSATION_LINE_MAX)
		len = CONVERSATION_LINE_MAX;
	while (at < len) {
		uint32_t point;
		size_t n = utf8_length(text + at, len - at, &point);

		if (n == 0 || point < ' ')
			(void)buf_append_char(&out, '?');
		else
			(void)buf_append(&out, text + at, n);
		at += n == 0 ? 1 : n;
	}
	return out.failed ? NULL : json_string(buf_str(&out));
}

static json_t *
line_new(const struct conversation *c, enum conversation_speaker who, uint64_t now,
    const char *text, size_t len)
{
	static const char *const names[] = {"client", "server", "note"};
	double at = now < c->began ? 0 : (double)(now - c->began) / 1000;

	/* "o" takes the string, and makes the whole NULL where it is */
	return json_pack(
	    "{s:f, s:s, s:o}", "at", at, "from", names[who], "text", printable(text, len));
}

static void
put(struct conversation *c, enum conversation_speaker who, uint64_t now, const char *text,
    size_t len)
{
	struct part *p = c->in_transaction ? &c->transaction : &c->session;

	if (json_array_size(p->lines) >= CONVERSATION_LINES_MAX ||
	    json_array_append_new(p->lines, line_new(c, who, now, text, len)) < 0)
		p->left_out++;
}

/* Shows the content that came, as one line of the client's. */
static void
put_content(struct conversation *c, uint64_t now)
{
	char text[48];

	if (c->octets == 0)
		return;
	(void)snprintf(text, sizeof(text), "(%zu octets of content)", c->octets);
	c->octets = 0;
	put(c, CONVERSATION_CLIENT, now, text, strlen(text));
}

void
conversation_add(struct conversation *c, enum conversation_speaker who, uint64_t now,
    const char *text, size_t len)
{
	put_content(c, now);
	if (who == CONVERSATION_CLIENT && len >= 5 && strncasecmp(text, "MAIL ", 5) == 0) {
		c->in_transaction = true;
		(void)json_array_clear(c->transaction.lines);
		c->transaction.left_out = 0;
	}
	put(c, who, now, text, len);
}

void
conversation_content(struct conversation *c, size_t octets)
{
	c->octets += octets;
}

static int
add_part(json_t *to, const struct conversation *c, const struct part *p, uint64_t now)
{
	char text[48];

	if (json_array_extend(to, p->lines) < 0)
		return -1;
	if (p->left_out == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "(%zu lines left out)", p->left_out);
	return json_array_append_new(to, line_new(c, CONVERSATION_NOTE, now, text, strlen(text)));
}

json_t *
conversation_lines(struct conversation *c, uint64_t now, const char *reply)
{
	json_t *ret = json_array();

	put_content(c, now);
	if (ret != NULL &&
	    (add_part(ret, c, &c->session, now) < 0 || add_part(ret, c, &c->transaction, now) < 0 ||
		(reply != NULL && json_array_append_new(ret, line_new(c, CONVERSATION_SERVER, now,
								 reply, strlen(reply))) < 0))) {
		json_decref(ret);
		ret = NULL;
	}
	return ret;
}
