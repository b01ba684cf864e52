/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * The submission engine against any server. The first octet chooses the configuration; the others
 * are what the server says, except that 0x80..0xff stand for what the owner does between: how much
 * the connection takes, time, loss.
 *
 * Whatever the server says: every job ends once, in doubt only if its content was written whole,
 * and no transcript holds the secret (unless the server knew it before it was told).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/smtp/client.h"
#include "fuzz-toys.h"

#define SECRET "S3cretS3cretS3cret"
#define SECRET_BASE64 \
	"UzNjcmV0UzNjcmV0UzNjcmV0" /* also as part of a longer response: three octets to four */

enum { JOBS = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char body[] = "Subject: x\r\n\r\n.dot\r\nhello\r\n";
static const struct smtp_client_recipient recipients[] = {
    {.address = "a@b.test", .params = " NOTIFY=NEVER"}, {.address = "c@d.test", .params = ""}};

struct owner {
	struct smtp_client *client;
	struct secret *secret;
	uint64_t now;
	unsigned submitted, done;
	bool finished[JOBS], closed, ready;
};

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static void
submit(struct owner *o)
{
	struct smtp_client_job job = {
	    .sender = "s@a.test", .envid = "", .recipients = recipients, .body = body};

	while (o->submitted < JOBS && smtp_client_room(o->client) > 0) {
		job.id = o->submitted;
		job.recipient_count = 1 + o->submitted % 2;
		job.body_len = sizeof(body) - 1;
		job.eight_bit = o->submitted == 3;
		require(smtp_client_submit(o->client, &job, o->now) == 0);
		o->submitted++;
	}
}

static bool server_knows;

static void
check_text(const char *text)
{
	require(server_knows || text == NULL ||
		(strstr(text, SECRET) == NULL && strstr(text, SECRET_BASE64) == NULL));
}

static void
take_events(struct owner *o)
{
	static const struct scram_binding binding = {.type = "tls-exporter", .len = 3};
	struct smtp_client_event e;

	while (smtp_client_next(o->client, &e)) {
		require(!o->closed);
		switch (e.type) {
		case SMTP_CLIENT_START_TLS:
			smtp_client_binding(o->client, &binding);
			smtp_client_tls_done(o->client, "TLS", o->now);
			break;
		case SMTP_CLIENT_CREDENTIAL:
		case SMTP_CLIENT_AUTH_FAILED:
			if (e.type == SMTP_CLIENT_AUTH_FAILED && (o->now & 1) != 0)
				smtp_client_fail(
				    o->client, SMTP_STAGE_AUTH, SMTP_FAULT_NO_CREDENTIAL, "no");
			else
				smtp_client_credential(o->client, "user", o->secret, o->now);
			break;
		case SMTP_CLIENT_READY:
			require(!o->ready);
			o->ready = true;
			break;
		case SMTP_CLIENT_JOB_DONE:
			require(e.job < JOBS && !o->finished[e.job]);
			o->finished[e.job] = true;
			o->done++;
			for (unsigned i = 0; i < 1 + e.job % 2; i++) {
				require(e.replies[i].code >= 200 ||
					e.replies[i].fault != SMTP_FAULT_NONE);
				require(!e.untried || !e.replies[i].in_doubt);
				check_text(e.replies[i].text);
			}
			check_text(smtp_client_job_transcript(o->client));
			break;
		default:
			require(e.type == SMTP_CLIENT_CLOSED && e.reply != NULL);
			check_text(e.reply->text);
			o->closed = true;
			break;
		}
	}
	if (o->ready && !o->closed)
		submit(o);
}

static void
take_output(struct owner *o, size_t most)
{
	size_t len;

	while (most > 0 && smtp_client_output(o->client, &len) != NULL) {
		if (len > most)
			len = most;
		smtp_client_wrote(o->client, len, o->now);
		most -= len;
		take_events(o);
	}
}

static void
act(struct owner *o, uint8_t what)
{
	if (what < 0xc0) {
		take_output(o, what & 0x3f);
	} else if (what < 0xe0) {
		o->now += (uint64_t)1 << (what & 0x1f);
		if (o->now >= smtp_client_deadline(o->client))
			smtp_client_timeout(o->client, o->now);
	} else if (what < 0xf0) {
		smtp_client_quit(o->client, o->now);
	} else {
		smtp_client_lost(o->client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
	}
	take_events(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_client_config config = {.host = "mx.test",
	    .port = 587,
	    .ehlo_name = "client.test",
	    .window = 4,
	    .window_bytes = 100};
	struct owner o = {0};

	if (size == 0)
		return 0;
	server_knows =
	    memmem(data, size, "S3cret", 6) != NULL || memmem(data, size, "UzNjcmV0", 8) != NULL;
	config.tls = (enum smtp_tls)(data[0] % 3);
	config.mechanisms = (data[0] >> 2) & 15;
	config.scram = &toy_crypto;
	if ((config.mechanisms & SASL_LOGIN) != 0)
		config.mechanisms |= SASL_SCRAM_MECHANISMS;
	config.secret_without_tls = (data[0] & 0x40) != 0;
	config.mails_max = (data[0] & 0x80) != 0 ? 3 : 0;
	o.secret = secret_new(SECRET, strlen(SECRET));
	o.client = smtp_client_new(&config, 0);
	require(o.client != NULL && o.secret != NULL);
	take_events(&o);
	for (size_t i = 1; i < size;) {
		size_t run = 0;

		while (i + run < size && data[i + run] < 0x80)
			run++;
		if (run > 0) {
			take_output(&o, SIZE_MAX);
			smtp_client_input(o.client, (const char *)data + i, run, o.now);
			take_events(&o);
			i += run;
		} else {
			act(&o, data[i++]);
		}
	}
	smtp_client_lost(o.client, SMTP_STAGE_NONE, SMTP_FAULT_CLOSED, NULL);
	take_events(&o);
	require(o.closed && o.done == o.submitted);
	check_text(smtp_client_session_transcript(o.client));
	(void)smtp_client_free(o.client);
	(void)secret_free(o.secret);
	return 0;
}
