/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* row.c: see row.h. */
#include "broker/queue/control/row.h"

#include <stdio.h>

#include "broker/queue/accounts/verdict.h"
#include "broker/queue/notify/event.h"

enum { EVENT_MAX = 60 * 1024 };

struct message *
row_message(const struct spool_message *m)
{
	struct message *out = message_new(M_ROW_MESSAGE);
	char id[SPOOL_ID_LEN];

	message_put_str(out, F_QUEUE_ID, spool_id_text(m->id, id));
	message_put_str(out, F_SENDER, m->sender);
	message_put_u64(out, F_SIZE, m->size);
	message_put_u64(out, F_TIME, (uint64_t)m->received);
	message_put_str(out, F_STATE, spool_state_name(spool_message_state(m)));
	message_put_str(out, F_ACCOUNT, m->account);
	message_put_str(out, F_SERVICE, m->service);
	if (m->uid >= 0)
		message_put_u64(out, F_UID, (uint64_t)m->uid);
	if ((m->flags & SPOOL_OF_SOCKET) != 0)
		message_put_str(out, F_SOCKET_NAME, m->service);
	if (m->next != SPOOL_NEVER)
		message_put_u64(out, F_UNTIL, (uint64_t)m->expires);
	message_put_str(out, F_SUBJECT, m->subject);
	message_put_u64(out, F_COUNT, m->count);
	if (*m->envid != '\0')
		message_put_str(out, F_ENVID, m->envid);
	return out;
}

/* When the recipient is tried next, as far as time alone decides it; SPOOL_NEVER where a person has
 * to. */
static int64_t
next_try(const struct queue_account *a, const struct spool_recipient *r)
{
	const struct schedule_account *s = a == NULL ? NULL : &a->schedule;

	if (s == NULL || r->next == SPOOL_NEVER)
		return r->next;
	if (s->held || s->keeper != SCHEDULE_ACTIVE)
		return SPOOL_NEVER;
	return s->server == SCHEDULE_ACTIVE || r->next > s->until ? r->next : s->until;
}

/* Does the recipient wait for somebody to mend the account, and not for its turn? */
static bool
waits_for_account(const struct queue_account *a, const struct spool_recipient *r)
{
	return spool_recipient_waits(r) && account_is_at_fault(a);
}

static void
put_verdict(const struct diagnosis *d, bool next, struct message *out)
{
	message_put_str(out, F_CAUSE, d->cause);
	message_put_str(out, F_FIXER, d->fixer);
	message_put_str(out, F_RETRY, diagnosis_retry_name(d->retry));
	message_put_str(out, F_TEXT, d->text);
	if (next)
		message_put_str(out, F_NEXT, d->next);
}

static void
put_why(const struct queue_account *a, bool times, struct message *out)
{
	enum schedule_state state = schedule_account_state(&a->schedule);
	struct diagnosis d;
	char next[400];

	if (state == SCHEDULE_ACTIVE)
		return;
	if (state == SCHEDULE_HELD) {
		message_put_str(out, F_TEXT, "A person holds this account.");
		(void)snprintf(next, sizeof(next),
		    "Release it when it may send again: `frank account release %s`.", a->name);
		message_put_str(out, F_NEXT, next);
		return;
	}
	if (times && state != a->schedule.keeper) {
		message_put_u64(out, F_TIME, (uint64_t)a->schedule.since);
		message_put_u64(out, F_UNTIL, (uint64_t)a->schedule.until);
	}
	if (!verdict_on_account(a, &d))
		return;
	message_put_str(out, F_CAUSE, d.cause);
	message_put_str(out, F_FIXER, d.fixer);
	message_put_str(out, F_TEXT, d.text);
	message_put_str(out, F_NEXT, *d.next == '\0' ? NULL : d.next);
}

/* Why the recipient has not got it, and what to do: the account's trouble comes before what was said of
 * the message when it was last tried. */
static void
put_reason(struct spool *spool, const struct queue_account *a, const struct spool_message *m,
    const struct spool_recipient *r, struct message *out)
{
	bool refused = verdict_has_reply(&r->reply) && !verdict_is_positive(&r->reply);
	struct diagnosis d;

	if (waits_for_account(a, r) || (!refused && r->state == SPOOL_QUEUED)) {
		put_why(a, false, out);
	} else if (refused) {
		verdict_on_recipient(spool, a, m, r, &d);
		put_verdict(&d, true, out);
	}
}

