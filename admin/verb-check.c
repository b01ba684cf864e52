/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-check.c: `frank check`: what a reply means, without asking anyone (--explain). Looking at
 * accounts and servers is in check-live.c.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/smtp/smtp.h"
#include "diagnosis/diagnosis.h"

/* ---- the context ---- */

/* The keys that are read, and what is not one of them or has a value that cannot be used. */
struct context {
	json_t *document;
	json_t *passed_over; /* list of "KEY: why" */
	struct buf scopes;
	char challenge[8192];  /* JSON */
	enum smtp_stage stage; /* of "command" */
};

/* A claim that is a string, or the first of a list of strings. */
static const char *
first_text(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	return json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
}

/* The strings of a list, separated by spaces. */
static const char *
join_texts(const json_t *list, struct buf *out)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (json_string_value(item) != NULL)
			(void)buf_printf(
			    out, "%s%s", out->len > 0 ? " " : "", json_string_value(item));
	}
	return buf_str(out);
}

static bool
read_claims(const json_t *claims, struct context *c, struct diagnosis_facts *f)
{
	static const char *const users[] = {"upn", "preferred_username", "unique_name", "email"};
	const json_t *exp = json_object_get(claims, "exp");

	if (!json_is_object(claims))
		return false;
	f->token_audience = first_text(claims, "aud");
	for (size_t i = 0; i < ARRAY_SIZE(users) && f->token_user == NULL; i++)
		f->token_user = cli_text(claims, users[i]);
	if (f->token_user == NULL && cli_text(claims, "sub") != NULL &&
	    strchr(cli_text(claims, "sub"), '@') != NULL)
		f->token_user = cli_text(claims, "sub");
	f->token_scopes =
	    cli_text(claims, "scp") != NULL ? cli_text(claims, "scp") : cli_text(claims, "scope");
	if (f->token_scopes == NULL && json_is_array(json_object_get(claims, "roles")))
		f->token_scopes = join_texts(json_object_get(claims, "roles"), &c->scopes);
	f->token_expired = json_is_number(exp) && json_number_value(exp) < (double)time(NULL);
	return true;
}

static bool
read_scopes(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	f->token_scopes =
	    json_is_array(value) ? join_texts(value, &c->scopes) : json_string_value(value);
	return f->token_scopes != NULL;
}

static bool
read_port(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	const char *text = json_string_value(value);
	char *end = NULL;
	long port = text != NULL ? strtol(text, &end, 10) : (long)json_integer_value(value);

	if (port <= 0 || port > 65535 || (text != NULL && *end != '\0'))
		return false;
	f->port = (unsigned)port;
	return true;
}

static bool
read_challenge(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	const char *text = json_string_value(value);
	struct smtp_reply reply = {0};
	char *dump = json_is_object(value) ? json_dumps(value, JSON_COMPACT) : NULL;
	int r = 0;

	if (dump != NULL || text != NULL)
		r = diagnosis_read(dump != NULL ? dump : text, SMTP_STAGE_AUTH, &reply,
		    c->challenge, sizeof(c->challenge));
	smtp_reply_clear(&reply);
	free(dump);
	f->challenge = c->challenge;
	return r == 0 && c->challenge[0] != '\0';
}

static bool
read_expired(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	f->token_expired = json_is_true(value);
	return json_is_boolean(value);
}

/* How the login ended: a boolean, the code of the reply, or a word; a user name is one as well. */
static bool
read_login(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	const char *text = json_string_value(value);

	if (json_is_boolean(value) || json_is_integer(value)) {
		f->login = json_is_true(value) || json_integer_value(value) == 235 ? LOGIN_SUCCEEDED
										   : LOGIN_REFUSED;
		return true;
	}
	if (text == NULL)
		return false;
	if (strchr(text, '@') != NULL)
		f->auth_user = text;
	else if (strncmp(text, "235", 3) == 0 || strcasecmp(text, "ok") == 0 ||
		 strncasecmp(text, "succe", 5) == 0)
		f->login = LOGIN_SUCCEEDED;
	else if (*text == '4' || *text == '5' || strncasecmp(text, "fail", 4) == 0 ||
		 strncasecmp(text, "refused", 7) == 0)
		f->login = LOGIN_REFUSED;
	else if (strcasecmp(text, "none") == 0 || strcasecmp(text, "skipped") == 0)
		f->login = LOGIN_NOT_TRIED;
	else
		return false;
	return true;
}

