/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-authorize.c: `frank authorize`: a person signs in, the keeper gets the tokens.
 *
 *   keeper:   which redirect host and path? ──▶ listen ──▶ AUTHORIZE ──▶ the address
 *   address:  to the browser, or to a person
 *   callback: the browser's request, or a pasted line ──▶ AUTHORIZE_CALLBACK ──▶ not ours: wait on
 *                                                                            └─▶ the outcome
 *
 * State, verifier and tokens stay in the keeper. What passes through here is the address (state and
 * challenge) and the callback (the one-shot code): neither is written to a log, a file or an
 * argument, but for the address in that of the browser (browser.h).
 */
#include "admin/verbs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "admin/browser.h"
#include "admin/loopback.h"
#include "admin/paste.h"
#include "admin/sign-in.h"
#include "admin/terminal.h"
#include "base/grant.h"
#include "diagnosis/diagnosis.h"

enum {
	KEEPER_PATIENCE = 90,
	DEVICE_PATIENCE = 25 * 3600, /* a device code may live for a day */
	SIGN_IN_MS = 10 * 60 * 1000,
	LAST_PAGE_MS = 3000, /* how long a browser may take to fetch the last page */
	BROWSER_CHECK_MS = 1000,
	POLL_SIGNALS = LOOPBACK_FDS,
	POLL_KEEPER,
	POLL_INPUT,
	POLL_COUNT,
};

struct sign_in {
	const struct cli *cli;
	const char *account;
	struct link link;
	struct loopback *loopback;
	struct sign_in_conf conf;
	bool paste, quiet;
	struct buf url;
	uint8_t attempt[64];
	size_t attempt_len;
	struct terminal terminal;
	struct buf line;
	int signals;
	pid_t browser;
	bool asked, asked_paste; /* a callback is with the keeper; it was pasted */
	unsigned ignored;        /* that were not this sign-in's */
	int64_t end;             /* when to give up */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * (int64_t)1000 + t.tv_nsec / 1000000;
}

/* ---- before ---- */

static int
take_credential(void *arg, const struct message *m)
{
	struct sign_in *s = arg;
	const char *host = message_str(m, F_REDIRECT_HOST), *path = message_str(m, F_REDIRECT_PATH),
		   *scheme = message_str(m, F_REDIRECT_SCHEME);
	enum grant grant = grant_by_name(message_str(m, F_GRANT));
	const struct diagnosis_facts facts = {.account = s->account,
	    .grant = message_str(m, F_GRANT),
	    .secret_from = message_str(m, F_SECRET_FROM)};
	char step[512];

	if (message_type(m) != M_ROW_CREDENTIAL ||
	    strcmp(message_str(m, F_ACCOUNT), s->account) != 0)
		return EX_OK;
	diagnosis_step("{store}", &facts, step, sizeof(step));
	if (grant == GRANT_PASSWORD)
		return cli_fail(s->cli, EX_USAGE, step,
		    "%s signs in with a password, not in a browser", s->account);
	if (grant_is_unattended(grant))
		return cli_fail(s->cli, EX_USAGE, step, "nobody signs in for %s: its grant is %s",
		    s->account, grant_rows[grant].name);
	if (grant == GRANT_NONE)
		return cli_fail(s->cli, EX_USAGE, NULL, "%s needs no credential (grant = \"none\")",
		    s->account);
	if (host != NULL)
		(void)snprintf(s->conf.host, sizeof(s->conf.host), "%s", host);
	if (path != NULL)
		(void)snprintf(s->conf.path, sizeof(s->conf.path), "%s", path);
	s->conf.https = scheme != NULL && strcmp(scheme, "https") == 0;
	s->conf.device = grant == GRANT_DEVICE_CODE;
	s->conf.port = (unsigned)message_u64(m, F_REDIRECT_PORT, 0);
	return EX_OK;
}

