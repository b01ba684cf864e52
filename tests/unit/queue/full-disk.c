/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The queue role on a disk that is full. It mounts one, which needs root: the integration topic root runs it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/unit/queue/view.h"

enum { SHORT = 300, LONG = 5000 };

/* A disk that is full: callers keep their mail, results wait, and nothing that was taken is lost.
 * */
static void
test_full_disk(void **state)
{
	struct harness *h = *state;
	char dir[100], id[32], ids[64][32];
	unsigned taken = 0, refused = 0, sent = 0, messages;
	struct message *job;

	(void)snprintf(dir, sizeof(dir), "%s/state", h->dir);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=600k,mode=0700"), 0);
	close(h->dirs[0]);
	h->dirs[0] = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	harness_start(h);
	while (refused < 3 && taken < 60) {
		int code = harness_mail(h, "<x@example.com>", "a@example.org", "Subject: x\n\nx\n");

		if (code != 250)
			assert_int_equal(code, 452);
		taken += code == 250;
		refused += code != 250;
	}
	assert_int_equal(refused, 3);
	assert_in_range(taken, 1, 59);
	/* what is under way is delivered, but cannot be recorded */
	while ((job = harness_job(h, SHORT, NULL)) != NULL) {
		view_copy_id(job, ids[sent++]);
		harness_job_done(h, job, &harness_ok);
		(void)message_free(job);
	}
	harness_serve(h, 200);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=20m,mode=0700"), 0);
	for (unsigned i = 0; i < sent; i++)
		(void)view_settled(h, ids[i], "delivered");
	/* the rest goes on by itself */
	while (sent < taken) {
		job = harness_job(h, LONG, NULL);
		assert_non_null(job);
		view_copy_id(job, id);
		harness_job_done(h, job, &harness_ok);
		(void)view_settled(h, id, "delivered");
		(void)message_free(job);
		sent++;
	}
	assert_int_equal(harness_mail(h, "<x@example.com>", "a@example.org", "\nx\n"), 250);
	messages = view_list(h, 0).messages;
	harness_kill(h);
	close(h->dirs[0]);
	h->dirs[0] = -1;
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	assert_int_equal(messages, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HARNESS_TEST(test_full_disk),
	};

	return cmocka_run_group_tests_name("queue/full-disk", tests, NULL, NULL);
}
