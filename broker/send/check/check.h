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

#include <sys/queue.h>

#include "broker/send/account.h"
#include "broker/send/env.h"

struct check_run;
LIST_HEAD(check_list, check_run);

/* CHECK_RUN. A check that cannot even begin is answered at once; `accounts` is needed for the call alone. */
void check_start(struct check_list *list, struct send_env *env,
    const struct account_table *accounts, const struct message *m);
/* CHECK_CANCEL: ends it unanswered; nothing where it is over. */
void check_cancel(struct check_list *list, uint64_t id);
/* Ends them all, unanswered. */
void check_end_all(struct check_list *list);
/* CREDENTIAL or CREDENTIAL_FAILED: true where it was the question of one of them. */
bool check_credential(struct check_list *list, uint64_t id, const struct message *m);
/* Keeper is there (what could not be asked is asked) or gone. */
void check_keeper_up(struct check_list *list, bool up);

#endif
