/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* envelope.c: see envelope.h. Recipients are few (a job carries a hundred at most), so they are
 * looked for one by one. */
#include "broker/https/envelope.h"

#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/header.h"

enum { SHOWN_MAX = 320 };

struct comparison {
	const char *const *recipients;
	size_t count;
	bool seen[ENVELOPE_RECIPIENTS_MAX];
	const char *field;
	struct buf *why;
};

static int
on_address(void *arg, const struct address_item *item)
{
	struct comparison *c = arg;
	CLEANUP_BUF struct buf shown = BUF_INIT(4 * SHOWN_MAX);
	bool found = false;

	for (size_t i = 0; i < c->count; i++)
		if (address_equal_nocase(c->recipients[i], item->address))
			found = c->seen[i] = true;
	if (found)
		return 0;
	(void)text_escape(&shown, item->address, strnlen(item->address, SHOWN_MAX), false);
	(void)buf_printf(c->why,
	    "%s names %s, who is not among the recipients; the API would send to that address too",
	    c->field, buf_str(&shown));
	return -EBADMSG;
}

/* To, Cc and Bcc, however often they stand there. */
static int
compare(struct comparison *c, const char *data, size_t len)
{
	static const char *const fields[] = {"To", "Cc", "Bcc"};
	struct header_field f;
	size_t at = 0, bad;
	int r = 0;

	while (r == 0 && header_next(data, len, true, &at, &f) == 1) {
		for (size_t i = 0; i < ARRAY_SIZE(fields) && r == 0; i++) {
			if (!header_is(&f, fields[i]))
				continue;
			c->field = fields[i];
			r = address_list_parse(f.value, f.value_len, on_address, c, &bad);
			if (r == -EBADMSG && c->why->len == 0)
				(void)buf_printf(c->why,
				    "%s cannot be read, so nobody knows to whom the API would send",
				    fields[i]);
		}
	}
	return r;
}

int
envelope_fit(const char *data, size_t len, const char *const *recipients, size_t count,
    struct buf *bcc, size_t *ret_added, struct buf *why)
{
	struct comparison c = {.recipients = recipients, .count = count, .why = why};
	int r;

	*ret_added = 0;
	if (count > ENVELOPE_RECIPIENTS_MAX)
		return -E2BIG;
	/* It would go on the field that is put before it. Queue makes no such message. */
	if (len > 0 && (data[0] == ' ' || data[0] == '\t')) {
		(void)buf_append_str(
		    why, "the message begins with white space, not with a header field");
		return -EBADMSG;
	}
	r = compare(&c, data, len);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (c.seen[i])
			continue;
		r = buf_printf(bcc, "%s<%s>", *ret_added == 0 ? "Bcc: " : ",\r\n ", recipients[i]);
		++*ret_added;
	}
	if (r == 0 && *ret_added > 0)
		r = buf_append_str(bcc, "\r\n");
	return r == -ENOBUFS ? -ENOMEM : r;
}
