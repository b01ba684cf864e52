/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of base/smtp/scram.c and of the engine's use of it: the example of RFC 7677 section 3,
 * a bound login, and a server that lies at every step. The hashes are the send role's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "broker/send/crypto.h"
#include "script.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define MORE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST "n,,n=user,r=" NONCE
#define CHALLENGE "r=" NONCE MORE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL "c=biws,r=" NONCE MORE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

/* The client's nonce of the RFC. */
static bool
known(uint8_t *to, size_t len)
{
	CLEANUP_BUF struct buf nonce = BUF_INIT(64);

	if (base64_decode(&nonce, NONCE, strlen(NONCE)) < 0 || nonce.len != len)
		return false;
	memcpy(to, nonce.data, len);
	return true;
}

static struct scram_crypto
known_crypto(void)
{
	struct scram_crypto crypto = crypto_for_scram;

	crypto.random = known;
	return crypto;
}

static struct scram *
begin(const struct scram_crypto *crypto, enum scram_use use, const struct scram_binding *binding,
    const char *user, const char *password)
{
	CLEANUP_SECRET struct secret *secret = secret_new(password, strlen(password));

	return scram_new(crypto, use, binding, user, secret);
}

static int
step(struct scram *s, const char *challenge, struct buf *out)
{
	const char *why = NULL;
	int r;

	buf_clear(out);
	r = scram_respond(s, challenge, strlen(challenge), out, &why);
	if (r == -EBADMSG)
		assert_true(strlen(why) > 20);
	return r;
}

static void
test_rfc7677(void **state)
{
	struct scram_crypto crypto = known_crypto();
	CLEANUP_BUF struct buf out = BUF_INIT(4096);
	struct scram *s = begin(&crypto, SCRAM_UNBOUND, NULL, "user", "pencil");

	assert_int_equal(step(s, "", &out), 0);
	assert_string_equal(buf_str(&out), FIRST);
	assert_int_equal(step(s, CHALLENGE, &out), 0);
	assert_string_equal(buf_str(&out), FINAL);
	assert_false(scram_is_proven(s));
	assert_int_equal(step(s, SIGNATURE, &out), 0);
	assert_string_equal(buf_str(&out), "");
	assert_true(scram_is_proven(s));
	assert_int_equal(step(s, SIGNATURE, &out), -EBADMSG);
	(void)scram_free(s);
}

/* The binding stands in c= behind the header, and in the header by name; commas and equals signs of
 * a user are written as names. */
static void
test_binding(void **state)
{
	struct scram_crypto crypto = known_crypto();
	struct scram_binding binding = {.type = "tls-exporter", .data = {1, 2, 3}, .len = 3};
	CLEANUP_BUF struct buf out = BUF_INIT(4096);
	struct scram *s = begin(&crypto, SCRAM_BOUND, &binding, "a,b=c", "pencil");

	assert_int_equal(step(s, "", &out), 0);
	assert_string_equal(buf_str(&out), "p=tls-exporter,,n=a=2Cb=3Dc,r=" NONCE);
	assert_int_equal(step(s, CHALLENGE, &out), 0);
	/* base64 of "p=tls-exporter,," and 01 02 03 */
	assert_memory_equal(buf_str(&out), "c=cD10bHMtZXhwb3J0ZXIsLAECAw==,r=", 33);
	(void)scram_free(s);
	s = begin(&crypto, SCRAM_OFFERED, &binding, "u", "p");
	assert_int_equal(step(s, "", &out), 0);
	assert_string_equal(buf_str(&out), "y,,n=u,r=" NONCE);
	(void)scram_free(s);
	assert_null(begin(&crypto, SCRAM_BOUND, NULL, "u", "p"));
}

static void
test_what_cannot_be_carried(void **state)
{
	struct scram_crypto crypto = known_crypto();

	assert_null(begin(&crypto, SCRAM_UNBOUND, NULL, "", "p"));
	assert_null(begin(&crypto, SCRAM_UNBOUND, NULL, "u\n", "p"));
	assert_null(begin(&crypto, SCRAM_UNBOUND, NULL, "u", "p\x01"));
	assert_int_equal(errno, EINVAL);
}

