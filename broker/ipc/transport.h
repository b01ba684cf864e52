/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * transport.h: what a role that carries mail out (send, post) has from its owner: the ways to the other roles. In the
 * program these are role.h's; in the tests a double plays the other side.
 */
#ifndef FRANK_BROKER_IPC_TRANSPORT_H
#define FRANK_BROKER_IPC_TRANSPORT_H

#include "broker/ipc/message.h"

struct transport_ops {
	/* An answer to queue. The message is taken; NULL where memory was out for it: then this role must end, which
	 * queue takes for an interrupted attempt. */
	void (*to_queue)(void *arg, struct message *m);
	/* CREDENTIAL_GET. The message is taken. False: there is no keeper now, or it has too much to do; the role is
	 * told when it can be asked. */
	bool (*to_keeper)(void *arg, struct message *m);
	/* The role was told to shut down, and everything is answered and closed. */
	void (*idle)(void *arg);
};

#endif
