/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-command: command lines of clients, and the arguments of MAIL and RCPT (base/smtp/smtp.h).
 * What is accepted for an envelope is fit for one, and parameters that are written again are read
 * the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/smtp/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_rcpt(const char *address, const struct smtp_rcpt_params *p)
{
	CLEANUP_BUF struct buf line = BUF_INIT(2048);
	char back[ADDRESS_MAX + 1];
	struct smtp_rcpt_params again;
	const char *why;

	if (buf_printf(&line, "TO:<%s>", address) < 0 || smtp_rcpt_params_format(&line, p) < 0)
		return;
	if (smtp_rcpt_parse(line.data, line.len, ~0U, back, &again, &why) != 0 ||
	    strcmp(back, address) != 0 || again.notify != p->notify ||
	    strcmp(again.orcpt, p->orcpt) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char address[ADDRESS_MAX + 1];
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;
	struct smtp_command c;
	const char *why = NULL;
	int code;

	smtp_command_parse((const char *)data, size, &c);
	if (c.argument_len > size)
		abort();
	code = smtp_mail_parse(c.argument, c.argument_len, ~0U, address, &mail, &why);
	if (code != 0 && why == NULL)
		abort();
	if (code == 0 && *address != '\0' && !address_is_valid(address, strlen(address), true))
		abort();
	code = smtp_rcpt_parse(c.argument, c.argument_len, ~0U, address, &rcpt, &why);
	if (code != 0 && why == NULL)
		abort();
	if (code == 0)
		check_rcpt(address, &rcpt);
	return 0;
}
