/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * words.c: does a text say a thing? The language of the table's `words` (rule.h), and the sets of
 * words that rules name with @.
 *
 * Servers and programs say the same thing in many ways. A set lists the ways once, for all rules.
 * Sets are about meaning alone; which meaning decides at which stage is the table's matter.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "diagnosis/rule.h"

static const struct {
	const char *name, *words;
} sets[] = {
    {"tls-wanted", "starttls&_must_|starttls&requir|starttls&first|starttls&need|issue a starttls|"
		   "_tls_&requir|_tls_&must|tls needed|_ssl_&requir|ssl/tls&requir|tls/ssl&requir|"
		   "encryption&requir|encryption&need|encryption is needed|encrypted connection|"
		   "secure connection&!or the client was not|secure channel|tls channel|"
		   "unencrypted|connection is not secure|insecure connection|"
		   "non-secure connection|non-secure (|not encrypted|plaintext auth|"
		   "plaintext login|cleartext auth|plain text auth|clear text auth|without tls|"
		   "without ssl|without encryption|only over tls|use tls|use ssl|starttls before|"
		   "turn on ssl|turn on tls|starttls"},
    {"auth-wanted", "authentication&requir|authentication needed|authentication is needed|"
		    "_auth_&requir|smtp auth first|smtp-auth&requir|authenticate&must|"
		    "authenticate&need|authenticate&before|authenticate first|please authenticate|"
		    "unauthenticated|not authenticated&!secure connection or the client|"
		    "not been authenticated|wasn't authenticated|isn't authenticated|"
		    "be authenticated|not logged in|log in first|log on first|login first|"
		    "login&requir|log in&before|login&before|be logged in|must log in|must login|"
		    "anonymous mail|anonymous sender|no authentication|without authentication|"
		    "without auth|without login|need to log in|authorization required|"
		    "authorization is required|pop before smtp|pop-before-smtp|"
		    "check your mail before|check for new mail before|check for mail first|"
		    "authentification requise|authenticated users only|authenticated senders only|"
		    "no valid credentials|use smtp authentication|use smtp-authentication|"
		    "turn on smtp auth|enable smtp auth|send auth first|auth first|"
		    "auth command first|credentials&requir|please login|please log in|"
		    "please log on|log on before|anonymous"},
    /* checks of the sender's domain that a receiving server makes */
    {"domain-checks",
	"dmarc|_spf_|_spf:|dkim|sender policy framework|sender-id|"
	"unauthenticated email|unauthenticated mail|mail is unauthenticated|"
	"authentication checks|authentication information|pass authentication|openspf|"
	"email authentication|not designated as a permitted sender|"
	"designate&permitted sender|sender guidelines|authentication level|"
	"required authentication|authentication results|passing authentication|"
	"requires all senders to authenticate"},
    /* the address of this machine, and lists that it stands on */
    {"address-blamed",
	"client host|client address|client ip|your ip|your host|your server|your network|"
	"your address|your computer|connecting ip|connecting host|sending ip|source ip|this ip|"
	"ip address|_ip_&block|_ip_&reject|_ip_&ban|_ip_&list|_ip_&denied|_ip_&refus|_ip_&reput|"
	"ip reputation|reverse dns|"
	"reverse hostname|reverse host|reverse-dns|reverse lookup|ptr record|_ptr_|_rdns_|"
	"spamhaus|barracuda|spamcop|sorbs|_rbl_|dnsbl|dynamic ip|dynamic address|residential|"
	"all messages from&deferred|messages from&temporarily deferred|from&@ipv4&not accepted|"
	"@ipv4&block|@ipv4&list|@ipv4&denied|@ipv4&reject|@ipv4&ban|@ipv4&refus|@ipv4&reput|"
	"not allowed to connect|connection refused by policy|connections from"},
    {"list", "blacklist|blocklist|block list|black list|block-list|denylist|deny list"},
    /* somebody's account, and a state that keeps it from sending */
    {"stopped", "suspend|disabled|deactivat|_locked|inactive|not active|not been activated|"
		"not activated|isn't active|not yet active|has expired|is expired|_closed|"
		"restricted|terminated|frozen|paused|on hold|_blocked|banned|unpaid|cancelled|"
		"canceled|not enabled|under review|compromised|activate your|confirm your|"
		"pending activation|may not send|not allowed to send|not permitted to send|"
		"denied sending|dormant|hijack|abusive|violat|payment|overdue|"
		"not authorized to send mail|not authorised to send mail|no permission to send|"
		"has no permission|not subscribed|trial has ended|trial ended|gesperrt|"
		"deaktiviert|bloqu"},
    {"account", "account|_user_|mailbox|subscription|_plan_|customer|license|licence|_profile_|"
		"service for|sending|smtp access|outgoing|outbound|you are|you're|your domain|you "
		"may|you have|"
		"_login_|sender|domain|konto|compte|cuenta"},
    /* of an account's own state, and of nothing else */
    {"stopped-hard", "suspend|disabled|deactivat|_locked|inactive|not active|not activated|"
		     "isn't active|has expired|is expired|_closed|restricted|terminated|frozen|"
		     "paused|on hold|banned|unpaid|cancelled|canceled|under review|compromised|"
		     "dormant|hijack|violat|payment|overdue|gesperrt|deaktiviert|"
		     "pending verification|awaiting verification"},
    {"money", "_payment|_unpaid|_billing_|_overdue|_subscription|_trial_|_licence|_license|_plan_|"
	      "_invoice"},
    {"session", "bad sequence|out of sequence|helo first|ehlo first|hello first|say helo|say "
		"ehlo|need helo|"
		"need ehlo|send helo|send ehlo|session expired|session&timed out|session is closed|"
		"invalid session"},
    {"login-word",
	"_login_|log in_|log on_|_logon_|logged in|logged on|password|credential|sign in_"},
    {"stopped-alone", "suspend|disabled&!attach&!macro&!content|deactivat|pending "
		      "verification|awaiting verification"},
    /* it is said to whoever sends */
    {"you-stopped", "_you_&not allowed|you are&not permitted|you are&not authorized|"
		    "you're not allowed|may not send|not allowed to send|not permitted to send|"
		    "denied sending|sending is disabled|sending&disabled|sending&blocked|"
		    "no permission to send|not authorized to send|not authorised to send|"
		    "account&_blocked|account&abus|has no permission|sending has been|"
		    "mail sending denied|outgoing&_blocked|outbound&_blocked|account&cannot send|"
		    "user&cannot send|you cannot send"},
    {"as-sender",
	"sender|_from address|from header|from:|_from_ field|'from'|mail from|send as|sending as|"
	"send from|sending from|on behalf|envelope|return path|return-path|reverse-path|as this|"
	"this address|that address|that email address|originator|not one of your "
	"addresses|identity"},
    {"own-account", "your account|your mailbox|sending|_send_|outgoing|outbound|smtp access|_smtp_|"
		    "you are|you're|you have|you may|subscription|_plan_|customer|license|licence|"
		    "payment|unpaid|billing|trial|account suspend|account&is suspended|"
		    "account&has been suspended|account disabled|account is disabled|"
		    "account&locked|account&blocked|sender|your domain|service|submission|"
		    "authenticated user"},
    {"account-stopped",
	"@account&@stopped|activate your|activation email|complete your account|account&not "
	"verified|"
	"account&unverified|verify your account|verify your email|verify your phone|"
	"outgoing mail&disabled|sending&disabled|sending has been|_smtp_&disabled|not allowed to "
	"send email"},
    {"recipient",
	"recipient|tried to reach|_rcpt_|addressee|destination|user unknown|unknown user|"
	"no such user|mailbox unavailable|mailbox not found|user not found|for this address"},
    {"no-such-recipient",
	"user unknown|unknown user|no such user|user not found|no such recipient|unknown recipient|"
	"invalid recipient|recipient not found|recipient unknown|mailbox not found|no such mailbox|"
	"mailbox does not exist|mailbox unavailable|no mailbox|invalid mailbox|address unknown|"
	"user&does not exist|user&doesn't exist|account&does not exist|account&doesn't exist|"
	"recipient&not exist|address&not exist|address&does not exist|address&doesn't exist|"
	"unrouteable|unroutable|no longer available|no longer exist|not our customer|"
	"bad destination|unknown address|no local user|no account by that name"},
    {"size",
	"message size|size limit|maximum size|max size|_size_&exceed|too large|too big|too "
	"long|octets|"
	"_bytes_|megabyte|kilobyte|file size|message length|size exceeds|maximum message size"},
    {"sending-quota",
	"sending&limit|sending&quota|sending&rate|send&limit|send&quota|sent&limit|"
	"message&limit exceeded|messages&limit|message limit|mail limit|email&limit|emails&limit|"
	"mails&limit|e-mails&limit|hourly&limit|hourly&exceed|hourly&quota|daily&limit|daily&"
	"exceed|"
	"daily&quota|monthly&limit|monthly&quota|monthly&exceed|per hour|per day|per minute|"
	"per second|per month|this hour|an hour|too many messages|too many emails|too many mails|"
	"too many e-mails|too much mail|too much email|too many message|rate limit|rate-limit|"
	"ratelimit|rate exceeded|message rate|mail rate|sending rate|throttl|credits|credit limit|"
	"plan&limit|upgrade your plan|slow down|too fast|too quickly|max defers|"
	"maximum number of messages|maximum number of emails|maximum emails|max emails|"
	"submission&quota|submission limit|submission rate|outgoing&limit|outgoing&quota|"
	"outbound&limit|relay limit|relay quota|limit of messages|recipients per|"
	"limit for sending|allowed to send&more|exceeded the maximum|exceeded your|"
	"limit reached|reached the limit|reached its limit|reached your limit|limit is reached|"
	"limit has been reached|limit exceeded|exceeded&limit|usage limit|unusual sending"},
    {"storage-full",
	"mailbox&full|mailbox is full|over quota|overquota|quota&exceed|exceed&quota|"
	"disk quota|quota reached|quota full|mailbox&quota|out of storage|storage&exceed|"
	"mailbox size|inbox is full|account is full"},
    {"sender", "sender|_from_|from:|mail from|envelope|return path|return-path|send as|on behalf|"
	       "originator|reverse-path|reverse path"},
    {"sender-foreign",
	"not owned|not own_|does not own|not belong|does not match|doesn't match|must match|"
	"not match|mismatch|match your|same as|not local|not allowed|not permitted|not authorized|"
	"not authorised|unauthorized|unauthorised|not authoris|no permission|not have "
	"permission|not have the permission|disallowed|"
	"rejected|denied|refused|invalid|_unknown|not registered|not a registered|not one of|"
	"not yours|not your|must be|cannot use|can't use|spoof|forged|forgery|alias|"
	"not recognized|not recognised|not exist|not valid|not accepted|not correspond|not an "
	"approved"},
    {"not-verified", "not verified|unverified|not been verified|isn't verified|not a verified|"
		     "verified sender|verified domain|verify the domain|verify your domain|"
		     "unregistered domain|domain&not registered|sender identity|not validated|"
		     "not confirmed|not been confirmed|not authenticated domain|"
		     "domain is not authenticated|is not a valid sender|sender signature|"
		     "sending domain&not|unconfigured sending domain|unconfigured domain|"
		     "domain is not configured|domain not configured|domain&not authorized to send|"
		     "domain is not allowed|sending domain&invalid"},
    {"relay", "relay access denied|unable to relay|relaying denied|relay not permitted|"
	      "relaying not allowed|relaying is not allowed|relay denied|"
	      "not permitted to relay|not allowed to relay|relay not allowed|"
	      "relaying prohibited|relay is prohibited|relaying to|no relay|relay prohibited|"
	      "rejected relay|relay attempt|open relay|do not relay|don't relay|"
	      "does not relay|cannot relay|can't relay|mail relay denied|relay access|"
	      "relaying mail|rcpthosts|not a local domain|not local&relay|not our domain|"
	      "third-party relay|relay from|must be relayed|invalid relay|relayer|"
	      "relay&denied|_relay_|relaying"},
    {"mechanism", "mechanism|authentication type|auth type|unrecognized authentication|"
		  "unrecognised authentication|authentication method|auth method|not implemented|"
		  "unsupported auth|not supported|unsupported&auth|unknown auth|"
		  "auth&not available|auth&not offered|not enabled&auth|command not recognized|"
		  "command not recognised|unrecognized command|command unknown|unknown command|"
		  "unimplemented|authentication not enabled|authentication is not enabled|"
		  "auth not enabled|authentication disabled|authentication is disabled|"
		  "_auth_&not recognized|_auth_&not recognised|_auth_&unrecognized|"
		  "_auth_&not understood|_auth_&unknown"},
    {"password-word",
	"password|passwort|credential|username|user name|_user_|login|authentication fail|"
	"authentication unsuccessful|authentication rejected|authentication error|"
	"incorrect authentication|invalid authentication|authentication credentials|"
	"auth failed|auth failure|not accepted|bad_|denied|sasl|could not authenticate|unable to "
	"authenticate|"
	"cannot authenticate|failed to authenticate|authentifi|authorization fail"},
    {"busy",
	"try again|try later|temporar|later|busy|unavailable|overload|maintenance|internal error|"
	"lookup fail|resources|shutting down|not available now|retry"},
    {"content", "spam|virus|malware|phish|_content|attachment|suspicious|unsolicited|bulk|_junk|"
		"message rejected|message refused|message contains|blocked "
		"by|mime|header|_url_|_urls_|_links_|"
		"contains a|policy"},
    /* what of a refusal is not about one message: no message may bounce for it (match.c) */
    {"more-than-message",
	"@auth-wanted&!@domain-checks|@tls-wanted|"
	"@sending-quota&!@size&!@recipient&!attachment|"
	"@account&@stopped-hard&!@recipient&!@as-sender&!domain|"
	"@you-stopped&!@as-sender&!@recipient|your account&@stopped|"
	"sender account&@stopped|account&suspend&!@recipient|"
	"authentication fail&!@domain-checks|bad sequence|login fail|invalid login|"
	"@money&!@recipient|@session|"
	"@login-word&!@as-sender&!@recipient&!attach&!protected|"
	"@stopped-alone&!@recipient|@relay"},
    /* the same of a refusal of RCPT, where an account or a quota may be the recipient's */
    {"more-than-recipient",
	"@auth-wanted&!@domain-checks|@tls-wanted|@sending-quota&!@size&!receiving|"
	"@own-account&@stopped-hard&!@recipient|"
	"@you-stopped&!@as-sender&!@recipient&!send to|"
	"authentication fail&!@domain-checks|bad sequence|login fail|invalid login|"
	"@money&!@recipient|@session|@login-word&!@as-sender&!@recipient|@relay|"
	"sender&@storage-full"},
};

