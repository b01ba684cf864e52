/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * load.c: see load.h. Puts the blocks together: defaults, and the checks that need more than one value. What an account is made of
 * is in account.c.
 *
 * Where reading is lenient, a block with an error of its own is out of force. An account keeps its mail then, and a service refuses its
 * callers: were it left out, a later one might take them on other terms. A listener and a webhook are left out.
 */
#include "broker/conf/load.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "broker/conf/account.h"
#include "broker/conf/loader.h"
#include "broker/conf/read.h"
#include "broker/conf/values.h"
#include "config.h"

enum { NAMES_MAX = 1000 };

const char *
load_find_late(const struct conf *c)
{
	for (size_t i = 0; i < c->missing_users.count; i++)
		if (getpwnam(c->missing_users.items[i]) != NULL)
			return c->missing_users.items[i];
	for (size_t i = 0; i < c->missing_groups.count; i++)
		if (getgrnam(c->missing_groups.items[i]) != NULL)
			return c->missing_groups.items[i];
	return NULL;
}

int
load_note_lapse(struct conf *c, const char *what, const char *why)
{
	CLEANUP_BUF struct buf line = BUF_INIT(4096);

	(void)buf_printf(&line, "%s: %s", what, why);
	return conf_strings_add(&c->lapses, buf_str(&line));
}

/* A new struct for a block with a title, with its name and defaults and what is written. */
static int
read_titled(struct loader *l, const struct raw_block *b, void **ret)
{
	const struct conf_block_def *d = &conf_blocks[b->kind];
	int r = loader_check_title(l, b);
	char **name;

	*ret = r < 0 ? NULL : conf_block_add(l->conf, b->kind);
	if (*ret == NULL)
		return -ENOMEM;
	name = (char **)(void *)((char *)*ret + d->keys[0].offset);
	*name = strdup(b->title);
	if (*name == NULL)
		return -ENOMEM;
	loader_begin_block(l);
	r = read_defaults(&l->raw, b->kind, *ret);
	return r < 0 ? r : read_block(&l->raw, b, d->size, *ret);
}

/* ---- services ---- */

/* It stays in its place, and has no accounts to send through. */
static void
put_out_of_force(struct conf_service *s)
{
	s->out_of_force = true;
	s->mode = CONF_MODE_DELIVER;
	s->token = false;
	conf_strings_free(&s->accounts);
}

static int
add_service(struct loader *l, const struct raw_block *b)
{
	size_t before = l->conf->lapses.count;
	struct conf_service *s;
	void *read;
	int r = read_titled(l, b, &read);

	if (r < 0)
		return r;
	s = read;
	s->place = b->place;
	/* A socket of its own is for everybody where nobody is named; not where nobody is left. */
	if (l->conf->lapses.count > before && s->users.count == 0 && s->groups.count == 0 &&
	    !s->any_user)
		s->socket = false;
	if (loader_end_block(l) > 0 && l->raw.lapses != NULL)
		put_out_of_force(s);
	return 0;
}

/* Account names that services give: after all accounts are known, whatever the order of the files.
 */
static void
check_service(struct loader *l, const struct conf_service *s, const struct raw_block *b)
{
	const struct raw_entry *accounts = raw_find(b, "accounts");

	if (!s->any_user && s->users.count == 0 && s->groups.count == 0 && !s->socket &&
	    !s->password && raw_find(b, "users") == NULL && raw_find(b, "groups") == NULL)
		raw_error(&l->raw, s->place,
		    "service \"%s\" needs users or groups: who it is for; users = {\"*\"} is "
		    "everybody; or socket = true or password = true",
		    s->name);
	if (!s->socket && (s->socket_mode != 0 || s->has_socket_group))
		raw_error(&l->raw, s->place,
		    "service \"%s\": socket-mode and socket-group go with socket = true", s->name);
	if (s->accounts.count == 0 && s->mode != CONF_MODE_CAPTURE)
		raw_error(&l->raw, s->place,
		    "service \"%s\" needs accounts: whose credentials it may use", s->name);
	if (s->deliver_to.count > 0 && (s->mode != CONF_MODE_CAPTURE || s->accounts.count == 0))
		raw_error(&l->raw, s->place,
		    "service \"%s\": deliver-to goes with mode = \"capture\", and with accounts to "
		    "deliver by",
		    s->name);
	for (size_t i = 0; i < s->accounts.count; i++) {
		const char *names[NAMES_MAX + 1];
		size_t n = 0;

		if (name_set_get(&l->names[CONF_BLOCK_ACCOUNT], s->accounts.items[i]) != NULL)
			continue;
		for (; n < l->conf->account_count && n < NAMES_MAX; n++)
			names[n] = l->conf->accounts[n].name;
		names[n] = NULL;
		raw_error(&l->raw, accounts->place, "accounts: no account is named \"%s\"%s",
		    s->accounts.items[i],
		    raw_suggest(value_did_you_mean(s->accounts.items[i], names)));
	}
}

