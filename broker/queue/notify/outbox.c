/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* outbox.c: see outbox.h. */
#include "broker/queue/notify/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/queue/notify/event.h"
#include "broker/queue/notify/filter.h"
#include "broker/queue/spool/own-message.h"

enum {
	DAY = 24 * 3600,
	RETRY_FIRST = 5, /* seconds */
	RETRY_MAX = 3600,
	TRIES_MAX = 80,  /* of one event: about three days */
	PAUSE_MAX = 600, /* seconds until a server that does not answer is tried again */
	REFUSED_MAX =
	    16, /* events that a server refuses one after another: then it is the server */
	RECEIVER_MAX = 96,
	JSON_MAX = 60 * 1024, /* of a packet */
	BATCH_MAX =
	    28 * 1024, /* octets of several events in one request; one alone may be longer */
	BATCH_EVENTS = 100,
	READ_MAX = 500,       /* events looked at in one go */
	UNSAVED_MAX = 5000,   /* events passed over before the position is written */
	UNDER_WAY_MAX = 8,    /* requests to one webhook */
	COMMAND_AGAIN = 75,   /* EX_TEMPFAIL */
	ANSWER_LONGEST = 120, /* seconds; then a receiver counts as free again */
	SOON_MS = 50,         /* for company: more events in a request */
};

static const char webhook_prefix[] = "webhook ";

/* Who gets events, and how far it got. */
struct receiver {
	LIST_ENTRY(receiver) entry;
	char name[RECEIVER_MAX]; /* in the spool */
	enum { COMMAND, MAIL, WEBHOOK } kind;
	const struct conf_webhook *webhook; /* of the configuration in force; NULL: none */
	bool configured;
	bool known;       /* `read` is right */
	uint64_t read;    /* what of the log was looked at */
	uint64_t saved;   /* its position in the spool */
	unsigned unsaved; /* events that were looked at since it was written */
	unsigned under_way;
	bool in_order;               /* what is under way goes alone */
	bool has_rest;               /* there may be something in its outbox */
	unsigned failures, refusals; /* one after another: of its server, of events */
	int64_t pause;               /* nothing is begun before */
	uint64_t dropped, dropping;  /* events since it took one: lost, and in the transaction */
};

/* Events on their way: from the start until what became of them is on record. */
struct transfer {
	LIST_ENTRY(transfer) entry;
	struct receiver *receiver;
	uint64_t id; /* of the message to another role */
	int64_t begun;
	bool settled; /* what became of it is being written */
	bool is_rest; /* of the outbox, not of the log */
	unsigned tries;
	size_t count;
	uint64_t events[BATCH_EVENTS];
};

/* A test event: it is in no log. */
struct test {
	LIST_ENTRY(test) entry;
	uint64_t id;
	char *webhook;
	int64_t begun;
	bool sent;
	notify_tested *done;
	void *arg;
};

struct outbox {
	struct notify_deps deps;
	const struct outbox_ops *ops;
	void *ops_arg;
	const struct queue_settings *settings; /* NULL: none yet */
	bool stopping, trimming;
	struct event *timer;
	LIST_HEAD(, receiver) receivers;
	LIST_HEAD(, transfer) transfers;
	LIST_HEAD(, test) tests;
	uint64_t last_id;
};

static int64_t
now_of(const struct outbox *o)
{
	return clock_now(o->deps.clock);
}

/* ---- receivers ---- */

static bool
takes(const struct outbox *o, const struct receiver *r, const struct spool_event *e)
{
	const struct conf *c = o->settings->conf;

	if (!r->configured)
		return false;
	return r->kind == COMMAND ? filter_command(c, e)
	       : r->kind == MAIL  ? filter_mail(c, e)
				  : filter_webhook(c, r->webhook, e);
}

