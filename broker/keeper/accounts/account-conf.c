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

struct account_conf *
account_conf_free(struct account_conf *c)
{
	if (c == NULL)
		return NULL;
	conf_block_clear(CONF_BLOCK_ACCOUNT, &c->sent);
	free(c->server_host);
	(void)vault_drop(c->sealed_secret);
	(void)vault_drop(c->sealed_password);
	(void)vault_drop(c->sealed_key);
	buf_free(&c->certificate);
	free(c);
	return NULL;
}

/* Seals a secret that came, which is open no longer. */
static int
seal(struct vault *v, struct conf_reference *from, struct sealed **ret)
{
	if (from->secret == NULL)
		return 0;
	*ret = vault_seal(v, from->secret);
	from->secret = secret_free(from->secret);
	return *ret == NULL ? -ENOMEM : 0;
}

static int
take_certificate(struct account_conf *c)
{
	const struct secret *pem = c->client_certificate.secret;

	buf_init(&c->certificate, CERTIFICATE_MAX);
	return pem == NULL
		   ? 0
		   : buf_append(&c->certificate, (const char *)secret_bytes(pem), secret_len(pem));
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
account_conf_new(struct vault *v, struct conf_account *sent)
{
	struct account_conf *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->sent = *sent;
	*sent = (struct conf_account){0};
	if (take_server_host(c) < 0 || take_certificate(c) < 0 ||
	    seal(v, &c->client_key, &c->sealed_key) < 0 ||
	    seal(v, &c->client_secret, &c->sealed_secret) < 0 ||
	    seal(v, &c->password, &c->sealed_password) < 0)
		return account_conf_free(c);
	return c;
}

bool
account_conf_signs(const struct account_conf *c)
{
	return grant_rows[c->grant].by == GRANT_BY_KEY ||
	       (grant_has_tokens(c->grant) && c->client_auth == CONF_CLIENT_AUTH_PRIVATE_KEY_JWT);
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
list_same(const struct conf_strings *a, const struct conf_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool
account_conf_same(const struct vault *v, const struct account_conf *a, const struct account_conf *b)
{
	return a->grant == b->grant && text_same(a->mailbox, b->mailbox) &&
	       text_same(a->auth_user, b->auth_user) && text_same(a->client_id, b->client_id) &&
	       a->client_auth == b->client_auth && text_same(a->issuer, b->issuer) &&
	       text_same(a->authorization_endpoint, b->authorization_endpoint) &&
	       text_same(a->token_endpoint, b->token_endpoint) &&
	       text_same(a->userinfo_endpoint, b->userinfo_endpoint) &&
	       text_same(a->scopes, b->scopes) && text_same(a->host, b->host) &&
	       text_same(a->client_key_id, b->client_key_id) &&
	       a->client_key_algorithm == b->client_key_algorithm &&
	       list_same(&a->audience, &b->audience) &&
	       strcmp(buf_str(&a->certificate), buf_str(&b->certificate)) == 0 &&
	       a->verify_identity == b->verify_identity &&
	       sealed_same(v, a->sealed_key, b->sealed_key) &&
	       sealed_same(v, a->sealed_secret, b->sealed_secret) &&
	       sealed_same(v, a->sealed_password, b->sealed_password);
}
