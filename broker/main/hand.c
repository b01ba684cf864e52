/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * hand.c: see hand.h. A message that the channel has no room for is freed by it and built again
 * later.
 */
#include "broker/main/hand.h"

#include <errno.h>
#include <grp.h>
#include <string.h>

#include "base/log.h"

enum { SECONDS_A_DAY = 24 * 3600, LAPSES_MAX = 50 };

void
hand_start(struct hand *h, const struct settings *s)
{
	*h = (struct hand){.settings = s};
}

static bool
is_core(enum role_id role)
{
	return role == ROLE_QUEUE || role == ROLE_KEEPER;
}

static void
put_list(struct message *m, enum field f, const struct conf_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		message_put_str(m, f, list->items[i]);
}

/* Where the group does not exist, root and frankd's own user administer alone. */
static void
put_admin_group(struct message *m, const char *name)
{
	const struct group *g = name == NULL ? NULL : getgrnam(name);

	if (g != NULL)
		message_put_u64(m, F_ADMIN_GID, g->gr_gid);
}

static struct message *
make_begin(const struct settings *s, enum role_id role)
{
	const struct conf *c = settings_conf(s);
	struct message *m = message_new(M_CONF_BEGIN);

	message_put_u64(m, F_GENERATION, settings_generation(s));
	message_put_str(m, F_HOSTNAME, c->hostname);
	message_put_u64(m, F_LOG_LEVEL, c->log_level);
	if (is_core(role)) {
		message_put_str(m, F_STATE_DIR, c->state_dir);
		put_admin_group(m, c->admin_group);
	}
	if (role == ROLE_KEEPER) {
		message_put_str(m, F_MASTER_KEY_FROM, c->master_key_from);
		message_put_secret(m, F_KEY, c->master_key.secret);
	}
	if (role == ROLE_QUEUE) {
		message_put_str(m, F_MAIL_NAME, c->mail_name);
		message_put_str(m, F_POSTMASTER, c->postmaster);
		put_list(m, F_LOCAL_DOMAIN, &c->local_domains);
		message_put_u64(m, F_USER_CONNECTIONS, c->user_connections);
		message_put_u64(m, F_USER_RATE, c->user_rate);
		message_put_u64(m, F_USER_IN_FLIGHT, c->user_in_flight);
		message_put_u64(m, F_SIZE_LIMIT, c->size_max);
		for (size_t i = 0; i < c->lapses.count && i < LAPSES_MAX; i++)
			message_put_str(m, F_WARNING, c->lapses.items[i]);
		message_put_u64(m, F_MIN_FREE, c->min_free);
		message_put_u64(m, F_LIFETIME, c->lifetime);
		message_put_u64(m, F_WARN_AFTER, c->warn_after);
		message_put_u64(m, F_TRANSCRIPT_DAYS,
		    (c->keep_transcripts + SECONDS_A_DAY - 1) / SECONDS_A_DAY);
		message_put_u64(m, F_TRANSCRIPT_OCTETS, c->transcripts_size);
		message_put_str(m, F_IN_DOUBT, conf_word(CONF_TYPE_in_doubt, c->in_doubt));
	}
	return m;
}

static void
put_oauth(struct message *m, const struct conf_account *a)
{
	message_put_str(m, F_ISSUER, a->issuer);
	message_put_str(m, F_AUTHORIZATION_ENDPOINT, a->authorization_endpoint);
	message_put_str(m, F_TOKEN_ENDPOINT, a->token_endpoint);
	message_put_str(m, F_DEVICE_ENDPOINT, a->device_endpoint);
	message_put_str(m, F_REVOCATION_ENDPOINT, a->revocation_endpoint);
	message_put_str(m, F_USERINFO_ENDPOINT, a->userinfo_endpoint);
}

static void
put_key(struct message *m, const struct secret *key, const struct secret *certificate)
{
	message_put_secret(m, F_CLIENT_KEY, key);
	if (certificate != NULL)
		message_put_bytes(
		    m, F_CLIENT_CERTIFICATE, secret_bytes(certificate), secret_len(certificate));
}

