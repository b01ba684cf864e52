/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * outcome.c: what came of a job: for each recipient, for the account, and for whoever sent the
 * message.
 *
 * What a reply means is said by diagnose() alone, what follows from it by schedule.h. An outcome is
 * queued for the turn as an operation that is never given up: the server has acted, so the spool
 * has to know. Reports are stored in the transaction that makes them necessary.
 */
#include "broker/queue/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

enum { DAY = 24 * 3600, OVERDUE_STEP = SCAN_MESSAGES, REPORTS_MAX = 3 };

/* Outcomes on their way to the disk. */
struct record {
	struct commit_op op;
	struct delivery_message *delivery;
	size_t *index;
	size_t count;
	bool attempt;  /* there is one to be written */
	bool last;     /* no job of the delivery is left: the message's own row follows */
	bool used;     /* its account is in use: that is noted once a day */
	bool finished; /* nothing is left to do for it */
	int64_t at;
	char *endpoint, *tls, *mechanism, *transcript, *words;
	enum smtp_stage stage; /* of what `words` say */
	enum smtp_fault fault;
	struct spool_message *reports[REPORTS_MAX];
	struct queue_account *account; /* its state changed; NULL: it did not */
};

/* ---- what it means ---- */

static const char *
or_null(const char *text)
{
	return text == NULL || *text == '\0' ? NULL : text;
}

/* ---- accounts ---- */

struct account_op {
	struct commit_op op;
	struct queue_account *account;
	int64_t at;
	int64_t keep_until; /* its mail is not given up before; 0: as it was */
};

static int
account_write(struct spool *spool, struct commit_op *op)
{
	const struct account_op *x = (const struct account_op *)op;
	const struct queue_account *a = x->account;
	struct spool_account kept = {
	    .schedule = a->schedule, .reply = a->reply, .learned_at = a->learned_at};
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	int r = spool_save_account(spool, a->name, &kept);

	if (r == 0 && x->keep_until > 0)
		r = spool_prolong(spool, a->name, x->keep_until);
	verdict_reply_text(&a->reply, &why);
	return r < 0 ? r
		     : spool_add_event(spool, x->at,
			   schedule_state_name(schedule_account_state(&a->schedule)), 0, a->name,
			   buf_str(&why));
}

static void
account_written(struct commit_op *op, int r)
{
	free(op);
}

static void
log_account(const struct queue_account *a)
{
	enum schedule_state state = schedule_account_state(&a->schedule);
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	struct diagnosis d = {.text = "", .next = ""};

	if (state == SCHEDULE_ACTIVE) {
		log_line(LOG_LEVEL_NOTICE, "The account sends again.",
		    LOG_PAIRS({LOG_ACCOUNT, a->name}));
		return;
	}
	if (state == SCHEDULE_HELD) {
		log_line(LOG_LEVEL_NOTICE, "The account is held by a person.",
		    LOG_PAIRS({LOG_ACCOUNT, a->name}));
		return;
	}
	if (state == a->schedule.keeper) {
		(void)buf_printf(&why, "The account cannot send: %s %s",
		    a->keeper_text == NULL ? "its credential cannot be used." : a->keeper_text,
		    a->keeper_next == NULL ? "" : a->keeper_next);
	} else {
		verdict_on_reply(a, NULL, &a->reply, &d);
		(void)buf_printf(&why, "The account cannot send: %s %s", d.text, d.next);
	}
	log_line(state == SCHEDULE_UNREACHABLE || state == SCHEDULE_THROTTLED ? LOG_LEVEL_WARNING
									      : LOG_LEVEL_ERROR,
	    buf_str(&why),
	    LOG_PAIRS({LOG_ACCOUNT, a->name}, {LOG_OUTCOME, schedule_state_name(state)},
		{LOG_REPLY, a->reply.text}));
}

void
account_changed(struct queue *q, struct queue_account *a)
{
	struct account_op *x = calloc(1, sizeof(*x));
	bool was_at_fault = a->at_fault;

	notify_look(q->notify);
	a->at_fault = account_is_at_fault(a);
	log_account(a);
	if (x == NULL)
		return;
	*x = (struct account_op){
	    .op = {.write = account_write, .done = account_written, .arg = q, .must = true},
	    .account = a,
	    .at = clock_now(&q->clock)};
	if (was_at_fault && !a->at_fault)
		x->keep_until = clock_now(&q->clock) + schedule_after_hold(q->settings->lifetime);
	commit_add(q->commit, &x->op);
}

