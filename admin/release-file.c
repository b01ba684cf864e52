/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * release-file.c: see release-file.h. An error of form ends the reading; of other errors all are said.
 */
#include "admin/release-file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "admin/arguments.h"
#include "base/codec.h"
#include "base/tokens.h"

enum { TIMEOUT = 60 };

static const char *const outcomes[] = {
    [RELEASE_ANY] = "anything",
    [RELEASE_CAPTURED] = "captured",
    [RELEASE_DELIVERED] = "delivered",
    [RELEASE_DEFERRED] = "deferred",
    [RELEASE_HELD] = "held",
    [RELEASE_REFUSED] = "refused",
};

const char *
release_outcome_name(enum release_outcome outcome)
{
	return outcomes[outcome];
}

struct file_parser {
	struct release_file *file;
	struct tokens tokens;
	const char *path;
	struct buf *report;
	bool bad; /* something is reported */
	unsigned timeout;
};

PRINTF_LIKE(3, 4)
static void
report(struct file_parser *p, unsigned line, const char *format, ...)
{
	va_list ap;

	(void)buf_printf(p->report, "%s:%u: error: ", p->path, line);
	va_start(ap, format);
	(void)buf_vprintf(p->report, format, ap);
	va_end(ap);
	(void)buf_append_char(p->report, '\n');
	p->bad = true;
}

/* ---- values ---- */

enum kind { KIND_TEXT, KIND_LIST, KIND_CONDITIONS, KIND_OUTCOME, KIND_SECONDS };

static const struct key {
	const char *name;
	enum kind kind;
	size_t at; /* in struct release_test */
} keys[] = {
    {"service", KIND_TEXT, offsetof(struct release_test, service)},
    {"user", KIND_TEXT, offsetof(struct release_test, user)},
    {"account", KIND_TEXT, offsetof(struct release_test, account)},
    {"from", KIND_TEXT, offsetof(struct release_test, from)},
    {"to", KIND_LIST, offsetof(struct release_test, to)},
    {"subject", KIND_TEXT, offsetof(struct release_test, subject)},
    {"body", KIND_TEXT, offsetof(struct release_test, body)},
    {"content-file", KIND_TEXT, offsetof(struct release_test, content_file)},
    {"run", KIND_LIST, offsetof(struct release_test, run)},
    {"expect", KIND_OUTCOME, offsetof(struct release_test, expect)},
    {"code", KIND_TEXT, offsetof(struct release_test, code)},
    {"verdict", KIND_TEXT, offsetof(struct release_test, verdict)},
    {"webhook", KIND_TEXT, offsetof(struct release_test, webhook)},
    {"match", KIND_CONDITIONS, offsetof(struct release_test, match)},
    {"timeout", KIND_SECONDS, offsetof(struct release_test, timeout)},
};

static void
list_free(struct release_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	l->count = 0;
}

static void
read_seconds(struct file_parser *p, const char *text, unsigned line, unsigned *ret)
{
	uint64_t n;

	if (!text_number(text, strlen(text), &n) || n == 0 || n > RELEASE_TIMEOUT_MAX)
		report(p, line, "timeout is a number of seconds from 1 to %d, and not \"%s\"",
		    RELEASE_TIMEOUT_MAX, text);
	else
		*ret = (unsigned)n;
}

static void
read_outcome(struct file_parser *p, const char *text, unsigned line, enum release_outcome *ret)
{
	for (size_t i = RELEASE_CAPTURED; i < ARRAY_SIZE(outcomes); i++)
		if (strcmp(outcomes[i], text) == 0) {
			*ret = (enum release_outcome)i;
			return;
		}
	report(p, line, "expect is captured, delivered, deferred, held or refused, and not \"%s\"",
	    text);
}

static void
read_conditions(
    struct file_parser *p, const struct release_list *v, unsigned line, struct conditions *ret)
{
	CLEANUP_BUF struct buf why = BUF_INIT(4096);

	for (size_t i = 0; i < v->count; i++) {
		buf_clear(&why);
		if (conditions_add(ret, NULL, v->items[i], &why) < 0)
			report(p, line, "match: %s", buf_str(&why));
	}
}

/* The values go where the key wants them; what is taken is NULL in `v` afterwards. */
static void
take_values(struct file_parser *p, struct release_test *t, const struct key *k,
    struct release_list *v, unsigned line)
{
	void *to = (char *)t + k->at;
	char *first = v->items[0];

