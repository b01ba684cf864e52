/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank, the command for people: the table of its verbs and what finds one in it.
 *
 * frank speaks to the roles over their sockets and links neither libcurl nor libcrypto nor an event
 * loop: starting it costs what starting a small tool costs, since other programs call `frank token`
 * for every message they send.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/verbs.h"
#include "base/option.h"
#include "config.h"

static int verb_help(const struct cli *cli, const struct arguments *args);

struct verb {
	const char *word,
	    *second; /* second: NULL for a verb of one word, "" for what the first alone means */
	const char *arguments; /* for people */
	unsigned least, most;  /* words behind the verb */
	option_set options;
	verb_run *run;
	const char *summary;
};

#define OPT(name) OPTION_BIT(OPTION_##name)
/* Which messages an action is for. */
#define QUEUE_THESE (OPT(JSON) | OPT(ACCOUNT) | OPT(SERVICE) | OPT(OLDER) | OPT(CAPTURED))
#define QUEUE_SOME (QUEUE_THESE | OPT(ALL))

static const struct verb verbs[] = {
    {"authorize", NULL, "ACCOUNT", 1, 1,
	OPT(JSON) | OPT(NO_BROWSER) | OPT(PASTE) | OPT(PORT) | OPT(DEVICE) | OPT(INVITE) |
	    OPT(FINISH),
	verb_authorize, "sign in to the account's provider in a browser"},
    {"secret", "set", "ACCOUNT", 1, 1, OPT(JSON), verb_secret_set,
	"store a password, asked for or read from standard input"},
    {"token", NULL, "ACCOUNT", 1, 1, OPT(JSON) | OPT(MIN_VALID) | OPT(REJECTED), verb_token,
	"print an access token for another program"},
    {"status", NULL, "", 0, 0, OPT(JSON) | OPT(EXIT_CODE), verb_status,
	"show the state of accounts and services"},
    {"check", NULL, "[ACCOUNT [ACCOUNT]]", 0, 2,
	OPT(JSON) | OPT(COMPARE) | OPT(EXPLAIN) | OPT(PROVIDER) | OPT(STAGE) | OPT(CONTEXT) |
	    OPT(HOST) | OPT(TLS) | OPT(TO) | OPT(SEND) | OPT(SELECTOR) | OPT(TRANSCRIPT),
	verb_check, "say what is wrong with an account or a server, or what a reply means"},
    {"audit", NULL, "", 0, 0, OPT(JSON), verb_audit,
	"say what makes accounts and services weaker than necessary, and the fix"},
    {"test", "", "ACCOUNT [RECIPIENT]", 1, 2, OPT(JSON), verb_test,
	"send a test message and follow it"},
    {"test", "deliver", "ACCOUNT --to SEED", 0, 1,
	OPT(JSON) | OPT(TO) | OPT(IMAP) | OPT(CA_FILE) | OPT(PASSWORD_FILE) | OPT(TIMEOUT) |
	    OPT(HISTORY),
	verb_test_deliver,
	"send to a seed mailbox, and say where it arrived and how it was judged"},
    {"test", "mark", "", 0, 0, OPT(JSON) | OPT(API), verb_test_mark,
	"print the place in time to wait from, before a test sends something"},
    {"test", "release", "FILE", 1, 1, OPT(JSON) | OPT(JUNIT) | OPT(API), verb_test_release,
	"run the tests of a file: 0 all are as expected, 1 not, 2 wrong use"},
    {"test", "wait", "[CONDITION...]", 0, 28,
	OPT(JSON) | OPT(TO) | OPT(FROM) | OPT(SUBJECT) | OPT(SERVICE) | OPT(SINCE) | OPT(COUNTED) |
	    OPT(EXACTLY) | OPT(NONE) | OPT(FOR) | OPT(TIMEOUT) | OPT(API),
	verb_test_wait, "wait for captured mail: 0 it is there, 1 time is up, 2 wrong use"},
    {"queue", "", "", 0, 0, QUEUE_THESE, verb_queue_list,
	"list the messages that wait, or are captured"},
    {"queue", "list", "", 0, 0, QUEUE_THESE, verb_queue_list, "the same"},
    {"queue", "show", "ID", 1, 1, OPT(JSON) | OPT(CONTENT), verb_queue_show,
	"show everything about one message"},
    {"queue", "retry", "ID...", 0, 30, QUEUE_SOME, verb_queue_act, "try to send it now"},
    {"queue", "hold", "ID...", 0, 30, QUEUE_SOME, verb_queue_act,
	"keep it, and do not try to send it"},
    {"queue", "release", "ID...", 0, 30, QUEUE_SOME, verb_queue_act,
	"end a hold, or deliver what was captured"},
    {"queue", "delete", "ID...", 0, 30, QUEUE_SOME, verb_queue_act, "throw it away"},
    {"queue", "move", "ID|--all ACCOUNT", 1, 2, QUEUE_SOME, verb_queue_move,
	"give it to another account that its service may use, and try now"},
    {"transcript", NULL, "ID", 1, 1, OPT(JSON), verb_transcript,
	"print the conversation with the server, attempt by attempt"},
    {"account", "", "", 0, 0, OPT(JSON), verb_account_list, "list the accounts"},
    {"account", "list", "", 0, 0, OPT(JSON), verb_account_list, "the same"},
    {"account", "hold", "ACCOUNT", 1, 1, OPT(JSON), verb_account_act,
	"keep its mail, and do not try to send it"},
    {"account", "release", "ACCOUNT", 1, 1, OPT(JSON), verb_account_act, "end a hold"},
    {"account", "retry", "ACCOUNT", 1, 1, OPT(JSON), verb_account_act,
	"try its mail and its sign-in now"},
    {"account", "add", "[NAME]", 0, 1,
	OPT(JSON) | OPT(MAILBOX) | OPT(PROVIDER) | OPT(GRANT) | OPT(CLIENT_ID) | OPT(TENANT) |
	    OPT(REGION) | OPT(AUTH_USER) | OPT(SUBMIT) | OPT(CA_FILE) | OPT(ISSUER) | OPT(SCOPES) |
	    OPT(CONFIG) | OPT(USERS) | OPT(AUTHORIZE),
	verb_account_add, "find a mailbox's provider and write its block"},
    {"account", "revoke", "ACCOUNT", 1, 1, OPT(JSON) | OPT(LOCAL), verb_account_revoke,
	"revoke its grant at the provider, and forget it here"},
    {"service", "", "", 0, 0, OPT(JSON), verb_service_list, "list the services"},
    {"service", "list", "", 0, 0, OPT(JSON), verb_service_list, "the same"},
    {"service", "explain", "USER SENDER [RECIPIENT]", 2, 3, OPT(JSON) | OPT(SOCKET),
	verb_service_explain, "say which service would take a message, and why"},
    {"service", "password", "SERVICE", 1, 1, OPT(JSON) | OPT(REVOKE), verb_service_password,
	"make a password for programs that speak SMTP"},
    {"unlock", NULL, "", 0, 0, OPT(JSON), verb_unlock, "open the token store with its passphrase"},
    {"key", "", "", 0, 0, OPT(JSON), verb_key_list, "list the keys that open the token store"},
    {"key", "list", "", 0, 0, OPT(JSON), verb_key_list, "the same"},
    {"key", "add", "passphrase | configured | key-file FILE", 1, 2, OPT(JSON), verb_key_add,
	"add a key to the token store"},
    {"key", "remove", "N", 1, 1, OPT(JSON), verb_key_remove,
	"remove a key, but never the last one"},
    {"key", "rotate", "[KEY-FILE...]", 0, 15, OPT(JSON), verb_key_rotate,
	"make a new master key and seal every record with it"},
    {"key", "backup", "FILE", 1, 1, OPT(JSON) | OPT(OVERWRITE), verb_key_backup,
	"write every credential into a file, sealed with a passphrase"},
    {"key", "restore", "FILE", 1, 1, OPT(JSON) | OPT(OVERWRITE), verb_key_restore,
	"put the credentials of a backup into this token store"},
    {"key", "verify", "[FILE]", 0, 1, OPT(JSON), verb_key_verify,
	"check that every record of the store, or of a backup, opens"},
    {"events", "", "", 0, 0,
	OPT(JSON) | OPT(FOLLOW) | OPT(KIND) | OPT(ACCOUNT) | OPT(SERVICE) | OPT(SINCE), verb_events,
	"list what happened to accounts, to this host and to messages"},
    {"events", "replay", "", 0, 0, OPT(JSON) | OPT(SINCE) | OPT(WEBHOOK), verb_events_replay,
	"send webhooks the kept events once more, from a time on"},
    {"events", "test", "WEBHOOK", 1, 1, OPT(JSON), verb_events_test,
	"send a webhook a test event, and say what it answers"},
    {"metrics", NULL, "", 0, 0, OPT(JSON) | OPT(FORMAT) | OPT(LISTEN) | OPT(TEXTFILE), verb_metrics,
	"print what Frank counts, for Prometheus"},
    {"console", NULL, "", 0, 0, OPT(JSON) | OPT(LISTEN) | OPT(NO_BROWSER), verb_console,
	"serve a page that shows accounts, queue and captured mail, under your rights"},
    {"reload", NULL, "", 0, 0, OPT(JSON), verb_reload, "read the configuration again"},
    {"help", NULL, "[VERB]", 0, 2, 0, verb_help, "explain a verb"},
};

