/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * spool.h: the messages on disk: an SQLite database and a folder of large bodies.
 *
 * Every change of the spool stands between spool_begin and spool_commit, except where a function says
 * that it has a transaction of its own. A commit is one fsync, however many messages are in it: so
 * commit.h collects what one turn of the event loop brought, writes it in one transaction, and answers
 * everybody afterwards.
 *
 * Results are 0 or negative errno: -ENOSPC (disk full), -EIO, -ENOMEM, -EBADMSG (the file is
 * damaged), -ENOENT (no such message). After an error, roll the transaction back: nothing of it is
 * stored. Calls block for the disk only.
 */
#ifndef FRANK_BROKER_QUEUE_SPOOL_SPOOL_H
#define FRANK_BROKER_QUEUE_SPOOL_SPOOL_H

#include "base/buf.h"
#include "base/sha256.h"
#include "base/smtp/smtp.h"
#include "broker/queue/common/schedule.h"
#include "broker/queue/spool/tally.h"

/* Bodies of up to this many octets lie in the database, and travel inside a job. */
enum { SPOOL_INLINE_MAX = 30 * 1024 };
#define SPOOL_NEVER INT64_MAX

struct spool;

/* Numbers that are on disk: never reused. */
enum spool_state {
	SPOOL_QUEUED = 0,    /* waits for its first try */
	SPOOL_SENDING = 1,   /* handed to a network role */
	SPOOL_DELIVERED = 2, /* taken by the provider */
	SPOOL_DEFERRED = 3,  /* tried, waits */
	SPOOL_BOUNCED = 4,   /* refused for good, and somebody was told */
	SPOOL_FAILED = 5,    /* refused for good, and nobody can be told: a person must look */
	SPOOL_HELD = 6,      /* waits for a person */
	SPOOL_CAPTURED = 7,  /* stored, never sent */
	SPOOL_STATE_COUNT = 8,
};

/* "queued", "sending", ... */
const char *spool_state_name(enum spool_state state);

/* Bits of a message's flags; on disk. */
enum {
	SPOOL_8BIT = 1,
	SPOOL_SMTPUTF8 = 2,
	SPOOL_BODY_FILE = 4, /* the body is bodies/<id> */
	SPOOL_REPORT = 8,    /* a bounce or warning of ours: none is made about it */
	SPOOL_CAPTURE = 16,
	SPOOL_WARNED = 32,     /* the sender was told of the delay */
	SPOOL_REQUIRETLS = 64, /* TLS on every hop, or not at all */
	/* Whose `uid` is. Neither: stored by a version that did not tell them apart, or by nobody. */
	SPOOL_OF_USER = 128,   /* a user of this host */
	SPOOL_OF_SOCKET = 256, /* a caller of the socket of `service` */
	SPOOL_REFUSED = 512,   /* refused by us after it was taken: returned, never sent */
};

struct spool_recipient {
	char *address;
	unsigned notify; /* bits of enum smtp_notify; 0: absent */
	char *orcpt;     /* "rfc822;xtext"; NULL: absent */
	enum spool_state state;
	unsigned attempts;       /* that counted */
	unsigned interrupted;    /* ended by a crash */
	int64_t next;            /* queued, deferred: not before */
	int64_t at;              /* of the last outcome; 0: none */
	struct smtp_reply reply; /* the last outcome */
};

struct spool_message {
	uint64_t id;
	char submission[33]; /* 32 hexadecimal digits, or "" */
	char *account, *service;
	int64_t uid;     /* who handed it in (see SPOOL_OF_USER); -1: we ourselves, or a password */
	char *sender;    /* of the envelope; "" for the null sender */
	char *return_to; /* whom reports go to; "": nobody; NULL: the postmaster */
	char *envid;     /* xtext or "" */
	char *subject, *message_id;
	int64_t received, expires;
	int64_t next; /* earliest try of any recipient; SPOOL_NEVER: none is to be tried */
	int64_t done; /* when nothing was left to do; 0: open */
	uint64_t size, header_size;
	unsigned flags;
	enum smtp_ret ret;
	struct spool_recipient *recipients;
	size_t count;
	char *body; /* small ones, where loaded or about to be stored; NULL otherwise */
	size_t body_len;
};

