/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* qr.c: see qr.h. The code itself is libqrencode's work. */
#include "admin/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MARGIN = 2 /* modules */ };

bool
qr_can_show(void)
{
	static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *value = secure_getenv(variables[i]);

		if (value != NULL && *value != '\0')
			return strcasestr(value, "UTF-8") != NULL ||
			       strcasestr(value, "UTF8") != NULL;
	}
	return false;
}

static bool
is_dark(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return false;
	return (code->data[y * code->width + x] & 1) != 0;
}

/* Of two modules, one above the other, the drawn half. */
static const char *
half_block(bool above, bool below)
{
	return above ? below ? "\xe2\x96\x88" : "\xe2\x96\x80" : below ? "\xe2\x96\x84" : " ";
}

int
qr_draw(const char *text, unsigned columns, bool colour, struct buf *ret)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	int r = 0;

	if (code == NULL)
		return errno == ENOMEM ? -ENOMEM : -EMSGSIZE;
	if ((unsigned)code->width + 2 * MARGIN > columns)
		r = -EMSGSIZE;
	for (int y = -MARGIN; r == 0 && y < code->width + MARGIN; y += 2) {
		if (colour)
			(void)buf_append_str(ret, "\033[38;5;16;48;5;231m");
		for (int x = -MARGIN; x < code->width + MARGIN; x++) {
			bool above = is_dark(code, x, y), below = is_dark(code, x, y + 1);

			(void)buf_append_str(
			    ret, colour ? half_block(above, below) : half_block(!above, !below));
		}
		(void)buf_append_str(ret, colour ? "\033[0m\n" : "\n");
	}
	QRcode_free(code);
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}
