/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * device.c: see device.h. User codes are of twenty consonants (RFC 8628 section 6.1): no word comes of them, and no digit looks like
 * a letter.
 */
#include "sandbox/device.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/codec.h"

enum { DEVICES_MAX = 256, USER_LETTERS = 8, SLOWER = 5, CODE_BYTES = 32 };

static const char LETTERS[] = "BCDFGHJKLMNPQRSTVWXZ";

enum answer { UNANSWERED, SAID_YES, SAID_NO, OVER };

struct device {
	TAILQ_ENTRY(device) link;
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char user_code[DEVICE_USER_CODE_SIZE];
	char *client, *scope, *account;
	uint64_t until, next;
	unsigned interval;
	enum answer answer;
};

struct devices {
	grants_random *random;
	TAILQ_HEAD(, device) list;
	unsigned count;
};

struct devices *
devices_new(grants_random *random)
{
	struct devices *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->random = random;
	TAILQ_INIT(&d->list);
	return d;
}

static void
device_free(struct device *x)
{
	free(x->client);
	free(x->scope);
	free(x->account);
	free(x);
}

static void
forget(struct devices *d, struct device *x)
{
	TAILQ_REMOVE(&d->list, x, link);
	d->count--;
	device_free(x);
}

struct devices *
devices_free(struct devices *d)
{
	struct device *x;

	if (d == NULL)
		return NULL;
	while ((x = TAILQ_FIRST(&d->list)) != NULL)
		forget(d, x);
	free(d);
	return NULL;
}

static void
hash_of(const char *code, uint8_t ret[SHA256_DIGEST_LENGTH])
{
	(void)SHA256((const unsigned char *)code, strlen(code), ret);
}

/* Writes a fresh code for people. 0 or negative errno. */
static int
make_user_code(const struct devices *d, char ret[DEVICE_USER_CODE_SIZE])
{
	uint8_t raw[USER_LETTERS];
	int r = d->random(raw, sizeof(raw));

	for (unsigned i = 0; i < USER_LETTERS;
	     i++) /* that some letters are a little likelier does no harm here */
		ret[i + (i >= USER_LETTERS / 2)] = LETTERS[raw[i] % (sizeof(LETTERS) - 1)];
	ret[USER_LETTERS / 2] = '-';
	ret[DEVICE_USER_CODE_SIZE - 1] = '\0';
	return r;
}

int
devices_begin(struct devices *d, const char *client, const char *scope, unsigned life,
    unsigned interval, uint64_t now, struct buf *ret_code,
    char ret_user_code[DEVICE_USER_CODE_SIZE])
{
	struct device *x = calloc(1, sizeof(*x));
	uint8_t raw[CODE_BYTES];
	int r = x == NULL ? -ENOMEM : d->random(raw, sizeof(raw));

	if (r == 0)
		r = base64url_encode(ret_code, raw, sizeof(raw));
	mem_wipe(raw, sizeof(raw));
	if (r == 0)
		r = make_user_code(d, x->user_code);
	if (r == 0 && ((x->client = strdup(client)) == NULL || (x->scope = strdup(scope)) == NULL))
		r = -ENOMEM;
	if (r < 0) {
		if (x != NULL)
			device_free(x);
		return r;
	}
	hash_of(buf_str(ret_code), x->hash);
	memcpy(ret_user_code, x->user_code, sizeof(x->user_code));
	x->until = now + life;
	x->interval = interval;
	while (d->count >= DEVICES_MAX)
		forget(d, TAILQ_FIRST(&d->list));
	TAILQ_INSERT_TAIL(&d->list, x, link);
	d->count++;
	return 0;
}

/* Is it this code? Case, and what is no letter, do not count. */
static bool
code_fits(const char *typed, const char *code)
{
	for (; *code != '\0'; code++) {
		if (*code == '-')
			continue;
		while (*typed == '-' || *typed == ' ')
			typed++;
		if (*typed == '\0' || (*typed & ~0x20) != *code)
			return false;
		typed++;
	}
	return typed[strspn(typed, " -")] == '\0';
}

static struct device *
find_open(struct devices *d, const char *typed, uint64_t now)
{
	struct device *x;

	TAILQ_FOREACH (x, &d->list, link)
		if (x->answer == UNANSWERED && x->until > now && code_fits(typed, x->user_code))
			return x;
	return NULL;
}

bool
devices_find(struct devices *d, const char *typed, uint64_t now, const char **ret_user_code,
    const char **ret_client, const char **ret_scope)
{
	const struct device *x = find_open(d, typed, now);

	if (x == NULL)
		return false;
	*ret_user_code = x->user_code;
	*ret_client = x->client;
	*ret_scope = x->scope;
	return true;
}

bool
devices_answer(struct devices *d, const char *user_code, const char *account, uint64_t now)
{
	struct device *x = find_open(d, user_code, now);

	if (x == NULL)
		return false;
	if (account != NULL) {
		x->account = strdup(account);
		if (x->account == NULL)
			return false;
	}
	x->answer = account != NULL ? SAID_YES : SAID_NO;
	return true;
}

enum device_result
devices_poll(struct devices *d, const char *code, const char *client, uint64_t now,
    const char **ret_account, const char **ret_scope)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct device *x;

	hash_of(code, hash);
	TAILQ_FOREACH (x, &d->list, link)
		if (memcmp(x->hash, hash, sizeof(hash)) == 0)
			break;
	if (x == NULL || strcmp(x->client, client) != 0 || x->answer == OVER)
		return DEVICE_UNKNOWN;
	if (x->answer == SAID_NO)
		return DEVICE_DENIED;
	if (x->until <= now)
		return DEVICE_EXPIRED;
	if (now < x->next) {
		x->interval += SLOWER;
		x->next = now + x->interval;
		return DEVICE_SLOW_DOWN;
	}
	x->next = now + x->interval;
	if (x->answer == UNANSWERED)
		return DEVICE_PENDING;
	x->answer = OVER;
	*ret_account = x->account;
	*ret_scope = x->scope;
	return DEVICE_GRANTED;
}
