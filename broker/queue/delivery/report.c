/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* report.c: see report.h. */
#include "broker/queue/delivery/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/codec.h"
#include "broker/message/own-mail.h"
#include "broker/queue/accounts/verdict.h"
#include "broker/queue/common/local.h"
#include "broker/queue/delivery/bounce.h"
#include "broker/queue/spool/message-log.h"
#include "broker/queue/spool/own-message.h"

enum {
	WHOLE_DEFAULT =
	    16 * 1024, /* originals of up to this size come back whole unless asked otherwise */
	WHOLE_MAX = REPORT_ORIGINAL_MAX, /* even where RET=FULL asks for it */
	HEADERS_MAX = REPORT_ORIGINAL_MAX,
	BRIEF_MAX = 8 * 1024, /* on a full disk, where a report has to fit into the database */
	REPORT_MAX = 2 * 1024 * 1024,
	STATUS_MAX = 1024, /* and so much for each recipient */
	RETURNS_MAX = 20,  /* addresses that get one report */
};

/* To whom a report goes. */
struct returns {
	char *to[RETURNS_MAX]; /* owned */
	size_t count;
};

static void
returns_clear(struct returns *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->to[i]);
	r->count = 0;
}

static int
add_return(void *arg, const char *address)
{
	struct returns *r = arg;

	for (size_t i = 0; i < r->count; i++)
		if (address_equal(r->to[i], address))
			return 0;
	if (r->count == RETURNS_MAX)
		return 0;
	r->to[r->count] = strdup(address);
	if (r->to[r->count] == NULL)
		return -ENOMEM;
	r->count++;
	return 0;
}

/* What a local address leads to; false where that is nowhere. */
static bool
expand_return(const struct reports *x, const char *address, struct returns *ret)
{
	CLEANUP_BUF struct buf why = BUF_INIT(2048);

	if (*address != '\0' &&
	    local_expand(x->settings, address, add_return, ret, &why) == ALIASES_OK &&
	    ret->count > 0)
		return true;
	returns_clear(ret);
	return false;
}

/* The sender that the caller gave, else the postmaster: of the configuration or of the aliases. Nobody: false. */
static bool
find_returns(const struct reports *x, const struct spool_message *m, struct returns *ret)
{
	*ret = (struct returns){.count = 0};
	if (m->return_to != NULL && (*m->return_to == '\0' || expand_return(x, m->return_to, ret)))
		return ret->count > 0;
	if (expand_return(x, x->settings->conf->postmaster, ret))
		return true;
	return aliases_has(x->settings->aliases, "postmaster") &&
	       expand_return(x, "postmaster", ret);
}

/* Whose it is: an account without a mailbox (a relay) takes any sender. NULL: no memory. */
static char *
own_address(const struct reports *x, const struct queue_account *a)
{
	if (a->conf.mailbox != NULL && *a->conf.mailbox != '\0')
		return strdup(a->conf.mailbox);
	return *x->settings->conf->postmaster != '\0' ? strdup(x->settings->conf->postmaster)
						      : local_qualify(x->settings, "postmaster");
}

bool
report_wanted(const struct reports *x, const struct spool_message *m,
    const struct spool_recipient *r, enum report_kind kind)
{
	static const unsigned bits[] = {
	    SMTP_NOTIFY_FAILURE, SMTP_NOTIFY_DELAY, SMTP_NOTIFY_SUCCESS};
	struct returns to;
	bool somebody = (m->flags & SPOOL_REPORT) == 0 && find_returns(x, m, &to);

	if (!somebody)
		return false;
	returns_clear(&to);
	if (r->notify == 0)
		return kind != REPORT_RELAYED;
	return (r->notify & bits[kind]) != 0;
}

enum spool_state
report_refused_state(
    const struct reports *x, const struct spool_message *m, const struct spool_recipient *r)
{
	bool unwanted = (m->return_to != NULL && *m->return_to == '\0') ||
			(r->notify != 0 && (r->notify & SMTP_NOTIFY_FAILURE) == 0);

	if ((m->flags & SPOOL_REPORT) != 0)
		return SPOOL_FAILED;
	return unwanted || report_wanted(x, m, r, REPORT_FAILED) ? SPOOL_BOUNCED : SPOOL_FAILED;
}

