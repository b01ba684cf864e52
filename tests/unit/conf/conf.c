/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/conf: what a configuration means, and the exact words for what is wrong with
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "broker/conf/load.h"
#include "broker/conf/reference.h"
#include "broker/conf/values.h"

static char folder[] = "/tmp/frank-conf-XXXXXX";

static int
make_folder(void **state)
{
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int
load_in(const char *text, const struct conf_environment *env, struct conf **ret, struct buf *report)
{
	char path[128];

	write_file("frank.conf", text, 0600);
	(void)snprintf(path, sizeof(path), "%s/frank.conf", folder);
	return load_conf(path, env, ret, report);
}

static int
load(const char *text, struct conf **ret, struct buf *report)
{
	static const struct conf_environment env = {.provider_dir = PROVIDER_DIR};

	return load_in(text, &env, ret, report);
}

#define ACCOUNT                                                                                    \
	"account \"a\" {\n provider = \"microsoft365\"\n mailbox = \"b@example.com\"\n client-id " \
	"= \"id\"\n"                                                                               \
	" grant = \"authorization-code\"\n}\n"

static void
test_preset_below_account(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;
	const struct conf_account *a;

	assert_int_equal(
	    load(ACCOUNT "service \"s\" {\n users = {\"root\", \"1234\"}\n accounts = {\"a\"}\n"
			 " senders = {\"b@example.com\"}\n rate = {\"30/min\", \"1000/day\"}\n}\n",
		&c, &report),
	    0);
	assert_string_equal(buf_str(&report), "");
	a = &c->accounts[0];
	assert_string_equal(a->host, "smtp.office365.com");
	assert_int_equal(a->port, 587);
	assert_int_equal(a->tls, CONF_TLS_STARTTLS);
	assert_string_equal(
	    a->token_endpoint, "https://login.microsoftonline.com/common/oauth2/v2.0/token");
	assert_int_equal(a->mechanisms.count, 1); /* LOGIN is the password's */
	assert_string_equal(a->mechanisms.items[0], "XOAUTH2");
	assert_int_equal(a->sessions, 3);
	assert_int_equal(a->rate, 30);
	assert_int_equal(c->services[0].users.count, 2);
	assert_int_equal(c->services[0].users.items[0], 0);
	assert_int_equal(c->services[0].users.items[1], 1234);
	assert_int_equal(c->services[0].rate_minute, 30);
	assert_int_equal(c->services[0].rate_day, 1000);
	assert_int_equal(c->services[0].from, CONF_FROM_REWRITE);
	(void)conf_free(c);
}

/* Limits of one user, and what is local: the host's names, but no domain under which mail is exchanged. */
static void
test_limits_and_local_domains(void **state)
{
	static const struct {
		const char *top, *local;
	} cases[] = {
	    {"", "localhost localhost.localdomain web1.example.org"},
	    {"mail-name = \"web1\"\n", "localhost localhost.localdomain web1.example.org web1"},
	    {"mail-name = \"example.org\"\n", "localhost localhost.localdomain web1.example.org"},
	    {"mail-name = \"example.com\"\nhostname = \"example.com\"\n",
		"localhost localhost.localdomain"},
	    {"postmaster = \"x@web1.example.org\"\n", "localhost localhost.localdomain"},
	    {"local-domains = {\"here\", \"localhost\"}\n", "here localhost"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_BUF struct buf report = BUF_INIT(65536), text = BUF_INIT(65536),
				       local = BUF_INIT(4096);
		struct conf *c;

		(void)buf_printf(&text,
		    "%s%s%slimits {\n messages = \"20/min\"\n in-flight = \"3M\"\n}\n" ACCOUNT,
		    cases[i].top,
		    strstr(cases[i].top, "mail-name") == NULL ? "mail-name = \"web1.example.org\"\n"
							      : "",
		    strstr(cases[i].top, "hostname") == NULL ? "hostname = \"web1.example.org\"\n"
							     : "");
		assert_int_equal(load(buf_str(&text), &c, &report), 0);
		assert_string_equal(buf_str(&report), "");
		assert_int_equal(c->user_connections, 128);
		assert_int_equal(c->user_rate, 20);
		assert_int_equal(c->user_in_flight, 3 << 20);
		assert_null(c->aliases);
		for (size_t k = 0; k < c->local_domains.count; k++)
			(void)buf_printf(
			    &local, "%s%s", k == 0 ? "" : " ", c->local_domains.items[k]);
		assert_string_equal(buf_str(&local), cases[i].local);
		(void)conf_free(c);
	}
}

static void
test_own_keys_over_the_preset(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;

	assert_int_equal(
	    load("provider \"google\" { sessions = 7 }\naccount \"g\" {\n provider = \"google\"\n "
		 "mailbox = \"x@gmail.com\"\n"
		 " grant = \"password\"\n submit = \"[::1]:2525\"\n tls = \"starttls\"\n}\n",
		&c, &report),
	    0);
	assert_string_equal(c->accounts[0].host, "::1");
	assert_int_equal(c->accounts[0].port, 2525);
	assert_int_equal(c->accounts[0].sessions, 7);
	assert_int_equal(c->accounts[0].mechanisms.count, 2);
	assert_string_equal(c->accounts[0].mechanisms.items[0], "PLAIN");
	(void)conf_free(c);
}

static void
test_app_only(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;

	assert_int_equal(
	    load(
		"account \"m\" {\n provider = \"microsoft365\"\n mailbox = \"x@y.z\"\n client-id "
		"= \"c\"\n tenant = \"y.z\"\n grant = \"client-credentials\"\n client-auth = "
		"\"private_key_jwt\"\n}\n"
		"account \"d\" {\n provider = \"microsoft365\"\n mailbox = \"x@y.z\"\n client-id = "
		"\"c\"\n grant = \"device-code\"\n}\n"
		"account \"s\" {\n provider = \"amazon-ses\"\n mailbox = \"x@y.z\"\n region = "
		"\"eu-west-1\"\n grant = \"password\"\n}\n"
		"account \"g\" {\n provider = \"google\"\n mailbox = \"x@y.z\"\n client-id = "
		"\"c\"\n grant = "
		"\"service-account\"\n}\n",
		&c, &report),
	    0);
	assert_string_equal(c->accounts[0].scopes, "https://outlook.office365.com/.default");
	assert_string_equal(c->accounts[0].token_endpoint,
	    "https://login.microsoftonline.com/y.z/oauth2/v2.0/token");
	/* by whom an ID token must be issued; "common" stands for a token's own tenant */
	assert_string_equal(c->accounts[0].issuer, "https://login.microsoftonline.com/y.z/v2.0");
	assert_string_equal(c->accounts[1].issuer, "https://login.microsoftonline.com/common/v2.0");
	assert_int_equal(c->accounts[0].audience.count, 3);
	assert_string_equal(c->accounts[0].mechanisms.items[0], "XOAUTH2");
	assert_non_null(strstr(c->accounts[1].scopes, "SMTP.Send"));
	assert_string_equal(c->accounts[1].device_endpoint,
	    "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode");
	assert_string_equal(c->accounts[2].host, "email-smtp.eu-west-1.amazonaws.com");
	assert_string_equal(c->accounts[3].scopes, "https://mail.google.com/");
	(void)conf_free(c);
}

#define API_ACCOUNT(name, more)                                                                 \
	"account \"" name "\" {\n provider = \"microsoft365\"\n mailbox = \"b@example.com\"\n " \
	"tenant = \"t\"\n client-id = \"id\"\n transport = \"graph\"\n" more "}\n"

/* An API has its own server, scopes and limits, where the account does not say otherwise. */
static void
test_transports(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
	    {"account \"a\" {\n provider = \"fastmail\"\n mailbox = \"x@y.z\"\n client-id = "
	     "\"c\"\n grant = \"authorization-code\"\n transport = \"graph\"\n}\n",
		"provider \"fastmail\" has no Microsoft Graph"},
	    {API_ACCOUNT("a", " grant = \"password\"\n"),
		"transport = \"graph\" wants a token, so grant = \"password\" does not go with it"},
	    {API_ACCOUNT("a", " grant = \"authorization-code\"\n graph-endpoint = "
			      "\"http://graph.example.com\"\n"),
		"wants an https:// address"},
	};
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	const struct conf_account *a;
	struct conf *c;

	assert_int_equal(
	    load(
		API_ACCOUNT("a", " grant = \"authorization-code\"\n") API_ACCOUNT("b",
		    " grant = \"client-credentials\"\n client-auth = "
		    "\"private_key_jwt\"\n rate = \"5/min\"\n sessions = 2\n"
		    " graph-endpoint = \"https://[::1]:8443/v1.0\"\n") "account \"c\" {\n provider "
								       "= \"google\"\n mailbox = "
								       "\"x@y.z\"\n client-id "
								       "= \"c\"\n grant = "
								       "\"authorization-code\"\n "
								       "transport = \"gmail\"\n}\n",
		&c, &report),
	    0);
	a = &c->accounts[0];
	assert_string_equal(a->api_endpoint, "https://graph.microsoft.com/v1.0");
	assert_string_equal(a->host, "graph.microsoft.com");
	assert_int_equal(a->port, 443);
	assert_string_equal(
	    a->scopes, "https://graph.microsoft.com/Mail.Send offline_access openid email profile");
	assert_int_equal(a->sessions, 4);
	assert_int_equal(a->rate, 1000);
	assert_string_equal(a->audience.items[0], "https://graph.microsoft.com");
	a = &c->accounts[1];
	assert_string_equal(a->host, "::1");
	assert_int_equal(a->port, 8443);
	assert_string_equal(a->scopes, "https://[::1]:8443/.default");
	assert_int_equal(a->sessions, 2);
	assert_int_equal(a->rate, 5);
	a = &c->accounts[2];
	assert_string_equal(a->api_endpoint, "https://gmail.googleapis.com");
	assert_string_equal(a->scopes, "https://www.googleapis.com/auth/gmail.send openid email");
	assert_int_equal(a->rate, 60);
	(void)conf_free(c);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		buf_clear(&report);
		assert_int_equal(load(wrong[i].text, &c, &report), -EINVAL);
		if (strstr(buf_str(&report), wrong[i].says) == NULL)
			fail_msg("%s", buf_str(&report));
	}
}

