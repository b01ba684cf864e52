/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* check-pair.c: see check-pair.h. Where frankd runs as root, this process gives that up before it reads anything. */
#include "broker/tls/check-pair.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "broker/ipc/file.h"
#include "broker/tls/certificate.h"

enum { SECONDS_MAX = 10, PAIR_MAX = 64 * 1024, NOBODY = 65534 };

static int
confine(void)
{
	const struct rlimit none = {0, 0};

	(void)alarm(SECONDS_MAX);
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef FRANK_SANITIZED /* LeakSanitizer looks into the process as a debugger does */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
				  setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	return 0;
}

int
check_pair(void)
{
	CLEANUP_BUF struct buf text = BUF_INIT_WIPE(PAIR_MAX);
	CLEANUP_SECRET struct secret *chain = NULL;
	CLEANUP_SECRET struct secret *key = NULL;
	char why[160] = "";
	SSL_CTX *context;
	size_t len;

	if (confine() < 0 || file_read_whole(STDIN_FILENO, &text) < 0)
		return EX_OSERR;
	len = strnlen(text.data, text.len);
	if (len == text.len)
		return EX_DATAERR;
	chain = secret_new(text.data, len);
	key = secret_new(text.data + len + 1, text.len - len - 1);
	if (chain == NULL || key == NULL)
		return EX_OSERR;
	context = certificate_context(chain, key, why, sizeof(why));
	if (context != NULL) {
		SSL_CTX_free(context);
		return EX_OK;
	}
	return fputs(why, stdout) < 0 || fflush(stdout) < 0 ? EX_IOERR : CHECK_PAIR_BAD;
}
