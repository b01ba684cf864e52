/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * grant.c: see grant.h.
 *
 * A token's record stays until its life ends even when it was used or revoked, so that a second use
 * is told apart from an unknown token. Records are pruned as new ones are made.
 */
#include "sandbox/grant.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/codec.h"

enum kind { KIND_CODE, KIND_REFRESH, KIND_ACCESS };

struct grant {
	TAILQ_ENTRY(grant) link;
	unsigned tokens; /* records that point here */
	bool revoked, offline;
	const char *how; /* the grant type, a constant */
	char *account, *client, *redirect_uri, *scope, *challenge, *nonce;
};

struct token {
	TAILQ_ENTRY(token) link;
	struct grant *grant;
	enum kind kind;
	bool used, revoked;
	uint64_t since, until;
	char *scope; /* of an access token */
	uint8_t hash[SHA256_DIGEST_LENGTH];
};

struct grants {
	struct grants_config config;
	grants_random *random;
	TAILQ_HEAD(, grant) grants;
	TAILQ_HEAD(, token) tokens;
	struct buf narrow; /* the scope last given where one was withheld */
};

void
grant_issue_init(struct grant_issue *i)
{
	*i = (struct grant_issue){.access = BUF_INIT_WIPE(8192), .refresh = BUF_INIT_WIPE(8192)};
}

void
grant_issue_clear(struct grant_issue *i)
{
	buf_free(&i->access);
	buf_free(&i->refresh);
}

struct grants *
grants_new(const struct grants_config *config, grants_random *random)
{
	struct grants *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->config = *config;
	g->random = random;
	g->narrow = (struct buf)BUF_INIT(8192);
	TAILQ_INIT(&g->grants);
	TAILQ_INIT(&g->tokens);
	return g;
}

static void
grant_free(struct grants *g, struct grant *grant)
{
	TAILQ_REMOVE(&g->grants, grant, link);
	free(grant->account);
	free(grant->client);
	free(grant->redirect_uri);
	free(grant->scope);
	free(grant->challenge);
	free(grant->nonce);
	free(grant);
}

static void
token_free(struct grants *g, struct token *t)
{
	TAILQ_REMOVE(&g->tokens, t, link);
	if (--t->grant->tokens == 0)
		grant_free(g, t->grant);
	free(t->scope);
	free(t);
}

struct grants *
grants_free(struct grants *g)
{
	struct token *t;

	if (g == NULL)
		return NULL;
	while ((t = TAILQ_FIRST(&g->tokens)) != NULL)
		token_free(g, t);
	buf_free(&g->narrow);
	free(g);
	return NULL;
}

struct grants_config *
grants_config(struct grants *g)
{
	return &g->config;
}

static void
prune(struct grants *g, uint64_t now)
{
	struct token *t, *next;

	for (t = TAILQ_FIRST(&g->tokens); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->until <= now)
			token_free(g, t);
	}
}

static void
hash_of(const char *text, uint8_t ret[SHA256_DIGEST_LENGTH])
{
	(void)SHA256((const unsigned char *)text, strlen(text), ret);
}

static struct token *
find(struct grants *g, enum kind kind, const char *text)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct token *t;

	hash_of(text, hash);
	TAILQ_FOREACH (t, &g->tokens, link)
		if (t->kind == kind && memcmp(t->hash, hash, sizeof(hash)) == 0)
			return t;
	return NULL;
}

/* Makes a token of `bytes` random octets for a grant: the text goes to `ret`, its hash is kept. */
static int
issue(struct grants *g, struct grant *grant, enum kind kind, size_t bytes, uint64_t now,
    uint64_t life, const char *scope, struct buf *ret)
{
	static const char *const prefix[] = {
	    [KIND_CODE] = "fsc_", [KIND_REFRESH] = "fsr_", [KIND_ACCESS] = "fsa_"};
	struct token *t = NULL;
	uint8_t raw[4096];
	int r;

	if (bytes > sizeof(raw))
		return -EINVAL;
	r = g->random(raw, bytes);
	if (r == 0)
		r = buf_append_str(ret, prefix[kind]);
	if (r == 0)
		r = base64url_encode(ret, raw, bytes);
	mem_wipe(raw, sizeof(raw));
	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (t == NULL || (scope != NULL && (t->scope = strdup(scope)) == NULL)) {
		free(t);
		return -ENOMEM;
	}
	t->grant = grant;
	t->kind = kind;
	t->since = now;
	t->until = now + life;
	hash_of(buf_str(ret), t->hash);
	grant->tokens++;
	TAILQ_INSERT_HEAD(&g->tokens, t, link);
	return 0;
}

