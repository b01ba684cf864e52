/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check.c: checks that people ask for at the control socket: the send role looks, and what it finds
 * is put into words here, by the table that judges deliveries.
 *
 * A check borrows the account's credential as a job does, and keeps the network role from being let
 * go. It ends by itself within CHECK_SECONDS.
 */

#include "broker/queue/control/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#include "base/address.h"
#include "base/log.h"
#include "broker/ipc/reply.h"
#include "broker/message/own-mail.h"
#include "broker/queue/accounts/verdict.h"

enum {
	CHECKS_MAX = 4,
	CHECKS_KEPT = 2, /* of them for administrators */
	CHECK_SECONDS = 180,
	SENDERS_MAX = 20,
	BODY_MAX = 4096,
	FAILED_NAMES_MAX = 200,
};

struct check {
	LIST_ENTRY(check) entry;
	struct checks *all;
	uint64_t id;
	struct queue_account *account; /* NULL: a server alone */
	unsigned round;                /* of its schedule when the check began */
	struct usage *usage;           /* of whoever asked; NULL: an administrator */
	char *host, *tls;
	unsigned port;
	struct message *request; /* until the send role is there */
	const struct check_ops *ops;
	void *arg;
	struct event *limit;
	struct buf failed; /* the names of findings that are "fail", each once */
};

struct checks {
	const struct control_deps *deps;
	LIST_HEAD(, check) list;
	uint64_t last_id;
};

static void
check_end(struct check *c)
{
	const struct control_deps *deps = c->all->deps;

	LIST_REMOVE(c, entry);
	delivery_use(deps->delivery, ROLE_SEND, -1);
	usage_drop(c->usage);
	if (c->account != NULL)
		c->account->idle_since = clock_now(deps->clock);
	(void)message_free(c->request);
	if (c->limit != NULL)
		event_free(c->limit);
	free(c->host);
	free(c->tls);
	buf_free(&c->failed);
	free(c);
}

static void
check_fail(struct check *c, const char *error, int status)
{
	const struct check_ops *ops = c->ops;
	void *arg = c->arg;

	check_end(c);
	ops->end(arg, error, status);
}

void
check_forget(struct check *c)
{
	struct channel *send = role_peer(c->all->deps->role, ROLE_SEND);

	if (c->request == NULL && send != NULL) {
		struct message *m = message_new(M_CHECK_CANCEL);

		message_put_u64(m, F_ID, c->id);
		(void)channel_send(send, m, -1);
	}
	check_end(c);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct check *c = arg;
	const struct check_ops *ops = c->ops;
	void *to = c->arg;

	check_forget(c);
	ops->end(to, "The check took too long and was given up.", EX_TEMPFAIL);
}

/* ---- the request ---- */

static bool
has_sender(const struct message *m, const char *sender)
{
	const char *other;
	size_t at = 0;

	while (message_next_str(m, F_SENDERS, &at, &other))
		if (address_equal_nocase(other, sender))
			return true;
	return false;
}

/* The mailbox, then whatever services may send as through this account. */
static void
put_senders(
    const struct control_deps *deps, const struct queue_account *a, bool all, struct message *m)
{
	size_t count = 0;

	if (strchr(a->conf.mailbox, '@') != NULL) {
		message_put_str(m, F_SENDERS, a->conf.mailbox);
		count++;
	}
	for (size_t i = 0; all && i < deps->services->count; i++) {
		const struct service *v = deps->services->list[i];
		bool uses = false;

		for (size_t k = 0; k < v->account_count; k++)
			uses = uses || v->accounts[k] == a;
		for (size_t k = 0; uses && k < v->policy.senders.count && count < SENDERS_MAX;
		     k++) {
			const char *sender = v->policy.senders.items[k];

			if (strchr(sender, '*') != NULL || strchr(sender, '@') == NULL ||
			    has_sender(m, sender))
				continue;
			message_put_str(m, F_SENDERS, sender);
			count++;
		}
	}
}

