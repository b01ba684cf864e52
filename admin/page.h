/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * page.h: what the browser shows at the end of a sign-in: small static pages, with nothing to load
 * and no script. Pure.
 */
#ifndef FRANK_ADMIN_PAGE_H
#define FRANK_ADMIN_PAGE_H

#include "base/buf.h"

/* The limit of a response, whatever its texts are. */
enum { PAGE_MAX = 64 * 1024 };

enum page_kind { PAGE_GOOD, PAGE_BAD, PAGE_WAIT };

/*
 * Appends a whole HTTP response: status line, headers and the page. Texts are escaped; `next` may
 * be NULL. The headers forbid scripts, frames, caching and referrers. 0, -ENOMEM, -ENOBUFS.
 */
int page_response(struct buf *out, int status, enum page_kind kind, const char *title,
    const char *text, const char *next);

/*
 * Appends a response that redirects the browser to `path`, so that the address with the code does not
 * stay in its address bar and history. 0, -ENOMEM, -ENOBUFS.
 */
int page_redirect(struct buf *out, const char *path);

#endif
