/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* event-kinds.h: the kinds of events that there are, as `events` and `record` of a receiver name them (frank.conf(5), notify), and as
 * metrics count them. Who makes them: broker/queue/notify/notify.c and message-event.c. */
#ifndef FRANK_BROKER_CONF_EVENT_KINDS_H
#define FRANK_BROKER_CONF_EVENT_KINDS_H

#define EVENT_KINDS                                                                            \
	"needs-authorization", "refused", "client-error", "configuration",                     \
	    "client-secret-expires", "certificate-expires", "consent-lapses", "mail-failed",   \
	    "mail-held", "mail-returned", "drop-refused", "disk-full", "out-of-force",         \
	    "spool-error", "recovered", "events-dropped", "accepted", "delivered", "deferred", \
	    "bounced", "rejected", "failed", "in-doubt", "captured", "released"

#endif
