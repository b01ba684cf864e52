/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* api.c: see api.h. Nearly every answer is what `frank VERB --json` prints. */
#include "console/api.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "config.h"
#include "console/ask.h"
#include "console-openapi.h"
#include "web/serve.h"

enum { ASK_SECONDS = 60, CHECK_SECONDS = 300, NAME_SIZE = 256 };

struct console_api {
	struct console_api_parts parts;
	struct sign_ins *sign_ins;
	json_t *checks; /* account: {"account", "time", "result"} */
};

/* ---- who asks ---- */

bool
console_api_admit(void *api, struct httpd_request *r)
{
	const struct console_api *a = api;

	if (!entry_admit(a->parts.entry, r))
		return false;
	if (strncmp(httpd_path(r), "/api/v1/", 8) == 0 || strcmp(httpd_path(r), "/api/events") == 0)
		captured_mail_want(a->parts.captured);
	if (httpd_method(r) == HTTPD_GET || figures_administrator(a->parts.figures))
		return true;
	httpd_reply_json(r, 403,
	    json_pack("{s:s, s:s}", "error", "Only administrators change something here.", "next",
		"what you may do with your own mail, the command frank does: frank queue"));
	return false;
}

static void
get_session(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;
	const struct passwd *pw = getpwuid(geteuid());
	char host[NAME_SIZE] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		*host = '\0';
	httpd_reply_json(r, 200,
	    json_pack("{s:o, s:b, s:s, s:s, s:s}", "user",
		pw != NULL ? json_string(pw->pw_name) : json_sprintf("%u", (unsigned)geteuid()),
		"administrator", (int)figures_administrator(a->parts.figures), "version",
		FRANK_VERSION, "host", host, "token", entry_guard(a->parts.entry)));
}

/* ---- asking ---- */

static void
get_status(void *arg, struct httpd_request *r)
{
	static const char *const arguments[] = {"status", "--json", NULL};
	const struct console_api *a = arg;

	ask(a->parts.runner, r, arguments, ASK_SECONDS, NULL, NULL);
}

static void
get_services(void *arg, struct httpd_request *r)
{
	static const char *const arguments[] = {"service", "list", "--json", NULL};
	const struct console_api *a = arg;

	ask(a->parts.runner, r, arguments, ASK_SECONDS, NULL, NULL);
}

static void
get_deliveries(void *arg, struct httpd_request *r)
{
	static const char *const arguments[] = {"test", "deliver", "--history", "--json", NULL};
	const struct console_api *a = arg;

	ask(a->parts.runner, r, arguments, ASK_SECONDS, NULL, NULL);
}

static void
get_queue(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;
	const char *arguments[8] = {"queue", "--json"};
	const char *account = httpd_query(r, "account"), *service = httpd_query(r, "service");
	size_t n = 2;

	if (httpd_query(r, "captured") != NULL)
		arguments[n++] = "--captured";
	if (account != NULL) {
		arguments[n++] = "--account";
		arguments[n++] = account;
	}
	if (service != NULL) {
		arguments[n++] = "--service";
		arguments[n++] = service;
	}
	ask(a->parts.runner, r, arguments, ASK_SECONDS, NULL, NULL);
}

static void
get_message(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;
	const char *arguments[] = {"queue", "show", "--json", "--", httpd_parameter(r, "id"), NULL};

	ask(a->parts.runner, r, arguments, ASK_SECONDS, NULL, NULL);
}

static void
get_content(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;
	const char *arguments[] = {
	    "queue", "show", "--content", "--", httpd_parameter(r, "id"), NULL};

	ask_plain(a->parts.runner, r, arguments, ASK_SECONDS, "text/plain; charset=utf-8");
}

/* ---- doing ---- */

static void
on_acted(void *arg, bool ok, const json_t *answer)
{
	const struct console_api *a = arg;

	feed_change(a->parts.feed, true, true);
}

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static void
post_message(void *arg, struct httpd_request *r)
{
	static const char *const actions[] = {"retry", "hold", "release", "delete", NULL};
	struct console_api *a = arg;
	const char *action = httpd_parameter(r, "action");
	const char *arguments[] = {"queue", action, "--json", "--", httpd_parameter(r, "id"), NULL};

	if (is_one_of(action, actions))
		ask(a->parts.runner, r, arguments, ASK_SECONDS, on_acted, a);
	else
		httpd_reply_error(r, 404, "a message can be retried, held, released and deleted");
}

static void
post_account(void *arg, struct httpd_request *r)
{
	static const char *const actions[] = {"retry", "hold", "release", NULL};
	struct console_api *a = arg;
	const char *action = httpd_parameter(r, "action");
	const char *arguments[] = {
	    "account", action, "--json", "--", httpd_parameter(r, "account"), NULL};

	if (is_one_of(action, actions))
		ask(a->parts.runner, r, arguments, ASK_SECONDS, on_acted, a);
	else
		httpd_reply_error(r, 404, "an account can be retried, held and released");
}

/* ---- checks ---- */

