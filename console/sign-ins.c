/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sign-ins.c: see sign-ins.h. What frank authorize prints: maybe sentences, then the address on a line of its own, of a device grant
 * directly followed by the line with the code, and at its end how it went. The two lines come in one write, which a pipe keeps together.
 */
#include "console/sign-ins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#include "base/attr.h"
#include "base/buf.h"

enum { FIRST_SECONDS = 60, TEXT_MAX = 16 * 1024, CODE_MAX = 64 };

struct page_sign_in {
	TAILQ_ENTRY(page_sign_in) link;
	struct sign_ins *all;
	unsigned id;
	char *account, *url, *code;
	struct buf text;         /* what was said else */
	struct run_process *run; /* NULL: it has ended */
	int status;
	bool paste, url_came_last;   /* the line before was the address */
	struct httpd_request *begun; /* waits for the address; NULL: it was answered */
};

struct sign_ins {
	struct run_pool *runner;
	void (*ended)(void *arg, const json_t *sign_in);
	void *arg;
	TAILQ_HEAD(, page_sign_in) list;
	unsigned count, last_id;
};

static void
sign_in_free(struct page_sign_in *s)
{
	TAILQ_REMOVE(&s->all->list, s, link);
	s->all->count--;
	(void)run_cancel(s->run);
	buf_free(&s->text);
	free(s->account);
	free(s->url);
	free(s->code);
	free(s);
}

static json_t *
describe(const struct page_sign_in *s)
{
	json_t *o = json_pack("{s:o, s:s, s:s, s:s*, s:s*, s:b}", "id", json_sprintf("%u", s->id),
	    "account", s->account, "state",
	    s->run != NULL       ? "waiting"
	    : s->status == EX_OK ? "done"
				 : "failed",
	    "url", s->url, "code", s->code, "paste", s->paste);

	if (o != NULL && s->text.len > 0)
		(void)json_object_set_new(o, "text", json_string(buf_str(&s->text)));
	return o;
}

/* There is no address: what frank said, and its next step if there is one. */
static void
answer_failed(const struct page_sign_in *s, struct httpd_request *r)
{
	static const char mark[] = "\nNext: ";
	const char *text = s->text.len > 0 ? buf_str(&s->text) : "the sign-in could not be begun",
		   *next = strstr(text, mark);
	int status = s->status == EX_NOPERM ? 403 : s->status == EX_NOUSER ? 404 : 502;

	httpd_reply_json(r, status,
	    json_pack("{s:s%, s:s*}", "error", text,
		next == NULL ? strlen(text) : (size_t)(next - text), "next",
		next == NULL ? NULL : next + strlen(mark)));
}

/* The first answer: the address, or why there is none. */
static void
answer_begun(struct page_sign_in *s)
{
	struct httpd_request *r = TAKE_PTR(s->begun);

	if (r == NULL)
		return;
	if (s->url != NULL)
		httpd_reply_json(r, 200, describe(s));
	else
		answer_failed(s, r);
}

/* Its time has come: the address is there, or the client has gone, or nothing came in time. */
static void
on_begun(void *arg, struct httpd_request *r, bool gone)
{
	struct page_sign_in *s = arg;

	if (gone)
		s->begun = NULL;
	else
		answer_begun(s);
}

static bool
is_address(const char *line)
{
	return (strncmp(line, "https://", 8) == 0 || strncmp(line, "http://", 7) == 0) &&
	       strchr(line, ' ') == NULL;
}

static void
on_line(void *arg, const char *line)
{
	struct page_sign_in *s = arg;
	bool first = s->url == NULL && is_address(line);

	if (first) {
		s->url = strdup(line);
		s->paste |= s->text.len > 0; /* it has said why no browser will come back */
		/* from the loop, when the line with the code was taken too */
		if (s->begun != NULL && httpd_later(s->begun, 0, on_begun, s) < 0)
			answer_begun(s);
	} else if (s->url_came_last && strlen(line) < CODE_MAX && strchr(line, ' ') == NULL) {
		s->code = strdup(line);
	} else if (*line != '\0') {
		(void)buf_printf(&s->text, "%s%s", s->text.len > 0 ? "\n" : "",
		    strncmp(line, "frank: ", 7) == 0 ? line + 7 : line);
	}
	s->url_came_last = first;
}

