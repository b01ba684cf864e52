/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * drop.c: the drop directory, where the shim leaves messages while frankd is down.
 *
 * A file NAME.drop is the very byte stream that would have gone to the socket, from EHLO to QUIT
 * (drop-file.h); whoever owns it is the caller. Anybody may write into the directory, and whoever may
 * write to another folder may rename somebody else's file from there to here. So a file counts as its
 * owner's mail only where it was made here: it has the directory's group, which the setgid bit gives
 * to new files and which the daemon's own group is; it has the format from its first octet to its
 * last; it is regular, has one name, and nobody but its owner may write it. In user mode the group
 * proves nothing, and the directory is the user's alone.
 *
 * It is opened without following links and fed to the same engine as a connection. What is stored is
 * unlinked after the commit; a crash in between is harmless, since its submission id is known then.
 * A message that is refused for good goes back to its sender (returned.h), since its caller was told
 * that it was taken; so does one that waited for as long as mail is kept. What is refused for now
 * stays for the next look. A file that holds no message is kept aside under another name, for its
 * owner, and people are told of it.
 *
 * A file under any other name may be one that its writer is about to rename, so it is never touched. When
 * it has not changed for STRAY_SECONDS nobody writes it any more: it is logged once, and counted with the
 * files that were kept aside, so that a person finds it and renames it to NAME.drop or removes it.
 *
 * The directory is read in steps, and its files are taken in steps as well, one in a turn of the
 * loop: however many they are, and however large, what comes by a socket is answered in between.
 * They are taken one after the other: those of a user in the order of their times, users in turn,
 * so that a flood of one user delays nobody else. Where one has to wait (the user's limits, the
 * service's rate, a full disk), the later ones of its user wait too. A user's files beyond
 * PER_USER_MAX are left to the next look. Their number and size on disk are for quotas to bound:
 * whoever may write there does so without us.
 */
#include "broker/queue/inbound/drop-file.h"
#include "broker/queue/inbound/drop.h"
#include "broker/queue/inbound/submission.h"
#include "broker/queue/inbound/returned.h"

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
	LEFT_MAX = 64,
	READ_SIZE = 32 * 1024,
	READS_PER_STEP = 8,
	STALE_SECONDS = 24 * 3600,
	STRAY_SECONDS = 600,
	REPLY_MAX = 600,
	FIRST_RCPT = 3,   /* replies before: greeting, EHLO, MAIL */
	ASIDE_TRIES = 16, /* names that are taken */
};

struct drop_entry {
	char *name; /* owned */
	uint32_t uid;
	uint32_t
	    user; /* whom the uid counts as (users.h), at the end of the look; itself where nothing is known */
	unsigned turn; /* its place among the files of its user, from 0 */
	struct timespec at;
};

/* How many files of a user are in a look. */
struct share {
	uint32_t user;
	unsigned count; /* 0: a free slot */
};

struct drop {
	struct inbound *in;
	struct event *timer;
	struct event *scan_step, *file_step;
	int dir;
	struct timespec seen; /* the directory's change that was looked at */
	unsigned looks;
	DIR *scan;    /* while the directory is read */
	bool partial; /* there is more than a look takes */
	struct drop_entry *found;
	size_t count, room, at;
	size_t aside, aside_seen; /* files that are not taken in: of the last look, of this one */
	struct share shares[USERS_MAX];
	ino_t left[LEFT_MAX]; /* folders and stray files that are in the log */
	size_t left_count;
	/* the file being read */
	char *name; /* NULL: none */
	int fd;
	struct caller caller;
	struct submission *session;
	unsigned replies;      /* of the session so far */
	unsigned refused;      /* which of them was the first refusal */
	char reply[REPLY_MAX]; /* that one; "" for none */
	int64_t since;         /* when the file was written */
	struct returned *returning;
};

static void
tell(struct drop *d, enum log_level level, const char *sentence, const char *name, const char *why)
{
	char uid[16], who[LOG_LIMIT_WHO_MAX];

	mail_owner_name(d->in->users, d->caller.uid, NULL, who);
	(void)snprintf(uid, sizeof(uid), "%u", d->caller.uid);
	log_limited(d->in->log, who, level, sentence,
	    LOG_PAIRS({LOG_FILE, name}, {LOG_UID, uid}, {LOG_ERROR, why}));
}

/* Out of the way, where its owner can find it, and under a name that nothing has: another's file must
 * not be replaced. */
