/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * env.h: what every part of the send role has from above: the loop, the resolver, and the way to the other roles.
 * One for the whole role; the parts borrow it.
 */
#ifndef FRANK_BROKER_SEND_ENV_H
#define FRANK_BROKER_SEND_ENV_H

#include <event2/event.h>

#include "broker/ipc/auth-secret.h"
#include "broker/ipc/message.h"
#include "broker/send/resolver.h"

struct send_ops {
	/* JOB_DONE, CHECK_STEP, CHECK_DONE, LOOKED_UP. The message is taken; NULL where memory was out
	 * for it: then this role must end, which queue takes for an interrupted attempt. */
	void (*to_queue)(void *arg, struct message *m);
	/* CREDENTIAL_GET. The message is taken. False: there is no keeper now, or it has too much to do;
	 * send_keeper_up tells when it can be asked. */
	bool (*to_keeper)(void *arg, struct message *m);
	/* After send_shut_down: every job is answered and every session closed. */
	void (*idle)(void *arg);
};

struct send_env {
	struct event_base *base;
	struct resolver *resolver;
	const struct send_ops *ops;
	void *arg;
	char *hostname;     /* as configured; NULL: none */
	uint64_t last_id;   /* of jobs and requests, unique here */
	bool shutting_down; /* nothing new is begun */
};

#endif
