/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * settings.c: see settings.h. Many accounts share a client secret or a certificate file, so each
 * distinct one is held once, in an array sorted by its text.
 */
#include "broker/main/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/main/hand.h"
#include "broker/main/permissions.h"

struct held_secret {
	const struct conf_reference *reference; /* the first of its text */
	struct secret *secret;
};

struct held_file {
	const char *path;
	int fd;
};

struct settings {
	struct conf *conf;
	uint64_t generation;
	struct held_secret *secrets;
	size_t secret_count;
	struct held_file *files;
	size_t file_count;
	struct alias_file aliases;
	struct secret *key;
	const char *key_from;
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

void
settings_set_key(struct settings *s, struct secret *key, const char *from)
{
	(void)secret_free(s->key);
	s->key = key;
	s->key_from = from;
}

void
settings_share_key(struct settings *s, const struct settings *from)
{
	settings_set_key(s, secret_ref(from->key), from->key_from);
}

const struct secret *
settings_key(const struct settings *s)
{
	return s->key;
}

const char *
settings_key_from(const struct settings *s)
{
	return s->key_from;
}

struct settings *
settings_free(struct settings *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->secret_count; i++)
		(void)secret_free(s->secrets[i].secret);
	for (size_t i = 0; i < s->file_count; i++)
		if (s->files[i].fd >= 0)
			(void)close(s->files[i].fd);
	free(s->secrets);
	free(s->files);
	alias_file_clear(&s->aliases);
	(void)secret_free(s->key);
	(void)conf_free(s->conf);
	free(s);
	return NULL;
}

static int
compare_secrets(const void *a, const void *b)
{
	const struct held_secret *x = a, *y = b;

	return strcmp(x->reference->text, y->reference->text);
}

