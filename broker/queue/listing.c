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
#include "broker/queue/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { KEEP_FOR_SUM = 256 };

static char
mark(enum spool_state state)
{
	return state == SPOOL_SENDING                         ? '*'
	       : state == SPOOL_HELD || state == SPOOL_FAILED ? '!'
							      : ' ';
}

static int
list_recipients(const struct spool_message *m, struct buf *out)
{
	CLEANUP_BUF struct buf reason = BUF_INIT(4096), shown = BUF_INIT(4096);
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct spool_recipient *p = &m->recipients[i];

		if (p->state == SPOOL_DELIVERED || p->state == SPOOL_BOUNCED)
			continue;
		buf_clear(&reason);
		outcome_reply_text(&p->reply, &reason);
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
list_message(const struct spool_message *m, struct buf *out)
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
		r = list_recipients(m, out);
	return r < 0 ? r : buf_append_char(out, '\n');
}

bool
listing_make(struct queue *q, uint32_t uid, bool all, struct buf *out)
{
	CLEANUP_FREE uint64_t *ids = NULL;
	size_t count, shown = 0, full = 0;
	uint64_t size = 0;

	if (spool_open_ids(q->spool, &ids, &count) < 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct spool_message m;
		CLEANUP_BUF struct buf one = BUF_INIT(out->max);

		if (spool_load(q->spool, ids[i], false, &m) < 0)
			continue;
		if (all || m.uid == (int64_t)uid) {
			if (shown++ == 0)
				(void)buf_printf(out, "%-17s %8s %-20s %s\n", "----Queue ID-----",
				    "--Size--", "----Arrival Time----", "--Sender/Recipient------");
			size += m.size;
			if (list_message(&m, &one) < 0 ||
			    out->len + one.len > out->max - KEEP_FOR_SUM)
				full++;
			else
				(void)buf_append(out, one.data, one.len);
		}
		spool_message_clear(&m);
	}
	if (shown == 0)
		return buf_printf(out, "Mail queue is empty\n") == 0;
	if (full > 0)
		(void)buf_printf(out, "(%zu more are not shown)\n", full);
	return buf_printf(out, "-- %" PRIu64 " Kbytes in %zu Request%s.\n", (size + 1023) / 1024,
		   shown, shown == 1 ? "" : "s") == 0;
}
