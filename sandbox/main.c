/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-sandbox. Reads its options, makes its folder, starts both servers, writes
 * `ready.json` and says so in one line.
 *
 * The folder, of mode 0700:
 *   ca.pem, ca.key       the test authority, made at the first start
 *   ready.json           ports, addresses and paths; there while the program runs
 *   admin.key            what /admin wants, new at every start
 *   ADDRESS.password     a password made up for an account that was given none
 *   mail/ADDRESS/Maildir what arrived
 *   inbox.db             its index, which can be built anew
 * Grants and tokens live as long as the program: after a restart every account has to be authorized
 * again.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/io.h"
#include "base/log.h"
#include "base/option.h"
#include "config.h"
#include "sandbox/ca.h"
#include "sandbox/endpoints.h"
#include "sandbox/environment.h"
#include "sandbox/inbox-server.h"
#include "sandbox/submission.h"

enum { FILE_MAX = 4096, FAULTS_FILE_MAX = 1024 * 1024 };

#define HOST_OCTETS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:"

struct sandbox_options {
	const char *dir;
	unsigned web_port, starttls_port, implicit_port;
	struct grants_config grants;
	const char *personality, *listen, *host;
	struct inbox_server_options inbox;
	const char *login_file;
	bool quiet;
};

struct program {
	struct sandbox sandbox;
	struct sandbox_options options;
	int dir;
	char path[PATH_MAX]; /* of the folder, absolute */
	char index[PATH_MAX + 16];
};

static const char usage[] =
    "Usage: frank-sandbox --dir DIR [OPTION...]\n"
    "A mail provider for trials on loopback: authorization server, submission server, inbox.\n\n"
    "  --dir DIR                  private folder for the test CA, the mail and ready.json\n"
    "  --account ADDRESS[:FILE]   an account; its password is the first line of FILE, else one is "
    "made up\n"
    "  --client ID[:FILE]         a client (default: frank, without a secret); FILE holds its "
    "secret or public key\n"
    "  --issuer-port N            port of the authorization server (0: a free one)\n"
    "  --submission-port N        port with STARTTLS (0: a free one)\n"
    "  --submissions-port N       port with implicit TLS (0: a free one)\n"
    "  --access-token-life SEC    default 3600\n"
    "  --refresh-token-life SEC   default 90 days, from the last use\n"
    "  --access-token-bytes N     length of access tokens before encoding, 24 to 4096 (default "
    "32)\n"
    "  --no-rotation              a refresh token stays the same when it is used\n"
    "  --personality NAME         standard (default), microsoft365 or google: whose words and "
    "limits\n"
    "  --listen ADDRESS           where to listen (default: loopback); 0.0.0.0 lets every machine "
    "in\n"
    "  --host NAME                the name that clients know this by (default: localhost)\n"
    "  --fault NAME|JSON          a fault from the start on; the manual has the names\n"
    "  --faults FILE              the same, an array of rules as JSON\n"
    "  --http-port N              port of the inbox and its API (0: a free one)\n"
    "  --http-host NAME           a further name that clients may call the inbox by\n"
    "  --http-login FILE          user:password, in FILE, that the inbox asks for\n"
    "  --max-messages N           the oldest messages beyond N are removed (default: none)\n"
    "  --release-command FILE     a sendmail that delivers released messages\n"
    "  --release-allow PATTERN    who may get them, as in *@example.test (default: anybody)\n"
    "  --quiet                    no log\n"
    "  --help, --version\n\n"
    "Each option can be in the environment, as in FRANK_SANDBOX_SUBMISSION_PORT=587.\n";

/* The first line of a file, as a secret. NULL with errno. */
static struct secret *
read_secret(int dir, const char *path)
{
	char bytes[FILE_MAX];
	int fd CLEANUP_CLOSE = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	struct secret *s = NULL;
	size_t len = 0;

	if (n < 0)
		return NULL;
	while (len < (size_t)n && bytes[len] != '\n' && bytes[len] != '\r')
		len++;
	if (len > 0)
		s = secret_new(bytes, len);
	else
		errno = ENODATA;
	mem_wipe(bytes, sizeof(bytes));
	return s;
}

