/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* returned.c: see returned.h. */
#include "broker/queue/inbound/returned.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/address.h"
#include "base/header.h"
#include "broker/queue/spool/message-log.h"
#include "broker/queue/inbound/body.h"
#include "broker/queue/inbound/drop-file.h"
#include "broker/queue/inbound/envelope.h"
#include "broker/message/fields.h"
#include "broker/queue/accounts/verdict.h"
#include "broker/queue/inbound/entrance.h"
#include "broker/queue/inbound/submission.h"
#include "broker/queue/inbound/usage.h"

enum {
	HOUR_MS = 3600 * 1000,
	HEADER_LOOK = 16 * 1024, /* octets in which Subject and Message-ID are looked for */
	SUBJECT_MAX = 200,
	EXTENSIONS = SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_DSN | SMTP_EXT_XFRANK |
		     SMTP_EXT_SIZE | SMTP_EXT_REQUIRETLS,
};

static const char others[] = "550 5.0.0 Nothing of this message was sent, since another of its "
			     "recipients was refused";

struct returned {
	struct commit_op op;
	struct inbound *in;
	int fd;
	struct caller caller;
	struct usage *usage;
	char reply[600];
	size_t recipient;
	struct event *start;
	enum {
		RETURNED_READY,
		RETURNED_ASKING, /* for the user's name */
		RETURNED_QUEUED, /* on its way to the disk */
	} state;
	bool known; /* it was returned, or stored, before */
	struct spool_message *message, *report;
	struct service *service;
	char *own;           /* the user's own address */
	returned_done *done; /* NULL: nobody waits any more */
	void *arg;
	/* the content as it is written */
	struct body body;
	uint64_t file_size;
	uint64_t header_size;                                /* once in PART_BODY */
	size_t line;                                         /* octets of the line so far */
	enum { PART_ENVELOPE, PART_HEADER, PART_BODY } part; /* of the file that is read */
	bool brief;  /* a report says it all: the whole content is not needed */
	bool enough; /* ... and was not read to its end */
};

/* ---- who gets the report, and by which way ---- */

static bool
can_report(const struct queue_account *a)
{
	return a != NULL && a->configured;
}

/* An account for what no service answers for. */
static struct queue_account *
any_account(struct inbound *in)
{
	const struct conf_strings *names = &in->settings->conf->notify.mail_accounts;

	for (size_t i = 0; i < names->count; i++) {
		struct queue_account *a = accounts_find(in->accounts, names->items[i]);

		if (can_report(a))
			return a;
	}
	for (size_t i = 0; i < in->services->count; i++)
		if (in->services->list[i]->policy.mode != CONF_MODE_CAPTURE &&
		    in->services->list[i]->account_count > 0)
			return in->services->list[i]->accounts[0];
	return NULL;
}

static int
copy_to(char **to, const char *text)
{
	free(*to);
	*to = text == NULL ? NULL : strdup(text);
	return text != NULL && *to == NULL ? -ENOMEM : 0;
}

/* The account, the envelope's sender and the address of the report. `given`: the sender that the
 * caller named, NULL where it named none. */
static int
choose_way(struct inbound *in, const struct service *v, const char *given, const char *own,
    struct spool_message *m)
{
	struct policy_claim claim = {.envelope = given == NULL    ? POLICY_ENVELOPE_CALLER
						 : *given == '\0' ? POLICY_ENVELOPE_NULL
								  : POLICY_ENVELOPE_GIVEN,
	    .sender = given,
	    .caller = own};
	struct policy_decision d = {.refused = ""};
	const struct queue_account *a = v != NULL && v->account_count > 0 ? v->accounts[0] : NULL;
	int r;

	if (v != NULL)
		service_decide(v, &claim, &d);
	if (d.refused == NULL)
		a = accounts_find(in->accounts, d.account->name);
	else if (v == NULL)
		a = any_account(in);
	r = copy_to(&m->account, a == NULL ? "" : a->name);
	if (r == 0)
		r = copy_to(&m->sender, given != NULL ? given : own);
	if (r == 0)
		r = copy_to(&m->return_to, d.refused == NULL ? d.return_to : own);
	return r;
}

/* What becomes of the recipients: those of which a report is made (`which`, room for all) are counted.
 * False where somebody has to see the message in the queue. */
static bool
settle_recipients(const struct inbound *in, struct queue_account *a, struct spool_message *m,
    size_t *which, size_t *ret)
{
	bool settled = true;

	*ret = 0;
	for (size_t i = 0; i < m->count; i++) {
		struct spool_recipient *r = &m->recipients[i];

		r->state = can_report(a) ? in->ops->refused_state(in->ops_arg, m, r) : SPOOL_FAILED;
		settled = settled && r->state == SPOOL_BOUNCED;
		if (r->state == SPOOL_BOUNCED && in->ops->is_report_wanted(in->ops_arg, m, r))
			which[(*ret)++] = i;
	}
	return settled;
}

