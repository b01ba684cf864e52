/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * submission-content.c: the content of a message that is handed in.
 *
 * It streams through complete.h into memory, or into the file of its body once it is larger than
 * SPOOL_INLINE_MAX; policy decides about the sender when the header section is complete. The end of
 * the content hands the message to the turn; the answer comes when it is on disk. Nothing is kept
 * of a transaction that is refused.
 */
#include "broker/queue/inbound/submission-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/codec.h"
#include "base/log.h"
#include "broker/message/fields.h"
#include "broker/queue/inbound/store.h"
#include "broker/queue/inbound/usage.h"

static void
refuse_content(
    struct transaction *t, int code, const char *enhanced, const char *words, const char *detail)
{
	t->code = code;
	(void)snprintf(t->enhanced, sizeof(t->enhanced), "%s", enhanced);
	(void)snprintf(t->words, sizeof(t->words), "%s%s%s", words, detail == NULL ? "" : ": ",
	    detail == NULL ? "" : detail);
}

static int
random_id(struct buf *out, const char *domain, int64_t now)
{
	unsigned char bytes[16];
	int r = getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) ? 0 : -EIO;

	if (r == 0)
		r = buf_append_char(out, '<');
	if (r == 0)
		r = hex_encode(out, bytes, sizeof(bytes));
	return r < 0 ? r : buf_printf(out, ".%" PRId64 "@%s>", now, domain);
}

static int
fill_texts(struct submission *s, const char *domain, struct plan_texts *x)
{
	const struct settings *c = s->q->settings;
	char id[SPOOL_ID_LEN];
	int r = clock_date(&x->date);

	if (r == 0)
		/* in ASCII, so that no server is needed for it that takes more */
		r = random_id(&x->id,
		    domain == NULL || text_has_eight_bit(domain, strlen(domain)) ? c->mail_name
										 : domain,
		    (int64_t)time(NULL));
	if (r == 0)
		r = buf_printf(&x->received, "by %s (Frank) id %s; %s", c->hostname,
		    spool_id_text(s->t->message->id, id), buf_str(&x->date));
	return r;
}

