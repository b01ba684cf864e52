/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* arrival.c: see arrival.h. */
#include "deliverability/arrival.h"

#include <curl/curl.h>
#include <libpsl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/header.h"
#include "deliverability/authres.h"

enum { TEXT_MAX = 1024, HOPS_MAX = 50 };

/* ---- domains ---- */

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? address : at + 1;
}

/* Do both have the same organizational domain? A name that is a public suffix itself, or has no dot, stands for itself. */
static bool
is_aligned(const char *a, const char *b)
{
	char lower_a[TEXT_MAX], lower_b[TEXT_MAX];
	const char *org_a, *org_b;
	const psl_ctx_t *psl = psl_builtin();

	(void)snprintf(lower_a, sizeof(lower_a), "%s", a);
	(void)snprintf(lower_b, sizeof(lower_b), "%s", b);
	for (char *s = lower_a; *s != '\0'; s++)
		*s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
	for (char *s = lower_b; *s != '\0'; s++)
		*s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
	if (strcmp(lower_a, lower_b) == 0)
		return *lower_a != '\0';
	org_a = psl == NULL ? NULL : psl_registrable_domain(psl, lower_a);
	org_b = psl == NULL ? NULL : psl_registrable_domain(psl, lower_b);
	return org_a != NULL && org_b != NULL && strcmp(org_a, org_b) == 0;
}

/* ---- fields ---- */

/* A value on one line, without the spaces around it. */
static void
unfold(const struct header_field *f, char *out, size_t size)
{
	size_t n = 0;
	char before = ' ';

	for (size_t i = 0; i < f->value_len && n < size - 1; i++) {
		char c = f->value[i] == '\t' ? ' ' : f->value[i];

		if (c == '\r' || c == '\n' || (c == ' ' && before == ' '))
			continue;
		/* 8-bit text is shown, not interpreted */
		out[n++] = (unsigned char)c >= 0x80 || c == '\0' ? '?' : c;
		before = c;
	}
	if (n > 0 && before == ' ')
		n--;
	out[n] = '\0';
}

/* The word behind `key` ("from", "by") of a Received field; "" where there is none. */
static void
received_word(const char *value, const char *key, char *out, size_t size)
{
	const char *at = value;
	size_t len = strlen(key);

	out[0] = '\0';
	for (; *at != '\0' && *at != ';'; at += strcspn(at, " ;"), at += strspn(at, " ")) {
		if (strncasecmp(at, key, len) == 0 && at[len] == ' ') {
			at += len + 1;
			(void)snprintf(out, size, "%.*s", (int)strcspn(at, " ;("), at);
			return;
		}
		if (*at == '(')
			at += strcspn(at, ")");
	}
}

/* An address of a machine, and no name. */
static bool
is_number(const char *host)
{
	return *host == '\0' || *host == '[' || strchr(host, ':') != NULL ||
	       host[strspn(host, "0123456789.")] == '\0';
}

static json_t *
time_or_null(int64_t at)
{
	return at < 0 ? json_null() : json_integer(at);
}

/* ---- reading ---- */

struct reading {
	const struct arrival_sent *sent;
	json_t *hops, *changed, *dkim;
	json_t *spf;
	char dmarc[AUTHRES_NAME_MAX], id[AUTHRES_VALUE_MAX];
	char host[TEXT_MAX]; /* of the mailbox's own provider */
	bool foreign;        /* below a host of somebody else */
	bool judged, spf_aligned, dkim_aligned;
};

static void
take_result(struct reading *r, const struct authres_result *result)
{
	const char *from = domain_of(r->sent->from), *domain;
	bool pass = strcmp(result->result, "pass") == 0, aligned;

	if (strcmp(result->method, "spf") == 0 && r->spf == NULL) {
		domain = authres_property(result, "smtp.mailfrom");
		if (domain == NULL)
			domain = authres_property(result, "smtp.helo");
		domain = domain == NULL ? "" : domain_of(domain);
		aligned = is_aligned(domain, from);
		r->spf_aligned = pass && aligned;
		r->spf = json_pack("{s:s, s:s, s:b}", "result", result->result, "domain", domain,
		    "aligned", (int)aligned);
	} else if (strcmp(result->method, "dkim") == 0) {
		const char *selector = authres_property(result, "header.s");

		domain = authres_property(result, "header.d");
		if (domain == NULL)
			domain = authres_property(result, "header.i");
		domain = domain == NULL ? "" : domain_of(domain);
		aligned = is_aligned(domain, from);
		r->dkim_aligned |= pass && aligned;
		(void)json_array_append_new(
		    r->dkim, json_pack("{s:s, s:s, s:s?, s:b}", "result", result->result, "domain",
				 domain, "selector", selector, "aligned", (int)aligned));
	} else if (strcmp(result->method, "dmarc") == 0 && r->dmarc[0] == '\0') {
		(void)snprintf(r->dmarc, sizeof(r->dmarc), "%s", result->result);
	}
}

static void
take_results(struct reading *r, const struct header_field *f)
{
	struct authres a;

	if (r->foreign || authres_parse(f->value, f->value_len, &a) < 0)
		return;
	if (a.id[0] != '\0' && r->host[0] != '\0' && !is_aligned(a.id, r->host))
		return;
	if (r->judged && strcmp(a.id, r->id) != 0)
		return; /* the topmost host's word counts */
	r->judged = true;
	memcpy(r->id, a.id, sizeof(r->id));
	for (size_t i = 0; i < a.count; i++)
		take_result(r, &a.results[i]);
}

