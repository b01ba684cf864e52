/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Any file as a configuration: it is read or refused with errors that name their place, and never more than that. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct conf_environment env = {.provider_dir = NULL, .check_files = false};
	CLEANUP_BUF struct buf report = BUF_INIT(1024 * 1024);
	CLEANUP_CLOSE int fd = memfd_create("frank.conf", MFD_CLOEXEC);
	struct conf *c = NULL;
	char path[64];
	int r;

	if (memmem(data, size, "include", 7) !=
	    NULL) /* other files of the machine are not to be read */
		return 0;
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = load_conf(path, &env, &c, &report);
	if ((r == 0) != (c != NULL) || (r == -22 && report.len == 0))
		__builtin_trap();
	(void)conf_free(c);
	return 0;
}
