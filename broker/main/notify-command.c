/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* notify-command.c: see notify-command.h. */
#include "broker/main/notify-command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "broker/main/identity.h"

enum { LONGEST = 60 /* seconds */, VARIABLES = 8 };

static const char usual_user[] = "nobody";

struct notify_command {
	struct event_base *base;
	int null;
	notify_command_done *done;
	void *arg;
	pid_t pid; /* 0: none runs */
	uint64_t id;
	bool late;
	struct event *child, *timer;
};

static void
end(struct notify_command *t, int status, const char *fault)
{
	t->pid = 0;
	(void)evtimer_del(t->timer);
	t->done(t->arg, t->id, status, fault);
}

static void
on_child(evutil_socket_t number, short what, void *arg)
{
	struct notify_command *t = arg;
	char fault[96] = "";
	int status;

	if (t->pid <= 0 || waitpid(t->pid, &status, WNOHANG) != t->pid)
		return;
	if (WIFEXITED(status)) {
		end(t, WEXITSTATUS(status), NULL);
		return;
	}
	if (t->late)
		(void)snprintf(fault, sizeof(fault), "it did not end within %d seconds", LONGEST);
	else
		(void)snprintf(fault, sizeof(fault), "it was ended by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	end(t, -1, fault);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct notify_command *t = arg;

	t->late = true;
	if (t->pid > 0)
		(void)kill(-t->pid, SIGKILL);
}

struct notify_command *
notify_command_new(struct event_base *base, int null, notify_command_done *done, void *arg)
{
	struct notify_command *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	*t = (struct notify_command){.base = base, .null = null, .done = done, .arg = arg};
	t->child = evsignal_new(base, SIGCHLD, on_child, t);
	t->timer = evtimer_new(base, on_late, t);
	if (t->child == NULL || t->timer == NULL || event_add(t->child, NULL) < 0)
		return notify_command_free(t);
	return t;
}

struct notify_command *
notify_command_free(struct notify_command *t)
{
	if (t == NULL)
		return NULL;
	if (t->pid > 0)
		(void)kill(-t->pid, SIGKILL);
	if (t->child != NULL)
		event_free(t->child);
	if (t->timer != NULL)
		event_free(t->timer);
	free(t);
	return NULL;
}

/* Under whom it runs. Root's rights are never passed on, also where the user database has changed since
 * the configuration was read. */
static int
find_user(const struct conf_notify *n, bool one_user, struct identity *ret)
{
	const char *name = n->command_user == NULL ? usual_user : n->command_user;
	const struct passwd *p;

	*ret = (struct identity){.uid = geteuid(), .gid = getegid()};
	if (ret->uid != 0 || one_user)
		return 0;
	p = getpwnam(name);
	if (p == NULL || p->pw_uid == 0)
		return -ENOENT;
	*ret = (struct identity){.uid = p->pw_uid, .gid = p->pw_gid, .drop = true};
	return 0;
}

/* The environment: NAME=VALUE texts, each the caller's to free. */
static void
make_environment(const struct message *m, char *ret[VARIABLES])
{
	static const struct {
		const char *name;
		enum field field;
	} texts[] = {{"FRANK_EVENT", F_KIND}, {"FRANK_ACCOUNT", F_ACCOUNT}, {"FRANK_TEXT", F_TEXT},
	    {"FRANK_NEXT", F_NEXT}};
	size_t n = 0;

	memset(ret, 0, VARIABLES * sizeof(*ret));
	ret[n++] = strdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	for (size_t i = 0; i < ARRAY_SIZE(texts) && ret[n - 1] != NULL; i++) {
		const char *value = message_str(m, texts[i].field);

		if (value != NULL && asprintf(&ret[n], "%s=%s", texts[i].name, value) >= 0)
			n++;
	}
	if (asprintf(&ret[n], "FRANK_EVENT_ID=%" PRIu64, message_u64(m, F_ID, 0)) >= 0)
		n++;
	ret[n] = NULL;
}

static _Noreturn void
become_command(const struct notify_command *t, char *const *argv, char *const *environment,
    const struct identity *who, int in)
{
	sigset_t none;
	int err;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
	(void)setsid();
	if (dup2(in, STDIN_FILENO) < 0 || dup2(t->null, STDOUT_FILENO) < 0 || chdir("/") < 0 ||
	    identity_become(who) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(126);
	(void)execve(argv[0], argv, environment);
	err = errno;
	log_error("The command %s cannot be run: %s.", argv[0], strerror(err));
	_exit(127);
}

/* A pipe that holds the whole document already: nobody has to write while it runs. */
static int
fill_pipe(const struct message *m, int *ret)
{
	size_t len = 0;
	const uint8_t *body = message_bytes(m, F_BODY, &len);
	int ends[2], r = 0;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	if (len > 0 && write(ends[1], body, len) != (ssize_t)len)
		r = -EMSGSIZE;
	(void)close(ends[1]);
	(void)fcntl(ends[0], F_SETFL, 0);
	if (r < 0)
		(void)close(ends[0]);
	else
		*ret = ends[0];
	return r;
}

static int
start(struct notify_command *t, const struct conf_notify *n, const struct identity *who,
    const struct message *m, int in)
{
	CLEANUP_FREE char **argv = calloc(n->command.count + 1, sizeof(*argv));
	char *environment[VARIABLES];
	sigset_t all, before;
	pid_t pid;
	int err;

	if (argv == NULL)
		return -ENOMEM;
	memcpy(argv, n->command.items, n->command.count * sizeof(*argv));
	make_environment(m, environment);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	err = errno;
	if (pid == 0)
		become_command(t, argv, environment, who, in);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	for (size_t i = 0; i < VARIABLES; i++)
		free(environment[i]);
	if (pid < 0)
		return -err;
	t->pid = pid;
	return 0;
}

int
notify_command_run(
    struct notify_command *t, const struct conf_notify *n, bool one_user, const struct message *m)
{
	const struct timeval longest = {.tv_sec = LONGEST};
	CLEANUP_CLOSE int in = -1;
	struct identity who;
	int r;

	if (t->pid > 0)
		return -EBUSY;
	if (n->command.count == 0)
		return -ENOENT;
	r = find_user(n, one_user, &who);
	if (r == 0)
		r = fill_pipe(m, &in);
	if (r == 0)
		r = start(t, n, &who, m, in);
	if (r < 0)
		return r;
	t->id = message_u64(m, F_ID, 0);
	t->late = false;
	(void)evtimer_add(t->timer, &longest);
	return 0;
}
