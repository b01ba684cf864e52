/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notify.c: see notify.h.
 *
 * One look goes over all accounts, compares what is the case with what people were notified of, and
 * gathers what is due. It is made shortly after something changed and when the next of them becomes
 * due, not by the clock. An account whose credential the keeper has not spoken of yet (right after a
 * start) is passed over: it would look sound.
 */
#include "broker/queue/notify/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "broker/queue/notify/event.h"
#include "broker/queue/notify/outbox.h"
#include "broker/queue/accounts/verdict.h"

enum {
	LOOK_SOON_MS = 200,
	LOOK_LATEST = 3600, /* seconds */
	DAY = 24 * 3600,
	HOUR_MS = 3600 * 1000,
	HAPPENINGS_PER_HOUR = 20,
	TEXT_MAX = 4096,
	LISTENERS_MAX = 1000,
	NAMED_MAX = 10,        /* accounts named in one event */
	SPARE_EVENTS = 1000,   /* of messages, over the limit until they are removed */
	NEVER_NOTIFIED = 1000, /* a level above all */
};

/* Numbers of the database: for good. */
enum class {
	CLASS_STATE = 0,       /* the account waits for a person */
	CLASS_CLIENT = 1,      /* the client secret ends soon */
	CLASS_CERTIFICATE = 2, /* the client's certificate, or a listener's */
	CLASS_CONSENT = 3,     /* somebody has to sign in again soon */
	CLASS_FAILED = 4,      /* mail that can be neither delivered nor returned */
	CLASS_MAIL_HELD = 5,   /* mail that is held for a person */
	CLASS_SPACE = 6,       /* of the host: the disk is full */
	CLASS_COUNT
};

/* What is remembered of one class of a subject. Zeroed: nothing is the case. */
struct notification {
	char *kind;       /* of the event that was or will be made; NULL: none */
	int64_t since;    /* when it began to be so */
	int64_t notified; /* last; 0: not yet */
	int64_t good;     /* since when it is so no more, and not yet for long enough; 0: it is */
	unsigned level;   /* of an end: days left at the last event */
};

/* A certificate that a listener shows, once the role that ends TLS has spoken of it. */
struct listener_certificate {
	SLIST_ENTRY(listener_certificate) entry;
	char *name;
	char *record; /* its name in the spool: "listener NAME", which no account is called */
	int64_t expires, lifetime;
	struct notification notified[CLASS_COUNT];
};

struct notify {
	struct notify_deps deps;
	const struct queue_settings *settings; /* NULL: none yet */
	bool stopping;
	struct event *timer;
	struct outbox *outbox;
	struct message_events messages;
	uint64_t
	    most_when_full; /* events of messages; on a full disk they are no more than they were */
	struct rate_limit happened[NOTIFY_HAPPENINGS];
	SLIST_HEAD(, listener_certificate) listeners;
	size_t listener_count;
};

/* What the records of listeners begin with in the spool. */
static const char listener_record[] = "listener ";
/* What is remembered of this host is in the spool under this name, which no account has. */
static const char host_record[] = "this host";

static const char *const state_kinds[SCHEDULE_STATE_COUNT] = {
    [SCHEDULE_REFUSED] = "refused",
    [SCHEDULE_NEEDS_AUTHORIZATION] = "needs-authorization",
    [SCHEDULE_CLIENT_ERROR] = "client-error",
    [SCHEDULE_CONFIGURATION] = "configuration",
};

/* Whom an event is about. Borrowed. */
struct subject {
	const char *name; /* in the spool */
	struct notification *notified;
	bool configured, is_account;
};

/* An event that is to be made. Texts are owned; `kind` is constant. */
struct due {
	struct subject about;
	enum class class;
	const char *kind;
	char *text, *next;
	unsigned level;
	bool end;
};

struct dues {
	struct due *items;
	size_t count, room;
	bool failed;
	int64_t at; /* when to look again */
};

static int64_t
now_of(const struct notify *n)
{
	return clock_now(n->deps.clock);
}

/* ---- what is the case ---- */

