/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * issuer.h: the name of an authorization server (RFC 8414 section 2, OpenID Connect Core section 2), and when two of
 * them are one and the same. Pure.
 *
 * Issuers are compared octet by octet. The exception is Microsoft: the first segment of the path of its issuers is a
 * tenant, which may be asked for under a name ("common", "example.com") and answers under its GUID. Source: Microsoft
 * Learn, "OpenID Connect on the Microsoft identity platform", and "Access token claims" (iss, tid).
 */
#ifndef FRANK_BASE_ISSUER_H
#define FRANK_BASE_ISSUER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The tenant of all personal Microsoft accounts. */
#define ISSUER_CONSUMERS "9188040d-6c67-4c5b-b112-36a304b66dad"

/* Is this https address on one of Microsoft's login hosts? */
bool issuer_is_microsoft(const char *url);

/* Does an address on Microsoft's login hosts name one organisation, by its domain or id? False for "common",
 * "organizations", "consumers" and for addresses elsewhere. */
bool issuer_is_one_organisation(const char *url);

/* Is `tenant` (a GUID) the tenant of this address on Microsoft's login hosts? */
bool issuer_is_of_tenant(const char *url, const char *tenant);

/* The issuer of Microsoft's tokens for an endpoint of its second version, such as
 * https://login.microsoftonline.com/common/oauth2/v2.0/token, appended to `ret`. False, and nothing appended, for
 * another address. A failed append shows in `ret`. */
bool issuer_of_endpoint(const char *endpoint, struct buf *ret);

/* Is `got`, of a token or an answer, the issuer that was expected? Equal; or on the Microsoft host that was expected, where the tenant that was
 * expected is no GUID, a GUID in its place: with "consumers" ISSUER_CONSUMERS alone. */
bool issuer_fits(const char *expected, const char *got);

/* The same for the metadata document that was fetched over TLS from the server of the issuer `asked`: Microsoft's may
 * have "{tenantid}" in the tenant's place, and a final slash may be on one side alone. */
bool issuer_fits_document(const char *asked, const char *document);

/* Equal but for a slash at the end of one of them. */
bool issuer_is_same_but_slash(const char *a, const char *b);

/* Have both addresses the same scheme, host and port? */
bool issuer_is_same_origin(const char *a, const char *b);

#endif
