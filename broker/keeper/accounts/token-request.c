/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * token-request.c: what must be there before a client can prove who it is at a token endpoint.
 *
 *     KEY_QUERY ─▶ (main reads the files) ─▶ KEY_ANSWER ─▶ DISCOVER, where the endpoint is not known
 *
 * Keys, certificates and secrets that stand in files are read before each use, so that one that was
 * replaced there is in force at once, without a reload. Only main can open files; it answers in the
 * order of the questions. An assertion names the endpoint that it is for, so that must be known
 * before one is signed.
 */
#include "broker/keeper/keeper.h"

#include <errno.h>
#include <string.h>

struct preparation {
	struct preparation *next;
	struct account *account; /* borrowed */
	uint64_t conf_serial;    /* of the account, when it began */
	uint64_t key_query;      /* 0: not waiting for main */
	prepare_done *done;      /* NULL: cancelled */
	void *arg;
	uint64_t tag;
};

static void
end(struct keeper *k, struct preparation *p, const char *fault, bool local)
{
	prepare_done *done = p->done;
	void *arg = p->arg;
	uint64_t tag = p->tag;

	for (struct preparation **at = &k->preparations; *at != NULL; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	free(p);
	if (done != NULL)
		done(arg, tag, k, fault, local);
}

/* Nobody waits any more, or the answer is about a server that the account names no longer: then what
 * was learned is forgotten. True where the preparation has ended with it. */
static bool
is_stale(struct keeper *k, struct preparation *p)
{
	bool cancelled = p->done == NULL;

	if (!cancelled && p->conf_serial == p->account->conf_serial)
		return false;
	end(k, p, cancelled ? NULL : "the account's configuration changed meanwhile", false);
	return true;
}

static void
discovered(void *arg, uint64_t tag, struct keeper *k, const struct message *m, const char *fault,
    bool sent)
{
	struct preparation *p = arg;
	const char *endpoint = m == NULL ? NULL : message_str(m, F_TOKEN_ENDPOINT);

	if (is_stale(k, p))
		return;
	if (m != NULL && message_has(m, F_FAULT))
		fault = message_str(m, F_FAULT);
	if (endpoint != NULL) {
		free(p->account->endpoint);
		p->account->endpoint = strdup(endpoint);
	}
	if (endpoint != NULL && p->account->endpoint == NULL)
		fault = "memory ran out";
	end(k, p, p->account->endpoint == NULL ? fault : NULL, false);
}

static void
discover(struct keeper *k, struct preparation *p)
{
	const struct account_conf *c = p->account->conf;
	uint64_t id = request_id(k);
	struct message *m;

	p->key_query = 0;
	if (!account_conf_signs(c) || account_token_endpoint(p->account) != NULL) {
		end(k, p, NULL, false);
		return;
	}
	m = message_new(M_DISCOVER);
	message_put_u64(m, F_ID, id);
	message_put_str(m, F_ACCOUNT, c->name);
	message_put_str(m, F_ISSUER, c->issuer == NULL ? "" : c->issuer);
	request_start(k, id, m, discovered, p, 0);
}

void
prepare(struct keeper *k, struct account *a, prepare_done *done, void *arg, uint64_t tag)
{
	struct preparation *p;
	struct message *m;

	if (!a->conf->reread &&
	    (!account_conf_signs(a->conf) || account_token_endpoint(a) != NULL)) {
		done(arg, tag, k, NULL, false);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		done(arg, tag, k, "memory ran out", false);
		return;
	}
	*p = (struct preparation){.next = k->preparations,
	    .account = a,
	    .conf_serial = a->conf_serial,
	    .done = done,
	    .arg = arg,
	    .tag = tag};
	k->preparations = p;
	if (!a->conf->reread) {
		discover(k, p);
		return;
	}
	p->key_query = request_id(k);
	m = message_new(M_KEY_QUERY);
	message_put_u64(m, F_ID, p->key_query);
	message_put_str(m, F_ACCOUNT, a->conf->name);
	if (channel_send(role_main_channel(k->role), m, -1) < 0)
		end(k, p, "frankd's main process could not be asked for the key", false);
}

/* Puts what was read in the place of what was there; a file that is configured and empty is an error
 * of main's already. */
static int
take_secret(struct keeper *k, const struct message *m, enum field f, struct sealed **to)
{
	CLEANUP_SECRET struct secret *s = message_has(m, f) ? message_secret(m, f) : NULL;
	struct sealed *sealed = s == NULL ? NULL : vault_seal(k->vault, s);

	if (!message_has(m, f))
		return 0;
	if (sealed == NULL)
		return -ENOMEM;
	sealed_replace(to, sealed);
	return 0;
}

static int
take_files(struct keeper *k, struct account_conf *c, const struct message *m)
{
	size_t len;
	const uint8_t *pem = message_bytes(m, F_CLIENT_CERTIFICATE, &len);

	if (pem != NULL) {
		buf_clear(&c->certificate);
		if (buf_append(&c->certificate, pem, len) < 0)
			return -ENOMEM;
	}
	if (take_secret(k, m, F_CLIENT_KEY, &c->client_key) < 0 ||
	    take_secret(k, m, F_CLIENT_SECRET, &c->client_secret) < 0)
		return -ENOMEM;
	return 0;
}

void
prepare_answer(struct keeper *k, const struct message *m)
{
	uint64_t id = message_u64(m, F_ID, 0);
	struct preparation *p = k->preparations;

	while (p != NULL && (p->key_query == 0 || p->key_query != id))
		p = p->next;
	if (p == NULL || is_stale(k, p))
		return;
	if (message_has(m, F_ERROR))
		end(k, p, message_str(m, F_ERROR), true);
	else if (take_files(k, p->account->conf, m) < 0)
		end(k, p, "memory ran out", false);
	else
		discover(k, p);
}

void
prepare_cancel(struct keeper *k, const void *arg)
{
	for (struct preparation *p = k->preparations; p != NULL; p = p->next)
		if (p->arg == arg)
			p->done = NULL;
}

bool
prepare_is_idle(const struct keeper *k)
{
	for (const struct preparation *p = k->preparations; p != NULL; p = p->next)
		if (p->done != NULL)
			return false;
	return true;
}

void
prepare_clear(struct keeper *k)
{
	while (k->preparations != NULL) {
		struct preparation *p = k->preparations;

		k->preparations = p->next;
		free(p);
	}
}
