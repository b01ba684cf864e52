/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * runtime.c: accounts and services as they run. Each lives until the role ends: what is under way
 * may point to it, and a rate limit or a refusal is not forgotten because somebody edited the
 * configuration. One that is no longer configured takes and sends nothing more; its mail stays in
 * the spool.
 */
#include "broker/queue/queue.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct service *
service_by_name(struct queue *q, const char *name)
{
	for (size_t i = 0; i < q->service_total; i++)
		if (strcmp(q->services[i]->name, name) == 0)
			return q->services[i];
	return NULL;
}

struct service *
service_by_login(const struct queue *q, const char *name)
{
	for (size_t i = 0; i < q->service_count; i++)
		if (strcmp(q->services[i]->name, name) == 0)
			return q->services[i]->policy.password ? q->services[i] : NULL;
	return NULL;
}

void
service_decide(
    const struct service *v, const struct policy_claim *claim, struct policy_decision *ret)
{
	static const struct policy_account nameless = {.name = "", .mailbox = ""};
	struct policy_service p = v->policy;

	if (v->account_count > 0) {
		policy_decide(&p, v->names, v->account_count, claim, ret);
	} else if (p.capture) {
		/* What is captured needs no account; where no sender is named either, all may be. */
		if (p.senders.count == 0)
			p.from = POLICY_KEEP;
		policy_decide(&p, &nameless, 1, claim, ret);
	} else {
		*ret = (struct policy_decision){
		    .refused = "The service has no account to send through, or is out of force",
		    .culprit = v->name};
	}
}

/* ---- rates over a restart ---- */

struct replay {
	struct queue *queue;
	struct service *service;
	int64_t now_us, now_ms; /* the same moment: since 1970, and as the limits count */
};

static int64_t
limit_time(const struct replay *p, int64_t at_us)
{
	return p->now_us > at_us ? p->now_ms - (p->now_us - at_us) / 1000 : p->now_ms;
}

static void
replay_stored(void *arg, int64_t at_us)
{
	const struct replay *p = arg;

	rate_limit_spend(&p->service->minute, RATE_LIMIT_MINUTE, limit_time(p, at_us), 1);
	rate_limit_spend(&p->service->day, RATE_LIMIT_DAY, limit_time(p, at_us), 1);
}

static void
replay_attempt(void *arg, const char *account, int64_t at)
{
	const struct replay *p = arg;
	struct queue_account *a = accounts_find(&p->queue->accounts, account);

	/* to the second: whenever it was in it, it counts until a minute has passed */
	if (a != NULL)
		rate_limit_spend(
		    &a->rate, RATE_LIMIT_MINUTE, limit_time(p, at * 1000000 + 999999), 1);
}

/* Messages that were stored before a restart, or before there was a rate, count against it. */
static void
restore_service_rates(struct queue *q, struct service *v)
{
	struct replay p = {q, v, clock_now_us(&q->clock), (int64_t)clock_ms()};
	int64_t seconds = (v->policy.rate_day > 0 ? RATE_LIMIT_DAY : RATE_LIMIT_MINUTE) / 1000;

	if (v->policy.rate_day == 0 && v->policy.rate_minute == 0)
		return;
	v->minute = v->day = (struct rate_limit){0};
	if (spool_each_since(q->spool, v->name, p.now_us / 1000000 - seconds, replay_stored, &p) <
	    0)
		log_warning("The spool does not tell what service \"%s\" has sent before: its rate "
			    "counts from now on.",
		    v->name);
}

void
runtime_restore_rates(struct queue *q)
{
	struct replay p = {q, NULL, clock_now_us(&q->clock), (int64_t)clock_ms()};

	if (spool_each_attempt_since(
		q->spool, p.now_us / 1000000 - RATE_LIMIT_MINUTE / 1000, replay_attempt, &p) < 0)
		log_warning(
		    "The spool does not tell what was sent in the last minute: the rates of "
		    "accounts count from now on.");
}

static struct service *
new_service(const char *name)
{
	struct service *v = calloc(1, sizeof(*v));

	if (v != NULL)
		v->name = strdup(name);
	if (v != NULL && v->name == NULL) {
		free(v);
		return NULL;
	}
	return v;
}

/* The accounts that the policy names. */
static int
resolve(struct queue *q, struct service *v)
{
	size_t count = v->policy.accounts.count;
	struct queue_account **accounts = calloc(count + 1, sizeof(struct queue_account *));
	struct policy_account *names = calloc(count + 1, sizeof(*names));
	size_t n = 0;

	if (accounts == NULL || names == NULL) {
		free(accounts);
		free(names);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		struct queue_account *a = accounts_find(&q->accounts, v->policy.accounts.items[i]);

		if (a == NULL || !a->configured)
			continue;
		accounts[n] = a;
		names[n++] = (struct policy_account){a->name, a->conf.mailbox};
	}
	free(v->accounts);
	free(v->names);
	v->accounts = accounts;
	v->names = names;
	v->account_count = n;
	return 0;
}

