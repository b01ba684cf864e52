/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * lease.c: see lease.h. The token machine knows a waiter by a number; this file knows who it is.
 */
#include "broker/keeper/accounts/lease.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"

struct lease_waiter {
	LIST_ENTRY(lease_waiter) entry;
	uint64_t number;         /* as the machine knows it */
	struct account *account; /* borrowed */
	lease_decided *decided;
	void *who;
	/* of a transport (`who` is NULL) */
	enum role_id transport;
	uint64_t id; /* of CREDENTIAL_GET */
};

struct leases {
	struct role *role;
	struct accounts *accounts;
	LIST_HEAD(, lease_waiter) waiters;
	uint64_t last_number;
};

static void
waiter_free(struct lease_waiter *w)
{
	LIST_REMOVE(w, entry);
	free(w);
}

/* ---- who waits ---- */

/* `as` says who waits. */
static int
wait_as(struct leases *l, const struct lease_waiter *as, uint64_t min_valid, uint64_t rejected)
{
	struct account *a = as->account;
	struct lease_waiter *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	*w = *as;
	w->number = ++l->last_number;
	LIST_INSERT_HEAD(&l->waiters, w, entry);
	if (min_valid < a->conf->min_valid)
		min_valid = a->conf->min_valid;
	r = machine_want(a->machine, accounts_now(l->accounts), w->number, min_valid, rejected);
	if (r < 0)
		waiter_free(w);
	else
		accounts_run(l->accounts, a);
	return r;
}

int
lease_wait(struct leases *l, struct account *a, lease_decided *decided, void *waiter,
    uint64_t min_valid, uint64_t rejected)
{
	const struct lease_waiter as = {.account = a, .decided = decided, .who = waiter};

	return wait_as(l, &as, min_valid, rejected);
}

static void
forget(struct leases *l, const void *who, enum role_id transport)
{
	struct lease_waiter *w, *next;

	for (w = LIST_FIRST(&l->waiters); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		if (w->who != who || (who == NULL && w->transport != transport))
			continue;
		machine_forget(w->account->machine, w->number);
		waiter_free(w);
	}
}

void
lease_forget(struct leases *l, const void *waiter)
{
	forget(l, waiter, ROLE_CLIENT);
}

void
lease_forget_transport(struct leases *l, enum role_id transport)
{
	forget(l, NULL, transport);
}

void
lease_refuse(struct leases *l, struct account *a)
{
	struct lease_waiter *w, *next;

	for (w = LIST_FIRST(&l->waiters); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		if (w->account != a)
			continue;
		machine_forget(a->machine, w->number);
		lease_decide(l, a, w->number, false);
	}
}

/* ---- the transports ---- */

static void
audit(const struct account *a, enum role_id transport, const char *outcome)
{
	log_line(LOG_LEVEL_INFO, "A credential was asked for.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_ROLE, message_role_name(transport)},
		{LOG_OUTCOME, outcome}));
}

static void
answer(const struct leases *l, enum role_id transport, struct message *m)
{
	struct channel *c = role_peer(l->role, transport);

	if (c == NULL)
		(void)message_free(m);
	else if (channel_send(c, m, -1) < 0)
		log_error("An answer does not reach the %s role.", message_role_name(transport));
}

static void
fail_credential(const struct leases *l, enum role_id transport, uint64_t id, const char *name,
    const char *state, const char *error, int64_t until)
{
	struct message *m = message_new(M_CREDENTIAL_FAILED);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, name);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_ERROR, error);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	answer(l, transport, m);
}

/* "unreachable" where the account stands well and a token merely cannot be had now. */
static void
refuse_credential(
    const struct leases *l, const struct account *a, enum role_id transport, uint64_t id)
{
	struct account_view v;

	account_view(a, &v);
	fail_credential(l, transport, id, a->conf->name, v.usable ? "unreachable" : v.state,
	    *v.words != '\0' ? v.words
	    : v.text.len > 0 ? buf_str(&v.text)
			     : "No access token can be had at the moment.",
	    v.until);
	audit(a, transport, v.state);
	account_view_clear(&v);
}

