/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * match.c: finds the rule for an outcome.
 *
 * A rule matches when everything that it names holds. Among those that match the one that demands
 * most wins (enum rank, after the order in which people read a refusal: the provider's own words,
 * then its enhanced code, then anybody's words and codes, then the class of the code); among equals
 * the first of the table. The last row matches anything, so there is always an answer.
 *
 * No message bounces for what is not about it: is_admissible() sorts such rules out before any is
 * chosen, so that no row can do it, whatever it says.
 *
 * Words are compared in one line: lines of a reply joined by a space, the codes that some servers
 * repeat on each of them removed.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

enum rank {
	RANK_FAULT_WORDS,
	RANK_PROVIDER_WORDS,
	RANK_PROVIDER_ENHANCED,
	RANK_WORDS,
	RANK_PROVIDER_CODE,
	RANK_FAULT,
	RANK_ENHANCED,
	RANK_CODE,
	RANK_CLASS,
	RANK_NONE,
};

static bool
code_in(const char *codes, int code)
{
	char digits[4] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
	    (char)('0' + code % 10), '\0'};
	const char *item;
	size_t len;

	while (code > 0 && (len = words_next(&codes, &item)) > 0)
		if (len <= 3 && strncmp(item, digits, len) == 0)
			return true;
	return false;
}

static bool
enhanced_in(const char *set, const char *enhanced)
{
	const char *item;
	size_t len;

	while ((len = words_next(&set, &item)) > 0) {
		bool open = item[len - 1] == '*';

		if (open && strncmp(item, enhanced, len - 1) == 0)
			return true;
		if (!open && strncmp(item, enhanced, len) == 0 && enhanced[len] == '\0')
			return true;
	}
	return false;
}

size_t
match_enhanced_length(const char *s)
{
	size_t len = 1;

	if (strchr("245", s[0]) == NULL || s[0] == '\0')
		return 0;
	for (int i = 0; i < 2; i++) {
		size_t digits;

		if (s[len++] != '.')
			return 0;
		digits = strspn(s + len, "0123456789");
		if (digits < 1 || digits > 3)
			return 0;
		len += digits;
	}
	return len;
}

/* Does `s` begin with an enhanced code that stands alone? Its length, or 0. */
static size_t
enhanced_at(const char *s)
{
	size_t len = match_enhanced_length(s);

	return s[len] == '\0' || s[len] == ' ' ? len : 0;
}

/* Does `s` begin with a reply code and a separator, "535-" or "535 "? */
static size_t
code_at(const char *s)
{
	if (strchr("2345", s[0]) == NULL || s[0] == '\0' || strspn(s, "0123456789") != 3)
		return 0;
	return s[3] == '-' || s[3] == ' ' ? 4 : 0;
}

