/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-service.c: `frank service list`, `frank service explain`, `frank service password`: who may
 * send as whom, and how a program shows who it is.
 *
 * queue answers from the rules that it applies; names of users and groups are looked up here.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

enum { SERVICE_PATIENCE = 30, GROUPS_MAX = 512 };

/* ---- list ---- */

static const struct column service_columns[] = {
    {F_SERVICE, "service", false},
    {F_MODE, "mode", false},
    {F_COUNT, "accepted", true},
    {F_FROM_POLICY, "from", false},
    {F_SOCKET_NAME, "socket", false},
    {F_PASSWORD_TIME, "password_made", true},
    {F_RATE, "rate_minute", true},
    {F_RATE_DAY, "rate_day", true},
    {F_SIZE_LIMIT, "max_size", true},
    {F_QUEUE_LIMIT, "max_queue", true},
    {F_SIZE, "queued_octets", true},
    {F_RECIPIENTS_MAX, "recipients_max", true},
    {F_TEXT, "text", false},
};

static json_t *
list_of(const struct message *m, enum field f)
{
	json_t *list = json_array();
	const char *text;
	size_t at = 0;

	while (message_next_str(m, f, &at, &text))
		(void)json_array_append_new(list, json_string(text));
	return list;
}

/* Names where the machine has them, numbers else. */
static json_t *
names_of(const struct message *m, enum field f)
{
	json_t *list = json_array();
	uint64_t id;
	size_t at = 0;

	while (message_next_u64(m, f, &at, &id)) {
		const struct passwd *pw = f == F_USER ? getpwuid((uid_t)id) : NULL;
		const struct group *gr = f == F_GROUP ? getgrgid((gid_t)id) : NULL;
		const char *name = pw != NULL ? pw->pw_name : gr != NULL ? gr->gr_name : NULL;

		(void)json_array_append_new(
		    list, name != NULL ? json_string(name)
				       : json_sprintf("%llu", (unsigned long long)id));
	}
	if (f == F_USER && message_u64(m, F_ANY_USER, 0) != 0)
		(void)json_array_append_new(list, json_string("*"));
	return list;
}

static int
take_service(void *arg, const struct message *m)
{
	json_t *o;
	int status;

	if (message_type(m) != M_ROW_SERVICE)
		return EX_OK;
	status = cli_add_row(arg, m, service_columns, ARRAY_SIZE(service_columns), &o);
	if (status == EX_OK &&
	    (json_object_set_new(o, "users", names_of(m, F_USER)) < 0 ||
		json_object_set_new(o, "groups", names_of(m, F_GROUP)) < 0 ||
		json_object_set_new(o, "accounts", list_of(m, F_ACCOUNT)) < 0 ||
		json_object_set_new(o, "senders", list_of(m, F_SENDERS)) < 0 ||
		json_object_set_new(o, "recipients", list_of(m, F_RECIPIENTS)) < 0 ||
		json_object_set_new(o, "deliver_to", list_of(m, F_DELIVER_TO)) < 0 ||
		json_object_set_new(
		    o, "password", json_boolean(message_u64(m, F_PASSWORD_ALLOWED, 0) != 0)) < 0))
		return EX_OSERR;
	return status;
}

/* Appends "kind a, b" to a line whose parts are divided by "; ". */
static void
join(struct buf *line, const char *kind, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)(void) buf_printf(line, "%s%s%s",
	    i > 0           ? ", "
	    : line->len > 0 ? "; "
			    : "",
	    i > 0 ? "" : kind, json_string_value(item));
}

static void
add(struct buf *line, const char *text)
{
	(void)buf_printf(line, "%s%s", line->len > 0 ? "; " : "", text);
}

static void
put_line(const struct cli *cli, const char *name, const struct buf *line)
{
	cli_put_field(cli, 4, name, 11, COLOUR_NONE, buf_str(line));
}

