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
 *
 * The directory is read in steps, and its files are taken in steps as well, one in a turn of the
 * loop: however many they are, and however large, what comes by a socket is answered in between.
 * They are taken one after the other: those of a user in the order of their times, users in turn,
 * so that a flood of one user delays nobody else. Where one has to wait (the user's limits, the
 * service's rate, a full disk), the later ones of its user wait too. A user's files beyond
 * PER_USER_MAX are left to the next look. Their number and size on disk are for quotas to bound:
 * whoever may write there does so without us.
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
	STEP_ENTRIES = 500,
	FOUND_MAX = 50000, /* files of a look */
	PER_USER_MAX = 5000,
	USERS_MAX = 4096, /* a power of two; of a look */
	TOLD_MAX = 50,    /* lines in the log of a look */
	LEFT_MAX = 64,
	READ_SIZE = 32 * 1024,
	READS_PER_STEP = 8,
	ENVELOPE_MAX = 8 * 1024 * 1024, /* what commands may add to the largest message */
	STALE_SECONDS = 24 * 3600,
};

struct found {
	char *name; /* owned */
	uint32_t uid;
	unsigned turn; /* it is the so-manieth of its user */
	struct timespec at;
};

/* How many files of a user are in a look. */
struct share {
	uint32_t uid;
	unsigned count; /* 0: a free slot */
};

struct drop {
	struct queue *q;
	struct event *timer;
	struct event *scan_step, *file_step;
	int dir;
	struct timespec seen; /* the directory's change that was looked at */
	unsigned looks;
	DIR *scan;    /* while the directory is read */
	bool partial; /* there is more than a look takes */
	struct found *found;
	size_t count, room, at;
	struct share shares[USERS_MAX];
	unsigned told;
	ino_t left[LEFT_MAX]; /* folders that were told of */
	size_t left_count;
	/* the file being read */
	char *name; /* NULL: none */
	int fd;
	struct caller caller;
	struct submission *session;
};

static void
tell(struct drop *d, enum log_level level, const char *sentence, const char *name, const char *why)
{
	char uid[16];

	/* Whoever fills the directory with rubbish shall not fill the log as well. */
	if (++d->told > TOLD_MAX)
		return;
	(void)snprintf(uid, sizeof(uid), "%u", d->caller.uid);
	log_line(level, sentence, LOG_PAIRS({LOG_FILE, name}, {LOG_UID, uid}, {LOG_ERROR, why}));
}

