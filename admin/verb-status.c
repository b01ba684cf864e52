/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-status.c: `frank status`, `frank account list`.
 *
 * queue knows what happens to the mail of an account, keeper what became of its credential: both
 * are asked and joined by the account's name. Where keeper does not let the caller see credentials,
 * the mail is shown all the same.
 */
#include "admin/verbs.h"

#include <string.h>
#include <time.h>

enum { STATUS_PATIENCE = 30 };

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
add_account(struct gathered *g, const struct message *m)
{
	json_t *o = json_object();

	if (o == NULL || cli_json_fields(o, m, account_columns, ARRAY_SIZE(account_columns)) < 0 ||
	    json_object_set(g->by_name, message_str(m, F_ACCOUNT), o) < 0) {
		json_decref(o);
		return EX_OSERR;
	}
	return json_array_append_new(g->accounts, o) < 0 ? EX_OSERR : EX_OK;
}

static int
add_object(json_t *list, const struct message *m, const struct column *columns, size_t count)
{
	json_t *o = json_object();

	if (o == NULL || cli_json_fields(o, m, columns, count) < 0) {
		json_decref(o);
		return EX_OSERR;
	}
	return json_array_append_new(list, o) < 0 ? EX_OSERR : EX_OK;
}

static int
take_row(void *arg, const struct message *m)
{
	struct gathered *g = arg;
	json_t *o;

	switch (message_type(m)) {
	case M_ROW_PROBLEM:
		return add_object(g->problems, m, problem_columns, ARRAY_SIZE(problem_columns));
	case M_ROW_ACCOUNT:
		return add_account(g, m);
	case M_ROW_SERVICE:
		return add_object(g->services, m, service_columns, ARRAY_SIZE(service_columns));
	case M_ROW_CREDENTIAL:
		o = json_object();
		if (o == NULL ||
		    cli_json_fields(o, m, credential_columns, ARRAY_SIZE(credential_columns)) < 0) {
			json_decref(o);
			return EX_OSERR;
		}
		/* an account that queue did not name (reload in between) is left out */
		if (json_object_get(g->by_name, message_str(m, F_ACCOUNT)) == NULL)
			json_decref(o);
		else
			(void)json_object_set_new(
			    json_object_get(g->by_name, message_str(m, F_ACCOUNT)), "credential",
			    o);
		return EX_OK;
	default:
		return EX_OK;
	}
}

