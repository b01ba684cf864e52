/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The queue role as a process: what callers hand in reaches send as a job, what send reports
 * reaches the spool, the caller and control.sock. What goes wrong is in trouble.c.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "broker/ipc/reply.h"
#include "tests/unit/queue/view.h"

enum { SHORT = 300, LONG = 5000 };

/* ---- the tests ---- */

static void
test_a_message_goes_through(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *second = NULL;
	const uint8_t *body;
	const char *rcpt;
	struct shown s;
	size_t len, at = 0;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<> XCALLER XNAME=Reporter", "a@example.org bob",
			     "Subject: hi\nBcc: x@y.example\n\nline\n"),
	    250);
	assert_string_equal(view_list(h, 0).state, "queued");
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	assert_int_equal(h->lent, 1);
	assert_string_equal(message_str(job, F_ACCOUNT), "acct");
	assert_string_equal(message_str(job, F_SENDER), "user0@mail.example");
	assert_true(message_next_str(job, F_RCPT, &at, &rcpt));
	assert_string_equal(rcpt, "a@example.org");
	assert_true(message_next_str(job, F_RCPT, &at, &rcpt));
	assert_string_equal(rcpt, "bob@mail.example");
	body = message_bytes(job, F_BODY, &len);
	assert_int_equal(len, message_u64(job, F_SIZE, 0));
	assert_non_null(strstr((const char *)body, "From: Reporter <user0@mail.example>\r\n"));
	assert_non_null(strstr((const char *)body, "\r\n\r\nline\r\n"));
	assert_null(strstr((const char *)body, "Bcc"));
	view_copy_id(job, id);
	assert_string_equal(view_show(h, id).state, "sending");
	harness_job_done(h, job, &harness_ok);
	s = view_settled(h, id, "delivered");
	assert_int_equal(s.attempts, 1);
	assert_true(s.has_transcript);
	assert_int_equal(view_list(h, 0).messages, 0);

	/* send is there and the account has room: the next one leaves with its own commit */
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	second = harness_job(h, LONG, NULL);
	assert_non_null(second);
	assert_string_equal(message_str(second, F_SENDER), "x@example.com");
	harness_job_done(h, second, &harness_ok);
	harness_serve(h, 50);
	assert_int_equal(harness_stop(h), 0);
}

static void
test_large_bodies_travel_as_files(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT(1000000);
	char path[200], id[32], piece[100];
	struct stat st;
	int fd = -1;

	assert_int_equal(buf_append_str(&text, "Subject: big\n\n"), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(
		    buf_append_str(&text, "0123456789012345678901234567890123456789\n"), 0);
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", text.data), 250);
	harness_kill(h);
	harness_start(h); /* it is on disk */
	job = harness_job(h, LONG, &fd);
	assert_non_null(job);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, message_u64(job, F_SIZE, 0));
	assert_int_equal(pread(fd, piece, sizeof(piece), 0), sizeof(piece));
	assert_memory_equal(piece, "Received: ", 10);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	view_copy_id(job, id);
	(void)snprintf(path, sizeof(path), "%s/bodies/%s", h->dir, id);
	assert_int_equal(access(path, F_OK), 0);
	harness_job_done(h, job, &harness_ok);
	(void)view_settled(h, id, "delivered");
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_deferred_then_by_hand(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *again = NULL;
	struct shown s;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_later);
	s = view_settled(h, id, "deferred");
	assert_string_equal(s.reply, "450 4.2.0 greylisted");
	assert_int_equal(s.tries, 1);
	assert_null(harness_job(h, SHORT, NULL));
	/* over a restart as well */
	harness_kill(h);
	harness_start(h);
	assert_string_equal(view_show(h, id).state, "deferred");
	assert_int_equal(view_act(h, 0, "retry", id, NULL), EX_OK);
	again = harness_job(h, LONG, NULL);
	assert_non_null(again);
	assert_string_equal(message_str(again, F_QUEUE_ID), id);
}

static void
test_refused_mail_bounces(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *bounce = NULL;
	const uint8_t *body;
	const char *rcpt;
	size_t at = 0, len;
	char id[32], report[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com> ENVID=E+3D1 RET=HDRS", "gone@example.org",
			     "Subject: hi\n\nsecret\n"),
	    250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_never);
	bounce = harness_job(h, LONG, NULL);
	assert_non_null(bounce);
	assert_string_equal(message_str(bounce, F_SENDER), "box@example.com");
	assert_true(message_next_str(bounce, F_RCPT, &at, &rcpt));
	assert_string_equal(rcpt, "x@example.com");
	body = message_bytes(bounce, F_BODY, &len);
	assert_non_null(strstr((const char *)body, "\r\nAuto-Submitted: auto-replied\r\n"));
	assert_non_null(strstr((const char *)body, "\r\nOriginal-Envelope-Id: E=1\r\n"));
	assert_non_null(
	    strstr((const char *)body, "\r\nFinal-Recipient: rfc822; gone@example.org\r\n"
				       "Action: failed\r\nStatus: 5.1.1\r\n"));
	assert_non_null(strstr((const char *)body, "Content-Type: text/rfc822-headers"));
	assert_non_null(strstr((const char *)body, "\r\nSubject: hi\r\n"));
	assert_null(strstr((const char *)body, "secret"));
	assert_string_equal(view_settled(h, id, "bounced").rcpt_state, "bounced");

	/* a report that is refused is reported to nobody, and stays for a person */
	view_copy_id(bounce, report);
	harness_job_done(h, bounce, &harness_never);
	(void)view_settled(h, report, "failed");
	assert_null(harness_job(h, SHORT, NULL));
	assert_int_equal(view_list(h, 0).messages, 1);
	assert_int_equal(view_act(h, 0, "delete", report, NULL), EX_OK);
	assert_int_equal(view_list(h, 0).messages, 0);
}

