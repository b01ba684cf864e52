/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* loopback.c: see loopback.h. A connection serves one request and closes. */
#include "admin/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "admin/http-get.h"
#include "admin/paste.h"
#include "base/peer-uid.h"

enum { NOTE_MAX = 1024, ACCEPTS_MAX = 64 };

/* Where the browser ends, without the code in its address. */
#define END_PATH "/frank-signed-in"

enum state {
	FREE,
	READING,
	WAITING, /* a callback that waits for its decision */
	WRITING,
	CLOSING, /* all is written; the other side closes, so that no reset eats the page */
};

struct browser_request {
	enum state state;
	int fd;
	struct http_get in;
	struct buf out;
	size_t sent;
	int64_t deadline;
	bool shows_end; /* the page at END_PATH */
	bool asked;     /* its callback was handed to the owner */
};

struct loopback {
	int listeners[2];
	unsigned port;
	char *path;
	struct browser_request connections[LOOPBACK_CONNECTIONS];
	struct buf end; /* the response at END_PATH, once over */
	int diag;       /* asks the kernel whose a connection is; -1: everybody's are taken */
	uid_t callers[LOOPBACK_CALLERS_MAX];
	size_t caller_count;
	struct buf note; /* for the terminal */
	unsigned notes;  /* that came so far */
	bool noted_others, note_shown;
	bool over;
	unsigned sent_on, shown; /* browsers sent on to the end, and those that got it */
};

bool
loopback_is_host(const char *host)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", "::1", "[::1]"};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if (strcasecmp(host, hosts[i]) == 0)
			return true;
	return false;
}

/* ---- listening ---- */

static int
listen_on(int family, unsigned port)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
	    .sin6_port = htons((uint16_t)port),
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool is_six = family == AF_INET6;
	const struct sockaddr *a =
	    is_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
	CLEANUP_CLOSE int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return -errno;
	if (is_six)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (port != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, a, is_six ? sizeof(six) : sizeof(four)) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int
port_of(int fd, unsigned *ret)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return -errno;
	*ret = ntohs(a.sin_port);
	return 0;
}

/* Both families on one port: a browser that is sent to "localhost" may try either. */
static int
open_pair(struct loopback *l, unsigned port)
{
	int r;

	l->listeners[0] = listen_on(AF_INET, port);
	if (l->listeners[0] < 0)
		return l->listeners[0];
	r = port_of(l->listeners[0], &l->port);
	if (r < 0)
		return r;
	l->listeners[1] = listen_on(AF_INET6, l->port);
	if (l->listeners[1] == -EAFNOSUPPORT || l->listeners[1] == -EADDRNOTAVAIL)
		l->listeners[1] = -1;
	else if (l->listeners[1] < 0)
		return l->listeners[1];
	return 0;
}

static void
close_pair(struct loopback *l)
{
	for (size_t i = 0; i < 2; i++) {
		if (l->listeners[i] >= 0)
			(void)close(l->listeners[i]);
		l->listeners[i] = -1;
	}
}

/* Whoever the kernel cannot be asked about is taken: the state in the address is what counts. */
static void
choose_callers(struct loopback *l, const uid_t *callers, size_t count)
{
	for (size_t i = 0; i < count && i < LOOPBACK_CALLERS_MAX; i++)
		l->callers[l->caller_count++] = callers[i];
	if (count > 0)
		l->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (l->diag >= 0 && !peer_uid_is_known(l->diag)) {
		(void)close(l->diag);
		l->diag = -1;
	}
}

