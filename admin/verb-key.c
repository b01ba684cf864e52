/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-key.c: `frank unlock` and `frank key`: what opens the token store, and its backup.
 *
 * keeper does the work; this program opens the files that a person names, with that person's rights,
 * and asks for passphrases. A backup is written under a temporary name, mode 0600, and renamed when all
 * of it is on disk.
 */
#include "admin/ask.h"
#include "admin/table.h"
#include "admin/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* What is done to every record of a large store takes time. */
enum { KEY_PATIENCE = 60, STORE_PATIENCE = 3600, WORD_MAX = 1024, KEY_FILE_MAX = 16 * 1024 };

/* ---- what keeper says ---- */

struct slots {
	const struct cli *cli;
	json_t *keys; /* array */
	char state[16];
	unsigned passphrases;
};

static int
on_slot(void *arg, const struct message *m)
{
	static const struct column columns[] = {{F_COUNT, "key", true}, {F_KIND, "kind", false},
	    {F_TIME, "made", true}, {F_OPENED, "opened", true}};
	struct slots *s = arg;
	const char *kind, *state;

	if (message_type(m) != M_ROW_KEY)
		return EX_OK;
	if (message_u64(m, F_COUNT, 0) == 0) {
		state = message_str(m, F_STATE);
		(void)snprintf(s->state, sizeof(s->state), "%s", state == NULL ? "" : state);
		return EX_OK;
	}
	kind = message_str(m, F_KIND);
	s->passphrases += kind != NULL && strcmp(kind, "passphrase") == 0;
	return cli_add_row(s->keys, m, columns, ARRAY_SIZE(columns), NULL);
}

static struct message *
new_request(const char *action)
{
	struct message *m = message_new(M_KEY_ACT);

	message_put_str(m, F_ACTION, action);
	return m;
}

/* Connects, and asks for the slots and the store's state. `ret->keys` is the caller's in any case;
 * *ret_done too, where EX_OK is returned. */
static int
load_slots(struct link *l, const struct cli *cli, unsigned patience, struct slots *ret,
    struct message **ret_done)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	int status = link_open(l, cli, ROLE_KEEPER, patience);

	*ret = (struct slots){.cli = cli, .keys = json_array()};
	if (status == EX_OK)
		status = link_list(l, new_request("list"), on_slot, ret, &done);
	if (status == EX_OK)
		status = link_done(cli, done);
	if (status == EX_OK)
		*ret_done = TAKE_PTR(done);
	return status;
}

/* Rows about records, said as they come or gathered for JSON. */
struct records {
	const struct cli *cli;
	json_t *list;
	unsigned bad;
};

static int
on_record(void *arg, const struct message *m)
{
	static const struct column columns[] = {{F_ACCOUNT, "account", false},
	    {F_NAME, "file", false}, {F_STATE, "state", false}, {F_TEXT, "text", false}};
	struct records *r = arg;
	const char *name = message_str(m, F_ACCOUNT);
	CLEANUP_BUF struct buf line = BUF_INIT(4096);
	json_t *o;

	if (message_type(m) != M_ROW_RECORD)
		return EX_OK;
	r->bad += message_u64(m, F_FLAGS, 0) != 0;
	if (r->cli->json) {
		if (cli_add_row(r->list, m, columns, ARRAY_SIZE(columns), &o) != EX_OK ||
		    json_object_set_new(o, "bad", json_boolean(message_u64(m, F_FLAGS, 0) != 0)) <
			0)
			return EX_OSERR;
		return EX_OK;
	}
	if (name == NULL)
		name = message_str(m, F_NAME);
	(void)buf_printf(&line, "%s: %s", name == NULL ? "" : name, message_str(m, F_TEXT));
	cli_note(buf_str(&line));
	return EX_OK;
}

/* Says the end of an action. With --json one object has it all, also where it failed. */
static int
say_done(const struct cli *cli, const struct message *done, struct records *r)
{
	const char *text = message_str(done, F_TEXT), *error = message_str(done, F_ERROR),
		   *next = message_str(done, F_NEXT);
	int status;

	if (!cli->json || (error != NULL && json_array_size(r->list) == 0)) {
		status = link_done(cli, done);
		if (status == EX_OK && text != NULL && !cli->json)
			(void)printf("%s\n", text);
		if (status != EX_OK || !cli->json)
			return status;
	}
	status = (int)message_u64(done, F_EXIT, error == NULL ? EX_OK : EX_SOFTWARE);
	return cli_print_json(json_pack("{s:s*, s:s*, s:s*, s:O, s:i}", "text", text, "error",
				  error, "next", next, "records", r->list, "exit", status),
	    status);
}

