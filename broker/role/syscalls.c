/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * syscalls.c: the part of confine.h that governs system calls, by libseccomp.
 *
 * One list for every role and one for each right. What is on no list fails with EPERM, so that a
 * library which tries something dispensable goes on without it; the kernel logs it where its audit
 * is on. What is on `deadly` is no library's doing and kills. Calls that libc tries before an older
 * one are answered ENOSYS, as by an older kernel: then it takes the older one, whose arguments can
 * be judged (clone3 hides its flags behind a pointer).
 */
#include "broker/role/syscalls.h"

#include <errno.h>

#include "broker/role/confine.h"
#include "config.h"

#ifndef HAVE_CONFINE

int
syscalls_confine(unsigned rights)
{
	return -EOPNOTSUPP;
}

#else

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"

static const int everyone[] = {
    /* descriptors that are open */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(fstat),
    SCMP_SYS(fstat64),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstatat64),
    SCMP_SYS(statx),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fadvise64),
    SCMP_SYS(sendfile),
    SCMP_SYS(_llseek),
    /* sockets that are open */
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recv),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(send),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    /* the loop */
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(_newselect),
    SCMP_SYS(pselect6),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(membarrier),
    /* time, chance, oneself */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getresgid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getcwd),
    SCMP_SYS(umask),
    SCMP_SYS(getrlimit),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(futex),
    SCMP_SYS(futex_time64),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    /* signals and the end */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static const int accept_calls[] = {SCMP_SYS(accept4), SCMP_SYS(accept)};

/* Beside reading_calls. */
static const int state_calls[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(statfs),
    SCMP_SYS(statfs64),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fstatfs64),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(ftruncate),
    SCMP_SYS(ftruncate64),
    SCMP_SYS(fallocate),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(linkat),
    SCMP_SYS(flock),
    SCMP_SYS(fchmod),
    SCMP_SYS(copy_file_range),
};

static const int connect_calls[] = {SCMP_SYS(connect), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg)};

static const int reading_calls[] = {
    SCMP_SYS(stat),
    SCMP_SYS(stat64),
    SCMP_SYS(lstat),
    SCMP_SYS(lstat64),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
};

static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(bpf),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(add_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(pidfd_getfd),
};

/* What libc does without where the kernel is older. */
static const int too_new[] = {SCMP_SYS(clone3), SCMP_SYS(openat2)};

static int
add_list(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r;

		if (calls[i] < 0)
			continue; /* not on this architecture */
		r = seccomp_rule_add(filter, action, calls[i], 0);
		if (r < 0)
			return r;
	}
	return 0;
}

#define ADD_LIST(filter, action, list) add_list(filter, action, list, ARRAY_SIZE(list))

static int
add_one(scmp_filter_ctx filter, int call, unsigned count, const struct scmp_arg_cmp *args)
{
	return call < 0 ? 0 : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, count, args);
}

#define ADD_IF(filter, call, ...)                                                       \
	add_one(filter, call, ARRAY_SIZE(((const struct scmp_arg_cmp[]){__VA_ARGS__})), \
	    (const struct scmp_arg_cmp[]){__VA_ARGS__})

/* A descriptor can have the kernel send signals (F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY, O_ASYNC), also to another process: so
 * these are the commands that libraries need, and no others. */
static int
add_fcntl(scmp_filter_ctx filter, int call)
{
	const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK,
	    F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_GET_SEALS, F_ADD_SEALS};
	const scmp_datum_t word = UINT32_MAX;
	int r = ADD_IF(filter, call, SCMP_A1(SCMP_CMP_MASKED_EQ, word, F_SETFL),
	    SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0));

	for (size_t i = 0; i < ARRAY_SIZE(commands) && r == 0; i++)
		r = ADD_IF(
		    filter, call, SCMP_A1(SCMP_CMP_MASKED_EQ, word, (scmp_datum_t)commands[i]));
	return r;
}

