/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message.c: see message.h. The table is expanded twice: once into the descriptions of fields, once
 * into those of messages.
 *
 * A message is built in a wiping buffer and read in place. message_check walks the packet once and
 * proves that every field lies inside it, is of its type, may come with this message and comes as
 * often as it may; the readers then need no checks of their own.
 */
#include "broker/ipc/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "broker/ipc/messages-hash.h"

const uint8_t message_table_hash[MESSAGE_TABLE_HASH] = MESSAGES_HASH;

enum field_type { TYPE_U64, TYPE_STR, TYPE_BYTES, TYPE_SECRET };
/* ROLE_ROLE: every role but main. ROLE_TRANSPORT: send or post, which take messages out. ROLE_ENTRANCE:
 * queue or keeper, which callers connect to. */
enum { FIELDS_MAX = 512, ROLE_ROLE = ROLE_COUNT, ROLE_TRANSPORT, ROLE_ENTRANCE };
enum fd_rule { FD_NO, FD_MAY, FD_MUST };

struct field_def {
	const char *name;
	enum field_type type;
};

static const struct field_def fields[FIELDS_MAX] = {
#define FIELD(name, number, type) [number] = {#name, TYPE_##type},
#define MESSAGE(...)
#include "broker/ipc/messages.def"
#undef FIELD
#undef MESSAGE
};

struct message_def {
	const char *name;
	uint16_t number;
	uint8_t from, to, fd;
	const uint16_t *required, *optional, *repeated; /* end in 0 after the leading 0 of NONE */
};

/* The table's lists name fields without their prefix: here, and here alone, those are numbers. */
enum {
#define FIELD(name, number, type) name = (number),
#define MESSAGE(...)
#include "broker/ipc/messages.def"
#undef FIELD
#undef MESSAGE
};

#define NUMBERS(...) ((const uint16_t[]){__VA_ARGS__, NONE})
#define FIELD_LIST(list) NUMBERS list

static const struct message_def messages[] = {
#define FIELD(...)
#define MESSAGE(name, number, from, to, fd, required, optional, repeated)      \
	{#name, number, ROLE_##from, ROLE_##to, FD_##fd, FIELD_LIST(required), \
	    FIELD_LIST(optional), FIELD_LIST(repeated)},
#include "broker/ipc/messages.def"
#undef FIELD
#undef MESSAGE
};

enum { HEADER = 4, FIELD_HEADER = 8 };

struct message {
	struct buf packet; /* header and fields */
	int error;         /* first error of a writer */
};

const char *
message_role_name(enum role_id role)
{
	static const char *const names[] = {
	    "main", "queue", "keeper", "fetch", "send", "post", "tls", "client"};

	return (unsigned)role < ARRAY_SIZE(names) ? names[role] : "unknown";
}

static const struct message_def *
find_def(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		if (messages[i].number == type)
			return &messages[i];
	return NULL;
}

const char *
message_type_name(enum message_type type)
{
	const struct message_def *d = find_def((uint16_t)type);

	return d == NULL ? "unknown" : d->name;
}

struct message *
message_new(enum message_type type)
{
	struct message *m = calloc(1, sizeof(*m));
	uint16_t head[2] = {(uint16_t)type, 0};

	if (m == NULL)
		return NULL;
	m->packet = (struct buf)BUF_INIT_WIPE(MESSAGE_MAX);
	if (buf_append(&m->packet, head, sizeof(head)) < 0)
		return message_free(m);
	return m;
}

struct message *
message_free(struct message *m)
{
	if (m != NULL) {
		buf_free(&m->packet);
		free(m);
	}
	return NULL;
}

enum message_type
message_type(const struct message *m)
{
	uint16_t type;

	memcpy(&type, m->packet.data, sizeof(type));
	return (enum message_type)type;
}

/* ---- writers ---- */

static void
put(struct message *m, enum field f, enum field_type type, const void *bytes, size_t len, bool nul)
{
	uint16_t head[2] = {(uint16_t)f, 0};
	uint32_t size = (uint32_t)(len + nul);

	if (m == NULL || m->error < 0)
		return;
	if ((unsigned)f >= FIELDS_MAX || fields[f].name == NULL || fields[f].type != type) {
		m->error = -EINVAL;
		return;
	}
	if (len > MESSAGE_MAX || m->packet.len + FIELD_HEADER + len + nul > MESSAGE_MAX) {
		m->error = -EMSGSIZE;
		return;
	}
	if (buf_reserve(&m->packet, FIELD_HEADER + len + nul) < 0) {
		m->error = -ENOMEM;
		return;
	}
	(void)buf_append(&m->packet, head, sizeof(head));
	(void)buf_append(&m->packet, &size, sizeof(size));
	(void)buf_append(&m->packet, bytes, len);
	if (nul)
		(void)buf_append_char(&m->packet, '\0');
}

