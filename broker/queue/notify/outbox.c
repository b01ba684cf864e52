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
#include "broker/queue/spool/own-message.h"

enum {
	RETRY_FIRST = 5, /* seconds */
	RETRY_MAX = 3600,
	GIVE_UP = 3 * 24 * 3600,
	RECEIVER_MAX = 96,
	JSON_MAX = 30 * 1024, /* of a packet */
	COMMAND_AGAIN = 75,   /* EX_TEMPFAIL */
	ANSWER_LONGEST = 120, /* seconds; then a receiver counts as free again */
	STARTS_MAX = 32,      /* transfers begun in one look */
};

static const char command_receiver[] = "command", mail_receiver[] = "mail",
		  webhook_prefix[] = "webhook ";

/* An event on its way: from its start until what became of it is on record. */
struct transfer {
	LIST_ENTRY(transfer) entry;
	uint64_t id; /* of the message to another role */
	uint64_t event;
	int64_t event_at, begun;
	unsigned tries;
	bool settled; /* what became of it is being written */
	char receiver[RECEIVER_MAX];
};

struct outbox {
	struct notify_deps deps;
	outbox_stands *stands;
	void *notify;
	const struct queue_settings *settings; /* NULL: none yet */
	bool stopping;
	struct event *timer;
	LIST_HEAD(, transfer) transfers;
	uint64_t last_id;
};

static int64_t
now_of(const struct outbox *o)
{
	return clock_now(o->deps.clock);
}

static void
transfer_free(struct transfer *t)
{
	LIST_REMOVE(t, entry);
	free(t);
}

static bool
is_webhook(const char *receiver)
{
	return strncmp(receiver, webhook_prefix, strlen(webhook_prefix)) == 0;
}

/* ---- what became of it ---- */

struct settlement {
	struct commit_op op;
	struct outbox *outbox;
	struct transfer *transfer;
	int64_t next;               /* when it is tried again; 0: never */
	struct spool_message *mail; /* to be stored with it, or NULL */
	struct queue_account *account;
};

static int
settlement_write(struct spool *spool, struct commit_op *op)
{
	struct settlement *s = (struct settlement *)op;
	const struct transfer *t = s->transfer;
	int r = s->mail == NULL ? 0 : spool_insert(spool, s->mail);

	if (r < 0)
		return r;
	return s->next > 0 ? spool_retry_outbox(spool, t->event, t->receiver, s->next)
			   : spool_delete_outbox(spool, t->event, t->receiver);
}

static void
settlement_done(struct commit_op *op, int r)
{
	struct settlement *s = (struct settlement *)op;
	const struct notify_deps *deps = &s->outbox->deps;

	if (r == 0 && s->mail != NULL)
		deps->ops->mail(deps->ops_arg, s->account, s->mail->service, s->mail->next);
	(void)spool_message_free(s->mail);
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
		transfer_free(t);
		return;
	}
	t->settled = true;
	*s = (struct settlement){
	    .op = {.write = settlement_write, .done = settlement_done, .must = true},
	    .outbox = o,
	    .transfer = t,
	    .next = next,
	    .mail = mail,
	    .account = account};
	commit_add(o->deps.commit, &s->op);
}

/* It did not get through: later, or never. `wait`: seconds at least. */
static void
put_off(struct outbox *o, struct transfer *t, int64_t wait, const char *why)
{
	int64_t now = now_of(o), delay = RETRY_FIRST;
	bool given_up = now - t->event_at > GIVE_UP;

	for (unsigned i = 0; i < t->tries && delay < RETRY_MAX; i++)
		delay *= 2;
	if (delay > RETRY_MAX)
		delay = RETRY_MAX;
	if (wait > delay)
		delay = wait > GIVE_UP ? GIVE_UP : wait;
	log_line(given_up ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
	    given_up ? "An event could not be delivered for three days, and is given up."
		     : "An event cannot be delivered yet; it is tried again.",
	    LOG_PAIRS({LOG_SERVICE, t->receiver}, {LOG_ERROR, why}));
	settle(o, t, given_up ? 0 : now + schedule_jitter(delay, clock_random()), NULL, NULL);
}

/* ---- answers of other roles ---- */

/* The transfer that an answer is about; NULL: none. */
static struct transfer *
find_answered(const struct outbox *o, const struct message *m, bool command)
{
	uint64_t id = message_u64(m, F_ID, 0);
	struct transfer *t;

	LIST_FOREACH (t, &o->transfers, entry)
		if (t->id == id && !t->settled &&
		    (strcmp(t->receiver, command_receiver) == 0) == command)
			return t;
	return NULL;
}

