/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* wire.c: see wire.h. */
#include "broker/conf/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ipc/file.h"

enum { FILE_MAX = 4 * 1024 * 1024, SETTING_MAX = MESSAGE_MAX };

/* The octets of a member of fixed size; 0 for the others. */
static size_t
fixed_size(enum conf_kind kind)
{
	switch (kind) {
	case CONF_KIND_NUMBER:
	case CONF_KIND_WORD:
		return sizeof(uint32_t);
	case CONF_KIND_BOOLEAN:
		return sizeof(bool);
	case CONF_KIND_SIZE:
	case CONF_KIND_TIME:
		return sizeof(uint64_t);
	default:
		return 0;
	}
}

static bool
is_for(const struct conf_key *k, enum role_id role)
{
	return (k->roles & (1u << role)) != 0;
}

bool
wire_role_has(enum role_id role, enum conf_block block)
{
	for (size_t i = 0; i < conf_blocks[block].key_count; i++)
		if (is_for(&conf_blocks[block].keys[i], role))
			return true;
	return false;
}

/* ---- making ---- */

static void
put(struct message *m, size_t key, const void *value, size_t len)
{
	CLEANUP_BUF struct buf setting = BUF_INIT_WIPE(SETTING_MAX);

	(void)buf_append_char(&setting, (char)key);
	(void)buf_append(&setting, value, len);
	if (setting.failed) /* as long as a whole packet: the message itself says so */
		setting.len = SETTING_MAX;
	message_put_bytes(m, F_SETTING, setting.data, setting.len);
}

static void
put_member(struct message *m, size_t key, enum conf_kind kind, const void *member)
{
	static const uint64_t zero = 0;
	const struct conf_strings *list = member;
	const struct conf_ids *ids = member;
	const struct conf_reference *reference = member;
	const char *text;
	size_t fixed = fixed_size(kind);

	switch (kind) {
	case CONF_KIND_TEXT:
		text = *(char *const *)member;
		if (text != NULL)
			put(m, key, text, strlen(text));
		break;
	case CONF_KIND_LIST:
		for (size_t i = 0; i < list->count; i++)
			put(m, key, list->items[i], strlen(list->items[i]));
		break;
	case CONF_KIND_IDS:
		if (ids->count > 0)
			put(m, key, ids->items, ids->count * sizeof(*ids->items));
		break;
	case CONF_KIND_REFERENCE:
		if (reference->secret != NULL)
			put(m, key, secret_bytes(reference->secret), secret_len(reference->secret));
		break;
	case CONF_KIND_FILE:
		break;
	default:
		if (memcmp(member, &zero, fixed) != 0)
			put(m, key, member, fixed);
		break;
	}
}

struct message *
wire_message(enum conf_block block, const void *of, enum role_id role)
{
	const struct conf_block_def *d = &conf_blocks[block];
	struct message *m = message_new(M_CONF_BLOCK);

	message_put_u64(m, F_BLOCK, block);
	for (size_t i = 0; i < d->key_count; i++)
		if (is_for(&d->keys[i], role))
			put_member(m, i, conf_types[d->keys[i].type].kind,
			    (const char *)of + d->keys[i].offset);
	return m;
}

const char *
wire_next_file(
    enum conf_block block, const void *of, enum role_id role, size_t *at, struct message **ret)
{
	const struct conf_block_def *d = &conf_blocks[block];

	while (*at < d->key_count) {
		size_t i = (*at)++;
		const struct conf_key *k = &d->keys[i];
		const struct conf_file *f = (const void *)((const char *)of + k->offset);

		if (conf_types[k->type].kind != CONF_KIND_FILE || !is_for(k, role) ||
		    f->path == NULL)
			continue;
		*ret = message_new(M_CONF_FILE);
		message_put_u64(*ret, F_BLOCK, block);
		message_put_u64(*ret, F_COUNT, i);
		return f->path;
	}
	return NULL;
}

/* ---- taking ---- */

static int
take_text(char **member, const char *value, size_t len)
{
	if (*member != NULL)
		return -EPROTO;
	*member = strndup(value, len);
	return *member == NULL ? -ENOMEM : 0;
}

static int
take_ids(struct conf_ids *ids, const void *value, size_t len)
{
	if (ids->items != NULL || len == 0 || len % sizeof(*ids->items) != 0)
		return -EPROTO;
	ids->items = malloc(len);
	if (ids->items == NULL)
		return -ENOMEM;
	memcpy(ids->items, value, len);
	ids->count = len / sizeof(*ids->items);
	return 0;
}

