/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.h: queue's part of the configuration, collected from main's messages and taken whole.
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_SETTINGS_H
#define FRANK_BROKER_QUEUE_COMMON_SETTINGS_H

#include "base/aliases.h"
#include "broker/conf/conf.h"
#include "broker/ipc/message.h"

struct queue_settings {
	uint64_t generation;
	/*
	 * As main sent it. Once it is complete: texts of accounts and of the top level are "" where they are
	 * absent, mailboxes and the postmaster are spelled as in envelopes. Accounts and services belong to
	 * accounts_take and services_take, which put what they replace here.
	 */
	struct conf *conf;
	struct aliases *aliases; /* NULL: none */
};

/* From CONF_BEGIN. NULL: no memory. */
struct queue_settings *settings_new(const struct message *begin);
/* CONF_BLOCK: 0, -ENOMEM, -EPROTO. */
int settings_add(struct queue_settings *s, const struct message *m);
/* CONF_ALIASES, alone or within a configuration; the descriptor, or -1, stays the caller's. 0 or negative errno. */
int settings_take_aliases(struct queue_settings *s, const struct message *m, int fd);
/* CONF_END. 0 or -ENOMEM. */
int settings_complete(struct queue_settings *s);
struct queue_settings *settings_free(struct queue_settings *s);

/* The group of administrators, or CALLER_NO_GROUP. */
uint64_t settings_admin_group(const struct queue_settings *s);
uint64_t settings_monitor_group(const struct queue_settings *s);
/* NULL: the configuration has none of this name. */
const struct conf_listener *settings_find_listener(
    const struct queue_settings *s, const char *name);
const struct conf_webhook *settings_find_webhook(const struct queue_settings *s, const char *name);

/* The mechanisms that the account's login may use, separated by spaces, are appended. */
void settings_mechanisms(const struct conf_account *a, struct buf *out);
/* Which server the account's mail goes to, and how it logs in there: what a server says is true of these
 * settings alone. Appended to `out`. */
void settings_server(const struct conf_account *a, struct buf *out);

#endif
