/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * action.c: what people do to messages and accounts: retry, hold, release, delete, move.
 *
 * Each action is a transaction of its own (on many messages: one for each step of a scan), after
 * what the turn has collected is written: so the spool shows the truth, and what is said to be done
 * is done. A message being sent can be neither held nor deleted: its server may have it already.
 */
#include "broker/queue/control/action.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/queue/inbound/returned.h"
#include "broker/queue/spool/message-log.h"

static const char *const names[] = {
    [ACTION_RETRY] = "retry",
    [ACTION_HOLD] = "hold",
    [ACTION_RELEASE] = "release",
    [ACTION_DELETE] = "delete",
    [ACTION_MOVE] = "move",
};

int
action_by_name(const char *name, enum action *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0) {
			*ret = (enum action)i;
			return 0;
		}
	return -EINVAL;
}

static void
try_now(struct spool_recipient *r, int64_t now)
{
	if (!spool_recipient_waits(r))
		r->state = r->attempts == 0 ? SPOOL_QUEUED : SPOOL_DEFERRED;
	r->next = now;
}

/* Does the action change this recipient? `captured`: also one whose mail is captured. */
static bool
apply(enum action action, bool captured, struct spool_recipient *r, int64_t now)
{
	captured = captured && r->state == SPOOL_CAPTURED;
	switch (action) {
	case ACTION_RETRY:
		if (!spool_recipient_waits(r) && r->state != SPOOL_FAILED)
			return false;
		try_now(r, now);
		return true;
	case ACTION_HOLD:
		if (!spool_recipient_waits(r))
			return false;
		r->state = SPOOL_HELD;
		r->next = SPOOL_NEVER;
		return true;
	case ACTION_RELEASE:
		if (r->state != SPOOL_HELD && r->state != SPOOL_FAILED && !captured)
			return false;
		r->interrupted = 0;
		try_now(r, now);
		return true;
	case ACTION_MOVE:
		if (!spool_recipient_waits(r) && r->state != SPOOL_HELD &&
		    r->state != SPOOL_FAILED && !captured)
			return false;
		try_now(r, now);
		return true;
	default:
		return false;
	}
}

/* May the message's service send through this account? The rule is that of every message: whoever
 * wants another changes the configuration. */
static bool
may_move(
    const struct control_deps *deps, const struct spool_message *m, const struct queue_account *to)
{
	const struct service *v = services_find(deps->services, m->service);

	for (size_t i = 0; v != NULL && i < v->account_count; i++)
		if (v->accounts[i] == to)
			return true;
	return false;
}

/* 0; -ENOENT for no such account; -EACCES; -ENOMEM. */
static int
change_account(const struct control_deps *deps, struct spool_message *m, const char *name)
{
	struct queue_account *to = accounts_find(deps->accounts, name);
	char *copy;

	if (to == NULL || !to->configured)
		return -ENOENT;
	if (!may_move(deps, m, to))
		return -EACCES;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	free(m->account);
	m->account = copy;
	return spool_update_account_of(deps->spool, m);
}

/* After being held, there must be time to try. */
static void
give_time(const struct control_deps *deps, struct spool_message *m, int64_t now)
{
	int64_t left = schedule_after_hold(deps->settings->conf->lifetime);

	if (m->expires < now + left)
		m->expires = now + left;
}

/* Is there an account that what was captured can go by? */
static bool
has_account(const struct control_deps *deps, const struct spool_message *m)
{
	const struct queue_account *a = accounts_find(deps->accounts, m->account);

	return a != NULL && a->configured;
}

static int
change(const struct control_deps *deps, enum action action, bool captured, struct spool_message *m,
    bool *ret_changed)
{
	int64_t now = clock_now(deps->clock);
	int r = 0;

	captured = captured && (m->flags & SPOOL_CAPTURE) != 0;
	if (action == ACTION_RELEASE && captured && !has_account(deps, m))
		return -ENXIO;

	*ret_changed = false;
	for (size_t i = 0; i < m->count && r == 0; i++) {
		struct spool_recipient *p = &m->recipients[i];

		if (apply(action, captured, p, now)) {
			*ret_changed = true;
			r = spool_update_recipient(deps->spool, m->id, i, p);
		}
	}
	m->next = spool_earliest(m);
	if (action == ACTION_RELEASE || action == ACTION_MOVE) {
		give_time(deps, m, now);
		if (captured)
			m->flags &= ~(unsigned)SPOOL_CAPTURE;
	}
	if (r == 0 && *ret_changed)
		r = spool_update_message(deps->spool, m);
	if (r == 0 && *ret_changed && action == ACTION_RELEASE)
		r = message_event_released(notify_messages(deps->notify), m);
	return r;
}

