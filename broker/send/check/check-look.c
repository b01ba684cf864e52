/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-look.c: what a port says to somebody without a credential: connection, TLS, certificates, and
 * the offers before TLS and within it. Where a certificate is not accepted a look goes on, so that all
 * of that can be told; nothing that it learns reaches the login.
 */
#include "broker/send/check/check-internal.h"

#include <stdio.h>
#include <string.h>

/* ---- looking at a port ---- */

static void
put_offer(struct buf *out, const struct smtp_client_offer *o)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{SMTP_EXT_PIPELINING, "PIPELINING"}, {SMTP_EXT_8BITMIME, "8BITMIME"},
	    {SMTP_EXT_SMTPUTF8, "SMTPUTF8"}, {SMTP_EXT_DSN, "DSN"}, {SMTP_EXT_CHUNKING, "CHUNKING"},
	    {SMTP_EXT_STARTTLS, "STARTTLS"}, {SMTP_EXT_REQUIRETLS, "REQUIRETLS"}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((o->extensions & names[i].bit) != 0)
			(void)buf_printf(out, "%s%s", out->len > 0 ? " " : "", names[i].name);
	if (o->size_max > 0)
		(void)buf_printf(
		    out, "%sSIZE %llu", out->len > 0 ? " " : "", (unsigned long long)o->size_max);
}

static const char *
or_none(const char *s)
{
	return *s == '\0' ? "none" : s;
}

const char *
check_tls_words(enum smtp_tls tls)
{
	return tls == SMTP_TLS_IMPLICIT ? "TLS from the first octet"
	       : tls == SMTP_TLS_NONE   ? "no TLS"
					: "STARTTLS";
}

/* The offers, before and within TLS. */
static void
report_offers(struct check *c, const struct look *l)
{
	struct smtp_client_offer clear = check_line_offer(l->line, false),
				 within = check_line_offer(l->line, true);
	CLEANUP_BUF struct buf before = BUF_INIT(1000), inside = BUF_INIT(1000);
	bool secure;

	put_offer(&before, &clear);
	put_offer(&inside, &within);
	if (clear.given)
		check_step(c, "ehlo", "info", "before TLS: %s", or_none(buf_str(&before)));
	if (within.given)
		check_step(c, "ehlo", "info", "within TLS: %s", or_none(buf_str(&inside)));
	secure = l->tls != SMTP_TLS_NONE;
	if (!clear.given && !within.given)
		return;
	if (clear.given && within.given)
		check_step(c, "auth-offer",
		    *clear.auth != '\0'    ? "warn"
		    : *within.auth != '\0' ? "ok"
					   : "info",
		    "before TLS: %s%s; within TLS: %s", or_none(clear.auth),
		    *clear.auth != '\0'
			? " (a client that forgets TLS would give its password away)"
			: "",
		    or_none(within.auth));
	else
		check_step(c, "auth-offer", *(secure ? within : clear).auth != '\0' ? "ok" : "info",
		    "%s TLS: %s", secure ? "within" : "without",
		    or_none((secure ? within : clear).auth));
}

static void
report_certificate(struct check *c, const struct look *l)
{
	const struct tls_trouble *t = check_line_trouble(l->line);

	if (*check_line_chain(l->line) == '\0')
		return;
	check_step(c, "certificate", t->fault == SMTP_FAULT_NONE ? "ok" : "fail", "%s%s%s",
	    t->fault == SMTP_FAULT_NONE ? "" : t->words, t->fault == SMTP_FAULT_NONE ? "" : "\n",
	    check_line_chain(l->line));
}

static void
report_configured(struct check *c, struct look *l, const struct smtp_reply *end)
{
	const struct tls_trouble *t = check_line_trouble(l->line);
	char text[600];

	check_reply_text(end, text, sizeof(text));
	if (*check_line_address(l->line) == '\0') {
		check_step(c, "connect", "fail", "%s", text);
		check_decide(c, end);
		return;
	}
	(void)snprintf(c->endpoint, sizeof(c->endpoint), "%s:%u [%s]", c->host, c->port,
	    check_line_address(l->line));
	check_step(c, "connect", "ok", "%s", c->endpoint);
	if (*check_line_tls(l->line) != '\0')
		check_step(
		    c, "tls", "ok", "%s, %s", check_tls_words(l->tls), check_line_tls(l->line));
	report_certificate(c, l);
	if (t->fault != SMTP_FAULT_NONE && end->code == 0 && t->fault == end->fault) {
		check_step(c, "tls", "fail", "%s", text);
		check_decide(c, end);
	} else if (t->fault != SMTP_FAULT_NONE) {
		const struct smtp_reply bad = {
		    .stage = SMTP_STAGE_TLS, .fault = t->fault, .text = t->words};

		check_decide(c, &bad);
	}
	if (!l->fine) {
		if (!c->decided)
			check_step(c,
			    end->stage == SMTP_STAGE_TLS || end->stage == SMTP_STAGE_STARTTLS
				? "tls"
				: smtp_stage_name(end->stage),
			    "fail", "%s", text);
		check_decide(c, end);
	}
}

