/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * authres.h: the field Authentication-Results (RFC 8601 section 2.2), also as Microsoft writes it: without the name of
 * the host that judged. Pure.
 */
#ifndef FRANK_DELIVERABILITY_AUTHRES_H
#define FRANK_DELIVERABILITY_AUTHRES_H

#include <stddef.h>

enum {
	AUTHRES_RESULTS_MAX = 32,
	AUTHRES_PROPERTIES_MAX = 8,
	AUTHRES_NAME_MAX = 32,
	AUTHRES_VALUE_MAX = 256
};

struct authres_result {
	char method[AUTHRES_NAME_MAX]; /* "spf", in lower case */
	char result[AUTHRES_NAME_MAX]; /* "pass", in lower case */
	struct {
		char name[AUTHRES_NAME_MAX]; /* "smtp.mailfrom", in lower case */
		char value[AUTHRES_VALUE_MAX];
	} properties[AUTHRES_PROPERTIES_MAX];
	size_t property_count;
};

struct authres {
	char id[AUTHRES_VALUE_MAX]; /* authserv-id; "" where there is none */
	struct authres_result results[AUTHRES_RESULTS_MAX];
	size_t count;
};

/*
 * Parses a field's value, folded as it may be. What is no result is passed over, as are names and values that are longer
 * than the bounds, and results and properties beyond them. 0, or -EBADMSG: neither an id nor a result is in it.
 */
int authres_parse(const char *value, size_t len, struct authres *ret);

/* A property's value ("header.d"), or NULL. */
const char *authres_property(const struct authres_result *r, const char *name);

#endif
