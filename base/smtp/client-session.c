/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * client-session.c: from the greeting to READY: EHLO, STARTTLS, the choice of a mechanism, AUTH
 * (RFC 4954).
 *
 * One command at a time; nothing is ever sent behind STARTTLS or AUTH. The offer that counts is the
 * last EHLO's: the one inside TLS. The next mechanism is tried only where the server says that it
 * does not do this one (504) or not in this way (501): any further attempt after a 535 would count
 * towards a lock-out.
 *
 * A server that refuses a token may first send a challenge with its reasons (RFC 7628
 * section 3.2.2; Google's page on XOAUTH2). It is answered as the mechanism wants, so that the
 * final reply follows; a second challenge is cancelled.
 */
#include "base/smtp/client-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum { BLANK_RUN = 8, BLANK_LEAST = 4 };

/* ---- the offer ---- */

static const struct {
	const char *keyword;
	enum smtp_extension extension;
} extensions[] = {
    {"PIPELINING", SMTP_EXT_PIPELINING},
    {"8BITMIME", SMTP_EXT_8BITMIME},
    {"SMTPUTF8", SMTP_EXT_SMTPUTF8},
    {"DSN", SMTP_EXT_DSN},
    {"CHUNKING", SMTP_EXT_CHUNKING},
    {"STARTTLS", SMTP_EXT_STARTTLS},
    {"AUTH", SMTP_EXT_AUTH},
    {"SIZE", SMTP_EXT_SIZE},
    {"ENHANCEDSTATUSCODES", SMTP_EXT_ENHANCED},
    {"REQUIRETLS", SMTP_EXT_REQUIRETLS},
    {"BINARYMIME", SMTP_EXT_BINARYMIME},
};

/* The next word of a line; words are separated by spaces. False at the end. */
static bool
next_word(const char **at, const char *end, const char **word, size_t *len)
{
	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
	*word = *at;
	while (*at < end && **at != ' ' && **at != '\t')
		(*at)++;
	*len = (size_t)(*at - *word);
	return *len > 0;
}

static bool
word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

/* Decimal digits and nothing else; a number too big for 64 bits is no limit at all. */
static bool
word_number(const char *word, size_t len, uint64_t *ret)
{
	uint64_t n = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (word[i] < '0' || word[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(word[i] - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}

static void
parse_auth(struct smtp_client *c, const char *at, const char *end)
{
	size_t used = strlen(c->auth_list), len;
	const char *word;

	while (next_word(&at, end, &word, &len)) {
		c->offered_mechanisms |= sasl_mechanism_by_name(word, len);
		if (used + len + 2 < sizeof(c->auth_list)) {
			if (used > 0)
				c->auth_list[used++] = ' ';
			memcpy(c->auth_list + used, word, len);
			used += len;
			c->auth_list[used] = '\0';
		}
	}
}

/* RFC 9422: unknown names and bad values are passed over. */
static void
parse_limits(struct smtp_client *c, const char *at, const char *end)
{
	const char *word;
	size_t len;

	while (next_word(&at, end, &word, &len)) {
		const char *equals = memchr(word, '=', len);
		size_t name = equals == NULL ? len : (size_t)(equals - word);
		uint64_t n;

		if (equals == NULL || !word_number(equals + 1, len - name - 1, &n) || n == 0)
			continue;
		if (word_is(word, name, "MAILMAX") && n < c->mails_left)
			c->mails_left = n;
		if (word_is(word, name, "RCPTMAX"))
			c->recipients_max = n;
		if (word_is(word, name, "RCPTDOMAINMAX"))
			c->domains_max = n;
	}
}

static void
parse_keyword(struct smtp_client *c, const char *line, size_t line_len)
{
	const char *at = line, *end = line + line_len, *word;
	enum smtp_extension extension = 0;
	size_t len;

	if (!next_word(&at, end, &word, &len))
		return;
	if (len > 5 && strncasecmp(word, "AUTH=", 5) == 0) { /* the spelling of before RFC 2554 */
		at = word + 5;
		len = 4;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (word_is(word, len, extensions[i].keyword))
			extension = extensions[i].extension;
	c->extensions |= extension;
	if (extension == SMTP_EXT_AUTH)
		parse_auth(c, at, end);
	else if (extension == SMTP_EXT_SIZE && next_word(&at, end, &word, &len))
		(void)word_number(word, len, &c->size_max);
	else if (word_is(word, len, "LIMITS"))
		parse_limits(c, at, end);
}

static void
forget_offer(struct smtp_client *c)
{
	c->extensions = c->offered_mechanisms = 0;
	c->auth_list[0] = '\0';
	c->size_max = c->recipients_max = c->domains_max = 0;
	c->mails_left = c->config.mails_max > 0 ? c->config.mails_max : UINT64_MAX;
}

/* The first line of the reply is the server's name, the others a keyword each. */
static void
parse_offer(struct smtp_client *c)
{
	const char *at = buf_str(&c->parser.text), *end = at + c->parser.text.len;

	forget_offer(c);
	c->offered = true;
	for (bool first = true; at < end; first = false) {
		const char *lf = memchr(at, '\n', (size_t)(end - at)),
			   *stop = lf == NULL ? end : lf;

		if (!first)
			parse_keyword(c, at, (size_t)(stop - at));
		at = lf == NULL ? end : lf + 1;
	}
}

/* ---- steps ---- */

static void
ask(struct smtp_client *c, enum phase phase)
{
	smtp_reply_parser_free(&c->parser);
	c->phase = phase;
	c->awaiting = true;
}

static void
say_hello(struct smtp_client *c)
{
	ask(c, PHASE_EHLO);
	client_command(c, "EHLO %s", c->ehlo_name);
}

static void
ready(struct smtp_client *c)
{
	client_auth_wipe(c);
	c->phase = PHASE_READY;
	c->event = SMTP_CLIENT_READY;
	if (c->out.len == c->out_at) {
		buf_free(&c->out);
		c->out.wipe = false;
		c->out_at = 0;
	}
}

/* The order where the account has none of its own: what gives the server least comes first. */
static const enum sasl_mechanism usual[] = {SASL_XOAUTH2, SASL_OAUTHBEARER, SASL_SCRAM_SHA_256_PLUS,
    SASL_SCRAM_SHA_256, SASL_PLAIN, SASL_LOGIN};

static enum sasl_mechanism
choose_mechanism(const struct smtp_client *c)
{
	unsigned fit = c->config.mechanisms & c->offered_mechanisms & ~c->auth.tried;

	if (c->config.scram == NULL)
		fit &= ~(unsigned)SASL_SCRAM_MECHANISMS;
	if (c->binding.type == NULL)
		fit &= ~(unsigned)SASL_SCRAM_SHA_256_PLUS;
	for (size_t i = 0; i < ARRAY_SIZE(c->config.order) && c->config.order[i] != SASL_NONE; i++)
		if ((fit & c->config.order[i]) != 0)
			return c->config.order[i];
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if ((fit & usual[i]) != 0)
			return usual[i];
	return SASL_NONE;
}

static void
fail_without_mechanism(struct smtp_client *c)
{
	CLEANUP_BUF struct buf words = BUF_INIT(4096);

	(void)buf_append_str(&words, "The server offers AUTH ");
	(void)text_escape(&words, c->auth_list, strlen(c->auth_list), false);
	(void)buf_append_str(&words, "; the account can use");
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if ((c->config.mechanisms & usual[i]) != 0)
			(void)buf_printf(&words, " %s", sasl_mechanism_name(usual[i]));
	client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_NO_MECHANISM, buf_str(&words));
}

static void
ask_for_credential(struct smtp_client *c)
{
	c->phase = PHASE_CREDENTIAL;
	c->event = SMTP_CLIENT_CREDENTIAL;
}

static void
begin_auth(struct smtp_client *c)
{
	if (c->config.mechanisms == 0) {
		ready(c);
	} else if (!c->tls_active && !c->config.secret_without_tls) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_NOT_SECURE,
		    "A credential would go over a connection without TLS.");
	} else if ((c->extensions & SMTP_EXT_AUTH) == 0) {
		client_fault(
		    c, SMTP_STAGE_AUTH, SMTP_FAULT_NO_AUTH, "The server does not offer AUTH.");
	} else {
		c->auth.mechanism = choose_mechanism(c);
		if (c->auth.mechanism == SASL_NONE)
			fail_without_mechanism(c);
		else
			ask_for_credential(c);
	}
}

static void
greeting_reply(struct smtp_client *c)
{
	if (c->parser.code >= 400)
		client_close_by_reply(c);
	else if (c->parser.code != 220)
		client_protocol_error(c, "The server greets with a code of its own");
	else
		say_hello(c);
}

static void
ehlo_reply(struct smtp_client *c)
{
	bool plain = c->config.tls == SMTP_TLS_NONE && c->config.mechanisms == 0;

	if (c->parser.code >= 500 && plain) {
		/* A server of before ESMTP: enough for an account that wants neither TLS nor AUTH.
		 */
		forget_offer(c);
		ask(c, PHASE_HELO);
		client_command(c, "HELO %s", c->ehlo_name);
		return;
	}
	if (c->parser.code >= 400) {
		client_close_by_reply(c);
		return;
	}
	if (c->parser.code >= 300) {
		client_protocol_error(c, "The server answers EHLO with a code of its own");
		return;
	}
	parse_offer(c);
	c->awaiting = false;
	smtp_reply_parser_free(&c->parser);
	if (c->config.tls != SMTP_TLS_STARTTLS || c->tls_active) {
		begin_auth(c);
	} else if ((c->extensions & SMTP_EXT_STARTTLS) == 0) {
		client_fault(c, SMTP_STAGE_STARTTLS, SMTP_FAULT_NO_STARTTLS,
		    "The server does not offer STARTTLS.");
	} else {
		ask(c, PHASE_STARTTLS);
		client_command(c, "STARTTLS");
	}
}

static void
helo_reply(struct smtp_client *c)
{
	if (c->parser.code >= 400) {
		client_close_by_reply(c);
		return;
	}
	c->awaiting = false;
	smtp_reply_parser_free(&c->parser);
	ready(c);
}

static void
starttls_reply(struct smtp_client *c)
{
	if (c->parser.code >= 400) {
		client_close_by_reply(c);
		return;
	}
	if (c->parser.code != 220) {
		client_protocol_error(c, "The server answers STARTTLS with a code of its own");
		return;
	}
	smtp_reply_parser_free(&c->parser);
	c->clear_offered = c->offered;
	c->clear_extensions = c->extensions;
	c->clear_size_max = c->size_max;
	memcpy(c->clear_auth_list, c->auth_list, sizeof(c->clear_auth_list));
	forget_offer(c);
	c->offered = false;
	c->awaiting = false;
	c->phase = PHASE_TLS;
	c->event = SMTP_CLIENT_START_TLS;
}

struct smtp_client_offer
smtp_client_offer(const struct smtp_client *c, bool within)
{
	if (within == c->tls_active)
		return (struct smtp_client_offer){
		    c->offered, c->extensions, c->auth_list, c->size_max};
	return (struct smtp_client_offer){!within && c->clear_offered,
	    within ? 0 : c->clear_extensions, within ? "" : c->clear_auth_list,
	    within ? 0 : c->clear_size_max};
}

void
smtp_client_binding(struct smtp_client *c, const struct scram_binding *binding)
{
	c->binding = *binding;
}

void
smtp_client_tls_done(struct smtp_client *c, const char *description, uint64_t now)
{
	if (c->phase != PHASE_TLS)
		return;
	c->now = c->since = now;
	c->tls_active = true;
	client_note_format(c, NULL, true, "%s", description);
	if (c->config.tls == SMTP_TLS_IMPLICIT)
		ask(c, PHASE_GREETING);
	else
		say_hello(c);
}

/* ---- AUTH ---- */

void
client_auth_wipe(struct smtp_client *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->auth.raw); i++) {
		buf_free(&c->auth.raw[i]);
		buf_free(&c->auth.encoded[i]);
	}
	c->auth.scram = scram_free(c->auth.scram);
	c->auth.count = c->auth.next = 0;
	c->auth.challenged = c->auth.cancelled = false;
	c->auth.challenge[0] = '\0';
}

