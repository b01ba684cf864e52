/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * control-ask.c: the requests of control.sock: what each asks for, and who may.
 *
 * Administrators (uid 0, our own uid, the configured group) see and do everything; others see the
 * mail they handed in and may retry or delete it, and see the accounts that a service of theirs
 * sends through.
 */
#include "broker/queue/control/control-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/address.h"
#include "base/log.h"
#include "broker/ipc/reply.h"
#include "broker/queue/inbound/password.h"
#include "broker/queue/inbound/usage.h"

enum { EVENTS_MAX = 200 /* in one answer */ };

static const char out_of_memory[] = "Out of memory.";

/* Until when (seconds) messages must have been accepted; SCHEDULE_NEVER: at any time. */
static int64_t
older_than(const struct queue *q, const struct message *m)
{
	uint64_t age = message_u64(m, F_OLDER, 0);

	if (age == 0)
		return SCHEDULE_NEVER;
	return age > INT32_MAX ? 0 : clock_now(&q->clock) - (int64_t)age;
}

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
		control_fail(c, "This is no queue id.", EX_USAGE);
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

	if (delivery_count(q->delivery) < 0) {
		control_fail(c, "The spool cannot be read.", EX_IOERR);
		return;
	}
	c->count = control_is_admin(c) ? SIZE_MAX : 0;
	c->most = 0;
	c->kind = CURSOR_PROBLEMS;
}

/* A part of them: whoever wants more asks again, after the last one. */
static void
ask_events(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	uint64_t after = message_u64(m, F_ID, 0);
	int r = 0;

	if (!control_is_admin(c)) {
		control_fail(c, "Only an administrator sees the events.", EX_NOPERM);
		return;
	}
	if (after == 0 && message_has(m, F_COUNT))
		r = spool_event_before_last(q->spool, message_u64(m, F_COUNT, 0), &after);
	if (r == 0)
		r = spool_each_event(q->spool, after, EVENTS_MAX, control_row_event, c);
	if (r < 0)
		control_fail(c, "The spool cannot be read.", EX_IOERR);
	else
		control_finish(c);
}

