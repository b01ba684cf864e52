/* browser.c: see browser.h. */
#include "admin/browser.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value != NULL && *value != '\0';
}

bool
browser_is_there(void)
{
	return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
}

/* In the child: a session of its own, so that Ctrl-C at the command does not close the browser. */
static void
run_opener(const char *url)
{
	char *argv[] = {(char *)"xdg-open", (char *)url, NULL};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(127);
	(void)execvp(argv[0], argv);
	_exit(127);
}

pid_t
browser_open(const char *url)
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