static void
test_nobody_is_told_who_does_not_want_it(void **state)
{
	static const char *const mails[] = {"<>", "<x@example.com>"};
	static const char *const rcpts[] = {"a@example.org", "a@example.org> NOTIFY=NEVER"};
	struct harness *h = *state;

	harness_start(h);
	for (size_t i = 0; i < ARRAY_SIZE(mails); i++) {
		CLEANUP_MESSAGE struct message *job = NULL;
		char in[300], id[32];
		CLEANUP_FREE char *replies = NULL;

		(void)snprintf(in, sizeof(in),
		    "EHLO x\r\nMAIL FROM:%s\r\nRCPT TO:<%s%s\r\nBDAT 3 LAST\r\n\nx\nQUIT\r\n",
		    mails[i], rcpts[i], i == 0 ? ">" : "");
		replies = harness_submit(h, 0, in, strlen(in));
		job = harness_job(h, LONG, NULL);
		if (job == NULL)
			fail_msg("%s", replies);
		view_copy_id(job, id);
		harness_job_done(h, job, &harness_never);
		(void)view_settled(h, id, "bounced");
		assert_null(harness_job(h, SHORT, NULL));
	}
}

static void
test_login_failure_holds_the_account(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *again = NULL;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_bad_login);
	(void)view_settled(h, id, "queued"); /* no try counted, nothing bounced */
	assert_string_equal(view_status(h).account_state, "needs-authorization");
	assert_int_equal(harness_mail(h, "<x@example.com>", "b@example.org", "\nx\n"), 250);
	assert_null(harness_job(h, SHORT, NULL));
	assert_int_equal(view_list(h, 0).messages, 2);
	/* it is remembered */
	harness_kill(h);
	harness_start(h);
	assert_string_equal(view_status(h).account_state, "needs-authorization");
	assert_null(harness_job(h, SHORT, NULL));
	/* the keeper says that there is a new credential */
	harness_account_state(h, "needs-authorization");
	harness_serve(h, 50);
	harness_account_state(h, "active");
	again = harness_job(h, LONG, NULL);
	assert_non_null(again);
	assert_string_equal(view_status(h).account_state, "active");
}

/* What a server said is not told of another one, nor is its wait kept, however the configuration comes. */
static void
test_another_server_begins_anew(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *again = NULL, *third = NULL;
	struct shown seen;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_bad_login);
	(void)view_settled(h, id, "queued");
	assert_non_null(strstr(view_status(h).account_text, "smtp.example.com:587"));
	/* a restart */
	harness_kill(h);
	h->host = "other.example.com";
	harness_start(h);
	again = harness_job(h, LONG, NULL);
	assert_non_null(again);
	assert_string_equal(view_status(h).account_state, "active");
	assert_string_equal(view_status(h).account_text, "");
	seen = view_show(h, id);
	assert_null(strstr(seen.text, "other.example.com"));
	assert_non_null(strstr(seen.attempt_text, "smtp.example.com:587"));
	assert_non_null(strstr(seen.attempt_next, "other.example.com:587"));
	/* a reload */
	harness_job_done(h, again, &harness_bad_login);
	(void)view_settled(h, id, "queued");
	assert_string_equal(view_status(h).account_state, "needs-authorization");
	h->host = "third.example.com";
	harness_configure(h);
	third = harness_job(h, LONG, NULL);
	assert_non_null(third);
	assert_string_equal(view_status(h).account_state, "active");
}

