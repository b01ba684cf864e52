/*
 * submission.c: one SMTP session of a caller, whatever carries it: what base/smtp/server.h asks is
 * decided here.
 *
 * MAIL finds the service that is for this caller, which takes a question to main for a caller not
 * known yet. Content streams through complete.h into memory, or into the file of its body once it
 * is larger than SPOOL_INLINE_MAX; policy decides about the sender when the header section is
 * complete. The end of the content hands the message to the turn; the answer comes when it is on
 * disk. Nothing is kept of a transaction that is refused.
 */
#include "broker/queue/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/smtp/server.h"
#include "broker/queue/authentication.h"
#include "broker/queue/body.h"
#include "broker/queue/complete.h"
#include "broker/queue/envelope.h"
#include "broker/queue/fields.h"
#include "broker/queue/store.h"
#include "broker/queue/usage.h"

enum {
	BAD_COMMANDS_MAX = 50,
	LISTENER_RECIPIENTS_MAX = 1000,
	LISTENER_BAD_COMMANDS_MAX = 10,
};

/* What complete.h borrows while it writes the header. */
struct plan_texts {
	struct buf date, id, received;
};

struct transaction {
	struct service *service;
	struct complete *complete;
	struct complete_facts facts;
	struct body body;
	struct spool_message *message;
	struct envelope recipients; /* until the message is complete */
	struct usage *usage;
	uint64_t in_flight; /* octets counted there */
	enum policy_envelope envelope;
	char *sender;    /* given, qualified */
	char *caller;    /* the calling user's own address */
	char *full_name; /* -F, or the user's own */
	struct plan_texts texts;
	bool duplicate; /* stored already: its content is dropped */
	/* why its content is refused */
	int code;
	char enhanced[12], words[400];
};

struct submission {
	struct queue *q;
	const struct caller *caller;
	const struct submission_ops *ops;
	void *arg;
	struct smtp_server *engine;
	char *hostname, *mail_name; /* outlive the configuration they came from */
	struct transaction *t;
	struct store *storing; /* the commit that is awaited */
	struct listing *listing;
	struct authentication *authentication; /* of a listener; NULL elsewhere */
	bool reading_aliases;
	struct usage *usage;
	/* MAIL that waits for the user's name */
	bool asking;
	char sender[ADDRESS_MAX + 1];
	struct smtp_mail_params params;
	/* outcome of the last transaction */
	int result;
	char result_words[400];
	unsigned stored;
};

/* The service that the client named by its password; NULL: none. */
static const char *
logged_in_as(const struct submission *s)
{
	return s->authentication == NULL ? NULL : authentication_name(s->authentication);
}

/* ---- transactions ---- */

static struct transaction *
transaction_free(struct transaction *t)
{
	if (t == NULL)
		return NULL;
	(void)complete_free(t->complete);
	body_clear(&t->body, false);
	envelope_clear(&t->recipients);
	if (t->usage != NULL)
		usage_shrink(t->usage, t->in_flight);
	(void)spool_message_free(t->message);
	free(t->sender);
	free(t->caller);
	free(t->full_name);
	buf_free(&t->texts.date);
	buf_free(&t->texts.id);
	buf_free(&t->texts.received);
	free(t);
	return NULL;
}

char *
queue_qualify(const struct queue *q, const char *address)
{
	CLEANUP_BUF struct buf out = BUF_INIT(2 * ADDRESS_MAX + 2);
	int r = buf_append_str(&out, address);

	if (r == 0 && address_domain(address) == NULL)
		r = buf_printf(&out, "@%s", q->settings->mail_name);
	return r < 0 ? NULL : buf_take(&out);
}

/* A user's own address: a name that is no local part is quoted by nobody, so the uid stands for it.
 * */
static char *
address_of_user(const struct queue *q, const struct user *u)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "uid%" PRIu32, u->uid);
	return queue_qualify(
	    q, address_is_valid(u->name, strlen(u->name), true) && address_domain(u->name) == NULL
		   ? u->name
		   : name);
}

