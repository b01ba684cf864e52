/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * recode-internal.h: what the files of the recoder share: recode.c finds the entities of a message and
 * decides about each, recode-body.c passes their bodies.
 */
#ifndef FRANK_BROKER_MESSAGE_RECODE_INTERNAL_H
#define FRANK_BROKER_MESSAGE_RECODE_INTERNAL_H

#include "base/buf.h"
#include "broker/message/fields.h"
#include "broker/message/recode.h"

enum {
	RECODE_OUT_SIZE = 4096,
	RECODE_BOUNDARY_MAX = 200, /* RFC 2046 says 70 */
	RECODE_DEPTH_MAX = 16,
};

struct recode_level {
	char boundary[RECODE_BOUNDARY_MAX + 1];
	size_t len;
	bool digest; /* its parts are messages unless they say otherwise */
};

struct recode {
	enum recode_need need;
	struct complete_facts facts; /* of the message that comes in */
	int (*write)(void *arg, const char *bytes, size_t len);
	void *arg;
	int error;
	/* entities */
	struct recode_level stack[RECODE_DEPTH_MAX];
	unsigned depth;
	struct buf start; /* the beginning of a line that may be a boundary, or of a header */
	bool lf_ends;     /* the header in front of this body ended in LF alone: so does the body */
	bool line_passed; /* the rest of that line follows */
	bool top;         /* the header section of the message itself is still to come */
	bool in_header;
	struct buf header;
	enum recode_way top_way;
	/* the body that is coming in */
	enum recode_way way;
	size_t column;
	char blank; /* quoted-printable: white space whose place in the line is not known yet */
	size_t crs; /* CRs whose meaning the next octet decides */
	bool open;  /* a line that has not ended */
	struct buf line; /* the line, as far as it must be held; base64: octets of a line to come */
	/* what was done */
	bool split, kept, refused, refused_signed, eight_bit;
	uint64_t size, longest, header_size;
	size_t out_len;
	char out[RECODE_OUT_SIZE];
};

/* recode.c */

int recode_put(struct recode *r, const char *bytes, size_t len);

/* recode-body.c */

/* A body begins, at the beginning of a line, to be passed in this way. */
void recode_body_begin(struct recode *r, enum recode_way way);
/* The next octets of it, in whatever line ends. */
int recode_body(struct recode *r, const char *bytes, size_t len);
/* It is over. `boundary`: a boundary follows, to which the line end in front of it belongs (RFC 2046
 * section 5.1.1). */
int recode_body_end(struct recode *r, bool boundary);

#endif
