/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of base/log.c: lines on standard error and in the journal, neither of which can be
 * forged. The journal is a socket pair: socket() and connect() are wrapped by the linker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"

static int journal[2] = {-1, -1};
static char journal_path[200];

int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);

int
__wrap_socket(int domain, int type, int protocol)
{
	assert_int_equal(domain, AF_UNIX);
	assert_int_equal(type, SOCK_DGRAM | SOCK_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, journal), 0);
	return journal[0];
}

int
__wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)snprintf(journal_path, sizeof(journal_path), "%s",
	    ((const struct sockaddr_un *)address)->sun_path);
	return 0;
}

/* Runs with standard error in a pipe; what was written to it comes back as a string. */
struct capture {
	int saved, pipe[2];
};

static void
capture_begin(struct capture *c)
{
	(void)fflush(stderr);
	c->saved = dup(STDERR_FILENO);
	assert_true(c->saved >= 0);
	assert_int_equal(pipe2(c->pipe, O_CLOEXEC), 0);
	/* Lines must fit without a reader. */
	(void)fcntl(c->pipe[1], F_SETPIPE_SZ, 256 * 1024);
	assert_int_equal(dup2(c->pipe[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(c->pipe[1]);
}

static void
capture_end(struct capture *c, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	assert_int_equal(dup2(c->saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(c->saved);
	while (len < size - 1 && (n = read(c->pipe[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	(void)close(c->pipe[0]);
}

static void
test_lines(void **state)
{
	struct capture c;
	char out[8192];

	log_open("frankd[queue]", LOG_LEVEL_INFO);
	assert_int_equal(journal[0], -1); /* nobody asked for a socket */
	capture_begin(&c);
	errno = E2BIG;
	log_line(LOG_LEVEL_INFO, "ready", NULL);
	log_line(LOG_LEVEL_DEBUG, "not seen", NULL);
	log_error("cannot open %s", "x\ny");
	log_line(LOG_LEVEL_WARNING, "refused",
	    LOG_PAIRS({LOG_ACCOUNT, "billing"}, {LOG_SERVICE, NULL},
		{LOG_REPLY, "550 5.1.1 \"no\" user\r\n=\xff"}, {LOG_SENDER, ""}));
	log_line(LOG_LEVEL_NOTICE, "plain", NULL);
	assert_int_equal(errno, E2BIG);
	capture_end(&c, out, sizeof(out));
	assert_string_equal(out, "frankd[queue]: ready\n"
				 "frankd[queue]: error: cannot open x\\x0ay\n"
				 "frankd[queue]: warning: refused account=billing reply=\"550 "
				 "5.1.1 \\\"no\\\" user\\x0d\\x0a=\\xff\" sender=\"\"\n"
				 "frankd[queue]: plain\n");
}

static void
test_every_field_has_a_name(void **state)
{
	struct capture c;
	char out[8192];

	capture_begin(&c);
	for (int f = LOG_END + 1; f < LOG_FIELD_COUNT; f++)
		log_line(LOG_LEVEL_NOTICE, "x", LOG_PAIRS({(enum log_field)f, "v"}));
	capture_end(&c, out, sizeof(out));
	assert_null(strstr(out, "(null)"));
	assert_non_null(strstr(out, " queue_id=v\n"));
}

/* Values are cut; a line of many long ones is too, and says so. */
static void
test_long_line(void **state)
{
	struct capture c;
	static char value[30000], out[100000];

	memset(value, 'v', sizeof(value) - 1);
	capture_begin(&c);
	log_line(LOG_LEVEL_NOTICE, "long", LOG_PAIRS({LOG_REPLY, value}, {LOG_ACCOUNT, "a"}));
	capture_end(&c, out, sizeof(out));
	assert_int_equal(strlen(out), strlen("frankd[queue]: long reply=... account=a\n") + 2048);
	assert_non_null(strstr(out, "v... account=a\n"));
	memset(value, '\n', sizeof(value) - 1);
	capture_begin(&c);
	log_line(LOG_LEVEL_NOTICE, value,
	    LOG_PAIRS(
		{LOG_REPLY, value}, {LOG_ACCOUNT, value}, {LOG_ERROR, value}, {LOG_FILE, "x"}));
	capture_end(&c, out, sizeof(out));
	assert_true(strlen(out) <= 32 * 1024 + 8);
	assert_non_null(strstr(out, " file=x ...\n"));
}

static void
test_recipients(void **state)
{
	static char text[LOG_RECIPIENTS_SIZE], longest[2000];

	assert_string_equal(log_recipients(text, "a@example.org", 1), "a@example.org");
	assert_string_equal(log_recipients(text, "a@example.org", 3), "a@example.org and 2 more");
	memset(longest, 'a', sizeof(longest) - 1);
	assert_string_equal(log_recipients(text, longest, 10000) + 400, " and 9999 more");
}

static void
read_journal(char *out, size_t size)
{
	ssize_t n = recv(journal[1], out, size - 1, MSG_DONTWAIT);

	out[n < 0 ? 0 : n] = '\0';
}

static void
test_journal(void **state)
{
	struct capture c;
	struct stat st;
	char stream[100];
	static char value[30000], out[100000];

	capture_begin(&c);
	/* Another stream than ours: no journal. */
	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	log_open("frankd[queue]", LOG_LEVEL_INFO);
	assert_int_equal(journal[0], -1); /* nobody asked for a socket */
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(
	    stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_open("frankd[queue]", LOG_LEVEL_INFO);
	assert_int_not_equal(journal[0], -1);
	assert_string_equal(journal_path, "/run/systemd/journal/socket");
	/* what is said before the start is over goes by the stream, which the journal knows to be the unit's */
	log_error("cannot start");
	read_journal(out, sizeof(out));
	assert_string_equal(out, "");
	log_started();
	log_line(LOG_LEVEL_WARNING, "refused\nPRIORITY=0",
	    LOG_PAIRS({LOG_QUEUE_ID, "3F\nX=1"}, {LOG_UID, "0"}));
	read_journal(out, sizeof(out));
	assert_string_equal(out,
	    "PRIORITY=4\nSYSLOG_IDENTIFIER=frankd[queue]\nMESSAGE=refused\\x0aPRIORITY=0"
	    " queue_id=\"3F\\x0aX=1\" uid=0\nFRANK_QUEUE_ID=3F\\x0aX=1\nFRANK_UID=0\n");
	/* A line that does not fit, and one that nobody takes, still appear. */
	memset(value, 1, sizeof(value) - 1);
	log_line(LOG_LEVEL_NOTICE, value,
	    LOG_PAIRS(
		{LOG_REPLY, value}, {LOG_ACCOUNT, value}, {LOG_ERROR, value}, {LOG_FILE, value}));
	(void)close(journal[1]);
	log_notice("nobody listens");
	capture_end(&c, out, sizeof(out));
	assert_non_null(strstr(out, "<3>frankd[queue]: error: cannot start\n"));
	assert_non_null(strstr(out, "<5>frankd[queue]: \\x01"));
	assert_non_null(strstr(out, "\n<5>frankd[queue]: nobody listens\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_every_field_has_a_name),
	    cmocka_unit_test(test_long_line),
	    cmocka_unit_test(test_recipients),
	    cmocka_unit_test(test_journal),
	};

	(void)unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
