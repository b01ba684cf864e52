/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.h: one generation of the configuration with everything that it names: the secrets it
 * refers to and the certificate files, read and opened once, so that roles can be started anew from
 * it.
 */
#ifndef FRANK_BROKER_MAIN_SETTINGS_H
#define FRANK_BROKER_MAIN_SETTINGS_H

#include "broker/conf/load.h"
#include "broker/main/alias-file.h"
#include "broker/main/commands.h"

struct settings;

/*
 * Loads `path` as load_conf does and reads what it names. 0 with *ret; -EINVAL with sentences in
 * `report`, one a line; -ENOMEM. Blocks on `command:` references.
 */
int settings_load(const char *path, const struct conf_environment *env, uint64_t generation,
    struct settings **ret, struct buf *report);
/*
 * The same in parts, for a loader that must not wait: the file is read; the commands that it names
 * are added to `c`, the key's only where it is another than that of `old`; when they have run,
 * everything else is read.
 */
int settings_begin(const char *path, const struct conf_environment *env, uint64_t generation,
    struct settings **ret, struct buf *report);
int settings_add_commands(const struct settings *s, const struct settings *old, struct commands *c);
int settings_complete(struct settings *s, struct commands *c, struct buf *report);
/* Do both name the same master key? */
bool settings_same_key(const struct settings *s, const struct settings *old);
/* Takes NULL; returns NULL. */
struct settings *settings_free(struct settings *s);

const struct conf *settings_conf(const struct settings *s);
uint64_t settings_generation(const struct settings *s);
/* conf_environment.lenient */
bool settings_is_lenient(const struct settings *s);

/* What proves an application's identity, read again from its files. */
struct settings_key_files {
	struct secret *key, *certificate, *secret; /* NULL: not in a file */
};
void settings_key_files_clear(struct settings_key_files *f);
/* 0; -ENOENT for no such account; -EINVAL with a sentence in `why`. Blocks for the disk. */
int settings_reread(
    const struct settings *s, const char *account, struct settings_key_files *ret, struct buf *why);

/* A new descriptor (the caller's) of a certificate or key file, at its start.
 * -ENOENT and the like. */
int settings_file(const struct settings *s, const char *path);

/* The aliases file as it was read last. Borrowed. */
const struct alias_file *settings_aliases(const struct settings *s);
/* Reads it anew: 0, or negative errno and the old text stays. `report` gets what is wrong in it, or why it cannot be read. */
int settings_aliases_read(struct settings *s, struct buf *report);
/* Another descriptor of an open file, with a position of its own; negative errno. */
int settings_reopen(int fd);

/* What opens the token store, conf.master_key.secret: taken, NULL for a passphrase. `from` is conf.master_key_from. 0 or -ENOMEM. */
int settings_set_key(struct settings *s, struct secret *key, const char *from);
int settings_share_key(struct settings *s, const struct settings *from);

/* Something is out of force, which was found after the loading. 0 or -ENOMEM. */
int settings_note_lapse(struct settings *s, const char *what, const char *why);

#endif
