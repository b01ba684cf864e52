/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * invitation.c: see invitation.h.
 *
 * Between the address and its answer nothing waits in memory. What the answer is checked against (state,
 * PKCE verifier, nonce, endpoints) lies sealed in the account's record, for INVITATION_LIFE. An account has
 * one invitation; a new one replaces it, and the first answer with its state uses it up.
 *
 * The packed form is lines in the order of `enum line`; an empty line stands for an absent value.
 */
#include "broker/keeper/sign-in/invitation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/keeper/sign-in/authorize.h"

enum { INVITATION_LIFE = 7 * 24 * 3600 /* seconds */, PACKED_MAX = 12 * 1024 };

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
	const struct vault *v = t->all->vault;

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

struct packed_line {
	const char *text;
	size_t len;
};

/* Cuts the lines; false where it is not ours. */
static bool
cut(const struct secret *packed, struct packed_line ret[LINES])
{
	const char *at = (const char *)secret_bytes(packed), *end = at + secret_len(packed);

	for (int i = 0; i < LINES; i++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (stop == NULL)
			return false;
		ret[i] = (struct packed_line){at, (size_t)(stop - at)};
		at = stop + 1;
	}
	return ret[VERSION].len == sizeof(version) - 1 &&
	       memcmp(ret[VERSION].text, version, ret[VERSION].len) == 0;
}

static bool
piece_is(const struct packed_line *p, const char *text)
{
	return strlen(text) == p->len && memcmp(text, p->text, p->len) == 0;
}

static int64_t
piece_number(const struct packed_line *p)
{
	int64_t n = 0;

	for (size_t i = 0; i < p->len && i < 18; i++)
		n = n * 10 + (p->text[i] - '0');
	return n;
}

static int
take_text(const struct packed_line *p, char **to)
{
	free(*to);
	*to = p->len == 0 ? NULL : strndup(p->text, p->len);
	return p->len > 0 && *to == NULL ? -ENOMEM : 0;
}

static int
take_secret(struct vault *v, const struct packed_line *p, struct sealed **to)
{
	CLEANUP_SECRET struct secret *s = secret_new(p->text, p->len);

	vault_replace(to, vault_seal(v, s));
	return *to == NULL ? -ENOMEM : 0;
}

static int
unpack(struct attempt *t, const struct packed_line lines[LINES])
{
	struct vault *v = t->all->vault;

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
invite(struct attempt *t)
{
	int64_t until = accounts_now(t->all->accounts).wall + INVITATION_LIFE;
	CLEANUP_SECRET struct secret *packed = NULL;
	struct client *c = t->client;
	struct message *m = authorize_make_url(t);
	int r;

	if (m == NULL)
		return;
	packed = pack(t, until);
	r = packed == NULL ? -ENOMEM : account_set_invitation(t->account, packed);
	if (r < 0) {
		(void)message_free(m);
		if (packed == NULL)
			attempt_fail_memory(t);
		else
			attempt_fail_write(t, r);
		return;
	}
	attempt_free(t); /* it lives on in the record */
	if (c == NULL) {
		(void)message_free(m);
		return;
	}
	message_put_u64(m, F_UNTIL, (uint64_t)until);
	(void)client_send(c, m);
	client_release(c);
}

void
invitation_start(struct attempts *all, struct client *c, const struct message *m)
{
	authorize_begin(all, c, m, "Somebody is invited to sign in.", invite);
}

/* ---- the answer ---- */

/* Why the invitation is good for nothing, or NULL. The present client's secret goes to the endpoint
 * that was written down then, so the server must be the same, too. */
static const char *
find_flaw(int64_t now, const struct account *a, const struct packed_line lines[LINES])
{
	const char *server = account_conf_server(a->conf);

	if (now > piece_number(&lines[UNTIL]))
		return "The invitation is over: it was good for a week.";
	if (!piece_is(&lines[CLIENT_ID], a->conf->client_id) ||
	    !piece_is(&lines[LOGIN], account_conf_login(a->conf)) ||
	    !piece_is(&lines[SERVER], server == NULL ? "" : server))
		return "The account names another client, mailbox or server now than when the "
		       "invitation was made.";
	return NULL;
}

void
invitation_answer(struct attempts *all, struct client *c, const struct message *m)
{
	struct account *a = attempt_account(all, c, m);
	CLEANUP_SECRET struct secret *packed =
	    a == NULL ? NULL : vault_open(all->vault, a->record.invitation);
	const char *flaw = "No invitation is open for this account: none was made, or it was used.";
	struct packed_line lines[LINES];
	struct attempt *t;
	char again[256];

	if (a == NULL)
		return;
	if (packed != NULL && cut(packed, lines))
		flaw = find_flaw(accounts_now(all->accounts).wall, a, lines);
	if (flaw != NULL) {
		(void)snprintf(again, sizeof(again),
		    "Make a new one: run `frank authorize --invite %.100s`.", a->conf->name);
		client_done(c, EX_DATAERR, again, "%s", flaw);
		return;
	}
	t = attempt_new(all, c, a, NULL, "An invitation is answered.");
	if (t == NULL)
		return;
	t->invited = true;
	t->phase = WAITING;
	if (unpack(t, lines) < 0)
		attempt_fail_memory(t);
	else
		authorize_take_callback(t, m);
}
