/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * entry.h: who may use the console: the user who started it, in one browser.
 *
 * Every user of the machine can connect to a port of loopback, and every page that a browser shows can send requests there. So:
 *   - at an address of loopback, the kernel says whose a connection is (peer-uid.h): others than the caller and root are refused, where
 *     it can say that;
 *   - a secret address, good for one request, is exchanged for a cookie (256 bits each; HttpOnly, SameSite=Strict), and without that
 *     nothing is answered;
 *   - what changes something needs a header with a third secret, which a page of another origin can neither read nor send;
 *   - names that lead here from elsewhere, and pages of other origins, are refused by httpd.
 */
#ifndef FRANK_CONSOLE_ENTRY_H
#define FRANK_CONSOLE_ENTRY_H

#include <stdbool.h>

#include "httpd/httpd.h"

struct gatekeeper;

/* Draws the secrets. `by_port`: it listens at an address, not at a Unix socket, whose mode says who may connect. NULL:
 * *ret_error is a negative errno. */
struct gatekeeper *entry_new(bool by_port, int *ret_error);
/* Takes and returns NULL. */
struct gatekeeper *entry_free(struct gatekeeper *e);

/* The path of the one-time address, "/enter/..."; and what the header X-Frank-Guard has to be. Borrowed. */
const char *entry_path(const struct gatekeeper *e);
const char *entry_guard(const struct gatekeeper *e);

/* May this request be handled? False: it was answered. */
bool entry_admit(struct gatekeeper *e, struct httpd_request *r);

/* The exchange; their argument is the struct gatekeeper. */
extern const struct httpd_route entry_routes[];

#endif