static void
test_servers_named_by_dns(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;

	assert_int_equal(load("account \"a\" {\n submit = \"srv:example.org\"\n mailbox = "
			      "\"x@example.org\"\n grant = \"password\"\n tls-name = "
			      "\"mail.example.net\"\n tls-pin = "
			      "{\"sha256/WAqpzOdAx8HB6kWdSyoCWwPaDsiGk0+XnYvtDFdYP9g=\"}\n}\n",
			     &c, &report),
	    0);
	assert_true(c->accounts[0].srv);
	assert_string_equal(c->accounts[0].host, "example.org");
	assert_int_equal(c->accounts[0].port, 0);
	assert_int_equal(c->accounts[0].tls, CONF_TLS_EITHER);
	assert_string_equal(c->accounts[0].tls_name, "mail.example.net");
	assert_int_equal(c->accounts[0].tls_pins.count, 1);
	assert_string_equal(c->accounts[0].mechanisms.items[0], "SCRAM-SHA-256-PLUS");
	(void)conf_free(c);
}

struct bad {
	const char *text;
	const char *error; /* after "FOLDER/frank.conf:" */
};

static const struct bad bads[] = {
    {"acount \"a\" {\n}\n",
	"1: error: unknown key \"acount\" at the top level; did you mean \"account\"?"},
    {"account \"a\" {\n mailbx = \"x\"\n}\n",
	"2: error: unknown key \"mailbx\" in account block; did you mean \"mailbox\"?"},
    {"account \"a\" {\n mailbox = \"x@y.z\"\n",
	"1: error: the block that opens here is never closed with }"},
    {"# {\naccount \"a\" { /* } */ mailbox = \"}\"\n",
	"2: error: the block that opens here is never closed with }"},
    {"account \"a\" {\n mailbox = \"x\n}\n",
	"2: error: a string that begins here is never closed with \""},
    {"account \"a\" {\n mailbox = \"x@y.z\n grant = \"none\"\n submit = \"h:25\"\n}\n",
	"2: error: a string that begins here is never closed with \""},
    {"account \"a\" {\n mailbox = 'x@y.z\\\n grant = 'none'\n}\n",
	"2: error: a string that begins here is never closed with '"},
    {"hostname = \"a.example.com\"\n/* no end\nlog-level = \"debug\"\n",
	"2: error: a comment that begins here is never closed with */"},
    {"account \"a\" {\n mailbox = {\"x@y.z\"}\n}\n",
	"2: error: \"mailbox\" takes one value, not a list"},
    {"runtime-dir = {\"/run/frank\"}\n", "1: error: \"runtime-dir\" takes one value, not a list"},
    {"account \"a\" {\n mailbox = = \"x@y.z\"\n}\n", "2: error: \"mailbox\": unexpected token '='"},
    {"account \"a\" {\n mailbox = \"${HOME}\"\n}\n",
	"2: error: \"${\" is not replaced from the environment"},
    {"account \"a\" {\n mailbox = \"x@y.z\"\n mailbox = \"z@y.z\"\n}\n",
	"3: error: \"mailbox\" is set twice; line 2 has it too"},
    {"account \"a\" {\n auth = {\"plain\", \"login\"}\n auth = {\"plain\"}\n}\n",
	"3: error: \"auth\" is set twice; line 2 has it too"},
    {"account \"a\" {\n mailbox = \"nobody\"\n}\n",
	"2: error: mailbox = \"nobody\": wants one mail address"},
    {"account \"a\" {\n grant = \"authorisation-code\"\n}\n",
	"2: error: grant = \"authorisation-code\": did you mean \"authorization-code\"?"},
    {"account \"a\" {\n grant = \"device-code\"\n issuer = \"https://x.example\"\n}\n",
	"1: error: account \"a\" needs client-id: the id of the application"},
    {"account \"a\" {\n provider = \"yahoo\"\n mailbox = \"x@y.z\"\n client-id = \"c\"\n grant = "
     "\"device-code\"\n}\n",
	"1: error: account \"a\" needs device-endpoint: grant = \"device-code\" begins there"},
    {"account \"a\" {\n provider = \"microsoft365\"\n mailbox = \"x@y.z\"\n client-id = \"c\"\n "
     "grant = \"client-credentials\"\n}\n",
	"1: error: account \"a\" needs tenant, the organisation's domain or id: grant = "
	"\"client-credentials\" works in one tenant, not in \"common\""},
    {"account \"a\" {\n submit = \"h:25\"\n mailbox = \"x@y.z\"\n client-id = \"c\"\n scopes = "
     "{\"s\"}\n"
     " grant = \"client-credentials\"\n}\n",
	"1: error: account \"a\" needs issuer, or token-endpoint"},
    {"account \"a\" {\n submit = \"h:25\"\n mailbox = \"x@y.z\"\n client-id = \"c\"\n scopes = "
     "{\"s\"}\n"
     " issuer = \"https://x.example\"\n client-auth = \"none\"\n grant = "
     "\"client-credentials\"\n}\n",
	"1: error: account \"a\": grant = \"client-credentials\" needs a client that proves who it "
	"is"},
    {"account \"a\" {\n provider = \"google\"\n mailbox = \"x@y.z\"\n grant = "
     "\"service-account\"\n}\n",
	"1: error: account \"a\" needs client-id: the service account's address, client_email in "
	"its key file"},
    {"account \"a\" {\n provider = \"google\"\n mailbox = \"x@y.z\"\n client-id = \"c\"\n grant = "
     "\"service-account\"\n"
     " client-secret = \"credential:x\"\n}\n",
	"6: error: client-secret: a service account has a key instead"},
    {"account \"a\" {\n provider = \"google\"\n mailbox = \"x@y.z\"\n client-id = \"c\"\n grant = "
     "\"authorization-code\"\n"
     " client-key = \"credential:x\"\n}\n",
	"6: error: client-key: it is used with client-auth = \"private_key_jwt\" or grant = "
	"\"service-account\" only"},
    {"account \"a\" {\n provider = \"amazon-ses\"\n mailbox = \"x@y.z\"\n grant = "
     "\"password\"\n}\n",
	"1: error: account \"a\" needs region: it is part of the server's name"},
    {"account \"a\" {\n submit = \"h:25\"\n mailbox = \"x@y.z\"\n grant = \"password\"\n "
     "password-derivation = \"aws-ses\"\n}\n",
	"1: error: account \"a\" needs region: the password that Amazon SES wants is made from"},
    {"account \"a\" {\n client-auth = \"private-key-jwt\"\n}\n",
	"2: error: client-auth = \"private-key-jwt\": did you mean \"private_key_jwt\"?"},
    {"account \"a\" {\n client-key-algorithm = \"HS256\"\n}\n",
	"2: error: client-key-algorithm = \"HS256\": "},
    {"account \"a\" {\n redirect-port = \"70000\"\n}\n",
	"2: error: redirect-port = \"70000\": wants a port"},
    {"account \"a\" {\n region = \"eu/west\"\n}\n",
	"2: error: region = \"eu/west\": wants a region"},
    {"account \"a\" {\n domains = {\"x.example\"}\n}\n",
	"2: error: unknown key \"domains\" in account block"},
    {"account \"a\" {\n submit = \"host\"\n}\n", "2: error: submit = \"host\": wants HOST:PORT"},
    {"account \"a\" {\n submit = \"::1:25\"\n}\n",
	"2: error: submit = \"::1:25\": wants HOST:PORT"},
    {"account \"a\" {\n submit = \"srv:example.org:465\"\n}\n",
	"2: error: submit = \"srv:example.org:465\": wants a domain"},
    {"account \"a\" {\n submit = \"srv:example.org\"\n grant = \"none\"\n tls = \"none\"\n}\n",
	"1: error: account \"a\": submit = \"srv:...\" names servers with TLS only"},
    {"account \"a\" {\n tls-pin = {\"sha256/AAAA\"}\n}\n",
	"2: error: tls-pin = \"sha256/AAAA\": wants \"sha256/\" and the base64"},
    {"account \"a\" {\n submit = \"h:25\"\n grant = \"none\"\n tls-key = \"/k\"\n}\n",
	"1: error: account \"a\": tls-key goes with tls-certificate"},
    {"account \"a\" {\n tls = \"ssl\"\n}\n",
	"2: error: tls = \"ssl\": allowed are starttls, implicit, none"},
    {"account \"a\" {\n auth = {\"xoauth\"}\n}\n",
	"2: error: auth = \"xoauth\": allowed are xoauth2, oauthbearer, scram-sha-256-plus, "
	"scram-sha-256, plain, login"},
    {"account \"a\" {\n provider = \"microsoft\"\n}\n",
	"2: error: provider = \"microsoft\": no such provider; did you mean \"microsoft365\"?"},
    {"account \"a\" {\n provider = \"gmail\"\n}\n",
	"2: error: provider = \"gmail\": no such provider; did you mean \"google\"?"},
    {"account \"a\" {\n provider = \"GSuite\"\n}\n",
	"2: error: provider = \"GSuite\": no such provider; did you mean \"google\"?"},
    {"account \"a\" {\n provider = \"outlook.com\"\n}\n",
	"2: error: provider = \"outlook.com\": no such provider; did you mean \"outlook\"?"},
    {"account \"a\" {\n provider = \"office365\"\n}\n",
	"2: error: provider = \"office365\": no such provider; did you mean \"microsoft365\"?"},
    {"account \"a\" {\n token-endpoint = \"http://x.example/\"\n}\n",
	"2: error: token-endpoint = \"http://x.example/\": wants an https:// address"},
    {"account \"../a\" {\n}\n", "1: error: account \"../a\": wants a name"},
    {ACCOUNT ACCOUNT, "7: error: account \"a\" is there twice; "},
    {"account \"a\" {\n submit = \"h:25\"\n}\n", "1: error: account \"a\" needs grant"},
    {"account \"a\" {\n submit = \"h:25\"\n mailbox = \"x@y.z\"\n grant = \"password\"\n tls = "
     "\"none\"\n}\n",
	"1: error: account \"a\": tls = \"none\" would send its credential in clear"},
    {"account \"a\" {\n submit = \"h:25\"\n mailbox = \"x@y.z\"\n grant = \"password\"\n auth = "
     "{\"xoauth2\"}\n}\n",
	"5: error: auth: \"xoauth2\" does not go with grant = \"password\"; a password is never "
	"sent as a token"},
    {ACCOUNT "service \"s\" {\n users = {\"*\"}\n accounts = {\"aa\"}\n}\n",
	"9: error: accounts: no account is named \"aa\"; did you mean \"a\"?"},
    {ACCOUNT "service \"s\" {\n users = {\"no-such-user\"}\n accounts = {\"a\"}\n}\n",
	"8: error: users = \"no-such-user\": this machine has no such user"},
    {"service \"s\" {\n mode = \"capture\"\n}\n", "1: error: service \"s\" needs users or groups"},
    {"service \"s\" {\n mode = \"capture\"\n socket-mode = \"0666\"\n}\n",
	"1: error: service \"s\": socket-mode and socket-group go with socket = true"},
    {"service \"s\" {\n mode = \"capture\"\n socket = true\n socket-mode = \"0777\"\n}\n",
	"4: error: socket-mode = \"0777\": wants who may connect"},
    {"service \"s\" {\n mode = \"capture\"\n socket = true\n socket-mode = \"066\"\n}\n",
	"4: error: socket-mode = \"066\": wants"},
    {"service \"s\" {\n mode = \"capture\"\n socket = true\n socket-group = \"no-such\"\n}\n",
	"4: error: socket-group = \"no-such\": this machine has no such group"},
    {"listener \"x\" {\n}\n", "1: error: listener \"x\" needs address"},
    {"listener \"x\" {\n address = \"127.0.0.1\"\n}\n",
	"2: error: address = \"127.0.0.1\": wants an IP address and a port"},
    {"listener \"x\" {\n address = \"[::]:25\"\n}\n",
	"1: error: listener \"x\": [::]:25 is no loopback address"},
    {"listener \"x\" {\n address = \"[::ffff:127.0.0.1]:25\"\n}\n",
	"2: error: address = \"[::ffff:127.0.0.1]:25\": wants"},
    {"listener \"x\" {\n address = {\"127.0.0.1:25\", \"127.0.0.1:025\"}\n}\n",
	"1: error: address: 127.0.0.1:25 is listened at twice"},
    {"listener \"x\" {\n address = \"0.0.0.0:25\"\n remote = true\n}\n",
	"1: error: listener \"x\": remote = true wants TLS"},
    {"listener \"x\" {\n address = \"127.0.0.1:25\"\n remote = true\n certificate = \"/x\"\n auth "
     "= "
     "\"optional\"\n}\n",
	"1: error: listener \"x\": remote = true wants TLS (certificate and key) and auth"},
    {"listener \"x\" {\n address = \"127.0.0.1:25\"\n tls = \"none\"\n certificate = \"/x\"\n}\n",
	"1: error: listener \"x\": tls = \"none\" uses no certificate"},
    {"listener \"x\" {\n address = \"127.0.0.1:25\"\n key = \"hunter2\"\n}\n",
	"3: error: key: a secret never stands in the configuration"},
    {"listener \"x\" {\n address = \"127.0.0.1:25\"\n}\nlistener \"x\" {\n address = "
     "\"127.0.0.1:26\"\n}\n",
	"4: error: listener \"x\" is there twice"},
    {"spool {\n lifetime = \"5 days\"\n}\n", "2: error: lifetime = \"5 days\": wants a duration"},
    {"spool {\n}\nspool {\n}\n", "3: error: spool is there twice; "},
    {"limits {\n}\nlimits {\n}\n", "3: error: limits is there twice; "},
    {"limits {\n messages = \"20/day\"\n}\n",
	"2: error: messages = \"20/day\": wants messages a minute"},
    {"aliases = \"aliases\"\n",
	"1: error: aliases = \"aliases\": wants the absolute path of a file, or \"none\""},
    {"local-domains = {\"a b\"}\n", "1: error: local-domains = \"a b\": wants domains"},
    {"state-dir = \"relative\"\n", "1: error: state-dir = \"relative\": wants an absolute path"},
    {"include = {\"/nonexistent/frank.conf\"}\n",
	"1: error: include: \"/nonexistent/frank.conf\" does not exist"},
};

