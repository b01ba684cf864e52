/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* browser.c: see browser.h. */
#include "admin/browser.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"

enum { ENVIRONMENT_MAX = 16, VARIABLE_MAX = 4096 };

static bool
is_set(const char *variable)
{
	const char *value = secure_getenv(variable);

	return value != NULL && *value != '\0';
}

/* A user id that a variable tells; false where it is not set, no number, or root's. */
static bool
user_of(const char *variable, uid_t *ret)
{
	const char *value = getenv(variable);
	unsigned long n;

	if (value == NULL || *value == '\0' || strlen(value) > 10 ||
	    value[strspn(value, "0123456789")] != '\0')
		return false;
	n = strtoul(value, NULL, 10);
	if (n == 0 || n >= (uid_t)-1)
		return false;
	*ret = (uid_t)n;
	return true;
}

bool
browser_is_there(void)
{
	uid_t person;

	return (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")) &&
	       (geteuid() != 0 || (user_of("SUDO_UID", &person) && getpwuid(person) != NULL));
}

size_t
browser_users(uid_t *ret, size_t max)
{
	size_t count = 0;

	if (max > 0)
		ret[count++] = geteuid();
	if (count < max && user_of("SUDO_UID", &ret[count]))
		count++;
	if (count < max && user_of("PKEXEC_UID", &ret[count]))
		count++;
	return count;
}

/* ---- in the child ---- */

/* The person's environment, as far as a browser wants it. Of ours only what names the desktop is taken over; the rest
 * is made from the user database. */
static void
make_environment(const struct passwd *person, struct buf *texts, char **ret)
{
	static const char *const kept[] = {
	    "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "LANG", "XDG_CURRENT_DESKTOP"};
	char runtime[64];
	struct stat st;
	size_t count = 0, at = 0;

	(void)snprintf(runtime, sizeof(runtime), "/run/user/%u", (unsigned)person->pw_uid);
	(void)buf_printf(texts, "HOME=%s%cUSER=%s%cLOGNAME=%s%cPATH=/usr/local/bin:/usr/bin:/bin%c",
	    person->pw_dir, 0, person->pw_name, 0, person->pw_name, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (is_set(kept[i]))
			(void)buf_printf(texts, "%s=%s%c", kept[i], getenv(kept[i]), 0);
	if (stat(runtime, &st) == 0 && st.st_uid == person->pw_uid)
		(void)buf_printf(texts,
		    "XDG_RUNTIME_DIR=%s%cDBUS_SESSION_BUS_ADDRESS=unix:path=%s/bus%c", runtime, 0,
		    runtime, 0);
	for (; at < texts->len && count < ENVIRONMENT_MAX - 1; at += strlen(texts->data + at) + 1)
		ret[count++] = texts->data + at;
	ret[count] = NULL;
}

/* For good: where it does not succeed, nothing is run. */
static bool
become(const struct passwd *person)
{
	return initgroups(person->pw_name, person->pw_gid) == 0 &&
	       setresgid(person->pw_gid, person->pw_gid, person->pw_gid) == 0 &&
	       setresuid(person->pw_uid, person->pw_uid, person->pw_uid) == 0 && geteuid() != 0;
}

static void
run_as_person(char *const *argv)
{
	static const char *const programs[] = {"/usr/local/bin/xdg-open", "/usr/bin/xdg-open"};
	struct buf texts = BUF_INIT(VARIABLE_MAX * ENVIRONMENT_MAX);
	char *environment[ENVIRONMENT_MAX];
	const struct passwd *person;
	uid_t uid;

	person = user_of("SUDO_UID", &uid) ? getpwuid(uid) : NULL;
	if (person == NULL || !become(person))
		return;
	(void)umask(022);
	if (chdir(person->pw_dir) < 0 && chdir("/") < 0)
		return;
	make_environment(person, &texts, environment);
	for (size_t i = 0; !texts.failed && i < ARRAY_SIZE(programs); i++)
		(void)execve(programs[i], argv, environment);
}

/* A session of its own, so that Ctrl-C at the command does not close the browser. */
static void
run_opener(char *url)
{
	char name[] = "xdg-open", *argv[] = {name, url, NULL};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(127);
	if (geteuid() == 0)
		run_as_person(argv);
	else
		(void)execvp(argv[0], argv);
	_exit(127);
}

/* ---- in the parent ---- */

pid_t
browser_open(char *url)
{
	pid_t pid = fork();

	if (pid == 0)
		run_opener(url);
	return pid < 0 ? -errno : pid;
}

bool
browser_failed(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WNOHANG) == pid &&
	       (!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}
