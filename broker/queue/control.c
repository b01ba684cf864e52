/*
 * control.c: control.sock, where `frank` asks about messages and accounts and acts on them
 * (messages.def, CLIENT to QUEUE).
 *
 * Administrators (uid 0, our own uid, the configured group) see and do everything; others see the
 * mail they handed in and may retry or delete it, and see the accounts that a service of theirs
 * sends through.
 *
 * An answer may be longer than a channel takes at once, and longer than others should wait for, so
 * each request is a cursor over rows that goes on in steps (walk.c): it sends until the channel is
 * full or the step is over, and pauses until there is room. One request at a time per client; the
 * next is read after it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/address.h"
#include "base/log.h"
#include "broker/ipc/reply.h"
#include "broker/queue/action.h"
#include "broker/queue/notice.h"
#include "broker/queue/password.h"

enum { CLIENTS_MAX = 64, CLIENTS_PER_UID = 8, EVENTS_MAX = 200 /* in one answer */ };

enum cursor_kind {
	CURSOR_NONE,
	CURSOR_LIST,
	CURSOR_SHOW,
	CURSOR_ACCOUNTS,
	CURSOR_SERVICES,
	CURSOR_EXPLAIN,
	/* answered by others */
	CURSOR_ACTION,
	CURSOR_RELOAD,
	CURSOR_CHECK,
	CURSOR_FIND /* `account` is the domain */
};

struct client {
	struct walk walk;
	struct client *next;
	struct control *control;
	struct channel *channel;
	uint32_t uid;
	uint32_t *groups;
	size_t group_count;
	bool admin;
	/* the request being answered */
	enum cursor_kind kind;
	uint64_t ids[WALK_MESSAGES]; /* CURSOR_LIST: of this part of it; CURSOR_SHOW: the one */
	uint64_t after;              /* CURSOR_LIST: what was looked at; UINT64_MAX: all */
	size_t count, at;
	size_t row; /* of the message at `at`: 0 itself, then its recipients, then its attempts */
	uint64_t most, sent;
	int64_t before;          /* filter */
	char *account, *service; /* filters */
	struct action_walk *action;
	uint64_t reload;
	struct check *check;
	struct policy_caller who; /* CURSOR_EXPLAIN: the rules are for this one, */
	uint32_t *who_groups;
	char *who_socket, *sender, *recipient; /* and the decision for these */
	size_t matched;
};

struct control {
	struct queue *q;
	struct event *readable;
	struct client *clients;
	size_t count;
	uint64_t reloads;
	int fd;
};

/* ---- answers ---- */

static void
forget_explanation(struct client *c)
{
	free(c->who_groups);
	free(c->who_socket);
	free(c->sender);
	free(c->recipient);
	c->who_groups = NULL;
	c->who_socket = c->sender = c->recipient = NULL;
}

static void
end_request(struct client *c)
{
	c->kind = CURSOR_NONE;
	free(c->account);
	free(c->service);
	forget_explanation(c);
	c->account = c->service = NULL;
	c->action = action_walk_free(c->action);
	if (c->check != NULL)
		check_forget(TAKE_PTR(c->check));
	c->count = c->at = c->row = 0;
	c->sent = 0;
	channel_pause(c->channel, false);
}

/* The last packet of an answer. */
static int
send_done(struct client *c, const char *error, int status, const char *text)
{
	struct message *m = message_new(M_QUEUE_DONE);

	message_put_str(m, F_ERROR, error);
	message_put_u64(m, F_EXIT, (uint64_t)status);
	message_put_u64(m, F_COUNT, c->sent);
	message_put_str(m, F_TEXT, text);
	return channel_send(c->channel, m, -1);
}

static void
fail(struct client *c, const char *error, int status)
{
	(void)send_done(c, error, status, NULL);
	end_request(c);
}

/* ---- rows ---- */

