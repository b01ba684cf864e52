/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * Events: what their JSON says and hides, who takes which, what becomes of a message as events, and the log of them in
 * the spool: positions, the outbox, and what is removed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/queue/notify/event.h"
#include "broker/queue/notify/filter.h"
#include "broker/queue/notify/message-event.h"

/* ---- JSON ---- */

static char json_text[4096];

static const char *
json_of(const struct spool_event *e, bool addresses)
{
	CLEANUP_BUF struct buf out = BUF_INIT(sizeof(json_text));

	assert_int_equal(event_json(e, "host.example", addresses, &out), 0);
	(void)snprintf(json_text, sizeof(json_text), "%s", buf_str(&out));
	return json_text;
}

static void
test_json(void **state)
{
	const struct spool_event e = {.id = 1796095689059188,
	    .at = 1796095689,
	    .kind = "bounced",
	    .message = 0x3F2A,
	    .account = "a",
	    .of_message = true,
	    .service = "all",
	    .sender = "jane@example.com",
	    .recipients = "\"x y\"@example.net\nbob+tag@example.org",
	    .recipient_count = 2,
	    .message_id = "<1@example.com>",
	    .attempt = 2,
	    .code = 550,
	    .enhanced = "5.1.1",
	    .reply = "550 5.1.1 <bob+tag@example.org>: unknown, ask to=root@example.org",
	    .verdict = "no-such-user",
	    .text = "bob+tag@example.org is unknown.",
	    .next = "Correct it."};

	assert_string_equal(json_of(&e, true),
	    "{\"id\":\"1796095689059188\",\"time\":1796095689,\"host\":\"host.example\",\"kind\":"
	    "\"bounced\",\"account\":\"a\",\"text\":\"bob+tag@example.org is unknown.\",\"next\":"
	    "\"Correct it.\",\"queue_id\":\"3F2A\",\"service\":\"all\",\"sender\":"
	    "\"jane@example.com\",\"recipients\":[\"\\\"x y\\\"@example.net\","
	    "\"bob+tag@example.org\"],\"recipient_count\":2,\"message_id\":\"<1@example.com>\","
	    "\"attempt\":2,\"code\":550,\"enhanced\":\"5.1.1\",\"reply\":\"550 5.1.1 "
	    "<bob+tag@example.org>: unknown, ask to=root@example.org\",\"verdict\":"
	    "\"no-such-user\"}\n");
	(void)json_of(&e, false);
	assert_null(strstr(json_text, "jane"));
	assert_null(strstr(json_text, "bob"));
	assert_null(strstr(json_text, "tag"));
	assert_null(strstr(json_text, "x y"));
	assert_null(strstr(json_text, "root"));
	assert_non_null(strstr(json_text, "\"sender\":\"*@example.com\""));
	assert_non_null(strstr(json_text, "\"recipients\":[\"*@example.net\",\"*@example.org\"]"));
	assert_non_null(
	    strstr(json_text, "550 5.1.1 <*@example.org>: unknown, ask to=*@example.org"));
	assert_non_null(strstr(json_text, "\"text\":\"*@example.org is unknown.\""));
}

static void
test_json_null_sender(void **state)
{
	const struct spool_event e = {
	    .id = 1, .at = 2, .kind = "accepted", .of_message = true, .sender = ""};

	assert_string_equal(json_of(&e, false),
	    "{\"id\":\"1\",\"time\":2,\"host\":\"host.example\",\"kind\":\"accepted\",\"sender\":"
	    "\"\"}\n");
}

/* ---- filters ---- */

#define LIST(...)                                                         \
	{                                                                 \
		.items = (char *[]){__VA_ARGS__},                         \
		.count = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *) \
	}

