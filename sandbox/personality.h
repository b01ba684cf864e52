/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * personality.h: which provider the sandbox plays: what it offers, its limits, and its words.
 *
 * Refusals are names of faults.def, so that a refusal and the fault that plays it cannot differ. What the two providers say is from their
 * documents and from transcripts of 2024 to 2026; the names of hosts and the ids in it are made up.
 */
#ifndef FRANK_SANDBOX_PERSONALITY_H
#define FRANK_SANDBOX_PERSONALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum personality_refusal {
	REFUSE_TOKEN,
	REFUSE_PASSWORD,
	REFUSE_SENDER, /* not the account's; at the stage of that fault. NULL: any sender is taken */
	REFUSE_SESSIONS, /* more than sessions_max */
	REFUSE_SIZE,     /* the content is larger than content_max */
	REFUSE_CLIENT,
	REFUSE_SECRET,
	REFUSE_GRANT,
	REFUSE_REVOKED,
	REFUSE_REUSED,
	REFUSE_SCOPE,
	REFUSE_PENDING, /* the device flow's */
	REFUSE_SLOW_DOWN,
	REFUSE_EXPIRED,
	REFUSE_DENIED,
	PERSONALITY_REFUSALS,
};

struct personality {
	const char *name;
	const char *hostname;
	const char *greeting; /* behind 220; %s is the date. NULL: the engine's */
	const char *
	    hello; /* first line of the EHLO reply; %s is the client's address. NULL: the engine's */
	const char *mechanisms;
	unsigned extensions;
	uint64_t size_max; /* as EHLO names it */
	uint64_t
	    content_max; /* the mailbox's own limit, which counts when the content is there; 0: none */
	unsigned recipients_max;
	unsigned sessions_max;  /* of an account at a time; 0: no limit */
	const char *scopes;     /* that a client may ask for */
	const char *send_scope; /* the one that the submission server wants */
	const char *app_scope; /* the same as a client asks for it by itself (client credentials) */
	bool
	    offline_by_parameter; /* a refresh token comes with access_type=offline, not with a scope */
	const char *challenge; /* JSON before 535 for a refused token; NULL: 535 at once */
	const char *refusals[PERSONALITY_REFUSALS];
	/* Words behind the code; NULL: the engine's. `stored`: %s is the message's name. */
	const char *signed_in, *sender_ok, *recipient_ok, *go_ahead, *stored;
};

/* NULL: there is none of that name. */
const struct personality *personality_find(const char *name);

#endif
