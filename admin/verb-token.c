/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* verb-token.c: `frank token`: an access token for another program, alone on standard output. */
#include "admin/verbs.h"

#include <errno.h>
enum { TOKEN_PATIENCE = 90, MIN_VALID_MAX = 24 * 60 * 60 };

static int
print_token(const struct cli *cli, const struct message *m)
{
	CLEANUP_SECRET struct secret *token = message_secret(m, F_SECRET);
	char tail[64];

	if (token == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	if (!secret_is_printable(token, false))
		return cli_fail(
		    cli, EX_PROTOCOL, NULL, "frankd gave a token that holds forbidden characters");
	(void)snprintf(tail, sizeof(tail), "\", \"until\": %llu}\n",
	    (unsigned long long)message_u64(m, F_UNTIL, 0));
	return cli_print_secret(cli, token, "{\"token\": \"", tail);
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
		    "--min-valid needs a number of seconds, at most %d", MIN_VALID_MAX);
	status = link_open(&l, cli, ROLE_KEEPER, TOKEN_PATIENCE);
	if (status != EX_OK)
		return status;
	m = message_new(M_TOKEN_GET);
	message_put_str(m, F_ACCOUNT, args->words[1]);
	if (arguments_has(args, OPTION_MIN_VALID))
		message_put_u64(m, F_MIN_VALID, seconds);
	if (arguments_has(args, OPTION_REJECTED))
		message_put_u64(m, F_REJECTED, 0);
	status = link_exchange(&l, m, M_TOKEN, "token", &answer);
	return status == EX_OK ? print_token(cli, answer) : status;
}