static void
give_credential(const struct leases *l, const struct account *a, enum role_id transport,
    uint64_t id, const char *kind, const struct secret *s, int64_t until)
{
	struct message *m = message_new(M_CREDENTIAL);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	message_put_str(m, F_KIND, kind);
	message_put_str(m, F_USER_NAME, account_conf_login(a->conf));
	message_put_u64(m, F_GENERATION, machine_generation(a->machine));
	message_put_secret(m, F_SECRET, s);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	answer(l, transport, m);
	audit(a, transport, kind);
}

static void
give_token(const struct leases *l, const struct account *a, enum role_id transport, uint64_t id)
{
	CLEANUP_SECRET struct secret *s = machine_access_token(a->machine);

	if (s != NULL)
		give_credential(l, a, transport, id, "token", s,
		    machine_expires_at(a->machine, accounts_now(l->accounts)));
	else
		fail_credential(
		    l, transport, id, a->conf->name, "unreachable", "Memory ran out.", 0);
}

void
lease_decide(struct leases *l, struct account *a, uint64_t number, bool granted)
{
	struct lease_waiter *w, was;

	LIST_FOREACH (w, &l->waiters, entry)
		if (w->number == number)
			break;
	if (w == NULL)
		return;
	was = *w;
	waiter_free(w);
	if (was.who != NULL)
		was.decided(was.who, a, granted);
	else if (granted)
		give_token(l, a, was.transport, was.id);
	else
		refuse_credential(l, a, was.transport, was.id);
}

static void
give(struct leases *l, struct account *a, enum role_id transport, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);
	const struct lease_waiter as = {.account = a, .transport = transport, .id = id};
	CLEANUP_SECRET struct secret *s = NULL;

	switch (grant_rows[a->conf->grant].credential) {
	case GRANT_GIVES_NOTHING:
		give_credential(l, a, transport, id, "none", NULL, 0);
		break;
	case GRANT_GIVES_PASSWORD:
		s = account_password(a);
		if (s != NULL)
			give_credential(l, a, transport, id, "password", s, 0);
		else
			refuse_credential(l, a, transport, id);
		break;
	case GRANT_GIVES_TOKEN:
		if (wait_as(l, &as, message_u64(m, F_MIN_VALID, 0), message_u64(m, F_REJECTED, 0)) <
		    0)
			fail_credential(l, transport, id, a->conf->name, "unreachable",
			    "Too many wait for a token of this account.", 0);
	}
}

void
lease_get(struct leases *l, enum role_id transport, const struct message *m)
{
	const char *name = message_str(m, F_ACCOUNT);
	struct account *a = accounts_find(l->accounts, name);

	/* Queue leases an account before it sends a job, but that message may still be unread. Read
	 * the channel first. */
	if (a != NULL && !a->leased && role_peer(l->role, ROLE_QUEUE) != NULL) {
		channel_poll(role_peer(l->role, ROLE_QUEUE));
		a = accounts_find(l->accounts, name);
	}
	if (a != NULL && a->leased) {
		give(l, a, transport, m);
		return;
	}
	log_line(LOG_LEVEL_WARNING, "A role asks for an account that is not leased to it.",
	    LOG_PAIRS({LOG_ACCOUNT, name}, {LOG_ROLE, message_role_name(transport)},
		{LOG_OUTCOME, "refused"}));
	fail_credential(l, transport, message_u64(m, F_ID, 0), name, "configuration",
	    "This account is not leased for sending.", 0);
}

void
lease_set(struct leases *l, const struct message *m)
{
	struct account *a = accounts_find(l->accounts, message_str(m, F_ACCOUNT));

	if (a != NULL)
		a->leased = message_u64(m, F_WANTED, 0) != 0;
}

void
lease_end_all(struct leases *l)
{
	for (size_t i = 0; i < accounts_count(l->accounts); i++)
		accounts_at(l->accounts, i)->leased = false;
}

struct leases *
leases_new(struct role *role, struct accounts *accounts)
{
	struct leases *l = calloc(1, sizeof(*l));

	if (l != NULL)
		*l = (struct leases){.role = role, .accounts = accounts};
	return l;
}

struct leases *
leases_free(struct leases *l)
{
	if (l == NULL)
		return NULL;
	while (!LIST_EMPTY(&l->waiters))
		waiter_free(LIST_FIRST(&l->waiters));
	free(l);
	return NULL;
}
