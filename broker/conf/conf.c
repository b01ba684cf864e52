/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conf.c: see conf.h. Puts the blocks together: includes, presets, defaults, and the checks that need
 * more than one value. What an account is made of is in account.c.
 */
#include "broker/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "broker/conf/loader.h"
#include "broker/conf/values.h"
#include "config.h"

enum { DAY = 86400, HOUR = 3600, MINUTE = 60 };

/* ---- freeing ---- */

static void
account_clear(struct conf_account *a)
{
	char **strings[] = {&a->name, &a->lapse, &a->provider, &a->mailbox, &a->auth_user,
	    &a->client_id, &a->client_secret.text, &a->client_auth, &a->client_key.text,
	    &a->client_certificate.text, &a->client_key_id, &a->client_key_algorithm,
	    &a->app_scopes, &a->password_derivation, &a->region, &a->redirect_scheme, &a->tenant,
	    &a->transport, &a->issuer, &a->authorization_endpoint, &a->token_endpoint,
	    &a->device_endpoint, &a->revocation_endpoint, &a->userinfo_endpoint, &a->scopes,
	    &a->host, &a->tls, &a->ca_file, &a->tls_name, &a->tls_certificate, &a->tls_key,
	    &a->password.text, &a->redirect_host, &a->redirect_path, &a->graph_endpoint,
	    &a->gmail_endpoint, &a->graph_scopes, &a->gmail_scopes, &a->api_endpoint};

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(*strings[i]);
	conf_strings_free(&a->extra_parameters);
	conf_strings_free(&a->mechanisms);
	conf_strings_free(&a->audience);
	conf_strings_free(&a->tls_pins);
}

static void
webhook_clear(struct conf_webhook *w)
{
	free(w->name);
	free(w->url);
	free(w->url_secret.text);
	free(w->secret.text);
	free(w->header.text);
	free(w->ca_file);
}

static void
notify_clear(struct conf_notify *n)
{
	conf_strings_free(&n->command);
	free(n->command_user);
	conf_strings_free(&n->mail_to);
	conf_strings_free(&n->mail_accounts);
	conf_strings_free(&n->events);
}

static void
service_clear(struct conf_service *s)
{
	free(s->name);
	free(s->users);
	free(s->groups);
	free(s->from_policy);
	free(s->mode);
	conf_strings_free(&s->accounts);
	conf_strings_free(&s->senders);
	conf_strings_free(&s->recipients);
}

static void
listener_clear(struct conf_listener *n)
{
	free(n->name);
	free(n->tls);
	free(n->auth);
	free(n->line_ends);
	free(n->certificate.text);
	free(n->key.text);
	conf_strings_free(&n->addresses);
}

struct conf *
conf_free(struct conf *c)
{
	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < c->listener_count; i++)
		listener_clear(&c->listeners[i]);
	free(c->listeners);
	for (size_t i = 0; i < c->webhook_count; i++)
		webhook_clear(&c->webhooks[i]);
	free(c->webhooks);
	notify_clear(&c->notify);
	for (size_t i = 0; i < c->account_count; i++)
		account_clear(&c->accounts[i]);
	for (size_t i = 0; i < c->service_count; i++)
		service_clear(&c->services[i]);
	free(c->accounts);
	free(c->services);
	free(c->runtime_dir);
	free(c->state_dir);
	free(c->hostname);
	free(c->mail_name);
	free(c->postmaster);
	free(c->aliases);
	conf_strings_free(&c->local_domains);
	free(c->admin_group);
	free(c->log_level);
	free(c->in_doubt);
	free(c->master_key.text);
	conf_strings_free(&c->include);
	conf_strings_free(&c->files);
	conf_strings_free(&c->lapses);
	free(c);
	return NULL;
}

int
conf_note_lapse(struct conf *c, const char *what, const char *why)
{
	CLEANUP_BUF struct buf line = BUF_INIT(4096);

	(void)buf_printf(&line, "%s: %s", what, why);
	return conf_strings_add(&c->lapses, buf_str(&line));
}