static int
ask_redirect(struct sign_in *s)
{
	struct message *m = message_new(M_KEEPER_STATUS);

	(void)snprintf(s->conf.host, sizeof(s->conf.host), "127.0.0.1");
	(void)snprintf(s->conf.path, sizeof(s->conf.path), "/");
	message_put_str(m, F_ACCOUNT, s->account);
	return link_list(&s->link, m, take_credential, s, NULL);
}

static int
open_listener(struct sign_in *s, unsigned port)
{
	uid_t callers[LOOPBACK_CALLERS_MAX];
	int r;

	if (!loopback_is_host(s->conf.host))
		return cli_fail(s->cli, EX_CONFIG,
		    "set it to 127.0.0.1 or localhost, as the client is registered",
		    "redirect-host = \"%s\" of %s is not this machine, so the browser cannot come "
		    "back",
		    s->conf.host, s->account);
	if (strpbrk(s->conf.path, "?#") != NULL || (*s->conf.path != '/' && *s->conf.path != '\0'))
		return cli_fail(s->cli, EX_CONFIG, NULL,
		    "redirect-path = \"%s\" of %s is not a path", s->conf.path, s->account);
	if (s->conf.https)
		return EX_OK;
	r = loopback_open(&s->loopback, port, s->conf.path, callers,
	    browser_users(callers, LOOPBACK_CALLERS_MAX));
	if (r == -EADDRINUSE)
		return cli_fail(s->cli, EX_UNAVAILABLE, "choose another --port, or leave it out",
		    "port %u is in use on this machine", port);
	if (r < 0)
		return cli_fail(
		    s->cli, EX_OSERR, NULL, "cannot listen on any port: %s", strerror(-r));
	return EX_OK;
}

static int
keep_url(struct sign_in *s, const struct message *m)
{
	const uint8_t *attempt = message_bytes(m, F_ATTEMPT, &s->attempt_len);

	if (s->attempt_len > sizeof(s->attempt))
		return cli_fail(
		    s->cli, EX_PROTOCOL, NULL, "frankd gave an attempt that is too long");
	memcpy(s->attempt, attempt, s->attempt_len);
	return sign_in_url(s->cli, m, &s->url);
}

static int
ask_url(struct sign_in *s, unsigned port)
{
	CLEANUP_MESSAGE struct message *answer = NULL;
	struct message *m = message_new(M_AUTHORIZE);
	char uri[640];
	int status;

	sign_in_uri(
	    &s->conf, s->loopback != NULL ? loopback_port(s->loopback) : port, uri, sizeof(uri));
	message_put_str(m, F_ACCOUNT, s->account);
	message_put_str(m, F_REDIRECT_URI, uri);
	status = link_exchange(&s->link, m, M_AUTHORIZE_URL, "address", &answer);
	return status == EX_OK ? keep_url(s, answer) : status;
}

/* ---- telling the person ---- */

static void
prompt_paste(const struct sign_in *s)
{
	(void)fputs(isatty(STDIN_FILENO)
			? "Paste the address at which the browser ended (it is not shown): "
			: "Reading the address at which the browser ended from standard input.\n",
	    stderr);
}

static void
print_url(const struct sign_in *s, FILE *f)
{
	(void)fprintf(f, "%s\n", buf_str(&s->url));
	(void)fflush(f);
}

static void
present(struct sign_in *s, bool no_browser)
{
	bool desktop = !no_browser && !s->paste && browser_is_there();

	if (s->conf.https) {
		/* no listener could have a certificate that browsers trust for localhost */
		(void)fputs(
		    "The provider will send the browser to an https address of this machine, where "
		    "nothing answers:\nthe browser will say that it cannot connect. That address, "
		    "from its address bar, is wanted then.\n\n",
		    stderr);
		s->paste = true;
	}
	if (no_browser || (s->paste && !desktop)) {
		/* first and alone on standard output, for programs */
		print_url(s, stdout);
	} else {
		(void)fprintf(stderr,
		    desktop
			? "Sign in to %s in the browser that opens now. If none does, open:\n\n  "
			: "To sign in to %s, open this address in a browser on this machine:\n\n  ",
		    s->account);
		print_url(s, stderr);
		(void)fputc('\n', stderr);
	}
	if (desktop)
		s->browser = browser_open(s->url.data);
	if (!desktop && !no_browser && !s->paste && isatty(STDIN_FILENO)) {
		(void)fprintf(stderr,
		    "Where the browser is on another machine, it will end at an address on port %u "
		    "that does not load.\n",
		    loopback_port(s->loopback));
		s->paste = true;
	}
	if (s->paste) {
		terminal_hide(&s->terminal, STDIN_FILENO);
		prompt_paste(s);
	} else if (!s->quiet) {
		(void)fputs(
		    "Waiting for the sign-in, at most ten minutes; Ctrl-C cancels it.\n", stderr);
	}
}

