/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * webhook.h: events on their way to webhooks.
 */
#ifndef FRANK_BROKER_HTTPS_WEBHOOK_H
#define FRANK_BROKER_HTTPS_WEBHOOK_H

#include <sys/queue.h>

#include "broker/https/http.h"
#include "broker/https/post-account.h"

struct webhook_call;

/* The events that are on their way. The owner sets the first five members, and `closed` to start no more. */
struct webhook_calls {
	struct http *http;
	const struct post_table *table;
	void (*to_queue)(void *arg, struct message *m); /* WEBHOOK_DONE; taken */
	void (*ended)(void *arg);                       /* a call is over */
	void *arg;
	LIST_HEAD(, webhook_call) list;
	unsigned count;
	bool closed; /* nothing new is begun */
};

/* Posts the event of a WEBHOOK; answers it by one WEBHOOK_DONE. */
void webhook_start(struct webhook_calls *w, const struct message *m);
/* Frees the calls, unanswered; `http` is not used. */
void webhook_drop_all(struct webhook_calls *w);
bool webhook_is_idle(const struct webhook_calls *w);

#endif