/* Sends a request (taken) with a descriptor (borrowed, or -1), and says how it ended. `ret_bad` (may be
 * NULL) counts the records that do not open. */
static int
act(struct link *l, struct message *request, int fd, unsigned *ret_bad)
{
	struct records r = {.cli = l->cli, .list = json_array()};
	CLEANUP_MESSAGE struct message *done = NULL;
	int status = link_send_fd(l, request, fd);

	if (status == EX_OK)
		status = link_rows(l, on_record, &r, &done);
	if (status == EX_OK)
		status = say_done(l->cli, done, &r);
	if (ret_bad != NULL)
		*ret_bad = r.bad;
	json_decref(r.list);
	return status;
}

/* ---- unlock ---- */

int
verb_unlock(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_BUF struct buf word = BUF_INIT_WIPE(WORD_MAX);
	CLEANUP_MESSAGE struct message *done = NULL;
	CLEANUP_LINK struct link l = LINK_INIT;
	struct message *m;
	struct slots s = {0};
	int status = load_slots(&l, cli, KEY_PATIENCE, &s, &done);

	json_decref(s.keys);
	if (status != EX_OK)
		return status;
	if (strcmp(s.state, "new") == 0)
		status = ask_new_line(cli,
		    "A new token store will be made. Choose its passphrase (at least 8 characters, "
		    "not "
		    "shown): ",
		    "the passphrase", &word);
	else if (strcmp(s.state, "open") != 0)
		status = ask_line(
		    cli, "Passphrase of the token store (not shown): ", "the passphrase", &word);
	if (status != EX_OK)
		return status;
	m = new_request("unlock");
	if (word.len > 0)
		message_put_bytes(m, F_SECRET, word.data, word.len);
	return act(&l, m, -1, NULL);
}

/* ---- list ---- */

static const char *
made_words(const json_t *key, char *scratch, size_t size)
{
	char made[32];

	cli_relative_time(cli_number(key, "made"), (uint64_t)time(NULL), made, sizeof(made));
	(void)snprintf(scratch, size, "made %s%s", made,
	    cli_number(key, "opened") != 0 ? ", opened the store" : "");
	return scratch;
}

static void
print_slots(const struct cli *cli, const struct slots *s)
{
	static const struct table_column columns[] = {
	    {NULL, "key", CELL_NUMBER, 4, NULL},
	    {NULL, "kind", CELL_BOLD, 13, NULL},
	    {NULL, NULL, CELL_TEXT, 0, made_words},
	};

	if (strcmp(s->state, "open") != 0)
		(void)printf("The token store is %s.\n",
		    strcmp(s->state, "new") == 0 ? "not made yet" : s->state);
	table_print(cli, s->keys, columns, ARRAY_SIZE(columns), NULL);
}

int
verb_key_list(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	CLEANUP_LINK struct link l = LINK_INIT;
	struct slots s = {0};
	const char *text;
	int status = load_slots(&l, cli, KEY_PATIENCE, &s, &done);

	if (status != EX_OK) {
		json_decref(s.keys);
		return status;
	}
	text = message_str(done, F_TEXT);
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:o, s:s*}", "state", s.state, "keys", s.keys, "text", text),
		    EX_OK);
	print_slots(cli, &s);
	json_decref(s.keys);
	if (text != NULL)
		(void)printf("%s\n", text);
	return EX_OK;
}

/* ---- add, remove, rotate ---- */

/* A key file as frankd reads it: without a line end at its end. */
static int
read_key_file(const struct cli *cli, const char *path, struct buf *ret)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cli_fail(cli, EX_NOINPUT, NULL, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
		return cli_fail(cli, EX_DATAERR, NULL,
		    "%s: a key file is a regular file of at most 16 KiB", path);
	while (buf_reserve(ret, 4096) == 0 && (n = read(fd, ret->data + ret->len, 4096)) > 0)
		ret->len += (size_t)n;
	if (n < 0)
		return cli_fail(cli, EX_IOERR, NULL, "%s: %s", path, strerror(errno));
	if (ret->len > 0 && ret->data[ret->len - 1] == '\n')
		ret->len--;
	if (ret->len > 0 && ret->data[ret->len - 1] == '\r')
		ret->len--;
	return ret->len > 0 ? EX_OK : cli_fail(cli, EX_DATAERR, NULL, "%s is empty", path);
}