/* A report where one is to be made, and the recipients' states. *ret stays NULL where none is. */
static int
make_report(struct inbound *in, struct spool_message *m, struct spool_message **ret)
{
	struct queue_account *a = m->account == NULL || *m->account == '\0'
				      ? NULL
				      : accounts_find(in->accounts, m->account);
	size_t *which = calloc(m->count + 1, sizeof(*which)), n;

	*ret = NULL;
	if (which == NULL)
		return -ENOMEM;
	(void)settle_recipients(in, a, m, which, &n);
	if (n > 0)
		*ret = in->ops->make_report(in->ops_arg, a, m, which, n);
	free(which);
	return n > 0 && *ret == NULL ? -ENOMEM : 0;
}

static bool
is_settled(const struct spool_message *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->recipients[i].state != SPOOL_BOUNCED)
			return false;
	return true;
}

/* ---- reading the file ---- */

static int
take_mail(void *arg, const char *argument, size_t len)
{
	struct returned *x = arg;
	struct spool_message *m = x->message;
	char sender[ADDRESS_MAX + 1];
	struct smtp_mail_params p;
	const char *why;
	CLEANUP_FREE char *given = NULL;

	/* What cannot be read as an address is nobody's: its user gets the report. */
	if (smtp_mail_parse(argument, len, EXTENSIONS, sender, &p, &why) != 0)
		p = (struct smtp_mail_params){.caller = true};
	if (!p.caller) {
		given = *sender == '\0' ? strdup("") : local_qualify(x->in->settings, sender);
		if (given == NULL)
			return -ENOMEM;
	}
	(void)snprintf(m->submission, sizeof(m->submission), "%s", p.submission_id);
	m->ret = p.ret;
	if (copy_to(&m->envid, p.envid) < 0)
		return -ENOMEM;
	return choose_way(x->in, x->service, given, x->own, m);
}

/* The address between the angle brackets, or what there is, where it is none. */
static void
read_address(const char *argument, size_t len, struct smtp_rcpt_params *p, struct buf *ret)
{
	char address[ADDRESS_MAX + 1];
	const char *why, *start = memchr(argument, '<', len);

	if (smtp_rcpt_parse(argument, len, EXTENSIONS, address, p, &why) == 0) {
		(void)buf_append_str(ret, address);
		return;
	}
	*p = (struct smtp_rcpt_params){0};
	start = start == NULL ? argument : start + 1;
	for (; start < argument + len && *start != '>' && ret->len < ADDRESS_MAX; start++)
		(void)buf_append_char(ret, (unsigned char)*start <= ' ' ? '?' : *start);
}

static int
take_rcpt(void *arg, const char *argument, size_t len)
{
	struct returned *x = arg;
	struct spool_message *m = x->message;
	CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX + 2);
	struct spool_recipient *all, *r;
	struct smtp_rcpt_params p;
	bool first = x->recipient == SIZE_MAX || m->count == x->recipient;
	struct smtp_reply_parser parser = {0};
	const char *reply = first ? x->reply : others;
	int e;

	/* The refused one is among these. More would say no more, and take the memory of all. */
	if (m->count > ENVELOPE_RECIPIENTS_MAX)
		return 0;
	if ((m->count & (m->count - 1)) == 0) {
		all = reallocarray(m->recipients, m->count == 0 ? 1 : m->count * 2, sizeof(*all));
		if (all == NULL)
			return -ENOMEM;
		m->recipients = all;
	}
	read_address(argument, len, &p, &address);
	r = &m->recipients[m->count];
	*r = (struct spool_recipient){.address = buf_take(&address),
	    .notify = p.notify,
	    .next = SPOOL_NEVER,
	    .at = clock_now(x->in->clock)};
	if (r->address == NULL)
		return -ENOMEM;
	m->count++;
	e = smtp_reply_parser_line(&parser, reply, strlen(reply));
	e = e < 0 ? e : smtp_reply_parser_take(&parser, SMTP_STAGE_NONE, &r->reply);
	smtp_reply_parser_free(&parser);
	return e;
}

/* Octets before the next that cannot stay as it is. */
static size_t
clean_run(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] != '\0' && bytes[n] != '\r' && bytes[n] != '\n')
		n++;
	return n;
}

