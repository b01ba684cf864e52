/* usage.c: see usage.h. A hash table of records; one that nobody uses goes when its messages are forgotten. */
#include "broker/queue/usage.h"

#include <stdio.h>
#include <string.h>

enum { CHAINS = 256, ROOT_FACTOR = 4, FAILED_LOGINS = 20 };

struct usage {
	struct usage *next;
	uint32_t uid;
	char place[72]; /* socket or other machine; "" for the common socket */
	unsigned users; /* sessions that hold it */
	unsigned connections;
	uint64_t in_flight;
	struct rate_limit minute, logins;
	uint64_t told; /* of queue_now_ms; 0: never */
	bool exempt;   /* CALLER_IS_EXEMPT */
};

struct usages {
	struct usage *chains[CHAINS];
};

struct usages *
usages_new(void)
{
	return calloc(1, sizeof(struct usages));
}

/* Where the caller's name is not enough: its socket, or the machine that it calls from, without the port. */
static void
place_of(const struct caller *c, char *to, size_t size)
{
	const char *end = c->origin[0] == '[' ? "]" : ":";

	if (c->unknown)
		(void)snprintf(to, size, "@%.*s", (int)strcspn(c->origin, end), c->origin);
	else
		(void)snprintf(to, size, "%s", c->socket == NULL ? "" : c->socket);
}

static bool
is_forgotten(const struct usage *u)
{
	uint64_t now = queue_now_ms();

	return u->users == 0 && rate_limit_is_idle(&u->minute, RATE_LIMIT_MINUTE, now) &&
	       rate_limit_is_idle(&u->logins, RATE_LIMIT_MINUTE, now);
}

struct usage *
usage_take(struct queue *q, const struct caller *c)
{
	struct usage **at = &q->usages->chains[c->uid % CHAINS], *u;
	char place[sizeof(u->place)];

	place_of(c, place, sizeof(place));
	while ((u = *at) != NULL) {
		if (u->uid == c->uid && strcmp(u->place, place) == 0)
			break;
		if (is_forgotten(u)) {
			*at = u->next;
			free(u);
		} else {
			at = &u->next;
		}
	}
	if (u == NULL) {
		u = calloc(1, sizeof(*u));
		if (u == NULL)
			return NULL;
		u->uid = c->uid;
		u->exempt = (queue_caller_rights(q, c) & CALLER_IS_EXEMPT) != 0;
		memcpy(u->place, place, sizeof(place));
		u->next = q->usages->chains[c->uid % CHAINS];
		q->usages->chains[c->uid % CHAINS] = u;
	}
	u->users++;
	return u;
}

void
usage_drop(struct queue *q, struct usage *u)
{
	if (u != NULL)
		u->users--;
}

bool
usage_connect(const struct queue *q, struct usage *u)
{
	unsigned most = q->settings->user_connections;

	if (u->connections >= (u->exempt ? most * ROOT_FACTOR : most))
		return false;
	u->connections++;
	return true;
}

void
usage_disconnect(struct usage *u)
{
	u->connections--;
}

unsigned
usage_connections(const struct usage *u)
{
	return u->connections;
}

bool
usage_grow(const struct queue *q, struct usage *u, uint64_t octets)
{
	u->in_flight += octets;
	return u->exempt || u->in_flight <= q->settings->user_in_flight;
}

void
usage_shrink(struct usage *u, uint64_t octets)
{
	u->in_flight -= octets;
}

uint64_t
usage_wait(const struct queue *q, const struct usage *u)
{
	return u->exempt ? 0
			 : rate_limit_wait(&u->minute, q->settings->user_rate,
			       RATE_LIMIT_MINUTE, queue_now_ms());
}

void
usage_message(const struct queue *q, struct usage *u)
{
	if (!u->exempt)
		rate_limit_spend(&u->minute, RATE_LIMIT_MINUTE, (int64_t)queue_now_ms(), 1);
}

bool
usage_login_barred(const struct usage *u)
{
	return rate_limit_wait(&u->logins, FAILED_LOGINS, RATE_LIMIT_MINUTE, queue_now_ms()) > 0;
}

bool
usage_login_failed(struct usage *u)
{
	rate_limit_spend(&u->logins, RATE_LIMIT_MINUTE, (int64_t)queue_now_ms(), 1);
	return usage_login_barred(u);
}

bool
usage_tell(struct usage *u)
{
	uint64_t now = queue_now_ms();

	if (u->told != 0 && now - u->told < RATE_LIMIT_MINUTE)
		return false;
	u->told = now == 0 ? 1 : now;
	return true;
}
