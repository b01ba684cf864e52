/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * captured.c: see captured.h.
 *
 *   every CAPTURED_SECONDS: frank queue --captured --json ──▶ what is new: frank queue show ID --content ──▶ a Maildir, and the index
 *                                                          └▶ what is gone: out of both
 *
 * The folder is locked while its console lives, so that the next one can tell what a killed one left. One content is fetched at a time. A message whose content cannot be had (gone meanwhile) is asked for again at the next look.
 */
#include "console/captured.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "config.h"
#include "console/ask.h"
#include "inbox/api.h"
#include "inbox/inbox.h"
#include "inbox/maildir.h"

enum {
	LOOK_SECONDS = 30,
	FOLDER_SIZE = 4096,
	RECIPIENTS_MAX = 200,
	AT_ONCE = 28,
	DEPTH = 16,
	NEW_SECONDS = 10 /* a folder may have no lock yet */
};

struct captured_mail {
	struct event_base *base;
	struct run_pool *runner;
	struct run_process *run;
	struct event *timer;
	char folder[FOLDER_SIZE], index[FOLDER_SIZE + 16];
	int root; /* -1: none */
	struct inbox *inbox;
	struct inbox_api *api;
	bool wanted;
	json_t *ids;  /* queue id: the inbox's ID */
	json_t *rows; /* of the last look, those that are missing */
	size_t next;  /* of them */
};

/* ---- looking into the queue ---- */

static void fetch_next(struct captured_mail *c);

static void
rest(struct captured_mail *c)
{
	const struct timeval again = {.tv_sec = CAPTURED_SECONDS};

	(void)inbox_flush(c->inbox);
	(void)evtimer_add(c->timer, &again);
}

/* Puts a message into the Maildirs of its recipients, and into the index. */
static int
store(struct captured_mail *c, const json_t *row, const char *text, size_t len)
{
	const char *recipients[RECIPIENTS_MAX];
	struct inbox_arrival a = {.recipients = recipients,
	    .account = json_string_value(json_object_get(row, "account"))};
	struct maildir_message *m = NULL;
	char id[INBOX_ID_SIZE];
	const json_t *o;
	size_t i;
	int r = maildir_begin(c->root, &m);

	if (r == 0)
		r = maildir_write(m, text, len);
	if (r == 0)
		r = maildir_commit(m);
	json_array_foreach(json_object_get(row, "recipients"), i, o)
	{
		const char *rcpt = json_string_value(json_object_get(o, "recipient"));

		if (rcpt == NULL || a.recipient_count == RECIPIENTS_MAX)
			continue;
		recipients[a.recipient_count++] = rcpt;
		if (r == 0)
			r = maildir_link(m, rcpt);
	}
	if (r == 0 && a.recipient_count == 0)
		r = -EINVAL;
	if (r == 0) {
		a.name = maildir_name(m);
		r = inbox_add(c->inbox, &a, id);
	}
	if (r == 0)
		(void)json_object_set_new(
		    c->ids, json_string_value(json_object_get(row, "id")), json_string(id));
	(void)maildir_end(m);
	return r;
}

static void
on_content(void *arg, int status, const char *text, size_t len)
{
	struct captured_mail *c = arg;
	const json_t *row = json_array_get(c->rows, c->next++);

	c->run = NULL;
	if (status == 0)
		(void)store(c, row, text, len);
	fetch_next(c);
}

static void
fetch_next(struct captured_mail *c)
{
	const char *id = json_string_value(json_object_get(json_array_get(c->rows, c->next), "id"));
	const char *arguments[] = {"queue", "show", "--content", "--", id, NULL};

	if (id != NULL)
		c->run = run_start(c->runner, &(struct run_options){.arguments = arguments,
						  .seconds = LOOK_SECONDS,
						  .done = on_content,
						  .arg = c});
	if (c->run == NULL)
		rest(c);
}

