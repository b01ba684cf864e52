/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * outbox.c: an event goes to people by each way that is configured: the command ("command"), mail through
 * another account ("mail"), webhooks ("webhook NAME"). See notice.h.
 *
 * The ways of an event are written with it, and each is struck out when it was gone: so each gets the event
 * at least once, whatever dies meanwhile, and its id tells repetitions. What does not get through is tried
 * again, later and later, for three days. One event at a time goes by each way; one that waits for another
 * try keeps none waiting.
 *
 * Mail goes through the first of mail-accounts that works and is not the account it is about. It is a
 * report (SPOOL_REPORT), which is never bounced, of a service of which no event is ever made: so nothing
 * that becomes of it can lead to another.
 */
#include "broker/queue/notify/notice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum {
	RETRY_FIRST = 5, /* seconds */
	RETRY_MAX = 3600,
	GIVE_UP = 3 * 24 * 3600,
	WAY_MAX = 96,
	JSON_MAX = 30 * 1024, /* of a packet */
	COMMAND_AGAIN = 75,   /* EX_TEMPFAIL */
	ANSWER_LONGEST = 120, /* seconds; then a way counts as free again */
};

static const char command_way[] = "command", mail_way[] = "mail", webhook_prefix[] = "webhook ";

/* An event on its way: from its start until what became of it is on record. */
struct flight {
	struct flight *next;
	uint64_t id; /* of the message to another role */
	uint64_t event;
	int64_t event_at, begun;
	unsigned tries;
	bool settled; /* what became of it is being written */
	char way[WAY_MAX];
};

static void
flight_free(struct queue *q, struct flight *f)
{
	for (struct flight **p = &q->flights; *p != NULL; p = &(*p)->next)
		if (*p == f) {
			*p = f->next;
			break;
		}
	free(f);
}

/* ---- what became of it ---- */

struct settle {
	struct commit_op op;
	struct flight *flight;
	int64_t next;               /* 0: it is gone */
	struct spool_message *mail; /* to be stored with it, or NULL */
	struct queue_account *account;
};

static int
settle_write(struct spool *spool, struct commit_op *op)
{
	struct settle *s = (struct settle *)op;
	const struct flight *f = s->flight;
	int r = s->mail == NULL ? 0 : spool_insert(spool, s->mail);

	if (r < 0)
		return r;
	return s->next > 0 ? spool_retry_outbox(spool, f->event, f->way, s->next)
			   : spool_delete_outbox(spool, f->event, f->way);
}

static void
settle_done(struct commit_op *op, int r)
{
	struct queue *q = op->arg;
	struct settle *s = (struct settle *)op;

	if (r == 0 && s->mail != NULL)
		dispatch_wait(q, s->account, s->mail->service, s->mail->next);
	(void)spool_message_free(s->mail);
	flight_free(q, s->flight);
	free(s);
	outbox_look(q);
}

/* `mail` is taken. */
static void
settle(struct queue *q, struct flight *f, int64_t next, struct spool_message *mail,
    struct queue_account *account)
{
	struct settle *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)spool_message_free(mail);
		flight_free(q, f);
		return;
	}
	f->settled = true;
	*s = (struct settle){
	    .op = {.write = settle_write, .done = settle_done, .arg = q, .must = true},
	    .flight = f,
	    .next = next,
	    .mail = mail,
	    .account = account};
	commit_add(q->commit, &s->op);
}

static void
log_failure(const char *way, const char *why, bool given_up)
{
	log_line(given_up ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
	    given_up ? "An event could not be told for three days, and is given up."
		     : "An event cannot be told yet; it is tried again.",
	    LOG_PAIRS({LOG_SERVICE, way}, {LOG_ERROR, why}));
}

/* It did not get through: later, or never. `wait`: seconds at least. */
static void
put_off(struct queue *q, struct flight *f, int64_t wait, const char *why)
{
	int64_t now = clock_now(&q->clock), delay = RETRY_FIRST;
	bool given_up = now - f->event_at > GIVE_UP;

	for (unsigned i = 0; i < f->tries && delay < RETRY_MAX; i++)
		delay *= 2;
	if (delay > RETRY_MAX)
		delay = RETRY_MAX;
	if (wait > delay)
		delay = wait > GIVE_UP ? GIVE_UP : wait;
	log_failure(f->way, why, given_up);
	settle(q, f, given_up ? 0 : now + schedule_jitter(delay, clock_random()), NULL, NULL);
}

/* ---- flights ---- */

static struct flight *
flight_by_way(const struct queue *q, const char *way)
{
	for (struct flight *f = q->flights; f != NULL; f = f->next)
		if (strcmp(f->way, way) == 0)
			return f;
	return NULL;
}

