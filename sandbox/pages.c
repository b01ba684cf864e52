/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * pages.c: see pages.h. No script, no outside resource: the pages work in any browser and under the
 * strictest policy.
 */
#include "sandbox/pages.h"

#include <string.h>

static const char HEAD[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";

static const char STYLE[] =
    "</title>\n<style>\n"
    ":root{color-scheme:light "
    "dark;--ink:#1c2330;--soft:#5b6575;--paper:#fff;--ground:#eef1f6;--line:#cfd6e1;--mark:#1d4ed8;"
    "--bad:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8ecf3;--soft:#9aa6b8;--paper:#1b212c;--ground:"
    "#10141b;--line:#384252;"
    "--mark:#7ea6ff;--bad:#ff8a80}}\n"
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "background:var(--ground);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "main{width:min(26rem,calc(100vw - 2rem));background:var(--paper);border:1px solid "
    "var(--line);border-radius:14px;padding:2rem;"
    "box-shadow:0 12px 40px #0002}\n"
    ".brand{display:flex;align-items:center;gap:.6rem;color:var(--soft);font-size:.85rem;margin-"
    "bottom:1.2rem}\n"
    ".stamp{width:1.9rem;height:1.9rem;border:2px dashed "
    "var(--mark);border-radius:6px;display:grid;place-items:center;color:var(--mark);"
    "font-weight:700}\n"
    "h1{font-size:1.35rem;line-height:1.25;margin:0 0 .4rem}p{margin:.4rem 0 "
    "1rem;color:var(--soft)}b{color:var(--ink)}\n"
    "label{display:block;font-size:.9rem;margin-bottom:.9rem}input{display:block;width:100%;margin-"
    "top:.3rem;padding:.65rem .75rem;"
    "font:inherit;color:inherit;background:transparent;border:1px solid "
    "var(--line);border-radius:8px}\n"
    "input:focus-visible,button:focus-visible{outline:2px solid var(--mark);outline-offset:2px}\n"
    "button{width:100%;padding:.7rem;font:inherit;font-weight:600;border-radius:8px;border:1px "
    "solid var(--mark);background:var(--mark);"
    "color:var(--paper);cursor:pointer}\n"
    ".quiet "
    "button{margin-top:.6rem;background:transparent;border-color:var(--line);color:var(--ink)}\n"
    "ul{list-style:none;margin:0 0 1.2rem;padding:0;border:1px solid "
    "var(--line);border-radius:8px}li{padding:.6rem .8rem}"
    "li+li{border-top:1px solid var(--line)}li "
    "small{display:block;color:var(--soft);font-family:ui-monospace,monospace}\n"
    ".err{color:var(--bad);border-left:3px solid var(--bad);padding-left:.7rem}\n"
    "footer{margin-top:1.4rem;font-size:.8rem;color:var(--soft)}\n"
    "</style></head>\n<body><main><div class=\"brand\"><span class=\"stamp\" "
    "aria-hidden=\"true\">F</span>frank-sandbox</div>\n<h1>";

static const char FOOT[] = "<footer>A provider for trials. It runs on this machine, and no mail "
			   "leaves it.</footer>\n</main></body></html>\n";

/* Text for HTML: & < > " ' become references. */
static void
html_escape(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
		case '<':
		case '>':
		case '"':
		case '\'':
			(void)buf_printf(out, "&#%d;", *text);
			break;
		default:
			(void)buf_append_char(out, *text);
		}
	}
}

/* Appends the parts in order; every second one, beginning with the second, is text from outside.
 * Ends at NULL. */
static void
compose(struct buf *out, const char *const *parts)
{
	size_t i;

	for (i = 0; parts[i] != NULL; i++) {
		if (i % 2 == 0)
			(void)buf_append_str(out, parts[i]);
		else
			html_escape(out, parts[i]);
	}
}
#define COMPOSE(out, ...) compose(out, (const char *const[]){__VA_ARGS__, NULL})

