/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * envelope.h: the recipients of a message that is being handed in: where each one leads, whether the service may send there, each
 * address once.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_ENVELOPE_H
#define FRANK_BROKER_QUEUE_INBOUND_ENVELOPE_H

#include "base/address.h"
#include "broker/queue/common/local.h"
#include "broker/queue/common/policy.h"
#include "broker/queue/spool/spool.h"

enum { ENVELOPE_RECIPIENTS_MAX = 50000 }; /* of a message, after expansion */

/* Zero-initialised it is empty. */
struct envelope {
	struct spool_recipient *list; /* until envelope_take */
	size_t count, room;
	size_t
	    text; /* octets of all addresses and ORCPT that were added, with what allocation costs */
	size_t *slots; /* hash table: indexes into list, plus one; 0: free */
	size_t slot_count;
	uint32_t seed; /* of the hash; another each time that the table grows */
};

/* Why a recipient is refused. */
struct envelope_refusal {
	int code; /* 0: it is not */
	char enhanced[12], words[400];
	char address[ADDRESS_MAX + 1]; /* that is not allowed */
	bool by_policy;                /* worth a line in the log */
};

/*
 * Adds what `recipient` leads to: all of it or nothing. Each address is held against the service's recipients and limits. An
 * address that is there already is not added again; the first NOTIFY and ORCPT count. What an alias leads to keeps the name that
 * the caller used as its ORCPT, unless the caller gave one (RFC 3461 section 4.2).
 */
void envelope_add(const struct queue_settings *s, struct envelope *e, const struct conf_service *v,
    const char *recipient, const struct smtp_rcpt_params *p, struct envelope_refusal *ret);
/* Octets of memory that it takes. */
size_t envelope_memory(const struct envelope *e);
/* Moves the recipients into the message. */
void envelope_take(struct envelope *e, struct spool_message *m);
void envelope_clear(struct envelope *e);

#endif