static char *
copy_or_null(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

/* The header section is there: who may this be from? */
static int
decide_sender(struct submission *s, const struct complete_claim *claim, struct policy_decision *d)
{
	struct transaction *t = s->t;
	struct policy_claim c = {.envelope = t->envelope,
	    .sender = t->sender,
	    .account = t->account,
	    .caller = t->caller,
	    .from = claim->from,
	    .from_count = claim->from_count,
	    .from_unreadable = claim->from_unreadable,
	    .from_double = claim->from_double};

	service_decide(t->service, &c, d);
	if (d->refused != NULL) {
		refuse_content(t, 550, "5.7.1", d->refused, d->culprit);
		return -EPERM;
	}
	t->message->account = strdup(d->account->name);
	t->message->sender = strdup(d->sender);
	t->message->return_to = copy_or_null(d->return_to);
	if (t->message->account == NULL || t->message->sender == NULL ||
	    (d->return_to != NULL && t->message->return_to == NULL))
		return -ENOMEM;
	t->rewritten = d->from_replaced ? "From" : d->sender_replaced ? "envelope" : NULL;
	return 0;
}

static bool
sender_field_allowed(const struct transaction *t, const char *sender)
{
	const struct policy_service *p = &t->service->policy;

	/* What is captured by a service that names nobody may be from anybody. */
	if (p->senders.count == 0 && t->service->account_count == 0)
		return true;
	if (sender == NULL || p->from == POLICY_KEEP || policy_pattern_match(&p->senders, sender))
		return true;
	for (size_t i = 0; i < t->service->account_count; i++)
		if (t->service->names[i].mailbox != NULL &&
		    address_equal_nocase(t->service->names[i].mailbox, sender))
			return true;
	return false;
}

/* The first address of the resent fields that may not be used; NULL: all may. */
static const char *
forbidden_resent(const struct transaction *t, const struct complete_claim *claim)
{
	if (t->service->policy.from == POLICY_KEEP)
		return NULL;
	for (size_t i = 0; i < claim->resent_count; i++)
		if (!sender_field_allowed(t, claim->resent[i]))
			return claim->resent[i];
	return claim->resent_unreadable ? "(unreadable)" : NULL;
}

/* Who resent the message is its sender as well (RFC 5322 section 3.6.6). */
static int
decide_resent(struct transaction *t, const struct complete_claim *claim,
    const struct policy_decision *d, const char **ret)
{
	const char *forbidden = forbidden_resent(t, claim);

	*ret = NULL;
	if (forbidden == NULL)
		return 0;
	if (t->service->policy.from == POLICY_REFUSE) {
		refuse_content(
		    t, 550, "5.7.1", "this Resent-From or Resent-Sender is not allowed", forbidden);
		return -EPERM;
	}
	/* Where it stays, every address of From is one that may be used. */
	*ret = d->from != NULL || claim->from_count == 0 ? d->from : claim->from[0];
	if (*ret == NULL)
		*ret = d->sender;
	return 0;
}

static int
on_plan(void *arg, const struct complete_claim *claim, struct complete_plan *ret)
{
	struct submission *s = arg;
	struct plan_texts *x = &s->t->texts;
	struct policy_decision d;
	const char *domain, *resent_from = NULL;
	int r = decide_sender(s, claim, &d);

	if (r == 0)
		r = decide_resent(s->t, claim, &d, &resent_from);
	if (r < 0)
		return r;
	s->t->from_replaced = d.from_replaced;
	domain = address_domain(d.from != NULL          ? d.from
				: claim->from_count > 0 ? claim->from[0]
							: "");
	r = fill_texts(s, domain, x);
	if (r < 0)
		return r;
	*ret = (struct complete_plan){
	    .from = d.from,
	    .from_replaced = d.from_replaced,
	    .full_name = s->t->full_name,
	    .drop_sender = !sender_field_allowed(s->t, claim->sender),
	    .resent_from = resent_from,
	    .date = buf_str(&x->date),
	    .message_id = buf_str(&x->id),
	    .received = buf_str(&x->received),
	};
	return 0;
}

static int
on_write(void *arg, const char *bytes, size_t len)
{
	struct submission *s = arg;

	return body_write(&s->t->body, bytes, len);
}

static const struct complete_ops complete_ops = {on_plan, on_write};

/* What an errno of the completion means to the caller. */
static void
refuse_error(struct transaction *t, int r)
{
	if (t->code != 0)
		return;
	switch (r) {
	case -E2BIG:
		refuse_content(t, 552, "5.3.4", "The header section is too large", NULL);
		break;
	case -ELOOP:
		refuse_content(
		    t, 554, "5.4.6", "The message goes in circles: too many Received fields", NULL);
		break;
	case -ENOMEM:
	case -ENOBUFS:
		refuse_content(t, 452, "4.3.0", "Out of memory", NULL);
		break;
	case -ENOSPC:
	case -EDQUOT:
		refuse_content(t, 452, "4.3.1", "The disk is full", NULL);
		break;
	default:
		refuse_content(t, 451, "4.3.0", "The message cannot be stored", strerror(-r));
		break;
	}
}

static enum smtp_decision
refuse_because(struct submission *s, int r)
{
	struct transaction *t = s->t;

	refuse_error(t, r);
	return submission_refuse_logged(s, t->service,
	    t->envelope == POLICY_ENVELOPE_GIVEN ? t->sender : t->caller, t->code, t->enhanced,
	    t->words);
}

enum smtp_decision
submission_on_data(void *arg)
{
	struct submission *s = arg;

	s->t->complete = complete_new(s->mail_name, &complete_ops, s);
	return s->t->complete == NULL ? refuse_because(s, -ENOMEM) : SMTP_ACCEPT;
}

/* Why no more of the content is taken for want of space; NULL where it is. What is small is looked at
 * once, at MAIL. */
static const char *
space_for(struct submission *s, uint64_t grown)
{
	const struct transaction *t = s->t;
	const struct space_claim claim = {.service = t->service->name,
	    .quota = t->service->policy.queue_max,
	    .octets = t->body.size,
	    .written = t->body.size,
	    .dropped = s->caller->groups_by_name};

	if (t->body.fd < 0)
		return NULL;
	space_taken(s->q->space, grown);
	return space_refusal(s->q->space, &claim);
}

enum smtp_decision
submission_on_content(void *arg, const char *bytes, size_t len)
{
	struct submission *s = arg;
	struct transaction *t = s->t;
	char words[sizeof(t->words)];
	int r = t->duplicate ? 0 : complete_input(t->complete, bytes, len);
	uint64_t grown = t->body.size - t->in_flight;
	const char *no_space;

	t->in_flight += grown;
	submission_count_memory(t);
	if (!usage_grow(s->q, t->usage, grown) || usage_holds_too_much(s->q, t->usage))
		return submission_refuse_logged(s, t->service, t->sender, 452, "4.3.1",
		    "This user hands in more at once than it may: try again later");
	no_space = space_for(s, grown);
	if (no_space != NULL)
		return submission_refuse_logged(s, t->service, t->sender, 452, "4.3.1", no_space);
	/* as it was handed in, like the limit for all */
	t->octets += len;
	if (r == 0 && t->service->policy.size_max > 0 && t->octets > t->service->policy.size_max) {
		submission_too_large(t->service, words, sizeof(words));
		refuse_content(t, 552, "5.3.4", words, NULL);
		r = -EFBIG;
	}
	return r < 0 ? refuse_because(s, r) : SMTP_ACCEPT;
}

/* A line about content, which is not stored yet. */
static void
note_content(const struct submission *s, const char *sentence, const struct log_pair *pairs)
{
	char who[LOG_LIMIT_WHO_MAX];

	usage_name(s->usage, who);
	log_limited(s->q->log, who, LOG_LEVEL_NOTICE, sentence, pairs);
}

/* The second pass, where the first one's facts ask for it: into a new body that replaces the old.
 * */
static int
mend(struct submission *s, enum recode_need need)
{
	struct transaction *t = s->t;
	struct body old = t->body;
	struct recode *recode;
	enum recode_way way;
	char id[SPOOL_ID_LEN];
	bool is_signed;
	int r;

	body_init(&t->body, s->q);
	recode = recode_new(need, &t->facts, on_write, s);
	r = recode == NULL ? -ENOMEM : body_recode(&old, recode);
	if (r == 0)
		r = recode_end(recode, &t->facts, &way, &is_signed);
	(void)recode_free(recode);
	body_clear(&old, false);
	if (r == -EILSEQ)
		refuse_content(t, 554, "5.6.3",
		    is_signed ? "The content holds octets that mail cannot carry, and a signature "
				"covers them: encode "
				"it before it is signed"
			      : "The content holds octets or lines that mail cannot carry, where "
				"nothing may be "
				"changed: encode it as base64 or quoted-printable",
		    NULL);
	if (r == 0 && (way == RECODE_WAY_SPLIT || way == RECODE_WAY_KEPT))
		note_content(s,
		    way == RECODE_WAY_SPLIT
			? "A line of more than 998 octets between the parts of a message was split."
			: "A signed message has a line of more than 998 octets, which servers may "
			  "refuse; it is sent as it is, since any change would break the "
			  "signature.",
		    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(t->body.id, id)}));
	t->message->id = t->body.id;
	return r;
}

