/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * io.h: whole writes to a file descriptor.
 */
#ifndef FRANK_BASE_IO_H
#define FRANK_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

/* Writes all `len` octets, over as many calls as that takes; signals do not interrupt. 0, or negative errno: then part of them may
 * be written. -EAGAIN where the descriptor does not block and takes no more. */
int io_write_all(int fd, const void *bytes, size_t len);
/* The same at the offset `at` of a file, whose position stays. */
int io_write_all_at(int fd, const void *bytes, size_t len, uint64_t at);

#endif
