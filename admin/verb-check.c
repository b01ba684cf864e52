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

/* ---- the reply, as a person pastes it ---- */

/*
 * Reads a reply of one or more lines; lines may also be joined as a log joins them (" / " or the
 * two characters \n). What is no SMTP reply, such as "Connection refused" or the JSON of a token
 * endpoint, is taken as words. 0 or -ENOMEM.
 */
static int
read_reply(const char *text, enum smtp_stage stage, struct smtp_reply *ret)
{
	struct smtp_reply_parser p = {0};
	const char *at = text;
	int r = 0;

	*ret = (struct smtp_reply){.stage = stage};
	while (r == 0 && *at != '\0') {
		size_t len = strcspn(at, "\r\n"), skip = 0;
		const char *joined = memmem(at, len, "\\n", 2), *slash = memmem(at, len, " / ", 3);

		if (joined != NULL) {
			len = (size_t)(joined - at);
			skip = 2;
		} else if (slash != NULL && strspn(slash + 3, "2345") == 1) {
			len = (size_t)(slash - at);
			skip = 3;
		}
		if (len > 0)
			r = smtp_reply_parser_line(&p, at, len);
		at += len + skip;
		at += strspn(at, "\r\n");
	}
	if (p.lines > 0 && r >= 0 && *at == '\0') {
		/* also where the last line says that more follow: that is all there is */
		r = smtp_reply_parser_take(&p, stage, ret);
	} else {
		ret->text = strdup(text);
		r = ret->text == NULL ? -ENOMEM : 0;
	}
	smtp_reply_parser_free(&p);
	return r;
}

/* ---- the context ---- */

struct context {
	json_t *document;
	struct buf scopes;
	struct buf challenge;
};

static const char *
text_at(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* A claim that is a string, or the first of a list of strings. */
static const char *
first_text(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	return json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
}

static void
read_claims(const json_t *claims, struct context *c, struct diagnosis_facts *f)
{
	static const char *const users[] = {"upn", "preferred_username", "email"};
	const json_t *exp = json_object_get(claims, "exp"), *role;
	size_t i;

	f->token_audience = first_text(claims, "aud");
	for (i = 0; i < ARRAY_SIZE(users) && f->token_user == NULL; i++)
		f->token_user = text_at(claims, users[i]);
	f->token_scopes =
	    text_at(claims, "scp") != NULL ? text_at(claims, "scp") : text_at(claims, "scope");
	if (f->token_scopes == NULL && json_is_array(json_object_get(claims, "roles"))) {
		json_array_foreach(json_object_get(claims, "roles"), i, role)
		{
			if (json_string_value(role) != NULL)
				(void)buf_printf(
				    &c->scopes, "%s%s", i > 0 ? " " : "", json_string_value(role));
		}
		f->token_scopes = buf_str(&c->scopes);
	}
	f->token_expired = json_is_number(exp) && json_number_value(exp) < (double)time(NULL);
}

static int
read_context(const struct cli *cli, const char *text, struct context *c, struct diagnosis_facts *f)
{
	static const struct {
		const char *key;
		size_t offset;
	} keys[] = {
	    {"account", offsetof(struct diagnosis_facts, account)},
	    {"host", offsetof(struct diagnosis_facts, host)},
	    {"tls", offsetof(struct diagnosis_facts, tls)},
	    {"mechanism", offsetof(struct diagnosis_facts, mechanism)},
	    {"auth_user", offsetof(struct diagnosis_facts, auth_user)},
	    {"xoauth2_user", offsetof(struct diagnosis_facts, auth_user)},
	    {"mail_from", offsetof(struct diagnosis_facts, mail_from)},
	    {"grant", offsetof(struct diagnosis_facts, grant)},
	    {"ehlo_name", offsetof(struct diagnosis_facts, ehlo_name)},
	    {"challenge", offsetof(struct diagnosis_facts, challenge)},
	};
	const json_t *port, *challenge, *claims;
	json_error_t error;

	c->document = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(c->document))
		return cli_fail(cli, EX_USAGE, NULL,
		    "--context wants a JSON object: %s at column %d",
		    c->document == NULL ? error.text : "this is none", error.column);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = text_at(c->document, keys[i].key);

		if (value != NULL)
			*(const char **)((char *)f + keys[i].offset) = value;
	}
	port = json_object_get(c->document, "port");
	if (json_is_integer(port) && json_integer_value(port) > 0 &&
	    json_integer_value(port) < 65536)
		f->port = (unsigned)json_integer_value(port);
	else if (json_is_string(port))
		f->port = (unsigned)strtoul(json_string_value(port), NULL, 10) & 0xffff;
	challenge = json_object_get(c->document, "challenge");
	if (json_is_object(challenge)) {
		char *dump = json_dumps(challenge, JSON_COMPACT);

		if (dump != NULL)
			(void)buf_append_str(&c->challenge, dump);
		free(dump);
		f->challenge = buf_str(&c->challenge);
	}
	claims = json_object_get(c->document, "token_claims");
	if (json_is_object(claims))
		read_claims(claims, c, f);
	if (json_is_true(json_object_get(c->document, "token_expired")))
		f->token_expired = true;
	return EX_OK;
}

