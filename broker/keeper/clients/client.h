/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client.h: keeper.sock and whoever is connected there: `frank` and programs like it.
 *
 * The kernel says who calls; caller.h says what that allows. A client asks one thing at a time: while
 * one is under way its channel is not read. Each question ends with KEEPER_DONE, or with a message that
 * leaves the next step to the client.
 */
#ifndef FRANK_BROKER_KEEPER_CLIENTS_CLIENT_H
#define FRANK_BROKER_KEEPER_CLIENTS_CLIENT_H

#include "base/buf.h"
#include "base/log.h"
#include "broker/role/caller.h"
#include "broker/role/role.h"

struct clients;
struct client;

/* What the clients need of the part above. `c` may be ended from within. */
struct clients_ops {
	/* A message of a client that has nothing under way. `fd` is taken; -1: none. */
	void (*message)(void *arg, struct client *c, const struct message *m, int fd);
	/* The client is gone: whatever was begun for it goes on without it, or ends. */
	void (*gone)(void *arg, struct client *c);
	/* Its channel, which was full, has room again. */
	void (*writable)(void *arg, struct client *c);
	void *arg;
};

/* Everything is borrowed. NULL when memory is out. */
struct clients *clients_new(struct role *role, const struct clients_ops *ops);
/* Stops listening and ends every client. */
void clients_close(struct clients *cs);
/* The same, and frees. Takes NULL; returns NULL. */
struct clients *clients_free(struct clients *cs);
/* `fd` is a listening socket, taken. Main hands it over once. */
void clients_listen(struct clients *cs, int fd);
/* Main's answer about a user. */
void clients_user_answer(struct clients *cs, const struct message *m);
/* The group whose members are administrators, or CALLER_NO_GROUP; for those who are connected, too. */
void clients_set_admin_group(struct clients *cs, uint64_t gid);

/* ---- one client ---- */

/* The `arg` of clients_ops. */
void *client_ops_arg(const struct client *c);
const struct caller_peer *client_peer(const struct client *c);
bool client_may(const struct client *c, enum caller_right right);
bool client_is_admin(const struct client *c);
/* Sends; `m` is taken. 0; -EAGAIN where the channel is full: ops.writable comes; negative errno. */
int client_send(struct client *c, struct message *m);
/* What it asked takes a while: it is not read until client_done or client_release. */
void client_occupy(struct client *c);
/* Like client_occupy, and it is the client that is waited for: an idle one may be ended for another. */
void client_occupy_reading(struct client *c);
void client_release(struct client *c);
/*
 * KEEPER_DONE: the end of what was asked, in a sentence. `exit` is of sysexits.h; 0 is success. `next` says
 * what a person does next; NULL or "": nothing. `format` NULL: success without a sentence. What comes from
 * outside goes through text_plain first.
 */
void client_done(struct client *c, int exit, const char *next, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Success, about which a person should know something more ("" or NULL: nothing). */
void client_done_warned(struct client *c, const char *text, const char *warning);
void client_done_memory(struct client *c);
/* A line about what the client asks; few of them a minute where it is no administrator. */
void client_log(const struct client *c, const char *sentence, const struct log_pair *pairs);
/* The client's uid, for LOG_UID. */
enum { CLIENT_UID_TEXT = 24 };
const char *client_uid_text(const struct client *c, char room[CLIENT_UID_TEXT]);

#endif
