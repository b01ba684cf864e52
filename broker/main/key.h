/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * key.h: what opens the token store, from the place that `tokens { key = ... }` names.
 */
#ifndef FRANK_BROKER_MAIN_KEY_H
#define FRANK_BROKER_MAIN_KEY_H

#include "broker/main/folders.h"
#include "broker/main/settings.h"

/*
 * Reads the key into the settings. A key file that does not exist is made (32 random octets as
 * base64, mode 0600, on disk before it is used), but only while the token folder is empty: a new
 * key beside old tokens would open none of them. A passphrase is not read: a person gives it to keeper
 * (frank unlock). 0; negative errno with a sentence in `why`. May block on a command, and on a
 * person who unlocks a keyring.
 */
int key_read(
    struct settings *s, const struct folders *f, const char *keyring_program, struct buf *why);

/* The same at a reload, without blocking: a key that a command or the keyring gives is that of
 * `old` where the configuration names the same, else what the command gave, which has run. */
int key_read_again(struct settings *s, const struct settings *old, const struct folders *f,
    struct commands *commands, struct buf *why);

/* What can be said of it without making a key or asking a desktop: 0; -EINVAL with a sentence in
 * `why`. A credential is there only in the service, so it counts only where there are any. */
int key_check(const struct settings *s, struct buf *why);

#endif
