/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * captured.h: captured messages of frankd, as they come.
 */
#ifndef FRANK_ADMIN_CAPTURED_H
#define FRANK_ADMIN_CAPTURED_H

#include "admin/cli.h"

/* A place in time: what is captured later has a greater one (microseconds since 1970, as queue ids are). */
enum { CAPTURED_MARK_SIZE = 32, CAPTURED_PATIENCE = 60 /* seconds for an answer */ };

/* Now. EX_OK, or the exit status after saying why not. */
int captured_mark(const struct cli *cli, uint64_t *ret);
/* "2026-12-01T10:00:00.123456Z" */
void captured_mark_text(uint64_t mark, char ret[CAPTURED_MARK_SIZE]);
/* Reads a mark, a time without a fraction or a queue id. 0 or -EINVAL. */
int captured_mark_parse(const char *text, uint64_t *ret);

struct captured {
	const struct cli *cli;
	struct link follow, content;
	uint64_t since, end; /* end: of link_clock() */
	uint64_t
	    removed; /* the highest mark of what is gone already by age or number; 0: nothing */
	bool asked, listing; /* listing: of what there is already, there is more to come */
	bool known, through; /* through: everything up to `end` was given */
	json_t *seen;        /* ids that were given: a message may come twice */
	json_t *row;         /* the one that is being received */
	uint64_t left;       /* recipients of it that are to come */
};

/* Begins with what was captured after `since`, and goes on until `end` (link_clock()). EX_OK, or the exit status after
 * saying why not; captured_close in any case. */
int captured_open(struct captured *c, const struct cli *cli, uint64_t since, uint64_t end);
void captured_close(struct captured *c);
/* Waits for the next message, but not beyond `until`. EX_OK with *ret the message as `frank queue --json` prints it,
 * the caller's, or NULL where that time has come; or the exit status after saying why not. */
int captured_next(struct captured *c, uint64_t until, json_t **ret);
/* Appends the content of a message. EX_OK, or the exit status after saying why not. */
int captured_content(struct captured *c, const char *id, struct buf *out);

#endif
