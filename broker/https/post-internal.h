/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * post-internal.h: the post role as its parts see it. Private to this folder.
 *
 *   post.c      the role: configuration, jobs in and out, the end
 *   post-job.c  one message on its way
 *   webhook.c   one event on its way
 */
#ifndef FRANK_BROKER_HTTPS_POST_INTERNAL_H
#define FRANK_BROKER_HTTPS_POST_INTERNAL_H

#include "broker/https/http.h"
#include "broker/https/post-account.h"
#include "broker/https/post.h"
#include "broker/ipc/job.h"

enum {
	POST_ACTIVE_MAX = 256,   /* requests at once, of all accounts */
	POST_WEBHOOKS_MAX = 64,  /* on their way; more are answered with a fault */
	POST_SECONDS_LEAST = 60, /* that a request may take, */
	POST_SECONDS_MOST = 900, /* by its size */
};

struct post_job {
	struct post_job *next, *next_active; /* waiting of its account; on its way */
	struct post *post;
	struct post_account *account;
	const struct api
	    *api; /* that the request is made for; the account may get another meanwhile */
	struct job *job;
	struct buf bcc; /* a field before the message, or nothing */
	struct buf url;
	struct upload upload;
	struct secret *token; /* while the request runs */
	uint64_t request;     /* to the keeper; 0: none is open */
	bool to_ask;          /* the keeper was not there */
	uint64_t generation;  /* of the token */
	bool renewed;         /* a token was refused, and a newer one asked for */
	bool sending;         /* a request is on its way */
	struct buf transcript;
	char endpoint[400], tls[80];
	char host[300];
};

struct post {
	struct event_base *base;
	const struct post_ops *ops;
	void *arg;
	struct http *http;
	struct post_table *table;
	struct post_job *active;
	struct webhook_call *calls;
	unsigned call_count;
	uint64_t last_id;
	bool shutting_down;
	struct event *deadline;
};

/* ---- post-job.c ---- */

/* The job's turn: looks at the message, asks for a token, and goes on by itself to post_job_done. */
void post_job_start(struct post_job *j);
/* CREDENTIAL or CREDENTIAL_FAILED with the job's request. */
void post_job_credential(struct post_job *j, const struct message *m);
void post_job_keeper_up(struct post_job *j, bool up);
/* The role ends: the job is answered as it stands. */
void post_job_abandon(struct post_job *j);
/* Takes NULL. */
void post_job_free(struct post_job *j);

/* ---- post.c ---- */

/* The end of a job that was started; it is taken. `reply` is for every recipient; NULL: untried.
 * `account_wide`: the next message of the account would meet the same, so those that wait are given
 * back. */
void post_job_done(struct post_job *j, const struct smtp_reply *reply, bool account_wide);

/* ---- webhook.c ---- */

void webhook_start(struct post *p, const struct message *m);
/* Takes it off the list and frees it, unanswered. */
void webhook_free(struct webhook_call *c);

#endif
