/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * form.h: application/x-www-form-urlencoded, as queries and as bodies of requests.
 *
 * Strict where OAuth is (RFC 6749 section 3.1): a parameter that comes twice, a NUL or a bad escape
 * makes the whole invalid.
 */
#ifndef FRANK_HTTPD_FORM_H
#define FRANK_HTTPD_FORM_H

#include <stddef.h>

enum { FORM_FIELDS_MAX = 48, FORM_BYTES_MAX = 64 * 1024 };

struct form_field {
	char *name;
	char *value;
};

struct form {
	struct form_field fields[FORM_FIELDS_MAX];
	size_t count;
};

/* Parses `len` bytes into an empty form. 0; -EBADMSG; -E2BIG; -ENOMEM. On an error the form is
 * empty. */
int form_parse(struct form *f, const char *text, size_t len);

/* The value, borrowed; NULL where the field is absent. An empty value counts as absent (RFC 6749
 * section 3.1). */
const char *form_get(const struct form *f, const char *name);

/* Wipes and releases the values. Takes NULL. */
void form_clear(struct form *f);

#endif
