/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * control.c: control.sock, where `frank` asks about messages and accounts and acts on them
 * (messages.def, CLIENT to QUEUE).
 *
 * An answer may be longer than a channel takes at once, and longer than others should wait for, so
 * each request is a cursor over rows that goes on in steps (scan.h): it sends until the channel is
 * full or the step is over, and pauses until there is room. One request at a time per client; the
 * next is read after it.
 */
#include "broker/queue/control/control-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

static const struct places_config places_config = {
    .most = 64, .kept = 16, .most_each = 8, .idle_seconds = 15 * 60};

/* ---- answers ---- */

void
control_forget_explanation(struct client *c)
{
	free(c->who_groups);
	free(c->who_socket);
	free(c->sender);
	free(c->recipient);
	c->who_groups = NULL;
	c->who_socket = c->sender = c->recipient = NULL;
}

void
control_end(struct client *c)
{
	c->kind = CURSOR_NONE;
	free(c->account);
	free(c->service);
	control_forget_explanation(c);
	c->account = c->service = NULL;
	c->action = action_walk_free(c->action);
	if (c->check != NULL)
		check_forget(TAKE_PTR(c->check));
	c->count = c->at = c->row = 0;
	c->sent = 0;
	channel_pause(c->channel, false);
}

int
control_send_done(struct client *c, const char *error, int status, const char *text)
{
	struct message *m = message_new(M_QUEUE_DONE);

	message_put_str(m, F_ERROR, error);
	message_put_u64(m, F_EXIT, (uint64_t)status);
	message_put_u64(m, F_COUNT, c->sent);
	message_put_str(m, F_TEXT, text);
	return channel_send(c->channel, m, -1);
}

void
control_fail(struct client *c, const char *error, int status)
{
	(void)control_send_done(c, error, status, NULL);
	control_end(c);
}

/* ---- cursors ---- */

static int
choose(void *arg, const struct spool_row *g)
{
	struct client *c = arg;

	struct mail_owner owner = control_owner(c);

	if (g->open &&
	    mail_owner_has(&owner, &c->control->q->services, g->uid, g->flags, g->service) &&
	    (c->account == NULL || strcmp(c->account, g->account) == 0) &&
	    (c->service == NULL || strcmp(c->service, g->service) == 0) && g->received <= c->before)
		c->ids[c->count++] = g->id;
	return c->count == SCAN_MESSAGES;
}

/* The next part of what the cursor goes over: 1, 0 when it is through, or negative errno. */
static int
next_part(struct client *c)
{
	int r;

	c->at = c->count = 0;
	switch (c->kind) {
	case CURSOR_LIST:
		if (c->after == UINT64_MAX)
			return 0;
		r = spool_scan(c->control->q->spool, &c->after, SCAN_ROWS, choose, c);
		if (r == 0)
			c->after = UINT64_MAX;
		return r < 0 ? r : 1;
	case CURSOR_PROBLEMS:
		c->kind = CURSOR_ACCOUNTS;
		c->count = c->control->q->accounts.count;
		return 1;
	case CURSOR_ACCOUNTS:
		c->kind = CURSOR_SERVICES;
		c->count = c->control->q->services.count;
		return 1;
	default:
		return 0;
	}
}

void
control_finish(struct client *c)
{
	bool missing = c->kind == CURSOR_SHOW && c->sent == 0;
	int r = missing ? control_send_done(c, "There is no such message.", EX_NOINPUT, NULL)
			: control_send_done(c, NULL, EX_OK, NULL);

	if (r != -EAGAIN)
		control_end(c);
}

static bool
is_cursor(const struct client *c)
{
	return c->kind != CURSOR_NONE && c->kind < CURSOR_ACTION;
}

/* Sends the rows of one part. */
static bool
step(void *arg)
{
	struct client *c = arg;
	int r = 0;

	if (!is_cursor(c))
		return false;
	for (int i = 0; i < SCAN_MESSAGES && c->at < c->count; i++) {
		if (c->most > 0 && c->sent >= c->most)
			break;
		/* there has to stay room for the end of the answer; on_writable goes on */
		if (channel_is_busy(c->channel))
			return false;
		r = c->kind == CURSOR_LIST || c->kind == CURSOR_SHOW ? control_rows_of_message(c)
		    : c->kind == CURSOR_EXPLAIN                      ? control_row_of_explanation(c)
								     : control_row_of_status(c);
		if (r == -EAGAIN)
			return false; /* on_writable goes on */
		if (r < 0) {
			control_fail(c, "The spool cannot be read.", EX_IOERR);
			return false;
		}
		c->at++;
		c->row = 0;
	}
	if (c->at < c->count && (c->most == 0 || c->sent < c->most))
		return true;
	r = c->most > 0 && c->sent >= c->most ? 0 : next_part(c);
	if (r < 0)
		control_fail(c, "The spool cannot be read.", EX_IOERR);
	else if (r == 0)
		control_finish(c);
	return r > 0;
}