/* Of an administrator each; others may ask for the same again and again. */
static void
log_action(const struct control_deps *deps, const struct spool_message *m, enum action action,
    const struct action_scope *scope)
{
	static const char sentence[] = "A person acts on a message.";
	char uid[24], who[LOG_LIMIT_WHO_MAX];
	struct message_log log;
	const struct log_pair *pairs;

	(void)snprintf(uid, sizeof(uid), "%" PRId64, scope->by);
	pairs = message_log_pairs(&log, m, LOG_PAIRS({LOG_UID, uid}, {LOG_OUTCOME, names[action]}));
	if (scope->owner.uid < 0) {
		log_line(LOG_LEVEL_NOTICE, sentence, pairs);
		return;
	}
	mail_owner_name(deps->users, (uint32_t)scope->by, scope->owner.service, who);
	log_limited(deps->log, who, LOG_LEVEL_NOTICE, sentence, pairs);
}

/* A message that an action concerned. */
struct acted {
	struct spool_message message;
	struct spool_message *report; /* made by the action, or NULL; owned */
};

static void
acted_clear(struct acted *x)
{
	spool_message_clear(&x->message);
	x->report = spool_message_free(x->report);
}

/* What was refused is never sent: to try it again is to return it. */
static int
act_on_refused(const struct control_deps *deps, enum action action, struct acted *x)
{
	switch (action) {
	case ACTION_DELETE:
		return spool_delete(deps->spool, x->message.id) < 0 ? -EIO : 1;
	case ACTION_RETRY:
	case ACTION_RELEASE:
		return spool_message_state(&x->message) != SPOOL_FAILED
			   ? 0
			   : returned_again(deps->inbound, &x->message, &x->report);
	default:
		return 0;
	}
}

/* One message, within a transaction: 1 done, 0 nothing to do, -EBUSY being sent, or an error. */
static int
act_on_message(const struct control_deps *deps, enum action action, struct acted *x,
    const struct action_scope *scope)
{
	struct spool_message *m = &x->message;
	bool changed = true;
	int r = 0;

	if ((m->flags & SPOOL_REFUSED) != 0)
		return act_on_refused(deps, action, x);
	for (size_t i = 0; i < m->count; i++)
		if (m->recipients[i].state == SPOOL_SENDING)
			return action == ACTION_RETRY ? 0 : -EBUSY;
	if (action == ACTION_MOVE) {
		if (strcmp(m->account, scope->to) == 0)
			return 0;
		r = change_account(deps, m, scope->to);
	}
	if (r == 0)
		r = action == ACTION_DELETE
			? spool_delete(deps->spool, m->id)
			: change(deps, action, scope->captured || scope->id != 0, m, &changed);
	return r < 0 ? r : changed;
}

/* A person wants it tried: whatever was learned of the account is put to the test. */
static void
wake_account(const struct control_deps *deps, struct queue_account *a)
{
	struct channel *keeper = role_peer(deps->role, ROLE_KEEPER);
	struct message *m;

	schedule_account_retry(&a->schedule, clock_now(deps->clock));
	if (keeper == NULL)
		return;
	m = message_new(M_PROBE);
	message_put_str(m, F_ACCOUNT, a->name);
	(void)channel_send(keeper, m, -1);
}

