/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * key-job.c: see key-job.h.
 *
 * A restore reads the backup twice. Before it writes the first record, the whole backup must be sound and no
 * other credential may be in the place of one of its records. A record that is there already, octet for
 * octet, does not count, so that an interrupted restore can be run again.
 */
#include "broker/keeper/keys/key-job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "broker/keeper/accounts/clock.h"
#include "tokenstore/credential.h"

enum { TURN = 10 /* ms of one turn of the loop */, RECORD_TEXT_MAX = 512 };

enum job_kind { JOB_RESEAL, JOB_VERIFY, JOB_BACKUP, JOB_CHECK_BACKUP, JOB_RESTORE };

struct key_job {
	struct key_jobs *all;
	struct client *client; /* NULL: gone, or nobody asked */
	enum job_kind kind;
	struct event *timer;
	bool blocked; /* the client's channel is full */
	char **files; /* sorted */
	size_t count, room, at;
	int fd;
	struct backup backup;
	struct secret *passphrase; /* of a restore, for the second reading */
	bool overwrite, write;
	unsigned done, same, bad, unusable;
	int error; /* the first one */
};

static struct key_job *
job_free(struct key_job *j)
{
	if (j == NULL)
		return NULL;
	if (j->timer != NULL)
		event_free(j->timer);
	for (size_t i = 0; i < j->count; i++)
		free(j->files[i]);
	free(j->files);
	backup_clear(&j->backup);
	(void)secret_free(j->passphrase);
	if (j->fd >= 0)
		(void)close(j->fd);
	free(j);
	return NULL;
}

void
key_job_end(struct key_jobs *js)
{
	js->job = job_free(js->job);
}

void
key_job_audit(const struct client *c, const char *action, const char *outcome)
{
	char uid[CLIENT_UID_TEXT];

	log_line(LOG_LEVEL_NOTICE, "The keys of the token store were asked for.",
	    LOG_PAIRS(
		{LOG_UID, client_uid_text(c, uid)}, {LOG_OUTCOME, outcome}, {LOG_SERVICE, action}));
}

void
key_job_done_failed(struct client *c, const char *doing, int r)
{
	client_done(c, r == -ENOMEM ? EX_TEMPFAIL : EX_IOERR,
	    "Nothing has changed. Mend the disk and try again.", "%s: %s.", doing, strerror(-r));
}

static bool
changes_store(const struct key_job *j)
{
	return j->kind == JOB_RESEAL || j->kind == JOB_RESTORE;
}

void
key_job_forget_client(struct key_jobs *js, const struct client *c)
{
	struct key_job *j = js->job;

	if (j == NULL || j->client != c)
		return;
	j->client = NULL;
	if (!changes_store(j))
		js->job = job_free(j);
	else if (j->blocked)
		event_active(j->timer, EV_TIMEOUT, 0);
}

void
key_job_writable(struct key_jobs *js, const struct client *c)
{
	struct key_job *j = js->job;

	if (j != NULL && j->client == c && j->blocked) {
		j->blocked = false;
		event_active(j->timer, EV_TIMEOUT, 0);
	}
}

/* The end: the job is gone, then the client gets the sentence, which may end the client, too. */
static void finish(struct key_job *j, int exit, const char *next, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void
finish(struct key_job *j, int exit, const char *next, const char *format, ...)
{
	struct buf sentence CLEANUP_BUF = BUF_INIT(RECORD_TEXT_MAX);
	struct client *c = j->client;
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&sentence, format, ap);
	va_end(ap);
	j->all->job = NULL;
	(void)job_free(j);
	if (c != NULL)
		client_done(c, exit, next, "%s", buf_str(&sentence));
}

static void
finish_failed(struct key_job *j, const char *doing, int r)
{
	struct client *c = j->client;

	j->all->job = NULL;
	(void)job_free(j);
	if (c != NULL)
		key_job_done_failed(c, doing, r);
}

/* Reports one record to the client. False where the channel is full: the record comes again. */
static bool
report(struct key_job *j, const char *file, const char *account, const char *state,
    const char *text, bool bad)
{
	struct message *m;
	int r;

	if (j->client == NULL)
		return true;
	m = message_new(M_ROW_RECORD);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_TEXT, text);
	message_put_u64(m, F_FLAGS, bad);
	message_put_str(m, F_NAME, file);
	message_put_str(m, F_ACCOUNT, account);
	r = client_send(j->client, m);
	j->blocked = r == -EAGAIN;
	return r != -EAGAIN;
}

