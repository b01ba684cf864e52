/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-drop: the content of a drop file, or of a submit connection, through the engine, policy,
 * completion and a real spool in a folder of its own. What was answered 250 must be in the spool,
 * as often as it was answered.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/smtp/server.h"
#include "broker/conf/wire.h"
#include "broker/queue/inbound/connection.h"
#include "broker/queue/inbound/submission.h"
#include "broker/queue/inbound/usage.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the role as far as a submission sees it: no other role is there ---- */

static struct channel *to_main;

int64_t
clock_now_us(const struct clock *c)
{
	return 1795514400000000;
}

int64_t
clock_now(const struct clock *c)
{
	return clock_now_us(c) / 1000000;
}

int
clock_date(struct buf *out)
{
	return buf_append_str(out, "Mon, 23 Nov 2026 10:00:00 +0000");
}

uint64_t
clock_ms(void)
{
	return 1000000;
}

uint32_t
clock_random(void)
{
	return 4;
}

static struct queue_accounts accounts;
static struct services services;
static struct queue_settings *settings;
static const struct clock the_clock;
static struct inbound inbound;
static char folder[] = "/tmp/fuzz-drop-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	return remove(path);
}

static void
clean(void)
{
	inbound.spool = spool_close(inbound.spool);
	(void)nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static void
after_commit(void *arg)
{
}

static void
on_stuck(void *arg, int error)
{
}

static void
on_recovered(void *arg)
{
}

/* Nothing is sent, returned or shown. */
static void *
promise(void *arg, struct queue_account *a, struct spool_message *m)
{
	return NULL;
}

static void
wait_in_spool(void *arg, struct queue_account *a, const char *service, int64_t next)
{
}

static void *
list(void *arg, const struct mail_owner *owner, struct buf *out,
    void (*done)(void *done_arg, bool good), void *done_arg)
{
	return NULL;
}

static void
flush_queue(void *arg, const struct mail_owner *owner, uint32_t by)
{
}

static int
on_stored(void *arg, const struct spool_message *m)
{
	return 0;
}

static void
on_rejected(void *arg, const char *service, const char *sender, const char *recipient, int code,
    const char *enhanced, const char *words)
{
}

static const struct inbound_ops inbound_ops = {.promise = promise,
    .stored = on_stored,
    .settled = on_stored,
    .rejected = on_rejected,
    .wait = wait_in_spool,
    .list = list,
    .flush = flush_queue};

static const struct commit_ops commit_ops = {after_commit, on_stuck, on_recovered};

static void
configure(void)
{
	static const char aliases[] =
	    "root: a@b.c, c\nc: d@e.f, root\nx: y, z@b.c\ny: |/bin/y\nl: k\nk: l\n";
	struct buf report = BUF_INIT(4096);
	char *local = (char *)"localhost", *acct = (char *)"acct",
	     *senders[] = {(char *)"*@example.com", (char *)"box@example.com"};
	const struct conf c = {.hostname = (char *)"host.example",
	    .mail_name = (char *)"host.example",
	    .size_max = 1000000,
	    .local_domains = {&local, 1},
	    .user_connections = 128,
	    .user_rate = 6000,
	    .user_in_flight = 512 * 1024 * 1024,
	    .lifetime = 5 * 24 * 3600,
	    .warn_after = 4 * 3600,
	    .keep_transcripts = 14 * 24 * 3600,
	    .transcripts_size = UINT64_MAX};
	const struct conf_account a = {
	    .name = acct, .provider = (char *)"generic", .mailbox = (char *)"box@example.com"};
	const struct conf_service v = {.name = (char *)"svc",
	    .any_user = true,
	    .accounts = {&acct, 1},
	    .senders = {senders, 2}};
	const struct {
		enum conf_block block;
		const void *of;
	} blocks[] = {{CONF_BLOCK_TOP, &c}, {CONF_BLOCK_LIMITS, &c}, {CONF_BLOCK_SPOOL, &c},
	    {CONF_BLOCK_ACCOUNT, &a}, {CONF_BLOCK_SERVICE, &v}};
	struct message *m = message_new(M_CONF_BEGIN);

	message_put_u64(m, F_GENERATION, 1);
	settings = settings_new(m);
	(void)message_free(m);
	if (aliases_parse(aliases, sizeof(aliases) - 1, "aliases", &settings->aliases, &report) < 0)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		m = wire_message(blocks[i].block, blocks[i].of, ROLE_QUEUE);
		if (settings_add(settings, m) < 0)
			abort();
		(void)message_free(m);
	}
	if (settings_complete(settings) < 0)
		abort();
	if (accounts_take(&accounts, inbound.spool, clock_now(&the_clock), settings) < 0 ||
	    services_take(&services, &accounts, inbound.spool, &the_clock, settings) < 0)
		abort();
	inbound.usages = usages_new(on_recovered, NULL);
	inbound.space = space_new(inbound.spool, -1);
	if (inbound.usages == NULL || inbound.space == NULL)
		abort();
	inbound.settings = settings;
	inbound.accounts = &accounts;
	inbound.services = &services;
	inbound.clock = &the_clock;
	inbound.ops = &inbound_ops;
	inbound.diag = -1;
}