const char *
conf_grant_name(enum conf_grant g)
{
	static const char *const names[] = {"authorization-code", "device-code",
	    "client-credentials", "service-account", "password", "none"};

	return names[g];
}

int
conf_default_string(char **target, const char *value)
{
	if (*target != NULL)
		return 0;
	*target = strdup(value);
	return *target == NULL ? -ENOMEM : 0;
}

/* ---- presets ---- */

static int
index_blocks(const struct raw *raw, struct name_set *set)
{
	int r = 0;

	for (size_t i = 1; i < raw->count && r == 0; i++)
		if (raw->blocks[i].kind == RAW_PROVIDER)
			(void)name_set_add(set, raw->blocks[i].title, &raw->blocks[i], &r);
	return r;
}

static int
read_pattern(struct raw *raw, const char *pattern, struct conf_place place, bool must_match)
{
	glob_t found = {0};
	int r = glob(pattern, 0, NULL, &found), status = 0;

	if (r == GLOB_NOSPACE)
		status = -ENOMEM;
	else if (r == GLOB_NOMATCH && must_match && strpbrk(pattern, "*?[") == NULL)
		raw_error(raw, place, "include: \"%s\" does not exist", pattern);
	else if (r == GLOB_ABORTED)
		raw_error(raw, place, "include: a folder of \"%s\" cannot be read: %s", pattern,
		    strerror(errno));
	for (size_t i = 0; r == 0 && i < found.gl_pathc && status == 0; i++)
		status = raw_read_file(raw, found.gl_pathv[i]);
	globfree(&found);
	return status;
}

static int
read_presets(struct loader *l)
{
	CLEANUP_BUF struct buf pattern = BUF_INIT(4096);

	if (l->env->provider_dir == NULL)
		return 0;
	if (buf_printf(&pattern, "%s/*.conf", l->env->provider_dir) < 0)
		return -ENOMEM;
	return read_pattern(
	    &l->presets, buf_str(&pattern), (struct conf_place){l->env->provider_dir, 0}, false);
}

/* ---- what blocks have in common ---- */

void
conf_check_readable(struct loader *l, const struct conf_reference *ref)
{
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	struct secret *s;

	if (ref->text == NULL || !l->env->check_files || strcmp(ref->text, "keyring") == 0 ||
	    strcmp(ref->text, "passphrase") == 0 || conf_reference_is_command(ref))
		return;
	s = conf_reference_read(ref, &why);
	if (s == NULL)
		raw_lapse(&l->raw, ref->place, "%s", buf_str(&why));
	(void)secret_free(s);
}

size_t
conf_lapses(const struct loader *l)
{
	return l->conf->lapses.count;
}

int
conf_check_title(struct loader *l, const struct raw_block *b, struct name_set *names)
{
	const struct raw_block *first;
	int r;

	if (b->title == NULL || !value_name(b->title)) {
		raw_error(&l->raw, b->place,
		    "%s \"%s\": wants a name of letters, digits, '.', '_' and '-', at most 64",
		    raw_kind_name(b->kind), b->title == NULL ? "" : b->title);
		return 0;
	}
	first = name_set_add(names, b->title, b, &r);
	if (first != NULL)
		raw_error(&l->raw, b->place, "%s \"%s\" is there twice; %s:%u has it too",
		    raw_kind_name(b->kind), b->title, first->place.file, first->place.line);
	return r;
}

/* ---- services ---- */

