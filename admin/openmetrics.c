/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * openmetrics.c: see openmetrics.h.
 *
 * Samples are the same in both formats: a counter's name ends in _total, an info's in _info. What differs are the lines before them
 * (OpenMetrics names the family there, Prometheus the sample) and the last line.
 */
#include "admin/openmetrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "config.h"

enum { FAMILY_MAX = 8 * 1024 * 1024, LABEL_MAX = 1024 };

enum type { INFO, GAUGE, COUNTER, STATESET, HISTOGRAM };

struct family {
	const char *name;
	enum type type;
	const char *unit, *label, *second, *help;
};

static const struct family families[METRIC_COUNT] = {
#define METRIC(id, name, type, unit, label, second, help) \
	[METRIC_##id] = {name, type, unit, label, second, help},
#include "broker/ipc/metric.def"
#undef METRIC
};

struct openmetrics {
	struct buf samples[METRIC_COUNT];
};

int
openmetrics_format_by_name(const char *name, enum openmetrics_format *ret)
{
	if (strcmp(name, "openmetrics") == 0)
		*ret = OPENMETRICS_1_0;
	else if (strcmp(name, "prometheus") == 0)
		*ret = OPENMETRICS_PROMETHEUS;
	else
		return -EINVAL;
	return 0;
}

const char *
openmetrics_media_type(enum openmetrics_format f)
{
	return f == OPENMETRICS_1_0 ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
				    : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- samples ---- */

/* The value of a label: \, " and the end of a line are escaped. */
static int
append_value(struct buf *out, const char *value)
{
	int r = 0;

	for (; r == 0 && *value != '\0'; value++)
		switch (*value) {
		case '\\':
		case '"':
			r = buf_append_char(out, '\\');
			if (r == 0)
				r = buf_append_char(out, *value);
			break;
		case '\n':
			r = buf_append_str(out, "\\n");
			break;
		default:
			r = buf_append_char(out, *value);
			break;
		}
	return r;
}

/* NAME="VALUE", after a comma where it is not the first. */
static int
append_label(struct buf *labels, const char *name, const char *value)
{
	int r = buf_printf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);

	if (r == 0)
		r = append_value(labels, value);
	return r < 0 ? r : buf_append_char(labels, '"');
}

/* Milliseconds as seconds: "0.1", "2.5", "60.0". */
static void
format_seconds(uint64_t ms, char *to, size_t size)
{
	int n = snprintf(to, size, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));

	while (n > 2 && to[n - 1] == '0' && to[n - 2] != '.')
		to[--n] = '\0';
}

static int
append_sample(struct buf *out, const char *name, const char *suffix, const struct buf *labels,
    const char *value)
{
	return labels->len == 0
		   ? buf_printf(out, "%s%s %s\n", name, suffix, value)
		   : buf_printf(out, "%s%s{%s} %s\n", name, suffix, buf_str(labels), value);
}

/* What was seen of the histogram of a row. */
struct histogram {
	unsigned buckets;
	uint64_t count;
};

static int
append_bucket(struct buf *out, const struct family *f, struct histogram *h,
    const struct buf *subject, const char *label, uint64_t value)
{
	CLEANUP_BUF struct buf labels = BUF_INIT(LABEL_MAX);
	char text[32], le[32] = "+Inf";
	int r;

	if (strcmp(label, METRIC_SUM) == 0) {
		if (h->buckets != METRIC_BOUNDS + 1)
			return -EPROTO;
		format_seconds(value, text, sizeof(text));
		r = append_sample(out, f->name, "_sum", subject, text);
		(void)snprintf(text, sizeof(text), "%" PRIu64, h->count);
		return r < 0 ? r : append_sample(out, f->name, "_count", subject, text);
	}
	if (h->buckets > METRIC_BOUNDS)
		return -EPROTO;
	if (h->buckets < METRIC_BOUNDS)
		format_seconds(metric_bounds[h->buckets], le, sizeof(le));
	h->buckets++;
	h->count += value;
	(void)snprintf(text, sizeof(text), "%" PRIu64, h->count);
	r = buf_append(&labels, buf_str(subject), subject->len);
	if (r == 0)
		r = append_label(&labels, "le", le);
	return r < 0 ? r : append_sample(out, f->name, "_bucket", &labels, text);
}

