/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keys.c: see keys.h; what is done with every record (a new master key, a backup, a check) is in
 * key-job.c.
 *
 * The configured key is kept, sealed in memory: `frank key add configured` adds it as a slot (the way from
 * one key provider to another), and a new master key is sealed with it.
 */
#include "broker/keeper/keys/keys.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "broker/keeper/accounts/clock.h"
#include "broker/keeper/keys/key-job.h"

struct token_keys {
	const struct file_ops *files;
	int dir;
	struct vault *vault;
	struct accounts *accounts;
	struct store *store; /* NULL: not open, for `trouble` */
	enum store_trouble trouble;
	enum keyslot_kind kind;    /* of the configured key */
	struct sealed *configured; /* the configured key; NULL for a passphrase */
	struct key_jobs jobs;
};

static void
say_opened(const struct token_keys *k, const char *from, bool made)
{
	if (made)
		log_notice("A new token store was made, under the master key from the %s.", from);
	if (store_ledger_bad(k->store) > 0)
		log_warning(
		    "%u entries of the token store's ledger were damaged and are passed over.",
		    store_ledger_bad(k->store));
}

/* 0, or negative errno with the trouble in k->trouble. */
static int
open_store(struct token_keys *k, enum keyslot_kind kind, const struct secret *key)
{
	bool made = false;
	int r = store_open(
	    k->files, k->dir, kind, key, (uint64_t)clock_now().wall, &k->store, &made, &k->trouble);

	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, store_trouble_text(k->trouble),
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
		return r;
	}
	k->jobs.store = k->store;
	say_opened(k, keyslot_kind_name(kind), made);
	store_keep_spares(k->store);
	key_job_resume(&k->jobs);
	return 0;
}

void
keys_configure(struct token_keys *k, enum keyslot_kind kind, const struct secret *key)
{
	if (k->dir < 0)
		return;
	k->kind = kind;
	vault_replace(&k->configured, vault_seal(k->vault, key));
	if (k->store != NULL) {
		if (key != NULL && store_try_key(k->store, kind, key) == -EKEYREJECTED)
			log_error("The master key that is configured now does not open the token "
				  "store, which stays open with the one before. After a restart it "
				  "would not open. To let it in: frank key add configured");
	} else if (key != NULL) {
		(void)open_store(k, kind, key);
	} else if (kind == KEYSLOT_PASSPHRASE) {
		k->trouble =
		    store_exists(k->files, k->dir) == 0 ? STORE_NO_PASSPHRASE : STORE_LOCKED;
		log_line(LOG_LEVEL_WARNING, store_trouble_text(k->trouble),
		    LOG_PAIRS({LOG_OUTCOME, "locked"}));
	}
	accounts_use_store(k->accounts, k->store, k->trouble);
}

static void
say_closed(struct token_keys *k, struct client *c)
{
	client_done(
	    c, EX_CONFIG, store_trouble_next(k->trouble), "%s", store_trouble_text(k->trouble));
}

/* ---- list ---- */

static int
send_slot(struct client *c, unsigned number, const struct keyslot_info *slot, bool opened)
{
	struct message *m = message_new(M_ROW_KEY);

	message_put_u64(m, F_COUNT, number);
	message_put_str(m, F_KIND, keyslot_kind_name(slot->kind));
	message_put_u64(m, F_TIME, slot->made_at);
	message_put_u64(m, F_OPENED, opened);
	return client_send(c, m);
}

static void
list(struct token_keys *k, struct client *c)
{
	const char *state = "open";
	struct message *m = message_new(M_ROW_KEY);
	struct store_keys keys;
	int r = k->store != NULL ? store_keys_list(k->store, &keys)
				 : store_keys_peek(k->files, k->dir, &keys);

	if (k->store == NULL)
		state = r == -ENOENT && store_exists(k->files, k->dir) == 0 ? "new"
			: k->trouble == STORE_LOCKED                        ? "locked"
									    : "closed";
	message_put_u64(m, F_COUNT, 0);
	message_put_str(m, F_STATE, state);
	(void)client_send(c, m);
	if (r < 0 && k->store != NULL) {
		key_job_done_failed(c, "The file keyslots cannot be read", r);
		return;
	}
	for (unsigned i = 0; i < keys.count; i++)
		(void)send_slot(c, i + 1, &keys.slots[i], k->store != NULL && i == keys.opened);
	client_done(c, 0, NULL, "%s",
	    keys.resealing
		? "Not every record is under the newest master key yet; the one before is kept "
		  "until then."
		: "");
}

