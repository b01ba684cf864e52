/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * disk.h: a disk for crash tests: the process dies at the Nth file operation, as one that is killed,
 * one that is killed in the middle of a write, or as a machine that loses its power, with which
 * everything goes that was not synced, or half of it stays.
 */
#ifndef FRANK_TESTS_DISK_H
#define FRANK_TESTS_DISK_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/tokenstore/faulty.h"

enum death { KILLED, KILLED_MID_WRITE, POWER_LOST, POWER_LOST_HALF, DEATHS };

extern const char *const death_names[DEATHS];

#define CHECK(condition, ...)                                                           \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__);                                   \
			fputc('\n', stderr);                                            \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* The file operations of a process that will die so: at once FAULTY_STATUS, at the `at`th operation
 * after disk_arm; 0: never. One disk in a process. */
struct file_ops disk_ops(enum death death);
void disk_arm(unsigned long at);

/* Removes every file of a directory but those whose name begins with a dot. */
void disk_empty(int dir);

#endif