/* ---- help ---- */

/* Two columns; a long name has its line for itself. */
static void
print_row(FILE *f, const char *name, const char *text)
{
	enum { WIDTH = 22 };

	if (strlen(name) > WIDTH)
		(void)fprintf(f, "  %s\n  %-*s %s\n", name, WIDTH, "", text);
	else
		(void)fprintf(f, "  %-*s %s\n", WIDTH, name, text);
}

/* "frank queue show ID" */
static void
name_verb(const struct verb *v, char *to, size_t size)
{
	bool two = v->second != NULL && *v->second != '\0';

	(void)snprintf(to, size, "frank %s%s%s%s%s", v->word, two ? " " : "", two ? v->second : "",
	    *v->arguments != '\0' ? " " : "", v->arguments);
}

static void
print_verb(FILE *f, const struct verb *v)
{
	char name[80];

	name_verb(v, name, sizeof(name));
	print_row(f, name + strlen("frank "), v->summary);
}

static void
print_options(FILE *f, option_set options)
{
	for (int o = 0; o < OPTION_COUNT; o++) {
		char name[64];

		if ((options & OPTION_BIT(o)) == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s%s%s", arguments_options[o].name,
		    arguments_options[o].value == NULL ? "" : " ",
		    arguments_options[o].value == NULL ? "" : arguments_options[o].value);
		print_row(f, name, arguments_options[o].help);
	}
}

