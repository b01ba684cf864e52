/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission.c: see submission.h. What base/smtp/server.h asks of a session is decided here.
 *
 * MAIL finds the service that is for this caller, which takes a question to main for a caller not
 * known yet. The content streams through complete.h into memory, or into the file of its body once it
 * is larger than SPOOL_INLINE_MAX; policy decides about the sender when the header section is
 * complete. The end of the content hands the message to store.c; the answer comes when it is on disk.
 * Nothing is kept of a transaction that is refused.
 *
 * The shim asks more of a session: is a submission known, mailq's list, a try of what waits, where an
 * address goes, and newaliases. None of these commands is on a listener.
 */
#include "broker/queue/inbound/submission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/smtp/server.h"
#include "broker/message/complete.h"
#include "broker/message/fields.h"
#include "broker/queue/common/local.h"
#include "broker/queue/inbound/authentication.h"
#include "broker/queue/inbound/body.h"
#include "broker/queue/inbound/envelope.h"
#include "broker/queue/inbound/newaliases.h"
#include "broker/queue/inbound/store.h"
#include "broker/queue/inbound/usage.h"
#include "broker/queue/spool/message-log.h"

enum {
	BAD_COMMANDS_MAX = 50,
	LISTENER_RECIPIENTS_MAX = 1000,
	LISTENER_BAD_COMMANDS_MAX = 10,
};

/* What complete.h borrows while it writes the header. */
struct plan_texts {
	struct buf date, id, received;
};

struct transaction {
	struct service *service;
	struct complete *complete;
	struct complete_facts facts;
	struct body body;
	struct spool_message *message;
	struct envelope recipients; /* until the message is complete */
	struct usage *usage;
	uint64_t in_flight;    /* octets of the body counted there */
	uint64_t memory;       /* and of what is in memory: envelope, header section */
	uint64_t octets;       /* of content that came */
	const char *rewritten; /* "From", "envelope" or NULL */
	enum policy_envelope envelope;
	char *sender;    /* given, qualified */
	char *caller;    /* the calling user's own address */
	char *full_name; /* -F, or the user's own */
	char *account;   /* that it is to go by; NULL: left open */
	struct plan_texts texts;
	bool from_replaced; /* the caller's own From is not what goes out */
	bool duplicate;     /* stored already: its content is dropped */
	/* why its content is refused */
	int code;
	char enhanced[12], words[400];
};

struct submission {
	struct inbound *in;
	const struct caller *caller;
	const struct submission_ops *ops;
	void *arg;
	struct smtp_server *engine;
	char *hostname, *mail_name; /* outlive the configuration they came from */
	struct transaction *t;
	struct pending_store *storing; /* the commit that is awaited */
	void *list;                    /* that is being made, of ops->list */
	const struct buf *listed;      /* what it is written to */
	uint64_t listed_memory; /* octets counted in usage, until the session ends or asks again */
	struct authentication *authentication; /* of a listener; NULL elsewhere */
	bool reading_aliases;
	struct usage *usage;
	/* MAIL that waits for the user's name */
	bool asking;
	char sender[ADDRESS_MAX + 1];
	struct smtp_mail_params params;
	/* outcome of the last transaction */
	int result;
	char result_words[400];
};

/* The service that the client named by its password; NULL: none. */
static const char *
logged_in_as(const struct submission *s)
{
	return s->authentication == NULL ? NULL : authentication_name(s->authentication);
}

/* ---- transactions ---- */

static struct transaction *
transaction_free(struct transaction *t)
{
	if (t == NULL)
		return NULL;
	(void)complete_free(t->complete);
	body_clear(&t->body, false);
	envelope_clear(&t->recipients);
	if (t->usage != NULL) {
		usage_shrink(t->usage, t->in_flight);
		usage_release(t->usage, t->memory);
	}
	(void)spool_message_free(t->message);
	free(t->sender);
	free(t->caller);
	free(t->full_name);
	free(t->account);
	buf_free(&t->texts.date);
	buf_free(&t->texts.id);
	buf_free(&t->texts.received);
	free(t);
	return NULL;
}

/* A name that is no local part is quoted by nobody, so the uid stands for it. */
char *
submission_user_address(const struct queue_settings *s, const struct user *u)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "uid%" PRIu32, u->uid);
	return local_qualify(
	    s, address_is_valid(u->name, strlen(u->name), true) && address_domain(u->name) == NULL
		   ? u->name
		   : name);
}

/* A password tells which service calls, and nothing of who does. */
static void
set_owner(const struct submission *s, struct spool_message *m)
{
	const struct caller *c = s->caller;

	m->uid = logged_in_as(s) != NULL ? -1 : (int64_t)c->uid;
	if (m->uid >= 0)
		m->flags |= c->socket != NULL ? SPOOL_OF_SOCKET : SPOOL_OF_USER;
}

