/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* form.c: see form.h. */
#include "broker/https/form.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"

static int
put(struct buf *form, const void *key, size_t key_len, const void *value, size_t len)
{
	int r = 0;

	if (form->len > 0)
		r = buf_append_char(form, '&');
	if (r == 0)
		r = form_encode(form, key, key_len);
	if (r == 0)
		r = buf_append_char(form, '=');
	if (r == 0)
		r = form_encode(form, value, len);
	return r;
}

int
form_put(struct buf *form, const char *key, const void *value, size_t len)
{
	return put(form, key, strlen(key), value, len);
}

int
form_put_parameter(struct buf *form, const uint8_t *parameter, size_t len)
{
	const uint8_t *equals = memchr(parameter, '=', len);

	if (equals == NULL || equals == parameter)
		return -EINVAL;
	return put(form, parameter, (size_t)(equals - parameter), equals + 1,
	    len - (size_t)(equals + 1 - parameter));
}

bool
form_parameter_is(const uint8_t *parameter, size_t len, const char *key)
{
	size_t n = strlen(key);

	return len > n && parameter[n] == '=' && memcmp(parameter, key, n) == 0;
}

bool
form_parameter_is_secret(const uint8_t *parameter, size_t len)
{
	static const char *const keys[] = {"code", "code_verifier", "refresh_token", "access_token",
	    "device_code", "assertion", "client_assertion", "client_secret", "password", "token"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (form_parameter_is(parameter, len, keys[i]))
			return true;
	return false;
}

int
form_put_basic(struct buf *header, const char *client_id, const struct secret *secret)
{
	CLEANUP_BUF struct buf pair = BUF_INIT_WIPE(FORM_MAX);
	int r = form_encode(&pair, client_id, strlen(client_id));

	if (r == 0)
		r = buf_append_char(&pair, ':');
	if (r == 0 && secret != NULL)
		r = form_encode(&pair, secret_bytes(secret), secret_len(secret));
	if (r == 0)
		r = buf_append_str(header, "Authorization: Basic ");
	if (r == 0)
		r = base64_encode(header, pair.data, pair.len);
	return r;
}
