/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* arguments.c: see arguments.h. */
#include "admin/arguments.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/grant.h"

const struct option_def arguments_options[OPTION_COUNT] = {
    [OPTION_ACCOUNT] = {"--account", "ACCOUNT", "only messages of this account"},
    [OPTION_ALL] = {"--all", NULL, "every message instead of one"},
    [OPTION_API] = {"--api", "URL", "a frank-sandbox instead of frankd: \"api\" of its ready.json"},
    [OPTION_AUTHORIZE] = {"--authorize", NULL, "sign in right afterwards"},
    [OPTION_AUTH_USER] = {"--auth-user", "USER", "who signs in, if that is not the mailbox"},
    [OPTION_CA_FILE] = {"--ca-file", "FILE",
	"certificates of the authorities that sign the servers' certificates, in PEM"},
    [OPTION_CAPTURED] = {"--captured", NULL, "captured messages alone"},
    [OPTION_CLIENT_ID] = {"--client-id", "ID",
	"client ID of the application registered at the provider"},
    [OPTION_COMPARE] = {"--compare", NULL,
	"say in what two accounts differ; a file that frank check --json made stands for one"},
    [OPTION_CONFIG] = {"--config", "FILE", "the configuration, instead of the usual one"},
    [OPTION_CONTENT] = {"--content", NULL, "print the message itself"},
    [OPTION_CONTEXT] = {"--context", "JSON",
	"facts about the reply: host, port, tls, mechanism, xoauth2_user, token_claims, mail_from, "
	"ehlo_name"},
    [OPTION_COUNTED] = {"--count", "N", "so many messages, and not one"},
    [OPTION_DEVICE] = {"--device", NULL, "sign in with a code that is typed in on another device"},
    [OPTION_EXACTLY] = {"--exactly", NULL, "and no more than --count, for the time of --for"},
    [OPTION_EXIT_CODE] = {"--exit-code", NULL,
	"exit with 0 if all is well, 1 if something is not, 2 if frankd does not answer, 3 if that "
	"cannot be told"},
    [OPTION_EXPLAIN] = {"--explain", "REPLY", "explain a server's reply, without asking anyone"},
    [OPTION_FINISH] = {"--finish", NULL,
	"take the address that the owner sent back after --invite"},
    [OPTION_FOLLOW] = {"--follow", NULL, "keep running, and print new ones as they come"},
    [OPTION_FOR] = {"--for", "SECONDS", "how long no other may come: 2"},
    [OPTION_FORMAT] = {"--format", "FORMAT", "openmetrics or prometheus"},
    [OPTION_FROM] = {"--from", "ADDRESS", "the sender has this in it"},
    [OPTION_GRANT] = {"--grant", "GRANT", GRANT_NAMES},
    [OPTION_HELP] = {"--help", NULL, "explain the verb"},
    [OPTION_HISTORY] = {"--history", NULL, "show the last runs"},
    [OPTION_HOST] = {"--host", "SERVER", "a server instead of an account: NAME or NAME:PORT"},
    [OPTION_INVITE] = {"--invite", NULL,
	"print a text for the mailbox's owner, who signs in elsewhere"},
    [OPTION_IMAP] = {"--imap", "HOST:PORT", "the seed's IMAP server, instead of the provider's"},
    [OPTION_ISSUER] = {"--issuer", "URL", "address of the authorization server"},
    [OPTION_JSON] = {"--json", NULL, "print JSON for a program"},
    [OPTION_KIND] = {"--kind", "KIND,...",
	"events of these kinds: accepted, failed, ..., messages, conditions"},
    [OPTION_JUNIT] = {"--junit", "FILE", "write the results there, as JUnit XML"},
    [OPTION_LISTEN] = {"--listen", "ADDRESS|PATH",
	"serve it by HTTP at a loopback address with a port, or at a Unix socket"},
    [OPTION_LOCAL] = {"--local", NULL, "forget it here only, without asking the provider"},
    [OPTION_MAILBOX] = {"--mailbox", "ADDRESS", "the address that mail is sent from"},
    [OPTION_MIN_VALID] = {"--min-valid", "SECONDS",
	"print a token that is valid for at least that long"},
    [OPTION_NONE] = {"--none", NULL, "there must be none, for the time of --for"},
    [OPTION_NO_BROWSER] = {"--no-browser", NULL,
	"print the address to open on the first line of standard output"},
    [OPTION_OLDER] = {"--older", "AGE",
	"only messages accepted longer ago than this: 90m, 12h, 3d"},
    [OPTION_OVERWRITE] = {"--overwrite", NULL, "replace what is there"},
    [OPTION_PASSWORD_FILE] = {"--password-file", "FILE",
	"the seed's password, on its first line, instead of a token"},
    [OPTION_PASTE] = {"--paste", NULL,
	"read the address at which the browser ended (for machines without a browser)"},
    [OPTION_PORT] = {"--port", "N", "listen on this port instead of a free one"},
    [OPTION_PROVIDER] = {"--provider", "PROVIDER", "the provider"},
    [OPTION_REGION] = {"--region", "REGION", "the provider's region or data centre"},
    [OPTION_REJECTED] = {"--rejected", NULL, "a server refused the last token: renew it first"},
    [OPTION_REVOKE] = {"--revoke", NULL, "revoke the password, and make no new one"},
    [OPTION_SELECTOR] = {"--selector", "NAME", "the DKIM key to look for"},
    [OPTION_SEND] = {"--send", NULL,
	"also send a message, to the address of --to or to the mailbox"},
    [OPTION_SERVICE] = {"--service", "SERVICE", "only messages of this service"},
    [OPTION_SINCE] = {"--since", "MARK", "what came after this mark, ID or time"},
    [OPTION_SOCKET] = {"--socket", "SERVICE",
	"judge the caller as one of that service's own socket"},
    [OPTION_SCOPES] = {"--scopes", "SCOPES", "scopes to ask the provider for, separated by spaces"},
    [OPTION_STAGE] = {"--stage", "STAGE",
	"connect, tls, ehlo, auth, mail, rcpt, data, api or token"},
    [OPTION_SUBJECT] = {"--subject", "TEXT", "the subject has this in it"},
    [OPTION_TIMEOUT] = {"--timeout", "SECONDS", "how long to wait: 30"},
    [OPTION_TLS] = {"--tls", "MODE", "with --host: starttls, implicit or none"},
    [OPTION_TO] = {"--to", "ADDRESS", "the recipient"},
    [OPTION_TRANSCRIPT] = {"--transcript", NULL,
	"print the conversation, also when nothing is wrong"},
    [OPTION_SUBMIT] = {"--submit", "HOST:PORT", "the submission server"},
    [OPTION_TENANT] = {"--tenant", "TENANT", "the organisation's domain or id at Microsoft"},
    [OPTION_TEXTFILE] = {"--textfile", "FILE",
	"write them into this file, for the textfile collector of node_exporter"},
    [OPTION_USERS] = {"--users", "USERS",
	"who may send through it, separated by spaces; \"*\" is everybody, \"\" is nobody yet"},
    [OPTION_WEBHOOK] = {"--webhook", "NAME", "this webhook alone"},
    [OPTION_VERSION] = {"--version", NULL, "print the version"},
};

