/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * captured.c: see captured.h. queue tells of each message as it stores it (messages.def, CAPTURED);
 * whoever waits longer than one request may last asks again from the same mark, since messages need not
 * be stored in the order of their ids, and leaves out what it knows.
 */
#include "admin/captured.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "admin/verbs.h"

enum { MICROSECONDS = 1000000 };

/* ---- marks ---- */

static int
take_mark(void *arg, const struct message *m)
{
	if (message_type(m) == M_CAPTURED_MARK)
		*(uint64_t *)arg = message_u64(m, F_ID, 0);
	return EX_OK;
}

int
captured_mark(const struct cli *cli, uint64_t *ret)
{
	struct message *request = message_new(M_CAPTURED);

	*ret = 0;
	message_put_u64(request, F_ID, UINT64_MAX >> 1); /* no message is above it */
	return link_ask(cli, ROLE_QUEUE, CAPTURED_PATIENCE, request, take_mark, ret, NULL);
}

void
captured_mark_text(uint64_t mark, char ret[CAPTURED_MARK_SIZE])
{
	time_t seconds = (time_t)(mark / MICROSECONDS);
	char whole[24] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret, CAPTURED_MARK_SIZE, "%s.%06uZ", whole, (unsigned)(mark % MICROSECONDS));
}

/* The digits of a fraction of a second, as microseconds; *s becomes what is behind them. */
static uint64_t
read_fraction(const char **s)
{
	uint64_t fraction = 0, unit = MICROSECONDS / 10;

	for (; **s >= '0' && **s <= '9'; (*s)++, unit /= 10)
		fraction += (uint64_t)(**s - '0') * unit;
	return fraction;
}

static int
parse_id(const char *text, uint64_t *ret)
{
	size_t len = strspn(text, "0123456789abcdefABCDEF");

	*ret = 0;
	if (len == 0 || len > 16 || text[len] != '\0')
		return -EINVAL;
	return sscanf(text, "%" SCNx64, ret) == 1 ? 0 : -EINVAL;
}

int
captured_mark_parse(const char *text, uint64_t *ret)
{
	struct tm tm = {0};
	const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t fraction = 0;
	time_t t;

	if (at == NULL)
		return parse_id(text, ret);
	if (*at == '.') {
		at++;
		fraction = read_fraction(&at);
	}
	t = timegm(&tm);
	if (strcmp(at, "Z") != 0 || t < 0)
		return -EINVAL;
	*ret = (uint64_t)t * MICROSECONDS + fraction;
	return 0;
}

/* ---- messages ---- */

int
captured_open(struct captured *c, const struct cli *cli, uint64_t since, uint64_t end)
{
	*c = (struct captured){.cli = cli,
	    .follow = LINK_INIT,
	    .content = LINK_INIT,
	    .since = since,
	    .end = end,
	    .seen = json_object()};
	return link_open(&c->follow, cli, ROLE_QUEUE, CAPTURED_PATIENCE);
}

void
captured_close(struct captured *c)
{
	cleanup_link(&c->follow);
	cleanup_link(&c->content);
	json_decref(c->seen);
	json_decref(c->row);
	c->seen = c->row = NULL;
}

static int
ask(struct captured *c)
{
	struct message *m = message_new(M_CAPTURED);
	uint64_t now = link_clock();

	c->asked = true;
	message_put_u64(m, F_ID, c->since);
	if (c->end > now)
		message_put_u64(m, F_WAIT, (c->end - now) / 1000 + 1);
	return link_send(&c->follow, m);
}

/* One packet. *ret is the message that it completes. */
static int
take(struct captured *c, const struct message *m, json_t **ret)
{
	int status = EX_OK;

	switch (message_type(m)) {
	case M_CAPTURED_MARK:
		c->removed = message_u64(m, F_REMOVED, 0);
		c->known = true;
		c->listing = !c->listing; /* it stands before and behind what there was */
		return EX_OK;
	case M_QUEUE_DONE:
		c->asked = c->listing = false;
		c->through = link_clock() >= c->end;
		return link_done(c->cli, m);
	case M_ROW_MESSAGE:
		json_decref(c->row);
		status = verb_queue_row(m, &c->row);
		c->left = message_u64(m, F_COUNT, 0);
		break;
	case M_ROW_RECIPIENT:
		if (c->row == NULL || c->left == 0)
			return EX_OK;
		status = verb_queue_recipient(m, c->row);
		c->left--;
		break;
	default:
		return EX_OK;
	}
	if (status != EX_OK || c->left > 0)
		return status;
	if (json_object_get(c->seen, cli_text(c->row, "id")) != NULL) {
		json_decref(c->row);
	} else {
		(void)json_object_set_new(c->seen, cli_text(c->row, "id"), json_true());
		*ret = c->row;
	}
	c->row = NULL;
	return EX_OK;
}

int
captured_next(struct captured *c, uint64_t until, json_t **ret)
{
	int status = EX_OK;

	*ret = NULL;
	while (status == EX_OK && *ret == NULL && !c->through) {
		CLEANUP_MESSAGE struct message *m = NULL;

		if (!c->asked)
			status = ask(c);
		/* what is there already counts, however short the time */
		if (status != EX_OK ||
		    (c->known && !c->listing && link_wait(c->follow.sock, until) == 0))
			break;
		status = link_receive(&c->follow, &m);
		if (status == EX_OK)
			status = take(c, m, ret);
	}
	return status;
}

static int
take_content(void *arg, const struct message *m)
{
	size_t len;
	const uint8_t *bytes = message_bytes(m, F_BODY, &len);

	return message_type(m) != M_CONTENT || buf_append(arg, (const char *)bytes, len) == 0
		   ? EX_OK
		   : EX_OSERR;
}

int
captured_content(struct captured *c, const char *id, struct buf *out)
{
	struct message *m = message_new(M_CONTENT_GET);
	int status = EX_OK;

	message_put_str(m, F_QUEUE_ID, id);
	if (c->content.sock < 0)
		status = link_open(&c->content, c->cli, ROLE_QUEUE, CAPTURED_PATIENCE);
	if (status != EX_OK) {
		(void)message_free(m);
		return status;
	}
	return link_list(&c->content, m, take_content, out, NULL);
}
