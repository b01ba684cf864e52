/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * raw.c: see raw.h. libconfuse parses; around it stands what it lacks.
 *
 * A file is read into memory and looked over once before libconfuse sees it: a block left open,
 * which libconfuse takes for complete at the end of the file, and `${NAME}` in double quotes, which
 * it would replace from the environment, are errors. That look also notes the line on which each
 * block opens, because libconfuse keeps only the line it has got to.
 *
 * Values are collected by its callbacks, one value at a time, each with the line it stands on. A
 * block is taken out of libconfuse's own tree as soon as it is complete: with thousands of them its
 * search for equal titles is quadratic. The callbacks have no argument of ours, so the reader that
 * is at work stands in one static pointer.
 */
#include "broker/conf/raw.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 32 * 1024 * 1024, KEYS_MAX = 96, NAME_SET_FIRST = 64 };

/* One file being read. */
struct reader {
	struct raw *raw;
	const char *file;     /* lives in raw->files */
	const char *text;     /* of the file, while it is parsed */
	unsigned *open_lines; /* the line on which the nth block opens */
	size_t open_count, open_at;
	struct raw_block pending; /* entries of the block that is open */
	struct raw_block top;     /* entries outside of blocks */
	int failed;               /* -ENOMEM */
};

static struct reader *reader; /* see above */

/* ---- small containers ---- */

int
conf_strings_add(struct conf_strings *s, const char *item)
{
	char **items = reallocarray(s->items, s->count + 1, sizeof(*items));

	if (items == NULL)
		return -ENOMEM;
	s->items = items;
	items[s->count] = strdup(item);
	if (items[s->count] == NULL)
		return -ENOMEM;
	s->count++;
	return 0;
}

void
conf_strings_free(struct conf_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct conf_strings){0};
}

static size_t
hash_name(const char *name)
{
	size_t h = 14695981039346656037u; /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return h;
}

static size_t
name_slot(const struct name_set *s, const char *name)
{
	size_t at = hash_name(name) & (s->size - 1);

	while (s->slots[at] != NULL && strcmp(s->slots[at], name) != 0)
		at = (at + 1) & (s->size - 1);
	return at;
}

static int
name_set_grow(struct name_set *s)
{
	struct name_set bigger = {.size = s->size == 0 ? NAME_SET_FIRST : s->size * 2};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	bigger.values = calloc(bigger.size, sizeof(*bigger.values));
	if (bigger.slots == NULL || bigger.values == NULL) {
		name_set_free(&bigger);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->size; i++) {
		if (s->slots[i] != NULL) {
			size_t at = name_slot(&bigger, s->slots[i]);

			bigger.slots[at] = s->slots[i];
			bigger.values[at] = s->values[i];
		}
	}
	bigger.used = s->used;
	name_set_free(s);
	*s = bigger;
	return 0;
}

const void *
name_set_add(struct name_set *s, const char *name, const void *value, int *ret)
{
	size_t at;

	*ret = 0;
	if (s->used * 2 >= s->size && (*ret = name_set_grow(s)) < 0)
		return NULL;
	at = name_slot(s, name);
	if (s->slots[at] != NULL)
		return s->values[at];
	s->slots[at] = name;
	s->values[at] = value;
	s->used++;
	return NULL;
}

const void *
name_set_get(const struct name_set *s, const char *name)
{
	return s->size == 0 ? NULL : s->values[name_slot(s, name)];
}

void
name_set_free(struct name_set *s)
{
	free(s->slots);
	free(s->values);
	*s = (struct name_set){0};
}

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
	*raw = (struct raw){.report = report, .capacity = 16};
	raw->blocks = calloc(raw->capacity, sizeof(*raw->blocks));
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

