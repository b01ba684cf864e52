/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* account-file.c: see account-file.h. */
#include "admin/account-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char include_pattern[] = "conf.d/*.conf";

void
account_file_clear(struct account_file *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->made[i].path);
	free(f->path);
	*f = (struct account_file){0};
}

void
account_file_undo(struct account_file *f)
{
	while (f->count > 0) {
		struct made *m = &f->made[--f->count];

		(void)(m->is_folder ? rmdir(m->path) : unlink(m->path));
		free(m->path);
	}
}

/* Remembers what was made. */
static int
keep(struct account_file *f, const char *path, bool is_folder)
{
	char *copy = strdup(path);

	if (copy == NULL || f->count == ACCOUNT_FILE_MADE_MAX) {
		free(copy);
		return -ENOMEM;
	}
	f->made[f->count++] = (struct made){.path = copy, .is_folder = is_folder};
	return 0;
}

/* A folder that everybody may look into, where it is not there yet. */
static int
make_folder(struct account_file *f, const char *path)
{
	mode_t before = umask(022);
	int r = mkdir(path, 0755) < 0 ? -errno : 0;

	(void)umask(before);
	if (r == 0)
		r = keep(f, path, true);
	return r == -EEXIST ? 0 : r;
}

/* A file that is not there yet, on disk when this returns. */
static int
make_file(struct account_file *f, const char *path, const char *text, size_t len)
{
	mode_t before = umask(022);
	CLEANUP_CLOSE int fd =
	    open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : keep(f, path, false);
	ssize_t n;

	(void)umask(before);
	if (r < 0)
		return r;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

static int
fail(const struct cli *cli, struct account_file *f, const char *path, int r)
{
	account_file_undo(f);
	return cli_fail(cli,
	    r == -EEXIST   ? EX_USAGE
	    : r == -EACCES ? EX_NOPERM
			   : EX_CANTCREAT,
	    r == -EEXIST   ? "choose another name"
	    : r == -EACCES ? "run it as the administrator: sudo frank account add"
			   : NULL,
	    "%s: %s; nothing was written", path, strerror(-r));
}

/* The path without its last part. NULL when memory is out, or there is none. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? NULL : strndup(path, (size_t)(slash - path));
}

/* The first folder whose "*.conf" files are read; NULL: none. */
static char *
included_folder(const struct providers *p)
{
	static const char all[] = "/*.conf";
	const char *pattern;

	for (size_t n = 0; (pattern = providers_name(p, "include", n)) != NULL; n++) {
		size_t len = strlen(pattern), end = sizeof(all) - 1;

		if (len > end && strcmp(pattern + len - end, all) == 0 &&
		    memchr(pattern, '*', len - end) == NULL)
			return strndup(pattern, len - end);
	}
	return NULL;
}

/* A configuration that says where the rest is. */
static int
make_configuration(struct account_file *f, const char *config, char *folder)
{
	struct buf text CLEANUP_BUF = BUF_INIT(1024);
	int r = make_folder(f, folder);

	if (r == 0)
		r = buf_printf(&text,
		    "# Frank's configuration: frank.conf(5). Each account has a file of its own.\n"
		    "include = {\"%s\"}\n",
		    include_pattern);
	if (r == 0)
		r = make_file(f, config, text.data, text.len);
	return r;
}

int
account_file_write(const struct cli *cli, const struct providers *p, const char *name,
    const struct buf *block, struct account_file *ret)
{
	const char *config = providers_name(p, "configuration", 0);
	CLEANUP_FREE char *folder = NULL, *place = NULL;
	int r = 0;

	*ret = (struct account_file){0};
	if (config == NULL)
		return cli_fail(cli, EX_SOFTWARE, NULL,
		    "frankd does not say where its "
		    "configuration is");
	if (access(config, F_OK) < 0 && errno == ENOENT) {
		place = folder_of(config);
		if (place == NULL)
			return cli_fail(cli, EX_USAGE, "give --config the whole path",
			    "a configuration cannot be made at %s", config);
		if (asprintf(&folder, "%s/conf.d", place) < 0) {
			folder = NULL;
			return fail(cli, ret, config, -ENOMEM);
		}
		r = make_configuration(ret, config, place);
		if (r < 0)
			return fail(cli, ret, config, r);
	} else {
		folder = included_folder(p);
	}
	if (folder == NULL) {
		(void)fputs(buf_str(block), stderr);
		return cli_fail(cli, EX_CONFIG,
		    "add include = {\"conf.d/*.conf\"} to it, outside of all blocks, and call it "
		    "again; or "
		    "put the block above in yourself",
		    "%s includes no folder for it; nothing was written", config);
	}
	r = make_folder(ret, folder);
	if (r < 0)
		return fail(cli, ret, folder, r);
	if (asprintf(&ret->path, "%s/%s.conf", folder, name) < 0) {
		ret->path = NULL;
		return fail(cli, ret, folder, -ENOMEM);
	}
	r = make_file(ret, ret->path, block->data, block->len);
	return r < 0 ? fail(cli, ret, ret->path, r) : EX_OK;
}
