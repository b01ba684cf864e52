/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission.h: the submission server: STARTTLS on one port, TLS from the first octet on another.
 *
 * Frank's own server engine speaks the protocol; here are the sockets, TLS, sign-in and what is
 * done with a message: it goes to the Maildir of each recipient, whatever the domain, with a trace
 * of the mechanism that was used.
 */
#ifndef FRANK_SANDBOX_SUBMISSION_H
#define FRANK_SANDBOX_SUBMISSION_H

#include "sandbox/sandbox.h"

struct submission_server;

/* Begins to serve on two ports (0: a free one, which is stored there). NULL: *ret_error is a
 * negative errno. */
struct submission_server *submission_start(
    struct sandbox *s, unsigned *starttls_port, unsigned *implicit_port, int *ret_error);
/* Closes the sockets and every session. Takes and returns NULL. */
struct submission_server *submission_stop(struct submission_server *s);

#endif
