/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submit.c: hands one message in.
 *
 * The exit status is a promise: 0 only when the message is on disk, 75 only when it is not. The message
 * is read to its end first and kept whole (input.c), however long its writer takes. So no session
 * depends on the writer, and what is not promised can be handed in again.
 *
 *   the daemon answers       Its answer counts.
 *   the connection is lost   Where the whole message had been sent, it may have been stored: the shim
 *                            asks the daemon by the message's submission id. What is not known to be
 *                            stored is sent again under the same id; a daemon which has it after all
 *                            makes no second one.
 *   the daemon is down,      After a short wait the message goes to the drop directory, as the bytes that
 *   does not answer, or      the socket would have got, under the same id.
 *   has no place for us
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/io.h"
#include "shim/shim.h"

enum {
	DROP_PATIENCE = 30000, /* for the disk of the drop directory, in each of two steps */
	DOWN_PATIENCE = 2000,  /* milliseconds for a daemon that is starting */
	BUSY_PATIENCE = 10000, /* for one that has too many connections of ours */
	ASK_PATIENCE = 20000,  /* for one that was lost with our message in it */
	PAUSE_FIRST = 100,     /* milliseconds between two tries; doubles up to */
	PAUSE_MAX = 1000,
	TRIES = 3,
	HEAD_MAX = 4 * RECIPIENTS_BYTES_MAX,
	FULL_NAME_MAX = 128,            /* octets of -F that are passed on */
	ENVID_MAX = 100,                /* RFC 3461 section 4.4 */
	REPLIES_BEFORE_RCPT = 3,        /* greeting, EHLO, MAIL */
	ASK_SIZE_AT = 16 * 1024 * 1024, /* octets; from here on the daemon is asked for its limit */
	SIZE_MOST = 1024 * 1024 * 1024, /* what is kept for a daemon that cannot be asked */
	OCTETS_PER_MS = 1000,           /* the least that a daemon must take */
};

struct shim_submission {
	const struct shim_places *where;
	const struct recipients *to;
	struct input *in;
	struct shim_session session;
	struct drop_file drop;
	struct buf head; /* EHLO to BDAT */
	bool dropping;
	bool in_doubt;  /* it was sent whole once, and nobody says what became of it */
	uint64_t limit; /* that the message is over; 0: it is not, or that is not known */
	bool quiet;
	char id[33];
};

bool
submit_waits_for_config(const struct shim_places *where)
{
	return where->config != NULL && access(where->config, F_OK) < 0 && errno == ENOENT;
}

enum outcome { STORED, REFUSED, LOST, BUSY, SILENT };

static int
make_id(char *id)
{
	unsigned char random[16];
	struct buf hex = BUF_INIT(sizeof(random) * 2);
	int r = 0;

	/* The kernel gives so few octets whole or not at all. */
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	r = hex_encode(&hex, random, sizeof(random));
	if (r == 0)
		memcpy(id, hex.data, sizeof(random) * 2 + 1);
	buf_free(&hex);
	return r;
}

static bool
is_xtext(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s < '!' || *s > '~' || *s == '=')
			return false;
		if (*s == '+' && (strspn(s + 1, "0123456789ABCDEF") < 2 || *(s += 2) == '\0'))
			return false;
	}
	return true;
}

static bool
needs_utf8(const char *sender, const struct recipients *to)
{
	return (sender != NULL && address_is_utf8(sender, strlen(sender))) ||
	       address_is_utf8(to->text.data, to->text.len);
}

/* The length of `s` cut to `max` octets, at a character. */
static size_t
cut_length(const char *s, size_t max)
{
	size_t len = strnlen(s, max);

	while (len > 0 && ((unsigned char)s[len] & 0xC0) == 0x80)
		len--;
	return len;
}

/* In xtext, and control characters as spaces: nobody needs them, and nobody takes them. */
static void
write_text(struct buf *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool control = (unsigned char)text[i] < ' ' || text[i] == 0x7f;

		(void)xtext_encode(b, control ? " " : text + i, 1);
	}
}

static void
write_number(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	(void)buf_append(b, digits + at, sizeof(digits) - at);
}

