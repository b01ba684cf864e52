/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rules.c: the table of verdicts.
 *
 * One array; the files in rules/ are its chapters. The matcher (match.c) decides by how much a row
 * demands, and only among equals by their order here. The catalogue's numbers: C connection and
 * TLS, G standards, Y Google, M Microsoft, P other providers, A and O the token endpoints, H the
 * HTTP APIs, W anybody's words, L our own side, X the classes that unknown replies fall back to.
 */
#include "diagnosis/rule.h"

#define ANY 0
#define AT(stage) (1u << SMTP_STAGE_##stage)
#define AT_AUTH (AT(AUTH))
#define AT_HELLO (AT(CONNECT) | AT(GREETING) | AT(EHLO) | AT(STARTTLS))
#define AT_DATA (AT(DATA) | AT(EOM))
#define AT_MESSAGE (AT(MAIL) | AT(RCPT) | AT_DATA)
#define AT_GREETED (AT(GREETING) | AT(EHLO) | AT_AUTH | AT_MESSAGE)
#define AT_SMTP (AT_HELLO | AT(TLS) | AT_AUTH | AT_MESSAGE | AT(QUIT))

#define AT_CONNECT (AT(DNS) | AT(CONNECT) | AT(TLS) | AT(GREETING))

/* How programs say it; several rules look for each. */
#define REFUSED_WORDS                                                                       \
	"connection refused|econnrefused|actively refused|connect: refused|connection was " \
	"refused|10061|error 111|(111)"
#define TIMEOUT_WORDS                                                                              \
	"connection timed out|connect timeout|etimedout|timed out|connection timeout|i/o timeout|" \
	"opentimeout|execution expired|did not properly respond|10060|error 110|(110)|"            \
	"sockettimeout|deadline exceeded"
#define CONNECT_WORDS                                                                              \
	"smtp connect() failed|could not connect|couldn't connect|cannot connect|can't connect|"   \
	"unable to connect|failed to connect&!password|connection could not be "                   \
	"established|connection "                                                                  \
	"failed|"                                                                                  \
	"connect failed|connection error|not be established|failed to open socket|unable to open " \
	"connection"
#define PLAINTEXT_WORDS                                                                         \
	"wrong version number|wrong_version_number|record overflow|packet length too long|"     \
	"http request|unknown protocol|unknown_protocol|does not look like a tls handshake|"    \
	"unexpected tls packet|unrecognized ssl message|not an ssl/tls record|bad record type|" \
	"record with invalid|invalidcontenttype|invalid content type|unexpected packet format|" \
	"plaintext connection?|corrupt message|invalid tls record|first record|illegal or "     \
	"unsupported version&!alert|"                                                           \
	"not a tls|frame&corrupt|record layer&unexpected|message of type invalid|invalidmessage"
#define CERT_NAME_WORDS                                                                            \
	"hostname mismatch|certificate name|wrong host name|subjectaltname|does not match "        \
	"host|certificate is "                                                                     \
	"valid for|"                                                                               \
	"ip sans|subject alternative|no name matching|namemismatch|name mismatch|altname|"         \
	"notvalidforname|not valid for name|did not match|hostname&does not "                      \
	"match|hostname&doesn't match|"                                                            \
	"host name&not match|certificate&not match|certificate's owner|certificate owner|"         \
	"ip address mismatch|certificate subject|common name|name does not match|"                 \
	"name in the certificate|hostname_mismatch|cn mismatch|certificate&not valid for|doesn't " \
	"match"
#define CERT_UNTRUSTED_WORDS                                                                     \
	"self-signed certificate|self signed|self-signed|selfsigned|self_signed|local "          \
	"issuer|unknown ca|"                                                                     \
	"unknown_ca|unable to verify|unable_to_verify|unknown authority|pkix path|valid "        \
	"certification path|"                                                                    \
	"certificatechainerrors|chain errors|errors in the certificate "                         \
	"chain|partialchain|untrustedroot|"                                                      \
	"untrusted|remote certificate is invalid|certificate verify "                            \
	"failed|certificate_verify_failed|"                                                      \
	"unknownissuer|unknown issuer|issuer is unknown|issuer certificate|not trusted|"         \
	"invalid peer certificate|certificate&verification failed|certificate verification|"     \
	"certificate validation|could not verify&certificate|certificate is not trusted|trust "  \
	"anchor|"                                                                                \
	"certificate&cannot be verified|bad certificate|certificate&invalid|server certificate " \
	"not verified|"                                                                          \
	"root certificate|system roots|no roots provided|verify the first certificate"
