/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * broker/tls: a client of OpenSSL's on one side, this test in the place of queue on the other, the
 * relay between them in an event loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/attr.h"
#include "broker/conf/wire.h"
#include "broker/ipc/message.h"
#include "broker/tls/certificate.h"
#include "broker/tls/relay.h"
#include "broker/tls/terminator.h"

enum { PATIENCE_MS = 10000, MUCH = 300 * 1000 };

/* ---- certificates ---- */

struct pair {
	struct secret *certificate, *key;
};

static struct secret *
secret_of(BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	struct secret *s = secret_new(bytes, (size_t)len);

	assert_non_null(s);
	BIO_free(bio);
	return s;
}

static struct pair
make_pair(long seconds)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_mem());
	struct pair p;

	assert_non_null(key);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -100000);
	X509_gmtime_adj(X509_getm_notAfter(x), seconds);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(c, x), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL), 1);
	p = (struct pair){secret_of(c), secret_of(k)};
	X509_free(x);
	EVP_PKEY_free(key);
	return p;
}

static void
pair_free(struct pair *p)
{
	p->certificate = secret_free(p->certificate);
	p->key = secret_free(p->key);
}

static void
expect_wrong(const struct secret *certificate, const struct secret *key, const char *words)
{
	char why[160] = "";

	assert_null(certificate_context(certificate, key, why, sizeof(why)));
	assert_non_null(strstr(why, words));
	assert_int_equal(ERR_peek_error(), 0);
}

static void
test_certificates(void **state)
{
	struct pair p = make_pair(100000), other = make_pair(100000), old = make_pair(-1000);
	CLEANUP_SECRET struct secret *none = secret_new("nothing\n", 8), *both;
	char joined[8192], why[160], day[16];
	SSL_CTX *c = certificate_context(p.certificate, p.key, why, sizeof(why));

	assert_non_null(c);
	assert_false(certificate_expired(c, day, sizeof(day)));
	assert_int_equal(strlen(day), 10);
	SSL_CTX_free(c);
	expect_wrong(none, p.key, "no certificate");
	expect_wrong(p.certificate, none, "no private key");
	expect_wrong(p.certificate, other.key, "not that of the certificate");
	expect_wrong(p.key, p.key, "no certificate");
	/* one file for both, the key first: as the certificate and as the key */
	(void)snprintf(joined, sizeof(joined), "%s%s", (const char *)secret_bytes(p.key),
	    (const char *)secret_bytes(p.certificate));
	both = secret_new(joined, strlen(joined));
	c = certificate_context(both, both, why, sizeof(why));
	assert_non_null(c);
	SSL_CTX_free(c);
	c = certificate_context(old.certificate, old.key, why, sizeof(why));
	assert_non_null(c);
	assert_true(certificate_expired(c, day, sizeof(day)));
	SSL_CTX_free(c);
	pair_free(&p);
	pair_free(&other);
	pair_free(&old);
}

/* ---- one connection ---- */

struct world {
	struct event_base *base;
	SSL_CTX *server, *client;
	struct relay *relay;
	SSL *ssl;
	int fd, plain; /* the client's socket; queue's end */
	bool ended;
	char why[256], tls[128];
};

static void
on_begun(void *arg, struct relay *r, int plain, const char *tls)
{
	struct world *w = arg;

	w->plain = plain;
	(void)snprintf(w->tls, sizeof(w->tls), "%s", tls);
}

static void
on_ended(void *arg, struct relay *r, const char *why)
{
	struct world *w = arg;

	(void)snprintf(w->why, sizeof(w->why), "%s", why == NULL ? "" : why);
	w->ended = true;
	w->relay = relay_free(w->relay);
}