/* ---- listeners ---- */

/* The rules that keep a listener from being a relay for whoever can reach it. */
static void
check_listener(struct loader *l, const struct conf_listener *n)
{
	bool tls = n->tls != CONF_TLS_NONE;
	char address[VALUE_ADDRESS_MAX];

	if (n->addresses.count == 0)
		raw_error(&l->raw, n->place,
		    "listener \"%s\" needs address: where it listens, such as \"127.0.0.1:2525\"",
		    n->name);
	for (size_t i = 0; i < n->addresses.count; i++) {
		bool loopback = false;

		(void)value_listen_address(n->addresses.items[i], address, &loopback);
		if (!loopback && !n->remote)
			raw_error(&l->raw, n->place,
			    "listener \"%s\": %s is no loopback address: other machines could "
			    "reach "
			    "it; where that is meant, say remote = true",
			    n->name, n->addresses.items[i]);
	}
	if (n->remote && (!tls || n->auth != CONF_LISTENER_AUTH_REQUIRED))
		raw_error(&l->raw, n->place,
		    "listener \"%s\": remote = true wants TLS (certificate and key) and auth = "
		    "\"required\": nothing else tells callers of other machines apart",
		    n->name);
	if (tls && n->certificate.text == NULL)
		raw_error(&l->raw, n->place,
		    "listener \"%s\": tls = \"%s\" needs certificate: the PEM file of the "
		    "certificate and its chain",
		    n->name, conf_word(CONF_TYPE_tls, n->tls));
	if (!tls && n->certificate.text != NULL)
		raw_error(&l->raw, n->place,
		    "listener \"%s\": tls = \"none\" uses no certificate; remove one of the two",
		    n->name);
}

/* Does a listener before `n`, or an address of `n` before this one, have it? */
static bool
is_listened_at(const struct loader *l, const struct conf_listener *n, size_t at)
{
	const char *address = n->addresses.items[at];

	for (size_t i = 0; i < at; i++)
		if (strcmp(n->addresses.items[i], address) == 0)
			return true;
	return name_set_get(&l->listen_addresses, address) != NULL;
}

static int
add_listener(struct loader *l, const struct raw_block *b)
{
	struct conf_listener *n;
	void *read;
	int r = read_titled(l, b, &read);

	if (r < 0)
		return r;
	n = read;
	n->place = b->place;
	if (n->tls == CONF_TLS_EITHER)
		n->tls = n->certificate.text == NULL ? CONF_TLS_NONE : CONF_TLS_STARTTLS;
	if (n->auth == CONF_LISTENER_AUTH_UNSET)
		n->auth = n->remote ? CONF_LISTENER_AUTH_REQUIRED : CONF_LISTENER_AUTH_OPTIONAL;
	/* one file may hold both */
	if (n->certificate.text != NULL && n->key.text == NULL) {
		n->key.place = n->certificate.place;
		r = loader_default_string(&n->key.text, n->certificate.text);
	}
	check_listener(l, n);
	loader_check_reference(l, &n->key);
	loader_check_reference(l, &n->certificate);
	for (size_t i = 0; i < n->addresses.count && l->raw.block_errors == 0; i++)
		if (is_listened_at(l, n, i))
			raw_error(&l->raw, n->place, "address: %s is listened at twice",
			    n->addresses.items[i]);
	/* the set borrows them: those of a listener that is left out must not come into it */
	for (size_t i = 0; i < n->addresses.count && r == 0 && l->raw.block_errors == 0; i++)
		(void)name_set_add(&l->listen_addresses, n->addresses.items[i], n, &r);
	if (loader_end_block(l) > 0 && l->raw.lapses != NULL)
		conf_block_remove(l->conf, CONF_BLOCK_LISTENER, l->conf->listener_count - 1);
	return r;
}