static void
write_mail(struct buf *b, const struct shim_submission *s, const struct shim_options *o,
    const char *sender)
{
	(void)buf_append_str(b, "MAIL FROM:<");
	(void)buf_append_str(b, sender != NULL ? sender : "");
	(void)buf_append_str(b, "> XID=");
	(void)buf_append_str(b, s->id);
	/* What is too large is refused before it travels. */
	if (s->in->overflow.size > 0) {
		(void)buf_append_str(b, " SIZE=");
		write_number(b, input_size(s->in));
	}
	if (sender == NULL)
		(void)buf_append_str(b, " XCALLER");
	if (o->full_name != NULL && o->full_name[0] != '\0') {
		(void)buf_append_str(b, " XNAME=");
		write_text(b, o->full_name, cut_length(o->full_name, FULL_NAME_MAX));
	}
	if (o->body != NULL) {
		(void)buf_append_str(b, " BODY=");
		(void)buf_append_str(b, o->body);
	}
	if (needs_utf8(sender, s->to))
		(void)buf_append_str(b, " SMTPUTF8");
	if (o->require_tls)
		(void)buf_append_str(b, " REQUIRETLS");
	if (o->ret != SMTP_RET_NONE)
		(void)buf_append_str(b, o->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (o->envid != NULL && o->envid[0] != '\0') {
		size_t len = strnlen(o->envid, ENVID_MAX);

		(void)buf_append_str(b, " ENVID=");
		if (is_xtext(o->envid) && o->envid[len] == '\0')
			(void)buf_append(b, o->envid, len);
		else
			write_text(b, o->envid, strnlen(o->envid, ENVID_MAX / 3));
	}
	(void)buf_append_str(b, "\r\n");
}

static void
write_notify(struct buf *b, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {{SMTP_NOTIFY_NEVER, "NEVER"}, {SMTP_NOTIFY_SUCCESS, "SUCCESS"},
	    {SMTP_NOTIFY_FAILURE, "FAILURE"}, {SMTP_NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if ((notify & words[i].bit) == 0)
			continue;
		(void)buf_append_str(b, before);
		(void)buf_append_str(b, words[i].word);
		before = ",";
	}
}

static int
write_head(struct shim_submission *s, const struct shim_options *o, const char *sender)
{
	struct buf *b = &s->head;
	const char *address;
	size_t at = 0;

	/* One allocation for the usual message. */
	(void)buf_reserve(b, 512 + s->to->text.len + s->to->count * 48);
	(void)buf_append_str(b, "EHLO localhost\r\n");
	write_mail(b, s, o, sender);
	while ((address = recipients_next(s->to, &at)) != NULL) {
		(void)buf_append_str(b, "RCPT TO:<");
		(void)buf_append_str(b, address);
		(void)buf_append_str(b, ">");
		write_notify(b, o->notify);
		(void)buf_append_str(b, "\r\n");
	}
	(void)buf_append_str(b, "BDAT ");
	write_number(b, input_size(s->in));
	(void)buf_append_str(b, " LAST\r\n");
	return b->failed ? -ENOMEM : 0;
}

static int
put(struct shim_submission *s, const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r;

	if (!s->dropping)
		return session_send(&s->session, a, a_len, b, b_len);
	r = drop_write(&s->drop, a, a_len);
	return r == 0 ? drop_write(&s->drop, b, b_len) : r;
}

static int
put_piece(void *arg, const char *bytes, size_t len)
{
	struct shim_submission *s = arg;
	int r = put(s, bytes, len, NULL, 0);

	return r == 0 && !s->dropping && s->session.refusal != 0 ? -ECANCELED : r;
}

static const char quit[] = "QUIT\r\n";

/*
 * The whole message. Where it is in memory it goes out with one write: the head is one run, the
 * content with QUIT the other. So QUIT is laid behind the content, for which the input
 * keeps no room: it goes with the next write where there is none.
 */
static int
put_message(struct shim_submission *s)
{
	struct input *in = s->in;
	size_t len = in->len;
	bool room = in->cap - in->len >= sizeof(quit);
	int r;

	if (room) {
		memcpy(in->data + len, quit, sizeof(quit) - 1);
		len += sizeof(quit) - 1;
	}
	if (in->overflow.size == 0) {
		r = put(s, s->head.data, s->head.len, in->data, len);
	} else {
		r = put(s, s->head.data, s->head.len, NULL, 0);
		if (r == 0)
			r = overflow_read(&in->overflow, put_piece, s);
		if (r == 0)
			r = put(s, in->data, len, NULL, 0);
	}
	if (r == 0 && !room)
		r = put(s, quit, sizeof(quit) - 1, NULL, 0);
	return r;
}

static bool
is_refused(const struct shim_session *s, const char *enhanced)
{
	return s->refusal == 421 && strcmp(s->enhanced, enhanced) == 0;
}

/* Sends it and waits for the promise. */
static enum outcome
transact(struct shim_submission *s)
{
	struct shim_session *session = &s->session;
	bool sent;
	int r;

	session->patience += (unsigned)(input_size(s->in) / OCTETS_PER_MS);
	r = put_message(s);
	sent = r == 0;
	if (sent)
		r = session_wait(session, REPLIES_BEFORE_RCPT + (unsigned)s->to->count + 1);
	/* A daemon that is going down, or has no place for us, says so, and has stored nothing. */
	if (is_refused(session, "4.3.2"))
		return LOST;
	if (is_refused(session, "4.4.5"))
		return BUSY;
	if (session->refusal != 0)
		return REFUSED;
	if (r == 0)
		return STORED;
	/* What is still unread is stored by nobody: who comes to it finds the connection closed. */
	if (sent && (r != -ETIMEDOUT || session_is_read(session)))
		s->in_doubt = true;
	return r == -ETIMEDOUT ? SILENT : LOST;
}

/* 1, 0, or negative errno: -ECONNRESET when the connection broke before there was an answer. */
static int
ask_once(struct shim_submission *s)
{
	struct buf question = BUF_INIT(128);
	int r;

	(void)buf_append_str(&question, "EHLO localhost\r\nXFRANK ");
	(void)buf_append_str(&question, s->id);
	(void)buf_append_str(&question, "\r\nQUIT\r\n");
	r = question.failed ? -ENOMEM : session_open(&s->session, s->where->socket, ASK_PATIENCE);
	if (r == 0)
		r = session_send(&s->session, question.data, question.len, NULL, 0);
	if (r == 0)
		r = session_wait(&s->session, 3);
	if (r == 0)
		r = s->session.refusal == 0                                ? 1
		    : s->session.refusal == 550 && s->session.refused == 2 ? 0
									   : -ECONNRESET;
	session_close(&s->session);
	buf_free(&question);
	return r;
}

/* Asks whether the message is stored: 1, 0, or negative errno when nobody answers. A daemon that
 * starts may be lost again before it has answered. */
static int
ask(struct shim_submission *s)
{
	uint64_t end = clock_ms() + ASK_PATIENCE;
	int r;

	while ((r = ask_once(s)) == -ECONNRESET && clock_ms() < end)
		(void)poll(NULL, 0, PAUSE_FIRST);
	return r;
}

static int
report_refusal(const struct shim_submission *s)
{
	const struct shim_session *session = &s->session;
	size_t at = 0, rcpt = session->refused - REPLIES_BEFORE_RCPT;
	const char *address = NULL;
	char code[5] = {(char)('0' + session->refusal / 100),
	    (char)('0' + session->refusal / 10 % 10), (char)('0' + session->refusal % 10), ' ',
	    '\0'};

	if (session->refused >= REPLIES_BEFORE_RCPT && rcpt < s->to->count)
		for (size_t i = 0; i <= rcpt; i++)
			address = recipients_next(s->to, &at);
	if (!s->quiet)
		say(address != NULL ? address : "message", ": ", code, session->text,
		    session->refusal < 500 ? " (nothing was stored: send it again later)"
					   : " (nothing was stored)");
	return session_exit_status(session->refusal, session->enhanced);
}

static int
report(const struct shim_submission *s, int status, const char *what, const char *next)
{
	if (!s->quiet)
		say(what, "; ", next);
	return status;
}

/* The message could not be read, or not kept. */
static int
report_input(const struct shim_submission *s, int r)
{
	char digits[24];
	struct buf number = BUF_INIT(sizeof(digits));
	int status;

	switch (r) {
	case -ENOMEM:
	case -ENOBUFS:
		return report(
		    s, EX_TEMPFAIL, "out of memory", "nothing was stored: send it again later");
	case -EFBIG:
		if (s->limit == 0)
			return report(s, EX_TEMPFAIL,
			    "the mail system is down, and the message is too large to be kept for "
			    "it",
			    "nothing was stored: start frankd and send it again");
		write_number(&number, s->limit);
		status = EX_DATAERR;
		if (!s->quiet)
			say("the message is larger than ", buf_str(&number),
			    " octets, which is the limit; nothing was stored");
		buf_free(&number);
		return status;
	default:
		return report(
		    s, EX_IOERR, "standard input could not be read", "nothing was stored");
	}
}

/* There is no daemon, and the message could not be left for it either. */
static int
report_down(const struct shim_submission *s, int why, const char *drop, int drop_why)
{
	const char *next =
	    s->in_doubt ? "; the mail system does not answer: the message may or may not be stored"
	    : why == -EUSERS ? "; nothing was stored: send it again later"
			     : "; the mail system is down and nothing was stored: start frankd and "
			       "send it again";
	const char *reason = why == -EUSERS ? s->session.text : strerror(-why);

	if (s->quiet)
		return EX_TEMPFAIL;
	if (drop == NULL)
		say(s->where->socket, ": ", reason, next);
	else
		say(s->where->socket, ": ", reason, "; ", drop, ": ", strerror(-drop_why), next);
	return EX_TEMPFAIL;
}

/* ---- the drop directory ---- */

/*
 * A write to a file system may take any time and cannot be interrupted. So a child writes and syncs the
 * file, and renames it only when the parent says so: the parent may have given up meanwhile, and what
 * it told its caller must stay true. The child ends with the parent.
 */

/* The child. `parent`: -1 where there is none, and nobody to be asked. */
static int
write_drop(struct shim_submission *s, int parent)
{
	int r = drop_open(&s->drop, s->where->drop, s->id), ready = 0;

	if (r < 0)
		return r;
	s->dropping = true;
	r = put_message(s);
	if (r == 0)
		r = drop_sync(&s->drop);
	if (r == 0 && parent >= 0 &&
	    (io_write_all(parent, &ready, sizeof(ready)) < 0 ||
		read(parent, &ready, sizeof(ready)) != sizeof(ready)))
		r = -ECANCELED;
	if (r == 0)
		return drop_commit(&s->drop);
	drop_abandon(&s->drop);
	return r;
}

/* What the child says: 0 or negative errno. */
static int
hear(int child)
{
	struct pollfd p = {.fd = child, .events = POLLIN};
	int result, n;

	do
		n = poll(&p, 1, DROP_PATIENCE);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ETIMEDOUT;
	return read(child, &result, sizeof(result)) == sizeof(result) ? result : -EIO;
}

static int
watch_drop(struct shim_submission *s, int child, pid_t pid)
{
	int go = 0, r = hear(child);

	if (r == 0)
		r = io_write_all(child, &go, sizeof(go));
	if (r == 0) {
		r = hear(child);
		s->in_doubt = r == -ETIMEDOUT || r == -EIO;
	}
	if (r == -ETIMEDOUT)
		(void)kill(pid, SIGKILL);
	return r;
}

/* What our caller reads to its end must not stay open. Where it closed these itself, their numbers are
 * those of `parent` and of the message. */
static void
close_standard(const struct shim_submission *s, int parent)
{
	const struct overflow *o = &s->in->overflow;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fd != parent && (o->size == 0 || fd != o->fd))
			(void)close(fd);
}

/* Leaves the message in the drop directory. */
static int
drop_message(struct shim_submission *s, int why)
{
	int ends[2], r;
	pid_t pid;

	if (s->where->drop == NULL)
		return report_down(s, why, NULL, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		ends[0] = ends[1] = -1;
	pid = ends[0] < 0 ? -1 : fork();
	if (pid == 0) {
		close_standard(s, ends[1]);
		(void)close(ends[0]);
		r = write_drop(s, ends[1]);
		(void)io_write_all(ends[1], &r, sizeof(r));
		_exit(0);
	}
	if (ends[1] >= 0)
		(void)close(ends[1]);
	r = pid < 0 ? write_drop(s, -1) : watch_drop(s, ends[0], pid);
	if (r < 0)
		return report_down(s, why, s->where->drop, r);
	if (!s->quiet && submit_waits_for_config(s->where))
		say("the message is kept, and goes as soon as Frank has an account: frank account "
		    "add");
	return EX_OK;
}

/* Tries to connect: -1 with a session, else the exit status; *ret_why says why there is none, where
 * that is no reason to give up. */
static int
connect_session(struct shim_submission *s, int *ret_why)
{
	*ret_why = session_open(&s->session, s->where->socket, 0);
	if ((*ret_why == -ENOENT || *ret_why == -ECONNREFUSED) &&
	    !submit_waits_for_config(s->where))
		*ret_why = session_open(&s->session, s->where->socket, DOWN_PATIENCE);
	if (*ret_why == -EACCES || *ret_why == -EPERM)
		return report(s, EX_NOPERM, "the mail system's socket may not be used by this user",
		    "nothing was stored");
	if (*ret_why == -ENAMETOOLONG)
		return report(s, EX_CONFIG,
		    "FRANK_SUBMIT_SOCKET is longer than a socket's name can be",
		    "nothing was stored");
	return -1;
}

/* The exit status, or -1 with *ret_why: the daemon does not take it. */
static int
attempt(struct shim_submission *s, int *ret_why)
{
	unsigned pause = PAUSE_FIRST, busy = 0;

	for (int tries = 0; tries < TRIES;) {
		int status = connect_session(s, ret_why), known;

		if (status >= 0 || *ret_why < 0)
			return status;
		switch (transact(s)) {
		case STORED:
			return EX_OK;
		case REFUSED:
			return report_refusal(s);
		case SILENT:
			*ret_why = -ETIMEDOUT;
			return -1;
		case BUSY:
			*ret_why = -EUSERS;
			if (busy >= BUSY_PATIENCE)
				return -1;
			(void)poll(NULL, 0, (int)pause);
			busy += pause;
			pause = pause < PAUSE_MAX ? pause * 2 : pause;
			break;
		case LOST:
			*ret_why = -ECONNRESET;
			session_close(&s->session);
			known = s->in_doubt ? ask(s) : 0;
			if (known == 1)
				return EX_OK;
			s->in_doubt = known < 0;
			tries++;
			break;
		}
		session_close(&s->session);
	}
	return -1;
}

/* ---- the size of what is read ---- */

static void
take_size(void *arg, unsigned reply, const char *text, size_t len)
{
	if (reply == 1 && len > 5 && memcmp(text, "SIZE ", 5) == 0)
		(void)text_number(text + 5, len - 5, arg);
}

/* What the daemon takes at most, in octets; 0 where it does not say. */
static uint64_t
ask_limit(struct shim_submission *s)
{
	static const char question[] = "EHLO localhost\r\nQUIT\r\n";
	uint64_t size = 0;
	int r = session_open(&s->session, s->where->socket, 0);

	s->session.line = take_size;
	s->session.arg = &size;
	if (r == 0)
		r = session_send(&s->session, question, sizeof(question) - 1, NULL, 0);
	if (r == 0)
		(void)session_wait(&s->session, 2);
	session_close(&s->session);
	s->session.line = NULL;
	return size;
}

/* Reads the message to its end. A large one is worth a question, before the disk is filled with
 * what nobody takes. 0 or negative errno; -EFBIG with s->limit set where there is one. */
static int
collect(struct shim_submission *s)
{
	uint64_t max = ASK_SIZE_AT;
	int r;

	while ((r = input_collect(s->in, max)) == -EFBIG) {
		uint64_t limit = ask_limit(s);

		if (limit != 0 && input_size(s->in) > limit) {
			s->limit = limit;
			return r;
		}
		if (limit == 0 && max >= SIZE_MOST)
			return r;
		max = limit != 0 ? limit : max * 2;
	}
	overflow_spare_descriptor(&s->in->overflow);
	return r;
}

int
submit(const struct shim_options *o, const struct shim_places *where, const struct recipients *to,
    const char *sender, struct input *in)
{
	struct shim_submission s = {.where = where,
	    .to = to,
	    .in = in,
	    .head = BUF_INIT(HEAD_MAX),
	    .session.fd = -1,
	    .quiet = o->quiet};
	int r, status, why;

	r = make_id(s.id);
	if (r == 0)
		r = collect(&s);
	if (r == 0)
		r = write_head(&s, o, sender);
	if (r < 0)
		status = report_input(&s, r);
	else
		status = attempt(&s, &why);
	session_close(&s.session);
	if (status < 0)
		status = drop_message(&s, why);
	buf_free(&s.head);
	return status;
}
