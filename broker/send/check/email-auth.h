/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * email-auth.h: what a domain says in DNS of the mail that bears its name: SPF (RFC 7208), DKIM keys
 * (RFC 6376 section 3.6.1), DMARC (RFC 7489 section 6.3).
 *
 * No I/O: records in, findings out; the owner asks DNS. A receiver would judge by the client's address, which is not
 * known here: a sender wants to know whether his provider is named at all, and whether the records are valid.
 */
#ifndef FRANK_BROKER_SEND_CHECK_EMAIL_AUTH_H
#define FRANK_BROKER_SEND_CHECK_EMAIL_AUTH_H

#include <stdbool.h>
#include <stddef.h>

enum {
	EMAIL_AUTH_NAME_MAX = 255,
	EMAIL_AUTH_RECORD_MAX = 4096,
	SPF_LOOKUPS_MAX = 10, /* RFC 7208 section 4.6.4 */
	SPF_NAMES_MAX = 24,
};

/* ---- SPF ---- */

struct spf {
	char wanted[EMAIL_AUTH_NAME_MAX +
		    1]; /* the provider's name that should be included; "" for none */
	char names[SPF_NAMES_MAX]
		  [EMAIL_AUTH_NAME_MAX + 1]; /* whose records are needed, the domain first */
	size_t count, asked;
	unsigned lookups;  /* that a receiver would make, as far as seen */
	bool exists;       /* the domain has a record */
	bool names_wanted; /* and the provider is in it */
	bool several;      /* more than one, which is an error */
	bool malformed;    /* one of them cannot be read */
	bool too_many;     /* more look-ups than are allowed */
	char all;          /* the domain's own qualifier of "all": '-', '~', '?', '+'; 0: none */
	char record[512];  /* the domain's own, cut, for people */
};

void email_auth_spf_begin(struct spf *s, const char *domain, const char *wanted);
/* The next name whose TXT records are needed; NULL when all is known. */
const char *email_auth_spf_next(struct spf *s);
/* The records of the name that email_auth_spf_next gave last, each joined to one string and given in turn; then
 * email_auth_spf_end. */
void email_auth_spf_record(struct spf *s, const char *text, size_t len);
void email_auth_spf_end(struct spf *s);

/* ---- DMARC and DKIM ---- */

struct dmarc {
	bool exists;
	bool several;
	char policy[16], subdomains[16]; /* none | quarantine | reject; "" where absent */
	bool strict_spf, strict_dkim;    /* aspf, adkim */
	bool reports;                    /* rua */
};

/* Reads a TXT record of _dmarc.DOMAIN; others are passed over. */
void email_auth_dmarc(struct dmarc *d, const char *text, size_t len);

struct dkim_key {
	bool exists;
	bool revoked; /* an empty key */
	bool testing; /* t=y */
	bool ed25519;
	size_t octets; /* of the key, decoded */
};

/* Reads a TXT record of SELECTOR._domainkey.DOMAIN. */
void email_auth_dkim(struct dkim_key *k, const char *text, size_t len);

#endif
