/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * api.h: the HTTP APIs that take mail, in one table: how each is asked and how its answers read.
 *
 * Microsoft Graph sendMail with a MIME message, and Gmail messages.send by simple upload. Pure: no
 * network, no clock.
 *
 * Sources: Microsoft Graph "user: sendMail" and "Send Outlook messages in MIME format"; Gmail API
 * "users.messages.send", its discovery document (36,700,160 octets) and its guide to errors.
 */
#ifndef FRANK_BROKER_HTTPS_API_H
#define FRANK_BROKER_HTTPS_API_H

#include "base/smtp/smtp.h"

struct api {
	const char *transport;    /* as the configuration names it */
	const char *name;         /* for people */
	const char *content_type; /* a header line */
	const char *id_header;    /* names the request in the provider's logs; NULL: none */
	bool base64;
	size_t message_max; /* octets of a message, before any encoding */
};

/* NULL for "smtp" and unknown words. */
const struct api *api_by_transport(const char *transport);

/* Appends the address of the request. `endpoint`: where the API begins; `mailbox`: whose mail it is,
 * or NULL for the token's own. 0, -ENOBUFS or -ENOMEM. */
int api_url(const struct api *a, const char *endpoint, const char *mailbox, struct buf *out);

/*
 * Reads an answer. Accepted: code 250, stage end of message, the provider's id in the text. Refused:
 * the HTTP status as code, stage API, the provider's own code and words in the text. Something else
 * in the provider's place (a proxy, a captive portal): a fault. In doubt: 504, and 2yz from something
 * else. `request_id` (may be NULL) is the value of id_header; `now` in seconds since 1970. 0 or -ENOMEM.
 */
int api_answer_read(const struct api *a, long status, const char *body, size_t len,
    const char *request_id, int64_t now, struct smtp_reply *ret);

#endif
