/*
 * drop.c: the drop directory, where the shim leaves messages while frankd is down.
 *
 * A file NAME.drop is the very byte stream that would have gone to the socket, from EHLO to QUIT;
 * whoever owns it is the caller. Anybody may write into the directory, so nothing in it is trusted:
 * a file is opened without following links, must be regular and have one name only, and is fed to
 * the same engine as a connection. It was written under another name and renamed when complete; one
 * that does not end in QUIT is not. What is stored is unlinked after the commit; a crash in between
 * is harmless, since its submission id is known then. What is refused for good is kept aside under
 * another name, for its owner; what is refused for now stays for the next look.
 */
#include "broker/queue/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/smtp/server.h"

enum {
	LOOK_SECONDS = 10,
	RETRY_LOOKS = 6, /* a file that was refused for now is tried again after so many looks */
	NAMES_MAX = 256, /* files taken in one look */
	READ_SIZE = 32 * 1024,
	ENVELOPE_MAX = 8 * 1024 * 1024, /* what commands may add to the largest message */
	STALE_SECONDS = 24 * 3600,
};

struct drop {
	struct queue *q;
	struct event *timer;
	int dir;
	struct timespec seen; /* the directory's change that was looked at */
	unsigned looks;
	char *names[NAMES_MAX];
	size_t count, at;
	size_t waiting; /* found in looks that took all they may, and refused for now */
	/* the file being read */
	char *name; /* NULL: none */
	int fd;
	struct caller caller;
	struct submission *session;
	bool feeding;
};

static void next_file(struct drop *d);

static void
tell(const struct drop *d, enum log_level level, const char *sentence, const char *name,
    const char *why)
{
	char uid[16];

	(void)snprintf(uid, sizeof(uid), "%u", d->caller.uid);
	log_line(level, sentence, LOG_PAIRS({LOG_FILE, name}, {LOG_UID, uid}, {LOG_ERROR, why}));
}

/* Out of the way, where its owner can find it. */
static void
keep_aside(struct drop *d, const char *name, const char *why)
{
	char aside[NAME_MAX + 1];
	int n = snprintf(aside, sizeof(aside), "%s.refused", name);

	if (n < 0 || (size_t)n >= sizeof(aside) || renameat(d->dir, name, d->dir, aside) < 0) {
		tell(d, LOG_LEVEL_ERROR, "A file in the drop directory cannot be put aside.", name,
		    why);
		return;
	}
	tell(d, LOG_LEVEL_ERROR,
	    "A file in the drop directory is no message that can be sent; kept aside.", aside, why);
}

/* Links, fifos, devices: nothing that anybody's mail is in. */
static void
remove_oddity(struct drop *d, const char *name)
{
	bool gone = unlinkat(d->dir, name, 0) == 0;

	tell(d, LOG_LEVEL_ERROR,
	    "What lies in the drop directory under this name is no regular file.", name,
	    gone ? "it was removed" : "it cannot be removed");
}

/* ---- one file ---- */

static void
close_file(struct drop *d)
{
	d->session = submission_free(d->session);
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
	free(d->name);
	d->name = NULL;
}

static void
finish_file(struct drop *d)
{
	const char *words;
	int code = submission_result(d->session, &words);

	if (code == 250) {
		if (unlinkat(d->dir, d->name, 0) < 0)
			tell(d, LOG_LEVEL_ERROR,
			    "A file in the drop directory is stored but cannot be removed.",
			    d->name, strerror(errno));
	} else if (code >= 400 && code < 500) {
		tell(d, LOG_LEVEL_WARNING, "A file in the drop directory waits.", d->name, words);
		d->waiting++;
	} else {
		keep_aside(d, d->name, code == 0 ? "it holds no whole message" : words);
	}
	close_file(d);
}

/* Feeds what the session takes; true at the file's end. */
static bool
feed(struct drop *d)
{
	static char bytes[READ_SIZE];
	struct smtp_server *e = submission_engine(d->session);

	for (;;) {
		ssize_t n;

		smtp_server_wrote(e, smtp_server_output(e)->len);
		if (smtp_server_output(e)->len > 0)
			continue; /* input that waited for this made more */
		if (smtp_server_waiting(e))
			return false;
		if (smtp_server_closing(e))
			return true;
		n = read(d->fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			smtp_server_eof(e);
			return true;
		}
		if (smtp_server_input(e, bytes, (size_t)n) < 0)
			return true;
	}
}

static void
on_proceed(void *arg)
{
	struct drop *d = arg;

	if (d->feeding)
		return;
	d->feeding = true;
	if (feed(d)) {
		finish_file(d);
		next_file(d);
	}
	d->feeding = false;
}

static const struct submission_ops session_ops = {on_proceed};

