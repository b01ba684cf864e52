/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-test-release.c: `frank test release FILE`: runs the tests of a file one after the other, each
 * within its time: hands in a message, or runs a program that does, and follows what becomes of it.
 * Results are a line each for people, or JSON, and JUnit XML for CI.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "admin/captured.h"
#include "admin/hand-in.h"
#include "admin/inbox-client.h"
#include "admin/junit.h"
#include "admin/release-file.h"
#include "admin/verbs.h"
#include "base/io.h"
#include "broker/message/own-mail.h"

enum {
	FILE_MAX = 4 * 1024 * 1024,
	CONTENT_MAX = 256 * 1024 * 1024,
	JUNIT_MAX = 64 * 1024 * 1024,
	MESSAGE_TEXT_MAX = 4096,
	PAUSE_FIRST_MS = 20, /* between two looks at a message that is being delivered, */
	PAUSE_LAST_MS = 500, /* which grow */
	QUEUE_PATIENCE = 60
};

struct result {
	const struct release_test *test;
	enum { PASSED, FAILED, NOT_RUN } result;
	struct buf message; /* why it is not PASSED */
	char id[64];        /* of the message; "": none was taken */
	uint64_t milliseconds;
};

struct trial {
	const struct cli *cli; /* speaks to people alone */
	const struct inbox_client
	    *inbox; /* where what is delivered can be looked at; NULL: nowhere */
	const char *path;
	const struct release_test *test;
	struct result *result;
	uint64_t mark, end; /* end: of link_clock() */
};

PRINTF_LIKE(3, 4)
static void
conclude(struct trial *r, int result, const char *format, ...)
{
	va_list ap;

	r->result->result = result;
	buf_clear(&r->result->message);
	va_start(ap, format);
	(void)buf_vprintf(&r->result->message, format, ap);
	va_end(ap);
}

/* ---- a message of ours ---- */

/* A path that is not absolute is beside the file of tests. */
static int
read_beside(const char *path, const char *name, struct buf *out)
{
	CLEANUP_BUF struct buf whole = BUF_INIT(8192);
	const char *slash = strrchr(path, '/');
	CLEANUP_CLOSE int fd = -1;
	ssize_t n = 1;

	if (*name != '/' && slash != NULL)
		(void)buf_append(&whole, path, (size_t)(slash + 1 - path));
	(void)buf_append_str(&whole, name);
	fd = open(buf_str(&whole), O_RDONLY | O_CLOEXEC | O_NOCTTY);
	while (fd >= 0 && n > 0) {
		if (buf_reserve(out, 64 * 1024) < 0)
			return -EFBIG;
		n = read(fd, out->data + out->len, 64 * 1024);
		out->len += n > 0 ? (size_t)n : 0;
	}
	return fd < 0 || n < 0 ? -errno : 0;
}

static int
make_content(const struct trial *r, struct buf *out)
{
	const struct release_test *t = r->test;

	if (t->content_file != NULL)
		return read_beside(r->path, t->content_file, out);
	(void)own_mail_header(out, &(struct own_mail){.name = "",
				       .from = t->from,
				       .to = (const char *const *)t->to.items,
				       .to_count = t->to.count,
				       .subject = t->subject == NULL ? t->name : t->subject,
				       .type = "text/plain; charset=utf-8"});
	for (const char *s = t->body == NULL ? "A release test.\n" : t->body; *s != '\0'; s++)
		(void)buf_append_str(out, *s == '\n' ? "\r\n" : (char[]){*s, '\0'});
	if (out->len > 0 && out->data[out->len - 1] != '\n')
		(void)buf_append_str(out, "\r\n");
	return out->failed;
}

/* The socket of the caller that the test plays. */
static void
find_socket(const struct trial *r, struct buf *path)
{
	const char *submit = r->cli->submit, *slash = strrchr(submit, '/');

	if (r->test->service == NULL)
		(void)buf_append_str(path, submit);
	else
		(void)buf_printf(path, "%.*sservices/%s/submit.sock",
		    slash == NULL ? 0 : (int)(slash + 1 - submit), submit, r->test->service);
}