static void
test_errors(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
		CLEANUP_BUF struct buf report = BUF_INIT(65536);
		char wanted[512];
		struct conf *c;

		if (load(bads[i].text, &c, &report) != -EINVAL)
			fail_msg("accepted: %s", bads[i].text);
		assert_null(c);
		(void)snprintf(wanted, sizeof(wanted), "%s/frank.conf:%s", folder, bads[i].error);
		if (strstr(buf_str(&report), wanted) == NULL)
			fail_msg("wanted: %s\ngot: %s", wanted, buf_str(&report));
	}
}

static void
test_entrances(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;

	assert_int_equal(
	    load("service \"own\" {\n mode = \"capture\"\n socket = true\n socket-mode = \"660\"\n "
		 "socket-group "
		 "= \"0\"\n}\n"
		 "service \"login\" {\n mode = \"capture\"\n password = true\n}\n"
		 "listener \"local\" {\n address = {\"127.0.0.1:2525\", \"[0:0::1]:02525\"}\n}\n"
		 "listener \"tls\" {\n address = \"192.0.2.1:587\"\n remote = true\n certificate = "
		 "\"/c.pem\"\n}\n"
		 "listener \"both\" {\n address = \"127.1.2.3:465\"\n tls = \"implicit\"\n "
		 "certificate = \"/c.pem\"\n "
		 "key = \"credential:key\"\n auth = \"required\"\n}\n",
		&c, &report),
	    0);
	assert_string_equal(buf_str(&report), "");
	assert_true(c->services[0].socket && c->services[0].has_socket_group);
	assert_int_equal(c->services[0].socket_mode, 0660);
	assert_true(c->services[1].password && !c->services[1].socket);
	assert_int_equal(c->listener_count, 3);
	assert_int_equal(c->listeners[0].addresses.count, 2);
	assert_string_equal(c->listeners[0].addresses.items[1], "[::1]:2525");
	assert_int_equal(c->listeners[0].tls, CONF_TLS_NONE);
	assert_int_equal(c->listeners[0].auth, CONF_LISTENER_AUTH_OPTIONAL);
	assert_int_equal(c->listeners[1].tls, CONF_TLS_STARTTLS);
	assert_int_equal(c->listeners[1].auth, CONF_LISTENER_AUTH_REQUIRED);
	assert_string_equal(c->listeners[1].key.text, "file:/c.pem");
	assert_string_equal(c->listeners[2].key.text, "credential:key");
	assert_int_equal(c->listeners[2].tls, CONF_TLS_IMPLICIT);
	(void)conf_free(c);
}