/* Overwrites every run of `text` that is also in `secret`. */
static void
blank_runs(char *text, size_t len, const char *secret, size_t secret_len)
{
	size_t least = secret_len < BLANK_RUN ? secret_len : BLANK_RUN;

	for (size_t at = 0; least >= BLANK_LEAST && at + least <= len; at++) {
		const char *found = memmem(secret, secret_len, text + at, least);
		const char *end = secret + secret_len;
		size_t run = least;

		if (found == NULL)
			continue;
		while (at + run < len && found + run < end && text[at + run] == found[run])
			run++;
		memset(text + at, '*', run);
		at += run - 1;
	}
}

void
client_blank_secrets(const struct smtp_client *c, char *text, size_t len)
{
	const struct auth *a = &c->auth;
	unsigned last;

	if (a->count == 0)
		return;
	last = a->count - 1;
	if (a->scram != NULL) {
		const struct secret *password = scram_password(a->scram);

		/* The proof is good for this login only; the password was never said. */
		blank_runs(text, len, (const char *)secret_bytes(password), secret_len(password));
		return;
	}
	/* The user, first of two responses, is no secret. */
	blank_runs(text, len, a->encoded[last].data, a->encoded[last].len);
	blank_runs(text, len, a->raw[last].data + a->secret_at, a->raw[last].len - a->secret_at);
}

