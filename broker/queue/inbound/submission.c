/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission.c: one SMTP session of a caller, whatever carries it: what base/smtp/server.h asks is
 * decided here and in the other files of submission-internal.h.
 *
 * MAIL finds the service that is for this caller, which takes a question to main for a caller not
 * known yet.
 */
#include "broker/queue/inbound/submission-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/queue/inbound/authentication.h"
#include "broker/queue/inbound/store.h"
#include "broker/queue/inbound/usage.h"

enum {
	BAD_COMMANDS_MAX = 50,
	LISTENER_RECIPIENTS_MAX = 1000,
	LISTENER_BAD_COMMANDS_MAX = 10,
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
queue_user_address(const struct queue *q, const struct user *u)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "uid%" PRIu32, u->uid);
	return local_qualify(q->settings,
	    address_is_valid(u->name, strlen(u->name), true) && address_domain(u->name) == NULL
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
	struct queue *q = s->q;
	struct transaction *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->service = service;
	t->usage = s->usage;
	body_init(&t->body, q);
	buf_init(&t->texts.date, 64);
	buf_init(&t->texts.id, 512);
	buf_init(&t->texts.received, 1024);
	t->message = calloc(1, sizeof(*t->message));
	t->caller = queue_user_address(q, u);
	t->full_name = strdup(p->full_name[0] != '\0' ? p->full_name : u->full_name);
	t->envelope = p->caller         ? POLICY_ENVELOPE_CALLER
		      : *sender == '\0' ? POLICY_ENVELOPE_NULL
					: POLICY_ENVELOPE_GIVEN;
	t->sender =
	    t->envelope == POLICY_ENVELOPE_GIVEN ? local_qualify(q->settings, sender) : strdup("");
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
	t->duplicate = p->submission_id[0] != '\0' && spool_known(q->spool, p->submission_id) == 1;
	return t;
}

void
submission_note(struct submission *s, int code, const char *words)
{
	s->result = code;
	(void)snprintf(s->result_words, sizeof(s->result_words), "%s", words);
}

enum smtp_decision
submission_refuse(struct submission *s, int code, const char *enhanced, const char *words)
{
	submission_note(s, code, words);
	smtp_server_refuse(s->engine, code, enhanced, "%s", words);
	return SMTP_REFUSE;
}

void
submission_too_large(const struct service *v, char *words, size_t size)
{
	(void)snprintf(words, size,
	    "The message is larger than this service may send: at most %" PRIu64 " octets",
	    v->policy.size_max);
}

const char *
submission_uid_text(const struct caller *c, char text[16])
{
	(void)snprintf(text, 16, "%" PRIu32, c->uid);
	return c->unknown ? NULL : text;
}

static const char *
origin_text(const struct caller *c)
{
	return c->origin[0] == '\0' ? NULL : c->origin;
}

enum smtp_decision
submission_refuse_logged(struct submission *s, const struct service *service, const char *address,
    int code, const char *enhanced, const char *words)
{
	char uid[16], who[LOG_LIMIT_WHO_MAX];

	usage_name(s->usage, who);
	log_limited(s->q->log, who, LOG_LEVEL_NOTICE, "A message is refused.",
	    LOG_PAIRS({LOG_OUTCOME, words}, {LOG_UID, submission_uid_text(s->caller, uid)},
		{LOG_SERVICE, service == NULL ? NULL : service->name}, {LOG_SENDER, address},
		{LOG_ENDPOINT, origin_text(s->caller)}));
	return submission_refuse(s, code, enhanced, words);
}

/* ---- MAIL ---- */

static struct service *
service_for(const struct submission *s, const struct user *u)
{
	const struct queue *q = s->q;
	const struct caller *c = s->caller;
	struct policy_caller who = {c->uid, c->groups_by_name ? u->groups : c->groups,
	    c->groups_by_name ? u->group_count : c->group_count, c->socket};
	size_t i;

	/* the password is the service's own: no rule in front of it is asked */
	if (logged_in_as(s) != NULL)
		return authentication_service(s->authentication);
	if ((queue_caller_rights(q, c) & CALLER_MAY_SUBMIT) == 0 || c->auth_required)
		return NULL;
	i = policy_match(q->services.policies, q->services.count, &who);
	return i < q->services.count ? q->services.list[i] : NULL;
}

