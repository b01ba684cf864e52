/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account.h: the accounts of the configuration, as mail goes through them.
 *
 * An account lives until the role ends: what is under way may point to it, and a rate limit or a
 * refusal is not forgotten because somebody edited the configuration. One that is not configured any
 * more sends nothing; its mail stays in the spool.
 */
#ifndef FRANK_BROKER_QUEUE_ACCOUNTS_ACCOUNT_H
#define FRANK_BROKER_QUEUE_ACCOUNTS_ACCOUNT_H

#include "broker/queue/accounts/count.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/common/schedule.h"
#include "broker/queue/common/rate-limit.h"
#include "broker/queue/common/settings.h"
#include "broker/queue/spool/spool.h"

struct notification;

struct queue_account {
	char *name;
	struct conf_account conf; /* as it was configured last */
	bool configured;          /* it is now */
	struct schedule_account schedule;
	struct smtp_reply reply; /* of the server, that made the schedule's state; for people */
	char *learned_at;        /* settings_server() that it was learned with; NULL: nothing was */
	bool at_fault;           /* account_is_at_fault when the state changed last */

	/* What the keeper says of the credential. */
	char *keeper_text, *keeper_next;                               /* NULL: nothing */
	bool keeper_spoke;                                             /* since this role began */
	int64_t certificate_expires, consent_lapses, consent_lifetime; /* 0: not known */

	/* Of delivery. */
	struct rate_limit rate; /* of messages begun, by the minute */
	unsigned outstanding;   /* jobs promised or sent */
	unsigned window;        /* how many may be, as far as successes have shown; 0: none yet */
	unsigned sending;       /* messages being sent, until what came of them is on disk */
	struct count count;
	bool leased;        /* a transport may get its credential */
	int64_t idle_since; /* no job since; meaningful while leased */
	uint64_t waiting;   /* open messages, as they were counted last */
	int64_t used;       /* when mail was last delivered through it, to the day; 0: never */
	char used_by[32];   /* the mechanism of that login */
	char *signed_with;  /* keys of its mail's DKIM signatures (dkim.h); NULL: never seen */

	/* Of notify: what people were told, by class. */
	struct notification *notified;
	bool mail_looked_at; /* for mail that waits for a person, since this role began */

	/* Of control: checks by callers who are no administrators. */
	struct rate_limit checks;
};

struct queue_accounts {
	struct queue_account **list; /* sorted by name */
	size_t count;
};

/* Takes the accounts out of a complete configuration; those that it does not have are not configured
 * any more. What the spool remembers of a new one is read. 0 or -ENOMEM. */
int accounts_take(
    struct queue_accounts *all, struct spool *spool, int64_t now, struct queue_settings *settings);
/* Once, at the start: what was tried in the last minute counts against the rates of the accounts. */
void accounts_restore_rates(
    const struct queue_accounts *all, struct spool *spool, const struct clock *clock);
/* NULL: there was never one of this name. */
struct queue_account *accounts_find(const struct queue_accounts *all, const char *name);

/* What the keeper says of the credential (ACCOUNT_STATE). True when the account's state changed. */
bool account_take_keeper(struct queue_account *a, const struct message *m);
/* Does its mail wait for a person to mend something, however long that takes? */
bool account_is_at_fault(const struct queue_account *a);
/* A server says something of the account as it is configured now; `reply` is copied. */
void account_learn(struct queue_account *a, const struct smtp_reply *reply);
/* The account has a new configuration: where its server is another, what the old one taught is
 * forgotten. True when the account's state changed. */
bool account_moved(struct queue_account *a);
/* Notes that its mail is signed with these keys (dkim.h). True where some were not known. */
bool account_signed(struct queue_account *a, const char *keys);
/* The role that takes its mail out: ROLE_SEND, or ROLE_POST for an HTTP API. */
enum role_id account_transport(const struct queue_account *a);

#endif