/* "Nothing to do" is never said of a message that waits for a person. */
static void
test_who_waits_for_a_person_is_told(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	struct shown seen;
	char id[32];

	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_later);
	seen = view_settled(h, id, "deferred");
	assert_non_null(strstr(seen.next, "Nothing to do"));
	/* its account needs somebody */
	harness_account_state(h, "needs-authorization");
	harness_serve(h, 50);
	seen = view_show(h, id);
	assert_null(strstr(seen.next, "Nothing to do"));
	assert_null(strstr(seen.attempt_next, "Nothing to do"));
	harness_account_state(h, "active");
	harness_serve(h, 50);
	/* its account is held */
	assert_int_equal(view_act(h, 0, "hold", NULL, "acct"), EX_OK);
	seen = view_show(h, id);
	assert_non_null(strstr(seen.next, "frank account release acct"));
	assert_null(strstr(seen.attempt_next, "Nothing to do"));
	assert_int_equal(view_act(h, 0, "release", NULL, "acct"), EX_OK);
	/* it is held itself */
	assert_int_equal(view_act(h, 0, "hold", id, NULL), EX_OK);
	seen = view_show(h, id);
	assert_non_null(strstr(seen.next, "frank queue release"));
	assert_null(strstr(seen.attempt_next, "Nothing to do"));
}

static void
test_person_tries_a_refused_account(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *probe = NULL, *rest = NULL;

	harness_start(h);
	for (int i = 0; i < 3; i++)
		assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	for (int i = 0; i < 3; i++) {
		CLEANUP_MESSAGE struct message *j = harness_job(h, LONG, NULL);

		assert_non_null(j);
		harness_job_done(h, j, &harness_bad_login);
	}
	harness_serve(h, 100);
	assert_int_equal(view_act(h, 0, "retry", NULL, "acct"), EX_OK);
	/* one alone sees whether the trouble is over */
	probe = harness_job(h, LONG, NULL);
	assert_non_null(probe);
	assert_null(harness_job(h, SHORT, NULL));
	harness_job_done(h, probe, &harness_ok);
	job = harness_job(h, LONG, NULL);
	rest = harness_job(h, LONG, NULL);
	assert_non_null(job);
	assert_non_null(rest);
}

static void
test_all_or_nothing(void **state)
{
	struct harness *h = *state;

	static const char id[] = "00112233445566778899aabbccddeeff",
			  two[] = "a@example.org bad@@example";
	char mail[200];
	CLEANUP_FREE char *replies = NULL;
	static const char session[] =
	    "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<a@example.org>\r\nRCPT "
	    "TO:<bad@@example>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n";

	harness_start(h);
	(void)snprintf(mail, sizeof(mail), "<x@example.com> XID=%s", id);
	assert_int_equal(harness_mail(h, mail, two, "\nx\n"), 553);
	assert_int_equal(view_list(h, 0).messages, 0);
	/* a program that speaks SMTP itself knows what was refused */
	replies = harness_submit(h, 0, session, sizeof(session) - 1);
	assert_non_null(strstr(replies, "\n553 "));
	assert_non_null(strstr(replies, "queued as"));
	assert_int_equal(view_list(h, 0).messages, 1);
	assert_int_equal(view_list(h, 0).recipients, 1);
}

static void
test_a_submission_once(void **state)
{
	static const char id[] = "00112233445566778899aabbccddeeff";
	struct harness *h = *state;
	char mail[200], in[200];
	CLEANUP_FREE char *before = NULL, *after = NULL;

	harness_start(h);
	(void)snprintf(mail, sizeof(mail), "<x@example.com> XID=%s", id);
	(void)snprintf(in, sizeof(in), "EHLO x\r\nXFRANK %s\r\nQUIT\r\n", id);
	before = harness_submit(h, 0, in, strlen(in));
	assert_non_null(strstr(before, "\n550 5.1.0"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(harness_mail(h, mail, "a@example.org", "\nx\n"), 250);
		if (i == 1) {
			harness_kill(h);
			harness_start(h);
		}
	}
	after = harness_submit(h, 0, in, strlen(in));
	assert_null(strstr(after, "\n550"));
	assert_int_equal(view_list(h, 0).messages, 1);
}

static void
test_policy(void **state)
{
	struct harness *h = *state;

	h->from_policy = "refuse";
	h->senders = "box@example.com";
	harness_start(h);
	assert_int_equal(harness_mail(h, "<evil@example.com>", "a@example.org", "\nx\n"), 550);
	assert_int_equal(
	    harness_mail(h, "<> XCALLER", "a@example.org", "From: evil@example.com\n\nx\n"), 550);
	assert_int_equal(view_list(h, 0).messages, 0);
	assert_int_equal(
	    harness_mail(h, "<> XCALLER", "a@example.org", "From: box@example.com\n\nx\n"), 250);
	assert_int_equal(view_list(h, 0).messages, 1);
	assert_string_equal(view_list(h, 0).sender, "box@example.com");
	assert_int_equal(harness_mail(h, "<> XCALLER", "a@example.org",
			     "Resent-From: evil@example.com\nFrom: box@example.com\n\nx\n"),
	    550);
	assert_int_equal(harness_mail(h, "<> XCALLER", "a@example.org",
			     "Resent-From: box@example.com\nResent-Sender: evil@example.com\n"
			     "From: box@example.com\n\nx\n"),
	    550);
	assert_int_equal(harness_mail(h, "<> XCALLER", "a@example.org",
			     "Resent-From: box@example.com\nFrom: box@example.com\n\nx\n"),
	    250);
}

/* Whom no service is for hands in nothing, not even as root. */
static void
test_no_service_no_mail(void **state)
{
	static const char mail[] = "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT "
				   "TO:<a@example.org>\r\nBDAT 3 LAST\r\n\nx\nQUIT\r\n";
	static const uid_t strangers[] = {0, 1001};
	struct harness *h = *state;
	char *out;

	h->only_user = 1000;
	harness_start(h);
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		out = harness_submit(h, strangers[i], mail, sizeof(mail) - 1);
		assert_non_null(strstr(out, "550 5.7.1 No service"));
		assert_null(strstr(out, "queued as"));
		free(out);
	}
	assert_int_equal(view_list(h, 0).messages, 0);
	out = harness_submit(h, 1000, mail, sizeof(mail) - 1);
	assert_non_null(strstr(out, "queued as"));
	free(out);
}