/* True where frankd answered. */
static bool
send_message(struct trial *r, struct hand_in_answer *answer)
{
	CLEANUP_BUF struct buf content = BUF_INIT(CONTENT_MAX), path = BUF_INIT(4096);
	const struct release_test *t = r->test;
	const struct passwd *who = t->user == NULL ? NULL : getpwnam(t->user);
	int e = make_content(r, &content);

	if (e < 0 || (t->user != NULL && who == NULL)) {
		if (e < 0)
			conclude(r, NOT_RUN, "%s: %s",
			    t->content_file == NULL ? "the message" : t->content_file,
			    strerror(-e));
		else
			conclude(r, NOT_RUN, "there is no user %s", t->user);
		return false;
	}
	find_socket(r, &path);
	e = hand_in(r->cli,
	    &(struct hand_in){.socket = buf_str(&path),
		.account = t->account,
		.sender = t->from,
		.recipients = (const char *const *)t->to.items,
		.count = t->to.count,
		.content = buf_str(&content),
		.len = content.len,
		.as_user = who != NULL && who->pw_uid != geteuid(),
		.uid = who == NULL ? 0 : who->pw_uid},
	    answer);
	if (e != EX_OK)
		conclude(r, NOT_RUN, "the message cannot be handed in at %s", buf_str(&path));
	return e == EX_OK;
}

/* ---- what becomes of it ---- */

/* "550 5.7.1 text": does it begin with the code, or with the enhanced one? */
static bool
has_code(const char *reply, const char *code)
{
	size_t n = strlen(code);
	const char *space = strchr(reply, ' ');

	for (const char *at = reply; at != NULL;
	     at = at == reply && space != NULL ? space + 1 : NULL)
		if (strncmp(at, code, n) == 0 && (at[n] == '\0' || at[n] == ' ' || at[n] == '-'))
			return true;
	return false;
}

static void
judge_refusal(struct trial *r, const struct hand_in_answer *a)
{
	CLEANUP_BUF struct buf reply = BUF_INIT(MESSAGE_TEXT_MAX);
	const struct release_test *t = r->test;

	(void)buf_printf(&reply, "%d %s%s%s", a->code, a->enhanced, *a->enhanced == '\0' ? "" : " ",
	    a->text == NULL ? "" : a->text);
	if (t->expect != RELEASE_REFUSED || a->code < 500)
		conclude(r, FAILED, "expected %s, but Frank does not take it: %s",
		    release_outcome_name(t->expect), buf_str(&reply));
	else if (t->code != NULL && !has_code(buf_str(&reply), t->code))
		conclude(r, FAILED, "refused, but not with %s: %s", t->code, buf_str(&reply));
	else if (t->verdict != NULL)
		conclude(r, FAILED, "refused by Frank itself, which is no verdict %s: %s",
		    t->verdict, buf_str(&reply));
}

static enum release_outcome
outcome_of(const json_t *recipient)
{
	static const struct {
		const char *state;
		enum release_outcome outcome;
	} states[] = {{"captured", RELEASE_CAPTURED}, {"delivered", RELEASE_DELIVERED},
	    {"deferred", RELEASE_DEFERRED}, {"held", RELEASE_HELD}, {"bounced", RELEASE_REFUSED},
	    {"failed", RELEASE_REFUSED}};
	const char *state = cli_text(recipient, "state");

	for (size_t i = 0; state != NULL && i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i].state, state) == 0)
			return states[i].outcome;
	return RELEASE_ANY;
}

/* Does it stay so? */
static bool
is_final(enum release_outcome o)
{
	return o == RELEASE_CAPTURED || o == RELEASE_DELIVERED || o == RELEASE_REFUSED;
}

/* What keeps a recipient from being as it should: NULL: nothing. *ret_final: waiting does not help. */
static const char *
fault_of(const struct release_test *t, const json_t *recipient, bool *ret_final)
{
	enum release_outcome o = outcome_of(recipient);
	const char *cause = cli_text(recipient, "cause"), *reply = cli_text(recipient, "reply");

	*ret_final = is_final(o);
	if (t->expect != RELEASE_ANY && o != t->expect)
		return "it is not";
	if (t->code != NULL && (reply == NULL || !has_code(reply, t->code)))
		return "the reply has another code";
	if (t->verdict != NULL && (cause == NULL || strcmp(cause, t->verdict) != 0))
		return "the verdict is another one";
	return NULL;
}

