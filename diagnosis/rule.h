/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rule.h: one row of the table of verdicts, and the match. Private to this room and its tests.
 */
#ifndef FRANK_DIAGNOSIS_RULE_H
#define FRANK_DIAGNOSIS_RULE_H

#include "diagnosis/diagnosis.h"

/* Families of presets that are one provider: a bit each (contrib/providers/facts.py). */
#define FAMILY(id, ...) id##_AT,
#define PRESET(...)
enum {
#include "contrib/providers/facts.def"
};
#undef FAMILY
#define FAMILY(id, ...) id = 1 << id##_AT,
enum provider {
	ANY_PROVIDER = 0,
#include "contrib/providers/facts.def"
};
#undef FAMILY
#undef PRESET

/* Who can fix it. */
enum fixer { OWNER, TENANT, FRANK, SENDER, PROVIDER, NETWORK };

/* What must be known besides the reply. */
enum condition {
	ALWAYS,
	BY_PASSWORD,    /* the mechanism or the grant is one of passwords */
	BY_TOKEN,       /* the mechanism or the grant is one of tokens */
	APP_ONLY,       /* client credentials: no person signed in */
	WRONG_AUDIENCE, /* the token's audience is known and is not the mail server's */
	WRONG_SCOPE,    /* the token's scopes are known, and none of them is for SMTP */
	WRONG_USER,     /* the token's user is known and is not the login name */
	EXPIRED,        /* the token was past its expiry */
	ON_PORT_25,
	BARE_NAME,      /* the name in EHLO is known and is not a full host name */
	AT_MX,          /* the host takes mail for its own mailboxes only, and no logins */
	DIRECT,         /* the same, or port 25 of any host without a login */
	CONSUMER,       /* a personal mailbox of Microsoft, which has no administrator */
	WRONG_PORT,     /* the provider's host does not take submissions on this port */
	TLS_TOO_EARLY,  /* implicit TLS on a port of STARTTLS */
	TLS_TOO_LATE,   /* no implicit TLS on a port that wants it */
	NO_TLS,         /* TLS is known to be off */
	CHALLENGED,     /* the server refused a token with an error challenge */
	NOT_RECIPIENTS, /* the enhanced code is not about a recipient (5.1.x, 5.2.x) */
	FOREIGN_BANNER, /* the host is the provider's, but the greeting is not */
};

/*
 * A row. Sets of numbers are strings of words: codes "550 554" or a first digit "5"; enhanced codes
 * "5.7.1 5.7.50*". `words` is a list of fragments separated by '|', each of parts joined by '&'
 * that must all occur, or, with '!' before them, must not. Case does not matter. A part that begins
 * or ends in a digit does not match inside a longer number, one that begins or ends in '_' not
 * inside a longer word; "@name" stands for a set of rules/words.def.
 */
struct rule {
	const char *id;       /* as the catalogue numbers it: "M3"; unique */
	unsigned providers;   /* bits; 0: any */
	unsigned stages;      /* bits of 1 << enum smtp_stage; 0: any */
	const char *codes;    /* NULL: any */
	const char *enhanced; /* NULL: any */
	const char *words;    /* NULL: any */
	enum condition when;
	enum smtp_fault fault; /* not SMTP_FAULT_NONE: a rule for this fault, or for `words` where
				  neither code nor fault is known */
	const char *cause;
	enum fixer fixer;
	enum retry_class retry;
	unsigned delay;
	bool saying;      /* of a rule for a fault: `words` must occur as well */
	const char *text; /* templates of text.c */
	const char *next;
	bool whole_client; /* of a token endpoint: the answer is about the client's secret, key or
			      registration, whichever account asked */
};

extern const struct rule diagnosis_rules[];
extern const size_t diagnosis_rules_count;

/* What the match found out about the reply on its way. */
struct diagnosis_match {
	const struct rule *rule; /* never NULL */
	int code;                /* of the reply, or of the one quoted within it */
	const char *enhanced;    /* "" where there is none */
	char enhanced_inner[12];
	enum smtp_stage stage;
	unsigned provider; /* one bit, or 0 */
	bool signed_in;    /* a login is known to have succeeded before this reply */
	char words[2048];  /* the server's words in one line */
	char said[2048];   /* the same without mail addresses, whose words mean nothing */
};

/* How many octets at the start of `s` have the form of an enhanced status code (RFC 3463), "5.7.139"; 0
 * if there is none. The caller judges what follows. */
size_t match_enhanced_length(const char *s);

void match_find(const struct diagnosis_facts *facts, struct diagnosis_match *ret);

/* Fills in a template of the table. Always terminated; a text that is too long is cut at a character. */
void diagnosis_text(const char *format, const struct diagnosis_facts *facts,
    const struct diagnosis_match *match, char *out, size_t size);

/* Reduces the answer of a token endpoint, as programs print it, to its words (token.c). */
void diagnosis_token_words(struct diagnosis_match *match);

/* Where an account's credential comes from. */
enum step_grant { UNKNOWN_GRANT, BY_PERSON, UNATTENDED, STORED_PASSWORD, NO_CREDENTIAL };
enum step_grant step_grant(const struct diagnosis_facts *facts);

/* The command that a template's word stands for (step.c), as the account allows it, written to `scratch`
 * and cut to `size`; NULL if it is not such a word. */
const char *step_word(
    const char *name, size_t len, const struct diagnosis_facts *facts, char *scratch, size_t size);
/* Does "?person", "?unattended" or "?password" hold for the account? */
bool step_grant_holds(const char *name, size_t len, const struct diagnosis_facts *facts);

/* Takes the next word of a list separated by spaces; its length, or 0 at the end. */
size_t words_next(const char **list, const char **ret);

/* Does `text` say what `words` (struct rule) ask for? */
bool words_say(const char *text, const char *words);

/* ---- provider.c ---- */

/* The provider's bit, by the preset, the host or the reply's words; 0: unknown. */
unsigned provider_find(const struct diagnosis_facts *f, const struct diagnosis_match *m);
/* The conditions AT_MX, CONSUMER, WRONG_PORT and FOREIGN_BANNER. */
bool provider_is_mx(const struct diagnosis_facts *f);
bool provider_is_consumer(const struct diagnosis_facts *f);
bool provider_port_is_wrong(const struct diagnosis_facts *f);
bool provider_banner_is_foreign(const struct diagnosis_facts *f);
/* The submission server of this sender's provider, "host:port", by the sender's domain or else by
 * `provider`; NULL if unknown. It may be written to `scratch`. */
const char *provider_submission(
    const struct diagnosis_facts *f, unsigned provider, char *scratch, size_t size);
/* What the provider accepts as a password, for people; NULL if it is the ordinary one. */
const char *provider_password(unsigned provider);
/* The name of a provider's bit for people: "Microsoft 365"; "the provider" for none. */
const char *provider_title(unsigned provider);

#endif