static struct receiver *
find_receiver(const struct outbox *o, const char *name)
{
	struct receiver *r;

	LIST_FOREACH (r, &o->receivers, entry)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

/* How far it got: all of the log up to there is through or in the outbox, once what is settled is on record. */
static uint64_t
position_of(const struct outbox *o, const struct receiver *r)
{
	uint64_t position = r->read;
	const struct transfer *t;

	LIST_FOREACH (t, &o->transfers, entry)
		if (t->receiver == r && !t->settled && !t->is_rest && t->count > 0 &&
		    t->events[0] <= position)
			position = t->events[0] - 1;
	return position;
}

static void
receiver_free(struct receiver *r)
{
	LIST_REMOVE(r, entry);
	free(r);
}

static void
transfer_free(struct transfer *t)
{
	struct receiver *r = t->receiver;

	LIST_REMOVE(t, entry);
	free(t);
	if (--r->under_way == 0) {
		r->in_order = false;
		if (!r->configured)
			receiver_free(r);
	}
}

/* post is needed as long as something is on its way to a webhook. */
static void
count_webhooks(const struct outbox *o, int by)
{
	o->deps.ops->use_post(o->deps.ops_arg, by);
}

/* ---- what became of it ---- */

struct settlement {
	struct commit_op op;
	struct outbox *outbox;
	struct transfer *transfer;
	int64_t next;               /* when it is tried again; 0: never */
	struct spool_message *mail; /* to be stored with it, or NULL */
	struct queue_account *account;
	uint64_t position;
};

static int
settlement_write(struct spool *spool, struct commit_op *op)
{
	struct settlement *s = (struct settlement *)op;
	const struct transfer *t = s->transfer;
	const struct receiver *to = t->receiver;
	int r = s->mail == NULL ? 0 : spool_insert(spool, s->mail);

	if (!to->configured)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < t->count && r >= 0; i++)
		if (s->next > 0)
			r = spool_add_outbox(spool, t->events[i], to->name, t->tries + 1, s->next);
		else if (t->is_rest)
			r = spool_delete_outbox(spool, t->events[i], to->name);
	s->position = position_of(s->outbox, to);
	if (r >= 0 && s->position != to->saved)
		r = spool_move_receiver(spool, to->name, s->position);
	return r < 0 ? r : 0;
}

static void
settlement_done(struct commit_op *op, int r)
{
	struct settlement *s = (struct settlement *)op;
	const struct notify_deps *deps = &s->outbox->deps;
	struct receiver *to = s->transfer->receiver;

	if (r == 0 && s->mail != NULL)
		deps->ops->mail(deps->ops_arg, s->account, s->mail->service, s->mail->next);
	(void)spool_message_free(s->mail);
	if (r == 0 && to->configured) {
		to->saved = s->position;
		to->has_rest = to->has_rest || s->next > 0;
	}
	transfer_free(s->transfer);
	outbox_look(s->outbox);
	free(s);
}

/* `mail` is taken. */
static void
settle(struct outbox *o, struct transfer *t, int64_t next, struct spool_message *mail,
    struct queue_account *account)
{
	struct settlement *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)spool_message_free(mail);
		/* It is sent again: nothing of it is on record. */
		if (!t->is_rest && t->count > 0 && t->receiver->read >= t->events[0])
			t->receiver->read = t->events[0] - 1;
		transfer_free(t);
		return;
	}
	t->settled = true;
	*s = (struct settlement){.op = {.write = settlement_write,
				     .done = settlement_done,
				     .must = true,
				     .patient = mail == NULL},
	    .outbox = o,
	    .transfer = t,
	    .next = next,
	    .mail = mail,
	    .account = account};
	commit_add(o->deps.commit, &s->op);
}

static void
succeed(struct outbox *o, struct transfer *t)
{
	struct receiver *r = t->receiver;

	r->failures = r->refusals = 0;
	r->pause = 0;
	r->dropped = 0;
	settle(o, t, 0, NULL, NULL);
}

static int64_t
delay_after(unsigned tries, int64_t most)
{
	int64_t delay = RETRY_FIRST;

	for (unsigned i = 0; i < tries && delay < most; i++)
		delay *= 2;
	return delay < most ? delay : most;
}

/* It did not get through: later, or never. `wait`: seconds at least. `server`: no event would have. */
static void
put_off(struct outbox *o, struct transfer *t, int64_t wait, bool server, const char *why)
{
	struct receiver *r = t->receiver;
	int64_t now = now_of(o), delay = delay_after(t->tries, RETRY_MAX);
	bool given_up = t->tries + 1 >= TRIES_MAX;

	if (wait > DAY)
		wait = DAY;
	/* requests that were under way when it went away fail together: that counts once */
	if ((server || ++r->refusals >= REFUSED_MAX) && now >= r->pause) {
		int64_t pause = delay_after(r->failures++, PAUSE_MAX);

		r->pause = now + (wait > pause ? wait : pause);
	}
	log_line(given_up ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
	    given_up ? "An event could not be delivered for three days, and is given up."
		     : "An event cannot be delivered yet; it is tried again.",
	    LOG_PAIRS({LOG_SERVICE, r->name}, {LOG_ERROR, why}));
	settle(o, t,
	    given_up ? 0 : now + schedule_jitter(wait > delay ? wait : delay, clock_random()), NULL,
	    NULL);
}

