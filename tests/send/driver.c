/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * driver.c: plays main, queue and keeper to the real program frank-send, confined as it always is,
 * so that it can be tried against any server without the rest of Frank.
 *
 * usage: send-driver PROGRAM [options]
 *
 *   --host H --port N --tls starttls|implicit|none --ca FILE --mech M... --grant G --user U
 *   --sessions N --hostname NAME      the account
 *   --srv --tls-name NAME --pin PIN --certificate FILE --key FILE
 *   --from A --to A... --size OCTETS  the message
 *   --count N --outstanding N         how many of it; at once at most (1000)
 *   --pause MS                        before every job but the first
 *   --file                            bodies are handed over as descriptors
 *   --retry                           jobs that come back untried are given again
 *   --no-credential STATE             the keeper has none, and is in this state
 *   --no-keeper                       the keeper's channel closes at the first request
 *   --reload same|changed|gone        when half of the jobs are answered: the configuration anew,
 *                                     as before, with another account, or without it
 *   --shutdown MS                     tells the program to end, so long after the last job was given
 *   --transcript                      prints the last one
 *
 * Standard input has the secret in its first line and the one given after a refusal in its second; an
 * empty line is none. Prints one line `NUMBER OUTCOME` per kind of outcome, then facts as `name: value`. Exit status 0 when every job
 * was answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "broker/conf/wire.h"
#include "broker/ipc/reply.h"

enum { OUTCOMES_MAX = 64, RCPTS_MAX = 100 };

struct options {
	const char *host, *tls, *ca, *grant, *user, *from, *hostname, *no_credential, *reload;
	const char *mechanisms[4], *to[RCPTS_MAX];
	unsigned port, mechanism_count, to_count, count, size, sessions, outstanding, pause;
	unsigned shut_down;
	const char *tls_name, *pin, *certificate, *key;
	bool file, retry, transcript, no_keeper, srv;
};

struct outcome {
	char text[2300];
	unsigned count;
};

struct driver {
	struct options o;
	char secrets[2][8192]; /* "" for none */
	int main_sock, queue_sock, keeper_sock;
	unsigned generation;
	double shut_down_at;
	pid_t pid;
	char *body;
	int body_fd;
	unsigned given, answered, untried, credentials, rejected;
	struct outcome outcomes[OUTCOMES_MAX];
	unsigned outcome_count;
	char endpoint[512], tls[128], mechanism[64];
	char *transcript;
};

static void __attribute__((noreturn)) die(const char *what)
{
	(void)fprintf(stderr, "send-driver: %s: %s\n", what, strerror(errno));
	exit(2);
}

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
put(int sock, struct message *m, int fd)
{
	int r = message_write(sock, m, fd);

	if (r < 0) {
		errno = -r;
		die(message_type_name(message_type(m)));
	}
	(void)message_free(m);
}

/* ---- main's part ---- */

static void
start(struct driver *d, char *program)
{
	char state[] = "/nonexistent", *argv[] = {program, state, NULL};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	d->main_sock = pair[0];
	d->pid = fork();
	if (d->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(pair[1], 3) < 0)
			_exit(126);
		execv(program, argv);
		_exit(127);
	}
	(void)close(pair[1]);
}

static int
make_peer(struct driver *d, enum role_id role)
{
	struct message *m = message_new(M_PEER);
	int pair[2], size = 4 * 1024 * 1024;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	message_put_u64(m, F_ROLE, role);
	put(d->main_sock, m, pair[1]);
	(void)close(pair[1]);
	return pair[0];
}

static enum grant
grant_of(const char *word)
{
	return strcmp(word, "password") == 0 ? GRANT_PASSWORD
	       : strcmp(word, "none") == 0   ? GRANT_NONE
					     : GRANT_AUTHORIZATION_CODE;
}

static enum conf_tls
tls_of(const char *word)
{
	return strcmp(word, "implicit") == 0 ? CONF_TLS_IMPLICIT
	       : strcmp(word, "none") == 0   ? CONF_TLS_NONE
	       : strcmp(word, "either") == 0 ? CONF_TLS_EITHER
					     : CONF_TLS_STARTTLS;
}

