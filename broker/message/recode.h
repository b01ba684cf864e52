/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * recode.h: the second pass over a finished message that the wire would not take as it is. Pure,
 * streaming.
 *
 * A line over 998 octets (RFC 5321 section 4.5.3.1.6), a NUL, a CR that ends no line, or unlabelled octets
 * above 0x7F may stand at the very end of a body. So complete.h only reports them in its facts;
 * recode_needed says what has to be done, and the owner then passes the finished message, from its first
 * octet, through a recoder. A message for a server that takes 7 bits alone goes the same way.
 *
 * Nothing is lost. A part without an encoding becomes quoted-printable, or base64 if it is not text. A part
 * with an encoding keeps it, and only its lines change. An attached message is recoded inside. What a
 * signature or an encryption covers, and what is in an unknown encoding, stays octet by octet, or is refused
 * where the wire cannot take it.
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
/* Ends the message. Updates size, header_size, longest_line, eight_bit_body and mime in `facts`.
 * -EILSEQ: the wire does not take something that may not be changed; *ret_signed tells whether a signature
 * or an encryption is the reason. */
int recode_end(
    struct recode *r, struct complete_facts *facts, enum recode_way *ret_way, bool *ret_signed);

#endif
