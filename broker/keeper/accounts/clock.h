/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * clock.h: the time as the token machine takes it.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_CLOCK_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_CLOCK_H

#include "broker/keeper/accounts/machine.h"

/* Ages run on CLOCK_BOOTTIME, which goes on while the machine sleeps and is never set; what is
 * stored or shown is wall time. */
struct machine_now clock_now(void);

#endif
