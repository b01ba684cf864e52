/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* report.c: see report.h. */
#include "broker/keeper/accounts/report.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "broker/keeper/accounts/assertion.h"

/* The ends that a person has to see to in time. */
static void
put_ends(const struct account *a, struct message *m)
{
	const struct account_conf *c = a->conf;
	int64_t end, authorized = machine_authorized_at(a->machine), life;
	int64_t lapses = machine_refresh_ends(a->machine, &life);

	if (c->certificate.len > 0 &&
	    assertion_certificate_end(c->certificate.data, c->certificate.len, &end) == 0)
		message_put_u64(m, F_CERTIFICATE_EXPIRES, (uint64_t)end);
	/* what the server said, or what the configuration knows: the earlier */
	end = authorized + (int64_t)c->consent_lifetime;
	if (c->consent_lifetime > 0 && authorized > 0 && (lapses == 0 || end < lapses)) {
		lapses = end;
		life = (int64_t)c->consent_lifetime;
	}
	if (lapses > 0) {
		message_put_u64(m, F_CONSENT_LAPSES, (uint64_t)lapses);
		message_put_u64(m, F_CONSENT_LIFETIME, (uint64_t)life);
	}
}

/* False where queue's channel is full or not there. */
static bool
send_state(const struct state_reports *r, const struct account *a)
{
	struct channel *c = role_peer(r->role, ROLE_QUEUE);
	struct account_view v;
	struct message *m;

	if (c == NULL)
		return false;
	account_view(a, &v);
	m = message_new(M_ACCOUNT_STATE);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	message_put_str(m, F_STATE, v.state);
	if (v.text.len > 0)
		message_put_str(m, F_TEXT, buf_str(&v.text));
	if (v.next.len > 0)
		message_put_str(m, F_NEXT, buf_str(&v.next));
	if (v.until > 0)
		message_put_u64(m, F_UNTIL, (uint64_t)v.until);
	if (a->given > 0)
		message_put_u64(m, F_TIME, (uint64_t)a->given);
	put_ends(a, m);
	account_view_clear(&v);
	return channel_send(c, m, -1) == 0;
}

void
report_writable(struct state_reports *r)
{
	if (!r->due)
		return;
	r->due = false;
	for (size_t i = 0; i < accounts_count(r->accounts); i++) {
		struct account *a = accounts_at(r->accounts, i);

		if (!a->report_due)
			continue;
		if (!send_state(r, a)) {
			r->due = true;
			return;
		}
		a->report_due = false;
	}
}

void
report_account(struct state_reports *r, struct account *a)
{
	a->report_due = r->due = true;
	report_writable(r);
}

void
report_all(struct state_reports *r)
{
	for (size_t i = 0; i < accounts_count(r->accounts); i++)
		accounts_at(r->accounts, i)->report_due = true;
	r->due = true;
	report_writable(r);
}

/* One line in the log for each state and sentence that is new. */
static void
log_state(struct account *a)
{
	struct buf now CLEANUP_BUF = BUF_INIT(4096);
	struct account_view v;
	bool fine;

	account_view(a, &v);
	fine = v.usable && v.text.len == 0;
	(void)buf_printf(&now, "%s %s", v.state, buf_str(&v.text));
	if (!text_same(a->logged, buf_str(&now))) {
		if (a->logged != NULL || !fine)
			log_line(fine ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
			    fine ? "The account's credential is in order." : buf_str(&v.text),
			    LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_OUTCOME, v.state}));
		free(a->logged);
		a->logged = buf_take(&now);
	}
	account_view_clear(&v);
}

void
report_changed(struct state_reports *r, struct account *a)
{
	log_state(a);
	/* Those that could not be reported before go first, in report_writable. An account that is
	 * not listed yet is reported with all others, when the configuration is taken. */
	a->report_due = r->due || !a->listed || !send_state(r, a);
	r->due |= a->report_due && a->listed;
}
