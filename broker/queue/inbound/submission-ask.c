/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission-ask.c: what the shim asks of a session besides mail: is a submission known, mailq's
 * list, a try of what waits, where an address goes, and newaliases. base/smtp/server.h has the
 * commands; none of them is on a listener.
 */
#include "broker/queue/inbound/submission-internal.h"

#include <string.h>

#include "broker/queue/inbound/usage.h"

bool
submission_on_known(void *arg, const char *submission_id)
{
	struct submission *s = arg;

	return spool_known(s->q->spool, submission_id) == 1;
}

enum { LISTING_COPIES = 2 /* as it is made, and as the reply that waits for the client */ };

static void
count_listing(struct submission *s, uint64_t octets)
{
	usage_release(s->usage, s->listed_memory);
	usage_hold(s->usage, octets);
	s->listed_memory = octets;
}

static void
on_listed(void *arg, bool good)
{
	struct submission *s = arg;

	s->listing = listing_free(s->listing);
	count_listing(s, LISTING_COPIES * s->listed->len);
	smtp_server_answer(s->engine, good ? SMTP_ACCEPT : SMTP_REFUSE);
	s->ops->proceed(s->arg);
}

enum smtp_decision
submission_on_list(void *arg, struct buf *out)
{
	struct submission *s = arg;
	unsigned rights = queue_caller_rights(s->q, s->caller);
	struct mail_owner owner = queue_owner(s->caller, rights);

	if ((rights & CALLER_MAY_SEE_OWN) == 0)
		return submission_refuse(
		    s, 550, "5.7.1", "This entrance shows no mail to this user");
	count_listing(s, 0);
	if (usage_holds_too_much(s->q, s->usage))
		return submission_refuse(
		    s, 451, "4.3.1", "This user asks for too much at once: try again later");
	s->listing = listing_new(s->q, &owner, out, on_listed, s);
	if (s->listing == NULL)
		return SMTP_REFUSE;
	s->listed = out;
	count_listing(s, LISTING_COPIES * out->max);
	return SMTP_LATER;
}

void
submission_on_flush(void *arg)
{
	struct submission *s = arg;
	unsigned rights = queue_caller_rights(s->q, s->caller);
	struct mail_owner owner = queue_owner(s->caller, rights);

	if ((rights & CALLER_MAY_ACT) != 0)
		action_flush(s->q, &owner, s->caller->uid);
}

/* One address a line, each once. */
static int
write_line(void *arg, const char *address)
{
	struct buf *out = arg;
	size_t len = strlen(address);

	for (size_t at = 0; at + len < out->len; at += strcspn(out->data + at, "\n") + 1)
		if (memcmp(out->data + at, address, len) == 0 && out->data[at + len] == '\n')
			return 0;
	return buf_printf(out, "%s\n", address);
}

/* Who may not send at all learns nothing either. */
enum smtp_decision
submission_on_expand(void *arg, const char *address, struct buf *out)
{
	struct submission *s = arg;
	CLEANUP_BUF struct buf why = BUF_INIT(2048);

	if (s->t == NULL)
		return submission_refuse(s, 503, "5.5.1", "MAIL comes first");
	switch (local_expand(s->q->settings, address, write_line, out, &why)) {
	case ALIASES_OK:
		return SMTP_ACCEPT;
	case ALIASES_UNKNOWN:
		return submission_refuse(s, 550, "5.1.1", buf_str(&why));
	case ALIASES_BROKEN:
		return submission_refuse(s, 550, "5.2.4", buf_str(&why));
	default:
		return SMTP_REFUSE;
	}
}

static void
on_aliases_read(void *arg, bool refused, const char *lines)
{
	struct submission *s = arg;

	s->reading_aliases = false;
	if (refused) {
		(void)submission_refuse(s, 550, "5.3.5", lines);
		smtp_server_answer(s->engine, SMTP_REFUSE);
	} else {
		smtp_server_answer_lines(s->engine, lines);
	}
	s->ops->proceed(s->arg);
}

enum smtp_decision
submission_on_aliases(void *arg)
{
	struct submission *s = arg;

	if ((queue_caller_rights(s->q, s->caller) & CALLER_MAY_ADMINISTER) == 0)
		return submission_refuse(
		    s, 550, "5.7.1", "Only administrators may have the aliases read anew");
	if (newaliases_read(s->q, on_aliases_read, s) < 0)
		return SMTP_REFUSE;
	s->reading_aliases = true;
	return SMTP_LATER;
}
