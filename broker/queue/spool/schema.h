/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * schema.h: the tables of spool.db. Included by database.c alone.
 *
 * Each string of migrations takes the database from the version of its index to the next
 * (PRAGMA user_version). What is released is never edited: a change is a new string.
 *
 * message      one row per message handed in. `id`: microseconds since 1970, so rows are appended
 *              and ids never come back. `next`: when the earliest of its recipients is due; NULL:
 *              none is (all being sent, held, or done). `done`: when nothing was left to do; NULL:
 *              open. Times are seconds since 1970.
 * message_open serves both "what of this lane is due" and "all that is open"; finished messages
 *              are not in it.
 * body         the finished message (CRLF line ends, not dot-stuffed) of up to 30 KiB; larger ones
 *              are files bodies/<id in hexadecimal>, synced before the row is written. Apart from
 *              `message`, so that dropping it leaves that row alone.
 * recipient    one row each, beside its siblings. `state`: enum spool_state. `code`, `enhanced`,
 *              `stage`, `fault`, `in_doubt`, `reply`: the last outcome, struct smtp_reply.
 *              `params`: the parameters of RCPT as they go on the wire.
 * attempt      one row per try of a message in one session, with the redacted transcript (a blob). `outcome`: what decided it, in words;
 *              `stage`, `fault`: of that (struct smtp_reply).
 * event        decisions worth remembering. `notified`: 1 for what people are notified of; the id of such is
 *              in microseconds since 1970, and the same wherever the event goes.
 * condition    what people were notified of about an account and is still so: kind, since when, when
 *              they were notified last, how many days were left then.
 * outbox       events that a receiver ("command", "mail", "webhook NAME") did not take, or gets beside the others:
 *              each is tried by itself.
 * message_event  what became of messages, for receivers that take it; ids as those of `event`, and no id is in
 *              both. `recipients`: one address a line, of `recipient_count` the first ones.
 * receiver     the receivers that were configured last: one that is new gets what stands. `position`: of the
 *              events up to this id it has what it takes, but for those in `outbox`.
 * account      what must outlive a restart of an account's state: held by a person, refused,
 *              throttled (struct schedule_account); learned_at: the settings of the server that it
 *              was learned at (settings_server).
 * used         when mail was last delivered through an account, to the day, and the mechanism of that login.
 * signed       the keys of the DKIM signatures that were seen in the mail of an account (dkim.h).
 * password     the passwords of services (password.h): SHA-256, and when it was made.
 * meta         `clean`: 1 while the database is closed properly.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_SCHEMA_H
#define FRANK_BROKER_QUEUE_SPOOL_SCHEMA_H

