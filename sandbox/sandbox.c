/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sandbox.c: see sandbox.h.
 */
#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/codec.h"

const struct sandbox_account *
sandbox_account(const struct sandbox *s, const char *address)
{
	size_t i;

	for (i = 0; i < s->account_count; i++)
		if (address_equal_nocase(s->accounts[i].address, address))
			return &s->accounts[i];
	return NULL;
}

const struct sandbox_client *
sandbox_client(const struct sandbox *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->client_count; i++)
		if (strcmp(s->clients[i].id, id) == 0)
			return &s->clients[i];
	return NULL;
}

bool
sandbox_secret_fits(const struct secret *secret, const char *text)
{
	size_t len = strlen(text);

	return secret != NULL && secret_len(secret) == len &&
	       mem_equal_ct(secret_bytes(secret), text, len);
}

bool
sandbox_password_fits(const struct sandbox *s, const char *address, const char *password)
{
	const struct sandbox_account *a = sandbox_account(s, address);

	return a != NULL && sandbox_secret_fits(a->password, password);
}

int
sandbox_random_text(struct buf *out, size_t bytes)
{
	unsigned char raw[64];
	int r;

	if (bytes > sizeof(raw) || RAND_bytes(raw, (int)bytes) != 1)
		return -EIO;
	r = base64url_encode(out, raw, bytes);
	mem_wipe(raw, sizeof(raw));
	return r;
}

bool
sandbox_number(const char *text, unsigned least, unsigned most, unsigned *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n < least || n > most)
		return false;
	*ret = (unsigned)n;
	return true;
}

uint64_t
sandbox_clock(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct bufferevent *
sandbox_tls_connection(const struct sandbox *s, evutil_socket_t fd)
{
	SSL *ssl = SSL_new(s->tls);
	struct bufferevent *bev = NULL;

	if (ssl != NULL)
		bev = bufferevent_openssl_socket_new(
		    s->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	else
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

static int
listen_at(const struct sockaddr *address, socklen_t len)
{
	int fd CLEANUP_CLOSE =
	    socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (address->sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, address, len) < 0 || listen(fd, 128) < 0)
		return -errno;
	return TAKE_FD(fd);
}

bool
sandbox_address(const char *text)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* Listens on one address. The socket, or negative errno. */
static int
listen_on(const char *text, unsigned *port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)*port)};
	bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
	struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = is_v4 ? sizeof(v4) : sizeof(v6);
	int fd CLEANUP_CLOSE = -1;

	if (!is_v4 && inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
		return -EINVAL;
	fd = listen_at(address, len);
	if (fd < 0)
		return fd;
	if (getsockname(fd, address, &len) < 0)
		return -errno;
	*port = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
	return TAKE_FD(fd);
}

int
sandbox_listen(const struct sandbox *s, unsigned *port, int fds[2])
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)*port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(v4);

	fds[1] = -1;
	if (s->listen != NULL) {
		fds[0] = listen_on(s->listen, port);
		return fds[0] < 0 ? fds[0] : 0;
	}
	fds[0] = listen_at((const struct sockaddr *)&v4, sizeof(v4));
	if (fds[0] < 0)
		return fds[0];
	if (getsockname(fds[0], (struct sockaddr *)&v4, &len) < 0)
		return -errno;
	*port = ntohs(v4.sin_port);
	v6.sin6_port = v4.sin_port;
	/* a machine without IPv6, or another program on that port: 127.0.0.1 is enough */
	fds[1] = listen_at((const struct sockaddr *)&v6, sizeof(v6));
	if (fds[1] < 0)
		fds[1] = -1;
	return 0;
}
