/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-audit.c: `frank audit`: what makes accounts and services weaker than they need be, each with
 * its fix.
 *
 * The rules judge what queue and keeper report of accounts and services (frank status, frank service
 * list); nobody outside is asked. A rule that guesses says what the guess is based on.
 */
#include "admin/verbs.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { UNUSED_DAYS = 90, DAY = 24 * 3600, TEXT_MAX = 1000 };

enum severity { NOTE, WARNING };

struct audit {
	const struct cli *cli;
	json_t *findings;
	const json_t *accounts, *services;
	uint64_t now;
	bool weak; /* a warning was found */
};

static const char *
text_at(const json_t *o, const char *key)
{
	const char *s = cli_text(o, key);

	return s == NULL ? "" : s;
}

static bool
begins(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

static void
add(struct audit *a, const char *rule, enum severity severity, const char *kind, const char *name,
    const char *text, const char *fix)
{
	(void)json_array_append_new(a->findings,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "rule", rule, "severity",
		severity == NOTE ? "note" : "warning", kind, name, "text", text, "fix", fix));
	a->weak = a->weak || severity == WARNING;
}

/* ---- passwords ---- */

static const struct preset_facts {
	const char *name, *grants, *scopes;
	const char *registration; /* "closed": the provider takes no new OAuth clients */
	const char *password_ends, *graph;
} presets[] = {
#define FAMILY(...)
#define PRESET(name, family, submit, domains, grants, scopes, registration, ends, graph, ...) \
	{name, grants, scopes, registration, ends, graph},
#include "contrib/providers/facts.def"
#undef FAMILY
#undef PRESET
};

/* The preset with the longest name that the account's provider begins with: a preset of one's own may
 * be called "google-two". */
static const struct preset_facts *
preset_of(const json_t *account)
{
	static const struct preset_facts unknown = {.grants = "", .scopes = ""};
	const struct preset_facts *found = &unknown;
	size_t best = 0;

	for (size_t i = 0; i < ARRAY_SIZE(presets); i++) {
		size_t len = strlen(presets[i].name);

		if (len > best &&
		    strncmp(text_at(account, "provider"), presets[i].name, len) == 0) {
			found = &presets[i];
			best = len;
		}
	}
	return found;
}

/* What can take the password's place at this provider; "" where nothing can. */
static void
better_grant(const struct preset_facts *p, char *ret, size_t size)
{
	bool person = strstr(p->grants, "authorization-code") != NULL;

	(void)snprintf(ret, size, "%s%s%s%s",
	    person ? "set grant = \"authorization-code\" and run frank authorize" : "",
	    strstr(p->grants, "client-credentials") != NULL
		? ", or grant = \"client-credentials\" for a service without a person"
		: "",
	    strstr(p->grants, "service-account") != NULL
		? ", or grant = \"service-account\" in Workspace"
		: "",
	    person && p->graph != NULL
		? ", or transport = \"graph\" where the tenant forbids SMTP AUTH"
		: "");
	if (p->registration != NULL)
		*ret = '\0';
}

static void
audit_password(struct audit *a, const json_t *account)
{
	const char *name = text_at(account, "account");
	const struct preset_facts *p = preset_of(account);
	char fix[TEXT_MAX];

	if (strcmp(text_at(account, "grant"), "password") != 0)
		return;
	better_grant(p, fix, sizeof(fix));
	if (*fix != '\0')
		add(a, "password", WARNING, "account", name,
		    "signs in with a password, though the provider gives tokens, which can be "
		    "limited and withdrawn",
		    fix);
	else
		add(a, "password", NOTE, "account", name,
		    "signs in with a password; the provider's preset knows nothing better",
		    "use a password that is this account's alone (an app password or an API "
		    "key), and change it when people leave");
	if (p->password_ends != NULL)
		add(a, "password-smtp-auth-ending", WARNING, "account", name, p->password_ends,
		    fix);
}

/* ---- mechanisms ---- */

static bool
lists(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; *at != '\0';) {
		size_t n = strcspn(at, " ");

		if (n == len && strncasecmp(at, word, len) == 0)
			return true;
		at += n;
		at += strspn(at, " ");
	}
	return false;
}

