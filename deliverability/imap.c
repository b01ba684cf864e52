/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * imap.c: see imap.h. libcurl gives the lines of an answer to its header callback, literals included, so that is where all
 * of them are taken from.
 */
#include "deliverability/imap.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/attr.h"

enum { FOLDERS = 3, URL_MAX = 1024, COMMAND_MAX = 512 };

struct imap {
	CURL *curl;
	const struct imap_login *login;
	char reason[CURL_ERROR_SIZE];
	struct folder {
		char name[IMAP_FOLDER_MAX]; /* as the server writes it; "": there is none */
		const char *use;
	} folders[FOLDERS]; /* inbox, \Junk, \All */
	struct buf answer;
};

static size_t
take(char *bytes, size_t size, size_t n, void *arg)
{
	struct buf *answer = arg;

	return buf_append(answer, bytes, size * n) == 0 ? size * n : 0;
}

static size_t
ignore(char *bytes, size_t size, size_t n, void *arg)
{
	return size * n;
}

/* The last line of an answer that says no, without its tag. */
static const char *
refusal(const struct imap *i)
{
	const char *at, *found = NULL;

	for (at = buf_str(&i->answer); at != NULL && *at != '\0'; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, "* ", 2) != 0 && strncmp(at, "+ ", 2) != 0 &&
		    (strncmp(at + strcspn(at, " "), " NO", 3) == 0 ||
			strncmp(at + strcspn(at, " "), " BAD", 4) == 0))
			found = at + strcspn(at, " ") + 1;
	}
	return found;
}

static int
fail(const struct imap *i, CURLcode code, const char *doing, char *error)
{
	const char *said = refusal(i);
	int len = said == NULL ? 0 : (int)strcspn(said, "\r\n");

	(void)snprintf(error, IMAP_ERROR_MAX, "%s: %s: %.*s", i->login->url, doing,
	    len > 0                ? len
	    : i->reason[0] != '\0' ? (int)strlen(i->reason)
				   : (int)strlen(curl_easy_strerror(code)),
	    len > 0                ? said
	    : i->reason[0] != '\0' ? i->reason
				   : curl_easy_strerror(code));
	return -1;
}

