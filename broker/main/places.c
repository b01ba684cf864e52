/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* places.c: see places.h. The specification has relative paths in its variables ignored. */
#include "broker/main/places.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

static int
join(char to[PATH_MAX], const char *a, const char *b)
{
	int len = snprintf(to, PATH_MAX, "%s/%s", a, b);

	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static const char *
home_folder(void)
{
	const char *home = secure_getenv("HOME");
	const struct passwd *p;

	if (home != NULL && home[0] == '/')
		return home;
	p = getpwuid(getuid());
	return p == NULL || p->pw_dir[0] != '/' ? NULL : p->pw_dir;
}

/* `name` below the folder of a variable, or below `otherwise` in `base`. */
static int
below(char to[PATH_MAX], const char *variable, const char *base, const char *otherwise,
    const char *name)
{
	const char *value = secure_getenv(variable);
	char folder[PATH_MAX];
	int r;

	if (value != NULL && value[0] == '/')
		return join(to, value, name);
	if (base == NULL)
		return -ENOENT;
	r = join(folder, base, otherwise);
	return r < 0 ? r : join(to, folder, name);
}

int
places_find(struct places *p, bool one_user)
{
	char uid[24];
	const char *home;
	int r;

	if (!one_user) {
		(void)snprintf(p->config, sizeof(p->config), "%s", FRANK_CONFIG_FILE);
		(void)snprintf(p->runtime, sizeof(p->runtime), "%s", FRANK_RUNTIME_DIR);
		(void)snprintf(p->state, sizeof(p->state), "%s", FRANK_STATE_DIR);
		return 0;
	}
	home = home_folder();
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
	r = below(p->config, "XDG_CONFIG_HOME", home, ".config", "frank/frank.conf");
	if (r == 0)
		r = below(p->state, "XDG_STATE_HOME", home, ".local/state", "frank");
	if (r == 0)
		r = below(p->runtime, "XDG_RUNTIME_DIR", "/run/user", uid, "frank");
	return r;
}
