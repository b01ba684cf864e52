/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * supervisor.c: see supervisor.h.
 *
 * A role's process has ended when it was waited for; its channel may close earlier. The supervisor as a whole is in one of
 * these phases:
 *
 *   STARTING           Queue and keeper have not both said READY yet. If one of them dies now, frankd ends: whatever it
 *                      died of would happen again.
 *   RUNNING            Both are ready. A network role that dies is started again when somebody asks for it.
 *   RENEWING           Queue or keeper died. The other roles are told to end; when all have, the set starts again after a
 *                      delay.
 *   STOPPING_NETWORK   supervisor_stop: fetch, send and post finish what they are doing.
 *   STOPPING_SET       They have ended; queue and keeper are told to end.
 *   STOPPING_KILL      Whoever is left is killed.
 *   STOPPED            No role runs, and nothing more happens.
 *
 * A new configuration goes to queue last, when the others have said CONF_TAKEN: queue tries at once what waited for it, and
 * must not meet a keeper that still has the old password. Whoever asked for the reload is answered after that.
 *
 * Delays after deaths double from a quarter of a second to a minute; after a minute without a death they begin anew.
 */
#include "broker/main/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "broker/main/conf-push.h"
#include "broker/main/entrances.h"
#include "broker/main/notify.h"
#include "broker/main/notify-command.h"

enum {
	DELAY_FIRST = 250, /* ms */
	DELAY_MAX = 60 * 1000,
	PEACE = 60 * 1000,
	NETWORK_GRACE = 3000, /* of the 5 s that stopping may take */
	SET_GRACE = 1500,
	RENEW_GRACE = 3000,
	REPORT_MAX = 32 * 1024, /* octets of a reload's errors: they go into one message */
	LINGER_GRACE = 2000,    /* between the end of a channel and that of its process */
	REQUESTS_MAX = 64,
	TAKE_LONGEST = 3000, /* that queue waits for the others to take a configuration */
	/* Looks at a role, of 20 s each: how many before it is ready (queue may have a large spool to
	 * check), and how many without an answer. */
	START_TICKS = 6,
	START_TICKS_QUEUE = 45,
	SILENT_TICKS = 6,
};

enum phase { STARTING, RUNNING, RENEWING, STOPPING_NETWORK, STOPPING_SET, STOPPING_KILL, STOPPED };

struct child {
	struct supervisor *supervisor;
	enum role_id role;
	pid_t pid; /* 0: no process */
	struct channel *channel;
	bool ready, wanted, has_diag;
	bool asked;     /* for a sign of life that has not come yet */
	bool taking;    /* a configuration, while queue waits for that */
	unsigned ticks; /* without it, or before it was ready */
	struct conf_push push;
	int waiting_peers[ROLE_COUNT]; /* ends of channels that go out after the configuration; -1:
					  none */
	struct event *kill_timer, *start_timer;
	unsigned deaths; /* in a row */
	uint64_t started, not_before;
};

/* A person waits for the end of a reload. */
struct reload_request {
	uint64_t id;
	bool received; /* by the reload that is under way */
};

struct supervisor {
	struct supervisor_def def;
	const struct settings *settings;
	enum phase phase;
	struct child children[ROLE_COUNT];
	struct notify_command *command;
	struct event *child_signal, *timer; /* of the phase */
	struct event *watch;
	bool queue_waits; /* for the others to take the configuration */
	struct event *take_timer;
	struct reload_request requests[REQUESTS_MAX];
	size_t request_count;
	char *report; /* of a reload that ended while queue waits */
	unsigned deaths;
	uint64_t started;
	int status;
};

static const enum role_id all_roles[] = {
    ROLE_QUEUE, ROLE_KEEPER, ROLE_FETCH, ROLE_SEND, ROLE_POST, ROLE_TLS};

