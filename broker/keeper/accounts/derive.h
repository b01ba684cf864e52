/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * derive.h: passwords that are made out of another secret. Pure.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_DERIVE_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_DERIVE_H

#include "base/secret.h"

/*
 * The SMTP password of Amazon SES (Amazon SES Developer Guide, "Obtaining Amazon SES SMTP
 * credentials", version 4): a chain of HMAC-SHA256 over the secret access key of an IAM user and the
 * region. NULL when memory is out.
 */
struct secret *derive_ses_password(const struct secret *key, const char *region);

#endif
