/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sign-ins.h: sign-ins that a page has begun. Each is a `frank authorize --no-browser`, which gives the address to open, listens for the
 * browser's return, and says how it ended.
 */
#ifndef FRANK_CONSOLE_SIGN_INS_H
#define FRANK_CONSOLE_SIGN_INS_H

#include "console/run.h"
#include "httpd/httpd.h"

enum { SIGN_INS_KEPT = 16, SIGN_INS_SECONDS = 15 * 60 };

struct sign_ins;

/* `ended` is called with each that has ended, as GET would answer; borrowed. NULL: no memory. */
struct sign_ins *sign_ins_new(
    struct run_pool *runner, void (*ended)(void *arg, const json_t *sign_in), void *arg);
/* Cancels those under way. Takes and returns NULL. */
struct sign_ins *sign_ins_free(struct sign_ins *s);

/* Begins one, and answers when its address is there, or with its error. */
void sign_ins_begin(struct sign_ins *s, struct httpd_request *r, const char *account, bool paste);

/* Handlers for {id}; their argument is the struct sign_ins. */
void sign_ins_serve(void *arg, struct httpd_request *r);
void sign_ins_answer(void *arg, struct httpd_request *r);
void sign_ins_cancel(void *arg, struct httpd_request *r);

#endif