/* Who works with whom. The first of an on-demand role's rows names its user. */
static const struct {
	enum role_id a, b;
} wires[] = {
    {ROLE_KEEPER, ROLE_QUEUE},
    {ROLE_FETCH, ROLE_KEEPER},
    {ROLE_SEND, ROLE_QUEUE},
    {ROLE_SEND, ROLE_KEEPER},
    {ROLE_POST, ROLE_QUEUE},
    {ROLE_POST, ROLE_KEEPER},
    {ROLE_TLS, ROLE_QUEUE},
};

static void start_set(struct supervisor *s);
static void start_child(struct child *c);

static bool
is_of_set(enum role_id role)
{
	return role == ROLE_QUEUE || role == ROLE_KEEPER;
}

/* Whose work at the provider is finished, as far as it can be, before the others end. */
static bool
is_of_network(enum role_id role)
{
	return role == ROLE_FETCH || role == ROLE_SEND || role == ROLE_POST;
}

static uint64_t
now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
arm(struct event *timer, uint64_t ms)
{
	const struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	(void)event_add(timer, &tv);
}

/* The delay before the next start, after `deaths` in a row. */
static uint64_t
delay_after(unsigned deaths)
{
	uint64_t delay = DELAY_FIRST;

	for (unsigned i = 1; i < deaths && delay < DELAY_MAX; i++)
		delay *= 2;
	return delay > DELAY_MAX ? DELAY_MAX : delay;
}

static unsigned
count_death(unsigned deaths, uint64_t started)
{
	return now_ms() - started > PEACE ? 1 : deaths + 1;
}

static bool
stopping(const struct supervisor *s)
{
	return s->phase >= STOPPING_NETWORK;
}

/* ---- messages to a child ---- */

/* A child that cannot be written to, though its channel holds two thousand messages, is stuck. */
static void
tell(struct child *c, struct message *m, int fd)
{
	int r;

	if (c->channel == NULL) {
		(void)message_free(m);
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	r = channel_send(c->channel, m, fd);
	if (r < 0 && r != -EPIPE && c->pid > 0) {
		log_error("%s takes no messages (%s); it is ended.", message_role_name(c->role),
		    strerror(-r));
		(void)kill(c->pid, SIGKILL);
	}
}

static void
tell_peer(struct child *c, enum role_id peer, int fd)
{
	struct message *m = message_new(M_PEER);

	message_put_u64(m, F_ROLE, peer);
	tell(c, m, fd);
}

static void
tell_listen(struct child *c, const char *name, const char *owner, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct message *m;

	if (copy < 0) {
		log_error("%s cannot be given \"%s\": %s.", message_role_name(c->role), name,
		    strerror(errno));
		return;
	}
	m = message_new(M_LISTEN);
	message_put_str(m, F_NAME, name);
	message_put_str(m, F_SERVICE, owner);
	tell(c, m, copy);
}

static void
tell_shutdown(struct child *c)
{
	if (c->pid > 0)
		tell(c, message_new(M_SHUTDOWN), -1);
}

/* Entrances that queue does not have yet, or all. */
static void
give_entrances(struct child *c, bool all)
{
	struct entrances *e = c->supervisor->def.entrances;

	if (c->role != ROLE_QUEUE)
		return;
	if (e->diag >= 0 && (all || !c->has_diag)) {
		tell_listen(c, "sock-diag", NULL, e->diag);
		c->has_diag = true;
	}
	for (size_t i = 0; i < e->count; i++) {
		if (all || e->items[i].fresh)
			tell_listen(c,
			    e->items[i].kind == ENTRANCE_SERVICE ? socket_name(SOCKET_SUBMIT)
								 : "listener",
			    e->items[i].owner, e->items[i].fd);
		e->items[i].fresh = false;
	}
}

static void
answer_request(struct child *c, uint64_t id, enum field field, const char *report)
{
	struct message *m = message_new(M_RELOAD_RESULT);
	CLEANUP_BUF struct buf text = BUF_INIT(REPORT_MAX);

	message_put_u64(m, F_ID, id);
	if (*report != '\0') {
		/* it goes into one message */
		(void)buf_append(&text, report, strnlen(report, REPORT_MAX - 1));
		message_put_str(m, field, buf_str(&text));
	}
	tell(c, m, -1);
}

static void
answer_requests(struct supervisor *s, int r, const char *report)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->request_count; i++) {
		if (s->requests[i].received)
			answer_request(&s->children[ROLE_QUEUE], s->requests[i].id,
			    r < 0 ? F_ERROR : F_WARNING, report);
		else
			s->requests[kept++] = s->requests[i];
	}
	s->request_count = kept;
}

