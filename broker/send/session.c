/*
 * session.c: see session.h.
 *
 * Every callback of the loop does its part and then calls drive(), which takes the engine's events,
 * writes what there is to write, and frees the session at its end: nothing touches a session behind
 * drive(). Whatever others ask of a session (a job, an end) is noted, and the loop is asked to
 * drive it later, so that jobs that come together are written together.
 */
#include "broker/send/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/send/probe.h"
#include "broker/send/tls.h"

enum {
	CONNECT_PATIENCE = 30 * 1000,  /* for the last address */
	CONNECT_IMPATIENCE = 5 * 1000, /* where there is another to try */
	GREETING_DOUBT = 5 * 1000, /* silence on a plain connection after which TLS is suspected */
	IDLE_MAX = 60 * 1000,
	AGE_MAX = 5 * 60 * 1000,
	MAILS_MAX = 1000,
	WINDOW = 16,
	WINDOW_BYTES = 256 * 1024,
	MIN_VALID_USUAL = 60,
	READS_PER_TURN = 64,
	READ_SIZE = 16 * 1024,
	PRELUDE_MAX = 1024,
};

enum state { STATE_RESOLVING, STATE_CONNECTING, STATE_HANDSHAKE, STATE_RUNNING };

struct session {
	struct session *next;
	struct pool *pool;
	struct send *send;
	struct account *account;
	enum state state;
	bool opened, ended, broken, retry_fits;
	struct smtp_reply why; /* once ended */

	/* the connection */
	struct lookup *lookup;
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t address_count, address_at;
	enum smtp_fault connect_fault; /* the most telling so far */
	char connect_words[320];
	int fd;
	struct event *readable, *writable, *timer, *kick;
	uint64_t timer_at; /* when the timer goes off; 0: not armed */
	uint64_t connect_by, connected_at, opened_at, idle_since;
	SSL *ssl;
	struct tls_trouble trouble;
	bool hello_seen; /* the server's first octets in the handshake are TLS */
	struct probe *probe;
	bool probed;
	struct smtp_client *client;

	/* jobs given to the engine, in order */
	struct job *jobs, **last_job;
	uint64_t load;

	/* the credential */
	uint64_t request; /* asked of keeper; 0: not */
	bool to_ask;      /* when there is a keeper */
	bool engine_waits;
	uint64_t rejected; /* generation that a server refused, to be said in the next request */
	bool renewed;      /* the last refusal is final */
	struct secret *secret;
	char *user;
	uint64_t generation;

	/* for people */
	char endpoint[400], tls_text[128];
	enum sasl_mechanism mechanism;
	struct buf prelude, transcript;
};

static void drive(struct session *s);

/* ---- facts ---- */

static void PRINTF_LIKE(2, 3) note(struct session *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)buf_append_str(&s->prelude, "* ");
	(void)buf_vprintf(&s->prelude, format, ap);
	(void)buf_append_str(&s->prelude, "\n");
	va_end(ap);
}

struct job_session
session_facts(const struct session *s)
{
	struct session *own = (struct session *)(uintptr_t)s; /* its scratch buffer */
	struct job_session facts = {.endpoint = s->endpoint};

	buf_clear(&own->transcript);
	(void)buf_append_str(&own->transcript, buf_str(&s->prelude));
	if (s->client != NULL) {
		(void)buf_append_str(&own->transcript, smtp_client_session_transcript(s->client));
		facts.dsn = (smtp_client_extensions(s->client) & SMTP_EXT_DSN) != 0;
		facts.tls = s->tls_text[0] != '\0' ? s->tls_text : "none";
	}
	if (s->mechanism != SASL_NONE)
		facts.mechanism = sasl_mechanism_name(s->mechanism);
	facts.transcript = buf_str(&s->transcript);
	return facts;
}

struct session *
session_next(const struct session *s)
{
	return s->next;
}

void
session_set_next(struct session *s, struct session *next)
{
	s->next = next;
}

bool
session_is_ready(const struct session *s)
{
	return s->opened && !s->ended;
}

uint64_t
session_retry(const struct session *s)
{
	return s->retry_fits ? s->rejected : 0;
}