static const struct relay_ops ops = {on_begun, on_ended};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pair p = make_pair(100000);
	char why[160];
	int pair[2];

	w->base = event_base_new();
	w->plain = -1;
	w->server = certificate_context(p.certificate, p.key, why, sizeof(why));
	w->client = SSL_CTX_new(TLS_client_method());
	pair_free(&p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	w->fd = pair[0];
	w->relay = relay_new(w->base, w->server, pair[1], &ops, w);
	w->ssl = SSL_new(w->client);
	SSL_set_fd(w->ssl, w->fd);
	SSL_set_connect_state(w->ssl);
	*state = w;
	return w->relay == NULL;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	(void)relay_free(w->relay);
	SSL_free(w->ssl);
	SSL_CTX_free(w->server);
	SSL_CTX_free(w->client);
	if (w->fd >= 0)
		close(w->fd);
	if (w->plain >= 0)
		close(w->plain);
	event_base_free(w->base);
	free(w);
	return 0;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
turn(struct world *w)
{
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void
shake_hands(struct world *w)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while ((SSL_do_handshake(w->ssl) != 1 || w->plain < 0) && now_ms() < end)
		turn(w);
	assert_true(w->plain >= 0);
	assert_non_null(strstr(w->tls, "TLSv1.3"));
}

static char
octet(size_t i)
{
	return (char)(i * 31 >> 3);
}

/* Both directions at once, each in pieces of its own. */
static void
test_much_both_ways(void **state)
{
	struct world *w = *state;
	size_t out = 0, out_seen = 0, in = 0, in_seen = 0;
	int64_t end = now_ms() + PATIENCE_MS;
	char bytes[5000];

	shake_hands(w);
	while ((out_seen < MUCH || in_seen < MUCH) && now_ms() < end && !w->ended) {
		size_t size = 1 + (out + in) * 7 % sizeof(bytes);
		ssize_t n;

		for (size_t i = 0; i < size; i++)
			bytes[i] = octet(out + i);
		n = out < MUCH
			? SSL_write(w->ssl, bytes, (int)(size < MUCH - out ? size : MUCH - out))
			: 0;
		out += n > 0 ? (size_t)n : 0;
		for (size_t i = 0; i < size; i++)
			bytes[i] = octet(in + i);
		n = in < MUCH
			? send(w->plain, bytes, size < MUCH - in ? size : MUCH - in, MSG_DONTWAIT)
			: 0;
		in += n > 0 ? (size_t)n : 0;
		turn(w);
		/* readers that are slower than writers */
		n = recv(w->plain, bytes, 1 + size / 3, MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], octet(out_seen++));
		n = SSL_read(w->ssl, bytes, (int)(1 + size / 2));
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], octet(in_seen++));
		turn(w);
	}
	assert_int_equal(out_seen, MUCH);
	assert_int_equal(in_seen, MUCH);
	assert_false(w->ended);
}

static bool
ends(struct world *w)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (!w->ended && now_ms() < end)
		turn(w);
	return w->ended;
}

/* Queue says its last word and hangs up: the client has it, and then the end. */
static void
test_queue_ends(void **state)
{
	struct world *w = *state;
	char bytes[64];
	int n;

	shake_hands(w);
	assert_int_equal(send(w->plain, "221 Bye\r\n", 9, 0), 9);
	close(w->plain);
	w->plain = -1;
	for (int64_t end = now_ms() + PATIENCE_MS;
	     (n = SSL_read(w->ssl, bytes, sizeof(bytes))) <= 0 && now_ms() < end;)
		turn(w);
	assert_int_equal(n, 9);
	for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
		turn(w);
		n = SSL_read(w->ssl, bytes, sizeof(bytes));
		if (n <= 0 && SSL_get_error(w->ssl, n) != SSL_ERROR_WANT_READ)
			break;
	}
	assert_int_equal(SSL_get_error(w->ssl, n), SSL_ERROR_ZERO_RETURN);
	assert_false(w->ended); /* the client may still hang up by itself */
	(void)SSL_shutdown(w->ssl);
	assert_true(ends(w));
	assert_string_equal(w->why, "");
}