static struct transaction *
transaction_new(struct submission *s, struct service *service, const char *sender,
    const struct smtp_mail_params *p, const struct user *u)
{
	struct queue *q = s->q;
	struct transaction *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->service = service;
	t->usage = s->usage;
	body_init(&t->body, q);
	buf_init(&t->texts.date, 64);
	buf_init(&t->texts.id, 512);
	buf_init(&t->texts.received, 1024);
	t->message = calloc(1, sizeof(*t->message));
	t->caller = address_of_user(q, u);
	t->full_name = strdup(p->full_name[0] != '\0' ? p->full_name : u->full_name);
	t->envelope = p->caller         ? POLICY_ENVELOPE_CALLER
		      : *sender == '\0' ? POLICY_ENVELOPE_NULL
					: POLICY_ENVELOPE_GIVEN;
	t->sender = t->envelope == POLICY_ENVELOPE_GIVEN ? queue_qualify(q, sender) : strdup("");
	if (t->message == NULL || t->caller == NULL || t->full_name == NULL || t->sender == NULL)
		return transaction_free(t);
	t->message->id = t->body.id;
	t->message->service = strdup(service->name);
	t->message->envid = strdup(p->envid);
	if (t->message->service == NULL || t->message->envid == NULL)
		return transaction_free(t);
	t->message->uid = logged_in_as(s) != NULL ? -1 : (int64_t)u->uid;
	t->message->ret = p->ret;
	if (p->requiretls)
		t->message->flags |= SPOOL_REQUIRETLS;
	(void)snprintf(
	    t->message->submission, sizeof(t->message->submission), "%s", p->submission_id);
	t->duplicate = p->submission_id[0] != '\0' && spool_known(q->spool, p->submission_id) == 1;
	return t;
}

static void
note(struct submission *s, int code, const char *words)
{
	s->result = code;
	(void)snprintf(s->result_words, sizeof(s->result_words), "%s", words);
}

static enum smtp_decision
refuse(struct submission *s, int code, const char *enhanced, const char *words)
{
	note(s, code, words);
	smtp_server_refuse(s->engine, code, enhanced, "%s", words);
	return SMTP_REFUSE;
}

/* For the log: the uid of a caller, NULL where nobody vouches for one. */
static const char *
uid_text(const struct caller *c, char text[16])
{
	(void)snprintf(text, 16, "%" PRIu32, c->uid);
	return c->unknown ? NULL : text;
}

static const char *
origin_text(const struct caller *c)
{
	return c->origin[0] == '\0' ? NULL : c->origin;
}

/* One audit line per refusal. */
static enum smtp_decision
refuse_and_log(struct submission *s, const struct service *service, const char *address, int code,
    const char *enhanced, const char *words)
{
	char uid[16];

	log_line(LOG_LEVEL_NOTICE, "A message is refused.",
	    LOG_PAIRS({LOG_OUTCOME, words}, {LOG_UID, uid_text(s->caller, uid)},
		{LOG_SERVICE, service == NULL ? NULL : service->name}, {LOG_SENDER, address},
		{LOG_ENDPOINT, origin_text(s->caller)}));
	return refuse(s, code, enhanced, words);
}

/* ---- MAIL ---- */

static struct service *
service_for(const struct submission *s, const struct user *u)
{
	const struct queue *q = s->q;
	const struct caller *c = s->caller;
	struct policy_caller who = {c->uid, c->groups_by_name ? u->groups : c->groups,
	    c->groups_by_name ? u->group_count : c->group_count, c->socket};
	size_t i;

	/* the password is the service's own: no rule in front of it is asked */
	if (logged_in_as(s) != NULL)
		return authentication_service(s->authentication);
	if (c->unknown || c->auth_required)
		return NULL;
	i = policy_match(q->policies, q->service_count, &who);
	return i < q->service_count ? q->services[i] : NULL;
}

/* Nobody is known to call: the entrance is a listener, where AUTH may help. */
static enum smtp_decision
refuse_nobody(struct submission *s, const char *sender)
{
	if (s->caller->listener == NULL)
		return refuse_and_log(s, NULL, sender, 550, "5.7.1",
		    "No service is configured for this user: ask the administrator of this host");
	return refuse_and_log(s, NULL, sender, 530, "5.7.0",
	    "No service is configured for the user who calls: log in with a service's name and "
	    "password");
}

