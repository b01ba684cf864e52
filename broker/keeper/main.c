/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: the program frank-keeper. libcrypto is readied before the role confines itself, since it
 * loads what it needs at its first use. The role frees the keeper when its loop has ended.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/keeper/keeper.h"
#include "tokenstore/seal.h"

int
main(int argc, char **argv)
{
	struct keeper *keeper = NULL;
	int r = seal_init();

	if (r == 0 && (keeper = keeper_new(&file_ops_system)) == NULL)
		r = -errno;
	if (r < 0) {
		(void)fprintf(stderr, "frank-keeper: libcrypto cannot be used: %s\n", strerror(-r));
		return EX_OSERR;
	}
	return role_main(&keeper_role, keeper, argc, argv);
}
