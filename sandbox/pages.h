/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * pages.h: the pages that a person sees.
 *
 * Each appends a whole HTML document to `out`; a failure to do so is remembered in out->failed.
 * Texts from outside are escaped here.
 */
#ifndef FRANK_SANDBOX_PAGES_H
#define FRANK_SANDBOX_PAGES_H

#include "base/buf.h"

enum { PAGE_MAX = 64 * 1024 };

/* `error` NULL: none. `request` names the authorization request in the forms. */
void page_sign_in(
    struct buf *out, const char *client, const char *login, const char *request, const char *error);
void page_consent(struct buf *out, const char *client, const char *account, const char *scope,
    const char *request);
/* Asks for the code that a device shows. `code` may be empty; `error` NULL: none. */
void page_device(struct buf *out, const char *code, const char *error);
/* That something is done. */
void page_done(struct buf *out, const char *title, const char *text);
/* What went wrong, where the browser cannot be sent back to the program that sent it. */
void page_error(struct buf *out, const char *title, const char *text);

#endif