struct message *
row_recipient(
    const struct control_deps *deps, const struct spool_message *m, const struct spool_recipient *r)
{
	const struct queue_account *a = accounts_find(deps->accounts, m->account);
	struct message *out = message_new(M_ROW_RECIPIENT);
	CLEANUP_BUF struct buf reply = BUF_INIT(4096);

	verdict_reply_text(&r->reply, &reply);
	message_put_str(out, F_RCPT, r->address);
	message_put_str(out, F_STATE, spool_state_name(r->state));
	message_put_u64(out, F_ATTEMPTS, r->attempts);
	if (next_try(a, r) != SPOOL_NEVER)
		message_put_u64(out, F_UNTIL, (uint64_t)next_try(a, r));
	if (reply.len > 0)
		message_put_str(out, F_REPLY, buf_str(&reply));
	if ((m->flags & SPOOL_REFUSED) != 0) {
		message_put_str(out, F_TEXT,
		    "Frank refused it after it was taken while frankd was down, and it is never "
		    "sent.");
		message_put_str(out, F_NEXT,
		    r->state == SPOOL_FAILED ? "Read it, then return it to its sender (frank queue "
					       "retry) or delete it."
					     : "It was returned to its sender.");
	} else if (a != NULL) {
		put_reason(deps->spool, a, m, r, out);
	}
	return out;
}

static void
put_given(struct message *m, enum field f, const char *text)
{
	if (*text != '\0')
		message_put_str(m, f, text);
}

/* What the reply that decided the attempt means, by the table as it is now. */
static void
put_attempt_verdict(const struct queue_account *account, const struct spool_message *m,
    const struct spool_attempt *a, struct message *out)
{
	struct smtp_reply reply = {0};
	struct diagnosis verdict;
	bool waits = false;

	if (account == NULL || *a->outcome == '\0')
		return;
	/* what to do for one that waits for a person is said of the recipient, as of today */
	for (size_t i = 0; i < m->count; i++)
		waits = waits || m->recipients[i].state == SPOOL_HELD ||
			waits_for_account(account, &m->recipients[i]);
	if (verdict_reply_parse(a->outcome, a->stage, a->fault, &reply) == 0 &&
	    (reply.code >= 300 || reply.fault != SMTP_FAULT_NONE)) {
		verdict_at(account, m, &reply, a->endpoint, &verdict);
		put_verdict(&verdict, !waits, out);
	}
	smtp_reply_clear(&reply);
}

struct message *
row_attempt(
    const struct control_deps *deps, const struct spool_message *m, const struct spool_attempt *a)
{
	struct message *out = message_new(M_ROW_ATTEMPT);

	message_put_u64(out, F_TIME, (uint64_t)a->at);
	put_given(out, F_ENDPOINT, a->endpoint);
	put_given(out, F_TLS, a->tls);
	put_given(out, F_MECHANISM, a->mechanism);
	put_given(out, F_TRANSCRIPT, a->transcript);
	put_given(out, F_REPLY, a->outcome);
	put_attempt_verdict(accounts_find(deps->accounts, m->account), m, a, out);
	return out;
}

struct message *
row_account(const struct control_deps *deps, const struct queue_account *a)
{
	CLEANUP_BUF struct buf warning = BUF_INIT(4096), mechanisms = BUF_INIT(1024);
	struct message *out = message_new(M_ROW_ACCOUNT);
	char endpoint[300];

	if (a->conf.port == 0 && *a->conf.host != '\0')
		(void)snprintf(endpoint, sizeof(endpoint), "srv:%s", a->conf.host);
	else
		(void)snprintf(endpoint, sizeof(endpoint), "%s:%u", a->conf.host, a->conf.port);
	message_put_str(out, F_ACCOUNT, a->name);
	message_put_str(out, F_STATE, schedule_state_name(schedule_account_state(&a->schedule)));
	notify_warning(deps->notify, a, &warning);
	if (warning.len > 0)
		message_put_str(out, F_WARNING, buf_str(&warning));
	put_given(out, F_PROVIDER, a->conf.provider);
	put_given(out, F_MAILBOX, a->conf.mailbox);
	put_given(out, F_GRANT, conf_word(CONF_TYPE_grant, a->conf.grant));
	message_put_str(out, F_ENDPOINT, endpoint);
	put_given(out, F_TRANSPORT, conf_word(CONF_TYPE_transport, a->conf.transport));
	put_given(out, F_TLS, conf_word(CONF_TYPE_tls, a->conf.tls));
	settings_mechanisms(&a->conf, &mechanisms);
	put_given(out, F_MECHANISM, buf_str(&mechanisms));
	if (a->used > 0)
		message_put_u64(out, F_USED, (uint64_t)a->used);
	put_given(out, F_USED_BY, a->used_by);
	message_put_u64(out, F_COUNT, a->waiting);
	put_why(a, true, out);
	return out;
}

struct message *
row_event(const struct control_deps *deps, const struct spool_event *e)
{
	CLEANUP_BUF struct buf json = BUF_INIT(EVENT_MAX);
	struct message *m = message_new(M_ROW_EVENT);

	(void)event_json(e, deps->settings->conf->hostname, true, &json);
	message_put_u64(m, F_ID, e->id);
	message_put_bytes(m, F_BODY, json.len > 0 ? json.data : "", json.len);
	return m;
}
