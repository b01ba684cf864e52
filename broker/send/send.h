/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * send.h: the send role: jobs from queue, credentials from keeper, sessions to submission servers.
 *
 * The role without its channels: its owner hands it messages and takes those that it sends (main.c in the program, a
 * double in the tests).
 */
#ifndef FRANK_BROKER_SEND_SEND_H
#define FRANK_BROKER_SEND_SEND_H

#include "broker/send/env.h"

struct send;

/* `ops` is borrowed for good. NULL with errno. */
struct send *send_new(struct event_base *base, const struct transport_ops *ops, void *arg);

/* Closes sessions as they stand; jobs get no answer. Takes NULL; returns NULL. */
struct send *send_free(struct send *s);

/* CONF_*, JOB, CHECK_RUN, CHECK_CANCEL, LOOKUP, CREDENTIAL, CREDENTIAL_FAILED; others are passed
 * over. `fd` (-1: none) is taken. */
void send_message(struct send *s, const struct message *m, int fd);

/* The keeper is there: sends what it could not be asked. Or it is gone: open requests fail, to be tried later. */
void send_keeper_up(struct send *s, bool up);

/* Starts nothing new: answers waiting jobs as untried, gives those on their way three seconds, then calls `idle`. */
void send_shut_down(struct send *s);

/* The process ends now: says QUIT to servers that stand idle, and waits for nothing. */
void send_hang_up(struct send *s);

#endif
