/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * bounce.h: writes reports about a message: multipart/report with a delivery status (RFC 3464, RFC
 * 6522). Pure.
 *
 * A report is plain ASCII wherever it can be, so that no server refuses it for what it refused the message
 * for (8BITMIME, SMTPUTF8): addresses with other octets are written as RFC 6533 section 3 does for
 * ASCII, text and header sections quoted-printable. Only a whole message that has octets above 0x7F stays as it is.
 */
#ifndef FRANK_BROKER_QUEUE_DELIVERY_BOUNCE_H
#define FRANK_BROKER_QUEUE_DELIVERY_BOUNCE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/smtp/smtp.h"

enum bounce_kind { BOUNCE_FAILED, BOUNCE_DELAYED, BOUNCE_RELAYED };

struct bounce_recipient {
	const char *address;
	const char *orcpt;              /* "rfc822;xtext" or NULL */
	const struct smtp_reply *reply; /* the last outcome; code 0 and no fault: none */
	const char *text, *next;        /* what happened and what to do, for people; may be NULL */
	int64_t at;                     /* of the last outcome; 0: none */
	bool expired;                   /* given up because its time was over */
};

struct bounce {
	enum bounce_kind kind;
	const char *hostname;   /* ours: the reporting MTA */
	const char *from, *to;  /* addresses */
	const char *message_id; /* with angle brackets */
	const char *date;
	const char *boundary;    /* occurs nowhere in the original */
	const char *envid;       /* xtext or "" */
	const char *remote;      /* host whose replies these are; "": not known */
	const char *subject;     /* of the original; may be "" */
	const char *original_id; /* its Message-ID; may be "" */
	const char *queue_id;
	int64_t arrival, retry_until;
	int offset; /* of dates, minutes east of UTC */
	const struct bounce_recipient *recipients;
	size_t count;
	const char *original; /* the whole, or its header section with `headers_only` */
	size_t original_len;
	bool headers_only;
	bool global; /* the original's header section may have UTF-8 (RFC 6532) */
};

/* Appends the whole report, CRLF line ends. 0, -ENOMEM, -ENOBUFS. */
int bounce_write(struct buf *out, const struct bounce *b);

#endif