static void
on_checked(void *arg, bool ok, const json_t *answer)
{
	struct console_api *a = arg;
	const char *account = json_string_value(json_object_get(answer, "account"));
	json_t *check;

	if (!ok || account == NULL)
		return;
	check = json_pack("{s:s, s:I, s:O}", "account", account, "time", (json_int_t)time(NULL),
	    "result", answer);
	if (check == NULL)
		return;
	(void)json_object_set(a->checks, account, check);
	feed_tell(a->parts.feed, "check", check);
}

static void
post_check(void *arg, struct httpd_request *r)
{
	struct console_api *a = arg;
	const char *arguments[] = {"check", "--json", "--", httpd_parameter(r, "account"), NULL};

	ask(a->parts.runner, r, arguments, CHECK_SECONDS, on_checked, a);
}

static void
get_checks(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;
	json_t *list = json_array(), *check;
	const char *account;

	json_object_foreach(a->checks, account, check)(void) json_array_append(list, check);
	httpd_reply_json(r, 200, json_pack("{s:o}", "checks", list));
}

/* ---- sign-ins ---- */

static void
on_sign_in(void *arg, const json_t *sign_in)
{
	struct console_api *a = arg;

	feed_tell(a->parts.feed, "authorization", json_deep_copy(sign_in));
	feed_change(a->parts.feed, true, true);
}

static void
post_authorize(void *arg, struct httpd_request *r)
{
	struct console_api *a = arg;
	json_t *body = NULL;
	size_t len;

	if (httpd_body(r, &len), len > 0) {
		body = httpd_body_json(r);
		if (body == NULL)
			return;
	}
	sign_ins_begin(a->sign_ins, r, httpd_parameter(r, "account"),
	    json_is_true(json_object_get(body, "paste")));
	json_decref(body);
}

static void
get_sign_in(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;

	sign_ins_serve(a->sign_ins, r);
}

static void
delete_sign_in(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;

	sign_ins_cancel(a->sign_ins, r);
}

static void
post_answer(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;

	sign_ins_answer(a->sign_ins, r);
}

/* ---- the rest ---- */

static void
get_figures(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;

	figures_serve(a->parts.figures, r);
}

static void
get_events(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;

	feed_serve(a->parts.feed, r);
}

static void
get_webui(void *arg, struct httpd_request *r)
{
	const struct console_api *a = arg;
	bool may = figures_administrator(a->parts.figures);

	httpd_reply_json(r, 200,
	    json_pack("{s:s, s:{s:b, s:[]}, s:b}", "Label", "frank console", "MessageRelay",
		"Enabled", (int)may, "Allow", "HideDeleteAllButton", (int)!may));
}

static void
get_openapi(void *arg, struct httpd_request *r)
{
	httpd_reply(r, 200, "application/json", openapi, sizeof(openapi) - 1);
}

static void
get_page(void *arg, struct httpd_request *r)
{
	web_serve(r, "console.html");
}

static void
get_inbox(void *arg, struct httpd_request *r)
{
	web_serve(r, "inbox.html");
}

static const struct httpd_route routes[] = {
    {HTTPD_GET, "/", get_page},
    {HTTPD_GET, "/inbox", get_inbox},
    {HTTPD_GET, "/web/{name}", web_serve_named},
    {HTTPD_GET, "/api/console/session", get_session},
    {HTTPD_GET, "/api/console/status", get_status},
    {HTTPD_GET, "/api/console/services", get_services},
    {HTTPD_GET, "/api/console/queue", get_queue},
    {HTTPD_GET, "/api/console/queue/{id}", get_message},
    {HTTPD_GET, "/api/console/queue/{id}/content", get_content},
    {HTTPD_POST, "/api/console/queue/{id}/{action}", post_message},
    {HTTPD_POST, "/api/console/accounts/{account}/authorize", post_authorize},
    {HTTPD_POST, "/api/console/accounts/{account}/check", post_check},
    {HTTPD_POST, "/api/console/accounts/{account}/{action}", post_account},
    {HTTPD_GET, "/api/console/checks", get_checks},
    {HTTPD_GET, "/api/console/deliveries", get_deliveries},
    {HTTPD_GET, "/api/console/authorizations/{id}", get_sign_in},
    {HTTPD_DELETE, "/api/console/authorizations/{id}", delete_sign_in},
    {HTTPD_POST, "/api/console/authorizations/{id}/answer", post_answer},
    {HTTPD_GET, "/api/console/figures", get_figures},
    {HTTPD_GET, "/api/console/events", get_events},
    {HTTPD_GET, "/api/console/openapi.json", get_openapi},
    {HTTPD_GET, "/api/v1/webui", get_webui},
    {0},
};

int
console_api_routes(struct console_api *a, struct httpd *h)
{
	int r = httpd_add_routes(h, routes, a);

	return r < 0 ? r : captured_mail_routes(a->parts.captured, h);
}

struct console_api *
console_api_new(const struct console_api_parts *parts)
{
	struct console_api *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->parts = *parts;
	a->checks = json_object();
	a->sign_ins = sign_ins_new(parts->runner, on_sign_in, a);
	return a->checks == NULL || a->sign_ins == NULL ? console_api_free(a) : a;
}

struct console_api *
console_api_free(struct console_api *a)
{
	if (a == NULL)
		return NULL;
	(void)sign_ins_free(a->sign_ins);
	json_decref(a->checks);
	free(a);
	return NULL;
}
