/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * command.c: the grammar of SMTP commands (RFC 5321 section 4.1) and of the parameters of MAIL and
 * RCPT, as the server reads them and the client writes them (smtp.h).
 *
 * A parameter is a row of a table: its name, the extension that brings it, the function that reads its
 * value, and where the value goes. A parameter given twice is refused, so that nobody can hide one
 * behind another.
 */
#include "base/smtp/smtp.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/codec.h"

static const char *const verbs[] = {
    [SMTP_VERB_EHLO] = "EHLO",
    [SMTP_VERB_HELO] = "HELO",
    [SMTP_VERB_MAIL] = "MAIL",
    [SMTP_VERB_RCPT] = "RCPT",
    [SMTP_VERB_DATA] = "DATA",
    [SMTP_VERB_BDAT] = "BDAT",
    [SMTP_VERB_RSET] = "RSET",
    [SMTP_VERB_NOOP] = "NOOP",
    [SMTP_VERB_QUIT] = "QUIT",
    [SMTP_VERB_VRFY] = "VRFY",
    [SMTP_VERB_EXPN] = "EXPN",
    [SMTP_VERB_HELP] = "HELP",
    [SMTP_VERB_STARTTLS] = "STARTTLS",
    [SMTP_VERB_AUTH] = "AUTH",
    [SMTP_VERB_XFRANK] = "XFRANK",
};

const struct smtp_keyword smtp_keywords[] = {
    {SMTP_EXT_PIPELINING, "PIPELINING"},
    {SMTP_EXT_8BITMIME, "8BITMIME"},
    {SMTP_EXT_SMTPUTF8, "SMTPUTF8"},
    {SMTP_EXT_DSN, "DSN"},
    {SMTP_EXT_CHUNKING, "CHUNKING"},
    {SMTP_EXT_BINARYMIME, "BINARYMIME"},
    {SMTP_EXT_ENHANCED, "ENHANCEDSTATUSCODES"},
    {SMTP_EXT_REQUIRETLS, "REQUIRETLS"},
    {SMTP_EXT_STARTTLS, "STARTTLS"},
    {SMTP_EXT_XFRANK, "XFRANK"},
    {SMTP_EXT_SIZE, "SIZE"},
    {SMTP_EXT_AUTH, "AUTH"},
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void
smtp_command_parse(const char *line, size_t len, struct smtp_command *ret)
{
	size_t verb = 0;

	*ret = (struct smtp_command){.verb = SMTP_VERB_UNKNOWN};
	while (verb < len && !is_blank(line[verb]))
		verb++;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (verbs[i] != NULL && text_is(line, verb, verbs[i]))
			ret->verb = (enum smtp_verb)i;
	while (verb < len && is_blank(line[verb]))
		verb++;
	while (len > verb && is_blank(line[len - 1]))
		len--;
	ret->argument = line + verb;
	ret->argument_len = len - verb;
}

/* ---- parameters ---- */

struct parameter {
	const char *name;
	unsigned extension;
	/* Reads a value into the parameters: 0, or the reply code to give. NULL: a flag, without a value. */
	int (*read)(const struct parameter *p, void *params, const char *value, size_t len);
	size_t at, size; /* of the member that holds it; what `read` knows itself is not told */
};

/* The parameter's member. */
static void *
member_of(const struct parameter *p, void *params)
{
	return (char *)params + p->at;
}

/* xtext that fits `to` and decodes to text without control characters. */
static int
copy_xtext(char *to, size_t size, const char *value, size_t len)
{
	CLEANUP_BUF struct buf plain = BUF_INIT(size);
	int r;

	if (len == 0 || len >= size)
		return 501;
	r = xtext_decode(&plain, value, len);
	if (r < 0)
		return r == -ENOMEM ? 451 : 501;
	for (size_t i = 0; i < plain.len; i++)
		if ((unsigned char)plain.data[i] < 0x20 || plain.data[i] == 0x7f)
			return 501;
	memcpy(to, value, len);
	to[len] = '\0';
	return 0;
}

static int
read_xtext(const struct parameter *p, void *params, const char *value, size_t len)
{
	return copy_xtext(member_of(p, params), p->size, value, len);
}

/* RFC 1870 section 3: at most 20 digits. */
static int
read_size(const struct parameter *p, void *params, const char *value, size_t len)
{
	return len <= 20 && text_number(value, len, member_of(p, params)) ? 0 : 501;
}

static int
read_body(const struct parameter *p, void *params, const char *value, size_t len)
{
	static const char *const words[] = {[SMTP_BODY_7BIT] = "7BIT",
	    [SMTP_BODY_8BITMIME] = "8BITMIME",
	    [SMTP_BODY_BINARYMIME] = "BINARYMIME"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i] != NULL && text_is(value, len, words[i])) {
			((struct smtp_mail_params *)params)->body = (enum smtp_body)i;
			return 0;
		}
	return 501;
}