int
loopback_open(
    struct loopback **ret, unsigned port, const char *path, const uid_t *callers, size_t count)
{
	struct loopback *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (l == NULL)
		return -ENOMEM;
	l->listeners[0] = l->listeners[1] = l->diag = -1;
	l->end = (struct buf)BUF_INIT(PAGE_MAX);
	l->note = (struct buf)BUF_INIT(NOTE_MAX);
	choose_callers(l, callers, count);
	l->path = strdup(*path == '\0' ? "/" : path);
	/* a free port of the one family may be taken in the other */
	for (int tries = 0; l->path != NULL && tries < 20; tries++) {
		r = open_pair(l, port);
		if (r != -EADDRINUSE || port != 0)
			break;
		close_pair(l);
	}
	if (r < 0) {
		(void)loopback_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

unsigned
loopback_port(const struct loopback *l)
{
	return l->port;
}

/* ---- connections ---- */

static void
drop(struct browser_request *c)
{
	if (c->state == FREE)
		return;
	(void)close(c->fd);
	http_get_clear(&c->in);
	buf_free(&c->out);
	c->state = FREE;
}

struct loopback *
loopback_free(struct loopback *l)
{
	if (l == NULL)
		return NULL;
	close_pair(l);
	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++)
		drop(&l->connections[i]);
	if (l->diag >= 0)
		(void)close(l->diag);
	buf_free(&l->end);
	buf_free(&l->note);
	free(l->path);
	free(l);
	return NULL;
}

/* A free slot, or that of the connection that said nothing for longest: browsers open some in
 * advance. */
static struct browser_request *
slot(struct loopback *l)
{
	struct browser_request *oldest = NULL;

	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++) {
		struct browser_request *c = &l->connections[i];

		if (c->state == FREE)
			return c;
		if (c->state == READING && (oldest == NULL || c->deadline < oldest->deadline))
			oldest = c;
	}
	if (oldest != NULL)
		drop(oldest);
	return oldest;
}

static void PRINTF_LIKE(2, 3) note(struct loopback *l, const char *format, ...)
{
	va_list ap;

	if (l->over || l->note.len > 0 || l->notes == LOOPBACK_NOTES_MAX)
		return;
	va_start(ap, format);
	(void)buf_vprintf(&l->note, format, ap);
	va_end(ap);
	l->notes++;
}

/* Is the connection one of the callers' or root's? One that nobody can be named for was closed by now. */
static bool
is_callers(struct loopback *l, int fd)
{
	uint32_t uid;

	if (l->diag < 0)
		return true;
	if (peer_uid_ask(l->diag, fd, &uid) < 0)
		return false;
	for (size_t i = 0; i < l->caller_count; i++)
		if (l->callers[i] == uid)
			return true;
	if (uid != 0 && !l->noted_others) {
		note(l,
		    "A program of another user (uid %u) came to this sign-in's port and was "
		    "refused. "
		    "If that was your browser, use --paste.",
		    (unsigned)uid);
		l->noted_others = true;
	}
	return uid == 0;
}

