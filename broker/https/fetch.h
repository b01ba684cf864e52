/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fetch.h: the fetch role: asks authorization servers on behalf of the keeper.
 *
 * TOKEN_REQUEST, DISCOVER, USERINFO, DEVICE_REQUEST and REVOKE_REQUEST come from the keeper; each is answered exactly once, in any
 * order, told apart by ID. A refresh token, a client secret or a code is in this process only while
 * its request runs. The role decides nothing: the keeper judges whether an error is transient and whether an identity fits.
 */
#ifndef FRANK_BROKER_HTTPS_FETCH_H
#define FRANK_BROKER_HTTPS_FETCH_H

#include <event2/event.h>

#include "broker/ipc/message.h"

struct fetch;

struct fetch_ops {
	/* An answer for the keeper; the message is taken. 0 or negative errno (-EMSGSIZE: it did
	 * not fit and another may be sent). */
	int (*answer)(void *arg, struct message *m);
};

/* `ops` is borrowed for good. NULL with errno. */
struct fetch *fetch_new(struct event_base *base, const struct fetch_ops *ops, void *arg);
/* Drops whatever is running. Takes NULL; returns NULL. */
struct fetch *fetch_free(struct fetch *f);

/* A message of main's (CONF_*) or the keeper's, checked; `fd` (-1: none) is taken. */
void fetch_message(struct fetch *f, const struct message *m, int fd);

#endif