/* A password that can be proven need not be said, least of all to whoever asks for it in clear text. */
static void
audit_mechanisms(struct audit *a, const json_t *account)
{
	const char *name = text_at(account, "account"), *allowed = text_at(account, "mechanisms");
	const char *used = text_at(account, "used_by");
	bool scram = begins(used, "SCRAM-"), more = strchr(allowed, ' ') != NULL;
	char text[TEXT_MAX], fix[TEXT_MAX];

	if (strcmp(text_at(account, "grant"), "password") != 0 || *used == '\0' || !more)
		return;
	if (!scram && lists(allowed, "LOGIN") == (strcmp(used, "LOGIN") == 0))
		return;
	if (scram && !lists(allowed, "PLAIN") && !lists(allowed, "LOGIN"))
		return;
	(void)snprintf(text, sizeof(text), "may use %s, and uses %s%s", allowed, used,
	    scram ? ": a server that is not the right one could still ask for the password itself"
		  : "");
	(void)snprintf(fix, sizeof(fix), "set auth = {\"%s\"}", used);
	for (char *c = fix; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	add(a, "mechanism-unneeded", scram ? WARNING : NOTE, "account", name, text, fix);
}

static void
audit_tls(struct audit *a, const json_t *account)
{
	if (strcmp(text_at(account, "tls"), "none") == 0 &&
	    strcmp(text_at(account, "grant"), "none") != 0)
		add(a, "no-tls", WARNING, "account", text_at(account, "account"),
		    "sends its credential without TLS", "set tls = \"starttls\" or \"implicit\"");
}

/* ---- scopes ---- */

/* What lets a token do more than send mail. */
static const struct {
	const char *part; /* of a granted scope */
	const char *what;
} broad[] = {
    {"IMAP.AccessAsUser", "read the mailbox by IMAP"},
    {"POP.AccessAsUser", "read the mailbox by POP"},
    {"EWS.AccessAsUser", "use the whole mailbox by EWS"},
    {"Mail.Read", "read mail"},
    {"full_access_as_app", "use every mailbox"},
    {"gmail.readonly", "read mail"},
    {"gmail.modify", "read and change mail"},
    {"gmail.compose", "read and change drafts"},
    {"Contacts.", "read contacts"},
    {"Calendars.", "read calendars"},
    {"Files.", "read files"},
    {"auth/drive", "read files"},
    {"mail.imap", "read the mailbox"},
    {"protocol-imap", "read the mailbox by IMAP"},
};

static void
audit_scopes(struct audit *a, const json_t *account)
{
	const char *name = text_at(account, "account"), *wanted = preset_of(account)->scopes;
	const char *scope = text_at(json_object_get(account, "credential"), "scope");
	char text[TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(broad); i++) {
		/* what the preset itself asks for: the provider knows nothing narrower */
		if (strcasestr(scope, broad[i].part) == NULL ||
		    (wanted != NULL && strcasestr(wanted, broad[i].part) != NULL))
			continue;
		(void)snprintf(
		    text, sizeof(text), "its token may also %s (%s)", broad[i].what, scope);
		add(a, "scope-too-broad", WARNING, "account", name, text,
		    "take that scope out of scopes and out of the application's permissions, then "
		    "run "
		    "frank authorize again");
		return;
	}
	if (strstr(scope, "https://mail.google.com/") != NULL)
		add(a, "scope-too-broad", NOTE, "account", name,
		    "its token may use the whole mailbox: Google's SMTP takes no narrower scope",
		    "set transport = \"gmail\", whose scope gmail.send lets mail out and nothing "
		    "else, and "
		    "run frank authorize again");
}

/* ---- tokens that leave Frank ---- */

static void
audit_token_services(struct audit *a, const json_t *account)
{
	const json_t *credential = json_object_get(account, "credential");
	const char *services = text_at(credential, "token_services");
	bool any = cli_number(credential, "token_any_user") != 0;
	char text[TEXT_MAX];

	if (*services == '\0' || strcmp(text_at(account, "grant"), "password") == 0 ||
	    strcmp(text_at(account, "grant"), "none") == 0)
		return;
	(void)snprintf(text, sizeof(text),
	    "its access token itself is given to %s (token = true in service %s): whoever has it "
	    "can use it elsewhere until it expires",
	    any ? "every user of this machine" : "the callers of a service", services);
	add(a, "token-given", any ? WARNING : NOTE, "account", text_at(account, "account"), text,
	    any ? "name the users who need it in users of that service, or take token = true out"
		: "take token = true out where the program can hand its mail to Frank instead");
}

/* ---- whose mailbox ---- */

static const char *const roles[] = {"noreply", "no", "reply", "donotreply", "info", "mail",
    "mailer", "admin", "support", "help", "helpdesk", "billing", "invoice", "invoices", "alert",
    "alerts", "notify", "notification", "notifications", "service", "services", "svc", "bot",
    "robot", "system", "root", "postmaster", "webmaster", "sales", "team", "office", "contact",
    "news", "newsletter", "jobs", "backup", "monitor", "monitoring", "cron", "app", "dev", "prod",
    "staging", "test", "smtp", "send", "sender", "out", "outbound", "accounts", "accounting", "hr",
    "marketing", "it", "ops", "shop", "orders", "order", "scan", "scanner", "printer", "fax"};

static bool
is_role(const char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (strlen(roles[i]) == len && strncasecmp(roles[i], s, len) == 0)
			return true;
	return false;
}

/* Two or three words of letters, joined by dots or the like, none of which names a role:
 * "ada.lovelace". */
static bool
looks_human(const char *mailbox)
{
	size_t len = strcspn(mailbox, "@"), words = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strcspn(mailbox + at, "._-@");

		for (size_t i = 0; i < n; i++)
			if (!isalpha((unsigned char)mailbox[at + i]))
				return false;
		if (n == 0 || is_role(mailbox + at, n))
			return false;
		words++;
		at += n + 1;
	}
	return words >= 2 && words <= 3;
}

