/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * index.c: the inbox over real Maildirs: adding, lists, search, changes, pruning; a killed process, a lost and a damaged index.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/buf.h"
#include "inbox/inbox.h"
#include "inbox/maildir.h"

struct world {
	char dir[64], path[128];
	int root;
	struct inbox *inbox;
	unsigned told[5];
	char last[INBOX_ID_SIZE];
};

static void
changed(void *arg, enum inbox_change change, const json_t *value)
{
	struct world *w = arg;

	w->told[change]++;
	if (change == INBOX_NEW)
		assert_string_equal(json_string_value(json_object_get(value, "ID")), w->last);
}

static void
open_inbox(struct world *w, uint64_t keep)
{
	int error;

	w->inbox = inbox_open(w->root, w->path, keep, &error);
	assert_non_null(w->inbox);
	memset(w->told, 0, sizeof(w->told));
	inbox_listen(w->inbox, changed, w);
}

static int
setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	(void)snprintf(w.dir, sizeof(w.dir), "/tmp/frank-inbox-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	(void)snprintf(w.path, sizeof(w.path), "%s.db", w.dir);
	w.root = open(w.dir, O_RDONLY | O_DIRECTORY);
	open_inbox(&w, 0);
	*state = &w;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void
remove_index(struct world *w)
{
	static const char *const tails[] = {"", "-wal", "-shm"};

	for (size_t n = 0; n < ARRAY_SIZE(tails); n++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s%s", w->path, tails[n]);
		(void)unlink(path);
	}
}

static int
teardown(void **state)
{
	struct world *w = *state;

	w->inbox = inbox_close(w->inbox);
	(void)close(w->root);
	remove_index(w);
	return nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Puts a message into the Maildirs, and into the index where `w->inbox` is. */
static void
deliver(struct world *w, const char *to, const char *text)
{
	struct maildir_message *m;
	const char *recipients[] = {to};
	struct inbox_arrival a = {
	    .recipients = recipients, .recipient_count = 1, .account = "me@example.test"};

	assert_int_equal(maildir_begin(w->root, &m), 0);
	assert_int_equal(maildir_write(m, text, strlen(text)), 0);
	assert_int_equal(maildir_note(m, "{\"auth\":{\"account\":\"me@example.test\"}}"), 0);
	assert_int_equal(maildir_commit(m), 0);
	assert_int_equal(maildir_link(m, to), 0);
	a.name = maildir_name(m);
	if (w->inbox != NULL)
		assert_int_equal(inbox_add(w->inbox, &a, w->last), 0);
	(void)maildir_end(m);
}

static void
deliver_some(struct world *w)
{
	deliver(w, "Jane@Example.test",
	    "From: Joe <joe@example.test>\nTo: jane@example.test\nSubject: First one\n\nHello 100% "
	    "world\n");
	assert_int_equal(inbox_flush(w->inbox), 0);
	deliver(w, "bob@example.test",
	    "From: joe@example.test\nTo: bob+Later@example.test\nCc: carl@example.test\nSubject: "
	    "=?utf-8?q?"
	    "=C3=84rger?=\nX-Tags: Urgent, Other\n\nBye\n");
	assert_int_equal(inbox_flush(w->inbox), 0);
	deliver(w, "hidden@example.test",
	    "From: ann@example.test\nTo: jane@example.test\nSubject: Third\nContent-Disposition: "
	    "attachment; "
	    "filename=report.pdf\nContent-Type: application/pdf\n\nx\n");
	assert_int_equal(inbox_flush(w->inbox), 0);
}

static uint64_t
found(struct world *w, const char *query)
{
	struct inbox_query q;
	struct inbox_selection s = {.query = &q};
	uint64_t total = 99, unread;
	json_t *list;

	assert_int_equal(inbox_query_parse(&q, query, strlen(query)), 0);
	list = inbox_list(w->inbox, &s, 0, 50, &total, &unread);
	assert_non_null(list);
	assert_int_equal(json_array_size(list), total < 50 ? total : 50);
	json_decref(list);
	inbox_query_clear(&q);
	return total;
}

static uint64_t
total(struct world *w)
{
	struct inbox_stats stats;

	inbox_stats(w->inbox, &stats);
	return stats.total;
}

static void
test_list(void **state)
{
	struct world *w = *state;
	struct inbox_selection all = {0};
	uint64_t count, unread;
	json_t *list, *first;
	char id[INBOX_ID_SIZE];

	deliver_some(w);
	assert_int_equal(w->told[INBOX_NEW], 3);
	list = inbox_list(w->inbox, &all, 0, 2, &count, &unread);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(count, 3);
	assert_int_equal(unread, 3);
	first = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(first, "Subject")), "Third");
	assert_string_equal(
	    json_string_value(json_object_get(first, "Username")), "me@example.test");
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(json_object_get(first, "Bcc"), 0), "Address")),
	    "hidden@example.test");
	assert_true(inbox_latest(w->inbox, &all, id));
	assert_string_equal(id, json_string_value(json_object_get(first, "ID")));
	json_decref(list);
	list = inbox_list(w->inbox, &all, 2, 50, &count, &unread);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
}

