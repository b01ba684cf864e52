/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-aliases: the text of /etc/aliases (base/aliases.h). Whatever stands there is read to its end, every name in it can be
 * expanded, and an expansion gives the same twice, within its bound and with addresses alone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/aliases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	struct buf text;
	unsigned count;
};

static int
visit(void *arg, const char *address)
{
	struct found *f = arg;

	if (!address_is_valid(address, strlen(address), true) || ++f->count > ALIASES_EXPANSION_MAX)
		abort();
	(void)buf_append(&f->text, address, strlen(address) + 1);
	return 0;
}

static void
expand(struct aliases *a, const struct aliases_host *host, const char *name)
{
	struct found first = {.text = BUF_INIT(1 << 20)}, second = {.text = BUF_INIT(1 << 20)};
	struct buf why = BUF_INIT(4096);
	enum aliases_result r = aliases_expand(a, host, name, visit, &first, &why);

	if (r == ALIASES_FAILED || (r != ALIASES_OK) != (why.len > 0))
		abort();
	buf_clear(&why);
	if (aliases_expand(a, host, name, visit, &second, &why) != r ||
	    first.count != second.count || first.text.len != second.text.len ||
	    memcmp(buf_str(&first.text), buf_str(&second.text), first.text.len) != 0)
		abort();
	buf_free(&first.text);
	buf_free(&second.text);
	buf_free(&why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *const domains[] = {"localhost", "h.example"};
	struct aliases_host host = {.domains = domains,
	    .domain_count = 2,
	    .mail_name = size > 0 && (data[0] & 1) != 0 ? "m.example" : "h.example",
	    .postmaster = size > 0 && (data[0] & 2) != 0 ? "root@localhost" : ""};
	struct buf report = BUF_INIT(1 << 20);
	const char *text = (const char *)data;
	struct aliases *a = NULL;

	if (size > 8192)
		return 0;
	if (aliases_parse(text, size, "aliases", &a, &report) < 0)
		abort();
	(void)aliases_check(a, &host, &report);
	/* the start of each line is a name, more or less */
	for (size_t at = 0; at < size;) {
		size_t len = 0;
		char name[64];

		while (at + len < size && len < sizeof(name) - 1 && text[at + len] != ':' &&
		       text[at + len] != '\n' && text[at + len] != '\0')
			len++;
		memcpy(name, text + at, len);
		name[len] = '\0';
		if (address_is_valid(name, len, true))
			expand(a, &host, name);
		at += len + 1;
	}
	expand(a, &host, "root");
	(void)aliases_free(a);
	buf_free(&report);
	return 0;
}
