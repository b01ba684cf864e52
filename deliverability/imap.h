/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * imap.h: finds one message in a mailbox by IMAP (RFC 9051), with libcurl. Blocks, within bounds.
 *
 * Folders are those of special use (RFC 6154): the inbox, \Junk and \All; where the server names no \Junk, a folder that is
 * called as such folders are. Messages are looked at without being marked as read, and only the one that was
 * found may be removed.
 */
#ifndef FRANK_DELIVERABILITY_IMAP_H
#define FRANK_DELIVERABILITY_IMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	IMAP_ERROR_MAX = 512,
	IMAP_FOLDER_MAX = 256,
	IMAP_HEADER_MAX = 1024 * 1024,
	IMAP_COMMAND_SECONDS = 30,
	IMAP_PAUSE_SECONDS = 2
};

/* Everything is borrowed. */
struct imap_login {
	const char *url; /* "imaps://HOST:PORT" */
	const char *user;
	const char *token; /* for XOAUTH2 or OAUTHBEARER; NULL: password */
	const char *password;
	const char *ca_file; /* NULL: the system's authorities */
};

struct imap_found {
	char folder[IMAP_FOLDER_MAX];
	char use[16];      /* "" for the inbox, "\\Junk", "\\All" */
	struct buf header; /* the section, with its line ends; the caller frees it */
	uint64_t uid;
};

struct imap;

/* Signs in. NULL, with a sentence in `error`: who refused what, in the server's words. */
struct imap *imap_open(const struct imap_login *login, char error[IMAP_ERROR_MAX]);
/* Takes and returns NULL. */
struct imap *imap_close(struct imap *i);

/* Looks again and again, until the message with the word `token` in its subject or in X-Frank-Probe is there, or `seconds` are over. 1: it
 * is in *ret; 0: it did not come; -1: a sentence is in `error`. */
int imap_wait(struct imap *i, const char *token, unsigned seconds, struct imap_found *ret,
    char error[IMAP_ERROR_MAX]);
/* Removes what was found. 0, or -1 with a sentence in `error`. */
int imap_remove(struct imap *i, const struct imap_found *found, char error[IMAP_ERROR_MAX]);

#endif
