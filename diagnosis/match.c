/*
 * match.c: finds the rule for an outcome.
 *
 * A rule matches when everything that it names holds. Among those that match the one that demands
 * most wins (enum rank, after the order in which people read a refusal: the provider's own words,
 * then its enhanced code, then anybody's words and codes, then the class of the code); among equals
 * the first of the table. The last row matches anything, so there is always an answer.
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
	RANK_PROVIDER_CODE,
	RANK_WORDS,
	RANK_FAULT,
	RANK_ENHANCED,
	RANK_CODE,
	RANK_CLASS,
	RANK_NONE,
};

static const struct {
	unsigned bit;
	const char *name;  /* for people */
	const char *keys;  /* names of presets begin with one of these */
	const char *hosts; /* ends of host names */
	const char *marks; /* words that only its servers write */
} providers[] = {
    {MICROSOFT, "Microsoft 365", "microsoft outlook office exchange hotmail m365",
	".office365.com .office365.us .outlook.com .outlook.cn .outlook.de",
	".outlook.com]|.outlook.com;|aadsts|.office365.com]|prod.outlook.com"},
    {GOOGLE, "Google", "google gmail workspace",
	".gmail.com .google.com .googlemail.com .googleapis.com",
	"- gsmtp|support.google.com|- gcdp"},
    {SES, "Amazon SES", "ses amazon aws", ".amazonaws.com", "amazonaws.com|ses:sendrawemail"},
    {SENDGRID, "SendGrid", "sendgrid", ".sendgrid.net", "sendgrid"},
    {MAILGUN, "Mailgun", "mailgun", ".mailgun.org", "mailgun"},
    {POSTMARK, "Postmark", "postmark", ".postmarkapp.com", "postmark"},
    {YAHOO, "Yahoo", "yahoo aol", ".yahoo.com .aol.com .yahoodns.net",
	"#auth005|#mbr1212|yahoo.com"},
    {ICLOUD, "iCloud", "icloud apple", ".mail.me.com .icloud.com", "icloud.com"},
    {MAILRU, "Mail.ru", "mailru mail.ru", ".mail.ru", "mail.ru|neobhodim"},
    {YANDEX, "Yandex", "yandex", ".yandex.com .yandex.ru .yandex.net", "yandex"},
    {ZOHO, "Zoho", "zoho", ".zoho.com .zoho.eu .zoho.in .zoho.com.au .zoho.jp", "zoho"},
    {FASTMAIL, "Fastmail", "fastmail", ".fastmail.com", "fastmail"},
};

const char *
diagnosis_provider_name(unsigned provider)
{
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (providers[i].bit == provider)
			return providers[i].name;
	return "the provider";
}

/* Takes the next word of a list separated by `separator`; its length, or 0 at the end. */
static size_t
next_item(const char **list, char separator, const char **ret)
{
	const char *s = *list;
	size_t len;

	while (*s == separator)
		s++;
	len = strcspn(s, (char[]){separator, '\0'});
	*ret = s;
	*list = s + len;
	return len;
}

/* Where `part` occurs in `text` without regard to case, and not within a longer number; NULL where
 * it does not. */
static const char *
find_part(const char *text, const char *part, size_t len)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (strncasecmp(at, part, len) != 0)
			continue;
		if (isdigit((unsigned char)part[0]) && at > text && isdigit((unsigned char)at[-1]))
			continue;
		if (isdigit((unsigned char)part[len - 1]) && isdigit((unsigned char)at[len]))
			continue;
		return at;
	}
	return NULL;
}

static bool
has_all_parts(const char *text, const char *fragment, size_t len)
{
	const char *end = fragment + len;

	while (fragment < end) {
		const char *stop = memchr(fragment, '&', (size_t)(end - fragment));
		size_t part = (size_t)((stop != NULL ? stop : end) - fragment);

		if (part > 0 && find_part(text, fragment, part) == NULL)
			return false;
		fragment += part + 1;
	}
	return true;
}

static bool
has_words(const char *text, const char *words)
{
	const char *fragment;
	size_t len;

	while ((len = next_item(&words, '|', &fragment)) > 0)
		if (has_all_parts(text, fragment, len))
			return true;
	return false;
}

static bool
code_in(const char *codes, int code)
{
	char digits[4] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
	    (char)('0' + code % 10), '\0'};
	const char *item;
	size_t len;

	while ((len = next_item(&codes, ' ', &item)) > 0)
		if (len <= 3 && strncmp(item, digits, len) == 0)
			return true;
	return false;
}

static bool
enhanced_in(const char *set, const char *enhanced)
{
	const char *item;
	size_t len;

	while ((len = next_item(&set, ' ', &item)) > 0) {
		bool open = item[len - 1] == '*';

		if (open && strncmp(item, enhanced, len - 1) == 0)
			return true;
		if (!open && strncmp(item, enhanced, len) == 0 && enhanced[len] == '\0')
			return true;
	}
	return false;
}

