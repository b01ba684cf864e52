/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * delivery.c: see delivery.h.
 *
 * What is due stays in the spool until there is room for it (jobs.h); who comes first is decided by
 * lanes.h, when by schedule.h, and what a reply means by the diagnosis.
 *
 * Before a job leaves, the spool says that its recipients are being sent. A message that is handed in
 * while its account has room is stored in that state, so its sending costs no commit of its own. What
 * came of a job is queued for the commit as an operation that is never given up: the server has acted,
 * so the spool has to know. Reports are stored in the transaction that makes them necessary.
 */
#include "broker/queue/delivery/delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ipc/reply.h"
#include "broker/queue/accounts/verdict.h"
#include "broker/queue/delivery/jobs.h"
#include "broker/queue/delivery/lanes.h"
#include "broker/queue/spool/message-log.h"

enum {
	QUANTUM = 32,                /* messages taken from a lane in one turn */
	LOOK_SECONDS = 20,           /* between two looks for what is idle */
	TRANSPORT_IDLE_SECONDS = 60, /* without work before a transport is dropped */
	DISK_RETRY_SECONDS = 5,
	COUNT_REST = 20,
	DAY = 24 * 3600,
};

static const enum role_id transports[] = {ROLE_SEND, ROLE_POST};

struct delivery {
	struct delivery_deps deps;
	const struct queue_settings *settings; /* NULL: none yet */
	struct reports reports;
	bool stopping;
	struct jobs jobs;
	struct lanes lanes;
	unsigned starts;      /* messages taken from the spool whose start is not on disk yet */
	struct event *timer;  /* something becomes due */
	struct event *idle;   /* looks for what is not needed any more */
	uint64_t count_after; /* of clock_ms: messages are not counted again before */
	struct scan sweep;
	uint64_t swept; /* the id up to which the sweep has come */
};

static int64_t
now_of(const struct delivery *d)
{
	return clock_now(d->deps.clock);
}

const struct reports *
delivery_reports(const struct delivery *d)
{
	return &d->reports;
}

bool
delivery_is_busy(const struct delivery *d)
{
	return d->jobs.outstanding > 0;
}

void
delivery_wait(struct delivery *d, struct queue_account *a, const char *service, int64_t next)
{
	if (lanes_wait(&d->lanes, a, service, next) < 0)
		log_line(LOG_LEVEL_ERROR,
		    "Out of memory: mail waits in the spool until the next reload.",
		    LOG_PAIRS({LOG_ACCOUNT, a->name}, {LOG_SERVICE, service}));
}

void
delivery_forget(struct delivery *d, struct delivery_message *x)
{
	jobs_message_free(&d->jobs, x, now_of(d));
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
	enum log_level level = LOG_LEVEL_ERROR;
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	struct diagnosis verdict;

	if (state == SCHEDULE_ACTIVE || state == SCHEDULE_HELD)
		level = LOG_LEVEL_NOTICE;
	else if (!account_is_at_fault(a))
		level = LOG_LEVEL_WARNING;
	if (state == SCHEDULE_ACTIVE)
		(void)buf_append_str(&why, "The account sends again.");
	else if (state == SCHEDULE_HELD)
		(void)buf_append_str(&why, "The account is held by a person.");
	else if (verdict_on_account(a, &verdict))
		(void)buf_printf(
		    &why, "The account cannot send: %s %s", verdict.text, verdict.next);
	else
		(void)buf_append_str(&why, "The account cannot send.");
	log_line(level, buf_str(&why),
	    LOG_PAIRS({LOG_ACCOUNT, a->name}, {LOG_OUTCOME, schedule_state_name(state)},
		{LOG_REPLY, level == LOG_LEVEL_NOTICE ? NULL : a->reply.text}));
}

void
delivery_account_changed(struct delivery *d, struct queue_account *a)
{
	struct account_op *x = calloc(1, sizeof(*x));
	bool was_at_fault = a->at_fault;

	notify_look(d->deps.notify);
	a->at_fault = account_is_at_fault(a);
	log_account(a);
	if (x == NULL)
		return;
	*x = (struct account_op){
	    .op = {.write = account_write, .done = account_written, .must = true},
	    .account = a,
	    .at = now_of(d)};
	if (was_at_fault && !a->at_fault)
		x->keep_until = x->at + schedule_after_hold(d->settings->conf->lifetime);
	commit_add(d->deps.commit, &x->op);
}

void
delivery_settle_account(struct delivery *d, struct queue_account *a, unsigned round,
    const struct schedule_verdict *v, const struct smtp_reply *reply)
{
	unsigned before = a->schedule.round;
	bool changed = schedule_account_result(&a->schedule, round, v, now_of(d), clock_random());

	if (a->schedule.round == before)
		return;
	/* A try that fails as before still moves the next one. */
	smtp_reply_clear(&a->reply);
	if (v->account != SCHEDULE_ACTIVE && reply != NULL)
		account_learn(a, reply);
	if (changed)
		delivery_account_changed(d, a);
}

/* ---- what came of a recipient ---- */

