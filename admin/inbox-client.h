/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbox-client.h: asks the inbox of a frank-sandbox: its /api/v1/mark and /api/v1/wait (frank-sandbox(1)).
 */
#ifndef FRANK_ADMIN_INBOX_CLIENT_H
#define FRANK_ADMIN_INBOX_CLIENT_H

#include "admin/cli.h"
#include "admin/conditions.h"

struct inbox_client {
	const struct cli *cli;
	char host[256], port[8];
};

/* What is waited for; times in milliseconds. */
struct inbox_ask {
	uint64_t since; /* a mark */
	const struct conditions *conditions;
	uint64_t count, timeout, quiet;
	bool exactly, none;
};

/* `api`: "http://HOST:PORT", or the path of a sandbox's ready.json. EX_OK, or the exit status after saying why not. */
int inbox_client_init(struct inbox_client *c, const struct cli *cli, const char *api);
/* A mark of the sandbox, which is as one of captured.h. As above. */
int inbox_client_mark(const struct inbox_client *c, uint64_t *ret);
/* The answer, the caller's: {"found", "messages", "reason", "arrived", "nearest", "warning"}; each message and each that came
 * near as captured mail is: "id", "sender", "recipients", "subject", "time". As above. */
int inbox_client_wait(const struct inbox_client *c, const struct inbox_ask *ask, json_t **ret);

#endif
