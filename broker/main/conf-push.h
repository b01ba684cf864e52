/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * conf-push.h: sends the configuration to a role, as the messages CONF_BEGIN to CONF_END (conf/wire.h).
 *
 * keys.def says what each role is sent: only the keeper gets the accounts' secrets, only the network roles get files of trusted
 * certificates, the services go to those that answer callers, and a listener's certificate and key to the role that ends TLS, which
 * knows of nothing else.
 */
#ifndef FRANK_BROKER_MAIN_CONF_PUSH_H
#define FRANK_BROKER_MAIN_CONF_PUSH_H

#include "broker/conf/conf.h"
#include "broker/ipc/channel.h"
#include "broker/main/settings.h"

enum conf_push_phase {
	CONF_PUSH_BEGIN,
	CONF_PUSH_ALIASES,
	CONF_PUSH_BLOCKS,
	CONF_PUSH_END,
	CONF_PUSH_DONE
};

/* How far the sending to one role has come. */
struct conf_push {
	const struct settings *settings; /* borrowed */
	enum conf_push_phase phase;
	enum conf_block block;
	size_t at;   /* of the blocks of this kind */
	size_t file; /* 0: the block itself is next; else its files, see wire_next_file */
};

/* Begins from the start, also when an older configuration is half sent. */
void conf_push_start(struct conf_push *p, const struct settings *s);

/* Sends until all is sent (0) or the channel is full (-EAGAIN: to be called again when it is writable). Other negative errno: the role
 * cannot have it. */
int conf_push_run(struct conf_push *p, enum role_id role, struct channel *c);

/* KEY_ANSWER: an account's key, certificate and secret as their files hold them now. */
struct message *conf_push_key_answer(const struct settings *s, uint64_t id, const char *account);
/* CONF_ALIASES, to be sent with the descriptor of its text, or -1 for none. 0; negative errno, also in *ret_fd: then the message is
 * only to be freed. */
int conf_push_aliases(const struct settings *s, struct message **ret, int *ret_fd);

#endif
