/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * form.c: see form.h. Values may be passwords and codes, so they are wiped when released.
 */
#include "httpd/form.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"

static int
decode(const char *text, size_t len, char **ret)
{
	struct buf out CLEANUP_BUF = BUF_INIT_WIPE(FORM_BYTES_MAX);
	int r;

	r = form_decode(&out, text, len);
	if (r == 0)
		r = buf_append(&out, "", 0);
	if (r < 0)
		return r;
	if (memchr(buf_str(&out), '\0', out.len) != NULL)
		return -EBADMSG;
	*ret = buf_take(&out);
	return *ret == NULL ? -ENOMEM : 0;
}

static int
add_pair(struct form *f, const char *pair, size_t len)
{
	struct form_field *field;
	const char *equals = memchr(pair, '=', len);
	size_t name_len = equals == NULL ? len : (size_t)(equals - pair), i;
	int r;

	if (f->count == FORM_FIELDS_MAX)
		return -E2BIG;
	field = &f->fields[f->count];
	*field = (struct form_field){0};
	r = decode(pair, name_len, &field->name);
	if (r < 0)
		return r;
	f->count++;
	r = equals == NULL ? decode("", 0, &field->value)
			   : decode(equals + 1, len - name_len - 1, &field->value);
	if (r < 0)
		return r;
	for (i = 0; i + 1 < f->count; i++)
		if (strcmp(f->fields[i].name, field->name) == 0)
			return -EBADMSG;
	return 0;
}

int
form_parse(struct form *f, const char *text, size_t len)
{
	int r = len > FORM_BYTES_MAX ? -E2BIG : 0;

	f->count = 0;
	while (r == 0 && len > 0) {
		const char *amp = memchr(text, '&', len);
		size_t n = amp == NULL ? len : (size_t)(amp - text);

		if (n > 0)
			r = add_pair(f, text, n);
		text += n + (amp != NULL);
		len -= n + (amp != NULL);
	}
	if (r < 0)
		form_clear(f);
	return r;
}

const char *
form_get(const struct form *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->count; i++)
		if (strcmp(f->fields[i].name, name) == 0)
			return f->fields[i].value[0] == '\0' ? NULL : f->fields[i].value;
	return NULL;
}

void
form_clear(struct form *f)
{
	size_t i;

	if (f == NULL)
		return;
	for (i = 0; i < f->count; i++) {
		free(f->fields[i].name);
		if (f->fields[i].value != NULL)
			mem_wipe(f->fields[i].value, strlen(f->fields[i].value));
		free(f->fields[i].value);
	}
	f->count = 0;
}