static void
put_keeping(struct message *m, const struct settings *s, const struct conf_account *a)
{
	message_put_str(m, F_CLIENT_ID, a->client_id);
	message_put_str(m, F_CLIENT_AUTH, conf_word(CONF_TYPE_client_auth, a->client_auth));
	message_put_secret(m, F_CLIENT_SECRET, a->client_secret.secret);
	message_put_secret(m, F_PASSWORD, a->password.secret);
	put_key(m, a->client_key.secret, a->client_certificate.secret);
	message_put_str(m, F_KEY_ID, a->client_key_id);
	message_put_str(
	    m, F_KEY_ALGORITHM, conf_word(CONF_TYPE_key_algorithm, a->client_key_algorithm));
	message_put_u64(m, F_REREAD, a->rereads);
	message_put_str(m, F_PASSWORD_DERIVATION,
	    conf_word(CONF_TYPE_password_derivation, a->password_derivation));
	message_put_str(m, F_REGION, a->region);
	message_put_str(
	    m, F_REDIRECT_SCHEME, conf_word(CONF_TYPE_redirect_scheme, a->redirect_scheme));
	message_put_u64(m, F_REDIRECT_PORT, a->redirect_port);
	put_list(m, F_AUDIENCE, &a->audience);
	message_put_str(m, F_SCOPES, a->scopes);
	message_put_str(m, F_REDIRECT_HOST, a->redirect_host);
	message_put_str(m, F_REDIRECT_PATH, a->redirect_path);
	message_put_u64(m, F_VERIFY_IDENTITY, a->verify_identity);
	put_list(m, F_EXTRA_PARAMETERS, &a->extra_parameters);
}

static void
put_submission(struct message *m, const struct conf_account *a)
{
	message_put_str(m, F_TRANSPORT, conf_word(CONF_TYPE_transport, a->transport));
	message_put_str(m, F_API_ENDPOINT, a->api_endpoint);
	message_put_str(m, F_MAILBOX, a->mailbox);
	message_put_str(m, F_AUTH_USER, a->auth_user);
	message_put_str(m, F_HOST, a->host);
	message_put_u64(m, F_PORT, a->port);
	message_put_u64(m, F_BY_SRV, a->srv);
	message_put_str(m, F_TLS_NAME, a->tls_name);
	put_list(m, F_TLS_PIN, &a->tls_pins);
	message_put_str(m, F_TLS, conf_word(CONF_TYPE_tls, a->tls));
	message_put_u64(m, F_SESSIONS, a->sessions);
	message_put_u64(m, F_RATE, a->rate);
	message_put_u64(m, F_RECIPIENTS_MAX, a->recipients_max);
	message_put_u64(m, F_MIN_VALID, a->min_valid);
	message_put_u64(m, F_SECRET_WITHOUT_TLS, a->allow_plaintext_secret);
	put_list(m, F_MECHANISM, &a->mechanisms);
}

static struct message *
make_account(const struct settings *s, const struct conf_account *a, enum role_id role)
{
	struct message *m = message_new(M_CONF_ACCOUNT);

	message_put_str(m, F_ACCOUNT, a->name);
	message_put_str(m, F_GRANT, conf_word(CONF_TYPE_grant, a->grant));
	message_put_str(m, F_PROVIDER, a->provider);
	if (role == ROLE_QUEUE)
		message_put_str(m, F_WARNING, a->lapse);
	if (role == ROLE_QUEUE && a->client_expires > 0)
		message_put_u64(m, F_CLIENT_EXPIRES, (uint64_t)a->client_expires);
	if (role == ROLE_KEEPER && a->consent_lifetime > 0)
		message_put_u64(m, F_CONSENT_LIFETIME, a->consent_lifetime);
	if (role == ROLE_QUEUE || role == ROLE_KEEPER)
		message_put_str(m, F_SECRET_FROM, a->secret_from);
	if (role == ROLE_KEEPER || role == ROLE_FETCH)
		put_oauth(m, a);
	if (role == ROLE_KEEPER)
		put_keeping(m, s, a);
	if (role != ROLE_FETCH)
		put_submission(m, a);
	return m;
}

static struct message *
make_service(const struct conf_service *v)
{
	struct message *m = message_new(M_CONF_SERVICE);

	message_put_str(m, F_SERVICE, v->name);
	message_put_str(m, F_FROM_POLICY, conf_word(CONF_TYPE_from, v->from));
	message_put_str(m, F_MODE, conf_word(CONF_TYPE_mode, v->mode));
	message_put_u64(m, F_ANY_USER, v->any_user);
	message_put_u64(m, F_RATE, v->rate_minute);
	message_put_u64(m, F_RATE_DAY, v->rate_day);
	message_put_u64(m, F_SIZE_LIMIT, v->size_max);
	message_put_u64(m, F_QUEUE_LIMIT, v->queue_max);
	message_put_u64(m, F_RECIPIENTS_MAX, v->recipients_max);
	message_put_u64(m, F_TOKEN_ALLOWED, v->token);
	message_put_u64(m, F_PASSWORD_ALLOWED, v->password);
	if (v->socket)
		message_put_str(m, F_SOCKET_NAME, v->name);
	for (size_t i = 0; i < v->users.count; i++)
		message_put_u64(m, F_USER, v->users.items[i]);
	for (size_t i = 0; i < v->groups.count; i++)
		message_put_u64(m, F_GROUP, v->groups.items[i]);
	put_list(m, F_ACCOUNT, &v->accounts);
	put_list(m, F_SENDERS, &v->senders);
	put_list(m, F_RECIPIENTS, &v->recipients);
	return m;
}

