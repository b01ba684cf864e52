/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * post-account.h: what the configuration says of the accounts whose mail goes by an HTTP API, and of
 * the webhooks.
 *
 * A configuration comes as CONF_BEGIN to CONF_END and counts, whole, from its end on. An account's object lives as long as the table, since jobs point to it.
 */
#ifndef FRANK_BROKER_HTTPS_POST_ACCOUNT_H
#define FRANK_BROKER_HTTPS_POST_ACCOUNT_H

#include <sys/queue.h>

#include "base/secret.h"
#include "broker/conf/conf.h"
#include "broker/https/api.h"
#include "broker/ipc/message.h"

struct post_job;

struct post_account {
	struct conf_account conf; /* as it was configured last */
	const struct api *api;    /* NULL: no longer configured */
	/* post.c's */
	unsigned active;
	bool starting; /* jobs are being started: one that ends at once starts no others */
	STAILQ_HEAD(, post_job) waiting;
	struct post_account *next;
};

struct post_table;

struct post_table *post_table_new(void);
/* Takes NULL; returns NULL. */
struct post_table *post_table_free(struct post_table *t);

/* CONF_BEGIN to CONF_END; others are passed over. `fd` (-1: none) is borrowed. Negative errno where something of the
 * configuration was lost: the present one stays. */
int post_table_message(struct post_table *t, const struct message *m, int fd);

/* Borrowed; NULL for an unknown name, and for an account that does not use an API. */
struct post_account *post_table_find(const struct post_table *t, const char *name);
const struct conf_webhook *post_table_webhook(const struct post_table *t, const char *name);

/* The first of the accounts, linked by `next`. */
struct post_account *post_table_accounts(const struct post_table *t);

#endif
