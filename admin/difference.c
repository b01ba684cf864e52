/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* difference.c: see difference.h. */
#include "admin/difference.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"

enum { TEXT_MAX = 16 * 1024, SIDES = 2 };

/* How a member is compared. */
enum how {
	AS_TEXT,
	AS_SET, /* words */
};

/* Members of the object, by their path. */
static const struct {
	const char *item, *path;
	enum how how;
	const char *means;
} members[] = {
    {"provider", "provider", AS_TEXT,
	"Limits, scopes and the meaning of replies come from the provider's preset: what one takes "
	"the "
	"other may refuse."},
    {"transport", "transport", AS_TEXT,
	"One goes by SMTP and the other by an HTTP API: permissions and limits are others, too."},
    {"TLS mode", "tls", AS_TEXT,
	"starttls begins in clear and belongs to port 587, implicit to port 465: one of them on "
	"the "
	"other's port ends before the login."},
    {"mechanisms allowed", "mechanisms", AS_SET,
	"The configuration lets one log in by a mechanism that the other may not use (auth)."},
    {"grant", "grant", AS_TEXT,
	"The credentials are got in different ways: permissions for one (delegated) are none for "
	"the other "
	"(application)."},
    {"credential", "credential.state", AS_TEXT,
	"One has a usable credential and the other has not: frank status has the next step."},
    {"signed in as", "credential.identity", AS_TEXT,
	"The tokens are of different users: each needs the right to submit, and to send as its "
	"mailbox."},
    {"scopes", "credential.scope", AS_SET,
	"A token without the scope for sending is refused at AUTH, though signing in worked: add "
	"it to "
	"scopes, and sign in again."},
    {"account state", "state", AS_TEXT,
	"Mail of an account that is not active waits, whatever this check finds."},
};

/* Members of a service that may send through the account. */
static const struct {
	const char *item, *key;
	enum how how;
	const char *means;
} policies[] = {
    {"mode", "mode", AS_TEXT,
	"capture stores mail and never sends it: what worked there has not met a server."},
    {"delivered all the same", "deliver_to", AS_SET,
	"A recipient that only one of them lists gets the mail there, though it is captured."},
    {"senders", "senders", AS_SET,
	"A sender that only one of them lists is refused (550 5.7.1) or rewritten by the other."},
    {"recipients", "recipients", AS_SET,
	"A recipient that only one of them lists is refused by the other."},
    {"other senders", "from", AS_TEXT,
	"refuse answers 550 5.7.1 to a From of somebody else, rewrite replaces it, keep leaves it "
	"to the "
	"server."},
    {"users", "users", AS_SET,
	"A program that runs as another user may have no service there (550 5.7.1)."},
    {"groups", "groups", AS_SET,
	"A program that runs in another group may have no service there (550 5.7.1)."},
    {"messages a minute", "rate_minute", AS_TEXT, "The lower rate answers 450 4.7.1 first."},
    {"messages a day", "rate_day", AS_TEXT, "The lower rate answers 450 4.7.1 first."},
    {"largest message", "max_size", AS_TEXT,
	"A message between the two is refused by one of them (552)."},
    {"recipients a message", "recipients_max", AS_TEXT,
	"A message with more recipients is refused by one of them (452 or 552)."},
};

/* Findings, by their names. Names that are not here are compared behind these, by their state alone. */
static const struct {
	const char *name;
	bool text; /* compared as well, as a set of words */
	const char *means;
} findings[] = {
    {"service", false,
	"The server's name comes from DNS (SRV), and is found for one of them only."},
    {"name", false, "Only one name has an address, from here: look at DNS and at the spelling."},
    {"connect", false,
	"One server answers and the other does not, from here: a firewall, a closed port, or a "
	"wrong one."},
    {"tls", true,
	"Another version or cipher; or TLS fails for one of them, and the login is never reached."},
    {"certificate", false,
	"One certificate is trusted here and the other is not: its name, its end, or the authority "
	"(ca-file)."},
    {"ehlo", true,
	"The servers offer different extensions: size, 8BITMIME, SMTPUTF8, DSN, PIPELINING."},
    {"auth-offer", true,
	"A mechanism that only one server offers cannot be used with the other: XOAUTH2 may be off "
	"for the "
	"tenant or the server."},
    {"credential", false,
	"No token or password could be had for one of them: nothing was tried at its server."},
    {"auth", false,
	"The login works for one of them. With equal mechanisms and scopes it is the mailbox or "
	"the tenant: "
	"its switch for SMTP AUTH, its consent, its rights."},
    {"sender", false,
	"Only one may use its sender addresses: Send As, aliases, or the server's rules."},
    {"send", false, "Only one message was taken."},
    {"spf", false, "Receivers judge mail of the two domains differently: the SPF record."},
    {"dkim", false, "Receivers judge mail of the two domains differently: the DKIM key."},
    {"dmarc", false, "Receivers judge mail of the two domains differently: the DMARC policy."},
};

