/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/ipc/job.c and broker/send/account.c: what comes from queue and main, and what goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/ipc/reply.h"
#include "broker/send/account.h"
#include "broker/ipc/job.h"

static struct message *
job_message(unsigned recipients, const char *body, uint64_t size)
{
	struct message *m = message_new(M_JOB);
	char address[64];

	message_put_u64(m, F_ID, 77);
	message_put_str(m, F_ACCOUNT, "billing");
	message_put_str(m, F_SENDER, "s@a.test");
	message_put_u64(m, F_SIZE, size);
	message_put_u64(m, F_FLAGS, JOB_8BIT);
	message_put_str(m, F_RET, "HDRS");
	message_put_str(m, F_ENVID, "id+2B1");
	if (body != NULL)
		message_put_bytes(m, F_BODY, body, strlen(body));
	for (unsigned i = 0; i < recipients; i++) {
		(void)snprintf(address, sizeof(address), "r%u@b.test", i);
		message_put_str(m, F_RCPT, address);
		message_put_str(m, F_RCPT_PARAMS, i == 1 ? " NOTIFY=NEVER" : "");
	}
	return m;
}

static void
test_job_is_copied(void **state)
{
	struct message *m = job_message(3, "Subject: x\r\n\r\nhello\r\n", 21);
	struct job *j = job_new(m, -1);

	assert_non_null(j);
	(void)message_free(m);
	assert_int_equal(j->id, 77);
	assert_string_equal(j->spec.sender, "s@a.test");
	assert_string_equal(j->spec.envid, "id+2B1");
	assert_int_equal(j->spec.ret, SMTP_RET_HDRS);
	assert_true(j->spec.eight_bit);
	assert_false(j->spec.smtputf8);
	assert_int_equal(j->spec.recipient_count, 3);
	assert_string_equal(j->spec.recipients[2].address, "r2@b.test");
	assert_string_equal(j->spec.recipients[1].params, " NOTIFY=NEVER");
	assert_string_equal(j->spec.recipients[2].params, "");
	assert_int_equal(j->spec.body_len, 21);
	assert_memory_equal(j->spec.body, "Subject: x\r\n\r\nhello\r\n", 21);
	(void)job_free(j);
}

static void
test_body_in_a_file(void **state)
{
	int fd = memfd_create("body", MFD_CLOEXEC);
	CLEANUP_MESSAGE struct message *m = job_message(1, NULL, 5);
	CLEANUP_MESSAGE struct message *more = job_message(1, NULL, 7);
	CLEANUP_MESSAGE struct message *none = job_message(1, NULL, 0);
	struct job *j;

	assert_int_equal(write(fd, "hello\n", 6), 6);
	j = job_new(m, fd);
	assert_non_null(j);
	assert_int_equal(j->spec.body_len, 5);
	assert_memory_equal(j->spec.body, "hello", 5);
	(void)job_free(j);
	assert_null(
	    job_new(more, fd)); /* more than the file has would be a fault when it is read */
	assert_int_equal(errno, EPROTO);
	assert_null(job_new(none, fd));
	close(fd);
}

static void
test_what_is_no_job(void **state)
{
	CLEANUP_MESSAGE struct message *nobody = job_message(0, "x\r\n", 3);
	CLEANUP_MESSAGE struct message *nothing = job_message(1, NULL, 3);
	CLEANUP_MESSAGE struct message *twice = job_message(1, "x\r\n", 3);

	assert_null(job_new(nobody, -1));
	assert_int_equal(errno, EPROTO);
	assert_null(job_new(nothing, -1));
	assert_null(job_new(twice, STDIN_FILENO));
}