/* ---- answers of other roles ---- */

/* The transfer that an answer is about; NULL: none. */
static struct transfer *
find_answered(const struct outbox *o, const struct message *m, bool command)
{
	uint64_t id = message_u64(m, F_ID, 0);
	struct transfer *t;

	LIST_FOREACH (t, &o->transfers, entry)
		if (t->id == id && !t->settled && (t->receiver->kind == COMMAND) == command)
			return t;
	return NULL;
}

void
outbox_command_done(struct outbox *o, const struct message *m)
{
	struct transfer *t = find_answered(o, m, true);
	const char *fault = message_str(m, F_FAULT);
	uint64_t status = message_u64(m, F_EXIT, COMMAND_AGAIN);
	char text[64];

	if (t == NULL)
		return; /* of a queue before this one */
	(void)snprintf(text, sizeof(text), "it ended with status %u", (unsigned)status);
	if (fault != NULL || status == COMMAND_AGAIN) {
		put_off(o, t, 0, false, fault == NULL ? text : fault);
		return;
	}
	if (status != 0)
		log_line(LOG_LEVEL_WARNING, "The command that notifies people failed.",
		    LOG_PAIRS({LOG_SERVICE, t->receiver->name}, {LOG_ERROR, text}));
	succeed(o, t);
}

static void
test_end(struct outbox *o, struct test *t, unsigned status, const char *fault)
{
	if (t->sent)
		count_webhooks(o, -1);
	LIST_REMOVE(t, entry);
	t->done(t->arg, t->id, status, fault);
	free(t->webhook);
	free(t);
}

/* Would the server have refused any event? Not where it read this one and does not like it (RFC 9110 section 15.5). */
static bool
is_of_server(unsigned status)
{
	return status != 400 && status != 409 && status != 413 && status != 415 && status != 422;
}

void
outbox_webhook_done(struct outbox *o, const struct message *m)
{
	struct transfer *t = find_answered(o, m, false);
	unsigned status = (unsigned)message_u64(m, F_HTTP_STATUS, 0);
	const char *fault = message_str(m, F_FAULT);
	struct test *x;
	char text[64];

	LIST_FOREACH (x, &o->tests, entry)
		if (x->sent && x->id == message_u64(m, F_ID, 0)) {
			test_end(o, x, status, fault);
			return;
		}
	if (t == NULL)
		return;
	count_webhooks(o, -1);
	(void)snprintf(text, sizeof(text), "it answered with HTTP status %u", status);
	if (fault == NULL && status >= 200 && status < 300)
		succeed(o, t);
	else
		put_off(o, t, (int64_t)message_u64(m, F_RETRY_AFTER, 0),
		    fault != NULL || is_of_server(status), fault == NULL ? text : fault);
}

/* Ends transfers that get no answer any more: all webhooks, or what began before a time. */
static void
end_unanswered(struct outbox *o, bool webhooks, int64_t begun_before, const char *why)
{
	struct transfer *next;
	struct test *x, *next_test;

	for (struct transfer *t = LIST_FIRST(&o->transfers); t != NULL; t = next) {
		next = LIST_NEXT(t, entry);
		if (t->settled || (webhooks && t->receiver->kind != WEBHOOK) ||
		    t->begun >= begun_before)
			continue;
		if (t->receiver->kind == WEBHOOK)
			count_webhooks(o, -1);
		put_off(o, t, 0, false, why);
	}
	for (x = LIST_FIRST(&o->tests); x != NULL; x = next_test) {
		next_test = LIST_NEXT(x, entry);
		if (x->begun < begun_before && (x->sent || !webhooks))
			test_end(o, x, 0, why);
	}
}

/* ---- the start of a transfer ---- */

static struct transfer *
transfer_new(struct outbox *o, struct receiver *r)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	*t = (struct transfer){.receiver = r, .id = ++o->last_id, .begun = now_of(o)};
	LIST_INSERT_HEAD(&o->transfers, t, entry);
	r->under_way++;
	return t;
}

static void
transfer_add(struct transfer *t, const struct spool_event *e)
{
	t->events[t->count++] = e->id;
	if (!e->of_message)
		t->receiver->in_order = true;
}