static void
test_challenges_that_are_refused(void **state)
{
	static const char *const bad[] = {"", "r=", "r=" NONCE ",s=W22Z,i=4096", /* nothing added */
	    "r=other" MORE ",s=W22Z,i=4096", "r=" NONCE MORE ",i=4096", "r=" NONCE MORE ",s=W22Z",
	    "r=" NONCE MORE ",s=,i=4096", "r=" NONCE MORE ",s=W22,i=4096",
	    "r=" NONCE MORE ",s=W22Z,i=4095", "r=" NONCE MORE ",s=W22Z,i=600001",
	    "r=" NONCE MORE ",s=W22Z,i=99999999999", "r=" NONCE MORE ",s=W22Z,i=04096",
	    "r=" NONCE MORE ",s=W22Z,i=-4096", "r=" NONCE MORE ",s=W22Z,i=4096x",
	    "m=x,r=" NONCE MORE ",s=W22Z,i=4096", "s=W22Z,r=" NONCE MORE ",i=4096",
	    "r=" NONCE MORE ",s=W22Z,i=4096\n"};
	struct scram_crypto crypto = known_crypto();
	CLEANUP_BUF struct buf out = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scram *s = begin(&crypto, SCRAM_UNBOUND, NULL, "user", "pencil");

		assert_int_equal(step(s, "", &out), 0);
		assert_int_equal(step(s, bad[i], &out), -EBADMSG);
		assert_int_equal(out.len, 0);
		(void)scram_free(s);
	}
}

static void
test_signatures_that_are_refused(void **state)
{
	static const char *const bad[] = {"", "v=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
	    "v=AArriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4", "v=AAAA",
	    "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "x=1"};
	struct scram_crypto crypto = known_crypto();
	CLEANUP_BUF struct buf out = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scram *s = begin(&crypto, SCRAM_UNBOUND, NULL, "user", "pencil");

		assert_int_equal(step(s, "", &out), 0);
		assert_int_equal(step(s, CHALLENGE, &out), 0);
		assert_int_equal(step(s, bad[i], &out), -EBADMSG);
		assert_false(scram_is_proven(s));
		(void)scram_free(s);
	}
}

/* The owner's functions fail one after the other. */
static unsigned calls, fail_at;

static bool
failing_hash(const void *data, size_t len, uint8_t to[SCRAM_HASH])
{
	return ++calls != fail_at && crypto_for_scram.hash(data, len, to);
}

static bool
failing_hmac(
    const uint8_t *key, size_t key_len, const void *data, size_t len, uint8_t to[SCRAM_HASH])
{
	return ++calls != fail_at && crypto_for_scram.hmac(key, key_len, data, len, to);
}

static void
test_crypto_fails(void **state)
{
	struct scram_crypto crypto = known_crypto();
	CLEANUP_BUF struct buf out = BUF_INIT(4096);
	int r = -EIO;

	crypto.hash = failing_hash;
	crypto.hmac = failing_hmac;
	for (fail_at = 1; r == -EIO; fail_at++) {
		struct scram *s = begin(&crypto, SCRAM_UNBOUND, NULL, "user", "pencil");

		calls = 0;
		assert_int_equal(step(s, "", &out), 0);
		r = step(s, CHALLENGE, &out);
		(void)scram_free(s);
	}
	assert_int_equal(r, 0);
	assert_int_equal(fail_at, 7); /* five calls failed, the sixth never came */
}

/* ---- in the engine ---- */

#define TLS_AND_OFFER(mechanisms)      \
	"E: START_TLS\n"               \
	"A: tls\n"                     \
	"S: 220 mx.test ESMTP\n"       \
	"C: EHLO client.test\n"        \
	"S: 250-mx.test\n"             \
	"S: 250 AUTH " mechanisms "\n" \
	"E: CREDENTIAL SCRAM-SHA-256\n"

#define HELLO TLS_AND_OFFER("LOGIN SCRAM-SHA-256 SCRAM-SHA-1 PLAIN")
#define SENT_FIRST                                                             \
	"A: token user pencil\n"                                               \
	"C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n" \
	"C=\n"
