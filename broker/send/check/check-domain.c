/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * check-domain.c: see check-domain.h.
 *
 * One question after the other: SPF and what it includes, then DMARC at the domain and at the
 * domains above it, then DKIM keys.
 */
#include "broker/send/check/check-domain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum { SELECTORS_MAX = 4, SEEN_MAX = 4, KEYS_MAX = SELECTORS_MAX + SEEN_MAX, TEXT_MAX_LEN = 1200 };

/* What SPF should name for a preset (NULL: it differs), whose record that is (NULL: the sender's
 * domain), and selectors that the provider uses for everybody. */
static const struct sender {
	const char *provider, *spf, *spf_of;
	const char *selectors[SELECTORS_MAX];
} senders[] = {
#define FAMILY(...)
#define PRESET(                                                                                   \
    name, family, submit, domains, grants, scopes, registration, ends, graph, imap, spf, of, ...) \
	{name, spf, of, {__VA_ARGS__}},
#include "contrib/providers/facts.def"
#undef FAMILY
#undef PRESET
};

/* Who says that there is a key. */
enum source { SOURCE_GIVEN, SOURCE_PROVIDER, SOURCE_SEEN };

struct key_place {
	enum source source;
	char selector[EMAIL_AUTH_NAME_MAX + 1], domain[EMAIL_AUTH_NAME_MAX + 1];
	struct dkim_key key;
};

enum stage { STAGE_SPF, STAGE_DMARC, STAGE_DKIM };

struct check_domain {
	struct resolver *resolver;
	struct lookup *lookup; /* the question that is under way */
	check_domain_finding *finding;
	check_domain_done *done;
	void *arg;
	enum stage stage;
	char domain[EMAIL_AUTH_NAME_MAX + 1];
	const struct sender *sender;
	struct spf spf;
	bool spf_failed, dmarc_failed, dkim_failed; /* DNS did not answer */
	struct dmarc dmarc;
	char dmarc_domain[EMAIL_AUTH_NAME_MAX + 1];
	struct key_place places[KEYS_MAX]; /* where DKIM keys are looked for */
	size_t place_count, place_at;
};

static void PRINTF_LIKE(4, 5)
    tell(struct check_domain *d, const char *name, const char *state, const char *format, ...)
{
	char text[TEXT_MAX_LEN];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	d->finding(d->arg, name, state, text);
}

/* ---- findings ---- */

/* Is it known what SPF should name? */
static bool
knows_spf(const struct check_domain *d)
{
	return d->sender != NULL && d->sender->spf != NULL;
}

static void
report_spf(struct check_domain *d)
{
	CLEANUP_BUF struct buf record = BUF_INIT(sizeof(d->spf.record) * 4);
	const struct spf *s = &d->spf;
	const char *term = knows_spf(d) ? d->sender->spf : "";
	char of[100] = ""; /* whose record, where it is not the sender's */

	if (knows_spf(d) && d->sender->spf_of != NULL)
		(void)snprintf(of, sizeof(of), " (for %s)", d->sender->spf_of);
	(void)text_escape(&record, s->record, strlen(s->record), false);
	if (d->spf_failed && !s->exists)
		tell(d, "spf", "warn", "DNS did not answer for the records of %s", d->domain);
	else if (!s->exists)
		tell(d, "spf", "warn",
		    "%s has no SPF record: receivers cannot tell who may send for it%s%s%s%s",
		    d->domain, *term == '\0' ? "" : "; publish \"v=spf1 ", term,
		    *term == '\0' ? "" : " -all\"", of);
	else if (s->several)
		tell(d, "spf", "fail",
		    "%s has more than one SPF record, which counts as none: make them one",
		    d->domain);
	else if (s->too_many)
		tell(d, "spf", "fail",
		    "more than 10 look-ups (%u seen), which receivers take for an error: %s",
		    s->lookups, buf_str(&record));
	else if (knows_spf(d) && !s->names_wanted)
		tell(d, "spf", "warn", "the provider is not in it: add %s to \"%s\"%s", term,
		    buf_str(&record), of);
	else if (s->malformed)
		tell(d, "spf", "warn", "part of it cannot be read: %s", buf_str(&record));
	else if (s->all == '+' || s->all == '?')
		tell(d, "spf", "warn", "it ends in \"%call\", which keeps nobody out: %s", s->all,
		    buf_str(&record));
	else
		tell(d, "spf", "ok", "%s%s (%u of 10 look-ups)",
		    knows_spf(d) ? "names the provider: " : "", buf_str(&record), s->lookups);
}

