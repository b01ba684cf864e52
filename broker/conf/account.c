/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account.c: an account of the configuration: what its provider's preset and the defaults leave to
 * its own block, and whether it can work. See account.h.
 *
 * An account's block is read over its provider's: first the preset of that name from the folder of
 * presets, then a `provider` block of the same name in the configuration, then the account's own
 * keys, each overwriting what came before (lists are replaced, not joined).
 */
#include "broker/conf/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/host.h"
#include "base/smtp/sasl.h"
#include "broker/conf/read.h"
#include "broker/conf/reference.h"
#include "broker/conf/values.h"

enum { PROVIDERS_MAX = 1000, RECIPIENTS_MAX = 100, HTTPS_PORT = 443, HTTP_PORT = 80 };

/* The preset that is called `name` elsewhere: by another name of it, or by the domain of its mailboxes. */
static const char *
find_called(const struct loader *l, const char *name)
{
	static const char *const keys[] = {"also-called", "domains"};

	for (size_t i = 0; i < l->presets.count; i++) {
		const struct raw_block *b = &l->presets.blocks[i];

		for (size_t k = 0; b->kind == CONF_BLOCK_PROVIDER && k < ARRAY_SIZE(keys); k++) {
			const struct raw_entry *e = raw_find(b, keys[k]);

			for (size_t n = 0; e != NULL && n < e->values.count; n++)
				if (strcasecmp(e->values.items[n], name) == 0)
					return b->title;
		}
	}
	return NULL;
}

static const struct raw_block *
find_provider(struct loader *l, const struct raw_entry *e)
{
	const char *name = e->values.items[0];
	const char *names[PROVIDERS_MAX + 1], *near;
	size_t n = 0;

	if (name_set_get(&l->preset_names, name) != NULL ||
	    name_set_get(&l->provider_names, name) != NULL)
		return name_set_get(&l->preset_names, name);
	for (size_t i = 0; i < l->presets.count && n < PROVIDERS_MAX; i++)
		if (l->presets.blocks[i].kind == CONF_BLOCK_PROVIDER)
			names[n++] = l->presets.blocks[i].title;
	for (size_t i = 0; i < l->raw.count && n < PROVIDERS_MAX; i++)
		if (l->raw.blocks[i].kind == CONF_BLOCK_PROVIDER)
			names[n++] = l->raw.blocks[i].title;
	names[n] = NULL;
	near = find_called(l, name);
	if (near == NULL)
		near = value_did_you_mean(name, names);
	raw_error(&l->raw, e->place, "provider = \"%s\": no such provider%s", name,
	    near == NULL ? "; use \"generic\" and give submit, tls and auth" : raw_suggest(near));
	return NULL;
}

/* Reads a preset's keys, but those that the account has itself: lists would be joined, and errors
 * be shown twice. */
static int
read_below(struct loader *l, const struct raw_block *preset, const struct raw_block *above,
    const struct raw_block *own, struct conf_account *a)
{
	struct raw_block left = {.kind = CONF_BLOCK_ACCOUNT};
	int r = 0;

	if (preset == NULL)
		return 0;
	left.entries = calloc(preset->count + 1, sizeof(*left.entries));
	if (left.entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < preset->count; i++) {
		const char *key = preset->entries[i].key->name;

		if (raw_find(own, key) == NULL && (above == NULL || raw_find(above, key) == NULL))
			left.entries[left.count++] = preset->entries[i]; /* borrowed */
	}
	r = read_block(&l->raw, &left, sizeof(*a), a);
	free(left.entries);
	return r;
}

/* Puts `value` where a text says {tenant} or {region}; NULL leaves the hole. */
static int
fill_hole(char **text, const char *hole, const char *value)
{
	CLEANUP_BUF struct buf filled = BUF_INIT(4096);
	const char *at = *text == NULL || value == NULL ? NULL : strstr(*text, hole);

	if (at == NULL)
		return 0;
	if (buf_printf(&filled, "%.*s%s%s", (int)(at - *text), *text, value, at + strlen(hole)) < 0)
		return -ENOMEM;
	free(*text);
	*text = buf_take(&filled);
	return *text == NULL ? -ENOMEM : 0;
}

/* ---- HTTP APIs ---- */

