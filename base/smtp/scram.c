/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * scram.c: see scram.h.
 *
 *   C: GS2-HEADER "n=" USER ",r=" NONCE
 *   S: "r=" NONCE+MORE ",s=" SALT(base64) ",i=" COUNT [,extensions]
 *   C: "c=" base64(GS2-HEADER [binding]) ",r=" NONCE+MORE ",p=" PROOF(base64)
 *   S: "v=" SIGNATURE(base64), or "e=" WORD
 *   C: (empty)
 *
 *   SaltedPassword = PBKDF2(password, salt, count)
 *   ClientKey      = HMAC(SaltedPassword, "Client Key")      StoredKey = H(ClientKey)
 *   AuthMessage    = client-first-bare "," server-first "," client-final-without-proof
 *   Proof          = ClientKey XOR HMAC(StoredKey, AuthMessage)
 *   Signature      = HMAC(HMAC(SaltedPassword, "Server Key"), AuthMessage)
 */
#include "base/smtp/scram.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"

enum { NONCE = 15, MESSAGE_MAX = 4096, SALT_MAX = 1024 };

enum step { STEP_FIRST, STEP_PROOF, STEP_SIGNATURE, STEP_DONE };

struct scram {
	const struct scram_crypto *crypto;
	enum step step;
	struct secret *password;
	struct buf header;  /* gs2-header, then the octets of the binding */
	size_t header_text; /* of it that stands in the first message */
	char nonce[NONCE / 3 * 4 + 1];
	struct buf auth_message;       /* grows by each message */
	uint8_t signature[SCRAM_HASH]; /* that the server must show */
};

/* The attributes of the server's first message. */
struct attributes {
	const char *nonce, *salt;
	size_t nonce_len, salt_len;
	unsigned iterations;
};

struct scram *
scram_free(struct scram *s)
{
	if (s == NULL)
		return NULL;
	(void)secret_free(s->password);
	buf_free(&s->header);
	buf_free(&s->auth_message);
	mem_wipe(s, sizeof(*s));
	free(s);
	return NULL;
}

const struct secret *
scram_password(const struct scram *s)
{
	return s->password;
}

bool
scram_is_proven(const struct scram *s)
{
	return s->step == STEP_DONE;
}

static bool
has_control(const void *text, size_t len)
{
	const unsigned char *p = text;

	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return true;
	return false;
}

/* A saslname (RFC 5802 section 5.1). */
static void
put_user(struct buf *out, const char *user)
{
	for (; *user != '\0'; user++) {
		if (*user == '=')
			(void)buf_append_str(out, "=3D");
		else if (*user == ',')
			(void)buf_append_str(out, "=2C");
		else
			(void)buf_append_char(out, *user);
	}
}

static void
put_header(struct scram *s, enum scram_use use, const struct scram_binding *binding)
{
	if (use == SCRAM_BOUND)
		(void)buf_printf(&s->header, "p=%s,,", binding->type);
	else
		(void)buf_append_str(&s->header, use == SCRAM_OFFERED ? "y,," : "n,,");
	s->header_text = s->header.len;
	if (use == SCRAM_BOUND)
		(void)buf_append(&s->header, binding->data, binding->len);
}

