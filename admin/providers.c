/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* providers.c: see providers.h. */
#include "admin/providers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/program.h"
#include "config.h"

enum { OUTPUT_MAX = 512 * 1024 };

extern char **environ;

/* ---- what frankd prints ---- */

static size_t
count_lines(const char *s)
{
	size_t n = 0;

	for (; (s = strchr(s, '\n')) != NULL; s++)
		n++;
	return n;
}

void
providers_clear(struct providers *p)
{
	free(p->lines);
	buf_free(&p->text);
	*p = (struct providers){0};
}

/* Takes the output apart (the text is taken from `text`). -ENOMEM or 0. */
static int
parse(struct buf *text, struct providers *ret)
{
	char *at, *fields[4];

	*ret = (struct providers){.text = *text};
	*text = (struct buf){.max = ret->text.max};
	ret->lines = calloc(count_lines(buf_str(&ret->text)) + 1, sizeof(*ret->lines));
	if (ret->lines == NULL) {
		providers_clear(ret);
		return -ENOMEM;
	}
	for (at = ret->text.data; at != NULL && *at != '\0';) {
		char *line = at, *end = strchr(at, '\n');
		size_t n = 0;

		if (end == NULL)
			break;
		*end = '\0';
		at = end + 1;
		while (n < 4 && line != NULL)
			fields[n++] = strsep(&line, "\t");
		if (n == 2 || n == 4)
			ret->lines[ret->count++] = (struct provider_line){fields[0], fields[1],
			    n == 4 ? fields[2] : NULL, n == 4 ? fields[3] : NULL};
	}
	return 0;
}

/* ---- frankd ---- */

/* `out` -1: standard output is standard error. Its status, or negative errno. */
static int
spawn(char *what, char *config, int out, pid_t *pid)
{
	char path[PATH_MAX], option[] = "-c";
	char *argv[] = {path, what, config == NULL ? NULL : option, config, NULL};
	posix_spawn_file_actions_t actions;
	int r;

	program_find(path, "frankd", "broker", FRANK_SBIN_DIR);
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(
	    &actions, out < 0 ? STDERR_FILENO : out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(pid, path, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int
wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

static int
read_all(int fd, struct buf *ret)
{
	for (;;) {
		ssize_t n;
		int r = buf_reserve(ret, 4096);

		if (r < 0)
			return r;
		n = read(fd, ret->data + ret->len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
	}
}

int
providers_load(char *config, struct providers *ret)
{
	char what[] = "--providers";
	CLEANUP_BUF struct buf out = BUF_INIT(OUTPUT_MAX);
	int ends[2], r, status;
	pid_t pid = -1;

	*ret = (struct providers){0};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = spawn(what, config, ends[1], &pid);
	(void)close(ends[1]);
	if (r == 0) {
		r = read_all(ends[0], &out);
		status = wait_status(pid);
		r = r < 0 ? r : status;
	}
	(void)close(ends[0]);
	return r != 0 ? r : parse(&out, ret);
}

int
providers_check(char *config)
{
	char what[] = "--check";
	pid_t pid = -1;
	int r = spawn(what, config, -1, &pid);

	return r < 0 ? r : wait_status(pid);
}

/* ---- asking it ---- */

bool
providers_has(const struct providers *p, const char *kind, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->lines[i].kind, kind) == 0 && strcmp(p->lines[i].name, name) == 0)
			return true;
	return false;
}

const char *
providers_called(const struct providers *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct provider_line *l = &p->lines[i];

		if (l->key != NULL && strcasecmp(l->value, name) == 0 &&
		    (strcmp(l->key, "also-called") == 0 || strcmp(l->key, "domains") == 0))
			return l->name;
	}
	return NULL;
}

const char *
providers_service_of(const struct providers *p, const char *user)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct provider_line *l = &p->lines[i];

		if (l->key != NULL && strcmp(l->kind, "service") == 0 &&
		    strcmp(l->key, "users") == 0 &&
		    (strcmp(l->value, user) == 0 || strcmp(l->value, "*") == 0))
			return l->name;
	}
	return NULL;
}

const char *
providers_value(const struct providers *p, const char *name, const char *key, size_t n)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct provider_line *l = &p->lines[i];

		if (l->key != NULL && strcmp(l->name, name) == 0 && strcmp(l->key, key) == 0 &&
		    n-- == 0)
			return l->value;
	}
	return NULL;
}

const char *
providers_name(const struct providers *p, const char *kind, size_t n)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->lines[i].key == NULL && strcmp(p->lines[i].kind, kind) == 0 && n-- == 0)
			return p->lines[i].name;
	return NULL;
}

bool
providers_needs(const struct providers *p, const char *name, const char *what)
{
	const char *need;

	for (size_t n = 0; (need = providers_value(p, name, "needs", n)) != NULL; n++)
		if (strcmp(need, what) == 0)
			return true;
	return false;
}

/* ---- matching ---- */

static bool
matches(const char *pattern, const char *host)
{
	size_t len = strlen(pattern), n = strlen(host);

	if (n > 0 && host[n - 1] == '.')
		n--;
	if (strncmp(pattern, "*.", 2) == 0)
		return n > len - 1 && strncasecmp(host + n - (len - 1), pattern + 1, len - 1) == 0;
	return n == len && strncasecmp(host, pattern, len) == 0;
}

/* The longest pattern counts: "*.olc.protection.outlook.com" before "*.protection.outlook.com". */
static const char *
find(const struct providers *p, const char *key, const char *host)
{
	const char *found = NULL;
	size_t best = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct provider_line *l = &p->lines[i];

		if (l->key != NULL && strcmp(l->key, key) == 0 && strlen(l->value) > best &&
		    matches(l->value, host)) {
			found = l->name;
			best = strlen(l->value);
		}
	}
	return found;
}

const char *
providers_by_domain(const struct providers *p, const char *domain)
{
	return find(p, "domains", domain);
}

const char *
providers_by_mx(const struct providers *p, const char *host)
{
	return find(p, "mx", host);
}