/* post is needed as long as something is on its way to a webhook. */
static void
count_webhooks(const struct outbox *o, int by)
{
	o->deps.ops->use_post(o->deps.ops_arg, by);
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
		put_off(o, t, 0, fault == NULL ? text : fault);
		return;
	}
	if (status != 0)
		log_line(LOG_LEVEL_WARNING, "The command that notifies people failed.",
		    LOG_PAIRS({LOG_SERVICE, t->receiver}, {LOG_ERROR, text}));
	settle(o, t, 0, NULL, NULL);
}

void
outbox_webhook_done(struct outbox *o, const struct message *m)
{
	struct transfer *t = find_answered(o, m, false);
	uint64_t status = message_u64(m, F_HTTP_STATUS, 0);
	const char *fault = message_str(m, F_FAULT);
	char text[64];

	if (t == NULL)
		return;
	count_webhooks(o, -1);
	(void)snprintf(text, sizeof(text), "it answered with HTTP status %u", (unsigned)status);
	if (fault == NULL && status >= 200 && status < 300)
		settle(o, t, 0, NULL, NULL);
	else
		put_off(
		    o, t, (int64_t)message_u64(m, F_RETRY_AFTER, 0), fault == NULL ? text : fault);
}

/* Ends transfers that get no answer any more: all webhooks, or what began before a time. */
static void
end_unanswered(struct outbox *o, bool webhooks, int64_t begun_before, const char *why)
{
	struct transfer *next;

	for (struct transfer *t = LIST_FIRST(&o->transfers); t != NULL; t = next) {
		next = LIST_NEXT(t, entry);
		if (t->settled || (webhooks && !is_webhook(t->receiver)) ||
		    t->begun >= begun_before)
			continue;
		if (is_webhook(t->receiver))
			count_webhooks(o, -1);
		put_off(o, t, 0, why);
	}
}

void
outbox_post_peer(struct outbox *o, bool up)
{
	if (!up)
		end_unanswered(o, true, INT64_MAX, "the network role ended meanwhile");
	outbox_look(o);
}

/* ---- the receivers ---- */

static bool
is_wanted(const struct outbox *o, const char *kind)
{
	const struct conf_strings *kinds = &o->settings->notify.events;

	for (size_t i = 0; i < kinds->count; i++)
		if (strcmp(kinds->items[i], kind) == 0)
			return true;
	return kinds->count == 0;
}

typedef int each_receiver(void *arg, const char *receiver);

/* Calls `each` for every receiver that is configured, until it returns other than 0, which is returned. */
static int
for_each_receiver(const struct outbox *o, each_receiver *each, void *arg)
{
	const struct settings_notify *n = &o->settings->notify;
	char receiver[RECEIVER_MAX];
	int r = n->has_command ? each(arg, command_receiver) : 0;

	if (r == 0 && n->mail_to.count > 0)
		r = each(arg, mail_receiver);
	for (size_t i = 0; i < n->webhooks.count && r == 0; i++) {
		(void)snprintf(
		    receiver, sizeof(receiver), "%s%s", webhook_prefix, n->webhooks.items[i]);
		r = each(arg, receiver);
	}
	return r;
}

static int
is_same_receiver(void *arg, const char *receiver)
{
	return strcmp(arg, receiver) == 0;
}

static bool
is_configured(const struct outbox *o, char *receiver)
{
	return for_each_receiver(o, is_same_receiver, receiver) != 0;
}

struct addition {
	const struct outbox *outbox;
	const struct spool_event *event;
	const char *receiver;
	int64_t at;
};

static int
add_receiver_of_event(void *arg, const char *receiver)
{
	const struct addition *x = arg;

	return spool_add_outbox(x->outbox->deps.spool, x->event->id, receiver, x->at);
}

int
outbox_add(struct outbox *o, const struct spool_event *e)
{
	struct addition x = {.outbox = o, .event = e, .at = e->at};

	return o->settings != NULL && is_wanted(o, e->kind)
		   ? for_each_receiver(o, add_receiver_of_event, &x)
		   : 0;
}

/* ---- receivers that are new get what stands ---- */

static int
add_standing(void *arg, const char *about, const struct spool_event *e)
{
	const struct addition *x = arg;
	const struct outbox *o = x->outbox;

	/* the spool also remembers what was said of accounts that are not configured now */
	if (!o->stands(o->notify, about) || !is_wanted(o, e->kind))
		return 0;
	return spool_add_outbox(o->deps.spool, e->id, x->receiver, x->at);
}

static int
note_receiver(void *arg, const char *receiver)
{
	struct outbox *o = arg;
	struct addition x = {.outbox = o, .receiver = receiver, .at = now_of(o)};
	int r = spool_add_receiver(o->deps.spool, receiver);

	return r > 0 ? spool_each_standing(o->deps.spool, add_standing, &x) : r;
}

struct gone_receiver {
	const struct outbox *outbox;
	char *receiver; /* owned */
};