static int
add_service(struct loader *l, const struct raw_block *b)
{
	struct conf *c = l->conf;
	struct conf_service *s;
	size_t before = conf_lapses(l);
	int r = conf_check_title(l, b, &l->service_names);

	if (r < 0)
		return r;
	if (c->service_count == l->service_room) {
		size_t room = l->service_room == 0 ? 16 : l->service_room * 2;

		s = reallocarray(c->services, room, sizeof(*s));
		if (s == NULL)
			return -ENOMEM;
		c->services = s;
		l->service_room = room;
	}
	s = &c->services[c->service_count++];
	*s = (struct conf_service){.place = b->place};
	s->name = strdup(b->title == NULL ? "" : b->title);
	if (s->name == NULL)
		return -ENOMEM;
	if ((r = read_block(&l->raw, b, service_rules, s)) < 0 ||
	    (r = conf_default_string(&s->from_policy, "rewrite")) < 0)
		return r;
	/* A socket of its own is for everybody where nobody is named; not where nobody is left. */
	if (conf_lapses(l) > before && s->user_count == 0 && s->group_count == 0 && !s->any_user)
		s->socket = false;
	return conf_default_string(&s->mode, "deliver");
}

/* Account names that services give: after all accounts are known, whatever the order of the files.
 */
static void
check_service(struct loader *l, const struct conf_service *s, const struct raw_block *b)
{
	const struct raw_entry *accounts = raw_find(b, "accounts");

	if (!s->any_user && s->user_count == 0 && s->group_count == 0 && !s->socket &&
	    !s->password && raw_find(b, "users") == NULL && raw_find(b, "groups") == NULL)
		raw_error(&l->raw, s->place,
		    "service \"%s\" needs users or groups: who it is for; users = {\"*\"} is "
		    "everybody; or socket = true or password = true",
		    s->name);
	if (!s->socket && (s->socket_mode != 0 || s->has_socket_group))
		raw_error(&l->raw, s->place,
		    "service \"%s\": socket-mode and socket-group go with socket = true", s->name);
	if (s->accounts.count == 0 && strcmp(s->mode, "capture") != 0)
		raw_error(&l->raw, s->place,
		    "service \"%s\" needs accounts: whose credentials it may use", s->name);
	for (size_t i = 0; i < s->accounts.count; i++) {
		const char *names[PROVIDERS_MAX + 1], *near;
		size_t n = 0;

		if (name_set_get(&l->account_names, s->accounts.items[i]) != NULL)
			continue;
		for (; n < l->conf->account_count && n < PROVIDERS_MAX; n++)
			names[n] = l->conf->accounts[n].name;
		names[n] = NULL;
		near = conf_did_you_mean(s->accounts.items[i], names);
		raw_error(&l->raw, accounts->place, "accounts: no account is named \"%s\"%s%s%s",
		    s->accounts.items[i], near == NULL ? "" : "; did you mean \"",
		    near == NULL ? "" : near, near == NULL ? "" : "\"?");
	}
}

/* ---- listeners ---- */

/* The rules that keep a listener from being a relay for whoever can reach it. */
static void
check_listener(struct loader *l, const struct conf_listener *n)
{
	bool tls = strcmp(n->tls, "none") != 0;
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
	if (n->remote && (!tls || strcmp(n->auth, "required") != 0))
		raw_error(&l->raw, n->place,
		    "listener \"%s\": remote = true wants TLS (certificate and key) and auth = "
		    "\"required\": nothing else tells callers of other machines apart",
		    n->name);
	if (tls && n->certificate.text == NULL)
		raw_error(&l->raw, n->place,
		    "listener \"%s\": tls = \"%s\" needs certificate: the PEM file of the "
		    "certificate and its chain",
		    n->name, n->tls);
	if (!tls && n->certificate.text != NULL)
		raw_error(&l->raw, n->place,
		    "listener \"%s\": tls = \"none\" uses no certificate; remove one of the two",
		    n->name);
}

