/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * http-get.c: see http-get.h. The head is collected until its blank line and only then read, in
 * place: so it does not matter how the octets were cut on the way. A form is waited for behind it.
 */
#include "admin/http-get.h"

#include <string.h>
#include <strings.h>

static bool
is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Cuts the next line off: NUL in place of its end. NULL at the end of the head. */
static char *
next_line(char **at, char *end)
{
	char *line = *at, *lf = memchr(line, '\n', (size_t)(end - line));

	if (lf == NULL)
		return NULL;
	*at = lf + 1;
	if (lf > line && lf[-1] == '\r')
		lf--;
	*lf = '\0';
	return line;
}

/* Visible US-ASCII alone: what browsers percent-encode never comes as it is. */
static bool
is_visible(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f)
			return false;
	return true;
}

/* "GET /path?query HTTP/1.1" */
static int
read_request_line(struct http_get *g, char *line)
{
	char *target = line, *version, *query;

	while (is_token(*target))
		target++;
	if (target == line || *target != ' ')
		return 400;
	*target++ = '\0';
	version = strchr(target, ' ');
	if (version == NULL || *target != '/')
		return 400;
	*version++ = '\0';
	if (strncmp(version, "HTTP/", 5) != 0)
		return 400;
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return 505;
	if (!is_visible(target, strlen(target)) || strchr(target, '#') != NULL)
		return 400;
	if (strcmp(line, "HEAD") == 0)
		g->method = HTTP_HEAD;
	else if (strcmp(line, "POST") == 0)
		g->method = HTTP_POST;
	else if (strcmp(line, "GET") != 0)
		return 405;
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	g->path = target;
	g->query = query;
	return 0;
}

static int
read_length(struct http_get *g, const char *value)
{
	if (g->has_length || *value == '\0' || value[strspn(value, "0123456789")] != '\0')
		return 400;
	g->has_length = true;
	for (; *value != '\0' && g->length <= HTTP_GET_MAX; value++)
		g->length = g->length * 10 + (size_t)(*value - '0');
	return 0;
}

static int
read_field(struct http_get *g, char *line)
{
	char *colon = line, *value, *end;

	while (is_token(*colon))
		colon++;
	if (colon == line || *colon != ':')
		return 400;
	*colon = '\0';
	value = colon + 1;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	if (strcasecmp(line, "Host") == 0) {
		if (g->host != NULL)
			return 400;
		g->host = value;
	} else if (strcasecmp(line, "Content-Length") == 0) {
		return read_length(g, value);
	} else if (strcasecmp(line, "Content-Type") == 0) {
		static const char form[] = "application/x-www-form-urlencoded";
		size_t len = sizeof(form) - 1;

		g->is_form = strncasecmp(value, form, len) == 0 &&
			     (value[len] == '\0' || strchr("; \t", value[len]) != NULL);
	} else if (strcasecmp(line, "Sec-Purpose") == 0 || strcasecmp(line, "Purpose") == 0 ||
		   strcasecmp(line, "X-Moz") == 0) {
		/* WHATWG Fetch, "Sec-Purpose", and what browsers sent before it */
		g->is_prefetch = strncasecmp(value, "prefetch", strlen("prefetch")) == 0;
	}
	return 0;
}

static int
read_head(struct http_get *g, char *end)
{
	char *at = g->in.data, *line;
	int status;

	if (memchr(at, '\0', (size_t)(end - at)) != NULL)
		return 400;
	while (at < end && (*at == '\r' || *at == '\n'))
		at++; /* RFC 9112 section 2.2: blank lines before the request line are skipped */
	line = next_line(&at, end);
	status = line == NULL ? 400 : read_request_line(g, line);
	while (status == 0 && (line = next_line(&at, end)) != NULL && *line != '\0')
		status = read_field(g, line);
	if (status == 0 && g->host == NULL)
		status = 400;
	if (status != 0 || g->method != HTTP_POST)
		return status;
	return !g->has_length ? 411 : g->length > HTTP_GET_MAX ? 413 : !g->is_form ? 415 : 0;
}

/* Where the blank line that ends the head is over, or NULL. Blank lines in front do not count. */
static char *
find_end(const struct buf *b)
{
	char *at = b->data, *end = b->data + b->len;
	bool seen = false;

	while (at < end) {
		char *lf = memchr(at, '\n', (size_t)(end - at));
		bool blank;

		if (lf == NULL)
			return NULL;
		blank = lf == at || (lf == at + 1 && *at == '\r');
		if (blank && seen)
			return lf + 1;
		seen = seen || !blank;
		at = lf + 1;
	}
	return NULL;
}

/* The form is all there: it stands for the query. */
static void
take_form(struct http_get *g)
{
	char *form = g->in.data + g->body;

	form[g->length] = '\0'; /* in the place of what follows, or of the buffer's own end */
	if (!is_visible(form, g->length))
		g->status = 400;
	g->query = g->length > 0 ? form : NULL;
}

static bool
refuse(struct http_get *g, int status)
{
	g->status = status;
	return true;
}

bool
http_get_take(struct http_get *g, const char *bytes, size_t len)
{
	static const char handshake[] = {0x16, 0x03}; /* RFC 8446 section 5.1 */
	size_t room = g->in.max - g->in.len;
	char *end;

	/* the parsed head points into it, so it does not move once it is there */
	if ((g->in.len == 0 && buf_reserve(&g->in, g->in.max) < 0) ||
	    buf_append(&g->in, bytes, len < room ? len : room) < 0)
		return refuse(g, 431);
	if (g->in.len >= sizeof(handshake) &&
	    memcmp(g->in.data, handshake, sizeof(handshake)) == 0) {
		g->is_tls = true;
		return refuse(g, 400);
	}
	if (g->body == 0) {
		end = g->in.len == 0 ? NULL : find_end(&g->in);
		if (end == NULL || end - g->in.data > HTTP_GET_MAX)
			return g->in.len >= HTTP_GET_MAX ? refuse(g, 431) : false;
		g->body = (size_t)(end - g->in.data);
		g->status = read_head(g, end);
		if (g->status != 0 || g->method != HTTP_POST)
			return true;
	}
	if (g->in.len - g->body < g->length)
		return false;
	take_form(g);
	return true;
}

void
http_get_clear(struct http_get *g)
{
	buf_free(&g->in);
	*g = (struct http_get)HTTP_GET_INIT;
}
