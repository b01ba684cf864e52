/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * provider.c: who a server belongs to, and what is known of that provider's servers.
 *
 * A provider is known by the preset's name, else by the server's host name, else by words that only
 * its servers write.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

static const struct {
	unsigned bit;
	const char *name;       /* for people */
	const char *keys;       /* names of presets begin with one of these */
	const char *hosts;      /* ends of host names */
	const char *marks;      /* words that only its servers write */
	const char *domains;    /* of mailboxes that it gives to anybody */
	const char *submission; /* where it takes mail, for people; NULL: it depends */
	const char *ports;      /* of its submission hosts; NULL: not known */
	const char *password;   /* what works as a password; NULL: nothing special is known */
} providers[] = {
    {MICROSOFT, "Microsoft 365", "microsoft outlook office exchange hotmail m365",
	".office365.com .office365.us .outlook.com .outlook.cn .outlook.de .microsoftonline.com "
	".microsoftonline.us .chinacloudapi.cn .live.com",
	".outlook.com]|.outlook.com;|aadsts|.office365.com|prod.outlook.com|5.7.139|5.7.60|5.7.57|"
	"smtpclientauthentication|storedrv|sendasdenied|aka.ms/|.office365.us",
	"outlook.com hotmail.com live.com msn.com", "smtp.office365.com:587", "587 25", NULL},
    {GOOGLE, "Google", "google gmail workspace",
	".gmail.com .google.com .googlemail.com .googleapis.com",
	"- gsmtp|support.google.com|- gcdp|daily user sending|gmail", "gmail.com googlemail.com",
	"smtp.gmail.com:465", "465 587 25", "an app password, which needs 2-step verification"},
    {SES, "Amazon SES", "ses amazon aws", ".amazonaws.com", "amazonaws.com|ses:sendrawemail", NULL,
	NULL, "587 2587 465 2465 25", "the SMTP password derived for this region"},
    {SENDGRID, "SendGrid", "sendgrid", ".sendgrid.net", "sendgrid", NULL, "smtp.sendgrid.net:587",
	"587 465 2525 25", "an API key that may send mail, with the user name \"apikey\""},
    {MAILGUN, "Mailgun", "mailgun", ".mailgun.org", "mailgun", NULL, "smtp.mailgun.org:587",
	"587 465 2525 25", "the SMTP password of the sending domain, not the API key"},
    {POSTMARK, "Postmark", "postmark", ".postmarkapp.com", "postmark", NULL,
	"smtp.postmarkapp.com:587", "587 2525 25", "the server's API token"},
    {YAHOO, "Yahoo", "yahoo aol", ".yahoo.com .aol.com .yahoodns.net",
	"#auth005|#mbr1212|.mail.yahoo.com|help.yahoo.com",
	"yahoo.com ymail.com rocketmail.com aol.com", "smtp.mail.yahoo.com:465", "465 587",
	"an app password"},
    {ICLOUD, "iCloud", "icloud apple", ".mail.me.com .icloud.com", "icloud.com",
	"icloud.com me.com mac.com", "smtp.mail.me.com:587", "587", "an app-specific password"},
    {MAILRU, "Mail.ru", "mailru mail.ru", ".mail.ru", "mail.ru|neobhodim",
	"mail.ru inbox.ru list.ru bk.ru", "smtp.mail.ru:465", "465", "an application password"},
    {YANDEX, "Yandex", "yandex", ".yandex.com .yandex.ru .yandex.net", "yandex",
	"yandex.com yandex.ru ya.ru", "smtp.yandex.com:465", "465 587", "an app password"},
    {ZOHO, "Zoho", "zoho", ".zoho.com .zoho.eu .zoho.in .zoho.com.au .zoho.jp .zoho.com.cn", "zoho",
	"zohomail.com", NULL, "465 587", "an app password where 2-step verification is on"},
    {FASTMAIL, "Fastmail", "fastmail", ".fastmail.com .messagingengine.com", "fastmail",
	"fastmail.com fastmail.fm", "smtp.fastmail.com:465", "465 587", "an app password"},
    {PROTON, "Proton", "proton", ".protonmail.ch .proton.me", "protonmail",
	"proton.me protonmail.com", "smtp.protonmail.ch:587", "587",
	"an SMTP token made in Proton's settings, never the account's password"},
    {BREVO, "Brevo", "brevo sendinblue", ".brevo.com .sendinblue.com", "brevo|sendinblue", NULL,
	"smtp-relay.brevo.com:587", "587 465 2525 25",
	"an SMTP key, neither the API key nor the account's password"},
    {GMX, "GMX", "gmx web.de mail.com", ".gmx.net .gmx.com .web.de .mail.com", "gmx.net|web.de",
	"gmx.net gmx.de gmx.com gmx.at web.de", NULL, "587 465",
	"the mailbox's password once access by other programs (POP3 and IMAP) is switched on in "
	"the "
	"settings, or an application password"},
    {IONOS, "IONOS", "ionos 1und1 1and1",
	".ionos.com .ionos.de .ionos.co.uk .ionos.es .ionos.fr "
	".1und1.de .1and1.com .kundenserver.de .perfora.net",
	"kundenserver.de|perfora.net|ionos", NULL, NULL, "587 465",
	"the mailbox's own password, not that of the customer account"},
    {OVH, "OVH", "ovh", ".ovh.net .ovh.com .ovh.ca .mail.ovh.net", "ovh.net", NULL, NULL, "587 465",
	"the mailbox's own password, not that of the customer account"},
    {MAILJET, "Mailjet", "mailjet", ".mailjet.com", "mailjet", NULL, "in-v3.mailjet.com:587",
	"587 465 2525 25 588", "the secret key, with the API key as the user name"},
    {NETEASE, "NetEase or QQ Mail", "qq 163 126 netease exmail",
	".qq.com .163.com .126.com .yeah.net", "mail.qq.com|163.com|126.com",
	"qq.com foxmail.com 163.com 126.com", NULL, "465 587 994 25",
	"an authorization code made in the mailbox's settings, never the password"},
    {SECURESERVER, "GoDaddy", "godaddy secureserver", ".secureserver.net", "secureserver.net", NULL,
	NULL, "465 587 80 3535 25", "the mailbox's own password"},
    {MAILTRAP, "Mailtrap", "mailtrap", ".mailtrap.io", "mailtrap", NULL, NULL, "587 2525 465 25",
	"the SMTP credentials of the sandbox or sending domain"},
};

