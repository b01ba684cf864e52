/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* problem.c: see problem.h. */
#include "broker/queue/control/problem.h"

enum { TEXT_MAX = 1024 };

/* The kinds, in the order of their rows. */
enum { DISK_FULL, SPOOL_ERROR, DROP_REFUSED, OUT_OF_FORCE };

const char *const problem_kinds[PROBLEM_KINDS] = {[DISK_FULL] = "disk-full",
    [SPOOL_ERROR] = "spool-error",
    [DROP_REFUSED] = "drop-refused",
    [OUT_OF_FORCE] = "out-of-force"};

bool
problem_is(const struct control_deps *deps, size_t kind)
{
	switch (kind) {
	case DISK_FULL:
		return space_is_low(deps->space);
	case SPOOL_ERROR:
		return commit_is_stuck(deps->commit);
	case DROP_REFUSED:
		return inbound_aside(deps->inbound) > 0;
	default:
		return deps->settings->conf->lapses.count > 0;
	}
}

static struct message *
make_row(const char *kind, const char *text, const char *next)
{
	struct message *m = message_new(M_ROW_PROBLEM);

	message_put_str(m, F_KIND, kind);
	message_put_str(m, F_TEXT, text);
	message_put_str(m, F_NEXT, next);
	return m;
}

static struct message *
row_of_space(const struct control_deps *deps)
{
	CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX);

	if (!problem_is(deps, DISK_FULL))
		return NULL;
	(void)buf_append_str(&text, "The disk of the spool is nearly full: no mail is taken. ");
	space_describe(deps->space, &text);
	return make_row(problem_kinds[DISK_FULL], buf_str(&text),
	    "Free space there; mail that nobody needs goes by: frank queue delete");
}

static struct message *
row_of_spool(const struct control_deps *deps)
{
	return !problem_is(deps, SPOOL_ERROR)
		   ? NULL
		   : make_row(problem_kinds[SPOOL_ERROR],
			 "The spool cannot be written; nothing is sent or taken until it can.",
			 "Look at its disk: df, journalctl -k");
}

static struct message *
row_of_drop(const struct control_deps *deps)
{
	CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX);
	size_t aside = inbound_aside(deps->inbound);

	if (aside == 0)
		return NULL;
	(void)buf_printf(&text,
	    "%zu file%s in the drop directory %s not taken in: %s no message, or %s name does not "
	    "end "
	    "in .drop.",
	    aside, aside == 1 ? "" : "s", aside == 1 ? "is" : "are",
	    aside == 1 ? "it holds" : "they hold", aside == 1 ? "its" : "their");
	return make_row(problem_kinds[DROP_REFUSED], buf_str(&text),
	    "Look at the files in the folder \"drop\" of the state folder whose names do not end "
	    "in "
	    ".drop, and remove them, or rename what is a message.");
}

static struct message *
row_of_lapse(const struct control_deps *deps, size_t i)
{
	const struct conf_strings *l = &deps->settings->conf->lapses;

	return i < l->count ? make_row(problem_kinds[OUT_OF_FORCE], l->items[i],
				  "Mend what is named there, then: frank reload")
			    : NULL;
}

struct message *
problem_row(const struct control_deps *deps, size_t at)
{
	static struct message *(*const rows[])(const struct control_deps *deps) = {
	    row_of_space, row_of_spool, row_of_drop};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct message *m = rows[i](deps);

		if (m != NULL && at-- == 0)
			return m;
		(void)message_free(m);
	}
	return row_of_lapse(deps, at);
}
