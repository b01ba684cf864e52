/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * ledger.h: remembers, beside the records, how often each account was written, so that an account's
 * file that was put back from an older copy is noticed.
 *
 * It guards against mistakes, not against somebody who can put back the ledger as well; a whole
 * folder put back from a backup is consistent with itself and therefore accepted. It is never
 * synced: it is written after the record is durable, so it can lag behind and never be ahead.
 */
#ifndef FRANK_TOKENSTORE_LEDGER_H
#define FRANK_TOKENSTORE_LEDGER_H

#include "base/secret.h"
#include "tokenstore/file-ops.h"
#include "tokenstore/slot.h"

struct ledger;

/* Opens or makes the file "ledger" below `dir` and reads it whole. `ops` and `master` are borrowed.
 * Entries that are not authentic, neither under `old` where that is not NULL, are passed over and
 * counted in *ret_bad. 0 or negative errno. */
int ledger_open(const struct file_ops *ops, int dir, const struct secret *master,
    const struct secret *old, const uint8_t store_id[STORE_ID], struct ledger **ret,
    unsigned *ret_bad);
struct ledger *ledger_free(struct ledger *l);

/* The sequence last noted for an account, or 0. */
uint64_t ledger_get(const struct ledger *l, const uint8_t account[SEAL_HASH]);

/* Notes a higher sequence. 0 or negative errno; memory is changed in any case but -ENOMEM. */
int ledger_set(struct ledger *l, const uint8_t account[SEAL_HASH], uint64_t sequence);

/* Writes every entry anew, authentic under another master key, and syncs. 0 or negative errno: then
 * it is to be called again before the key before is given up. */
int ledger_rekey(struct ledger *l, const struct secret *master);

#endif
