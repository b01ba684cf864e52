/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * harness.c: see harness.h. The role runs in a child that calls role_main itself, so that no path
 * to a program is needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/queue/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "broker/conf/wire.h"
#include "broker/ipc/reply.h"
#include "broker/queue/role.h"
#include "tests/unit/identity.h"

enum { PATIENCE_MS = 10000 };

/* With tests/coverage alone: what ran is written when the role ends, so it has to end by itself. */
extern void __gcov_dump(void) __attribute__((weak));

int harness_hurry = 1;

const struct smtp_reply harness_ok = {
    .code = 250, .enhanced = "2.0.0", .stage = SMTP_STAGE_EOM, .text = (char *)"Ok: queued"};
const struct smtp_reply harness_later = {
    .code = 450, .enhanced = "4.2.0", .stage = SMTP_STAGE_RCPT, .text = (char *)"greylisted"};
const struct smtp_reply harness_never = {
    .code = 550, .enhanced = "5.1.1", .stage = SMTP_STAGE_RCPT, .text = (char *)"no such user"};
const struct smtp_reply harness_bad_login = {.code = 535,
    .enhanced = "5.7.8",
    .stage = SMTP_STAGE_AUTH,
    .text = (char *)"authentication failed"};

/* ---- the wall clock ---- */

static int64_t *clock_step; /* shared with the role's process */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

__attribute__((constructor)) static void
begin(void)
{
	clock_step = mmap(
	    NULL, sizeof(*clock_step), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int r = __real_clock_gettime(id, t);

	if (id == CLOCK_REALTIME)
		t->tv_sec += *(volatile int64_t *)clock_step;
	return r;
}

void
harness_set_clock(int64_t seconds)
{
	*clock_step = seconds;
}

/* ---- timers ---- */

int __real_event_add(struct event *ev, const struct timeval *tv);
int __wrap_event_add(struct event *ev, const struct timeval *tv);

int
__wrap_event_add(struct event *ev, const struct timeval *tv)
{
	int64_t us = tv == NULL ? 0 : (tv->tv_sec * (int64_t)1000000 + tv->tv_usec) / harness_hurry;
	const struct timeval sooner = {us / 1000000, us % 1000000};

	return __real_event_add(ev, tv == NULL ? NULL : &sooner);
}

/* ---- the role ---- */

static int64_t
now_ms(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
open_dir(const struct harness *h, const char *name, mode_t mode)
{
	char path[100];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", h->dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void
socket_path(const struct harness *h, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", h->dir, name);
}

static int
listen_at(const struct harness *h, const char *name, int type)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	socket_path(h, name, &a);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(chmod(a.sun_path, 0666), 0);
	assert_int_equal(listen(fd, 100), 0);
	return fd;
}

void
harness_init(struct harness *h)
{
	*h = (struct harness){.to_main = -1,
	    .keeper = -1,
	    .send = -1,
	    .listener = -1,
	    .service = "svc",
	    .from_policy = "keep",
	    .mode = "deliver",
	    .keep_captured = 24 * 3600,
	    .captured_max = 100,
	    .in_doubt = "retry",
	    .senders = "*",
	    .host = "smtp.example.com",
	    .lifetime = 432000,
	    .history_days = 14};
	(void)snprintf(h->dir, sizeof(h->dir), "/tmp/frank-queue-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	assert_int_equal(chmod(h->dir, 0755), 0);
	h->dirs[0] = open_dir(h, "state", 0700);
	h->dirs[1] = open_dir(h, "bodies", 0700);
	h->dirs[2] = open_dir(h, "drop", 03733);
	h->submit = listen_at(h, "submit.sock", SOCK_STREAM);
	h->control = listen_at(h, "control.sock", SOCK_SEQPACKET);
}

int
harness_setup(void **state)
{
	struct harness *h = calloc(1, sizeof(*h));

	harness_set_clock(0);
	harness_init(h);
	*state = h;
	return 0;
}

int
harness_teardown(void **state)
{
	harness_free(*state);
	free(*state);
	return 0;
}

void
harness_add_listener(struct harness *h, const char *tls)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	h->listener_tls = tls;
	h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(h->listener, 100), 0);
}

static struct sockaddr_in
listener_address(const struct harness *h)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(h->listener, (struct sockaddr *)&a, &len), 0);
	return a;
}

