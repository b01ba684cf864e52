/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * metrics.h: the metrics of a running frankd as one text: for `frank metrics`, and for who serves them by HTTP.
 */
#ifndef FRANK_ADMIN_METRICS_H
#define FRANK_ADMIN_METRICS_H

#include "admin/cli.h"
#include "admin/openmetrics.h"

enum { METRICS_MAX = 64 * 1024 * 1024 /* octets of a text */ };

/*
 * Asks queue and keeper, which takes administrators alone, and appends the text to `out` (bounded by METRICS_MAX). Blocks for some
 * seconds where a role does not answer. EX_OK; else the exit status after saying why not (cli_fail), with nothing appended: a part of
 * the metrics is never given for the whole.
 */
int metrics_collect(const struct cli *cli, enum openmetrics_format format, struct buf *out);

#endif
