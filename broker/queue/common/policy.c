/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * policy.c: see policy.h.
 *
 * The order of services is the administrator's: a caller that an earlier service takes never falls
 * through to a later and wider one, so that a narrow rule can be put in front.
 */
#include "broker/queue/common/policy.h"

#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/attr.h"
#include "broker/role/caller.h"

static bool
has_number(const struct conf_ids *list, uint32_t number)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i] == number)
			return true;
	return false;
}

bool
policy_takes(const struct conf_service *s, const struct policy_caller *c, enum policy_reason *ret)
{
	bool names_callers = s->any_user || s->users.count > 0 || s->groups.count > 0;

	if (s->socket && (c->socket == NULL || strcmp(s->name, c->socket) != 0)) {
		*ret = POLICY_OWN_SOCKET;
		return false;
	}
	if (!s->socket && c->socket != NULL) {
		*ret = POLICY_OTHER_SOCKET;
		return false;
	}
	if (s->socket && !names_callers) {
		*ret = POLICY_ANY_OF_SOCKET;
		return true;
	}
	if (!names_callers) {
		*ret = POLICY_PASSWORD_ONLY;
		return false;
	}
	if (c->uid == CALLER_UID_OVERFLOW && !s->socket) {
		*ret = POLICY_NOBODY;
		return false;
	}
	if (s->any_user || has_number(&s->users, c->uid)) {
		*ret = s->any_user ? POLICY_ANY_USER : POLICY_USER;
		return true;
	}
	for (size_t i = 0; i < c->group_count; i++)
		if (has_number(&s->groups, c->groups[i])) {
			*ret = POLICY_GROUP;
			return true;
		}
	*ret = POLICY_OTHER_CALLERS;
	return false;
}

const char *
policy_reason_text(enum policy_reason reason)
{
	static const char *const texts[] = {
	    [POLICY_USER] = "the user is one of its users",
	    [POLICY_GROUP] = "the user is in one of its groups",
	    [POLICY_ANY_USER] = "it is for every user",
	    [POLICY_ANY_OF_SOCKET] = "it is for everybody who comes through its socket",
	    [POLICY_OWN_SOCKET] = "it is for callers of its own socket alone",
	    [POLICY_OTHER_SOCKET] = "it is not for callers of another service's socket",
	    [POLICY_PASSWORD_ONLY] = "it is only for callers who log in with its password",
	    [POLICY_NOBODY] = "uid 65534 is nobody, who matches only by a socket of its own",
	    [POLICY_OTHER_CALLERS] = "the user is neither one of its users nor in its groups",
	};

	return (unsigned)reason < ARRAY_SIZE(texts) ? texts[reason] : "";
}

size_t
policy_match(
    const struct conf_service *const *services, size_t count, const struct policy_caller *caller)
{
	enum policy_reason reason;
	size_t i = 0;

	while (i < count && !policy_takes(services[i], caller, &reason))
		i++;
	return i;
}

static bool
is_literal(const char *pattern)
{
	return *pattern != '*';
}

bool
policy_pattern_match(const struct conf_strings *patterns, const char *address)
{
	const char *domain = address_domain(address);

	for (size_t i = 0; i < patterns->count; i++) {
		const char *p = patterns->items[i];

		if (strcmp(p, "*") == 0)
			return true;
		if (is_literal(p) ? address_equal_nocase(p, address)
				  : p[1] == '@' && domain != NULL && strcasecmp(p + 2, domain) == 0)
			return true;
	}
	return false;
}

bool
policy_recipient_allowed(const struct conf_service *s, const char *address)
{
	return s->recipients.count == 0 || policy_pattern_match(&s->recipients, address);
}

bool
policy_is_captured(const struct conf_service *s, const char *address)
{
	return s->mode == CONF_MODE_CAPTURE && !policy_pattern_match(&s->deliver_to, address);
}

/* What a decision is made from. */
struct decider {
	const struct conf_service *s;
	const struct policy_account *accounts;
	size_t account_count;
};

static const struct policy_account *
account_of(const struct decider *d, const char *address)
{
	for (size_t i = 0; address != NULL && *address != '\0' && i < d->account_count; i++)
		if (d->accounts[i].mailbox != NULL &&
		    address_equal_nocase(d->accounts[i].mailbox, address))
			return &d->accounts[i];
	return NULL;
}

static bool
sender_allowed(const struct decider *d, const char *address)
{
	if (d->s->from == CONF_FROM_KEEP)
		return true;
	if (d->s->senders.count > 0)
		return policy_pattern_match(&d->s->senders, address);
	return account_of(d, address) != NULL;
}

/* The sender of a caller that claims none it may use. NULL: the configuration names none. */
static const char *
default_sender(const struct decider *d)
{
	for (size_t i = 0; i < d->s->senders.count; i++)
		if (is_literal(d->s->senders.items[i]))
			return d->s->senders.items[i];
	for (size_t i = 0; i < d->account_count; i++)
		if (d->accounts[i].mailbox != NULL && *d->accounts[i].mailbox != '\0')
			return d->accounts[i].mailbox;
	return NULL;
}