/* Frees what it holds; the struct is empty. Takes NULL. */
void spool_message_clear(struct spool_message *m);
struct spool_message *spool_message_free(struct spool_message *m);

/* The parameters of RCPT for this recipient. */
struct smtp_rcpt_params spool_rcpt_params(const struct spool_recipient *r);

/* Does the recipient wait to be tried? */
bool spool_recipient_waits(const struct spool_recipient *r);
/* When the first recipient that waits is to be tried; SPOOL_NEVER: none waits. */
int64_t spool_earliest(const struct spool_message *m);

/* The state that a list shows for the whole message. */
enum spool_state spool_message_state(const struct spool_message *m);

/* "3F2A..." as people and logs see it; the buffer holds at least SPOOL_ID_LEN. */
enum { SPOOL_ID_LEN = 17 };
const char *spool_id_text(uint64_t id, char *buffer);
/* The reverse: 0, or -EINVAL. */
int spool_id_parse(const char *text, uint64_t *ret);

/* ---- the whole ---- */

/*
 * Opens DIR/spool.db, makes or migrates it, and checks it where it was not closed properly.
 * `bodies` is a descriptor of the folder of bodies, borrowed while open. On error `why` has a
 * sentence for a person.
 */
int spool_open(const char *dir, int bodies, struct spool **ret, struct buf *why);
/* Checkpoints and closes. Takes NULL; returns NULL. */
struct spool *spool_close(struct spool *s);

/*
 * Mends what a crash left. Recipients that were being sent are queued again; the third time, or with
 * `hold` at once, they are held as in doubt. Files of bodies that no message has are removed. Has a
 * transaction of its own, in which each message that was being sent is visited, as it was then; *ret_interrupted
 * is their number.
 */
typedef int spool_interrupted_visit(void *arg, uint64_t id);
int spool_recover(struct spool *s, int64_t now, bool hold, spool_interrupted_visit *visit,
    void *arg, unsigned *ret_interrupted);
/* Why such a recipient is held. */
#define SPOOL_IN_DOUBT_WORDS "a process of Frank ended while the message was being sent"

/*
 * The system's clock was set. Times that this run wrote move along, so that no wait grows or ends, and
 * no lifetime ends, because of it. Times of earlier runs stay, but nothing waits beyond `latest`. Ids
 * stay. Has a transaction of its own, which reads every open message.
 */
struct spool_step {
	uint64_t first;       /* the id from which on messages are of this run */
	int64_t since, until; /* this run, by the clock as it was, in seconds */
	int64_t delta;        /* by so many seconds */
	int64_t latest;       /* by the clock as it is now */
};
int spool_shift(struct spool *s, const struct spool_step *step);

/* An id that no message has had: microseconds since 1970, or the next free one. */
uint64_t spool_new_id(struct spool *s, int64_t now_us);

int spool_begin(struct spool *s);
int spool_commit(struct spool *s);
void spool_rollback(struct spool *s);

/* Moves the log into the database when it has grown, earlier where there is time for it (`idle`):
 * then memory is given back as well. Not within a transaction. Returns whether there was anything to
 * do. */
bool spool_checkpoint(struct spool *s, bool idle);

/* ---- space ---- */

/* Allocates what the spool itself needs on a full disk (database.h). Call it now and then: it costs little
 * when nothing changed. Negative errno where there is not that much space now. */
int spool_reserve(struct spool *s);
/* Call it when a transaction failed with -ENOSPC and was rolled back: the log begins anew. True when another
 * try makes sense. */
bool spool_make_room(struct spool *s);
/* Is there so much unused space in the database that it should be given back? */
bool spool_may_shrink(struct spool *s);
/* Gives some of it back: 1 where there is more, 0, or negative errno. Not within a transaction. */
int spool_shrink(struct spool *s);

/* What a message takes besides its content, as it is counted. */
enum { SPOOL_MESSAGE_OVERHEAD = 4096 };
/* What the open messages of a service take on the disk, in octets. */
uint64_t spool_octets_of(struct spool *s, const char *service);
/* What the open messages of an account come to; kept in memory. */
struct tally_sums spool_sums_of(struct spool *s, const char *account);
/* How many events of this kind were stored since the spool was opened. */
uint64_t spool_events_of(struct spool *s, const char *kind);
/* Are all messages counted that were there at the start? */
bool spool_is_tallied(const struct spool *s);
/* Counts some of the messages that were there at the start: 1 where there are more, 0 when all are in
 * the numbers, or negative errno. */
