/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verdict.h: what a reply means for an account of the configuration: diagnosis.h, told what is known
 * of the account. And replies as text, as the spool keeps them and people see them.
 */
#ifndef FRANK_BROKER_QUEUE_ACCOUNTS_VERDICT_H
#define FRANK_BROKER_QUEUE_ACCOUNTS_VERDICT_H

#include "broker/queue/accounts/account.h"
#include "diagnosis/diagnosis.h"

/* The verdict on a reply of the account's server. `m` is the message that it was about; NULL: none. */
void verdict_on_reply(const struct queue_account *a, const struct spool_message *m,
    const struct smtp_reply *reply, struct diagnosis *ret);

/* The same of a reply that was given at `endpoint` ("host:port [address]"; NULL: the account's
 * server). Where that is another server than the account has now, the verdict says so. */
void verdict_at(const struct queue_account *a, const struct spool_message *m,
    const struct smtp_reply *reply, const char *endpoint, struct diagnosis *ret);

/* The same of the recipient's last reply. For one that is held the next step is a person's. */
void verdict_on_recipient(struct spool *spool, const struct queue_account *a,
    const struct spool_message *m, const struct spool_recipient *r, struct diagnosis *ret);

/* The verdict on facts that the caller has gathered; `a` NULL: they are of no account. Where a
 * credential is missing, the next step is the one that the keeper names. */
void verdict_on_facts(
    const struct queue_account *a, const struct diagnosis_facts *facts, struct diagnosis *ret);

/* Why the account does not send, by the keeper's words or the server's last reply: true, with `text`
 * and `next` of *ret (either may be ""); `cause` and `fixer` are NULL where no reply says so. False
 * where it sends, is held by a person, or nothing is known of why. */
bool verdict_on_account(const struct queue_account *a, struct diagnosis *ret);

/* A next step that is no verdict's, as the account's grant and secret allow it (diagnosis_step). */
void verdict_step(const struct queue_account *a, const char *format, char *ret, size_t size);

/* Did the server, or a fault of ours, say anything? */
bool verdict_has_reply(const struct smtp_reply *reply);
/* Did it take what it was asked (2xx)? */
bool verdict_is_positive(const struct smtp_reply *reply);

/* Appends "550 5.1.1 no such user", or a fault's name and words; nothing for no reply. */
void verdict_reply_text(const struct smtp_reply *reply, struct buf *out);
/* The reverse, as far as the words tell; `stage` and `fault` are enum smtp_stage and smtp_fault as the
 * spool keeps them. The caller clears `ret`. 0, -EBADMSG for words that are no reply, -ENOMEM. */
int verdict_reply_parse(const char *text, int stage, int fault, struct smtp_reply *ret);

#endif