int
hand_aliases(const struct settings *s, struct message **ret, int *ret_fd)
{
	const struct alias_file *f = settings_aliases(s);

	*ret_fd = f->fd < 0 ? -1 : settings_reopen(f->fd);
	*ret = message_new(M_CONF_ALIASES);
	message_put_str(*ret, F_ALIASES_FILE, f->path);
	return *ret_fd < -1 ? *ret_fd : 0;
}

static struct message *
make_listener(const struct settings *s, const struct conf_listener *n, enum role_id role)
{
	struct message *m = message_new(M_CONF_LISTENER);

	message_put_str(m, F_LISTENER, n->name);
	message_put_str(m, F_TLS, conf_word(CONF_TYPE_tls, n->tls));
	if (role == ROLE_TLS) {
		message_put_secret(m, F_CERTIFICATE, n->certificate.secret);
		message_put_secret(m, F_PRIVATE_KEY, n->key.secret);
	} else {
		message_put_u64(m, F_AUTH_REQUIRED, n->auth == CONF_LISTENER_AUTH_REQUIRED);
		message_put_u64(m, F_REMOTE, n->remote);
		if (n->line_ends != CONF_LINE_ENDS_UNSET)
			message_put_str(
			    m, F_LINE_ENDS, conf_word(CONF_TYPE_line_ends, n->line_ends));
		put_list(m, F_ADDRESS, &n->addresses);
	}
	return m;
}

static struct message *
make_notify(const struct conf *c)
{
	const struct conf_notify *n = &c->notify;
	struct message *m = message_new(M_CONF_NOTIFY);

	message_put_u64(m, F_AFTER, n->after);
	message_put_u64(m, F_REPEAT, n->repeat);
	message_put_u64(m, F_HAS_COMMAND, n->command.count > 0);
	put_list(m, F_MAIL_TO, &n->mail_to);
	put_list(m, F_ACCOUNT, &n->mail_accounts);
	put_list(m, F_EVENT_KIND, &n->events);
	for (size_t i = 0; i < c->webhook_count; i++)
		message_put_str(m, F_NAME, c->webhooks[i].name);
	return m;
}

static struct message *
make_webhook(const struct settings *s, const struct conf_webhook *w)
{
	struct message *m = message_new(M_CONF_WEBHOOK);

	message_put_str(m, F_NAME, w->name);
	message_put_secret(m, F_URL, w->url.secret);
	message_put_secret(m, F_SIGNING_KEY, w->secret.secret);
	message_put_secret(m, F_HEADER_LINE, w->header.secret);
	return m;
}

static struct message *
make_end(const struct settings *s)
{
	struct message *m = message_new(M_CONF_END);

	message_put_u64(m, F_GENERATION, settings_generation(s));
	return m;
}

/* The client's own certificate and key, for the role that shows them: what an account has of files
 * beside itself. */
static const char *
file_of(const struct conf_account *a, unsigned part, const char **ret_name)
{
	*ret_name = part == 1 ? "certificate" : "key";
	return part == 1 ? a->tls_certificate.path : a->tls_key.path;
}

static bool
make_file(const struct hand *h, const struct conf_account *a, struct message **ret, int *ret_fd)
{
	const char *name, *path = file_of(a, h->part, &name);

	*ret = message_new(M_CONF_ACCOUNT_FILE);
	message_put_str(*ret, F_ACCOUNT, a->name);
	message_put_str(*ret, F_NAME, name);
	*ret_fd = settings_file(h->settings, path);
	return true;
}

/* Steps to the next part of an account, or the next account. */
static void
step(struct hand *h, enum role_id role)
{
	const struct conf *c = settings_conf(h->settings);
	const char *name;

	if (h->phase == HAND_ACCOUNTS && role == ROLE_SEND)
		for (h->part++; h->part <= 2; h->part++)
			if (file_of(&c->accounts[h->at], h->part, &name) != NULL)
				return;
	h->part = 0;
	h->at++;
}

