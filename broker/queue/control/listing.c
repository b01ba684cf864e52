/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * listing.c: what mailq prints, in the form that Postfix made common and monitors read (with long
 * queue ids): one line per message with id, size, time and sender; the reason in parentheses; its
 * recipients; a closing line with the sum.
 *
 *   ----Queue ID----- --Size-- ----Arrival Time---- --Sender/Recipient------
 *   6123A4F5E6B78*        2048 Mon Nov 23 10:00:00  sender@example.com
 *   (450 4.2.0 try again)
 *                                            recipient@example.org
 *
 *   -- 2 Kbytes in 1 Request.
 *
 * Behind the id stands '*' for a message being sent and '!' for one that is held.
 */

#include "broker/queue/control/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "broker/queue/accounts/verdict.h"

enum { KEEP_FOR_SUM = 256 };

static char
mark(enum spool_state state)
{
	return state == SPOOL_SENDING                         ? '*'
	       : state == SPOOL_HELD || state == SPOOL_FAILED ? '!'
							      : ' ';
}

/* Why an account's mail waits that was not tried itself; nothing where it only waits for its turn. */
static void
account_reason(const struct queue_account *a, struct buf *out)
{
	enum schedule_state state = a == NULL || !a->configured
					? SCHEDULE_CONFIGURATION
					: schedule_account_state(&a->schedule);

	if (state == SCHEDULE_ACTIVE)
		return;
	if (a == NULL || !a->configured)
		(void)buf_append_str(out, "its account is not configured");
	else if (state == a->schedule.keeper && a->keeper_text != NULL)
		(void)buf_append_str(out, a->keeper_text);
	else if (state == a->schedule.server &&
		 (a->reply.code != 0 || a->reply.fault != SMTP_FAULT_NONE))
		verdict_reply_text(&a->reply, out);
	else
		(void)buf_printf(out, "the account is %s", schedule_state_name(state));
	/* The list is of lines. */
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
}

static int
list_recipients(const struct control_deps *deps, const struct spool_message *m, struct buf *out)
{
	CLEANUP_BUF struct buf reason = BUF_INIT(4096), shown = BUF_INIT(4096);
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct spool_recipient *p = &m->recipients[i];

		if (p->state == SPOOL_DELIVERED || p->state == SPOOL_BOUNCED)
			continue;
		buf_clear(&reason);
		verdict_reply_text(&p->reply, &reason);
		if (reason.len == 0 && p->state == SPOOL_QUEUED)
			account_reason(accounts_find(deps->accounts, m->account), &reason);
		/* Those that wait for the same reason stand together below it. */
		if (reason.len > 0 && strcmp(buf_str(&shown), buf_str(&reason)) != 0) {
			r = buf_printf(out, "(%s)\n", buf_str(&reason));
			buf_clear(&shown);
			(void)buf_append(&shown, reason.data, reason.len);
		}
		if (r == 0)
			r = buf_printf(out, "%41s%s\n", "", p->address);
	}
	return r;
}

static int
list_message(const struct control_deps *deps, const struct spool_message *m, struct buf *out)
{
	char id[SPOOL_ID_LEN + 1], when[32];
	time_t received = (time_t)m->received;
	struct tm tm;
	size_t n;
	int r;

	(void)spool_id_text(m->id, id);
	n = strlen(id);
	id[n] = mark(spool_message_state(m));
	id[n + 1] = '\0';
	if (localtime_r(&received, &tm) == NULL ||
	    strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm) == 0)
		when[0] = '\0';
	r = buf_printf(out, "%-17s %8" PRIu64 " %-20s %s\n", id, m->size, when,
	    *m->sender == '\0' ? "MAILER-DAEMON" : m->sender);
	if (r == 0)
		r = list_recipients(deps, m, out);
	return r < 0 ? r : buf_append_char(out, '\n');
}

struct listing {
	struct scan scan;
	const struct control_deps *deps;
	struct mail_owner owner;
	char *owner_service; /* what `owner` borrows */
	struct buf *out;
	listing_done *done;
	void *arg;
	uint64_t after;
	size_t shown, full;
	uint64_t size;
	/* of the step: what there is room for */
	uint64_t ids[SCAN_MESSAGES];
	size_t count;
};

static bool
is_full(const struct listing *l)
{
	return l->full > 0;
}

static int
choose(void *arg, const struct spool_row *g)
{
	struct listing *l = arg;

	if (!g->open || !mail_owner_has(&l->owner, l->deps->services, g->uid, g->flags, g->service))
		return 0;
	l->shown++;
	l->size += g->size;
	if (is_full(l)) {
		l->full++;
		return 0;
	}
	l->ids[l->count++] = g->id;
	return l->count == SCAN_MESSAGES;
}

static void
show(struct listing *l, uint64_t id)
{
	CLEANUP_BUF struct buf one = BUF_INIT(l->out->max), shown = BUF_INIT(l->out->max);
	struct spool_message m;

	if (spool_load(l->deps->spool, id, false, &m) < 0)
		return;
	if (l->out->len == 0)
		(void)buf_printf(l->out, "%-17s %8s %-20s %s\n", "----Queue ID-----", "--Size--",
		    "----Arrival Time----", "--Sender/Recipient------");
	/* Addresses may hold characters that a terminal must not get. */
	if (is_full(l) || list_message(l->deps, &m, &one) < 0 ||
	    text_clean(&shown, buf_str(&one)) < 0 ||
	    l->out->len + shown.len > l->out->max - KEEP_FOR_SUM)
		l->full++;
	else
		(void)buf_append(l->out, shown.data, shown.len);
	spool_message_clear(&m);
}

static bool
sum_up(struct listing *l)
{
	if (l->shown == 0)
		return buf_printf(l->out, "Mail queue is empty\n") == 0;
	if (l->full > 0)
		(void)buf_printf(l->out, "(%zu more are not shown)\n", l->full);
	return buf_printf(l->out, "-- %" PRIu64 " Kbytes in %zu Request%s.\n",
		   (l->size + 1023) / 1024, l->shown, l->shown == 1 ? "" : "s") == 0;
}

static bool
step(void *arg)
{
	struct listing *l = arg;
	int more;

	l->count = 0;
	more = spool_scan(l->deps->spool, &l->after, SCAN_ROWS, choose, l);
	for (size_t i = 0; i < l->count; i++)
		show(l, l->ids[i]);
	if (more == 1)
		return true;
	l->done(l->arg, more == 0 && sum_up(l));
	return false;
}

struct listing *
listing_new(const struct control_deps *deps, const struct mail_owner *owner, struct buf *out,
    listing_done *done, void *arg)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->deps = deps;
	l->owner = *owner;
	if (owner->service != NULL) {
		l->owner.service = l->owner_service = strdup(owner->service);
		if (l->owner_service == NULL) {
			free(l);
			return NULL;
		}
	}
	l->out = out;
	l->done = done;
	l->arg = arg;
	scan_begin(deps->scans, &l->scan, step, l);
	return l;
}

struct listing *
listing_free(struct listing *l)
{
	if (l != NULL) {
		scan_end(&l->scan);
		free(l->owner_service);
		free(l);
	}
	return NULL;
}
