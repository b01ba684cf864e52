/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check.c: see check.h.
 *
 *   name ─┬─▶ look at the configured port ──▶ token ──▶ login ──▶ each sender ──▶ (send) ──┬─▶ done
 *         ├─▶ look at the other ports ─────────────────────────────────────────────────────┤
 *   domain's records ──────────────────────────────────────────────────────────────────────┘
 *
 * The first thing that goes wrong on the upper line decides the verdict, and what would come behind
 * it is not tried. A token that is refused is replaced once, as delivery does.
 */
#include "broker/send/check/check-internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum { CHECK_SEEN_MAX = 4, CHECKS_MAX = 8, TRANSCRIPT_ALL = 40 * 1024, STEP_TEXT_MAX = 6 * 1024 };

/* ---- telling ---- */

void
check_step(struct check *c, const char *name, const char *state, const char *format, ...)
{
	struct message *m = message_new(M_CHECK_STEP);
	CLEANUP_BUF struct buf text = BUF_INIT(STEP_TEXT_MAX), clean = BUF_INIT(STEP_TEXT_MAX);
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&text, format, ap);
	va_end(ap);
	/* A word of a server's or of DNS's that is no UTF-8 would end the report: JSON has no room for it. */
	(void)text_clean(&clean, buf_str(&text));
	message_put_u64(m, F_ID, c->id);
	message_put_str(m, F_NAME, name);
	message_put_str(m, F_STATE, state);
	message_put_str(m, F_TEXT, buf_str(&clean));
	if (m != NULL)
		c->send->ops->to_queue(c->send->arg, m);
}

void
check_decide(struct check *c, const struct smtp_reply *why)
{
	if (c->decided)
		return;
	c->decided = true;
	if (smtp_reply_copy(&c->why, why) < 0)
		c->why = (struct smtp_reply){
		    .code = why->code, .stage = why->stage, .fault = why->fault};
}

void
check_reply_text(const struct smtp_reply *r, char *to, size_t size)
{
	const char *text = r->text == NULL ? smtp_fault_name(r->fault) : r->text;

	if (r->code > 0)
		(void)snprintf(to, size, "%d%s%s %s", r->code, r->enhanced[0] != '\0' ? " " : "",
		    r->enhanced, text);
	else
		(void)snprintf(to, size, "%s", text);
}

void
check_keep_transcript(struct check *c, const char *title, const char *text)
{
	if (*text == '\0')
		return;
	if (title != NULL)
		(void)buf_printf(&c->transcript, "* ---- %s\n", title);
	(void)buf_append_str(&c->transcript, text);
}

/* ---- the end ---- */

struct check *
check_next(const struct check *c)
{
	return c->next;
}

