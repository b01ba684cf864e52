/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* world.c: see world.h. */
#include "tests/unit/keeper/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/codec.h"
#include "tokenstore/seal.h"
#include "tests/unit/identity.h"

/* ---- the surroundings ---- */

static void
open_role(struct world *w)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	fake_role_open(&w->role, w->dir, &w->files);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.sock", w->path);
	(void)unlink(addr.sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(chmod(addr.sun_path, 0666), 0);
	assert_int_equal(listen(fd, 10), 0);
	keeper_role.listen(&w->role, "keeper", NULL, fd);
}

static void
conf_begin(struct world *w)
{
	struct message *m = message_new(M_CONF_BEGIN);

	message_put_u64(m, F_GENERATION, ++w->generation);
	message_put_str(m, F_MASTER_KEY_FROM, "key-file");
	message_put_secret(m, F_KEY, w->key);
	fake_role_say(&w->role, ROLE_MAIN, m);
}

static void
conf_billing(struct world *w)
{
	struct message *m = message_new(M_CONF_ACCOUNT);

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_GRANT, "authorization-code");
	message_put_str(m, F_MAILBOX, w->mailbox);
	message_put_str(m, F_CLIENT_ID, w->client_id);
	if (w->client_secret != NULL)
		message_put_bytes(m, F_CLIENT_SECRET, w->client_secret, strlen(w->client_secret));
	message_put_str(m, F_CLIENT_AUTH, "post");
	message_put_str(m, F_ISSUER, w->issuer);
	message_put_str(m, F_TOKEN_ENDPOINT, w->token_endpoint);
	if (w->token_endpoint != NULL)
		message_put_str(
		    m, F_AUTHORIZATION_ENDPOINT, "https://as.example/authorize?tenant=1");
	message_put_str(m, F_USERINFO_ENDPOINT, w->userinfo);
	message_put_str(m, F_SCOPES, w->scopes);
	message_put_str(m, F_HOST, "smtp.example");
	message_put_str(m, F_EXTRA_PARAMETERS, "prompt=select account");
	message_put_str(m, F_EXTRA_PARAMETERS, "state=forged");
	if (w->unverified)
		message_put_u64(m, F_VERIFY_IDENTITY, 0);
	fake_role_say(&w->role, ROLE_MAIN, m);
}

static void
conf_others(struct world *w)
{
	struct message *m = message_new(M_CONF_ACCOUNT);

	message_put_str(m, F_ACCOUNT, "scanner");
	message_put_str(m, F_GRANT, "password");
	message_put_str(m, F_MAILBOX, "scanner@example.com");
	message_put_str(m, F_HOST, w->host);
	if (w->password != NULL)
		message_put_bytes(m, F_PASSWORD, w->password, strlen(w->password));
	fake_role_say(&w->role, ROLE_MAIN, m);
	m = message_new(M_CONF_ACCOUNT);
	message_put_str(m, F_ACCOUNT, "relay");
	message_put_str(m, F_GRANT, "none");
	fake_role_say(&w->role, ROLE_MAIN, m);
	if (w->no_token_service)
		return;
	m = message_new(M_CONF_SERVICE);
	message_put_str(m, F_SERVICE, "mutt");
	message_put_str(m, F_FROM_POLICY, "refuse");
	message_put_str(m, F_MODE, "deliver");
	message_put_u64(m, F_TOKEN_ALLOWED, 1);
	message_put_u64(m, F_USER, OTHER_UID);
	message_put_str(m, F_ACCOUNT, "billing");
	fake_role_say(&w->role, ROLE_MAIN, m);
	m = message_new(M_CONF_SERVICE); /* matches, and gives no tokens */
	message_put_str(m, F_SERVICE, "cron");
	message_put_str(m, F_FROM_POLICY, "refuse");
	message_put_str(m, F_MODE, "deliver");
	message_put_u64(m, F_ANY_USER, 1);
	message_put_str(m, F_ACCOUNT, "scanner");
	fake_role_say(&w->role, ROLE_MAIN, m);
}

void
configure(struct world *w)
{
	struct message *m;

	conf_begin(w);
	if (!w->no_billing)
		conf_billing(w);
	conf_others(w);
	m = message_new(M_CONF_END);
	message_put_u64(m, F_GENERATION, w->generation);
	fake_role_say(&w->role, ROLE_MAIN, m);
}

void
disconnect_client(struct world *w)
{
	if (w->client >= 0)
		close(w->client);
	w->client = -1;
	fake_role_pump(&w->role);
}

