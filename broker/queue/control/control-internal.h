/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * control-internal.h: a client of control.sock as its parts see it. Private to control*.c.
 *
 *   control.c      clients, and the steps of an answer
 *   control-row.c  what is told of messages, accounts and services, a row at a time
 *   control-ask.c  what each request asks for, and who may
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_CONTROL_INTERNAL_H
#define FRANK_BROKER_QUEUE_CONTROL_CONTROL_INTERNAL_H

#include "broker/queue/control/action.h"
#include "broker/queue/queue.h"
#include "broker/role/places.h"

enum cursor_kind {
	CURSOR_NONE,
	CURSOR_LIST,
	CURSOR_SHOW,
	CURSOR_PROBLEMS,
	CURSOR_ACCOUNTS,
	CURSOR_SERVICES,
	CURSOR_EXPLAIN,
	/* answered by others */
	CURSOR_ACTION,
	CURSOR_RELOAD,
	CURSOR_CHECK,
	CURSOR_FIND /* `account` is the domain */
};

struct client {
	struct place place;
	struct scan scan;
	struct client *next;
	struct control *control;
	struct channel *channel;
	struct caller_peer peer;
	unsigned rights; /* enum caller_right */
	/* the request being answered */
	enum cursor_kind kind;
	uint64_t ids[SCAN_MESSAGES]; /* CURSOR_LIST: of this part of it; CURSOR_SHOW: the one */
	uint64_t after;              /* CURSOR_LIST: what was looked at; UINT64_MAX: all */
	size_t count, at;
	size_t row; /* of the message at `at`: 0 itself, then its recipients, then its attempts */
	uint64_t most, sent;
	int64_t before;          /* filter */
	char *account, *service; /* filters */
	struct action_walk *action;
	uint64_t reload;
	struct check *check;
	struct policy_caller who; /* CURSOR_EXPLAIN: the rules are for this one, */
	uint32_t *who_groups;
	char *who_socket, *sender, *recipient; /* and the decision for these */
	size_t matched;
};

struct control {
	struct queue *q;
	struct event *readable;
	struct client *clients;
	struct client_places places;
	uint64_t reloads;
	int fd;
};

/* ---- control.c ---- */

/* The last packet of an answer: 0, or -EAGAIN where it has to be sent again when there is room.
 * `error` and `text` may be NULL; `status` is an exit code. */
int control_send_done(struct client *c, const char *error, int status, const char *text);
/* The request is over, and the next one may come. */
void control_end(struct client *c);
/* Answers so, and ends the request. */
void control_fail(struct client *c, const char *error, int status);
/* All rows of a cursor are sent. */
void control_finish(struct client *c);
void control_forget_explanation(struct client *c);

/* ---- control-row.c: 0 when sent, -EAGAIN when the channel is full, or negative errno ---- */

/* The rows of the message at the cursor, from c->row on. */
int control_rows_of_message(struct client *c);
/* The account or service at the cursor. */
int control_row_of_status(struct client *c);
/* A rule for each service, then the decision. */
int control_row_of_explanation(struct client *c);
/* spool_event_visit; `arg` is the client. */
int control_row_event(void *arg, const struct spool_event *e);
/* Does it administer? */
bool control_is_admin(const struct client *c);
/* The messages that the client may see and act on. */
struct mail_owner control_owner(const struct client *c);
/* May this client see the account? */
bool control_sees_account(const struct client *c, const struct queue_account *a);

/* ---- control-ask.c ---- */

/* Begins to answer, or answers. */
void control_ask(struct client *c, const struct message *m);

#endif
