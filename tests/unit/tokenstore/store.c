/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of tokenstore/store.c, slot.c and ledger.c on a real directory: the damage matrix, the
 * Nth operation failing, and what may never be written over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "tests/unit/tokenstore/faulty.h"
#include "tokenstore/store.h"

struct fixture {
	char path[64];
	int dir;
	struct secret *key;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->path, sizeof(f->path), "%s/frank-store-XXXXXX",
	    getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f->path));
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir >= 0);
	f->key = secret_new("0123456789abcdef0123456789abcdef", 32);
	*state = f;
	return 0;
}

static void
empty_dir(int dir)
{
	DIR *d = fdopendir(dup(dir));
	struct dirent *e;

	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dir, e->d_name, 0);
	closedir(d);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	empty_dir(f->dir);
	close(f->dir);
	rmdir(f->path);
	(void)secret_free(f->key);
	free(f);
	return 0;
}

static struct store *
open_store(struct fixture *f, const struct file_ops *ops)
{
	enum store_trouble trouble;
	struct store *s = NULL;
	bool made;

	assert_int_equal(
	    store_open(ops, f->dir, KEYSLOT_KEY_FILE, f->key, 1767225600, &s, &made, &trouble), 0);
	return s;
}

static struct store_account *
open_account(struct store *s, const char *name)
{
	struct store_account *a = NULL;

	assert_int_equal(store_account_open(s, name, &a), 0);
	return a;
}

static int
write_text(struct store_account *a, uint64_t generation, const char *text, bool replace)
{
	CLEANUP_SECRET struct secret *s = secret_new(text, strlen(text));

	return store_account_write(a, generation, s, replace);
}

/* Opens store and account anew; the verdict, with the record's text in `text` ("" for none). */
static enum file_status
look(struct fixture *f, const char *account, char text[64])
{
	struct store *s = open_store(f, &file_ops_system);
	struct store_account *a = open_account(s, account);
	CLEANUP_SECRET struct secret *payload = store_account_take(a);
	enum file_status status = store_account_status(a);

	text[0] = '\0';
	if (payload != NULL)
		(void)snprintf(text, 64, "%s", (const char *)secret_bytes(payload));
	(void)store_account_free(a);
	(void)store_free(s);
	return status;
}

/* Writes these texts as records one to `count`, in a store opened for it. */
static void
write_records(struct fixture *f, const char *account, const char *const *texts, size_t count)
{
	struct store *s = open_store(f, &file_ops_system);
	struct store_account *a = open_account(s, account);

	for (size_t i = 0; i < count; i++)
		assert_int_equal(write_text(a, i + 1, texts[i], false), 0);
	(void)store_account_free(a);
	(void)store_free(s);
}

static size_t
slurp(struct fixture *f, const char *name, uint8_t *to, size_t max)
{
	int fd = openat(f->dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : pread(fd, to, max, 0);

	if (fd >= 0)
		close(fd);
	return n < 0 ? 0 : (size_t)n;
}

static void
spew(struct fixture *f, const char *name, const uint8_t *from, size_t len)
{
	int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, from, len), len);
	close(fd);
}

static void
patch(struct fixture *f, const char *name, size_t at, const uint8_t *from, size_t len)
{
	int fd = openat(f->dir, name, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, from, len, (off_t)at), len);
	close(fd);
}

static const char *const three[] = {"one", "two", "three"};

static void
test_records_come_back(void **state)
{
	struct fixture *f = *state;
	char text[64];
	struct stat st;

	assert_int_equal(look(f, "billing", text), FILE_ABSENT);
	write_records(f, "billing", three, 1);
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_string_equal(text, "one");
	write_records(f, "other", three, 3);
	assert_int_equal(look(f, "other", text), FILE_GOOD);
	assert_string_equal(text, "three");
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_string_equal(text, "one");
	assert_int_equal(fstatat(f->dir, "billing.cred", &st, 0), 0);
	assert_int_equal(st.st_size, 2 * SLOT_SMALL);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_blocks * 512 >= 2 * SLOT_SMALL); /* no hole: nothing left to allocate */
}

static void
test_nothing_in_the_clear(void **state)
{
	struct fixture *f = *state;
	static const char *const secret_text[] = {"a very secret refresh token"};
	uint8_t bytes[2 * SLOT_SMALL];

	write_records(f, "billing", secret_text, 1);
	assert_int_equal(slurp(f, "billing.cred", bytes, sizeof(bytes)), sizeof(bytes));
	assert_null(memmem(bytes, sizeof(bytes), "secret", 6));
	assert_null(memmem(bytes, sizeof(bytes), "billing", 7));
}