/* 0, or negative errno: it did not leave. */
static int
send_command(struct outbox *o, struct transfer *t, const struct spool_event *e)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	struct message *m;

	if (event_json(e, o->settings->conf->hostname, true, &json) < 0)
		return -ENOMEM;
	t->id = e->id;
	m = message_new(M_NOTIFY_RUN);
	message_put_u64(m, F_ID, e->id);
	message_put_str(m, F_KIND, e->kind);
	message_put_bytes(m, F_BODY, json.data, json.len);
	message_put_str(m, F_ACCOUNT, e->account);
	message_put_str(m, F_TEXT, e->text == NULL ? "" : e->text);
	message_put_str(m, F_NEXT, e->next);
	return channel_send(role_main_channel(o->deps.role), m, -1);
}

static int
send_webhook(struct outbox *o, uint64_t id, const char *name, const struct buf *body)
{
	struct channel *post = role_peer(o->deps.role, ROLE_POST);
	struct message *m;
	int r;

	if (post == NULL)
		return -EPIPE;
	m = message_new(M_WEBHOOK);
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_NAME, name);
	message_put_bytes(m, F_BODY, body->data, body->len);
	r = channel_send(post, m, -1);
	if (r == 0)
		count_webhooks(o, 1);
	return r;
}

/* The first account that works and is not the one that the event is about; NULL: none. */
static struct queue_account *
mail_account(const struct outbox *o, const char *about)
{
	const struct conf_strings *names = &o->settings->conf->notify.mail_accounts;

	for (size_t i = 0; i < names->count; i++) {
		struct queue_account *a = accounts_find(o->deps.accounts, names->items[i]);

		if (a != NULL && a->configured && *a->conf.mailbox != '\0' &&
		    (about == NULL || strcmp(a->name, about) != 0) &&
		    schedule_account_state(&a->schedule) == SCHEDULE_ACTIVE)
			return a;
	}
	return NULL;
}

/* NULL: no memory. */
static struct spool_message *
make_mail(struct outbox *o, const struct queue_account *a, const struct spool_event *e)
{
	CLEANUP_BUF struct buf text = BUF_INIT(SPOOL_INLINE_MAX), id = BUF_INIT(512);
	const struct conf_strings *to = &o->settings->conf->notify.mail_to;
	struct spool_message *m = calloc(1, sizeof(*m));
	struct own_message own = {.account = a->name,
	    .service = event_service,
	    .uid = getuid(),
	    .sender = a->conf.mailbox,
	    .to = to->items,
	    .to_count = to->count,
	    .subject = "What an administrator should know",
	    .now_us = clock_now_us(o->deps.clock),
	    .lifetime = o->settings->conf->lifetime};

	if (m == NULL || event_mail(e, o->settings->conf->hostname, a->conf.mailbox, to->items,
			     to->count, &text, &id) < 0)
		return spool_message_free(m);
	own.id = buf_str(&id);
	return own_message_make(o->deps.spool, o->deps.commit, &own, &text, m) < 0
		   ? spool_message_free(m)
		   : m;
}

static void
send_mail(struct outbox *o, struct transfer *t, const struct spool_event *e)
{
	struct queue_account *a = mail_account(o, e->account);
	struct spool_message *m = a == NULL ? NULL : make_mail(o, a, e);

	if (m == NULL)
		put_off(o, t, 0, false,
		    a == NULL ? "none of mail-accounts works, or only the one it is about"
			      : "memory ran out");
	else
		settle(o, t, 0, m, a);
}

/* ---- gathering ---- */

/* What one transfer takes. */
struct gathering {
	struct outbox *outbox;
	struct receiver *receiver;
	struct transfer *transfer; /* NULL: nothing yet */
	const struct spool_outbox
	    *rest;        /* the row of the outbox that is looked at; NULL: the log is */
	struct buf *json; /* for a webhook */
	int64_t next;     /* of the outbox: when the first is due */
	unsigned seen;
	int error; /* it did not leave */
};

static bool
is_batch(const struct receiver *r)
{
	return r->webhook->format != CONF_WEBHOOK_FORMAT_SINGLE;
}

/* Appends an event to the body of a request. 1; 0 where it does not fit beside the others; -ENOMEM. */
static int
append(struct gathering *g, const struct spool_event *e)
{
	const struct conf_webhook *w = g->receiver->webhook;
	bool array = w->format == CONF_WEBHOOK_FORMAT_ARRAY;
	size_t before = g->json->len;

	if (array)
		(void)buf_append_char(g->json, before == 0 ? '[' : ',');
	if (event_json(e, g->outbox->settings->conf->hostname, w->addresses, g->json) < 0)
		return -ENOMEM;
	if (before == 0 || g->json->len <= BATCH_MAX)
		return 1;
	g->json->len = before;
	return 0;
}

