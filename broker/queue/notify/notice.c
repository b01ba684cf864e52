/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notice.c: see notice.h.
 *
 * One look goes over all accounts, compares what is so with what was told, and gathers what is due. It is
 * made shortly after something changed and when the next of them becomes due, not by the clock. An
 * account whose credential the keeper has not spoken of yet (right after a start) is passed over: it
 * would look sound.
 */
#include "broker/queue/notify/notice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum {
	LOOK_SOON_MS = 200,
	LOOK_LATEST = 3600, /* seconds */
	DAY = 24 * 3600,
	HOUR_MS = 3600 * 1000,
	TEXT_MAX = 4096,
	LISTENERS_MAX = 1000,
	NAMED_MAX = 10,    /* accounts named in one event */
	NEVER_TOLD = 1000, /* a level above all */
};

/* What the records of listeners begin with in the spool. */
static const char listener_record[] = "listener ";

static const char *const state_kinds[SCHEDULE_STATE_COUNT] = {
    [SCHEDULE_REFUSED] = "refused",
    [SCHEDULE_NEEDS_AUTHORIZATION] = "needs-authorization",
    [SCHEDULE_CLIENT_ERROR] = "client-error",
    [SCHEDULE_CONFIGURATION] = "configuration",
};

/* What is told of this host is in the spool under this name, which no account has. */
static const char host_record[] = "this host";

/* Whom something is told about. Borrowed. */
struct subject {
	const char *name; /* in the spool */
	struct notification *notices;
	bool configured, is_account;
};

static struct subject
subject_of(const struct queue_account *a)
{
	return (struct subject){a->name, a->notified, a->configured, true};
}

/* Something to be told. Texts are owned; `kind` is constant. */
struct due {
	struct subject about;
	enum notice_class class;
	const char *kind;
	char *text, *next;
	unsigned level;
	bool end;
};

struct dues {
	struct due *items;
	size_t count, room;
	bool failed;
};

/* ---- what is so ---- */

/* What is the case now; kind NULL: nothing. */
struct finding {
	const char *kind;
	unsigned level;
	struct buf text, next;
};

static void
find_state(const struct queue_account *a, struct finding *f)
{
	enum schedule_state state = schedule_account_state(&a->schedule);
	struct diagnosis d = {.text = "", .next = ""};

	if (!a->at_fault || state_kinds[state] == NULL)
		return;
	f->kind = state_kinds[state];
	if (state == a->schedule.keeper) {
		(void)buf_append_str(&f->text,
		    a->keeper_text == NULL ? "Its credential cannot be used." : a->keeper_text);
		(void)buf_append_str(&f->next, a->keeper_next == NULL ? "" : a->keeper_next);
		return;
	}
	verdict_on_reply(a, NULL, &a->reply, &d);
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
find_end(const struct queue *q, const struct queue_account *a, enum notice_class class,
    struct finding *f)
{
	static const struct {
		const char *kind, *what, *next;
	} ends[NOTICE_CLASSES] = {
	    [NOTICE_CLIENT] = {"client-secret-expires", "The client secret",
		"Make a new one at the provider and {store}; set client-secret-expires and run "
		"`frank reload`."},
	    [NOTICE_CERTIFICATE] = {"certificate-expires", "The client's certificate",
		"Register a new certificate at the provider, and put it in place of the old."},
	    [NOTICE_CONSENT] = {"consent-lapses", "What the provider was allowed at the sign-in",
		"Sign in again before that: {renew}."},
	};
	int64_t now = clock_now(&q->clock),
		lifetime = class == NOTICE_CONSENT ? a->consent_lifetime : 0;
	int64_t until = class == NOTICE_CLIENT        ? a->conf.client_expires
			: class == NOTICE_CERTIFICATE ? a->certificate_expires
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
    struct queue *q, const struct queue_account *a, enum notice_class class, struct finding *f)
{
	enum spool_state state = class == NOTICE_FAILED ? SPOOL_FAILED : SPOOL_HELD;

	/* known by what happened, so that only then the spool is looked into; but after a start by that
	 * alone */
	if (a->notified[class].kind == NULL && a->mail_looked_at)
		return;
	if (spool_has_state(q->spool, a->name, state, notice_service) <= 0)
		return;
	f->kind = class == NOTICE_FAILED ? "mail-failed" : "mail-held";
	(void)buf_append_str(&f->text,
	    class == NOTICE_FAILED
		? "Mail of this account can be neither delivered nor returned to its sender."
		: "Mail of this account is held for a person.");
	(void)buf_append_str(&f->next, "See it, then retry or delete it: frank queue");
}

/* ---- what is due ---- */

static void
dues_add(struct dues *d, const struct subject *about, enum notice_class class,
    const struct finding *f, bool end)
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
	    .text = strdup(buf_str(&f->text)),
	    .next = strdup(buf_str(&f->next))};
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
sooner(int64_t *at, int64_t when)
{
	if (when < *at)
		*at = when;
}

