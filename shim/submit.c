/*
 * submit.c: hands one message in.
 *
 * The exit status is a promise: 0 only when the message is on disk, 75 only when it is not. Three
 *ways lead there:
 *
 *	The daemon answers: its answer counts.
 *	The daemon is down: after a short wait the message goes to the drop directory, as the bytes
 *that the socket would have got. The connection is lost: where the whole message had been sent, it
 *may have been stored, so the daemon is asked by the message's submission id. What is known not to
 *be stored is sent again while it is still in memory, under the same id, so that a daemon which has
 *it after all makes no second one.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "base/address.h"
#include "base/codec.h"
#include "shim/shim.h"

enum {
	DOWN_PATIENCE = 2000, /* milliseconds for a daemon that is starting */
	ASK_PATIENCE = 20000, /* for one that was lost with our message in it */
	ASK_TRIES = 20,       /* of one that is lost again before it has answered */
	ASK_PAUSE = 100,      /* milliseconds between them */
	TRIES = 3,
	HEAD_MAX = 4 * RECIPIENTS_BYTES_MAX,
	FULL_NAME_MAX = 128,     /* octets of -F that are passed on */
	ENVID_MAX = 100,         /* RFC 3461 section 4.4 */
	REPLIES_BEFORE_RCPT = 3, /* greeting, EHLO, MAIL */
};

struct submission {
	const struct places *where;
	const struct recipients *to;
	struct input *in;
	struct session session;
	struct drop drop;
	struct buf head; /* EHLO to the last RCPT */
	bool dropping;
	bool consumed; /* the start of the message is no longer in memory */
	bool complete; /* everything was sent, with BDAT LAST */
	unsigned chunks;
	bool quiet;
	char id[33];
};

enum outcome { STORED, REFUSED, LOST, BROKEN };

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
write_mail(struct buf *b, const struct submission *s, const struct options *o, const char *sender)
{
	(void)buf_append_str(b, "MAIL FROM:<");
	(void)buf_append_str(b, sender != NULL ? sender : "");
	(void)buf_append_str(b, "> XID=");
	(void)buf_append_str(b, s->id);
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
write_head(struct submission *s, const struct options *o, const char *sender)
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
	return b->failed ? -ENOMEM : 0;
}

/* "BDAT 123 LAST\r\n" */
static size_t
write_bdat(char *out, size_t len, bool last)
{
	char digits[20], *at = stpcpy(out, "BDAT ");
	size_t n = 0;

	do
		digits[n++] = (char)('0' + len % 10);
	while ((len /= 10) > 0);
	while (n > 0)
		*at++ = digits[--n];
	return (size_t)(stpcpy(at, last ? " LAST\r\n" : "\r\n") - out);
}

static int
put(struct submission *s, const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r;

	if (!s->dropping)
		return session_send(&s->session, a, a_len, b, b_len);
	r = drop_write(&s->drop, a, a_len);
	return r == 0 ? drop_write(&s->drop, b, b_len) : r;
}

static const char quit[] = "QUIT\r\n";

/*
 * Everything that is in memory goes out with one write where it can: the head and BDAT's line are
 * one run, the content with QUIT the other. So QUIT is laid behind the content, for which the input
 * keeps no room: it goes with the next write where there is none.
 */
static int
put_chunk(struct submission *s, bool first)
{
	struct input *in = s->in;
	size_t before = s->head.len, len = in->len;
	bool last = in->eof, room = in->cap - in->len >= sizeof(quit);
	char line[40];
	int r;

	if (first) {
		r = buf_append(&s->head, line, write_bdat(line, len, last));
		if (r < 0)
			return r;
	}
	s->chunks++;
	if (last && room) {
		memcpy(in->data + len, quit, sizeof(quit) - 1);
		len += sizeof(quit) - 1;
	}
	if (first)
		r = put(s, s->head.data, s->head.len, in->data, len);
	else
		r = put(s, line, write_bdat(line, in->len, last), in->data, len);
	if (r == 0 && last && !room)
		r = put(s, quit, sizeof(quit) - 1, NULL, 0);
	if (first) {
		/* the head stays as it was, for another try */
		s->head.len = before;
		s->head.data[before] = '\0';
	}
	return r;
}

/* The whole message, from what is in memory to the end of the input. */
static int
put_message(struct submission *s, int *ret_input_error)
{
	bool first = true;
	int r;

	s->chunks = 0;
	s->complete = false;
	for (;;) {
		r = put_chunk(s, first);
		if (r < 0)
			return r;
		first = false;
		if (!s->dropping && s->session.refusal != 0)
			return 0;
		if (s->in->eof)
			break;
		s->consumed = true;
		input_consume(s->in);
		r = input_fill(s->in);
		if (r < 0) {
			*ret_input_error = r;
			return r;
		}
	}
	s->complete = true;
	return 0;
}

