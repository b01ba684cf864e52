/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.c: see settings.h. Many accounts share a client secret or a certificate file, so each distinct one is read or opened
 * once.
 */
#include "broker/main/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/conf/reference.h"
#include "broker/conf/wire.h"
#include "broker/main/permissions.h"
#include "broker/main/programs.h"

struct held_file {
	char *path; /* owned: the block that named it first may be put out of force */
	int fd;
};

struct settings {
	struct conf *conf;
	uint64_t generation;
	struct held_file *files; /* sorted by path */
	size_t file_count;
	struct alias_file aliases;
	bool lenient; /* conf_environment.lenient */
};

const struct conf *
settings_conf(const struct settings *s)
{
	return s->conf;
}

uint64_t
settings_generation(const struct settings *s)
{
	return s->generation;
}

bool
settings_is_lenient(const struct settings *s)
{
	return s->lenient;
}

int
settings_set_key(struct settings *s, struct secret *key, const char *from)
{
	(void)secret_free(s->conf->master_key.secret);
	s->conf->master_key.secret = key;
	free(s->conf->master_key_from);
	s->conf->master_key_from = strdup(from);
	return s->conf->master_key_from == NULL ? -ENOMEM : 0;
}

int
settings_share_key(struct settings *s, const struct settings *from)
{
	return settings_set_key(
	    s, secret_ref(from->conf->master_key.secret), from->conf->master_key_from);
}

int
settings_note_lapse(struct settings *s, const char *what, const char *why)
{
	return load_note_lapse(s->conf, what, why);
}

struct settings *
settings_free(struct settings *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->file_count; i++) {
		free(s->files[i].path);
		if (s->files[i].fd >= 0)
			(void)close(s->files[i].fd);
	}
	free(s->files);
	alias_file_clear(&s->aliases);
	(void)conf_free(s->conf);
	free(s);
	return NULL;
}

void
settings_key_files_clear(struct settings_key_files *f)
{
	(void)secret_free(f->key);
	(void)secret_free(f->certificate);
	(void)secret_free(f->secret);
	*f = (struct settings_key_files){0};
}

static int
reread(const struct conf_reference *ref, struct secret **ret, struct buf *why)
{
	if (ref->text == NULL || reference_is_command(ref))
		return 0;
	*ret = reference_read(ref, why);
	return *ret == NULL ? -EINVAL : 0;
}

int
settings_reread(
    const struct settings *s, const char *account, struct settings_key_files *ret, struct buf *why)
{
	for (size_t i = 0; i < s->conf->account_count; i++) {
		const struct conf_account *a = &s->conf->accounts[i];
		int r;

		if (strcmp(a->name, account) != 0)
			continue;
		r = reread(&a->client_key, &ret->key, why);
		if (r == 0)
			r = reread(&a->client_certificate, &ret->certificate, why);
		if (r == 0)
			r = reread(&a->client_secret, &ret->secret, why);
		return r;
	}
	(void)buf_append_str(why, "the configuration has no account of that name");
	return -ENOENT;
}

/* Opened anew, because a descriptor that several roles got would be read from one position by all.
 */
