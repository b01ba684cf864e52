/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbox-server.h: the sandbox's inbox: its index, and its API over plain HTTP on a loopback port, where Mailpit's clients expect it.
 */
#ifndef FRANK_SANDBOX_INBOX_SERVER_H
#define FRANK_SANDBOX_INBOX_SERVER_H

#include "inbox/inbox.h"
#include "sandbox/sandbox.h"

enum { INBOX_ALLOW_MAX = 32, INBOX_HOSTS_MAX = 16 };

struct inbox_server_options {
	const char *index;               /* path of its file */
	unsigned port;                   /* 0: a free one, which is set */
	unsigned keep;                   /* messages; 0: all */
	const unsigned *submission_port; /* borrowed: known later */
	const char *release_command;     /* NULL: nothing is released */
	const char *release_allow[INBOX_ALLOW_MAX];
	size_t release_allow_count;
	const char *hosts[INBOX_HOSTS_MAX]; /* further names that a client may call it by */
	size_t host_count;
	struct secret *login; /* "user:password" that requests must have; NULL: none */
};

struct inbox_server;

/* Opens the inbox of `s->mail` and serves it. `o` is borrowed while it runs. NULL: *ret_error is a negative errno. */
struct inbox_server *inbox_server_start(
    struct sandbox *s, struct inbox_server_options *o, int *ret_error);
/* Takes and returns NULL. */
struct inbox_server *inbox_server_stop(struct inbox_server *i);

/* Takes a message that is in its Maildirs; what one turn of the loop brings is stored together. One that the index does not take is logged, and
 * found when it is next opened. */
void inbox_server_take(struct inbox_server *i, const struct inbox_arrival *a);

#endif
