/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * envelope.h: an HTTP API has no envelope, so the header section has to name the recipients.
 *
 * Graph and Gmail send to whoever stands in To, Cc and Bcc. A recipient of the envelope who stands
 * in none of them is added as Bcc, which the provider takes out again; an address that is in the
 * header section and not in the envelope would get the message against the sender's will, so the
 * message is refused. Nothing else of the message is changed, and signatures stay valid.
 *
 * Pure; RFC 5322 section 3.6.3.
 */
#ifndef FRANK_BROKER_HTTPS_ENVELOPE_H
#define FRANK_BROKER_HTTPS_ENVELOPE_H

#include "base/buf.h"

enum { ENVELOPE_RECIPIENTS_MAX = 1000 };

/*
 * Compares the header section at the start of `data` with the `count` recipients. 0: `bcc` holds the
 * field to put before the message, CRLF at its end, or nothing, and *ret_added how many are in it.
 * -EBADMSG: the message cannot go by an API, and `why` holds a sentence. -ENOMEM; -E2BIG for more
 * recipients than ENVELOPE_RECIPIENTS_MAX.
 */
int envelope_fit(const char *data, size_t len, const char *const *recipients, size_t count,
    struct buf *bcc, size_t *ret_added, struct buf *why);

#endif