/*
 * Graph allows 4 requests at once and 10,000 in ten minutes for each application and mailbox (Microsoft Graph throttling limits,
 * Outlook service); Gmail 6,000 units a minute for each user and project, of which a message takes 100.
 */
static const struct api_limits {
	const char *name, *endpoint_key;
	unsigned sessions, rate;
} apis[] = {
    [CONF_TRANSPORT_GRAPH] = {"Microsoft Graph", "graph-endpoint", 4, 1000},
    [CONF_TRANSPORT_GMAIL] = {"the Gmail API", "gmail-endpoint", 4, 60},
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
	if (a->grant == GRANT_CLIENT_CREDENTIALS && !says(own, block, "scopes"))
		r = set_copy(&a->scopes, all, strlen(all));
	if (r < 0 || a->audience.count == 0 || says(own, block, "audience"))
		return r;
	conf_strings_free(&a->audience);
	r = conf_strings_add(&a->audience, origin);
	return r < 0 ? r : conf_strings_add(&a->audience, number);
}

/*
 * What follows from a transport that is an API: its endpoint, its server (for people), and where neither the account (`own`) nor the
 * configuration's provider block (`block`, may be NULL) says otherwise, its scopes, sessions and rate.
 */
static int
use_api(struct raw *raw, struct conf_account *a, const struct raw_block *own,
    const struct raw_block *block)
{
	bool graph = a->transport == CONF_TRANSPORT_GRAPH;
	const struct api_limits *api = &apis[a->transport];
	const char *endpoint = graph ? a->graph_endpoint : a->gmail_endpoint;
	const char *scopes = graph ? a->graph_scopes : a->gmail_scopes;
	int r;

	if (a->grant == GRANT_PASSWORD || a->grant == GRANT_NONE)
		raw_error(raw, a->place,
		    "account \"%s\": transport = \"%s\" wants a token, so grant = \"%s\" does not "
		    "go "
		    "with it",
		    a->name, conf_word(CONF_TYPE_transport, a->transport),
		    grant_rows[a->grant].name);
	if (endpoint == NULL) {
		raw_error(raw, a->place,
		    "account \"%s\": provider \"%s\" has no %s; use another transport, or give %s",
		    a->name, a->provider, api->name, api->endpoint_key);
		return 0;
	}
	r = set_copy(&a->api_endpoint, endpoint, strlen(endpoint));
	a->srv = false;
	if (r == 0)
		r = set_server(a, endpoint);
	a->tls = CONF_TLS_IMPLICIT;
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

/* ---- what the grant makes of it ---- */

/* Does one of the endpoints want a tenant? Then, for a program that acts by itself, a certain one. */
static bool
wants_tenant(const struct conf_account *a)
{
	return (a->token_endpoint != NULL && strstr(a->token_endpoint, "{tenant}") != NULL) ||
	       (a->issuer != NULL && strstr(a->issuer, "{tenant}") != NULL);
}

static bool
is_certain_tenant(const char *tenant)
{
	return tenant != NULL && strcasecmp(tenant, "common") != 0 &&
	       strcasecmp(tenant, "organizations") != 0 && strcasecmp(tenant, "consumers") != 0;
}

/* The mechanisms that carry the grant's kind of credential. */
static unsigned
grant_mechanisms(enum grant grant)
{
	switch (grant_rows[grant].credential) {
	case GRANT_GIVES_NOTHING:
		return SASL_NONE;
	case GRANT_GIVES_PASSWORD:
		return SASL_PASSWORD_MECHANISMS;
	case GRANT_GIVES_TOKEN:
		break;
	}
	return SASL_TOKEN_MECHANISMS;
}

/* What a program asks for by itself differs at some providers from what a person is asked for. */
static int
take_app_scopes(struct conf_account *a, const struct raw_block *own)
{
	if (!grant_is_unattended(a->grant) || a->app_scopes == NULL ||
	    raw_find(own, "scopes") != NULL)
		return 0;
	free(a->scopes);
	a->scopes = strdup(a->app_scopes);
	return a->scopes == NULL ? -ENOMEM : 0;
}

static int
account_defaults(struct conf_account *a)
{
	char **urls[] = {&a->issuer, &a->authorization_endpoint, &a->token_endpoint,
	    &a->device_endpoint, &a->revocation_endpoint, &a->userinfo_endpoint, &a->host};
	static const enum sasl_mechanism token[] = {SASL_XOAUTH2, SASL_OAUTHBEARER},
					 password[] = {SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_256,
					     SASL_PLAIN, SASL_LOGIN};
	bool is_password = a->grant == GRANT_PASSWORD;
	const enum sasl_mechanism *order = is_password ? password : token;
	size_t order_count = is_password ? ARRAY_SIZE(password) : ARRAY_SIZE(token);
	unsigned allowed = grant_mechanisms(a->grant);
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(urls) && r == 0; i++) {
		r = fill_hole(urls[i], "{region}", a->region);
		/* without a person "common" would not do: account_check says so */
		if (r == 0 && (a->tenant != NULL || !grant_is_unattended(a->grant)))
			r = fill_hole(
			    urls[i], "{tenant}", a->tenant == NULL ? "common" : a->tenant);
	}
	if (r < 0 ||
	    (r = loader_default_string(&a->redirect_host,
		 a->redirect_scheme == CONF_REDIRECT_SCHEME_HTTPS ? "localhost" : "127.0.0.1")) < 0)
		return r;
	if (a->tls == CONF_TLS_EITHER && !a->srv)
		a->tls = a->port == 465 || a->port == 2465 ? CONF_TLS_IMPLICIT : CONF_TLS_STARTTLS;
	if (a->recipients_max > RECIPIENTS_MAX)
		a->recipients_max = RECIPIENTS_MAX;
	/* of a preset's mechanisms those count that the grant can use */
	for (size_t i = 0; i < a->mechanisms.count; i++) {
		const char *m = a->mechanisms.items[i];

		if (((unsigned)sasl_mechanism_by_name(m, strlen(m)) & allowed) != 0)
			a->mechanisms.items[kept++] = a->mechanisms.items[i];
		else
			free(a->mechanisms.items[i]);
	}
	a->mechanisms.count = kept;
	if (kept == 0 && a->grant != GRANT_NONE)
		for (size_t i = 0; i < order_count && r == 0; i++)
			r = conf_strings_add(&a->mechanisms, sasl_mechanism_name(order[i]));
	if (a->client_secret.text != NULL && a->client_auth == CONF_CLIENT_AUTH_UNSET)
		a->client_auth = CONF_CLIENT_AUTH_POST;
	return r;
}