static void
print_callers(const struct cli *cli, const json_t *o)
{
	CLEANUP_BUF struct buf line = BUF_INIT(16 * 1024);
	uint64_t made = cli_number(o, "password_made");
	char text[128], when[64];

	join(&line, "users ", json_object_get(o, "users"));
	join(&line, "groups ", json_object_get(o, "groups"));
	if (cli_text(o, "socket") != NULL)
		add(&line, "through its own socket");
	if (json_is_true(json_object_get(o, "password"))) {
		cli_relative_time(made, (uint64_t)time(NULL), when, sizeof(when));
		(void)snprintf(text, sizeof(text), "with its password (%s%s)",
		    made > 0 ? "made " : "it has none yet: frank service password",
		    made > 0 ? when : "");
		add(&line, text);
	}
	put_line(cli, "for", &line);
}

static void
print_senders(const struct cli *cli, const json_t *o)
{
	CLEANUP_BUF struct buf line = BUF_INIT(16 * 1024);
	const char *from = cli_text(o, "from");

	join(&line, "", json_object_get(o, "senders"));
	if (line.len == 0)
		add(&line, "the mailboxes of its accounts");
	if (from != NULL)
		(void)buf_printf(&line, "; another is %s",
		    strcmp(from, "keep") == 0     ? "kept"
		    : strcmp(from, "refuse") == 0 ? "refused"
						  : "rewritten");
	put_line(cli, "senders", &line);
}

static void
print_limits(const struct cli *cli, const json_t *o)
{
	static const struct {
		const char *key, *unit;
	} limits[] = {{"rate_minute", "/min"}, {"rate_day", "/day"},
	    {"recipients_max", " recipients a message"}, {"max_size", " a message"}};
	CLEANUP_BUF struct buf line = BUF_INIT(512);

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		uint64_t value = cli_number(o, limits[i].key);
		char number[32], text[64];

		if (value == 0)
			continue;
		if (strcmp(limits[i].key, "max_size") == 0)
			cli_size(value, number, sizeof(number));
		else
			(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
		(void)snprintf(text, sizeof(text), "%s%s", number, limits[i].unit);
		add(&line, text);
	}
	put_line(cli, "limits", &line);
}

static void
print_service(const struct cli *cli, const json_t *o)
{
	CLEANUP_BUF struct buf accounts = BUF_INIT(16 * 1024), recipients = BUF_INIT(16 * 1024),
			       deliver_to = BUF_INIT(16 * 1024);
	const char *mode = cli_text(o, "mode");
	uint64_t accepted = cli_number(o, "accepted");

	cli_put(cli, COLOUR_BOLD, cli_text(o, "service"), 0);
	(void)printf("  %s, %llu message%s since frankd started\n", mode == NULL ? "" : mode,
	    (unsigned long long)accepted, accepted == 1 ? "" : "s");
	print_callers(cli, o);
	join(&accounts, "", json_object_get(o, "accounts"));
	put_line(cli, "accounts", &accounts);
	print_senders(cli, o);
	join(&recipients, "", json_object_get(o, "recipients"));
	put_line(cli, "recipients", &recipients);
	join(&deliver_to, "", json_object_get(o, "deliver_to"));
	put_line(cli, "deliver-to", &deliver_to);
	print_limits(cli, o);
}

int
verb_service_rows(const struct cli *cli, json_t **ret)
{
	*ret = json_array();
	return link_ask(
	    cli, ROLE_QUEUE, SERVICE_PATIENCE, message_new(M_STATUS), take_service, *ret, NULL);
}

int
verb_service_list(const struct cli *cli, const struct arguments *args)
{
	json_t *services, *o;
	int status = verb_service_rows(cli, &services);
	size_t i;

	if (status == EX_OK && cli->json)
		return cli_print_json(json_pack("{s:o}", "services", services), EX_OK);
	if (status == EX_OK && json_array_size(services) == 0)
		(void)puts("No service is configured, or none that you may see.\n"
			   "    Next: an administrator adds you to the users of a service in the "
			   "configuration; `frank service explain USER SENDER` says why none is "
			   "yours.");
	if (status == EX_OK)
		json_array_foreach(services, i, o) print_service(cli, o);
	json_decref(services);
	return status;
}