static void
test_filters(void **state)
{
	const struct conf_webhook all = {.events = LIST("all")},
				  bounces = {.events = LIST("bounced"), .accounts = LIST("a")},
				  shop = {.events = LIST("messages", "disk-full"),
				      .services = LIST("shop")},
				  plain = {0};
	const struct spool_event
	    disk = {.kind = "disk-full"},
	    refused = {.kind = "refused", .account = "b"},
	    bounced_a = {.kind = "bounced", .account = "a", .service = "shop", .of_message = true},
	    bounced_b = {.kind = "bounced", .account = "b", .service = "all", .of_message = true},
	    rejected = {.kind = "rejected", .of_message = true};
	const struct {
		const struct conf_webhook *webhook;
		const struct spool_event *event;
		bool takes;
	} rows[] = {
	    {&all, &disk, true},
	    {&all, &bounced_b, true},
	    {&all, &rejected, true},
	    {&plain, &disk, true},
	    {&plain, &refused, true},
	    {&plain, &bounced_a, false},
	    {&bounces, &bounced_a, true},
	    {&bounces, &bounced_b, false},
	    {&bounces, &disk, false},
	    {&shop, &bounced_a, true},
	    {&shop, &bounced_b, false},
	    {&shop, &rejected, false},
	    {&shop, &disk, true},
	    {&shop, &refused, false},
	};
	struct conf c = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (filter_webhook(&c, rows[i].webhook, rows[i].event) != rows[i].takes)
			fail_msg("row %zu", i);
	assert_true(filter_keeps(&c, &disk));
	assert_false(filter_keeps(&c, &bounced_a)); /* nobody wants it */
	c.notify.record = (struct conf_strings)LIST("bounced");
	assert_true(filter_keeps(&c, &bounced_a));
	assert_false(filter_keeps(&c, &rejected));
	c.notify.record = (struct conf_strings){0};
	c.notify.events = (struct conf_strings)LIST("bounced");
	assert_false(filter_keeps(&c, &bounced_a)); /* there is no command */
	c.notify.has_command = true;
	assert_true(filter_keeps(&c, &bounced_a));
	assert_true(filter_command(&c, &bounced_a));
	assert_false(filter_mail(&c, &bounced_a));           /* never by mail */
	assert_true(filter_webhook(&c, &plain, &bounced_a)); /* notify's own list */
}

/* ---- the log ---- */

struct place {
	char dir[64];
	int bodies;
	struct spool *spool;
};