/* Whoever reads the signature is told why it is gone, or does not fit. */
static void
log_signature(const struct submission *s)
{
	const struct transaction *t = s->t;
	char id[SPOOL_ID_LEN];

	if (t->facts.signature_broken)
		note_content(s,
		    "A signature covers what is changed in the header: it goes out as "
		    "X-Original-DKIM-Signature.",
		    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(t->body.id, id)},
			{LOG_SERVICE, t->service->name}, {LOG_SENDER, t->message->sender}));
	if (t->from_replaced && t->facts.content_signed)
		note_content(s,
		    "The content is signed by a sender whose From is replaced: who reads it may be "
		    "warned that the two differ.",
		    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(t->body.id, id)},
			{LOG_SERVICE, t->service->name}, {LOG_SENDER, t->message->sender}));
}

static int
complete_message(struct submission *s)
{
	struct transaction *t = s->t;
	struct spool_message *m = t->message;
	int r = complete_end(t->complete, &t->facts);
	enum recode_need need = recode_needed(&t->facts);
	char id[SPOOL_ID_LEN];

	if (r == 0 && need != RECODE_NONE)
		r = mend(s, need);
	if (r < 0)
		return r;
	log_signature(s);
	if (t->facts.nuls > 0 || t->facts.header_mended)
		note_content(s,
		    "Octets that mail cannot carry (NUL, or CR alone) are taken out of a header or "
		    "a plain text.",
		    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(t->body.id, id)}));
	envelope_take(&t->recipients, m);
	m->size = t->facts.size;
	m->header_size = t->facts.header_size;
	if (t->facts.eight_bit_body || t->facts.eight_bit_header)
		m->flags |= SPOOL_8BIT;
	if (t->facts.smtputf8 || address_is_utf8(m->sender, strlen(m->sender)))
		m->flags |= SPOOL_SMTPUTF8;
	for (size_t i = 0; i < m->count && (m->flags & SPOOL_SMTPUTF8) == 0; i++)
		if (address_is_utf8(m->recipients[i].address, strlen(m->recipients[i].address)))
			m->flags |= SPOOL_SMTPUTF8;
	m->subject = strdup(t->facts.subject);
	m->message_id = strdup(t->facts.message_id);
	if (m->subject == NULL || m->message_id == NULL)
		return -ENOMEM;
	if (t->body.fd >= 0) {
		m->flags |= SPOOL_BODY_FILE;
		return spool_body_sync(t->body.fd);
	}
	m->body_len = t->body.small.len;
	m->body = buf_take(&t->body.small);
	return m->body == NULL ? -ENOMEM : 0;
}