/* kind NULL: nothing. */
struct finding {
	const char *kind;
	unsigned level;
	struct buf text, next;
};

#define FINDING_INIT                                                   \
	{                                                              \
		.text = BUF_INIT(TEXT_MAX), .next = BUF_INIT(TEXT_MAX) \
	}

static void
finding_clear(struct finding *f)
{
	buf_free(&f->text);
	buf_free(&f->next);
}

static void
find_state(const struct queue_account *a, struct finding *f)
{
	enum schedule_state state = schedule_account_state(&a->schedule);
	struct diagnosis d;

	if (!a->at_fault || state_kinds[state] == NULL)
		return;
	f->kind = state_kinds[state];
	(void)verdict_on_account(a, &d);
	(void)buf_append_str(&f->text, d.text);
	(void)buf_append_str(&f->next, d.next);
}

/* The nearest of 30, 7, 1 and 0 days that is not less than what is left; of a credential that never
 * lives much longer than that, nothing. -1: far away. */
static int
days_left(int64_t until, int64_t now, int64_t lifetime)
{
	static const int days[] = {0, 1, 7, 30};

	for (size_t i = 0; until > 0 && i < ARRAY_SIZE(days); i++)
		if (until - now <= (int64_t)days[i] * DAY &&
		    (lifetime == 0 || (int64_t)days[i] * DAY * 4 <= lifetime))
			return days[i];
	return -1;
}

static void
say_end(struct finding *f, const char *what, int64_t until, int64_t now)
{
	int64_t left = until - now;

	if (left <= 0)
		(void)buf_printf(&f->text, "%s has ended.", what);
	else if (left < 2 * DAY)
		(void)buf_printf(
		    &f->text, "%s ends in %lld hours.", what, (long long)((left + 3599) / 3600));
	else
		(void)buf_printf(&f->text, "%s ends in %lld days.", what, (long long)(left / DAY));
}

static void
find_end(const struct notify *n, const struct queue_account *a, enum class class, struct finding *f)
{
	static const struct {
		const char *kind, *what, *next;
	} ends[CLASS_COUNT] = {
	    [CLASS_CLIENT] = {"client-secret-expires", "The client secret",
		"Make a new one at the provider and {store}; set client-secret-expires and run "
		"`frank reload`."},
	    [CLASS_CERTIFICATE] = {"certificate-expires", "The client's certificate",
		"Register a new certificate at the provider, and put it in place of the old."},
	    [CLASS_CONSENT] = {"consent-lapses", "What the provider was allowed at the sign-in",
		"Sign in again before that: {renew}."},
	};
	int64_t now = now_of(n), lifetime = class == CLASS_CONSENT ? a->consent_lifetime : 0;
	int64_t until = class == CLASS_CLIENT        ? a->conf.client_expires
			: class == CLASS_CERTIFICATE ? a->certificate_expires
						     : a->consent_lapses;
	int days = days_left(until, now, lifetime);
	char step[512];

	if (days < 0)
		return;
	f->kind = ends[class].kind;
	f->level = (unsigned)days;
	say_end(f, ends[class].what, until, now);
	verdict_step(a, ends[class].next, step, sizeof(step));
	(void)buf_append_str(&f->next, step);
}

static void
find_mail(
    const struct notify *n, const struct queue_account *a, enum class class, struct finding *f)
{
	enum spool_state state = class == CLASS_FAILED ? SPOOL_FAILED : SPOOL_HELD;

	/* known by what happened, so that only then the spool is looked into; but after a start by that
	 * alone */
	if (a->notified[class].kind == NULL && a->mail_looked_at)
		return;
	if (spool_has_state(n->deps.spool, a->name, state, event_service) <= 0)
		return;
	f->kind = class == CLASS_FAILED ? "mail-failed" : "mail-held";
	(void)buf_append_str(&f->text,
	    class == CLASS_FAILED
		? "Mail of this account can be neither delivered nor returned to its sender."
		: "Mail of this account is held for a person.");
	(void)buf_append_str(&f->next, "See it, then retry or delete it: frank queue");
}

/* ---- what is due ---- */

