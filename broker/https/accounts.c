/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* accounts.c: see accounts.h. Accounts without a file of their own, nearly all, are not kept. */
#include "broker/https/accounts.h"

#include <errno.h>
#include <string.h>

#include "broker/ipc/file.h"

struct account {
	char *name;
	struct buf ca;
	bool broken;
};

struct set {
	struct account *items;
	size_t count;
};

struct accounts {
	struct set now, next;
};

static void
set_clear(struct set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].name);
		buf_free(&s->items[i].ca);
	}
	free(s->items);
	*s = (struct set){0};
}

struct accounts *
accounts_new(void)
{
	return calloc(1, sizeof(struct accounts));
}

struct accounts *
accounts_free(struct accounts *a)
{
	if (a != NULL) {
		set_clear(&a->now);
		set_clear(&a->next);
		free(a);
	}
	return NULL;
}

void
accounts_begin(struct accounts *a)
{
	set_clear(&a->next);
}

int
accounts_add(struct accounts *a, const char *name, int ca_fd)
{
	struct account *items = reallocarray(a->next.items, a->next.count + 1, sizeof(*items)),
		       *new;
	int r;

	if (items == NULL)
		return -ENOMEM;
	a->next.items = items;
	new = &items[a->next.count];
	*new = (struct account){.name = strdup(name), .ca = BUF_INIT(ACCOUNTS_CA_MAX)};
	if (new->name == NULL)
		return -ENOMEM;
	a->next.count++;
	r = file_read_whole(ca_fd, &new->ca);
	new->broken = r < 0;
	return r;
}

void
accounts_end(struct accounts *a)
{
	set_clear(&a->now);
	a->now = a->next;
	a->next = (struct set){0};
}

int
accounts_ca(const struct accounts *a, const char *name, const struct buf **ret)
{
	*ret = NULL;
	for (size_t i = 0; i < a->now.count; i++) {
		if (strcmp(a->now.items[i].name, name) == 0) {
			*ret = &a->now.items[i].ca;
			return a->now.items[i].broken ? -EBADF : 0;
		}
	}
	return 0;
}