static int
take_secret(struct conf_reference *r, const void *value, size_t len)
{
	if (r->secret != NULL)
		return -EPROTO;
	r->secret = secret_new(value, len);
	return r->secret == NULL ? -ENOMEM : 0;
}

static int
take_fixed(enum conf_type type, void *member, const void *value, size_t len)
{
	uint32_t word;

	if (len != fixed_size(conf_types[type].kind))
		return -EPROTO;
	if (conf_types[type].kind == CONF_KIND_BOOLEAN && *(const uint8_t *)value > 1)
		return -EPROTO;
	memcpy(&word, value, len < sizeof(word) ? len : sizeof(word));
	if (conf_types[type].kind == CONF_KIND_WORD && word >= conf_words[type].count)
		return -EPROTO;
	memcpy(member, value, len);
	return 0;
}

static int
take_setting(void *of, const struct conf_key *k, const char *value, size_t len)
{
	void *member = (char *)of + k->offset;
	enum conf_kind kind = conf_types[k->type].kind;
	char *text = NULL;
	int r;

	if ((kind == CONF_KIND_TEXT || kind == CONF_KIND_LIST) && memchr(value, '\0', len) != NULL)
		return -EPROTO;
	switch (kind) {
	case CONF_KIND_TEXT:
		return take_text(member, value, len);
	case CONF_KIND_LIST:
		r = take_text(&text, value, len);
		if (r == 0)
			r = conf_strings_add(member, text);
		free(text);
		return r;
	case CONF_KIND_IDS:
		return take_ids(member, value, len);
	case CONF_KIND_REFERENCE:
		return take_secret(member, value, len);
	case CONF_KIND_FILE:
		return -EPROTO;
	default:
		return take_fixed(k->type, member, value, len);
	}
}

static int
take_block(struct conf *c, enum conf_block block, enum role_id role, const struct message *m)
{
	const struct conf_block_def *d = &conf_blocks[block];
	void *of = conf_block_add(c, block);
	const uint8_t *setting;
	size_t at = 0, len;
	int r = of == NULL ? -ENOMEM : 0;

	while (r == 0 && message_next(m, F_SETTING, &at, &setting, &len))
		r = len == 0 || setting[0] >= d->key_count || !is_for(&d->keys[setting[0]], role)
			? -EPROTO
			: take_setting(
			      of, &d->keys[setting[0]], (const char *)setting + 1, len - 1);
	/* the name is the first key of a block with a title */
	if (r == 0 && conf_block_is_titled(block) &&
	    *(char *const *)((const char *)of + d->keys[0].offset) == NULL)
		r = -EPROTO;
	return r;
}

/* A file of the block that came last. */
static int
take_file(struct conf *c, enum conf_block block, enum role_id role, const struct message *m, int fd)
{
	const struct conf_block_def *d = &conf_blocks[block];
	uint64_t key = message_u64(m, F_COUNT, 0);
	/* (size_t)-1, where there is none, lies behind the end */
	void *of = conf_block_is_titled(block)
		       ? conf_block_at(c, block, conf_block_count(c, block) - 1)
		       : NULL;
	struct conf_file *f;

	if (of == NULL || key >= d->key_count || !is_for(&d->keys[key], role) ||
	    conf_types[d->keys[key].type].kind != CONF_KIND_FILE)
		return -EPROTO;
	f = (void *)((char *)of + d->keys[key].offset);
	f->text = (struct buf)BUF_INIT_WIPE(FILE_MAX); /* a key may stand in it */
	f->unreadable = file_read_whole(fd, &f->text) < 0;
	return 0;
}

int
wire_take(struct conf *c, enum role_id role, const struct message *m, int fd)
{
	uint64_t block = message_u64(m, F_BLOCK, CONF_BLOCK_COUNT);

	if (block >= CONF_BLOCK_PROVIDER || !wire_role_has(role, (enum conf_block)block))
		return -EPROTO;
	return message_type(m) == M_CONF_FILE ? take_file(c, (enum conf_block)block, role, m, fd)
					      : take_block(c, (enum conf_block)block, role, m);
}

int
wire_collect(struct conf **coming, enum role_id role, const struct message *m, int fd)
{
	int r = 0;

	switch (message_type(m)) {
	case M_CONF_BEGIN:
		(void)conf_free(*coming);
		*coming = calloc(1, sizeof(**coming));
		return *coming == NULL ? -ENOMEM : 0;
	case M_CONF_BLOCK:
	case M_CONF_FILE:
		if (*coming != NULL)
			r = wire_take(*coming, role, m, fd);
		if (r < 0)
			*coming = conf_free(*coming);
		return r;
	case M_CONF_END:
		return *coming == NULL ? -EPROTO : 1;
	default:
		return 0;
	}
}
