/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * provider.c: who a server belongs to, and what is known of that provider's servers.
 *
 * A provider is known by the preset's name, else by the server's host name, else by words that only
 * its servers write. The facts are those of the presets (contrib/providers/facts.py).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

static const struct family {
	unsigned bit;
	const char *title;      /* for people */
	const char *names;      /* of presets, and what else the provider is called */
	const char *hosts;      /* ends of host names */
	const char *marks;      /* words that only its servers write (struct rule's `words`) */
	const char *domains;    /* of mailboxes that it gives to anybody */
	const char *mx;         /* hosts that take mail for its own mailboxes, and no logins */
	const char *ports;      /* of its submission hosts; NULL: not known */
	const char *password;   /* what works as a password; NULL: nothing special is known */
	const char *submission; /* host:port; NULL: it depends on the account */
} families[] = {
#define FAMILY(id, ...) {id, __VA_ARGS__},
#define PRESET(...)
#include "contrib/providers/facts.def"
#undef FAMILY
#undef PRESET
};

static const struct preset {
	const char *name;
	unsigned family;
	const char *submission, *domains; /* as above, of this preset alone */
} presets[] = {
#define FAMILY(...)
#define PRESET(name, family, submit, domains, ...) {name, family, submit, domains},
#include "contrib/providers/facts.def"
#undef FAMILY
#undef PRESET
};

/* Is `s` one of the words, or, for a word that begins with a dot, does it end in it? */
static bool
ends_in(const char *s, const char *words)
{
	const char *item;
	size_t len, all = s == NULL ? 0 : strlen(s);

	while (s != NULL && words != NULL && (len = words_next(&words, &item)) > 0) {
		if (all == len && strncasecmp(s, item, len) == 0)
			return true;
		if (item[0] == '.' && all >= len && strncasecmp(s + all - len, item, len) == 0)
			return true;
		if (item[0] == '.' && all == len - 1 && strncasecmp(s, item + 1, all) == 0)
			return true;
	}
	return false;
}

static const struct family *
family_of(unsigned bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i].bit == bit)
			return &families[i];
	return NULL;
}

const char *
provider_title(unsigned provider)
{
	const struct family *f = family_of(provider);

	return f == NULL ? "the provider" : f->title;
}

const char *
provider_password(unsigned provider)
{
	const struct family *f = family_of(provider);

	return f == NULL ? NULL : f->password;
}

/* A preset of one's own may be called "google-two". */
static unsigned
by_name(const char *name)
{
	for (size_t i = 0; name != NULL && i < ARRAY_SIZE(families); i++) {
		const char *names = families[i].names, *item;
		size_t len;

		while ((len = words_next(&names, &item)) > 0)
			if (strncasecmp(name, item, len) == 0 &&
			    (name[len] == '\0' || name[len] == '-'))
				return families[i].bit;
	}
	return 0;
}

static unsigned
by_host(const char *host)
{
	for (size_t i = 0; host != NULL && i < ARRAY_SIZE(families); i++)
		if (ends_in(host, families[i].hosts))
			return families[i].bit;
	return 0;
}

/* The preset to whose domains the address belongs. */
static const struct preset *
by_domain(const char *address)
{
	const char *at = address == NULL ? NULL : strrchr(address, '@');

	for (size_t i = 0; at != NULL && i < ARRAY_SIZE(presets); i++)
		if (ends_in(at + 1, presets[i].domains))
			return &presets[i];
	return NULL;
}

unsigned
provider_find(const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	unsigned bit = by_name(f->provider);

	if (bit == 0)
		bit = by_host(f->host);
	for (size_t i = 0; bit == 0 && i < ARRAY_SIZE(families); i++)
		if (families[i].marks != NULL && (words_say(m->words, families[i].marks) ||
						     words_say(m->enhanced, families[i].marks)))
			bit = families[i].bit;
	return bit;
}

bool
provider_is_mx(const struct diagnosis_facts *f)
{
	const char *h = f->host;

	if (h == NULL)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (ends_in(h, families[i].mx))
			return true;
	/* mx.example.org, mx1.example.org */
	return strncasecmp(h, "mx", 2) == 0 && h[2 + strspn(h + 2, "0123456789abcdef-")] == '.';
}

/* Microsoft's preset for mailboxes that it gives to anybody, where the account is one of those. */
static const struct preset *
consumer_preset(const struct diagnosis_facts *f)
{
	const struct preset *p = by_domain(f->auth_user != NULL ? f->auth_user : f->mail_from);

	if (p != NULL && p->family == MICROSOFT365)
		return p;
	for (p = presets; p < presets + ARRAY_SIZE(presets); p++) {
		size_t len = p->submission == NULL ? 0 : strcspn(p->submission, ":");

		if (p->family != MICROSOFT365 || p->domains == NULL)
			continue;
		if (f->host != NULL && p->submission != NULL && strlen(f->host) == len &&
		    strncasecmp(f->host, p->submission, len) == 0)
			return p;
		if (f->provider != NULL && strncasecmp(f->provider, p->name, strlen(p->name)) == 0)
			return p;
	}
	return NULL;
}

bool
provider_is_consumer(const struct diagnosis_facts *f)
{
	return consumer_preset(f) != NULL;
}

bool
provider_port_is_wrong(const struct diagnosis_facts *f)
{
	const struct family *family = family_of(by_host(f->host));
	const char *ports, *item;
	size_t len;
	char text[12];
	int n;

	if (family == NULL || f->port == 0 || family->ports == NULL)
		return false;
	if (provider_is_mx(f))
		return f->port != 25;
	ports = family->ports;
	n = snprintf(text, sizeof(text), "%u", f->port);
	while ((len = words_next(&ports, &item)) > 0)
		if (len == (size_t)n && memcmp(item, text, len) == 0)
			return false;
	return true;
}

bool
provider_banner_is_foreign(const struct diagnosis_facts *f)
{
	const struct family *family = family_of(by_host(f->host));
	const char *item, *hosts;
	size_t len;

	if (f->greeting == NULL || family == NULL)
		return false;
	hosts = family->hosts;
	while ((len = words_next(&hosts, &item)) > 0) {
		char end[64];

		(void)snprintf(end, sizeof(end), "%.*s", (int)len - 1, item + 1);
		if (words_say(f->greeting, end))
			return false;
	}
	return family->marks == NULL || !words_say(f->greeting, family->marks);
}

const char *
provider_submission(const struct diagnosis_facts *f, unsigned provider, char *scratch, size_t size)
{
	const struct preset *of_sender = by_domain(f->mail_from), *consumer = consumer_preset(f);
	const struct family *family = family_of(provider);

	if (of_sender != NULL)
		return of_sender->submission;
	if (family == NULL || family->submission == NULL)
		return NULL;
	if (provider == MICROSOFT365 && consumer != NULL)
		return consumer->submission;
	if (by_name(f->provider) != 0 || !provider_is_mx(f))
		return family->submission;
	/* whose host for incoming mail it is says little of where the sender belongs */
	(void)snprintf(scratch, size, "%s, for mailboxes of %s", family->submission, family->title);
	return scratch;
}