/* Nobody is known to call: the entrance is a listener, where AUTH may help. */
static enum smtp_decision
refuse_nobody(struct submission *s, const char *sender)
{
	/* who may change that is told how to see it */
	if ((queue_caller_rights(s->q, s->caller) & CALLER_MAY_ADMINISTER) != 0)
		return submission_refuse_logged(s, NULL, sender, 550, "5.7.1",
		    "No service is configured for this user: frank service explain USER SENDER "
		    "shows which there are, and why none is for it");
	if (s->caller->listener == NULL)
		return submission_refuse_logged(s, NULL, sender, 550, "5.7.1",
		    "No service is configured for this user: ask the administrator of this host");
	return submission_refuse_logged(s, NULL, sender, 530, "5.7.0",
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
	(void)submission_refuse_logged(s, t->service, t->sender, 550, "5.7.1", words);
	s->t = transaction_free(s->t);
	return true;
}

static enum smtp_decision
refuse_size(struct submission *s, const struct service *v, const char *sender)
{
	char words[sizeof(s->result_words)];

	submission_too_large(v, words, sizeof(words));
	return submission_refuse_logged(s, v, sender, 552, "5.3.4", words);
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
	if (v->account_count == 0 && !v->policy.capture)
		return submission_refuse_logged(
		    s, v, sender, 550, "5.7.1", "The service has no account to send through");
	if (*p->account != '\0' && policy_account(v->names, v->account_count, p->account) == NULL)
		return submission_refuse_logged(s, v, sender, 550, "5.7.1",
		    "The service of this caller does not send by the account that is asked for");
	if (v->policy.size_max > 0 && p->size > v->policy.size_max)
		return refuse_size(s, v, sender);
	words = space_refusal(s->q->space, &(struct space_claim){.service = v->name,
					       .quota = v->policy.queue_max,
					       .octets = p->size,
					       .dropped = s->caller->groups_by_name});
	if (words != NULL)
		return submission_refuse_logged(s, v, sender, 452, "4.3.1", words);
	if (usage_wait(s->q, s->usage) > 0)
		return submission_refuse_logged(s, v, sender, 452, "4.7.1",
		    "This user hands in more messages a minute than it may: try again later");
	wait = service_rate_wait(v);
	if (wait > 0)
		return submission_refuse_logged(s, v, sender, 450, "4.7.1",
		    "The service sends more than its rate allows: try again later");
	s->t = transaction_new(s, v, sender, p, u);
	if (s->t == NULL)
		return submission_refuse(s, 452, "4.3.0", "Out of memory");
	/* The mail domain may have made it too long. */
	if (*s->t->sender != '\0' && !address_is_valid(s->t->sender, strlen(s->t->sender), false)) {
		s->t = transaction_free(s->t);
		return submission_refuse(s, 553, "5.1.7", "This is no address");
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

	submission_note(s, 0, "");
	if (s->q->stopping)
		return submission_refuse(s, 421, "4.3.2", "Frank is stopping: try again later");
	if (name != NULL || (queue_caller_rights(s->q, s->caller) & CALLER_IS_LOOKED_UP) == 0) {
		/* a service by itself, or nobody: nothing is known of the user */
		struct user self = {.uid = s->caller->uid,
		    .name = (char *)(uintptr_t)(name == NULL ? "" : name),
		    .full_name = (char *)""};

		return mail_with_user(s, sender, p, &self);
	}
	u = users_get(s->q->users, s->caller->uid, on_user, s);
	if (u != NULL)
		return mail_with_user(s, sender, p, u);
	s->asking = true;
	(void)snprintf(s->sender, sizeof(s->sender), "%s", sender);
	s->params = *p;
	return SMTP_LATER;
}

/* ---- RCPT ---- */

void
submission_count_memory(struct transaction *t)
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

	if (usage_holds_too_much(s->q, s->t->usage))
		return submission_refuse_logged(s, s->t->service, s->t->sender, 452, "4.5.3",
		    "This user hands in more recipients at once than it may: try again later");
	envelope_add(s->q, &s->t->recipients, &s->t->service->policy, recipient, p, &no);
	submission_count_memory(s->t);
	if (no.code == 0)
		return SMTP_ACCEPT;
	judge_number(s->t, &no);
	return no.by_policy ? submission_refuse_logged(
				  s, s->t->service, no.address, no.code, no.enhanced, no.words)
			    : submission_refuse(s, no.code, no.enhanced, no.words);
}

static void
on_reset(void *arg)
{
	struct submission *s = arg;

	s->t = transaction_free(s->t);
	if (s->authentication != NULL)
		authentication_cancel(s->authentication);
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
	uint64_t size = s->q->settings->size_max;
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
    .data = submission_on_data,
    .content = submission_on_content,
    .end = submission_on_end,
    .reset = on_reset,
    .known = submission_on_known,
    .list = submission_on_list,
    .flush = submission_on_flush,
    .expand = submission_on_expand,
    .aliases = submission_on_aliases,
};

/* For programs that speak SMTP by themselves: by the standard, and with nothing that is between the
 * shim and us. */
static const struct smtp_server_ops listener_ops = {
    .hello = on_hello,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = submission_on_data,
    .content = submission_on_content,
    .end = submission_on_end,
    .reset = on_reset,
    .auth = on_auth,
    .starttls = on_begin_tls,
};

static void
configure_listener(const struct caller *c, struct smtp_server_config *config)
{
	config->extensions &= ~(unsigned)SMTP_EXT_XFRANK;
	config->extensions |= SMTP_EXT_AUTH;
	if (c->tls == SETTINGS_TLS_STARTTLS)
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
    struct queue *q, const struct caller *caller, const struct submission_ops *ops, void *arg)
{
	struct submission *s = calloc(1, sizeof(*s));
	struct smtp_server_config config = {
	    .software = "Frank",
	    .extensions = SMTP_EXT_PIPELINING | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
			  SMTP_EXT_DSN | SMTP_EXT_CHUNKING | SMTP_EXT_XFRANK | SMTP_EXT_SIZE |
			  SMTP_EXT_ENHANCED | SMTP_EXT_REQUIRETLS,
	    .size_max = q->settings->size_max,
	    .recipients_max = ENVELOPE_RECIPIENTS_MAX,
	    .bad_commands_max = BAD_COMMANDS_MAX,
	    .lenient = true,
	    .bare_line_ends = true,
	    .lf_sessions = true,
	};

	if (s == NULL)
		return NULL;
	s->q = q;
	s->caller = caller;
	s->ops = ops;
	s->arg = arg;
	s->hostname = strdup(q->settings->hostname);
	s->mail_name = strdup(q->settings->mail_name);
	config.hostname = s->hostname;
	s->usage = usage_take(q, caller);
	if (s->hostname == NULL || s->mail_name == NULL || s->usage == NULL)
		return submission_free(s);
	if (caller->listener != NULL) {
		configure_listener(caller, &config);
		s->authentication = authentication_new(q, caller, s->usage, ops, arg);
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
		users_forget(s->q->users, s);
	if (s->reading_aliases)
		newaliases_forget(s->q, s);
	if (s->storing != NULL)
		store_forget(s->storing);
	(void)listing_free(s->listing);
	if (s->usage != NULL)
		usage_release(s->usage, s->listed_memory);
	(void)smtp_server_free(s->engine);
	(void)transaction_free(s->t);
	(void)authentication_free(s->authentication);
	usage_drop(s->q, s->usage);
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

unsigned
submission_stored(const struct submission *s)
{
	return s->stored;
}
