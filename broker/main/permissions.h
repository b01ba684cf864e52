/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * permissions.h: who else may read or change what frankd acts on.
 */
#ifndef FRANK_BROKER_MAIN_PERMISSIONS_H
#define FRANK_BROKER_MAIN_PERMISSIONS_H

#include "broker/conf/conf.h"

/*
 * Looks at the files of the configuration, the certificates, secrets and commands that it names, and
 * the folders they are in. A warning in `report` for each that somebody may change, or a secret that
 * somebody may read, who is neither root nor frankd's own user: with owner, mode and
 * the command that mends it. Whether a group is trusted, the administrator knows; but what everybody
 * may change is an error where frankd acts on it: a file of the configuration, which may name commands,
 * a command, or a folder on the way there. 0 or -EPERM.
 */
int permissions_check(const struct conf *c, struct buf *report);

#endif
