/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* verb-reload.c: `frank reload`: a new configuration whole, or the old one stays. */
#include "admin/verbs.h"

enum { RELOAD_PATIENCE = 60 };

int
verb_reload(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	int status = link_open(&l, cli, ROLE_QUEUE, RELOAD_PATIENCE);

	if (status == EX_OK)
		status = link_list(&l, message_new(M_CLIENT_RELOAD), NULL, NULL, NULL);
	if (status != EX_OK)
		return status;
	if (cli->json)
		return cli_print_json(json_pack("{s:b}", "reloaded", 1), EX_OK);
	(void)puts("The configuration was read anew.");
	return EX_OK;
}
