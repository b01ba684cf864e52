/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.h: queue's part of the configuration, collected from main's messages and taken whole.
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_SETTINGS_H
#define FRANK_BROKER_QUEUE_COMMON_SETTINGS_H

#include "base/aliases.h"
#include "broker/conf/conf.h"
#include "broker/ipc/message.h"
#include "broker/queue/common/policy.h"

struct settings_account {
	char *name;
	char *provider, *mailbox, *auth_user, *grant, *host, *tls, *transport; /* "" where absent */
	char *secret_from; /* as the configuration refers to it; "": the token store */
	char *lapse;       /* why it is out of force; "": it is not */
	char *mechanisms;  /* allowed for the login, separated by spaces; "" where none is named */
	unsigned port;
	unsigned sessions;       /* at least 1 */
	unsigned rate;           /* messages a minute; 0: no limit */
	unsigned recipients_max; /* of a message; 0: no limit of its own */
	int64_t client_expires;  /* when the client secret ends, seconds since 1970; 0: not known */
};

/* Which server the account's mail goes to, and how it logs in there: what a server says is true of these
 * settings alone. Appended to `out`. */
void settings_server(const struct settings_account *a, struct buf *out);

/* How people are notified (notify/notify.h). */
struct settings_notify {
	int64_t after, repeat; /* seconds */
	bool has_command;
	struct conf_strings mail_to, mail_accounts, events, record;
	int64_t keep_events; /* seconds */
	unsigned events_max;
	struct conf_webhook *webhooks;
	size_t webhook_count;
};

enum settings_tls { SETTINGS_TLS_NONE, SETTINGS_TLS_STARTTLS, SETTINGS_TLS_IMPLICIT };

/* An SMTP entrance over TCP. */
struct settings_listener {
	char *name;
	enum settings_tls tls;
	bool auth_required; /* whose a connection is says nothing */
	bool remote;        /* also for callers of other machines */
	bool bare_line_ends_local,
	    bare_line_ends_remote; /* are taken from callers on loopback, and others */
	struct conf_strings addresses;
};

struct queue_settings {
	uint64_t generation;
	struct conf *conf; /* as it arrives; NULL once it is complete */
	char *hostname, *mail_name;
	char *postmaster; /* "": nobody */
	struct conf_strings local_domains;
	struct conf_strings lapses; /* what of the configuration is out of force */
	struct aliases *aliases;    /* NULL: none */
	/* limits of one user */
	unsigned user_connections, user_rate; /* at once; messages a minute */
	uint64_t user_in_flight;              /* octets of messages being handed in */
	uint64_t size_max;
	uint64_t min_free; /* octets that are left free on the disk; 0: by its size */
	int64_t lifetime, warn_after, keep_history, keep_captured; /* seconds */
	unsigned captured_max;     /* captured messages of a service that are kept */
	uint64_t transcripts_size; /* octets that are kept of them */
	bool hold_in_doubt;
	bool has_admin_gid;
	uint32_t admin_gid;
	bool has_monitor_gid;
	uint32_t monitor_gid;
	struct settings_account *accounts; /* sorted by name once complete */
	size_t account_count;
	struct policy_service *services; /* in file order */
	size_t service_count;
	struct settings_listener *listeners;
	size_t listener_count;
	struct settings_notify notify;
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
const struct settings_listener *settings_find_listener(
    const struct queue_settings *s, const char *name);

#endif
