/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message.h: reads a message for people and tests, by GMime: its summary, text, HTML, fields, parts, and attachments, in
 * the JSON of Mailpit's API.
 *
 * It wants a descriptor and knows nothing of an inbox. Text
 * in other character sets comes out as UTF-8, and what is broken as U+FFFD. What hostile mail could make endless is bounded:
 * parts below INBOX_DEPTH_MAX levels are not looked at, nor those after the first INBOX_PARTS_MAX; of a message with
 * more header than INBOX_HEADER_MAX, or more lines that could begin a part than INBOX_BOUNDARIES_MAX, only what
 * comes before is read.
 */
#ifndef FRANK_INBOX_MESSAGE_H
#define FRANK_INBOX_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	INBOX_DEPTH_MAX = 30,
	INBOX_PARTS_MAX = 1000,
	INBOX_ADDRESSES_MAX = 1000,       /* of one field */
	INBOX_HEADER_MAX = 1024 * 1024,   /* octets of all header sections together */
	INBOX_BOUNDARIES_MAX = 20000,     /* lines that begin with "--" */
	INBOX_BODY_MAX = 8 * 1024 * 1024, /* octets of text, and of HTML */
	INBOX_MESSAGE_MAX = 64 * 1024 * 1024,
	INBOX_SNIPPET_MAX = 200, /* octets */
};

struct inbox_message;

/* Reads what `fd` holds from its start; any octets are a message. NULL: *ret_error is -EFBIG (more than INBOX_MESSAGE_MAX), -ENOMEM, or what reading
 * said. */
struct inbox_message *inbox_message_read(int fd, int *ret_error);
/* Takes and returns NULL. */
struct inbox_message *inbox_message_free(struct inbox_message *m);

/* Its octets, and how many; borrowed. */
const char *inbox_message_raw(const struct inbox_message *m, size_t *ret_len);

/* The text for people: the plain parts, or what the HTML says. The HTML part as it is, "" where there is none. Both UTF-8,
 * at most INBOX_BODY_MAX, borrowed. */
const char *inbox_message_text(const struct inbox_message *m);
const char *inbox_message_html(const struct inbox_message *m);

/* Addresses of "From", "To", "Cc", "Bcc" or "Reply-To": an array of {"Name", "Address"}, groups taken apart. NULL: no memory. */
json_t *inbox_message_addresses(const struct inbox_message *m, const char *field);

/* What Mailpit's MessageSummary says of the message itself: MessageID, From, To, Cc, Bcc, ReplyTo, Subject, Size,
 * Attachments (how many), Inline (how many; not Mailpit's), Snippet. */
json_t *inbox_message_summary(const struct inbox_message *m);
/* Mailpit's Message, without ID, Tags and Username. Date is left out where the message has none. */
json_t *inbox_message_details(const struct inbox_message *m);
/* Every field of the header: {"Name": ["value", ...]}, names spelled as Go does, values unfolded and not decoded. */
json_t *inbox_message_headers(const struct inbox_message *m);
/* Appends all field values with their names, decoded, one a line, for matching: "Name: value\n". NULL: no memory; the
 * caller frees it. */
char *inbox_message_header_text(const struct inbox_message *m);

/* A part that is no text for people. */
struct inbox_part {
	const char *id;   /* "2", "2.1": its place in each multipart */
	const char *name; /* of the file; "" */
	const char *type; /* "image/png" */
	const char *cid;  /* Content-ID without <>; "" */
	bool attachment;  /* else inline */
};

/* One of them, from 0; false: there are no more. Pointers live as long as the message. */
bool inbox_message_part(const struct inbox_message *m, size_t n, struct inbox_part *ret);
/* The part with this id, or this Content-ID; false: there is none. */
bool inbox_message_part_find(const struct inbox_message *m, const char *id, struct inbox_part *ret);
bool inbox_message_part_by_cid(
    const struct inbox_message *m, const char *cid, struct inbox_part *ret);
/* A part's content, decoded. NULL: no such part, or no memory; the caller frees it. */
char *inbox_message_part_content(const struct inbox_message *m, const char *id, size_t *ret_len);

#endif
