/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Confinement: a child takes the rights of a role and then tries what it must not do. Every attempt
 * must fail: refused, or answered by the kernel with the end of the child. The same attempts
 * succeed before, so that the test can tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/attr.h"
#include "broker/role/confine.h"
#include "config.h"

/* A private folder with the role's own folder in it, and beside it what the role must not touch. */
static struct {
	char path[64], own[96], key[96], forbidden_dir[96], socket[96];
} place;

static const enum role_id roles[] = {
    ROLE_QUEUE, ROLE_KEEPER, ROLE_FETCH, ROLE_SEND, ROLE_POST, ROLE_TLS};

/* ---- attempts: each returns 0 when it got what it tried, else a negative errno ---- */

static int
result(long r)
{
	return r < 0 ? -errno : 0;
}

static int
try_open(const char *path, int flags)
{
	CLEANUP_CLOSE int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static int
try_socket(int family, int type)
{
	CLEANUP_CLOSE int fd = socket(family, type | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : 0;
}

static int
read_key(void)
{
	return try_open(place.key, O_RDONLY);
}

static int
write_key(void)
{
	return try_open(place.key, O_WRONLY);
}

static int
remove_key(void)
{
	return result(unlink(place.key));
}

static int
replace_key(void)
{
	return result(rename(place.key, place.socket));
}

static int
list_folder(void)
{
	return try_open(place.forbidden_dir, O_RDONLY | O_DIRECTORY);
}

static int
make_file_outside(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/new", place.path);
	return try_open(path, O_WRONLY | O_CREAT);
}

static int
read_shadow(void)
{
	return try_open("/etc/shadow", O_RDONLY);
}

static int
read_memory_of_parent(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	return try_open(path, O_RDONLY);
}

static int
raw_socket(void)
{
	return try_socket(AF_PACKET, SOCK_RAW);
}

static int
unix_socket(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM);
}

static int
netlink_socket(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW);
}

static int
internet_socket(void)
{
	return try_socket(AF_INET, SOCK_STREAM);
}

static int
internet6_socket(void)
{
	return try_socket(AF_INET6, SOCK_DGRAM);
}

