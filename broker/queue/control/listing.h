/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * listing.h: the list of the queue as mailq prints it.
 */
#ifndef FRANK_BROKER_QUEUE_CONTROL_LISTING_H
#define FRANK_BROKER_QUEUE_CONTROL_LISTING_H

#include "broker/queue/control/control.h"

/*
 * What mailq prints of the messages of `owner` (copied), written to `out` in steps; then `done`, never from within this
 * call, with false where memory or the disk failed. NULL: no memory. What is not shown for want of
 * room in `out` is counted.
 */
typedef void listing_done(void *arg, bool good);
struct listing *listing_new(const struct control_deps *deps, const struct mail_owner *owner,
    struct buf *out, listing_done *done, void *arg);
/* Also while it is being made. Takes NULL; returns NULL. */
struct listing *listing_free(struct listing *l);

#endif