struct scram *
scram_new(const struct scram_crypto *crypto, enum scram_use use,
    const struct scram_binding *binding, const char *user, struct secret *password)
{
	CLEANUP_BUF struct buf nonce = BUF_INIT(64);
	uint8_t random[NONCE];
	struct scram *s;

	if (user[0] == '\0' || has_control(user, strlen(user)) || secret_len(password) == 0 ||
	    has_control(secret_bytes(password), secret_len(password)) ||
	    (use == SCRAM_BOUND && (binding == NULL || binding->type == NULL))) {
		errno = EINVAL;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->crypto = crypto;
	s->password = secret_ref(password);
	s->header = (struct buf)BUF_INIT(256);
	s->auth_message = (struct buf)BUF_INIT(4 * MESSAGE_MAX);
	put_header(s, use, binding);
	if (!crypto->random(random, sizeof(random))) {
		errno = EIO;
		return scram_free(s);
	}
	if (base64_encode(&nonce, random, sizeof(random)) == 0)
		memcpy(s->nonce, nonce.data, sizeof(s->nonce) - 1);
	(void)buf_append_str(&s->auth_message, "n=");
	put_user(&s->auth_message, user);
	(void)buf_printf(&s->auth_message, ",r=%s", s->nonce);
	if (s->nonce[0] == '\0' || s->header.failed || s->auth_message.failed) {
		errno = ENOMEM;
		return scram_free(s);
	}
	return s;
}

/* ---- what the server says ---- */

/* Attribute `name` at *at: its value up to the next comma. False where another, or nothing, stands
 * there. */
static bool
take_attribute(const char **at, const char *end, char name, const char **value, size_t *len)
{
	const char *comma;

	if (end - *at < 2 || (*at)[0] != name || (*at)[1] != '=')
		return false;
	*value = *at + 2;
	comma = memchr(*value, ',', (size_t)(end - *value));
	*len = (size_t)((comma == NULL ? end : comma) - *value);
	*at = comma == NULL ? end : comma + 1;
	return true;
}

/* Decimal digits without a leading zero; 0 for anything else, or more than a million. */
static unsigned
number(const char *text, size_t len)
{
	unsigned n = 0;

	if (len == 0 || len > 7 || text[0] == '0')
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	return n;
}

/* NULL, or why not. */
static const char *
parse_first(const struct scram *s, const char *text, size_t len, struct attributes *ret)
{
	const char *at = text, *end = text + len, *count;
	size_t count_len, own = strlen(s->nonce);

	if (len > MESSAGE_MAX || has_control(text, len))
		return "The server's SCRAM challenge is no SCRAM message.";
	if (len > 1 && text[0] == 'm' && text[1] == '=')
		return "The server demands a SCRAM extension that there is not.";
	if (!take_attribute(&at, end, 'r', &ret->nonce, &ret->nonce_len) ||
	    !take_attribute(&at, end, 's', &ret->salt, &ret->salt_len) ||
	    !take_attribute(&at, end, 'i', &count, &count_len))
		return "The server's SCRAM challenge is no SCRAM message.";
	if (ret->nonce_len <= own || memcmp(ret->nonce, s->nonce, own) != 0)
		return "The server's SCRAM challenge answers another login: its nonce is not ours.";
	ret->iterations = number(count, count_len);
	if (ret->iterations < SCRAM_ITERATIONS_MIN || ret->iterations > SCRAM_ITERATIONS_MAX)
		return "The server wants a number of SCRAM iterations that is not between 4096 and "
		       "600000.";
	return NULL;
}

/* ---- the proof ---- */

struct scram_keys {
	uint8_t salted[SCRAM_HASH], client[SCRAM_HASH], stored[SCRAM_HASH], server[SCRAM_HASH],
	    proof[SCRAM_HASH];
};

/* From the salted password to the proof; the signature to expect stays in `s`. */
static bool
derive(struct scram *s, const struct buf *salt, unsigned iterations, struct scram_keys *k)
{
	const struct scram_crypto *c = s->crypto;
	const struct buf *m = &s->auth_message;

	if (!c->stretch(secret_bytes(s->password), secret_len(s->password),
		(const uint8_t *)salt->data, salt->len, iterations, k->salted) ||
	    !c->hmac(k->salted, SCRAM_HASH, "Client Key", 10, k->client) ||
	    !c->hash(k->client, SCRAM_HASH, k->stored) ||
	    !c->hmac(k->stored, SCRAM_HASH, m->data, m->len, k->proof) ||
	    !c->hmac(k->salted, SCRAM_HASH, "Server Key", 10, k->server) ||
	    !c->hmac(k->server, SCRAM_HASH, m->data, m->len, s->signature))
		return false;
	for (size_t i = 0; i < SCRAM_HASH; i++)
		k->proof[i] ^= k->client[i];
	return true;
}

static int
put_proof(struct scram *s, const struct attributes *a, const struct buf *salt, struct buf *out)
{
	struct scram_keys k;
	int r = -EIO;

	if (derive(s, salt, a->iterations, &k)) {
		r = buf_append_str(out, ",p=");
		if (r == 0)
			r = base64_encode(out, k.proof, sizeof(k.proof));
	}
	mem_wipe(&k, sizeof(k));
	return r;
}

static int
respond_proof(struct scram *s, const char *text, size_t len, struct buf *out, const char **ret_why)
{
	CLEANUP_BUF struct buf salt = BUF_INIT(SALT_MAX), final = BUF_INIT(2 * MESSAGE_MAX);
	struct attributes a;
	int r;

	*ret_why = parse_first(s, text, len, &a);
	if (*ret_why == NULL &&
	    (base64_decode(&salt, a.salt, a.salt_len) == -EBADMSG || salt.len == 0))
		*ret_why = "The server's SCRAM salt is empty or no base64.";
	if (*ret_why != NULL)
		return -EBADMSG;
	(void)buf_append_str(&final, "c=");
	r = base64_encode(&final, s->header.data, s->header.len);
	(void)buf_append_str(&final, ",r=");
	(void)buf_append(&final, a.nonce, a.nonce_len);
	(void)buf_append_str(&s->auth_message, ",");
	(void)buf_append(&s->auth_message, text, len);
	(void)buf_append_str(&s->auth_message, ",");
	(void)buf_append(&s->auth_message, final.data, final.len);
	if (r < 0 || salt.failed || final.failed || s->auth_message.failed)
		return -ENOMEM;
	r = buf_append(out, final.data, final.len);
	return r < 0 ? r : put_proof(s, &a, &salt, out);
}

/* The answer to a good signature is empty. */
static int
check_signature(struct scram *s, const char *text, size_t len, const char **ret_why)
{
	CLEANUP_BUF struct buf shown = BUF_INIT(MESSAGE_MAX);
	const char *at = text, *value;
	size_t value_len;

	if (take_attribute(&at, text + len, 'v', &value, &value_len) &&
	    base64_decode(&shown, value, value_len) == 0 && shown.len == SCRAM_HASH &&
	    mem_equal_ct(shown.data, s->signature, SCRAM_HASH))
		return 0;
	*ret_why = "The server did not prove that it knows the password: it may not be the server "
		   "it says it is.";
	return -EBADMSG;
}

int
scram_respond(
    struct scram *s, const char *challenge, size_t len, struct buf *out, const char **ret_why)
{
	int r;

	*ret_why = "";
	switch (s->step) {
	case STEP_FIRST:
		r = buf_append(out, s->header.data, s->header_text);
		if (r == 0)
			r = buf_append(out, s->auth_message.data, s->auth_message.len);
		break;
	case STEP_PROOF:
		r = respond_proof(s, challenge, len, out, ret_why);
		break;
	case STEP_SIGNATURE:
		r = check_signature(s, challenge, len, ret_why);
		break;
	default:
		*ret_why = "The server goes on behind the end of the SCRAM exchange.";
		return -EBADMSG;
	}
	if (r == 0)
		s->step++;
	return r;
}
