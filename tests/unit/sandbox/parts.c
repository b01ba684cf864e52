/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * parts.c: forms, pages, ID tokens and Maildirs of frank-sandbox.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/codec.h"
#include "httpd/form.h"
#include "sandbox/jwt.h"
#include "inbox/maildir.h"
#include "sandbox/pages.h"

static void
test_form(void **state)
{
	struct form f = {0};

	assert_int_equal(form_parse(&f, "a=1&b=x+y%26z&c=&&d", 19), 0);
	assert_string_equal(form_get(&f, "a"), "1");
	assert_string_equal(form_get(&f, "b"), "x y&z");
	assert_null(form_get(&f, "c"));
	assert_null(form_get(&f, "d"));
	assert_null(form_get(&f, "e"));
	form_clear(&f);
	assert_int_equal(form_parse(&f, "a=1&a=2", 7), -EBADMSG);
	assert_int_equal(form_parse(&f, "a=%00", 5), -EBADMSG);
	assert_int_equal(form_parse(&f, "a=%4", 4), -EBADMSG);
	assert_int_equal(f.count, 0);
}

static void
test_form_many(void **state)
{
	struct form f = {0};
	struct buf text CLEANUP_BUF = BUF_INIT(4096);
	int i;

	for (i = 0; i <= FORM_FIELDS_MAX; i++)
		assert_int_equal(buf_printf(&text, "&k%d=v", i), 0);
	assert_int_equal(form_parse(&f, text.data, text.len), -E2BIG);
	assert_int_equal(f.count, 0);
}

static void
test_pages_escape(void **state)
{
	struct buf page CLEANUP_BUF = BUF_INIT(PAGE_MAX);

	page_sign_in(&page, "<script>", "\"onx=1", "'r&", "a<b");
	assert_false(page.failed);
	assert_null(strstr(buf_str(&page), "<script"));
	assert_null(strstr(buf_str(&page), "\"onx"));
	assert_non_null(strstr(buf_str(&page), "&#60;script&#62;"));
	assert_non_null(strstr(buf_str(&page), "name=\"password\""));
	buf_clear(&page);
	page_consent(&page, "frank", "a@example.test", "openid mail.send", "r");
	assert_non_null(strstr(buf_str(&page), "Send mail as you"));
	assert_non_null(strstr(buf_str(&page), "</html>"));
}

/* Makes the public key from the published key set, as a client would. */
static EVP_PKEY *
key_from_set(json_t *set)
{
	json_t *jwk = json_array_get(json_object_get(set, "keys"), 0);
	struct buf x CLEANUP_BUF = BUF_INIT(64), y CLEANUP_BUF = BUF_INIT(64);
	unsigned char point[65] = {4};
	char group[] = "P-256";
	OSSL_PARAM params[3];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	const char *text = json_string_value(json_object_get(jwk, "x"));

	assert_int_equal(base64url_decode(&x, text, strlen(text)), 0);
	text = json_string_value(json_object_get(jwk, "y"));
	assert_int_equal(base64url_decode(&y, text, strlen(text)), 0);
	memcpy(point + 1, x.data, 32);
	memcpy(point + 33, y.data, 32);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] =
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point));
	params[2] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static bool
verifies(EVP_PKEY *key, const char *token, size_t signed_len)
{
	struct buf raw CLEANUP_BUF = BUF_INIT(128);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int len;
	bool ok;

	assert_int_equal(
	    base64url_decode(&raw, token + signed_len + 1, strlen(token + signed_len + 1)), 0);
	assert_int_equal(raw.len, 64);
	assert_int_equal(ECDSA_SIG_set0(sig, BN_bin2bn((unsigned char *)raw.data, 32, NULL),
			     BN_bin2bn((unsigned char *)raw.data + 32, 32, NULL)),
	    1);
	len = i2d_ECDSA_SIG(sig, &der);
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	ok = EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)token, signed_len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return ok;
}

