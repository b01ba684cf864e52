/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keeper.h: the keeper role: the secrets, who gets them, and what is asked of authorization servers
 * for them.
 *
 *     keeper.c     wires the parts together, and is the only one that knows them all
 *     command.c    what clients ask, and who may
 *     accounts/    each account: its configuration, its record, its token machine; the set of them;
 *                  leases to the transports; requests to authorization servers
 *     sign-in/     a person signing in: attempts, and who it was; a grant given back
 *     keys/        the token store opened, its key slots, and what is done with every record
 *     clients/     keeper.sock: who is connected
 *
 * A part knows those below it; what it needs from above it gets as a table of functions:
 *
 *     command
 *     sign-in/{authorize, device, invitation, revocation}   keys/keys   accounts/{lease, report}
 *     sign-in/attempt                                       keys/key-job
 *     accounts/accounts   clients/client
 *     accounts/token-request
 *     accounts/account   accounts/fetch-request
 *     accounts/{machine, scope, answer, ...}, sign-in/{identity, callback, ...}: engines without I/O
 */
#ifndef FRANK_BROKER_KEEPER_KEEPER_H
#define FRANK_BROKER_KEEPER_KEEPER_H

#include "broker/role/role.h"
#include "tokenstore/store.h"

struct keeper;

/* The state of the role is a struct keeper. */
extern const struct role_def keeper_role;

/* `files` is borrowed. The role's stop frees it. NULL with errno. */
struct keeper *keeper_new(const struct file_ops *files);

#endif
