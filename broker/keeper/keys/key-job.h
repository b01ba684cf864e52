/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * key-job.h: what is done with every record of the store, a few at a time between the keeper's other
 * work: seal it anew, put it into a backup, take it from one, look whether it opens.
 *
 * Internal to keys.c and key-job.c. There is one job at a time (keeper.key_job). A job whose client went
 * away goes on where it changes the store, and ends where it only tells.
 */
#ifndef FRANK_BROKER_KEEPER_KEYS_KEY_JOB_H
#define FRANK_BROKER_KEEPER_KEYS_KEY_JOB_H

#include "broker/keeper/keeper.h"
#include "tokenstore/backup.h"

/* An action that is answered from outside; `action` as a person types it. */
void keys_audit(const struct client *c, const char *action, const char *outcome);
/* "`doing`: what errno says." */
void keys_say_failed(struct client *c, const char *doing, int r);

/* Goes on with a new master key whose re-sealing was interrupted, where that is so. */
void key_job_resume(struct keeper *k);
void key_job_reseal(struct keeper *k, struct client *c);
void key_job_verify(struct keeper *k, struct client *c);
/* `passphrase` (NULL: none came) and `fd` are taken. */
void key_job_backup(struct keeper *k, struct client *c, struct secret *passphrase, int fd);
/* Looks at the whole backup first; `write`: then puts its records into the store. */
void key_job_restore(struct keeper *k, struct client *c, struct secret *passphrase, int fd,
    bool overwrite, bool write);

#endif