/* Keeps of a listing what is to be fetched, and removes from the inbox what it has no more. */
static void
compare(struct captured_mail *c, json_t *messages)
{
	size_t count = json_array_size(messages), i;
	json_t *there = json_object();
	const char *id;
	json_t *o;
	void *next;

	(void)json_array_clear(c->rows);
	c->next = 0;
	json_array_foreach(messages, i, o)
	{
		id = json_string_value(json_object_get(o, "id"));
		if (id == NULL || i + CAPTURED_KEPT < count)
			continue;
		(void)json_object_set_new(there, id, json_true());
		if (json_object_get(c->ids, id) == NULL)
			(void)json_array_append(c->rows, o);
	}
	json_object_foreach_safe(c->ids, next, id, o) if (json_object_get(there, id) == NULL)
	{
		(void)inbox_delete(c->inbox, json_string_value(o));
		(void)json_object_del(c->ids, id);
	}
	json_decref(there);
}

static void
on_list(void *arg, int status, const char *text, size_t len)
{
	struct captured_mail *c = arg;
	json_t *answer = status == 0 ? json_loadb(text, len, 0, NULL) : NULL;

	c->run = NULL;
	if (answer != NULL)
		compare(c, json_object_get(answer, "messages"));
	json_decref(answer);
	if (answer != NULL)
		fetch_next(c);
	else
		rest(c);
}

static void
look(evutil_socket_t fd, short what, void *arg)
{
	static const char *const arguments[] = {"queue", "--captured", "--json", NULL};
	struct captured_mail *c = arg;

	c->run = run_start(c->runner,
	    &(struct run_options){
		.arguments = arguments, .seconds = LOOK_SECONDS, .done = on_list, .arg = c});
	if (c->run == NULL)
		rest(c);
}

void
captured_mail_want(struct captured_mail *c)
{
	if (!c->wanted)
		look(-1, 0, c);
	c->wanted = true;
}

/* ---- what changes the queue ---- */

/* The queue's id of an inbox ID; NULL: there is none. */
static const char *
queue_id(const struct captured_mail *c, const char *inbox_id)
{
	const char *id;
	json_t *o;

	json_object_foreach(c->ids, id,
	    o) if (inbox_id != NULL && strcmp(json_string_value(o), inbox_id) == 0) return id;
	return NULL;
}

/* What the next look would find out, at once. */
static void
on_changed(void *arg, bool ok, const json_t *answer)
{
	struct captured_mail *c = arg;

	if (c->run == NULL && c->wanted) {
		(void)evtimer_del(c->timer);
		look(-1, 0, c);
	}
}

static void
release(void *arg, struct httpd_request *r)
{
	struct captured_mail *c = arg;
	const char *id = queue_id(c, httpd_parameter(r, "id"));
	const char *arguments[] = {"queue", "release", "--json", "--", id, NULL};

	if (id == NULL)
		httpd_reply_error(r, 404, "there is no such message");
	else
		ask(c->runner, r, arguments, LOOK_SECONDS, on_changed, c);
}

/* Of a search: only what is chosen by ID is deleted here. */
static void
refuse_search(void *arg, struct httpd_request *r)
{
	httpd_reply_error(
	    r, 405, "in the console messages are deleted by their IDs, not by a search");
}

static void
refuse_send(void *arg, struct httpd_request *r)
{
	httpd_reply_error(r, 405, "the console takes no mail: hand it to sendmail");
}

/* {"IDs": [...]}; without, all. */
static void delete (void *arg, struct httpd_request *r)
{
	struct captured_mail *c = arg;
	const char *arguments[AT_ONCE + 6] = {"queue", "delete", "--json"};
	size_t len, n = 3, i;
	json_t *body = NULL;
	const json_t *list, *o;

	if (httpd_body(r, &len), len > 0) {
		body = httpd_body_json(r);
		if (body == NULL)
			return;
	}
	list = json_object_get(body, "IDs");
	if (list != NULL && !json_is_array(list)) {
		httpd_reply_error(r, 400, "IDs is a list of messages");
		json_decref(body);
		return;
	}
	if (json_array_size(list) == 0) {
		arguments[n++] = "--all";
		arguments[n++] = "--captured";
	} else {
		arguments[n++] = "--";
	}
	json_array_foreach(list, i, o)
	{
		const char *id = queue_id(c, json_string_value(o));

		if (id != NULL && n < AT_ONCE + 4)
			arguments[n++] = id;
	}
	if (json_array_size(list) > AT_ONCE)
		httpd_reply_error(r, 400, "at most 28 messages at a time, or all");
	else if (n == 4)
		httpd_reply(r, 200, "text/plain; charset=utf-8", "ok", 2);
	else
		ask(c->runner, r, arguments, LOOK_SECONDS, on_changed, c);
	json_decref(body);
}

