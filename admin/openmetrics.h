/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * openmetrics.h: rows of metrics (ipc/metric.h) as text: OpenMetrics 1.0, or the format that Prometheus had before (version 0.0.4).
 *
 * Families come in the order of metric.def, each whole; every family is there, also without a sample. No I/O.
 */
#ifndef FRANK_ADMIN_OPENMETRICS_H
#define FRANK_ADMIN_OPENMETRICS_H

#include "base/buf.h"
#include "broker/ipc/metric.h"

enum openmetrics_format { OPENMETRICS_1_0, OPENMETRICS_PROMETHEUS };

/* "openmetrics", "prometheus": 0; -EINVAL for another word. */
int openmetrics_format_by_name(const char *name, enum openmetrics_format *ret);
/* The media type that an HTTP server gives it. Constant. */
const char *openmetrics_media_type(enum openmetrics_format f);

struct openmetrics;

/* With the sample of frank_build_info. NULL: no memory. */
struct openmetrics *openmetrics_new(void);
/* Takes NULL; returns NULL. */
struct openmetrics *openmetrics_free(struct openmetrics *x);
/* Takes the samples of a row. 0; -EPROTO where they are not what metric.def says; -ENOMEM; -ENOBUFS: more than some megabytes. */
int openmetrics_row(struct openmetrics *x, const struct message *row);
/* Appends the whole text. 0 or negative errno. */
int openmetrics_text(const struct openmetrics *x, enum openmetrics_format f, struct buf *out);

#endif
