/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * reply.h: a struct smtp_reply inside a message (field RESULT).
 *
 * Octets: u16 code, u8 stage, u8 fault, u8 in_doubt, u32 retry_after, u8 length of the enhanced
 * code, the enhanced code, then the text. Numbers with the high octet first.
 */
#ifndef FRANK_BROKER_IPC_REPLY_H
#define FRANK_BROKER_IPC_REPLY_H

#include "base/smtp/smtp.h"
#include "broker/ipc/message.h"

/* The length of `text`, cut to `max` octets behind a whole character of UTF-8. */
size_t reply_cut(const char *text, size_t max);
/* Adds the reply as a field; the text is cut to 2,000 octets, as reply_cut does. */
void reply_put(struct message *m, enum field f, const struct smtp_reply *r);
/* Reads one: 0, -EPROTO for octets that are none, -ENOMEM. The caller clears `ret`. */
int reply_get(const uint8_t *bytes, size_t len, struct smtp_reply *ret);

/* Bits of FLAGS in JOB. */
enum { JOB_8BIT = 1, JOB_SMTPUTF8 = 2, JOB_REQUIRETLS = 4 };
/* Bits of FLAGS in CHECK and CHECK_RUN. SEND: a message is sent at the end. API: the server is an HTTP API's. */
enum { CHECK_SEND = 1, CHECK_API = 2 };
/* Bits of FLAGS in JOB_DONE. UNTRIED: nothing reached the server, so no attempt is counted; a RESULT, where there is one,
 * says why. DSN_PASSED: the server offers DSN and took NOTIFY, so it reports success (RFC 3461 section 5.2.2). */
enum { JOB_UNTRIED = 1, JOB_DSN_PASSED = 2 };

#endif