static int
row_message(struct client *c, const struct spool_message *m)
{
	struct message *out = message_new(M_ROW_MESSAGE);
	char id[SPOOL_ID_LEN];

	message_put_str(out, F_QUEUE_ID, spool_id_text(m->id, id));
	message_put_str(out, F_SENDER, m->sender);
	message_put_u64(out, F_SIZE, m->size);
	message_put_u64(out, F_TIME, (uint64_t)m->received);
	message_put_str(out, F_STATE, spool_state_name(spool_message_state(m)));
	message_put_str(out, F_ACCOUNT, m->account);
	message_put_str(out, F_SERVICE, m->service);
	if (m->uid >= 0)
		message_put_u64(out, F_UID, (uint64_t)m->uid);
	if (m->next != SPOOL_NEVER)
		message_put_u64(out, F_UNTIL, (uint64_t)m->expires);
	message_put_str(out, F_SUBJECT, m->subject);
	if (*m->envid != '\0')
		message_put_str(out, F_ENVID, m->envid);
	return channel_send(c->channel, out, -1);
}

/* When the recipient is tried next, as far as time alone decides it; SPOOL_NEVER where a person has
 * to. */
static int64_t
next_try(const struct account *a, const struct spool_recipient *r)
{
	const struct schedule_account *s = a == NULL ? NULL : &a->schedule;

	if (s == NULL || r->next == SPOOL_NEVER)
		return r->next;
	if (s->held || s->keeper != SCHEDULE_ACTIVE)
		return SPOOL_NEVER;
	return s->server == SCHEDULE_ACTIVE || r->next > s->until ? r->next : s->until;
}

static void
put_verdict(const struct account *a, const struct spool_message *m, const struct smtp_reply *reply,
    struct message *out)
{
	struct diagnosis d;

	outcome_diagnose(a, m, reply, &d);
	message_put_str(out, F_CAUSE, d.cause);
	message_put_str(out, F_FIXER, d.fixer);
	message_put_str(out, F_RETRY, retry_class_name(d.retry));
	message_put_str(out, F_TEXT, d.text);
	message_put_str(out, F_NEXT, d.next);
}

static void
put_why(const struct account *a, bool times, struct message *out)
{
	enum schedule_state state = schedule_account_state(&a->schedule);
	struct diagnosis d;

	if (state == SCHEDULE_ACTIVE)
		return;
	if (state == SCHEDULE_HELD) {
		message_put_str(out, F_TEXT, "A person holds this account.");
		message_put_str(out, F_NEXT, "Release it when it may send again.");
		return;
	}
	if (state == a->schedule.keeper && a->schedule.keeper != SCHEDULE_ACTIVE) {
		message_put_str(out, F_TEXT, a->keeper_text);
		message_put_str(out, F_NEXT, a->keeper_next);
		return;
	}
	if (times) {
		message_put_u64(out, F_TIME, (uint64_t)a->schedule.since);
		message_put_u64(out, F_UNTIL, (uint64_t)a->schedule.until);
	}
	if (a->reply.code == 0 && a->reply.fault == SMTP_FAULT_NONE)
		return;
	outcome_diagnose(a, NULL, &a->reply, &d);
	message_put_str(out, F_CAUSE, d.cause);
	message_put_str(out, F_FIXER, d.fixer);
	message_put_str(out, F_TEXT, d.text);
	message_put_str(out, F_NEXT, d.next);
}

static int
row_recipient(struct client *c, const struct spool_message *m, const struct spool_recipient *r)
{
	const struct account *a = account_by_name(c->control->q, m->account);
	struct message *out = message_new(M_ROW_RECIPIENT);
	CLEANUP_BUF struct buf reply = BUF_INIT(4096);

	outcome_reply_text(&r->reply, &reply);
	message_put_str(out, F_RCPT, r->address);
	message_put_str(out, F_STATE, spool_state_name(r->state));
	message_put_u64(out, F_ATTEMPTS, r->attempts);
	if (next_try(a, r) != SPOOL_NEVER)
		message_put_u64(out, F_UNTIL, (uint64_t)next_try(a, r));
	if (reply.len > 0)
		message_put_str(out, F_REPLY, buf_str(&reply));
	if (reply.len > 0 && a != NULL && (r->reply.code < 200 || r->reply.code >= 300))
		put_verdict(a, m, &r->reply, out);
	else if (reply.len == 0 && a != NULL && r->state == SPOOL_QUEUED)
		put_why(a, false, out);
	return channel_send(c->channel, out, -1);
}

