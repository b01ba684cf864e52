/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of shim/memory.c, under names of its own: pieces do not overlap, what grows keeps its
 * content, and what calloc gives is zero also where it was used before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define malloc shim_malloc
#define calloc shim_calloc
#define realloc shim_realloc
#define free shim_free
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void free(void *memory);
#include "shim/memory.c"

enum { PIECES = 40, ROUNDS = 20000 };

struct held {
	unsigned char *bytes;
	size_t size;
	unsigned char fill;
};

static void
check(const struct held *h)
{
	assert_int_equal((uintptr_t)h->bytes % ALIGN, 0);
	for (size_t i = 0; i < h->size; i++)
		if (h->bytes[i] != h->fill)
			fail_msg("octet %zu of %zu changed", i, h->size);
}

/* Sizes around what the array holds, most of them small. */
static size_t
size_of(unsigned random)
{
	return random % 50 == 0 ? random % (2 * ARENA) : random % 3000;
}

static void
test_pieces_stay_apart(void **state)
{
	struct held held[PIECES] = {0};
	uint32_t random = 1;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct held *h;
		size_t size, kept;

		random = random * 1664525 + 1013904223;
		h = &held[random >> 8 & 31];
		size = size_of(random >> 13);
		if (h->bytes != NULL)
			check(h);
		if (h->bytes != NULL && (random >> 30) == 0) {
			free(h->bytes);
			*h = (struct held){0};
			continue;
		}
		kept = h->size < size ? h->size : size;
		h->bytes = realloc(h->bytes, size);
		assert_non_null(h->bytes);
		h->size = kept;
		check(h);
		h->size = size;
		h->fill = (unsigned char)round;
		memset(h->bytes, h->fill, size);
	}
	for (size_t i = 0; i < PIECES; i++)
		free(held[i].bytes);
}

static void
test_zeroed(void **state)
{
	for (size_t size = 1; size < 5000; size = size * 3 + 1) {
		unsigned char *dirty = malloc(size), *clean;

		memset(dirty, 0xff, size);
		free(dirty);
		clean = calloc(1, size);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(clean[i], 0);
		free(clean);
	}
}

static void
test_too_much(void **state)
{
	volatile size_t most = SIZE_MAX;

	assert_null(malloc(most));
	assert_null(malloc(most / 2 + 1));
	assert_null(calloc(most / 2, 3));
	free(NULL);
	free(malloc(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pieces_stay_apart),
	    cmocka_unit_test(test_zeroed),
	    cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests_name("shim/memory", tests, NULL, NULL);
}
