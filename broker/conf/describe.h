/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* describe.h: what the configuration has, for a program that adds an account to it. */
#ifndef FRANK_BROKER_CONF_DESCRIBE_H
#define FRANK_BROKER_CONF_DESCRIBE_H

#include "broker/conf/load.h"

/*
 * What somebody who adds an account needs to know: the files that `include` of `path` names, the
 * accounts and services there are, and the providers, presets and own ones; a line each, fields
 * between tabs:
 *
 *     configuration TAB path                 `path` itself, which need not be there
 *     include TAB pattern, absolute
 *     service TAB name
 *     service TAB name TAB users TAB value   in file order
 *     account TAB name
 *     provider TAB name TAB key TAB value   key: title, also-called, domains, mx, grants, note, or
 *                                           "needs" with tenant, region, submit or
 *                                           client-secret
 *
 * Faults of the files go to `report`; what could be read is told all the same. 0 or -ENOMEM.
 */
int describe_conf(
    const char *path, const struct conf_environment *env, struct buf *ret, struct buf *report);

#endif
