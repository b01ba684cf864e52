/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * send.h: the send role: jobs from queue, credentials from keeper, sessions to submission servers.
 *
 * Knows no channel: whoever owns it hands it messages and takes its own (main.c in the program, a
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

/* The keeper is there, or gone: what it was asked and has not answered fails for now. */
void send_keeper_up(struct send *s, bool up);

/* Begins no more; answers waiting jobs as untried; gives those on their way up to three seconds. */
void send_shut_down(struct send *s);

/* The process ends now: idle servers are told, and nothing is waited for. */
void send_hang_up(struct send *s);

#endif
