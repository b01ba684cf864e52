/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * aliases.c: see aliases.h.
 *
 * A file is a list of aliases in the order of its lines, each with a list of targets, and a tree of names. An expansion walks from
 * target to target; every alias is entered once in a walk (`stamp`), and one that is entered again while it is still being walked
 * (`on_path`) is a loop. Recursion is bounded by ALIASES_DEPTH_MAX, work by STEPS_MAX.
 *
 * An alias without targets is a line in which nothing is an address. It counts as none, and is kept for the words of a refusal.
 */
#include "base/aliases.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/address.h"

enum { STEPS_MAX = 20000, NAME_MAX_LEN = 256, PROBLEMS_SHOWN = 100 };

enum target_kind {
	TARGET_ADDRESS, /* an address, or a local name that may be an alias itself */
	TARGET_FINAL,   /* a local name that is not expanded */
	TARGET_PROGRAM,
	TARGET_FILE,
	TARGET_INCLUDE,
	TARGET_SPECIAL, /* Exim's :blackhole: and the like */
};

struct target {
	STAILQ_ENTRY(target) link;
	enum target_kind kind;
	unsigned line;
	char text[];
};

struct alias {
	STAILQ_ENTRY(alias) link;
	char *name; /* lower case; "*" for all others */
	unsigned line;
	STAILQ_HEAD(, target) targets;
	unsigned stamp; /* the walk that entered it last */
	bool on_path;
};

struct aliases {
	char *file;
	STAILQ_HEAD(, alias) list;
	void *names;  /* the same, as a tree of tsearch(3) */
	size_t count; /* of those with targets */
	unsigned stamp;
	unsigned problems;
};

/* ---- names ---- */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int
compare_names(const void *a, const void *b)
{
	return strcasecmp(((const struct alias *)a)->name, ((const struct alias *)b)->name);
}

/* The alias of this name, be it without targets. `a` may be NULL. */
static struct alias *
lookup(const struct aliases *a, const char *name)
{
	const struct alias key = {.name = (char *)name};
	struct alias *const *found = a == NULL ? NULL : tfind(&key, &a->names, compare_names);

	return found == NULL ? NULL : *found;
}

static struct alias *
find(const struct aliases *a, const char *name)
{
	struct alias *e = lookup(a, name);

	return e == NULL || STAILQ_EMPTY(&e->targets) ? NULL : e;
}

static void
alias_free(void *alias)
{
	struct alias *e = alias;
	struct target *t;

	while ((t = STAILQ_FIRST(&e->targets)) != NULL) {
		STAILQ_REMOVE_HEAD(&e->targets, link);
		free(t);
	}
	free(e->name);
	free(e);
}

/* A new alias in the tree, without targets and in no list. NULL: no memory. */
static struct alias *
alias_new(struct aliases *a, const char *name, unsigned line)
{
	struct alias *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	STAILQ_INIT(&e->targets);
	e->line = line;
	e->name = strdup(name);
	if (e->name == NULL || tsearch(e, &a->names, compare_names) == NULL) {
		alias_free(e);
		return NULL;
	}
	return e;
}

/* ---- reading ---- */

struct alias_reader {
	struct aliases *a;
	struct buf *report;
	unsigned line; /* of the alias being read */
	struct alias *alias;
};

/* Problems beyond those shown are counted. */
PRINTF_LIKE(4, 5)
static void
warn(struct aliases *a, struct buf *report, unsigned line, const char *format, ...)
{
	va_list ap;

	if (++a->problems > PROBLEMS_SHOWN)
		return;
	(void)buf_printf(report, "%s:%u: warning: ", a->file, line);
	va_start(ap, format);
	(void)buf_vprintf(report, format, ap);
	va_end(ap);
	(void)buf_append_char(report, '\n');
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
trim(const char **s, size_t *len)
{
	while (*len > 0 && is_blank(**s)) {
		(*s)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*s)[*len - 1]))
		(*len)--;
}

