/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* openmetrics.c: metrics as text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/openmetrics.h"

static struct message *
row(enum field subject, const char *name)
{
	struct message *m = message_new(M_ROW_METRICS);

	assert_non_null(m);
	if (name != NULL)
		message_put_str(m, subject, name);
	return m;
}

static void
take(struct openmetrics *x, struct message *m, int want)
{
	assert_int_equal(message_error(m), 0);
	assert_int_equal(openmetrics_row(x, m), want);
	(void)message_free(m);
}

/* The whole text; the caller frees. */
static char *
text_of(const struct openmetrics *x, enum openmetrics_format f)
{
	struct buf out = BUF_INIT(1024 * 1024);

	assert_int_equal(openmetrics_text(x, f, &out), 0);
	return buf_take(&out);
}

static void
has(const char *text, const char *part)
{
	if (text == NULL || strstr(text, part) == NULL)
		fail_msg("not there: %s", part);
}

/* Every family is there without a sample, in the order of the table, each part of its head once, and the end at the end. */
static void
test_families(void **state)
{
	struct openmetrics *x = openmetrics_new();
	char *text = text_of(x, OPENMETRICS_1_0), *at = text,
	     *old = text_of(x, OPENMETRICS_PROMETHEUS);
	static const char *const names[] = {
#define METRIC(id, name, ...) name,
#include "broker/ipc/metric.def"
#undef METRIC
	};
	char line[200];

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		(void)snprintf(line, sizeof(line), "# TYPE %s ", names[i]);
		at = strstr(at, line);
		if (at == NULL)
			fail_msg("%s is not where it belongs", names[i]);
		assert_null(strstr(at + 1, line));
	}
	has(text, "# TYPE frank_accepted counter\n# HELP frank_accepted Messages");
	has(text, "# TYPE frank_spool_bytes gauge\n# UNIT frank_spool_bytes bytes\n# HELP "
		  "frank_spool_bytes ");
	has(text, "service=\\\"\\\" where"); /* quotes of a help text */
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	assert_null(strstr(text, "\n\n"));
	has(old, "# TYPE frank_accepted_total counter\n");
	has(old, "# TYPE frank_account_state gauge\n");
	has(old, "# TYPE frank_build_info gauge\nfrank_build_info{version=\"");
	has(old, "service=\"\" where");
	assert_null(strstr(old, "EOF"));
	assert_null(strstr(old, "# UNIT"));
	free(text);
	free(old);
	(void)openmetrics_free(x);
}

/* The samples of one family stay together, whatever the order of the rows. */
static void
test_samples(void **state)
{
	struct openmetrics *x = openmetrics_new();
	struct message *m;
	char *text;

	for (int i = 0; i < 2; i++) {
		m = row(F_ACCOUNT, i == 0 ? "a\\b\"c\nd" : "two");
		metric_put(m, METRIC_DELIVERED, NULL, 3);
		metric_put(m, METRIC_DEFERRED, "transient", 0);
		metric_put(m, METRIC_DEFERRED, "throttled", 7);
		metric_put(m, METRIC_TOKEN, NULL, METRIC_UNKNOWN);
		metric_put(m, METRIC_ACCOUNT, "active", 1);
		take(x, m, 0);
	}
	m = row(F_SERVICE, "web");
	metric_put(m, METRIC_REFUSED, NULL, 2);
	take(x, m, 0);
	m = row(F_SERVICE, NULL);
	metric_put(m, METRIC_REFUSED, NULL, 5);
	metric_put(m, METRIC_OLDEST, NULL, UINT64_MAX - 1);
	take(x, m, 0);
	text = text_of(x, OPENMETRICS_1_0);
	has(text, "\nfrank_delivered_total{account=\"a\\\\b\\\"c\\nd\"} "
		  "3\nfrank_delivered_total{account=\"two\"} 3\n#");
	has(text, "frank_deferred_total{account=\"two\",cause=\"transient\"} 0\n"
		  "frank_deferred_total{account=\"two\",cause=\"throttled\"} 7\n#");
	has(text, "frank_token_expires_seconds{account=\"two\"} NaN\n");
	has(text, "frank_account_state{account=\"two\",frank_account_state=\"active\"} 1\n");
	has(text, "frank_refused_total{service=\"web\"} 2\nfrank_refused_total{service=\"\"} 5\n");
	has(text, "frank_queue_oldest_seconds 18446744073709551614\n");
	free(text);
	(void)openmetrics_free(x);
}

