/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * report.h: makes messages of ours about messages of others: bounces, warnings of delay, "relayed".
 *
 * They go out through the same account, from its mailbox: a submission server takes no null sender
 * and no address that is not the account's. None is ever made about a report.
 */
#ifndef FRANK_BROKER_QUEUE_DELIVERY_REPORT_H
#define FRANK_BROKER_QUEUE_DELIVERY_REPORT_H

#include "broker/queue/accounts/account.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/spool/commit.h"

enum report_kind { REPORT_FAILED, REPORT_DELAYED, REPORT_RELAYED, REPORT_KINDS };

/* No report uses more of the original than so many octets from its beginning. */
enum { REPORT_ORIGINAL_MAX = 256 * 1024 };

/* What reports are made with; all borrowed. */
struct reports {
	struct spool *spool;
	struct commit *commit;
	const struct clock *clock;
	const struct queue_settings *settings; /* in force */
};

/* The report on recipients of `m` (indices in `which`), ready to be stored; NULL where none can be made.
 * Whether one is wanted at all is report_wanted's business. */
struct spool_message *report_make(const struct reports *x, const struct queue_account *a,
    const struct spool_message *m, enum report_kind kind, const size_t *which, size_t count);
/* Does somebody get a report of this kind on this recipient? */
bool report_wanted(const struct reports *x, const struct spool_message *m,
    const struct spool_recipient *r, enum report_kind kind);
/* What becomes of a recipient that is refused for good: BOUNCED where the sender gets a report, or wants
 * none; FAILED where there is nobody to send one to. */
enum spool_state report_refused_state(
    const struct reports *x, const struct spool_message *m, const struct spool_recipient *r);

#endif