struct attempt_cursor {
	struct client *client;
	const struct spool_message *message;
	size_t skip, seen;
};

static void
put_given(struct message *m, enum field f, const char *text)
{
	if (*text != '\0')
		message_put_str(m, f, text);
}

/* What the reply that decided the attempt means, by the table as it is now. */
static void
put_attempt_verdict(
    struct attempt_cursor *x, const struct spool_attempt_row *a, struct message *out)
{
	const struct account *account = account_by_name(x->client->control->q, x->message->account);
	struct smtp_reply reply = {0};

	if (account != NULL && *a->outcome != '\0' &&
	    outcome_reply_parse(a->outcome, a->stage, a->fault, &reply) == 0 &&
	    (reply.code >= 300 || reply.fault != SMTP_FAULT_NONE))
		put_verdict(account, x->message, &reply, out);
	smtp_reply_clear(&reply);
}

static int
row_attempt(void *arg, const struct spool_attempt_row *a)
{
	struct attempt_cursor *x = arg;
	struct message *out;
	int r;

	if (x->seen++ < x->skip)
		return 0;
	out = message_new(M_ROW_ATTEMPT);
	message_put_u64(out, F_TIME, (uint64_t)a->at);
	put_given(out, F_ENDPOINT, a->endpoint);
	put_given(out, F_TLS, a->tls);
	put_given(out, F_MECHANISM, a->mechanism);
	put_given(out, F_TRANSCRIPT, a->transcript);
	put_given(out, F_REPLY, a->outcome);
	put_attempt_verdict(x, a, out);
	r = channel_send(x->client->channel, out, -1);
	if (r == 0)
		x->client->row++;
	return r;
}

static bool
is_shown(const struct client *c, const struct spool_message *m)
{
	return (c->admin || m->uid == (int64_t)c->uid) &&
	       (c->account == NULL || strcmp(c->account, m->account) == 0) &&
	       (c->service == NULL || strcmp(c->service, m->service) == 0);
}

/* The rows of the message at the cursor, from c->row on: 0 when all are sent. */
static int
rows_of_message(struct client *c)
{
	struct queue *q = c->control->q;
	struct spool_message m;
	int r = spool_load(q->spool, c->ids[c->at], false, &m);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (is_shown(c, &m)) {
		if (c->row == 0) {
			r = row_message(c, &m);
			c->row += r == 0;
		}
		while (r == 0 && c->row <= m.count) {
			r = row_recipient(c, &m, &m.recipients[c->row - 1]);
			c->row += r == 0;
		}
		if (r == 0 && c->kind == CURSOR_SHOW) {
			struct attempt_cursor x = {c, &m, c->row - 1 - m.count, 0};

			r = spool_each_attempt(q->spool, m.id, row_attempt, &x);
		}
		c->sent += r == 0;
	}
	spool_message_clear(&m);
	return r;
}

/* May this client see the account? */
static bool
sees_account(const struct client *c, const struct account *a)
{
	const struct queue *q = c->control->q;
	struct policy_caller who = {c->uid, c->groups, c->group_count, NULL};
	size_t i;

	if (c->admin)
		return true;
	i = policy_match(q->policies, q->service_count, &who);
	for (size_t k = 0; i < q->service_count && k < q->services[i]->account_count; k++)
		if (q->services[i]->accounts[k] == a)
			return true;
	return false;
}