/* Does `s` begin with an enhanced code? Its length, or 0. */
static size_t
enhanced_at(const char *s)
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
		if (strncmp(text, " / ", 3) == 0) {
			out[len++] = ' ';
			text += 3;
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

static bool
ends_with(const char *s, const char *end, size_t end_len)
{
	size_t len = strlen(s);

	return len >= end_len && strncasecmp(s + len - end_len, end, end_len) == 0;
}

static unsigned
provider_by_name(const char *name)
{
	for (size_t i = 0; name != NULL && i < ARRAY_SIZE(providers); i++) {
		const char *keys = providers[i].keys, *key;
		size_t len;

		while ((len = next_item(&keys, ' ', &key)) > 0)
			if (strncasecmp(name, key, len) == 0)
				return providers[i].bit;
	}
	return 0;
}

static unsigned
provider_by_host(const char *host)
{
	for (size_t i = 0; host != NULL && i < ARRAY_SIZE(providers); i++) {
		const char *hosts = providers[i].hosts, *end;
		size_t len;

		while ((len = next_item(&hosts, ' ', &end)) > 0)
			if (ends_with(host, end, len))
				return providers[i].bit;
	}
	return 0;
}

static unsigned
provider_by_words(const char *words)
{
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (has_words(words, providers[i].marks))
			return providers[i].bit;
	return 0;
}

static bool
listed(const char *list, const char *word)
{
	const char *item;
	size_t len;

	while ((len = next_item(&list, ' ', &item)) > 0)
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

	return scopes != NULL && !has_words(scopes, good);
}

static bool
holds(enum condition when, const struct diagnosis_facts *f)
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
		       (f->token_scopes != NULL && has_words(f->token_scopes, "SMTP.SendAsApp"));
	case WRONG_AUDIENCE:
		return f->token_audience != NULL &&
		       !has_words(f->token_audience,
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
	}
	return false;
}

static enum rank
rank_of_fault(
    const struct rule *r, const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	bool said = r->words != NULL && has_words(m->words, r->words);

	if (f->reply->fault == SMTP_FAULT_NONE)
		return m->code == 0 && said ? RANK_WORDS : RANK_NONE;
	if (f->reply->fault != r->fault)
		return RANK_NONE;
	if (r->saying)
		return said ? RANK_FAULT_WORDS : RANK_NONE;
	return RANK_FAULT;
}

static enum rank
rank_of_reply(
    const struct rule *r, const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	/* Words pasted without their code still say what they say, and a token endpoint's have
	 * none. */
	bool bare = m->code == 0 && r->words != NULL &&
		    (f->reply->fault == SMTP_FAULT_NONE || m->stage == SMTP_STAGE_TOKEN);

	if (r->words != NULL && !has_words(m->words, r->words))
		return RANK_NONE;
	if (!bare && r->codes != NULL && !code_in(r->codes, m->code))
		return RANK_NONE;
	if (!bare && r->enhanced != NULL && !enhanced_in(r->enhanced, m->enhanced))
		return RANK_NONE;
	if (r->words != NULL)
		return r->providers != 0 ? RANK_PROVIDER_WORDS : RANK_WORDS;
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
	/* An HTTP status is no SMTP code, though it looks like one. */
	if (m->stage == SMTP_STAGE_API && r->fault == SMTP_FAULT_NONE && r->stages == 0)
		return RANK_NONE;
	if (!holds(r->when, f))
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
	const char *inner = find_part(m->words, "Error: ", 7);
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
diagnosis_match(const struct diagnosis_facts *facts, struct diagnosis_match *ret)
{
	enum rank best = RANK_NONE;

	memset(ret, 0, sizeof(*ret));
	ret->code = facts->reply->code;
	ret->enhanced = facts->reply->enhanced;
	ret->stage = facts->reply->stage;
	join_words(facts->reply->text, ret->words, sizeof(ret->words));
	ret->provider = provider_by_name(facts->provider);
	if (ret->provider == 0)
		ret->provider = provider_by_host(facts->host);
	if (ret->provider == 0)
		ret->provider = provider_by_words(ret->words);
	if (ret->provider == MICROSOFT)
		take_inner_reply(ret);
	for (size_t i = 0; i < diagnosis_rules_count; i++) {
		enum rank rank = rank_of(&diagnosis_rules[i], facts, ret);

		if (rank < best) {
			best = rank;
			ret->rule = &diagnosis_rules[i];
		}
	}
	if (ret->rule == NULL)
		ret->rule = &diagnosis_rules[diagnosis_rules_count - 1];
}
