/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * chaos.h: Mailpit's /api/v1/chaos over the faults: three triggers, each with an ErrorCode of 400 to 599 and a Probability of 0 to 100.
 *
 *   {"Authentication": {"ErrorCode": 535, "Probability": 0}, "Recipient": {...}, "Sender": {...}}
 */
#ifndef FRANK_SANDBOX_CHAOS_H
#define FRANK_SANDBOX_CHAOS_H

#include "sandbox/fault.h"

/* The answer to GET, and to PUT: a new reference; NULL: no memory. */
json_t *chaos_get(struct faults *f);

/* Takes the body of PUT. As Mailpit does it, a trigger that is left out is reset to never. 0, or -EINVAL and nothing is changed:
 * `*ret_why` says what is wrong, a constant. */
int chaos_put(struct faults *f, const json_t *body, const char **ret_why);

#endif
