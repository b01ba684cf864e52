/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* start.c: see start.h. */
#include "admin/start.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

bool
start_is_possible(void)
{
	/* sd_booted(3) */
	return geteuid() == 0 && access("/run/systemd/system", F_OK) == 0 &&
	       (access("/lib/systemd/system/frank.service", F_OK) == 0 ||
		   access("/usr/lib/systemd/system/frank.service", F_OK) == 0 ||
		   access("/etc/systemd/system/frank.service", F_OK) == 0);
}

int
start_frankd(void)
{
	static const char *const argv[] = {
	    "systemctl", "--quiet", "enable", "--now", "frank.service", NULL};
	pid_t pid;
	int status, r = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ);

	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}
