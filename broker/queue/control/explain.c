/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * explain.c: what services are and why they answer as they do, in words for people. Every answer
 * comes from the functions that decide about mail: what is said here cannot be another rule than
 * the one that is applied.
 */
#include "broker/queue/control/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "broker/queue/common/local.h"
#include "broker/queue/inbound/envelope.h"
#include "broker/queue/inbound/password.h"

/* LISTED_MAX: octets of all lists of a service, so that they fit into one message. */
enum {
	LISTED_MAX = 40 * 1024,
	NUMBER_COST = 16,
	STRING_COST = 9,
	TEXT_MAX = 8 * 1024,
	TOLD_MAX = 10 /* addresses that a recipient leads to */
};

/* ---- a service ---- */

static void
put_numbers(struct message *m, enum field f, const struct conf_ids *list, size_t *room)
{
	for (size_t i = 0; i < list->count && *room >= NUMBER_COST; i++) {
		message_put_u64(m, f, list->items[i]);
		*room -= NUMBER_COST;
	}
}

static void
put_strings(struct message *m, enum field f, const struct conf_strings *list, size_t *room)
{
	for (size_t i = 0; i < list->count; i++) {
		size_t cost = strlen(list->items[i]) + STRING_COST;

		if (cost > *room)
			break;
		message_put_str(m, f, list->items[i]);
		*room -= cost;
	}
}

static void
put_limit(struct message *m, enum field f, uint64_t limit)
{
	if (limit > 0)
		message_put_u64(m, f, limit);
}

struct message *
explain_service(const struct control_deps *deps, const struct service *v)
{
	const struct conf_service *p = &v->policy;
	struct message *m = message_new(M_ROW_SERVICE);
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	int64_t made = p->password ? password_time(deps->spool, v->name) : 0;
	size_t room = LISTED_MAX;

	for (size_t i = 0; i < v->account_count; i++)
		(void)buf_printf(&text, "%s%s", i > 0 ? ", " : "accounts: ", v->accounts[i]->name);
	message_put_str(m, F_SERVICE, v->name);
	message_put_str(m, F_MODE, conf_word(CONF_TYPE_mode, p->mode));
	message_put_u64(m, F_COUNT, v->accepted);
	if (text.len > 0)
		message_put_str(m, F_TEXT, buf_str(&text));
	message_put_str(m, F_FROM_POLICY, conf_word(CONF_TYPE_from, p->from));
	message_put_u64(m, F_ANY_USER, p->any_user);
	message_put_str(m, F_SOCKET_NAME, p->socket ? p->name : NULL);
	message_put_u64(m, F_PASSWORD_ALLOWED, p->password);
	if (made > 0)
		message_put_u64(m, F_PASSWORD_TIME, (uint64_t)made);
	put_limit(m, F_RATE, p->rate_minute);
	put_limit(m, F_RATE_DAY, p->rate_day);
	put_limit(m, F_SIZE_LIMIT, p->size_max);
	put_limit(m, F_QUEUE_LIMIT, p->queue_max);
	message_put_u64(m, F_SIZE, spool_octets_of(deps->spool, v->name));
	put_limit(m, F_RECIPIENTS_MAX, p->recipients_max);
	put_strings(m, F_ACCOUNT, &p->accounts, &room);
	put_strings(m, F_SENDERS, &p->senders, &room);
	put_strings(m, F_RECIPIENTS, &p->recipients, &room);
	put_strings(m, F_DELIVER_TO, &p->deliver_to, &room);
	put_numbers(m, F_USER, &p->users, &room);
	put_numbers(m, F_GROUP, &p->groups, &room);
	return m;
}

/* ---- a rule ---- */

struct message *
explain_rule(
    const struct control_deps *deps, size_t at, size_t matched, const struct policy_caller *who)
{
	struct message *m = message_new(M_ROW_RULE);
	enum policy_reason reason;

	(void)policy_takes(deps->services->policies[at], who, &reason);
	message_put_str(m, F_SERVICE, deps->services->policies[at]->name);
	message_put_str(m, F_STATE,
	    at < matched    ? "passes"
	    : at == matched ? "matches"
			    : "not-reached");
	message_put_str(m, F_TEXT,
	    at > matched ? "the first service that matches answers alone"
			 : policy_reason_text(reason));
	return m;
}

/* ---- a decision ---- */

static void
line(struct buf *text, const char *sentence, const char *detail)
{
	(void)buf_printf(text, "%s%s%s", text->len > 0 ? "\n" : "", sentence, detail);
}

/* What becomes of the sender. */
static void
tell_sender(const struct service *v, const struct policy_claim *c, const struct policy_decision *d,
    struct buf *text)
{
	const char *claimed = c->from_count > 0 ? c->from[0] : "<>";

