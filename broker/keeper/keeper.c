/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * keeper.c: see keeper.h. The life of the role, its parts, and which message goes to which part.
 */
#include "broker/conf/wire.h"
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/keeper/accounts/report.h"
#include "broker/keeper/command.h"

enum {
	LOCK_STEP = 50,   /* ms */
	LOCK_WAIT = 5000, /* ms */
	STOP_LONGEST = 3, /* seconds that a request in flight is waited for at the end */
};

struct keeper {
	struct role *role;
	const struct file_ops *files;
	struct vault *vault;
	struct fetch_requests *fetch;
	struct token_requests *requests;
	struct accounts_ops accounts_ops;
	struct accounts *accounts;
	struct leases *leases;
	struct state_reports reports;
	struct attempts attempts;
	struct revocations *revocations;
	struct token_keys *keys;
	struct command_desk *commands;
	struct conf *coming;      /* see wire_collect */
	struct event *stop_timer; /* NULL: the role is not ending */
};

/* ---- what the accounts need of the parts above them ---- */

static void
ops_decide(void *arg, struct account *a, uint64_t waiter, bool granted)
{
	struct keeper *k = arg;

	lease_decide(k->leases, a, waiter, granted);
}

static void
ops_changed(void *arg, struct account *a)
{
	struct keeper *k = arg;

	report_changed(&k->reports, a);
}

static void
ops_forget(void *arg, struct account *a)
{
	struct keeper *k = arg;

	attempts_forget_account(&k->attempts, a);
	revocations_forget_account(k->revocations, a);
	lease_refuse(k->leases, a);
}

/* ---- begin and end ---- */

static struct keeper *
keeper_free(struct keeper *k)
{
	int error = errno;

	if (k == NULL)
		return NULL;
	k->commands = commands_free(k->commands);
	attempts_clear(&k->attempts);
	k->revocations = revocations_free(k->revocations);
	k->leases = leases_free(k->leases);
	k->accounts = accounts_free(k->accounts);
	k->keys = keys_free(k->keys);
	k->requests = token_requests_free(k->requests);
	k->fetch = fetch_requests_free(k->fetch);
	if (k->stop_timer != NULL)
		event_free(k->stop_timer);
	(void)conf_free(k->coming);
	k->vault = vault_free(k->vault);
	free(k);
	errno = error;
	return NULL;
}

struct keeper *
keeper_new(const struct file_ops *files)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->files = files;
	k->vault = vault_new(files->random, files->arg);
	return k->vault == NULL ? keeper_free(k) : k;
}

/*
 * Two keepers on one store would refresh the same tokens, which a server takes for theft. main's lock
 * does not bar that: where main was killed, the keeper it had may be ending still while the next one
 * starts. So each keeper locks the folder, and waits for the one before. 0, or negative errno where that
 * does not end.
 */
