/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ask.h: a secret from a person or a program. From a terminal it is typed and not shown; else it comes by
 * standard input. It never was an argument, so it is in no history and no process list.
 */
#ifndef FRANK_ADMIN_ASK_H
#define FRANK_ADMIN_ASK_H

#include "admin/cli.h"

/*
 * One line: typed behind `prompt`, else the next line of standard input. `what` names it in errors
 * ("the passphrase"). An empty one is refused. EX_OK, or the exit status after saying why not.
 */
int ask_line(const struct cli *cli, const char *prompt, const char *what, struct buf *ret);

/* The same, typed twice where it is typed: for a secret that could not be corrected later. */
int ask_new_line(const struct cli *cli, const char *prompt, const char *what, struct buf *ret);

/* The same, but all of standard input, without a line end at its end, where that is no terminal. */
int ask_all(const struct cli *cli, const char *prompt, const char *what, struct buf *ret);

#endif