/* Takes the descriptor. Nothing is waited for: what does not fit into the socket's buffer is lost. */
static void
turn_away(int fd)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	(void)page_response(&page, 403, PAGE_BAD, "Refused",
	    "Another user of this computer is signing in here.",
	    "If that is you, start frank authorize as the user whose browser this is, or with "
	    "--paste.");
	(void)send(fd, buf_str(&page), page.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

static void
take_connections(struct loopback *l, int listener, int64_t now)
{
	int fd;

	for (unsigned i = 0; i < ACCEPTS_MAX && (fd = accept4(listener, NULL, NULL,
						     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;
	     i++) {
		struct browser_request *c;

		if (!is_callers(l, fd)) {
			turn_away(fd);
			continue;
		}
		c = slot(l);
		if (c == NULL) {
			(void)close(fd);
			continue;
		}
		*c = (struct browser_request){.state = READING,
		    .fd = fd,
		    .in = HTTP_GET_INIT,
		    .out = BUF_INIT(PAGE_MAX),
		    .deadline = now + LOOPBACK_IDLE_MS};
	}
}

static void
start_writing(struct browser_request *c)
{
	http_get_clear(&c->in);
	c->state = WRITING;
	c->sent = 0;
}

static void
respond(struct browser_request *c, int status, enum page_kind kind, const char *title,
    const char *text, const char *next)
{
	const char *end;

	(void)page_response(&c->out, status, kind, title, text, next);
	end = c->in.method == HTTP_HEAD ? strstr(buf_str(&c->out), "\r\n\r\n") : NULL;
	if (end != NULL)
		c->out.len = (size_t)(end + 4 - c->out.data);
	start_writing(c);
}

static void
send_on(struct loopback *l, struct browser_request *c)
{
	(void)page_redirect(&c->out, END_PATH);
	l->sent_on++;
	start_writing(c);
}

/* The Host of a request must be this machine under this port: else a page from elsewhere has had
 * its name resolved to us. */
static bool
is_our_host(const struct loopback *l, const char *host)
{
	const char *colon = strrchr(host, ':');
	char port[8], name[64];

	(void)snprintf(port, sizeof(port), "%u", l->port);
	if (colon == NULL || colon[1] == '\0' || strchr(colon, ']') != NULL)
		return l->port == 80 && loopback_is_host(host);
	if (strcmp(colon + 1, port) != 0 || (size_t)(colon - host) >= sizeof(name))
		return false;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(colon - host), host);
	return loopback_is_host(name) && strcmp(name, "::1") != 0;
}

/* A request that cannot be an answer at all. */
static void
decide_broken(struct loopback *l, struct browser_request *c)
{
	if (c->in.is_tls) {
		note(l, "The browser speaks TLS to this sign-in's port, which has no certificate. "
			"Change https to http in its address bar, or paste that address: --paste.");
		drop(c);
		return;
	}
	if (c->in.status != 400)
		note(l,
		    "Something came to this sign-in's port that is not understood (HTTP status "
		    "%d). "
		    "If it was your browser, start again with --paste.",
		    c->in.status);
	respond(c, c->in.status, PAGE_WAIT, "Not understood",
	    "This address only takes the end of a sign-in.", NULL);
}

/* A request at the right address that brings nothing: what stands behind a '#' stays in the browser
 * (RFC 9110 section 7.1). */
static void
decide_empty(struct loopback *l, struct browser_request *c)
{
	static const char next[] =
	    "If something stands behind a # in the address bar, that is the answer: copy the whole "
	    "address, and give it to frank authorize --paste. response_mode=query in "
	    "extra-parameters makes the provider send it along.";

	note(l, "The browser came back without an answer. %s", next);
	respond(c, 400, PAGE_WAIT, "No answer came along",
	    "The browser came back from the sign-in, and brought nothing that Frank could read.",
	    next);
}

static void
decide_elsewhere(struct loopback *l, struct browser_request *c)
{
	CLEANUP_BUF struct buf text = BUF_INIT(NOTE_MAX);
	const char *query;
	size_t len;

	if (c->in.query == NULL || !paste_query(c->in.query, strlen(c->in.query), &query, &len)) {
		respond(c, 404, PAGE_WAIT, "Nothing here",
		    "Frank is still waiting for the sign-in to end.", NULL);
		return;
	}
	(void)buf_printf(&text,
	    "The provider's answer came to the path %.200s, and %.200s is what was asked for.",
	    c->in.path, l->path);
	note(l,
	    "%s Set redirect-path as it is registered with the provider, then start again; or "
	    "paste "
	    "that address: --paste.",
	    buf_str(&text));
	respond(c, 404, PAGE_WAIT, "Another path", buf_str(&text),
	    "Set redirect-path in the account's block as it is registered with the provider, and "
	    "start again.");
}

static void
decide(struct loopback *l, struct browser_request *c)
{
	const struct http_get *g = &c->in;

	if (g->status != 0) {
		decide_broken(l, c);
	} else if (!is_our_host(l, g->host)) {
		note(l,
		    "A request for the host %.200s was refused: it is not this computer's name.",
		    g->host);
		respond(c, 403, PAGE_BAD, "Refused",
		    "This address was reached under a name that is not this computer's.", NULL);
	} else if (g->is_prefetch) {
		respond(c, 503, PAGE_WAIT, "Not yet", "Nobody looks at this page yet.", NULL);
	} else if (l->over && strcmp(g->path, END_PATH) == 0 && g->method != HTTP_HEAD) {
		(void)buf_append(&c->out, l->end.data, l->end.len);
		c->shows_end = true;
		start_writing(c);
	} else if (strcmp(g->path, l->path) != 0) {
		decide_elsewhere(l, c);
	} else if (g->method == HTTP_HEAD) {
		respond(
		    c, 200, PAGE_WAIT, "Frank", "Frank is waiting for the sign-in to end.", NULL);
	} else if (g->query == NULL || *g->query == '\0') {
		decide_empty(l, c);
	} else if (l->over) {
		send_on(l, c);
	} else {
		c->state = WAITING;
	}
}

static void
read_some(struct loopback *l, struct browser_request *c)
{
	char chunk[4096];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);
	bool complete;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	if (c->state == READING) {
		complete = http_get_take(&c->in, chunk, (size_t)n);
		if (complete)
			decide(l, c);
	}
	mem_wipe(chunk, sizeof(chunk));
}

static void
write_some(struct loopback *l, struct browser_request *c, int64_t now)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			drop(c);
			return;
		}
		c->sent += (size_t)n;
	}
	l->shown += c->shows_end;
	(void)shutdown(c->fd, SHUT_WR);
	c->state = CLOSING;
	c->deadline = now + LOOPBACK_CLOSE_MS;
}

