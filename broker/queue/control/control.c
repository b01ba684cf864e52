/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * control.c: see control.h.
 *
 * An answer may be longer than a channel takes at once, and longer than others should wait for, so
 * each request is a cursor over rows that goes on in steps (scan.h): it sends until the channel is
 * full or the step is over, and pauses until there is room. A client has one request at a time; the
 * next is read after its answer.
 */
#include "broker/queue/control/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "broker/ipc/reply.h"
#include "broker/queue/control/action.h"
#include "broker/queue/control/check.h"
#include "broker/queue/control/content.h"
#include "broker/queue/control/explain.h"
#include "broker/queue/control/figures.h"
#include "broker/queue/control/listing.h"
#include "broker/queue/control/problem.h"
#include "broker/queue/control/received.h"
#include "broker/queue/control/row.h"
#include "broker/queue/inbound/password.h"
#include "broker/queue/inbound/usage.h"
#include "broker/queue/spool/message-log.h"
#include "broker/role/places.h"

enum cursor_kind {
	CURSOR_NONE,
	CURSOR_LIST,
	CURSOR_SHOW,
	CURSOR_PROBLEMS,
	CURSOR_ACCOUNTS,
	CURSOR_SERVICES,
	CURSOR_EXPLAIN,
	CURSOR_CAPTURED,
	CURSOR_CONTENT,
	CURSOR_FIGURES,
	/* answered by others */
	CURSOR_ACTION,
	CURSOR_RELOAD,
	CURSOR_CHECK,
	CURSOR_TEST,
	CURSOR_FIND /* `account` is the domain */
};

struct control_client {
	struct place place;
	struct scan scan;
	LIST_ENTRY(control_client) entry;
	struct control *control;
	struct channel *channel;
	struct caller_peer peer;
	unsigned rights; /* enum caller_right */
	/* the request being answered */
	enum cursor_kind kind;
	uint64_t ids[SCAN_MESSAGES]; /* CURSOR_LIST: of this part of it; CURSOR_SHOW: the one */
	uint64_t after; /* CURSOR_LIST, CURSOR_CAPTURED: what was looked at; UINT64_MAX: all */
	size_t count, at;
	size_t row; /* of the message at `at`: 0 itself, then its recipients, then its attempts */
	uint64_t most, sent;
	int64_t before;          /* filter */
	char *account, *service; /* filters */
	bool captured_only;      /* CURSOR_LIST */
	uint64_t since;          /* CURSOR_CAPTURED: those above it were asked for */
	struct event *wait;      /* CURSOR_CAPTURED: until then, more may come; NULL: no longer */
	bool is_waiting;         /* for them: all that there are is sent; */
	bool is_caught_up;       /* it was, and the client knows */
	struct content *content;
	struct action_walk *action;
	uint64_t question; /* CURSOR_RELOAD, CURSOR_FIND */
	struct check *check;
	struct policy_caller who; /* CURSOR_EXPLAIN: the rules are for this one, */
	uint32_t *who_groups;
	char *who_socket, *sender, *recipient; /* and the decision for these */
	size_t matched;
	const struct queue_settings *settings; /* CURSOR_FIGURES: that were in force */
};

struct control {
	struct control_deps deps;
	struct checks *checks;
	struct flushes flushes;
	struct event *readable;
	LIST_HEAD(, control_client) clients;
	struct client_places places;
	int64_t started;    /* seconds: when counting began */
	uint64_t questions; /* ids of reloads and look-ups */
	int fd;
};

static const struct places_config places_config = {
    .most = 64, .kept = 16, .most_each = 8, .idle_seconds = 15 * 60};

/* ---- answers ---- */

static void
forget_explanation(struct control_client *c)
{
	free(c->who_groups);
	free(c->who_socket);
	free(c->sender);
	free(c->recipient);
	c->who_groups = NULL;
	c->who_socket = c->sender = c->recipient = NULL;
}

static void
stop_waiting(struct control_client *c)
{
	if (c->wait != NULL)
		event_free(TAKE_PTR(c->wait));
	c->is_waiting = c->is_caught_up = false;
}

static void
end(struct control_client *c)
{
	if (c->kind == CURSOR_TEST)
		notify_test_forget(c->control->deps.notify, c);
	c->kind = CURSOR_NONE;
	free(c->account);
	free(c->service);
	forget_explanation(c);
	c->account = c->service = NULL;
	c->action = action_walk_free(c->action);
	c->content = content_free(c->content);
	stop_waiting(c);
	c->captured_only = false;
	if (c->check != NULL)
		check_forget(TAKE_PTR(c->check));
	c->count = c->at = c->row = 0;
	c->sent = 0;
	channel_pause(c->channel, false);
}

static int
send_done(struct control_client *c, const char *error, int status, const char *text)
{
	struct message *m = message_new(M_QUEUE_DONE);

	message_put_str(m, F_ERROR, error);
	message_put_u64(m, F_EXIT, (uint64_t)status);
	message_put_u64(m, F_COUNT, c->sent);
	message_put_str(m, F_TEXT, text);
	return channel_send(c->channel, m, -1);
}

static void
fail(struct control_client *c, const char *error, int status)
{
	(void)send_done(c, error, status, NULL);
	end(c);
}

static bool
is_admin(const struct control_client *c)
{
	return (c->rights & CALLER_MAY_ADMINISTER) != 0;
}

static struct mail_owner
owner_of(const struct control_client *c)
{
	return (struct mail_owner){
	    .uid = (c->rights & CALLER_MAY_SEE_ALL) != 0 ? -1 : (int64_t)c->peer.uid};
}

/* ---- rows ---- */

static bool
is_shown(const struct control_client *c, const struct spool_message *m)
{
	struct mail_owner owner = owner_of(c);

	return mail_owner_has(&owner, c->control->deps.services, m->uid, m->flags, m->service) &&
	       (c->account == NULL || strcmp(c->account, m->account) == 0) &&
	       (c->service == NULL || strcmp(c->service, m->service) == 0);
}

