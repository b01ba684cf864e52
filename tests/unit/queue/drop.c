/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The drop directory: what the shim leaves there is sent or returned, and nothing else becomes mail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "broker/queue/inbound/drop-file.h"
#include "tests/unit/identity.h"
#include "tests/unit/queue/view.h"

enum { SHORT = 300, LONG = 5000 };

static void
drop_file(struct harness *h, const char *name, uid_t uid, const char *bytes)
{
	int fd = openat(h->dirs[2], name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	identity_of_file(fd, uid, 0);
	close(fd);
}

static bool
dropped(const struct harness *h, const char *name)
{
	return faccessat(h->dirs[2], name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

#define DROP_MAIL(id) "EHLO x\r\nMAIL FROM:<> XCALLER XID=" id "\r\nRCPT TO:<a@example.org>\r\n"
#define DROP_BODY "BDAT 3 LAST\r\n\nx\n"

static void
test_drop_directory(void **state)
{
	struct harness *h = *state;
	char path[200];

	drop_file(h, "good.drop", 1234,
	    DROP_MAIL("00112233445566778899aabbccddee01") DROP_BODY "QUIT\r\n");
	drop_file(h, "again.drop", 1234,
	    DROP_MAIL("00112233445566778899aabbccddee01") DROP_BODY "QUIT\r\n");
	drop_file(h, "noquit.drop", 1234, DROP_MAIL("00112233445566778899aabbccddee02") DROP_BODY);
	drop_file(h, "cut.drop", 1234,
	    DROP_MAIL("00112233445566778899aabbccddee03") "BDAT 99 LAST\r\nQUIT\r\n");
	drop_file(h, "refused.drop", 1234, "EHLO x\r\nMAIL FROM:<x@@y>\r\nQUIT\r\n");
	drop_file(h, ".new.tmp", 1234, "EHLO x\r\n");
	drop_file(h, "linked.drop", 1234,
	    DROP_MAIL("00112233445566778899aabbccddee04") DROP_BODY "QUIT\r\n");
	assert_int_equal(linkat(h->dirs[2], "linked.drop", h->dirs[2], "other", 0), 0);
	drop_file(h, "shared.drop", 1234,
	    DROP_MAIL("00112233445566778899aabbccddee05") DROP_BODY "QUIT\r\n");
	assert_int_equal(fchmodat(h->dirs[2], "shared.drop", 0660, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", h->dirs[2], "sym.drop"), 0);
	(void)snprintf(path, sizeof(path), "%s/drop/fifo.drop", h->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	harness_start(h);
	for (int i = 0; i < 100 && (dropped(h, "good.drop") || dropped(h, "again.drop")); i++)
		harness_serve(h, 20);
	harness_serve(h, 200);
	assert_false(dropped(h, "good.drop"));
	assert_false(dropped(h, "again.drop"));
	assert_true(dropped(h, "noquit.drop.refused"));
	assert_true(dropped(h, "cut.drop.refused"));
	assert_true(dropped(h, "refused.drop.refused"));
	assert_true(dropped(h, "linked.drop.refused"));
	assert_true(dropped(h, "shared.drop.refused"));
	assert_false(dropped(h, "sym.drop"));
	assert_false(dropped(h, "fifo.drop"));
	assert_true(dropped(h, ".new.tmp"));
	assert_int_equal(view_list(h, 0).messages, 1);
	assert_int_equal(view_list(h, 1234).messages, 1);
	assert_string_equal(view_list(h, 0).sender, "user1234@mail.example");
}

/* A name that does not end in .drop: not touched, and counted once its writer has had its time. */
static void
test_drop_stray_name(void **state)
{
	static const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct harness *h = *state;
	struct shown s;

	drop_file(
	    h, "mail", 1234, DROP_MAIL("00112233445566778899aabbccddee31") DROP_BODY "QUIT\r\n");
	drop_file(h, ".mail.drop", 1234, "EHLO x\r\n");
	drop_file(h, "just-begun", 1234, "EHLO x\r\n");
	assert_int_equal(utimensat(h->dirs[2], "mail", old, 0), 0);
	assert_int_equal(utimensat(h->dirs[2], ".mail.drop", old, 0), 0);
	drop_file(h, "good.drop", 1234,
	    DROP_MAIL("00112233445566778899aabbccddee32") DROP_BODY "QUIT\r\n");
	harness_start(h);
	for (int i = 0; i < 100 && dropped(h, "good.drop"); i++)
		harness_serve(h, 20);
	s = view_status(h);
	assert_non_null(strstr(s.problem, "2 files in the drop directory are not taken in"));
	assert_true(dropped(h, "mail"));
	assert_true(dropped(h, ".mail.drop"));
	assert_true(dropped(h, "just-begun"));
	assert_int_equal(view_list(h, 0).messages, 1);
}

/* A user's messages are taken in the order of their times, users in turn, and none is passed by one behind it. */
static void
test_drop_order(void **state)
{
	static const int order[] = {0, 10, 1, 11, 2, 3, 4, 5, 6, 7, 8, 9};
	struct harness *h = *state;
	static const char list[] = "EHLO x\r\nXFRANK LIST\r\nQUIT\r\n";
	CLEANUP_FREE char *listing = NULL;
	char name[64], text[300];
	const char *at = NULL;

	h->mode = "capture";
	/* by name in the opposite order; the first user has many */
	for (int k = 0; k < 12; k++) {
		struct timespec times[2] = {{1000 + k, 0}, {1000 + k, 0}};
		uid_t uid = k < 10 ? 1234 : 1235;

		(void)snprintf(name, sizeof(name), "%02d.drop", 50 - k);
		(void)snprintf(text, sizeof(text),
		    "EHLO x\r\nMAIL FROM:<m%d@example.com> "
		    "XID=00112233445566778899aabbccddee%02d\r\nRCPT "
		    "TO:<a@example.org>\r\n" DROP_BODY "QUIT\r\n",
		    k, k);
		drop_file(h, name, uid, text);
		assert_int_equal(utimensat(h->dirs[2], name, times, 0), 0);
	}
	assert_int_equal(mkdirat(h->dirs[2], "folder.drop", 0700), 0);
	harness_start(h);
	for (int i = 0; i < 100 && dropped(h, "41.drop"); i++)
		harness_serve(h, 20);
	listing = harness_submit(h, 0, list, strlen(list));
	for (int i = 0; i < 12; i++) {
		(void)snprintf(text, sizeof(text), "m%d@example.com", order[i]);
		at = strstr(at == NULL ? listing : at, text);
		assert_non_null(at);
	}
	assert_true(dropped(h, "folder.drop"));
}

/* One that has to wait keeps those behind it back, so that the order stays; others' go on. */
static void
test_drop_waits(void **state)
{
	CLEANUP_BUF struct buf large = BUF_INIT(60000);
	struct harness *h = *state;

	h->user_in_flight = 10000;
	(void)buf_append_str(
	    &large, DROP_MAIL("00112233445566778899aabbccddee02") "BDAT 40000 LAST\r\n\n");
	for (int i = 0; i < 39999; i++)
		(void)buf_append_char(&large, i % 60 == 59 ? '\n' : 'x');
	(void)buf_append_str(&large, "QUIT\r\n");
	drop_file(
	    h, "1.drop", 1234, DROP_MAIL("00112233445566778899aabbccddee01") DROP_BODY "QUIT\r\n");
	drop_file(h, "2.drop", 1234, buf_str(&large));
	drop_file(
	    h, "3.drop", 1234, DROP_MAIL("00112233445566778899aabbccddee03") DROP_BODY "QUIT\r\n");
	drop_file(
	    h, "4.drop", 1235, DROP_MAIL("00112233445566778899aabbccddee04") DROP_BODY "QUIT\r\n");
	harness_start(h);
	for (int i = 0; i < 100 && (dropped(h, "1.drop") || dropped(h, "4.drop")); i++)
		harness_serve(h, 20);
	harness_serve(h, 100);
	assert_false(dropped(h, "1.drop"));
	assert_false(dropped(h, "4.drop"));
	assert_true(dropped(h, "2.drop"));
	assert_true(dropped(h, "3.drop"));
}

/* ---- the format ---- */

static int
read_text(const char *text)
{
	static const struct drop_file_ops none = {0};
	int fd = memfd_create("drop", MFD_CLOEXEC), r;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	r = drop_file_read(fd, &none, NULL);
	close(fd);
	return r;
}

static void
test_format(void **state)
{
	static const char head[] = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\n",
			  good[] = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\n"
				   "BDAT 2\r\nxyBDAT 0 LAST\r\nQUIT\r\n";
	static const char *const bad[] = {
	    "",
	    "x\n",
	    "started\nready\nEHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1 LAST\r\nxQUIT\r\n",
	    "MAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1 LAST\r\nxQUIT\r\n",
	    "ehlo x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1 LAST\r\nxQUIT\r\n",
	    "EHLO x\nMAIL FROM:<>\nRCPT TO:<a>\nBDAT 1 LAST\nxQUIT\n",
	    "EHLO x\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1 LAST\r\nxQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nBDAT 1 LAST\r\nxQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1\r\nxQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 2 LAST\r\nxQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT  LAST\r\nxQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 99999999999999999999 LAST\r\nxQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1 LAST\r\nxQUIT\r\nQUIT\r\n",
	    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 1 LAST\r\nxRSET\r\nQUIT\r\n",
	};
	CLEANUP_BUF struct buf large = BUF_INIT(200000);

	assert_int_equal(read_text(good), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (read_text(bad[i]) != -EBADMSG)
			fail_msg("taken for a message: %s", bad[i]);
	/* cut anywhere, it is none */
	for (size_t n = 0; n < strlen(good); n++) {
		CLEANUP_FREE char *part = strndup(good, n);

		assert_int_equal(read_text(part), -EBADMSG);
	}
	/* over several windows, at every place of their ends */
	for (int n = 32 * 1024 - 120; n < 32 * 1024 + 20; n++) {
		buf_clear(&large);
		(void)buf_printf(&large, "%sBDAT %d\r\n", head, n);
		for (int i = 0; i < n; i++)
			(void)buf_append_char(&large, 'x');
		(void)buf_append_str(&large, "BDAT 1 LAST\r\nxQUIT\r\n");
		assert_int_equal(read_text(buf_str(&large)), 0);
	}
}

/* Looking at a file takes a bounded time. */
static void
test_many_lines(void **state)
{
	CLEANUP_BUF struct buf large = BUF_INIT(128 * 1024 * 1024);

	(void)buf_append_str(&large, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\n");
	while (large.len < 80 * 1024 * 1024)
		(void)buf_printf(&large, "RCPT TO:<%900d@example.org>\r\n", 1);
	(void)buf_append_str(&large, "BDAT 1 LAST\r\nxQUIT\r\n");
	assert_int_equal(read_text(buf_str(&large)), -EBADMSG);
}

/* ---- what is refused goes back ---- */

static bool
wait_gone(struct harness *h, const char *name)
{
	for (int i = 0; i < 250 && dropped(h, name); i++)
		harness_serve(h, 20);
	return !dropped(h, name);
}

static char *
body_of(const struct message *job)
{
	size_t len;
	const char *body = (const char *)message_bytes(job, F_BODY, &len);

	assert_non_null(body);
	return strndup(body, len);
}

/* The next job is a report to this address that has these words. */
static void
expect_report(struct harness *h, const char *to, const char *words)
{
	CLEANUP_MESSAGE struct message *job = harness_job(h, LONG, NULL);
	CLEANUP_FREE char *body = NULL;
	const char *rcpt;
	size_t at = 0;

	assert_non_null(job);
	assert_true(message_next_str(job, F_RCPT, &at, &rcpt));
	assert_string_equal(rcpt, to);
	body = body_of(job);
	if (strstr(body, words) == NULL || strstr(body, "frankd was down") == NULL)
		fail_msg("not in the report: %s\n%s", words, body);
	harness_job_done(h, job, &harness_ok);
}

#define DROP_TO(id, sender, recipients) "EHLO x\r\nMAIL FROM:" sender " XID=" id "\r\n" recipients
#define DROP_END "BDAT 30 LAST\r\nSubject: hello\nX-A: b\n\nwords\nxQUIT\r\n"

static void
test_unknown_name_is_returned(void **state)
{
	struct harness *h = *state;

	h->local_domain = "mail.example";
	drop_file(h, "a.drop", 1234,
	    DROP_TO("00112233445566778899aabbccddee01", "<x@example.com>",
		"RCPT TO:<a@example.org>\r\nRCPT TO:<nosuchname>\r\n") DROP_END);
	/* what is no address at all does not get past the grammar */
	drop_file(h, "b.drop", 1234,
	    DROP_TO("00112233445566778899aabbccddee02", "<x@example.com>", "RCPT TO:<a@@b>\r\n")
		DROP_END);
	harness_start(h);
	assert_true(wait_gone(h, "b.drop"));
	assert_true(wait_gone(h, "a.drop"));
	assert_false(dropped(h, "a.drop.refused"));
	harness_give_send(h);
	expect_report(h, "x@example.com", "nosuchname");
	expect_report(h, "x@example.com", "a@@b");
	/* and nothing was sent to the recipient that could have been */
	assert_null(harness_job(h, SHORT, NULL));
	assert_int_equal(view_list(h, 0).messages, 0);
}

/* A crash between the commit and the removal of the file makes no second report. */
static void
test_returned_once(void **state)
{
	static const char text[] = DROP_TO("00112233445566778899aabbccddee01", "<x@example.com>",
	    "RCPT TO:<nosuchname>\r\n") DROP_END;
	struct harness *h = *state;

	h->local_domain = "mail.example";
	drop_file(h, "a.drop", 1234, text);
	drop_file(h, "b.drop", 1234, text);
	harness_start(h);
	assert_true(wait_gone(h, "a.drop") && wait_gone(h, "b.drop"));
	assert_int_equal(view_list(h, 0).messages, 1); /* the report */
}

/* However many recipients a refused message names, its sender gets a report. */
static void
test_many_recipients(void **state)
{
	CLEANUP_BUF struct buf text = BUF_INIT(1024 * 1024);
	struct harness *h = *state;

	(void)buf_append_str(
	    &text, "EHLO x\r\nMAIL FROM:<x@example.com> XID=00112233445566778899aabbccddee01\r\n");
	for (unsigned i = 0; i < 6000; i++)
		(void)buf_printf(&text, "RCPT TO:<recipient%u@example.org>\r\n", i);
	(void)buf_append_str(&text, "RCPT TO:<nosuchname>\r\n" DROP_END);
	h->local_domain = "mail.example";
	drop_file(h, "a.drop", 1234, buf_str(&text));
	harness_start(h);
	for (int i = 0; i < 30 && !wait_gone(h, "a.drop"); i++)
		;
	assert_false(dropped(h, "a.drop"));
	assert_false(dropped(h, "a.drop.refused"));
	assert_int_equal(view_list(h, 0).messages, 1); /* the report */
}

/* For whom no service is, that one's word about the sender counts for nothing. */
static void
test_no_service(void **state)
{
	struct harness *h = *state;
	char name[32];

	h->local_domain = "mail.example";
	h->only_user = 999;
	h->notify = true;
	for (int i = 0; i < 22; i++) {
		char text[400];

		(void)snprintf(name, sizeof(name), "%02d.drop", i);
		(void)snprintf(text, sizeof(text),
		    DROP_TO("00112233445566778899aabbccddee%02d", "<victim@example.net>",
			"RCPT TO:<a@example.org>\r\n") DROP_END,
		    i);
		drop_file(h, name, 1234, text);
	}
	harness_start(h);
	assert_true(wait_gone(h, "19.drop"));
	harness_give_send(h);
	expect_report(h, "postmaster@example.com", "No service is configured");
	/* a flood of them does not use up the account, and nothing of it is lost */
	harness_serve(h, SHORT);
	assert_true(dropped(h, "20.drop") && dropped(h, "21.drop"));
	for (int i = 0; i < 250 && h->told == 0; i++)
		harness_serve(h, 20);
	assert_true(h->told > 0);
}

/* Where nobody can be told it waits, is seen, and is never sent. */
static void
test_not_to_be_returned(void **state)
{
	struct harness *h = *state;
	struct shown s;
	char id[32];

	h->local_domain = "mail.example";
	h->only_user = 999;
	h->mode = "capture";
	drop_file(h, "a.drop", 1234,
	    DROP_TO("00112233445566778899aabbccddee01", "<x@example.com>",
		"RCPT TO:<a@example.org>\r\n") DROP_END);
	harness_start(h);
	assert_true(wait_gone(h, "a.drop"));
	s = view_list(h, 0);
	assert_int_equal(s.messages, 1);
	assert_string_equal(s.state, "failed");
	assert_int_equal(view_list(h, 1234).messages, 1);
	(void)snprintf(id, sizeof(id), "%s", s.id);
	assert_non_null(strstr(view_show(h, id).reply, "No service is configured"));
	harness_give_send(h);
	assert_int_equal(view_act(h, 0, "release", id, NULL), EX_OK);
	assert_int_equal(view_act(h, 1234, "retry", id, NULL), EX_OK);
	assert_int_equal(view_act(h, 0, "move", id, "acct"), EX_USAGE);
	assert_null(harness_job(h, SHORT, NULL));
	/* now there is a way */
	h->mode = "deliver";
	harness_configure(h);
	assert_int_equal(view_act(h, 0, "retry", id, NULL), EX_OK);
	expect_report(h, "postmaster@example.com", "No service is configured");
	assert_null(harness_job(h, SHORT, NULL));
	(void)view_settled(h, id, "bounced");
}

/* ---- what was not made here ---- */

static void
test_others_files(void **state)
{
	static const char text[] = DROP_TO("00112233445566778899aabbccddee01", "<x@example.com>",
	    "RCPT TO:<a@example.org>\r\n") DROP_END;
	struct harness *h = *state;
	char kept[32] = "";
	int fd;

	/* a whole message, of another group: renamed to here from where it was made */
	drop_file(h, "a.drop", 0, text);
	fd = openat(h->dirs[2], "a.drop", O_RDONLY | O_CLOEXEC);
	identity_of_file(fd, 0, 4242);
	close(fd);
	/* a log of root's, with chosen text in it */
	drop_file(h, "b.drop", 0,
	    "started\nready\nEHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT "
	    "TO:<a@example.org>\r\n" DROP_END);
	/* what was kept aside before stays */
	fd = openat(h->dirs[2], "a.drop.refused", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	h->notify = true;
	harness_start(h);
	assert_true(wait_gone(h, "a.drop") && wait_gone(h, "b.drop"));
	assert_int_equal(view_list(h, 0).messages, 0);
	fd = openat(h->dirs[2], "a.drop.refused", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, kept, sizeof(kept) - 1), 4);
	close(fd);
	assert_string_equal(kept, "mine");
	for (int i = 0; i < 250 && h->told == 0; i++)
		harness_serve(h, 20);
	assert_true(h->told > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_many_lines),
	    HARNESS_TEST(test_drop_directory),
	    HARNESS_TEST(test_drop_stray_name),
	    HARNESS_TEST(test_drop_order),
	    HARNESS_TEST(test_drop_waits),
	    HARNESS_TEST(test_unknown_name_is_returned),
	    HARNESS_TEST(test_returned_once),
	    HARNESS_TEST(test_many_recipients),
	    HARNESS_TEST(test_no_service),
	    HARNESS_TEST(test_not_to_be_returned),
	    HARNESS_TEST(test_others_files),
	};

	return cmocka_run_group_tests_name("queue/drop", tests, NULL, NULL);
}
