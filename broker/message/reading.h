/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * reading.h: is there one reading of who a message is from? Pure.
 *
 * A field that names a sender may hold a second address where programs do not look for one, and people do: in the
 * display name, in a comment, in an encoded word, in a source route. Whoever checks senders must not pass on a field
 * whose other reading was not checked.
 */
#ifndef FRANK_BROKER_MESSAGE_READING_H
#define FRANK_BROKER_MESSAGE_READING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Can the value of a From, Sender or Resent- field, which address_list_parse takes, be read in two ways: does it hold
 * an address that is not one of those parsed, or control characters in an encoded word? A display name that repeats
 * its own address is no second reading.
 */
bool reading_is_double(const char *value, size_t len);

/* May the text stand as a display name before this address? Not where it holds another one. */
bool reading_fits(const char *name, const char *address);

#endif
