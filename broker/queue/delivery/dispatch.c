/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * dispatch.c: who is sent when: lanes, jobs, the network role, and leasing accounts to it.
 *
 * A lane is what waits of one account and one service; lanes are served in turn, a few messages
 * each, so that neither a busy service nor a busy account keeps others waiting. What is due stays
 * in the spool until there is room for it: at most JOBS_PER_SESSION jobs for each session of the
 * account, JOBS_MAX in all.
 *
 * Before a job leaves, the spool says that its recipients are being sent. A message that is handed
 * in while its account has room is stored in that state, so its sending costs no commit of its own.
 */
#include "broker/queue/queue.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "broker/ipc/reply.h"

enum {
	SLOT_BITS = 10,
	FIRST_JOBS = 4,
	FIRST_JOBS_PER_SESSION = 2,
	QUANTUM = 32,          /* messages taken from a lane in one turn */
	PACKET_RESERVE = 4096, /* of a packet, for everything but body and recipients */
	LOOK_SECONDS = 20,
	DISK_RETRY_SECONDS = 5,
	COUNT_REST = 20,
};

_Static_assert(JOBS_MAX <= 1 << SLOT_BITS, "a job's slot must fit its id");

static const enum role_id transports[] = {ROLE_SEND, ROLE_POST};

/* ---- jobs ---- */

static struct delivery_job *
job_free(struct delivery_job *j)
{
	if (j != NULL) {
		free(j->index);
		free(j);
	}
	return NULL;
}

void
dispatch_release(struct queue *q, struct delivery_job *j)
{
	struct queue_account *a = j->delivery->account;

	q->dispatch.jobs[j->id & ((1 << SLOT_BITS) - 1)] = NULL;
	q->dispatch.outstanding--;
	if (--a->outstanding == 0)
		a->idle_since = clock_now(&q->clock);
	if (--q->dispatch.transports[j->transport].outstanding == 0)
		q->dispatch.transports[j->transport].idle_since = clock_now(&q->clock);
	j->index = NULL;
	(void)job_free(j);
}

static struct delivery_job *
job_new(struct queue *q, struct delivery_message *d, size_t most)
{
	struct dispatch *x = &q->dispatch;
	struct delivery_job *j = calloc(1, sizeof(*j));
	size_t slot = 0;

	if (j == NULL)
		return NULL;
	j->index = calloc(most, sizeof(*j->index));
	if (j->index == NULL)
		return job_free(j);
	while (x->jobs[slot] != NULL)
		slot++;
	x->jobs[slot] = j;
	j->id = ++x->sequence << SLOT_BITS | slot;
	j->delivery = d;
	j->transport = account_transport(d->account);
	j->round = d->account->schedule.round;
	x->outstanding++;
	x->transports[j->transport].outstanding++;
	d->account->outstanding++;
	d->jobs++;
	return j;
}

static struct delivery_job *
job_by_id(const struct queue *q, uint64_t id)
{
	size_t slot = id & ((1 << SLOT_BITS) - 1);
	struct delivery_job *j = slot < JOBS_MAX ? q->dispatch.jobs[slot] : NULL;

	return j != NULL && j->id == id ? j : NULL;
}

/*
 * How many jobs of the account may be outstanding. Few until the network role has shown that it
 * delivers them, since all that are outstanding count as interrupted when it dies.
 */
static unsigned
window_of(const struct queue_account *a)
{
	unsigned most = a->conf.sessions * JOBS_PER_SESSION;
	unsigned least = a->conf.sessions * FIRST_JOBS_PER_SESSION;

	if (least < FIRST_JOBS)
		least = FIRST_JOBS;
	if (a->window < least)
		return least;
	return a->window < most ? a->window : most;
}

void
dispatch_widen(struct queue_account *a)
{
	a->window = window_of(a) + 2;
}

static unsigned
room_of(const struct queue *q, const struct queue_account *a, int64_t now)
{
	unsigned most = schedule_account_room(&a->schedule, now, window_of(a));
	unsigned room = most > a->outstanding ? most - a->outstanding : 0;
	unsigned all = JOBS_MAX - q->dispatch.outstanding;

	return room < all ? room : all;
}

