/*
 * text.c: the words of a verdict.
 *
 * Templates: {name} is a fact. A segment in [brackets] is left out unless every fact named in it is
 * known; outside brackets an unknown fact has a general word instead. Brackets do not nest. {?person}
 * and the like are empty, and known where the account's grant is such a one; {renew}, {store} and
 * {sign-in} are the commands that this account allows (step.c).
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
server_name(const struct diagnosis_facts *f, char *scratch, size_t size)
{
	if (f->host == NULL)
		return NULL;
	if (f->port == 0)
		return f->host;
	(void)snprintf(scratch, size, "%s:%u", f->host, f->port);
	return scratch;
}

static const char *
reply_code(const struct diagnosis_match *m, char *scratch, size_t size)
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
send_as(const struct diagnosis_match *m, char *scratch, size_t size)
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

/* The fact's value, or NULL where it is unknown; *ret_general is the word for that case. */
static const char *
fact(const char *name, size_t len, const struct diagnosis_facts *f, const struct diagnosis_match *m,
    char *scratch, size_t size, const char **ret_general)
{
	const struct {
		const char *name, *value, *general;
	} facts[] = {
	    {"host", f->host, "the server"},
	    {"server", server_name(f, scratch, size), "the server"},
	    {"user", f->auth_user, "the account's user"},
	    {"account", f->account, "ACCOUNT"},
	    {"mechanism", f->mechanism, "the mechanism used"},
	    {"sender", f->mail_from != NULL && f->mail_from[0] == '\0' ? "<>" : f->mail_from,
		"the sender"},
	    {"tls", f->tls, "unknown"},
	    {"ehlo", f->ehlo_name, "our name"},
	    {"audience", f->token_audience, "another service"},
	    {"scopes", f->token_scopes, "other scopes"},
	    {"token-user", f->token_user, "another user"},
	    {"words", m->words[0] != '\0' ? m->words : NULL, "no words"},
	    {"provider", m->provider != 0 ? diagnosis_provider_name(m->provider) : NULL,
		"the provider"},
	};

	*ret_general = "";
	if (name[0] == '?')
		return diagnosis_grant_holds(name, len, f) ? "" : NULL;
	if (diagnosis_step(name, len, f, scratch, size) != NULL)
		return scratch;
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		if (strlen(facts[i].name) == len && memcmp(facts[i].name, name, len) == 0) {
			*ret_general = facts[i].general;
			return facts[i].value;
		}
	}
	if (len == 4 && memcmp(name, "port", 4) == 0 && f->port != 0) {
		(void)snprintf(scratch, size, "%u", f->port);
		return scratch;
	}
	if (len == 4 && memcmp(name, "code", 4) == 0) {
		*ret_general = "no code";
		return reply_code(m, scratch, size);
	}
	if (len == 7 && memcmp(name, "send-as", 7) == 0) {
		*ret_general = "the account may not send as that address";
		return send_as(m, scratch, size);
	}
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
		size_t len = strcspn(format, "{[]");
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
		} else if (*format == '{') {
			len = strcspn(++format, "}");
			value = fact(format, len, facts, match, scratch, sizeof(scratch), &general);
			unknown = unknown || value == NULL;
			if (value == NULL) {
				general_first = general_first || w.len == 0;
				value = general;
			}
			put(&w, value, strlen(value));
			format += len + 1;
		}
	}
	/* A sentence may begin with a general word, or behind a segment that was left out. */
	if (general_first && out[0] >= 'a' && out[0] <= 'z')
		out[0] = (char)(out[0] - 'a' + 'A');
}