/* How to sign in where no browser comes up and nobody sits at a terminal. */
static int
fail_nobody(const struct sign_in *s, const char *why)
{
	return cli_fail(s->cli, EX_USAGE,
	    "frank authorize ACCOUNT --paste prints the address and takes the one at which the "
	    "browser "
	    "ended from standard input; --device shows a code for any device, where the provider "
	    "takes codes; --invite prints what to send to the mailbox's owner",
	    "%s, and standard input is no terminal, so nobody could sign in to %s", why,
	    s->account);
}

static int
check_browser(struct sign_in *s)
{
	if (s->browser <= 0 || !browser_failed(s->browser))
		return EX_OK;
	s->browser = 0;
	if (!isatty(STDIN_FILENO) && !isatty(STDERR_FILENO))
		return fail_nobody(s, "no browser could be opened");
	(void)fputs("No browser could be opened. Open the address above yourself.\n", stderr);
	return EX_OK;
}

static void
show_note(struct sign_in *s)
{
	const char *note = loopback_note(s->loopback);

	if (note == NULL)
		return;
	cli_note(note);
	if (!s->quiet)
		(void)fputs("Frank is still waiting.\n", stderr);
}

/* ---- the callback ---- */

static int
send_callback(struct sign_in *s, const char *query, size_t len, bool pasted)
{
	struct message *m = message_new(M_AUTHORIZE_CALLBACK);

	message_put_bytes(m, F_ATTEMPT, s->attempt, s->attempt_len);
	message_put_bytes(m, F_CALLBACK, query, len);
	s->asked = true;
	s->asked_paste = pasted;
	return link_send(&s->link, m);
}

static int
take_line(struct sign_in *s)
{
	const char *query;
	size_t len;
	int status = EX_OK;

	if (isatty(STDIN_FILENO))
		(void)fputc('\n', stderr);
	if (!s->line.failed && paste_query(buf_str(&s->line), s->line.len, &query, &len)) {
		status = send_callback(s, query, len, true);
	} else if (s->line.len > 0 &&
		   strncmp(buf_str(&s->line), buf_str(&s->url), strlen(buf_str(&s->url))) == 0) {
		(void)fputs("That is the address to open. The one at which the browser ended after "
			    "the sign-in is wanted.\n",
		    stderr);
		prompt_paste(s);
	} else if (s->line.len > 0) {
		(void)fputs(
		    "That is not the whole address: it must hold \"code=\" and \"state=\".\n",
		    stderr);
		prompt_paste(s);
	}
	buf_clear(&s->line);
	return status;
}

/* One octet at a time: what stands behind the line end is for whoever reads standard input next. */
static int
read_input(struct sign_in *s)
{
	char c;
	ssize_t n = read(STDIN_FILENO, &c, 1);
	enum terminal_line got;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return EX_OK;
	got = n <= 0 ? TERMINAL_END : terminal_take(&s->line, &c, 1);
	mem_wipe(&c, 1);
	if (got == TERMINAL_LINE || (got == TERMINAL_END && s->line.len > 0))
		return take_line(s);
	if (got == TERMINAL_END)
		return cli_fail(s->cli, EX_DATAERR, "run frank authorize again",
		    "no address was pasted; nothing was changed");
	return EX_OK;
}