/* It is so: told now, or later. */
static void
weigh(struct queue *q, const struct subject *about, enum notice_class class,
    const struct finding *f, struct dues *dues, int64_t *at)
{
	const struct settings_notify *s = &q->settings->notify;
	struct notification *n = &about->notices[class];
	int64_t now = clock_now(&q->clock);
	bool other = n->kind != NULL && strcmp(n->kind, f->kind) != 0;

	if (n->kind == NULL || other) {
		int64_t told = n->told;

		forget(n);
		*n = (struct notification){
		    .kind = strdup(f->kind), .since = now, .told = told, .level = NEVER_TOLD};
	}
	n->good = 0;
	/* told in a future that a clock was wrong about */
	if (n->told > now)
		n->told = now;
	if (n->told == 0 || n->level > f->level) {
		if (now < n->since + s->after) {
			sooner(at, n->since + s->after);
			return;
		}
	} else if (now < n->told + s->repeat) {
		sooner(at, n->told + s->repeat);
		return;
	}
	dues_add(dues, about, class, f, false);
	sooner(at, now + s->repeat);
}

/* It is so no more. */
static void
unweigh(struct queue *q, const struct subject *about, enum notice_class class, struct dues *dues,
    int64_t *at)
{
	struct notification *n = &about->notices[class];
	struct finding f = {.kind = "recovered", .text = BUF_INIT(TEXT_MAX), .next = BUF_INIT(1)};

	if (n->kind == NULL)
		return;
	if (!about->configured) {
		forget(n); /* nobody asks for it any more */
		return;
	}
	/* what comes and goes is told of once a day, not each time */
	if (n->told != 0) {
		if (n->good == 0)
			n->good = clock_now(&q->clock);
		if (clock_now(&q->clock) < n->good + q->settings->notify.after) {
			sooner(at, n->good + q->settings->notify.after);
			return;
		}
	}
	if (n->told != 0) {
		(void)buf_printf(&f.text, "%s (was: %s).",
		    class == NOTICE_STATE ? "The account works again" : "No longer so", n->kind);
		dues_add(dues, about, class, &f, true);
	}
	forget(n);
	buf_free(&f.text);
	buf_free(&f.next);
}

static void
look_at(struct queue *q, struct queue_account *a, struct dues *dues, int64_t *at)
{
	const struct subject about = subject_of(a);

	for (int class = 0; class < NOTICE_CLASSES; class ++) {
		struct finding f = {.text = BUF_INIT(TEXT_MAX), .next = BUF_INIT(TEXT_MAX)};

		if (class == NOTICE_STATE) {
			if (a->configured && !a->keeper_spoke)
				continue;
			find_state(a, &f);
		} else if (class == NOTICE_FAILED || class == NOTICE_MAIL_HELD) {
			find_mail(q, a, (enum notice_class) class, &f);
		} else if (class == NOTICE_SPACE) {
			continue;
		} else {
			if (class != NOTICE_CLIENT && !a->keeper_spoke)
				continue;
			find_end(q, a, (enum notice_class) class, &f);
		}
		if (f.kind != NULL && a->configured)
			weigh(q, &about, (enum notice_class) class, &f, dues, at);
		else
			unweigh(q, &about, (enum notice_class) class, dues, at);
		buf_free(&f.text);
		buf_free(&f.next);
	}
	a->mail_looked_at = true;
	/* what is still far away comes nearer */
	if (a->conf.client_expires > 0 || a->certificate_expires > 0 || a->consent_lapses > 0)
		sooner(at, clock_now(&q->clock) + LOOK_LATEST);
}