struct attempt_cursor {
	struct control_client *client;
	const struct spool_message *message;
	size_t skip, seen;
};

static int
send_attempt(void *arg, const struct spool_attempt *a)
{
	struct attempt_cursor *x = arg;
	int r;

	if (x->seen++ < x->skip)
		return 0;
	r = channel_send(
	    x->client->channel, row_attempt(&x->client->control->deps, x->message, a), -1);
	if (r == 0)
		x->client->row++;
	return r;
}

static int
rows_of_message(struct control_client *c)
{
	const struct control_deps *deps = &c->control->deps;
	struct spool_message m;
	int r = spool_load(deps->spool, c->ids[c->at], false, &m);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (is_shown(c, &m)) {
		if (c->row == 0) {
			r = channel_send(c->channel, row_message(&m), -1);
			c->row += r == 0;
		}
		while (r == 0 && c->row <= m.count) {
			r = channel_send(
			    c->channel, row_recipient(deps, &m, &m.recipients[c->row - 1]), -1);
			c->row += r == 0;
		}
		if (r == 0 && c->kind == CURSOR_SHOW) {
			struct attempt_cursor x = {c, &m, c->row - 1 - m.count, 0};

			r = spool_each_attempt(deps->spool, m.id, send_attempt, &x);
		}
		c->sent += r == 0;
	}
	spool_message_clear(&m);
	return r;
}

static bool
sees_account(const struct control_client *c, const struct queue_account *a)
{
	const struct control_deps *deps = &c->control->deps;
	struct policy_caller who = {c->peer.uid, c->peer.groups, c->peer.group_count, NULL};
	size_t i;

	if (is_admin(c))
		return true;
	i = policy_match(deps->services->policies, deps->services->count, &who);
	for (size_t k = 0; i < deps->services->count && k < deps->services->list[i]->account_count;
	     k++)
		if (deps->services->list[i]->accounts[k] == a)
			return true;
	return false;
}

static int
row_of_status(struct control_client *c)
{
	const struct control_deps *deps = &c->control->deps;
	int r = 0;

	if (c->kind == CURSOR_PROBLEMS) {
		struct message *m = problem_row(deps, c->at);

		if (m == NULL)
			c->count = c->at + 1; /* that was the last one */
		else
			r = channel_send(c->channel, m, -1);
	} else if (c->kind == CURSOR_ACCOUNTS) {
		const struct queue_account *a = deps->accounts->list[c->at];

		if (a->configured && sees_account(c, a))
			r = channel_send(c->channel, row_account(deps, a), -1);
	} else if (is_admin(c)) {
		r = channel_send(
		    c->channel, explain_service(deps, deps->services->list[c->at]), -1);
	}
	return r;
}

static int
row_of_explanation(struct control_client *c)
{
	const struct control_deps *deps = &c->control->deps;
	struct message *m;

	if (c->at < deps->services->count && c->at != c->matched && !is_admin(c))
		return 0;
	if (c->at < deps->services->count)
		m = explain_rule(deps, c->at, c->matched, &c->who);
	else
		m = explain_decision(deps,
		    c->matched < deps->services->count ? deps->services->list[c->matched] : NULL,
		    c->who.uid, c->sender, c->recipient);
	return channel_send(c->channel, m, -1);
}

static int
row_of_figures(struct control_client *c)
{
	const struct control *k = c->control;
	struct message *m;
	int r;

	/* the places of rows are those of the configuration */
	if (k->deps.settings != c->settings)
		return -ESTALE;
	r = figures_row(&k->deps, c->at, k->started, &m);
	return m == NULL ? r : channel_send(c->channel, m, -1);
}

/* ---- cursors ---- */

static int
choose(void *arg, const struct spool_row *g)
{
	struct control_client *c = arg;

	struct mail_owner owner = owner_of(c);

	if (g->open && (!c->captured_only || (g->flags & SPOOL_CAPTURE) != 0) &&
	    mail_owner_has(&owner, c->control->deps.services, g->uid, g->flags, g->service) &&
	    (c->account == NULL || strcmp(c->account, g->account) == 0) &&
	    (c->service == NULL || strcmp(c->service, g->service) == 0) && g->received <= c->before)
		c->ids[c->count++] = g->id;
	return c->count == SCAN_MESSAGES;
}

/* The next part of what the cursor goes over: 1, 0 when it is through, or negative errno. */
static int
next_part(struct control_client *c)
{
	int r;

	c->at = c->count = 0;
	switch (c->kind) {
	case CURSOR_LIST:
		if (c->after == UINT64_MAX)
			return 0;
		r = spool_scan(c->control->deps.spool, &c->after, SCAN_ROWS, choose, c);
		if (r == 0)
			c->after = UINT64_MAX;
		return r < 0 ? r : 1;
	case CURSOR_CAPTURED:
		r = spool_captured(c->control->deps.spool, c->after, c->ids, SCAN_MESSAGES);
		if (r <= 0)
			return r;
		c->count = (size_t)r;
		c->after = c->ids[c->count - 1];
		return 1;
	case CURSOR_PROBLEMS:
		c->kind = CURSOR_ACCOUNTS;
		c->count = c->control->deps.accounts->count;
		return 1;
	case CURSOR_ACCOUNTS:
		c->kind = CURSOR_SERVICES;
		c->count = c->control->deps.services->count;
		return 1;
	default:
		return 0;
	}
}

static int
send_mark(struct control_client *c)
{
	const struct control_deps *deps = &c->control->deps;
	struct message *m = message_new(M_CAPTURED_MARK);
	uint64_t removed = 0;

	message_put_u64(m, F_ID, spool_new_id(deps->spool, clock_now_us(deps->clock)));
	if (spool_captured_removed(deps->spool, &removed) == 0 && removed > 0)
		message_put_u64(m, F_REMOVED, removed);
	return channel_send(c->channel, m, -1);
}

