/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.h: a person signing in by a code that is typed in on another device (RFC 8628).
 *
 *     AUTHORIZE_DEVICE ─▶ DEVICE_REQUEST ─▶ AUTHORIZE_CODE ─▶ TOKEN_REQUEST ... ─▶ attempt.h
 */
#ifndef FRANK_BROKER_KEEPER_SIGN_IN_DEVICE_H
#define FRANK_BROKER_KEEPER_SIGN_IN_DEVICE_H

#include "broker/keeper/sign-in/attempt.h"

/* AUTHORIZE_DEVICE of an administrator. */
void device_start(struct attempts *all, struct client *c, const struct message *m);

#endif
