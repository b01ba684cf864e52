/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * transport.c: see transport.h.
 *
 * Limits: Graph allows 4 requests at once and 10,000 in ten minutes for each application and
 * mailbox (Microsoft Graph throttling limits, Outlook service); Gmail 6,000 units a minute for each
 * user and project, of which a message takes 100.
 */
#include "broker/conf/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HTTPS_PORT = 443, HTTP_PORT = 80 };

struct api_limits {
	const char *transport, *name, *endpoint_key;
	unsigned sessions, rate;
};

static const struct api_limits apis[] = {
    {"graph", "Microsoft Graph", "graph-endpoint", 4, 1000},
    {"gmail", "the Gmail API", "gmail-endpoint", 4, 60},
};

static bool
says(const struct raw_block *own, const struct raw_block *block, const char *key)
{
	return raw_find(own, key) != NULL || (block != NULL && raw_find(block, key) != NULL);
}

static int
set_copy(char **target, const char *from, size_t len)
{
	char *copy = strndup(from, len);

	if (copy == NULL)
		return -ENOMEM;
	free(*target);
	*target = copy;
	return 0;
}

/* Host and port of an address that value_url let pass. */
static int
set_server(struct conf_account *a, const char *url)
{
	bool https = strncmp(url, "https:", 6) == 0;
	const char *host = strstr(url, "://") + 3;
	size_t len = strcspn(host, "/?"), host_len = len;
	const char *colon = memrchr(host, ':', len), *bracket = memchr(host, ']', len);

	a->port = https ? HTTPS_PORT : HTTP_PORT;
	if (colon != NULL && (bracket == NULL || colon > bracket)) {
		host_len = (size_t)(colon - host);
		a->port = (unsigned)strtoul(colon + 1, NULL, 10) & 0xffff;
	}
	if (bracket != NULL && *host == '[') {
		host++;
		host_len = (size_t)(bracket - host);
	}
	return set_copy(&a->host, host, host_len);
}

/*
 * Microsoft's tokens are for one service each, named by its address or by its number. An application
 * without a person asks for whatever the service has granted it.
 */
static int
set_graph_service(struct conf_account *a, const char *endpoint, const struct raw_block *own,
    const struct raw_block *block)
{
	static const char number[] = "00000003-0000-0000-c000-000000000000";
	size_t len = (size_t)(strstr(endpoint, "://") + 3 - endpoint);
	CLEANUP_FREE char *origin = strndup(endpoint, len + strcspn(endpoint + len, "/?"));
	CLEANUP_FREE char *all = NULL;
	int r = 0;

	if (origin == NULL || asprintf(&all, "%s/.default", origin) < 0) {
		all = NULL;
		return -ENOMEM;
	}
	if (a->grant == CONF_GRANT_CLIENT_CREDENTIALS && !says(own, block, "scopes"))
		r = set_copy(&a->scopes, all, strlen(all));
	if (r < 0 || a->audience.count == 0 || says(own, block, "audience"))
		return r;
	conf_strings_free(&a->audience);
	r = conf_strings_add(&a->audience, origin);
	return r < 0 ? r : conf_strings_add(&a->audience, number);
}

static int
use_api(struct raw *raw, struct conf_account *a, const struct api_limits *api,
    const struct raw_block *own, const struct raw_block *block)
{
	bool graph = api == &apis[0];
	const char *endpoint = graph ? a->graph_endpoint : a->gmail_endpoint;
	const char *scopes = graph ? a->graph_scopes : a->gmail_scopes;
	int r;

	if (a->grant == CONF_GRANT_PASSWORD || a->grant == CONF_GRANT_NONE)
		raw_error(raw, a->place,
		    "account \"%s\": transport = \"%s\" wants a token, so grant = \"%s\" does not "
		    "go "
		    "with it",
		    a->name, a->transport, conf_grant_name(a->grant));
	if (endpoint == NULL) {
		raw_error(raw, a->place,
		    "account \"%s\": provider \"%s\" has no %s; use another transport, or give %s",
		    a->name, a->provider == NULL ? "generic" : a->provider, api->name,
		    api->endpoint_key);
		return 0;
	}
	r = set_copy(&a->api_endpoint, endpoint, strlen(endpoint));
	a->srv = false;
	if (r == 0)
		r = set_server(a, endpoint);
	if (r == 0)
		r = set_copy(&a->tls, "implicit", strlen("implicit"));
	if (r == 0 && scopes != NULL && !says(own, block, "scopes"))
		r = set_copy(&a->scopes, scopes, strlen(scopes));
	if (r == 0 && graph)
		r = set_graph_service(a, endpoint, own, block);
	if (!says(own, block, "sessions"))
		a->sessions = api->sessions;
	if (!says(own, block, "rate"))
		a->rate = api->rate;
	return r;
}

int
transport_apply(struct raw *raw, struct conf_account *a, const struct raw_block *own,
    const struct raw_block *block)
{
	if (a->transport == NULL && set_copy(&a->transport, "smtp", strlen("smtp")) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(apis); i++)
		if (strcmp(a->transport, apis[i].transport) == 0)
			return use_api(raw, a, &apis[i], own, block);
	return 0;
}