static uint64_t
rate_wait(const struct queue_account *a)
{
	return rate_limit_wait(&a->rate, a->conf.rate, RATE_LIMIT_MINUTE, clock_ms());
}

/* What a recipient takes of a packet. */
static size_t
recipient_size(const struct spool_recipient *r)
{
	return strlen(r->address) + (r->orcpt == NULL ? 0 : strlen(r->orcpt)) + 100;
}

static bool
is_due(const struct spool_recipient *r, int64_t now)
{
	return (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) && r->next <= now;
}

/*
 * Makes jobs for the recipients that are due, as many as there is room for; these become SENDING.
 * The rest waits in the spool for the end of this delivery. False: no memory (what was made stays).
 */
static bool
plan_jobs(struct queue *q, struct delivery_message *d, int64_t now)
{
	struct spool_message *m = d->message;
	size_t body = (m->flags & SPOOL_BODY_FILE) != 0 ? 0 : m->body_len;
	size_t most = JOB_RECIPIENTS_MAX, size = 0;
	unsigned room = room_of(q, d->account, now);
	struct delivery_job *j = NULL, **last = &d->unsent;

	if (d->account->conf.recipients_max > 0 && d->account->conf.recipients_max < most)
		most = d->account->conf.recipients_max;
	for (size_t i = 0; i < m->count; i++) {
		struct spool_recipient *r = &m->recipients[i];

		if (!is_due(r, now))
			continue;
		size += recipient_size(r);
		if (j == NULL || j->count == most || size > MESSAGE_MAX - PACKET_RESERVE - body) {
			if (room-- == 0)
				return true;
			j = job_new(q, d, most);
			if (j == NULL)
				return false;
			*last = j;
			last = &j->next;
			size = recipient_size(r);
		}
		j->index[j->count++] = i;
		r->state = SPOOL_SENDING;
		r->next = SPOOL_NEVER;
	}
	return true;
}

static void
delivery_free(struct delivery_message *d)
{
	(void)spool_message_free(d->message);
	free(d);
}

void
dispatch_forget(struct queue *q, struct delivery_message *d)
{
	while (d->unsent != NULL) {
		struct delivery_job *j = d->unsent;

		d->unsent = j->next;
		free(j->index);
		dispatch_release(q, j);
	}
	delivery_free(d);
}

/* ---- sending ---- */

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
lease(struct queue *q, struct queue_account *a, bool wanted)
{
	struct channel *keeper = role_peer(q->role, ROLE_KEEPER);
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
dispatch_lease(struct queue *q, struct queue_account *a)
{
	static const struct timeval look = {LOOK_SECONDS, 0};

	a->idle_since = clock_now(&q->clock);
	lease(q, a, true);
	if (!event_pending(q->dispatch.idle, EV_TIMEOUT, NULL))
		(void)event_add(q->dispatch.idle, &look);
}

/* 0, or negative errno: the job did not leave. */
static int
send_job(struct queue *q, struct delivery_job *j)
{
	const struct spool_message *m = j->delivery->message;
	struct channel *to = role_peer(q->role, j->transport);
	int fd = -1;

	if (to == NULL)
		return -EPIPE;
	if ((m->flags & SPOOL_BODY_FILE) != 0) {
		fd = spool_body_open(q->spool, m->id);
		if (fd < 0)
			return fd;
	}
	lease(q, j->delivery->account, true);
	return channel_send(to, make_job(j), fd);
}

/* The job did not leave. Without a network role it waits for one; another fault is ours, and waits
 * as a refusal would. */
static void
job_stays(struct queue *q, struct delivery_job *j, int r)
{
	struct smtp_reply fault = {.fault = SMTP_FAULT_LOCAL, .text = strerror(-r)};
	struct smtp_reply results[JOB_RECIPIENTS_MAX];
	struct outcome o = {.untried = r == -EPIPE};
	const struct spool_message *m = j->delivery->message;
	char id[SPOOL_ID_LEN], recipients[LOG_RECIPIENTS_SIZE];

	for (size_t i = 0; i < j->count; i++)
		results[i] = fault;
	if (r != -EPIPE) {
		o.results = results;
		log_line(LOG_LEVEL_ERROR, "A job cannot be handed to the network role.",
		    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(m->id, id)}, {LOG_ACCOUNT, m->account},
			{LOG_RECIPIENT, log_recipients(recipients,
					    m->recipients[j->index[0]].address, j->count)},
			{LOG_ERROR, fault.text}));
	}
	outcome_record(q, j, &o);
}