/* Makes a secret up and writes it into the folder with mode 0600. NULL with errno. */
static struct secret *
make_secret(int dir, const char *name)
{
	struct buf text CLEANUP_BUF = BUF_INIT_WIPE(128);
	int fd CLEANUP_CLOSE = -1, r;

	if (sandbox_random_text(&text, 18) < 0 || buf_append_char(&text, '\n') < 0) {
		errno = ENOMEM;
		return NULL;
	}
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return NULL;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	r = io_write_all(fd, text.data, text.len);
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	return secret_new(text.data, text.len - 1);
}

/* "NAME" or "NAME:FILE": splits in place. An address has no colon outside quotes that a trial would
 * use. */
static char *
split_file(char *text)
{
	char *colon = strchr(text, ':');

	if (colon == NULL)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static bool
add_account(struct program *p, const char *text)
{
	struct sandbox *s = &p->sandbox;
	struct sandbox_account *a = &s->accounts[s->account_count];
	char copy[PATH_MAX], name[ADDRESS_MAX + 16];
	const char *file;

	if (strlen(text) >= sizeof(copy) || s->account_count == SANDBOX_ACCOUNTS_MAX) {
		(void)fprintf(stderr, "frank-sandbox: too many accounts, or too long: %s\n", text);
		return false;
	}
	(void)snprintf(copy, sizeof(copy), "%s", text);
	file = split_file(copy);
	if (!address_is_valid(copy, strlen(copy), false) || strchr(copy, '/') != NULL) {
		(void)fprintf(stderr,
		    "frank-sandbox: --account wants an address, as in billing@example.test: %s\n",
		    copy);
		return false;
	}
	(void)snprintf(a->address, sizeof(a->address), "%.*s", ADDRESS_MAX, copy);
	(void)snprintf(name, sizeof(name), "%s.password", a->address);
	a->password = file != NULL ? read_secret(AT_FDCWD, file) : read_secret(p->dir, name);
	if (a->password == NULL && file == NULL && errno == ENOENT)
		a->password = make_secret(p->dir, name);
	if (a->password == NULL) {
		(void)fprintf(stderr, "frank-sandbox: no password for %s: %s: %s\n", a->address,
		    file != NULL ? file : name, strerror(errno));
		return false;
	}
	s->account_count++;
	return true;
}

/* The public key of a PEM file, also of a certificate; NULL: it is none. */
static EVP_PKEY *
read_public_key(const char *path)
{
	BIO *in = BIO_new_file(path, "re");
	EVP_PKEY *key = in == NULL ? NULL : PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
	X509 *certificate = NULL;

	if (in != NULL && key == NULL && BIO_seek(in, 0) == 0) {
		certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
		key = certificate == NULL ? NULL : X509_get_pubkey(certificate);
	}
	ERR_clear_error();
	X509_free(certificate);
	(void)BIO_free(in);
	return key;
}

static bool
add_client(struct sandbox *s, const char *text)
{
	struct sandbox_client *c = &s->clients[s->client_count];
	char copy[PATH_MAX];
	const char *file;

	if (strlen(text) >= sizeof(copy) || s->client_count == SANDBOX_CLIENTS_MAX) {
		(void)fprintf(stderr, "frank-sandbox: too many clients, or too long: %s\n", text);
		return false;
	}
	(void)snprintf(copy, sizeof(copy), "%s", text);
	file = split_file(copy);
	if (copy[0] == '\0' || strlen(copy) >= sizeof(c->id)) {
		(void)fprintf(stderr,
		    "frank-sandbox: --client wants a name of at most %zu octets\n",
		    sizeof(c->id) - 1);
		return false;
	}
	(void)snprintf(c->id, sizeof(c->id), "%.*s", (int)sizeof(c->id) - 1, copy);
	c->key = file == NULL ? NULL : read_public_key(file);
	c->secret = file == NULL || c->key != NULL ? NULL : read_secret(AT_FDCWD, file);
	if (file != NULL && c->secret == NULL && c->key == NULL) {
		(void)fprintf(stderr, "frank-sandbox: no secret for client %s: %s: %s\n", c->id,
		    file, strerror(errno));
		return false;
	}
	s->client_count++;
	return true;
}

static bool
number(const char *option, const char *text, unsigned least, unsigned most, unsigned *ret)
{
	if (sandbox_number(text, least, most, ret))
		return true;
	(void)fprintf(stderr, "frank-sandbox: --%s wants a number from %u to %u, not %s\n", option,
	    least, most, text);
	return false;
}

/* The folder comes first: accounts may keep their passwords in it. */
static bool
open_dir(struct program *p)
{
	struct stat st;

	if (p->options.dir == NULL) {
		(void)fprintf(stderr, "frank-sandbox: --dir is missing\n%s", usage);
		return false;
	}
	if (mkdir(p->options.dir, 0700) < 0 && errno != EEXIST) {
		(void)fprintf(stderr, "frank-sandbox: %s: %s\n", p->options.dir, strerror(errno));
		return false;
	}
	p->dir = open(p->options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0 || realpath(p->options.dir, p->path) == NULL || fstat(p->dir, &st) < 0) {
		(void)fprintf(stderr, "frank-sandbox: %s: %s\n", p->options.dir, strerror(errno));
		return false;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		(void)fprintf(stderr,
		    "frank-sandbox: %s must belong to you and to nobody else (chmod 700)\n",
		    p->options.dir);
		return false;
	}
	/* Two in one folder would write over each other's files; some file systems know no locks. */
	if (flock(p->dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		(void)fprintf(stderr,
		    "frank-sandbox: %s is in use by another frank-sandbox: stop that one (pid in "
		    "ready.json), or name another folder\n",
		    p->options.dir);
		return false;
	}
	if (mkdirat(p->dir, "mail", 0700) < 0 && errno != EEXIST)
		p->sandbox.mail = -1;
	else
		p->sandbox.mail = openat(p->dir, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->sandbox.mail < 0)
		(void)fprintf(
		    stderr, "frank-sandbox: %s/mail: %s\n", p->options.dir, strerror(errno));
	return p->sandbox.mail >= 0;
}

enum {
	OPT_DIR = 256,
	OPT_ACCOUNT,
	OPT_CLIENT,
	OPT_WEB,
	OPT_STARTTLS,
	OPT_IMPLICIT,
	OPT_ACCESS,
	OPT_REFRESH,
	OPT_BYTES,
	OPT_KEEP,
	OPT_PERSONALITY,
	OPT_LISTEN,
	OPT_HOST,
	OPT_FAULT,
	OPT_FAULTS,
	OPT_HTTP,
	OPT_HTTP_HOST,
	OPT_HTTP_LOGIN,
	OPT_MESSAGES,
	OPT_RELEASE,
	OPT_RELEASE_ALLOW,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
    {"dir", required_argument, NULL, OPT_DIR},
    {"account", required_argument, NULL, OPT_ACCOUNT},
    {"client", required_argument, NULL, OPT_CLIENT},
    {"issuer-port", required_argument, NULL, OPT_WEB},
    {"submission-port", required_argument, NULL, OPT_STARTTLS},
    {"submissions-port", required_argument, NULL, OPT_IMPLICIT},
    {"access-token-life", required_argument, NULL, OPT_ACCESS},
    {"refresh-token-life", required_argument, NULL, OPT_REFRESH},
    {"access-token-bytes", required_argument, NULL, OPT_BYTES},
    {"no-rotation", no_argument, NULL, OPT_KEEP},
    {"personality", required_argument, NULL, OPT_PERSONALITY},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"host", required_argument, NULL, OPT_HOST},
    {"fault", required_argument, NULL, OPT_FAULT},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"http-port", required_argument, NULL, OPT_HTTP},
    {"http-host", required_argument, NULL, OPT_HTTP_HOST},
    {"http-login", required_argument, NULL, OPT_HTTP_LOGIN},
    {"max-messages", required_argument, NULL, OPT_MESSAGES},
    {"release-command", required_argument, NULL, OPT_RELEASE},
    {"release-allow", required_argument, NULL, OPT_RELEASE_ALLOW},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

/* Adds to a list that an option may be given for several times. */
static bool
add_to(const char *option, const char **list, size_t *count, size_t most, const char *value)
{
	if (*count < most) {
		list[(*count)++] = value;
		return true;
	}
	(void)fprintf(stderr, "frank-sandbox: --%s is given more than %zu times\n", option, most);
	return false;
}

/* The options of the inbox. False: it is none of them, or is wrong (`*ret_ok`). */
static bool
read_inbox_option(struct sandbox_options *o, int c, bool *ret_ok)
{
	struct inbox_server_options *i = &o->inbox;

	switch (c) {
	case OPT_HTTP:
		*ret_ok = number("http-port", optarg, 0, 65535, &i->port);
		return true;
	case OPT_HTTP_HOST:
		*ret_ok = add_to("http-host", i->hosts, &i->host_count, INBOX_HOSTS_MAX, optarg);
		return true;
	case OPT_HTTP_LOGIN:
		o->login_file = optarg;
		return true;
	case OPT_MESSAGES:
		*ret_ok = number("max-messages", optarg, 0, 100000000, &i->keep);
		return true;
	case OPT_RELEASE:
		i->release_command = optarg;
		*ret_ok = optarg[0] == '/';
		if (!*ret_ok)
			(void)fprintf(stderr,
			    "frank-sandbox: --release-command wants a whole path, not %s\n",
			    optarg);
		return true;
	case OPT_RELEASE_ALLOW:
		*ret_ok = add_to("release-allow", i->release_allow, &i->release_allow_count,
		    INBOX_ALLOW_MAX, optarg);
		return true;
	default:
		return false;
	}
}

/* Where to listen, and under which name. As above. */
static bool
read_place_option(struct sandbox_options *o, int c, bool *ret_ok)
{
	switch (c) {
	case OPT_LISTEN:
		o->listen = optarg;
		*ret_ok = sandbox_address(optarg);
		if (!*ret_ok)
			(void)fprintf(stderr,
			    "frank-sandbox: --listen wants an IPv4 or IPv6 address, not %s\n",
			    optarg);
		return true;
	case OPT_HOST:
		o->host = optarg;
		*ret_ok = optarg[0] != '\0' && strlen(optarg) < 254 &&
			  strspn(optarg, HOST_OCTETS) == strlen(optarg);
		if (!*ret_ok)
			(void)fprintf(stderr,
			    "frank-sandbox: --host wants a host name or an address, not %s\n",
			    optarg);
		return true;
	default:
		return false;
	}
}

/* First pass: everything but accounts and clients, which need the folder. Returns -1 to go on, else
 * an exit status. */
static int
read_options(struct sandbox_options *o, int argc, char **argv)
{
	bool ok = true;
	int c;

	opterr = 0; /* getopt's own words would repeat a value, such as an account's password */
	while (ok && (c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_DIR:
			o->dir = optarg;
			break;
		case OPT_ACCOUNT:
		case OPT_CLIENT:
		case OPT_FAULT:
		case OPT_FAULTS:
			break;
		case OPT_WEB:
			ok = number("issuer-port", optarg, 0, 65535, &o->web_port);
			break;
		case OPT_STARTTLS:
			ok = number("submission-port", optarg, 0, 65535, &o->starttls_port);
			break;
		case OPT_IMPLICIT:
			ok = number("submissions-port", optarg, 0, 65535, &o->implicit_port);
			break;
		case OPT_ACCESS:
			ok = number(
			    "access-token-life", optarg, 1, 7 * 86400, &o->grants.access_life);
			break;
		case OPT_REFRESH:
			ok = number(
			    "refresh-token-life", optarg, 1, 400 * 86400, &o->grants.refresh_life);
			break;
		case OPT_BYTES:
			ok =
			    number("access-token-bytes", optarg, 24, 4096, &o->grants.access_bytes);
			break;
		case OPT_KEEP:
			o->grants.rotate = false;
			break;
		case OPT_PERSONALITY:
			o->personality = optarg;
			break;
		case OPT_QUIET:
			o->quiet = true;
			break;
		case OPT_HELP:
			return fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK;
		case OPT_VERSION:
			return puts("frank-sandbox " FRANK_VERSION) < 0 ? EX_IOERR : EX_OK;
		default:
			if (read_inbox_option(o, c, &ok) || read_place_option(o, c, &ok))
				break;
			(void)fprintf(stderr,
			    "frank-sandbox: the option %.*s is unknown, or is not used so\n",
			    option_name_length(argv[optind - 1]), argv[optind - 1]);
			ok = false;
		}
	}
	if (ok && optind < argc) {
		(void)fputs("frank-sandbox: takes options only\n", stderr);
		ok = false;
	}
	return ok ? -1 : EX_USAGE;
}

static int
fill_random(void *bytes, size_t len)
{
	return RAND_bytes(bytes, (int)len) == 1 ? 0 : -EIO;
}

/* A name of faults.def, or a rule as JSON. */
static bool
add_fault(struct sandbox *s, const char *text)
{
	json_t *rule = text[0] == '{' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL)
				      : json_pack("{s:s}", "fault", text);
	char why[256] = "no JSON";
	unsigned id;
	bool ok = rule != NULL && faults_add(s->faults, rule, &id, why) == 0;

	if (!ok)
		(void)fprintf(stderr, "frank-sandbox: --fault %s: %s\n", text, why);
	json_decref(rule);
	return ok;
}