static int
datagram_pair(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return -errno;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

static int
listen_on_port(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return result(bind(fd, (const struct sockaddr *)&any, sizeof(any)));
}

static int
execute(void)
{
	char *const argv[] = {(char *)"true", NULL};

	return result(execve("/bin/true", argv, argv + 1));
}

static int
trace_parent(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int
make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return result(pid);
}

static int
signal_parent(void)
{
	return result(kill(getppid(), 0));
}

/* By a descriptor's settings, in each of the ways that fcntl(2) has. */
static int
signal_by_descriptor(int command, long argument)
{
	CLEANUP_CLOSE int fd = dup(STDIN_FILENO);

	return fd < 0 ? -errno : result(fcntl(fd, command, argument));
}

static int
own_descriptor_as_parent(void)
{
	return signal_by_descriptor(F_SETOWN, getppid());
}

static int
own_descriptor_exactly(void)
{
	const struct f_owner_ex owner = {F_OWNER_PID, getppid()};
	CLEANUP_CLOSE int fd = dup(STDIN_FILENO);

	return fd < 0 ? -errno : result(fcntl(fd, F_SETOWN_EX, &owner));
}

static int
choose_signal(void)
{
	return signal_by_descriptor(F_SETSIG, SIGTERM);
}

static int
be_signalled(void)
{
	int pair[2], r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	r = result(fcntl(pair[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	(void)close(pair[0]);
	(void)close(pair[1]);
	return r;
}

static int
executable_memory(void)
{
	void *p = mmap(
	    NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	(void)munmap(p, 4096);
	return 0;
}

static int
become_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int
allow_core_files(void)
{
	const struct rlimit some = {4096, 4096};

	return result(setrlimit(RLIMIT_CORE, &some));
}

static int
add_filter(void)
{
	return result(
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &(uint32_t){SECCOMP_RET_ALLOW}));
}

static int
change_user(void)
{
	return result(setuid(65534));
}

static int
write_own(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/file", place.own);
	return try_open(path, O_RDWR | O_CREAT);
}

static int
read_hosts(void)
{
	return try_open("/etc/hosts", O_RDONLY);
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
make_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, nothing, NULL);

	if (r == 0)
		(void)pthread_join(thread, NULL);
	return -r;
}

struct attempt {
	const char *name;
	int (*try)(void);
	unsigned unless; /* rights that allow it */
	bool possible;   /* this test's process can do it before confinement, as root or not */
};

static const struct attempt attempts[] = {
    {"read the key", read_key, 0, true},
    {"write the key", write_key, 0, true},
    {"remove the key", remove_key, 0, false},
    {"move the key", replace_key, 0, false},
    {"list a folder that is not its own", list_folder, 0, true},
    {"make a file outside its folder", make_file_outside, 0, true},
    {"write in its folder", write_own, ROLE_MAY_WRITE_STATE, true},
    {"read /etc/shadow", read_shadow, 0, false},
    {"read /etc/hosts", read_hosts, ROLE_MAY_READ_ETC, true},
    {"read its parent's memory", read_memory_of_parent, 0, false},
    {"make a packet socket", raw_socket, 0, false},
    {"make a Unix socket", unix_socket, 0, true},
    {"make a netlink socket", netlink_socket, 0, true},
    {"make an IPv4 socket", internet_socket, ROLE_MAY_CONNECT, true},
    {"make an IPv6 socket", internet6_socket, ROLE_MAY_CONNECT, false},
    {"make a pair of datagram sockets", datagram_pair, 0, true},
    {"bind a port", listen_on_port, 0, true},
    {"execute a program", execute, 0, false},
    {"trace its parent", trace_parent, 0, false},
    {"make a process", make_process, 0, true},
    {"make a thread", make_thread, ROLE_MAY_THREAD, true},
    {"signal its parent", signal_parent, 0, true},
    {"have its parent signalled by a descriptor", own_descriptor_as_parent, 0, true},
    {"have its parent signalled, exactly", own_descriptor_exactly, 0, true},
    {"choose a descriptor's signal", choose_signal, 0, true},
    {"be signalled by a descriptor", be_signalled, 0, true},
    {"make executable memory", executable_memory, 0, true},
    {"become dumpable again", become_dumpable, 0, true},
    {"allow itself core files", allow_core_files, 0, true},
    {"change its own filter", add_filter, 0, true},
    {"change its user", change_user, 0, false},
};

enum { GOT_IT, REFUSED, NOT_CONFINED };

/* Runs one attempt in a child: true when it succeeded. A child that the kernel killed did not. */
static bool
succeeds(const struct attempt *a, enum role_id role, bool confined)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int dir = open(place.own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		const char *step;

		if (confined && confine(role_rights(role), &dir, 1, &step) < 0)
			_exit(NOT_CONFINED);
		_exit(a->try() == 0 ? GOT_IT : REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return false;
	}
	assert_int_not_equal(WEXITSTATUS(status), NOT_CONFINED);
	return WEXITSTATUS(status) == GOT_IT;
}

/* Who started the test took the right away already, as sudo does with core files. */
static bool
limited(const struct attempt *a)
{
	struct rlimit limit;

	return a->try == allow_core_files && getrlimit(RLIMIT_CORE, &limit) == 0 &&
	       limit.rlim_max == 0;
}

static void
test_roles(void **state)
{
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];

		if (a->possible && !limited(a) && !succeeds(a, ROLE_QUEUE, false))
			fail_msg("even a free process cannot %s: the test proves nothing", a->name);
		for (size_t r = 0; r < ARRAY_SIZE(roles); r++) {
			bool may = (role_rights(roles[r]) & a->unless) != 0;
			bool did = succeeds(a, roles[r], true);

			if (did && !may) {
				print_error("%s could %s\n", message_role_name(roles[r]), a->name);
				failed++;
			} else if (!did && may && a->possible) {
				print_error(
				    "%s could not %s\n", message_role_name(roles[r]), a->name);
				failed++;
			}
		}
	}
	assert_int_equal(failed, 0);
}

static void
test_undumpable(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit core;

		if (confine_early() < 0 || getrlimit(RLIMIT_CORE, &core) < 0)
			_exit(NOT_CONFINED);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && core.rlim_max == 0 &&
			      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
			  ? GOT_IT
			  : REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
write_file(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
}

static int
make_place(void **state)
{
	(void)snprintf(place.path, sizeof(place.path), "/tmp/frank-confine-XXXXXX");
	assert_non_null(mkdtemp(place.path));
	(void)snprintf(place.own, sizeof(place.own), "%s/own", place.path);
	(void)snprintf(place.key, sizeof(place.key), "%s/master.key", place.path);
	(void)snprintf(place.forbidden_dir, sizeof(place.forbidden_dir), "%s/tokens", place.path);
	(void)snprintf(place.socket, sizeof(place.socket), "%s/moved", place.path);
	assert_int_equal(mkdir(place.own, 0700), 0);
	assert_int_equal(mkdir(place.forbidden_dir, 0700), 0);
	write_file(place.key);
	return 0;
}

static int
remove_place(void **state)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/file", place.own);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/new", place.path);
	(void)unlink(path);
	(void)unlink(place.key);
	(void)rmdir(place.own);
	(void)rmdir(place.forbidden_dir);
	return rmdir(place.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_undumpable),
	    cmocka_unit_test(test_roles),
	};

	if (confine_landlock_version() == 0) {
		(void)fprintf(stderr,
		    "This kernel has no Landlock: what is proved of files would be wrong.\n");
		return 77;
	}
	return cmocka_run_group_tests_name("role/confine", tests, make_place, remove_place);
}