void
check_free(struct check *c)
{
	struct send *s = c->send;

	for (struct check **p = &s->checks; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	(void)resolver_cancel(c->lookup);
	(void)resolver_cancel(c->alias);
	(void)check_domain_free(c->domain);
	(void)check_line_free(c->login);
	for (size_t i = 0; i < c->look_count; i++)
		(void)check_line_free(c->looks[i].line);
	(void)tls_context_free(c->context);
	(void)tls_context_free(c->login_context);
	(void)account_unref(c->account);
	(void)secret_free(c->secret);
	for (size_t i = 0; i < c->sender_count; i++)
		free(c->senders[i]);
	free(c->senders);
	free(c->host);
	free(c->service);
	free(c->provider);
	free(c->to);
	free(c->selector);
	free(c->body);
	free(c->user);
	smtp_reply_clear(&c->why);
	buf_free(&c->transcript);
	free(c);
}

void
check_cancel(struct send *s, uint64_t id)
{
	for (struct check *c = s->checks; c != NULL; c = c->next)
		if (c->id == id) {
			check_free(c);
			return;
		}
}

/* Is it a fault that another port of the same server may not have? */
static bool
is_of_port(const struct smtp_reply *why)
{
	switch (why->fault) {
	case SMTP_FAULT_REFUSED:
	case SMTP_FAULT_UNREACHABLE:
	case SMTP_FAULT_CONNECT_TIMEOUT:
	case SMTP_FAULT_TLS_PLAINTEXT:
	case SMTP_FAULT_TLS_SILENT:
	case SMTP_FAULT_NO_STARTTLS:
	case SMTP_FAULT_NO_AUTH:
		return true;
	default:
		return false;
	}
}

/* What works instead of the configured port, as a next step. "" where nothing does. */
static void
suggest_port(const struct check *c, char *to, size_t size)
{
	to[0] = '\0';
	for (size_t i = 1; i < c->look_count; i++) {
		const struct look *l = &c->looks[i];

		if (!l->fine || !l->trusted || l->port == 25)
			continue;
		(void)snprintf(to, size,
		    "Port %u answers with %s: submit = \"%s:%u\" and tls = \"%s\".", l->port,
		    l->tls == SMTP_TLS_IMPLICIT ? "TLS from the first octet" : "STARTTLS", c->host,
		    l->port, l->tls == SMTP_TLS_IMPLICIT ? "implicit" : "starttls");
		return;
	}
}

static void
finish(struct check *c)
{
	struct message *m = message_new(M_CHECK_DONE);
	char next[400] = "";

	if (c->decided && is_of_port(&c->why))
		suggest_port(c, next, sizeof(next));
	message_put_u64(m, F_ID, c->id);
	if (c->decided)
		reply_put(m, F_RESULT, &c->why);
	message_put_str(m, F_ENDPOINT, c->endpoint);
	if (c->mechanism_name[0] != '\0')
		message_put_str(m, F_MECHANISM, c->mechanism_name);
	if (c->deciding_sender[0] != '\0')
		message_put_str(m, F_SENDER, c->deciding_sender);
	if (next[0] != '\0')
		message_put_str(m, F_NEXT, next);
	message_put_str(m, F_TRANSCRIPT, buf_str(&c->transcript));
	c->send->ops->to_queue(c->send->arg, m);
	check_free(c);
}

/* ---- the names of the server ---- */

struct tls_names
check_server_names(const struct check *c)
{
	return c->account != NULL
		   ? account_server_names(c->account, c->host)
		   : (struct tls_names){.host = c->host, .accepted = {c->host}, .count = 1};
}

/* ---- the way ---- */

void
check_go_on(struct check *c)
{
	bool looking = c->lookup != NULL;

	for (size_t i = 0; i < c->look_count; i++)
		looking = looking || !c->looks[i].done;
	if (c->look_count > 0 && c->looks[0].done && c->login == NULL && !c->login_done &&
	    c->request == 0 && !c->to_ask) {
		if (c->account != NULL && !c->decided) {
			/* It comes back here, also where it fails at once: then the check may be over. */
			check_login(c);
			return;
		}
		c->login_done = true;
	}
	if (c->look_count == 0 && c->lookup == NULL)
		c->login_done = true; /* no address: there is nothing to log in to */
	if (!looking && c->login_done && c->domain_done)
		finish(c);
}

static void
look_at_ports(struct check *c)
{
	static const unsigned ports[] = {25, 465, 587, 2525};

	check_look(c, c->port, c->tls);
	for (size_t i = 0; i < ARRAY_SIZE(ports) && (c->flags & CHECK_API) == 0; i++)
		if (ports[i] != c->port)
			check_look(
			    c, ports[i], ports[i] == 465 ? SMTP_TLS_IMPLICIT : SMTP_TLS_STARTTLS);
}

/* Is this address one of those before it? A literal one is found for both kinds. */
static bool
is_listed(const struct netaddr *addresses, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (addresses[i].len == addresses[at].len &&
		    memcmp(&addresses[i].sockaddr, &addresses[at].sockaddr, addresses[i].len) == 0)
			return true;
	return false;
}

static void
on_resolved(void *arg, const struct netaddr *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct check *c = arg;
	CLEANUP_BUF struct buf all = BUF_INIT(2000);
	char text[64];

	c->lookup = NULL;
	if (count == 0) {
		const struct smtp_reply why = {
		    .stage = SMTP_STAGE_DNS, .fault = fault, .text = words};

		check_step(c, "name", "fail", "%s", words);
		check_decide(c, &why);
	} else {
		memcpy(c->addresses, addresses, count * sizeof(*addresses));
		c->address_count = count;
		for (size_t i = 0; i < count; i++) {
			netaddr_text(&addresses[i], text, sizeof(text));
			if (!is_listed(addresses, i))
				(void)buf_printf(&all, "%s%s", i > 0 ? ", " : "", text);
		}
		check_step(c, "name", "ok", "%s: %s", c->host, buf_str(&all));
		look_at_ports(c);
	}
	check_go_on(c);
}

static void
look_up_host(struct check *c)
{
	c->lookup = resolver_lookup(c->send->resolver, c->host, c->port, on_resolved, c);
	if (c->lookup == NULL) {
		const struct smtp_reply why = {.stage = SMTP_STAGE_DNS,
		    .fault = SMTP_FAULT_LOCAL,
		    .text = "The resolver cannot be set up."};

		check_decide(c, &why);
	}
}

/* ---- a domain whose server DNS names (RFC 6186, RFC 8314) ---- */

static bool look_up_service(struct check *c, enum smtp_tls tls);

static void
on_servers(
    void *arg, const struct server *servers, size_t count, enum smtp_fault fault, const char *words)
{
	const struct smtp_reply why = {.stage = SMTP_STAGE_DNS, .fault = fault, .text = words};
	struct check *c = arg;
	char *host = count == 0 ? NULL : strdup(servers[0].host);

	c->lookup = NULL;
	if (host != NULL) {
		free(c->host);
		c->host = host;
		c->port = servers[0].port;
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u", c->host, c->port);
		check_step(c, "service", "ok", "%s names %s:%u (%s)%s", c->service, c->host,
		    c->port, check_tls_words(c->tls), count > 1 ? ", and others" : "");
		look_up_host(c);
	} else if (c->tls == SMTP_TLS_IMPLICIT && c->account->tls_either &&
		   look_up_service(c, SMTP_TLS_STARTTLS)) {
		check_step(c, "service", "info", "%s", words);
	} else {
		check_step(c, "service", "fail", "%s", words);
		check_decide(c, &why);
	}
	check_go_on(c);
}

static bool
look_up_service(struct check *c, enum smtp_tls tls)
{
	char name[300];

	c->tls = tls;
	(void)snprintf(name, sizeof(name), "%s._tcp.%s",
	    tls == SMTP_TLS_IMPLICIT ? "_submissions" : "_submission", c->service);
	c->lookup = resolver_servers(c->send->resolver, name, on_servers, c);
	return c->lookup != NULL;
}

/* The configured name may be an alias of the one with the addresses. */
static void
on_alias(void *arg, const struct dns_answer *answer)
{
	struct check *c = arg;

	c->alias = NULL;
	if (answer->count > 0 && strcasecmp(answer->records[0].text, c->host) != 0)
		check_step(c, "name", "info", "%s is an alias (CNAME) of %s", c->host,
		    answer->records[0].text);
}

static void
on_finding(void *arg, const char *name, const char *state, const char *text)
{
	check_step(arg, name, state, "%s", text);
}

static void
on_domain_done(void *arg)
{
	struct check *c = arg;

	c->domain = check_domain_free(c->domain);
	c->domain_done = true;
	check_go_on(c);
}

/* ---- the start ---- */

static char *
copy(const struct message *m, enum field f, bool *failed)
{
	const char *text = message_str(m, f);
	char *own = text == NULL ? NULL : strdup(text);

	*failed = *failed || (text != NULL && own == NULL);
	return own;
}

static bool
copy_senders(struct check *c, const struct message *m)
{
	const char *sender;
	size_t at = 0, count = 0;

	while (message_next_str(m, F_SENDERS, &at, &sender))
		count++;
	c->senders = calloc(count + 1, sizeof(*c->senders));
	at = 0;
	while (c->senders != NULL && message_next_str(m, F_SENDERS, &at, &sender)) {
		c->senders[c->sender_count] = strdup(sender);
		if (c->senders[c->sender_count] == NULL)
			return false;
		c->sender_count++;
	}
	return c->senders != NULL;
}

static bool
copy_request(struct check *c, const struct message *m)
{
	const uint8_t *body;
	bool failed = false;

	c->id = message_u64(m, F_ID, 0);
	c->port = (unsigned)message_u64(m, F_PORT, 0);
	c->flags = message_u64(m, F_FLAGS, 0);
	c->tls = account_tls_by_name(message_str(m, F_TLS));
	c->host = copy(m, F_HOST, &failed);
	c->provider = copy(m, F_PROVIDER, &failed);
	c->to = copy(m, F_RCPT, &failed);
	c->selector = copy(m, F_SELECTOR, &failed);
	body = message_bytes(m, F_BODY, &c->body_len);
	if (body != NULL) {
		c->body = malloc(c->body_len + 1);
		failed = failed || c->body == NULL;
		if (c->body != NULL)
			memcpy(c->body, body, c->body_len);
	}
	return copy_senders(c, m) && !failed;
}

static void
fail_at_once(struct check *c, const char *words)
{
	const struct smtp_reply why = {
	    .stage = SMTP_STAGE_CONNECT, .fault = SMTP_FAULT_LOCAL, .text = words};

	check_decide(c, &why);
	finish(c);
}

void
check_start(struct send *s, const struct message *m)
{
	const char *account = message_str(m, F_ACCOUNT), *domain, *seen[CHECK_SEEN_MAX];
	size_t seen_count = 0, at = 0;
	static const struct tls_rules anybody; /* the system's authorities */
	const struct tls_rules *rules;
	struct check *c = calloc(1, sizeof(*c));
	unsigned others = 0;
	char why[160];

	for (const struct check *o = s->checks; o != NULL; o = o->next)
		others++;
	if (c == NULL)
		return; /* queue's own limit of time answers */
	c->send = s;
	c->next = s->checks;
	s->checks = c;
	c->transcript = (struct buf)BUF_INIT(TRANSCRIPT_ALL);
	if (!copy_request(c, m)) {
		fail_at_once(c, "Out of memory.");
		return;
	}
	/* without a port HOST is a domain, whose servers DNS has to name first */
	if (c->port == 0)
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "srv:%s", c->host);
	else
		(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u", c->host, c->port);
	if (account != NULL) {
		struct account *a = account_find(s->accounts, account);

		if (a == NULL || a->broken != NULL) {
			fail_at_once(c,
			    a == NULL ? "The account is not known to the send role yet; try again."
				      : a->broken);
			return;
		}
		c->account = account_ref(a);
	}
	if (others >= CHECKS_MAX || s->shutting_down) {
		fail_at_once(c, "Too many checks are under way; try again in a minute.");
		return;
	}
	rules = c->account == NULL ? &anybody : &c->account->rules;
	c->context = tls_context_new(rules, why, sizeof(why));
	c->login_context = tls_context_new(rules, why, sizeof(why));
	if (c->context == NULL || c->login_context == NULL) {
		fail_at_once(c, why);
		return;
	}
	while (seen_count < ARRAY_SIZE(seen) &&
	       message_next_str(m, F_SIGNED_WITH, &at, &seen[seen_count]))
		seen_count++;
	domain = c->sender_count == 0 ? NULL : address_domain(c->senders[0]);
	if (domain != NULL)
		c->domain = check_domain_new(s->resolver, domain, c->provider, c->selector, seen,
		    seen_count, on_finding, on_domain_done, c);
	c->domain_done = c->domain == NULL;
	if (c->account != NULL && c->account->srv) {
		c->service = strdup(c->host);
		if (c->service == NULL ||
		    !look_up_service(c, c->account->tls_either ? SMTP_TLS_IMPLICIT : c->tls))
			fail_at_once(c, "The resolver cannot be set up.");
		return;
	}
	look_up_host(c);
	if (c->lookup == NULL)
		finish(c);
	else if (strchr(c->host, ':') == NULL && c->host[strspn(c->host, "0123456789.")] != '\0')
		c->alias = resolver_query(s->resolver, c->host, DNS_A, on_alias, c);
}
