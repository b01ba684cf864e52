/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * vfs.h: the file layer under the spool's database.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_VFS_H
#define FRANK_BROKER_QUEUE_SPOOL_VFS_H

/* Registers the layer with SQLite, once: its name for sqlite3_open_v2, or NULL where SQLite is to use
 * its own. */
const char *vfs_name(void);

#endif
