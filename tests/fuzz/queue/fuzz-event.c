/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-event: an event as JSON, with texts of callers and servers. Whatever they hold it can be read, and without
 * addresses nothing stands before an "@" but "*".
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue/notify/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const json_t *text)
{
	const char *s = json_string_value(text);

	for (const char *at = s == NULL ? NULL : strchr(s, '@'); at != NULL;
	     at = strchr(at + 1, '@'))
		if (at > s && strchr(" \t\n<>()[],;:=*@", at[-1]) == NULL)
			abort();
}

/* The parts of the input, between NULs: sender, recipients, reply, text. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1024 * 1024);
	char *copy = size > 4096 ? NULL : calloc(1, size + 5);
	const char *parts[4];
	struct spool_event e = {.id = 1, .at = 1, .kind = "bounced", .of_message = true};
	json_t *json;
	const json_t *one;
	size_t i;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	parts[0] = copy;
	for (i = 1; i < 4; i++) {
		size_t next = (size_t)(parts[i - 1] - copy) + strlen(parts[i - 1]) + 1;

		parts[i] = copy + (next > size + 4 ? size + 4 : next);
	}
	e.sender = parts[0];
	e.recipients = parts[1];
	e.reply = parts[2];
	e.text = parts[3];
	for (int addresses = 0; addresses < 2; addresses++) {
		buf_clear(&out);
		if (event_json(&e, "host.example", addresses != 0, &out) < 0)
			continue;
		json = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
		if (json == NULL)
			abort();
		if (addresses == 0) {
			check(json_object_get(json, "sender"));
			check(json_object_get(json, "reply"));
			check(json_object_get(json, "text"));
			json_array_foreach(json_object_get(json, "recipients"), i, one) check(one);
		}
		json_decref(json);
	}
	free(copy);
	return 0;
}
