/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * command.c: the grammar of SMTP commands (RFC 5321 section 4.1) and of the parameters of MAIL and
 * RCPT, as the server reads them and the client writes them (smtp.h).
 *
 * A parameter is a row of a table: its name, the extension that brings it, whether it bears a
 * value, and the function that reads it. A parameter given twice is refused, so that nobody can
 * hide one behind another.
 */
#include "base/smtp/smtp.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/codec.h"

static const struct verb {
	const char *name;
	enum smtp_verb verb;
} verbs[] = {
    {"EHLO", SMTP_VERB_EHLO},
    {"HELO", SMTP_VERB_HELO},
    {"MAIL", SMTP_VERB_MAIL},
    {"RCPT", SMTP_VERB_RCPT},
    {"DATA", SMTP_VERB_DATA},
    {"BDAT", SMTP_VERB_BDAT},
    {"RSET", SMTP_VERB_RSET},
    {"NOOP", SMTP_VERB_NOOP},
    {"QUIT", SMTP_VERB_QUIT},
    {"VRFY", SMTP_VERB_VRFY},
    {"EXPN", SMTP_VERB_EXPN},
    {"HELP", SMTP_VERB_HELP},
    {"STARTTLS", SMTP_VERB_STARTTLS},
    {"AUTH", SMTP_VERB_AUTH},
    {"XFRANK", SMTP_VERB_XFRANK},
};

static bool
is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

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
		if (is_word(line, verb, verbs[i].name))
			ret->verb = verbs[i].verb;
	while (verb < len && is_blank(line[verb]))
		verb++;
	while (len > verb && is_blank(line[len - 1]))
		len--;
	ret->argument = line + verb;
	ret->argument_len = len - verb;
}

/* ---- parameters ---- */

/* Reads a value into the parameters: 0, or the reply code to give. */
typedef int parameter_read(void *params, const char *value, size_t len);

struct parameter {
	const char *name;
	unsigned extension;
	bool value;
	parameter_read *read;
};

/* xtext that fits `to` and decodes to text without control characters. */
static int
read_xtext(char *to, size_t size, const char *value, size_t len)
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
read_size(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	/* RFC 1870 section 3: at most 20 digits. */
	if (len == 0 || len > 20)
		return 501;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9' ||
		    __builtin_mul_overflow(p->size, 10, &p->size) ||
		    __builtin_add_overflow(p->size, (uint64_t)(value[i] - '0'), &p->size))
			return 501;
	}
	return 0;
}

static int
read_body(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	if (is_word(value, len, "7BIT"))
		p->body = SMTP_BODY_7BIT;
	else if (is_word(value, len, "8BITMIME"))
		p->body = SMTP_BODY_8BITMIME;
	else if (is_word(value, len, "BINARYMIME"))
		p->body = SMTP_BODY_BINARYMIME;
	else
		return 501;
	return 0;
}

static int
read_smtputf8(void *params, const char *value, size_t len)
{
	((struct smtp_mail_params *)params)->smtputf8 = true;
	return 0;
}

static int
read_requiretls(void *params, const char *value, size_t len)
{
	((struct smtp_mail_params *)params)->requiretls = true;
	return 0;
}

static int
read_ret(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	if (is_word(value, len, "FULL"))
		p->ret = SMTP_RET_FULL;
	else if (is_word(value, len, "HDRS"))
		p->ret = SMTP_RET_HDRS;
	else
		return 501;
	return 0;
}

static int
read_envid(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	return read_xtext(p->envid, sizeof(p->envid), value, len);
}

/* RFC 4954 section 5: a server takes it and may treat it as "<>", which is what Frank does: whoever
 * submits is known by other means. */
static int
read_auth(void *params, const char *value, size_t len)
{
	char ignored[512];

	return len == 2 && memcmp(value, "<>", 2) == 0
		   ? 0
		   : read_xtext(ignored, sizeof(ignored), value, len);
}

static int
read_xid(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	if (len != sizeof(p->submission_id) - 1)
		return 501;
	for (size_t i = 0; i < len; i++)
		if (strchr("0123456789abcdef", value[i]) == NULL || value[i] == '\0')
			return 501;
	memcpy(p->submission_id, value, len);
	return 0;
}