int spool_tally_step(struct spool *s);
/* The id of the oldest open message that is not captured; 0: there is none. What was passed is not read again, and one call
 * reads a bounded number of rows: where more than that were finished since the last one, *ret is an id that is too old. */
int spool_oldest(struct spool *s, uint64_t *ret);

/* ---- bodies in files ---- */

/* Creates the file of a message's body; the caller writes it, then calls spool_body_sync. Returns a
 * descriptor or negative errno. */
int spool_body_create(struct spool *s, uint64_t id);
/* Syncs the file's content; and the names in the folder, which has to happen before the commit that refers
 * to a new file. */
int spool_body_sync(int fd);
int spool_bodies_sync(struct spool *s);
/* Opens the file for reading: a descriptor or negative errno. */
int spool_body_open(struct spool *s, uint64_t id);
void spool_body_remove(struct spool *s, uint64_t id);

/* ---- writing: within a transaction ---- */

/* Stores a message, its recipients, and its body unless that is in a file. 1 where a message with
 * its submission id is stored already: nothing was done. */
int spool_insert(struct spool *s, const struct spool_message *m);
/* Writes one recipient's state, attempts, times and reply. */
int spool_update_recipient(struct spool *s, uint64_t id, size_t n, const struct spool_recipient *r);
/* Writes next, flags, and expires where it is later than what is stored. */
int spool_update_message(struct spool *s, const struct spool_message *m);
/* The message goes by m->account from now on. */
int spool_update_account_of(struct spool *s, const struct spool_message *m);
/* No open message of the account expires before `expires`. */
int spool_prolong(struct spool *s, const char *account, int64_t expires);
/* Nothing is left to do. The body goes; the rest stays as history where `keep`. The caller removes
 * the body's file after the commit. */
int spool_finish(struct spool *s, const struct spool_message *m, int64_t now, bool keep);
/* Removes the message with all that belongs to it. */
int spool_delete(struct spool *s, uint64_t id);

struct spool_attempt {
	int64_t at;
	const char *endpoint, *tls, *mechanism, *transcript; /* may be NULL */
	const char *outcome;                                 /* a word or a reply */
	int stage, fault; /* enum smtp_stage, smtp_fault: of the reply that decided */
};
int spool_add_attempt(struct spool *s, uint64_t id, const struct spool_attempt *a);

/* A decision worth remembering: account states, bounces, what people did. `id` 0: about no message.
 */
int spool_add_event(struct spool *s, int64_t at, const char *kind, uint64_t id, const char *account,
    const char *text);

/*
 * An event that goes to receivers. Texts are borrowed; all but `kind` may be NULL.
 *
 * Its id is given while it is written, so later ones are committed later: who has read up to an id
 * misses none. Microseconds since 1970, or the next free number; message ids come from the same count.
 */
struct spool_event {
	uint64_t id;
	int64_t at;
	const char *kind;
	uint64_t message; /* 0: about none */
	const char *account, *text, *next;
	bool of_message; /* what became of a message: the rest is for these alone */
	const char *service, *sender, *message_id;
	const char *recipients; /* one address a line */
	size_t recipient_count; /* of all, also where not all are in `recipients` */
	unsigned attempt;       /* 0: none was made */
	unsigned code;          /* of the reply that decided; 0: none */
	const char *enhanced, *reply, *verdict;
};
/* Gives the event its id, and writes it. */
int spool_publish_event(struct spool *s, int64_t now_us, struct spool_event *e);

/* Which events. Zeroed: all. Texts are borrowed. */
struct spool_event_filter {
	const char *kinds;             /* " accepted failed ", each between spaces; NULL: all */
	bool no_messages, no_accounts; /* without those that are of messages; without all others */
	const char *account, *service; /* NULL: any */
};
/* Visits the events after an id in their order, at most `max`. A non-zero return of `visit` ends it and is
 * returned. */
