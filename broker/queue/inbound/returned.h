/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * returned.h: mail of the drop directory that is refused goes back.
 *
 * Whoever handed it in was told that it was taken, since nobody was there to say otherwise. So it ends
 * like mail that a server refuses: with a report to its sender, or as `failed` in the queue where
 * nobody can be told. A message that was refused is never sent, whoever asks for another try: what a
 * retry does is to return it.
 *
 * The report goes through the account that the message would have taken. Where no service is for the
 * caller, its word about the sender counts for nothing: the report goes to the user's own address or
 * the postmaster, through an account that tells people (notify.mail-accounts) or the first of any
 * service; no more than RETURNED_PER_HOUR of those, so that nobody without a service uses up what an
 * account may send.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_RETURNED_H
#define FRANK_BROKER_QUEUE_INBOUND_RETURNED_H

#include "broker/queue/inbound/inbound.h"

enum { RETURNED_PER_HOUR = 20 };

struct returned;

/* Why it is refused. */
struct returned_why {
	const char *reply; /* "550 5.7.1 words" */
	size_t recipient;  /* of which recipient, from 0; SIZE_MAX: of the message as a whole */
};

/*
 * It is on record (r 0), and the file may go; or it is not: -EAGAIN where the user or the account has
 * to wait; -EFBIG where nobody can be told and it is larger than any message may be; else another
 * negative errno.
 */
typedef void returned_done(void *arg, int r);

/*
 * Returns the message in the file (drop-file.h) of this user. `fd` is borrowed until `done`, which is
 * called once, never from within this call. NULL: no memory.
 */
struct returned *returned_new(struct inbound *in, int fd, uint32_t uid,
    const struct returned_why *why, returned_done *done, void *arg);
/* `done` will not be called; what is on its way to the disk gets there. Takes NULL; returns NULL. */
struct returned *returned_free(struct returned *x);

/*
 * Another try, within a transaction, for a message with SPOOL_REFUSED that could not be returned
 * before: 1 where it was, 0 where that cannot be done now, or negative errno. *ret_report is then on
 * record, too, and the caller's to free after the commit.
 */
int returned_again(struct inbound *in, struct spool_message *m, struct spool_message **ret_report);

#endif
