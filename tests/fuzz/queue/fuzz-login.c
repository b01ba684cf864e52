/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-login: what clients say in AUTH (broker/queue/inbound/login.h). The first octet chooses the
 * mechanism; responses are divided by 0xff, an empty first one being none. */
#include <stdlib.h>
#include <string.h>

#include "broker/queue/inbound/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *mechanism = size > 0 && (data[0] & 1) != 0 ? "LOGIN" : "PLAIN";
	struct login l = {0};
	enum login_step step = LOGIN_ASK;
	bool first = true;

	if (size == 0)
		return 0;
	for (data++, size--; step == LOGIN_ASK; first = false) {
		const uint8_t *stop = memchr(data, 0xff, size);
		size_t len = stop == NULL ? size : (size_t)(stop - data);
		const char *prompt = NULL;

		step = login_take(
		    &l, mechanism, first && len == 0 ? NULL : (const char *)data, len, &prompt);
		if (step == LOGIN_ASK && prompt == NULL)
			abort();
		if (stop == NULL)
			break;
		data = stop + 1;
		size -= len + 1;
	}
	if (step == LOGIN_DONE &&
	    (l.password == NULL || *l.name == '\0' || secret_len(l.password) > LOGIN_PASSWORD_MAX))
		abort();
	login_clear(&l);
	return 0;
}
