/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * store.c: a message that was handed in goes to the disk, and then to its account or into the
 * spool.
 *
 * It is stored with the state it will have: captured, being sent (where its account has room, so
 * that sending costs no commit of its own), or waiting. Whoever handed it in is told first, the log
 * and the network role after that.
 */
#include "broker/queue/inbound/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "broker/queue/spool/message-log.h"

struct pending_store {
	struct commit_op op;
	struct spool_message *message; /* the promise's, where there is one */
	struct queue_account *account; /* NULL: what is captured may have none */
	struct service *service;
	void *promise; /* that it is sent at once, or NULL */
	bool is_new;
	store_done *done; /* NULL: nobody waits any more */
	void *arg;
};

static int
store_write(struct spool *spool, struct commit_op *op)
{
	struct pending_store *s = (struct pending_store *)op;
	struct inbound *in = op->arg;
	int r = spool_insert(spool, s->message);

	s->is_new = r == 0;
	if (r == 0)
		r = in->ops->stored(in->ops_arg, s->message);
	return r < 0 ? r : 0;
}

static void
log_stored(const struct spool_message *m)
{
	char uid[24];

	(void)snprintf(uid, sizeof(uid), "%" PRId64, m->uid);
	message_log(LOG_LEVEL_INFO,
	    (m->flags & SPOOL_CAPTURE) != 0 ? "A message is captured." : "A message is queued.", m,
	    LOG_PAIRS({LOG_UID, uid}, {LOG_SENDER, m->sender}));
}

/* It is not stored, or was before: nothing of it stays. */
static void
take_back(struct inbound *in, struct pending_store *s)
{
	const struct spool_message *m = s->message;

	if ((m->flags & SPOOL_BODY_FILE) != 0)
		spool_body_remove(in->spool, m->id);
	service_give_back(s->service);
}

static void
store_finish(struct commit_op *op, int r)
{
	struct inbound *in = op->arg;
	struct pending_store *s = (struct pending_store *)op;
	const struct spool_message *m = s->message;
	bool stored = r == 0 && s->is_new;

	if (!stored)
		take_back(in, s);
	if (s->done != NULL)
		s->done(s->arg, m, r, s->is_new);
	if (stored) {
		s->service->accepted++;
		log_stored(m);
		if ((m->flags & SPOOL_CAPTURE) != 0)
			in->ops->captured(in->ops_arg, m->id);
	}
	if (s->promise != NULL) {
		in->ops->keep_promise(in->ops_arg, s->promise, stored);
		s->message = NULL;
	} else if (stored && s->account != NULL && m->next != SPOOL_NEVER) {
		in->ops->wait(in->ops_arg, s->account, m->service, m->next);
	}
	(void)spool_message_free(s->message);
	free(s);
}

static void
settle_states(struct inbound *in, struct pending_store *s)
{
	struct spool_message *m = s->message;
	int64_t now = clock_now(in->clock);
	bool deliver = false;

	m->received = (int64_t)(m->id / 1000000);
	m->expires = now + in->settings->conf->lifetime;
	for (size_t i = 0; i < m->count; i++) {
		struct spool_recipient *r = &m->recipients[i];
		bool capture = policy_is_captured(&s->service->policy, r->address);

		r->state = capture ? SPOOL_CAPTURED : SPOOL_QUEUED;
		r->next = capture ? SPOOL_NEVER : now;
		if (capture)
			m->flags |= SPOOL_CAPTURE;
		else
			deliver = true;
	}
	m->next = deliver ? now : SPOOL_NEVER;
	if (!deliver)
		return;
	if (s->account != NULL)
		s->promise = in->ops->promise(in->ops_arg, s->account, m);
}

struct pending_store *
store_message(
    struct inbound *in, struct service *v, struct spool_message *m, store_done *done, void *arg)
{
	struct pending_store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	service_spend(v);
	*s = (struct pending_store){
	    .op = {.write = store_write, .done = store_finish, .arg = in},
	    .message = m,
	    .account = accounts_find(in->accounts, m->account),
	    .service = v,
	    .done = done,
	    .arg = arg,
	};
	if ((m->flags & SPOOL_BODY_FILE) != 0)
		commit_sync_bodies(in->commit);
	space_taken(in->space, SPOOL_MESSAGE_OVERHEAD + m->body_len);
	settle_states(in, s);
	commit_add(in->commit, &s->op);
	return s;
}

struct signed_op {
	struct commit_op op;
	struct queue_account *account;
};

static int
signed_write(struct spool *spool, struct commit_op *op)
{
	const struct queue_account *a = ((const struct signed_op *)op)->account;

	return spool_save_signed(spool, a->name, a->signed_with);
}

static void
signed_done(struct commit_op *op, int r)
{
	free(op);
}

void
store_signed(struct inbound *in, struct queue_account *a, const char *keys)
{
	struct signed_op *x;

	if (a == NULL || *keys == '\0' || !account_signed(a, keys))
		return;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return;
	*x = (struct signed_op){
	    .op = {.write = signed_write, .done = signed_done, .arg = in}, .account = a};
	commit_add(in->commit, &x->op);
}

void
store_forget(struct pending_store *s)
{
	s->done = NULL;
}
