/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * junit.h: results of tests as JUnit XML, for the readers of CI services. There is no standard: this is what Jenkins,
 * GitLab and GitHub's readers take. Pure.
 */
#ifndef FRANK_ADMIN_JUNIT_H
#define FRANK_ADMIN_JUNIT_H

#include <stdint.h>

#include "base/buf.h"

struct junit_case {
	const char *name;
	const char *file; /* where it is written, and the line */
	unsigned line;
	uint64_t milliseconds;
	enum {
		JUNIT_PASSED,
		JUNIT_FAILED,
		JUNIT_ERROR
	} result;            /* JUNIT_ERROR: it could not be run */
	const char *message; /* why; NULL where it passed */
	const char *output;  /* NULL: none */
};

/* Appends the document: one suite of this name, begun at `when` (seconds since 1970). Characters that XML 1.0 does not
 * allow become U+FFFD. 0 or negative errno. */
int junit_write(
    struct buf *out, const char *suite, int64_t when, const struct junit_case *cases, size_t count);

#endif
