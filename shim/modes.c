/*
 * modes.c: what sendmail does besides handing in one message.
 *
 * -bs is a relay: the daemon speaks SMTP itself, so octets pass unchanged both ways. The others ask
 * one question each; their answers are lines of SMTP replies, by XFRANK LIST and XFRANK FLUSH or by
 * RCPT in a transaction that is never finished.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/shim.h"

enum { START_PATIENCE = 2000 };

/* ---- -bs ---- */

struct pipe_end {
	int from, to;
	size_t at, len;
	bool over; /* `from` has ended and everything was passed on */
	char bytes[16 * 1024];
};

/* Where the replies that were passed on have come to. */
struct reply_watch {
	size_t column; /* octets of the line so far */
	char code[4];  /* of that line, and whether another follows */
	bool farewell; /* the last complete reply was 221 or 421: the session is over */
};

static void
watch_replies(struct reply_watch *w, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (w->column < sizeof(w->code))
			w->code[w->column] = bytes[i];
		w->column++;
		if (bytes[i] != '\n')
			continue;
		w->farewell = w->column > 3 && w->code[3] != '-' &&
			      (memcmp(w->code, "221", 3) == 0 || memcmp(w->code, "421", 3) == 0);
		w->column = 0;
	}
}

/* Moves what can be moved. 0, or negative errno when `to` takes no more for good. */
static int
pump(struct pipe_end *p, struct reply_watch *w)
{
	ssize_t n;

	if (p->at == p->len) {
		n = read(p->from, p->bytes, sizeof(p->bytes));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return 0;
		p->at = 0;
		p->len = n > 0 ? (size_t)n : 0;
		p->over = n <= 0;
		if (w != NULL)
			watch_replies(w, p->bytes, p->len);
	}
	while (p->at < p->len) {
		n = write(p->to, p->bytes + p->at, p->len - p->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->at += (size_t)n;
	}
	return 0;
}

static int
relay(int socket, struct reply_watch *w)
{
	struct pipe_end up = {.from = STDIN_FILENO, .to = socket};
	struct pipe_end down = {.from = socket, .to = STDOUT_FILENO};
	int r = 0;

	/* The session is over when the daemon says so: after QUIT, or when it has seen the end of
	 * ours. */
	while (r == 0 && !down.over) {
		struct pollfd p[] = {
		    {.fd = up.over ? -1 : up.from, .events = POLLIN},
		    {.fd = socket, .events = POLLIN | POLLOUT},
		};

		if (up.at < up.len)
			p[0].fd = -1;
		else
			p[1].events = POLLIN;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if ((p[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			r = pump(&down, w);
		if (r == 0 && !up.over && ((p[0].revents != 0) || (p[1].revents & POLLOUT) != 0)) {
			/* a session that the daemon has ended takes no more: what it said last
			 * still counts */
			(void)pump(&up, NULL);
			if (up.over)
				(void)shutdown(socket, SHUT_WR);
		}
	}
	/* What the caller waits for an answer to will get none: let it know, as SMTP has it. Not where the caller itself hung up. */
	return r == 0 && !up.over && !w->farewell ? -ECONNRESET : r;
}

int
mode_smtp(const struct places *where)
{
	static const char sorry[] = "421 4.3.2 The mail system is down\r\n",
			  lost[] = "\r\n421 4.3.2 The mail system was stopped: what it has not "
				   "answered is not known to be stored\r\n";
	struct reply_watch w = {0};
	struct session s;
	int r;

	r = session_open(&s, where->socket, START_PATIENCE);
	if (r < 0) {
		(void)write_all(STDOUT_FILENO, sorry, sizeof(sorry) - 1);
		return r == -EACCES ? EX_NOPERM : EX_TEMPFAIL;
	}
	/* a session that the daemon ends is no reason to die before its last words were passed on */
	(void)signal(SIGPIPE, SIG_IGN);
	r = relay(s.fd, &w);
	session_close(&s);
	if (r == -ECONNRESET) {
		/* behind half a line on a line of its own */
		(void)write_all(STDOUT_FILENO, lost + (w.column == 0 ? 2 : 0),
		    sizeof(lost) - 1 - (w.column == 0 ? 2 : 0));
		return EX_TEMPFAIL;
	}
	return r < 0 ? EX_IOERR : EX_OK;
}

/* ---- questions ---- */

/* Opens a session and sends a question whose answer is reply number 2, behind the greeting and
 * EHLO. */
static int
ask(struct session *s, const struct places *where, const char *question, unsigned patience)
{
	int r = session_open(s, where->socket, patience);

	if (r == 0)
		r = session_send(s, question, strlen(question), NULL, 0);
	if (r == 0)
		r = session_wait(s, 3);
	return r;
}

struct printer {
	size_t len;
	int error;
	char bytes[4096];
};

static void
flush(struct printer *p)
{
	if (p->error == 0)
		p->error = write_all(STDOUT_FILENO, p->bytes, p->len);
	p->len = 0;
}

static void
print(struct printer *p, const char *text, size_t len)
{
	if (len > sizeof(p->bytes))
		len = sizeof(p->bytes);
	if (p->len + len > sizeof(p->bytes))
		flush(p);
	memcpy(p->bytes + p->len, text, len);
	p->len += len;
}

static void
print_listing(void *arg, unsigned reply, const char *text, size_t len)
{
	if (reply != 2)
		return;
	print(arg, text, len);
	print(arg, "\n", 1);
}

int
mode_list(const struct places *where)
{
	struct printer p = {0};
	struct session s = {.line = print_listing, .arg = &p};
	int r = ask(&s, where, "EHLO localhost\r\nXFRANK LIST\r\nQUIT\r\n", START_PATIENCE);

	session_close(&s);
	flush(&p);
	if (r < 0) {
		say("queue report unavailable: the mail system is down (", strerror(-r),
		    "); start frankd");
		return EX_UNAVAILABLE;
	}
	if (s.refusal != 0) {
		say("queue report unavailable: ", s.text);
		return session_exit_status(s.refusal, s.enhanced);
	}
	return p.error < 0 ? EX_IOERR : EX_OK;
}

int
mode_flush(const struct places *where)
{
	struct session s = {0};

	/* Hooks of networks call this at any time; the daemon tries again by itself, so there is
	 * nothing to complain about. */
	(void)ask(&s, where, "EHLO localhost\r\nXFRANK FLUSH\r\nQUIT\r\n", 0);
	session_close(&s);
	return EX_OK;
}

/* ---- newaliases ---- */

/*
 * There is no database to build: frankd reads the file, now and whenever it starts. So scripts that call this while it is down have
 * nothing to complain about.
 */
int
mode_aliases(const struct options *o, const struct places *where)
{
	struct printer p = {0};
	struct session s = {.line = print_listing, .arg = &p};
	int r = ask(&s, where, "EHLO localhost\r\nXFRANK ALIASES\r\nQUIT\r\n", 0);

	session_close(&s);
	flush(&p);
	if (r < 0) {
		if (!o->quiet)
			say("frankd is down; it reads the aliases file when it starts");
		return EX_OK;
	}
	if (s.refusal != 0) {
		if (!o->quiet)
			say(s.text);
		return session_exit_status(s.refusal, s.enhanced);
	}
	return p.error < 0 ? EX_IOERR : EX_OK;
}

/* ---- -bv ---- */

enum { REPLY_EXPN = 4 }; /* behind greeting, EHLO, MAIL, RCPT */

struct verifier {
	struct printer *printer;
	const char *address;
	bool expanded; /* something was printed about it */
};

static void
print_words(struct printer *p, const char *a, const char *b)
{
	print(p, a, strlen(a));
	print(p, b, strlen(b));
}

/* One address that the one in question leads to. */
static void
print_expansion(void *arg, unsigned reply, const char *text, size_t len)
{
	static const char deliverable[] = "... deliverable: mailer frank\n";
	struct verifier *v = arg;

	if (reply != REPLY_EXPN)
		return;
	v->expanded = true;
	if (len != strlen(v->address) || strncmp(text, v->address, len) != 0) {
		print_words(v->printer, v->address, "... aliased to ");
		print(v->printer, text, len);
		print(v->printer, "\n", 1);
	}
	print(v->printer, text, len);
	print(v->printer, deliverable, strlen(deliverable));
}

static int
verify_one(struct printer *p, const struct places *where, const char *sender, const char *address)
{
	struct verifier v = {.printer = p, .address = address};
	struct session s = {.line = print_expansion, .arg = &v};
	struct buf question = BUF_INIT(4096);
	int r;

	(void)buf_append_str(&question, "EHLO localhost\r\nMAIL FROM:<");
	(void)buf_append_str(&question, sender != NULL ? sender : "");
	(void)buf_append_str(
	    &question, sender != NULL ? ">\r\nRCPT TO:<" : "> XCALLER\r\nRCPT TO:<");
	(void)buf_append_str(&question, address);
	(void)buf_append_str(&question, ">\r\nEXPN <");
	(void)buf_append_str(&question, address);
	(void)buf_append_str(&question, ">\r\nRSET\r\nQUIT\r\n");
	r = question.failed ? -ENOMEM : ask(&s, where, question.data, START_PATIENCE);
	if (r == 0)
		r = session_wait(&s, REPLY_EXPN + 1);
	session_close(&s);
	buf_free(&question);
	if (r < 0) {
		say("the mail system is down (", strerror(-r), "); start frankd");
		return EX_TEMPFAIL;
	}
	if (s.refusal == 0 || s.refused == REPLY_EXPN) {
		if (!v.expanded)
			print_words(p, address, "... deliverable: mailer frank\n");
		return EX_OK;
	}
	print_words(p, address, "... ");
	print_words(p, s.text, "\n");
	return session_exit_status(s.refusal, s.enhanced);
}

int
mode_verify(const struct options *o, const struct places *where, const struct recipients *to,
    const char *sender)
{
	struct printer p = {0};
	const char *address;
	size_t at = 0;
	int status = EX_OK;

	if (to->count == 0) {
		if (!o->quiet)
			say("no address to verify");
		return EX_USAGE;
	}
	while ((address = recipients_next(to, &at)) != NULL) {
		int one = verify_one(&p, where, sender, address);

		if (status == EX_OK)
			status = one;
	}
	flush(&p);
	return p.error < 0 ? EX_IOERR : status;
}