static void
log_recipient(
    const struct delivery *d, const struct delivery_message *x, const struct spool_recipient *r)
{
	static const char *const sentences[SPOOL_STATE_COUNT] = {
	    [SPOOL_QUEUED] = "A message waits for its account.",
	    [SPOOL_DELIVERED] = "A message is delivered.",
	    [SPOOL_DEFERRED] = "A message is deferred.",
	    [SPOOL_BOUNCED] = "A message is returned to its sender.",
	    [SPOOL_FAILED] = "A message cannot be delivered, and there is nobody to return it to.",
	    [SPOOL_HELD] = "A message is held for a person.",
	};
	CLEANUP_BUF struct buf reply = BUF_INIT(4096);
	const char *sentence =
	    sentences[r->state] == NULL ? "A message changes." : sentences[r->state];
	enum log_level level = LOG_LEVEL_INFO;

	if (r->state == SPOOL_FAILED || r->state == SPOOL_HELD) {
		level = LOG_LEVEL_ERROR;
		notify_mail(d->deps.notify, x->account, x->message, r->state);
	} else if (r->state == SPOOL_BOUNCED) {
		level = LOG_LEVEL_WARNING;
		if (!report_wanted(&d->reports, x->message, r, REPORT_FAILED))
			sentence = "A message is given up, and its sender wants no report.";
	}
	verdict_reply_text(&r->reply, &reply);
	message_log(level, sentence, x->message,
	    LOG_PAIRS({LOG_RECIPIENT, r->address}, {LOG_OUTCOME, spool_state_name(r->state)},
		{LOG_REPLY, reply.len == 0 ? NULL : buf_str(&reply)}));
}

static void
count_outcome_of(const struct delivery *d, const struct delivery_message *x,
    const struct spool_recipient *r, enum count_cause cause)
{
	count_outcome(&x->account->count, r->state, cause,
	    clock_now_us(d->deps.clock) - (int64_t)x->message->id);
}

static void
defer(const struct delivery *d, const struct spool_message *m, struct spool_recipient *r,
    int64_t delay)
{
	int64_t now = now_of(d);

	r->state = SPOOL_DEFERRED;
	r->next = now + delay;
	if (now < m->expires)
		return;
	r->state = report_refused_state(&d->reports, m, r);
	r->next = SPOOL_NEVER;
}

/* As soon as the account may send. */
static void
requeue(const struct delivery *d, struct spool_recipient *r)
{
	r->state = r->attempts == 0 ? SPOOL_QUEUED : SPOOL_DEFERRED;
	r->next = now_of(d);
}

static void
apply_verdict(const struct delivery *d, const struct spool_message *m, struct spool_recipient *r,
    const struct schedule_verdict *v)
{
	int64_t delay;

	if (v->recipient != SCHEDULE_REQUEUED)
		r->attempts++;
	r->next = SPOOL_NEVER;
	switch (v->recipient) {
	case SCHEDULE_DELIVERED:
		r->state = SPOOL_DELIVERED;
		break;
	case SCHEDULE_DEFERRED:
		delay = schedule_retry_delay(r->attempts, clock_random());
		if ((int64_t)v->delay > delay)
			delay = schedule_jitter((int64_t)v->delay + v->delay / 4, clock_random());
		defer(d, m, r, delay);
		break;
	case SCHEDULE_BOUNCED:
		r->state = report_refused_state(&d->reports, m, r);
		break;
	case SCHEDULE_IN_DOUBT:
		if (d->settings->conf->in_doubt == CONF_IN_DOUBT_HOLD)
			r->state = SPOOL_HELD;
		else
			defer(d, m, r, schedule_jitter(SCHEDULE_IN_DOUBT_DELAY, clock_random()));
		break;
	case SCHEDULE_REQUEUED:
		requeue(d, r);
		/* A server that cannot be reached uses up the message's time; a credential does
		 * not. */
		if (v->account == SCHEDULE_UNREACHABLE && now_of(d) >= m->expires)
			defer(d, m, r, 0);
		break;
	}
}

/* The job was handed over, and nobody says what became of it. */
static void
hold_in_doubt(const struct delivery *d, struct spool_recipient *r)
{
	r->state = SPOOL_HELD;
	r->next = SPOOL_NEVER;
	r->at = now_of(d);
	smtp_reply_clear(&r->reply);
	r->reply = (struct smtp_reply){.fault = SMTP_FAULT_LOCAL,
	    .stage = SMTP_STAGE_EOM,
	    .in_doubt = true,
	    .text = strdup(SPOOL_IN_DOUBT_WORDS)};
}

static void
apply_interruption(const struct delivery *d, struct spool_recipient *r)
{
	int64_t delay;

	r->interrupted++;
	if (d->settings->conf->in_doubt == CONF_IN_DOUBT_HOLD) {
		hold_in_doubt(d, r);
		return;
	}
	delay = schedule_interrupted_delay(r->interrupted, clock_random());
	r->state = r->interrupted >= SCHEDULE_INTERRUPTED_MAX ? SPOOL_HELD : SPOOL_QUEUED;
	r->next = r->state == SPOOL_HELD ? SPOOL_NEVER : now_of(d) + delay;
}

/* ---- results on record ---- */

/* How a job ended. */
struct job_result {
	enum {
		JOB_ANSWERED,    /* there is a reply for each recipient */
		JOB_INTERRUPTED, /* the transport died in the midst */
		JOB_UNANSWERED, /* handed over, and not waited for: with in-doubt = "hold" it is held */
		JOB_NOT_TRIED, /* it did not begin */
	} how;
	const struct smtp_reply *replies;
	bool dsn_passed; /* the server sends the reports of success */
	const char *endpoint, *tls, *mechanism, *transcript; /* may be NULL */
};

/* A result on its way to the disk. */
struct record {
	struct commit_op op;
	struct delivery *owner;
	struct delivery_message *delivery;
	size_t *index; /* recipients; owned */
	size_t count;
	bool attempt;     /* there is one to be written */
	bool interrupted; /* it ended without an answer */
	bool last;        /* no job of the delivery is left: the message's own row follows */
	bool used;        /* its account is in use: that is noted once a day */
	bool finished;    /* nothing is left to do for it */
	int64_t at;
	char *endpoint, *tls, *mechanism, *transcript, *words;
	enum smtp_stage stage; /* of what `words` say */
	enum smtp_fault fault;
	struct spool_message *reports[REPORT_KINDS];
};