	if (first == NULL && k->kind != KIND_LIST && k->kind != KIND_CONDITIONS)
		return; /* there is none, which has been said */
	switch (k->kind) {
	case KIND_TEXT:
		free(*(char **)to);
		*(char **)to = first;
		v->items[0] = NULL;
		break;
	case KIND_LIST:
		list_free(to);
		*(struct release_list *)to = *v;
		v->count = 0;
		break;
	case KIND_CONDITIONS:
		read_conditions(p, v, line, to);
		break;
	case KIND_OUTCOME:
		read_outcome(p, first, line, to);
		break;
	case KIND_SECONDS:
		read_seconds(p, first, line, to);
		break;
	}
}

/* ---- the grammar ---- */

static void
add_value(struct file_parser *p, struct release_list *v, unsigned line)
{
	char *copy = NULL;

	if (v->count < RELEASE_LIST_MAX)
		copy = strdup(buf_str(&p->tokens.value));
	if (copy == NULL)
		tokens_fail(&p->tokens, line, "a list of more than %d entries", RELEASE_LIST_MAX);
	else
		v->items[v->count++] = copy;
}

/* What stands behind the `=`: one value, or where `list` a list in braces. */
static void
parse_values(struct file_parser *p, const char *key, bool list, struct release_list *v)
{
	struct tokens *t = &p->tokens;
	unsigned line = t->token_line;
	bool braces = t->token == TOKEN_OPEN;

	if (braces && !list)
		tokens_fail(t, line, "\"%s\" takes one value, not a list", key);
	if (braces)
		tokens_next(t);
	while (tokens_is_value(t)) {
		add_value(p, v, line);
		tokens_next(t);
		if (!braces || t->token != TOKEN_COMMA)
			break;
		tokens_next(t);
	}
	if (braces && t->token != TOKEN_CLOSE)
		tokens_fail(t, t->token_line, "\"%s\": the list that begins in line %u ends with }",
		    key, line);
	else if (braces)
		tokens_next(t);
	if (v->count == 0)
		tokens_fail(t, line, "\"%s\" has no value", key);
}

static const struct key *
find_key(struct file_parser *p, const char *name, unsigned line)
{
	const char *all[ARRAY_SIZE(keys)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
		all[i] = keys[i].name;
	}
	near = arguments_suggest(name, all, ARRAY_SIZE(keys));
	report(p, line, "unknown key \"%s\" in test block%s%s%s", name,
	    near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
	    near == NULL ? "" : "\"?");
	return NULL;
}

static void
parse_key(struct file_parser *p, struct release_test *t, uint64_t *seen)
{
	CLEANUP_FREE char *name = strdup(buf_str(&p->tokens.value));
	struct release_list v = {.count = 0};
	unsigned line = p->tokens.token_line;
	const struct key *k = name == NULL ? NULL : find_key(p, name, line);

	tokens_next(&p->tokens);
	if (p->tokens.token != TOKEN_EQUALS) {
		tokens_fail(&p->tokens, line, "\"%s\" is a key: write %s = ...", name, name);
		return;
	}
	tokens_next(&p->tokens);
	parse_values(p, name, k == NULL || k->kind == KIND_LIST || k->kind == KIND_CONDITIONS, &v);
	if (k != NULL && !p->tokens.failed) {
		if ((*seen >> (k - keys) & 1) != 0)
			report(p, line, "\"%s\" is set twice", name);
		*seen |= UINT64_C(1) << (k - keys);
		take_values(p, t, k, &v, line);
	}
	list_free(&v);
}

/* What would end the command that it stands in. */
static void
check_address(struct file_parser *p, unsigned line, const char *address)
{
	if (address != NULL && strpbrk(address, "<>\r\n") != NULL)
		report(p, line, "an address has no <, > or line end in it");
}

/* What one key demands of another. */
static void
check_test(struct file_parser *p, const struct release_test *t)
{
	unsigned line = t->line;

	check_address(p, line, t->from);
	for (size_t i = 0; i < t->to.count; i++)
		check_address(p, line, t->to.items[i]);
	if (t->run.count == 0 && (t->from == NULL || t->to.count == 0))
		report(p, line, "a test needs from and to, or run");
	if (t->run.count > 0 &&
	    (t->service != NULL || t->user != NULL || t->account != NULL || t->from != NULL ||
		t->subject != NULL || t->body != NULL || t->content_file != NULL))
		report(p, line,
		    "run sends what it wants: no service, user, account, from, subject, body or "
		    "content-file beside it");
	if (t->run.count > 0 && t->expect != RELEASE_CAPTURED && t->expect != RELEASE_DELIVERED)
		report(p, line,
		    "what a program of run sends can be expected to be captured or delivered "
		    "alone");
	if (t->service != NULL && t->user != NULL)
		report(p, line, "service and user exclude each other");
	if (t->content_file != NULL && (t->body != NULL || t->subject != NULL))
		report(p, line, "content-file has its own subject and body");
	if (t->expect == RELEASE_ANY && t->verdict == NULL)
		report(p, line, "a test expects something: expect or verdict");
	if (t->webhook != NULL && t->run.count > 0)
		report(p, line, "webhook is about a message of the test, and not of run");
	if (t->match.count > 0 && t->expect != RELEASE_CAPTURED && t->expect != RELEASE_DELIVERED)
		report(p, line, "match is for expect = captured or delivered");
	if (t->code != NULL && t->expect != RELEASE_REFUSED && t->expect != RELEASE_DEFERRED)
		report(p, line, "code is for expect = refused or deferred");
}