static void
describe_responses(struct auth *a, const char *user, size_t secret_len)
{
	char shown[200];
	CLEANUP_BUF struct buf escaped = BUF_INIT(4096);

	(void)text_escape(&escaped, user, strnlen(user, 256), false);
	(void)snprintf(shown, sizeof(shown), "%s", buf_str(&escaped));
	if (a->scram != NULL) {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s, nonce>", shown);
		(void)snprintf(a->said[1], sizeof(a->said[1]), "<proof>");
	} else if ((a->mechanism & SASL_TOKEN_MECHANISMS) != 0) {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s, token %zu octets>", shown,
		    secret_len);
	} else if (a->count == 1) {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s, password>", shown);
	} else {
		(void)snprintf(a->said[0], sizeof(a->said[0]), "<user=%s>", shown);
		(void)snprintf(a->said[1], sizeof(a->said[1]), "<password>");
	}
}

/* What the server may conclude about our binding (scram.h). */
static enum scram_use
scram_use(const struct smtp_client *c)
{
	bool can_bind =
	    c->binding.type != NULL && (c->config.mechanisms & SASL_SCRAM_SHA_256_PLUS) != 0;

	if (c->auth.mechanism == SASL_SCRAM_SHA_256_PLUS)
		return SCRAM_BOUND;
	return can_bind && (c->offered_mechanisms & SASL_SCRAM_SHA_256_PLUS) == 0 ? SCRAM_OFFERED
										  : SCRAM_UNBOUND;
}

