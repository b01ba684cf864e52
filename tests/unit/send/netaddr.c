/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/send/netaddr.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "base/attr.h"
#include "broker/send/netaddr.h"

static struct netaddr
address(const char *text)
{
	struct netaddr a = {0};
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a.sockaddr;
	struct sockaddr_in *four = (struct sockaddr_in *)&a.sockaddr;

	if (strchr(text, ':') == NULL) {
		four->sin_family = AF_INET;
		a.len = sizeof(*four);
		assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
	} else {
		six->sin6_family = AF_INET6;
		a.len = sizeof(*six);
		assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
	}
	return a;
}

/* What every server that follows RFC 5321 has to take. */
static void
test_ehlo_name(void **state)
{
	static const struct {
		const char *own, *hostname, *name;
	} cases[] = {
	    {"192.0.2.1", "mail.example.com", "mail.example.com"},
	    {"::1", "mail.example.com", "mail.example.com"},
	    {"::1", NULL, "[IPv6:0:0:0:0:0:0:0:1]"},
	    {"::1", "::1", "[IPv6:0:0:0:0:0:0:0:1]"},
	    {"2001:db8::25", "mail", "[IPv6:2001:db8:0:0:0:0:0:25]"},
	    {"::ffff:192.0.2.1", "mail", "[192.0.2.1]"},
	    {"192.0.2.1", "mail", "[192.0.2.1]"},
	    {"192.0.2.1", "198.51.100.7", "[192.0.2.1]"},
	    {"192.0.2.1", "my_host.example.com", "[192.0.2.1]"},
	    {"192.0.2.1", "mail.example.com.", "[192.0.2.1]"},
	    {"192.0.2.1", ".example.com", "[192.0.2.1]"},
	    {"192.0.2.1", "-a.example.com", "[192.0.2.1]"},
	    {"192.0.2.1", "a:b.example", "[192.0.2.1]"},
	    {"192.0.2.1", "", "[192.0.2.1]"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct netaddr own = address(cases[i].own);
		char name[300];

		netaddr_ehlo_name(&own, cases[i].hostname, name, sizeof(name));
		assert_string_equal(name, cases[i].name);
	}
}

static void
test_loopback(void **state)
{
	static const char *const loopback[] = {"127.0.0.1", "127.255.0.9", "::1"},
				 *const others[] = {"128.0.0.1", "10.0.0.1", "::", "::2"};

	for (size_t i = 0; i < ARRAY_SIZE(loopback); i++) {
		struct netaddr a = address(loopback[i]);

		assert_true(netaddr_is_loopback(&a));
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct netaddr a = address(others[i]);

		assert_false(netaddr_is_loopback(&a));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ehlo_name),
	    cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests_name("send/netaddr", tests, NULL, NULL);
}