static void
on_done(void *arg, int status, const char *text, size_t len)
{
	struct page_sign_in *s = arg;
	json_t *o;

	s->run = NULL;
	s->status = status;
	answer_begun(s);
	o = describe(s);
	s->all->ended(s->all->arg, o);
	json_decref(o);
}

static struct page_sign_in *
new_sign_in(struct sign_ins *all, const char *account, bool paste)
{
	struct page_sign_in *s, *oldest = TAILQ_FIRST(&all->list);

	if (all->count == SIGN_INS_KEPT) {
		while (oldest != NULL && oldest->run != NULL)
			oldest = TAILQ_NEXT(oldest, link);
		if (oldest == NULL)
			return NULL;
		sign_in_free(oldest);
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->all = all;
	s->id = ++all->last_id;
	s->paste = paste;
	s->account = strdup(account);
	buf_init(&s->text, TEXT_MAX);
	TAILQ_INSERT_TAIL(&all->list, s, link);
	all->count++;
	return s;
}

void
sign_ins_begin(struct sign_ins *all, struct httpd_request *r, const char *account, bool paste)
{
	const char *arguments[] = {
	    "authorize", paste ? "--paste" : "--no-browser", "--", account, NULL};
	struct page_sign_in *s = new_sign_in(all, account, paste);

	if (s != NULL)
		s->run = run_start(all->runner, &(struct run_options){.arguments = arguments,
						    .seconds = SIGN_INS_SECONDS,
						    .input = true,
						    .errors = true,
						    .line = on_line,
						    .done = on_done,
						    .arg = s});
	if (s == NULL || s->run == NULL || s->account == NULL) {
		if (s != NULL)
			sign_in_free(s);
		httpd_reply_error(r, 503, "too many sign-ins are under way");
		return;
	}
	s->begun = r;
	if (httpd_later(r, FIRST_SECONDS * 1000, on_begun, s) < 0)
		answer_begun(s);
}

/* ---- later ---- */

static struct page_sign_in *
find(struct sign_ins *all, struct httpd_request *r)
{
	const char *id = httpd_parameter(r, "id");
	struct page_sign_in *s;
	char number[16];

	TAILQ_FOREACH (s, &all->list, link) {
		(void)snprintf(number, sizeof(number), "%u", s->id);
		if (id != NULL && strcmp(number, id) == 0)
			return s;
	}
	httpd_reply_error(r, 404, "there is no such sign-in, or it was long ago");
	return NULL;
}

void
sign_ins_serve(void *arg, struct httpd_request *r)
{
	struct page_sign_in *s = find(arg, r);

	if (s != NULL)
		httpd_reply_json(r, 200, describe(s));
}

void
sign_ins_answer(void *arg, struct httpd_request *r)
{
	struct page_sign_in *s = find(arg, r);
	json_t *body = s == NULL ? NULL : httpd_body_json(r);
	const char *address = json_string_value(json_object_get(body, "address"));
	struct buf line CLEANUP_BUF = BUF_INIT_WIPE(RUN_INPUT_MAX);

	if (body == NULL)
		return;
	if (address == NULL || strpbrk(address, "\r\n") != NULL ||
	    buf_printf(&line, "%s\n", address) < 0)
		httpd_reply_error(
		    r, 400, "\"address\" has to be the address at which the browser ended");
	else if (s->run == NULL || run_write(s->run, buf_str(&line), line.len) < 0)
		httpd_reply_error(r, 409, "this sign-in waits for no address");
	else
		httpd_reply_json(r, 200, describe(s));
	json_decref(body);
}

void
sign_ins_cancel(void *arg, struct httpd_request *r)
{
	struct page_sign_in *s = find(arg, r);

	if (s == NULL)
		return;
	if (s->run != NULL) {
		s->run = run_cancel(s->run);
		s->status = RUN_ENDED;
		(void)buf_printf(
		    &s->text, "%sCancelled; nothing was changed.", s->text.len > 0 ? "\n" : "");
		answer_begun(s);
	}
	httpd_reply_json(r, 200, describe(s));
}

struct sign_ins *
sign_ins_new(struct run_pool *runner, void (*ended)(void *arg, const json_t *sign_in), void *arg)
{
	struct sign_ins *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->runner = runner;
	s->ended = ended;
	s->arg = arg;
	TAILQ_INIT(&s->list);
	return s;
}

struct sign_ins *
sign_ins_free(struct sign_ins *s)
{
	if (s == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&s->list))
		sign_in_free(TAILQ_FIRST(&s->list));
	free(s);
	return NULL;
}
