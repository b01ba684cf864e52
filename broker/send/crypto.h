/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * crypto.h: the random numbers, hashes and key stretching that base/smtp/scram.h needs, by libcrypto.
 */
#ifndef FRANK_BROKER_SEND_CRYPTO_H
#define FRANK_BROKER_SEND_CRYPTO_H

#include "base/smtp/scram.h"

extern const struct scram_crypto crypto_for_scram;

#endif