/* Takes the texts of the finding. */
static void
dues_add(struct dues *d, const struct subject *about, enum class class, struct finding *f, bool end)
{
	struct due *one;

	if (d->count == d->room) {
		size_t room = d->room == 0 ? 16 : d->room * 2;
		struct due *more = reallocarray(d->items, room, sizeof(*more));

		if (more == NULL) {
			d->failed = true;
			return;
		}
		d->items = more;
		d->room = room;
	}
	one = &d->items[d->count++];
	*one = (struct due){.about = *about,
	    .class = class,
	    .kind = f->kind,
	    .level = f->level,
	    .end = end,
	    .text = buf_take(&f->text),
	    .next = buf_take(&f->next)};
	if (one->text == NULL || one->next == NULL)
		d->failed = true;
}

static void
dues_free(struct dues *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->items[i].text);
		free(d->items[i].next);
	}
	free(d->items);
}

static void
forget(struct notification *n)
{
	free(n->kind);
	*n = (struct notification){0};
}

static void
sooner(struct dues *d, int64_t when)
{
	if (when < d->at)
		d->at = when;
}

/* It is the case: an event is due now, or later. */
static void
weigh_present(struct notify *n, const struct subject *about, enum class class, struct finding *f,
    struct dues *dues)
{
	const struct conf_notify *s = &n->settings->conf->notify;
	struct notification *x = &about->notified[class];
	int64_t now = now_of(n);

	if (x->kind == NULL || strcmp(x->kind, f->kind) != 0) {
		int64_t notified = x->notified;

		forget(x);
		*x = (struct notification){.kind = strdup(f->kind),
		    .since = now,
		    .notified = notified,
		    .level = NEVER_NOTIFIED};
	}
	x->good = 0;
	/* in a future that a clock was wrong about */
	if (x->notified > now)
		x->notified = now;
	if (x->notified == 0 || x->level > f->level) {
		if (now < x->since + s->after) {
			sooner(dues, x->since + s->after);
			return;
		}
	} else if (now < x->notified + s->repeat) {
		sooner(dues, x->notified + s->repeat);
		return;
	}
	dues_add(dues, about, class, f, false);
	sooner(dues, now + s->repeat);
}

/* It is the case no more. */
static void
weigh_past(struct notify *n, const struct subject *about, enum class class, struct dues *dues)
{
	struct notification *x = &about->notified[class];
	struct finding f = FINDING_INIT;
	int64_t now = now_of(n), after = n->settings->conf->notify.after;

	if (x->kind == NULL)
		return;
	if (about->configured && x->notified != 0) {
		/* what comes and goes makes one event a day, not one each time */
		if (x->good == 0)
			x->good = now;
		if (now < x->good + after) {
			sooner(dues, x->good + after);
			return;
		}
		f.kind = "recovered";
		(void)buf_printf(&f.text, "%s (was: %s).",
		    class == CLASS_STATE ? "The account works again" : "No longer so", x->kind);
		dues_add(dues, about, class, &f, true);
		finding_clear(&f);
	}
	/* of what is not configured any more nobody asks */
	forget(x);
}

/* Weighs the finding, and clears it. */
static void
weigh(struct notify *n, const struct subject *about, enum class class, struct finding *f,
    struct dues *dues)
{
	if (f->kind != NULL && about->configured)
		weigh_present(n, about, class, f, dues);
	else
		weigh_past(n, about, class, dues);
	finding_clear(f);
}

static void
load(void *arg, const struct spool_condition *s)
{
	struct notification *notified = arg;

	if (s->class < CLASS_COUNT) /* others are of a later release */
		notified[s->class] = (struct notification){.kind = strdup(s->kind),
		    .since = s->since,
		    .notified = s->notified,
		    .level = s->level};
}

/* What is remembered of the account, read from the spool the first time. False: no memory. */
static bool
remember(struct notify *n, struct queue_account *a)
{
	if (a->notified != NULL)
		return true;
	a->notified = calloc(CLASS_COUNT, sizeof(*a->notified));
	if (a->notified != NULL)
		(void)spool_each_condition(n->deps.spool, a->name, load, a->notified);
	return a->notified != NULL;
}

