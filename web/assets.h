/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* assets.h: the pages' files, as they are built into the programs that serve them. */
#ifndef FRANK_WEB_ASSETS_H
#define FRANK_WEB_ASSETS_H

#include <stddef.h>

/* What the pages may load and run: their server's own files, and nothing else. */
#define WEB_POLICY                                                                        \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
	"connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "     \
	"frame-ancestors 'none'"

struct web_asset {
	const char *name; /* "inbox.js"; of the address /web/inbox.js */
	const char *type; /* of Content-Type */
	const char *etag; /* changes with the bytes; in its quotes */
	const char *bytes;
	size_t len;
};

/* All files; one without a name ends them. embed.py writes them. */
extern const struct web_asset web_assets[];

#endif