void
outcome_settle_account(struct queue *q, struct queue_account *a, unsigned round,
    const struct schedule_verdict *v, const struct smtp_reply *reply)
{
	unsigned before = a->schedule.round;
	bool changed =
	    schedule_account_result(&a->schedule, round, v, clock_now(&q->clock), clock_random());

	if (a->schedule.round == before)
		return;
	/* A try that fails as before still moves the next one. */
	smtp_reply_clear(&a->reply);
	if (v->account != SCHEDULE_ACTIVE && reply != NULL)
		account_learn(a, reply);
	if (changed)
		account_changed(q, a);
}

/* ---- recipients ---- */

static void
log_recipient(struct queue *q, const struct delivery_message *d, const struct spool_recipient *r)
{
	static const char *const sentences[SPOOL_STATE_COUNT] = {
	    [SPOOL_QUEUED] = "A message waits for its account.",
	    [SPOOL_DELIVERED] = "A message is delivered.",
	    [SPOOL_DEFERRED] = "A message is deferred.",
	    [SPOOL_BOUNCED] = "A message is returned to its sender.",
	    [SPOOL_FAILED] = "A message cannot be delivered, and nobody can be told.",
	    [SPOOL_HELD] = "A message is held for a person.",
	};
	CLEANUP_BUF struct buf reply = BUF_INIT(4096);
	const char *sentence = sentences[r->state];
	char id[SPOOL_ID_LEN];
	bool bad = r->state == SPOOL_FAILED || r->state == SPOOL_HELD;

	if (bad)
		notify_mail(q->notify, d->account, d->message, r->state);
	if (r->state == SPOOL_BOUNCED && !report_wanted(q, d->message, r, REPORT_FAILED))
		sentence = "A message is given up, and its sender wants no report.";
	verdict_reply_text(&r->reply, &reply);
	log_line(bad ? LOG_LEVEL_ERROR
		     : (r->state == SPOOL_BOUNCED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO),
	    sentence == NULL ? "A message changes." : sentence,
	    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(d->message->id, id)},
		{LOG_ACCOUNT, d->account->name}, {LOG_SERVICE, d->message->service},
		{LOG_RECIPIENT, r->address}, {LOG_OUTCOME, spool_state_name(r->state)},
		{LOG_REPLY, or_null(buf_str(&reply))}));
}

enum spool_state
outcome_refused_state(
    const struct queue *q, const struct spool_message *m, const struct spool_recipient *r)
{
	bool unwanted = (m->return_to != NULL && *m->return_to == '\0') ||
			(r->notify != 0 && (r->notify & SMTP_NOTIFY_FAILURE) == 0);

	if ((m->flags & SPOOL_REPORT) != 0)
		return SPOOL_FAILED;
	return unwanted || report_wanted(q, m, r, REPORT_FAILED) ? SPOOL_BOUNCED : SPOOL_FAILED;
}

static void
defer(struct queue *q, const struct spool_message *m, struct spool_recipient *r, int64_t delay)
{
	int64_t now = clock_now(&q->clock);

	r->state = SPOOL_DEFERRED;
	r->next = now + delay;
	if (now < m->expires)
		return;
	r->state = outcome_refused_state(q, m, r);
	r->next = SPOOL_NEVER;
}

