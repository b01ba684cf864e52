/*
 * verb-account-add.c: `frank account add`: a block for a new mailbox, written, checked and taken in.
 *
 *     mailbox ─▶ provider: as told, by its domain, by its MX or SRV records (frankd's send role asks)
 *             ─▶ grant and what that needs ─▶ conf.d/NAME.conf ─▶ frankd --check ─▶ reload ─▶ sign in
 *
 * On a terminal what is missing is asked for, with a proposal where there is one; elsewhere the
 * option that is missing is named. Nothing is ever written over, and a block that does not pass the
 * check is taken away again.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/providers.h"
#include "base/address.h"

enum { FIND_PATIENCE = 30, VALUE_MAX = 512, BLOCK_MAX = 8192, PATH_MOST = 4096 };

struct add {
	const struct cli *cli;
	const struct arguments *args;
	struct providers providers;
	bool asks; /* somebody sits at the terminal */
	char mailbox[VALUE_MAX], provider[VALUE_MAX], grant[VALUE_MAX], client_id[VALUE_MAX],
	    tenant[VALUE_MAX], region[VALUE_MAX], auth_user[VALUE_MAX], submit[VALUE_MAX],
	    issuer[VALUE_MAX], scopes[VALUE_MAX], name[VALUE_MAX];
	char reason[VALUE_MAX]; /* why this provider */
	char found_submit[VALUE_MAX];
	bool found_implicit, named; /* named: by the domain itself */
	char path[PATH_MOST];
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
		return cli_fail(a->cli, EX_USAGE, NULL, "no answer; nothing was written");
	len = strcspn(line, "\r\n");
	line[len] = '\0';
	if (len == 0 && proposal == to)
		return EX_OK; /* it stands there */
	return take(a, what, len == 0 ? proposal : line, to);
}

/* A value: the option's, else asked for, else an error that names the option. */
static int
want(struct add *a, enum option o, const char *what, const char *proposal, const char *why,
    char to[VALUE_MAX])
{
	int status;

	if (arguments_has(a->args, o))
		return take(a, option_defs[o].name, a->args->values[o], to);
	if (!a->asks)
		return cli_fail(a->cli, EX_USAGE, why, "%s %s is missing", option_defs[o].name,
		    option_defs[o].value);
	if (why != NULL)
		(void)fprintf(stderr, "(%s)\n", why);
	status = ask(a, what, proposal, to);
	if (status == EX_OK && *to == '\0')
		return cli_fail(
		    a->cli, EX_USAGE, NULL, "no %s was given; nothing was written", what);
	return status;
}

static int
option_only(struct add *a, enum option o, char to[VALUE_MAX])
{
	return arguments_has(a->args, o) ? take(a, option_defs[o].name, a->args->values[o], to)
					 : EX_OK;
}

/* ---- the provider ---- */

/* "host:port tls" of the first service that the domain names. */
static void
take_service(struct add *a, const struct message *m)
{
	const char *srv, *space;
	size_t at = 0;

	if (!message_next_str(m, F_SRV, &at, &srv) || (space = strchr(srv, ' ')) == NULL)
		return;
	(void)snprintf(a->found_submit, sizeof(a->found_submit), "%.*s", (int)(space - srv), srv);
	a->found_implicit = strcmp(space + 1, "implicit") == 0;
	a->named = true;
	(void)snprintf(
	    a->reason, sizeof(a->reason), "its name server names %.300s", a->found_submit);
}

static void
take_found(struct add *a, const struct message *m)
{
	const char *mx, *by, *banner = message_str(m, F_BANNER);
	size_t at = 0;

	take_service(a, m);
	while (message_next_str(m, F_MX, &at, &mx)) {
		by = providers_by_mx(&a->providers, mx);
		if (by == NULL || *a->provider != '\0')
			continue;
		(void)snprintf(a->provider, sizeof(a->provider), "%.500s", by);
		(void)snprintf(a->reason, sizeof(a->reason), "its mail goes to %.300s", mx);
	}
	if (*a->provider != '\0' || a->named || banner == NULL)
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
	CLEANUP_LINK struct link l = LINK_INIT;
	struct message *m;

	if (access(a->cli->control, F_OK) < 0) {
		(void)fputs("frankd does not run, so nobody can look the domain up.\n", stderr);
		return;
	}
	if (link_open(&l, a->cli, ROLE_QUEUE, FIND_PATIENCE) != EX_OK)
		return;
	m = message_new(M_FIND_PROVIDER);
	message_put_str(m, F_HOST, domain);
	(void)link_list(&l, m, on_found, a, NULL);
}

