/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* id-token.c: see id-token.h. */
#include "broker/https/id-token.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/codec.h"
#include "broker/https/document.h"

void
id_token_claims_clear(struct claims *c)
{
	for (size_t n = 0; n < c->count; n++)
		free(c->pairs[n]);
	*c = (struct claims){0};
}

static bool
is_plain(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return *text != '\0' && strlen(text) <= ID_TEXT_MAX;
}

static int
add_pair(struct claims *c, const char *name, const char *value)
{
	CLEANUP_BUF struct buf pair = BUF_INIT(ID_TEXT_MAX + 64);

	if (value == NULL || c->count == CLAIMS_MAX || !is_plain(value))
		return 0;
	if (buf_printf(&pair, "%s=%s", name, value) < 0 ||
	    (c->pairs[c->count] = buf_take(&pair)) == NULL)
		return -ENOMEM;
	c->count++;
	return 0;
}

/* "true", "false" or NULL: some servers give a text or a number where a truth value belongs. */
static const char *
truth(const json_t *value)
{
	const char *text = json_string_value(value);

	if (json_is_true(value) || (json_is_integer(value) && json_integer_value(value) == 1) ||
	    (text != NULL && (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)))
		return "true";
	return value == NULL || json_is_null(value) ? NULL : "false";
}

/* One text, or a list of them. */
static int
add_list(struct claims *c, const json_t *object, const char *name)
{
	const json_t *list = json_object_get(object, name), *item;
	size_t at;
	int r = add_pair(c, name, json_string_value(list));

	json_array_foreach(list, at, item) if (r == 0) r =
	    add_pair(c, name, json_string_value(item));
	return r;
}

int
id_token_claims_read(const json_t *object, struct claims *ret)
{
	static const char *const texts[] = {"sub", "email", "preferred_username", "upn",
	    "unique_name", "emailAddress", "mail", "userPrincipalName", "tid", "idp", "azp"};
	static const char *const truths[] = {"email_verified", "verified_email", "xms_edov"};
	static const char *const lists[] = {
	    "emails", "verified_primary_email", "verified_secondary_email"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(truths) && r == 0; i++)
		r = add_pair(ret, truths[i], truth(json_object_get(object, truths[i])));
	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = add_pair(ret, texts[i], document_text(object, texts[i]));
	for (size_t i = 0; i < ARRAY_SIZE(lists) && r == 0; i++)
		r = add_list(ret, object, lists[i]);
	return r;
}

void
id_token_clear(struct id_token *t)
{
	free(t->issuer);
	for (size_t i = 0; i < t->audience_count; i++)
		free(t->audiences[i]);
	(void)secret_free(t->nonce);
	id_token_claims_clear(&t->claims);
	*t = (struct id_token){.expires = -1};
}

int64_t
id_token_over(const struct id_token *t, int64_t now)
{
	return t->expires >= 0 && now > t->expires && now - t->expires > ID_EXPIRY_LEEWAY
		   ? now - t->expires
		   : 0;
}

static int
add_audience(struct id_token *t, const char *audience)
{
	if (audience == NULL || t->audience_count == ID_AUDIENCES_MAX)
		return 0;
	t->audiences[t->audience_count] = document_plain(audience, ID_TEXT_MAX);
	if (t->audiences[t->audience_count] == NULL)
		return -ENOMEM;
	t->audience_count++;
	return 0;
}

/* "aud" is one name or a list of names (RFC 7519 section 4.1.3). */
static int
read_audience(const json_t *claims, struct id_token *t)
{
	const json_t *aud = json_object_get(claims, "aud"), *item;
	size_t i;
	int r = 0;

	if (json_is_string(aud))
		return add_audience(t, document_text(claims, "aud"));
	json_array_foreach(aud, i, item) if (r == 0) r = add_audience(t, json_string_value(item));
	return r;
}

static int64_t
read_expiry(const json_t *claims)
{
	const json_t *exp = json_object_get(claims, "exp");
	double value = json_number_value(exp);

	return json_is_number(exp) && value >= 0 && value < 1e15 ? (int64_t)value : -1;
}

static int
read_claims(const json_t *claims, struct id_token *t)
{
	const char *issuer = document_text(claims, "iss"), *nonce = document_text(claims, "nonce");
	int r = read_audience(claims, t);

	t->expires = read_expiry(claims);
	if (r == 0)
		r = id_token_claims_read(claims, &t->claims);
	if (r == 0 && issuer != NULL) {
		t->issuer = document_plain(issuer, ID_TEXT_MAX);
		if (t->issuer == NULL)
			r = -ENOMEM;
	}
	if (r == 0 && nonce != NULL) {
		t->nonce = secret_new(nonce, strlen(nonce));
		if (t->nonce == NULL && errno == ENOMEM)
			r = -ENOMEM;
	}
	return r;
}

int
id_token_parse(const char *jwt, size_t len, struct id_token *ret, const char **ret_why)
{
	CLEANUP_BUF struct buf payload = BUF_INIT_WIPE(DOCUMENT_MAX);
	CLEANUP_DOCUMENT json_t *claims = NULL;
	const char *begin = memchr(jwt, '.', len), *end, *why;
	int r;

	*ret = (struct id_token){.expires = -1};
	*ret_why = "is no JSON Web Token";
	if (begin == NULL || begin == jwt)
		return -EBADMSG;
	begin++;
	end = memchr(begin, '.', len - (size_t)(begin - jwt));
	if (end == NULL)
		return -EBADMSG;
	*ret_why =
	    "is encrypted, and Frank has no key for it"; /* four dots: RFC 7516 section 3.1 */
	if (memchr(end + 1, '.', len - (size_t)(end + 1 - jwt)) != NULL)
		return -EBADMSG;
	*ret_why = "holds claims that cannot be read";
	r = base64url_decode(&payload, begin, (size_t)(end - begin));
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	claims = document_parse(buf_str(&payload), payload.len, &why);
	if (claims == NULL)
		return -EBADMSG;
	r = read_claims(claims, ret);
	if (r < 0)
		id_token_clear(ret);
	return r;
}