/* ---- how people are told ---- */

static int
add_webhook(struct loader *l, const struct raw_block *b)
{
	struct conf_webhook *w;
	void *read;
	int r = read_titled(l, b, &read);

	if (r < 0)
		return r;
	w = read;
	w->place = b->place;
	if (w->url.secret == NULL && w->url.text == NULL)
		raw_error(&l->raw, b->place,
		    "webhook \"%s\" needs url: where events are posted, or a reference to it",
		    w->name);
	loader_check_reference(l, &w->url);
	loader_check_reference(l, &w->secret);
	loader_check_reference(l, &w->header);
	if (loader_end_block(l) > 0 && l->raw.lapses != NULL)
		conf_block_remove(l->conf, CONF_BLOCK_WEBHOOK, l->conf->webhook_count - 1);
	return 0;
}

/* It would find out when something has to be told already. Root is no user to run it under: a command
 * that can be told something by a server must not be able to do everything. */
static void
check_command_user(struct loader *l, const struct conf_notify *n)
{
	const struct passwd *p;

	if (n->command_user == NULL || !l->env->check_files)
		return;
	p = getpwnam(n->command_user);
	if (p == NULL)
		raw_error(
		    &l->raw, n->place, "command-user: there is no user \"%s\"", n->command_user);
	else if (p->pw_uid == 0)
		raw_error(&l->raw, n->place,
		    "command-user: \"%s\" may do everything; name a user who may do what the "
		    "command needs",
		    n->command_user);
}

static int
read_notify(struct loader *l, const struct raw_block *b)
{
	struct conf_notify *n = &l->conf->notify;
	int r;

	loader_begin_block(l);
	r = read_block(&l->raw, b, sizeof(*n), n);
	if (loader_end_block(l) > 0 && l->raw.lapses != NULL) {
		conf_block_clear(CONF_BLOCK_NOTIFY, n);
		if (r == 0)
			r = read_defaults(&l->raw, CONF_BLOCK_NOTIFY, n);
	}
	n->place = b->place;
	return r;
}

/* The names of accounts or services in a webhook's filter. */
static void
check_names(struct loader *l, const struct conf_webhook *w, const struct conf_strings *names,
    enum conf_block block, const char *what)
{
	for (size_t i = 0; i < names->count; i++)
		if (name_set_get(&l->names[block], names->items[i]) == NULL)
			raw_error(&l->raw, w->place, "webhook \"%s\": there is no %s \"%s\"",
			    w->name, what, names->items[i]);
}

/* After all accounts and services are known. */
static void
check_notify(struct loader *l)
{
	struct conf_notify *n = &l->conf->notify;

	loader_begin_block(l);
	check_command_user(l, n);
	for (size_t i = 0; i < l->conf->webhook_count; i++) {
		const struct conf_webhook *w = &l->conf->webhooks[i];

		check_names(l, w, &w->accounts, CONF_BLOCK_ACCOUNT, "account");
		check_names(l, w, &w->services, CONF_BLOCK_SERVICE, "service");
	}
	for (size_t i = 0; i < n->mail_accounts.count; i++)
		if (name_set_get(&l->names[CONF_BLOCK_ACCOUNT], n->mail_accounts.items[i]) == NULL)
			raw_error(&l->raw, n->place, "mail-accounts: there is no account \"%s\"",
			    n->mail_accounts.items[i]);
	if (n->mail_to.count > 0 && n->mail_accounts.count == 0)
		raw_error(&l->raw, n->place,
		    "mail-to needs mail-accounts: through which accounts it is sent; one that "
		    "fails is passed over");
	if (n->command.count > 0 && l->env->check_files && access(n->command.items[0], X_OK) < 0)
		raw_error(&l->raw, n->place, "command: %s cannot be run: %s", n->command.items[0],
		    strerror(errno));
	if (loader_end_block(l) > 0)
		conf_strings_free(&n->command);
	n->has_command = n->command.count > 0;
}

