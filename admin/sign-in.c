/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sign-in.c: see sign-in.h.
 *
 * By a code (RFC 8628): frankd polls the provider; this shows the code and waits for the outcome.
 *
 * By invitation: an administrator sends a text to the mailbox's owner. The owner signs in on a
 * machine of their own, where the browser ends at an address that does not load, and sends that
 * address back. Neither address holds a password, and the code in the second is of no use to anybody
 * but this Frank, which alone has the verifier that goes with it (RFC 7636).
 */
#include "admin/sign-in.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "admin/ask.h"
#include "admin/paste.h"
#include "admin/qr.h"
#include "admin/verbs.h"

enum { PORT_USUAL = 47999, HOST_MAX = 256, COLUMNS_USUAL = 80, QR_MAX = 64 * 1024 };

void
sign_in_uri(const struct sign_in_conf *conf, unsigned port, char *ret, size_t size)
{
	bool bare_six = strcmp(conf->host, "::1") == 0, usual = port == (conf->https ? 443 : 80);
	char number[16] = "";

	if (port != 0 && !usual)
		(void)snprintf(number, sizeof(number), ":%u", port);
	(void)snprintf(ret, size, "%s://%s%s%s%s%s", conf->https ? "https" : "http",
	    bare_six ? "[" : "", conf->host, bare_six ? "]" : "", number, conf->path);
}

/* What comes from frankd goes to a terminal and to xdg-open: printable, and a web address, never an
 * option. */
int
sign_in_url(const struct cli *cli, const struct message *m, struct buf *ret)
{
	CLEANUP_SECRET struct secret *url = message_secret(m, F_URL);

	if (url == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	if (!secret_is_printable(url, false) ||
	    (strncmp((const char *)secret_bytes(url), "https://", 8) != 0 &&
		strncmp((const char *)secret_bytes(url), "http://", 7) != 0))
		return cli_fail(
		    cli, EX_PROTOCOL, NULL, "frankd gave something that is no web address");
	if (buf_append(ret, secret_bytes(url), secret_len(url)) < 0)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	return EX_OK;
}

/* ---- how it ended ---- */

struct report {
	const struct cli *cli;
	const char *account;
};

static int
print_credential(void *arg, const struct message *m)
{
	const struct report *r = arg;
	const char *identity = message_str(m, F_IDENTITY);
	uint64_t until = message_u64(m, F_UNTIL, 0);
	char when[64];

	if (message_type(m) != M_ROW_CREDENTIAL ||
	    strcmp(message_str(m, F_ACCOUNT), r->account) != 0)
		return EX_OK;
	if (identity != NULL) {
		(void)fputs("Signed in as ", stdout);
		cli_put(r->cli, COLOUR_BOLD, identity, 0);
		(void)fputs(".\n", stdout);
	}
	if (until > 0) {
		cli_relative_time(until, (uint64_t)time(NULL), when, sizeof(when));
		(void)printf("The access token ends %s; Frank renews it by itself.\n", when);
	}
	return EX_OK;
}

int
sign_in_report(
    const struct cli *cli, struct link *l, const char *account, const struct message *done)
{
	struct report r = {.cli = cli, .account = account};
	const char *warning = message_str(done, F_WARNING);
	struct message *m;
	int status = link_done(cli, done);

	if (status != EX_OK)
		return status;
	cli_put(cli, COLOUR_GOOD, account, 0);
	(void)fputs(" is authorized.\n", stdout);
	m = message_new(M_KEEPER_STATUS);
	message_put_str(m, F_ACCOUNT, account);
	status = link_list(l, m, print_credential, &r, NULL);
	if (warning != NULL) {
		(void)fputs("Note: ", stdout);
		cli_put(cli, COLOUR_WARN, warning, 0);
		(void)fputc('\n', stdout);
	}
	(void)printf("Next: frank test %s\n", account);
	return status;
}

/* ---- by a code on another device ---- */

static unsigned
terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
									       : COLUMNS_USUAL;
}