/* Rewritten, a Resent-From that is not the caller's to use is replaced as From is. */
static void
test_resent_is_rewritten(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	const uint8_t *body;
	size_t len;

	h->from_policy = "rewrite";
	h->senders = "box@example.com";
	harness_start(h);
	assert_int_equal(harness_mail(h, "<> XCALLER", "a@example.org",
			     "Resent-From: evil@example.com\nFrom: box@example.com\n\nx\n"),
	    250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	body = message_bytes(job, F_BODY, &len);
	assert_non_null(strstr((const char *)body, "\r\nResent-From: box@example.com\r\n"));
	assert_non_null(
	    strstr((const char *)body, "\r\nX-Original-Resent-From: evil@example.com\r\n"));
}

static void
test_rate_and_reload(void **state)
{
	struct harness *h = *state;

	h->rate = 2;
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 450);
	/* a new configuration does not forget what was sent, but may allow more */
	harness_configure(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 450);
	/* nor does a restart */
	harness_kill(h);
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 450);
	h->rate = 0;
	harness_configure(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
}

/* Jobs that come at once, all delivered. */
static unsigned
deliver_jobs(struct harness *h)
{
	struct message *job;
	unsigned count = 0;

	while ((job = harness_job(h, SHORT, NULL)) != NULL) {
		harness_job_done(h, job, &harness_ok);
		(void)message_free(job);
		count++;
	}
	return count;
}

/* The provider counts on while Frank is started again. */
static void
test_account_rate_over_a_restart(void **state)
{
	struct harness *h = *state;

	h->account_rate = 3;
	harness_start(h);
	for (int i = 0; i < 2; i++)
		assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_int_equal(deliver_jobs(h), 2);
	harness_kill(h);
	harness_start(h);
	for (int i = 0; i < 3; i++)
		assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_int_equal(deliver_jobs(h), 1);
	/* what was under way at a crash counts: it may have been sent */
	harness_kill(h);
	harness_start(h);
	assert_int_equal(deliver_jobs(h), 0);
	assert_int_equal(view_list(h, 0).messages, 2);
}

/* Begins a message, has `reloads` new configurations taken, ends the message; the replies. */
static char *
reload_within_a_message(struct harness *h, unsigned reloads)
{
	static const char begin[] = "EHLO x\r\nMAIL FROM:<> XCALLER\r\nRCPT TO:<a@example.org>\r\n"
				    "BDAT 9\r\nTo: root\n";
	static const char end[] = "BDAT 3 LAST\r\n\nx\nQUIT\r\n";
	int fd = harness_connect(h, 0);

	assert_int_equal(write(fd, begin, strlen(begin)), strlen(begin));
	harness_serve(h, 100);
	while (reloads-- > 0)
		harness_configure(h);
	assert_int_equal(write(fd, end, strlen(end)), strlen(end));
	return harness_replies(h, fd);
}

static void
test_reload_within_a_message(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	CLEANUP_FREE char *replies = NULL;
	const uint8_t *body;
	size_t len;

	harness_start(h);
	replies = reload_within_a_message(h, 2);
	assert_non_null(strstr(replies, "queued as"));
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	body = message_bytes(job, F_BODY, &len);
	assert_non_null(strstr((const char *)body, "\r\nTo: root@mail.example\r\n"));
}

static void
test_service_goes_within_a_message(void **state)
{
	struct harness *h = *state;
	CLEANUP_FREE char *replies = NULL;

	h->senders = "box@example.com";
	harness_start(h);
	h->service = "another";
	replies = reload_within_a_message(h, 2);
	assert_non_null(strstr(replies, "250"));
	assert_non_null(strstr(replies, "550 5.7.1 The service has no account"));
	assert_int_equal(view_list(h, 0).messages, 0);
}