static void
configure_account(struct driver *d, bool changed)
{
	const struct options *o = &d->o;
	char *pin = (char *)o->pin;
	const struct conf_account a = {.name = (char *)"trial",
	    .grant = grant_of(o->grant),
	    .host = (char *)o->host,
	    .port = o->port,
	    .tls = tls_of(o->tls),
	    .sessions = o->sessions,
	    .allow_plaintext_secret = !changed,
	    .srv = o->srv,
	    .tls_name = (char *)o->tls_name,
	    .tls_pins = {&pin, pin != NULL},
	    .mechanisms = {(char **)o->mechanisms, o->mechanism_count},
	    .ca_file.path = (char *)o->ca,
	    .tls_certificate.path = (char *)o->certificate,
	    .tls_key.path = (char *)o->key};
	struct message *m;
	const char *path;
	size_t at = 0;

	put(d->main_sock, wire_message(CONF_BLOCK_ACCOUNT, &a, ROLE_SEND), -1);
	while ((path = wire_next_file(CONF_BLOCK_ACCOUNT, &a, ROLE_SEND, &at, &m)) != NULL) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			die(path);
		put(d->main_sock, m, fd);
		(void)close(fd);
	}
}

/* `how`: same, changed, gone. */
static void
configure(struct driver *d, const char *how)
{
	struct message *m = message_new(M_CONF_BEGIN);
	const struct conf c = {.hostname = (char *)d->o.hostname};

	message_put_u64(m, F_GENERATION, ++d->generation);
	put(d->main_sock, m, -1);
	put(d->main_sock, wire_message(CONF_BLOCK_TOP, &c, ROLE_SEND), -1);
	if (strcmp(how, "gone") != 0)
		configure_account(d, strcmp(how, "changed") == 0);
	m = message_new(M_CONF_END);
	message_put_u64(m, F_GENERATION, d->generation);
	put(d->main_sock, m, -1);
}

static void
introduce(struct driver *d)
{
	struct message *m = message_new(M_HELLO);

	message_put_bytes(m, F_TABLE, message_table_hash, MESSAGE_TABLE_HASH);
	put(d->main_sock, m, -1);
	configure(d, "same");
	d->queue_sock = make_peer(d, ROLE_QUEUE);
	d->keeper_sock = make_peer(d, ROLE_KEEPER);
}

/* ---- queue's part ---- */

static void
make_body(struct driver *d)
{
	size_t n;

	d->body = malloc(d->o.size + 1024);
	if (d->body == NULL)
		die("memory");
	n = (size_t)snprintf(d->body, 1024,
	    "From: <%s>\r\nTo: <%s>\r\nSubject: a trial of frank-send\r\nMessage-ID: "
	    "<%ld.%d@driver.test>\r\n"
	    "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n.starts with a dot\r\n",
	    d->o.from, d->o.to[0], (long)time(NULL), (int)getpid());
	while (n + 72 < d->o.size) {
		memset(d->body + n, 'x', 70);
		memcpy(d->body + n + 70, "\r\n", 2);
		n += 72;
	}
	d->o.size = (unsigned)n;
	if (!d->o.file)
		return;
	d->body_fd = memfd_create("body", MFD_CLOEXEC);
	if (d->body_fd < 0 || write(d->body_fd, d->body, n) != (ssize_t)n)
		die("body");
}

static void
give_job(struct driver *d, uint64_t id)
{
	struct message *m = message_new(M_JOB);
	char queue_id[32];

	(void)snprintf(queue_id, sizeof(queue_id), "T%08lX", (unsigned long)id);
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, "trial");
	message_put_str(m, F_SENDER, d->o.from);
	message_put_u64(m, F_SIZE, d->o.size);
	message_put_u64(m, F_FLAGS, 0);
	message_put_str(m, F_QUEUE_ID, queue_id);
	if (!d->o.file)
		message_put_bytes(m, F_BODY, d->body, d->o.size);
	for (unsigned i = 0; i < d->o.to_count; i++) {
		message_put_str(m, F_RCPT, d->o.to[i]);
		message_put_str(m, F_RCPT_PARAMS, "");
	}
	put(d->queue_sock, m, d->o.file ? d->body_fd : -1);
}