	if (d->from_replaced || d->sender_replaced) {
		line(text, claimed, " is not among the senders, and from = \"rewrite\"");
		line(text, "the message goes out from ", d->sender);
		if (d->from_replaced)
			line(text,
			    "the old From is kept in X-Original-From, and in Reply-To where there "
			    "is none",
			    "");
	} else if (v->policy.from == CONF_FROM_KEEP) {
		line(text, "from = \"keep\": any sender may be used", "");
	} else if (c->envelope == POLICY_ENVELOPE_NULL) {
		line(text, "the null sender gets the service's own: ", d->sender);
	} else {
		line(text, claimed,
		    v->policy.senders.count > 0 ? " is among the senders"
						: " is the mailbox of one of the accounts");
	}
	if (*d->account->name != '\0') {
		bool own = d->account->mailbox != NULL &&
			   address_equal_nocase(d->account->mailbox, d->sender);

		(void)buf_printf(text, "\naccount %s %s", d->account->name,
		    own ? "has this sender as its mailbox"
			: "is the first of the service, or has the From");
	}
}

static void
tell_limits(const struct service *v, struct buf *text)
{
	uint64_t wait = service_rate_wait(v);

	if (wait > 0)
		(void)buf_printf(text,
		    "\nright now its rate is used up: the next message is taken in %" PRIu64 " s",
		    wait / 1000 + 1);
}

/* What RCPT would be answered, and in `to` where it leads. */
static void
take_recipient(const struct control_deps *deps, const struct service *v, const char *recipient,
    struct envelope *to, struct envelope_refusal *ret)
{
	static const struct smtp_rcpt_params none;

	*ret = (struct envelope_refusal){0};
	if (recipient != NULL)
		envelope_add(deps->settings, to, &v->policy, recipient, &none, ret);
}

static void
tell_recipient(
    const struct service *v, const char *recipient, const struct envelope *to, struct buf *text)
{
	const char *why = v->policy.recipients.count > 0 ? " is among the recipients"
							 : ": any recipient may be reached";

	for (size_t i = 0; i < to->count && i < TOLD_MAX; i++) {
		line(text, to->list[i].address, why);
		if (strcmp(to->list[i].address, recipient) != 0)
			(void)buf_printf(text, " (%s leads there)", recipient);
	}
	if (to->count > TOLD_MAX)
		(void)buf_printf(text, "\nand %zu more", to->count - TOLD_MAX);
}

static void
put_refusal(
    struct message *m, struct buf *text, const char *reply, const char *why, const char *culprit)
{
	line(text, why, "");
	if (culprit != NULL && *culprit != '\0')
		(void)buf_printf(text, ": %s", culprit);
	message_put_str(m, F_STATE, "refuse");
	message_put_str(m, F_REPLY, reply);
}

/* Without a recipient: is it what the service does with all others? */
static bool
is_captured(const struct service *v, const struct envelope *to)
{
	return to->count == 0 ? v->policy.mode == CONF_MODE_CAPTURE
			      : policy_is_captured(&v->policy, to->list[0].address);
}

static void
put_decision(const struct control_deps *deps, struct message *m, const struct service *v,
    const struct policy_claim *c, const char *recipient)
{
	CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX);
	struct policy_decision d;
	struct envelope to = {0};
	struct envelope_refusal no;
	char reply[24];

	service_decide(v, c, &d);
	take_recipient(deps, v, recipient, &to, &no);
	if (d.refused != NULL) {
		put_refusal(m, &text, "550 5.7.1", d.refused, d.culprit);
	} else if (no.code != 0) {
		(void)snprintf(reply, sizeof(reply), "%d %s", no.code, no.enhanced);
		put_refusal(m, &text, reply, no.words, no.address);
	} else {
		tell_sender(v, c, &d, &text);
		if (recipient != NULL)
			tell_recipient(v, recipient, &to, &text);
		tell_limits(v, &text);
		message_put_str(m, F_STATE, "accept");
		message_put_str(m, F_ACCOUNT, d.account->name);
		message_put_str(m, F_SENDER, d.sender);
		message_put_str(m, F_FROM,
		    d.from != NULL      ? d.from
		    : c->from_count > 0 ? c->from[0]
					: d.sender);
		message_put_str(m, F_MODE, is_captured(v, &to) ? "capture" : "deliver");
	}
	message_put_str(m, F_TEXT, buf_str(&text));
	envelope_clear(&to);
}

struct message *
explain_decision(const struct control_deps *deps, const struct service *v, uint32_t uid,
    const char *sender, const char *recipient)
{
	struct message *m = message_new(M_ROW_DECISION);
	CLEANUP_FREE char *from = local_qualify(deps->settings, sender), *self = NULL;
	char name[32];
	struct policy_claim c = {.envelope = POLICY_ENVELOPE_GIVEN, .from_count = 1};

	(void)snprintf(name, sizeof(name), "uid%" PRIu32, uid);
	self = local_qualify(deps->settings, name);
	if (from == NULL || self == NULL)
		return message_free(m);
	if (v == NULL) {
		message_put_str(m, F_STATE, "refuse");
		message_put_str(m, F_REPLY, "550 5.7.1");
		message_put_str(m, F_TEXT, "No service is for this caller.");
		return m;
	}
	c.sender = from;
	c.caller = self;
	c.from = (const char *const *)&from;
	if (*sender == '\0') {
		c.envelope = POLICY_ENVELOPE_NULL;
		c.from_count = 0;
	}
	message_put_str(m, F_SERVICE, v->name);
	put_decision(deps, m, v, &c, recipient);
	return m;
}