static void
need(struct raw *raw, const struct conf_account *a, const void *value, const char *key,
    const char *why)
{
	if (value == NULL)
		raw_error(raw, a->place, "account \"%s\" needs %s: %s", a->name, key, why);
}

/* What a grant of OAuth must have. */
static void
check_oauth(struct raw *raw, const struct conf_account *a, const struct raw_block *own)
{
	const struct grant_row *row = &grant_rows[a->grant];
	const char *grant = row->name;

	need(raw, a, a->client_id, "client-id",
	    a->grant == GRANT_SERVICE_ACCOUNT
		? "the service account's address, client_email in its key file"
		: "the id of the application registered at the provider");
	need(raw, a, a->scopes, "scopes", "what to ask the provider for");
	if (a->issuer == NULL && a->token_endpoint == NULL)
		raw_error(raw, a->place, "account \"%s\" needs issuer, or %s%stoken-endpoint",
		    a->name, row->endpoint == NULL ? "" : row->endpoint,
		    row->endpoint == NULL ? "" : " and ");
	else if (a->issuer == NULL && a->grant == GRANT_AUTHORIZATION_CODE)
		need(raw, a, a->authorization_endpoint, "authorization-endpoint",
		    "where the person signs in; issuer tells it where the provider has metadata");
	else if (a->issuer == NULL && a->grant == GRANT_DEVICE_CODE)
		need(raw, a, a->device_endpoint, "device-endpoint",
		    "grant = \"device-code\" begins there; this provider's preset has none, so it "
		    "may not know this grant");
	if (a->password.text != NULL)
		raw_error(raw, a->password.place,
		    "password: grant = \"%s\" uses none; set grant = \"password\" or remove it",
		    grant);
	if (raw_find(own, "password-derivation") != NULL)
		raw_error(raw, raw_find(own, "password-derivation")->place,
		    "password-derivation: grant = \"%s\" has no password", grant);
	if (grant_is_unattended(a->grant) && wants_tenant(a) && !is_certain_tenant(a->tenant))
		raw_error(raw, a->place,
		    "account \"%s\" needs tenant, the organisation's domain or id: grant = \"%s\" "
		    "works in one tenant, not in \"%s\"",
		    a->name, grant, a->tenant == NULL ? "common" : a->tenant);
}