static void
count_outcome(struct driver *d, const struct smtp_reply *r, bool untried)
{
	char text[2300];

	if (r->code > 0)
		(void)snprintf(text, sizeof(text), "%d %s/%s%s%s %s", r->code, r->enhanced,
		    smtp_stage_name(r->stage), r->in_doubt ? " in-doubt" : "",
		    untried ? " untried" : "", r->code >= 400 && r->text != NULL ? r->text : "");
	else
		(void)snprintf(text, sizeof(text), "%s/%s%s%s %s", smtp_fault_name(r->fault),
		    smtp_stage_name(r->stage), r->in_doubt ? " in-doubt" : "",
		    untried ? " untried" : "", r->text == NULL ? "" : r->text);
	for (unsigned i = 0; i < d->outcome_count; i++) {
		if (strcmp(d->outcomes[i].text, text) == 0) {
			d->outcomes[i].count++;
			return;
		}
	}
	if (d->outcome_count == OUTCOMES_MAX)
		return;
	(void)snprintf(d->outcomes[d->outcome_count].text, sizeof(d->outcomes[0].text), "%s", text);
	d->outcomes[d->outcome_count++].count = 1;
}

static void
copy_fact(char *to, size_t size, const char *s)
{
	if (s != NULL)
		(void)snprintf(to, size, "%s", s);
}

static void
take_answer(struct driver *d, const struct message *m)
{
	bool untried = (message_u64(m, F_FLAGS, 0) & JOB_UNTRIED) != 0;
	const uint8_t *bytes;
	size_t at = 0, len;
	unsigned results = 0;

	copy_fact(d->endpoint, sizeof(d->endpoint), message_str(m, F_ENDPOINT));
	copy_fact(d->tls, sizeof(d->tls), message_str(m, F_TLS));
	copy_fact(d->mechanism, sizeof(d->mechanism), message_str(m, F_MECHANISM));
	if (message_has(m, F_TRANSCRIPT)) {
		free(d->transcript);
		d->transcript = strdup(message_str(m, F_TRANSCRIPT));
	}
	if (untried && d->o.retry) {
		d->untried++;
		give_job(d, message_u64(m, F_ID, 0));
		return;
	}
	while (message_next(m, F_RESULT, &at, &bytes, &len)) {
		struct smtp_reply r;

		if (reply_get(bytes, len, &r) < 0)
			die("a RESULT that is none");
		count_outcome(d, &r, untried);
		smtp_reply_clear(&r);
		results++;
	}
	if (untried && results == 0) {
		const struct smtp_reply nothing = {0};

		for (; results < d->o.to_count; results++)
			count_outcome(d, &nothing, true);
	}
	if (results != d->o.to_count) {
		(void)fprintf(
		    stderr, "send-driver: %u results for %u recipients\n", results, d->o.to_count);
		exit(2);
	}
	d->answered++;
	d->untried += untried;
}

/* ---- keeper's part ---- */

static void
refuse_credential(struct driver *d, const struct message *get, const char *state)
{
	struct message *m = message_new(M_CREDENTIAL_FAILED);

	message_put_u64(m, F_ID, message_u64(get, F_ID, 0));
	message_put_str(m, F_ACCOUNT, message_str(get, F_ACCOUNT));
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_ERROR, "The driver has no credential.");
	put(d->keeper_sock, m, -1);
}

