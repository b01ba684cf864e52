/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * maildir.h: puts a message into one Maildir per recipient: ROOT/ADDRESS/Maildir/{tmp,new,cur}.
 *
 * The message is written once, below ROOT, and linked into each folder when it is complete and
 * synced, so a folder never shows a part of a message. Line ends are stored as LF. May block on the
 * disk.
 */
#ifndef FRANK_SANDBOX_MAILDIR_H
#define FRANK_SANDBOX_MAILDIR_H

#include <stddef.h>

struct maildir_message;

/* Begins a message in the folder `root`, a descriptor borrowed while the message lives. 0 or
 * negative errno. */
int maildir_begin(int root, struct maildir_message **ret);

/* Adds bytes, CRLF becoming LF. An error is remembered and returned by maildir_commit too. */
int maildir_write(struct maildir_message *m, const char *bytes, size_t len);

/* Syncs the message; maildir_link then puts it into a recipient's folder. 0 or negative errno. */
int maildir_commit(struct maildir_message *m);
int maildir_link(struct maildir_message *m, const char *address);

/* Keeps `text` with the message, as ROOT/.smtp/NAME.json, synced. 0 or negative errno. */
int maildir_note(const struct maildir_message *m, const char *text);

/* Name of the message's files; borrowed. */
const char *maildir_name(const struct maildir_message *m);

/* Removes the first copy and releases the message; what was linked stays. Takes and returns NULL.
 */
struct maildir_message *maildir_end(struct maildir_message *m);

#endif
