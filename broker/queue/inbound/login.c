/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* login.c: see login.h. An authorization identity (RFC 4616) other than the login name would be
 * another service: it is refused. */
#include "broker/queue/inbound/login.h"

#include <string.h>

void
login_clear(struct login *l)
{
	(void)secret_free(l->password);
	*l = (struct login){0};
}

static bool
take_name(struct login *l, const char *name, size_t len)
{
	if (len == 0 || len > LOGIN_NAME_MAX || memchr(name, '\0', len) != NULL)
		return false;
	memcpy(l->name, name, len);
	l->name[len] = '\0';
	return true;
}

static enum login_step
take_password(struct login *l, const char *password, size_t len)
{
	if (len == 0 || len > LOGIN_PASSWORD_MAX)
		return LOGIN_BAD;
	(void)secret_free(l->password);
	l->password = secret_new(password, len);
	return l->password == NULL ? LOGIN_BAD : LOGIN_DONE;
}

/* [authorization identity] NUL name NUL password */
static enum login_step
take_plain(struct login *l, const char *response, size_t len)
{
	const char *name = memchr(response, '\0', len), *password;
	size_t authorize, named;

	if (name == NULL)
		return LOGIN_BAD;
	authorize = (size_t)(name - response);
	name++;
	password = memchr(name, '\0', len - authorize - 1);
	if (password == NULL)
		return LOGIN_BAD;
	named = (size_t)(password - name);
	if (!take_name(l, name, named) ||
	    (authorize > 0 && (authorize != named || memcmp(response, name, named) != 0)))
		return LOGIN_BAD;
	password++;
	len -= (size_t)(password - response);
	return memchr(password, '\0', len) != NULL ? LOGIN_BAD : take_password(l, password, len);
}

enum login_step
login_take(struct login *l, const char *mechanism, const char *response, size_t len,
    const char **ret_prompt)
{
	if (strcmp(mechanism, "PLAIN") == 0) {
		*ret_prompt = "";
		if (response != NULL)
			return take_plain(l, response, len);
		if (l->prompted)
			return LOGIN_BAD;
		l->prompted = true;
		return LOGIN_ASK;
	}
	if (response == NULL) {
		*ret_prompt = "Username:";
		return LOGIN_ASK;
	}
	if (l->named)
		return take_password(l, response, len);
	if (!take_name(l, response, len))
		return LOGIN_BAD;
	l->named = true;
	*ret_prompt = "Password:";
	return LOGIN_ASK;
}

/* ---- passwords of services ---- */

enum { GROUP_LEN = 8 };

void
login_password_text(const unsigned char bytes[PASSWORD_BITS / 8], char text[PASSWORD_TEXT_LEN + 1])
{
	/* without l and o, 0 and 1 */
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned held = 0, bits = 0;
	size_t at = 0;

	for (size_t i = 0; i < PASSWORD_BITS / 8; i++) {
		held = held << 8 | bytes[i];
		for (bits += 8; bits >= 5; bits -= 5) {
			if (at % (GROUP_LEN + 1) == GROUP_LEN)
				text[at++] = '-';
			text[at++] = letters[held >> (bits - 5) & 31];
		}
	}
	text[at] = '\0';
}
