/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Captured mail through control.sock: who is told of it, and when; who may read it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/unit/queue/view.h"

enum { PATIENCE = 5000, OWNER = 1234, OTHER = 4321, LARGE = 100 * 1024, ROOM = 4 * LARGE };

/* What one answer said. */
struct told {
	uint64_t mark, removed;
	unsigned messages;
	char id[32], subject[64];
	struct buf content;
};

static void
take(void *arg, const struct message *m)
{
	struct told *t = arg;
	const uint8_t *bytes;
	size_t len;

	switch (message_type(m)) {
	case M_CAPTURED_MARK:
		t->mark = message_u64(m, F_ID, 0);
		t->removed = message_u64(m, F_REMOVED, 0);
		break;
	case M_ROW_MESSAGE:
		t->messages++;
		view_copy_id(m, t->id);
		(void)snprintf(t->subject, sizeof(t->subject), "%s",
		    message_has(m, F_SUBJECT) ? message_str(m, F_SUBJECT) : "");
		break;
	case M_CONTENT:
		bytes = message_bytes(m, F_BODY, &len);
		assert_int_equal(buf_append(&t->content, (const char *)bytes, len), 0);
		break;
	default:
		break;
	}
}

/* The exit status. */
static unsigned
ask(struct harness *h, uid_t uid, struct message *m, struct told *t)
{
	struct message *done = harness_ask(h, uid, m, take, t);
	unsigned status;

	assert_non_null(done);
	status = (unsigned)message_u64(done, F_EXIT, 99);
	(void)message_free(done);
	return status;
}

static struct told
captured(struct harness *h, uid_t uid, uint64_t since)
{
	struct message *m = message_new(M_CAPTURED);
	struct told t = {0};

	message_put_u64(m, F_ID, since);
	assert_int_equal(ask(h, uid, m, &t), EX_OK);
	return t;
}

static unsigned
content(struct harness *h, uid_t uid, const char *id, uint64_t offset, struct told *t)
{
	struct message *m = message_new(M_CONTENT_GET);

	*t = (struct told){.content = BUF_INIT(ROOM)};
	message_put_str(m, F_QUEUE_ID, id);
	if (offset > 0)
		message_put_u64(m, F_OFFSET, offset);
	return ask(h, uid, m, t);
}

/* Hands in a message with this subject as `uid`, `size` octets of text behind it. */
static void
hand_in(struct harness *h, uid_t uid, const char *subject, size_t size)
{
	struct buf in = BUF_INIT(ROOM);
	char *replies;

	(void)buf_printf(&in,
	    "EHLO x\r\nMAIL FROM:<> XCALLER\r\nRCPT TO:<a@example.org>\r\nBDAT %zu LAST\r\n"
	    "Subject: %s\r\n\r\n",
	    strlen("Subject: \r\n\r\n") + strlen(subject) + size, subject);
	for (size_t i = 0; i < size; i++)
		(void)buf_append_char(&in, i % 70 == 69 ? '\n' : 'x');
	(void)buf_append_str(&in, "QUIT\r\n");
	replies = harness_submit(h, uid, buf_str(&in), in.len);
	if (strstr(replies, "queued as") == NULL)
		fail_msg("%s", replies);
	free(replies);
	buf_free(&in);
}

static void
test_is_listed_since_a_mark(void **state)
{
	struct harness *h = *state;
	struct told t;

	h->mode = "capture";
	harness_start(h);
	hand_in(h, 0, "first", 10);
	t = captured(h, 0, 0);
	assert_int_equal(t.messages, 1);
	assert_int_equal(t.removed, 0);
	t = captured(h, 0, t.mark);
	assert_int_equal(t.messages, 0);
	hand_in(h, 0, "second", 10);
	t = captured(h, 0, t.mark);
	assert_int_equal(t.messages, 1);
	assert_string_equal(t.subject, "second");
	/* not what others have handed in */
	hand_in(h, OWNER, "third", 10);
	assert_int_equal(captured(h, OTHER, 0).messages, 0);
	assert_int_equal(captured(h, OWNER, 0).messages, 1);
	assert_int_equal(captured(h, 0, 0).messages, 3);
}