/* Every octet of the file changed, one at a time: each is noticed, and none makes a wrong record.
 */
static void
test_each_octet_flipped(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * SLOT_SMALL];
	struct store *s;

	write_records(f, "billing", three, 3); /* slot 0: "three", slot 1: "two" */
	assert_int_equal(slurp(f, "billing.cred", bytes, sizeof(bytes)), sizeof(bytes));
	s = open_store(f, &file_ops_system);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		CLEANUP_SECRET struct secret *payload = NULL;
		uint8_t flipped = bytes[i] ^ (uint8_t)(1 << i % 8);
		struct store_account *a;
		enum file_status status;

		patch(f, "billing.cred", i, &flipped, 1);
		a = open_account(s, "billing");
		status = store_account_status(a);
		payload = store_account_take(a);
		assert_int_equal(status, FILE_DAMAGED);
		assert_non_null(payload);
		assert_string_equal(
		    (const char *)secret_bytes(payload), i < SLOT_SMALL ? "two" : "three");
		(void)store_account_free(a);
		patch(f, "billing.cred", i, &bytes[i], 1);
	}
	(void)store_free(s);
}

/* The third write torn at each offset: the second record holds, as "torn" or, inside the header or
 * the mark at the end, as "damaged". */
static void
test_torn_at_each_offset(void **state)
{
	struct fixture *f = *state;
	uint8_t before[2 * SLOT_SMALL], after[2 * SLOT_SMALL], torn[2 * SLOT_SMALL], ledger[64];
	struct store *s;

	write_records(f, "billing", three, 2); /* slot 0: "one", slot 1: "two" */
	assert_int_equal(slurp(f, "billing.cred", before, sizeof(before)), sizeof(before));
	assert_int_equal(slurp(f, "ledger", ledger, sizeof(ledger)), sizeof(ledger));
	{
		struct store_account *a;

		s = open_store(f, &file_ops_system);
		a = open_account(s, "billing");
		assert_int_equal(write_text(a, 3, "three", false), 0);
		(void)store_account_free(a);
		(void)store_free(s);
	}
	assert_int_equal(slurp(f, "billing.cred", after, sizeof(after)), sizeof(after));
	spew(f, "ledger", ledger, sizeof(ledger));
	s = open_store(f, &file_ops_system);
	for (size_t at = 1; at < SLOT_SMALL; at++) {
		CLEANUP_SECRET struct secret *payload = NULL;
		struct store_account *a;
		bool header, sealed;
		enum file_status status;

		memcpy(torn, before, sizeof(torn));
		memcpy(torn, after, at);
		if (memcmp(torn, before, sizeof(torn)) == 0 ||
		    memcmp(torn, after, sizeof(torn)) == 0)
			continue;
		patch(f, "billing.cred", 0, torn, SLOT_SMALL);
		a = open_account(s, "billing");
		status = store_account_status(a);
		payload = store_account_take(a);
		/* By chance octets of both records may be equal, so that a part is whole before the
		 * tear gets to its end. */
		header = memcmp(torn, after, SLOT_HEADER) == 0;
		sealed = memcmp(torn, after, SLOT_SMALL - SLOT_MARK) == 0;
		assert_int_equal(status, header && !sealed ? FILE_TORN : FILE_DAMAGED);
		assert_string_equal((const char *)secret_bytes(payload), "two");
		(void)store_account_free(a);
	}
	(void)store_free(s);
}

static void
test_truncated(void **state)
{
	struct fixture *f = *state;
	static const off_t sizes[] = {
	    0, 1, SLOT_HEADER, SLOT_SMALL, 2 * SLOT_SMALL - 1, 2 * SLOT_SMALL + 1};
	uint8_t bytes[2 * SLOT_SMALL];
	char text[64];

	write_records(f, "billing", three, 3);
	assert_int_equal(slurp(f, "billing.cred", bytes, sizeof(bytes)), sizeof(bytes));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = openat(f->dir, "billing.cred", O_WRONLY);

		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		close(fd);
		assert_int_equal(look(f, "billing", text), FILE_TRUNCATED);
		assert_string_equal(text, "");
		spew(f, "billing.cred", bytes, sizeof(bytes));
	}
}