static bool
add_faults_of(struct sandbox *s, const char *path)
{
	json_error_t error = {.text = "no memory"};
	json_t *rules = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *ids = json_array();
	char why[256];
	bool ok = rules != NULL && ids != NULL;

	if (!ok)
		(void)fprintf(stderr, "frank-sandbox: %s:%d: %s\n", path, error.line, error.text);
	else if (faults_add_all(s->faults, rules, ids, why) < 0) {
		(void)fprintf(stderr, "frank-sandbox: %s: %s\n", path, why);
		ok = false;
	}
	json_decref(rules);
	json_decref(ids);
	return ok;
}

static bool
read_accounts(struct program *p, int argc, char **argv)
{
	int c;

	optind = 1;
	p->sandbox.faults = faults_new(fill_random);
	if (p->sandbox.faults == NULL)
		return false;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if ((c == OPT_FAULT && !add_fault(&p->sandbox, optarg)) ||
		    (c == OPT_FAULTS && !add_faults_of(&p->sandbox, optarg)) ||
		    (c == OPT_ACCOUNT && !add_account(p, optarg)) ||
		    (c == OPT_CLIENT && !add_client(&p->sandbox, optarg)))
			return false;
	if (p->sandbox.account_count == 0 && !add_account(p, "someone@example.test"))
		return false;
	return p->sandbox.client_count > 0 || add_client(&p->sandbox, "frank");
}

