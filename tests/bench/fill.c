/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fill.c: makes a token store of many accounts, each signed in, for tests/bench/tokens.
 *
 * usage: fill TOKENS-FOLDER KEY-FILE COUNT TOKEN-ENDPOINT LIFE LEFT
 *
 * Accounts are account-0 and so on, as the benchmark's configuration has them; their access tokens live
 * for LIFE seconds and have LEFT of them left, so that all become due together.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tokenstore/credential.h"
#include "tokenstore/store.h"

static struct secret *
token(const char *what, int number, size_t len)
{
	struct secret *s = secret_new_zero(len);
	char name[64];

	memset(secret_fill(s), 'x', len);
	(void)snprintf(name, sizeof(name), "%s-%d-", what, number);
	memcpy(secret_fill(s), name, strlen(name));
	return s;
}

/* Without fdatasync: this is no measurement. */
static int
no_sync(void *arg, int fd)
{
	return 0;
}

int
main(int argc, char **argv)
{
	int dir = argc == 7 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	FILE *f = dir < 0 ? NULL : fopen(argv[2], "r");
	struct file_ops ops = file_ops_system;
	enum store_trouble trouble;
	struct secret *key;
	struct store *s;
	char line[256];
	bool made;

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		return 1;
	ops.fdatasync = ops.syncdir = no_sync;
	key = secret_new(line, strcspn(line, "\n"));
	if (store_open(&ops, dir, KEYSLOT_KEY_FILE, key, 0, &s, &made, &trouble) < 0)
		return 1;
	for (int i = 0; i < atoi(argv[3]); i++) {
		struct credential c = {.refresh_token = token("refresh", i, 1000),
		    .access_token = token("access", i, 1800),
		    .token_endpoint = strdup(argv[4]),
		    .client_id = strdup("bench"),
		    .access_obtained = (uint64_t)(time(NULL) + atoi(argv[6]) - atoi(argv[5])),
		    .access_expires = (uint64_t)(time(NULL) + atoi(argv[6])),
		    .authorized_at = (uint64_t)time(NULL),
		    .refreshed_at = (uint64_t)time(NULL)};
		struct store_account *a;
		struct secret *payload;
		char name[64], mailbox[96];

		(void)snprintf(name, sizeof(name), "account-%d", i);
		(void)snprintf(mailbox, sizeof(mailbox), "%s@example.com", name);
		c.mailbox = strdup(mailbox);
		if (credential_pack(&c, &payload) < 0 || store_account_open(s, name, &a) < 0 ||
		    store_account_write(a, 1, payload, true) < 0)
			return 1;
		(void)store_account_free(a);
		(void)secret_free(payload);
		credential_clear(&c);
	}
	return 0;
}