static int
add_listener(struct loader *l, const struct raw_block *b)
{
	struct conf *c = l->conf;
	struct conf_listener *n = reallocarray(c->listeners, c->listener_count + 1, sizeof(*n));
	size_t before;
	int r = conf_check_title(l, b, &l->listener_names);

	if (n == NULL)
		return -ENOMEM;
	c->listeners = n;
	n = &c->listeners[c->listener_count++];
	*n = (struct conf_listener){.place = b->place};
	n->name = strdup(b->title == NULL ? "" : b->title);
	if (n->name == NULL)
		return -ENOMEM;
	if (r < 0 || (r = read_block(&l->raw, b, listener_rules, n)) < 0 ||
	    (r = conf_default_string(&n->tls, n->certificate.text == NULL ? "none" : "starttls")) <
		0 ||
	    (r = conf_default_string(&n->auth, n->remote ? "required" : "optional")) < 0)
		return r;
	/* one file may hold both */
	if (n->certificate.text != NULL && n->key.text == NULL) {
		n->key.place = n->certificate.place;
		r = conf_default_string(&n->key.text, n->certificate.text);
	}
	check_listener(l, n);
	before = conf_lapses(l);
	conf_check_readable(l, &n->key);
	conf_check_readable(l, &n->certificate);
	if (conf_lapses(l) > before) {
		listener_clear(&c->listeners[--c->listener_count]);
		return r;
	}
	/* the set borrows them */
	for (size_t i = 0; i < n->addresses.count && r == 0; i++)
		if (name_set_add(&l->listen_addresses, n->addresses.items[i], c, &r) != NULL)
			raw_error(&l->raw, n->place, "address: %s is listened at twice",
			    n->addresses.items[i]);
	return r;
}

/* ---- how people are told ---- */

/* Also the words that the queue gives to events (broker/queue/notify/notice.c). */
const char *const conf_event_kinds[] = {"needs-authorization", "refused", "client-error",
    "configuration", "client-secret-expires", "certificate-expires", "consent-lapses",
    "mail-failed", "mail-held", "mail-returned", "drop-refused", "disk-full", "out-of-force",
    "spool-error", "recovered", NULL};

static int
add_webhook(struct loader *l, const struct raw_block *b)
{
	struct conf *c = l->conf;
	struct conf_webhook *w = reallocarray(c->webhooks, c->webhook_count + 1, sizeof(*w));
	size_t before;
	int r = conf_check_title(l, b, &l->webhook_names);

	if (w == NULL)
		return -ENOMEM;
	c->webhooks = w;
	w = &c->webhooks[c->webhook_count++];
	*w = (struct conf_webhook){.place = b->place};
	w->name = strdup(b->title == NULL ? "" : b->title);
	if (w->name == NULL)
		return -ENOMEM;
	if (r < 0 || (r = read_block(&l->raw, b, webhook_rules, w)) < 0)
		return r;
	if (w->url == NULL && w->url_secret.text == NULL)
		raw_error(&l->raw, b->place,
		    "webhook \"%s\" needs url: where events are posted, or a reference to it",
		    w->name);
	before = conf_lapses(l);
	conf_check_readable(l, &w->url_secret);
	conf_check_readable(l, &w->secret);
	conf_check_readable(l, &w->header);
	if (conf_lapses(l) > before)
		webhook_clear(&c->webhooks[--c->webhook_count]);
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
		raw_lapse(
		    &l->raw, n->place, "command-user: there is no user \"%s\"", n->command_user);
	else if (p->pw_uid == 0)
		raw_error(&l->raw, n->place,
		    "command-user: \"%s\" may do everything; name a user who may do what the "
		    "command needs",
		    n->command_user);
}

static void
check_notify(struct loader *l, struct conf_place place)
{
	struct conf_notify *n = &l->conf->notify;

	size_t before = conf_lapses(l);

	n->place = place;
	check_command_user(l, n);
	for (size_t i = 0; i < n->mail_accounts.count; i++)
		if (name_set_get(&l->account_names, n->mail_accounts.items[i]) == NULL)
			raw_error(&l->raw, place, "mail-accounts: there is no account \"%s\"",
			    n->mail_accounts.items[i]);
	if (n->mail_to.count > 0 && n->mail_accounts.count == 0)
		raw_error(&l->raw, place,
		    "mail-to needs mail-accounts: through which accounts it is sent; one that "
		    "fails is "
		    "passed over");
	if (n->command.count > 0 && l->env->check_files && access(n->command.items[0], X_OK) < 0)
		raw_lapse(&l->raw, place, "command: %s cannot be run: %s", n->command.items[0],
		    strerror(errno));
	if (conf_lapses(l) > before)
		conf_strings_free(&n->command);
}

