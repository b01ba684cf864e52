/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * qr.h: an address as a QR code in the terminal, for a telephone's camera.
 */
#ifndef FRANK_ADMIN_QR_H
#define FRANK_ADMIN_QR_H

#include <stdbool.h>

#include "base/buf.h"

/* Can the terminal's character set (by the locale's variables) show the half blocks? */
bool qr_can_show(void);

/*
 * Draws `text` with half blocks, two rows of modules a line, a margin around it. `colour`: black on
 * white whatever the terminal's colours; without it, light modules are drawn, for a dark terminal.
 * 0; -EMSGSIZE where no QR code holds the text, or it would be wider than `columns`; -ENOMEM.
 */
int qr_draw(const char *text, unsigned columns, bool colour, struct buf *ret);

#endif
