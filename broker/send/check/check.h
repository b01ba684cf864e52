/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check.h: looks at an account as a support engineer would, or at a server without one: name,
 * connection, TLS, certificate, EHLO, AUTH, what other ports say; then, with an account, token,
 * login and each sender up to RCPT; and the records of the sender's domain. No message goes out
 * unless that is asked for.
 *
 * Every connection is the check's own, so that delivery is not disturbed. Findings are told as they
 * come (CHECK_STEP), the end as CHECK_DONE with the reply that decides the verdict, which is queue's
 * to put into words.
 */
#ifndef FRANK_BROKER_SEND_CHECK_CHECK_H
#define FRANK_BROKER_SEND_CHECK_CHECK_H

#include "broker/send/pool.h"

struct check;

/* CHECK_RUN. */
void check_start(struct send *s, const struct message *m);
/* Ends it unanswered, and takes it off the list. */
void check_free(struct check *c);
/* CHECK_CANCEL: nothing where it is over. */
void check_cancel(struct send *s, uint64_t id);
/* CREDENTIAL or CREDENTIAL_FAILED: true where it was this check's question. */
bool check_credential(struct check *c, uint64_t id, const struct message *m);
void check_keeper_up(struct check *c, bool up);
struct check *check_next(const struct check *c);

#endif