/* Four numbers with dots between them. */
static bool
has_ipv4(const char *text)
{
	for (const char *s = text; *s != '\0'; s++) {
		size_t at = 0, groups = 0, digits;

		/* "https://example.org/lookup?ip=192.0.2.1" says where to read more */
		if (*s == '=')
			s += 1 + strspn(s + 1, "0123456789.");
		/* "smtp.example.org[192.0.2.1]" is the server's own */
		if (s > text + 1 && s[-1] == '[' && isalnum((unsigned char)s[-2]))
			s += strspn(s, "0123456789.");
		while (groups < 4 && (digits = strspn(s + at, "0123456789")) >= 1 && digits <= 3) {
			at += digits;
			if (++groups < 4 && s[at] == '.')
				at++;
			else
				break;
		}
		if (groups == 4)
			return true;
	}
	return false;
}

/* Would a part that ends in `edge` go on with `next`? One that asks for it ends at a word's end, and a
 * number at its last digit. */
static bool
goes_on(char edge, char next, bool whole_word)
{
	if (whole_word)
		return isalnum((unsigned char)next) ||
		       (next != '\0' && strchr("=-@", next) != NULL);
	return isdigit((unsigned char)edge) && isdigit((unsigned char)next);
}

/* Most of the time is spent here: so the first character is looked for before anything is compared. */
static bool
has_part(const char *text, const char *part, size_t len)
{
	bool from_start = len > 1 && part[0] == '_', to_end = len > 1 && part[len - 1] == '_';
	char lower, upper;

	part += from_start;
	len -= (size_t)from_start + to_end;
	lower = (char)(part[0] >= 'A' && part[0] <= 'Z' ? part[0] + ('a' - 'A') : part[0]);
	upper = (char)(lower >= 'a' && lower <= 'z' ? lower - ('a' - 'A') : lower);
	for (const char *at = text; *at != '\0'; at++) {
		if ((*at != lower && *at != upper) || strncasecmp(at, part, len) != 0)
			continue;
		if (at > text && goes_on(part[0], at[-1], from_start))
			continue;
		if (!goes_on(part[len - 1], at[len], to_end))
			return true;
	}
	return false;
}

