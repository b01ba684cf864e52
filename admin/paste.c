/* paste.c: see paste.h. */
#include "admin/paste.h"

#include <string.h>

/* Is there a parameter of this name in the query? */
static bool
has_parameter(const char *query, size_t len, const char *name)
{
	size_t n = strlen(name);
	const char *end = query + len;

	while ((size_t)(end - query) > n) {
		const char *next = memchr(query, '&', (size_t)(end - query));

		if (memcmp(query, name, n) == 0 && query[n] == '=')
			return true;
		if (next == NULL)
			break;
		query = next + 1;
	}
	return false;
}

static bool
is_wrapping(char c)
{
	return c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '<' || c == '>';
}

bool
paste_query(const char *line, size_t len, const char **ret, size_t *ret_len)
{
	const char *mark;

	while (len > 0 && is_wrapping(*line)) {
		line++;
		len--;
	}
	while (len > 0 && is_wrapping(line[len - 1]))
		len--;
	mark = memchr(line, '?', len);
	if (mark != NULL) {
		len -= (size_t)(mark + 1 - line);
		line = mark + 1;
	}
	mark = memchr(line, '#', len);
	if (mark != NULL)
		len = (size_t)(mark - line);
	for (size_t i = 0; i < len; i++)
		if (line[i] <= ' ' || line[i] == 0x7f)
			return false;
	if (!has_parameter(line, len, "state") ||
	    (!has_parameter(line, len, "code") && !has_parameter(line, len, "error")))
		return false;
	*ret = line;
	*ret_len = len;
	return true;
}
