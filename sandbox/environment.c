/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * environment.c: see environment.h.
 */
#include "sandbox/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

static const char PREFIX[] = "FRANK_SANDBOX_";

struct option_list {
	char **items;
	size_t count;
};

void
environment_free(char **arguments)
{
	for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++)
		free(arguments[i]);
	free(arguments);
}

/* Adds a text, which is taken; NULL stands for "no memory". */
static int
add(struct option_list *l, char *text)
{
	char **more = text == NULL ? NULL : reallocarray(l->items, l->count + 2, sizeof(*more));

	if (more == NULL) {
		free(text);
		return -ENOMEM;
	}
	l->items = more;
	l->items[l->count++] = text;
	l->items[l->count] = NULL;
	return 0;
}

static int
add_value(struct option_list *l, const char *option, const char *value, size_t len)
{
	char *text;

	return add(l, asprintf(&text, "--%s=%.*s", option, (int)len, value) < 0 ? NULL : text);
}

static int
add_flag(struct option_list *l, const char *option)
{
	char *text;

	return add(l, asprintf(&text, "--%s", option) < 0 ? NULL : text);
}

/* The option that a variable means by `name`, of `len` octets; NULL: none. */
static const struct option *
find(const struct option *options, const char *name, size_t len)
{
	for (const struct option *o = options; o->name != NULL; o++) {
		size_t i = 0;

		while (i < len && o->name[i] != '\0' &&
		       name[i] == (o->name[i] == '-'                           ? '_'
				      : o->name[i] >= 'a' && o->name[i] <= 'z' ? o->name[i] - 32
									       : o->name[i]))
			i++;
		if (i == len && o->name[i] == '\0')
			return o;
	}
	return NULL;
}

static bool
is_one_of(const char *const *words, const char *word)
{
	for (; *words != NULL; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static int
take(struct option_list *l, const struct option *o, const char *value, bool several)
{
	static const char *const yes[] = {"yes", "true", "1", NULL}, *const no[] = {"no", "false",
									 "0", "", NULL};
	size_t n;
	int r = 0;

	if (o->has_arg == no_argument) {
		if (is_one_of(no, value))
			return 0;
		return is_one_of(yes, value) ? add_flag(l, o->name) : -EINVAL;
	}
	if (!several)
		return *value == '\0' ? 0 : add_value(l, o->name, value, strlen(value));
	for (; r == 0 && *value != '\0'; value += n) {
		value += strspn(value, " \t\n");
		n = strcspn(value, " \t\n");
		if (n > 0)
			r = add_value(l, o->name, value, n);
	}
	return r;
}

int
environment_arguments(char *const *environment, const struct option *options,
    const char *const *several, int argc, char *const *argv, char ***ret, int *ret_count,
    const char **ret_wrong)
{
	struct option_list l = {.count = 0};
	int r = add(&l, strdup(argc > 0 ? argv[0] : "frank-sandbox"));

	for (; r == 0 && *environment != NULL; environment++) {
		const char *name = *environment, *equals = strchr(name, '=');
		const struct option *o;

		if (equals == NULL || strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		*ret_wrong = name;
		name += sizeof(PREFIX) - 1;
		o = find(options, name, (size_t)(equals - name));
		r = o == NULL ? -EINVAL : take(&l, o, equals + 1, is_one_of(several, o->name));
	}
	for (int i = 1; r == 0 && i < argc; i++)
		r = add(&l, strdup(argv[i]));
	if (r < 0) {
		environment_free(l.items);
		return r;
	}
	*ret = l.items;
	*ret_count = (int)l.count;
	return 0;
}
