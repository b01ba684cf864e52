/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * log-limit.c: see log-limit.h. A table of fixed size; where it is full, all further callers share
 * one row for each kind, and where there is no row for that either, the line is dropped and counted
 * in the last one.
 */
#include "broker/role/log-limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"

enum {
	ROWS_MAX = 256,
	ROWS_SHARED = 32, /* of them for callers that have found no row of their own */
	OUTCOME_MAX = 100,
	PAIRS_MAX = 16,
	PERIOD_SECONDS = 60,
};

static const char others[] = "several callers";

struct row {
	char who[LOG_LIMIT_WHO_MAX];
	char outcome[OUTCOME_MAX]; /* "" where there is none */
	const char *sentence;
	enum log_level level;
	uint64_t count;
};

struct log_limit {
	struct event *timer;
	struct row rows[ROWS_MAX];
	size_t count;
};

void
log_limit_flush(struct log_limit *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct row *r = &l->rows[i];
		CLEANUP_BUF struct buf sentence = BUF_INIT(1024);

		if (r->count <= LOG_LIMIT_LINES)
			continue;
		(void)buf_printf(&sentence, "%s %" PRIu64 " more like this, of %s.", r->sentence,
		    r->count - LOG_LIMIT_LINES, r->who);
		log_line(r->level, buf_str(&sentence),
		    LOG_PAIRS({LOG_OUTCOME, *r->outcome == '\0' ? NULL : r->outcome}));
	}
	l->count = 0;
	(void)event_del(l->timer);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	log_limit_flush(arg);
}

struct log_limit *
log_limit_new(struct event_base *base)
{
	struct log_limit *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->timer = evtimer_new(base, on_time, l);
	if (l->timer == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

struct log_limit *
log_limit_free(struct log_limit *l)
{
	if (l == NULL)
		return NULL;
	log_limit_flush(l);
	event_free(l->timer);
	free(l);
	return NULL;
}

/* ---- a line ---- */

/* What tells kinds apart beside the sentence: what follows a colon is the case at hand. */
static void
read_outcome(const struct log_pair *pairs, char *to)
{
	*to = '\0';
	for (; pairs->field != LOG_END; pairs++)
		if (pairs->field == LOG_OUTCOME && pairs->value != NULL)
			(void)snprintf(
			    to, OUTCOME_MAX, "%.*s", (int)strcspn(pairs->value, ":"), pairs->value);
}

static struct row *
find(struct log_limit *l, const char *who, const char *sentence, const char *outcome)
{
	for (size_t i = 0; i < l->count; i++) {
		struct row *r = &l->rows[i];

		if (strcmp(r->sentence, sentence) == 0 && strcmp(r->who, who) == 0 &&
		    strcmp(r->outcome, outcome) == 0)
			return r;
	}
	return NULL;
}

static struct row *
add(struct log_limit *l, const char *who, const char *sentence, const char *outcome)
{
	static const struct timeval period = {PERIOD_SECONDS, 0};
	struct row *r = &l->rows[l->count];

	if (l->count++ == 0)
		(void)evtimer_add(l->timer, &period);
	*r = (struct row){.sentence = sentence};
	(void)snprintf(r->who, sizeof(r->who), "%s", who);
	(void)snprintf(r->outcome, sizeof(r->outcome), "%s", outcome);
	return r;
}

static struct row *
row_of(struct log_limit *l, const char *who, const char *sentence, const char *outcome)
{
	struct row *r = find(l, who, sentence, outcome);

	if (r == NULL && l->count < ROWS_MAX - ROWS_SHARED)
		return add(l, who, sentence, outcome);
	if (r == NULL)
		r = find(l, others, sentence, "");
	if (r == NULL && l->count < ROWS_MAX)
		return add(l, others, sentence, "");
	return r == NULL ? &l->rows[ROWS_MAX - 1] : r;
}

static void
write_cut(enum log_level level, const char *sentence, const struct log_pair *pairs)
{
	static char values[PAIRS_MAX][LOG_LIMIT_VALUE_MAX + sizeof("...")];
	struct log_pair cut[PAIRS_MAX + 1];
	size_t n = 0;

	for (; n < PAIRS_MAX && pairs[n].field != LOG_END; n++) {
		const char *value = pairs[n].value;

		cut[n] = pairs[n];
		if (value == NULL || strlen(value) <= LOG_LIMIT_VALUE_MAX)
			continue;
		(void)snprintf(values[n], sizeof(values[n]), "%.*s...", LOG_LIMIT_VALUE_MAX, value);
		cut[n].value = values[n];
	}
	cut[n] = (struct log_pair){LOG_END, NULL};
	log_line(level, sentence, cut);
}

void
log_limited(struct log_limit *l, const char *who, enum log_level level, const char *sentence,
    const struct log_pair *pairs)
{
	char name[LOG_LIMIT_WHO_MAX], outcome[OUTCOME_MAX];
	struct row *r;

	(void)snprintf(name, sizeof(name), "%s", who);
	read_outcome(pairs, outcome);
	r = row_of(l, name, sentence, outcome);
	if (r->count == 0 || level < r->level)
		r->level = level;
	if (++r->count <= LOG_LIMIT_LINES)
		write_cut(level, sentence, pairs);
}
