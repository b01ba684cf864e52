/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * relay.c: sendmail -bs: octets between the caller and the daemon, which speaks SMTP itself.
 *
 * Nothing is changed on the way; both directions are watched, line by line, to know whose turn it
 * is. The caller may take as long as it likes, also within a message. The daemon may not: it must
 * greet, take what it is given, and answer within the patience of session.h. Where it does not, the
 * caller gets 421.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "shim/shim.h"

enum { START_PATIENCE = 2000, CHUNK_DIGITS = 15 };

struct pipe_end {
	int from, to;
	bool to_daemon;
	size_t at, len;
	bool over; /* `from` has ended and everything was passed on */
	char bytes[16 * 1024];
};

/* What the caller's next octets are. */
enum turn { TURN_COMMAND, TURN_DATA, TURN_CHUNK };

struct dialogue {
	/* the caller's side */
	enum turn turn;
	char command[6 + CHUNK_DIGITS]; /* the beginning of its line */
	size_t column;
	char last;      /* the octet before */
	bool loose;     /* lines of the content end in LF alone, as DATA itself did */
	bool line_ends; /* the line before this one of the content ended as lines do */
	uint64_t chunk; /* octets of it that are still to come */
	/* the daemon's side */
	char code[4]; /* of its line, and whether another follows */
	size_t reply_column;
	bool farewell; /* the last complete reply was 221 or 421: the session is over */
	/* replies that the daemon owes; the first is its greeting */
	unsigned owed;
	bool greeted;
	/* of clock_ms: the daemon's last complete line, or the last that was for it */
	uint64_t since;
};

/* A complete line of the content of DATA: is it the end? As the daemon has it: where the session's
 * lines end in CRLF, a dot next to a bare LF is text. */
static bool
ends_content(struct dialogue *d, bool crlf)
{
	bool dot = d->line_ends && d->command[0] == '.' && d->column == (crlf ? 3 : 2);

	d->line_ends = crlf || d->loose;
	return dot && d->line_ends;
}

/* A complete line of commands, or of the content of DATA. */
static void
take_command(struct dialogue *d, bool crlf)
{
	size_t len = d->column < sizeof(d->command) ? d->column : sizeof(d->command) - 1;

	if (d->turn == TURN_DATA) {
		if (!ends_content(d, crlf))
			return;
		d->turn = TURN_COMMAND;
		d->owed++;
		return;
	}
	while (len > 0 && strchr("\n\r \t", d->command[len - 1]) != NULL)
		len--;
	d->command[len] = '\0';
	if (strcasecmp(d->command, "DATA") == 0) {
		d->turn = TURN_DATA;
		d->loose = !crlf;
		d->line_ends = true;
	} else if (strncasecmp(d->command, "BDAT ", 5) == 0) {
		d->chunk = 0;
		for (const char *c = d->command + 5; *c >= '0' && *c <= '9'; c++)
			d->chunk = d->chunk * 10 + (uint64_t)(*c - '0');
		/* it is answered behind its octets */
		if (d->chunk > 0) {
			d->turn = TURN_CHUNK;
			return;
		}
	}
	d->owed++;
}

static void
watch_commands(struct dialogue *d, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (d->turn == TURN_CHUNK) {
			size_t of_chunk = d->chunk < len - i ? (size_t)d->chunk : len - i;

			i += of_chunk - 1;
			d->chunk -= of_chunk;
			if (d->chunk == 0) {
				d->turn = TURN_COMMAND;
				d->owed++;
			}
			continue;
		}
		if (d->column < sizeof(d->command))
			d->command[d->column] = bytes[i];
		d->column++;
		if (bytes[i] == '\n') {
			take_command(d, d->last == '\r');
			d->column = 0;
		}
		d->last = bytes[i];
	}
}

/* A complete line of a reply. */
static void
take_reply(struct dialogue *d)
{
	d->since = clock_ms();
	d->farewell = false;
	if (d->reply_column > 3 && d->code[3] == '-')
		return;
	d->greeted = true;
	d->owed -= d->owed > 0;
	d->farewell = memcmp(d->code, "221", 3) == 0 || memcmp(d->code, "421", 3) == 0;
	/* DATA was refused: what follows are commands. */
	if (d->turn == TURN_DATA && d->owed == 0 && d->code[0] != '3')
		d->turn = TURN_COMMAND;
}