static void
refuse(struct policy_decision *ret, const char *why, const char *culprit)
{
	ret->refused = why;
	ret->culprit = culprit;
}

/* The first address of From that may not be used; NULL: all may. */
static const char *
forbidden_from(const struct decider *d, const struct policy_claim *claim)
{
	if (claim->from_unreadable && d->s->from != CONF_FROM_KEEP)
		return "(unreadable)";
	for (size_t i = 0; i < claim->from_count; i++)
		if (!sender_allowed(d, claim->from[i]))
			return claim->from[i];
	return NULL;
}

/* May a report, and what was said with it, go to this address? Not where the caller could not have
 * written itself, but for addresses that are the service's own. */
static bool
report_allowed(const struct decider *d, const char *address)
{
	if (policy_recipient_allowed(d->s, address) || account_of(d, address) != NULL)
		return true;
	for (size_t i = 0; i < d->s->senders.count; i++)
		if (is_literal(d->s->senders.items[i]) &&
		    address_equal_nocase(d->s->senders.items[i], address))
			return true;
	return false;
}

/* Fills From and sender. `sender_ok`, `from_ok`: what the caller wrote may stand. */
static void
settle(const struct decider *d, const struct policy_claim *claim, bool sender_ok, bool from_ok,
    struct policy_decision *ret)
{
	const char *given =
	    claim->envelope == POLICY_ENVELOPE_GIVEN && sender_ok ? claim->sender : NULL;
	const char *written = claim->from_count > 0 && from_ok ? claim->from[0] : NULL;
	const char *fallback = default_sender(d);

	/* A caller that claims nothing is who it is, where it may be that. */
	if (claim->from_count == 0 && from_ok && claim->envelope != POLICY_ENVELOPE_GIVEN &&
	    sender_allowed(d, claim->caller))
		fallback = claim->caller;
	if (written == NULL && !(claim->from_unreadable && from_ok))
		ret->from = given != NULL ? given : fallback;
	else if (claim->from_double && d->s->from == CONF_FROM_REWRITE)
		ret->from = written;
	ret->from_replaced = !from_ok || (written != NULL && ret->from == written);
	ret->sender_replaced = claim->envelope == POLICY_ENVELOPE_GIVEN && !sender_ok;
	if (given != NULL)
		ret->sender = given;
	else if (claim->envelope == POLICY_ENVELOPE_NULL && d->s->from == CONF_FROM_KEEP)
		ret->sender = "";
	else
		ret->sender = written != NULL ? written : fallback;
	if (ret->sender == NULL)
		refuse(ret, "the service has no sender address to use instead", claim->caller);
}

const struct policy_account *
policy_account(const struct policy_account *accounts, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(accounts[i].name, name) == 0)
			return &accounts[i];
	return NULL;
}

void
policy_decide(const struct conf_service *s, const struct policy_account *accounts,
    size_t account_count, const struct policy_claim *claim, struct policy_decision *ret)
{
	struct decider d = {s, accounts, account_count};
	bool given = claim->envelope == POLICY_ENVELOPE_GIVEN;
	bool sender_ok = !given || sender_allowed(&d, claim->sender);
	const char *forbidden = forbidden_from(&d, claim), *from;

	*ret = (struct policy_decision){0};
	if (claim->account != NULL &&
	    policy_account(accounts, account_count, claim->account) == NULL)
		return refuse(ret, "the service does not send by this account", claim->account);
	if (s->from == CONF_FROM_REFUSE && !sender_ok) {
		ret->sender_refused = true;
		return refuse(ret, "this envelope sender is not allowed", claim->sender);
	}
	if (s->from == CONF_FROM_REFUSE && forbidden != NULL)
		return refuse(ret, "this From address is not allowed", forbidden);
	if (s->from == CONF_FROM_REFUSE && claim->from_double)
		return refuse(ret, "this From can be read in two ways",
		    claim->from_count > 0 ? claim->from[0] : "(unreadable)");
	settle(&d, claim, sender_ok, forbidden == NULL, ret);
	if (ret->refused != NULL)
		return;
	from = ret->from != NULL || claim->from_count == 0 ? ret->from : claim->from[0];
	ret->account = claim->account != NULL
			   ? policy_account(accounts, account_count, claim->account)
			   : account_of(&d, ret->sender);
	if (ret->account == NULL)
		ret->account = account_of(&d, from);
	if (ret->account == NULL)
		ret->account = &accounts[0];
	if (given)
		ret->return_to = claim->sender;
	else if (claim->envelope == POLICY_ENVELOPE_NULL)
		ret->return_to = "";
	else if (ret->from == NULL)
		ret->return_to = from;
	if (ret->return_to != NULL && *ret->return_to != '\0' &&
	    !report_allowed(&d, ret->return_to))
		ret->return_to = NULL;
}
