/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-pair.h: frank-tls --check-pair, by which frankd, which links no TLS library, learns whether a certificate and a key can be used
 * together.
 *
 * Standard input is a regular file: the certificate's chain, a NUL and the key, both PEM. Standard output gets a sentence where they
 * cannot be used. The exit status is 0 where they can, CHECK_PAIR_BAD where not; anything else is no answer. It ends within ten
 * seconds, and opens nothing.
 */
#ifndef FRANK_BROKER_TLS_CHECK_PAIR_H
#define FRANK_BROKER_TLS_CHECK_PAIR_H

enum { CHECK_PAIR_BAD = 1 };

/* Returns the exit status. */
int check_pair(void);

#endif
