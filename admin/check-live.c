/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-live.c: `frank check ACCOUNT` and `frank check --host SERVER`: prints the findings of frankd's
 * network role, then the conversation, and last the verdict, which a person at a terminal reads first.
 * Findings about the path of a message are printed as they come, in its order; the others (other
 * ports, the domain's records) follow in a fixed order.
 */
#include <string.h>

#include "admin/verbs.h"
#include "broker/ipc/reply.h"

enum { CHECK_PATIENCE = 240, NAME_WIDTH = 13, PORT_USUAL = 587, PORT_TLS = 465 };

struct live {
	const struct cli *cli;
	json_t *o;     /* what --json prints */
	json_t *steps; /* within it */
	json_t *aside; /* findings that wait for those on the way of a message */
	bool failed;   /* the verdict is bad */
	bool whole;    /* the transcript is wanted in any case */
	bool silent;   /* what is found is for the caller alone */
};

/* ---- findings ---- */

static void
print_step(const struct cli *cli, const json_t *step)
{
	const char *text = cli_text(step, "text"), *state = cli_text(step, "state"),
		   *rest = strchr(text, '\n');
	CLEANUP_FREE char *line = strndup(text, strcspn(text, "\n"));

	(void)fputs("  ", stdout);
	cli_put(cli, cli_state_colour(state), state, 6);
	cli_put(cli, COLOUR_NONE, cli_text(step, "name"), NAME_WIDTH);
	cli_put(cli, COLOUR_NONE, line, 0);
	(void)putchar('\n');
	if (rest != NULL)
		cli_put_lines(cli, rest + 1, 2 + 6 + NAME_WIDTH);
	(void)fflush(stdout);
}

/* 0 for a finding on the way of a message; else its place among the others. */
static unsigned
place_aside(const char *name)
{
	static const char *const names[] = {"spf", "dkim", "dmarc"};
	unsigned port;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return UINT16_MAX + 1 + i;
	return sscanf(name, "port %u", &port) == 1 ? port : 0;
}

static int
add_step(struct live *l, json_t *step)
{
	if (!l->cli->json && !l->silent)
		print_step(l->cli, step);
	return json_array_append(l->steps, step) < 0 ? EX_OSERR : EX_OK;
}

static int
take_step(struct live *l, const struct message *m)
{
	json_t *step = json_pack("{s:s, s:s, s:s}", "name", message_str(m, F_NAME), "state",
	    message_str(m, F_STATE), "text", message_str(m, F_TEXT));
	unsigned place = place_aside(message_str(m, F_NAME));
	size_t at = json_array_size(l->aside);
	int status;

	if (place == 0) {
		status = step == NULL ? EX_OSERR : add_step(l, step);
	} else {
		while (at > 0 &&
		       place_aside(cli_text(json_array_get(l->aside, at - 1), "name")) > place)
			at--;
		status = json_array_insert(l->aside, at, step) < 0 ? EX_OSERR : EX_OK;
	}
	json_decref(step);
	return status;
}

static int
add_aside(struct live *l)
{
	int status = EX_OK;
	json_t *step;
	size_t i;

	json_array_foreach(l->aside, i, step)
	{
		if (status == EX_OK)
			status = add_step(l, step);
	}
	return status;
}

/* ---- the verdict ---- */

static void
print_verdict(const struct live *l)
{
	static const struct {
		const char *label, *key;
	} rows[] = {{"To fix:", "fixer"}, {"Next:", "next"}, {"Cause:", "cause"},
	    {"Mail:", "retry"}, {"Server:", "reply"}};
	const char *transcript = cli_text(l->o, "transcript");

	if (transcript != NULL && (l->failed || l->whole)) {
		(void)printf("\nWhat was said (no secret is in it; for a ticket):\n");
		cli_put_lines(l->cli, transcript, 2);
	}
	(void)putchar('\n');
	cli_put(l->cli, l->failed ? COLOUR_BOLD : COLOUR_GOOD, cli_text(l->o, "text"), 0);
	(void)putchar('\n');
	for (size_t i = 0; i < ARRAY_SIZE(rows) && l->failed; i++)
		cli_put_field(
		    l->cli, 0, rows[i].label, 9, COLOUR_NONE, cli_text(l->o, rows[i].key));
}

static int
take_verdict(struct live *l, const struct message *m)
{
	static const struct column columns[] = {
	    {F_REPLY, "reply", false},
	    {F_CAUSE, "cause", false},
	    {F_FIXER, "fixer", false},
	    {F_RETRY, "retry", false},
	    {F_TEXT, "text", false},
	    {F_NEXT, "next", false},
	    {F_ENDPOINT, "endpoint", false},
	    {F_TRANSCRIPT, "transcript", false},
	};

	if (add_aside(l) != EX_OK)
		return EX_OSERR;
	l->failed = strcmp(message_str(m, F_STATE), "ok") != 0;
	if (cli_json_fields(l->o, m, columns, ARRAY_SIZE(columns)) < 0 ||
	    json_object_set_new(l->o, "ok", json_boolean(!l->failed)) < 0)
		return EX_OSERR;
	if (!l->cli->json && !l->silent)
		print_verdict(l);
	return EX_OK;
}

static int
take_row(void *arg, const struct message *m)
{
	switch (message_type(m)) {
	case M_ROW_CHECK:
		return take_step(arg, m);
	case M_ROW_VERDICT:
		return take_verdict(arg, m);
	default:
		return EX_OK;
	}
}

/* ---- the request ---- */

/* "host", "host:port", "[::1]:port". 0 or -1. */
static int
split_server(const char *text, char *host, size_t size, unsigned *ret_port)
{
	const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
	const char *start = bracket != NULL ? text + 1 : text;
	const char *colon = bracket != NULL ? strchr(bracket, ':') : strrchr(text, ':');
	size_t len = bracket != NULL ? (size_t)(bracket - start)
		     : colon != NULL ? (size_t)(colon - start)
				     : strlen(text);
	char *end;

	if (len == 0 || len >= size || (bracket == NULL && *text == '['))
		return -1;
	memcpy(host, start, len);
	host[len] = '\0';
	*ret_port = 0;
	if (colon == NULL)
		return 0;
	*ret_port = (unsigned)strtoul(colon + 1, &end, 10);
	return *end == '\0' && *ret_port > 0 && *ret_port < 65536 ? 0 : -1;
}

static int
put_server(const struct cli *cli, const struct arguments *args, struct message *m)
{
	const char *tls = args->values[OPTION_TLS];
	char host[256];
	unsigned port;

	if (split_server(args->values[OPTION_HOST], host, sizeof(host), &port) < 0)
		return cli_fail(cli, EX_USAGE, NULL, "--host needs NAME or NAME:PORT, not %s",
		    args->values[OPTION_HOST]);
	if (tls != NULL && strcmp(tls, "starttls") != 0 && strcmp(tls, "implicit") != 0 &&
	    strcmp(tls, "none") != 0)
		return cli_fail(
		    cli, EX_USAGE, NULL, "--tls needs starttls, implicit or none, not %s", tls);
	if (port == 0)
		port = tls != NULL && strcmp(tls, "implicit") == 0 ? PORT_TLS : PORT_USUAL;
	if (tls == NULL)
		tls = port == PORT_TLS || port == 2465 ? "implicit" : "starttls";
	message_put_str(m, F_HOST, host);
	message_put_u64(m, F_PORT, port);
	message_put_str(m, F_TLS, tls);
	return EX_OK;
}

static void
print_head(const struct cli *cli, const json_t *o, const char *server)
{
	static const struct {
		const char *label, *key;
	} rows[] = {{"account", "account"}, {"mailbox", "mailbox"}, {"provider", "provider"},
	    {"server", "endpoint"}, {"state", "state"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *value = cli_text(o, rows[i].key);
		bool state = strcmp(rows[i].key, "state") == 0;

		cli_put_field(cli, 0, rows[i].label, 10,
		    state ? cli_state_colour(value) : COLOUR_NONE, value);
	}
	cli_put_field(cli, 0, "server", 10, COLOUR_NONE, server);
	(void)putchar('\n');
	(void)fflush(stdout);
}

/* Which services may send through the account, as far as the caller may see them: who compares two hosts has it in what was saved. */
static int
add_services(const struct cli *cli, json_t *o, const char *account)
{
	json_t *all = NULL, *list = json_array(), *service, *name;
	int status = verb_service_rows(cli, &all);
	size_t i, k;

	json_array_foreach(all, i, service)
	{
		json_array_foreach(json_object_get(service, "accounts"), k, name)
		{
			if (strcmp(json_string_value(name), account) == 0)
				(void)json_array_append(list, service);
		}
	}
	if (status == EX_OK && json_array_size(all) > 0)
		(void)json_object_set(o, "services", list);
	json_decref(all);
	json_decref(list);
	return status;
}

static int
run(struct live *l, struct message *request)
{
	CLEANUP_MESSAGE struct message *done = NULL;
	int status = link_ask(l->cli, ROLE_QUEUE, CHECK_PATIENCE, request, take_row, l, &done);

	if (status != EX_OK)
		return status;
	if (message_has(done, F_ERROR))
		return link_done(l->cli, done);
	status = (int)message_u64(done, F_EXIT, EX_OK);
	return l->cli->json && !l->silent ? cli_print_json(json_incref(l->o), status) : status;
}

/* `l` has what the findings go to; the caller drops l->o, steps and aside. */
static int
look(struct live *l, const struct arguments *args, const char *account)
{
	const struct cli *cli = l->cli;
	struct message *m = message_new(M_CHECK);
	int status = EX_OK;

	message_put_u64(m, F_FLAGS, arguments_has(args, OPTION_SEND) ? CHECK_SEND : 0);
	message_put_str(m, F_RCPT, args->values[OPTION_TO]);
	message_put_str(m, F_SELECTOR, args->values[OPTION_SELECTOR]);
	message_put_str(m, F_ACCOUNT, account);
	if (account == NULL)
		status = put_server(cli, args, m);
	if (status == EX_OK && account != NULL)
		status = verb_status_of_account(cli, account, &l->o);
	else if (status == EX_OK)
		l->o = json_pack("{s:s}", "host", args->values[OPTION_HOST]);
	l->steps = json_array();
	l->aside = json_array();
	if (status == EX_OK &&
	    (l->o == NULL || l->aside == NULL || json_object_set(l->o, "steps", l->steps) < 0))
		status = cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	if (status == EX_OK && account != NULL && (cli->json || l->silent))
		status = add_services(cli, l->o, account);
	if (status == EX_OK && !cli->json && !l->silent)
		print_head(cli, l->o, account == NULL ? args->values[OPTION_HOST] : NULL);
	return status == EX_OK ? run(l, m) : (message_free(m), status);
}

int
check_live(const struct cli *cli, const struct arguments *args)
{
	struct live l = {.cli = cli, .whole = arguments_has(args, OPTION_TRANSCRIPT)};
	int status = look(&l, args, args->count > 1 ? args->words[1] : NULL);

	json_decref(l.steps);
	json_decref(l.aside);
	json_decref(l.o);
	return status;
}

int
check_live_silent(
    const struct cli *cli, const struct arguments *args, const char *account, json_t **ret)
{
	struct live l = {.cli = cli, .silent = true};
	int status = look(&l, args, account);
	/* a verdict that is bad is a finding, and no error of this command */
	bool done = l.o != NULL && json_object_get(l.o, "ok") != NULL;

	*ret = done ? json_incref(l.o) : NULL;
	json_decref(l.steps);
	json_decref(l.aside);
	json_decref(l.o);
	return done ? EX_OK : status;
}
