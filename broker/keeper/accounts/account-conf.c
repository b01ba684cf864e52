/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account-conf.c: see account-conf.h.
 */
#include "broker/keeper/accounts/account-conf.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { CERTIFICATE_MAX = 16 * 1024 };

static void
free_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

struct account_conf *
account_conf_free(struct account_conf *c)
{
	if (c == NULL)
		return NULL;
	free(c->name);
	free(c->provider);
	free(c->mailbox);
	free(c->auth_user);
	free(c->client_id);
	free(c->client_auth);
	free(c->issuer);
	free(c->authorization_endpoint);
	free(c->token_endpoint);
	free(c->userinfo_endpoint);
	free(c->device_endpoint);
	free(c->revocation_endpoint);
	free(c->scopes);
	free(c->host);
	free(c->secret_from);
	free(c->server_host);
	free(c->redirect_scheme);
	free(c->redirect_host);
	free(c->redirect_path);
	free(c->password_derivation);
	free(c->region);
	free(c->key_id);
	free(c->key_algorithm);
	free_list(c->extra, c->extra_count);
	free_list(c->audience, c->audience_count);
	(void)vault_drop(c->client_secret);
	(void)vault_drop(c->password);
	(void)vault_drop(c->client_key);
	buf_free(&c->certificate);
	free(c);
	return NULL;
}

/* Empty text counts as none. */
static int
take_text(const struct message *m, enum field f, char **ret)
{
	const char *s = message_str(m, f);

	if (s == NULL || *s == '\0')
		return 0;
	*ret = strdup(s);
	return *ret == NULL ? -ENOMEM : 0;
}

static int
take_secret(struct vault *v, const struct message *m, enum field f, struct sealed **ret)
{
	CLEANUP_SECRET struct secret *s = NULL;

	if (!message_has(m, f))
		return 0;
	s = message_secret(m, f);
	*ret = vault_seal(v, s);
	return *ret == NULL ? -ENOMEM : 0;
}

