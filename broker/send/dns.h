/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * dns.h: a question to DNS, and the records of its answer.
 *
 * c-ares has two interfaces: until 1.27 an answer is octets that a function for each type takes apart;
 * from 1.28 on it is records with keys, and the older functions are deprecated. Only dns.c knows which
 * of them it is built with.
 */
#ifndef FRANK_BROKER_SEND_DNS_H
#define FRANK_BROKER_SEND_DNS_H

#include <stddef.h>
#include <stdint.h>

struct ares_channeldata; /* ares_channel points to one */

enum dns_type { DNS_A, DNS_MX, DNS_SRV, DNS_TXT };

enum dns_status {
	DNS_FOUND,      /* there is a record of that type at least */
	DNS_NO_RECORDS, /* the name exists, without such records */
	DNS_NO_NAME,    /* the name does not exist, or cannot exist */
	DNS_FAILED /* nothing is known: no answer, a failure of the server, a malformed answer */
};

/*
 * `text` is the host of an MX or SRV record, "" or "." for none (RFC 7505, RFC 2782); of an A record the
 * name that has the address, where all aliases lead; of a TXT record its strings, joined, which may hold
 * any octet. A NUL follows it.
 */
struct dns_record {
	unsigned order;        /* preference of an MX record, priority of an SRV record */
	unsigned weight, port; /* of an SRV record */
	char *text;
	size_t len;
};

struct dns_answer {
	enum dns_status status;
	const char *words; /* what c-ares calls the status; constant */
	struct dns_record *records;
	size_t count; /* 0 unless DNS_FOUND */
};

/* What the answer holds is the callee's: dns_clear. */
typedef void dns_done(void *arg, struct dns_answer *answer);

struct dns_question {
	enum dns_type type;
	dns_done *done;
	void *arg;
};

/* Asks for the records of `name`, and calls `done` once: perhaps from within dns_ask, and also when the channel is
 * destroyed. `q` is borrowed until then. No server is asked about localhost, which has no records, about invalid, which
 * does not exist, or about names below them (RFC 6761). */
void dns_ask(struct ares_channeldata *channel, const char *name, struct dns_question *q);

/* The records of one type in the octets of an answer (RFC 1035 section 4). dns_clear frees what `ret` gets. */
void dns_parse(enum dns_type type, const uint8_t *octets, size_t len, struct dns_answer *ret);
void dns_clear(struct dns_answer *a);

/* What a status of c-ares means. */
enum dns_status dns_status_of(int ares_status);

#endif
