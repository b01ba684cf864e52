/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * document.c: see document.h.
 *
 * jansson's own limit of depth is 2,048, deep enough to matter for the stack of a small role, and
 * it is a constant of the library: so a scan that knows only strings and brackets runs before it.
 */
#include "broker/https/document.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/wipe.h"

void
document_init(void)
{
	json_set_alloc_funcs(malloc, wipe_free);
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

enum { ERROR_MAX = 100, ERROR_TEXT_MAX = 1000 };

/* The first of these members that is a string, of the object or of the one in its `error`. */
static const char *
first_text(const json_t *object, const char *const keys[], size_t count)
{
	const json_t *inner = json_object_get(object, "error");
	const char *s = NULL;

	for (size_t i = 0; s == NULL && i < 2 * count; i++)
		s = document_text(i < count ? object : inner, keys[i % count]);
	return s;
}

/* The words, with what stands beside them. */
static int
join_text(const json_t *object, const char *words, struct buf *out)
{
	static const char *const more_keys[] = {"suberror", "error_subtype"};
	const char *more = first_text(object, more_keys, ARRAY_SIZE(more_keys));
	const json_t *number = json_array_get(json_object_get(object, "error_codes"), 0);

	words = words == NULL ? "" : words;
	if (json_is_integer(number) && strstr(words, "AADSTS") == NULL)
		(void)buf_printf(out, "AADSTS%lld%s", (long long)json_integer_value(number),
		    *words == '\0' ? "" : ": ");
	(void)buf_append_str(out, words);
	if (more != NULL && strstr(words, more) == NULL)
		(void)buf_printf(out, "%s(%s)", out->len > 0 ? " " : "", more);
	return out->failed ? -ENOMEM : 0;
}

int
document_error(const json_t *object, char **ret_error, char **ret_text)
{
	static const char *const codes[] = {"error", "errorId", "status", "code", "errorCode"},
				 *const texts[] = {"error_description", "message", "errorSummary"};
	/* a good answer may hold them too, as null, false or "" */
	bool has = document_text(object, "error") != NULL ||
		   json_is_object(json_object_get(object, "error")) ||
		   document_text(object, "errorCode") != NULL;
	const char *code = has ? first_text(object, codes, ARRAY_SIZE(codes)) : NULL;
	struct buf text CLEANUP_BUF = BUF_INIT(2 * DOCUMENT_MAX);

	*ret_error = *ret_text = NULL;
	if (code == NULL)
		return 0;
	if (join_text(object, first_text(object, texts, ARRAY_SIZE(texts)), &text) < 0)
		return -ENOMEM;
	*ret_error = document_plain(code, ERROR_MAX);
	*ret_text = text.len == 0 ? NULL : document_plain(buf_str(&text), ERROR_TEXT_MAX);
	if (*ret_error != NULL && (text.len == 0 || *ret_text != NULL))
		return 0;
	free(*ret_error);
	free(*ret_text);
	*ret_error = *ret_text = NULL;
	return -ENOMEM;
}
