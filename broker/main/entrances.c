/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * entrances.c: see entrances.h.
 *
 * An entrance is known by its address. A folder says who may reach its socket as the socket does:
 * who may not connect need not look. Mode and group of a socket are set before it listens.
 */
#include "broker/main/entrances.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "broker/main/folders.h"
#include "broker/main/sockets.h"

enum { MODE_GROUP = 0660, MODE_OWNER = 0600 };

static int
complain(struct buf *why, const char *what, const char *at, int err)
{
	(void)buf_printf(why, "%s %s: %s", what, at, strerror(err));
	return -err;
}

/* ---- what is wanted ---- */

static void
entrance_clear(struct entrance *e)
{
	free(e->owner);
	free(e->address);
}

static int
add(struct entrances *to, const struct entrance *like, const char *owner, const char *address)
{
	struct entrance *e = &to->items[to->count];

	*e = *like;
	e->fd = -1;
	e->owner = strdup(owner);
	e->address = strdup(address);
	if (e->owner == NULL || e->address == NULL) {
		entrance_clear(e);
		return -ENOMEM;
	}
	to->count++;
	return 0;
}

static int
add_service(struct entrances *to, const struct conf *c, const struct conf_service *v)
{
	struct entrance e = {.kind = ENTRANCE_SERVICE,
	    .mode = v->socket_mode,
	    .group = v->socket_group,
	    .has_group = v->has_socket_group};
	CLEANUP_BUF struct buf path = BUF_INIT(4096);

	if (e.mode == 0)
		e.mode = e.has_group ? MODE_GROUP : MODE_OWNER;
	if (buf_printf(&path, "%s/services/%s/submit.sock", c->runtime_dir, v->name) < 0)
		return -ENOMEM;
	return add(to, &e, v->name, buf_str(&path));
}

static int
list_wanted(const struct conf *c, struct entrances *ret)
{
	static const struct entrance listener = {.kind = ENTRANCE_LISTENER};
	size_t room = c->service_count + 1;
	int r = 0;

	for (size_t i = 0; i < c->listener_count; i++)
		room += c->listeners[i].addresses.count;
	ret->items = calloc(room, sizeof(*ret->items));
	if (ret->items == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->service_count && r == 0; i++)
		if (c->services[i].socket)
			r = add_service(ret, c, &c->services[i]);
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *n = &c->listeners[i];

		for (size_t k = 0; k < n->addresses.count && r == 0; k++)
			r = add(ret, &listener, n->name, n->addresses.items[k]);
	}
	return r;
}

static struct entrance *
find(const struct entrances *in, const struct entrance *like)
{
	for (size_t i = 0; i < in->count; i++)
		if (in->items[i].kind == like->kind &&
		    strcmp(in->items[i].address, like->address) == 0)
			return &in->items[i];
	return NULL;
}

/* ---- a service's socket ---- */

