/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * log.c: see log.h.
 *
 * The journal's native protocol (systemd, "Native Journal Protocol"): one datagram of NAME=value
 * lines. Values are escaped before they get there, so that none holds a line feed and the simple
 * form always suffices. A datagram that the journal does not take is written to standard error
 * instead: no line is lost for being long. A line is one write, so that lines of several processes
 * do not mix.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/codec.h"

enum { LOG_LINE_MAX = 32 * 1024, LOG_SENTENCE_MAX = 2048, LOG_VALUE_MAX = 2048 };

static const char journal_path[] = "/run/systemd/journal/socket";

static const char *const field_names[LOG_FIELD_COUNT] = {
    [LOG_ACCOUNT] = "account",
    [LOG_SERVICE] = "service",
    [LOG_QUEUE_ID] = "queue_id",
    [LOG_OUTCOME] = "outcome",
    [LOG_UID] = "uid",
    [LOG_SENDER] = "sender",
    [LOG_RECIPIENT] = "recipient",
    [LOG_ENDPOINT] = "endpoint",
    [LOG_MECHANISM] = "mechanism",
    [LOG_REPLY] = "reply",
    [LOG_ROLE] = "role",
    [LOG_FILE] = "file",
    [LOG_ERROR] = "error",
    [LOG_EVENT] = "event",
};

static struct log_state {
	const char *name;
	enum log_level most;
	int journal;
	bool started; /* see log_started */
} state = {.name = "frank", .most = LOG_LEVEL_INFO, .journal = -1};

/* JOURNAL_STREAM names the device and inode that standard error had when the service was started;
 * something else there means that somebody redirected it, and wants the lines in the other place.
 */
static bool
stderr_is_journal(void)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	char expected[48];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	(void)snprintf(
	    expected, sizeof(expected), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, expected) == 0;
}

static int
journal_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(address.sun_path, journal_path, sizeof(journal_path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
log_open(const char *name, enum log_level most)
{
	state.name = name;
	state.most = most;
	if (state.journal < 0 && stderr_is_journal())
		state.journal = journal_connect();
}

void
log_started(void)
{
	state.started = true;
}

static void
append_escaped(struct buf *line, const char *value, bool quotes)
{
	size_t len = strnlen(value, LOG_VALUE_MAX);

	(void)text_escape(line, value, len, quotes);
	if (value[len] != '\0')
		(void)buf_append_str(line, "...");
}

static bool
needs_quotes(const char *value)
{
	return value[0] == '\0' || strpbrk(value, " \"=") != NULL;
}

static const char *
level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	case LOG_LEVEL_NOTICE:
	case LOG_LEVEL_INFO:
		break;
	}
	return "";
}

/* What people read and search: the sentence, and every field behind it. */
static void
append_text(struct buf *line, const char *sentence, const struct log_pair *pairs)
{
	append_escaped(line, sentence, false);
	for (; pairs->field != LOG_END; pairs++) {
		const char *mark;

		if (pairs->value == NULL)
			continue;
		mark = needs_quotes(pairs->value) ? "\"" : "";
		(void)buf_printf(line, " %s=%s", field_names[pairs->field], mark);
		append_escaped(line, pairs->value, true);
		(void)buf_append_str(line, mark);
	}
}

static void
format_stderr(
    struct buf *line, enum log_level level, const char *sentence, const struct log_pair *pairs)
{
	/* the level as the journal reads it from a stream (sd-daemon(3)) */
	if (state.journal >= 0)
		(void)buf_printf(line, "<%d>", (int)level);
	(void)buf_printf(line, "%s: %s", state.name, level_word(level));
	append_text(line, sentence, pairs);
	/* The end of a line that was cut must fit all the same. */
	line->max += 8;
	if (line->failed)
		(void)buf_append_str(line, " ...");
	(void)buf_append_char(line, '\n');
}

static void
format_journal(
    struct buf *line, enum log_level level, const char *sentence, const struct log_pair *pairs)
{
	(void)buf_printf(
	    line, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", (int)level, state.name);
	append_text(line, sentence, pairs);
	(void)buf_append_char(line, '\n');
	for (; pairs->field != LOG_END; pairs++) {
		if (pairs->value == NULL)
			continue;
		(void)buf_append_str(line, "FRANK_");
		for (const char *c = field_names[pairs->field]; *c != '\0'; c++)
			(void)buf_append_char(
			    line, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
		(void)buf_append_char(line, '=');
		append_escaped(line, pairs->value, false);
		(void)buf_append_char(line, '\n');
	}
}

const char *
log_recipients(char text[LOG_RECIPIENTS_SIZE], const char *first, size_t count)
{
	if (count <= 1)
		return first;
	(void)snprintf(text, LOG_RECIPIENTS_SIZE, "%.400s and %zu more", first, count - 1);
	return text;
}

static int
write_whole(int fd, const struct buf *line)
{
	ssize_t n;

	do
		n = write(fd, line->data, line->len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void
log_line(enum log_level level, const char *sentence, const struct log_pair *pairs)
{
	static const struct log_pair none[] = {{LOG_END, NULL}};
	CLEANUP_BUF struct buf line = BUF_INIT(LOG_LINE_MAX);
	int saved = errno;

	if (level > state.most)
		return;
	if (pairs == NULL)
		pairs = none;
	if (state.journal >= 0 && state.started) {
		format_journal(&line, level, sentence, pairs);
		if (!line.failed && write_whole(state.journal, &line) == 0) {
			errno = saved;
			return;
		}
		buf_clear(&line);
	}
	format_stderr(&line, level, sentence, pairs);
	/* There is nobody left to tell when standard error fails. */
	if (line.len > 0)
		(void)write_whole(STDERR_FILENO, &line);
	errno = saved;
}

static void PRINTF_LIKE(2, 0) log_format(enum log_level level, const char *format, va_list ap)
{
	char sentence[LOG_SENTENCE_MAX];
	int saved = errno;

	if (level > state.most)
		return;
	(void)vsnprintf(sentence, sizeof(sentence), format, ap);
	errno = saved;
	log_line(level, sentence, NULL);
}

#define LOG_FUNCTION(name, level)              \
	void name(const char *format, ...)     \
	{                                      \
		va_list ap;                    \
                                               \
		va_start(ap, format);          \
		log_format(level, format, ap); \
		va_end(ap);                    \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_notice, LOG_LEVEL_NOTICE)
