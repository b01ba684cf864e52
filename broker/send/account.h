/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account.h: what the configuration says of an account, as far as sending goes.
 *
 * A table is taken whole. An account whose settings are
 * the same as before is the same object, so that its sessions live on over a reload; one that
 * changed is a new object, and whoever holds the old one keeps it until its work is done.
 */
#ifndef FRANK_BROKER_SEND_ACCOUNT_H
#define FRANK_BROKER_SEND_ACCOUNT_H

#include "base/smtp/client.h"
#include "broker/conf/conf.h"
#include "broker/ipc/message.h"
#include "broker/send/tls.h"

struct pool;

struct smtp_account {
	unsigned refs;
	bool retired; /* no longer in the table: no new session */
	char *name, *host;
	unsigned port;
	enum smtp_tls tls;
	bool tls_either;     /* with `srv`: both services are asked for, implicit TLS first */
	unsigned mechanisms; /* that configuration and kind of credential allow; 0: no AUTH */
	enum sasl_mechanism order[SMTP_CLIENT_MECHANISMS];
	bool secret_without_tls;
	unsigned sessions;  /* at most, >= 1 */
	unsigned min_valid; /* seconds; 0: not said */
	bool srv;           /* `host` is a domain; DNS says who serves it (RFC 6186, RFC 8314) */
	char *tls_name;     /* the name that the certificate must be for; NULL: the host's */
	struct tls_rules rules;
	const char *broken; /* why `rules` are not what the configuration says; NULL: they are */
	struct tls_context *tls_context; /* made when first needed */
	struct pool *pool;               /* its jobs and sessions, while there are any */
};

struct smtp_account *account_ref(struct smtp_account *a);
/* Takes NULL; returns NULL. */
struct smtp_account *account_unref(struct smtp_account *a);

struct account_table;

struct account_table *account_table_new(void);
struct account_table *account_table_free(struct account_table *t);

/* Takes a new configuration; what its files hold moves out of it. Calls `retired` for each account that changed or is gone,
 * with the one that takes its place or NULL; until the call returns, the old account is alive. 0; -ENOMEM: the present
 * configuration stays. */
int account_table_take(struct account_table *t, struct conf *c,
    void (*retired)(void *arg, struct smtp_account *old, struct smtp_account *now), void *arg);

/* The account's TLS context, made at the first call; borrowed. NULL with a sentence in `why`. */
struct tls_context *account_tls_context(struct smtp_account *a, char *why, size_t why_size);

/* What the words of the key `tls` mean: "implicit", "none"; STARTTLS for any other, and for NULL. */
enum smtp_tls account_tls_by_name(const char *name);

/* Borrowed; NULL for an unknown name. */
struct smtp_account *account_find(const struct account_table *t, const char *name);

#endif
