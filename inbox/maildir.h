/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * maildir.h: messages in one Maildir per recipient: ROOT/ADDRESS/Maildir/{tmp,new,cur}.
 *
 * A message is written once, below ROOT, and linked into each folder when it is complete, so a folder never shows a
 * part of one. Line ends are stored as LF. Nothing is synced: mail for trials survives the end of the program, not that of
 * the machine. How a message came is kept beside, as ROOT/.smtp/NAME.json. May block on the disk.
 */
#ifndef FRANK_INBOX_MAILDIR_H
#define FRANK_INBOX_MAILDIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct maildir_message;

/* Begins a message in the folder `root`, a descriptor borrowed while the message lives. 0 or
 * negative errno. */
int maildir_begin(int root, struct maildir_message **ret);

/* Adds bytes, CRLF becoming LF. An error is remembered and returned by maildir_commit too. */
int maildir_write(struct maildir_message *m, const char *bytes, size_t len);

/* Ends the content; maildir_link then puts it into a recipient's folder. 0 or negative errno. */
int maildir_commit(struct maildir_message *m);
int maildir_link(struct maildir_message *m, const char *address);

/* Keeps `text` with the message, as ROOT/.smtp/NAME.json. 0 or negative errno. */
int maildir_note(const struct maildir_message *m, const char *text);

/* Name of the message's files; borrowed. */
const char *maildir_name(const struct maildir_message *m);

/* Removes the first copy and releases the message; what was linked stays. Takes and returns NULL.
 */
struct maildir_message *maildir_end(struct maildir_message *m);

/* The name of an address's folder below ROOT: lower case, and nothing that a path could misread. */
enum { MAILDIR_FOLDER_SIZE = 256 };
void maildir_folder(const char *address, char ret[MAILDIR_FOLDER_SIZE]);

/* Opens the file of a message for reading, wherever a mail reader has moved it to. Negative errno: -ENOENT. */
int maildir_open(int root, const char *folder, const char *name);
/* Removes a message from a folder; it may be gone already. 0 or negative errno. */
int maildir_remove(int root, const char *folder, const char *name);
/* What maildir_note kept: appends it, or removes it. 0 or negative errno. */
int maildir_note_read(int root, const char *name, struct buf *ret);
int maildir_note_remove(int root, const char *name);

/* When the message's file was named, in microseconds since 1970; 0: the name does not say. */
uint64_t maildir_time(const char *name);

/* Calls `found` for each message in each folder, its name without flags; ends early on a negative return, and returns it. */
typedef int maildir_found(void *arg, const char *folder, const char *name);
int maildir_scan(int root, maildir_found *found, void *arg);

#endif
