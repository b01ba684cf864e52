/*
 * http-get.c: see http-get.h. The head is collected until its blank line and only then read, in
 * place: so it does not matter how the octets were cut on the way.
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
	for (const char *c = target; *c != '\0'; c++)
		if (*c <= 0x20 || *c >= 0x7f || *c == '#')
			return 400;
	if (strcmp(line, "GET") != 0)
		return 405;
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	g->path = target;
	g->query = query;
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
	if (strcasecmp(line, "Host") != 0)
		return 0;
	if (g->host != NULL)
		return 400;
	g->host = value;
	return 0;
}

static int
read_head(struct http_get *g, char *end)
{
	char *at = g->head.data, *line;
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
	return status;
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

bool
http_get_take(struct http_get *g, const char *bytes, size_t len)
{
	size_t room = g->head.max - g->head.len;
	char *end;

	if (buf_append(&g->head, bytes, len < room ? len : room) < 0) {
		g->status = 431;
		return true;
	}
	end = g->head.len == 0 ? NULL : find_end(&g->head);
	if (end != NULL) {
		g->status = read_head(g, end);
		return true;
	}
	if (g->head.len == g->head.max) {
		g->status = 431;
		return true;
	}
	return false;
}

void
http_get_clear(struct http_get *g)
{
	buf_free(&g->head);
	g->status = 0;
	g->path = g->query = g->host = NULL;
}