/* At a start a listener whose certificate is gone is left out, and the others are there, however many. */
static void
test_listeners_out_of_force(void **state)
{
	enum { OTHERS = 40 };
	static const struct conf_environment strict = {.provider_dir = PROVIDER_DIR,
						 .check_files = true},
					     lenient = {.provider_dir = PROVIDER_DIR,
						 .check_files = true,
						 .lenient = true};
	CLEANUP_BUF struct buf text = BUF_INIT(65536), report = BUF_INIT(65536);
	struct conf *c;

	(void)buf_printf(&text, "listener \"gone\" {\n address = \"127.0.0.1:25\"\n certificate = "
				"\"/nosuch.pem\"\n}\n");
	for (int i = 0; i < OTHERS; i++)
		(void)buf_printf(
		    &text, "listener \"l%d\" {\n address = \"127.0.0.1:%d\"\n}\n", i, 2000 + i);
	assert_int_equal(load_in(buf_str(&text), &strict, &c, &report), -EINVAL);
	assert_int_equal(load_in(buf_str(&text), &lenient, &c, &report), 0);
	assert_int_equal(c->listener_count, OTHERS);
	assert_true(c->lapses.count > 0);
	(void)conf_free(c);
}

/* At a start a wrong value puts its block out of force, and no other; --check and a reload refuse the whole. */
static void
test_wrong_values_stay_in_their_block(void **state)
{
	static const struct conf_environment lenient = {
	    .provider_dir = PROVIDER_DIR, .lenient = true};
	static const char text[] =
	    ACCOUNT "account \"wrong\" {\n submit = \"h\"\n grant = \"pasword\"\n mailbox = "
		    "\"w@example.com\"\n}\n"
		    "service \"unknown\" {\n users = {\"root\"}\n accounts = {\"a\", \"b\"}\n "
		    "token = true\n}\n"
		    "service \"pattern\" {\n users = {\"root\"}\n accounts = {\"a\"}\n senders = "
		    "{\"x\"}\n}\n"
		    "service \"good\" {\n users = {\"*\"}\n accounts = {\"a\", \"wrong\"}\n}\n"
		    "listener \"wrong\" {\n address = \"0.0.0.0:25\"\n}\n"
		    "listener \"good\" {\n address = \"127.0.0.1:2525\"\n}\n"
		    "webhook \"wrong\" {\n url = \"ftp://x\"\n}\n"
		    "webhook \"good\" {\n url = \"https://hooks.example.com/x\"\n}\n"
		    "notify {\n mail-to = {\"nobody\"}\n mail-accounts = {\"a\"}\n}\n";
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;

	assert_int_equal(load(text, &c, &report), -EINVAL);
	assert_int_equal(load_in(text, &lenient, &c, &report), 0);
	assert_int_equal(c->account_count, 2);
	assert_null(c->accounts[0].lapse);
	assert_non_null(strstr(c->accounts[1].lapse, ":8: error: submit = \"h\": wants HOST:PORT"));
	/* in their places, so that no later one takes their callers; without accounts all are refused */
	assert_int_equal(c->service_count, 3);
	assert_int_equal(c->services[0].accounts.count + c->services[1].accounts.count, 0);
	assert_false(c->services[0].token);
	assert_int_equal(c->services[2].accounts.count, 2);
	assert_int_equal(c->listener_count, 1);
	assert_string_equal(c->listeners[0].name, "good");
	assert_int_equal(c->webhook_count, 1);
	assert_string_equal(c->webhooks[0].name, "good");
	assert_int_equal(c->notify.mail_to.count, 0);
	assert_true(c->lapses.count >= 7);
	(void)conf_free(c);
	/* the addresses of a listener that is left out are free for the next */
	assert_int_equal(load_in(ACCOUNT "listener \"x\" {\n address = \"127.0.0.1:1\"\n}\n"
					 "listener \"y\" {\n address = {\"127.0.0.1:2\", "
					 "\"127.0.0.1:1\"}\n}\n"
					 "listener \"z\" {\n address = \"127.0.0.1:2\"\n}\n",
			     &lenient, &c, &report),
	    0);
	assert_int_equal(c->listener_count, 2);
	assert_string_equal(c->listeners[1].name, "z");
	(void)conf_free(c);
	/* the form of the files, names given twice and what belongs to no block stop a start too */
	assert_int_equal(load_in(ACCOUNT ACCOUNT, &lenient, &c, &report), -EINVAL);
	assert_int_equal(
	    load_in("account \"a\" {\n mailbx = \"x\"\n}\n", &lenient, &c, &report), -EINVAL);
	assert_int_equal(
	    load_in("spool {\n lifetime = \"x\"\n}\n", &lenient, &c, &report), -EINVAL);
}