static int
find_gone(void *arg, const char *receiver)
{
	struct gone_receiver *g = arg;

	g->receiver = strdup(receiver);
	if (g->receiver == NULL)
		return -ENOMEM;
	if (!is_configured(g->outbox, g->receiver))
		return 1;
	free(TAKE_PTR(g->receiver));
	return 0;
}

static int
receivers_write(struct spool *spool, struct commit_op *op)
{
	struct outbox *o = op->arg;
	struct gone_receiver g = {.outbox = o};
	int r = o->settings == NULL ? 0 : for_each_receiver(o, note_receiver, o), found = 1;

	while (r == 0 && found > 0 && o->settings != NULL) {
		found = spool_each_receiver(spool, find_gone, &g);
		r = found <= 0 ? found : spool_delete_receiver(spool, g.receiver);
		free(TAKE_PTR(g.receiver));
	}
	return r;
}

static void
receivers_done(struct commit_op *op, int r)
{
	if (r < 0)
		log_warning("The spool does not take who is notified (%s): a receiver "
			    "that is new does not get what began before.",
		    strerror(-r));
	else
		outbox_look(op->arg);
	free(op);
}

/* ---- the start of a transfer ---- */

static struct transfer *
transfer_new(struct outbox *o, const struct spool_outbox *what)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	*t = (struct transfer){
	    .id = strcmp(what->receiver, command_receiver) == 0 ? what->event.id : ++o->last_id,
	    .event = what->event.id,
	    .event_at = what->event.at,
	    .begun = now_of(o),
	    .tries = what->tries};
	(void)snprintf(t->receiver, sizeof(t->receiver), "%s", what->receiver);
	LIST_INSERT_HEAD(&o->transfers, t, entry);
	return t;
}

static void
start_command(struct outbox *o, const struct spool_outbox *what)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	struct message *m;

	if (event_json(&what->event, o->settings->hostname, &json) < 0 ||
	    transfer_new(o, what) == NULL)
		return;
	m = message_new(M_NOTIFY_RUN);
	message_put_u64(m, F_ID, what->event.id);
	message_put_str(m, F_KIND, what->event.kind);
	message_put_bytes(m, F_BODY, json.data, json.len);
	message_put_str(m, F_ACCOUNT, what->event.account);
	message_put_str(m, F_TEXT, what->event.text);
	message_put_str(m, F_NEXT, what->event.next);
	(void)channel_send(role_main_channel(o->deps.role), m, -1);
}

static void
start_webhook(struct outbox *o, const struct spool_outbox *what)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	struct channel *post = role_peer(o->deps.role, ROLE_POST);
	struct transfer *t;
	struct message *m;

	if (post == NULL) {
		role_need(o->deps.role, ROLE_POST); /* outbox_post_peer goes on */
		return;
	}
	t = event_json(&what->event, o->settings->hostname, &json) < 0 ? NULL
								       : transfer_new(o, what);
	if (t == NULL)
		return;
	count_webhooks(o, 1);
	m = message_new(M_WEBHOOK);
	message_put_u64(m, F_ID, t->id);
	message_put_str(m, F_NAME, what->receiver + strlen(webhook_prefix));
	message_put_bytes(m, F_BODY, json.data, json.len);
	(void)channel_send(post, m, -1);
}

/* The first account that works and is not the one that the event is about; NULL: none. */
static struct queue_account *
mail_account(const struct outbox *o, const char *about)
{
	const struct conf_strings *names = &o->settings->notify.mail_accounts;

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
	const struct conf_strings *to = &o->settings->notify.mail_to;
	struct spool_message *m = calloc(1, sizeof(*m));
	struct own_message own = {.account = a->name,
	    .service = event_service,
	    .uid = getuid(),
	    .sender = a->conf.mailbox,
	    .to = to->items,
	    .to_count = to->count,
	    .subject = "What an administrator should know",
	    .now_us = clock_now_us(o->deps.clock),
	    .lifetime = o->settings->lifetime};

	if (m == NULL || event_mail(e, o->settings->hostname, a->conf.mailbox, to->items, to->count,
			     &text, &id) < 0)
		return spool_message_free(m);
	own.id = buf_str(&id);
	return own_message_make(o->deps.spool, o->deps.commit, &own, &text, m) < 0
		   ? spool_message_free(m)
		   : m;
}

static void
start_mail(struct outbox *o, const struct spool_outbox *what)
{
	struct queue_account *a = mail_account(o, what->event.account);
	struct spool_message *m = a == NULL ? NULL : make_mail(o, a, &what->event);
	struct transfer *t = transfer_new(o, what);

	if (t == NULL)
		(void)spool_message_free(m);
	else if (m == NULL)
		put_off(o, t, 0,
		    a == NULL ? "none of mail-accounts works, or only the one it is about"
			      : "memory ran out");
	else
		settle(o, t, 0, m, a);
}

/* ---- looking ---- */

