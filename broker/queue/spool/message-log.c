/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* message-log.c: see message-log.h. */
#include "broker/queue/spool/message-log.h"

/* What is captured may have no account, and what is refused no service: the field is left out then. */
static const char *
filled(const char *text)
{
	return text == NULL || *text == '\0' ? NULL : text;
}

const struct log_pair *
message_log_pairs(
    struct message_log *ret, const struct spool_message *m, const struct log_pair *more)
{
	size_t n = 0;
	bool recipient = m->count == 0;

	for (size_t i = 0; more[i].field != LOG_END; i++)
		recipient = recipient || more[i].field == LOG_RECIPIENT;
	ret->pairs[n++] = (struct log_pair){LOG_QUEUE_ID, spool_id_text(m->id, ret->id)};
	ret->pairs[n++] = (struct log_pair){LOG_ACCOUNT, filled(m->account)};
	ret->pairs[n++] = (struct log_pair){LOG_SERVICE, filled(m->service)};
	if (!recipient)
		ret->pairs[n++] = (struct log_pair){LOG_RECIPIENT,
		    log_recipients(ret->recipients, m->recipients[0].address, m->count)};
	for (size_t i = 0; more[i].field != LOG_END && n < MESSAGE_LOG_MAX - 1; i++)
		ret->pairs[n++] = more[i];
	ret->pairs[n] = (struct log_pair){LOG_END, NULL};
	return ret->pairs;
}

void
message_log(enum log_level level, const char *sentence, const struct spool_message *m,
    const struct log_pair *more)
{
	struct message_log l;

	log_line(level, sentence, message_log_pairs(&l, m, more));
}