static void
test_mail_on_its_way_is_not_captured(void **state)
{
	struct harness *h = *state;

	harness_start(h);
	hand_in(h, 0, "goes out", 10);
	assert_int_equal(captured(h, 0, 0).messages, 0);
}

/* The next packet that the connection brings: the caller frees it. NULL: it is closed. */
static struct message *
next(struct harness *h, int fd)
{
	struct message *m = NULL;
	int passed;

	assert_true(harness_wait(h, fd, PATIENCE));
	return message_read(fd, &m, &passed) == 1 ? m : NULL;
}

static void
begin_wait(int fd, uint64_t seconds)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_CAPTURED);

	message_put_u64(m, F_WAIT, seconds);
	assert_int_equal(message_write(fd, m, -1), 0);
}

static void
expect(struct harness *h, int fd, enum message_type type)
{
	CLEANUP_MESSAGE struct message *m = next(h, fd);

	assert_non_null(m);
	assert_int_equal(message_type(m), type);
}

static void
test_whoever_waits_is_told(void **state)
{
	struct harness *h = *state;
	int fd, other;

	h->mode = "capture";
	harness_start(h);
	fd = harness_connect_control(h, 0);
	other = harness_connect_control(h, OTHER);
	begin_wait(fd, 600);
	begin_wait(other, 2);
	expect(h, fd, M_CAPTURED_MARK);
	expect(h, other, M_CAPTURED_MARK);
	/* and again, since nothing was there */
	expect(h, fd, M_CAPTURED_MARK);
	expect(h, other, M_CAPTURED_MARK);
	assert_false(harness_wait(h, fd, 100));
	for (int i = 0; i < 3; i++) {
		hand_in(h, OWNER, "awaited", 10);
		expect(h, fd, M_ROW_MESSAGE);
		expect(h, fd, M_ROW_RECIPIENT);
		assert_false(harness_wait(h, fd, 50));
	}
	/* it is not the other's mail; his wait ends by itself */
	expect(h, other, M_QUEUE_DONE);
	/* whoever asks something else meanwhile breaks off */
	begin_wait(fd, 1);
	assert_null(next(h, fd));
	close(fd);
	close(other);
}

/* A message that began before another is stored behind it, and is told of all the same. */
static void
test_one_that_was_slow_is_told(void **state)
{
	static const char begin[] = "EHLO x\r\nMAIL FROM:<> XCALLER\r\nRCPT TO:<a@example.org>\r\n"
				    "BDAT 15\r\nSubject: slow\r\n";
	static const char end[] = "BDAT 3 LAST\r\n\nx\nQUIT\r\n";
	struct harness *h = *state;
	struct told t;
	char *replies;
	int fd, slow;

	h->mode = "capture";
	harness_start(h);
	t = captured(h, 0, 0);
	fd = harness_connect_control(h, 0);
	slow = harness_connect(h, 0);
	assert_int_equal(write(slow, begin, strlen(begin)), strlen(begin));
	harness_serve(h, 100);
	begin_wait(fd, 600);
	expect(h, fd, M_CAPTURED_MARK);
	expect(h, fd, M_CAPTURED_MARK);
	hand_in(h, 0, "quick", 10);
	expect(h, fd, M_ROW_MESSAGE);
	expect(h, fd, M_ROW_RECIPIENT);
	assert_int_equal(write(slow, end, strlen(end)), strlen(end));
	replies = harness_replies(h, slow);
	assert_non_null(strstr(replies, "queued as"));
	free(replies);
	/* its id is the lower one */
	assert_string_equal(captured(h, 0, t.mark).subject, "quick");
	expect(h, fd, M_ROW_MESSAGE);
	close(fd);
}

/* Who waits and goes leaves its place to others. */
static void
test_places_of_who_waited_are_free_again(void **state)
{
	struct harness *h = *state;
	int fd;

	h->mode = "capture";
	harness_start(h);
	for (int i = 0; i < 20; i++) {
		fd = harness_connect_control(h, OWNER);
		begin_wait(fd, 600);
		expect(h, fd, M_CAPTURED_MARK);
		harness_serve(h, 5);
		close(fd);
	}
	assert_int_equal(captured(h, OWNER, 0).messages, 0);
}