static void
take_hop(struct reading *r, const struct header_field *f)
{
	char value[4 * TEXT_MAX] = "", from[TEXT_MAX], by[TEXT_MAX];
	const char *date;
	int64_t at;

	unfold(f, value, sizeof(value));
	received_word(value, "from", from, sizeof(from));
	received_word(value, "by", by, sizeof(by));
	date = strrchr(value, ';');
	at = date == NULL ? -1 : (int64_t)curl_getdate(date + 1, NULL);
	if (is_number(by) || strcasestr(value, " with LMTP") != NULL)
		; /* a machine inside, or local delivery, says nothing of whose it is */
	else if (r->host[0] == '\0')
		(void)snprintf(r->host, sizeof(r->host), "%s", by);
	else if (!is_aligned(by, r->host))
		r->foreign = true;
	if (json_array_size(r->hops) < HOPS_MAX)
		(void)json_array_insert_new(r->hops, 0,
		    json_pack("{s:s, s:s, s:o, s:n}", "from", from, "by", by, "time",
			time_or_null(at), "seconds"));
}

/* Has what people see of it changed? */
static void
compare(struct reading *r, const struct header_field *f)
{
	const struct {
		const char *field, *sent;
		bool part; /* the rest of the field is not compared */
	} fields[] = {{"From", r->sent->from, true}, {"Subject", r->sent->subject, false},
	    {"Message-ID", r->sent->message_id, false}};
	char value[TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!header_is(f, fields[i].field))
			continue;
		unfold(f, value, sizeof(value));
		if (fields[i].part ? strcasestr(value, fields[i].sent) == NULL
				   : strcmp(value, fields[i].sent) != 0)
			(void)json_array_append_new(
			    r->changed, json_pack("{s:s, s:s, s:s}", "field", fields[i].field,
					    "sent", fields[i].sent, "received", value));
	}
}

static void
time_hops(struct reading *r)
{
	int64_t before = r->sent->time;
	json_t *hop;
	size_t i;

	json_array_foreach(r->hops, i, hop)
	{
		const json_t *at = json_object_get(hop, "time");

		if (!json_is_integer(at))
			continue;
		(void)json_object_set_new(
		    hop, "seconds", json_integer(json_integer_value(at) - before));
		before = json_integer_value(at);
	}
}

json_t *
arrival_read(const char *header, size_t len, const struct arrival_sent *sent)
{
	struct reading r = {
	    .sent = sent, .hops = json_array(), .changed = json_array(), .dkim = json_array()};
	struct header_field f;
	size_t at = 0;

	while (header_next(header, len, true, &at, &f) == 1) {
		if (header_is(&f, "Received"))
			take_hop(&r, &f);
		else if (header_is(&f, "Authentication-Results"))
			take_results(&r, &f);
		else
			compare(&r, &f);
	}
	time_hops(&r);
	return json_pack("{s:{s:s?, s:o, s:o, s:{s:s?, s:s}}, s:o, s:o}", "authentication", "host",
	    r.judged ? r.id[0] == '\0' ? r.host : r.id : NULL, "spf",
	    r.spf == NULL ? json_null() : r.spf, "dkim", r.dkim, "dmarc", "result",
	    r.dmarc[0] == '\0' ? NULL : r.dmarc, "computed",
	    r.spf_aligned || r.dkim_aligned ? "pass" : "fail", "hops", r.hops, "changed",
	    r.changed);
}

/* ---- what follows ---- */

static bool
passed_alignment(const json_t *authentication)
{
	const char *computed = json_string_value(
	    json_object_get(json_object_get(authentication, "dmarc"), "computed"));

	return computed != NULL && strcmp(computed, "pass") == 0;
}

static json_t *
verdict(const char *name, const char *text, const char *next)
{
	return json_pack("{s:s, s:s, s:s?}", "verdict", name, "text", text, "next", next);
}

json_t *
arrival_verdict(const char *place, const json_t *arrival, const char *from)
{
	const json_t *a = json_object_get(arrival, "authentication");
	bool aligned = passed_alignment(a), judged = json_is_string(json_object_get(a, "host")),
	     signed_ = json_array_size(json_object_get(a, "dkim")) > 0;
	char next[TEXT_MAX];

	(void)snprintf(next, sizeof(next),
	    "Let the provider sign with DKIM for %s, or put its servers into the SPF record of %s; "
	    "frank check says which records there are.",
	    domain_of(from), domain_of(from));
	if (place == NULL)
		return verdict("missing", "The message did not come in that time.",
		    "Wait longer (--timeout), and look at frank transcript for the provider's "
		    "last word.");
	if (strcmp(place, "\\Junk") == 0)
		return verdict("junk",
		    aligned ? "The message is in the junk folder, although its sender is proved."
			    : "The message is in the junk folder, and its sender is not proved.",
		    aligned ? "The content or the sender's reputation counts against it: ask the "
			      "receiving provider's postmaster pages."
			    : next);
	if (!judged)
		return verdict("good",
		    "The message is in the mailbox. Its provider does not say how it judged the "
		    "sender.",
		    NULL);
	if (!aligned)
		return verdict("weak",
		    signed_ ? "The message is in the mailbox, but neither SPF nor a DKIM signature "
			      "proves the domain of From: DMARC fails."
			    : "The message is in the mailbox, but it has no DKIM signature, and "
			      "SPF does "
			      "not prove the domain of From: DMARC fails.",
		    next);
	return verdict("good", "The message is in the mailbox, and its sender is proved.", NULL);
}
