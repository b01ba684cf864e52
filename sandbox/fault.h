/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fault.h: faults on demand: rules that say at which stage of a session, for whom and how often the sandbox fails, and how.
 *
 * A rule is JSON. {"fault": "greylist"} alone is one: faults.def has the names, and what each does. All else is optional:
 *
 *   fault        a name of faults.def; what the rule says besides goes before what the name stands for
 *   stage        connect, ehlo, starttls, auth, mail, rcpt, data, dot, stored, token, device, authorize
 *   action       reply, challenge, greylist, delay, hang, drop, html, revoke, expired, narrow
 *   code, enhanced, text   the reply: {account}, {sender}, {recipient} are filled in; at the HTTP stages the status
 *                and "error description"
 *   account, sender, recipient   who is meant; '*' stands for any octets, and case does not count. A stage that does not know
 *                the one that is named does not fail.
 *   count        how often; then the rule is over
 *   probability  in percent
 *   rate         "30/min": this often in a time it goes well (s, min, h, day), for each account by itself; what is more fails
 *   seconds      delay, Retry-After, and how long a triple stays greylisted after the first try
 *
 * The first rule that fits decides; delays of rules before it are added up. Engine: no system call, no clock; times are in
 * milliseconds of any clock.
 */
#ifndef FRANK_SANDBOX_FAULT_H
#define FRANK_SANDBOX_FAULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { FAULT_RULES_MAX = 256, FAULT_TEXT_MAX = 1024, FAULT_NAME_MAX = 48 };

enum fault_stage {
	FAULT_CONNECT,
	FAULT_EHLO,
	FAULT_STARTTLS,
	FAULT_AUTH,
	FAULT_MAIL,
	FAULT_RCPT,
	FAULT_DATA,
	FAULT_DOT,    /* the content is complete, and not stored yet */
	FAULT_STORED, /* it is stored, and not answered yet */
	FAULT_TOKEN,
	FAULT_DEVICE,
	FAULT_AUTHORIZE,
	FAULT_STAGES,
};

enum fault_action {
	FAULT_NONE, /* nothing but the delay */
	FAULT_REPLY,
	FAULT_CHALLENGE, /* the JSON challenge of a refused token, then the reply */
	FAULT_GREYLIST,
	FAULT_DELAY,
	FAULT_HANG,
	FAULT_DROP,
	FAULT_HTML,
	FAULT_REVOKE,
	FAULT_EXPIRED,
	FAULT_NARROW,
	FAULT_ACTIONS,
};

/* Where a session or a request stands. NULL: not known at this stage. */
struct fault_event {
	enum fault_stage stage;
	const char *account, *sender, *recipient;
	const char *client; /* its address, for greylisting */
};

/* What is to go wrong. */
struct fault {
	enum fault_action
	    action; /* never FAULT_GREYLIST or FAULT_DELAY, which become FAULT_REPLY and delay_ms */
	enum fault_stage stage;
	unsigned rule;        /* its id; 0: chaos, or a delay alone */
	unsigned delay_ms;    /* before the action */
	unsigned retry_after; /* seconds; 0: not said */
	int code;
	char name[FAULT_NAME_MAX];
	char enhanced[12];
	char text[FAULT_TEXT_MAX]; /* filled in; at the HTTP stages "error description" */
};

/* Fills `len` octets; 0 or negative errno. */
typedef int fault_random(void *bytes, size_t len);

struct faults;

/* NULL: no memory. */
struct faults *faults_new(fault_random *random);
/* Takes and returns NULL. */
struct faults *faults_free(struct faults *f);

/* Adds a rule. 0, or -EINVAL, -ENOSPC, -ENOMEM with the reason in `why`. `*ret_id` names the rule. */
int faults_add(struct faults *f, const json_t *rule, unsigned *ret_id, char why[256]);
/* The same for one rule or an array of them, all or none; the ids are appended to the array `ids`. */
int faults_add_all(struct faults *f, const json_t *rules, json_t *ids, char why[256]);
/* The rules in their order, as they were given, with id, stage, action and "hits": a new reference; NULL: no memory. */
json_t *faults_list(const struct faults *f);
/* False: there is no such rule. */
bool faults_delete(struct faults *f, unsigned id);
/* Forgets all rules, and chaos. */
void faults_clear(struct faults *f);

/* Does something go wrong here? Counts, and so is asked once for each event. */
bool faults_find(struct faults *f, const struct fault_event *e, uint64_t now_ms, struct fault *ret);

/* What the fault of this name says, filled in, whatever rules there are. False: there is no such name. */
bool faults_named(const char *name, const struct fault_event *e, struct fault *ret);

/* The names of faults.def with stage, action, reply and what they are about, as an array: a new reference; NULL: no memory. */
json_t *faults_names(void);

/* Mailpit's chaos (chaos.h): what MAIL, RCPT and AUTH are refused with, in so many percent of all cases. */
enum fault_trigger {
	FAULT_TRIGGER_SENDER,
	FAULT_TRIGGER_RECIPIENT,
	FAULT_TRIGGER_AUTHENTICATION,
	FAULT_TRIGGERS
};

struct fault_chaos {
	int code; /* 400 to 599 */
	unsigned probability;
};

/* The three, which may be changed at any time. */
struct fault_chaos *faults_chaos(struct faults *f);

#endif
