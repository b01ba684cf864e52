/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-line.h: one connection of a check: from addresses to a session of the submission engine, on
 * its own, beside the sessions that deliver.
 *
 * A connection that only looks goes on where a certificate is not accepted, so that what the server
 * says within TLS can be told as well; it never carries a credential. The others end there.
 */
#ifndef FRANK_BROKER_SEND_CHECK_CHECK_LINE_H
#define FRANK_BROKER_SEND_CHECK_CHECK_LINE_H

#include "base/smtp/client.h"
#include "broker/send/resolver.h"
#include "broker/send/tls.h"

struct check_line;

struct check_line_config {
	struct event_base *base;
	const char *host, *ehlo_name; /* copied; no ehlo_name: the address as the server sees it */
	unsigned port;
	const struct netaddr *addresses; /* copied; `port` is used in place of theirs */
	size_t address_count;
	enum smtp_tls tls;
	/* Borrowed while the line lives; not used where tls is none. */
	struct tls_context *context;
	struct tls_names names;
	bool only_look;
	bool tls_only;       /* not SMTP: ends with code 220 once TLS stands */
	unsigned mechanisms; /* 0 where it only looks */
	enum sasl_mechanism order[SMTP_CLIENT_MECHANISMS];
	bool secret_without_tls; /* loopback */
	unsigned patience;       /* ms for each step */
};

/* What happened. The session's end, also one that never began, is a SMTP_CLIENT_CLOSED. Called from the loop, never from within
 * check_line_new; the line may be freed in it. */
typedef void check_line_event(void *arg, struct check_line *l, const struct smtp_client_event *e);

/* NULL: no memory. */
struct check_line *check_line_new(
    const struct check_line_config *config, check_line_event *event, void *arg);
/* Takes NULL; returns NULL. */
struct check_line *check_line_free(struct check_line *l);

/* The engine, or NULL while there is no connection. After calls that make output: check_line_go. */
struct smtp_client *check_line_client(struct check_line *l);
void check_line_go(struct check_line *l);

/* What the server offered, as smtp_client_offer; also behind the end. */
struct smtp_client_offer check_line_offer(const struct check_line *l, bool within);

/* "192.0.2.1", or "" before a connection. */
const char *check_line_address(const struct check_line *l);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "". */
const char *check_line_tls(const struct check_line *l);
/* The certificates that the server sent, a line each, the server's own first; "" for none. */
const char *check_line_chain(const struct check_line *l);
/* What is wrong with the certificate, where the line only looks; fault NONE: nothing. */
const struct tls_trouble *check_line_trouble(const struct check_line *l);
/* Everything that was said so far. */
const char *check_line_transcript(struct check_line *l);

#endif
