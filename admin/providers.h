/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * providers.h: which provider a mailbox is at: what `frankd --providers` prints, and the matching of
 * domains and MX hosts. Pure but for providers_load.
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

/* Runs frankd for it; `config` NULL: its usual one. 0; negative errno where it cannot be run; a
 * status above 0 of frankd's own, which has said why. */
int providers_load(char *config, struct providers *ret);
/* Runs `frankd --check`, whose words go to standard error. Its status, or negative errno. */
int providers_check(char *config);

/* Is there a "provider", an "account", a "service" of that name? */
bool providers_has(const struct providers *p, const char *kind, const char *name);
/* The n-th name of a kind: "service"; "include", a pattern of files; "configuration", its path, which
 * need not be there. NULL: there are no more. */
const char *providers_name(const struct providers *p, const char *kind, size_t n);
/* The provider that is called so elsewhere, by another name of it or the domain of its mailboxes; NULL: none. */
const char *providers_called(const struct providers *p, const char *name);
/* The first service that takes mail of a user, by name or by "*"; NULL: none. */
const char *providers_service_of(const struct providers *p, const char *user);
/* The n-th value of a provider's key, or NULL. */
const char *providers_value(const struct providers *p, const char *name, const char *key, size_t n);
bool providers_needs(const struct providers *p, const char *name, const char *what);

/* The provider to which a domain belongs, and to which its MX host does; NULL: none known. A pattern
 * is a host name, or "*." and the end of one. */
const char *providers_by_domain(const struct providers *p, const char *domain);
const char *providers_by_mx(const struct providers *p, const char *host);

#endif