/* What is found in the spool: its texts are copied, since what is done with it writes into the spool. */
struct outbox_find {
	struct spool_outbox outbox;
	char *receiver, *kind, *account, *text, *next; /* owned, or NULL */
};

struct finds {
	const struct outbox *outbox;
	int64_t next; /* when something is due */
	struct outbox_find list[STARTS_MAX];
	size_t count;
};

/* Does the receiver get an event before this one? So each receiver keeps their order. */
static bool
is_taken(const struct finds *l, const char *receiver)
{
	const struct transfer *t;

	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->list[i].receiver, receiver) == 0)
			return true;
	LIST_FOREACH (t, &l->outbox->transfers, entry)
		if (strcmp(t->receiver, receiver) == 0)
			return true;
	return false;
}

static char *
copy_text(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

static void
found_clear(struct outbox_find *f)
{
	free(f->receiver);
	free(f->kind);
	free(f->account);
	free(f->text);
	free(f->next);
}

/* The first of each receiver that is due. */
static int
consider(void *arg, const struct spool_outbox *what)
{
	struct finds *l = arg;
	struct outbox_find f = {.outbox = *what, .receiver = copy_text(what->receiver)};

	if (f.receiver == NULL)
		return -ENOMEM;
	if (is_taken(l, f.receiver)) {
		free(f.receiver);
		return 0;
	}
	if (what->next > now_of(l->outbox) && is_configured(l->outbox, f.receiver)) {
		if (what->next < l->next)
			l->next = what->next;
		free(f.receiver);
		return 0;
	}
	if (l->count == STARTS_MAX) {
		free(f.receiver);
		return 1;
	}
	f.kind = copy_text(what->event.kind);
	f.account = copy_text(what->event.account);
	f.text = copy_text(what->event.text);
	f.next = copy_text(what->event.next);
	f.outbox.receiver = f.receiver;
	f.outbox.event.kind = f.kind;
	f.outbox.event.account = f.account;
	f.outbox.event.text = f.text;
	f.outbox.event.next = f.next;
	l->list[l->count++] = f;
	return f.kind == NULL ? -ENOMEM : 0;
}

static void
start(struct outbox *o, const struct outbox_find *f)
{
	const struct spool_outbox *what = &f->outbox;
	struct transfer *t;

	if (!is_configured(o, f->receiver)) {
		t = transfer_new(o, what); /* it is struck out */
		if (t != NULL)
			settle(o, t, 0, NULL, NULL);
	} else if (is_webhook(f->receiver)) {
		start_webhook(o, what);
	} else if (strcmp(f->receiver, mail_receiver) == 0) {
		start_mail(o, what);
	} else {
		start_command(o, what);
	}
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;
	struct finds *l = o->settings == NULL || o->stopping ? NULL : calloc(1, sizeof(*l));
	int64_t now = now_of(o);
	struct timeval t = {0};

	if (l == NULL)
		return;
	/* One whose answer is lost (a packet that did not fit) must not close its receiver for ever. */
	end_unanswered(o, false, now - ANSWER_LONGEST, "no answer came");
	*l = (struct finds){
	    .outbox = o, .next = LIST_EMPTY(&o->transfers) ? INT64_MAX : now + ANSWER_LONGEST};
	if (spool_each_outbox(o->deps.spool, consider, l) < 0)
		l->next = now + RETRY_FIRST;
	for (size_t i = 0; i < l->count; i++) {
		if (l->list[i].kind != NULL)
			start(o, &l->list[i]);
		found_clear(&l->list[i]);
	}
	if (l->count > 0 && l->next > now + ANSWER_LONGEST)
		l->next = now + ANSWER_LONGEST;
	if (l->next != INT64_MAX) {
		t.tv_sec = l->next <= now ? 1 : (time_t)(l->next - now);
		(void)evtimer_add(o->timer, &t);
	}
	free(l);
}

void
outbox_look(struct outbox *o)
{
	const struct timeval now = {0};

	if (o->settings != NULL && !o->stopping)
		(void)evtimer_add(o->timer, &now);
}

void
outbox_configure(struct outbox *o, const struct queue_settings *s)
{
	struct commit_op *op = calloc(1, sizeof(*op));

	o->settings = s;
	outbox_look(o);
	if (op == NULL)
		return;
	*op = (struct commit_op){.write = receivers_write, .done = receivers_done, .arg = o};
	commit_add(o->deps.commit, op);
}

void
outbox_stop(struct outbox *o)
{
	o->stopping = true;
}

struct outbox *
outbox_new(const struct notify_deps *deps, outbox_stands *stands, void *notify)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->deps = *deps;
	o->stands = stands;
	o->notify = notify;
	LIST_INIT(&o->transfers);
	o->timer = evtimer_new(deps->base, on_look, o);
	if (o->timer == NULL) {
		free(o);
		return NULL;
	}
	return o;
}