/* A server without an account, that is no relay: people log in there. */
static void
judge_offer(struct check *c, const struct look *l)
{
	const struct smtp_reply none = {.stage = SMTP_STAGE_AUTH,
	    .fault = SMTP_FAULT_NO_AUTH,
	    .text = "The server does not offer AUTH."};

	if (c->account == NULL && l->port != 25 &&
	    *check_line_offer(l->line, l->tls != SMTP_TLS_NONE).auth == '\0')
		check_decide(c, &none);
}

static void
report_other(struct check *c, struct look *l, const struct smtp_reply *end)
{
	char name[24], text[600];

	(void)snprintf(name, sizeof(name), "port %u", l->port);
	check_reply_text(end, text, sizeof(text));
	if (l->fine) {
		const char *auth = check_line_offer(l->line, l->tls != SMTP_TLS_NONE).auth;

		check_step(c, name, "info", "%s, AUTH %s%s", check_tls_words(l->tls), or_none(auth),
		    check_line_trouble(l->line)->fault != SMTP_FAULT_NONE
			? "; its certificate is not accepted"
			: "");
	} else {
		check_step(c, name, "info", "%s", text);
	}
}

static void
look_ended(struct look *l, const struct smtp_reply *end)
{
	struct check *c = l->check;
	bool own = l == &c->looks[0];
	char title[400];

	if (l->done)
		return;
	l->done = true;
	l->fine = l->fine || (end->code == 220 && end->stage == SMTP_STAGE_TLS);
	l->trusted = l->fine && check_line_trouble(l->line)->fault == SMTP_FAULT_NONE;
	if (own)
		report_configured(c, l, end);
	else
		report_other(c, l, end);
	(void)snprintf(
	    title, sizeof(title), "%s:%u, looking without a credential", c->host, l->port);
	if (own || l->fine)
		check_keep_transcript(c, title, check_line_transcript(l->line));
}

static void
on_look(void *arg, struct check_line *line, const struct smtp_client_event *e)
{
	struct look *l = arg;
	struct check *c = l->check;

	if (e->type == SMTP_CLIENT_READY) {
		const struct smtp_reply fine = {.code = 250, .stage = SMTP_STAGE_EHLO};

		l->fine = true;
		look_ended(l, &fine);
		if (l == &c->looks[0]) {
			report_offers(c, l);
			judge_offer(c, l);
		}
		smtp_client_quit(check_line_client(line), send_now());
		check_go_on(c);
	} else if (e->type == SMTP_CLIENT_CLOSED) {
		bool was_done = l->done;

		if (!was_done)
			look_ended(l, e->reply);
		if (l == &c->looks[0] && !was_done)
			report_offers(c, l);
		l->line = check_line_free(l->line);
		check_go_on(c);
	}
}

void
check_look(struct check *c, unsigned port, enum smtp_tls tls)
{
	struct look *l = &c->looks[c->look_count];
	struct check_line_config config = {.base = c->send->base,
	    .host = c->host,
	    .ehlo_name = c->send->hostname,
	    .port = port,
	    .addresses = c->addresses,
	    .address_count = c->address_count,
	    .tls = tls,
	    .context = c->context,
	    .names = check_server_names(c),
	    .only_look = true,
	    .tls_only = (c->flags & CHECK_API) != 0,
	    .patience = c->look_count == 0 ? CHECK_PATIENCE : CHECK_PATIENCE_OTHER};

	*l = (struct look){.check = c, .port = port, .tls = tls};
	l->line = check_line_new(&config, on_look, l);
	l->done = l->line == NULL;
	c->look_count++;
}
