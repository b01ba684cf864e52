/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * recipients.c: the recipients of a message, each once.
 *
 * A set that keeps its order: the addresses one behind the other, and a hash table of where they
 * stand. Two addresses are one when address_equal says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/header.h"
#include "shim/shim.h"

/* The slot of an address: the one that holds it, or the free one where it goes. */
static size_t *
find_slot(const struct recipients *r, const char *address)
{
	/* whoever makes up addresses here slows their own call down */
	size_t i = address_hash(address, 0) & (r->slot_count - 1);

	while (r->slots[i] != 0 && !address_equal(r->text.data + r->slots[i] - 1, address))
		i = (i + 1) & (r->slot_count - 1);
	return &r->slots[i];
}

static int
grow(struct recipients *r)
{
	struct recipients bigger = *r;
	const char *address;
	size_t at = 0;

	bigger.slot_count = r->slot_count == 0 ? 64 : r->slot_count * 2;
	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return -ENOMEM;
	while ((address = recipients_next(r, &at)) != NULL)
		*find_slot(&bigger, address) = (size_t)(address - r->text.data) + 1;
	free(r->slots);
	*r = bigger;
	return 0;
}

static int
add(void *arg, const struct address_item *item)
{
	struct recipients *r = arg;
	size_t offset = r->text.len, *slot;
	int error;

	if (r->count * 2 >= r->slot_count && (error = grow(r)) < 0)
		return error;
	slot = find_slot(r, item->address);
	if (*slot != 0)
		return 0;
	error = buf_append(&r->text, item->address, strlen(item->address) + 1);
	if (error < 0)
		return error;
	*slot = offset + 1;
	r->count++;
	return 0;
}

int
recipients_add_list(struct recipients *r, const char *list, size_t len)
{
	size_t at;

	return address_list_parse(list, len, add, r, &at);
}

static const char *
recipient_field(const struct header_field *f, bool resent)
{
	static const char *const names[] = {"Resent-To", "Resent-Cc", "Resent-Bcc"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *name = resent ? names[i] : names[i] + strlen("Resent-");

		if (header_is(f, name))
			return name;
	}
	return NULL;
}

static bool
is_resent(const char *header, size_t len)
{
	struct header_field f;
	size_t at = 0;

	while (header_next(header, len, true, &at, &f) == 1)
		if (recipient_field(&f, true) != NULL)
			return true;
	return false;
}

int
recipients_add_header(struct recipients *r, const char *header, size_t len, const char **ret_field)
{
	bool resent = is_resent(header, len);
	struct header_field f;
	size_t at = 0;
	int error = 0;

	while (error == 0 && header_next(header, len, true, &at, &f) == 1) {
		*ret_field = recipient_field(&f, resent);
		if (*ret_field != NULL)
			error = recipients_add_list(r, f.value, f.value_len);
	}
	return error;
}

const char *
recipients_next(const struct recipients *r, size_t *at)
{
	const char *address;

	if (*at >= r->text.len)
		return NULL;
	address = r->text.data + *at;
	*at += strlen(address) + 1;
	return address;
}

void
recipients_free(struct recipients *r)
{
	buf_free(&r->text);
	free(r->slots);
	r->slots = NULL;
	r->slot_count = r->count = 0;
}
