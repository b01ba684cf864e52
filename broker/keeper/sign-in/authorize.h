/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authorize.h: a person signing in by the authorization code grant with PKCE (RFC 6749, 7636, 8252,
 * 9207).
 *
 *     AUTHORIZE ─▶ AUTHORIZE_URL ─▶ AUTHORIZE_CALLBACK ─▶ TOKEN_REQUEST ─▶ attempt.h
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_AUTHORIZE_H
#define FRANK_BROKER_KEEPER_SIGN_IN_AUTHORIZE_H

#include "broker/keeper/sign-in/attempt.h"

/* AUTHORIZE and AUTHORIZE_CALLBACK of an administrator. */
void authorize_start(struct attempts *all, struct client *c, const struct message *m);
void authorize_callback(struct attempts *all, struct client *c, const struct message *m);

/* ---- for invitations, which share these steps ---- */

/* Begins an attempt for account and redirect address of `m`, logs `sentence`, and calls `next` when the
 * endpoints are known. Where that cannot be, the client learns why. */
void authorize_begin(struct attempts *all, struct client *c, const struct message *m,
    const char *sentence, void (*next)(struct attempt *t));
/* Makes AUTHORIZE_URL, with the address to open. NULL: the attempt has ended for want of it. */
struct message *authorize_make_url(struct attempt *t);
/* What the browser came back with (CALLBACK of `m`); the attempt's client is the one that brings it. */
void authorize_take_callback(struct attempt *t, const struct message *m);

#endif
