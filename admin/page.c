/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * page.c: see page.h. Colours follow the browser's light or dark scheme; the style is inside, so
 * the policy allows inline styles and nothing else.
 */
#include "admin/page.h"

#include <errno.h>
#include <string.h>

enum { TEXT_MAX = 1500 }; /* three of them, each octet escaped, fit in half a PAGE_MAX */

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:17px/1.5 "
    "system-ui,sans-serif;background:#f3f4f6;color:#1f2933}"
    "main{box-sizing:border-box;max-width:34rem;margin:1.5rem;padding:2.2rem "
    "2.6rem;background:#fff;border-radius:14px;"
    "box-shadow:0 1px 3px #0002,0 10px 30px #0001;border-top:6px solid #52606d}"
    "main.good{border-color:#1f8a4c}main.bad{border-color:#c0392b}"
    "h1{margin:0 0 .6rem;font-size:1.45rem}p{margin:.5rem "
    "0;overflow-wrap:anywhere}.next{font-weight:600}"
    "footer{margin-top:1.4rem;font-size:.85rem;color:#7b8794}"
    "@media(prefers-color-scheme:dark){body{background:#12161b;color:#e4e7eb}main{background:#"
    "1c2229;box-shadow:none}}";

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
	    {200, "OK"},
	    {400, "Bad Request"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {411, "Length Required"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {431, "Request Header Fields Too Large"},
	    {503, "Service Unavailable"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Error";
}

/* Text from outside (an error_description) becomes text on the page, never markup; control
 * characters are dropped, and what is longer than anybody reads is cut. */
static void
put_text(struct buf *b, const char *text)
{
	static const char special[] = "&<>\"'";
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

	for (const char *end = text + strnlen(text, TEXT_MAX); text < end; text++) {
		const char *at = strchr(special, *text);

		if (at != NULL)
			(void)buf_append_str(b, entities[at - special]);
		else if ((unsigned char)*text >= 0x20 && *text != 0x7f)
			(void)buf_append_char(b, *text);
	}
}

static void
put_page(struct buf *b, enum page_kind kind, const char *title, const char *text, const char *next)
{
	static const char *const classes[] = {"good", "bad", "wait"};

	(void)buf_printf(b,
	    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	    "<meta name=\"viewport\" "
	    "content=\"width=device-width,initial-scale=1\"><title>Frank</title>"
	    "<style>%s</style></head><body><main class=\"%s\"><h1>",
	    style, classes[kind]);
	put_text(b, title);
	(void)buf_append_str(b, "</h1><p>");
	put_text(b, text);
	(void)buf_append_str(b, "</p>");
	if (next != NULL) {
		(void)buf_append_str(b, "<p class=\"next\">");
		put_text(b, next);
		(void)buf_append_str(b, "</p>");
	}
	(void)buf_append_str(b, "<footer>Frank, on this computer</footer></main></body></html>\n");
}

int
page_response(struct buf *out, int status, enum page_kind kind, const char *title, const char *text,
    const char *next)
{
	CLEANUP_BUF struct buf body = BUF_INIT(PAGE_MAX / 2);

	put_page(&body, kind, title, text, next);
	(void)buf_printf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
	    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri "
	    "'none'; form-action 'none'; "
	    "frame-ancestors 'none'\r\n"
	    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: "
	    "nosniff\r\n%s"
	    "Connection: close\r\n\r\n",
	    status, reason(status), body.len, status == 405 ? "Allow: GET, HEAD, POST\r\n" : "");
	(void)buf_append(out, buf_str(&body), body.len);
	return body.failed || out->failed ? -ENOBUFS : 0;
}

int
page_redirect(struct buf *out, const char *path)
{
	return buf_printf(out,
	    "HTTP/1.1 303 See Other\r\nLocation: %s\r\nContent-Length: 0\r\nCache-Control: "
	    "no-store\r\n"
	    "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n",
	    path);
}