static void
describe(const struct release_test *t, const json_t *recipient, const char *fault, struct buf *out)
{
	const char *reply = cli_text(recipient, "reply"), *cause = cli_text(recipient, "cause");

	(void)buf_printf(out, "expected %s%s%s%s%s", release_outcome_name(t->expect),
	    t->code == NULL ? "" : " with ", t->code == NULL ? "" : t->code,
	    t->verdict == NULL ? "" : ", verdict ", t->verdict == NULL ? "" : t->verdict);
	(void)buf_printf(out, ": %s: %s is %s%s%s%s%s", fault, cli_text(recipient, "recipient"),
	    cli_text(recipient, "state"), cause == NULL ? "" : ", verdict ",
	    cause == NULL ? "" : cause, reply == NULL ? "" : ": ", reply == NULL ? "" : reply);
}

/* True where nothing more is to be waited for: it is as expected, or never will be. */
static bool
judge_message(struct trial *r, const json_t *message)
{
	const json_t *list = json_object_get(message, "recipients"), *p;
	bool over = true, final;
	size_t i;

	r->result->result = PASSED;
	buf_clear(&r->result->message);
	json_array_foreach(list, i, p)
	{
		const char *fault = fault_of(r->test, p, &final);
		CLEANUP_BUF struct buf text = BUF_INIT(MESSAGE_TEXT_MAX);

		if (fault == NULL)
			continue;
		describe(r->test, p, fault, &text);
		conclude(r, FAILED, "%s", buf_str(&text));
		if (final)
			return true;
		over = false;
	}
	return over;
}

static int
take_row(void *arg, const struct message *m)
{
	json_t **message = arg;

	if (message_type(m) == M_ROW_MESSAGE)
		return verb_queue_row(m, message);
	return message_type(m) == M_ROW_RECIPIENT && *message != NULL
		   ? verb_queue_recipient(m, *message)
		   : EX_OK;
}

/* The message as it is now: NULL where there is none any more. */
static json_t *
look(const struct trial *r)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m = message_new(M_QUEUE_SHOW);
	json_t *message = NULL;

	message_put_str(m, F_QUEUE_ID, r->result->id);
	(void)link_ask(r->cli, ROLE_QUEUE, QUEUE_PATIENCE, m, take_row, &message, &done);
	return message;
}

/* What is captured has to match. */
static void
match(struct trial *r, const json_t *message)
{
	CLEANUP_BUF struct buf content = BUF_INIT(CONTENT_MAX), text = BUF_INIT(MESSAGE_TEXT_MAX);
	struct captured c = {.cli = r->cli, .follow = LINK_INIT, .content = LINK_INIT};
	const struct conditions *k = &r->test->match;
	unsigned missed;

	if (captured_content(&c, r->result->id, &content) != EX_OK) {
		conclude(r, NOT_RUN, "%s cannot be read", r->result->id);
	} else {
		missed = conditions_missed(k, message, buf_str(&content), content.len);
		for (size_t i = 0; i < k->count; i++)
			if ((missed >> i & 1) != 0)
				(void)buf_printf(
				    &text, "%s%s", text.len > 0 ? ", " : "", conditions_text(k, i));
		if (missed != 0)
			conclude(
			    r, FAILED, "captured, but not as it should be: %s", buf_str(&text));
	}
	captured_close(&c);
}

/* Milliseconds until the test's time is over. */
static uint64_t
time_left(const struct trial *r)
{
	uint64_t now = link_clock();

	return now < r->end ? r->end - now : 0;
}

/* What is delivered has to arrive at the sandbox as it should be. */
static void
await_arrival(struct trial *r)
{
	const struct inbox_ask ask = {
	    .since = r->mark, .conditions = &r->test->match, .count = 1, .timeout = time_left(r)};
	const char *reason;
	json_t *answer;

	if (inbox_client_wait(r->inbox, &ask, &answer) != EX_OK) {
		conclude(r, NOT_RUN, "the sandbox cannot be asked what arrived");
		return;
	}
	reason = cli_text(answer, "reason");
	if (!json_is_true(json_object_get(answer, "found")))
		conclude(r, FAILED, "it did not arrive at the sandbox as it should be: %s",
		    reason == NULL ? "" : reason);
	json_decref(answer);
}

