/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: an answer of a device authorization endpoint. The first octet chooses the HTTP status.
 * What must hold: a code comes with its words and its times, whole and printable, or not at all.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/https/device-answer.h"
#include "broker/https/document.h"
#include "broker/https/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
is_plain(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct device_answer a;

	if (!ready)
		document_init();
	ready = true;
	if (size < 1 || device_answer_parse(data[0] * 4L, (const char *)data + 1, size - 1, &a) < 0)
		return 0;
	if (a.fault == NULL && (a.error == NULL) == (a.device_code == NULL))
		abort();
	if (a.device_code != NULL &&
	    (a.user_code == NULL || a.verification_uri == NULL || a.expires_in < 1 ||
		a.expires_in > DEVICE_LIFE_MAX || a.interval < 1 ||
		a.interval > DEVICE_INTERVAL_MAX || url_refusal(a.verification_uri) != NULL))
		abort();
	is_plain(a.error);
	is_plain(a.description);
	is_plain(a.user_code);
	is_plain(a.verification_uri);
	is_plain(a.verification_uri_complete);
	device_answer_clear(&a);
	return 0;
}