/* Adds an event, or sends it at once where it goes alone. 1: it is in, and is the last; 0: it is in; -EXFULL: it is
 * not, and nothing behind it; other negative errno. */
static int
take(struct gathering *g, const struct spool_event *e)
{
	struct outbox *o = g->outbox;
	struct receiver *r = g->receiver;
	int n;

	if (r->kind == WEBHOOK && role_peer(o->deps.role, ROLE_POST) == NULL) {
		role_need(o->deps.role, ROLE_POST); /* outbox_post_peer goes on */
		return -EXFULL;
	}
	n = r->kind == WEBHOOK ? append(g, e) : 1;
	if (n <= 0)
		return n == 0 ? -EXFULL : n;
	if (g->transfer == NULL) {
		g->transfer = transfer_new(o, r);
		if (g->transfer == NULL)
			return -ENOMEM;
		g->transfer->is_rest = g->rest != NULL;
		g->transfer->tries = g->rest == NULL ? 0 : g->rest->tries;
	}
	transfer_add(g->transfer, e);
	if (r->kind == MAIL)
		send_mail(o, g->transfer, e);
	else if (r->kind == COMMAND)
		g->error = send_command(o, g->transfer, e);
	return r->kind != WEBHOOK || !is_batch(r) || g->transfer->count == BATCH_EVENTS;
}

/* Sends what was gathered. False: there was nothing, or it did not leave. */
static bool
send_gathered(struct gathering *g)
{
	struct outbox *o = g->outbox;
	struct transfer *t = g->transfer;

	if (t == NULL)
		return false;
	if (g->receiver->kind == WEBHOOK) {
		if (g->receiver->webhook->format == CONF_WEBHOOK_FORMAT_ARRAY)
			(void)buf_append_str(g->json, "]\n");
		g->error = g->json->failed
			       ? -ENOMEM
			       : send_webhook(o, t->id, g->receiver->webhook->name, g->json);
	}
	if (g->error == 0)
		return true;
	if (!t->is_rest)
		g->receiver->read = t->events[0] - 1;
	transfer_free(t);
	return false;
}

/* Of the log. */
static int
consider_new(void *arg, const struct spool_event *e)
{
	struct gathering *g = arg;
	struct receiver *r = g->receiver;
	int n = 0;

	g->seen++;
	if (takes(g->outbox, r, e)) {
		/* it waits for those before it */
		if (!e->of_message && r->under_way > (g->transfer != NULL))
			return 1;
		n = take(g, e);
	}
	if (n < 0)
		return n == -EXFULL ? 1 : n;
	r->read = e->id;
	r->unsaved++;
	return n;
}

static bool
is_under_way(const struct outbox *o, const struct receiver *r, uint64_t event)
{
	const struct transfer *t;

	LIST_FOREACH (t, &o->transfers, entry)
		if (t->receiver == r && t->is_rest && t->events[0] == event)
			return true;
	return false;
}

/* Of the outbox: the first that is due goes by itself. */
static int
consider_rest(void *arg, const struct spool_outbox *what)
{
	struct gathering *g = arg;
	int n;

	g->seen++;
	if (is_under_way(g->outbox, g->receiver, what->event.id))
		return 0;
	if (what->next > now_of(g->outbox)) {
		if (what->next < g->next)
			g->next = what->next;
		return 0;
	}
	g->rest = what;
	n = take(g, &what->event);
	g->rest = NULL;
	return n < 0 && n != -EXFULL ? n : 1;
}

/* ---- positions ---- */

struct position_op {
	struct commit_op op;
	struct outbox *outbox;
	char receiver[RECEIVER_MAX];
	uint64_t position;
};

static int
position_write(struct spool *spool, struct commit_op *op)
{
	const struct position_op *x = (const struct position_op *)op;

	return spool_move_receiver(spool, x->receiver, x->position);
}

static void
position_done(struct commit_op *op, int r)
{
	struct position_op *x = (struct position_op *)op;
	struct receiver *to = find_receiver(x->outbox, x->receiver);

	if (r == 0 && to != NULL)
		to->saved = x->position;
	free(x);
}

static void
save_position(struct outbox *o, struct receiver *r)
{
	struct position_op *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return;
	*x = (struct position_op){
	    .op = {.write = position_write, .done = position_done, .must = true, .patient = true},
	    .outbox = o,
	    .position = position_of(o, r)};
	(void)snprintf(x->receiver, sizeof(x->receiver), "%s", r->name);
	r->unsaved = 0;
	commit_add(o->deps.commit, &x->op);
}