/* A caller that takes too much is told so each time, and the log once a minute. */
static enum smtp_decision
refuse_greed(struct submission *s, const struct service *v, const char *sender,
    const char *enhanced, const char *words)
{
	return usage_tell(s->usage) ? refuse_and_log(s, v, sender, 452, enhanced, words)
				    : refuse(s, 452, enhanced, words);
}

static enum smtp_decision
mail_with_user(struct submission *s, const char *sender, const struct smtp_mail_params *p,
    const struct user *u)
{
	struct service *v = service_for(s, u);
	uint64_t wait;

	if (v == NULL)
		return refuse_nobody(s, p->caller ? u->name : sender);
	if (v->account_count == 0 && !v->policy.capture)
		return refuse_and_log(
		    s, v, sender, 550, "5.7.1", "The service has no account to send through");
	if (v->policy.size_max > 0 && p->size > v->policy.size_max)
		return refuse_and_log(
		    s, v, sender, 550, "5.7.1", "The message is larger than this service may send");
	if (usage_wait(s->q, s->usage) > 0)
		return refuse_greed(s, v, sender, "4.7.1",
		    "This user hands in more messages a minute than it may: try again later");
	wait = store_rate_wait(v);
	if (wait > 0)
		return refuse_and_log(s, v, sender, 450, "4.7.1",
		    "The service sends more than its rate allows: try again later");
	s->t = transaction_new(s, v, sender, p, u);
	if (s->t == NULL)
		return refuse(s, 452, "4.3.0", "Out of memory");
	return SMTP_ACCEPT;
}

static void
on_user(void *arg, const struct user *u)
{
	struct submission *s = arg;

	s->asking = false;
	smtp_server_answer(s->engine, mail_with_user(s, s->sender, &s->params, u));
	s->ops->proceed(s->arg);
}

static enum smtp_decision
on_mail(void *arg, const char *sender, const struct smtp_mail_params *p)
{
	struct submission *s = arg;
	const char *service = logged_in_as(s);
	const struct user *u;

	note(s, 0, "");
	if (s->q->stopping)
		return refuse(s, 421, "4.3.2", "Frank is stopping: try again later");
	if (service != NULL || s->caller->unknown) {
		/* a service by itself, of whose user nothing is known */
		struct user self = {.uid = s->caller->uid,
		    .name = (char *)(uintptr_t)(service == NULL ? "" : service),
		    .full_name = (char *)""};

		return mail_with_user(s, sender, p, &self);
	}
	u = users_get(s->q, s->caller->uid, on_user, s);
	if (u != NULL)
		return mail_with_user(s, sender, p, u);
	s->asking = true;
	(void)snprintf(s->sender, sizeof(s->sender), "%s", sender);
	s->params = *p;
	return SMTP_LATER;
}

/* ---- RCPT ---- */

static enum smtp_decision
on_rcpt(void *arg, const char *recipient, const struct smtp_rcpt_params *p)
{
	struct submission *s = arg;
	struct envelope_refusal no;

	envelope_add(s->q, &s->t->recipients, &s->t->service->policy, recipient, p, &no);
	if (no.code == 0)
		return SMTP_ACCEPT;
	return no.by_policy
		   ? refuse_and_log(s, s->t->service, no.address, no.code, no.enhanced, no.words)
		   : refuse(s, no.code, no.enhanced, no.words);
}

/* ---- content ---- */

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

int
queue_date(struct buf *out)
{
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL)
		tm.tm_gmtoff = 0;
	return fields_date(out, now, (int)(tm.tm_gmtoff / 60));
}

static int
fill_texts(struct submission *s, const char *domain, struct plan_texts *x)
{
	const struct settings *c = s->q->settings;
	char id[SPOOL_ID_LEN];
	int r = queue_date(&x->date);

	if (r == 0)
		r = random_id(&x->id, domain == NULL ? c->mail_name : domain, (int64_t)time(NULL));
	if (r == 0)
		r = buf_printf(&x->received, "by %s (Frank) id %s; %s", c->hostname,
		    spool_id_text(s->t->message->id, id), buf_str(&x->date));
	return r;
}