/* The account that a file belongs to, or NULL. */
static const char *
account_of(const char *file, char name[BACKUP_NAME_MAX + 1])
{
	return store_file_account(file, name, BACKUP_NAME_MAX + 1) == 0 ? name : NULL;
}

/* ---- a new master key ---- */

static void
reseal_end(struct key_job *j)
{
	struct buf text CLEANUP_BUF = BUF_INIT(RECORD_TEXT_MAX);
	int r = j->error < 0 ? j->error : store_reseal_end(j->all->store);

	if (r < 0) {
		(void)buf_printf(&text,
		    "The new master key is in force, but not every record is under it yet: %s. "
		    "Nothing is lost: the one before is kept.",
		    strerror(-r));
		log_line(LOG_LEVEL_ERROR, buf_str(&text), LOG_PAIRS({LOG_OUTCOME, "unfinished"}));
		finish(j, EX_IOERR,
		    "Mend the disk, then go on: frank key rotate (a restart goes on, too)", "%s",
		    buf_str(&text));
		return;
	}
	(void)buf_printf(
	    &text, "The new master key is in force, and %u records are under it.", j->done);
	log_line(LOG_LEVEL_NOTICE, buf_str(&text), LOG_PAIRS({LOG_OUTCOME, "rotated"}));
	if (j->unusable > 0)
		(void)buf_printf(&text, " %u files that did not open before were left as they are.",
		    j->unusable);
	finish(j, 0, NULL, "%s", buf_str(&text));
}

static bool
reseal_one(struct key_job *j, const char *file)
{
	char name[BACKUP_NAME_MAX + 1];
	const char *of = account_of(file, name);
	struct account *a = of == NULL ? NULL : accounts_find_any(j->all->accounts, of);
	int r = store_reseal(j->all->store, file, a == NULL ? NULL : a->file);

	if (r >= 0)
		j->done++;
	else if (r == -EUCLEAN)
		j->unusable++;
	else if (r == -ESTALE && a != NULL)
		(void)account_rewrite(a);
	else if (r != -EINVAL && j->error == 0)
		j->error = r;
	return true;
}

/* ---- does it open? ---- */

static bool
understood(const struct secret *payload)
{
	struct credential c CLEANUP_CREDENTIAL = {0};

	return credential_unpack(secret_bytes(payload), secret_len(payload), &c) == 0;
}

