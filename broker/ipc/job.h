/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * job.h: a job: one message for some of its recipients, which queue gives to a transport (send, post), and its answer.
 */
#ifndef FRANK_BROKER_IPC_JOB_H
#define FRANK_BROKER_IPC_JOB_H

#include <sys/queue.h>

#include "base/smtp/client.h"
#include "broker/ipc/message.h"

struct job {
	STAILQ_ENTRY(job) link;
	struct smtp_client_job spec; /* borrows from this object; id is the number below */
	uint64_t id;                 /* queue's */
	const char *queue_id;        /* the message's id, as people know it; "" when not given */
	char *strings;               /* all the text in one block */
	struct smtp_client_recipient *recipients;
	char *body;                   /* in `strings` or mapped */
	size_t mapped;                /* octets of the mapping; 0: none */
	char *own_body, *own_strings; /* what a role put in their place; NULL: nothing */
	unsigned requeued;            /* sessions that ended before they took it */
};

STAILQ_HEAD(job_list, job);

/* Makes a job of JOB. `fd` (-1: none) is borrowed: a body in a file is mapped. NULL with errno:
 * ENOMEM, EPROTO for a message without recipients or without a body, or why the file cannot be
 * mapped. */
struct job *job_new(const struct message *m, int fd);
/* Takes NULL; returns NULL. */
struct job *job_free(struct job *j);
/* Frees every job of a list, and leaves it empty. */
void job_list_free(struct job_list *l);

/* What is known of the session that did a job, or was meant to. NULLs are left out. */
struct job_session {
	const char *endpoint, *tls, *mechanism;
	const char *transcript; /* the session's part */
	bool dsn;               /* DSN is offered */
};

/*
 * Makes JOB_DONE. `replies`: one for each recipient; with `one`, a single one for all; NULL: there is none, since the job
 * was not tried. `transcript` is the job's own part, or NULL. Texts are cut so that everything fits into a packet. NULL:
 * no memory.
 */
struct message *job_done(const struct job *j, const struct smtp_reply *replies, bool one,
    bool untried, const struct job_session *session, const char *transcript);

/* Makes the JOB_DONE for a JOB `m` that could not even be read: `words` say what failed, for each recipient; with NULL the
 * job counts as untried. NULL: no memory. */
struct message *job_refused(const struct message *m, const char *words);

#endif
