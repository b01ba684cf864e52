/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * log-limit.h: lines of the log that callers can cause: the first few of each kind and caller are
 * written, the rest of a minute is counted and said in one line. So whoever is refused again and
 * again fills no disk, and hides nothing of what others do.
 */
#ifndef FRANK_BROKER_ROLE_LOG_LIMIT_H
#define FRANK_BROKER_ROLE_LOG_LIMIT_H

#include <event2/event.h>

#include "base/log.h"

enum {
	LOG_LIMIT_LINES = 10,      /* of one kind and caller in a minute */
	LOG_LIMIT_VALUE_MAX = 256, /* octets of a field; what is longer is cut */
	LOG_LIMIT_WHO_MAX = 96,    /* octets of a caller's name, with its NUL */
};

struct log_limit;

/* Takes over the lines of callers. NULL: no memory. */
struct log_limit *log_limit_new(struct event_base *base);
/* What is counted is said. Takes NULL; returns NULL. */
struct log_limit *log_limit_free(struct log_limit *l);

/*
 * log_line for a line that a caller causes. `who` is whom it counts as, in words ("uid 1000"). The
 * kind is the sentence, a constant string, and LOG_OUTCOME up to its first colon.
 */
void log_limited(struct log_limit *l, const char *who, enum log_level level, const char *sentence,
    const struct log_pair *pairs);
/* Says what is counted, and begins to count anew: done each minute. */
void log_limit_flush(struct log_limit *l);

#endif