static const char *const migrations[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('clean', 1);"
    "CREATE TABLE message ("
    " id INTEGER PRIMARY KEY,"
    " submission BLOB,"
    " account TEXT NOT NULL,"
    " service TEXT NOT NULL,"
    " uid INTEGER NOT NULL,"
    " sender TEXT NOT NULL,"
    " return_to TEXT,"
    " envid TEXT,"
    " subject TEXT,"
    " message_id TEXT,"
    " expires INTEGER NOT NULL,"
    " next INTEGER,"
    " done INTEGER,"
    " size INTEGER NOT NULL,"
    " header_size INTEGER NOT NULL,"
    " flags INTEGER NOT NULL,"
    " ret INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX message_submission ON message (submission) WHERE submission IS NOT NULL;"
    "CREATE INDEX message_open ON message (account, service, next) WHERE done IS NULL;"
    "CREATE TABLE body (message INTEGER PRIMARY KEY, content BLOB NOT NULL);"
    "CREATE TABLE recipient ("
    " message INTEGER NOT NULL,"
    " n INTEGER NOT NULL,"
    " address TEXT NOT NULL,"
    " params TEXT,"
    " state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " interrupted INTEGER NOT NULL,"
    " next INTEGER,"
    " at INTEGER,"
    " code INTEGER,"
    " enhanced TEXT,"
    " stage INTEGER,"
    " fault INTEGER,"
    " in_doubt INTEGER,"
    " reply TEXT,"
    " PRIMARY KEY (message, n)) WITHOUT ROWID;"
    "CREATE TABLE attempt ("
    " id INTEGER PRIMARY KEY,"
    " message INTEGER NOT NULL,"
    " at INTEGER NOT NULL,"
    " endpoint TEXT,"
    " tls TEXT,"
    " mechanism TEXT,"
    " outcome TEXT,"
    " transcript TEXT);"
    "CREATE INDEX attempt_message ON attempt (message);"
    "CREATE TABLE event ("
    " id INTEGER PRIMARY KEY,"
    " at INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " message INTEGER,"
    " account TEXT,"
    " text TEXT);"
    "CREATE TABLE account ("
    " name TEXT PRIMARY KEY,"
    " held INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " since INTEGER NOT NULL,"
    " until INTEGER NOT NULL,"
    " failures INTEGER NOT NULL,"
    " code INTEGER,"
    " enhanced TEXT,"
    " stage INTEGER,"
    " fault INTEGER,"
    " reply TEXT) WITHOUT ROWID;",
    "CREATE TABLE password ("
    " service TEXT PRIMARY KEY,"
    " digest BLOB NOT NULL,"
    " at INTEGER NOT NULL) WITHOUT ROWID;",
    "ALTER TABLE event ADD COLUMN next TEXT;"
    "ALTER TABLE event ADD COLUMN told INTEGER;"
    "CREATE TABLE notice ("
    " account TEXT NOT NULL,"
    " class INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " since INTEGER NOT NULL,"
    " told INTEGER NOT NULL,"
    " level INTEGER NOT NULL,"
    " PRIMARY KEY (account, class)) WITHOUT ROWID;"
    "CREATE TABLE outbox ("
    " event INTEGER NOT NULL,"
    " way TEXT NOT NULL,"
    " tries INTEGER NOT NULL,"
    " next INTEGER NOT NULL,"
    " PRIMARY KEY (event, way)) WITHOUT ROWID;",
    "ALTER TABLE attempt ADD COLUMN stage INTEGER;"
    "ALTER TABLE attempt ADD COLUMN fault INTEGER;",
    "CREATE TABLE used ("
    " account TEXT PRIMARY KEY,"
    " at INTEGER NOT NULL,"
    " mechanism TEXT) WITHOUT ROWID;",
    "CREATE TABLE signed ("
    " account TEXT PRIMARY KEY,"
    " keys TEXT NOT NULL) WITHOUT ROWID;",
    "ALTER TABLE account ADD COLUMN learned_at TEXT;",
    "CREATE TABLE way (name TEXT PRIMARY KEY) WITHOUT ROWID;",
    /* 16: SPOOL_CAPTURE. meta has "captured_removed" where captured messages went by age or number. */
    "CREATE INDEX message_captured ON message (id) WHERE flags & 16 <> 0;",
    "ALTER TABLE way RENAME TO receiver;"
    "ALTER TABLE outbox RENAME COLUMN way TO receiver;"
    "ALTER TABLE notice RENAME TO condition;"
    "ALTER TABLE condition RENAME COLUMN told TO notified;"
    "ALTER TABLE event RENAME COLUMN told TO notified;",
    "CREATE TABLE message_event ("
    " id INTEGER PRIMARY KEY,"
    " at INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " message INTEGER,"
    " account TEXT,"
    " service TEXT,"
    " sender TEXT,"
    " recipients TEXT,"
    " recipient_count INTEGER,"
    " message_id TEXT,"
    " attempt INTEGER,"
    " code INTEGER,"
    " enhanced TEXT,"
    " reply TEXT,"
    " verdict TEXT,"
    " text TEXT,"
    " next TEXT);"
    "ALTER TABLE receiver ADD COLUMN position INTEGER NOT NULL DEFAULT 0;"
    "UPDATE receiver SET position = (SELECT ifnull(max(id), 0) FROM event);",
};

#endif
