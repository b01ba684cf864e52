/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* client.c: see client.h. */
#include "broker/keeper/clients/client.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "broker/role/log-limit.h"
#include "broker/role/places.h"

enum { SENTENCE_MAX = 8 * 1024 };

/* Idle for longer than an attempt to sign in may take. */
static const struct places_config places_config = {
    .most = 512, .kept = 64, .most_each = 64, .idle_seconds = 15 * 60};

struct client {
	struct place place; /* first: places.h */
	LIST_ENTRY(client) entry;
	struct clients *all;
	struct channel *channel;
	struct caller_peer peer;
	unsigned rights; /* enum caller_right */
	enum { IDLE, WORKING, READING } state;
};

struct clients {
	struct role *role;
	const struct clients_ops *ops;
	LIST_HEAD(, client) list;
	struct client_places places;
	struct users *users;
	struct log_limit *log; /* lines that clients cause */
	struct event *listener;
	int listen_fd;
	uint64_t admin_gid;
};

/* ---- one client ---- */

void *
client_ops_arg(const struct client *c)
{
	return c->all->ops->arg;
}

const struct caller_peer *
client_peer(const struct client *c)
{
	return &c->peer;
}

bool
client_may(const struct client *c, enum caller_right right)
{
	return (c->rights & right) != 0;
}

bool
client_is_admin(const struct client *c)
{
	return client_may(c, CALLER_MAY_ADMINISTER);
}

int
client_send(struct client *c, struct message *m)
{
	return channel_send(c->channel, m, -1);
}

void
client_occupy(struct client *c)
{
	c->state = WORKING;
	channel_pause(c->channel, true);
}

void
client_occupy_reading(struct client *c)
{
	client_occupy(c);
	c->state = READING;
}

void
client_release(struct client *c)
{
	c->state = IDLE;
	channel_pause(c->channel, false);
}

static void
put_text(struct message *m, enum field f, const char *text)
{
	if (text != NULL && *text != '\0')
		message_put_str(m, f, text);
}

void
client_done(struct client *c, int exit, const char *next, const char *format, ...)
{
	struct buf sentence CLEANUP_BUF = BUF_INIT(SENTENCE_MAX);
	struct message *m = message_new(M_KEEPER_DONE);
	va_list ap;

	va_start(ap, format);
	if (format != NULL)
		(void)buf_vprintf(&sentence, format, ap);
	va_end(ap);
	if (exit == 0) {
		put_text(m, F_TEXT, buf_str(&sentence));
	} else {
		message_put_str(
		    m, F_ERROR, sentence.failed ? "Memory ran out." : buf_str(&sentence));
		message_put_u64(m, F_EXIT, (uint64_t)exit);
	}
	put_text(m, F_NEXT, next);
	(void)client_send(c, m);
	client_release(c);
}

void
client_done_warned(struct client *c, const char *text, const char *warning)
{
	struct message *m = message_new(M_KEEPER_DONE);

	put_text(m, F_TEXT, text);
	put_text(m, F_WARNING, warning);
	(void)client_send(c, m);
	client_release(c);
}

void
client_done_memory(struct client *c)
{
	client_done(c, EX_TEMPFAIL, NULL, "Memory ran out.");
}

void
client_log(const struct client *c, const char *sentence, const struct log_pair *pairs)
{
	char who[LOG_LIMIT_WHO_MAX];

	if (client_is_admin(c)) {
		log_line(LOG_LEVEL_INFO, sentence, pairs);
		return;
	}
	users_name_bucket(place_bucket(&c->place), who, sizeof(who));
	log_limited(c->all->log, who, LOG_LEVEL_INFO, sentence, pairs);
}

const char *
client_uid_text(const struct client *c, char room[CLIENT_UID_TEXT])
{
	(void)snprintf(room, CLIENT_UID_TEXT, "%u", (unsigned)c->peer.uid);
	return room;
}

/* ---- coming and going ---- */

static void
client_free(struct client *c)
{
	LIST_REMOVE(c, entry);
	c->all->ops->gone(c->all->ops->arg, c);
	place_leave(&c->place);
	(void)channel_free(c->channel);
	free(c->peer.groups);
	free(c);
}

