/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * email-auth.c: see email-auth.h.
 *
 * SPF: the records of included and redirected names are asked for too, so that what a receiver
 * counts is counted: include, a, mx, ptr, exists and redirect are a look-up each. Macros (section 7)
 * cannot be filled in without a client; a name that holds one counts and is not followed.
 */
#include "broker/send/check/email-auth.h"

#include <string.h>
#include <strings.h>

/* ---- pieces ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
begins(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp(text, word, n) == 0;
}

/* The next word of a record; its length, 0 at the end. */
static size_t
next_word(const char **at, const char *end, const char **ret)
{
	const char *s = *at;

	while (s < end && is_blank(*s))
		s++;
	*ret = s;
	while (s < end && !is_blank(*s))
		s++;
	*at = s;
	return (size_t)(s - *ret);
}

static bool
is_name(const char *s, size_t len)
{
	if (len == 0 || len > EMAIL_AUTH_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f)
			return false;
	return true;
}

/* Equal names, or a name below the wanted one. */
static bool
is_within(const char *name, size_t len, const char *wanted)
{
	size_t n = strlen(wanted);

	if (len > 0 && name[len - 1] == '.')
		len--;
	return n > 0 && len >= n && strncasecmp(name + len - n, wanted, n) == 0 &&
	       (len == n || name[len - n - 1] == '.');
}

static void
copy(char *to, size_t size, const char *from, size_t len)
{
	if (len > size - 1)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* ---- SPF ---- */

static void
add_name(struct spf *s, const char *name, size_t len)
{
	char plain[EMAIL_AUTH_NAME_MAX + 1];

	if (!is_name(name, len)) {
		s->malformed = true;
		return;
	}
	if (is_within(name, len, s->wanted))
		s->names_wanted = true;
	if (memchr(name, '%', len) != NULL)
		return;
	copy(plain, sizeof(plain), name, len);
	for (size_t i = 0; i < s->count; i++)
		if (strcasecmp(s->names[i], plain) == 0)
			return;
	if (s->count < SPF_NAMES_MAX && s->lookups <= SPF_LOOKUPS_MAX)
		memcpy(s->names[s->count++], plain, sizeof(plain));
}

void
email_auth_spf_begin(struct spf *s, const char *domain, const char *wanted)
{
	memset(s, 0, sizeof(*s));
	copy(s->wanted, sizeof(s->wanted), wanted, strlen(wanted));
	add_name(s, domain, strlen(domain));
}

const char *
email_auth_spf_next(struct spf *s)
{
	return s->asked < s->count ? s->names[s->asked++] : NULL;
}

static void
count_lookup(struct spf *s)
{
	if (++s->lookups > SPF_LOOKUPS_MAX)
		s->too_many = true;
}

/* Does a term name this mechanism: the word alone, or with ':' or '/' behind it? */
static bool
is_mechanism(const char *term, size_t len, const char *word)
{
	size_t n = strlen(word);

	return begins(term, len, word) && (len == n || term[n] == ':' || term[n] == '/');
}

static void
take_term(struct spf *s, const char *term, size_t len, bool own)
{
	static const char *const asking[] = {"a", "mx", "ptr"};
	static const char qualifiers[] = "+-~?";
	char qualifier = '+';

	if (begins(term, len, "redirect=")) {
		count_lookup(s);
		add_name(s, term + 9, len - 9);
		return;
	}
	if (len > 0 && strchr(qualifiers, term[0]) != NULL) {
		qualifier = term[0];
		term++;
		len--;
	}
	if (begins(term, len, "include:")) {
		count_lookup(s);
		add_name(s, term + 8, len - 8);
	} else if (begins(term, len, "exists:")) {
		count_lookup(s);
	} else if (own && len == 3 && strncasecmp(term, "all", 3) == 0) {
		s->all = qualifier;
	}
	for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++)
		if (is_mechanism(term, len, asking[i]))
			count_lookup(s);
}

void
email_auth_spf_record(struct spf *s, const char *text, size_t len)
{
	static const char version[] = "v=spf1";
	const char *at = text, *end = text + len, *word;
	bool own = s->asked == 1;
	size_t n = next_word(&at, end, &word);

	if (len > EMAIL_AUTH_RECORD_MAX || n != sizeof(version) - 1 || !begins(word, n, version))
		return;
	if (own && s->exists) {
		s->several = true;
		return;
	}
	if (own) {
		s->exists = true;
		copy(s->record, sizeof(s->record), text, len);
	}
	while ((n = next_word(&at, end, &word)) > 0)
		take_term(s, word, n, own);
}

