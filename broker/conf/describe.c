/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* describe.c: see describe.h. */
#include "broker/conf/describe.h"

#include <errno.h>
#include <string.h>

#include "broker/conf/loader.h"

static void
describe_line(struct buf *ret, const char *name, const char *key, const char *value)
{
	if (strpbrk(value, "\t\r\n") == NULL)
		(void)buf_printf(ret, "provider\t%s\t%s\t%s\n", name, key, value);
}

/* Does a value of this block hold the text? */
static bool
mentions(const struct raw_block *b, const char *text)
{
	for (size_t i = 0; i < b->count; i++)
		for (size_t n = 0; n < b->entries[i].values.count; n++)
			if (strstr(b->entries[i].values.items[n], text) != NULL)
				return true;
	return false;
}

static void
describe_provider(struct buf *ret, const struct raw_block *b)
{
	static const char *const keys[] = {
	    "title", "also-called", "domains", "mx", "grants", "note"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct raw_entry *e = raw_find(b, keys[i]);

		for (size_t n = 0; e != NULL && n < e->values.count; n++)
			describe_line(ret, b->title, keys[i], e->values.items[n]);
	}
	if (mentions(b, "{tenant}") && raw_find(b, "tenant") == NULL)
		describe_line(ret, b->title, "needs", "tenant");
	if (mentions(b, "{region}") && raw_find(b, "region") == NULL)
		describe_line(ret, b->title, "needs", "region");
	if (raw_find(b, "submit") == NULL)
		describe_line(ret, b->title, "needs", "submit");
	/* a preset says so where clients that people sign in to have a secret */
	if (raw_find(b, "client-auth") != NULL)
		describe_line(ret, b->title, "needs", "client-secret");
}

static int
describe_includes(struct buf *ret, const struct raw *raw, const char *path)
{
	const struct raw_entry *include = raw_find(&raw->blocks[0], "include");
	int r = 0;

	for (size_t i = 0; include != NULL && i < include->values.count && r == 0; i++) {
		(void)buf_append_str(ret, "include\t");
		r = loader_include_path(path, include->values.items[i], ret);
		(void)buf_append_char(ret, '\n');
	}
	return r;
}

static void
describe_providers(struct buf *ret, const struct raw *raw)
{
	for (size_t i = 1; i < raw->count; i++)
		if (raw->blocks[i].kind == CONF_BLOCK_PROVIDER)
			describe_provider(ret, &raw->blocks[i]);
}

static void
describe_block(struct buf *ret, const struct raw_block *b)
{
	const struct raw_entry *users = b->kind == CONF_BLOCK_SERVICE ? raw_find(b, "users") : NULL;

	if (b->kind == CONF_BLOCK_ACCOUNT)
		(void)buf_printf(ret, "account\t%s\n", b->title);
	if (b->kind == CONF_BLOCK_SERVICE)
		(void)buf_printf(ret, "service\t%s\n", b->title);
	for (size_t n = 0; users != NULL && n < users->values.count; n++)
		if (strpbrk(users->values.items[n], "\t\r\n") == NULL)
			(void)buf_printf(
			    ret, "service\t%s\tusers\t%s\n", b->title, users->values.items[n]);
}

int
describe_conf(
    const char *path, const struct conf_environment *env, struct buf *ret, struct buf *report)
{
	struct loader l = {.env = env};
	int r = loader_read(&l, path, false, report);

	(void)buf_printf(ret, "configuration\t%s\n", path);
	if (r == 0)
		r = describe_includes(ret, &l.raw, path);
	for (size_t i = 1; r == 0 && i < l.raw.count; i++)
		describe_block(ret, &l.raw.blocks[i]);
	if (r == 0) {
		describe_providers(ret, &l.presets);
		describe_providers(ret, &l.raw);
	}
	loader_clear(&l);
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}