static void
test_search(void **state)
{
	static const struct {
		const char *query;
		uint64_t count;
	} cases[] = {{"hello", 1}, {"HELL", 1}, {"\"100% w\"", 1}, {"100_", 0}, {"he", 1},
	    {"-hello", 2}, {"from:joe", 2}, {"from:joe -first", 1}, {"to:jane", 2}, {"cc:carl", 1},
	    {"bcc:hidden", 1}, {"subject:\xC3\xA4rg", 1}, {"subject:first", 1},
	    {"addressed:carl", 1}, {"tag:urgent", 1}, {"tag:later", 1}, {"-tag:urgent", 2},
	    {"is:tagged", 1}, {"is:unread", 3}, {"is:read", 0}, {"has:attachment", 1},
	    {"-has:attachment", 2}, {"report.pdf", 1}, {"mailbox:jane@example.test", 1},
	    {"after:2020-01-01", 3}, {"before:2020-01-01", 0}, {"larger:1", 3},
	    {"smaller:1k larger:90", 2}, {"nobody", 0}, {"", 3}};
	struct world *w = *state;

	deliver_some(w);
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		uint64_t count = found(w, cases[n].query);

		if (count != cases[n].count)
			fail_msg("%s: %lu found, not %lu", cases[n].query, (unsigned long)count,
			    (unsigned long)cases[n].count);
	}
}

static void
test_changes(void **state)
{
	struct world *w = *state;
	struct inbox_selection all = {0};
	json_t *tags = json_pack("[s,s]", "A b", "c"), *bad = json_pack("[s]", "<x>");
	struct buf note CLEANUP_BUF = BUF_INIT(4096);
	struct inbox_stats stats;
	char id[INBOX_ID_SIZE];
	int error;

	deliver_some(w);
	(void)snprintf(id, sizeof(id), "%s", w->last);
	assert_int_equal(inbox_set_read(w->inbox, id, true), 0);
	assert_int_equal(inbox_set_read(w->inbox, id, true), 0);
	assert_int_equal(w->told[INBOX_UPDATE], 1);
	assert_int_equal(found(w, "is:read"), 1);
	assert_int_equal(inbox_set_tags(w->inbox, id, tags), 0);
	assert_int_equal(found(w, "tag:\"a B\""), 1);
	assert_int_equal(inbox_set_tags(w->inbox, id, bad), -22);
	assert_int_equal(inbox_rename_tag(w->inbox, "c", "d"), 0);
	assert_int_equal(found(w, "tag:d"), 1);
	assert_int_equal(found(w, "tag:c"), 0);
	assert_int_equal(inbox_session(w->inbox, id, &note), 0);
	assert_non_null(strstr(buf_str(&note), "account"));
	assert_int_equal(inbox_delete(w->inbox, id), 0);
	assert_int_equal(w->told[INBOX_DELETE], 1);
	assert_null(inbox_read(w->inbox, id, &error));
	assert_int_equal(error, -2);
	assert_null(inbox_summary(w->inbox, id));
	inbox_stats(w->inbox, &stats);
	assert_int_equal(stats.total, 2);
	assert_int_equal(stats.unread, 2);
	assert_int_equal(inbox_set_read_all(w->inbox, &all, true), 0);
	inbox_stats(w->inbox, &stats);
	assert_int_equal(stats.unread, 0);
	assert_int_equal(inbox_delete_all(w->inbox, &all), 0);
	assert_int_equal(w->told[INBOX_TRUNCATE], 1);
	assert_int_equal(total(w), 0);
	/* the index works on, and nothing comes back */
	deliver(w, "x@example.test", "Subject: again\n\nafter all\n");
	assert_int_equal(found(w, "after"), 1);
	w->inbox = inbox_close(w->inbox);
	open_inbox(w, 0);
	assert_int_equal(total(w), 1);
	json_decref(tags);
	json_decref(bad);
}