static int
take_list(const struct message *m, enum field f, char ***ret, size_t *ret_count)
{
	size_t at = 0, count = 0;
	const char *s;

	while (message_next_str(m, f, &at, &s))
		count++;
	if (count == 0)
		return 0;
	*ret = calloc(count, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (at = 0; message_next_str(m, f, &at, &s); ++*ret_count) {
		(*ret)[*ret_count] = strdup(s);
		if ((*ret)[*ret_count] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
take_certificate(struct account_conf *c, const struct message *m)
{
	size_t len;
	const uint8_t *pem = message_bytes(m, F_CLIENT_CERTIFICATE, &len);

	buf_init(&c->certificate, CERTIFICATE_MAX);
	return pem == NULL ? 0 : buf_append(&c->certificate, pem, len);
}

/* "login.example" of "https://login.example:8443/token". */
static int
take_server_host(struct account_conf *c)
{
	const char *url = account_conf_server(c), *host = url == NULL ? NULL : strstr(url, "://");

	if (host == NULL)
		return 0;
	host += strlen("://");
	c->server_host = strndup(host, strcspn(host, ":/?#"));
	return c->server_host == NULL ? -ENOMEM : 0;
}

struct account_conf *
account_conf_new(struct vault *v, const struct message *m)
{
	struct account_conf *c = calloc(1, sizeof(*c));
	const struct {
		enum field field;
		char **to;
	} texts[] = {
	    {F_ACCOUNT, &c->name},
	    {F_PROVIDER, &c->provider},
	    {F_MAILBOX, &c->mailbox},
	    {F_AUTH_USER, &c->auth_user},
	    {F_CLIENT_ID, &c->client_id},
	    {F_CLIENT_AUTH, &c->client_auth},
	    {F_ISSUER, &c->issuer},
	    {F_AUTHORIZATION_ENDPOINT, &c->authorization_endpoint},
	    {F_TOKEN_ENDPOINT, &c->token_endpoint},
	    {F_USERINFO_ENDPOINT, &c->userinfo_endpoint},
	    {F_DEVICE_ENDPOINT, &c->device_endpoint},
	    {F_REVOCATION_ENDPOINT, &c->revocation_endpoint},
	    {F_SCOPES, &c->scopes},
	    {F_HOST, &c->host},
	    {F_SECRET_FROM, &c->secret_from},
	    {F_REDIRECT_SCHEME, &c->redirect_scheme},
	    {F_PASSWORD_DERIVATION, &c->password_derivation},
	    {F_REGION, &c->region},
	    {F_KEY_ID, &c->key_id},
	    {F_KEY_ALGORITHM, &c->key_algorithm},
	    {F_REDIRECT_HOST, &c->redirect_host},
	    {F_REDIRECT_PATH, &c->redirect_path},
	};
	int r;

	if (c == NULL)
		return NULL;
	c->grant = grant_by_name(message_str(m, F_GRANT));
	r = c->grant == GRANT_COUNT ? -ENOTSUP : 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
		r = take_text(m, texts[i].field, texts[i].to);
	if (r == 0)
		r = take_server_host(c);
	if (r == 0)
		r = take_list(m, F_EXTRA_PARAMETERS, &c->extra, &c->extra_count);
	if (r == 0)
		r = take_list(m, F_AUDIENCE, &c->audience, &c->audience_count);
	if (r == 0)
		r = take_certificate(c, m);
	if (r == 0)
		r = take_secret(v, m, F_CLIENT_KEY, &c->client_key);
	if (r == 0)
		r = take_secret(v, m, F_CLIENT_SECRET, &c->client_secret);
	if (r == 0)
		r = take_secret(v, m, F_PASSWORD, &c->password);
	if (r == 0 && c->name == NULL)
		r = -ENOTSUP;
	if (r < 0) {
		(void)account_conf_free(c);
		errno = -r;
		return NULL;
	}
	c->verify_identity = message_u64(m, F_VERIFY_IDENTITY, 1) != 0;
	c->min_valid = message_u64(m, F_MIN_VALID, 0);
	c->consent_lifetime = message_u64(m, F_CONSENT_LIFETIME, 0);
	c->reread = message_u64(m, F_REREAD, 0) != 0;
	c->redirect_port = message_u64(m, F_REDIRECT_PORT, 0);
	return c;
}

bool
account_conf_signs(const struct account_conf *c)
{
	return grant_rows[c->grant].by == GRANT_BY_KEY ||
	       (grant_has_tokens(c->grant) && c->client_auth != NULL &&
		   strcmp(c->client_auth, "private_key_jwt") == 0);
}

const char *
account_conf_server(const struct account_conf *c)
{
	return c->token_endpoint != NULL ? c->token_endpoint : c->issuer;
}

void
account_conf_facts(const struct account_conf *c, struct diagnosis_facts *ret)
{
	const char *login = account_conf_login(c);

	*ret = (struct diagnosis_facts){.provider = c->provider,
	    .account = c->name,
	    .host = c->server_host,
	    .auth_user = *login == '\0' ? NULL : login,
	    .grant = grant_rows[c->grant].name,
	    .secret_from = c->secret_from};
}

const char *
account_conf_login(const struct account_conf *c)
{
	return c->auth_user != NULL ? c->auth_user : c->mailbox != NULL ? c->mailbox : "";
}

static bool
sealed_same(const struct vault *v, const struct sealed *a, const struct sealed *b)
{
	CLEANUP_SECRET struct secret *x = vault_open(v, a), *y = vault_open(v, b);

	return a == NULL || b == NULL ? a == b : secret_equal(x, y);
}

static bool
list_same(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool
account_conf_same(const struct vault *v, const struct account_conf *a, const struct account_conf *b)
{
	return a->grant == b->grant && text_same(a->mailbox, b->mailbox) &&
	       text_same(a->auth_user, b->auth_user) && text_same(a->client_id, b->client_id) &&
	       text_same(a->client_auth, b->client_auth) && text_same(a->issuer, b->issuer) &&
	       text_same(a->authorization_endpoint, b->authorization_endpoint) &&
	       text_same(a->token_endpoint, b->token_endpoint) &&
	       text_same(a->userinfo_endpoint, b->userinfo_endpoint) &&
	       text_same(a->scopes, b->scopes) && text_same(a->host, b->host) &&
	       text_same(a->key_id, b->key_id) && text_same(a->key_algorithm, b->key_algorithm) &&
	       list_same(a->audience, a->audience_count, b->audience, b->audience_count) &&
	       strcmp(buf_str(&a->certificate), buf_str(&b->certificate)) == 0 &&
	       a->verify_identity == b->verify_identity &&
	       sealed_same(v, a->client_key, b->client_key) &&
	       sealed_same(v, a->client_secret, b->client_secret) &&
	       sealed_same(v, a->password, b->password);
}
