/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * alias-file.c: see alias-file.h. The text that was checked is the text that queue gets: it is copied into a sealed file in memory, since
 * the file itself may be edited at any time.
 */
#include "broker/main/alias-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/aliases.h"
#include "base/io.h"
#include "broker/ipc/file.h"

static const char default_path[] = "/etc/aliases";

void
alias_file_clear(struct alias_file *f)
{
	free(f->path);
	if (f->fd >= 0)
		(void)close(f->fd);
	*f = (struct alias_file){.fd = -1};
}

/* 0 with the text; 1 where there is no such file and none is needed. */
static int
read_text(const char *path, bool needed, struct buf *text, struct buf *report)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st = {0};
	int r;

	if (fd < 0 && errno == ENOENT && !needed)
		return 1;
	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else
		r = S_ISREG(st.st_mode) ? file_read_whole(fd, text) : -EINVAL;
	if (r == 0 && (st.st_mode & S_IWOTH) != 0)
		(void)buf_printf(report,
		    "%s:1: warning: everybody may write this file, and so read root's mail; make "
		    "it 0644\n",
		    path);
	if (r == 0 || r == -ENODATA)
		return 0;
	(void)buf_printf(report, "error: the aliases file %s cannot be read: %s\n", path,
	    r == -EINVAL    ? "it is no regular file"
	    : r == -ENOBUFS ? "it is larger than 4 MiB"
			    : strerror(-r));
	return r;
}

static int
seal(const struct buf *text)
{
	CLEANUP_CLOSE int fd = memfd_create("aliases", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : io_write_all(fd, text->data, text->len);

	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int
visit_nothing(void *arg, const char *address)
{
	return 0;
}

/* Nearly every host sends mail to root: whoever sets one up should hear of it here, not from cron's log. */
static void
check_root(
    const struct conf *c, struct aliases *a, const struct aliases_host *host, struct buf *report)
{
	CLEANUP_BUF struct buf why = BUF_INIT(2048);

	if (aliases_expand(a, host, "root", visit_nothing, NULL, &why) == ALIASES_UNKNOWN)
		(void)buf_printf(report, "%s: warning: mail for root is refused: %s\n",
		    c->files.items[0], buf_str(&why));
}

int
alias_file_read(const struct conf *c, struct alias_file *ret, struct buf *report)
{
	CLEANUP_BUF struct buf text = BUF_INIT(ALIASES_TEXT_MAX);
	struct aliases_host host = {.domains = c->local_domains.items,
	    .domain_count = c->local_domains.count,
	    .mail_name = c->mail_name,
	    .postmaster = c->postmaster == NULL ? "" : c->postmaster};
	bool needed = c->aliases != NULL;
	struct aliases *a = NULL;
	int r;

	*ret = (struct alias_file){.path = strdup(needed ? c->aliases : default_path), .fd = -1};
	if (ret->path == NULL)
		return -ENOMEM;
	r = strcmp(ret->path, "none") == 0 ? 1 : read_text(ret->path, needed, &text, report);
	/* What nobody asked for must not keep frankd from starting. */
	ret->unreadable = r < 0;
	if (r < 0 && !needed)
		r = 1;
	if (r == 0)
		r = aliases_parse(buf_str(&text), text.len, ret->path, &a, report);
	if (r == 0 && text.len > 0) {
		(void)aliases_check(a, &host, report);
		ret->fd = seal(&text);
		r = ret->fd < 0 ? ret->fd : 0;
	}
	if (r >= 0)
		check_root(c, a, &host, report);
	ret->count = aliases_count(a);
	(void)aliases_free(a);
	return r < 0 ? r : 0;
}