/* ---- the whole ---- */

static int
conf_defaults(struct conf *c, const struct conf_environment *env)
{
	const char *runtime_dir = env->runtime_dir == NULL ? FRANK_RUNTIME_DIR : env->runtime_dir;
	const char *state_dir = env->state_dir == NULL ? FRANK_STATE_DIR : env->state_dir;
	char host[256] = "localhost";
	int r;

	if (gethostname(host, sizeof(host) - 1) < 0 || !value_host(host, strlen(host)))
		memcpy(host, "localhost", sizeof("localhost"));
	if ((r = conf_default_string(&c->runtime_dir, runtime_dir)) < 0 ||
	    (r = conf_default_string(&c->state_dir, state_dir)) < 0 ||
	    (r = conf_default_string(&c->hostname, host)) < 0 ||
	    (r = conf_default_string(&c->admin_group, "frank-admin")) < 0 ||
	    (r = conf_default_string(&c->log_level, "info")) < 0)
		return r;
	if (c->mail_name == NULL) {
		FILE *f = fopen("/etc/mailname", "re");
		char line[256] = "";

		if (f != NULL) {
			if (fgets(line, sizeof(line), f) != NULL)
				line[strcspn(line, " \t\r\n")] = '\0';
			(void)fclose(f);
		}
		if ((r = conf_default_string(
			 &c->mail_name, value_host(line, strlen(line)) ? line : c->hostname)) < 0)
			return r;
	}
	if ((r = conf_default_string(&c->in_doubt, "retry")) < 0)
		return r;
	c->user_connections = c->user_connections == 0 ? 128 : c->user_connections;
	c->user_rate = c->user_rate == 0 ? 6000 : c->user_rate;
	c->user_in_flight = c->user_in_flight == 0 ? 512 * 1024 * 1024 : c->user_in_flight;
	c->size_max = c->size_max == 0 ? 50 * 1024 * 1024 : c->size_max;
	c->lifetime = c->lifetime == 0 ? 5 * DAY : c->lifetime;
	c->warn_after = c->warn_after == 0 ? 4 * HOUR : c->warn_after;
	c->keep_transcripts = c->keep_transcripts == 0 ? 14 * DAY : c->keep_transcripts;
	c->transcripts_size = c->transcripts_size == 0 ? 64 * 1024 * 1024 : c->transcripts_size;
	if (c->master_key.text == NULL) {
		CLEANUP_BUF struct buf path = BUF_INIT(4096);

		if (buf_printf(&path, "file:%s/master.key", c->state_dir) < 0)
			return -ENOMEM;
		c->master_key.text = buf_take(&path);
	}
	return c->master_key.text == NULL ? -ENOMEM : 0;
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

/* Reads the files that `include` names, in the order of the patterns, each pattern's files sorted.
 */
static int
read_includes(struct loader *l, const char *main_file)
{
	const struct raw_entry *include = raw_find(&l->raw.blocks[0], "include");
	const char *slash = strrchr(main_file, '/');
	size_t count = include == NULL ? 0 : include->values.count;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		CLEANUP_BUF struct buf path = BUF_INIT(4096);
		const char *pattern = include->values.items[i];

		if (pattern[0] == '/' || slash == NULL)
			r = buf_append_str(&path, pattern);
		else
			r = buf_printf(
			    &path, "%.*s/%s", (int)(slash - main_file), main_file, pattern);
		if (r == 0)
			r = read_pattern(&l->raw, buf_str(&path), include->place, true);
		include = raw_find(&l->raw.blocks[0], "include");
	}
	return r;
}

static const struct key_rule *
rules_of(enum raw_kind kind)
{
	return kind == RAW_LIMITS   ? limits_rules
	       : kind == RAW_SPOOL  ? spool_rules
	       : kind == RAW_NOTIFY ? notify_rules
				    : tokens_rules;
}

