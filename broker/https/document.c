/*
 * document.c: see document.h.
 *
 * jansson's own limit of depth is 2,048, deep enough to matter for the stack of a small role, and
 * it is a constant of the library: so a scan that knows only strings and brackets runs before it.
 */
#include "broker/https/document.h"

#include <string.h>

#include "base/buf.h"
#include "broker/https/wipe-alloc.h"

void
document_init(void)
{
	json_set_alloc_funcs(wipe_malloc, wipe_free);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
too_deep(const char *text, size_t len)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				quoted = false;
			continue;
		}
		switch (text[i]) {
		case '"':
			quoted = true;
			break;
		case '{':
		case '[':
			if (++depth > DOCUMENT_DEPTH)
				return true;
			break;
		case '}':
		case ']':
			if (depth > 0)
				depth--;
			break;
		default:
			break;
		}
	}
	return false;
}

static const char *
why_not_json(const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_duplicate_key:
		return "JSON that names a key twice";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "JSON with a NUL in a string";
	case json_error_invalid_utf8:
		return "JSON that is not UTF-8";
	case json_error_premature_end_of_input:
		return "JSON that is cut short";
	case json_error_out_of_memory:
		return "JSON for which memory ran out";
	default:
		return "something that is no JSON";
	}
}

json_t *
document_parse(const char *text, size_t len, const char **ret_why)
{
	json_error_t error = {0};
	json_t *d;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	while (len > 0 && is_space(*text)) {
		text++;
		len--;
	}
	*ret_why = "an empty body";
	if (len == 0)
		return NULL;
	*ret_why = "more than 256 kB";
	if (len > DOCUMENT_MAX)
		return NULL;
	*ret_why = "a web page instead of JSON";
	if (*text == '<')
		return NULL;
	*ret_why = "JSON nested too deeply";
	if (too_deep(text, len))
		return NULL;
	d = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (d == NULL) {
		*ret_why = why_not_json(&error);
		mem_wipe(&error, sizeof(error)); /* quotes the input */
		return NULL;
	}
	if (!json_is_object(d)) {
		*ret_why = "JSON that is no object";
		json_decref(d);
		return NULL;
	}
	*ret_why = NULL;
	return d;
}

const char *
document_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s == NULL || *s == '\0' ? NULL : s;
}

char *
document_plain(const char *text, size_t max)
{
	size_t len = strlen(text), n = 0;
	char *plain;

	if (len > max) {
		len = max;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	plain = malloc(len + 1);
	if (plain == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			c = ' ';
		if (c != ' ' || (n > 0 && plain[n - 1] != ' '))
			plain[n++] = (char)c;
	}
	if (n > 0 && plain[n - 1] == ' ')
		n--;
	plain[n] = '\0';
	return plain;
}
