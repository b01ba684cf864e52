/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * chaos.c: see chaos.h.
 */
#include "sandbox/chaos.h"

#include <errno.h>
#include <string.h>

static const char *const names[FAULT_TRIGGERS] = {"Sender", "Recipient", "Authentication"};
static const struct fault_chaos off[FAULT_TRIGGERS] = {{451, 0}, {451, 0}, {535, 0}};

json_t *
chaos_get(struct faults *f)
{
	const struct fault_chaos *c = faults_chaos(f);
	json_t *ret = json_object();

	for (size_t i = 0; i < FAULT_TRIGGERS; i++)
		if (json_object_set_new(ret, names[i],
			json_pack("{s:i, s:i}", "ErrorCode", c[i].code, "Probability",
			    (int)c[i].probability)) < 0) {
			json_decref(ret);
			return NULL;
		}
	return ret;
}

static bool
read_trigger(const json_t *t, struct fault_chaos *to)
{
	const json_t *code = json_object_get(t, "ErrorCode"),
		     *probability = json_object_get(t, "Probability");
	json_int_t c = code == NULL ? to->code : json_integer_value(code);
	json_int_t p = probability == NULL ? 0 : json_integer_value(probability);

	if (!json_is_object(t) || (code != NULL && !json_is_integer(code)) ||
	    (probability != NULL && !json_is_integer(probability)) || c < 400 || c > 599 || p < 0 ||
	    p > 100)
		return false;
	to->code = (int)c;
	to->probability = (unsigned)p;
	return true;
}

int
chaos_put(struct faults *f, const json_t *body, const char **ret_why)
{
	struct fault_chaos next[FAULT_TRIGGERS];

	memcpy(next, off, sizeof(next));
	*ret_why = "the body must be an object";
	if (!json_is_object(body))
		return -EINVAL;
	*ret_why = "error code must be between 400 and 599, probability between 0 and 100";
	for (size_t i = 0; i < FAULT_TRIGGERS; i++) {
		const json_t *t = json_object_get(body, names[i]);

		if (t != NULL && !read_trigger(t, &next[i]))
			return -EINVAL;
	}
	memcpy(faults_chaos(f), next, sizeof(next));
	return 0;
}
