/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * html.h: HTML of a mail as text, and as a document that may be shown.
 *
 * Neither makes HTML safe: a browser shows it under a Content-Security-Policy with `sandbox` (api.c), and that is what
 * keeps it from doing harm. Here goes out what such a policy does not cover: <meta> (refresh), <base>, and <link>
 * (name look-ups ahead of time).
 */
#ifndef FRANK_INBOX_HTML_H
#define FRANK_INBOX_HTML_H

#include <stddef.h>

#include "base/buf.h"

/* Appends what a reader would see, without tags, scripts and styles; entities decoded, blocks on lines of their own.
 * 0 or negative errno. */
int html_to_text(struct buf *out, const char *html, size_t len);

/* The address to put in place of "cid:ID" (ID is percent-decoded); appends it and returns true, or false: it stays. */
typedef bool html_cid(void *arg, const char *id, struct buf *out);

/* Appends the document without the elements named above and with cid: addresses resolved. 0 or negative errno. */
int html_for_view(struct buf *out, const char *html, size_t len, html_cid *resolve, void *arg);

#endif
