/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * identity.h: other users, played without being root.
 *
 * A program that links this sees itself as root, and sees a connection or a file as belonging to whom the test said. It needs
 * the link arguments of `identity` in tests/unit/meson.build; the real questions to the kernel are asked by the
 * integration tests.
 */
#ifndef FRANK_TESTS_UNIT_IDENTITY_H
#define FRANK_TESTS_UNIT_IDENTITY_H

#include <sys/types.h>

/* Makes whoever accepts the connection of the Unix socket `fd` see it as that user's, in no other group. Before connect(). */
void identity_of_socket(int fd, uid_t uid, gid_t gid);
/* Makes this program, and processes that it forked, see the open file as theirs. */
void identity_of_file(int fd, uid_t uid, gid_t gid);

#endif