/* How the application proves who it is. */
static void
check_client(struct raw *raw, const struct conf_account *a)
{
	bool service = a->grant == GRANT_SERVICE_ACCOUNT,
	     key = service || a->client_auth == CONF_CLIENT_AUTH_PRIVATE_KEY_JWT;

	if (a->client_auth == CONF_CLIENT_AUTH_NONE && a->client_secret.text != NULL)
		raw_error(raw, a->client_secret.place,
		    "client-secret: client-auth = \"none\" never sends it; remove one of the two");
	if (a->client_auth == CONF_CLIENT_AUTH_NONE && a->grant == GRANT_CLIENT_CREDENTIALS)
		raw_error(raw, a->place,
		    "account \"%s\": grant = \"client-credentials\" needs a client that proves who "
		    "it is: client-auth = \"post\", \"basic\" or \"private_key_jwt\"",
		    a->name);
	if (key && a->client_secret.text != NULL)
		raw_error(raw, a->client_secret.place,
		    "client-secret: %s a key instead; remove it, and give client-key",
		    service ? "a service account has" : "client-auth = \"private_key_jwt\" uses");
	if (!key && a->client_key.text != NULL)
		raw_error(raw, a->client_key.place,
		    "client-key: it is used with client-auth = \"private_key_jwt\" or grant = "
		    "\"service-account\" only");
	if (!key && a->client_certificate.text != NULL)
		raw_error(raw, a->client_certificate.place,
		    "client-certificate: it is used with client-auth = \"private_key_jwt\" only");
}