static int
row_account(struct client *c, const struct account *a, uint64_t waiting)
{
	CLEANUP_BUF struct buf warning = BUF_INIT(4096);
	struct message *out = message_new(M_ROW_ACCOUNT);
	char endpoint[300];

	if (a->conf.port == 0 && *a->conf.host != '\0')
		(void)snprintf(endpoint, sizeof(endpoint), "srv:%s", a->conf.host);
	else
		(void)snprintf(endpoint, sizeof(endpoint), "%s:%u", a->conf.host, a->conf.port);
	message_put_str(out, F_ACCOUNT, a->name);
	message_put_str(out, F_STATE, schedule_state_name(schedule_account_state(&a->schedule)));
	notices_warning(c->control->q, a, &warning);
	if (warning.len > 0)
		message_put_str(out, F_WARNING, buf_str(&warning));
	put_given(out, F_PROVIDER, a->conf.provider);
	put_given(out, F_MAILBOX, a->conf.mailbox);
	put_given(out, F_GRANT, a->conf.grant);
	message_put_str(out, F_ENDPOINT, endpoint);
	put_given(out, F_TRANSPORT, a->conf.transport);
	put_given(out, F_TLS, a->conf.tls);
	put_given(out, F_MECHANISM, a->conf.mechanisms);
	if (a->used > 0)
		message_put_u64(out, F_USED, (uint64_t)a->used);
	put_given(out, F_USED_BY, a->used_by);
	message_put_u64(out, F_COUNT, waiting);
	put_why(a, true, out);
	return channel_send(c->channel, out, -1);
}

/* One step of a status: an account or a service. */
static int
row_of_status(struct client *c)
{
	struct queue *q = c->control->q;
	int r = 0;

	if (c->kind == CURSOR_ACCOUNTS) {
		const struct account *a = q->accounts[c->at];

		if (a->configured && sees_account(c, a))
			r = row_account(c, a, a->waiting);
	} else if (c->admin) {
		r = channel_send(c->channel, explain_service(q, q->services[c->at]), -1);
	}
	return r;
}

/* One step of an explanation: a rule for each service, then the decision. */
static int
row_of_explanation(struct client *c)
{
	struct queue *q = c->control->q;
	struct message *m;

	if (c->at < q->service_count)
		m = explain_rule(q, c->at, c->matched, &c->who);
	else
		m = explain_decision(q,
		    c->matched < q->service_count ? q->services[c->matched] : NULL, c->who.uid,
		    c->sender, c->recipient);
	return channel_send(c->channel, m, -1);
}

/* Until when (seconds) messages must have been accepted; SCHEDULE_NEVER: at any time. */
static int64_t
older_than(const struct queue *q, const struct message *m)
{
	uint64_t age = message_u64(m, F_OLDER, 0);

	if (age == 0)
		return SCHEDULE_NEVER;
	return age > INT32_MAX ? 0 : queue_now(q) - (int64_t)age;
}

/* ---- cursors ---- */

static int
choose(void *arg, const struct spool_glance *g)
{
	struct client *c = arg;

	if (g->open && (c->admin || g->uid == (int64_t)c->uid) &&
	    (c->account == NULL || strcmp(c->account, g->account) == 0) &&
	    (c->service == NULL || strcmp(c->service, g->service) == 0) && g->received <= c->before)
		c->ids[c->count++] = g->id;
	return c->count == WALK_MESSAGES;
}

/* The next part of what the cursor goes over: 1, 0 when it is through, or negative errno. */
static int
next_part(struct client *c)
{
	int r;

	c->at = c->count = 0;
	switch (c->kind) {
	case CURSOR_LIST:
		if (c->after == UINT64_MAX)
			return 0;
		r = spool_scan(c->control->q->spool, &c->after, WALK_ROWS, choose, c);
		if (r == 0)
			c->after = UINT64_MAX;
		return r < 0 ? r : 1;
	case CURSOR_ACCOUNTS:
		c->kind = CURSOR_SERVICES;
		c->count = c->control->q->service_count;
		return 1;
	default:
		return 0;
	}
}

static void
finish(struct client *c)
{
	bool missing = c->kind == CURSOR_SHOW && c->sent == 0;
	int r = missing ? send_done(c, "There is no such message.", EX_NOINPUT, NULL)
			: send_done(c, NULL, EX_OK, NULL);

	if (r != -EAGAIN)
		end_request(c);
}

