/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * inbox.h: the messages that were captured, kept as Maildirs and found by an index.
 *
 * The Maildirs are the truth (maildir.h). Beside them the index (SQLite, with full-text search) holds what a list shows and a
 * search needs, what was read, and tags. One that is missing, damaged, or of another version is built anew from the
 * Maildirs; read state and tags are then gone. Messages that a crash has kept out of the index are added when it is opened.
 *
 * One thread. The listener hears of a message by inbox_flush, which the owner calls once for all the messages of one turn of its loop. They
 * are committed by inbox_sync, which it calls some time later: a transaction for each would not carry thousands a second.
 *
 * A mark is a moment between two arrivals, in microseconds since 1970; every message has one of its own, ascending.
 */
#ifndef FRANK_INBOX_INBOX_H
#define FRANK_INBOX_INBOX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "inbox/message.h"
#include "inbox/query.h"

enum {
	INBOX_ID_SIZE = 23
}; /* a message's ID, 22 hexadecimal digits made from its file's name, with NUL */

struct inbox;

/* A message that was put into its recipients' Maildirs. Everything is borrowed. */
struct inbox_arrival {
	const char *name;              /* of its file in each Maildir */
	const char *const *recipients; /* of the envelope */
	size_t recipient_count;        /* at least one */
	const char *account;           /* who had signed in; NULL: nobody */
};

/* What has happened, for who wants to pass it on. The words are Mailpit's. */
enum inbox_change {
	INBOX_NEW,     /* `value`: the summary */
	INBOX_UPDATE,  /* `value`: {"ID", "Read"} or {"ID", "Tags"} */
	INBOX_DELETE,  /* `value`: {"ID"} */
	INBOX_PRUNE,   /* many are gone or changed: read the list anew; no value */
	INBOX_TRUNCATE /* all are gone; no value */
};
typedef void inbox_changed(void *arg, enum inbox_change change, const json_t *value);

/* Counts. */
struct inbox_stats {
	uint64_t total, unread;
	uint64_t deleted, accepted, accepted_octets; /* since it was opened */
	uint64_t database_octets;
	uint64_t
	    pruned; /* the mark of the newest message that was removed for being too many; 0: none */
};

/* Opens the index in the file `path` of the Maildirs below `root`, a descriptor borrowed while the inbox lives. `keep`: how many
 * messages are kept, the oldest being removed beyond it; 0: all. Adds what the index lacks and forgets what is gone from
 * the Maildirs. NULL: *ret_error is a negative errno. */
struct inbox *inbox_open(int root, const char *path, uint64_t keep, int *ret_error);
/* Flushes, closes and releases. Takes and returns NULL. */
struct inbox *inbox_close(struct inbox *i);

/* Whom to call for each change, after it is stored; one listener, which does not change the inbox in the call. */
void inbox_listen(struct inbox *i, inbox_changed *changed, void *arg);

/* Adds a message that is in its Maildirs. 0 or negative errno: the message stays in the
 * Maildirs, and is found when the inbox is next opened. `ret_id` (may be NULL) gets its ID. */
int inbox_add(struct inbox *i, const struct inbox_arrival *a, char ret_id[INBOX_ID_SIZE]);
/* Removes what is beyond `keep`, and tells the listener what was added. Whatever looks or changes does it first. 0 or negative errno. */
int inbox_flush(struct inbox *i);
/* Commits what was added. 0 or negative errno: the index is built anew at the next call. */
int inbox_sync(struct inbox *i);

/* Does some of the work on full text that a burst has left, for when nothing else is to be done. True: there is more. */
bool inbox_settle(struct inbox *i);

/* A new mark: what arrives from now on is behind it. */
uint64_t inbox_mark(struct inbox *i);

void inbox_stats(struct inbox *i, struct inbox_stats *ret);

/* What is selected: all that holds. */
struct inbox_selection {
	const struct inbox_query *query; /* NULL: everything */
	const char *zone; /* IANA name of the time zone of the query's dates; NULL: the machine's */
	uint64_t after;   /* behind this mark */
	uint64_t before;  /* before this mark; 0: no bound */
};

/* The selected messages, newest first, as an array of Mailpit's MessageSummary. `*ret_total` and `*ret_unread` (may be NULL)
 * count all that are selected. NULL: no memory, or the index fails. */
json_t *inbox_list(struct inbox *i, const struct inbox_selection *s, uint64_t start, uint64_t limit,
    uint64_t *ret_total, uint64_t *ret_unread);

/* One message's summary. NULL: there is no such message. */
json_t *inbox_summary(struct inbox *i, const char *id);
/* The ID of the newest that is selected; false: there is none. */
bool inbox_latest(struct inbox *i, const struct inbox_selection *s, char ret_id[INBOX_ID_SIZE]);
/* The mark of a message; 0: there is none. */
uint64_t inbox_mark_of(struct inbox *i, const char *id);
/* Reads a message. NULL: *ret_error is a negative errno, -ENOENT where there is none. */
struct inbox_message *inbox_read(struct inbox *i, const char *id, int *ret_error);
/* How it came, as JSON text (the sandbox writes it). 0 or negative errno. */
int inbox_session(struct inbox *i, const char *id, struct buf *ret);

/* Changes of one message: what is so already, or of a message that there is not, is no error. */
int inbox_set_read(struct inbox *i, const char *id, bool read);
int inbox_set_tags(struct inbox *i, const char *id, const json_t *tags);
int inbox_delete(struct inbox *i, const char *id);
/* Of all that are selected. */
int inbox_set_read_all(struct inbox *i, const struct inbox_selection *s, bool read);
int inbox_delete_all(struct inbox *i, const struct inbox_selection *s);

/* All tags in use with the number of their messages, and all mailboxes with theirs: {"name": number}. NULL: no memory. */
json_t *inbox_tags(struct inbox *i);
json_t *inbox_mailboxes(struct inbox *i);
/* The mailboxes that have a message: an array of strings. NULL: no memory. */
json_t *inbox_mailboxes_of(struct inbox *i, const char *id);
/* Renames a tag, or removes it (`to` NULL), everywhere. 0 or negative errno. */
int inbox_rename_tag(struct inbox *i, const char *from, const char *to);

#endif