static void
log_rewrites(const struct submission *s, const struct policy_decision *d)
{
	char uid[16], id[SPOOL_ID_LEN];

	if (!d->from_replaced && !d->sender_replaced)
		return;
	log_line(LOG_LEVEL_INFO, "The sender is rewritten.",
	    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(s->t->message->id, id)},
		{LOG_SERVICE, s->t->service->name}, {LOG_UID, uid_text(s->caller, uid)},
		{LOG_SENDER, d->sender}, {LOG_OUTCOME, d->from_replaced ? "From" : "envelope"}));
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
	    .caller = t->caller,
	    .from = claim->from,
	    .from_count = claim->from_count,
	    .from_unreadable = claim->from_unreadable};

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
	log_rewrites(s, d);
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
	return refuse_and_log(s, t->service,
	    t->envelope == POLICY_ENVELOPE_GIVEN ? t->sender : t->caller, t->code, t->enhanced,
	    t->words);
}

static enum smtp_decision
on_data(void *arg)
{
	struct submission *s = arg;

	s->t->complete = complete_new(s->mail_name, &complete_ops, s);
	return s->t->complete == NULL ? refuse_because(s, -ENOMEM) : SMTP_ACCEPT;
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	struct submission *s = arg;
	struct transaction *t = s->t;
	int r = t->duplicate ? 0 : complete_input(t->complete, bytes, len);
	uint64_t grown = t->body.size - t->in_flight;

	t->in_flight += grown;
	if (!usage_grow(s->q, t->usage, grown))
		return refuse_greed(s, t->service, t->sender, "4.3.1",
		    "This user hands in more at once than it may: try again later");
	if (r == 0 && t->service->policy.size_max > 0 &&
	    t->body.size > t->service->policy.size_max) {
		refuse_content(
		    t, 550, "5.7.1", "The message is larger than this service may send", NULL);
		r = -EFBIG;
	}
	return r < 0 ? refuse_because(s, r) : SMTP_ACCEPT;
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
	int r;

	body_init(&t->body, s->q);
	recode = recode_new(need, &t->facts, on_write, s);
	r = recode == NULL ? -ENOMEM : body_recode(&old, recode);
	if (r == 0)
		r = recode_end(recode, &t->facts, &way);
	(void)recode_free(recode);
	body_clear(&old, false);
	if (r == 0 && (way == RECODE_WAY_SPLIT || way == RECODE_WAY_KEPT))
		log_line(LOG_LEVEL_NOTICE,
		    way == RECODE_WAY_SPLIT
			? "A line of more than 998 octets was split where no encoding could spare "
			  "it."
			: "A signed message has a line of more than 998 octets, which servers may "
			  "refuse; it is sent as it is, since any change would break the "
			  "signature.",
		    LOG_PAIRS({LOG_QUEUE_ID, spool_id_text(t->body.id, id)}));
	t->message->id = t->body.id;
	return r;
}

static int
complete_message(struct submission *s)
{
	struct transaction *t = s->t;
	struct spool_message *m = t->message;
	int r = complete_end(t->complete, &t->facts);
	enum recode_need need = recode_needed(&t->facts);

	if (r == 0 && need != RECODE_NONE)
		r = mend(s, need);
	if (r < 0)
		return r;
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
		(void)refuse(s, 452, "4.3.1",
		    r == -ENOSPC ? "The disk is full" : "The spool cannot be written");
		smtp_server_answer(s->engine, SMTP_REFUSE);
	} else {
		(void)snprintf(words, sizeof(words), "queued%s%s", is_new ? " as " : " before",
		    is_new ? spool_id_text(m->id, id) : "");
		note(s, 250, words);
		s->stored += is_new;
		smtp_server_reply_text(s->engine, words);
		smtp_server_answer(s->engine, SMTP_ACCEPT);
	}
	s->ops->proceed(s->arg);
}

static enum smtp_decision
store(struct submission *s)
{
	struct transaction *t = s->t;

	s->storing = store_message(s->q, t->service, t->message, on_stored, s);
	if (s->storing == NULL)
		return refuse_because(s, -ENOMEM);
	usage_message(s->q, s->usage);
	t->message = NULL;
	body_clear(&t->body, true);
	return SMTP_LATER;
}

