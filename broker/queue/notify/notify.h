/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * notify.h: what people are notified of: an account that waits for them, an end that comes nearer,
 * mail that can be neither delivered nor returned, trouble of this host.
 *
 * A condition that lasts longer than notify.after becomes an event; while it lasts it becomes one
 * again after notify.repeat; when it ends after people heard of it, that is one, too. What they heard
 * is in the spool, so a restart repeats nothing. Several accounts of which the same is to be said
 * become one event.
 */
#ifndef FRANK_BROKER_QUEUE_NOTIFY_NOTIFY_H
#define FRANK_BROKER_QUEUE_NOTIFY_NOTIFY_H

#include "broker/queue/accounts/account.h"
#include "broker/queue/common/clock.h"
#include "broker/queue/notify/message-event.h"
#include "broker/queue/spool/commit.h"
#include "broker/role/role.h"

struct notify;

/* What notify needs of the part that sends mail. */
struct notify_ops {
	/* Notification mail is on disk: it may go through the account at `next`. */
	void (*mail)(void *arg, struct queue_account *a, const char *service, int64_t next);
	/* The role for webhooks is in use by `by` more requests (less, where negative): it is to stay. */
	void (*use_post)(void *arg, int by);
};

/* What notify stands on, borrowed for good. */
struct notify_deps {
	struct role *role;
	struct event_base *base;
	struct spool *spool;
	struct commit *commit;
	const struct clock *clock;
	struct queue_accounts *accounts;
	const struct notify_ops *ops;
	void *ops_arg;
};

/* NULL: no memory. */
struct notify *notify_new(const struct notify_deps *deps);
/* A configuration is in force: `s` is borrowed until the next one is. */
void notify_configure(struct notify *n, const struct queue_settings *s);
/* The role ends: nothing more is begun. */
void notify_stop(struct notify *n);

/* Something may have changed: looks in a moment, at all accounts. */
void notify_look(struct notify *n);
/* A message of the account got this state, FAILED or HELD, which a person has to see. */
void notify_mail(struct notify *n, struct queue_account *a, const struct spool_message *m,
    enum spool_state state);
/* LISTENER_CERTIFICATE: the role that ends TLS shows this certificate. */
void notify_listener(struct notify *n, const struct message *m);
/* When it expires, in seconds; 0: that role has not spoken of this listener. */
int64_t notify_listener_expires(const struct notify *n, const char *listener);

/* What happens to this host and not to an account. Of each at most 20 events are made in an hour: a
 * flood of one hides no other. */
enum notify_happening {
	NOTIFY_REFUSED, /* mail of the drop directory was refused after it was taken */
	NOTIFY_ASIDE,   /* files of the drop directory that hold no message */
	NOTIFY_LAPSE,   /* a part of the configuration is out of force */
	NOTIFY_SPOOL,   /* the spool cannot be written, or can be again */
	NOTIFY_DROPPED, /* a receiver takes no events, and the oldest are gone */
	NOTIFY_HAPPENINGS
};
/* Makes an event at once. `id` 0: about no message. `next` may be NULL. */
void notify_happened(struct notify *n, enum notify_happening what, const char *kind, uint64_t id,
    const char *text, const char *next);
/* The disk is full, or is so no more: one event each, whatever restarts meanwhile. */
void notify_space(struct notify *n, bool full, const char *text, const char *next);
/* Was it full when the last run ended, and did people hear of it? */
bool notify_space_was_full(struct notify *n);

/* For the events of messages (message-event.h). Borrowed. */
struct message_events *notify_messages(struct notify *n);
/* A commit is over; and from time to time: old events go. */
void notify_committed(struct notify *n);
void notify_sweep(struct notify *n);

/* Webhooks (NULL: all) get what they take of the kept events from this id on once more, or for the first time.
 * Their number, -ENOENT where there is none, or another negative errno. */
int notify_replay(struct notify *n, uint64_t since, const char *webhook);
/* Sends a test event, which is not kept, to a webhook. `done` gets its id and the answer: `status` of HTTP, or 0 and
 * a sentence in `fault`; never from within this call. 0; -ENOENT, -ENOMEM: it is not called. */
typedef void notify_tested(void *arg, uint64_t id, unsigned status, const char *fault);
int notify_test(struct notify *n, const char *webhook, notify_tested *done, void *arg);
/* `done` is not called for this `arg` any more. */
void notify_test_forget(struct notify *n, void *arg);

/* Appends what a person should know of an account that works: an end that is near. */
void notify_warning(const struct notify *n, const struct queue_account *a, struct buf *ret);

/* NOTIFY_DONE, WEBHOOK_DONE; and the role of webhooks came or went. */
void notify_command_done(struct notify *n, const struct message *m);
void notify_webhook_done(struct notify *n, const struct message *m);
void notify_post_peer(struct notify *n, bool up);

#endif
