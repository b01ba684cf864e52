/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-queue, the program.
 */
#include "broker/queue/role.h"

int
main(int argc, char **argv)
{
	static struct queue queue;
	int status = role_main(&queue_role, &queue, argc, argv);

	queue_close(&queue);
	return status;
}