/* ---- the top level ---- */

/* The domain that /etc/mailname names; "" for none. */
static void
read_mailname(char *ret, size_t size)
{
	FILE *f = fopen("/etc/mailname", "re");

	*ret = '\0';
	if (f == NULL)
		return;
	if (fgets(ret, (int)size, f) != NULL)
		ret[strcspn(ret, " \t\r\n")] = '\0';
	(void)fclose(f);
	if (!value_host(ret, strlen(ret)))
		*ret = '\0';
}

static int
derive_names(struct conf *c, const struct conf_environment *env)
{
	CLEANUP_BUF struct buf key = BUF_INIT(4096);
	char host[256] = "localhost", mailname[256];
	const struct group *admin, *monitor;
	const char *runtime_dir = env->runtime_dir == NULL ? FRANK_RUNTIME_DIR : env->runtime_dir;
	const char *state_dir = env->state_dir == NULL ? FRANK_STATE_DIR : env->state_dir;
	int r;

	if (gethostname(host, sizeof(host) - 1) < 0 || !value_host(host, strlen(host)))
		memcpy(host, "localhost", sizeof("localhost"));
	read_mailname(mailname, sizeof(mailname));
	if ((r = loader_default_string(&c->runtime_dir, runtime_dir)) < 0 ||
	    (r = loader_default_string(&c->state_dir, state_dir)) < 0 ||
	    (r = loader_default_string(&c->hostname, host)) < 0)
		return r;
	/* Where the group does not exist, root and frankd's own user administer alone. */
	admin = getgrnam(c->admin_group);
	c->has_admin_gid = admin != NULL;
	c->admin_gid = admin == NULL ? 0 : admin->gr_gid;
	monitor = getgrnam(c->monitor_group);
	c->has_monitor_gid = monitor != NULL;
	c->monitor_gid = monitor == NULL ? 0 : monitor->gr_gid;
	r = loader_default_string(&c->mail_name, *mailname != '\0' ? mailname : c->hostname);
	if (r == 0)
		r = buf_printf(&key, "file:%s/master.key", c->state_dir);
	return r < 0 ? r : loader_default_string(&c->master_key.text, buf_str(&key));
}

/* ---- what is local ---- */

static bool
has_domain(const char *address, const char *domain)
{
	const char *own = address == NULL ? NULL : strrchr(address, '@');

	return own != NULL && strcasecmp(own + 1, domain) == 0;
}

/* Is mail exchanged under this domain, as far as the configuration shows? */
static bool
is_mail_domain(const struct conf *c, const char *domain)
{
	if (has_domain(c->postmaster, domain))
		return true;
	for (size_t i = 0; i < c->account_count; i++)
		if (has_domain(c->accounts[i].mailbox, domain))
			return true;
	for (size_t i = 0; i < c->service_count; i++)
		for (size_t k = 0; k < c->services[i].senders.count; k++)
			if (has_domain(c->services[i].senders.items[k], domain))
				return true;
	return false;
}

/* "web1" and "web1.example.com" name one host. */
static bool
is_same_host(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), shorter = n < m ? n : m;

	return strncasecmp(a, b, shorter) == 0 && (n == m || (n < m ? b : a)[shorter] == '.');
}

/*
 * The domains whose users are this host's, where the configuration does not say. Many a host is named like the domain whose mail its
 * provider takes: such a domain is not local, or mail to people there would be refused.
 */
static int
default_local_domains(struct conf *c)
{
	const char *const names[] = {"localhost", "localhost.localdomain", c->hostname,
	    is_same_host(c->mail_name, c->hostname) ? c->mail_name : c->hostname};
	int r = 0;

	if (c->local_domains.count > 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		bool known = i > 1 && is_mail_domain(c, names[i]);

		for (size_t k = 0; k < c->local_domains.count && !known; k++)
			known = strcasecmp(c->local_domains.items[k], names[i]) == 0;
		if (!known)
			r = conf_strings_add(&c->local_domains, names[i]);
	}
	return r;
}