static void
follow(struct trial *r)
{
	unsigned pause = PAUSE_FIRST_MS;
	json_t *message;

	for (;;) {
		bool over;

		message = look(r);
		if (message == NULL) {
			conclude(r, NOT_RUN,
			    "%s is gone from the queue: what became of it is not known "
			    "(keep-transcripts keeps it)",
			    r->result->id);
			return;
		}
		over = judge_message(r, message) || link_clock() >= r->end;
		if (over && r->result->result == PASSED && r->test->match.count > 0) {
			if (r->test->expect == RELEASE_DELIVERED)
				await_arrival(r);
			else
				match(r, message);
		}
		json_decref(message);
		if (over)
			return;
		(void)poll(NULL, 0, (int)pause);
		pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
	}
}

/* ---- what the webhook got ---- */

struct received {
	unsigned got, waiting;
};

static int
count_received(void *arg, const struct message *m)
{
	struct received *x = arg;

	if (message_type(m) != M_ROW_RECEIVED)
		return EX_OK;
	if (strcmp(message_str(m, F_STATE), "received") == 0)
		x->got++;
	else
		x->waiting++;
	return EX_OK;
}

/* The webhook has to get what it takes of the message's events. */
static void
await_webhook(struct trial *r)
{
	struct received x;
	unsigned pause = PAUSE_FIRST_MS;

	do {
		CLEANUP_MESSAGE struct message *m = message_new(M_RECEIVED);

		x = (struct received){0};
		message_put_str(m, F_NAME, r->test->webhook);
		message_put_str(m, F_QUEUE_ID, r->result->id);
		if (link_ask(r->cli, ROLE_QUEUE, QUEUE_PATIENCE, TAKE_PTR(m), count_received, &x,
			NULL) != EX_OK) {
			conclude(r, NOT_RUN, "webhook %s cannot be asked about", r->test->webhook);
			return;
		}
		if (x.got > 0 && x.waiting == 0)
			return;
		(void)poll(NULL, 0, (int)pause);
		pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
	} while (time_left(r) > 0);
	conclude(r, FAILED,
	    x.waiting > 0 ? "webhook %s has not got all of it"
			  : "webhook %s takes no event of it (its events name none)",
	    r->test->webhook);
}

static void
run_message(struct trial *r)
{
	struct hand_in_answer answer = {0};

	if (send_message(r, &answer)) {
		(void)snprintf(r->result->id, sizeof(r->result->id), "%s", answer.id);
		if (*answer.id == '\0')
			judge_refusal(r, &answer);
		else
			follow(r);
		if (r->result->result == PASSED && r->test->webhook != NULL) {
			if (*answer.id == '\0')
				conclude(r, FAILED,
				    "no message was taken, so webhook %s gets nothing",
				    r->test->webhook);
			else
				await_webhook(r);
		}
	}
	hand_in_answer_clear(&answer);
}

/* ---- a program that sends ---- */

/* Waits for the child: its status as of wait(2), or -ETIMEDOUT after killing it. */
static int
await_child(pid_t pid, uint64_t end)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (link_clock() >= end) {
			(void)kill(-pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			return -ETIMEDOUT;
		}
		(void)poll(NULL, 0, PAUSE_FIRST_MS);
	}
	return status;
}