/* ---- looking ---- */

static void
sooner(int64_t *at, int64_t when)
{
	if (when < *at)
		*at = when;
}

/* Begins one transfer: true where there may be another. *next becomes earlier where it has to wait for a time. */
static bool
begin_one(struct outbox *o, struct receiver *r, int64_t *next)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	struct gathering g = {.outbox = o, .receiver = r, .json = &json, .next = INT64_MAX};
	static const struct spool_event_filter all = {0};
	bool begun = false;
	int e = 0;

	if (r->has_rest) {
		e = spool_each_outbox(o->deps.spool, r->name, consider_rest, &g);
		r->has_rest = e < 0 || g.seen > 0;
		sooner(next, g.next);
		begun = send_gathered(&g);
	}
	if (e == 0 && g.error == 0 && !begun && g.transfer == NULL) {
		g.seen = 0;
		e = spool_each_event(o->deps.spool, &all, r->read, READ_MAX, consider_new, &g);
		begun = send_gathered(&g);
	}
	if (e < 0 || g.error < 0)
		sooner(next, now_of(o) + RETRY_FIRST);
	if (r->under_way == 0 && r->unsaved > UNSAVED_MAX)
		save_position(o, r);
	return begun || (e >= 0 && g.error == 0 && g.seen == READ_MAX);
}

static void
begin(struct outbox *o, struct receiver *r, int64_t *next)
{
	unsigned most = r->kind == WEBHOOK && r->failures == 0 ? UNDER_WAY_MAX : 1;

	if (r->pause > now_of(o) + DAY)
		r->pause = 0; /* the clock was set */
	if (r->pause > now_of(o)) {
		sooner(next, r->pause);
		return;
	}
	while (r->configured && r->known && !r->in_order && r->under_way < most)
		if (!begin_one(o, r, next))
			break;
}

static void
begin_test(struct outbox *o, struct test *t)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	const struct conf_webhook *w = settings_find_webhook(o->settings, t->webhook);
	struct spool_event e = {.id = t->id,
	    .at = now_of(o),
	    .kind = "test",
	    .text = "This is a test of the webhook: nothing is wrong."};

	if (w != NULL && w->format == CONF_WEBHOOK_FORMAT_ARRAY)
		(void)buf_append_char(&json, '[');
	(void)event_json(&e, o->settings->conf->hostname, false, &json);
	if (w != NULL && w->format == CONF_WEBHOOK_FORMAT_ARRAY)
		(void)buf_append_str(&json, "]\n");
	t->sent = !json.failed && send_webhook(o, t->id, t->webhook, &json) == 0;
	if (!t->sent)
		role_need(o->deps.role, ROLE_POST);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;
	int64_t now = now_of(o), next = INT64_MAX;
	struct timeval t = {0};
	struct receiver *r;
	struct test *x;

	if (o->settings == NULL || o->stopping)
		return;
	/* One whose answer is lost (a packet that did not fit) must not close its receiver for ever. */
	end_unanswered(o, false, now - ANSWER_LONGEST, "no answer came");
	LIST_FOREACH (r, &o->receivers, entry)
		begin(o, r, &next);
	LIST_FOREACH (x, &o->tests, entry)
		if (!x->sent)
			begin_test(o, x);
	if (!LIST_EMPTY(&o->transfers) || !LIST_EMPTY(&o->tests))
		sooner(&next, now + ANSWER_LONGEST);
	if (next != INT64_MAX) {
		t.tv_sec = next <= now ? 1 : (time_t)(next - now);
		(void)evtimer_add(o->timer, &t);
	}
}

void
outbox_look(struct outbox *o)
{
	const struct timeval now = {0};

	if (o->settings != NULL && !o->stopping)
		(void)evtimer_add(o->timer, &now);
}

void
outbox_look_soon(struct outbox *o)
{
	const struct timeval soon = {.tv_usec = SOON_MS * 1000};

	if (o->settings != NULL && !o->stopping)
		(void)evtimer_add(o->timer, &soon);
}

void
outbox_post_peer(struct outbox *o, bool up)
{
	if (!up)
		end_unanswered(o, true, INT64_MAX, "the network role ended meanwhile");
	outbox_look(o);
}

/* ---- removing what is old ---- */

struct trim_op {
	struct commit_op op;
	uint64_t most;
	unsigned count;
};

static int
count_dropped(void *arg, const struct spool_event *e)
{
	const struct outbox *o = arg;
	struct receiver *r;

	LIST_FOREACH (r, &o->receivers, entry)
		if (r->known && e->id > r->read && takes(o, r, e))
			r->dropping++;
	return 0;
}

