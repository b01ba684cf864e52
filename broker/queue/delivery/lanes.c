/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* lanes.c: see lanes.h. */
#include "broker/queue/delivery/lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
lanes_wait(struct lanes *l, struct queue_account *a, const char *service, int64_t next)
{
	struct lane *lane = l->list;
	struct lane *end = l->list == NULL ? NULL : l->list + l->count;

	while (lane != end && (lane->account != a || strcmp(lane->service, service) != 0))
		lane++;
	if (lane != end) {
		if (next < lane->next)
			lane->next = next;
		return 0;
	}
	if (l->count == l->room) {
		size_t room = l->room == 0 ? 8 : l->room * 2;
		struct lane *more = reallocarray(l->list, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		l->list = more;
		l->room = room;
	}
	lane = &l->list[l->count];
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is room, so there is a list */
	*lane = (struct lane){.account = a, .service = strdup(service), .next = next};
	if (lane->service == NULL)
		return -ENOMEM;
	l->count++;
	return 0;
}

bool
lanes_is_due(const struct lanes *l, const struct queue_account *a, int64_t now)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].account == a && l->list[i].next <= now)
			return true;
	return false;
}

void
lanes_drop_empty(struct lanes *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].next != SPOOL_NEVER)
			l->list[kept++] = l->list[i];
		else
			free(l->list[i].service);
	l->count = kept;
}

void
lanes_drop_all(struct lanes *l)
{
	for (size_t i = 0; i < l->count; i++)
		l->list[i].next = SPOOL_NEVER;
	lanes_drop_empty(l);
}
