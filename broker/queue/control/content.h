/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * content.h: the content of a message, in pieces, for people.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_CONTENT_H
#define FRANK_BROKER_QUEUE_CONTROL_CONTENT_H

#include "broker/ipc/message.h"
#include "broker/queue/spool/spool.h"

struct content;

/* Opens the content of a message from the octet `offset` on; one behind the end is an empty content. 0;
 * -ENOENT: the message or its content is gone; other negative errno. */
int content_open(struct spool *s, uint64_t id, uint64_t offset, struct content **ret);
/* Takes NULL; returns NULL. */
struct content *content_free(struct content *c);
/* The next piece in *ret, a CONTENT that the caller sends: 1; 0 behind the last one; negative errno.
 * It is the same one again until content_advance. */
int content_piece(const struct content *c, struct message **ret);
void content_advance(struct content *c);

#endif