void
connect_client(struct world *w, uid_t uid)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	disconnect_client(w);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.sock", w->path);
	w->client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	identity_of_socket(w->client, uid, uid == 0 ? 0 : OTHER_GID);
	assert_int_equal(connect(w->client, (struct sockaddr *)&addr, sizeof(addr)), 0);
	fake_role_pump(&w->role);
}

void
say(struct world *w, struct message *m)
{
	assert_int_equal(message_write(w->client, m, -1), 0);
	(void)message_free(m);
	fake_role_pump(&w->role);
}

static struct message *
hear(struct world *w)
{
	struct message *m = NULL;
	const char *why;
	int fd = -1;

	fake_role_pump(&w->role);
	if (message_read(w->client, &m, &fd) != 1)
		return NULL;
	assert_int_equal(message_check(m, ROLE_KEEPER, ROLE_CLIENT, fd >= 0, &why), 0);
	return m;
}

struct message *
expect(struct world *w, enum message_type type)
{
	struct message *m = hear(w);

	if (m == NULL)
		fail_msg("nothing came, and %s was expected", message_type_name(type));
	if (message_type(m) != type)
		fail_msg("%s came, and %s was expected: %s", message_type_name(message_type(m)),
		    message_type_name(type),
		    message_type(m) == M_KEEPER_DONE && message_str(m, F_ERROR) != NULL
			? message_str(m, F_ERROR)
			: "");
	return m;
}

void
expect_done(struct world *w, int exit, const char *part)
{
	CLEANUP_MESSAGE struct message *m = expect(w, M_KEEPER_DONE);
	const char *text = message_str(m, exit == 0 ? F_TEXT : F_ERROR);

	if ((int)message_u64(m, F_EXIT, 0) != exit)
		fail_msg("exit %d instead of %d: %s", (int)message_u64(m, F_EXIT, 0), exit,
		    text == NULL ? "" : text);
	if (part != NULL && (text == NULL || strstr(text, part) == NULL))
		fail_msg("\"%s\" is not in \"%s\"", part, text == NULL ? "" : text);
}

/* Drains what queue was told; the last state of the account. */
static void
last_state(struct world *w, const char *account, char state[64], char text[512])
{
	struct message *m;

	state[0] = text[0] = '\0';
	while ((m = fake_role_hear(&w->role, ROLE_QUEUE)) != NULL) {
		if (message_type(m) == M_ACCOUNT_STATE &&
		    strcmp(message_str(m, F_ACCOUNT), account) == 0) {
			const char *t = message_str(m, F_TEXT);

			(void)snprintf(state, 64, "%s", message_str(m, F_STATE));
			(void)snprintf(text, 512, "%s", t == NULL ? "" : t);
		}
		(void)message_free(m);
	}
}

void
expect_state(struct world *w, const char *account, const char *want, const char *part)
{
	char state[64], text[512];

	last_state(w, account, state, text);
	assert_string_equal(state, want);
	if (part != NULL && strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	(void)snprintf(w->path, sizeof(w->path), "%s/frank-keeper-XXXXXX",
	    getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(w->path));
	w->dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w->key = secret_new("0123456789abcdef0123456789abcdef", 32);
	w->client = -1;
	w->mailbox = "billing@example.com";
	w->client_id = "client-1";
	w->host = "smtp.example";
	w->token_endpoint = "https://as.example/token";
	w->scopes = "openid email https://mail.example/send offline_access";
	w->faults.error = EIO;
	w->files = faulty_ops(&w->faults);
	open_role(w);
	configure(w);
	fake_role_connect(&w->role, ROLE_QUEUE);
	*state = w;
	return 0;
}

int
teardown(void **state)
{
	struct world *w = *state;
	DIR *d = fdopendir(dup(w->dir));
	struct dirent *e;
	char sock[96];

	disconnect_client(w);
	fake_role_close(&w->role);
	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(w->dir, e->d_name, 0);
	closedir(d);
	close(w->dir);
	rmdir(w->path);
	(void)snprintf(sock, sizeof(sock), "%s.sock", w->path);
	unlink(sock);
	(void)secret_free(w->key);
	free(w);
	return 0;
}

void
restart(struct world *w)
{
	disconnect_client(w);
	fake_role_close(&w->role);
	open_role(w);
	configure(w);
	fake_role_connect(&w->role, ROLE_QUEUE);
}

/* ---- signing in ---- */

/* The value of a parameter of the address, decoded; "" where it is not there. */
static void
url_value(const char *url, const char *key, char *to, size_t size)
{
	struct buf out CLEANUP_BUF = BUF_INIT(4096);
	const char *at = strchr(url, '?');
	size_t len = strlen(key);

	to[0] = '\0';
	for (; at != NULL; at = strchr(at, '&')) {
		at++;
		if (strncmp(at, key, len) != 0 || at[len] != '=')
			continue;
		assert_int_equal(form_decode(&out, at + len + 1, strcspn(at + len + 1, "&")), 0);
		(void)snprintf(to, size, "%s", buf_str(&out));
		return;
	}
}

void
ask_authorize(struct world *w)
{
	struct message *m = message_new(M_AUTHORIZE);

	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_REDIRECT_URI, "http://127.0.0.1:4711/");
	say(w, m);
}

