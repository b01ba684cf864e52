/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* envelope.c: see envelope.h. Addresses are one when address_equal says so: local parts with regard to case, domains without. */
#include "broker/queue/inbound/envelope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/codec.h"
#include "broker/queue/common/clock.h"

enum { ORCPT_MAX = 500, ALLOCATION_COST = 16 };

/* ---- the set ---- */

static size_t *
find_slot(const struct envelope *e, const char *address)
{
	size_t i = address_hash(address, e->seed) & (e->slot_count - 1);

	while (e->slots[i] != 0 && !address_equal(e->list[e->slots[i] - 1].address, address))
		i = (i + 1) & (e->slot_count - 1);
	return &e->slots[i];
}

static size_t
text_cost(const struct spool_recipient *r)
{
	return strlen(r->address) + 1 + ALLOCATION_COST +
	       (r->orcpt == NULL ? 0 : strlen(r->orcpt) + 1 + ALLOCATION_COST);
}

size_t
envelope_memory(const struct envelope *e)
{
	return e->room * sizeof(*e->list) + e->slot_count * sizeof(*e->slots) + e->text;
}

static int
make_room(struct envelope *e)
{
	size_t room = e->room == 0 ? 1 : e->room * 4;
	struct spool_recipient *list;
	size_t *slots;

	if (e->count < e->room)
		return 0;
	slots = calloc(room * 2, sizeof(*slots));
	list = slots == NULL ? NULL : reallocarray(e->list, room, sizeof(*list));
	if (list == NULL) {
		free(slots);
		return -ENOMEM;
	}
	free(e->slots);
	e->list = list;
	e->room = room;
	e->slots = slots;
	e->slot_count = room * 2;
	if (room > 1)
		e->seed = clock_random();
	for (size_t i = 0; i < e->count; i++)
		*find_slot(e, e->list[i].address) = i + 1;
	return 0;
}

static int
add(struct envelope *e, const char *address, const char *orcpt, unsigned notify)
{
	struct spool_recipient r = {.notify = notify};
	int error = make_room(e);

	if (error < 0)
		return error;
	if (*find_slot(e, address) != 0)
		return 0;
	r.address = strdup(address);
	r.orcpt = *orcpt == '\0' ? NULL : strdup(orcpt);
	if (r.address == NULL || (*orcpt != '\0' && r.orcpt == NULL)) {
		free(r.address);
		free(r.orcpt);
		return -ENOMEM;
	}
	e->text += text_cost(&r);
	e->list[e->count++] = r;
	*find_slot(e, address) = e->count;
	return 0;
}

/* Takes back what was added behind `count`, the last first: so no chain of the table is cut. */
static void
cut(struct envelope *e, size_t count)
{
	while (e->count > count) {
		struct spool_recipient *r = &e->list[--e->count];

		*find_slot(e, r->address) = 0;
		free(r->address);
		free(r->orcpt);
	}
}

void
envelope_take(struct envelope *e, struct spool_message *m)
{
	m->recipients = TAKE_PTR(e->list);
	m->count = e->count;
	e->count = e->room = 0;
	envelope_clear(e);
}

void
envelope_clear(struct envelope *e)
{
	for (size_t i = 0; i < e->count; i++) {
		free(e->list[i].address);
		free(e->list[i].orcpt);
	}
	free(e->list);
	free(e->slots);
	*e = (struct envelope){0};
}

/* ---- one recipient ---- */

PRINTF_LIKE(4, 5)
static void
refuse(struct envelope_refusal *ret, int code, const char *enhanced, const char *format, ...)
{
	va_list ap;

	ret->code = code;
	(void)snprintf(ret->enhanced, sizeof(ret->enhanced), "%s", enhanced);
	va_start(ap, format);
	(void)vsnprintf(ret->words, sizeof(ret->words), format, ap);
	va_end(ap);
}

struct adding {
	struct envelope *e;
	const struct conf_service *v;
	const char *name;     /* the recipient with its domain where it is a local one, else NULL */
	const char *original; /* ORCPT for what is not `name` itself; "" for none */
	const struct smtp_rcpt_params *params;
	struct envelope_refusal *refusal;
};

/* 0, or -EPERM with the refusal set. */
static int
add_allowed(void *arg, const char *address)
{
	struct adding *a = arg;
	struct envelope_refusal *no = a->refusal;
	const char *orcpt = a->params->orcpt;
	size_t before = a->e->count;

	if (*orcpt == '\0' && a->name != NULL && !address_equal(a->name, address))
		orcpt = a->original;
	if (!address_is_valid(address, strlen(address), false)) {
		refuse(no, 553, "5.1.3", "This is no address");
	} else if (!policy_recipient_allowed(a->v, address)) {
		refuse(no, 550, "5.7.1", "This service may not send to this recipient");
		(void)snprintf(no->address, sizeof(no->address), "%s", address);
		no->by_policy = true;
	} else if (add(a->e, address, orcpt, a->params->notify) < 0) {
		refuse(no, 452, "4.3.0", "Out of memory");
	} else if (a->v->recipients_max > 0 && a->e->count > before &&
		   a->e->count > a->v->recipients_max) {
		refuse(no, 550, "5.7.1",
		    "More recipients than this service may address at once: at most %u",
		    a->v->recipients_max);
		(void)snprintf(no->address, sizeof(no->address), "%s", address);
		no->by_policy = true;
	} else if (a->e->count > ENVELOPE_RECIPIENTS_MAX) {
		refuse(no, 452, "4.5.3", "Too many recipients: at most %u in a message",
		    ENVELOPE_RECIPIENTS_MAX);
	}
	return no->code == 0 ? 0 : -EPERM;
}

/* "rfc822;name@domain", or nothing where that would be too long. */
static int
write_original(const char *name, struct buf *out)
{
	int r = buf_append_str(out, "rfc822;");

	if (r == 0)
		r = xtext_encode(out, name, strlen(name));
	if (r == -ENOBUFS)
		buf_clear(out);
	return r == -ENOBUFS ? 0 : r;
}

void
envelope_add(const struct queue_settings *s, struct envelope *e, const struct conf_service *v,
    const char *recipient, const struct smtp_rcpt_params *p, struct envelope_refusal *ret)
{
	CLEANUP_BUF struct buf why = BUF_INIT(2048), original = BUF_INIT(ORCPT_MAX);
	CLEANUP_FREE char *name = NULL;
	struct adding a = {.e = e, .v = v, .params = p, .refusal = ret};
	size_t before = e->count;
	enum aliases_result r;

	*ret = (struct envelope_refusal){0};
	if (local_is_own(s, recipient)) {
		name = local_qualify(s, recipient);
		if (name == NULL || write_original(name, &original) < 0) {
			refuse(ret, 452, "4.3.0", "Out of memory");
			return;
		}
		a.name = name;
		a.original = buf_str(&original);
	}
	r = local_expand(s, recipient, add_allowed, &a, &why);
	if (r == ALIASES_UNKNOWN)
		refuse(ret, 550, "5.1.1", "%s", buf_str(&why));
	else if (r == ALIASES_BROKEN)
		refuse(ret, 550, "5.2.4", "%s", buf_str(&why));
	else if (r == ALIASES_FAILED && ret->code == 0)
		refuse(ret, 452, "4.3.0", "Out of memory");
	if (ret->code != 0)
		cut(e, before);
}
