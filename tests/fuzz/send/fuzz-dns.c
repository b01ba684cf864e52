/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* fuzz-dns.c: an answer of a name server; the first octet chooses the type of its records. */
#include <stdlib.h>
#include <string.h>

#include "broker/send/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {DNS_A, DNS_MX, DNS_SRV, DNS_TXT};
	struct dns_answer a;
	uint8_t *octets;

	if (size < 1)
		return 0;
	/* A copy, so that nothing is read behind its end. */
	octets = malloc(size);
	memcpy(octets, data + 1, size - 1);
	dns_parse(types[data[0] % 4], octets, size - 1, &a);
	if ((a.status == DNS_FOUND) != (a.count > 0) || a.words == NULL || a.status == DNS_NO_NAME)
		abort();
	for (size_t i = 0; i < a.count; i++)
		if (a.records[i].text[a.records[i].len] != '\0')
			abort();
	dns_clear(&a);
	free(octets);
	return 0;
}