/* 1 where this is as much as a report takes, and a report says it all. */
static int
put(struct returned *x, const char *bytes, size_t len)
{
	int r = body_write(&x->body, bytes, len);

	for (size_t i = 0; i < len && (x->message->flags & SPOOL_8BIT) == 0; i++)
		if ((unsigned char)bytes[i] >= 0x80)
			x->message->flags |= SPOOL_8BIT;
	return r < 0 ? r : x->brief && x->body.size > x->in->ops->original_max;
}

static int
end_line(struct returned *x)
{
	if (x->line == 0 && x->part == PART_HEADER) {
		x->part = PART_BODY;
		x->header_size = x->body.size;
	}
	x->line = 0;
	return put(x, "\r\n", 2);
}

/* A line that is too long goes on in the next one. */
static int
split_line(struct returned *x)
{
	int r = put(x, "\r\n ", x->part == PART_BODY ? 2 : 3);

	x->line = x->part == PART_BODY ? 0 : 1;
	return r;
}

/* Before the first octet of the content, when all recipients are known. */
static int
begin_content(struct returned *x)
{
	struct spool_message *m = x->message;
	size_t *which = calloc(m->count + 1, sizeof(*which)), n;

	if (which == NULL)
		return -ENOMEM;
	x->part = PART_HEADER;
	x->brief =
	    settle_recipients(x->in, accounts_find(x->in->accounts, m->account), m, which, &n);
	free(which);
	return x->brief || x->file_size <= x->in->settings->conf->size_max ? 0 : -EFBIG;
}

/* The content, fit to be returned: lines end in CRLF and are no longer than they may be, and there is
 * no NUL and no lone CR in it. */
static int
take_content(void *arg, const char *bytes, size_t len)
{
	struct returned *x = arg;
	int r = x->part == PART_ENVELOPE ? begin_content(x) : 0;

	for (size_t i = 0; i < len && r == 0;) {
		size_t n = clean_run(bytes + i, len - i), room = FIELDS_LINE_MAX - x->line;

		if (n > room)
			n = room;
		if (n == 0 && room == 0 && bytes[i] != '\n' && bytes[i] != '\r') {
			r = split_line(x);
			continue;
		}
		if (n > 0)
			r = put(x, bytes + i, n);
		else if (bytes[i] == '\n')
			r = end_line(x);
		x->line += n;
		i += n > 0 ? n : 1;
	}
	return r;
}