/* Is it the sender's domain, or above or below it: may it align (RFC 7489 section 3.1.1)? */
static bool
is_related(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (n < m)
		return is_related(b, a);
	return strcasecmp(a + n - m, b) == 0 && (n == m || a[n - m - 1] == '.');
}

static bool
is_usable(const struct key_place *p)
{
	return p->key.exists && !p->key.revoked;
}

static void
report_key(struct check_domain *d, const struct key_place *p)
{
	static const char *const sources[] = {[SOURCE_GIVEN] = "",
	    [SOURCE_PROVIDER] = " (a selector that the provider uses)",
	    [SOURCE_SEEN] = " (seen in the DKIM-Signature of mail)"};
	const struct dkim_key *k = &p->key;
	/* the DER of an RSA key of 2048 bits has 294 octets, of 1024 bits 162 */
	bool short_key = !k->ed25519 && k->octets < 200;
	bool foreign = !is_related(p->domain, d->domain);

	if (!k->exists)
		tell(d, "dkim", "fail", "%s._domainkey.%s holds no key%s%s", p->selector, p->domain,
		    sources[p->source],
		    p->source == SOURCE_SEEN ? ": receivers take that signature for broken" : "");
	else if (k->revoked)
		tell(d, "dkim", "warn", "%s._domainkey.%s: the key is revoked%s", p->selector,
		    p->domain, sources[p->source]);
	else
		tell(d, "dkim",
		    short_key || k->testing ? "warn"
		    : foreign               ? "info"
					    : "ok",
		    "%s._domainkey.%s: %s%s%s%s%s%s", p->selector, p->domain,
		    k->ed25519 ? "an Ed25519 key" : "an RSA key",
		    short_key ? " of 1024 bits or less: make one of 2048" : "",
		    k->testing ? ", in test mode (t=y)" : "", sources[p->source],
		    foreign ? "; it does not align with " : "", foreign ? d->domain : "");
}

static const struct key_place *
place_of(const struct check_domain *d, enum source source, size_t n)
{
	for (size_t i = 0; i < d->place_count; i++)
		if (d->places[i].source == source && n-- == 0)
			return &d->places[i];
	return NULL;
}

static void
report_dkim(struct check_domain *d)
{
	const struct key_place *one = place_of(d, SOURCE_PROVIDER, 0),
			       *two = place_of(d, SOURCE_PROVIDER, 1);
	bool any = false;

	for (size_t i = 0; i < d->place_count; i++) {
		const struct key_place *p = &d->places[i];

		/* of the provider's some are there, of what was given or seen each has to be */
		if (!p->key.exists && (p->source == SOURCE_PROVIDER || d->dkim_failed))
			continue;
		report_key(d, p);
		any = any || is_usable(p) || p->source != SOURCE_PROVIDER;
	}
	if (any)
		return;
	if (d->dkim_failed)
		tell(d, "dkim", "warn", "DNS did not answer for the keys of %s", d->domain);
	else if (one == NULL)
		tell(d, "dkim", "info",
		    "not looked for: give --selector NAME (s= in the DKIM-Signature of a message)");
	else
		tell(d, "dkim", "warn",
		    "no key under the selectors that the provider uses (%s%s%s): switch DKIM on, "
		    "or give --selector NAME",
		    one->selector, two != NULL ? ", " : "", two != NULL ? two->selector : "");
}

