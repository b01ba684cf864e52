/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* message-event.c: see message-event.h. */
#include "broker/queue/notify/message-event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue/accounts/verdict.h"
#include "broker/queue/notify/event.h"
#include "broker/queue/notify/filter.h"

enum {
	NAMED_MAX = 100, /* recipients named in one event */
	NAMES_MAX = 8 * 1024,
	REPLY_MAX = 1024,
	REJECTED_PER_MINUTE = 600,
};

static const char in_doubt[] = "in-doubt";

/* The event without what its kind brings. */
static struct spool_event
event_of(const struct message_events *x, const char *kind, const struct spool_message *m)
{
	return (struct spool_event){.at = clock_now(x->clock),
	    .kind = kind,
	    .of_message = true,
	    .message = m->id,
	    .account = m->account,
	    .service = m->service,
	    .sender = m->sender,
	    .message_id = m->message_id};
}

static bool
is_wanted(const struct message_events *x, const struct spool_event *e)
{
	return x->settings != NULL && filter_keeps(x->settings->conf, e) &&
	       (e->service == NULL || strcmp(e->service, event_service) != 0);
}

/* `index` NULL: all recipients. */
static int
write_event(struct message_events *x, struct spool_event *e, const struct spool_message *m,
    const size_t *index, size_t count)
{
	CLEANUP_BUF struct buf names = BUF_INIT(NAMES_MAX);

	for (size_t i = 0; count > 1 && i < count && i < NAMED_MAX; i++) {
		const char *name = m->recipients[index == NULL ? i : index[i]].address;

		/* what does not fit any more is in the number alone */
		if (names.len + strlen(name) + 1 >= NAMES_MAX)
			break;
		(void)buf_printf(&names, "%s%s", i == 0 ? "" : "\n", name);
	}
	if (names.failed)
		return -ENOMEM;
	e->recipients = count > 1    ? buf_str(&names)
			: count == 1 ? m->recipients[index == NULL ? 0 : index[0]].address
				     : NULL;
	e->recipient_count = count;
	x->written = true;
	return spool_publish_event(x->spool, clock_now_us(x->clock), e);
}

static int
write_of_all(struct message_events *x, const char *kind, const struct spool_message *m)
{
	struct spool_event e = event_of(x, kind, m);

	return is_wanted(x, &e) ? write_event(x, &e, m, NULL, m->count) : 0;
}

int
message_event_stored(struct message_events *x, const struct spool_message *m)
{
	return write_of_all(x, (m->flags & SPOOL_CAPTURE) != 0 ? "captured" : "accepted", m);
}

int
message_event_released(struct message_events *x, const struct spool_message *m)
{
	return write_of_all(x, "released", m);
}

/* ---- outcomes ---- */

/* NULL: nothing that is an event became of it. */
static const char *
outcome_of(const struct spool_recipient *r, bool tried, bool interrupted)
{
	switch (r->state) {
	case SPOOL_DELIVERED:
		return "delivered";
	case SPOOL_BOUNCED:
		return "bounced";
	case SPOOL_FAILED:
		return "failed";
	case SPOOL_HELD:
		return in_doubt;
	case SPOOL_QUEUED:
	case SPOOL_DEFERRED:
		if (!tried)
			return NULL;
		return interrupted || r->reply.in_doubt ? in_doubt : "deferred";
	default:
		return NULL;
	}
}

/* Is the same to be said of both? */
static bool
is_same(const struct spool_recipient *a, const struct spool_recipient *b)
{
	const char *x = a->reply.text, *y = b->reply.text;

	return a->state == b->state && a->attempts == b->attempts &&
	       a->reply.code == b->reply.code && a->reply.in_doubt == b->reply.in_doubt &&
	       a->reply.fault == b->reply.fault &&
	       strcmp(a->reply.enhanced, b->reply.enhanced) == 0 &&
	       (x == NULL || y == NULL ? x == y : strcmp(x, y) == 0);
}

/* Why, where it was not delivered. */
static void
put_verdict(const struct message_events *x, const struct spool_message *m,
    const struct spool_recipient *r, struct diagnosis *d, struct spool_event *e)
{
	const struct queue_account *a = accounts_find(x->accounts, m->account);

	if (e->kind == in_doubt) {
		e->verdict = in_doubt;
		e->text = "The message was being sent when the answer was lost: the server may "
			  "have taken it, or not.";
		if (r->state == SPOOL_HELD)
			e->next = "Look whether it arrived; then frank queue release, or delete.";
	} else if (a != NULL && verdict_has_reply(&r->reply)) {
		verdict_on_reply(a, m, &r->reply, d);
		e->verdict = d->cause;
		e->text = d->text;
		e->next = d->next;
	} else if (r->state == SPOOL_BOUNCED || r->state == SPOOL_FAILED) {
		e->verdict = "expired";
		e->text = "It could not be delivered within its lifetime.";
	}
}

