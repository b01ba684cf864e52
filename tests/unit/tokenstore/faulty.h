/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * faulty.h: file operations that count themselves and fail, tear or stop at the Nth.
 *
 * For "fail the Nth operation until it succeeds" loops and for crash tests. Reads are counted too.
 */
#ifndef FRANK_TESTS_FAULTY_H
#define FRANK_TESTS_FAULTY_H

#include "tokenstore/file-ops.h"

enum faulty_how {
	FAULTY_FAIL,  /* the operation does nothing and fails with `error` */
	FAULTY_SHORT, /* a write stores half of it, then fails with `error`; others as FAULTY_FAIL
		       */
	FAULTY_EXIT,  /* the process ends before the operation */
	FAULTY_EXIT_MID, /* a write stores half of it; then the process ends */
};

struct faulty {
	unsigned long count; /* operations so far */
	unsigned long at;    /* which one fails; 0: none */
	bool for_good;       /* and all after it */
	enum faulty_how how;
	int error;    /* positive errno */
	bool reached; /* it came to that */
};

/* A table whose operations are the system's, passed through `f` (borrowed). */
struct file_ops faulty_ops(struct faulty *f);

enum { FAULTY_STATUS = 86 }; /* exit status of FAULTY_EXIT* */

#endif