static void
put_body(const struct queue_account *a, const char *to, struct message *m)
{
	CLEANUP_BUF struct buf body = BUF_INIT(BODY_MAX), date = BUF_INIT(100), id = BUF_INIT(400);
	char unique[48];

	(void)snprintf(
	    unique, sizeof(unique), "check.%" PRIu64 ".%" PRIu32, clock_ms(), clock_random());
	if (clock_date(&date) < 0 || own_mail_id(&id, unique, a->conf.mailbox, "localhost") < 0)
		return;
	(void)own_mail_header(&body, &(struct own_mail){.name = "",
					 .from = a->conf.mailbox,
					 .to = &to,
					 .to_count = 1,
					 .subject = "frank check",
					 .date = buf_str(&date),
					 .id = buf_str(&id),
					 .type = "text/plain; charset=us-ascii"});
	(void)buf_printf(&body,
	    "This message was sent by frank check, to see whether the account %s can send.\r\n",
	    a->name);
	message_put_bytes(m, F_BODY, body.data, body.len);
}

static void
put_signed_with(const struct queue_account *a, struct message *m)
{
	const char *at = a->signed_with == NULL ? "" : a->signed_with;

	while (*at != '\0') {
		size_t len = strcspn(at, "\n");

		message_put_strn(m, F_SIGNED_WITH, at, len);
		at += len + (at[len] == '\n');
	}
}

static bool
is_api(const struct queue_account *a)
{
	return account_transport(a) == ROLE_POST;
}

static struct message *
make_request(const struct control_deps *deps, const struct check *c, const struct check_ask *ask)
{
	struct message *m = message_new(M_CHECK_RUN);
	const struct queue_account *a = c->account;
	bool send = ask->send && a != NULL && !is_api(a);

	message_put_u64(m, F_ID, c->id);
	message_put_str(m, F_HOST, c->host);
	message_put_u64(m, F_PORT, c->port);
	message_put_str(m, F_TLS, c->tls);
	message_put_u64(
	    m, F_FLAGS, (send ? CHECK_SEND : 0) | (a != NULL && is_api(a) ? CHECK_API : 0));
	message_put_str(m, F_RCPT, ask->to);
	message_put_str(m, F_SELECTOR, ask->selector);
	if (a != NULL && ask->selector == NULL)
		put_signed_with(a, m);
	if (a != NULL) {
		message_put_str(m, F_ACCOUNT, a->name);
		if (*a->conf.provider != '\0')
			message_put_str(m, F_PROVIDER, a->conf.provider);
		put_senders(deps, a, ask->all_senders, m);
		if (send)
			put_body(a, ask->to == NULL ? a->conf.mailbox : ask->to, m);
	}
	return m;
}

/* Gives the request to the send role, once it is there. */
static void
check_send(struct check *c)
{
	struct channel *send = role_peer(c->all->deps->role, ROLE_SEND);
	int r;

	if (send == NULL) {
		role_need(c->all->deps->role, ROLE_SEND);
		return;
	}
	if (c->account != NULL)
		delivery_lease(c->all->deps->delivery, c->account);
	r = channel_send(send, TAKE_PTR(c->request), -1);
	if (r < 0)
		check_fail(c, "The network role cannot be asked.", EX_TEMPFAIL);
}

/* Slots: so many in all, some of them for administrators, and one for each other caller. */
static bool
has_slot(const struct checks *all, const struct usage *usage)
{
	const struct check *c;
	unsigned count = 0;
	bool own = false;

	LIST_FOREACH (c, &all->list, entry) {
		count++;
		own = own || (usage != NULL && c->usage != NULL && usage_is_same(c->usage, usage));
	}
	return !all->deps->stopping && !own &&
	       count < CHECKS_MAX - (usage == NULL ? 0 : CHECKS_KEPT);
}

const char *
check_barred(const struct checks *all, const struct check_ask *ask)
{
	const struct queue_account *a = ask->account;

	if (!has_slot(all, ask->usage))
		return "Too many checks are under way; try again in a minute.";
	if (ask->usage == NULL)
		return NULL;
	if (usage_check_barred(ask->usage) ||
	    (a != NULL && rate_limit_wait(&a->checks, CHECK_RATE, CHECK_PERIOD, clock_ms()) > 0))
		return "This was checked often enough in the last ten minutes: each check is a "
		       "login. An administrator can check at any time.";
	if (a != NULL && a->schedule.server != SCHEDULE_ACTIVE &&
	    clock_now(all->deps->clock) < a->schedule.until)
		return "The server refused this account, which waits before its next try: frank "
		       "status says why, and until when. An administrator can check at any time.";
	return NULL;
}