static void
answer_action(struct client *c, int r, unsigned done)
{
	char text[64];

	switch (r) {
	case 0:
		c->sent = done;
		(void)snprintf(text, sizeof(text), "%u message%s", done, done == 1 ? "" : "s");
		(void)control_send_done(c, NULL, EX_OK, text);
		control_end(c);
		break;
	case -ENOENT:
		control_fail(c, "There is no such message or account.", EX_NOINPUT);
		break;
	case -EPERM:
		control_fail(c, "This message is not yours.", EX_NOPERM);
		break;
	case -EACCES:
		control_fail(c,
		    "The message's service may not send through that account: add the account to "
		    "its accounts first.",
		    EX_NOPERM);
		break;
	case -EBUSY:
		control_fail(
		    c, "The message is being sent right now; try again in a moment.", EX_TEMPFAIL);
		break;
	default:
		control_fail(c, "The spool cannot be written.", EX_IOERR);
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
	    .owner = control_owner(c),
	    .by = c->peer.uid};
	enum action action;
	unsigned done = 0;
	int r = 0;

	if (action_by_name(message_str(m, F_ACTION), &action) < 0) {
		control_fail(c, "There is no such action.", EX_USAGE);
		return;
	}
	if ((action == ACTION_MOVE) != (scope.to != NULL)) {
		control_fail(c, "Messages are moved to an account.", EX_USAGE);
		return;
	}
	if (scope.to != NULL && accounts_find(&q->accounts, scope.to) == NULL) {
		control_fail(c, "There is no account of this name to move it to.", EX_NOINPUT);
		return;
	}
	if (id != NULL && spool_id_parse(id, &scope.id) < 0) {
		control_fail(c, "This is no queue id.", EX_USAGE);
		return;
	}
	if (!control_is_admin(c) && (action == ACTION_HOLD || action == ACTION_RELEASE ||
					(account != NULL && id == NULL))) {
		control_fail(c, "Only administrators may do this.", EX_NOPERM);
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

/* The groups that an administrator asks about. False: no memory. */
static bool
copy_groups(struct client *c, const struct message *m)
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
ask_explain(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	uint32_t uid = (uint32_t)message_u64(m, F_UID, CALLER_UID_OVERFLOW);
	CLEANUP_BUF struct buf sender = BUF_INIT(ADDRESS_MAX);
	bool admin = control_is_admin(c), good = true;

	if (!admin && (uid != c->peer.uid || message_has(m, F_SOCKET_NAME))) {
		control_fail(c,
		    "Only administrators may ask about other users, or about callers of a socket.",
		    EX_NOPERM);
		return;
	}
	control_forget_explanation(c);
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
		control_fail(c, out_of_memory, EX_OSERR);
		return;
	}
	c->matched = policy_match(q->services.policies, q->services.count, &c->who);
	c->kind = CURSOR_EXPLAIN;
	c->at = 0;
	c->count = q->services.count + 1;
	c->most = 0;
}

static void
log_password(const struct client *c, const char *sentence, const char *service)
{
	char by[24];

	(void)snprintf(by, sizeof(by), "%" PRIu32, c->peer.uid);
	log_line(LOG_LEVEL_NOTICE, sentence, LOG_PAIRS({LOG_SERVICE, service}, {LOG_UID, by}));
}

static void
send_password(struct client *c, const char *service)
{
	struct message *m = message_new(M_SERVICE_SECRET);
	CLEANUP_SECRET struct secret *password = NULL;
	int64_t before = 0;
	int r = password_make(c->control->q->commit, c->control->q->spool, service,
	    clock_now(&c->control->q->clock), &password, &before);

	if (r < 0) {
		(void)message_free(m);
		control_fail(
		    c, "The password cannot be kept: the spool cannot be written.", EX_IOERR);
		return;
	}
	log_password(c, "A service gets a password.", service);
	message_put_str(m, F_SERVICE, service);
	message_put_secret(m, F_SECRET, password);
	if (before > 0)
		message_put_u64(m, F_PASSWORD_TIME, (uint64_t)before);
	(void)channel_send(c->channel, m, -1);
	(void)control_send_done(c, NULL, EX_OK, NULL);
	control_end(c);
}

static void
act_on_password(struct client *c, const struct message *m)
{
	struct queue *q = c->control->q;
	const char *service = message_str(m, F_SERVICE), *action = message_str(m, F_ACTION);
	bool revoke = strcmp(action, "revoke") == 0;
	int r;

	if (!control_is_admin(c)) {
		control_fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	/* also of a service that is not configured any more */
	if (!revoke && services_find_login(&q->services, service) == NULL) {
		control_fail(
		    c, "No service of this name is configured with password = true.", EX_NOUSER);
		return;
	}
	if (!revoke) {
		send_password(c, service);
		return;
	}
	r = password_revoke(q->commit, q->spool, service);
	if (r == -ENOENT)
		control_fail(c, "This service has no password.", EX_NOUSER);
	else if (r < 0)
		control_fail(
		    c, "The password is still good: the spool cannot be written.", EX_IOERR);
	if (r < 0)
		return;
	log_password(c, "A service's password is revoked.", service);
	(void)control_send_done(c, NULL, EX_OK, "Its password is good no more.");
	control_end(c);
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
	(void)control_send_done(c, error, status, NULL);
	control_end(c);
}

static const struct check_ops check_ops = {.row = check_row, .end = check_ended};

static void
begin_check(struct client *c, struct check_ask *ask)
{
	struct queue *q = c->control->q;
	const struct caller caller = {
	    .uid = c->peer.uid, .groups = c->peer.groups, .group_count = c->peer.group_count};
	const char *why = NULL;

	if (!control_is_admin(c)) {
		ask->usage = usage_take(q->inbound, &caller);
		if (ask->usage == NULL)
			why = out_of_memory;
	}
	if (why == NULL)
		why = check_barred(q, ask);
	c->kind = CURSOR_CHECK;
	if (why == NULL && check_new(q, ask, &check_ops, c, &c->check) < 0)
		why = out_of_memory;
	if (why == NULL)
		return;
	usage_drop(ask->usage);
	control_fail(c, why, EX_TEMPFAIL);
}

/* Whoever sends through an account may look whether it works. What lets somebody speak to any server,
 * or past the rules for senders, is for administrators. */
static void
ask_check(struct client *c, const struct message *m)
{
	CLEANUP_BUF struct buf to = BUF_INIT(ADDRESS_MAX);
	const char *account = message_str(m, F_ACCOUNT), *tls = message_str(m, F_TLS);
	struct check_ask ask = {
	    .account = account == NULL ? NULL : accounts_find(&c->control->q->accounts, account),
	    .host = message_str(m, F_HOST),
	    .port = (unsigned)message_u64(m, F_PORT, 0),
	    .tls = tls == NULL ? "starttls" : tls,
	    .to = message_str(m, F_RCPT),
	    .selector = message_str(m, F_SELECTOR),
	    .all_senders = control_is_admin(c),
	    .send = (message_u64(m, F_FLAGS, 0) & CHECK_SEND) != 0,
	};

	if (!control_is_admin(c) && (account == NULL || ask.send || ask.to != NULL)) {
		control_fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	if (account != NULL && (ask.account == NULL || !ask.account->configured ||
				   !control_sees_account(c, ask.account))) {
		control_fail(c, "There is no such account.", EX_NOINPUT);
		return;
	}
	if ((account == NULL && (ask.host == NULL || ask.port == 0 || ask.port > 65535)) ||
	    (ask.to != NULL && address_read(ask.to, strlen(ask.to), false, &to) < 0)) {
		control_fail(c, "This is no server, or no address.", EX_USAGE);
		return;
	}
	if (ask.to != NULL)
		ask.to = to.data;
	begin_check(c, &ask);
}

static void
ask_reload(struct client *c)
{
	struct control *k = c->control;
	struct message *m;

	if (!control_is_admin(c)) {
		control_fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	c->reload = ++k->reloads;
	c->kind = CURSOR_RELOAD;
	m = message_new(M_RELOAD);
	message_put_u64(m, F_ID, c->reload);
	if (channel_send(role_main_channel(k->q->role), m, -1) < 0)
		control_fail(c, "frankd cannot be asked.", EX_UNAVAILABLE);
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
			control_fail(c, error, EX_CONFIG);
		} else {
			struct message *done = message_new(M_QUEUE_DONE);

			message_put_str(done, F_TEXT, "The new configuration is in force.");
			message_put_str(done, F_WARNING, message_str(m, F_WARNING));
			(void)channel_send(c->channel, done, -1);
			control_end(c);
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
	(void)control_send_done(c, NULL, EX_OK, NULL);
	control_end(c);
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
		control_fail(c, "The send role cannot be asked.", EX_TEMPFAIL);
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

	if (!control_is_admin(c)) {
		control_fail(c, "Only administrators may do this.", EX_NOPERM);
		return;
	}
	if (!is_domain(domain)) {
		control_fail(c, "That is no domain.", EX_USAGE);
		return;
	}
	c->reload = ++c->control->reloads;
	c->kind = CURSOR_FIND;
	free(c->account);
	c->account = strdup(domain);
	if (c->account == NULL)
		control_fail(c, "Memory ran out.", EX_TEMPFAIL);
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
			control_fail(c, "The send role ended in the middle.", EX_TEMPFAIL);
	}
}

void
control_ask(struct client *c, const struct message *m)
{
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
		control_fail(c, "This is not answered here.", EX_PROTOCOL);
		break;
	}
}