static bool
verify_one(struct key_job *j, const char *file)
{
	CLEANUP_SECRET struct secret *payload = NULL;
	char name[BACKUP_NAME_MAX + 1];
	const char *account = account_of(file, name), *state, *text;
	struct store_account *a = NULL;
	enum file_status status;
	bool understandable, bad;

	if (store_account_open_file(j->all->store, file, &a) < 0)
		return report(j, file, NULL, "aside",
		    "The file is no record that is used: kept aside, or left by a write that did "
		    "not finish.",
		    false);
	status = store_account_status(a);
	payload = store_account_take(a);
	(void)store_account_free(a);
	understandable = payload != NULL && understood(payload);
	state = store_file_status_name(status);
	text = store_file_status_text(status);
	if (payload != NULL && !understandable) {
		state = "newer";
		text = "The account's sealed record was written by a later release of Frank.";
	}
	bad = !understandable || (status != FILE_GOOD && status != FILE_TORN);
	if ((bad || status == FILE_TORN) && !report(j, file, account, state, text, bad))
		return false;
	j->bad += bad;
	j->done += !bad;
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An account of the configuration whose file is gone. */
static bool
verify_account(struct key_job *j, const struct account *a)
{
	const char *file = a->file == NULL ? NULL : store_account_file(a->file);
	struct store_account *now;
	enum file_status status;

	if (file == NULL || (j->count > 0 && bsearch(&file, j->files, j->count, sizeof(*j->files),
						 compare_names) != NULL))
		return true;
	if (store_account_open(j->all->store, a->conf->name, &now) < 0)
		return true;
	status = store_account_status(now);
	(void)store_account_free(now);
	if (status != FILE_LOST)
		return true;
	if (!report(j, file, a->conf->name, store_file_status_name(status),
		store_file_status_text(status), true))
		return false;
	j->bad++;
	return true;
}

static void
verify_end(struct key_job *j)
{
	key_job_audit(j->client, "key verify", j->bad > 0 ? "bad" : "good");
	if (j->bad > 0)
		finish(j, EX_DATAERR,
		    "Put the files back from a backup, restore one (frank key restore FILE), or "
		    "give the accounts new credentials.",
		    "%u of %u records do not open.", j->bad, j->bad + j->done);
	else
		finish(j, 0, NULL, "Every record opens: %u.", j->done);
}

/* ---- backup ---- */

static bool
backup_one(struct key_job *j, const char *file)
{
	CLEANUP_SECRET struct secret *payload = NULL;
	char name[BACKUP_NAME_MAX + 1];
	const char *account = account_of(file, name);
	struct store_account *a = NULL;
	enum file_status status;
	uint64_t generation;

	if (store_account_open_file(j->all->store, file, &a) < 0)
		return true;
	status = store_account_status(a);
	generation = store_account_generation(a);
	payload = store_account_take(a);
	(void)store_account_free(a);
	if (payload == NULL || account == NULL) {
		if (!report(j, file, account, store_file_status_name(status),
			store_file_status_text(status), true))
			return false;
		j->bad++;
		return true;
	}
	j->error = backup_write_record(&j->backup, account, generation, payload);
	j->done++;
	return true;
}

static void
backup_end(struct key_job *j)
{
	int r = j->error < 0 ? j->error : backup_write_end(&j->backup);

	key_job_audit(j->client, "key backup", r == 0 ? "written" : "failed");
	if (r < 0)
		finish_failed(j, "The backup cannot be written", r);
	else if (j->bad > 0)
		finish(j, 0, NULL, "%u records are in the backup. %u that do not open are not.",
		    j->done, j->bad);
	else
		finish(j, 0, NULL, "%u records are in the backup.", j->done);
}

/* ---- restore ---- */

static void
say_backup_bad(struct key_job *j, enum backup_verdict v)
{
	static const char *const next[] = {
	    [BACKUP_WRONG_PASSPHRASE] = "Try again with the passphrase that was given to frank key "
					"backup.",
	    [BACKUP_DAMAGED] = "Take another copy of the backup, or an older one.",
	    [BACKUP_NEWER] = "Install that release.",
	    [BACKUP_FAILED] = "Look at the disk it is on.",
	};

	key_job_audit(j->client, "key restore", "refused");
	finish(j, v == BACKUP_WRONG_PASSPHRASE ? EX_NOPERM : EX_DATAERR, next[v], "%s",
	    backup_verdict_text(v));
}

/* Is a record of this name there that is not the same? */
static bool
in_the_way(struct key_job *j, const struct backup_record *record)
{
	CLEANUP_SECRET struct secret *present = NULL;
	struct store_account *a;
	bool absent;

	if (store_account_open(j->all->store, record->name, &a) < 0)
		return true;
	present = store_account_take(a);
	absent = store_account_status(a) == FILE_ABSENT;
	(void)store_account_free(a);
	return !absent && !secret_equal(present, record->payload);
}

static bool
check_record(struct key_job *j, const struct backup_record *record)
{
	if (!understood(record->payload)) {
		if (!report(j, NULL, record->name, "newer",
			"The record was written by a later release of Frank.", true))
			return false;
		j->bad++;
	} else if (j->write && !j->overwrite && in_the_way(j, record)) {
		if (!report(j, NULL, record->name, "in-the-way",
			"The token store holds another credential of this account.", true))
			return false;
		j->bad++;
	} else {
		j->done++;
	}
	return true;
}

/* 0; 1 where the store has the same already; -EEXIST where another credential came to its place since the backup was checked. */
static int
restore_record(struct key_job *j, const struct backup_record *record)
{
	struct accounts *accounts = j->all->accounts;
	struct account *live = accounts_find(accounts, record->name);
	uint64_t generation = record->generation;
	CLEANUP_SECRET struct secret *present = NULL;
	struct store_account *a;
	bool absent;
	int r;

	if (live != NULL)
		account_flush(live);
	r = store_account_open(j->all->store, record->name, &a);
	if (r < 0)
		return r;
	absent = store_account_status(a) == FILE_ABSENT;
	present = store_account_take(a);
	if (secret_equal(present, record->payload) || (!absent && !j->overwrite)) {
		(void)store_account_free(a);
		return secret_equal(present, record->payload) ? 1 : -EEXIST;
	}
	if (generation <= store_account_generation(a))
		generation = store_account_generation(a) + 1;
	r = store_account_write(a, generation, record->payload, true);
	(void)store_account_free(a);
	return r < 0 || live == NULL ? r : accounts_reload(accounts, live);
}

static void
restore_end(struct key_job *j)
{
	char same[64] = "";

	if (j->client != NULL)
		key_job_audit(j->client, "key restore", j->error < 0 ? "failed" : "restored");
	if (j->same > 0)
		(void)snprintf(same, sizeof(same),
		    j->same == 1 ? " %u was there already, the same."
				 : " %u were there already, the same.",
		    j->same);
	if (j->error == -EEXIST)
		finish(j, EX_CANTCREAT,
		    "To put the backup's in its place: frank key restore FILE --overwrite",
		    "An account got another credential meanwhile. %u records are restored, the "
		    "others are not.",
		    j->done);
	else if (j->error < 0)
		finish(j, EX_IOERR, "Mend the disk and run it again.",
		    "The token store cannot be written: %s. %u records are restored, the others "
		    "are not.",
		    strerror(-j->error), j->done);
	else
		finish(j, 0, NULL, "%u %s restored.%s", j->done,
		    j->done == 1 ? "record is" : "records are", same);
}

/* The backup was read to its end and is sound. */
static void
checked(struct key_job *j)
{
	enum backup_verdict v;

	if (j->bad > 0) {
		finish(j, EX_CANTCREAT,
		    "To put the backup's credentials in the place of those in the store: frank key "
		    "restore FILE --overwrite",
		    "%u records of the backup cannot be restored%s.", j->bad,
		    j->write ? ", so nothing was" : "");
		return;
	}
	if (!j->write) {
		finish(j, 0, NULL, "The backup is sound: %u records.", j->done);
		return;
	}
	backup_clear(&j->backup);
	v = backup_read_begin(&j->backup, j->all->files, j->fd, j->passphrase);
	if (v != BACKUP_GOOD) {
		say_backup_bad(j, v);
		return;
	}
	j->kind = JOB_RESTORE;
	j->done = 0;
}

/* One record of a backup. False where the turn ends with it. */
static bool
backup_turn(struct key_job *j)
{
	struct backup before = j->backup;
	struct backup_record record;
	enum backup_verdict v = backup_read_record(&j->backup, &record);
	bool on = true;

	if (v == BACKUP_GOOD && j->kind == JOB_CHECK_BACKUP) {
		on = check_record(j, &record);
		if (!on) { /* it comes again */
			j->backup.at = before.at;
			j->backup.frames = before.frames;
		}
	} else if (v == BACKUP_GOOD) {
		int r = restore_record(j, &record);

		j->error = r < 0 ? r : 0;
		j->done += r == 0;
		j->same += r == 1;
	}
	backup_record_clear(&record);
	if (v == BACKUP_GOOD && j->error == 0)
		return on;
	if (j->kind == JOB_RESTORE) {
		if (v != BACKUP_GOOD && v != BACKUP_END)
			j->error = -EIO; /* changed since it was checked */
		restore_end(j);
	} else if (v == BACKUP_END) {
		checked(j);
	} else {
		say_backup_bad(j, v);
	}
	return false;
}

/* ---- turns ---- */

/* One step. False where the turn ends with it: blocked, or the job is gone. */
static bool
file_turn(struct key_job *j)
{
	static const struct {
		bool (*one)(struct key_job *j, const char *file);
		void (*end)(struct key_job *j);
	} kinds[] = {[JOB_RESEAL] = {reseal_one, reseal_end},
	    [JOB_VERIFY] = {verify_one, verify_end},
	    [JOB_BACKUP] = {backup_one, backup_end}};
	const struct accounts *accounts = j->all->accounts;
	bool on;

	/* A backup ends with its first error; after one, other records may still be resealed. */
	if (j->at < j->count && (j->error == 0 || j->kind == JOB_RESEAL)) {
		on = kinds[j->kind].one(j, j->files[j->at]);
	} else if (j->kind == JOB_VERIFY && j->at - j->count < accounts_count(accounts)) {
		on = verify_account(j, accounts_at(accounts, j->at - j->count));
	} else {
		kinds[j->kind].end(j);
		return false;
	}
	j->at += on;
	return on;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct key_jobs *js = arg;
	const struct timeval soon = {0};
	int64_t end = clock_now().boot + TURN;
	bool on = true;

	while (on && clock_now().boot < end) {
		struct key_job *j = js->job;

		on = j->kind == JOB_CHECK_BACKUP || j->kind == JOB_RESTORE ? backup_turn(j)
									   : file_turn(j);
	}
	if (js->job != NULL && !js->job->blocked)
		(void)evtimer_add(js->job->timer, &soon);
}

/* ---- starting ---- */

static int
take_file(void *arg, const char *name)
{
	struct key_job *j = arg;

	if (j->count == j->room) {
		size_t room = j->room == 0 ? 64 : j->room * 2;
		char **more = reallocarray(j->files, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		j->files = more;
		j->room = room;
	}
	j->files[j->count] = strdup(name);
	return j->files[j->count++] == NULL ? -ENOMEM : 0;
}

/* A job that begins with the next turn. NULL, having said why, where it cannot. `fd` is taken. */
static struct key_job *
job_new(struct key_jobs *js, struct client *c, enum job_kind kind, int fd)
{
	struct key_job *j = calloc(1, sizeof(*j));
	const struct timeval soon = {0};
	int taken CLEANUP_CLOSE = fd, r = j == NULL ? -ENOMEM : 0;

	if (r == 0) {
		*j = (struct key_job){.all = js, .client = c, .kind = kind, .fd = TAKE_FD(taken)};
		j->timer = evtimer_new(js->base, on_turn, js);
		r = j->timer == NULL ? -ENOMEM : 0;
	}
	if (r == 0 && kind != JOB_CHECK_BACKUP)
		r = store_walk(js->store, take_file, j);
	if (r < 0) {
		(void)job_free(j);
		if (c != NULL)
			key_job_done_failed(c, "The token store cannot be read", r);
		return NULL;
	}
	if (j->count > 0)
		qsort(j->files, j->count, sizeof(*j->files), compare_names);
	(void)evtimer_add(j->timer, &soon);
	if (c != NULL)
		client_occupy(c);
	js->job = j;
	return j;
}

void
key_job_reseal(struct key_jobs *js, struct client *c)
{
	(void)job_new(js, c, JOB_RESEAL, -1);
}

void
key_job_resume(struct key_jobs *js)
{
	struct store_keys keys;

	if (store_keys_list(js->store, &keys) == 0 && keys.resealing && js->job == NULL) {
		log_notice(
		    "Putting records under the new master key was interrupted, and goes on.");
		key_job_reseal(js, NULL);
	}
}

void
key_job_verify(struct key_jobs *js, struct client *c)
{
	(void)job_new(js, c, JOB_VERIFY, -1);
}

/* Only a regular file is written or read: whatever else could block. */
static bool
fits(struct client *c, const struct secret *passphrase, int fd, int mode)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	struct stat st;

	if (passphrase != NULL && flags >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    ((flags & O_ACCMODE) == mode || (flags & O_ACCMODE) == O_RDWR))
		return true;
	client_done(c, EX_USAGE, NULL, "A passphrase and a regular file are needed.");
	return false;
}

void
key_job_backup(struct key_jobs *js, struct client *c, struct secret *passphrase, int fd)
{
	CLEANUP_SECRET struct secret *word = passphrase;
	int taken CLEANUP_CLOSE = fd, r;
	struct key_job *j;

	if (!fits(c, word, taken, O_WRONLY))
		return;
	accounts_flush(js->accounts);
	j = job_new(js, c, JOB_BACKUP, TAKE_FD(taken));
	if (j == NULL)
		return;
	r = backup_write_begin(&j->backup, js->files, j->fd, word, (uint64_t)clock_now().wall);
	if (r == -EINVAL)
		finish(j, EX_DATAERR, "Give a longer one.",
		    "The passphrase is too short: it has 8 to 1,024 octets.");
	else if (r < 0)
		finish_failed(j, "The backup cannot be written", r);
}

void
key_job_restore(struct key_jobs *js, struct client *c, struct secret *passphrase, int fd,
    bool overwrite, bool write)
{
	CLEANUP_SECRET struct secret *word = passphrase;
	int taken CLEANUP_CLOSE = fd;
	enum backup_verdict v;
	struct key_job *j;

	if (!fits(c, word, taken, O_RDONLY))
		return;
	j = job_new(js, c, JOB_CHECK_BACKUP, TAKE_FD(taken));
	if (j == NULL)
		return;
	j->overwrite = overwrite;
	j->write = write;
	j->passphrase = secret_ref(word);
	v = backup_read_begin(&j->backup, js->files, j->fd, word);
	if (v != BACKUP_GOOD)
		say_backup_bad(j, v);
}