/* Whom the command runs as is looked up before anything has to be told. */
static void
test_command_user(void **state)
{
	static const struct {
		const char *user, *error;
	} rows[] = {
	    {"root", "may do everything"}, {"no-such-user", "there is no user"}, {"nobody", NULL}};
	const struct conf_environment env = {.provider_dir = PROVIDER_DIR, .check_files = true};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf report = BUF_INIT(65536);
		struct conf *c = NULL;
		char text[256];
		int r;

		(void)snprintf(text, sizeof(text),
		    "\nnotify {\n command = {\"/bin/sh\"}\n command-user = \"%s\"\n}\n",
		    rows[i].user);
		r = load_in(text, &env, &c, &report);
		assert_int_equal(r, rows[i].error == NULL ? 0 : -EINVAL);
		if (rows[i].error != NULL) {
			assert_non_null(strstr(buf_str(&report), "frank.conf:2: "));
			assert_non_null(strstr(buf_str(&report), rows[i].error));
		}
		(void)conf_free(c);
	}
}

static void
test_a_secret_is_never_shown(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;

	assert_int_equal(
	    load("account \"a\" {\n client-secret = \"hunter2\"\n}\n", &c, &report), -EINVAL);
	assert_non_null(strstr(buf_str(&report),
	    ":2: error: client-secret: a secret never stands in the configuration"));
	assert_null(strstr(buf_str(&report), "hunter2"));
}

