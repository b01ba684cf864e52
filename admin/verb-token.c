/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-token.c: `frank token`: an access token for another program, alone on standard output. It is
 * written straight from its own locked memory: no buffer of the C library ever holds it.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <string.h>

#include "admin/output.h"

enum { TOKEN_PATIENCE = 90, MIN_VALID_MAX = 24 * 60 * 60 };

static int
print_token(const struct cli *cli, const struct message *m)
{
	CLEANUP_SECRET struct secret *token = message_secret(m, F_SECRET);
	char head[] = "{\"token\": \"", tail[64];
	int r;

	if (token == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	if (!secret_is_printable(token, false))
		return cli_fail(
		    cli, EX_PROTOCOL, NULL, "frankd gave a token that holds forbidden characters");
	(void)fflush(stdout);
	if (!cli->json) {
		r = output_whole(STDOUT_FILENO, secret_bytes(token), secret_len(token));
		if (r == 0)
			r = output_whole(STDOUT_FILENO, "\n", 1);
	} else {
		/* a token is VSCHAR without '"' and '\', as every token in the field is (RFC 6750
		 * section 2.1), or it is refused */
		if (memchr(secret_bytes(token), '"', secret_len(token)) != NULL ||
		    memchr(secret_bytes(token), '\\', secret_len(token)) != NULL)
			return cli_fail(
			    cli, EX_PROTOCOL, NULL, "the token cannot be printed as JSON");
		(void)snprintf(tail, sizeof(tail), "\", \"until\": %llu}\n",
		    (unsigned long long)message_u64(m, F_UNTIL, 0));
		r = output_whole(STDOUT_FILENO, head, strlen(head));
		if (r == 0)
			r = output_whole(STDOUT_FILENO, secret_bytes(token), secret_len(token));
		if (r == 0)
			r = output_whole(STDOUT_FILENO, tail, strlen(tail));
	}
	return r == 0 ? EX_OK : cli_fail(cli, EX_IOERR, NULL, "standard output: %s", strerror(-r));
}

int
verb_token(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	CLEANUP_MESSAGE struct message *answer = NULL;
	struct message *m;
	uint64_t seconds = 0;
	int status = arguments_number(args, OPTION_MIN_VALID, 0, MIN_VALID_MAX, &seconds);

	if (status == -EINVAL)
		return cli_fail(cli, EX_USAGE, NULL,
		    "--min-valid wants a number of seconds, at most %d", MIN_VALID_MAX);
	status = link_open(&l, cli, ROLE_KEEPER, TOKEN_PATIENCE);
	if (status != EX_OK)
		return status;
	m = message_new(M_TOKEN_GET);
	message_put_str(m, F_ACCOUNT, args->words[1]);
	if (arguments_has(args, OPTION_MIN_VALID))
		message_put_u64(m, F_MIN_VALID, seconds);
	if (arguments_has(args, OPTION_REJECTED))
		message_put_u64(m, F_REJECTED, 0);
	status = link_send(&l, m);
	if (status == EX_OK)
		status = link_receive(&l, &answer);
	if (status != EX_OK)
		return status;
	if (message_type(answer) == M_TOKEN)
		return print_token(cli, answer);
	status = message_type(answer) == M_KEEPER_DONE ? link_done(cli, answer) : EX_OK;
	return status != EX_OK
		   ? status
		   : cli_fail(cli, EX_PROTOCOL, NULL, "frankd gave neither a token nor an error");
}