/* ---- --explain ---- */

static int
print_diagnosis(const struct cli *cli, const struct diagnosis *d)
{
	if (cli->json)
		return cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "cause", d->cause,
					  "text", d->text, "fixer", d->fixer, "next", d->next,
					  "retry", retry_class_name(d->retry), "known", d->known),
		    EX_OK);
	cli_put(cli, COLOUR_BOLD, d->text, 0);
	(void)putchar('\n');
	(void)printf("Next:    ");
	cli_put(cli, COLOUR_NONE, d->next, 0);
	(void)printf("\nTo fix:  %s\nMail:    %s\nCause:   %s%s\n", d->fixer,
	    retry_class_name(d->retry), d->cause,
	    d->known ? "" : " (no rule for these words: judged by the code alone)");
	return EX_OK;
}

static int
explain(const struct cli *cli, const struct arguments *args)
{
	struct context c = {.scopes = BUF_INIT(8192), .challenge = BUF_INIT(8192)};
	struct diagnosis_facts f = {.provider = args->values[OPTION_PROVIDER]};
	const char *stage = args->values[OPTION_STAGE];
	struct smtp_reply reply = {0};
	struct diagnosis d;
	int status = EX_OK;

	if (stage != NULL && smtp_stage_by_name(stage) == SMTP_STAGE_NONE)
		return cli_fail(cli, EX_USAGE, NULL,
		    "--stage wants connect, tls, ehlo, auth, mail, rcpt, data, api or token, not "
		    "%s",
		    stage);
	if (arguments_has(args, OPTION_CONTEXT))
		status = read_context(cli, args->values[OPTION_CONTEXT], &c, &f);
	if (status == EX_OK &&
	    read_reply(args->values[OPTION_EXPLAIN],
		stage == NULL ? SMTP_STAGE_NONE : smtp_stage_by_name(stage), &reply) < 0)
		status = cli_fail(cli, EX_OSERR, NULL, "memory ran out");
	if (status == EX_OK && reply.code >= 200 && reply.code < 400) {
		status = cli_fail(
		    cli, EX_DATAERR, NULL, "%d is no refusal: the server agreed", reply.code);
	} else if (status == EX_OK) {
		f.reply = &reply;
		diagnose(&f, &d);
		status = print_diagnosis(cli, &d);
	}
	smtp_reply_clear(&reply);
	json_decref(c.document);
	buf_free(&c.scopes);
	buf_free(&c.challenge);
	return status;
}

int
verb_check(const struct cli *cli, const struct arguments *args)
{
	if (arguments_has(args, OPTION_EXPLAIN))
		return args->count > 1 ? cli_fail(cli, EX_USAGE, NULL,
					     "check takes an account or --explain, not both")
				       : explain(cli, args);
	if (arguments_has(args, OPTION_HOST) ? args->count != 1 : args->count != 2)
		return cli_fail(cli, EX_USAGE, NULL,
		    "check wants an ACCOUNT, --host SERVER, or --explain REPLY");
	return check_live(cli, args);
}