/* All that were there are sent: what is captured from now on is waited for. */
static void
wait_for_more(struct control_client *c)
{
	int r = c->is_caught_up ? 0 : send_mark(c);

	if (r == -EAGAIN)
		return; /* on_writable goes on */
	c->is_waiting = c->is_caught_up = true;
	channel_pause(c->channel, false); /* so that its end is seen */
}

static void
finish(struct control_client *c)
{
	bool missing = c->kind == CURSOR_SHOW && c->sent == 0;
	int r;

	if (c->wait != NULL && (c->most == 0 || c->sent < c->most)) {
		wait_for_more(c);
		return;
	}
	r = missing ? send_done(c, "There is no such message.", EX_NOINPUT, NULL)
		    : send_done(c, NULL, EX_OK, NULL);

	if (r != -EAGAIN)
		end(c);
}

/* Sends pieces of the content until it is through or the channel is full. */
static bool
content_step(struct control_client *c)
{
	struct message *m = NULL;
	int r = 0;

	for (int i = 0; i < SCAN_MESSAGES; i++) {
		if (channel_is_busy(c->channel))
			return false;
		r = content_piece(c->content, &m);
		if (r <= 0)
			break;
		r = channel_send(c->channel, m, -1);
		if (r < 0)
			break;
		content_advance(c->content);
		r = 1;
	}
	if (r == -EAGAIN)
		return false;
	if (r < 0)
		fail(c, "The spool cannot be read.", EX_IOERR);
	else if (r == 0)
		finish(c);
	return r > 0;
}

static bool
is_cursor(const struct control_client *c)
{
	return c->kind != CURSOR_NONE && c->kind < CURSOR_ACTION;
}

static int
row_of(struct control_client *c)
{
	switch (c->kind) {
	case CURSOR_LIST:
	case CURSOR_SHOW:
	case CURSOR_CAPTURED:
		return rows_of_message(c);
	case CURSOR_EXPLAIN:
		return row_of_explanation(c);
	case CURSOR_FIGURES:
		return row_of_figures(c);
	default:
		return row_of_status(c);
	}
}

/* Sends the rows of one part. */
static bool
step(void *arg)
{
	struct control_client *c = arg;
	int r = 0;

	if (!is_cursor(c))
		return false;
	if (c->kind == CURSOR_CONTENT)
		return content_step(c);
	for (int i = 0; i < SCAN_MESSAGES && c->at < c->count; i++) {
		if (c->most > 0 && c->sent >= c->most)
			break;
		/* there has to stay room for the end of the answer; on_writable goes on */
		if (channel_is_busy(c->channel))
			return false;
		r = row_of(c);
		if (r == -EAGAIN)
			return false; /* on_writable goes on */
		if (r < 0) {
			fail(c,
			    r == -ESTALE ? "The configuration has just changed: try again."
					 : "The spool cannot be read.",
			    r == -ESTALE ? EX_TEMPFAIL : EX_IOERR);
			return false;
		}
		c->at++;
		c->row = 0;
	}
	if (c->at < c->count && (c->most == 0 || c->sent < c->most))
		return true;
	r = c->most > 0 && c->sent >= c->most ? 0 : next_part(c);
	if (r < 0)
		fail(c, "The spool cannot be read.", EX_IOERR);
	else if (r == 0)
		finish(c);
	return r > 0;
}

static void
go_on(struct control_client *c)
{
	if (is_cursor(c))
		scan_begin(c->control->deps.scans, &c->scan, step, c);
}

/* ---- requests ---- */

enum {
	EVENTS_MAX = 200,      /* in one answer */
	WAIT_SECONDS_MAX = 600 /* for captured messages: who wants longer asks again */
};

static const char out_of_memory[] = "Out of memory.";

/* Until when (seconds) messages must have been accepted; SCHEDULE_NEVER: at any time. */
static int64_t
older_than(const struct control_deps *deps, const struct message *m)
{
	uint64_t age = message_u64(m, F_OLDER, 0);

	if (age == 0)
		return SCHEDULE_NEVER;
	return age > INT32_MAX ? 0 : clock_now(deps->clock) - (int64_t)age;
}

static char *
copy_field(const struct message *m, enum field f)
{
	const char *text = message_str(m, f);

	return text == NULL ? NULL : strdup(text);
}

static bool
wants_captured(const struct message *m)
{
	return (message_u64(m, F_FLAGS, 0) & 1) != 0;
}

static void
ask_list(struct control_client *c, const struct message *m)
{
	c->after = 0;
	c->account = copy_field(m, F_ACCOUNT);
	c->service = copy_field(m, F_SERVICE);
	c->most = message_u64(m, F_COUNT, 0);
	c->before = older_than(&c->control->deps, m);
	c->captured_only = wants_captured(m);
	c->kind = CURSOR_LIST;
}

static void
on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *c = arg;
	bool is_waiting = c->is_waiting;

	stop_waiting(c);
	if (is_waiting)
		finish(c);
}

/* False: no memory. */
static bool
wait_for(struct control_client *c, uint64_t seconds)
{
	const struct timeval end = {
	    .tv_sec = (time_t)(seconds < WAIT_SECONDS_MAX ? seconds : WAIT_SECONDS_MAX)};

	if (seconds == 0)
		return true;
	c->wait = evtimer_new(c->control->deps.base, on_wait_over, c);
	return c->wait != NULL && evtimer_add(c->wait, &end) == 0;
}

static void
ask_captured(struct control_client *c, const struct message *m)
{
	c->since = c->after = message_u64(m, F_ID, 0);
	c->service = copy_field(m, F_SERVICE);
	c->most = message_u64(m, F_COUNT, 0);
	c->kind = CURSOR_CAPTURED;
	if (send_mark(c) < 0 || !wait_for(c, message_u64(m, F_WAIT, 0)))
		fail(c, out_of_memory, EX_OSERR);
}

/*
 * May the client read what is in the message, and not only that it is there? What is captured reaches nobody, and
 * whoever tests with it reads it. Other mail is between its sender and its recipients: whoever handed it in has it
 * already, and nothing is hidden from root; but to administer does not mean to read people's mail.
 */