/* The message's own row, once no job of it is left. */
static void
settle_message(struct record *rec)
{
	struct spool_message *m = rec->delivery->message;

	rec->last = true;
	rec->finished = true;
	for (size_t i = 0; i < m->count; i++)
		if (m->recipients[i].state != SPOOL_DELIVERED &&
		    m->recipients[i].state != SPOOL_BOUNCED)
			rec->finished = false;
	m->next = spool_earliest(m);
}

static int
record_write(struct spool *spool, struct commit_op *op)
{
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
	struct message_events *events = notify_messages(rec->owner->deps.notify);
	bool keep = rec->owner->settings->conf->keep_transcripts > 0;
	int r = 0;

	/* What will be deleted at once need not be written first. */
	if (!rec->finished || keep) {
		for (size_t i = 0; i < rec->count && r == 0; i++)
			r = spool_update_recipient(
			    spool, m->id, rec->index[i], &m->recipients[rec->index[i]]);
		if (r == 0 && rec->attempt)
			r = spool_add_attempt(spool, m->id, &attempt);
	}
	if (r == 0)
		r = message_event_outcome(
		    events, m, rec->index, rec->count, rec->attempt, rec->interrupted);
	if (r == 0 && rec->used)
		r = spool_save_used(spool, m->account, rec->at, rec->mechanism);
	if (r == 0 && rec->finished)
		r = spool_finish(spool, m, rec->at, keep);
	else if (r == 0 && rec->last)
		r = spool_update_message(spool, m);
	for (size_t i = 0; i < REPORT_KINDS && r == 0; i++) {
		if (rec->reports[i] == NULL)
			continue;
		r = spool_insert(spool, rec->reports[i]);
		if (r == 0)
			r = message_event_stored(events, rec->reports[i]);
	}
	return r;
}

static void
record_free(struct record *rec)
{
	free(rec->index);
	free(rec->endpoint);
	free(rec->tls);
	free(rec->mechanism);
	free(rec->transcript);
	free(rec->words);
	free(rec);
}

static void
record_done(struct commit_op *op, int r)
{
	struct record *rec = (struct record *)op;
	struct delivery *d = rec->owner;
	struct delivery_message *x = rec->delivery;
	struct spool_message *m = x->message;

	for (size_t i = 0; i < REPORT_KINDS; i++) {
		struct spool_message *report = rec->reports[i];
		struct queue_account *a =
		    report == NULL ? NULL : accounts_find(d->deps.accounts, report->account);

		if (a != NULL && r == 0)
			delivery_wait(d, a, report->service, report->next);
		(void)spool_message_free(report);
	}
	if (rec->finished && r == 0 && (m->flags & SPOOL_BODY_FILE) != 0)
		spool_body_remove(d->deps.spool, m->id);
	if (rec->last && m->next != SPOOL_NEVER)
		delivery_wait(d, x->account, m->service, m->next);
	if (--x->records == 0 && x->jobs == 0)
		delivery_forget(d, x);
	record_free(rec);
}

static char *
copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

/* A report on those of the record's recipients that are in a state that it is about. */
static void
add_report(struct record *rec, enum report_kind kind)
{
	const struct reports *reports = &rec->owner->reports;
	const struct spool_message *m = rec->delivery->message;
	size_t *which = calloc(rec->count + 1, sizeof(*which)), n = 0;

	for (size_t i = 0; i < rec->count; i++) {
		struct spool_recipient *r = &m->recipients[rec->index[i]];
		bool fits = kind == REPORT_FAILED    ? r->state == SPOOL_BOUNCED
			    : kind == REPORT_RELAYED ? r->state == SPOOL_DELIVERED
						     : spool_recipient_waits(r);

		if (!fits || !report_wanted(reports, m, r, kind))
			continue;
		if (which != NULL)
			which[n++] = rec->index[i];
		else if (kind == REPORT_FAILED)
			r->state = SPOOL_FAILED;
	}
	if (n > 0)
		rec->reports[kind] =
		    report_make(reports, rec->delivery->account, m, kind, which, n);
	/* Nobody gets a report after all. */
	for (size_t i = 0; i < n && kind == REPORT_FAILED && rec->reports[kind] == NULL; i++)
		m->recipients[which[i]].state = SPOOL_FAILED;
	free(which);
}

/* Takes `index`. NULL: no memory; the index is freed. */
static struct record *
record_new(struct delivery *d, struct delivery_message *x, size_t *index, size_t count)
{
	struct record *rec = calloc(1, sizeof(*rec));

	if (rec == NULL) {
		free(index);
		return NULL;
	}
	*rec = (struct record){
	    .op = {.write = record_write, .done = record_done, .must = true, .patient = true},
	    .owner = d,
	    .delivery = x,
	    .index = index,
	    .count = count,
	    .at = now_of(d),
	};
	x->records++;
	return rec;
}

static void
record_queue(struct record *rec, bool dsn_passed)
{
	add_report(rec, REPORT_FAILED);
	if (!dsn_passed)
		add_report(rec, REPORT_RELAYED);
	if (rec->delivery->jobs == 0)
		settle_message(rec);
	commit_add(rec->owner->deps.commit, &rec->op);
}

/* A recipient over the server's number for one transaction: not refused, but for another (RFC 5321
 * section 4.5.3.1.10). */
static bool
is_remainder(const struct smtp_reply *reply, const struct diagnosis *verdict)
{
	return reply->stage == SMTP_STAGE_RCPT && verdict->cause != NULL &&
	       strcmp(verdict->cause, "too-many-recipients") == 0;
}

static bool
some_delivered(const struct smtp_reply *replies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (verdict_is_positive(&replies[i]))
			return true;
	return false;
}

/* What the replies say of the account, and the first reply that says it. */
struct account_result {
	struct schedule_verdict verdict;
	const struct smtp_reply *reply;
};

