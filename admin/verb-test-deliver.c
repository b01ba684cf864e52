/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-test-deliver.c: `frank test deliver`: sends a message with a word of its own from one account to a seed, the mailbox of another, and
 * has frank-deliverability find it there and say what became of it.
 *
 *     the seed's address, server and token ─▶ hand in ─▶ delivered? ─▶ frank-deliverability ─▶ verdict, history
 *
 * The seed's credential is that of an account block of its own, which sends nothing: reading a mailbox takes rights that no
 * sending account should have. It goes to the program through a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "admin/hand-in.h"
#include "admin/program.h"
#include "admin/table.h"
#include "admin/verbs.h"
#include "base/codec.h"
#include "base/io.h"
#include "broker/message/own-mail.h"
#include "config.h"

enum {
	TOKEN_PATIENCE = 60,
	WAIT_SECONDS = 300,
	WAIT_MAX = 3600,
	MAIL_MAX = 16 * 1024,
	ANSWER_MAX = 4 * 1024 * 1024,
	PASSWORD_MAX = 1024,
	HISTORY_MAX = 1024 * 1024,
	HISTORY_SHOWN = 20,
	TEXT_MAX = 512
};

extern char **environ;

struct deliver_test {
	const struct cli *cli;
	const struct arguments *args;
	json_t *account, *seed; /* as frank status shows them */
	const char *from, *to;
	struct secret *secret; /* of the seed: a token, or a password */
	bool is_password;
	char probe[33], subject[TEXT_MAX], id[TEXT_MAX], url[TEXT_MAX];
	time_t sent;
	json_t *message, *answer;
};

/* ---- the seed ---- */

static const struct {
	const char *name, *imap;
} servers[] = {
#define FAMILY(...)
#define PRESET(                                                                          \
    name, family, submit, domains, grants, scopes, registration, ends, graph, imap, ...) \
	{name, imap},
#include "contrib/providers/facts.def"
#undef FAMILY
#undef PRESET
};

/* "imaps://HOST:PORT": of --imap, or the one that the provider is known to have. */
static int
find_server(struct deliver_test *d)
{
	const char *server = d->args->values[OPTION_IMAP],
		   *provider = cli_text(d->seed, "provider");

	for (size_t i = 0; server == NULL && provider != NULL && i < ARRAY_SIZE(servers); i++)
		if (strcmp(servers[i].name, provider) == 0)
			server = servers[i].imap;
	if (server == NULL)
		return cli_fail(d->cli, EX_USAGE, "name it with --imap HOST:PORT",
		    "%s: no IMAP server is known for the provider %s", cli_text(d->seed, "account"),
		    provider == NULL ? "(none)" : provider);
	if (!hand_in_is_plain(server) || strpbrk(server, "/@?#") != NULL)
		return cli_fail(
		    d->cli, EX_USAGE, NULL, "--imap is HOST or HOST:PORT, not %s", server);
	(void)snprintf(d->url, sizeof(d->url), "imaps://%s%s", server,
	    strrchr(server, ':') > strrchr(server, ']') ? "" : ":993");
	return EX_OK;
}

static int
read_password(struct deliver_test *d, const char *path)
{
	CLEANUP_BUF struct buf text = BUF_INIT_WIPE(PASSWORD_MAX);
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	int r = fd < 0 ? -errno : buf_reserve(&text, PASSWORD_MAX - 1);

	if (r == 0) {
		n = read(fd, text.data, PASSWORD_MAX - 1);
		r = n < 0 ? -errno : 0;
	}
	if (r < 0)
		return cli_fail(d->cli, EX_NOINPUT, NULL, "%s: %s", path, strerror(-r));
	text.data[n] = '\0';
	text.data[strcspn(text.data, "\r\n")] = '\0';
	d->is_password = true;
	d->secret = secret_new(text.data, strlen(text.data));
	return d->secret == NULL ? cli_fail(d->cli, EX_OSERR, NULL, "memory ran out") : EX_OK;
}