/* ---- the end ---- */

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	(void)resolver_cancel(s->lookup);
	(void)probe_free(s->probe);
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	if (s->timer != NULL)
		event_free(s->timer);
	if (s->kick != NULL)
		event_free(s->kick);
	SSL_free(s->ssl);
	if (s->fd >= 0)
		(void)close(s->fd);
	(void)smtp_client_free(s->client);
	while (s->jobs != NULL) {
		struct job *j = s->jobs;

		s->jobs = j->next;
		(void)job_free(j);
	}
	(void)secret_free(s->secret);
	free(s->user);
	smtp_reply_clear(&s->why);
	buf_free(&s->prelude);
	buf_free(&s->transcript);
	(void)account_unref(s->account);
	free(s);
}

/* Before there is an engine: the session is over. */
static void
give_up(struct session *s, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	if (s->ended)
		return;
	s->ended = true;
	s->why = (struct smtp_reply){.stage = stage, .fault = fault, .text = strdup(words)};
	note(s, "%s", words);
}

/* The same at any time. */
static void
fail(struct session *s, enum smtp_stage stage, enum smtp_fault fault, const char *words)
{
	if (s->client != NULL)
		smtp_client_lost(s->client, stage, fault, words);
	else
		give_up(s, stage, fault, words);
}

static void
log_end(const struct session *s)
{
	const struct smtp_reply *r = &s->why;
	char reply[16];
	const char *outcome = r->code > 0 ? smtp_stage_name(r->stage) : smtp_fault_name(r->fault);

	(void)snprintf(reply, sizeof(reply), "%d", r->code);
	if (s->opened || s->retry_fits)
		return;
	log_line(LOG_LEVEL_WARNING, "No session with the submission server.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name}, {LOG_ENDPOINT, s->endpoint},
		{LOG_OUTCOME, outcome}, {LOG_REPLY, r->code > 0 ? reply : NULL},
		{LOG_ERROR, r->text}));
}

/* What the engine left to be said goes out if the socket takes it. */
static void
say_goodbye(struct session *s)
{
	const char *bytes;
	size_t len;

	if (s->state != STATE_RUNNING || s->client == NULL || s->broken)
		return;
	bytes = smtp_client_output(s->client, &len);
	ERR_clear_error();
	if (s->ssl == NULL) {
		if (bytes != NULL)
			(void)send(s->fd, bytes, len, MSG_NOSIGNAL);
		return;
	}
	if (bytes != NULL)
		(void)SSL_write(s->ssl, bytes, (int)len);
	(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
}

static void
finish(struct session *s)
{
	struct pool *p = s->pool;

	say_goodbye(s);
	log_end(s);
	pool_session_ended(p, s, s->opened, &s->why);
	session_free(s);
	pool_release(p);
}

/* ---- the credential ---- */

static void
ask_keeper(struct session *s)
{
	struct message *m = message_new(M_CREDENTIAL_GET);
	uint64_t id = ++s->send->last_id;

	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, s->account->name);
	message_put_u64(
	    m, F_MIN_VALID, s->account->min_valid > 0 ? s->account->min_valid : MIN_VALID_USUAL);
	if (s->rejected > 0)
		message_put_u64(m, F_REJECTED, s->rejected);
	s->to_ask = m != NULL && !s->send->ops->to_keeper(s->send->arg, m);
	s->request = s->to_ask ? 0 : id;
}

static void
give_credential(struct session *s)
{
	s->engine_waits = false;
	smtp_client_credential(s->client, s->user, s->secret, send_now());
}

static void
credential_failed(struct session *s, enum smtp_fault fault, const char *words)
{
	if (s->client != NULL)
		smtp_client_fail(s->client, SMTP_STAGE_TOKEN, fault, words);
	else
		give_up(s, SMTP_STAGE_TOKEN, fault, words);
}

/* A state in which only a person or an administrator can help, as against one that passes. */
static bool
state_is_final(const char *state)
{
	static const char *const passing[] = {"active", "refreshing", "throttled", "unreachable"};

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (strcmp(state, passing[i]) == 0)
			return false;
	return true;
}