static void
answer_held_requests(struct supervisor *s)
{
	char *report = s->report;

	s->report = NULL;
	if (report != NULL)
		answer_requests(s, 0, report);
	free(report);
}

/* Goes on with the configuration; peers and new entrances follow when it is out. */
static void
send_conf(struct child *c)
{
	int r;

	if (c->role == ROLE_QUEUE && c->supervisor->queue_waits)
		return;
	r = c->channel == NULL ? 0 : conf_push_run(&c->push, c->role, c->channel);
	if (r == -EAGAIN)
		return;
	if (r < 0 && r != -EPIPE) {
		log_error("%s cannot be given the configuration: %s.", message_role_name(c->role),
		    strerror(-r));
		(void)kill(c->pid, SIGKILL);
		return;
	}
	for (int peer = 0; peer < ROLE_COUNT; peer++)
		if (c->waiting_peers[peer] >= 0)
			tell_peer(c, (enum role_id)peer, TAKE_FD(c->waiting_peers[peer]));
	give_entrances(c, false);
	if (c->role == ROLE_QUEUE)
		answer_held_requests(c->supervisor);
}

static void
let_queue_go_on(struct supervisor *s)
{
	struct child *queue = &s->children[ROLE_QUEUE];

	s->queue_waits = false;
	(void)event_del(s->take_timer);
	if (queue->pid > 0) {
		conf_push_start(&queue->push, s->settings);
		send_conf(queue);
	}
}

/* The role has taken its configuration, or is gone. */
static void
has_taken(struct child *c)
{
	struct supervisor *s = c->supervisor;

	c->taking = false;
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		if (s->children[all_roles[i]].taking)
			return;
	if (s->queue_waits)
		let_queue_go_on(s);
}

static void
on_take_timer(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	if (s->queue_waits)
		let_queue_go_on(s);
}

static void
give_peer(struct child *c, enum role_id peer, int fd)
{
	if (c->push.phase == CONF_PUSH_DONE) {
		tell_peer(c, peer, fd);
		return;
	}
	if (c->waiting_peers[peer] >= 0)
		(void)close(c->waiting_peers[peer]);
	c->waiting_peers[peer] = fd;
}

/* Connects two children that run. */
static void
wire(struct supervisor *s, enum role_id a, enum role_id b)
{
	struct child *x = &s->children[a], *y = &s->children[b];
	int ends[2];

	if (x->pid == 0 || y->pid == 0)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		log_error("%s and %s cannot be connected: %s.", message_role_name(a),
		    message_role_name(b), strerror(errno));
		return;
	}
	give_peer(x, b, ends[0]);
	give_peer(y, a, ends[1]);
}

/* The directories and sockets of a role. */
static void
give_rooms(struct child *c)
{
	const struct folders *f = c->supervisor->def.folders;
	const struct sockets *k = c->supervisor->def.sockets;

	if (c->role == ROLE_QUEUE) {
		tell_listen(c, "state", NULL, f->fds[FOLDER_SPOOL]);
		tell_listen(c, "bodies", NULL, f->fds[FOLDER_BODIES]);
		tell_listen(c, "drop", NULL, f->fds[FOLDER_DROP]);
		tell_listen(c, socket_name(SOCKET_SUBMIT), NULL, k->fds[SOCKET_SUBMIT]);
		tell_listen(c, socket_name(SOCKET_CONTROL), NULL, k->fds[SOCKET_CONTROL]);
		give_entrances(c, true);
	} else if (c->role == ROLE_KEEPER) {
		tell_listen(c, "tokens", NULL, f->fds[FOLDER_TOKENS]);
		tell_listen(c, socket_name(SOCKET_KEEPER), NULL, k->fds[SOCKET_KEEPER]);
	}
}

