/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * text.c: the words of a verdict.
 *
 * In a template {name} is a fact. A segment in [brackets] is left out unless every fact in it is known;
 * outside of brackets a general word replaces an unknown fact. Brackets do not nest. {?person} and the
 * like are empty: they count as known if the account's grant is of that kind, and {?signed-in} if a
 * login is known to have succeeded. {renew}, {store} and {sign-in} are the commands that this account
 * allows (step.c). "{{" and "}}" stand for braces.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

struct sentence {
	char *out;
	size_t len;
	size_t size;
};

static void
put(struct sentence *w, const char *s, size_t len)
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
brief_words(const struct diagnosis_match *m, char *scratch, size_t size)
{
	enum { BRIEF = 160 };
	struct sentence w = {.out = scratch, .size = size};
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

/* What stands at `at` (NULL: nothing) up to one of `ends`; NULL where that is empty or too long. */
static const char *
cut(const char *at, const char *ends, char *scratch, size_t size)
{
	size_t len = at == NULL ? 0 : strcspn(at, ends);

	if (len == 0 || len >= size)
		return NULL;
	memcpy(scratch, at, len);
	scratch[len] = '\0';
	return scratch;
}

/* What follows `mark` and any of `skip` in the text; NULL where it has none. */
static const char *
behind(const char *text, const char *mark, const char *skip)
{
	const char *at = text == NULL ? NULL : strcasestr(text, mark);

	return at == NULL ? NULL : at + strlen(mark) + strspn(at + strlen(mark), skip);
}

/* Facts that are made of others. */
enum made {
	NOT_MADE,
	SERVER,
	PORT,
	LOGIN,
	OWN_ADDRESS,
	SENDER_NAME,
	PROVIDER_NAME,
	PASSWORD_NOTE,
	SUBMISSION,
	CHALLENGE_SCOPE,
	CHALLENGE_STATUS,
	CODE,
	AADSTS,
	SEND_AS,
	WORDS,
};

static const char *
make(enum made what, const struct diagnosis_facts *f, const struct diagnosis_match *m,
    char *scratch, size_t size)
{
	const char *at;

	switch (what) {
	case SERVER:
		if (f->host == NULL || f->port == 0)
			return f->host;
		(void)snprintf(scratch, size, "%s:%u", f->host, f->port);
		return scratch;
	case PORT:
		(void)snprintf(scratch, size, "%u", f->port);
		return f->port == 0 ? NULL : scratch;
	case LOGIN: /* "Signing in as a@example.com by XOAUTH2 succeeded" */
		(void)snprintf(scratch, size, "Signing in as %s%s%s succeeded",
		    f->auth_user == NULL ? "" : f->auth_user, f->mechanism != NULL ? " by " : "",
		    f->mechanism != NULL ? f->mechanism : "");
		return m->signed_in && f->auth_user != NULL ? scratch : NULL;
	case OWN_ADDRESS:
		return f->auth_user != NULL && strchr(f->auth_user, '@') != NULL ? f->auth_user
										 : NULL;
	case SENDER_NAME:
		return f->mail_from != NULL && f->mail_from[0] == '\0' ? "<>" : f->mail_from;
	case PROVIDER_NAME:
		return m->provider == 0 ? NULL : provider_title(m->provider);
	case PASSWORD_NOTE:
		return provider_password(m->provider);
	case SUBMISSION:
		return provider_submission(f, m->provider, scratch, size);
	case CHALLENGE_SCOPE: /* members of a flat JSON object of strings */
		return cut(behind(f->challenge, "\"scope\"", "\" :"), "\",}", scratch, size);
	case CHALLENGE_STATUS:
		return cut(behind(f->challenge, "\"status\"", "\" :"), "\",}", scratch, size);
	case CODE:
		(void)snprintf(scratch, size, "%d%s%s", m->code, m->enhanced[0] != '\0' ? " " : "",
		    m->enhanced);
		return m->code == 0 ? NULL : scratch;
	case AADSTS: /* "AADSTS50076": the first of Microsoft's numbers that the answer bears */
		at = behind(m->words, "AADSTS", "");
		if (at == NULL || strspn(at, "0123456789") == 0)
			return NULL;
		(void)snprintf(scratch, size, "AADSTS%.*s", (int)strspn(at, "0123456789"), at);
		return scratch;
	case SEND_AS: /* "SendAsDenied; A not allowed to send as B; STOREDRV..." */
		return cut(behind(m->words, "SendAsDenied;", " "), ";", scratch, size);
	case WORDS:
		return brief_words(m, scratch, size);
	case NOT_MADE:
		break;
	}
	return NULL;
}

/* What {name} stands for: a member of the facts, or what is made of them; and the word for a fact that
 * is not known, where the segment may stand without it. */
static const struct {
	const char *name;
	const char *general;
	size_t member;
	enum made made;
} facts_by_name[] = {
    {"host", "the server", offsetof(struct diagnosis_facts, host), NOT_MADE},
    {"server-host", "HOST", offsetof(struct diagnosis_facts, host), NOT_MADE},
    {"server", "the server", 0, SERVER},
    {"port", "", 0, PORT},
    {"tls", "unknown", offsetof(struct diagnosis_facts, tls), NOT_MADE},
    {"ehlo", "our name", offsetof(struct diagnosis_facts, ehlo_name), NOT_MADE},
    {"user", "the account's user", offsetof(struct diagnosis_facts, auth_user), NOT_MADE},
    {"login", "", 0, LOGIN},
    {"mailbox", "MAILBOX", offsetof(struct diagnosis_facts, auth_user), NOT_MADE},
    {"own-address", "the account's own address", 0, OWN_ADDRESS},
    {"account", "ACCOUNT", offsetof(struct diagnosis_facts, account), NOT_MADE},
    {"mechanism", "the mechanism used", offsetof(struct diagnosis_facts, mechanism), NOT_MADE},
    {"sender", "the sender", 0, SENDER_NAME},
    {"audience", "another service", offsetof(struct diagnosis_facts, token_audience), NOT_MADE},
    {"scopes", "other scopes", offsetof(struct diagnosis_facts, token_scopes), NOT_MADE},
    {"token-user", "another user", offsetof(struct diagnosis_facts, token_user), NOT_MADE},
    {"provider", "the provider", 0, PROVIDER_NAME},
    {"password-note", "", 0, PASSWORD_NOTE},
    {"submission", "the submission host of the sender's provider (port 587 or 465)", 0, SUBMISSION},
    {"challenge-scope", "", 0, CHALLENGE_SCOPE},
    {"challenge-status", "", 0, CHALLENGE_STATUS},
    {"code", "no code", 0, CODE},
    {"aadsts", "an AADSTS error", 0, AADSTS},
    {"send-as", "the account may not send as that address", 0, SEND_AS},
    {"words", "no words", 0, WORDS},
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
		return step_grant_holds(name, len, f) ? "" : NULL;
	if (step_word(name, len, f, scratch, size) != NULL)
		return scratch;
	for (size_t i = 0; i < ARRAY_SIZE(facts_by_name); i++) {
		if (strlen(facts_by_name[i].name) != len ||
		    memcmp(facts_by_name[i].name, name, len) != 0)
			continue;
		*ret_general = facts_by_name[i].general;
		if (facts_by_name[i].made != NOT_MADE)
			return make(facts_by_name[i].made, f, m, scratch, size);
		return *(const char *const *)((const char *)f + facts_by_name[i].member);
	}
	*ret_general = NULL;
	return NULL;
}

void
diagnosis_text(const char *format, const struct diagnosis_facts *facts,
    const struct diagnosis_match *match, char *out, size_t size)
{
	struct sentence w = {.out = out, .size = size};
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
