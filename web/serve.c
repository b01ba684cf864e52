/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* serve.c: see serve.h. Browsers may keep a file, but ask each time whether it is still the same: an upgrade shows at once. */
#include "web/serve.h"

#include <string.h>

#include "web/assets.h"

void
web_serve(struct httpd_request *r, const char *name)
{
	const char *has = httpd_header(r, "If-None-Match");
	const struct web_asset *a = web_assets;

	while (a->name != NULL && strcmp(a->name, name) != 0)
		a++;
	if (a->name == NULL) {
		httpd_reply_error(r, 404, "There is no such file.");
		return;
	}
	httpd_set_header(r, "Cache-Control", "no-cache");
	httpd_set_header(r, "ETag", a->etag);
	httpd_set_header(r, "Content-Security-Policy", WEB_POLICY);
	if (has != NULL && strcmp(has, a->etag) == 0)
		httpd_reply(r, 304, a->type, "", 0);
	else
		httpd_reply(r, 200, a->type, a->bytes, a->len);
}

void
web_serve_named(void *arg, struct httpd_request *r)
{
	web_serve(r, httpd_parameter(r, "name"));
}