static void
apply_verdict(struct queue *q, const struct spool_message *m, struct spool_recipient *r,
    const struct schedule_verdict *v)
{
	int64_t now = clock_now(&q->clock), delay;

	switch (v->recipient) {
	case SCHEDULE_DELIVERED:
		r->attempts++;
		r->state = SPOOL_DELIVERED;
		r->next = SPOOL_NEVER;
		break;
	case SCHEDULE_DEFERRED:
		r->attempts++;
		delay = schedule_retry_delay(r->attempts, clock_random());
		if ((int64_t)v->delay > delay)
			delay = schedule_jitter((int64_t)v->delay + v->delay / 4, clock_random());
		defer(q, m, r, delay);
		break;
	case SCHEDULE_BOUNCED:
		r->attempts++;
		r->state = outcome_refused_state(q, m, r);
		r->next = SPOOL_NEVER;
		break;
	case SCHEDULE_IN_DOUBT:
		r->attempts++;
		if (!q->settings->hold_in_doubt) {
			defer(q, m, r, schedule_jitter(SCHEDULE_IN_DOUBT_DELAY, clock_random()));
			break;
		}
		r->state = SPOOL_HELD;
		r->next = SPOOL_NEVER;
		break;
	case SCHEDULE_REQUEUED:
		r->state = r->attempts == 0 ? SPOOL_QUEUED : SPOOL_DEFERRED;
		r->next = now;
		/* A server that cannot be reached uses up the message's time; a credential does
		 * not. */
		if (v->account == SCHEDULE_UNREACHABLE && now >= m->expires)
			defer(q, m, r, 0);
		break;
	}
}

/* The job was handed over, and nobody says what became of it. */
static void
hold_in_doubt(struct queue *q, struct spool_recipient *r)
{
	r->state = SPOOL_HELD;
	r->next = SPOOL_NEVER;
	r->at = clock_now(&q->clock);
	smtp_reply_clear(&r->reply);
	r->reply = (struct smtp_reply){.fault = SMTP_FAULT_LOCAL,
	    .stage = SMTP_STAGE_EOM,
	    .in_doubt = true,
	    .text = strdup(SPOOL_IN_DOUBT_WORDS)};
}

static void
apply_interruption(struct queue *q, struct spool_recipient *r)
{
	int64_t delay;

	r->interrupted++;
	if (q->settings->hold_in_doubt) {
		hold_in_doubt(q, r);
		return;
	}
	delay = schedule_interrupted_delay(r->interrupted, clock_random());
	r->state = r->interrupted >= SCHEDULE_INTERRUPTED_MAX ? SPOOL_HELD : SPOOL_QUEUED;
	r->next = r->state == SPOOL_HELD ? SPOOL_NEVER : clock_now(&q->clock) + delay;
}

/* ---- on record ---- */

static bool
is_open(const struct spool_recipient *r)
{
	return r->state != SPOOL_DELIVERED && r->state != SPOOL_BOUNCED;
}

/* The message's own row, once no job of it is left. */
static void
settle_message(struct record *rec)
{
	struct spool_message *m = rec->delivery->message;

	rec->last = true;
	rec->finished = true;
	m->next = SPOOL_NEVER;
	for (size_t i = 0; i < m->count; i++) {
		const struct spool_recipient *r = &m->recipients[i];

		rec->finished = rec->finished && !is_open(r);
		if ((r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) && r->next < m->next)
			m->next = r->next;
	}
}

static int
record_write(struct spool *spool, struct commit_op *op)
{
	struct queue *q = op->arg;
	const struct record *rec = (const struct record *)op;
	const struct spool_message *m = rec->delivery->message;
	struct spool_attempt attempt = {.at = rec->at,
	    .endpoint = rec->endpoint,
	    .tls = rec->tls,
	    .mechanism = rec->mechanism,
	    .transcript = rec->transcript,
	    .outcome = rec->words,
	    .stage = (int)rec->stage,
	    .fault = (int)rec->fault};
	bool keep = q->settings->keep_history > 0;
	int r = 0;

	/* What will be deleted at once need not be written first. */
	if (!rec->finished || keep) {
		for (size_t i = 0; i < rec->count && r == 0; i++)
			r = spool_update_recipient(
			    spool, m->id, rec->index[i], &m->recipients[rec->index[i]]);
		if (r == 0 && rec->attempt)
			r = spool_add_attempt(spool, m->id, &attempt);
	}
	if (r == 0 && rec->used)
		r = spool_save_used(spool, m->account, rec->at, rec->mechanism);
	if (r == 0 && rec->finished)
		r = spool_finish(spool, m, rec->at, keep);
	else if (r == 0 && rec->last)
		r = spool_update_message(spool, m);
	for (size_t i = 0; i < REPORTS_MAX && r == 0; i++)
		if (rec->reports[i] != NULL)
			r = spool_insert(spool, rec->reports[i]);
	return r;
}

