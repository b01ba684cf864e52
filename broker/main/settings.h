/*
 * settings.h: one generation of the configuration with everything that it names: the secrets it
 * refers to and the certificate files, read and opened once, so that roles can be started anew from
 * it.
 */
#ifndef FRANK_BROKER_MAIN_SETTINGS_H
#define FRANK_BROKER_MAIN_SETTINGS_H

#include "broker/conf/conf.h"

struct settings;

/*
 * Loads `path` as conf_load does and reads what it names. 0 with *ret; -EINVAL with sentences in
 * `report`, one a line; -ENOMEM. May block on `command:` references.
 */
int settings_load(const char *path, const struct conf_environment *env, uint64_t generation,
    struct settings **ret, struct buf *report);
/* Takes NULL; returns NULL. */
struct settings *settings_free(struct settings *s);

const struct conf *settings_conf(const struct settings *s);
uint64_t settings_generation(const struct settings *s);

/* The secret that a reference names; NULL for no reference. Borrowed. */
const struct secret *settings_secret(
    const struct settings *s, const struct conf_reference *reference);
/* A new descriptor (the caller's) of a certificate file, at its start; -1 for a NULL path. -ENOENT
 * and the like. */
int settings_ca_file(const struct settings *s, const char *path);

/* What opens the token store; taken. `from` is "key-file", "credential", "keyring" or "command". */
void settings_set_key(struct settings *s, struct secret *key, const char *from);
const struct secret *settings_key(const struct settings *s);
const char *settings_key_from(const struct settings *s);

#endif