static int
make_conf(struct loader *l)
{
	struct raw *raw = &l->raw;
	const struct raw_block *seen[RAW_KIND_COUNT] = {0};
	int r = read_block(raw, &raw->blocks[0], top_rules, l->conf);

	for (size_t i = 1; i < raw->count && r == 0; i++) {
		const struct raw_block *b = &raw->blocks[i];

		switch (b->kind) {
		case RAW_ACCOUNT:
			r = conf_add_account(l, b);
			break;
		case RAW_SERVICE:
			r = add_service(l, b);
			break;
		case RAW_LISTENER:
			r = add_listener(l, b);
			break;
		case RAW_WEBHOOK:
			r = add_webhook(l, b);
			break;
		case RAW_LIMITS:
		case RAW_NOTIFY:
		case RAW_SPOOL:
		case RAW_TOKENS:
			if (seen[b->kind] != NULL)
				raw_error(raw, b->place, "%s is there twice; %s:%u has it too",
				    raw_kind_name(b->kind), seen[b->kind]->place.file,
				    seen[b->kind]->place.line);
			seen[b->kind] = b;
			r = read_block(raw, b, rules_of(b->kind), l->conf);
			break;
		default:
			break;
		}
	}
	if (r == 0)
		r = conf_defaults(l->conf, l->env);
	for (size_t i = 1, s = 0; i < raw->count && r == 0; i++)
		if (raw->blocks[i].kind == RAW_SERVICE)
			check_service(l, &l->conf->services[s++], &raw->blocks[i]);
	if (r == 0 && seen[RAW_NOTIFY] != NULL)
		check_notify(l, seen[RAW_NOTIFY]->place);
	if (r == 0)
		r = default_local_domains(l->conf);
	if (r == 0 && l->conf->lifetime < l->conf->warn_after)
		raw_warning(raw, (struct conf_place){raw->files.items[0], 0},
		    "spool: warn-after is longer than lifetime: no warning will be sent");
	return r;
}

int
conf_load(
    const char *path, const struct conf_environment *env, struct conf **ret, struct buf *report)
{
	struct loader l = {.env = env};
	int r;

	*ret = NULL;
	l.conf = calloc(1, sizeof(*l.conf));
	if (l.conf != NULL)
		l.conf->notify = (struct conf_notify){.after = MINUTE, .repeat = DAY};
	r = l.conf == NULL ? -ENOMEM : raw_init(&l.raw, report);
	if (r == 0)
		r = raw_init(&l.presets, report);
	if (r == 0 && env->lenient)
		l.raw.lapses = &l.conf->lapses;
	if (r == 0)
		r = raw_read_file(&l.raw, path);
	if (r == 0)
		r = read_includes(&l, path);
	if (r == 0)
		r = read_presets(&l);
	if (r == 0)
		r = index_blocks(&l.presets, &l.preset_names);
	if (r == 0)
		r = index_blocks(&l.raw, &l.provider_names);
	if (r == 0 && l.raw.errors == 0 && l.presets.errors == 0)
		r = make_conf(&l);
	if (r == 0 && (l.raw.errors > 0 || l.presets.errors > 0))
		r = -EINVAL;
	if (r == 0) {
		l.conf->files = l.raw.files;
		l.raw.files = (struct conf_strings){0};
		*ret = TAKE_PTR(l.conf);
	}
	name_set_free(&l.preset_names);
	name_set_free(&l.provider_names);
	name_set_free(&l.account_names);
	name_set_free(&l.service_names);
	name_set_free(&l.listener_names);
	name_set_free(&l.webhook_names);
	name_set_free(&l.listen_addresses);
	raw_free(&l.raw);
	raw_free(&l.presets);
	(void)conf_free(l.conf);
	return r;
}

/* ---- for people who add an account ---- */

