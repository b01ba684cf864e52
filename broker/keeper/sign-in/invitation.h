/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * invitation.h: an address that is sent to the mailbox's owner, who signs in on a machine of their own
 * and sends back where the browser ended.
 *
 *     AUTHORIZE_INVITE ─▶ AUTHORIZE_URL        (days, restarts)        AUTHORIZE_FINISH ─▶ authorize.h
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_INVITATION_H
#define FRANK_BROKER_KEEPER_SIGN_IN_INVITATION_H

#include "broker/keeper/sign-in/attempt.h"

/* AUTHORIZE_INVITE and AUTHORIZE_FINISH of an administrator. */
void invitation_start(struct attempts *all, struct client *c, const struct message *m);
void invitation_answer(struct attempts *all, struct client *c, const struct message *m);

#endif