static void
check_password(struct raw *raw, const struct conf_account *a, const struct raw_block *own)
{
	static const char *const keys[] = {"client-key", "client-certificate", "client-secret"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (raw_find(own, keys[i]) != NULL)
			raw_error(raw, raw_find(own, keys[i])->place,
			    "%s: grant = \"password\" uses none; remove it, or name the grant that "
			    "does",
			    keys[i]);
	if (a->password_derivation == CONF_PASSWORD_DERIVATION_AWS_SES && a->region == NULL)
		raw_error(raw, a->place,
		    "account \"%s\" needs region: the password that Amazon SES wants is made from "
		    "the secret key and the region, such as \"eu-west-1\"",
		    a->name);
}

/* What an account must have, by its grant. */
static void
account_check(struct raw *raw, const struct conf_account *a, const struct raw_block *own)
{
	const struct raw_entry *auth = raw_find(own, "auth");
	bool oauth = grant_has_tokens(a->grant);

	need(raw, a, a->host, "submit",
	    "the submission server as \"HOST:PORT\"; a provider's preset has it");
	if (a->host != NULL && strstr(a->host, "{region}") != NULL)
		need(raw, a, NULL, "region",
		    "it is part of the server's name at this provider, such as \"eu-west-1\"");
	if (raw_find(own, "grant") == NULL)
		raw_error(raw, a->place,
		    "account \"%s\" needs grant: " GRANT_NAMES "; it is never guessed", a->name);
	if (a->grant != GRANT_NONE)
		need(raw, a, a->mailbox, "mailbox", "the address whose credential this is");
	if (oauth) {
		check_oauth(raw, a, own);
		check_client(raw, a);
	} else if (a->grant == GRANT_PASSWORD) {
		check_password(raw, a, own);
	}
	for (size_t i = 0; auth != NULL && i < auth->values.count; i++) {
		const char *m = auth->values.items[i];
		unsigned bit = sasl_mechanism_by_name(m, strlen(m));

		if (bit != SASL_NONE && (bit & grant_mechanisms(a->grant)) == 0)
			raw_error(raw, auth->place,
			    "auth: \"%s\" does not go with grant = \"%s\"; %s", m,
			    grant_rows[a->grant].name,
			    oauth ? "a token is never sent as a password: use xoauth2, oauthbearer"
				  : "a password is never sent as a token: use scram-sha-256-plus, "
				    "scram-sha-256, plain, login");
	}
	if (a->tls == CONF_TLS_NONE && a->grant != GRANT_NONE &&
	    !(a->allow_plaintext_secret && a->host != NULL && host_is_loopback(a->host)))
		raw_error(raw, a->place,
		    "account \"%s\": tls = \"none\" would send its credential in clear; allowed on "
		    "loopback only, with allow-plaintext-secret = true",
		    a->name);
	if (a->srv && a->tls == CONF_TLS_NONE)
		raw_error(raw, a->place,
		    "account \"%s\": submit = \"srv:...\" names servers with TLS only; tls is "
		    "implicit, starttls, or left out for both",
		    a->name);
	if (a->tls_key.path != NULL && a->tls_certificate.path == NULL)
		raw_error(
		    raw, a->place, "account \"%s\": tls-key goes with tls-certificate", a->name);
}

static void
check_tls_file(
    struct loader *l, const struct conf_account *a, const char *key, const struct conf_file *f)
{
	if (f->path != NULL && l->env->check_files && access(f->path, R_OK) < 0)
		raw_error(&l->raw, a->place, "account \"%s\": %s %s cannot be read: %s", a->name,
		    key, f->path, strerror(errno));
}

static bool
is_in_file(const struct conf_reference *ref)
{
	return ref->text != NULL && !reference_is_command(ref);
}

/* What is said of its secrets to those who do not get the references. */
static int
derive_secrets(struct conf_account *a)
{
	const struct conf_reference *r = &a->client_secret;

	if (a->grant == GRANT_PASSWORD)
		r = &a->password;
	else if (a->grant == GRANT_SERVICE_ACCOUNT ||
		 a->client_auth == CONF_CLIENT_AUTH_PRIVATE_KEY_JWT)
		r = &a->client_key;
	a->rereads = is_in_file(&a->client_key) || is_in_file(&a->client_certificate) ||
		     is_in_file(&a->client_secret);
	return r->text == NULL ? 0 : loader_default_string(&a->secret_from, r->text);
}

static void
check_all(struct loader *l, const struct conf_account *a, const struct raw_block *own)
{
	account_check(&l->raw, a, own);
	loader_check_reference(l, &a->client_secret);
	loader_check_reference(l, &a->client_key);
	loader_check_reference(l, &a->client_certificate);
	loader_check_reference(l, &a->password);
	check_tls_file(l, a, "ca-file", &a->ca_file);
	check_tls_file(l, a, "tls-certificate", &a->tls_certificate);
	check_tls_file(l, a, "tls-key", &a->tls_key);
}

int
account_add(struct loader *l, const struct raw_block *b)
{
	const struct raw_entry *provider = raw_find(b, "provider");
	const struct raw_block *preset = NULL, *block = NULL;
	size_t before = l->conf->lapses.count;
	struct conf_account *a;
	int r = loader_check_title(l, b);

	a = r < 0 ? NULL : conf_block_add(l->conf, CONF_BLOCK_ACCOUNT);
	if (a == NULL)
		return -ENOMEM;
	a->place = b->place;
	a->name = strdup(b->title);
	if (a->name == NULL)
		return -ENOMEM;
	loader_begin_block(l);
	if (provider != NULL && provider->values.count == 1) {
		preset = find_provider(l, provider);
		block = name_set_get(&l->provider_names, provider->values.items[0]);
	}
	if ((r = read_defaults(&l->raw, CONF_BLOCK_ACCOUNT, a)) < 0 ||
	    (r = read_below(l, preset, block, b, a)) < 0 ||
	    (r = read_below(l, block, NULL, b, a)) < 0 ||
	    (r = read_block(&l->raw, b, sizeof(*a), a)) < 0 || (r = take_app_scopes(a, b)) < 0 ||
	    (a->transport != CONF_TRANSPORT_SMTP && (r = use_api(&l->raw, a, b, block)) < 0) ||
	    (r = account_defaults(a)) < 0 || (r = derive_secrets(a)) < 0)
		return r;
	check_all(l, a, b);
	return loader_end_block(l) > 0 && l->raw.lapses != NULL
		   ? loader_set_lapse(l, &a->lapse, before)
		   : 0;
}
