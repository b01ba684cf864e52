/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fault.c and chaos.c: rules from JSON, and what goes wrong when, for whom and how often.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sandbox/chaos.h"
#include "sandbox/personality.h"

static uint32_t next_random;

static int
fill(void *bytes, size_t len)
{
	memset(bytes, 0, len);
	memcpy(bytes, &next_random, len < sizeof(next_random) ? len : sizeof(next_random));
	return 0;
}

static int
add(struct faults *f, const char *text, char why[256])
{
	json_t *rule = json_loads(text, 0, NULL);
	unsigned id = 0;
	int r;

	assert_non_null(rule);
	r = faults_add(f, rule, &id, why);
	json_decref(rule);
	return r < 0 ? r : (int)id;
}

static struct faults *
with(const char *text)
{
	struct faults *f = faults_new(fill);
	char why[256];

	assert_non_null(f);
	if (add(f, text, why) < 0)
		fail_msg("%s: %s", text, why);
	return f;
}

static const struct fault_event rcpt = {.stage = FAULT_RCPT,
    .account = "a@x.test",
    .sender = "a@x.test",
    .recipient = "You@y.test",
    .client = "192.0.2.1"};

/* Does it fail, and with which code? 0: no. */
static int
code_at(struct faults *f, const struct fault_event *e, uint64_t now)
{
	struct fault got;

	return faults_find(f, e, now, &got) ? got.code : 0;
}

static void
test_every_name(void **state)
{
	json_t *names = faults_names(), *n;
	size_t i;

	assert_true(json_array_size(names) > 50);
	json_array_foreach(names, i, n)
	{
		struct faults *f = faults_new(fill);
		json_t *rule = json_pack("{s:O}", "fault", json_object_get(n, "fault")), *list;
		char why[256];
		unsigned id;

		assert_non_null(f);
		if (faults_add(f, rule, &id, why) < 0)
			fail_msg("%s: %s", json_string_value(json_object_get(n, "fault")), why);
		list = faults_list(f);
		assert_string_equal(
		    json_string_value(json_object_get(json_array_get(list, 0), "stage")),
		    json_string_value(json_object_get(n, "stage")));
		json_decref(list);
		json_decref(rule);
		(void)faults_free(f);
	}
	json_decref(names);
}

static void
test_refused_rules(void **state)
{
	static const char *const rules[][2] = {
	    {"[]", "object"},
	    {"{}", "needs"},
	    {"{\"fault\": 1}", "text"},
	    {"{\"fault\": \"no-such\"}", "no-such"},
	    {"{\"stage\": \"rcpt\", \"action\": \"reply\"}", "code"},
	    {"{\"stage\": \"rcpt\", \"action\": \"reply\", \"code\": 250}", "400"},
	    {"{\"stage\": \"helo\", \"action\": \"drop\"}", "helo"},
	    {"{\"stage\": \"rcpt\", \"action\": \"fly\"}", "fly"},
	    {"{\"stage\": \"rcpt\", \"action\": \"none\"}", "none"},
	    {"{\"stage\": \"rcpt\", \"action\": \"html\", \"code\": 500}", "meaning"},
	    {"{\"stage\": \"mail\", \"action\": \"greylist\", \"code\": 450}", "meaning"},
	    {"{\"stage\": \"token\", \"action\": \"reply\"}", "status"},
	    {"{\"stage\": \"auth\", \"action\": \"revoke\"}", "meaning"},
	    {"{\"fault\": \"spam\", \"count\": 0}", "count"},
	    {"{\"fault\": \"spam\", \"count\": \"2x\"}", "count"},
	    {"{\"fault\": \"spam\", \"count\": \"\"}", "count"},
	    {"{\"fault\": \"spam\", \"probability\": 101}", "probability"},
	    {"{\"fault\": \"spam\", \"rate\": \"30/week\"}", "rate"},
	    {"{\"fault\": \"spam\", \"rate\": \"-1/min\"}", "rate"},
	    {"{\"fault\": \"spam\", \"rate\": 3}", "text"},
	    {"{\"fault\": \"spam\", \"enhanced\": \"5.7.1234567890\"}", "enhanced"},
	    {"{\"fault\": \"spam\", \"who\": \"a\"}", "who"},
	};
	struct faults *f = faults_new(fill);
	char why[256];

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		assert_int_equal(add(f, rules[i][0], why), -EINVAL);
		if (strstr(why, rules[i][1]) == NULL)
			fail_msg("%s: %s", rules[i][0], why);
	}
	(void)faults_free(f);
}