static void
begin(struct buf *out, const char *title)
{
	COMPOSE(out, HEAD, title, STYLE, title, "</h1>\n");
}

/* What a scope means, for a person. */
static const char *
scope_text(const char *word, size_t len)
{
	static const struct {
		const char *word, *text;
	} texts[] = {
	    {"openid", "Know who you are"},
	    {"email", "See your mail address"},
	    {"mail.send", "Send mail as you"},
	    {"offline_access", "Keep this permission while you are away"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (strlen(texts[i].word) == len && memcmp(texts[i].word, word, len) == 0)
			return texts[i].text;
	return "";
}

void
page_sign_in(
    struct buf *out, const char *client, const char *login, const char *request, const char *error)
{
	begin(out, "Sign in");
	COMPOSE(out, "<p>to continue to <b>", client, "</b></p>\n");
	if (error != NULL)
		COMPOSE(out, "<p class=\"err\" role=\"alert\">", error, "</p>\n");
	COMPOSE(out,
	    "<form method=\"post\" action=\"/sign-in\"><input type=\"hidden\" name=\"request\" "
	    "value=\"",
	    request,
	    "\">\n<label>Address <input name=\"login\" type=\"email\" autocomplete=\"username\" "
	    "required value=\"",
	    login,
	    "\"></label>\n<label>Password <input name=\"password\" type=\"password\" "
	    "autocomplete=\"current-password\" required "
	    "autofocus></label>\n<button name=\"signin\" value=\"1\">Sign in</button></form>\n"
	    "<form class=\"quiet\" method=\"post\" action=\"/deny\"><input type=\"hidden\" "
	    "name=\"request\" value=\"",
	    request, "\"><button name=\"cancel\" value=\"1\">Cancel</button></form>\n", "", FOOT);
}

void
page_consent(struct buf *out, const char *client, const char *account, const char *scope,
    const char *request)
{
	begin(out, "Allow access?");
	COMPOSE(out, "<p><b>", client, "</b> asks to act for <b>", account,
	    "</b>. It will be able to:</p>\n<ul>");
	while (*scope != '\0') {
		size_t n = strcspn(scope, " ");
		char word[128];

		if (n > 0 && n < sizeof(word)) {
			memcpy(word, scope, n);
			word[n] = '\0';
			COMPOSE(out, "<li>", scope_text(word, n), "<small>", word, "</small></li>");
		}
		scope += n + (scope[n] == ' ');
	}
	COMPOSE(out,
	    "</ul>\n<form method=\"post\" action=\"/consent\"><input type=\"hidden\" "
	    "name=\"request\" value=\"",
	    request,
	    "\"><button name=\"allow\" value=\"1\">Allow</button></form>\n"
	    "<form class=\"quiet\" method=\"post\" action=\"/deny\"><input type=\"hidden\" "
	    "name=\"request\" value=\"",
	    request, "\"><button name=\"cancel\" value=\"1\">Deny</button></form>\n", "", FOOT);
}

void
page_device(struct buf *out, const char *code, const char *error)
{
	begin(out, "Connect a device");
	COMPOSE(out, "<p>Enter the code that your device shows.</p>\n");
	if (error != NULL)
		COMPOSE(out, "<p class=\"err\" role=\"alert\">", error, "</p>\n");
	COMPOSE(out,
	    "<form method=\"post\" action=\"/device\"><label>Code <input name=\"user_code\" "
	    "autocomplete=\"off\" "
	    "spellcheck=\"false\" required autofocus value=\"",
	    code, "\"></label>\n<button name=\"continue\" value=\"1\">Continue</button></form>\n",
	    "", FOOT);
}

void
page_done(struct buf *out, const char *title, const char *text)
{
	begin(out, title);
	COMPOSE(out, "<p>", text, "</p>\n", "", FOOT);
}

void
page_error(struct buf *out, const char *title, const char *text)
{
	begin(out, title);
	COMPOSE(out, "<p class=\"err\" role=\"alert\">", text, "</p>\n", "", FOOT);
}
