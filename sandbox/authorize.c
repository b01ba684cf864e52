/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorize.c: the authorization endpoint and the pages behind it.
 *
 * An authorization request is checked once, when it comes, and kept under a random name; the forms
 * carry that name alone. It serves one sign-in and one answer, and is forgotten after ten minutes.
 * Mistakes in client_id and redirect_uri are shown to the person and never sent to the address
 * given (RFC 6749 section 4.1.2.1); all others go back with `error`, `state` and `iss`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/codec.h"
#include "base/log.h"
#include "sandbox/endpoints.h"
#include "sandbox/pages.h"

enum { REQUEST_LIFE = 600, REQUESTS_MAX = 256 };

struct authorization {
	TAILQ_ENTRY(authorization) link;
	char name[48];
	uint64_t until;
	const struct sandbox_account *account; /* once signed in */
	char user_code
	    [DEVICE_USER_CODE_SIZE]; /* of the device that it is for; empty: it came by a redirect */
	struct form form;            /* the parameters of the request */
};

struct authorizations {
	TAILQ_HEAD(, authorization) list;
	unsigned count;
};

struct authorizations *
authorize_new(void)
{
	struct authorizations *a = calloc(1, sizeof(*a));

	if (a != NULL)
		TAILQ_INIT(&a->list);
	return a;
}

static void
forget(struct authorizations *all, struct authorization *a)
{
	TAILQ_REMOVE(&all->list, a, link);
	all->count--;
	form_clear(&a->form);
	free(a);
}

struct authorizations *
authorize_free(struct authorizations *all)
{
	struct authorization *a;

	if (all == NULL)
		return NULL;
	while ((a = TAILQ_FIRST(&all->list)) != NULL)
		forget(all, a);
	free(all);
	return NULL;
}

/* False: no memory, and `to` is empty. */
static bool
copy_form(struct form *to, const struct form *from)
{
	for (to->count = 0; to->count < from->count; to->count++) {
		struct form_field *field = &to->fields[to->count];

		field->name = strdup(from->fields[to->count].name);
		field->value = strdup(from->fields[to->count].value);
		if (field->name == NULL || field->value == NULL) {
			free(field->name);
			free(field->value);
			form_clear(to);
			return false;
		}
	}
	return true;
}

/* Keeps a request with a copy of its parameters. The oldest give way to new ones. */
static struct authorization *
keep(struct authorizations *all, const struct form *form, uint64_t now)
{
	struct authorization *a = calloc(1, sizeof(*a));
	struct buf name CLEANUP_BUF = BUF_INIT(sizeof(a->name) - 1);

	if (a == NULL || sandbox_random_text(&name, 24) < 0 || !copy_form(&a->form, form)) {
		free(a);
		return NULL;
	}
	while (all->count >= REQUESTS_MAX)
		forget(all, TAILQ_FIRST(&all->list));
	memcpy(a->name, name.data, name.len + 1);
	a->until = now + REQUEST_LIFE;
	TAILQ_INSERT_TAIL(&all->list, a, link);
	all->count++;
	return a;
}

static struct authorization *
find(struct web_request *r, const struct form *where)
{
	struct authorizations *all = r->sandbox->authorizations;
	const char *name = form_get(where, "request");
	struct authorization *a;

	while ((a = TAILQ_FIRST(&all->list)) != NULL && a->until <= web_now())
		forget(all, a);
	if (name != NULL)
		TAILQ_FOREACH (a, &all->list, link)
			if (strcmp(a->name, name) == 0)
				return a;
	return NULL;
}

static void
show_error(struct web_request *r, int status, const char *title, const char *text)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	page_error(&page, title, text);
	web_reply_page(r, status, &page);
}

static void
show_gone(struct web_request *r)
{
	show_error(r, 400, "This request is over",
	    "It was answered already, or it waited for more than ten minutes. Go back to the "
	    "program that sent you here and start "
	    "again.");
}

/* RFC 8252 section 7.3: http on a loopback address, any port, any path; no fragment (RFC 6749
 * section 3.1.2). */
static bool
redirect_uri_allowed(const char *uri)
{
	static const char *const starts[] = {
	    "http://127.0.0.1", "http://[::1]", "http://localhost"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		size_t n = strlen(starts[i]);

		if (strncmp(uri, starts[i], n) == 0 &&
		    (uri[n] == '\0' || uri[n] == ':' || uri[n] == '/') &&
		    strchr(uri, '#') == NULL && strpbrk(uri, " \r\n\t\"<>\\") == NULL &&
		    (uri[n] != ':' || strspn(uri + n + 1, "0123456789") > 0))
			return true;
	}
	return false;
}