/* ---- the whole ---- */

static int
add_block(struct loader *l, const struct raw_block *b, const struct raw_block **seen)
{
	switch (b->kind) {
	case CONF_BLOCK_ACCOUNT:
		return account_add(l, b);
	case CONF_BLOCK_SERVICE:
		return add_service(l, b);
	case CONF_BLOCK_LISTENER:
		return add_listener(l, b);
	case CONF_BLOCK_WEBHOOK:
		return add_webhook(l, b);
	case CONF_BLOCK_PROVIDER:
		return 0;
	default:
		break;
	}
	if (seen[b->kind] != NULL)
		raw_error(&l->raw, b->place, "%s is there twice; %s:%u has it too",
		    conf_blocks[b->kind].name, seen[b->kind]->place.file,
		    seen[b->kind]->place.line);
	seen[b->kind] = b;
	return b->kind == CONF_BLOCK_NOTIFY ? read_notify(l, b)
					    : read_block(&l->raw, b, sizeof(*l->conf), l->conf);
}

static void
check_services(struct loader *l)
{
	struct conf_service *s = l->conf->services;

	for (size_t i = 1; i < l->raw.count; i++) {
		if (l->raw.blocks[i].kind != CONF_BLOCK_SERVICE)
			continue;
		loader_begin_block(l);
		if (!s->out_of_force)
			check_service(l, s, &l->raw.blocks[i]);
		if (loader_end_block(l) > 0 && l->raw.lapses != NULL)
			put_out_of_force(s);
		s++;
	}
}

static int
make_conf(struct loader *l)
{
	const struct raw_block *seen[CONF_BLOCK_COUNT] = {0};
	struct raw *raw = &l->raw;
	int r = 0;

	for (enum conf_block b = CONF_BLOCK_TOP; b <= CONF_BLOCK_NOTIFY && r == 0; b++)
		r = read_defaults(raw, b, conf_block_add(l->conf, b));
	if (r == 0)
		r = read_block(raw, &raw->blocks[0], sizeof(*l->conf), l->conf);
	for (size_t i = 1; i < raw->count && r == 0; i++)
		r = add_block(l, &raw->blocks[i], seen);
	if (r == 0)
		r = derive_names(l->conf, l->env);
	if (r == 0)
		check_services(l);
	if (r == 0 && seen[CONF_BLOCK_NOTIFY] != NULL)
		check_notify(l);
	if (r == 0)
		r = default_local_domains(l->conf);
	if (r == 0 && l->conf->lifetime < l->conf->warn_after)
		raw_warning(raw, (struct conf_place){raw->files.items[0], 0},
		    "spool: warn-after is longer than lifetime: no warning will be sent");
	return r;
}

int
load_conf(
    const char *path, const struct conf_environment *env, struct conf **ret, struct buf *report)
{
	struct loader l = {.env = env, .conf = calloc(1, sizeof(*l.conf))};
	int r = l.conf == NULL ? -ENOMEM : loader_read(&l, path, true, report);

	*ret = NULL;
	if (r == 0 && env->lenient)
		l.raw.lapses = &l.conf->lapses;
	if (r == 0 && l.raw.errors == 0 && l.presets.errors == 0)
		r = make_conf(&l);
	if (r == 0 && (l.raw.errors > 0 || l.presets.errors > 0))
		r = -EINVAL;
	if (r == 0) {
		l.conf->files = l.raw.files;
		l.conf->stamp = l.raw.stamp;
		l.raw.files = (struct conf_strings){0};
		l.conf->missing_users = l.raw.missing_users;
		l.conf->missing_groups = l.raw.missing_groups;
		l.raw.missing_users = l.raw.missing_groups = (struct conf_strings){0};
		*ret = TAKE_PTR(l.conf);
	}
	loader_clear(&l);
	return r;
}