static int
get_secret(struct deliver_test *d)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	CLEANUP_MESSAGE struct message *answer = NULL;
	struct message *m;
	int status;

	if (arguments_has(d->args, OPTION_PASSWORD_FILE))
		return read_password(d, d->args->values[OPTION_PASSWORD_FILE]);
	status = link_open(&l, d->cli, ROLE_KEEPER, TOKEN_PATIENCE);
	if (status != EX_OK)
		return status;
	m = message_new(M_TOKEN_GET);
	message_put_str(m, F_ACCOUNT, cli_text(d->seed, "account"));
	status = link_exchange(&l, m, M_TOKEN, "token", &answer);
	if (status != EX_OK)
		return status;
	d->secret = message_secret(answer, F_SECRET);
	if (d->secret == NULL || !secret_is_printable(d->secret, false))
		return cli_fail(d->cli, EX_PROTOCOL, NULL, "frankd gave no usable token");
	return EX_OK;
}

/* ---- the message ---- */

static int
name_it(struct deliver_test *d)
{
	CLEANUP_BUF struct buf hex = BUF_INIT(sizeof(d->probe)), id = BUF_INIT(TEXT_MAX);
	unsigned char random[(sizeof(d->probe) - 1) / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random) ||
	    hex_encode(&hex, random, sizeof(random)) < 0)
		return cli_fail(d->cli, EX_OSERR, NULL, "there are no random numbers");
	(void)snprintf(d->probe, sizeof(d->probe), "%s", buf_str(&hex));
	(void)snprintf(d->subject, sizeof(d->subject), "Deliverability test %s", d->probe);
	if (own_mail_id(&id, d->probe, d->from, "localhost") < 0)
		return cli_fail(d->cli, EX_OSERR, NULL, "memory ran out");
	(void)snprintf(d->id, sizeof(d->id), "%s", buf_str(&id));
	d->sent = time(NULL);
	return EX_OK;
}

static int
send_it(struct deliver_test *d)
{
	CLEANUP_BUF struct buf content = BUF_INIT(MAIL_MAX);
	char extra[TEXT_MAX];
	struct hand_in_answer answer = {0};
	int status = name_it(d);

	if (status != EX_OK)
		return status;
	(void)snprintf(extra, sizeof(extra), "X-Frank-Probe: %s\r\n", d->probe);
	(void)own_mail_header(&content, &(struct own_mail){.name = "",
					    .from = d->from,
					    .to = &d->to,
					    .to_count = 1,
					    .subject = d->subject,
					    .id = d->id,
					    .extra = extra,
					    .type = "text/plain; charset=us-ascii"});
	(void)buf_append_str(&content, "This message was sent by `frank test deliver`, which looks "
				       "for it in this mailbox, and "
				       "removes it.\r\n");
	status = hand_in(d->cli,
	    &(struct hand_in){.socket = d->cli->submit,
		.account = cli_text(d->account, "account"),
		.sender = d->from,
		.recipients = &d->to,
		.count = 1,
		.content = buf_str(&content),
		.len = content.len},
	    &answer);
	if (status == EX_OK && *answer.id == '\0')
		status = cli_fail(d->cli, answer.code >= 500 ? EX_NOPERM : EX_TEMPFAIL,
		    "frank service list shows which service is yours",
		    "frankd did not take the message: %d %s %s", answer.code, answer.enhanced,
		    answer.text == NULL ? "" : answer.text);
	if (status == EX_OK)
		status = verb_test_follow(d->cli, answer.id, &d->message);
	hand_in_answer_clear(&answer);
	return status;
}

static bool
was_delivered(const json_t *message)
{
	const char *state =
	    cli_text(json_array_get(json_object_get(message, "recipients"), 0), "state");

	return state != NULL && strcmp(state, "delivered") == 0;
}

/* ---- frank-deliverability ---- */

