/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * confine.c: see confine.h. The steps in their order; each is useless or refused without the one
 * before.
 */
#include "broker/role/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/role/landlock.h"
#include "broker/role/syscalls.h"
#include "config.h"

#ifdef FRANK_SANITIZED
/* LeakSanitizer stops the process through ptrace when it ends, which is what confinement is there
 * to forbid. Leaks are found by the unit tests. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

int
confine_early(void)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* Also of the bounding and ambient sets, though no_new_privs alone keeps execve from using them. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(
		    PR_CAPBSET_DROP, cap, 0, 0, 0); /* refused, and needless, without CAP_SETPCAP */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

int
confine(unsigned rights, const int *dirs, size_t count, const char **ret_step)
{
	int r;

	*ret_step = "no new privileges";
	r = confine_early();
	if (r < 0)
		return r;
	*ret_step = "capabilities";
	r = drop_capabilities();
	if (r < 0)
		return r;
#ifndef FRANK_COVERAGE /* gcov writes its counts by their paths, as a process ends */
	*ret_step = "Landlock";
	r = landlock_confine(rights, dirs, count);
	if (r < 0)
		return r;
#endif
	*ret_step = "seccomp";
	r = syscalls_confine(rights);
#ifndef HAVE_CONFINE
	if (r == -EOPNOTSUPP)
		return 0; /* chosen when the program was built */
#endif
	return r;
}
