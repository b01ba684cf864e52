/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* authentication.c: see authentication.h. */
#include "broker/queue/inbound/authentication.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/queue/inbound/login.h"
#include "broker/queue/inbound/password.h"
#include "broker/queue/inbound/usage.h"

enum {
	FAILURES_MAX = 3, /* in a session */
	DELAY_SECONDS = 2,
};

struct authentication {
	struct inbound *in;
	const struct caller *caller;
	struct usage *usage;
	const struct submission_ops *ops;
	void *arg;
	struct smtp_server *engine; /* of the exchange under way */
	struct login login;
	struct event *delay; /* a refusal is held back */
	unsigned failures;
	char *name;               /* logged in as */
	uint8_t mark[SHA256_LEN]; /* of the password that was given */
};

static void
on_delayed(evutil_socket_t fd, short what, void *arg)
{
	struct authentication *a = arg;
	bool enough = ++a->failures >= FAILURES_MAX;

	authentication_cancel(a);
	smtp_server_refuse(a->engine, enough ? 421 : 535, enough ? "4.7.0" : "5.7.8",
	    enough ? "Too many failed logins" : "Authentication failed");
	smtp_server_answer(a->engine, SMTP_REFUSE);
	a->ops->proceed(a->arg);
}

static void
log_failure(struct authentication *a)
{
	/* what is no service's name may be a password in the wrong place */
	const struct service *v = services_find_login(a->in->services, a->login.name);
	char uid[16], who[LOG_LIMIT_WHO_MAX];

	(void)snprintf(uid, sizeof(uid), "%" PRIu32, a->caller->uid);
	usage_name(a->usage, who);
	log_limited(a->in->log, who, LOG_LEVEL_NOTICE, "A login is refused.",
	    LOG_PAIRS({LOG_SERVICE, v == NULL ? NULL : v->name},
		{LOG_UID, a->caller->unknown ? NULL : uid}, {LOG_ENDPOINT, a->caller->origin},
		{LOG_OUTCOME,
		    v == NULL ? "no service with a password has this name" : "wrong password"}));
	if (usage_login_failed(a->usage))
		log_limited(a->in->log, who, LOG_LEVEL_WARNING,
		    "Logins of this caller fail too often: it has to wait.",
		    LOG_PAIRS({LOG_UID, a->caller->unknown ? NULL : uid},
			{LOG_ENDPOINT, a->caller->origin}));
}

static enum smtp_decision
fail(struct authentication *a)
{
	static const struct timeval delay = {DELAY_SECONDS, 0};

	log_failure(a);
	a->delay = evtimer_new(a->in->base, on_delayed, a);
	if (a->delay != NULL && event_add(a->delay, &delay) == 0)
		return SMTP_LATER;
	authentication_cancel(a);
	smtp_server_refuse(a->engine, 421, "4.3.0", "Out of memory");
	return SMTP_REFUSE;
}

static enum smtp_decision
decide(struct authentication *a)
{
	const struct service *v = services_find_login(a->in->services, a->login.name);

	/* looked up and compared also where there is no such service */
	if (!password_is(a->in->spool, a->login.name, a->login.password) || v == NULL)
		return fail(a);
	authentication_forget(a);
	if (password_mark(a->in->spool, v->name, a->mark))
		a->name = strdup(v->name);
	if (a->name != NULL)
		return SMTP_ACCEPT;
	smtp_server_refuse(a->engine, 454, "4.3.0", "Out of memory");
	return SMTP_REFUSE;
}

enum smtp_decision
authentication_step(struct authentication *a, struct smtp_server *engine, const char *mechanism,
    const char *response, size_t len)
{
	const char *prompt = "";

	a->engine = engine;
	if (usage_login_barred(a->usage)) {
		smtp_server_refuse(engine, 421, "4.7.0", "Too many failed logins: try again later");
		return SMTP_REFUSE;
	}
	switch (login_take(&a->login, mechanism, response, len, &prompt)) {
	case LOGIN_ASK:
		smtp_server_challenge(engine, prompt, strlen(prompt));
		return SMTP_LATER;
	case LOGIN_DONE:
		return decide(a);
	case LOGIN_BAD:
		break;
	}
	return fail(a);
}

void
authentication_cancel(struct authentication *a)
{
	login_clear(&a->login);
	if (a->delay != NULL)
		event_free(a->delay);
	a->delay = NULL;
}

void
authentication_forget(struct authentication *a)
{
	authentication_cancel(a);
	free(a->name);
	a->name = NULL;
}

const char *
authentication_name(const struct authentication *a)
{
	return a->name;
}

struct service *
authentication_service(const struct authentication *a)
{
	uint8_t mark[SHA256_LEN];

	if (a->name == NULL || !password_mark(a->in->spool, a->name, mark) ||
	    memcmp(mark, a->mark, sizeof(mark)) != 0)
		return NULL;
	return services_find_login(a->in->services, a->name);
}

struct authentication *
authentication_new(struct inbound *in, const struct caller *caller, struct usage *usage,
    const struct submission_ops *ops, void *arg)
{
	struct authentication *a = calloc(1, sizeof(*a));

	if (a != NULL)
		*a = (struct authentication){
		    .in = in, .caller = caller, .usage = usage, .ops = ops, .arg = arg};
	return a;
}

struct authentication *
authentication_free(struct authentication *a)
{
	if (a == NULL)
		return NULL;
	authentication_forget(a);
	free(a);
	return NULL;
}
