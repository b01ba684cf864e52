/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* The table of /etc/aliases: what is read, where names lead, what is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/aliases.h"

static char *const own_domains[] = {"localhost", "host.example.com"};

static struct aliases_host host = {
    .domains = own_domains, .domain_count = 2, .mail_name = "host.example.com", .postmaster = ""};

static struct aliases *
parse(const char *text, struct buf *report)
{
	struct aliases *a = NULL;

	assert_int_equal(aliases_parse(text, strlen(text), "aliases", &a, report), 0);
	return a;
}

static int
note(void *arg, const char *address)
{
	return buf_printf(arg, "%s%s", ((struct buf *)arg)->len > 0 ? " " : "", address);
}

/* Where `address` leads: the addresses, or "?..." or "!..." with the sentence. */
static const char *
lead(struct aliases *a, const char *address)
{
	static char text[8192];
	struct buf found = BUF_INIT(65536), why = BUF_INIT(4096);
	enum aliases_result r = aliases_expand(a, &host, address, note, &found, &why);

	snprintf(text, sizeof(text), "%s%s",
	    r == ALIASES_OK        ? ""
	    : r == ALIASES_UNKNOWN ? "?"
				   : "!",
	    buf_str(r == ALIASES_OK ? &found : &why));
	buf_free(&found);
	buf_free(&why);
	return text;
}

static const struct {
	const char *name, *text, *address, *leads;
} cases[] = {
    {"plain", "root: admin@example.org\n", "root", "admin@example.org"},
    {"case", "Root: admin@example.org\n", "rOOT", "admin@example.org"},
    {"own domain", "root: admin@example.org\n", "root@LOCALHOST", "admin@example.org"},
    {"own host", "root: admin@example.org\n", "root@host.example.com", "admin@example.org"},
    {"elsewhere", "root: admin@example.org\n", "root@example.net", "root@example.net"},
    {"list", "all: a@example.org, b@example.org,c@example.org\n", "all",
	"a@example.org b@example.org c@example.org"},
    {"continued", "all: a@example.org,\n  b@example.org\n\tc@example.org\nx: y@example.org\n",
	"all", "a@example.org b@example.org c@example.org"},
    {"nested", "postmaster: root\nroot: admin\nadmin: a@example.org\n", "postmaster",
	"a@example.org"},
    {"diamond", "x: y, z\ny: q\nz: q\nq: a@example.org\n", "x", "a@example.org"},
    {"comments",
	"# root: no@example.org\n\n   \n  # nor this\nroot: (me) admin@example.org (here)\n",
	"root", "admin@example.org"},
    {"names", "root: \"Smith, J\" <admin@example.org>, <b@example.org>\n", "root",
	"admin@example.org b@example.org"},
    {"spaces", "root : admin@example.org\n", "root", "admin@example.org"},
    {"quoted name", "\"john doe\": j@example.org\n", "\"john doe\"@localhost", "j@example.org"},
    {"no final newline", "root: admin@example.org", "root", "admin@example.org"},
    {"crlf", "root: admin@example.org\r\nx: y@example.org\r\n", "root", "admin@example.org"},
    {"first counts", "root: a@example.org\nroot: b@example.org\n", "root", "a@example.org"},
    {"star", "*: a@example.org\nroot: b@example.org\n", "backup", "a@example.org"},
    {"star is nobody", "*: a@example.org\nroot: b@example.org\n", "root", "b@example.org"},
    {"bad element", "root: admin@example.org, @, b@example.org\n", "root",
	"admin@example.org b@example.org"},
    {"a line without an address is named", "x: b@example.org\nBackup: a@@example.org\n", "backup",
	"?The alias backup leads to nobody: what stands there is no address (aliases:2); correct "
	"it and "
	"run newaliases"},
    {"the line that counts", "backup: a@@b\nbackup: c@example.org\n", "backup", "c@example.org"},
    {"unknown", "root: a@example.org\n", "backup",
	"?backup has no mailbox on this host: write \"backup: you@example.com\" into aliases and "
	"run newaliases"},
    {"unknown at the host", "root: a@example.org\n", "info@Host.example.com",
	"?info has no mailbox on this host: write \"info: you@example.com\" into aliases and run "
	"newaliases; or, where Host.example.com is a mail domain, name the host's own ones in "
	"local-domains in frank.conf"},
    {"unknown root", "x: a@example.org\n", "root",
	"?root has no mailbox on this host: set postmaster in frank.conf, or write \"root: "
	"you@example.com\" into aliases and run "
	"newaliases"},
    {"program", "x: a@example.org, \"|/bin/cat -a, -b\"\n", "x",
	"!The alias x leads to a program, where Frank delivers nothing (aliases:1): name an "
	"address there and run newaliases"},
    {"bare program", "x: |/bin/cat\n", "x",
	"!The alias x leads to a program, where Frank delivers nothing (aliases:1): name an "
	"address there and run newaliases"},
    {"file", "x: a@example.org,\n /var/mail/x\n", "x",
	"!The alias x leads to a file, where Frank delivers nothing (aliases:2): name an address "
	"there and run newaliases"},
    {"include", "x: :include:/etc/list\n", "x",
	"!The alias x leads to a list in another file, where Frank delivers nothing (aliases:1): "
	"name an address there and run newaliases"},
    {"blackhole", "x: :blackhole:\n", "x",
	"!The alias x leads to a word with a special meaning, where Frank delivers nothing "
	"(aliases:1): name an address there and run "
	"newaliases"},
    {"loop", "a: b\nb: c\nc: a\n", "b", "!The alias b leads to itself (aliases:2): b, c, a, b"},
    {"into a loop", "x: a\na: b\nb: a\n", "x", "!The alias a leads to itself (aliases:2): a, b, a"},
    {"itself", "root: root, a@example.org\n", "root",
	"?root has no mailbox on this host: set postmaster in frank.conf, or write \"root: "
	"you@example.com\" into aliases and run "
	"newaliases"},
};

