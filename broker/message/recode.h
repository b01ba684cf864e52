/*
 * recode.h: the second pass over a finished message that the wire would not take as it is. Pure,
 * streaming.
 *
 * Why it exists: that a body has a line over 998 octets (RFC 5321 section 4.5.3.1.6), or is text in
 * octets above 0x7F without saying so, is known only when all of it was seen. complete.h says so in
 * its facts; recode_needed tells what is to be done; the owner then passes the finished message,
 * from its first octet, through a recoder.
 */
#ifndef FRANK_BROKER_MESSAGE_RECODE_H
#define FRANK_BROKER_MESSAGE_RECODE_H

#include "broker/message/complete.h"

enum recode_need {
	RECODE_NONE,
	RECODE_LABEL, /* add MIME-Version, Content-Type (text/plain, UTF-8 or unknown-8bit) and
			 encoding 8bit */
	RECODE_LINES, /* a line is too long */
};

enum recode_need recode_needed(const struct complete_facts *facts);

/* How long lines were mended: known after the header section was seen. */
enum recode_way {
	RECODE_WAY_LABEL,
	RECODE_WAY_QUOTED_PRINTABLE, /* the whole body is one part without an encoding: nothing is
					lost */
	RECODE_WAY_SOFT_BREAKS, /* it was quoted-printable: broken by "=" CRLF, nothing is lost */
	RECODE_WAY_REFLOW,      /* it was base64: line ends mean nothing there */
	RECODE_WAY_PARTS,       /* several parts, each in its own of these ways: nothing is lost */
	RECODE_WAY_SPLIT, /* a line end was added, at white space where there is some: between parts,
			      in a message that is attached, in an encoding not known here */
	RECODE_WAY_KEPT,  /* it is too long still: any change would break a signature */
};

struct recode;

/* `write` is called with pieces of the new message. NULL: no memory. */
struct recode *recode_new(enum recode_need need, const struct complete_facts *facts,
    int (*write)(void *arg, const char *bytes, size_t len), void *arg);
struct recode *recode_free(struct recode *r);

/* Takes the next octets of a message that complete.h made. 0 or negative errno; errors last. */
int recode_input(struct recode *r, const char *bytes, size_t len);
/* The message is over. Updates size, header_size, longest_line, eight_bit_body and mime in `facts`.
 */
int recode_end(struct recode *r, struct complete_facts *facts, enum recode_way *ret_way);

#endif
