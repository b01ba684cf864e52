/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-status.c: `frank status`, `frank account list`.
 *
 * queue knows the state of an account's mail, keeper that of its credential: both are asked, and their
 * rows are joined by the account's name. If the caller may not see credentials, the mail is still shown.
 */
#include "admin/table.h"
#include "admin/verbs.h"

#include <string.h>
#include <time.h>

enum {
	STATUS_PATIENCE = 30,
	HEALTH_PATIENCE = 5, /* seconds: who watches waits for an answer itself */
};

/* --exit-code: the statuses of a plug-in of Nagios (Monitoring Plugins guidelines, 2.3). */
enum { HEALTH_OK, HEALTH_DEGRADED, HEALTH_DOWN, HEALTH_UNKNOWN };

static const struct column account_columns[] = {
    {F_ACCOUNT, "account", false},
    {F_STATE, "state", false},
    {F_PROVIDER, "provider", false},
    {F_MAILBOX, "mailbox", false},
    {F_GRANT, "grant", false},
    {F_ENDPOINT, "endpoint", false},
    {F_TRANSPORT, "transport", false},
    {F_TLS, "tls", false},
    {F_MECHANISM, "mechanisms", false},
    {F_USED, "used", true},
    {F_USED_BY, "used_by", false},
    {F_COUNT, "queued", true},
    {F_CAUSE, "cause", false},
    {F_FIXER, "fixer", false},
    {F_TEXT, "text", false},
    {F_NEXT, "next", false},
    {F_WARNING, "warning", false},
    {F_TIME, "since", true},
    {F_UNTIL, "until", true},
};

static const struct column credential_columns[] = {
    {F_STATE, "state", false},
    {F_GRANT, "grant", false},
    {F_IDENTITY, "identity", false},
    {F_SCOPE, "scope", false},
    {F_TEXT, "text", false},
    {F_NEXT, "next", false},
    {F_CAUSE, "cause", false},
    {F_FIXER, "fixer", false},
    {F_TIME, "since", true},
    {F_UNTIL, "until", true},
    {F_COUNT, "failures", true},
    {F_SERVICE, "token_services", false},
    {F_ANY_USER, "token_any_user", true},
};

static const struct column service_columns[] = {
    {F_SERVICE, "service", false},
    {F_MODE, "mode", false},
    {F_COUNT, "accepted", true},
    {F_TEXT, "text", false},
};

static const struct column problem_columns[] = {
    {F_KIND, "kind", false},
    {F_TEXT, "text", false},
    {F_NEXT, "next", false},
};

struct gathered {
	json_t *problems; /* of this host */
	json_t *accounts; /* array of objects, in the order of the configuration */
	json_t *services;
	json_t *by_name; /* account's name to the object in `accounts` */
};

static int
take_row(void *arg, const struct message *m)
{
	struct gathered *g = arg;
	const char *account = message_str(m, F_ACCOUNT);
	json_t *o;
	int status;

	switch (message_type(m)) {
	case M_ROW_PROBLEM:
		return cli_add_row(
		    g->problems, m, problem_columns, ARRAY_SIZE(problem_columns), NULL);
	case M_ROW_ACCOUNT:
		status =
		    cli_add_row(g->accounts, m, account_columns, ARRAY_SIZE(account_columns), &o);
		return status == EX_OK && json_object_set(g->by_name, account, o) < 0 ? EX_OSERR
										      : status;
	case M_ROW_SERVICE:
		return cli_add_row(
		    g->services, m, service_columns, ARRAY_SIZE(service_columns), NULL);
	case M_ROW_CREDENTIAL:
		/* an account that queue did not name (reload in between) is left out */
		if (json_object_get(g->by_name, account) == NULL)
			return EX_OK;
		o = json_object();
		if (cli_json_fields(o, m, credential_columns, ARRAY_SIZE(credential_columns)) < 0 ||
		    json_object_set(json_object_get(g->by_name, account), "credential", o) < 0) {
			json_decref(o);
			return EX_OSERR;
		}
		json_decref(o);
		return EX_OK;
	default:
		return EX_OK;
	}
}

static int
gather(const struct cli *cli, const char *account, unsigned patience, struct gathered *g)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m;
	int status;

	*g = (struct gathered){json_array(), json_array(), json_array(), json_object()};
	if (g->problems == NULL || g->accounts == NULL || g->services == NULL || g->by_name == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	status = link_ask(cli, ROLE_QUEUE, patience, message_new(M_STATUS), take_row, g, NULL);
	if (status != EX_OK)
		return status;
	m = message_new(M_KEEPER_STATUS);
	message_put_str(m, F_ACCOUNT, account);
	/* where keeper refuses (the caller has no right, or the account went meanwhile), what queue
	 * said is shown all the same */
	return link_ask(cli, ROLE_KEEPER, patience, m, take_row, g, &done);
}

static void
gathered_clear(struct gathered *g)
{
	json_decref(g->problems);
	json_decref(g->accounts);
	json_decref(g->services);
	json_decref(g->by_name);
}

/* ---- for people ---- */

/* The state of the credential in one phrase. */
static const char *
describe_credential(const json_t *o, char *scratch, size_t size)
{
	const json_t *c = json_object_get(o, "credential");
	const char *state = cli_text(c, "state");
	uint64_t until = cli_number(c, "until");
	char when[64];

	if (state == NULL)
		return "-";
	if (until == 0 || (strcmp(state, "active") != 0 && strcmp(state, "refreshing") != 0))
		return state;
	cli_relative_time(until, (uint64_t)time(NULL), when, sizeof(when));
	(void)snprintf(scratch, size, "token ends %s", when);
	return scratch;
}