#define TLS_VERSION_WORDS                                                                         \
	"protocol version|unsupported protocol|protocol_version|unsupported_protocol|"            \
	"no appropriate protocol|protocol is disabled|version too low|unsupported version|"       \
	"protocol version not supported|alert number 70|no protocols available|peerincompatible|" \
	"inappropriate fallback|inappropriate_fallback|unsupported&tls version|tls "              \
	"version&unsupported|"                                                                    \
	"selected unsupported|tlsv1 alert protocol|illegal or unsupported version"
#define TLS_CUT_WORDS                                                                           \
	"unexpected eof|ssl_error_syscall|_tls_&connection reset|_ssl_&connection reset|"       \
	"closed connection during handshake|terminated the handshake|violation of protocol|"    \
	"closed the transport stream|non-properly terminated|before secure tls|unexpected_eof|" \
	"0 bytes from the transport|tls handshake: eof|handshake: eof|ssl_connect&closed|"      \
	"handshake&reset by peer|ssl_error_zero_return|premature "                              \
	"termination|tls&premature|handshake&eof"
#define NO_STARTTLS_WORDS                                                                          \
	"starttls not offered|no starttls|starttls is not offered|xxxxxxxa|starttls&not "          \
	"supported|"                                                                               \
	"starttls&unsupported|does not support starttls|doesn't support starttls|not support tls|" \
	"starttls&not available|requested ssl level|starttls extension|tls is required, but was "  \
	"not offered|"                                                                             \
	"tls&not offered|starttls command&support|starttls&not advertise"
#define NO_AUTH_WORDS                                                                       \
	"auth not offered|_no auth_|auth is not offered|auth extension not supported|"      \
	"doesn't support auth|does not support auth|auth not supported|authentication&not " \
	"supported by|"                                                                     \
	"not support authentication|smtp auth extension|auth&not enabled&server|no auth capab"
#define NO_MECHANISM_WORDS                                                                       \
	"no acceptable mechanism|no mechanism|no compatible authentication|no suitable "         \
	"authentication|"                                                                        \
	"no authentication mechanism|mechanism&not supported|no worthy mechs|no supported auth|" \
	"authentication method&not supported|no supported sasl|unknown "                         \
	"authentication|mechanism&not available|"                                                \
	"unsupported auth|authenticators&not"
#define CLOSED_WORDS                                                                               \
	"connection reset|broken pipe|connection closed|unexpectedly closed|closed unexpectedly|"  \
	"socket close|econnreset|connection aborted|econnaborted|lost connection|connection lost|" \
	"server not connected|forcibly closed|_eof_|end of file|premature&end|hung up|epipe|"      \
	"remote host closed|connection dropped|server closed|"                                     \
	"empty response|empty reply|connectionclosed|connection was closed|closed the "            \
	"connection|connection is closed|connection has been closed|disconnected|got code "        \
	"\"\"|with message \"\""

#define RULE(                                                                                    \
    id, providers, stages, codes, enhanced, words, when, cause, fixer, retry, delay, text, next) \
	{id, providers, stages, codes, enhanced, words, when, SMTP_FAULT_NONE, cause, fixer,     \
	    RETRY_##retry, delay, false, text, next, false},
#define FAULT(id, fault, stages, words, when, cause, fixer, retry, delay, text, next)             \
	{id, 0, stages, NULL, NULL, words, when, SMTP_FAULT_##fault, cause, fixer, RETRY_##retry, \
	    delay, false, text, next, false},
#define FAULT_SAYING(id, fault, stages, words, when, cause, fixer, retry, delay, text, next)      \
	{id, 0, stages, NULL, NULL, words, when, SMTP_FAULT_##fault, cause, fixer, RETRY_##retry, \
	    delay, true, text, next, false},
#define TOKEN(id, providers, words, cause, fixer, retry, delay, text, next)                  \
	{id, providers, AT(TOKEN), NULL, NULL, words, ALWAYS, SMTP_FAULT_NONE, cause, fixer, \
	    RETRY_##retry, delay, false, text, next, false},
#define TOKEN_CLIENT(id, providers, words, cause, fixer, retry, delay, text, next)           \
	{id, providers, AT(TOKEN), NULL, NULL, words, ALWAYS, SMTP_FAULT_NONE, cause, fixer, \
	    RETRY_##retry, delay, false, text, next, true},
#define API(id, codes, words, cause, fixer, retry, delay, text, next)                              \
	{id, 0, AT(API), codes, NULL, words, ALWAYS, SMTP_FAULT_NONE, cause, fixer, RETRY_##retry, \
	    delay, false, text, next, false},

const struct rule diagnosis_rules[] = {
#include "diagnosis/rules/token.def"
#include "diagnosis/rules/faults.def"
#include "diagnosis/rules/microsoft.def"
#include "diagnosis/rules/google.def"
#include "diagnosis/rules/providers.def"
#include "diagnosis/rules/api.def"
#include "diagnosis/rules/generic.def"
};
const size_t diagnosis_rules_count = ARRAY_SIZE(diagnosis_rules);
