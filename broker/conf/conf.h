/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conf.h: the configuration, read whole and checked, as main hands it to the roles.
 *
 * Files are parsed by libconfuse; what it lacks stands here: several files into one result,
 * duplicates found by hash, a section left open, "did you mean", and no `${NAME}` in a string.
 * Errors are collected, each with file and line, so that one run shows them all. Nothing here
 * touches a socket or starts anything but `command:` references.
 */
#ifndef FRANK_BROKER_CONF_CONF_H
#define FRANK_BROKER_CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/secret.h"

/* Where a value was written, for errors. */
struct conf_place {
	const char *file; /* owned by the configuration */
	unsigned line;
};

struct conf_strings {
	char **items; /* owned; NULL where count is 0 */
	size_t count;
};

/* A secret by reference: "file:PATH", "credential:NAME" or "command:PATH". Never a literal. */
struct conf_reference {
	char *text; /* as written, or NULL for none */
	struct conf_place place;
};

enum conf_grant {
	CONF_GRANT_AUTHORIZATION_CODE,
	CONF_GRANT_DEVICE_CODE,
	CONF_GRANT_CLIENT_CREDENTIALS,
	CONF_GRANT_SERVICE_ACCOUNT,
	CONF_GRANT_PASSWORD,
	CONF_GRANT_NONE,
};

struct conf_account {
	char *name;
	struct conf_place place;
	char *lapse;    /* why it is out of force: its mail waits; NULL: it is not */
	char *provider; /* the preset's name */
	char *mailbox;
	char *auth_user; /* NULL: the mailbox */
	enum conf_grant grant;
	char *client_id;
	struct conf_reference client_secret;
	char *client_auth; /* post | basic | private_key_jwt | none */
	struct conf_reference client_key, client_certificate; /* PEM */
	char *client_key_id;                                  /* "kid" of assertions */
	char *client_key_algorithm; /* PS256 | RS256 | ES256; NULL: what suits the key */
	char *issuer, *authorization_endpoint, *token_endpoint, *device_endpoint,
	    *revocation_endpoint, *userinfo_endpoint;
	char *tenant;    /* fills "{tenant}" in the endpoints; NULL: common */
	char *transport; /* smtp | graph | gmail */
	char *graph_endpoint, *gmail_endpoint, *graph_scopes, *gmail_scopes;
	char *api_endpoint;           /* that of the transport; NULL for smtp */
	char *scopes;                 /* separated by one space */
	char *app_scopes;             /* asked for without a person, where scopes is a preset's */
	struct conf_strings audience; /* what an access token that can be read may be meant for */
	struct conf_strings extra_parameters; /* "key=value" */
	char *host;                           /* of `submit` */
	unsigned port;
	bool srv;  /* `host` is a domain, of which DNS says who serves it; no port */
	char *tls; /* starttls | implicit | none; with `srv` also either */
	struct conf_strings mechanisms;  /* lower or upper case as written; checked */
	char *ca_file;                   /* NULL: the system's */
	char *tls_name;                  /* for the certificate; NULL: the host's */
	struct conf_strings tls_pins;    /* "sha256/BASE64" */
	char *tls_certificate, *tls_key; /* the client's own; the key may stand in the first */
	struct conf_reference password;
	char *password_derivation; /* none | aws-ses */
	char *region;              /* fills "{region}" in submit and the endpoints */
	unsigned sessions;
	unsigned rate; /* messages a minute; 0: no limit */
	unsigned recipients_max;
	unsigned min_valid; /* seconds that a token must still live when a session begins */
	char *redirect_scheme, *redirect_host, *redirect_path;
	unsigned redirect_port; /* 0: any */
	int64_t client_expires; /* seconds since 1970: when the client secret ends; 0: not known */
	unsigned
	    consent_lifetime; /* seconds from a sign-in until the provider wants another; 0: for good */
	bool verify_identity;
	bool allow_plaintext_secret;
};

struct conf_service {
	char *name;
	struct conf_place place;
	bool any_user;
	uid_t *users;
	size_t user_count;
	gid_t *groups;
	size_t group_count;
	bool socket;          /* has one of its own: RUNTIME_DIR/services/NAME/submit.sock */
	unsigned socket_mode; /* 0: not given */
	bool has_socket_group;
	gid_t socket_group;
	bool password; /* callers of a listener may name it with its password */
	struct conf_strings accounts, senders, recipients;
	char *from_policy;              /* rewrite | refuse | keep */
	char *mode;                     /* deliver | capture */
	unsigned rate_minute, rate_day; /* 0: no limit */
	uint64_t size_max;              /* octets; 0: the spool's */
	uint64_t queue_max;             /* octets of the disk for its mail; 0: none is set */
	unsigned recipients_max;        /* 0: no limit of its own */
	bool token;
};

/* An SMTP entrance for programs that speak nothing else. */
struct conf_listener {
	char *name;
	struct conf_place place;
	struct conf_strings addresses; /* "127.0.0.1:2525", "[::1]:2525" */
	char *tls;                     /* none | starttls | implicit */
	struct conf_reference certificate, key;
	char *auth; /* optional: the owner of a loopback connection is known; required */
	bool remote;
	char *line_ends; /* any | crlf; NULL: any for callers on loopback, crlf for others */
};

