/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * text.c: the words of a verdict.
 *
 * Templates: {name} is a fact. A segment in [brackets] is left out unless every fact named in it is
 * known; outside brackets an unknown fact has a general word instead. Brackets do not nest. {?person}
 * and the like are empty, and known where the account's grant is such a one, {?signed-in} where a
 * login is known to have succeeded; {renew}, {store} and {sign-in} are the commands that this account
 * allows (step.c). "{{" and "}}" stand for braces.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

struct writer {
	char *out;
	size_t len;
	size_t size;
};

static void
put(struct writer *w, const char *s, size_t len)
{
	size_t room = w->size - 1 - w->len;

	if (len > room) {
		len = room;
		/* not within a character of UTF-8 */
		while (len > 0 && ((unsigned char)s[len] & 0xC0) == 0x80)
			len--;
	}
	memcpy(w->out + w->len, s, len);
	w->len += len;
	w->out[w->len] = '\0';
}

static const char *
server_name(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	if (f->host == NULL)
		return NULL;
	if (f->port == 0)
		return f->host;
	(void)snprintf(scratch, size, "%s:%u", f->host, f->port);
	return scratch;
}

static const char *
reply_code(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	if (m->code == 0)
		return NULL;
	(void)snprintf(
	    scratch, size, "%d%s%s", m->code, m->enhanced[0] != '\0' ? " " : "", m->enhanced);
	return scratch;
}

/* "A not allowed to send as B" out of Exchange's "SendAsDenied; A not allowed to send as B;
 * STOREDRV...". */
static const char *
send_as(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	const char *at = strcasestr(m->words, "SendAsDenied;");
	size_t len;

	if (at == NULL)
		return NULL;
	at += strlen("SendAsDenied;");
	at += strspn(at, " ");
	len = strcspn(at, ";");
	if (len == 0 || len >= size)
		return NULL;
	memcpy(scratch, at, len);
	scratch[len] = '\0';
	return scratch;
}

/* The member's value of the error challenge, a flat JSON object of strings; NULL where it has none. */
static const char *
challenge_word(const struct diagnosis_facts *f, const char *name, char *scratch, size_t size)
{
	const char *at = f->challenge == NULL ? NULL : strstr(f->challenge, name);
	size_t len;

	if (at == NULL)
		return NULL;
	at += strlen(name);
	at += strspn(at, "\" :");
	len = strcspn(at, "\",}");
	if (len == 0 || len >= size)
		return NULL;
	memcpy(scratch, at, len);
	scratch[len] = '\0';
	return scratch;
}

/* Is this word of a reply the mark of a session or a host, which tells a person nothing? */
static bool
is_ballast(const char *word, size_t len)
{
	size_t digits = 0;

	for (size_t i = 0; i < len; i++)
		digits += word[i] >= '0' && word[i] <= '9';
	return (word[0] == '[' && memchr(word, ']', len) != NULL) ||
	       (len >= 10 && digits >= 4 && strncmp(word, "AADSTS", 6) != 0) ||
	       strncmp(word, "http", 4) == 0 || (len <= 5 && strncasecmp(word, "gsmtp", 5) == 0);
}

/* The server's words without ballast, cut at a word; NULL where there are none. */
static const char *
brief_words(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	enum { BRIEF = 160 };
	struct writer w = {.out = scratch, .size = size};
	const char *at = m->words;

	scratch[0] = '\0';
	while (*at != '\0') {
		size_t len = strcspn(at, " ");

		if (w.len > 0 && w.len + 1 + len > BRIEF) {
			put(&w, " ...", 4);
			break;
		}
		if (len > 0 && !is_ballast(at, len)) {
			put(&w, " ", w.len > 0);
			put(&w, at, len);
		}
		at += len + (at[len] == ' ');
	}
	return w.len > 0 ? scratch : NULL;
}

static const char *
sender_name(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return f->mail_from != NULL && f->mail_from[0] == '\0' ? "<>" : f->mail_from;
}

static const char *
own_address(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return f->auth_user != NULL && strchr(f->auth_user, '@') != NULL ? f->auth_user : NULL;
}

/* "Signing in as a@example.com by XOAUTH2 succeeded", where that is known. */
static const char *
good_login(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	if (!m->signed_in || f->auth_user == NULL)
		return NULL;
	(void)snprintf(scratch, size, "Signing in as %s%s%s succeeded", f->auth_user,
	    f->mechanism != NULL ? " by " : "", f->mechanism != NULL ? f->mechanism : "");
	return scratch;
}

static const char *
port_number(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	if (f->port == 0)
		return NULL;
	(void)snprintf(scratch, size, "%u", f->port);
	return scratch;
}

static const char *
provider_name(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return m->provider == 0 ? NULL : diagnosis_provider_name(m->provider);
}

static const char *
password_note(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return diagnosis_provider_password(m->provider);
}

static const char *
submission(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return diagnosis_submission(f, m->provider, scratch, size);
}

static const char *
challenge_scope(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return challenge_word(f, "\"scope\"", scratch, size);
}

static const char *
challenge_status(
    const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	return challenge_word(f, "\"status\"", scratch, size);
}