static void
test_expansions(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf report = BUF_INIT(4096);
		struct aliases *a = parse(cases[i].text, &report);
		const char *got = lead(a, cases[i].address);

		if (strcmp(got, cases[i].leads) != 0)
			fail_msg("%s: %s", cases[i].name, got);
		assert_string_equal(
		    lead(a, cases[i].address), cases[i].leads); /* a walk leaves no marks */
		(void)aliases_free(a);
		buf_free(&report);
	}
}

static void
test_without_table(void **state)
{
	assert_string_equal(lead(NULL, "a@example.org"), "a@example.org");
	assert_true(lead(NULL, "root")[0] == '?');
	host.postmaster = "pm@example.org";
	assert_string_equal(lead(NULL, "root"), "pm@example.org");
	assert_string_equal(lead(NULL, "Postmaster@localhost"), "pm@example.org");
	assert_true(lead(NULL, "backup")[0] == '?');
	host.postmaster = "root@localhost";
	assert_true(lead(NULL, "root")[0] == '?');
	host.postmaster = "";
}

/* Where names without a domain belong to a mail domain, they are sent there. */
static void
test_mail_domain(void **state)
{
	struct buf report = BUF_INIT(4096);
	struct aliases *a = parse("x: root, \\y\nroot: root, a@example.org\n", &report);

	host.mail_name = "example.com";
	assert_string_equal(lead(a, "backup"), "backup@example.com");
	assert_string_equal(lead(a, "backup@localhost"), "backup@example.com");
	assert_string_equal(lead(a, "x"), "root@example.com a@example.org y@example.com");
	assert_string_equal(lead(a, "root@example.com"), "root@example.com");
	assert_int_equal(aliases_check(a, &host, &report), 0);
	host.mail_name = "host.example.com";
	(void)aliases_free(a);
	buf_free(&report);
}

static void
test_bounds(void **state)
{
	struct buf text = BUF_INIT(ALIASES_TEXT_MAX), report = BUF_INIT(65536);
	struct aliases *a;

	(void)buf_append_str(&text, "all: a@example.org");
	for (int i = 0; i < ALIASES_EXPANSION_MAX; i++)
		(void)buf_printf(&text, ", u%d@example.org", i);
	(void)buf_append_char(&text, '\n');
	for (int i = 0; i < ALIASES_DEPTH_MAX + 5; i++)
		(void)buf_printf(&text, "d%d: d%d\n", i, i + 1);
	(void)buf_printf(&text, "d%d: a@example.org\n", ALIASES_DEPTH_MAX + 5);
	/* every one leads to every one */
	for (int i = 0; i < 300; i++) {
		(void)buf_printf(&text, "w%d: a@example.org", i);
		for (int j = i + 1; j < 300; j++)
			(void)buf_printf(&text, ", w%d", j);
		(void)buf_append_char(&text, '\n');
	}
	a = parse(buf_str(&text), &report);
	assert_string_equal(lead(a, "all"), "!It leads to more than 1000 addresses");
	assert_true(lead(a, "d0")[0] == '!');
	assert_string_equal(lead(a, "d10"), "a@example.org");
	assert_true(lead(a, "w0")[0] == '!');
	(void)aliases_free(a);
	buf_free(&text);
	buf_free(&report);
}

static void
test_report(void **state)
{
	static const char text[] = "postmaster: root\n"
				   "hostmaster: root\n"
				   "what is this\n"
				   "a: b\n"
				   "b: a\n"
				   "x: a\n"
				   "list: \"|/usr/lib/list a\", :include:/etc/l,\n"
				   "  /var/mail/old\n"
				   "a: again@example.org\n"
				   "e:\n"
				   "who@example.org: a@example.org\n";
	static const char wanted[] =
	    "aliases:3: warning: this is no alias: it wants \"name: address, address\"\n"
	    "aliases:9: warning: alias \"a\" is there twice; line 4 counts\n"
	    "aliases:10: warning: alias \"e\" leads to nobody\n"
	    "aliases:11: warning: \"who@example.org\" is no local name, so nothing is sent to it\n"
	    "aliases:1: warning: alias \"postmaster\" leads to root, which has no mailbox on this "
	    "host: its mail is refused; add \"root: "
	    "you@example.com\"\n"
	    "aliases:4: warning: The alias a leads to itself (aliases:4): a, b, a; its mail is "
	    "refused\n"
	    "aliases:7: warning: alias \"list\" leads to a program (|/usr/lib/list a), where Frank "
	    "delivers nothing: its mail is refused; "
	    "name an address\n"
	    "aliases:7: warning: alias \"list\" leads to a list in another file (:include:/etc/l), "
	    "where Frank delivers nothing: its mail "
	    "is refused; name an address\n"
	    "aliases:8: warning: alias \"list\" leads to a file (/var/mail/old), where Frank "
	    "delivers nothing: its mail is refused; name "
	    "an address\n";
	struct buf report = BUF_INIT(65536);
	struct aliases *a = parse(text, &report);

	assert_int_equal(aliases_check(a, &host, &report), 9);
	assert_string_equal(buf_str(&report), wanted);
	assert_int_equal(aliases_count(a), 6);
	(void)aliases_free(a);
	buf_free(&report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expansions),
	    cmocka_unit_test(test_without_table),
	    cmocka_unit_test(test_mail_domain),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