static bool
is_cursor(const struct client *c)
{
	return c->kind != CURSOR_NONE && c->kind < CURSOR_ACTION;
}

/* Sends the rows of one part. */
static bool
step(struct queue *q, struct walk *w)
{
	struct client *c = (struct client *)w;
	int r = 0;

	if (!is_cursor(c))
		return false;
	for (int i = 0; i < WALK_MESSAGES && c->at < c->count; i++) {
		if (c->most > 0 && c->sent >= c->most)
			break;
		r = c->kind == CURSOR_LIST || c->kind == CURSOR_SHOW ? rows_of_message(c)
		    : c->kind == CURSOR_EXPLAIN                      ? row_of_explanation(c)
								     : row_of_status(c);
		if (r == -EAGAIN)
			return false; /* on_writable goes on */
		if (r < 0) {
			fail(c, "The spool cannot be read.", EX_IOERR);
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
go_on(struct client *c)
{
	if (is_cursor(c))
		walk_begin(c->control->q, &c->walk, step);
}

/* ---- requests ---- */

static char *
copy_field(const struct message *m, enum field f)
{
	const char *text = message_str(m, f);

	return text == NULL ? NULL : strdup(text);
}

static void
ask_list(struct client *c, const struct message *m)
{
	c->after = 0;
	c->account = copy_field(m, F_ACCOUNT);
	c->service = copy_field(m, F_SERVICE);
	c->most = message_u64(m, F_COUNT, 0);
	c->before = older_than(c->control->q, m);
	c->kind = CURSOR_LIST;
}

static void
ask_show(struct client *c, const struct message *m)
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
ask_status(struct client *c)
{
	struct queue *q = c->control->q;

	if (dispatch_count(q) < 0) {
		fail(c, "The spool cannot be read.", EX_IOERR);
		return;
	}
	c->count = q->account_count;
	c->most = 0;
	c->kind = CURSOR_ACCOUNTS;
}

static int
row_event(void *arg, const struct spool_event *e)
{
	struct client *c = arg;
	struct message *m = message_new(M_ROW_EVENT);
	char id[SPOOL_ID_LEN];
	int r;

	message_put_u64(m, F_ID, e->id);
	message_put_u64(m, F_TIME, (uint64_t)e->at);
	message_put_str(m, F_KIND, e->kind);
	message_put_str(m, F_ACCOUNT, e->account);
	message_put_str(m, F_TEXT, e->text);
	message_put_str(m, F_NEXT, e->next);
	if (e->message != 0)
		message_put_str(m, F_QUEUE_ID, spool_id_text(e->message, id));
	r = channel_send(c->channel, m, -1);
	c->sent += r == 0;
	return r == -EAGAIN ? 1 : r;
}

/* A part of them: whoever wants more asks again, after the last one. */
static void
ask_events(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	uint64_t after = message_u64(m, F_ID, 0);
	int r = 0;

	if (!c->admin) {
		fail(c, "Only an administrator sees the events.", EX_NOPERM);
		return;
	}
	if (after == 0 && message_has(m, F_COUNT))
		r = spool_event_before_last(q->spool, message_u64(m, F_COUNT, 0), &after);
	if (r == 0)
		r = spool_each_event(q->spool, after, EVENTS_MAX, row_event, c);
	if (r < 0)
		fail(c, "The spool cannot be read.", EX_IOERR);
	else
		finish(c);
}

static void
answer_action(struct client *c, int r, unsigned done)
{
	char text[64];

	switch (r) {
	case 0:
		c->sent = done;
		(void)snprintf(text, sizeof(text), "%u message%s", done, done == 1 ? "" : "s");
		(void)send_done(c, NULL, EX_OK, text);
		end_request(c);
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
act(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	const char *id = message_str(m, F_QUEUE_ID), *account = message_str(m, F_ACCOUNT);
	bool some =
	    message_has(m, F_SERVICE) || message_has(m, F_OLDER) || message_has(m, F_TO_ACCOUNT);
	struct action_scope scope = {.account = account,
	    .service = message_str(m, F_SERVICE),
	    .before = older_than(q, m),
	    .to = message_str(m, F_TO_ACCOUNT),
	    .uid = c->admin ? -1 : (int64_t)c->uid,
	    .by = c->uid};
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
	if (scope.to != NULL && account_by_name(q, scope.to) == NULL) {
		fail(c, "There is no account of this name to move it to.", EX_NOINPUT);
		return;
	}
	if (id != NULL && spool_id_parse(id, &scope.id) < 0) {
		fail(c, "This is no queue id.", EX_USAGE);
		return;
	}
	if (!c->admin && (action == ACTION_HOLD || action == ACTION_RELEASE ||
			     (account != NULL && id == NULL))) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	/* An account as a whole: its own state, and for retry and delete its messages as well. */
	if (account != NULL && id == NULL && !some && action != ACTION_DELETE)
		r = action_on_account(q, action, account);
	if (r == 0 && id != NULL) {
		r = action_on_message(q, action, &scope, &done);
	} else if (r == 0 &&
		   (account == NULL || some || action == ACTION_RETRY || action == ACTION_DELETE)) {
		c->action = action_walk_new(q, action, &scope, on_action_done, c);
		if (c->action != NULL) {
			c->kind = CURSOR_ACTION;
			return;
		}
		r = -ENOMEM;
	}
	answer_action(c, r, done);
}

/* Who would be answered, and how. Everybody may ask about himself. */
static void
ask_explain(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	uint32_t uid = (uint32_t)message_u64(m, F_UID, POLICY_UID_OVERFLOW);
	uint64_t group;
	size_t count = 0;

	if (!c->admin && uid != c->uid) {
		fail(c, "Only administrators may ask about other users.", EX_NOPERM);
		return;
	}
	for (size_t at = 0; message_next_u64(m, F_GROUP, &at, &group);)
		count++;
	forget_explanation(c);
	c->who_groups = calloc(count + 1, sizeof(*c->who_groups));
	c->who_socket = copy_field(m, F_SOCKET_NAME);
	c->sender = copy_field(m, F_SENDER);
	c->recipient = copy_field(m, F_RCPT);
	if (c->who_groups == NULL || c->sender == NULL) {
		fail(c, "Out of memory.", EX_OSERR);
		return;
	}
	count = 0;
	for (size_t at = 0; message_next_u64(m, F_GROUP, &at, &group);)
		c->who_groups[count++] = (uint32_t)group;
	c->who = (struct policy_caller){uid, c->who_groups, count, c->who_socket};
	c->matched = policy_match(q->policies, q->service_count, &c->who);
	c->kind = CURSOR_EXPLAIN;
	c->at = 0;
	c->count = q->service_count + 1;
	c->most = 0;
}

static void
log_password(const struct client *c, const char *sentence, const char *service)
{
	char by[24];

	(void)snprintf(by, sizeof(by), "%" PRIu32, c->uid);
	log_line(LOG_LEVEL_NOTICE, sentence, LOG_PAIRS({LOG_SERVICE, service}, {LOG_UID, by}));
}

static void
send_password(struct client *c, const char *service)
{
	struct message *m = message_new(M_SERVICE_SECRET);
	CLEANUP_SECRET struct secret *password = NULL;
	int64_t before = 0;
	int r = password_make(c->control->q, service, &password, &before);

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
	end_request(c);
}

static void
act_on_password(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	const char *service = message_str(m, F_SERVICE), *action = message_str(m, F_ACTION);
	bool revoke = strcmp(action, "revoke") == 0;
	int r;

	if (!c->admin) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	/* also of a service that is not configured any more */
	if (!revoke && service_by_login(q, service) == NULL) {
		fail(c, "No service of this name is configured with password = true.", EX_NOUSER);
		return;
	}
	if (!revoke) {
		send_password(c, service);
		return;
	}
	r = password_revoke(q, service);
	if (r == -ENOENT)
		fail(c, "This service has no password.", EX_NOUSER);
	else if (r < 0)
		fail(c, "The password is still good: the spool cannot be written.", EX_IOERR);
	if (r < 0)
		return;
	log_password(c, "A service's password is revoked.", service);
	(void)send_done(c, NULL, EX_OK, "Its password is good no more.");
	end_request(c);
}

static void
check_row(void *arg, struct message *m)
{
	(void)channel_send(((struct client *)arg)->channel, m, -1);
}

static void
check_ended(void *arg, const char *error, int status)
{
	struct client *c = arg;

	c->check = NULL;
	(void)send_done(c, error, status, NULL);
	end_request(c);
}

static const struct check_ops check_ops = {.row = check_row, .end = check_ended};

/* Whoever sends through an account may look whether it works. What lets somebody speak to any server,
 * or past the rules for senders, is for administrators. */
static void
ask_check(struct client *c, const struct message *m)
{
	const char *account = message_str(m, F_ACCOUNT), *tls = message_str(m, F_TLS);
	struct check_ask ask = {
	    .account = account == NULL ? NULL : account_by_name(c->control->q, account),
	    .host = message_str(m, F_HOST),
	    .port = (unsigned)message_u64(m, F_PORT, 0),
	    .tls = tls == NULL ? "starttls" : tls,
	    .to = message_str(m, F_RCPT),
	    .selector = message_str(m, F_SELECTOR),
	    .all_senders = c->admin,
	    .send = (message_u64(m, F_FLAGS, 0) & CHECK_SEND) != 0,
	};
	int r;

	if (!c->admin && (account == NULL || ask.send || ask.to != NULL)) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	if (account != NULL &&
	    (ask.account == NULL || !ask.account->configured || !sees_account(c, ask.account))) {
		fail(c, "There is no such account.", EX_NOINPUT);
		return;
	}
	if ((account == NULL && (ask.host == NULL || ask.port == 0 || ask.port > 65535)) ||
	    (ask.to != NULL && !address_is_valid(ask.to, strlen(ask.to), false))) {
		fail(c, "This is no server, or no address.", EX_USAGE);
		return;
	}
	c->kind = CURSOR_CHECK;
	r = check_new(c->control->q, &ask, &check_ops, c, &c->check);
	if (r < 0)
		fail(c,
		    r == -EBUSY ? "Too many checks are under way; try again in a minute."
				: "Out of memory.",
		    EX_TEMPFAIL);
}

static void
ask_reload(struct client *c)
{
	struct control *k = c->control;
	struct message *m;

	if (!c->admin) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	c->reload = ++k->reloads;
	c->kind = CURSOR_RELOAD;
	m = message_new(M_RELOAD);
	message_put_u64(m, F_ID, c->reload);
	if (channel_send(role_main_channel(k->q->role), m, -1) < 0)
		fail(c, "frankd cannot be asked.", EX_UNAVAILABLE);
}

void
control_reload_result(struct control *k, const struct message *m)
{
	const char *error = message_str(m, F_ERROR);
	uint64_t id = message_u64(m, F_ID, 0);

	for (struct client *c = k->clients; c != NULL; c = c->next) {
		if (c->kind != CURSOR_RELOAD || c->reload != id)
			continue;
		if (error != NULL) {
			fail(c, error, EX_CONFIG);
		} else {
			(void)send_done(c, NULL, EX_OK, "The new configuration is in force.");
			end_request(c);
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
answer_find(struct client *c, const struct message *m)
{
	struct message *found = message_new(M_FOUND);

	put_list(found, m, F_MX);
	put_list(found, m, F_SRV);
	message_put_str(found, F_BANNER, message_str(m, F_BANNER));
	(void)channel_send(c->channel, found, -1);
	(void)send_done(c, NULL, EX_OK, NULL);
	end_request(c);
}

/* Puts the question to the send role, which main starts where it is not there. */
static void
ask_send(struct client *c)
{
	struct queue *q = c->control->q;
	struct channel *send = role_peer(q->role, ROLE_SEND);
	struct message *m;

	if (send == NULL) {
		role_need(q->role, ROLE_SEND);
		return; /* control_send_peer goes on */
	}
	m = message_new(M_LOOKUP);
	message_put_u64(m, F_ID, c->reload);
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
find(struct client *c, const struct message *m)
{
	const char *domain = message_str(m, F_HOST);

	if (!c->admin) {
		fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	if (!is_domain(domain)) {
		fail(c, "That is no domain.", EX_USAGE);
		return;
	}
	c->reload = ++c->control->reloads;
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

	for (struct client *c = k->clients; c != NULL; c = c->next)
		if (c->kind == CURSOR_FIND && c->reload == id) {
			answer_find(c, m);
			return;
		}
}

void
control_send_peer(struct control *k, bool up)
{
	for (struct client *c = k->clients, *next; c != NULL; c = next) {
		next = c->next;
		if (c->kind != CURSOR_FIND)
			continue;
		if (up)
			ask_send(c);
		else
			fail(c, "The send role ended in the middle.", EX_TEMPFAIL);
	}
}

/* ---- clients ---- */

static void
client_free(struct client *c)
{
	struct control *k = c->control;

	for (struct client **at = &k->clients; *at != NULL; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			k->count--;
			break;
		}
	walk_end(k->q, &c->walk);
	(void)action_walk_free(c->action);
	if (c->check != NULL)
		check_forget(c->check);
	free(c->account);
	free(c->service);
	forget_explanation(c);
	free(c->groups);
	(void)channel_free(c->channel);
	free(c);
}

static void
on_message(void *arg, struct channel *channel, const struct message *m, int fd)
{
	struct client *c = arg;

	if (fd >= 0)
		(void)close(fd);
	channel_pause(channel, true);
	c->sent = 0;
	switch (message_type(m)) {
	case M_QUEUE_LIST:
		ask_list(c, m);
		break;
	case M_QUEUE_SHOW:
		ask_show(c, m);
		break;
	case M_QUEUE_ACT:
		act(c, m);
		break;
	case M_STATUS:
		ask_status(c);
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
	go_on(arg);
}

static const struct channel_ops client_ops = {
    .message = on_message, .closed = on_closed, .writable = on_writable};

static int
take_identity(struct client *c, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred), size = 0;
	gid_t *groups = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	/* Asked with no room, the kernel says how much it takes. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
		return -errno;
	groups = calloc(size / sizeof(gid_t) + 1, sizeof(*groups));
	c->groups = calloc(size / sizeof(gid_t) + 1, sizeof(*c->groups));
	if (groups == NULL || c->groups == NULL ||
	    (size > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)) {
		free(groups);
		return -ENOMEM;
	}
	c->uid = cred.uid;
	c->groups[c->group_count++] = cred.gid;
	for (size_t i = 0; i < size / sizeof(gid_t); i++)
		c->groups[c->group_count++] = groups[i];
	free(groups);
	c->admin = caller_is_admin(c->control->q, c->uid, c->groups, c->group_count);
	return 0;
}

/* So that nobody who keeps connections open keeps administrators out. */
static bool
has_too_many(const struct control *k, const struct client *c)
{
	size_t n = 0;

	for (const struct client *other = k->clients; other != NULL; other = other->next)
		n += other->uid == c->uid;
	return !c->admin && n >= CLIENTS_PER_UID;
}

static void
serve(struct control *k, int fd)
{
	struct client *c = k->count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->control = k;
	if (take_identity(c, fd) < 0 || has_too_many(k, c)) {
		(void)close(fd);
		free(c->groups);
		free(c);
		return;
	}
	c->next = k->clients;
	k->clients = c;
	k->count++;
	c->channel = channel_new(k->q->base, fd, ROLE_QUEUE, ROLE_CLIENT, &client_ops, c);
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
control_new(struct queue *q)
{
	struct control *k = calloc(1, sizeof(*k));

	if (k != NULL) {
		k->q = q;
		k->fd = -1;
	}
	return k;
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
	k->readable = event_new(k->q->base, fd, EV_READ | EV_PERSIST, on_accept, k);
	return k->readable == NULL || event_add(k->readable, NULL) < 0 ? -ENOMEM : 0;
}