static void
after_commit(const struct control_deps *deps, enum action action, const struct acted *x,
    const struct action_scope *scope)
{
	bool by_admin = scope->owner.uid < 0;
	const struct spool_message *m = &x->message, *report = x->report;
	struct queue_account *a = accounts_find(deps->accounts, m->account);

	log_action(deps, m, action, scope);
	if (report != NULL)
		delivery_wait(deps->delivery, accounts_find(deps->accounts, report->account),
		    report->service, report->next);
	if ((action == ACTION_DELETE || (m->flags & SPOOL_REFUSED) != 0) &&
	    (m->flags & SPOOL_BODY_FILE) != 0)
		spool_body_remove(deps->spool, m->id);
	if (a == NULL || action == ACTION_DELETE || m->next == SPOOL_NEVER)
		return;
	if (a->configured)
		delivery_wait(deps->delivery, a, m->service, m->next);
	/* Others may hurry their mail, but not a server that refuses the account. */
	if (by_admin && (action == ACTION_RETRY || action == ACTION_RELEASE))
		wake_account(deps, a);
}

static bool
is_of(const struct control_deps *deps, const struct spool_message *m,
    const struct action_scope *scope)
{
	return mail_owner_has(&scope->owner, deps->services, m->uid, m->flags, m->service) &&
	       (scope->account == NULL || strcmp(m->account, scope->account) == 0) &&
	       (scope->service == NULL || strcmp(m->service, scope->service) == 0) &&
	       (!scope->captured || (m->flags & SPOOL_CAPTURE) != 0) &&
	       m->received <= scope->before;
}

/* In one transaction. */
static int
act_on_ids(const struct control_deps *deps, enum action action, const struct action_scope *scope,
    const uint64_t *ids, size_t count, unsigned *ret_done)
{
	struct acted *changed = calloc(count + 1, sizeof(*changed));
	size_t n = 0;
	int r = changed == NULL ? -ENOMEM : spool_begin(deps->spool);
	bool one = scope->id != 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		struct acted *x = &changed[n];
		int e = spool_load(deps->spool, ids[i], false, &x->message);

		if (e == 0)
			e = is_of(deps, &x->message, scope) ? act_on_message(deps, action, x, scope)
							    : (one ? -EPERM : 0);
		if (e == 1)
			n++;
		else
			acted_clear(x);
		if (e < 0 && (one || (e != -EBUSY && e != -EACCES && e != -ENXIO &&
					 (e != -ENOENT || action == ACTION_MOVE))))
			r = e;
	}
	if (r == 0)
		r = spool_commit(deps->spool);
	else
		spool_rollback(deps->spool);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			after_commit(deps, action, &changed[i], scope);
		acted_clear(&changed[i]);
	}
	free(changed);
	*ret_done += r == 0 ? (unsigned)n : 0;
	return r;
}

/* What the turn has collected comes first, so that the spool shows the truth. */
static int
act_on_some(const struct control_deps *deps, enum action action, const struct action_scope *scope,
    const uint64_t *ids, size_t count, unsigned *ret_done)
{
	int r;

	/* What frees space is done also where results cannot be written; what they are about is being
	 * sent, and is not touched. */
	if (!commit_flush(deps->commit) && commit_is_stuck(deps->commit) && action != ACTION_DELETE)
		return -ENOSPC;
	r = act_on_ids(deps, action, scope, ids, count, ret_done);
	if (r == -ENOSPC && spool_make_room(deps->spool))
		r = act_on_ids(deps, action, scope, ids, count, ret_done);
	(void)spool_checkpoint(deps->spool, false);
	delivery_run(deps->delivery);
	return r;
}

int
action_on_message(const struct control_deps *deps, enum action action,
    const struct action_scope *scope, unsigned *ret_done)
{
	*ret_done = 0;
	return act_on_some(deps, action, scope, &scope->id, 1, ret_done);
}

/* ---- on all ---- */

struct action_walk {
	struct scan scan;
	const struct control_deps *deps;
	enum action action;
	struct action_scope scope;
	char *account, *service, *to, *owner; /* what the scope points to */
	action_done *done;
	void *arg;
	uint64_t after;
	unsigned changed;
	/* of the step */
	uint64_t ids[SCAN_MESSAGES];
	size_t count;
};

