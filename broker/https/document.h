/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * document.h: JSON from outside, read with care.
 *
 * Servers answer in JSON that bears tokens, so jansson gets allocators that wipe, and its error
 * texts, which quote the input, never leave this module. Bounds: DOCUMENT_MAX octets,
 * DOCUMENT_DEPTH levels; a key given twice, a NUL and anything behind the document are refused.
 */
#ifndef FRANK_BROKER_HTTPS_DOCUMENT_H
#define FRANK_BROKER_HTTPS_DOCUMENT_H

#include <jansson.h>

#include "base/attr.h"

enum { DOCUMENT_MAX = 256 * 1024, DOCUMENT_DEPTH = 16 };

/* Gives jansson its allocators. Once, before any other use of jansson in the process. */
void document_init(void);

/*
 * Parses one JSON object. NULL with *ret_why set to what came instead, a constant that goes on from
 * "answered with"
 * ("a web page instead of JSON"). A byte order mark in front is skipped (RFC 8259 section 8.1).
 */
json_t *document_parse(const char *text, size_t len, const char **ret_why);

/* The string under `key`, borrowed; NULL where there is none, where it is no string, or where it is
 * empty. */
const char *document_text(const json_t *object, const char *key);

static inline void
cleanup_document(json_t **d)
{
	json_decref(*d);
}
#define CLEANUP_DOCUMENT CLEANUP(cleanup_document)

/*
 * The error that an authorization server's answer names, and its words, as plain text (document_plain)
 * that the caller frees; both NULL where it names none. RFC 6749 section 5.2 has `error` and
 * `error_description`; some servers have an object in `error` (Yahoo, Google's APIs) or errorCode and
 * errorSummary (Okta). What Microsoft and Google say besides in suberror or error_subtype, and
 * Microsoft's number where error_codes alone has it, is put into the words. 0 or -ENOMEM.
 */
int document_error(const json_t *object, char **ret_error, char **ret_text);

/* Copies text for a person or a log: control characters become spaces, runs of spaces one; at most
 * `max` octets, cut between characters. NULL when memory is out. */
char *document_plain(const char *text, size_t max);

#endif