void
dispatch_begin(struct queue *q, struct delivery_message *d)
{
	static const struct timeval look = {LOOK_SECONDS, 0};
	struct delivery_job *j = d->unsent;

	d->unsent = NULL;
	/* The last of them may be its delivery's end. */
	while (j != NULL) {
		struct delivery_job *next = j->next;
		int r = send_job(q, j);

		if (r < 0)
			job_stays(q, j, r);
		j = next;
	}
	if (!event_pending(q->dispatch.idle, EV_TIMEOUT, NULL))
		(void)event_add(q->dispatch.idle, &look);
}

void
dispatch_use(struct queue *q, enum role_id transport, int by)
{
	static const struct timeval look = {LOOK_SECONDS, 0};

	q->dispatch.transports[transport].outstanding += (unsigned)by;
	if (q->dispatch.transports[transport].outstanding == 0)
		q->dispatch.transports[transport].idle_since = clock_now(&q->clock);
	if (!event_pending(q->dispatch.idle, EV_TIMEOUT, NULL))
		(void)event_add(q->dispatch.idle, &look);
}

void
dispatch_job_done(struct queue *q, const struct message *m)
{
	struct delivery_job *j = job_by_id(q, message_u64(m, F_ID, 0));
	uint64_t flags = message_u64(m, F_FLAGS, 0);
	struct outcome o = {.untried = (flags & JOB_UNTRIED) != 0,
	    .dsn_passed = (flags & JOB_DSN_PASSED) != 0,
	    .endpoint = message_str(m, F_ENDPOINT),
	    .tls = message_str(m, F_TLS),
	    .mechanism = message_str(m, F_MECHANISM),
	    .transcript = message_str(m, F_TRANSCRIPT)};
	struct smtp_reply results[JOB_RECIPIENTS_MAX] = {0};
	const uint8_t *bytes;
	size_t at = 0, len, count = 0;
	bool broken = false;

	if (j == NULL) {
		log_warning("The network role reports on a job that nobody gave it.");
		return;
	}
	while (message_next(m, F_RESULT, &at, &bytes, &len) && !broken) {
		broken = count == JOB_RECIPIENTS_MAX || reply_get(bytes, len, &results[count]) < 0;
		count += !broken;
	}
	if (!broken && count == j->count)
		o.results = results;
	else if (broken || count > 0 || !o.untried)
		o.interrupted = true;
	outcome_record(q, j, &o);
	for (size_t i = 0; i < count; i++)
		smtp_reply_clear(&results[i]);
}

/* ---- lanes ---- */

static struct lane *
lane_of(struct queue *q, struct queue_account *a, const char *service)
{
	struct dispatch *x = &q->dispatch;
	struct lane *l;

	for (size_t i = 0; i < x->lane_count; i++)
		if (x->lanes[i].account == a && strcmp(x->lanes[i].service, service) == 0)
			return &x->lanes[i];
	if (x->lane_count == x->lane_room) {
		size_t room = x->lane_room == 0 ? 8 : x->lane_room * 2;
		struct lane *more = reallocarray(x->lanes, room, sizeof(*more));

		if (more == NULL)
			return NULL;
		x->lanes = more;
		x->lane_room = room;
	}
	l = &x->lanes[x->lane_count];
	*l = (struct lane){.account = a, .service = strdup(service), .next = SPOOL_NEVER};
	if (l->service == NULL)
		return NULL;
	x->lane_count++;
	return l;
}

