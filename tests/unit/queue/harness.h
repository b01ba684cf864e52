/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * harness.h: the queue role as a process of its own, confined as always, with main, keeper and send
 * played by the test over socketpairs. Everything lies in a folder below /tmp. Callers are whom the
 * test says (tests/unit/identity.h), so that it needs no root, and the role's wall clock can be set.
 */
#ifndef FRANK_TESTS_QUEUE_HARNESS_H
#define FRANK_TESTS_QUEUE_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/smtp/smtp.h"
#include "broker/ipc/message.h"

struct harness {
	char dir[64];
	pid_t pid;
	int to_main, keeper, send; /* our ends; -1: closed */
	int submit, control;       /* listening sockets */
	int dirs[3];               /* state, bodies, drop */
	uint64_t generation;
	bool send_wanted; /* NEED_ROLE came */
	bool tls_wanted;
	int listener;             /* its socket; -1: there is none */
	const char *listener_tls; /* none | starttls | implicit */
	bool notify;              /* people are told, by a command, at once and daily */
	unsigned told;            /* how often the command was run */
	uint64_t command_status;
	unsigned lent; /* accounts lent, by the keeper's books */
	/* what the configuration says */
	const char *local_domain; /* NULL: none */
	const char *service, *from_policy, *mode, *in_doubt, *senders;
	const char *host; /* that the account submits to, port 587 */
	unsigned rate, account_rate, lifetime, history_days;
	unsigned keep_captured, captured_max; /* seconds; messages */
	const char *deliver_to;               /* NULL: nobody */
	unsigned user_rate, user_in_flight;   /* 0: the default */
	uid_t only_user;                      /* whom the service is for; 0: for everybody */
};

/* What a server says. */
extern const struct smtp_reply harness_ok, harness_later, harness_never, harness_bad_login;

/* Around a cmocka test, whose state is a struct harness that is not started yet. */
int harness_setup(void **state);
int harness_teardown(void **state);
#define HARNESS_TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

/* The role's timers run so many times faster: 1. Before harness_start. */
extern int harness_hurry;

/* Sets the wall clock that the role sees so many seconds ahead of the system's. */
void harness_set_clock(int64_t seconds);

/* Makes the folder and the sockets. Settings may be changed before harness_start. */
void harness_init(struct harness *h);
void harness_start(struct harness *h);
/* kill -9, and waits. */
void harness_kill(struct harness *h);
/* SHUTDOWN; returns the exit status. */
int harness_stop(struct harness *h);
void harness_free(struct harness *h);

/* Sends a configuration: account "acct" (box@example.com), service "svc" for everybody. */
void harness_configure(struct harness *h);
/* Gives the role its send, as main does when it is asked. */
void harness_give_send(struct harness *h);
/* Gives it the role that ends TLS: our end, which the caller closes. */
int harness_give_tls(struct harness *h);
/* Adds a listener on loopback. Before harness_start. */
void harness_add_listener(struct harness *h, const char *tls);
/* Acts as main and keeper for so many milliseconds. */
void harness_serve(struct harness *h, int ms);

/* Hands `bytes` to the submit socket as `uid` and collects all replies up to the end, acting as
 * main meanwhile. The caller frees. */
char *harness_submit(struct harness *h, uid_t uid, const char *bytes, size_t len);
/* A connection to the submit socket as `uid`: what goes there is the test's business. */
int harness_connect(struct harness *h, uid_t uid);
/* A connection to the listener. */
int harness_connect_listener(struct harness *h);
/* Acts as main and keeper until `fd` can be read: false after `ms` milliseconds. */
bool harness_wait(struct harness *h, int fd, int ms);
/* A connection to the control socket. */
int harness_connect_control(struct harness *h, uid_t uid);
/* All replies up to the end, acting as main meanwhile; closes it. The caller frees. */
char *harness_replies(struct harness *h, int fd);
/* One message of that kind, through ESMTP with BDAT; `mail` are parameters of MAIL. Returns the
 * code of the first refusal, else of the last reply but QUIT's. */
int harness_mail(struct harness *h, const char *mail, const char *recipients, const char *text);

/* The next JOB, or NULL within `ms`; *ret_fd may be NULL. */
struct message *harness_job(struct harness *h, int ms, int *ret_fd);
/* Answers it, the same for all recipients. */
void harness_job_done(struct harness *h, const struct message *job, const struct smtp_reply *r);

/* Asks control.sock as `uid`; calls `row` for each packet up to QUEUE_DONE, which is returned. */
struct message *harness_ask(struct harness *h, uid_t uid, struct message *request,
    void (*row)(void *arg, const struct message *m), void *arg);

/* Tells an account's state as the keeper does. */
void harness_account_state(struct harness *h, const char *state);

#endif
