/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * values.h: the values that configuration keys take: durations, sizes, rates, endpoints, words.
 * Pure.
 *
 * Each function returns true and sets *ret, or false: the caller says what is allowed, with the
 * place.
 */
#ifndef FRANK_BROKER_CONF_VALUES_H
#define FRANK_BROKER_CONF_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A whole number from `least` to `most`, decimal digits only. */
bool value_number(const char *s, uint64_t least, uint64_t most, uint64_t *ret);

/* "90s", "30m", "4h", "5d"; a number alone is seconds. At most ten years. */
bool value_duration(const char *s, unsigned *ret_seconds);

/* Octets: "10000", "500K", "50M", "1G" (powers of 1,024). */
bool value_size(const char *s, uint64_t *ret);

/* "30/min" or "1000/day"; *ret_day tells which. */
bool value_rate(const char *s, unsigned *ret, bool *ret_day);

/* "host:port", "[::1]:587"; the host's length without brackets in *ret_host_len, from *ret_host. */
bool value_endpoint(const char *s, const char **ret_host, size_t *ret_host_len, unsigned *ret_port);

/* An IP address and port to listen at, "127.0.0.1:2525" or "[::1]:2525"; in its one spelling
 * (inet_ntop(3)) in `ret`, of at least VALUE_ADDRESS_MAX octets. */
enum { VALUE_ADDRESS_MAX = 56 };
bool value_listen_address(const char *s, char *ret, bool *ret_loopback);

/* "true", "yes", "on" or "false", "no", "off". */
bool value_boolean(const char *s, bool *ret);

/* https://..., or http:// to a loopback host (RFC 8252 section 8.3; tests). No white space or
 * control character, no fragment. */
bool value_url(const char *s);

/* A host name or address literal without brackets. */
bool value_host(const char *s, size_t len);

/* The name of an account, service or provider: letters, digits, '.', '_', '-', not first '.' or
 * '-', at most 64: it names files. */
bool value_name(const char *s);

/* A cloud's region, which becomes part of host names: letters, digits, '-' and '.'. */
bool value_region(const char *s);

/* An address, "*@domain", or "*": what `senders` and `recipients` take. Appended to `ret`, an address as
 * envelopes have it. 0, -EBADMSG for anything else, or an error of buf.h. */
int value_address_pattern(const char *s, struct buf *ret);

/* The shortest allowed word that begins with `word`, else the nearest to it (an edit distance of at
 * most a third of its length, and 2), or NULL. `allowed` ends in NULL. */
const char *value_did_you_mean(const char *word, const char *const *allowed);

#endif