/* Everything a script needs to know, in one file that appears whole. */
static bool
write_ready(const struct program *p)
{
	const struct sandbox *s = &p->sandbox;
	json_t *accounts = json_array(), *ready;
	int fd CLEANUP_CLOSE = -1;
	bool ok = accounts != NULL;
	size_t i;

	for (i = 0; ok && i < s->account_count; i++)
		ok = json_array_append_new(accounts, json_string(s->accounts[i].address)) == 0;
	ready = json_pack("{s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o}", "pid",
	    (int)getpid(), "issuer", s->issuer, "client_id", s->clients[0].id, "scopes",
	    s->personality->scopes, "host", s->host, "submission_port",
	    (int)p->options.starttls_port, "submissions_port", (int)p->options.implicit_port, "ca",
	    json_sprintf("%s/ca.pem", p->path), "mail", json_sprintf("%s/mail", p->path), "api",
	    json_sprintf("http://%s:%u", s->host, p->options.inbox.port), "accounts", accounts);
	ok = ok && ready != NULL && (unlinkat(p->dir, "ready.json.tmp", 0) == 0 || errno == ENOENT);
	if (ok)
		fd =
		    openat(p->dir, "ready.json.tmp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ok = ok && fd >= 0 && json_dumpfd(ready, fd, JSON_INDENT(2)) == 0 &&
	     write(fd, "\n", 1) == 1 &&
	     renameat(p->dir, "ready.json.tmp", p->dir, "ready.json") == 0;
	json_decref(ready);
	return ok;
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)event_base_loopbreak(arg);
}