static void
test_prune(void **state)
{
	struct world *w = *state;
	struct inbox_stats stats;

	w->inbox = inbox_close(w->inbox);
	open_inbox(w, 2);
	deliver_some(w);
	assert_int_equal(total(w), 2);
	assert_int_equal(found(w, "subject:first"), 0);
	assert_int_equal(w->told[INBOX_PRUNE], 1);
	inbox_stats(w->inbox, &stats);
	assert_true(stats.pruned > 0);
	w->inbox = inbox_close(w->inbox);
	open_inbox(w, 1);
	assert_int_equal(total(w), 1);
	assert_int_equal(found(w, "third"), 1);
	w->inbox = inbox_close(w->inbox);
	remove_index(w);
	open_inbox(w, 0);
	assert_int_equal(total(w), 1); /* the files went too */
}

static void
test_marks(void **state)
{
	struct world *w = *state;
	struct inbox_selection s = {0};
	json_t *list;
	uint64_t mark;

	deliver_some(w);
	mark = inbox_mark(w->inbox);
	assert_true(mark > inbox_mark_of(w->inbox, w->last));
	deliver(w, "x@example.test", "Subject: later\n\n");
	s.after = mark;
	list = inbox_list(w->inbox, &s, 0, 50, NULL, NULL);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	s.after = inbox_mark(w->inbox);
	list = inbox_list(w->inbox, &s, 0, 50, NULL, NULL);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

/* A commit between arrival and flush: the listener hears of the message all the same. */
static void
test_told(void **state)
{
	struct world *w = *state;

	deliver(w, "x@example.test", "Subject: told\n\n");
	assert_int_equal(inbox_sync(w->inbox), 0);
	assert_int_equal(w->told[INBOX_NEW], 0);
	assert_int_equal(inbox_flush(w->inbox), 0);
	assert_int_equal(w->told[INBOX_NEW], 1);
	assert_int_equal(inbox_flush(w->inbox), 0);
	assert_int_equal(w->told[INBOX_NEW], 1);
}

/* Built anew from the Maildirs: the same messages under the same IDs. */
static void
test_rebuild(void **state)
{
	static const char *const damage[] = {
	    "", "this is no database, and never was one: it is text, long enough to be one"};
	struct world *w = *state;

	deliver_some(w);
	for (size_t n = 0; n < ARRAY_SIZE(damage); n++) {
		int fd;

		w->inbox = inbox_close(w->inbox);
		remove_index(w);
		fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, damage[n], strlen(damage[n])), strlen(damage[n]));
		(void)close(fd);
		open_inbox(w, 0);
		assert_int_equal(total(w), 3);
		assert_int_equal(found(w, "hello"), 1);
		json_decref(inbox_summary(w->inbox, w->last));
		assert_true(inbox_mark_of(w->inbox, w->last) > 0);
	}
}

/* Damaged in the middle, and while it is open. */
static void
test_damage(void **state)
{
	struct world *w = *state;
	char page[4096];
	int fd, n;

	for (n = 0; n < 200; n++)
		deliver_some(w);
	w->inbox = inbox_close(w->inbox);
	fd = open(w->path, O_WRONLY);
	memset(page, 0xa5, sizeof(page));
	for (n = 1; n < 60; n++)
		assert_int_equal(pwrite(fd, page, sizeof(page), n * 4096), sizeof(page));
	(void)close(fd);
	open_inbox(w, 0);
	(void)found(w, "subject:first"); /* finds the damage at the latest */
	(void)inbox_flush(w->inbox);
	assert_int_equal(total(w), 600);
	assert_int_equal(found(w, "hello -nothing"), 200);
}

/* A process that is killed while it adds: nothing of what is in the Maildirs is lost. */
static void
test_kill(void **state)
{
	struct world *w = *state;
	unsigned count = 0;
	int pipes[2], status;
	char byte;
	pid_t pid;

	w->inbox = inbox_close(w->inbox);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		open_inbox(w, 0);
		inbox_listen(w->inbox, NULL, NULL);
		for (;;) {
			deliver(w, "x@example.test", "Subject: many\n\nmany\n");
			(void)!write(pipes[1], "", 1);
			if (++count % 7 == 0)
				(void)inbox_sync(w->inbox);
		}
	}
	(void)close(pipes[1]);
	for (count = 0; count < 100 && read(pipes[0], &byte, 1) == 1; count++)
		;
	(void)kill(pid, SIGKILL);
	while (read(pipes[0], &byte, 1) == 1)
		count++;
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	open_inbox(w, 0);
	assert_true(total(w) >= count); /* one may be linked and not yet counted */
	assert_true(total(w) <= count + 1);
	assert_int_equal(found(w, "many"), total(w)); /* what was stored and not yet indexed, too */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_search, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_prune, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_marks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rebuild, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
