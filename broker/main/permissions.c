/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * permissions.c: see permissions.h. A group counts as others unless it is root's or frankd's own: in
 * it a person's files often are writable (umask 002), with nobody else in it.
 */
#include "broker/main/permissions.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEEN_MAX = 256 };

struct look {
	struct buf *report;
	bool trusting; /* frankd does what the file being looked at says */
	bool open;     /* ... and everybody may change one that was */
	/* what was looked at; more than these are not remembered, and may be named twice */
	struct {
		char *path;
		bool trusting;
	} seen[SEEN_MAX];
	size_t count;
};

/* Was this looked at, and no less closely? From now on it was. */
static bool
is_seen(struct look *l, const char *path)
{
	size_t i = 0;
	bool seen;

	while (i < l->count && strcmp(l->seen[i].path, path) != 0)
		i++;
	seen = i < l->count && (l->seen[i].trusting || !l->trusting);
	if (i == l->count && l->count < SEEN_MAX && (l->seen[i].path = strdup(path)) != NULL)
		l->count++;
	if (i < l->count)
		l->seen[i].trusting = l->seen[i].trusting || l->trusting;
	return seen;
}

static bool
is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* The bits of the mode, among `bits` of everybody (as of 007), that somebody else has. */
static mode_t
others(const struct stat *st, mode_t bits)
{
	bool own_group = st->st_gid == 0 || st->st_gid == getegid();

	return st->st_mode & (bits | (own_group ? 0 : bits << 3));
}

/* `named`: where the configuration names the file; NULL for its own. */
static void
complain(struct look *l, const struct conf_place *named, const char *path, const struct stat *st,
    const char *danger, const char *mend)
{
	const char *level = l->trusting && (st->st_mode & S_IWOTH) != 0 ? "error" : "warning";
	const struct passwd *p = getpwuid(st->st_uid);
	char number[24];

	(void)snprintf(number, sizeof(number), "%u", (unsigned)st->st_uid);
	if (named != NULL && named->file == NULL)
		named = NULL; /* so by default */
	if (named != NULL)
		(void)buf_printf(l->report, "%s:%u: %s: ", named->file, named->line, level);
	(void)buf_printf(l->report, "%s: %s%s%s (owner %s, mode %04o): %s %s\n", path,
	    named == NULL ? level : "", named == NULL ? ": " : "", danger,
	    p == NULL ? number : p->pw_name, (unsigned)st->st_mode & 07777, mend, path);
	l->open = l->open || strcmp(level, "error") == 0;
}

/* Whoever may write to its folder can put another file in the place of this one. */
static void
check_folder(struct look *l, const struct conf_place *named, const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder =
	    slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	struct stat st;

	if (folder == NULL || is_seen(l, folder) || stat(folder, &st) < 0)
		return;
	if (!is_trusted(st.st_uid))
		complain(l, named, folder, &st,
		    "another user owns this folder and may replace what is in it", "chown root");
	else if (others(&st, S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
		complain(l, named, folder, &st, "others may replace what is in this folder",
		    "chmod go-w");
}

static void
check_file(struct look *l, const struct conf_place *named, const char *path, bool secret)
{
	struct stat st;

	if (is_seen(l, path) || stat(path, &st) < 0)
		return; /* that it cannot be read is said where it is read */
	if (!is_trusted(st.st_uid))
		complain(l, named, path, &st,
		    secret ? "another user owns this secret" : "another user owns this file",
		    "chown root");
	else if (others(&st, S_IWOTH) != 0)
		complain(l, named, path, &st, "others may change this file", "chmod go-w");
	else if (secret && others(&st, S_IROTH) != 0)
		complain(l, named, path, &st, "others may read this secret", "chmod go-rwx");
	check_folder(l, named, path);
}

/* A file whose content frankd does: every folder on the way to it counts. */
static void
check_obeyed(struct look *l, const struct conf_place *named, const char *path)
{
	CLEANUP_FREE char *real = realpath(path, NULL);
	char *slash;

	if (real == NULL)
		return; /* that it cannot be read is said where it is read */
	l->trusting = true;
	check_file(l, named, real, false);
	while ((slash = strrchr(real, '/')) != NULL && slash != real) {
		*slash = '\0';
		check_folder(l, named, real);
	}
	l->trusting = false;
}

/* `secret`: what it names is for frankd alone. */
static void
check_reference(struct look *l, const struct conf_reference *r, bool secret)
{
	static const char file[] = "file:", command[] = "command:";

	if (r->text == NULL)
		return;
	if (strncmp(r->text, file, strlen(file)) == 0)
		check_file(l, &r->place, r->text + strlen(file), secret);
	else if (strncmp(r->text, command, strlen(command)) == 0)
		check_obeyed(l, &r->place, r->text + strlen(command));
}

int
permissions_check(const struct conf *c, struct buf *report)
{
	struct look l = {.report = report};

	for (size_t i = 0; i < c->files.count; i++)
		check_obeyed(&l, NULL, c->files.items[i]);
	check_reference(&l, &c->master_key, true);
	for (size_t i = 0; i < c->account_count; i++) {
		const struct conf_account *a = &c->accounts[i];

		check_reference(&l, &a->client_secret, true);
		check_reference(&l, &a->client_key, true);
		check_reference(&l, &a->client_certificate, false);
		check_reference(&l, &a->password, true);
		if (a->ca_file.path != NULL)
			check_file(&l, &a->place, a->ca_file.path, false);
		if (a->tls_certificate.path != NULL)
			check_file(&l, &a->place, a->tls_certificate.path, a->tls_key.path == NULL);
		if (a->tls_key.path != NULL)
			check_file(&l, &a->place, a->tls_key.path, true);
	}
	for (size_t i = 0; i < c->webhook_count; i++) {
		check_reference(&l, &c->webhooks[i].url, true);
		check_reference(&l, &c->webhooks[i].secret, true);
		check_reference(&l, &c->webhooks[i].header, true);
	}
	for (size_t i = 0; i < c->listener_count; i++) {
		check_reference(&l, &c->listeners[i].certificate, false);
		check_reference(&l, &c->listeners[i].key, true);
	}
	if (c->notify.command.count > 0)
		check_obeyed(&l, &c->notify.place, c->notify.command.items[0]);
	if (c->aliases != NULL && *c->aliases == '/')
		check_file(&l, NULL, c->aliases, false);
	while (l.count > 0)
		free(l.seen[--l.count].path);
	return l.open ? -EPERM : 0;
}
