/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * service.h: the services of the configuration, as they run.
 *
 * A service lives until the role ends: what is under way may point to it, and its rates are not
 * forgotten because somebody edited the configuration. One that is not configured any more takes
 * nothing.
 */
#ifndef FRANK_BROKER_QUEUE_ACCOUNTS_SERVICE_H
#define FRANK_BROKER_QUEUE_ACCOUNTS_SERVICE_H

#include "broker/queue/accounts/account.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/common/policy.h"

struct service {
	char *name;
	struct conf_service policy;
	struct queue_account **accounts; /* those of the policy that exist, in its order */
	struct policy_account *names;    /* the same for policy_decide */
	size_t account_count;
	struct rate_limit minute, day;
	uint64_t accepted, refused; /* since the role began: messages; messages or recipients */
};

struct services {
	struct service **list; /* those configured, in file order, then those that were */
	size_t count, total;   /* configured; all */
	const struct conf_service **policies; /* of those configured, for policy_match */
};

/* Takes the services out of a complete configuration. The rates of a new one count what the spool has of
 * it. 0 or -ENOMEM. */
int services_take(struct services *all, const struct queue_accounts *accounts, struct spool *spool,
    const struct clock *clock, struct queue_settings *settings);
/* NULL: there was never one of this name. */
struct service *services_find(const struct services *all, const char *name);
/* The service that callers may name by a password. NULL: none such is configured now. */
struct service *services_find_login(const struct services *all, const char *name);

/* policy_decide for the service as it runs. */
void service_decide(
    const struct service *v, const struct policy_claim *claim, struct policy_decision *ret);

/* Milliseconds until the service's rates allow one more message. */
uint64_t service_rate_wait(const struct service *v);
/* A message counts against its rates, or does not after all. */
void service_spend(struct service *v);
void service_give_back(struct service *v);

#endif