/* The certificate that a listener shows: an end like those of accounts. */
static void
look_at_listener(struct queue *q, struct notice_listener *l, struct dues *dues, int64_t *at)
{
	const struct settings_listener *conf = settings_find_listener(q->settings, l->listener);
	const struct subject about = {.name = l->record,
	    .notices = l->notices,
	    .configured = conf != NULL && conf->tls != SETTINGS_TLS_NONE};
	struct finding f = {.text = BUF_INIT(TEXT_MAX), .next = BUF_INIT(TEXT_MAX)};
	CLEANUP_BUF struct buf what = BUF_INIT(TEXT_MAX);
	int days = days_left(l->expires, clock_now(&q->clock), l->lifetime);

	if (days >= 0 && about.configured) {
		(void)buf_printf(&what, "The certificate of the listener %s", l->listener);
		f.kind = "certificate-expires";
		f.level = (unsigned)days;
		say_end(&f, buf_str(&what), l->expires, clock_now(&q->clock));
		(void)buf_append_str(
		    &f.next, "Put a new one in place of the old, then: frank reload");
		weigh(q, &about, NOTICE_CERTIFICATE, &f, dues, at);
	} else {
		unweigh(q, &about, NOTICE_CERTIFICATE, dues, at);
	}
	buf_free(&f.text);
	buf_free(&f.next);
}

/* ---- on record ---- */

struct telling {
	struct commit_op op;
	struct spool_event event;
	char *account, *text, *next; /* owned, of the event */
	const char *kind;
	struct noted {
		char *account;
		struct spool_notice notice;
		bool end;
	} * noted;
	size_t count;
};

static void
telling_free(struct telling *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->noted[i].account);
	free(t->noted);
	free(t->account);
	free(t->text);
	free(t->next);
	free(t);
}

static int
telling_write(struct spool *spool, struct commit_op *op)
{
	struct queue *q = op->arg;
	struct telling *t = (struct telling *)op;
	int r = spool_tell(spool, &t->event);

	for (size_t i = 0; i < t->count && r == 0; i++)
		r = t->noted[i].end
			? spool_delete_notice(spool, t->noted[i].account, t->noted[i].notice.class)
			: spool_save_notice(spool, t->noted[i].account, &t->noted[i].notice);
	return r < 0 ? r : outbox_add(q, &t->event);
}

static void
telling_done(struct commit_op *op, int r)
{
	struct queue *q = op->arg;
	struct telling *t = (struct telling *)op;

	if (r == 0)
		outbox_look(q);
	telling_free(t);
}

static void
log_event(const struct spool_event *e)
{
	CLEANUP_BUF struct buf text = BUF_INIT(2 * TEXT_MAX);

	(void)buf_printf(
	    &text, "%s%s%s", e->text, e->next == NULL ? "" : " ", e->next == NULL ? "" : e->next);
	log_line(strcmp(e->kind, "recovered") == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
	    buf_str(&text), LOG_PAIRS({LOG_EVENT, e->kind}, {LOG_ACCOUNT, e->account}));
}

/* The text of an event about several accounts. */
static char *
text_of_many(const struct due *first, size_t count)
{
	CLEANUP_BUF struct buf b = BUF_INIT(2 * TEXT_MAX);

	(void)buf_printf(&b, "%s (%zu accounts: ", first->text, count);
	for (size_t i = 0; i < count && i < NAMED_MAX; i++)
		(void)buf_printf(&b, "%s%s", i == 0 ? "" : ", ", first[i].about.name);
	(void)buf_append_str(&b, count > NAMED_MAX ? ", and others)" : ")");
	return buf_take(&b);
}

