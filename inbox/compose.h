/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * compose.h: a message from the JSON of Mailpit's POST /api/v1/send:
 *
 *   From {Email, Name}, To Cc ReplyTo [{Email, Name}], Bcc ["address"], Subject, Text, HTML, Tags ["tag"], Headers {"name": "value"},
 *   Attachments [{Content (base64), Filename, ContentType, ContentID}]
 */
#ifndef FRANK_INBOX_COMPOSE_H
#define FRANK_INBOX_COMPOSE_H

#include <jansson.h>
#include <stddef.h>

/* The message; the caller frees it. `*ret_recipients`: an array of the addresses, a new reference. NULL: `why` says what is wrong. */
char *compose_message(const json_t *mail, json_t **ret_recipients, char why[256]);

#endif
