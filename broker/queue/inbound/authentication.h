/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authentication.h: AUTH on a listener: a caller names a service by its password. One per session;
 * it lives as long as the session's engine.
 *
 * A failure is answered after two seconds, and the third one ends the session. A caller that fails too
 * often is refused at once for a while (usage.h). Each failure is a line in the log. The line has the
 * given name only if a service has that name: anything else may be a password in the wrong place.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_AUTHENTICATION_H
#define FRANK_BROKER_QUEUE_INBOUND_AUTHENTICATION_H

#include "broker/queue/inbound/submission.h"

struct authentication;
struct usage;

/* `proceed` is called when an answer that was held back is given. `caller`, `usage` and `ops` are borrowed.
 * NULL: no memory. */
struct authentication *authentication_new(struct inbound *in, const struct caller *caller,
    struct usage *usage, const struct submission_ops *ops, void *arg);
struct authentication *authentication_free(struct authentication *a);

/* What smtp_server_ops.auth asks. */
enum smtp_decision authentication_step(struct authentication *a, struct smtp_server *engine,
    const char *mechanism, const char *response, size_t len);

/* The exchange under way ended without a decision. */
void authentication_cancel(struct authentication *a);
/* TLS begins: nothing that was said before counts (RFC 3207 section 4.2). */
void authentication_forget(struct authentication *a);

/* The service that the caller logged in as; NULL: it did not. */
const char *authentication_name(const struct authentication *a);
/* The service itself. NULL also where it is not configured any more, or has another password now. */
struct service *authentication_service(const struct authentication *a);

#endif