/* ---- the end of a message ---- */

static void
on_stored(void *arg, const struct spool_message *m, int r, bool is_new)
{
	struct submission *s = arg;
	char id[SPOOL_ID_LEN], words[64];

	s->storing = NULL;
	if (r < 0) {
		(void)submission_refuse(s, 452, "4.3.1",
		    r == -ENOSPC ? "The disk is full" : "The spool cannot be written");
		smtp_server_answer(s->engine, SMTP_REFUSE);
	} else {
		(void)snprintf(words, sizeof(words), "queued%s%s", is_new ? " as " : " before",
		    is_new ? spool_id_text(m->id, id) : "");
		submission_note(s, 250, words);
		s->stored += is_new;
		smtp_server_reply_text(s->engine, words);
		smtp_server_answer(s->engine, SMTP_ACCEPT);
	}
	s->ops->proceed(s->arg);
}

/* Only of what is stored: the number of that is bounded, and nobody looks for the rest. */
static void
log_rewrite(const struct submission *s)
{
	const struct transaction *t = s->t;
	char uid[16], id[SPOOL_ID_LEN];

	if (t->rewritten == NULL)
		return;
	log_line(LOG_LEVEL_INFO, "The sender is rewritten.",
	    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(t->message->id, id)},
		{LOG_SERVICE, t->service->name}, {LOG_UID, submission_uid_text(s->caller, uid)},
		{LOG_SENDER, t->message->sender}, {LOG_OUTCOME, t->rewritten}));
}

static enum smtp_decision
store(struct submission *s)
{
	struct transaction *t = s->t;
	struct queue_account *a = accounts_find(&s->q->accounts, t->message->account);

	log_rewrite(s);
	s->storing = store_message(s->q, t->service, t->message, on_stored, s);
	if (s->storing == NULL)
		return refuse_because(s, -ENOMEM);
	store_signed(s->q, a, t->facts.signed_with);
	usage_message(s->q, s->usage);
	t->message = NULL;
	body_clear(&t->body, true);
	return SMTP_LATER;
}

enum smtp_decision
submission_on_end(void *arg)
{
	struct submission *s = arg;
	struct transaction *t = s->t;
	int r;

	if (t->duplicate) {
		submission_note(s, 250, "queued before");
		smtp_server_reply_text(s->engine, "queued before");
		return SMTP_ACCEPT;
	}
	if (s->ops->has_hung_up != NULL && s->ops->has_hung_up(s->arg)) {
		refuse_content(t, 451, "4.4.2", "The caller hung up before it was answered", NULL);
		return refuse_because(s, -EPIPE);
	}
	r = complete_message(s);
	if (r == 0 && service_rate_wait(t->service) > 0) {
		refuse_content(t, 450, "4.7.1",
		    "The service sends more than its rate allows: try again later", NULL);
		r = -EAGAIN;
	}
	return r < 0 ? refuse_because(s, r) : store(s);
}