void
take_url(struct world *w, uint8_t id[16])
{
	CLEANUP_MESSAGE struct message *m = expect(w, M_AUTHORIZE_URL);
	CLEANUP_SECRET struct secret *url = message_secret(m, F_URL);
	const char *text = (const char *)secret_bytes(url);
	const uint8_t *bytes;
	char value[512];
	size_t len;

	bytes = message_bytes(m, F_ATTEMPT, &len);
	assert_int_equal(len, 16);
	memcpy(id, bytes, 16);
	url_value(text, "state", w->state, sizeof(w->state));
	url_value(text, "code_challenge", w->challenge, sizeof(w->challenge));
	url_value(text, "nonce", w->nonce, sizeof(w->nonce));
	assert_int_equal(strlen(w->state), 43);
	assert_int_equal(strlen(w->challenge), 43);
	url_value(text, "redirect_uri", value, sizeof(value));
	assert_string_equal(value, "http://127.0.0.1:4711/");
	url_value(text, "code_challenge_method", value, sizeof(value));
	assert_string_equal(value, "S256");
	url_value(text, "login_hint", value, sizeof(value));
	assert_string_equal(value, w->mailbox);
	url_value(text, "prompt", value, sizeof(value));
	assert_string_equal(value, "select account");
	assert_null(strstr(text, "forged"));
	assert_null(strchr(text, '+'));
	assert_null(strchr(strchr(text, '?') + 1, '?'));
}