/* The one that an answer is about; NULL: none. */
static struct flight *
flight_by_id(const struct queue *q, uint64_t id, bool command)
{
	for (struct flight *f = q->flights; f != NULL; f = f->next)
		if (f->id == id && !f->settled && (strcmp(f->way, command_way) == 0) == command)
			return f;
	return NULL;
}

static struct flight *
flight_new(struct queue *q, const struct spool_outbox *o)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	*f = (struct flight){.next = q->flights,
	    .id = strcmp(o->way, command_way) == 0 ? o->event.id : ++q->last_flight,
	    .event = o->event.id,
	    .event_at = o->event.at,
	    .begun = clock_now(&q->clock),
	    .tries = o->tries};
	(void)snprintf(f->way, sizeof(f->way), "%s", o->way);
	q->flights = f;
	return f;
}

/* post is needed as long as something is on its way to a webhook. */
static void
count_webhooks(struct queue *q, int by)
{
	dispatch_use(q, ROLE_POST, by);
}

void
outbox_command_done(struct queue *q, const struct message *m)
{
	struct flight *f = flight_by_id(q, message_u64(m, F_ID, 0), true);
	const char *fault = message_str(m, F_FAULT);
	uint64_t status = message_u64(m, F_EXIT, COMMAND_AGAIN);
	char text[64];

	if (f == NULL)
		return; /* of a queue before this one */
	(void)snprintf(text, sizeof(text), "it ended with status %u", (unsigned)status);
	if (fault != NULL || status == COMMAND_AGAIN) {
		put_off(q, f, 0, fault == NULL ? text : fault);
	} else {
		if (status != 0)
			log_line(LOG_LEVEL_WARNING, "The command that tells people failed.",
			    LOG_PAIRS({LOG_SERVICE, f->way}, {LOG_ERROR, text}));
		settle(q, f, 0, NULL, NULL);
	}
}

void
outbox_webhook_done(struct queue *q, const struct message *m)
{
	struct flight *f = flight_by_id(q, message_u64(m, F_ID, 0), false);
	uint64_t status = message_u64(m, F_HTTP_STATUS, 0);
	const char *fault = message_str(m, F_FAULT);
	char text[64];

	if (f == NULL)
		return;
	count_webhooks(q, -1);
	(void)snprintf(text, sizeof(text), "it answered with HTTP status %u", (unsigned)status);
	if (fault == NULL && status >= 200 && status < 300)
		settle(q, f, 0, NULL, NULL);
	else
		put_off(
		    q, f, (int64_t)message_u64(m, F_RETRY_AFTER, 0), fault == NULL ? text : fault);
}

static bool
is_webhook(const char *way)
{
	return strncmp(way, webhook_prefix, strlen(webhook_prefix)) == 0;
}

void
outbox_peer(struct queue *q, enum role_id peer, bool up)
{
	if (peer != ROLE_POST)
		return;
	for (struct flight *f = q->flights, *next; f != NULL && !up; f = next) {
		next = f->next;
		if (f->settled || !is_webhook(f->way))
			continue;
		count_webhooks(q, -1);
		put_off(q, f, 0, "the network role ended meanwhile");
	}
	outbox_look(q);
}

/* ---- the ways ---- */

static bool
is_wanted(const struct queue *q, const char *kind)
{
	const struct policy_strings *kinds = &q->settings->notify.events;

	for (size_t i = 0; i < kinds->count; i++)
		if (strcmp(kinds->items[i], kind) == 0)
			return true;
	return kinds->count == 0;
}

static bool
is_configured(const struct queue *q, const char *way)
{
	const struct settings_notify *n = &q->settings->notify;

	if (strcmp(way, command_way) == 0)
		return n->has_command;
	if (strcmp(way, mail_way) == 0)
		return n->mail_to.count > 0;
	for (size_t i = 0; i < n->webhooks.count; i++)
		if (strcmp(way + strlen(webhook_prefix), n->webhooks.items[i]) == 0)
			return true;
	return false;
}

typedef int each_way(void *arg, const char *way);

/* Calls `each` for every way that is configured, until it returns less than 0. */
static int
for_each_way(const struct queue *q, each_way *each, void *arg)
{
	const struct settings_notify *n = &q->settings->notify;
	char way[WAY_MAX];
	int r = n->has_command ? each(arg, command_way) : 0;

	if (r >= 0 && n->mail_to.count > 0)
		r = each(arg, mail_way);
	for (size_t i = 0; i < n->webhooks.count && r >= 0; i++) {
		(void)snprintf(way, sizeof(way), "%s%s", webhook_prefix, n->webhooks.items[i]);
		r = each(arg, way);
	}
	return r < 0 ? r : 0;
}