/* Takes the usage. */
static void
count_check(struct check *c, struct usage *usage)
{
	c->usage = usage;
	if (usage == NULL)
		return;
	usage_check(usage);
	if (c->account != NULL)
		rate_limit_spend(&c->account->checks, CHECK_PERIOD, (int64_t)clock_ms(), 1);
}

int
check_new(struct checks *all, const struct check_ask *ask, const struct check_ops *ops, void *arg,
    struct check **ret)
{
	static const struct timeval limit = {CHECK_SECONDS, 0};
	const struct queue_account *a = ask->account;
	struct check *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->all = all;
	buf_init(&c->failed, FAILED_NAMES_MAX);
	c->id = ++all->last_id;
	c->ops = ops;
	c->arg = arg;
	c->account = ask->account;
	c->round = a == NULL ? 0 : a->schedule.round;
	c->port = a == NULL ? ask->port : a->conf.port;
	c->host = strdup(a == NULL ? ask->host : a->conf.host);
	c->tls = strdup(a == NULL ? ask->tls : conf_word(CONF_TYPE_tls, a->conf.tls));
	c->limit = evtimer_new(all->deps->base, on_limit, c);
	LIST_INSERT_HEAD(&all->list, c, entry);
	delivery_use(all->deps->delivery, ROLE_SEND, 1);
	if (c->host != NULL && c->tls != NULL && c->limit != NULL)
		c->request = make_request(all->deps, c, ask);
	if (c->request == NULL || message_error(c->request) < 0) {
		check_end(c);
		return -ENOMEM;
	}
	(void)evtimer_add(c->limit, &limit);
	count_check(c, ask->usage);
	*ret = c;
	check_send(c);
	return 0;
}

/* ---- what came of it ---- */

static int
status_of(enum retry_class retry)
{
	switch (retry) {
	case RETRY_PERMANENT_MESSAGE:
		return EX_DATAERR;
	case RETRY_PERMANENT_ACCOUNT:
	case RETRY_NEEDS_AUTHORIZATION:
		return EX_NOPERM;
	case RETRY_CONFIGURATION:
		return EX_CONFIG;
	default:
		return EX_TEMPFAIL;
	}
}

static const char *
or_null(const char *text)
{
	return text == NULL || *text == '\0' ? NULL : text;
}

static void
judge(const struct check *c, const struct message *m, const struct smtp_reply *reply,
    struct diagnosis *ret)
{
	const struct queue_account *a = c->account;
	struct diagnosis_facts facts = {.reply = reply,
	    .host = c->host,
	    .port = c->port,
	    .tls = c->tls,
	    .mechanism = message_str(m, F_MECHANISM),
	    .mail_from = message_str(m, F_SENDER)};

	if (a != NULL) {
		facts.account = a->name;
		facts.provider = or_null(a->conf.provider);
		facts.grant = or_null(conf_word(CONF_TYPE_grant, a->conf.grant));
		facts.secret_from = or_null(a->conf.secret_from);
		facts.auth_user =
		    *a->conf.auth_user != '\0' ? a->conf.auth_user : or_null(a->conf.mailbox);
	}
	verdict_on_facts(a, &facts, ret);
}

/* The server takes the mail, but something was found to be wrong: so far only what DNS says of the sender's domain is
 * looked at beside the way of a message. */
static void
judge_findings(const struct check *c, struct diagnosis *ret)
{
	const char *domain = c->account == NULL ? NULL : address_domain(c->account->conf.mailbox);

	ret->cause = "sender-domain-records";
	ret->fixer = "sender-config";
	ret->retry = RETRY_CONFIGURATION;
	(void)snprintf(ret->text, sizeof(ret->text),
	    "The server takes the mail, but receivers may refuse it or take it for spam: %s "
	    "failed.",
	    buf_str(&c->failed));
	(void)snprintf(ret->next, sizeof(ret->next),
	    "Correct the DNS records of %s as the findings marked fail say, then check again.",
	    domain == NULL ? "the sender's domain" : domain);
}

/* A login that a server refuses is one more of those that it counts, whoever asked for it: the
 * account's mail waits as after a login of its own. */