static struct transaction *
transaction_new(struct submission *s, struct service *service, const char *sender,
    const struct smtp_mail_params *p, const struct user *u)
{
	struct inbound *in = s->in;
	struct transaction *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->service = service;
	t->usage = s->usage;
	body_init(&t->body, in->spool, in->clock);
	buf_init(&t->texts.date, 64);
	buf_init(&t->texts.id, 512);
	buf_init(&t->texts.received, 1024);
	t->message = calloc(1, sizeof(*t->message));
	t->caller = submission_user_address(in->settings, u);
	t->full_name = strdup(p->full_name[0] != '\0' ? p->full_name : u->full_name);
	t->envelope = p->caller         ? POLICY_ENVELOPE_CALLER
		      : *sender == '\0' ? POLICY_ENVELOPE_NULL
					: POLICY_ENVELOPE_GIVEN;
	t->sender =
	    t->envelope == POLICY_ENVELOPE_GIVEN ? local_qualify(in->settings, sender) : strdup("");
	if (*p->account != '\0')
		t->account = strdup(p->account);
	if (t->message == NULL || t->caller == NULL || t->full_name == NULL || t->sender == NULL ||
	    (*p->account != '\0' && t->account == NULL))
		return transaction_free(t);
	t->message->id = t->body.id;
	t->message->service = strdup(service->name);
	t->message->envid = strdup(p->envid);
	if (t->message->service == NULL || t->message->envid == NULL)
		return transaction_free(t);
	set_owner(s, t->message);
	t->message->ret = p->ret;
	if (p->requiretls)
		t->message->flags |= SPOOL_REQUIRETLS;
	(void)snprintf(
	    t->message->submission, sizeof(t->message->submission), "%s", p->submission_id);
	t->duplicate = p->submission_id[0] != '\0' && spool_known(in->spool, p->submission_id) == 1;
	return t;
}

/* Keeps the outcome of the transaction, for submission_result. */
static void
note(struct submission *s, int code, const char *words)
{
	s->result = code;
	(void)snprintf(s->result_words, sizeof(s->result_words), "%s", words);
}

/* Has the engine answer so, and notes it; returns SMTP_REFUSE. */
static enum smtp_decision
refuse(struct submission *s, int code, const char *enhanced, const char *words)
{
	note(s, code, words);
	smtp_server_refuse(s->engine, code, enhanced, "%s", words);
	return SMTP_REFUSE;
}

/* Why a message over the service's limit is refused, with the limit. */
static void
too_large(const struct service *v, char *words, size_t size)
{
	(void)snprintf(words, size,
	    "The message is larger than this service may send: at most %" PRIu64 " octets",
	    v->policy.size_max);
}

static const char *
origin_text(const struct caller *c)
{
	return c->origin[0] == '\0' ? NULL : c->origin;
}

/* The same with an audit line and an event. `service` and `address`, a sender or a recipient, may be NULL. */
static enum smtp_decision
refuse_logged(struct submission *s, struct service *service, const char *address, int code,
    const char *enhanced, const char *words)
{
	const struct transaction *t = s->t;
	bool is_recipient = t != NULL && address != t->sender && address != t->caller;
	char uid[16], who[LOG_LIMIT_WHO_MAX];

	if (service == NULL)
		s->in->refused++;
	else
		service->refused++;

	usage_name(s->usage, who);
	log_limited(s->in->log, who, LOG_LEVEL_NOTICE, "A message is refused.",
	    LOG_PAIRS({LOG_OUTCOME, words}, {LOG_UID, entrance_uid_text(s->caller, uid)},
		{LOG_SERVICE, service == NULL ? NULL : service->name}, {LOG_SENDER, address},
		{LOG_ENDPOINT, origin_text(s->caller)}));
	s->in->ops->rejected(s->in->ops_arg, service == NULL ? NULL : service->name,
	    is_recipient ? t->sender : address, is_recipient ? address : NULL, code, enhanced,
	    words);
	return refuse(s, code, enhanced, words);
}

/* What the transaction holds in memory now is the caller's. */
static void
count_memory(struct transaction *t)
{
	uint64_t now = envelope_memory(&t->recipients);

	if (t->complete != NULL)
		now += complete_memory(t->complete);
	if (now > t->memory)
		usage_hold(t->usage, now - t->memory);
	else
		usage_release(t->usage, t->memory - now);
	t->memory = now;
}

/* ---- MAIL ---- */

static struct service *
service_for(const struct submission *s, const struct user *u)
{
	const struct inbound *in = s->in;
	const struct caller *c = s->caller;
	struct policy_caller who = {c->uid, c->groups_by_name ? u->groups : c->groups,
	    c->groups_by_name ? u->group_count : c->group_count, c->socket};
	size_t i;

	/* the password is the service's own: no rule in front of it is asked */
	if (logged_in_as(s) != NULL)
		return authentication_service(s->authentication);
	if ((entrance_rights(in, c) & CALLER_MAY_SUBMIT) == 0 || c->auth_required)
		return NULL;
	i = policy_match(in->services->policies, in->services->count, &who);
	return i < in->services->count ? in->services->list[i] : NULL;
}

/* Nobody is known to call: the entrance is a listener, where AUTH may help. */
static enum smtp_decision
refuse_nobody(struct submission *s, const char *sender)
{
	/* who may change that is told how to see it */
	if ((entrance_rights(s->in, s->caller) & CALLER_MAY_ADMINISTER) != 0)
		return refuse_logged(s, NULL, sender, 550, "5.7.1",
		    "No service is configured for this user: frank service explain USER SENDER "
		    "shows which there are, and why none is for it");
	if (s->caller->listener == NULL)
		return refuse_logged(s, NULL, sender, 550, "5.7.1",
		    "No service is configured for this user: ask the administrator of this host");
	return refuse_logged(s, NULL, sender, 530, "5.7.0",
	    "No service is configured for the user who calls: log in with a service's name and "
	    "password");
}

