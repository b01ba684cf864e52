/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * admin.c: knobs for tests and trials, below /admin on the authorization server's port.
 *
 * Whoever can read the file admin.key in the sandbox's folder may use them: `Authorization: Bearer
 * KEY`.
 */
#include "sandbox/endpoints.h"

bool
admin_allowed(struct web_request *r)
{
	const char *given = web_bearer(r);

	if (given != NULL && sandbox_secret_fits(r->sandbox->admin_key, given))
		return true;
	web_reply_error(r, 401, "invalid_token", "The key in admin.key is needed.");
	return false;
}

static json_t *
settings(const struct sandbox *s)
{
	const struct grants_config *c = grants_config(s->grants);

	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "code_life", (int)c->code_life,
	    "access_token_life", (int)c->access_life, "refresh_token_life", (int)c->refresh_life,
	    "access_token_bytes", (int)c->access_bytes, "device_life", (int)c->device_life,
	    "device_interval", (int)c->device_interval, "rotate", (int)c->rotate);
}

static void
stats_get(struct web_request *r)
{
	const struct sandbox_stats *t = &r->sandbox->stats;

	if (!admin_allowed(r))
		return;
	web_reply_json(r, 200,
	    json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
		"settings", settings(r->sandbox), "grants", (int)grants_count(r->sandbox->grants),
		"sign_ins", (int)t->sign_ins, "sign_ins_refused", (int)t->sign_ins_refused,
		"consents", (int)t->consents, "denials", (int)t->denials, "codes_exchanged",
		(int)t->codes_exchanged, "refreshes", (int)t->refreshes, "token_errors",
		(int)t->token_errors, "reuse_detected", (int)t->reuse_detected, "auth_ok",
		(int)t->auth_ok, "auth_refused", (int)t->auth_refused, "messages", (int)t->messages,
		"recipients", (int)t->recipients));
}

/* Sets a number where the field is there and within its bounds; false: out of bounds. */
static bool
set_number(const struct form *f, const char *name, unsigned least, unsigned most, unsigned *value)
{
	const char *text = form_get(f, name);

	return text == NULL || sandbox_number(text, least, most, value);
}

static void
set_post(struct web_request *r)
{
	struct grants_config next = *grants_config(r->sandbox->grants);
	unsigned rotate = next.rotate;
	const struct form *f = r->body.count > 0 ? &r->body : r->query;

	if (!admin_allowed(r))
		return;
	if (!set_number(f, "code_life", 1, 3600, &next.code_life) ||
	    !set_number(f, "access_token_life", 1, 7 * 86400, &next.access_life) ||
	    !set_number(f, "refresh_token_life", 1, 400 * 86400, &next.refresh_life) ||
	    !set_number(f, "access_token_bytes", 24, 4096, &next.access_bytes) ||
	    !set_number(f, "device_life", 1, 86400, &next.device_life) ||
	    !set_number(f, "device_interval", 0, 60, &next.device_interval) ||
	    !set_number(f, "rotate", 0, 1, &rotate)) {
		web_reply_error(r, 400, "invalid_request", "A value is out of bounds.");
		return;
	}
	next.rotate = rotate != 0;
	*grants_config(r->sandbox->grants) = next;
	web_reply_json(r, 200, settings(r->sandbox));
}

static void
revoke_post(struct web_request *r)
{
	const struct form *f = r->body.count > 0 ? &r->body : r->query;

	if (!admin_allowed(r))
		return;
	web_reply_json(r, 200,
	    json_pack("{s:i}", "revoked",
		(int)grants_revoke_account(r->sandbox->grants, form_get(f, "account"))));
}

const struct web_route admin_routes[] = {
    {"/admin/stats", HTTPD_GET, stats_get},
    {"/admin/set", HTTPD_POST, set_post},
    {"/admin/revoke", HTTPD_POST, revoke_post},
    {NULL},
};