/* The original or its beginning. */
static int
read_original(const struct reports *x, const struct spool_message *m, size_t len, struct buf *out)
{
	int fd, r;

	if ((m->flags & SPOOL_BODY_FILE) == 0)
		return m->body == NULL
			   ? -ENOENT
			   : buf_append(out, m->body, len < m->body_len ? len : m->body_len);
	fd = spool_body_open(x->spool, m->id);
	if (fd < 0)
		return fd;
	r = buf_reserve(out, len);
	while (r == 0 && out->len < len) {
		ssize_t n = read(fd, out->data + out->len, len - out->len);

		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		out->len += (size_t)n;
	}
	if (r == 0)
		out->data[out->len] = '\0';
	(void)close(fd);
	return r;
}

struct texts {
	struct diagnosis *diagnoses;
	struct bounce_recipient *recipients;
};

static bool
wants_whole(const struct spool_message *m, const struct texts *texts, size_t count)
{
	if (m->ret == SMTP_RET_HDRS)
		return false;
	/* What has octets above 0x7F goes back whole only where it is asked for, and never where just those were
	 * refused: the report would be as well. */
	if ((m->flags & SPOOL_8BIT) != 0 && m->ret != SMTP_RET_FULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (texts->recipients[i].reply->fault == SMTP_FAULT_NO_8BITMIME)
			return false;
	return m->size <= (m->ret == SMTP_RET_FULL ? WHOLE_MAX : WHOLE_DEFAULT);
}

static int
random_hex(struct buf *out)
{
	unsigned char bytes[16];

	return getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes)
		   ? hex_encode(out, bytes, sizeof(bytes))
		   : -EIO;
}

static int
fill_recipients(const struct reports *x, const struct queue_account *a,
    const struct spool_message *m, enum report_kind kind, const size_t *which, size_t count,
    struct texts *ret)
{
	ret->diagnoses = calloc(count, sizeof(*ret->diagnoses));
	ret->recipients = calloc(count, sizeof(*ret->recipients));
	if (ret->diagnoses == NULL || ret->recipients == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct spool_recipient *r = &m->recipients[which[i]];
		struct bounce_recipient *b = &ret->recipients[i];
		bool failed = verdict_has_reply(&r->reply) && kind != REPORT_RELAYED;

		*b = (struct bounce_recipient){
		    .address = r->address, .orcpt = r->orcpt, .reply = &r->reply, .at = r->at};
		if ((m->flags & SPOOL_REFUSED) != 0) {
			b->text = "This host's mail system did not take the message. It was handed "
				  "in while frankd was down, when nobody could say so at once.";
		} else if (failed) {
			verdict_on_recipient(x->spool, a, m, r, &ret->diagnoses[i]);
			b->text = ret->diagnoses[i].text;
			b->next = ret->diagnoses[i].next;
		}
		b->expired = kind == REPORT_FAILED && (m->flags & SPOOL_REFUSED) == 0 &&
			     clock_now(x->clock) >= m->expires &&
			     (!failed || ret->diagnoses[i].retry != RETRY_PERMANENT_MESSAGE);
	}
	return 0;
}