/* Out of the way, where its owner can find it. */
static void
keep_aside(struct drop *d, const char *name, const char *why)
{
	char aside[NAME_MAX + 1];
	int n = snprintf(aside, sizeof(aside), "%s.refused", name);
	struct stat st;

	/* One whose name is as long as names may be gets another. */
	if (n >= (int)sizeof(aside) && fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		(void)snprintf(aside, sizeof(aside), "%llu.refused", (unsigned long long)st.st_ino);
	if (renameat(d->dir, name, d->dir, aside) < 0) {
		tell(d, LOG_LEVEL_ERROR, "A file in the drop directory cannot be put aside.", name,
		    why);
		return;
	}
	tell(d, LOG_LEVEL_ERROR,
	    "A file in the drop directory is no message that can be sent; kept aside.", aside, why);
}

/* A folder is left where it is, which the role may not change, and told of once. */
static void
leave_folder(struct drop *d, const char *name, ino_t inode)
{
	for (size_t i = 0; i < d->left_count; i++)
		if (d->left[i] == inode)
			return;
	if (d->left_count == ARRAY_SIZE(d->left))
		return;
	d->left[d->left_count++] = inode;
	tell(d, LOG_LEVEL_ERROR, "A folder in the drop directory is no message.", name,
	    "its owner, or root, can remove it");
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

/* The order of a user's messages is kept: what comes behind one that waits does so too. */
static void
pass_over(struct drop *d, uint32_t uid)
{
	for (size_t i = d->at; i < d->count; i++)
		if (d->found[i].uid == uid) {
			free(d->found[i].name);
			d->found[i].name = NULL;
		}
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
		pass_over(d, d->caller.uid);
	} else {
		keep_aside(d, d->name, code == 0 ? "it holds no whole message" : words);
	}
	close_file(d);
}

enum progress {
	WAITS, /* for a decision: on_proceed goes on */
	GOES_ON,
	ENDED,
};

/* Feeds what the session takes in one step. */
static enum progress
feed(struct drop *d)
{
	static char bytes[READ_SIZE];
	struct smtp_server *e = submission_engine(d->session);

	for (int i = 0; i < READS_PER_STEP; i++) {
		ssize_t n;

		/* Input that waited for this may make more. */
		while (smtp_server_output(e)->len > 0)
			smtp_server_wrote(e, smtp_server_output(e)->len);
		if (smtp_server_waiting(e))
			return WAITS;
		if (smtp_server_closing(e))
			return ENDED;
		n = read(d->fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			smtp_server_eof(e);
			return ENDED;
		}
		if (smtp_server_input(e, bytes, (size_t)n) < 0)
			return ENDED;
	}
	return GOES_ON;
}

static void
step_later(struct drop *d)
{
	static const struct timeval now = {0, 0};

	(void)event_add(d->file_step, &now);
}

static void
on_proceed(void *arg)
{
	step_later(arg);
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

/* Opens the file and begins a session, or is done with it. */
static void
begin_file(struct drop *d, const char *name)
{
	const char *why;
	struct stat st;

	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	d->caller = (struct caller){.uid = st.st_uid};
	if (S_ISDIR(st.st_mode)) {
		leave_folder(d, name, st.st_ino);
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		remove_oddity(d, name);
		return;
	}
	/* What is opened may be another file than was looked at: it is looked at again. */
	d->fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (d->fd < 0 && errno != EACCES && errno != ELOOP) {
		/* Out of descriptors, memory, or a failing disk: for now. */
		if (errno != ENOENT)
			tell(d, LOG_LEVEL_WARNING, "A file in the drop directory waits.", name,
			    strerror(errno));
		return;
	}
	why = d->fd < 0 ? strerror(errno) : check_file(d);
	if (why != NULL) {
		keep_aside(d, name, why);
		close_file(d);
		return;
	}
	d->name = strdup(name);
	d->session = d->name == NULL ? NULL : submission_new(d->q, &d->caller, &session_ops, d);
	if (d->session == NULL)
		close_file(d);
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
forget_found(struct drop *d)
{
	for (size_t i = d->at; i < d->count; i++)
		free(d->found[i].name);
	free(d->found);
	d->found = NULL;
	d->count = d->at = d->room = 0;
	memset(d->shares, 0, sizeof(d->shares));
	if (d->told > TOLD_MAX)
		log_warning("%u more files in the drop directory were refused, or wait.",
		    d->told - TOLD_MAX);
	d->told = 0;
	if (d->partial)
		d->looks = RETRY_LOOKS;
	d->partial = false;
}

/* A part of the file that is being read, or the beginning of the next one. */
static void
on_file_step(evutil_socket_t number, short what, void *arg)
{
	struct drop *d = arg;
	enum progress made = GOES_ON;

	if (d->session != NULL) {
		made = feed(d);
		if (made == ENDED)
			finish_file(d);
	} else if (d->at < d->count && !d->q->stopping) {
		CLEANUP_FREE char *name = TAKE_PTR(d->found[d->at].name);

		d->at++;
		if (name != NULL)
			begin_file(d, name);
	}
	if (d->session == NULL && d->at == d->count)
		forget_found(d);
	else if (made != WAITS && !(d->session == NULL && d->q->stopping))
		step_later(d);
}

/* One file more of this user in this look: which one it is, from 1; 0 where that is too many. */
static unsigned
count_share(struct drop *d, uint32_t uid)
{
	size_t at = (uid * 2654435761U) & (USERS_MAX - 1);

	for (size_t i = 0; i < USERS_MAX; i++, at = (at + 1) & (USERS_MAX - 1)) {
		struct share *s = &d->shares[at];

		if (s->count > 0 && s->uid != uid)
			continue;
		s->uid = uid;
		return s->count < PER_USER_MAX ? ++s->count : 0;
	}
	return 0;
}

static void
note_file(struct drop *d, const char *name)
{
	struct found *all = d->found;
	struct stat st;

	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (d->count == d->room) {
		size_t room = d->room == 0 ? 64 : d->room * 2;

		all = reallocarray(d->found, room, sizeof(*all));
		if (all != NULL) {
			d->found = all;
			d->room = room;
		}
	}
	if (all == NULL || d->count == FOUND_MAX || count_share(d, st.st_uid) == 0) {
		d->partial = true;
		return;
	}
	all[d->count] = (struct found){.name = strdup(name), .uid = st.st_uid, .at = st.st_mtim};
	d->count += all[d->count].name != NULL;
}

static int
compare_times(const struct found *a, const struct found *b)
{
	if (a->at.tv_sec != b->at.tv_sec)
		return a->at.tv_sec < b->at.tv_sec ? -1 : 1;
	if (a->at.tv_nsec != b->at.tv_nsec)
		return a->at.tv_nsec < b->at.tv_nsec ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int
compare_users(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->uid != y->uid ? (x->uid < y->uid ? -1 : 1) : compare_times(x, y);
}

static int
compare_turns(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->turn != y->turn ? (x->turn < y->turn ? -1 : 1) : compare_times(x, y);
}

/* Each user's in the order of their times, and the users in turn. */
static void
arrange(struct drop *d)
{
	if (d->count == 0)
		return;
	qsort(d->found, d->count, sizeof(*d->found), compare_users);
	for (size_t i = 1; i < d->count; i++)
		if (d->found[i].uid == d->found[i - 1].uid)
			d->found[i].turn = d->found[i - 1].turn + 1;
	qsort(d->found, d->count, sizeof(*d->found), compare_turns);
}

/* Some entries of the directory; at its end the files are taken. */
static void
on_scan_step(evutil_socket_t number, short what, void *arg)
{
	static const struct timeval now = {0, 0};
	struct drop *d = arg;
	struct dirent *e = NULL;

	for (int i = 0; i < STEP_ENTRIES && (e = readdir(d->scan)) != NULL; i++) {
		if (ends_in(e->d_name, ".tmp"))
			look_at_unfinished(d, e->d_name);
		else if (e->d_name[0] != '.' && ends_in(e->d_name, ".drop"))
			note_file(d, e->d_name);
	}
	if (e != NULL && !d->q->stopping) {
		(void)event_add(d->scan_step, &now);
		return;
	}
	(void)closedir(d->scan);
	d->scan = NULL;
	arrange(d);
	step_later(d);
}

static void
begin_scan(struct drop *d)
{
	static const struct timeval now = {0, 0};
	int fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d->scan = fd < 0 ? NULL : fdopendir(fd);
	if (d->scan != NULL) {
		(void)event_add(d->scan_step, &now);
		return;
	}
	log_line(LOG_LEVEL_ERROR, "The drop directory cannot be read.",
	    LOG_PAIRS({LOG_ERROR, strerror(errno)}));
	if (fd >= 0)
		(void)close(fd);
}

void
drop_scan(struct drop *d)
{
	struct stat st;

	if (d->dir < 0 || d->name != NULL || d->scan != NULL || d->count > 0 || d->q->stopping)
		return;
	/* Most looks end here: nothing was added or renamed. */
	if (fstat(d->dir, &st) < 0)
		return;
	if (++d->looks < RETRY_LOOKS && d->seen.tv_sec == st.st_mtim.tv_sec &&
	    d->seen.tv_nsec == st.st_mtim.tv_nsec)
		return;
	d->looks = 0;
	d->seen = st.st_mtim;
	begin_scan(d);
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
	d->scan_step = evtimer_new(q->base, on_scan_step, d);
	d->file_step = evtimer_new(q->base, on_file_step, d);
	if (d->timer == NULL || d->scan_step == NULL || d->file_step == NULL ||
	    event_add(d->timer, &look) < 0) {
		free(d);
		return NULL;
	}
	return d;
}
