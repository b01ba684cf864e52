/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * release-file.h: the file of `frank test release` (frank(1), RELEASE TESTS): what is sent, and what must come of it.
 *
 *   timeout = 60
 *   test "NAME" { KEY = VALUE ... }
 *
 * in the form of frank.conf(5). No I/O.
 */
#ifndef FRANK_ADMIN_RELEASE_FILE_H
#define FRANK_ADMIN_RELEASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/conditions.h"

enum {
	RELEASE_TESTS_MAX = 1000,
	RELEASE_LIST_MAX = 100,     /* entries of a list */
	RELEASE_TIMEOUT_MAX = 86400 /* seconds */
};

enum release_outcome {
	RELEASE_ANY, /* not given: `verdict` is */
	RELEASE_CAPTURED,
	RELEASE_DELIVERED,
	RELEASE_DEFERRED, /* tried, and to be tried again */
	RELEASE_HELD,
	RELEASE_REFUSED, /* for good: by Frank at once, or by the server */
};
/* "captured" */
const char *release_outcome_name(enum release_outcome outcome);

struct release_list {
	char *items[RELEASE_LIST_MAX];
	size_t count;
};

struct release_test {
	char *name;
	unsigned line;
	/* what is done; NULL: not given */
	char *service, *user, *account, *from, *subject, *body, *content_file;
	struct release_list to;
	struct release_list run; /* a program and its arguments, in place of a message of ours */
	/* what must come of it */
	enum release_outcome expect;
	char *code, *verdict;
	char *webhook; /* has got the event of what becomes of the message */
	struct conditions match;
	unsigned timeout; /* seconds */
};

struct release_file {
	struct release_test *tests;
	size_t count;
};

/* Takes the text of a file. False with "line: what is wrong" lines of errors in `report`, each behind `path`. */
bool release_file_parse(
    struct release_file *f, const char *path, const char *text, size_t len, struct buf *report);
void release_file_free(struct release_file *f);

#endif
