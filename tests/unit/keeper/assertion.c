/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Unit tests of what the keeper signs and derives: the assertions are verified by libcrypto's other
 * half, and their texts compared with known ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "broker/keeper/accounts/assertion.h"
#include "broker/keeper/accounts/derive.h"
#include "tokenstore/seal.h"

struct keys {
	EVP_PKEY *rsa, *ec, *small;
	struct secret *rsa_pem, *ec_pem, *small_pem;
};

static struct secret *
to_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct secret *s;
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &text);
	s = secret_new(text, (size_t)len);
	(void)BIO_free(bio);
	return s;
}

static int
setup(void **state)
{
	static struct keys k;

	k.rsa = EVP_RSA_gen(2048);
	k.small = EVP_RSA_gen(1024);
	k.ec = EVP_EC_gen("P-256");
	k.rsa_pem = to_pem(k.rsa);
	k.small_pem = to_pem(k.small);
	k.ec_pem = to_pem(k.ec);
	*state = &k;
	return 0;
}

static int
teardown(void **state)
{
	struct keys *k = *state;

	EVP_PKEY_free(k->rsa);
	EVP_PKEY_free(k->ec);
	EVP_PKEY_free(k->small);
	(void)secret_free(k->rsa_pem);
	(void)secret_free(k->ec_pem);
	(void)secret_free(k->small_pem);
	return 0;
}

/* A self-signed certificate of this key in PEM; and its DER's SHA-256. */
static void
make_certificate(EVP_PKEY *key, struct buf *pem, uint8_t hash[SEAL_HASH])
{
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	uint8_t *der = NULL;
	char *text;
	long len;
	int n;

	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)ASN1_TIME_set(X509_getm_notBefore(x), 1700000000);
	(void)ASN1_TIME_set(X509_getm_notAfter(x), 2000000000);
	(void)X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	assert_int_equal(seal_sha256(der, (size_t)n, NULL, 0, hash), 0);
	OPENSSL_free(der);
	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(buf_append(pem, text, (size_t)len), 0);
	(void)BIO_free(bio);
	X509_free(x);
}

/* Verifies `jwt` and gives its parts, decoded. */
static void
verify(const struct secret *jwt, EVP_PKEY *key, const char *alg, struct buf *header,
    struct buf *claims)
{
	const char *text = (const char *)secret_bytes(jwt), *first = strchr(text, '.'),
		   *second = strchr(first + 1, '.');
	struct buf sig CLEANUP_BUF = BUF_INIT(1024);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;

	assert_int_equal(base64url_decode(header, text, (size_t)(first - text)), 0);
	assert_int_equal(base64url_decode(claims, first + 1, (size_t)(second - first - 1)), 0);
	assert_int_equal(base64url_decode(&sig, second + 1, strlen(second + 1)), 0);
	assert_int_equal(EVP_DigestVerifyInit(ctx, &how, EVP_sha256(), NULL, key), 1);
	if (strcmp(alg, "PS256") == 0) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, 32), 1);
	}
	if (strcmp(alg, "ES256") == 0) {
		ECDSA_SIG *s = ECDSA_SIG_new();
		uint8_t *der = NULL;
		int len;

		assert_int_equal(sig.len, 64);
		assert_int_equal(ECDSA_SIG_set0(s, BN_bin2bn((uint8_t *)sig.data, 32, NULL),
				     BN_bin2bn((uint8_t *)sig.data + 32, 32, NULL)),
		    1);
		len = i2d_ECDSA_SIG(s, &der);
		buf_clear(&sig);
		assert_int_equal(buf_append(&sig, der, (size_t)len), 0);
		OPENSSL_free(der);
		ECDSA_SIG_free(s);
	}
	assert_int_equal(EVP_DigestVerify(ctx, (uint8_t *)sig.data, sig.len, (const uint8_t *)text,
			     (size_t)(second - text)),
	    1);
	EVP_MD_CTX_free(ctx);
}

