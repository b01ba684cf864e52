/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * env.h: what every part of the send role has from above: the loop, the resolver, and the way to the other roles.
 * One for the whole role; the parts borrow it.
 */
#ifndef FRANK_BROKER_SEND_ENV_H
#define FRANK_BROKER_SEND_ENV_H

#include <event2/event.h>

#include "broker/ipc/auth-secret.h"
#include "broker/ipc/transport.h"
#include "broker/send/resolver.h"

struct send_env {
	struct event_base *base;
	struct resolver *resolver;
	const struct transport_ops *ops;
	void *arg;
	char *hostname;     /* as configured; NULL: none */
	uint64_t last_id;   /* of jobs and requests, unique here */
	bool shutting_down; /* nothing new is begun */
};

#endif
