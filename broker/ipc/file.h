/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * file.h: a file that came as a descriptor in a message.
 */
#ifndef FRANK_BROKER_IPC_FILE_H
#define FRANK_BROKER_IPC_FILE_H

#include "base/buf.h"

/*
 * Reads the whole file. The descriptor's offset is not used: it is shared with the other roles that main gave the file to.
 * 0; -ENODATA for an empty file; -ENOBUFS where the file is larger than the buffer's bound; other negative errno.
 */
int file_read_whole(int fd, struct buf *b);

#endif
