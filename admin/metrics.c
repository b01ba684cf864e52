/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* metrics.c: see metrics.h. */
#include "admin/metrics.h"

#include <errno.h>
#include <string.h>

enum { PATIENCE = 3 /* seconds: Prometheus waits for 10 */ };

static inline void
cleanup_openmetrics(struct openmetrics **x)
{
	(void)openmetrics_free(*x);
}

struct collecting {
	const struct cli *cli;
	struct openmetrics *samples;
};

static int
fail_text(const struct cli *cli, int r)
{
	return r == -EPROTO ? cli_fail(cli, EX_PROTOCOL,
				  "install frank and frankd of one version, and restart frankd",
				  "frankd gave metrics that this frank does not know")
			    : cli_fail(cli, EX_OSERR, NULL, "the metrics: %s", strerror(-r));
}

static int
take_row(void *arg, const struct message *m)
{
	const struct collecting *x = arg;
	int r = openmetrics_row(x->samples, m);

	return r < 0 ? fail_text(x->cli, r) : EX_OK;
}

int
metrics_collect(const struct cli *cli, enum openmetrics_format format, struct buf *out)
{
	CLEANUP(cleanup_openmetrics) struct openmetrics *samples = openmetrics_new();
	struct collecting x = {cli, samples};
	size_t before = out->len;
	int status, r;

	if (samples == NULL)
		return fail_text(cli, -ENOMEM);
	status = link_ask(cli, ROLE_QUEUE, PATIENCE, message_new(M_METRICS), take_row, &x, NULL);
	if (status == EX_OK)
		status = link_ask(
		    cli, ROLE_KEEPER, PATIENCE, message_new(M_KEEPER_METRICS), take_row, &x, NULL);
	if (status != EX_OK)
		return status;
	r = openmetrics_text(samples, format, out);
	if (r == 0)
		return EX_OK;
	out->len = before;
	return fail_text(cli, r);
}
