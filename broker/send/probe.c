/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* probe.c: see probe.h. The probe verifies nothing: it only looks at whether the answer is a TLS record, and no session
 * follows. */
#include "broker/send/probe.h"

#include <errno.h>
#include <unistd.h>

#include "base/attr.h"
#include "broker/send/tls.h"

enum { PATIENCE = 5 };

struct probe {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	struct event *event;
	void (*done)(void *arg, bool tls);
	void *arg;
};

struct probe *
probe_free(struct probe *p)
{
	if (p == NULL)
		return NULL;
	if (p->event != NULL)
		event_free(p->event);
	SSL_free(p->ssl);
	SSL_CTX_free(p->context);
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p);
	return NULL;
}

/* Connected: sends the hello. The handshake does not read the answer, which is only looked at: it writes to memory. */
static bool
say_hello(struct probe *p)
{
	char *hello;
	long len;

	(void)SSL_do_handshake(p->ssl);
	len = BIO_get_mem_data(SSL_get_wbio(p->ssl), &hello);
	return len > 0 && write(p->fd, hello, (size_t)len) == len;
}

static void
on_event(evutil_socket_t sock, short what, void *arg)
{
	struct timeval patience = {.tv_sec = PATIENCE};
	struct probe *p = arg;
	char banner[8];
	int answer =
	    (what & EV_TIMEOUT) != 0 ? -ETIMEDOUT : tls_peek(p->fd, banner, sizeof(banner));

	if (answer == -EAGAIN) {
		if (say_hello(p) &&
		    event_assign(p->event, event_get_base(p->event), p->fd, EV_READ, on_event, p) ==
			0 &&
		    event_add(p->event, &patience) == 0)
			return;
	}
	p->done(p->arg, answer == 1);
	(void)probe_free(p);
}

static bool
set_up(struct probe *p, struct event_base *base, const struct netaddr *address)
{
	struct timeval patience = {.tv_sec = PATIENCE};
	BIO *out;

	p->fd = netaddr_connect(address);
	if (p->fd < 0)
		return false;
	p->context = SSL_CTX_new(TLS_client_method());
	p->ssl = p->context == NULL ? NULL : SSL_new(p->context);
	out = BIO_new(BIO_s_mem());
	if (p->ssl == NULL || out == NULL) {
		(void)BIO_free(out);
		return false;
	}
	SSL_set_bio(p->ssl, NULL, out);
	SSL_set_connect_state(p->ssl);
	p->event = event_new(base, p->fd, EV_WRITE, on_event, p);
	return p->event != NULL && event_add(p->event, &patience) == 0;
}

struct probe *
probe_new(struct event_base *base, const struct netaddr *address, void (*done)(void *arg, bool tls),
    void *arg)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->fd = -1;
	p->done = done;
	p->arg = arg;
	return set_up(p, base, address) ? p : probe_free(p);
}
