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

#include "base/buf.h"

/* RFC 5321 section 4.5.3.1: octets. */
enum { ADDRESS_LOCAL_MAX = 64, ADDRESS_DOMAIN_MAX = 255, ADDRESS_MAX = 320 };

/* Is `s` an address fit for an SMTP envelope: local-part@domain, quoted local parts and address literals
 * allowed, no control character, within the limits? With `bare_local`, a local part alone is fit too. */
bool address_is_valid(const char *s, size_t len, bool bare_local);

/* Needs the SMTPUTF8 extension: has an octet above 0x7F. */
bool address_is_utf8(const char *s, size_t len);

/* The domain within `s` (after the last '@' outside quotes); NULL where there is none. Borrowed. */
const char *address_domain(const char *s);

/* Equal mailboxes: local parts byte for byte, domains without regard to ASCII case. */
bool address_equal(const char *a, const char *b);

/* Equal as providers compare logins: the whole without regard to ASCII case. */
bool address_equal_nocase(const char *a, const char *b);

struct address_item {
	const char *
	    address; /* addr-spec without comments and route, NUL-terminated, borrowed for the call */
	const char *
	    name; /* display name decoded from its quotes, or the comment behind a bare address, or "" ; borrowed for the call */
};

/* Called for each mailbox in order; a non-zero return stops the parse and is returned by it. */
typedef int address_visit(void *arg, const struct address_item *item);

/*
 * Parses an RFC 5322 address list (the body of To, Cc, Bcc or an argument of sendmail): mailboxes, groups, comments,
 * quoted strings, obsolete routes, empty elements, addresses separated by commas or, as sendmail takes them, by
 * white space between bare addresses. Addresses without a domain are passed as they stand (for qualification).
 *
 * Returns 0; -EBADMSG with *ret_at set to the offset of what is wrong; -ENOMEM; or what `visit` returned.
 * An empty list is no error. What stands before a fault has been visited: a caller that wants all or nothing collects.
 */
int address_list_parse(const char *s, size_t len, address_visit *visit, void *arg, size_t *ret_at);

#endif