static int
read_key_to_add(const struct cli *cli, const struct arguments *args, struct buf *ret)
{
	const char *kind = args->words[2];

	if (strcmp(kind, "key-file") == 0) {
		if (args->count < 4)
			return cli_fail(cli, EX_USAGE, "frank key add key-file FILE",
			    "a key file is missing; make one: head -c 32 /dev/urandom | base64 > "
			    "FILE");
		return read_key_file(cli, args->words[3], ret);
	}
	if (args->count > 3)
		return cli_fail(cli, EX_USAGE, NULL, "there is an argument too many");
	if (strcmp(kind, "configured") == 0)
		return EX_OK;
	if (strcmp(kind, "passphrase") == 0)
		return ask_new_line(cli,
		    "New passphrase of the token store (at least 8 characters, not shown): ",
		    "the passphrase", ret);
	return cli_fail(cli, EX_USAGE, "frank key add passphrase | configured | key-file FILE",
	    "a key cannot be added from \"%s\"", kind);
}

int
verb_key_add(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_BUF struct buf key = BUF_INIT_WIPE(KEY_FILE_MAX + 4096);
	CLEANUP_LINK struct link l = LINK_INIT;
	struct message *m;
	int status = link_open(&l, cli, ROLE_KEEPER, KEY_PATIENCE);

	if (status == EX_OK)
		status = read_key_to_add(cli, args, &key);
	if (status != EX_OK)
		return status;
	m = new_request("add");
	message_put_str(m, F_KIND, args->words[2]);
	if (key.len > 0)
		message_put_bytes(m, F_SECRET, key.data, key.len);
	return act(&l, m, -1, NULL);
}

int
verb_key_remove(const struct cli *cli, const struct arguments *args)
{
	const char *word = args->words[2];
	CLEANUP_LINK struct link l = LINK_INIT;
	struct message *m;
	int status;

	if (strlen(word) > 2 || word[strspn(word, "0123456789")] != '\0' || *word == '\0')
		return cli_fail(cli, EX_USAGE, "frank key list",
		    "a key is given by its number, not as \"%s\"", word);
	status = link_open(&l, cli, ROLE_KEEPER, KEY_PATIENCE);
	if (status != EX_OK)
		return status;
	m = new_request("remove");
	message_put_u64(m, F_COUNT, strtoul(word, NULL, 10));
	return act(&l, m, -1, NULL);
}

/* What opens the slots that the configured key does not: passphrases, asked for, and the files named. */
static int
put_openers(
    const struct cli *cli, const struct arguments *args, const struct slots *s, struct message *m)
{
	for (size_t i = 2; i < args->count; i++) {
		CLEANUP_BUF struct buf key = BUF_INIT_WIPE(KEY_FILE_MAX + 4096);
		int status = read_key_file(cli, args->words[i], &key);

		if (status != EX_OK)
			return status;
		message_put_bytes(m, F_SECRET, key.data, key.len);
	}
	for (unsigned i = 0; i < s->passphrases; i++) {
		CLEANUP_BUF struct buf word = BUF_INIT_WIPE(WORD_MAX);
		char prompt[96];
		int status;

		(void)snprintf(prompt, sizeof(prompt), "Passphrase %u of %u (not shown): ", i + 1,
		    s->passphrases);
		status = ask_line(cli, prompt, "the passphrase", &word);
		if (status != EX_OK)
			return status;
		message_put_bytes(m, F_SECRET, word.data, word.len);
	}
	return EX_OK;
}

int
verb_key_rotate(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_MESSAGE struct message *done = NULL, *m = NULL;
	CLEANUP_LINK struct link l = LINK_INIT;
	struct slots s = {0};
	int status = load_slots(&l, cli, STORE_PATIENCE, &s, &done);

	json_decref(s.keys);
	m = new_request("rotate");
	/* one that goes on needs no key: keeper has both */
	if (status == EX_OK && strcmp(s.state, "open") == 0 && message_str(done, F_TEXT) == NULL)
		status = put_openers(cli, args, &s, m);
	return status == EX_OK ? act(&l, TAKE_PTR(m), -1, NULL) : status;
}

