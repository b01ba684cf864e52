/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* say.c: words for a person, without stdio. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "shim/shim.h"

void
say_words(const char *const *words)
{
	static const char prefix[] = "sendmail: ";
	char line[1024];
	size_t len = sizeof(prefix) - 1;

	memcpy(line, prefix, len);
	for (; *words != NULL; words++)
		for (const char *w = *words; *w != '\0' && len < sizeof(line) - 1; w++)
			line[len++] = (unsigned char)*w < ' ' || *w == 0x7f ? '?' : *w;
	line[len++] = '\n';
	/* A caller that reads no standard error must not turn an exit status into a signal. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)io_write_all(STDERR_FILENO, line, len);
}
