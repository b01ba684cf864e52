/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-address: address lists (base/address.h). What the parser gives must parse to the same again,
 * alone, and must be fit for an envelope: it comes through MAIL's parser unchanged, and the SMTP client
 * takes it. The same holds for what address_read makes of any octets.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
same(void *arg, const struct address_item *item)
{
	const char **expected = arg;

	if (*expected == NULL || strcmp(*expected, item->address) != 0)
		abort();
	*expected = NULL;
	return 0;
}

static void
check_envelope(const char *address)
{
	char back[ADDRESS_MAX + 1], line[ADDRESS_MAX + 16];
	struct smtp_mail_params params;
	const char *why;
	int len = snprintf(line, sizeof(line), "FROM:<%s>", address);

	if (smtp_mail_parse(line, (size_t)len, 0, back, &params, &why) != 0 ||
	    strcmp(back, address) != 0)
		abort();
}

static void
check_client(const char *address)
{
	static const struct smtp_client_config config = {
	    .host = "mx.test", .ehlo_name = "client.test", .tls = SMTP_TLS_NONE};
	const struct smtp_client_recipient to = {address, ""};
	const struct smtp_client_job job = {
	    .sender = address, .recipients = &to, .recipient_count = 1, .body = "", .envid = ""};
	struct smtp_client *c = smtp_client_new(&config, 0);
	size_t len;

	if (c == NULL)
		abort();
	smtp_client_input(c, "220 x\r\n", 7, 0);
	(void)smtp_client_output(c, &len);
	smtp_client_wrote(c, len, 0);
	smtp_client_input(c, "250 x\r\n", 7, 0);
	if (smtp_client_submit(c, &job, 0) != 0)
		abort();
	(void)smtp_client_free(c);
}

static void
check_read(const char *text, size_t len, bool bare_local)
{
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX), again = BUF_INIT(ADDRESS_MAX);

	if (address_read(text, len, bare_local, &address) < 0)
		return;
	if (!address_is_valid(address.data, address.len, bare_local) ||
	    address_read(address.data, address.len, bare_local, &again) != 0 ||
	    strcmp(address.data, again.data) != 0)
		abort();
	check_envelope(address.data);
	check_client(address.data);
}

static int
visit(void *arg, const struct address_item *item)
{
	const char *expected = item->address;
	size_t len = strlen(item->address);
	CLEANUP_BUF struct buf angle = BUF_INIT(2 * len + 16);

	if (len == 0 || !address_equal(item->address, item->address))
		abort();
	if (buf_printf(&angle, "<%s>", item->address) < 0)
		return -1;
	if (address_list_parse(angle.data, angle.len, same, &expected, NULL) != 0 ||
	    expected != NULL)
		abort();
	if (!address_is_valid(item->address, len, true))
		abort();
	check_envelope(item->address);
	check_client(item->address);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	if (size > 4096)
		return 0;
	check_read((const char *)data, size, size % 2 == 0);
	(void)address_list_parse((const char *)data, size, visit, NULL, &at);
	if (at > size)
		abort();
	return 0;
}
