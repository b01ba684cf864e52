/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: the header section of a received message. Whatever it says, there is a report and a verdict. */
#include <stdint.h>
#include <stdlib.h>

#include "deliverability/arrival.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct arrival_sent sent = {.from = "a@mail.example.com",
	    .subject = "s",
	    .message_id = "<m@e>",
	    .time = 1796000000};
	json_t *arrival = arrival_read((const char *)data, size, &sent);
	json_t *verdict = arrival_verdict("", arrival, sent.from);

	if (arrival == NULL || verdict == NULL)
		abort();
	json_decref(verdict);
	json_decref(arrival);
	return 0;
}
