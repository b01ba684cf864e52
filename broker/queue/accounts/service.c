/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* service.c: see service.h. */
#include "broker/queue/accounts/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct service *
services_find(const struct services *all, const char *name)
{
	for (size_t i = 0; i < all->total; i++)
		if (strcmp(all->list[i]->name, name) == 0)
			return all->list[i];
	return NULL;
}

struct service *
services_find_login(const struct services *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i]->name, name) == 0)
			return all->list[i]->policy.password ? all->list[i] : NULL;
	return NULL;
}

void
service_decide(
    const struct service *v, const struct policy_claim *claim, struct policy_decision *ret)
{
	static const struct policy_account nameless = {.name = "", .mailbox = ""};
	struct conf_service p = v->policy;

	if (v->account_count > 0) {
		policy_decide(&p, v->names, v->account_count, claim, ret);
	} else if (p.mode == CONF_MODE_CAPTURE) {
		/* What is captured needs no account; where no sender is named either, all may be. */
		if (p.senders.count == 0)
			p.from = CONF_FROM_KEEP;
		policy_decide(&p, &nameless, 1, claim, ret);
	} else {
		*ret = (struct policy_decision){
		    .refused = "The service has no account to send through, or is out of force",
		    .culprit = v->name};
	}
}

/* ---- rates ---- */

uint64_t
service_rate_wait(const struct service *v)
{
	uint64_t now = clock_ms();
	uint64_t minute =
	    rate_limit_wait(&v->minute, v->policy.rate_minute, RATE_LIMIT_MINUTE, now);
	uint64_t day = rate_limit_wait(&v->day, v->policy.rate_day, RATE_LIMIT_DAY, now);

	return minute > day ? minute : day;
}

static void
spend(struct service *v, int64_t at)
{
	rate_limit_spend(&v->minute, RATE_LIMIT_MINUTE, at, 1);
	rate_limit_spend(&v->day, RATE_LIMIT_DAY, at, 1);
}

void
service_spend(struct service *v)
{
	spend(v, (int64_t)clock_ms());
}

void
service_give_back(struct service *v)
{
	rate_limit_give_back(&v->minute);
	rate_limit_give_back(&v->day);
}

struct service_replay {
	struct service *service;
	int64_t now_us, now_ms; /* the same moment: since 1970, and as the limits count */
};

static void
replay_stored(void *arg, int64_t at_us)
{
	const struct service_replay *p = arg;

	spend(p->service, p->now_us > at_us ? p->now_ms - (p->now_us - at_us) / 1000 : p->now_ms);
}

/* Messages that were stored before a restart, or before there was a rate, count against it. */
static void
restore_rates(struct service *v, struct spool *spool, const struct clock *clock)
{
	struct service_replay p = {v, clock_now_us(clock), (int64_t)clock_ms()};
	int64_t seconds = (v->policy.rate_day > 0 ? RATE_LIMIT_DAY : RATE_LIMIT_MINUTE) / 1000;

	if (v->policy.rate_day == 0 && v->policy.rate_minute == 0)
		return;
	v->minute = v->day = (struct rate_limit){0};
	if (spool_each_since(spool, v->name, p.now_us / 1000000 - seconds, replay_stored, &p) < 0)
		log_warning("The spool does not tell what service \"%s\" has sent before: its rate "
			    "counts from now on.",
		    v->name);
}

/* ---- configuration ---- */

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
resolve(struct service *v, const struct queue_accounts *all)
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
		struct queue_account *a = accounts_find(all, v->policy.accounts.items[i]);

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

int
services_take(struct services *all, const struct queue_accounts *accounts, struct spool *spool,
    const struct clock *clock, struct queue_settings *settings)
{
	size_t count = settings->conf->service_count, room = count + all->total + 1, n = 0;
	struct service **list = calloc(room, sizeof(struct service *));
	const struct conf_service **policies = calloc(room, sizeof(*policies));
	int r = list == NULL || policies == NULL ? -ENOMEM : 0;

	for (; n < count && r == 0; n++) {
		struct service *v = services_find(all, settings->conf->services[n].name);
		bool is_new = v == NULL;
		struct conf_service old;

		if (is_new)
			v = new_service(settings->conf->services[n].name);
		if (v == NULL) {
			r = -ENOMEM;
			break;
		}
		old = v->policy;
		v->policy = settings->conf->services[n];
		settings->conf->services[n] = old;
		policies[n] = &v->policy;
		list[n] = v;
		if (is_new || (old.rate_day == 0 && v->policy.rate_day > 0))
			restore_rates(v, spool, clock);
		r = resolve(v, accounts);
	}
	if (r < 0) {
		free(list);
		free(policies);
		return r;
	}
	for (size_t i = 0; i < all->total; i++) {
		struct service *v = all->list[i];
		size_t k = 0;

		while (k < count && list[k] != v)
			k++;
		if (k < count)
			continue;
		/* What names its accounts goes with their configuration. */
		v->account_count = 0;
		list[n++] = v;
	}
	free(all->list);
	free(all->policies);
	*all = (struct services){list, count, n, policies};
	return 0;
}
