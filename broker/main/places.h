/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * places.h: where configuration, sockets and state are, where nothing else is said.
 */
#ifndef FRANK_BROKER_MAIN_PLACES_H
#define FRANK_BROKER_MAIN_PLACES_H

#include <limits.h>
#include <stdbool.h>

struct places {
	char config[PATH_MAX], runtime[PATH_MAX], state[PATH_MAX];
};

/*
 * For the system the places that the build names; for one user those of the XDG Base Directory
 * Specification: frank/frank.conf below $XDG_CONFIG_HOME (~/.config), frank below $XDG_RUNTIME_DIR
 * (/run/user/UID) and below $XDG_STATE_HOME
 * (~/.local/state). 0, -ENOENT where the user has no home, -ENAMETOOLONG.
 */
int places_find(struct places *p, bool one_user);

#endif
