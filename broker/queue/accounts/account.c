/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* account.c: see account.h. */
#include "broker/queue/accounts/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/message/dkim.h"

enum { DAY = 24 * 3600 };

static int
compare_name(const void *name, const void *at)
{
	const struct queue_account *const *a = at;

	return strcmp(name, (*a)->name);
}

static int
compare(const void *a, const void *b)
{
	const struct queue_account *const *x = a;

	return compare_name((*x)->name, b);
}

struct queue_account *
accounts_find(const struct queue_accounts *all, const char *name)
{
	struct queue_account **found = all->count == 0 ? NULL
						       : bsearch(name, all->list, all->count,
							     sizeof(*all->list), compare_name);

	return found == NULL ? NULL : *found;
}

/* What the spool remembers of the account. */
static void
restore(struct queue_account *a, struct spool *spool, int64_t now)
{
	CLEANUP_FREE char *keys = spool_load_signed(spool, a->name);
	struct spool_account kept;

	(void)spool_load_used(spool, a->name, &a->used, a->used_by, sizeof(a->used_by));
	if (keys != NULL)
		(void)account_signed(a, keys);
	if (spool_load_account(spool, a->name, &kept) < 0)
		return;
	a->schedule = kept.schedule;
	a->schedule.keeper = SCHEDULE_ACTIVE;
	a->reply = kept.reply;
	a->learned_at = kept.learned_at;
	a->at_fault = account_is_at_fault(a);
	/* A clock that was wrong before must not make it wait for years. */
	if (a->schedule.until > now + DAY)
		a->schedule.until = now;
}

static int
add(struct queue_accounts *all, struct spool *spool, int64_t now, const char *name)
{
	struct queue_account **list = reallocarray(all->list, all->count + 1, sizeof(*list));
	struct queue_account *a;

	if (list == NULL)
		return -ENOMEM;
	all->list = list;
	a = calloc(1, sizeof(*a));
	if (a != NULL)
		a->name = strdup(name);
	if (a == NULL || a->name == NULL) {
		free(a);
		return -ENOMEM;
	}
	restore(a, spool, now);
	all->list[all->count++] = a;
	return 0;
}

static void
set_keeper_words(struct queue_account *a, const char *text, const char *next)
{
	free(a->keeper_text);
	free(a->keeper_next);
	a->keeper_text = text == NULL ? NULL : strdup(text);
	a->keeper_next = next == NULL ? NULL : strdup(next);
	a->keeper_spoke = true;
}

/* The keeper does not hear of such an account, so its part is said here: the mail waits for a person. */
static void
put_out_of_force(struct queue_account *a)
{
	set_keeper_words(a, a->conf.lapse, "Mend what is named there, then: frank reload");
	(void)schedule_account_keeper(&a->schedule, SCHEDULE_CONFIGURATION);
	a->at_fault = true;
}

int
accounts_take(
    struct queue_accounts *all, struct spool *spool, int64_t now, struct queue_settings *s)
{
	struct queue_accounts before = *all;
	int r = 0;

	for (size_t i = 0; i < s->conf->account_count && r == 0; i++) {
		before.list = all->list;
		if (accounts_find(&before, s->conf->accounts[i].name) == NULL)
			r = add(all, spool, now, s->conf->accounts[i].name);
	}
	if (all->count > 0)
		qsort(all->list, all->count, sizeof(*all->list), compare);
	if (r < 0)
		return r;
	for (size_t i = 0; i < all->count; i++)
		all->list[i]->configured = false;
	for (size_t i = 0; i < s->conf->account_count; i++) {
		struct queue_account *a = accounts_find(all, s->conf->accounts[i].name);
		struct conf_account old;

		if (a == NULL)
			return -ENOMEM; /* it was added above, or this was not reached */
		/* The old strings go with the new settings. */
		old = a->conf;
		a->conf = s->conf->accounts[i];
		s->conf->accounts[i] = old;
		a->configured = true;
		if (*a->conf.lapse != '\0')
			put_out_of_force(a);
	}
	return 0;
}

bool
account_take_keeper(struct queue_account *a, const struct message *m)
{
	bool changed =
	    schedule_account_keeper(&a->schedule, schedule_state_by_name(message_str(m, F_STATE)));

	changed |= schedule_account_renewed(&a->schedule, (int64_t)message_u64(m, F_TIME, 0));
	set_keeper_words(a, message_str(m, F_TEXT), message_str(m, F_NEXT));
	a->certificate_expires = (int64_t)message_u64(m, F_CERTIFICATE_EXPIRES, 0);
	a->consent_lapses = (int64_t)message_u64(m, F_CONSENT_LAPSES, 0);
	a->consent_lifetime = (int64_t)message_u64(m, F_CONSENT_LIFETIME, 0);
	return changed;
}

bool
account_is_at_fault(const struct queue_account *a)
{
	enum schedule_state s = schedule_account_state(&a->schedule);

	return s != SCHEDULE_ACTIVE && s != SCHEDULE_UNREACHABLE && s != SCHEDULE_THROTTLED;
}

void
account_learn(struct queue_account *a, const struct smtp_reply *reply)
{
	CLEANUP_BUF struct buf at = BUF_INIT(4096);

	(void)smtp_reply_copy(&a->reply, reply);
	settings_server(&a->conf, &at);
	free(a->learned_at);
	a->learned_at = buf_take(&at);
}

bool
account_moved(struct queue_account *a)
{
	CLEANUP_BUF struct buf now = BUF_INIT(4096);

	settings_server(&a->conf, &now);
	if (a->learned_at == NULL || *a->learned_at == '\0' ||
	    strcmp(a->learned_at, buf_str(&now)) == 0)
		return false;
	free(TAKE_PTR(a->learned_at));
	smtp_reply_clear(&a->reply);
	return schedule_account_moved(&a->schedule);
}

bool
account_signed(struct queue_account *a, const char *keys)
{
	if (a->signed_with == NULL)
		a->signed_with = calloc(1, DKIM_LIST);
	return a->signed_with != NULL && dkim_merge(a->signed_with, keys);
}

enum role_id
account_transport(const struct queue_account *a)
{
	return a->conf.transport == CONF_TRANSPORT_SMTP ? ROLE_SEND : ROLE_POST;
}

/* ---- rates over a restart ---- */

struct account_replay {
	const struct queue_accounts *all;
	int64_t now_us, now_ms; /* the same moment: since 1970, and as the limits count */
};

static void
replay_attempt(void *arg, const char *account, int64_t at)
{
	const struct account_replay *p = arg;
	struct queue_account *a = accounts_find(p->all, account);
	/* to the second: whenever it was in it, it counts until a minute has passed */
	int64_t ago = p->now_us - (at * 1000000 + 999999);

	if (a != NULL)
		rate_limit_spend(
		    &a->rate, RATE_LIMIT_MINUTE, p->now_ms - (ago > 0 ? ago / 1000 : 0), 1);
}

void
accounts_restore_rates(
    const struct queue_accounts *all, struct spool *spool, const struct clock *clock)
{
	struct account_replay p = {all, clock_now_us(clock), (int64_t)clock_ms()};

	if (spool_each_attempt_since(
		spool, p.now_us / 1000000 - RATE_LIMIT_MINUTE / 1000, replay_attempt, &p) < 0)
		log_warning(
		    "The spool does not tell what was sent in the last minute: the rates of "
		    "accounts count from now on.");
}