/* "AADSTS50076": the first of Microsoft's numbers that the answer bears. */
static const char *
aadsts(const struct diagnosis_facts *f, const struct diagnosis_match *m, char *scratch, size_t size)
{
	static const char mark[] = "AADSTS";
	const char *at = strcasestr(m->words, mark);
	size_t digits = at == NULL ? 0 : strspn(at + strlen(mark), "0123456789");

	if (digits == 0 || strlen(mark) + digits >= size)
		return NULL;
	(void)snprintf(scratch, size, "%s%.*s", mark, (int)digits, at + strlen(mark));
	return scratch;
}

/* What {name} stands for: a member of the facts, or what a function makes of them; and the word for a
 * fact that is not known, where the segment may stand without it. */
static const struct {
	const char *name;
	const char *general;
	size_t member;
	const char *(*make)(const struct diagnosis_facts *f, const struct diagnosis_match *m,
	    char *scratch, size_t size);
} facts_by_name[] = {
    {"host", "the server", offsetof(struct diagnosis_facts, host), NULL},
    {"server-host", "HOST", offsetof(struct diagnosis_facts, host), NULL},
    {"server", "the server", 0, server_name},
    {"port", "", 0, port_number},
    {"tls", "unknown", offsetof(struct diagnosis_facts, tls), NULL},
    {"ehlo", "our name", offsetof(struct diagnosis_facts, ehlo_name), NULL},
    {"user", "the account's user", offsetof(struct diagnosis_facts, auth_user), NULL},
    {"login", "", 0, good_login},
    {"mailbox", "MAILBOX", offsetof(struct diagnosis_facts, auth_user), NULL},
    {"own-address", "the account's own address", 0, own_address},
    {"account", "ACCOUNT", offsetof(struct diagnosis_facts, account), NULL},
    {"mechanism", "the mechanism used", offsetof(struct diagnosis_facts, mechanism), NULL},
    {"sender", "the sender", 0, sender_name},
    {"audience", "another service", offsetof(struct diagnosis_facts, token_audience), NULL},
    {"scopes", "other scopes", offsetof(struct diagnosis_facts, token_scopes), NULL},
    {"token-user", "another user", offsetof(struct diagnosis_facts, token_user), NULL},
    {"provider", "the provider", 0, provider_name},
    {"password-note", "", 0, password_note},
    {"submission", "the submission host of the sender's provider (port 587 or 465)", 0, submission},
    {"challenge-scope", "", 0, challenge_scope},
    {"challenge-status", "", 0, challenge_status},
    {"code", "no code", 0, reply_code},
    {"aadsts", "an AADSTS error", 0, aadsts},
    {"send-as", "the account may not send as that address", 0, send_as},
    {"words", "no words", 0, brief_words},
};

/* The fact's value, or NULL where it is unknown; *ret_general is the word for that case, and NULL for a
 * name that stands for nothing. */
static const char *
fact(const char *name, size_t len, const struct diagnosis_facts *f, const struct diagnosis_match *m,
    char *scratch, size_t size, const char **ret_general)
{
	*ret_general = "";
	if (len == 10 && memcmp(name, "?signed-in", len) == 0)
		return m->signed_in ? "" : NULL;
	if (name[0] == '?')
		return diagnosis_grant_holds(name, len, f) ? "" : NULL;
	if (diagnosis_step_word(name, len, f, scratch, size) != NULL)
		return scratch;
	for (size_t i = 0; i < ARRAY_SIZE(facts_by_name); i++) {
		if (strlen(facts_by_name[i].name) != len ||
		    memcmp(facts_by_name[i].name, name, len) != 0)
			continue;
		*ret_general = facts_by_name[i].general;
		if (facts_by_name[i].make != NULL)
			return facts_by_name[i].make(f, m, scratch, size);
		return *(const char *const *)((const char *)f + facts_by_name[i].member);
	}
	*ret_general = NULL;
	return NULL;
}

void
diagnosis_text(const char *format, const struct diagnosis_facts *facts,
    const struct diagnosis_match *match, char *out, size_t size)
{
	struct writer w = {.out = out, .size = size};
	size_t segment = 0;
	bool unknown = false, general_first = false;

	out[0] = '\0';
	while (*format != '\0') {
		size_t len = strcspn(format, "{}[]");
		const char *general, *value;
		char scratch[512];

		put(&w, format, len);
		format += len;
		if (*format == '[') {
			segment = w.len;
			unknown = false;
			format++;
		} else if (*format == ']') {
			if (unknown)
				w.len = segment;
			general_first = general_first || (w.len == 0 && format[1] != '{');
			out[w.len] = '\0';
			unknown = false;
			format++;
		} else if (format[0] == '{' && format[1] == '{') {
			put(&w, "{", 1);
			format += 2;
		} else if (*format == '}') {
			put(&w, "}", 1);
			format += format[1] == '}' ? 2 : 1;
		} else if (*format == '{') {
			len = strcspn(++format, "}");
			value = fact(format, len, facts, match, scratch, sizeof(scratch), &general);
			unknown = unknown || value == NULL;
			if (value == NULL && general == NULL) {
				/* left as it is, for the tests to see */
				put(&w, format - 1, len + 2);
			} else if (value == NULL) {
				general_first = general_first || w.len == 0;
				put(&w, general, strlen(general));
			} else {
				put(&w, value, strlen(value));
			}
			format += len + 1;
		}
	}
	/* A sentence may begin with a general word, or behind a segment that was left out. */
	if (general_first && out[0] >= 'a' && out[0] <= 'z')
		out[0] = (char)(out[0] - 'a' + 'A');
}