static int
add_target(
    struct alias_reader *r, enum target_kind kind, const char *text, size_t len, unsigned line)
{
	struct target *t = malloc(sizeof(*t) + len + 1);

	if (t == NULL)
		return -ENOMEM;
	t->kind = kind;
	t->line = line;
	memcpy(t->text, text, len);
	t->text[len] = '\0';
	STAILQ_INSERT_TAIL(&r->alias->targets, t, link);
	return 0;
}

struct list {
	struct alias_reader *r;
	unsigned line;
	size_t added;
};

static int
add_address(void *arg, const struct address_item *item)
{
	struct list *l = arg;
	const char *address = item->address;

	l->added++;
	return add_target(l->r, TARGET_ADDRESS, address, strlen(address), l->line);
}

static bool
begins(const char *s, size_t len, const char *with)
{
	return len >= strlen(with) && strncasecmp(s, with, strlen(with)) == 0;
}

/* What an element is that is no address, by its first octets; TARGET_ADDRESS for all others. */
static enum target_kind
kind_of(const char *s, size_t len)
{
	if (begins(s, len, ":include:"))
		return TARGET_INCLUDE;
	if (*s == ':')
		return TARGET_SPECIAL;
	if (*s == '|')
		return TARGET_PROGRAM;
	if (*s == '/')
		return TARGET_FILE;
	return *s == '\\' ? TARGET_FINAL : TARGET_ADDRESS;
}

/* One element of the list of an alias. */
static int
read_element(struct alias_reader *r, const char *s, size_t len, unsigned line)
{
	CLEANUP_BUF struct buf final = BUF_INIT(ADDRESS_MAX);
	struct list l = {.r = r, .line = line};
	enum target_kind kind;
	const char *inner;
	size_t inner_len;
	int e;

	for (size_t i = 0; i < len && is_blank(s[i]); i++)
		l.line += s[i] == '\n';
	trim(&s, &len);
	if (len == 0)
		return 0;
	line = l.line;
	inner = s;
	inner_len = len;
	/* Programs with arguments stand in quotes: "|/usr/bin/filter -a, b". */
	if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
		inner++;
		inner_len -= 2;
		trim(&inner, &inner_len);
	}
	kind = inner_len == 0 ? TARGET_ADDRESS : kind_of(inner, inner_len);
	if (kind == TARGET_FINAL) {
		e = address_read(inner + 1, inner_len - 1, true, &final);
		if (e == 0)
			return add_target(r, kind, final.data, final.len, line);
		if (e != -EBADMSG)
			return e;
	} else if (kind != TARGET_ADDRESS) {
		return add_target(r, kind, inner, inner_len, line);
	} else {
		e = address_list_parse(s, len, add_address, &l, NULL);
		if (e != -EBADMSG && (e < 0 || l.added > 0))
			return e;
	}
	warn(r->a, r->report, line, "\"%.*s\" is no address; what is left of the line counts",
	    (int)(len < 80 ? len : 80), s);
	return 0;
}

/* Splits at commas outside quotes, comments and angle brackets. */
static int
read_list(struct alias_reader *r, const char *s, size_t len)
{
	unsigned line = r->line, depth = 0, start_line = line;
	bool quoted = false;
	size_t from = 0;
	int e = 0;

	for (size_t i = 0; i <= len && e == 0; i++) {
		char c = i < len ? s[i] : ',';

		if (i < len && c == '\n')
			line++;
		if (i < len && c == '\\' && i + 1 < len && quoted) {
			i++;
			continue;
		}
		if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (!quoted && c == '(')
			depth++;
		else if (!quoted && c == ')' && depth > 0)
			depth--;
		if (i < len && (c != ',' || quoted || depth > 0))
			continue;
		e = read_element(r, s + from, i - from, start_line);
		from = i + 1;
		start_line = line;
	}
	return e;
}