static void
take_request(struct driver *d, const struct message *get)
{
	bool rejected = message_has(get, F_REJECTED);
	const char *secret = d->secrets[rejected];
	struct message *m;

	d->credentials++;
	d->rejected += rejected;
	if (d->o.no_keeper) {
		(void)close(d->keeper_sock);
		d->keeper_sock = -1;
		return;
	}
	if (d->o.no_credential != NULL || *secret == '\0') {
		refuse_credential(d, get,
		    d->o.no_credential != NULL ? d->o.no_credential : "needs-authorization");
		return;
	}
	m = message_new(M_CREDENTIAL);
	message_put_u64(m, F_ID, message_u64(get, F_ID, 0));
	message_put_str(m, F_ACCOUNT, message_str(get, F_ACCOUNT));
	message_put_str(m, F_KIND, strcmp(d->o.grant, "password") == 0 ? "password" : "token");
	message_put_str(m, F_USER_NAME, d->o.user);
	message_put_u64(m, F_GENERATION, rejected ? 2 : 1);
	message_put_bytes(m, F_SECRET, secret, strlen(secret));
	put(d->keeper_sock, m, -1);
}

/* ---- the loop ---- */

static void
give_jobs(struct driver *d)
{
	while (d->given < d->o.count && d->given - d->answered < d->o.outstanding) {
		if (d->o.pause > 0 && d->given > 0)
			(void)usleep(d->o.pause * 1000);
		give_job(d, ++d->given);
	}
}

/* False when the program is gone. */
static bool
take_one(struct driver *d, int sock, enum role_id to)
{
	CLEANUP_MESSAGE struct message *m = NULL;
	const char *why;
	int fd = -1;

	if (message_read(sock, &m, &fd) <= 0)
		return false;
	if (message_check(m, ROLE_SEND, to, false, &why) < 0) {
		(void)fprintf(
		    stderr, "send-driver: %s: %s\n", message_type_name(message_type(m)), why);
		exit(2);
	}
	if (message_type(m) == M_JOB_DONE)
		take_answer(d, m);
	else if (message_type(m) == M_CREDENTIAL_GET)
		take_request(d, m);
	return true;
}

/* What is to happen in the midst of it. Returns how long to wait for it at most, in ms. */
static int
disturb(struct driver *d)
{
	double now = seconds();

	if (d->o.reload != NULL && d->answered >= d->o.count / 2) {
		configure(d, d->o.reload);
		d->o.reload = NULL;
	}
	if (d->o.shut_down == 0 || d->given < d->o.count)
		return -1;
	if (d->shut_down_at == 0)
		d->shut_down_at = now + d->o.shut_down / 1000.0;
	if (now < d->shut_down_at)
		return (int)((d->shut_down_at - now) * 1000) + 1;
	put(d->main_sock, message_new(M_SHUTDOWN), -1);
	d->o.shut_down = 0;
	return -1;
}

static void
run(struct driver *d)
{
	struct pollfd p[3] = {{.fd = d->queue_sock, .events = POLLIN},
	    {.fd = d->keeper_sock, .events = POLLIN}, {.fd = d->main_sock, .events = POLLIN}};
	static const enum role_id roles[] = {ROLE_QUEUE, ROLE_KEEPER, ROLE_MAIN};

	while (d->answered < d->o.count) {
		give_jobs(d);
		p[1].fd = d->keeper_sock;
		if (poll(p, 3, disturb(d)) < 0)
			die("poll");
		for (int i = 0; i < 3; i++)
			if (p[i].revents != 0 && p[i].fd >= 0 && !take_one(d, p[i].fd, roles[i]))
				return;
	}
}

static void
report(struct driver *d, double took, int status)
{
	for (unsigned i = 0; i < d->outcome_count; i++)
		(void)printf("%u %s\n", d->outcomes[i].count, d->outcomes[i].text);
	(void)printf("answered: %u of %u\nuntried: %u\ncredentials: %u (%u after a refusal)\n",
	    d->answered, d->o.count, d->untried, d->credentials, d->rejected);
	(void)printf("endpoint: %s\ntls: %s\nmechanism: %s\n", d->endpoint, d->tls, d->mechanism);
	(void)printf("seconds: %.3f\nper second: %.0f\n", took, took > 0 ? d->answered / took : 0);
	if (WIFEXITED(status))
		(void)printf("exit: %d\n", WEXITSTATUS(status));
	else
		(void)printf("signal: %d\n", WTERMSIG(status));
	if (d->o.transcript && d->transcript != NULL)
		(void)printf("---- the last transcript\n%s", d->transcript);
}

