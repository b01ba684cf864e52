/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conversation.h: what a client and the submission server said to each other, kept so that each message can show it.
 *
 * A message's conversation is the session up to its first MAIL (greeting, TLS, sign-in) and the message's own transaction. Lines come
 * from the SMTP engine, which leaves secrets out. No system call, no clock: times are given, in milliseconds.
 */
#ifndef FRANK_SANDBOX_CONVERSATION_H
#define FRANK_SANDBOX_CONVERSATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONVERSATION_LINES_MAX = 400, /* of the session's part, and of one transaction */
	CONVERSATION_LINE_MAX = 2048, /* octets; what is longer is cut */
};

enum conversation_speaker {
	CONVERSATION_CLIENT,
	CONVERSATION_SERVER,
	CONVERSATION_NOTE /* of neither: TLS, a fault */
};

struct conversation;

/* `now` is the session's beginning. NULL: no memory. */
struct conversation *conversation_new(uint64_t now);
/* Takes and returns NULL. */
struct conversation *conversation_free(struct conversation *c);

/* Adds a line of any octets without its line end; what is no UTF-8 becomes '?'. A MAIL of the client begins a transaction, and the one
 * before is forgotten. Beyond the bounds lines are counted and not kept; so they are where there is no memory. */
void conversation_add(struct conversation *c, enum conversation_speaker who, uint64_t now,
    const char *text, size_t len);

/* `octets` of content came. They are shown as one line, before the line that comes next. */
void conversation_content(struct conversation *c, size_t octets);

/* The lines so far, and `reply` (which the client is about to get; NULL: none) as the last: an array of
 * {"at": seconds since the session began, "from": "client" | "server" | "note", "text": ...}. A new reference; NULL: no memory. */
json_t *conversation_lines(struct conversation *c, uint64_t now, const char *reply);

#endif