static bool
read_auth_attempted(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	if (json_is_false(value))
		f->login = LOGIN_NOT_TRIED;
	return json_is_boolean(value);
}

/* The command that was answered says the stage, where --stage does not, and more. */
static bool
read_command(const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	static const struct {
		const char *verb;
		enum smtp_stage stage;
	} verbs[] = {{"EHLO", SMTP_STAGE_EHLO}, {"HELO", SMTP_STAGE_EHLO},
	    {"STARTTLS", SMTP_STAGE_STARTTLS}, {"AUTH", SMTP_STAGE_AUTH}, {"MAIL", SMTP_STAGE_MAIL},
	    {"RCPT", SMTP_STAGE_RCPT}, {"DATA", SMTP_STAGE_DATA}, {"BDAT", SMTP_STAGE_EOM},
	    {"QUIT", SMTP_STAGE_QUIT}};
	const char *text = json_string_value(value);

	for (size_t i = 0; text != NULL && i < ARRAY_SIZE(verbs); i++)
		if (strncasecmp(text, verbs[i].verb, strlen(verbs[i].verb)) == 0)
			c->stage = verbs[i].stage;
	return text != NULL;
}

/* Facts that are strings; others have a function. */
static const struct {
	const char *key;
	size_t member;
	bool (*read)(const json_t *value, struct context *c, struct diagnosis_facts *f);
} context_keys[] = {
    {"account", offsetof(struct diagnosis_facts, account), NULL},
    {"auth", 0, read_login},
    {"auth_attempted", 0, read_auth_attempted},
    {"auth_user", offsetof(struct diagnosis_facts, auth_user), NULL},
    {"challenge", 0, read_challenge},
    {"command", 0, read_command},
    {"ehlo_name", offsetof(struct diagnosis_facts, ehlo_name), NULL},
    {"grant", offsetof(struct diagnosis_facts, grant), NULL},
    {"granted_scope", 0, read_scopes},
    {"greeting", offsetof(struct diagnosis_facts, greeting), NULL},
    {"host", offsetof(struct diagnosis_facts, host), NULL},
    {"login", 0, read_login},
    {"mail_from", offsetof(struct diagnosis_facts, mail_from), NULL},
    {"mechanism", offsetof(struct diagnosis_facts, mechanism), NULL},
    {"port", 0, read_port},
    {"rcpt", offsetof(struct diagnosis_facts, rcpt), NULL},
    {"secret_from", offsetof(struct diagnosis_facts, secret_from), NULL},
    {"sub", offsetof(struct diagnosis_facts, token_user), NULL},
    {"tls", offsetof(struct diagnosis_facts, tls), NULL},
    {"token_claims", 0, read_claims},
    {"token_expired", 0, read_expired},
    {"xoauth2_user", offsetof(struct diagnosis_facts, auth_user), NULL},
};

static int
read_key(const char *key, const json_t *value, struct context *c, struct diagnosis_facts *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(context_keys); i++) {
		const char *text = json_string_value(value);

		if (strcmp(context_keys[i].key, key) != 0)
			continue;
		if (json_is_null(value))
			return 0;
		if (context_keys[i].read != NULL ? context_keys[i].read(value, c, f)
						 : text != NULL) {
			if (context_keys[i].read == NULL)
				*(const char **)((char *)f + context_keys[i].member) = text;
			return 0;
		}
		return json_array_append_new(
		    c->passed_over, json_sprintf("%s: this value cannot be used", key));
	}
	return json_array_append_new(c->passed_over, json_sprintf("%s: unknown key", key));
}

static int
read_context(const struct cli *cli, const char *text, struct context *c, struct diagnosis_facts *f)
{
	json_error_t error;
	const char *key;
	json_t *value;

	c->document = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(c->document))
		return cli_fail(cli, EX_USAGE, NULL,
		    "--context needs a JSON object: %s at column %d",
		    c->document == NULL ? error.text : "this is another value", error.column);
	json_object_foreach(c->document, key, value)
	{
		if (read_key(key, value, c, f) < 0)
			return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	}
	return EX_OK;
}

