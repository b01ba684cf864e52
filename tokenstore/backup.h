/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * backup.h: every record of a token store in one file, sealed by a passphrase alone, so that it opens
 * on another host and under another key. The format stands at the head of backup.c.
 *
 * The file is written and read in one pass, a record at a time, through a descriptor of the caller's.
 */
#ifndef FRANK_TOKENSTORE_BACKUP_H
#define FRANK_TOKENSTORE_BACKUP_H

#include "base/secret.h"
#include "tokenstore/file-ops.h"
#include "tokenstore/seal.h"

enum { BACKUP_HEADER = 128, BACKUP_NAME_MAX = 255, BACKUP_SALT = 32 };

enum backup_verdict {
	BACKUP_GOOD,
	BACKUP_END,              /* the last record was read before */
	BACKUP_WRONG_PASSPHRASE, /* the file is sound as far as can be told without it */
	BACKUP_DAMAGED,          /* no backup, cut short, or octets changed */
	BACKUP_NEWER,            /* of a later release */
	BACKUP_FAILED,           /* the disk, memory or libcrypto */
};

/* A sentence for a person; never NULL. */
const char *backup_verdict_text(enum backup_verdict v);

/* One account's. `name` is the account's; `payload` the octets of credential.c, owned. */
struct backup_record {
	char name[BACKUP_NAME_MAX + 1];
	uint64_t generation;
	struct secret *payload;
};
void backup_record_clear(struct backup_record *r);

/* A file on its way, in either direction; zeroed before the begin, backup_clear after the end. */
struct backup {
	const struct file_ops *ops;
	int fd; /* borrowed */
	off_t at;
	uint64_t frames;
	uint64_t made_at; /* seconds since 1970 */
	struct secret *key;
	uint8_t header[BACKUP_HEADER];
};
void backup_clear(struct backup *b);

/* 0 or negative errno; -EINVAL for a passphrase that does not fit (keyslot_key_fits), -E2BIG for a
 * name or a payload that is too long. Begin takes what scrypt takes: SCRYPT_LOG2N. */
int backup_write_begin(struct backup *b, const struct file_ops *ops, int fd,
    const struct secret *passphrase, uint64_t wall);
int backup_write_record(
    struct backup *b, const char *name, uint64_t generation, const struct secret *payload);
/* Writes the end, without which the file does not count, and syncs. */
int backup_write_end(struct backup *b);

enum backup_verdict backup_read_begin(
    struct backup *b, const struct file_ops *ops, int fd, const struct secret *passphrase);
/* BACKUP_GOOD with *ret (overwritten; the caller's to clear), or BACKUP_END, or what is wrong. */
enum backup_verdict backup_read_record(struct backup *b, struct backup_record *ret);

#endif
