/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-record.c: the octets of a slot and of a credential, as a disk may give them back. The first octet
 * chooses; sealed parts are also tried with a valid seal around the fuzzer's payload.
 */
#include <stdlib.h>
#include <string.h>

#include "tokenstore/credential.h"
#include "tokenstore/slot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_slot(const struct slot_keys *keys, const uint8_t *data, size_t size)
{
	uint8_t *bytes = calloc(1, SLOT_SMALL);
	struct slot_content c;

	memcpy(bytes, data, size < SLOT_SMALL ? size : SLOT_SMALL);
	(void)slot_unpack(keys, 0, bytes, SLOT_SMALL, &c);
	(void)secret_free(c.payload);
	free(bytes);
}

static void
try_sealed(const struct slot_keys *keys, const uint8_t *data, size_t size)
{
	CLEANUP_SECRET struct secret *payload = secret_new(data, size);
	uint8_t salt[SLOT_SALT] = {1}, mark[SLOT_MARK] = {2}, *bytes = malloc(SLOT_SMALL);
	struct slot_content c = {0};

	if (slot_pack(keys, 1, 5, 6, payload, salt, mark, bytes, SLOT_SMALL) == 0) {
		struct credential cred CLEANUP_CREDENTIAL = {0};

		if (slot_unpack(keys, 1, bytes, SLOT_SMALL, &c) != SLOT_GOOD ||
		    !secret_equal(c.payload, payload))
			abort();
		(void)credential_unpack(secret_bytes(c.payload), secret_len(c.payload), &cred);
	}
	(void)secret_free(c.payload);
	free(bytes);
}

/* What unpacks must pack to what unpacks to the same. */
static void
try_credential(const uint8_t *data, size_t size)
{
	struct credential c CLEANUP_CREDENTIAL = {0}, again CLEANUP_CREDENTIAL = {0};
	CLEANUP_SECRET struct secret *packed = NULL, *twice = NULL;

	if (credential_unpack(data, size, &c) < 0 || credential_pack(&c, &packed) < 0)
		return;
	if (credential_unpack(secret_bytes(packed), secret_len(packed), &again) < 0 ||
	    credential_pack(&again, &twice) < 0 || !secret_equal(packed, twice))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_SECRET struct secret *key = secret_new("0123456789abcdef0123456789abcdef", 32);
	struct slot_keys keys = {.master = key};

	if (size < 1 || size > SECRET_MAX)
		return 0;
	switch (data[0] % 3) {
	case 0:
		try_slot(&keys, data + 1, size - 1);
		break;
	case 1:
		try_sealed(&keys, data + 1, size - 1);
		break;
	default:
		try_credential(data + 1, size - 1);
	}
	return 0;
}