struct addition {
	struct queue *q;
	const struct spool_event *event;
	const char *way;
	int64_t at;
};

static int
add_way_of_event(void *arg, const char *way)
{
	const struct addition *x = arg;

	return spool_add_outbox(x->q->spool, x->event->id, way, x->at);
}

int
outbox_add(struct queue *q, const struct spool_event *e)
{
	struct addition x = {.q = q, .event = e, .at = e->at};

	return is_wanted(q, e->kind) ? for_each_way(q, add_way_of_event, &x) : 0;
}

/* ---- ways that are new hear what stands ---- */

static int
add_standing(void *arg, const char *about, const struct spool_event *e)
{
	const struct addition *x = arg;

	/* the spool also remembers what was told of accounts that are not configured now */
	if (!notices_is_configured(x->q, about))
		return 0;
	return is_wanted(x->q, e->kind) ? spool_add_outbox(x->q->spool, e->id, x->way, x->at) : 0;
}

static int
note_way(void *arg, const char *way)
{
	struct queue *q = arg;
	struct addition x = {.q = q, .way = way, .at = clock_now(&q->clock)};
	int r = spool_add_way(q->spool, way);

	return r > 0 ? spool_each_standing(q->spool, add_standing, &x) : r;
}

struct gone {
	const struct queue *q;
	char *way;
};

static int
find_gone(void *arg, const char *way)
{
	struct gone *g = arg;

	if (is_configured(g->q, way))
		return 0;
	g->way = strdup(way);
	return g->way == NULL ? -ENOMEM : 1;
}

static int
ways_write(struct spool *spool, struct commit_op *op)
{
	struct queue *q = op->arg;
	struct gone g = {.q = q};
	int r = for_each_way(q, note_way, q), found = 1;

	while (r == 0 && found > 0) {
		g.way = NULL;
		found = spool_each_way(spool, find_gone, &g);
		r = found <= 0 ? found : spool_delete_way(spool, g.way);
		free(g.way);
	}
	return r;
}

static void
ways_done(struct commit_op *op, int r)
{
	struct queue *q = op->arg;
	if (r < 0)
		log_warning("The spool does not take which ways people are told by (%s): one that "
			    "is new does not hear of what began before.",
		    strerror(-r));
	else
		outbox_look(q);
	free(op);
}

void
outbox_ways_changed(struct queue *q)
{
	struct commit_op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return;
	*op = (struct commit_op){.write = ways_write, .done = ways_done, .arg = q};
	commit_add(q->commit, op);
}

static void
start_command(struct queue *q, const struct spool_outbox *o)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	struct message *m;

	if (notice_json(q, &o->event, &json) < 0 || flight_new(q, o) == NULL)
		return;
	m = message_new(M_NOTIFY_RUN);
	message_put_u64(m, F_ID, o->event.id);
	message_put_str(m, F_KIND, o->event.kind);
	message_put_bytes(m, F_BODY, json.data, json.len);
	message_put_str(m, F_ACCOUNT, o->event.account);
	message_put_str(m, F_TEXT, o->event.text);
	message_put_str(m, F_NEXT, o->event.next);
	(void)channel_send(role_main_channel(q->role), m, -1);
}

static void
start_webhook(struct queue *q, const struct spool_outbox *o)
{
	CLEANUP_BUF struct buf json = BUF_INIT(JSON_MAX);
	struct channel *post = role_peer(q->role, ROLE_POST);
	struct flight *f;
	struct message *m;

	if (post == NULL) {
		role_need(q->role, ROLE_POST); /* outbox_peer goes on */
		return;
	}
	f = notice_json(q, &o->event, &json) < 0 ? NULL : flight_new(q, o);
	if (f == NULL)
		return;
	count_webhooks(q, 1);
	m = message_new(M_WEBHOOK);
	message_put_u64(m, F_ID, f->id);
	message_put_str(m, F_NAME, o->way + strlen(webhook_prefix));
	message_put_bytes(m, F_BODY, json.data, json.len);
	(void)channel_send(post, m, -1);
}

/* The first account that works and is not the one it is about; NULL: none. */
static struct queue_account *
mail_account(struct queue *q, const char *about)
{
	const struct policy_strings *names = &q->settings->notify.mail_accounts;

	for (size_t i = 0; i < names->count; i++) {
		struct queue_account *a = accounts_find(&q->accounts, names->items[i]);

		if (a != NULL && a->configured && *a->conf.mailbox != '\0' &&
		    (about == NULL || strcmp(a->name, about) != 0) &&
		    schedule_account_state(&a->schedule) == SCHEDULE_ACTIVE)
			return a;
	}
	return NULL;
}

