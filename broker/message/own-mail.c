/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* own-mail.c: see own-mail.h. */
#include "broker/message/own-mail.h"

#include <errno.h>

#include "base/address.h"
#include "broker/message/fields.h"

void
own_mail_line(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		(void)buf_append_char(
		    out, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void
put_field(struct buf *out, const char *name, const char *value)
{
	if (value != NULL)
		(void)buf_printf(out, "%s: %s\r\n", name, value);
}

int
own_mail_header(struct buf *out, const struct own_mail *m)
{
	int r = buf_append_str(out, "From: ");

	if (r == 0)
		r = fields_mailbox(out, m->name, "", m->from);
	(void)buf_append_str(out, "\r\nTo: ");
	for (size_t i = 0; i < m->to_count; i++)
		(void)buf_printf(out, "%s%s", i == 0 ? "" : ",\r\n ", m->to[i]);
	(void)buf_append_str(out, "\r\nSubject: ");
	own_mail_line(out, m->subject);
	(void)buf_append_str(out, "\r\n");
	put_field(out, "Date", m->date);
	put_field(out, "Message-ID", m->id);
	put_field(out, "Auto-Submitted", m->is_reply ? "auto-replied" : "auto-generated");
	if (m->extra != NULL)
		(void)buf_append_str(out, m->extra);
	put_field(out, "MIME-Version", "1.0");
	put_field(out, "Content-Type", m->type);
	put_field(out, "Content-Transfer-Encoding", m->encoding);
	if (r == 0)
		r = buf_append_str(out, "\r\n");
	return r < 0 || !out->failed ? r : -ENOBUFS;
}

int
own_mail_id(struct buf *out, const char *unique, const char *from, const char *hostname)
{
	const char *domain = address_domain(from);

	return buf_printf(out, "<%s@%s>", unique, domain == NULL ? hostname : domain);
}