static int
read_ret(const struct parameter *p, void *params, const char *value, size_t len)
{
	struct smtp_mail_params *m = params;

	m->ret = text_is(value, len, "FULL") ? SMTP_RET_FULL : SMTP_RET_HDRS;
	return m->ret == SMTP_RET_FULL || text_is(value, len, "HDRS") ? 0 : 501;
}

/* RFC 4954 section 5: a server takes it and may treat it as "<>", which is what Frank does: whoever
 * submits is known by other means. */
static int
read_auth(const struct parameter *p, void *params, const char *value, size_t len)
{
	char ignored[512];

	return len == 2 && memcmp(value, "<>", 2) == 0
		   ? 0
		   : copy_xtext(ignored, sizeof(ignored), value, len);
}

static int
read_xid(const struct parameter *p, void *params, const char *value, size_t len)
{
	if (len != p->size - 1)
		return 501;
	for (size_t i = 0; i < len; i++)
		if (strchr("0123456789abcdef", value[i]) == NULL || value[i] == '\0')
			return 501;
	memcpy(member_of(p, params), value, len);
	return 0;
}

/* Decodes xtext without control characters. */
static int
read_text(const struct parameter *p, void *params, const char *value, size_t len)
{
	CLEANUP_BUF struct buf text = BUF_INIT(p->size - 1);
	uint32_t point;
	int r = xtext_decode(&text, value, len);
	size_t n;

	if (r < 0)
		return r == -ENOMEM ? 451 : 501;
	for (size_t i = 0; i < text.len; i += n) {
		n = utf8_length(text.data + i, text.len - i, &point);
		if (n == 0 || point < 0x20 || point == 0x7f)
			return 501;
	}
	if (text.len > 0)
		memcpy(member_of(p, params), text.data, text.len); /* was zeroed */
	return 0;
}

static const struct notify {
	const char *word;
	enum smtp_notify bit;
} notify_words[] = {
    {"NEVER", SMTP_NOTIFY_NEVER},
    {"SUCCESS", SMTP_NOTIFY_SUCCESS},
    {"FAILURE", SMTP_NOTIFY_FAILURE},
    {"DELAY", SMTP_NOTIFY_DELAY},
};

static unsigned
notify_bit(const char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(notify_words); i++)
		if (text_is(s, len, notify_words[i].word))
			return notify_words[i].bit;
	return 0;
}

static int
read_notify(const struct parameter *p, void *params, const char *value, size_t len)
{
	unsigned *notify = member_of(p, params);
	const char *end = value + len;

	for (const char *at = value; at <= end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma == NULL ? end : comma;
		unsigned bit = notify_bit(at, (size_t)(stop - at));

		if (bit == 0)
			return 501;
		*notify |= bit;
		at = stop + 1;
	}
	/* RFC 3461 section 4.1: NEVER stands alone. */
	return (*notify & SMTP_NOTIFY_NEVER) != 0 && *notify != SMTP_NOTIFY_NEVER ? 501 : 0;
}