/* ---- messages from a child ---- */

static void
set_is_ready(struct supervisor *s)
{
	if (!s->children[ROLE_QUEUE].ready || !s->children[ROLE_KEEPER].ready ||
	    s->phase != STARTING)
		return;
	s->phase = RUNNING;
	s->def.ready(s->def.arg);
}

/*
 * The user of an on-demand role asks when it has no channel to it. A process that still runs then
 * has lost its user and is on its way out: the next one is started when it is gone.
 */
static void
start_wanted(struct supervisor *s, enum role_id user, enum role_id role)
{
	struct child *c;
	uint64_t now = now_ms();
	bool its_user = false;

	for (size_t i = 0; i < ARRAY_SIZE(wires); i++)
		if (wires[i].a == role && wires[i].b == user && !is_of_set(role)) {
			its_user = true;
			break;
		}
	if (!its_user) {
		log_error("%s asks for a role that it has no use for.", message_role_name(user));
		return;
	}
	if (s->phase != RUNNING && s->phase != STARTING)
		return;
	c = &s->children[role];
	if (c->pid > 0) {
		c->wanted = true;
		arm(c->kill_timer, LINGER_GRACE);
	} else if (now < c->not_before) {
		arm(c->start_timer, c->not_before - now);
	} else {
		start_child(c);
	}
}

/* ---- requests for a reload ---- */

static void
take_request(struct child *c, uint64_t id)
{
	struct supervisor *s = c->supervisor;

	if (s->request_count == REQUESTS_MAX) {
		answer_request(c, id, F_ERROR, "Too many wait for a reload.");
		return;
	}
	s->requests[s->request_count++] = (struct reload_request){.id = id};
	s->def.reload(s->def.arg);
}

void
supervisor_reload_begins(struct supervisor *s)
{
	answer_held_requests(s); /* those of the one before */
	for (size_t i = 0; i < s->request_count; i++)
		s->requests[i].received = true;
}

void
supervisor_reload_ends(struct supervisor *s, int r, const char *report)
{
	if (r < 0 && *report == '\0')
		report = strerror(-r);
	if (r == 0 && s->queue_waits) {
		free(s->report);
		s->report = strdup(report);
	}
	if (r < 0 || !s->queue_waits || s->report == NULL)
		answer_requests(s, r, report);
}

/* newaliases: the table goes to queue before the answer, so that whoever reads that may rely on it. */
static void
answer_aliases(struct child *c, uint64_t id)
{
	struct supervisor *s = c->supervisor;
	CLEANUP_BUF struct buf report = BUF_INIT(REPORT_MAX);
	struct message *m;
	int fd, r = s->def.aliases(s->def.arg, &report);

	if (r == 0) {
		r = conf_push_aliases(s->settings, &m, &fd);
		if (r == 0)
			tell(c, m, fd);
		else
			(void)message_free(m);
	}
	m = message_new(M_ALIASES_RESULT);
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_TEXT, buf_str(&report));
	if (r < 0)
		message_put_str(
		    m, F_ERROR, "The aliases file cannot be taken; what was in force stays so");
	tell(c, m, -1);
}

/* ---- the command that notifies people ---- */

static void
on_notified(void *arg, uint64_t id, int status, const char *fault)
{
	struct supervisor *s = arg;
	struct message *m = message_new(M_NOTIFY_DONE);

	message_put_u64(m, F_ID, id);
	if (status >= 0)
		message_put_u64(m, F_EXIT, (uint64_t)status);
	message_put_str(m, F_FAULT, fault);
	tell(&s->children[ROLE_QUEUE], m, -1);
}

