/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * file.h: a file that came as a descriptor in a message.
 */
#ifndef FRANK_BROKER_IPC_FILE_H
#define FRANK_BROKER_IPC_FILE_H

#include "base/buf.h"

/*
 * Reads it from its beginning to its end, whatever the descriptor's offset, which is shared with the other roles that main gave
 * it to. 0; -ENODATA for an empty file; -ENOBUFS where it is larger than the bound leaves room for; other negative errno.
 */
int file_read_whole(int fd, struct buf *b);

#endif