static enum smtp_decision
on_end(void *arg)
{
	struct submission *s = arg;
	struct transaction *t = s->t;
	int r;

	if (t->duplicate) {
		note(s, 250, "queued before");
		smtp_server_reply_text(s->engine, "queued before");
		return SMTP_ACCEPT;
	}
	r = complete_message(s);
	if (r == 0 && store_rate_wait(t->service) > 0) {
		refuse_content(t, 450, "4.7.1",
		    "The service sends more than its rate allows: try again later", NULL);
		r = -EAGAIN;
	}
	return r < 0 ? refuse_because(s, r) : store(s);
}

static void
on_reset(void *arg)
{
	struct submission *s = arg;

	s->t = transaction_free(s->t);
	if (s->authentication != NULL)
		authentication_cancel(s->authentication);
}

/* ---- AUTH and TLS ---- */

static enum smtp_decision
on_auth(void *arg, const char *mechanism, const char *response, size_t len)
{
	struct submission *s = arg;

	return authentication_step(s->authentication, s->engine, mechanism, response, len);
}

static void
on_begin_tls(void *arg)
{
	struct submission *s = arg;

	authentication_forget(s->authentication);
	s->ops->starttls(s->arg);
}

/* ---- the rest of the protocol ---- */

static bool
on_known(void *arg, const char *submission_id)
{
	struct submission *s = arg;

	return spool_known(s->q->spool, submission_id) == 1;
}

static void
on_listed(void *arg, bool good)
{
	struct submission *s = arg;

	s->listing = listing_free(s->listing);
	smtp_server_answer(s->engine, good ? SMTP_ACCEPT : SMTP_REFUSE);
	s->ops->proceed(s->arg);
}

static enum smtp_decision
on_list(void *arg, struct buf *out)
{
	struct submission *s = arg;
	const struct caller *c = s->caller;

	s->listing = listing_new(s->q, c->uid,
	    caller_is_admin(s->q, c->uid, c->groups, c->group_count), out, on_listed, s);
	return s->listing == NULL ? SMTP_REFUSE : SMTP_LATER;
}

static void
on_flush(void *arg)
{
	struct submission *s = arg;
	const struct caller *c = s->caller;

	action_flush(
	    s->q, caller_is_admin(s->q, c->uid, c->groups, c->group_count) ? -1 : (int64_t)c->uid);
}

/* One address a line, each once. */
static int
write_line(void *arg, const char *address)
{
	struct buf *out = arg;
	size_t len = strlen(address);

	for (size_t at = 0; at + len < out->len; at += strcspn(out->data + at, "\n") + 1)
		if (memcmp(out->data + at, address, len) == 0 && out->data[at + len] == '\n')
			return 0;
	return buf_printf(out, "%s\n", address);
}

/* Who may not send at all learns nothing either. */
static enum smtp_decision
on_expand(void *arg, const char *address, struct buf *out)
{
	struct submission *s = arg;
	CLEANUP_BUF struct buf why = BUF_INIT(2048);

	if (s->t == NULL)
		return refuse(s, 503, "5.5.1", "MAIL comes first");
	switch (local_expand(s->q, address, write_line, out, &why)) {
	case ALIASES_OK:
		return SMTP_ACCEPT;
	case ALIASES_UNKNOWN:
		return refuse(s, 550, "5.1.1", buf_str(&why));
	case ALIASES_BROKEN:
		return refuse(s, 550, "5.2.4", buf_str(&why));
	default:
		return SMTP_REFUSE;
	}
}

static void
on_aliases_read(void *arg, bool refused, const char *lines)
{
	struct submission *s = arg;

	s->reading_aliases = false;
	if (refused) {
		(void)refuse(s, 550, "5.3.5", lines);
		smtp_server_answer(s->engine, SMTP_REFUSE);
	} else {
		smtp_server_answer_lines(s->engine, lines);
	}
	s->ops->proceed(s->arg);
}