static void
run_command(struct child *c, const struct message *m)
{
	struct supervisor *s = c->supervisor;
	const struct conf_notify *n = &settings_conf(s->settings)->notify;
	int r = notify_command_run(s->command, n, s->def.one_user, m);

	if (r < 0)
		on_notified(s, message_u64(m, F_ID, 0), -1,
		    r == -ENOENT
			? "no command is configured, or command-user is root or does not exist"
		    : r == -EBUSY ? "another one is still running"
				  : strerror(-r));
}

static void
on_message(void *arg, struct channel *channel, const struct message *m, int fd)
{
	struct child *c = arg;

	switch (message_type(m)) {
	case M_READY:
		c->ready = true;
		c->ticks = 0;
		set_is_ready(c->supervisor);
		break;
	case M_CONF_TAKEN:
		if (message_u64(m, F_GENERATION, 0) == settings_generation(c->supervisor->settings))
			has_taken(c);
		break;
	case M_PONG:
		c->asked = false;
		c->ticks = 0;
		break;
	case M_NEED_ROLE: {
		uint64_t role = message_u64(m, F_ROLE, ROLE_COUNT);

		start_wanted(
		    c->supervisor, c->role, role < ROLE_COUNT ? (enum role_id)role : ROLE_CLIENT);
		break;
	}
	case M_USER_QUERY:
		tell(c, identity_answer((uid_t)message_u64(m, F_UID, UINT32_MAX)), -1);
		break;
	case M_NOTIFY_RUN:
		run_command(c, m);
		break;
	case M_KEY_QUERY:
		tell(c,
		    conf_push_key_answer(c->supervisor->settings, message_u64(m, F_ID, 0),
			message_str(m, F_ACCOUNT)),
		    -1);
		break;
	case M_ALIASES_READ:
		answer_aliases(c, message_u64(m, F_ID, 0));
		break;
	case M_RELOAD:
		take_request(c, message_u64(m, F_ID, 0));
		break;
	default:
		break;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void
on_closed(void *arg, struct channel *channel)
{
	struct child *c = arg;

	c->channel = channel_free(c->channel);
	if (c->pid > 0)
		arm(c->kill_timer, LINGER_GRACE);
}

static void
on_writable(void *arg, struct channel *channel)
{
	send_conf(arg);
}

static const struct channel_ops child_ops = {
    .message = on_message,
    .closed = on_closed,
    .writable = on_writable,
};

/* ---- starting ---- */

static void
on_kill_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	if (c->pid <= 0)
		return;
	log_warning("%s does not end by itself; it is killed.", message_role_name(c->role));
	(void)kill(c->pid, SIGKILL);
}

static void
on_start_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	if (c->pid == 0 && c->supervisor->phase == RUNNING)
		start_child(c);
}

/* 0 when a process runs and its channel stands; what it is to know follows. */
static int
run_child(struct child *c)
{
	struct supervisor *s = c->supervisor;
	char state_path[PATH_MAX];
	struct identity who;
	int ends[2], r;

	r = identity_of(c->role, s->def.one_user, &s->def.folders->owner, &who);
	if (r < 0) {
		log_error("The user database does not say which user %s runs as: %s.",
		    message_role_name(c->role), strerror(-r));
		return r;
	}
	if (snprintf(state_path, sizeof(state_path), "%s%s", s->def.folders->path,
		c->role == ROLE_QUEUE ? "/spool" : "") >= (int)sizeof(state_path))
		return -ENAMETOOLONG;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	c->pid = programs_run(s->def.programs, c->role, &who, ends[1], state_path);
	(void)close(ends[1]);
	if (c->pid < 0) {
		int err = c->pid;

		c->pid = 0;
		(void)close(ends[0]);
		return err;
	}
	c->started = now_ms();
	c->ready = c->wanted = c->has_diag = c->asked = false;
	c->ticks = 0;
	c->channel = channel_new(s->def.base, ends[0], ROLE_MAIN, c->role, &child_ops, c);
	if (c->channel == NULL) {
		(void)kill(c->pid, SIGKILL);
		return -errno;
	}
	return 0;
}