/* The next response of SCRAM, behind what the server said. As scram_respond. */
static int
prepare_scram(struct smtp_client *c, const char *challenge, size_t len, const char **ret_why)
{
	struct auth *a = &c->auth;
	unsigned i = a->count;
	int r = scram_respond(a->scram, challenge, len, &a->raw[i], ret_why);

	if (r == 0)
		r = base64_encode(&a->encoded[i], a->raw[i].data, a->raw[i].len);
	if (r == 0)
		a->count++;
	return r;
}

/* The first response: the others come from what the server says. */
static int
begin_scram(struct smtp_client *c, const char *user, struct secret *secret)
{
	const char *why;
	int r;

	c->auth.scram = scram_new(c->config.scram, scram_use(c), &c->binding, user, secret);
	if (c->auth.scram == NULL)
		return -errno;
	r = prepare_scram(c, NULL, 0, &why);
	if (r == 0)
		describe_responses(&c->auth, user, secret_len(secret));
	return r;
}

/* Makes all responses. 0; -EINVAL, -EMSGSIZE: the mechanism cannot carry them; -ENOMEM. */
static int
prepare_responses(struct smtp_client *c, const char *user, struct secret *secret)
{
	struct auth *a = &c->auth;
	unsigned count = sasl_response_count(a->mechanism), last = count - 1;
	size_t tail = (a->mechanism & SASL_TOKEN_MECHANISMS) != 0
			  ? 2
			  : 0; /* what follows a token in its response */
	int r = 0;

	client_auth_wipe(c);
	if ((a->mechanism & SASL_SCRAM_MECHANISMS) != 0)
		return begin_scram(c, user, secret);
	for (unsigned i = 0; i < count && r == 0; i++) {
		r = sasl_response(
		    a->mechanism, i, user, secret, c->host, c->config.port, &a->raw[i]);
		if (r == 0)
			r = base64_encode(&a->encoded[i], a->raw[i].data, a->raw[i].len);
		if (r == 0 && a->encoded[i].len + 2 > SMTP_AUTH_LINE_MAX)
			r = -EMSGSIZE;
	}
	if (r < 0)
		return r == -ENOBUFS ? -EMSGSIZE : r;
	a->count = count;
	a->secret_at = a->raw[last].len - tail - secret_len(secret);
	describe_responses(a, user, secret_len(secret));
	return 0;
}

