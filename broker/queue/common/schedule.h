/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * schedule.h: when to try what. No I/O: the time (seconds) and the random numbers are arguments.
 *
 * Two things wait here. A recipient that was deferred waits by itself: 1, 5, 15, 30 minutes, 1
 * hour, 2 hours, then every 4 hours, each with 20 % of jitter, until the message's lifetime is over
 * (RFC 5321 section 4.5.4.1). An account waits with all its mail when the trouble is the account's
 * or its server's: then no message is blamed, none counts a failed try against its schedule, and
 * one message alone is sent to see whether the trouble is over.
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_SCHEDULE_H
#define FRANK_BROKER_QUEUE_COMMON_SCHEDULE_H

#include "base/smtp/smtp.h"
#include "diagnosis/diagnosis.h"

#define SCHEDULE_NEVER INT64_MAX

/* Interrupted tries (a process died in the midst) after which a recipient is held. */
enum { SCHEDULE_INTERRUPTED_MAX = 3 };
/* Crashes come in bursts: after the second, a recipient waits this many seconds, and up to as many
 * more, so that it does not stand in the way of the third with all that was in flight beside it. */
enum { SCHEDULE_INTERRUPTED_DELAY = 20 };
/* A try whose content may have been taken is repeated after this many seconds. */
enum { SCHEDULE_IN_DOUBT_DELAY = 300 };
/* A message that was held, or whose account could not send, has at least so many seconds left when
 * it may go: a day, or its lifetime where that is shorter. */
int64_t schedule_after_hold(int64_t lifetime);

/* Seconds until the next try of a recipient that `attempts` tries (1..) did not reach. */
int64_t schedule_retry_delay(unsigned attempts, uint32_t random);

/* `delay` seconds with 20 % of jitter either way. */
int64_t schedule_jitter(int64_t delay, uint32_t random);

/* Seconds until the next try after the `interrupted`th (1..) crash. */
int64_t schedule_interrupted_delay(unsigned interrupted, uint32_t random);

/* ---- what an outcome means for the recipient and for the account ---- */

enum schedule_recipient {
	SCHEDULE_DELIVERED,
	SCHEDULE_DEFERRED, /* try later, on the recipient's own schedule */
	SCHEDULE_BOUNCED,  /* refused for good */
	SCHEDULE_IN_DOUBT, /* the content was sent and no answer came */
	SCHEDULE_REQUEUED, /* not the message's fault: as soon as the account may send again */
};

enum schedule_state {
	SCHEDULE_ACTIVE,
	SCHEDULE_UNREACHABLE, /* the server could not be spoken to: tried again by itself */
	SCHEDULE_THROTTLED,
	SCHEDULE_REFUSED,
	SCHEDULE_NEEDS_AUTHORIZATION,
	SCHEDULE_CLIENT_ERROR,
	SCHEDULE_CONFIGURATION,
	SCHEDULE_HELD,
	SCHEDULE_STATE_COUNT,
};

/* The word that people see. */
const char *schedule_state_name(enum schedule_state state);
/* The reverse; SCHEDULE_NEEDS_AUTHORIZATION for a word not known, which holds and asks a person. */
enum schedule_state schedule_state_by_name(const char *name);

struct schedule_verdict {
	enum schedule_recipient recipient;
	enum schedule_state account; /* SCHEDULE_ACTIVE: the account did its part */
	unsigned delay; /* seconds, where the verdict says so; 0: the schedule decides */
};

/* `diagnosis` is not looked at for a positive reply or one in doubt; may be NULL then. */
struct schedule_verdict schedule_verdict(
    const struct smtp_reply *reply, const struct diagnosis *diagnosis);

/* ---- accounts ---- */

/* Zero-initialised: active. */
struct schedule_account {
	bool held;                  /* by a person */
	enum schedule_state keeper; /* what the keeper says of the credential */
	enum schedule_state server; /* what the last try taught */
	int64_t since;              /* when `server` became what it is */
	int64_t until;              /* server not active: when one message may try again */
	unsigned failures;          /* in a row */
	unsigned round; /* goes up at every change: results of older rounds say nothing new */
};

enum schedule_state schedule_account_state(const struct schedule_account *a);

/* How many jobs may be outstanding now: 0, 1 (to see whether the trouble is over), or `most`. */
unsigned schedule_account_room(const struct schedule_account *a, int64_t now, unsigned most);

/* When schedule_account_room may become more than it is by time alone. */
int64_t schedule_account_wake(const struct schedule_account *a, int64_t now);

/*
 * A try that began in round `round` ended so. Returns true when the account's state changed.
 * Growing waits: unreachable 30 s to 15 min, throttled 1 min to 1 h (or the verdict's delay), else
 * 15 min to 6 h.
 */
bool schedule_account_result(struct schedule_account *a, unsigned round,
    const struct schedule_verdict *v, int64_t now, uint32_t random);

/* The keeper reports. Where a credential is usable again, a refusal of the old one is forgotten.
 * Returns true when the account's state changed. */
bool schedule_account_keeper(struct schedule_account *a, enum schedule_state state);

/* A person gave a new credential at `when`: what a server said of one before it is forgotten.
 * Returns true when the account's state changed. */
bool schedule_account_renewed(struct schedule_account *a, int64_t when);

/* The account goes to another server, or logs in otherwise: what the last one taught is forgotten.
 * Returns true when the account's state changed. */
bool schedule_account_moved(struct schedule_account *a);

/* A person asks to try now: the next message goes out alone, whatever was learned before. */
void schedule_account_retry(struct schedule_account *a, int64_t now);

/* ---- fairness ---- */

/* The next of `count` that is ready, in turn from *cursor; `count` where none is. */
size_t schedule_take_turn(
    size_t *cursor, size_t count, bool (*ready)(void *arg, size_t i), void *arg);

#endif
