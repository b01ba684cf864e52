/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * usage.c: see usage.h. A hash table of records; one that nobody uses goes when its messages are
 * forgotten.
 *
 * A uid without a name has a record of its own, and what it takes is counted in that of its group
 * as well. A uid of which main has not spoken yet is in the group for its connections only, and
 * held to its own limits alone: whoever has a name must not wait for those who have none.
 */
#include "broker/queue/inbound/usage.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { CHAINS = 256, ROOT_FACTOR = 4, FAILED_LOGINS = 20 };

struct usage {
	struct usage *next;
	struct inbound *in;
	uint32_t uid;
	char place[72]; /* socket or other machine; "" for users of this host */
	unsigned users; /* sessions that hold it, and records of its group */
	unsigned connections;
	unsigned unknown; /* of a group: connections of uids of which main has not spoken yet */
	uint64_t in_flight, memory;
	struct rate_limit minute, logins, checks;
	bool exempt, placed; /* see usage.h */
	struct usage *group; /* that of uids without a name, or NULL */
	bool nameless;       /* it is one, as main has said */
	bool asked;          /* main is */
};

struct usages {
	struct usage *chains[CHAINS];
	void (*crowded)(void *arg);
	void *arg;
};

struct usages *
usages_new(void (*crowded)(void *arg), void *arg)
{
	struct usages *all = calloc(1, sizeof(*all));

	if (all != NULL) {
		all->crowded = crowded;
		all->arg = arg;
	}
	return all;
}

/* ---- records ---- */

/* The machine that a caller comes from. Of IPv6 the first 64 bits: whoever has one address has all
 * of that network. */
static void
machine_of(const struct caller *c, char *to, size_t size)
{
	const char *host = c->origin + (c->origin[0] == '[');
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6;

	(void)snprintf(
	    text, sizeof(text), "%.*s", (int)strcspn(host, c->origin[0] == '[' ? "]" : ":"), host);
	if (inet_pton(AF_INET6, text, &v6) == 1) {
		memset(v6.s6_addr + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &v6, text, sizeof(text));
	}
	(void)snprintf(to, size, "@%s", text);
}

/* Where the uid is not enough. */
static void
place_of(const struct caller *c, char *to, size_t size)
{
	*to = '\0';
	if (c->unknown)
		machine_of(c, to, size);
	else if (c->socket != NULL)
		(void)snprintf(to, size, "%s", c->socket);
}

static bool
is_forgotten(const struct usage *u)
{
	uint64_t now = clock_ms();

	return u->users == 0 && rate_limit_is_idle(&u->minute, RATE_LIMIT_MINUTE, now) &&
	       rate_limit_is_idle(&u->logins, RATE_LIMIT_MINUTE, now) &&
	       rate_limit_is_idle(&u->checks, CHECK_PERIOD, now);
}

static void
leave_group(struct usage *u)
{
	struct usage *g = u->group;

	if (g == NULL)
		return;
	if (u->nameless) {
		g->connections -= u->connections;
		g->in_flight -= u->in_flight;
		g->memory -= u->memory;
	} else {
		g->unknown -= u->connections;
	}
	g->users--;
	u->group = NULL;
	u->nameless = false;
}

static void
usage_free(struct usage *u)
{
	leave_group(u);
	users_forget(u->in->users, u);
	free(u);
}

/* The record of this key, made where there is none. NULL: no memory. */
static struct usage *
find(struct inbound *in, uint32_t uid, const char *place)
{
	unsigned hash = uid;
	struct usage **first, **at, *u;

	for (const char *p = place; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char)*p;
	first = &in->usages->chains[hash % CHAINS];
	for (at = first; (u = *at) != NULL;) {
		if (u->uid == uid && strcmp(u->place, place) == 0)
			return u;
		if (is_forgotten(u)) {
			*at = u->next;
			usage_free(u);
		} else {
			at = &u->next;
		}
	}
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->in = in;
	u->uid = uid;
	(void)snprintf(u->place, sizeof(u->place), "%s", place);
	u->next = *first;
	*first = u;
	return u;
}

/* False: no memory. */
static bool
join_group(struct usage *u, bool nameless)
{
	struct usage *g;

	/* find forgets what nobody uses, as this one may be whose caller left before main answered */
	u->users++;
	g = find(u->in, CALLER_UID_OVERFLOW, "");
	u->users--;
	if (g == NULL)
		return false;
	leave_group(u);
	u->group = g;
	u->nameless = nameless;
	g->users++;
	if (nameless) {
		g->connections += u->connections;
		g->in_flight += u->in_flight;
		g->memory += u->memory;
		/* what it did before main answered: else each new uid had a few tries of its own */
		rate_limit_add(&g->minute, &u->minute);
		rate_limit_add(&g->logins, &u->logins);
		rate_limit_add(&g->checks, &u->checks);
	} else {
		g->unknown += u->connections;
	}
	return true;
}

static void
on_known(void *arg, const struct user *user)
{
	struct usage *u = arg;

	u->asked = false;
	if (*user->name != '\0')
		leave_group(u);
	else if (join_group(u, true))
		u->in->usages->crowded(u->in->usages->arg);
}

/* With which others it counts. False: no memory. */
static bool
find_group(struct usage *u)
{
	const struct user *user = users_get(u->in->users, u->uid, u->asked ? NULL : on_known, u);

	if (user == NULL) {
		u->asked = true;
		return u->group != NULL || join_group(u, false);
	}
	if (*user->name != '\0') {
		leave_group(u);
		return true;
	}
	return u->nameless || join_group(u, true);
}

