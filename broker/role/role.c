/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * role.c: see role.h.
 *
 * Descriptor 3 is the channel to main. Main sends LISTEN (directories and listening sockets), then
 * HELLO with the hash of its message table, then the configuration, then PEER. Directories are kept
 * for role_dir; HELLO confines, calls `start` and answers READY; listening sockets are kept back
 * until the first configuration is complete, so that nobody is served without one.
 *
 * A role ends when its channel to main closes; an on-demand role also when its user's does.
 */
#include "broker/role/role.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"

enum { MAIN_FD = 3, DIRS_MAX = 8 };

struct dir {
	char *name;
	int fd;
};

/* A listening socket that waits for the configuration. */
struct held_socket {
	char *name, *service;
	int fd;
};

struct role {
	const struct role_def *def;
	void *state;
	const char *state_path;
	struct event_base *base;
	struct channel *to_main;
	struct channel *peers[ROLE_COUNT];
	bool asked_for[ROLE_COUNT];
	struct dir dirs[DIRS_MAX];
	size_t dir_count;
	struct held_socket *held;
	size_t held_count;
	bool started, configured, failed;
	int status;
};

struct event_base *
role_base(const struct role *r)
{
	return r->base;
}

void *
role_state(const struct role *r)
{
	return r->state;
}

struct channel *
role_main_channel(const struct role *r)
{
	return r->to_main;
}

const char *
role_state_path(const struct role *r)
{
	return r->state_path;
}

int
role_dir(const struct role *r, const char *name)
{
	for (size_t i = 0; i < r->dir_count; i++)
		if (strcmp(r->dirs[i].name, name) == 0)
			return r->dirs[i].fd;
	return -1;
}

void
role_exit(struct role *r, int status)
{
	r->status = status;
	(void)event_base_loopbreak(r->base);
}

struct channel *
role_peer(const struct role *r, enum role_id peer)
{
	return (unsigned)peer < ROLE_COUNT ? r->peers[peer] : NULL;
}

void
role_need(struct role *r, enum role_id peer)
{
	struct message *m;

	if (role_peer(r, peer) != NULL || r->asked_for[peer])
		return;
	m = message_new(M_NEED_ROLE);
	message_put_u64(m, F_ROLE, peer);
	r->asked_for[peer] = channel_send(r->to_main, m, -1) == 0;
}

void
role_drop(struct role *r, enum role_id peer)
{
	if (role_peer(r, peer) == NULL)
		return;
	r->peers[peer] = channel_free(r->peers[peer]);
	if (r->def->peer != NULL)
		r->def->peer(r, peer, false);
}

int
role_answer(struct role *r, enum role_id peer, struct message *m, int fd)
{
	struct channel *to = role_peer(r, peer);
	int e = -EPIPE;

	if (to != NULL) {
		e = channel_send(to, m, fd);
	} else {
		(void)message_free(m);
		if (fd >= 0)
			(void)close(fd);
	}
	if (e < 0 && e != -EPIPE && e != -EMSGSIZE) {
		log_error("The role %s cannot be answered, so this one ends: %s.",
		    message_role_name(peer), strerror(-e));
		role_exit(r, EX_SOFTWARE);
	}
	return e;
}

static void
to_queue(void *arg, struct message *m)
{
	if (role_answer(arg, ROLE_QUEUE, m, -1) == -EMSGSIZE)
		role_exit(arg, EX_SOFTWARE);
}

static bool
to_keeper(void *arg, struct message *m)
{
	struct channel *keeper = role_peer(arg, ROLE_KEEPER);

	if (keeper != NULL)
		return channel_send(keeper, m, -1) == 0;
	(void)message_free(m);
	return false;
}

static void
idle(void *arg)
{
	role_exit(arg, EX_OK);
}

const struct transport_ops role_transport_ops = {
    .to_queue = to_queue, .to_keeper = to_keeper, .idle = idle};

/* The role without whose work an on-demand role has none; ROLE_MAIN for the roles that always run.
 */
static enum role_id
user_of(enum role_id role)
{
	switch (role) {
	case ROLE_FETCH:
		return ROLE_KEEPER;
	case ROLE_SEND:
	case ROLE_POST:
	case ROLE_TLS:
		return ROLE_QUEUE;
	default:
		return ROLE_MAIN;
	}
}

static void
on_peer_message(void *arg, struct channel *c, const struct message *m, int fd)
{
	struct role *r = arg;

	r->def->message(r, c, m, fd);
}

