/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * secret.c: see secret.h. Every secret is one anonymous mapping: a header with the reference count
 * and length, then the bytes. A mapping and not the heap, because MADV_DONTDUMP and MADV_WIPEONFORK
 * work on pages. A failing mlock (RLIMIT_MEMLOCK) is accepted: the pages are then still wiped,
 * undumped and not inherited.
 *
 * Mapping, locking and advising take five system calls, so mappings that were released (and wiped) wait
 * here for the next secret of their size: the one thing in this file that a process has once. Sanitizers
 * are shown every release.
 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "config.h"

struct secret {
	size_t mapped; /* bytes of the mapping */
	size_t len;
	unsigned refs;
	uint8_t bytes[];
};

enum { SPARE_PAGES = 5 /* of a mapping that is kept at most */, SPARES = 8 /* of each size */ };

static struct {
	void *mappings[SPARES];
	unsigned count;
} spares[SPARE_PAGES + 1];

/* A mapping of this many octets, zero, or NULL. */
static void *
take_spare(size_t pages)
{
	if (pages > SPARE_PAGES || spares[pages].count == 0)
		return NULL;
	return spares[pages].mappings[--spares[pages].count];
}

/* True where the mapping is kept. It is wiped. */
static bool
keep_spare(void *mapping, size_t pages)
{
#ifdef FRANK_SANITIZED
	return false;
#else
	if (pages > SPARE_PAGES || spares[pages].count == SPARES)
		return false;
	spares[pages].mappings[spares[pages].count++] = mapping;
	return true;
#endif
}

static void *
map(size_t size)
{
	void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return NULL;
	(void)mlock(m, size);
	(void)madvise(m, size, MADV_DONTDUMP);
	(void)madvise(m, size, MADV_WIPEONFORK);
	return m;
}

struct secret *
secret_new_zero(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
	struct secret *s;

	if (len > SECRET_MAX) {
		errno = EMSGSIZE;
		return NULL;
	}
	size = (sizeof(*s) + len + 1 + page - 1) / page * page;
	s = take_spare(size / page);
	if (s == NULL)
		s = map(size);
	if (s == NULL)
		return NULL;
	s->mapped = size;
	s->len = len;
	s->refs = 1;
	return s;
}

struct secret *
secret_new(const void *bytes, size_t len)
{
	struct secret *s = secret_new_zero(len);

	if (s != NULL && len > 0)
		memcpy(s->bytes, bytes, len);
	return s;
}

struct secret *
secret_ref(struct secret *s)
{
	if (s != NULL)
		s->refs++;
	return s;
}

struct secret *
secret_free(struct secret *s)
{
	size_t mapped;

	if (s == NULL || --s->refs > 0)
		return NULL;
	mapped = s->mapped;
	mem_wipe(s, mapped);
	if (!keep_spare(s, mapped / (size_t)sysconf(_SC_PAGESIZE)))
		(void)munmap(s, mapped);
	return NULL;
}

const uint8_t *
secret_bytes(const struct secret *s)
{
	return s->bytes;
}

uint8_t *
secret_fill(struct secret *s)
{
	return s->bytes;
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
	return a != NULL && b != NULL && a->len == b->len &&
	       mem_equal_ct(a->bytes, b->bytes, a->len);
}

bool
secret_is_printable(const struct secret *s, bool spaces)
{
	for (size_t i = 0; i < s->len; i++) {
		uint8_t c = s->bytes[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		if (!spaces && (c == 0x20 || c > 0x7f))
			return false;
	}
	return true;
}
