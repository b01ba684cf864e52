/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conf.h: the configuration, read whole and checked (by main), and the parts of it that each role is sent (wire.h). The
 * structs are made from keys.def, which says what each member means.
 *
 * A role has the same structs as main; members that it is not sent are zero there.
 */
#ifndef FRANK_BROKER_CONF_CONF_H
#define FRANK_BROKER_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/grant.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/conf/keys.def"

/* Where a value was written, for errors. */
struct conf_place {
	const char *file; /* owned by the configuration */
	unsigned line;
};

struct conf_strings {
	char **items; /* owned; NULL where count is 0 */
	size_t count;
};

/* Users or groups. */
struct conf_ids {
	uint32_t *items;
	size_t count;
};

/* A secret by reference: "file:PATH", "credential:NAME" or "command:PATH". Never a literal. */
struct conf_reference {
	char *text; /* as written, or NULL for none; roles are not sent it */
	struct conf_place place;
	struct secret *secret; /* what was read there (owned); NULL: not yet, or none */
};

/* A file that roles are given open. */
struct conf_file {
	char *path;      /* in main; roles are not sent it */
	struct buf text; /* in a role: what it holds */
	bool unreadable; /* in a role: it is configured, and could not be read */
};

/* The words that a key accepts, in the same order as the lists in conf.c. Where the first value has no word, the
 * key is not set and has no fixed default. */
enum conf_tls { CONF_TLS_EITHER, CONF_TLS_STARTTLS, CONF_TLS_IMPLICIT, CONF_TLS_NONE };
enum conf_transport { CONF_TRANSPORT_SMTP, CONF_TRANSPORT_GRAPH, CONF_TRANSPORT_GMAIL };
enum conf_client_auth {
	CONF_CLIENT_AUTH_UNSET,
	CONF_CLIENT_AUTH_POST,
	CONF_CLIENT_AUTH_BASIC,
	CONF_CLIENT_AUTH_PRIVATE_KEY_JWT,
	CONF_CLIENT_AUTH_NONE,
};
enum conf_key_algorithm {
	CONF_KEY_ALGORITHM_UNSET,
	CONF_KEY_ALGORITHM_PS256,
	CONF_KEY_ALGORITHM_RS256,
	CONF_KEY_ALGORITHM_ES256,
};
enum conf_password_derivation { CONF_PASSWORD_DERIVATION_NONE, CONF_PASSWORD_DERIVATION_AWS_SES };
enum conf_redirect_scheme { CONF_REDIRECT_SCHEME_HTTP, CONF_REDIRECT_SCHEME_HTTPS };
enum conf_from { CONF_FROM_REWRITE, CONF_FROM_REFUSE, CONF_FROM_KEEP };
enum conf_mode { CONF_MODE_DELIVER, CONF_MODE_CAPTURE };
enum conf_in_doubt { CONF_IN_DOUBT_RETRY, CONF_IN_DOUBT_HOLD };
enum conf_listener_auth {
	CONF_LISTENER_AUTH_UNSET,
	CONF_LISTENER_AUTH_OPTIONAL,
	CONF_LISTENER_AUTH_REQUIRED,
};
enum conf_webhook_format {
	CONF_WEBHOOK_FORMAT_SINGLE,
	CONF_WEBHOOK_FORMAT_ARRAY,
	CONF_WEBHOOK_FORMAT_NDJSON,
};
enum conf_line_ends { CONF_LINE_ENDS_UNSET, CONF_LINE_ENDS_ANY, CONF_LINE_ENDS_CRLF };

#define CONF_TYPEDEF(type, kind, in_c, list) typedef in_c conf_type_##type;
CONF_TYPES(CONF_TYPEDEF)
#define CONF_MEMBER(key, type, member, standard, roles, meaning) conf_type_##type member;

/* A credential at a provider. The macro is for a struct that has the same members and more. */
#define CONF_ACCOUNT_MEMBERS     \
	struct conf_place place; \
	CONF_ACCOUNT(CONF_MEMBER)
struct conf_account {
	CONF_ACCOUNT_MEMBERS
};

/* Callers, and what they may do. */
struct conf_service {
	struct conf_place place;
	CONF_SERVICE(CONF_MEMBER)
};

/* An SMTP entrance for programs that speak nothing else. */
struct conf_listener {
	struct conf_place place;
	CONF_LISTENER(CONF_MEMBER)
};

/* Where events go by HTTPS. */
struct conf_webhook {
	struct conf_place place;
	CONF_WEBHOOK(CONF_MEMBER)
};

/* How people are told. */
struct conf_notify {
	struct conf_place place;
	CONF_NOTIFY(CONF_MEMBER)
};