static void
count_login(const struct check *c, const struct smtp_reply *reply, const struct diagnosis *d)
{
	struct schedule_verdict v;

	if (c->account == NULL || reply->stage != SMTP_STAGE_AUTH || reply->code == 0)
		return;
	v = schedule_verdict(reply, d);
	if (v.account != SCHEDULE_ACTIVE)
		delivery_settle_account(c->all->deps->delivery, c->account, c->round, &v, reply);
}

static struct message *
make_verdict(const struct check *c, const struct message *m, int *ret_status)
{
	struct message *out = message_new(M_ROW_VERDICT);
	CLEANUP_BUF struct buf next = BUF_INIT(2048), words = BUF_INIT(4096);
	struct diagnosis d = {.cause = "healthy", .fixer = "", .retry = RETRY_TRANSIENT};
	struct smtp_reply reply = {0};
	const uint8_t *bytes;
	size_t len;

	bytes = message_bytes(m, F_RESULT, &len);
	*ret_status = EX_OK;
	if (bytes != NULL && reply_get(bytes, len, &reply) == 0) {
		judge(c, m, &reply, &d);
		count_login(c, &reply, &d);
		*ret_status = status_of(d.retry);
		verdict_reply_text(&reply, &words);
	} else if (c->failed.len > 0) {
		judge_findings(c, &d);
		*ret_status = status_of(d.retry);
	} else {
		(void)snprintf(d.text, sizeof(d.text), "Everything that was tried works.");
		(void)snprintf(d.next, sizeof(d.next), "Nothing to do.");
	}
	(void)buf_append_str(&next, d.next);
	if (message_has(m, F_NEXT))
		(void)buf_printf(&next, " %s", message_str(m, F_NEXT));
	message_put_str(out, F_STATE, *ret_status == EX_OK ? "ok" : "fail");
	message_put_str(out, F_CAUSE, d.cause);
	message_put_str(out, F_FIXER, d.fixer);
	message_put_str(out, F_RETRY, *ret_status == EX_OK ? "" : diagnosis_retry_name(d.retry));
	message_put_str(out, F_TEXT, d.text);
	message_put_str(out, F_NEXT, buf_str(&next));
	if (words.len > 0)
		message_put_str(out, F_REPLY, buf_str(&words));
	message_put_str(out, F_ENDPOINT, message_str(m, F_ENDPOINT));
	message_put_str(out, F_TRANSCRIPT, message_str(m, F_TRANSCRIPT));
	smtp_reply_clear(&reply);
	return out;
}

static void
take_done(struct check *c, const struct message *m)
{
	const struct check_ops *ops = c->ops;
	void *arg = c->arg;
	int status;

	ops->row(arg, make_verdict(c, m, &status));
	check_end(c);
	ops->end(arg, NULL, status);
}

static void
take_step(struct check *c, const struct message *m)
{
	struct message *out = message_new(M_ROW_CHECK);

	if (strcmp(message_str(m, F_STATE), "fail") == 0 &&
	    strstr(buf_str(&c->failed), message_str(m, F_NAME)) == NULL)
		(void)buf_printf(
		    &c->failed, "%s%s", c->failed.len > 0 ? ", " : "", message_str(m, F_NAME));
	message_put_str(out, F_NAME, message_str(m, F_NAME));
	message_put_str(out, F_STATE, message_str(m, F_STATE));
	message_put_str(out, F_TEXT, message_str(m, F_TEXT));
	c->ops->row(c->arg, out);
}

void
checks_answer(struct checks *all, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);

	struct check *c;

	LIST_FOREACH (c, &all->list, entry)
		if (c->id == id) {
			if (message_type(m) == M_CHECK_STEP)
				take_step(c, m);
			else
				take_done(c, m);
			return;
		}
}

void
checks_peer(struct checks *all, bool up)
{
	for (struct check *next, *c = LIST_FIRST(&all->list); c != NULL; c = next) {
		next = LIST_NEXT(c, entry);
		if (up && c->request != NULL)
			check_send(c);
		else if (!up && c->request == NULL)
			check_fail(
			    c, "The network role ended in the middle of the check.", EX_TEMPFAIL);
	}
}

struct checks *
checks_new(const struct control_deps *deps)
{
	struct checks *all = calloc(1, sizeof(*all));

	if (all != NULL) {
		all->deps = deps;
		LIST_INIT(&all->list);
	}
	return all;
}
