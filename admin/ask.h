/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ask.h: reads a secret from a person or a program. On a terminal it is typed and not shown; otherwise
 * it comes from standard input. It is never an argument, so no history or process list has it.
 */
#ifndef FRANK_ADMIN_ASK_H
#define FRANK_ADMIN_ASK_H

#include "admin/cli.h"

/*
 * Reads one line: typed behind `prompt`, or the next line of standard input. `what` names the secret in
 * errors ("the passphrase"). An empty line is refused. EX_OK, or the exit status after saying why.
 */
int ask_line(const struct cli *cli, const char *prompt, const char *what, struct buf *ret);

/* The same, but a person types it twice: for a secret that cannot be corrected later. */
int ask_new_line(const struct cli *cli, const char *prompt, const char *what, struct buf *ret);

/* The same, but without a terminal it reads all of standard input and drops the last line end. */
int ask_all(const struct cli *cli, const char *prompt, const char *what, struct buf *ret);

#endif