static void
report_dmarc(struct check_domain *d)
{
	const struct dmarc *m = &d->dmarc;
	bool above = strcasecmp(d->domain, d->dmarc_domain) != 0;
	const char *policy = above && m->subdomains[0] != '\0' ? m->subdomains : m->policy;
	bool spf = d->spf.exists && !d->spf.several && (!knows_spf(d) || d->spf.names_wanted);
	bool dkim = false;

	for (size_t i = 0; i < d->place_count; i++)
		dkim = dkim ||
		       (is_usable(&d->places[i]) && is_related(d->places[i].domain, d->domain));
	if (d->dmarc_failed && !m->exists)
		tell(d, "dmarc", "warn", "DNS did not answer for _dmarc.%s", d->domain);
	else if (!m->exists)
		tell(d, "dmarc", "warn",
		    "%s has no DMARC record: large receivers want at least \"v=DMARC1; p=none\"",
		    d->domain);
	else if (m->several)
		tell(d, "dmarc", "fail", "_dmarc.%s has more than one record, which counts as none",
		    d->dmarc_domain);
	else if (*policy == '\0')
		tell(d, "dmarc", "warn",
		    "_dmarc.%s has a record without a policy: receivers ignore it, or take it as "
		    "p=none; write \"v=DMARC1; p=none\" at least",
		    d->dmarc_domain);
	else if (!spf && !dkim && strcasecmp(policy, "none") != 0)
		tell(d, "dmarc", "warn",
		    "policy %s%s%s, and neither SPF nor DKIM of the domain was seen to fit the "
		    "provider: "
		    "receivers may %s this mail",
		    policy, above ? " from " : "", above ? d->dmarc_domain : "", policy);
	else
		tell(d, "dmarc", "ok", "policy %s%s%s; aligned by %s%s%s", policy,
		    above ? ", from " : "", above ? d->dmarc_domain : "", spf ? "SPF" : "",
		    spf && dkim ? " and " : "",
		    dkim  ? "DKIM"
		    : spf ? ""
			  : "nothing that was seen");
}

/* ---- questions ---- */

static void on_txt(void *arg, const struct dns_answer *answer);

static bool
ask(struct check_domain *d, const char *name)
{
	d->lookup = resolver_query(d->resolver, name, DNS_TXT, on_txt, d);
	return d->lookup != NULL;
}

/* The domain above, as long as it has a dot of its own. */
static bool
go_up(struct check_domain *d)
{
	const char *dot = strchr(d->dmarc_domain, '.');

	if (dot == NULL || strchr(dot + 1, '.') == NULL)
		return false;
	memmove(d->dmarc_domain, dot + 1, strlen(dot + 1) + 1);
	return true;
}

/* Asks the next question; false when there is none. */
static bool
ask_next(struct check_domain *d)
{
	char name[2 * EMAIL_AUTH_NAME_MAX + 32];
	const char *of_spf;

	if (d->stage == STAGE_SPF) {
		of_spf = email_auth_spf_next(&d->spf);
		if (of_spf != NULL)
			return ask(d, of_spf);
		d->stage = STAGE_DMARC;
	} else if (d->stage == STAGE_DMARC && (d->dmarc.exists || !go_up(d))) {
		d->stage = STAGE_DKIM;
	}
	if (d->stage == STAGE_DMARC) {
		(void)snprintf(name, sizeof(name), "_dmarc.%s", d->dmarc_domain);
		return ask(d, name);
	}
	if (d->place_at >= d->place_count)
		return false;
	(void)snprintf(name, sizeof(name), "%s._domainkey.%s", d->places[d->place_at].selector,
	    d->places[d->place_at].domain);
	return ask(d, name);
}