static void
go_on(struct client *c)
{
	if (is_cursor(c))
		scan_begin(c->control->q->scans, &c->scan, step, c);
}

/* ---- clients ---- */

static void
client_free(struct client *c)
{
	struct control *k = c->control;

	for (struct client **at = &k->clients; *at != NULL; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	place_leave(&c->place);
	scan_end(&c->scan);
	(void)action_walk_free(c->action);
	if (c->check != NULL)
		check_forget(c->check);
	free(c->account);
	free(c->service);
	control_forget_explanation(c);
	free(c->peer.groups);
	(void)channel_free(c->channel);
	free(c);
}

static void
on_message(void *arg, struct channel *channel, const struct message *m, int fd)
{
	struct client *c = arg;

	if (fd >= 0)
		(void)close(fd);
	place_touch(&c->place);
	channel_pause(channel, true);
	c->sent = 0;
	if ((c->rights & CALLER_MAY_SEE_OWN) != 0)
		control_ask(c, m);
	else
		control_fail(c, "Frank answers nothing to this user.", EX_NOPERM);
	go_on(c);
}

static void
on_closed(void *arg, struct channel *channel)
{
	client_free(arg);
}

static void
on_writable(void *arg, struct channel *channel)
{
	struct client *c = arg;

	place_touch(&c->place);
	go_on(c);
}

static const struct channel_ops client_ops = {
    .message = on_message, .closed = on_closed, .writable = on_writable};

bool
control_is_admin(const struct client *c)
{
	return (c->rights & CALLER_MAY_ADMINISTER) != 0;
}

struct mail_owner
control_owner(const struct client *c)
{
	return (struct mail_owner){
	    .uid = (c->rights & CALLER_MAY_SEE_ALL) != 0 ? -1 : (int64_t)c->peer.uid};
}

static int
take_identity(struct client *c, int fd)
{
	int r = caller_peer_of(fd, &c->peer);

	if (r == 0)
		c->rights = caller_rights(
		    CALLER_CONTROL, caller_kind(&c->peer, geteuid(),
					settings_admin_group(c->control->q->settings)));
	return r;
}

/* An answer of rows waits for nobody but the client. */
static bool
place_is_idle(const struct place *p)
{
	const struct client *c = (const struct client *)p;

	return c->kind == CURSOR_NONE || (is_cursor(c) && !scan_is_under_way(&c->scan));
}

static void
place_end(struct place *p)
{
	client_free((struct client *)p);
}

static const struct places_ops places_ops = {place_is_idle, place_end};

static void
serve(struct control *k, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->control = k;
	if (take_identity(c, fd) < 0 ||
	    !place_take(&k->places, &c->place, k->q->base, c->peer.uid, c->rights)) {
		(void)close(fd);
		free(c->peer.groups);
		free(c);
		return;
	}
	c->next = k->clients;
	k->clients = c;
	c->channel = channel_new(k->q->base, fd, ROLE_QUEUE, ROLE_CLIENT, &client_ops, c);
	if (c->channel == NULL)
		client_free(c);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client >= 0)
		serve(arg, client);
}

struct control *
control_new(struct queue *q)
{
	struct control *k = calloc(1, sizeof(*k));

	if (k != NULL) {
		k->q = q;
		k->fd = -1;
		places_init(&k->places, q->users, &places_config, &places_ops);
	}
	return k;
}

int
control_listen(struct control *k, int fd)
{
	if (k->readable != NULL) {
		(void)close(fd);
		return -EBUSY;
	}
	k->fd = fd;
	(void)evutil_make_socket_nonblocking(fd);
	k->readable = event_new(k->q->base, fd, EV_READ | EV_PERSIST, on_accept, k);
	return k->readable == NULL || event_add(k->readable, NULL) < 0 ? -ENOMEM : 0;
}