/* One event for `count` dues of which the same is to be said. */
static void
tell(struct queue *q, const struct due *first, size_t count)
{
	struct telling *t = calloc(1, sizeof(*t));
	int64_t now = clock_now(&q->clock);

	if (t == NULL)
		return;
	t->op = (struct commit_op){
	    .write = telling_write, .done = telling_done, .arg = q, .must = true};
	t->noted = calloc(count, sizeof(*t->noted));
	t->account = count == 1 && first->about.is_account ? strdup(first->about.name) : NULL;
	t->text = count == 1 ? strdup(first->text) : text_of_many(first, count);
	t->next = *first->next == '\0' ? NULL : strdup(first->next);
	if (t->noted == NULL || t->text == NULL) {
		telling_free(t);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct notification *n = &first[i].about.notices[first[i].class];

		if (!first[i].end) {
			n->told = now;
			n->level = first[i].level;
		}
		t->noted[t->count] = (struct noted){.account = strdup(first[i].about.name),
		    .end = first[i].end,
		    .notice = {.class = first[i].class,
			.kind = first[i].kind,
			.since = n->since,
			.told = now,
			.level = first[i].level}};
		t->count += t->noted[t->count].account != NULL;
	}
	t->event = (struct spool_event){.id = spool_new_id(q->spool, clock_now_us(&q->clock)),
	    .at = now,
	    .kind = first->kind,
	    .account = t->account,
	    .text = t->text,
	    .next = t->next};
	log_event(&t->event);
	commit_add(q->commit, &t->op);
}

/* An event about this host. NULL: no memory. */
static struct telling *
host_telling(struct queue *q, const char *kind, uint64_t id, const char *text, const char *next)
{
	struct telling *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->op = (struct commit_op){
	    .write = telling_write, .done = telling_done, .arg = q, .must = true};
	t->text = strdup(text);
	t->next = next == NULL ? NULL : strdup(next);
	if (t->text == NULL || (next != NULL && t->next == NULL)) {
		telling_free(t);
		return NULL;
	}
	t->event = (struct spool_event){.id = spool_new_id(q->spool, clock_now_us(&q->clock)),
	    .at = clock_now(&q->clock),
	    .kind = kind,
	    .message = id,
	    .text = t->text,
	    .next = t->next};
	return t;
}

void
notices_happened(struct queue *q, enum notice_happening what, const char *kind, uint64_t id,
    const char *text, const char *next)
{
	struct rate_limit *b = &q->happened[what];
	uint64_t now = clock_ms();
	struct telling *t;

	if (rate_limit_wait(b, HAPPENED_PER_HOUR, HOUR_MS, now) > 0)
		return;
	rate_limit_spend(b, HOUR_MS, (int64_t)now, 1);
	t = host_telling(q, kind, id, text, next);
	if (t == NULL)
		return;
	log_event(&t->event);
	commit_add(q->commit, &t->op);
}

void
notices_space(struct queue *q, bool full, const char *text, const char *next)
{
	struct telling *t = host_telling(q, full ? "disk-full" : "recovered", 0, text, next);

	if (t == NULL)
		return;
	t->noted = calloc(1, sizeof(*t->noted));
	if (t->noted != NULL)
		t->noted->account = strdup(host_record);
	if (t->noted == NULL || t->noted->account == NULL) {
		telling_free(t);
		return;
	}
	t->count = 1;
	t->noted->end = !full;
	t->noted->notice = (struct spool_notice){
	    .class = NOTICE_SPACE, .kind = "disk-full", .since = t->event.at, .told = t->event.at};
	log_event(&t->event);
	commit_add(q->commit, &t->op);
}

static void
see_space(void *arg, const struct spool_notice *n)
{
	bool *told = arg;

	*told = *told || n->class == NOTICE_SPACE;
}

