/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* figures.h: figures of the last hour, for plots: taken from `frank status` and, for administrators, `frank metrics`. */
#ifndef FRANK_CONSOLE_FIGURES_H
#define FRANK_CONSOLE_FIGURES_H

#include "console/run.h"
#include "httpd/httpd.h"

enum { FIGURES_SECONDS = 10, FIGURES_KEPT = 360 };

struct figures;

/* Begins to take samples. `sampled` is called after each. NULL: no memory. */
struct figures *figures_new(
    struct event_base *base, struct run_pool *runner, void (*sampled)(void *arg), void *arg);
/* Takes and returns NULL. */
struct figures *figures_free(struct figures *f);

/* Did frankd take the caller for an administrator when it was last asked? */
bool figures_administrator(const struct figures *f);

/* GET /api/console/figures; the argument is the figures. */
void figures_serve(void *arg, struct httpd_request *r);

#endif