static int
move_aside(struct drop *d, const char *name, char aside[NAME_MAX + 1])
{
	int r = -EEXIST;

	(void)snprintf(
	    aside, NAME_MAX + 1, "%.*s.refused", NAME_MAX - (int)strlen(".refused"), name);
	for (int i = 0; i < ASIDE_TRIES && r == -EEXIST; i++) {
		r = renameat2(d->dir, name, d->dir, aside, RENAME_NOREPLACE) < 0 ? -errno : 0;
		/* a file system without that flag */
		if (r == -EINVAL && faccessat(d->dir, aside, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			r = renameat(d->dir, name, d->dir, aside) < 0 ? -errno : 0;
		else if (r == -EINVAL)
			r = -EEXIST;
		if (r == -EEXIST)
			(void)snprintf(aside, NAME_MAX + 1, "%08x%08x.refused", clock_random(),
			    clock_random());
	}
	return r;
}

static void
keep_aside(struct drop *d, const char *name, const char *why)
{
	CLEANUP_BUF struct buf text = BUF_INIT(1024);
	char aside[NAME_MAX + 1];
	int r = move_aside(d, name, aside);

	if (r < 0) {
		tell(d, LOG_LEVEL_ERROR, "A file in the drop directory cannot be put aside.", name,
		    strerror(-r));
		return;
	}
	d->aside++;
	tell(d, LOG_LEVEL_ERROR, "A file in the drop directory holds no message; kept aside.",
	    aside, why);
	(void)buf_printf(&text,
	    "A file of user %u in the drop directory holds no message (%s); it is kept as %s.",
	    d->caller.uid, why, aside);
	d->in->ops->happened(d->in->ops_arg, INBOUND_ASIDE, "drop-refused", 0, buf_str(&text),
	    "Look at it in the folder \"drop\" of the state folder, and remove it.");
}

/* Logs once that something is left where it is. */
static void
leave(struct drop *d, const char *name, ino_t inode, const char *sentence, const char *why)
{
	for (size_t i = 0; i < d->left_count; i++)
		if (d->left[i] == inode)
			return;
	if (d->left_count == ARRAY_SIZE(d->left))
		return;
	d->left[d->left_count++] = inode;
	tell(d, LOG_LEVEL_ERROR, sentence, name, why);
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
	d->returning = returned_free(d->returning);
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
	free(d->name);
	d->name = NULL;
}

/* The order of a user's messages is kept: what comes behind one that waits does so too. */
static void
pass_over(struct drop *d, uint32_t user)
{
	for (size_t i = d->at; i < d->count; i++)
		if (d->found[i].user == user) {
			free(d->found[i].name);
			d->found[i].name = NULL;
		}
}

static void
wait_for_later(struct drop *d, const char *why)
{
	tell(d, LOG_LEVEL_WARNING, "A file in the drop directory waits.", d->name, why);
	pass_over(d, d->found[d->at - 1].user);
}

static void
remove_taken(struct drop *d)
{
	if (unlinkat(d->dir, d->name, 0) < 0)
		tell(d, LOG_LEVEL_ERROR,
		    "A file in the drop directory is stored but cannot be removed.", d->name,
		    strerror(errno));
}

static void step_later(struct drop *d);

static void
on_returned(void *arg, int r)
{
	struct drop *d = arg;

	if (r == 0)
		remove_taken(d);
	else if (r == -EFBIG)
		keep_aside(d, d->name, d->reply);
	else
		wait_for_later(d, r == -EAGAIN ? d->reply : strerror(-r));
	close_file(d);
	step_later(d);
}

/* True: on_returned is called. */
static bool
begin_return(struct drop *d)
{
	struct returned_why why = {.reply = d->reply,
	    .recipient = d->refused >= FIRST_RCPT ? d->refused - FIRST_RCPT : SIZE_MAX};

	d->session = submission_free(d->session);
	d->returning = returned_new(d->in, d->fd, d->caller.uid, &why, on_returned, d);
	return d->returning != NULL;
}

/* Its time in the queue would be over. */
static bool
is_overdue(const struct drop *d)
{
	return d->since < clock_now(d->in->clock) - d->in->settings->conf->lifetime;
}

enum progress {
	WAITS, /* for a decision: on_proceed or on_returned goes on */
	GOES_ON,
	ENDED,
};

static enum progress
finish_file(struct drop *d)
{
	bool stored = submission_result(d->session, NULL) == 250;

	if (stored)
		remove_taken(d);
	else if (d->reply[0] == '\0')
		wait_for_later(d, "it cannot be read to its end");
	else if (d->reply[0] == '4' && !is_overdue(d))
		wait_for_later(d, d->reply);
	else if (begin_return(d))
		return WAITS;
	else
		wait_for_later(d, strerror(ENOMEM));
	close_file(d);
	return ENDED;
}

/* The first refusal among the replies, of which there are only whole ones. */
static void
read_replies(struct drop *d, const struct buf *out)
{
	const char *at = buf_str(out), *end;

	for (; (end = strstr(at, "\r\n")) != NULL; at = end + 2) {
		bool last = end - at < 4 || at[3] != '-';

		if ((*at == '4' || *at == '5') && d->reply[0] == '\0') {
			(void)snprintf(d->reply, sizeof(d->reply), "%.*s", (int)(end - at), at);
			d->reply[3] = d->reply[3] == '-' ? ' ' : d->reply[3];
			d->refused = d->replies;
		}
		d->replies += last;
	}
}

/* Feeds what the session takes in one step. */
static enum progress
feed(struct drop *d)
{
	static char bytes[READ_SIZE];
	struct smtp_server *e = submission_engine(d->session);

	for (int i = 0; i < READS_PER_STEP; i++) {
		ssize_t n;

		/* Input that waited for this may make more. */
		while (smtp_server_output(e)->len > 0) {
			read_replies(d, smtp_server_output(e));
			smtp_server_wrote(e, smtp_server_output(e)->len);
		}
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

/* The user whose folder it is sees to it that nobody else writes there (folders.h). */
static bool
is_made_here(const struct drop *d, const struct stat *file)
{
	struct stat dir;

	return fstat(d->dir, &dir) == 0 &&
	       ((dir.st_mode & (S_IWGRP | S_IWOTH)) == 0 || file->st_gid == dir.st_gid);
}

/* Is the open file a message that its owner left here? 0; -EBADMSG with *ret_why; another negative errno
 * where that cannot be told now. */
static int
check_file(struct drop *d, const char **ret_why)
{
	static const struct drop_file_ops look = {0};
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return -errno;
	d->caller = (struct caller){.uid = st.st_uid, .groups_by_name = true};
	d->since = st.st_mtime;
	if (!S_ISREG(st.st_mode))
		*ret_why = "it is no regular file";
	else if (st.st_nlink != 1)
		*ret_why = "it has several names";
	/* It may have been moved here by one who could write it, and does not own it. */
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		*ret_why = "others than its owner may write it";
	else if (!is_made_here(d, &st))
		*ret_why = "it was not made in this directory";
	else
		*ret_why = NULL;
	if (*ret_why != NULL)
		return -EBADMSG;
	*ret_why = "it is not what sendmail leaves here";
	return drop_file_read(d->fd, &look, NULL);
}

/* Out of descriptors, memory, or a failing disk: for now. */
static void
leave_for_now(struct drop *d, const char *name, int r)
{
	tell(d, LOG_LEVEL_WARNING, "A file in the drop directory waits.", name, strerror(-r));
	close_file(d);
}

/* Opens the file and begins a session, or is done with it. */
static void
begin_file(struct drop *d, const char *name)
{
	const char *why = NULL;
	struct stat st;
	int r;

	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	d->caller = (struct caller){.uid = st.st_uid};
	if (S_ISDIR(st.st_mode)) {
		leave(d, name, st.st_ino, "A folder in the drop directory is no message.",
		    "its owner, or root, can remove it");
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		remove_oddity(d, name);
		return;
	}
	/* What is opened may be another file than was looked at: it is looked at again. */
	d->fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	r = d->fd < 0 ? -errno : check_file(d, &why);
	if (r == -ENOENT)
		return;
	if (r == -EACCES || r == -ELOOP || r == -EBADMSG) {
		keep_aside(d, name, r == -EBADMSG ? why : strerror(-r));
		close_file(d);
		return;
	}
	if (r < 0) {
		leave_for_now(d, name, r);
		return;
	}
	d->replies = d->refused = 0;
	d->reply[0] = '\0';
	d->name = strdup(name);
	d->session = d->name == NULL ? NULL : submission_new(d->in, &d->caller, &session_ops, d);
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

/* Neither a message, nor kept aside, nor about to be one of these. */
static void
look_at_stray(struct drop *d, const char *name)
{
	struct stat st;

	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    time(NULL) - st.st_mtime < STRAY_SECONDS)
		return;
	d->aside_seen++;
	d->caller = (struct caller){.uid = st.st_uid};
	leave(d, name, st.st_ino,
	    "A file in the drop directory is not taken in: its name does not end in .drop.",
	    "a message has to be renamed; anything else can be removed");
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
			made = finish_file(d);
	} else if (d->name == NULL && d->at < d->count && !d->in->stopping) {
		CLEANUP_FREE char *name = TAKE_PTR(d->found[d->at].name);

		d->at++;
		if (name != NULL)
			begin_file(d, name);
	}
	if (d->name == NULL && d->at == d->count)
		forget_found(d);
	else if (made != WAITS && !(d->name == NULL && d->in->stopping))
		step_later(d);
}

/* One file more of this user in this look: which one it is, from 1; 0 where that is too many. Uids
 * that nothing is known of have one share for now; the next look knows them. */
static unsigned
count_share(struct drop *d, uint32_t uid)
{
	uint32_t user = users_bucket(d->in->users, uid);
	size_t at = (user * 2654435761U) & (USERS_MAX - 1);

	(void)users_get(d->in->users, uid, NULL, NULL);

	for (size_t i = 0; i < USERS_MAX; i++, at = (at + 1) & (USERS_MAX - 1)) {
		struct share *s = &d->shares[at];

		if (s->count > 0 && s->user != user)
			continue;
		s->user = user;
		return s->count < PER_USER_MAX ? ++s->count : 0;
	}
	return 0;
}

static void
note_file(struct drop *d, const char *name)
{
	struct drop_entry *all = d->found;
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
	all[d->count] =
	    (struct drop_entry){.name = strdup(name), .uid = st.st_uid, .at = st.st_mtim};
	d->count += all[d->count].name != NULL;
}

static int
compare_times(const struct drop_entry *a, const struct drop_entry *b)
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
	const struct drop_entry *x = a, *y = b;

	return x->user != y->user ? (x->user < y->user ? -1 : 1) : compare_times(x, y);
}

static int
compare_turns(const void *a, const void *b)
{
	const struct drop_entry *x = a, *y = b;

	return x->turn != y->turn ? (x->turn < y->turn ? -1 : 1) : compare_times(x, y);
}

/* Each user's in the order of their times, and the users in turn. */
static void
arrange(struct drop *d)
{
	if (d->count == 0)
		return;
	for (size_t i = 0; i < d->count; i++) {
		uint32_t uid = d->found[i].uid;
		bool known = users_get(d->in->users, uid, NULL, NULL) != NULL;

		d->found[i].user = known ? users_bucket(d->in->users, uid) : uid;
	}
	qsort(d->found, d->count, sizeof(*d->found), compare_users);
	for (size_t i = 1; i < d->count; i++)
		if (d->found[i].user == d->found[i - 1].user)
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
		if (ends_in(e->d_name, ".refused"))
			d->aside_seen++;
		else if (ends_in(e->d_name, ".tmp"))
			look_at_unfinished(d, e->d_name);
		else if (e->d_name[0] != '.' && ends_in(e->d_name, ".drop"))
			note_file(d, e->d_name);
		else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			look_at_stray(d, e->d_name);
	}
	if (e != NULL && !d->in->stopping) {
		(void)event_add(d->scan_step, &now);
		return;
	}
	(void)closedir(d->scan);
	d->scan = NULL;
	d->aside = d->aside_seen;
	arrange(d);
	step_later(d);
}

static void
begin_scan(struct drop *d)
{
	static const struct timeval now = {0, 0};
	int fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d->scan = fd < 0 ? NULL : fdopendir(fd);
	d->aside_seen = 0;
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

	if (d->dir < 0 || d->name != NULL || d->scan != NULL || d->count > 0 || d->in->stopping)
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

size_t
drop_aside(const struct drop *d)
{
	return d->aside;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	drop_scan(arg);
}

struct drop *
drop_new(struct inbound *in, int dir)
{
	static const struct timeval look = {LOOK_SECONDS, 0};
	struct drop *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->in = in;
	d->dir = dir;
	d->fd = -1;
	d->looks = RETRY_LOOKS;
	d->timer = event_new(in->base, -1, EV_PERSIST, on_timer, d);
	d->scan_step = evtimer_new(in->base, on_scan_step, d);
	d->file_step = evtimer_new(in->base, on_file_step, d);
	if (d->timer == NULL || d->scan_step == NULL || d->file_step == NULL ||
	    event_add(d->timer, &look) < 0) {
		free(d);
		return NULL;
	}
	return d;
}