/* The next message of the phase, and whether there is one. */
static bool
next_message(struct hand *h, enum role_id role, struct message **ret, int *ret_fd)
{
	const struct conf *c = settings_conf(h->settings);
	const struct conf_account *a;

	*ret_fd = -1;
	switch (h->phase) {
	case HAND_BEGIN:
		if (h->at > 0)
			return false;
		*ret = make_begin(h->settings, role);
		return true;
	case HAND_ALIASES:
		if (h->at > 0 || role != ROLE_QUEUE)
			return false;
		(void)hand_aliases(h->settings, ret, ret_fd); /* a bad descriptor says it all */
		return true;
	case HAND_ACCOUNTS:
		/* one that is out of force has mail that waits, and is nobody else's business */
		while (h->at < c->account_count && role != ROLE_QUEUE &&
		       c->accounts[h->at].lapse != NULL)
			h->at++;
		if (h->at >= c->account_count || role == ROLE_TLS)
			return false;
		a = &c->accounts[h->at];
		if (h->part > 0)
			return make_file(h, a, ret, ret_fd);
		*ret = make_account(h->settings, a, role);
		if (!is_core(role))
			*ret_fd = a->ca_file.path == NULL
				      ? -1
				      : settings_file(h->settings, a->ca_file.path);
		return true;
	case HAND_SERVICES:
		if (!is_core(role) || h->at >= c->service_count)
			return false;
		*ret = make_service(&c->services[h->at]);
		return true;
	case HAND_LISTENERS:
		if ((role != ROLE_QUEUE && role != ROLE_TLS) || h->at >= c->listener_count)
			return false;
		*ret = make_listener(h->settings, &c->listeners[h->at], role);
		return true;
	case HAND_NOTIFY:
		if (role == ROLE_QUEUE && h->at == 0) {
			*ret = make_notify(c);
			return true;
		}
		if (role != ROLE_POST || h->at >= c->webhook_count)
			return false;
		*ret = make_webhook(h->settings, &c->webhooks[h->at]);
		*ret_fd = c->webhooks[h->at].ca_file.path == NULL
			      ? -1
			      : settings_file(h->settings, c->webhooks[h->at].ca_file.path);
		return true;
	case HAND_END:
		if (h->at > 0)
			return false;
		*ret = make_end(h->settings);
		return true;
	case HAND_DONE:
		break;
	}
	return false;
}

int
hand_run(struct hand *h, enum role_id role, struct channel *c)
{
	while (h->phase != HAND_DONE) {
		struct message *m;
		int fd, r;

		/* What main has to answer meanwhile goes by the same channel. */
		if (channel_is_busy(c))
			return -EAGAIN;
		if (!next_message(h, role, &m, &fd)) {
			h->phase++;
			h->at = 0;
			continue;
		}
		if (fd < -1) {
			(void)message_free(m);
			return fd;
		}
		r = channel_send(c, m, fd);
		if (r < 0)
			return r;
		step(h, role);
	}
	return 0;
}

struct message *
hand_key_answer(const struct settings *s, uint64_t id, const char *account)
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

static int
check_one(struct message *m, const char *kind, const char *name, const struct conf_place *place,
    struct buf *report)
{
	int r = message_error(m);

	(void)message_free(m);
	if (r == -EMSGSIZE) {
		(void)buf_printf(report,
		    "%s:%u: error: %s \"%s\" is too large; its lists together may have about 60 "
		    "KB\n",
		    place->file, place->line, kind, name);
		return -EINVAL;
	}
	return r;
}

int
hand_check(const struct settings *s, struct buf *report)
{
	const struct conf *c = settings_conf(s);
	int r = 0;

	for (size_t i = 0; i < c->account_count && r != -ENOMEM; i++) {
		const struct conf_account *a = &c->accounts[i];
		int one = check_one(
		    make_account(s, a, ROLE_KEEPER), "account", a->name, &a->place, report);

		r = one < 0 ? one : r;
	}
	for (size_t i = 0; i < c->service_count && r != -ENOMEM; i++) {
		const struct conf_service *v = &c->services[i];
		int one = check_one(make_service(v), "service", v->name, &v->place, report);

		r = one < 0 ? one : r;
	}
	for (size_t i = 0; i < c->webhook_count && r != -ENOMEM; i++) {
		const struct conf_webhook *w = &c->webhooks[i];
		int one = check_one(make_webhook(s, w), "webhook", w->name, &w->place, report);

		r = one < 0 ? one : r;
	}
	for (size_t i = 0; i < c->listener_count && r != -ENOMEM; i++) {
		const struct conf_listener *n = &c->listeners[i];
		int one = check_one(
		    make_listener(s, n, ROLE_TLS), "listener", n->name, &n->place, report);

		r = one < 0 ? one : r;
	}
	return r;
}
