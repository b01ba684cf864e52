/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * rotation.c: dies at every file operation of a rotating refresh, and looks at what is left.
 *
 * A child signs in and refreshes four times against an authorization server that is as strict as one can be: a refresh token is
 * good once. At the Nth file operation it ends: as a process that is killed, killed in the middle of a write, or as a
 * machine that loses its power, with which everything goes that was not synced, or half of it stays. The server lives in memory
 * shared with the parent, which then opens the store and asserts:
 *
 *   - the record can be read;
 *   - an access token that somebody was given has its refresh token on disk;
 *   - either the record holds the refresh token that the server takes next, or it holds the one before with an intent:
 *     then the server's answer never became durable, and the text that a person gets says so;
 *   - a refresh from what is left works in the first case, and in the second asks for the person.
 *
 * Then N + 1, until the child gets through. Prints how often which was the case.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/ipc/message.h"
#include "broker/keeper/accounts/account.h"
#include "tests/crash/disk.h"

enum { ROUNDS = 4, TOKEN_LONGEST = 16 * 1024 };

/* What outlives the child. */
struct server {
	unsigned issued; /* the refresh token that is good: number `issued`; 0: none yet */
	unsigned given;  /* the highest number whose access token somebody was given */
	unsigned asked;  /* how often it was asked to refresh */
	size_t length;   /* of its refresh tokens */
	size_t growth;   /* by how much each is longer than the one before */
};

static struct server *server;

/* ---- the server ---- */

/* "refresh-3" filled up to the length of its round. */
static struct secret *
refresh_token(unsigned number)
{
	size_t len = server->length + number * server->growth;
	struct secret *s = secret_new_zero(len);
	char name[32];

	memset(secret_fill(s), '.', len);
	(void)snprintf(name, sizeof(name), "refresh-%u", number);
	memcpy(secret_fill(s), name, strlen(name));
	return s;
}

static unsigned
number_of(const struct secret *s)
{
	return s == NULL ? 0
			 : (unsigned)strtoul(
			       (const char *)secret_bytes(s) + strlen("refresh-"), NULL, 10);
}

/* ---- a keeper with one account ---- */

struct keeper_of_one {
	struct machine_now now;
	struct account *account;
	uint64_t request; /* to be answered */
	unsigned granted, refused;
};

static void
on_ask(void *arg, struct account *a, uint64_t request)
{
	struct keeper_of_one *k = arg;

	k->request = request;
}

static void
on_decide(void *arg, struct account *a, uint64_t waiter, bool granted)
{
	struct keeper_of_one *k = arg;
	CLEANUP_SECRET struct secret *s = machine_refresh_token(a->machine);

	if (!granted) {
		k->refused++;
		return;
	}
	k->granted++;
	server->given = number_of(s);
}

static void
on_changed(void *arg, struct account *a)
{
}

static struct machine_now
on_now(void *arg)
{
	struct keeper_of_one *k = arg;

	return k->now;
}

static uint32_t
on_random(void *arg)
{
	return UINT32_MAX / 3;
}

static int
some_random(void *arg, void *to, size_t len)
{
	memset(to, 9, len);
	return 0;
}

static const struct account_ops *
ops_of(struct keeper_of_one *k)
{
	static struct account_ops ops;

	ops = (struct account_ops){.ask = on_ask,
	    .decide = on_decide,
	    .changed = on_changed,
	    .now = on_now,
	    .random = on_random,
	    .arg = k};
	return &ops;
}

static struct account_conf *
conf_new(struct vault *v)
{
	struct conf_account a = {.name = strdup("billing"),
	    .grant = GRANT_AUTHORIZATION_CODE,
	    .mailbox = strdup("billing@example.com"),
	    .client_id = strdup("client"),
	    .token_endpoint = strdup("https://as.example/token"),
	    .verify_identity = true};

	return account_conf_new(v, &a);
}

static struct account *
account_start(struct keeper_of_one *k, struct vault *v, struct store *s)
{
	*k = (struct keeper_of_one){.now = {.boot = 100000000, .wall = 1767225600}};
	k->account = account_new(conf_new(v), v, ops_of(k));
	CHECK(account_open(k->account, s) == 0, "memory");
	account_run(k->account);
	return k->account;
}

static struct store *
store_start(const struct file_ops *ops, int dir)
{
	CLEANUP_SECRET struct secret *key = secret_new("0123456789abcdef0123456789abcdef", 32);
	enum store_trouble trouble;
	struct store *s = NULL;
	bool made;
	int r = store_open(ops, dir, KEYSLOT_KEY_FILE, key, 0, &s, &made, &trouble);

	CHECK(r == 0, "%s: %s", store_trouble_text(trouble), strerror(-r));
	return s;
}

/* The server takes the refresh token that was sent, if it is the good one, and the answer comes back. */
static void
answer(struct keeper_of_one *k)
{
	CLEANUP_SECRET struct secret *sent = machine_refresh_token(k->account->machine),
				     *fresh = NULL;
	CLEANUP_SECRET struct secret *access = secret_new("access", 6);
	struct machine_answer a = {
	    .facts.status = 200, .access_token = access, .has_life = true, .life = 60};
	uint64_t request = k->request;

	k->request = 0;
	server->asked++;
	if (number_of(sent) == server->issued) {
		server->issued++;
		fresh = refresh_token(server->issued);
		a.refresh_token = fresh;
	} else {
		a = (struct machine_answer){.facts = {.status = 400, .error = "invalid_grant"}};
	}
	CHECK(machine_answer(k->account->machine, k->now, request, &a),
	    "nobody waits for the answer");
	account_run(k->account);
}

