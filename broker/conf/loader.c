/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* loader.c: see loader.h. */
#include "broker/conf/loader.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "broker/conf/reference.h"
#include "broker/conf/values.h"

/* ---- files ---- */

static int
read_pattern(struct raw *raw, const char *pattern, struct conf_place place, bool must_match)
{
	glob_t found = {0};
	int r = glob(pattern, 0, NULL, &found), status = 0;

	if (r == GLOB_NOSPACE)
		status = -ENOMEM;
	else if (r == GLOB_NOMATCH && must_match && strpbrk(pattern, "*?[") == NULL)
		raw_error(raw, place, "include: \"%s\" does not exist", pattern);
	else if (r == GLOB_ABORTED)
		raw_error(raw, place, "include: a folder of \"%s\" cannot be read: %s", pattern,
		    strerror(errno));
	for (size_t i = 0; r == 0 && i < found.gl_pathc && status == 0; i++)
		status = raw_read_file(raw, found.gl_pathv[i]);
	globfree(&found);
	return status;
}

int
loader_include_path(const char *file, const char *pattern, struct buf *ret)
{
	const char *slash = strrchr(file, '/');

	if (pattern[0] == '/' || slash == NULL)
		return buf_append_str(ret, pattern);
	return buf_printf(ret, "%.*s/%s", (int)(slash - file), file, pattern);
}

/* The files that `include` names, in the order of the patterns, each pattern's files sorted. */
static int
read_includes(struct loader *l, const char *main_file)
{
	const struct raw_entry *include = raw_find(&l->raw.blocks[0], "include");
	size_t count = include == NULL ? 0 : include->values.count;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		CLEANUP_BUF struct buf path = BUF_INIT(4096);

		r = loader_include_path(main_file, include->values.items[i], &path);
		if (r == 0)
			r = read_pattern(&l->raw, buf_str(&path), include->place, true);
		include = raw_find(&l->raw.blocks[0], "include"); /* a file may have moved it */
	}
	return r;
}

static int
read_presets(struct loader *l)
{
	CLEANUP_BUF struct buf pattern = BUF_INIT(4096);

	if (l->env->provider_dir == NULL)
		return 0;
	if (buf_printf(&pattern, "%s/*.conf", l->env->provider_dir) < 0)
		return -ENOMEM;
	return read_pattern(
	    &l->presets, buf_str(&pattern), (struct conf_place){l->env->provider_dir, 0}, false);
}

static int
index_providers(const struct raw *raw, struct name_set *set)
{
	int r = 0;

	for (size_t i = 1; i < raw->count && r == 0; i++)
		if (raw->blocks[i].kind == CONF_BLOCK_PROVIDER)
			(void)name_set_add(set, raw->blocks[i].title, &raw->blocks[i], &r);
	return r;
}

int
loader_read(struct loader *l, const char *path, bool must_exist, struct buf *report)
{
	int r = raw_init(&l->raw, report);

	if (r == 0)
		r = raw_init(&l->presets, report);
	if (r == 0 && (must_exist || access(path, F_OK) == 0)) {
		r = raw_read_file(&l->raw, path);
		if (r == 0)
			r = read_includes(l, path);
	}
	if (r == 0)
		r = read_presets(l);
	if (r == 0)
		r = index_providers(&l->presets, &l->preset_names);
	return r < 0 ? r : index_providers(&l->raw, &l->provider_names);
}

void
loader_clear(struct loader *l)
{
	name_set_free(&l->preset_names);
	name_set_free(&l->provider_names);
	name_set_free(&l->listen_addresses);
	for (size_t i = 0; i < ARRAY_SIZE(l->names); i++)
		name_set_free(&l->names[i]);
	raw_free(&l->raw);
	raw_free(&l->presets);
	l->conf = conf_free(l->conf);
}

/* ---- what blocks have in common ---- */

int
loader_check_title(struct loader *l, const struct raw_block *b)
{
	const char *kind = conf_blocks[b->kind].name;
	const struct raw_block *first;
	int r;

	if (!value_name(b->title)) {
		raw_error(&l->raw, b->place,
		    "%s \"%s\": wants a name of letters, digits, '.', '_' and '-', at most 64",
		    kind, b->title);
		return 0;
	}
	first = name_set_add(&l->names[b->kind], b->title, b, &r);
	if (first != NULL)
		raw_error(&l->raw, b->place, "%s \"%s\" is there twice; %s:%u has it too", kind,
		    b->title, first->place.file, first->place.line);
	return r;
}

void
loader_begin_block(struct loader *l)
{
	l->raw.in_block = true;
	l->raw.block_errors = 0;
}

unsigned
loader_end_block(struct loader *l)
{
	l->raw.in_block = false;
	return l->raw.block_errors;
}

int
loader_set_lapse(struct loader *l, char **lapse, size_t before)
{
	return loader_default_string(lapse, l->conf->lapses.items[before]);
}

int
loader_default_string(char **target, const char *value)
{
	if (*target != NULL)
		return 0;
	*target = strdup(value);
	return *target == NULL ? -ENOMEM : 0;
}

void
loader_check_reference(struct loader *l, const struct conf_reference *ref)
{
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	CLEANUP_SECRET struct secret *s = NULL;

	if (ref->text == NULL || !l->env->check_files || reference_is_command(ref))
		return;
	s = reference_read(ref, &why);
	if (s == NULL)
		raw_error(&l->raw, ref->place, "%s", buf_str(&why));
}
