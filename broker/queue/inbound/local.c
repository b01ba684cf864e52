/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * local.c: recipients of this host: where the aliases file, the postmaster and the mail domain say that their mail goes. base/aliases.h
 * has the rules; main reads the file, also for newaliases, since no role opens anything by its path.
 */
#include "broker/queue/queue.h"

#include <errno.h>

enum { QUESTIONS_MAX = 16 };

struct local_question {
	struct local_question *next;
	uint64_t id;
	local_answer *answer; /* NULL: nobody waits any more */
	void *arg;
};

static struct aliases_host
host_of(const struct settings *s)
{
	return (struct aliases_host){.domains = s->local_domains.items,
	    .domain_count = s->local_domains.count,
	    .mail_name = s->mail_name,
	    .postmaster = s->postmaster};
}

bool
local_is_own(const struct queue *q, const char *address)
{
	struct aliases_host host = host_of(q->settings);

	return aliases_is_local(&host, address);
}

enum aliases_result
local_expand(
    const struct queue *q, const char *address, aliases_visit *visit, void *arg, struct buf *why)
{
	struct aliases_host host = host_of(q->settings);

	return aliases_expand(q->settings->aliases, &host, address, visit, arg, why);
}

int
local_read_aliases(struct queue *q, local_answer *answer, void *arg)
{
	struct local_question *n;
	struct message *m;
	size_t count = 0;
	int r;

	for (n = q->questions; n != NULL; n = n->next)
		count++;
	n = count < QUESTIONS_MAX ? calloc(1, sizeof(*n)) : NULL;
	if (n == NULL)
		return -ENOMEM;
	*n = (struct local_question){q->questions, ++q->question_id, answer, arg};
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
local_forget(struct queue *q, void *arg)
{
	for (struct local_question *n = q->questions; n != NULL; n = n->next)
		if (n->arg == arg)
			n->answer = NULL;
}

void
local_aliases_result(struct queue *q, const struct message *m)
{
	struct local_question **at = &q->questions, *n;

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
