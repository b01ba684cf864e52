/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* entry.c: see entry.h. */
#include "console/entry.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "admin/browser.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/peer-uid.h"

enum { SECRET_OCTETS = 32, SECRET_SIZE = 44, USERS_MAX = 4 };

#define ENTER "/enter/"

struct gatekeeper {
	char path[sizeof(ENTER) + SECRET_SIZE];
	char cookie[SECRET_SIZE], guard[SECRET_SIZE];
	char name[32]; /* of the cookie: consoles on other ports have others */
	bool used;     /* the address has been */
	int diag;      /* asks whose a connection is; -1: nobody can say */
	uid_t users[USERS_MAX];
	size_t user_count;
};

static int
draw(char *ret, size_t size, size_t octets)
{
	struct buf text CLEANUP_BUF = BUF_INIT_WIPE(128);
	unsigned char bytes[SECRET_OCTETS];

	if (getrandom(bytes, octets, 0) != (ssize_t)octets)
		return -EIO;
	if (base64url_encode(&text, bytes, octets) < 0)
		return -ENOMEM;
	mem_wipe(bytes, sizeof(bytes));
	(void)snprintf(ret, size, "%s", buf_str(&text));
	return 0;
}

struct gatekeeper *
entry_new(bool by_port, int *ret_error)
{
	struct gatekeeper *e = calloc(1, sizeof(*e));
	char secret[SECRET_SIZE], number[8];

	*ret_error = -ENOMEM;
	if (e == NULL)
		return NULL;
	e->diag = by_port ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) : -1;
	if (e->diag >= 0 && !peer_uid_is_known(e->diag))
		cleanup_close(&e->diag), e->diag = -1;
	e->user_count = browser_users(e->users, USERS_MAX);
	*ret_error = draw(secret, sizeof(secret), SECRET_OCTETS);
	if (*ret_error == 0)
		*ret_error = draw(e->cookie, sizeof(e->cookie), SECRET_OCTETS);
	if (*ret_error == 0)
		*ret_error = draw(e->guard, sizeof(e->guard), SECRET_OCTETS);
	if (*ret_error == 0)
		*ret_error = draw(number, sizeof(number), 4);
	if (*ret_error < 0)
		return entry_free(e);
	(void)snprintf(e->path, sizeof(e->path), ENTER "%s", secret);
	(void)snprintf(e->name, sizeof(e->name), "frank-console-%s", number);
	mem_wipe(secret, sizeof(secret));
	return e;
}

struct gatekeeper *
entry_free(struct gatekeeper *e)
{
	if (e == NULL)
		return NULL;
	cleanup_close(&e->diag);
	mem_wipe(e, sizeof(*e));
	free(e);
	return NULL;
}

const char *
entry_path(const struct gatekeeper *e)
{
	return e->path;
}

const char *
entry_guard(const struct gatekeeper *e)
{
	return e->guard;
}

/* ---- checks ---- */

static bool
is_secret(const char *given, const char *secret)
{
	size_t len = strlen(secret);

	return given != NULL && strlen(given) == len && mem_equal_ct(given, secret, len);
}

/* Is the connection one of the caller's? */
static bool
is_callers(const struct gatekeeper *e, const struct httpd_request *r)
{
	uint32_t uid;

	if (e->diag < 0)
		return true;
	if (peer_uid_ask(e->diag, httpd_socket(r), &uid) < 0)
		return false;
	for (size_t i = 0; i < e->user_count; i++)
		if (e->users[i] == uid)
			return true;
	return uid == 0;
}

/* Is our cookie among those of the request? */
static bool
has_cookie(const struct gatekeeper *e, const struct httpd_request *r)
{
	const char *at = httpd_header(r, "Cookie");
	size_t name = strlen(e->name), value = strlen(e->cookie);
	bool found = false;

	while (at != NULL && *at != '\0') {
		size_t len;

		at += strspn(at, " ;");
		len = strcspn(at, ";");
		if (len == name + 1 + value && memcmp(at, e->name, name) == 0 && at[name] == '=' &&
		    mem_equal_ct(at + name + 1, e->cookie, value))
			found = true;
		at += len;
	}
	return found;
}

static void
refuse(struct httpd_request *r, int status, const char *error, const char *next)
{
	httpd_reply_json(r, status, json_pack("{s:s, s:s}", "error", error, "next", next));
}

bool
entry_admit(struct gatekeeper *e, struct httpd_request *r)
{
	bool enters = strncmp(httpd_path(r), ENTER, strlen(ENTER)) == 0;

	if (!is_callers(e, r))
		refuse(r, 403, "This console belongs to another user of this computer.",
		    "start your own: frank console");
	else if (!enters && !has_cookie(e, r))
		refuse(r, 401, "This browser has not been let in.",
		    "open the address that frank console printed, or start it anew");
	else if (httpd_method(r) != HTTPD_GET &&
		 !is_secret(httpd_header(r, "X-Frank-Guard"), e->guard))
		refuse(r, 403, "The request does not come from the console's own page.",
		    "load the page again");
	else
		return true;
	return false;
}

/* ---- the exchange ---- */

/* Gives the cookie to who comes first, and for a look ahead of a browser or a mail program nothing is used up. */
static void
enter(void *arg, struct httpd_request *r)
{
	struct gatekeeper *e = arg;
	const char *purpose = httpd_header(r, "Sec-Purpose");
	char cookie[160];

	if (httpd_is_head(r) || (purpose != NULL && strstr(purpose, "prefetch") != NULL)) {
		httpd_reply_error(r, 503, "not yet");
	} else if (!is_secret(httpd_path(r), e->path)) {
		httpd_reply_error(r, 404, "there is nothing at this address");
	} else if (e->used) {
		refuse(r, 410, "This address was used already, and is good for one use.",
		    "go on in that browser, or start the console anew: frank console");
	} else {
		e->used = true;
		(void)snprintf(cookie, sizeof(cookie), "%s=%s; HttpOnly; SameSite=Strict; Path=/",
		    e->name, e->cookie);
		httpd_set_header(r, "Set-Cookie", cookie);
		mem_wipe(cookie, sizeof(cookie));
		httpd_reply_redirect(r, "/");
	}
}

const struct httpd_route entry_routes[] = {
    {HTTPD_GET, ENTER "{secret}", enter},
    {0},
};