/* The name in front of the colon, in lower case and without quotes: its length, 0 where it is none. */
static size_t
read_name(const char *s, size_t len, char *to)
{
	trim(&s, &len);
	if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
		s++;
		len -= 2;
	}
	if (len == 0 || len >= NAME_MAX_LEN || memchr(s, '\0', len) != NULL)
		return 0;
	for (size_t i = 0; i < len; i++)
		to[i] = lower(s[i]);
	to[len] = '\0';
	return len;
}

/* The colon behind the name at the start of a line; `len` where there is none. */
static size_t
find_colon(const char *s, size_t len)
{
	bool quoted = false;

	for (size_t i = 0; i < len && s[i] != '\n'; i++) {
		if (s[i] == '"')
			quoted = !quoted;
		else if (s[i] == ':' && !quoted)
			return i;
	}
	return len;
}

/* One alias: `s` is its first line and those that go on. */
static int
read_alias(struct alias_reader *r, const char *s, size_t len)
{
	struct aliases *a = r->a;
	size_t colon = find_colon(s, len);
	char name[NAME_MAX_LEN];
	struct alias *alias;
	int e;

	if (colon == len || read_name(s, colon, name) == 0) {
		warn(
		    a, r->report, r->line, "this is no alias: it wants \"name: address, address\"");
		return 0;
	}
	if (strcmp(name, "*") != 0 &&
	    (address_read(name, strlen(name), true, NULL) < 0 || address_domain(name) != NULL) &&
	    strchr(name, ' ') == NULL) {
		warn(a, r->report, r->line, "\"%s\" is no local name, so nothing is sent to it",
		    name);
		return 0;
	}
	alias = lookup(a, name);
	if (alias != NULL && !STAILQ_EMPTY(&alias->targets)) {
		warn(a, r->report, r->line, "alias \"%s\" is there twice; line %u counts", name,
		    alias->line);
		return 0;
	}
	if (alias == NULL)
		alias = alias_new(a, name, r->line);
	if (alias == NULL)
		return -ENOMEM;
	r->alias = alias;
	e = read_list(r, s + colon + 1, len - colon - 1);
	if (e < 0)
		return e;
	if (STAILQ_EMPTY(&alias->targets)) {
		warn(a, r->report, r->line, "alias \"%s\" leads to nobody", name);
		return 0;
	}
	alias->line = r->line;
	STAILQ_INSERT_TAIL(&a->list, alias, link);
	a->count++;
	return 0;
}

/* Is the line at `s` one that says nothing? */
static bool
is_silent(const char *s, size_t len)
{
	for (size_t i = 0; i < len && s[i] != '\n'; i++)
		if (!is_blank(s[i]))
			return s[i] == '#';
	return true;
}

static size_t
line_length(const char *s, size_t len)
{
	const char *lf = memchr(s, '\n', len);

	return lf == NULL ? len : (size_t)(lf - s) + 1;
}

static int
read_all(struct alias_reader *r, const char *text, size_t len)
{
	unsigned line = 1;
	size_t at = 0;
	int e = 0;

	while (at < len && e == 0) {
		size_t end = at + line_length(text + at, len - at);
		unsigned lines = 1;

		if (is_silent(text + at, len - at)) {
			at = end;
			line++;
			continue;
		}
		/* A line that begins with white space goes on; one that is empty but for that does not matter. */
		while (end < len && (text[end] == ' ' || text[end] == '\t')) {
			end += line_length(text + end, len - end);
			lines++;
		}
		r->line = line;
		e = read_alias(r, text + at, end - at);
		at = end;
		line += lines;
	}
	return e;
}