static void
print_overview(FILE *f)
{
	(void)fputs("frank: keeps the credentials of mail accounts and sends mail with them\n\n"
		    "usage: frank VERB [ARGUMENT...] [OPTION...]\n\n",
	    f);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].summary, "the same") != 0)
			print_verb(f, &verbs[i]);
	(void)fputs(
	    "\nfrank VERB --help explains the verb's options; frank(1) explains everything.\n", f);
}

/* One verb: how it is called, what it does, its options. */
static void
print_help(FILE *f, const struct verb *v)
{
	char name[80];

	name_verb(v, name, sizeof(name));
	(void)fprintf(f, "usage: %s [OPTION...]\n\n  %s\n\n", name,
	    strcmp(v->summary, "the same") == 0 ? v[-1].summary : v->summary);
	print_options(f, v->options | OPT(HELP));
}

/* All verbs that begin with this word. False where there is none. */
static bool
print_group(FILE *f, const char *word)
{
	option_set options = 0;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].word, word) == 0) {
			if (verbs[i].second == NULL) {
				print_help(f, &verbs[i]);
				return true;
			}
			if (options == 0)
				(void)fprintf(f,
				    "usage: frank %s COMMAND [ARGUMENT...] [OPTION...]\n\n", word);
			print_verb(f, &verbs[i]);
			options |= verbs[i].options | OPT(HELP);
		}
	}
	if (options == 0)
		return false;
	(void)fputc('\n', f);
	print_options(f, options);
	return true;
}

static int
verb_help(const struct cli *cli, const struct arguments *args)
{
	if (args->count < 2) {
		print_overview(stdout);
		return EX_OK;
	}
	if (print_group(stdout, args->words[1]))
		return EX_OK;
	return cli_fail(cli, EX_USAGE, "frank help", "there is no verb %s", args->words[1]);
}

/* ---- finding the verb ---- */

static int
fail_unknown(const struct cli *cli, const char *first, const char *word)
{
	const char *names[ARRAY_SIZE(verbs)], *near;
	char hint[128];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (first == NULL)
			names[count++] = verbs[i].word;
		else if (strcmp(verbs[i].word, first) == 0 && verbs[i].second != NULL &&
			 *verbs[i].second != '\0')
			names[count++] = verbs[i].second;
	}
	near = arguments_suggest(word, names, count);
	if (near != NULL)
		(void)snprintf(hint, sizeof(hint), "did you mean: frank %s%s%s",
		    first == NULL ? "" : first, first == NULL ? "" : " ", near);
	/* `frank secret PASSWORD`: the second word may be anything */
	return first == NULL ? cli_fail(cli, EX_USAGE, near == NULL ? "frank help" : hint,
				   "there is no verb %s", word)
			     : cli_fail(cli, EX_USAGE, near == NULL ? "frank help" : hint,
				   "frank %s has no such verb", first);
}