static void
watch_replies(struct dialogue *d, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (d->reply_column < sizeof(d->code))
			d->code[d->reply_column] = bytes[i];
		d->reply_column++;
		if (bytes[i] == '\n') {
			take_reply(d);
			d->reply_column = 0;
		}
	}
}

/* Moves what can be moved, and shows `watch` what is new. 0, or negative errno when `to` takes no
 * more for good. */
static int
pump(struct pipe_end *p, struct dialogue *d)
{
	ssize_t n;

	if (p->at == p->len) {
		n = read(p->from, p->bytes, sizeof(p->bytes));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return 0;
		p->at = 0;
		p->len = n > 0 ? (size_t)n : 0;
		p->over = n <= 0;
		(p->to_daemon ? watch_commands : watch_replies)(d, p->bytes, p->len);
	}
	while (p->at < p->len) {
		n = write(p->to, p->bytes + p->at, p->len - p->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->at += (size_t)n;
		if (p->to_daemon)
			d->since = clock_ms();
	}
	return 0;
}

/* How long the daemon may take, in milliseconds: -1 while it is the caller's turn. */
static int
patience(const struct dialogue *d, const struct pipe_end *up)
{
	uint64_t most = d->greeted ? SESSION_REPLY_PATIENCE : SESSION_GREETING_PATIENCE, passed;

	if (d->owed == 0 && up->at == up->len && !up->over)
		return -1;
	passed = clock_ms() - d->since;
	return passed < most ? (int)(most - passed) : 0;
}

static int
relay(int socket, struct dialogue *d)
{
	struct pipe_end up = {.from = STDIN_FILENO, .to = socket, .to_daemon = true};
	struct pipe_end down = {.from = socket, .to = STDOUT_FILENO};
	int r = 0;

	/* The session is over when the daemon says so: after QUIT, or when it has seen the end of
	 * ours. */
	while (r == 0 && !down.over) {
		bool stuck = up.at < up.len;
		struct pollfd p[] = {
		    {.fd = stuck || up.over ? -1 : up.from, .events = POLLIN},
		    {.fd = socket, .events = stuck ? POLLIN | POLLOUT : POLLIN},
		};
		int n = poll(p, 2, patience(d, &up));

		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		if ((p[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			r = pump(&down, d);
		if (r == 0 && !up.over && (p[0].revents != 0 || (p[1].revents & POLLOUT) != 0)) {
			/* a session that the daemon has ended takes no more: what it said last
			 * still counts */
			(void)pump(&up, d);
			if (up.over) {
				(void)shutdown(socket, SHUT_WR);
				d->since = clock_ms(); /* the caller's pause before was its own */
			}
		}
	}
	/* What the caller waits for an answer to will get none: let it know, as SMTP has it. Not
	 * where the caller itself hung up. */
	return r == 0 && !up.over && !d->farewell ? -ECONNRESET : r;
}

/* The daemon's last word, which it could not say itself; behind half a line on a line of its own. */
static int
close_session(const struct dialogue *d, const char *words)
{
	static const char code[] = "\r\n421 4.3.2 ";
	size_t skip = d->reply_column == 0 ? 2 : 0;

	(void)io_write_all(STDOUT_FILENO, code + skip, sizeof(code) - 1 - skip);
	(void)io_write_all(STDOUT_FILENO, words, strlen(words));
	(void)io_write_all(STDOUT_FILENO, "\r\n", 2);
	return EX_TEMPFAIL;
}

int
relay_smtp(const struct shim_places *where)
{
	struct dialogue d = {.owed = 1, .since = clock_ms()};
	struct shim_session s;
	int r = session_open(&s, where->socket, START_PATIENCE);

	if (r < 0) {
		(void)close_session(&d, "The mail system is down");
		return r == -EACCES ? EX_NOPERM : EX_TEMPFAIL;
	}
	/* a session that the daemon ends is no reason to die before its last words were passed on */
	(void)signal(SIGPIPE, SIG_IGN);
	r = relay(s.fd, &d);
	session_close(&s);
	if (r == -ETIMEDOUT)
		return close_session(&d,
		    "The mail system does not answer: what it has not answered is not known to be "
		    "stored");
	if (r == -ECONNRESET)
		return close_session(&d,
		    "The mail system was stopped: what it has not answered is not known to be "
		    "stored");
	return r < 0 ? EX_IOERR : EX_OK;
}