static int
serve(struct program *p)
{
	static const struct web_route *const endpoints[] = {
	    authorize_routes, token_routes, admin_routes, faults_routes, NULL};
	struct sandbox *s = &p->sandbox;
	struct event *term = evsignal_new(s->base, SIGTERM, on_signal, s->base),
		     *intr = evsignal_new(s->base, SIGINT, on_signal, s->base);
	struct web *web = NULL;
	struct submission_server *submission = NULL;
	int error = -ENOMEM, status = EX_OSERR;

	if (term != NULL && intr != NULL && event_add(term, NULL) == 0 &&
	    event_add(intr, NULL) == 0) {
		p->options.inbox.submission_port = &p->options.starttls_port;
		web = web_start(s, endpoints, &p->options.web_port, &error);
		if (web != NULL)
			s->inbox = inbox_server_start(s, &p->options.inbox, &error);
		if (s->inbox != NULL)
			submission = submission_start(
			    s, &p->options.starttls_port, &p->options.implicit_port, &error);
	}
	if (submission == NULL) {
		(void)fprintf(stderr, "frank-sandbox: cannot listen: %s\n", strerror(-error));
	} else if (!write_ready(p)) {
		(void)fprintf(
		    stderr, "frank-sandbox: cannot write ready.json: %s\n", strerror(errno));
	} else {
		(void)printf("frank-sandbox ready: issuer %s, submission %s:%u (STARTTLS) "
			     "and %s:%u (TLS), inbox http://%s:%u, see %s/ready.json\n",
		    s->issuer, s->host, p->options.starttls_port, s->host, p->options.implicit_port,
		    s->host, p->options.inbox.port, p->path);
		status =
		    fflush(stdout) == 0 && event_base_dispatch(s->base) >= 0 ? EX_OK : EX_OSERR;
		(void)unlinkat(p->dir, "ready.json", 0);
		(void)unlinkat(p->dir, "admin.key", 0);
	}
	(void)submission_stop(submission);
	s->inbox = inbox_server_stop(s->inbox);
	(void)web_stop(web);
	if (term != NULL)
		event_free(term);
	if (intr != NULL)
		event_free(intr);
	return status;
}

