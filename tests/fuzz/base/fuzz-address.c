/*
 * fuzz-address: address lists (base/address.h). What the parser gives must parse to the same again,
 * alone; an address that is fit for an envelope must come through MAIL's parser unchanged.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/smtp/smtp.h"

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
	if (address_is_valid(item->address, len, true))
		check_envelope(item->address);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	if (size > 4096)
		return 0;
	(void)address_is_valid((const char *)data, size, size % 2 == 0);
	(void)address_list_parse((const char *)data, size, visit, NULL, &at);
	if (at > size)
		abort();
	return 0;
}
