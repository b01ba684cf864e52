/*
 * users.c: names and groups of callers. The user database is out of this process's reach (and may
 * ask the network), so main is asked by uid; answers are kept for some minutes.
 */
#include "broker/queue/queue.h"

#include <errno.h>
#include <string.h>

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
	int64_t since;
	struct waiter *waiting;
};

struct users {
	struct entry *entries;
	size_t count;
};

struct users *
users_new(void)
{
	return calloc(1, sizeof(struct users));
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

static struct entry *
find(struct users *u, uint32_t uid)
{
	for (struct entry *e = u->entries; e != NULL; e = e->next)
		if (e->user.uid == uid)
			return e;
	return NULL;
}

/* Makes room: what nobody waits for goes. */
static void
forget_idle(struct users *u)
{
	for (struct entry **at = &u->entries; *at != NULL;) {
		struct entry *e = *at;

		if (e->waiting != NULL) {
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

	if (u->count >= USERS_MAX)
		forget_idle(u);
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
ask(struct queue *q, struct entry *e)
{
	struct message *m = message_new(M_USER_QUERY);

	message_put_u64(m, F_UID, e->user.uid);
	e->asked = channel_send(role_main_channel(q->role), m, -1) == 0;
}

const struct user *
users_get(struct queue *q, uint32_t uid, users_ready *ready, void *arg)
{
	struct entry *e = find(q->users, uid);
	struct waiter *w;

	if (e == NULL)
		e = add(q->users, uid);
	if (e == NULL)
		return NULL;
	if (e->known && queue_now(q) - e->since > KEEP_SECONDS && !e->asked)
		ask(q, e); /* what is known serves until the answer is there */
	if (e->known)
		return &e->user;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	*w = (struct waiter){e->waiting, ready, arg};
	e->waiting = w;
	if (!e->asked)
		ask(q, e);
	return NULL;
}

void
users_forget(struct queue *q, void *arg)
{
	for (struct entry *e = q->users->entries; e != NULL; e = e->next)
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
users_answer(struct queue *q, const struct message *m)
{
	struct entry *e = find(q->users, (uint32_t)message_u64(m, F_UID, UINT32_MAX));
	struct waiter *waiting;

	if (e == NULL || take(&e->user, m) < 0)
		return;
	e->known = true;
	e->asked = false;
	e->since = queue_now(q);
	waiting = e->waiting;
	e->waiting = NULL;
	while (waiting != NULL) {
		struct waiter *w = waiting;

		waiting = w->next;
		if (w->ready != NULL)
			w->ready(w->arg, &e->user);
		free(w);
	}
}
