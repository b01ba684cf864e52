/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* key.c: see key.h. */
#include "broker/main/key.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/codec.h"
#include "base/io.h"
#include "base/log.h"
#include "broker/conf/reference.h"

enum { KEY_OCTETS = 32, KEY_TEXT_MAX = 128 };

static const char file_prefix[] = "file:", credential_prefix[] = "credential:",
		  keyring_word[] = "keyring", passphrase_word[] = "passphrase";

static bool
begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The name is durable when its folder is. */
static int
sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder =
	    slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	CLEANUP_CLOSE int fd =
	    folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder == NULL)
		return -ENOMEM;
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int
random_text(struct buf *text)
{
	unsigned char key[KEY_OCTETS];
	int r = getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key) ? 0 : -EIO;

	if (r == 0)
		r = base64_encode(text, key, sizeof(key));
	if (r == 0)
		r = buf_append_char(text, '\n');
	mem_wipe(key, sizeof(key));
	return r;
}

/* Written under another name first: a crash in between leaves no half key. */
static int
make_file(const char *path)
{
	CLEANUP_BUF struct buf text = BUF_INIT_WIPE(KEY_TEXT_MAX), temporary = BUF_INIT(4096);
	CLEANUP_CLOSE int fd = -1;
	int r = random_text(&text);

	if (r < 0)
		return r;
	r = buf_printf(&temporary, "%s.new", path);
	if (r < 0)
		return r;
	(void)unlink(buf_str(&temporary));
	fd = open(buf_str(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, buf_str(&text), text.len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(buf_str(&temporary), path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(buf_str(&temporary));
		return r;
	}
	return sync_folder_of(path);
}

static int
make_file_if_first(const char *path, const struct folders *f, struct buf *why)
{
	int r = folders_no_tokens(f);

	if (r == 0) {
		(void)buf_printf(why,
		    "The key file %s is missing, and %s/tokens holds what only it can open. Put it "
		    "back from "
		    "its backup. Where the store has a passphrase, too, say key = \"passphrase\" "
		    "in the "
		    "tokens block, start, and open it: frank unlock. If there is neither, move "
		    "%s/tokens away; every account must then be authorized anew.",
		    path, f->path, f->path);
		return -ENOENT;
	}
	if (r == 1)
		r = make_file(path);
	if (r < 0) {
		(void)buf_printf(why, "The key file %s cannot be made: %s.", path, strerror(-r));
		return r;
	}
	log_notice("The key of the token store was made: %s. Back it up now, and apart from "
		   "%s/tokens: without it the tokens "
		   "kept there are lost, and with both anybody can use them.",
	    path, f->path);
	return 0;
}

/* The helper writes the raw key to a pipe; it asks the desktop, so its environment is ours. */
static struct secret *
from_keyring(const char *program, const char *store, struct buf *why)
{
	char *const argv[] = {(char *)"frank-keyring", (char *)store, NULL};
	CLEANUP_CLOSE int out = -1;
	unsigned char key[KEY_OCTETS + 1];
	posix_spawn_file_actions_t actions;
	struct secret *s = NULL;
	int ends[2], status = -1, err;
	size_t len = 0;
	pid_t pid;

	if (program == NULL) {
		(void)buf_printf(why, "The desktop's keyring cannot be asked: the program "
				      "frank-keyring is not installed.");
		return NULL;
	}
	if (pipe2(ends, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) != 0) {
		(void)buf_printf(
		    why, "The desktop's keyring cannot be asked: %s.", strerror(errno));
		return NULL;
	}
	out = ends[0];
	(void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	err = posix_spawn(&pid, program, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	if (err != 0) {
		(void)buf_printf(
		    why, "The desktop's keyring cannot be asked: %s: %s.", program, strerror(err));
		return NULL;
	}
	for (;;) {
		ssize_t n = read(out, key + len, sizeof(key) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (status == 0 && len == KEY_OCTETS)
		s = secret_new(key, len);
	else
		(void)buf_printf(why,
		    "The desktop's keyring gave no key (frank-keyring ended with status %d).",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	mem_wipe(key, sizeof(key));
	return s;
}

/* A key file that is not there yet is made; its folder is not, unless it is below state-dir. */
static int
check_absent_file(const char *path, const char *state_dir, struct buf *why)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder =
	    slash == NULL ? NULL : strndup(path, slash == path ? 1 : (size_t)(slash - path));

	if (folder == NULL || begins(path, state_dir) || access(folder, F_OK) == 0)
		return 0;
	(void)buf_printf(
	    why, "The key file %s cannot be made: %s: %s", path, folder, strerror(errno));
	return -EINVAL;
}

int
key_check(const struct settings *s, struct buf *why)
{
	const struct conf *c = settings_conf(s);
	const struct conf_reference *ref = &c->master_key;
	const char *path = begins(ref->text, file_prefix) ? ref->text + strlen(file_prefix) : NULL;
	struct secret *key;

	if (strcmp(ref->text, keyring_word) == 0 || strcmp(ref->text, passphrase_word) == 0 ||
	    (begins(ref->text, credential_prefix) &&
		secure_getenv("CREDENTIALS_DIRECTORY") == NULL))
		return 0;
	if (path != NULL && access(path, F_OK) < 0 && errno == ENOENT)
		return check_absent_file(path, c->state_dir, why);
	key = reference_read(ref, why);
	if (key == NULL)
		return -EINVAL;
	(void)secret_free(key);
	return 0;
}

int
key_read(struct settings *s, const struct folders *f, const char *keyring_program, struct buf *why)
{
	const struct conf_reference *ref = &settings_conf(s)->master_key;
	const char *from = "command";
	struct secret *key;

	if (strcmp(ref->text, passphrase_word) == 0) {
		return settings_set_key(s, NULL, "passphrase"); /* a person gives it to keeper */
	}
	if (strcmp(ref->text, keyring_word) == 0) {
		from = "keyring";
		key = from_keyring(keyring_program, f->path, why);
	} else {
		if (begins(ref->text, credential_prefix))
			from = "credential";
		if (begins(ref->text, file_prefix)) {
			const char *path = ref->text + strlen(file_prefix);

			from = "key-file";
			if (access(path, F_OK) < 0 && errno == ENOENT) {
				int r = make_file_if_first(path, f, why);

				if (r < 0)
					return r;
			}
		}
		key = reference_read(ref, why);
	}
	if (key == NULL)
		return -EINVAL;
	return settings_set_key(s, key, from);
}

int
key_read_again(struct settings *s, const struct settings *old, const struct folders *f,
    struct commands *commands, struct buf *why)
{
	const struct conf_reference *ref = &settings_conf(s)->master_key;
	bool keyring = strcmp(ref->text, keyring_word) == 0;
	struct secret *key;

	if (!keyring && !reference_is_command(ref))
		return key_read(s, f, NULL, why);
	if (settings_same_key(s, old))
		return settings_share_key(s, old);
	if (keyring) {
		(void)buf_append_str(why,
		    "The key of the token store moves to the keyring only by a restart of frankd.");
		return -EINVAL;
	}
	key = commands_take(commands, ref, why);
	if (key == NULL)
		return -EINVAL;
	return settings_set_key(s, key, "command");
}
