/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * record.c: see record.h.
 */
#include "sandbox/record.h"

#include <string.h>

/* A space-separated list as an array of strings; NULL: no memory. */
static json_t *
words(const char *text)
{
	json_t *list = json_array();
	size_t n;

	for (const char *at = text; list != NULL && *at != '\0'; at += n) {
		at += strspn(at, " ");
		n = strcspn(at, " ");
		if (n > 0 && json_array_append_new(list, json_stringn(at, n)) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

json_t *
record_token(const struct grant_access *a)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I}", "id", a->id, "grant", a->grant, "client",
	    a->client, "scopes", words(a->scope), "issued", (json_int_t)a->since, "expires",
	    (json_int_t)a->until);
}

/* The token as it stands when the message comes. */
static json_t *
token_now(const json_t *token, uint64_t now)
{
	json_t *t = token == NULL ? json_null() : json_copy((json_t *)token);
	json_int_t at = (json_int_t)now;

	if (token != NULL && t != NULL &&
	    (json_object_set_new(t, "age",
		 json_integer(at - json_integer_value(json_object_get(t, "issued")))) < 0 ||
		json_object_set_new(t, "expires_in",
		    json_integer(json_integer_value(json_object_get(t, "expires")) - at)) < 0)) {
		json_decref(t);
		return NULL;
	}
	return t;
}

json_t *
record_new(const struct record_facts *f, json_t *lines)
{
	return json_pack("{s:{s:s, s:i, s:s}, s:{s:i, s:s}, s:{s:s, s:s, s:s, s:s?}, s:{s:s, s:s, "
			 "s:o}, s:{s:s, s:O}, s:o, s:o}",
	    "client", "address", f->address, "port", (int)f->port, "hello", f->hello, "server",
	    "port", (int)f->server_port, "personality", f->personality, "tls", "mode", f->tls_mode,
	    "version", f->tls_version, "cipher", f->tls_cipher, "name", f->tls_name, "auth",
	    "mechanism", f->mechanism, "account", f->account, "token", token_now(f->token, f->now),
	    "envelope", "sender", f->sender, "recipients", f->recipients, "faults",
	    f->faults == NULL ? json_array() : json_incref((json_t *)f->faults), "lines", lines);
}