static void
on_peer_closed(void *arg, struct channel *c)
{
	struct role *r = arg;
	enum role_id peer = channel_peer(c);

	role_drop(r, peer);
	if (peer == user_of(r->def->id))
		role_exit(r, EX_OK);
}

static void
on_peer_writable(void *arg, struct channel *c)
{
	struct role *r = arg;

	if (r->def->writable != NULL)
		r->def->writable(r, c);
}

static const struct channel_ops peer_ops = {
    .message = on_peer_message,
    .closed = on_peer_closed,
    .writable = on_peer_writable,
};

/* A new end to a peer replaces the old one: main sends it when the peer was started anew. */
static void
take_peer(struct role *r, const struct message *m, int fd)
{
	uint64_t peer = message_u64(m, F_ROLE, ROLE_COUNT);

	if (peer == ROLE_MAIN || peer >= ROLE_CLIENT || peer == (uint64_t)r->def->id) {
		(void)close(fd);
		return;
	}
	role_drop(r, (enum role_id)peer);
	r->asked_for[peer] = false;
	r->peers[peer] = channel_new(r->base, fd, r->def->id, (enum role_id)peer, &peer_ops, r);
	if (r->peers[peer] == NULL) {
		log_error("A channel to %s cannot be made: %s.",
		    message_role_name((enum role_id)peer), strerror(errno));
		role_exit(r, EX_OSERR);
		return;
	}
	if (r->def->peer != NULL)
		r->def->peer(r, (enum role_id)peer, true);
}

static void
held_clear(struct held_socket *h)
{
	if (h->fd >= 0)
		(void)close(h->fd);
	free(h->name);
	free(h->service);
}

