/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * modes.c: what sendmail does besides handing in one message and -bs.
 *
 * Each asks one question; the answers are lines of SMTP replies, by XFRANK LIST and XFRANK FLUSH or
 * by RCPT in a transaction that is never finished.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "shim/shim.h"

enum { START_PATIENCE = 2000 };

/* ---- questions ---- */

/* Opens a session and sends a question whose answer is reply number 2, behind the greeting and
 * EHLO. */
static int
ask(struct shim_session *s, const struct shim_places *where, const char *question,
    unsigned patience)
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
		p->error = io_write_all(STDOUT_FILENO, p->bytes, p->len);
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
mode_list(const struct shim_places *where)
{
	struct printer p = {0};
	struct shim_session s = {.line = print_listing, .arg = &p};
	int r = ask(&s, where, "EHLO localhost\r\nXFRANK LIST\r\nQUIT\r\n", START_PATIENCE);

	session_close(&s);
	flush(&p);
	if (r < 0 && submit_waits_for_config(where)) {
		say("queue report unavailable: Frank has no account yet; what was handed in is "
		    "kept: frank account add");
		return EX_UNAVAILABLE;
	}
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
mode_flush(const struct shim_places *where)
{
	struct shim_session s = {0};

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
mode_aliases(const struct shim_options *o, const struct shim_places *where)
{
	struct printer p = {0};
	struct shim_session s = {.line = print_listing, .arg = &p};
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

/* The exit status, or -1: the mail system is down. */
static int
verify_one(
    struct printer *p, const struct shim_places *where, const char *sender, const char *address)
{
	struct verifier v = {.printer = p, .address = address};
	struct shim_session s = {.line = print_expansion, .arg = &v};
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
		return -1;
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
mode_verify(const struct shim_options *o, const struct shim_places *where,
    const struct recipients *to, const char *sender)
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

		if (one < 0) {
			status = EX_TEMPFAIL;
			break;
		}
		if (status == EX_OK)
			status = one;
	}
	flush(&p);
	return p.error < 0 ? EX_IOERR : status;
}
