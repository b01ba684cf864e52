/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * sasl.c: see sasl.h.
 *
 *   XOAUTH2      user=USER ^A auth=Bearer TOKEN ^A ^A
 *   OAUTHBEARER  n,a=USER, ^A host=HOST ^A port=PORT ^A auth=Bearer TOKEN ^A ^A
 *                (',' and '=' in USER as =2C and =3D)
 *   PLAIN        NUL USER NUL PASSWORD   (no authorization identity)
 *   LOGIN        USER, then PASSWORD
 *
 * XOAUTH2 has no escape at all, so a user or token that could end its field early is refused.
 */
#include "base/smtp/sasl.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"

static const struct {
	enum sasl_mechanism mechanism;
	const char *name;
} mechanisms[] = {
    {SASL_XOAUTH2, "XOAUTH2"},
    {SASL_OAUTHBEARER, "OAUTHBEARER"},
    {SASL_PLAIN, "PLAIN"},
    {SASL_LOGIN, "LOGIN"},
    {SASL_SCRAM_SHA_256, "SCRAM-SHA-256"},
    {SASL_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS"},
};

const char *
sasl_mechanism_name(enum sasl_mechanism m)
{
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		if (mechanisms[i].mechanism == m)
			return mechanisms[i].name;
	return "";
}

enum sasl_mechanism
sasl_mechanism_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		if (text_is(name, len, mechanisms[i].name))
			return mechanisms[i].mechanism;
	return SASL_NONE;
}

unsigned
sasl_response_count(enum sasl_mechanism m)
{
	return m == SASL_LOGIN ? 2 : 1;
}

bool
sasl_has_initial_response(enum sasl_mechanism m)
{
	return m != SASL_LOGIN;
}

const char *
sasl_error_answer(enum sasl_mechanism m)
{
	switch (m) {
	case SASL_XOAUTH2:
		return "";
	case SASL_OAUTHBEARER:
		return "\x01";
	default:
		return NULL;
	}
}

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

/* The room was reserved: appending cannot fail. */
static void
add(struct buf *out, const char *s)
{
	(void)buf_append_str(out, s);
}

static void
add_secret(struct buf *out, const struct secret *secret)
{
	(void)buf_append(out, secret_bytes(secret), secret_len(secret));
}

/* A saslname (RFC 5801 section 4). */
static void
add_saslname(struct buf *out, const char *user)
{
	for (; *user != '\0'; user++) {
		if (*user == '=')
			add(out, "=3D");
		else if (*user == ',')
			add(out, "=2C");
		else
			(void)buf_append_char(out, *user);
	}
}

static void
add_token_response(struct buf *out, enum sasl_mechanism m, const char *user,
    const struct secret *token, const char *host, unsigned port)
{
	if (m == SASL_XOAUTH2) {
		add(out, "user=");
		add(out, user);
	} else {
		add(out, "n,a=");
		add_saslname(out, user);
		add(out, ",");
		if (host != NULL)
			(void)buf_printf(out, "\x01host=%s", host);
		if (port != 0)
			(void)buf_printf(out, "\x01port=%u", port);
	}
	add(out, "\x01"
		 "auth=Bearer ");
	add_secret(out, token);
	add(out, "\x01\x01");
}

int
sasl_response(enum sasl_mechanism m, unsigned step, const char *user, const struct secret *secret,
    const char *host, unsigned port, struct buf *out)
{
	bool token = (m & SASL_TOKEN_MECHANISMS) != 0,
	     password = (m & SASL_PASSWORD_MECHANISMS) != 0;
	size_t fixed = 64 + (host == NULL ? 0 : strlen(host)); /* keywords, port, separators */
	int r;

	if (step >= sasl_response_count(m) || user[0] == '\0' || secret_len(secret) == 0 ||
	    (m & SASL_SCRAM_MECHANISMS) != 0)
		return -EINVAL;
	if (token && (has_control(user) || !secret_is_printable(secret, false)))
		return -EINVAL;
	if (password && memchr(secret_bytes(secret), '\0', secret_len(secret)) != NULL)
		return -EINVAL;
	r = buf_reserve(out, fixed + 3 * strlen(user) + secret_len(secret));
	if (r < 0)
		return r;
	switch (m) {
	case SASL_XOAUTH2:
	case SASL_OAUTHBEARER:
		add_token_response(out, m, user, secret, host, port);
		break;
	case SASL_PLAIN:
		(void)buf_append_char(out, '\0');
		add(out, user);
		(void)buf_append_char(out, '\0');
		add_secret(out, secret);
		break;
	case SASL_LOGIN:
		if (step == 0)
			add(out, user);
		else
			add_secret(out, secret);
		break;
	default:
		return -EINVAL;
	}
	return 0;
}