static void
test_content_comes_whole(void **state)
{
	static const size_t sizes[] = {10, LARGE};
	struct harness *h = *state;
	struct told t;
	char id[32];

	h->mode = "capture";
	harness_start(h);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t whole;

		hand_in(h, OWNER, "read me", sizes[i]);
		(void)snprintf(id, sizeof(id), "%s", captured(h, 0, 0).id);
		assert_int_equal(content(h, 0, id, 0, &t), EX_OK);
		whole = t.content.len;
		assert_true(whole > sizes[i]);
		assert_non_null(strstr(buf_str(&t.content), "\r\nSubject: read me\r\n"));
		assert_memory_equal(t.content.data + whole - 2, "\r\n", 2);
		buf_free(&t.content);
		assert_int_equal(content(h, 0, id, whole - 5, &t), EX_OK);
		assert_int_equal(t.content.len, 5);
		buf_free(&t.content);
		assert_int_equal(content(h, 0, id, UINT64_MAX, &t), EX_OK);
		assert_int_equal(t.content.len, 0);
	}
	assert_int_equal(content(h, 0, "zz", 0, &t), EX_USAGE);
	assert_int_equal(content(h, 0, "5F", 0, &t), EX_NOINPUT);
}

static void
test_who_may_read(void **state)
{
	struct harness *h = *state;
	struct told t;
	char id[32];

	h->mode = "capture";
	harness_start(h);
	hand_in(h, OWNER, "private", 10);
	(void)snprintf(id, sizeof(id), "%s", captured(h, 0, 0).id);
	assert_int_equal(content(h, OTHER, id, 0, &t), EX_NOINPUT);
	assert_int_equal(t.content.len, 0);
	assert_int_equal(content(h, OWNER, id, 0, &t), EX_OK);
	assert_true(t.content.len > 0);
	buf_free(&t.content);
	/* what goes out: who handed it in, and root */
	h->mode = "deliver";
	harness_configure(h);
	assert_int_equal(view_act(h, 0, "hold", NULL, "acct"), EX_OK);
	hand_in(h, OWNER, "a letter", 10);
	(void)snprintf(id, sizeof(id), "%s", view_list(h, 0).id);
	assert_int_equal(content(h, OTHER, id, 0, &t), EX_NOINPUT);
	for (uid_t uid = 0; uid <= OWNER; uid += OWNER) {
		assert_int_equal(content(h, uid, id, 0, &t), EX_OK);
		assert_non_null(strstr(buf_str(&t.content), "a letter"));
		buf_free(&t.content);
	}
}

/* ---- releasing ---- */

static unsigned
act(struct harness *h, uid_t uid, const char *action, const char *id, bool captured)
{
	struct message *m = message_new(M_QUEUE_ACT);
	struct told t = {0};

	message_put_str(m, F_ACTION, action);
	message_put_str(m, F_QUEUE_ID, id);
	if (captured)
		message_put_u64(m, F_FLAGS, 1);
	return ask(h, uid, m, &t);
}

static void
expect_job(struct harness *h, const char *id)
{
	CLEANUP_MESSAGE struct message *job = harness_job(h, PATIENCE, NULL);

	assert_non_null(job);
	assert_string_equal(message_str(job, F_QUEUE_ID), id);
	harness_job_done(h, job, &harness_ok);
}

static void
test_one_is_released(void **state)
{
	struct harness *h = *state;
	char id[32];

	h->mode = "capture";
	harness_start(h);
	hand_in(h, OWNER, "for somebody after all", 10);
	(void)snprintf(id, sizeof(id), "%s", captured(h, 0, 0).id);
	/* the sender asks in vain; nobody who says "all" means captured mail */
	assert_int_equal(act(h, OWNER, "release", id, false), EX_NOPERM);
	assert_int_equal(act(h, 0, "release", NULL, false), EX_OK);
	assert_int_equal(act(h, 0, "retry", id, false), EX_OK);
	assert_int_equal(act(h, 0, "hold", id, false), EX_OK);
	assert_string_equal(view_show(h, id).state, "captured");
	assert_int_equal(act(h, 0, "release", id, false), EX_OK);
	expect_job(h, id);
	assert_int_equal(captured(h, 0, 0).messages, 0);
}

