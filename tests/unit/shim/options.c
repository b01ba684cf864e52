/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of shim/options.c: what each letter means, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "shim/shim.h"

enum { WORDS = 24 };

/* Splits at spaces ('~' stands for an empty word) and parses. The strings live in `scratch`. */
static int
parse(const char *line, char *scratch, size_t size, char **argv, struct shim_options *o)
{
	int argc = 0;
	char *save = NULL;

	assert_true(strlen(line) < size);
	memcpy(scratch, line, strlen(line) + 1);
	for (char *w = strtok_r(scratch, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		assert_true(argc < WORDS);
		argv[argc++] = strcmp(w, "~") == 0 ? w + 1 : w;
	}
	return options_parse(argc, argv, o);
}

static void
assert_text(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void
test_table(void **state)
{
	static const struct {
		const char *line;
		enum shim_mode mode;
		bool extract, ignore_dots, quiet;
		const char *sender, *name, *body, *recipients;
	} cases[] = {
	    {"sendmail", MODE_DELIVER, .recipients = ""},
	    {"/usr/sbin/sendmail a b", MODE_DELIVER, .recipients = "a b "},
	    {"/usr/bin/mailq", MODE_LIST, .recipients = ""},
	    {"newaliases", MODE_ALIASES, .recipients = ""},
	    {"sendmail -t -i", MODE_DELIVER, true, true, .recipients = ""},
	    {"sendmail -ti", MODE_DELIVER, true, true, .recipients = ""},
	    {"sendmail -it a", MODE_DELIVER, true, true, .recipients = "a "},
	    {"sendmail -oi a", MODE_DELIVER, false, true, .recipients = "a "},
	    {"sendmail -oi -oiFalse a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -OIgnoreDots a", MODE_DELIVER, false, true, .recipients = "a "},
	    {"sendmail -O IgnoreDots=True a", MODE_DELIVER, false, true, .recipients = "a "},
	    {"sendmail -i -OIgnoreDots=no a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -oeq a", MODE_DELIVER, .quiet = true, .recipients = "a "},
	    {"sendmail -e q a", MODE_DELIVER, .quiet = true, .recipients = "a "},
	    {"sendmail -oeq -oem a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -OErrorMode=q a", MODE_DELIVER, .quiet = true, .recipients = "a "},
	    {"sendmail -f a@b.c d", MODE_DELIVER, .sender = "a@b.c", .recipients = "d "},
	    {"sendmail -fa@b.c d", MODE_DELIVER, .sender = "a@b.c", .recipients = "d "},
	    {"sendmail -r a@b.c d", MODE_DELIVER, .sender = "a@b.c", .recipients = "d "},
	    {"sendmail -f a -f b d", MODE_DELIVER, .sender = "b", .recipients = "d "},
	    {"sendmail -f a -rb d", MODE_DELIVER, .sender = "b", .recipients = "d "},
	    {"sendmail -f <> d", MODE_DELIVER, .sender = "", .recipients = "d "},
	    {"sendmail -f ~ d", MODE_DELIVER, .sender = "", .recipients = "d "},
	    {"sendmail -t -f", MODE_DELIVER, true, .sender = "", .recipients = ""},
	    {"sendmail -f -t", MODE_DELIVER, true, .sender = "", .recipients = ""},
	    {"sendmail -tf a", MODE_DELIVER, true, .sender = "a", .recipients = ""},
	    {"sendmail d -f a e", MODE_DELIVER, .sender = "a", .recipients = "d e "},
	    {"sendmail -- -f a", MODE_DELIVER, .recipients = "-f a "},
	    {"sendmail -F Name a", MODE_DELIVER, .name = "Name", .recipients = "a "},
	    {"sendmail -FName -B8BITMIME a", MODE_DELIVER, .name = "Name", .body = "8BITMIME",
		.recipients = "a "},
	    {"sendmail -B 7bit a", MODE_DELIVER, .body = "7BIT", .recipients = "a "},
	    {"sendmail -bs -odb -oem -om", MODE_SMTP, .recipients = ""},
	    {"sendmail -bm a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -bp", MODE_LIST, .recipients = ""},
	    {"sendmail -bpru", MODE_LIST, .recipients = ""},
	    {"sendmail -bi", MODE_ALIASES, .recipients = ""},
	    {"sendmail -I", MODE_ALIASES, .recipients = ""},
	    {"sendmail -bv a", MODE_VERIFY, .recipients = "a "},
	    {"sendmail -bt a", MODE_VERIFY, .recipients = "a "},
	    {"sendmail -bd -q1h", MODE_DAEMON, .recipients = ""},
	    {"sendmail -q", MODE_FLUSH, .recipients = ""},
	    {"sendmail -q30m", MODE_FLUSH, .recipients = ""},
	    {"sendmail -L x -Ac -qRy", MODE_FLUSH, .recipients = ""},
	    {"sendmail -q a", MODE_FLUSH, .recipients = "a "},
	    {"sendmail -d a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -d0-99.1 a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -C x -D y -X z -h 5 -L l -p p -M{x}y -Q q a", MODE_DELIVER,
		.recipients = "a "},
	    {"sendmail -cGmnsTUvx a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -oMr x a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -oA /etc/x -oP /run/x -oX /x a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -oQ/tmp -oA/etc/x -OQueueDirectory=/tmp a", MODE_DELIVER,
		.recipients = "a "},
	    {"sendmail -ba a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -bh", MODE_NOTHING, .recipients = ""},
	    {"sendmail -bH", MODE_NOTHING, .recipients = ""},
	    {"sendmail -bV", MODE_VERSION, .recipients = ""},
	    {"sendmail -oMrx a", MODE_DELIVER, .recipients = "a "},
	    {"sendmail -F", MODE_DELIVER, .recipients = ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char scratch[256], recipients[128] = "", *argv[WORDS] = {NULL};
		struct shim_options o;

		assert_int_equal(parse(cases[i].line, scratch, sizeof(scratch), argv, &o), 0);
		for (size_t j = 0; j < o.recipient_count; j++) {
			(void)strncat(recipients, o.recipients[j],
			    sizeof(recipients) - strlen(recipients) - 1);
			(void)strncat(recipients, " ", sizeof(recipients) - strlen(recipients) - 1);
		}
		assert_string_equal(recipients, cases[i].recipients);
		assert_int_equal(o.mode, cases[i].mode);
		assert_int_equal(o.extract, cases[i].extract);
		assert_int_equal(o.ignore_dots, cases[i].ignore_dots);
		assert_int_equal(o.quiet, cases[i].quiet);
		assert_text(o.sender, cases[i].sender);
		assert_text(o.full_name, cases[i].name);
		assert_text(o.body, cases[i].body);
	}
}

static void
test_dsn(void **state)
{
	char scratch[256], *argv[WORDS] = {NULL};
	struct shim_options o;

	assert_int_equal(
	    parse("sendmail -N failure,delay -R hdrs -V id a", scratch, sizeof(scratch), argv, &o),
	    0);
	assert_int_equal(o.notify, SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY);
	assert_int_equal(o.ret, SMTP_RET_HDRS);
	assert_string_equal(o.envid, "id");
	assert_int_equal(parse("sendmail -NNEVER -RFull a", scratch, sizeof(scratch), argv, &o), 0);
	assert_int_equal(o.notify, SMTP_NOTIFY_NEVER);
	assert_int_equal(o.ret, SMTP_RET_FULL);
}

static void
test_refused(void **state)
{
	static const char *const lines[] = {
	    "sendmail --read-envelope-from -t",
	    "sendmail --",
	    "sendmail -bS",
	    "sendmail -bz",
	    "sendmail -b",
	    "sendmail -k a",
	    "sendmail -tk a",
	    "sendmail -N sometimes a",
	    "sendmail -N never,success a",
	    "sendmail -N success, a",
	    "sendmail -N",
	    "sendmail -R some a",
	    "sendmail -R",
	    "sendmail -oMr spam-scanned -bS",
	    "exim -Mrm 1tHkVa-000001-Xy",
	    "exim -Mc 1tHkVa-000001-Xy",
	    "exim -M 1tHkVa-000001-Xy",
	    "exim -v -Mvl 1tHkVa-000001-Xy",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char scratch[256], *argv[WORDS] = {NULL};
		struct shim_options o;
		int want = strcmp(lines[i], "sendmail --") == 0 ? 0 : EX_USAGE;

		assert_int_equal(parse(lines[i], scratch, sizeof(scratch), argv, &o), want);
		if (want != 0)
			assert_non_null(o.wrong);
	}
}

/* What stands behind an option's name is never repeated: it may be another program's password. */
static void
test_values_are_not_repeated(void **state)
{
	static const struct {
		const char *line, *name;
	} cases[] = {
	    {"sendmail -apSECRET", "-a"},
	    {"sendmail -au user -ap SECRET", "-a"},
	    {"sendmail -xzSECRET", "-z"},
	    {"sendmail --password=SECRET", "--password"},
	    {"sendmail --passwordSECRET", "--password"},
	    {"sendmail --SECRET", "--"},
	    {"sendmail --read-envelope-from SECRET", "--read-envelope-from"},
	    {"sendmail --a-very-long-option-whose-name-goes-on-and-on=SECRET",
		"--a-very-long-option-whose-name"},
	    {"sendmail -bSECRET", ""},
	    {"sendmail -NSECRET", ""},
	    {"sendmail -N never,SECRET", ""},
	    {"sendmail -R SECRET", ""},
	    {"sendmail -MrmSECRET", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char scratch[256], *argv[WORDS] = {NULL};
		struct shim_options o;

		assert_int_equal(
		    parse(cases[i].line, scratch, sizeof(scratch), argv, &o), EX_USAGE);
		assert_null(strstr(o.wrong, "SECRET"));
		assert_string_equal(o.wrong_word, cases[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_dsn),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_values_are_not_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