static void
test_algorithms(void **state)
{
	struct keys *k = *state;
	uint8_t jti[ASSERTION_JTI];
	const struct {
		const char *algorithm, *name;
		EVP_PKEY *key;
		const struct secret *pem;
	} rows[] = {
	    {NULL, "PS256", k->rsa, k->rsa_pem},
	    {"PS256", "PS256", k->rsa, k->rsa_pem},
	    {"RS256", "RS256", k->rsa, k->rsa_pem},
	    {NULL, "ES256", k->ec, k->ec_pem},
	};

	for (unsigned i = 0; i < sizeof(jti); i++)
		jti[i] = (uint8_t)(i * 17);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct assertion a = {.issuer = "c\"1",
		    .subject = "c\"1",
		    .audience = "https://as.example/token",
		    .algorithm = rows[i].algorithm,
		    .jti = jti,
		    .now = 1767225660,
		    .leeway = 60,
		    .life = 600};
		struct buf header CLEANUP_BUF = BUF_INIT(2048), claims CLEANUP_BUF = BUF_INIT(2048),
				  want CLEANUP_BUF = BUF_INIT(256);
		CLEANUP_SECRET struct secret *jwt = NULL;
		const char *why;

		/* more than once: numbers of an ECDSA signature may be short */
		for (int turn = 0; turn < 20; turn++) {
			jwt = secret_free(jwt);
			buf_clear(&header);
			buf_clear(&claims);
			assert_int_equal(assertion_sign(&a, rows[i].pem, &jwt, &why), 0);
			verify(jwt, rows[i].key, rows[i].name, &header, &claims);
		}
		(void)buf_printf(&want, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", rows[i].name);
		assert_string_equal(buf_str(&header), buf_str(&want));
		assert_string_equal(buf_str(&claims),
		    "{\"iss\":\"c\\\"1\",\"sub\":\"c\\\"1\",\"aud\":\"https://as.example/token\","
		    "\"jti\":\"00112233-4455-6677-8899-aabbccddeeff\",\"iat\":1767225600,\"nbf\":"
		    "1767225600,\"exp\":1767226260}");
	}
}

/* The header and the claims of a service account, as Google documents them. */
static void
test_service_account_vector(void **state)
{
	static const char want[] =
	    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0."
	    "eyJpc3MiOiJzdmNAcHJvai5pYW0uZ3NlcnZpY2VhY2NvdW50LmNvbSIsInN1YiI6InVzZXJAZXhhbXBsZS5jb2"
	    "0"
	    "iLCJzY29wZSI6Imh0dHBzOi8vbWFpbC5nb29nbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vb2F1dGgyLmdvb2dsZ"
	    "W"
	    "FwaXMuY29tL3Rva2VuIiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjkyMDB9.";
	struct keys *k = *state;
	const struct assertion a = {.issuer = "svc@proj.iam.gserviceaccount.com",
	    .subject = "user@example.com",
	    .scope = "https://mail.google.com/",
	    .audience = "https://oauth2.googleapis.com/token",
	    .key_id = "k1",
	    .algorithm = "RS256",
	    .now = 1767225600,
	    .life = 3600};
	CLEANUP_SECRET struct secret *jwt = NULL;
	const char *why;

	assert_int_equal(assertion_sign(&a, k->rsa_pem, &jwt, &why), 0);
	assert_memory_equal(secret_bytes(jwt), want, sizeof(want) - 1);
}

