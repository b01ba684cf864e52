/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* credential.c: see credential.h. */
#include "broker/ipc/credential.h"

#include <string.h>

#include "base/attr.h"

enum { MIN_VALID_USUAL = 60 };

struct message *
credential_get(uint64_t id, const char *account, unsigned min_valid, uint64_t rejected)
{
	struct message *m = message_new(M_CREDENTIAL_GET);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, account);
	message_put_u64(m, F_MIN_VALID, min_valid > 0 ? min_valid : MIN_VALID_USUAL);
	if (rejected > 0)
		message_put_u64(m, F_REJECTED, rejected);
	return m;
}

enum smtp_fault
credential_fault(const struct message *m)
{
	static const char *const passing[] = {"active", "refreshing", "throttled", "unreachable"};
	const char *state = message_str(m, F_STATE);

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (strcmp(state, passing[i]) == 0)
			return SMTP_FAULT_CREDENTIAL_LATER;
	return SMTP_FAULT_NO_CREDENTIAL;
}