static void
test_who_and_count(void **state)
{
	struct faults *f =
	    with("{\"fault\": \"no-such-user\", \"recipient\": \"you@*\", \"count\": \"2\"}");
	struct fault_event other = rcpt, unknown = rcpt;
	struct fault got;

	other.recipient = "me@y.test";
	unknown.recipient = NULL;
	assert_int_equal(code_at(f, &other, 0), 0);
	assert_int_equal(code_at(f, &unknown, 0), 0);
	assert_true(faults_find(f, &rcpt, 0, &got));
	assert_string_equal(got.text, "<You@y.test>: Recipient address rejected: User unknown");
	assert_string_equal(got.enhanced, "5.1.1");
	assert_string_equal(got.name, "no-such-user");
	assert_int_equal(code_at(f, &rcpt, 0), 550);
	assert_int_equal(code_at(f, &rcpt, 0), 0);
	assert_true(faults_delete(f, 1));
	assert_false(faults_delete(f, 1));
	(void)faults_free(f);
}

static void
test_own_words(void **state)
{
	struct faults *f = with(
	    "{\"fault\": \"no-such-user\", \"code\": 551, \"text\": \"{sender} {account}{x}\"}");
	struct fault got;

	assert_true(faults_find(f, &rcpt, 0, &got));
	assert_int_equal(got.code, 551);
	assert_string_equal(got.text, "a@x.test a@x.test{x}");
	(void)faults_free(f);
}

static void
test_rate(void **state)
{
	struct faults *f =
	    with("{\"fault\": \"mail-later\", \"stage\": \"rcpt\", \"rate\": \"2/min\"}");
	struct fault_event other = rcpt;

	other.account = "b@x.test";
	assert_int_equal(code_at(f, &rcpt, 1000), 0);
	assert_int_equal(code_at(f, &rcpt, 31000), 0);
	assert_int_equal(code_at(f, &rcpt, 32000), 451);
	assert_int_equal(code_at(f, &other, 32000), 0); /* each account by itself */
	assert_int_equal(code_at(f, &rcpt, 60999), 451);
	assert_int_equal(code_at(f, &rcpt, 61000), 0);
	assert_int_equal(code_at(f, &rcpt, 61000), 451);
	assert_int_equal(code_at(f, &rcpt, 91000), 0);
	(void)faults_free(f);
	f = with("{\"fault\": \"mail-later\", \"stage\": \"rcpt\", \"rate\": \"0/s\"}");
	assert_int_equal(code_at(f, &rcpt, 0), 451);
	(void)faults_free(f);
}

static void
test_greylist(void **state)
{
	struct faults *f = with("{\"fault\": \"greylist\"}");
	struct fault_event other = rcpt;
	char sender[32];

	other.client = "192.0.2.2";
	assert_int_equal(code_at(f, &rcpt, 0), 450);
	assert_int_equal(code_at(f, &other, 0), 450);
	assert_int_equal(code_at(f, &rcpt, 0), 0);
	assert_int_equal(code_at(f, &rcpt, 0), 0);
	for (unsigned i = 0; i < 3000; i++) { /* what it remembers is bounded */
		(void)snprintf(sender, sizeof(sender), "s%u@x.test", i);
		other.sender = sender;
		assert_int_equal(code_at(f, &other, 0), 450);
	}
	assert_int_equal(code_at(f, &rcpt, 0), 450);
	(void)faults_free(f);
	f = with("{\"fault\": \"greylist\", \"seconds\": 10}");
	assert_int_equal(code_at(f, &rcpt, 5000), 450);
	assert_int_equal(code_at(f, &rcpt, 14999), 450);
	assert_int_equal(code_at(f, &rcpt, 15000), 0);
	(void)faults_free(f);
}

static void
test_delays(void **state)
{
	struct faults *f = with("{\"fault\": \"slow\", \"stage\": \"rcpt\", \"seconds\": 0.5}");
	struct fault got;
	char why[256];

	assert_true(faults_find(f, &rcpt, 0, &got));
	assert_int_equal(got.action, FAULT_NONE);
	assert_int_equal(got.delay_ms, 500);
	assert_true(add(f, "{\"fault\": \"slow\", \"stage\": \"rcpt\", \"count\": 1}", why) > 0);
	assert_true(add(f, "{\"fault\": \"no-such-user\", \"count\": 1}", why) > 0);
	assert_true(faults_find(f, &rcpt, 0, &got));
	assert_int_equal(got.action, FAULT_REPLY);
	assert_int_equal(got.delay_ms, 5500);
	assert_true(faults_find(f, &rcpt, 0, &got));
	assert_int_equal(got.action, FAULT_NONE);
	(void)faults_free(f);
	f = with("{\"fault\": \"token-429\", \"seconds\": 7}");
	assert_true(faults_find(f, &(struct fault_event){.stage = FAULT_TOKEN}, 0, &got));
	assert_int_equal(got.retry_after, 7);
	(void)faults_free(f);
}