static void
test_file_of_another_account(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * SLOT_SMALL];
	char text[64];

	write_records(f, "billing", three, 3);
	write_records(f, "other", three, 1);
	assert_int_equal(slurp(f, "other.cred", bytes, sizeof(bytes)), sizeof(bytes));
	spew(f, "billing.cred", bytes, sizeof(bytes));
	assert_int_equal(look(f, "billing", text), FILE_SWAPPED);
	assert_string_equal(text, "");
	/* The two slots of one file exchanged are no better. */
	write_records(f, "third", three, 2);
	assert_int_equal(slurp(f, "third.cred", bytes, sizeof(bytes)), sizeof(bytes));
	patch(f, "third.cred", 0, bytes + SLOT_SMALL, SLOT_SMALL);
	patch(f, "third.cred", SLOT_SMALL, bytes, SLOT_SMALL);
	assert_int_equal(look(f, "third", text), FILE_SWAPPED);
}

static void
test_rolled_back_and_lost(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * SLOT_SMALL], zeros[SLOT_SMALL] = {0};
	char text[64];

	write_records(f, "billing", three, 2);
	assert_int_equal(slurp(f, "billing.cred", bytes, sizeof(bytes)), sizeof(bytes));
	{
		struct store *s = open_store(f, &file_ops_system);
		struct store_account *a = open_account(s, "billing");

		assert_int_equal(write_text(a, 3, "three", false), 0);
		(void)store_account_free(a);
		(void)store_free(s);
	}
	patch(f, "billing.cred", 0, zeros, sizeof(zeros));
	assert_int_equal(look(f, "billing", text), FILE_ROLLED_BACK);
	spew(f, "billing.cred", bytes, sizeof(bytes));
	assert_int_equal(look(f, "billing", text), FILE_ROLLED_BACK);
	assert_string_equal(text, "");
	assert_int_equal(unlinkat(f->dir, "billing.cred", 0), 0);
	assert_int_equal(look(f, "billing", text), FILE_LOST);
	/* A folder put back whole, ledger and all, is consistent with itself. */
	assert_int_equal(unlinkat(f->dir, "ledger", 0), 0);
	spew(f, "billing.cred", bytes, sizeof(bytes));
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_string_equal(text, "two");
}

