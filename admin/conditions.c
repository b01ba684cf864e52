/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* conditions.c: see conditions.h. */
#include "admin/conditions.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/cli.h"
#include "admin/mail-content.h"
#include "base/address.h"
#include "base/codec.h"

enum what { TO, FROM, SUBJECT, TEXT, ATTACHMENT, SERVICE, UID, HEADER };

static const char *const names[] = {
    [TO] = "to",
    [FROM] = "from",
    [SUBJECT] = "subject",
    [TEXT] = "text",
    [ATTACHMENT] = "attachment",
    [SERVICE] = "service",
    [UID] = "uid",
    [HEADER] = "header",
};

struct condition {
	enum what what;
	enum { CONTAINS, EQUALS, MATCHES } how;
	bool not ;
	char *given;
	char *field; /* HEADER: the name */
	char *value;
	regex_t regex; /* MATCHES */
};

static struct condition *
condition_free(struct condition *c)
{
	if (c == NULL)
		return NULL;
	if (c->how == MATCHES)
		regfree(&c->regex);
	free(c->given);
	free(c->field);
	free(c->value);
	free(c);
	return NULL;
}

void
conditions_free(struct conditions *c)
{
	for (size_t i = 0; i < c->count; i++)
		(void)condition_free(c->list[i]);
	c->count = 0;
}

const char *
conditions_text(const struct conditions *c, size_t at)
{
	return c->list[at]->given;
}

/* ---- reading one ---- */

static int
read_name(struct condition *c, const char *text, size_t len, struct buf *why)
{
	const char *colon = memchr(text, ':', len);
	size_t n = colon == NULL ? len : (size_t)(colon - text);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) != n || memcmp(names[i], text, n) != 0)
			continue;
		c->what = (enum what)i;
		if ((c->what == HEADER) != (colon != NULL && colon + 1 < text + len)) {
			(void)buf_printf(why,
			    c->what == HEADER ? "write header:NAME=VALUE"
					      : "only a header field has a name behind a colon");
			return -EINVAL;
		}
		if (c->what == HEADER)
			c->field = strndup(colon + 1, len - n - 1);
		return c->what == HEADER && c->field == NULL ? -ENOMEM : 0;
	}
	(void)buf_printf(why,
	    "\"%.*s\" is no condition: there are to, from, subject, text, attachment, service, uid "
	    "and header:NAME",
	    (int)len, text);
	return -EINVAL;
}

/* The operator at `op`: *ret_value is behind it. */
static void
read_operator(struct condition *c, const char *op, const char **ret_value)
{
	if (*op == '!') {
		c->not = true;
		op++;
	}
	c->how = *op == '~' ? MATCHES : op[1] == '=' ? EQUALS : CONTAINS;
	*ret_value = op + (c->how == EQUALS ? 2 : 1);
}

static int
compile(struct condition *c, struct buf *why)
{
	int r = regcomp(&c->regex, c->value, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	char text[200];

	if (r == 0)
		return 0;
	(void)regerror(r, &c->regex, text, sizeof(text));
	(void)buf_printf(why, "\"%s\" is no regular expression: %s", c->value, text);
	c->how = EQUALS; /* nothing to free */
	return -EINVAL;
}

static int
read_condition(struct condition *c, const char *text, struct buf *why)
{
	size_t len = strcspn(text, "=~");
	size_t name = len > 0 && text[len] != '\0' && text[len - 1] == '!' ? len - 1 : len;
	const char *value;
	int r;

	if (text[len] == '\0') {
		(void)buf_printf(
		    why, "\"%s\" is no condition: write NAME=TEXT, NAME==TEXT or NAME~REGEX", text);
		return -EINVAL;
	}
	r = read_name(c, text, name, why);
	if (r < 0)
		return r;
	read_operator(c, text + name, &value);
	c->value = strdup(value);
	if (c->value == NULL) {
		c->how = EQUALS;
		return -ENOMEM;
	}
	return c->how == MATCHES ? compile(c, why) : 0;
}

int
conditions_add(struct conditions *c, const char *where, const char *text, struct buf *why)
{
	struct condition *n;
	int r = 0;

	if (c->count == CONDITIONS_MAX) {
		(void)buf_printf(why, "there are more than %d conditions", CONDITIONS_MAX);
		return -EINVAL;
	}
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	if (where == NULL)
		n->given = strdup(text);
	else if (asprintf(&n->given, "%s=%s", where, text) < 0)
		n->given = NULL;
	r = n->given == NULL ? -ENOMEM : 0;
	if (r == 0 && where != NULL) {
		r = read_name(n, where, strlen(where), why);
		n->value = strdup(text); /* octet for octet: it has no operator */
		r = r == 0 && n->value == NULL ? -ENOMEM : r;
	} else if (r == 0) {
		r = read_condition(n, text, why);
	}
	if (r < 0) {
		(void)condition_free(n);
		return r;
	}
	c->list[c->count++] = n;
	return 0;
}

/* ---- for a sandbox ---- */

int
conditions_query(const struct conditions *c, struct buf *out, struct buf *why)
{
	static const char *const ways[] = {
	    [CONTAINS] = "contains", [EQUALS] = "equals", [MATCHES] = "regex"};

	for (size_t i = 0; i < c->count; i++) {
		const struct condition *x = c->list[i];

		if (x->what == SERVICE || x->what == UID) {
			(void)buf_printf(
			    why, "%s: a sandbox does not know this of its mail", x->given);
			return -EINVAL;
		}
		/* each name once, so they are numbered */
		(void)buf_printf(out, "&%s%s.%s.%zu=", names[x->what], x->not ? ".not" : "",
		    ways[x->how], i + 1);
		if (x->what == HEADER) {
			(void)form_encode(out, x->field, strlen(x->field));
			(void)buf_append_str(out, "%3A%20");
		}
		(void)form_encode(out, x->value, strlen(x->value));
	}
	return out->failed;
}

/* ---- looking at a message ---- */

bool
conditions_want_content(const struct conditions *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->list[i]->what != SERVICE && c->list[i]->what != UID)
			return true;
	return false;
}

