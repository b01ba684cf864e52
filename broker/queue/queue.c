/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * queue.c: the role: what main and the other roles say, timers, the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/queue/role.h"
#include "broker/queue/inbound/inbound.h"

enum {
	DAY = 24 * 3600,
	SWEEP_SECONDS = 120,
	PURGES_PER_SWEEP = 20,
	CLOCK_FLUSHES = 4,
	WAIT_MAX = 12 * 3600, /* seconds: no wait of any schedule is longer */
	TICK_SECONDS = 5,
	STOP_MS = 1000, /* main kills after 1500, and what is put back at the end would not be */
};

/* ---- configuration ---- */

/* Before anything of the spool is looked at: what the last run left under way. Here, not at the
 * start, because the configuration says what is to become of it. */
static int
on_interrupted(void *arg, uint64_t id)
{
	const struct queue *q = arg;
	struct spool_message m;
	int e = spool_load(q->spool, id, false, &m);

	if (e < 0)
		return e;
	e = message_event_interrupted(notify_messages(q->notify), &m);
	spool_message_clear(&m);
	return e;
}

static int
recover_spool(struct queue *q, const struct queue_settings *s)
{
	unsigned interrupted;
	int e = spool_recover(q->spool, clock_now(&q->clock),
	    s->conf->in_doubt == CONF_IN_DOUBT_HOLD, on_interrupted, q, &interrupted);

	if (e < 0) {
		log_error("The spool cannot be mended after a crash: %s.", strerror(-e));
		return e;
	}
	if (interrupted > 0)
		log_warning(
		    "Messages that were being sent when the last run ended: %u. They are %s.",
		    interrupted,
		    s->conf->in_doubt == CONF_IN_DOUBT_HOLD ? "held, since they may have arrived"
							    : "tried again");
	return 0;
}

/* Of seconds, rounded up. */
static int64_t
whole_days(int64_t seconds)
{
	return (seconds + DAY - 1) / DAY * DAY;
}

/* A lifetime that is shorter than the time between two sweeps is kept as well. */
static void
set_sweep(struct queue *q)
{
	const struct conf *s = q->settings->conf;
	int64_t least = s->lifetime < s->warn_after ? s->lifetime : s->warn_after;
	struct timeval every = {SWEEP_SECONDS, 0};

	if (least / 4 < SWEEP_SECONDS)
		every.tv_sec = least / 4 < 1 ? 1 : (time_t)(least / 4);
	(void)event_add(q->sweep, &every);
}

/* What services and accounts have in the spool, as far as it was there at the start. */
static bool
tally(void *arg)
{
	const struct queue *q = arg;

	return spool_tally_step(q->spool) == 1;
}

/* What the keeper reported of accounts that were not known here yet is lost: it had the configuration earlier. */
static void
ask_states(const struct queue *q)
{
	struct channel *keeper = role_peer(q->role, ROLE_KEEPER);

	if (keeper != NULL)
		(void)channel_send(keeper, message_new(M_STATES_GET), -1);
}

