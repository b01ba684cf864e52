/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * returned.h: mail of the drop directory that is refused goes back.
 *
 * sendmail told the caller that the mail was taken, since no daemon was there to refuse it. So the mail
 * ends like mail that a server refuses: with a report to its sender, or as `failed` in the queue if
 * nobody can get a report. It is never sent; a retry returns it.
 *
 * The report goes through the account that the message would have taken. A caller without a service may
 * not choose where a report goes: that goes to the user's own address or the postmaster, through an
 * account of notify.mail-accounts or the first account of any service. There are at most
 * RETURNED_PER_HOUR of those, so that users without a service do not use up what an account may send.
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
 * r 0: the message is on record, and its file may go. -EAGAIN: the user or the account has to wait.
 * -EFBIG: nobody can get a report, and the message is larger than any may be. Or another negative errno.
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
