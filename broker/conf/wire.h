/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * wire.h: the blocks of the configuration as messages: main makes them, a role takes them. Both work by keys.def, which says
 * which role is sent which member.
 *
 * A configuration is CONF_BEGIN, CONF_BLOCK..., CONF_END. A CONF_BLOCK names its block and has a field SETTING for each
 * member, or each item of a list: one octet, the index of the member among the block's keys, and the value, a text without
 * its NUL, a number as it lies in memory (both ends are programs of one build), a secret's octets. A member that is zero or
 * NULL is left out. The files of a block follow it, a CONF_FILE each with the file's descriptor.
 */
#ifndef FRANK_BROKER_CONF_WIRE_H
#define FRANK_BROKER_CONF_WIRE_H

#include "broker/conf/conf.h"
#include "broker/ipc/message.h"

/* What the role is sent of the block at `of`. An error is kept in the message; one is -EMSGSIZE, where lists are too long. */
struct message *wire_message(enum conf_block block, const void *of, enum role_id role);

/* Is the role sent anything of such a block? */
bool wire_role_has(enum role_id role, enum conf_block block);

/* The next file of the block that the role is sent and that is configured: *at counts keys, from 0; NULL at the end. *ret is
 * the CONF_FILE. */
const char *wire_next_file(
    enum conf_block block, const void *of, enum role_id role, size_t *at, struct message **ret);

/*
 * Takes a CONF_BLOCK or CONF_FILE into `c`: a block with a title becomes the last of its array. `fd` (-1: none) is borrowed.
 * 0; -ENOMEM; -EPROTO for a message that main would not make. A file that cannot be read is no error: conf_file.unreadable.
 */
int wire_take(struct conf *c, enum role_id role, const struct message *m, int fd);

/*
 * A configuration as it arrives, CONF_BEGIN to CONF_END, for a role that takes it whole or not at all. *coming is NULL before
 * and belongs to the caller. 1: this was its end, and *coming is whole; 0: it goes on; negative errno: something of it was lost,
 * and then at its end, when the role keeps what it has, -EPROTO. `fd` as above. Other messages are passed over (0).
 */
int wire_collect(struct conf **coming, enum role_id role, const struct message *m, int fd);

#endif
