/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of TLS to a server: whose certificates count, and that no session is resumed which
 * would carry one past the check. The server is OpenSSL's, at the other end of a socketpair, and each
 * side moves in turn; where the client is a connection of its own, it is a thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "broker/send/connection.h"
#include "broker/send/tls.h"
#include "tls-peer.h"

enum { TURNS = 1000 };

/* ---- a connection ---- */

struct outcome {
	int result; /* of tls_handshake */
	bool resumed;
	enum smtp_fault fault;
};

/* Shakes hands, hears one octet (and the tickets before it), and parts. */
static struct outcome
connect_to(struct peer *s, struct tls_context *context, const struct tls_names *names, bool look)
{
	struct tls_trouble trouble;
	struct outcome o = {0};
	bool wants_write = false;
	char octet;
	int pair[2];
	SSL *client, *server = SSL_new(s->context);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(SSL_set_fd(server, pair[1]), 1);
	SSL_set_accept_state(server);
	client = tls_new(context, pair[0], names, &trouble);
	assert_non_null(client);
	if (look)
		tls_observe(client, &trouble);
	for (int i = 0; i < TURNS && o.result == 0; i++) {
		o.result = tls_handshake(client, &trouble, &wants_write);
		(void)SSL_do_handshake(server);
	}
	assert_int_not_equal(o.result, 0);
	if (o.result == 1) {
		assert_int_equal(SSL_write(server, "x", 1), 1);
		assert_int_equal(SSL_read(client, &octet, 1), 1);
		o.resumed = SSL_session_reused(client) == 1;
		assert_int_equal(o.resumed, SSL_session_reused(server) == 1);
		(void)SSL_shutdown(client);
	}
	o.fault = trouble.fault;
	SSL_free(client);
	SSL_free(server);
	(void)close(pair[0]);
	(void)close(pair[1]);
	ERR_clear_error();
	return o;
}

static const struct tls_names example = {
    .host = "mail.example.com", .accepted = {"mail.example.com"}, .count = 1};

static struct tls_context *
context_of(const struct tls_rules *rules)
{
	char why[160] = "";
	struct tls_context *t = tls_context_new(rules, why, sizeof(why));

	if (t == NULL)
		fail_msg("%s", why);
	return t;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- tests ---- */

/* What the others rest on: this server's sessions are resumed where its certificate was accepted. */
static void
test_accepted_is_resumed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct tls_context *t;
		struct tls_rules rules = {0};
		struct peer s;
		struct outcome o;

		peer_begin(&s, "mail.example.com", versions[i]);
		rules.ca = s.pem;
		t = context_of(&rules);
		o = connect_to(&s, t, &example, false);
		assert_int_equal(o.result, 1);
		assert_false(o.resumed);
		o = connect_to(&s, t, &example, false);
		assert_int_equal(o.result, 1);
		assert_true(o.resumed);
		t = tls_context_free(t);
		peer_end(&s);
	}
}

/* `frank check` looks at a server whose certificate is not accepted, and gets its tickets. A login
 * behind that, even in the same context, must not come in by one of them. */
static void
test_look_leaves_no_session(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		static const struct tls_rules strangers;
		struct tls_context *t = context_of(&strangers);
		struct peer s;
		struct outcome o;

		peer_begin(&s, "mail.example.com", versions[i]);
		for (int n = 0; n < 2; n++) {
			o = connect_to(&s, t, &example, true);
			assert_int_equal(o.result, 1);
			assert_false(o.resumed);
			assert_int_equal(o.fault, SMTP_FAULT_CERT_UNTRUSTED);
		}
		o = connect_to(&s, t, &example, false);
		assert_int_equal(o.result, -1);
		assert_int_equal(o.fault, SMTP_FAULT_CERT_UNTRUSTED);
		t = tls_context_free(t);
		peer_end(&s);
	}
}

/* Nor does a look resume: it is there to see the certificate. */
static void
test_look_resumes_nothing(void **state)
{
	struct tls_rules rules = {0};
	struct tls_context *t;
	struct peer s;

	peer_begin(&s, "mail.example.com", TLS1_3_VERSION);
	rules.ca = s.pem;
	t = context_of(&rules);
	assert_int_equal(connect_to(&s, t, &example, false).result, 1);
	assert_false(connect_to(&s, t, &example, true).resumed);
	t = tls_context_free(t);
	peer_end(&s);
}

static void
test_wrong_name_leaves_no_session(void **state)
{
	const struct tls_names other = {
	    .host = "mail.example.net", .accepted = {"mail.example.net"}, .count = 1};
	struct tls_rules rules = {0};
	struct tls_context *t;
	struct outcome o;
	struct peer s;

	peer_begin(&s, "mail.example.com", TLS1_3_VERSION);
	rules.ca = s.pem;
	t = context_of(&rules);
	assert_int_equal(connect_to(&s, t, &example, false).result, 1);
	for (int n = 0; n < 2; n++) {
		o = connect_to(&s, t, &other, false);
		assert_int_equal(o.result, -1);
		assert_int_equal(o.fault, SMTP_FAULT_CERT_NAME);
	}
	t = tls_context_free(t);
	peer_end(&s);
}

