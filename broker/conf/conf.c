/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* conf.c: see conf.h. */
#include "broker/conf/conf.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ipc/message.h"

/* ---- types and their words ---- */

const struct conf_type_def conf_types[CONF_TYPE_COUNT] = {
#define TYPE(type, kind, in_c, list) [CONF_TYPE_##type] = {CONF_KIND_##kind, list},
    CONF_TYPES(TYPE)
#undef TYPE
};

#define WORDS(from, ...)                                                              \
	{                                                                             \
		(const char *const[]){__VA_ARGS__},                                   \
		    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), from \
	}

const struct conf_words conf_words[CONF_TYPE_COUNT] = {
    [CONF_TYPE_grant] = {(const char *const[]){
#define GRANT(id, name, ...) name,
#include "base/grant.def"
#undef GRANT
			 },
	GRANT_COUNT, 0},
    [CONF_TYPE_tls] = WORDS(1, "either", "starttls", "implicit", "none"),
    [CONF_TYPE_transport] = WORDS(0, "smtp", "graph", "gmail"),
    [CONF_TYPE_client_auth] = WORDS(1, "", "post", "basic", "private_key_jwt", "none"),
    [CONF_TYPE_key_algorithm] = WORDS(1, "", "PS256", "RS256", "ES256"),
    [CONF_TYPE_password_derivation] = WORDS(0, "none", "aws-ses"),
    [CONF_TYPE_redirect_scheme] = WORDS(0, "http", "https"),
    [CONF_TYPE_from] = WORDS(0, "rewrite", "refuse", "keep"),
    [CONF_TYPE_mode] = WORDS(0, "deliver", "capture"),
    [CONF_TYPE_in_doubt] = WORDS(0, "retry", "hold"),
    [CONF_TYPE_listener_auth] = WORDS(1, "", "optional", "required"),
    [CONF_TYPE_webhook_format] = WORDS(0, "single", "array", "ndjson"),
    [CONF_TYPE_line_ends] = WORDS(1, "", "any", "crlf"),
    [CONF_TYPE_log_level] =
	WORDS(LOG_LEVEL_ERROR, "", "", "", "error", "warning", "notice", "info", "debug"),
};

const char *
conf_word(enum conf_type type, unsigned value)
{
	return value < conf_words[type].count ? conf_words[type].items[value] : "";
}

/* ---- blocks and their keys ---- */

enum {
	MAIN = 0,
	QUEUE = 1 << ROLE_QUEUE,
	KEEPER = 1 << ROLE_KEEPER,
	FETCH = 1 << ROLE_FETCH,
	SEND = 1 << ROLE_SEND,
	POST = 1 << ROLE_POST,
	TLS = 1 << ROLE_TLS,
};

