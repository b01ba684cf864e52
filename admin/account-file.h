/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account-file.h: writes the block of a new account where frankd reads it: into the first folder whose
 * "*.conf" files the configuration includes. Without a configuration, one with such a folder is made.
 */
#ifndef FRANK_ADMIN_ACCOUNT_FILE_H
#define FRANK_ADMIN_ACCOUNT_FILE_H

#include "admin/cli.h"
#include "admin/providers.h"

enum { ACCOUNT_FILE_MADE_MAX = 4 };

struct account_file {
	char *path; /* of the block */
	/* what was made, in this order: folders, frank.conf, the block */
	struct made {
		char *path;
		bool is_folder;
	} made[ACCOUNT_FILE_MADE_MAX];
	size_t count;
};

/*
 * Writes `block` into a new file of that name. Existing files are never changed. On failure what was
 * made is removed again. EX_OK, or the exit status after saying why.
 */
int account_file_write(const struct cli *cli, const struct providers *p, const char *name,
    const struct buf *block, struct account_file *ret);
/* Removes what was made. */
void account_file_undo(struct account_file *f);
void account_file_clear(struct account_file *f);

#endif
