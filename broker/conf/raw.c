/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * raw.c: see raw.h. A file is read into memory and parsed there, token by token. An error of form ends the reading of its file,
 * since what follows it could be taken for something else; a key or a block that is unknown is passed over, and the next one read.
 */
#include "broker/conf/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/tokens.h"
#include "broker/conf/values.h"

enum { FILE_MAX = 32 * 1024 * 1024, NAMES_MAX = 96 };

static void
entries_free(struct raw_block *b)
{
	for (size_t i = 0; i < b->count; i++)
		conf_strings_free(&b->entries[i].values);
	free(b->entries);
	b->entries = NULL;
	b->count = 0;
}

int
raw_init(struct raw *raw, struct buf *report)
{
	*raw = (struct raw){.report = report};
	raw->blocks = calloc(1, sizeof(*raw->blocks));
	if (raw->blocks == NULL)
		return -ENOMEM;
	raw->count = 1; /* the top level */
	return 0;
}

void
raw_free(struct raw *raw)
{
	for (size_t i = 0; i < raw->count; i++) {
		entries_free(&raw->blocks[i]);
		free(raw->blocks[i].title);
	}
	free(raw->blocks);
	conf_strings_free(&raw->files);
	conf_strings_free(&raw->missing_users);
	conf_strings_free(&raw->missing_groups);
	*raw = (struct raw){0};
}

const struct raw_entry *
raw_find(const struct raw_block *b, const char *key)
{
	for (size_t i = 0; b != NULL && i < b->count; i++)
		if (strcmp(b->entries[i].key->name, key) == 0)
			return &b->entries[i];
	return NULL;
}

/* ---- errors ---- */

PRINTF_LIKE(4, 0)
static void
say(struct raw *raw, struct conf_place at, const char *what, const char *format, va_list ap)
{
	if (at.line > 0)
		(void)buf_printf(raw->report, "%s:%u: %s: ", at.file, at.line, what);
	else
		(void)buf_printf(raw->report, "%s: %s: ", at.file, what);
	(void)buf_vprintf(raw->report, format, ap);
	(void)buf_append_char(raw->report, '\n');
}

/* An error; true where it is a lapse of the block instead. */
PRINTF_LIKE(3, 0)
static bool
say_error(struct raw *raw, struct conf_place at, const char *format, va_list ap)
{
	size_t before = raw->report->len;
	CLEANUP_FREE char *line = NULL;

	say(raw, at, "error", format, ap);
	if (raw->lapses != NULL && raw->in_block && raw->report->len > before) {
		line = strndup(raw->report->data + before, raw->report->len - before - 1);
		if (line != NULL && conf_strings_add(raw->lapses, line) == 0)
			return true;
	}
	raw->errors++;
	return false;
}

void
raw_error(struct raw *raw, struct conf_place at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (say_error(raw, at, format, ap))
		raw->block_errors++;
	va_end(ap);
}

void
raw_missing(struct raw *raw, struct conf_place at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)say_error(raw, at, format, ap);
	va_end(ap);
}

void
raw_warning(struct raw *raw, struct conf_place at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(raw, at, "warning", format, ap);
	va_end(ap);
}

const char *
raw_suggest(const char *near)
{
	static char text[128];

	text[0] = '\0';
	if (near != NULL)
		(void)snprintf(text, sizeof(text), "; did you mean \"%s\"?", near);
	return text;
}

struct raw_parser {
	struct raw *raw;
	const char *file; /* lives in raw->files */
	struct tokens tokens;
};

/* ---- the grammar ---- */

static enum conf_block
find_block(const char *name)
{
	for (enum conf_block b = CONF_BLOCK_LIMITS; b < CONF_BLOCK_COUNT; b++)
		if (strcmp(conf_blocks[b].name, name) == 0)
			return b;
	return CONF_BLOCK_TOP;
}

static const struct conf_key *
find_key(enum conf_block block, const char *name)
{
	const struct conf_block_def *d = &conf_blocks[block];

	for (size_t i = 0; i < d->key_count; i++)
		if (d->keys[i].name != NULL && strcmp(d->keys[i].name, name) == 0)
			return &d->keys[i];
	return NULL;
}

static void
report_unknown(struct raw_parser *p, enum conf_block block, const char *name, unsigned line)
{
	const struct conf_block_def *d = &conf_blocks[block];
	const char *names[NAMES_MAX], *near;
	size_t n = 0;

	for (size_t i = 0; i < d->key_count; i++)
		if (d->keys[i].name != NULL)
			names[n++] = d->keys[i].name;
	for (enum conf_block b = CONF_BLOCK_LIMITS; block == CONF_BLOCK_TOP && b < CONF_BLOCK_COUNT;
	     b++)
		names[n++] = conf_blocks[b].name;
	names[n] = NULL;
	near = value_did_you_mean(name, names);
	raw_error(p->raw, (struct conf_place){p->file, line}, "unknown key \"%s\" %s%s%s%s", name,
	    block == CONF_BLOCK_TOP ? "at the top level" : "in ",
	    block == CONF_BLOCK_TOP ? "" : d->name, block == CONF_BLOCK_TOP ? "" : " block",
	    near == NULL ? " (frank.conf(5) lists them)" : raw_suggest(near));
}

