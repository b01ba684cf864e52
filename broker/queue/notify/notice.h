/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notice.h: what people are told: an account that waits for them, an end that comes nearer, mail that
 * nobody can be told of. Private to this folder.
 *
 * A condition that lasts longer than notify.after becomes an event; while it lasts it is one again after
 * notify.repeat; when it ends after having been told, that is one, too. What was told is in the spool, so
 * a restart tells nothing again. Several accounts of which the same is to be said become one event.
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_NOTICE_H
#define FRANK_BROKER_QUEUE_NOTIFY_NOTICE_H

#include "broker/queue/queue.h"

/* Numbers of the database: for good. */
enum notice_class {
	NOTICE_STATE = 0,       /* the account waits for a person */
	NOTICE_CLIENT = 1,      /* the client secret ends soon */
	NOTICE_CERTIFICATE = 2, /* the client's certificate, or a listener's */
	NOTICE_CONSENT = 3,     /* somebody has to sign in again soon */
	NOTICE_FAILED = 4,      /* mail that can be neither delivered nor returned */
	NOTICE_MAIL_HELD = 5,   /* mail that is held for a person */
	NOTICE_SPACE = 6,       /* of the host: the disk is full */
	NOTICE_CLASSES
};

/* What happens to this host and not to an account. Each may be told of HAPPENED_PER_HOUR times an
 * hour: a flood of one tells of no other less. */
enum notice_happening {
	HAPPENED_REFUSED, /* mail of the drop directory was refused after it was taken */
	HAPPENED_ASIDE,   /* files of the drop directory that hold no message */
	HAPPENED_LAPSE,   /* a part of the configuration is out of force */
	HAPPENED_SPOOL,   /* the spool cannot be written, or can be again */
	HAPPENED_COUNT
};
enum { HAPPENED_PER_HOUR = 20 };

/* Of an account. Zeroed: there is nothing to tell. */
struct notification {
	char *kind;     /* what was or will be told; NULL: nothing */
	int64_t since;  /* when it began to be so */
	int64_t told;   /* last; 0: not yet */
	int64_t good;   /* since when it is so no more, and not yet for long enough; 0: it is */
	unsigned level; /* of an end: days left that were told of */
};

/* A certificate that a listener shows, once the role that ends TLS has spoken of it. */
struct notice_listener {
	struct notice_listener *next;
	char *listener;
	char *record; /* its name in the spool: "listener NAME", which no account is called */
	int64_t expires, lifetime;
	struct notification notices[NOTICE_CLASSES];
};

/* The service of mail that tells people: none about it is ever made. */
extern const char notice_service[];

int notices_init(struct queue *q);
/* Reads what the spool remembers of an account, unless that was done. 0 or -ENOMEM. */
int notices_load(struct queue *q, struct queue_account *a);
/* Is what a notice in the spool is about, an account or a listener, configured? */
bool notices_is_configured(struct queue *q, const char *about);
/* Something may have changed: looks in a moment. */
void notices_look(struct queue *q);
/* A message of the account got this state, which a person has to see. */
void notices_mail(struct queue *q, struct queue_account *a, const struct spool_message *m,
    enum spool_state state);
/* Tells people at once. `id` 0: about no message. `next` may be NULL. */
void notices_happened(struct queue *q, enum notice_happening what, const char *kind, uint64_t id,
    const char *text, const char *next);
/* The disk is full, or is so no more: told once each, whatever restarts meanwhile. */
void notices_space(struct queue *q, bool full, const char *text, const char *next);
/* Was it full when the last run ended, and people were told? */
bool notices_space_is_told(struct queue *q);
/* LISTENER_CERTIFICATE. */
void notices_listener(struct queue *q, const struct message *m);
/* What a person should know of an account that works: an end that is near. Appends to `ret`. */
void notices_warning(const struct queue *q, const struct queue_account *a, struct buf *ret);

/* ---- outbox.c: the ways that events go ---- */

int outbox_init(struct queue *q);
/* There is something to send, or the configuration or a role changed. */
void outbox_look(struct queue *q);
/* A configuration was taken: ways that it did not have before are told what still stands. */
void outbox_ways_changed(struct queue *q);
/* The ways that an event goes by: called for each, within the transaction. */
int outbox_add(struct queue *q, const struct spool_event *e);
void outbox_command_done(struct queue *q, const struct message *m);
void outbox_webhook_done(struct queue *q, const struct message *m);
void outbox_peer(struct queue *q, enum role_id peer, bool up);

/* ---- notice-text.c ---- */

/* The event as a JSON object. 0 or negative errno. */
int notice_json(const struct queue *q, const struct spool_event *e, struct buf *out);
/* The same as a message to people, from the account. NULL: no memory. */
struct spool_message *notice_mail(
    struct queue *q, const struct queue_account *from, const struct spool_event *e);

#endif