static bool
names(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(
	    list, i, item) if (json_string_value(item) != NULL &&
			       strcmp(json_string_value(item), name) == 0) return true;
	return false;
}

static void
audit_owner(struct audit *a, const json_t *account)
{
	const char *name = text_at(account, "account"), *mailbox = text_at(account, "mailbox");
	const json_t *service;
	char text[TEXT_MAX];
	size_t i;

	if (strcmp(text_at(account, "grant"), "none") == 0 || !looks_human(mailbox))
		return;
	json_array_foreach(a->services, i, service)
	{
		if (!names(json_object_get(service, "accounts"), name))
			continue;
		(void)snprintf(text, sizeof(text),
		    "%s looks like a person's mailbox (judged by its name alone), and the service "
		    "%s sends "
		    "by it: it stops when the password or the person goes",
		    mailbox, text_at(service, "service"));
		add(a, "human-mailbox", WARNING, "account", name, text,
		    "give the service a mailbox of its own, or a shared mailbox with Send As");
		return;
	}
}

/* ---- use ---- */

static void
audit_use(struct audit *a, const json_t *account)
{
	const json_t *credential = json_object_get(account, "credential");
	uint64_t used = cli_number(account, "used"), given = cli_number(credential, "since");
	uint64_t last = used > 0 ? used : given;
	bool has_credential = *text_at(credential, "state") != '\0' &&
			      strcmp(text_at(credential, "state"), "empty") != 0;
	char text[TEXT_MAX];

	if (strcmp(text_at(account, "grant"), "none") == 0 || !has_credential || last == 0 ||
	    last + (uint64_t)UNUSED_DAYS * DAY > a->now)
		return;
	(void)snprintf(text, sizeof(text),
	    used > 0 ? "has sent nothing for %llu days"
		     : "has never sent anything, and its credential is %llu days old",
	    (unsigned long long)((a->now - last) / DAY));
	add(a, "unused", WARNING, "account", text_at(account, "account"), text,
	    "take the account out of the configuration, and give its credential back: frank "
	    "account "
	    "revoke (a password: change it at the provider)");
}