static int
write_report(const struct reports *x, const struct queue_account *a, const char *from,
    const char *to, const struct spool_message *m, enum report_kind kind, const struct texts *texts,
    size_t count, bool brief, struct buf *out, struct buf *id)
{
	CLEANUP_BUF struct buf date = BUF_INIT(64), boundary = BUF_INIT(64), unique = BUF_INIT(64),
			       original = BUF_INIT(HEADERS_MAX + WHOLE_MAX);
	char queue_id[SPOOL_ID_LEN];
	time_t now = time(NULL);
	struct tm tm = {0};
	struct bounce b = {.kind = (enum bounce_kind)kind,
	    .hostname = x->settings->conf->hostname,
	    .from = from,
	    .to = to,
	    .envid = m->envid == NULL ? "" : m->envid,
	    /* a domain is no host, and what was refused here saw none */
	    .remote = a->conf.port == 0 || (m->flags & SPOOL_REFUSED) != 0 ? "" : a->conf.host,
	    .original_id = m->message_id == NULL ? "" : m->message_id,
	    .queue_id = spool_id_text(m->id, queue_id),
	    .arrival = m->received,
	    .retry_until = m->expires,
	    .recipients = texts->recipients,
	    .count = count,
	    .headers_only = brief || !wants_whole(m, texts, count) || kind != REPORT_FAILED,
	    .global = (m->flags & SPOOL_SMTPUTF8) != 0};
	size_t most = brief ? BRIEF_MAX : HEADERS_MAX;
	size_t len = !b.headers_only ? m->size : m->header_size < most ? m->header_size : most;
	int r = clock_date(&date);

	if (localtime_r(&now, &tm) != NULL)
		b.offset = (int)(tm.tm_gmtoff / 60);
	if (r == 0)
		r = random_hex(&boundary);
	if (r == 0)
		r = random_hex(&unique);
	if (r == 0)
		r = own_mail_id(id, buf_str(&unique), from, x->settings->conf->hostname);
	if (r == 0)
		r = read_original(x, m, len, &original);
	if (r < 0)
		return r;
	b.date = buf_str(&date);
	b.boundary = buf_str(&boundary);
	b.message_id = buf_str(id);
	b.original = buf_str(&original);
	b.original_len = original.len;
	return bounce_write(out, &b);
}

/* The report as a message of the spool. */
static int
make_message(const struct reports *x, const struct queue_account *a, const char *from,
    const struct returns *to, const struct spool_message *m, struct buf *text, const struct buf *id,
    struct spool_message *ret)
{
	const struct own_message own = {.account = a->name,
	    .service = m->service,
	    .uid = m->uid,
	    .flags = m->flags & (SPOOL_OF_USER | SPOOL_OF_SOCKET),
	    .sender = from,
	    .to = to->to,
	    .to_count = to->count,
	    .subject = "Mail delivery report",
	    .id = buf_str(id),
	    .now_us = clock_now_us(x->clock),
	    .lifetime = x->settings->conf->lifetime};

	return own_message_make(x->spool, x->commit, &own, text, ret);
}

struct spool_message *
report_make(const struct reports *x, const struct queue_account *a, const struct spool_message *m,
    enum report_kind kind, const size_t *which, size_t count)
{
	CLEANUP_BUF struct buf text = BUF_INIT(REPORT_MAX + count * STATUS_MAX), id = BUF_INIT(512);
	struct spool_message *report = calloc(1, sizeof(*report));
	struct texts texts = {0};
	char own_id[SPOOL_ID_LEN];
	CLEANUP_FREE char *from = own_address(x, a);
	struct returns to = {.count = 0};
	int r;

	if (report == NULL || from == NULL || !find_returns(x, m, &to)) {
		free(report);
		return NULL;
	}
	r = fill_recipients(x, a, m, kind, which, count, &texts);
	for (int brief = 0; brief < 2 && (r == 0 || r == -ENOSPC); brief++) {
		spool_message_clear(report);
		buf_clear(&text);
		buf_clear(&id);
		r = write_report(
		    x, a, from, to.to[0], m, kind, &texts, count, brief != 0, &text, &id);
		if (r == 0)
			r = make_message(x, a, from, &to, m, &text, &id, report);
		if (r == 0)
			break;
	}
	returns_clear(&to);
	free(texts.diagnoses);
	free(texts.recipients);
	if (r < 0) {
		message_log(LOG_LEVEL_ERROR, "A report to the sender cannot be made.", m,
		    LOG_PAIRS({LOG_ERROR, strerror(-r)}));
		return spool_message_free(report);
	}
	message_log(LOG_LEVEL_INFO, "A report to the sender is queued.", m,
	    LOG_PAIRS({LOG_RECIPIENT, report->recipients[0].address},
		{LOG_OUTCOME, spool_id_text(report->id, own_id)}));
	return report;
}
