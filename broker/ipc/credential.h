/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * credential.h: what the roles that carry mail ask of keeper, and how they read that it has nothing
 * to give.
 */
#ifndef FRANK_BROKER_IPC_CREDENTIAL_H
#define FRANK_BROKER_IPC_CREDENTIAL_H

#include "base/smtp/smtp.h"
#include "broker/ipc/message.h"

/* CREDENTIAL_GET. `min_valid`: seconds for which it must be good, 0 for the usual minute; `rejected`:
 * the generation that a server refused, which will not do, or 0. NULL: no memory. */
struct message *credential_get(
    uint64_t id, const char *account, unsigned min_valid, uint64_t rejected);

/* Of CREDENTIAL_FAILED: NO_CREDENTIAL where only a person or an administrator can help,
 * CREDENTIAL_LATER for what passes by itself. */
enum smtp_fault credential_fault(const struct message *m);

#endif
