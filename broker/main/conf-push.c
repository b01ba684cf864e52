/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conf-push.c: see conf-push.h. A message that the channel has no room for is freed by it and built again later.
 */
#include "broker/main/conf-push.h"

#include <errno.h>

#include "broker/conf/wire.h"

enum { LAPSES_MAX = 50 };

void
conf_push_start(struct conf_push *p, const struct settings *s)
{
	*p = (struct conf_push){.settings = s};
}

static struct message *
make_begin(const struct settings *s, enum role_id role)
{
	const struct conf *c = settings_conf(s);
	struct message *m = message_new(M_CONF_BEGIN);

	message_put_u64(m, F_GENERATION, settings_generation(s));
	message_put_u64(m, F_LOG_LEVEL, c->log_level);
	for (size_t i = 0; role == ROLE_QUEUE && i < c->lapses.count && i < LAPSES_MAX; i++)
		message_put_str(m, F_WARNING, c->lapses.items[i]);
	return m;
}

static struct message *
make_end(const struct settings *s)
{
	struct message *m = message_new(M_CONF_END);

	message_put_u64(m, F_GENERATION, settings_generation(s));
	return m;
}

int
conf_push_aliases(const struct settings *s, struct message **ret, int *ret_fd)
{
	const struct alias_file *f = settings_aliases(s);

	*ret_fd = f->fd < 0 ? -1 : settings_reopen(f->fd);
	*ret = message_new(M_CONF_ALIASES);
	message_put_str(*ret, F_ALIASES_FILE, f->path);
	return *ret_fd < -1 ? *ret_fd : 0;
}

/* The block that is next for the role; NULL: no more. */
static const void *
next_block(struct conf_push *p, enum role_id role)
{
	const struct conf *c = settings_conf(p->settings);

	for (; p->block < CONF_BLOCK_PROVIDER; p->block++, p->at = p->file = 0) {
		if (!wire_role_has(role, p->block))
			continue;
		if (!conf_block_is_titled(p->block)) {
			if (p->at == 0)
				return (const char *)c + conf_blocks[p->block].items;
			continue;
		}
		/* an account that is out of force has mail that waits, and is nobody else's business */
		while (p->block == CONF_BLOCK_ACCOUNT && role != ROLE_QUEUE &&
		       p->at < c->account_count && c->accounts[p->at].lapse != NULL)
			p->at++;
		if (p->at < conf_block_count(c, p->block))
			return conf_block_at(c, p->block, p->at);
	}
	return NULL;
}

/* The next message about blocks, and whether there is one. */
static bool
next_of_blocks(struct conf_push *p, enum role_id role, struct message **ret, int *ret_fd)
{
	const void *of;
	const char *path;

	while ((of = next_block(p, role)) != NULL) {
		size_t file = p->file;

		if (file == 0) {
			*ret = wire_message(p->block, of, role);
			return true;
		}
		file--;
		path = wire_next_file(p->block, of, role, &file, ret);
		if (path != NULL) {
			*ret_fd = settings_file(p->settings, path);
			return true;
		}
		p->at++;
		p->file = 0;
	}
	return false;
}

/* The next message of the phase, and whether there is one. */
static bool
next_message(struct conf_push *p, enum role_id role, struct message **ret, int *ret_fd)
{
	*ret_fd = -1;
	if (p->phase == CONF_PUSH_BLOCKS)
		return next_of_blocks(p, role, ret, ret_fd);
	if (p->at > 0)
		return false;
	if (p->phase == CONF_PUSH_BEGIN)
		*ret = make_begin(p->settings, role);
	else if (p->phase == CONF_PUSH_END)
		*ret = make_end(p->settings);
	else if (role == ROLE_QUEUE)
		(void)conf_push_aliases(
		    p->settings, ret, ret_fd); /* a bad descriptor says it all */
	else
		return false;
	return true;
}

/* Steps behind the message that was sent. */
static void
step(struct conf_push *p, enum role_id role)
{
	const void *of = p->phase == CONF_PUSH_BLOCKS ? next_block(p, role) : NULL;
	struct message *m;

	if (of == NULL) {
		p->at++;
	} else if (p->file == 0) {
		p->file = 1;
	} else {
		p->file--;
		if (wire_next_file(p->block, of, role, &p->file, &m) != NULL)
			(void)message_free(m);
		p->file++;
	}
}

int
conf_push_run(struct conf_push *p, enum role_id role, struct channel *c)
{
	while (p->phase != CONF_PUSH_DONE) {
		struct message *m;
		int fd, r;

		/* What main has to answer meanwhile goes by the same channel. */
		if (channel_is_busy(c))
			return -EAGAIN;
		if (!next_message(p, role, &m, &fd)) {
			p->phase++;
			p->at = 0;
			continue;
		}
		if (fd < -1) {
			(void)message_free(m);
			return fd;
		}
		r = channel_send(c, m, fd);
		if (r < 0)
			return r;
		step(p, role);
	}
	return 0;
}

static void
put_key(struct message *m, const struct secret *key, const struct secret *certificate)
{
	message_put_secret(m, F_CLIENT_KEY, key);
	if (certificate != NULL)
		message_put_bytes(
		    m, F_CLIENT_CERTIFICATE, secret_bytes(certificate), secret_len(certificate));
}

struct message *
conf_push_key_answer(const struct settings *s, uint64_t id, const char *account)
{
	struct message *m = message_new(M_KEY_ANSWER);
	CLEANUP_BUF struct buf why = BUF_INIT(1024);
	struct settings_key_files files = {0};

	message_put_u64(m, F_ID, id);
	if (settings_reread(s, account, &files, &why) < 0) {
		message_put_str(m, F_ERROR, buf_str(&why));
	} else {
		put_key(m, files.key, files.certificate);
		message_put_secret(m, F_CLIENT_SECRET, files.secret);
	}
	settings_key_files_clear(&files);
	return m;
}