/* Where the index is, and who may ask. */
static bool
prepare_inbox(struct program *p)
{
	struct inbox_server_options *o = &p->options.inbox;
	const char *file = p->options.login_file;

	(void)snprintf(p->index, sizeof(p->index), "%s/inbox.db", p->path);
	o->index = p->index;
	if (file == NULL)
		return true;
	o->login = read_secret(AT_FDCWD, file);
	if (o->login == NULL)
		(void)fprintf(stderr, "frank-sandbox: %s: %s\n", file, strerror(errno));
	return o->login != NULL;
}

static int
start(struct program *p)
{
	struct sandbox *s = &p->sandbox;
	const char *why = "no memory";

	s->base = event_base_new();
	s->grants = grants_new(&p->options.grants, fill_random);
	s->devices = devices_new(fill_random);
	s->authorizations = authorize_new();
	s->key = jwt_key_new();
	s->admin_key = make_secret(p->dir, "admin.key");
	s->tls = ca_server_context(p->dir, s->host, &why);
	if (s->base != NULL && s->grants != NULL && s->devices != NULL &&
	    s->authorizations != NULL && s->key != NULL && s->admin_key != NULL && s->tls != NULL)
		return serve(p);
	(void)fprintf(stderr, "frank-sandbox: cannot start: %s\n", why);
	return EX_OSERR;
}

