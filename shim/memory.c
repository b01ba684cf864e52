/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * memory.c: the allocator of the static shim, in the place of libc's.
 *
 * The shim lives for a fraction of a millisecond, most of which is its start, and asks for memory a
 * dozen times. libc's allocator makes seven system calls and takes five page faults before it is
 * ready; this one hands out a static array from front to back, where untouched pages cost nothing,
 * and asks the kernel for what does not fit. It takes back only the last piece, as of a buffer that
 * grows: nothing here lives long enough for more.
 *
 * It stays as long as it pays: measured in pairs, a call that hands in a small message takes 16 %
 * less CPU time with it (15 pairs of 3,000 calls), and the program is 8 KB smaller.
 *
 * Not linked where the shim is an ordinary program (sanitizers, no musl).
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ARENA = 96 * 1024, ALIGN = 16 };

/* In front of each piece. */
struct memory_piece {
	size_t size; /* of what follows, a multiple of ALIGN */
	size_t unused;
};

static _Alignas(ALIGN) unsigned char arena[ARENA];
static size_t used;

_Static_assert(sizeof(struct memory_piece) == ALIGN, "a piece must be aligned as its memory is");

static struct memory_piece *
piece_of(void *p)
{
	return (struct memory_piece *)p - 1;
}

static int
is_in_arena(const struct memory_piece *p)
{
	uintptr_t at = (uintptr_t)p, begin = (uintptr_t)arena;

	return at >= begin && at < begin + ARENA;
}

static int
is_last(const struct memory_piece *p)
{
	return is_in_arena(p) && (const unsigned char *)(p + 1) + p->size == arena + used;
}

/* What malloc is; under a name of its own, since a compiler makes calloc of malloc and memset. */
static void *
take(size_t size)
{
	struct memory_piece *p;
	size_t room;

	if (size > SIZE_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	room = size == 0 ? ALIGN : (size + ALIGN - 1) / ALIGN * ALIGN;
	if (room + sizeof(*p) <= ARENA - used) {
		p = (struct memory_piece *)(arena + used);
		used += room + sizeof(*p);
	} else {
		p = mmap(NULL, room + sizeof(*p), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			errno = ENOMEM;
			return NULL;
		}
	}
	p->size = room;
	return p + 1;
}

void *
malloc(size_t size)
{
	return take(size);
}

void
free(void *memory)
{
	int saved = errno;
	struct memory_piece *p;

	if (memory == NULL)
		return;
	p = piece_of(memory);
	if (is_last(p))
		used = (size_t)((unsigned char *)p - arena);
	else if (!is_in_arena(p))
		(void)munmap(p, p->size + sizeof(*p));
	errno = saved;
}

void *
calloc(size_t count, size_t size)
{
	void *memory;

	if (size != 0 && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	memory = take(count * size);
	if (memory != NULL)
		memset(memory, 0, count * size);
	return memory;
}

void *
realloc(void *memory, size_t size)
{
	size_t room = (size + ALIGN - 1) / ALIGN * ALIGN;
	struct memory_piece *p;
	void *bigger;

	if (memory == NULL)
		return take(size);
	p = piece_of(memory);
	if (size <= p->size)
		return memory;
	if (size < ARENA && is_last(p) && room - p->size <= ARENA - used) {
		used += room - p->size;
		p->size = room;
		return memory;
	}
	bigger = take(size);
	if (bigger == NULL)
		return NULL;
	memcpy(bigger, memory, p->size);
	free(memory);
	return bigger;
}