static char *
copy(const char *s, bool *failed)
{
	char *c = s == NULL ? NULL : strdup(s);

	if (s != NULL && c == NULL)
		*failed = true;
	return c;
}

/* A grant that no token points to yet. NULL: no memory. */
static struct grant *
grant_new(struct grants *g, const struct grant_consent *c, const char *how)
{
	struct grant *grant = calloc(1, sizeof(*grant));
	bool failed = false;

	if (grant == NULL)
		return NULL;
	grant->how = how;
	grant->offline = c->offline || grant_scope_has(c->scope, "offline_access");
	grant->account = copy(c->account, &failed);
	grant->client = copy(c->client, &failed);
	grant->redirect_uri = copy(c->redirect_uri, &failed);
	grant->scope = copy(c->scope, &failed);
	grant->challenge = copy(c->challenge, &failed);
	grant->nonce = copy(c->nonce, &failed);
	TAILQ_INSERT_HEAD(&g->grants, grant, link);
	if (!failed)
		return grant;
	grant_free(g, grant);
	return NULL;
}

int
grants_consent(struct grants *g, const struct grant_consent *c, uint64_t now, struct buf *ret_code)
{
	struct grant *grant;
	int r = -ENOMEM;

	prune(g, now);
	grant = grant_new(g, c, "authorization_code");
	if (grant != NULL)
		r = issue(g, grant, KIND_CODE, 32, now, g->config.code_life, NULL, ret_code);
	if (r < 0 && grant != NULL)
		grant_free(g, grant);
	return r;
}

/* RFC 7636 section 4.6: BASE64URL(SHA256(verifier)) == challenge. */
static bool
verifier_fits(const char *verifier, const char *challenge)
{
	struct buf text CLEANUP_BUF = BUF_INIT(64);
	uint8_t hash[SHA256_DIGEST_LENGTH];

	if (strlen(verifier) < 43 || strlen(verifier) > 128)
		return false;
	hash_of(verifier, hash);
	return base64url_encode(&text, hash, sizeof(hash)) == 0 && text.len == strlen(challenge) &&
	       mem_equal_ct(text.data, challenge, text.len);
}

