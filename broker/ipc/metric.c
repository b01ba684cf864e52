/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* metric.c: see metric.h. */
#include "broker/ipc/metric.h"

const uint64_t metric_bounds[METRIC_BOUNDS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 3600000, 21600000, 86400000};

void
metric_put(struct message *row, enum metric metric, const char *label, uint64_t value)
{
	message_put_u64(row, F_METRIC, metric);
	message_put_str(row, F_LABEL, label == NULL ? "" : label);
	message_put_u64(row, F_VALUE, value);
}