static void
on_user(void *arg, const struct user *u)
{
}

/* The caller is known from then on. */
static void
know_user(void)
{
	struct message *m = message_new(M_USER_ANSWER);

	message_put_u64(m, F_UID, 1000);
	message_put_str(m, F_USER_NAME, "alice");
	message_put_str(m, F_FULL_NAME, "Alice, A.");
	if (users_get(inbound.users, 1000, on_user, NULL) != NULL)
		abort();
	users_answer(inbound.users, m);
	(void)message_free(m);
}

static void
on_message(void *arg, struct channel *c, const struct message *m, int fd)
{
}

static void
on_closed(void *arg, struct channel *c)
{
}

static const struct channel_ops channel_ops = {.message = on_message, .closed = on_closed};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int pair[2];
	struct buf why = BUF_INIT(1000);
	char bodies[100];

	log_open("fuzz", LOG_LEVEL_ERROR);
	if (mkdtemp(folder) == NULL)
		abort();
	(void)snprintf(bodies, sizeof(bodies), "%s/bodies", folder);
	if (mkdir(bodies, 0700) < 0)
		abort();
	inbound.base = event_base_new();
	if (spool_open(
		folder, open(bodies, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &inbound.spool, &why) < 0)
		abort();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	to_main = channel_new(inbound.base, pair[0], ROLE_QUEUE, ROLE_MAIN, &channel_ops, NULL);
	if (to_main == NULL)
		abort();
	inbound.users = users_new(to_main);
	inbound.log = log_limit_new(inbound.base);
	if (inbound.base == NULL || inbound.users == NULL || inbound.log == NULL)
		abort();
	inbound.commit = commit_new(inbound.base, inbound.spool, &commit_ops, NULL);
	if (inbound.commit == NULL)
		abort();
	configure();
	know_user();
	(void)atexit(clean);
	return 0;
}

static void
on_proceed(void *arg)
{
}

static const struct submission_ops ops = {on_proceed};

/* Reads the replies that are there: how many of them say that a message is stored. */
static size_t
read_replies(struct smtp_server *e)
{
	static const char stored[] = "250 2.0.0 queued as ";
	size_t count = 0;

	while (smtp_server_output(e)->len > 0) {
		const char *text = buf_str(smtp_server_output(e));

		for (const char *at = text; (at = strstr(at, stored)) != NULL; at++)
			count += at == text || at[-1] == '\n';
		smtp_server_wrote(e, smtp_server_output(e)->len);
	}
	return count;
}

/* Feeds everything, committing whenever the session waits for it: how many messages were answered 250. */
static size_t
feed(struct submission *s, const char *bytes, size_t len, size_t piece)
{
	struct smtp_server *e = submission_engine(s);
	size_t count = 0;
	int patience = 1000;

	for (size_t at = 0; (at < len && !smtp_server_closing(e)) || smtp_server_waiting(e);) {
		size_t n = len - at < piece ? len - at : piece;

		count += read_replies(e);
		if (smtp_server_waiting(e)) {
			(void)commit_flush(inbound.commit);
			(void)event_base_loop(inbound.base, EVLOOP_NONBLOCK);
			if (at == len && --patience == 0)
				break;
			continue;
		}
		if (smtp_server_input(e, bytes + at, n) < 0)
			break;
		at += n;
	}
	return count + read_replies(e);
}

enum { STORED_MAX = 4096 };

struct stored {
	uint64_t after, ids[STORED_MAX];
	size_t count;
};

static int
collect(void *arg, const struct spool_row *g)
{
	struct stored *s = arg;

	s->ids[s->count++] = g->id;
	return s->count == STORED_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct caller caller = {.uid = 1000};
	struct submission *s;
	static struct stored stored;
	size_t answered;

	if (size < 1)
		return 0;
	s = submission_new(&inbound, &caller, &ops, NULL);
	if (s == NULL)
		abort();
	answered = feed(s, (const char *)data + 1, size - 1, (size_t)data[0] * 16 + 1);
	(void)commit_flush(inbound.commit);
	stored.after = stored.count = 0;
	if (spool_scan(inbound.spool, &stored.after, STORED_MAX, collect, &stored) != 0 ||
	    stored.count != answered)
		abort();
	(void)submission_free(s);
	(void)commit_flush(inbound.commit);
	if (spool_begin(inbound.spool) < 0)
		abort();
	for (size_t i = 0; i < stored.count; i++)
		if (spool_delete(inbound.spool, stored.ids[i]) < 0)
			abort();
	if (spool_commit(inbound.spool) < 0)
		abort();
	for (size_t i = 0; i < stored.count; i++)
		spool_body_remove(inbound.spool, stored.ids[i]);
	return 0;
}
