/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* users.c: see users.h. */
#include "broker/role/users.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/role/caller.h"

enum { USERS_MAX = 512, KEEP_SECONDS = 300 };

struct waiter {
	struct waiter *next;
	users_ready *ready;
	void *arg;
};

struct entry {
	struct entry *next;
	struct user user;
	bool known, asked;
	bool calling; /* those who wait: it must not go meanwhile */
	int64_t since;
	struct waiter *waiting;
};

struct users {
	struct channel *to_main;
	struct entry *entries;
	size_t count;
};

struct users *
users_new(struct channel *to_main)
{
	struct users *u = calloc(1, sizeof(*u));

	if (u != NULL)
		u->to_main = to_main;
	return u;
}

/* Seconds since the start of the machine. */
static int64_t
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

static void
forget_user(struct user *u)
{
	free(u->name);
	free(u->full_name);
	free(u->groups);
	*u = (struct user){.uid = u->uid};
}

static void
entry_free(struct entry *e)
{
	forget_user(&e->user);
	while (e->waiting != NULL) {
		struct waiter *w = e->waiting;

		e->waiting = w->next;
		free(w);
	}
	free(e);
}

struct users *
users_free(struct users *u)
{
	while (u != NULL && u->entries != NULL) {
		struct entry *e = u->entries;

		u->entries = e->next;
		entry_free(e);
	}
	free(u);
	return NULL;
}

static struct entry *
find(const struct users *u, uint32_t uid)
{
	for (struct entry *e = u->entries; e != NULL; e = e->next)
		if (e->user.uid == uid)
			return e;
	return NULL;
}

static bool
has_name(const struct entry *e)
{
	return e->known && *e->user.name != '\0';
}

/* Makes room: what nobody waits for goes; with `named`, also what has a name. */
static void
forget_idle(struct users *u, bool named)
{
	for (struct entry **at = &u->entries; *at != NULL;) {
		struct entry *e = *at;

		if (e->waiting != NULL || e->calling || (has_name(e) && !named)) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		entry_free(e);
		u->count--;
	}
}

static struct entry *
add(struct users *u, uint32_t uid)
{
	struct entry *e;

	/* First those of whom one user may have thousands. */
	if (u->count >= USERS_MAX)
		forget_idle(u, false);
	if (u->count >= USERS_MAX)
		forget_idle(u, true);
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->user.uid = uid;
	e->next = u->entries;
	u->entries = e;
	u->count++;
	return e;
}

static void
ask(struct users *u, struct entry *e)
{
	struct message *m = message_new(M_USER_QUERY);

	message_put_u64(m, F_UID, e->user.uid);
	e->asked = channel_send(u->to_main, m, -1) == 0;
}

const struct user *
users_get(struct users *u, uint32_t uid, users_ready *ready, void *arg)
{
	struct entry *e = find(u, uid);
	struct waiter *w, **at;

	if (e == NULL)
		e = add(u, uid);
	if (e == NULL)
		return NULL;
	if (e->known && now() - e->since > KEEP_SECONDS && !e->asked)
		ask(u, e); /* what is known serves until the answer is there */
	if (e->known)
		return &e->user;
	w = ready == NULL ? NULL : calloc(1, sizeof(*w));
	if (w != NULL) {
		*w = (struct waiter){NULL, ready, arg};
		for (at = &e->waiting; *at != NULL;)
			at = &(*at)->next;
		*at = w;
	}
	if (!e->asked)
		ask(u, e);
	return NULL;
}

void
users_forget(struct users *u, void *arg)
{
	for (struct entry *e = u->entries; e != NULL; e = e->next)
		for (struct waiter *w = e->waiting; w != NULL; w = w->next)
			if (w->arg == arg)
				w->ready = NULL;
}

static int
take(struct user *u, const struct message *m)
{
	const char *name = message_str(m, F_USER_NAME), *full = message_str(m, F_FULL_NAME);
	uint64_t group;
	size_t count = 0;

	forget_user(u);
	u->name = strdup(name == NULL ? "" : name);
	u->full_name = strdup(full == NULL ? "" : full);
	for (size_t at = 0; message_next_u64(m, F_GROUP, &at, &group);)
		count++;
	u->groups = calloc(count + 1, sizeof(*u->groups));
	if (u->name == NULL || u->full_name == NULL || u->groups == NULL)
		return -ENOMEM;
	for (size_t at = 0; message_next_u64(m, F_GROUP, &at, &group);)
		u->groups[u->group_count++] = (uint32_t)group;
	return 0;
}

void
users_answer(struct users *u, const struct message *m)
{
	struct entry *e = find(u, (uint32_t)message_u64(m, F_UID, UINT32_MAX));
	struct waiter *w;

	if (e == NULL)
		return;
	e->asked = false;
	e->known = take(&e->user, m) == 0;
	if (!e->known)
		return; /* out of memory: whoever asks next asks main again */
	e->calling = true;
	e->since = now();
	while ((w = e->waiting) != NULL) {
		e->waiting = w->next;
		if (w->ready != NULL)
			w->ready(w->arg, &e->user);
		free(w);
	}
	e->calling = false;
}

uint32_t
users_bucket(const struct users *u, uint32_t uid)
{
	const struct entry *e = find(u, uid);

	return uid == 0 || (e != NULL && has_name(e)) ? uid : CALLER_UID_OVERFLOW;
}

void
users_name_bucket(uint32_t bucket, char *to, size_t size)
{
	if (bucket == CALLER_UID_OVERFLOW)
		(void)snprintf(to, size, "uids without a name");
	else
		(void)snprintf(to, size, "uid %u", (unsigned)bucket);
}