typedef int spool_event_visit(void *arg, const struct spool_event *e);
int spool_each_event(struct spool *s, const struct spool_event_filter *filter, uint64_t after,
    unsigned max, spool_event_visit *visit, void *arg);
/* The id after which the last `count` come; 0: there are not more. */
int spool_event_before_last(
    struct spool *s, const struct spool_event_filter *filter, uint64_t count, uint64_t *ret);
/* All events with an id up to this one are on record, or never will be; between transactions. */
uint64_t spool_last_id(const struct spool *s);
/* How many events of messages are kept. */
uint64_t spool_message_events(const struct spool *s);
/* Deletes the oldest events of messages: those before the time `before`, and those over `most`; at most some
 * thousand. Visits each first. *ret is their number. */
int spool_trim_events(struct spool *s, int64_t before, uint64_t most, spool_event_visit *visit,
    void *arg, unsigned *ret);

/* What people were notified of about an account, and is still so (notify/notify.h). */
struct spool_condition {
	unsigned class;
	const char *kind;
	int64_t since, notified;
	unsigned level;
};
int spool_save_condition(struct spool *s, const char *account, const struct spool_condition *n);
int spool_delete_condition(struct spool *s, const char *account, unsigned class);
typedef void spool_condition_visit(void *arg, const struct spool_condition *n);
int spool_each_condition(
    struct spool *s, const char *account, spool_condition_visit *visit, void *arg);
/* Has the account an open message with a recipient in this state? Messages of the service `but` do not
 * count. 1, 0 or negative errno. */
int spool_has_state(struct spool *s, const char *account, enum spool_state state, const char *but);

/* An event that goes to one receiver ("command", "mail", "webhook NAME") by itself, whatever the receiver has of
 * those before and after it. */
struct spool_outbox {
	struct spool_event event;
	unsigned tries;
	int64_t next;
};
int spool_add_outbox(
    struct spool *s, uint64_t event, const char *receiver, unsigned tries, int64_t next);
int spool_delete_outbox(struct spool *s, uint64_t event, const char *receiver);
/* Visits those of the receiver, the oldest event first. A positive return of `visit` ends it. */
typedef int spool_outbox_visit(void *arg, const struct spool_outbox *o);
int spool_each_outbox(struct spool *s, const char *receiver, spool_outbox_visit *visit, void *arg);

/* What of an account's state outlives the role. */
struct spool_account {
	struct schedule_account schedule;
	struct smtp_reply reply; /* that made it so; owned */
	char *learned_at;        /* settings_server() of then; NULL: not known; owned */
};
int spool_save_account(struct spool *s, const char *name, const struct spool_account *a);

int spool_save_password(
    struct spool *s, const char *service, const uint8_t digest[SHA256_LEN], int64_t at);
int spool_delete_password(struct spool *s, const char *service);

/* Removes history older than `before`, and captured messages older than `captured_before`, at most some
 * hundred messages: *ret_more says whether to call again.
 * Files of bodies are unlinked at once, before the commit: nobody can want them any more. */
int spool_purge(struct spool *s, int64_t before, int64_t captured_before, bool *ret_more);
/* Where the service has more than `most` captured messages, removes some of the oldest: *ret_more as above.
 * What is under way to a recipient stays. */
int spool_limit_captured(struct spool *s, const char *service, uint64_t most, bool *ret_more);
/* Removes the oldest transcripts, so that `most` octets of them stay. The attempts themselves stay. */
int spool_limit_transcripts(struct spool *s, uint64_t most);

/* ---- reading ---- */

/* Loads a message, and with `body` its body unless that is in a file. -ENOENT: there is none. */
int spool_load(struct spool *s, uint64_t id, bool body, struct spool_message *ret);

/* Is a message with this submission id stored? 1, 0, or negative errno. */
int spool_known(struct spool *s, const char *submission);

/* Ids of messages of the lane (account, service) that are due, earliest first: at most `max`.
 * Returns their number. *ret_next is when the earliest of those not returned is due (SPOOL_NEVER:
 * none waits). */
int spool_due(struct spool *s, const char *account, const char *service, int64_t now, uint64_t *ids,
    size_t max, int64_t *ret_next);

/* Every lane with open messages: how many, and when the next is due. A non-zero return stops. */
typedef int spool_lane_visit(
    void *arg, const char *account, const char *service, uint64_t open, int64_t next);