/* What the client says after that does not cut the last words off, also where they are many. */
static void
test_queue_ends_first(void **state)
{
	static char words[60000];
	struct world *w = *state;
	int64_t end = now_ms() + PATIENCE_MS;
	size_t got = 0;
	char bytes[5000];

	shake_hands(w);
	assert_int_equal(SSL_write(w->ssl, "QUIT\r\nNOOP\r\n", 12), 12);
	assert_int_equal(send(w->plain, words, sizeof(words), 0), sizeof(words));
	close(w->plain);
	w->plain = -1;
	while (got < sizeof(words) && now_ms() < end) {
		int n = SSL_read(w->ssl, bytes, sizeof(bytes));

		got += n > 0 ? (size_t)n : 0;
		turn(w);
	}
	assert_int_equal(got, sizeof(words));
	assert_true(ends(w));
	assert_string_equal(w->why, "");
}

/* The client says that it is through: queue sees the end, and its answers still go out. */
static void
test_client_ends(void **state)
{
	struct world *w = *state;
	char bytes[64];
	int64_t end = now_ms() + PATIENCE_MS;
	ssize_t n;

	shake_hands(w);
	assert_int_equal(SSL_write(w->ssl, "QUIT\r\n", 6), 6);
	(void)SSL_shutdown(w->ssl);
	while ((n = recv(w->plain, bytes, sizeof(bytes), MSG_DONTWAIT)) < 0 && now_ms() < end)
		turn(w);
	assert_int_equal(n, 6);
	while ((n = recv(w->plain, bytes, sizeof(bytes), MSG_DONTWAIT)) < 0 && now_ms() < end)
		turn(w);
	assert_int_equal(n, 0);
	assert_int_equal(send(w->plain, "250 OK\r\n", 8, MSG_NOSIGNAL), 8);
	close(w->plain);
	w->plain = -1;
	assert_true(ends(w));
	n = SSL_read(w->ssl, bytes, sizeof(bytes));
	assert_int_equal(n, 8);
}

static void
test_client_breaks(void **state)
{
	struct world *w = *state;
	char bytes[8];

	shake_hands(w);
	close(w->fd);
	w->fd = -1;
	assert_true(ends(w));
	assert_int_equal(recv(w->plain, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
}

static void
test_no_tls(void **state)
{
	struct world *w = *state;

	assert_int_equal(send(w->fd, "EHLO program\r\n", 14, 0), 14);
	assert_true(ends(w));
	assert_int_equal(w->plain, -1);
	assert_true(*w->why != '\0');
}

static void
test_gone_at_once(void **state)
{
	struct world *w = *state;

	close(w->fd);
	w->fd = -1;
	assert_true(ends(w));
	assert_non_null(strstr(w->why, "closed"));
}

/* What queue wrote last is not lost when its channel goes first. */
static void
test_flush(void **state)
{
	struct world *w = *state;
	char bytes[64];

	shake_hands(w);
	assert_int_equal(send(w->plain, "250 queued\r\n", 12, 0), 12);
	relay_flush(w->relay);
	assert_int_equal(SSL_read(w->ssl, bytes, sizeof(bytes)), 12);
}

/* ---- all of them ---- */

struct told {
	enum message_type type;
	uint64_t id;
	char words[256];
	int64_t expires, lifetime; /* of the certificate that was told of last */
};

static void
to_queue(void *arg, struct message *m, int fd)
{
	struct told *t = arg;
	const char *words = message_str(m, message_type(m) == M_TLS_BEGUN ? F_TLS : F_ERROR), *why;

	assert_int_equal(message_check(m, ROLE_TLS, ROLE_QUEUE, fd >= 0, &why), 0);
	if (message_type(m) == M_LISTENER_CERTIFICATE) {
		assert_string_equal(message_str(m, F_LISTENER), "local");
		t->expires = (int64_t)message_u64(m, F_CERTIFICATE_EXPIRES, 0);
		t->lifetime = (int64_t)message_u64(m, F_LIFETIME, 0);
		(void)message_free(m);
		return;
	}
	t->type = message_type(m);
	t->id = message_u64(m, F_ID, 0);
	(void)snprintf(t->words, sizeof(t->words), "%s", words);
	if (fd >= 0)
		close(fd);
	(void)message_free(m);
}

static void
say(struct terminator *w, struct message *m, int fd)
{
	terminator_message(w, m, fd);
	(void)message_free(m);
}

static void
configure(struct terminator *w, const struct pair *p)
{
	const struct conf_listener n = {
	    .name = (char *)"local", .certificate.secret = p->certificate, .key.secret = p->key};

	say(w, message_new(M_CONF_BEGIN), -1);
	say(w, wire_message(CONF_BLOCK_LISTENER, &n, ROLE_TLS), -1);
	say(w, message_new(M_CONF_END), -1);
}

static void
begin(struct terminator *w, uint64_t id, const char *listener, int fd)
{
	struct message *m = message_new(M_TLS_BEGIN);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_LISTENER, listener);
	say(w, m, fd);
}

/* The subject's serial number stands for "which certificate". */
static bool
serves(
    struct event_base *base, struct terminator *terminator, struct told *told, const struct pair *p)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	BIO *bio = BIO_new_mem_buf(secret_bytes(p->certificate), (int)secret_len(p->certificate));
	X509 *want = PEM_read_bio_X509(bio, NULL, NULL, NULL), *got;
	SSL *ssl = SSL_new(c);
	int64_t end = now_ms() + PATIENCE_MS;
	bool same;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	*told = (struct told){0};
	begin(terminator, 5, "local", pair[1]);
	SSL_set_fd(ssl, pair[0]);
	SSL_set_connect_state(ssl);
	while ((SSL_do_handshake(ssl) != 1 || told->type == 0) && told->type != M_TLS_FAILED &&
	       now_ms() < end)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	got = SSL_get1_peer_certificate(ssl);
	same =
	    told->type == M_TLS_BEGUN && told->id == 5 && got != NULL && X509_cmp(got, want) == 0;
	X509_free(got);
	X509_free(want);
	BIO_free(bio);
	SSL_free(ssl);
	SSL_CTX_free(c);
	close(pair[0]);
	return same;
}