static void
on_message(void *arg, struct channel *channel, const struct message *m, int fd)
{
	struct client *c = arg;

	place_touch(&c->place);
	c->all->ops->message(c->all->ops->arg, c, m, fd);
}

static void
on_closed(void *arg, struct channel *channel)
{
	client_free(arg);
}

static void
on_writable(void *arg, struct channel *channel)
{
	struct client *c = arg;

	place_touch(&c->place);
	c->all->ops->writable(c->all->ops->arg, c);
}

static bool
place_is_idle(const struct place *p)
{
	const struct client *c = (const struct client *)p;

	return c->state != WORKING;
}

static void
place_end(struct place *p)
{
	client_free((struct client *)p);
}

static void
find_out_rights(struct client *c)
{
	c->rights =
	    caller_rights(CALLER_KEEPER, caller_kind(&c->peer, getuid(), c->all->admin_gid));
}

static void
take_client(struct clients *cs, int fd)
{
	static const struct channel_ops ops = {
	    .message = on_message, .closed = on_closed, .writable = on_writable};
	struct client *c = calloc(1, sizeof(*c));
	int taken CLEANUP_CLOSE = fd;

	if (c == NULL)
		return;
	c->all = cs;
	if (caller_peer_of(taken, &c->peer) == 0) {
		find_out_rights(c);
		if (place_take(&cs->places, &c->place, role_base(cs->role), c->peer.uid, c->rights))
			c->channel = channel_new(
			    role_base(cs->role), TAKE_FD(taken), ROLE_KEEPER, ROLE_CLIENT, &ops, c);
	}
	if (c->channel == NULL) {
		place_leave(&c->place);
		free(c->peer.groups);
		free(c);
		return;
	}
	LIST_INSERT_HEAD(&cs->list, c, entry);
}

static void
on_accept(evutil_socket_t sock, short what, void *arg)
{
	int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		take_client(arg, fd);
}

void
clients_listen(struct clients *cs, int fd)
{
	static const struct places_ops ops = {place_is_idle, place_end};
	int taken CLEANUP_CLOSE = fd;

	if (cs->users != NULL)
		return; /* it listens, or did */
	cs->users = users_new(role_main_channel(cs->role));
	cs->log = log_limit_new(role_base(cs->role));
	if (cs->users == NULL || cs->log == NULL) {
		log_error("keeper.sock cannot be served.");
		return;
	}
	places_init(&cs->places, cs->users, &places_config, &ops);
	(void)evutil_make_socket_nonblocking(taken);
	cs->listener = event_new(role_base(cs->role), taken, EV_READ | EV_PERSIST, on_accept, cs);
	if (cs->listener == NULL || event_add(cs->listener, NULL) < 0)
		log_error("keeper.sock cannot be served.");
	else
		cs->listen_fd = TAKE_FD(taken);
}

void
clients_user_answer(struct clients *cs, const struct message *m)
{
	if (cs->users != NULL)
		users_answer(cs->users, m);
}

void
clients_set_admin_group(struct clients *cs, uint64_t gid)
{
	struct client *c;

	cs->admin_gid = gid;
	LIST_FOREACH (c, &cs->list, entry)
		find_out_rights(c);
}

struct clients *
clients_new(struct role *role, const struct clients_ops *ops)
{
	struct clients *cs = calloc(1, sizeof(*cs));

	if (cs != NULL)
		*cs = (struct clients){
		    .role = role, .ops = ops, .listen_fd = -1, .admin_gid = CALLER_NO_GROUP};
	return cs;
}

void
clients_close(struct clients *cs)
{
	if (cs->listener != NULL)
		event_free(cs->listener);
	cs->listener = NULL;
	if (cs->listen_fd >= 0)
		(void)close(cs->listen_fd);
	cs->listen_fd = -1;
	while (!LIST_EMPTY(&cs->list))
		client_free(LIST_FIRST(&cs->list));
	if (cs->log != NULL)
		log_limit_flush(cs->log); /* the role may end without clients_free */
}

struct clients *
clients_free(struct clients *cs)
{
	if (cs == NULL)
		return NULL;
	clients_close(cs);
	(void)users_free(cs->users);
	(void)log_limit_free(cs->log);
	free(cs);
	return NULL;
}
