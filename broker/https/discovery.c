/* discovery.c: see discovery.h. */
#include "broker/https/discovery.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "broker/https/document.h"
#include "broker/https/url.h"

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

/* ---- whose document it is ---- */

static bool
is_guid(const char *s, size_t len)
{
	if (len != 36)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-'
			 : strchr("0123456789abcdefABCDEF", s[i]) == NULL || s[i] == '\0')
			return false;
	}
	return true;
}

static bool
is_microsoft(const char *issuer)
{
	static const char *const origins[] = {"https://login.microsoftonline.com/",
	    "https://login.microsoftonline.us/", "https://login.partner.microsoftonline.cn/"};

	for (size_t i = 0; i < ARRAY_SIZE(origins); i++)
		if (strncmp(issuer, origins[i], strlen(origins[i])) == 0)
			return true;
	return false;
}

bool
discovery_issuer_fits(const char *asked, const char *document)
{
	const char *a, *d;
	size_t a_len, d_len;

	if (strcmp(asked, document) == 0)
		return true;
	if (!is_microsoft(asked) || !url_same_origin(asked, document))
		return false;
	a = url_path(asked) + 1;
	d = url_path(document);
	if (*d++ != '/')
		return false;
	a_len = strcspn(a, "/");
	d_len = strcspn(d, "/");
	if (strcmp(a + a_len, d + d_len) != 0 || is_guid(a, a_len))
		return false;
	return is_guid(d, d_len) ||
	       (d_len == strlen("{tenantid}") && memcmp(d, "{tenantid}", d_len) == 0);
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
read_document(const json_t *document, const char *issuer, struct discovery *d, const char **ret_why)
{
	const char *named = document_text(document, "issuer");
	int r;

	*ret_why = "names no issuer";
	if (named == NULL)
		return -EBADMSG;
	*ret_why = "names another issuer than the one asked for";
	if (strlen(named) > URL_MAX || !discovery_issuer_fits(issuer, named))
		return -EBADMSG;
	r = copy_text(&d->issuer, named);
	for (size_t i = 0; i < ARRAY_SIZE(endpoints) && r == 0; i++) {
		const char *url = document_text(document, endpoints[i].key);

		*ret_why = "names an endpoint that is not https";
		if (url != NULL && url_refusal(url) != NULL)
			return -EBADMSG;
		r = copy_text((char **)((char *)d + endpoints[i].offset), url);
	}
	if (r < 0)
		return r;
	*ret_why = "names no token endpoint";
	if (d->token_endpoint == NULL)
		return -EBADMSG;
	d->iss_required = json_is_true(
	    json_object_get(document, "authorization_response_iss_parameter_supported"));
	return read_methods(document, d);
}

int
discovery_parse(
    const char *body, size_t len, const char *issuer, struct discovery *ret, const char **ret_why)
{
	CLEANUP_DOCUMENT json_t *document = document_parse(body, len, ret_why);
	int r;

	*ret = (struct discovery){0};
	if (document == NULL) {
		*ret_why = "is no metadata document";
		return -EBADMSG;
	}
	r = read_document(document, issuer, ret, ret_why);
	if (r < 0)
		discovery_clear(ret);
	return r;
}