struct difference_search {
	const json_t *sides[SIDES];
	json_t *result;
	bool failed; /* no memory */
};

/* ---- words ---- */

static const json_t *
member_at(const json_t *o, const char *path)
{
	const char *dot = strchr(path, '.');
	CLEANUP_FREE char *first = dot == NULL ? NULL : strndup(path, (size_t)(dot - path));

	return dot == NULL     ? json_object_get(o, path)
	       : first == NULL ? NULL
			       : json_object_get(json_object_get(o, first), dot + 1);
}

/* "host:port", without the address that it had; NULL: it is not known. The caller frees. */
static char *
server_of(const json_t *side)
{
	const char *text = json_string_value(json_object_get(side, "endpoint"));

	if (text == NULL)
		text = json_string_value(json_object_get(side, "host"));
	return text == NULL ? NULL : strndup(text, strcspn(text, " "));
}

/* Appends a value as text: a list as its items, a number as digits. */
static void
append_value(struct buf *out, const json_t *value)
{
	const json_t *item;
	size_t i;

	if (json_is_string(value))
		(void)buf_append_str(out, json_string_value(value));
	else if (json_is_integer(value))
		(void)buf_printf(out, "%lld", (long long)json_integer_value(value));
	json_array_foreach(value, i, item)
	{
		if (i > 0)
			(void)buf_append_char(out, ' ');
		append_value(out, item);
	}
}

static bool
has_word(const char *text, const char *word, size_t len)
{
	for (const char *at = text; *at != '\0';) {
		size_t n = strcspn(at, " ,;\n");

		if (n == len && strncmp(at, word, len) == 0)
			return true;
		at += n;
		at += strspn(at, " ,;\n");
	}
	return false;
}

/* The words of `text` that `other` has not. */
static void
append_missing(struct buf *out, const char *text, const char *other)
{
	for (const char *at = text; *at != '\0';) {
		size_t n = strcspn(at, " ,;\n");

		if (n > 0 && !has_word(other, at, n) && !has_word(buf_str(out), at, n)) {
			if (out->len > 0)
				(void)buf_append_char(out, ' ');
			(void)buf_append(out, at, n);
		}
		at += n;
		at += strspn(at, " ,;\n");
	}
}

/* Every place of `what` in the text becomes `with`. */
static void
replace(struct buf *text, const char *what, const char *with)
{
	CLEANUP_BUF struct buf out = BUF_INIT(TEXT_MAX);
	const char *at = buf_str(text), *found;

	if (what == NULL || *what == '\0')
		return;
	while ((found = strcasestr(at, what)) != NULL) {
		(void)buf_append(&out, at, (size_t)(found - at));
		(void)buf_append_str(&out, with);
		at = found + strlen(what);
	}
	(void)buf_append_str(&out, at);
	buf_clear(text);
	(void)buf_append(text, buf_str(&out), out.len);
}

/* What is a side's own becomes the same on both. */
static void
make_common(const json_t *side, struct buf *text)
{
	const char *mailbox = json_string_value(json_object_get(side, "mailbox"));
	const char *at = mailbox == NULL ? NULL : strrchr(mailbox, '@');
	CLEANUP_FREE char *host = server_of(side);

	if (host != NULL)
		host[strcspn(host, ":")] = '\0';
	replace(text, mailbox, "MAILBOX");
	replace(text, host, "SERVER");
	replace(text, at == NULL ? NULL : at + 1, "DOMAIN");
}

