/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* control-row.c: what clients of control.sock are told, a row at a time; see control-internal.h. */
#include "broker/queue/control/control-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/ipc/reply.h"
#include "broker/queue/queue.h"
#include "broker/queue/control/problem.h"

static int
row_message(struct client *c, const struct spool_message *m)
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
	if (*m->envid != '\0')
		message_put_str(out, F_ENVID, m->envid);
	return channel_send(c->channel, out, -1);
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
	return (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) && account_is_at_fault(a);
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
	if (state == a->schedule.keeper && a->schedule.keeper != SCHEDULE_ACTIVE) {
		message_put_str(out, F_TEXT, a->keeper_text);
		message_put_str(out, F_NEXT, a->keeper_next);
		return;
	}
	if (times) {
		message_put_u64(out, F_TIME, (uint64_t)a->schedule.since);
		message_put_u64(out, F_UNTIL, (uint64_t)a->schedule.until);
	}
	if (a->reply.code == 0 && a->reply.fault == SMTP_FAULT_NONE)
		return;
	verdict_on_reply(a, NULL, &a->reply, &d);
	message_put_str(out, F_CAUSE, d.cause);
	message_put_str(out, F_FIXER, d.fixer);
	message_put_str(out, F_TEXT, d.text);
	message_put_str(out, F_NEXT, d.next);
}

/* Why the recipient has not got it, and what to do: the account's trouble comes before what was said of
 * the message when it was last tried. */
static void
put_reason(struct queue *q, const struct queue_account *a, const struct spool_message *m,
    const struct spool_recipient *r, struct message *out)
{
	bool refused = (r->reply.code != 0 || r->reply.fault != SMTP_FAULT_NONE) &&
		       (r->reply.code < 200 || r->reply.code >= 300);
	struct diagnosis d;

	if (waits_for_account(a, r) || (!refused && r->state == SPOOL_QUEUED)) {
		put_why(a, false, out);
	} else if (refused) {
		verdict_on_recipient(q->spool, a, m, r, &d);
		put_verdict(&d, true, out);
	}
}

static int
row_recipient(struct client *c, const struct spool_message *m, const struct spool_recipient *r)
{
	const struct queue_account *a = accounts_find(&c->control->q->accounts, m->account);
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
		put_reason(c->control->q, a, m, r, out);
	}
	return channel_send(c->channel, out, -1);
}

struct attempt_cursor {
	struct client *client;
	const struct spool_message *message;
	size_t skip, seen;
};

static void
put_given(struct message *m, enum field f, const char *text)
{
	if (*text != '\0')
		message_put_str(m, f, text);
}

/* What the reply that decided the attempt means, by the table as it is now. */
static void
put_attempt_verdict(struct attempt_cursor *x, const struct spool_attempt *a, struct message *out)
{
	const struct queue_account *account =
	    accounts_find(&x->client->control->q->accounts, x->message->account);
	struct smtp_reply reply = {0};
	struct diagnosis d;
	bool waits = false;

	/* what to do for one that waits for a person is said of the recipient, as of today */
	for (size_t i = 0; account != NULL && i < x->message->count; i++)
		waits = waits || x->message->recipients[i].state == SPOOL_HELD ||
			waits_for_account(account, &x->message->recipients[i]);
	if (account != NULL && *a->outcome != '\0' &&
	    verdict_reply_parse(a->outcome, a->stage, a->fault, &reply) == 0 &&
	    (reply.code >= 300 || reply.fault != SMTP_FAULT_NONE)) {
		verdict_at(account, x->message, &reply, a->endpoint, &d);
		put_verdict(&d, !waits, out);
	}
	smtp_reply_clear(&reply);
}

static int
row_attempt(void *arg, const struct spool_attempt *a)
{
	struct attempt_cursor *x = arg;
	struct message *out;
	int r;

	if (x->seen++ < x->skip)
		return 0;
	out = message_new(M_ROW_ATTEMPT);
	message_put_u64(out, F_TIME, (uint64_t)a->at);
	put_given(out, F_ENDPOINT, a->endpoint);
	put_given(out, F_TLS, a->tls);
	put_given(out, F_MECHANISM, a->mechanism);
	put_given(out, F_TRANSCRIPT, a->transcript);
	put_given(out, F_REPLY, a->outcome);
	put_attempt_verdict(x, a, out);
	r = channel_send(x->client->channel, out, -1);
	if (r == 0)
		x->client->row++;
	return r;
}

static bool
is_shown(const struct client *c, const struct spool_message *m)
{
	struct mail_owner owner = control_owner(c);

	return mail_owner_has(&owner, &c->control->q->services, m->uid, m->flags, m->service) &&
	       (c->account == NULL || strcmp(c->account, m->account) == 0) &&
	       (c->service == NULL || strcmp(c->service, m->service) == 0);
}

