/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * personality.c: see personality.h.
 */
#include "sandbox/personality.h"

#include <string.h>

#include "base/attr.h"
#include "base/smtp/smtp.h"

#define COMMON                                                                             \
	(SMTP_EXT_PIPELINING | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_CHUNKING | \
	    SMTP_EXT_SIZE | SMTP_EXT_ENHANCED | SMTP_EXT_AUTH | SMTP_EXT_STARTTLS)
#define MIB (1024ULL * 1024)

static const struct personality all[] = {
    {
	.name = "standard",
	.hostname = "localhost",
	.mechanisms = "XOAUTH2 OAUTHBEARER PLAIN LOGIN",
	.extensions = COMMON,
	.size_max = 35 * MIB,
	.recipients_max = 100,
	.scopes = "openid offline_access email mail.send",
	.send_scope = "mail.send",
	.app_scope = "mail.send",
	.challenge = "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail.send\"}",
	.refusals = {[REFUSE_TOKEN] = "token-refused",
	    [REFUSE_PASSWORD] = "password-refused",
	    [REFUSE_SENDER] = "sender-refused",
	    [REFUSE_SIZE] = "message-too-big",
	    [REFUSE_CLIENT] = "client-unknown",
	    [REFUSE_SECRET] = "client-refused",
	    [REFUSE_GRANT] = "grant-unknown",
	    [REFUSE_REVOKED] = "grant-revoked",
	    [REFUSE_REUSED] = "grant-reused",
	    [REFUSE_SCOPE] = "scope-refused",
	    [REFUSE_PENDING] = "device-pending",
	    [REFUSE_SLOW_DOWN] = "device-slow-down",
	    [REFUSE_EXPIRED] = "device-expired",
	    [REFUSE_DENIED] = "device-denied"},
    },
    {
	.name = "microsoft365",
	.hostname = "LO4P265CA0200.outlook.office365.com",
	.greeting = "LO4P265CA0200.outlook.office365.com Microsoft ESMTP MAIL Service ready at %s "
		    "[08DE2F0A1B2C3D4E]",
	.hello = "LO4P265CA0200.outlook.office365.com Hello [%s]",
	.mechanisms = "LOGIN XOAUTH2",
	.extensions = COMMON | SMTP_EXT_DSN | SMTP_EXT_BINARYMIME,
	.size_max = 157286400,
	.content_max = 35 * MIB,
	.recipients_max = 500,
	.sessions_max = 3,
	.scopes = "openid offline_access email profile https://outlook.office.com/SMTP.Send",
	.send_scope = "https://outlook.office.com/SMTP.Send",
	.app_scope = "https://outlook.office365.com/.default",
	.refusals = {[REFUSE_TOKEN] = "microsoft-token-refused",
	    [REFUSE_PASSWORD] = "microsoft-password-wrong",
	    [REFUSE_SENDER] = "microsoft-send-as-denied",
	    [REFUSE_SESSIONS] = "microsoft-throttled",
	    [REFUSE_SIZE] = "message-too-big",
	    [REFUSE_CLIENT] = "microsoft-client-unknown",
	    [REFUSE_SECRET] = "microsoft-secret-wrong",
	    [REFUSE_GRANT] = "microsoft-grant-unknown",
	    [REFUSE_REVOKED] = "microsoft-consent-revoked",
	    [REFUSE_REUSED] = "microsoft-code-used",
	    [REFUSE_SCOPE] = "microsoft-scope-refused",
	    [REFUSE_PENDING] = "microsoft-device-pending",
	    [REFUSE_SLOW_DOWN] = "device-slow-down",
	    [REFUSE_EXPIRED] = "microsoft-device-expired",
	    [REFUSE_DENIED] = "microsoft-device-denied"},
	.signed_in = "Authentication successful",
	.sender_ok = "Sender OK",
	.recipient_ok = "Recipient OK",
	.go_ahead = "Start mail input; end with <CRLF>.<CRLF>",
	.stored = "OK <%s@LO4P265MB0001.GBRP265.PROD.OUTLOOK.COM> "
		  "[Hostname=LO4P265MB0001.GBRP265.PROD.OUTLOOK.COM]",
    },
    {
	.name = "google",
	.hostname = "smtp.gmail.com",
	.greeting = "smtp.gmail.com ESMTP 5b1f17b1804b1-sm123456wmb.12 - gsmtp",
	.hello = "smtp.gmail.com at your service, [%s]",
	.mechanisms = "LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
	.extensions = COMMON,
	.size_max = 35882577,
	.recipients_max = 100,
	.scopes = "openid email profile https://mail.google.com/",
	.send_scope = "https://mail.google.com/",
	.app_scope = "https://mail.google.com/",
	.offline_by_parameter = true,
	.challenge =
	    "{\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail.google.com/\"}",
	.refusals = {[REFUSE_TOKEN] = "google-token-refused",
	    [REFUSE_PASSWORD] = "google-password-refused",
	    [REFUSE_SIZE] = "message-too-big",
	    [REFUSE_CLIENT] = "google-client-unknown",
	    [REFUSE_SECRET] = "google-secret-wrong",
	    [REFUSE_GRANT] = "google-grant-unknown",
	    [REFUSE_REVOKED] = "google-consent-revoked",
	    [REFUSE_REUSED] = "google-grant-unknown",
	    [REFUSE_SCOPE] = "google-scope-refused",
	    [REFUSE_PENDING] = "google-device-pending",
	    [REFUSE_SLOW_DOWN] = "google-device-slow-down",
	    [REFUSE_EXPIRED] = "device-expired",
	    [REFUSE_DENIED] = "google-device-denied"},
	.signed_in = "Accepted",
	.sender_ok = "OK 5b1f17b1804b1-sm123456wmb.12 - gsmtp",
	.recipient_ok = "OK 5b1f17b1804b1-sm123456wmb.12 - gsmtp",
	.go_ahead = "Go ahead 5b1f17b1804b1-sm123456wmb.12 - gsmtp",
	.stored = "OK %s 5b1f17b1804b1-sm123456wmb.12 - gsmtp",
    },
};

const struct personality *
personality_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}