/* NULL where the open file may be read; else why not. */
static const char *
check_file(struct drop *d)
{
	static const char quit[] = "QUIT\r\n";
	char tail[sizeof(quit) - 1];
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return strerror(errno);
	d->caller = (struct caller){.uid = st.st_uid, .groups_by_name = true};
	if (!S_ISREG(st.st_mode))
		return "it is no regular file";
	if (st.st_nlink != 1)
		return "it has several names";
	/* It may have been moved here by one who could write it, and does not own it. */
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "others than its owner may write it";
	if ((uint64_t)st.st_size > d->q->settings->size_max + ENVELOPE_MAX)
		return "it is larger than any message may be";
	if (st.st_size < (off_t)sizeof(tail) ||
	    pread(d->fd, tail, sizeof(tail), st.st_size - (off_t)sizeof(tail)) !=
		(ssize_t)sizeof(tail) ||
	    memcmp(tail, quit, sizeof(tail)) != 0)
		return "it is not complete";
	return NULL;
}

/* Opens and feeds; true where it is done with already. */
static bool
begin_file(struct drop *d, const char *name)
{
	const char *why;

	struct stat st;

	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	d->caller = (struct caller){.uid = st.st_uid};
	if (!S_ISREG(st.st_mode)) {
		remove_oddity(d, name);
		return true;
	}
	/* What is opened may be another file than was looked at: it is looked at again. */
	d->fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (d->fd < 0 && errno != EACCES && errno != ELOOP) {
		/* Out of descriptors, memory, or a failing disk: for now. */
		if (errno != ENOENT)
			tell(d, LOG_LEVEL_WARNING, "A file in the drop directory waits.", name,
			    strerror(errno));
		return true;
	}
	why = d->fd < 0 ? strerror(errno) : check_file(d);
	if (why != NULL) {
		keep_aside(d, name, why);
		close_file(d);
		return true;
	}
	d->name = strdup(name);
	d->session = d->name == NULL ? NULL : submission_new(d->q, &d->caller, &session_ops, d);
	if (d->session == NULL) {
		close_file(d);
		return true;
	}
	if (!feed(d))
		return false;
	finish_file(d);
	return true;
}

static void
next_file(struct drop *d)
{
	while (d->at < d->count && d->name == NULL && !d->q->stopping) {
		char *name = d->names[d->at++];
		bool was = d->feeding;

		d->feeding = true;
		(void)begin_file(d, name);
		d->feeding = was;
		free(name);
	}
}

/* ---- the directory ---- */

static bool
ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

/* A message that was being written when its writer died: its caller was told that it failed. */
static void
look_at_unfinished(struct drop *d, const char *name)
{
	struct stat st;

	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    time(NULL) - st.st_mtime < STALE_SECONDS)
		return;
	d->caller = (struct caller){.uid = st.st_uid};
	keep_aside(d, name, "it was never completed");
}

static void
collect(struct drop *d)
{
	int fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t skip;

	if (all == NULL) {
		if (fd >= 0)
			(void)close(fd);
		log_line(LOG_LEVEL_ERROR, "The drop directory cannot be read.",
		    LOG_PAIRS({LOG_ERROR, strerror(errno)}));
		return;
	}
	/* Many that wait must not keep those behind them from being seen. */
	if (d->count < NAMES_MAX)
		d->waiting = 0;
	skip = d->waiting;
	d->count = d->at = 0;
	while (d->count < NAMES_MAX && (e = readdir(all)) != NULL) {
		if (ends_in(e->d_name, ".tmp"))
			look_at_unfinished(d, e->d_name);
		if (e->d_name[0] == '.' || !ends_in(e->d_name, ".drop"))
			continue;
		if (skip > 0) {
			skip--;
			continue;
		}
		d->names[d->count] = strdup(e->d_name);
		d->count += d->names[d->count] != NULL;
	}
	(void)closedir(all);
}

void
drop_scan(struct drop *d)
{
	struct stat st;

	if (d->dir < 0 || d->name != NULL || d->at < d->count || d->q->stopping)
		return;
	/* Most looks end here: nothing was added or renamed. */
	if (fstat(d->dir, &st) < 0)
		return;
	if (++d->looks < RETRY_LOOKS && d->seen.tv_sec == st.st_mtim.tv_sec &&
	    d->seen.tv_nsec == st.st_mtim.tv_nsec)
		return;
	d->looks = 0;
	d->seen = st.st_mtim;
	collect(d);
	if (d->count == NAMES_MAX)
		d->looks = RETRY_LOOKS; /* there may be more */
	next_file(d);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	drop_scan(arg);
}

struct drop *
drop_new(struct queue *q, int dir)
{
	static const struct timeval look = {LOOK_SECONDS, 0};
	struct drop *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->q = q;
	d->dir = dir;
	d->fd = -1;
	d->looks = RETRY_LOOKS;
	d->timer = event_new(q->base, -1, EV_PERSIST, on_timer, d);
	if (d->timer == NULL || event_add(d->timer, &look) < 0) {
		free(d);
		return NULL;
	}
	return d;
}