static const struct verb *
find_verb(const struct arguments *a, const char **ret_known)
{
	const struct verb *alone = NULL;

	*ret_known = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->word, a->words[0]) != 0)
			continue;
		if (v->second == NULL)
			return v;
		*ret_known = v->word;
		if (*v->second == '\0')
			alone = v;
		else if (a->count > 1 && strcmp(v->second, a->words[1]) == 0)
			return v;
	}
	return a->count == 1 || (alone != NULL && alone->most > 0) ? alone : NULL;
}

static int
fail_arguments(const struct cli *cli, int fault, const char *arg)
{
	const char *names[OPTION_COUNT], *near;
	char hint[64], name[32];

	switch (fault) {
	case ARGUMENTS_NO_VALUE:
		return cli_fail(cli, EX_USAGE, NULL, "%s needs a value", arg);
	case ARGUMENTS_VALUE_TOO_MUCH:
		return cli_fail(
		    cli, EX_USAGE, NULL, "%.*s takes no value", option_name_length(arg), arg);
	case ARGUMENTS_TWICE:
		return cli_fail(
		    cli, EX_USAGE, NULL, "%.*s is given twice", option_name_length(arg), arg);
	case ARGUMENTS_TOO_MANY:
		return cli_fail(cli, EX_USAGE, NULL, "there are too many arguments");
	default:
		for (int i = 0; i < OPTION_COUNT; i++)
			names[i] = arguments_options[i].name;
		(void)snprintf(name, sizeof(name), "%.*s", option_name_length(arg), arg);
		near = arguments_suggest(name, names, OPTION_COUNT);
		if (near != NULL)
			(void)snprintf(hint, sizeof(hint), "did you mean: %s", near);
		return cli_fail(cli, EX_USAGE, near == NULL ? "frank help" : hint,
		    "there is no option %s", name);
	}
}

static int
run_verb(const struct cli *cli, const struct verb *v, const struct arguments *a)
{
	size_t words = a->count - 1 - (v->second != NULL && *v->second != '\0');
	char usage[160];

	if (arguments_has(a, OPTION_HELP)) {
		if (v->second != NULL && *v->second == '\0')
			(void)print_group(stdout, v->word);
		else
			print_help(stdout, v);
		return EX_OK;
	}
	name_verb(v, usage, sizeof(usage));
	for (int o = 0; o < OPTION_COUNT; o++)
		if (arguments_has(a, (enum option)o) && (v->options & OPTION_BIT(o)) == 0)
			return cli_fail(cli, EX_USAGE, usage, "%s cannot be given with this verb",
			    arguments_options[o].name);
	if (words < v->least || words > v->most)
		return cli_fail(cli, EX_USAGE, usage,
		    words < v->least ? "an argument is missing" : "there is an argument too many");
	return v->run(cli, a);
}

/* Scripts take the status of `frank test` for the answer, as that of test(1): 2 is wrong use. */
static int
status_of(const struct arguments *a, int status)
{
	bool is_test = a->count > 1 && strcmp(a->words[0], "test") == 0 &&
		       (strcmp(a->words[1], "wait") == 0 || strcmp(a->words[1], "release") == 0);

	return is_test && status == EX_USAGE ? 2 : status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct arguments a;
	const struct verb *v;
	const char *known, *no_colour = secure_getenv("NO_COLOR");
	int at = 0, fault = arguments_parse(argc, argv, &a, &at);

	cli->json = arguments_has(&a, OPTION_JSON);
	cli->colour = isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0');
	if (fault != 0)
		return status_of(&a, fail_arguments(cli, fault, argv[at]));
	if (arguments_has(&a, OPTION_VERSION)) {
		(void)puts("frank " FRANK_VERSION);
		return EX_OK;
	}
	if (a.count == 0) {
		print_overview(arguments_has(&a, OPTION_HELP) ? stdout : stderr);
		return arguments_has(&a, OPTION_HELP) ? EX_OK : EX_USAGE;
	}
	link_find_sockets(cli);
	v = find_verb(&a, &known);
	if (v == NULL && known != NULL && a.count == 1) {
		(void)print_group(arguments_has(&a, OPTION_HELP) ? stdout : stderr, known);
		return arguments_has(&a, OPTION_HELP) ? EX_OK : EX_USAGE;
	}
	if (v == NULL)
		return fail_unknown(cli, known, a.words[known == NULL ? 0 : 1]);
	return status_of(&a, run_verb(cli, v, &a));
}

int
main(int argc, char **argv)
{
	struct cli cli = {0};
	int status = run(&cli, argc, argv);

	link_forget_sockets(&cli);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == EX_OK)
		status = EX_IOERR;
	return status;
}