const char *
raw_kind_name(enum raw_kind kind)
{
	static const char *const names[] = {"the top level", "account", "service", "provider",
	    "limits", "spool", "tokens", "listener", "notify", "webhook"};

	return names[kind];
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

void
raw_error(struct raw *raw, struct conf_place at, const char *format, ...)
{
	va_list ap;

	raw->errors++;
	va_start(ap, format);
	say(raw, at, "error", format, ap);
	va_end(ap);
}

void
raw_lapse(struct raw *raw, struct conf_place at, const char *format, ...)
{
	size_t before = raw->report->len;
	va_list ap;

	va_start(ap, format);
	say(raw, at, "error", format, ap);
	va_end(ap);
	if (raw->lapses == NULL) {
		raw->errors++;
	} else {
		CLEANUP_FREE char *line = strndup(buf_str(raw->report) + before,
		    raw->report->len - before - (raw->report->len > before));

		if (line == NULL || conf_strings_add(raw->lapses, line) < 0)
			raw->errors++;
	}
}

void
raw_warning(struct raw *raw, struct conf_place at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(raw, at, "warning", format, ap);
	va_end(ap);
}

/* ---- the look before libconfuse ---- */

struct look {
	const char *text;
	size_t len, at;
	unsigned line;
	char before; /* the last character that was no white space */
};

/* Steps over a comment that begins at `at`; true if there was one. */
static bool
skip_comment(struct look *k)
{
	const char *p = k->text + k->at;
	size_t left = k->len - k->at;
	bool block = left >= 2 && p[0] == '/' && p[1] == '*';

	if (p[0] != '#' && !(left >= 2 && p[0] == '/' && (p[1] == '/' || block)))
		return false;
	for (; k->at < k->len; k->at++) {
		if (k->text[k->at] == '\n') {
			if (!block)
				return true;
			k->line++;
		}
		if (block && k->text + k->at - p >= 3 && k->text[k->at] == '/' &&
		    k->text[k->at - 1] == '*') {
			k->at++;
			return true;
		}
	}
	return true;
}

/* Steps over a quoted string that begins at `at`. It ends on its line: no value holds a line end, and a quote that is
 * missing is told where it is missing. */
static void
skip_string(struct reader *r, struct look *k)
{
	char quote = k->text[k->at];

	for (k->at++; k->at < k->len && k->text[k->at] != quote && k->text[k->at] != '\n';
	     k->at++) {
		if (k->text[k->at] == '\\' && k->at + 1 < k->len && k->text[k->at + 1] != '\n') {
			k->at++;
		} else if (quote == '"' && k->text[k->at] == '$' && k->at + 1 < k->len &&
			   k->text[k->at + 1] == '{') {
			raw_error(r->raw, (struct conf_place){r->file, k->line},
			    "\"${\" would be replaced from the environment; write it in single "
			    "quotes if it is meant as it stands");
		}
	}
	if (k->at >= k->len || k->text[k->at] == '\n')
		raw_error(r->raw, (struct conf_place){r->file, k->line},
		    "a string that begins here is never closed with %c", quote);
	else
		k->at++;
}

static int
note_open(struct reader *r, unsigned line)
{
	unsigned *lines = reallocarray(r->open_lines, r->open_count + 1, sizeof(*lines));

	if (lines == NULL)
		return -ENOMEM;
	lines[r->open_count++] = line;
	r->open_lines = lines;
	return 0;
}

/* Finds what libconfuse would pass over, and where blocks open. */
static int
look_over(struct reader *r, const char *text, size_t len)
{
	struct look k = {.text = text, .len = len, .line = 1};
	unsigned depth = 0, opened = 0;

	while (k.at < k.len) {
		char c = k.text[k.at];

		if (skip_comment(&k))
			continue;
		if (c == '"' || c == '\'') {
			skip_string(r, &k);
			k.before = c;
			continue;
		}
		if (c == '\0') {
			raw_error(r->raw, (struct conf_place){r->file, k.line},
			    "a NUL octet: this is no text file");
			return 0;
		}
		if (c == '{') {
			if (depth++ == 0) {
				opened = k.line;
				if (k.before != '=' && note_open(r, k.line) < 0)
					return -ENOMEM;
			}
		} else if (c == '}' && depth > 0) {
			depth--;
		} else if (c == '\n') {
			k.line++;
		}
		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			k.before = c;
		k.at++;
	}
	if (depth > 0)
		raw_error(r->raw, (struct conf_place){r->file, opened},
		    "the block that opens here is never closed with }");
	return 0;
}

/* ---- libconfuse's callbacks ---- */

static const struct raw_key *
find_key(enum raw_kind kind, const char *name)
{
	for (const struct raw_key *k = raw_keys[kind]; k->name != NULL; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static enum raw_kind
kind_of(const cfg_t *cfg)
{
	for (int kind = RAW_ACCOUNT; kind < RAW_KIND_COUNT; kind++)
		if (strcmp(cfg->name, raw_kind_name((enum raw_kind)kind)) == 0)
			return (enum raw_kind)kind;
	return RAW_TOP;
}

static struct raw_entry *
entry_for(struct raw_block *b, const struct raw_key *key, struct conf_place place)
{
	struct raw_entry *e;

	for (size_t i = 0; i < b->count; i++)
		if (b->entries[i].key == key)
			return &b->entries[i];
	e = reallocarray(b->entries, b->count + 1, sizeof(*e));
	if (e == NULL)
		return NULL;
	b->entries = e;
	e = &b->entries[b->count++];
	*e = (struct raw_entry){.key = key, .place = place};
	return e;
}

/* libconfuse counts a list's values from the first again where it is set a second time. */
static bool
key_is_set_again(const struct raw_entry *e, const cfg_opt_t *opt)
{
	return e->key->list ? opt->nvalues <= e->values.count : e->values.count > 0;
}

/* One value was parsed. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	enum raw_kind kind = kind_of(cfg);
	struct conf_place place = {reader->file, (unsigned)cfg->line};
	struct raw_block *b = kind == RAW_TOP ? &reader->top : &reader->pending;
	struct raw_entry *e = entry_for(b, find_key(kind, opt->name), place);

	*(const char **)result = ""; /* libconfuse's own copy is not used */
	if (e == NULL)
		reader->failed = -ENOMEM;
	else if (key_is_set_again(e, opt))
		raw_error(reader->raw, place, "\"%s\" is set twice; line %u has it too", opt->name,
		    e->place.line);
	else if (conf_strings_add(&e->values, value) < 0)
		reader->failed = -ENOMEM;
	return reader->failed;
}

/* An option was set, perhaps to an empty list. */
static int
on_option(cfg_t *cfg, cfg_opt_t *opt)
{
	enum raw_kind kind = kind_of(cfg);
	struct raw_block *b = kind == RAW_TOP ? &reader->top : &reader->pending;
	struct conf_place place = {reader->file, (unsigned)cfg->line};
	struct raw_entry *e =
	    entry_for(b, find_key(kind, opt->name), place); /* an empty list has no value */

	if (e == NULL)
		return reader->failed = -ENOMEM;
	return 0;
}

static int
add_block(struct raw *raw, struct raw_block b)
{
	if (raw->count == raw->capacity) {
		struct raw_block *blocks =
		    reallocarray(raw->blocks, raw->capacity * 2, sizeof(*blocks));

		if (blocks == NULL)
			return -ENOMEM;
		raw->blocks = blocks;
		raw->capacity *= 2;
	}
	raw->blocks[raw->count++] = b;
	return 0;
}

/* A block is complete: keep it, and take it out of libconfuse's tree. */
static int
on_block(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned last = cfg_opt_size(opt) - 1;
	const char *title = cfg_title(cfg_opt_getnsec(opt, last));
	struct raw_block b = reader->pending;

	b.kind = kind_of(cfg_opt_getnsec(opt, last));
	b.place = (struct conf_place){reader->file, (unsigned)cfg->line};
	if (reader->open_at < reader->open_count)
		b.place.line = reader->open_lines[reader->open_at++];
	b.title = title == NULL ? NULL : strdup(title);
	if ((title != NULL && b.title == NULL) || add_block(reader->raw, b) < 0) {
		free(b.title);
		return reader->failed = -ENOMEM;
	}
	reader->pending = (struct raw_block){0};
	(void)cfg_opt_rmnsec(opt, last);
	return 0;
}

static const char *
name_list(enum raw_kind kind, const char **ret, size_t size)
{
	size_t n = 0;

	for (const struct raw_key *k = raw_keys[kind]; k->name != NULL && n + 1 < size; k++)
		ret[n++] = k->name;
	if (kind == RAW_TOP)
		for (int block = RAW_ACCOUNT; block < RAW_KIND_COUNT && n + 1 < size; block++)
			ret[n++] = raw_kind_name((enum raw_kind)block);
	ret[n] = NULL;
	return ret[0];
}

/* The key that is set on this line of the text, or NULL. The caller frees it. */
static char *
key_on_line(const char *text, unsigned line)
{
	size_t len;

	while (text != NULL && line-- > 1) {
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	if (text == NULL)
		return NULL;
	text += strspn(text, " \t");
	len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return len > 0 && text[len + strspn(text + len, " \t")] == '=' ? strndup(text, len) : NULL;
}

/* "unexpected token '{'" does not say whose: the key on the line does. */
static void
error_of_key(struct conf_place place, const char *what)
{
	CLEANUP_FREE char *key = key_on_line(reader->text, place.line);

	if (key == NULL)
		raw_error(reader->raw, place, "%s", what);
	else if (strcmp(what, "unexpected token '{'") == 0)
		raw_error(reader->raw, place, "\"%s\" takes one value, not a list", key);
	else
		raw_error(reader->raw, place, "\"%s\": %s", key, what);
}

/* libconfuse's error: what can be helped gets help. */
PRINTF_LIKE(2, 0)
static void
on_error(cfg_t *cfg, const char *format, va_list ap)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	struct conf_place place = {reader->file, (unsigned)cfg->line};
	const char *names[KEYS_MAX], *near = NULL;
	char *word, *end;

	(void)buf_vprintf(&text, format, ap);
	word = strstr(buf_str(&text), "no such option '");
	if (word == NULL) {
		error_of_key(place, buf_str(&text));
		return;
	}
	word = strchr(word, '\'') + 1;
	end = strrchr(word, '\'');
	if (end != NULL)
		*end = '\0';
	(void)name_list(kind_of(cfg), names, ARRAY_SIZE(names));
	near = conf_did_you_mean(word, names);
	raw_error(reader->raw, place, "\"%s\" is no word of %s%s%s%s%s", word,
	    kind_of(cfg) == RAW_TOP ? "the top level" : "this block",
	    near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
	    near == NULL ? "" : "\"?", near == NULL ? " (frank.conf(5) lists them)" : "");
}

/* ---- the schema, made from the keys ---- */

struct schema {
	cfg_opt_t keys[RAW_KIND_COUNT][KEYS_MAX];
};

static size_t
add_keys(cfg_opt_t *to, enum raw_kind kind)
{
	size_t n = 0;

	for (const struct raw_key *k = raw_keys[kind]; k->name != NULL; k++, n++) {
		cfg_opt_t one = CFG_STR(NULL, NULL, CFGF_NODEFAULT),
			  list = CFG_STR_LIST(NULL, NULL, CFGF_NODEFAULT);

		to[n] = k->list ? list : one;
		to[n].name = k->name;
		to[n].parsecb = on_value;
		to[n].validcb = on_option;
	}
	to[n] = (cfg_opt_t)CFG_END();
	return n;
}

static void
make_schema(struct schema *s)
{
	size_t top = add_keys(s->keys[RAW_TOP], RAW_TOP);

	for (int kind = RAW_ACCOUNT; kind < RAW_KIND_COUNT; kind++) {
		cfg_opt_t block = CFG_SEC(NULL, NULL, CFGF_MULTI);

		(void)add_keys(s->keys[kind], (enum raw_kind)kind);
		block.name = raw_kind_name((enum raw_kind)kind);
		block.subopts = s->keys[kind];
		if (kind == RAW_ACCOUNT || kind == RAW_SERVICE || kind == RAW_PROVIDER ||
		    kind == RAW_LISTENER || kind == RAW_WEBHOOK)
			block.flags |= CFGF_TITLE;
		block.validcb = on_block;
		s->keys[RAW_TOP][top++] = block;
	}
	s->keys[RAW_TOP][top] = (cfg_opt_t)CFG_END();
}

/* ---- a file ---- */

static int
read_whole(const char *path, struct buf *text)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EISDIR;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	if (buf_reserve(text, (size_t)st.st_size + 1) < 0)
		return -ENOMEM;
	while ((n = read(fd, text->data + text->len, text->cap - 1 - text->len)) > 0) {
		text->len += (size_t)n;
		if (buf_reserve(text, 1) < 0)
			return -EFBIG;
	}
	text->data[text->len] = '\0';
	return n < 0 ? -errno : 0;
}

/* Moves what stood outside of blocks to the top level of all files. */
static int
merge_top(struct reader *r)
{
	struct raw_block *top = &r->raw->blocks[0];

	for (size_t i = 0; i < r->top.count; i++) {
		struct raw_entry *from = &r->top.entries[i];
		const struct raw_entry *there = raw_find(top, from->key->name);
		struct raw_entry *to;

		if (there != NULL) {
			raw_error(r->raw, from->place, "\"%s\" is set twice; %s:%u has it too",
			    from->key->name, there->place.file, there->place.line);
			continue;
		}
		to = entry_for(top, from->key, from->place);
		if (to == NULL)
			return -ENOMEM;
		to->values = from->values;
		from->values = (struct conf_strings){0};
	}
	return 0;
}

static int
parse(struct reader *r, const struct buf *text)
{
	struct schema *schema = calloc(1, sizeof(*schema));
	FILE *f = text->len == 0 ? NULL : fmemopen(text->data, text->len, "r");
	cfg_t *cfg = NULL;
	int status;

	if (schema == NULL || (text->len > 0 && f == NULL)) {
		free(schema);
		if (f != NULL)
			(void)fclose(f);
		return -ENOMEM;
	}
	make_schema(schema);
	cfg = cfg_init(schema->keys[RAW_TOP], CFGF_NONE);
	if (cfg == NULL) {
		r->failed = -ENOMEM;
	} else if (f != NULL) {
		r->text = text->data;
		(void)cfg_set_error_function(cfg, on_error);
		cfg->filename = strdup(r->file);
		reader = r;
		status = cfg_parse_fp(cfg, f);
		reader = NULL;
		if (status != CFG_SUCCESS && r->raw->errors == 0 && r->failed == 0)
			raw_error(r->raw, (struct conf_place){r->file, (unsigned)cfg->line},
			    "this cannot be read as a configuration");
	}
	if (cfg != NULL)
		(void)cfg_free(cfg);
	if (f != NULL)
		(void)fclose(f);
	free(schema);
	return r->failed;
}

int
raw_read_file(struct raw *raw, const char *path)
{
	CLEANUP_BUF struct buf text = BUF_INIT(FILE_MAX + 1);
	struct reader r = {.raw = raw};
	unsigned errors = raw->errors;
	int status = conf_strings_add(&raw->files, path);

	if (status < 0)
		return status;
	r.file = raw->files.items[raw->files.count - 1];
	status = read_whole(path, &text);
	if (status < 0) {
		raw_error(raw, (struct conf_place){r.file, 0}, "cannot be read: %s",
		    status == -EISDIR ? "it is no regular file" : strerror(-status));
		return 0;
	}
	status = look_over(&r, text.data, text.len);
	if (status == 0 && raw->errors == errors)
		status = parse(&r, &text);
	if (status == 0)
		status = merge_top(&r);
	entries_free(&r.pending);
	entries_free(&r.top);
	free(r.open_lines);
	return status;
}
