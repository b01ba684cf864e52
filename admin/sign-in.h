/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sign-in.h: the ways of `frank authorize` that need no browser on this machine, and what they
 * share with the one that does (verb-authorize.c). Each returns an exit status, errors having been
 * said.
 */
#ifndef FRANK_ADMIN_SIGN_IN_H
#define FRANK_ADMIN_SIGN_IN_H

#include "admin/cli.h"

/* How an account's sign-in is configured, as keeper reports it. */
struct sign_in_conf {
	char host[256], path[256]; /* of the redirect address */
	bool https;                /* its scheme: then nothing listens there */
	bool device;               /* grant = "device-code" */
	unsigned port;             /* 0: any */
};

/* Writes the redirect address, without the port if it is the scheme's default, as in a registration. */
void sign_in_uri(const struct sign_in_conf *conf, unsigned port, char *ret, size_t size);

/* Appends the address of AUTHORIZE_URL, after checking that it is a printable web address. EX_OK or a status. */
int sign_in_url(const struct cli *cli, const struct message *m, struct buf *ret);

/* Reports how the sign-in ended (KEEPER_DONE), and asks keeper for the account's state. */
int sign_in_report(
    const struct cli *cli, struct link *l, const char *account, const struct message *done);

/* Signs in by a code that is typed in on another device, and waits for the outcome. `for_program`:
 * the first two lines of standard output are the address and the code. */
int sign_in_by_code(const struct cli *cli, struct link *l, const char *account, bool for_program);

/* Prints a text for the mailbox's owner with the address to open. `port` 0: the configured one. */
int sign_in_invite(const struct cli *cli, struct link *l, const char *account,
    const struct sign_in_conf *conf, unsigned port);
/* Takes the address that the owner sent back, from the terminal or standard input. */
int sign_in_finish(const struct cli *cli, struct link *l, const char *account);

#endif
