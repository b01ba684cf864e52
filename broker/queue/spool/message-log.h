/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message-log.h: the form of a log line about a message: its id, account and service, then the
 * recipient, the outcome and the reason.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_MESSAGE_LOG_H
#define FRANK_BROKER_QUEUE_SPOOL_MESSAGE_LOG_H

#include "base/log.h"
#include "broker/queue/spool/spool.h"

enum { MESSAGE_LOG_MAX = 12 }; /* fields of a line */

/* Fills `ret` with the fields of the message and those of `more` (LOG_PAIRS); without LOG_RECIPIENT in
 * `more`, all recipients are meant. `id` and `recipients` are room for what `ret` points to. */
struct message_log {
	struct log_pair pairs[MESSAGE_LOG_MAX];
	char id[SPOOL_ID_LEN], recipients[LOG_RECIPIENTS_SIZE];
};
const struct log_pair *message_log_pairs(
    struct message_log *ret, const struct spool_message *m, const struct log_pair *more);

/* Writes the line. */
void message_log(enum log_level level, const char *sentence, const struct spool_message *m,
    const struct log_pair *more);

#endif
