/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* url.c: see url.h. */
#include "broker/https/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/host.h"

static const char *
after_scheme(const char *url)
{
	const char *p = strstr(url, "://");

	return p == NULL ? NULL : p + 3;
}

const char *
url_path(const char *url)
{
	const char *p = after_scheme(url);

	if (p == NULL)
		p = url;
	return p + strcspn(p, "/?#");
}

void
url_authority(const char *url, char *ret, size_t size)
{
	const char *p = after_scheme(url);

	if (p == NULL)
		p = url;
	(void)snprintf(ret, size, "%.*s", (int)strcspn(p, "/?#"), p);
}

/* The host alone, brackets of an IPv6 literal taken off. False where the authority is none. */
static bool
host_of(const char *authority, char *ret, size_t size)
{
	const char *end;

	if (*authority == '[') {
		end = strchr(++authority, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
	} else {
		end = authority + strcspn(authority, ":");
	}
	if (end == authority || (size_t)(end - authority) >= size)
		return false;
	memcpy(ret, authority, (size_t)(end - authority));
	ret[end - authority] = '\0';
	return true;
}

const char *
url_refusal(const char *url)
{
	char authority[URL_AUTHORITY_MAX], host[URL_AUTHORITY_MAX];
	size_t len = strlen(url);
	bool plain;

	if (len > URL_MAX)
		return "the address is too long";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)url[i] <= 0x20 || (unsigned char)url[i] == 0x7f)
			return "the address holds a space or a control character";
	plain = strncasecmp(url, "http://", 7) == 0;
	if (!plain && strncasecmp(url, "https://", 8) != 0)
		return "the address does not begin with https://";
	if (strchr(url, '#') != NULL)
		return "the address has a fragment";
	if ((size_t)(url_path(url) - after_scheme(url)) >= sizeof(authority))
		return "the host name is too long";
	url_authority(url, authority, sizeof(authority));
	if (strchr(authority, '@') != NULL)
		return "the address holds a user name";
	if (!host_of(authority, host, sizeof(host)))
		return "the address names no host";
	if (plain && !host_is_loopback(host))
		return "http without TLS is for this machine's loopback only: the address must "
		       "begin with https://";
	return NULL;
}