static void
parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'},
	    {"tls", 1, NULL, 't'}, {"ca", 1, NULL, 'c'}, {"mech", 1, NULL, 'm'},
	    {"grant", 1, NULL, 'g'}, {"user", 1, NULL, 'u'}, {"from", 1, NULL, 'f'},
	    {"to", 1, NULL, 'r'}, {"count", 1, NULL, 'n'}, {"size", 1, NULL, 's'},
	    {"sessions", 1, NULL, 'x'}, {"outstanding", 1, NULL, 'o'}, {"file", 0, NULL, 'F'},
	    {"pause", 1, NULL, 'P'}, {"hostname", 1, NULL, 'H'}, {"no-credential", 1, NULL, 'N'},
	    {"retry", 0, NULL, 'R'}, {"transcript", 0, NULL, 'T'}, {"shutdown", 1, NULL, 'S'},
	    {"reload", 1, NULL, 'L'}, {"no-keeper", 0, NULL, 'K'}, {"srv", 0, NULL, 'V'},
	    {"tls-name", 1, NULL, 'M'}, {"pin", 1, NULL, 'I'}, {"certificate", 1, NULL, 'C'},
	    {"key", 1, NULL, 'Y'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		unsigned number = optarg == NULL ? 0 : (unsigned)strtoul(optarg, NULL, 10);

		switch (c) {
		case 'h':
			o->host = optarg;
			break;
		case 'p':
			o->port = number;
			break;
		case 't':
			o->tls = optarg;
			break;
		case 'c':
			o->ca = optarg;
			break;
		case 'm':
			if (o->mechanism_count < 4)
				o->mechanisms[o->mechanism_count++] = optarg;
			break;
		case 'g':
			o->grant = optarg;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'f':
			o->from = optarg;
			break;
		case 'r':
			if (o->to_count < RCPTS_MAX)
				o->to[o->to_count++] = optarg;
			break;
		case 'n':
			o->count = number;
			break;
		case 's':
			o->size = number;
			break;
		case 'x':
			o->sessions = number;
			break;
		case 'o':
			o->outstanding = number;
			break;
		case 'F':
			o->file = true;
			break;
		case 'P':
			o->pause = number;
			break;
		case 'H':
			o->hostname = optarg;
			break;
		case 'N':
			o->no_credential = optarg;
			break;
		case 'R':
			o->retry = true;
			break;
		case 'T':
			o->transcript = true;
			break;
		case 'S':
			o->shut_down = number;
			break;
		case 'L':
			o->reload = optarg;
			break;
		case 'K':
			o->no_keeper = true;
			break;
		case 'V':
			o->srv = true;
			break;
		case 'M':
			o->tls_name = optarg;
			break;
		case 'I':
			o->pin = optarg;
			break;
		case 'C':
			o->certificate = optarg;
			break;
		case 'Y':
			o->key = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (o->to_count == 0)
		o->to[o->to_count++] = "someone@example.test";
}

int
main(int argc, char **argv)
{
	static struct driver d = {.o = {.host = "localhost",
				      .tls = "none",
				      .grant = "none",
				      .user = "user@example.test",
				      .from = "user@example.test",
				      .hostname = "client.example.test",
				      .count = 1,
				      .size = 2048,
				      .sessions = 1,
				      .outstanding = 1000},
	    .body_fd = -1};
	double began;
	int status;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: send-driver PROGRAM [options]\n");
		return 2;
	}
	parse(&d.o, argc - 1, argv + 1);
	for (int i = 0; i < 2; i++) {
		if (fgets(d.secrets[i], sizeof(d.secrets[i]), stdin) == NULL)
			break;
		d.secrets[i][strcspn(d.secrets[i], "\n")] = '\0';
	}
	make_body(&d);
	start(&d, argv[1]);
	introduce(&d);
	began = seconds();
	run(&d);
	began = seconds() - began;
	(void)close(d.queue_sock);
	if (waitpid(d.pid, &status, 0) < 0)
		die("wait");
	report(&d, began, status);
	return d.answered == d.o.count ? 0 : 1;
}