static void
say(int sock, struct message *m, int fd)
{
	assert_int_equal(message_write(sock, m, fd), 0);
	(void)message_free(m);
}

static void
hand(struct harness *h, const char *name, int fd)
{
	struct message *m = message_new(M_LISTEN);

	message_put_str(m, F_NAME, name);
	if (fd == h->listener)
		message_put_str(m, F_SERVICE, "door");
	say(h->to_main, m, fd);
}

static void
send_block(struct harness *h, enum conf_block block, const void *of)
{
	say(h->to_main, wire_message(block, of, ROLE_QUEUE), -1);
}

/* A list of one, or of none; borrowed. */
static struct conf_strings
list_of(char **item)
{
	return (struct conf_strings){*item == NULL ? NULL : item, *item != NULL};
}

static enum conf_tls
tls_of(const char *word)
{
	return strcmp(word, "implicit") == 0   ? CONF_TLS_IMPLICIT
	       : strcmp(word, "starttls") == 0 ? CONF_TLS_STARTTLS
					       : CONF_TLS_NONE;
}

static void
configure_listener(struct harness *h)
{
	char address[32], *addresses[] = {address};
	struct conf_listener n = {
	    .name = (char *)"door", .tls = tls_of(h->listener_tls), .addresses = {addresses, 1}};

	(void)snprintf(
	    address, sizeof(address), "127.0.0.1:%u", ntohs(listener_address(h).sin_port));
	send_block(h, CONF_BLOCK_LISTENER, &n);
}

static void
configure_service(struct harness *h)
{
	char *account = (char *)"acct", *senders = (char *)h->senders,
	     *deliver_to = (char *)h->deliver_to;
	uint32_t user = h->only_user;
	struct conf_service v = {.name = (char *)h->service,
	    .from = strcmp(h->from_policy, "rewrite") == 0  ? CONF_FROM_REWRITE
		    : strcmp(h->from_policy, "refuse") == 0 ? CONF_FROM_REFUSE
							    : CONF_FROM_KEEP,
	    .mode = strcmp(h->mode, "capture") == 0 ? CONF_MODE_CAPTURE : CONF_MODE_DELIVER,
	    .any_user = user == 0,
	    .users = {user == 0 ? NULL : &user, user != 0},
	    .password = h->listener >= 0,
	    .rate_minute = h->rate,
	    .accounts = list_of(&account),
	    .senders = list_of(&senders),
	    .deliver_to = list_of(&deliver_to)};

	send_block(h, CONF_BLOCK_SERVICE, &v);
}

void
harness_configure(struct harness *h)
{
	char *local = (char *)h->local_domain;
	struct conf c = {.hostname = (char *)"host.example",
	    .mail_name = (char *)"mail.example",
	    .postmaster = (char *)"postmaster@example.com",
	    .local_domains = list_of(&local),
	    .size_max = 10000000,
	    .user_connections = 128,
	    .user_rate = h->user_rate > 0 ? h->user_rate : 6000,
	    .user_in_flight = h->user_in_flight > 0 ? h->user_in_flight : 512 * 1024 * 1024,
	    .lifetime = (unsigned)h->lifetime,
	    .warn_after = 4 * 3600,
	    .keep_transcripts = (unsigned)h->history_days * 24 * 3600,
	    .keep_captured = h->keep_captured,
	    .captured_max = h->captured_max,
	    .transcripts_size = UINT64_MAX,
	    .in_doubt = strcmp(h->in_doubt, "hold") == 0 ? CONF_IN_DOUBT_HOLD : CONF_IN_DOUBT_RETRY,
	    .notify = {.after = 60, .repeat = 24 * 3600}};
	struct conf_account a = {.name = (char *)"acct",
	    .grant = GRANT_PASSWORD,
	    .provider = (char *)"generic",
	    .mailbox = (char *)"box@example.com",
	    .host = (char *)h->host,
	    .port = 587,
	    .tls = CONF_TLS_STARTTLS,
	    .sessions = 1,
	    .rate = h->account_rate};
	struct message *m = message_new(M_CONF_BEGIN);

	message_put_u64(m, F_GENERATION, ++h->generation);
	say(h->to_main, m, -1);
	if (h->notify) {
		c.notify.after = 0;
		c.notify.has_command = true;
	}
	for (enum conf_block b = CONF_BLOCK_TOP; b <= CONF_BLOCK_NOTIFY; b++)
		if (wire_role_has(ROLE_QUEUE, b))
			send_block(h, b, (const char *)&c + conf_blocks[b].items);
	send_block(h, CONF_BLOCK_ACCOUNT, &a);
	configure_service(h);
	if (h->listener >= 0)
		configure_listener(h);
	m = message_new(M_CONF_END);
	message_put_u64(m, F_GENERATION, h->generation);
	say(h->to_main, m, -1);
	/* Callers come by other sockets: it must be read before them. */
	if (h->generation > 1)
		harness_serve(h, 100);
}

