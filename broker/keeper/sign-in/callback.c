/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * callback.c: see callback.h. The query string holds the code and the state, so every copy of a part of
 * it lies in a buffer that is wiped.
 */
#include "broker/keeper/sign-in/callback.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "base/issuer.h"

enum {
	VALUE_MAX = 16 * 1024,
	NAME_MAX_LEN = 64,
	QUOTED_MAX = 200,
	ERROR_MAX = 100,
	DESCRIPTION_MAX = 1000
};

enum known { P_STATE, P_ISS, P_ERROR, P_ERROR_DESCRIPTION, P_ERROR_URI, P_CODE, P_COUNT };

static const char *const names[P_COUNT] = {
    "state", "iss", "error", "error_description", "error_uri", "code"};

struct parameters {
	struct buf values[P_COUNT];
	unsigned count[P_COUNT];
	bool broken[P_COUNT]; /* not decodable, or with a NUL inside */
};

static void
parameters_clear(struct parameters *p)
{
	for (size_t i = 0; i < P_COUNT; i++)
		buf_free(&p->values[i]);
}

void
callback_clear(struct callback *c)
{
	c->code = secret_free(c->code);
	buf_free(&c->error);
	buf_free(&c->text);
}

static enum known
find_known(const char *text, size_t len)
{
	struct buf name CLEANUP_BUF = BUF_INIT(NAME_MAX_LEN);

	if (form_decode(&name, text, len) < 0)
		return P_COUNT;
	for (size_t i = 0; i < P_COUNT; i++)
		if (name.len == strlen(names[i]) && memcmp(buf_str(&name), names[i], name.len) == 0)
			return (enum known)i;
	return P_COUNT;
}

static int
take_pair(struct parameters *p, const char *pair, size_t len)
{
	const char *equals = memchr(pair, '=', len);
	size_t name_len = equals == NULL ? len : (size_t)(equals - pair);
	const char *value = equals == NULL ? pair + len : equals + 1;
	enum known k = find_known(pair, name_len);
	int r;

	if (k == P_COUNT || ++p->count[k] > 1)
		return 0;
	r = form_decode(&p->values[k], value, (size_t)(pair + len - value));
	if (r == -ENOMEM)
		return r;
	p->broken[k] = r < 0 || memchr(buf_str(&p->values[k]), '\0', p->values[k].len) != NULL;
	return 0;
}

static int
take_pairs(struct parameters *p, const char *query, size_t len)
{
	const char *end = query + len;

	while (query < end) {
		const char *amp = memchr(query, '&', (size_t)(end - query));
		const char *stop = amp == NULL ? end : amp;
		int r = stop == query ? 0 : take_pair(p, query, (size_t)(stop - query));

		if (r < 0)
			return r;
		query = amp == NULL ? end : amp + 1;
	}
	return 0;
}

static bool
state_fits(const struct parameters *p, const struct secret *state)
{
	return p->count[P_STATE] == 1 && !p->broken[P_STATE] &&
	       p->values[P_STATE].len == secret_len(state) &&
	       mem_equal_ct(buf_str(&p->values[P_STATE]), secret_bytes(state), secret_len(state));
}

static void
quote(struct buf *b, const char *text)
{
	(void)text_plain(b, text, strlen(text), QUOTED_MAX);
}

static const char *
find_flaw(const struct parameters *p, const struct callback_expected *e, struct buf *ret_detail)
{
	const struct buf *iss = &p->values[P_ISS];

	for (size_t i = 0; i < P_COUNT; i++) {
		if (p->count[i] > 1)
			return "A parameter came twice in the authorization server's answer.";
		if (p->broken[i])
			return "A parameter of the authorization server's answer could not be "
			       "decoded.";
	}
	if (p->count[P_ISS] == 0)
		return e->iss_required ? "The answer does not name its issuer, though this "
					 "authorization server always does."
				       : NULL;
	if (e->issuer == NULL || issuer_fits(e->issuer, buf_str(iss)))
		return NULL;
	(void)buf_append_str(ret_detail, "Its iss is ");
	quote(ret_detail, buf_str(iss));
	(void)buf_append_str(ret_detail, ", expected is ");
	quote(ret_detail, e->issuer);
	(void)buf_append_char(ret_detail, '.');
	return "The answer came from another authorization server than the one that was asked.";
}

/* What the server says went wrong, made fit to be shown. */
static int
take_error(const struct parameters *p, struct callback *ret)
{
	const struct buf *error = &p->values[P_ERROR], *text = &p->values[P_ERROR_DESCRIPTION];
	int r = text_plain(&ret->error, buf_str(error), error->len, ERROR_MAX);

	return r < 0 ? r : text_plain(&ret->text, buf_str(text), text->len, DESCRIPTION_MAX);
}

static enum callback_verdict
judge(struct parameters *p, const struct callback_expected *e, struct callback *ret)
{
	if (!state_fits(p, e->state)) {
		ret->why =
		    p->count[P_STATE] == 0
			? "The answer bears no state, so it is not known whose it is."
			: "The answer does not belong to this sign-in: its state is another's.";
		return take_error(p, ret) < 0 ? CALLBACK_FAILED : CALLBACK_IGNORED;
	}
	ret->why = find_flaw(p, e, &ret->text);
	if (ret->why != NULL)
		return CALLBACK_INVALID;
	if (p->count[P_ERROR] == 1) {
		return take_error(p, ret) < 0 ? CALLBACK_FAILED : CALLBACK_ERROR;
	}
	ret->why = "The answer brings neither a code nor an error.";
	if (p->count[P_CODE] == 0 || p->values[P_CODE].len == 0)
		return CALLBACK_INVALID;
	ret->why = NULL;
	ret->code = secret_new(buf_str(&p->values[P_CODE]), p->values[P_CODE].len);
	return ret->code == NULL ? CALLBACK_FAILED : CALLBACK_CODE;
}

enum callback_verdict
callback_read(
    const char *query, size_t len, const struct callback_expected *expected, struct callback *ret)
{
	enum callback_verdict verdict = CALLBACK_FAILED;
	struct parameters p = {0};

	*ret = (struct callback){.error = BUF_INIT(VALUE_MAX), .text = BUF_INIT(VALUE_MAX)};
	for (size_t i = 0; i < P_COUNT; i++)
		p.values[i] = (struct buf)BUF_INIT_WIPE(VALUE_MAX);
	if (len > CALLBACK_MAX) {
		ret->why = "The address is too long.";
		verdict = CALLBACK_IGNORED;
	} else if (take_pairs(&p, query, len) == 0) {
		verdict = judge(&p, expected, ret);
	}
	parameters_clear(&p);
	return verdict;
}
