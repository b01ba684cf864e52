/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * request.h: one request of the keeper's while it runs: what was asked, and the messages that
 * answer it.
 *
 * Pure: a message in, forms and messages out; no network.
 */
#ifndef FRANK_BROKER_HTTPS_REQUEST_H
#define FRANK_BROKER_HTTPS_REQUEST_H

#include <stdint.h>

#include "broker/https/device-answer.h"
#include "broker/https/discovery.h"
#include "broker/https/token-answer.h"
#include "broker/ipc/message.h"

enum { REQUEST_SECRETS_MAX = 8 };

struct request {
	enum message_type type; /* M_TOKEN_REQUEST, M_DISCOVER, M_USERINFO, M_DEVICE_REQUEST,
				   M_REVOKE_REQUEST */
	uint64_t id;
	char *account;
	char *endpoint; /* where to ask; "" until discovery has told */
	char *issuer;   /* NULL: none */
	struct buf form, authorization;
	struct secret *secrets[REQUEST_SECRETS_MAX]; /* what was sent and must not be quoted back */
	size_t secret_count;
};

/* Takes a request of the keeper's apart. NULL with errno: ENOMEM, EINVAL (a parameter without '='),
 * ENOBUFS (too long). */
struct request *request_new(const struct message *m);
/* Takes NULL; returns NULL. */
struct request *request_free(struct request *r);

/* Does it bear a form, which is posted? */
bool request_is_form(const struct request *r);

/* When an answer came, and how. */
struct answer_head {
	long status;         /* 0: none came */
	int64_t date;        /* the server's clock; -1: not told */
	int64_t retry_after; /* -1: not told */
	int64_t now;         /* ours, seconds since 1970 */
	const char *fault;   /* a sentence where there is no usable answer; else NULL */
	bool unfit; /* of metadata: it is not the issuer's, and trying again does not help */
};

/* The answers; never NULL but when memory is out. `a`, `d` and `c` may be NULL with a fault. */
struct message *request_token_answer(
    const struct request *r, const struct answer_head *head, const struct token_response *a);
struct message *request_discovered(
    const struct request *r, const struct answer_head *head, const struct discovery *d);
struct message *request_userinfo_answer(
    const struct request *r, const struct answer_head *head, const struct claims *c);
struct message *request_device_answer(
    const struct request *r, const struct answer_head *head, const struct device_answer *a);
/* `error` and `description` may be NULL: then it is revoked. */
struct message *request_revoke_answer(const struct request *r, const struct answer_head *head,
    const char *error, const char *description);
/* The answer of the request's own kind that bears but a fault. */
struct message *request_fault(const struct request *r, const struct answer_head *head);

#endif