/* Decodes xtext without control characters into `to`, which was zeroed. */
static int
read_text(char *to, size_t size, const char *value, size_t len)
{
	CLEANUP_BUF struct buf text = BUF_INIT(size - 1);
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
		memcpy(to, text.data, text.len);
	return 0;
}

static int
read_xname(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	return read_text(p->full_name, sizeof(p->full_name), value, len);
}

static int
read_xaccount(void *params, const char *value, size_t len)
{
	struct smtp_mail_params *p = params;

	return read_text(p->account, sizeof(p->account), value, len);
}

static int
read_xcaller(void *params, const char *value, size_t len)
{
	((struct smtp_mail_params *)params)->caller = true;
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
		if (is_word(s, len, notify_words[i].word))
			return notify_words[i].bit;
	return 0;
}

static int
read_notify(void *params, const char *value, size_t len)
{
	struct smtp_rcpt_params *p = params;
	const char *end = value + len;

	for (const char *at = value; at <= end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma == NULL ? end : comma;
		unsigned bit = notify_bit(at, (size_t)(stop - at));

		if (bit == 0)
			return 501;
		p->notify |= bit;
		at = stop + 1;
	}
	/* RFC 3461 section 4.1: NEVER stands alone. */
	return (p->notify & SMTP_NOTIFY_NEVER) != 0 && p->notify != SMTP_NOTIFY_NEVER ? 501 : 0;
}

static int
read_orcpt(void *params, const char *value, size_t len)
{
	struct smtp_rcpt_params *p = params;
	const char *semicolon = memchr(value, ';', len);
	char address[sizeof(p->orcpt)];
	size_t type;
	int code;

	if (semicolon == NULL || semicolon == value || len >= sizeof(p->orcpt))
		return 501;
	type = (size_t)(semicolon - value);
	for (size_t i = 0; i < type; i++)
		if ((unsigned char)value[i] <= 0x20 || (unsigned char)value[i] >= 0x7f)
			return 501;
	code = read_xtext(address, sizeof(address), semicolon + 1, len - type - 1);
	if (code != 0)
		return code;
	memcpy(p->orcpt, value, len);
	p->orcpt[len] = '\0';
	return 0;
}

static const struct parameter mail_parameters[] = {
    {"SIZE", SMTP_EXT_SIZE, true, read_size},
    {"BODY", SMTP_EXT_8BITMIME | SMTP_EXT_BINARYMIME, true, read_body},
    {"SMTPUTF8", SMTP_EXT_SMTPUTF8, false, read_smtputf8},
    {"REQUIRETLS", SMTP_EXT_REQUIRETLS, false, read_requiretls},
    {"RET", SMTP_EXT_DSN, true, read_ret},
    {"ENVID", SMTP_EXT_DSN, true, read_envid},
    {"AUTH", SMTP_EXT_AUTH, true, read_auth},
    {"XID", SMTP_EXT_XFRANK, true, read_xid},
    {"XNAME", SMTP_EXT_XFRANK, true, read_xname},
    {"XACCOUNT", SMTP_EXT_XFRANK, true, read_xaccount},
    {"XCALLER", SMTP_EXT_XFRANK, false, read_xcaller},
};

static const struct parameter rcpt_parameters[] = {
    {"NOTIFY", SMTP_EXT_DSN, true, read_notify},
    {"ORCPT", SMTP_EXT_DSN, true, read_orcpt},
};

static int
read_parameter(const struct parameter *table, size_t rows, const char *s, size_t len,
    unsigned extensions, unsigned *seen, void *params, const char **ret_why)
{
	const char *equals = memchr(s, '=', len);
	size_t name = equals == NULL ? len : (size_t)(equals - s);
	int code;

	for (size_t i = 0; i < rows; i++) {
		const struct parameter *p = &table[i];

		if (!is_word(s, name, p->name) || (p->extension & extensions) == 0)
			continue;
		*ret_why = "Parameter given twice";
		if ((*seen & 1U << i) != 0)
			return 501;
		*seen |= 1U << i;
		*ret_why = "Bad parameter value";
		if (p->value != (equals != NULL))
			return 501;
		code = p->read(
		    params, equals == NULL ? "" : equals + 1, equals == NULL ? 0 : len - name - 1);
		return code;
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