/* Its output goes to our standard error: standard output has the results. */
static bool
run_program(struct trial *r)
{
	char *argv[RELEASE_LIST_MAX + 1] = {NULL};
	pid_t pid;
	int status;

	for (size_t i = 0; i < r->test->run.count; i++)
		argv[i] = r->test->run.items[i];
	if (argv[0] == NULL)
		return true; /* no program is given */
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
			(void)execvp(argv[0], argv);
		_exit(127);
	}
	status = pid < 0 ? -errno : await_child(pid, r->end);
	if (status == -ETIMEDOUT)
		conclude(r, FAILED, "%s did not end in its time", argv[0]);
	else if (status < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
		conclude(r, NOT_RUN, "%s cannot be run", argv[0]);
	else if (status != 0)
		conclude(r, FAILED, "%s ended with %s %d", argv[0],
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return status == 0;
}

/* Is it what the program was to send? */
static int
look_at(struct trial *r, struct captured *c, const json_t *row, unsigned *arrived, bool *ret)
{
	CLEANUP_BUF struct buf content = BUF_INIT(CONTENT_MAX);
	int status = captured_content(c, cli_text(row, "id"), &content);

	++*arrived;
	*ret = status == EX_OK &&
	       conditions_missed(&r->test->match, row, buf_str(&content), content.len) == 0;
	if (*ret)
		(void)snprintf(r->result->id, sizeof(r->result->id), "%s", cli_text(row, "id"));
	return status;
}

static void
run_and_wait(struct trial *r)
{
	struct captured c = {.follow = LINK_INIT, .content = LINK_INIT};
	unsigned arrived = 0;
	bool found = false;
	int status = EX_OK;

	if (!run_program(r))
		return;
	if (r->test->expect == RELEASE_DELIVERED) {
		await_arrival(r);
		return;
	}
	status = captured_open(&c, r->cli, r->mark, r->end);
	while (status == EX_OK && !found) {
		json_t *row;

		status = captured_next(&c, r->end, &row);
		if (row == NULL)
			break;
		status = look_at(r, &c, row, &arrived, &found);
		json_decref(row);
	}
	captured_close(&c);
	if (status != EX_OK)
		conclude(r, NOT_RUN, "captured mail cannot be asked for");
	else if (!found)
		conclude(r, FAILED, "%u captured, and none had all that was asked for", arrived);
}

/* ---- all of them ---- */

/* What comes from now on is of this test. */
static bool
take_mark(struct trial *r)
{
	bool delivered = r->test->expect == RELEASE_DELIVERED;
	int status = EX_OK;

	if (delivered && (r->test->match.count > 0 || r->test->run.count > 0)) {
		if (r->inbox == NULL) {
			conclude(r, NOT_RUN,
			    "what is delivered can be looked at in a sandbox alone: --api");
			return false;
		}
		status = inbox_client_mark(r->inbox, &r->mark);
	} else if (r->test->run.count > 0) {
		status = captured_mark(r->cli, &r->mark);
	}
	if (status != EX_OK)
		conclude(r, NOT_RUN, "%s cannot be asked for a mark",
		    delivered ? "the sandbox" : "frankd");
	return status == EX_OK;
}

static void
run_test(const struct cli *cli, const struct inbox_client *inbox, const char *path,
    const struct release_test *t, struct result *ret)
{
	uint64_t begin = link_clock();
	struct trial r = {.cli = cli,
	    .inbox = inbox,
	    .path = path,
	    .test = t,
	    .result = ret,
	    .end = begin + (uint64_t)t->timeout * 1000};

	*ret = (struct result){.test = t, .message = BUF_INIT(MESSAGE_TEXT_MAX)};
	if (take_mark(&r)) {
		if (t->run.count > 0)
			run_and_wait(&r);
		else
			run_message(&r);
	}
	ret->milliseconds = link_clock() - begin;
}

static void
print_result(const struct cli *cli, const struct result *x)
{
	cli_put(cli, x->result == PASSED ? COLOUR_GOOD : COLOUR_BAD,
	    x->result == PASSED   ? "ok"
	    : x->result == FAILED ? "FAIL"
				  : "ERROR",
	    6);
	(void)printf("%4u.%02u s  ", (unsigned)(x->milliseconds / 1000),
	    (unsigned)(x->milliseconds % 1000 / 10));
	cli_put(cli, COLOUR_NONE, x->test->name, 0);
	(void)putchar('\n');
	cli_put_field(cli, 6, "", 0, COLOUR_NONE, buf_str(&x->message));
	(void)fflush(stdout);
}

static json_t *
json_of(const struct result *x)
{
	static const char *const words[] = {"passed", "failed", "error"};

	return json_pack("{s:s, s:s, s:i, s:f, s:s*, s:s*}", "name", x->test->name, "result",
	    words[x->result], "line", (int)x->test->line, "seconds", (double)x->milliseconds / 1000,
	    "id", *x->id == '\0' ? NULL : x->id, "message",
	    x->result == PASSED ? NULL : buf_str(&x->message));
}

static int
write_junit(const struct cli *cli, const char *to, const char *path, int64_t when,
    const struct result *results, size_t count)
{
	CLEANUP_FREE struct junit_case *cases = calloc(count + 1, sizeof(*cases));
	CLEANUP_BUF struct buf text = BUF_INIT(JUNIT_MAX);
	CLEANUP_CLOSE int fd = -1;
	const char *slash = strrchr(path, '/');
	int r = cases == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < count && r == 0; i++)
		cases[i] = (struct junit_case){.name = results[i].test->name,
		    .file = path,
		    .line = results[i].test->line,
		    .milliseconds = results[i].milliseconds,
		    .result = results[i].result == PASSED   ? JUNIT_PASSED
			      : results[i].result == FAILED ? JUNIT_FAILED
							    : JUNIT_ERROR,
		    .message = buf_str(&results[i].message),
		    .output = *results[i].id == '\0' ? NULL : results[i].id};
	if (r == 0)
		r = junit_write(&text, slash == NULL ? path : slash + 1, when, cases, count);
	if (r == 0) {
		fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		r = fd < 0 ? -errno : io_write_all(fd, buf_str(&text), text.len);
	}
	return r == 0 ? EX_OK : cli_fail(cli, EX_CANTCREAT, NULL, "%s: %s", to, strerror(-r));
}