static void
test_several_errors_in_one_run(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	struct conf *c;
	unsigned lines = 0;

	assert_int_equal(load("account \"a\" {\n tls = \"x\"\n submit = \"y\"\n mailbox = \"z\"\n "
			      "grant = \"w\"\n}\n",
			     &c, &report),
	    -EINVAL);
	for (const char *p = buf_str(&report); (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_true(lines >= 4);
}

static void
test_includes_and_duplicates_across_files(void **state)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	char text[256];
	struct conf *c;

	write_file("10-a.inc", ACCOUNT, 0600);
	write_file("20-b.inc", "service \"s\" {\n users = {\"*\"}\n accounts = {\"a\"}\n}\n", 0600);
	(void)snprintf(text, sizeof(text), "include = {\"*.inc\"}\n");
	assert_int_equal(load(text, &c, &report), 0);
	assert_int_equal(c->account_count, 1);
	assert_int_equal(c->service_count, 1);
	assert_true(c->services[0].any_user);
	assert_int_equal(c->files.count, 3);
	(void)conf_free(c);
	(void)snprintf(text, sizeof(text), "include = {\"*.inc\"}\n%s", ACCOUNT);
	assert_int_equal(load(text, &c, &report), -EINVAL);
	assert_non_null(
	    strstr(buf_str(&report), "10-a.inc:1: error: account \"a\" is there twice; "));
}

static void
test_references(void **state)
{
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	char text[128];
	struct conf_reference ref = {.text = text};
	struct secret *s;

	write_file("secret", "hunter2\n", 0600);
	(void)snprintf(text, sizeof(text), "file:%s/secret", folder);
	s = reference_read(&ref, &why);
	assert_non_null(s);
	assert_memory_equal(secret_bytes(s), "hunter2", 8);
	assert_int_equal(secret_len(s), 7);
	s = secret_free(s);
	(void)snprintf(text, sizeof(text), "file:%s/missing", folder);
	assert_null(reference_read(&ref, &why));
	assert_non_null(strstr(buf_str(&why), "No such file"));
	write_file("command", "#!/bin/sh\necho from-command\n", 0700);
	(void)snprintf(text, sizeof(text), "command:%s/command", folder);
	s = reference_read(&ref, &why);
	assert_non_null(s);
	assert_memory_equal(secret_bytes(s), "from-command", 12);
	s = secret_free(s);
	write_file("fails", "#!/bin/sh\nexit 3\n", 0700);
	(void)snprintf(text, sizeof(text), "command:%s/fails", folder);
	assert_null(reference_read(&ref, &why));
	assert_non_null(strstr(buf_str(&why), "exit status 3"));
	(void)snprintf(text, sizeof(text), "credential:none");
	assert_null(reference_read(&ref, &why));
}

static void
test_values(void **state)
{
	unsigned n;
	uint64_t size;
	bool day;
	const char *host;
	size_t len;

	assert_true(value_duration("5d", &n) && n == 432000);
	assert_true(value_duration("90", &n) && n == 90);
	assert_false(value_duration("5x", &n));
	assert_false(value_duration("99999999999d", &n));
	assert_true(value_size("50M", &size) && size == 52428800);
	assert_false(value_size("-1", &size));
	assert_true(value_rate("30/min", &n, &day) && n == 30 && !day);
	assert_true(value_rate("1000/day", &n, &day) && day);
	assert_false(value_rate("0/min", &n, &day));
	assert_true(
	    value_endpoint("smtp.example.com:587", &host, &len, &n) && n == 587 && len == 16);
	assert_false(value_endpoint("smtp.example.com:70000", &host, &len, &n));
	assert_false(value_endpoint(":25", &host, &len, &n));
	assert_true(value_url("https://login.example.com/{tenant}/token"));
	assert_true(value_url("http://127.0.0.1:8080/x"));
	assert_true(value_url("http://[::1]:8080/x"));
	assert_false(value_url("http://login.example.com/"));
	assert_false(value_url("https://user@login.example.com/"));
	assert_false(value_url("ftp://x/"));
}

/* Patterns are compared with addresses of envelopes, so they are spelled like these. */
static void
test_address_patterns(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: none */
	} rows[] = {{"*", "*"}, {"*@example.com", "*@example.com"}, {"a@b", "a@b"},
	    {"a..b@c", "\"a..b\"@c"}, {"*@", NULL}, {"*x", NULL}, {"x", NULL}, {"", NULL}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1000);
		int r = value_address_pattern(rows[i].in, &out);

		assert_int_equal(r, rows[i].out == NULL ? -EBADMSG : 0);
		assert_string_equal(buf_str(&out), rows[i].out == NULL ? "" : rows[i].out);
	}
}

