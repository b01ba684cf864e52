/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* output.h: writing without a buffer of the C library in between, for what must leave no copy. */
#ifndef FRANK_ADMIN_OUTPUT_H
#define FRANK_ADMIN_OUTPUT_H

#include <stddef.h>

/* Writes all of it. 0 or negative errno. Flush the stream of this descriptor first. */
int output_whole(int fd, const void *bytes, size_t len);

#endif