bool
grant_scope_has(const char *scope, const char *word)
{
	size_t len = strlen(word);
	const char *at = scope;

	while ((at = strstr(at, word)) != NULL) {
		if ((at == scope || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
		at++;
	}
	return false;
}

bool
grant_scope_within(const char *asked, const char *granted)
{
	while (*asked != '\0') {
		size_t n = strcspn(asked, " ");
		char word[256];

		if (n >= sizeof(word))
			return false;
		memcpy(word, asked, n);
		word[n] = '\0';
		if (n > 0 && !grant_scope_has(granted, word))
			return false;
		asked += n + (asked[n] == ' ');
	}
	return true;
}

/* The scope without the word that is withheld; NULL: no memory. */
static const char *
narrowed(struct grants *g, const char *scope)
{
	const char *word = g->config.withhold;
	size_t n;

	if (word == NULL)
		return scope;
	buf_clear(&g->narrow);
	for (const char *at = scope; *at != '\0'; at += n) {
		at += strspn(at, " ");
		n = strcspn(at, " ");
		if (n == 0 || (n == strlen(word) && memcmp(at, word, n) == 0))
			continue;
		if (g->narrow.len > 0)
			(void)buf_append_char(&g->narrow, ' ');
		(void)buf_append(&g->narrow, at, n);
	}
	(void)buf_append_str(&g->narrow, "");
	return g->narrow.failed ? NULL : buf_str(&g->narrow);
}

/* The tokens of one answer. */
static int
issue_pair(struct grants *g, struct grant *grant, const char *scope, bool refresh, uint64_t now,
    struct grant_issue *ret)
{
	int r;

	scope = narrowed(g, scope);
	if (scope == NULL)
		return -ENOMEM;
	r = issue(g, grant, KIND_ACCESS, g->config.access_bytes, now, g->config.access_life, scope,
	    &ret->access);
	if (r == 0 && refresh)
		r = issue(
		    g, grant, KIND_REFRESH, 48, now, g->config.refresh_life, NULL, &ret->refresh);
	ret->expires_in = g->config.access_life;
	ret->account = grant->account;
	ret->client = grant->client;
	ret->scope = scope;
	ret->nonce = NULL;
	return r;
}

enum grant_result
grants_exchange(struct grants *g, const char *code, const char *client, const char *redirect_uri,
    const char *verifier, uint64_t now, struct grant_issue *ret)
{
	struct token *t;
	struct grant *grant;

	prune(g, now);
	t = find(g, KIND_CODE, code);
	if (t == NULL)
		return GRANT_INVALID;
	grant = t->grant;
	if (t->used) {
		grant->revoked = true;
		return GRANT_REUSED;
	}
	/* a code serves once, also where the rest is wrong: whoever has it may not try verifiers */
	t->used = true;
	if (grant->revoked)
		return GRANT_REVOKED;
	if (strcmp(grant->client, client) != 0 || strcmp(grant->redirect_uri, redirect_uri) != 0 ||
	    !verifier_fits(verifier, grant->challenge))
		return GRANT_INVALID;
	/* kept as long as what it gave, so that a later use is still seen */
	t->until = now + g->config.refresh_life;
	if (issue_pair(g, grant, grant->scope, grant->offline, now, ret) < 0)
		return GRANT_FAILED;
	ret->nonce = grant->nonce;
	return GRANT_OK;
}

enum grant_result
grants_refresh(struct grants *g, const char *token, const char *client, const char *scope,
    uint64_t now, struct grant_issue *ret)
{
	struct token *t;

	prune(g, now);
	t = find(g, KIND_REFRESH, token);
	if (t == NULL || strcmp(t->grant->client, client) != 0)
		return GRANT_INVALID;
	if (t->grant->revoked || t->revoked)
		return GRANT_REVOKED;
	if (t->used) {
		t->grant->revoked = true;
		return GRANT_REUSED;
	}
	if (scope != NULL && !grant_scope_within(scope, t->grant->scope))
		return GRANT_INVALID_SCOPE;
	if (issue_pair(g, t->grant, scope == NULL ? t->grant->scope : scope, g->config.rotate, now,
		ret) < 0)
		return GRANT_FAILED;
	t->until = now + g->config.refresh_life;
	t->used = g->config.rotate;
	return GRANT_OK;
}

enum grant_result
grants_give(struct grants *g, const struct grant_consent *c, const char *how, uint64_t now,
    struct grant_issue *ret)
{
	struct grant *grant;

	prune(g, now);
	grant = grant_new(g, c, how);
	if (grant == NULL)
		return GRANT_FAILED;
	if (issue_pair(g, grant, grant->scope, c->account != NULL && grant->offline, now, ret) == 0)
		return GRANT_OK;
	if (grant->tokens == 0)
		grant_free(g, grant);
	return GRANT_FAILED;
}

bool
grants_check(struct grants *g, const char *token, uint64_t now, struct grant_access *ret)
{
	struct token *t = find(g, KIND_ACCESS, token);

	if (t == NULL || t->revoked || t->grant->revoked || t->until <= now)
		return false;
	*ret = (struct grant_access){.account = t->grant->account,
	    .client = t->grant->client,
	    .scope = t->scope,
	    .grant = t->grant->how,
	    .since = t->since,
	    .until = t->until};
	(void)snprintf(ret->id, sizeof(ret->id), "%02x%02x%02x%02x", t->hash[0], t->hash[1],
	    t->hash[2], t->hash[3]);
	return true;
}

bool
grants_revoke(struct grants *g, const char *token, const char *client)
{
	struct token *t = find(g, KIND_REFRESH, token);

	if (t != NULL && strcmp(t->grant->client, client) == 0) {
		t->grant->revoked = true;
		return true;
	}
	t = find(g, KIND_ACCESS, token);
	if (t != NULL && strcmp(t->grant->client, client) == 0) {
		t->revoked = true;
		return true;
	}
	return false;
}

unsigned
grants_revoke_account(struct grants *g, const char *account)
{
	struct grant *grant;
	unsigned n = 0;

	TAILQ_FOREACH (grant, &g->grants, link) {
		if (grant->revoked ||
		    (account != NULL &&
			(grant->account == NULL || strcasecmp(grant->account, account) != 0)))
			continue;
		grant->revoked = true;
		n++;
	}
	return n;
}

const char *
grants_account(struct grants *g, const char *text)
{
	const struct token *t = find(g, KIND_REFRESH, text);

	if (t == NULL)
		t = find(g, KIND_CODE, text);
	return t == NULL ? NULL : t->grant->account;
}

unsigned
grants_count(const struct grants *g)
{
	struct grant *grant;
	unsigned n = 0;

	TAILQ_FOREACH (grant, &g->grants, link)
		n += !grant->revoked;
	return n;
}