/* A new channel to a peer: our end. */
static int
give_peer(struct harness *h, enum role_id peer)
{
	struct message *m = message_new(M_PEER);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	message_put_u64(m, F_ROLE, peer);
	say(h->to_main, m, pair[1]);
	close(pair[1]);
	return pair[0];
}

static void
run_role(struct harness *h, int channel)
{
	static struct queue queue;
	char state[100], *argv[] = {(char *)"frank-queue", state, NULL};
	int status;

	(void)snprintf(state, sizeof(state), "%s/state", h->dir);
	if (channel != 3 && (dup2(channel, 3) < 0 || close(channel) < 0))
		_exit(99);
	for (int fd = 4; fd < 256; fd++)
		(void)close(fd);
	if (getenv("FRANK_TEST_VERBOSE") == NULL) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null, STDERR_FILENO);
	}
	status = role_main(&queue_role, &queue, 2, argv);
	queue_close(&queue);
	if (__gcov_dump != NULL)
		__gcov_dump();
	_exit(status);
}

void
harness_start(struct harness *h)
{
	CLEANUP_MESSAGE struct message *ready = NULL;
	struct message *hello = message_new(M_HELLO);
	int pair[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0)
		run_role(h, pair[1]);
	close(pair[1]);
	h->to_main = pair[0];
	h->send_wanted = false;
	h->lent = 0;
	hand(h, "state", h->dirs[0]);
	hand(h, "bodies", h->dirs[1]);
	hand(h, "drop", h->dirs[2]);
	hand(h, "submit", h->submit);
	hand(h, "control", h->control);
	if (h->listener >= 0)
		hand(h, "listener", h->listener);
	message_put_bytes(hello, F_TABLE, message_table_hash, MESSAGE_TABLE_HASH);
	say(h->to_main, hello, -1);
	assert_int_equal(message_read(h->to_main, &ready, &fd), 1);
	assert_int_equal(message_type(ready), M_READY);
	harness_configure(h);
	h->keeper = give_peer(h, ROLE_KEEPER);
}

void
harness_give_send(struct harness *h)
{
	if (h->send >= 0)
		close(h->send);
	h->send = give_peer(h, ROLE_SEND);
	h->send_wanted = false;
}

int
harness_give_tls(struct harness *h)
{
	h->tls_wanted = false;
	return give_peer(h, ROLE_TLS);
}

static void
close_all(struct harness *h)
{
	int *fds[] = {&h->to_main, &h->keeper, &h->send};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	h->pid = 0;
}

void
harness_kill(struct harness *h)
{
	if (h->pid > 0) {
		assert_int_equal(kill(h->pid, SIGKILL), 0);
		assert_int_equal(waitpid(h->pid, NULL, 0), h->pid);
	}
	close_all(h);
}

int
harness_stop(struct harness *h)
{
	int status;

	say(h->to_main, message_new(M_SHUTDOWN), -1);
	for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
		pid_t done = waitpid(h->pid, &status, WNOHANG);

		if (done == h->pid) {
			close_all(h);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		(void)poll(NULL, 0, 10);
	}
	harness_kill(h);
	return -1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	return remove(path);
}