/* Sends the next response on a line of its own, or behind `command`. */
static void
send_response(struct smtp_client *c, const char *command)
{
	struct auth *a = &c->auth;
	const struct buf *encoded = &a->encoded[a->next];
	char line[400];

	(void)snprintf(line, sizeof(line), "%s%s", command, a->said[a->next]);
	client_note(c, NULL, true, "C: ", line, strlen(line));
	a->next++;
	if (client_put(c, command, strlen(command)) && client_put(c, encoded->data, encoded->len))
		(void)client_put(c, "\r\n", 2);
}

void
smtp_client_credential(struct smtp_client *c, const char *user, struct secret *secret, uint64_t now)
{
	const char *name = sasl_mechanism_name(c->auth.mechanism);
	char command[32], words[160];
	size_t len;
	int r;

	if (c->phase != PHASE_CREDENTIAL && c->phase != PHASE_AUTH_FAILED)
		return;
	c->now = c->since = now;
	r = prepare_responses(c, user, secret);
	if (r == -EINVAL || r == -EMSGSIZE) {
		(void)snprintf(words, sizeof(words), "%s, so %s cannot carry it.",
		    r == -EINVAL ? "The user name or the secret is empty or holds a control "
				   "character or a space"
				 : "The secret is too long for an SMTP line",
		    name);
		smtp_client_fail(c, SMTP_STAGE_TOKEN, SMTP_FAULT_NO_CREDENTIAL, words);
		return;
	}
	if (r < 0) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
		return;
	}
	ask(c, PHASE_AUTH);
	len = (size_t)snprintf(command, sizeof(command), "AUTH %s ", name);
	/* RFC 4954 section 4: a command line that would be too long goes without the initial
	 * response. */
	if (sasl_has_initial_response(c->auth.mechanism) &&
	    len + c->auth.encoded[0].len + 2 <= SMTP_COMMAND_MAX)
		send_response(c, command);
	else
		client_command(c, "AUTH %s", name);
}

/* Keeps what a challenge says, for people: JSON in practice, but whatever it is it is shown
 * escaped. */
static void
keep_challenge(struct smtp_client *c)
{
	CLEANUP_BUF struct buf json = BUF_INIT(SMTP_REPLY_LINE_MAX),
			       shown = BUF_INIT((size_t)4 * SMTP_REPLY_LINE_MAX);
	struct auth *a = &c->auth;
	size_t len = c->parser.text.len / 4 * 4;

	if (base64_decode(&json, buf_str(&c->parser.text), len) < 0 || json.len == 0)
		return;
	client_blank_secrets(c, json.data, json.len);
	if (text_escape(&shown, json.data, json.len < 400 ? json.len : 400, false) < 0)
		return;
	(void)snprintf(a->challenge, sizeof(a->challenge), "%s", buf_str(&shown));
	client_note_format(c, NULL, true, "the challenge says %s", a->challenge);
}

/* An empty line, which lets the server go on to its final reply. */
static void
answer_nothing(struct smtp_client *c)
{
	client_note(c, NULL, true, "C: ", "", 0);
	(void)client_put(c, "\r\n", 2);
}

