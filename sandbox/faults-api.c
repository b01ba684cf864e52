/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * faults-api.c: faults on demand by HTTP, below /admin/faults; the key in admin.key is needed.
 *
 *   GET                 {"faults": [{"id": 1, "stage": "rcpt", "action": "greylist", "hits": 0, "fault": "greylist"}]}
 *   POST                adds: a rule or an array of rules as JSON, or one rule as a form; {"added": [2]}
 *   PUT                 the same, in the place of all that there are
 *   DELETE [?id=N]      one, or all of them and chaos
 *   GET /names          the names that there are
 */
#include <errno.h>
#include <string.h>

#include "sandbox/endpoints.h"

static void
list_get(struct web_request *r)
{
	if (admin_allowed(r))
		web_reply_json(
		    r, 200, json_pack("{s:o}", "faults", faults_list(r->sandbox->faults)));
}

static void
names_get(struct web_request *r)
{
	if (admin_allowed(r))
		web_reply_json(r, 200, json_pack("{s:o}", "names", faults_names()));
}

/* The rules that a request brings, as a new reference. NULL: no memory. */
static json_t *
given(const struct web_request *r)
{
	const struct form *f = r->body.count > 0 ? &r->body : r->query;
	json_t *rule;

	if (r->json != NULL)
		return json_incref(r->json);
	rule = json_object();
	for (size_t i = 0; rule != NULL && i < f->count; i++)
		if (json_object_set_new(rule, f->fields[i].name, json_string(f->fields[i].value)) <
		    0) {
			json_decref(rule);
			rule = NULL;
		}
	return rule;
}

static void
add(struct web_request *r, bool replace)
{
	json_t *rules = given(r), *ids = json_array(), *old = faults_list(r->sandbox->faults), *o;
	char why[256] = "no memory";
	int error = rules == NULL || ids == NULL || old == NULL
			? -ENOMEM
			: faults_add_all(r->sandbox->faults, rules, ids, why);
	size_t i;

	if (error < 0) {
		web_reply_error(r, error == -ENOMEM ? 503 : 400, "invalid_request", why);
	} else {
		json_array_foreach(old, i, o) if (replace)(void) faults_delete(
		    r->sandbox->faults, (unsigned)json_integer_value(json_object_get(o, "id")));
		web_reply_json(r, 200, json_pack("{s:O}", "added", ids));
	}
	json_decref(rules);
	json_decref(ids);
	json_decref(old);
}

static void
list_post(struct web_request *r)
{
	if (admin_allowed(r))
		add(r, false);
}

static void
list_put(struct web_request *r)
{
	if (admin_allowed(r))
		add(r, true);
}

static void
list_delete(struct web_request *r)
{
	const char *text = form_get(r->query, "id");
	unsigned id = 0;

	if (!admin_allowed(r))
		return;
	if (text == NULL)
		faults_clear(r->sandbox->faults);
	else if (!sandbox_number(text, 1, 4294967295U, &id) ||
		 !faults_delete(r->sandbox->faults, id)) {
		web_reply_error(r, 404, "invalid_request", "There is no such rule.");
		return;
	}
	web_reply_json(r, 200, json_pack("{s:o}", "faults", faults_list(r->sandbox->faults)));
}

const struct web_route faults_routes[] = {
    {"/admin/faults", HTTPD_GET, list_get},
    {"/admin/faults", HTTPD_POST, list_post},
    {"/admin/faults", HTTPD_PUT, list_put},
    {"/admin/faults", HTTPD_DELETE, list_delete},
    {"/admin/faults/names", HTTPD_GET, names_get},
    {NULL},
};
