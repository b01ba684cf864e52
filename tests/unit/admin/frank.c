/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Tests of the program frank against a frankd made of a table: a child answers at control.sock and
 * keeper.sock what queue and keeper would, every packet checked against messages.def. usage:
 * test-admin-frank FRANK
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "admin/cli.h"

static const char *frank;
static char folder[] = "/tmp/test-frank-XXXXXX";
static char out[65536], err[65536];

/* ---- the other side ---- */

static void
tell(int sock, struct message *m)
{
	(void)message_write(sock, m, -1);
	(void)message_free(m);
}

static struct message *
row(enum message_type type, const enum field *fields, const char *const *values)
{
	struct message *m = message_new(type);

	for (size_t i = 0; values[i] != NULL; i++)
		message_put_str(m, fields[i], values[i]);
	return m;
}

#define ROW(type, fields, ...) \
	row(type, (const enum field[]){fields}, (const char *const[]){__VA_ARGS__, NULL})
#define COMMA ,

static void
done(int sock, enum message_type type, const char *error, uint64_t status)
{
	struct message *m = message_new(type);

	message_put_str(m, F_ERROR, error);
	message_put_u64(m, F_EXIT, status);
	tell(sock, m);
}

static struct message *
message_row(const char *sender)
{
	struct message *m = message_new(M_ROW_MESSAGE);

	message_put_str(m, F_QUEUE_ID, "3F2A");
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_SENDER, sender);
	message_put_u64(m, F_SIZE, 2345);
	message_put_u64(m, F_TIME, 1700000000);
	message_put_str(m, F_STATE, "queued");
	message_put_str(m, F_SUBJECT, "red \x1b[31m alert");
	return m;
}

/* An account in order, one that is not, and a server without an account. */
static void
check_answer(int sock, const struct message *m)
{
	const char *account = message_str(m, F_ACCOUNT);
	bool fine = account != NULL && strcmp(account, "billing") == 0;
	struct message *v = message_new(M_ROW_VERDICT), *d = message_new(M_QUEUE_DONE);

	if (account == NULL && (message_u64(m, F_PORT, 0) != 465 ||
				   strcmp(message_str(m, F_HOST), "smtp.example.com") != 0 ||
				   strcmp(message_str(m, F_TLS), "implicit") != 0))
		_exit(9);
	tell(sock, ROW(M_ROW_CHECK, F_NAME COMMA F_STATE COMMA F_TEXT, "certificate", "ok",
		       "CN=a\nCN=b \x1b[31m"));
	message_put_str(v, F_STATE, fine ? "ok" : "fail");
	message_put_str(v, F_CAUSE, fine ? "healthy" : "grant-revoked");
	message_put_str(v, F_FIXER, fine ? "" : "mailbox-owner");
	message_put_str(v, F_RETRY, fine ? "" : "needs-authorization");
	message_put_str(v, F_TEXT, fine ? "All is well." : "Revoked.");
	message_put_str(v, F_NEXT, fine ? "Nothing." : "Sign in.");
	message_put_str(v, F_TRANSCRIPT, "S: 220 said\n");
	tell(sock, v);
	message_put_u64(d, F_EXIT, fine ? 0 : EX_NOPERM);
	tell(sock, d);
}