/* Buckets are added up, bounds are in seconds and ascend, +Inf is the count, the sum is in seconds. */
static void
test_histogram(void **state)
{
	struct openmetrics *x = openmetrics_new();
	struct message *m = row(F_ACCOUNT, "a");
	char *text, *at;
	double before = -1;

	for (unsigned i = 0; i <= METRIC_BOUNDS; i++)
		metric_put(m, METRIC_DELIVERY, NULL, i == 0 ? 4 : i == METRIC_BOUNDS ? 2 : 1);
	metric_put(m, METRIC_DELIVERY, METRIC_SUM, 12050);
	take(x, m, 0);
	text = text_of(x, OPENMETRICS_1_0);
	has(text, "frank_delivery_seconds_bucket{account=\"a\",le=\"0.1\"} 4\n");
	has(text, "frank_delivery_seconds_bucket{account=\"a\",le=\"0.25\"} 5\n");
	has(text, "frank_delivery_seconds_bucket{account=\"a\",le=\"1.0\"} 7\n");
	has(text, "frank_delivery_seconds_bucket{account=\"a\",le=\"86400.0\"} 16\n");
	has(text, "frank_delivery_seconds_bucket{account=\"a\",le=\"+Inf\"} 18\n"
		  "frank_delivery_seconds_sum{account=\"a\"} 12.05\n"
		  "frank_delivery_seconds_count{account=\"a\"} 18\n");
	for (at = strstr(text, "le=\""); at != NULL && at[4] != '+'; at = strstr(at + 1, "le=\"")) {
		double bound = strtod(at + 4, NULL);

		assert_true(bound > before);
		before = bound;
	}
	free(text);
	(void)openmetrics_free(x);
}

/* What the table does not say is refused as a whole. */
static void
test_refused(void **state)
{
	struct openmetrics *x = openmetrics_new();
	struct message *m = row(F_ACCOUNT, "a");

	metric_put(m, METRIC_COUNT, NULL, 1);
	take(x, m, -EPROTO);
	m = row(F_ACCOUNT, NULL); /* of no account */
	metric_put(m, METRIC_DELIVERED, NULL, 1);
	take(x, m, -EPROTO);
	m = row(F_ACCOUNT, "a"); /* of the host */
	metric_put(m, METRIC_OLDEST, NULL, 1);
	take(x, m, -EPROTO);
	m = row(F_ACCOUNT, "a"); /* without its second label */
	metric_put(m, METRIC_DEFERRED, NULL, 1);
	take(x, m, -EPROTO);
	m = row(F_ACCOUNT, "a"); /* a sum before its buckets */
	metric_put(m, METRIC_DELIVERY, METRIC_SUM, 1);
	take(x, m, -EPROTO);
	m = row(F_ACCOUNT, "a"); /* a value is missing */
	message_put_u64(m, F_METRIC, METRIC_DELIVERED);
	take(x, m, -EPROTO);
	(void)openmetrics_free(x);
}

static void
test_formats(void **state)
{
	enum openmetrics_format f;

	assert_int_equal(openmetrics_format_by_name("prometheus", &f), 0);
	assert_int_equal(f, OPENMETRICS_PROMETHEUS);
	assert_string_equal(openmetrics_media_type(f), "text/plain; version=0.0.4; charset=utf-8");
	assert_int_equal(openmetrics_format_by_name("openmetrics", &f), 0);
	assert_string_equal(openmetrics_media_type(f),
	    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_int_equal(openmetrics_format_by_name("json", &f), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_families),
	    cmocka_unit_test(test_samples),
	    cmocka_unit_test(test_histogram),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
