/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.c: see settings.h.
 */
#include "broker/queue/common/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "broker/conf/wire.h"
#include "broker/ipc/file.h"
#include "broker/role/caller.h"

enum { DAY = 24 * 3600 };

struct queue_settings *
settings_new(const struct message *m)
{
	struct queue_settings *s = calloc(1, sizeof(*s));
	const char *lapse;
	size_t at = 0;

	if (s == NULL)
		return NULL;
	s->generation = message_u64(m, F_GENERATION, 0);
	s->conf = calloc(1, sizeof(*s->conf));
	while (s->conf != NULL && message_next_str(m, F_WARNING, &at, &lapse))
		if (conf_strings_add(&s->conf->lapses, lapse) < 0)
			return settings_free(s);
	return s->conf == NULL ? settings_free(s) : s;
}

struct queue_settings *
settings_free(struct queue_settings *s)
{
	if (s == NULL)
		return NULL;
	(void)aliases_free(s->aliases);
	(void)conf_free(s->conf);
	free(s);
	return NULL;
}

int
settings_add(struct queue_settings *s, const struct message *m)
{
	return wire_take(s->conf, ROLE_QUEUE, m, -1);
}

/* An address as envelopes have it: the configuration may spell it otherwise, and a login must. */
static int
complete_address(char **text)
{
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX);
	char *read;

	if (address_read(*text, strlen(*text), true, &address) < 0)
		return 0;
	read = buf_take(&address);
	if (read == NULL)
		return -ENOMEM;
	free(*text);
	*text = read;
	return 0;
}

static int
complete_texts(enum conf_block block, void *of)
{
	const struct conf_block_def *d = &conf_blocks[block];

	for (size_t i = 0; i < d->key_count; i++) {
		const struct conf_key *k = &d->keys[i];
		char **text = (void *)((char *)of + k->offset);

		if (conf_types[k->type].kind != CONF_KIND_TEXT)
			continue;
		if (*text != NULL && k->type == CONF_TYPE_address && complete_address(text) < 0)
			return -ENOMEM;
		if (*text == NULL)
			*text = strdup("");
		if (*text == NULL)
			return -ENOMEM;
	}
	return 0;
}

int
settings_complete(struct queue_settings *s)
{
	struct conf *c = s->conf;
	int r = complete_texts(CONF_BLOCK_TOP, c);

	for (size_t i = 0; i < c->account_count && r == 0; i++) {
		r = complete_texts(CONF_BLOCK_ACCOUNT, &c->accounts[i]);
		if (c->accounts[i].sessions == 0)
			c->accounts[i].sessions = 1;
	}
	if (c->notify.repeat == 0)
		c->notify.repeat = DAY;
	return r;
}

const struct conf_listener *
settings_find_listener(const struct queue_settings *s, const char *name)
{
	for (size_t i = 0; i < s->conf->listener_count; i++)
		if (strcmp(s->conf->listeners[i].name, name) == 0)
			return &s->conf->listeners[i];
	return NULL;
}

const struct conf_webhook *
settings_find_webhook(const struct queue_settings *s, const char *name)
{
	const struct conf *c = s->conf;

	for (size_t i = 0; i < c->webhook_count; i++)
		if (strcmp(c->webhooks[i].name, name) == 0)
			return &c->webhooks[i];
	return NULL;
}

int
settings_take_aliases(struct queue_settings *s, const struct message *m, int fd)
{
	CLEANUP_BUF struct buf text = BUF_INIT(ALIASES_TEXT_MAX), report = BUF_INIT(64 * 1024);
	struct aliases *a = NULL;
	int r = fd < 0 ? 0 : file_read_whole(fd, &text);

	/* Main has reported what is wrong in it. */
	if (r == 0 && fd >= 0)
		r = aliases_parse(
		    buf_str(&text), text.len, message_str(m, F_ALIASES_FILE), &a, &report);
	if (r < 0)
		return r;
	(void)aliases_free(s->aliases);
	s->aliases = a;
	return 0;
}

void
settings_mechanisms(const struct conf_account *a, struct buf *out)
{
	for (size_t i = 0; i < a->mechanisms.count; i++)
		(void)buf_printf(out, "%s%s", i > 0 ? " " : "", a->mechanisms.items[i]);
}

void
settings_server(const struct conf_account *a, struct buf *out)
{
	(void)buf_printf(out, "%s %s:%u %s %s %s %s ", conf_word(CONF_TYPE_transport, a->transport),
	    a->host, a->port, conf_word(CONF_TYPE_tls, a->tls),
	    conf_word(CONF_TYPE_grant, a->grant), a->auth_user, a->mailbox);
	settings_mechanisms(a, out);
}

uint64_t
settings_admin_group(const struct queue_settings *s)
{
	return s->conf->has_admin_gid ? s->conf->admin_gid : CALLER_NO_GROUP;
}

uint64_t
settings_monitor_group(const struct queue_settings *s)
{
	return s->conf->has_monitor_gid ? s->conf->monitor_gid : CALLER_NO_GROUP;
}