static void
test_other_key_and_other_store(void **state)
{
	struct fixture *f = *state;
	CLEANUP_SECRET struct secret *wrong = secret_new("another key, of thirty-two octets", 32);
	uint8_t bytes[2 * SLOT_SMALL];
	enum store_trouble trouble;
	struct store *s = NULL;
	char text[64];
	bool made;

	write_records(f, "billing", three, 3);
	assert_int_equal(slurp(f, "billing.cred", bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(
	    store_open(&file_ops_system, f->dir, KEYSLOT_KEY_FILE, wrong, 0, &s, &made, &trouble),
	    -EKEYREJECTED);
	assert_int_equal(trouble, STORE_WRONG_KEY);
	/* Without keyslots no new store is made over the old records. */
	assert_int_equal(unlinkat(f->dir, "keyslots", 0), 0);
	assert_int_equal(
	    store_open(&file_ops_system, f->dir, KEYSLOT_KEY_FILE, f->key, 0, &s, &made, &trouble),
	    -ENOKEY);
	assert_int_equal(trouble, STORE_KEYS_MISSING);
	empty_dir(f->dir);
	write_records(f, "unrelated", three, 1);
	spew(f, "billing.cred", bytes, sizeof(bytes));
	assert_int_equal(look(f, "billing", text), FILE_OTHER_STORE);
	s = open_store(f, &file_ops_system);
	assert_int_equal(store_try_key(s, KEYSLOT_KEY_FILE, f->key), 0);
	assert_int_equal(store_try_key(s, KEYSLOT_KEY_FILE, wrong), -EKEYREJECTED);
	(void)store_free(s);
}

/* Same store id, another master key: only a hand-made header can show that. */
static void
test_other_key_of_same_store(void **state)
{
	CLEANUP_SECRET struct secret *master = secret_new("0123456789abcdef0123456789abcdef", 32);
	CLEANUP_SECRET struct secret *payload = secret_new("one", 3);
	struct slot_keys keys = {.master = master, .key_id = "first"},
			 others = {.master = master, .key_id = "second"};
	uint8_t salt[SLOT_SALT] = {1}, mark[SLOT_MARK] = {2}, *bytes = malloc(SLOT_SMALL);
	struct slot_content c;

	assert_int_equal(slot_pack(&keys, 0, 1, 1, payload, salt, mark, bytes, SLOT_SMALL), 0);
	assert_int_equal(slot_unpack(&keys, 0, bytes, SLOT_SMALL, &c), SLOT_GOOD);
	(void)secret_free(c.payload);
	assert_int_equal(slot_unpack(&others, 0, bytes, SLOT_SMALL, &c), SLOT_OTHER_KEY);
	assert_int_equal(slot_unpack(&keys, 1, bytes, SLOT_SMALL, &c), SLOT_SWAPPED);
	free(bytes);
}

static unsigned
count_files(struct fixture *f, const char *part)
{
	DIR *d = fdopendir(dup(f->dir));
	struct dirent *e;
	unsigned n = 0;

	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		n += strstr(e->d_name, part) != NULL;
	closedir(d);
	return n;
}

/* What cannot be explained is not written over; a new credential sets it aside. */
static void
test_never_written_over(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * SLOT_SMALL], kept[2 * SLOT_SMALL];
	struct store *s;
	struct store_account *a;
	char text[64];

	write_records(f, "billing", three, 3);
	write_records(f, "other", three, 1);
	assert_int_equal(slurp(f, "other.cred", bytes, sizeof(bytes)), sizeof(bytes));
	spew(f, "billing.cred", bytes, sizeof(bytes));
	s = open_store(f, &file_ops_system);
	a = open_account(s, "billing");
	assert_int_equal(write_text(a, 4, "four", false), -EUCLEAN);
	assert_int_equal(slurp(f, "billing.cred", kept, sizeof(kept)), sizeof(kept));
	assert_memory_equal(bytes, kept, sizeof(kept));
	assert_int_equal(write_text(a, 4, "four", true), 0);
	assert_int_equal(slurp(f, "billing.cred.aside-1", kept, sizeof(kept)), sizeof(kept));
	assert_memory_equal(bytes, kept, sizeof(kept));
	(void)store_account_free(a);
	(void)store_free(s);
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_string_equal(text, "four");
}

/* A damaged spare slot: the account goes on, in a new file, and the damaged one is kept. */
static void
test_damaged_goes_on(void **state)
{
	struct fixture *f = *state;
	struct store *s;
	struct store_account *a;
	uint8_t x = 0xff;
	char text[64];

	write_records(f, "billing", three, 3);
	patch(f, "billing.cred", SLOT_SMALL + 1000, &x, 1);
	patch(f, "billing.cred", SLOT_SMALL + 1001, &x, 1);
	s = open_store(f, &file_ops_system);
	a = open_account(s, "billing");
	assert_int_equal(store_account_status(a), FILE_DAMAGED);
	assert_int_equal(write_text(a, 4, "four", false), 0);
	assert_int_equal(write_text(a, 5, "five", false), 0);
	(void)store_account_free(a);
	(void)store_free(s);
	assert_int_equal(count_files(f, "aside"), 1);
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_string_equal(text, "five");
}

static void
test_changed_under_our_feet(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * SLOT_SMALL];
	struct store *s;
	struct store_account *a;

	write_records(f, "billing", three, 2);
	assert_int_equal(slurp(f, "billing.cred", bytes, sizeof(bytes)), sizeof(bytes));
	s = open_store(f, &file_ops_system);
	a = open_account(s, "billing");
	assert_int_equal(write_text(a, 3, "three", false), 0);
	spew(f, "billing.cred", bytes, sizeof(bytes));
	assert_int_equal(write_text(a, 4, "four", false), -ESTALE);
	assert_int_equal(unlinkat(f->dir, "billing.cred", 0), 0);
	assert_int_equal(write_text(a, 4, "four", false), -ESTALE);
	(void)store_account_free(a);
	a = open_account(s, "stranger");
	spew(f, "stranger.cred", bytes,
	    sizeof(bytes)); /* a file that appears where there was none */
	assert_int_equal(write_text(a, 1, "one", false), -ESTALE);
	(void)store_account_free(a);
	(void)store_free(s);
}

static void
test_outgrows_its_slots(void **state)
{
	struct fixture *f = *state;
	CLEANUP_SECRET struct secret *big = secret_new_zero(slot_capacity(SLOT_SMALL) + 1);
	CLEANUP_SECRET struct secret *bigger = secret_new_zero(slot_capacity(SLOT_LARGE) + 1);
	struct store *s;
	struct store_account *a;
	struct stat st;
	char text[64];

	memset(secret_fill(big), 'b', secret_len(big));
	write_records(f, "billing", three, 3);
	s = open_store(f, &file_ops_system);
	a = open_account(s, "billing");
	assert_int_equal(store_account_write(a, 4, bigger, false), -E2BIG);
	assert_int_equal(store_account_write(a, 4, big, false), 0);
	assert_int_equal(fstatat(f->dir, "billing.cred", &st, 0), 0);
	assert_int_equal(st.st_size, 2 * SLOT_LARGE);
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_int_equal(text[0], 'b');
	assert_int_equal(write_text(a, 5, "small again", false), 0);
	(void)store_account_free(a);
	(void)store_free(s);
	assert_int_equal(look(f, "billing", text), FILE_GOOD);
	assert_string_equal(text, "small again");
	assert_int_equal(count_files(f, "aside"), 0);
}