static struct account_result
apply_replies(struct delivery *d, const struct delivery_job *j, const struct smtp_reply *replies)
{
	struct account_result ret = {.verdict = {.account = SCHEDULE_ACTIVE}};
	struct delivery_message *x = j->delivery;
	bool some = some_delivered(replies, j->count);

	for (size_t i = 0; i < j->count; i++) {
		struct spool_recipient *r = &x->message->recipients[j->index[i]];
		struct diagnosis verdict = {.retry = RETRY_TRANSIENT};
		struct schedule_verdict v;

		if (!verdict_is_positive(&replies[i]))
			verdict_on_reply(x->account, x->message, &replies[i], &verdict);
		v = schedule_verdict(&replies[i], &verdict);
		/* Where somebody got it, the rest is fewer, and may follow at once. */
		if (some && is_remainder(&replies[i], &verdict))
			v.recipient = SCHEDULE_REQUEUED;
		r->at = now_of(d);
		smtp_reply_clear(&r->reply);
		(void)smtp_reply_copy(&r->reply, &replies[i]);
		apply_verdict(d, x->message, r, &v);
		log_recipient(d, x, r);
		count_outcome_of(d, x, r, count_cause(&v));
		if (v.recipient == SCHEDULE_DELIVERED)
			jobs_widen(x->account);
		if (i == 0 ||
		    (v.account != SCHEDULE_ACTIVE && ret.verdict.account == SCHEDULE_ACTIVE))
			ret = (struct account_result){v, &replies[i]};
	}
	return ret;
}

