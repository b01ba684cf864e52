/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* world.c: see world.h. */
#include "broker/conf/wire.h"
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
send_block(struct world *w, enum conf_block block, const void *of)
{
	fake_role_say(&w->role, ROLE_MAIN, wire_message(block, of, ROLE_KEEPER));
}

static void
conf_begin(struct world *w)
{
	struct message *m = message_new(M_CONF_BEGIN);
	struct conf c = {.master_key.secret = w->key, .master_key_from = (char *)"key-file"};

	message_put_u64(m, F_GENERATION, ++w->generation);
	fake_role_say(&w->role, ROLE_MAIN, m);
	send_block(w, CONF_BLOCK_TOKENS, &c);
}

/* NULL for NULL; freed by the caller. */
static struct secret *
secret_of(const char *text)
{
	return text == NULL ? NULL : secret_new(text, strlen(text));
}

static void
conf_billing(struct world *w)
{
	char *extra[] = {(char *)"prompt=select account", (char *)"state=forged"};
	CLEANUP_SECRET struct secret *secret = secret_of(w->client_secret);
	const struct conf_account a = {.name = (char *)"billing",
	    .grant = GRANT_AUTHORIZATION_CODE,
	    .mailbox = (char *)w->mailbox,
	    .client_id = (char *)w->client_id,
	    .client_secret.secret = secret,
	    .client_auth = CONF_CLIENT_AUTH_POST,
	    .issuer = (char *)w->issuer,
	    .token_endpoint = (char *)w->token_endpoint,
	    .authorization_endpoint =
		w->token_endpoint == NULL ? NULL : (char *)"https://as.example/authorize?tenant=1",
	    .userinfo_endpoint = (char *)w->userinfo,
	    .scopes = (char *)w->scopes,
	    .host = (char *)"smtp.example",
	    .extra_parameters = {extra, ARRAY_SIZE(extra)},
	    .verify_identity = !w->unverified};

	send_block(w, CONF_BLOCK_ACCOUNT, &a);
}

static void
conf_others(struct world *w)
{
	CLEANUP_SECRET struct secret *password = secret_of(w->password);
	const struct conf_account scanner = {.name = (char *)"scanner",
	    .grant = GRANT_PASSWORD,
	    .mailbox = (char *)"scanner@example.com",
	    .host = (char *)w->host,
	    .password.secret = password,
	    .verify_identity = true};
	const struct conf_account relay = {.name = (char *)"relay", .verify_identity = true};
	char *billing[] = {(char *)"billing"}, *scanners[] = {(char *)"scanner"};
	uint32_t other = OTHER_UID;
	const struct conf_service mutt = {
	    .name = (char *)"mutt", .token = true, .users = {&other, 1}, .accounts = {billing, 1}};
	/* matches, and gives no tokens */
	const struct conf_service cron = {
	    .name = (char *)"cron", .any_user = true, .accounts = {scanners, 1}};

	send_block(w, CONF_BLOCK_ACCOUNT, &scanner);
	send_block(w, CONF_BLOCK_ACCOUNT, &relay);
	if (w->no_token_service)
		return;
	send_block(w, CONF_BLOCK_SERVICE, &mutt);
	send_block(w, CONF_BLOCK_SERVICE, &cron);
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
