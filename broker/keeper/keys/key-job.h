/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * key-job.h: work on every record of the store: seal it under a new master key, put it into a backup,
 * restore it, check that it opens. A few records are done at a time, between the keeper's other work.
 *
 * There is one job at a time. When its client goes away, a job that changes the store goes on, and one that
 * only reports ends.
 */
#ifndef FRANK_BROKER_KEEPER_KEYS_KEY_JOB_H
#define FRANK_BROKER_KEEPER_KEYS_KEY_JOB_H

#include "broker/keeper/accounts/accounts.h"
#include "broker/keeper/clients/client.h"
#include "tokenstore/backup.h"

struct key_job;

struct key_jobs {
	struct event_base *base; /* borrowed, as is all but the job */
	const struct file_ops *files;
	struct accounts *accounts;
	struct store *store; /* a job is begun only while it is open */
	struct key_job *job; /* NULL: none */
};

/* Ends the job, whatever it is. */
void key_job_end(struct key_jobs *js);
/* A client is gone, or its channel has room again. */
void key_job_forget_client(struct key_jobs *js, const struct client *c);
void key_job_writable(struct key_jobs *js, const struct client *c);

/* Goes on with a new master key whose re-sealing was interrupted, where that is so. */
void key_job_resume(struct key_jobs *js);
void key_job_reseal(struct key_jobs *js, struct client *c);
void key_job_verify(struct key_jobs *js, struct client *c);
/* `passphrase` (NULL: none came) and `fd` are taken. */
void key_job_backup(struct key_jobs *js, struct client *c, struct secret *passphrase, int fd);
/* Looks at the whole backup first; `write`: then puts its records into the store. */
void key_job_restore(struct key_jobs *js, struct client *c, struct secret *passphrase, int fd,
    bool overwrite, bool write);

/* A line in the log about an action with keys that is answered; `action` as a person types it. */
void key_job_audit(const struct client *c, const char *action, const char *outcome);
/* The client's answer: "`doing`: what errno says." */
void key_job_done_failed(struct client *c, const char *doing, int r);

#endif
