/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-account.c: `frank account revoke`: a grant is given back to the provider, and then forgotten.
 */
#include "admin/verbs.h"

enum { REVOKE_PATIENCE = 120 };

int
verb_account_revoke(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m = message_new(M_ACCOUNT_REVOKE);
	int status;

	message_put_str(m, F_ACCOUNT, args->words[2]);
	message_put_u64(m, F_FLAGS, arguments_has(args, OPTION_LOCAL));
	status = link_ask(cli, ROLE_KEEPER, REVOKE_PATIENCE, m, NULL, NULL, &done);
	if (status == EX_OK)
		status = link_done(cli, done);
	if (status == EX_OK && cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s, s:b, s:s*}", "action", "revoke", "account",
			args->words[2], "local", arguments_has(args, OPTION_LOCAL), "text",
			message_str(done, F_TEXT)),
		    EX_OK);
	if (status == EX_OK)
		cli_put_field(cli, 0, "", 0, COLOUR_NONE, message_str(done, F_TEXT));
	return status;
}