static void
test_names(void **state)
{
	struct fixture *f = *state;
	char longest[400], text[64];

	write_records(f, "../evil name/\xc3\xa4", three, 1);
	write_records(f, ".hidden", three, 1);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	write_records(f, longest, three, 2);
	assert_int_equal(count_files(f, "%2e.%2fevil%20name%2f%c3%a4.cred"), 1);
	assert_int_equal(count_files(f, "%2ehidden.cred"), 1);
	assert_int_equal(count_files(f, "%h"), 1);
	assert_int_equal(look(f, longest, text), FILE_GOOD);
	assert_string_equal(text, "two");
}

/*
 * Fails the Nth operation of a write, for every N, in every way: an error, half a write, and for
 * good. After each the last durable record or the new one is there, nothing in between; and a
 * repeated write succeeds.
 */
static void
fail_each(struct fixture *f, enum faulty_how how, size_t prior, size_t payload_len)
{
	for (unsigned long at = 1;; at++) {
		CLEANUP_SECRET struct secret *payload = secret_new_zero(payload_len);
		struct faulty faults = {.error = ENOSPC, .how = how};
		struct file_ops ops = faulty_ops(&faults);
		struct store *s;
		struct store_account *a;
		char text[64];
		int r;

		memset(secret_fill(payload), 'n', payload_len);
		empty_dir(f->dir);
		write_records(f, "billing", three, prior);
		s = open_store(f, &ops);
		a = open_account(s, "billing");
		faults.count = 0;
		faults.at = at;
		r = store_account_write(a, 9, payload, false);
		if (!faults.reached) {
			assert_int_equal(r, 0);
			(void)store_account_free(a);
			(void)store_free(s);
			assert_true(at > 4); /* the loop did something */
			return;
		}
		switch (look(f, "billing", text)) {
		case FILE_GOOD:
		case FILE_TORN:
			if (r == 0)
				assert_int_equal(text[0], 'n');
			else
				assert_true(text[0] == 'n' || strcmp(text, three[prior - 1]) == 0);
			break;
		case FILE_ABSENT:
			assert_true(prior == 0 && r < 0);
			break;
		default:
			fail_msg("operation %lu left a file that is not sound", at);
		}
		faults.at = 0;
		assert_int_equal(store_account_write(a, 9, payload, false), 0);
		(void)store_account_free(a);
		(void)store_free(s);
		assert_int_equal(look(f, "billing", text), FILE_GOOD);
		assert_int_equal(text[0], 'n');
	}
}

static void
test_fail_each_operation(void **state)
{
	for (size_t prior = 0; prior <= 3; prior++) {
		fail_each(*state, FAULTY_FAIL, prior, 10);
		fail_each(*state, FAULTY_SHORT, prior, 10);
		fail_each(*state, FAULTY_FAIL, prior, slot_capacity(SLOT_SMALL) + 1);
		fail_each(*state, FAULTY_SHORT, prior, slot_capacity(SLOT_SMALL) + 1);
	}
}

/* The same while a new store is made: afterwards it can be made, or is there. */
static void
test_fail_each_operation_of_a_new_store(void **state)
{
	struct fixture *f = *state;

	for (unsigned long at = 1;; at++) {
		struct faulty faults = {.error = EIO, .at = at, .how = FAULTY_SHORT};
		struct file_ops ops = faulty_ops(&faults);
		enum store_trouble trouble;
		struct store *s = NULL;
		bool made;
		int r;

		empty_dir(f->dir);
		r = store_open(&ops, f->dir, KEYSLOT_KEY_FILE, f->key, 0, &s, &made, &trouble);
		assert_int_equal(r, faults.reached ? -EIO : 0);
		(void)store_free(s);
		s = open_store(f, &file_ops_system);
		(void)store_free(s);
		if (!faults.reached)
			return;
	}
}