static void
test_free(struct release_test *t)
{
	char **texts[] = {&t->name, &t->service, &t->user, &t->account, &t->from, &t->subject,
	    &t->body, &t->content_file, &t->code, &t->verdict, &t->webhook};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(*texts[i]);
	list_free(&t->to);
	list_free(&t->run);
	conditions_free(&t->match);
}

void
release_file_free(struct release_file *f)
{
	for (size_t i = 0; i < f->count; i++)
		test_free(&f->tests[i]);
	free(f->tests);
	*f = (struct release_file){0};
}

/* A new test at the end of the list. */
static struct release_test *
new_test(struct file_parser *p, unsigned line)
{
	struct release_file *f = p->file;
	struct release_test *tests;

	if (f->count == RELEASE_TESTS_MAX) {
		tokens_fail(&p->tokens, line, "there are more than %d tests", RELEASE_TESTS_MAX);
		return NULL;
	}
	tests = reallocarray(f->tests, f->count + 1, sizeof(*tests));
	if (tests == NULL)
		return NULL;
	f->tests = tests;
	f->tests[f->count] =
	    (struct release_test){.line = line, .name = strdup(buf_str(&p->tokens.value))};
	return &f->tests[f->count++];
}

static void
parse_test(struct file_parser *p, unsigned line)
{
	struct tokens *t = &p->tokens;
	struct release_test *test;
	uint64_t seen = 0;

	if (!tokens_is_value(t)) {
		tokens_fail(t, line, "test needs a name: test \"NAME\" { ... }");
		return;
	}
	test = new_test(p, line);
	tokens_next(t);
	if (test == NULL || test->name == NULL || t->token != TOKEN_OPEN) {
		tokens_fail(t, line, "test is a block: its keys stand between { and }");
		return;
	}
	tokens_next(t);
	while (t->token == TOKEN_WORD)
		parse_key(p, test, &seen);
	if (!t->failed && t->token != TOKEN_CLOSE)
		tokens_fail(t, t->token == TOKEN_END ? line : t->token_line,
		    t->token == TOKEN_END ? "the block that opens here is never closed with }"
					  : "a key is missing");
	if (t->failed)
		return;
	tokens_next(t);
	check_test(p, test);
}

static void
parse_top(struct file_parser *p, const char *name, unsigned line)
{
	struct release_list v = {.count = 0};

	if (strcmp(name, "timeout") != 0 || p->tokens.token != TOKEN_EQUALS) {
		tokens_fail(
		    &p->tokens, line, "\"%s\" is neither a test block nor timeout = SECONDS", name);
		return;
	}
	tokens_next(&p->tokens);
	parse_values(p, name, false, &v);
	if (!p->tokens.failed && v.items[0] != NULL)
		read_seconds(p, v.items[0], line, &p->timeout);
	list_free(&v);
}

bool
release_file_parse(
    struct release_file *f, const char *path, const char *text, size_t len, struct buf *out)
{
	struct file_parser p = {.file = f, .path = path, .report = out, .timeout = TIMEOUT};

	*f = (struct release_file){0};
	tokens_init(&p.tokens, text, len);
	tokens_next(&p.tokens);
	while (p.tokens.token == TOKEN_WORD) {
		CLEANUP_FREE char *name = strdup(buf_str(&p.tokens.value));
		unsigned line = p.tokens.token_line;

		tokens_next(&p.tokens);
		if (name != NULL && strcmp(name, "test") == 0)
			parse_test(&p, line);
		else
			parse_top(&p, name == NULL ? "" : name, line);
	}
	if (!p.tokens.failed && p.tokens.token != TOKEN_END)
		tokens_fail(&p.tokens, p.tokens.token_line, "a test block is missing here");
	if (p.tokens.failed)
		report(&p, p.tokens.error_line, "%s", buf_str(&p.tokens.error));
	else if (f->count == 0)
		report(&p, p.tokens.line, "there is no test");
	tokens_clear(&p.tokens);
	for (size_t i = 0; i < f->count; i++)
		if (f->tests[i].timeout == 0)
			f->tests[i].timeout = p.timeout;
	return !p.bad;
}