/* What a list shows of it. */
static int
read_subject(struct spool_message *m, const char *header, size_t len)
{
	struct header_field f;
	size_t at = 0;
	int r = 0;

	while (r == 0 && header_next(header, len, true, &at, &f) == 1) {
		const char *value = f.value;
		size_t n = f.value_len;
		char **to = header_is(&f, "Subject")      ? &m->subject
			    : header_is(&f, "Message-ID") ? &m->message_id
							  : NULL;

		while (n > 0 && (*value == ' ' || *value == '\t'))
			value++, n--;
		if (to == NULL || *to != NULL)
			continue;
		*to = strndup(value, fields_cut(value, n, SUBJECT_MAX));
		r = *to == NULL ? -ENOMEM : 0;
		for (char *c = *to; c != NULL && *c != '\0'; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				*c = ' ';
	}
	if (r == 0 && m->subject == NULL)
		r = copy_to(&m->subject, "");
	if (r == 0 && m->message_id == NULL)
		r = copy_to(&m->message_id, "");
	return r;
}

/* The message is complete: what it is goes into its row. */
static int
take_body(struct returned *x)
{
	struct spool_message *m = x->message;
	CLEANUP_BUF struct buf start = BUF_INIT(HEADER_LOOK);
	int r;

	m->id = x->body.id;
	m->received = (int64_t)(m->id / 1000000);
	m->size = x->enough ? x->file_size : x->body.size;
	m->header_size = x->part == PART_BODY ? x->header_size : x->body.size;
	m->flags |= SPOOL_REFUSED;
	r = body_start(&x->body, &start);
	if (r == 0)
		r = read_subject(m, buf_str(&start), start.len);
	if (r < 0)
		return r;
	if (x->body.fd >= 0) {
		m->flags |= SPOOL_BODY_FILE;
		commit_sync_bodies(x->in->commit);
		return spool_body_sync(x->body.fd);
	}
	m->body_len = x->body.small.len;
	m->body = strdup(buf_str(&x->body.small));
	return m->body == NULL ? -ENOMEM : 0;
}

/* ---- on record ---- */

static int
write_message(struct inbound *in, struct spool_message *m)
{
	bool keep = in->settings->conf->keep_transcripts > 0;
	int r = spool_insert(in->spool, m);

	for (size_t i = 0; i < m->count && r == 0; i++)
		r = spool_update_recipient(in->spool, m->id, i, &m->recipients[i]);
	if (r == 0)
		r = in->ops->settled(in->ops_arg, m);
	return r == 0 && is_settled(m) ? spool_finish(in->spool, m, clock_now(in->clock), keep) : r;
}

static int
insert_report(struct inbound *in, const struct spool_message *report)
{
	int r = spool_insert(in->spool, report);

	return r == 0 ? in->ops->stored(in->ops_arg, report) : r;
}

static int
returned_write(struct spool *spool, struct commit_op *op)
{
	struct inbound *in = op->arg;
	struct returned *x = (struct returned *)op;
	int r = write_message(in, x->message);

	/* the submission was stored, or returned, before */
	x->known = r == 1;
	if (r == 0 && x->report != NULL)
		r = insert_report(in, x->report);
	return r < 0 ? r : 0;
}

static void
log_returned(const struct returned *x)
{
	const struct spool_message *m = x->message;
	char uid[16], who[LOG_LIMIT_WHO_MAX];
	struct message_log l;

	usage_name(x->usage, who);
	(void)snprintf(uid, sizeof(uid), "%" PRIu32, x->caller.uid);
	for (size_t i = 0; i < m->count; i++) {
		CLEANUP_BUF struct buf reply = BUF_INIT(4096);

		verdict_reply_text(&m->recipients[i].reply, &reply);
		log_limited(x->in->log, who, is_settled(m) ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
		    x->report != NULL ? "A message that was handed in while frankd was down is "
					"refused and returned to its sender."
		    : is_settled(m)   ? "A message that was handed in while frankd was down is "
					"refused, and its sender wants no report."
				      : "A message that was handed in while frankd was down is "
					"refused, and nobody can be told; it waits for a person.",
		    message_log_pairs(&l, m,
			LOG_PAIRS({LOG_UID, uid}, {LOG_SENDER, m->sender},
			    {LOG_RECIPIENT, m->recipients[i].address},
			    {LOG_REPLY, buf_str(&reply)})));
	}
}

/* Who looks after this host should know, also where a report went to somebody. */
static void
tell(const struct returned *x)
{
	const struct spool_message *m = x->message;
	CLEANUP_BUF struct buf text = BUF_INIT(2048);

	(void)buf_printf(&text,
	    "Mail that user %" PRIu32 " handed in while frankd was down is refused: %s. %s",
	    x->caller.uid, x->reply,
	    is_settled(m) ? "It is returned to its sender."
			  : "It cannot be returned, and waits in the queue as failed.");
	x->in->ops->happened(x->in->ops_arg, INBOUND_REFUSED,
	    is_settled(m) ? "mail-returned" : "mail-failed", m->id, buf_str(&text),
	    is_settled(m) ? "See what the user may send: frank service explain"
			  : "Read it, then return it by a retry, or delete it: frank queue");
}

static void
returned_finish(struct commit_op *op, int r)
{
	struct inbound *in = op->arg;
	struct returned *x = (struct returned *)op;
	struct spool_message *report = x->report;
	bool stored = r == 0 && !x->known;

	x->state = RETURNED_READY;
	if (stored) {
		log_returned(x);
		tell(x);
		if (report != NULL)
			in->ops->wait(in->ops_arg, accounts_find(in->accounts, report->account),
			    report->service, report->next);
	} else if (report != NULL && (report->flags & SPOOL_BODY_FILE) != 0) {
		spool_body_remove(in->spool, report->id);
	}
	body_clear(&x->body, stored && !is_settled(x->message));
	if (x->done != NULL)
		x->done(x->arg, r);
	else
		(void)returned_free(x);
}

/* ---- the beginning ---- */

static void
fail(struct returned *x, int r)
{
	body_clear(&x->body, false);
	x->done(x->arg, r);
}

/* Has it to wait? */
static bool
has_to_wait(struct returned *x)
{
	uint64_t now = clock_ms();

	if (usage_wait(x->usage) > 0)
		return true;
	if (x->service == NULL &&
	    rate_limit_wait(&x->in->returned, RETURNED_PER_HOUR, HOUR_MS, now) > 0)
		return true;
	usage_message(x->usage);
	if (x->service == NULL)
		rate_limit_spend(&x->in->returned, HOUR_MS, (int64_t)now, 1);
	return false;
}

static int
read_file(struct returned *x)
{
	static const struct drop_file_ops ops = {take_mail, take_rcpt, take_content};
	struct stat st;
	int r = fstat(x->fd, &st) < 0 ? -errno : 0;

	x->file_size = r == 0 ? (uint64_t)st.st_size : 0;
	if (r == 0)
		r = drop_file_read(x->fd, &ops, x);
	x->enough = r == 1;
	if (r == 0 && x->part == PART_ENVELOPE)
		r = begin_content(x);
	return r < 0 ? r : take_body(x);
}

static void
on_user(void *arg, const struct user *u)
{
	struct returned *x = arg;
	struct inbound *in = x->in;
	struct policy_caller who = {u->uid, u->groups, u->group_count, NULL};
	size_t i = policy_match(in->services->policies, in->services->count, &who);
	int r;

	x->state = RETURNED_READY;
	x->service = i < in->services->count ? in->services->list[i] : NULL;
	if (has_to_wait(x)) {
		fail(x, -EAGAIN);
		return;
	}
	x->own = submission_user_address(in->settings, u);
	r = x->own == NULL ||
		    copy_to(&x->message->service, x->service == NULL ? "" : x->service->name) < 0
		? -ENOMEM
		: read_file(x);
	if (r == 0)
		r = make_report(in, x->message, &x->report);
	if (r < 0) {
		fail(x, r);
		return;
	}
	x->op = (struct commit_op){.write = returned_write, .done = returned_finish, .arg = in};
	x->state = RETURNED_QUEUED;
	commit_add(in->commit, &x->op);
}

static void
on_start(evutil_socket_t number, short what, void *arg)
{
	struct returned *x = arg;
	const struct user *u = users_get(x->in->users, x->caller.uid, on_user, x);

	if (u == NULL)
		x->state = RETURNED_ASKING;
	if (u != NULL)
		on_user(x, u);
}

struct returned *
returned_new(struct inbound *in, int fd, uint32_t uid, const struct returned_why *why,
    returned_done *done, void *arg)
{
	static const struct timeval now = {0, 0};
	struct returned *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	*x = (struct returned){.in = in,
	    .fd = fd,
	    .caller = {.uid = uid},
	    .recipient = why->recipient,
	    .done = done,
	    .arg = arg};
	(void)snprintf(x->reply, sizeof(x->reply), "%s", why->reply);
	body_init(&x->body, in->spool, in->clock);
	x->message = calloc(1, sizeof(*x->message));
	x->usage = usage_take(in, &x->caller);
	x->start = evtimer_new(in->base, on_start, x);
	if (x->message == NULL || x->usage == NULL || x->start == NULL) {
		body_clear(&x->body, false);
		return returned_free(x);
	}
	x->message->uid = uid;
	x->message->flags = SPOOL_OF_USER;
	x->message->expires = clock_now(in->clock) + in->settings->conf->lifetime;
	x->message->next = SPOOL_NEVER;
	(void)event_add(x->start, &now);
	return x;
}

struct returned *
returned_free(struct returned *x)
{
	if (x == NULL)
		return NULL;
	x->done = NULL;
	if (x->state == RETURNED_QUEUED)
		return NULL; /* returned_finish does it */
	if (x->state == RETURNED_ASKING)
		users_forget(x->in->users, x);
	usage_drop(x->usage);
	if (x->start != NULL)
		event_free(x->start);
	(void)spool_message_free(x->message);
	(void)spool_message_free(x->report);
	free(x->own);
	free(x);
	return NULL;
}

/* ---- another try ---- */

int
returned_again(struct inbound *in, struct spool_message *m, struct spool_message **ret_report)
{
	uint64_t id = m->id;
	const struct queue_account *a;
	int r;

	*ret_report = NULL;
	spool_message_clear(m);
	r = spool_load(in->spool, id, true, m);
	if (r < 0)
		return r;
	a = accounts_find(in->accounts, m->account);
	if (!can_report(a)) {
		a = any_account(in);
		r = copy_to(&m->account, a == NULL ? "" : a->name);
	}
	if (r == 0)
		r = make_report(in, m, ret_report);
	if (r < 0 || !is_settled(m))
		return r;
	if (*ret_report != NULL && ((*ret_report)->flags & SPOOL_BODY_FILE) != 0)
		r = spool_bodies_sync(in->spool);
	for (size_t i = 0; i < m->count && r == 0; i++)
		r = spool_update_recipient(in->spool, m->id, i, &m->recipients[i]);
	if (r == 0)
		r = spool_update_account_of(in->spool, m);
	if (r == 0)
		r = spool_finish(
		    in->spool, m, clock_now(in->clock), in->settings->conf->keep_transcripts > 0);
	if (r == 0)
		r = in->ops->settled(in->ops_arg, m);
	if (r == 0 && *ret_report != NULL)
		r = insert_report(in, *ret_report);
	return r < 0 ? r : 1;
}