bool
notices_space_is_told(struct queue *q)
{
	bool told = false;

	(void)spool_each_notice(q->spool, host_record, see_space, &told);
	return told;
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
tell_all(struct queue *q, struct dues *dues)
{
	if (dues->failed || dues->count == 0)
		return;
	qsort(dues->items, dues->count, sizeof(*dues->items), compare);
	for (size_t i = 0, n; i < dues->count; i += n) {
		const struct due *first = &dues->items[i];

		for (n = 1; i + n < dues->count && strcmp(first[n].kind, first->kind) == 0 &&
			    strcmp(first[n].text, first->text) == 0;
		     n++)
			continue;
		tell(q, first, n);
	}
}

/* ---- looking ---- */

static void
arm(struct queue *q, uint64_t ms)
{
	const struct timeval t = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	(void)evtimer_add(q->notices, &t);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct dues dues = {0};
	int64_t now = clock_now(&q->clock), at = now + LOOK_LATEST;

	if (q->settings == NULL || q->stopping)
		return;
	for (size_t i = 0; i < q->accounts.count; i++)
		look_at(q, q->accounts.list[i], &dues, &at);
	for (struct notice_listener *l = q->shown; l != NULL; l = l->next)
		look_at_listener(q, l, &dues, &at);
	tell_all(q, &dues);
	dues_free(&dues);
	arm(q, at <= now ? 1000 : (uint64_t)(at - now) * 1000);
}

int
notices_init(struct queue *q)
{
	q->notices = evtimer_new(q->base, on_look, q);
	q->happened = calloc(HAPPENED_COUNT, sizeof(*q->happened));
	return q->notices == NULL || q->happened == NULL ? -ENOMEM : 0;
}

void
notices_look(struct queue *q)
{
	if (q->notices != NULL && !q->stopping)
		arm(q, LOOK_SOON_MS);
}

static void
load(void *arg, const struct spool_notice *n)
{
	struct notification *notices = arg;

	if (n->class >= NOTICE_CLASSES)
		return; /* of a later release */
	notices[n->class] = (struct notification){
	    .kind = strdup(n->kind), .since = n->since, .told = n->told, .level = n->level};
}

int
notices_load(struct queue *q, struct queue_account *a)
{
	if (a->notified != NULL)
		return 0;
	a->notified = calloc(NOTICE_CLASSES, sizeof(*a->notified));
	if (a->notified == NULL)
		return -ENOMEM;
	(void)spool_each_notice(q->spool, a->name, load, a->notified);
	return 0;
}

bool
notices_is_configured(struct queue *q, const char *about)
{
	const struct queue_account *a = accounts_find(&q->accounts, about);

	if (strncmp(about, listener_record, strlen(listener_record)) == 0)
		return settings_find_listener(q->settings, about + strlen(listener_record)) != NULL;
	return a != NULL && a->configured;
}

static void
listener_free(struct notice_listener *l)
{
	for (int i = 0; i < NOTICE_CLASSES; i++)
		forget(&l->notices[i]);
	free(l->listener);
	free(l->record);
	free(l);
}

static struct notice_listener *
add_listener(struct queue *q, const char *name)
{
	CLEANUP_BUF struct buf record = BUF_INIT(1024);
	struct notice_listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->listener = strdup(name);
	if (buf_printf(&record, "%s%s", listener_record, name) == 0)
		l->record = buf_take(&record);
	if (l->listener == NULL || l->record == NULL) {
		listener_free(l);
		return NULL;
	}
	(void)spool_each_notice(q->spool, l->record, load, l->notices);
	l->next = q->shown;
	q->shown = l;
	return l;
}

void
notices_listener(struct queue *q, const struct message *m)
{
	const char *name = message_str(m, F_LISTENER);
	struct notice_listener *l = q->shown;
	size_t count = 0;

	for (; l != NULL && strcmp(l->listener, name) != 0; l = l->next)
		count++;
	/* also of a listener whose configuration is still on its way here */
	if (l == NULL && count < LISTENERS_MAX)
		l = add_listener(q, name);
	if (l == NULL)
		return;
	l->expires = (int64_t)message_u64(m, F_CERTIFICATE_EXPIRES, 0);
	l->lifetime = (int64_t)message_u64(m, F_LIFETIME, 0);
	notices_look(q);
}

void
notices_mail(
    struct queue *q, struct queue_account *a, const struct spool_message *m, enum spool_state state)
{
	enum notice_class class = state == SPOOL_FAILED ? NOTICE_FAILED : NOTICE_MAIL_HELD;
	struct notification *n = &a->notified[class];

	if (strcmp(m->service, notice_service) == 0 || n->kind != NULL)
		return;
	*n = (struct notification){
	    .kind = strdup(class == NOTICE_FAILED ? "mail-failed" : "mail-held"),
	    .since = clock_now(&q->clock),
	    .level = NEVER_TOLD};
	notices_look(q);
}

void
notices_warning(const struct queue *q, const struct queue_account *a, struct buf *ret)
{
	static const enum notice_class ends[] = {NOTICE_CLIENT, NOTICE_CERTIFICATE, NOTICE_CONSENT};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct finding f = {.text = BUF_INIT(TEXT_MAX), .next = BUF_INIT(TEXT_MAX)};

		find_end(q, a, ends[i], &f);
		if (f.kind != NULL)
			(void)buf_printf(ret, "%s%s %s", ret->len == 0 ? "" : " ", buf_str(&f.text),
			    buf_str(&f.next));
		buf_free(&f.text);
		buf_free(&f.next);
	}
}