/* ---- explain ---- */

static const struct column rule_columns[] = {
    {F_SERVICE, "service", false},
    {F_STATE, "state", false},
    {F_TEXT, "text", false},
};

static const struct column decision_columns[] = {
    {F_STATE, "decision", false},
    {F_SERVICE, "service", false},
    {F_TEXT, "text", false},
    {F_ACCOUNT, "account", false},
    {F_SENDER, "sender", false},
    {F_FROM, "from", false},
    {F_MODE, "mode", false},
    {F_REPLY, "reply", false},
};

/* Rules go into the array "rules" of the object, the decision into the object itself. */
static int
take_explanation(void *arg, const struct message *m)
{
	json_t *all = arg;

	if (message_type(m) == M_ROW_DECISION)
		return cli_json_fields(all, m, decision_columns, ARRAY_SIZE(decision_columns)) < 0
			   ? EX_OSERR
			   : EX_OK;
	if (message_type(m) != M_ROW_RULE)
		return EX_OK;
	return cli_add_row(
	    json_object_get(all, "rules"), m, rule_columns, ARRAY_SIZE(rule_columns), NULL);
}

/* The user of that name or number, and the groups that it is in. */
static int
put_user(const struct cli *cli, const char *user, struct message *m)
{
	const struct passwd *pw = getpwnam(user);
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;
	char *end;
	unsigned long uid;

	errno = 0;
	uid = strtoul(user, &end, 10);
	if (pw == NULL &&
	    (*user < '0' || *user > '9' || *end != '\0' || errno != 0 || uid >= UINT32_MAX))
		return cli_fail(cli, EX_NOUSER, "give a login name or a uid (65534 is nobody)",
		    "this machine has no user %s", user);
	if (pw == NULL)
		pw = getpwuid((uid_t)uid);
	message_put_u64(m, F_UID, pw != NULL ? pw->pw_uid : uid);
	if (pw == NULL)
		return EX_OK;
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
		count = GROUPS_MAX;
	for (int i = 0; i < count; i++)
		message_put_u64(m, F_GROUP, groups[i]);
	return EX_OK;
}

static enum colour
rule_colour(const char *state)
{
	return state == NULL                   ? COLOUR_NONE
	       : strcmp(state, "matches") == 0 ? COLOUR_GOOD
					       : COLOUR_DIM;
}

static void
print_explanation(const struct cli *cli, const json_t *all)
{
	const json_t *rules = json_object_get(all, "rules"), *rule;
	const char *decision = cli_text(all, "decision"), *account = cli_text(all, "account");
	bool accepted = decision != NULL && strcmp(decision, "accept") == 0;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		const char *state = cli_text(rule, "state");

		(void)printf("%3zu. ", i + 1);
		cli_put(cli, COLOUR_BOLD, cli_text(rule, "service"), 16);
		cli_put(cli, rule_colour(state), state, 13);
		cli_put(cli, COLOUR_NONE, cli_text(rule, "text"), 0);
		(void)putchar('\n');
	}
	(void)putchar('\n');
	if (accepted) {
		cli_put(cli, COLOUR_GOOD, "Accepted", 0);
		(void)fputs(" by ", stdout);
		cli_put(cli, COLOUR_BOLD, cli_text(all, "service"), 0);
		(void)fputs(": From ", stdout);
		cli_put(cli, COLOUR_NONE, cli_text(all, "from"), 0);
		(void)fputs(", envelope ", stdout);
		cli_put(cli, COLOUR_NONE, cli_text(all, "sender"), 0);
		if (account != NULL && *account != '\0') {
			(void)fputs(", account ", stdout);
			cli_put(cli, COLOUR_NONE, account, 0);
		}
		if (strcmp(cli_text(all, "mode"), "capture") == 0)
			(void)fputs("; captured, not sent", stdout);
	} else {
		cli_put(cli, COLOUR_BAD, "Refused", 0);
		(void)fputs(" with ", stdout);
		cli_put(cli, COLOUR_NONE, cli_text(all, "reply"), 0);
	}
	(void)fputs(".\n", stdout);
	cli_put_lines(cli, cli_text(all, "text"), 4);
}