static int
take_ignored(struct sign_in *s, const struct message *m)
{
	s->asked = false;
	if (s->asked_paste) {
		cli_note(message_str(m, F_TEXT));
		prompt_paste(s);
		return EX_OK;
	}
	loopback_ignore(s->loopback, message_str(m, F_TEXT));
	if (s->ignored++ < LOOPBACK_NOTES_MAX) {
		(void)fputs("A browser came back with something else. ", stderr);
		cli_note(message_str(m, F_TEXT));
	}
	return EX_OK;
}

/* ---- waiting ---- */

static size_t
prepare(struct sign_in *s, struct pollfd *fds, int *timeout)
{
	size_t count =
	    s->loopback == NULL ? 0 : loopback_prepare(s->loopback, fds, now_ms(), timeout);

	for (; count < LOOPBACK_FDS; count++)
		fds[count] = (struct pollfd){.fd = -1};
	fds[POLL_SIGNALS] = (struct pollfd){.fd = s->signals, .events = POLLIN};
	fds[POLL_KEEPER] = (struct pollfd){.fd = s->link.sock, .events = POLLIN};
	/* a pasted line waits while the keeper looks at another callback */
	fds[POLL_INPUT] =
	    (struct pollfd){.fd = s->paste && !s->asked ? STDIN_FILENO : -1, .events = POLLIN};
	return POLL_COUNT;
}

static int
poll_once(struct sign_in *s, struct pollfd *fds, int64_t until)
{
	int64_t left = until - now_ms();
	int timeout = left < 0 ? 0 : (int)left;
	size_t count = prepare(s, fds, &timeout);

	if (s->browser > 0 && timeout > BROWSER_CHECK_MS)
		timeout = BROWSER_CHECK_MS;
	if (poll(fds, count, timeout) < 0 && errno != EINTR)
		return cli_fail(s->cli, EX_OSERR, NULL, "poll: %s", strerror(errno));
	if (fds[POLL_SIGNALS].revents != 0) {
		struct signalfd_siginfo info = {0};

		if (read(s->signals, &info, sizeof(info)) < 0)
			info.ssi_signo = SIGINT;
		terminal_restore(&s->terminal);
		(void)fputs("\nCancelled; nothing was changed.\n", stderr);
		return 128 + (int)info.ssi_signo;
	}
	if (s->loopback != NULL) {
		loopback_handle(s->loopback, fds, LOOPBACK_FDS, now_ms());
		show_note(s);
	}
	return check_browser(s);
}

/* Until the keeper has decided: its last message is the caller's. */
static int
wait_outcome(struct sign_in *s, struct message **ret)
{
	while (now_ms() < s->end) {
		CLEANUP_MESSAGE struct message *m = NULL;
		struct pollfd fds[POLL_COUNT];
		const char *query;
		int status = poll_once(s, fds, s->end);

		if (status == EX_OK && fds[POLL_KEEPER].revents != 0) {
			status = link_receive(&s->link, &m);
			if (status == EX_OK && message_type(m) == M_KEEPER_DONE) {
				*ret = TAKE_PTR(m);
				return EX_OK;
			}
			if (status == EX_OK && message_type(m) == M_AUTHORIZE_IGNORED)
				status = take_ignored(s, m);
		}
		if (status == EX_OK && fds[POLL_INPUT].revents != 0 && !s->asked)
			status = read_input(s);
		query = s->asked || s->loopback == NULL ? NULL : loopback_callback(s->loopback);
		if (status == EX_OK && query != NULL)
			status = send_callback(s, query, strlen(query), false);
		if (status != EX_OK)
			return status;
	}
	return cli_fail(s->cli, EX_TEMPFAIL, "run frank authorize again",
	    "nobody signed in within ten minutes; nothing was changed");
}

