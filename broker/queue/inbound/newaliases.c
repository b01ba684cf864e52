/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* newaliases.c: see newaliases.h. */
#include "broker/queue/inbound/newaliases.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { QUESTIONS_MAX = 16 };

struct newaliases_question {
	LIST_ENTRY(newaliases_question) entry;
	uint64_t id;
	newaliases_answer *answer; /* NULL: nobody waits any more */
	void *arg;
};

struct newaliases {
	struct channel *to_main;
	LIST_HEAD(, newaliases_question) questions;
	size_t count;
	uint64_t last_id;
};

struct newaliases *
newaliases_new(struct channel *to_main)
{
	struct newaliases *n = calloc(1, sizeof(*n));

	if (n != NULL)
		n->to_main = to_main;
	return n;
}

int
newaliases_read(struct newaliases *n, newaliases_answer *answer, void *arg)
{
	struct newaliases_question *x;
	struct message *m;
	int r;

	if (n->count == QUESTIONS_MAX)
		return -EAGAIN;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return -ENOMEM;
	*x = (struct newaliases_question){.id = ++n->last_id, .answer = answer, .arg = arg};
	m = message_new(M_ALIASES_READ);
	message_put_u64(m, F_ID, x->id);
	r = channel_send(n->to_main, m, -1);
	if (r < 0) {
		free(x);
		return r;
	}
	LIST_INSERT_HEAD(&n->questions, x, entry);
	n->count++;
	return 0;
}

void
newaliases_forget(struct newaliases *n, void *arg)
{
	struct newaliases_question *x;

	LIST_FOREACH (x, &n->questions, entry)
		if (x->arg == arg)
			x->answer = NULL;
}

void
newaliases_result(struct newaliases *n, const struct message *m)
{
	struct newaliases_question *x;

	LIST_FOREACH (x, &n->questions, entry)
		if (x->id == message_u64(m, F_ID, 0))
			break;
	if (x == NULL)
		return;
	LIST_REMOVE(x, entry);
	n->count--;
	if (x->answer != NULL)
		x->answer(x->arg, message_has(m, F_ERROR), message_str(m, F_TEXT));
	free(x);
}
