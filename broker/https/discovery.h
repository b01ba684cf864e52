/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * discovery.h: the metadata document of an authorization server (RFC 8414, OpenID Connect
 * Discovery 1.0): where to ask for it and what it says.
 */
#ifndef FRANK_BROKER_HTTPS_DISCOVERY_H
#define FRANK_BROKER_HTTPS_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct discovery {
	char *issuer; /* as the document spells it: it may hold "{tenantid}" (base/issuer.h) */
	char *authorization_endpoint;
	char *token_endpoint;
	char *device_endpoint;
	char *revocation_endpoint;
	char *userinfo_endpoint;
	char *auth_methods; /* token_endpoint_auth_methods_supported, joined by spaces */
	bool iss_required; /* authorization_response_iss_parameter_supported (RFC 9207 section 3) */
};

/*
 * The `n`-th address to ask for the document of `issuer`, from 0: RFC 8414 section 3.1 puts the
 * well-known part before the issuer's path, OpenID Connect Discovery section 4 behind it. 1 with
 * the address in `ret`; 0 where there are no more; -ENOMEM.
 */
int discovery_address(const char *issuer, unsigned n, struct buf *ret);

/*
 * Reads a document. 0; -ENOMEM; with a sentence in `ret_why` that goes on from the address ("names no
 * issuer"): -EBADMSG for what is no document, which may be a passing trouble, and -EINVAL for one
 * that cannot be this issuer's. Endpoints must satisfy url_refusal, and be https where the issuer is;
 * RFC 8414 section 3.3: the issuer must be the one asked for, as issuer_fits_document has it.
 */
int discovery_parse(
    const char *body, size_t len, const char *issuer, struct discovery *ret, struct buf *ret_why);
void discovery_clear(struct discovery *d);
/* A deep copy: 0 or -ENOMEM. */
int discovery_copy(struct discovery *to, const struct discovery *from);

#endif