/* Where events go by HTTPS: a block of its own. */
struct conf_webhook {
	char *name;
	struct conf_place place;
	char *url;                        /* given literally, or NULL */
	struct conf_reference url_secret; /* its address by reference: many have a secret in it */
	struct conf_reference secret;     /* signs */
	struct conf_reference header;     /* "Name: value" */
	char *ca_file;
};

/* How people are told. */
struct conf_notify {
	struct conf_place place;
	struct conf_strings command; /* argv, run without a shell; empty: none */
	char *command_user;          /* where frankd runs as root */
	struct conf_strings mail_to, mail_accounts;
	struct conf_strings events; /* kinds; empty: all */
	unsigned after, repeat;     /* seconds */
};

struct conf {
	char *runtime_dir, *state_dir, *hostname, *mail_name, *postmaster, *admin_group, *log_level;
	struct conf_strings include; /* patterns */
	char *aliases;               /* the file; NULL: /etc/aliases where it exists; "none" */
	struct conf_strings local_domains; /* whose users are this host's; lower or upper case */
	/* limits of one user */
	unsigned user_connections, user_rate; /* at once; messages a minute */
	uint64_t user_in_flight;              /* octets of messages being handed in */
	/* spool */
	uint64_t size_max;                               /* octets */
	uint64_t min_free;                               /* octets; 0: by the size of the disk */
	unsigned lifetime, warn_after, keep_transcripts; /* seconds */
	uint64_t transcripts_size;                       /* octets of all of them */
	char *in_doubt;                                  /* retry | hold */
	struct conf_notify notify;
	struct conf_webhook *webhooks;
	size_t webhook_count;
	/* tokens */
	struct conf_reference
	    master_key; /* "file:PATH", "credential:NAME", ..., "keyring", "passphrase" */
	struct conf_account *accounts;
	size_t account_count;
	struct conf_service *services;
	size_t service_count;
	struct conf_listener *listeners;
	size_t listener_count;
	struct conf_strings files; /* every file that was read */
	struct conf_strings
	    lapses; /* what is out of force (conf_environment.lenient), a line each */
};

/* What conf_load is told about its surroundings. */
struct conf_environment {
	const char *provider_dir; /* presets: *.conf */
	bool check_files;         /* also open what the configuration names (ca-file, secrets) */
	bool
	    lenient; /* at a start: a block that names what is not there any more is out of force */
	/* Where the configuration says nothing; NULL: what the build says. */
	const char *runtime_dir, *state_dir;
};

/*
 * Reads `path` and everything it includes. Returns 0 with *ret (freed by conf_free); -EINVAL where
 * there were errors: *ret is NULL. `report` gets one line each, errors first seen first, LF
 * between: "file:line: error: what; what is allowed" or "file:line: warning: ...". Values of
 * secrets are never in it. -ENOMEM.
 */
int conf_load(
    const char *path, const struct conf_environment *env, struct conf **ret, struct buf *report);
struct conf *conf_free(struct conf *c);
/* Something is out of force, which was found after the loading (conf_environment.lenient). 0 or -ENOMEM. */
int conf_note_lapse(struct conf *c, const char *what, const char *why);

/*
 * Reads what a reference names: a file (trailing newline removed), a credential of systemd
 * ($CREDENTIALS_DIRECTORY), or the standard output of a command (no shell, no arguments, 10 s, 16
 * KiB). Blocks; for main only. NULL on failure with a sentence in `why`, which never has the value
 * in it.
 */
struct secret *conf_reference_read(const struct conf_reference *r, struct buf *why);

/* Its two halves, for a caller that must not wait: a command's output comes by *ret_fd (the
 * caller's), and what its end says is told with how reading went (`r`: 0, -ETIMEDOUT, -ENOBUFS for
 * more than CONF_REFERENCE_MAX, ...) and the status of waitpid. Errors as above. */
enum { CONF_REFERENCE_MAX = 16 * 1024, CONF_COMMAND_SECONDS = 10 };
bool conf_reference_is_command(const struct conf_reference *r);
int conf_command_start(
    const struct conf_reference *r, pid_t *ret_pid, int *ret_fd, struct buf *why);
struct secret *conf_command_end(
    const struct conf_reference *ref, int r, int status, struct buf *out, struct buf *why);
/* What events may be called, NULL at the end. */
extern const char *const conf_event_kinds[];

/*
 * What somebody who adds an account needs to know: the files that `include` of `path` names, the
 * accounts and services there are, and the providers, presets and own ones; a line each, fields
 * between tabs:
 *
 *     configuration TAB path                 `path` itself, which need not be there
 *     include TAB pattern, absolute
 *     service TAB name
 *     service TAB name TAB users TAB value   in file order
 *     account TAB name
 *     provider TAB name TAB key TAB value   key: title, also-called, domains, mx, grants, note, or
 *                                           "needs" with tenant, region, submit or
 *                                           client-secret
 *
 * Faults of the files go to `report`; what could be read is told all the same. 0 or -ENOMEM.
 */
int conf_describe(
    const char *path, const struct conf_environment *env, struct buf *ret, struct buf *report);

const char *conf_grant_name(enum conf_grant g);

/* The shortest allowed word that begins with `word`, else the nearest to it (an edit distance of at
 * most a third of its length, and 2), or NULL. `allowed` ends in NULL. */
const char *conf_did_you_mean(const char *word, const char *const *allowed);

#endif
