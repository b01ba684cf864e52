/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * report.h: how the accounts stand, reported to queue and to the log.
 *
 * Queue learns of all accounts when it connects and after each reload, and of one when it changes. Where
 * its channel is full, the rest is reported once there is room again.
 */
#ifndef FRANK_BROKER_KEEPER_ACCOUNTS_REPORT_H
#define FRANK_BROKER_KEEPER_ACCOUNTS_REPORT_H

#include "broker/keeper/accounts/accounts.h"

struct state_reports {
	struct role *role;         /* borrowed */
	struct accounts *accounts; /* borrowed */
	bool due;                  /* some account is still to be reported (account.report_due) */
};

/* The account's state or its text may have changed: into the log, where it has, and to queue. */
void report_changed(struct state_reports *r, struct account *a);
/* Reports one account to queue, changed or not. */
void report_account(struct state_reports *r, struct account *a);
void report_all(struct state_reports *r);
/* The channel to queue has room again. */
void report_writable(struct state_reports *r);

#endif