/* ---- add, remove ---- */

/* The key to add, and its kind. NULL after telling the client why there is none. */
static struct secret *
key_to_add(
    struct token_keys *k, struct client *c, const struct message *m, enum keyslot_kind *ret_kind)
{
	const char *kind = message_str(m, F_KIND);
	struct secret *s;

	if (kind != NULL && strcmp(kind, "configured") == 0) {
		*ret_kind = k->kind;
		s = vault_open(k->vault, k->configured);
		if (s == NULL)
			client_done(c, EX_CONFIG, "Give it yourself: frank key add passphrase",
			    "The configuration gives no key: its key is a passphrase.");
		return s;
	}
	*ret_kind = kind == NULL ? 0 : keyslot_kind_by_name(kind);
	s = message_secret(m, F_SECRET);
	if (*ret_kind == 0 || s == NULL) {
		(void)secret_free(s);
		client_done(c, EX_USAGE,
		    "frank key add passphrase, frank key add key-file FILE, or frank key add "
		    "configured",
		    "A key of this kind cannot be added, or no key came with it.");
		return NULL;
	}
	return s;
}

static void
add(struct token_keys *k, struct client *c, const struct message *m)
{
	enum keyslot_kind kind;
	CLEANUP_SECRET struct secret *key = key_to_add(k, c, m, &kind);
	int r;

	if (key == NULL)
		return;
	r = store_key_add(k->store, kind, key, (uint64_t)clock_now().wall);
	key_job_audit(c, "key add", r == 0 ? "added" : "failed");
	if (r == 0)
		client_done(c, 0, NULL, "The key opens the token store from now on.");
	else if (r == -EEXIST)
		client_done(c, EX_CANTCREAT, "See its slots: frank key list",
		    "This key opens the token store already.");
	else if (r == -EINVAL)
		client_done(c, EX_DATAERR, "Give a longer one.",
		    "The key is too short: a passphrase has 8 to 1,024 octets, another key at "
		    "least 16.");
	else if (r == -ENOSPC)
		client_done(c, EX_CANTCREAT,
		    "Remove a key that is not needed: frank key list; then frank key remove N",
		    "The token store has 16 keys, or the disk has no space left.");
	else
		key_job_done_failed(c, "The key cannot be added", r);
}

/* Is it the slot that the configured key needs at the next start? */
static bool
is_needed(const struct token_keys *k, const struct store_keys *keys, unsigned slot)
{
	CLEANUP_SECRET struct secret *key = vault_open(k->vault, k->configured);
	unsigned passphrases = 0;

	if (key != NULL)
		return store_key_slot(k->store, key, false) == (int)slot;
	for (unsigned i = 0; i < keys->count; i++)
		passphrases += keys->slots[i].kind == KEYSLOT_PASSPHRASE;
	return k->kind == KEYSLOT_PASSPHRASE && passphrases == 1 &&
	       keys->slots[slot].kind == KEYSLOT_PASSPHRASE;
}

static void
remove_slot(struct token_keys *k, struct client *c, const struct message *m)
{
	uint64_t number = message_u64(m, F_COUNT, 0);
	struct store_keys keys;
	int r = store_keys_list(k->store, &keys);

	if (r < 0) {
		key_job_done_failed(c, "The file keyslots cannot be read", r);
		return;
	}
	if (number < 1 || number > keys.count) {
		client_done(c, EX_USAGE, "See them: frank key list",
		    "The token store has no key of that number.");
		return;
	}
	if (keys.count == 1) {
		client_done(c, EX_NOPERM, "Add another first: frank key add",
		    "This is the last key of the token store: without it nothing could open it.");
		return;
	}
	if (is_needed(k, &keys, (unsigned)number - 1)) {
		client_done(c, EX_NOPERM,
		    "Name another in the tokens block, frank reload, frank key add configured; "
		    "then "
		    "remove this one.",
		    "This is the key that the configuration names: after a restart the token store "
		    "would not open.");
		return;
	}
	r = store_key_remove(k->store, (unsigned)number - 1);
	key_job_audit(c, "key remove", r == 0 ? "removed" : "failed");
	if (r < 0)
		key_job_done_failed(c, "The key cannot be removed", r);
	else
		client_done(c, 0, NULL,
		    "The key is removed. Whoever kept a copy of it and of the old file keyslots "
		    "can "
		    "still open the store until: frank key rotate");
}