/* ---- the owner's side ---- */

size_t
loopback_prepare(struct loopback *l, struct pollfd *fds, int64_t now, int *timeout_ms)
{
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		fds[count++] = (struct pollfd){.fd = l->listeners[i], .events = POLLIN};
	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++) {
		struct browser_request *c = &l->connections[i];
		int64_t left = c->deadline - now;

		/* a waiting one is watched for its end alone; a negative descriptor is skipped by
		 * poll */
		fds[count++] = (struct pollfd){.fd = c->state == FREE ? -1 : c->fd,
		    .events = c->state == WRITING   ? POLLOUT
			      : c->state == WAITING ? 0
						    : POLLIN};
		if (c->state == FREE || c->state == WAITING)
			continue;
		if (left < 0)
			left = 0;
		if (left < *timeout_ms)
			*timeout_ms = (int)left;
	}
	return count;
}

void
loopback_handle(struct loopback *l, const struct pollfd *fds, size_t count, int64_t now)
{
	if (l->note_shown) {
		buf_clear(&l->note);
		l->note_shown = false;
	}
	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++) {
		struct browser_request *c = &l->connections[i];

		if (c->state == FREE)
			continue;
		if (c->state == WRITING && (fds[i + 2].revents & POLLOUT) != 0)
			write_some(l, c, now);
		else if (c->state != WRITING && c->state != WAITING &&
			 (fds[i + 2].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			read_some(l, c);
		else if ((fds[i + 2].revents & POLLERR) != 0 ||
			 (c->state != WAITING && now >= c->deadline))
			drop(c);
	}
	for (size_t i = 0; i < 2; i++)
		if (l->listeners[i] >= 0 && (fds[i].revents & POLLIN) != 0)
			take_connections(l, l->listeners[i], now);
}

static struct browser_request *
first_waiting(struct loopback *l)
{
	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++)
		if (l->connections[i].state == WAITING)
			return &l->connections[i];
	return NULL;
}

const char *
loopback_note(struct loopback *l)
{
	if (l->note.len == 0 || l->note_shown)
		return NULL;
	l->note_shown = true;
	return buf_str(&l->note);
}

const char *
loopback_callback(struct loopback *l)
{
	struct browser_request *c = first_waiting(l);

	if (c == NULL)
		return NULL;
	c->asked = true;
	return c->in.query;
}

void
loopback_ignore(struct loopback *l, const char *text)
{
	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++) {
		struct browser_request *c = &l->connections[i];

		if (c->state != WAITING || !c->asked)
			continue;
		respond(c, 400, PAGE_WAIT, "Not this sign-in",
		    text == NULL ? "It does not belong to the sign-in that Frank is waiting for."
				 : text,
		    "Frank is still waiting. Go on in the window in which you were signing in, or "
		    "run "
		    "the command again.");
	}
}

void
loopback_finish(
    struct loopback *l, enum page_kind kind, const char *title, const char *text, const char *next)
{
	struct browser_request *c;

	buf_clear(&l->end);
	(void)page_response(&l->end, 200, kind, title, text, next);
	l->over = true;
	while ((c = first_waiting(l)) != NULL)
		send_on(l, c);
}

bool
loopback_is_done(const struct loopback *l)
{
	for (size_t i = 0; i < LOOPBACK_CONNECTIONS; i++)
		if (l->connections[i].state != FREE && l->connections[i].state != READING)
			return false;
	return l->over && l->shown >= l->sent_on;
}
