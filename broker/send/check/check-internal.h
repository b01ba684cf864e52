/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-internal.h: what the files of a check share. Nobody else includes it.
 *
 *   check.c        its start, its way and its end
 *   check-look.c   what a port says to somebody without a credential
 *   check-login.c  the credential, the login, and what the server says to senders
 */
#ifndef FRANK_BROKER_SEND_CHECK_CHECK_INTERNAL_H
#define FRANK_BROKER_SEND_CHECK_CHECK_INTERNAL_H

#include "base/address.h"
#include "broker/ipc/reply.h"
#include "broker/send/check/check-domain.h"
#include "broker/send/check/check-line.h"
#include "broker/send/check/check.h"

enum {
	CHECK_LOOKS_MAX = 6,
	CHECK_PATIENCE = 20 * 1000,      /* ms for each step at the configured port */
	CHECK_PATIENCE_OTHER = 6 * 1000, /* at the others */
};

/* One port that is looked at. */
struct look {
	struct check *check;
	struct check_line *line;
	unsigned port;
	enum smtp_tls tls;
	bool done, fine; /* SMTP was spoken to the end */
	bool trusted;    /* and the certificate was accepted */
};

struct check {
	struct check *next;
	struct send *send;
	uint64_t id;
	struct account *account; /* a reference; NULL: a server alone */
	char *host, *provider, *to, *selector, *body;
	size_t body_len;
	char **senders;
	size_t sender_count;
	unsigned port;
	enum smtp_tls tls;
	uint64_t flags;
	/* Two, so that nothing which a look has learned reaches the login. */
	struct tls_context *context, *login_context;
	char *service; /* the domain whose DNS named the server; NULL: it is configured itself */

	struct lookup *lookup, *alias; /* questions that are open */
	struct netaddr addresses[RESOLVER_ADDRESSES_MAX];
	size_t address_count;
	struct look looks[CHECK_LOOKS_MAX]; /* the configured port first */
	size_t look_count;
	struct check_domain *domain;
	bool domain_done;

	struct check_line *login;
	bool login_done, ready;
	uint64_t request; /* to the keeper; 0: none is open */
	bool to_ask, renewed, wanted;
	struct secret *secret;
	char *user;
	uint64_t generation;
	enum sasl_mechanism mechanism;
	size_t sender_at; /* the one that is tried */
	bool sending;
	struct smtp_client_recipient recipient;

	bool decided;
	struct smtp_reply why;
	char mechanism_name[32], deciding_sender[ADDRESS_MAX + 1], endpoint[400];
	struct buf transcript;
};

/* ---- check.c ---- */

/* CHECK_STEP. */
void check_step(struct check *c, const char *name, const char *state, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* The first fault decides. */
void check_decide(struct check *c, const struct smtp_reply *why);
/* "535 5.7.8 no" or the words of a fault. */
void check_reply_text(const struct smtp_reply *r, char *to, size_t size);
void check_keep_transcript(struct check *c, const char *title, const char *text);
/* The names that the server's certificate may bear. */
struct tls_names check_server_names(const struct check *c);
/* Begins what can begin now, and ends when all has ended: the check may be gone behind it. */
void check_go_on(struct check *c);

/* ---- check-look.c ---- */

/* "STARTTLS". */
const char *check_tls_words(enum smtp_tls tls);
void check_look(struct check *c, unsigned port, enum smtp_tls tls);

/* ---- check-login.c ---- */

void check_login(struct check *c);

#endif