static void
reopen(struct place *p)
{
	CLEANUP_BUF struct buf why = BUF_INIT(1024);

	p->spool = spool_close(p->spool);
	assert_int_equal(spool_open(p->dir, p->bodies, &p->spool, &why), 0);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char bodies[80];

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/frank-events.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(bodies, sizeof(bodies), "%s/bodies", p->dir);
	assert_int_equal(mkdir(bodies, 0700), 0);
	p->bodies = open(bodies, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	reopen(p);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char path[80];

	p->spool = spool_close(p->spool);
	(void)close(p->bodies);
	for (const char *const *n = (const char *const[]){"spool.db", "spool.db-wal", NULL};
	     *n != NULL; n++) {
		(void)snprintf(path, sizeof(path), "%s/%s", p->dir, *n);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/bodies", p->dir);
	(void)rmdir(path);
	(void)rmdir(p->dir);
	free(p);
	return 0;
}

static uint64_t
publish(struct place *p, int64_t at, const char *kind, bool of_message)
{
	struct spool_event e = {.at = at,
	    .kind = kind,
	    .account = "a",
	    .of_message = of_message,
	    .service = of_message ? "all" : NULL};

	assert_int_equal(spool_publish_event(p->spool, at * 1000000, &e), 0);
	return e.id;
}

/* "accepted failed ": the kinds that were visited, in order; and that ids rise. */
struct visited {
	char kinds[1024];
	uint64_t last;
	unsigned count;
};

static int
visit(void *arg, const struct spool_event *e)
{
	struct visited *v = arg;

	assert_true(e->id > v->last);
	v->last = e->id;
	v->count++;
	(void)snprintf(
	    v->kinds + strlen(v->kinds), sizeof(v->kinds) - strlen(v->kinds), "%s ", e->kind);
	return 0;
}

static const char *
kinds(struct place *p, const struct spool_event_filter *filter, uint64_t after)
{
	static struct visited v;

	v = (struct visited){0};
	assert_int_equal(spool_each_event(p->spool, filter, after, 100, visit, &v), 0);
	return v.kinds;
}

static void
test_log(void **state)
{
	struct place *p = *state;
	const struct spool_event_filter all = {0}, messages = {.no_accounts = true},
					conditions = {.no_messages = true},
					some = {.kinds = " failed  disk-full "},
					of_all = {.service = "all"}, of_b = {.account = "b"};
	uint64_t first, last;

	assert_int_equal(spool_begin(p->spool), 0);
	first = publish(p, 1000, "accepted", true);
	(void)publish(p, 1000, "disk-full", false); /* at the same moment: behind it all the same */
	assert_int_equal(
	    spool_add_event(p->spool, 1000, "active", 0, "a", NULL), 0); /* of nobody's */
	(void)publish(p, 900, "failed", true); /* the clock went back: still behind it */
	assert_int_equal(spool_commit(p->spool), 0);
	assert_string_equal(kinds(p, &all, 0), "accepted disk-full failed ");
	assert_string_equal(kinds(p, &all, first), "disk-full failed ");
	assert_string_equal(kinds(p, &messages, 0), "accepted failed ");
	assert_string_equal(kinds(p, &conditions, 0), "disk-full ");
	assert_string_equal(kinds(p, &some, 0), "disk-full failed ");
	assert_string_equal(kinds(p, &of_all, 0), "accepted failed ");
	assert_string_equal(kinds(p, &of_b, 0), "");
	assert_int_equal(spool_event_before_last(p->spool, &messages, 1, &last), 0);
	assert_true(last == first);
	/* ids go on behind those on disk, whatever the clock says */
	last = spool_last_id(p->spool);
	reopen(p);
	assert_true(spool_last_id(p->spool) == last);
	assert_int_equal(spool_message_events(p->spool), 2);
	assert_int_equal(spool_begin(p->spool), 0);
	assert_true(publish(p, 1, "delivered", true) > last);
	spool_rollback(p->spool);
	assert_int_equal(spool_message_events(p->spool), 2);
}

static int
see_position(void *arg, const char *receiver, uint64_t position)
{
	assert_string_equal(receiver, "webhook x");
	*(uint64_t *)arg = position;
	return 0;
}

static int
see_rest(void *arg, const struct spool_outbox *o)
{
	struct visited *v = arg;

	assert_int_equal(o->tries, 2);
	assert_int_equal(o->next, 77);
	return visit(v, &o->event);
}

static void
test_receivers(void **state)
{
	struct place *p = *state;
	uint64_t position = 0, first, second;
	struct visited v = {0};

	assert_int_equal(spool_begin(p->spool), 0);
	first = publish(p, 1000, "accepted", true);
	assert_int_equal(spool_add_receiver(p->spool, "webhook x"), 1);
	second = publish(p, 1000, "refused", false);
	assert_int_equal(spool_add_receiver(p->spool, "webhook x"), 0);
	assert_int_equal(spool_each_receiver(p->spool, see_position, &position), 0);
	assert_true(position >= first && position < second); /* it begins behind what was */
	assert_int_equal(spool_move_receiver(p->spool, "webhook x", second), 0);
	assert_int_equal(spool_add_outbox(p->spool, second, "webhook x", 2, 77), 0);
	assert_int_equal(spool_add_outbox(p->spool, first, "webhook x", 2, 77), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	reopen(p);
	assert_int_equal(spool_each_receiver(p->spool, see_position, &position), 0);
	assert_true(position == second);
	assert_int_equal(spool_each_outbox(p->spool, "webhook x", see_rest, &v), 0);
	assert_string_equal(v.kinds, "accepted refused ");
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_delete_receiver(p->spool, "webhook x"), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	v = (struct visited){0};
	assert_int_equal(spool_each_outbox(p->spool, "webhook x", see_rest, &v), 0);
	assert_int_equal(v.count, 0);
}

static unsigned
trim(struct place *p, int64_t before, uint64_t most, struct visited *v)
{
	unsigned n;

	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(spool_trim_events(p->spool, before, most, visit, v, &n), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	return n;
}

static void
test_trim(void **state)
{
	struct place *p = *state;
	const struct spool_event_filter all = {0};
	struct visited gone = {0};
	uint64_t oldest;

	assert_int_equal(spool_begin(p->spool), 0);
	oldest = publish(p, 1000, "accepted", true);
	(void)publish(p, 1001, "refused", false); /* of an account: stays */
	(void)publish(p, 1002, "delivered", true);
	(void)publish(p, 1003, "failed", true);
	assert_int_equal(spool_add_outbox(p->spool, oldest, "webhook x", 2, 77), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(trim(p, 0, 3, &gone), 0);
	assert_int_equal(trim(p, 0, 2, &gone), 1); /* too many */
	assert_string_equal(gone.kinds, "accepted ");
	assert_string_equal(kinds(p, &all, 0), "refused delivered failed ");
	gone = (struct visited){0};
	assert_int_equal(spool_each_outbox(p->spool, "webhook x", see_rest, &gone), 0);
	assert_int_equal(gone.count, 0);              /* nothing of it is left */
	assert_int_equal(trim(p, 1003, 2, &gone), 1); /* too old */
	assert_string_equal(gone.kinds, "delivered ");
	assert_string_equal(kinds(p, &all, 0), "refused failed ");
	assert_int_equal(spool_message_events(p->spool), 1);
}

/* ---- what becomes of a message ---- */

static struct spool_recipient
recipient(const char *address, enum spool_state state, int code, const char *text)
{
	return (struct spool_recipient){.address = strdup(address),
	    .state = state,
	    .attempts = 1,
	    .reply = {.code = code, .text = text == NULL ? NULL : strdup(text)}};
}

static int
see_outcome(void *arg, const struct spool_event *e)
{
	struct visited *v = arg;

	(void)snprintf(v->kinds + strlen(v->kinds), sizeof(v->kinds) - strlen(v->kinds),
	    "%s %u %zu %s;", e->kind, e->code, e->recipient_count, e->recipients);
	return 0;
}

static void
test_outcomes(void **state)
{
	struct place *p = *state;
	struct conf conf = {.notify = {.record = LIST("delivered", "bounced", "in-doubt")}};
	struct queue_settings settings = {.conf = &conf};
	struct queue_accounts accounts = {0};
	struct clock clock;
	struct message_events x = {
	    .spool = p->spool, .clock = &clock, .accounts = &accounts, .settings = &settings};
	struct spool_message m = {.id = 1, .count = 6};
	const size_t index[] = {0, 1, 2, 3, 4, 5};
	const struct spool_event_filter all = {0};
	struct visited v = {0};

	clock_start(&clock);
	m.account = strdup("a");
	m.service = strdup("all");
	m.sender = strdup("s@example.com");
	m.recipients = calloc(6, sizeof(*m.recipients));
	m.recipients[0] = recipient("a@x", SPOOL_DELIVERED, 250, "Ok");
	m.recipients[1] = recipient("b@x", SPOOL_BOUNCED, 550, "No b");
	m.recipients[2] = recipient("c@x", SPOOL_DELIVERED, 250, "Ok");
	m.recipients[3] = recipient("d@x", SPOOL_BOUNCED, 550, "No d");   /* another reply */
	m.recipients[4] = recipient("e@x", SPOOL_DEFERRED, 451, "Later"); /* that nobody wants */
	m.recipients[5] = recipient("f@x", SPOOL_DEFERRED, 0, NULL);
	m.recipients[5].reply.in_doubt = true;
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(message_event_outcome(&x, &m, index, 6, true, false), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_true(x.written);
	assert_int_equal(spool_each_event(p->spool, &all, 0, 100, see_outcome, &v), 0);
	assert_string_equal(v.kinds,
	    "delivered 250 2 a@x\nc@x;bounced 550 1 b@x;bounced 550 1 d@x;in-doubt 0 1 f@x;");
	/* notification mail makes none */
	free(m.service);
	m.service = strdup(event_service);
	v = (struct visited){0};
	assert_int_equal(spool_begin(p->spool), 0);
	assert_int_equal(message_event_outcome(&x, &m, index, 6, true, false), 0);
	assert_int_equal(spool_commit(p->spool), 0);
	assert_int_equal(spool_message_events(p->spool), 4);
	spool_message_clear(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_json_null_sender),
	    cmocka_unit_test(test_filters),
	    cmocka_unit_test_setup_teardown(test_log, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_receivers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_trim, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_outcomes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