/* Hosts that take mail for their own mailboxes and let nobody log in. */
static const char mx_hosts[] =
    ".mail.protection.outlook.com .olc.protection.outlook.com "
    ".mx.microsoft gmail-smtp-in.l.google.com .gmail-smtp-in.l.google.com "
    "aspmx.l.google.com .aspmx.l.google.com .yahoodns.net mxs.mail.ru "
    ".mail.icloud.com mail.protonmail.ch mailsec.protonmail.ch";

/* Is `s` one of the words, or, for a word that begins with a dot, does it end in it? */
static bool
ends_in(const char *s, const char *words)
{
	const char *item;
	size_t len, all = s == NULL ? 0 : strlen(s);

	while (s != NULL && words != NULL && (len = diagnosis_next_word(&words, &item)) > 0) {
		if (all == len && strncasecmp(s, item, len) == 0)
			return true;
		if (item[0] == '.' && all >= len && strncasecmp(s + all - len, item, len) == 0)
			return true;
		if (item[0] == '.' && all == len - 1 && strncasecmp(s, item + 1, all) == 0)
			return true;
	}
	return false;
}

static size_t
index_of(unsigned bit)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(providers) && providers[i].bit != bit)
		i++;
	return i;
}

const char *
diagnosis_provider_name(unsigned provider)
{
	size_t i = index_of(provider);

	return i < ARRAY_SIZE(providers) ? providers[i].name : "the provider";
}

const char *
diagnosis_provider_password(unsigned provider)
{
	size_t i = index_of(provider);

	return i < ARRAY_SIZE(providers) ? providers[i].password : NULL;
}

static unsigned
by_name(const char *name)
{
	for (size_t i = 0; name != NULL && i < ARRAY_SIZE(providers); i++) {
		const char *keys = providers[i].keys, *key;
		size_t len;

		while ((len = diagnosis_next_word(&keys, &key)) > 0)
			if (strncasecmp(name, key, len) == 0)
				return providers[i].bit;
	}
	return 0;
}