static void
start_mail(struct queue *q, const struct spool_outbox *o)
{
	struct queue_account *a = mail_account(q, o->event.account);
	struct spool_message *m = a == NULL ? NULL : notice_mail(q, a, &o->event);
	struct flight *f = flight_new(q, o);

	if (f == NULL)
		(void)spool_message_free(m);
	else if (m == NULL)
		put_off(q, f, 0,
		    a == NULL ? "none of mail-accounts works, or only the one it is about"
			      : "memory ran out");
	else
		settle(q, f, 0, m, a);
}

/* ---- looking ---- */

enum { LOOKS_MAX = 32 };

/* Ways that have an event before this one: they keep their order. */
struct look {
	struct queue *q;
	int64_t next; /* when something is due */
	struct copy {
		struct spool_outbox outbox;
		char *texts[5];
	} found[LOOKS_MAX];
	size_t count;
};

static bool
is_taken(const struct look *l, const char *way)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->found[i].outbox.way, way) == 0)
			return true;
	return flight_by_way(l->q, way) != NULL;
}

static char *
copy_text(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

/* The first of each way that is due. Its texts are copied: what is done with it writes into the spool. */
static int
consider(void *arg, const struct spool_outbox *o)
{
	struct look *l = arg;
	struct copy *c;

	if (is_taken(l, o->way))
		return 0;
	if (o->next > clock_now(&l->q->clock) && is_configured(l->q, o->way)) {
		if (o->next < l->next)
			l->next = o->next;
		return 0;
	}
	if (l->count == LOOKS_MAX)
		return 1;
	c = &l->found[l->count++];
	*c = (struct copy){.outbox = *o,
	    .texts = {copy_text(o->way), copy_text(o->event.kind), copy_text(o->event.account),
		copy_text(o->event.text), copy_text(o->event.next)}};
	c->outbox.way = c->texts[0];
	c->outbox.event.kind = c->texts[1];
	c->outbox.event.account = c->texts[2];
	c->outbox.event.text = c->texts[3];
	c->outbox.event.next = c->texts[4];
	return c->texts[0] == NULL || c->texts[1] == NULL ? -ENOMEM : 0;
}

static void
start(struct queue *q, const struct spool_outbox *o)
{
	struct flight *f;

	if (strcmp(o->way, command_way) == 0 && is_configured(q, o->way)) {
		start_command(q, o);
	} else if (strcmp(o->way, mail_way) == 0 && is_configured(q, o->way)) {
		start_mail(q, o);
	} else if (is_webhook(o->way) && is_configured(q, o->way)) {
		start_webhook(q, o);
	} else {
		f = flight_new(q, o); /* not configured any more */
		if (f != NULL)
			settle(q, f, 0, NULL, NULL);
	}
}

/* One whose answer is lost (a packet that did not fit) must not close its way for ever. */
static void
forget_lost(struct queue *q)
{
	for (struct flight *f = q->flights, *next; f != NULL; f = next) {
		next = f->next;
		if (f->settled || clock_now(&q->clock) - f->begun <= ANSWER_LONGEST)
			continue;
		if (is_webhook(f->way))
			count_webhooks(q, -1);
		put_off(q, f, 0, "no answer came");
	}
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct look *l = calloc(1, sizeof(*l));
	int64_t now = clock_now(&q->clock);
	struct timeval t = {0};

	if (l == NULL || q->settings == NULL || q->stopping) {
		free(l);
		return;
	}
	forget_lost(q);
	*l = (struct look){.q = q, .next = q->flights == NULL ? INT64_MAX : now + ANSWER_LONGEST};
	if (spool_each_outbox(q->spool, consider, l) < 0)
		l->next = now + RETRY_FIRST;
	for (size_t i = 0; i < l->count; i++) {
		start(q, &l->found[i].outbox);
		for (size_t n = 0; n < ARRAY_SIZE(l->found[i].texts); n++)
			free(l->found[i].texts[n]);
	}
	if (l->count > 0 && l->next > now + ANSWER_LONGEST)
		l->next = now + ANSWER_LONGEST;
	if (l->next != INT64_MAX) {
		t.tv_sec = l->next <= now ? 1 : (time_t)(l->next - now);
		(void)evtimer_add(q->outbox, &t);
	}
	free(l);
}

int
outbox_init(struct queue *q)
{
	q->outbox = evtimer_new(q->base, on_look, q);
	return q->outbox == NULL ? -ENOMEM : 0;
}

void
outbox_look(struct queue *q)
{
	const struct timeval now = {0};

	if (q->outbox != NULL && !q->stopping)
		(void)evtimer_add(q->outbox, &now);
}