static void
queue_answer(int sock, const struct message *m)
{
	switch (message_type(m)) {
	case M_STATUS:
		tell(sock, ROW(M_ROW_ACCOUNT, F_ACCOUNT COMMA F_STATE COMMA F_MAILBOX, "billing",
			       "active", "billing@example.com"));
		tell(sock,
		    ROW(M_ROW_ACCOUNT, F_ACCOUNT COMMA F_STATE COMMA F_TEXT COMMA F_NEXT, "alerts",
			"needs-authorization", "Revoked.", "frank authorize alerts"));
		tell(sock, ROW(M_ROW_SERVICE, F_SERVICE COMMA F_MODE, "cron", "deliver"));
		done(sock, M_QUEUE_DONE, NULL, 0);
		break;
	case M_QUEUE_LIST:
		tell(sock, message_row(""));
		tell(sock, ROW(M_ROW_RECIPIENT, F_RCPT COMMA F_STATE COMMA F_REPLY, "a@example.org",
			       "deferred", "451 4.7.1 later"));
		tell(
		    sock, ROW(M_ROW_RECIPIENT, F_RCPT COMMA F_STATE, "b@example.org", "delivered"));
		done(sock, M_QUEUE_DONE, NULL, 0);
		break;
	case M_QUEUE_SHOW:
		if (strcmp(message_str(m, F_QUEUE_ID), "3F2A") != 0) {
			done(sock, M_QUEUE_DONE, "no such message", EX_NOUSER);
			break;
		}
		tell(sock, message_row("a@example.com"));
		tell(sock, ROW(M_ROW_RECIPIENT, F_RCPT COMMA F_STATE, "a@example.org", "deferred"));
		{
			struct message *a = message_new(M_ROW_ATTEMPT);

			message_put_u64(a, F_TIME, 1700000000);
			message_put_str(a, F_TRANSCRIPT, "> EHLO x\n< 250 ok \x1b]0;title\x07");
			tell(sock, a);
		}
		done(sock, M_QUEUE_DONE, NULL, 0);
		break;
	case M_QUEUE_ACT: {
		struct message *d = message_new(M_QUEUE_DONE);

		message_put_u64(d, F_COUNT, message_has(m, F_QUEUE_ID) ? 1 : 3);
		tell(sock, d);
		break;
	}
	case M_CHECK:
		check_answer(sock, m);
		break;
	case M_CLIENT_RELOAD:
		done(sock, M_QUEUE_DONE, "frank.conf:12: no option \"mailbx\"", EX_CONFIG);
		break;
	default:
		_exit(9);
	}
}

enum { GRANTED_MAX = 256 };
static char *granted; /* the scopes of billing's token; shared with the servers */

static void
keeper_answer(int sock, const struct message *m)
{
	size_t len;
	const uint8_t *bytes;

	switch (message_type(m)) {
	case M_KEEPER_STATUS:
		if (message_str(m, F_ACCOUNT) != NULL &&
		    strcmp(message_str(m, F_ACCOUNT), "ghost") == 0) {
			done(sock, M_KEEPER_DONE, "no such account", EX_NOUSER);
			break;
		}
		tell(sock, ROW(M_ROW_CREDENTIAL,
			       F_ACCOUNT COMMA F_STATE COMMA F_GRANT COMMA F_IDENTITY COMMA
				   F_REDIRECT_PATH COMMA F_SCOPE,
			       "billing", "active", "authorization-code", "billing@example.com",
			       "/cb", granted));
		tell(sock, ROW(M_ROW_CREDENTIAL, F_ACCOUNT COMMA F_STATE COMMA F_GRANT, "plain",
			       "active", "password"));
		done(sock, M_KEEPER_DONE, NULL, 0);
		break;
	case M_TOKEN_GET:
		if (strcmp(message_str(m, F_ACCOUNT), "billing") == 0) {
			struct message *t = message_new(M_TOKEN);

			bytes = message_has(m, F_REJECTED) ? (const uint8_t *)"new"
							   : (const uint8_t *)"old";
			message_put_bytes(t, F_SECRET, bytes, 3);
			message_put_u64(t, F_UNTIL, message_u64(m, F_MIN_VALID, 7));
			tell(sock, t);
		} else {
			done(sock, M_KEEPER_DONE, "you may not", EX_NOPERM);
		}
		break;
	case M_SECRET_SET:
		bytes = message_bytes(m, F_SECRET, &len);
		if (len == 8 && memcmp(bytes, "pass wor", 8) == 0)
			done(sock, M_KEEPER_DONE, NULL, 0);
		else
			done(sock, M_KEEPER_DONE, "another secret came", EX_DATAERR);
		break;
	case M_AUTHORIZE: {
		struct message *u = message_new(M_AUTHORIZE_URL);
		char url[512];

		(void)snprintf(url, sizeof(url), "https://login.example.com/?redirect=%s",
		    message_str(m, F_REDIRECT_URI));
		message_put_bytes(u, F_URL, url, strlen(url));
		message_put_bytes(u, F_ATTEMPT, "attempt", 7);
		tell(sock, u);
		break;
	}
	case M_AUTHORIZE_CALLBACK:
		bytes = message_bytes(m, F_CALLBACK, &len);
		if (memmem(bytes, len, "state=good", 10) == NULL)
			tell(sock, ROW(M_AUTHORIZE_IGNORED, F_TEXT, "another attempt"));
		else if (memmem(bytes, len, "error=", 6) != NULL)
			done(sock, M_KEEPER_DONE, "the provider said no", EX_NOPERM);
		else
			done(sock, M_KEEPER_DONE, NULL, 0);
		break;
	default:
		_exit(9);
	}
}

