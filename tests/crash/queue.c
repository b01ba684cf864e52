/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Kills the queue role with SIGKILL at random moments while callers hand in messages and send
 * delivers them, then asserts: what was answered 250 is delivered, whatever happened in between; a
 * message is delivered twice only where the kill fell between the server's answer and the record of
 * it. Prints the counts.
 *
 * usage: crash-queue [ROUNDS [SEED]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/ipc/reply.h"
#include "tests/unit/queue/harness.h"

enum { CALLERS = 4, IDS_MAX = 200000, LARGE_EVERY = 7, LARGE = 60000 };

static struct {
	unsigned char acknowledged[IDS_MAX], delivered[IDS_MAX];
} seen;

/* ---- callers ---- */

/* One message through the socket: was it answered 250? */
static bool
hand_in(const struct sockaddr_un *where, unsigned id)
{
	static char text[LARGE + 1000];
	size_t size = id % LARGE_EVERY == 0 ? LARGE : 500;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;
	char replies[2000];
	size_t got = 0;
	ssize_t r;

	if (connect(fd, (const struct sockaddr *)where, sizeof(*where)) < 0) {
		close(fd);
		return false;
	}
	n = snprintf(text, sizeof(text),
	    "EHLO x\r\nMAIL FROM:<x@example.com> XID=%032x\r\nRCPT TO:<r@example.org>\r\nBDAT %zu "
	    "LAST\r\n"
	    "Subject: %08u\r\n\r\n",
	    id + 1, size, id);
	for (size_t i = 21; i < size; i += 50)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%.*s\r\n",
		    (int)(size - i < 50 ? (size - i > 2 ? size - i - 2 : 0) : 48),
		    "................................................");
	n += snprintf(text + n, sizeof(text) - (size_t)n, "QUIT\r\n");
	for (int at = 0; at < n;) {
		r = send(fd, text + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (r <= 0)
			break;
		at += (int)r;
	}
	while (got < sizeof(replies) - 1 &&
	       (r = recv(fd, replies + got, sizeof(replies) - 1 - got, 0)) > 0)
		got += (size_t)r;
	replies[got] = '\0';
	close(fd);
	return strstr(replies, "queued as") != NULL || strstr(replies, "queued before") != NULL;
}

/* Hands in messages until killed; tells of each that was taken. One that was not is tried once
 * more, as the shim does. */
static void
call(const struct sockaddr_un *where, unsigned first, int tell)
{
	for (unsigned id = first; id < IDS_MAX; id += CALLERS)
		if ((hand_in(where, id) || hand_in(where, id)) &&
		    write(tell, &id, sizeof(id)) != sizeof(id))
			break;
	_exit(0);
}

/* ---- main, keeper and send ---- */

static void
deliver(struct harness *h, struct message *job, int fd)
{
	static const struct smtp_reply ok = {
	    .code = 250, .enhanced = "2.0.0", .stage = SMTP_STAGE_EOM, .text = (char *)"Ok"};
	char begin[1000];
	const char *subject;
	size_t len;
	const uint8_t *body = message_bytes(job, F_BODY, &len);
	unsigned id;

	if (fd >= 0)
		len = (size_t)pread(fd, begin, sizeof(begin) - 1, 0);
	else
		(void)memcpy(begin, body, len = len < sizeof(begin) - 1 ? len : sizeof(begin) - 1);
	begin[len] = '\0';
	subject = strstr(begin, "Subject: ");
	assert_non_null(subject);
	id = (unsigned)strtoul(subject + 9, NULL, 10);
	assert_in_range(id, 0, IDS_MAX - 1);
	seen.delivered[id]++;
	harness_job_done(h, job, &ok);
}

static void
hear(int told)
{
	unsigned id;

	while (read(told, &id, sizeof(id)) == sizeof(id))
		seen.acknowledged[id] = 1;
}

/* Works for so long; false when nothing happened at all. */
static bool
work(struct harness *h, int ms, int told)
{
	struct timespec t;
	int64_t end, now;
	bool any = false;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	end = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
	do {
		int fd = -1;
		struct message *job = harness_job(h, 20, &fd);

		if (job != NULL) {
			any = true;
			deliver(h, job, fd);
		}
		if (fd >= 0)
			close(fd);
		(void)message_free(job);
		hear(told);
		assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
		now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	} while (now < end);
	return any;
}

static void
all_acknowledged_mail_arrives(void **state)
{
	const int *arguments = *state;
	struct harness h;
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	pid_t callers[CALLERS];
	unsigned acknowledged = 0, lost = 0, twice = 0, silent = 0;
	int told[2];

	srandom((unsigned)arguments[1]);
	harness_init(&h);
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(fcntl(told[0], F_SETFL, O_NONBLOCK), 0);
	(void)snprintf(where.sun_path, sizeof(where.sun_path), "%s/submit.sock", h.dir);
	harness_start(&h);
	for (unsigned i = 0; i < CALLERS; i++) {
		callers[i] = fork();
		assert_true(callers[i] >= 0);
		if (callers[i] == 0)
			call(&where, i, told[1]);
	}
	for (int round = 0; round < arguments[0]; round++) {
		(void)work(&h, (int)(random() % 150), told[0]);
		harness_kill(&h);
		harness_start(&h);
	}
	for (unsigned i = 0; i < CALLERS; i++) {
		assert_int_equal(kill(callers[i], SIGKILL), 0);
		assert_int_equal(waitpid(callers[i], NULL, 0), callers[i]);
	}
	/* Everything is due at once: what is held after three crashes in flight is let go. */
	for (unsigned quiet = 0; quiet < 3;) {
		struct message *m = message_new(M_QUEUE_ACT);

		message_put_str(m, F_ACTION, "release");
		(void)message_free(harness_ask(&h, 0, m, NULL, NULL));
		m = message_new(M_QUEUE_ACT);
		message_put_str(m, F_ACTION, "retry");
		(void)message_free(harness_ask(&h, 0, m, NULL, NULL));
		quiet = work(&h, 300, told[0]) ? 0 : quiet + 1;
	}
	for (unsigned id = 0; id < IDS_MAX; id++) {
		acknowledged += seen.acknowledged[id];
		lost += seen.acknowledged[id] && seen.delivered[id] == 0;
		twice += seen.delivered[id] > 1;
		silent += !seen.acknowledged[id] && seen.delivered[id] > 0;
	}
	print_message(
	    "%d kills: %u messages answered 250, %u lost, %u delivered twice, %u delivered whose "
	    "answer was lost\n",
	    arguments[0], acknowledged, lost, twice, silent);
	assert_true(acknowledged > 0);
	assert_int_equal(lost, 0);
	/* At most what was in flight at a kill: a window of jobs. */
	assert_true(twice <= (unsigned)arguments[0] * 20);
	harness_free(&h);
}

int
main(int argc, char **argv)
{
	int arguments[2] = {argc > 1 ? (int)strtol(argv[1], NULL, 10) : 25,
	    argc > 2 ? (int)strtol(argv[2], NULL, 10) : (int)time(NULL)};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(all_acknowledged_mail_arrives, arguments),
	};

	print_message("seed %d\n", arguments[1]);
	return cmocka_run_group_tests_name("crash/queue", tests, NULL, NULL);
}