static void
test_capture(void **state)
{
	struct harness *h = *state;

	h->mode = "capture";
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_string_equal(view_list(h, 0).state, "captured");
	assert_null(harness_job(h, SHORT, NULL));
	assert_false(h->send_wanted);
}

static void
test_others_see_their_own(void **state)
{
	static const char in[] = "EHLO x\r\nMAIL FROM:<> XCALLER\r\nRCPT TO:<a@example.org>\r\n"
				 "BDAT 3 LAST\r\n\nx\nQUIT\r\n";
	struct harness *h = *state;
	CLEANUP_FREE char *replies = NULL;
	CLEANUP_MESSAGE struct message *done = NULL;
	struct shown s;

	harness_start(h);
	replies = harness_submit(h, 1234, in, strlen(in));
	assert_non_null(strstr(replies, "\n250 2.0.0 queued as"));
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	assert_int_equal(view_list(h, 0).messages, 2);
	assert_int_equal(view_list(h, 4321).messages, 0);
	s = view_list(h, 1234);
	assert_int_equal(s.messages, 1);
	assert_string_equal(s.sender, "user1234@mail.example");
	assert_int_equal(view_act(h, 4321, "delete", s.id, NULL), EX_NOPERM);
	assert_int_equal(view_act(h, 1234, "hold", s.id, NULL), EX_NOPERM);
	assert_int_equal(view_act(h, 1234, "hold", NULL, "acct"), EX_NOPERM);
	assert_int_equal(view_act(h, 1234, "delete", s.id, NULL), EX_OK);
	assert_int_equal(view_act(h, 1234, "delete", s.id, NULL), EX_NOINPUT);
	assert_int_equal(view_list(h, 0).messages, 1);
	done = harness_ask(h, 1234, message_new(M_CLIENT_RELOAD), NULL, NULL);
	assert_int_equal(message_u64(done, F_EXIT, 0), EX_NOPERM);
}

