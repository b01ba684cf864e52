/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* own-message.c: see own-message.h. */
#include "broker/queue/spool/own-message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/codec.h"

static int
write_file(struct spool *s, struct commit *c, const struct buf *text, struct spool_message *m)
{
	int fd = spool_body_create(s, m->id), r;
	ssize_t n;

	if (fd < 0)
		return fd;
	m->flags |= SPOOL_BODY_FILE;
	commit_sync_bodies(c);
	n = write(fd, text->data, text->len);
	r = n == (ssize_t)text->len ? spool_body_sync(fd) : n < 0 ? -errno : -ENOSPC;
	(void)close(fd);
	if (r < 0)
		spool_body_remove(s, m->id);
	return r;
}

static int
put_recipients(const struct own_message *what, struct spool_message *m)
{
	m->recipients = calloc(what->to_count, sizeof(*m->recipients));
	if (m->recipients == NULL)
		return -ENOMEM;
	for (; m->count < what->to_count; m->count++) {
		m->recipients[m->count] =
		    (struct spool_recipient){.address = strdup(what->to[m->count]),
			.notify = SMTP_NOTIFY_NEVER,
			.next = m->next};
		if (m->recipients[m->count].address == NULL)
			return -ENOMEM;
		if (address_is_utf8(what->to[m->count], strlen(what->to[m->count])))
			m->flags |= SPOOL_SMTPUTF8;
	}
	return 0;
}

int
own_message_make(struct spool *s, struct commit *c, const struct own_message *what,
    struct buf *text, struct spool_message *m)
{
	const char *end = strstr(buf_str(text), "\r\n\r\n");
	int64_t now = what->now_us / 1000000;

	*m = (struct spool_message){
	    .id = spool_new_id(s, what->now_us),
	    .account = strdup(what->account),
	    .service = strdup(what->service),
	    .uid = what->uid,
	    .sender = strdup(what->sender),
	    .return_to = strdup(""),
	    .envid = strdup(""),
	    .subject = strdup(what->subject),
	    .message_id = strdup(what->id),
	    .received = now,
	    .expires = now + what->lifetime,
	    .next = now,
	    .size = text->len,
	    .header_size = end == NULL ? 0 : (uint64_t)(end + 2 - text->data),
	    .flags = SPOOL_REPORT | what->flags,
	};
	if (m->account == NULL || m->service == NULL || m->sender == NULL || m->return_to == NULL ||
	    m->envid == NULL || m->subject == NULL || m->message_id == NULL ||
	    put_recipients(what, m) < 0)
		return -ENOMEM;
	if (text_has_eight_bit(text->data, text->len))
		m->flags |= SPOOL_8BIT;
	if (address_is_utf8(what->sender, strlen(what->sender)))
		m->flags |= SPOOL_SMTPUTF8;
	if (text->len > SPOOL_INLINE_MAX)
		return write_file(s, c, text, m);
	m->body_len = text->len;
	m->body = buf_take(text);
	return m->body == NULL ? -ENOMEM : 0;
}
