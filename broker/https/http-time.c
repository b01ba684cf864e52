/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* http-time.c: see http-time.h. libcurl reads dates: it knows every format that servers use, and it
 * is here anyway. */
#include "broker/https/http-time.h"

#include <curl/curl.h>
#include <string.h>

int64_t
http_date(const char *value)
{
	return value == NULL ? -1 : (int64_t)curl_getdate(value, NULL);
}

int64_t
http_retry_after(const char *value, int64_t server_now, int64_t now)
{
	int64_t wait = 0;
	size_t digits;

	if (value == NULL)
		return -1;
	value += strspn(value, " \t");
	digits = strspn(value, "0123456789");
	if (digits > 0 && value[digits + strspn(value + digits, " \t")] == '\0') {
		for (size_t i = 0; i < digits && wait < HTTP_RETRY_AFTER_MAX; i++)
			wait = wait * 10 + (value[i] - '0');
	} else {
		wait = http_date(value);
		if (wait < 0)
			return -1;
		wait -= server_now >= 0 ? server_now : now;
	}
	if (wait < 0)
		wait = 0;
	return wait < HTTP_RETRY_AFTER_MAX ? wait : HTTP_RETRY_AFTER_MAX;
}