static void
show_qr(const char *text)
{
	struct buf picture CLEANUP_BUF = BUF_INIT(QR_MAX);
	const char *no_colour = secure_getenv("NO_COLOR");

	if (!isatty(STDERR_FILENO) || !qr_can_show() ||
	    qr_draw(text, terminal_columns(), no_colour == NULL || *no_colour == '\0', &picture) <
		0)
		return;
	(void)fputs(buf_str(&picture), stderr);
	(void)fputc('\n', stderr);
}

static void
show_end_of_code(uint64_t until)
{
	time_t when = (time_t)until;
	struct tm tm;
	char text[32];

	if (localtime_r(&when, &tm) != NULL && strftime(text, sizeof(text), "%H:%M", &tm) > 0)
		(void)fprintf(stderr,
		    "Waiting until %s. Ctrl-C ends this command, but frankd keeps waiting.\n",
		    text);
}

static void
show_code(const struct cli *cli, const char *account, const struct message *m, bool for_program)
{
	const char *complete = message_str(m, F_VERIFICATION_URI_COMPLETE),
		   *uri = message_str(m, F_VERIFICATION_URI), *code = message_str(m, F_USER_CODE);

	if (for_program) {
		/* alone on the first two lines */
		cli_put(cli, COLOUR_NONE, uri, 0);
		(void)fputc('\n', stdout);
		cli_put(cli, COLOUR_NONE, code, 0);
		(void)fputc('\n', stdout);
		(void)fflush(stdout);
		return;
	}
	(void)fprintf(stderr, "To sign in to %s, open this address on any device:\n\n", account);
	cli_note(uri);
	(void)fputs("\nand type in this code:\n\n", stderr);
	cli_note(code);
	(void)fputc('\n', stderr);
	show_qr(complete != NULL ? complete : uri);
	show_end_of_code(message_u64(m, F_UNTIL, 0));
}

int
sign_in_by_code(const struct cli *cli, struct link *l, const char *account, bool for_program)
{
	CLEANUP_MESSAGE struct message *code = NULL, *done = NULL;
	struct message *m = message_new(M_AUTHORIZE_DEVICE);
	int status;

	message_put_str(m, F_ACCOUNT, account);
	status = link_exchange(l, m, M_AUTHORIZE_CODE, "code", &code);
	if (status != EX_OK)
		return status;
	show_code(cli, account, code, for_program);
	status = link_receive(l, &done);
	if (status != EX_OK)
		return status;
	if (message_type(done) != M_KEEPER_DONE)
		return cli_fail(cli, EX_PROTOCOL, NULL, "frankd did not say how the sign-in ended");
	return sign_in_report(cli, l, account, done);
}

/* ---- by invitation ---- */

static void
print_invitation(const struct cli *cli, const char *account, const char *mailbox, const char *url,
    uint64_t until)
{
	time_t when = (time_t)until;
	char host[HOST_MAX] = "", end[64] = "";
	struct tm tm;

	if (gethostname(host, sizeof(host) - 1) < 0)
		(void)snprintf(host, sizeof(host), "this machine");
	if (localtime_r(&when, &tm) == NULL ||
	    strftime(end, sizeof(end), "%A, %-d %B %Y", &tm) == 0)
		(void)snprintf(end, sizeof(end), "next week");
	(void)fputs("Programs on ", stdout);
	cli_put(cli, COLOUR_NONE, host, 0);
	(void)fputs(" are to send mail as ", stdout);
	cli_put(cli, COLOUR_NONE, mailbox != NULL ? mailbox : account, 0);
	(void)fputs(".\nNeither they nor the person who sent you this will get your password. "
		    "Please allow it:\n\n"
		    "1. Open this address in a browser on your own computer and sign in",
	    stdout);
	if (mailbox != NULL) {
		(void)fputs(" as ", stdout);
		cli_put(cli, COLOUR_NONE, mailbox, 0);
	}
	(void)printf(":\n\n%s\n\n"
		     "2. At the end the browser says that it cannot show the page. That is "
		     "meant to be so.\n"
		     "   Copy the whole address out of the browser's address bar.\n\n"
		     "3. Send that address back at once: it is good for a few minutes only. It "
		     "holds a code that\n   is of no use to anybody but that machine.\n\n"
		     "The first address is good until %s, and for one sign-in.\n",
	    url, end);
	(void)fflush(stdout);
	(void)fprintf(
	    stderr, "\nTo finish with the answer: frank authorize %s --finish\n", account);
}

