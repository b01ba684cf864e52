/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * invitation.c: an address that is sent to the mailbox's owner, who signs in on a machine of their
 * own and sends back where the browser ended. see attempt.h.
 *
 *     AUTHORIZE_INVITE ─▶ AUTHORIZE_URL        (hours, restarts)        AUTHORIZE_FINISH ─▶ attempt.c
 *
 * Between the two nothing waits in memory: what the answer must fit to (state, PKCE verifier, nonce,
 * endpoints) lies sealed in the account's record, for INVITATION_LIFE. One invitation an account; a
 * new one takes the place of the one before. It is used up by the first answer that bears its state,
 * and that is on disk before the code goes to the server.
 *
 * Packed: lines in the order of `lines` below; an empty one is a value that is not there.
 */
#include "broker/keeper/sign-in/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "broker/keeper/sign-in/callback.h"

enum { INVITATION_LIFE = 7 * 24 * 3600 /* seconds */, PACKED_MAX = 12 * 1024, URL_MAX = 16 * 1024 };

enum line {
	VERSION,
	UNTIL,
	STATE,
	VERIFIER,
	NONCE,
	REDIRECT_URI,
	TOKEN_ENDPOINT,
	USERINFO_ENDPOINT,
	ISSUER,
	ISS_REQUIRED,
	CLIENT_ID,
	LOGIN,
	SERVER, /* as the configuration named it: account_conf_server */
	LINES
};

static const char version[] = "1";

/* ---- packing ---- */

static void
put_line(struct buf *b, const void *text, size_t len)
{
	if (text != NULL)
		(void)buf_append(b, text, len);
	(void)buf_append_char(b, '\n');
}

static void
put_str(struct buf *b, const char *text)
{
	put_line(b, text, text == NULL ? 0 : strlen(text));
}

static void
put_sealed(struct buf *b, const struct vault *v, const struct sealed *from)
{
	CLEANUP_SECRET struct secret *s = vault_open(v, from);

	if (s == NULL)
		b->failed = true;
	else
		put_line(b, secret_bytes(s), secret_len(s));
}

static struct secret *
pack(const struct attempt *t, int64_t until)
{
	CLEANUP_BUF struct buf b = BUF_INIT_WIPE(PACKED_MAX);
	const struct vault *v = t->keeper->vault;

	put_str(&b, version);
	(void)buf_printf(&b, "%lld\n", (long long)until);
	put_sealed(&b, v, t->state);
	put_sealed(&b, v, t->verifier);
	put_sealed(&b, v, t->nonce);
	put_str(&b, t->redirect_uri);
	put_str(&b, t->token_endpoint);
	put_str(&b, t->userinfo_endpoint);
	put_str(&b, t->issuer);
	put_str(&b, t->iss_required ? "1" : "");
	put_str(&b, t->account->conf->client_id);
	put_str(&b, account_conf_login(t->account->conf));
	put_str(&b, account_conf_server(t->account->conf));
	return b.failed ? NULL : secret_new(b.data, b.len);
}

struct piece {
	const char *text;
	size_t len;
};

/* Cuts the lines; false where it is not ours. */
static bool
cut(const struct secret *packed, struct piece ret[LINES])
{
	const char *at = (const char *)secret_bytes(packed), *end = at + secret_len(packed);

	for (int i = 0; i < LINES; i++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (stop == NULL)
			return false;
		ret[i] = (struct piece){at, (size_t)(stop - at)};
		at = stop + 1;
	}
	return ret[VERSION].len == sizeof(version) - 1 &&
	       memcmp(ret[VERSION].text, version, ret[VERSION].len) == 0;
}

static bool
piece_is(const struct piece *p, const char *text)
{
	return strlen(text) == p->len && memcmp(text, p->text, p->len) == 0;
}

static int64_t
piece_number(const struct piece *p)
{
	int64_t n = 0;

	for (size_t i = 0; i < p->len && i < 18; i++)
		n = n * 10 + (p->text[i] - '0');
	return n;
}

static int
take_text(const struct piece *p, char **to)
{
	free(*to);
	*to = p->len == 0 ? NULL : strndup(p->text, p->len);
	return p->len > 0 && *to == NULL ? -ENOMEM : 0;
}

static int
take_secret(struct vault *v, const struct piece *p, struct sealed **to)
{
	CLEANUP_SECRET struct secret *s = secret_new(p->text, p->len);

	sealed_replace(to, vault_seal(v, s));
	return *to == NULL ? -ENOMEM : 0;
}

static int
unpack(struct attempt *t, const struct piece lines[LINES])
{
	struct vault *v = t->keeper->vault;

	t->iss_required = lines[ISS_REQUIRED].len > 0;
	if (take_secret(v, &lines[STATE], &t->state) < 0 ||
	    take_secret(v, &lines[VERIFIER], &t->verifier) < 0 ||
	    take_secret(v, &lines[NONCE], &t->nonce) < 0 ||
	    take_text(&lines[REDIRECT_URI], &t->redirect_uri) < 0 ||
	    take_text(&lines[TOKEN_ENDPOINT], &t->token_endpoint) < 0 ||
	    take_text(&lines[USERINFO_ENDPOINT], &t->userinfo_endpoint) < 0 ||
	    take_text(&lines[ISSUER], &t->issuer) < 0)
		return -ENOMEM;
	return 0;
}