static void
take_credential(struct session *s, const struct message *m)
{
	const char *kind = message_str(m, F_KIND);
	unsigned wanted = strcmp(kind, "token") == 0      ? SASL_TOKEN_MECHANISMS
			  : strcmp(kind, "password") == 0 ? SASL_PASSWORD_MECHANISMS
							  : 0;
	uint64_t generation = message_u64(m, F_GENERATION, 0);

	(void)secret_free(s->secret);
	free(s->user);
	s->secret = message_secret(m, F_SECRET);
	s->user = strdup(message_str(m, F_USER_NAME));
	s->generation = generation;
	if (s->secret == NULL || s->user == NULL || (s->account->mechanisms & wanted) == 0) {
		credential_failed(s, SMTP_FAULT_NO_CREDENTIAL,
		    "The credential is of another kind than the account's mechanisms need.");
	} else if (s->rejected > 0 && generation == s->rejected) {
		credential_failed(s, SMTP_FAULT_CREDENTIAL_LATER,
		    "The server refused the token, and there is no newer one yet.");
	} else if (s->engine_waits) {
		give_credential(s);
	}
}

bool
session_credential(struct session *s, uint64_t id, const struct message *m)
{
	if (id != s->request || id == 0)
		return false;
	s->request = 0;
	if (s->ended)
		return true;
	if (message_type(m) == M_CREDENTIAL)
		take_credential(s, m);
	else
		credential_failed(s,
		    state_is_final(message_str(m, F_STATE)) ? SMTP_FAULT_NO_CREDENTIAL
							    : SMTP_FAULT_CREDENTIAL_LATER,
		    message_str(m, F_ERROR));
	drive(s);
	return true;
}

void
session_keeper_up(struct session *s, bool up)
{
	if (up && s->to_ask) {
		ask_keeper(s);
	} else if (!up && s->request != 0) {
		s->request = 0;
		credential_failed(s, SMTP_FAULT_CREDENTIAL_LATER,
		    "The keeper of credentials ended before it answered.");
		event_active(s->kick, EV_TIMEOUT, 0);
	}
}

static void
on_credential_wanted(struct session *s, enum sasl_mechanism mechanism)
{
	s->mechanism = mechanism;
	s->engine_waits = true;
	if (s->secret != NULL)
		give_credential(s);
	else if (s->request == 0 && !s->to_ask)
		ask_keeper(s);
}

/* The server refused. A token may have been revoked or expired on the way: one newer one is tried,
 * where the refusal is not one that passes by itself. */
static void
on_auth_failed(struct session *s, const struct smtp_reply *reply)
{
	bool token = (s->mechanism & SASL_TOKEN_MECHANISMS) != 0;

	log_line(LOG_LEVEL_NOTICE, "The submission server refused the credential.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name}, {LOG_ENDPOINT, s->endpoint},
		{LOG_MECHANISM, sasl_mechanism_name(s->mechanism)}, {LOG_REPLY, reply->text}));
	if (token && reply->code >= 500 && !s->renewed) {
		s->renewed = s->retry_fits = true;
		s->rejected = s->generation;
		s->secret = secret_free(s->secret);
		s->engine_waits = true;
		ask_keeper(s);
		return;
	}
	s->retry_fits = false;
	if (smtp_reply_copy(&s->why, reply) < 0)
		s->why = (struct smtp_reply){.code = reply->code, .stage = reply->stage};
	smtp_client_quit(s->client, send_now());
}

/* ---- the connection ---- */

static void
note_connect_failure(struct session *s, int error)
{
	char address[64];
	enum smtp_fault fault = error == ECONNREFUSED ? SMTP_FAULT_REFUSED
				: error == ETIMEDOUT  ? SMTP_FAULT_CONNECT_TIMEOUT
						      : SMTP_FAULT_UNREACHABLE;

	address_text(&s->addresses[s->address_at], address, sizeof(address));
	/* A network without a way to one kind of address says less than a host that answers. */
	if (s->connect_fault == SMTP_FAULT_NONE || s->connect_fault == SMTP_FAULT_UNREACHABLE) {
		s->connect_fault = fault;
		(void)snprintf(s->connect_words, sizeof(s->connect_words),
		    "No connection to %s port %u: %s.", address, s->account->port,
		    fault == SMTP_FAULT_CONNECT_TIMEOUT ? "no answer" : strerror(error));
	}
	note(s, "%s port %u: %s", address, s->account->port, strerror(error));
}

