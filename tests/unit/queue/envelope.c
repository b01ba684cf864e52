/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Recipients of a message being handed in: where they lead, once each, all or nothing, with their limits and ORCPT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/queue/inbound/envelope.h"

static char *domains[] = {(char *)"localhost", (char *)"host.example"};
static struct conf conf = {.hostname = (char *)"host.example",
    .mail_name = (char *)"host.example",
    .postmaster = (char *)"",
    .local_domains = {domains, 2}};
static struct queue_settings settings = {.conf = &conf};

static const char aliases[] = "root: a@x.example, b@x.example\n"
			      "ops: root, c@x.example\n"
			      "part: a@x.example, /var/mail/part\n"
			      "out: a@x.example, far@y.example\n";

static int
setup(void **state)
{
	struct buf report = BUF_INIT(4096);

	return aliases_parse(aliases, sizeof(aliases) - 1, "aliases", &settings.aliases, &report);
}

static int
teardown(void **state)
{
	settings.aliases = aliases_free(settings.aliases);
	return 0;
}

static int
add(struct envelope *e, const struct conf_service *v, const char *recipient, const char *orcpt,
    unsigned notify)
{
	struct smtp_rcpt_params p = {.notify = notify};
	struct envelope_refusal no;

	(void)snprintf(p.orcpt, sizeof(p.orcpt), "%s", orcpt);
	envelope_add(&settings, e, v, recipient, &p, &no);
	return no.code;
}

static void
assert_is(const struct envelope *e, size_t i, const char *address, const char *orcpt)
{
	assert_true(i < e->count);
	assert_string_equal(e->list[i].address, address);
	assert_string_equal(e->list[i].orcpt == NULL ? "" : e->list[i].orcpt, orcpt);
}

static void
test_each_once(void **state)
{
	struct conf_service v = {.name = (char *)"v"};
	struct envelope e = {0};

	assert_int_equal(add(&e, &v, "B@x.example", "", SMTP_NOTIFY_NEVER), 0);
	assert_int_equal(add(&e, &v, "b@X.EXAMPLE", "rfc822;first@z", SMTP_NOTIFY_SUCCESS), 0);
	assert_int_equal(add(&e, &v, "ops", "", 0), 0);
	assert_int_equal(add(&e, &v, "Root@localhost", "", 0), 0);
	assert_int_equal(add(&e, &v, "b@x.example", "", 0), 0);
	assert_int_equal(e.count, 4);
	assert_is(&e, 0, "B@x.example", ""); /* local parts differ in case */
	assert_is(&e, 1, "b@X.EXAMPLE", "rfc822;first@z");
	assert_is(&e, 2, "a@x.example", "rfc822;ops@host.example");
	assert_is(&e, 3, "c@x.example", "rfc822;ops@host.example");
	assert_int_equal(e.list[1].notify, SMTP_NOTIFY_SUCCESS);
	envelope_clear(&e);
}

/* What the caller says of the original recipient counts. */
static void
test_original(void **state)
{
	struct conf_service v = {.name = (char *)"v"};
	struct envelope e = {0};

	assert_int_equal(add(&e, &v, "root", "rfc822;list@z", 0), 0);
	assert_is(&e, 0, "a@x.example", "rfc822;list@z");
	envelope_clear(&e);
}

static void
test_all_or_nothing(void **state)
{
	char *allowed[] = {(char *)"*@x.example"};
	struct conf_service v = {
	    .name = (char *)"v", .recipients = {allowed, 1}, .recipients_max = 3};
	struct envelope e = {0};
	struct spool_message m = {0};

	assert_int_equal(add(&e, &v, "out", "", 0), 550); /* far@y.example is not allowed */
	assert_int_equal(e.count, 0);
	assert_int_equal(add(&e, &v, "part", "", 0), 550);
	assert_int_equal(e.count, 0);
	assert_int_equal(add(&e, &v, "nobody", "", 0), 550);
	assert_int_equal(add(&e, &v, "d@x.example", "", 0), 0);
	assert_int_equal(add(&e, &v, "e@x.example", "", 0), 0);
	assert_int_equal(add(&e, &v, "root", "", 0), 550); /* that would be four */
	assert_int_equal(e.count, 2);
	/* the table forgets what was taken back */
	assert_int_equal(add(&e, &v, "a@x.example", "", 0), 0);
	assert_int_equal(add(&e, &v, "d@x.example", "", 0), 0);
	assert_int_equal(e.count, 3);
	envelope_take(&e, &m);
	assert_int_equal(m.count, 3);
	assert_int_equal(e.count, 0);
	for (size_t i = 0; i < m.count; i++) {
		free(m.recipients[i].address);
		free(m.recipients[i].orcpt);
	}
	free(m.recipients);
}

static void
test_many(void **state)
{
	struct conf_service v = {.name = (char *)"v"};
	struct envelope e = {0};
	char address[64];
	int code = 0;

	for (unsigned i = 0; i <= ENVELOPE_RECIPIENTS_MAX; i++) {
		(void)snprintf(address, sizeof(address), "u%u@x.example", i);
		code = add(&e, &v, address, "", 0);
		assert_int_equal(code, i < ENVELOPE_RECIPIENTS_MAX ? 0 : 452);
	}
	assert_int_equal(add(&e, &v, "u77@x.example", "", 0), 0);
	assert_int_equal(e.count, ENVELOPE_RECIPIENTS_MAX);
	envelope_clear(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_once),
	    cmocka_unit_test(test_original),
	    cmocka_unit_test(test_all_or_nothing),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