int
verb_service_explain(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_MESSAGE struct message *m = message_new(M_SERVICE_EXPLAIN);
	json_t *all =
	    json_pack("{s:s, s:s, s:[]}", "user", args->words[2], "asked", args->words[3], "rules");
	const char *sender = strcmp(args->words[3], "<>") == 0 ? "" : args->words[3];
	int status = put_user(cli, args->words[2], m);
	bool accepted;

	message_put_str(m, F_SENDER, sender);
	if (args->count > 4)
		message_put_str(m, F_RCPT, args->words[4]);
	message_put_str(m, F_SOCKET_NAME, args->values[OPTION_SOCKET]);
	if (status == EX_OK)
		status = link_ask(
		    cli, ROLE_QUEUE, SERVICE_PATIENCE, TAKE_PTR(m), take_explanation, all, NULL);
	accepted =
	    cli_text(all, "decision") != NULL && strcmp(cli_text(all, "decision"), "accept") == 0;
	if (status == EX_OK && cli->json)
		return cli_print_json(all, accepted ? EX_OK : EX_NOPERM);
	if (status == EX_OK) {
		print_explanation(cli, all);
		status = accepted ? EX_OK : EX_NOPERM;
	}
	json_decref(all);
	return status;
}

/* ---- password ---- */

static int
print_password(const struct cli *cli, const char *service, const struct message *m)
{
	CLEANUP_SECRET struct secret *password = message_secret(m, F_SECRET);
	uint64_t before = message_u64(m, F_PASSWORD_TIME, 0);
	char head[128], when[64];
	int status;

	if (password == NULL)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	/* the name of a service holds nothing that JSON would quote */
	(void)snprintf(head, sizeof(head), "{\"service\": \"%s\", \"password\": \"", service);
	status = cli_print_secret(cli, password, head, "\"}\n");
	if (status != EX_OK || cli->json)
		return status;
	(void)fprintf(stderr,
	    "This password is shown once. The program logs in as \"%s\" with it.\n", service);
	cli_relative_time(before, (uint64_t)time(NULL), when, sizeof(when));
	if (before > 0)
		(void)fprintf(stderr, "The password made %s no longer works.\n", when);
	return EX_OK;
}

int
verb_service_password(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_LINK struct link l = LINK_INIT;
	CLEANUP_MESSAGE struct message *answer = NULL, *m = message_new(M_SERVICE_PASSWORD);
	bool revoke = arguments_has(args, OPTION_REVOKE);
	int status = link_open(&l, cli, ROLE_QUEUE, SERVICE_PATIENCE);

	message_put_str(m, F_SERVICE, args->words[2]);
	message_put_str(m, F_ACTION, revoke ? "revoke" : "new");
	if (status == EX_OK)
		status = link_exchange(
		    &l, TAKE_PTR(m), revoke ? M_QUEUE_DONE : M_SERVICE_SECRET, "password", &answer);
	if (status == EX_OK && revoke)
		status = link_done(cli, answer);
	if (status != EX_OK)
		return status;
	if (!revoke)
		return print_password(cli, message_str(answer, F_SERVICE), answer);
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:b}", "service", args->words[2], "revoked", 1), EX_OK);
	(void)printf("The password of %s no longer works.\n", args->words[2]);
	return EX_OK;
}
