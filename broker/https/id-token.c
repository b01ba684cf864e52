/* id-token.c: see id-token.h. */
#include "broker/https/id-token.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "broker/https/document.h"

void
identity_clear(struct identity *i)
{
	for (size_t n = 0; n < i->count; n++)
		free(i->names[n]);
	*i = (struct identity){0};
}

static int
add_name(struct identity *i, const char *name)
{
	char *plain = document_plain(name, ID_TEXT_MAX);

	if (plain == NULL)
		return -ENOMEM;
	for (size_t n = 0; n < i->count; n++) {
		if (strcmp(i->names[n], plain) == 0) {
			free(plain);
			return 0;
		}
	}
	if (i->count == IDENTITY_NAMES_MAX || *plain == '\0')
		free(plain);
	else
		i->names[i->count++] = plain;
	return 0;
}

int
identity_read(const json_t *object, struct identity *ret)
{
	static const char *const claims[] = {"email", "preferred_username", "upn", "emailAddress",
	    "mail", "userPrincipalName", "sub"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(claims) && r == 0; i++) {
		const char *name = document_text(object, claims[i]);

		if (name != NULL)
			r = add_name(ret, name);
	}
	return r;
}

void
id_token_clear(struct id_token *t)
{
	free(t->issuer);
	for (size_t i = 0; i < t->audience_count; i++)
		free(t->audiences[i]);
	(void)secret_free(t->nonce);
	identity_clear(&t->identity);
	*t = (struct id_token){.expires = -1};
}

bool
id_token_is_over(const struct id_token *t, int64_t now)
{
	return t->expires >= 0 && now > t->expires && now - t->expires > ID_EXPIRY_LEEWAY;
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
		r = identity_read(claims, &t->identity);
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
id_token_parse(const char *jwt, size_t len, struct id_token *ret)
{
	CLEANUP_BUF struct buf payload = BUF_INIT_WIPE(DOCUMENT_MAX);
	CLEANUP_DOCUMENT json_t *claims = NULL;
	const char *begin = memchr(jwt, '.', len), *end, *why;
	int r;

	*ret = (struct id_token){.expires = -1};
	if (begin == NULL || begin == jwt)
		return -EBADMSG;
	begin++;
	end = memchr(begin, '.', len - (size_t)(begin - jwt));
	/* four dots are an encrypted token (RFC 7516), which is not for us to read */
	if (end == NULL || memchr(end + 1, '.', len - (size_t)(end + 1 - jwt)) != NULL)
		return -EBADMSG;
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