/* A disk without a free block: what is there may be written over, and nothing grows. */
static ssize_t
full_pwrite(void *arg, int fd, const void *from, size_t len, off_t at)
{
	const bool *is_full = arg;
	struct stat st;

	if (fstat(fd, &st) < 0 || (*is_full && at + (off_t)len > st.st_size))
		return -ENOSPC;
	return file_ops_system.pwrite(NULL, fd, from, len, at);
}

/* On a full disk a secret is replaced, a record may outgrow its slots, and an account may be new. */
static void
test_full_disk(void **state)
{
	static const char *const first[] = {"one"};
	struct fixture *f = *state;
	struct file_ops full = file_ops_system;
	size_t large = slot_capacity(SLOT_SMALL) + 1;
	CLEANUP_FREE char *text = calloc(1, large + 1);
	struct store_account *a, *b, *c;
	struct store *s;
	bool is_full = true;
	char found[64];

	full.pwrite = full_pwrite;
	full.arg = &is_full;
	memset(text, 'x', large);
	write_records(f, "old", first, 1);
	s = open_store(f, &file_ops_system);
	store_keep_spares(s);
	(void)store_free(s);

	s = open_store(f, &full);
	a = open_account(s, "old");
	b = open_account(s, "new");
	c = open_account(s, "third");
	for (int i = 0; i < 5; i++)
		assert_int_equal(write_text(a, 2, "two", false), 0);
	assert_int_equal(write_text(b, 1, "of the new one", false), 0);
	assert_int_equal(write_text(a, 3, text, false), 0);
	/* there is nothing left of which another could be made */
	assert_int_equal(write_text(c, 1, "x", false), -ENOSPC);
	store_keep_spares(s);
	assert_int_equal(write_text(c, 1, "x", false), -ENOSPC);
	is_full = false;
	store_keep_spares(s);
	is_full = true;
	assert_int_equal(write_text(c, 1, "x", false), 0);
	(void)store_account_free(a);
	(void)store_account_free(b);
	(void)store_account_free(c);
	(void)store_free(s);
	assert_int_equal(look(f, "new", found), FILE_GOOD);
	assert_string_equal(found, "of the new one");
	assert_int_equal(look(f, "third", found), FILE_GOOD);
	(void)unlinkat(f->dir, ".spare-small", 0);
	(void)unlinkat(f->dir, ".spare-large", 0);
}

static void
test_ledger_of_many(void **state)
{
	struct fixture *f = *state;
	struct store *s = open_store(f, &file_ops_system);
	char name[32], text[64];
	uint8_t x = 0xaa;

	for (int i = 0; i < 300; i++) {
		struct store_account *a;

		(void)snprintf(name, sizeof(name), "account-%d", i);
		a = open_account(s, name);
		assert_int_equal(write_text(a, 1, name, false), 0);
		assert_int_equal(write_text(a, 1, name, false), 0);
		(void)store_account_free(a);
	}
	(void)store_free(s);
	patch(f, "ledger", 64 * 7 + 33, &x, 1);
	s = open_store(f, &file_ops_system);
	assert_int_equal(store_ledger_bad(s), 1);
	(void)store_free(s);
	assert_int_equal(unlinkat(f->dir, "account-299.cred", 0), 0);
	assert_int_equal(unlinkat(f->dir, "account-7.cred", 0), 0);
	assert_int_equal(look(f, "account-299", text), FILE_LOST);
	assert_int_equal(
	    look(f, "account-7", text), FILE_ABSENT); /* its entry is the one that was spoilt */
	assert_int_equal(look(f, "account-150", text), FILE_GOOD);
}

#define STORE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    STORE_TEST(test_records_come_back),
	    STORE_TEST(test_nothing_in_the_clear),
	    STORE_TEST(test_each_octet_flipped),
	    STORE_TEST(test_torn_at_each_offset),
	    STORE_TEST(test_truncated),
	    STORE_TEST(test_file_of_another_account),
	    STORE_TEST(test_rolled_back_and_lost),
	    STORE_TEST(test_other_key_and_other_store),
	    STORE_TEST(test_other_key_of_same_store),
	    STORE_TEST(test_never_written_over),
	    STORE_TEST(test_damaged_goes_on),
	    STORE_TEST(test_changed_under_our_feet),
	    STORE_TEST(test_outgrows_its_slots),
	    STORE_TEST(test_names),
	    STORE_TEST(test_fail_each_operation),
	    STORE_TEST(test_fail_each_operation_of_a_new_store),
	    STORE_TEST(test_full_disk),
	    STORE_TEST(test_ledger_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
