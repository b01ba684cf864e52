/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * programs.c: see programs.h. The child between fork and exec: descriptors, user, environment,
 * nothing else. All of main's descriptors are closed by exec.
 */
#include "broker/main/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/log.h"
#include "config.h"

enum {
	CHANNEL_FD = 3,
	FIRST_FREE = 10,
	PAIR_BAD = 1
}; /* PAIR_BAD: an exit status of frank-tls --check-pair */

/* The file of each role's program, and the name that it runs under where one program is two roles. */
static const char *const names[ROLE_COUNT] = {
    [ROLE_QUEUE] = "frank-queue",
    [ROLE_KEEPER] = "frank-keeper",
    [ROLE_FETCH] = "frank-https",
    [ROLE_SEND] = "frank-send",
    [ROLE_TLS] = "frank-tls",
    [ROLE_POST] = "frank-https",
};
static const char *const other_names[ROLE_COUNT] = {
    [ROLE_POST] = "frank-post",
};

/* What roles and their libraries may see of the environment. */
static const char *const passed_on[] = {"JOURNAL_STREAM", "LANG", "LC_ALL", "LC_CTYPE", "TZ",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};

/* The folder of the running program; false where it cannot be told. */
static bool
own_folder(char folder[static PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (len <= 0)
		return false;
	folder[len] = '\0';
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

/* Opens, or only looks for, a program: `path` is where it was found. */
static int
find_program(const char *name, char *path, size_t size)
{
	char folder[PATH_MAX];
	int fd = -1;

	if (own_folder(folder) && (size_t)snprintf(path, size, "%s/%s", folder, name) < size)
		fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (size_t)snprintf(path, size, "%s/%s", FRANK_LIBEXEC_DIR, name) < size)
		fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Clear of the numbers that the child gives a meaning. */
static int
move_up(int fd)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
	int err = errno;

	(void)close(fd);
	return up < 0 ? -err : up;
}

int
programs_open(struct programs *p, struct buf *why)
{
	char path[PATH_MAX];
	int fd;

	for (int role = 0; role < ROLE_COUNT; role++)
		p->fds[role] = -1;
	p->keyring = NULL;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	p->null = fd < 0 ? -errno : move_up(fd);
	if (p->null < 0) {
		(void)buf_printf(why, "cannot open /dev/null: %s", strerror(-p->null));
		return p->null;
	}
	for (int role = 0; role < ROLE_COUNT; role++) {
		if (names[role] == NULL)
			continue;
		fd = find_program(names[role], path, sizeof(path));
		if (fd >= 0)
			fd = move_up(fd);
		if (fd < 0) {
			(void)buf_printf(why,
			    "the program %s is neither beside frankd nor in %s: %s", names[role],
			    FRANK_LIBEXEC_DIR, strerror(-fd));
			return fd;
		}
		p->fds[role] = fd;
	}
	fd = find_program("frank-keyring", path, sizeof(path));
	if (fd >= 0) {
		p->keyring = strdup(path);
		(void)close(fd);
	}
	return 0;
}

void
programs_close(struct programs *p)
{
	for (int role = 0; role < ROLE_COUNT; role++)
		if (p->fds[role] >= 0)
			(void)close(p->fds[role]);
	if (p->null >= 0)
		(void)close(p->null);
	free(p->keyring);
}

void
programs_provider_dir(char *dir, size_t size)
{
	const char *given = secure_getenv("FRANK_PROVIDER_DIR");
	char folder[PATH_MAX];
	struct stat st;
	int len = -1;

	if (given != NULL) {
		(void)snprintf(dir, size, "%s", given);
		return;
	}
	if (own_folder(folder))
		len = snprintf(dir, size, "%s/../contrib/providers", folder);
	if (len < 0 || (size_t)len >= size || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		(void)snprintf(dir, size, "%s", FRANK_PROVIDER_DIR);
}

/* Pointers into the environment that this process has. */
static void
pick_environment(char **to, size_t count)
{
	size_t kept = 0;

	for (char **e = environ; *e != NULL; e++)
		for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
			size_t len = strlen(passed_on[i]);

			if (kept + 1 < count && strncmp(*e, passed_on[i], len) == 0 &&
			    (*e)[len] == '=')
				to[kept++] = *e;
		}
	to[kept] = NULL;
}

/* Until exec the child has main's handlers, which would write into main's event loop: so they go before signals may
 * come. */
static void
forget_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
become_role(const struct programs *p, enum role_id role, const struct identity *who, int channel,
    const char *state_path)
{
	const char *name = other_names[role] == NULL ? names[role] : other_names[role];
	char *argv[] = {(char *)name, (char *)state_path, NULL};
	char *environment[ARRAY_SIZE(passed_on) + 1];
	int r;

	forget_signals();
	(void)umask(077);
	pick_environment(environment, ARRAY_SIZE(environment));
	r = dup2(p->null, STDIN_FILENO) < 0 || dup2(p->null, STDOUT_FILENO) < 0 ||
		    dup2(channel, CHANNEL_FD) < 0
		? -errno
		: 0;
	if (r == 0 && chdir("/") < 0)
		r = -errno;
	if (r == 0)
		r = identity_become(who);
	if (r == 0) {
		(void)fexecve(p->fds[role], argv, environment);
		r = -errno;
	}
	log_error("%s cannot be started: %s.", name, strerror(-r));
	_exit(EX_OSERR);
}

pid_t
programs_run(const struct programs *p, enum role_id role, const struct identity *who, int channel,
    const char *state_path)
{
	sigset_t all, before;
	pid_t pid;
	int err;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	err = errno;
	if (pid == 0) {
		int up = fcntl(channel, F_DUPFD_CLOEXEC, FIRST_FREE);

		become_role(p, role, who, up, state_path);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pid < 0 ? -err : pid;
}

/* What frank-tls reads: the chain, a NUL, the key. */
static int
make_pair(const struct secret *chain, const struct secret *key)
{
	CLEANUP_CLOSE int fd = memfd_create("pair", MFD_CLOEXEC);

	if (fd < 0 ||
	    write(fd, secret_bytes(chain), secret_len(chain)) != (ssize_t)secret_len(chain) ||
	    write(fd, "", 1) != 1 ||
	    write(fd, secret_bytes(key), secret_len(key)) != (ssize_t)secret_len(key) ||
	    lseek(fd, 0, SEEK_SET) != 0)
		return -EIO;
	return TAKE_FD(fd);
}

/* Runs `path` with these standard streams; its wait status, or negative errno. */
static int
run_check(const char *path, int in, int out)
{
	char name[] = "frank-tls", verb[] = "--check-pair", *const argv[] = {name, verb, NULL};
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions), status;
	pid_t pid = -1;

	if (r != 0)
		return -r;
	if ((r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO)) == 0 &&
	    (r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO)) == 0 &&
	    (r = posix_spawn_file_actions_addopen(
		 &actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)) == 0)
		r = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

int
programs_check_pair(const struct secret *chain, const struct secret *key, struct buf *why)
{
	char path[PATH_MAX], said[200];
	CLEANUP_CLOSE int program = find_program(names[ROLE_TLS], path, sizeof(path));
	CLEANUP_CLOSE int pair = make_pair(chain, key);
	CLEANUP_CLOSE int out = memfd_create("said", MFD_CLOEXEC);
	int status;
	ssize_t n;

	if (program < 0 || pair < 0 || out < 0)
		return 0;
	status = run_check(path, pair, out);
	if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != PAIR_BAD)
		return 0;
	n = pread(out, said, sizeof(said), 0);
	if (n <= 0)
		return 0;
	(void)buf_append(why, said, (size_t)n);
	return -EINVAL;
}