static void
serve_one(int listener, bool keeper)
{
	int sock = accept(listener, NULL, NULL);

	while (sock >= 0) {
		CLEANUP_MESSAGE struct message *m = NULL;
		const char *why;
		int fd, r = message_read(sock, &m, &fd);

		if (r <= 0)
			break;
		if (message_check(
			m, ROLE_CLIENT, keeper ? ROLE_KEEPER : ROLE_QUEUE, fd >= 0, &why) < 0)
			_exit(8);
		if (keeper)
			keeper_answer(sock, m);
		else
			queue_answer(sock, m);
	}
	close(sock);
}

static int
listen_at(const char *name, int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.60s/%s", folder, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(chmod(a.sun_path, 0666), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* submit.sock: agrees to everything but the recipient refused@. */
static void
serve_submission(int listener)
{
	int sock = accept(listener, NULL, NULL);
	FILE *in = fdopen(sock, "r");
	char line[1024];

	dprintf(sock, "220 frank ESMTP\r\n");
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		unsigned long octets;

		if (sscanf(line, "BDAT %lu LAST", &octets) == 1) {
			while (octets-- > 0)
				(void)fgetc(in);
			dprintf(sock, "250 2.0.0 queued as 3F2A\r\n");
		} else if (strstr(line, "refused@") != NULL) {
			dprintf(sock, "550 5.7.1 no service\r\n");
		} else {
			dprintf(sock, "250-2.1.0 fine\r\n250 2.1.0 indeed\r\n");
		}
	}
	if (in != NULL)
		(void)fclose(in);
}

static pid_t servers[3];

static const char *const sockets[] = {"control.sock", "keeper.sock", "submit.sock"};

static pid_t
serve(size_t which)
{
	int listener = listen_at(sockets[which], which == 2 ? SOCK_STREAM : SOCK_SEQPACKET);
	pid_t pid = fork();

	while (pid == 0) {
		if (which == 2)
			serve_submission(listener);
		else
			serve_one(listener, which == 1);
	}
	close(listener);
	return pid;
}