static void
on_txt(void *arg, const struct dns_answer *answer)
{
	struct check_domain *d = arg;
	bool failed = answer->status == DNS_FAILED;

	d->lookup = NULL;
	d->spf_failed |= failed && d->stage == STAGE_SPF;
	d->dmarc_failed |= failed && d->stage == STAGE_DMARC;
	d->dkim_failed |= failed && d->stage == STAGE_DKIM;
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *r = &answer->records[i];

		if (d->stage == STAGE_SPF)
			email_auth_spf_record(&d->spf, r->text, r->len);
		else if (d->stage == STAGE_DMARC)
			email_auth_dmarc(&d->dmarc, r->text, r->len);
		else
			email_auth_dkim(&d->places[d->place_at].key, r->text, r->len);
	}
	if (d->stage == STAGE_SPF)
		email_auth_spf_end(&d->spf);
	else if (d->stage == STAGE_DKIM)
		d->place_at++;
	if (ask_next(d))
		return;
	report_spf(d);
	report_dkim(d);
	report_dmarc(d);
	d->done(d->arg);
}

/* ---- outside ---- */

static const struct sender *
sender_of(const char *provider)
{
	const struct sender *found = NULL;
	size_t best = 0;

	/* a preset of one's own may be called "google-two"; the longest name counts */
	for (size_t i = 0; provider != NULL && i < ARRAY_SIZE(senders); i++) {
		size_t len = strlen(senders[i].provider);

		if (len > best && strncmp(provider, senders[i].provider, len) == 0) {
			found = &senders[i];
			best = len;
		}
	}
	return found;
}

static void
add_place(struct check_domain *d, enum source source, const char *selector, size_t len,
    const char *domain)
{
	struct key_place *p = &d->places[d->place_count];

	if (d->place_count == KEYS_MAX || len > EMAIL_AUTH_NAME_MAX ||
	    strlen(domain) > EMAIL_AUTH_NAME_MAX)
		return;
	for (size_t i = 0; i < d->place_count; i++)
		if (strlen(d->places[i].selector) == len &&
		    strncasecmp(d->places[i].selector, selector, len) == 0 &&
		    strcasecmp(d->places[i].domain, domain) == 0)
			return;
	p->source = source;
	(void)snprintf(p->selector, sizeof(p->selector), "%.*s", (int)len, selector);
	(void)snprintf(p->domain, sizeof(p->domain), "%s", domain);
	d->place_count++;
}

/* Where keys are looked for; what was seen goes before what may be. */
static void
choose_places(
    struct check_domain *d, const char *selector, const char *const *seen, size_t seen_count)
{
	if (selector != NULL) {
		add_place(d, SOURCE_GIVEN, selector, strlen(selector), d->domain);
		return;
	}
	for (size_t i = 0; i < seen_count && i < SEEN_MAX; i++) {
		size_t len = strcspn(seen[i], " ");

		if (seen[i][len] == ' ')
			add_place(d, SOURCE_SEEN, seen[i], len, seen[i] + len + 1);
	}
	for (size_t i = 0; d->sender != NULL && i < SELECTORS_MAX; i++) {
		const char *name = d->sender->selectors[i];

		if (name != NULL)
			add_place(d, SOURCE_PROVIDER, name, strlen(name), d->domain);
	}
}

struct check_domain *
check_domain_new(struct resolver *resolver, const char *domain, const char *provider,
    const char *selector, const char *const *seen, size_t seen_count, check_domain_finding *finding,
    check_domain_done *done, void *arg)
{
	struct check_domain *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->resolver = resolver;
	d->finding = finding;
	d->done = done;
	d->arg = arg;
	d->sender = sender_of(provider);
	(void)snprintf(d->domain, sizeof(d->domain), "%s", domain);
	(void)snprintf(d->dmarc_domain, sizeof(d->dmarc_domain), "%s", domain);
	email_auth_spf_begin(
	    &d->spf, domain, knows_spf(d) ? d->sender->spf + strlen("include:") : "");
	choose_places(d, selector, seen, seen_count);
	return ask_next(d) ? d : check_domain_free(d);
}

struct check_domain *
check_domain_free(struct check_domain *d)
{
	if (d != NULL)
		(void)resolver_cancel(d->lookup);
	free(d);
	return NULL;
}