static void
look_at_account(struct notify *n, struct queue_account *a, struct dues *dues)
{
	struct subject about = {.name = a->name, .configured = a->configured, .is_account = true};

	if (!remember(n, a))
		return;
	about.notified = a->notified;
	for (enum class class = 0; class < CLASS_COUNT; class ++) {
		struct finding f = FINDING_INIT;
		bool by_keeper = class == CLASS_STATE
				     ? a->configured
				     : class == CLASS_CERTIFICATE || class == CLASS_CONSENT;

		if (class == CLASS_SPACE || (by_keeper && !a->keeper_spoke))
			continue;
		if (class == CLASS_STATE)
			find_state(a, &f);
		else if (class == CLASS_FAILED || class == CLASS_MAIL_HELD)
			find_mail(n, a, class, &f);
		else
			find_end(n, a, class, &f);
		weigh(n, &about, class, &f, dues);
	}
	a->mail_looked_at = true;
	/* what is still far away comes nearer */
	if (a->conf.client_expires > 0 || a->certificate_expires > 0 || a->consent_lapses > 0)
		sooner(dues, now_of(n) + LOOK_LATEST);
}

/* The certificate that a listener shows: an end like those of accounts. */
static void
look_at_listener(struct notify *n, struct listener_certificate *l, struct dues *dues)
{
	const struct conf_listener *conf = settings_find_listener(n->settings, l->name);
	const struct subject about = {.name = l->record,
	    .notified = l->notified,
	    .configured = conf != NULL && conf->tls != CONF_TLS_NONE};
	struct finding f = FINDING_INIT;
	CLEANUP_BUF struct buf what = BUF_INIT(TEXT_MAX);
	int days = days_left(l->expires, now_of(n), l->lifetime);

	if (days >= 0) {
		(void)buf_printf(&what, "The certificate of the listener %s", l->name);
		f.kind = "certificate-expires";
		f.level = (unsigned)days;
		say_end(&f, buf_str(&what), l->expires, now_of(n));
		(void)buf_append_str(
		    &f.next, "Put a new one in place of the old, then: frank reload");
	}
	weigh(n, &about, CLASS_CERTIFICATE, &f, dues);
}

/* ---- on record ---- */

/* An event on its way to the disk, with what is remembered from then on. */
struct event_op {
	struct commit_op op;
	struct notify *notify;
	struct spool_event event;
	char *account, *text, *next; /* owned, of the event */
	struct note {
		char *name; /* of the subject; owned; NULL: memory ran out, it is not remembered */
		struct spool_condition condition;
		bool end;
	} * notes;
	size_t count;
};

static void
event_op_free(struct event_op *x)
{
	for (size_t i = 0; i < x->count; i++)
		free(x->notes[i].name);
	free(x->notes);
	free(x->account);
	free(x->text);
	free(x->next);
	free(x);
}

static int
event_op_write(struct spool *spool, struct commit_op *op)
{
	struct event_op *x = (struct event_op *)op;
	int r = spool_publish_event(spool, clock_now_us(x->notify->deps.clock), &x->event);

	for (size_t i = 0; i < x->count && r == 0; i++) {
		const struct note *note = &x->notes[i];

		if (note->name == NULL)
			continue;
		r = note->end ? spool_delete_condition(spool, note->name, note->condition.class)
			      : spool_save_condition(spool, note->name, &note->condition);
	}
	return r;
}

static void
event_op_done(struct commit_op *op, int r)
{
	struct event_op *x = (struct event_op *)op;

	if (r == 0)
		outbox_look(x->notify->outbox);
	event_op_free(x);
}

/* An event, with room for notes. `account` and `next` may be NULL. NULL: no memory. */
static struct event_op *
event_op_new(struct notify *n, const char *kind, const char *account, const char *text,
    const char *next, size_t notes)
{
	struct event_op *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	*x = (struct event_op){
	    .op = {.write = event_op_write, .done = event_op_done, .must = true},
	    .notify = n,
	    .account = account == NULL ? NULL : strdup(account),
	    .text = strdup(text),
	    .next = next == NULL || *next == '\0' ? NULL : strdup(next),
	    .notes = calloc(notes + 1, sizeof(*x->notes)),
	};
	if (x->text == NULL || x->notes == NULL) {
		event_op_free(x);
		return NULL;
	}
	x->event = (struct spool_event){
	    .at = now_of(n), .kind = kind, .account = x->account, .text = x->text, .next = x->next};
	return x;
}