static void
record_done(struct commit_op *op, int r)
{
	struct queue *q = op->arg;
	struct record *rec = (struct record *)op;
	struct delivery_message *d = rec->delivery;
	struct spool_message *m = d->message;

	for (size_t i = 0; i < REPORTS_MAX; i++) {
		struct spool_message *report = rec->reports[i];
		struct queue_account *a =
		    report == NULL ? NULL : accounts_find(&q->accounts, report->account);

		if (a != NULL && r == 0)
			dispatch_wait(q, a, report->service, report->next);
		(void)spool_message_free(report);
	}
	if (rec->finished && r == 0 && (m->flags & SPOOL_BODY_FILE) != 0)
		spool_body_remove(q->spool, m->id);
	if (rec->last && m->next != SPOOL_NEVER)
		dispatch_wait(q, d->account, m->service, m->next);
	if (--d->records == 0 && d->jobs == 0) {
		(void)spool_message_free(d->message);
		free(d);
	}
	free(rec->index);
	free(rec->endpoint);
	free(rec->tls);
	free(rec->mechanism);
	free(rec->transcript);
	free(rec->words);
	free(rec);
}

static char *
copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

/* A report on those of the record's recipients that `fits` names. */
static void
add_report(struct queue *q, struct record *rec, enum report_kind kind,
    bool (*fits)(
	const struct queue *q, const struct spool_message *m, const struct spool_recipient *r))
{
	const struct spool_message *m = rec->delivery->message;
	size_t *which = calloc(rec->count + 1, sizeof(*which)), n = 0;

	for (size_t i = 0; i < rec->count && which != NULL; i++)
		if (fits(q, m, &m->recipients[rec->index[i]]))
			which[n++] = rec->index[i];
	if (n > 0)
		rec->reports[kind] = report_make(q, rec->delivery->account, m, kind, which, n);
	/* Nobody was told after all. */
	for (size_t i = 0; i < rec->count && kind == REPORT_FAILED && rec->reports[kind] == NULL;
	     i++)
		if (fits(q, m, &m->recipients[rec->index[i]]))
			m->recipients[rec->index[i]].state = SPOOL_FAILED;
	free(which);
}

static bool
fits_failed(const struct queue *q, const struct spool_message *m, const struct spool_recipient *r)
{
	return r->state == SPOOL_BOUNCED && report_wanted(q, m, r, REPORT_FAILED);
}

static bool
fits_relayed(const struct queue *q, const struct spool_message *m, const struct spool_recipient *r)
{
	return r->state == SPOOL_DELIVERED && report_wanted(q, m, r, REPORT_RELAYED);
}

static bool
fits_delayed(const struct queue *q, const struct spool_message *m, const struct spool_recipient *r)
{
	return (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) &&
	       report_wanted(q, m, r, REPORT_DELAYED);
}

static struct record *
record_new(struct queue *q, struct delivery_message *d, size_t *index, size_t count)
{
	struct record *rec = calloc(1, sizeof(*rec));

	if (rec == NULL)
		return NULL;
	*rec = (struct record){
	    .op = {.write = record_write,
		.done = record_done,
		.arg = q,
		.must = true,
		.patient = true},
	    .delivery = d,
	    .index = index,
	    .count = count,
	    .at = clock_now(&q->clock),
	};
	d->records++;
	return rec;
}

static void
record_queue(struct queue *q, struct record *rec, bool dsn_passed)
{
	add_report(q, rec, REPORT_FAILED, fits_failed);
	if (!dsn_passed)
		add_report(q, rec, REPORT_RELAYED, fits_relayed);
	if (rec->delivery->jobs == 0)
		settle_message(rec);
	commit_add(q->commit, &rec->op);
}

/* A recipient over the server's number for one transaction: not refused, but for another (RFC 5321
 * section 4.5.3.1.10). */
static bool
is_remainder(const struct smtp_reply *reply, const struct diagnosis *d)
{
	return reply->stage == SMTP_STAGE_RCPT && d->cause != NULL &&
	       strcmp(d->cause, "too-many-recipients") == 0;
}