static int
add_entry(struct raw_parser *p, struct raw_block *b, const struct conf_key *key, unsigned line,
    struct conf_strings *values)
{
	const struct raw_entry *there = raw_find(b, key->name);
	struct conf_place place = {p->file, line};
	struct raw_entry *e;

	if (there != NULL) {
		if (there->place.file == p->file)
			raw_error(p->raw, place, "\"%s\" is set twice; line %u has it too",
			    key->name, there->place.line);
		else
			raw_error(p->raw, place, "\"%s\" is set twice; %s:%u has it too", key->name,
			    there->place.file, there->place.line);
		return 0;
	}
	e = reallocarray(b->entries, b->count + 1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	b->entries = e;
	b->entries[b->count++] = (struct raw_entry){.key = key, .place = place, .values = *values};
	*values = (struct conf_strings){0};
	return 0;
}

/* What stands behind the `=`. `key` is NULL for one that is unknown. */
static int
parse_values(
    struct raw_parser *p, const char *name, const struct conf_key *key, struct conf_strings *ret)
{
	bool list = p->tokens.token == TOKEN_OPEN;
	int r = 0;

	if (list && key != NULL && !conf_types[key->type].list)
		tokens_fail(
		    &p->tokens, p->tokens.token_line, "\"%s\" takes one value, not a list", name);
	if (list)
		tokens_next(&p->tokens);
	while (r == 0 && tokens_is_value(&p->tokens)) {
		r = conf_strings_add(ret, buf_str(&p->tokens.value));
		tokens_next(&p->tokens);
		if (!list || p->tokens.token != TOKEN_COMMA)
			break;
		tokens_next(&p->tokens);
	}
	if (p->tokens.failed || r < 0)
		return r;
	if (list ? p->tokens.token != TOKEN_CLOSE : ret->count == 0) {
		if (p->tokens.token == TOKEN_END)
			tokens_fail(&p->tokens, p->tokens.token_line,
			    "\"%s\": its value is missing at the end of the file", name);
		else if (tokens_is_value(&p->tokens))
			tokens_fail(&p->tokens, p->tokens.token_line,
			    "\"%s\": a comma is missing before \"%s\"", name,
			    buf_str(&p->tokens.value));
		else
			tokens_fail(&p->tokens, p->tokens.token_line,
			    "\"%s\": unexpected token '%c'", name, (char)p->tokens.token);
	} else if (list) {
		tokens_next(&p->tokens);
	}
	return 0;
}

/* Passes over a block that is unknown. */
static void
skip_block(struct raw_parser *p)
{
	unsigned depth = 0;

	do {
		depth += p->tokens.token == TOKEN_OPEN;
		depth -= p->tokens.token == TOKEN_CLOSE;
		tokens_next(&p->tokens);
	} while (depth > 0 && p->tokens.token != TOKEN_END);
}

static int
parse_key(struct raw_parser *p, enum conf_block block, struct raw_block *b, const char *name,
    unsigned line)
{
	const struct conf_key *key = find_key(block, name);
	struct conf_strings values = {0};
	int r;

	if (key == NULL)
		report_unknown(p, block, name, line);
	if (key == NULL && p->tokens.token != TOKEN_EQUALS) {
		if (tokens_is_value(&p->tokens))
			tokens_next(&p->tokens);
		if (p->tokens.token == TOKEN_OPEN)
			skip_block(p);
		return 0;
	}
	if (p->tokens.token != TOKEN_EQUALS) {
		tokens_fail(&p->tokens, line, "\"%s\" is a key: write %s = ...", name, name);
		return 0;
	}
	tokens_next(&p->tokens);
	r = parse_values(p, name, key, &values);
	if (r == 0 && key != NULL && !p->tokens.failed)
		r = add_entry(p, b, key, line, &values);
	conf_strings_free(&values);
	return r;
}

/* Keys up to the end of the block. `opened`: the line of its brace. */
static int
parse_keys(struct raw_parser *p, enum conf_block block, struct raw_block *b, unsigned opened)
{
	int r = 0;

	while (r == 0 && p->tokens.token == TOKEN_WORD) {
		CLEANUP_FREE char *name = strdup(buf_str(&p->tokens.value));
		unsigned line = p->tokens.token_line;

		tokens_next(&p->tokens);
		r = name == NULL ? -ENOMEM : parse_key(p, block, b, name, line);
	}
	if (p->tokens.failed || r < 0)
		return r;
	if (p->tokens.token == TOKEN_END)
		tokens_fail(&p->tokens, opened, "the block that opens here is never closed with }");
	else if (p->tokens.token != TOKEN_CLOSE)
		tokens_fail(&p->tokens, p->tokens.token_line, "a key is missing before %s",
		    tokens_is_value(&p->tokens) ? "this string" : "this");
	else
		tokens_next(&p->tokens);
	return 0;
}

static int
add_block(struct raw *raw, struct raw_block *b)
{
	struct raw_block *blocks = raw->blocks;

	if ((raw->count & (raw->count - 1)) == 0) {
		blocks = reallocarray(blocks, raw->count * 2, sizeof(*blocks));
		if (blocks == NULL)
			return -ENOMEM;
		raw->blocks = blocks;
	}
	blocks[raw->count++] = *b;
	*b = (struct raw_block){0};
	return 0;
}

static int
parse_block(struct raw_parser *p, enum conf_block kind, unsigned line)
{
	struct raw_block b = {.kind = kind, .place = {p->file, line}};
	const char *name = conf_blocks[kind].name;
	unsigned opened;
	int r;

	if (tokens_is_value(&p->tokens) && conf_block_is_titled(kind)) {
		b.title = strdup(buf_str(&p->tokens.value));
		if (b.title == NULL)
			return -ENOMEM;
		tokens_next(&p->tokens);
	} else if (conf_block_is_titled(kind)) {
		tokens_fail(&p->tokens, line, "%s needs a name: %s \"NAME\" { ... }", name, name);
	} else if (tokens_is_value(&p->tokens)) {
		tokens_fail(&p->tokens, line, "%s has no name: %s { ... }", name, name);
	}
	if (!p->tokens.failed && p->tokens.token != TOKEN_OPEN)
		tokens_fail(
		    &p->tokens, line, "%s is a block: its keys stand between { and }", name);
	opened = p->tokens.token_line;
	tokens_next(&p->tokens);
	r = p->tokens.failed ? 0 : parse_keys(p, kind, &b, opened);
	if (r == 0 && !p->tokens.failed)
		r = add_block(p->raw, &b);
	free(b.title);
	entries_free(&b);
	return r;
}

static int
parse_file(struct raw_parser *p)
{
	int r = 0;

	tokens_next(&p->tokens);
	while (r == 0 && p->tokens.token == TOKEN_WORD) {
		CLEANUP_FREE char *name = strdup(buf_str(&p->tokens.value));
		unsigned line = p->tokens.token_line;
		enum conf_block kind;

		if (name == NULL)
			return -ENOMEM;
		kind = find_block(name);
		tokens_next(&p->tokens);
		r = kind == CONF_BLOCK_TOP ? parse_key(p, kind, &p->raw->blocks[0], name, line)
					   : parse_block(p, kind, line);
	}
	if (r == 0 && !p->tokens.failed && p->tokens.token != TOKEN_END)
		tokens_fail(&p->tokens, p->tokens.token_line,
		    "a key or a block is missing before %s",
		    tokens_is_value(&p->tokens) ? "this string" : "this");
	return r;
}

/* ---- a file ---- */

static int
read_whole(const char *path, struct buf *text, struct stat *st)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n;

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EISDIR;
	if (st->st_size > FILE_MAX)
		return -EFBIG;
	if (buf_reserve(text, (size_t)st->st_size + 1) < 0)
		return -ENOMEM;
	while ((n = read(fd, text->data + text->len, text->cap - 1 - text->len)) > 0) {
		text->len += (size_t)n;
		if (buf_reserve(text, 1) < 0)
			return -EFBIG;
	}
	return n < 0 ? -errno : 0;
}

int
raw_read_file(struct raw *raw, const char *path)
{
	CLEANUP_BUF struct buf text = BUF_INIT(FILE_MAX + 1);
	struct raw_parser p = {.raw = raw};
	struct stat st = {0};
	int r = conf_strings_add(&raw->files, path);

	if (r < 0)
		return r;
	p.file = raw->files.items[raw->files.count - 1];
	r = read_whole(path, &text, &st);
	if (r < 0) {
		raw_error(raw, (struct conf_place){p.file, 0}, "cannot be read: %s",
		    r == -EISDIR ? "it is no regular file" : strerror(-r));
		return 0;
	}
	raw->stamp = raw->stamp * 31 + (uint64_t)st.st_ino +
		     (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
	tokens_init(&p.tokens, text.data, text.len);
	if (memchr(text.data, '\0', text.len) != NULL)
		raw_error(raw, (struct conf_place){p.file, 0}, "a NUL octet: this is no text file");
	else
		r = parse_file(&p);
	if (p.tokens.failed)
		raw_error(raw, (struct conf_place){p.file, p.tokens.error_line}, "%s",
		    buf_str(&p.tokens.error));
	tokens_clear(&p.tokens);
	return r;
}