static int
find_option(const char *name, size_t len)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (strlen(arguments_options[i].name) == len &&
		    memcmp(arguments_options[i].name, name, len) == 0)
			return i;
	if (len == 2 && memcmp(name, "-h", 2) == 0)
		return OPTION_HELP;
	return -1;
}

/* Takes the option at argv[*at], and its value where that is the next argument. */
static int
take_option(int argc, char *const *argv, struct arguments *ret, int *at)
{
	const char *arg = argv[*at], *equals = strchr(arg, '=');
	int o = find_option(arg, equals == NULL ? strlen(arg) : (size_t)(equals - arg));

	if (o < 0)
		return ARGUMENTS_UNKNOWN;
	if (ret->values[o] != NULL)
		return ARGUMENTS_TWICE;
	if (arguments_options[o].value == NULL) {
		ret->values[o] = "";
		return equals == NULL ? 0 : ARGUMENTS_VALUE_TOO_MUCH;
	}
	if (equals != NULL) {
		ret->values[o] = equals + 1;
		return 0;
	}
	if (*at + 1 >= argc)
		return ARGUMENTS_NO_VALUE;
	ret->values[o] = argv[++*at];
	return 0;
}

int
arguments_parse(int argc, char *const *argv, struct arguments *ret, int *ret_at)
{
	bool words_only = false;

	*ret = (struct arguments){0};
	for (int at = 1; at < argc; at++) {
		int fault = 0;

		*ret_at = at;
		if (!words_only && strcmp(argv[at], "--") == 0)
			words_only = true;
		else if (!words_only && argv[at][0] == '-' && argv[at][1] != '\0')
			fault = take_option(argc, argv, ret, &at);
		else if (ret->count == ARGUMENTS_WORDS_MAX)
			fault = ARGUMENTS_TOO_MANY;
		else
			ret->words[ret->count++] = argv[at];
		if (fault != 0)
			return fault;
	}
	return 0;
}

int
arguments_number(
    const struct arguments *a, enum option o, uint64_t least, uint64_t most, uint64_t *ret)
{
	const char *s = a->values[o];
	uint64_t value = 0;

	if (s == NULL)
		return -ENOENT;
	if (*s == '\0' || strlen(s) > 18 || s[strspn(s, "0123456789")] != '\0')
		return -EINVAL;
	for (; *s != '\0'; s++)
		value = value * 10 + (uint64_t)(*s - '0');
	if (value < least || value > most)
		return -EINVAL;
	*ret = value;
	return 0;
}

int
arguments_age(const struct arguments *a, enum option o, uint64_t *ret)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	const char *s = a->values[o];
	uint64_t value = 0;
	size_t digits;

	if (s == NULL)
		return -ENOENT;
	digits = strspn(s, "0123456789");
	if (digits == 0 || digits > 9 || (s[digits] != '\0' && s[digits + 1] != '\0'))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(s[i] - '0');
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (units[i].unit != s[digits])
			continue;
		*ret = value * units[i].seconds;
		return value == 0 ? -EINVAL : 0;
	}
	return -EINVAL;
}

/* ---- did you mean ---- */

enum { SUGGEST_MAX = 32 };

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits from `a` to `b`, neighbours swapped counting as one (optimal string alignment). Both at
 * most SUGGEST_MAX long. */
static unsigned
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned d[SUGGEST_MAX + 1][SUGGEST_MAX + 1];

	for (unsigned i = 0; i <= a_len; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= b_len; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
			    d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[a_len][b_len];
}

const char *
arguments_suggest(const char *word, const char *const *names, size_t count)
{
	size_t len = strlen(word);
	unsigned best = 3;
	const char *found = NULL;

	if (len == 0 || len > SUGGEST_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(names[i]);
		unsigned d;

		if (n > SUGGEST_MAX)
			continue;
		d = distance(word, len, names[i], n);
		if (d < best && (size_t)d * 3 <= (n > len ? n : len)) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
