/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-account-add.c: `frank account add`: a block for a new mailbox, written, checked and taken in.
 *
 *     mailbox ─▶ provider: by --provider, its domain, its MX or SRV records (frankd's send role asks)
 *             ─▶ grant and what it needs ─▶ who may send ─▶ conf.d/NAME.conf ─▶ frankd --check
 *             ─▶ reload ─▶ sign in
 *
 * On a terminal the command asks for what is missing, with a proposal if there is one; elsewhere it
 * names the missing option. Nothing is ever overwritten, and a block that fails the check is removed
 * again. DNS names a domain's servers without proof: the block gets the domain (submit =
 * "srv:DOMAIN"), and the servers have to prove by their certificates that they belong to it.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/account-file.h"
#include "admin/providers.h"
#include "admin/start.h"
#include "base/address.h"
#include "base/grant.h"

enum { FIND_PATIENCE = 30, VALUE_MAX = 512, BLOCK_MAX = 16 * 1024, PATH_MOST = 4096 };

/* The keys of the block, in its order. */
enum part {
	PROVIDER,
	MAILBOX,
	AUTH_USER,
	GRANT,
	CLIENT_ID,
	TENANT,
	REGION,
	ISSUER,
	SCOPES,
	SUBMIT,
	PART_COUNT,
};

static const struct {
	enum option option;
	const char *key, *what; /* what: for people */
	const char *why;
} parts[PART_COUNT] = {
    [PROVIDER] = {OPTION_PROVIDER, "provider", "Provider", NULL},
    [MAILBOX] = {OPTION_MAILBOX, "mailbox", "Mailbox", "the address that mail is sent from"},
    [AUTH_USER] = {OPTION_AUTH_USER, "auth-user", "User who signs in", NULL},
    [GRANT] = {OPTION_GRANT, "grant", "Grant", NULL},
    [CLIENT_ID] = {OPTION_CLIENT_ID, "client-id", "Client id",
	"of the application that is registered at the provider"},
    [TENANT] = {OPTION_TENANT, "tenant", "Tenant", "the organisation's domain or id"},
    [REGION] = {OPTION_REGION, "region", "Region", "part of the server's name"},
    [ISSUER] = {OPTION_ISSUER, "issuer", "Issuer",
	"the authorization server's address, where its metadata is found"},
    [SCOPES] = {OPTION_SCOPES, "scopes", "Scopes", "between spaces"},
    [SUBMIT] = {OPTION_SUBMIT, "submit", "Submission server",
	"HOST:PORT, or srv:DOMAIN; 465 speaks TLS from the start, 587 by STARTTLS"},
};

struct add {
	const struct cli *cli;
	const struct arguments *args;
	struct providers providers;
	bool asks; /* somebody sits at the terminal */
	char value[PART_COUNT][VALUE_MAX], name[VALUE_MAX];
	char reason[VALUE_MAX]; /* why this provider */
	char found_submit[VALUE_MAX];
	bool named; /* by the domain itself */
	/* who may send through it, as far as no service is there that takes their mail first */
	char users[VALUE_MAX], service[VALUE_MAX];
	struct buf elsewhere; /* a sentence for each user who is another service's already */
	char config[PATH_MOST], ca_file[PATH_MOST];
	struct account_file file;
};

/* ---- asking ---- */

/* What can stand between quotes in a configuration. */
static bool
is_fit(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f || *s == '"' || *s == '\\' || *s == '$')
			return false;
	return true;
}

static int
take(struct add *a, const char *what, const char *value, char to[VALUE_MAX])
{
	if (strlen(value) >= VALUE_MAX || !is_fit(value))
		return cli_fail(a->cli, EX_USAGE, NULL,
		    "%s is too long, or holds a quote, a backslash, a dollar or a control "
		    "character",
		    what);
	(void)snprintf(to, VALUE_MAX, "%s", value);
	return EX_OK;
}

/* A line from the terminal; an empty one is the proposal. */
static int
ask(struct add *a, const char *what, const char *proposal, char to[VALUE_MAX])
{
	char line[VALUE_MAX];
	size_t len;

	(void)fprintf(stderr, "%s%s%s%s: ", what, *proposal == '\0' ? "" : " [", proposal,
	    *proposal == '\0' ? "" : "]");
	if (fgets(line, sizeof(line), stdin) == NULL)
		return cli_fail(a->cli, EX_USAGE, NULL, "there was no answer; nothing was written");
	len = strcspn(line, "\r\n");
	line[len] = '\0';
	if (len == 0 && proposal == to)
		return EX_OK; /* it stands there */
	return take(a, what, len == 0 ? proposal : line, to);
}