/* The words in one line, without the codes that stand again before each of its lines. */
static void
join_words(const char *text, char *out, size_t size)
{
	bool line_begins = true;
	size_t len = 0;

	while (text != NULL && *text != '\0' && len + 1 < size) {
		if (line_begins) {
			text += strspn(text, " ");
			text += code_at(text);
			text += strspn(text, " ");
			text += enhanced_at(text);
			text += strspn(text, " ");
			line_begins = false;
			continue;
		}
		if (*text == '\n' || strncmp(text, " / ", 3) == 0) {
			out[len++] = ' ';
			text += *text == '\n' ? 1 : 3;
			line_begins = true;
		} else if (isspace((unsigned char)*text)) {
			if (len > 0 && out[len - 1] != ' ')
				out[len++] = ' ';
			text++;
		} else {
			out[len++] = *text++;
		}
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

/* What was said, without the words that have an '@': a mailbox may be called billing, or login. */
static void
mask_addresses(const char *words, char *out)
{
	size_t len = 0;

	while (*words != '\0') {
		size_t word = strcspn(words, " "), whole = word + (words[word] == ' ');

		if (memchr(words, '@', word) == NULL) {
			memcpy(out + len, words, whole);
			len += whole;
		}
		words += whole;
	}
	out[len] = '\0';
}

static bool
ends_with(const char *s, const char *end, size_t end_len)
{
	size_t len = strlen(s);

	return len >= end_len && strncasecmp(s + len - end_len, end, end_len) == 0;
}

static bool
listed(const char *list, const char *word)
{
	const char *item;
	size_t len;

	while ((len = words_next(&list, &item)) > 0)
		if (strlen(word) == len && strncasecmp(item, word, len) == 0)
			return true;
	return false;
}

static bool
by_token(const struct diagnosis_facts *f)
{
	if (f->mechanism != NULL)
		return listed("XOAUTH2 OAUTHBEARER", f->mechanism);
	return f->grant != NULL && !listed("password none", f->grant);
}

static bool
by_password(const struct diagnosis_facts *f)
{
	if (f->mechanism != NULL)
		return !by_token(f);
	return f->grant != NULL && listed("password", f->grant);
}

/* No scope among them lets mail out by SMTP. A default scope stands for whatever was granted, so it
 * may. */
static bool
lacks_mail_scope(const char *scopes)
{
	static const char good[] = "SMTP.Send|mail.google.com|.default|SMTP.SendAsApp";

	return scopes != NULL && !words_say(scopes, good);
}

/* Codes of a recipient's address or mailbox (RFC 3463 sections 3.2 and 3.3). */
static bool
is_recipients(const struct diagnosis_match *m)
{
	return strncmp(m->enhanced, "5.1.", 4) == 0 || strncmp(m->enhanced, "5.2.", 4) == 0;
}

static bool
is_implicit_port(unsigned port)
{
	return port == 465 || port == 2465;
}

/* Does the way of TLS not go with the port? */
static bool
tls_mismatch(const struct diagnosis_facts *f, bool early)
{
	if (f->tls == NULL || f->port == 0)
		return false;
	if (early)
		return listed("implicit", f->tls) && !is_implicit_port(f->port);
	return !listed("implicit", f->tls) && is_implicit_port(f->port);
}

static bool
holds(enum condition when, const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	switch (when) {
	case ALWAYS:
		return true;
	case BY_PASSWORD:
		return by_password(f);
	case BY_TOKEN:
		return by_token(f);
	case APP_ONLY:
		return (f->grant != NULL && listed("client-credentials", f->grant)) ||
		       (f->token_scopes != NULL && words_say(f->token_scopes, "SMTP.SendAsApp"));
	case WRONG_AUDIENCE:
		return f->token_audience != NULL &&
		       !words_say(f->token_audience,
			   "outlook.office|00000002-0000-0ff1-ce00-000000000000");
	case WRONG_SCOPE:
		return lacks_mail_scope(f->token_scopes);
	case WRONG_USER:
		return f->token_user != NULL && f->auth_user != NULL &&
		       strcasecmp(f->token_user, f->auth_user) != 0;
	case EXPIRED:
		return f->token_expired;
	case ON_PORT_25:
		return f->port == 25;
	case BARE_NAME:
		return f->ehlo_name != NULL && (strchr(f->ehlo_name, '.') == NULL ||
						   ends_with(f->ehlo_name, ".localdomain", 12) ||
						   ends_with(f->ehlo_name, ".local", 6));
	case AT_MX:
		return provider_is_mx(f);
	case DIRECT:
		return provider_is_mx(f) || (f->port == 25 && f->login != LOGIN_SUCCEEDED &&
						!by_token(f) && !by_password(f));
	case CONSUMER:
		return provider_is_consumer(f);
	case WRONG_PORT:
		return provider_port_is_wrong(f);
	case TLS_TOO_EARLY:
		return tls_mismatch(f, true);
	case TLS_TOO_LATE:
		return tls_mismatch(f, false);
	case NO_TLS:
		return f->tls != NULL && listed("none", f->tls);
	case CHALLENGED:
		return f->challenge != NULL && f->challenge[0] != '\0';
	case NOT_RECIPIENTS:
		return !is_recipients(m);
	case FOREIGN_BANNER:
		return provider_banner_is_foreign(f);
	}
	return false;
}

/* ---- what may be said ---- */

/* Does the reply speak of the session, the login, the account or its quota? At RCPT an account is the
 * recipient's, unless it is said to be ours. */
static bool
is_about_more(const struct diagnosis_match *m)
{
	if (m->stage != SMTP_STAGE_RCPT)
		return words_say(m->said, "@more-than-message");
	return !is_recipients(m) && words_say(m->said, "@more-than-recipient");
}

/*
 * May this rule be the verdict? The only place that knows what never happens: nothing bounces a message
 * before MAIL, and nothing that is said of more than the message does, but where a provider's own words
 * are known to mean the message.
 */
static bool
is_admissible(const struct rule *r, const struct diagnosis_match *m, bool more)
{
	if (r->retry != RETRY_PERMANENT_MESSAGE)
		return true;
	if ((m->stage > SMTP_STAGE_NONE && m->stage < SMTP_STAGE_MAIL) ||
	    m->stage == SMTP_STAGE_QUIT)
		return false;
	return !more || r->fault != SMTP_FAULT_NONE || (r->providers != 0 && r->words != NULL);
}

/* Frank sends MAIL only after the login, so at MAIL and later there was one, where there is one at
 * all and nothing says otherwise. */
static bool
is_signed_in(const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	if (f->login != LOGIN_UNKNOWN)
		return f->login == LOGIN_SUCCEEDED;
	return m->stage >= SMTP_STAGE_MAIL && m->stage <= SMTP_STAGE_QUIT &&
	       (by_token(f) || by_password(f)) &&
	       !words_say(m->said, "@auth-wanted&!@domain-checks");
}

static enum rank
rank_of_fault(
    const struct rule *r, const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	/* The words of a program, which had no reply. */
	bool words_alone =
	    f->reply->fault == SMTP_FAULT_NONE && m->code == 0 && m->enhanced[0] == '\0';

	if (!words_alone && f->reply->fault != r->fault)
		return RANK_NONE;
	if (!words_alone && !r->saying)
		return RANK_FAULT;
	if (r->words == NULL || !words_say(m->said, r->words))
		return RANK_NONE;
	return words_alone ? RANK_WORDS : RANK_FAULT_WORDS;
}

static enum rank
rank_of_reply(
    const struct rule *r, const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	/* Words pasted without their code still say what they say, and a token endpoint's have
	 * none. An enhanced code alone stands for all codes of its class. */
	bool uncoded =
	    m->code == 0 && (f->reply->fault == SMTP_FAULT_NONE || m->stage == SMTP_STAGE_TOKEN);
	bool bare = uncoded && r->words != NULL && m->enhanced[0] == '\0';

	if (!bare && r->codes != NULL && !code_in(r->codes, m->code) &&
	    !(uncoded && m->enhanced[0] != '\0' && strchr(r->codes, m->enhanced[0]) != NULL))
		return RANK_NONE;
	if (!bare && r->enhanced != NULL && !enhanced_in(r->enhanced, m->enhanced))
		return RANK_NONE;
	/* last, because it costs most */
	if (r->words != NULL && !words_say(m->said, r->words))
		return RANK_NONE;
	/* of a token endpoint's rows the order decides: a phrase says more than a provider's error code */
	if (r->words != NULL)
		return r->providers != 0 && r->stages != 1u << SMTP_STAGE_TOKEN
			   ? RANK_PROVIDER_WORDS
			   : RANK_WORDS;
	if (r->enhanced != NULL)
		return r->providers != 0 ? RANK_PROVIDER_ENHANCED : RANK_ENHANCED;
	if (r->codes == NULL)
		return r->when != ALWAYS || r->providers != 0 ? RANK_NONE : RANK_CLASS;
	if (r->providers != 0)
		return RANK_PROVIDER_CODE;
	return r->codes[0] != '\0' && isdigit((unsigned char)r->codes[1]) ? RANK_CODE : RANK_CLASS;
}

static enum rank
rank_of(const struct rule *r, const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	enum rank rank;

	if (r->providers != 0 && (r->providers & m->provider) == 0)
		return RANK_NONE;
	if (r->stages != 0 && m->stage != SMTP_STAGE_NONE && (r->stages & 1u << m->stage) == 0)
		return RANK_NONE;
	/* A gateway in trouble may quote anything: its status goes first. */
	if (m->stage == SMTP_STAGE_TOKEN && r->words != NULL && (m->code == 429 || m->code >= 500))
		return RANK_NONE;
	/* A reply of SMTP is none of a token endpoint's answers. */
	if (m->stage == SMTP_STAGE_NONE && r->stages == 1u << SMTP_STAGE_TOKEN &&
	    (m->enhanced[0] != '\0' || (m->code >= 420 && m->code != 429)))
		return RANK_NONE;
	/* An HTTP status is no SMTP code, though it looks like one, and the words of an authorization
	 * server are about other things. */
	if ((m->stage == SMTP_STAGE_API || m->stage == SMTP_STAGE_TOKEN) &&
	    r->fault == SMTP_FAULT_NONE && r->stages == 0)
		return RANK_NONE;
	if (!holds(r->when, f, m))
		return RANK_NONE;
	rank = r->fault != SMTP_FAULT_NONE ? rank_of_fault(r, f, m) : rank_of_reply(r, f, m);
	/* Where the stage is not known, a bare code is SMTP's, and its class is that of no
	 * particular stage. */
	if (m->stage == SMTP_STAGE_NONE &&
	    ((rank == RANK_CLASS && r->stages != 0) ||
		(rank == RANK_CODE &&
		    (r->stages == 1u << SMTP_STAGE_TOKEN || r->stages == 1u << SMTP_STAGE_API))))
		return RANK_NONE;
	return rank;
}

/*
 * Exchange answers MAIL in a session whose AUTH failed with 5.7.57 and quotes the refusal of AUTH
 * within: "Error: 535 5.7.139 ...". The quoted one is the cause.
 */
static void
take_inner_reply(struct diagnosis_match *m)
{
	const char *inner = strcasestr(m->words, "Error: ");
	size_t len;

	if (inner == NULL || strcmp(m->enhanced, "5.7.57") != 0 || code_at(inner + 7) == 0)
		return;
	inner += 7;
	len = enhanced_at(inner + 4);
	if (len == 0 || len >= sizeof(m->enhanced_inner))
		return;
	m->code = (inner[0] - '0') * 100 + (inner[1] - '0') * 10 + (inner[2] - '0');
	memcpy(m->enhanced_inner, inner + 4, len);
	m->enhanced_inner[len] = '\0';
	m->enhanced = m->enhanced_inner;
	m->stage = SMTP_STAGE_AUTH;
}

void
match_find(const struct diagnosis_facts *facts, struct diagnosis_match *ret)
{
	enum rank best = RANK_NONE;
	bool more;

	memset(ret, 0, sizeof(*ret));
	ret->code = facts->reply->code;
	ret->enhanced = facts->reply->enhanced;
	ret->stage = facts->reply->stage;
	join_words(facts->reply->text, ret->words, sizeof(ret->words));
	if (ret->stage == SMTP_STAGE_TOKEN || ret->stage == SMTP_STAGE_NONE)
		diagnosis_token_words(ret);
	ret->provider = provider_find(facts, ret);
	if (ret->provider == MICROSOFT365)
		take_inner_reply(ret);
	if (ret->stage == SMTP_STAGE_TOKEN || ret->stage == SMTP_STAGE_API)
		memcpy(ret->said, ret->words, sizeof(ret->said));
	else
		mask_addresses(ret->words, ret->said);
	ret->signed_in = is_signed_in(facts, ret);
	more = is_about_more(ret);
	for (size_t i = 0; i < diagnosis_rules_count; i++) {
		const struct rule *r = &diagnosis_rules[i];
		enum rank rank;

		/* Anybody's words were understood already, and the first of them count. */
		if (best <= RANK_WORDS && r->fault == SMTP_FAULT_NONE && r->providers == 0)
			continue;
		rank = is_admissible(r, ret, more) ? rank_of(r, facts, ret) : RANK_NONE;
		if (rank < best) {
			best = rank;
			ret->rule = r;
		}
	}
	if (ret->rule == NULL)
		ret->rule = &diagnosis_rules[diagnosis_rules_count - 1];
}