static void
test_jwt(void **state)
{
	struct jwt_key *key = jwt_key_new(), *other = jwt_key_new();
	struct buf token CLEANUP_BUF = BUF_INIT(4096), claims CLEANUP_BUF = BUF_INIT(4096);
	json_t *set, *out, *in = json_pack("{s:s}", "sub", "a@example.test");
	EVP_PKEY *public;
	const char *dot, *second;

	assert_non_null(key);
	assert_non_null(other);
	assert_int_equal(jwt_sign(key, in, &token), 0);
	dot = strchr(buf_str(&token), '.');
	second = strchr(dot + 1, '.');
	assert_int_equal(base64url_decode(&claims, dot + 1, (size_t)(second - dot) - 1), 0);
	assert_string_equal(buf_str(&claims), "{\"sub\":\"a@example.test\"}");
	set = jwt_key_set(key);
	public = key_from_set(set);
	assert_true(verifies(public, buf_str(&token), (size_t)(second - token.data)));
	out = jwt_verify(public, buf_str(&token));
	assert_true(json_equal(in, out));
	json_decref(out);
	/* no octet may be changed; the last one of the signature's base64 holds bits that count for nothing */
	for (size_t i = 0; i + 1 < token.len; i++) {
		char kept = token.data[i];

		token.data[i] = kept == 'A' ? 'B' : 'A';
		assert_null(jwt_verify(public, buf_str(&token)));
		token.data[i] = kept;
	}
	EVP_PKEY_free(public);
	json_decref(set);
	set = jwt_key_set(other);
	public = key_from_set(set);
	assert_false(verifies(public, buf_str(&token), (size_t)(second - token.data)));
	assert_null(jwt_verify(public, buf_str(&token)));
	assert_null(jwt_verify(public, ""));
	assert_null(jwt_verify(public, "a.b"));
	assert_null(jwt_verify(public, ".."));
	EVP_PKEY_free(public);
	json_decref(set);
	json_decref(in);
	(void)jwt_key_free(key);
	(void)jwt_key_free(other);
}

static size_t
files_in(int root, const char *path, char *name, size_t size)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(name, size, "%s/%s", path, e->d_name);
		n++;
	}
	(void)closedir(d);
	return n;
}

static void
test_maildir(void **state)
{
	char path[] = "/tmp/frank-maildir-XXXXXX", name[512], bytes[64];
	struct maildir_message *m;
	int root, fd;
	ssize_t n;

	assert_non_null(mkdtemp(path));
	root = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(root >= 0);
	assert_int_equal(maildir_begin(root, &m), 0);
	assert_int_equal(maildir_write(m, "a: b\r", 5), 0);
	assert_int_equal(maildir_write(m, "\n\r\nx\ry\r\n", 8), 0);
	assert_int_equal(maildir_commit(m), 0);
	assert_int_equal(maildir_link(m, "Some/One@Example.test"), 0);
	assert_int_equal(maildir_link(m, "../../etc"), 0);
	assert_null(maildir_end(m));
	assert_int_equal(
	    files_in(root, "some_one@example.test/Maildir/new", name, sizeof(name)), 1);
	fd = openat(root, name, O_RDONLY);
	n = read(fd, bytes, sizeof(bytes));
	assert_int_equal(n, 10);
	assert_memory_equal(bytes, "a: b\n\nx\ry\n", 10);
	(void)close(fd);
	assert_int_equal(files_in(root, "_._.._etc/Maildir/new", name, sizeof(name)), 1);
	assert_int_equal(files_in(root, "_._.._etc/Maildir/tmp", name, sizeof(name)), 0);
	/* given up half-way: nothing stays */
	assert_int_equal(maildir_begin(root, &m), 0);
	assert_int_equal(maildir_write(m, "x", 1), 0);
	assert_null(maildir_end(m));
	assert_int_equal(files_in(root, ".incoming", name, sizeof(name)), 0);
	(void)close(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_form_many),
	    cmocka_unit_test(test_pages_escape),
	    cmocka_unit_test(test_jwt),
	    cmocka_unit_test(test_maildir),
	};

	return cmocka_run_group_tests_name("sandbox-parts", tests, NULL, NULL);
}