int
settings_reopen(int old)
{
	char name[64];
	int fd;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", old);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
compare_path(const void *path, const void *file)
{
	return strcmp(path, ((const struct held_file *)file)->path);
}

int
settings_file(const struct settings *s, const char *path)
{
	const struct held_file *found = s->file_count == 0 ? NULL
							   : bsearch(path, s->files, s->file_count,
								 sizeof(*s->files), compare_path);

	return found == NULL || found->fd < 0 ? -ENOENT : settings_reopen(found->fd);
}

const struct alias_file *
settings_aliases(const struct settings *s)
{
	return &s->aliases;
}

int
settings_aliases_read(struct settings *s, struct buf *report)
{
	struct alias_file next;
	int r = alias_file_read(s->conf, &next, report);

	if (r < 0) {
		alias_file_clear(&next);
		/* of a new configuration, which may go without */
		s->aliases.unreadable = s->aliases.path == NULL;
		return r;
	}
	alias_file_clear(&s->aliases);
	s->aliases = next;
	return 0;
}

/* ---- what blocks name: secrets and files ---- */

/* The members of one kind of all blocks with a title, whose texts begin with a char *. Grows with the configuration. */
struct members {
	void **all;
	size_t count;
};

static int
find_members(const struct settings *s, enum conf_kind kind, struct members *ret)
{
	size_t room = 0;

	*ret = (struct members){0};
	for (enum conf_block b = CONF_BLOCK_ACCOUNT; b <= CONF_BLOCK_WEBHOOK; b++)
		room += conf_block_count(s->conf, b) * conf_blocks[b].key_count;
	ret->all = calloc(room + 1, sizeof(*ret->all));
	if (ret->all == NULL)
		return -ENOMEM;
	for (enum conf_block b = CONF_BLOCK_ACCOUNT; b <= CONF_BLOCK_WEBHOOK; b++)
		for (size_t i = 0; i < conf_block_count(s->conf, b); i++)
			for (size_t k = 0; k < conf_blocks[b].key_count; k++) {
				const struct conf_key *key = &conf_blocks[b].keys[k];
				char *member = (char *)conf_block_at(s->conf, b, i) + key->offset;

				if (conf_types[key->type].kind == kind &&
				    *(char **)(void *)member != NULL)
					ret->all[ret->count++] = member;
			}
	return 0;
}

/* Both a reference and a file begin with their text. */
static int
compare_members(const void *a, const void *b)
{
	char *const *const *x = a, *const *const *y = b;

	return strcmp(**x, **y);
}

/* Does the block name this secret or file? */
static bool
names(enum conf_block block, const void *of, const char *text)
{
	const struct conf_block_def *d = &conf_blocks[block];

	for (size_t k = 0; k < d->key_count; k++) {
		enum conf_kind kind = conf_types[d->keys[k].type].kind;
		char *const *member = (const void *)((const char *)of + d->keys[k].offset);

		if ((kind == CONF_KIND_REFERENCE || kind == CONF_KIND_FILE) && *member != NULL &&
		    strcmp(*member, text) == 0)
			return true;
	}
	return false;
}

/* At a start: blocks that name what cannot be used are out of force, and the rest goes on. An account keeps its mail, the others are left
 * out. */
static int
put_out_of_force(struct settings *s, const char *text, const char *why)
{
	int r = 0;

	for (enum conf_block b = CONF_BLOCK_ACCOUNT; b <= CONF_BLOCK_WEBHOOK && r == 0; b++)
		for (size_t i = conf_block_count(s->conf, b); i-- > 0 && r == 0;) {
			void *of = conf_block_at(s->conf, b, i);
			struct conf_account *a = of;

			if (!names(b, of, text) || (b == CONF_BLOCK_ACCOUNT && a->lapse != NULL))
				continue;
			/* the name is the first member of a block with a title */
			r = load_note_lapse(s->conf,
			    *(char **)(void *)((char *)of + conf_blocks[b].keys[0].offset), why);
			if (r == 0 && b == CONF_BLOCK_ACCOUNT)
				r = (a->lapse = strdup(why)) == NULL ? -ENOMEM : 0;
			else if (r == 0)
				conf_block_remove(s->conf, b, i);
		}
	return r;
}

/* What could not be used: texts, and why. */
struct failures {
	struct conf_strings texts, whys;
};

/* Reports them all. 0 where the rest goes on without them; -EINVAL; -ENOMEM. */
static int
take_failures(struct settings *s, struct failures *f)
{
	int r = f->texts.count == 0 || s->lenient ? 0 : -EINVAL;

	for (size_t i = 0; i < f->whys.count && r == 0; i++)
		r = put_out_of_force(s, f->texts.items[i], f->whys.items[i]);
	conf_strings_free(&f->texts);
	conf_strings_free(&f->whys);
	return r;
}

static int
note_failure(struct failures *f, const char *text, const char *why)
{
	int r = conf_strings_add(&f->texts, text);

	return r < 0 ? r : conf_strings_add(&f->whys, why);
}

/* Many accounts share a secret: each is read once. `commands`: those that have run; NULL: they are run now. */
static int
read_secrets(struct settings *s, struct commands *commands, struct buf *report)
{
	struct failures failures = {0};
	struct members m;
	int r = find_members(s, CONF_KIND_REFERENCE, &m), failed;

	if (r == 0)
		qsort(m.all, m.count, sizeof(*m.all), compare_members);
	for (size_t i = 0; i < m.count && r == 0; i++) {
		CLEANUP_BUF struct buf why = BUF_INIT(1024);
		struct conf_reference *ref = m.all[i], *last = i == 0 ? NULL : m.all[i - 1];

		if (last != NULL && strcmp(last->text, ref->text) == 0) {
			ref->secret = last->secret == NULL ? NULL : secret_ref(last->secret);
			continue;
		}
		ref->secret = commands != NULL && reference_is_command(ref)
				  ? commands_take(commands, ref, &why)
				  : reference_read(ref, &why);
		if (ref->secret == NULL) {
			(void)buf_printf(report, "%s:%u: error: %s\n", ref->place.file,
			    ref->place.line, buf_str(&why));
			r = note_failure(&failures, ref->text, buf_str(&why));
		}
	}
	free(m.all);
	failed = take_failures(s, &failures);
	return r < 0 ? r : failed;
}

static int
open_file(const char *path, struct buf *why)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		(void)buf_printf(why, "the file %s cannot be read: %s", path, strerror(errno));
	else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		(void)buf_printf(why, "the file %s is empty or no regular file", path);
	return why->len > 0 ? -1 : TAKE_FD(fd);
}

