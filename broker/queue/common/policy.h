/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * policy.h: who may send as whom. Pure: no system call, no clock, no allocation.
 *
 * A service is a rule of the configuration: callers it is for, accounts it may use, senders it may
 * claim, recipients it may reach, and limits. Services are asked in file order; the first that
 * matches the caller answers, also when its answer is no.
 *
 * A pattern of `senders` or `recipients` is an address, `*@domain`, or `*`; all are compared
 * without regard to ASCII case, as providers do.
 */
#ifndef FRANK_BROKER_QUEUE_COMMON_POLICY_H
#define FRANK_BROKER_QUEUE_COMMON_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/conf/conf.h"

/* A caller that the kernel vouches for. */
struct policy_caller {
	uint32_t uid; /* CALLER_UID_OVERFLOW matches only a service with a socket of its own */
	const uint32_t *groups;
	size_t group_count;
	const char *socket; /* the service whose socket it came through; NULL: the common one */
};

/* Why a service is for a caller, or is not. */
enum policy_reason {
	POLICY_USER,
	POLICY_GROUP,
	POLICY_ANY_USER,
	POLICY_ANY_OF_SOCKET,
	POLICY_OWN_SOCKET, /* from here on: it is not */
	POLICY_OTHER_SOCKET,
	POLICY_PASSWORD_ONLY,
	POLICY_NOBODY,
	POLICY_OTHER_CALLERS,
};

/* Is the service for this caller? */
bool policy_takes(
    const struct conf_service *s, const struct policy_caller *c, enum policy_reason *ret);
/* "the user is one of its users" */
const char *policy_reason_text(enum policy_reason reason);

/* The index of the first service that is for this caller, or `count`. A service with its own socket
 * takes callers of that socket alone, all of them where it names no user and no group. */
size_t policy_match(
    const struct conf_service *const *services, size_t count, const struct policy_caller *caller);

/* Does one of the patterns match? Never for an empty list. */
bool policy_pattern_match(const struct conf_strings *patterns, const char *address);

/* An empty list of `recipients` allows all. */
bool policy_recipient_allowed(const struct conf_service *s, const char *address);
/* Is what the recipient would get captured? */
bool policy_is_captured(const struct conf_service *s, const char *address);

/* An account of the service, as policy_decide needs it. */
struct policy_account {
	const char *name;
	const char *mailbox; /* NULL or "": has none (a relay) */
};

/* The account of that name, or NULL. */
const struct policy_account *policy_account(
    const struct policy_account *accounts, size_t count, const char *name);

enum policy_envelope {
	POLICY_ENVELOPE_CALLER, /* the caller left it open: its own address */
	POLICY_ENVELOPE_NULL,   /* "<>": reports about this message are not wanted */
	POLICY_ENVELOPE_GIVEN,
};

/* What the caller claims, addresses qualified. */
struct policy_claim {
	enum policy_envelope envelope;
	const char *sender;  /* POLICY_ENVELOPE_GIVEN: the address */
	const char *account; /* by this one of the accounts, whatever the sender; NULL: left open */
	const char *caller;  /* the calling user's own address; never NULL */
	const char *const *from; /* addresses of the header's From */
	size_t from_count;       /* 0: there is no From yet, or it cannot be read */
	bool from_unreadable;    /* there is a From, but no address can be read from it */
	bool from_double;        /* From can be read in two ways */
};

struct policy_decision {
	const char *refused; /* why not, a sentence; NULL: allowed. The rest is set then. */
	const char *culprit; /* the address that is refused */
	bool sender_refused; /* it is that of the envelope: the header cannot change it */
	const struct policy_account *account;
	const char *sender;    /* of the envelope; "" for the null sender */
	const char *from;      /* the address that From is to have; NULL: it stays as it is */
	bool from_replaced;    /* the caller's own From was not allowed */
	bool sender_replaced;  /* the caller's envelope sender was not allowed */
	const char *return_to; /* whom reports go to; NULL: the postmaster; "": nobody */
};

/*
 * Decides account, envelope sender and From. `accounts` are those of the service, in its order, at
 * least one. Strings in `ret` are borrowed from the arguments.
 *
 * Senders allowed are those of the service's `senders`, or where it lists none the mailboxes of its
 * accounts. Under CONF_FROM_REWRITE, a From or envelope sender that is not allowed becomes the other
 * one where that was given and is allowed, else the first address of `senders` that is no pattern,
 * else the mailbox of the service's first account. The account is the one whose mailbox is the
 * final sender, else the one whose mailbox is the final From, else the first; the one that is
 * claimed, where one is: a claim of none of the accounts is refused.
 *
 * A From that can be read in two ways is refused under CONF_FROM_REFUSE, and under CONF_FROM_REWRITE
 * becomes its first address alone, where that is allowed.
 *
 * Reports go to the sender that was claimed, also where another was put in its place; to the
 * postmaster where the service may not send to it and it is neither in `senders` nor a mailbox.
 */
void policy_decide(const struct conf_service *s, const struct policy_account *accounts,
    size_t account_count, const struct policy_claim *claim, struct policy_decision *ret);

#endif