int
sign_in_invite(const struct cli *cli, struct link *l, const char *account,
    const struct sign_in_conf *conf, unsigned port)
{
	CLEANUP_MESSAGE struct message *answer = NULL;
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(PASTE_MAX);
	struct message *m = message_new(M_AUTHORIZE_INVITE);
	json_t *row = NULL;
	char uri[640];
	int status;

	if (port == 0)
		port = conf->port != 0 || conf->https ? conf->port : PORT_USUAL;
	sign_in_uri(conf, port, uri, sizeof(uri));
	message_put_str(m, F_ACCOUNT, account);
	message_put_str(m, F_REDIRECT_URI, uri);
	status = link_exchange(l, m, M_AUTHORIZE_URL, "address", &answer);
	if (status == EX_OK)
		status = sign_in_url(cli, answer, &url);
	if (status != EX_OK)
		return status;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s, s:I}", "account", account, "url", buf_str(&url), "until",
			(json_int_t)message_u64(answer, F_UNTIL, 0)),
		    EX_OK);
	if (verb_status_of_account(cli, account, &row) != EX_OK)
		row = NULL;
	print_invitation(
	    cli, account, cli_text(row, "mailbox"), buf_str(&url), message_u64(answer, F_UNTIL, 0));
	json_decref(row);
	return EX_OK;
}

/* ---- the answer ---- */

/* A mail program may have broken the address into lines. */
static void
join_lines(struct buf *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] != '\n' && b->data[i] != '\r')
			b->data[kept++] = b->data[i];
	b->len = kept;
	if (b->data != NULL)
		b->data[kept] = '\0';
}

int
sign_in_finish(const struct cli *cli, struct link *l, const char *account)
{
	CLEANUP_MESSAGE struct message *answer = NULL;
	struct buf line CLEANUP_BUF = BUF_INIT_WIPE(PASTE_MAX);
	struct message *m;
	const char *query;
	size_t len;
	int status = ask_all(
	    cli, "Paste the address that came back (it is not shown): ", "the address", &line);

	if (status != EX_OK)
		return status;
	join_lines(&line);
	if (!paste_query(buf_str(&line), line.len, &query, &len))
		return cli_fail(cli, EX_DATAERR,
		    "paste the whole address from the browser's address bar, with \"code=\" and "
		    "\"state=\"",
		    "that is not the address of a finished sign-in; nothing was changed");
	m = message_new(M_AUTHORIZE_FINISH);
	message_put_str(m, F_ACCOUNT, account);
	message_put_bytes(m, F_CALLBACK, query, len);
	status = link_send(l, m);
	if (status == EX_OK)
		status = link_receive(l, &answer);
	if (status != EX_OK)
		return status;
	if (message_type(answer) == M_AUTHORIZE_IGNORED)
		return cli_fail(cli, EX_DATAERR,
		    "it belongs to another invitation, or to another account",
		    "%s Nothing was changed.", message_str(answer, F_TEXT));
	if (message_type(answer) != M_KEEPER_DONE)
		return cli_fail(cli, EX_PROTOCOL, NULL, "frankd did not say how the sign-in ended");
	return sign_in_report(cli, l, account, answer);
}