/* ---- rotate ---- */

enum { OPENERS_MAX = 2 * KEYSLOTS_MAX + 1 };

/* The configured key, and each that came, as a passphrase and as a provider's. They stay the caller's
 * to free: `ret_secrets`. */
static size_t
collect_openers(struct token_keys *k, const struct message *m,
    struct secret *ret_secrets[OPENERS_MAX], size_t *ret_secret_count,
    struct store_opener ret[OPENERS_MAX])
{
	struct secret *key = vault_open(k->vault, k->configured);
	size_t count = 0, at = 0, len;
	const uint8_t *bytes;

	*ret_secret_count = 0;
	if (key != NULL) {
		ret_secrets[(*ret_secret_count)++] = key;
		ret[count++] = (struct store_opener){.key = key};
	}
	while (count + 2 <= OPENERS_MAX && message_next(m, F_SECRET, &at, &bytes, &len)) {
		key = secret_new(bytes, len);
		if (key == NULL)
			break;
		ret_secrets[(*ret_secret_count)++] = key;
		ret[count++] = (struct store_opener){.key = key, .passphrase = true};
		ret[count++] = (struct store_opener){.key = key};
	}
	return count;
}

static void
say_slot_lacking(struct token_keys *k, struct client *c, unsigned slot)
{
	struct buf text CLEANUP_BUF = BUF_INIT(256), next CLEANUP_BUF = BUF_INIT(256);
	struct store_keys keys;
	const char *kind = store_keys_list(k->store, &keys) == 0
			       ? keyslot_kind_name(keys.slots[slot].kind)
			       : "unknown";

	(void)buf_printf(&text,
	    "Key %u (%s) is opened by nothing that was given, so the new master key cannot be "
	    "sealed for it.",
	    slot + 1, kind);
	(void)buf_printf(&next,
	    "Give its passphrase or its file (frank key rotate FILE), or remove it first: frank "
	    "key "
	    "remove %u",
	    slot + 1);
	client_done(c, EX_NOPERM, buf_str(&next), "%s", buf_str(&text));
}

static void
rotate(struct token_keys *k, struct client *c, const struct message *m)
{
	struct secret *secrets[OPENERS_MAX];
	struct store_opener by[OPENERS_MAX];
	struct store_keys keys = {0};
	size_t secret_count, count = collect_openers(k, m, secrets, &secret_count, by);
	unsigned slot = 0;
	int r;

	/* one that was interrupted, by the disk for instance, goes on first */
	r = store_keys_list(k->store, &keys);
	if (r == 0 && !keys.resealing)
		r = count == 0
			? -ENOKEY
			: store_rotate(k->store, by, count, (uint64_t)clock_now().wall, &slot);
	for (size_t i = 0; i < secret_count; i++)
		(void)secret_free(secrets[i]);
	key_job_audit(c, "key rotate", r == 0 ? "begun" : "failed");
	if (r == -ENOKEY)
		say_slot_lacking(k, c, slot);
	else if (r < 0)
		key_job_done_failed(c, "The new master key cannot be stored", r);
	else
		key_job_reseal(&k->jobs, c);
}

/* ---- unlock ---- */

