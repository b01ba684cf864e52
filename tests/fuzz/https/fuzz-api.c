/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: an answer of a mail API. The first octet chooses the API and the HTTP status. What
 * must hold: an answer is an acceptance, a refusal with the status it came with, or a fault; its
 * words are there, bounded, and free of control characters.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/https/api.h"
#include "broker/https/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = {
	    200, 202, 204, 302, 400, 401, 403, 404, 407, 413, 429, 500, 503, 599};
	static bool ready;
	const struct api *api;
	struct smtp_reply r;
	long status;

	if (!ready)
		document_init();
	ready = true;
	if (size < 1)
		return 0;
	api = api_by_transport((data[0] & 0x80) != 0 ? "gmail" : "graph");
	status = statuses[(data[0] & 0x7f) % (sizeof(statuses) / sizeof(statuses[0]))];
	if (api_answer_read(api, status, (const char *)data + 1, size - 1,
		(data[0] & 0x40) != 0 ? "r-1" : NULL, 1795856400, &r) < 0)
		return 0;
	if (r.code == 0 ? r.fault != SMTP_FAULT_PROTOCOL
			: r.code != (status < 300 ? 250 : status) || r.fault != SMTP_FAULT_NONE)
		abort();
	if (r.text == NULL || *r.text == '\0' || strlen(r.text) > 2000 || r.retry_after > 24 * 3600)
		abort();
	for (const char *s = r.text; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
	smtp_reply_clear(&r);
	return 0;
}