static void
take_settings(struct queue *q)
{
	struct queue_settings *old = q->settings;
	bool first = old == NULL;

	if (settings_complete(q->coming) < 0) {
		log_error(first ? "Memory ran out while the first configuration was taken."
				: "Memory ran out while a configuration was taken; the one before "
				  "stays.");
		q->coming = settings_free(q->coming);
		/* Without any, callers would be accepted whom nothing is configured for. */
		if (first)
			role_exit(q->role, EX_OSERR);
		return;
	}
	q->settings = q->coming;
	q->coming = NULL;
	notify_configure(q->notify, q->settings);
	if (first && recover_spool(q, q->settings) < 0) {
		role_exit(q->role, EX_OSERR);
		return;
	}
	if (accounts_take(&q->accounts, q->spool, clock_now(&q->clock), q->settings) < 0 ||
	    services_take(&q->services, &q->accounts, q->spool, &q->clock, q->settings) < 0 ||
	    delivery_configure(q->delivery, q->settings) < 0) {
		log_error("The configuration cannot be taken: out of memory, or the spool cannot "
			  "be read.");
		role_exit(q->role, EX_OSERR);
		return;
	}
	control_configure(q->control, q->settings);
	inbound_configure(q->inbound, q->settings);
	(void)settings_free(old);
	for (size_t i = 0; i < q->settings->conf->lapses.count; i++)
		notify_happened(q->notify, NOTIFY_LAPSE, "out-of-force", 0,
		    q->settings->conf->lapses.items[i],
		    "Mend what is named there, then: frank reload");
	if (first) {
		space_was_low(q->space, notify_space_was_full(q->notify));
		scan_begin(q->scans, &q->tally, tally, q);
	}
	if (first)
		accounts_restore_rates(&q->accounts, q->spool, &q->clock);
	space_configure(q->space, q->settings->conf->min_free, q->services.count);
	/* Whoever edits the configuration has mended something: the next message shows. */
	for (size_t i = 0; i < q->accounts.count; i++) {
		if (account_moved(q->accounts.list[i]))
			delivery_account_changed(q->delivery, q->accounts.list[i]);
		if (!first)
			schedule_account_retry(
			    &q->accounts.list[i]->schedule, clock_now(&q->clock));
	}
	set_sweep(q);
	if (!first)
		ask_states(q);
	delivery_run(q->delivery);
}

static void
collect_settings(struct queue *q, const struct message *m, int fd)
{
	int r = 0;

	switch (message_type(m)) {
	case M_CONF_ALIASES:
		if (q->coming != NULL || q->settings != NULL)
			r = settings_take_aliases(
			    q->coming != NULL ? q->coming : q->settings, m, fd);
		break;
	case M_CONF_BEGIN:
		(void)settings_free(q->coming);
		q->coming = settings_new(m);
		r = q->coming == NULL ? -ENOMEM : 0;
		break;
	case M_CONF_END:
		if (q->coming != NULL)
			take_settings(q);
		break;
	default:
		r = q->coming == NULL ? -EPROTO : settings_add(q->coming, m);
		break;
	}
	if (r == 0)
		return;
	log_error("The configuration cannot be taken: %s.", strerror(-r));
	role_exit(q->role, EX_SOFTWARE);
}

/* ---- messages ---- */

static void
take_account_state(struct queue *q, const struct message *m)
{
	struct queue_account *a = accounts_find(&q->accounts, message_str(m, F_ACCOUNT));
	bool changed;

	if (a == NULL)
		return;
	changed = account_take_keeper(a, m);
	notify_look(q->notify);
	if (changed) {
		delivery_account_changed(q->delivery, a);
		/* What is taken out of the spool next has its new lifetime. */
		(void)commit_flush(q->commit);
	}
	delivery_run(q->delivery);
}