/* The pinned key alone decides; a session of another key, which TLS itself took, is refused as well. */
static void
test_pins(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct tls_rules rules = {0};
		struct peer s, other;
		struct tls_context *t;
		struct outcome o;

		peer_begin(&s, "whatever.example.org", versions[i]);
		peer_begin(&other, "mail.example.com", versions[i]);
		assert_true(tls_rules_pin(&rules, s.pin));
		t = context_of(&rules);
		for (int n = 0; n < 2; n++) {
			o = connect_to(&other, t, &example, false);
			assert_int_equal(o.result, -1);
			assert_int_equal(o.fault, SMTP_FAULT_CERT_UNTRUSTED);
			assert_int_equal(connect_to(&s, t, &example, false).result, 1);
		}
		t = tls_context_free(t);
		/* with a CA beside the pin both must hold */
		rules.ca = other.pem;
		t = context_of(&rules);
		assert_int_equal(connect_to(&s, t, &example, false).result, -1);
		assert_int_equal(connect_to(&other, t, &example, false).result, -1);
		t = tls_context_free(t);
		peer_end(&s);
		peer_end(&other);
	}
}

static void
test_server_names(void **state)
{
	static const struct {
		const char *host, *tls_name, *server;
		bool srv;
		const char *first, *second;
	} cases[] = {
	    {"mail.example.com", NULL, "mail.example.com", false, "mail.example.com", NULL},
	    {"mail.example.com", "mx.example.net", "mail.example.com", false, "mx.example.net",
		NULL},
	    {"example.com", NULL, "mail.example.com", true, "example.com", "mail.example.com"},
	    {"example.com", NULL, "MAIL.Example.Com", true, "example.com", "MAIL.Example.Com"},
	    {"example.com", NULL, "mail.example.net", true, "example.com", NULL},
	    {"example.com", NULL, "mail.notexample.com", true, "example.com", NULL},
	    {"example.com", NULL, "com", true, "example.com", NULL},
	    {"example.com", "mx.example.net", "mail.example.com", true, "mx.example.net", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_names names = tls_names_of(
		    cases[i].server, cases[i].srv ? cases[i].host : NULL, cases[i].tls_name);

		assert_string_equal(names.host, cases[i].server);
		assert_string_equal(names.accepted[0], cases[i].first);
		assert_int_equal(names.count, cases[i].second == NULL ? 1 : 2);
		if (cases[i].second != NULL)
			assert_string_equal(names.accepted[1], cases[i].second);
	}
}

/* ---- a connection that looks ---- */

struct talker {
	struct peer server;
	int listening;
	bool heard; /* EHLO came */
};

/* Greets with more than is read at once, in one record, and hears EHLO out. */
static void *
talk(void *arg)
{
	CLEANUP_BUF struct buf greeting = BUF_INIT(16 * 1024);
	struct talker *t = arg;
	int fd = accept(t->listening, NULL, NULL);
	SSL *ssl = SSL_new(t->server.context);
	char octets[512];

	for (int i = 0; i < 100; i++)
		(void)buf_printf(&greeting, "220-%0100d\r\n", i);
	(void)buf_append_str(&greeting, "220 ready\r\n");
	if (SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
	    SSL_write(ssl, greeting.data, (int)greeting.len) > 0 &&
	    SSL_read(ssl, octets, sizeof(octets)) > 4) {
		t->heard = memcmp(octets, "EHLO", 4) == 0;
		(void)SSL_write(ssl, "250 there\r\n", 11);
		(void)SSL_read(ssl, octets, sizeof(octets));
	}
	SSL_free(ssl);
	(void)close(fd);
	ERR_clear_error();
	return NULL;
}

struct seen {
	struct event_base *base;
	struct tls_context *context;
	bool ready;
};

static void
on_event(void *arg, const struct smtp_client_event *e)
{
	struct seen *s = arg;

	s->ready = s->ready || e->type == SMTP_CLIENT_READY;
	(void)event_base_loopbreak(s->base);
}

static struct tls_context *
seen_context(void *arg, char *why, size_t why_size)
{
	return ((struct seen *)arg)->context;
}

static void
test_large_record(void **state)
{
	static const struct connection_ops ops = {.tls_context = seen_context, .event = on_event};
	static const struct tls_rules strangers;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	struct talker t = {.listening = socket(AF_INET, SOCK_STREAM, 0)};
	struct seen seen = {.base = event_base_new(), .context = context_of(&strangers)};
	struct netaddr address = {.len = sizeof(a)};
	struct connection_config config = {.base = seen.base,
	    .smtp = {.host = "mail.example.com", .tls = SMTP_TLS_IMPLICIT, .window = 1},
	    .addresses = &address,
	    .address_count = 1,
	    .purpose = CONNECTION_LOOKS,
	    .patience = 10000,
	    .ops = &ops,
	    .arg = &seen};
	struct smtp_connection *c;
	pthread_t thread;

	peer_begin(&t.server, "mail.example.com", TLS1_3_VERSION);
	assert_int_equal(bind(t.listening, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(t.listening, 1), 0);
	assert_int_equal(getsockname(t.listening, (struct sockaddr *)&a, &len), 0);
	memcpy(&address.sockaddr, &a, sizeof(a));
	config.smtp.port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&thread, NULL, talk, &t), 0);
	c = connection_new(&config);
	assert_non_null(c);
	(void)event_base_dispatch(seen.base);
	c = connection_free(c);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(t.heard);
	assert_true(seen.ready);
	(void)close(t.listening);
	(void)tls_context_free(seen.context);
	event_base_free(seen.base);
	peer_end(&t.server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted_is_resumed),
	    cmocka_unit_test(test_look_leaves_no_session),
	    cmocka_unit_test(test_look_resumes_nothing),
	    cmocka_unit_test(test_wrong_name_leaves_no_session),
	    cmocka_unit_test(test_pins),
	    cmocka_unit_test(test_server_names),
	    cmocka_unit_test(test_large_record),
	};

	return cmocka_run_group_tests_name("send/tls", tests, NULL, NULL);
}