/* ---- one difference ---- */

static json_t *
text_or_null(const char *text)
{
	return text == NULL || *text == '\0' ? json_null() : json_string(text);
}

static void
add(struct difference_search *c, const char *item, const char *a, const char *b, const char *means)
{
	json_t *row = json_pack("{s:s, s:o, s:o, s:s}", "item", item, "a", text_or_null(a), "b",
	    text_or_null(b), "means", means);

	if (row == NULL || json_array_append_new(c->result, row) < 0)
		c->failed = true;
}

static void
compare_texts(
    struct difference_search *c, const char *item, const char *a, const char *b, const char *means)
{
	if (strcmp(a, b) != 0)
		add(c, item, a, b, means);
}

/* Shows of a set what the other has not: the rest is the same. */
static void
compare_sets(
    struct difference_search *c, const char *item, const char *a, const char *b, const char *means)
{
	CLEANUP_BUF struct buf only_a = BUF_INIT(TEXT_MAX), only_b = BUF_INIT(TEXT_MAX);
	CLEANUP_BUF struct buf text_a = BUF_INIT(TEXT_MAX), text_b = BUF_INIT(TEXT_MAX);

	append_missing(&only_a, a, b);
	append_missing(&only_b, b, a);
	if (only_a.len == 0 && only_b.len == 0)
		return;
	if (only_a.len > 0)
		(void)buf_printf(&text_a, "only here: %s", buf_str(&only_a));
	if (only_b.len > 0)
		(void)buf_printf(&text_b, "only here: %s", buf_str(&only_b));
	add(c, item, buf_str(&text_a), buf_str(&text_b), means);
}

static void
compare_values(struct difference_search *c, const char *item, const json_t *a, const json_t *b,
    enum how how, const char *means)
{
	CLEANUP_BUF struct buf text_a = BUF_INIT(TEXT_MAX), text_b = BUF_INIT(TEXT_MAX);

	append_value(&text_a, a);
	append_value(&text_b, b);
	if (how == AS_TEXT) {
		compare_texts(c, item, buf_str(&text_a), buf_str(&text_b), means);
		return;
	}
	make_common(c->sides[0], &text_a);
	make_common(c->sides[1], &text_b);
	compare_sets(c, item, buf_str(&text_a), buf_str(&text_b), means);
}

/* ---- policy ---- */

static const char *
name_of(const json_t *service)
{
	const char *name = json_string_value(json_object_get(service, "service"));

	return name == NULL ? "?" : name;
}

/* NULL: there is none of this name. */
static const json_t *
find_service(const json_t *services, const char *name)
{
	const json_t *service;
	size_t i;

	json_array_foreach(services, i, service)
	{
		if (strcmp(name_of(service), name) == 0)
			return service;
	}
	return NULL;
}

static void
compare_services(struct difference_search *c, const json_t *a, const json_t *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		CLEANUP_BUF struct buf item = BUF_INIT(TEXT_MAX);

		(void)buf_printf(&item, "%s (service %s)", policies[i].item, name_of(a));
		compare_values(c, buf_str(&item), json_object_get(a, policies[i].key),
		    json_object_get(b, policies[i].key), policies[i].how, policies[i].means);
	}
}

/* The services of one side that the other has not. */
static void
add_missing(struct difference_search *c, const json_t *here, const json_t *there, bool first)
{
	static const char means[] =
	    "Callers of this service can send through the account on one side only.";
	const json_t *service;
	size_t i;

	json_array_foreach(here, i, service)
	{
		if (find_service(there, name_of(service)) == NULL)
			add(c, "service", first ? name_of(service) : NULL,
			    first ? NULL : name_of(service), means);
	}
}

static void
compare_policy(struct difference_search *c)
{
	const json_t *a = json_object_get(c->sides[0], "services"),
		     *b = json_object_get(c->sides[1], "services"), *service;
	size_t i;

	/* a server alone, and a check of somebody who may not see services, say nothing of policy */
	if (a == NULL || b == NULL)
		return;
	/* one each: they are compared whatever they are called */
	if (json_array_size(a) == 1 && json_array_size(b) == 1) {
		compare_services(c, json_array_get(a, 0), json_array_get(b, 0));
		return;
	}
	add_missing(c, a, b, true);
	add_missing(c, b, a, false);
	json_array_foreach(a, i, service)
	{
		const json_t *other = json_array_get(b, i);

		if (other == NULL || strcmp(name_of(other), name_of(service)) != 0)
			other = find_service(b, name_of(service));
		if (other != NULL)
			compare_services(c, service, other);
	}
}