static const struct httpd_route queue_routes[] = {
    {HTTPD_POST, "/api/v1/message/{id}/release", release},
    {HTTPD_DELETE, "/api/v1/messages", delete},
    {HTTPD_DELETE, "/api/v1/search", refuse_search},
    {HTTPD_POST, "/api/v1/send", refuse_send},
    {0},
};

int
captured_mail_routes(struct captured_mail *c, struct httpd *h)
{
	int r = httpd_add_routes(h, queue_routes, c);

	return r < 0 ? r : httpd_add_routes(h, inbox_api_routes, c->api);
}

/* ---- the folder ---- */

#define FOLDER "frank-console."

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)remove(path);
	return 0;
}

/* Removes the folders that consoles of this user left when they were killed: nobody holds their lock. In a folder like /tmp others can
 * neither rename nor replace what is ours. */
static void
remove_left(const char *parent)
{
	DIR *d = opendir(parent);
	const struct dirent *e;
	char path[FOLDER_SIZE];
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL) {
		CLEANUP_CLOSE int fd = -1;

		if (strncmp(e->d_name, FOLDER, strlen(FOLDER)) != 0 ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", parent, e->d_name) >=
			sizeof(path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    st.st_mtime + NEW_SECONDS < time(NULL) && flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)nftw(path, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS);
	}
	if (d != NULL)
		(void)closedir(d);
}

static int
make_folder(struct captured_mail *c)
{
	const char *parent = secure_getenv("XDG_RUNTIME_DIR");

	if (parent == NULL || *parent != '/')
		parent = secure_getenv("TMPDIR");
	if (parent == NULL || *parent != '/')
		parent = "/tmp";
	if ((size_t)snprintf(c->folder, sizeof(c->folder), "%s/" FOLDER "XXXXXX", parent) >=
	    sizeof(c->folder))
		return -ENAMETOOLONG;
	remove_left(parent);
	if (mkdtemp(c->folder) == NULL) {
		*c->folder = '\0';
		return -errno;
	}
	(void)snprintf(c->index, sizeof(c->index), "%s/index", c->folder);
	c->root = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->root < 0 || flock(c->root, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

struct captured_mail *
captured_mail_new(struct event_base *base, struct run_pool *runner, int *ret_error)
{
	struct captured_mail *c = calloc(1, sizeof(*c));
	struct inbox_api_config config = {.base = base, .version = FRANK_VERSION};

	*ret_error = -ENOMEM;
	if (c == NULL)
		return NULL;
	c->base = base;
	c->runner = runner;
	c->ids = json_object();
	c->rows = json_array();
	c->timer = evtimer_new(base, look, c);
	*ret_error = make_folder(c);
	if (*ret_error == 0)
		c->inbox = inbox_open(c->root, c->index, 0, ret_error);
	if (c->inbox == NULL)
		return captured_mail_free(c);
	config.inbox = c->inbox;
	config.root = c->root;
	config.database = c->index;
	c->api = inbox_api_new(&config);
	if (c->api != NULL && c->ids != NULL && c->rows != NULL && c->timer != NULL)
		return c;
	*ret_error = -ENOMEM;
	return captured_mail_free(c);
}

struct captured_mail *
captured_mail_free(struct captured_mail *c)
{
	if (c == NULL)
		return NULL;
	(void)run_cancel(c->run);
	(void)inbox_api_free(c->api);
	(void)inbox_close(c->inbox);
	cleanup_close(&c->root);
	if (*c->folder != '\0')
		(void)nftw(c->folder, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS);
	if (c->timer != NULL)
		event_free(c->timer);
	json_decref(c->ids);
	json_decref(c->rows);
	free(c);
	return NULL;
}