static int
gather(const struct cli *cli, const char *account, struct gathered *g)
{
	CLEANUP_LINK struct link queue = LINK_INIT, keeper = LINK_INIT;
	CLEANUP_MESSAGE struct message *done = NULL;
	struct message *m;
	int status;

	*g = (struct gathered){json_array(), json_array(), json_array(), json_object()};
	if (g->problems == NULL || g->accounts == NULL || g->services == NULL || g->by_name == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	status = link_open(&queue, cli, ROLE_QUEUE, STATUS_PATIENCE);
	if (status == EX_OK)
		status = link_list(&queue, message_new(M_STATUS), take_row, g, NULL);
	if (status == EX_OK)
		status = link_open(&keeper, cli, ROLE_KEEPER, STATUS_PATIENCE);
	if (status != EX_OK)
		return status;
	m = message_new(M_KEEPER_STATUS);
	message_put_str(m, F_ACCOUNT, account);
	/* its refusal (a caller without rights, an account gone meanwhile) leaves the queue's part
	 */
	return link_list(&keeper, m, take_row, g, &done);
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

static const char *
text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static uint64_t
number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static unsigned
width_of(const json_t *list, const char *key, const char *title)
{
	size_t width = strlen(title), i;
	const json_t *o;

	json_array_foreach(list, i, o)
	{
		const char *s = text_of(o, key);

		if (s != NULL && strlen(s) > width)
			width = strlen(s);
	}
	return (unsigned)(width > 40 ? 40 : width) + 2;
}

/* What is to be said of a credential in one phrase. */
static void
describe_credential(const json_t *o, char *ret, size_t size)
{
	const json_t *c = json_object_get(o, "credential");
	const char *state = text_of(c, "state");
	uint64_t until = number_of(c, "until");
	char when[64];

	cli_relative_time(until, (uint64_t)time(NULL), when, sizeof(when));
	if (state == NULL)
		(void)snprintf(ret, size, "-");
	else if (until > 0 && (strcmp(state, "active") == 0 || strcmp(state, "refreshing") == 0))
		(void)snprintf(ret, size, "token ends %s", when);
	else
		(void)snprintf(ret, size, "%s", state);
}

static void
print_words(const struct cli *cli, const json_t *o)
{
	const char *text = text_of(o, "text"), *next = text_of(o, "next");

	if (text != NULL) {
		(void)fputs("    ", stdout);
		cli_put(cli, COLOUR_NONE, text, 0);
		(void)putchar('\n');
	}
	if (next != NULL) {
		(void)fputs("    Next: ", stdout);
		cli_put(cli, COLOUR_BOLD, next, 0);
		(void)putchar('\n');
	}
}

static void
print_problems(const struct cli *cli, const json_t *problems)
{
	size_t i;
	const json_t *o;

	json_array_foreach(problems, i, o)
	{
		cli_put(cli, COLOUR_BAD, text_of(o, "text"), 0);
		(void)fputs("\n    Next: ", stdout);
		cli_put(cli, COLOUR_BOLD, text_of(o, "next"), 0);
		(void)fputs("\n\n", stdout);
	}
}

static void
print_accounts(const struct cli *cli, const json_t *accounts)
{
	unsigned name = width_of(accounts, "account", "ACCOUNT"),
		 state = width_of(accounts, "state", "STATE");
	unsigned mailbox = width_of(accounts, "mailbox", "MAILBOX");
	size_t i;
	const json_t *o;

	if (json_array_size(accounts) == 0) {
		(void)puts("No account is configured, or none that you may see.\n"
			   "    Next: `frank service explain USER SENDER` says which service takes "
			   "your mail, and why the others do not. An administrator adds an account "
			   "with `frank account add`, and you to the users of a service in the "
			   "configuration.");
		return;
	}
	cli_put(cli, COLOUR_DIM, "ACCOUNT", name);
	cli_put(cli, COLOUR_DIM, "MAILBOX", mailbox);
	cli_put(cli, COLOUR_DIM, "STATE", state);
	cli_put(cli, COLOUR_DIM, "QUEUED", 8);
	cli_put(cli, COLOUR_DIM, "CREDENTIAL", 0);
	(void)putchar('\n');
	json_array_foreach(accounts, i, o)
	{
		const json_t *credential = json_object_get(o, "credential");
		const char *s = text_of(o, "state");
		char phrase[96], queued[24];

		describe_credential(o, phrase, sizeof(phrase));
		(void)snprintf(
		    queued, sizeof(queued), "%llu", (unsigned long long)number_of(o, "queued"));
		cli_put(cli, COLOUR_BOLD, text_of(o, "account"), name);
		cli_put(cli, COLOUR_NONE, text_of(o, "mailbox"), mailbox);
		cli_put(cli, cli_state_colour(s == NULL ? "" : s), s, state);
		cli_put(cli, COLOUR_NONE, queued, 8);
		cli_put(cli, COLOUR_NONE, phrase, 0);
		(void)putchar('\n');
		print_words(cli, o);
		if (text_of(o, "warning") != NULL) {
			(void)fputs("    Soon: ", stdout);
			cli_put(cli, COLOUR_WARN, text_of(o, "warning"), 0);
			(void)putchar('\n');
		}
		/* both roles may say the same: keeper told queue */
		if (credential != NULL &&
		    !json_equal(json_object_get(credential, "text"), json_object_get(o, "text")))
			print_words(cli, credential);
	}
}

static void
print_services(const struct cli *cli, const json_t *services)
{
	unsigned name = width_of(services, "service", "SERVICE"),
		 mode = width_of(services, "mode", "MODE");
	size_t i;
	const json_t *o;

	if (json_array_size(services) == 0)
		return; /* none, or not for this caller's eyes */
	cli_put(cli, COLOUR_DIM, "SERVICE", name);
	cli_put(cli, COLOUR_DIM, "MODE", mode);
	(void)putchar('\n');
	json_array_foreach(services, i, o)
	{
		cli_put(cli, COLOUR_BOLD, text_of(o, "service"), name);
		cli_put(cli, COLOUR_NONE, text_of(o, "mode"), mode);
		cli_put(cli, COLOUR_NONE, text_of(o, "text"), 0);
		(void)putchar('\n');
	}
}

/* ---- the verbs ---- */

static int
show(const struct cli *cli, bool services)
{
	struct gathered g;
	int status = gather(cli, NULL, &g);
	json_t *o;

	if (status == EX_OK && cli->json) {
		o = json_object();
		(void)json_object_set(o, "accounts", g.accounts);
		if (services)
			(void)json_object_set(o, "services", g.services);
		if (services)
			(void)json_object_set(o, "problems", g.problems);
		status = cli_print_json(o, EX_OK);
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
	return status;
}

int
verb_status(const struct cli *cli, const struct arguments *args)
{
	return show(cli, true);
}

int
verb_account_list(const struct cli *cli, const struct arguments *args)
{
	return show(cli, false);
}

/* ---- everything, for `frank audit` ---- */

int
status_of_accounts(const struct cli *cli, json_t **ret)
{
	struct gathered g;
	int status = gather(cli, NULL, &g);

	*ret = status == EX_OK ? json_incref(g.accounts) : NULL;
	gathered_clear(&g);
	return status;
}

/* ---- one account, for `frank check` ---- */

int
status_of_account(const struct cli *cli, const char *account, json_t **ret)
{
	struct gathered g;
	int status = gather(cli, account, &g);

	*ret = NULL;
	if (status == EX_OK) {
		*ret = json_incref(json_object_get(g.by_name, account));
		if (*ret == NULL)
			status = cli_fail(cli, EX_NOUSER, "frank account list shows those that are",
			    "no account %s is configured, or none that you may see", account);
	}
	gathered_clear(&g);
	return status;
}