static void
introduce(struct child *c)
{
	struct message *m;

	give_rooms(c);
	m = message_new(M_HELLO);
	message_put_bytes(m, F_TABLE, message_table_hash, MESSAGE_TABLE_HASH);
	tell(c, m, -1);
	if (c->role == ROLE_QUEUE)
		c->supervisor->queue_waits = false; /* it gets the one in force now */
	conf_push_start(&c->push, c->supervisor->settings);
	send_conf(c);
}

static void
start_child(struct child *c)
{
	struct supervisor *s = c->supervisor;
	int r = run_child(c);

	if (r < 0) {
		log_error("%s cannot be started: %s.", message_role_name(c->role), strerror(-r));
		if (c->pid == 0 && !is_of_set(c->role)) {
			c->deaths = count_death(c->deaths, c->started);
			arm(c->start_timer, delay_after(c->deaths));
		}
		return;
	}
	introduce(c);
	for (size_t i = 0; i < ARRAY_SIZE(wires); i++)
		if (wires[i].a == c->role || wires[i].b == c->role)
			wire(s, wires[i].a, wires[i].b);
}

static bool
anyone_left(const struct supervisor *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		if (s->children[all_roles[i]].pid > 0)
			return true;
	return false;
}

/* ---- ends ---- */

static void
finish(struct supervisor *s)
{
	(void)event_del(s->timer);
	s->phase = STOPPED;
	s->def.stopped(s->def.arg, s->status);
}

static void
kill_all(struct supervisor *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		if (s->children[all_roles[i]].pid > 0) {
			log_warning(
			    "%s has not ended; it is killed.", message_role_name(all_roles[i]));
			(void)kill(s->children[all_roles[i]].pid, SIGKILL);
		}
}

static void
stop_set(struct supervisor *s)
{
	s->phase = STOPPING_SET;
	tell_shutdown(&s->children[ROLE_QUEUE]);
	tell_shutdown(&s->children[ROLE_KEEPER]);
	arm(s->timer, SET_GRACE);
}

static bool
network_is_gone(const struct supervisor *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		if (is_of_network(all_roles[i]) && s->children[all_roles[i]].pid > 0)
			return false;
	return true;
}

static void
renew(struct supervisor *s)
{
	s->phase = RENEWING;
	s->deaths = count_death(s->deaths, s->started);
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++) {
		struct child *c = &s->children[all_roles[i]];

		(void)event_del(c->start_timer);
		tell_shutdown(c);
	}
	arm(s->timer, RENEW_GRACE);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	switch (s->phase) {
	case RENEWING:
		if (anyone_left(s))
			kill_all(s);
		else
			start_set(s);
		break;
	case STOPPING_NETWORK:
		stop_set(s);
		break;
	case STOPPING_SET:
		s->phase = STOPPING_KILL;
		kill_all(s);
		break;
	default:
		break;
	}
}

static void
log_end(const struct child *c, int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof(how), "signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		(void)snprintf(how, sizeof(how), "status %d", WEXITSTATUS(status));
	log_line(LOG_LEVEL_ERROR,
	    is_of_set(c->role) && c->supervisor->phase != STARTING
		? "A role died; queue and keeper are started anew."
		: "A role died.",
	    LOG_PAIRS({LOG_ROLE, message_role_name(c->role)}, {LOG_ERROR, how}));
}

static void
network_role_ended(struct child *c, int status)
{
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == EX_OK;

	if (well) {
		c->deaths = 0;
		c->not_before = 0;
	} else {
		log_end(c, status);
		c->deaths = count_death(c->deaths, c->started);
		c->not_before = now_ms() + delay_after(c->deaths);
	}
	if (!c->wanted)
		return;
	if (well)
		start_child(c);
	else
		arm(c->start_timer, delay_after(c->deaths));
}

