/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/send/dns.c: answers in octets, as name servers send them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "broker/send/dns.h"

enum { A = 1, CNAME = 5, MX = 15, TXT = 16, SRV = 33 };

/* A name, its labels ended by dots. */
static void
put_name(struct buf *out, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		(void)buf_append_char(out, (char)len);
		(void)buf_append(out, name, len);
		name += len + (name[len] == '.');
	}
	(void)buf_append_char(out, '\0');
}

static void
put16(struct buf *out, unsigned n)
{
	(void)buf_append_char(out, (char)(n >> 8));
	(void)buf_append_char(out, (char)(n & 0xff));
}

static void
begin_answer(struct buf *out, const char *name, unsigned type, unsigned count)
{
	(void)buf_append(out, "\0\0\x81\x80\0\1", 6);
	put16(out, count);
	put16(out, 0);
	put16(out, 0);
	put_name(out, name);
	put16(out, type);
	put16(out, 1);
}

/* A record of `owner`, NULL for the name that was asked about. */
static void
put_record(struct buf *out, const char *owner, unsigned type, const struct buf *data)
{
	if (owner == NULL)
		put16(out, 0xc00c);
	else
		put_name(out, owner);
	put16(out, type);
	put16(out, 1);
	(void)buf_append(out, "\0\0\0\x3c", 4);
	put16(out, (unsigned)data->len);
	(void)buf_append(out, data->data, data->len);
}

static void
parse(enum dns_type type, const struct buf *octets, struct dns_answer *ret)
{
	dns_parse(type, (const uint8_t *)octets->data, octets->len, ret);
}

static void
put_host(struct buf *answer, unsigned type, const unsigned *numbers, size_t count, const char *host)
{
	CLEANUP_BUF struct buf data = BUF_INIT(400);

	for (size_t i = 0; i < count; i++)
		put16(&data, numbers[i]);
	put_name(&data, host);
	put_record(answer, NULL, type, &data);
}

static void
test_mx(void **state)
{
	CLEANUP_BUF struct buf octets = BUF_INIT(1000);
	struct dns_answer a;

	begin_answer(&octets, "example.org", MX, 3);
	put_host(&octets, MX, (const unsigned[]){20}, 1, "mx2.example.org");
	put_host(&octets, MX, (const unsigned[]){10}, 1, "mx1.example.org");
	put_host(&octets, MX, (const unsigned[]){0}, 1, "");
	parse(DNS_MX, &octets, &a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.records[0].text, "mx2.example.org");
	assert_int_equal(a.records[0].order, 20);
	assert_string_equal(a.records[1].text, "mx1.example.org");
	assert_int_equal(a.records[1].order, 10);
	assert_true(strcmp(a.records[2].text, "") == 0 || strcmp(a.records[2].text, ".") == 0);
	dns_clear(&a);
}

static void
test_srv(void **state)
{
	CLEANUP_BUF struct buf octets = BUF_INIT(1000);
	struct dns_answer a;

	begin_answer(&octets, "_submissions._tcp.example.org", SRV, 1);
	put_host(&octets, SRV, (const unsigned[]){1, 2, 465}, 3, "out.example.org");
	parse(DNS_SRV, &octets, &a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.count, 1);
	assert_string_equal(a.records[0].text, "out.example.org");
	assert_int_equal(a.records[0].len, strlen("out.example.org"));
	assert_int_equal(a.records[0].order, 1);
	assert_int_equal(a.records[0].weight, 2);
	assert_int_equal(a.records[0].port, 465);
	dns_clear(&a);
}

/* A record's strings are one text; two records are two. */
static void
test_txt(void **state)
{
	static const char two[] = "\x07v=spf1 \x04-all", one[] = "\x03"
								 "a\0b";
	CLEANUP_BUF struct buf octets = BUF_INIT(1000), data = BUF_INIT(100);
	struct dns_answer a;

	begin_answer(&octets, "example.org", TXT, 2);
	(void)buf_append(&data, two, sizeof(two) - 1);
	put_record(&octets, NULL, TXT, &data);
	buf_clear(&data);
	(void)buf_append(&data, one, sizeof(one) - 1);
	put_record(&octets, NULL, TXT, &data);
	parse(DNS_TXT, &octets, &a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.count, 2);
	assert_string_equal(a.records[0].text, "v=spf1 -all");
	assert_int_equal(a.records[1].len, 3);
	assert_memory_equal(a.records[1].text, "a\0b", 4);
	dns_clear(&a);
}

static void
test_an_alias_leads_to_the_name_with_the_address(void **state)
{
	CLEANUP_BUF struct buf octets = BUF_INIT(1000), data = BUF_INIT(100);
	struct dns_answer a;

	begin_answer(&octets, "smtp.example.org", A, 2);
	put_name(&data, "out.example.net");
	put_record(&octets, NULL, CNAME, &data);
	buf_clear(&data);
	(void)buf_append(&data, "\xc0\0\2\1", 4);
	put_record(&octets, "out.example.net", A, &data);
	parse(DNS_A, &octets, &a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_string_equal(a.records[0].text, "out.example.net");
	dns_clear(&a);
}

static void
test_records_of_another_type_are_none(void **state)
{
	CLEANUP_BUF struct buf octets = BUF_INIT(1000);
	struct dns_answer a;

	begin_answer(&octets, "example.org", SRV, 1);
	put_host(&octets, MX, (const unsigned[]){10}, 1, "mx.example.org");
	parse(DNS_SRV, &octets, &a);
	assert_int_equal(a.status, DNS_NO_RECORDS);
	assert_int_equal(a.count, 0);
	dns_clear(&a);
}

/* Cut anywhere, an answer is no answer; nothing of it is given. */
static void
test_cut_answers_fail(void **state)
{
	CLEANUP_BUF struct buf octets = BUF_INIT(1000);
	struct dns_answer a;

	begin_answer(&octets, "example.org", MX, 2);
	put_host(&octets, MX, (const unsigned[]){10}, 1, "mx1.example.org");
	put_host(&octets, MX, (const unsigned[]){20}, 1, "mx2.example.org");
	for (size_t len = 0; len < octets.len; len++) {
		dns_parse(DNS_MX, (const uint8_t *)octets.data, len, &a);
		assert_int_equal(a.status, DNS_FAILED);
		assert_int_equal(a.count, 0);
		assert_non_null(a.words);
		dns_clear(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mx),
	    cmocka_unit_test(test_srv),
	    cmocka_unit_test(test_txt),
	    cmocka_unit_test(test_an_alias_leads_to_the_name_with_the_address),
	    cmocka_unit_test(test_records_of_another_type_are_none),
	    cmocka_unit_test(test_cut_answers_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