static int
choose_provider(struct add *a)
{
	const char *domain = strrchr(a->mailbox, '@') + 1, *known;
	int status;

	if (arguments_has(a->args, OPTION_PROVIDER)) {
		status = option_only(a, OPTION_PROVIDER, a->provider);
		(void)snprintf(a->reason, sizeof(a->reason), "as told");
	} else {
		known = providers_by_domain(&a->providers, domain);
		if (known != NULL) {
			(void)snprintf(a->provider, sizeof(a->provider), "%.500s", known);
			(void)snprintf(
			    a->reason, sizeof(a->reason), "%.400s is its domain", domain);
		} else {
			look_up(a, domain);
		}
		if (*a->provider == '\0')
			(void)snprintf(a->provider, sizeof(a->provider), "generic");
		if (*a->reason != '\0')
			(void)fprintf(
			    stderr, "%s: %s, since %s.\n", a->mailbox, a->provider, a->reason);
		status = a->asks ? ask(a, "Provider", a->provider, a->provider) : EX_OK;
	}
	if (status == EX_OK && !providers_has(&a->providers, a->provider))
		return cli_fail(a->cli, EX_USAGE, "frankd --providers prints them",
		    "there is no provider %s", a->provider);
	return status;
}

/* ---- the grant, and what goes with it ---- */

static int
choose_grant(struct add *a)
{
	char known[VALUE_MAX] = "it is never guessed; this provider knows: ";
	const char *grant, *note, *first = providers_value(&a->providers, a->provider, "grants", 0);

	for (size_t n = 0;
	     (grant = providers_value(&a->providers, a->provider, "grants", n)) != NULL; n++)
		(void)snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
		    n == 0 ? "" : ", ", grant);
	for (size_t n = 0;
	     a->asks && (note = providers_value(&a->providers, a->provider, "note", n)) != NULL;
	     n++)
		(void)fprintf(stderr, "Note: %s.\n", note);
	return want(a, OPTION_GRANT, "Grant", first == NULL ? "" : first, known, a->grant);
}

static bool
is_oauth(const char *grant)
{
	return strcmp(grant, "password") != 0 && strcmp(grant, "none") != 0;
}

static int
choose_rest(struct add *a)
{
	const struct providers *p = &a->providers;
	bool oauth = is_oauth(a->grant), generic = strcmp(a->provider, "generic") == 0;
	int status = EX_OK;

	if (oauth)
		status = want(a, OPTION_CLIENT_ID, "Client id", "",
		    strcmp(a->grant, "service-account") == 0
			? "client_email in the service account's key file"
			: "of the application that is registered at the provider",
		    a->client_id);
	if (status == EX_OK && oauth && providers_needs(p, a->provider, "tenant") &&
	    strcmp(a->grant, "client-credentials") == 0)
		status = want(a, OPTION_TENANT, "Tenant", strrchr(a->mailbox, '@') + 1,
		    "the organisation's domain or id", a->tenant);
	else if (status == EX_OK)
		status = option_only(a, OPTION_TENANT, a->tenant);
	if (status == EX_OK && providers_needs(p, a->provider, "region"))
		status =
		    want(a, OPTION_REGION, "Region", "", "part of the server's name", a->region);
	else if (status == EX_OK)
		status = option_only(a, OPTION_REGION, a->region);
	if (status == EX_OK && a->named && !a->asks && !arguments_has(a->args, OPTION_SUBMIT) &&
	    providers_needs(p, a->provider, "submit"))
		status = take(a, "the server", a->found_submit, a->submit);
	else if (status == EX_OK && providers_needs(p, a->provider, "submit"))
		status = want(a, OPTION_SUBMIT, "Submission server", a->found_submit,
		    "HOST:PORT; 465 speaks TLS from the start, 587 by STARTTLS", a->submit);
	else if (status == EX_OK)
		status = option_only(a, OPTION_SUBMIT, a->submit);
	if (status == EX_OK && oauth && generic)
		status = want(a, OPTION_ISSUER, "Issuer", "",
		    "the authorization server's address, where its metadata is found", a->issuer);
	if (status == EX_OK && oauth && generic)
		status = want(a, OPTION_SCOPES, "Scopes", "", "between spaces", a->scopes);
	else if (status == EX_OK)
		status = option_only(a, OPTION_SCOPES, a->scopes);
	return status != EX_OK ? status : option_only(a, OPTION_AUTH_USER, a->auth_user);
}