/* Memory is never executable, a signal goes to oneself only, limits are read and not set. */
static int
add_judged(scmp_filter_ctx filter)
{
	const int names[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE};
	const unsigned long ioctls[] = {FIONBIO, FIONREAD, FIOCLEX, TCGETS};
	int r = ADD_IF(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (r == 0)
		r = add_fcntl(filter, SCMP_SYS(fcntl));
	if (r == 0)
		r = add_fcntl(filter, SCMP_SYS(fcntl64));
	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(mmap2), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (r == 0)
		r = ADD_IF(
		    filter, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++)
		r = ADD_IF(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(ioctls) && r == 0; i++)
		r = ADD_IF(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	return r;
}

/* Internet sockets, without bind and listen. */
static int
add_connecting(scmp_filter_ctx filter)
{
	const int families[] = {AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM};
	int r = ADD_LIST(filter, SCMP_ACT_ALLOW, connect_calls);

	for (size_t f = 0; f < ARRAY_SIZE(families); f++)
		for (size_t t = 0; t < ARRAY_SIZE(types) && r == 0; t++)
			r = ADD_IF(filter, SCMP_SYS(socket),
			    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[f]),
			    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[t]));
	return r;
}

static int
add_reading(scmp_filter_ctx filter)
{
	const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
	int r = ADD_LIST(filter, SCMP_ACT_ALLOW, reading_calls);

	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(open), SCMP_A1(SCMP_CMP_MASKED_EQ, writing, 0));
	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));
	return r;
}

/* A thread shares everything with its process; anything else that clone makes is a process. */
static int
add_threads(scmp_filter_ctx filter)
{
	const scmp_datum_t thread =
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

	return ADD_IF(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
}

static int
fill(scmp_filter_ctx filter, unsigned rights)
{
	int r = ADD_LIST(filter, SCMP_ACT_KILL_PROCESS, deadly);

	if (r == 0)
		r = ADD_LIST(filter, SCMP_ACT_ERRNO(ENOSYS), too_new);
	if (r == 0)
		r = ADD_LIST(filter, SCMP_ACT_ALLOW, everyone);
	if (r == 0)
		r = add_judged(filter);
	if (r == 0 && (rights & ROLE_MAY_ACCEPT) != 0)
		r = ADD_LIST(filter, SCMP_ACT_ALLOW, accept_calls);
	if (r == 0 && (rights & ROLE_MAY_WRITE_STATE) != 0)
		r = ADD_LIST(filter, SCMP_ACT_ALLOW, state_calls);
	if (r == 0 && (rights & ROLE_MAY_WRITE_STATE) != 0)
		r = ADD_LIST(filter, SCMP_ACT_ALLOW, reading_calls);
	if (r == 0 && (rights & ROLE_MAY_CONNECT) != 0)
		r = add_connecting(filter);
	if (r == 0 && (rights & ROLE_MAY_READ_ETC) != 0)
		r = add_reading(filter);
	if (r == 0 && (rights & ROLE_MAY_THREAD) != 0)
		r = add_threads(filter);
	return r;
}

static int
load(scmp_filter_ctx filter, int filled)
{
	int r = filled;

	/* a search by halves is an extra: without it the filter is as strict */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

/*
 * What libc tries as a matter of course at every thread and every name it looks up (a name service cache, the kernel's addresses)
 * would fill the audit log with lines that mean nothing. Of two filters that refuse, the one added last decides whether it is
 * logged: so these refusals are in a second filter, which also closes the door behind itself.
 */
static int
refuse_quietly(unsigned rights)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (filter == NULL)
		return -ENOMEM;
	r = ADD_LIST(filter, SCMP_ACT_ERRNO(ENOSYS), too_new);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0);
	/* SQLite gives its files the owner of the database, where it runs as root */
	if (r == 0 && (rights & ROLE_MAY_WRITE_STATE) != 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fchown), 0);
	if (r == 0 && (rights & ROLE_MAY_CONNECT) != 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (r == 0 && (rights & ROLE_MAY_CONNECT) != 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_NETLINK));
	return load(filter, r);
}

int
syscalls_confine(unsigned rights)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (filter == NULL)
		return -ENOMEM;
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	r = fill(filter, rights);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 0);
	if (r == 0)
		r = ADD_IF(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
	r = load(filter, r);
	return r < 0 ? r : refuse_quietly(rights);
}

#endif
