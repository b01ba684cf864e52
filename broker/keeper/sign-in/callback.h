/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * callback.h: the query string that a browser brings back from the authorization server.
 * Sans-IO.
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_CALLBACK_H
#define FRANK_BROKER_KEEPER_SIGN_IN_CALLBACK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/secret.h"

enum { CALLBACK_MAX = 32 * 1024 };

enum callback_verdict {
	CALLBACK_CODE,    /* it brings the code */
	CALLBACK_IGNORED, /* not the answer to this attempt: keep waiting */
	CALLBACK_ERROR,   /* the server says no (RFC 6749 section 4.1.2.1) */
	CALLBACK_INVALID, /* its state is ours, but something else is wrong */
	CALLBACK_FAILED,  /* memory */
};

struct callback {
	struct secret *code; /* CALLBACK_CODE */
	/* CALLBACK_ERROR, and CALLBACK_IGNORED where it has them: code and error_description, decoded,
	 * made fit to be shown. CALLBACK_INVALID: `text` is a sentence that goes on from `why`, or "". */
	struct buf error, text;
	const char *why; /* CALLBACK_IGNORED, CALLBACK_INVALID: a sentence, constant */
};

void callback_clear(struct callback *c);

/* What the callback must answer to. `issuer` NULL: none is known, so none is compared. */
struct callback_expected {
	const struct secret *state;
	const char *issuer;
	bool iss_required;
};

/*
 * Checks, in this order: `state` is there once and equal (in constant time); no other known
 * parameter comes twice; `iss` is the expected issuer (RFC 9207), and there where it must be;
 * `error` before `code`. Unknown parameters are passed over. `ret` is overwritten and the caller's
 * to clear.
 */
enum callback_verdict callback_read(
    const char *query, size_t len, const struct callback_expected *expected, struct callback *ret);

#endif