int
control_rows_of_message(struct client *c)
{
	struct queue *q = c->control->q;
	struct spool_message m;
	int r = spool_load(q->spool, c->ids[c->at], false, &m);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (is_shown(c, &m)) {
		if (c->row == 0) {
			r = row_message(c, &m);
			c->row += r == 0;
		}
		while (r == 0 && c->row <= m.count) {
			r = row_recipient(c, &m, &m.recipients[c->row - 1]);
			c->row += r == 0;
		}
		if (r == 0 && c->kind == CURSOR_SHOW) {
			struct attempt_cursor x = {c, &m, c->row - 1 - m.count, 0};

			r = spool_each_attempt(q->spool, m.id, row_attempt, &x);
		}
		c->sent += r == 0;
	}
	spool_message_clear(&m);
	return r;
}

bool
control_sees_account(const struct client *c, const struct queue_account *a)
{
	const struct queue *q = c->control->q;
	struct policy_caller who = {c->peer.uid, c->peer.groups, c->peer.group_count, NULL};
	size_t i;

	if (control_is_admin(c))
		return true;
	i = policy_match(q->services.policies, q->services.count, &who);
	for (size_t k = 0; i < q->services.count && k < q->services.list[i]->account_count; k++)
		if (q->services.list[i]->accounts[k] == a)
			return true;
	return false;
}

static int
row_account(struct client *c, const struct queue_account *a, uint64_t waiting)
{
	CLEANUP_BUF struct buf warning = BUF_INIT(4096);
	struct message *out = message_new(M_ROW_ACCOUNT);
	char endpoint[300];

	if (a->conf.port == 0 && *a->conf.host != '\0')
		(void)snprintf(endpoint, sizeof(endpoint), "srv:%s", a->conf.host);
	else
		(void)snprintf(endpoint, sizeof(endpoint), "%s:%u", a->conf.host, a->conf.port);
	message_put_str(out, F_ACCOUNT, a->name);
	message_put_str(out, F_STATE, schedule_state_name(schedule_account_state(&a->schedule)));
	notify_warning(c->control->q->notify, a, &warning);
	if (warning.len > 0)
		message_put_str(out, F_WARNING, buf_str(&warning));
	put_given(out, F_PROVIDER, a->conf.provider);
	put_given(out, F_MAILBOX, a->conf.mailbox);
	put_given(out, F_GRANT, a->conf.grant);
	message_put_str(out, F_ENDPOINT, endpoint);
	put_given(out, F_TRANSPORT, a->conf.transport);
	put_given(out, F_TLS, a->conf.tls);
	put_given(out, F_MECHANISM, a->conf.mechanisms);
	if (a->used > 0)
		message_put_u64(out, F_USED, (uint64_t)a->used);
	put_given(out, F_USED_BY, a->used_by);
	message_put_u64(out, F_COUNT, waiting);
	put_why(a, true, out);
	return channel_send(c->channel, out, -1);
}

int
control_row_of_status(struct client *c)
{
	struct queue *q = c->control->q;
	int r = 0;

	if (c->kind == CURSOR_PROBLEMS) {
		struct message *m = problem_row(q, c->at);

		if (m == NULL)
			c->count = c->at + 1; /* that was the last one */
		else
			r = channel_send(c->channel, m, -1);
	} else if (c->kind == CURSOR_ACCOUNTS) {
		const struct queue_account *a = q->accounts.list[c->at];

		if (a->configured && control_sees_account(c, a))
			r = row_account(c, a, a->waiting);
	} else if (control_is_admin(c)) {
		r = channel_send(c->channel, explain_service(q, q->services.list[c->at]), -1);
	}
	return r;
}

int
control_row_of_explanation(struct client *c)
{
	struct queue *q = c->control->q;
	struct message *m;

	if (c->at < q->services.count && c->at != c->matched && !control_is_admin(c))
		return 0;
	if (c->at < q->services.count)
		m = explain_rule(q, c->at, c->matched, &c->who);
	else
		m = explain_decision(q,
		    c->matched < q->services.count ? q->services.list[c->matched] : NULL,
		    c->who.uid, c->sender, c->recipient);
	return channel_send(c->channel, m, -1);
}

int
control_row_event(void *arg, const struct spool_event *e)
{
	struct client *c = arg;
	struct message *m = message_new(M_ROW_EVENT);
	char id[SPOOL_ID_LEN];
	int r;

	message_put_u64(m, F_ID, e->id);
	message_put_u64(m, F_TIME, (uint64_t)e->at);
	message_put_str(m, F_KIND, e->kind);
	message_put_str(m, F_ACCOUNT, e->account);
	message_put_str(m, F_TEXT, e->text);
	message_put_str(m, F_NEXT, e->next);
	if (e->message != 0)
		message_put_str(m, F_QUEUE_ID, spool_id_text(e->message, id));
	r = channel_send(c->channel, m, -1);
	c->sent += r == 0;
	return r == -EAGAIN ? 1 : r;
}
