/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * crypto.h: libcrypto behind what base/smtp/scram.h asks for.
 */
#ifndef FRANK_BROKER_SEND_CRYPTO_H
#define FRANK_BROKER_SEND_CRYPTO_H

#include "base/smtp/scram.h"

extern const struct scram_crypto crypto_for_scram;

#endif