static int
compare_files(const void *a, const void *b)
{
	const struct held_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

const struct secret *
settings_secret(const struct settings *s, const struct conf_reference *reference)
{
	const struct held_secret wanted = {.reference = reference}, *found;

	if (reference->text == NULL || s->secret_count == 0)
		return NULL;
	found = bsearch(&wanted, s->secrets, s->secret_count, sizeof(wanted), compare_secrets);
	return found == NULL ? NULL : found->secret;
}

void
settings_key_files_clear(struct settings_key_files *f)
{
	(void)secret_free(f->key);
	(void)secret_free(f->certificate);
	(void)secret_free(f->secret);
	*f = (struct settings_key_files){0};
}

static bool
is_in_file(const struct conf_reference *ref)
{
	return ref->text != NULL && strncmp(ref->text, "command:", strlen("command:")) != 0;
}

bool
settings_rereads(const struct conf_account *a)
{
	return is_in_file(&a->client_key) || is_in_file(&a->client_certificate) ||
	       is_in_file(&a->client_secret);
}

static int
reread(const struct conf_reference *ref, struct secret **ret, struct buf *why)
{
	if (!is_in_file(ref))
		return 0;
	*ret = conf_reference_read(ref, why);
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

int
settings_file(const struct settings *s, const char *path)
{
	const struct held_file wanted = {.path = path}, *found;

	if (path == NULL)
		return -1;
	found = s->file_count == 0
		    ? NULL
		    : bsearch(&wanted, s->files, s->file_count, sizeof(wanted), compare_files);
	return found == NULL ? -ENOENT : settings_reopen(found->fd);
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

	if (r < 0)
		return r;
	alias_file_clear(&s->aliases);
	s->aliases = next;
	return 0;
}

/* Every reference of an account or a listener, also where it is not given. */
static void
each_reference(
    const struct settings *s, void (*visit)(void *arg, const struct conf_reference *r), void *arg)
{
	for (size_t i = 0; i < s->conf->account_count; i++) {
		const struct conf_account *a = &s->conf->accounts[i];

		visit(arg, &a->client_secret);
		visit(arg, &a->client_key);
		visit(arg, &a->client_certificate);
		visit(arg, &a->password);
	}
	for (size_t i = 0; i < s->conf->listener_count; i++) {
		const struct conf_listener *n = &s->conf->listeners[i];

		visit(arg, &n->certificate);
		visit(arg, &n->key);
	}
	for (size_t i = 0; i < s->conf->webhook_count; i++) {
		const struct conf_webhook *w = &s->conf->webhooks[i];

		visit(arg, &w->url_secret);
		visit(arg, &w->secret);
		visit(arg, &w->header);
	}
}

struct collected {
	struct held_secret *all;
	size_t count;
};

static void
collect(void *arg, const struct conf_reference *r)
{
	struct collected *c = arg;

	if (r->text != NULL)
		c->all[c->count++].reference = r;
}

static void
count_reference(void *arg, const struct conf_reference *r)
{
	++*(size_t *)arg;
}

static bool
is_text(const struct conf_reference *r, const char *text)
{
	return r->text != NULL && strcmp(r->text, text) == 0;
}

static bool
uses_secret(const struct conf_account *a, const char *text)
{
	return is_text(&a->client_secret, text) || is_text(&a->client_key, text) ||
	       is_text(&a->client_certificate, text) || is_text(&a->password, text);
}

static bool
is_path(const char *path, const char *text)
{
	return path != NULL && strcmp(path, text) == 0;
}

static bool
uses_file(const struct conf_account *a, const char *path)
{
	return is_path(a->ca_file, path) || is_path(a->tls_certificate, path) ||
	       is_path(a->tls_key, path);
}

/* At a start: accounts that use what cannot be read are out of force, and the rest goes on. False
 * where that does not help. */
static bool
take_out_of_force(struct settings *s, bool (*uses)(const struct conf_account *a, const char *text),
    const char *text, const char *why)
{
	bool found = false;

	for (size_t i = 0; i < s->conf->account_count && s->lenient; i++) {
		struct conf_account *a = &s->conf->accounts[i];

		if (!uses(a, text))
			continue;
		found = true;
		if (a->lapse != NULL)
			continue;
		a->lapse = strdup(why);
		if (a->lapse == NULL || conf_note_lapse(s->conf, a->name, why) < 0)
			return false;
	}
	return found;
}

/* `commands`: those that have run; NULL: they are run now. */
static int
read_secrets(struct settings *s, struct commands *commands, struct buf *report)
{
	struct collected c = {0};
	struct held_secret *all;
	size_t count = 0, kept = 0;
	int r = 0;

	each_reference(s, count_reference, &count);
	all = c.all = calloc(count + 1, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	each_reference(s, collect, &c);
	count = c.count;
	qsort(all, count, sizeof(*all), compare_secrets);
	s->secrets = all;
	for (size_t i = 0; i < count; i++) {
		CLEANUP_BUF struct buf why = BUF_INIT(1024);
		const struct conf_reference *ref = all[i].reference;

		if (kept > 0 && compare_secrets(&all[kept - 1], &all[i]) == 0)
			continue;
		all[kept].reference = ref;
		all[kept].secret = commands != NULL && conf_reference_is_command(ref)
				       ? commands_take(commands, ref, &why)
				       : conf_reference_read(ref, &why);
		if (all[kept].secret == NULL) {
			(void)buf_printf(report, "%s:%u: error: %s\n", ref->place.file,
			    ref->place.line, buf_str(&why));
			r = take_out_of_force(s, uses_secret, ref->text, buf_str(&why)) ? r
											: -EINVAL;
		}
		s->secret_count = ++kept;
	}
	return r;
}

enum { FILES = 3 }; /* of an account at most */

static size_t
name_files(const struct conf_account *a, struct held_file to[FILES])
{
	const char *const paths[FILES] = {a->ca_file, a->tls_certificate, a->tls_key};
	size_t count = 0;

	for (size_t i = 0; i < FILES; i++)
		if (paths[i] != NULL)
			to[count++].path = paths[i];
	return count;
}

static int
open_files(struct settings *s, struct buf *report)
{
	struct held_file *all =
	    calloc(FILES * s->conf->account_count + s->conf->webhook_count + 1, sizeof(*all));
	size_t count = 0, kept = 0;
	int r = 0;

	if (all == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->conf->account_count; i++)
		count += name_files(&s->conf->accounts[i], &all[count]);
	for (size_t i = 0; i < s->conf->webhook_count; i++)
		if (s->conf->webhooks[i].ca_file != NULL)
			all[count++].path = s->conf->webhooks[i].ca_file;
	qsort(all, count, sizeof(*all), compare_files);
	s->files = all;
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		if (kept > 0 && compare_files(&all[kept - 1], &all[i]) == 0)
			continue;
		all[kept].path = all[i].path;
		all[kept].fd = open(all[i].path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (all[kept].fd < 0) {
			(void)buf_printf(report, "error: the file %s cannot be read: %s\n",
			    all[i].path, strerror(errno));
			r = take_out_of_force(s, uses_file, all[i].path, "a file cannot be read")
				? r
				: -EINVAL;
		} else if (fstat(all[kept].fd, &st) < 0 || !S_ISREG(st.st_mode) ||
			   st.st_size == 0) {
			(void)buf_printf(report, "error: the file %s is empty or no regular file\n",
			    all[i].path);
			r = -EINVAL;
		}
		s->file_count = ++kept;
	}
	return r;
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
	r = conf_load(path, env, &s->conf, report);
	if (r < 0) {
		(void)settings_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct adding {
	struct commands *commands;
	int r;
};

static void
add_command(void *arg, const struct conf_reference *r)
{
	struct adding *a = arg;

	if (a->r == 0)
		a->r = commands_add(a->commands, r);
}

int
settings_add_commands(const struct settings *s, const struct settings *old, struct commands *c)
{
	struct adding a = {.commands = c};

	each_reference(s, add_command, &a);
	if (!settings_same_key(s, old))
		add_command(&a, &s->conf->master_key);
	return a.r;
}

bool
settings_same_key(const struct settings *s, const struct settings *old)
{
	return strcmp(s->conf->master_key.text, old->conf->master_key.text) == 0;
}

static void
look_into_pem(const struct settings *s, const struct conf_listener *n,
    const struct conf_reference *ref, const char *mark, const char *what, struct buf *report)
{
	const struct secret *text = settings_secret(s, ref);

	if (text == NULL ||
	    memmem(secret_bytes(text), secret_len(text), mark, strlen(mark)) != NULL)
		return;
	(void)buf_printf(report,
	    "%s:%u: warning: listener \"%s\": %s holds no %s (PEM): no TLS is possible with it\n",
	    ref->place.file, ref->place.line, n->name, ref->text, what);
}

/* Main links no library for TLS, so only what stands outside of the base64 is looked at. What lies
 * within, frank-tls finds, and logs it. */
static void
look_into_certificates(const struct settings *s, struct buf *report)
{
	for (size_t i = 0; i < s->conf->listener_count; i++) {
		const struct conf_listener *n = &s->conf->listeners[i];

		look_into_pem(s, n, &n->certificate, "CERTIFICATE-----", "certificate", report);
		look_into_pem(s, n, &n->key, "PRIVATE KEY-----", "private key", report);
	}
}

int
settings_complete(struct settings *s, struct commands *c, struct buf *report)
{
	int r = read_secrets(s, c, report), files = open_files(s, report),
	    aliases = settings_aliases_read(s, report), packets, permissions;

	if (aliases < 0 && aliases != -ENOMEM && s->lenient)
		aliases = conf_note_lapse(s->conf, "aliases",
		    "the aliases file cannot be read, and no alias is in force");
	look_into_certificates(s, report);
	packets = r == -ENOMEM || files == -ENOMEM ? -ENOMEM : hand_check(s, report);
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