static void
unlock(struct token_keys *k, struct client *c, const struct message *m)
{
	CLEANUP_SECRET struct secret *passphrase = message_secret(m, F_SECRET);
	enum store_trouble before = k->trouble;

	if (k->store != NULL) {
		client_done(c, 0, NULL, "The token store is open already.");
		return;
	}
	if (passphrase == NULL || k->dir < 0) {
		say_closed(k, c);
		return;
	}
	if (before != STORE_LOCKED && store_exists(k->files, k->dir) == 0 &&
	    k->kind != KEYSLOT_PASSPHRASE) {
		client_done(c, EX_CONFIG,
		    "Say key = \"passphrase\" in the tokens block to have that.",
		    "There is no token store yet, and its key is not to be a passphrase.");
		return;
	}
	if (open_store(k, KEYSLOT_PASSPHRASE, passphrase) < 0) {
		key_job_audit(c, "unlock",
		    k->trouble == STORE_WRONG_PASSPHRASE ? "wrong passphrase" : "failed");
		client_done(c, k->trouble == STORE_WRONG_PASSPHRASE ? EX_NOPERM : EX_CONFIG,
		    store_trouble_next(k->trouble), "%s", store_trouble_text(k->trouble));
		/* what accounts say stays the reason why it is closed, not somebody's mistake */
		if (k->trouble == STORE_WRONG_PASSPHRASE || k->trouble == STORE_SHORT_KEY)
			k->trouble = before;
		accounts_use_store(k->accounts, k->store, k->trouble);
		return;
	}
	key_job_audit(c, "unlock", "open");
	accounts_use_store(k->accounts, k->store, k->trouble);
	accounts_open(k->accounts);
	client_done(c, 0, NULL, "The token store is open.");
}

/* ---- the table ---- */

static void
start_backup(struct token_keys *k, struct client *c, const struct message *m, int fd)
{
	key_job_backup(&k->jobs, c, message_secret(m, F_SECRET), fd);
}

static void
start_restore(struct token_keys *k, struct client *c, const struct message *m, int fd)
{
	key_job_restore(&k->jobs, c, message_secret(m, F_SECRET), fd,
	    (message_u64(m, F_FLAGS, 0) & 1) != 0, true);
}

static void
start_verify(struct token_keys *k, struct client *c, const struct message *m, int fd)
{
	if (fd < 0)
		key_job_verify(&k->jobs, c);
	else
		key_job_restore(&k->jobs, c, message_secret(m, F_SECRET), fd, false, false);
}

void
keys_act(struct token_keys *k, struct client *c, const struct message *m, int fd)
{
	const char *action = message_str(m, F_ACTION);
	int taken CLEANUP_CLOSE = fd;

	if (strcmp(action, "list") == 0)
		list(k, c);
	else if (strcmp(action, "unlock") == 0)
		unlock(k, c, m);
	else if (k->store == NULL)
		say_closed(k, c);
	else if (k->jobs.job != NULL)
		client_done(c, EX_TEMPFAIL, "Wait for that to end, and try again.",
		    "The token store's records are being worked on.");
	else if (strcmp(action, "add") == 0)
		add(k, c, m);
	else if (strcmp(action, "remove") == 0)
		remove_slot(k, c, m);
	else if (strcmp(action, "rotate") == 0)
		rotate(k, c, m);
	else if (strcmp(action, "backup") == 0)
		start_backup(k, c, m, TAKE_FD(taken));
	else if (strcmp(action, "restore") == 0)
		start_restore(k, c, m, TAKE_FD(taken));
	else if (strcmp(action, "verify") == 0)
		start_verify(k, c, m, TAKE_FD(taken));
	else
		client_done(c, EX_USAGE, "frank help key", "There is no such action.");
}

void
keys_forget_client(struct token_keys *k, const struct client *c)
{
	key_job_forget_client(&k->jobs, c);
}

void
keys_writable(struct token_keys *k, const struct client *c)
{
	key_job_writable(&k->jobs, c);
}

struct token_keys *
keys_new(struct event_base *base, const struct file_ops *files, int dir, struct vault *vault,
    struct accounts *accounts)
{
	struct token_keys *k = calloc(1, sizeof(*k));

	if (k != NULL)
		*k = (struct token_keys){.files = files,
		    .dir = dir,
		    .vault = vault,
		    .accounts = accounts,
		    .trouble = STORE_UNREADABLE,
		    .jobs = {.base = base, .files = files, .accounts = accounts}};
	return k;
}

struct token_keys *
keys_free(struct token_keys *k)
{
	if (k == NULL)
		return NULL;
	key_job_end(&k->jobs);
	(void)store_free(k->store);
	(void)vault_drop(k->configured);
	free(k);
	return NULL;
}
