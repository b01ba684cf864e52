/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * recode.h: the second pass over a finished message that the wire would not take as it is. Pure,
 * streaming.
 *
 * Why it exists: that a body has a line over 998 octets (RFC 5321 section 4.5.3.1.6), a NUL, a CR that
 * ends no line, or text in octets above 0x7F without saying so, is known only when all of it was seen.
 * complete.h says so in its facts; recode_needed tells what is to be done; the owner then passes the
 * finished message, from its first octet, through a recoder. A server that takes 7 bits alone needs the
 * same of a message that others take.
 *
 * Nothing is lost. A part without an encoding becomes quoted-printable, or where it is no text base64;
 * one that is encoded keeps its encoding, and only its lines change. An attached message is recoded
 * within. What a signature or an encryption covers, and what is in an encoding not known here, stays
 * octet by octet, or is refused where the wire cannot take it.
 */
#ifndef FRANK_BROKER_MESSAGE_RECODE_H
#define FRANK_BROKER_MESSAGE_RECODE_H

#include "broker/message/complete.h"

enum recode_need {
	RECODE_NONE,
	RECODE_LABEL,     /* add MIME-Version, Content-Type (text/plain, UTF-8 or unknown-8bit) and
			 encoding 8bit */
	RECODE_ENCODE,    /* a line is too long, or it holds what no line may */
	RECODE_SEVEN_BIT, /* the server takes no octets above 0x7F in content */
};

enum recode_need recode_needed(const struct complete_facts *facts);

/* What was done. */
enum recode_way {
	RECODE_WAY_LABEL,
	RECODE_WAY_QUOTED_PRINTABLE, /* the body is one part without an encoding */
	RECODE_WAY_BASE64,           /* the same, and no text */
	RECODE_WAY_SOFT_BREAKS,      /* it was quoted-printable: broken by "=" CRLF */
	RECODE_WAY_REFLOW,           /* it was base64: line ends mean nothing there */
	RECODE_WAY_PARTS,            /* several parts, each in its own of these ways */
	RECODE_WAY_SPLIT,            /* a line between parts, which nobody is shown, was cut */
	RECODE_WAY_KEPT,   /* a line is too long still: any change would break a signature */
	RECODE_WAY_OPAQUE, /* it may not be changed */
};

struct recode;

/* `write` is called with pieces of the new message. NULL: no memory. */
struct recode *recode_new(enum recode_need need, const struct complete_facts *facts,
    int (*write)(void *arg, const char *bytes, size_t len), void *arg);
struct recode *recode_free(struct recode *r);

/* Takes the next octets of a message that complete.h made. 0 or negative errno; errors last. */
int recode_input(struct recode *r, const char *bytes, size_t len);
/* The message is over. Updates size, header_size, longest_line, eight_bit_body and mime in `facts`.
 * -EILSEQ: what may not be changed holds what the wire does not take; *ret_signed tells whether a
 * signature, or an encryption, is the reason. */
int recode_end(
    struct recode *r, struct complete_facts *facts, enum recode_way *ret_way, bool *ret_signed);

#endif
