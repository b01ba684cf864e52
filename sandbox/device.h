/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.h: the device authorization grant (RFC 8628): who asked with which codes, and what a person answered.
 *
 * Only a hash of the device code is kept. No system call but the caller's random numbers, no clock: `now` is in seconds.
 */
#ifndef FRANK_SANDBOX_DEVICE_H
#define FRANK_SANDBOX_DEVICE_H

#include "sandbox/grant.h"

enum { DEVICE_USER_CODE_SIZE = 10 /* XXXX-XXXX */ };

struct devices;

enum device_result {
	DEVICE_GRANTED,
	DEVICE_PENDING,
	DEVICE_SLOW_DOWN, /* asked before the interval was over, which grows by five seconds (section 3.5) */
	DEVICE_DENIED,
	DEVICE_EXPIRED,
	DEVICE_UNKNOWN, /* no such code, of another client, or used */
};

/* NULL: no memory. Takes and returns NULL. */
struct devices *devices_new(grants_random *random);
struct devices *devices_free(struct devices *d);

/* Begins a flow of `life` seconds, to be asked for each `interval` seconds: appends the device code to `ret_code` and writes the user
 * code. 0 or negative errno. The oldest of many give way. */
int devices_begin(struct devices *d, const char *client, const char *scope, unsigned life,
    unsigned interval, uint64_t now, struct buf *ret_code,
    char ret_user_code[DEVICE_USER_CODE_SIZE]);

/* The flow that a person means by a user code, in any case and with any punctuation: its code as it was written, its client and scope,
 * borrowed until the next call. False: none, or it is over or answered. */
bool devices_find(struct devices *d, const char *typed, uint64_t now, const char **ret_user_code,
    const char **ret_client, const char **ret_scope);

/* The person's answer; `account` NULL: no. False: as above. */
bool devices_answer(struct devices *d, const char *user_code, const char *account, uint64_t now);

/* The device asks. DEVICE_GRANTED ends the flow; account and scope are borrowed until the next call. */
enum device_result devices_poll(struct devices *d, const char *code, const char *client,
    uint64_t now, const char **ret_account, const char **ret_scope);

#endif