static void
clean_up(struct program *p)
{
	struct sandbox *s = &p->sandbox;
	size_t i;

	(void)authorize_free(s->authorizations);
	(void)grants_free(s->grants);
	(void)faults_free(s->faults);
	(void)devices_free(s->devices);
	(void)jwt_key_free(s->key);
	(void)secret_free(s->admin_key);
	(void)secret_free(p->options.inbox.login);
	SSL_CTX_free(s->tls);
	if (s->base != NULL)
		event_base_free(s->base);
	for (i = 0; i < s->account_count; i++)
		(void)secret_free(s->accounts[i].password);
	for (i = 0; i < s->client_count; i++) {
		(void)secret_free(s->clients[i].secret);
		EVP_PKEY_free(s->clients[i].key);
	}
	if (s->mail >= 0)
		(void)close(s->mail);
	if (p->dir >= 0)
		(void)close(p->dir);
}

static int
run(struct program *p, int argc, char **argv)
{
	struct sandbox *s = &p->sandbox;
	int status = read_options(&p->options, argc, argv);

	if (status >= 0)
		return status;
	log_open("frank-sandbox", p->options.quiet ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return EX_OSERR;
	s->listen = p->options.listen;
	s->host = p->options.host;
	s->personality = personality_find(p->options.personality);
	if (s->personality == NULL) {
		(void)fprintf(stderr,
		    "frank-sandbox: --personality is standard, microsoft365 or google, not %s\n",
		    p->options.personality);
		return EX_USAGE;
	}
	status = EX_USAGE;
	if (open_dir(p) && read_accounts(p, argc, argv) && prepare_inbox(p))
		status = start(p);
	clean_up(p);
	return status;
}

int
main(int argc, char **argv)
{
	static struct program program = {
	    .dir = -1,
	    .sandbox.mail = -1,
	    .options.personality = "standard",
	    .options.host = "localhost",
	    .options.grants = {.code_life = 60,
		.access_life = 3600,
		.refresh_life = 90 * 86400,
		.access_bytes = 32,
		.device_life = 600,
		.device_interval = 5,
		.rotate = true},
	};
	static const char *const several[] = {
	    "account", "client", "fault", "http-host", "release-allow", NULL};
	char **arguments = NULL;
	const char *wrong = "";
	int count = 0, status, error;

	error = environment_arguments(
	    environ, long_options, several, argc, argv, &arguments, &count, &wrong);
	if (error < 0) {
		/* the name alone: the value may be a secret that should stand in a file */
		(void)fprintf(stderr, "frank-sandbox: in the environment: %.*s%s\n",
		    error == -EINVAL ? (int)strcspn(wrong, "=") : INT_MAX,
		    error == -EINVAL ? wrong : strerror(-error),
		    error == -EINVAL ? " names no option, or its value is not possible" : "");
		return EX_USAGE;
	}
	status = run(&program, count, arguments);
	environment_free(arguments);
	return status;
}