static void
set_role_ended(struct child *c, int status)
{
	struct supervisor *s = c->supervisor;

	log_end(c, status);
	if (s->phase == STARTING) {
		log_error("The roles cannot start, so frankd ends.");
		supervisor_stop(s,
		    WIFEXITED(status) && WEXITSTATUS(status) == EX_IOERR ? EX_IOERR : EX_SOFTWARE);
	} else {
		renew(s);
	}
}

static void
forget_process(struct child *c)
{
	c->pid = 0;
	has_taken(c);
	c->ready = false;
	c->channel = channel_free(c->channel);
	if (c->role == ROLE_QUEUE)
		c->supervisor->request_count = 0; /* and so do those who asked */
	(void)event_del(c->kill_timer);
	for (int peer = 0; peer < ROLE_COUNT; peer++)
		if (c->waiting_peers[peer] >= 0)
			(void)close(TAKE_FD(c->waiting_peers[peer]));
}

static void
child_ended(struct child *c, int status)
{
	struct supervisor *s = c->supervisor;

	forget_process(c);
	switch (s->phase) {
	case STARTING:
	case RUNNING:
		if (is_of_set(c->role))
			set_role_ended(c, status);
		else
			network_role_ended(c, status);
		break;
	case RENEWING:
		if (!anyone_left(s)) {
			uint64_t delay = delay_after(s->deaths);

			log_notice("Queue and keeper are started anew in %" PRIu64 " ms.", delay);
			arm(s->timer, delay);
		}
		break;
	case STOPPING_NETWORK:
		if (network_is_gone(s))
			stop_set(s);
		break;
	case STOPPING_SET:
	case STOPPING_KILL:
	case STOPPED:
		break;
	}
	if (stopping(s) && s->phase != STOPPED && !anyone_left(s))
		finish(s);
}

static void
on_child_signal(evutil_socket_t number, short what, void *arg)
{
	struct supervisor *s = arg;

	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++) {
		struct child *c = &s->children[all_roles[i]];
		int status;

		if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
			child_ended(c, status);
	}
}

/* ---- watching ---- */

static void
give_up_on(struct child *c, const char *why)
{
	log_line(LOG_LEVEL_ERROR, why, LOG_PAIRS({LOG_ROLE, message_role_name(c->role)}));
	/* A trace of where it stands, where one is kept; else it ends as by any signal. */
	(void)kill(c->pid, SIGABRT);
	arm(c->kill_timer, LINGER_GRACE);
}

static void
watch_child(struct child *c)
{
	unsigned start = c->role == ROLE_QUEUE ? START_TICKS_QUEUE : START_TICKS;

	if (c->pid <= 0 || c->channel == NULL)
		return;
	c->ticks++;
	if (!c->ready) {
		if (c->ticks == start)
			give_up_on(c, "A role does not get ready; it is ended.");
	} else if (!c->asked) {
		c->asked = true;
		c->ticks = 0;
		tell(c, message_new(M_PING), -1);
	} else if (c->ticks == SILENT_TICKS) {
		give_up_on(c, "A role does not answer any more; it is ended.");
	}
}

/* By a clock that stands while the machine sleeps, and in ticks of our own: where we were kept from
 * running, so were the roles. */
static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	notify_alive();
	if (stopping(s))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		watch_child(&s->children[all_roles[i]]);
}

static int
watch_begin(struct supervisor *s)
{
	const struct timeval tick = {.tv_sec = (time_t)(s->def.watch_ms / 1000),
	    .tv_usec = (suseconds_t)(s->def.watch_ms % 1000 * 1000)};

	s->watch = event_new(s->def.base, -1, EV_PERSIST, on_watch, s);
	return s->watch == NULL || event_add(s->watch, &tick) < 0 ? -ENOMEM : 0;
}

/* ---- the whole ---- */

