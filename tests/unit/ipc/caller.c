/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The table of callers' rights: what the manual says of each cell is what the program does, and
 * whom the kernel names is told apart as it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "broker/role/caller.h"

static const char letters[] = "SOLATMXNC";
static const unsigned bits[] = {CALLER_MAY_SUBMIT, CALLER_MAY_SEE_OWN, CALLER_MAY_SEE_ALL,
    CALLER_MAY_ACT, CALLER_MAY_TOKEN, CALLER_MAY_ADMINISTER, CALLER_IS_EXEMPT, CALLER_IS_LOOKED_UP,
    CALLER_COUNTS_ALONE};

static const char *const entrances[CALLER_ENTRANCE_COUNT] = {[CALLER_SUBMIT] = "submit.sock",
    [CALLER_DROP] = "drop",
    [CALLER_SERVICE] = "service",
    [CALLER_LISTENER] = "listener",
    [CALLER_PASSWORD] = "password",
    [CALLER_CONTROL] = "control",
    [CALLER_KEEPER] = "keeper"};

static const char *manual; /* its path */

static unsigned
rights_of(const char *cell)
{
	unsigned rights = 0;

	for (const char *c = strcmp(cell, "-") == 0 ? "" : cell; *c != '\0'; c++) {
		const char *at = strchr(letters, *c);

		if (at == NULL)
			fail_msg("%s: no right has this letter", cell);
		rights |= bits[at - letters];
	}
	return rights;
}

/* One line of the manual's table. */
static void
compare(unsigned entrance, const char *line)
{
	char name[16], cell[CALLER_KIND_COUNT][16], rest[2];

	assert_int_equal(sscanf(line, "%15s %15s %15s %15s %15s %15s %15s %1s", name, cell[0],
			     cell[1], cell[2], cell[3], cell[4], cell[5], rest),
	    1 + CALLER_KIND_COUNT);
	assert_string_equal(name, entrances[entrance]);
	for (unsigned kind = 0; kind < CALLER_KIND_COUNT; kind++)
		if (caller_rights((enum caller_entrance)entrance, (enum caller_kind)kind) !=
		    rights_of(cell[kind]))
			fail_msg("%s, column %u: the manual says %s", name, kind + 1, cell[kind]);
}

static void
the_manual_says_each_cell(void **state)
{
	FILE *f = fopen(manual, "r");
	char line[256];
	int at = -2; /* not there yet; -1: the heads of the columns */

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".\\\" rights: end", 15) == 0)
			break;
		if (at >= 0 && at < CALLER_ENTRANCE_COUNT)
			compare((unsigned)at, line);
		if (at >= -1 || strncmp(line, ".\\\" rights: begin", 17) == 0)
			at++;
	}
	(void)fclose(f);
	assert_int_equal(at, CALLER_ENTRANCE_COUNT);
}

/* What must hold whatever the cells say. */
static void
rules_over_cells(void **state)
{
	for (unsigned e = 0; e < CALLER_ENTRANCE_COUNT; e++)
		for (unsigned k = 0; k < CALLER_KIND_COUNT; k++) {
			unsigned rights =
			    caller_rights((enum caller_entrance)e, (enum caller_kind)k);
			bool host = e != CALLER_SERVICE && e != CALLER_PASSWORD;

			if (!host || k >= CALLER_USER)
				assert_int_equal(
				    rights & (CALLER_MAY_ADMINISTER | CALLER_MAY_SEE_ALL |
						 CALLER_IS_EXEMPT),
				    0);
			if (!host)
				assert_int_equal(
				    rights & (CALLER_IS_LOOKED_UP | CALLER_COUNTS_ALONE), 0);
			if (host && k == CALLER_NOBODY)
				assert_int_equal(rights, 0);
			if (k == CALLER_NAMELESS)
				assert_int_equal(rights & CALLER_COUNTS_ALONE, 0);
		}
	assert_int_equal(caller_rights(CALLER_ENTRANCE_COUNT, CALLER_ROOT), 0);
	assert_int_equal(caller_rights(CALLER_SUBMIT, CALLER_KIND_COUNT), 0);
}

static void
kinds(void **state)
{
	static uint32_t groups[] = {10, 20, 0};
	static const struct {
		uint32_t uid, self;
		uint64_t admin;
		enum caller_kind kind;
	} rows[] = {
	    {0, 7, CALLER_NO_GROUP, CALLER_ROOT},
	    {0, 0, 20, CALLER_ROOT},
	    {7, 7, CALLER_NO_GROUP, CALLER_SELF},
	    {7, 7, 20, CALLER_SELF},
	    {8, 7, 20, CALLER_ADMIN},
	    {8, 7, 0, CALLER_ADMIN},
	    {8, 7, 30, CALLER_USER},
	    {8, 7, CALLER_NO_GROUP, CALLER_USER},
	    {8, 7, UINT32_MAX, CALLER_USER},
	    {CALLER_UID_OVERFLOW, 7, 20, CALLER_NOBODY},
	    {CALLER_UID_OVERFLOW, CALLER_UID_OVERFLOW, 20, CALLER_NOBODY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct caller_peer who = {rows[i].uid, groups, ARRAY_SIZE(groups)};

		assert_int_equal(caller_kind(&who, rows[i].self, rows[i].admin), rows[i].kind);
	}
}

static void
the_kernel_says_who(void **state)
{
	struct caller_peer who;
	gid_t groups[64];
	int ends[2], count = getgroups(64, groups);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(caller_peer_of(ends[0], &who), 0);
	assert_int_equal(who.uid, geteuid());
	assert_int_equal(who.groups[0], getegid());
	assert_int_equal(who.group_count, count + 1);
	for (int i = 0; i < count; i++)
		assert_int_equal(who.groups[i + 1], groups[i]);
	free(who.groups);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_true(caller_peer_of(ends[0], &who) < 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_manual_says_each_cell),
	    cmocka_unit_test(rules_over_cells),
	    cmocka_unit_test(kinds),
	    cmocka_unit_test(the_kernel_says_who),
	};

	if (argc != 2)
		return 2;
	manual = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
