/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * address.h: mail addresses, as envelopes and header fields spell them.
 *
 * Sources: RFC 5321 section 4.1.2 (Mailbox, Path), RFC 5322 sections 3.4 and 4.4 (address lists, groups,
 * comments, obsolete routes), RFC 6531 section 3.3 (UTF-8 in both parts). Parsers take (pointer, length), never
 * read past it, and allocate only through struct buf.
 */
#ifndef FRANK_BASE_ADDRESS_H
#define FRANK_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Octets. RFC 5321 section 4.5.3.1 gives a local part 64, and asks that no limit be imposed where it can be
 * avoided: return paths that name their recipient are longer. ADDRESS_MAX is what fits into a command line beside
 * its parameters. */
enum { ADDRESS_DOMAIN_MAX = 255, ADDRESS_MAX = 900 };

/* Is `s` an address fit for an SMTP envelope: local-part@domain, quoted local parts and address literals
 * allowed, no control character, valid UTF-8, within the limits? With `bare_local`, a local part alone is fit too.
 * This is the one grammar of addresses: what it takes, the SMTP client sends. */
bool address_is_valid(const char *s, size_t len, bool bare_local);

/*
 * Appends an address, as people and programs write it, to `ret` as an envelope wants it, which address_is_valid takes.
 * A local part that is no dot-string (RFC 5321 section 4.1.2), such as `a..b` or `.a`, gets quotes; one that needs
 * none loses them; a dot behind the domain is dropped. White space and comments are not taken. Without `ret` it only tells whether there is an address.
 *
 * 0; -EBADMSG for what no server could take; -ENOBUFS or -ENOMEM from `ret`.
 */
int address_read(const char *s, size_t len, bool bare_local, struct buf *ret);

/* Needs the SMTPUTF8 extension: has an octet above 0x7F. */
bool address_is_utf8(const char *s, size_t len);

/* The domain within `s` (after the last '@' outside quotes); NULL where there is none. Borrowed. */
const char *address_domain(const char *s);

/* Equal mailboxes: local parts byte for byte, domains without regard to ASCII case. */
bool address_equal(const char *a, const char *b);

/* The same for equal mailboxes under one seed. Where others choose the addresses the seed is random, so that nobody can
 * make up a list that falls into one slot of a table. */
uint32_t address_hash(const char *s, uint32_t seed);

/* Equal as providers compare logins: the whole without regard to ASCII case. */
bool address_equal_nocase(const char *a, const char *b);

struct address_item {
	/* without comments and route, as address_read writes it; borrowed for the call */
	const char *address;
	/* display name decoded from its quotes, or the comment behind a bare address, or "";
	 * borrowed for the call */
	const char *name;
	/* offset in the list behind the local part: where "@domain" goes that is not there */
	size_t local_end;
	size_t end; /* offset behind the whole */
	/* It has no '@' and no angle brackets and is quoted, not ASCII, an encoded word, or one of several words: a list
	 * of recipients may name local users so, but in From it is a display name without an address. */
	bool phrase;
	bool bare; /* it stands without angle brackets */
};

/* Called for each mailbox in order; a non-zero return stops the parse and is returned by it. */
typedef int address_visit(void *arg, const struct address_item *item);

/*
 * Parses an RFC 5322 address list (the body of To, Cc, Bcc or an argument of sendmail): mailboxes, groups, comments,
 * quoted strings, obsolete routes, empty elements, addresses separated by commas or, as sendmail takes them, by
 * white space between bare addresses. Addresses without a domain are passed without one (for qualification).
 *
 * Returns 0; -EBADMSG with *ret_at set to the offset of what is wrong; -ENOMEM; or what `visit` returned.
 * An empty list is no error. What stands before a fault has been visited: a caller that wants all or nothing collects.
 */
int address_list_parse(const char *s, size_t len, address_visit *visit, void *arg, size_t *ret_at);

#endif
