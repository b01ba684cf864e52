/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* password.c: see password.h. */
#include "broker/queue/inbound/password.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "broker/queue/inbound/login.h"

static void
digest_of(const struct secret *password, uint8_t digest[SHA256_LEN])
{
	sha256(secret_bytes(password), secret_len(password), digest);
}

/* One change of the database, by itself. */
static int
change(
    struct commit *c, struct spool *spool, const char *service, int64_t now, const uint8_t *digest)
{
	int r = commit_flush(c) || !commit_is_stuck(c) ? spool_begin(spool) : -EIO;

	if (r < 0)
		return r;
	r = digest == NULL ? spool_delete_password(spool, service)
			   : spool_save_password(spool, service, digest, now);
	if (r == 0)
		r = spool_commit(spool);
	else
		spool_rollback(spool);
	return r;
}

int
password_make(struct commit *c, struct spool *spool, const char *service, int64_t now,
    struct secret **ret, int64_t *ret_before)
{
	unsigned char bytes[PASSWORD_BITS / 8];
	char text[PASSWORD_TEXT_LEN + 1];
	uint8_t digest[SHA256_LEN];
	int r = getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) ? 0 : -EIO;

	*ret = NULL;
	*ret_before = password_time(spool, service);
	if (r < 0)
		return r;
	login_password_text(bytes, text);
	explicit_bzero(bytes, sizeof(bytes));
	*ret = secret_new(text, strlen(text));
	explicit_bzero(text, sizeof(text));
	if (*ret == NULL)
		return -ENOMEM;
	digest_of(*ret, digest);
	r = change(c, spool, service, now, digest);
	if (r < 0)
		*ret = secret_free(*ret);
	return r;
}

int
password_revoke(struct commit *c, struct spool *spool, const char *service)
{
	return password_time(spool, service) == 0 ? -ENOENT : change(c, spool, service, 0, NULL);
}

bool
password_is(struct spool *spool, const char *service, const struct secret *given)
{
	uint8_t kept[SHA256_LEN] = {0}, digest[SHA256_LEN];
	unsigned differs = 0;
	int64_t at;
	bool there = spool_load_password(spool, service, kept, &at) == 0;

	digest_of(given, digest);
	for (size_t i = 0; i < SHA256_LEN; i++)
		differs |= (unsigned)(kept[i] ^ digest[i]);
	return there && differs == 0;
}

int64_t
password_time(struct spool *spool, const char *service)
{
	uint8_t digest[SHA256_LEN];
	int64_t at;

	return spool_load_password(spool, service, digest, &at) < 0 ? 0 : at;
}

bool
password_mark(struct spool *spool, const char *service, uint8_t ret[SHA256_LEN])
{
	int64_t at;

	return spool_load_password(spool, service, ret, &at) == 0;
}