static void
test_nobody_keeps_administrators_out(void **state)
{
	struct harness *h = *state;
	struct message *done;
	int fds[70];

	harness_start(h);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = harness_connect_control(h, 1234);
	harness_serve(h, 100);
	done = harness_ask(h, 0, message_new(M_QUEUE_LIST), NULL, NULL);
	assert_non_null(done);
	(void)message_free(done);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void
test_hold_and_release(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *reload = NULL;
	char id[32];

	harness_start(h);
	assert_int_equal(view_act(h, 0, "hold", NULL, "acct"), EX_OK);
	assert_string_equal(view_status(h).account_state, "held");
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	(void)snprintf(id, sizeof(id), "%s", view_list(h, 0).id);
	assert_null(harness_job(h, SHORT, NULL));
	harness_kill(h);
	harness_start(h);
	assert_string_equal(view_status(h).account_state, "held");
	assert_int_equal(view_act(h, 0, "hold", id, NULL), EX_OK);
	assert_int_equal(view_act(h, 0, "release", NULL, "acct"), EX_OK);
	assert_null(harness_job(h, SHORT, NULL));
	assert_string_equal(view_show(h, id).state, "held");
	assert_int_equal(view_act(h, 0, "release", id, NULL), EX_OK);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	assert_int_equal(view_act(h, 0, "delete", id, NULL), EX_TEMPFAIL);
	assert_int_equal(view_act(h, 0, "explode", id, NULL), EX_USAGE);
	assert_int_equal(view_act(h, 0, "retry", "zz", NULL), EX_USAGE);
	reload = harness_ask(h, 0, message_new(M_CLIENT_RELOAD), NULL, NULL);
	assert_string_equal(message_str(reload, F_ERROR), "line 3 is wrong");
	assert_int_equal(message_u64(reload, F_EXIT, 0), EX_CONFIG);
}

static void
test_many_recipients(void **state)
{
	struct harness *h = *state;
	CLEANUP_BUF struct buf all = BUF_INIT(100000);
	unsigned jobs = 0, recipients = 0;
	char id[32] = "";

	for (int i = 0; i < 250; i++)
		assert_int_equal(buf_printf(&all, "%sr%d@example.org", i > 0 ? " " : "", i), 0);
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", all.data, "\nx\n"), 250);
	while (recipients < 250) {
		CLEANUP_MESSAGE struct message *job = harness_job(h, LONG, NULL);
		const char *rcpt;
		size_t at = 0, n = 0;

		assert_non_null(job);
		view_copy_id(job, id);
		while (message_next_str(job, F_RCPT, &at, &rcpt))
			n++;
		assert_in_range(n, 1, 100);
		recipients += (unsigned)n;
		jobs++;
		harness_job_done(h, job, jobs == 2 ? &harness_later : &harness_ok);
	}
	assert_int_equal(jobs, 3);
	(void)view_settled(h, id, "deferred");
	assert_int_equal(view_show(h, id).attempts, 3);
	assert_int_equal(view_act(h, 0, "retry", id, NULL), EX_OK);
	{
		CLEANUP_MESSAGE struct message *job = harness_job(h, LONG, NULL);

		assert_non_null(job); /* only those that were deferred */
		harness_job_done(h, job, &harness_ok);
		(void)view_settled(h, id, "delivered");
	}
}

static void
test_mailq(void **state)
{
	static const char in[] = "EHLO x\r\nXFRANK LIST\r\nQUIT\r\n";
	struct harness *h = *state;
	CLEANUP_FREE char *empty = NULL, *full = NULL;

	harness_start(h);
	empty = harness_submit(h, 0, in, strlen(in));
	assert_non_null(strstr(empty, "Mail queue is empty"));
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	full = harness_submit(h, 0, in, strlen(in));
	assert_non_null(strstr(full, "----Queue ID-----"));
	assert_non_null(strstr(full, " x@example.com\r\n"));
	assert_non_null(strstr(full, " a@example.org\r\n"));
	assert_non_null(strstr(full, "-- 1 Kbytes in 1 Request."));
}

/* A queue of more than one step: everybody gets all of it, and mail is taken meanwhile. */
static void
test_long_queue(void **state)
{
	static const char in[] = "EHLO x\r\nXFRANK LIST\r\nXFRANK FLUSH\r\nQUIT\r\n";
	enum { MESSAGES = 300 };
	struct harness *h = *state;
	CLEANUP_FREE char *listing = NULL, *others = NULL;
	CLEANUP_BUF struct buf mail = BUF_INIT(100000);
	int many;

	h->mode = "capture";
	harness_start(h);
	(void)buf_append_str(&mail, "EHLO x\r\n");
	for (int i = 0; i < MESSAGES; i++)
		(void)buf_append_str(&mail,
		    "MAIL FROM:<x@example.com>\r\nRCPT TO:<a@example.org>\r\nBDAT 3 LAST\r\n\nx\n");
	(void)buf_append_str(&mail, "QUIT\r\n");
	free(harness_submit(h, 0, buf_str(&mail), mail.len));
	assert_int_equal(view_list(h, 0).messages, MESSAGES);
	assert_int_equal(view_list(h, 1000).messages, 0);
	/* while one list is on its way */
	many = harness_connect(h, 0);
	assert_int_equal(write(many, in, strlen(in)), strlen(in));
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	listing = harness_replies(h, many);
	assert_non_null(strstr(listing, "Kbytes in 30"));
	assert_non_null(strstr(listing, "250 2.0.0 Trying"));
	others = harness_submit(h, 1000, in, strlen(in));
	assert_non_null(strstr(others, "Mail queue is empty"));
	/* a client that goes before its answer is made harms nobody */
	for (int i = 0; i < 5; i++) {
		int fd = harness_connect(h, 0);

		assert_int_equal(write(fd, in, strlen(in)), strlen(in));
		close(fd);
	}
	assert_int_equal(view_act(h, 0, "delete", NULL, NULL), EX_OK);
	assert_int_equal(view_list(h, 0).messages, 0);
}

static void
test_history_may_be_off(void **state)
{
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL;
	struct shown s = {0};
	char id[32];

	h->history_days = 0;
	harness_start(h);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	view_copy_id(job, id);
	harness_job_done(h, job, &harness_ok);
	for (int i = 0; i < 100; i++) {
		s = view_show(h, id);
		if (s.messages == 0)
			break;
		harness_serve(h, 20);
	}
	assert_int_equal(s.messages, 0);
}

static void
test_success_is_reported_where_asked(void **state)
{
	static const char in[] =
	    "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<a@example.org> "
	    "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@example.net\r\nBDAT 3 LAST\r\n\nx\nQUIT\r\n";
	struct harness *h = *state;
	CLEANUP_MESSAGE struct message *job = NULL, *report = NULL;
	CLEANUP_FREE char *replies = NULL;
	const char *params;
	const uint8_t *body;
	size_t at = 0, len;

	harness_start(h);
	replies = harness_submit(h, 0, in, strlen(in));
	job = harness_job(h, LONG, NULL);
	assert_non_null(job);
	assert_true(message_next_str(job, F_RCPT_PARAMS, &at, &params));
	assert_string_equal(params, " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@example.net");
	harness_job_done(h, job, &harness_ok);
	report = harness_job(h, LONG, NULL);
	assert_non_null(report);
	body = message_bytes(report, F_BODY, &len);
	assert_non_null(
	    strstr((const char *)body, "Original-Recipient: rfc822; o@example.net\r\n"));
	assert_non_null(strstr((const char *)body, "Action: relayed\r\nStatus: 2.0.0\r\n"));
}

/* Is this in what waits to be read? It stays there. */
static bool
hears(int fd, const char *words)
{
	char text[4096] = "";

	return recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_PEEK) > 0 &&
	       strstr(text, words) != NULL;
}