/* The part of the address before the '@', as far as a name takes it. */
static void
propose_name(const struct add *a, char to[VALUE_MAX])
{
	size_t n = 0;

	for (const char *s = a->mailbox; *s != '\0' && *s != '@' && n < 64; s++) {
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
		    "a name is of letters, digits, '.', '_' and '-', at most 64");
	if (providers_has_account(&a->providers, a->name))
		return cli_fail(a->cli, EX_USAGE, "give another: frank account add NAME",
		    "there is an account %s already; nothing was written", a->name);
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
put_scopes(struct buf *b, const char *scopes)
{
	const char *sep = "";

	if (*scopes == '\0')
		return;
	(void)buf_append_str(b, "    scopes    = {");
	while (*(scopes += strspn(scopes, " ")) != '\0') {
		size_t len = strcspn(scopes, " ");

		(void)buf_printf(b, "%s\"%.*s\"", sep, (int)len, scopes);
		scopes += len;
		sep = ", ";
	}
	(void)buf_append_str(b, "}\n");
}

static void
compose(const struct add *a, struct buf *b)
{
	(void)buf_printf(b, "account \"%s\" {\n", a->name);
	put(b, "provider", a->provider);
	put(b, "mailbox", a->mailbox);
	put(b, "auth-user", a->auth_user);
	put(b, "grant", a->grant);
	put(b, "client-id", a->client_id);
	put(b, "tenant", a->tenant);
	put(b, "region", a->region);
	put(b, "issuer", a->issuer);
	put_scopes(b, a->scopes);
	put(b, "submit", a->submit);
	if (a->found_implicit && strcmp(a->submit, a->found_submit) == 0)
		put(b, "tls", "implicit");
	(void)buf_append_str(b, "}\n");
}

/* The first folder whose "*.conf" files are read. */
static int
find_place(struct add *a, const struct buf *block)
{
	static const char all[] = "/*.conf";
	const char *pattern;

	for (size_t n = 0; (pattern = providers_include(&a->providers, n)) != NULL; n++) {
		size_t len = strlen(pattern);

		if (len < sizeof(all) || strcmp(pattern + len - (sizeof(all) - 1), all) != 0 ||
		    memchr(pattern, '*', len - (sizeof(all) - 2)) != NULL)
			continue;
		(void)snprintf(a->path, sizeof(a->path), "%.*s/%s.conf",
		    (int)(len - (sizeof(all) - 1)), pattern, a->name);
		return EX_OK;
	}
	(void)fputs(buf_str(block), stderr);
	return cli_fail(a->cli, EX_CONFIG,
	    "add include = {\"conf.d/*.conf\"} to it, and make that folder; or put the block above "
	    "in yourself",
	    "the configuration includes no folder for it; nothing was written");
}

static int
write_file(struct add *a, const struct buf *block)
{
	int fd = open(a->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644), e = 0;

	if (fd < 0)
		return cli_fail(a->cli, errno == EEXIST ? EX_USAGE : EX_CANTCREAT,
		    errno == EEXIST ? "give another name" : NULL, "%s: %s; nothing was written",
		    a->path, strerror(errno));
	if (write(fd, block->data, block->len) != (ssize_t)block->len || fsync(fd) < 0)
		e = errno == 0 ? EIO : errno;
	(void)close(fd);
	if (e == 0)
		return EX_OK;
	(void)unlink(a->path);
	return cli_fail(
	    a->cli, EX_IOERR, NULL, "%s: %s; nothing was written", a->path, strerror(e));
}

static int
check_file(struct add *a)
{
	const char *config =
	    arguments_has(a->args, OPTION_CONFIG) ? a->args->values[OPTION_CONFIG] : NULL;
	int r = providers_check(config);

	if (r == 0)
		return EX_OK;
	(void)unlink(a->path);
	return cli_fail(a->cli, EX_CONFIG, "mend what stands above, and call it again",
	    "the configuration would not be usable with it; %s was taken away again", a->path);
}

/* ---- after ---- */

static bool
reload(const struct cli *cli)
{
	CLEANUP_LINK struct link l = LINK_INIT;

	return access(cli->control, F_OK) == 0 &&
	       link_open(&l, cli, ROLE_QUEUE, FIND_PATIENCE) == EX_OK &&
	       link_list(&l, message_new(M_CLIENT_RELOAD), NULL, NULL, NULL) == EX_OK;
}

/* The next step: the command that gives the account its credential, or a test. */
static int
go_on(struct add *a, bool running)
{
	bool person =
	    strcmp(a->grant, "authorization-code") == 0 || strcmp(a->grant, "device-code") == 0;
	const char *verb = person ? "authorize" : "secret set";
	struct arguments next = {.words = {"authorize", a->name}, .count = 2};
	char answer[VALUE_MAX] = "";

	if (a->cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "account", a->name, "file", a->path,
			"provider", a->provider, "reason", a->reason, "grant", a->grant, "in_force",
			running),
		    EX_OK);
	cli_put(a->cli, COLOUR_GOOD, a->path, 0);
	(void)printf(" is written and checked%s.\n", running ? ", and in force" : "");
	(void)fflush(stdout);
	if (strcmp(a->grant, "none") == 0) {
		(void)printf("Next: frank test %s\n", a->name);
		return EX_OK;
	}
	if (person && running && a->asks && !arguments_has(a->args, OPTION_AUTHORIZE) &&
	    ask(a, "Sign in now? yes or no", "yes", answer) != EX_OK)
		return EX_USAGE;
	if (person && running &&
	    (arguments_has(a->args, OPTION_AUTHORIZE) || *answer == 'y' || *answer == 'Y'))
		return verb_authorize(a->cli, &next);
	(void)printf("%sNext: frank %s %s\n", running ? "" : "frankd does not run: start it.\n",
	    verb, a->name);
	return EX_OK;
}

