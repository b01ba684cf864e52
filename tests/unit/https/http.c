/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of broker/https/http.c against a TLS server in a thread: what a request is sent over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "broker/https/http.h"
#include "tls-peer.h"

struct server {
	struct peer peer;
	int listening;
	unsigned hellos; /* of the client: one for each handshake */
};

static int
count_hello(SSL *ssl, int *alert, void *arg)
{
	((struct server *)arg)->hellos++;
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* Takes a request, asks for another handshake, and answers only then. */
static void *
serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	struct server *s = arg;
	int fd = accept(s->listening, NULL, NULL);
	SSL *ssl = SSL_new(s->peer.context);
	char octets[4096];

	if (SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
	    SSL_read(ssl, octets, sizeof(octets)) > 0 && SSL_renegotiate(ssl) == 1 &&
	    SSL_do_handshake(ssl) == 1) {
		/* the client's refusal, or its hello and all that follows */
		(void)SSL_read(ssl, octets, sizeof(octets));
		(void)SSL_write(ssl, answer, sizeof(answer) - 1);
		(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	(void)close(fd);
	ERR_clear_error();
	return NULL;
}

struct outcome {
	struct event_base *base;
	unsigned answers;
};

static void
on_answer(void *arg, const struct http_answer *a)
{
	struct outcome *o = arg;

	o->answers++;
	(void)event_base_loopbreak(o->base);
}

/* A server has no reason for a second handshake within a session, and by one it could change who it is
 * behind the request. */
static void
test_no_renegotiation(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	struct server s = {.listening = socket(AF_INET, SOCK_STREAM, 0)};
	struct outcome o = {.base = event_base_new()};
	struct http *h = http_new(o.base, 1);
	struct http_request q = {.ca = &s.peer.pem, .seconds = 3};
	pthread_t thread;
	char url[64];

	peer_begin(&s.peer, "localhost", TLS1_2_VERSION);
	SSL_CTX_set_client_hello_cb(s.peer.context, count_hello, &s);
	assert_int_equal(bind(s.listening, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s.listening, 1), 0);
	assert_int_equal(getsockname(s.listening, (struct sockaddr *)&a, &len), 0);
	(void)snprintf(url, sizeof(url), "https://localhost:%u/", ntohs(a.sin_port));
	q.url = url;
	assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
	assert_int_equal(http_start(h, &q, on_answer, &o), 0);
	(void)event_base_dispatch(o.base);
	h = http_free(h);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(o.answers, 1);
	assert_int_equal(s.hellos, 1);
	(void)close(s.listening);
	event_base_free(o.base);
	peer_end(&s.peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_renegotiation)};

	(void)signal(SIGPIPE, SIG_IGN);
	if (http_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("https/http", tests, NULL, NULL);
}