static void
add_note(struct event_op *x, const char *name, bool end, const struct spool_condition *condition)
{
	x->notes[x->count++] =
	    (struct note){.name = strdup(name), .end = end, .condition = *condition};
}

/* To the log, and to the disk. */
static void
event_op_queue(struct event_op *x)
{
	const struct spool_event *e = &x->event;
	CLEANUP_BUF struct buf text = BUF_INIT(2 * TEXT_MAX);

	(void)buf_printf(
	    &text, "%s%s%s", e->text, e->next == NULL ? "" : " ", e->next == NULL ? "" : e->next);
	log_line(strcmp(e->kind, "recovered") == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
	    buf_str(&text), LOG_PAIRS({LOG_EVENT, e->kind}, {LOG_ACCOUNT, e->account}));
	commit_add(x->notify->deps.commit, &x->op);
}

/* One event for `count` dues of which the same is to be said. */
static void
notify_of(struct notify *n, const struct due *first, size_t count)
{
	CLEANUP_BUF struct buf text = BUF_INIT(2 * TEXT_MAX);
	struct event_op *x;

	(void)buf_append_str(&text, first->text);
	if (count > 1)
		(void)buf_printf(&text, " (%zu accounts: ", count);
	for (size_t i = 0; count > 1 && i < count && i < NAMED_MAX; i++)
		(void)buf_printf(&text, "%s%s", i == 0 ? "" : ", ", first[i].about.name);
	if (count > 1)
		(void)buf_append_str(&text, count > NAMED_MAX ? ", and others)" : ")");
	x = event_op_new(n, first->kind,
	    count == 1 && first->about.is_account ? first->about.name : NULL, buf_str(&text),
	    first->next, count);
	if (x == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		struct notification *known = &first[i].about.notified[first[i].class];

		if (!first[i].end) {
			known->notified = x->event.at;
			known->level = first[i].level;
		}
		add_note(x, first[i].about.name, first[i].end,
		    &(struct spool_condition){.class = first[i].class,
			.kind = first[i].kind,
			.since = known->since,
			.notified = x->event.at,
			.level = first[i].level});
	}
	event_op_queue(x);
}

void
notify_happened(struct notify *n, enum notify_happening what, const char *kind, uint64_t id,
    const char *text, const char *next)
{
	struct rate_limit *limit = &n->happened[what];
	uint64_t now = clock_ms();
	struct event_op *x;

	if (rate_limit_wait(limit, HAPPENINGS_PER_HOUR, HOUR_MS, now) > 0)
		return;
	rate_limit_spend(limit, HOUR_MS, (int64_t)now, 1);
	x = event_op_new(n, kind, NULL, text, next, 0);
	if (x == NULL)
		return;
	x->event.message = id;
	event_op_queue(x);
}

void
notify_space(struct notify *n, bool full, const char *text, const char *next)
{
	struct event_op *x = event_op_new(n, full ? "disk-full" : "recovered", NULL, text, next, 1);

	n->most_when_full = full ? spool_message_events(n->deps.spool) : UINT64_MAX;
	if (x == NULL)
		return;
	add_note(x, host_record, !full,
	    &(struct spool_condition){.class = CLASS_SPACE,
		.kind = "disk-full",
		.since = x->event.at,
		.notified = x->event.at});
	event_op_queue(x);
}

static void
see_space(void *arg, const struct spool_condition *s)
{
	bool *full = arg;

	*full = *full || s->class == CLASS_SPACE;
}

bool
notify_space_was_full(struct notify *n)
{
	bool full = false;

	(void)spool_each_condition(n->deps.spool, host_record, see_space, &full);
	if (full)
		n->most_when_full = spool_message_events(n->deps.spool);
	return full;
}

