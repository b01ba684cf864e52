/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * shim.h: sendmail, as programs call it: arguments and standard input turned into SMTP on Frank's
 * Unix socket.
 *
 * The program holds no rights, reads no configuration and asks no name service: who is calling,
 * what may be sent and how the message is completed is decided behind the socket. It links libc and
 * a few files of base, statically, and uses neither stdio nor locale, since starting it is most of
 * its work.
 */
#ifndef FRANK_SHIM_SHIM_H
#define FRANK_SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/smtp/smtp.h"

/* ---- options.c: the argument vector ---- */

enum shim_mode {
	MODE_DELIVER, /* -bm */
	MODE_SMTP,    /* -bs */
	MODE_LIST,    /* -bp, mailq */
	MODE_ALIASES, /* -bi, -I, newaliases */
	MODE_FLUSH,   /* -q */
	MODE_VERIFY,  /* -bv, -bt */
	MODE_DAEMON,  /* -bd, -bD */
	MODE_NOTHING, /* -bh, -bH */
	MODE_VERSION, /* -bV */
};

struct shim_options {
	enum shim_mode mode;
	bool extract;          /* -t: recipients from the header */
	bool ignore_dots;      /* -i: a line of one dot is text */
	bool quiet;            /* -oeq: say nothing, the exit status is enough */
	const char *sender;    /* -f, -r as given, "" for the null sender; NULL: not given */
	const char *full_name; /* -F; NULL: not given */
	const char *body;      /* "8BITMIME" or "7BIT"; NULL: not given */
	unsigned notify;       /* enum smtp_notify; 0: not given */
	enum smtp_ret ret;
	bool require_tls;  /* -O RequireTLS=yes */
	const char *envid; /* -V as given; NULL: not given */
	char **recipients; /* the words that are no options: within argv */
	size_t recipient_count;
	/* what is wrong, when options_parse says so */
	const char *wrong;
	char wrong_word[32]; /* the option's name; "" where `wrong` has it */
};

/*
 * Reads the options of Sendmail 8, and Postfix's and Exim's common ones; what has no meaning here
 * is accepted and ignored, and no word is ever taken for the name of a file to open. Options may
 * stand behind recipients. argv is reordered: the recipients come first. The strings of *ret point
 * into argv.
 *
 * Returns 0, or EX_USAGE with ret->wrong set.
 */
int options_parse(int argc, char **argv, struct shim_options *ret);

/* ---- recipients.c: a set of addresses, in the order in which they came ---- */

enum { RECIPIENTS_BYTES_MAX = 16 * 1024 * 1024 };

struct recipients {
	struct buf text; /* each followed by a NUL */
	size_t count;
	size_t *slots; /* hash table of offsets into text, plus one; 0: free */
	size_t slot_count;
};

#define RECIPIENTS_INIT                                \
	{                                              \
		.text = BUF_INIT(RECIPIENTS_BYTES_MAX) \
	}

/* Adds the mailboxes of an RFC 5322 list that are not there yet (address_equal). 0, -EBADMSG for
 * what is no address, -ENOMEM or -ENOBUFS. */
int recipients_add_list(struct recipients *r, const char *list, size_t len);
/* Adds those of To, Cc and Bcc of a header section, or of their Resent- counterparts where there is
 * one of these (RFC 5322 section 3.6.6). Same results; with -EBADMSG *ret_field names the field. */
int recipients_add_header(
    struct recipients *r, const char *header, size_t len, const char **ret_field);
/* The address at an offset that starts with 0, and the offset of the next; NULL at the end. */
const char *recipients_next(const struct recipients *r, size_t *at);
void recipients_free(struct recipients *r);

/* ---- overflow.c: a private file for what does not fit into memory ---- */

/* Zero-initialised it is empty. */
struct overflow {
	int fd;         /* where size > 0 and it is not mapped */
	char *mapped;   /* the file, where its descriptor was given up; else NULL */
	unsigned tried; /* places, the one in use included; 0: nothing was written yet */
	uint64_t size;  /* octets that were written */
};

/* Appends all of it. 0, or -ENOSPC where no place has room: what was there before stays. */
int overflow_write(struct overflow *o, const char *bytes, size_t len);
/* Gives all of it to `take`, in pieces of at most INPUT_CHUNK octets, until that returns other than
 * 0. Returns what `take` did, or negative errno where the file cannot be read. */
int overflow_read(
    const struct overflow *o, int (*take)(void *arg, const char *bytes, size_t len), void *arg);
/* Gives the descriptor up where it is the last that this process may have: the session needs one. Nothing
 * more is written then. */
void overflow_spare_descriptor(struct overflow *o);
void overflow_close(struct overflow *o);

/* ---- input.c: standard input, with the dots of the sendmail convention ---- */

enum { INPUT_CHUNK = 64 * 1024, INPUT_HEADER_MAX = 1024 * 1024 };

struct input {
	int fd;
	struct overflow overflow; /* content in front of `data` */
	bool unplaced;            /* no place has room for more of it: the rest stays in memory */
	char *data;               /* content that is ready: data[0..len) */
	size_t len;
	size_t held; /* octets behind `len` that wait for their line to go on: at most ".\r" */
	size_t cap;
	char *grown; /* data, once it was allocated */
	bool dots; /* a line of one dot ends the message, and ".." at the start of a line stands for
		      "." */
	bool at_line_start;
	bool begun; /* the first octets were read, and a line "From ..." of mbox files dropped */
	bool eof;
};