/* The option's value, where it was given. */
static int
take_option(struct add *a, enum part part)
{
	enum option o = parts[part].option;

	return arguments_has(a->args, o)
		   ? take(a, arguments_options[o].name, a->args->values[o], a->value[part])
		   : EX_OK;
}

/* A value: the option's, else asked for, else an error that names the option. */
static int
want(struct add *a, enum part part, const char *proposal, const char *why)
{
	const struct option_def *o = &arguments_options[parts[part].option];
	int status;

	if (arguments_has(a->args, parts[part].option))
		return take_option(a, part);
	if (!a->asks)
		return cli_fail(a->cli, EX_USAGE, why, "%s %s is missing", o->name, o->value);
	if (why != NULL)
		(void)fprintf(stderr, "(%s)\n", why);
	status = ask(a, parts[part].what, proposal, a->value[part]);
	if (status == EX_OK && *a->value[part] == '\0')
		return cli_fail(a->cli, EX_USAGE, NULL, "no %s was given; nothing was written",
		    parts[part].what);
	return status;
}

/* ---- the provider ---- */

/* The domain names its servers: "host:port tls" of the first. */
static void
take_service(struct add *a, const struct message *m)
{
	const char *srv;
	size_t at = 0;

	if (!message_next_str(m, F_SRV, &at, &srv))
		return;
	(void)snprintf(a->found_submit, sizeof(a->found_submit), "srv:%.300s",
	    strrchr(a->value[MAILBOX], '@') + 1);
	a->named = true;
	(void)snprintf(a->reason, sizeof(a->reason), "its name server names %.*s",
	    (int)strcspn(srv, " "), srv);
}

static void
take_found(struct add *a, const struct message *m)
{
	const char *mx, *by, *banner = message_str(m, F_BANNER);
	size_t at = 0;

	take_service(a, m);
	while (message_next_str(m, F_MX, &at, &mx)) {
		by = providers_by_mx(&a->providers, mx);
		if (by == NULL || *a->value[PROVIDER] != '\0')
			continue;
		(void)snprintf(a->value[PROVIDER], VALUE_MAX, "%.500s", by);
		(void)snprintf(a->reason, sizeof(a->reason), "its mail goes to %.300s", mx);
	}
	if (*a->value[PROVIDER] != '\0' || a->named || banner == NULL)
		return;
	/* "host:port greeting": what answers at the usual name */
	(void)snprintf(
	    a->found_submit, sizeof(a->found_submit), "%.*s", (int)strcspn(banner, " "), banner);
	(void)snprintf(a->reason, sizeof(a->reason), "%.400s answers", banner);
}

static int
on_found(void *arg, const struct message *m)
{
	if (message_type(m) == M_FOUND)
		take_found(arg, m);
	return EX_OK;
}

/* Asks frankd, whose send role may ask the network. One that does not run is no fault here. */
static void
look_up(struct add *a, const char *domain)
{
	struct message *m;

	if (access(a->cli->control, F_OK) < 0) {
		(void)fputs("frankd is not running, so the domain cannot be looked up.\n", stderr);
		return;
	}
	m = message_new(M_FIND_PROVIDER);
	message_put_str(m, F_HOST, domain);
	(void)link_ask(a->cli, ROLE_QUEUE, FIND_PATIENCE, m, on_found, a, NULL);
}