static void
test_thumbprint(void **state)
{
	struct keys *k = *state;
	struct buf pem CLEANUP_BUF = BUF_INIT(8192), header CLEANUP_BUF = BUF_INIT(2048),
		       claims CLEANUP_BUF = BUF_INIT(2048), want CLEANUP_BUF = BUF_INIT(256);
	struct assertion a = {
	    .issuer = "c", .subject = "c", .audience = "x", .now = 1, .life = 600};
	CLEANUP_SECRET struct secret *jwt = NULL, *other = NULL;
	uint8_t hash[SEAL_HASH];
	const char *why;
	int64_t end;

	make_certificate(k->rsa, &pem, hash);
	a.certificate = pem.data;
	a.certificate_len = pem.len;
	assert_int_equal(assertion_sign(&a, k->rsa_pem, &jwt, &why), 0);
	verify(jwt, k->rsa, "PS256", &header, &claims);
	(void)buf_append_str(&want, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
	(void)base64url_encode(&want, hash, sizeof(hash));
	(void)buf_append_str(&want, "\"}");
	assert_string_equal(buf_str(&header), buf_str(&want));
	assert_int_equal(assertion_certificate_end(pem.data, pem.len, &end), 0);
	assert_int_equal(end, 2000000000);
	/* the certificate of another key */
	assert_int_equal(assertion_sign(&a, k->ec_pem, &other, &why), -EINVAL);
	assert_non_null(strstr(why, "does not belong"));
	a.certificate = "-----BEGIN NONSENSE-----";
	a.certificate_len = strlen(a.certificate);
	assert_int_equal(assertion_sign(&a, k->rsa_pem, &other, &why), -EINVAL);
	assert_non_null(strstr(why, "no certificate"));
	assert_int_equal(assertion_certificate_end("x", 1, &end), -EINVAL);
}

static void
test_unfit_keys(void **state)
{
	static const char locked[] =
	    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0w\n"
	    "-----END ENCRYPTED PRIVATE KEY-----\n";
	struct keys *k = *state;
	struct assertion a = {
	    .issuer = "c", .audience = "x", .now = 1, .life = 1, .algorithm = "ES256"};
	CLEANUP_SECRET struct secret *bad = secret_new("no key", 6), *jwt = NULL,
				     *encrypted = secret_new(locked, sizeof(locked) - 1);
	const char *why;

	assert_int_equal(assertion_check_key(k->rsa_pem, &why), 0);
	assert_int_equal(assertion_check_key(k->ec_pem, &why), 0);
	assert_int_equal(assertion_check_key(bad, &why), -EINVAL);
	assert_int_equal(assertion_check_key(encrypted, &why), -EINVAL);
	assert_int_equal(assertion_check_key(k->small_pem, &why), -EINVAL);
	assert_non_null(strstr(why, "2048"));
	assert_int_equal(assertion_sign(&a, k->rsa_pem, &jwt, &why), -EINVAL);
	assert_non_null(strstr(why, "client-key-algorithm"));
}

enum { NEEDLE = 24, MASK = 0x5a, REGION_MAX = 32 * 1024 * 1024 };

/* Is the (masked) text in these octets, forwards or backwards, as a number lies in memory? */
static bool
is_in(const uint8_t *at, size_t len, const uint8_t needle[NEEDLE])
{
	for (size_t i = 0; i + NEEDLE <= len; i++) {
		uint8_t first = at[i] ^ MASK;
		size_t n = 0, m = 0;

		if (first != needle[0] && first != needle[NEEDLE - 1])
			continue;
		while (n < NEEDLE && (at[i + n] ^ MASK) == needle[n])
			n++;
		while (m < NEEDLE && (at[i + m] ^ MASK) == needle[NEEDLE - 1 - m])
			m++;
		if (n == NEEDLE || m == NEEDLE)
			return true;
	}
	return false;
}

/* Looks through all memory that this process may write to. */
static bool
is_in_memory(const uint8_t needle[NEEDLE])
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from, to;
	bool found = false;
	char line[512], rights[8];
	static uint8_t piece[64 * 1024];

	while (!found && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w' ||
		    to - from > REGION_MAX) /* sanitizers' own */
			continue;
		for (unsigned long at = from; at < to && !found; at += sizeof(piece) - NEEDLE) {
			ssize_t n = pread(memory, piece, sizeof(piece), (off_t)at);

			if (n <= 0)
				break;
			found = is_in(piece, (size_t)n, needle);
			mem_wipe(piece, sizeof(piece));
		}
	}
	(void)fclose(maps);
	(void)close(memory);
	return found;
}

/* After a signature neither the key nor its encoding is left, not in what was freed either. */
static void
test_key_leaves_nothing(void **state)
{
	enum { FIRST_PRIME = 600 }; /* where it is in the DER of a key of 2048 bits */
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	struct secret *pem = to_pem(rsa), *jwt = NULL;
	const struct assertion a = {.issuer = "client", .subject = "client", .audience = "x"};
	uint8_t *der = NULL, needle[NEEDLE];
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(rsa);
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	const char *why;

	assert_true(len > FIRST_PRIME + NEEDLE);
	for (size_t i = 0; i < NEEDLE; i++)
		needle[i] = der[FIRST_PRIME + i] ^ MASK;
	assert_true(is_in_memory(needle));
	OPENSSL_clear_free(der, (size_t)len);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(rsa);
	assert_int_equal(assertion_sign(&a, pem, &jwt, &why), 0);
	(void)secret_free(pem);
	(void)secret_free(jwt);
	assert_false(is_in_memory(needle));
	assert_int_equal(CRYPTO_secure_malloc_initialized(), 1);
}

/* Computed by the algorithm of Amazon's guide in Python. */
static void
test_ses(void **state)
{
	static const struct {
		const char *key, *region, *password;
	} rows[] = {
	    {"some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"},
	    {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1",
		"BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_SECRET struct secret *key = secret_new(rows[i].key, strlen(rows[i].key)),
					     *got = derive_ses_password(key, rows[i].region);

		assert_string_equal((const char *)secret_bytes(got), rows[i].password);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_algorithms),
	    cmocka_unit_test(test_service_account_vector),
	    cmocka_unit_test(test_thumbprint),
	    cmocka_unit_test(test_unfit_keys),
	    cmocka_unit_test(test_ses),
	    cmocka_unit_test(test_key_leaves_nothing),
	};

	if (seal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
