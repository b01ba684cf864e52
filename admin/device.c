/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.c: signing in by a code that is typed in elsewhere (RFC 8628). See sign-in.h. frankd asks
 * the provider again and again; this shows the code and waits for the outcome.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "admin/qr.h"
#include "admin/sign-in.h"

enum { COLUMNS_USUAL = 80, QR_MAX = 64 * 1024 };

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
		    "Waiting until %s. With Ctrl-C this command ends; frankd goes on waiting.\n",
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
device_sign_in(const struct cli *cli, struct link *l, const char *account, bool for_program)
{
	CLEANUP_MESSAGE struct message *code = NULL, *done = NULL;
	struct message *m = message_new(M_AUTHORIZE_DEVICE);
	int status;

	message_put_str(m, F_ACCOUNT, account);
	status = link_send(l, m);
	if (status == EX_OK)
		status = link_receive(l, &code);
	if (status != EX_OK)
		return status;
	if (message_type(code) == M_KEEPER_DONE)
		return link_done(cli, code);
	if (message_type(code) != M_AUTHORIZE_CODE)
		return cli_fail(cli, EX_PROTOCOL, NULL, "frankd gave no code");
	show_code(cli, account, code, for_program);
	status = link_receive(l, &done);
	if (status != EX_OK)
		return status;
	if (message_type(done) != M_KEEPER_DONE)
		return cli_fail(cli, EX_PROTOCOL, NULL, "frankd did not say how it ended");
	return sign_in_report(cli, l, account, done);
}