/* Where somebody got it, the rest is fewer, and may follow at once. */
static bool
some_delivered(const struct smtp_reply *results, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (results[i].code >= 200 && results[i].code < 300)
			return true;
	return false;
}

/* Results of the recipients; *ret_account is what they say of the account, with the reply that says
 * it. */
static void
apply_results(struct queue *q, struct delivery_job *j, const struct smtp_reply *results,
    struct schedule_verdict *ret_account, const struct smtp_reply **ret_reply)
{
	const struct spool_message *m = j->delivery->message;

	for (size_t i = 0; i < j->count; i++) {
		struct spool_recipient *r = &m->recipients[j->index[i]];
		struct diagnosis d = {.retry = RETRY_TRANSIENT};
		struct schedule_verdict v;

		if (results[i].code < 200 || results[i].code >= 300)
			verdict_on_reply(j->delivery->account, m, &results[i], &d);
		v = schedule_verdict(&results[i], &d);
		if (is_remainder(&results[i], &d) && some_delivered(results, j->count))
			v.recipient = SCHEDULE_REQUEUED;
		r->at = clock_now(&q->clock);
		smtp_reply_clear(&r->reply);
		(void)smtp_reply_copy(&r->reply, &results[i]);
		apply_verdict(q, m, r, &v);
		log_recipient(q, j->delivery, r);
		if (v.recipient == SCHEDULE_DELIVERED)
			dispatch_widen(j->delivery->account);
		if (i == 0 ||
		    (v.account != SCHEDULE_ACTIVE && ret_account->account == SCHEDULE_ACTIVE)) {
			*ret_account = v;
			*ret_reply = &results[i];
		}
	}
}

/* Mail went through the account: true where that is news. */
static bool
note_use(struct queue_account *a, const struct record *rec)
{
	const char *by = rec->mechanism == NULL ? "" : rec->mechanism;

	if (rec->at < a->used + DAY && strcmp(a->used_by, by) == 0)
		return false;
	a->used = rec->at;
	(void)snprintf(a->used_by, sizeof(a->used_by), "%s", by);
	return true;
}

void
outcome_record(struct queue *q, struct delivery_job *j, const struct outcome *o)
{
	struct delivery_message *d = j->delivery;
	struct schedule_verdict account = {.account = SCHEDULE_ACTIVE};
	const struct smtp_reply *reply = NULL;
	struct record *rec = record_new(q, d, j->index, j->count);
	bool delivered = false;

	if (rec == NULL) {
		/* The recipients stay SENDING in the spool and are mended at the next start. */
		log_error("Out of memory: an outcome is not on record.");
		free(j->index);
		dispatch_release(q, j);
		d->jobs--;
		return;
	}
	if (o->results != NULL) {
		apply_results(q, j, o->results, &account, &reply);
		for (size_t i = 0; i < j->count; i++)
			delivered =
			    delivered || (o->results[i].code >= 200 && o->results[i].code < 300);
		outcome_settle_account(q, j->delivery->account, j->round, &account, reply);
	} else {
		for (size_t i = 0; i < j->count; i++) {
			struct spool_recipient *r = &d->message->recipients[j->index[i]];

			if (o->interrupted) {
				apply_interruption(q, r);
				log_recipient(q, d, r);
			} else if (o->unanswered && q->settings->hold_in_doubt) {
				hold_in_doubt(q, r);
				log_recipient(q, d, r);
			} else {
				r->state = r->attempts == 0 ? SPOOL_QUEUED : SPOOL_DEFERRED;
				r->next = clock_now(&q->clock);
			}
		}
	}
	rec->attempt = o->results != NULL || o->interrupted;
	rec->endpoint = copy(o->endpoint);
	rec->tls = copy(o->tls);
	rec->mechanism = copy(o->mechanism);
	if (delivered)
		rec->used = note_use(d->account, rec);
	rec->transcript = copy(o->transcript);
	if (o->interrupted) {
		rec->words = strdup("interrupted");
	} else if (reply != NULL) {
		CLEANUP_BUF struct buf words = BUF_INIT(4096);

		verdict_reply_text(reply, &words);
		rec->words = buf_take(&words);
		rec->stage = reply->stage;
		rec->fault = reply->fault;
	}
	dispatch_release(q, j);
	d->jobs--;
	record_queue(q, rec, o->dsn_passed);
}