void
dispatch_wait(struct queue *q, struct queue_account *a, const char *service, int64_t next)
{
	struct lane *l = lane_of(q, a, service);

	if (l == NULL)
		log_error("Out of memory: a message waits in the spool until the next reload.");
	else if (next < l->next)
		l->next = next;
}

static int
load_lane(void *arg, const char *account, const char *service, uint64_t open, int64_t next)
{
	struct queue *q = arg;
	struct queue_account *a = accounts_find(&q->accounts, account);

	if (next == SPOOL_NEVER)
		return 0;
	if (a != NULL && a->configured)
		dispatch_wait(q, a, service, next);
	else
		log_line(LOG_LEVEL_WARNING,
		    "Mail waits for an account that is not configured; it stays in the spool.",
		    LOG_PAIRS({LOG_ACCOUNT, account}, {LOG_SERVICE, service}));
	return 0;
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
dispatch_count(struct queue *q)
{
	uint64_t begin = clock_ms();
	int r;

	if (begin < q->dispatch.count_after)
		return 0;
	for (size_t i = 0; i < q->accounts.count; i++)
		q->accounts.list[i]->waiting = 0;
	r = spool_each_lane(q->spool, count_lane, &q->accounts);
	/* At most a twentieth of the time goes into counting. */
	q->dispatch.count_after = r < 0 ? 0 : clock_ms() + (clock_ms() - begin) * COUNT_REST;
	return r;
}

static void
forget_lanes(struct dispatch *x, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < x->lane_count; i++) {
		if (!all && x->lanes[i].next != SPOOL_NEVER) {
			x->lanes[kept++] = x->lanes[i];
			continue;
		}
		free(x->lanes[i].service);
	}
	x->lane_count = kept;
}

int
dispatch_load(struct queue *q)
{
	forget_lanes(&q->dispatch, true);
	return spool_each_lane(q->spool, load_lane, q);
}

/* ---- taking from the spool ---- */

struct start {
	struct commit_op op;
	struct delivery_message *delivery;
	bool begun; /* there is something to send */
};

static int
start_write(struct spool *spool, struct commit_op *op)
{
	struct start *s = (struct start *)op;
	const struct spool_message *m = s->delivery->message;
	int r = spool_update_message(spool, m);

	for (const struct delivery_job *j = s->delivery->unsent; j != NULL && r == 0; j = j->next)
		for (size_t i = 0; i < j->count && r == 0; i++)
			r = spool_update_recipient(
			    spool, m->id, j->index[i], &m->recipients[j->index[i]]);
	return r;
}

static void
start_done(struct commit_op *op, int r)
{
	struct queue *q = op->arg;
	struct start *s = (struct start *)op;
	struct delivery_message *d = s->delivery;

	q->dispatch.starts--;
	if (r == 0 && s->begun) {
		dispatch_begin(q, d);
	} else {
		int64_t next = r < 0 ? clock_now(&q->clock) + DISK_RETRY_SECONDS : d->message->next;

		if (next != SPOOL_NEVER)
			dispatch_wait(q, d->account, d->message->service, next);
		dispatch_forget(q, d);
	}
	free(s);
}

static int64_t
earliest(const struct spool_message *m)
{
	int64_t next = SPOOL_NEVER;

	for (size_t i = 0; i < m->count; i++) {
		const struct spool_recipient *r = &m->recipients[i];

		if ((r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) && r->next < next)
			next = r->next;
	}
	return next;
}

/* Takes one message out of the spool: negative errno where that failed. */
static int
take_message(struct queue *q, struct queue_account *a, uint64_t id, int64_t now)
{
	struct start *s = calloc(1, sizeof(*s));
	struct delivery_message *d = calloc(1, sizeof(*d));
	int r = -ENOMEM;

	if (d != NULL)
		d->message = calloc(1, sizeof(*d->message));
	if (s != NULL && d != NULL && d->message != NULL)
		r = spool_load(q->spool, id, true, d->message);
	if (r < 0) {
		if (d != NULL)
			delivery_free(d);
		free(s);
		return r;
	}
	d->account = a;
	if (!plan_jobs(q, d, now)) {
		dispatch_forget(q, d);
		free(s);
		return -ENOMEM;
	}
	*s = (struct start){.op = {.write = start_write, .done = start_done, .arg = q},
	    .delivery = d,
	    .begun = d->jobs > 0};
	d->message->next = s->begun ? SPOOL_NEVER : earliest(d->message);
	rate_limit_spend(&a->rate, RATE_LIMIT_MINUTE, (int64_t)clock_ms(), 1);
	q->dispatch.starts++;
	commit_add(q->commit, &s->op);
	return 0;
}

