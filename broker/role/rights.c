/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rights.c: what each role may touch, in one table, so that the roles and the tests that try them
 * read the same.
 */
#include "broker/role/confine.h"

static const unsigned rights[ROLE_COUNT] = {
    [ROLE_QUEUE] = ROLE_MAY_ACCEPT | ROLE_MAY_WRITE_STATE,
    [ROLE_KEEPER] = ROLE_MAY_ACCEPT | ROLE_MAY_WRITE_STATE,
    [ROLE_FETCH] = ROLE_MAY_CONNECT | ROLE_MAY_READ_ETC | ROLE_MAY_THREAD,
    [ROLE_POST] = ROLE_MAY_CONNECT | ROLE_MAY_READ_ETC | ROLE_MAY_THREAD,
    [ROLE_SEND] = ROLE_MAY_CONNECT | ROLE_MAY_READ_ETC,
    [ROLE_TLS] = 0, /* connections are handed to it, and it opens nothing */
};

unsigned
role_rights(enum role_id role)
{
	return (unsigned)role < ROLE_COUNT ? rights[role] : 0;
}