static void
print_words(const struct cli *cli, const json_t *o)
{
	cli_put_field(cli, 4, "", 0, COLOUR_NONE, cli_text(o, "text"));
	cli_put_field(cli, 4, "Next:", 6, COLOUR_BOLD, cli_text(o, "next"));
}

static void
print_problems(const struct cli *cli, const json_t *problems)
{
	size_t i;
	const json_t *o;

	json_array_foreach(problems, i, o)
	{
		cli_put_field(cli, 0, "", 0, COLOUR_BAD, cli_text(o, "text"));
		cli_put_field(cli, 4, "Next:", 6, COLOUR_BOLD, cli_text(o, "next"));
		(void)putchar('\n');
	}
}

static void
print_below(const struct cli *cli, const json_t *o)
{
	const json_t *credential = json_object_get(o, "credential");

	print_words(cli, o);
	cli_put_field(cli, 4, "Soon:", 6, COLOUR_WARN, cli_text(o, "warning"));
	/* both roles may say the same: keeper reports to queue */
	if (!json_equal(json_object_get(credential, "text"), json_object_get(o, "text")))
		print_words(cli, credential);
}

static void
print_accounts(const struct cli *cli, const json_t *accounts)
{
	static const struct table_column columns[] = {
	    {"ACCOUNT", "account", CELL_BOLD, 0, NULL},
	    {"MAILBOX", "mailbox", CELL_TEXT, 0, NULL},
	    {"STATE", "state", CELL_STATE, 0, NULL},
	    {"QUEUED", "queued", CELL_NUMBER, 8, NULL},
	    {"CREDENTIAL", NULL, CELL_TEXT, 0, describe_credential},
	};

	if (json_array_size(accounts) == 0)
		(void)puts("No account is configured, or none that you may see.\n"
			   "    Next: `frank service explain USER SENDER` says which service takes "
			   "your mail, and why the others do not. An administrator adds an account "
			   "with `frank account add`, and you to the users of a service in the "
			   "configuration.");
	else
		table_print(cli, accounts, columns, ARRAY_SIZE(columns), print_below);
}

static void
print_services(const struct cli *cli, const json_t *services)
{
	static const struct table_column columns[] = {
	    {"SERVICE", "service", CELL_BOLD, 0, NULL},
	    {"MODE", "mode", CELL_TEXT, 0, NULL},
	    {"", "text", CELL_TEXT, 0, NULL},
	};

	/* there may be none for this caller's eyes */
	if (json_array_size(services) > 0)
		table_print(cli, services, columns, ARRAY_SIZE(columns), NULL);
}

/* ---- the verbs ---- */

/* What the exit status says of an answer that ended with `status`. */
static int
health_of(const struct gathered *g, int status)
{
	const json_t *o;
	size_t i;

	if (status == EX_UNAVAILABLE || status == EX_TEMPFAIL)
		return HEALTH_DOWN;
	if (status != EX_OK)
		return HEALTH_UNKNOWN;
	if (json_array_size(g->problems) > 0)
		return HEALTH_DEGRADED;
	json_array_foreach(g->accounts, i, o)
	{
		if (strcmp(cli_text(o, "state"), "active") != 0)
			return HEALTH_DEGRADED;
	}
	return HEALTH_OK;
}

static int
show(const struct cli *cli, bool services, bool health)
{
	struct gathered g;
	int status = gather(cli, NULL, health ? HEALTH_PATIENCE : STATUS_PATIENCE, &g);
	int ret = health ? health_of(&g, status) : status;
	json_t *o;

	if (status == EX_OK && cli->json) {
		o = json_object();
		(void)json_object_set(o, "accounts", g.accounts);
		if (services)
			(void)json_object_set(o, "services", g.services);
		if (services)
			(void)json_object_set(o, "problems", g.problems);
		ret = cli_print_json(o, ret);
	} else if (status == EX_OK) {
		if (services)
			print_problems(cli, g.problems);
		print_accounts(cli, g.accounts);
		if (json_array_size(g.services) > 0 && services)
			(void)putchar('\n');
		if (services)
			print_services(cli, g.services);
	}
	gathered_clear(&g);
	return ret;
}

int
verb_status(const struct cli *cli, const struct arguments *args)
{
	return show(cli, true, arguments_has(args, OPTION_EXIT_CODE));
}

int
verb_account_list(const struct cli *cli, const struct arguments *args)
{
	return show(cli, false, false);
}

/* ---- everything, for `frank audit` ---- */

int
verb_status_of_accounts(const struct cli *cli, json_t **ret)
{
	struct gathered g;
	int status = gather(cli, NULL, STATUS_PATIENCE, &g);

	*ret = status == EX_OK ? json_incref(g.accounts) : NULL;
	gathered_clear(&g);
	return status;
}

/* ---- one account, for `frank check` ---- */

int
verb_status_of_account(const struct cli *cli, const char *account, json_t **ret)
{
	struct gathered g;
	int status = gather(cli, account, STATUS_PATIENCE, &g);

	*ret = NULL;
	if (status == EX_OK) {
		*ret = json_incref(json_object_get(g.by_name, account));
		if (*ret == NULL)
			status = cli_fail(cli, EX_NOUSER, "frank account list shows the accounts",
			    "no account %s is configured, or none that you may see", account);
	}
	gathered_clear(&g);
	return status;
}