static void
take_from_lane(struct queue *q, struct lane *l, int64_t now)
{
	struct queue_account *a = l->account;
	uint64_t ids[QUANTUM];
	unsigned room = room_of(q, a, now);
	int n;

	if (a->conf.rate > 0)
		room = 1; /* the bucket is asked before each */
	n = spool_due(
	    q->spool, a->name, l->service, now, ids, room < QUANTUM ? room : QUANTUM, &l->next);
	for (int i = 0; i < n; i++) {
		int r = take_message(q, a, ids[i], now);

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
	struct queue *q;
	int64_t now;
};

static bool
lane_is_ready(void *arg, size_t i)
{
	const struct readiness *x = arg;
	const struct lane *l = &x->q->dispatch.lanes[i];

	return !l->served && l->next <= x->now && l->account->configured &&
	       room_of(x->q, l->account, x->now) > 0 && rate_wait(l->account) == 0;
}

/* When a lane may become ready by time alone. */
static int64_t
lane_wake(const struct queue *q, const struct lane *l, int64_t now)
{
	int64_t wake = schedule_account_wake(&l->account->schedule, now);
	uint64_t rate = rate_wait(l->account);

	if (!l->account->configured || l->next == SPOOL_NEVER)
		return SPOOL_NEVER;
	if (schedule_account_room(&l->account->schedule, now, 1) == 0)
		return wake > l->next ? wake : l->next;
	if (l->next <= now && rate > 0)
		return now + (int64_t)(rate / 1000) + 1;
	/* Due, and no room: the next outcome makes some. */
	return l->next <= now ? SPOOL_NEVER : l->next;
}

static void
set_timer(struct queue *q, int64_t now)
{
	int64_t wake = SPOOL_NEVER;
	struct timeval wait = {0, 0};

	for (size_t i = 0; i < q->dispatch.lane_count; i++) {
		int64_t at = lane_wake(q, &q->dispatch.lanes[i], now);

		if (at < wake)
			wake = at;
	}
	(void)event_del(q->dispatch.timer);
	if (wake == SPOOL_NEVER)
		return;
	wait.tv_sec = wake > now ? (time_t)(wake - now) : 1;
	(void)event_add(q->dispatch.timer, &wait);
}

void
dispatch_run(struct queue *q)
{
	struct readiness x = {q, clock_now(&q->clock)};
	struct dispatch *d = &q->dispatch;
	bool can =
	    !q->stopping && !commit_is_stuck(q->commit) && role_peer(q->role, ROLE_KEEPER) != NULL;
	enum role_id transport;
	size_t i;

	/* What was taken is not marked in the spool yet and would be found again. */
	if (d->starts > 0)
		return;
	while (can && d->outstanding < JOBS_MAX) {
		i = schedule_take_turn(&d->turn, d->lane_count, lane_is_ready, &x);
		if (i == d->lane_count)
			break;
		transport = account_transport(d->lanes[i].account);
		if (role_peer(q->role, transport) == NULL)
			role_need(q->role, transport);
		else
			take_from_lane(q, &d->lanes[i], x.now);
		/* More of it would be found only after the commit. */
		d->lanes[i].served = true;
	}
	for (i = 0; i < d->lane_count; i++)
		d->lanes[i].served = false;
	forget_lanes(d, false);
	set_timer(q, x.now);
}

struct delivery_message *
dispatch_promise(struct queue *q, struct queue_account *a, struct spool_message *m)
{
	int64_t now = clock_now(&q->clock);
	struct delivery_message *d;

	if (a == NULL || !a->configured || q->stopping || commit_is_stuck(q->commit) ||
	    role_peer(q->role, account_transport(a)) == NULL ||
	    role_peer(q->role, ROLE_KEEPER) == NULL || room_of(q, a, now) == 0 || rate_wait(a) > 0)
		return NULL;
	/* Those who waited longer come first. */
	for (size_t i = 0; i < q->dispatch.lane_count; i++)
		if (q->dispatch.lanes[i].account == a && q->dispatch.lanes[i].next <= now)
			return NULL;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->message = m;
	d->account = a;
	if (!plan_jobs(q, d, now) || d->jobs == 0) {
		d->message = NULL;
		for (size_t i = 0; i < m->count; i++) {
			m->recipients[i].state = SPOOL_QUEUED;
			m->recipients[i].next = now;
		}
		dispatch_forget(q, d);
		return NULL;
	}
	m->next = SPOOL_NEVER;
	rate_limit_spend(&a->rate, RATE_LIMIT_MINUTE, (int64_t)clock_ms(), 1);
	return d;
}

/* ---- peers and time ---- */

static bool
is_unsent(const struct delivery_job *j)
{
	for (const struct delivery_job *u = j->delivery->unsent; u != NULL; u = u->next)
		if (u == j)
			return true;
	return false;
}

/* All jobs that were given to this role come to this end. */
static unsigned
end_all(struct queue *q, enum role_id transport, const struct outcome *o)
{
	unsigned count = 0;

	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct delivery_job *j = q->dispatch.jobs[i];

		/* One that waits for its commit is left: dispatch_begin will see. */
		if (j == NULL || j->transport != transport || is_unsent(j))
			continue;
		count++;
		outcome_record(q, j, o);
	}
	return count;
}