static bool
may_read(const struct control_client *c, const struct spool_message *m)
{
	struct mail_owner self = {.uid = (int64_t)c->peer.uid};

	return ((m->flags & SPOOL_CAPTURE) != 0 && is_shown(c, m)) || c->peer.uid == 0 ||
	       mail_owner_has(&self, c->control->deps.services, m->uid, m->flags, m->service);
}

/* That somebody read what another has written and another gets. */
static void
log_reading(const struct control_client *c, const struct spool_message *m)
{
	char by[24];

	if ((m->flags & SPOOL_CAPTURE) != 0 || m->uid == (int64_t)c->peer.uid)
		return;
	(void)snprintf(by, sizeof(by), "%" PRIu32, c->peer.uid);
	message_log(LOG_LEVEL_NOTICE, "A person reads a message.", m, LOG_PAIRS({LOG_UID, by}));
}

static void
ask_content(struct control_client *c, const struct message *m)
{
	struct spool *spool = c->control->deps.spool;
	struct spool_message known = {0};
	uint64_t id;
	int r;

	if (spool_id_parse(message_str(m, F_QUEUE_ID), &id) < 0) {
		fail(c, "This is no queue id.", EX_USAGE);
		return;
	}
	r = spool_load(spool, id, false, &known);
	if (r == 0 && !is_shown(c, &known))
		r = -ENOENT;
	if (r == 0 && !may_read(c, &known))
		r = -EPERM;
	if (r == 0)
		r = content_open(spool, id, message_u64(m, F_OFFSET, 0), &c->content);
	if (r == 0)
		log_reading(c, &known);
	spool_message_clear(&known);
	c->kind = CURSOR_CONTENT;
	if (r == -EPERM)
		fail(c, "Only who handed this message in, and root, may read it.", EX_NOPERM);
	else if (r == -ENOENT)
		fail(c, "There is no such message, or its content is gone.", EX_NOINPUT);
	else if (r < 0)
		fail(c, "The spool cannot be read.", EX_IOERR);
}

static void
ask_show(struct control_client *c, const struct message *m)
{
	uint64_t id;

	if (spool_id_parse(message_str(m, F_QUEUE_ID), &id) < 0) {
		fail(c, "This is no queue id.", EX_USAGE);
		return;
	}
	c->ids[0] = id;
	c->count = 1;
	c->most = 0;
	c->kind = CURSOR_SHOW;
}

static void
ask_status(struct control_client *c)
{
	const struct control_deps *deps = &c->control->deps;

	if (delivery_count(deps->delivery) < 0) {
		fail(c, "The spool cannot be read.", EX_IOERR);
		return;
	}
	c->count = is_admin(c) ? SIZE_MAX : 0;
	c->most = 0;
	c->kind = CURSOR_PROBLEMS;
}

static void
ask_figures(struct control_client *c)
{
	struct control *k = c->control;

	if (!is_admin(c) &&
	    (k->deps.settings == NULL ||
		!caller_is_member(&c->peer, settings_monitor_group(k->deps.settings)))) {
		fail(c, "Only an administrator or a member of monitor-group sees the metrics.",
		    EX_NOPERM);
		return;
	}
	if (k->deps.settings == NULL || !spool_is_tallied(k->deps.spool)) {
		fail(c, "The spool is still being counted: try again in a moment.", EX_TEMPFAIL);
		return;
	}
	c->settings = k->deps.settings;
	c->count = figures_count(&k->deps);
	c->most = 0;
	c->kind = CURSOR_FIGURES;
}

static int
send_event(void *arg, const struct spool_event *e)
{
	struct control_client *c = arg;
	int r = channel_send(c->channel, row_event(&c->control->deps, e), -1);

	if (r == 0) {
		c->after = e->id;
		c->sent++;
	}
	return r == -EAGAIN ? 1 : r;
}

/* The kinds of a request as spool_event_filter has them. False: no memory. */
static bool
read_kinds(const struct message *m, struct buf *kinds, struct spool_event_filter *filter)
{
	bool messages = false, conditions = false, some = false;
	const char *kind;
	size_t at = 0;

	while (message_next_str(m, F_KIND, &at, &kind)) {
		bool all = strcmp(kind, "all") == 0;

		messages = messages || all || strcmp(kind, "messages") == 0;
		conditions = conditions || all || strcmp(kind, "conditions") == 0;
		some = true;
		(void)buf_printf(kinds, " %s ", kind);
	}
	if (messages || conditions) {
		/* a kind that is named beside such a word is of the other sort, or is in it */
		filter->no_messages = !messages;
		filter->no_accounts = !conditions;
	} else if (some) {
		filter->kinds = buf_str(kinds);
	}
	return !kinds->failed;
}

/* A part of them: whoever wants more asks again, after the last one. */
static void
ask_events(struct control_client *c, const struct message *m)
{
	const struct control_deps *deps = &c->control->deps;
	CLEANUP_BUF struct buf kinds = BUF_INIT(4096);
	struct spool_event_filter filter = {
	    .account = message_str(m, F_ACCOUNT), .service = message_str(m, F_SERVICE)};
	struct message *done;
	int r = 0;

	if (!is_admin(c)) {
		fail(c, "Only an administrator sees the events.", EX_NOPERM);
		return;
	}
	if (deps->settings == NULL || !read_kinds(m, &kinds, &filter)) {
		fail(c, out_of_memory, EX_TEMPFAIL);
		return;
	}
	c->after = message_u64(m, F_ID, 0);
	if (c->after == 0 && message_has(m, F_COUNT))
		r = spool_event_before_last(
		    deps->spool, &filter, message_u64(m, F_COUNT, 0), &c->after);
	if (r == 0)
		r = spool_each_event(deps->spool, &filter, c->after, EVENTS_MAX, send_event, c);
	if (r < 0) {
		fail(c, "The spool cannot be read.", EX_IOERR);
		return;
	}
	done = message_new(M_QUEUE_DONE);
	message_put_u64(done, F_EXIT, EX_OK);
	message_put_u64(done, F_COUNT, c->sent);
	/* what was not sent yet is behind the last; else all up to now was looked at */
	message_put_u64(
	    done, F_ID, r == 1 || c->sent == EVENTS_MAX ? c->after : spool_last_id(deps->spool));
	(void)channel_send(c->channel, done, -1);
	end(c);
}

