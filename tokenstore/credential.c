/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * credential.c: the payload of a record. See credential.h.
 *
 * Format: fields one after the other, numbers little-endian: u16 number, u16 zero, u32 length,
 * octets. A field comes at most once; one that is not there is NULL or 0. A number is 8 octets;
 * text has no NUL. A field whose number is not in the table was written by a later release: the
 * record is then left alone.
 */
#include "tokenstore/credential.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"

enum field_type { TYPE_SECRET, TYPE_TEXT, TYPE_NUMBER };
enum { FIELD_HEAD = 8 };

struct credential_field {
	uint16_t number; /* for good */
	uint16_t type;
	size_t offset;
};

#define AT(member) offsetof(struct credential, member)
static const struct credential_field fields[] = {
    {1, TYPE_SECRET, AT(refresh_token)},
    {2, TYPE_SECRET, AT(previous_token)},
    {3, TYPE_SECRET, AT(access_token)},
    {4, TYPE_SECRET, AT(client_secret)},
    {5, TYPE_SECRET, AT(password)},
    {6, TYPE_SECRET, AT(signing_key)},
    {7, TYPE_SECRET, AT(invitation)},
    {16, TYPE_TEXT, AT(issuer)},
    {17, TYPE_TEXT, AT(token_endpoint)},
    {18, TYPE_TEXT, AT(client_id)},
    {19, TYPE_TEXT, AT(mailbox)},
    {20, TYPE_TEXT, AT(auth_user)},
    {21, TYPE_TEXT, AT(identity)},
    {22, TYPE_TEXT, AT(scope)},
    {23, TYPE_TEXT, AT(password_user)},
    {24, TYPE_TEXT, AT(password_host)},
    {25, TYPE_TEXT, AT(condition_text)},
    {26, TYPE_TEXT, AT(client_secret_id)},
    {27, TYPE_TEXT, AT(client_secret_server)},
    {28, TYPE_TEXT, AT(signing_key_id)},
    {32, TYPE_NUMBER, AT(condition)},
    {33, TYPE_NUMBER, AT(intent)},
    {34, TYPE_NUMBER, AT(access_obtained)},
    {35, TYPE_NUMBER, AT(access_expires)},
    {36, TYPE_NUMBER, AT(authorized_at)},
    {37, TYPE_NUMBER, AT(refreshed_at)},
    {38, TYPE_NUMBER, AT(refresh_expires)},
    {39, TYPE_NUMBER, AT(refresh_life)},
};

static struct secret **
as_secret(const struct credential *c, const struct credential_field *f)
{
	return (struct secret **)((char *)c + f->offset);
}

static char **
as_text(const struct credential *c, const struct credential_field *f)
{
	return (char **)((char *)c + f->offset);
}

static uint64_t *
as_number(const struct credential *c, const struct credential_field *f)
{
	return (uint64_t *)((char *)c + f->offset);
}

void
credential_clear(struct credential *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].type == TYPE_SECRET)
			(void)secret_free(*as_secret(c, &fields[i]));
		else if (fields[i].type == TYPE_TEXT)
			free(*as_text(c, &fields[i]));
	}
	*c = (struct credential){0};
}

/* The octets of one field, or NULL where it is not there. `number` is room for one. */
static const void *
field_bytes(
    const struct credential *c, const struct credential_field *f, uint64_t *number, size_t *ret_len)
{
	const struct secret *s;
	const char *text;

	switch (f->type) {
	case TYPE_SECRET:
		s = *as_secret(c, f);
		*ret_len = s == NULL ? 0 : secret_len(s);
		return s == NULL ? NULL : secret_bytes(s);
	case TYPE_TEXT:
		text = *as_text(c, f);
		*ret_len = text == NULL ? 0 : strlen(text);
		return text;
	default:
		*number = htole64(*as_number(c, f));
		*ret_len = sizeof(*number);
		return *number == 0 ? NULL : number;
	}
}

int
credential_pack(const struct credential *c, struct secret **ret)
{
	size_t total = 0, len;
	uint64_t number;
	struct secret *s;
	uint8_t *to;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (field_bytes(c, &fields[i], &number, &len) == NULL)
			continue;
		if (len > SECRET_MAX || total + FIELD_HEAD + len > SECRET_MAX)
			return -E2BIG;
		total += FIELD_HEAD + len;
	}
	s = secret_new_zero(total);
	if (s == NULL)
		return -ENOMEM;
	to = secret_fill(s);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const void *bytes = field_bytes(c, &fields[i], &number, &len);
		uint16_t head[2] = {htole16(fields[i].number), 0};
		uint32_t size = htole32((uint32_t)len);

		if (bytes == NULL)
			continue;
		memcpy(to, head, sizeof(head));
		memcpy(to + sizeof(head), &size, sizeof(size));
		memcpy(to + FIELD_HEAD, bytes, len);
		to += FIELD_HEAD + len;
	}
	*ret = s;
	return 0;
}

static int
take_field(struct credential *c, const struct credential_field *f, const uint8_t *bytes, size_t len)
{
	uint64_t number;

	switch (f->type) {
	case TYPE_SECRET:
		if (*as_secret(c, f) != NULL)
			return -EBADMSG;
		*as_secret(c, f) = secret_new(bytes, len);
		return *as_secret(c, f) == NULL ? -ENOMEM : 0;
	case TYPE_TEXT:
		if (*as_text(c, f) != NULL || memchr(bytes, '\0', len) != NULL)
			return -EBADMSG;
		*as_text(c, f) = strndup((const char *)bytes, len);
		return *as_text(c, f) == NULL ? -ENOMEM : 0;
	default:
		if (len != sizeof(number) || *as_number(c, f) != 0)
			return -EBADMSG;
		memcpy(&number, bytes, sizeof(number));
		*as_number(c, f) = le64toh(number);
		return 0;
	}
}

static const struct credential_field *
find_field(uint16_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].number == number)
			return &fields[i];
	return NULL;
}

int
credential_unpack(const uint8_t *bytes, size_t len, struct credential *ret)
{
	struct credential c CLEANUP_CREDENTIAL = {0};

	*ret = (struct credential){0};
	while (len > 0) {
		const struct credential_field *f;
		uint16_t head[2];
		uint32_t size;
		int r;

		if (len < FIELD_HEAD)
			return -EBADMSG;
		memcpy(head, bytes, sizeof(head));
		memcpy(&size, bytes + sizeof(head), sizeof(size));
		size = le32toh(size);
		if (head[1] != 0 || size > len - FIELD_HEAD)
			return -EBADMSG;
		f = find_field(le16toh(head[0]));
		if (f == NULL)
			return -ENOTSUP;
		r = take_field(&c, f, bytes + FIELD_HEAD, size);
		if (r < 0)
			return r;
		bytes += FIELD_HEAD + size;
		len -= FIELD_HEAD + size;
	}
	*ret = c;
	c = (struct credential){0};
	return 0;
}