/* ---- --explain ---- */

static int
print_diagnosis(const struct cli *cli, const struct context *c, const struct diagnosis *d)
{
	const json_t *item;
	size_t i;

	if (cli->json) {
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "cause", d->cause, "text",
		    d->text, "fixer", d->fixer, "next", d->next, "retry",
		    diagnosis_retry_name(d->retry), "known", d->known);

		if (o != NULL && json_array_size(c->passed_over) > 0)
			(void)json_object_set(o, "passed_over", c->passed_over);
		return cli_print_json(o, EX_OK);
	}
	json_array_foreach(c->passed_over, i, item)
	{
		(void)fprintf(
		    stderr, "frank: --context: passed over %s\n", json_string_value(item));
	}
	cli_put_field(cli, 0, "", 0, COLOUR_BOLD, d->text);
	cli_put_field(cli, 0, "Next:", 9, COLOUR_NONE, d->next);
	(void)printf("To fix:  %s\nMail:    %s\nCause:   %s%s\n", d->fixer,
	    diagnosis_retry_name(d->retry), d->cause,
	    d->known ? "" : " (no rule for these words: judged by the code alone)");
	return EX_OK;
}

static int
explain_reply(const struct cli *cli, const char *text, enum smtp_stage stage, struct context *c,
    const struct diagnosis_facts *known)
{
	struct diagnosis_facts f = *known;
	char challenge[sizeof(c->challenge)];
	struct smtp_reply reply = {0};
	struct diagnosis d;
	int status;

	if (diagnosis_read(text, stage == SMTP_STAGE_NONE ? c->stage : stage, &reply, challenge,
		sizeof(challenge)) < 0)
		return cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	if (reply.code >= 200 && reply.code < 400) {
		status = cli_fail(
		    cli, EX_DATAERR, NULL, "%d is no refusal: the server agreed", reply.code);
	} else {
		f.reply = &reply;
		if (challenge[0] != '\0')
			f.challenge = challenge;
		diagnosis_find(&f, &d);
		status = print_diagnosis(cli, c, &d);
	}
	smtp_reply_clear(&reply);
	return status;
}

static int
explain(const struct cli *cli, const struct arguments *args)
{
	struct context c = {.scopes = BUF_INIT(8192), .passed_over = json_array()};
	struct diagnosis_facts f = {.provider = args->values[OPTION_PROVIDER]};
	const char *stage = args->values[OPTION_STAGE];
	int status = EX_OK;

	if (stage != NULL && smtp_stage_by_name(stage) == SMTP_STAGE_NONE)
		status = cli_fail(cli, EX_USAGE, NULL,
		    "--stage needs connect, tls, ehlo, auth, mail, rcpt, data, api or token, not "
		    "%s",
		    stage);
	if (status == EX_OK && arguments_has(args, OPTION_CONTEXT))
		status = read_context(cli, args->values[OPTION_CONTEXT], &c, &f);
	if (status == EX_OK)
		status = explain_reply(cli, args->values[OPTION_EXPLAIN],
		    stage == NULL ? SMTP_STAGE_NONE : smtp_stage_by_name(stage), &c, &f);
	json_decref(c.document);
	json_decref(c.passed_over);
	buf_free(&c.scopes);
	return status;
}

int
verb_check(const struct cli *cli, const struct arguments *args)
{
	if (arguments_has(args, OPTION_EXPLAIN))
		return args->count > 1 ? cli_fail(cli, EX_USAGE, NULL,
					     "check takes an account or --explain, not both")
				       : explain(cli, args);
	if (arguments_has(args, OPTION_COMPARE))
		return args->count == 3 && !arguments_has(args, OPTION_HOST)
			   ? check_compare(cli, args)
			   : cli_fail(cli, EX_USAGE, NULL,
				 "check --compare needs two accounts, or files of frank check "
				 "--json");
	if (arguments_has(args, OPTION_HOST) ? args->count != 1 : args->count != 2)
		return cli_fail(cli, EX_USAGE, NULL,
		    "check needs an ACCOUNT, --host SERVER, or --explain REPLY");
	return check_live(cli, args);
}