static void
interrupt_all(struct queue *q, enum role_id transport)
{
	struct outcome crash = {
	    .interrupted = !q->stopping, .untried = q->stopping, .unanswered = true};
	unsigned count = end_all(q, transport, &crash);

	if (count > 0)
		log_warning(
		    "The %s role ended with %u jobs under way.", role_name(transport), count);
}

void
dispatch_put_back(struct queue *q)
{
	static const struct outcome unanswered = {.untried = true, .unanswered = true};

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		(void)end_all(q, transports[i], &unanswered);
}

void
dispatch_peer(struct queue *q, enum role_id peer, bool up)
{
	if (peer == ROLE_KEEPER && !up)
		for (size_t i = 0; i < q->accounts.count; i++)
			q->accounts.list[i]->leased = false;
	if (peer != ROLE_KEEPER && !up) {
		interrupt_all(q, peer);
		for (size_t i = 0; i < q->accounts.count; i++)
			if (account_transport(q->accounts.list[i]) == peer)
				q->accounts.list[i]->window = 0;
	}
	if (peer == ROLE_SEND)
		checks_peer(q, up);
	if (peer != ROLE_KEEPER && up)
		q->dispatch.transports[peer].idle_since = clock_now(&q->clock);
	dispatch_run(q);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	dispatch_run(arg);
}

/* Accounts without work lose their lease; without any work a role that takes mail out may go. */
static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval look = {LOOK_SECONDS, 0};
	struct queue *q = arg;
	int64_t before = clock_now(&q->clock) - SEND_IDLE_SECONDS;
	bool any = false;

	for (size_t i = 0; i < q->accounts.count; i++) {
		struct queue_account *a = q->accounts.list[i];

		if (a->leased && a->outstanding == 0 && a->idle_since <= before)
			lease(q, a, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (q->dispatch.transports[transports[i]].outstanding == 0 &&
		    q->dispatch.transports[transports[i]].idle_since <= before)
			role_drop(q->role, transports[i]);
		any = any || role_peer(q->role, transports[i]) != NULL;
	}
	if (any)
		(void)event_add(q->dispatch.idle, &look);
}

int
dispatch_init(struct queue *q)
{
	q->dispatch.timer = evtimer_new(q->base, on_timer, q);
	q->dispatch.idle = evtimer_new(q->base, on_idle, q);
	return q->dispatch.timer == NULL || q->dispatch.idle == NULL ? -ENOMEM : 0;
}