/* Sends a command with a folder selected (NULL: none); the lines of the answer are in i->answer. */
static CURLcode
command(struct imap *i, const char *folder, const char *text)
{
	char url[URL_MAX], *name = NULL;

	if (folder != NULL && (name = curl_easy_escape(i->curl, folder, 0)) == NULL)
		return CURLE_OUT_OF_MEMORY;
	(void)snprintf(url, sizeof(url), "%s/%s", i->login->url, name == NULL ? "" : name);
	curl_free(name);
	buf_clear(&i->answer);
	i->reason[0] = '\0';
	(void)curl_easy_setopt(i->curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(i->curl, CURLOPT_CUSTOMREQUEST, text);
	return curl_easy_perform(i->curl);
}

/* ---- folders ---- */

/* The folder's name in a line "* LIST (ATTRIBUTES) "/" NAME", quoted or not. */
static void
take_name(const char *line, size_t len, char *out)
{
	const char *end = line + len, *at = memchr(line, ')', len);
	size_t n = 0;
	bool quoted;

	if (at == NULL)
		return;
	for (at++; at < end && *at == ' '; at++)
		continue;
	at = memchr(at, ' ', (size_t)(end - at)); /* behind the delimiter */
	if (at == NULL || ++at == end)
		return;
	quoted = *at == '"';
	for (at += quoted; at < end && n < IMAP_FOLDER_MAX - 1; at++) {
		if (quoted ? *at == '"' : *at == '\r')
			break;
		if (quoted && *at == '\\' && at + 1 < end)
			at++;
		out[n++] = *at;
	}
	out[n] = '\0';
}

/* What providers call the folder, where they do not say what it is for. */
static bool
is_called_junk(const char *name)
{
	static const char *const names[] = {"Junk", "Spam", "Junk Email", "Junk E-mail", "Bulk",
	    "Bulk Mail", "[Gmail]/Spam", "INBOX.Junk", "INBOX.Spam"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

static void
take_folders(struct imap *i)
{
	const char *line = buf_str(&i->answer), *next;

	for (; *line != '\0'; line = next) {
		size_t len = strcspn(line, "\n");
		char name[IMAP_FOLDER_MAX] = "", attributes[COMMAND_MAX];

		next = line + len + (line[len] == '\n');
		if (strncasecmp(line, "* LIST (", 8) != 0)
			continue;
		take_name(line, len, name);
		(void)snprintf(
		    attributes, sizeof(attributes), "%.*s", (int)strcspn(line, ")"), line);
		if (strcasestr(attributes, "\\Junk") != NULL)
			memcpy(i->folders[1].name, name, sizeof(name));
		else if (strcasestr(attributes, "\\All") != NULL)
			memcpy(i->folders[2].name, name, sizeof(name));
		else if (i->folders[1].name[0] == '\0' && is_called_junk(name))
			memcpy(i->folders[1].name, name, sizeof(name));
	}
}

/* ---- the session ---- */

struct imap *
imap_open(const struct imap_login *login, char error[IMAP_ERROR_MAX])
{
	static const char *const uses[FOLDERS] = {"", "\\Junk", "\\All"};
	struct imap *i = calloc(1, sizeof(*i));
	CURLcode code;

	(void)snprintf(error, IMAP_ERROR_MAX, "memory ran out");
	if (i == NULL)
		return NULL;
	i->login = login;
	i->answer = (struct buf)BUF_INIT(2 * IMAP_HEADER_MAX);
	for (size_t n = 0; n < FOLDERS; n++)
		i->folders[n].use = uses[n];
	memcpy(i->folders[0].name, "INBOX", sizeof("INBOX"));
	i->curl = curl_easy_init();
	if (i->curl == NULL)
		return imap_close(i);
	(void)curl_easy_setopt(i->curl, CURLOPT_PROTOCOLS_STR, "imaps");
	(void)curl_easy_setopt(i->curl, CURLOPT_ERRORBUFFER, i->reason);
	(void)curl_easy_setopt(i->curl, CURLOPT_HEADERFUNCTION, take);
	(void)curl_easy_setopt(i->curl, CURLOPT_HEADERDATA, &i->answer);
	(void)curl_easy_setopt(i->curl, CURLOPT_WRITEFUNCTION, ignore);
	(void)curl_easy_setopt(i->curl, CURLOPT_TIMEOUT, (long)IMAP_COMMAND_SECONDS);
	(void)curl_easy_setopt(i->curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(i->curl, CURLOPT_USERNAME, login->user);
	if (login->token != NULL) {
		(void)curl_easy_setopt(i->curl, CURLOPT_XOAUTH2_BEARER, login->token);
		/* libcurl would prefer a mechanism for passwords */
		(void)curl_easy_setopt(
		    i->curl, CURLOPT_LOGIN_OPTIONS, "AUTH=XOAUTH2;AUTH=OAUTHBEARER");
	} else {
		(void)curl_easy_setopt(i->curl, CURLOPT_PASSWORD, login->password);
	}
	if (login->ca_file != NULL)
		(void)curl_easy_setopt(i->curl, CURLOPT_CAINFO, login->ca_file);
	code = command(i, NULL, "LIST \"\" \"*\"");
	if (code != CURLE_OK) {
		(void)fail(i, code, "signing in", error);
		return imap_close(i);
	}
	take_folders(i);
	/* A server that names special uses only when asked for them (RFC 6154 section 2). One that does not know the question
	 * says so, and names decide. */
	if (command(i, NULL, "LIST \"\" \"*\" RETURN (SPECIAL-USE)") == CURLE_OK)
		take_folders(i);
	return i;
}

struct imap *
imap_close(struct imap *i)
{
	if (i == NULL)
		return NULL;
	if (i->curl != NULL)
		curl_easy_cleanup(i->curl);
	buf_free(&i->answer);
	free(i);
	return NULL;
}

/* ---- the message ---- */

/* The first number of "* SEARCH n ..."; 0: none. */
static uint64_t
search_result(const struct imap *i)
{
	const char *at = strcasestr(buf_str(&i->answer), "* SEARCH");

	return at == NULL ? 0 : strtoull(at + strlen("* SEARCH"), NULL, 10);
}

/* The literal of a FETCH answer: "{N}" and N octets behind the line. */
static bool
take_literal(const struct imap *i, struct buf *ret)
{
	const char *text = buf_str(&i->answer), *brace = strchr(text, '{'), *start;
	unsigned long long len = brace == NULL ? 0 : strtoull(brace + 1, NULL, 10);

	start = brace == NULL ? NULL : strchr(brace, '\n');
	return start != NULL && len <= IMAP_HEADER_MAX &&
	       len <= i->answer.len - (size_t)(start + 1 - text) &&
	       buf_append(ret, start + 1, (size_t)len) == 0;
}

/* 1: it is in *ret. */
static int
look(struct imap *i, const struct folder *f, const char *token, struct imap_found *ret, char *error)
{
	char text[COMMAND_MAX];
	CURLcode code;

	(void)snprintf(text, sizeof(text),
	    "UID SEARCH OR SUBJECT \"%s\" HEADER X-Frank-Probe \"%s\"", token, token);
	code = command(i, f->name, text);
	if (code != CURLE_OK)
		return fail(i, code, "searching", error);
	ret->uid = search_result(i);
	if (ret->uid == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "UID FETCH %" PRIu64 " (BODY.PEEK[HEADER])", ret->uid);
	code = command(i, f->name, text);
	if (code != CURLE_OK)
		return fail(i, code, "reading the header", error);
	ret->header = (struct buf)BUF_INIT(IMAP_HEADER_MAX);
	if (!take_literal(i, &ret->header)) {
		buf_free(&ret->header);
		return 0; /* a filter has moved it away meanwhile: it is found where it is then */
	}
	memcpy(ret->folder, f->name, sizeof(ret->folder));
	(void)snprintf(ret->use, sizeof(ret->use), "%s", f->use);
	return 1;
}

int
imap_wait(struct imap *i, const char *token, unsigned seconds, struct imap_found *ret,
    char error[IMAP_ERROR_MAX])
{
	const struct timespec pause = {.tv_sec = IMAP_PAUSE_SECONDS};
	struct timespec now;
	time_t end;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + (time_t)seconds;
	for (;;) {
		for (size_t n = 0; r == 0 && n < FOLDERS; n++)
			if (i->folders[n].name[0] != '\0')
				r = look(i, &i->folders[n], token, ret, error);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (r != 0 || now.tv_sec >= end)
			return r;
		(void)nanosleep(&pause, NULL);
		/* a folder that stays selected shows new mail after this */
		(void)command(i, i->folders[0].name, "NOOP");
	}
}

int
imap_remove(struct imap *i, const struct imap_found *found, char error[IMAP_ERROR_MAX])
{
	char text[COMMAND_MAX];
	CURLcode code;

	(void)snprintf(
	    text, sizeof(text), "UID STORE %" PRIu64 " +FLAGS.SILENT (\\Deleted)", found->uid);
	code = command(i, found->folder, text);
	if (code == CURLE_OK) {
		(void)snprintf(text, sizeof(text), "UID EXPUNGE %" PRIu64, found->uid);
		code = command(i, found->folder, text);
	}
	return code == CURLE_OK ? 0 : fail(i, code, "removing the message", error);
}
