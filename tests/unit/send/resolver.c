/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/send/resolver.c: names that need no server and no file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "broker/send/resolver.h"

struct seen {
	struct buf text; /* "address:port ", for each */
	unsigned calls;
	enum smtp_fault fault;
};

static void
on_addresses(void *arg, const struct netaddr *addresses, size_t count, enum smtp_fault fault,
    const char *words)
{
	struct seen *seen = arg;
	char text[64];

	seen->calls++;
	seen->fault = fault;
	for (size_t i = 0; i < count; i++) {
		const struct sockaddr_in *four = (const struct sockaddr_in *)&addresses[i].sockaddr;

		assert_true(netaddr_is_loopback(&addresses[i]));
		netaddr_text(&addresses[i], text, sizeof(text));
		/* The port stands at the same place in both kinds. */
		(void)buf_printf(&seen->text, "%s %u\n", text, ntohs(four->sin_port));
	}
}

static void
test_localhost_is_loopback(void **state)
{
	static const char *const names[] = {
	    "localhost", "LOCALHOST.", "mail.localhost", "a.b.localhost"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct seen seen = {.text = BUF_INIT(1000)};
		struct event_base *base = event_base_new();
		struct resolver *r = resolver_new(base);

		assert_non_null(resolver_lookup(r, names[i], 587, on_addresses, &seen));
		assert_int_equal(seen.calls, 0);
		/* Nothing is waited for: there is neither a socket nor a timer. */
		assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
		assert_int_equal(seen.calls, 1);
		assert_int_equal(seen.fault, SMTP_FAULT_NONE);
		assert_string_equal(buf_str(&seen.text), "127.0.0.1 587\n::1 587\n");
		buf_free(&seen.text);
		(void)resolver_free(r);
		event_base_free(base);
	}
}

static void
test_invalid_names_do_not_exist(void **state)
{
	struct seen seen = {.text = BUF_INIT(1000)};
	struct event_base *base = event_base_new();
	struct resolver *r = resolver_new(base);

	assert_non_null(resolver_lookup(r, "smtp.invalid", 587, on_addresses, &seen));
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.fault, SMTP_FAULT_NO_HOST);
	assert_string_equal(buf_str(&seen.text), "");
	buf_free(&seen.text);
	(void)resolver_free(r);
	event_base_free(base);
}

static void
on_records(void *arg, const struct dns_answer *answer)
{
	unsigned *calls = arg;

	++*calls;
	assert_int_equal(answer->status, DNS_NO_RECORDS);
	assert_int_equal(answer->count, 0);
}

static void
test_nobody_is_asked_about_localhost(void **state)
{
	struct event_base *base = event_base_new();
	struct resolver *r = resolver_new(base);
	unsigned calls = 0;

	assert_non_null(resolver_query(r, "localhost", DNS_MX, on_records, &calls));
	assert_non_null(resolver_query(r, "_dmarc.localhost", DNS_TXT, on_records, &calls));
	assert_int_equal(calls, 0);
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
	assert_int_equal(calls, 2);
	(void)resolver_free(r);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_localhost_is_loopback),
	    cmocka_unit_test(test_invalid_names_do_not_exist),
	    cmocka_unit_test(test_nobody_is_asked_about_localhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