/* ---- what waited too long ---- */

/* All recipients that wait, as the record of a delivery without jobs. */
static struct record *
take_waiting(struct queue *q, uint64_t id)
{
	struct delivery_message *d = calloc(1, sizeof(*d));
	struct record *rec = NULL;
	size_t *index = NULL, n = 0;

	if (d != NULL)
		d->message = calloc(1, sizeof(*d->message));
	if (d != NULL && d->message != NULL && spool_load(q->spool, id, true, d->message) == 0) {
		d->account = accounts_find(&q->accounts, d->message->account);
		index = calloc(d->message->count + 1, sizeof(*index));
		if (index != NULL && d->account != NULL)
			rec = record_new(q, d, index, 0);
	}
	if (rec == NULL) {
		if (d != NULL)
			(void)spool_message_free(d->message);
		free(d);
		free(index);
		return NULL;
	}
	for (size_t i = 0; i < d->message->count; i++)
		if (d->message->recipients[i].state == SPOOL_QUEUED ||
		    d->message->recipients[i].state == SPOOL_DEFERRED)
			index[n++] = i;
	rec->count = n;
	return rec;
}

static void
overdue(struct queue *q, uint64_t id)
{
	struct record *rec = take_waiting(q, id);
	struct spool_message *m = rec == NULL ? NULL : rec->delivery->message;

	if (rec == NULL)
		return;
	for (size_t i = 0; i < rec->count && clock_now(&q->clock) >= m->expires; i++) {
		struct spool_recipient *r = &m->recipients[rec->index[i]];

		r->state = outcome_refused_state(q, m, r);
		r->next = SPOOL_NEVER;
		log_recipient(q, rec->delivery, r);
	}
	if (clock_now(&q->clock) < m->expires) {
		m->flags |= SPOOL_WARNED;
		add_report(q, rec, REPORT_DELAYED, fits_delayed);
	}
	record_queue(q, rec, true);
}

/* The messages of one step that are overdue. */
struct overdue_ids {
	struct queue *q;
	int64_t now, warn;
	uint64_t ids[OVERDUE_STEP];
	size_t count;
};

static int
look_for_overdue(void *arg, const struct spool_glance *g)
{
	struct overdue_ids *x = arg;
	const struct queue_account *a;
	bool old =
	    g->id < (uint64_t)x->warn * 1000000 && (g->flags & (SPOOL_WARNED | SPOOL_REPORT)) == 0;

	if (!g->open || !g->waits || (g->expires >= x->now && !old))
		return 0;
	a = accounts_find(&x->q->accounts, g->account);
	/* A warning goes the way that the mail goes: one that could only come together with it is none. */
	if (a != NULL && g->expires >= x->now &&
	    schedule_account_state(&a->schedule) != SCHEDULE_ACTIVE)
		return 0;
	if (a != NULL && a->configured && !account_is_at_fault(a))
		x->ids[x->count++] = g->id;
	return x->count == OVERDUE_STEP;
}

static bool
sweep_step(void *arg)
{
	struct queue *q = arg;
	struct overdue_ids x = {.q = q,
	    .now = clock_now(&q->clock),
	    .warn = clock_now(&q->clock) - q->settings->warn_after};
	int more;

	/* What was taken out to be sent may not be taken twice: so it is marked in the spool first,
	 * and what is found here is, before others see it as waiting. */
	(void)commit_flush(q->commit);
	if (q->dispatch.starts > 0 || commit_is_stuck(q->commit) || q->stopping)
		return false;
	more = spool_scan(q->spool, &q->sweeping.after, SCAN_ROWS, look_for_overdue, &x);
	for (size_t i = 0; i < x.count; i++)
		overdue(q, x.ids[i]);
	(void)commit_flush(q->commit);
	dispatch_run(q);
	return more == 1;
}

void
outcome_sweep(struct queue *q)
{
	if (q->dispatch.lane_count == 0 || scan_is_under_way(&q->sweeping.scan))
		return;
	q->sweeping.after = 0;
	scan_begin(q->scans, &q->sweeping.scan, sweep_step, q);
}
