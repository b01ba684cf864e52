/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-backup.c: a backup's header and frames, and the inside of a frame that opened. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* with its inside: what a frame holds */
#include "tokenstore/backup.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *data;
	size_t size;
};

static ssize_t
bytes_pread(void *arg, int fd, void *to, size_t len, off_t at)
{
	const struct bytes *b = arg;
	size_t left = (size_t)at < b->size ? b->size - (size_t)at : 0;

	if (len > left)
		len = left;
	if (len > 0)
		memcpy(to, b->data + at, len);
	return (ssize_t)len;
}

static int64_t
bytes_size(void *arg, int fd)
{
	return (int64_t)((const struct bytes *)arg)->size;
}

/* The first octet chooses: the frames under a key that is known, or the inside of one. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {0};
	struct file_ops ops = {.pread = bytes_pread, .size = bytes_size, .arg = &bytes};
	struct backup_record record;
	struct backup b = {.ops = &ops};

	if (size < 1 || size > SECRET_MAX)
		return 0;
	bytes = (struct bytes){.data = data + 1, .size = size - 1};
	if (data[0] & 1) {
		(void)parse_record(data + 1, size - 1, &record);
		backup_record_clear(&record);
		return 0;
	}
	b.key = secret_new_zero(SEAL_KEY);
	while (backup_read_record(&b, &record) == BACKUP_GOOD)
		backup_record_clear(&record);
	backup_record_clear(&record);
	backup_clear(&b);
	return 0;
}
