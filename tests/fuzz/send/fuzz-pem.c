/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-pem.c: ca-file, tls-certificate and tls-key of an account. The first octet chooses which of them the rest is: an
 * authority, a certificate with its key in one file, or a certificate and, behind a NUL, its key.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/send/tls.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The system's authorities take most of the time to read, and are not what is tried. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)setenv("SSL_CERT_FILE", "/dev/null", 1);
	(void)setenv("SSL_CERT_DIR", "/dev/null", 1);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_rules rules = {
	    .ca = BUF_INIT(65536), .certificate = BUF_INIT(65536), .key = BUF_INIT(65536)};
	struct tls_context *t;
	const uint8_t *key;
	char why[200] = "";

	if (size < 2 || size > 65536)
		return 0;
	data++, size--;
	switch (data[-1] % 3) {
	case 0:
		(void)buf_append(&rules.ca, data, size);
		break;
	case 1:
		(void)buf_append(&rules.certificate, data, size);
		break;
	default:
		key = memchr(data, '\0', size);
		(void)buf_append(
		    &rules.certificate, data, key == NULL ? size : (size_t)(key - data));
		if (key != NULL)
			(void)buf_append(&rules.key, key + 1, size - (size_t)(key + 1 - data));
	}
	t = tls_context_new(&rules, why, sizeof(why));
	/* What cannot be used comes with a reason. */
	if ((t == NULL) != (why[0] != '\0'))
		abort();
	(void)tls_context_free(t);
	tls_rules_clear(&rules);
	return 0;
}
