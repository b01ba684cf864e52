/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* inbound.c: see inbound.h. */
#include "broker/queue/inbound/inbound.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/queue/inbound/connection.h"
#include "broker/queue/inbound/drop.h"
#include "broker/queue/inbound/handover.h"
#include "broker/queue/inbound/newaliases.h"
#include "broker/queue/inbound/usage.h"

static void
on_crowded(void *arg)
{
	struct inbound *in = arg;

	connections_trim(in->connections);
}

struct inbound *
inbound_new(const struct inbound_deps *deps, int drop)
{
	struct inbound *in = calloc(1, sizeof(*in));

	if (in == NULL)
		return NULL;
	*in = (struct inbound){.role = deps->role,
	    .base = deps->base,
	    .spool = deps->spool,
	    .commit = deps->commit,
	    .space = deps->space,
	    .clock = deps->clock,
	    .users = deps->users,
	    .log = deps->log,
	    .accounts = deps->accounts,
	    .services = deps->services,
	    .ops = deps->ops,
	    .ops_arg = deps->ops_arg,
	    .diag = -1};
	in->usages = usages_new(on_crowded, in);
	in->handover = handover_new(in);
	in->newaliases = newaliases_new(role_main_channel(in->role));
	in->connections = connections_new(in);
	if (drop >= 0)
		in->drop = drop_new(in, drop);
	/* Without memory the role does not start, and its process ends. */
	return in->usages == NULL || in->handover == NULL || in->newaliases == NULL ||
		       in->connections == NULL || (drop >= 0 && in->drop == NULL)
		   ? NULL
		   : in;
}

void
inbound_configure(struct inbound *in, const struct queue_settings *s)
{
	bool first = in->settings == NULL;

	in->settings = s;
	if (first && in->drop != NULL)
		drop_scan(in->drop);
	connections_reconfigure(in->connections);
	handover_prepare(in);
}

int
inbound_listen(struct inbound *in, const char *name, const char *of, int fd)
{
	if (strcmp(name, "submit") == 0)
		return connections_listen(in->connections, fd, of, NULL);
	if (strcmp(name, "listener") == 0)
		return connections_listen(in->connections, fd, NULL, of);
	if (strcmp(name, "sock-diag") != 0)
		return -ENOENT;
	if (in->diag >= 0)
		(void)close(in->diag);
	in->diag = fd;
	return 0;
}

void
inbound_tls_answer(struct inbound *in, const struct message *m, int fd)
{
	handover_answer(in, m, fd);
}

void
inbound_aliases_result(struct inbound *in, const struct message *m)
{
	newaliases_result(in->newaliases, m);
}

void
inbound_tls_peer(struct inbound *in, bool up)
{
	handover_peer(in, up);
}

void
inbound_stop(struct inbound *in)
{
	in->stopping = true;
	connections_stop(in->connections);
}

size_t
inbound_connections(const struct inbound *in)
{
	return connections_count(in->connections);
}

size_t
inbound_aside(const struct inbound *in)
{
	return in->drop == NULL ? 0 : drop_aside(in->drop);
}

uint64_t
inbound_refused(const struct inbound *in)
{
	return in->refused;
}