static void
test_all_captured_are_released(void **state)
{
	struct harness *h = *state;
	char id[32];

	h->mode = "capture";
	harness_start(h);
	hand_in(h, 0, "first", 10);
	(void)snprintf(id, sizeof(id), "%s", captured(h, 0, 0).id);
	h->mode = "deliver";
	harness_configure(h);
	assert_int_equal(view_act(h, 0, "hold", NULL, "acct"), EX_OK);
	hand_in(h, 0, "held", 10);
	/* of those that wait for the account none goes with it */
	assert_int_equal(act(h, 0, "hold", view_list(h, 0).id, false), EX_OK);
	assert_int_equal(act(h, 0, "release", NULL, true), EX_OK);
	assert_int_equal(view_act(h, 0, "release", NULL, "acct"), EX_OK);
	expect_job(h, id);
	assert_null(harness_job(h, 200, NULL));
}

/* A rule lets some recipients have their mail; that of the others stays, and can be released later. */
static void
test_some_recipients_get_theirs(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	const char *rcpt;
	char id[32];
	size_t at = 0;

	h->mode = "capture";
	h->deliver_to = "*@team.example";
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_null(harness_job(h, 200, NULL));
	assert_int_equal(harness_mail(h, "<x@example.com>", "b@team.example", "\nx\n"), 250);
	(void)snprintf(id, sizeof(id), "%s", view_list(h, 0).id);
	expect_job(h, id);
	assert_int_equal(captured(h, 0, 0).messages, 1);
	assert_int_equal(
	    harness_mail(h, "<x@example.com>", "a@example.org b@team.example", "\nx\n"), 250);
	job = harness_job(h, PATIENCE, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	assert_true(message_next_str(job, F_RCPT, &at, &rcpt));
	assert_string_equal(rcpt, "b@team.example");
	assert_false(message_next_str(job, F_RCPT, &at, &rcpt));
	harness_job_done(h, job, &harness_ok);
	assert_string_equal(view_settled(h, id, "captured").state, "captured");
	assert_int_equal(captured(h, 0, 0).messages, 2);
	assert_int_equal(act(h, 0, "release", id, false), EX_OK);
	expect_job(h, id);
	assert_int_equal(captured(h, 0, 0).messages, 1);
}

static void
test_the_oldest_go(void **state)
{
	struct harness *h = *state;
	struct told t;

	h->mode = "capture";
	h->captured_max = 2;
	harness_hurry = 100;
	harness_start(h);
	for (int i = 0; i < 5; i++)
		hand_in(h, 0, i < 3 ? "old" : "new", 10);
	for (int i = 0; i < 100 && captured(h, 0, 0).messages > 2; i++)
		harness_serve(h, 50);
	t = captured(h, 0, 0);
	assert_int_equal(t.messages, 2);
	assert_string_equal(t.subject, "new");
	assert_true(t.removed > 0);
	h->keep_captured = 1;
	harness_configure(h);
	for (int i = 0; i < 100 && captured(h, 0, 0).messages > 0; i++)
		harness_serve(h, 50);
	assert_int_equal(captured(h, 0, 0).messages, 0);
	assert_true(captured(h, 0, 0).removed > t.removed);
	harness_hurry = 1;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    HARNESS_TEST(test_is_listed_since_a_mark),
	    HARNESS_TEST(test_mail_on_its_way_is_not_captured),
	    HARNESS_TEST(test_whoever_waits_is_told),
	    HARNESS_TEST(test_one_that_was_slow_is_told),
	    HARNESS_TEST(test_places_of_who_waited_are_free_again),
	    HARNESS_TEST(test_content_comes_whole),
	    HARNESS_TEST(test_who_may_read),
	    HARNESS_TEST(test_one_is_released),
	    HARNESS_TEST(test_all_captured_are_released),
	    HARNESS_TEST(test_some_recipients_get_theirs),
	    HARNESS_TEST(test_the_oldest_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