static enum smtp_decision
on_aliases(void *arg)
{
	struct submission *s = arg;
	const struct caller *c = s->caller;

	if (!caller_is_admin(s->q, c->uid, c->groups, c->group_count))
		return refuse(
		    s, 550, "5.7.1", "Only administrators may have the aliases read anew");
	if (local_read_aliases(s->q, on_aliases_read, s) < 0)
		return SMTP_REFUSE;
	s->reading_aliases = true;
	return SMTP_LATER;
}

static const struct smtp_server_ops engine_ops = {
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .known = on_known,
    .list = on_list,
    .flush = on_flush,
    .expand = on_expand,
    .aliases = on_aliases,
};

/* For programs that speak SMTP by themselves: by the standard, and with nothing that is between the
 * shim and us. */
static const struct smtp_server_ops listener_ops = {
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .starttls = on_begin_tls,
};

static void
configure_listener(const struct caller *c, struct smtp_server_config *config)
{
	config->extensions &= ~(unsigned)SMTP_EXT_XFRANK;
	config->extensions |= SMTP_EXT_AUTH;
	if (c->tls == SETTINGS_TLS_STARTTLS)
		config->extensions |= SMTP_EXT_STARTTLS;
	config->auth_mechanisms = "PLAIN LOGIN";
	config->auth_required = c->auth_required;
	/* on loopback a password passes nobody by */
	config->tls_required = c->remote;
	config->tls_active = c->tls_active;
	config->recipients_max = LISTENER_RECIPIENTS_MAX;
	config->bad_commands_max = LISTENER_BAD_COMMANDS_MAX;
	config->lenient = config->all_or_nothing = false;
}

struct submission *
submission_new(
    struct queue *q, const struct caller *caller, const struct submission_ops *ops, void *arg)
{
	struct submission *s = calloc(1, sizeof(*s));
	struct smtp_server_config config = {
	    .software = "Frank",
	    .extensions = SMTP_EXT_PIPELINING | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
			  SMTP_EXT_DSN | SMTP_EXT_CHUNKING | SMTP_EXT_XFRANK | SMTP_EXT_SIZE |
			  SMTP_EXT_ENHANCED | SMTP_EXT_REQUIRETLS,
	    .size_max = q->settings->size_max,
	    .recipients_max = ENVELOPE_RECIPIENTS_MAX,
	    .bad_commands_max = BAD_COMMANDS_MAX,
	    .lenient = true,
	    .all_or_nothing = true,
	};

	if (s == NULL)
		return NULL;
	s->q = q;
	s->caller = caller;
	s->ops = ops;
	s->arg = arg;
	s->hostname = strdup(q->settings->hostname);
	s->mail_name = strdup(q->settings->mail_name);
	config.hostname = s->hostname;
	s->usage = usage_take(q, caller);
	if (s->hostname == NULL || s->mail_name == NULL || s->usage == NULL)
		return submission_free(s);
	if (caller->listener != NULL) {
		configure_listener(caller, &config);
		s->authentication = authentication_new(q, caller, s->usage, ops, arg);
	}
	if (caller->listener == NULL || s->authentication != NULL)
		s->engine = smtp_server_new(
		    &config, caller->listener == NULL ? &engine_ops : &listener_ops, s);
	return s->engine == NULL ? submission_free(s) : s;
}

struct submission *
submission_free(struct submission *s)
{
	if (s == NULL)
		return NULL;
	if (s->asking)
		users_forget(s->q, s);
	if (s->reading_aliases)
		local_forget(s->q, s);
	if (s->storing != NULL)
		store_forget(s->storing);
	(void)listing_free(s->listing);
	(void)smtp_server_free(s->engine);
	(void)transaction_free(s->t);
	(void)authentication_free(s->authentication);
	usage_drop(s->q, s->usage);
	free(s->hostname);
	free(s->mail_name);
	free(s);
	return NULL;
}

struct smtp_server *
submission_engine(struct submission *s)
{
	return s->engine;
}

int
submission_result(const struct submission *s, const char **words)
{
	if (words != NULL)
		*words = s->result_words;
	return s->result;
}

unsigned
submission_stored(const struct submission *s)
{
	return s->stored;
}
