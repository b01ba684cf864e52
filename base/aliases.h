/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * aliases.h: the table of /etc/aliases (aliases(5) of Sendmail and Postfix), read and expanded. Pure: text in, addresses out.
 *
 * What is local to a host has no mailbox that submission could reach, so a local name must lead to an address elsewhere: by the table,
 * by the configured postmaster, or by a mail domain that is not the host's own. What leads to a program, a file or nowhere is
 * refused where it is handed in.
 *
 * Of the format: `name: address, address ...`; lines that begin with white space go on; a line whose first character is '#' is
 * a comment. Names are
 * compared without regard to case, the first of two equal ones counts, and `*` stands for local names that have no line of their own.
 * `\name`, and a name in its own list, are that name without further expansion. `|command`, `/file`, `:include:/file` and Exim's
 * `:words:` are known and refused.
 */
#ifndef FRANK_BASE_ALIASES_H
#define FRANK_BASE_ALIASES_H

#include "base/buf.h"

enum {
	ALIASES_TEXT_MAX = 4 * 1024 * 1024, /* of a file */
	ALIASES_DEPTH_MAX = 20,             /* aliases of aliases */
	ALIASES_EXPANSION_MAX = 1000,       /* addresses that one may lead to */
};

struct aliases;

/* What is local. Strings are borrowed for each call. */
struct aliases_host {
	char *const *domains; /* those whose users are this host's */
	size_t domain_count;
	const char *mail_name; /* domain of a name without one */
	/* for root, postmaster and mailer-daemon where no alias says otherwise; "": nobody */
	const char *postmaster;
};

/*
 * Reads the text of `file` (a name for the report). Lines that are wrong are reported as "file:line: warning: ..." and do not
 * count; targets that are refused keep their alias, which is refused then. 0 with *ret, or -ENOMEM.
 */
int aliases_parse(
    const char *text, size_t len, const char *file, struct aliases **ret, struct buf *report);
struct aliases *aliases_free(struct aliases *a);
size_t aliases_count(const struct aliases *a);

/* Has the name a line of its own? `a` may be NULL. */
bool aliases_has(const struct aliases *a, const char *name);

/* Reports what cannot work on this host: loops, targets that are refused, local names that lead nowhere. The number of
 * problems, those of aliases_parse included. */
unsigned aliases_check(struct aliases *a, const struct aliases_host *host, struct buf *report);

enum aliases_result {
	ALIASES_OK,
	ALIASES_UNKNOWN, /* a local name that leads nowhere */
	ALIASES_BROKEN,  /* a loop, a program, a file, too many addresses */
	ALIASES_FAILED,  /* `visit` said so */
};

/* An address, with its domain. 0 to go on; anything else ends the expansion as ALIASES_FAILED. */
typedef int aliases_visit(void *arg, const char *address);

/*
 * Calls `visit` for every address that `address` leads to; for itself where it is not local. One may come twice, when several aliases
 * name it. `a` may be NULL: no table. Where the result is ALIASES_UNKNOWN or ALIASES_BROKEN, `why` gets a sentence with the next
 * step, and `visit` may have been called before.
 */
enum aliases_result aliases_expand(struct aliases *a, const struct aliases_host *host,
    const char *address, aliases_visit *visit, void *arg, struct buf *why);

/* Is the address one of this host's: without a domain, or with one of its domains? */
bool aliases_is_local(const struct aliases_host *host, const char *address);

#endif