#define SENT_PROOF                                                                          \
	SENT_FIRST                                                                          \
	"S: 334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPV" \
	"cyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\n"                                      \
	"C: Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkaz" \
	"AscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==\n"              \
	"C=\n"
#define GOOD_SIGNATURE "S: 334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\n"

static void
play(const char *script)
{
	static struct scram_crypto crypto;
	struct smtp_client_config config = script_config();

	crypto = known_crypto();
	config.tls = SMTP_TLS_IMPLICIT;
	config.mechanisms = SASL_PASSWORD_MECHANISMS;
	config.order[0] = SASL_NONE;
	config.scram = &crypto;
	script_play(&config, script);
}

static void
test_login(void **state)
{
	play(HELLO SENT_PROOF GOOD_SIGNATURE "C: \n"
					     "C=\n"
					     "S: 235 2.7.0 Accepted\n"
					     "E: READY SCRAM-SHA-256\n"
					     "t: C: AUTH SCRAM-SHA-256 <user=user, nonce>\n"
					     "t: C: <proof>\n"
					     "t: * the server proved\n");
}

/* Refused: with the reason as a last challenge, as the standard has it, or without. */
static void
test_refused(void **state)
{
	play(HELLO SENT_PROOF "S: 535 5.7.8 No\n"
			      "E: AUTH_FAILED SCRAM-SHA-256 535 5.7.8/auth\n");
	/* e=invalid-proof */
	play(HELLO SENT_PROOF "S: 334 ZT1pbnZhbGlkLXByb29m\n"
			      "C: \n"
			      "S: 535 5.7.8 No\n"
			      "E: AUTH_FAILED SCRAM-SHA-256 535 5.7.8/auth\n"
			      "t: * the challenge says e=invalid-proof\n");
	play(HELLO SENT_PROOF "S: 334 ZT1pbnZhbGlkLXByb29m\n"
			      "C: \n"
			      "S: 334 ZT1pbnZhbGlkLXByb29m\n"
			      "C: *\n"
			      "S: 501 5.5.2 No\n"
			      "E: CLOSED protocol-error/auth\n");
}

/* A server that does not know the password gets no further, whatever it says. */
static void
test_server_without_proof(void **state)
{
	play(HELLO SENT_FIRST "S: 235 2.7.0 Accepted\n"
			      "E: CLOSED protocol-error/auth\n");
	play(HELLO SENT_PROOF "S: 235 2.7.0 Accepted\n"
			      "E: CLOSED protocol-error/auth\n");
	play(HELLO SENT_PROOF "S: 334 ZT1pbnZhbGlkLXByb29m\n"
			      "C: \n"
			      "S: 235 2.7.0 Accepted\n"
			      "E: CLOSED protocol-error/auth\n");
	play(HELLO SENT_PROOF "S: 334 dj1BQUFB\n"
			      "E: CLOSED protocol-error/auth\n");
	play(HELLO SENT_FIRST "S: 334 !\n"
			      "E: CLOSED protocol-error/auth\n");
	play(HELLO SENT_PROOF GOOD_SIGNATURE "C: \n" GOOD_SIGNATURE
					     "E: CLOSED protocol-error/auth\n");
}

/* The server cannot do it after all (504): the next mechanism, since nothing was given away. */
static void
test_next_mechanism(void **state)
{
	play(HELLO "A: token user pencil\n"
		   "C~ 1\n"
		   "S: 504 5.5.4 No\n"
		   "E: CREDENTIAL PLAIN\n"
		   "A: token user pencil\n"
		   "C: AUTH PLAIN AHVzZXIAcGVuY2ls\n"
		   "S: 235 ok\n"
		   "E: READY PLAIN\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc7677),
	    cmocka_unit_test(test_binding),
	    cmocka_unit_test(test_what_cannot_be_carried),
	    cmocka_unit_test(test_challenges_that_are_refused),
	    cmocka_unit_test(test_signatures_that_are_refused),
	    cmocka_unit_test(test_crypto_fails),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_server_without_proof),
	    cmocka_unit_test(test_next_mechanism),
	};

	return cmocka_run_group_tests_name("smtp/scram", tests, NULL, NULL);
}
