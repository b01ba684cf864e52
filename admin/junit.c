/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* junit.c: see junit.h. */
#include "admin/junit.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"

/* XML 1.0 section 2.2 */
static bool
is_char(uint32_t point)
{
	return point == '\t' || point == '\n' || point == '\r' ||
	       (point >= ' ' && point < 0xd800) ||
	       (point > 0xdfff && point != 0xfffe && point != 0xffff);
}

/* As content or as a value in double quotes, where a reader would make spaces of line ends. */
static void
put(struct buf *out, const char *s)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"},
	    {'\n', "&#10;"}, {'\r', "&#13;"}, {'\t', "&#9;"}};
	size_t left = strlen(s);

	while (left > 0) {
		uint32_t point = 0;
		size_t n = utf8_length(s, left, &point), i = 0;

		while (i < ARRAY_SIZE(entities) && entities[i].c != *s)
			i++;
		if (n == 0 || !is_char(point))
			(void)buf_append_str(out, "\xef\xbf\xbd");
		else if (i < ARRAY_SIZE(entities))
			(void)buf_append_str(out, entities[i].entity);
		else
			(void)buf_append(out, s, n);
		n += n == 0;
		s += n;
		left -= n;
	}
}

static void
put_attribute(struct buf *out, const char *name, const char *value)
{
	(void)buf_printf(out, " %s=\"", name);
	put(out, value);
	(void)buf_append_char(out, '"');
}

static void
put_time(struct buf *out, uint64_t milliseconds)
{
	(void)buf_printf(out, " time=\"%" PRIu64 ".%03u\"", milliseconds / 1000,
	    (unsigned)(milliseconds % 1000));
}

static void
put_case(struct buf *out, const char *suite, const struct junit_case *c)
{
	const char *element = c->result == JUNIT_ERROR ? "error" : "failure";

	(void)buf_append_str(out, "    <testcase");
	put_attribute(out, "classname", suite);
	put_attribute(out, "name", c->name);
	put_attribute(out, "file", c->file);
	(void)buf_printf(out, " line=\"%u\"", c->line);
	put_time(out, c->milliseconds);
	(void)buf_append_str(out, ">\n");
	if (c->result != JUNIT_PASSED) {
		(void)buf_printf(out, "      <%s", element);
		put_attribute(out, "message", c->message);
		put_attribute(out, "type", element);
		(void)buf_append_char(out, '>');
		put(out, c->message);
		(void)buf_printf(out, "</%s>\n", element);
	}
	if (c->output != NULL) {
		(void)buf_append_str(out, "      <system-out>");
		put(out, c->output);
		(void)buf_append_str(out, "</system-out>\n");
	}
	(void)buf_append_str(out, "    </testcase>\n");
}

int
junit_write(
    struct buf *out, const char *suite, int64_t when, const struct junit_case *cases, size_t count)
{
	size_t failed = 0, errors = 0;
	uint64_t sum = 0;
	char stamp[32] = "";
	time_t t = (time_t)when;
	struct tm tm;

	for (size_t i = 0; i < count; i++) {
		failed += cases[i].result == JUNIT_FAILED;
		errors += cases[i].result == JUNIT_ERROR;
		sum += cases[i].milliseconds;
	}
	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)buf_append_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	for (int i = 0; i < 2; i++) {
		(void)buf_append_str(out, i == 0 ? "<testsuites" : "  <testsuite");
		put_attribute(out, "name", suite);
		(void)buf_printf(out,
		    " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\"", count, failed,
		    errors);
		put_time(out, sum);
		if (i == 1)
			put_attribute(out, "timestamp", stamp);
		(void)buf_append_str(out, ">\n");
	}
	for (size_t i = 0; i < count; i++)
		put_case(out, suite, &cases[i]);
	(void)buf_append_str(out, "  </testsuite>\n</testsuites>\n");
	return out->failed;
}
