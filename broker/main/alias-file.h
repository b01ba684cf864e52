/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * alias-file.h: the aliases file, read and checked by main, and kept as a descriptor for queue.
 */
#ifndef FRANK_BROKER_MAIN_ALIAS_FILE_H
#define FRANK_BROKER_MAIN_ALIAS_FILE_H

#include "broker/conf/conf.h"

struct alias_file {
	char *path;      /* owned; "/etc/aliases" where the configuration names none */
	int fd;          /* owned: the text, sealed; -1: there is none */
	bool unreadable; /* there is one that cannot be read, and no alias is in force */
	size_t count;    /* of aliases */
};

/*
 * Reads what the configuration names, else /etc/aliases where that exists. `report` gets what is wrong in it as warnings: such
 * aliases are refused when mail comes for them, and keep nobody else's mail. 0; negative errno with an error in `report` where a
 * file that is named cannot be read. `ret` is to be cleared in any case.
 */
int alias_file_read(const struct conf *c, struct alias_file *ret, struct buf *report);
void alias_file_clear(struct alias_file *f);

#endif