/* A sender that the service may not claim is refused before the message travels; what its header says
 * comes later. */
static bool
refuse_sender(struct submission *s)
{
	const struct transaction *t = s->t;
	struct policy_claim claim = {
	    .envelope = t->envelope, .sender = t->sender, .caller = t->caller};
	struct policy_decision d;
	char words[sizeof(s->result_words)];

	service_decide(t->service, &claim, &d);
	if (!d.sender_refused)
		return false;
	(void)snprintf(words, sizeof(words), "%s: %s", d.refused, d.culprit);
	(void)refuse_logged(s, t->service, t->sender, 550, "5.7.1", words);
	s->t = transaction_free(s->t);
	return true;
}

static enum smtp_decision
refuse_size(struct submission *s, struct service *v, const char *sender)
{
	char words[sizeof(s->result_words)];

	too_large(v, words, sizeof(words));
	return refuse_logged(s, v, sender, 552, "5.3.4", words);
}

static enum smtp_decision
mail_with_user(struct submission *s, const char *sender, const struct smtp_mail_params *p,
    const struct user *u)
{
	struct service *v = service_for(s, u);
	const char *words;
	uint64_t wait;

	if (v == NULL)
		return refuse_nobody(s, p->caller ? u->name : sender);
	if (v->account_count == 0 && v->policy.mode != CONF_MODE_CAPTURE)
		return refuse_logged(
		    s, v, sender, 550, "5.7.1", "The service has no account to send through");
	if (*p->account != '\0' && policy_account(v->names, v->account_count, p->account) == NULL)
		return refuse_logged(s, v, sender, 550, "5.7.1",
		    "The service of this caller does not send by the account that is asked for");
	if (v->policy.size_max > 0 && p->size > v->policy.size_max)
		return refuse_size(s, v, sender);
	words = space_refusal(s->in->space, &(struct space_claim){.service = v->name,
						.quota = v->policy.queue_max,
						.octets = p->size,
						.dropped = s->caller->groups_by_name});
	if (words != NULL)
		return refuse_logged(s, v, sender, 452, "4.3.1", words);
	if (usage_wait(s->usage) > 0)
		return refuse_logged(s, v, sender, 452, "4.7.1",
		    "This user hands in more messages a minute than it may: try again later");
	wait = service_rate_wait(v);
	if (wait > 0)
		return refuse_logged(s, v, sender, 450, "4.7.1",
		    "The service sends more than its rate allows: try again later");
	s->t = transaction_new(s, v, sender, p, u);
	if (s->t == NULL)
		return refuse(s, 452, "4.3.0", "Out of memory");
	/* The mail domain may have made it too long. */
	if (*s->t->sender != '\0' && !address_is_valid(s->t->sender, strlen(s->t->sender), false)) {
		s->t = transaction_free(s->t);
		return refuse(s, 553, "5.1.7", "This is no address");
	}
	return refuse_sender(s) ? SMTP_REFUSE : SMTP_ACCEPT;
}

static void
on_user(void *arg, const struct user *u)
{
	struct submission *s = arg;

	s->asking = false;
	smtp_server_answer(s->engine, mail_with_user(s, s->sender, &s->params, u));
	s->ops->proceed(s->arg);
}

/* The service that the caller is, and no user of this host; NULL: it is one. */
static const char *
service_name(const struct submission *s)
{
	return logged_in_as(s) != NULL ? logged_in_as(s) : s->caller->socket;
}

static enum smtp_decision
on_mail(void *arg, const char *sender, const struct smtp_mail_params *p)
{
	struct submission *s = arg;
	const char *name = service_name(s);
	const struct user *u;

	note(s, 0, "");
	if (s->in->stopping)
		return refuse(s, 421, "4.3.2", "Frank is stopping: try again later");
	if (name != NULL || (entrance_rights(s->in, s->caller) & CALLER_IS_LOOKED_UP) == 0) {
		/* a service by itself, or nobody: nothing is known of the user */
		CLEANUP_FREE char *own = strdup(name == NULL ? "" : name);
		char no_name[1] = "";
		const struct user self = {.uid = s->caller->uid, .name = own, .full_name = no_name};

		return own == NULL ? refuse(s, 452, "4.3.0", "Out of memory")
				   : mail_with_user(s, sender, p, &self);
	}
	u = users_get(s->in->users, s->caller->uid, on_user, s);
	if (u != NULL)
		return mail_with_user(s, sender, p, u);
	s->asking = true;
	(void)snprintf(s->sender, sizeof(s->sender), "%s", sender);
	s->params = *p;
	return SMTP_LATER;
}

/* ---- RCPT ---- */

/* What is all or nothing cannot be split: it never fits. */
static void
judge_number(const struct transaction *t, struct envelope_refusal *no)
{
	if (strcmp(no->enhanced, "4.5.3") != 0 || t->message->submission[0] == '\0')
		return;
	no->code = 552;
	no->enhanced[0] = '5';
	no->enhanced[2] = '5';
}