static void
describe_line(struct buf *ret, const char *name, const char *key, const char *value)
{
	if (strpbrk(value, "\t\r\n") == NULL)
		(void)buf_printf(ret, "provider\t%s\t%s\t%s\n", name, key, value);
}

/* Does a value of this block hold the text? */
static bool
mentions(const struct raw_block *b, const char *text)
{
	for (size_t i = 0; i < b->count; i++)
		for (size_t n = 0; n < b->entries[i].values.count; n++)
			if (strstr(b->entries[i].values.items[n], text) != NULL)
				return true;
	return false;
}

static void
describe_provider(struct buf *ret, const struct raw_block *b)
{
	static const char *const keys[] = {
	    "title", "also-called", "domains", "mx", "grants", "note"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct raw_entry *e = raw_find(b, keys[i]);

		for (size_t n = 0; e != NULL && n < e->values.count; n++)
			describe_line(ret, b->title, keys[i], e->values.items[n]);
	}
	if (mentions(b, "{tenant}") && raw_find(b, "tenant") == NULL)
		describe_line(ret, b->title, "needs", "tenant");
	if (mentions(b, "{region}") && raw_find(b, "region") == NULL)
		describe_line(ret, b->title, "needs", "region");
	if (raw_find(b, "submit") == NULL)
		describe_line(ret, b->title, "needs", "submit");
	/* a preset says so where clients that people sign in to have a secret */
	if (raw_find(b, "client-auth") != NULL)
		describe_line(ret, b->title, "needs", "client-secret");
}

static void
describe_includes(struct buf *ret, const struct raw *raw, const char *path)
{
	const struct raw_entry *include = raw_find(&raw->blocks[0], "include");
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; include != NULL && i < include->values.count; i++) {
		const char *pattern = include->values.items[i];

		if (pattern[0] == '/' || slash == NULL)
			(void)buf_printf(ret, "include\t%s\n", pattern);
		else
			(void)buf_printf(
			    ret, "include\t%.*s/%s\n", (int)(slash - path), path, pattern);
	}
}

static void
describe_block(struct buf *ret, const struct raw_block *b)
{
	const struct raw_entry *users = b->kind == RAW_SERVICE ? raw_find(b, "users") : NULL;

	if (b->title == NULL)
		return;
	if (b->kind == RAW_ACCOUNT)
		(void)buf_printf(ret, "account\t%s\n", b->title);
	if (b->kind == RAW_SERVICE)
		(void)buf_printf(ret, "service\t%s\n", b->title);
	for (size_t n = 0; users != NULL && n < users->values.count; n++)
		if (strpbrk(users->values.items[n], "\t\r\n") == NULL)
			(void)buf_printf(
			    ret, "service\t%s\tusers\t%s\n", b->title, users->values.items[n]);
}

int
conf_describe(
    const char *path, const struct conf_environment *env, struct buf *ret, struct buf *report)
{
	struct loader l = {.env = env};
	int r = raw_init(&l.raw, report);

	if (r == 0)
		r = raw_init(&l.presets, report);
	(void)buf_printf(ret, "configuration\t%s\n", path);
	if (r == 0 && access(path, F_OK) == 0) {
		r = raw_read_file(&l.raw, path);
		if (r == 0)
			r = read_includes(&l, path);
		if (r == 0)
			describe_includes(ret, &l.raw, path);
	}
	if (r == 0)
		r = read_presets(&l);
	for (size_t i = 1; r == 0 && i < l.raw.count; i++)
		describe_block(ret, &l.raw.blocks[i]);
	for (size_t i = 1; r == 0 && i < l.presets.count; i++)
		if (l.presets.blocks[i].kind == RAW_PROVIDER)
			describe_provider(ret, &l.presets.blocks[i]);
	for (size_t i = 1; r == 0 && i < l.raw.count; i++)
		if (l.raw.blocks[i].kind == RAW_PROVIDER && l.raw.blocks[i].title != NULL)
			describe_provider(ret, &l.raw.blocks[i]);
	raw_free(&l.raw);
	raw_free(&l.presets);
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}
