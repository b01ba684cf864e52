/*
 * recode-internal.h: what the files of the recoder share: recode.c has the header and the encoders,
 * recode-parts.c finds the parts of a message of several.
 */
#ifndef FRANK_BROKER_MESSAGE_RECODE_INTERNAL_H
#define FRANK_BROKER_MESSAGE_RECODE_INTERNAL_H

#include "base/buf.h"
#include "base/header.h"
#include "broker/message/fields.h"
#include "broker/message/mime.h"
#include "broker/message/recode.h"

enum {
	RECODE_OUT_SIZE = 4096,
	RECODE_COLLECT_MAX = FIELDS_LINE_MAX + 2, /* a line that may stay, and its CRLF */
};

struct recode_parts;

struct recode {
	enum recode_need need;
	enum recode_way way;         /* of what is coming in now */
	struct complete_facts facts; /* of the message that comes in */
	int (*write)(void *arg, const char *bytes, size_t len);
	void *arg;
	int error;
	struct buf header;
	bool in_body;
	struct recode_parts *parts; /* of a message of several; else NULL */
	/* quoted-printable, and lines that are kept */
	size_t column;
	char blank; /* white space whose place in the line is not known yet; 0: none */
	bool cr;    /* a CR was seen */
	/* soft breaks, reflow, split */
	struct buf line;
	/* what was done */
	bool split, kept, eight_bit;
	uint64_t size, longest, header_size;
	size_t out_len;
	char out[RECODE_OUT_SIZE];
};

/* recode.c */

int recode_put(struct recode *r, const char *bytes, size_t len);
/*
 * What an entity's header section, up to and with its blank line, allows to be done to its body.
 * *ret_type is its Content-Type, where it has one. *ret_whole: all of it is fields.
 */
enum recode_way recode_choose(const char *header, size_t len, enum recode_way without_type,
    struct header_field *ret_type, bool *ret_whole);
/* Another body begins, at the beginning of a line, to be passed in this way. */
void recode_body_anew(struct recode *r, enum recode_way way);
/* The next octets of it. */
int recode_body(struct recode *r, const char *bytes, size_t len);

/* recode-parts.c */

/* False where the type names no boundary, or memory is out: then its parts are not found. */
bool recode_parts_begin(struct recode *r, const struct header_field *type);
int recode_parts_input(struct recode *r, const char *bytes, size_t len);
int recode_parts_end(struct recode *r);
void recode_parts_free(struct recode_parts *p);

#endif
