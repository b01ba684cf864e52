/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* account.h: reads an account of the configuration. Private to broker/conf. */
#ifndef FRANK_BROKER_CONF_ACCOUNT_H
#define FRANK_BROKER_CONF_ACCOUNT_H

#include "broker/conf/loader.h"

/* Adds the account of a block to loader.conf. 0 or -ENOMEM; what is wrong with it goes to loader.raw. */
int account_add(struct loader *l, const struct raw_block *b);

#endif