/* A hundred recipients, each refused in two thousand octets, and both transcripts full: all of it fits. */
static void
test_answer_fits(void **state)
{
	CLEANUP_MESSAGE struct message *m = job_message(100, "x\r\n", 3);
	struct job *j = job_new(m, -1);
	CLEANUP_MESSAGE struct message *done = NULL;
	static char text[3000], transcript[SMTP_CLIENT_TRANSCRIPT_MAX + 100];
	struct smtp_reply replies[100];
	struct job_session session = {.endpoint = "smtp.example.com:587 [192.0.2.1]",
	    .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
	    .mechanism = "XOAUTH2",
	    .transcript = transcript,
	    .dsn = true};
	const uint8_t *bytes;
	const char *why;
	size_t at = 0, len, n = 0;

	memset(transcript, 't', sizeof(transcript) - 1);
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(
		    text + i, "\xc3\xa9", 2); /* cut between the two octets it would be no text */
	for (size_t i = 0; i < 100; i++)
		replies[i] = (struct smtp_reply){
		    .code = 550, .enhanced = "5.1.1", .stage = SMTP_STAGE_RCPT, .text = text};
	done = job_done(j, replies, false, false, &session, transcript);
	assert_non_null(done);
	assert_int_equal(message_check(done, ROLE_SEND, ROLE_QUEUE, false, &why), 0);
	assert_int_equal(message_u64(done, F_FLAGS, 0), JOB_DSN_PASSED);
	assert_int_equal(strlen(message_str(done, F_TRANSCRIPT)), 2 * SMTP_CLIENT_TRANSCRIPT_MAX);
	while (message_next(done, F_RESULT, &at, &bytes, &len)) {
		struct smtp_reply r;

		assert_int_equal(reply_get(bytes, len, &r), 0);
		assert_int_equal(r.code, 550);
		assert_string_equal(r.enhanced, "5.1.1");
		assert_true(strlen(r.text) >= 100 && strlen(r.text) % 2 == 0);
		smtp_reply_clear(&r);
		n++;
	}
	assert_int_equal(n, 100);
	(void)job_free(j);
}

static void
test_one_answer_for_all(void **state)
{
	CLEANUP_MESSAGE struct message *m = job_message(3, "x\r\n", 3);
	struct job *j = job_new(m, -1);
	const struct smtp_reply reply = {
	    .stage = SMTP_STAGE_DNS, .fault = SMTP_FAULT_NO_HOST, .text = "no"};
	struct job_session session = {0};
	CLEANUP_MESSAGE struct message *done = job_done(j, &reply, true, true, &session, NULL);
	const uint8_t *bytes;
	const char *why;
	size_t at = 0, len, n = 0;

	assert_non_null(done);
	assert_int_equal(message_check(done, ROLE_SEND, ROLE_QUEUE, false, &why), 0);
	assert_int_equal(message_u64(done, F_ID, 0), 77);
	assert_int_equal(message_u64(done, F_FLAGS, 0), JOB_UNTRIED);
	assert_false(message_has(done, F_TRANSCRIPT));
	while (message_next(done, F_RESULT, &at, &bytes, &len))
		n++;
	assert_int_equal(n, 3);
	(void)job_free(j);
}

/* ---- accounts ---- */

/* To a configuration on its way; what `ca` (NULL: none) says is the account's ca-file. */
static void
add(struct conf *c, const char *name, enum grant grant, const char *host, const char *mechanism,
    const char *ca)
{
	struct conf_account *a = conf_block_add(c, CONF_BLOCK_ACCOUNT);

	assert_non_null(a);
	a->name = strdup(name);
	a->grant = grant;
	a->host = strdup(host);
	a->port = 587;
	a->tls = CONF_TLS_STARTTLS;
	if (mechanism != NULL)
		assert_int_equal(conf_strings_add(&a->mechanisms, mechanism), 0);
	a->ca_file.text = (struct buf)BUF_INIT(100);
	if (ca != NULL)
		assert_int_equal(buf_append_str(&a->ca_file.text, ca), 0);
}

struct retirements {
	unsigned count, replaced;
	char last[32];
};

static void
on_retired(void *arg, struct smtp_account *old, struct smtp_account *now)
{
	struct retirements *r = arg;

	r->count++;
	r->replaced += now != NULL;
	(void)snprintf(r->last, sizeof(r->last), "%s", old->name);
}

