/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * metric.h: what roles count for `frank metrics`, and how it travels (metric.def, ROW_METRICS and ROW_KEEPER_METRICS of messages.def).
 *
 * A row is about one account, service or the host; its samples are in the repeated fields METRIC, LABEL and VALUE, side by side, those
 * of one family together and always in the same order.
 */
#ifndef FRANK_BROKER_IPC_METRIC_H
#define FRANK_BROKER_IPC_METRIC_H

#include "broker/ipc/message.h"

enum metric {
#define METRIC(name, ...) METRIC_##name,
#include "broker/ipc/metric.def"
#undef METRIC
	METRIC_COUNT
};

/* The value of a gauge that is not known: printed as NaN. */
#define METRIC_UNKNOWN UINT64_MAX

/* The histogram of delivery times: the upper bounds of its buckets in milliseconds, and one bucket without a bound behind them. */
enum { METRIC_BOUNDS = 13 };
extern const uint64_t metric_bounds[METRIC_BOUNDS];
/* A histogram's samples in a row: the buckets, not added up, without a label; then the sum in milliseconds with this one. */
#define METRIC_SUM "sum"

/* Adds a sample to a row. `label` is the value of the family's second label, NULL where it has none. */
void metric_put(struct message *row, enum metric metric, const char *label, uint64_t value);

#endif