/* Callers who connect and say nothing keep nobody out. */
static void
test_silent_callers(void **state)
{
	enum { SILENT = 700, EACH = 100 };
	struct harness *h = *state;
	struct rlimit files = {4096, 4096};
	int fds[SILENT];

	(void)setrlimit(RLIMIT_NOFILE, &files);
	harness_start(h);
	for (int i = 0; i < SILENT; i++) {
		fds[i] = harness_connect(h, (uid_t)(2000 + i / EACH));
		if (i % 50 == 0)
			harness_serve(h, 5);
	}
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	/* one uid alone may not take all places: its own silent ones go, the oldest first */
	for (int i = 0; i < SILENT; i++)
		close(fds[i]);
	harness_serve(h, 50);
	for (int i = 0; i < 200; i++)
		fds[i] = harness_connect(h, 3000);
	harness_serve(h, 100);
	assert_true(hears(fds[199], "220 "));
	assert_false(hears(fds[199], "421 "));
	assert_true(hears(fds[0], "421 4.4.5"));
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
}

/* Callers in the midst of a message, who write slowly or not at all, keep out neither others nor, beyond their own number, us. */
static void
test_slow_callers(void **state)
{
	enum { SLOW = 1200, EACH = 120 };
	static const char begin[] = "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT "
				    "TO:<a@example.org>\r\nBDAT 1000 LAST\r\nSubject: ";
	struct harness *h = *state;
	struct rlimit files = {4096, 4096};
	int fds[SLOW];

	(void)setrlimit(RLIMIT_NOFILE, &files);
	harness_start(h);
	for (int i = 0; i < SLOW; i++) {
		fds[i] = harness_connect(h, (uid_t)(2000 + i / EACH));
		(void)send(fds[i], begin, sizeof(begin) - 1, MSG_NOSIGNAL);
		if (i % 50 == 0)
			harness_serve(h, 5);
	}
	harness_serve(h, 100);
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	/* no caller got more than its share: a further one of the first is told to wait */
	assert_true(hears(fds[0], "220 "));
	for (int i = 0; i < SLOW; i++)
		close(fds[i]);
	harness_serve(h, 50);
	for (int i = 0; i < 129; i++) {
		fds[i] = harness_connect(h, 3000);
		(void)send(fds[i], begin, sizeof(begin) - 1, MSG_NOSIGNAL);
	}
	harness_serve(h, 100);
	assert_true(hears(fds[128], "421 4.4.5"));
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	for (int i = 0; i < 129; i++)
		close(fds[i]);
}

/* A caller that closed its connection before its message was complete here was told nothing: nothing
 * is stored. One that only ends its own side waits for the answer. */
static void
test_caller_gone(void **state)
{
	static const char mail[] = "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT "
				   "TO:<a@example.org>\r\nBDAT 3 LAST\r\n\nx\nQUIT\r\n";
	struct harness *h = *state;
	CLEANUP_FREE char *replies = NULL;
	int fd;

	harness_start(h);
	fd = harness_connect(h, 1000);
	assert_int_equal(send(fd, mail, sizeof(mail) - 1, MSG_NOSIGNAL), sizeof(mail) - 1);
	close(fd);
	harness_serve(h, 100);
	assert_int_equal(view_list(h, 0).messages, 0);
	fd = harness_connect(h, 1000);
	assert_int_equal(send(fd, mail, sizeof(mail) - 1, MSG_NOSIGNAL), sizeof(mail) - 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	replies = harness_replies(h, fd);
	assert_non_null(strstr(replies, "queued as"));
	assert_int_equal(view_list(h, 0).messages, 1);
}

/* One user's limits: messages a minute, and octets at once. Others are not concerned. */
static void
test_user_limits(void **state)
{
	static const char mail[] = "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT "
				   "TO:<a@example.org>\r\nBDAT 3 LAST\r\n\nx\nQUIT\r\n";
	struct buf big = BUF_INIT(4 << 20);
	struct harness *h = *state;
	char *out = NULL;

	h->user_rate = 3;
	h->user_in_flight = 1 << 20;
	harness_start(h);
	for (int i = 0; i < 4; i++) {
		free(out);
		out = harness_submit(h, 3000, mail, sizeof(mail) - 1);
		assert_true((strstr(out, "250 2.0.0 queued") != NULL) == (i < 3));
	}
	assert_non_null(strstr(out, "452 4.7.1 This user hands in more messages a minute"));
	free(out);
	out = harness_submit(h, 3001, mail, sizeof(mail) - 1);
	assert_non_null(strstr(out, "250 2.0.0 queued"));
	free(out);
	(void)buf_append_str(&big, "EHLO x\r\nMAIL FROM:<x@example.com>\r\nRCPT "
				   "TO:<a@example.org>\r\nBDAT 2000000 LAST\r\n\n");
	for (int i = 0; i < 1999999 / 9; i++)
		(void)buf_append_str(&big, "12345678\n");
	while (big.len < 2000000 + 84)
		(void)buf_append_char(&big, '\n');
	out = harness_submit(h, 3002, buf_str(&big), big.len);
	assert_non_null(strstr(out, "452 4.3.1 This user hands in more at once"));
	free(out);
	/* what was dropped does not count any more */
	out = harness_submit(h, 3002, mail, sizeof(mail) - 1);
	assert_non_null(strstr(out, "250 2.0.0 queued"));
	free(out);
	buf_free(&big);
}

/* Asks for a check of the account, answers with one finding, and gives the verdict. */
static struct message *
check_with_finding(struct harness *h, const char *state)
{
	struct message *m = message_new(M_CHECK), *run = NULL, *row = NULL;
	int fd = harness_connect_control(h, 0), passed = -1;

	message_put_u64(m, F_FLAGS, 0);
	message_put_str(m, F_ACCOUNT, "acct");
	assert_int_equal(message_write(fd, m, -1), 0);
	(void)message_free(m);
	while (h->send < 0) {
		harness_serve(h, 5);
		if (h->send_wanted)
			harness_give_send(h);
	}
	assert_true(harness_wait(h, h->send, LONG));
	assert_int_equal(message_read(h->send, &run, &passed), 1);
	assert_int_equal(message_type(run), M_CHECK_RUN);
	m = message_new(M_CHECK_STEP);
	message_put_u64(m, F_ID, message_u64(run, F_ID, 0));
	message_put_str(m, F_NAME, "spf");
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_TEXT, "what was found");
	assert_int_equal(message_write(h->send, m, -1), 0);
	(void)message_free(m);
	m = message_new(M_CHECK_DONE);
	message_put_u64(m, F_ID, message_u64(run, F_ID, 0));
	assert_int_equal(message_write(h->send, m, -1), 0);
	(void)message_free(m);
	(void)message_free(run);
	for (unsigned i = 0; i < 2; i++) {
		row = message_free(row);
		assert_true(harness_wait(h, fd, LONG));
		assert_int_equal(message_read(fd, &row, &passed), 1);
	}
	assert_int_equal(message_type(row), M_ROW_VERDICT);
	(void)close(fd);
	return row;
}