static int
add(struct add *a)
{
	struct buf block CLEANUP_BUF = BUF_INIT(BLOCK_MAX);
	int status = want(
	    a, OPTION_MAILBOX, "Mailbox", "", "the address that mail is sent from", a->mailbox);

	if (status == EX_OK && address_read(a->mailbox, strlen(a->mailbox), false, NULL) < 0)
		return cli_fail(a->cli, EX_USAGE, NULL, "%s is no mail address", a->mailbox);
	if (status == EX_OK)
		status = choose_provider(a);
	if (status == EX_OK)
		status = choose_grant(a);
	if (status == EX_OK)
		status = choose_rest(a);
	if (status == EX_OK)
		status = choose_name(a);
	if (status != EX_OK)
		return status;
	compose(a, &block);
	status = find_place(a, &block);
	if (status == EX_OK)
		status = write_file(a, &block);
	if (status == EX_OK)
		status = check_file(a);
	return status != EX_OK ? status : go_on(a, reload(a->cli));
}

int
verb_account_add(const struct cli *cli, const struct arguments *args)
{
	struct add a = {.cli = cli, .args = args, .asks = !cli->json && isatty(STDIN_FILENO) != 0};
	const char *config =
	    arguments_has(args, OPTION_CONFIG) ? args->values[OPTION_CONFIG] : NULL;
	int r = providers_load(config, &a.providers), status;

	if (r != 0)
		return cli_fail(cli, EX_CONFIG, "frankd --check tells more",
		    "frankd cannot say what providers there are%s%s", r < 0 ? ": " : "",
		    r < 0 ? strerror(-r) : "");
	status = add(&a);
	providers_clear(&a.providers);
	return status;
}