struct usage *
usage_take(struct inbound *in, const struct caller *c)
{
	unsigned rights = entrance_rights(in, c);
	bool is_user = (rights & CALLER_COUNTS_ALONE) != 0;
	char place[sizeof(((struct usage *)NULL)->place)];
	struct usage *u;

	place_of(c, place, sizeof(place));
	u = find(in, is_user ? c->uid : CALLER_UID_OVERFLOW, place);
	if (u == NULL)
		return NULL;
	u->exempt = (rights & CALLER_IS_EXEMPT) != 0;
	u->placed = (rights & (CALLER_IS_EXEMPT | CALLER_MAY_ADMINISTER)) != 0;
	u->users++;
	if (is_user && !u->exempt && !find_group(u)) {
		u->users--;
		return NULL;
	}
	return u;
}

void
usage_drop(struct usage *u)
{
	if (u != NULL)
		u->users--;
}

/* What the caller counts as, once that is known. */
static const struct usage *
judged(const struct usage *u)
{
	return u->nameless ? u->group : u;
}

/* Where what it does is counted. */
static struct usage *
counted(struct usage *u)
{
	return u->nameless ? u->group : u;
}

bool
usage_is_same(const struct usage *a, const struct usage *b)
{
	return (a->group != NULL ? a->group : a) == (b->group != NULL ? b->group : b);
}

bool
usage_has_place(const struct usage *u)
{
	return u->placed;
}

/* ---- connections ---- */

static unsigned
most_connections(const struct usage *u)
{
	return u->in->settings->conf->user_connections * (u->exempt ? ROOT_FACTOR : 1);
}

/* Where the group counts those of this member. */
static unsigned *
group_connections(struct usage *u)
{
	return u->nameless ? &u->group->connections : &u->group->unknown;
}

bool
usage_connect(struct usage *u)
{
	if (judged(u)->connections >= most_connections(u))
		return false;
	u->connections++;
	if (u->group != NULL)
		(*group_connections(u))++;
	return true;
}

void
usage_disconnect(struct usage *u)
{
	u->connections--;
	if (u->group != NULL)
		(*group_connections(u))--;
}

unsigned
usage_connections(const struct usage *u)
{
	const struct usage *of = u->group != NULL ? u->group : u;

	return of->connections + of->unknown;
}

unsigned
usage_own_connections(const struct usage *u)
{
	return judged(u)->connections;
}

bool
usage_is_crowded(const struct usage *u)
{
	return u->nameless && u->group->connections > most_connections(u);
}

/* ---- messages being handed in ---- */

bool
usage_grow(struct usage *u, uint64_t octets)
{
	u->in_flight += octets;
	if (u->nameless)
		u->group->in_flight += octets;
	return u->exempt || judged(u)->in_flight <= u->in->settings->conf->user_in_flight;
}

void
usage_shrink(struct usage *u, uint64_t octets)
{
	u->in_flight -= octets;
	if (u->nameless)
		u->group->in_flight -= octets;
}

void
usage_hold(struct usage *u, uint64_t octets)
{
	u->in_flight += octets;
	u->memory += octets;
	if (u->nameless) {
		u->group->in_flight += octets;
		u->group->memory += octets;
	}
}

bool
usage_holds_too_much(const struct usage *u)
{
	return !u->exempt && (judged(u)->memory > USAGE_MEMORY_MAX ||
				 judged(u)->in_flight > u->in->settings->conf->user_in_flight);
}

void
usage_release(struct usage *u, uint64_t octets)
{
	u->in_flight -= octets;
	u->memory -= octets;
	if (u->nameless) {
		u->group->in_flight -= octets;
		u->group->memory -= octets;
	}
}

/* ---- rates ---- */

uint64_t
usage_wait(const struct usage *u)
{
	return u->exempt ? 0
			 : rate_limit_wait(&judged(u)->minute, u->in->settings->conf->user_rate,
			       RATE_LIMIT_MINUTE, clock_ms());
}

void
usage_message(struct usage *u)
{
	if (!u->exempt)
		rate_limit_spend(&counted(u)->minute, RATE_LIMIT_MINUTE, (int64_t)clock_ms(), 1);
}

bool
usage_login_barred(const struct usage *u)
{
	return rate_limit_wait(&judged(u)->logins, FAILED_LOGINS, RATE_LIMIT_MINUTE, clock_ms()) >
	       0;
}

bool
usage_login_failed(struct usage *u)
{
	rate_limit_spend(&counted(u)->logins, RATE_LIMIT_MINUTE, (int64_t)clock_ms(), 1);
	return usage_login_barred(u);
}

bool
usage_check_barred(const struct usage *u)
{
	return rate_limit_wait(&judged(u)->checks, CHECK_RATE, CHECK_PERIOD, clock_ms()) > 0;
}

void
usage_check(struct usage *u)
{
	rate_limit_spend(&counted(u)->checks, CHECK_PERIOD, (int64_t)clock_ms(), 1);
}

void
usage_name(const struct usage *u, char to[LOG_LIMIT_WHO_MAX])
{
	if (u->place[0] == '@')
		(void)snprintf(to, LOG_LIMIT_WHO_MAX, "%s", u->place + 1);
	else
		mail_owner_name(
		    u->in->users, judged(u)->uid, *u->place == '\0' ? NULL : u->place, to);
}