static enum smtp_decision
on_rcpt(void *arg, const char *recipient, const struct smtp_rcpt_params *p)
{
	struct submission *s = arg;
	struct envelope_refusal no;

	if (usage_holds_too_much(s->t->usage))
		return refuse_logged(s, s->t->service, s->t->sender, 452, "4.5.3",
		    "This user hands in more recipients at once than it may: try again later");
	envelope_add(s->in->settings, &s->t->recipients, &s->t->service->policy, recipient, p, &no);
	count_memory(s->t);
	if (no.code == 0)
		return SMTP_ACCEPT;
	judge_number(s->t, &no);
	return no.by_policy
		   ? refuse_logged(s, s->t->service, no.address, no.code, no.enhanced, no.words)
		   : refuse(s, no.code, no.enhanced, no.words);
}

static void
on_reset(void *arg)
{
	struct submission *s = arg;

	s->t = transaction_free(s->t);
	if (s->authentication != NULL)
		authentication_cancel(s->authentication);
}

/* ---- the content ---- */

static void
refuse_content(
    struct transaction *t, int code, const char *enhanced, const char *words, const char *detail)
{
	t->code = code;
	(void)snprintf(t->enhanced, sizeof(t->enhanced), "%s", enhanced);
	(void)snprintf(t->words, sizeof(t->words), "%s%s%s", words, detail == NULL ? "" : ": ",
	    detail == NULL ? "" : detail);
}

static int
random_id(struct buf *out, const char *domain, int64_t now)
{
	unsigned char bytes[16];
	int r = getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) ? 0 : -EIO;

	if (r == 0)
		r = buf_append_char(out, '<');
	if (r == 0)
		r = hex_encode(out, bytes, sizeof(bytes));
	return r < 0 ? r : buf_printf(out, ".%" PRId64 "@%s>", now, domain);
}

static int
fill_texts(struct submission *s, const char *domain, struct plan_texts *x)
{
	const struct conf *c = s->in->settings->conf;
	char id[SPOOL_ID_LEN];
	int r = clock_date(&x->date);

	if (r == 0)
		/* in ASCII, so that no server is needed for it that takes more */
		r = random_id(&x->id,
		    domain == NULL || text_has_eight_bit(domain, strlen(domain)) ? c->mail_name
										 : domain,
		    (int64_t)time(NULL));
	if (r == 0)
		r = buf_printf(&x->received, "by %s (Frank) id %s; %s", c->hostname,
		    spool_id_text(s->t->message->id, id), buf_str(&x->date));
	return r;
}