/* `first` is the caller's buffer of INPUT_CHUNK octets. */
void input_init(struct input *in, int fd, char *first, bool dots);
/* Reads, and makes the buffer larger, until the whole header section is in it: 0, -EMSGSIZE where
 * it passes INPUT_HEADER_MAX, another negative errno. *ret_len is the section's length. */
int input_fill_header(struct input *in, size_t *ret_len);
/* Reads to the end of the input: what the buffer does not hold goes in front of it, into `overflow`,
 * or where that has no room the buffer grows. 0; -EFBIG as soon as more than `max` octets are there,
 * after which it may be called again with more; another negative errno. */
int input_collect(struct input *in, uint64_t max);
/* Octets of content that are there. */
uint64_t input_size(const struct input *in);
void input_free(struct input *in);

/* ---- submit.c: one message, all the way to a promise ---- */

/* Where to go: from the environment, else what was built in. */
struct shim_places {
	const char *socket; /* FRANK_SUBMIT_SOCKET */
	const char *drop;   /* FRANK_DROP_DIR; NULL: none */
	const char
	    *config; /* of the daemon behind the built-in socket; NULL: another socket is used */
};

/* Does Frank wait for its first configuration? Then no daemon runs, and none is about to. */
bool submit_waits_for_config(const struct shim_places *where);

/* Hands in the message on `in`, and returns the exit status. */
int submit(const struct shim_options *o, const struct shim_places *where,
    const struct recipients *to, const char *sender, struct input *in);

/* ---- session.c: SMTP as a client of the Unix socket, pipelined ---- */

enum {
	SESSION_TEXT_MAX = 512,
	SESSION_READ = 4096,
	/* Milliseconds for the first reply, and for a place in the queue of a daemon that has more
	 * callers than it could greet. A daemon that works needs a few; one that systemd starts again
	 * and again never comes to it. */
	SESSION_GREETING_PATIENCE = 10 * 1000,
	/* From there to the last reply: the message goes to the disk before it is answered. */
	SESSION_REPLY_PATIENCE = 60 * 1000,
};

/*
 * Every wait is bounded: the greeting must be complete within SESSION_GREETING_PATIENCE of the first
 * wait for it, the last reply within `patience` of the first wait for it. Each bound is kept to a
 * factor of two, so that a session that waits once asks no clock.
 */
struct shim_session {
	int fd;
	unsigned patience; /* milliseconds; SESSION_REPLY_PATIENCE unless it is raised */
	unsigned waits;    /* since the session or, behind it, the greeting */
	uint64_t deadline; /* of what is awaited, of clock_ms(); 0: not known yet */
	unsigned replies;  /* complete replies so far: greeting, EHLO, ... */
	int refusal;       /* code of the first reply that is neither 2xx nor 3xx; 0: none */
	unsigned refused;  /* which reply that was, counted from 0 */
	bool closed;       /* the peer has closed, or the connection broke */
	char enhanced[12]; /* of the refusal */
	char text[SESSION_TEXT_MAX]; /* of the refusal, first line, printable */
	/* Called with each line of a positive reply: its number, the text behind the code. May be
	 * NULL. */
	void (*line)(void *arg, unsigned reply, const char *text, size_t len);
	void *arg;
	size_t held; /* of an incomplete line */
	char input[SESSION_READ];
};

/* Connects; while nobody listens it tries again for about `patience` milliseconds, and for at most
 * SESSION_GREETING_PATIENCE where there is no place in the queue. 0 with s->fd open, or negative
 * errno; -EAGAIN: no place. */
int session_open(struct shim_session *s, const char *path, unsigned patience);
/* Sends all of it, reading replies whenever they come; stops early when one is a refusal. 0,
 * -ECONNRESET, -ETIMEDOUT. */
int session_send(struct shim_session *s, const char *a, size_t a_len, const char *b, size_t b_len);
/* Waits until `replies` replies were read, one refuses, or the connection ends. 0, -ECONNRESET,
 * -ETIMEDOUT. */
int session_wait(struct shim_session *s, unsigned replies);
/* Has the peer read everything that was sent? */
bool session_is_read(const struct shim_session *s);
void session_close(struct shim_session *s);
/* Milliseconds of a clock that nobody sets. */
uint64_t clock_ms(void);

/* The exit status for a refusal. */
int session_exit_status(int code, const char *enhanced);

/* ---- drop.c: the directory for messages while the daemon is down ---- */

struct drop_file {
	int directory;
	int file;
	char name[64];
};

/* Begins a file for submission `id`. 0 or negative errno. */
int drop_open(struct drop_file *d, const char *directory, const char *id);
int drop_write(struct drop_file *d, const char *bytes, size_t len);
/* 0 once what was written is on the disk. */
int drop_sync(struct drop_file *d);
/* Behind drop_sync: 0 once the file is durable under its final name. Closes in any case, and leaves nothing behind on
 * an error. */
int drop_commit(struct drop_file *d);
void drop_abandon(struct drop_file *d);
/* Has the file system of this file so little room that the rest is to be left to the daemon? */
bool drop_disk_is_nearly_full(int fd);

/* ---- relay.c: -bs ---- */

int relay_smtp(const struct shim_places *where);

/* ---- modes.c: the other modes ---- */

int mode_list(const struct shim_places *where);
int mode_flush(const struct shim_places *where);
/* newaliases: what frankd says of the aliases file. */
int mode_aliases(const struct shim_options *o, const struct shim_places *where);
int mode_verify(const struct shim_options *o, const struct shim_places *where,
    const struct recipients *to, const char *sender);

/* ---- say.c ---- */

/* One line on standard error, "sendmail: " and the words; control characters become '?'. */
#define say(...) say_words((const char *const[]){__VA_ARGS__, NULL})
void say_words(const char *const *words);

#endif