static int
setup(void **state)
{
	char path[128];

	if (mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
		return -1;
	granted =
	    mmap(NULL, GRANTED_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (granted == MAP_FAILED)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/control.sock", folder);
	(void)setenv("FRANK_CONTROL_SOCKET", path, 1);
	(void)unsetenv("DISPLAY");
	(void)unsetenv("WAYLAND_DISPLAY");
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		servers[i] = serve(i);
		if (servers[i] < 0)
			return -1;
	}
	return 0;
}

static int
teardown(void **state)
{
	char path[128];
	int status, bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
		(void)kill(servers[i], SIGTERM);
		(void)waitpid(servers[i], &status, 0);
		/* it ended because it was told to, not over a packet that it did not know */
		bad |= !WIFSIGNALED(status);
		(void)snprintf(path, sizeof(path), "%s/%s", folder, sockets[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
	return bad ? -1 : 0;
}

/* ---- running frank ---- */

static void
read_file(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

	ret[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		close(fd);
}

enum { NOBODY = 65534 };
static bool as_nobody; /* root's frank opens no browser */

static pid_t
spawn(const char *const *argv, const char *input)
{
	char in_path[128], out_path[128], err_path[128];
	int program;
	pid_t pid;
	FILE *f;

	(void)snprintf(in_path, sizeof(in_path), "%s/in", folder);
	(void)snprintf(out_path, sizeof(out_path), "%s/out", folder);
	(void)snprintf(err_path, sizeof(err_path), "%s/err", folder);
	f = fopen(in_path, "we");
	assert_non_null(f);
	assert_true(fputs(input == NULL ? "" : input, f) >= 0);
	assert_int_equal(fclose(f), 0);
	pid = fork();
	if (pid == 0) {
		if (freopen(in_path, "r", stdin) == NULL ||
		    freopen(out_path, "w", stdout) == NULL ||
		    freopen(err_path, "w", stderr) == NULL ||
		    (program = open(frank, O_RDONLY)) < 0 ||
		    (as_nobody && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)))
			_exit(126);
		/* nobody need not be able to reach the folder that it was built in */
		(void)fexecve(program, (char *const *)argv, environ);
		_exit(127);
	}
	return pid;
}

static int
finish(pid_t pid)
{
	char path[128];
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)snprintf(path, sizeof(path), "%s/out", folder);
	read_file(path, out, sizeof(out));
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/err", folder);
	read_file(path, err, sizeof(err));
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/in", folder);
	(void)unlink(path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define RUN(input, ...) finish(spawn((const char *const[]){"frank", __VA_ARGS__, NULL}, input))

/* ---- tests ---- */

static void
test_usage(void **state)
{
	assert_int_equal(RUN(NULL, "--version"), 0);
	assert_memory_equal(out, "frank ", 6);
	assert_int_equal(RUN(NULL, "--help"), 0);
	assert_non_null(strstr(out, "authorize ACCOUNT"));
	assert_int_equal(RUN(NULL, "queue", "--help"), 0);
	assert_non_null(strstr(out, "queue show ID"));
	assert_int_equal(RUN(NULL, "staus"), EX_USAGE);
	assert_non_null(strstr(err, "did you mean: frank status"));
	assert_int_equal(RUN(NULL, "queue", "shwo", "x"), EX_USAGE);
	assert_non_null(strstr(err, "did you mean: frank queue show"));
	assert_int_equal(RUN(NULL, "status", "--jso"), EX_USAGE);
	assert_non_null(strstr(err, "did you mean: --json"));
	assert_int_equal(RUN(NULL, "status", "--port", "7"), EX_USAGE);
	assert_int_equal(RUN(NULL, "token"), EX_USAGE);
	assert_int_equal(RUN(NULL, "token", "a", "b"), EX_USAGE);
	assert_int_equal(RUN(NULL, "secret"), EX_USAGE);
	assert_int_equal(RUN(NULL, "help", "nothing"), EX_USAGE);
	assert_int_equal(RUN(NULL, "token", "billing", "--min-valid", "soon"), EX_USAGE);
}

static void
test_status(void **state)
{
	json_error_t e;
	json_t *o;

	assert_int_equal(RUN(NULL, "status"), 0);
	assert_non_null(strstr(out, "needs-authorization"));
	assert_non_null(strstr(out, "Next: frank authorize alerts"));
	assert_int_equal(RUN(NULL, "status", "--json"), 0);
	o = json_loads(out, 0, &e);
	assert_int_equal(json_array_size(json_object_get(o, "accounts")), 2);
	assert_string_equal(
	    json_string_value(json_object_get(
		json_object_get(json_array_get(json_object_get(o, "accounts"), 0), "credential"),
		"identity")),
	    "billing@example.com");
	assert_int_equal(json_array_size(json_object_get(o, "services")), 1);
	json_decref(o);
	assert_int_equal(RUN(NULL, "check", "billing"), 0);
	assert_int_equal(RUN(NULL, "check", "alerts"), EX_NOPERM);
	assert_int_equal(RUN(NULL, "check", "nobody"), EX_NOUSER);
	assert_int_equal(RUN(NULL, "check"), EX_USAGE);
}

/* Findings come escaped, the verdict with what was said where it is bad or that was asked for. */
static void
test_check(void **state)
{
	json_error_t e;
	json_t *o;

	assert_int_equal(RUN(NULL, "check", "billing"), 0);
	assert_non_null(strstr(out, "certificate"));
	assert_null(strchr(out, '\x1b'));
	assert_non_null(strstr(out, "All is well."));
	assert_null(strstr(out, "S: 220 said"));
	assert_int_equal(RUN(NULL, "check", "billing", "--transcript"), 0);
	assert_non_null(strstr(out, "S: 220 said"));
	assert_int_equal(RUN(NULL, "check", "alerts"), EX_NOPERM);
	assert_non_null(strstr(out, "mailbox-owner"));
	assert_non_null(strstr(out, "S: 220 said"));
	assert_int_equal(RUN(NULL, "check", "alerts", "--json"), EX_NOPERM);
	o = json_loads(out, 0, &e);
	assert_string_equal(json_string_value(json_object_get(o, "cause")), "grant-revoked");
	assert_string_equal(json_string_value(json_object_get(o, "account")), "alerts");
	assert_true(json_is_false(json_object_get(o, "ok")));
	assert_int_equal(json_array_size(json_object_get(o, "steps")), 1);
	json_decref(o);
	assert_int_equal(RUN(NULL, "check", "--host", "smtp.example.com:465"), EX_NOPERM);
	assert_int_equal(
	    RUN(NULL, "check", "--host", "smtp.example.com", "--tls", "implicit"), EX_NOPERM);
	assert_int_equal(RUN(NULL, "check", "--host", "smtp.example.com:99999"), EX_USAGE);
	assert_int_equal(RUN(NULL, "check", "--host", "x", "--tls", "perhaps"), EX_USAGE);
	assert_int_equal(RUN(NULL, "check", "--host", "x", "billing"), EX_USAGE);
}

/* A token that does more than send mail is seen whatever provider it is of. */
static void
test_audit_scopes(void **state)
{
	static const struct {
		const char *scope, *severity; /* NULL: nothing to say */
	} cases[] = {
	    {"https://outlook.office.com/SMTP.Send offline_access", NULL},
	    {"https://graph.microsoft.com/Mail.Send", NULL},
	    {"https://www.googleapis.com/auth/gmail.send", NULL},
	    {"https://outlook.office.com/SMTP.Send "
	     "https://outlook.office.com/IMAP.AccessAsUser.All",
		"warning"},
	    {"https://outlook.office.com/EWS.AccessAsUser.All", "warning"},
	    {"Mail.Send Mail.ReadWrite", "warning"},
	    {"https://www.googleapis.com/auth/gmail.modify", "warning"},
	    {"https://mail.google.com/", "note"},
	};
	json_error_t e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status;
		json_t *o, *f;

		(void)snprintf(granted, GRANTED_MAX, "%s", cases[i].scope);
		status = RUN(NULL, "audit", "--json");
		o = json_loads(out, 0, &e);
		f = json_array_get(json_object_get(o, "findings"), 0);
		if (cases[i].severity == NULL) {
			assert_null(f);
		} else {
			assert_string_equal(
			    json_string_value(json_object_get(f, "rule")), "scope-too-broad");
			assert_string_equal(
			    json_string_value(json_object_get(f, "severity")), cases[i].severity);
		}
		assert_int_equal(
		    status, cases[i].severity != NULL && *cases[i].severity == 'w' ? EX_CONFIG : 0);
		json_decref(o);
	}
	granted[0] = '\0';
}

static void
test_queue(void **state)
{
	json_error_t e;
	json_t *o;

	assert_int_equal(RUN(NULL, "queue"), 0);
	assert_non_null(strstr(out, "3F2A"));
	assert_non_null(strstr(out, "<>"));
	assert_non_null(strstr(out, "451 4.7.1 later"));
	assert_int_equal(RUN(NULL, "queue", "--json"), 0);
	o = json_loads(out, 0, &e);
	assert_int_equal(json_array_size(json_object_get(
			     json_array_get(json_object_get(o, "messages"), 0), "recipients")),
	    2);
	json_decref(o);
	/* nothing from outside reaches a terminal as it is */
	assert_int_equal(RUN(NULL, "queue", "show", "3F2A"), 0);
	assert_null(strchr(out, 0x1b));
	assert_non_null(strstr(out, "red \\x1b[31m alert"));
	assert_int_equal(RUN(NULL, "transcript", "3F2A"), 0);
	assert_null(strchr(out, 0x1b));
	assert_non_null(strstr(out, "      > EHLO x\n      < 250 ok"));
	assert_int_equal(RUN(NULL, "queue", "show", "none"), EX_NOUSER);
	assert_non_null(strstr(err, "no such message"));
	/* one message or all, never by leaving a word out */
	assert_int_equal(RUN(NULL, "queue", "delete"), EX_USAGE);
	assert_int_equal(RUN(NULL, "queue", "delete", "3F2A", "--all"), EX_USAGE);
	assert_int_equal(RUN(NULL, "queue", "delete", "3F2A"), 0);
	assert_string_equal(out, "1 message is deleted.\n");
	assert_int_equal(RUN(NULL, "queue", "retry", "--all"), 0);
	assert_string_equal(out, "3 messages are tried again now.\n");
	assert_int_equal(RUN(NULL, "queue", "delete", "3F2A", "--account", "billing"), EX_USAGE);
	assert_int_equal(RUN(NULL, "account", "hold", "billing"), 0);
	assert_memory_equal(out, "billing is held.\n", 17);
	assert_int_equal(RUN(NULL, "reload"), EX_CONFIG);
	assert_non_null(strstr(err, "frank.conf:12"));
}

static void
test_credentials(void **state)
{
	assert_int_equal(RUN(NULL, "token", "billing"), 0);
	assert_string_equal(out, "old\n");
	assert_int_equal(RUN(NULL, "token", "billing", "--rejected"), 0);
	assert_string_equal(out, "new\n");
	assert_int_equal(RUN(NULL, "token", "billing", "--json", "--min-valid=60"), 0);
	assert_string_equal(out, "{\"token\": \"old\", \"until\": 60}\n");
	assert_int_equal(RUN(NULL, "token", "other"), EX_NOPERM);
	assert_string_equal(out, "");
	assert_non_null(strstr(err, "you may not"));
	assert_int_equal(RUN(NULL, "token", "other", "--json"), EX_NOPERM);
	assert_non_null(strstr(out, "\"exit\": 77"));
	assert_int_equal(RUN("pass wor\r\n", "secret", "set", "billing"), 0);
	assert_int_equal(RUN("pass wor", "secret", "set", "billing"), 0);
	assert_int_equal(RUN("pass wor\n\n", "secret", "set", "billing"),
	    EX_DATAERR); /* one line end belongs to it */
	assert_int_equal(RUN("\n", "secret", "set", "billing"), EX_DATAERR);
	assert_non_null(strstr(err, "the secret was not given"));
}

static void
test_explain(void **state)
{
	static const struct {
		const char *reply, *stage, *provider, *cause;
	} rows[] = {
	    {"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for "
	     "the Tenant.",
		"auth", "microsoft365", "smtp-auth-disabled-tenant"},
	    {"535-5.7.8 Username and Password not accepted.\n535 5.7.8  "
	     "https://support.google.com/ - gsmtp",
		"auth", "google", "password-refused"},
	    {"535-5.7.8 Username and Password not accepted.\\n535 5.7.8  "
	     "https://support.google.com/ - gsmtp",
		"auth", "google", "password-refused"},
	    {"Connection refused", "connect", "generic", "connection-refused"},
	};
	json_error_t e;
	json_t *o;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(RUN(NULL, "check", "--json", "--explain", rows[i].reply, "--stage",
				     rows[i].stage, "--provider", rows[i].provider),
		    0);
		o = json_loads(out, 0, &e);
		print_message("%s\n", out);
		assert_string_equal(json_string_value(json_object_get(o, "cause")), rows[i].cause);
		assert_non_null(json_object_get(o, "text"));
		assert_non_null(json_object_get(o, "fixer"));
		assert_non_null(json_object_get(o, "next"));
		assert_non_null(json_object_get(o, "retry"));
		json_decref(o);
	}
	assert_int_equal(RUN(NULL, "check", "--explain", "535 5.7.3 Authentication unsuccessful",
			     "--stage", "auth", "--provider", "microsoft365", "--context",
			     "{\"token_claims\":{\"aud\":\"https://"
			     "graph.microsoft.com\"},\"xoauth2_user\":\"a@b.example\"}",
			     "--json"),
	    0);
	assert_non_null(strstr(out, "token-wrong-audience"));
	assert_int_equal(RUN(NULL, "check", "--explain", "250 ok"), EX_DATAERR);
	assert_int_equal(RUN(NULL, "check", "--explain", "550 x", "--stage", "lunch"), EX_USAGE);
	assert_int_equal(RUN(NULL, "check", "--explain", "550 x", "--context", "{"), EX_USAGE);
	assert_int_equal(RUN(NULL, "check", "billing", "--explain", "550 x"), EX_USAGE);
}

static void
test_authorize_by_paste(void **state)
{
	const char *lines = "http://127.0.0.1/cb?state=bad&code=1\nnonsense\nhttp://127.0.0.1/"
			    "cb?state=good&code=2\n";

	assert_int_equal(RUN(lines, "authorize", "billing", "--paste"), 0);
	assert_memory_equal(out, "https://login.example.com/?redirect=http://127.0.0.1:", 53);
	assert_non_null(strstr(out, "/cb\n"));
	assert_non_null(strstr(out, "Signed in as billing@example.com"));
	assert_non_null(strstr(err, "another attempt"));
	assert_non_null(strstr(err, "not the whole address"));
	assert_null(strstr(err, "code=2"));
	assert_int_equal(RUN("http://127.0.0.1/cb?state=good&error=access_denied\n", "authorize",
			     "billing", "--paste"),
	    EX_NOPERM);
	assert_non_null(strstr(err, "the provider said no"));
	assert_int_equal(RUN("", "authorize", "billing", "--paste"), EX_DATAERR);
	assert_int_equal(RUN("", "authorize", "ghost"), EX_NOUSER);
	assert_int_equal(RUN("", "authorize", "plain"), EX_USAGE);
	assert_non_null(strstr(err, "frank secret set"));
}

/* Until the file holds a line, which becomes `out`. */
static void
wait_for_text(const char *path)
{
	for (int i = 0; i < 1000; i++) {
		read_file(path, out, sizeof(out));
		if (strchr(out, '\n') != NULL)
			return;
		(void)usleep(10000);
	}
	fail_msg("%s stays empty", path);
}

/* The address is there, alone on its line, while the command still waits; a signal ends it cleanly.
 */
static void
test_authorize_waits(void **state)
{
	pid_t pid = spawn(
	    (const char *const[]){"frank", "authorize", "billing", "--no-browser", NULL}, NULL);
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/out", folder);
	wait_for_text(path);
	assert_memory_equal(out, "https://login.example.com/", 26);
	assert_int_equal(strcspn(out, "\n") + 1, strlen(out));
	(void)kill(pid, SIGINT);
	assert_int_equal(finish(pid), 130);
	assert_non_null(strstr(err, "nothing was changed"));
}

/* Where no browser comes up and nobody sits at a terminal, the other ways are named at once. As root there is no
 * browser, desktop or not, unless sudo tells whose it would be. */
static void
test_authorize_nobody_there(void **state)
{
	(void)unsetenv("SUDO_UID");
	for (int desktop = 0; desktop <= (geteuid() == 0); desktop++) {
		if (desktop)
			(void)setenv("DISPLAY", ":0", 1);
		assert_int_equal(RUN(NULL, "authorize", "billing"), EX_USAGE);
		assert_non_null(strstr(err, "no terminal"));
		assert_non_null(strstr(err, "--paste"));
		assert_non_null(strstr(err, "--device"));
		assert_non_null(strstr(err, "--invite"));
		(void)setenv("SUDO_UID", "0", 1);
	}
	(void)unsetenv("DISPLAY");
	(void)unsetenv("SUDO_UID");
}

/* A desktop: xdg-open gets the address and nothing else; where it fails, the person is told. */
static void
test_authorize_opens(void **state)
{
	static const char *const ends[] = {"exit 0", "exit 3"};
	char script[128], opened[128], *before = strdup(getenv("PATH"));
	pid_t pid;
	FILE *f;

	(void)snprintf(script, sizeof(script), "%s/xdg-open", folder);
	(void)snprintf(opened, sizeof(opened), "%s/opened", folder);
	(void)setenv("PATH", folder, 1);
	(void)setenv("DISPLAY", ":0", 1);
	as_nobody = geteuid() == 0;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		f = fopen(opened, "we");
		assert_non_null(f);
		assert_int_equal(fchmod(fileno(f), 0666), 0);
		assert_int_equal(fclose(f), 0);
		f = fopen(script, "we");
		assert_non_null(f);
		assert_true(fprintf(f, "#!/bin/sh\necho \"$# $1\" >%s\n%s\n", opened, ends[i]) > 0);
		assert_int_equal(fclose(f), 0);
		assert_int_equal(chmod(script, 0755), 0);
		pid = spawn((const char *const[]){"frank", "authorize", "billing", NULL}, NULL);
		wait_for_text(opened);
		if (i == 0)
			(void)kill(pid, SIGTERM);
		/* nobody sits at a terminal to open the address */
		assert_int_equal(finish(pid), i == 0 ? 128 + SIGTERM : EX_USAGE);
		read_file(opened, out, sizeof(out));
		assert_memory_equal(out, "1 https://login.example.com/", 28);
		assert_int_equal(strstr(err, "no browser could be opened") != NULL, i == 1);
		assert_non_null(strstr(err, "https://login.example.com/"));
		(void)unlink(opened);
	}
	(void)unlink(script);
	as_nobody = false;
	(void)unsetenv("DISPLAY");
	(void)setenv("PATH", before, 1);
	free(before);
}

static void
test_test(void **state)
{
	assert_int_equal(RUN(NULL, "test", "billing", "a@example.org"), EX_TEMPFAIL);
	assert_non_null(strstr(out, "3F2A"));
	assert_non_null(strstr(out, "kept, and Frank will try again"));
	assert_int_equal(RUN(NULL, "test", "billing", "refused@example.org"), EX_NOPERM);
	assert_non_null(strstr(err, "550 5.7.1 no service"));
	assert_int_equal(RUN(NULL, "test", "billing", "a@b>\r\nRCPT TO:<c@d"), EX_USAGE);
	assert_int_equal(RUN(NULL, "test", "alerts"), EX_CONFIG); /* no mailbox */
	assert_int_equal(RUN(NULL, "test", "nobody"), EX_NOUSER);
}

static void
test_no_frankd(void **state)
{
	const char *before = getenv("FRANK_CONTROL_SOCKET");
	char *kept = strdup(before);

	(void)setenv("FRANK_CONTROL_SOCKET", "/nonexistent/control.sock", 1);
	assert_int_equal(RUN(NULL, "status"), EX_UNAVAILABLE);
	assert_non_null(strstr(err, "frankd is not running: /nonexistent/control.sock"));
	assert_non_null(strstr(err, "Next: "));
	assert_int_equal(RUN(NULL, "token", "billing"), EX_UNAVAILABLE);
	assert_non_null(strstr(err, "/nonexistent/keeper.sock"));
	(void)setenv("FRANK_CONTROL_SOCKET", kept, 1);
	free(kept);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_usage),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_audit_scopes),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_explain),
	    cmocka_unit_test(test_authorize_by_paste),
	    cmocka_unit_test(test_authorize_waits),
	    cmocka_unit_test(test_authorize_nobody_there),
	    cmocka_unit_test(test_authorize_opens),
	    cmocka_unit_test(test_test),
	    cmocka_unit_test(test_no_frankd),
	};

	if (argc != 2)
		return 1;
	frank = argv[1];
	return cmocka_run_group_tests(tests, setup, teardown);
}