static int
spawn(const struct deliver_test *d, int ends[2], pid_t *pid)
{
	char path[PATH_MAX];
	char *argv[] = {path, NULL};
	int in[2], out[2], r;
	posix_spawn_file_actions_t actions;

	program_find(path, "frank-deliverability", "deliverability", FRANK_LIBEXEC_DIR);
	if (pipe2(in, O_CLOEXEC) < 0)
		return cli_fail(d->cli, EX_OSERR, NULL, "there is no pipe: %s", strerror(errno));
	if (pipe2(out, O_CLOEXEC) < 0) {
		(void)close(in[0]);
		(void)close(in[1]);
		return cli_fail(d->cli, EX_OSERR, NULL, "there is no pipe: %s", strerror(errno));
	}
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(pid, path, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(in[0]);
	(void)close(out[1]);
	ends[0] = out[0];
	ends[1] = in[1];
	if (r != 0) {
		(void)close(ends[0]);
		(void)close(ends[1]);
		return cli_fail(d->cli, EX_UNAVAILABLE, NULL, "%s: %s", path, strerror(r));
	}
	return EX_OK;
}

/* The secret is written by itself, on the first line: nothing else holds it. */
static int
write_request(const struct deliver_test *d, int fd, uint64_t seconds)
{
	const char *user = cli_text(d->seed, "auth_user");
	json_t *request = json_pack("{s:s, s:s, s:b, s:s?, s:s, s:I, s:s, s:s, s:s, s:I}", "url",
	    d->url, "user", user == NULL ? d->to : user, "password", (int)d->is_password, "ca_file",
	    d->args->values[OPTION_CA_FILE], "probe", d->probe, "timeout", (json_int_t)seconds,
	    "from", d->from, "subject", d->subject, "message_id", d->id, "time",
	    (json_int_t)d->sent);
	char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
	int r = text == NULL ? -ENOMEM
			     : io_write_all(fd, (const char *)secret_bytes(d->secret),
				   secret_len(d->secret));

	if (r == 0)
		r = io_write_all(fd, "\n", 1);
	if (r == 0)
		r = io_write_all(fd, text, strlen(text));
	free(text);
	json_decref(request);
	return r;
}

static json_t *
read_answer(int fd)
{
	CLEANUP_BUF struct buf text = BUF_INIT(ANSWER_MAX);

	for (;;) {
		ssize_t n;

		if (buf_reserve(&text, 4096) < 0)
			return NULL;
		n = read(fd, text.data + text.len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return json_loadb(buf_str(&text), text.len, 0, NULL);
		text.len += (size_t)n;
	}
}

static int
look_for_it(struct deliver_test *d, uint64_t seconds)
{
	int ends[2] = {-1, -1}, status, result = 0;
	pid_t pid = -1;

	status = spawn(d, ends, &pid);
	if (status != EX_OK)
		return status;
	(void)signal(SIGPIPE, SIG_IGN); /* it may end before it has read all */
	if (write_request(d, ends[1], seconds) < 0)
		status = EX_IOERR;
	(void)close(ends[1]);
	d->answer = read_answer(ends[0]);
	(void)close(ends[0]);
	while (waitpid(pid, &result, 0) < 0 && errno == EINTR)
		continue;
	if (cli_text(d->answer, "error") != NULL)
		return cli_fail(d->cli, EX_UNAVAILABLE,
		    "frank check explains the seed's account; reading mail takes a scope, or a "
		    "password, "
		    "for IMAP",
		    "%s", cli_text(d->answer, "error"));
	if (status != EX_OK || d->answer == NULL || !WIFEXITED(result) || WEXITSTATUS(result) != 0)
		return cli_fail(d->cli, EX_SOFTWARE, NULL, "frank-deliverability gave no answer");
	return EX_OK;
}

/* ---- history ---- */

static int
history_path(const struct cli *cli, char ret[PATH_MAX], bool make)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char folder[PATH_MAX];

	if (state != NULL && *state == '/')
		(void)snprintf(folder, sizeof(folder), "%s/frank", state);
	else
		(void)snprintf(
		    folder, sizeof(folder), "%s/.local/state/frank", home == NULL ? "" : home);
	for (char *slash = folder + 1; make && (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(folder, 0700);
		*slash = '/';
	}
	if (make && mkdir(folder, 0700) < 0 && errno != EEXIST)
		return cli_fail(cli, EX_CANTCREAT, NULL, "%s: %s", folder, strerror(errno));
	if (snprintf(ret, PATH_MAX, "%s/deliveries.jsonl", folder) >= PATH_MAX)
		return cli_fail(cli, EX_CANTCREAT, NULL, "the path of the history is too long");
	return EX_OK;
}

/* Adds a line. A file that is large enough is begun anew, and the old one kept beside it. */
static int
keep_history(const struct cli *cli, const json_t *row)
{
	char path[PATH_MAX], old[PATH_MAX + 4];
	char *text = json_dumps(row, JSON_COMPACT);
	struct stat st;
	CLEANUP_CLOSE int fd = -1;
	int status = text == NULL ? EX_OSERR : history_path(cli, path, true);

	if (status == EX_OK) {
		(void)snprintf(old, sizeof(old), "%s.1", path);
		if (stat(path, &st) == 0 && st.st_size > HISTORY_MAX)
			(void)rename(path, old);
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || io_write_all(fd, text, strlen(text)) < 0 ||
		    io_write_all(fd, "\n", 1) < 0)
			status = cli_fail(cli, EX_IOERR, NULL, "%s: %s", path, strerror(errno));
	}
	free(text);
	return status;
}

static const char *
row_time(const json_t *row, char *scratch, size_t size)
{
	time_t at = (time_t)cli_number(row, "time");
	struct tm tm;

	return localtime_r(&at, &tm) != NULL && strftime(scratch, size, "%Y-%m-%d %H:%M", &tm) > 0
		   ? scratch
		   : NULL;
}

static const char *
row_seconds(const json_t *row, char *scratch, size_t size)
{
	(void)snprintf(scratch, size, "%lld s", (long long)cli_number(row, "seconds"));
	return scratch;
}

static void
print_history(const struct cli *cli, const json_t *rows)
{
	static const struct table_column columns[] = {
	    {"TIME", NULL, CELL_DIM, 18, row_time},
	    {"FROM", "account", CELL_BOLD, 18, NULL},
	    {"TO", "seed", CELL_BOLD, 18, NULL},
	    {"VERDICT", "verdict", CELL_KIND, 10, NULL},
	    {"FOLDER", "folder", CELL_DIM, 16, NULL},
	    {"AFTER", NULL, CELL_DIM, 0, row_seconds},
	};
	json_t *shown;
	size_t count = json_array_size(rows),
	       first = count > HISTORY_SHOWN ? count - HISTORY_SHOWN : 0;

	if (count == 0) {
		(void)puts("There is no run yet: frank test deliver ACCOUNT --to SEED");
		return;
	}
	shown = json_array();
	for (size_t i = first; i < count; i++)
		(void)json_array_append(shown, json_array_get(rows, i));
	table_print(cli, shown, columns, ARRAY_SIZE(columns), NULL);
	json_decref(shown);
}

static int
show_history(const struct cli *cli)
{
	char path[PATH_MAX];
	int status = history_path(cli, path, false);
	json_t *rows = json_array(), *row;
	FILE *f = status == EX_OK ? fopen(path, "re") : NULL;
	char *line = NULL;
	size_t size = 0;

	/* a line that a full disk cut short is passed over */
	while (f != NULL && getline(&line, &size, f) > 0)
		if ((row = json_loads(line, 0, NULL)) != NULL)
			(void)json_array_append_new(rows, row);
	free(line);
	if (f != NULL)
		(void)fclose(f);
	if (status == EX_OK && cli->json)
		return cli_print_json(json_pack("{s:o}", "runs", rows), EX_OK);
	if (status == EX_OK)
		print_history(cli, rows);
	json_decref(rows);
	return status;
}

/* ---- what it says ---- */

static void
print_authentication(const struct cli *cli, const json_t *a)
{
	const json_t *spf = json_object_get(a, "spf"), *dmarc = json_object_get(a, "dmarc"), *one;
	char line[TEXT_MAX];
	size_t i;

	if (cli_text(a, "host") == NULL)
		return;
	cli_put_field(cli, 4, "judged by", 10, COLOUR_NONE, cli_text(a, "host"));
	if (json_is_object(spf)) {
		(void)snprintf(line, sizeof(line), "%s, %s%s", cli_text(spf, "result"),
		    cli_text(spf, "domain"),
		    json_is_true(json_object_get(spf, "aligned")) ? ""
								  : " (another domain than From)");
		cli_put_field(cli, 4, "SPF:  ", 8, COLOUR_NONE, line);
	}
	json_array_foreach(json_object_get(a, "dkim"), i, one)
	{
		(void)snprintf(line, sizeof(line), "%s, %s%s", cli_text(one, "result"),
		    cli_text(one, "domain"),
		    json_is_true(json_object_get(one, "aligned")) ? ""
								  : " (another domain than From)");
		cli_put_field(cli, 4, "DKIM: ", 8, COLOUR_NONE, line);
	}
	(void)snprintf(line, sizeof(line), "%s by alignment; the host says %s",
	    cli_text(dmarc, "computed"),
	    cli_text(dmarc, "result") == NULL ? "nothing" : cli_text(dmarc, "result"));
	cli_put_field(cli, 4, "DMARC:", 8, COLOUR_NONE, line);
}

static void
print_way(const struct cli *cli, const json_t *arrival)
{
	const json_t *one;
	char label[TEXT_MAX];
	size_t i;

	json_array_foreach(json_object_get(arrival, "hops"), i, one)
	{
		(void)snprintf(label, sizeof(label), "%+6lld s ",
		    (long long)json_integer_value(json_object_get(one, "seconds")));
		cli_put_field(cli, 4, label, 10, COLOUR_NONE, cli_text(one, "by"));
	}
	json_array_foreach(json_object_get(arrival, "changed"), i, one)
	{
		(void)snprintf(label, sizeof(label), "%s was changed:", cli_text(one, "field"));
		cli_put_field(cli, 4, label, 10, COLOUR_NONE, cli_text(one, "received"));
	}
}

static int
conclude(struct deliver_test *d)
{
	const json_t *verdict = json_object_get(d->answer, "verdict"),
		     *arrival = json_object_get(d->answer, "arrival");
	const char *name = cli_text(verdict, "verdict"),
		   *folder = cli_text(json_object_get(d->answer, "found"), "folder");
	int status = name != NULL && strcmp(name, "good") == 0 ? EX_OK : 1;
	char line[2 * TEXT_MAX];
	json_t *row = json_pack("{s:I, s:s, s:s, s:s?, s:s?, s:I}", "time", (json_int_t)d->sent,
	    "account", cli_text(d->account, "account"), "seed", cli_text(d->seed, "account"),
	    "verdict", name, "folder", folder, "seconds",
	    json_integer_value(json_object_get(d->answer, "seconds")));

	if (row != NULL)
		(void)keep_history(d->cli, row); /* said; the answer counts */
	json_decref(row);
	if (d->cli->json)
		return cli_print_json(json_incref(d->answer), status);
	(void)snprintf(
	    line, sizeof(line), "%s to %s: %s", d->from, d->to, cli_text(verdict, "text"));
	cli_put_lines(d->cli, line, 0);
	(void)snprintf(line, sizeof(line), "folder %s, after %lld s", folder,
	    (long long)json_integer_value(json_object_get(d->answer, "seconds")));
	if (folder != NULL)
		cli_put_lines(d->cli, line, 4);
	print_authentication(d->cli, json_object_get(arrival, "authentication"));
	print_way(d->cli, arrival);
	cli_put_field(d->cli, 4, "Next:", 6, COLOUR_BOLD, cli_text(verdict, "next"));
	return status;
}

static int
run(struct deliver_test *d, uint64_t seconds)
{
	int status;

	d->from = cli_text(d->account, "mailbox");
	d->to = cli_text(d->seed, "mailbox");
	if (d->from == NULL || d->to == NULL || !hand_in_is_plain(d->from) ||
	    !hand_in_is_plain(d->to))
		return cli_fail(d->cli, EX_CONFIG, "set mailbox in its block of the configuration",
		    "%s has no mailbox",
		    cli_text(d->from == NULL ? d->account : d->seed, "account"));
	status = find_server(d);
	if (status == EX_OK)
		status = get_secret(d);
	if (status == EX_OK)
		status = send_it(d);
	if (status == EX_OK && !was_delivered(d->message)) {
		verb_queue_print(d->cli, d->message);
		status = cli_fail(d->cli, EX_TEMPFAIL, "frank transcript shows what was said",
		    "the provider has not taken the message");
	}
	if (status == EX_OK)
		status = look_for_it(d, seconds);
	return status == EX_OK ? conclude(d) : status;
}

int
verb_test_deliver(const struct cli *cli, const struct arguments *args)
{
	struct deliver_test d = {.cli = cli, .args = args};
	uint64_t seconds = WAIT_SECONDS;
	int status;

	if (arguments_has(args, OPTION_HISTORY))
		return show_history(cli);
	if (args->count < 3 || !arguments_has(args, OPTION_TO))
		return cli_fail(cli, EX_USAGE, NULL,
		    "an account and --to SEED are needed: frank test deliver ACCOUNT --to SEED");
	if (arguments_number(args, OPTION_TIMEOUT, 1, WAIT_MAX, &seconds) == -EINVAL)
		return cli_fail(cli, EX_USAGE, NULL,
		    "--timeout needs a number of seconds, at most %d", WAIT_MAX);
	status = verb_status_of_account(cli, args->words[2], &d.account);
	if (status == EX_OK)
		status = verb_status_of_account(cli, args->values[OPTION_TO], &d.seed);
	if (status == EX_OK)
		status = run(&d, seconds);
	(void)secret_free(d.secret);
	json_decref(d.account);
	json_decref(d.seed);
	json_decref(d.message);
	json_decref(d.answer);
	return status;
}
