/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * places.c: see places.h. Until main has answered for a uid, its client counts among those without a name, but is not
 * refused because of their number: a caller that has a name must not suffer from them.
 */
#include "broker/role/places.h"

#include <string.h>

void
places_init(struct client_places *all, struct users *users, const struct places_config *config,
    const struct places_ops *ops)
{
	*all = (struct client_places){.config = config, .ops = ops, .users = users};
	all->last = &all->first;
}

uint32_t
place_bucket(const struct place *p)
{
	return p->named ? p->uid : CALLER_UID_OVERFLOW;
}

static unsigned
count_of(const struct client_places *all, uint32_t bucket)
{
	unsigned n = 0;

	for (const struct place *p = all->first; p != NULL; p = p->next)
		n += !p->exempt && place_bucket(p) == bucket;
	return n;
}

/* Of those that are held to the limit of their bucket. */
static unsigned
count_known(const struct client_places *all, uint32_t bucket)
{
	unsigned n = 0;

	for (const struct place *p = all->first; p != NULL; p = p->next)
		n += !p->exempt && p->known && place_bucket(p) == bucket;
	return n;
}

/* Which clients of a bucket may be ended. */
enum choice { IDLE_KNOWN, ANY_KNOWN, IDLE, ANY };

/* The one that has been without activity longest. */
static struct place *
find_silent(const struct client_places *all, uint32_t bucket, enum choice which)
{
	bool any = which == ANY || which == ANY_KNOWN;
	bool known = which == IDLE_KNOWN || which == ANY_KNOWN;

	for (struct place *p = all->first; p != NULL; p = p->next)
		if (!p->exempt && place_bucket(p) == bucket && (p->known || !known) &&
		    (any || all->ops->is_idle(p)))
			return p;
	return NULL;
}

/* The bucket that has most, where that is more than `few`: false where there is none. */
static bool
find_greediest(const struct client_places *all, unsigned few, uint32_t *ret)
{
	bool found = false;

	for (const struct place *p = all->first; p != NULL; p = p->next) {
		unsigned n = p->exempt ? 0 : count_of(all, place_bucket(p));

		if (n > few) {
			*ret = place_bucket(p);
			few = n;
			found = true;
		}
	}
	return found;
}

/* One client of the bucket goes: false where none can. */
static bool
end_one(struct client_places *all, uint32_t bucket, enum choice which)
{
	struct place *p = find_silent(all, bucket, which);

	if (p != NULL)
		all->ops->end(p);
	return p != NULL;
}

static bool
is_full(const struct client_places *all, const struct place *p)
{
	return all->count >= all->config->most ||
	       (!p->exempt && all->ordinary >= all->config->most - all->config->kept);
}

static bool
find_room(struct client_places *all, const struct place *p)
{
	uint32_t bucket = place_bucket(p);
	unsigned few;

	if (!p->exempt && p->known && count_known(all, bucket) >= all->config->most_each &&
	    !end_one(all, bucket, IDLE_KNOWN))
		return false;
	if (!is_full(all, p))
		return true;
	few = p->exempt ? 0 : p->known ? count_of(all, bucket) + 1 : 1;
	return find_greediest(all, few, &bucket) &&
	       (end_one(all, bucket, IDLE) || end_one(all, bucket, ANY));
}

/* ---- time ---- */

static void
set_timer(struct place *p)
{
	const struct timeval idle = {.tv_sec = p->all->config->idle_seconds};

	(void)evtimer_add(p->timer, &idle);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct place *p = arg;

	if (p->all->ops->is_idle(p))
		p->all->ops->end(p);
	else
		set_timer(p);
}

static void
append(struct place *p)
{
	p->next = NULL;
	p->at = p->all->last;
	*p->all->last = p;
	p->all->last = &p->next;
}

static void
take_out(struct place *p)
{
	*p->at = p->next;
	if (p->next != NULL)
		p->next->at = p->at;
	else
		p->all->last = p->at;
}

void
place_touch(struct place *p)
{
	take_out(p);
	append(p);
	set_timer(p);
}

/* ---- coming and going ---- */

static void
on_known(void *arg, const struct user *user)
{
	struct place *p = arg;
	struct client_places *all = p->all;
	uint32_t bucket;

	p->known = true;
	p->named = *user->name != '\0';
	bucket = place_bucket(p);
	while (count_known(all, bucket) > all->config->most_each &&
	       (end_one(all, bucket, IDLE_KNOWN) || end_one(all, bucket, ANY_KNOWN)))
		;
}

bool
place_take(struct client_places *all, struct place *p, struct event_base *base, uint32_t uid,
    unsigned rights)
{
	const struct user *user = NULL;

	p->uid = uid;
	p->exempt = (rights & CALLER_IS_EXEMPT) != 0;
	p->known = p->exempt || (rights & CALLER_COUNTS_ALONE) == 0;
	if (!p->known)
		user = users_get(all->users, uid, NULL, NULL);
	if (user != NULL) {
		p->known = true;
		p->named = *user->name != '\0';
	}
	if (!find_room(all, p))
		return false;
	p->timer = evtimer_new(base, on_time, p);
	if (p->timer == NULL)
		return false;
	p->all = all;
	all->count++;
	all->ordinary += !p->exempt;
	append(p);
	set_timer(p);
	if (!p->known)
		(void)users_get(all->users, uid, on_known, p);
	return true;
}

void
place_leave(struct place *p)
{
	if (p->all == NULL)
		return;
	users_forget(p->all->users, p);
	event_free(p->timer);
	take_out(p);
	p->all->count--;
	p->all->ordinary -= !p->exempt;
	p->all = NULL;
}