static bool
is_met_by(const struct condition *c, const char *value)
{
	switch (c->how) {
	case EQUALS:
		return (c->what == TO || c->what == FROM ? strcasecmp(c->value, value)
							 : strcmp(c->value, value)) == 0;
	case MATCHES:
		return regexec(&c->regex, value, 0, NULL, 0) == 0;
	default:
		return strcasestr(value, c->value) != NULL;
	}
}

struct inspection {
	const struct conditions *conditions;
	unsigned found; /* bits of conditions that something meets */
};

/* Here is something that `what` conditions are about (HEADER: the field `field`). */
static void
offer(struct inspection *l, enum what what, const char *field, const char *value)
{
	for (size_t i = 0; i < l->conditions->count; i++) {
		const struct condition *c = l->conditions->list[i];

		if (c->what == what && (what != HEADER || strcasecmp(c->field, field) == 0) &&
		    value != NULL && is_met_by(c, value))
			l->found |= 1u << i;
	}
}

struct addresses {
	struct inspection *look;
	enum what what;
};

static int
offer_address(void *arg, const struct address_item *item)
{
	const struct addresses *a = arg;

	offer(a->look, a->what, NULL, item->address);
	return 0;
}

static void
offer_addresses(struct inspection *l, enum what what, const char *value)
{
	struct addresses a = {l, what};
	size_t at;

	offer(l, what, NULL, value);
	(void)address_list_parse(value, strlen(value), offer_address, &a, &at);
}

static int
on_field(void *arg, const char *name, const char *value)
{
	offer(arg, HEADER, name, value);
	if (strcasecmp(name, "Subject") == 0)
		offer(arg, SUBJECT, NULL, value);
	else if (strcasecmp(name, "From") == 0)
		offer_addresses(arg, FROM, value);
	else if (strcasecmp(name, "To") == 0 || strcasecmp(name, "Cc") == 0)
		offer_addresses(arg, TO, value);
	return 0;
}

static int
on_text(void *arg, const char *text, size_t len)
{
	offer(arg, TEXT, NULL, text);
	return 0;
}

static int
on_file(void *arg, const char *name)
{
	offer(arg, ATTACHMENT, NULL, name);
	return 0;
}

static void
offer_row(struct inspection *l, const json_t *row)
{
	const json_t *recipients = json_object_get(row, "recipients"), *r;
	char uid[24];
	size_t i;

	json_array_foreach(recipients, i, r) offer(l, TO, NULL, cli_text(r, "recipient"));
	offer(l, FROM, NULL, cli_text(row, "sender"));
	offer(l, SERVICE, NULL, cli_text(row, "service"));
	if (json_object_get(row, "uid") != NULL) {
		(void)snprintf(uid, sizeof(uid), "%" PRIu64, cli_number(row, "uid"));
		offer(l, UID, NULL, uid);
	}
}

unsigned
conditions_missed(const struct conditions *c, const json_t *row, const char *content, size_t len)
{
	static const struct mail_visit visit = {on_field, on_text, on_file};
	struct inspection l = {.conditions = c};
	unsigned missed = 0;

	offer_row(&l, row);
	if (content != NULL)
		(void)mail_read(content, len, &visit, &l);
	for (size_t i = 0; i < c->count; i++)
		if (((l.found >> i & 1) != 0) == c->list[i]->not )
			missed |= 1u << i;
	return missed;
}