struct conf {
	CONF_TOP(CONF_MEMBER)
	CONF_LIMITS(CONF_MEMBER)
	CONF_SPOOL(CONF_MEMBER)
	CONF_TOKENS(CONF_MEMBER)
	struct conf_notify notify;
	struct conf_account *accounts;
	size_t account_count;
	struct conf_service *services;
	size_t service_count;
	struct conf_listener *listeners;
	size_t listener_count;
	struct conf_webhook *webhooks;
	size_t webhook_count;
	struct conf_strings files; /* every file that was read; in main */
	uint64_t stamp; /* of these files as they were read; another means that one was changed */
	struct conf_strings
	    lapses; /* what is out of force (conf_environment.lenient), a line each */
	struct conf_strings missing_users,
	    missing_groups; /* names among the lapses that the system did not know */
};

/* ---- keys.def as data: the parser, the packets to the roles (wire.h) and the checks of the manual work by it ---- */

/* What a member is in C. */
enum conf_kind {
	CONF_KIND_TEXT,      /* char *, owned or NULL */
	CONF_KIND_LIST,      /* struct conf_strings */
	CONF_KIND_IDS,       /* struct conf_ids */
	CONF_KIND_NUMBER,    /* 32 bits, unsigned */
	CONF_KIND_WORD,      /* an enum: 32 bits */
	CONF_KIND_BOOLEAN,   /* bool */
	CONF_KIND_SIZE,      /* uint64_t */
	CONF_KIND_TIME,      /* int64_t */
	CONF_KIND_REFERENCE, /* struct conf_reference */
	CONF_KIND_FILE,      /* struct conf_file */
};

enum conf_type {
#define CONF_TYPE(type, kind, in_c, list) CONF_TYPE_##type,
	CONF_TYPES(CONF_TYPE)
#undef CONF_TYPE
	    CONF_TYPE_COUNT
};

struct conf_type_def {
	enum conf_kind kind;
	bool list;
};

extern const struct conf_type_def conf_types[CONF_TYPE_COUNT];

/* The words of a type of CONF_KIND_WORD: a value is an index. Those before `first` cannot be written. */
struct conf_words {
	const char *const *items;
	unsigned count, first;
};

extern const struct conf_words conf_words[CONF_TYPE_COUNT];

struct conf_key {
	const char *name; /* NULL: the member has no key of its own */
	enum conf_type type;
	uint16_t offset;      /* of the member */
	uint8_t roles;        /* 1 << enum role_id: who is sent it */
	const char *standard; /* the default as it would be written, or NULL */
};

enum conf_block {
	CONF_BLOCK_TOP, /* these four are members of struct conf itself */
	CONF_BLOCK_LIMITS,
	CONF_BLOCK_SPOOL,
	CONF_BLOCK_TOKENS,
	CONF_BLOCK_NOTIFY,
	CONF_BLOCK_ACCOUNT, /* these have a title, and there may be many */
	CONF_BLOCK_SERVICE,
	CONF_BLOCK_LISTENER,
	CONF_BLOCK_WEBHOOK,
	CONF_BLOCK_PROVIDER, /* an account's keys and a few more; in files alone */
	CONF_BLOCK_COUNT
};

struct conf_block_def {
	const char *name;
	const struct conf_key *keys;
	size_t key_count;
	size_t size; /* of its struct */
	size_t items,
	    count; /* where struct conf has the array of a block with a title, and its length; or the block itself, and 0 */
};

extern const struct conf_block_def conf_blocks[CONF_BLOCK_COUNT];

bool conf_block_is_titled(enum conf_block block);

/* The struct of the block: of one with a title a new, zeroed one at the end of its array, NULL without memory; else the one
 * there is. */
void *conf_block_add(struct conf *c, enum conf_block block);
/* Frees what a block's struct holds and zeroes it. */
void conf_block_clear(enum conf_block block, void *of);
/* The length of its array; the nth of it, NULL behind the end. */
size_t conf_block_count(const struct conf *c, enum conf_block block);
void *conf_block_at(const struct conf *c, enum conf_block block, size_t at);
/* Takes it out. */
void conf_block_remove(struct conf *c, enum conf_block block, size_t at);

/* The account of that name, or NULL. */
const struct conf_account *conf_find_account(const struct conf *c, const char *name);

/* The word for a value, as the configuration writes it: "authorization-code" for one of CONF_TYPE_grant. "" for a value without a
 * word. A constant. */
const char *conf_word(enum conf_type type, unsigned value);

/* Takes NULL; returns NULL. */
struct conf *conf_free(struct conf *c);

/* Appends a copy. 0 or -ENOMEM. */
int conf_strings_add(struct conf_strings *s, const char *item);
void conf_strings_free(struct conf_strings *s);

#endif