/* ---- findings ---- */

/* The worst state of the steps of this name ("" where there is none), and their texts. */
static const char *
finding_of(const json_t *side, const char *name, struct buf *text)
{
	static const char *const states[] = {"", "info", "ok", "warn", "fail"};
	const json_t *step;
	size_t i, worst = 0;

	json_array_foreach(json_object_get(side, "steps"), i, step)
	{
		const char *n = json_string_value(json_object_get(step, "name")),
			   *state = json_string_value(json_object_get(step, "state")),
			   *words = json_string_value(json_object_get(step, "text"));

		if (n == NULL || state == NULL || words == NULL || strcmp(n, name) != 0)
			continue;
		(void)buf_printf(text, "%s%s", text->len > 0 ? "; " : "", words);
		for (size_t s = worst + 1; s < ARRAY_SIZE(states); s++)
			if (strcmp(state, states[s]) == 0)
				worst = s;
	}
	return states[worst];
}

static void
compare_finding(struct difference_search *c, const char *name, bool texts, const char *means)
{
	CLEANUP_BUF struct buf a = BUF_INIT(TEXT_MAX), b = BUF_INIT(TEXT_MAX);
	CLEANUP_BUF struct buf shown_a = BUF_INIT(TEXT_MAX), shown_b = BUF_INIT(TEXT_MAX);
	const char *state_a = finding_of(c->sides[0], name, &a),
		   *state_b = finding_of(c->sides[1], name, &b);

	/* a step that was never reached is explained by the one that failed before it */
	if (*state_a == '\0' || *state_b == '\0')
		return;
	if (strcmp(state_a, state_b) != 0) {
		(void)buf_printf(&shown_a, "%s: %s", state_a, buf_str(&a));
		(void)buf_printf(&shown_b, "%s: %s", state_b, buf_str(&b));
		add(c, name, buf_str(&shown_a), buf_str(&shown_b), means);
	} else if (texts) {
		make_common(c->sides[0], &a);
		make_common(c->sides[1], &b);
		compare_sets(c, name, buf_str(&a), buf_str(&b), means);
	}
}

static bool
is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(findings); i++)
		if (strcmp(findings[i].name, name) == 0)
			return true;
	return false;
}

static void
compare_findings(struct difference_search *c)
{
	const json_t *step;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(findings); i++)
		compare_finding(c, findings[i].name, findings[i].text, findings[i].means);
	json_array_foreach(json_object_get(c->sides[0], "steps"), i, step)
	{
		const char *name = json_string_value(json_object_get(step, "name"));

		/* "port 465", "port 587" */
		if (name != NULL && !is_known(name))
			compare_finding(
			    c, name, false, "Only one of them can be reached this way, from here.");
	}
}

json_t *
difference_find(const json_t *a, const json_t *b)
{
	struct difference_search c = {.sides = {a, b}, .result = json_array()};
	CLEANUP_FREE char *server_a = server_of(a), *server_b = server_of(b);

	if (c.result == NULL)
		return NULL;
	if (server_a != NULL && server_b != NULL)
		compare_texts(&c, "server", server_a, server_b,
		    "Two servers, which may be set up differently: the findings below say in "
		    "what.");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		/* a server alone has no account */
		if (member_at(a, members[i].path) != NULL && member_at(b, members[i].path) != NULL)
			compare_values(&c, members[i].item, member_at(a, members[i].path),
			    member_at(b, members[i].path), members[i].how, members[i].means);
	compare_policy(&c);
	compare_findings(&c);
	compare_values(&c, "verdict", json_object_get(a, "cause"), json_object_get(b, "cause"),
	    AS_TEXT,
	    "How the two checks ended: frank check says whose it is to fix, and the next step.");
	if (!c.failed)
		return c.result;
	json_decref(c.result);
	return NULL;
}