static int
trim_write(struct spool *spool, struct commit_op *op)
{
	struct trim_op *x = (struct trim_op *)op;
	struct outbox *o = op->arg;
	const struct conf *c = o->settings->conf;
	struct receiver *r;

	LIST_FOREACH (r, &o->receivers, entry)
		r->dropping = 0;
	return spool_trim_events(
	    spool, now_of(o) - c->notify.keep_events, x->most, count_dropped, o, &x->count);
}

static void
trim_done(struct commit_op *op, int r)
{
	struct outbox *o = op->arg;
	struct receiver *to;

	o->trimming = false;
	LIST_FOREACH (to, &o->receivers, entry) {
		if (r < 0 || to->dropping == 0)
			continue;
		to->dropped += to->dropping;
		if (to->dropped == to->dropping)
			o->ops->dropped(o->ops_arg, to->name, to->dropped);
		to->dropping = 0;
	}
	if (r == 0 && ((struct trim_op *)op)->count > 0)
		outbox_trim(o, ((struct trim_op *)op)->most);
	free(op);
}

void
outbox_trim(struct outbox *o, uint64_t most)
{
	struct trim_op *x = o->settings == NULL || o->trimming ? NULL : calloc(1, sizeof(*x));

	if (x == NULL)
		return;
	o->trimming = true;
	x->most = most;
	x->op =
	    (struct commit_op){.write = trim_write, .done = trim_done, .arg = o, .patient = true};
	commit_add(o->deps.commit, &x->op);
}

/* ---- a configuration ---- */

/* Calls the functions with the name of every receiver that is configured. */
typedef int each_receiver(void *arg, const char *name);

static int
for_each_configured(const struct outbox *o, each_receiver *each, void *arg)
{
	const struct conf *c = o->settings->conf;
	char name[RECEIVER_MAX];
	int r = c->notify.has_command ? each(arg, "command") : 0;

	if (r == 0 && c->notify.mail_to.count > 0)
		r = each(arg, "mail");
	for (size_t i = 0; i < c->webhook_count && r == 0; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", webhook_prefix, c->webhooks[i].name);
		r = each(arg, name);
	}
	return r;
}

/* Is there one of this name that lasts from before, or room for a new one? -ENOMEM where not. */
static int
set_receiver(void *arg, const char *name)
{
	struct outbox *o = arg;
	struct receiver *r = find_receiver(o, name);

	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return -ENOMEM;
		(void)snprintf(r->name, sizeof(r->name), "%s", name);
		r->kind = strcmp(name, "command") == 0 ? COMMAND
			  : strcmp(name, "mail") == 0  ? MAIL
						       : WEBHOOK;
		LIST_INSERT_HEAD(&o->receivers, r, entry);
	}
	r->configured = true;
	/* whoever edits the configuration has mended something */
	r->failures = r->refusals = 0;
	r->pause = 0;
	if (r->kind == WEBHOOK)
		r->webhook = settings_find_webhook(o->settings, name + strlen(webhook_prefix));
	return 0;
}

struct addition {
	const struct outbox *outbox;
	const struct receiver *receiver;
};

static int
add_standing(void *arg, const char *about, const struct spool_event *e)
{
	const struct addition *x = arg;
	const struct outbox *o = x->outbox;

	/* the spool also remembers what was said of accounts that are not configured now */
	if (!o->ops->stands(o->ops_arg, about) || !takes(o, x->receiver, e))
		return 0;
	return spool_add_outbox(o->deps.spool, e->id, x->receiver->name, 0, now_of(o));
}

static int
write_receiver(void *arg, const char *name)
{
	struct outbox *o = arg;
	struct addition x = {.outbox = o, .receiver = find_receiver(o, name)};
	int r = x.receiver == NULL ? 0 : spool_add_receiver(o->deps.spool, name);

	return r > 0 ? spool_each_standing(o->deps.spool, add_standing, &x) : r;
}

struct gone_receiver {
	const struct outbox *outbox;
	char *name; /* owned */
};

static int
find_gone(void *arg, const char *name, uint64_t position)
{
	struct gone_receiver *g = arg;
	const struct receiver *r = find_receiver(g->outbox, name);

	if (r != NULL && r->configured)
		return 0;
	g->name = strdup(name);
	return g->name == NULL ? -ENOMEM : 1;
}