static int
open_files(struct settings *s, struct buf *report)
{
	struct failures failures = {0};
	struct members m;
	int r = find_members(s, CONF_KIND_FILE, &m), failed;

	s->files = calloc(m.count + 1, sizeof(*s->files));
	if (s->files == NULL)
		r = -ENOMEM;
	if (r == 0)
		qsort(m.all, m.count, sizeof(*m.all), compare_members);
	for (size_t i = 0; i < m.count && r == 0; i++) {
		CLEANUP_BUF struct buf why = BUF_INIT(4096);
		const struct conf_file *f = m.all[i];
		struct held_file *held = &s->files[s->file_count];

		if (s->file_count > 0 && strcmp(held[-1].path, f->path) == 0)
			continue;
		*held = (struct held_file){strdup(f->path), open_file(f->path, &why)};
		s->file_count++;
		if (held->path == NULL)
			r = -ENOMEM;
		if (held->fd < 0) {
			(void)buf_printf(report, "error: %s\n", buf_str(&why));
			r = r < 0 ? r : note_failure(&failures, f->path, buf_str(&why));
		}
	}
	free(m.all);
	failed = take_failures(s, &failures);
	return r < 0 ? r : failed;
}

int
settings_begin(const char *path, const struct conf_environment *env, uint64_t generation,
    struct settings **ret, struct buf *report)
{
	struct settings *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->generation = generation;
	s->lenient = env->lenient;
	s->aliases.fd = -1;
	r = load_conf(path, env, &s->conf, report);
	if (r < 0) {
		(void)settings_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int
settings_add_commands(const struct settings *s, const struct settings *old, struct commands *c)
{
	struct members m;
	int r = find_members(s, CONF_KIND_REFERENCE, &m);

	for (size_t i = 0; i < m.count && r == 0; i++)
		r = commands_add(c, m.all[i]);
	free(m.all);
	return r < 0 || settings_same_key(s, old) ? r : commands_add(c, &s->conf->master_key);
}

bool
settings_same_key(const struct settings *s, const struct settings *old)
{
	return strcmp(s->conf->master_key.text, old->conf->master_key.text) == 0;
}

/* Does the PEM file hold such a thing? */
static bool
look_into_pem(const struct conf_listener *n, const struct conf_reference *ref, const char *mark,
    const char *what, struct buf *report)
{
	const struct secret *text = ref->secret;

	if (text == NULL ||
	    memmem(secret_bytes(text), secret_len(text), mark, strlen(mark)) != NULL)
		return text != NULL;
	(void)buf_printf(report,
	    "%s:%u: warning: listener \"%s\": %s holds no %s (PEM): no TLS is possible with it\n",
	    ref->place.file, ref->place.line, n->name, ref->text, what);
	return false;
}

/* What clients of a listener would find. At a start frank-tls logs it itself. */
static void
look_into_certificates(const struct settings *s, struct buf *report)
{
	for (size_t i = 0; i < s->conf->listener_count; i++) {
		const struct conf_listener *n = &s->conf->listeners[i];
		CLEANUP_BUF struct buf why = BUF_INIT(256);
		bool both =
		    look_into_pem(n, &n->certificate, "CERTIFICATE-----", "certificate", report);

		both = look_into_pem(n, &n->key, "PRIVATE KEY-----", "private key", report) && both;
		if (both && !s->lenient &&
		    programs_check_pair(n->certificate.secret, n->key.secret, &why) < 0)
			(void)buf_printf(report,
			    "%s:%u: warning: listener \"%s\": %s: no TLS is possible with it\n",
			    n->certificate.place.file, n->certificate.place.line, n->name,
			    buf_str(&why));
	}
}

/* Does the block fit into a message for each role that is sent it? 0; -EMSGSIZE; -ENOMEM. */
static int
check_packet(enum conf_block block, const void *of)
{
	int r = 0;

	for (enum role_id role = ROLE_QUEUE; role < ROLE_CLIENT && r == 0; role++) {
		CLEANUP_MESSAGE struct message *m = wire_role_has(role, block)
							? wire_message(block, of, role)
							: message_new(M_CONF_END);

		r = message_error(m);
	}
	return r;
}

static const char too_large[] = "is too large; its lists together may have about 60 KB";

/* Does every block fit into a message? 0; -EINVAL; -ENOMEM. */
static int
check_packets(const struct conf *c, struct buf *report)
{
	int status = 0, r;

	for (enum conf_block b = CONF_BLOCK_TOP; b <= CONF_BLOCK_NOTIFY; b++) {
		r = check_packet(b, (const char *)c + conf_blocks[b].items);
		if (r == -EMSGSIZE)
			(void)buf_printf(report, "%s: error: %s %s\n", c->files.items[0],
			    b == CONF_BLOCK_TOP ? "the top level" : conf_blocks[b].name, too_large);
		if (r == -ENOMEM)
			return r;
		status = r < 0 ? -EINVAL : status;
	}
	for (enum conf_block b = CONF_BLOCK_ACCOUNT; b <= CONF_BLOCK_WEBHOOK; b++)
		for (size_t i = 0; i < conf_block_count(c, b); i++) {
			const void *of = conf_block_at(c, b, i);
			const struct conf_place *place = of; /* the first member */
			const char *name =
			    *(char *const *)(const void *)((const char *)of +
							   conf_blocks[b].keys[0].offset);

			r = check_packet(b, of);
			if (r == -EMSGSIZE)
				(void)buf_printf(report, "%s:%u: error: %s \"%s\" %s\n",
				    place->file, place->line, conf_blocks[b].name, name, too_large);
			if (r == -ENOMEM)
				return r;
			status = r < 0 ? -EINVAL : status;
		}
	return status;
}

int
settings_complete(struct settings *s, struct commands *c, struct buf *report)
{
	int r = read_secrets(s, c, report), files = open_files(s, report),
	    aliases = settings_aliases_read(s, report), packets, permissions;

	if (aliases < 0 && aliases != -ENOMEM && s->lenient)
		aliases = load_note_lapse(s->conf, "aliases",
		    "the aliases file cannot be read, and no alias is in force");
	look_into_certificates(s, report);
	packets = r == -ENOMEM || files == -ENOMEM ? -ENOMEM : check_packets(s->conf, report);
	permissions = permissions_check(s->conf, report);
	return r < 0         ? r
	       : files < 0   ? files
	       : aliases < 0 ? aliases
	       : packets < 0 ? packets
			     : permissions;
}

int
settings_load(const char *path, const struct conf_environment *env, uint64_t generation,
    struct settings **ret, struct buf *report)
{
	struct settings *s;
	int r = settings_begin(path, env, generation, &s, report);

	if (r < 0)
		return r;
	r = settings_complete(s, NULL, report);
	if (r < 0) {
		(void)settings_free(s);
		return r;
	}
	*ret = s;
	return 0;
}
