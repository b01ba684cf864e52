/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* issuer.c: see issuer.h. */
#include "base/issuer.h"

#include <string.h>
#include <strings.h>

#include "base/codec.h"

static const char hole[] = "{tenantid}";

/* Octets of "scheme://authority"; 0 where it is no address. */
static size_t
origin_len(const char *url)
{
	const char *authority = strstr(url, "://");

	return authority == NULL ? 0
				 : (size_t)(authority + 3 - url) + strcspn(authority + 3, "/?#");
}

bool
issuer_is_same_origin(const char *a, const char *b)
{
	size_t len = origin_len(a);

	return len != 0 && len == origin_len(b) && strncasecmp(a, b, len) == 0;
}

/* Is it "8-4-4-4-12" hexadecimal digits, in `len` octets? */
static bool
is_guid(const char *s, size_t len)
{
	if (len != 36)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-'
			 : s[i] == '\0' || strchr("0123456789abcdefABCDEF", s[i]) == NULL)
			return false;
	}
	return true;
}

bool
issuer_is_microsoft(const char *url)
{
	static const char *const origins[] = {"https://login.microsoftonline.com",
	    "https://login.microsoftonline.us", "https://login.partner.microsoftonline.cn"};

	for (size_t i = 0; i < ARRAY_SIZE(origins); i++)
		if (issuer_is_same_origin(url, origins[i]))
			return true;
	return false;
}

/* The tenant of an address on Microsoft's login hosts: the first segment of its path; NULL elsewhere. */
static const char *
tenant_of(const char *url, size_t *ret_len)
{
	const char *path = url + origin_len(url);

	if (!issuer_is_microsoft(url) || *path != '/')
		return NULL;
	*ret_len = strcspn(path + 1, "/?#");
	return path + 1;
}

bool
issuer_is_one_organisation(const char *url)
{
	size_t len;
	const char *tenant = tenant_of(url, &len);

	return tenant != NULL && len > 0 && !text_is(tenant, len, "common") &&
	       !text_is(tenant, len, "organizations") && !text_is(tenant, len, "consumers") &&
	       !text_is(tenant, len, ISSUER_CONSUMERS) && !text_is(tenant, len, hole);
}

bool
issuer_is_of_tenant(const char *url, const char *tenant)
{
	size_t len;
	const char *got = tenant_of(url, &len);

	return got != NULL && is_guid(tenant, strlen(tenant)) && text_is(got, len, tenant);
}

bool
issuer_of_endpoint(const char *endpoint, struct buf *ret)
{
	static const char second[] = "/oauth2/v2.0/";
	size_t len;
	const char *tenant = tenant_of(endpoint, &len);

	if (tenant == NULL || strncmp(tenant + len, second, sizeof(second) - 1) != 0)
		return false;
	(void)buf_append(ret, endpoint, (size_t)(tenant + len - endpoint));
	(void)buf_append_str(ret, "/v2.0");
	return true;
}

bool
issuer_is_same_but_slash(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len + 1 == b_len)
		return memcmp(a, b, a_len) == 0 && b[a_len] == '/';
	return a_len == b_len + 1 && memcmp(a, b, b_len) == 0 && a[b_len] == '/';
}

/* Do Microsoft's issuers differ in the tenant alone, and may `got` stand for what was expected? */
static bool
tenant_fits(const char *expected, const char *got, bool template)
{
	size_t e_len, g_len;
	const char *e = tenant_of(expected, &e_len), *g = tenant_of(got, &g_len);

	if (e == NULL || g == NULL || !issuer_is_same_origin(expected, got) ||
	    strcmp(e + e_len, g + g_len) != 0 || is_guid(e, e_len))
		return false;
	if (text_is(g, g_len, hole))
		return template;
	if (text_is(e, e_len, "consumers"))
		return text_is(g, g_len, ISSUER_CONSUMERS);
	return is_guid(g, g_len);
}

bool
issuer_fits(const char *expected, const char *got)
{
	size_t len;
	const char *tenant = tenant_of(got, &len);

	/* Microsoft's tokens name their tenant by its id, whatever it was asked for by */
	if (tenant != NULL && !is_guid(tenant, len))
		return false;
	return strcmp(expected, got) == 0 || tenant_fits(expected, got, false);
}

bool
issuer_fits_document(const char *asked, const char *document)
{
	return strcmp(asked, document) == 0 || issuer_is_same_but_slash(asked, document) ||
	       tenant_fits(asked, document, true);
}