static void
start_set(struct supervisor *s)
{
	if (s->phase == RENEWING)
		s->phase = RUNNING;
	s->started = now_ms();
	start_child(&s->children[ROLE_KEEPER]);
	start_child(&s->children[ROLE_QUEUE]);
	if (s->children[ROLE_KEEPER].pid > 0 && s->children[ROLE_QUEUE].pid > 0)
		return;
	/* no process to be made: what was logged may pass */
	if (s->phase == STARTING) {
		supervisor_stop(s, EX_OSERR);
		return;
	}
	renew(s);
	if (!anyone_left(s))
		arm(s->timer, delay_after(s->deaths));
}

void
supervisor_reconfigure(struct supervisor *s, const struct settings *settings)
{
	s->settings = settings;
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++) {
		struct child *c = &s->children[all_roles[i]];

		c->taking = c->pid > 0 && c->role != ROLE_QUEUE;
		if (c->taking) {
			conf_push_start(&c->push, settings);
			send_conf(c);
		}
	}
	s->queue_waits = true;
	arm(s->take_timer, TAKE_LONGEST);
	has_taken(&s->children[ROLE_QUEUE]); /* where no other role runs */
}

void
supervisor_stop(struct supervisor *s, int status)
{
	if (s->phase == STOPPED)
		return;
	if (stopping(s)) {
		s->phase = STOPPING_KILL;
		kill_all(s);
		return;
	}
	s->status = status;
	s->phase = STOPPING_NETWORK;
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		(void)event_del(s->children[all_roles[i]].start_timer);
	if (!anyone_left(s)) {
		finish(s);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++)
		if (is_of_network(all_roles[i]))
			tell_shutdown(&s->children[all_roles[i]]);
	/* tls carries sessions of the queue, and ends with it */
	if (network_is_gone(s))
		stop_set(s);
	else
		arm(s->timer, NETWORK_GRACE);
}

static int
child_init(struct supervisor *s, enum role_id role)
{
	struct child *c = &s->children[role];

	c->supervisor = s;
	c->role = role;
	for (int peer = 0; peer < ROLE_COUNT; peer++)
		c->waiting_peers[peer] = -1;
	c->kill_timer = evtimer_new(s->def.base, on_kill_timer, c);
	c->start_timer = evtimer_new(s->def.base, on_start_timer, c);
	return c->kill_timer == NULL || c->start_timer == NULL ? -ENOMEM : 0;
}

struct supervisor *
supervisor_new(const struct supervisor_def *def, const struct settings *settings)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int r = 0;

	if (s == NULL)
		return NULL;
	s->def = *def;
	s->settings = settings;
	s->timer = evtimer_new(def->base, on_timer, s);
	s->take_timer = evtimer_new(def->base, on_take_timer, s);
	s->child_signal = evsignal_new(def->base, SIGCHLD, on_child_signal, s);
	for (size_t i = 0; i < ARRAY_SIZE(all_roles) && r == 0; i++)
		r = child_init(s, all_roles[i]);
	if (r == 0)
		r = watch_begin(s);
	s->command = notify_command_new(def->base, def->programs->null, on_notified, s);
	if (r < 0 || s->timer == NULL || s->take_timer == NULL || s->child_signal == NULL ||
	    s->command == NULL || event_add(s->child_signal, NULL) < 0) {
		errno = ENOMEM;
		return supervisor_free(s);
	}
	start_set(s);
	return s;
}

static void
event_free_if(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

struct supervisor *
supervisor_free(struct supervisor *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(all_roles); i++) {
		struct child *c = &s->children[all_roles[i]];

		c->channel = channel_free(c->channel);
		event_free_if(c->kill_timer);
		event_free_if(c->start_timer);
		for (int peer = 0; peer < ROLE_COUNT && c->supervisor != NULL; peer++)
			if (c->waiting_peers[peer] >= 0)
				(void)close(c->waiting_peers[peer]);
	}
	event_free_if(s->timer);
	event_free_if(s->watch);
	event_free_if(s->take_timer);
	free(s->report);
	event_free_if(s->child_signal);
	(void)notify_command_free(s->command);
	free(s);
	return NULL;
}