static int
send_received(void *arg, const struct spool_event *e, bool got)
{
	const struct control_client *c = arg;
	struct message *m = message_new(M_ROW_RECEIVED);

	message_put_str(m, F_KIND, e->kind);
	message_put_str(m, F_STATE, got ? "received" : "waits");
	return channel_send(c->channel, m, -1);
}

static void
ask_received(struct control_client *c, const struct message *m)
{
	uint64_t id;
	int r;

	if (!is_admin(c)) {
		fail(c, "Only an administrator sees the events.", EX_NOPERM);
		return;
	}
	if (spool_id_parse(message_str(m, F_QUEUE_ID), &id) < 0) {
		fail(c, "This is no queue id.", EX_USAGE);
		return;
	}
	r = received_each(&c->control->deps, message_str(m, F_NAME), id, send_received, c);
	if (r == -ENOENT)
		fail(c, "No webhook of this name is configured.", EX_NOINPUT);
	else if (r < 0)
		fail(c, "The spool cannot be read.", EX_IOERR);
	else
		finish(c);
}

static void
replay_events(struct control_client *c, const struct message *m)
{
	const char *webhook = message_str(m, F_NAME);
	char text[96];
	int r;

	if (!is_admin(c)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	r = notify_replay(c->control->deps.notify, message_u64(m, F_ID, 0), webhook);
	if (r == -ENOENT)
		fail(c,
		    webhook == NULL ? "No webhook is configured."
				    : "No webhook of this name is configured.",
		    EX_NOUSER);
	else if (r < 0)
		fail(c, "The spool cannot be written.", EX_IOERR);
	if (r < 0)
		return;
	(void)snprintf(
	    text, sizeof(text), "%d webhook%s: what it takes is sent again.", r, r == 1 ? "" : "s");
	(void)send_done(c, NULL, EX_OK, text);
	end(c);
}

static void
event_tested(void *arg, uint64_t id, unsigned status, const char *fault)
{
	struct control_client *c = arg;
	struct message *m = message_new(M_ROW_TESTED);

	message_put_u64(m, F_ID, id);
	if (status > 0)
		message_put_u64(m, F_HTTP_STATUS, status);
	message_put_str(m, F_FAULT, fault);
	(void)channel_send(c->channel, m, -1);
	(void)send_done(c, NULL, EX_OK, NULL);
	c->kind = CURSOR_NONE;
	end(c);
}

static void
test_events(struct control_client *c, const struct message *m)
{
	int r;

	if (!is_admin(c)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	c->kind = CURSOR_TEST;
	r = notify_test(c->control->deps.notify, message_str(m, F_NAME), event_tested, c);
	if (r == -ENOENT)
		fail(c, "No webhook of this name is configured.", EX_NOUSER);
	else if (r < 0)
		fail(c, out_of_memory, EX_TEMPFAIL);
}

static void
answer_action(struct control_client *c, int r, unsigned done)
{
	char text[64];

	switch (r) {
	case 0:
		c->sent = done;
		(void)snprintf(text, sizeof(text), "%u message%s", done, done == 1 ? "" : "s");
		(void)send_done(c, NULL, EX_OK, text);
		end(c);
		break;
	case -ENOENT:
		fail(c, "There is no such message or account.", EX_NOINPUT);
		break;
	case -EPERM:
		fail(c, "This message is not yours.", EX_NOPERM);
		break;
	case -EACCES:
		fail(c,
		    "The message's service may not send through that account: add the account to "
		    "its accounts first.",
		    EX_NOPERM);
		break;
	case -ENXIO:
		fail(c,
		    "The message was captured without an account to send through: give it one with "
		    "`frank queue move`.",
		    EX_CONFIG);
		break;
	case -EBUSY:
		fail(c, "The message is being sent right now; try again in a moment.", EX_TEMPFAIL);
		break;
	default:
		fail(c, "The spool cannot be written.", EX_IOERR);
		break;
	}
}

static void
on_action_done(void *arg, int r, unsigned changed)
{
	answer_action(arg, r, changed);
}

static void
act(struct control_client *c, const struct message *m)
{
	const struct control_deps *deps = &c->control->deps;
	const char *id = message_str(m, F_QUEUE_ID), *account = message_str(m, F_ACCOUNT);
	bool some = message_has(m, F_SERVICE) || message_has(m, F_OLDER) ||
		    message_has(m, F_TO_ACCOUNT) || wants_captured(m);
	struct action_scope scope = {.account = account,
	    .captured = wants_captured(m),
	    .service = message_str(m, F_SERVICE),
	    .before = older_than(deps, m),
	    .to = message_str(m, F_TO_ACCOUNT),
	    .owner = owner_of(c),
	    .by = c->peer.uid};
	enum action action;
	unsigned done = 0;
	int r = 0;

	if (action_by_name(message_str(m, F_ACTION), &action) < 0) {
		fail(c, "There is no such action.", EX_USAGE);
		return;
	}
	if ((action == ACTION_MOVE) != (scope.to != NULL)) {
		fail(c, "Messages are moved to an account.", EX_USAGE);
		return;
	}
	if (scope.to != NULL && accounts_find(deps->accounts, scope.to) == NULL) {
		fail(c, "There is no account of this name to move it to.", EX_NOINPUT);
		return;
	}
	if (id != NULL && spool_id_parse(id, &scope.id) < 0) {
		fail(c, "This is no queue id.", EX_USAGE);
		return;
	}
	if (!is_admin(c) && (action == ACTION_HOLD || action == ACTION_RELEASE ||
				(account != NULL && id == NULL))) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	/* An account as a whole: its own state, and for retry and delete its messages as well. */
	if (account != NULL && id == NULL && !some && action != ACTION_DELETE)
		r = action_on_account(deps, action, account);
	if (r == 0 && id != NULL) {
		r = action_on_message(deps, action, &scope, &done);
	} else if (r == 0 &&
		   (account == NULL || some || action == ACTION_RETRY || action == ACTION_DELETE)) {
		c->action = action_walk_new(deps, action, &scope, on_action_done, c);
		if (c->action != NULL) {
			c->kind = CURSOR_ACTION;
			return;
		}
		r = -ENOMEM;
	}
	answer_action(c, r, done);
}

/* The groups that an administrator asks about. False: no memory. */
static bool
copy_groups(struct control_client *c, const struct message *m)
{
	uint64_t group;
	size_t count = 0;

	for (size_t at = 0; message_next_u64(m, F_GROUP, &at, &group);)
		count++;
	c->who_groups = calloc(count + 1, sizeof(*c->who_groups));
	if (c->who_groups == NULL)
		return false;
	c->who.groups = c->who_groups;
	for (size_t at = 0; message_next_u64(m, F_GROUP, &at, &group);)
		c->who_groups[c->who.group_count++] = (uint32_t)group;
	return true;
}

/* Who would be answered, and how. Everybody may ask about himself, as the kernel knows him; what
 * other services there are is for administrators. */
static void
ask_explain(struct control_client *c, const struct message *m)
{
	const struct control_deps *deps = &c->control->deps;
	uint32_t uid = (uint32_t)message_u64(m, F_UID, CALLER_UID_OVERFLOW);
	CLEANUP_BUF struct buf sender = BUF_INIT(ADDRESS_MAX);
	bool admin = is_admin(c), good = true;

	if (!admin && (uid != c->peer.uid || message_has(m, F_SOCKET_NAME))) {
		fail(c,
		    "Only administrators may ask about other users, or about callers of a socket.",
		    EX_NOPERM);
		return;
	}
	forget_explanation(c);
	c->who_socket = copy_field(m, F_SOCKET_NAME);
	c->sender = copy_field(m, F_SENDER);
	if (c->sender != NULL && address_read(c->sender, strlen(c->sender), false, &sender) == 0) {
		free(c->sender);
		c->sender = buf_take(&sender);
	}
	c->recipient = copy_field(m, F_RCPT);
	c->who = (struct policy_caller){.uid = uid, .socket = c->who_socket};
	if (admin) {
		good = copy_groups(c, m);
	} else {
		c->who.groups = c->peer.groups;
		c->who.group_count = c->peer.group_count;
	}
	if (!good || c->sender == NULL) {
		fail(c, out_of_memory, EX_OSERR);
		return;
	}
	c->matched = policy_match(deps->services->policies, deps->services->count, &c->who);
	c->kind = CURSOR_EXPLAIN;
	c->at = 0;
	c->count = deps->services->count + 1;
	c->most = 0;
}

static void
log_password(const struct control_client *c, const char *sentence, const char *service)
{
	char by[24];

	(void)snprintf(by, sizeof(by), "%" PRIu32, c->peer.uid);
	log_line(LOG_LEVEL_NOTICE, sentence, LOG_PAIRS({LOG_SERVICE, service}, {LOG_UID, by}));
}

static void
send_password(struct control_client *c, const char *service)
{
	struct message *m = message_new(M_SERVICE_SECRET);
	CLEANUP_SECRET struct secret *password = NULL;
	int64_t before = 0;
	int r = password_make(c->control->deps.commit, c->control->deps.spool, service,
	    clock_now(c->control->deps.clock), &password, &before);

	if (r < 0) {
		(void)message_free(m);
		fail(c, "The password cannot be kept: the spool cannot be written.", EX_IOERR);
		return;
	}
	log_password(c, "A service gets a password.", service);
	message_put_str(m, F_SERVICE, service);
	message_put_secret(m, F_SECRET, password);
	if (before > 0)
		message_put_u64(m, F_PASSWORD_TIME, (uint64_t)before);
	(void)channel_send(c->channel, m, -1);
	(void)send_done(c, NULL, EX_OK, NULL);
	end(c);
}

static void
act_on_password(struct control_client *c, const struct message *m)
{
	const struct control_deps *deps = &c->control->deps;
	const char *service = message_str(m, F_SERVICE), *action = message_str(m, F_ACTION);
	bool revoke = strcmp(action, "revoke") == 0;
	int r;

	if (!is_admin(c)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	/* also of a service that is not configured any more */
	if (!revoke && services_find_login(deps->services, service) == NULL) {
		fail(c, "No service of this name is configured with password = true.", EX_NOUSER);
		return;
	}
	if (!revoke) {
		send_password(c, service);
		return;
	}
	r = password_revoke(deps->commit, deps->spool, service);
	if (r == -ENOENT)
		fail(c, "This service has no password.", EX_NOUSER);
	else if (r < 0)
		fail(c, "The password is still good: the spool cannot be written.", EX_IOERR);
	if (r < 0)
		return;
	log_password(c, "A service's password is revoked.", service);
	(void)send_done(c, NULL, EX_OK, "Its password is good no more.");
	end(c);
}

static void
check_row(void *arg, struct message *m)
{
	(void)channel_send(((struct control_client *)arg)->channel, m, -1);
}

static void
check_ended(void *arg, const char *error, int status)
{
	struct control_client *c = arg;

	c->check = NULL;
	(void)send_done(c, error, status, NULL);
	end(c);
}

static const struct check_ops check_ops = {.row = check_row, .end = check_ended};

static void
begin_check(struct control_client *c, struct check_ask *ask)
{
	const struct control_deps *deps = &c->control->deps;
	const struct caller caller = {
	    .uid = c->peer.uid, .groups = c->peer.groups, .group_count = c->peer.group_count};
	const char *why = NULL;

	if (!is_admin(c)) {
		ask->usage = usage_take(deps->inbound, &caller);
		if (ask->usage == NULL)
			why = out_of_memory;
	}
	if (why == NULL)
		why = check_barred(c->control->checks, ask);
	c->kind = CURSOR_CHECK;
	if (why == NULL && check_new(c->control->checks, ask, &check_ops, c, &c->check) < 0)
		why = out_of_memory;
	if (why == NULL)
		return;
	usage_drop(ask->usage);
	fail(c, why, EX_TEMPFAIL);
}

/* Whoever sends through an account may look whether it works. What lets somebody speak to any server,
 * or past the rules for senders, is for administrators. */
static void
ask_check(struct control_client *c, const struct message *m)
{
	CLEANUP_BUF struct buf to = BUF_INIT(ADDRESS_MAX);
	const char *account = message_str(m, F_ACCOUNT), *tls = message_str(m, F_TLS);
	struct check_ask ask = {
	    .account = account == NULL ? NULL : accounts_find(c->control->deps.accounts, account),
	    .host = message_str(m, F_HOST),
	    .port = (unsigned)message_u64(m, F_PORT, 0),
	    .tls = tls == NULL ? "starttls" : tls,
	    .to = message_str(m, F_RCPT),
	    .selector = message_str(m, F_SELECTOR),
	    .all_senders = is_admin(c),
	    .send = (message_u64(m, F_FLAGS, 0) & CHECK_SEND) != 0,
	};

	if (!is_admin(c) && (account == NULL || ask.send || ask.to != NULL)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	if (account != NULL &&
	    (ask.account == NULL || !ask.account->configured || !sees_account(c, ask.account))) {
		fail(c, "There is no such account.", EX_NOINPUT);
		return;
	}
	if ((account == NULL && (ask.host == NULL || ask.port == 0 || ask.port > 65535)) ||
	    (ask.to != NULL && address_read(ask.to, strlen(ask.to), false, &to) < 0)) {
		fail(c, "This is no server, or no address.", EX_USAGE);
		return;
	}
	if (ask.to != NULL)
		ask.to = to.data;
	begin_check(c, &ask);
}

static void
ask_reload(struct control_client *c)
{
	struct control *k = c->control;
	struct message *m;

	if (!is_admin(c)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	c->question = ++k->questions;
	c->kind = CURSOR_RELOAD;
	m = message_new(M_RELOAD);
	message_put_u64(m, F_ID, c->question);
	if (channel_send(role_main_channel(k->deps.role), m, -1) < 0)
		fail(c, "frankd cannot be asked.", EX_UNAVAILABLE);
}

void
control_reload_result(struct control *k, const struct message *m)
{
	const char *error = message_str(m, F_ERROR);
	uint64_t id = message_u64(m, F_ID, 0);

	struct control_client *c;

	LIST_FOREACH (c, &k->clients, entry) {
		if (c->kind != CURSOR_RELOAD || c->question != id)
			continue;
		if (error != NULL) {
			fail(c, error, EX_CONFIG);
		} else {
			struct message *done = message_new(M_QUEUE_DONE);

			message_put_str(done, F_TEXT, "The new configuration is in force.");
			message_put_str(done, F_WARNING, message_str(m, F_WARNING));
			(void)channel_send(c->channel, done, -1);
			end(c);
		}
		return;
	}
}

/* ---- what a domain says of itself ---- */

static void
put_list(struct message *to, const struct message *from, enum field f)
{
	const char *s;
	size_t at = 0;

	while (message_next_str(from, f, &at, &s))
		message_put_str(to, f, s);
}

static void
answer_find(struct control_client *c, const struct message *m)
{
	struct message *found = message_new(M_FOUND);

	put_list(found, m, F_MX);
	put_list(found, m, F_SRV);
	message_put_str(found, F_BANNER, message_str(m, F_BANNER));
	(void)channel_send(c->channel, found, -1);
	(void)send_done(c, NULL, EX_OK, NULL);
	end(c);
}

/* Puts the question to the send role, which main starts where it is not there. */
static void
ask_send(struct control_client *c)
{
	const struct control_deps *deps = &c->control->deps;
	struct channel *send = role_peer(deps->role, ROLE_SEND);
	struct message *m;

	if (send == NULL) {
		role_need(deps->role, ROLE_SEND);
		return; /* control_send_peer goes on */
	}
	m = message_new(M_LOOKUP);
	message_put_u64(m, F_ID, c->question);
	message_put_str(m, F_HOST, c->account);
	if (channel_send(send, m, -1) < 0)
		fail(c, "The send role cannot be asked.", EX_TEMPFAIL);
}

static bool
is_domain(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 253 && s[0] != '.' && s[0] != '-' &&
	       s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")] ==
		   '\0';
}

static void
find(struct control_client *c, const struct message *m)
{
	const char *domain = message_str(m, F_HOST);

	if (!is_admin(c)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	if (!is_domain(domain)) {
		fail(c, "That is no domain.", EX_USAGE);
		return;
	}
	c->question = ++c->control->questions;
	c->kind = CURSOR_FIND;
	free(c->account);
	c->account = strdup(domain);
	if (c->account == NULL)
		fail(c, "Memory ran out.", EX_TEMPFAIL);
	else
		ask_send(c);
}

void
control_looked_up(struct control *k, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);

	struct control_client *c;

	LIST_FOREACH (c, &k->clients, entry)
		if (c->kind == CURSOR_FIND && c->question == id) {
			answer_find(c, m);
			return;
		}
}

void
control_send_peer(struct control *k, bool up)
{
	checks_peer(k->checks, up);
	for (struct control_client *next, *c = LIST_FIRST(&k->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, entry);
		if (c->kind != CURSOR_FIND)
			continue;
		if (up)
			ask_send(c);
		else
			fail(c, "The send role ended in the middle.", EX_TEMPFAIL);
	}
}

static void
answer(struct control_client *c, const struct message *m)
{
	switch (message_type(m)) {
	case M_QUEUE_LIST:
		ask_list(c, m);
		break;
	case M_QUEUE_SHOW:
		ask_show(c, m);
		break;
	case M_CAPTURED:
		ask_captured(c, m);
		break;
	case M_CONTENT_GET:
		ask_content(c, m);
		break;
	case M_QUEUE_ACT:
		act(c, m);
		break;
	case M_STATUS:
		ask_status(c);
		break;
	case M_METRICS:
		ask_figures(c);
		break;
	case M_SERVICE_EXPLAIN:
		ask_explain(c, m);
		break;
	case M_SERVICE_PASSWORD:
		act_on_password(c, m);
		break;
	case M_EVENTS:
		ask_events(c, m);
		break;
	case M_RECEIVED:
		ask_received(c, m);
		break;
	case M_EVENTS_REPLAY:
		replay_events(c, m);
		break;
	case M_EVENTS_TEST:
		test_events(c, m);
		break;
	case M_FIND_PROVIDER:
		find(c, m);
		break;
	case M_CLIENT_RELOAD:
		ask_reload(c);
		break;
	case M_CHECK:
		ask_check(c, m);
		break;
	default:
		fail(c, "This is not answered here.", EX_PROTOCOL);
		break;
	}
}

/* ---- clients ---- */

static void
client_free(struct control_client *c)
{
	LIST_REMOVE(c, entry);
	if (c->kind == CURSOR_TEST)
		notify_test_forget(c->control->deps.notify, c);
	place_leave(&c->place);
	scan_end(&c->scan);
	(void)action_walk_free(c->action);
	if (c->check != NULL)
		check_forget(c->check);
	(void)content_free(c->content);
	stop_waiting(c);
	free(c->account);
	free(c->service);
	forget_explanation(c);
	free(c->peer.groups);
	(void)channel_free(c->channel);
	free(c);
}

static void
on_message(void *arg, struct channel *channel, const struct message *m, int fd)
{
	struct control_client *c = arg;

	if (fd >= 0)
		(void)close(fd);
	if (c->is_waiting) {
		client_free(c); /* it breaks off */
		return;
	}
	place_touch(&c->place);
	channel_pause(channel, true);
	c->sent = 0;
	if ((c->rights & CALLER_MAY_SEE_OWN) != 0)
		answer(c, m);
	else
		fail(c, "Frank answers nothing to this user.", EX_NOPERM);
	go_on(c);
}

static void
on_closed(void *arg, struct channel *channel)
{
	client_free(arg);
}

static void
on_writable(void *arg, struct channel *channel)
{
	struct control_client *c = arg;

	place_touch(&c->place);
	go_on(c);
}

static const struct channel_ops client_ops = {
    .message = on_message, .closed = on_closed, .writable = on_writable};

static int
take_identity(struct control_client *c, int fd)
{
	int r = caller_peer_of(fd, &c->peer);

	if (r == 0)
		c->rights = caller_rights(
		    CALLER_CONTROL, caller_kind(&c->peer, geteuid(),
					settings_admin_group(c->control->deps.settings)));
	return r;
}

/* An answer of rows waits for nobody but the client. */
static bool
place_is_idle(const struct place *p)
{
	const struct control_client *c = (const struct control_client *)p;

	return c->kind == CURSOR_NONE ||
	       (is_cursor(c) && !c->is_waiting && !scan_is_under_way(&c->scan));
}

static void
place_end(struct place *p)
{
	client_free((struct control_client *)p);
}

static const struct places_ops places_ops = {place_is_idle, place_end};

static void
serve(struct control *k, int fd)
{
	struct control_client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->control = k;
	if (take_identity(c, fd) < 0 ||
	    !place_take(&k->places, &c->place, k->deps.base, c->peer.uid, c->rights)) {
		(void)close(fd);
		free(c->peer.groups);
		free(c);
		return;
	}
	LIST_INSERT_HEAD(&k->clients, c, entry);
	c->channel = channel_new(k->deps.base, fd, ROLE_QUEUE, ROLE_CLIENT, &client_ops, c);
	if (c->channel == NULL)
		client_free(c);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client >= 0)
		serve(arg, client);
}

struct control *
control_new(const struct control_deps *deps)
{
	struct control *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->deps = *deps;
	k->fd = -1;
	k->started = clock_now(deps->clock);
	k->checks = checks_new(&k->deps);
	if (k->checks == NULL) {
		free(k);
		return NULL;
	}
	places_init(&k->places, deps->users, &places_config, &places_ops);
	return k;
}

void
control_configure(struct control *k, const struct queue_settings *s)
{
	k->deps.settings = s;
}

void
control_stop(struct control *k)
{
	k->deps.stopping = true;
}

void
control_check_answer(struct control *k, const struct message *m)
{
	checks_answer(k->checks, m);
}

void
control_captured(struct control *k, uint64_t id)
{
	struct control_client *c;

	LIST_FOREACH (c, &k->clients, entry) {
		if (c->kind != CURSOR_CAPTURED || id <= c->since)
			continue;
		/* One that began earlier may be stored later. */
		if (c->after >= id)
			c->after = id - 1;
		c->is_waiting = false;
		channel_pause(c->channel, true);
		go_on(c);
	}
}

void *
control_list(struct control *k, const struct mail_owner *owner, struct buf *out,
    void (*done)(void *arg, bool good), void *arg)
{
	return listing_new(&k->deps, owner, out, done, arg);
}

void
control_free_list(void *list)
{
	(void)listing_free(list);
}

void
control_flush(struct control *k, const struct mail_owner *owner, uint32_t by)
{
	action_flush(&k->deps, &k->flushes, owner, by);
}

int
control_listen(struct control *k, int fd)
{
	if (k->readable != NULL) {
		(void)close(fd);
		return -EBUSY;
	}
	k->fd = fd;
	(void)evutil_make_socket_nonblocking(fd);
	k->readable = event_new(k->deps.base, fd, EV_READ | EV_PERSIST, on_accept, k);
	return k->readable == NULL || event_add(k->readable, NULL) < 0 ? -ENOMEM : 0;
}