static int
read_orcpt(const struct parameter *p, void *params, const char *value, size_t len)
{
	const char *semicolon = memchr(value, ';', len);
	char address[sizeof(((struct smtp_rcpt_params *)NULL)->orcpt)], *to = member_of(p, params);
	size_t type;
	int code;

	if (semicolon == NULL || semicolon == value || len >= p->size)
		return 501;
	type = (size_t)(semicolon - value);
	for (size_t i = 0; i < type; i++)
		if ((unsigned char)value[i] <= 0x20 || (unsigned char)value[i] >= 0x7f)
			return 501;
	code = copy_xtext(address, sizeof(address), semicolon + 1, len - type - 1);
	if (code != 0)
		return code;
	memcpy(to, value, len);
	to[len] = '\0';
	return 0;
}

#define MAIL(member) \
	offsetof(struct smtp_mail_params, member), sizeof(((struct smtp_mail_params *)NULL)->member)
#define RCPT(member) \
	offsetof(struct smtp_rcpt_params, member), sizeof(((struct smtp_rcpt_params *)NULL)->member)

static const struct parameter mail_parameters[] = {
    {"SIZE", SMTP_EXT_SIZE, read_size, MAIL(size)},
    {"BODY", SMTP_EXT_8BITMIME | SMTP_EXT_BINARYMIME, read_body},
    {"SMTPUTF8", SMTP_EXT_SMTPUTF8, NULL, MAIL(smtputf8)},
    {"REQUIRETLS", SMTP_EXT_REQUIRETLS, NULL, MAIL(requiretls)},
    {"RET", SMTP_EXT_DSN, read_ret},
    {"ENVID", SMTP_EXT_DSN, read_xtext, MAIL(envid)},
    {"AUTH", SMTP_EXT_AUTH, read_auth},
    {"XID", SMTP_EXT_XFRANK, read_xid, MAIL(submission_id)},
    {"XNAME", SMTP_EXT_XFRANK, read_text, MAIL(full_name)},
    {"XACCOUNT", SMTP_EXT_XFRANK, read_text, MAIL(account)},
    {"XCALLER", SMTP_EXT_XFRANK, NULL, MAIL(caller)},
};

static const struct parameter rcpt_parameters[] = {
    {"NOTIFY", SMTP_EXT_DSN, read_notify, RCPT(notify)},
    {"ORCPT", SMTP_EXT_DSN, read_orcpt, RCPT(orcpt)},
};

static int
read_parameter(const struct parameter *table, size_t rows, const char *s, size_t len,
    unsigned extensions, unsigned *seen, void *params, const char **ret_why)
{
	const char *equals = memchr(s, '=', len);
	size_t name = equals == NULL ? len : (size_t)(equals - s);

	for (size_t i = 0; i < rows; i++) {
		const struct parameter *p = &table[i];

		if (!text_is(s, name, p->name) || (p->extension & extensions) == 0)
			continue;
		*ret_why = "Parameter given twice";
		if ((*seen & 1U << i) != 0)
			return 501;
		*seen |= 1U << i;
		*ret_why = "Bad parameter value";
		if ((p->read != NULL) != (equals != NULL))
			return 501;
		if (p->read != NULL)
			return p->read(p, params, equals + 1, len - name - 1);
		*(bool *)member_of(p, params) = true;
		return 0;
	}
	*ret_why = "Unsupported parameter";
	return 555;
}

static int
read_parameters(const struct parameter *table, size_t rows, const char *s, const char *end,
    unsigned extensions, void *params, const char **ret_why)
{
	unsigned seen = 0;
	int code = 0;

	while (s < end && code == 0) {
		const char *stop;

		if (!is_blank(*s)) {
			*ret_why = "A space must follow the address";
			return 501;
		}
		while (s < end && is_blank(*s))
			s++;
		for (stop = s; stop < end && !is_blank(*stop);)
			stop++;
		if (stop > s)
			code = read_parameter(
			    table, rows, s, (size_t)(stop - s), extensions, &seen, params, ret_why);
		s = stop;
	}
	return code;
}

/* ---- addresses ---- */

