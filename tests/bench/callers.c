/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * callers.c: calls a command for many messages, from several callers at once, and prints how long
 * that took.
 *
 * usage: callers -n MESSAGES -c CALLERS -f FILE -- COMMAND [ARGUMENT ...]
 *
 * Each call gets FILE as its standard input. Prints one line of JSON: the median and the 90th
 * percentile of a call in microseconds, calls per second over all callers, and how many ended with
 * another status than 0.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	atomic_uint next, failed;
	uint32_t took[]; /* microseconds */
};

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* vfork: the child shares this process's memory until it is another program, so that the size of
 * this one does not count. */
static int
call(char **argv, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), status = -1;
	pid_t pid;

	if (fd < 0)
		return -1;
	pid = vfork();
	if (pid == 0) {
		if (dup2(fd, STDIN_FILENO) < 0)
			_exit(127);
		execv(argv[0], argv);
		_exit(127);
	}
	(void)close(fd);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
work(struct shared *s, unsigned messages, char **argv, const char *file)
{
	unsigned i;

	while ((i = atomic_fetch_add(&s->next, 1)) < messages) {
		double start = now();

		if (call(argv, file) != 0)
			atomic_fetch_add(&s->failed, 1);
		s->took[i] = (uint32_t)((now() - start) * 1e6);
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	unsigned messages = 100, callers = 1;
	const char *file = "/dev/null";
	struct shared *s;
	double start, seconds;
	int c;

	while ((c = getopt(argc, argv, "+n:c:f:")) != -1) {
		if (c == 'n')
			messages = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'c')
			callers = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'f')
			file = optarg;
		else
			return 64;
	}
	if (optind >= argc || messages == 0 || callers == 0)
		return 64;
	s = mmap(NULL, sizeof(*s) + messages * sizeof(s->took[0]), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return 71;
	start = now();
	for (unsigned i = 0; i < callers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 71;
		if (pid == 0) {
			work(s, messages, argv + optind, file);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	seconds = now() - start;
	qsort(s->took, messages, sizeof(s->took[0]), compare);
	(void)printf("{\"median_us\":%u,\"p90_us\":%u,\"per_second\":%.1f,\"failed\":%u}\n",
	    s->took[messages / 2], s->took[messages * 9 / 10], messages / seconds,
	    atomic_load(&s->failed));
	return 0;
}
