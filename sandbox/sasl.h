/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sasl.h: the server's side of XOAUTH2, OAUTHBEARER (RFC 7628), PLAIN (RFC 4616) and LOGIN, as a
 * provider plays it.
 *
 * An exchange takes decoded responses and says what to do next. Who a token or a password belongs
 * to is asked through two calls, so that this file knows no store. A refused token is answered with
 * the JSON challenge first; only the client's next response, whatever it holds, brings the failure
 * (RFC 7628 section 3.2.3; Google's and Microsoft's XOAUTH2 pages).
 */
#ifndef FRANK_SANDBOX_SASL_H
#define FRANK_SANDBOX_SASL_H

#include <stdbool.h>

#include "base/address.h"
#include "base/smtp/sasl.h"

struct sasl_checks {
	/* Is this access token good for sending as `user`? */
	bool (*token)(void *arg, const char *user, const char *token);
	bool (*password)(void *arg, const char *user, const char *password);
	const char *
	    challenge; /* JSON for a refused token; NULL: it is refused at once, as Microsoft does */
};

enum sasl_next {
	SASL_NEXT_CHALLENGE, /* send `challenge`, which may be empty, and come back with the
				response */
	SASL_NEXT_OK,        /* `user` is signed in */
	SASL_NEXT_REFUSED,   /* 535 5.7.8 */
	SASL_NEXT_BAD,       /* 501 5.5.2: not the mechanism's grammar */
};

struct sasl_exchange {
	enum sasl_mechanism mechanism; /* SASL_NONE: no exchange is going on */
	enum sasl_mechanism ended;     /* the mechanism of the last one */
	bool challenged;               /* the error challenge was sent */
	char user[ADDRESS_MAX + 1];
	char challenge[160];
};

/* Begins an exchange; false for a mechanism that is not spoken. */
bool sasl_exchange_begin(struct sasl_exchange *x, const char *mechanism);

/* Takes the client's response: NULL at the start where it gave no initial response. Ends the
 * exchange unless the result is SASL_NEXT_CHALLENGE. */
enum sasl_next sasl_exchange_step(struct sasl_exchange *x, const struct sasl_checks *checks,
    void *arg, const char *response, size_t len);

/* Takes back SASL_NEXT_OK of a token mechanism: `challenge` is to be sent, and the next step refuses. False: the mechanism or the server has no
 * such challenge, and the exchange stays ended. */
bool sasl_exchange_refuse(struct sasl_exchange *x, const char *challenge);

#endif
