/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * newaliases.c: main reads the aliases file anew when somebody asks for it, since no role opens
 * anything by its path.
 */
#include "broker/queue/queue.h"

#include <errno.h>

enum { QUESTIONS_MAX = 16 };

struct newaliases_question {
	struct newaliases_question *next;
	uint64_t id;
	newaliases_answer *answer; /* NULL: nobody waits any more */
	void *arg;
};

int
newaliases_read(struct queue *q, newaliases_answer *answer, void *arg)
{
	struct newaliases_question *n;
	struct message *m;
	size_t count = 0;
	int r;

	for (n = q->questions; n != NULL; n = n->next)
		count++;
	n = count < QUESTIONS_MAX ? calloc(1, sizeof(*n)) : NULL;
	if (n == NULL)
		return -ENOMEM;
	*n = (struct newaliases_question){q->questions, ++q->question_id, answer, arg};
	m = message_new(M_ALIASES_READ);
	message_put_u64(m, F_ID, n->id);
	r = channel_send(role_main_channel(q->role), m, -1);
	if (r < 0) {
		free(n);
		return r;
	}
	q->questions = n;
	return 0;
}

void
newaliases_forget(struct queue *q, void *arg)
{
	for (struct newaliases_question *n = q->questions; n != NULL; n = n->next)
		if (n->arg == arg)
			n->answer = NULL;
}

void
newaliases_result(struct queue *q, const struct message *m)
{
	struct newaliases_question **at = &q->questions, *n;

	while (*at != NULL && (*at)->id != message_u64(m, F_ID, 0))
		at = &(*at)->next;
	n = *at;
	if (n == NULL)
		return;
	*at = n->next;
	if (n->answer != NULL)
		n->answer(n->arg, message_has(m, F_ERROR), message_str(m, F_TEXT));
	free(n);
}