static int
receivers_write(struct spool *spool, struct commit_op *op)
{
	struct outbox *o = op->arg;
	struct gone_receiver g = {.outbox = o};
	int r = for_each_configured(o, write_receiver, o), found = 1;

	while (r == 0 && found > 0) {
		found = spool_each_receiver(spool, find_gone, &g);
		r = found <= 0 ? found : spool_delete_receiver(spool, g.name);
		free(TAKE_PTR(g.name));
	}
	return r;
}

static int
know_receiver(void *arg, const char *name, uint64_t position)
{
	struct receiver *r = find_receiver(arg, name);

	if (r != NULL && !r->known) {
		r->read = r->saved = position;
		r->known = r->has_rest = true;
	}
	return 0;
}

static void
receivers_done(struct commit_op *op, int r)
{
	struct outbox *o = op->arg;

	if (r < 0 || spool_each_receiver(o->deps.spool, know_receiver, o) < 0)
		log_error("The spool does not say how far the receivers of events got: they get "
			  "none until the next reload.");
	outbox_look(o);
	free(op);
}

void
outbox_configure(struct outbox *o, const struct queue_settings *s)
{
	struct commit_op *op = calloc(1, sizeof(*op));
	struct receiver *r, *next;

	o->settings = s;
	LIST_FOREACH (r, &o->receivers, entry) {
		r->configured = false;
		r->webhook = NULL;
	}
	if (op == NULL || for_each_configured(o, set_receiver, o) < 0)
		log_error(
		    "Out of memory: some receivers of events get none until the next reload.");
	for (r = LIST_FIRST(&o->receivers); r != NULL; r = next) {
		next = LIST_NEXT(r, entry);
		if (r->configured)
			continue;
		r->known = false;
		if (r->under_way == 0)
			receiver_free(r);
	}
	if (op == NULL)
		return;
	*op = (struct commit_op){
	    .write = receivers_write, .done = receivers_done, .arg = o, .must = true};
	commit_add(o->deps.commit, op);
}

/* ---- what people ask ---- */

int
outbox_replay(struct outbox *o, uint64_t since, const char *webhook)
{
	struct receiver *r;
	int count = 0;

	if (o->settings == NULL)
		return -ENOENT;
	LIST_FOREACH (r, &o->receivers, entry) {
		if (r->kind != WEBHOOK || !r->known || !r->configured ||
		    (webhook != NULL && strcmp(r->webhook->name, webhook) != 0))
			continue;
		count++;
		if (since > 0 && since - 1 < r->read)
			r->read = since - 1;
		r->failures = r->refusals = 0;
		r->pause = 0;
		save_position(o, r);
	}
	if (count == 0)
		return -ENOENT;
	outbox_look(o);
	return commit_flush(o->deps.commit) || !commit_is_stuck(o->deps.commit) ? count : -EIO;
}

int
outbox_test(struct outbox *o, const char *webhook, notify_tested *done, void *arg)
{
	struct test *t;

	if (o->settings == NULL || settings_find_webhook(o->settings, webhook) == NULL)
		return -ENOENT;
	t = calloc(1, sizeof(*t));
	if (t != NULL)
		t->webhook = strdup(webhook);
	if (t == NULL || t->webhook == NULL) {
		free(t);
		return -ENOMEM;
	}
	t->id = spool_new_id(o->deps.spool, clock_now_us(o->deps.clock));
	t->begun = now_of(o);
	t->done = done;
	t->arg = arg;
	LIST_INSERT_HEAD(&o->tests, t, entry);
	outbox_look(o);
	return 0;
}

static void
ignore_test(void *arg, uint64_t id, unsigned status, const char *fault)
{
}

void
outbox_test_forget(struct outbox *o, void *arg)
{
	struct test *t;

	LIST_FOREACH (t, &o->tests, entry)
		if (t->arg == arg)
			t->done = ignore_test;
}

void
outbox_stop(struct outbox *o)
{
	struct receiver *r;

	o->stopping = true;
	LIST_FOREACH (r, &o->receivers, entry)
		if (r->known && r->configured && position_of(o, r) != r->saved)
			save_position(o, r);
}

struct outbox *
outbox_new(const struct notify_deps *deps, const struct outbox_ops *ops, void *ops_arg)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->deps = *deps;
	o->ops = ops;
	o->ops_arg = ops_arg;
	LIST_INIT(&o->receivers);
	LIST_INIT(&o->transfers);
	LIST_INIT(&o->tests);
	o->timer = evtimer_new(deps->base, on_look, o);
	if (o->timer == NULL) {
		free(o);
		return NULL;
	}
	return o;
}