/* Sends the browser back with `code` or `error`. */
static void
send_back(struct web_request *r, const struct form *asked, const char *name, const char *value,
    const char *description)
{
	const char *pairs[][2] = {{name, value}, {"error_description", description},
	    {"state", form_get(asked, "state")}, {"iss", r->sandbox->issuer}};
	const char *uri = form_get(asked, "redirect_uri");
	struct buf location CLEANUP_BUF = BUF_INIT_WIPE(PAGE_MAX);
	char separator = strchr(uri, '?') == NULL ? '?' : '&';
	size_t i;

	(void)buf_append_str(&location, uri);
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (pairs[i][1] == NULL)
			continue;
		(void)buf_printf(&location, "%c%s=", separator, pairs[i][0]);
		(void)form_encode(&location, pairs[i][1], strlen(pairs[i][1]));
		separator = '&';
	}
	if (location.failed)
		show_error(r, 500, "Something went wrong", "The answer could not be put together.");
	else
		web_reply_redirect(r, buf_str(&location));
}

/* What is wrong with a request whose redirect address may be used: an error's name, or NULL. */
static const char *
fault_of(const struct sandbox *s, const struct form *f, const char **ret_why)
{
	const char *type = form_get(f, "response_type"),
		   *method = form_get(f, "code_challenge_method");
	const char *challenge = form_get(f, "code_challenge"), *mode = form_get(f, "response_mode");
	const char *scope = form_get(f, "scope"), *prompt = form_get(f, "prompt");

	*ret_why = "response_type must be code";
	if (type == NULL)
		return "invalid_request";
	if (strcmp(type, "code") != 0)
		return "unsupported_response_type";
	*ret_why = "response_mode must be query";
	if (mode != NULL && strcmp(mode, "query") != 0)
		return "invalid_request";
	*ret_why = "PKCE with code_challenge_method=S256 is required";
	if (challenge == NULL || strlen(challenge) != 43 || method == NULL ||
	    strcmp(method, "S256") != 0)
		return "invalid_request";
	*ret_why = s->personality->scopes;
	if (scope == NULL || !grant_scope_within(scope, s->personality->scopes))
		return "invalid_scope";
	*ret_why = "nobody is signed in here";
	if (prompt != NULL && strcmp(prompt, "none") == 0)
		return "login_required";
	return NULL;
}

static void
show_sign_in(
    struct web_request *r, const struct authorization *a, const char *login, const char *error)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	page_sign_in(
	    &page, form_get(&a->form, "client_id"), login == NULL ? "" : login, a->name, error);
	web_reply_page(r, 200, &page);
}

static void
authorize_get(struct web_request *r)
{
	const char *client = form_get(r->query, "client_id"),
		   *uri = form_get(r->query, "redirect_uri");
	const char *error, *why = NULL;
	struct authorization *a;
	struct fault fault;
	char *space;

	if (client == NULL || sandbox_client(r->sandbox, client) == NULL) {
		show_error(
		    r, 400, "Unknown program", "The client_id is not one that this server knows.");
		return;
	}
	if (uri == NULL || !redirect_uri_allowed(uri)) {
		show_error(r, 400, "Wrong return address",
		    "The redirect_uri must be an http address on 127.0.0.1, [::1] or localhost.");
		return;
	}
	if (web_fault(r, FAULT_AUTHORIZE, form_get(r->query, "login_hint"), &fault))
		return;
	if (fault.action == FAULT_REPLY) {
		space = strchr(fault.text, ' ');
		if (space != NULL)
			*space = '\0';
		send_back(r, r->query, "error", fault.text, space == NULL ? NULL : space + 1);
		return;
	}
	error = fault_of(r->sandbox, r->query, &why);
	if (error != NULL) {
		send_back(r, r->query, "error", error, why);
		return;
	}
	a = keep(r->sandbox->authorizations, r->query, web_now());
	if (a == NULL)
		show_error(r, 500, "Something went wrong", "There is no memory for this request.");
	else
		show_sign_in(r, a, form_get(&a->form, "login_hint"), NULL);
}

static void
sign_in_post(struct web_request *r)
{
	const char *login = form_get(&r->body, "login"), *password = form_get(&r->body, "password");
	struct authorization *a = find(r, &r->body);
	struct buf next CLEANUP_BUF = BUF_INIT(128);

	if (a == NULL) {
		show_gone(r);
		return;
	}
	if (login == NULL || password == NULL ||
	    !sandbox_password_fits(r->sandbox, login, password)) {
		r->sandbox->stats.sign_ins_refused++;
		show_sign_in(r, a, login, "That address and password do not fit together.");
		return;
	}
	r->sandbox->stats.sign_ins++;
	a->account = sandbox_account(r->sandbox, login);
	if (buf_printf(&next, "/consent?request=%s", a->name) < 0)
		show_error(r, 500, "Something went wrong", "There is no memory for this request.");
	else
		web_reply_redirect(r, buf_str(&next));
}