/* Lets the browser have the page that says how it ended. */
static void
show_end(struct sign_in *s, const struct message *done)
{
	const char *error = message_str(done, F_ERROR), *next = message_str(done, F_NEXT);
	int64_t until = now_ms() + LAST_PAGE_MS;
	struct pollfd fds[POLL_COUNT];

	if (s->loopback == NULL)
		return;
	if (error == NULL)
		loopback_finish(s->loopback, PAGE_GOOD, "Signed in",
		    "Frank may now send mail for this account.",
		    next != NULL ? next : "You can close this window.");
	else
		loopback_finish(s->loopback, PAGE_BAD, "It did not work", error,
		    next != NULL ? next : "Look at the terminal in which you started this.");
	s->paste = false;
	while (!s->asked_paste && !loopback_is_done(s->loopback) && now_ms() < until)
		if (poll_once(s, fds, until) != EX_OK)
			break;
}

static int
catch_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int
by_browser(struct sign_in *s, bool no_browser, unsigned port)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	int status;

	if (!no_browser && !s->paste && !s->conf.https && !browser_is_there() &&
	    !isatty(STDIN_FILENO))
		return fail_nobody(s, "there is no desktop for a browser here");
	status = open_listener(s, port);
	if (status == EX_OK)
		status = ask_url(s, port);
	if (status != EX_OK)
		return status;
	present(s, no_browser);
	s->end = now_ms() + SIGN_IN_MS;
	status = wait_outcome(s, &done);
	terminal_restore(&s->terminal);
	if (status != EX_OK)
		return status;
	show_end(s, done);
	return sign_in_report(s->cli, &s->link, s->account, done);
}

static int
sign_in(struct sign_in *s, const struct arguments *args, unsigned port)
{
	bool no_browser = arguments_has(args, OPTION_NO_BROWSER);
	bool device = arguments_has(args, OPTION_DEVICE);
	int status = link_open(&s->link, s->cli, ROLE_KEEPER, KEEPER_PATIENCE);

	if (status == EX_OK)
		status = ask_redirect(s);
	if (status != EX_OK)
		return status;
	if (arguments_has(args, OPTION_FINISH))
		return sign_in_finish(s->cli, &s->link, s->account);
	if (arguments_has(args, OPTION_INVITE))
		return sign_in_invite(s->cli, &s->link, s->account, &s->conf, port);
	if (port == 0)
		port = s->conf.port;
	if (!device && !s->conf.device) {
		s->signals = catch_signals();
		if (s->signals < 0)
			return cli_fail(
			    s->cli, EX_OSERR, NULL, "cannot wait for signals: %s", strerror(errno));
		return by_browser(s, no_browser, port);
	}
	cleanup_link(&s->link);
	s->link = (struct link)LINK_INIT;
	status = link_open(&s->link, s->cli, ROLE_KEEPER, DEVICE_PATIENCE);
	return status != EX_OK ? status : sign_in_by_code(s->cli, &s->link, s->account, no_browser);
}

int
verb_authorize(const struct cli *cli, const struct arguments *args)
{
	struct sign_in s = {
	    .cli = cli,
	    .account = args->words[1],
	    .link = LINK_INIT,
	    .paste = arguments_has(args, OPTION_PASTE),
	    .quiet = !isatty(STDERR_FILENO),
	    .url = BUF_INIT_WIPE(PASTE_MAX),
	    .line = BUF_INIT_WIPE(PASTE_MAX),
	    .terminal = {.fd = -1},
	    .signals = -1,
	};
	uint64_t port = 0;
	int status;

	if (arguments_number(args, OPTION_PORT, 1, 65535, &port) == -EINVAL)
		return cli_fail(cli, EX_USAGE, NULL, "--port needs a number from 1 to 65535");
	if (arguments_has(args, OPTION_DEVICE) + arguments_has(args, OPTION_INVITE) +
		arguments_has(args, OPTION_FINISH) + arguments_has(args, OPTION_PASTE) >
	    1)
		return cli_fail(cli, EX_USAGE, NULL,
		    "only one of --device, --invite, --finish and --paste can be given");
	status = sign_in(&s, args, (unsigned)port);
	terminal_restore(&s.terminal);
	(void)loopback_free(s.loopback);
	cleanup_link(&s.link);
	if (s.signals >= 0)
		(void)close(s.signals);
	buf_free(&s.url);
	buf_free(&s.line);
	return status;
}