/* ---- backup ---- */

/* The unfinished file, for the signals that end a command. */
static char temporary[4096];

static void
on_end(int number)
{
	(void)unlink(temporary);
	_exit(128 + number);
}

static void
watch_signals(void (*handler)(int))
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)signal(signals[i], handler);
}

/* Durable once the folder is. */
static int
sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder =
	    slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	CLEANUP_CLOSE int fd =
	    folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int
name_backup(const char *path, bool overwrite)
{
	if (overwrite) {
		if (rename(temporary, path) < 0)
			return -errno;
	} else if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0) {
		if (errno != EINVAL)
			return -errno;
		if (link(temporary, path) < 0) /* a file system without that flag */
			return -errno;
		(void)unlink(temporary);
	}
	return sync_folder(path);
}

static int
write_backup(struct link *l, const struct arguments *args, const struct buf *word, const char *path)
{
	const struct cli *cli = l->cli;
	bool overwrite = arguments_has(args, OPTION_OVERWRITE);
	struct message *m = new_request("backup");
	unsigned bad = 0;
	int status, r;
	CLEANUP_CLOSE int fd = -1;

	message_put_bytes(m, F_SECRET, word->data, word->len);
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >=
	    sizeof(temporary)) {
		(void)message_free(m);
		return cli_fail(cli, EX_USAGE, NULL, "the path is too long");
	}
	watch_signals(on_end);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		(void)message_free(m);
		return cli_fail(cli, EX_CANTCREAT, NULL, "%s: %s", temporary, strerror(errno));
	}
	status = act(l, m, fd, &bad);
	r = status == EX_OK ? name_backup(path, overwrite) : 0;
	if (status != EX_OK || r < 0)
		(void)unlink(temporary);
	watch_signals(SIG_DFL);
	if (r < 0)
		return cli_fail(cli, EX_CANTCREAT,
		    r == -EEXIST ? "name another file, or give --overwrite" : NULL, "%s: %s", path,
		    strerror(-r));
	return status == EX_OK && bad > 0 ? EX_DATAERR : status;
}

int
verb_key_backup(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_BUF struct buf word = BUF_INIT_WIPE(WORD_MAX);
	CLEANUP_LINK struct link l = LINK_INIT;
	const char *path = args->words[2];
	int status;

	if (!arguments_has(args, OPTION_OVERWRITE) && access(path, F_OK) == 0)
		return cli_fail(cli, EX_CANTCREAT, "name another file, or give --overwrite",
		    "%s already exists", path);
	status = link_open(&l, cli, ROLE_KEEPER, STORE_PATIENCE);
	if (status == EX_OK)
		status = ask_new_line(cli,
		    "Passphrase for the backup (at least 8 characters, not shown): ",
		    "the passphrase", &word);
	return status == EX_OK ? write_backup(&l, args, &word, path) : status;
}

/* ---- restore, verify ---- */

static int
read_backup(const struct cli *cli, const char *action, const char *path, bool overwrite)
{
	CLEANUP_BUF struct buf word = BUF_INIT_WIPE(WORD_MAX);
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	CLEANUP_LINK struct link l = LINK_INIT;
	struct message *m;
	int status;

	if (fd < 0)
		return cli_fail(cli, EX_NOINPUT, NULL, "%s: %s", path, strerror(errno));
	status = link_open(&l, cli, ROLE_KEEPER, STORE_PATIENCE);
	if (status == EX_OK)
		status = ask_line(
		    cli, "Passphrase of the backup (not shown): ", "the passphrase", &word);
	if (status != EX_OK)
		return status;
	m = new_request(action);
	message_put_bytes(m, F_SECRET, word.data, word.len);
	message_put_u64(m, F_FLAGS, overwrite);
	return act(&l, m, fd, NULL);
}

int
verb_key_restore(const struct cli *cli, const struct arguments *args)
{
	return read_backup(cli, "restore", args->words[2], arguments_has(args, OPTION_OVERWRITE));
}

int
verb_key_verify(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	int status;

	if (args->count > 2)
		return read_backup(cli, "verify", args->words[2], false);
	status = link_open(&l, cli, ROLE_KEEPER, STORE_PATIENCE);
	return status == EX_OK ? act(&l, new_request("verify"), -1, NULL) : status;
}
