/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * arrival.h: what a received message's header section tells of its way: who judged it and how, whether the judgement fits the
 * address that people see, which hosts it passed and when, and what changed since it was sent. Pure.
 *
 * Anybody can write a field Authentication-Results. Only those count that stand above what the first foreign host has written (RFC
 * 8601 sections 5 and 7.1): reading from the top, the host of the first Received field that has a name and is not of local delivery (LMTP) is the mailbox's own, with all
 * hosts of its organizational domain, and what comes below a Received field of any other host does not count. Of those above,
 * one with an authserv-id of another organization does not count either.
 */
#ifndef FRANK_DELIVERABILITY_ARRIVAL_H
#define FRANK_DELIVERABILITY_ARRIVAL_H

#include <jansson.h>
#include <stddef.h>

/* As it was sent. Everything is borrowed. */
struct arrival_sent {
	const char *from; /* address */
	const char *subject;
	const char *message_id; /* with its angle brackets */
	int64_t time;           /* seconds since 1970 */
};

/*
 * {"authentication": {"host": id or null, "spf": {"result", "domain", "aligned"}, "dkim": [{"result", "domain", "selector",
 *    "aligned"}], "dmarc": {"result": as the host says or null, "computed": "pass" | "fail"}},
 *  "hops": [{"from", "by", "time": seconds or null, "seconds": since the hop before or null}] oldest first,
 *  "changed": [{"field", "sent", "received"}]}
 *
 * "aligned" is relaxed alignment with the domain of From (RFC 7489 section 3.1): the same organizational domain by the
 * public suffix list. A new reference; NULL: no memory.
 */
json_t *arrival_read(const char *header, size_t len, const struct arrival_sent *sent);

/* What follows from a place (a folder's special use, "" for the inbox; NULL: it did not come) and such an object: {"verdict": "good" |
 * "weak" | "junk" | "missing", "text", "next" or null}. A new reference; NULL: no memory. */
json_t *arrival_verdict(const char *place, const json_t *arrival, const char *from);

#endif
