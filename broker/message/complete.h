/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * complete.h: turns what a program handed in into a message fit for submission (RFC 6409 section
 * 8). Pure: octets in, octets out, in pieces of any size; what comes out does not depend on how
 * they were cut.
 *
 * What is done, for every entrance alike:
 *   - line ends become CRLF: LF, CRLF and CR CR LF (any CRs before an LF) each end one line; the last
 *     line is ended. Content that says to be binary keeps its octets as they are;
 *   - a CR that no LF follows ends no line. In the header section it becomes a space, in a body it
 *     stays; NULs are removed from the header section, and from a message without MIME fields, which is
 *     text. What is left of either must not reach the wire: the facts tell of it;
 *   - lines in front of the header section, as mbox files have them, are dropped (header.h);
 *   - the header section ends at a blank line or at the first line that is no field, which then is
 *     the first line of the body: no line is lost;
 *   - Bcc, Resent-Bcc, Return-Path and Content-Length are removed, and fields of addresses that
 *     are empty (From, To, Cc, Sender, Reply-To);
 *   - From, Date and Message-ID are added where missing; unqualified addresses in fields of
 *     addresses get the mail domain where they stand, and words without '@' stay, being a name; a
 *     second From becomes X-Original-From, since servers refuse two; Sender is added where From has
 *     several addresses (RFC 5322 section 3.6.2);
 *   - where the owner's policy replaces From, the display name stays, the field as it was becomes
 *     X-Original-From, and its addresses Reply-To unless there is one; Resent-From and
 *     Resent-Sender, which name a sender as well (RFC 5322 section 3.6.6), likewise;
 *   - words of header text and display names with octets above 0x7F become encoded words; where they
 *     are not UTF-8 they are labelled with the charset that the message declares, or, in a multipart
 *     message, its first text part; lines over 998 octets are folded;
 *   - what a DKIM-Signature or an ARC-Message-Signature covers stays octet by octet, and what it
 *     covers as absent is not added. Where the owner's policy changes such a field the signature no
 *     longer holds: it becomes X-Original-DKIM-Signature, so that nobody counts it as failed.
 *
 * The body is streamed. Some faults are known only at its end: a line over 998 octets, octets that no line
 * may hold, text without MIME fields that is not ASCII. A second pass over the finished message mends
 * them: recode.h.
 */
#ifndef FRANK_BROKER_MESSAGE_COMPLETE_H
#define FRANK_BROKER_MESSAGE_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/message/dkim.h"

enum { COMPLETE_HEADER_MAX = 1024 * 1024, COMPLETE_SUBJECT_MAX = 200, COMPLETE_RECEIVED_MAX = 50 };

struct complete;

/* What the header says about the sender; borrowed for the call. Addresses are qualified. */
struct complete_claim {
	const char *const *from; /* of all From fields, in order */
	size_t from_count;
	bool from_unreadable;      /* there is a From from which no address can be read */
	bool from_double;          /* one can be read in two ways (reading.h) */
	const char *sender;        /* of Sender; "": it is not one address; NULL: there is none */
	const char *const *resent; /* of all Resent-From and Resent-Sender fields, in order */
	size_t resent_count;
	bool resent_unreadable;
};

/* What the owner decides; strings are borrowed until complete_input or complete_end returns. */
struct complete_plan {
	const char *from;   /* address for From; NULL: it stays */
	bool from_replaced; /* the caller's own From is not allowed: keep it as X-Original-From */
	const char *full_name;   /* display name of a From that is added; may be NULL */
	bool drop_sender;        /* Sender is not allowed: it becomes X-Original-Sender */
	const char *resent_from; /* somebody in the resent fields is not allowed: the first
				    Resent-From gets this address, and all of them and of
				    Resent-Sender become X-Original-...; NULL: they stay */
	const char *date;        /* for a Date that is added */
	const char *message_id;  /* with its angle brackets, for one that is added */
	const char *received;    /* value of the Received field put in front; NULL: none */
};

struct complete_ops {
	/* The header section is complete. 0, or a negative errno that ends the completion. */
	int (*plan)(void *arg, const struct complete_claim *claim, struct complete_plan *ret);
	/* A piece of the finished message. 0, or a negative errno likewise. */
	int (*write)(void *arg, const char *bytes, size_t len);
};

/* What is known at the end. */
struct complete_facts {
	uint64_t size;         /* octets written */
	uint64_t header_size;  /* of these, before the blank line */
	uint64_t longest_line; /* of the body, without CRLF */
	bool eight_bit_body;
	bool eight_bit_header; /* raw octets above 0x7F are left in it */
	bool body_is_utf8;
	bool smtputf8;         /* an address in the header has octets above 0x7F */
	bool mime;             /* has MIME-Version or Content-Type */
	bool header_split;     /* a field without white space had to be cut */
	bool content_signed;   /* multipart/signed or application/pkcs7-mime */
	bool is_signed;        /* a signature covers fields and the body */
	bool signature_broken; /* one was there, and was put aside */
	unsigned nuls;         /* removed */
	bool header_mended;    /* NULs or CRs that end no line stood in the header section */
	bool odd_octets;       /* the body holds NULs, or CRs that end no line */
	bool raw_body;         /* from somewhere on it is as it came in, line ends included */
	char subject[COMPLETE_SUBJECT_MAX + 1]; /* decoded no further; for lists */
	char message_id[COMPLETE_SUBJECT_MAX + 1];
	char signed_with[DKIM_LIST]; /* dkim.h */
};

/* `mail_name` is the domain for addresses without one; borrowed like `ops`. NULL: no memory. */
struct complete *complete_new(const char *mail_name, const struct complete_ops *ops, void *arg);
struct complete *complete_free(struct complete *c);

/* Octets of the header section that it holds in memory. */
size_t complete_memory(const struct complete *c);
/* Takes the next octets. 0; -E2BIG for a header section over COMPLETE_HEADER_MAX; -ELOOP for a
 * message that has been through COMPLETE_RECEIVED_MAX hosts; -ENOMEM; what a callback returned.
 * Errors last. */
int complete_input(struct complete *c, const char *bytes, size_t len);

/* Ends the input. Fills `ret`. Returns what complete_input would. */
int complete_end(struct complete *c, struct complete_facts *ret);

#endif