static int
write_outcome(struct message_events *x, struct spool_event *e, const struct spool_message *m,
    const size_t *index, size_t count, bool interrupted)
{
	const struct spool_recipient *r = &m->recipients[index[0]];
	CLEANUP_BUF struct buf reply = BUF_INIT(REPLY_MAX);
	struct diagnosis d = {.text = ""};

	e->attempt = r->attempts + r->interrupted;
	/* that of an earlier try says nothing of this one */
	if (!interrupted) {
		e->code = (unsigned)r->reply.code;
		e->enhanced = r->reply.enhanced;
		verdict_reply_text(&r->reply, &reply);
		if (reply.len > 0 && !reply.failed)
			e->reply = buf_str(&reply);
	}
	if (r->state != SPOOL_DELIVERED)
		put_verdict(x, m, r, &d, e);
	return write_event(x, e, m, index, count);
}

int
message_event_outcome(struct message_events *x, const struct spool_message *m, const size_t *index,
    size_t count, bool tried, bool interrupted)
{
	CLEANUP_FREE size_t *same = NULL;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const struct spool_recipient *first = &m->recipients[index[i]];
		const char *kind = outcome_of(first, tried, interrupted);
		struct spool_event e = event_of(x, kind, m);
		bool seen = false;
		size_t n = 0;

		if (kind == NULL || !is_wanted(x, &e))
			continue;
		if (same == NULL)
			same = calloc(count, sizeof(*same));
		if (same == NULL)
			return -ENOMEM;
		for (size_t k = 0; k < i && !seen; k++)
			seen = is_same(&m->recipients[index[k]], first);
		if (seen)
			continue;
		for (size_t k = i; k < count; k++)
			if (is_same(&m->recipients[index[k]], first))
				same[n++] = index[k];
		r = write_outcome(x, &e, m, same, n, interrupted);
	}
	return r;
}

int
message_event_interrupted(struct message_events *x, const struct spool_message *m)
{
	struct spool_event e = event_of(x, in_doubt, m);
	CLEANUP_FREE size_t *index = calloc(m->count + 1, sizeof(*index));
	size_t n = 0;

	if (index == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->count; i++)
		if (m->recipients[i].state == SPOOL_SENDING)
			index[n++] = i;
	return n == 0 || !is_wanted(x, &e) ? 0 : write_outcome(x, &e, m, index, n, true);
}

/* ---- refused ---- */

struct rejected_op {
	struct commit_op op;
	struct message_events *events;
	struct spool_event event;
	char *service, *sender, *recipient, *words, *account; /* owned, or NULL */
	char enhanced[12];
};

static int
rejected_write(struct spool *spool, struct commit_op *op)
{
	struct rejected_op *x = (struct rejected_op *)op;

	x->events->written = true;
	return spool_publish_event(spool, clock_now_us(x->events->clock), &x->event);
}

static void
rejected_done(struct commit_op *op, int r)
{
	struct rejected_op *x = (struct rejected_op *)op;

	free(x->service);
	free(x->sender);
	free(x->recipient);
	free(x->words);
	free(x->account);
	free(x);
}

static char *
copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

void
message_event_rejected(struct message_events *x, const struct message_rejection *r)
{
	struct spool_event e = {.at = clock_now(x->clock),
	    .kind = "rejected",
	    .of_message = true,
	    .account = r->account,
	    .service = r->service,
	    .code = (unsigned)r->code,
	    .verdict = "policy"};
	uint64_t now = clock_ms();
	struct rejected_op *o;

	if (!is_wanted(x, &e) ||
	    rate_limit_wait(&x->rejected, REJECTED_PER_MINUTE, RATE_LIMIT_MINUTE, now) > 0)
		return;
	rate_limit_spend(&x->rejected, RATE_LIMIT_MINUTE, (int64_t)now, 1);
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return;
	*o = (struct rejected_op){
	    .op = {.write = rejected_write, .done = rejected_done, .patient = true},
	    .events = x,
	    .event = e,
	    .service = copy(r->service),
	    .sender = copy(r->sender),
	    .recipient = copy(r->recipient),
	    .words = copy(r->words),
	    .account = copy(r->account)};
	if (r->enhanced != NULL)
		(void)snprintf(o->enhanced, sizeof(o->enhanced), "%s", r->enhanced);
	o->event.account = o->account;
	o->event.service = o->service;
	o->event.sender = o->sender;
	o->event.recipients = o->recipient;
	o->event.recipient_count = o->recipient != NULL;
	o->event.text = o->words;
	o->event.enhanced = o->enhanced;
	commit_add(x->commit, &o->op);
}
