/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the rules of faults on demand, and Mailpit's chaos, as JSON; each rule that is taken is then met at every stage. A refusal
 * says why, and a reply is one that SMTP or HTTP has.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/chaos.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
fill(void *bytes, size_t len)
{
	memset(bytes, 0, len);
	return 0;
}

static void
meet(struct faults *f)
{
	struct fault got;

	for (int stage = 0; stage < FAULT_STAGES; stage++) {
		const struct fault_event e = {.stage = (enum fault_stage)stage,
		    .account = "a@b",
		    .sender = stage % 2 == 0 ? "s@b" : NULL,
		    .recipient = "r@b",
		    .client = "::1"};

		for (uint64_t now = 0; now < 3; now++) {
			if (!faults_find(f, &e, now * 1000, &got))
				continue;
			if (got.action == FAULT_GREYLIST || got.action == FAULT_DELAY ||
			    got.action >= FAULT_ACTIONS ||
			    memchr(got.text, '\0', sizeof(got.text)) == NULL ||
			    (got.action == FAULT_REPLY && (got.code < 200 || got.code > 599)))
				abort();
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct faults *f = faults_new(fill);
	json_t *in = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL),
	       *ids = json_array(), *list;
	const char *wrong = NULL;
	char why[256] = "";

	if (f == NULL || ids == NULL)
		abort();
	if (in != NULL && faults_add_all(f, in, ids, why) < 0 && why[0] == '\0')
		abort();
	if (in != NULL && chaos_put(f, in, &wrong) < 0 && wrong == NULL)
		abort();
	meet(f);
	list = faults_list(f);
	if (list == NULL || json_array_size(list) != json_array_size(ids))
		abort();
	json_decref(list);
	json_decref(ids);
	json_decref(in);
	(void)faults_free(f);
	return 0;
}
