/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * hand.h: hands the configuration to a role, as the messages CONF_BEGIN to CONF_END.
 *
 * Each role gets what it needs and no more: only the keeper gets the accounts' secrets, only the
 * network roles get files of trusted certificates, the services go to those that answer callers,
 * and a listener's own certificate and key to the role that ends TLS, which knows of nothing else.
 */
#ifndef FRANK_BROKER_MAIN_HAND_H
#define FRANK_BROKER_MAIN_HAND_H

#include "broker/ipc/channel.h"
#include "broker/main/settings.h"

enum hand_phase {
	HAND_BEGIN,
	HAND_ALIASES,
	HAND_ACCOUNTS,
	HAND_SERVICES,
	HAND_LISTENERS,
	HAND_NOTIFY, /* to queue the block, to post the webhooks */
	HAND_END,
	HAND_DONE
};

/* How far the handing to one role has come. */
struct hand {
	const struct settings *settings; /* borrowed */
	enum hand_phase phase;
	size_t at;
	unsigned part; /* of an account: itself, then its files */
};

/* Begins from the start, also when an older configuration is half handed over. */
void hand_start(struct hand *h, const struct settings *s);

/* Sends until all is sent (0) or the channel is full (-EAGAIN: to be called again when it is
 * writable). Other negative errno: the role cannot have it. */
int hand_run(struct hand *h, enum role_id role, struct channel *c);

/* KEY_ANSWER: an account's key, certificate and secret as their files hold them now. */
struct message *hand_key_answer(const struct settings *s, uint64_t id, const char *account);
/* CONF_ALIASES, to be sent with the descriptor of its text, or -1 for none. 0; negative errno, also in *ret_fd:
 * then the message is only to be freed. */
int hand_aliases(const struct settings *s, struct message **ret, int *ret_fd);

/* Does every account, service and listener fit into a message? 0; -EINVAL with a sentence each in `report`;
 * -ENOMEM. */
int hand_check(const struct settings *s, struct buf *report);

#endif
