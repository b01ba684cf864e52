/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * diagnosis.h: what a reply or a fault means, whose it is to fix, and what to do next.
 *
 * One table of rules (rules.c, from the files in rules/) has every verdict, and a matcher picks one.
 * queue uses it to decide, and frank to explain offline. No I/O; only diagnosis_read allocates.
 */
#ifndef FRANK_DIAGNOSIS_DIAGNOSIS_H
#define FRANK_DIAGNOSIS_DIAGNOSIS_H

#include "base/smtp/smtp.h"

enum retry_class {
	RETRY_TRANSIENT,           /* try this recipient again later */
	RETRY_PERMANENT_MESSAGE,   /* this message or recipient is refused for good: bounce */
	RETRY_PERMANENT_ACCOUNT,   /* the account is refused: hold its queue, bounce nothing */
	RETRY_NEEDS_AUTHORIZATION, /* a person must sign in again or give a new password: hold */
	RETRY_THROTTLED,           /* slow the account down */
	RETRY_CONFIGURATION,       /* the administrator's configuration is wrong: hold */
};

/* "transient", "permanent-message", ... */
const char *diagnosis_retry_name(enum retry_class c);

/* Was the session logged in when the reply came? */
enum diagnosis_login {
	LOGIN_UNKNOWN, /* at MAIL and later it is taken to be, where a mechanism is known */
	LOGIN_NOT_TRIED,
	LOGIN_REFUSED,
	LOGIN_SUCCEEDED,
};

/*
 * What is known about an outcome; unknown strings are NULL. Everything is borrowed for the call. The
 * stage SMTP_STAGE_NONE means any. A reply with neither code nor fault is taken for the words of a
 * fault or of a token endpoint, as people paste them.
 */
struct diagnosis_facts {
	const struct smtp_reply *reply;
	const char *provider; /* preset's name; where it says nothing ("generic"), host and words of
				 the reply do */
	const char *account;
	const char *host;
	unsigned port;
	const char *tls;       /* starttls | implicit | none */
	const char *mechanism; /* XOAUTH2, ... */
	const char *auth_user;
	const char *mail_from;
	const char *rcpt;
	enum diagnosis_login login;
	const char *greeting; /* the server's first words */
	const char *grant;
	const char *secret_from; /* where the configuration takes the account's secret, key or
				    password from: "file:PATH", "command:PATH",
				    "credential:NAME"; NULL or "": the store */
	const char *ehlo_name;   /* the name we announced */
	const char *challenge; /* JSON of the error challenge of XOAUTH2 or OAUTHBEARER, decoded */
	/* Of the access token, where it could be read: claims that were decoded, not verified.
	 * Never the token. */
	const char *token_audience; /* aud */
	const char *token_scopes;   /* scp or roles, or the scope that the token endpoint granted;
				       separated by spaces */
	const char *token_user;     /* upn, preferred_username or email */
	bool token_expired;
};

struct diagnosis {
	const char *cause; /* slug, constant: "smtp-auth-disabled-mailbox" */
	const char *fixer; /* constant: mailbox-owner | tenant-admin | frank-admin | sender-config |
			      provider | network */
	enum retry_class retry;
	unsigned
	    delay; /* seconds until the next try, where the rule says so; 0: the schedule decides */
	bool whole_client; /* an authorization server refused the client's own secret, key or
			      registration: every account that uses the same ones is refused */
	bool known;      /* a rule matched this case; false: only the code's class was understood */
	char text[1024]; /* one or two sentences: what happened */
	char next[512];  /* one sentence: the next step */
};

/*
 * Fills in the template of a next step that does not belong to a rule, such as "{Renew}.". It may use
 * the words of step.c, {account} and {user}. At most `size` - 1 octets, always terminated.
 */
void diagnosis_step(
    const char *format, const struct diagnosis_facts *facts, char *out, size_t size);

/*
 * Finds the verdict on a refusal or a fault; it always fills `ret`. The reply must not be positive.
 *
 * Two things hold whatever the reply says. At a stage before MAIL the retry class is never
 * RETRY_PERMANENT_MESSAGE. The advice not to authorize again is given only if a login is known to have
 * succeeded.
 */
void diagnosis_find(const struct diagnosis_facts *facts, struct diagnosis *ret);

/*
 * Reads what a person pastes: a reply of one or more lines, also as a log joins them (" / ", or the
 * two characters \n), a program's sentence that quotes a reply, or words without a code. `stage` is
 * where it happened; SMTP_STAGE_NONE: the sentence decides. An error challenge of XOAUTH2 or
 * OAUTHBEARER in it is decoded into `challenge` (of `size` octets; "" without one). The caller clears
 * *ret. 0, or -ENOMEM.
 */
int diagnosis_read(
    const char *text, enum smtp_stage stage, struct smtp_reply *ret, char *challenge, size_t size);

#endif