static void
test_probability(void **state)
{
	struct faults *f = with("{\"fault\": \"no-such-user\", \"probability\": 30}");

	next_random = 29;
	assert_int_equal(code_at(f, &rcpt, 0), 550);
	next_random = 30;
	assert_int_equal(code_at(f, &rcpt, 0), 0);
	next_random = 0;
	(void)faults_free(f);
	f = with("{\"fault\": \"no-such-user\", \"probability\": 0}");
	assert_int_equal(code_at(f, &rcpt, 0), 0);
	(void)faults_free(f);
}

static void
test_all_or_none(void **state)
{
	struct faults *f = faults_new(fill);
	json_t *ids = json_array(),
	       *bad = json_loads(
		   "[{\"fault\": \"spam\"}, {\"fault\": \"greylist\"}, {\"fault\": \"x\"}]", 0,
		   NULL),
	       *list;
	char why[256];

	assert_int_equal(faults_add_all(f, bad, ids, why), -EINVAL);
	assert_int_equal(json_array_size(ids), 0);
	list = faults_list(f);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	(void)json_array_remove(bad, 2);
	assert_int_equal(faults_add_all(f, bad, ids, why), 0);
	assert_int_equal(json_array_size(ids), 2);
	json_decref(bad);
	json_decref(ids);
	(void)faults_free(f);
}

static int
put(struct faults *f, const char *text)
{
	json_t *body = json_loads(text, 0, NULL);
	const char *why;
	int r = chaos_put(f, body, &why);

	json_decref(body);
	return r;
}

static void
test_chaos(void **state)
{
	struct faults *f = faults_new(fill);
	char *text;
	json_t *got;

	assert_int_equal(put(f, "{\"Recipient\": {\"ErrorCode\": 451, \"Probability\": 100}}"), 0);
	assert_int_equal(code_at(f, &rcpt, 0), 451);
	assert_int_equal(
	    put(f, "{\"Recipient\": {\"ErrorCode\": 399, \"Probability\": 100}}"), -EINVAL);
	assert_int_equal(
	    put(f, "{\"Recipient\": {\"ErrorCode\": 451, \"Probability\": 101}}"), -EINVAL);
	assert_int_equal(put(f, "{\"Recipient\": 7}"), -EINVAL);
	assert_int_equal(put(f, "[]"), -EINVAL);
	assert_int_equal(code_at(f, &rcpt, 0), 451);
	assert_int_equal(put(f, "{\"Sender\": {\"ErrorCode\": 550, \"Probability\": 5}}"), 0);
	assert_int_equal(code_at(f, &rcpt, 0), 0);
	got = chaos_get(f);
	text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text,
	    "{\"Authentication\":{\"ErrorCode\":535,\"Probability\":0},\"Recipient\":{"
	    "\"ErrorCode\":451,"
	    "\"Probability\":0},\"Sender\":{\"ErrorCode\":550,\"Probability\":5}}");
	free(text);
	json_decref(got);
	faults_clear(f);
	assert_int_equal(faults_chaos(f)[FAULT_TRIGGER_SENDER].probability, 0);
	(void)faults_free(f);
}

/* What a provider refuses with are names that there are, at stages where it can say them. */
static void
test_personalities(void **state)
{
	static const char *const personalities[] = {"standard", "microsoft365", "google"};
	const struct fault_event e = {.account = "a@x.test"};

	assert_null(personality_find("yahoo"));
	for (size_t i = 0; i < ARRAY_SIZE(personalities); i++) {
		const struct personality *p = personality_find(personalities[i]);

		assert_non_null(p);
		for (int what = 0; what < PERSONALITY_REFUSALS; what++) {
			enum fault_stage most = what >= REFUSE_CLIENT ? FAULT_TOKEN : FAULT_DOT;
			struct fault f;

			if (p->refusals[what] == NULL) {
				assert_true(what == REFUSE_SENDER ||
					    (what == REFUSE_SESSIONS && p->sessions_max == 0));
				continue;
			}
			if (!faults_named(p->refusals[what], &e, &f) || f.code < 400 ||
			    f.stage > most || (most == FAULT_TOKEN && f.stage != FAULT_TOKEN))
				fail_msg("%s: %s", p->name, p->refusals[what]);
		}
		assert_non_null(strstr(p->scopes, p->send_scope));
		assert_true(p->stored == NULL || strstr(p->stored, "%s") != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_name),
	    cmocka_unit_test(test_refused_rules),
	    cmocka_unit_test(test_who_and_count),
	    cmocka_unit_test(test_own_words),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_greylist),
	    cmocka_unit_test(test_delays),
	    cmocka_unit_test(test_probability),
	    cmocka_unit_test(test_all_or_none),
	    cmocka_unit_test(test_chaos),
	    cmocka_unit_test(test_personalities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
