/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * providers.h: finds the provider of a mailbox by its domain or MX host, in what `frankd --providers`
 * prints. Only providers_load and providers_check do I/O.
 */
#ifndef FRANK_ADMIN_PROVIDERS_H
#define FRANK_ADMIN_PROVIDERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct providers {
	struct buf text; /* as printed; lines and fields end in NUL */
	struct provider_line {
		const char *kind, *name, *key, *value; /* NULL where the line has a name alone */
	} * lines;
	size_t count;
};

void providers_clear(struct providers *p);

/* Runs `frankd --providers`; `config` NULL: the usual configuration. 0; negative errno if it cannot be
 * run; frankd's exit status above 0, frankd having said why. */
int providers_load(char *config, struct providers *ret);
/* Runs `frankd --check` with its output on standard error. Its exit status, or negative errno. */
int providers_check(char *config);

/* Is there a "provider", an "account", a "service" of that name? */
bool providers_has(const struct providers *p, const char *kind, const char *name);
/* The n-th name of a kind: "service"; "include", a pattern of files; "configuration", its path, which
 * need not be there. NULL: there are no more. */
const char *providers_name(const struct providers *p, const char *kind, size_t n);
/* The provider that is also called `name`, or whose mailboxes have that domain; NULL: none. */
const char *providers_called(const struct providers *p, const char *name);
/* The first service that takes mail of a user, by name or by "*"; NULL: none. */
const char *providers_service_of(const struct providers *p, const char *user);
/* The n-th value of a provider's key, or NULL. */
const char *providers_value(const struct providers *p, const char *name, const char *key, size_t n);
/* Must an account give this key ("tenant", "region", "submit", "client-secret"), since the preset
 * has no value for it? */
bool providers_needs(const struct providers *p, const char *name, const char *what);

/* The provider of a domain, and that of an MX host; NULL: unknown. The presets' patterns are host
 * names, or "*." and the end of one. */
const char *providers_by_domain(const struct providers *p, const char *domain);
const char *providers_by_mx(const struct providers *p, const char *host);

#endif