static void
answer_scram(struct smtp_client *c)
{
	CLEANUP_BUF struct buf challenge = BUF_INIT(SMTP_REPLY_LINE_MAX);
	struct auth *a = &c->auth;
	const char *why;
	int r;

	if (base64_decode(&challenge, buf_str(&c->parser.text), c->parser.text.len) < 0)
		buf_clear(&challenge); /* no message of SCRAM either */
	if (challenge.len >= 2 && memcmp(challenge.data, "e=", 2) == 0 && !a->challenged) {
		keep_challenge(c);
		a->challenged = true;
		answer_nothing(c);
		return;
	}
	r = a->count < ARRAY_SIZE(a->raw)
		? prepare_scram(c, buf_str(&challenge), challenge.len, &why)
		: scram_respond(a->scram, buf_str(&challenge), challenge.len, &a->raw[1], &why);
	if (r == -EBADMSG) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_PROTOCOL, why);
	} else if (r < 0) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
	} else if (scram_is_proven(a->scram)) {
		client_note_format(
		    c, NULL, true, "the server proved that it knows the password too");
		answer_nothing(c);
	} else {
		send_response(c, "");
	}
}

static void
answer_challenge(struct smtp_client *c)
{
	struct auth *a = &c->auth;
	const char *answer = a->challenged ? NULL : sasl_error_answer(a->mechanism);

	if (a->next < a->count) {
		send_response(c, "");
	} else if (a->scram != NULL && !a->challenged) {
		answer_scram(c);
	} else if (answer != NULL && *answer == '\0') {
		keep_challenge(c);
		a->challenged = true;
		answer_nothing(c);
	} else if (answer != NULL) {
		CLEANUP_BUF struct buf encoded = BUF_INIT(64);

		keep_challenge(c);
		a->challenged = true;
		if (base64_encode(&encoded, answer, strlen(answer)) == 0)
			client_command(c, "%s", buf_str(&encoded));
		else
			client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
	} else {
		a->cancelled = true;
		client_command(c, "*");
	}
	smtp_reply_parser_free(&c->parser);
}

/* The final words, with what the challenge said. */
static void
auth_failed(struct smtp_client *c)
{
	char *text = NULL;

	smtp_reply_clear(&c->event_reply);
	if (smtp_reply_parser_take(&c->parser, SMTP_STAGE_AUTH, &c->event_reply) < 0) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_LOCAL, NULL);
		return;
	}
	if (c->auth.challenge[0] != '\0' &&
	    asprintf(&text, "%s [challenge: %s]", c->event_reply.text, c->auth.challenge) >= 0) {
		free(c->event_reply.text);
		c->event_reply.text = text;
	}
	client_auth_wipe(c);
	c->phase = PHASE_AUTH_FAILED;
	c->event = SMTP_CLIENT_AUTH_FAILED;
}

static void
auth_refused(struct smtp_client *c)
{
	int code = c->parser.code;
	enum sasl_mechanism next = SASL_NONE;

	c->awaiting = false;
	if (c->auth.cancelled) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_PROTOCOL,
		    "The server asked for more than the mechanism has to say.");
		return;
	}
	if ((code == 504 || code == 501) && !c->auth.challenged) {
		c->auth.tried |= c->auth.mechanism;
		next = choose_mechanism(c);
	}
	if (next == SASL_NONE) {
		auth_failed(c);
		return;
	}
	client_auth_wipe(c);
	smtp_reply_parser_free(&c->parser);
	c->auth.mechanism = next;
	ask_for_credential(c);
}

static void
auth_reply(struct smtp_client *c)
{
	int code = c->parser.code;

	if (code >= 400) {
		auth_refused(c);
	} else if (code >= 300) {
		answer_challenge(c);
	} else if (c->auth.scram != NULL && !scram_is_proven(c->auth.scram)) {
		client_fault(c, SMTP_STAGE_AUTH, SMTP_FAULT_PROTOCOL,
		    "The server accepts the login without having proved that it knows the "
		    "password.");
	} else {
		c->awaiting = false;
		smtp_reply_parser_free(&c->parser);
		ready(c);
	}
}

void
client_session_reply(struct smtp_client *c)
{
	if (c->parser.code == 421 || c->phase == PHASE_QUIT) {
		client_close_by_reply(c);
		return;
	}
	switch (c->phase) {
	case PHASE_GREETING:
		greeting_reply(c);
		break;
	case PHASE_EHLO:
		ehlo_reply(c);
		break;
	case PHASE_HELO:
		helo_reply(c);
		break;
	case PHASE_STARTTLS:
		starttls_reply(c);
		break;
	default:
		auth_reply(c);
		break;
	}
}
