/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
#include "inbox/html.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/codec.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Is the tag at `at` ("<name" or "</name") this one? */
static bool
is_tag(const char *at, const char *end, const char *name)
{
	size_t n = strlen(name);

	at++;
	if (at < end && *at == '/')
		at++;
	if ((size_t)(end - at) < n || strncasecmp(at, name, n) != 0)
		return false;
	at += n;
	return at == end || is_space(*at) || *at == '>' || *at == '/';
}

static bool
is_one_of(const char *at, const char *end, const char *const *names)
{
	for (; *names != NULL; names++)
		if (is_tag(at, end, *names))
			return true;
	return false;
}

/* Behind the '>' that ends the tag at `at`; one inside a quoted attribute does not. */
static const char *
tag_end(const char *at, const char *end)
{
	char quote = '\0', last = '\0';

	for (at++; at < end; at++) {
		if (quote != '\0') {
			if (*at == quote)
				quote = '\0';
		} else if ((*at == '"' || *at == '\'') && last == '=') {
			quote = *at;
		} else if (*at == '>') {
			return at + 1;
		}
		if (!is_space(*at))
			last = *at;
	}
	return end;
}

/* Behind the end of the element at `at` whose content is no text: "</name ...>". */
static const char *
element_end(const char *at, const char *end, const char *name)
{
	while (at < end) {
		at = memchr(at, '<', (size_t)(end - at));
		if (at == NULL)
			return end;
		if (at + 1 < end && at[1] == '/' && is_tag(at, end, name))
			return tag_end(at, end);
		at++;
	}
	return end;
}

static const char *
comment_end(const char *at, const char *end)
{
	const char *close = memmem(at, (size_t)(end - at), "-->", 3);

	return close == NULL ? end : close + 3;
}

/* The number of "&#123;" or "&#x7b;". */
static bool
read_number(const char *at, const char *semicolon, uint32_t *ret)
{
	bool hex = at < semicolon && (*at == 'x' || *at == 'X');
	uint32_t c = 0;

	if (hex)
		at++;
	if (at == semicolon)
		return false;
	for (; at < semicolon; at++) {
		int digit = hex_value(*at);

		if (digit < 0 || (!hex && digit > 9))
			return false;
		c = c * (hex ? 16 : 10) + (uint32_t)digit;
		if (c > 0x10ffff)
			c = 0x110000;
	}
	*ret = c;
	return true;
}

/* Appends the character of the entity at `at` and returns what is behind it; NULL: it is none. */
static const char *
entity(struct buf *out, const char *at, const char *end)
{
	static const struct {
		const char *name;
		uint32_t c;
	} names[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''},
	    {"nbsp", ' '}, {"copy", 0xa9}, {"reg", 0xae}, {"trade", 0x2122}, {"hellip", 0x2026},
	    {"mdash", 0x2014}, {"ndash", 0x2013}, {"lsquo", 0x2018}, {"rsquo", 0x2019},
	    {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bull", 0x2022}, {"middot", 0xb7},
	    {"euro", 0x20ac}, {"pound", 0xa3}, {"laquo", 0xab}, {"raquo", 0xbb}, {"auml", 0xe4},
	    {"ouml", 0xf6}, {"uuml", 0xfc}, {"Auml", 0xc4}, {"Ouml", 0xd6}, {"Uuml", 0xdc},
	    {"szlig", 0xdf}, {"eacute", 0xe9}, {"egrave", 0xe8}, {"agrave", 0xe0}, {"ccedil", 0xe7},
	    {"times", 0xd7}, {"zwnj", 0x200c}, {"shy", 0xad}};
	const char *semicolon = memchr(at, ';', end - at > 12 ? 12 : (size_t)(end - at));
	uint32_t c;
	size_t i;

	if (semicolon == NULL)
		return NULL;
	if (at + 1 < semicolon && at[1] == '#') {
		if (!read_number(at + 2, semicolon, &c))
			return NULL;
		(void)utf8_append(out, c == 0xa0 ? ' ' : c);
		return semicolon + 1;
	}
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (text_is(at + 1, (size_t)(semicolon - at - 1), names[i].name)) {
			(void)utf8_append(out, names[i].c);
			return semicolon + 1;
		}
	}
	return NULL;
}

