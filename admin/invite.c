/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * invite.c: a text that an administrator sends to a mailbox's owner, and the answer to it. See
 * sign-in.h.
 *
 * The owner signs in on a machine of their own; the browser ends at an address there that does not
 * load, and that address comes back. Neither address holds a password, and the code in the second
 * is of no use to anybody but this Frank, which alone has the verifier that goes with it (RFC 7636).
 */
#include <string.h>
#include <time.h>

#include "admin/ask.h"
#include "admin/paste.h"
#include "admin/sign-in.h"
#include "admin/verbs.h"

enum { PORT_USUAL = 47999, HOST_MAX = 256 };

static void
print_text(const struct cli *cli, const char *account, const char *mailbox, const char *url,
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
	(void)fputs(".\nThey will not get your password, and nor will whoever sent you this. "
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
	(void)fprintf(stderr, "\nThe answer goes in with: frank authorize %s --finish\n", account);
}

int
invite_print(const struct cli *cli, struct link *l, const char *account,
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
	status = link_send(l, m);
	if (status == EX_OK)
		status = link_receive(l, &answer);
	if (status != EX_OK)
		return status;
	if (message_type(answer) == M_KEEPER_DONE)
		return link_done(cli, answer);
	if (message_type(answer) != M_AUTHORIZE_URL)
		return cli_fail(cli, EX_PROTOCOL, NULL, "frankd gave no address");
	status = sign_in_url(cli, answer, &url);
	if (status != EX_OK)
		return status;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s, s:I}", "account", account, "url", buf_str(&url), "until",
			(json_int_t)message_u64(answer, F_UNTIL, 0)),
		    EX_OK);
	if (status_of_account(cli, account, &row) != EX_OK)
		row = NULL;
	print_text(cli, account, json_string_value(json_object_get(row, "mailbox")), buf_str(&url),
	    message_u64(answer, F_UNTIL, 0));
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
invite_finish(const struct cli *cli, struct link *l, const char *account)
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
		    "the whole of the browser's address bar is wanted, with \"code=\" and "
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
		return cli_fail(cli, EX_PROTOCOL, NULL, "frankd did not say how it ended");
	return sign_in_report(cli, l, account, answer);
}