/* The label that says what the row is about. A row of the host has none: what it counts beside services is of no service. */
static int
subject_of(const struct family *f, const struct message *row, struct buf *labels)
{
	const char *account = message_str(row, F_ACCOUNT), *service = message_str(row, F_SERVICE);

	if (*f->label == '\0')
		return account == NULL && service == NULL ? 0 : -EPROTO;
	if (strcmp(f->label, "service") == 0)
		return account == NULL
			   ? append_label(labels, f->label, service == NULL ? "" : service)
			   : -EPROTO;
	return account == NULL ? -EPROTO : append_label(labels, f->label, account);
}

static int
take_sample(struct openmetrics *x, const struct message *row, struct histogram *h, uint64_t metric,
    const char *label, uint64_t value)
{
	CLEANUP_BUF struct buf labels = BUF_INIT(LABEL_MAX);
	const struct family *f;
	struct buf *out;
	char text[32];
	int r;

	if (metric >= METRIC_COUNT)
		return -EPROTO;
	f = &families[metric];
	out = &x->samples[metric];
	r = subject_of(f, row, &labels);
	if (r < 0)
		return r;
	if (f->type == HISTOGRAM)
		return append_bucket(out, f, h, &labels, label, value);
	if ((*f->second == '\0') != (*label == '\0'))
		return -EPROTO;
	if (*f->second != '\0')
		r = append_label(&labels, f->second, label);
	if (value == METRIC_UNKNOWN)
		(void)snprintf(text, sizeof(text), "NaN");
	else
		(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return r < 0 ? r
		     : append_sample(out, f->name,
			   f->type == COUNTER ? "_total"
			   : f->type == INFO  ? "_info"
					      : "",
			   &labels, text);
}

int
openmetrics_row(struct openmetrics *x, const struct message *row)
{
	size_t at_metric = 0, at_label = 0, at_value = 0;
	struct histogram h = {0};
	uint64_t metric, value;
	const char *label;
	int r = 0;

	while (r == 0 && message_next_u64(row, F_METRIC, &at_metric, &metric)) {
		if (!message_next_str(row, F_LABEL, &at_label, &label) ||
		    !message_next_u64(row, F_VALUE, &at_value, &value))
			return -EPROTO;
		r = take_sample(x, row, &h, metric, label, value);
	}
	return r;
}

/* ---- the whole ---- */

static int
append_head(const struct family *f, enum openmetrics_format format, struct buf *out)
{
	static const char *const types[] = {[INFO] = "info",
	    [GAUGE] = "gauge",
	    [COUNTER] = "counter",
	    [STATESET] = "stateset",
	    [HISTOGRAM] = "histogram"};
	const char *suffix = f->type == COUNTER ? "_total" : f->type == INFO ? "_info" : "";
	bool old = format == OPENMETRICS_PROMETHEUS;
	int r;

	if (old)
		return buf_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, suffix, f->help,
		    f->name, suffix,
		    types[f->type == INFO || f->type == STATESET ? GAUGE : f->type]);
	r = buf_printf(out, "# TYPE %s %s\n", f->name, types[f->type]);
	if (r == 0 && *f->unit != '\0')
		r = buf_printf(out, "# UNIT %s %s\n", f->name, f->unit);
	if (r == 0)
		r = buf_printf(out, "# HELP %s ", f->name);
	if (r == 0)
		r = append_value(out, f->help);
	return r < 0 ? r : buf_append_char(out, '\n');
}

int
openmetrics_text(const struct openmetrics *x, enum openmetrics_format f, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < METRIC_COUNT && r == 0; i++) {
		r = append_head(&families[i], f, out);
		if (r == 0)
			r = buf_append(out, buf_str(&x->samples[i]), x->samples[i].len);
	}
	return r < 0 || f == OPENMETRICS_PROMETHEUS ? r : buf_append_str(out, "# EOF\n");
}

struct openmetrics *
openmetrics_new(void)
{
	struct openmetrics *x = calloc(1, sizeof(*x));

	for (size_t i = 0; x != NULL && i < METRIC_COUNT; i++)
		buf_init(&x->samples[i], FAMILY_MAX);
	if (x != NULL &&
	    buf_printf(&x->samples[METRIC_BUILD], "%s_info{%s=\"%s\"} 1\n",
		families[METRIC_BUILD].name, families[METRIC_BUILD].second, FRANK_VERSION) < 0)
		return openmetrics_free(x);
	return x;
}

struct openmetrics *
openmetrics_free(struct openmetrics *x)
{
	for (size_t i = 0; x != NULL && i < METRIC_COUNT; i++)
		buf_free(&x->samples[i]);
	free(x);
	return NULL;
}
