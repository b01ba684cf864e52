/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* local.c: see local.h. */
#include "broker/queue/common/local.h"

#include "base/address.h"

static struct aliases_host
host_of(const struct queue_settings *s)
{
	return (struct aliases_host){.domains = s->conf->local_domains.items,
	    .domain_count = s->conf->local_domains.count,
	    .mail_name = s->conf->mail_name,
	    .postmaster = s->conf->postmaster};
}

bool
local_is_own(const struct queue_settings *s, const char *address)
{
	struct aliases_host host = host_of(s);

	return aliases_is_local(&host, address);
}

enum aliases_result
local_expand(const struct queue_settings *s, const char *address, aliases_visit *visit, void *arg,
    struct buf *why)
{
	struct aliases_host host = host_of(s);

	return aliases_expand(s->aliases, &host, address, visit, arg, why);
}

char *
local_qualify(const struct queue_settings *s, const char *address)
{
	CLEANUP_BUF struct buf out = BUF_INIT(2 * ADDRESS_MAX + 2);
	int r = buf_append_str(&out, address);

	if (r == 0 && address_domain(address) == NULL)
		r = buf_printf(&out, "@%s", s->conf->mail_name);
	return r < 0 ? NULL : buf_take(&out);
}