/* The first '>' outside quotes, or blank where the address has no angle brackets; NULL: none. */
static const char *
path_end(const char *s, const char *end, bool brackets)
{
	bool quoted = false;

	for (; s < end; s++) {
		if (quoted && *s == '\\' && s + 1 < end)
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (!quoted && (brackets ? *s == '>' : is_blank(*s)))
			return s;
	}
	return NULL;
}

/* Behind the source route "@one,@two:" (RFC 5321 section 4.1.1.3: to be ignored), or `s` where
 * there is none. */
static const char *
skip_route(const char *s, const char *end)
{
	const char *colon;

	if (s == end || *s != '@')
		return s;
	colon = memchr(s, ':', (size_t)(end - s));
	return colon == NULL ? s : colon + 1;
}

/* Reads `prefix` and the path behind it; *at is moved to the parameters. */
static int
read_path(
    const char *prefix, const char **at, const char *end, char *ret_address, const char **ret_why)
{
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX);
	size_t prefix_len = strlen(prefix), len;
	const char *s = *at, *stop;
	bool brackets;
	int r;

	*ret_address = '\0';
	*ret_why = "Syntax error in arguments";
	if ((size_t)(end - s) < prefix_len || strncasecmp(s, prefix, prefix_len) != 0)
		return 501;
	/* RFC 5321 allows no space here and wants angle brackets; devices send the one and not the
	 * other, and nobody misunderstands it. */
	for (s += prefix_len; s < end && is_blank(*s);)
		s++;
	*ret_why = "An address is needed";
	if (s == end)
		return 501;
	brackets = *s == '<';
	stop = path_end(s + brackets, end, brackets);
	*ret_why = "The address must end in an angle bracket";
	if (stop == NULL && brackets)
		return 501;
	if (stop == NULL)
		stop = end;
	*at = stop + brackets;
	s = skip_route(s + brackets, stop);
	len = (size_t)(stop - s);
	if (len == 0)
		return 0;
	*ret_why = "Bad address syntax";
	r = address_read(s, len, true, &address);
	if (r < 0)
		return r == -EBADMSG ? 553 : 451;
	memcpy(ret_address, address.data, address.len + 1);
	return 0;
}

int
smtp_mail_parse(const char *argument, size_t len, unsigned extensions, char *ret_address,
    struct smtp_mail_params *ret, const char **ret_why)
{
	const char *at = argument, *end = argument + len;
	int code;

	*ret = (struct smtp_mail_params){0};
	code = read_path("FROM:", &at, end, ret_address, ret_why);
	if (code == 0)
		code = read_parameters(mail_parameters, ARRAY_SIZE(mail_parameters), at, end,
		    extensions, ret, ret_why);
	if (code == 0 &&
	    ((ret->body == SMTP_BODY_BINARYMIME && (extensions & SMTP_EXT_BINARYMIME) == 0) ||
		(ret->body == SMTP_BODY_8BITMIME && (extensions & SMTP_EXT_8BITMIME) == 0))) {
		*ret_why = "Unsupported body type";
		code = 555;
	}
	return code;
}

int
smtp_rcpt_parse(const char *argument, size_t len, unsigned extensions, char *ret_address,
    struct smtp_rcpt_params *ret, const char **ret_why)
{
	const char *at = argument, *end = argument + len;
	int code;

	*ret = (struct smtp_rcpt_params){0};
	code = read_path("TO:", &at, end, ret_address, ret_why);
	if (code == 0 && *ret_address == '\0') {
		*ret_why = "A recipient is needed";
		code = 553;
	}
	if (code == 0)
		code = read_parameters(rcpt_parameters, ARRAY_SIZE(rcpt_parameters), at, end,
		    extensions, ret, ret_why);
	return code;
}

int
smtp_rcpt_params_format(struct buf *out, const struct smtp_rcpt_params *p)
{
	const char *mark = " NOTIFY=";
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(notify_words) && r == 0; i++) {
		if ((p->notify & notify_words[i].bit) == 0)
			continue;
		r = buf_printf(out, "%s%s", mark, notify_words[i].word);
		mark = ",";
	}
	if (r == 0 && p->orcpt[0] != '\0')
		r = buf_printf(out, " ORCPT=%s", p->orcpt);
	return r;
}