/* ---- inviting ---- */

static void
fail_write(struct attempt *t, int error)
{
	struct buf text CLEANUP_BUF = BUF_INIT(SIGN_IN_TEXT_MAX);

	(void)buf_printf(&text, "The token store cannot be written: %s.", strerror(-error));
	attempt_finish(
	    t, EX_IOERR, buf_str(&text), "Nothing has changed. Mend the disk and try again.", NULL);
}

static void
invite(struct attempt *t)
{
	struct buf url CLEANUP_BUF = BUF_INIT_WIPE(URL_MAX);
	int64_t until = keeper_now(t->keeper).wall + INVITATION_LIFE;
	CLEANUP_SECRET struct secret *packed = NULL;
	struct client *c = t->client;
	struct message *m;
	int r;

	if (!attempt_make_url(t, &url))
		return;
	packed = pack(t, until);
	if (packed == NULL) {
		attempt_fail_memory(t);
		return;
	}
	r = account_set_invitation(t->account, packed);
	if (r < 0) {
		fail_write(t, r);
		return;
	}
	m = message_new(M_AUTHORIZE_URL);
	message_put_bytes(m, F_URL, buf_str(&url), url.len);
	message_put_bytes(m, F_ATTEMPT, t->id, sizeof(t->id));
	message_put_u64(m, F_UNTIL, (uint64_t)until);
	attempt_free(t); /* it lives on in the record */
	if (c == NULL) {
		(void)message_free(m);
		return;
	}
	(void)client_send(c, m);
	client_release(c);
}

static void
log_step(const struct client *c, const struct account *a, const char *what)
{
	char uid[24];

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)client_uid(c));
	log_line(LOG_LEVEL_NOTICE, what, LOG_PAIRS({LOG_ACCOUNT, a->conf->name}, {LOG_UID, uid}));
}

void
authorize_invite(struct keeper *k, struct client *c, const struct message *m)
{
	const char *uri = message_str(m, F_REDIRECT_URI);
	struct account *a = attempt_account(k, c, m);
	struct attempt *t;

	if (a == NULL)
		return;
	if (!redirect_is_fit(uri)) {
		client_done(c, EX_USAGE,
		    "The redirect address is not one that a browser could come back to.", NULL,
		    NULL);
		return;
	}
	t = attempt_new(k, c, a, uri);
	if (t == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	log_step(c, a, "Somebody is invited to sign in.");
	t->discovered = invite;
	if (t->authorization_endpoint == NULL || t->token_endpoint == NULL)
		attempt_discover(t);
	else
		invite(t);
}

/* ---- the answer ---- */

bool
invitation_use_up(struct attempt *t)
{
	int r = account_set_invitation(t->account, NULL);

	if (r == 0)
		return true;
	fail_write(t, r);
	return false;
}

/* Why the invitation is good for nothing, or NULL. The present client's secret goes to the endpoint
 * that was written down then, so the server must be the same, too. */
static const char *
find_flaw(struct keeper *k, const struct account *a, const struct piece lines[LINES])
{
	const char *server = account_conf_server(a->conf);

	if (keeper_now(k).wall > piece_number(&lines[UNTIL]))
		return "The invitation is over: it was good for a week.";
	if (!piece_is(&lines[CLIENT_ID], a->conf->client_id) ||
	    !piece_is(&lines[LOGIN], account_conf_login(a->conf)) ||
	    !piece_is(&lines[SERVER], server == NULL ? "" : server))
		return "The account names another client, mailbox or server now than when the "
		       "invitation was made.";
	return NULL;
}

void
authorize_finish(struct keeper *k, struct client *c, const struct message *m)
{
	struct account *a = attempt_account(k, c, m);
	CLEANUP_SECRET struct secret *packed = NULL;
	struct piece lines[LINES];
	const char *flaw;
	struct attempt *t;
	char again[256];

	if (a == NULL)
		return;
	(void)snprintf(again, sizeof(again),
	    "Make a new one: run `frank authorize --invite %.100s`.", a->conf->name);
	packed = vault_open(k->vault, a->record.invitation);
	if (packed == NULL || !cut(packed, lines)) {
		client_done(c, EX_DATAERR,
		    "No invitation is open for this account: none was made, or it was used.", again,
		    NULL);
		return;
	}
	flaw = find_flaw(k, a, lines);
	if (flaw != NULL) {
		client_done(c, EX_DATAERR, flaw, again, NULL);
		return;
	}
	t = attempt_new(k, c, a, NULL);
	if (t == NULL) {
		client_done(c, EX_TEMPFAIL, "Memory ran out.", NULL, NULL);
		return;
	}
	t->invited = true;
	t->phase = WAITING;
	if (unpack(t, lines) < 0) {
		attempt_fail_memory(t);
		return;
	}
	log_step(c, a, "An invitation is answered.");
	attempt_take_callback(t, c, m);
}
