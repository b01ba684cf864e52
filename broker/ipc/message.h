/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * message.h: one typed packet: built, checked against messages.def, read, and carried over a
 * SOCK_SEQPACKET socket.
 *
 * Packet: u16 type, u16 zero, then fields; a field is u16 number, u16 zero, u32 length, then that
 * many octets. Host byte order: both ends are programs of one build on one machine. A packet is at
 * most MESSAGE_MAX octets.
 */
#ifndef FRANK_BROKER_IPC_MESSAGE_H
#define FRANK_BROKER_IPC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"

enum { MESSAGE_MAX = 64 * 1024, MESSAGE_BODY_MAX = 30 * 1024, MESSAGE_TABLE_HASH = 8 };

enum role_id {
	ROLE_MAIN,
	ROLE_QUEUE,
	ROLE_KEEPER,
	ROLE_FETCH,
	ROLE_SEND,
	ROLE_POST,
	ROLE_TLS,
	ROLE_CLIENT,
	ROLE_COUNT
};

/* "main", "queue", ...; never NULL. */
const char *message_role_name(enum role_id role);

enum field {
#define FIELD(name, number, type) F_##name = (number),
#define MESSAGE(...)
#include "broker/ipc/messages.def"
#undef FIELD
#undef MESSAGE
};

enum message_type {
#define FIELD(...)
#define MESSAGE(name, number, ...) M_##name = (number),
#include "broker/ipc/messages.def"
#undef FIELD
#undef MESSAGE
};

struct message;

/* A new, empty message of this type; NULL when memory is out. */
struct message *message_new(enum message_type type);
/* Wipes and frees. Takes NULL; returns NULL. */
struct message *message_free(struct message *m);
static inline void
cleanup_message(struct message **m)
{
	(void)message_free(*m);
}
#define CLEANUP_MESSAGE CLEANUP(cleanup_message)

enum message_type message_type(const struct message *m);
const char *message_type_name(enum message_type type);

/* Writers. Errors (packet full, memory, a field of another type) are kept in the message and
 * returned when it is sent. A NULL string or secret adds nothing. */
void message_put_u64(struct message *m, enum field f, uint64_t value);
void message_put_str(struct message *m, enum field f, const char *s);
void message_put_strn(struct message *m, enum field f, const char *s, size_t len);
void message_put_bytes(struct message *m, enum field f, const void *bytes, size_t len);
void message_put_secret(struct message *m, enum field f, const struct secret *s);
/* 0, or the first error of the writers: -EMSGSIZE, -ENOMEM, -EINVAL. */
int message_error(const struct message *m);

/* Readers, for messages that passed message_check. Pointers are borrowed while the message lives.
 */
bool message_has(const struct message *m, enum field f);
uint64_t message_u64(const struct message *m, enum field f, uint64_t absent);
const char *message_str(const struct message *m, enum field f); /* NULL where absent */
const uint8_t *message_bytes(
    const struct message *m, enum field f, size_t *len); /* NULL where absent */
struct secret *message_secret(
    const struct message *m, enum field f); /* a new secret; NULL where absent or no memory */

/* Walks a repeated field: *at starts at 0; false at the end. `len` leaves out the NUL of a STR. */
bool message_next(
    const struct message *m, enum field f, size_t *at, const uint8_t **bytes, size_t *len);
bool message_next_str(const struct message *m, enum field f, size_t *at, const char **s);
bool message_next_u64(const struct message *m, enum field f, size_t *at, uint64_t *value);

/* Is this packet one that `from` may send to `to`, with the fields that the table lists? 0, or
 * -EPROTO with a constant sentence in *ret_why. `has_fd`: a descriptor came with it. */
int message_check(
    const struct message *m, enum role_id from, enum role_id to, bool has_fd, const char **ret_why);

/* One packet out of or into a socket. A secret-bearing packet is wiped from the buffers used here.
 * `fd` (-1: none) is borrowed. Blocking or not is the socket's own. 0; -EAGAIN; -EPIPE; other
 * negative errno. */
int message_write(int sock, const struct message *m, int fd);
/* 1 with *ret and *ret_fd (-1: none; the caller's); 0 at the end of file; -EAGAIN; -EPROTO for no
 * packet of ours; other errno. */
int message_read(int sock, struct message **ret, int *ret_fd);

/* Hash of messages.def as this program was built. */
extern const uint8_t message_table_hash[MESSAGE_TABLE_HASH];

#endif