static int
choose(void *arg, const struct spool_row *g)
{
	struct action_walk *w = arg;

	if (g->open &&
	    mail_owner_has(&w->scope.owner, w->deps->services, g->uid, g->flags, g->service) &&
	    (w->account == NULL || strcmp(g->account, w->account) == 0) &&
	    (w->service == NULL || strcmp(g->service, w->service) == 0) &&
	    (!w->scope.captured || (g->flags & SPOOL_CAPTURE) != 0) &&
	    g->received <= w->scope.before)
		w->ids[w->count++] = g->id;
	return w->count == SCAN_MESSAGES;
}

static bool
step(void *arg)
{
	struct action_walk *w = arg;
	const struct control_deps *deps = w->deps;
	int more, r = 0;

	w->count = 0;
	more = spool_scan(deps->spool, &w->after, SCAN_ROWS, choose, w);
	if (w->count > 0)
		r = act_on_some(deps, w->action, &w->scope, w->ids, w->count, &w->changed);
	if (more == 1 && r == 0)
		return true;
	w->done(w->arg, r < 0 ? r : more, w->changed);
	return false;
}

/* False: no memory. */
static bool
copy_given(char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return from == NULL || *to != NULL;
}

struct action_walk *
action_walk_new(const struct control_deps *deps, enum action action,
    const struct action_scope *scope, action_done *done, void *arg)
{
	struct action_walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->deps = deps;
	w->action = action;
	w->scope = *scope;
	w->done = done;
	w->arg = arg;
	if (!copy_given(&w->account, scope->account) || !copy_given(&w->service, scope->service) ||
	    !copy_given(&w->to, scope->to) || !copy_given(&w->owner, scope->owner.service))
		return action_walk_free(w);
	w->scope.account = w->account;
	w->scope.service = w->service;
	w->scope.to = w->to;
	w->scope.owner.service = w->owner;
	scan_begin(deps->scans, &w->scan, step, w);
	return w;
}

struct action_walk *
action_walk_free(struct action_walk *w)
{
	if (w != NULL) {
		scan_end(&w->scan);
		free(w->account);
		free(w->service);
		free(w->to);
		free(w->owner);
		free(w);
	}
	return NULL;
}

int
action_on_account(const struct control_deps *deps, enum action action, const char *name)
{
	struct queue_account *a = accounts_find(deps->accounts, name);

	if (a == NULL || !a->configured)
		return -ENOENT;
	if (action == ACTION_HOLD || action == ACTION_RELEASE) {
		bool held = action == ACTION_HOLD;

		if (a->schedule.held != held) {
			a->schedule.held = held;
			delivery_account_changed(deps->delivery, a);
			/* What is taken out of the spool next has its new lifetime. */
			(void)commit_flush(deps->commit);
		}
	}
	if (action == ACTION_RETRY || action == ACTION_RELEASE)
		wake_account(deps, a);
	delivery_run(deps->delivery);
	return 0;
}

struct flush {
	LIST_ENTRY(flush) entry;
	struct action_walk *walk;
	struct mail_owner owner;
	char *service; /* what `owner` borrows */
};

static void
flush_free(struct flush *f)
{
	(void)action_walk_free(f->walk);
	free(f->service);
	free(f);
}

static void
on_flushed(void *arg, int r, unsigned changed)
{
	struct flush *f = arg;

	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "The queue cannot be flushed.",
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
	LIST_REMOVE(f, entry);
	flush_free(f);
}

static bool
same_owner(const struct mail_owner *a, const struct mail_owner *b)
{
	return a->uid == b->uid && (a->service == NULL) == (b->service == NULL) &&
	       (a->service == NULL || strcmp(a->service, b->service) == 0);
}

void
action_flush(const struct control_deps *deps, struct flushes *all, const struct mail_owner *owner,
    uint32_t by)
{
	struct action_scope scope = {.owner = *owner, .by = by, .before = SCHEDULE_NEVER};
	struct flush *f;

	/* One that is under way tries what came since as well. */
	LIST_FOREACH (f, all, entry)
		if (same_owner(&f->owner, owner))
			return;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return;
	f->owner = *owner;
	if (copy_given(&f->service, owner->service)) {
		f->owner.service = f->service;
		f->walk = action_walk_new(deps, ACTION_RETRY, &scope, on_flushed, f);
	}
	if (f->walk == NULL) {
		flush_free(f);
		return;
	}
	LIST_INSERT_HEAD(all, f, entry);
}
