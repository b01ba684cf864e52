/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* discovery.c: see discovery.h. */
#include "broker/https/discovery.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/issuer.h"
#include "broker/https/document.h"
#include "broker/https/url.h"

enum { QUOTED_MAX = 200 };

static const struct {
	const char *key;
	size_t offset;
} endpoints[] = {
    {"authorization_endpoint", offsetof(struct discovery, authorization_endpoint)},
    {"token_endpoint", offsetof(struct discovery, token_endpoint)},
    {"device_authorization_endpoint", offsetof(struct discovery, device_endpoint)},
    {"revocation_endpoint", offsetof(struct discovery, revocation_endpoint)},
    {"userinfo_endpoint", offsetof(struct discovery, userinfo_endpoint)},
};

/* ---- where to ask ---- */

int
discovery_address(const char *issuer, unsigned n, struct buf *ret)
{
	size_t len = strlen(issuer), origin = (size_t)(url_path(issuer) - issuer);
	int r;

	while (len > origin && issuer[len - 1] == '/')
		len--;
	buf_clear(ret);
	switch (n) {
	case 0:
		r = buf_append(ret, issuer, origin);
		if (r == 0)
			r = buf_append_str(ret, "/.well-known/oauth-authorization-server");
		if (r == 0)
			r = buf_append(ret, issuer + origin, len - origin);
		break;
	case 1:
		r = buf_append(ret, issuer, len);
		if (r == 0)
			r = buf_append_str(ret, "/.well-known/openid-configuration");
		break;
	default:
		return 0;
	}
	return r == 0 ? 1 : r;
}

/* ---- what it says ---- */

void
discovery_clear(struct discovery *d)
{
	free(d->issuer);
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
		free(*(char **)((char *)d + endpoints[i].offset));
	free(d->auth_methods);
	*d = (struct discovery){0};
}

static int
copy_text(char **to, const char *from)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to == NULL ? -ENOMEM : 0;
}

int
discovery_copy(struct discovery *to, const struct discovery *from)
{
	int r;

	*to = (struct discovery){.iss_required = from->iss_required};
	r = copy_text(&to->issuer, from->issuer);
	if (r == 0)
		r = copy_text(&to->auth_methods, from->auth_methods);
	for (size_t i = 0; i < ARRAY_SIZE(endpoints) && r == 0; i++)
		r = copy_text((char **)((char *)to + endpoints[i].offset),
		    *(char *const *)((const char *)from + endpoints[i].offset));
	if (r < 0)
		discovery_clear(to);
	return r;
}

static int
read_methods(const json_t *document, struct discovery *d)
{
	CLEANUP_BUF struct buf joined = BUF_INIT(1024);
	const json_t *item;
	size_t i;

	json_array_foreach(
	    json_object_get(document, "token_endpoint_auth_methods_supported"), i, item)
	{
		const char *method = json_string_value(item);

		if (method == NULL || strpbrk(method, " \r\n") != NULL)
			continue;
		if (joined.len > 0)
			(void)buf_append_char(&joined, ' ');
		(void)buf_append_str(&joined, method);
	}
	if (joined.len == 0 || joined.failed)
		return 0;
	d->auth_methods = buf_take(&joined);
	return d->auth_methods == NULL ? -ENOMEM : 0;
}

static int
refuse(struct buf *ret_why, const char *why, const char *quoted)
{
	(void)buf_append_str(ret_why, why);
	if (quoted != NULL) {
		(void)buf_append_char(ret_why, ' ');
		(void)text_plain(ret_why, quoted, strlen(quoted), QUOTED_MAX);
	}
	return -EINVAL;
}

/* What came over TLS must not lead to where no TLS is, not even on this machine. */
static bool
loses_tls(const char *issuer, const char *endpoint)
{
	return strncasecmp(issuer, "https:", 6) == 0 && strncasecmp(endpoint, "https:", 6) != 0;
}

static int
read_document(const json_t *document, const char *issuer, struct discovery *d, struct buf *ret_why)
{
	const char *named = document_text(document, "issuer");
	int r;

	if (named == NULL)
		return refuse(ret_why, "names no issuer", NULL);
	if (strlen(named) > URL_MAX || !issuer_fits_document(issuer, named)) {
		(void)refuse(ret_why, "names the issuer", named);
		return refuse(ret_why, ", and not the one that it was asked for,", issuer);
	}
	r = copy_text(&d->issuer, named);
	for (size_t i = 0; i < ARRAY_SIZE(endpoints) && r == 0; i++) {
		const char *url = document_text(document, endpoints[i].key);

		if (url != NULL && (url_refusal(url) != NULL || loses_tls(issuer, url)))
			return refuse(ret_why, "names an endpoint that is not https:", url);
		r = copy_text((char **)((char *)d + endpoints[i].offset), url);
	}
	if (r < 0)
		return r;
	if (d->token_endpoint == NULL)
		return refuse(ret_why, "names no token endpoint", NULL);
	d->iss_required = json_is_true(
	    json_object_get(document, "authorization_response_iss_parameter_supported"));
	return read_methods(document, d);
}

int
discovery_parse(
    const char *body, size_t len, const char *issuer, struct discovery *ret, struct buf *ret_why)
{
	const char *why;
	CLEANUP_DOCUMENT json_t *document = document_parse(body, len, &why);
	int r;

	*ret = (struct discovery){0};
	if (document == NULL) {
		(void)buf_append_str(ret_why, "is no metadata document");
		return -EBADMSG;
	}
	r = read_document(document, issuer, ret, ret_why);
	if (r < 0)
		discovery_clear(ret);
	return r;
}