/* Ten thousand accounts take no more than twenty times what a thousand take: nothing is quadratic.
 */
static double
seconds_for(unsigned accounts)
{
	CLEANUP_BUF struct buf report = BUF_INIT(65536);
	CLEANUP_BUF struct buf text = BUF_INIT(16 * 1024 * 1024);
	struct timespec start, end;
	struct conf *c;

	for (unsigned i = 0; i < accounts; i++)
		assert_int_equal(buf_printf(&text,
				     "account \"a%u\" {\n provider = \"google\"\n mailbox = "
				     "\"a%u@example.com\"\n client-id = \"id\"\n"
				     " grant = \"authorization-code\"\n}\n",
				     i, i),
		    0);
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(load(buf_str(&text), &c, &report), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(c->account_count, accounts);
	(void)conf_free(c);
	return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

static void
test_many_accounts_are_not_quadratic(void **state)
{
	double few = seconds_for(1000), many = seconds_for(10000);

	print_message("1,000 accounts: %.3f s; 10,000 accounts: %.3f s\n", few, many);
	assert_true(many < few * 20 + 0.05);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_preset_below_account),
	    cmocka_unit_test(test_own_keys_over_the_preset),
	    cmocka_unit_test(test_app_only),
	    cmocka_unit_test(test_transports),
	    cmocka_unit_test(test_servers_named_by_dns),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_entrances),
	    cmocka_unit_test(test_listeners_out_of_force),
	    cmocka_unit_test(test_wrong_values_stay_in_their_block),
	    cmocka_unit_test(test_command_user),
	    cmocka_unit_test(test_a_secret_is_never_shown),
	    cmocka_unit_test(test_several_errors_in_one_run),
	    cmocka_unit_test(test_includes_and_duplicates_across_files),
	    cmocka_unit_test(test_limits_and_local_domains),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_address_patterns),
	    cmocka_unit_test(test_many_accounts_are_not_quadratic),
	};

	return cmocka_run_group_tests_name("conf", tests, make_folder, remove_folder);
}
