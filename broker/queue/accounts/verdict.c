/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* verdict.c: see verdict.h. */
#include "broker/queue/accounts/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *
or_null(const char *text)
{
	return text == NULL || *text == '\0' ? NULL : text;
}

static struct diagnosis_facts
facts_of(
    const struct queue_account *a, const struct spool_message *m, const struct smtp_reply *reply)
{
	const char *user = or_null(a->conf.auth_user);

	return (struct diagnosis_facts){
	    .reply = reply,
	    .provider = or_null(a->conf.provider),
	    .account = a->name,
	    .host = or_null(a->conf.host),
	    .port = a->conf.port,
	    .tls = or_null(conf_word(CONF_TYPE_tls, a->conf.tls)),
	    .auth_user = user != NULL ? user : or_null(a->conf.mailbox),
	    .mail_from = m == NULL ? NULL : m->sender,
	    .grant = or_null(conf_word(CONF_TYPE_grant, a->conf.grant)),
	    .secret_from = or_null(a->conf.secret_from),
	};
}

void
verdict_on_facts(
    const struct queue_account *a, const struct diagnosis_facts *facts, struct diagnosis *ret)
{
	diagnosis_find(facts, ret);
	if (a != NULL && facts->reply->fault == SMTP_FAULT_NO_CREDENTIAL &&
	    or_null(a->keeper_next) != NULL)
		(void)snprintf(ret->next, sizeof(ret->next), "%s", a->keeper_next);
}

void
verdict_on_reply(const struct queue_account *a, const struct spool_message *m,
    const struct smtp_reply *reply, struct diagnosis *ret)
{
	struct diagnosis_facts facts = facts_of(a, m, reply);

	verdict_on_facts(a, &facts, ret);
}

void
verdict_step(const struct queue_account *a, const char *format, char *ret, size_t size)
{
	struct diagnosis_facts facts = facts_of(a, NULL, NULL);

	diagnosis_step(format, &facts, ret, size);
}

/* "host:port [address]": true, with host (cut) and port, where it is another server than the account's. */
static bool
is_elsewhere(const struct queue_account *a, const char *endpoint, char *host, size_t size,
    unsigned *ret_port)
{
	size_t all = strcspn(endpoint, " ");
	const char *colon = memrchr(endpoint, ':', all);

	if (colon == NULL || a->conf.port == 0)
		return false; /* an API, or a domain whose servers DNS names */
	(void)snprintf(host, size, "%.*s", (int)(colon - endpoint), endpoint);
	*ret_port = (unsigned)strtoul(colon + 1, NULL, 10);
	return *ret_port != 0 && (*ret_port != a->conf.port || strcasecmp(host, a->conf.host) != 0);
}

void
verdict_at(const struct queue_account *a, const struct spool_message *m,
    const struct smtp_reply *reply, const char *endpoint, struct diagnosis *ret)
{
	struct diagnosis_facts facts = facts_of(a, m, reply);
	char host[256];

	if (endpoint == NULL || !is_elsewhere(a, endpoint, host, sizeof(host), &facts.port)) {
		verdict_on_facts(a, &facts, ret);
		return;
	}
	facts.host = host;
	facts.tls = NULL;
	diagnosis_find(&facts, ret);
	(void)snprintf(ret->next, sizeof(ret->next),
	    "That was the server of then: the account submits to %s:%u now, and Frank tries there.",
	    a->conf.host, a->conf.port);
}

void
verdict_on_recipient(struct spool *spool, const struct queue_account *a,
    const struct spool_message *m, const struct spool_recipient *r, struct diagnosis *ret)
{
	CLEANUP_FREE char *endpoint = spool_load_endpoint(spool, m->id, r->at);
	char id[SPOOL_ID_LEN];

	verdict_at(a, m, &r->reply, endpoint, ret);
	if (r->state != SPOOL_HELD)
		return;
	(void)spool_id_text(m->id, id);
	if (r->reply.in_doubt)
		(void)snprintf(ret->next, sizeof(ret->next),
		    "Find out whether the recipient has it; then `frank queue release %s` sends it "
		    "again, and `frank queue delete %s` does not.",
		    id, id);
	else
		(void)snprintf(ret->next, sizeof(ret->next),
		    "The message is held for a person: `frank queue release %s` lets it go.", id);
}

bool
verdict_on_account(const struct queue_account *a, struct diagnosis *ret)
{
	enum schedule_state state = schedule_account_state(&a->schedule);

	*ret = (struct diagnosis){.text = ""};
	if (state == SCHEDULE_ACTIVE || state == SCHEDULE_HELD)
		return false;
	if (state == a->schedule.keeper) {
		(void)snprintf(ret->text, sizeof(ret->text), "%s",
		    a->keeper_text == NULL ? "Its credential cannot be used." : a->keeper_text);
		(void)snprintf(ret->next, sizeof(ret->next), "%s",
		    a->keeper_next == NULL ? "" : a->keeper_next);
		return true;
	}
	if (!verdict_has_reply(&a->reply))
		return false;
	verdict_on_reply(a, NULL, &a->reply, ret);
	return true;
}

bool
verdict_has_reply(const struct smtp_reply *r)
{
	return r->code != 0 || r->fault != SMTP_FAULT_NONE;
}

bool
verdict_is_positive(const struct smtp_reply *r)
{
	return r->code >= 200 && r->code < 300;
}

void
verdict_reply_text(const struct smtp_reply *r, struct buf *out)
{
	const char *text = r->text == NULL ? "" : r->text;

	if (r->code != 0)
		(void)buf_printf(out, "%d%s%s%s%s", r->code, r->enhanced[0] != '\0' ? " " : "",
		    r->enhanced, r->text != NULL ? " " : "", text);
	else if (r->fault != SMTP_FAULT_NONE)
		(void)buf_printf(
		    out, "%s%s%s", smtp_fault_name(r->fault), r->text != NULL ? ": " : "", text);
}

int
verdict_reply_parse(const char *text, int stage, int fault, struct smtp_reply *ret)
{
	struct smtp_reply_parser p = {0};
	const char *words = strstr(text, ": ");
	int r;

	*ret = (struct smtp_reply){.stage = stage > 0 && stage < SMTP_STAGE_COUNT
						? (enum smtp_stage)stage
						: SMTP_STAGE_NONE};
	if (fault > 0 && fault < SMTP_FAULT_COUNT) {
		ret->fault = (enum smtp_fault)fault;
		ret->text = words == NULL ? NULL : strdup(words + 2);
		return words != NULL && ret->text == NULL ? -ENOMEM : 0;
	}
	r = smtp_reply_parser_line(&p, text, strlen(text));
	r = r < 0 ? r : smtp_reply_parser_take(&p, ret->stage, ret);
	smtp_reply_parser_free(&p);
	return r;
}