static void
take(struct account_table *t, struct conf **c, struct retirements *r)
{
	assert_int_equal(account_table_take(t, *c, on_retired, r), 0);
	(void)conf_free(*c);
	*c = calloc(1, sizeof(**c));
	assert_non_null(*c);
}

static void
test_mechanisms_fit_the_credential(void **state)
{
	struct account_table *t = account_table_new();
	struct conf *c = calloc(1, sizeof(*c));
	struct retirements r = {0};

	add(c, "token", GRANT_AUTHORIZATION_CODE, "h", "OAUTHBEARER", NULL);
	add(c, "token-any", GRANT_AUTHORIZATION_CODE, "h", NULL, NULL);
	add(c, "token-plain", GRANT_AUTHORIZATION_CODE, "h", "plain",
	    NULL); /* never a token by PLAIN */
	add(c, "password", GRANT_PASSWORD, "h", "login", NULL);
	add(c, "password-xoauth2", GRANT_PASSWORD, "h", "xoauth2",
	    NULL); /* never a password by XOAUTH2 */
	add(c, "none", GRANT_NONE, "h", "plain", NULL);
	take(t, &c, &r);
	assert_int_equal(r.count, 0);
	assert_int_equal(account_find(t, "token")->mechanisms, SASL_OAUTHBEARER);
	assert_int_equal(account_find(t, "token-any")->mechanisms, SASL_TOKEN_MECHANISMS);
	assert_int_equal(account_find(t, "token-plain")->mechanisms, SASL_TOKEN_MECHANISMS);
	assert_int_equal(account_find(t, "password")->mechanisms, SASL_LOGIN);
	assert_int_equal(account_find(t, "password-xoauth2")->mechanisms, SASL_PASSWORD_MECHANISMS);
	assert_int_equal(account_find(t, "none")->mechanisms, 0);
	assert_null(account_find(t, "nobody"));
	(void)account_table_free(t);
	(void)conf_free(c);
}

static void
test_reload_keeps_what_is_the_same(void **state)
{
	struct account_table *t = account_table_new();
	struct conf *c = calloc(1, sizeof(*c));
	struct retirements r = {0};
	const struct smtp_account *same, *changed;

	add(c, "same", GRANT_PASSWORD, "h", NULL, "one");
	add(c, "changed", GRANT_PASSWORD, "h", NULL, NULL);
	add(c, "gone", GRANT_PASSWORD, "h", NULL, NULL);
	take(t, &c, &r);
	same = account_find(t, "same");
	changed = account_find(t, "changed");

	add(c, "changed", GRANT_PASSWORD, "h2", NULL, NULL);
	add(c, "same", GRANT_PASSWORD, "h", NULL, "one");
	take(t, &c, &r);
	assert_ptr_equal(account_find(t, "same"), same);
	assert_ptr_not_equal(account_find(t, "changed"), changed);
	assert_null(account_find(t, "gone"));
	assert_int_equal(r.count, 2);
	assert_int_equal(r.replaced, 1);

	/* the same path with another certificate in it is another policy */
	r = (struct retirements){0};
	add(c, "changed", GRANT_PASSWORD, "h2", NULL, NULL);
	add(c, "same", GRANT_PASSWORD, "h", NULL, "two");
	take(t, &c, &r);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.last, "same");
	(void)account_table_free(t);
	(void)conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_job_is_copied),
	    cmocka_unit_test(test_body_in_a_file),
	    cmocka_unit_test(test_what_is_no_job),
	    cmocka_unit_test(test_answer_fits),
	    cmocka_unit_test(test_one_answer_for_all),
	    cmocka_unit_test(test_mechanisms_fit_the_credential),
	    cmocka_unit_test(test_reload_keeps_what_is_the_same),
	};

	return cmocka_run_group_tests_name("send/job", tests, NULL, NULL);
}