int
aliases_parse(
    const char *text, size_t len, const char *file, struct aliases **ret, struct buf *report)
{
	struct aliases *a = calloc(1, sizeof(*a));
	struct alias_reader r = {.a = a, .report = report};
	int e = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	STAILQ_INIT(&a->list);
	a->file = strdup(file);
	if (a->file != NULL)
		e = read_all(&r, text, len);
	if (e < 0) {
		(void)aliases_free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

struct aliases *
aliases_free(struct aliases *a)
{
	if (a == NULL)
		return NULL;
	tdestroy(a->names, alias_free);
	free(a->file);
	free(a);
	return NULL;
}

size_t
aliases_count(const struct aliases *a)
{
	return a == NULL ? 0 : a->count;
}

bool
aliases_has(const struct aliases *a, const char *name)
{
	return find(a, name) != NULL;
}

/* ---- what is local ---- */

static bool
is_own_domain(const struct aliases_host *host, const char *domain)
{
	for (size_t i = 0; i < host->domain_count; i++)
		if (strcasecmp(host->domains[i], domain) == 0)
			return true;
	return false;
}

bool
aliases_is_local(const struct aliases_host *host, const char *address)
{
	const char *domain = address_domain(address);

	return domain == NULL || is_own_domain(host, domain);
}

/* The name of a local address: without its domain and without quotes. False where it is too long to be one. */
static bool
local_name(const char *address, char *to)
{
	const char *domain = address_domain(address);
	size_t len = domain == NULL ? strlen(address) : (size_t)(domain - 1 - address);

	return read_name(address, len, to) > 0;
}

/* Names that mean whoever looks after the host. */
static bool
is_caretaker(const char *name)
{
	static const char *const names[] = {"root", "postmaster", "mailer-daemon"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* ---- expanding ---- */

struct alias_walk {
	struct aliases *a; /* may be NULL */
	const struct aliases_host *host;
	aliases_visit *visit;
	void *arg;
	struct buf *why;
	unsigned depth, steps, visited;
	bool checking;      /* what leads nowhere is passed over: only the shape counts */
	bool by_postmaster; /* the configured postmaster is being expanded */
	bool looped;
	const struct alias *loop_first; /* of the aliases of the loop, the one that stands first */
	const struct alias *path[ALIASES_DEPTH_MAX];
};

static enum aliases_result expand(struct alias_walk *w, const char *address, bool final);

static enum aliases_result
give(struct alias_walk *w, const char *address)
{
	if (++w->visited > ALIASES_EXPANSION_MAX) {
		(void)buf_printf(
		    w->why, "It leads to more than %d addresses", (int)ALIASES_EXPANSION_MAX);
		return ALIASES_BROKEN;
	}
	return w->visit(w->arg, address) == 0 ? ALIASES_OK : ALIASES_FAILED;
}

static const char *
words_of(enum target_kind kind)
{
	switch (kind) {
	case TARGET_PROGRAM:
		return "a program";
	case TARGET_FILE:
		return "a file";
	case TARGET_INCLUDE:
		return "a list in another file";
	default:
		return "a word with a special meaning";
	}
}

static enum aliases_result
refuse_target(struct alias_walk *w, const struct alias *from, const struct target *t)
{
	if (w->checking)
		return ALIASES_OK;
	(void)buf_printf(w->why,
	    "The alias %s leads to %s, where Frank delivers nothing (%s:%u): name an address there "
	    "and run newaliases",
	    from->name, words_of(t->kind), w->a->file, t->line);
	return ALIASES_BROKEN;
}

/* The alias `e` was met again: the way from it to here. */
static enum aliases_result
refuse_loop(struct alias_walk *w, const struct alias *e)
{
	unsigned from = 0;

	while (from < w->depth && w->path[from] != e)
		from++;
	w->looped = true;
	w->loop_first = e;
	for (unsigned i = from; i < w->depth; i++)
		if (w->path[i]->line < w->loop_first->line)
			w->loop_first = w->path[i];
	(void)buf_printf(
	    w->why, "The alias %s leads to itself (%s:%u): ", e->name, w->a->file, e->line);
	for (unsigned i = from; i < w->depth; i++)
		(void)buf_printf(w->why, "%s, ", w->path[i]->name);
	(void)buf_append_str(w->why, e->name);
	return ALIASES_BROKEN;
}

/* Sendmail's way of saying "and me": a name in its own list. */
static bool
names_itself(const struct alias_walk *w, const struct alias *e, const struct target *t)
{
	char name[NAME_MAX_LEN];

	return aliases_is_local(w->host, t->text) && local_name(t->text, name) &&
	       strcmp(name, e->name) == 0;
}

static enum aliases_result
walk_target(struct alias_walk *w, const struct alias *e, const struct target *t)
{
	if (++w->steps > STEPS_MAX) {
		(void)buf_append_str(w->why, "It leads to too many other aliases");
		return ALIASES_BROKEN;
	}
	if (t->kind == TARGET_ADDRESS)
		return expand(w, t->text, names_itself(w, e, t));
	return t->kind == TARGET_FINAL ? expand(w, t->text, true) : refuse_target(w, e, t);
}

static enum aliases_result
walk_alias(struct alias_walk *w, struct alias *e)
{
	enum aliases_result r = ALIASES_OK;
	const struct target *t;

	if (e->on_path)
		return refuse_loop(w, e);
	if (e->stamp == w->a->stamp)
		return ALIASES_OK;
	if (w->depth == ALIASES_DEPTH_MAX) {
		(void)buf_printf(w->why, "The alias %s stands behind more than %d others (%s:%u)",
		    e->name, (int)ALIASES_DEPTH_MAX, w->a->file, e->line);
		return ALIASES_BROKEN;
	}
	e->stamp = w->a->stamp;
	e->on_path = true;
	w->path[w->depth++] = e;
	STAILQ_FOREACH (t, &e->targets, link) {
		if (r == ALIASES_OK)
			r = walk_target(w, e, t);
	}
	w->depth--;
	e->on_path = false;
	return r;
}

static enum aliases_result
walk_postmaster(struct alias_walk *w)
{
	enum aliases_result r;

	w->by_postmaster = true;
	r = expand(w, w->host->postmaster, false);
	w->by_postmaster = false;
	return r;
}

/* Where an unaliased name goes: out, where the mail domain is not the host's own. */
static enum aliases_result
give_unaliased(struct alias_walk *w, const char *address, const char *name)
{
	CLEANUP_BUF struct buf full = BUF_INIT(2 * ADDRESS_MAX);
	const char *domain = address_domain(address);
	size_t local = domain == NULL ? strlen(address) : (size_t)(domain - 1 - address);
	const struct alias *lost = lookup(w->a, name);

	if (!is_own_domain(w->host, w->host->mail_name)) {
		if (buf_printf(&full, "%.*s@%s", (int)local, address, w->host->mail_name) < 0)
			return ALIASES_FAILED;
		return give(w, buf_str(&full));
	}
	if (w->checking)
		return ALIASES_OK;
	if (lost != NULL && STAILQ_EMPTY(&lost->targets)) {
		(void)buf_printf(w->why,
		    "The alias %s leads to nobody: what stands there is no address (%s:%u); "
		    "correct it "
		    "and run newaliases",
		    name, w->a->file, lost->line);
		return ALIASES_UNKNOWN;
	}
	(void)buf_printf(w->why,
	    "%s has no mailbox on this host: %swrite \"%s: you@example.com\" into %s and run "
	    "newaliases",
	    name, is_caretaker(name) ? "set postmaster in frank.conf, or " : "", name,
	    w->a == NULL ? "/etc/aliases" : w->a->file);
	/* The host may be named like a domain whose mail is somewhere else. */
	if (domain != NULL && strncasecmp(domain, "localhost", strlen("localhost")) != 0)
		(void)buf_printf(w->why,
		    "; or, where %s is a mail domain, name the host's own ones in local-domains in "
		    "frank.conf",
		    domain);
	return ALIASES_UNKNOWN;
}

static enum aliases_result
expand(struct alias_walk *w, const char *address, bool final)
{
	char name[NAME_MAX_LEN];
	struct alias *e = NULL;

	if (!aliases_is_local(w->host, address))
		return give(w, address);
	if (!local_name(address, name)) {
		(void)buf_append_str(w->why, "There is no such local name");
		return ALIASES_UNKNOWN;
	}
	/* Nobody is called "*". */
	if (!final && strcmp(name, "*") != 0)
		e = find(w->a, name);
	if (e == NULL && !final && is_caretaker(name) && *w->host->postmaster != '\0' &&
	    !w->by_postmaster)
		return walk_postmaster(w);
	if (e == NULL && !final)
		e = find(w->a, "*");
	return e != NULL ? walk_alias(w, e) : give_unaliased(w, address, name);
}

enum aliases_result
aliases_expand(struct aliases *a, const struct aliases_host *host, const char *address,
    aliases_visit *visit, void *arg, struct buf *why)
{
	struct alias_walk w = {.a = a, .host = host, .visit = visit, .arg = arg, .why = why};

	if (a != NULL)
		a->stamp++;
	return expand(&w, address, false);
}

/* ---- checking ---- */

static int
visit_nothing(void *arg, const char *address)
{
	return 0;
}

/* Does the local name lead nowhere, with nothing between it and here? */
static bool
is_dead_end(struct aliases *a, const struct aliases_host *host, const struct target *t, char *name)
{
	bool final = t->kind == TARGET_FINAL;

	if ((t->kind != TARGET_ADDRESS && !final) || !aliases_is_local(host, t->text) ||
	    !local_name(t->text, name) || !is_own_domain(host, host->mail_name))
		return false;
	if (final)
		return true;
	return find(a, name) == NULL && find(a, "*") == NULL &&
	       !(is_caretaker(name) && *host->postmaster != '\0');
}

/* Was the name reported before? Remembered in `seen`, a run of strings that each end in NUL. */
static bool
is_told(struct buf *seen, const char *name)
{
	for (size_t at = 0; at < seen->len; at += strlen(seen->data + at) + 1)
		if (strcmp(seen->data + at, name) == 0)
			return true;
	(void)buf_append(seen, name, strlen(name) + 1);
	return false;
}

static void
check_targets(struct aliases *a, const struct aliases_host *host, const struct alias *e,
    struct buf *seen, struct buf *report)
{
	const struct target *t;
	char name[NAME_MAX_LEN];

	STAILQ_FOREACH (t, &e->targets, link) {
		if (t->kind != TARGET_ADDRESS && t->kind != TARGET_FINAL)
			warn(a, report, t->line,
			    "alias \"%s\" leads to %s (%s), where Frank delivers nothing: its mail "
			    "is refused; name an address",
			    e->name, words_of(t->kind), t->text);
		else if (is_dead_end(a, host, t, name) && !is_told(seen, name))
			warn(a, report, t->line,
			    "alias \"%s\" leads to %s, which has no mailbox on this host: its mail "
			    "is refused; add \"%s: you@example.com\"",
			    e->name, name, name);
	}
}

static void
check_shape(struct aliases *a, const struct aliases_host *host, struct alias *e, struct buf *report)
{
	CLEANUP_BUF struct buf why = BUF_INIT(8192);
	struct alias_walk w = {
	    .a = a, .host = host, .visit = visit_nothing, .why = &why, .checking = true};

	a->stamp++;
	if (walk_alias(&w, e) != ALIASES_BROKEN)
		return;
	/* A loop is told once, by the first of its aliases; one that only leads into it says nothing. */
	if (!w.looped || w.loop_first == e)
		warn(a, report, e->line, "%s; its mail is refused", buf_str(&why));
}

unsigned
aliases_check(struct aliases *a, const struct aliases_host *host, struct buf *report)
{
	CLEANUP_BUF struct buf seen = BUF_INIT(64 * 1024);
	struct alias *e;

	STAILQ_FOREACH (e, &a->list, link) {
		check_targets(a, host, e, &seen, report);
		check_shape(a, host, e, report);
	}
	if (a->problems > PROBLEMS_SHOWN)
		(void)buf_printf(report, "%s: warning: %u more problems are not shown\n", a->file,
		    a->problems - PROBLEMS_SHOWN);
	return a->problems;
}
