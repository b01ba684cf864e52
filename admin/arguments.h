/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * arguments.h: the command line of frank: words and options, in any order.
 *
 * Every option is in one table (arguments.c) and has one meaning everywhere; a verb says which of
 * them it takes. "--" ends options; "--port 7000" and "--port=7000" are the same. Pure.
 */
#ifndef FRANK_ADMIN_ARGUMENTS_H
#define FRANK_ADMIN_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option {
	OPTION_ACCOUNT,
	OPTION_ALL,
	OPTION_API,
	OPTION_AUTHORIZE,
	OPTION_AUTH_USER,
	OPTION_CA_FILE,
	OPTION_CAPTURED,
	OPTION_CLIENT_ID,
	OPTION_COMPARE,
	OPTION_CONFIG,
	OPTION_CONTENT,
	OPTION_CONTEXT,
	OPTION_COUNTED,
	OPTION_DEVICE,
	OPTION_EXACTLY,
	OPTION_EXIT_CODE,
	OPTION_EXPLAIN,
	OPTION_FINISH,
	OPTION_FOLLOW,
	OPTION_FOR,
	OPTION_FORMAT,
	OPTION_FROM,
	OPTION_GRANT,
	OPTION_HELP,
	OPTION_HISTORY,
	OPTION_HOST,
	OPTION_IMAP,
	OPTION_INVITE,
	OPTION_ISSUER,
	OPTION_JSON,
	OPTION_JUNIT,
	OPTION_KIND,
	OPTION_LISTEN,
	OPTION_LOCAL,
	OPTION_MAILBOX,
	OPTION_MIN_VALID,
	OPTION_NONE,
	OPTION_NO_BROWSER,
	OPTION_OLDER,
	OPTION_OVERWRITE,
	OPTION_PASSWORD_FILE,
	OPTION_PASTE,
	OPTION_PORT,
	OPTION_PROVIDER,
	OPTION_REGION,
	OPTION_REJECTED,
	OPTION_REVOKE,
	OPTION_SELECTOR,
	OPTION_SEND,
	OPTION_SERVICE,
	OPTION_SINCE,
	OPTION_SOCKET,
	OPTION_SCOPES,
	OPTION_STAGE,
	OPTION_SUBJECT,
	OPTION_TIMEOUT,
	OPTION_TLS,
	OPTION_TO,
	OPTION_TRANSCRIPT,
	OPTION_SUBMIT,
	OPTION_TENANT,
	OPTION_TEXTFILE,
	OPTION_USERS,
	OPTION_VERSION,
	OPTION_WEBHOOK,
	OPTION_COUNT,
};
/* A set of options. */
typedef unsigned __int128 option_set;
_Static_assert(OPTION_COUNT <= 128, "a set of options is too small");
#define OPTION_BIT(option) ((option_set)1 << (option))

struct option_def {
	const char *name;  /* "--port" */
	const char *value; /* what its value is called; NULL: it takes none */
	const char *help;
};
extern const struct option_def arguments_options[OPTION_COUNT];

enum { ARGUMENTS_WORDS_MAX = 32 };

struct arguments {
	const char *words[ARGUMENTS_WORDS_MAX];
	size_t count;
	const char *values[OPTION_COUNT]; /* NULL: not given; "" for an option without a value */
};

enum arguments_fault {
	ARGUMENTS_UNKNOWN = 1,
	ARGUMENTS_NO_VALUE,
	ARGUMENTS_VALUE_TOO_MUCH,
	ARGUMENTS_TWICE,
	ARGUMENTS_TOO_MANY
};

/* Takes argv[1..] apart; strings are borrowed. 0, or an enum arguments_fault with *ret_at set to
 * the argument's index. */
int arguments_parse(int argc, char *const *argv, struct arguments *ret, int *ret_at);

static inline bool
arguments_has(const struct arguments *a, enum option o)
{
	return a->values[o] != NULL;
}

/* The option's decimal value. 0; -ENOENT where it was not given; -EINVAL where it is no number from
 * `least` to `most`. */
int arguments_number(
    const struct arguments *a, enum option o, uint64_t least, uint64_t most, uint64_t *ret);

/* The option's age in seconds: a number and s, m, h, d or w; a number alone is seconds. 0; -ENOENT;
 * -EINVAL where it is none, or 0. */
int arguments_age(const struct arguments *a, enum option o, uint64_t *ret);

/* Of `count` names the one that `word` was likely meant to be: at most two letters wrong, missing,
 * too many or swapped, and not more than a third of it; NULL where none is near. */
const char *arguments_suggest(const char *word, const char *const *names, size_t count);

#endif