/* Sends it and waits for the promise. */
static enum outcome
transact(struct submission *s)
{
	int input_error = 0, r;

	r = put_message(s, &input_error);
	if (input_error < 0)
		return BROKEN;
	if (r == 0)
		r = session_wait(
		    &s->session, REPLIES_BEFORE_RCPT + (unsigned)s->to->count + s->chunks);
	if (s->session.refusal != 0)
		/* a daemon that is going down says so, and has stored nothing */
		return s->session.refusal == 421 && strcmp(s->session.enhanced, "4.3.2") == 0
			   ? LOST
			   : REFUSED;
	return r == 0 ? STORED : LOST;
}

/* 1, 0, or negative errno: -ECONNRESET when the connection broke before there was an answer. */
static int
ask_once(struct submission *s)
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

/* Asks whether the message is stored: 1, 0, or negative errno when nobody answers. */
static int
ask(struct submission *s)
{
	int r = ask_once(s);

	for (int i = 1; i < ASK_TRIES && r == -ECONNRESET; i++) {
		(void)poll(NULL, 0, ASK_PAUSE);
		r = ask_once(s);
	}
	return r;
}

static int
report_refusal(const struct submission *s)
{
	const struct session *session = &s->session;
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
report(const struct submission *s, int status, const char *what, const char *next)
{
	if (!s->quiet)
		say(what, "; ", next);
	return status;
}

static int
report_input(const struct submission *s)
{
	return report(s, EX_IOERR, "standard input could not be read", "nothing was stored");
}

/* There is no daemon, and the message could not be left for it either. */
static int
report_down(const struct submission *s, int why, const char *drop, int drop_why)
{
	static const char next[] =
	    "; the mail system is down and nothing was stored: start frankd and send it again";

	if (s->quiet)
		return EX_TEMPFAIL;
	if (drop == NULL)
		say(s->where->socket, ": ", strerror(-why), next);
	else
		say(s->where->socket, ": ", strerror(-why), "; ", drop, ": ", strerror(-drop_why),
		    next);
	return EX_TEMPFAIL;
}

/* Leaves the message, with what is still to be read, in the drop directory. */
static int
drop_message(struct submission *s, int why)
{
	int input_error = 0, r;

	if (s->where->drop == NULL)
		return report_down(s, why, NULL, 0);
	r = drop_open(&s->drop, s->where->drop, s->id);
	if (r == 0) {
		s->dropping = true;
		r = put_message(s, &input_error);
		if (r == 0)
			r = drop_commit(&s->drop);
		else
			drop_abandon(&s->drop);
	}
	if (input_error < 0)
		return report_input(s);
	return r < 0 ? report_down(s, why, s->where->drop, r) : EX_OK;
}

/* The connection broke: find out what is stored, and see to it that the message is. -1: try again.
 */
static int
recover(struct submission *s)
{
	int known = 0;

	session_close(&s->session);
	if (s->complete && s->session.refusal == 0) {
		known = ask(s);
		if (known == 1)
			return EX_OK;
	}
	if (s->consumed)
		return report(s, EX_TEMPFAIL,
		    known < 0
			? "the connection was lost before the answer came, and nobody answers now"
			: "the connection was lost in mid-message",
		    known < 0 ? "the message may or may not be stored"
			      : "nothing was stored: send it again");
	return -1;
}

static int
attempt(struct submission *s)
{
	int r = 0, status;

	for (int i = 0; i < TRIES; i++) {
		r = session_open(&s->session, s->where->socket, DOWN_PATIENCE);
		if (r == -EACCES || r == -EPERM)
			return report(s, EX_NOPERM,
			    "the mail system's socket may not be used by this user",
			    "nothing was stored");
		if (r == -ENAMETOOLONG)
			return report(s, EX_CONFIG,
			    "FRANK_SUBMIT_SOCKET is longer than a socket's name can be",
			    "nothing was stored");
		if (r < 0)
			break;
		switch (transact(s)) {
		case STORED:
			return EX_OK;
		case REFUSED:
			return report_refusal(s);
		case BROKEN:
			return report_input(s);
		case LOST:
			break;
		}
		status = recover(s);
		if (status >= 0)
			return status;
		r = -ECONNRESET;
	}
	return drop_message(s, r);
}

int
submit(const struct options *o, const struct places *where, const struct recipients *to,
    const char *sender, struct input *in)
{
	struct submission s = {.where = where,
	    .to = to,
	    .in = in,
	    .head = BUF_INIT(HEAD_MAX),
	    .session.fd = -1,
	    .quiet = o->quiet};
	int r, status;

	r = make_id(s.id);
	if (r == 0)
		r = write_head(&s, o, sender);
	if (r == 0)
		r = input_fill(in);
	if (r == -ENOMEM || r == -ENOBUFS)
		status = report(
		    &s, EX_TEMPFAIL, "out of memory", "nothing was stored: send it again later");
	else
		status = r < 0 ? report_input(&s) : attempt(&s);
	session_close(&s.session);
	buf_free(&s.head);
	return status;
}