static void
close_socket(struct session *s)
{
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	s->readable = s->writable = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

static void on_io(evutil_socket_t sock, short what, void *arg);

static int
open_socket(struct session *s, const struct address *a)
{
	int one = 1;

	s->fd = socket(a->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	/* Output is gathered before it is written, so holding it back (RFC 896) only costs time. */
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->readable = event_new(s->send->base, s->fd, EV_READ | EV_PERSIST, on_io, s);
	s->writable = event_new(s->send->base, s->fd, EV_WRITE, on_io, s);
	if (s->readable == NULL || s->writable == NULL || event_add(s->writable, NULL) < 0)
		return -ENOMEM;
	return connect(s->fd, (const struct sockaddr *)&a->sockaddr, a->len) < 0 &&
		       errno != EINPROGRESS
		   ? -errno
		   : 0;
}

/* Begins to connect to the address at address_at, or one behind it. */
static void
connect_next(struct session *s)
{
	for (; s->address_at < s->address_count; s->address_at++) {
		bool more = s->address_at + 1 < s->address_count;
		int r = open_socket(s, &s->addresses[s->address_at]);

		if (r == 0) {
			s->state = STATE_CONNECTING;
			s->connect_by = send_now() + (more ? CONNECT_IMPATIENCE : CONNECT_PATIENCE);
			return;
		}
		note_connect_failure(s, -r);
		close_socket(s);
	}
	give_up(s, SMTP_STAGE_CONNECT, s->connect_fault, s->connect_words);
}

static void
connect_failed(struct session *s, int error)
{
	note_connect_failure(s, error);
	close_socket(s);
	s->address_at++;
	connect_next(s);
}

/* A name with a dot, or the address that the server sees (RFC 5321 section 4.1.3). */
static void
hello_name(const struct session *s, char *to, size_t size)
{
	struct address own = {.len = sizeof(own.sockaddr)};
	char address[64];

	if (s->send->hostname != NULL && strchr(s->send->hostname, '.') != NULL) {
		(void)snprintf(to, size, "%s", s->send->hostname);
		return;
	}
	if (getsockname(s->fd, (struct sockaddr *)&own.sockaddr, &own.len) < 0) {
		(void)snprintf(to, size, "[127.0.0.1]");
		return;
	}
	address_text(&own, address, sizeof(address));
	(void)snprintf(
	    to, size, own.sockaddr.ss_family == AF_INET6 ? "[IPv6:%s]" : "[%s]", address);
}

static void
connected(struct session *s)
{
	const struct account *a = s->account;
	const struct address *address = &s->addresses[s->address_at];
	char name[300], text[64];
	struct smtp_client_config config = {
	    .host = a->host,
	    .port = a->port,
	    .ehlo_name = name,
	    .tls = a->tls,
	    .mechanisms = a->mechanisms,
	    .secret_without_tls = a->secret_without_tls && address_is_loopback(address),
	    .window = WINDOW,
	    .window_bytes = WINDOW_BYTES,
	    .mails_max = MAILS_MAX,
	};

	memcpy(config.order, a->order, sizeof(config.order));
	hello_name(s, name, sizeof(name));
	address_text(address, text, sizeof(text));
	(void)snprintf(s->endpoint, sizeof(s->endpoint), "%s:%u [%s]", a->host, a->port, text);
	note(s, "connected to %s", s->endpoint);
	s->connected_at = send_now();
	s->state = STATE_RUNNING;
	s->client = smtp_client_new(&config, s->connected_at);
	if (s->client == NULL || event_add(s->readable, NULL) < 0)
		give_up(s, SMTP_STAGE_CONNECT, SMTP_FAULT_LOCAL, "Out of memory.");
}

static void
connect_result(struct session *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		connect_failed(s, error);
	else
		connected(s);
}

static void
on_resolved(void *arg, const struct address *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct session *s = arg;

	s->lookup = NULL;
	if (count == 0) {
		give_up(s, SMTP_STAGE_DNS, fault, words);
	} else {
		memcpy(s->addresses, addresses, count * sizeof(*addresses));
		s->address_count = count;
		connect_next(s);
	}
	drive(s);
}

/* ---- TLS ---- */

static SSL_CTX *
tls_context(struct account *a, char *why, size_t size)
{
	if (a->ca_broken) {
		(void)snprintf(why, size, "The account's ca-file cannot be read.");
		return NULL;
	}
	if (a->tls_context == NULL)
		a->tls_context = tls_context_new(&a->ca, why, size);
	return a->tls_context;
}

static void
tls_failed(struct session *s)
{
	enum smtp_fault fault = s->trouble.fault;

	/* Behind STARTTLS it is no matter of the port. */
	if (fault == SMTP_FAULT_TLS_PLAINTEXT && s->account->tls == SMTP_TLS_STARTTLS)
		fault = SMTP_FAULT_TLS;
	fail(s, SMTP_STAGE_TLS, fault, s->trouble.words);
}

/* The server's first octets, before TLS takes them: words in clear are better reported as what they
 * say. */
static bool
hello_is_tls(struct session *s)
{
	char banner[256];
	int r;

	if (s->hello_seen)
		return true;
	r = tls_peek(s->fd, banner, sizeof(banner));
	s->hello_seen = r == 1;
	if (r != 0)
		return true;
	s->trouble.fault = SMTP_FAULT_TLS_PLAINTEXT;
	(void)snprintf(s->trouble.words, sizeof(s->trouble.words),
	    "The server answered the TLS hello in plain text: %s", banner);
	return false;
}

static void
shake_hands(struct session *s)
{
	bool wants_write = false;
	int r = hello_is_tls(s) ? tls_handshake(s->ssl, &s->trouble, &wants_write) : -1;

	if (r < 0) {
		tls_failed(s);
	} else if (r == 0) {
		if (wants_write)
			(void)event_add(s->writable, NULL);
	} else {
		tls_describe(s->ssl, s->tls_text, sizeof(s->tls_text));
		s->state = STATE_RUNNING;
		smtp_client_tls_done(s->client, s->tls_text, send_now());
	}
}

static void
start_tls(struct session *s)
{
	char why[160];
	SSL_CTX *context = tls_context(s->account, why, sizeof(why));

	if (context == NULL) {
		fail(s, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, why);
		return;
	}
	s->ssl = tls_new(context, s->fd, s->account->host, &s->trouble);
	if (s->ssl == NULL) {
		fail(s, SMTP_STAGE_TLS, SMTP_FAULT_LOCAL, "TLS cannot be set up: out of memory.");
		return;
	}
	s->state = STATE_HANDSHAKE;
	shake_hands(s);
}

static void
on_probed(void *arg, bool tls)
{
	struct session *s = arg;

	s->probe = NULL;
	if (tls && !smtp_client_is_greeted(s->client))
		smtp_client_lost(s->client, SMTP_STAGE_TLS, SMTP_FAULT_TLS_SILENT,
		    "The server says nothing in plain text on this port: it wants TLS from the "
		    "first octet.");
	drive(s);
}

/* ---- octets ---- */

enum { IO_AGAIN = -1, IO_END = -2 };

static ssize_t
io_result(struct session *s, int r)
{
	int error = SSL_get_error(s->ssl, r);

	if (error == SSL_ERROR_WANT_WRITE)
		(void)event_add(s->writable, NULL);
	ERR_clear_error();
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? IO_AGAIN : IO_END;
}

static ssize_t
read_octets(struct session *s, char *to, size_t size)
{
	ssize_t n;

	if (s->ssl != NULL) {
		int r;

		ERR_clear_error();
		r = SSL_read(s->ssl, to, (int)size);
		return r > 0 ? r : io_result(s, r);
	}
	n = recv(s->fd, to, size, 0);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? IO_AGAIN : IO_END;
}

static ssize_t
write_octets(struct session *s, const char *bytes, size_t len)
{
	ssize_t n;

	if (s->ssl != NULL) {
		int r;

		ERR_clear_error();
		r = SSL_write(s->ssl, bytes, (int)(len < INT32_MAX ? len : INT32_MAX));
		return r > 0 ? r : io_result(s, r);
	}
	n = send(s->fd, bytes, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return IO_END;
	(void)event_add(s->writable, NULL);
	return IO_AGAIN;
}

static void take_events(struct session *s);

/* Until nothing more waits. Events are taken after each piece, so that no octet behind the reply to
 * STARTTLS is read as if it were plain text. */
static void
read_some(struct session *s)
{
	char bytes[READ_SIZE];
	ssize_t n = IO_AGAIN;

	for (int i = 0; i < READS_PER_TURN && s->state == STATE_RUNNING && !s->ended; i++) {
		n = read_octets(s, bytes, sizeof(bytes));
		if (n < 0)
			break;
		smtp_client_input(s->client, bytes, (size_t)n, send_now());
		take_events(s);
	}
	if (s->ended || s->state != STATE_RUNNING)
		return;
	if (n == IO_END)
		smtp_client_lost(s->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
	else if (n >= 0)
		event_active(s->kick, EV_READ, 0); /* more may wait inside TLS */
}

/* True when something was written. A connection that takes no more may still hold the server's last
 * words. */
static bool
write_some(struct session *s)
{
	size_t len;
	const char *bytes = s->broken ? NULL : smtp_client_output(s->client, &len);
	ssize_t n;

	if (bytes == NULL)
		return false;
	n = write_octets(s, bytes, len);
	if (n == IO_END) {
		s->broken = true;
		read_some(s);
		if (!s->ended && s->state == STATE_RUNNING)
			smtp_client_lost(s->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
		take_events(s);
	}
	if (n <= 0)
		return false;
	smtp_client_wrote(s->client, (size_t)n, send_now());
	return true;
}

/* ---- events of the engine ---- */

static void
on_ready(struct session *s, enum sasl_mechanism mechanism)
{
	s->mechanism = mechanism;
	s->opened = true;
	s->retry_fits = false;
	s->secret = secret_free(s->secret);
	s->opened_at = s->idle_since = send_now();
	log_line(LOG_LEVEL_INFO, "Session with the submission server.",
	    LOG_PAIRS({LOG_ACCOUNT, s->account->name}, {LOG_ENDPOINT, s->endpoint},
		{LOG_MECHANISM, mechanism == SASL_NONE ? NULL : sasl_mechanism_name(mechanism)}));
	pool_session_ready(s->pool, s);
}

static void
on_job_done(struct session *s, const struct smtp_client_event *e)
{
	struct job **at = &s->jobs, *j;

	while (*at != NULL && (*at)->spec.id != e->job)
		at = &(*at)->next;
	j = *at;
	if (j == NULL)
		return;
	*at = j->next;
	if (*at == NULL)
		s->last_job = at;
	j->next = NULL;
	s->load -= j->spec.body_len;
	if (s->jobs == NULL)
		s->idle_since = send_now();
	pool_job_done(s->pool, s, j, e->replies, e->untried, smtp_client_job_transcript(s->client));
}

static void
on_closed(struct session *s, const struct smtp_reply *reply)
{
	s->ended = true;
	if (s->why.code != 0)
		return; /* the refusal of AUTH counts, not how the session ended after it */
	if (smtp_reply_copy(&s->why, reply) < 0)
		s->why = (struct smtp_reply){
		    .code = reply->code, .stage = reply->stage, .fault = reply->fault};
	/* No newer token was to be had: another session would meet the same. */
	if (reply->stage == SMTP_STAGE_TOKEN)
		s->retry_fits = false;
}

static void
take_events(struct session *s)
{
	struct smtp_client_event e;

	while (!s->ended && s->client != NULL && smtp_client_next(s->client, &e)) {
		switch (e.type) {
		case SMTP_CLIENT_START_TLS:
			start_tls(s);
			break;
		case SMTP_CLIENT_CREDENTIAL:
			on_credential_wanted(s, e.mechanism);
			break;
		case SMTP_CLIENT_READY:
			on_ready(s, e.mechanism);
			break;
		case SMTP_CLIENT_AUTH_FAILED:
			on_auth_failed(s, e.reply);
			break;
		case SMTP_CLIENT_JOB_DONE:
			on_job_done(s, &e);
			break;
		case SMTP_CLIENT_CLOSED:
			on_closed(s, e.reply);
			break;
		default:
			break;
		}
	}
}

/* ---- time ---- */

static uint64_t
next_deadline(const struct session *s)
{
	uint64_t at = s->client == NULL ? UINT64_MAX : smtp_client_deadline(s->client);

	if (s->state == STATE_CONNECTING)
		at = s->connect_by;
	if (s->client != NULL && !s->probed && s->account->tls != SMTP_TLS_IMPLICIT &&
	    !smtp_client_is_greeted(s->client) && s->connected_at + GREETING_DOUBT < at)
		at = s->connected_at + GREETING_DOUBT;
	if (s->opened && s->jobs == NULL && s->idle_since + IDLE_MAX < at)
		at = s->idle_since + IDLE_MAX;
	if (s->opened && s->opened_at + AGE_MAX < at)
		at = s->opened_at + AGE_MAX;
	return at;
}

/* A timer that goes off too early is armed again then: cheaper than moving it with every reply. */
static void
arm_timer(struct session *s)
{
	uint64_t at = next_deadline(s), now = send_now(), wait;
	struct timeval tv;

	if (at == UINT64_MAX || (s->timer_at != 0 && s->timer_at <= at))
		return;
	wait = at > now ? at - now : 0;
	tv = (struct timeval){
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000};
	if (event_add(s->timer, &tv) == 0)
		s->timer_at = at;
}

static void
look_at_clock(struct session *s)
{
	uint64_t now = send_now();

	if (s->state == STATE_CONNECTING) {
		if (now >= s->connect_by)
			connect_failed(s, ETIMEDOUT);
		return;
	}
	if (s->client == NULL)
		return;
	if (!s->probed && s->account->tls != SMTP_TLS_IMPLICIT &&
	    !smtp_client_is_greeted(s->client) && now >= s->connected_at + GREETING_DOUBT) {
		s->probed = true;
		s->probe = probe_new(s->send->base, &s->addresses[s->address_at], on_probed, s);
	}
	if (s->opened && (now >= s->opened_at + AGE_MAX ||
			     (s->jobs == NULL && now >= s->idle_since + IDLE_MAX))) {
		s->opened_at = s->idle_since = UINT64_MAX - AGE_MAX; /* said once */
		smtp_client_quit(s->client, now);
	}
	smtp_client_timeout(s->client, now);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	s->timer_at = 0;
	look_at_clock(s);
	drive(s);
}

/* ---- the loop ---- */

static void
drive(struct session *s)
{
	do
		take_events(s);
	while (!s->ended && s->state == STATE_RUNNING && write_some(s));
	if (s->ended)
		finish(s);
	else
		arm_timer(s);
}

static void
on_io(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == STATE_CONNECTING)
		connect_result(s);
	else if (s->state == STATE_HANDSHAKE)
		shake_hands(s);
	else
		read_some(s);
	drive(s);
}

static void
on_kick(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	if ((what & EV_READ) != 0 && s->state == STATE_RUNNING && !s->ended)
		read_some(s);
	drive(s);
}

/* ---- what others ask ---- */

struct session *
session_new(struct pool *p, uint64_t rejected)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->pool = p;
	s->send = p->send;
	s->account = account_ref(p->account);
	s->fd = -1;
	s->last_job = &s->jobs;
	s->rejected = rejected;
	s->renewed = rejected > 0;
	s->prelude = (struct buf)BUF_INIT(PRELUDE_MAX);
	s->transcript = (struct buf)BUF_INIT(PRELUDE_MAX + SMTP_CLIENT_TRANSCRIPT_MAX);
	(void)snprintf(
	    s->endpoint, sizeof(s->endpoint), "%s:%u", p->account->host, p->account->port);
	s->timer = event_new(s->send->base, -1, 0, on_timer, s);
	s->kick = event_new(s->send->base, -1, 0, on_kick, s);
	if (s->timer != NULL && s->kick != NULL)
		s->lookup = resolver_lookup(
		    s->send->resolver, p->account->host, p->account->port, on_resolved, s);
	if (s->lookup == NULL) {
		session_free(s);
		return NULL;
	}
	if (s->account->mechanisms != 0)
		ask_keeper(s);
	return s;
}

uint64_t
session_load(const struct session *s, size_t len, bool *room)
{
	*room = s->opened && !s->ended && smtp_client_room(s->client) > 0 &&
		(s->jobs == NULL || s->load + len <= WINDOW_BYTES);
	return s->load;
}

int
session_submit(struct session *s, struct job *j)
{
	int r = smtp_client_submit(s->client, &j->spec, send_now());

	if (r < 0)
		return r;
	*s->last_job = j;
	s->last_job = &j->next;
	s->load += j->spec.body_len;
	event_active(s->kick, EV_TIMEOUT, 0);
	return 0;
}

void
session_quit(struct session *s)
{
	if (s->client != NULL)
		smtp_client_quit(s->client, send_now());
	else
		give_up(s, SMTP_STAGE_CONNECT, SMTP_FAULT_CLOSED,
		    "The session is not needed any more.");
	event_active(s->kick, EV_TIMEOUT, 0);
}

void
session_abort(struct session *s)
{
	fail(
	    s, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, "Frank was stopped before the server answered.");
	event_active(s->kick, EV_TIMEOUT, 0);
}