static int
choose_provider(struct add *a)
{
	const char *domain = strrchr(a->value[MAILBOX], '@') + 1, *known;
	int status;

	if (arguments_has(a->args, OPTION_PROVIDER)) {
		status = take_option(a, PROVIDER);
		(void)snprintf(a->reason, sizeof(a->reason), "--provider names it");
	} else {
		known = providers_by_domain(&a->providers, domain);
		if (known != NULL) {
			(void)snprintf(a->value[PROVIDER], VALUE_MAX, "%.500s", known);
			(void)snprintf(
			    a->reason, sizeof(a->reason), "%.400s is its domain", domain);
		} else {
			look_up(a, domain);
		}
		if (*a->value[PROVIDER] == '\0')
			(void)snprintf(a->value[PROVIDER], VALUE_MAX, "generic");
		if (*a->reason != '\0')
			(void)fprintf(stderr, "%s: %s, since %s.\n", a->value[MAILBOX],
			    a->value[PROVIDER], a->reason);
		status =
		    a->asks ? ask(a, "Provider", a->value[PROVIDER], a->value[PROVIDER]) : EX_OK;
	}
	known = providers_called(&a->providers, a->value[PROVIDER]);
	if (status == EX_OK && !providers_has(&a->providers, "provider", a->value[PROVIDER]) &&
	    known != NULL) {
		(void)fprintf(
		    stderr, "%s: the provider is called %s here.\n", a->value[PROVIDER], known);
		return take(a, "the provider", known, a->value[PROVIDER]);
	}
	if (status == EX_OK && !providers_has(&a->providers, "provider", a->value[PROVIDER]))
		return cli_fail(a->cli, EX_USAGE, "frankd --providers prints them",
		    "there is no provider %s", a->value[PROVIDER]);
	return status;
}

/* ---- the grant, and what goes with it ---- */

static int
choose_grant(struct add *a)
{
	char known[VALUE_MAX] = "the grant is never guessed; this provider offers: ";
	const char *grant, *note,
	    *first = providers_value(&a->providers, a->value[PROVIDER], "grants", 0);

	for (size_t n = 0;
	     (grant = providers_value(&a->providers, a->value[PROVIDER], "grants", n)) != NULL; n++)
		(void)snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
		    n == 0 ? "" : ", ", grant);
	for (size_t n = 0; a->asks && (note = providers_value(
					   &a->providers, a->value[PROVIDER], "note", n)) != NULL;
	     n++)
		(void)fprintf(stderr, "Note: %s.\n", note);
	return want(a, GRANT, first == NULL ? "" : first, known);
}

static bool
is_oauth(const char *grant)
{
	return grant_has_tokens(grant_by_name(grant));
}

/* Must the block have it, since the preset has not? */
static bool
is_needed(const struct add *a, enum part part)
{
	const struct providers *p = &a->providers;
	const char *provider = a->value[PROVIDER], *grant = a->value[GRANT];

	switch (part) {
	case CLIENT_ID:
		return is_oauth(grant);
	case TENANT:
		return grant_is_unattended(grant_by_name(grant)) &&
		       providers_needs(p, provider, "tenant");
	case REGION:
	case SUBMIT:
		return providers_needs(p, provider, parts[part].key);
	case ISSUER:
	case SCOPES:
		return is_oauth(grant) && strcmp(provider, "generic") == 0;
	default:
		return false;
	}
}

static int
choose_rest(struct add *a)
{
	static const enum part order[] = {
	    CLIENT_ID, TENANT, REGION, SUBMIT, ISSUER, SCOPES, AUTH_USER};
	int status = EX_OK;

	for (size_t i = 0; status == EX_OK && i < ARRAY_SIZE(order); i++) {
		enum part part = order[i];
		const char *proposal = part == TENANT   ? strrchr(a->value[MAILBOX], '@') + 1
				       : part == SUBMIT ? a->found_submit
							: "";
		const char *why =
		    part == CLIENT_ID && strcmp(a->value[GRANT], "service-account") == 0
			? "client_email in the service account's key file"
			: parts[part].why;

		if (!is_needed(a, part) || arguments_has(a->args, parts[part].option))
			status = take_option(a, part);
		else if (part == SUBMIT && a->named && !a->asks)
			status = take(a, "the server", a->found_submit, a->value[SUBMIT]);
		else
			status = want(a, part, proposal, why);
	}
	return status;
}

/* The part of the address before the '@', as far as a name takes it. */
static void
propose_name(const struct add *a, char to[VALUE_MAX])
{
	size_t n = 0;

	for (const char *s = a->value[MAILBOX]; *s != '\0' && *s != '@' && n < 64; s++) {
		bool fit = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			   (*s >= '0' && *s <= '9') || (n > 0 && strchr("._-", *s) != NULL);

		if (fit)
			to[n++] = *s;
	}
	to[n] = '\0';
}

