/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * difference.h: in what two checks differ, for `frank check --compare`: why it works in one place and not in the other.
 *
 * What is compared is a table (difference.c): configuration, credential, policy, what the server offered, how each step ended,
 * what DNS says. Sets (mechanisms, scopes, extensions) are compared as sets; in sentences the mailbox, its domain and the server's
 * name of each side count as the same, since they differ wherever two accounts do. Pure.
 */
#ifndef FRANK_ADMIN_DIFFERENCE_H
#define FRANK_ADMIN_DIFFERENCE_H

#include <jansson.h>

/*
 * `a` and `b`: objects as `frank check --json` prints them; what one lacks is no difference where the other lacks it, too. Returns a
 * new array of objects with "item" (what differs), "a" and "b" (text; null: absent), and "means" (what follows for a person), in the
 * order in which a message meets them. NULL: no memory.
 */
json_t *difference_find(const json_t *a, const json_t *b);

#endif
