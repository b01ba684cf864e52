/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account.c: an account of the configuration: what its provider's preset and the defaults leave to
 * its own block, and whether it can work. See loader.h.
 *
 * An account's block is read over its provider's: first the preset of that name from the folder of
 * presets, then a `provider` block of the same name in the configuration, then the account's own
 * keys, each overwriting what came before (lists are replaced, not joined).
 */
#include "broker/conf/loader.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/host.h"
#include "base/smtp/sasl.h"
#include "broker/conf/transport.h"
#include "broker/conf/values.h"

/* The preset that is called `name` elsewhere: by another name of it, or by the domain of its mailboxes. */
static const char *
find_called(const struct loader *l, const char *name)
{
	static const char *const keys[] = {"also-called", "domains"};

	for (size_t i = 0; i < l->presets.count; i++) {
		const struct raw_block *b = &l->presets.blocks[i];

		for (size_t k = 0; b->kind == RAW_PROVIDER && k < ARRAY_SIZE(keys); k++) {
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
		if (l->presets.blocks[i].kind == RAW_PROVIDER)
			names[n++] = l->presets.blocks[i].title;
	for (size_t i = 0; i < l->raw.count && n < PROVIDERS_MAX; i++)
		if (l->raw.blocks[i].kind == RAW_PROVIDER)
			names[n++] = l->raw.blocks[i].title;
	names[n] = NULL;
	near = find_called(l, name);
	if (near == NULL)
		near = conf_did_you_mean(name, names);
	raw_error(&l->raw, e->place, "provider = \"%s\": no such provider%s%s%s", name,
	    near == NULL ? "" : "; did you mean \"",
	    near == NULL ? "; use \"generic\" and give submit, tls and auth" : near,
	    near == NULL ? "" : "\"?");
	return NULL;
}

/* Reads a preset's keys, but those that the account has itself: lists would be joined, and errors
 * be shown twice. */
static int
read_below(struct loader *l, const struct raw_block *preset, const struct raw_block *above,
    const struct raw_block *own, struct conf_account *a)
{
	struct raw_block left = {.kind = RAW_ACCOUNT};
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
	r = read_block(&l->raw, &left, account_rules, a);
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

/* A person signs in, and a refresh token is kept. */
static bool
needs_person(enum conf_grant grant)
{
	return grant == CONF_GRANT_AUTHORIZATION_CODE || grant == CONF_GRANT_DEVICE_CODE;
}

/* Frank asks by itself, and nothing is kept but the secret or the key. */
static bool
is_unattended(enum conf_grant grant)
{
	return grant == CONF_GRANT_CLIENT_CREDENTIALS || grant == CONF_GRANT_SERVICE_ACCOUNT;
}

/* The mechanisms that carry the grant's kind of credential. */
static unsigned
grant_mechanisms(enum conf_grant grant)
{
	switch (grant) {
	case CONF_GRANT_NONE:
		return SASL_NONE;
	case CONF_GRANT_PASSWORD:
		return SASL_PASSWORD_MECHANISMS;
	default:
		return SASL_TOKEN_MECHANISMS;
	}
}

/* What a program asks for by itself differs at some providers from what a person is asked for. */
static int
take_app_scopes(struct conf_account *a, const struct raw_block *own)
{
	if (!is_unattended(a->grant) || a->app_scopes == NULL || raw_find(own, "scopes") != NULL)
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
	bool is_password = a->grant == CONF_GRANT_PASSWORD;
	const enum sasl_mechanism *order = is_password ? password : token;
	size_t order_count = is_password ? ARRAY_SIZE(password) : ARRAY_SIZE(token);
	unsigned allowed = grant_mechanisms(a->grant);
	size_t kept = 0;
	const char *tls = a->srv                              ? "either"
			  : a->port == 465 || a->port == 2465 ? "implicit"
							      : "starttls";
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(urls) && r == 0; i++) {
		r = fill_hole(urls[i], "{region}", a->region);
		/* without a person "common" would not do: account_check says so */
		if (r == 0 && (a->tenant != NULL || !is_unattended(a->grant)))
			r = fill_hole(
			    urls[i], "{tenant}", a->tenant == NULL ? "common" : a->tenant);
	}
	if (r < 0 || (r = conf_default_string(&a->provider, "generic")) < 0 ||
	    (r = conf_default_string(&a->tls, tls)) < 0 ||
	    (r = conf_default_string(&a->redirect_scheme, "http")) < 0 ||
	    (r = conf_default_string(&a->redirect_host,
		 strcmp(a->redirect_scheme, "https") == 0 ? "localhost" : "127.0.0.1")) < 0 ||
	    (r = conf_default_string(&a->redirect_path, "/")) < 0)
		return r;
	if (a->sessions == 0)
		a->sessions = 2;
	if (a->recipients_max == 0 || a->recipients_max > 100)
		a->recipients_max = 100;
	/* of a preset's mechanisms those count that the grant can use */
	for (size_t i = 0; i < a->mechanisms.count; i++) {
		const char *m = a->mechanisms.items[i];

		if (((unsigned)sasl_mechanism_by_name(m, strlen(m)) & allowed) != 0)
			a->mechanisms.items[kept++] = a->mechanisms.items[i];
		else
			free(a->mechanisms.items[i]);
	}
	a->mechanisms.count = kept;
	if (kept == 0 && a->grant != CONF_GRANT_NONE)
		for (size_t i = 0; i < order_count && r == 0; i++)
			r = conf_strings_add(&a->mechanisms, sasl_mechanism_name(order[i]));
	if (r == 0 && a->client_secret.text != NULL)
		r = conf_default_string(&a->client_auth, "post");
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
	const char *grant = conf_grant_name(a->grant);

	need(raw, a, a->client_id, "client-id",
	    a->grant == CONF_GRANT_SERVICE_ACCOUNT
		? "the service account's address, client_email in its key file"
		: "the id of the application registered at the provider");
	need(raw, a, a->scopes, "scopes", "what to ask the provider for");
	if (a->issuer == NULL && a->token_endpoint == NULL)
		raw_error(raw, a->place, "account \"%s\" needs issuer, or %s", a->name,
		    a->grant == CONF_GRANT_AUTHORIZATION_CODE
			? "authorization-endpoint and token-endpoint"
		    : a->grant == CONF_GRANT_DEVICE_CODE ? "device-endpoint and token-endpoint"
							 : "token-endpoint");
	else if (a->issuer == NULL && a->grant == CONF_GRANT_AUTHORIZATION_CODE)
		need(raw, a, a->authorization_endpoint, "authorization-endpoint",
		    "where the person signs in; issuer tells it where the provider has metadata");
	else if (a->issuer == NULL && a->grant == CONF_GRANT_DEVICE_CODE)
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
	if (is_unattended(a->grant) && wants_tenant(a) && !is_certain_tenant(a->tenant))
		raw_error(raw, a->place,
		    "account \"%s\" needs tenant, the organisation's domain or id: grant = \"%s\" "
		    "works in one tenant, not in \"%s\"",
		    a->name, grant, a->tenant == NULL ? "common" : a->tenant);
}

/* How the application proves who it is. */
static void
check_client(struct raw *raw, const struct conf_account *a)
{
	bool service = a->grant == CONF_GRANT_SERVICE_ACCOUNT,
	     key = service ||
		   (a->client_auth != NULL && strcmp(a->client_auth, "private_key_jwt") == 0);

	if (a->client_auth != NULL && strcmp(a->client_auth, "none") == 0 &&
	    a->client_secret.text != NULL)
		raw_error(raw, a->client_secret.place,
		    "client-secret: client-auth = \"none\" never sends it; remove one of the two");
	if (a->client_auth != NULL && strcmp(a->client_auth, "none") == 0 &&
	    a->grant == CONF_GRANT_CLIENT_CREDENTIALS)
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
	if (a->password_derivation != NULL && strcmp(a->password_derivation, "aws-ses") == 0 &&
	    a->region == NULL)
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
	bool oauth = needs_person(a->grant) || is_unattended(a->grant);

	need(raw, a, a->host, "submit",
	    "the submission server as \"HOST:PORT\"; a provider's preset has it");
	if (a->host != NULL && strstr(a->host, "{region}") != NULL)
		need(raw, a, NULL, "region",
		    "it is part of the server's name at this provider, such as \"eu-west-1\"");
	if (raw_find(own, "grant") == NULL)
		raw_error(raw, a->place,
		    "account \"%s\" needs grant: authorization-code, device-code, "
		    "client-credentials, service-account, password or none; it is never guessed",
		    a->name);
	if (a->grant != CONF_GRANT_NONE)
		need(raw, a, a->mailbox, "mailbox", "the address whose credential this is");
	if (oauth) {
		check_oauth(raw, a, own);
		check_client(raw, a);
	} else if (a->grant == CONF_GRANT_PASSWORD) {
		check_password(raw, a, own);
	}
	for (size_t i = 0; auth != NULL && i < auth->values.count; i++) {
		const char *m = auth->values.items[i];
		unsigned bit = sasl_mechanism_by_name(m, strlen(m));

		if (bit != SASL_NONE && (bit & grant_mechanisms(a->grant)) == 0)
			raw_error(raw, auth->place,
			    "auth: \"%s\" does not go with grant = \"%s\"; %s", m,
			    conf_grant_name(a->grant),
			    oauth ? "a token is never sent as a password: use xoauth2, oauthbearer"
				  : "a password is never sent as a token: use scram-sha-256-plus, "
				    "scram-sha-256, plain, login");
	}
	if (strcmp(a->tls, "none") == 0 && a->grant != CONF_GRANT_NONE &&
	    !(a->allow_plaintext_secret && a->host != NULL && host_is_loopback(a->host)))
		raw_error(raw, a->place,
		    "account \"%s\": tls = \"none\" would send its credential in clear; allowed on "
		    "loopback only, with allow-plaintext-secret = true",
		    a->name);
	if (a->srv && strcmp(a->tls, "none") == 0)
		raw_error(raw, a->place,
		    "account \"%s\": submit = \"srv:...\" names servers with TLS only; tls is "
		    "implicit, starttls, or left out for both",
		    a->name);
	if (a->tls_key != NULL && a->tls_certificate == NULL)
		raw_error(
		    raw, a->place, "account \"%s\": tls-key goes with tls-certificate", a->name);
}

static void
check_tls_file(struct loader *l, const struct conf_account *a, const char *key, const char *path)
{
	if (path != NULL && l->env->check_files && access(path, R_OK) < 0)
		raw_lapse(&l->raw, a->place, "account \"%s\": %s %s cannot be read: %s", a->name,
		    key, path, strerror(errno));
}

int
conf_add_account(struct loader *l, const struct raw_block *b)
{
	struct conf *c = l->conf;
	const struct raw_entry *provider = raw_find(b, "provider");
	const struct raw_block *preset = NULL, *block = NULL;
	struct conf_account *a;
	size_t before;
	int r = conf_check_title(l, b, &l->account_names);

	if (r < 0)
		return r;
	if (c->account_count == l->account_room) {
		size_t room = l->account_room == 0 ? 16 : l->account_room * 2;

		a = reallocarray(c->accounts, room, sizeof(*a));
		if (a == NULL)
			return -ENOMEM;
		c->accounts = a;
		l->account_room = room;
	}
	a = &c->accounts[c->account_count++];
	*a = (struct conf_account){
	    .place = b->place, .verify_identity = true, .grant = CONF_GRANT_NONE};
	a->name = strdup(b->title == NULL ? "" : b->title);
	if (a->name == NULL)
		return -ENOMEM;
	if (provider != NULL && provider->values.count == 1) {
		preset = find_provider(l, provider);
		block = name_set_get(&l->provider_names, provider->values.items[0]);
	}
	if ((r = read_below(l, preset, block, b, a)) < 0 ||
	    (r = read_below(l, block, NULL, b, a)) < 0 ||
	    (r = read_block(&l->raw, b, account_rules, a)) < 0 || (r = take_app_scopes(a, b)) < 0 ||
	    (r = transport_apply(&l->raw, a, b, block)) < 0 || (r = account_defaults(a)) < 0)
		return r;
	account_check(&l->raw, a, b);
	before = conf_lapses(l);
	conf_check_readable(l, &a->client_secret);
	conf_check_readable(l, &a->client_key);
	conf_check_readable(l, &a->client_certificate);
	conf_check_readable(l, &a->password);
	check_tls_file(l, a, "ca-file", a->ca_file);
	check_tls_file(l, a, "tls-certificate", a->tls_certificate);
	check_tls_file(l, a, "tls-key", a->tls_key);
	return conf_lapses(l) == before ? 0
					: conf_default_string(&a->lapse, c->lapses.items[before]);
}