static unsigned
by_host(const char *host)
{
	for (size_t i = 0; host != NULL && i < ARRAY_SIZE(providers); i++)
		if (ends_in(host, providers[i].hosts))
			return providers[i].bit;
	return 0;
}

static const char *
domain_of(const char *address)
{
	const char *at = address == NULL ? NULL : strrchr(address, '@');

	return at == NULL ? NULL : at + 1;
}

static unsigned
by_domain(const char *address)
{
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (ends_in(domain_of(address), providers[i].domains))
			return providers[i].bit;
	return 0;
}

unsigned
diagnosis_provider(const struct diagnosis_facts *f, const struct diagnosis_match *m)
{
	unsigned bit = by_name(f->provider);

	if (bit == 0)
		bit = by_host(f->host);
	for (size_t i = 0; bit == 0 && i < ARRAY_SIZE(providers); i++)
		if (diagnosis_says(m->words, providers[i].marks) ||
		    diagnosis_says(m->enhanced, providers[i].marks))
			bit = providers[i].bit;
	return bit;
}

bool
diagnosis_is_mx(const struct diagnosis_facts *f)
{
	const char *h = f->host;

	if (h == NULL)
		return false;
	if (ends_in(h, mx_hosts))
		return true;
	/* mx.example.org, mx1.example.org */
	return strncasecmp(h, "mx", 2) == 0 && h[2 + strspn(h + 2, "0123456789abcdef-")] == '.';
}

bool
diagnosis_is_consumer(const struct diagnosis_facts *f)
{
	return ends_in(f->host, "smtp-mail.outlook.com") ||
	       (f->provider != NULL && strncasecmp(f->provider, "outlook", 7) == 0) ||
	       by_domain(f->auth_user) == MICROSOFT ||
	       (f->auth_user == NULL && by_domain(f->mail_from) == MICROSOFT);
}

bool
diagnosis_port_is_wrong(const struct diagnosis_facts *f)
{
	size_t i = index_of(by_host(f->host));
	const char *ports, *item;
	size_t len;
	char text[12];
	int n;

	if (i == ARRAY_SIZE(providers) || f->port == 0 || providers[i].ports == NULL)
		return false;
	if (diagnosis_is_mx(f))
		return f->port != 25;
	ports = providers[i].ports;
	n = snprintf(text, sizeof(text), "%u", f->port);
	while ((len = diagnosis_next_word(&ports, &item)) > 0)
		if (len == (size_t)n && memcmp(item, text, len) == 0)
			return false;
	return true;
}

bool
diagnosis_banner_is_foreign(const struct diagnosis_facts *f)
{
	size_t i = index_of(by_host(f->host));
	const char *item, *hosts;
	size_t len;

	if (f->greeting == NULL || i == ARRAY_SIZE(providers))
		return false;
	hosts = providers[i].hosts;
	while ((len = diagnosis_next_word(&hosts, &item)) > 0) {
		char end[64];

		(void)snprintf(end, sizeof(end), "%.*s", (int)len - 1, item + 1);
		if (diagnosis_says(f->greeting, end))
			return false;
	}
	return !diagnosis_says(f->greeting, providers[i].marks);
}

const char *
diagnosis_submission(const struct diagnosis_facts *f, unsigned provider, char *scratch, size_t size)
{
	unsigned of_sender = by_domain(f->mail_from);
	size_t i = index_of(of_sender != 0 ? of_sender : provider);

	if (i == ARRAY_SIZE(providers) || providers[i].submission == NULL)
		return NULL;
	if (providers[i].bit == MICROSOFT && diagnosis_is_consumer(f))
		return "smtp-mail.outlook.com:587";
	if (of_sender != 0 || by_name(f->provider) != 0 || !diagnosis_is_mx(f))
		return providers[i].submission;
	/* whose host for incoming mail it is says little of where the sender belongs */
	(void)snprintf(
	    scratch, size, "%s, for mailboxes of %s", providers[i].submission, providers[i].name);
	return scratch;
}
