/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * post.h: the post role: jobs from queue, credentials from keeper, mail to the HTTP APIs of
 * providers, and events to webhooks.
 *
 * Every JOB is answered by one JOB_DONE, every WEBHOOK by one WEBHOOK_DONE, in any order. A request
 * is made once, and once more with a newer token where the first was refused as such (401). Whether
 * and when a message is tried again is queue's to decide.
 *
 * The role without its channels: its owner hands it messages and takes those that it sends (main.c in the program, a
 * double in the tests).
 */
#ifndef FRANK_BROKER_HTTPS_POST_H
#define FRANK_BROKER_HTTPS_POST_H

#include <event2/event.h>

#include "broker/ipc/transport.h"

struct post;

/* `ops` is borrowed for good. NULL with errno. */
struct post *post_new(struct event_base *base, const struct transport_ops *ops, void *arg);
/* Drops whatever is running, unanswered. Takes NULL; returns NULL. */
struct post *post_free(struct post *p);

/* CONF_*, JOB, WEBHOOK, CREDENTIAL, CREDENTIAL_FAILED; others are passed over. `fd` (-1: none) is
 * taken. */
void post_message(struct post *p, const struct message *m, int fd);

/* The keeper is there: sends what it could not be asked. Or it is gone: open requests fail, to be tried later. */
void post_keeper_up(struct post *p, bool up);

/* Begins no more; answers waiting jobs as untried; gives requests on their way up to three
 * seconds, then answers them as what they are: in doubt where all of a message went out. */
void post_shut_down(struct post *p);

#endif