static char *
copy_or_null(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

/* The header section is there: who may this be from? */
static int
decide_sender(struct submission *s, const struct complete_claim *claim, struct policy_decision *d)
{
	struct transaction *t = s->t;
	struct policy_claim c = {.envelope = t->envelope,
	    .sender = t->sender,
	    .account = t->account,
	    .caller = t->caller,
	    .from = claim->from,
	    .from_count = claim->from_count,
	    .from_unreadable = claim->from_unreadable,
	    .from_double = claim->from_double};

	service_decide(t->service, &c, d);
	if (d->refused != NULL) {
		refuse_content(t, 550, "5.7.1", d->refused, d->culprit);
		return -EPERM;
	}
	t->message->account = strdup(d->account->name);
	t->message->sender = strdup(d->sender);
	t->message->return_to = copy_or_null(d->return_to);
	if (t->message->account == NULL || t->message->sender == NULL ||
	    (d->return_to != NULL && t->message->return_to == NULL))
		return -ENOMEM;
	t->rewritten = d->from_replaced ? "From" : d->sender_replaced ? "envelope" : NULL;
	return 0;
}

static bool
sender_field_allowed(const struct transaction *t, const char *sender)
{
	const struct conf_service *p = &t->service->policy;

	/* What is captured by a service that names nobody may be from anybody. */
	if (p->senders.count == 0 && t->service->account_count == 0)
		return true;
	if (sender == NULL || p->from == CONF_FROM_KEEP ||
	    policy_pattern_match(&p->senders, sender))
		return true;
	for (size_t i = 0; i < t->service->account_count; i++)
		if (t->service->names[i].mailbox != NULL &&
		    address_equal_nocase(t->service->names[i].mailbox, sender))
			return true;
	return false;
}

/* The first address of the resent fields that may not be used; NULL: all may. */
static const char *
forbidden_resent(const struct transaction *t, const struct complete_claim *claim)
{
	if (t->service->policy.from == CONF_FROM_KEEP)
		return NULL;
	for (size_t i = 0; i < claim->resent_count; i++)
		if (!sender_field_allowed(t, claim->resent[i]))
			return claim->resent[i];
	return claim->resent_unreadable ? "(unreadable)" : NULL;
}

/* Who resent the message is its sender as well (RFC 5322 section 3.6.6). */
static int
decide_resent(struct transaction *t, const struct complete_claim *claim,
    const struct policy_decision *d, const char **ret)
{
	const char *forbidden = forbidden_resent(t, claim);

	*ret = NULL;
	if (forbidden == NULL)
		return 0;
	if (t->service->policy.from == CONF_FROM_REFUSE) {
		refuse_content(
		    t, 550, "5.7.1", "this Resent-From or Resent-Sender is not allowed", forbidden);
		return -EPERM;
	}
	/* Where it stays, every address of From is one that may be used. */
	*ret = d->from != NULL || claim->from_count == 0 ? d->from : claim->from[0];
	if (*ret == NULL)
		*ret = d->sender;
	return 0;
}

static int
on_plan(void *arg, const struct complete_claim *claim, struct complete_plan *ret)
{
	struct submission *s = arg;
	struct plan_texts *x = &s->t->texts;
	struct policy_decision d;
	const char *domain, *resent_from = NULL;
	int r = decide_sender(s, claim, &d);

	if (r == 0)
		r = decide_resent(s->t, claim, &d, &resent_from);
	if (r < 0)
		return r;
	s->t->from_replaced = d.from_replaced;
	domain = address_domain(d.from != NULL          ? d.from
				: claim->from_count > 0 ? claim->from[0]
							: "");
	r = fill_texts(s, domain, x);
	if (r < 0)
		return r;
	*ret = (struct complete_plan){
	    .from = d.from,
	    .from_replaced = d.from_replaced,
	    .full_name = s->t->full_name,
	    .drop_sender = !sender_field_allowed(s->t, claim->sender),
	    .resent_from = resent_from,
	    .date = buf_str(&x->date),
	    .message_id = buf_str(&x->id),
	    .received = buf_str(&x->received),
	};
	return 0;
}

static int
on_write(void *arg, const char *bytes, size_t len)
{
	struct submission *s = arg;

	return body_write(&s->t->body, bytes, len);
}

static const struct complete_ops complete_ops = {on_plan, on_write};

/* What an errno of the completion means to the caller. */
static void
refuse_error(struct transaction *t, int r)
{
	if (t->code != 0)
		return;
	switch (r) {
	case -E2BIG:
		refuse_content(t, 552, "5.3.4", "The header section is too large", NULL);
		break;
	case -ELOOP:
		refuse_content(
		    t, 554, "5.4.6", "The message goes in circles: too many Received fields", NULL);
		break;
	case -ENOMEM:
	case -ENOBUFS:
		refuse_content(t, 452, "4.3.0", "Out of memory", NULL);
		break;
	case -ENOSPC:
	case -EDQUOT:
		refuse_content(t, 452, "4.3.1", "The disk is full", NULL);
		break;
	default:
		refuse_content(t, 451, "4.3.0", "The message cannot be stored", strerror(-r));
		break;
	}
}

static enum smtp_decision
refuse_because(struct submission *s, int r)
{
	struct transaction *t = s->t;

	refuse_error(t, r);
	return refuse_logged(s, t->service,
	    t->envelope == POLICY_ENVELOPE_GIVEN ? t->sender : t->caller, t->code, t->enhanced,
	    t->words);
}

static enum smtp_decision
on_data(void *arg)
{
	struct submission *s = arg;

	s->t->complete = complete_new(s->mail_name, &complete_ops, s);
	return s->t->complete == NULL ? refuse_because(s, -ENOMEM) : SMTP_ACCEPT;
}

/* Why no more of the content is taken for want of space; NULL where it is. What is small is looked at
 * once, at MAIL. */
static const char *
space_for(struct submission *s, uint64_t grown)
{
	const struct transaction *t = s->t;
	const struct space_claim claim = {.service = t->service->name,
	    .quota = t->service->policy.queue_max,
	    .octets = t->body.size,
	    .written = t->body.size,
	    .dropped = s->caller->groups_by_name};

	if (t->body.fd < 0)
		return NULL;
	space_taken(s->in->space, grown);
	return space_refusal(s->in->space, &claim);
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	struct submission *s = arg;
	struct transaction *t = s->t;
	char words[sizeof(t->words)];
	int r = t->duplicate ? 0 : complete_input(t->complete, bytes, len);
	uint64_t grown = t->body.size - t->in_flight;
	const char *no_space;

	t->in_flight += grown;
	count_memory(t);
	if (!usage_grow(t->usage, grown) || usage_holds_too_much(t->usage))
		return refuse_logged(s, t->service, t->sender, 452, "4.3.1",
		    "This user hands in more at once than it may: try again later");
	no_space = space_for(s, grown);
	if (no_space != NULL)
		return refuse_logged(s, t->service, t->sender, 452, "4.3.1", no_space);
	/* as it was handed in, like the limit for all */
	t->octets += len;
	if (r == 0 && t->service->policy.size_max > 0 && t->octets > t->service->policy.size_max) {
		too_large(t->service, words, sizeof(words));
		refuse_content(t, 552, "5.3.4", words, NULL);
		r = -EFBIG;
	}
	return r < 0 ? refuse_because(s, r) : SMTP_ACCEPT;
}

/* A line about content, which is not stored yet. */
static void
note_content(const struct submission *s, const char *sentence)
{
	const struct spool_message *m = s->t->message;
	struct message_log l;
	char who[LOG_LIMIT_WHO_MAX];

	usage_name(s->usage, who);
	log_limited(s->in->log, who, LOG_LEVEL_NOTICE, sentence,
	    message_log_pairs(&l, m, LOG_PAIRS({LOG_SENDER, m->sender})));
}

/* The second pass, where the first one's facts ask for it: into a new body that replaces the old.
 * */
static int
mend(struct submission *s, enum recode_need need)
{
	struct transaction *t = s->t;
	struct body old = t->body;
	struct recode *recode;
	enum recode_way way = 0;
	bool is_signed = false;
	int r;

	body_init(&t->body, s->in->spool, s->in->clock);
	recode = recode_new(need, &t->facts, on_write, s);
	r = recode == NULL ? -ENOMEM : body_recode(&old, recode);
	if (r == 0)
		r = recode_end(recode, &t->facts, &way, &is_signed);
	(void)recode_free(recode);
	body_clear(&old, false);
	t->message->id = t->body.id;
	if (r == -EILSEQ)
		refuse_content(t, 554, "5.6.3",
		    is_signed ? "The content holds octets that mail cannot carry, and a signature "
				"covers them: encode "
				"it before it is signed"
			      : "The content holds octets or lines that mail cannot carry, where "
				"nothing may be "
				"changed: encode it as base64 or quoted-printable",
		    NULL);
	if (r == 0 && (way == RECODE_WAY_SPLIT || way == RECODE_WAY_KEPT))
		note_content(s,
		    way == RECODE_WAY_SPLIT
			? "A line of more than 998 octets between the parts of a message was split."
			: "A signed message has a line of more than 998 octets, which servers may "
			  "refuse; it is sent as it is, since any change would break the "
			  "signature.");
	return r;
}

/* Whoever reads the signature is told why it is gone, or does not fit. */
static void
log_signature(const struct submission *s)
{
	const struct transaction *t = s->t;

	if (t->facts.signature_broken)
		note_content(s, "A signature covers what is changed in the header: it goes out as "
				"X-Original-DKIM-Signature.");
	if (t->from_replaced && t->facts.content_signed)
		note_content(s,
		    "The content is signed by a sender whose From is replaced: who reads it may be "
		    "warned that the two differ.");
}

static int
complete_message(struct submission *s)
{
	struct transaction *t = s->t;
	struct spool_message *m = t->message;
	int r = complete_end(t->complete, &t->facts);
	enum recode_need need = recode_needed(&t->facts);

	if (r == 0)
		envelope_take(&t->recipients, m);
	if (r == 0 && need != RECODE_NONE)
		r = mend(s, need);
	if (r < 0)
		return r;
	log_signature(s);
	if (t->facts.nuls > 0 || t->facts.header_mended)
		note_content(s,
		    "Octets that mail cannot carry (NUL, or CR alone) are taken out of a header or "
		    "a plain text.");
	m->size = t->facts.size;
	m->header_size = t->facts.header_size;
	if (t->facts.eight_bit_body || t->facts.eight_bit_header)
		m->flags |= SPOOL_8BIT;
	if (t->facts.smtputf8 || address_is_utf8(m->sender, strlen(m->sender)))
		m->flags |= SPOOL_SMTPUTF8;
	for (size_t i = 0; i < m->count && (m->flags & SPOOL_SMTPUTF8) == 0; i++)
		if (address_is_utf8(m->recipients[i].address, strlen(m->recipients[i].address)))
			m->flags |= SPOOL_SMTPUTF8;
	m->subject = strdup(t->facts.subject);
	m->message_id = strdup(t->facts.message_id);
	if (m->subject == NULL || m->message_id == NULL)
		return -ENOMEM;
	if (t->body.fd >= 0) {
		m->flags |= SPOOL_BODY_FILE;
		return spool_body_sync(t->body.fd);
	}
	m->body_len = t->body.small.len;
	m->body = buf_take(&t->body.small);
	return m->body == NULL ? -ENOMEM : 0;
}

/* ---- the end of a message ---- */

static void
on_stored(void *arg, const struct spool_message *m, int r, bool is_new)
{
	struct submission *s = arg;
	char id[SPOOL_ID_LEN], words[64];

	s->storing = NULL;
	if (r < 0) {
		(void)refuse(s, 452, "4.3.1",
		    r == -ENOSPC ? "The disk is full" : "The spool cannot be written");
		smtp_server_answer(s->engine, SMTP_REFUSE);
	} else {
		(void)snprintf(words, sizeof(words), "queued%s%s", is_new ? " as " : " before",
		    is_new ? spool_id_text(m->id, id) : "");
		note(s, 250, words);
		smtp_server_reply_text(s->engine, words);
		smtp_server_answer(s->engine, SMTP_ACCEPT);
	}
	s->ops->proceed(s->arg);
}

/* Only of what is stored: the number of that is bounded, and nobody looks for the rest. */
static void
log_rewrite(const struct submission *s)
{
	const struct transaction *t = s->t;
	char uid[16];

	if (t->rewritten != NULL)
		message_log(LOG_LEVEL_INFO, "The sender is rewritten.", t->message,
		    LOG_PAIRS({LOG_UID, entrance_uid_text(s->caller, uid)},
			{LOG_SENDER, t->message->sender}, {LOG_OUTCOME, t->rewritten}));
}

static enum smtp_decision
store(struct submission *s)
{
	struct transaction *t = s->t;
	struct queue_account *a = accounts_find(s->in->accounts, t->message->account);

	log_rewrite(s);
	s->storing = store_message(s->in, t->service, t->message, on_stored, s);
	if (s->storing == NULL)
		return refuse_because(s, -ENOMEM);
	store_signed(s->in, a, t->facts.signed_with);
	usage_message(s->usage);
	t->message = NULL;
	body_clear(&t->body, true);
	return SMTP_LATER;
}

static enum smtp_decision
on_end(void *arg)
{
	struct submission *s = arg;
	struct transaction *t = s->t;
	int r;

	if (t->duplicate) {
		note(s, 250, "queued before");
		smtp_server_reply_text(s->engine, "queued before");
		return SMTP_ACCEPT;
	}
	if (s->ops->has_hung_up != NULL && s->ops->has_hung_up(s->arg)) {
		refuse_content(t, 451, "4.4.2", "The caller hung up before it was answered", NULL);
		return refuse_because(s, -EPIPE);
	}
	r = complete_message(s);
	if (r == 0 && service_rate_wait(t->service) > 0) {
		refuse_content(t, 450, "4.7.1",
		    "The service sends more than its rate allows: try again later", NULL);
		r = -EAGAIN;
	}
	return r < 0 ? refuse_because(s, r) : store(s);
}

/* ---- what the shim asks besides ---- */

static bool
on_known(void *arg, const char *submission_id)
{
	struct submission *s = arg;

	return spool_known(s->in->spool, submission_id) == 1;
}

enum { LISTING_COPIES = 2 /* as it is made, and as the reply that waits for the client */ };

static void
count_listing(struct submission *s, uint64_t octets)
{
	usage_release(s->usage, s->listed_memory);
	usage_hold(s->usage, octets);
	s->listed_memory = octets;
}

static void
free_list(struct submission *s)
{
	if (s->list != NULL)
		s->in->ops->free_list(s->in->ops_arg, s->list);
	s->list = NULL;
}

static void
on_listed(void *arg, bool good)
{
	struct submission *s = arg;

	free_list(s);
	count_listing(s, LISTING_COPIES * s->listed->len);
	smtp_server_answer(s->engine, good ? SMTP_ACCEPT : SMTP_REFUSE);
	s->ops->proceed(s->arg);
}

static enum smtp_decision
on_list(void *arg, struct buf *out)
{
	struct submission *s = arg;
	unsigned rights = entrance_rights(s->in, s->caller);
	struct mail_owner owner = entrance_owner(s->caller, rights);

	if ((rights & CALLER_MAY_SEE_OWN) == 0)
		return refuse(s, 550, "5.7.1", "This entrance shows no mail to this user");
	count_listing(s, 0);
	if (usage_holds_too_much(s->usage))
		return refuse(
		    s, 451, "4.3.1", "This user asks for too much at once: try again later");
	s->list = s->in->ops->list(s->in->ops_arg, &owner, out, on_listed, s);
	if (s->list == NULL)
		return SMTP_REFUSE;
	s->listed = out;
	count_listing(s, LISTING_COPIES * out->max);
	return SMTP_LATER;
}

static void
on_flush(void *arg)
{
	struct submission *s = arg;
	unsigned rights = entrance_rights(s->in, s->caller);
	struct mail_owner owner = entrance_owner(s->caller, rights);

	if ((rights & CALLER_MAY_ACT) != 0)
		s->in->ops->flush(s->in->ops_arg, &owner, s->caller->uid);
}

/* One address a line, each once. */
static int
write_line(void *arg, const char *address)
{
	struct buf *out = arg;
	size_t len = strlen(address);

	for (size_t at = 0; at + len < out->len; at += strcspn(out->data + at, "\n") + 1)
		if (memcmp(out->data + at, address, len) == 0 && out->data[at + len] == '\n')
			return 0;
	return buf_printf(out, "%s\n", address);
}

/* Who may not send at all learns nothing either. */
static enum smtp_decision
on_expand(void *arg, const char *address, struct buf *out)
{
	struct submission *s = arg;
	CLEANUP_BUF struct buf why = BUF_INIT(2048);

	if (s->t == NULL)
		return refuse(s, 503, "5.5.1", "MAIL comes first");
	switch (local_expand(s->in->settings, address, write_line, out, &why)) {
	case ALIASES_OK:
		return SMTP_ACCEPT;
	case ALIASES_UNKNOWN:
		return refuse(s, 550, "5.1.1", buf_str(&why));
	case ALIASES_BROKEN:
		return refuse(s, 550, "5.2.4", buf_str(&why));
	default:
		return SMTP_REFUSE;
	}
}

static void
on_aliases_read(void *arg, bool refused, const char *lines)
{
	struct submission *s = arg;

	s->reading_aliases = false;
	if (refused) {
		(void)refuse(s, 550, "5.3.5", lines);
		smtp_server_answer(s->engine, SMTP_REFUSE);
	} else {
		smtp_server_answer_lines(s->engine, lines);
	}
	s->ops->proceed(s->arg);
}

static enum smtp_decision
on_aliases(void *arg)
{
	struct submission *s = arg;

	if ((entrance_rights(s->in, s->caller) & CALLER_MAY_ADMINISTER) == 0)
		return refuse(
		    s, 550, "5.7.1", "Only administrators may have the aliases read anew");
	if (newaliases_read(s->in->newaliases, on_aliases_read, s) < 0)
		return SMTP_REFUSE;
	s->reading_aliases = true;
	return SMTP_LATER;
}

/* ---- AUTH and TLS ---- */

static enum smtp_decision
on_auth(void *arg, const char *mechanism, const char *response, size_t len)
{
	struct submission *s = arg;

	return authentication_step(s->authentication, s->engine, mechanism, response, len);
}

static void
on_begin_tls(void *arg)
{
	struct submission *s = arg;

	authentication_forget(s->authentication);
	s->ops->starttls(s->arg);
}

/* EHLO names the limit that this caller meets, where its service is known before MAIL. */
static void
on_hello(void *arg, const char *name)
{
	struct submission *s = arg;
	const struct user nobody = {.uid = s->caller->uid};
	uint64_t size = s->in->settings->conf->size_max;
	const struct service *v = NULL;

	if (service_name(s) != NULL || !s->caller->groups_by_name)
		v = service_for(s, &nobody);
	if (v != NULL && v->policy.size_max > 0 && (size == 0 || v->policy.size_max < size))
		size = v->policy.size_max;
	smtp_server_offer_size(s->engine, size);
}

static const struct smtp_server_ops engine_ops = {
    .hello = on_hello,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .known = on_known,
    .list = on_list,
    .flush = on_flush,
    .expand = on_expand,
    .aliases = on_aliases,
};

/* For programs that speak SMTP by themselves: by the standard, and with nothing that is between the
 * shim and us. */
static const struct smtp_server_ops listener_ops = {
    .hello = on_hello,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .starttls = on_begin_tls,
};

static void
configure_listener(const struct caller *c, struct smtp_server_config *config)
{
	config->extensions &= ~(unsigned)SMTP_EXT_XFRANK;
	config->extensions |= SMTP_EXT_AUTH;
	if (c->tls == CONF_TLS_STARTTLS)
		config->extensions |= SMTP_EXT_STARTTLS;
	config->auth_mechanisms = "PLAIN LOGIN";
	config->auth_required = c->auth_required;
	/* on loopback a password passes nobody by */
	config->tls_required = c->remote;
	config->tls_active = c->tls_active;
	config->recipients_max = LISTENER_RECIPIENTS_MAX;
	config->bad_commands_max = LISTENER_BAD_COMMANDS_MAX;
	config->bare_line_ends = c->bare_line_ends;
	config->lf_sessions = false;
}

struct submission *
submission_new(
    struct inbound *in, const struct caller *caller, const struct submission_ops *ops, void *arg)
{
	struct submission *s = calloc(1, sizeof(*s));
	struct smtp_server_config config = {
	    .software = "Frank",
	    .extensions = SMTP_EXT_PIPELINING | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
			  SMTP_EXT_DSN | SMTP_EXT_CHUNKING | SMTP_EXT_XFRANK | SMTP_EXT_SIZE |
			  SMTP_EXT_ENHANCED | SMTP_EXT_REQUIRETLS,
	    .size_max = in->settings->conf->size_max,
	    .recipients_max = ENVELOPE_RECIPIENTS_MAX,
	    .bad_commands_max = BAD_COMMANDS_MAX,
	    .lenient = true,
	    .bare_line_ends = true,
	    .lf_sessions = true,
	};

	if (s == NULL)
		return NULL;
	s->in = in;
	s->caller = caller;
	s->ops = ops;
	s->arg = arg;
	s->hostname = strdup(in->settings->conf->hostname);
	s->mail_name = strdup(in->settings->conf->mail_name);
	config.hostname = s->hostname;
	s->usage = usage_take(in, caller);
	if (s->hostname == NULL || s->mail_name == NULL || s->usage == NULL)
		return submission_free(s);
	if (caller->listener != NULL) {
		configure_listener(caller, &config);
		s->authentication = authentication_new(in, caller, s->usage, ops, arg);
	}
	if (caller->listener == NULL || s->authentication != NULL)
		s->engine = smtp_server_new(
		    &config, caller->listener == NULL ? &engine_ops : &listener_ops, s);
	return s->engine == NULL ? submission_free(s) : s;
}

struct submission *
submission_free(struct submission *s)
{
	if (s == NULL)
		return NULL;
	if (s->asking)
		users_forget(s->in->users, s);
	if (s->reading_aliases)
		newaliases_forget(s->in->newaliases, s);
	if (s->storing != NULL)
		store_forget(s->storing);
	free_list(s);
	if (s->usage != NULL)
		usage_release(s->usage, s->listed_memory);
	(void)smtp_server_free(s->engine);
	(void)transaction_free(s->t);
	(void)authentication_free(s->authentication);
	usage_drop(s->usage);
	free(s->hostname);
	free(s->mail_name);
	free(s);
	return NULL;
}

struct smtp_server *
submission_engine(struct submission *s)
{
	return s->engine;
}

int
submission_result(const struct submission *s, const char **words)
{
	if (words != NULL)
		*words = s->result_words;
	return s->result;
}
