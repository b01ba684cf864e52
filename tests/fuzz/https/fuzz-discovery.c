/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: a metadata document. What is accepted names the issuer that was asked and endpoints
 * fit for credentials. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/issuer.h"
#include "broker/https/discovery.h"
#include "broker/https/document.h"
#include "broker/https/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const issuers[] = {
	    "https://i", "https://login.microsoftonline.com/common/v2.0"};
	static bool ready;
	struct discovery d;
	struct buf why = BUF_INIT(1024);

	if (!ready)
		document_init();
	ready = true;
	for (size_t i = 0; i < ARRAY_SIZE(issuers); i++) {
		if (discovery_parse((const char *)data, size, issuers[i], &d, &why) < 0) {
			buf_free(&why);
			continue;
		}
		if (!issuer_fits_document(issuers[i], d.issuer) ||
		    strncasecmp(d.token_endpoint, "https:", 6) != 0 ||
		    url_refusal(d.token_endpoint) != NULL ||
		    (d.authorization_endpoint != NULL &&
			url_refusal(d.authorization_endpoint) != NULL))
			abort();
		discovery_clear(&d);
	}
	return 0;
}