static int
unix_address(const char *path, struct sockaddr_un *ret, struct buf *why)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an entrance has an address and an owner */
	if (strlen(path) >= sizeof(ret->sun_path)) {
		(void)buf_printf(why,
		    "the socket's path %s is too long: it has at most %zu octets; shorten "
		    "runtime-dir or the service's name",
		    path, sizeof(ret->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

static unsigned
folder_mode(unsigned socket_mode)
{
	return 0700u | ((socket_mode & 020) != 0 ? 050u : 0u) |
	       ((socket_mode & 002) != 0 ? 005u : 0u);
}

/* Owner and mode of folder and socket, wherever they are not what they should be. The folder is
 * ours alone to write, so that the names in it are ours. */
static int
set_rights(const struct entrance *e, const char *folder, bool socket_too, struct buf *why)
{
	CLEANUP_CLOSE int dir = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	gid_t group = e->has_group ? e->group : getegid();
	struct stat st;

	if (dir < 0 || fstat(dir, &st) < 0)
		return complain(why, "cannot open the folder", folder, errno);
	if ((st.st_uid != geteuid() || st.st_gid != group) && fchown(dir, geteuid(), group) < 0)
		return complain(why, "cannot give its group to the folder", folder, errno);
	if (fchmod(dir, folder_mode(e->mode)) < 0)
		return complain(why, "cannot set the mode of the folder", folder, errno);
	if (!socket_too)
		return 0;
	if (fchownat(dir, "submit.sock", geteuid(), group, AT_SYMLINK_NOFOLLOW) < 0)
		return complain(why, "cannot give its group to", e->address, errno);
	if (fchmodat(dir, "submit.sock", e->mode, 0) < 0)
		return complain(why, "cannot set the mode of", e->address, errno);
	return 0;
}

/* The folder that a service's socket stands in. */
static int
folder_of(const struct entrance *e, struct buf *ret)
{
	return buf_append(ret, e->address, (size_t)(strrchr(e->address, '/') - e->address));
}

static int
open_service(struct entrance *e, struct buf *why)
{
	CLEANUP_BUF struct buf folder = BUF_INIT(4096);
	CLEANUP_CLOSE int fd = -1;
	struct sockaddr_un address;
	mode_t mask;
	int r = unix_address(e->address, &address, why);

	if (r == 0)
		r = folder_of(e, &folder);
	if (r == 0)
		r = folder_make(buf_str(&folder), why);
	if (r == 0)
		r = set_rights(e, buf_str(&folder), false, why);
	if (r == 0)
		r = socket_remove_stale(&address, SOCK_STREAM, why);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return complain(why, "cannot make", e->address, errno);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return complain(why, "cannot listen at", e->address, -r);
	r = set_rights(e, buf_str(&folder), true, why);
	if (r == 0 && listen(fd, SOMAXCONN) < 0)
		r = complain(why, "cannot listen at", e->address, errno);
	if (r < 0)
		(void)unlink(e->address);
	else
		e->fd = TAKE_FD(fd);
	return r;
}

/* ---- a listener's ---- */

/* Takes apart what the configuration put together. */
static socklen_t
internet_address(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	const char *colon = strrchr(text, ':');
	CLEANUP_FREE char *host = text[0] == '[' ? strndup(text + 1, (size_t)(colon - text) - 2)
						 : strndup(text, (size_t)(colon - text));
	uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));

	*ret = (struct sockaddr_storage){0};
	if (host == NULL)
		return 0;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port;
	return sizeof(*v6);
}

static int
open_listener(struct entrance *e, struct buf *why)
{
	static const int on = 1;
	struct sockaddr_storage address;
	socklen_t len = internet_address(e->address, &address);
	CLEANUP_CLOSE int fd =
	    socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (len == 0 || fd < 0)
		return complain(why, "cannot listen at", e->address, len == 0 ? ENOMEM : errno);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* so that every connection's address is of the family that it looks like */
	if (address.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return complain(why, "cannot listen at", e->address, errno);
	e->fd = TAKE_FD(fd);
	return 0;
}

static int
open_diag(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	if (fd < 0)
		log_warning(
		    "The kernel does not tell whose a loopback connection is (%s): callers of "
		    "listeners are known by password alone.",
		    strerror(errno));
	return fd;
}

/* ---- the whole ---- */

static void
drop(struct entrance *e)
{
	CLEANUP_BUF struct buf folder = BUF_INIT(4096);

	if (e->fd >= 0)
		(void)close(TAKE_FD(e->fd));
	if (e->kind != ENTRANCE_SERVICE)
		return;
	(void)unlink(e->address);
	if (folder_of(e, &folder) == 0)
		(void)rmdir(buf_str(&folder));
}

static void
forget(struct entrances *e)
{
	for (size_t i = 0; i < e->count; i++)
		entrance_clear(&e->items[i]);
	free(e->items);
	e->items = NULL;
	e->count = 0;
}

/* At a start, an address that cannot be had is out of force, and the others are there. */
static int
leave_out(struct entrances *e, size_t at, struct settings *s, const char *why)
{
	CLEANUP_BUF struct buf what = BUF_INIT(128);
	int r = buf_printf(&what, "listener \"%s\"", e->items[at].owner);

	log_error("Listener %s is out of force: %s.", e->items[at].owner, why);
	entrance_clear(&e->items[at]);
	e->count--;
	memmove(&e->items[at], &e->items[at + 1], (e->count - at) * sizeof(*e->items));
	return r < 0 ? r : settings_note_lapse(s, buf_str(&what), why);
}

static int
open_all(
    const struct entrances *old, struct entrances *next, struct settings *lenient, struct buf *why)
{
	bool listens = false;
	int r = 0;

	for (size_t i = 0; i < next->count && r == 0; i++) {
		struct entrance *e = &next->items[i];
		const struct entrance *there = find(old, e);

		listens = listens || e->kind == ENTRANCE_LISTENER;
		if (there != NULL) {
			e->fd = there->fd;
			/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the same */
			e->fresh = there->fresh || strcmp(there->owner, e->owner) != 0;
			continue;
		}
		r = e->kind == ENTRANCE_SERVICE ? open_service(e, why) : open_listener(e, why);
		e->fresh = e->made = r == 0;
		if (r < 0 && r != -ENOMEM && lenient != NULL && e->kind == ENTRANCE_LISTENER) {
			r = leave_out(next, i--, lenient, buf_str(why));
			buf_clear(why);
		}
	}
	next->diag = old->diag;
	if (r == 0 && listens && next->diag < 0)
		next->diag = open_diag();
	return r;
}

int
entrances_check(const struct conf *c, struct buf *why)
{
	struct entrances wanted = ENTRANCES_INIT;
	struct sockaddr_un address;
	int r = list_wanted(c, &wanted);

	for (size_t i = 0; i < wanted.count && r == 0; i++)
		if (wanted.items[i].kind == ENTRANCE_SERVICE)
			r = unix_address(wanted.items[i].address, &address, why);
	forget(&wanted);
	return r;
}

int
entrances_open(const struct entrances *old, const struct conf *c, struct settings *lenient,
    struct entrances *ret, struct buf *why)
{
	int r;

	*ret = (struct entrances)ENTRANCES_INIT;
	r = list_wanted(c, ret);
	if (r == 0)
		r = open_all(old, ret, lenient, why);
	if (r == 0)
		return 0;
	for (size_t i = 0; i < ret->count; i++)
		if (ret->items[i].made)
			drop(&ret->items[i]);
	forget(ret);
	return r;
}

/* The rights of one that stays may be others now. */
static void
renew_rights(const struct entrance *e)
{
	CLEANUP_BUF struct buf folder = BUF_INIT(4096), why = BUF_INIT(4096);

	if (e->kind == ENTRANCE_SERVICE && !e->made &&
	    (folder_of(e, &folder) < 0 || set_rights(e, buf_str(&folder), true, &why) < 0))
		log_warning(
		    "The socket of service %s keeps its old rights: %s.", e->owner, buf_str(&why));
}

void
entrances_replace(struct entrances *e, struct entrances *next)
{
	for (size_t i = 0; i < e->count; i++)
		if (find(next, &e->items[i]) == NULL)
			drop(&e->items[i]);
	forget(e);
	*e = *next;
	*next = (struct entrances)ENTRANCES_INIT;
	for (size_t i = 0; i < e->count; i++) {
		renew_rights(&e->items[i]);
		e->items[i].made = false;
	}
}

void
entrances_close(struct entrances *e)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->items[i].kind == ENTRANCE_SERVICE)
			(void)unlink(e->items[i].address);
		(void)close(e->items[i].fd);
	}
	if (e->diag >= 0)
		(void)close(e->diag);
	forget(e);
}
