/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * diagnosis.h: what a reply or a fault means, whose it is to fix, and what to do next.
 *
 * ONE table of rules (rules.c, from the files in rules/) holds every verdict; a matcher walks it.
 * Used by queue to decide, and by frank to explain offline. Pure: no allocation, no system call.
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
const char *retry_class_name(enum retry_class c);

/* Whether the session was logged in when the reply came. */
enum diagnosis_login {
	LOGIN_UNKNOWN, /* at MAIL and later it is taken to be, where a mechanism is known */
	LOGIN_NOT_TRIED,
	LOGIN_REFUSED,
	LOGIN_SUCCEEDED,
};

/*
 * What is known about an outcome; absent strings are NULL. Everything is borrowed for the call. A
 * stage of SMTP_STAGE_NONE stands for any. A reply with neither code nor fault is taken for the
 * words of a fault or of a token endpoint, as a person pastes them.
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
	bool known; /* a rule for this very case; false: only the code's class was understood */
	char text[1024]; /* one or two sentences: what happened */
	char next[512];  /* one sentence: the next step */
};

/*
 * Fills in a next step that is no rule's, such as "{Renew}.": its words are those of step.c and {account},
 * {user}. At most `size` - 1 octets, always terminated.
 */
void diagnosis_step(
    const char *format, const struct diagnosis_facts *facts, char *out, size_t size);

/*
 * Always fills `ret`. A positive reply is not for this function.
 *
 * Whatever the reply says: at a stage before MAIL the retry class is never RETRY_PERMANENT_MESSAGE,
 * and no advice against a new authorization is given unless a login is known to have succeeded.
 */
void diagnose(const struct diagnosis_facts *facts, struct diagnosis *ret);

/*
 * Reads what a person pastes: a reply of one or more lines, also as a log joins them (" / ", or the
 * two characters \n), a sentence of a program that quotes one, or words without a code. `stage` is
 * where it happened; SMTP_STAGE_NONE: what the sentence says of it counts. The error challenge of
 * XOAUTH2 or OAUTHBEARER, if one is in it, is decoded into `challenge` (of `size` octets; else "").
 * 0, or -ENOMEM.
 */
int diagnosis_read(
    const char *text, enum smtp_stage stage, struct smtp_reply *ret, char *challenge, size_t size);

#endif