static int
choose_name(struct add *a)
{
	char proposal[VALUE_MAX];
	int status = EX_OK;

	propose_name(a, proposal);
	if (a->args->count > 2)
		status = take(a, "NAME", a->args->words[2], a->name);
	else if (a->asks)
		status = ask(a, "Name of the account", proposal, a->name);
	else
		(void)snprintf(a->name, sizeof(a->name), "%s", proposal);
	if (status != EX_OK)
		return status;
	if (*a->name == '\0' || strlen(a->name) > 64 || *a->name == '.' || *a->name == '-' ||
	    a->name[strspn(a->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789._-")] != '\0')
		return cli_fail(a->cli, EX_USAGE, NULL,
		    "a name has letters, digits, '.', '_' and '-', 64 at most");
	if (providers_has(&a->providers, "account", a->name))
		return cli_fail(a->cli, EX_USAGE, "choose another name: frank account add NAME",
		    "an account %s already exists; nothing was written", a->name);
	return EX_OK;
}

/* ---- who may send ---- */

/* Moves a user to those of the new service, unless another takes their mail first (frank.conf(5), service). */
static void
place_user(struct add *a, const char *user, char to[VALUE_MAX])
{
	const char *service = providers_service_of(&a->providers, user);
	size_t len = strlen(to);

	if (service == NULL)
		(void)snprintf(to + len, VALUE_MAX - len, "%s%s", len == 0 ? "" : " ", user);
	else
		(void)buf_printf(&a->elsewhere,
		    "Mail of %s belongs to the service %s: add \"%s\" to its accounts and \"%s\" "
		    "to "
		    "its senders.\n",
		    strcmp(user, "*") == 0 ? "every user" : user, service, a->name,
		    a->value[MAILBOX]);
}

static int
choose_users(struct add *a)
{
	const char *caller = getenv("SUDO_USER");
	char wanted[VALUE_MAX], proposal[VALUE_MAX] = "", *at = wanted, *user;
	int status = EX_OK;

	/* root's cron jobs, and whoever does this; where services are there, it is for them to say */
	if (providers_name(&a->providers, "service", 0) == NULL)
		(void)snprintf(proposal, sizeof(proposal), "root%s%.64s",
		    caller != NULL && strcmp(caller, "root") != 0 ? " " : "",
		    caller != NULL && strcmp(caller, "root") != 0 ? caller : "");
	(void)snprintf(wanted, sizeof(wanted), "%s", proposal);
	if (arguments_has(a->args, OPTION_USERS))
		status = take(a, "--users", a->args->values[OPTION_USERS], wanted);
	else if (a->asks)
		status =
		    ask(a, "Users who may send through it (\"*\" is everybody)", proposal, wanted);
	if (status != EX_OK)
		return status;
	while ((user = strsep(&at, " ,")) != NULL)
		if (*user != '\0')
			place_user(a, user, a->users);
	(void)snprintf(a->service, sizeof(a->service), "%.400s%s", a->name,
	    providers_has(&a->providers, "service", a->name) ? "-mail" : "");
	return EX_OK;
}

/* ---- the block ---- */

static void
put(struct buf *b, const char *key, const char *value)
{
	if (*value != '\0')
		(void)buf_printf(b, "    %-9s = \"%s\"\n", key, value);
}

static void
put_list(struct buf *b, const char *key, const char *values)
{
	const char *sep = "";

	if (*values == '\0')
		return;
	(void)buf_printf(b, "    %-9s = {", key);
	while (*(values += strspn(values, " ")) != '\0') {
		size_t len = strcspn(values, " ");

		(void)buf_printf(b, "%s\"%.*s\"", sep, (int)len, values);
		values += len;
		sep = ", ";
	}
	(void)buf_append_str(b, "}\n");
}

static void
compose(const struct add *a, struct buf *b)
{
	(void)buf_printf(b, "account \"%s\" {\n", a->name);
	for (int i = 0; i < PART_COUNT; i++)
		if (i == SCOPES)
			put_list(b, parts[i].key, a->value[i]);
		else
			put(b, parts[i].key, a->value[i]);
	put(b, "ca-file", a->ca_file);
	(void)buf_append_str(b, "}\n");
	if (*a->users == '\0')
		return;
	(void)buf_printf(b, "\nservice \"%s\" {\n", a->service);
	put_list(b, "users", a->users);
	put_list(b, "accounts", a->name);
	put_list(b, "senders", a->value[MAILBOX]);
	(void)buf_append_str(b, "}\n");
}

static int
check_file(struct add *a)
{
	int r = providers_check(*a->config == '\0' ? NULL : a->config);

	if (r == 0)
		return EX_OK;
	account_file_undo(&a->file);
	return cli_fail(a->cli, EX_CONFIG, "correct what is said above, and run the command again",
	    "the configuration would not work with this account; %s was removed again",
	    a->file.path);
}

/* ---- after ---- */

static bool
reload(const struct cli *cli)
{
	return access(cli->control, F_OK) == 0 &&
	       link_ask(cli, ROLE_QUEUE, FIND_PATIENCE, message_new(M_CLIENT_RELOAD), NULL, NULL,
		   NULL) == EX_OK;
}

/* With the first configuration of this system the service starts as well. One that was there before and
 * has no frankd was left so by somebody, who is told. */
static bool
take_into_force(const struct add *a)
{
	if (reload(a->cli))
		return true;
	if (a->file.count < 2 || *a->config != '\0' || !start_is_possible())
		return false;
	(void)fputs("Starting frankd (systemctl enable --now frank).\n", stderr);
	return start_frankd() == 0 && reload(a->cli);
}

/* A frankd that runs goes on with a configuration without accounts, but with none at all it could
 * not take the account out of force. */
static void
print_undo(const struct account_file *f, bool running)
{
	if (running) {
		(void)printf("To undo: rm %s && frank reload\n", f->path);
		return;
	}
	(void)fputs("To undo: rm", stdout);
	for (size_t i = f->count; i-- > 0;)
		if (!f->made[i].is_folder)
			(void)printf(" %s", f->made[i].path);
	for (size_t i = f->count, folders = 0; i-- > 0;)
		if (f->made[i].is_folder)
			(void)printf("%s %s", folders++ == 0 ? " && rmdir" : "", f->made[i].path);
	(void)putchar('\n');
}

/* What was done, what is not, and how to take it back. */
static void
report(const struct add *a, bool running)
{
	const struct account_file *f = &a->file;

	for (size_t i = 0; i + 1 < f->count; i++)
		(void)printf("%s is made.\n", f->made[i].path);
	cli_put(a->cli, COLOUR_GOOD, f->path, 0);
	(void)printf(" is written and checked%s.\n", running ? ", and in force" : "");
	if (*a->users != '\0')
		(void)printf("These users may send through it: %s (service \"%s\").\n", a->users,
		    a->service);
	cli_put_lines(a->cli, buf_str(&a->elsewhere), 0);
	if (*a->users == '\0' && a->elsewhere.len == 0)
		(void)printf(
		    "No service uses it, so nobody may send through it yet: put \"%s\" into a "
		    "service's accounts, and %s into its senders.\n",
		    a->name, a->value[MAILBOX]);
	print_undo(f, running);
	(void)fflush(stdout);
}

static bool
says_yes(struct add *a, const char *question)
{
	char answer[VALUE_MAX] = "";

	return ask(a, question, "yes", answer) == EX_OK && (*answer == 'y' || *answer == 'Y');
}

/* A message to the mailbox itself shows that all of it works. */
static int
offer_test(struct add *a)
{
	const struct arguments test = {.words = {"test", a->name}, .count = 2};

	return a->asks && says_yes(a, "Send a test message to this mailbox? yes or no")
		   ? verb_test(a->cli, &test)
		   : EX_OK;
}

static int
sign_in_now(struct add *a, bool secret)
{
	const struct arguments set = {.words = {"secret", "set", a->name}, .count = 3},
			       authorize = {.words = {"authorize", a->name}, .count = 2};
	int status = EX_OK;

	if (secret) {
		(void)fputs(
		    "The client has a secret, which the provider shows beside its id.\n", stderr);
		status = verb_secret_set(a->cli, &set);
	}
	if (status == EX_OK)
		status = verb_authorize(a->cli, &authorize);
	return status != EX_OK ? status : offer_test(a);
}

/* The next step: the command that gives the account its credential, or a test. */
static int
go_on(struct add *a, bool running)
{
	bool person = grant_needs_person(grant_by_name(a->value[GRANT]));
	bool secret = person && providers_needs(&a->providers, a->value[PROVIDER], "client-secret");
	char answer[VALUE_MAX] = "";

	if (a->cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s?}", "account", a->name, "file",
			a->file.path, "provider", a->value[PROVIDER], "reason", a->reason, "grant",
			a->value[GRANT], "in_force", running, "service",
			*a->users == '\0' ? NULL : a->service),
		    EX_OK);
	report(a, running);
	if (strcmp(a->value[GRANT], "none") == 0) {
		(void)printf("Next: frank test %s\n", a->name);
		return running ? offer_test(a) : EX_OK;
	}
	if (person && running && a->asks && !arguments_has(a->args, OPTION_AUTHORIZE) &&
	    ask(a, "Sign in now? yes or no", "yes", answer) != EX_OK)
		return EX_USAGE;
	if (person && running && (a->asks || !secret) &&
	    (arguments_has(a->args, OPTION_AUTHORIZE) || *answer == 'y' || *answer == 'Y'))
		return sign_in_now(a, secret);
	(void)printf("%sNext: frank %s %s%s\n",
	    running ? "" : "frankd is not running: start it (systemctl enable --now frank).\n",
	    person && !secret ? "authorize" : "secret set", a->name,
	    secret ? " (the client's secret)" : "");
	if (secret)
		(void)printf("Then: frank authorize %s\n", a->name);
	return EX_OK;
}

static int
add(struct add *a)
{
	struct buf block CLEANUP_BUF = BUF_INIT(BLOCK_MAX);
	int status = want(a, MAILBOX, "", parts[MAILBOX].why);

	if (status == EX_OK &&
	    address_read(a->value[MAILBOX], strlen(a->value[MAILBOX]), false, NULL) < 0)
		return cli_fail(
		    a->cli, EX_USAGE, NULL, "%s is not a mail address", a->value[MAILBOX]);
	if (status == EX_OK)
		status = choose_provider(a);
	if (status == EX_OK)
		status = choose_grant(a);
	if (status == EX_OK)
		status = choose_rest(a);
	if (status == EX_OK)
		status = choose_name(a);
	if (status == EX_OK)
		status = choose_users(a);
	if (status != EX_OK)
		return status;
	compose(a, &block);
	if (block.failed)
		return cli_fail(
		    a->cli, EX_USAGE, NULL, "the account's block is too long; nothing was written");
	status = account_file_write(a->cli, &a->providers, a->name, &block, &a->file);
	if (status == EX_OK)
		status = check_file(a);
	return status != EX_OK ? status : go_on(a, take_into_force(a));
}

/* The whole path of a file that an option names: frankd runs in another folder, and takes no other
 * path for a configuration that is not there yet. */
static int
find_path(struct add *a, enum option o, char to[PATH_MOST])
{
	const char *path = a->args->values[o];
	char here[PATH_MOST] = "";
	int len;

	if (path == NULL)
		return EX_OK;
	if (*path != '/' && getcwd(here, sizeof(here)) == NULL)
		return cli_fail(a->cli, EX_OSERR, NULL,
		    "%s needs the whole path, because the working folder has no name: %s",
		    arguments_options[o].name, strerror(errno));
	len = snprintf(to, PATH_MOST, "%s%s%s", here, *here == '\0' ? "" : "/", path);
	if (len >= PATH_MOST || !is_fit(to))
		return cli_fail(a->cli, EX_USAGE, NULL,
		    "the path of %s is too long, or holds a quote, a backslash, a dollar or a "
		    "control character",
		    arguments_options[o].name);
	return EX_OK;
}

int
verb_account_add(const struct cli *cli, const struct arguments *args)
{
	struct add a = {.cli = cli,
	    .args = args,
	    .asks = !cli->json && isatty(STDIN_FILENO) != 0,
	    .elsewhere = BUF_INIT(BLOCK_MAX)};
	int status = find_path(&a, OPTION_CONFIG, a.config), r;

	if (status == EX_OK)
		status = find_path(&a, OPTION_CA_FILE, a.ca_file);
	if (status != EX_OK)
		return status;
	r = providers_load(*a.config == '\0' ? NULL : a.config, &a.providers);
	if (r != 0)
		return cli_fail(cli, EX_CONFIG, "frankd --check says more",
		    "frankd could not list the providers%s%s", r < 0 ? ": " : "",
		    r < 0 ? strerror(-r) : "");
	status = add(&a);
	account_file_clear(&a.file);
	buf_free(&a.elsewhere);
	providers_clear(&a.providers);
	return status;
}