/* "Everything works" is never said beside a finding that failed. */
static void
test_check_verdict_minds_its_findings(void **state)
{
	static const char *const states[] = {"ok", "info", "warn", "fail"};
	struct harness *h = *state;

	harness_start(h);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		CLEANUP_MESSAGE struct message *v = check_with_finding(h, states[i]);
		bool fails = strcmp(states[i], "fail") == 0;

		assert_string_equal(message_str(v, F_STATE), fails ? "fail" : "ok");
		assert_string_equal(
		    message_str(v, F_CAUSE), fails ? "sender-domain-records" : "healthy");
		assert_int_equal(strstr(message_str(v, F_TEXT), "spf failed") != NULL, fails);
		assert_int_equal(strstr(message_str(v, F_NEXT), "example.com") != NULL, fails);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HARNESS_TEST(test_a_message_goes_through),
	    HARNESS_TEST(test_large_bodies_travel_as_files),
	    HARNESS_TEST(test_deferred_then_by_hand),
	    HARNESS_TEST(test_refused_mail_bounces),
	    HARNESS_TEST(test_nobody_is_told_who_does_not_want_it),
	    HARNESS_TEST(test_login_failure_holds_the_account),
	    HARNESS_TEST(test_another_server_begins_anew),
	    HARNESS_TEST(test_who_waits_for_a_person_is_told),
	    HARNESS_TEST(test_person_tries_a_refused_account),
	    HARNESS_TEST(test_all_or_nothing),
	    HARNESS_TEST(test_a_submission_once),
	    HARNESS_TEST(test_policy),
	    HARNESS_TEST(test_no_service_no_mail),
	    HARNESS_TEST(test_resent_is_rewritten),
	    HARNESS_TEST(test_check_verdict_minds_its_findings),
	    HARNESS_TEST(test_rate_and_reload),
	    HARNESS_TEST(test_account_rate_over_a_restart),
	    HARNESS_TEST(test_reload_within_a_message),
	    HARNESS_TEST(test_service_goes_within_a_message),
	    HARNESS_TEST(test_capture),
	    HARNESS_TEST(test_others_see_their_own),
	    HARNESS_TEST(test_nobody_keeps_administrators_out),
	    HARNESS_TEST(test_hold_and_release),
	    HARNESS_TEST(test_many_recipients),
	    HARNESS_TEST(test_mailq),
	    HARNESS_TEST(test_long_queue),
	    HARNESS_TEST(test_history_may_be_off),
	    HARNESS_TEST(test_success_is_reported_where_asked),
	    HARNESS_TEST(test_silent_callers),
	    HARNESS_TEST(test_slow_callers),
	    HARNESS_TEST(test_caller_gone),
	    HARNESS_TEST(test_user_limits),
	};

	return cmocka_run_group_tests_name("queue/role", tests, NULL, NULL);
}