/* Prints all and returns the exit status. */
static int
report(const struct cli *cli, const struct arguments *args, int64_t when,
    const struct result *results, size_t count)
{
	const char *path = args->words[2], *junit = args->values[OPTION_JUNIT];
	json_t *list = json_array();
	size_t passed = 0;
	int status = EX_OK;

	for (size_t i = 0; i < count; i++) {
		passed += results[i].result == PASSED;
		(void)json_array_append_new(list, json_of(&results[i]));
	}
	if (!cli->json)
		(void)printf("%zu passed, %zu failed\n", passed, count - passed);
	if (junit != NULL)
		status = write_junit(cli, junit, path, when, results, count);
	if (status == EX_OK)
		status = passed == count ? 0 : 1;
	if (!cli->json) {
		json_decref(list);
		return status;
	}
	return cli_print_json(json_pack("{s:o, s:I, s:I}", "tests", list, "passed",
				  (json_int_t)passed, "failed", (json_int_t)(count - passed)),
	    status);
}

static int
read_file(const struct cli *cli, const char *path, struct release_file *ret)
{
	CLEANUP_BUF struct buf text = BUF_INIT(FILE_MAX), errors = BUF_INIT(FILE_MAX);
	int r = read_beside("", path, &text);

	if (r < 0)
		return cli_fail(cli, EX_USAGE, NULL, "%s: %s", path, strerror(-r));
	if (release_file_parse(ret, path, buf_str(&text), text.len, &errors))
		return EX_OK;
	if (cli->json)
		return cli_fail(cli, EX_USAGE, NULL, "%s", buf_str(&errors));
	for (char *at = errors.data; at != NULL && *at != '\0';) {
		char *line = strsep(&at, "\n");

		cli_note(line);
	}
	return EX_USAGE;
}

int
verb_test_release(const struct cli *cli, const struct arguments *args)
{
	struct release_file file = {0};
	const char *api = args->values[OPTION_API];
	struct inbox_client inbox;
	struct cli inner = *cli;
	CLEANUP_FREE struct result *results = NULL;
	int64_t when = (int64_t)time(NULL);
	int status = read_file(cli, args->words[2], &file);

	inner.json = false;
	if (status == EX_OK && api != NULL)
		status = inbox_client_init(&inbox, cli, api);
	if (status == EX_OK) {
		results = calloc(file.count + 1, sizeof(*results));
		if (results == NULL)
			status = cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	}
	for (size_t i = 0; results != NULL && i < file.count; i++) {
		run_test(&inner, api == NULL ? NULL : &inbox, args->words[2], &file.tests[i],
		    &results[i]);
		if (!cli->json)
			print_result(cli, &results[i]);
	}
	if (results != NULL) {
		status = report(cli, args, when, results, file.count);
		for (size_t i = 0; i < file.count; i++)
			buf_free(&results[i].message);
	}
	release_file_free(&file);
	return status;
}