static void
consent_get(struct web_request *r)
{
	struct authorization *a = find(r, r->query);
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	if (a == NULL || a->account == NULL) {
		show_gone(r);
		return;
	}
	page_consent(&page, form_get(&a->form, "client_id"), a->account->address,
	    form_get(&a->form, "scope"), a->name);
	web_reply_page(r, 200, &page);
}

static void
show_done(struct web_request *r, const char *title, const char *text)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	page_done(&page, title, text);
	web_reply_page(r, 200, &page);
}

/* The person's answer to a device; `account` NULL: no. */
static void
answer_device(struct web_request *r, struct authorization *a, const char *account)
{
	bool known = devices_answer(r->sandbox->devices, a->user_code, account, web_now());

	forget(r->sandbox->authorizations, a);
	if (!known)
		show_gone(r);
	else if (account != NULL)
		show_done(r, "The device is connected",
		    "You can close this window and go back to your device.");
	else
		show_done(r, "Nothing was connected", "You said no, and the device is told so.");
}

static void
consent_post(struct web_request *r)
{
	struct authorization *a = find(r, &r->body);
	struct buf code CLEANUP_BUF = BUF_INIT_WIPE(128);
	struct grant_consent consent;
	const char *access;

	if (a == NULL || a->account == NULL) {
		show_gone(r);
		return;
	}
	if (a->user_code[0] != '\0') {
		r->sandbox->stats.consents++;
		answer_device(r, a, a->account->address);
		return;
	}
	access = form_get(&a->form, "access_type");
	consent = (struct grant_consent){
	    .account = a->account->address,
	    .client = form_get(&a->form, "client_id"),
	    .redirect_uri = form_get(&a->form, "redirect_uri"),
	    .scope = form_get(&a->form, "scope"),
	    .challenge = form_get(&a->form, "code_challenge"),
	    .nonce = form_get(&a->form, "nonce"),
	    .offline = r->sandbox->personality->offline_by_parameter && access != NULL &&
		       strcmp(access, "offline") == 0,
	};
	if (grants_consent(r->sandbox->grants, &consent, web_now(), &code) < 0) {
		send_back(r, &a->form, "error", "server_error", "no memory or no random numbers");
	} else {
		r->sandbox->stats.consents++;
		log_line(
		    LOG_LEVEL_INFO, "consent given", LOG_PAIRS({LOG_ACCOUNT, a->account->address}));
		send_back(r, &a->form, "code", buf_str(&code), NULL);
	}
	forget(r->sandbox->authorizations, a);
}

static void
deny_post(struct web_request *r)
{
	struct authorization *a = find(r, &r->body);

	if (a == NULL) {
		show_gone(r);
		return;
	}
	r->sandbox->stats.denials++;
	if (a->user_code[0] != '\0') {
		answer_device(r, a, NULL);
		return;
	}
	send_back(r, &a->form, "error", "access_denied", "the person said no");
	forget(r->sandbox->authorizations, a);
}

static void
show_device(struct web_request *r, const char *code, const char *error)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	page_device(&page, code == NULL ? "" : code, error);
	web_reply_page(r, 200, &page);
}

static void
device_get(struct web_request *r)
{
	show_device(r, form_get(r->query, "user_code"), NULL);
}

static void
device_post(struct web_request *r)
{
	const char *typed = form_get(&r->body, "user_code"), *code, *client, *scope;
	struct authorization *a;
	struct form form;

	if (typed == NULL ||
	    !devices_find(r->sandbox->devices, typed, web_now(), &code, &client, &scope)) {
		show_device(r, typed, "There is no such code, or it is too old.");
		return;
	}
	/* what the device asked for, as the parameters of a request; the strings are copied */
	form = (struct form){.count = 2,
	    .fields = {{(char *)"client_id", (char *)client}, {(char *)"scope", (char *)scope}}};
	a = keep(r->sandbox->authorizations, &form, web_now());
	if (a == NULL) {
		show_error(r, 500, "Something went wrong", "There is no memory for this request.");
		return;
	}
	(void)snprintf(a->user_code, sizeof(a->user_code), "%s", code);
	show_sign_in(r, a, NULL, NULL);
}

const struct web_route authorize_routes[] = {
    {"/device", HTTPD_GET, device_get},
    {"/device", HTTPD_POST, device_post},
    {"/authorize", HTTPD_GET, authorize_get},
    {"/sign-in", HTTPD_POST, sign_in_post},
    {"/consent", HTTPD_GET, consent_get},
    {"/consent", HTTPD_POST, consent_post},
    {"/deny", HTTPD_POST, deny_post},
    {NULL},
};
