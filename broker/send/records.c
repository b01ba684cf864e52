/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * records.c: see records.h. The resolver cannot forget a question, so one that is cancelled lives on
 * until its answer.
 */
#include "broker/send/records.h"

#include <stdio.h>
#include <string.h>

enum { RECORDS_MOST = 16 };

struct record {
	unsigned order;
	char name[264];
};

struct records {
	records_done *done;
	void *arg;
	unsigned tag;
	enum records_type type;
	struct event *deliver;
	struct record list[RECORDS_MOST];
	size_t count;
	bool answered, cancelled;
};

static void
records_free(struct records *q)
{
	if (q->deliver != NULL)
		event_free(q->deliver);
	free(q);
}

static int
by_order(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static void
deliver(evutil_socket_t sock, short what, void *arg)
{
	struct records *q = arg;
	const char *names[RECORDS_MOST];

	qsort(q->list, q->count, sizeof(*q->list), by_order);
	for (size_t i = 0; i < q->count; i++)
		names[i] = q->list[i].name;
	if (!q->cancelled)
		q->done(q->arg, q->tag, names, q->count);
	records_free(q);
}

/* "." means that there is no such service (RFC 2782, RFC 7505). */
static struct record *
next_record(struct records *q, unsigned order, const char *host)
{
	if (q->count == RECORDS_MOST || *host == '\0' || strcmp(host, ".") == 0)
		return NULL;
	q->list[q->count].order = order;
	return &q->list[q->count++];
}

static void
take_record(struct records *q, const struct dns_record *x)
{
	struct record *r = next_record(q, x->order, x->text);

	if (r == NULL)
		return;
	if (q->type == RECORDS_MX)
		(void)snprintf(r->name, sizeof(r->name), "%.255s", x->text);
	else
		(void)snprintf(r->name, sizeof(r->name), "%.255s:%u", x->text, x->port);
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct records *q = arg;

	for (size_t i = 0; i < answer->count; i++)
		take_record(q, &answer->records[i]);
	q->answered = true;
	if (q->cancelled)
		records_free(q);
	else
		event_active(q->deliver, EV_TIMEOUT, 0);
}

struct records *
records_new(struct event_base *base, struct resolver *r, const char *name, enum records_type type,
    unsigned tag, records_done *done, void *arg)
{
	struct records *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	*q = (struct records){.done = done, .arg = arg, .tag = tag, .type = type};
	q->deliver = event_new(base, -1, 0, deliver, q);
	if (q->deliver == NULL ||
	    !resolver_query(r, name, type == RECORDS_MX ? DNS_MX : DNS_SRV, on_answer, q)) {
		records_free(q);
		return NULL;
	}
	return q;
}

struct records *
records_cancel(struct records *q)
{
	if (q == NULL)
		return NULL;
	q->cancelled = true;
	if (q->answered)
		records_free(q);
	return NULL;
}
