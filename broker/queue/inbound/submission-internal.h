/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission-internal.h: a session as its parts see it. Private to submission*.c.
 *
 *   submission.c          the session: MAIL, RCPT, AUTH, its beginning and end
 *   submission-content.c  the content of a message, up to its reply
 *   submission-ask.c      what the shim asks besides
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_SUBMISSION_INTERNAL_H
#define FRANK_BROKER_QUEUE_INBOUND_SUBMISSION_INTERNAL_H

#include "base/address.h"
#include "base/smtp/server.h"
#include "broker/queue/inbound/body.h"
#include "broker/message/complete.h"
#include "broker/queue/inbound/envelope.h"
#include "broker/queue/queue.h"

/* What complete.h borrows while it writes the header. */
struct plan_texts {
	struct buf date, id, received;
};

struct transaction {
	struct service *service;
	struct complete *complete;
	struct complete_facts facts;
	struct body body;
	struct spool_message *message;
	struct envelope recipients; /* until the message is complete */
	struct usage *usage;
	uint64_t in_flight;    /* octets of the body counted there */
	uint64_t memory;       /* and of what is in memory: envelope, header section */
	uint64_t octets;       /* of content that came */
	const char *rewritten; /* "From", "envelope" or NULL */
	enum policy_envelope envelope;
	char *sender;    /* given, qualified */
	char *caller;    /* the calling user's own address */
	char *full_name; /* -F, or the user's own */
	char *account;   /* that it is to go by; NULL: left open */
	struct plan_texts texts;
	bool from_replaced; /* the caller's own From is not what goes out */
	bool duplicate;     /* stored already: its content is dropped */
	/* why its content is refused */
	int code;
	char enhanced[12], words[400];
};

struct submission {
	struct queue *q;
	const struct caller *caller;
	const struct submission_ops *ops;
	void *arg;
	struct smtp_server *engine;
	char *hostname, *mail_name; /* outlive the configuration they came from */
	struct transaction *t;
	struct store *storing; /* the commit that is awaited */
	struct listing *listing;
	const struct buf *listed; /* what it is written to */
	uint64_t listed_memory; /* octets counted in usage, until the session ends or asks again */
	struct authentication *authentication; /* of a listener; NULL elsewhere */
	bool reading_aliases;
	struct usage *usage;
	/* MAIL that waits for the user's name */
	bool asking;
	char sender[ADDRESS_MAX + 1];
	struct smtp_mail_params params;
	/* outcome of the last transaction */
	int result;
	char result_words[400];
	unsigned stored;
};

/* The outcome of the transaction, for submission_result. */
void submission_note(struct submission *s, int code, const char *words);
/* Has the engine answer so, and notes it; returns SMTP_REFUSE. */
enum smtp_decision submission_refuse(
    struct submission *s, int code, const char *enhanced, const char *words);
/* The same with an audit line. `service` and `address` may be NULL. */
enum smtp_decision submission_refuse_logged(struct submission *s, const struct service *service,
    const char *address, int code, const char *enhanced, const char *words);
/* What the transaction holds in memory now is the caller's. */
void submission_count_memory(struct transaction *t);
/* Why a message over the service's limit is refused, with the limit. */
void submission_too_large(const struct service *v, char *words, size_t size);

/* struct smtp_server_ops; `arg` is the session. */
enum smtp_decision submission_on_data(void *arg);
enum smtp_decision submission_on_content(void *arg, const char *bytes, size_t len);
enum smtp_decision submission_on_end(void *arg);
bool submission_on_known(void *arg, const char *submission_id);
enum smtp_decision submission_on_list(void *arg, struct buf *out);
void submission_on_flush(void *arg);
enum smtp_decision submission_on_expand(void *arg, const char *address, struct buf *out);
enum smtp_decision submission_on_aliases(void *arg);

#endif