static int
lock_store(int dir)
{
	for (int waited = 0;; waited += LOCK_STEP) {
		if (flock(dir, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || waited >= LOCK_WAIT)
			return -errno;
		(void)poll(NULL, 0, LOCK_STEP);
	}
}

/* The parts, from below. 0 or -ENOMEM. */
static int
make_parts(struct keeper *k, int dir)
{
	struct role *r = k->role;
	struct event_base *base = role_base(r);

	k->accounts_ops = (struct accounts_ops){
	    .decide = ops_decide, .changed = ops_changed, .forget = ops_forget, .arg = k};
	if ((k->fetch = fetch_requests_new(r)) == NULL ||
	    (k->requests = token_requests_new(r, k->fetch, k->vault, k->files)) == NULL ||
	    (k->accounts = accounts_new(base, k->files, k->vault, k->requests, &k->accounts_ops)) ==
		NULL ||
	    (k->leases = leases_new(r, k->accounts)) == NULL ||
	    (k->revocations = revocations_new(k->accounts, k->fetch, k->requests)) == NULL ||
	    (k->keys = keys_new(base, k->files, dir, k->vault, k->accounts)) == NULL)
		return -ENOMEM;
	k->reports = (struct state_reports){.role = r, .accounts = k->accounts};
	k->attempts = (struct attempts){.base = base,
	    .files = k->files,
	    .vault = k->vault,
	    .accounts = k->accounts,
	    .fetch = k->fetch,
	    .requests = k->requests};
	k->commands = commands_new(r, &(struct command_parts){.accounts = k->accounts,
					  .leases = k->leases,
					  .attempts = &k->attempts,
					  .revocations = k->revocations,
					  .keys = k->keys});
	return k->commands == NULL ? -ENOMEM : 0;
}

static int
start(struct role *r)
{
	struct keeper *k = role_state(r);
	int dir = role_dir(r, "tokens"), e;

	k->role = r;
	e = make_parts(k, dir);
	if (e < 0)
		return e;
	if (dir < 0) {
		log_error("The folder of the token store was not handed over.");
		return 0;
	}
	e = lock_store(dir);
	if (e < 0)
		log_error("The token store is in use by another keeper: %s.", strerror(-e));
	return e;
}

static bool
is_idle(const struct keeper *k)
{
	return fetch_request_is_idle(k->fetch) && token_request_is_idle(k->requests);
}

static void
exit_if_done(struct keeper *k)
{
	if (k->stop_timer != NULL && is_idle(k))
		role_exit(k->role, EX_OK);
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;

	role_exit(k->role, EX_OK);
}

/* A refresh in flight is waited for: its answer may bring a refresh token that replaces the one we
 * have. */
static void
on_shutdown(struct role *r)
{
	struct keeper *k = role_state(r);
	struct timeval t = {.tv_sec = STOP_LONGEST};

	clients_close(commands_clients(k->commands));
	accounts_flush(k->accounts);
	if (is_idle(k) || (k->stop_timer = evtimer_new(role_base(r), on_stop_timer, k)) == NULL)
		role_exit(r, EX_OK);
	else
		(void)evtimer_add(k->stop_timer, &t);
}

/* ---- messages ---- */

static void
probe(struct keeper *k, const struct message *m)
{
	struct account *a = accounts_find(k->accounts, message_str(m, F_ACCOUNT));

	if (a == NULL)
		return;
	machine_probe(a->machine, accounts_now(k->accounts));
	accounts_run(k->accounts, a);
	report_account(&k->reports, a);
}

/* The accounts of a configuration, as the keeper has them; it holds none then. NULL: no memory. */
static struct account_conf **
take_accounts(struct keeper *k, struct conf *c, size_t *ret_count)
{
	struct account_conf **all = calloc(c->account_count + 1, sizeof(*all));
	size_t n = 0;

	while (all != NULL && n < c->account_count &&
	       (all[n] = account_conf_new(k->vault, &c->accounts[n])) != NULL)
		n++;
	if (all != NULL && n == c->account_count) {
		*ret_count = n;
		c->account_count = 0;
		return all;
	}
	while (n-- > 0)
		(void)account_conf_free(all[n]);
	free(all);
	return NULL;
}

static void
take_configuration(struct keeper *k, const struct message *m)
{
	int r = wire_collect(&k->coming, ROLE_KEEPER, m, -1);
	struct conf *c = r == 1 ? TAKE_PTR(k->coming) : NULL;
	struct account_conf **accounts = NULL;
	size_t count = 0;

	if (r == 0)
		return;
	if (c != NULL)
		accounts = take_accounts(k, c, &count);
	if (accounts == NULL) {
		log_error("A configuration did not arrive whole; the one before stays.");
		(void)conf_free(c);
		return;
	}
	keys_configure(k->keys,
	    keyslot_kind_by_name(c->master_key_from == NULL ? "key-file" : c->master_key_from),
	    c->master_key.secret);
	c->master_key.secret = secret_free(c->master_key.secret);
	if (accounts_configure(k->accounts, accounts, count) < 0)
		log_error(
		    "Memory ran out while a configuration was taken; the accounts before stay.");
	free(accounts);
	clients_set_admin_group(
	    commands_clients(k->commands), c->has_admin_gid ? c->admin_gid : CALLER_NO_GROUP);
	commands_set_services(k->commands, c);
	report_all(&k->reports);
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	struct keeper *k = role_state(r);

	if (fd >= 0)
		(void)close(fd);
	switch (message_type(m)) {
	case M_LEASE:
		lease_set(k->leases, m);
		break;
	case M_PROBE:
		probe(k, m);
		break;
	case M_STATES_GET:
		report_all(&k->reports);
		break;
	case M_CREDENTIAL_GET:
		lease_get(k->leases, channel_peer(from), m);
		break;
	case M_USER_ANSWER:
		clients_user_answer(commands_clients(k->commands), m);
		break;
	case M_KEY_ANSWER:
		token_request_key_answer(k->requests, m);
		break;
	case M_TOKEN_ANSWER:
	case M_DISCOVERED:
	case M_USERINFO_ANSWER:
	case M_DEVICE_ANSWER:
	case M_REVOKE_ANSWER:
		fetch_request_answer(k->fetch, m);
		break;
	default:
		take_configuration(k, m); /* the table allows nothing else */
	}
	exit_if_done(k);
}

static void
on_listen(struct role *r, const char *name, const char *service, int fd)
{
	const struct keeper *k = role_state(r);

	if (strcmp(name, "keeper") == 0)
		clients_listen(commands_clients(k->commands), fd);
	else
		(void)close(fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	struct keeper *k = role_state(r);

	if (peer == ROLE_FETCH)
		fetch_request_peer(k->fetch, up);
	else if (peer == ROLE_QUEUE && up)
		report_all(&k->reports);
	else if (peer == ROLE_QUEUE)
		lease_end_all(k->leases);
	else if (!up)
		lease_forget_transport(k->leases, peer);
	exit_if_done(k);
}

static void
on_writable(struct role *r, struct channel *c)
{
	struct keeper *k = role_state(r);

	if (channel_peer(c) == ROLE_QUEUE)
		report_writable(&k->reports);
	else if (channel_peer(c) == ROLE_FETCH)
		fetch_request_peer(k->fetch, true);
}

static void
stop(struct role *r)
{
	(void)keeper_free(role_state(r));
}

const struct role_def keeper_role = {
    .id = ROLE_KEEPER,
    .log_name = "frankd[keeper]",
    .start = start,
    .message = on_message,
    .listen = on_listen,
    .peer = on_peer,
    .writable = on_writable,
    .stop = stop,
    .shutdown = on_shutdown,
};