#define ROW(of, key, type, member, standard, roles) \
	{key, CONF_TYPE_##type, offsetof(struct of, member), roles, standard},
#define OF_CONF(key, type, member, standard, roles, meaning) \
	ROW(conf, key, type, member, standard, roles)
#define OF_NOTIFY(key, type, member, standard, roles, meaning) \
	ROW(conf_notify, key, type, member, standard, roles)
#define OF_ACCOUNT(key, type, member, standard, roles, meaning) \
	ROW(conf_account, key, type, member, standard, roles)
#define OF_SERVICE(key, type, member, standard, roles, meaning) \
	ROW(conf_service, key, type, member, standard, roles)
#define OF_LISTENER(key, type, member, standard, roles, meaning) \
	ROW(conf_listener, key, type, member, standard, roles)
#define OF_WEBHOOK(key, type, member, standard, roles, meaning) \
	ROW(conf_webhook, key, type, member, standard, roles)
/* No struct has these: their place lies behind it. */
#define OF_PROVIDER(key, type, meaning) \
	{key, CONF_TYPE_##type, sizeof(struct conf_account), MAIN, NULL},

static const struct conf_key top_keys[] = {CONF_TOP(OF_CONF)};
static const struct conf_key limits_keys[] = {CONF_LIMITS(OF_CONF)};
static const struct conf_key spool_keys[] = {CONF_SPOOL(OF_CONF)};
static const struct conf_key tokens_keys[] = {CONF_TOKENS(OF_CONF)};
static const struct conf_key notify_keys[] = {CONF_NOTIFY(OF_NOTIFY)};
static const struct conf_key account_keys[] = {CONF_ACCOUNT(OF_ACCOUNT)};
static const struct conf_key service_keys[] = {CONF_SERVICE(OF_SERVICE)};
static const struct conf_key listener_keys[] = {CONF_LISTENER(OF_LISTENER)};
static const struct conf_key webhook_keys[] = {CONF_WEBHOOK(OF_WEBHOOK)};
static const struct conf_key provider_keys[] = {
    CONF_ACCOUNT(OF_ACCOUNT) CONF_PROVIDER(OF_PROVIDER)};

#define BLOCK(name, of, items, count)                                                        \
	{                                                                                    \
#name, name##_keys, ARRAY_SIZE(name##_keys), sizeof(struct of), items, count \
	}
#define ONE(name) BLOCK(name, conf, 0, 0)
#define MANY(name)                                               \
	BLOCK(name, conf_##name, offsetof(struct conf, name##s), \
	    offsetof(struct conf, name##_count))

const struct conf_block_def conf_blocks[CONF_BLOCK_COUNT] = {
    [CONF_BLOCK_TOP] = ONE(top),
    [CONF_BLOCK_LIMITS] = ONE(limits),
    [CONF_BLOCK_SPOOL] = ONE(spool),
    [CONF_BLOCK_TOKENS] = ONE(tokens),
    [CONF_BLOCK_NOTIFY] = BLOCK(notify, conf_notify, offsetof(struct conf, notify), 0),
    [CONF_BLOCK_ACCOUNT] = MANY(account),
    [CONF_BLOCK_SERVICE] = MANY(service),
    [CONF_BLOCK_LISTENER] = MANY(listener),
    [CONF_BLOCK_WEBHOOK] = MANY(webhook),
    [CONF_BLOCK_PROVIDER] = BLOCK(provider, conf_account, 0, 0),
};

bool
conf_block_is_titled(enum conf_block block)
{
	return block >= CONF_BLOCK_ACCOUNT;
}

/* The array of a block with a title, and its length. */
static void **
items_of(struct conf *c, enum conf_block block, size_t **ret_count)
{
	*ret_count = (size_t *)(void *)((char *)c + conf_blocks[block].count);
	return (void **)(void *)((char *)c + conf_blocks[block].items);
}

/* Arrays double at the powers of two. */
void *
conf_block_add(struct conf *c, enum conf_block block)
{
	size_t size = conf_blocks[block].size, *count;
	void **items;
	char *more;

	if (!conf_block_is_titled(block))
		return (char *)c + conf_blocks[block].items;
	items = items_of(c, block, &count);
	more = *items;
	if ((*count & (*count - 1)) == 0) {
		more = reallocarray(more, *count == 0 ? 1 : *count * 2, size);
		if (more == NULL)
			return NULL;
		*items = more;
	}
	return memset(more + size * (*count)++, 0, size);
}

size_t
conf_block_count(const struct conf *c, enum conf_block block)
{
	return *(const size_t *)(const void *)((const char *)c + conf_blocks[block].count);
}

void *
conf_block_at(const struct conf *c, enum conf_block block, size_t at)
{
	const struct conf_block_def *d = &conf_blocks[block];
	char *const *items = (const void *)((const char *)c + d->items);

	return at < conf_block_count(c, block) ? *items + d->size * at : NULL;
}

void
conf_block_remove(struct conf *c, enum conf_block block, size_t at)
{
	size_t size = conf_blocks[block].size, *count;
	char *of = conf_block_at(c, block, at);

	(void)items_of(c, block, &count);
	conf_block_clear(block, of);
	--*count;
	memmove(of, of + size, (*count - at) * size);
}

const struct conf_account *
conf_find_account(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->account_count; i++)
		if (strcmp(c->accounts[i].name, name) == 0)
			return &c->accounts[i];
	return NULL;
}

/* ---- freeing ---- */

void
conf_strings_free(struct conf_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct conf_strings){0};
}

int
conf_strings_add(struct conf_strings *s, const char *item)
{
	char **items = s->items;

	if ((s->count & (s->count - 1)) == 0) {
		items = reallocarray(items, s->count == 0 ? 1 : s->count * 2, sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		s->items = items;
	}
	items[s->count] = strdup(item);
	if (items[s->count] == NULL)
		return -ENOMEM;
	s->count++;
	return 0;
}

static void
member_clear(enum conf_kind kind, void *member)
{
	switch (kind) {
	case CONF_KIND_TEXT:
		free(*(char **)member);
		break;
	case CONF_KIND_LIST:
		conf_strings_free(member);
		break;
	case CONF_KIND_IDS:
		free(((struct conf_ids *)member)->items);
		break;
	case CONF_KIND_REFERENCE:
		free(((struct conf_reference *)member)->text);
		(void)secret_free(((struct conf_reference *)member)->secret);
		break;
	case CONF_KIND_FILE:
		free(((struct conf_file *)member)->path);
		buf_free(&((struct conf_file *)member)->text);
		break;
	default:
		break;
	}
}

void
conf_block_clear(enum conf_block block, void *of)
{
	const struct conf_block_def *d = &conf_blocks[block];

	for (size_t i = 0; i < d->key_count; i++)
		member_clear(conf_types[d->keys[i].type].kind, (char *)of + d->keys[i].offset);
	if (d->size != sizeof(struct conf)) /* which others have a part in */
		memset(of, 0, d->size);
}

struct conf *
conf_free(struct conf *c)
{
	size_t *count;

	if (c == NULL)
		return NULL;
	for (enum conf_block block = CONF_BLOCK_TOP; block < CONF_BLOCK_PROVIDER; block++) {
		if (!conf_block_is_titled(block)) {
			conf_block_clear(block, (char *)c + conf_blocks[block].items);
			continue;
		}
		for (void **items = items_of(c, block, &count);;) {
			if (*count == 0) {
				free(*items);
				break;
			}
			conf_block_remove(c, block, *count - 1);
		}
	}
	conf_strings_free(&c->files);
	conf_strings_free(&c->lapses);
	conf_strings_free(&c->missing_users);
	conf_strings_free(&c->missing_groups);
	free(c);
	return NULL;
}