static void
test_terminator(void **state)
{
	static const struct terminator_ops ways_ops = {to_queue};
	struct event_base *base = event_base_new();
	struct told told = {0};
	struct terminator *terminator = terminator_new(base, &ways_ops, &told);
	struct pair one = make_pair(100000), two = make_pair(100000),
		    mixed = {one.certificate, two.key};

	begin(terminator, 1, "local", dup(0));
	assert_int_equal(told.type, M_TLS_FAILED);
	configure(terminator, &mixed);
	begin(terminator, 2, "local", dup(0));
	assert_int_equal(told.id, 2);
	assert_non_null(strstr(told.words, "not that of the certificate"));
	assert_int_equal(told.expires, 0); /* of none there is nothing to tell */
	configure(terminator, &one);
	assert_true(told.expires > time(NULL) + 90000 && told.expires <= time(NULL) + 100000);
	assert_int_equal(told.lifetime, 200000);
	told.expires = 0;
	terminator_report(terminator);
	assert_true(told.expires > 0);
	assert_true(serves(base, terminator, &told, &one));
	/* one that is no good leaves the one that was */
	configure(terminator, &mixed);
	assert_true(serves(base, terminator, &told, &one));
	configure(terminator, &two);
	assert_true(serves(base, terminator, &told, &two));
	begin(terminator, 3, "other", dup(0));
	assert_int_equal(told.type, M_TLS_FAILED);
	(void)terminator_free(terminator);
	event_base_free(base);
	pair_free(&one);
	pair_free(&two);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificates),
	    TEST(test_much_both_ways),
	    TEST(test_queue_ends),
	    TEST(test_queue_ends_first),
	    TEST(test_client_ends),
	    TEST(test_client_breaks),
	    TEST(test_no_tls),
	    TEST(test_gone_at_once),
	    TEST(test_flush),
	    cmocka_unit_test(test_terminator),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
