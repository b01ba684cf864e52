/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* verb-reload.c: `frank reload`: a new configuration whole, or the old one stays. */
#include "admin/verbs.h"

enum { RELOAD_PATIENCE = 60 };

int
verb_reload(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	int status = link_ask(
	    cli, ROLE_QUEUE, RELOAD_PATIENCE, message_new(M_CLIENT_RELOAD), NULL, NULL, &done);
	const char *warnings;

	if (status == EX_OK)
		status = link_done(cli, done);
	if (status != EX_OK)
		return status;
	warnings = message_str(done, F_WARNING);
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:b, s:s*}", "reloaded", 1, "warnings", warnings), EX_OK);
	/* what frankd --check would have said */
	if (warnings != NULL)
		(void)fputs(warnings, stderr);
	(void)puts("The configuration was read again.");
	return EX_OK;
}
