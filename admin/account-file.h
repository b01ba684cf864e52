/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * account-file.h: puts the block of a new account where frankd reads it: into the first folder whose "*.conf" the
 * configuration includes. Where there is no configuration yet, one is made, with such a folder.
 */
#ifndef FRANK_ADMIN_ACCOUNT_FILE_H
#define FRANK_ADMIN_ACCOUNT_FILE_H

#include "admin/cli.h"
#include "admin/providers.h"

enum { ACCOUNT_FILE_MADE_MAX = 4 };

struct account_file {
	char *path; /* of the block */
	/* what was made on the way, in this order: folders, frank.conf, the block */
	struct made {
		char *path;
		bool is_folder;
	} made[ACCOUNT_FILE_MADE_MAX];
	size_t count;
};

/*
 * Writes `block` into a file of that name. Nothing that is there is changed; where it fails, what was made is taken away
 * again. EX_OK, or a status after saying why.
 */
int account_file_write(const struct cli *cli, const struct providers *p, const char *name,
    const struct buf *block, struct account_file *ret);
/* Takes away what was made. */
void account_file_undo(struct account_file *f);
void account_file_clear(struct account_file *f);

#endif