int spool_each_lane(struct spool *s, spool_lane_visit *visit, void *arg);

/* What a scan over all messages sees of each; strings are borrowed for the call. */
struct spool_row {
	uint64_t id, size;
	const char *account, *service;
	int64_t uid, received, expires;
	unsigned flags;
	bool open;  /* something is left to do */
	bool waits; /* a recipient waits to be tried */
};
/* A non-zero return stops behind this message. */
typedef int spool_row_visit(void *arg, const struct spool_row *g);
/* Visits at most `max` messages with ids above *after, in the order of their ids, which is that of their
 * arrival. *after becomes the last that was visited. 1 where there may be more, 0 after the last. */
int spool_scan(struct spool *s, uint64_t *after, unsigned max, spool_row_visit *visit, void *arg);

/* Ids of captured messages above `after`, oldest first: at most `max`. Returns their number. */
int spool_captured(struct spool *s, uint64_t after, uint64_t *ids, size_t max);
/* The highest id of the captured messages that spool_purge and spool_limit_captured removed; 0: none. */
int spool_captured_removed(struct spool *s, uint64_t *ret);

/* Attempts of a message, oldest first; their texts are "" where absent, and borrowed. */
typedef int spool_attempt_visit(void *arg, const struct spool_attempt *a);
int spool_each_attempt(struct spool *s, uint64_t id, spool_attempt_visit *visit, void *arg);
/* "host:port [address]" of the attempt that was made at the second `at`; the caller frees. NULL where it
 * is not on record. */
char *spool_load_endpoint(struct spool *s, uint64_t id, int64_t at);

/* When mail was last delivered through an account, and the mechanism of that login ("" for none). Within a
 * transaction. */
int spool_save_used(struct spool *s, const char *name, int64_t at, const char *mechanism);
/* -ENOENT: never. */
int spool_load_used(
    struct spool *s, const char *name, int64_t *ret_at, char *mechanism, size_t mechanism_size);

/* The keys that an account's mail is signed with (dkim.h). Save within a transaction. What is loaded is the
 * caller's; NULL: nothing is known. */
int spool_save_signed(struct spool *s, const char *name, const char *keys);
char *spool_load_signed(struct spool *s, const char *name);

/* -ENOENT: nothing is known of the account. The caller clears ret->reply and frees ret->learned_at. */
int spool_load_account(struct spool *s, const char *name, struct spool_account *ret);

/* Messages of this service that were handed in at or after `since` (seconds), oldest first: the
 * moment of each, in microseconds since 1970. */
typedef void spool_time_visit(void *arg, int64_t at);
int spool_each_since(
    struct spool *s, const char *service, int64_t since, spool_time_visit *visit, void *arg);

/* Attempts recorded at or after `since` (seconds), newest first: the message's account, and when, in seconds. */
typedef void spool_tried_visit(void *arg, const char *account, int64_t at);
int spool_each_attempt_since(struct spool *s, int64_t since, spool_tried_visit *visit, void *arg);

/* The receivers that the last configuration had for events. spool_add_receiver: 1 where it is new, and begins behind
 * the last event; 0, or an error. */
int spool_add_receiver(struct spool *s, const char *receiver);
/* With its outbox. */
int spool_delete_receiver(struct spool *s, const char *receiver);
/* It has what it takes of the events up to this id, but for its outbox. */
int spool_move_receiver(struct spool *s, const char *receiver, uint64_t position);
typedef int spool_receiver_visit(
    void *arg, const char *receiver, uint64_t position); /* 0: goes on */
int spool_each_receiver(struct spool *s, spool_receiver_visit *visit, void *arg);
/* Visits the last event about each condition that lasts. `about` is the account's name, or one of the names that
 * notify has for conditions of the host. Several conditions may be in one event. */
typedef int spool_standing_visit(void *arg, const char *about, const struct spool_event *e);
int spool_each_standing(struct spool *s, spool_standing_visit *visit, void *arg);

/* The SHA-256 of a service's password, and when it was made. -ENOENT: it has none. */
int spool_load_password(
    struct spool *s, const char *service, uint8_t digest[SHA256_LEN], int64_t *ret_at);

#endif