static void
count_session_of(const struct queue *q, const struct message *m)
{
	struct queue_account *a = accounts_find(&q->accounts, message_str(m, F_ACCOUNT));

	if (a != NULL)
		count_session(&a->count, message_str(m, F_STATE));
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	struct queue *q = role_state(r);

	switch (message_type(m)) {
	case M_CONF_ALIASES:
	case M_CONF_BEGIN:
	case M_CONF_BLOCK:
	case M_CONF_END:
		collect_settings(q, m, fd);
		break;
	case M_USER_ANSWER:
		users_answer(q->users, m);
		break;
	case M_ALIASES_RESULT:
		inbound_aliases_result(q->inbound, m);
		break;
	case M_RELOAD_RESULT:
		control_reload_result(q->control, m);
		break;
	case M_ACCOUNT_STATE:
		take_account_state(q, m);
		break;
	case M_LOOKED_UP:
		control_looked_up(q->control, m);
		break;
	case M_SESSION:
		count_session_of(q, m);
		break;
	case M_JOB_DONE:
		delivery_job_done(q->delivery, m);
		break;
	case M_CHECK_STEP:
	case M_CHECK_DONE:
		control_check_answer(q->control, m);
		break;
	case M_NOTIFY_DONE:
		notify_command_done(q->notify, m);
		break;
	case M_WEBHOOK_DONE:
		notify_webhook_done(q->notify, m);
		break;
	case M_LISTENER_CERTIFICATE:
		notify_listener(q->notify, m);
		break;
	case M_TLS_BEGUN:
	case M_TLS_FAILED:
		inbound_tls_answer(q->inbound, m, TAKE_FD(fd));
		break;
	default:
		log_warning(
		    "A message %s is not for the queue.", message_type_name(message_type(m)));
		break;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void
on_listen(struct role *r, const char *name, const char *service, int fd)
{
	struct queue *q = role_state(r);
	int e;

	e = strcmp(name, "control") == 0 ? control_listen(q->control, fd)
					 : inbound_listen(q->inbound, name, service, fd);
	if (e == -ENOENT)
		(void)close(fd);
	if (e < 0)
		log_line(LOG_LEVEL_ERROR, "A socket cannot be served.",
		    LOG_PAIRS({LOG_FILE, name}, {LOG_SERVICE, service}, {LOG_ERROR, strerror(-e)}));
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	struct queue *q = role_state(r);

	if (peer == ROLE_SEND)
		control_send_peer(q->control, up);
	if (peer == ROLE_TLS)
		inbound_tls_peer(q->inbound, up);
	else
		delivery_peer(q->delivery, peer, up);
	if (peer == ROLE_POST)
		notify_post_peer(q->notify, up);
}

/* ---- time ---- */

/*
 * The system's clock was set. All that waits goes along, at one point, here: times that this run wrote
 * move with it, so that nothing is tried late, nor given up or reported as delayed early, because
 * somebody set the clock; times of earlier runs were right, and what they say holds again.
 */

/* Everything that is to be written by the old clock is; answering may bring more. */
static bool
flush(struct queue *q)
{
	for (int i = 0; i < CLOCK_FLUSHES; i++)
		if (commit_flush(q->commit))
			return true;
	return false;
}

static void
follow_step(struct queue *q, int64_t offset, int64_t delta)
{
	struct spool_step s = {.first = q->run.first,
	    .since = q->run.since,
	    .until = clock_now(&q->clock),
	    .delta = delta,
	    .latest = clock_now(&q->clock) + delta + WAIT_MAX};
	char seconds[32];
	int r = spool_shift(q->spool, &s);

	if (r < 0) {
		log_line(LOG_LEVEL_WARNING,
		    "The system's clock was set, and the spool cannot follow yet.",
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
		return;
	}
	clock_set(&q->clock, offset);
	q->run.since += delta;
	r = delivery_shift(q->delivery, &s);
	(void)snprintf(seconds, sizeof(seconds), "%+" PRId64, delta);
	log_line(LOG_LEVEL_NOTICE,
	    "The system's clock was set; what waits by its times goes along.",
	    LOG_PAIRS({LOG_OUTCOME, seconds}));
	if (r < 0)
		log_error("The spool cannot be read after the clock was set.");
	delivery_run(q->delivery);
}

static void
follow_clock(struct queue *q)
{
	int64_t offset, delta;

	if (clock_was_set(&q->clock, &offset, &delta) && flush(q))
		follow_step(q, offset, delta);
}

static void
purge(struct queue *q)
{
	int64_t now = clock_now(&q->clock);
	bool more = true, more_captured = false;
	int e = 0;

	for (int i = 0; i < PURGES_PER_SWEEP && more && e == 0; i++) {
		e = spool_begin(q->spool);
		if (e == 0)
			e = spool_purge(q->spool,
			    now - whole_days(q->settings->conf->keep_transcripts),
			    now - q->settings->conf->keep_captured, &more);
		for (size_t k = 0; k < q->services.total && e == 0; k++) {
			e = spool_limit_captured(q->spool, q->services.list[k]->name,
			    q->settings->conf->captured_max, &more_captured);
			more = more || more_captured;
		}
		if (e == 0)
			e = spool_commit(q->spool);
		else
			spool_rollback(q->spool);
	}
	if (e == 0)
		e = spool_limit_transcripts(q->spool, q->settings->conf->transcripts_size);
	if (e < 0)
		log_warning("Old history cannot be removed: %s.", strerror(-e));
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->settings == NULL)
		return;
	(void)commit_flush(q->commit);
	delivery_sweep(q->delivery);
	purge(q);
	notify_sweep(q->notify);
	delivery_run(q->delivery);
}

/* After a flood: space goes back to the file system as long as no mail is under way. */
static bool
shrink(void *arg)
{
	struct queue *q = arg;
	int r;

	if (delivery_is_busy(q->delivery) || q->stopping || commit_is_stuck(q->commit))
		return false;
	r = spool_shrink(q->spool);
	if (r < 0 && !q->shrinking_failed)
		log_warning("The spool cannot give back unused space: %s.", strerror(-r));
	q->shrinking_failed = r < 0;
	return r == 1;
}

static void
look_at_space(struct queue *q)
{
	CLEANUP_BUF struct buf text = BUF_INIT(512);
	bool low;

	(void)spool_reserve(q->spool);
	if (!space_look(q->space, &text))
		return;
	low = space_is_low(q->space);
	notify_space(q->notify, low, buf_str(&text),
	    low ? "Free space there; mail that nobody needs goes by: frank queue delete" : NULL);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->settings != NULL) {
		follow_clock(q);
		look_at_space(q);
	}
	if (delivery_is_busy(q->delivery))
		return;
	if (inbound_connections(q->inbound) == 0 && spool_checkpoint(q->spool, true))
		(void)malloc_trim(0);
	if (spool_may_shrink(q->spool))
		scan_begin(q->scans, &q->shrinking, shrink, q);
}

/* ---- start and end ---- */

static int
open_spool(struct queue *q)
{
	CLEANUP_BUF struct buf why = BUF_INIT(8192);
	int e = spool_open(role_state_path(q->role), role_dir(q->role, "bodies"), &q->spool, &why);

	if (e < 0)
		log_error("%s", buf_str(&why));
	return e;
}

static int
start_timers(struct queue *q)
{
	static const struct timeval sweep = {SWEEP_SECONDS, 0}, tick = {TICK_SECONDS, 0};

	q->sweep = event_new(q->base, -1, EV_PERSIST, on_sweep, q);
	q->tick = event_new(q->base, -1, EV_PERSIST, on_tick, q);
	if (q->sweep == NULL || q->tick == NULL || event_add(q->sweep, &sweep) < 0 ||
	    event_add(q->tick, &tick) < 0)
		return -ENOMEM;
	return 0;
}

static void
after_commit(void *arg)
{
	const struct queue *q = arg;

	notify_committed(q->notify);
	delivery_run(q->delivery);
}

static void
on_stuck(void *arg, int error)
{
	struct queue *q = arg;

	/* It is on record once anything is. */
	notify_happened(q->notify, NOTIFY_SPOOL, "spool-error", 0,
	    "The spool cannot be written; nothing is sent or taken until it can.",
	    error == -ENOSPC ? "Free space on its disk." : "Look at its disk: journalctl -k");
}

static void
on_recovered(void *arg)
{
	struct queue *q = arg;

	notify_happened(
	    q->notify, NOTIFY_SPOOL, "recovered", 0, "The spool can be written again.", NULL);
}

static const struct commit_ops commit_ops = {after_commit, on_stuck, on_recovered};

static void
on_own_mail(void *arg, struct queue_account *a, const char *service, int64_t next)
{
	const struct queue *q = arg;

	delivery_wait(q->delivery, a, service, next);
}

static void
on_use_post(void *arg, int by)
{
	const struct queue *q = arg;

	delivery_use(q->delivery, ROLE_POST, by);
}

static const struct notify_ops notify_ops = {on_own_mail, on_use_post};

/* ---- what inbound needs of the other parts ---- */

static void *
promise(void *arg, struct queue_account *a, struct spool_message *m)
{
	const struct queue *q = arg;

	return delivery_promise(q->delivery, a, m);
}

static void
keep_promise(void *arg, void *promised, bool stored)
{
	const struct queue *q = arg;

	if (stored)
		delivery_begin(q->delivery, promised);
	else
		delivery_forget(q->delivery, promised);
}

static int
on_stored(void *arg, const struct spool_message *m)
{
	const struct queue *q = arg;

	return message_event_stored(notify_messages(q->notify), m);
}

static int
on_settled(void *arg, const struct spool_message *m)
{
	const struct queue *q = arg;
	CLEANUP_FREE size_t *all = calloc(m->count + 1, sizeof(*all));

	for (size_t i = 0; all != NULL && i < m->count; i++)
		all[i] = i;
	return all == NULL ? -ENOMEM
			   : message_event_outcome(
				 notify_messages(q->notify), m, all, m->count, false, false);
}

static void
on_rejected(void *arg, const char *service, const char *sender, const char *recipient, int code,
    const char *enhanced, const char *words)
{
	const struct queue *q = arg;

	message_event_rejected(
	    notify_messages(q->notify), &(struct message_rejection){.service = service,
					    .sender = sender,
					    .recipient = recipient,
					    .code = code,
					    .enhanced = enhanced,
					    .words = words});
}

static void
on_captured(void *arg, uint64_t id)
{
	const struct queue *q = arg;

	control_captured(q->control, id);
}

static enum spool_state
refused_state(void *arg, const struct spool_message *m, const struct spool_recipient *r)
{
	const struct queue *q = arg;

	return report_refused_state(delivery_reports(q->delivery), m, r);
}

static bool
is_report_wanted(void *arg, const struct spool_message *m, const struct spool_recipient *r)
{
	const struct queue *q = arg;

	return report_wanted(delivery_reports(q->delivery), m, r, REPORT_FAILED);
}

static struct spool_message *
make_report(void *arg, const struct queue_account *a, const struct spool_message *m,
    const size_t *which, size_t count)
{
	const struct queue *q = arg;

	return report_make(delivery_reports(q->delivery), a, m, REPORT_FAILED, which, count);
}

static void
on_happened(void *arg, enum inbound_happening what, const char *kind, uint64_t id, const char *text,
    const char *next)
{
	const struct queue *q = arg;

	notify_happened(q->notify, what == INBOUND_REFUSED ? NOTIFY_REFUSED : NOTIFY_ASIDE, kind,
	    id, text, next);
}

static void *
list(void *arg, const struct mail_owner *owner, struct buf *out,
    void (*done)(void *done_arg, bool good), void *done_arg)
{
	const struct queue *q = arg;

	return control_list(q->control, owner, out, done, done_arg);
}

static void
free_list(void *arg, void *listing)
{
	control_free_list(listing);
}

static void
flush_queue(void *arg, const struct mail_owner *owner, uint32_t by)
{
	const struct queue *q = arg;

	control_flush(q->control, owner, by);
}

static const struct inbound_ops inbound_ops = {
    .promise = promise,
    .keep_promise = keep_promise,
    .wait = on_own_mail,
    .stored = on_stored,
    .settled = on_settled,
    .rejected = on_rejected,
    .captured = on_captured,
    .refused_state = refused_state,
    .is_report_wanted = is_report_wanted,
    .make_report = make_report,
    .original_max = REPORT_ORIGINAL_MAX,
    .happened = on_happened,
    .list = list,
    .free_list = free_list,
    .flush = flush_queue,
};

static int
on_start(struct role *r)
{
	struct queue *q = role_state(r);
	int drop = role_dir(r, "drop"), e;

	q->role = r;
	q->base = role_base(r);
	(void)umask(077);
	e = open_spool(q);
	if (e < 0)
		return e;
	clock_start(&q->clock);
	q->run =
	    (struct run){clock_now(&q->clock), spool_new_id(q->spool, clock_now_us(&q->clock))};
	q->commit = commit_new(q->base, q->spool, &commit_ops, q);
	q->scans = scans_new(q->base);
	q->space = space_new(q->spool, role_dir(r, "bodies"));
	if (q->commit == NULL || q->scans == NULL || q->space == NULL)
		return -ENOMEM;
	q->notify = notify_new(&(struct notify_deps){.role = r,
	    .base = q->base,
	    .spool = q->spool,
	    .commit = q->commit,
	    .clock = &q->clock,
	    .accounts = &q->accounts,
	    .ops = &notify_ops,
	    .ops_arg = q});
	q->delivery = delivery_new(&(struct delivery_deps){.role = r,
	    .base = q->base,
	    .spool = q->spool,
	    .commit = q->commit,
	    .scans = q->scans,
	    .clock = &q->clock,
	    .accounts = &q->accounts,
	    .notify = q->notify});
	e = q->notify == NULL || q->delivery == NULL ? -ENOMEM : start_timers(q);
	if (e < 0)
		return e;
	q->users = users_new(role_main_channel(q->role));
	q->log = log_limit_new(q->base);
	if (q->users == NULL || q->log == NULL)
		return -ENOMEM;
	q->inbound = inbound_new(&(struct inbound_deps){.role = r,
				     .base = q->base,
				     .spool = q->spool,
				     .commit = q->commit,
				     .space = q->space,
				     .clock = &q->clock,
				     .users = q->users,
				     .log = q->log,
				     .accounts = &q->accounts,
				     .services = &q->services,
				     .ops = &inbound_ops,
				     .ops_arg = q},
	    drop);
	if (q->inbound == NULL)
		return -ENOMEM;
	q->control = control_new(&(struct control_deps){.role = r,
	    .base = q->base,
	    .spool = q->spool,
	    .commit = q->commit,
	    .scans = q->scans,
	    .space = q->space,
	    .clock = &q->clock,
	    .users = q->users,
	    .log = q->log,
	    .accounts = &q->accounts,
	    .services = &q->services,
	    .notify = q->notify,
	    .delivery = q->delivery,
	    .inbound = q->inbound});
	return q->control == NULL ? -ENOMEM : 0;
}

void
queue_close(struct queue *q)
{
	commit_write_last(q->commit);
	q->spool = spool_close(q->spool);
}

/* What is under way may end: messages being handed in and jobs. Then, or when time is over, what is
 * left is put back: nobody crashed, so it does not count as interrupted. */
static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = {0, 50000};
	struct queue *q = arg;

	(void)commit_flush(q->commit);
	if ((delivery_is_busy(q->delivery) || inbound_connections(q->inbound) > 0) &&
	    clock_ms() < q->stop_at) {
		inbound_stop(q->inbound);
		(void)event_add(q->stop, &again);
		return;
	}
	delivery_put_back(q->delivery);
	(void)commit_flush(q->commit);
	log_limit_flush(q->log);
	role_exit(q->role, EX_OK);
}

static void
on_shutdown(struct role *r)
{
	static const struct timeval now = {0, 0};
	struct queue *q = role_state(r);

	if (q->stopping)
		return;
	q->stopping = true;
	notify_stop(q->notify);
	delivery_stop(q->delivery);
	control_stop(q->control);
	q->stop_at = clock_ms() + STOP_MS;
	inbound_stop(q->inbound);
	q->stop = evtimer_new(q->base, on_stop, q);
	if (q->stop == NULL || event_add(q->stop, &now) < 0)
		role_exit(r, EX_OK);
}

const struct role_def queue_role = {
    .id = ROLE_QUEUE,
    .log_name = "frankd[queue]",
    .start = on_start,
    .message = on_message,
    .listen = on_listen,
    .peer = on_peer,
    .shutdown = on_shutdown,
};
