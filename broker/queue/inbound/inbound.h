/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbound.h: how mail gets in: sockets, listeners and the drop directory; who calls; what a caller may
 * do and take; one SMTP session.
 *
 *   inbound.c         the part: configuration, sockets, its end
 *   connection.c      the submit sockets and the listeners
 *   handover.c        connections go to the role that ends TLS, and come back
 *   drop.c            the drop directory; drop-file.c: the format of its files
 *   returned.c        mail of the drop directory that is refused
 *   submission.c      one SMTP session, whatever carries it
 *   authentication.c  AUTH on a listener; login.c: what a client says; password.c: passwords of services
 *   envelope.c        the recipients of a message that is handed in, each once
 *   body.c            where a message lies while it is handed in
 *   store.c           its way to the disk
 *   newaliases.c      main reads the aliases file anew
 *   usage.c           what one caller may take of all this at once
 *   entrance.c        who a caller is, and what it may do
 *
 * A message goes from a session (submission.c) to store.c, which commits it; the session answers 250
 * after that. Of what becomes of the message then, inbound knows only its ops.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_INBOUND_H
#define FRANK_BROKER_QUEUE_INBOUND_INBOUND_H

#include "broker/queue/accounts/mail-owner.h"
#include "broker/queue/accounts/service.h"
#include "broker/queue/spool/commit.h"
#include "broker/queue/spool/space.h"
#include "broker/role/role.h"

/* What happens to the drop directory, for people. */
enum inbound_happening {
	INBOUND_REFUSED, /* mail was refused after it was taken */
	INBOUND_ASIDE,   /* a file holds no message */
};

/* What inbound needs of the parts that send mail and that people ask. */
struct inbound_ops {
	/* A message is about to be stored: may it be sent at once? Then its recipients become SENDING, `m`
	 * is taken (it stays readable until keep_promise), and the result is not NULL. NULL: the message
	 * waits in the spool. */
	void *(*promise)(void *arg, struct queue_account *a, struct spool_message *m);
	/* What was promised is on disk and is sent now, or (`stored` false) it is forgotten. */
	void (*keep_promise)(void *arg, void *promise, bool stored);
	/* A message that waits in the spool is to be tried at `next`. */
	void (*wait)(void *arg, struct queue_account *a, const char *service, int64_t next);
	/* The message is stored, within the transaction: its event. 0 or negative errno. */
	int (*stored)(void *arg, const struct spool_message *m);
	/* What became of all its recipients, likewise. */
	int (*settled)(void *arg, const struct spool_message *m);
	/* A caller's message is refused. Texts may be NULL. */
	void (*rejected)(void *arg, const char *service, const char *sender, const char *recipient,
	    int code, const char *enhanced, const char *words);
	/* A captured message is on disk. */
	void (*captured)(void *arg, uint64_t id);
	/* What becomes of a recipient that is refused for good: BOUNCED or FAILED. */
	enum spool_state (*refused_state)(
	    void *arg, const struct spool_message *m, const struct spool_recipient *r);
	/* Does somebody get a report that this recipient is refused? */
	bool (*is_report_wanted)(
	    void *arg, const struct spool_message *m, const struct spool_recipient *r);
	/* That report on recipients of `m` (indices in `which`), ready to be stored; the caller frees.
	 * NULL: none is to be made, or memory is out. */
	struct spool_message *(*make_report)(void *arg, const struct queue_account *a,
	    const struct spool_message *m, const size_t *which, size_t count);
	/* No report uses more of the original than so many octets from its beginning. */
	size_t original_max;
	/* Something happened that people should know; `kind` is the event's (frank.conf(5), notify). `id` 0:
	 * to no message. */
	void (*happened)(void *arg, enum inbound_happening what, const char *kind, uint64_t id,
	    const char *text, const char *next);
	/* XFRANK LIST: writes what mailq prints to `out` in steps; then `done`, never from within this call,
	 * with false where memory or the disk failed. NULL: no memory. */
	void *(*list)(void *arg, const struct mail_owner *owner, struct buf *out,
	    void (*done)(void *done_arg, bool good), void *done_arg);
	/* Frees the list, also while it is being made. */
	void (*free_list)(void *arg, void *list);
	/* XFRANK FLUSH: what may be tried is tried now; `by` is the uid that asks, for the log. */
	void (*flush)(void *arg, const struct mail_owner *owner, uint32_t by);
};

/* What inbound stands on, borrowed for good. */
struct inbound_deps {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct commit *commit;
	struct space *space;
	const struct clock *clock;
	struct users *users;
	struct log_limit *log; /* lines that callers cause */
	const struct queue_accounts *accounts;
	const struct services *services;
	const struct inbound_ops *ops;
	void *ops_arg;
};

/* Of this folder's files alone; others use the functions below. */
struct inbound {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct commit *commit;
	struct space *space;
	const struct clock *clock;
	struct users *users;
	struct log_limit *log;
	const struct queue_accounts *accounts;
	const struct services *services;
	const struct inbound_ops *ops;
	void *ops_arg;

	const struct queue_settings *settings; /* in force; NULL: none yet */
	struct usages *usages;
	struct connections *connections;
	struct handover *handover;
	struct newaliases *newaliases;
	struct drop *drop;          /* NULL: there is no drop directory */
	struct rate_limit returned; /* mail returned for callers that no service is for */
	int diag;                   /* netlink socket for peer-uid.h, or -1 */
	uint64_t refused;           /* since the role began, of callers that no service is for */
	bool stopping;
};

/* `drop` is the drop directory, or -1. NULL: no memory. */
struct inbound *inbound_new(const struct inbound_deps *deps, int drop);
/* A configuration is in force, and its accounts and services are taken: `s` is borrowed until the next
 * one is. */
void inbound_configure(struct inbound *in, const struct queue_settings *s);
/* Takes a socket of main: "submit" (`of`: the service whose own it is, or NULL), "listener" (`of`: its
 * name) or "sock-diag". 0; -ENOENT where the name is none of these and the socket still the caller's;
 * another negative errno. */
int inbound_listen(struct inbound *in, const char *name, const char *of, int fd);
/* TLS_BEGUN and TLS_FAILED (fd is taken), ALIASES_RESULT; the role that ends TLS came or went. */
void inbound_tls_answer(struct inbound *in, const struct message *m, int fd);
void inbound_aliases_result(struct inbound *in, const struct message *m);
void inbound_tls_peer(struct inbound *in, bool up);
/* Takes nothing more; those in the midst of a message may finish. */
void inbound_stop(struct inbound *in);
/* How many connections there are. */
size_t inbound_connections(const struct inbound *in);
/* How many files in the drop directory are not taken in. */
size_t inbound_aside(const struct inbound *in);
/* How many messages of callers that no service is for were refused since the role began. */
uint64_t inbound_refused(const struct inbound *in);

#endif