/* White space is one space, none at the start of a line. */
static void
append_space(struct buf *out)
{
	if (out->len > 0 && out->data[out->len - 1] != ' ' && out->data[out->len - 1] != '\n')
		(void)buf_append_char(out, ' ');
}

/* A block begins or ends: at most one empty line between two. */
static void
append_line_end(struct buf *out)
{
	if (out->len > 0 && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	if (out->len > 0 &&
	    (out->data[out->len - 1] != '\n' || (out->len > 1 && out->data[out->len - 2] != '\n')))
		(void)buf_append_char(out, '\n');
}

/* What is at a '<': returns behind it. */
static const char *
skip_markup(struct buf *out, const char *at, const char *end)
{
	static const char *const hidden[] = {"script", "style", "head", "title", "template", NULL};
	static const char *const blocks[] = {"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4",
	    "h5", "h6", "table", "ul", "ol", "blockquote", "pre", "hr", "section", "header",
	    "footer", "article", NULL};
	size_t i;

	if ((size_t)(end - at) >= 4 && memcmp(at, "<!--", 4) == 0)
		return comment_end(at + 2, end);
	for (i = 0; hidden[i] != NULL; i++)
		if (at[1] != '/' && is_tag(at, end, hidden[i]))
			return element_end(at + 1, end, hidden[i]);
	if (is_one_of(at, end, blocks))
		append_line_end(out);
	else if (is_tag(at, end, "td") || is_tag(at, end, "th"))
		append_space(out);
	return tag_end(at, end);
}

int
html_to_text(struct buf *out, const char *html, size_t len)
{
	const char *at = html, *end = html + len;

	while (at < end && !out->failed) {
		const char *next = NULL;

		if (*at == '<' && end - at > 1 &&
		    (at[1] == '/' || at[1] == '!' || at[1] == '?' ||
			((at[1] | 0x20) >= 'a' && (at[1] | 0x20) <= 'z'))) {
			at = skip_markup(out, at, end);
			continue;
		}
		if (*at == '&')
			next = entity(out, at, end);
		if (next != NULL) {
			at = next;
		} else if (is_space(*at)) {
			append_space(out);
			at++;
		} else {
			(void)buf_append_char(out, *at++);
		}
	}
	while (out->len > 0 && is_space(out->data[out->len - 1]))
		out->data[--out->len] = '\0';
	return out->failed ? -ENOBUFS : 0;
}

/* Resolves "cid:" at `at`; returns behind what was written in its place, NULL: nothing was. */
static const char *
resolve_cid(struct buf *out, const char *at, const char *end, html_cid *resolve, void *arg)
{
	struct buf id CLEANUP_BUF = BUF_INIT(512);
	const char *to = at + 4;

	while (to < end && !is_space(*to) && strchr("\"'<>)\\", *to) == NULL) {
		if (*to == '%' && end - to > 2 && hex_value(to[1]) >= 0 && hex_value(to[2]) >= 0) {
			(void)buf_append_char(
			    &id, (char)(hex_value(to[1]) * 16 + hex_value(to[2])));
			to += 3;
		} else {
			(void)buf_append_char(&id, *to++);
		}
	}
	if (id.failed || id.len == 0 || memchr(id.data, '\0', id.len) != NULL ||
	    !resolve(arg, buf_str(&id), out))
		return NULL;
	return to;
}

int
html_for_view(struct buf *out, const char *html, size_t len, html_cid *resolve, void *arg)
{
	static const char *const dropped[] = {"meta", "base", "link", NULL};
	const char *at = html, *end = html + len, *next;

	while (at < end && !out->failed) {
		if (*at == '<' && is_one_of(at, end, dropped)) {
			at = tag_end(at, end);
			/* what is on both sides must not become such a tag */
			if (out->len > 0 && !is_space(out->data[out->len - 1]) &&
			    out->data[out->len - 1] != '>')
				(void)buf_append_char(out, ' ');
			continue;
		}
		if ((*at == 'c' || *at == 'C') && end - at > 4 && strncasecmp(at, "cid:", 4) == 0 &&
		    at > html && (is_space(at[-1]) || strchr("\"'=(,", at[-1]) != NULL) &&
		    (next = resolve_cid(out, at, end, resolve, arg)) != NULL) {
			at = next;
			continue;
		}
		(void)buf_append_char(out, *at++);
	}
	return out->failed ? -ENOBUFS : 0;
}
