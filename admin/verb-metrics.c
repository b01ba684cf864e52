/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-metrics.c: `frank metrics`: the metrics on standard output, or in a file for node_exporter's textfile collector,
 * or served by HTTP by a program of its own, so that frank itself links no event loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/metrics.h"
#include "admin/program.h"
#include "admin/verbs.h"
#include "base/io.h"

/* The file appears whole or not at all, under a name that a collector does not read before (it reads *.prom). */
static int
write_file(const struct cli *cli, const char *path, const struct buf *text)
{
	CLEANUP_BUF struct buf part = BUF_INIT(4096);
	CLEANUP_CLOSE int fd = -1;
	int r = buf_printf(&part, "%s.%ld", path, (long)getpid());

	if (r == 0) {
		fd = open(
		    buf_str(&part), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		r = fd < 0 ? -errno : 0;
	}
	if (r < 0)
		return cli_fail(cli, EX_CANTCREAT, NULL, "%s: %s", path, strerror(-r));
	r = io_write_all(fd, buf_str(text), text->len);
	/* others read it, whatever the umask */
	if (r == 0 && (fchmod(fd, 0644) < 0 || rename(buf_str(&part), path) < 0))
		r = -errno;
	if (r == 0)
		return EX_OK;
	(void)unlink(buf_str(&part));
	return cli_fail(cli, EX_IOERR, NULL, "%s: %s", path, strerror(-r));
}

int
verb_metrics(const struct cli *cli, const struct arguments *args)
{
	const char *format = args->values[OPTION_FORMAT], *file = args->values[OPTION_TEXTFILE];
	const char *listen = args->values[OPTION_LISTEN];
	enum openmetrics_format f = file == NULL ? OPENMETRICS_1_0 : OPENMETRICS_PROMETHEUS;
	CLEANUP_BUF struct buf text = BUF_INIT(METRICS_MAX);
	int status;

	if (listen != NULL && (format != NULL || file != NULL))
		return cli_fail(cli, EX_USAGE, NULL,
		    "--listen goes alone: whoever asks by HTTP says which format it takes");
	if (listen != NULL)
		return program_become(
		    cli, "frank-exporter", "console", (const char *const[]){listen, NULL});
	if (format != NULL && file != NULL)
		return cli_fail(cli, EX_USAGE, NULL,
		    "--format cannot be given with --textfile: node_exporter reads Prometheus' "
		    "format alone");
	if (format != NULL && openmetrics_format_by_name(format, &f) < 0)
		return cli_fail(
		    cli, EX_USAGE, NULL, "--format is openmetrics or prometheus, not %s", format);
	status = metrics_collect(cli, f, &text);
	if (status != EX_OK)
		return status;
	if (file != NULL)
		return write_file(cli, file, &text);
	(void)fwrite(buf_str(&text), 1, text.len, stdout);
	return EX_OK;
}
