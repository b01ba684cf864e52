/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* device-answer.c: see device-answer.h. */
#include "broker/https/device-answer.h"

#include <errno.h>
#include <string.h>

#include "broker/https/document.h"
#include "broker/https/token-answer.h"
#include "broker/https/url.h"

void
device_answer_clear(struct device_answer *a)
{
	free(a->error);
	free(a->description);
	(void)secret_free(a->device_code);
	free(a->user_code);
	free(a->verification_uri);
	free(a->verification_uri_complete);
	*a = (struct device_answer){0};
}

/* Seconds out of a number or a string of digits; `absent` where it is neither, or not positive. */
static int64_t
read_seconds(const json_t *d, const char *key, int64_t absent, int64_t most)
{
	const json_t *value = json_object_get(d, key);
	const char *s = json_string_value(value);
	double n = json_number_value(value);

	if (s != NULL && *s != '\0' && strlen(s) < 10 && s[strspn(s, "0123456789")] == '\0')
		for (n = 0; *s != '\0'; s++)
			n = n * 10 + (*s - '0');
	if (!(n >= 1))
		return absent;
	return n > (double)most ? most : (int64_t)n;
}

static bool
is_visible(const char *s, size_t most)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || (unsigned char)s[i] > '~')
			return false;
	return len > 0 && len <= most;
}

static int
copy(const char *from, char **to)
{
	*to = strdup(from);
	return *to == NULL ? -ENOMEM : 0;
}

static int
read_success(const json_t *d, struct device_answer *a)
{
	const char *device = document_text(d, "device_code"), *user = document_text(d, "user_code"),
		   *uri = document_text(d, "verification_uri"),
		   *complete = document_text(d, "verification_uri_complete");
	int r;

	if (uri == NULL)
		uri = document_text(d, "verification_url");
	if (device == NULL || user == NULL || uri == NULL) {
		a->fault = "JSON that names no device code, no user code or no address";
		return 0;
	}
	if (!is_visible(device, TOKEN_ANSWER_TOKEN_MAX) ||
	    !is_visible(user, DEVICE_USER_CODE_MAX) || url_refusal(uri) != NULL) {
		a->fault = "a code or an address that cannot be shown to a person";
		return 0;
	}
	a->device_code = secret_new(device, strlen(device));
	r = a->device_code == NULL ? -ENOMEM : copy(user, &a->user_code);
	if (r == 0)
		r = copy(uri, &a->verification_uri);
	if (r == 0 && complete != NULL && url_refusal(complete) == NULL)
		r = copy(complete, &a->verification_uri_complete);
	a->expires_in = read_seconds(d, "expires_in", DEVICE_LIFE_ABSENT, DEVICE_LIFE_MAX);
	a->interval = read_seconds(d, "interval", DEVICE_INTERVAL_ABSENT, DEVICE_INTERVAL_MAX);
	return r;
}

int
device_answer_parse(long status, const char *body, size_t len, struct device_answer *ret)
{
	CLEANUP_DOCUMENT json_t *d = NULL;
	int r = 0;

	*ret = (struct device_answer){0};
	d = document_parse(body, len, &ret->fault);
	if (d == NULL)
		return 0;
	r = document_error(d, &ret->error, &ret->description);
	if (r == 0 && ret->error == NULL && status >= 200 && status < 300)
		r = read_success(d, ret);
	else if (r == 0 && ret->error == NULL)
		ret->fault = "JSON that names no error";
	if (r < 0)
		device_answer_clear(ret);
	return r;
}