/* There is no reply. */
static void
apply_silence(
    const struct delivery *d, const struct delivery_job *j, const struct job_result *result)
{
	for (size_t i = 0; i < j->count; i++) {
		struct spool_recipient *r = &j->delivery->message->recipients[j->index[i]];

		if (result->how == JOB_INTERRUPTED) {
			apply_interruption(d, r);
		} else if (result->how == JOB_UNANSWERED &&
			   d->settings->conf->in_doubt == CONF_IN_DOUBT_HOLD) {
			hold_in_doubt(d, r);
		} else {
			requeue(d, r);
			continue;
		}
		log_recipient(d, j->delivery, r);
		count_outcome_of(d, j->delivery, r, COUNT_INTERRUPTED);
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

/* The job ended so: it is freed. */
static void
end_job(struct delivery *d, struct delivery_job *j, const struct job_result *result)
{
	struct delivery_message *x = j->delivery;
	size_t count = j->count;
	struct account_result account = {.reply = NULL};
	struct record *rec;

	if (result->how == JOB_ANSWERED) {
		account = apply_replies(d, j, result->replies);
		delivery_settle_account(d, x->account, j->round, &account.verdict, account.reply);
	} else {
		apply_silence(d, j, result);
	}
	rec = record_new(d, x, jobs_release(&d->jobs, j, now_of(d)), count);
	if (rec == NULL) {
		/* The recipients stay SENDING in the spool and are mended at the next start. */
		message_log(LOG_LEVEL_ERROR,
		    "Out of memory: what came of a message is not on record.", x->message,
		    LOG_PAIRS({LOG_ERROR, strerror(ENOMEM)}));
		return;
	}
	rec->attempt = result->how == JOB_ANSWERED || result->how == JOB_INTERRUPTED;
	rec->interrupted = result->how == JOB_INTERRUPTED;
	rec->endpoint = copy(result->endpoint);
	rec->tls = copy(result->tls);
	rec->mechanism = copy(result->mechanism);
	rec->transcript = copy(result->transcript);
	if (result->how == JOB_ANSWERED && some_delivered(result->replies, count))
		rec->used = note_use(x->account, rec);
	if (account.reply != NULL) {
		CLEANUP_BUF struct buf words = BUF_INIT(4096);

		verdict_reply_text(account.reply, &words);
		rec->words = buf_take(&words);
		rec->stage = account.reply->stage;
		rec->fault = account.reply->fault;
	} else if (result->how == JOB_INTERRUPTED) {
		rec->words = strdup("interrupted");
	}
	record_queue(rec, result->dsn_passed);
}

/* ---- sending ---- */

static void
look_for_idle(const struct delivery *d)
{
	static const struct timeval look = {LOOK_SECONDS, 0};

	if (!event_pending(d->idle, EV_TIMEOUT, NULL))
		(void)event_add(d->idle, &look);
}

static struct message *
make_job(const struct delivery_job *j)
{
	const struct spool_message *m = j->delivery->message;
	struct message *out = message_new(M_JOB);
	char id[SPOOL_ID_LEN];

	message_put_u64(out, F_ID, j->id);
	message_put_str(out, F_ACCOUNT, m->account);
	message_put_str(out, F_SENDER, m->sender);
	message_put_u64(out, F_SIZE, m->size);
	message_put_u64(out, F_FLAGS,
	    ((m->flags & SPOOL_8BIT) != 0 ? JOB_8BIT : 0) |
		((m->flags & SPOOL_SMTPUTF8) != 0 ? JOB_SMTPUTF8 : 0) |
		((m->flags & SPOOL_REQUIRETLS) != 0 ? JOB_REQUIRETLS : 0));
	message_put_str(out, F_QUEUE_ID, spool_id_text(m->id, id));
	if (m->ret != SMTP_RET_NONE)
		message_put_str(out, F_RET, m->ret == SMTP_RET_FULL ? "FULL" : "HDRS");
	if (m->envid != NULL && *m->envid != '\0')
		message_put_str(out, F_ENVID, m->envid);
	for (size_t i = 0; i < j->count; i++) {
		const struct spool_recipient *r = &m->recipients[j->index[i]];
		struct smtp_rcpt_params wire = spool_rcpt_params(r);
		CLEANUP_BUF struct buf params = BUF_INIT(1024);

		(void)smtp_rcpt_params_format(&params, &wire);
		message_put_str(out, F_RCPT, r->address);
		message_put_str(out, F_RCPT_PARAMS, buf_str(&params));
	}
	if ((m->flags & SPOOL_BODY_FILE) == 0)
		message_put_bytes(out, F_BODY, m->body == NULL ? "" : m->body, m->body_len);
	return out;
}

static void
set_lease(const struct delivery *d, struct queue_account *a, bool wanted)
{
	struct channel *keeper = role_peer(d->deps.role, ROLE_KEEPER);
	struct message *m;

	if (a->leased == wanted || keeper == NULL)
		return;
	m = message_new(M_LEASE);
	message_put_str(m, F_ACCOUNT, a->name);
	message_put_u64(m, F_WANTED, wanted);
	if (channel_send(keeper, m, -1) == 0)
		a->leased = wanted;
}

void
delivery_lease(struct delivery *d, struct queue_account *a)
{
	a->idle_since = now_of(d);
	set_lease(d, a, true);
	look_for_idle(d);
}

/* 0, or negative errno: the job did not leave. */
static int
send_job(const struct delivery *d, struct delivery_job *j)
{
	const struct spool_message *m = j->delivery->message;
	struct channel *to = role_peer(d->deps.role, j->transport);
	int fd = -1;

	if (to == NULL)
		return -EPIPE;
	if ((m->flags & SPOOL_BODY_FILE) != 0) {
		fd = spool_body_open(d->deps.spool, m->id);
		if (fd < 0)
			return fd;
	}
	set_lease(d, j->delivery->account, true);
	return channel_send(to, make_job(j), fd);
}

/* The job did not leave. Without a transport it waits for one; another fault is ours, and waits as a
 * refusal would. */
static void
job_stays(struct delivery *d, struct delivery_job *j, int r)
{
	struct smtp_reply replies[JOBS_RECIPIENTS_MAX];
	struct job_result result = {.how = JOB_NOT_TRIED, .replies = replies};
	const struct spool_message *m = j->delivery->message;
	char recipients[LOG_RECIPIENTS_SIZE];

	if (r != -EPIPE) {
		result.how = JOB_ANSWERED;
		for (size_t i = 0; i < j->count; i++)
			replies[i] =
			    (struct smtp_reply){.fault = SMTP_FAULT_LOCAL, .text = strerror(-r)};
		message_log(LOG_LEVEL_ERROR, "A job cannot be handed to the network role.", m,
		    LOG_PAIRS({LOG_RECIPIENT, log_recipients(recipients,
						  m->recipients[j->index[0]].address, j->count)},
			{LOG_ERROR, strerror(-r)}));
	}
	end_job(d, j, &result);
}

void
delivery_begin(struct delivery *d, struct delivery_message *x)
{
	STAILQ_HEAD(, delivery_job) begun = STAILQ_HEAD_INITIALIZER(begun);
	struct delivery_job *j, *next;

	STAILQ_CONCAT(&begun, &x->planned);
	STAILQ_FOREACH (j, &begun, entry)
		j->begun = true;
	/* The end of the last of them may be the message's end. */
	for (j = STAILQ_FIRST(&begun); j != NULL; j = next) {
		int r;

		next = STAILQ_NEXT(j, entry);
		r = send_job(d, j);
		if (r < 0)
			job_stays(d, j, r);
	}
	look_for_idle(d);
}

void
delivery_use(struct delivery *d, enum role_id transport, int by)
{
	jobs_use(&d->jobs, transport, by, now_of(d));
	look_for_idle(d);
}

void
delivery_job_done(struct delivery *d, const struct message *m)
{
	struct delivery_job *j = jobs_find(&d->jobs, message_u64(m, F_ID, 0));
	uint64_t flags = message_u64(m, F_FLAGS, 0);
	struct smtp_reply replies[JOBS_RECIPIENTS_MAX] = {0};
	struct job_result result = {.how = JOB_INTERRUPTED,
	    .replies = replies,
	    .dsn_passed = (flags & JOB_DSN_PASSED) != 0,
	    .endpoint = message_str(m, F_ENDPOINT),
	    .tls = message_str(m, F_TLS),
	    .mechanism = message_str(m, F_MECHANISM),
	    .transcript = message_str(m, F_TRANSCRIPT)};
	const uint8_t *bytes;
	size_t at = 0, len, count = 0;
	bool broken = false;

	if (j == NULL) {
		log_warning("The network role reports on a job that nobody gave it.");
		return;
	}
	while (message_next(m, F_RESULT, &at, &bytes, &len) && !broken) {
		broken = count == JOBS_RECIPIENTS_MAX || reply_get(bytes, len, &replies[count]) < 0;
		count += !broken;
	}
	if (!broken && count == j->count)
		result.how = JOB_ANSWERED;
	else if (!broken && count == 0 && (flags & JOB_UNTRIED) != 0)
		result.how = JOB_NOT_TRIED;
	end_job(d, j, &result);
	for (size_t i = 0; i < count; i++)
		smtp_reply_clear(&replies[i]);
}

/* ---- taking from the spool ---- */

struct start {
	struct commit_op op;
	struct delivery *owner;
	struct delivery_message *delivery;
	bool begun; /* there is something to send */
};

static int
start_write(struct spool *spool, struct commit_op *op)
{
	const struct delivery_message *x = ((struct start *)op)->delivery;
	const struct spool_message *m = x->message;
	const struct delivery_job *j;
	int r = spool_update_message(spool, m);

	STAILQ_FOREACH (j, &x->planned, entry)
		for (size_t i = 0; i < j->count && r == 0; i++)
			r = spool_update_recipient(
			    spool, m->id, j->index[i], &m->recipients[j->index[i]]);
	return r;
}

static void
start_done(struct commit_op *op, int r)
{
	struct start *s = (struct start *)op;
	struct delivery *d = s->owner;
	struct delivery_message *x = s->delivery;
	int64_t next = r < 0 ? now_of(d) + DISK_RETRY_SECONDS : x->message->next;

	d->starts--;
	if (r == 0 && s->begun) {
		delivery_begin(d, x);
	} else {
		if (next != SPOOL_NEVER)
			delivery_wait(d, x->account, x->message->service, next);
		delivery_forget(d, x);
	}
	free(s);
}

/* A message of the spool, as under way without jobs. 0 with *ret, -ENOENT, or negative errno. */
static int
load_message(
    const struct delivery *d, struct queue_account *a, uint64_t id, struct delivery_message **ret)
{
	struct spool_message *m = calloc(1, sizeof(*m));
	int r = m == NULL ? -ENOMEM : spool_load(d->deps.spool, id, true, m);

	if (r == 0) {
		if (a == NULL)
			a = accounts_find(d->deps.accounts, m->account);
		*ret = a == NULL ? NULL : jobs_message_new(m, a);
		r = *ret == NULL ? -ENOMEM : 0;
	}
	if (r < 0)
		(void)spool_message_free(m);
	return r;
}

static void
spend_rate(struct queue_account *a)
{
	rate_limit_spend(&a->rate, RATE_LIMIT_MINUTE, (int64_t)clock_ms(), 1);
}

static uint64_t
rate_wait(const struct queue_account *a)
{
	return rate_limit_wait(&a->rate, a->conf.rate, RATE_LIMIT_MINUTE, clock_ms());
}

/* Takes one message out of the spool: negative errno where that failed. */
static int
take_message(struct delivery *d, struct queue_account *a, uint64_t id, int64_t now)
{
	struct start *s = calloc(1, sizeof(*s));
	struct delivery_message *x = NULL;
	int r = s == NULL ? -ENOMEM : load_message(d, a, id, &x);

	if (r == 0)
		r = jobs_plan(&d->jobs, x, now);
	if (r < 0) {
		if (x != NULL)
			delivery_forget(d, x);
		free(s);
		return r;
	}
	*s = (struct start){.op = {.write = start_write, .done = start_done},
	    .owner = d,
	    .delivery = x,
	    .begun = x->jobs > 0}; /* NOLINT(clang-analyzer-core.NullDereference): x was found */
	x->message->next = s->begun ? SPOOL_NEVER : spool_earliest(x->message);
	spend_rate(a);
	d->starts++;
	commit_add(d->deps.commit, &s->op);
	return 0;
}

static void
take_from_lane(struct delivery *d, struct lane *l, int64_t now)
{
	struct queue_account *a = l->account;
	uint64_t ids[QUANTUM];
	unsigned room = jobs_room(&d->jobs, a, now);
	int n;

	if (a->conf.rate > 0)
		room = 1; /* the rate is asked before each */
	n = spool_due(d->deps.spool, a->name, l->service, now, ids, room < QUANTUM ? room : QUANTUM,
	    &l->next);
	for (int i = 0; i < n; i++) {
		int r = take_message(d, a, ids[i], now);

		if (r < 0 && r != -ENOENT) {
			n = r;
			break;
		}
	}
	if (n < 0) {
		log_line(LOG_LEVEL_ERROR, "The spool cannot be read.",
		    LOG_PAIRS({LOG_ACCOUNT, a->name}, {LOG_ERROR, strerror(-n)}));
		l->next = now + DISK_RETRY_SECONDS;
	}
}

struct readiness {
	const struct delivery *delivery;
	int64_t now;
};

static bool
lane_is_ready(void *arg, size_t i)
{
	const struct readiness *x = arg;
	const struct lane *l = &x->delivery->lanes.list[i];

	return !l->served && l->next <= x->now && l->account->configured &&
	       jobs_room(&x->delivery->jobs, l->account, x->now) > 0 && rate_wait(l->account) == 0;
}

/* When a lane may become ready by time alone. */
static int64_t
lane_wake(const struct lane *l, int64_t now)
{
	int64_t wake = schedule_account_wake(&l->account->schedule, now);
	uint64_t rate = rate_wait(l->account);

	if (!l->account->configured || l->next == SPOOL_NEVER)
		return SPOOL_NEVER;
	if (schedule_account_room(&l->account->schedule, now, 1) == 0)
		return wake > l->next ? wake : l->next;
	if (l->next <= now && rate > 0)
		return now + (int64_t)(rate / 1000) + 1;
	/* Due, and no room: the next result makes some. */
	return l->next <= now ? SPOOL_NEVER : l->next;
}

static void
set_timer(struct delivery *d, int64_t now)
{
	int64_t wake = SPOOL_NEVER;
	struct timeval wait = {0, 0};

	for (size_t i = 0; i < d->lanes.count; i++) {
		int64_t at = lane_wake(&d->lanes.list[i], now);

		if (at < wake)
			wake = at;
	}
	(void)event_del(d->timer);
	if (wake == SPOOL_NEVER)
		return;
	wait.tv_sec = wake > now ? (time_t)(wake - now) : 1;
	(void)event_add(d->timer, &wait);
}

/* May anything new begin? */
static bool
may_begin(const struct delivery *d)
{
	return !d->stopping && !commit_is_stuck(d->deps.commit) &&
	       role_peer(d->deps.role, ROLE_KEEPER) != NULL;
}

void
delivery_run(struct delivery *d)
{
	struct readiness x = {d, now_of(d)};
	struct lanes *lanes = &d->lanes;
	bool can = may_begin(d);

	/* What was taken is not marked in the spool yet and would be found again. */
	if (d->starts > 0)
		return;
	while (can && d->jobs.outstanding < JOBS_MAX) {
		size_t i = schedule_take_turn(&lanes->turn, lanes->count, lane_is_ready, &x);
		enum role_id transport;

		if (i == lanes->count)
			break;
		transport = account_transport(lanes->list[i].account);
		if (role_peer(d->deps.role, transport) == NULL)
			role_need(d->deps.role, transport);
		else
			take_from_lane(d, &lanes->list[i], x.now);
		/* More of it would be found only after the commit. */
		lanes->list[i].served = true;
	}
	for (size_t i = 0; i < lanes->count; i++)
		lanes->list[i].served = false;
	lanes_drop_empty(lanes);
	set_timer(d, x.now);
}

struct delivery_message *
delivery_promise(struct delivery *d, struct queue_account *a, struct spool_message *m)
{
	int64_t now = now_of(d);
	struct delivery_message *x;

	/* Those who waited longer come first. */
	if (a == NULL || !a->configured || !may_begin(d) ||
	    role_peer(d->deps.role, account_transport(a)) == NULL ||
	    jobs_room(&d->jobs, a, now) == 0 || rate_wait(a) > 0 || lanes_is_due(&d->lanes, a, now))
		return NULL;
	x = jobs_message_new(m, a);
	if (x == NULL)
		return NULL;
	if (jobs_plan(&d->jobs, x, now) < 0 || x->jobs == 0) {
		x->message = NULL;
		for (size_t i = 0; i < m->count; i++) {
			if (m->recipients[i].state != SPOOL_SENDING)
				continue;
			m->recipients[i].state = SPOOL_QUEUED;
			m->recipients[i].next = now;
		}
		delivery_forget(d, x);
		return NULL;
	}
	m->next = SPOOL_NEVER;
	spend_rate(a);
	return x;
}

static int
load_lane(void *arg, const char *account, const char *service, uint64_t open, int64_t next)
{
	struct delivery *d = arg;
	struct queue_account *a = accounts_find(d->deps.accounts, account);

	if (next == SPOOL_NEVER)
		return 0;
	if (a != NULL && a->configured)
		delivery_wait(d, a, service, next);
	else
		log_line(LOG_LEVEL_WARNING,
		    "Mail waits for an account that is not configured; it stays in the spool.",
		    LOG_PAIRS({LOG_ACCOUNT, account}, {LOG_SERVICE, service}));
	return 0;
}

static int
load_lanes(struct delivery *d)
{
	lanes_drop_all(&d->lanes);
	return spool_each_lane(d->deps.spool, load_lane, d);
}

static int
count_lane(void *arg, const char *account, const char *service, uint64_t open, int64_t next)
{
	struct queue_account *a = accounts_find(arg, account);

	if (a != NULL)
		a->waiting += open;
	return 0;
}

int
delivery_count(struct delivery *d)
{
	const struct queue_accounts *all = d->deps.accounts;
	uint64_t begin = clock_ms();
	int r;

	for (size_t i = 0; spool_is_tallied(d->deps.spool) && i < all->count; i++)
		all->list[i]->waiting =
		    (uint64_t)spool_sums_of(d->deps.spool, all->list[i]->name).messages;
	/* until then, by reading: right after the start, and not often */
	if (spool_is_tallied(d->deps.spool) || begin < d->count_after)
		return 0;
	for (size_t i = 0; i < all->count; i++)
		all->list[i]->waiting = 0;
	r = spool_each_lane(d->deps.spool, count_lane, d->deps.accounts);
	/* At most a twentieth of the time goes into counting. */
	d->count_after = r < 0 ? 0 : clock_ms() + (clock_ms() - begin) * COUNT_REST;
	return r;
}

/* ---- what waited too long ---- */

static void
expire(struct delivery *d, uint64_t id)
{
	struct delivery_message *x;
	struct spool_message *m;
	size_t *index, n = 0;
	struct record *rec;

	if (load_message(d, NULL, id, &x) < 0)
		return;
	m = x->message;
	index = calloc(m->count + 1, sizeof(*index));
	for (size_t i = 0; index != NULL && i < m->count; i++)
		if (spool_recipient_waits(&m->recipients[i]))
			index[n++] = i;
	rec = index == NULL ? NULL : record_new(d, x, index, n);
	if (rec == NULL) {
		delivery_forget(d, x);
		return;
	}
	if (now_of(d) < m->expires) {
		m->flags |= SPOOL_WARNED;
		add_report(rec, REPORT_DELAYED);
	} else {
		for (size_t i = 0; i < n; i++) {
			struct spool_recipient *r = &m->recipients[index[i]];

			r->state = report_refused_state(&d->reports, m, r);
			r->next = SPOOL_NEVER;
			log_recipient(d, x, r);
			count_outcome_of(d, x, r, COUNT_TRANSIENT);
		}
	}
	record_queue(rec, true);
}

/* The messages of one step that are overdue. */
struct overdue {
	const struct delivery *delivery;
	int64_t now, warn;
	uint64_t ids[SCAN_MESSAGES];
	size_t count;
};

static int
look_for_overdue(void *arg, const struct spool_row *g)
{
	struct overdue *x = arg;
	const struct queue_account *a;
	bool old =
	    g->id < (uint64_t)x->warn * 1000000 && (g->flags & (SPOOL_WARNED | SPOOL_REPORT)) == 0;

	if (!g->open || !g->waits || (g->expires >= x->now && !old))
		return 0;
	a = accounts_find(x->delivery->deps.accounts, g->account);
	/* A warning goes the way that the mail goes: one that could only come together with it is none. */
	if (a != NULL && g->expires >= x->now &&
	    schedule_account_state(&a->schedule) != SCHEDULE_ACTIVE)
		return 0;
	if (a != NULL && a->configured && !account_is_at_fault(a))
		x->ids[x->count++] = g->id;
	return x->count == SCAN_MESSAGES;
}

static bool
sweep_step(void *arg)
{
	struct delivery *d = arg;
	struct overdue x = {
	    .delivery = d, .now = now_of(d), .warn = now_of(d) - d->settings->conf->warn_after};
	int more;

	/* What was taken out to be sent may not be taken twice: so it is marked in the spool first, and
	 * what is found here is, before others see it as waiting. */
	(void)commit_flush(d->deps.commit);
	if (d->starts > 0 || commit_is_stuck(d->deps.commit) || d->stopping)
		return false;
	more = spool_scan(d->deps.spool, &d->swept, SCAN_ROWS, look_for_overdue, &x);
	for (size_t i = 0; i < x.count; i++)
		expire(d, x.ids[i]);
	(void)commit_flush(d->deps.commit);
	delivery_run(d);
	return more == 1;
}

void
delivery_sweep(struct delivery *d)
{
	if (d->lanes.count == 0 || scan_is_under_way(&d->sweep))
		return;
	d->swept = 0;
	scan_begin(d->deps.scans, &d->sweep, sweep_step, d);
}

/* ---- peers and time ---- */

/* All jobs that were given to this role come to this end. */
static unsigned
end_all(struct delivery *d, enum role_id transport, const struct job_result *result)
{
	unsigned count = 0;

	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct delivery_job *j = d->jobs.list[i];

		/* One that waits for its commit is left: delivery_begin will see. */
		if (j == NULL || j->transport != transport || !j->begun)
			continue;
		count++;
		end_job(d, j, result);
	}
	return count;
}

void
delivery_put_back(struct delivery *d)
{
	static const struct job_result unanswered = {.how = JOB_UNANSWERED};

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		(void)end_all(d, transports[i], &unanswered);
}

/* The transport is gone. */
static void
lose_transport(struct delivery *d, enum role_id transport)
{
	const struct job_result result = {.how = d->stopping ? JOB_UNANSWERED : JOB_INTERRUPTED};
	const struct queue_accounts *all = d->deps.accounts;
	unsigned count = end_all(d, transport, &result);

	for (size_t i = 0; i < all->count && transport == ROLE_SEND; i++)
		all->list[i]->count.sessions = 0;
	if (count > 0)
		log_warning("The %s role ended with %u jobs under way.",
		    message_role_name(transport), count);
	for (size_t i = 0; i < all->count; i++)
		if (account_transport(all->list[i]) == transport)
			all->list[i]->window = 0;
}

void
delivery_peer(struct delivery *d, enum role_id peer, bool up)
{
	const struct queue_accounts *all = d->deps.accounts;

	if (peer == ROLE_KEEPER)
		for (size_t i = 0; i < all->count && !up; i++)
			all->list[i]->leased = false;
	else if (up)
		d->jobs.transports[peer].idle_since = now_of(d);
	else
		lose_transport(d, peer);
	delivery_run(d);
}

static bool
is_of_run(const struct spool_step *s, int64_t when)
{
	return when >= s->since && when <= s->until;
}

static void
shift(int64_t *when, const struct spool_step *s)
{
	if (is_of_run(s, *when))
		*when += s->delta;
}

/* What spool_shift does to the rows. */
static void
shift_message(struct spool_message *m, const struct spool_step *s)
{
	bool own = m->id >= s->first;

	if (own)
		m->expires += s->delta;
	for (size_t i = 0; i < m->count; i++) {
		struct spool_recipient *r = &m->recipients[i];

		if (r->next != SPOOL_NEVER && (own || is_of_run(s, r->at)))
			r->next += s->delta;
		shift(&r->at, s);
	}
}

int
delivery_shift(struct delivery *d, const struct spool_step *s)
{
	struct jobs *jobs = &d->jobs;

	for (size_t i = 0; i < d->deps.accounts->count; i++) {
		struct queue_account *a = d->deps.accounts->list[i];

		if (is_of_run(s, a->schedule.since))
			a->schedule.until += s->delta;
		else if (a->schedule.until > s->latest)
			a->schedule.until = s->latest;
		shift(&a->schedule.since, s);
		shift(&a->idle_since, s);
	}
	for (size_t i = 0; i < ROLE_COUNT; i++)
		shift(&jobs->transports[i].idle_since, s);
	/* Messages that are being sent are written back later. Several jobs may be of one. */
	for (size_t i = 0; i < JOBS_MAX; i++) {
		size_t first = 0;

		if (jobs->list[i] == NULL)
			continue;
		while (jobs->list[first] == NULL ||
		       jobs->list[first]->delivery != jobs->list[i]->delivery)
			first++;
		if (first == i)
			shift_message(jobs->list[i]->delivery->message, s);
	}
	return load_lanes(d);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	delivery_run(arg);
}

/* Accounts without work lose their lease; without any work a transport may go. */
static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct delivery *d = arg;
	int64_t before = now_of(d) - TRANSPORT_IDLE_SECONDS;
	bool any = false;

	for (size_t i = 0; i < d->deps.accounts->count; i++) {
		struct queue_account *a = d->deps.accounts->list[i];

		if (a->leased && a->outstanding == 0 && a->idle_since <= before)
			set_lease(d, a, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (jobs_is_idle(&d->jobs, transports[i], before))
			role_drop(d->deps.role, transports[i]);
		any = any || role_peer(d->deps.role, transports[i]) != NULL;
	}
	if (any)
		look_for_idle(d);
}

int
delivery_configure(struct delivery *d, const struct queue_settings *s)
{
	d->settings = s;
	d->reports.settings = s;
	return load_lanes(d);
}

void
delivery_stop(struct delivery *d)
{
	d->stopping = true;
}

struct delivery *
delivery_new(const struct delivery_deps *deps)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->deps = *deps;
	d->reports =
	    (struct reports){.spool = deps->spool, .commit = deps->commit, .clock = deps->clock};
	d->timer = evtimer_new(deps->base, on_timer, d);
	d->idle = evtimer_new(deps->base, on_idle, d);
	if (d->timer != NULL && d->idle != NULL)
		return d;
	if (d->timer != NULL)
		event_free(d->timer);
	free(d);
	return NULL;
}
