/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: frank-deliverability, for `frank test deliver`: waits for one message in a mailbox and says what became of it. It is a
 * program of its own since it needs libcurl, which frank has not.
 *
 * From standard input it reads the secret, a token or a password, alone on the first line, and behind it one JSON object: url,
 * user, password (true: the secret is one), ca_file, probe, timeout, and of the message from, subject, message_id, time. It
 * writes one object:
 *
 *   {"found": {"folder", "use"} or null, "seconds": from `time` to the last hop or to now, "arrival": see arrival.h or null,
 *    "verdict": see arrival.h}                          exit status 0
 *   {"error": what failed}                              exit status 69
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

#include "deliverability/arrival.h"
#include "deliverability/imap.h"

enum { TIMEOUT_MAX = 3600, SECRET_MAX = 64 * 1024 };

static const char *
text_of(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

static int
print(json_t *answer, int status)
{
	if (answer == NULL || json_dumpf(answer, stdout, JSON_INDENT(2)) < 0 ||
	    putchar('\n') == EOF || fflush(stdout) == EOF)
		status = EX_OSERR;
	json_decref(answer);
	return status;
}

static int64_t
last_hop(const json_t *arrival)
{
	const json_t *hops = json_object_get(arrival, "hops"),
		     *at = json_object_get(json_array_get(hops, json_array_size(hops) - 1), "time");

	return json_is_integer(at) ? json_integer_value(at) : (int64_t)time(NULL);
}

static int
report(const struct imap_found *found, const struct arrival_sent *sent)
{
	json_t *arrival = NULL, *place = json_null(), *verdict;
	int64_t at = (int64_t)time(NULL);

	if (found != NULL) {
		arrival = arrival_read(buf_str(&found->header), found->header.len, sent);
		at = last_hop(arrival);
		place = json_pack("{s:s, s:s}", "folder", found->folder, "use", found->use);
	}
	verdict = arrival_verdict(found == NULL ? NULL : found->use, arrival, sent->from);
	return print(json_pack("{s:o, s:I, s:o?, s:o}", "found", place, "seconds",
			 (json_int_t)(at - sent->time), "arrival", arrival, "verdict", verdict),
	    EX_OK);
}

static int
run(const json_t *request, const char *secret)
{
	const struct imap_login login = {.url = text_of(request, "url"),
	    .user = text_of(request, "user"),
	    .token = json_is_true(json_object_get(request, "password")) ? NULL : secret,
	    .password = json_is_true(json_object_get(request, "password")) ? secret : NULL,
	    .ca_file = text_of(request, "ca_file")};
	const struct arrival_sent sent = {.from = text_of(request, "from"),
	    .subject = text_of(request, "subject"),
	    .message_id = text_of(request, "message_id"),
	    .time = json_integer_value(json_object_get(request, "time"))};
	const char *probe = text_of(request, "probe");
	json_int_t seconds = json_integer_value(json_object_get(request, "timeout"));
	struct imap_found found = {.uid = 0};
	char error[IMAP_ERROR_MAX];
	struct imap *i;
	int r;

	if (login.url == NULL || login.user == NULL ||
	    (login.token == NULL && login.password == NULL) || sent.from == NULL ||
	    sent.subject == NULL || sent.message_id == NULL || probe == NULL || seconds < 1 ||
	    seconds > TIMEOUT_MAX)
		return print(json_pack("{s:s}", "error", "the request is not complete"), EX_USAGE);
	i = imap_open(&login, error);
	r = i == NULL ? -1 : imap_wait(i, probe, (unsigned)seconds, &found, error);
	if (r == 1 && imap_remove(i, &found, error) < 0)
		(void)fprintf(stderr, "frank-deliverability: %s\n", error);
	(void)imap_close(i);
	if (r < 0)
		return print(json_pack("{s:s}", "error", error), EX_UNAVAILABLE);
	r = report(r == 1 ? &found : NULL, &sent);
	buf_free(&found.header);
	return r;
}

int
main(void)
{
	const struct rlimit none = {0};
	char secret[SECRET_MAX];
	json_t *request;
	int status;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setvbuf(stdin, NULL, _IONBF, 0); /* no other copy of the secret */
	if (fgets(secret, sizeof(secret), stdin) == NULL)
		return print(json_pack("{s:s}", "error", "the secret is missing"), EX_USAGE);
	secret[strcspn(secret, "\n")] = '\0';
	request = json_loadf(stdin, JSON_REJECT_DUPLICATES, NULL);
	if (request == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return print(json_pack("{s:s}", "error", "the request is no JSON"), EX_USAGE);
	status = run(request, secret);
	mem_wipe(secret, sizeof(secret));
	json_decref(request);
	curl_global_cleanup();
	return status;
}