void
harness_free(struct harness *h)
{
	if (__gcov_dump != NULL && h->pid > 0)
		(void)harness_stop(h);
	harness_kill(h);
	close(h->submit);
	close(h->control);
	if (h->listener >= 0)
		close(h->listener);
	for (size_t i = 0; i < ARRAY_SIZE(h->dirs); i++)
		close(h->dirs[i]);
	assert_int_equal(nftw(h->dir, remove_one, 10, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- main and keeper ---- */

static void
answer_main(struct harness *h)
{
	CLEANUP_MESSAGE struct message *m = NULL;
	struct message *out;
	char name[32];
	int fd;

	if (message_read(h->to_main, &m, &fd) != 1)
		return;
	switch (message_type(m)) {
	case M_CONF_TAKEN:
		break;
	case M_NEED_ROLE:
		if (message_u64(m, F_ROLE, 0) == ROLE_TLS) {
			h->tls_wanted = true;
			break;
		}
		assert_int_equal(message_u64(m, F_ROLE, 0), ROLE_SEND);
		h->send_wanted = true;
		break;
	case M_USER_QUERY:
		out = message_new(M_USER_ANSWER);
		message_put_u64(out, F_UID, message_u64(m, F_UID, 0));
		(void)snprintf(name, sizeof(name), "user%u", (unsigned)message_u64(m, F_UID, 0));
		message_put_str(out, F_USER_NAME, name);
		message_put_str(out, F_FULL_NAME, "Full Name");
		say(h->to_main, out, -1);
		break;
	case M_NOTIFY_RUN:
		h->told++;
		out = message_new(M_NOTIFY_DONE);
		message_put_u64(out, F_ID, message_u64(m, F_ID, 0));
		message_put_u64(out, F_EXIT, h->command_status);
		say(h->to_main, out, -1);
		break;
	case M_RELOAD:
		out = message_new(M_RELOAD_RESULT);
		message_put_u64(out, F_ID, message_u64(m, F_ID, 0));
		message_put_str(out, F_ERROR, "line 3 is wrong");
		say(h->to_main, out, -1);
		break;
	default:
		fail_msg("main got %s", message_type_name(message_type(m)));
	}
}

static void
answer_keeper(struct harness *h)
{
	CLEANUP_MESSAGE struct message *m = NULL;
	int fd;

	if (message_read(h->keeper, &m, &fd) != 1)
		return;
	if (message_type(m) == M_LEASE)
		h->lent += message_u64(m, F_WANTED, 0) != 0 ? 1 : (unsigned)-1;
}

/* Serves main and keeper until `fd` is readable or `ms` are over: is it? */
static bool
wait_for(struct harness *h, int fd, int ms)
{
	int64_t end = now_ms() + ms;

	for (;;) {
		struct pollfd p[] = {
		    {h->to_main, POLLIN, 0}, {h->keeper, POLLIN, 0}, {fd, POLLIN, 0}};
		int64_t left = end - now_ms();

		if (poll(p, 3, left > 0 ? (int)left : 0) <= 0)
			return false;
		if ((p[0].revents & POLLIN) != 0)
			answer_main(h);
		if ((p[1].revents & POLLIN) != 0)
			answer_keeper(h);
		if (fd >= 0 && p[2].revents != 0)
			return true;
		if (((p[0].revents | p[1].revents) & POLLHUP) != 0)
			return false;
	}
}

bool
harness_wait(struct harness *h, int fd, int ms)
{
	return wait_for(h, fd, ms);
}

void
harness_serve(struct harness *h, int ms)
{
	(void)wait_for(h, -1, ms);
}

void
harness_account_state(struct harness *h, const char *state)
{
	struct message *m = message_new(M_ACCOUNT_STATE);

	message_put_str(m, F_ACCOUNT, "acct");
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_TEXT, "The password is wrong.");
	message_put_str(m, F_NEXT, "Give another.");
	say(h->keeper, m, -1);
}

/* ---- callers ---- */

static int
connect_as(struct harness *h, uid_t uid, const char *name, int type)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	socket_path(h, name, &a);
	identity_of_socket(fd, uid, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

int
harness_connect(struct harness *h, uid_t uid)
{
	return connect_as(h, uid, "submit.sock", SOCK_STREAM);
}

int
harness_connect_listener(struct harness *h)
{
	struct sockaddr_in a = listener_address(h);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

int
harness_connect_control(struct harness *h, uid_t uid)
{
	return connect_as(h, uid, "control.sock", SOCK_SEQPACKET);
}

char *
harness_replies(struct harness *h, int fd)
{
	struct buf replies = BUF_INIT(4 * 1024 * 1024);
	char piece[4096];
	ssize_t n;

	while (wait_for(h, fd, PATIENCE_MS)) {
		n = recv(fd, piece, sizeof(piece), 0);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			break;
		assert_int_equal(buf_append(&replies, piece, (size_t)n), 0);
	}
	close(fd);
	return buf_take(&replies);
}

char *
harness_submit(struct harness *h, uid_t uid, const char *bytes, size_t len)
{
	int fd = harness_connect(h, uid);
	size_t written = 0;
	ssize_t n;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (written < len) {
		n = send(fd, bytes + written, len - written, MSG_NOSIGNAL);
		if (n > 0)
			written += (size_t)n;
		else if (errno == EAGAIN)
			harness_serve(h, 1);
		else
			break;
	}
	(void)shutdown(fd, SHUT_WR);
	return harness_replies(h, fd);
}

int
harness_mail(struct harness *h, const char *mail, const char *recipients, const char *text)
{
	CLEANUP_BUF struct buf in = BUF_INIT(16 * 1024 * 1024);
	CLEANUP_FREE char *replies = NULL, *copy = strdup(recipients);
	char *rest = copy, *one;
	const char *last = NULL;

	assert_int_equal(buf_printf(&in, "EHLO test\r\nMAIL FROM:%s\r\n", mail), 0);
	while ((one = strsep(&rest, " ")) != NULL)
		assert_int_equal(buf_printf(&in, "RCPT TO:<%s>\r\n", one), 0);
	assert_int_equal(buf_printf(&in, "BDAT %zu LAST\r\n", strlen(text)), 0);
	assert_int_equal(buf_append_str(&in, text), 0);
	assert_int_equal(buf_append_str(&in, "QUIT\r\n"), 0);
	replies = harness_submit(h, 0, in.data, in.len);
	for (char *line = replies; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncmp(line, "221", 3) != 0 && (last == NULL || *last == '2'))
			last = line;
	return last == NULL ? 0 : (int)strtol(last, NULL, 10);
}

/* ---- send ---- */

struct message *
harness_job(struct harness *h, int ms, int *ret_fd)
{
	struct message *m = NULL;
	int fd = -1;

	if (h->send < 0) {
		for (int64_t end = now_ms() + ms; !h->send_wanted && now_ms() < end;)
			harness_serve(h, 5);
		if (!h->send_wanted)
			return NULL;
		harness_give_send(h);
	}
	if (!wait_for(h, h->send, ms) || message_read(h->send, &m, &fd) != 1)
		return NULL;
	assert_int_equal(message_type(m), M_JOB);
	if (ret_fd != NULL)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return m;
}

void
harness_job_done(struct harness *h, const struct message *job, const struct smtp_reply *r)
{
	struct message *m = message_new(M_JOB_DONE);
	const char *address;
	size_t at = 0;

	message_put_u64(m, F_ID, message_u64(job, F_ID, 0));
	message_put_u64(m, F_FLAGS, 0);
	message_put_str(m, F_ENDPOINT, "smtp.example.com:587");
	message_put_str(m, F_MECHANISM, "PLAIN");
	message_put_str(m, F_TRANSCRIPT, "S: 220 hello\nC: EHLO host.example\n");
	while (message_next_str(job, F_RCPT, &at, &address))
		reply_put(m, F_RESULT, r);
	say(h->send, m, -1);
}

/* ---- control ---- */

struct message *
harness_ask(struct harness *h, uid_t uid, struct message *request,
    void (*row)(void *arg, const struct message *m), void *arg)
{
	int fd = connect_as(h, uid, "control.sock", SOCK_SEQPACKET), passed;

	say(fd, request, -1);
	for (;;) {
		struct message *m = NULL;
		const char *why;

		if (!wait_for(h, fd, PATIENCE_MS) || message_read(fd, &m, &passed) != 1) {
			close(fd);
			return NULL;
		}
		assert_int_equal(message_check(m, ROLE_QUEUE, ROLE_CLIENT, false, &why), 0);
		if (message_type(m) == M_QUEUE_DONE) {
			close(fd);
			return m;
		}
		if (row != NULL)
			row(arg, m);
		(void)message_free(m);
	}
}