static int
hold_socket(struct role *r, const char *name, const char *service, int fd)
{
	struct held_socket *grown = reallocarray(r->held, r->held_count + 1, sizeof(*grown)), *h;

	if (grown == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	r->held = grown;
	h = &grown[r->held_count++];
	h->fd = fd;
	h->name = strdup(name);
	h->service = service == NULL ? NULL : strdup(service);
	return h->name == NULL || (service != NULL && h->service == NULL) ? -ENOMEM : 0;
}

static int
keep_dir(struct role *r, const char *name, int fd)
{
	struct dir *d = &r->dirs[r->dir_count];

	if (r->dir_count == DIRS_MAX || r->started) {
		(void)close(fd);
		return -EPROTO;
	}
	d->name = strdup(name);
	if (d->name == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	d->fd = fd;
	r->dir_count++;
	return 0;
}

static int
take_listen(struct role *r, const struct message *m, int fd)
{
	const char *name = message_str(m, F_NAME), *service = message_str(m, F_SERVICE);
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return keep_dir(r, name, fd);
	if (r->def->listen == NULL) {
		(void)close(fd);
		return -EPROTO;
	}
	if (!r->configured)
		return hold_socket(r, name, service, fd);
	r->def->listen(r, name, service, fd);
	return 0;
}

static void
drop_sockets(struct role *r)
{
	for (size_t i = 0; i < r->held_count; i++)
		held_clear(&r->held[i]);
	free(r->held);
	r->held = NULL;
	r->held_count = 0;
}

static void
release_sockets(struct role *r)
{
	r->configured = true;
	for (size_t i = 0; i < r->held_count; i++)
		r->def->listen(r, r->held[i].name, r->held[i].service, TAKE_FD(r->held[i].fd));
	drop_sockets(r);
}

static int
confine_role(struct role *r)
{
	int dirs[DIRS_MAX], err;
	const char *step = NULL;

	for (size_t i = 0; i < r->dir_count; i++)
		dirs[i] = r->dirs[i].fd;
	err = confine(role_rights(r->def->id), dirs, r->dir_count, &step);
	if (err < 0)
		log_error(
		    "This process cannot be confined (%s: %s), so it ends.", step, strerror(-err));
	return err;
}

static int
say_hello(struct role *r, const struct message *m)
{
	size_t len;
	const uint8_t *table = message_bytes(m, F_TABLE, &len);
	int err;

	if (r->started)
		return -EPROTO;
	if (len != MESSAGE_TABLE_HASH || memcmp(table, message_table_hash, len) != 0) {
		log_error("frankd is of another build than this program; restart frankd.");
		return -EPROTO;
	}
	err = confine_role(r);
	if (err == 0 && r->def->start != NULL) {
		err = r->def->start(r);
		r->failed = err < 0;
	}
	if (err < 0)
		return err;
	r->started = true;
	(void)malloc_trim(0);
	log_started();
	return channel_send(r->to_main, message_new(M_READY), -1);
}

static void
shut_down(struct role *r)
{
	if (r->def->shutdown != NULL && r->started)
		r->def->shutdown(r);
	else
		role_exit(r, EX_OK);
}

static void
set_log_level(const struct role *r, const struct message *m)
{
	uint64_t level = message_u64(m, F_LOG_LEVEL, LOG_LEVEL_INFO);

	if (level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG)
		log_open(r->def->log_name, (enum log_level)level);
}

static void
say_conf_taken(struct role *r, const struct message *end)
{
	struct message *m = message_new(M_CONF_TAKEN);

	message_put_u64(m, F_GENERATION, message_u64(end, F_GENERATION, 0));
	(void)channel_send(r->to_main, m, -1);
}

static void
on_main_message(void *arg, struct channel *c, const struct message *m, int fd)
{
	struct role *r = arg;
	int err = 0;

	if (r->failed) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	switch (message_type(m)) {
	case M_HELLO:
		err = say_hello(r, m);
		break;
	case M_LISTEN:
		err = take_listen(r, m, fd);
		break;
	case M_SHUTDOWN:
		shut_down(r);
		break;
	default:
		/* main says nothing else before HELLO: a role that is not confined acts on nothing
		 */
		if (!r->started) {
			if (fd >= 0)
				(void)close(fd);
			err = -EPROTO;
		} else if (message_type(m) == M_PEER) {
			take_peer(r, m, fd);
		} else if (message_type(m) == M_PING) {
			(void)channel_send(r->to_main, message_new(M_PONG), -1);
		} else {
			if (message_type(m) == M_CONF_BEGIN)
				set_log_level(r, m);
			r->def->message(r, c, m, fd);
			if (message_type(m) == M_CONF_END)
				say_conf_taken(r, m);
			if (message_type(m) == M_CONF_END && !r->configured)
				release_sockets(r);
		}
	}
	if (r->failed) {
		/* it was said what this role cannot start with; what comes behind is not for it */
		role_exit(r, EX_IOERR);
	} else if (err < 0) {
		log_error("The message %s of frankd cannot be acted on: %s.",
		    message_type_name(message_type(m)), strerror(-err));
		role_exit(r, EX_SOFTWARE);
	}
}

static void
on_main_closed(void *arg, struct channel *c)
{
	struct role *r = arg;

	role_exit(r, EX_UNAVAILABLE);
}

static void
on_main_writable(void *arg, struct channel *c)
{
	on_peer_writable(arg, c);
}

static const struct channel_ops main_ops = {
    .message = on_main_message,
    .closed = on_main_closed,
    .writable = on_main_writable,
};

static void
role_free(struct role *r)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		r->peers[i] = channel_free(r->peers[i]);
	r->to_main = channel_free(r->to_main);
	for (size_t i = 0; i < r->dir_count; i++) {
		(void)close(r->dirs[i].fd);
		free(r->dirs[i].name);
	}
	drop_sockets(r);
	if (r->base != NULL)
		event_base_free(r->base);
}

int
role_main(const struct role_def *def, void *state, int argc, char **argv)
{
	struct role r = {.def = def, .state = state};
	struct stat st;
	int err;

	if (argc != 2 || fstat(MAIN_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		(void)fprintf(stderr, "%s is started by frankd, not by hand.\n",
		    argc > 0 ? argv[0] : "This program");
		return EX_USAGE;
	}
	r.state_path = argv[1];
	/* fexecve leaves the number of a descriptor as the name that ps shows */
	(void)prctl(PR_SET_NAME, basename(argv[0]), 0, 0, 0);
	/* What a library reads once, before files are out of reach. */
	tzset();
	log_open(def->log_name, LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	err = confine_early();
	if (err < 0) {
		log_error("This process cannot be confined: %s.", strerror(-err));
		return EX_OSERR;
	}
	r.base = event_base_new();
	if (r.base != NULL)
		r.to_main = channel_new(r.base, MAIN_FD, def->id, ROLE_MAIN, &main_ops, &r);
	if (r.to_main == NULL) {
		log_error("The event loop cannot be made: %s.", strerror(errno));
		role_free(&r);
		return EX_OSERR;
	}
	(void)event_base_dispatch(r.base);
	if (def->stop != NULL)
		def->stop(&r);
	role_free(&r);
	return r.status;
}
