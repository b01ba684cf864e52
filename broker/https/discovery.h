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
	char *issuer; /* as the document spells it: it may hold "{tenantid}", see
			 discovery_issuer_fits */
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
 * Reads a document. 0; -ENOMEM; -EBADMSG with *ret_why a sentence that goes on from the address
 * ("names another issuer"). Endpoints must satisfy url_refusal; the issuer must be the one asked
 * for, exactly, but for Microsoft (discovery_issuer_fits).
 */
int discovery_parse(
    const char *body, size_t len, const char *issuer, struct discovery *ret, const char **ret_why);
void discovery_clear(struct discovery *d);
/* A deep copy: 0 or -ENOMEM. */
int discovery_copy(struct discovery *to, const struct discovery *from);

/*
 * RFC 8414 section 3.3: identical. Microsoft's documents for "common", "organizations", "consumers"
 * and tenants named by domain have "{tenantid}" or the tenant's GUID in place of that name: on
 * Microsoft's own login hosts, and there alone, the first path segment of the document's issuer may
 * be either.
 */
bool discovery_issuer_fits(const char *asked, const char *document);

#endif