static int
take_services(struct queue *q, struct settings *s)
{
	size_t room = s->service_count + q->service_total + 1, n = 0;
	struct service **all = calloc(room, sizeof(struct service *));
	const struct policy_service **policies = calloc(room, sizeof(*policies));
	int r = all == NULL || policies == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < s->service_count && r == 0; i++) {
		struct service *v = service_by_name(q, s->services[i].name);
		bool is_new = v == NULL;
		struct policy_service old;

		if (is_new)
			v = new_service(s->services[i].name);
		if (v == NULL) {
			r = -ENOMEM;
			break;
		}
		old = v->policy;
		v->policy = s->services[i];
		s->services[i] = old;
		policies[n] = &v->policy;
		all[n++] = v;
		if (is_new || (old.rate_day == 0 && v->policy.rate_day > 0))
			restore_service_rates(q, v);
		r = resolve(q, v);
	}
	if (r < 0) {
		free(all);
		free(policies);
		return r;
	}
	for (size_t i = 0; i < q->service_total; i++) {
		bool still = false;

		for (size_t k = 0; k < s->service_count; k++)
			still = still || all[k] == q->services[i];
		if (still)
			continue;
		/* What names its accounts goes with their configuration. */
		q->services[i]->account_count = 0;
		all[n++] = q->services[i];
	}
	free(q->services);
	free(q->policies);
	q->services = all;
	q->policies = policies;
	q->service_count = s->service_count;
	q->service_total = n;
	return 0;
}

int
runtime_take(struct queue *q, struct settings *s)
{
	int r = accounts_take(&q->accounts, q->spool, clock_now(&q->clock), s);

	return r < 0 ? r : take_services(q, s);
}

/* ---- callers ---- */

static uint64_t
admin_group(const struct queue *q)
{
	return q->settings->has_admin_gid ? q->settings->admin_gid : CALLER_NO_GROUP;
}

static enum caller_entrance
entrance_of(const struct caller *c)
{
	if (c->listener != NULL)
		return CALLER_LISTENER;
	if (c->socket != NULL)
		return CALLER_SERVICE;
	return c->groups_by_name ? CALLER_DROP : CALLER_SUBMIT;
}

unsigned
queue_caller_rights(const struct queue *q, const struct caller *c)
{
	const struct caller_peer who = {c->uid, c->groups, c->group_count};

	return caller_rights(entrance_of(c), caller_kind(&who, geteuid(), admin_group(q)));
}

unsigned
queue_control_rights(const struct queue *q, const struct caller_peer *who)
{
	return caller_rights(CALLER_CONTROL, caller_kind(who, geteuid(), admin_group(q)));
}

void
queue_name_caller(
    const struct queue *q, uint32_t uid, const char *service, char to[LOG_LIMIT_WHO_MAX])
{
	if (service != NULL)
		(void)snprintf(to, LOG_LIMIT_WHO_MAX, "callers of the socket %s", service);
	else
		users_name_bucket(users_bucket(q->users, uid), to, LOG_LIMIT_WHO_MAX);
}

struct mail_owner
queue_owner(const struct caller *c, unsigned rights)
{
	if ((rights & CALLER_MAY_SEE_ALL) != 0)
		return (struct mail_owner){.uid = -1};
	return (struct mail_owner){.uid = c->uid, .service = c->socket};
}

/* A message of a version that did not tell whose uid it is: where its service has a socket now, it
 * may be of either, and only administrators see it. */
static bool
may_be_of_either(const struct queue *q, unsigned flags, const char *service)
{
	const struct service *v = NULL;

	if ((flags & (SPOOL_OF_USER | SPOOL_OF_SOCKET)) == 0)
		v = service_by_name((struct queue *)(uintptr_t)q, service);
	return v != NULL && v->policy.socket != NULL;
}

bool
queue_owns(const struct queue *q, const struct mail_owner *o, int64_t uid, unsigned flags,
    const char *service)
{
	if (o->uid < 0)
		return true;
	if (o->uid != uid || may_be_of_either(q, flags, service))
		return false;
	return o->service == NULL
		   ? (flags & SPOOL_OF_SOCKET) == 0
		   : (flags & SPOOL_OF_SOCKET) != 0 && strcmp(o->service, service) == 0;
}