static int
compare(const void *a, const void *b)
{
	const struct due *x = a, *y = b;
	int r = strcmp(x->kind, y->kind);

	if (r == 0)
		r = strcmp(x->text, y->text);
	if (r == 0)
		r = strcmp(x->about.name, y->about.name);
	return r;
}

static void
notify_of_all(struct notify *n, struct dues *dues)
{
	if (dues->failed || dues->count == 0)
		return;
	qsort(dues->items, dues->count, sizeof(*dues->items), compare);
	for (size_t i = 0, same; i < dues->count; i += same) {
		const struct due *first = &dues->items[i];

		for (same = 1;
		     i + same < dues->count && strcmp(first[same].kind, first->kind) == 0 &&
		     strcmp(first[same].text, first->text) == 0;
		     same++)
			continue;
		notify_of(n, first, same);
	}
}

/* ---- looking ---- */

static void
arm(struct notify *n, uint64_t ms)
{
	const struct timeval t = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	(void)evtimer_add(n->timer, &t);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct notify *n = arg;
	int64_t now = now_of(n);
	struct dues dues = {.at = now + LOOK_LATEST};
	struct listener_certificate *l;

	if (n->settings == NULL || n->stopping)
		return;
	for (size_t i = 0; i < n->deps.accounts->count; i++)
		look_at_account(n, n->deps.accounts->list[i], &dues);
	SLIST_FOREACH(l, &n->listeners, entry)
	look_at_listener(n, l, &dues);
	notify_of_all(n, &dues);
	dues_free(&dues);
	arm(n, dues.at <= now ? 1000 : (uint64_t)(dues.at - now) * 1000);
}

void
notify_look(struct notify *n)
{
	if (!n->stopping)
		arm(n, LOOK_SOON_MS);
}

/* Is what a record in the spool is about, an account or a listener, configured? */
static bool
stands(void *arg, const char *about)
{
	const struct notify *n = arg;
	const struct queue_account *a = accounts_find(n->deps.accounts, about);

	if (strncmp(about, listener_record, strlen(listener_record)) == 0)
		return settings_find_listener(n->settings, about + strlen(listener_record)) != NULL;
	return a != NULL && a->configured;
}

static struct listener_certificate *
add_listener(struct notify *n, const char *name)
{
	CLEANUP_BUF struct buf record = BUF_INIT(1024);
	struct listener_certificate *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->name = strdup(name);
	if (buf_printf(&record, "%s%s", listener_record, name) == 0)
		l->record = buf_take(&record);
	if (l->name == NULL || l->record == NULL) {
		free(l->name);
		free(l->record);
		free(l);
		return NULL;
	}
	(void)spool_each_condition(n->deps.spool, l->record, load, l->notified);
	SLIST_INSERT_HEAD(&n->listeners, l, entry);
	n->listener_count++;
	return l;
}

void
notify_listener(struct notify *n, const struct message *m)
{
	const char *name = message_str(m, F_LISTENER);
	struct listener_certificate *l;

	SLIST_FOREACH(l, &n->listeners, entry)
	if (strcmp(l->name, name) == 0)
		break;
	/* also of a listener whose configuration is still on its way here */
	if (l == NULL && n->listener_count < LISTENERS_MAX)
		l = add_listener(n, name);
	if (l == NULL)
		return;
	l->expires = (int64_t)message_u64(m, F_CERTIFICATE_EXPIRES, 0);
	l->lifetime = (int64_t)message_u64(m, F_LIFETIME, 0);
	notify_look(n);
}

int64_t
notify_listener_expires(const struct notify *n, const char *listener)
{
	const struct listener_certificate *l;

	SLIST_FOREACH(l, &n->listeners, entry)
	if (strcmp(l->name, listener) == 0)
		return l->expires;
	return 0;
}

void
notify_mail(struct notify *n, struct queue_account *a, const struct spool_message *m,
    enum spool_state state)
{
	enum class class = state == SPOOL_FAILED ? CLASS_FAILED : CLASS_MAIL_HELD;

