/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * dkim.h: with which keys the mail of an account is signed, as far as its DKIM-Signature fields (RFC 6376
 * section 3.5) tell: for checks, which look the keys up. Pure.
 *
 * A list of keys is text: "SELECTOR DOMAIN" and LF for each, the latest first, without repetitions.
 */
#ifndef FRANK_BROKER_MESSAGE_DKIM_H
#define FRANK_BROKER_MESSAGE_DKIM_H

#include "base/buf.h"
#include "base/header.h"

/* A list has at most so many keys; a name in it at most so many octets; so it fits into DKIM_LIST. */
enum {
	DKIM_KEYS_MAX = 4,
	DKIM_NAME_MAX = 253,
	DKIM_LIST = DKIM_KEYS_MAX * (2 * DKIM_NAME_MAX + 2) + 1
};

/* Puts the key that the value of a DKIM-Signature field names in front of the list; one that is no signature,
 * or names no host names, changes nothing. `list` has DKIM_LIST octets. */
void dkim_read(const char *value, size_t len, char *list);

/* Puts the keys of `more` in front of those of `list`, which has DKIM_LIST octets. Are there any that it did not have? */
bool dkim_merge(char *list, const char *more);

/* The names of the fields that signatures cover: h= of DKIM-Signature and of ARC-Message-Signature (RFC 6376
 * section 3.5, RFC 8617 section 4.1.2). Zero-initialised it is empty. Names point into the values they came from. */
struct dkim_names {
	struct dkim_name {
		const char *at;
		size_t len;
	} * list;
	size_t count, room;
	bool all; /* one does not say which: every field may be covered */
};

/* Adds those of one signature. 0 or -ENOMEM. */
int dkim_names_add(struct dkim_names *n, const char *value, size_t len);
/* To be called once behind the last dkim_names_add. */
void dkim_names_sort(struct dkim_names *n);
/* Is the field `name` covered? One that is absent is so too where it is named: adding it breaks the signature. */
bool dkim_names_have(const struct dkim_names *n, const char *name, size_t len);
void dkim_names_clear(struct dkim_names *n);

#endif