/* Somebody wants a token, and gets one. */
static void
want(struct keeper_of_one *k)
{
	CHECK(machine_want(k->account->machine, k->now, 1, 0, 0) == 0, "memory");
	account_run(k->account);
	if (k->request != 0)
		answer(k);
}

/* ---- the child ---- */

static void
child(int dir, enum death death, unsigned long at)
{
	struct file_ops ops = disk_ops(death);
	struct store *s = store_start(&ops, dir);
	struct vault *v = vault_new(some_random, NULL);
	CLEANUP_SECRET struct secret *access = secret_new("access", 6), *first = NULL;
	struct machine_answer a = {.access_token = access, .has_life = true, .life = 60};
	struct keeper_of_one k;

	(void)account_start(&k, v, s);
	disk_arm(at);
	server->issued = 1;
	first = refresh_token(1);
	a.refresh_token = first;
	CHECK(account_adopt(
		  k.account, &a, "billing@example.com", NULL, "https://as.example/token") == 0,
	    "signing in");
	for (unsigned i = 0; i < ROUNDS; i++) {
		want(&k);
		k.now.boot += 120 * 1000;
		k.now.wall += 120;
	}
	CHECK(
	    k.granted == ROUNDS && k.refused == 0, "%u granted, %u refused", k.granted, k.refused);
	_exit(0);
}

/* ---- the parent ---- */

struct tally {
	unsigned deaths, before_sign_in, current, explained;
};

/* What the child left, seen by the next process. */
static void
look(int dir, unsigned long at, struct tally *t)
{
	struct store *s = store_start(&file_ops_system, dir);
	struct vault *v = vault_new(some_random, NULL);
	struct keeper_of_one k;
	struct account *a = account_start(&k, v, s);
	CLEANUP_SECRET struct secret *stored = machine_refresh_token(a->machine);
	unsigned number = number_of(stored), issued = server->issued;

	CHECK(a->status == FILE_GOOD || a->status == FILE_TORN || a->status == FILE_ABSENT ||
		  (a->status == FILE_DAMAGED && number > 0),
	    "operation %lu: %s", at, store_file_status_name(a->status));
	CHECK(number >= server->given, "operation %lu: token %u was given out, and %u is on disk",
	    at, server->given, number);
	if (number == 0) {
		CHECK(issued == 1 && server->given == 0,
		    "operation %lu: %u was issued and nothing is there", at, issued);
		t->before_sign_in++;
	} else {
		CHECK(number == issued || number + 1 == issued,
		    "operation %lu: %u is stored, %u issued", at, number, issued);
		k.now.boot += 3600 * 1000;
		k.now.wall += 3600;
		want(&k);
		if (number == issued) {
			CHECK(k.granted == 1,
			    "operation %lu: the refresh token on disk is good, and nothing is "
			    "granted",
			    at);
			t->current++;
		} else {
			CHECK(machine_state(a->machine) == MACHINE_NEEDS_AUTHORIZATION,
			    "operation %lu", at);
			CHECK(strstr(buf_str(&machine_report(a->machine)->text),
				  "A refresh was interrupted before") != NULL,
			    "operation %lu: %s", at, buf_str(&machine_report(a->machine)->text));
			t->explained++;
		}
	}
	(void)account_free(a);
	(void)vault_free(v);
	(void)store_free(s);
}

static void
die_everywhere(int dir, enum death death, size_t length, size_t growth)
{
	struct tally t = {0};

	for (unsigned long at = 1;; at++) {
		int status;
		pid_t pid;

		disk_empty(dir);
		(void)store_free(store_start(&file_ops_system, dir));
		*server = (struct server){.length = length, .growth = growth};
		pid = fork();
		if (pid == 0)
			child(dir, death, at);
		CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
		CHECK(WIFEXITED(status), "operation %lu: the child ended by signal %d", at,
		    WTERMSIG(status));
		if (WEXITSTATUS(status) == 0)
			break;
		CHECK(WEXITSTATUS(status) == FAULTY_STATUS, "operation %lu: status %d", at,
		    WEXITSTATUS(status));
		t.deaths++;
		look(dir, at, &t);
	}
	printf("%-26s tokens of %5zu octets: died %3u times: %2u before the sign-in was stored, "
	       "%3u with the good token, %2u "
	       "explained by the intent\n",
	    death_names[death], length + growth, t.deaths, t.before_sign_in, t.current,
	    t.explained);
	CHECK(t.deaths > 20 && t.current > 10 && t.explained >= ROUNDS,
	    "the test did not do what it is for");
}

int
main(void)
{
	char path[128];
	int dir;

	log_open("crash-rotation", LOG_LEVEL_ERROR);
	(void)snprintf(path, sizeof(path), "%s/frank-crash-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	CHECK(mkdtemp(path) != NULL, "%s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	server =
	    mmap(NULL, sizeof(*server), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(dir >= 0 && server != MAP_FAILED, "%s", path);
	for (unsigned death = 0; death < DEATHS; death++) {
		die_everywhere(dir, (enum death)death, 40, 0);
		/* Here the record outgrows its slots on the way. */
		die_everywhere(dir, (enum death)death, 1000, 3000);
	}
	disk_empty(dir);
	close(dir);
	(void)rmdir(path);
	return 0;
}