	if (strcmp(m->service, event_service) == 0 || !remember(n, a) ||
	    a->notified[class].kind != NULL)
		return;
	a->notified[class] = (struct notification){
	    .kind = strdup(class == CLASS_FAILED ? "mail-failed" : "mail-held"),
	    .since = now_of(n),
	    .level = NEVER_NOTIFIED};
	notify_look(n);
}

void
notify_warning(const struct notify *n, const struct queue_account *a, struct buf *ret)
{
	static const enum class ends[] = {CLASS_CLIENT, CLASS_CERTIFICATE, CLASS_CONSENT};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct finding f = FINDING_INIT;

		find_end(n, a, ends[i], &f);
		if (f.kind != NULL)
			(void)buf_printf(ret, "%s%s %s", ret->len == 0 ? "" : " ", buf_str(&f.text),
			    buf_str(&f.next));
		finding_clear(&f);
	}
}

/* ---- events of messages ---- */

struct message_events *
notify_messages(struct notify *n)
{
	return &n->messages;
}

/* How many events of messages may be kept now. */
static uint64_t
most_messages(const struct notify *n)
{
	uint64_t most = n->settings->conf->notify.events_max;

	return most < n->most_when_full ? most : n->most_when_full;
}

void
notify_committed(struct notify *n)
{
	uint64_t most;

	if (!n->messages.written || n->settings == NULL)
		return;
	n->messages.written = false;
	outbox_look_soon(n->outbox);
	most = most_messages(n);
	if (spool_message_events(n->deps.spool) >
	    most + (most == n->most_when_full ? 0 : SPARE_EVENTS))
		outbox_trim(n->outbox, most);
}

void
notify_sweep(struct notify *n)
{
	if (n->settings != NULL)
		outbox_trim(n->outbox, most_messages(n));
}

/* A receiver lost events. */
static void
dropped(void *arg, const char *receiver, uint64_t count)
{
	CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX);

	(void)buf_printf(&text,
	    "Events are lost to the %s: it takes none, and there are more than are kept, or older "
	    "ones. The oldest are dropped.",
	    receiver);
	notify_happened(arg, NOTIFY_DROPPED, "events-dropped", 0, buf_str(&text),
	    "See what the receiver answers: frank events test. notify's events-max and "
	    "keep-events say how many are kept");
}

int
notify_replay(struct notify *n, uint64_t since, const char *webhook)
{
	return outbox_replay(n->outbox, since, webhook);
}

int
notify_test(struct notify *n, const char *webhook, notify_tested *done, void *arg)
{
	return outbox_test(n->outbox, webhook, done, arg);
}

void
notify_test_forget(struct notify *n, void *arg)
{
	outbox_test_forget(n->outbox, arg);
}

/* ---- the part ---- */

void
notify_command_done(struct notify *n, const struct message *m)
{
	outbox_command_done(n->outbox, m);
}

void
notify_webhook_done(struct notify *n, const struct message *m)
{
	outbox_webhook_done(n->outbox, m);
}

void
notify_post_peer(struct notify *n, bool up)
{
	outbox_post_peer(n->outbox, up);
}

void
notify_configure(struct notify *n, const struct queue_settings *s)
{
	n->settings = n->messages.settings = s;
	notify_look(n);
	outbox_configure(n->outbox, s);
}

void
notify_stop(struct notify *n)
{
	n->stopping = true;
	outbox_stop(n->outbox);
}

static const struct outbox_ops outbox_ops = {stands, dropped};

struct notify *
notify_new(const struct notify_deps *deps)
{
	struct notify *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->deps = *deps;
	n->most_when_full = UINT64_MAX;
	n->messages = (struct message_events){.spool = deps->spool,
	    .commit = deps->commit,
	    .clock = deps->clock,
	    .accounts = deps->accounts};
	SLIST_INIT(&n->listeners);
	n->timer = evtimer_new(deps->base, on_look, n);
	n->outbox = outbox_new(deps, &outbox_ops, n);
	if (n->timer != NULL && n->outbox != NULL)
		return n;
	if (n->timer != NULL)
		event_free(n->timer);
	free(n);
	return NULL;
}
