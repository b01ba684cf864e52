/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * A listener as its callers meet it, with the role that ends TLS played by the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "tests/unit/queue/harness.h"

enum { LONG = 10000 };

/* Says so, where that is not NULL, and reads up to a line that begins with `last`: is it the last
 * that comes? */
static bool
converse(struct harness *h, int fd, const char *words, const char *last)
{
	char text[4096] = "";
	size_t len = 0;

	if (words != NULL)
		assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
	while (len < sizeof(text) - 1 && harness_wait(h, fd, LONG)) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
		const char *line;

		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		if (text[len - 1] != '\n')
			continue;
		text[len - 2] = '\0';
		line = strrchr(text, '\n');
		line = line == NULL ? text : line + 1;
		if (strncmp(line, last, strlen(last)) == 0)
			return true;
		text[len - 2] = '\r';
	}
	print_message("said: %s\n", text);
	return false;
}

static bool
is_over(struct harness *h, int fd)
{
	char rest[64];

	return harness_wait(h, fd, LONG) && recv(fd, rest, sizeof(rest), 0) <= 0;
}

/* Plays the handshake: the connection goes on at the socket that is returned. */
static int
begin_tls(struct harness *h, int tls)
{
	CLEANUP_MESSAGE struct message *m = NULL;
	struct message *out = message_new(M_TLS_BEGUN);
	int pair[2], fd = -1;

	assert_true(harness_wait(h, tls, LONG));
	assert_int_equal(message_read(tls, &m, &fd), 1);
	assert_int_equal(message_type(m), M_TLS_BEGIN);
	assert_string_equal(message_str(m, F_LISTENER), "door");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	message_put_u64(out, F_ID, message_u64(m, F_ID, 0));
	message_put_str(out, F_TLS, "TLSv1.3");
	assert_int_equal(message_write(tls, out, pair[1]), 0);
	(void)message_free(out);
	close(pair[1]);
	return pair[0];
}

/* A session that has begun on the listener, up to STARTTLS; *ret_tls is the role's channel. */
static int
start_tls(struct harness *h, int *ret_tls)
{
	int fd = harness_connect_listener(h), inside;

	assert_true(converse(h, fd, NULL, "220 "));
	assert_true(converse(h, fd, "EHLO x\r\n", "250 "));
	/* the client waits for this one, and says nothing before */
	assert_true(converse(h, fd, "STARTTLS\r\n", "220 2.0.0 Ready"));
	*ret_tls = harness_give_tls(h);
	inside = begin_tls(h, *ret_tls);
	close(fd);
	return inside;
}

static void
test_starttls_is_answered(void **state)
{
	struct harness *h = *state;
	int fd, tls;

	harness_add_listener(h, "starttls");
	harness_start(h);
	fd = start_tls(h, &tls);
	/* RFC 3207 section 4.2: what was said before does not count, and there is no second one */
	assert_true(converse(h, fd, "AUTH PLAIN\r\n", "503 5.5.1 Say EHLO"));
	assert_true(converse(h, fd, "EHLO x\r\n", "250 "));
	assert_true(converse(h, fd, "STARTTLS\r\n", "503 "));
	assert_true(converse(h, fd, "QUIT\r\n", "221 "));
	assert_true(is_over(h, fd));
	close(fd);
	close(tls);
}

/* CVE-2011-0411: commands behind STARTTLS are not taken for what came through TLS. */
static void
test_nothing_is_smuggled_into_tls(void **state)
{
	struct harness *h = *state;
	int fd;

	harness_add_listener(h, "starttls");
	harness_start(h);
	fd = harness_connect_listener(h);
	assert_true(converse(h, fd, NULL, "220 "));
	assert_true(converse(h, fd, "EHLO x\r\nSTARTTLS\r\nNOOP\r\n", "554 5.5.0"));
	assert_true(is_over(h, fd));
	close(fd);
}

/* The response of AUTH PLAIN (RFC 4616). */
static void
take_password(void *arg, const struct message *m)
{
	struct buf *plain = arg;
	const uint8_t *bytes;
	size_t at = 0, len;

	if (message_type(m) != M_SERVICE_SECRET)
		return;
	assert_true(message_next(m, F_SECRET, &at, &bytes, &len));
	assert_int_equal(buf_append(plain, "\0svc\0", 5), 0);
	assert_int_equal(buf_append(plain, bytes, len), 0);
}

/* Gives the service a new password, and writes the AUTH with it. */
static void
write_auth(struct harness *h, struct buf *out)
{
	struct message *ask = message_new(M_SERVICE_PASSWORD);
	CLEANUP_BUF struct buf plain = BUF_INIT(200);

	message_put_str(ask, F_SERVICE, "svc");
	message_put_str(ask, F_ACTION, "new");
	(void)message_free(harness_ask(h, 0, ask, take_password, &plain));
	assert_int_equal(buf_append_str(out, "AUTH PLAIN "), 0);
	assert_int_equal(base64_encode(out, plain.data, plain.len), 0);
	assert_int_equal(buf_append_str(out, "\r\n"), 0);
}

/* Who logged in in clear is nobody inside TLS; and a password that is replaced is good no more. */
static void
test_logins_end(void **state)
{
	static const char mail[] = "MAIL FROM:<x@example.com>\r\n";
	struct harness *h = *state;
	CLEANUP_BUF struct buf auth = BUF_INIT(1000), other = BUF_INIT(1000);
	int fd, tls, inside;

	harness_add_listener(h, "starttls");
	harness_start(h);
	write_auth(h, &auth);
	fd = harness_connect_listener(h);
	assert_true(converse(h, fd, NULL, "220 "));
	assert_true(converse(h, fd, "EHLO x\r\n", "250 "));
	assert_true(converse(h, fd, mail, "530 5.7.0"));
	assert_true(converse(h, fd, buf_str(&auth), "235 "));
	assert_true(converse(h, fd, mail, "250 "));
	assert_true(converse(h, fd, "RSET\r\n", "250 "));
	assert_true(converse(h, fd, "STARTTLS\r\n", "220 2.0.0 Ready"));
	tls = harness_give_tls(h);
	inside = begin_tls(h, tls);
	assert_true(converse(h, inside, "EHLO x\r\n", "250 "));
	assert_true(converse(h, inside, mail, "530 5.7.0"));
	assert_true(converse(h, inside, buf_str(&auth), "235 "));
	assert_true(converse(h, inside, mail, "250 "));
	assert_true(converse(h, inside, "RSET\r\n", "250 "));
	write_auth(h, &other);
	assert_true(converse(h, inside, mail, "530 5.7.0"));
	close(inside);
	close(fd);
	close(tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HARNESS_TEST(test_starttls_is_answered),
	    HARNESS_TEST(test_nothing_is_smuggled_into_tls),
	    HARNESS_TEST(test_logins_end),
	};

	return cmocka_run_group_tests_name("queue/listener", tests, NULL, NULL);
}
