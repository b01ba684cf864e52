/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: TXT records of a domain, LF between them, as SPF, DMARC and DKIM. What must hold: the
 * walk over SPF ends within its bounds, whatever the records name; strings are terminated.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/send/check/email-auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Calls `record` for each line. */
static void
each_line(const uint8_t *data, size_t size, void (*record)(void *arg, const char *text, size_t len),
    void *arg)
{
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at)),
			   *stop = lf == NULL ? end : lf;

		record(arg, at, (size_t)(stop - at));
		at = lf == NULL ? end : lf + 1;
	}
}

static void
on_spf(void *arg, const char *text, size_t len)
{
	email_auth_spf_record(arg, text, len);
}

static void
on_dmarc(void *arg, const char *text, size_t len)
{
	email_auth_dmarc(arg, text, len);
}

static void
on_dkim(void *arg, const char *text, size_t len)
{
	email_auth_dkim(arg, text, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spf s;
	struct dmarc d = {0};
	struct dkim_key k = {0};
	unsigned asked = 0;

	email_auth_spf_begin(&s, "example.com", "spf.example.net");
	while (email_auth_spf_next(&s) != NULL) {
		if (++asked > SPF_NAMES_MAX)
			abort();
		each_line(data, size, on_spf, &s);
		email_auth_spf_end(&s);
	}
	if (strlen(s.record) >= sizeof(s.record) || (s.several && !s.exists))
		abort();
	each_line(data, size, on_dmarc, &d);
	if (strlen(d.policy) >= sizeof(d.policy) || strlen(d.subdomains) >= sizeof(d.subdomains))
		abort();
	each_line(data, size, on_dkim, &k);
	if (k.revoked && k.octets > 0)
		abort();
	return 0;
}