/* ---- services ---- */

/* The first sender that stands for a whole domain, or NULL. */
static const char *
domain_pattern(const json_t *senders)
{
	const json_t *item;
	size_t i;

	json_array_foreach(senders, i, item)
	{
		if (begins(json_string_value(item), "*@"))
			return json_string_value(item);
	}
	return NULL;
}

static void
audit_service(struct audit *a, const json_t *service)
{
	const char *name = text_at(service, "service"), *domain;
	const json_t *senders = json_object_get(service, "senders");
	bool any_sender = names(senders, "*");
	char text[TEXT_MAX];

	if (strcmp(text_at(service, "mode"), "capture") == 0)
		return;
	if (names(json_object_get(service, "users"), "*"))
		add(a, "any-user", NOTE, "service", name,
		    "is for every user of this machine: whoever gets into any of them can send "
		    "mail",
		    "name the users and groups that send, in users and groups");
	if (strcmp(text_at(service, "from"), "keep") == 0)
		add(a, "from-kept", WARNING, "service", name,
		    "passes on whatever From a caller writes: the reader sees a sender that "
		    "nobody checked",
		    "set from = \"rewrite\" or \"refuse\"");
	domain = any_sender ? NULL : domain_pattern(senders);
	if (domain != NULL) {
		(void)snprintf(text, sizeof(text),
		    "lets its callers write every sender of a domain (%s), people's addresses "
		    "among them",
		    domain);
		add(a, "any-sender-of-domain", NOTE, "service", name, text,
		    "list the addresses in senders");
	}
	if (any_sender)
		add(a, "any-sender", WARNING, "service", name,
		    "lets its callers write any sender: whoever may use it can write as anybody of "
		    "the "
		    "organisation",
		    "list the addresses, or \"*@domain\", in senders");
}

/* ---- the verb ---- */

static void
print(const struct cli *cli, const json_t *findings)
{
	const json_t *f;
	size_t i;

	if (json_array_size(findings) == 0)
		(void)puts("Nothing is weaker than it needs to be.");
	json_array_foreach(findings, i, f)
	{
		bool warning = strcmp(text_at(f, "severity"), "warning") == 0;
		const char *account = text_at(f, "account");

		cli_put(cli, warning ? COLOUR_WARN : COLOUR_DIM, text_at(f, "severity"), 9);
		(void)fputs(*account != '\0' ? "account " : "service ", stdout);
		cli_put(cli, COLOUR_BOLD, *account != '\0' ? account : text_at(f, "service"), 0);
		(void)fputs(": ", stdout);
		cli_put(cli, COLOUR_NONE, text_at(f, "text"), 0);
		(void)fputs("\n         fix: ", stdout);
		cli_put(cli, COLOUR_NONE, text_at(f, "fix"), 0);
		(void)putchar('\n');
	}
}

static void
run_rules(struct audit *a)
{
	static void (*const rules[])(struct audit *, const json_t *) = {audit_password,
	    audit_mechanisms, audit_tls, audit_scopes, audit_token_services, audit_owner,
	    audit_use};
	const json_t *o;
	size_t i;

	json_array_foreach(a->accounts, i, o) for (size_t r = 0; r < ARRAY_SIZE(rules); r++)
	    rules[r](a, o);
	json_array_foreach(a->services, i, o) audit_service(a, o);
}

int
verb_audit(const struct cli *cli, const struct arguments *args)
{
	struct audit a = {.cli = cli, .now = (uint64_t)time(NULL), .findings = json_array()};
	json_t *accounts = NULL, *services = NULL;
	int status = verb_status_of_accounts(cli, &accounts);

	if (status == EX_OK)
		status = verb_service_rows(cli, &services);
	if (status == EX_OK) {
		a.accounts = accounts;
		a.services = services;
		run_rules(&a);
		status = a.weak ? EX_CONFIG : EX_OK;
		if (cli->json)
			status = cli_print_json(json_pack("{s:O}", "findings", a.findings), status);
		else
			print(cli, a.findings);
	}
	json_decref(accounts);
	json_decref(services);
	json_decref(a.findings);
	return status;
}
