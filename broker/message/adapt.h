/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * adapt.h: makes a message fit for a server that takes less than it needs. No I/O.
 */
#ifndef FRANK_BROKER_MESSAGE_ADAPT_H
#define FRANK_BROKER_MESSAGE_ADAPT_H

#include "broker/ipc/job.h"

/*
 * Changes the job for a server that offers `extensions` (bits of enum smtp_extension):
 *
 *   without SMTPUTF8  domains that are not ASCII become A-labels (RFC 5891), in the envelope and in the
 *                     header's fields of addresses; a local part has no such form;
 *   without 8BITMIME  the body becomes quoted-printable or base64 (RFC 6152 section 3).
 *
 * What a signature covers is not changed. Where something stays that the server does not take, the job's
 * `unfit` says why, and the engine refuses it by the missing extension. Job and server may meet again:
 * what was changed is good for every server.
 *
 * 0 or -ENOMEM.
 */
int adapt_job(struct job *j, unsigned extensions);

#endif