void
message_put_u64(struct message *m, enum field f, uint64_t value)
{
	put(m, f, TYPE_U64, &value, sizeof(value), false);
}

void
message_put_str(struct message *m, enum field f, const char *s)
{
	if (s != NULL)
		put(m, f, TYPE_STR, s, strlen(s), true);
}

void
message_put_strn(struct message *m, enum field f, const char *s, size_t len)
{
	if (m != NULL && memchr(s, '\0', len) != NULL && m->error == 0)
		m->error = -EINVAL;
	put(m, f, TYPE_STR, s, len, true);
}

void
message_put_bytes(struct message *m, enum field f, const void *bytes, size_t len)
{
	if ((unsigned)f < FIELDS_MAX && fields[f].type == TYPE_SECRET)
		put(m, f, TYPE_SECRET, bytes, len, false);
	else
		put(m, f, TYPE_BYTES, bytes, len, false);
}

void
message_put_secret(struct message *m, enum field f, const struct secret *s)
{
	if (s != NULL)
		put(m, f, TYPE_SECRET, secret_bytes(s), secret_len(s), false);
}

int
message_error(const struct message *m)
{
	return m == NULL ? -ENOMEM : m->error;
}

/* ---- readers ---- */

/* Steps to the field at *at. False at the end or where the packet is cut short. */
static bool
step(const struct message *m, size_t *at, uint16_t *f, const uint8_t **bytes, size_t *len)
{
	const char *p = m->packet.data + *at;
	size_t left = m->packet.len - *at;
	uint32_t size;

	if (left < FIELD_HEADER)
		return false;
	memcpy(f, p, sizeof(*f));
	memcpy(&size, p + 4, sizeof(size));
	if (size > left - FIELD_HEADER)
		return false;
	*bytes = (const uint8_t *)p + FIELD_HEADER;
	*len = size;
	*at += FIELD_HEADER + size;
	return true;
}

bool
message_next(const struct message *m, enum field f, size_t *at, const uint8_t **bytes, size_t *len)
{
	uint16_t got;

	if (*at == 0)
		*at = HEADER;
	while (step(m, at, &got, bytes, len)) {
		if (got != (uint16_t)f)
			continue;
		if (fields[f].type == TYPE_STR && *len > 0)
			(*len)--;
		return true;
	}
	return false;
}

bool
message_next_str(const struct message *m, enum field f, size_t *at, const char **s)
{
	const uint8_t *bytes;
	size_t len;

	if (!message_next(m, f, at, &bytes, &len))
		return false;
	*s = (const char *)bytes;
	return true;
}

bool
message_next_u64(const struct message *m, enum field f, size_t *at, uint64_t *value)
{
	const uint8_t *bytes;
	size_t len;

	if (!message_next(m, f, at, &bytes, &len))
		return false;
	memcpy(value, bytes, sizeof(*value));
	return true;
}

const uint8_t *
message_bytes(const struct message *m, enum field f, size_t *len)
{
	const uint8_t *bytes;
	size_t at = 0;

	return message_next(m, f, &at, &bytes, len) ? bytes : NULL;
}

bool
message_has(const struct message *m, enum field f)
{
	size_t len;

	return message_bytes(m, f, &len) != NULL;
}

uint64_t
message_u64(const struct message *m, enum field f, uint64_t absent)
{
	size_t at = 0;
	uint64_t value;

	return message_next_u64(m, f, &at, &value) ? value : absent;
}

const char *
message_str(const struct message *m, enum field f)
{
	size_t len;

	return (const char *)message_bytes(m, f, &len);
}

struct secret *
message_secret(const struct message *m, enum field f)
{
	size_t len;
	const uint8_t *bytes = message_bytes(m, f, &len);

	return bytes == NULL ? NULL : secret_new(bytes, len);
}

/* ---- the check ---- */

static bool
listed(const uint16_t *list, uint16_t f)
{
	for (list++; *list != F_NONE; list++)
		if (*list == f)
			return true;
	return false;
}