void
email_auth_spf_end(struct spf *s)
{
	/* A domain without a record of its own names nobody else's. */
	if (s->asked == 1 && !s->exists)
		s->count = s->asked;
}

/* ---- lists of tags (RFC 6376 section 3.2) ---- */

struct tag {
	const char *name, *value;
	size_t name_len, value_len;
};

static void
trim(const char **s, size_t *len)
{
	while (*len > 0 && (is_blank(**s) || **s == '\r' || **s == '\n')) {
		(*s)++;
		(*len)--;
	}
	while (*len > 0 &&
	       (is_blank((*s)[*len - 1]) || (*s)[*len - 1] == '\r' || (*s)[*len - 1] == '\n'))
		(*len)--;
}

static bool
next_tag(const char **at, const char *end, struct tag *ret)
{
	while (*at < end) {
		const char *stop = memchr(*at, ';', (size_t)(end - *at)), *equals;
		const char *piece = *at;
		size_t len = (size_t)((stop == NULL ? end : stop) - piece);

		*at = stop == NULL ? end : stop + 1;
		equals = memchr(piece, '=', len);
		if (equals == NULL)
			continue;
		*ret = (struct tag){.name = piece,
		    .name_len = (size_t)(equals - piece),
		    .value = equals + 1,
		    .value_len = len - (size_t)(equals - piece) - 1};
		trim(&ret->name, &ret->name_len);
		trim(&ret->value, &ret->value_len);
		return true;
	}
	return false;
}

static bool
tag_is(const struct tag *t, const char *name)
{
	return t->name_len == strlen(name) && strncasecmp(t->name, name, t->name_len) == 0;
}

static bool
value_is(const struct tag *t, const char *value)
{
	return t->value_len == strlen(value) && strncasecmp(t->value, value, t->value_len) == 0;
}

/* ---- DMARC ---- */

/* "" for a value that is none of the policies: RFC 7489 6.6.3 has the record ignored, as without one. */
static void
take_policy(char to[16], const struct tag *t)
{
	to[0] = '\0';
	if (value_is(t, "none") || value_is(t, "quarantine") || value_is(t, "reject"))
		copy(to, 16, t->value, t->value_len);
}

void
email_auth_dmarc(struct dmarc *d, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	struct tag t;

	if (!next_tag(&at, end, &t) || !tag_is(&t, "v") || !value_is(&t, "DMARC1"))
		return;
	if (d->exists) {
		d->several = true;
		return;
	}
	d->exists = true;
	while (next_tag(&at, end, &t)) {
		if (tag_is(&t, "p"))
			take_policy(d->policy, &t);
		else if (tag_is(&t, "sp"))
			take_policy(d->subdomains, &t);
		else if (tag_is(&t, "aspf"))
			d->strict_spf = value_is(&t, "s");
		else if (tag_is(&t, "adkim"))
			d->strict_dkim = value_is(&t, "s");
		else if (tag_is(&t, "rua"))
			d->reports = t.value_len > 0;
	}
}

/* ---- DKIM ---- */

/* Octets that base64 text stands for, white space left out. */
static size_t
decoded_size(const char *s, size_t len)
{
	size_t letters = 0;

	for (size_t i = 0; i < len; i++)
		letters += !is_blank(s[i]) && s[i] != '=' && s[i] != '\r' && s[i] != '\n';
	return letters * 3 / 4;
}

void
email_auth_dkim(struct dkim_key *k, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	struct dkim_key found = {0};
	struct tag t;

	while (next_tag(&at, end, &t)) {
		if (tag_is(&t, "v") && !value_is(&t, "DKIM1"))
			return;
		if (tag_is(&t, "p")) {
			found.exists = true;
			found.octets = decoded_size(t.value, t.value_len);
			found.revoked = t.value_len == 0;
		} else if (tag_is(&t, "k")) {
			found.ed25519 = value_is(&t, "ed25519");
		} else if (tag_is(&t, "t")) {
			found.testing = memchr(t.value, 'y', t.value_len) != NULL;
		}
	}
	if (found.exists)
		*k = found;
}