void
send_callback(struct world *w, const uint8_t id[16], const char *format, ...)
{
	struct message *m = message_new(M_AUTHORIZE_CALLBACK);
	char query[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(query, sizeof(query), format, ap);
	va_end(ap);
	message_put_bytes(m, F_ATTEMPT, id, 16);
	message_put_bytes(m, F_CALLBACK, query, strlen(query));
	say(w, m);
}

/* The value of a PARAMETER of a token request. */
static void
parameter(const struct message *m, const char *key, char *to, size_t size)
{
	const uint8_t *bytes;
	size_t at = 0, len, n = strlen(key);

	to[0] = '\0';
	while (message_next(m, F_PARAMETER, &at, &bytes, &len))
		if (len > n && memcmp(bytes, key, n) == 0 && bytes[n] == '=')
			(void)snprintf(
			    to, size, "%.*s", (int)(len - n - 1), (const char *)bytes + n + 1);
}

struct message *
answer_new(enum message_type type, uint64_t id)
{
	struct message *m = message_new(type);

	message_put_u64(m, F_ID, id);
	return m;
}

struct message *
tokens_new(uint64_t id, const char *access, const char *refresh, uint64_t life)
{
	struct message *m = answer_new(M_TOKEN_ANSWER, id);

	message_put_u64(m, F_HTTP_STATUS, 200);
	message_put_bytes(m, F_ACCESS_TOKEN, access, strlen(access));
	if (refresh != NULL)
		message_put_bytes(m, F_REFRESH_TOKEN, refresh, strlen(refresh));
	message_put_u64(m, F_EXPIRES_IN, life);
	return m;
}

void
put_claim(struct message *m, const char *name, const char *value)
{
	char pair[512];

	(void)snprintf(pair, sizeof(pair), "%s=%s", name, value);
	message_put_str(m, F_ID_CLAIM, pair);
}

void
put_id_token(struct world *w, struct message *m, const char *identity)
{
	message_put_str(m, F_ID_ISSUER, w->issuer == NULL ? "https://as.example" : w->issuer);
	message_put_str(m, F_ID_AUDIENCE, w->client_id);
	message_put_bytes(m, F_NONCE, w->nonce, strlen(w->nonce));
	put_claim(m, "sub", "sub-123");
	put_claim(m, "email", identity);
}

uint64_t
take_exchange(struct world *w)
{
	CLEANUP_MESSAGE struct message *m = fake_role_expect(&w->role, ROLE_FETCH, M_TOKEN_REQUEST);
	struct buf challenge CLEANUP_BUF = BUF_INIT(64);
	uint8_t hash[SEAL_HASH];
	char value[512];

	parameter(m, "grant_type", value, sizeof(value));
	assert_string_equal(value, "authorization_code");
	parameter(m, "redirect_uri", value, sizeof(value));
	assert_string_equal(value, "http://127.0.0.1:4711/");
	parameter(m, "code", value, sizeof(value));
	assert_string_equal(value, "4/0A+b");
	parameter(m, "code_verifier", value, sizeof(value));
	assert_int_equal(seal_sha256(value, strlen(value), NULL, 0, hash), 0);
	assert_int_equal(base64url_encode(&challenge, hash, sizeof(hash)), 0);
	assert_string_equal(buf_str(&challenge), w->challenge);
	return message_u64(m, F_ID, 0);
}

void
sign_in(struct world *w, const char *access, const char *refresh, uint64_t life)
{
	struct message *m;
	uint8_t id[16];

	connect_client(w, 0);
	ask_authorize(w);
	take_url(w, id);
	send_callback(w, id, "state=%s&code=4%%2F0A%%2Bb", w->state);
	m = tokens_new(take_exchange(w), access, refresh, life);
	put_id_token(w, m, "Billing@Example.com");
	fake_role_say(&w->role, ROLE_FETCH, m);
	expect_done(w, 0, "Signed in as Billing@Example.com");
}

void
ask_token(struct world *w, uint64_t min_valid)
{
	struct message *m = message_new(M_TOKEN_GET);

	message_put_str(m, F_ACCOUNT, "billing");
	if (min_valid > 0)
		message_put_u64(m, F_MIN_VALID, min_valid);
	say(w, m);
}

void
expect_token(struct world *w, const char *want)
{
	CLEANUP_MESSAGE struct message *m = expect(w, M_TOKEN);
	CLEANUP_SECRET struct secret *s = message_secret(m, F_SECRET);

	assert_string_equal((const char *)secret_bytes(s), want);
}

uint64_t
take_refresh(struct world *w, const char *want)
{
	CLEANUP_MESSAGE struct message *m = fake_role_expect(&w->role, ROLE_FETCH, M_TOKEN_REQUEST);
	char value[512];

	parameter(m, "grant_type", value, sizeof(value));
	assert_string_equal(value, "refresh_token");
	parameter(m, "refresh_token", value, sizeof(value));
	assert_string_equal(value, want);
	parameter(m, "scope", value, sizeof(value));
	assert_string_equal(value, "https://mail.example/send offline_access");
	return message_u64(m, F_ID, 0);
}

void
lend(struct world *w, const char *account, bool wanted)
{
	struct message *m = message_new(M_LEASE);

	message_put_str(m, F_ACCOUNT, account);
	message_put_u64(m, F_WANTED, wanted);
	fake_role_say(&w->role, ROLE_QUEUE, m);
}

void
ask_credential(struct world *w, const char *account, uint64_t id, uint64_t rejected)
{
	struct message *m = message_new(M_CREDENTIAL_GET);

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, account);
	if (rejected != 0)
		message_put_u64(m, F_REJECTED, rejected);
	fake_role_say(&w->role, ROLE_SEND, m);
}

uint64_t
expect_credential(
    struct world *w, uint64_t id, const char *kind, const char *user, const char *secret)
{
	CLEANUP_MESSAGE struct message *m = fake_role_expect(&w->role, ROLE_SEND, M_CREDENTIAL);
	CLEANUP_SECRET struct secret *s = message_secret(m, F_SECRET);

	assert_int_equal(message_u64(m, F_ID, 0), id);
	assert_string_equal(message_str(m, F_KIND), kind);
	assert_string_equal(message_str(m, F_USER_NAME), user);
	if (secret == NULL)
		assert_null(s);
	else
		assert_string_equal((const char *)secret_bytes(s), secret);
	return message_u64(m, F_GENERATION, 0);
}

void
expect_credential_failed(struct world *w, uint64_t id, const char *state)
{
	CLEANUP_MESSAGE struct message *m =
	    fake_role_expect(&w->role, ROLE_SEND, M_CREDENTIAL_FAILED);

	assert_int_equal(message_u64(m, F_ID, 0), id);
	assert_string_equal(message_str(m, F_STATE), state);
}