static bool
in_set(const char *text, const char *name, size_t len)
{
	if (len == 4 && memcmp(name, "ipv4", len) == 0)
		return has_ipv4(text);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (strlen(sets[i].name) == len && memcmp(sets[i].name, name, len) == 0)
			return diagnosis_says(text, sets[i].words);
	return false;
}

static bool
has_all(const char *text, const char *fragment, size_t len)
{
	const char *end = fragment + len;

	while (fragment < end) {
		const char *stop = memchr(fragment, '&', (size_t)(end - fragment));
		size_t part = (size_t)((stop != NULL ? stop : end) - fragment);
		bool absent = part > 1 && fragment[0] == '!', set;

		fragment += absent;
		part -= absent;
		set = part > 1 && fragment[0] == '@';
		if (part > 0 && absent == (set ? in_set(text, fragment + 1, part - 1)
					       : has_part(text, fragment, part)))
			return false;
		fragment += part + 1;
	}
	return true;
}

size_t
diagnosis_next_word(const char **list, const char **ret)
{
	const char *s = *list + strspn(*list, " ");

	*ret = s;
	*list = s + strcspn(s, " ");
	return (size_t)(*list - s);
}

bool
diagnosis_says(const char *text, const char *words)
{
	while (*words != '\0') {
		size_t len = strcspn(words, "|");

		if (len > 0 && has_all(text, words, len))
			return true;
		words += len + (words[len] == '|');
	}
	return false;
}