static bool
role_fits(uint8_t wanted, enum role_id is)
{
	return wanted == (uint8_t)is ||
	       (wanted == ROLE_ROLE && is != ROLE_MAIN && is != ROLE_CLIENT) ||
	       (wanted == ROLE_TRANSPORT && (is == ROLE_SEND || is == ROLE_POST)) ||
	       (wanted == ROLE_ENTRANCE && (is == ROLE_QUEUE || is == ROLE_KEEPER));
}

static const char *
field_is_wrong(uint16_t f, const uint8_t *bytes, size_t len)
{
	switch (fields[f].type) {
	case TYPE_U64:
		return len == sizeof(uint64_t) ? NULL : "a number of the wrong size";
	case TYPE_STR:
		return len > 0 && memchr(bytes, '\0', len) == bytes + len - 1
			   ? NULL
			   : "text with a NUL inside or none at its end";
	default:
		return NULL;
	}
}

int
message_check(
    const struct message *m, enum role_id from, enum role_id to, bool has_fd, const char **ret_why)
{
	const struct message_def *d = find_def((uint16_t)message_type(m));
	uint8_t seen[FIELDS_MAX] = {0};
	const uint8_t *bytes;
	size_t at = HEADER, len;
	uint16_t f;

	*ret_why = "a message that this sender may not send here";
	if (d == NULL || !role_fits(d->from, from) || !role_fits(d->to, to))
		return -EPROTO;
	*ret_why = "a descriptor too many or too few";
	if ((d->fd == FD_NO && has_fd) || (d->fd == FD_MUST && !has_fd))
		return -EPROTO;
	while (step(m, &at, &f, &bytes, &len)) {
		*ret_why = "a field that does not belong";
		if (f == F_NONE || f >= FIELDS_MAX || fields[f].name == NULL)
			return -EPROTO;
		if (!listed(d->repeated, f)) {
			if (!listed(d->required, f) && !listed(d->optional, f))
				return -EPROTO;
			*ret_why = "a field given twice";
			if (seen[f])
				return -EPROTO;
		}
		seen[f] = 1;
		*ret_why = field_is_wrong(f, bytes, len);
		if (*ret_why != NULL)
			return -EPROTO;
	}
	*ret_why = "a field that is cut short";
	if (at != m->packet.len)
		return -EPROTO;
	*ret_why = "a required field is missing";
	for (const uint16_t *need = d->required + 1; *need != F_NONE; need++)
		if (!seen[*need])
			return -EPROTO;
	*ret_why = NULL;
	return 0;
}

/* ---- the socket ---- */

int
message_write(int sock, const struct message *m, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = m->packet.data, .iov_len = m->packet.len};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (m->error < 0)
		return m->error;
	if (fd >= 0) {
		struct cmsghdr *c;

		h.msg_control = control.space;
		h.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (sendmsg(sock, &h, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return errno == EWOULDBLOCK  ? -EAGAIN
			       : errno == ECONNRESET ? -EPIPE
						     : -errno;
	return 0;
}

/* Takes the first descriptor out of the control data and closes any other. */
static int
take_fds(struct msghdr *h)
{
	int first = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (first < 0)
				first = fd;
			else
				(void)close(fd);
		}
	}
	return first;
}

int
message_read(int sock, struct message **ret, int *ret_fd)
{
	static char packet[MESSAGE_MAX + 1]; /* one packet at a time; wiped after each */
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof(packet)};
	struct msghdr h = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof(control.space)};
	struct message *m = NULL;
	int fd, r = 1;
	ssize_t n;

	/* An end that is closed with packets unread resets the connection. That is told once and ahead
	 * of what this end sent last, which still waits here. */
	while ((n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC)) < 0)
		if (errno != EINTR && errno != ECONNRESET)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	fd = take_fds(&h);
	if (n == 0) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	if (n < HEADER || n > MESSAGE_MAX || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		r = -EPROTO;
	} else {
		m = message_new(0);
		if (m == NULL)
			r = -ENOMEM;
		else {
			m->packet.len = 0;
			if (buf_append(&m->packet, packet, (size_t)n) < 0) {
				m = message_free(m);
				r = -ENOMEM;
			}
		}
	}
	mem_wipe(packet, (size_t)n);
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	*ret = m;
	*ret_fd = fd;
	return 1;
}
