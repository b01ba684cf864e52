/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-domain.h: asks DNS what a sender's domain says of its mail (email-auth.h), for a check.
 */
#ifndef FRANK_BROKER_SEND_CHECK_CHECK_DOMAIN_H
#define FRANK_BROKER_SEND_CHECK_CHECK_DOMAIN_H

#include "broker/send/check/email-auth.h"
#include "broker/send/resolver.h"

struct check_domain;

/* A finding: `name` is spf, dkim or dmarc, `state` ok, warn, fail or info. */
typedef void check_domain_finding(void *arg, const char *name, const char *state, const char *text);
typedef void check_domain_done(void *arg);

/*
 * Begins. `provider` is a preset's name, or NULL: whose mail servers SPF should name, and under which
 * selectors the provider keeps keys. `selector` (NULL: those) is asked for alone; without it also the keys with
 * which mail was seen to be signed: `seen`, "SELECTOR DOMAIN" each. Findings come when all is known,
 * then `done`; not from within this call. NULL: no memory.
 */
struct check_domain *check_domain_new(struct resolver *resolver, const char *domain,
    const char *provider, const char *selector, const char *const *seen, size_t seen_count,
    check_domain_finding *finding, check_domain_done *done, void *arg);
/* No more findings come. Takes NULL; returns NULL. */
struct check_domain *check_domain_free(struct check_domain *d);

#endif
