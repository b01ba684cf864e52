/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * endpoints.h: what the authorization server answers, as tables of routes for web_start; each ends with a path of NULL.
 *
 * Sources: RFC 6749 (OAuth 2.0), RFC 7636 (PKCE), RFC 7009 (revocation), RFC 8252 (loopback
 * redirects), RFC 8414 and OpenID Connect Discovery, RFC 9207 (`iss` in the answer), RFC 9700
 * (rotation and reuse).
 */
#ifndef FRANK_SANDBOX_ENDPOINTS_H
#define FRANK_SANDBOX_ENDPOINTS_H

#include "sandbox/web.h"

/* For people: the authorization endpoint and the pages behind it (authorize.c). */
extern const struct web_route authorize_routes[];
/* For programs: token, revocation, userinfo, discovery, keys (token.c). */
extern const struct web_route token_routes[];
/* For tests and trials (admin.c). */
extern const struct web_route admin_routes[];

/* Faults on demand, for tests and trials (faults-api.c). */
extern const struct web_route faults_routes[];

/* Is the admin key given? False: refused, and answered. */
bool admin_allowed(struct web_request *r);

/* The authorization requests that people are looking at; in sandbox.authorizations before a request comes. NULL: no memory. */
struct authorizations *authorize_new(void);
struct authorizations *authorize_free(struct authorizations *a);

#endif
