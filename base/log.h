/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * log.h: one log line per decision, with fields.
 *
 * Roles log; libraries do not. A line is a sentence followed by its fields, `A message is delivered.
 * queue_id=3f2a account=billing recipient=a@example.org`: people search the text for an id or an address, in the
 * journal as in syslog. It goes to the journal in its native protocol when standard error is connected to it
 * (JOURNAL_STREAM, systemd.exec(5)), with the fields once more as fields of the journal, else to standard error as
 * `frankd[queue]: warning: ...`.
 *
 * Values are escaped: control characters, quotes and bytes that are not UTF-8 never reach the terminal or
 * forge a line. There is no format for a secret, and none must be passed.
 */
#ifndef FRANK_BASE_LOG_H
#define FRANK_BASE_LOG_H

#include "base/attr.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Names of fields: lower case here, upper case in the journal (FRANK_ACCOUNT and so on). */
enum log_field {
	LOG_END = 0,
	LOG_ACCOUNT,
	LOG_SERVICE,
	LOG_QUEUE_ID,
	LOG_OUTCOME,
	LOG_UID,
	LOG_SENDER,
	LOG_RECIPIENT,
	LOG_ENDPOINT,
	LOG_MECHANISM,
	LOG_REPLY,
	LOG_ROLE,
	LOG_FILE,
	LOG_ERROR,
	LOG_EVENT,
	LOG_FIELD_COUNT,
};

struct log_pair {
	enum log_field field;
	const char *value; /* NULL: the field is left out */
};

/* Says who logs, as `frankd[queue]`. `name` is borrowed for good. Opens the journal's socket where there is one:
 * call before confinement. */
void log_open(const char *name, enum log_level most);

/* The process has started and is going to live. Until then lines go to standard error, also where that is the journal:
 * a datagram of a process that is gone before the journal reads it cannot be told to be the unit's, and `journalctl -u`
 * would not show why a start failed. */
void log_started(void);

/* Writes one line: `sentence` needs no newline. `pairs` ends at the first whose field is LOG_END. */
void log_line(enum log_level level, const char *sentence, const struct log_pair *pairs);

enum { LOG_RECIPIENTS_SIZE = 512 };

/* The value of LOG_RECIPIENT for a line about several: the first, and how many more there are ("a@example.org and 3
 * more"). `count` is at least 1. Written to `text` where more than one is meant; returns `text` or `first`. */
const char *log_recipients(char text[LOG_RECIPIENTS_SIZE], const char *first, size_t count);

#define LOG_PAIRS(...) ((const struct log_pair[]){__VA_ARGS__, {LOG_END, NULL}})

/* The sentence formatted, without fields. */
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_notice(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
