/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * machine-internal.h: what the two halves of a machine share: machine.c (what it holds, asks and
 * writes) and machine-answer.c (what answers do to it). Nobody else includes it.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_MACHINE_INTERNAL_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_MACHINE_INTERNAL_H

#include "broker/keeper/accounts/machine.h"

enum {
	SECOND = 1000,
	MARGIN_MIN = 90 * SECOND,
	WANT_MIN = 10 * SECOND,    /* a token must live long enough to be used at all */
	LIFE_ABSENT = 300,         /* seconds, where the server does not tell */
	LIFE_MAX = 30 * 24 * 3600, /* seconds */
	REFRESH_LIFE_MAX = 10 * 365 * 24 * 3600, /* seconds */
	BACKOFF_FIRST = 5 * SECOND,
	BACKOFF_MAX = 900 * SECOND,
	ANSWERED_MIN = 30 * SECOND, /* between two requests of which the first was refused */
	PROBED_MIN = 5 * SECOND,    /* ... where a person asks for the second */
	EQUAL_MAX = 5,
	RETRY_AFTER_MAX = 24 * 3600, /* seconds */
	WRITE_AGAIN = 1 * SECOND,
	WRITE_AGAIN_MAX = 60 * SECOND,
	JUST_ROTATED = 600 * SECOND,
	GRANT_AGAIN = 60 * SECOND,
	IDLE_REFRESH = 7 * 24 * 3600,    /* seconds */
	IDLE_SPREAD = 600 * SECOND,      /* after a start, not all at once */
	INTERRUPTED_CHECK = 30 * SECOND, /* how soon an interrupted rotation is looked into */
	CLIENT_AGAIN =
	    6 * 3600 * SECOND,     /* a refused client may have been mended at the provider */
	LOCAL_AGAIN = 60 * SECOND, /* a key file that could not be used may have been mended */
	SKEW_TELLING = 60,         /* seconds by which clocks must differ to explain a refusal */
	TEXT_MAX = 2500,
};

enum writing { WRITE_NONE, WRITE_PLAIN, WRITE_INTENT, WRITE_PAIR };

struct waiter {
	uint64_t id;
	int64_t min_valid; /* ms */
	bool decided, granted;
};

struct machine {
	char *account;
	struct diagnosis_facts whose;
	struct vault *vault;
	uint32_t (*random)(void *arg);
	void *random_arg;

	enum machine_state standing;
	uint64_t generation;
	bool suspended, unattended;

	struct sealed *refresh, *previous, *access;
	char *scope;
	int64_t life, expires;       /* of the access token: ms; ms of the boot clock */
	int64_t refresh_at, idle_at; /* ms of the boot clock */
	int64_t refreshed_wall, authorized_wall;
	int64_t refresh_ends_wall,
	    refresh_life;  /* of the refresh token: seconds since 1970; seconds */
	int64_t min_valid; /* ms */
	bool rejected;     /* a server refused the access token */
	bool unwritten;    /* a refresh token that is in memory alone */
	bool used;         /* somebody wanted the access token */

	bool refreshing, ask_now;
	bool stale;       /* the request in flight is of an older generation */
	bool interrupted; /* a request may have reached the server, and no answer came */
	bool intent_on_disk;
	uint64_t request, serial;
	int64_t asked_at;
	int64_t forced_at; /* last refresh for a rejected token */
	int64_t rotated_at;
	bool grant_again; /* invalid_grant came once, right after a rotation */

	unsigned failures, equal;
	uint64_t last_failure; /* a hash: equal failures are told by it */
	int64_t not_before;
	bool demand; /* somebody was sent away: try by itself */
	bool probing;
	int64_t probe_at;  /* when a refused client is tried again */
	bool by_neighbour; /* the client was refused to another account, not to this one */

	enum writing writing;
	unsigned write_failures;
	int64_t write_at;

	struct waiter *waiters;
	size_t waiting, room;
	bool changed;
	struct buf text, next, words;
	const char *cause, *fixer;
};

static inline int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A number from 0 to `range`. */
int64_t machine_jitter(struct machine *m, int64_t range);

/* The one function that changes the standing. */
void machine_enter(struct machine *m, enum machine_state standing);
/* What a person is told: the cause and the next step. */
void machine_say(struct machine *m, const char *text, const char *next);
void machine_say_nothing(struct machine *m);
/* The same of a verdict; `words` are the server's own and are kept with it, "" for none. */
void machine_say_verdict(struct machine *m, const struct answer_verdict *v, const char *words);

void machine_drop_access(struct machine *m);
/* When the access token is to be refreshed ahead of its end. */
void machine_plan_refresh(struct machine *m);
/* When the refresh token, used at `from` (ms of the boot clock), is to be used so as not to die. */
void machine_plan_idle(struct machine *m, int64_t from);
/* The record is written with the next turn; an unattended machine writes nothing. */
void machine_write_soon(struct machine *m, struct machine_now now, enum writing what);
/*
 * Nothing is asked for a while. `answered`: by the server itself; `failure`: equal failures have equal
 * numbers; `retry_after`: seconds, 0 for none.
 */
void machine_back_off(struct machine *m, struct machine_now now, bool answered, uint64_t failure,
    uint64_t retry_after);
/* Decides what can be decided for those who wait; begins a refresh where one is needed. */
void machine_settle(struct machine *m, struct machine_now now);

#endif
