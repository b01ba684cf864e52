/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * lease.c: those who wait for a credential, and what the roles that take mail out (send, post) get.
 *
 * They get a credential for an account that queue has lent to it, and no other. Whoever waits is known to the machine by a
 * number; here stands who that is.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

int
keeper_wait(struct keeper *k, struct account *a, struct client *client, enum role_id carrier,
    uint64_t send_id, const char *service, uint64_t min_valid, uint64_t rejected)
{
	struct waiter *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	*w = (struct waiter){.next = k->waiters,
	    .id = ++k->last_waiter,
	    .account = a,
	    .client = client,
	    .carrier = carrier,
	    .send_id = send_id};
	w->service = service == NULL ? NULL : strdup(service);
	if (min_valid < a->conf->min_valid)
		min_valid = a->conf->min_valid;
	k->waiters = w;
	r = machine_want(a->machine, keeper_now(k), w->id, min_valid, rejected);
	if (r < 0) {
		k->waiters = w->next;
		free(w->service);
		free(w);
		return r;
	}
	keeper_run(k, a);
	return 0;
}

static struct waiter *
take_waiter(struct keeper *k, uint64_t id)
{
	for (struct waiter **p = &k->waiters; *p != NULL; p = &(*p)->next)
		if ((*p)->id == id) {
			struct waiter *w = *p;

			*p = w->next;
			return w;
		}
	return NULL;
}

void
keeper_forget(struct keeper *k, const struct client *client, enum role_id carrier)
{
	struct waiter **p = &k->waiters;

	while (*p != NULL) {
		struct waiter *w = *p;

		if (w->client != client || (client == NULL && w->carrier != carrier)) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		machine_forget(w->account->machine, w->id);
		free(w->service);
		free(w);
	}
}

static void
audit_send(const struct account *a, enum role_id carrier, const char *outcome)
{
	log_line(LOG_LEVEL_INFO, "A credential was asked for.",
	    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_ROLE, role_name(carrier)},
		{LOG_OUTCOME, outcome}));
}

static void
answer(struct keeper *k, enum role_id carrier, struct message *m)
{
	struct channel *c = role_peer(k->role, carrier);

	if (c == NULL)
		(void)message_free(m);
	else if (channel_send(c, m, -1) < 0)
		log_error("An answer does not reach the %s role.", role_name(carrier));
}

static void
fail_credential(struct keeper *k, enum role_id carrier, uint64_t id, const char *name,
    const char *state, const char *error, int64_t until)
{
	struct message *m = message_new(M_CREDENTIAL_FAILED);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, name);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_ERROR, error);
	if (until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)until);
	answer(k, carrier, m);
}

/* "unreachable" where the account stands well and a token merely cannot be had now. */
static void
refuse_credential(struct keeper *k, const struct account *a, enum role_id carrier, uint64_t id)
{
	struct account_view v;

	account_view(a, &v);
	fail_credential(k, carrier, id, a->conf->name, v.usable ? "unreachable" : v.state,
	    *v.words != '\0' ? v.words
	    : v.text.len > 0 ? buf_str(&v.text)
			     : "No access token can be had at the moment.",
	    v.until);
	audit_send(a, carrier, v.state);
	account_view_clear(&v);
}

static void
give_credential(struct keeper *k, const struct account *a, enum role_id carrier, uint64_t id,
    const char *kind, const struct secret *s, int64_t until)
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
	answer(k, carrier, m);
	audit_send(a, carrier, kind);
}

void
keeper_decide(void *arg, struct account *a, uint64_t waiter, bool granted)
{
	struct keeper *k = arg;
	struct waiter *w = take_waiter(k, waiter);

	if (w == NULL)
		return;
	if (w->client != NULL) {
		client_decide(k, w, granted);
	} else if (granted) {
		CLEANUP_SECRET struct secret *s = machine_access_token(a->machine);

		if (s != NULL)
			give_credential(k, a, w->carrier, w->send_id, "token", s,
			    machine_expires_at(a->machine, keeper_now(k)));
		else
			fail_credential(k, w->carrier, w->send_id, a->conf->name, "unreachable",
			    "Memory ran out.", 0);
	} else {
		refuse_credential(k, a, w->carrier, w->send_id);
	}
	free(w->service);
	free(w);
}

void
lending_get(struct keeper *k, enum role_id carrier, const struct message *m)
{
	const char *name = message_str(m, F_ACCOUNT);
	struct account *a = keeper_find(k, name);
	uint64_t id = message_u64(m, F_ID, 0);
	CLEANUP_SECRET struct secret *s = NULL;

	/* queue lends an account before it hands over a job: its word may wait in its channel. */
	if (a != NULL && !a->lent && role_peer(k->role, ROLE_QUEUE) != NULL)
		channel_poll(role_peer(k->role, ROLE_QUEUE));
	a = keeper_find(k, name);
	if (a == NULL || !a->lent) {
		log_line(LOG_LEVEL_WARNING, "A role asks for an account that is not lent to it.",
		    LOG_PAIRS({LOG_ACCOUNT, name}, {LOG_ROLE, role_name(carrier)},
			{LOG_OUTCOME, "refused"}));
		fail_credential(k, carrier, id, name, "configuration",
		    "This account is not lent for sending.", 0);
		return;
	}
	switch (account_credential(a)) {
	case CREDENTIAL_NONE:
		give_credential(k, a, carrier, id, "none", NULL, 0);
		break;
	case CREDENTIAL_PASSWORD:
		s = account_password(a);
		if (s != NULL)
			give_credential(k, a, carrier, id, "password", s, 0);
		else
			refuse_credential(k, a, carrier, id);
		break;
	case CREDENTIAL_TOKEN:
		if (keeper_wait(k, a, NULL, carrier, id, NULL, message_u64(m, F_MIN_VALID, 0),
			message_u64(m, F_REJECTED, 0)) < 0)
			fail_credential(k, carrier, id, name, "unreachable",
			    "Too many wait for a token of this account.", 0);
	}
}
