/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fault.c: see fault.h. Rules in a list; what a rule remembers (whom it has greylisted, when whose mail went well) hangs on it, and
 * is bounded: beyond, the oldest is forgotten.
 */
#include "sandbox/fault.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/attr.h"

enum {
	MEMORY_MAX = 1024, /* triples or accounts that a rule remembers */
	RATE_MAX = 10000,  /* of a rate */
	SECONDS_MAX = 86400,
	DEFAULT_SECONDS = 5,
	ALWAYS = 100,
};

struct named {
	const char *name;
	enum fault_stage stage;
	enum fault_action action;
	int code;
	const char *enhanced, *text, *about;
};

#define FAULT(name, stage, action, code, enhanced, text, about) \
	{name, FAULT_##stage, FAULT_##action, code, enhanced, text, about},
static const struct named names[] = {
#include "sandbox/faults.def"
};
#undef FAULT

static const char *const stages[FAULT_STAGES] = {"connect", "ehlo", "starttls", "auth", "mail",
    "rcpt", "data", "dot", "stored", "token", "device", "authorize"};
static const char *const actions[FAULT_ACTIONS] = {"none", "reply", "challenge", "greylist",
    "delay", "hang", "drop", "html", "revoke", "expired", "narrow"};

/* A triple that was greylisted (times NULL), or an account with the times at which its events went well. */
struct memory {
	TAILQ_ENTRY(memory) link;
	uint64_t at;     /* of the first try */
	uint64_t *times; /* a ring of the rule's rate_count; 0: free */
	size_t next;
	char key[];
};

struct fault_rule {
	TAILQ_ENTRY(fault_rule) link;
	unsigned id, hits;
	bool endless; /* has no count */
	unsigned left;
	unsigned probability;
	unsigned rate_count;
	uint64_t rate_ms;
	double seconds; /* below 0: not given */
	enum fault_stage stage;
	enum fault_action action;
	int code;
	const char *name, *enhanced, *text, *account, *sender,
	    *recipient; /* borrowed from `given` or a constant; NULL: any */
	json_t *given;
	TAILQ_HEAD(, memory) memory;
	unsigned memories;
};

struct faults {
	fault_random *random;
	unsigned last_id, count;
	TAILQ_HEAD(, fault_rule) rules;
	struct fault_chaos chaos[FAULT_TRIGGERS];
};

static void
forget(struct fault_rule *r, struct memory *m)
{
	TAILQ_REMOVE(&r->memory, m, link);
	r->memories--;
	free(m->times);
	free(m);
}

static void
rule_free(struct fault_rule *r)
{
	struct memory *m;

	while ((m = TAILQ_FIRST(&r->memory)) != NULL)
		forget(r, m);
	json_decref(r->given);
	free(r);
}

static void
reset_chaos(struct faults *f)
{
	f->chaos[FAULT_TRIGGER_SENDER] = f->chaos[FAULT_TRIGGER_RECIPIENT] =
	    (struct fault_chaos){451, 0};
	f->chaos[FAULT_TRIGGER_AUTHENTICATION] = (struct fault_chaos){535, 0};
}

struct faults *
faults_new(fault_random *random)
{
	struct faults *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->random = random;
	TAILQ_INIT(&f->rules);
	reset_chaos(f);
	return f;
}

static void
remove_rule(struct faults *f, struct fault_rule *r)
{
	TAILQ_REMOVE(&f->rules, r, link);
	f->count--;
	rule_free(r);
}

void
faults_clear(struct faults *f)
{
	struct fault_rule *r;

	while ((r = TAILQ_FIRST(&f->rules)) != NULL)
		remove_rule(f, r);
	reset_chaos(f);
}

struct faults *
faults_free(struct faults *f)
{
	if (f == NULL)
		return NULL;
	faults_clear(f);
	free(f);
	return NULL;
}

bool
faults_delete(struct faults *f, unsigned id)
{
	struct fault_rule *r;

	TAILQ_FOREACH (r, &f->rules, link)
		if (r->id == id) {
			remove_rule(f, r);
			return true;
		}
	return false;
}

struct fault_chaos *
faults_chaos(struct faults *f)
{
	return f->chaos;
}

/* ---- a rule from JSON ---- */

static int PRINTF_LIKE(2, 3) wrong(char why[256], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(why, 256, format, ap);
	va_end(ap);
	return -EINVAL;
}

static int
word_index(const char *const *words, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	return -1;
}

/* A number, which a form has as text. */
static bool
number(const json_t *v, double least, double most, double *ret)
{
	const char *text = json_string_value(v);
	char *end = NULL;
	double n = json_is_number(v) ? json_number_value(v) : 0;

	if (text != NULL) {
		if (strspn(text, "0123456789.") != strlen(text) || *text == '\0')
			return false;
		n = strtod(text, &end);
		if (*end != '\0')
			return false;
	} else if (!json_is_number(v)) {
		return false;
	}
	if (!(n >= least && n <= most))
		return false;
	*ret = n;
	return true;
}

static bool
read_rate(struct fault_rule *r, const char *text)
{
	static const struct {
		const char *unit;
		unsigned seconds;
	} units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"day", 86400}};
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '/' || n > RATE_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(end + 1, units[i].unit) == 0) {
			r->rate_count = (unsigned)n;
			r->rate_ms = units[i].seconds * 1000ULL;
			return true;
		}
	return false;
}

static int
read_name(struct fault_rule *r, const char *name, char why[256])
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct named *n = &names[i];

		if (strcmp(n->name, name) != 0)
			continue;
		r->name = n->name;
		r->stage = n->stage;
		r->action = n->action;
		r->code = n->code;
		r->enhanced = n->enhanced;
		r->text = n->text;
		return 0;
	}
	return wrong(why, "there is no fault \"%.60s\"", name);
}

static int
read_word(struct fault_rule *r, const char *key, const char *value, char why[256])
{
	int i;

	if (strcmp(key, "stage") == 0) {
		i = word_index(stages, FAULT_STAGES, value);
		if (i < 0)
			return wrong(why, "there is no stage \"%.60s\"", value);
		r->stage = (enum fault_stage)i;
		return 0;
	}
	i = word_index(actions, FAULT_ACTIONS, value);
	if (i <= FAULT_NONE)
		return wrong(why, "there is no action \"%.60s\"", value);
	r->action = (enum fault_action)i;
	return 0;
}

static int
read_text(struct fault_rule *r, const char *key, const char *value, char why[256])
{
	const struct {
		const char *key;
		const char **member;
		size_t most;
	} texts[] = {{"enhanced", &r->enhanced, 11}, {"text", &r->text, FAULT_TEXT_MAX / 2},
	    {"account", &r->account, 320}, {"sender", &r->sender, 320},
	    {"recipient", &r->recipient, 320}};

	if (strcmp(key, "fault") == 0)
		return 0;
	if (strcmp(key, "stage") == 0 || strcmp(key, "action") == 0)
		return read_word(r, key, value, why);
	if (strcmp(key, "rate") == 0)
		return read_rate(r, value)
			   ? 0
			   : wrong(why, "rate is as 30/min; the units are s, min, h, day");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(key, texts[i].key) != 0)
			continue;
		if (strlen(value) > texts[i].most)
			return wrong(why, "%s is longer than %zu octets", key, texts[i].most);
		*texts[i].member = value;
		return 0;
	}
	return wrong(why, "there is no key \"%.60s\"", key);
}

static int
read_member(struct fault_rule *r, const char *key, const json_t *value, char why[256])
{
	static const struct {
		const char *key;
		double least, most;
	} bounds[] = {{"code", 200, 599}, {"count", 1, 1000000}, {"probability", 0, ALWAYS},
	    {"seconds", 0, SECONDS_MAX}};
	double n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		if (strcmp(key, bounds[i].key) != 0)
			continue;
		if (!number(value, bounds[i].least, bounds[i].most, &n))
			return wrong(why, "%s is a number from %.0f to %.0f", key, bounds[i].least,
			    bounds[i].most);
		if (i == 0)
			r->code = (int)n;
		else if (i == 1)
			r->left = (unsigned)n;
		else if (i == 2)
			r->probability = (unsigned)n;
		else
			r->seconds = n;
		if (i == 1)
			r->endless = false;
		return 0;
	}
	if (!json_is_string(value))
		return wrong(why, "%.60s is a text", key);
	return read_text(r, key, json_string_value(value), why);
}

static bool
is_http(enum fault_stage s)
{
	return s >= FAULT_TOKEN;
}

/* Does the action mean something at the stage, and has it what it needs? */
static int
check_rule(const struct fault_rule *r, char why[256])
{
	enum fault_action a = r->action;
	bool fits = true;

	if (r->stage == FAULT_STAGES || a == FAULT_NONE)
		return wrong(why, "a rule needs \"fault\", or \"stage\" and \"action\"");
	if (a == FAULT_CHALLENGE)
		fits = r->stage == FAULT_AUTH;
	else if (a == FAULT_GREYLIST)
		fits = r->stage == FAULT_RCPT;
	else if (a == FAULT_HTML)
		fits = is_http(r->stage);
	else if (a == FAULT_REVOKE || a == FAULT_EXPIRED || a == FAULT_NARROW)
		fits = r->stage == FAULT_TOKEN;
	if (!fits)
		return wrong(why, "the action %s has no meaning at the stage %s", actions[a],
		    stages[r->stage]);
	if ((a == FAULT_REPLY || a == FAULT_CHALLENGE || a == FAULT_GREYLIST) &&
	    !is_http(r->stage) && r->code < 400)
		return wrong(why, "the reply needs a code from 400 to 599");
	if ((a == FAULT_REPLY || a == FAULT_HTML) && is_http(r->stage) && r->code == 0)
		return wrong(why, "the reply needs a code, the HTTP status");
	return 0;
}

static int
read_rule(struct fault_rule *r, char why[256])
{
	const json_t *name = json_object_get(r->given, "fault");
	const char *key;
	json_t *value;
	int error = 0;

	if (!json_is_object(r->given))
		return wrong(why, "a rule is an object");
	if (name != NULL && !json_is_string(name))
		return wrong(why, "fault is a text");
	if (name != NULL)
		error = read_name(r, json_string_value(name), why);
	json_object_foreach(r->given, key, value) if (error == 0) error =
	    read_member(r, key, value, why);
	return error == 0 ? check_rule(r, why) : error;
}

int
faults_add(struct faults *f, const json_t *rule, unsigned *ret_id, char why[256])
{
	struct fault_rule *r;
	int error;

	if (f->count == FAULT_RULES_MAX) {
		(void)wrong(why, "there are %d rules already", FAULT_RULES_MAX);
		return -ENOSPC;
	}
	(void)wrong(why, "no memory");
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	TAILQ_INIT(&r->memory);
	r->stage = FAULT_STAGES;
	r->endless = true;
	r->probability = ALWAYS;
	r->seconds = -1;
	r->name = r->enhanced = r->text = "";
	r->given = json_deep_copy(rule);
	error = r->given == NULL ? -ENOMEM : read_rule(r, why);
	if (error < 0) {
		rule_free(r);
		return error;
	}
	r->id = *ret_id = ++f->last_id;
	TAILQ_INSERT_TAIL(&f->rules, r, link);
	f->count++;
	return 0;
}

int
faults_add_all(struct faults *f, const json_t *rules, json_t *ids, char why[256])
{
	size_t count = json_is_array(rules) ? json_array_size(rules) : 1,
	       before = json_array_size(ids), i;
	int error = 0;
	unsigned id;

	for (i = 0; error == 0 && i < count; i++) {
		error = faults_add(
		    f, json_is_array(rules) ? json_array_get(rules, i) : rules, &id, why);
		if (error == 0 && json_array_append_new(ids, json_integer(id)) < 0)
			error = faults_delete(f, id) ? -ENOMEM : -EIO;
	}
	while (error < 0 && json_array_size(ids) > before) {
		size_t last = json_array_size(ids) - 1;

		(void)faults_delete(f, (unsigned)json_integer_value(json_array_get(ids, last)));
		(void)json_array_remove(ids, last);
	}
	return error;
}

json_t *
faults_list(const struct faults *f)
{
	json_t *list = json_array(), *o;
	const struct fault_rule *r;

	TAILQ_FOREACH (r, &f->rules, link) {
		o = json_pack("{s:i, s:s, s:s, s:i}", "id", (int)r->id, "stage", stages[r->stage],
		    "action", actions[r->action], "hits", (int)r->hits);
		if (o == NULL || json_object_update_missing(o, r->given) < 0 ||
		    (!r->endless && json_object_set_new(o, "left", json_integer(r->left)) < 0) ||
		    json_array_append(list, o) < 0) {
			json_decref(o);
			json_decref(list);
			return NULL;
		}
		json_decref(o);
	}
	return list;
}

json_t *
faults_names(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct named *n = &names[i];

		if (json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "fault", n->name, "stage",
			    stages[n->stage], "action", actions[n->action], "code", n->code,
			    "enhanced", n->enhanced, "text", n->text, "about", n->about)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* ---- what goes wrong ---- */

static bool
fits(const char *pattern, const char *text)
{
	return pattern == NULL ||
	       (text != NULL && fnmatch(pattern, text, FNM_CASEFOLD | FNM_NOESCAPE) == 0);
}

static bool
chance(const struct faults *f, unsigned percent)
{
	uint32_t n;

	if (percent >= ALWAYS || percent == 0)
		return percent != 0;
	return f->random(&n, sizeof(n)) == 0 && n % 100 < percent;
}

static struct memory *
remembered(struct fault_rule *r, const char *key)
{
	struct memory *m;

	TAILQ_FOREACH (m, &r->memory, link)
		if (strcasecmp(m->key, key) == 0)
			return m;
	return NULL;
}

/* A new memory; the oldest gives way. NULL: no memory. */
static struct memory *
remember(struct fault_rule *r, const char *key, uint64_t now)
{
	size_t len = strlen(key);
	struct memory *m = calloc(1, sizeof(*m) + len + 1);

	if (m != NULL && r->rate_count > 0)
		m->times = calloc(r->rate_count, sizeof(*m->times));
	if (m == NULL || (r->rate_count > 0 && m->times == NULL)) {
		free(m);
		return NULL;
	}
	m->at = now;
	memcpy(m->key, key, len + 1);
	if (r->memories >= MEMORY_MAX)
		forget(r, TAILQ_FIRST(&r->memory));
	TAILQ_INSERT_TAIL(&r->memory, m, link);
	r->memories++;
	return m;
}

/* Is one event more within the rate of this account? It is counted if so. */
static bool
within_rate(struct fault_rule *r, const char *account, uint64_t now)
{
	struct memory *m;
	uint64_t *oldest;

	if (r->rate_count == 0)
		return false; /* "0/min": nothing goes well */
	m = remembered(r, account == NULL ? "" : account);
	if (m == NULL)
		m = remember(r, account == NULL ? "" : account, now);
	if (m == NULL || m->times == NULL)
		return true;
	oldest = &m->times[m->next];
	if (*oldest != 0 && now - (*oldest - 1) < r->rate_ms)
		return false;
	*oldest = now + 1; /* 0 stands for none */
	m->next = (m->next + 1) % r->rate_count;
	return true;
}

/* Is the first try of this triple long enough ago? */
static bool
passed_greylist(struct fault_rule *r, const struct fault_event *e, uint64_t now)
{
	struct buf key CLEANUP_BUF = BUF_INIT(2048);
	struct memory *m;

	if (buf_printf(&key, "%s\n%s\n%s", e->client == NULL ? "" : e->client,
		e->sender == NULL ? "" : e->sender, e->recipient == NULL ? "" : e->recipient) < 0)
		return true;
	m = remembered(r, buf_str(&key));
	if (m == NULL) {
		(void)remember(r, buf_str(&key), now);
		return false;
	}
	return r->seconds < 0 || now - m->at >= (uint64_t)(r->seconds * 1000);
}

static bool
applies(const struct faults *f, struct fault_rule *r, const struct fault_event *e, uint64_t now)
{
	if (r->stage != e->stage || (!r->endless && r->left == 0) ||
	    !fits(r->account, e->account) || !fits(r->sender, e->sender) ||
	    !fits(r->recipient, e->recipient) || !chance(f, r->probability) ||
	    (r->rate_ms > 0 && within_rate(r, e->account, now)) ||
	    (r->action == FAULT_GREYLIST && passed_greylist(r, e, now)))
		return false;
	r->hits++;
	if (!r->endless)
		r->left--;
	return true;
}

/* The words with what is named in braces filled in; what does not fit is cut. */
static void
fill_in(const char *text, const struct fault_event *e, char *ret, size_t size)
{
	const struct {
		const char *name, *value;
	} values[] = {
	    {"{account}", e->account}, {"{sender}", e->sender}, {"{recipient}", e->recipient}};
	size_t n = 0, i, len;

	while (*text != '\0' && n + 1 < size) {
		for (i = 0; i < ARRAY_SIZE(values); i++)
			if (strncmp(text, values[i].name, strlen(values[i].name)) == 0)
				break;
		if (i == ARRAY_SIZE(values)) {
			ret[n++] = *text++;
			continue;
		}
		text += strlen(values[i].name);
		len = values[i].value == NULL ? 0 : strlen(values[i].value);
		if (len > size - 1 - n)
			len = size - 1 - n;
		if (len > 0)
			memcpy(ret + n, values[i].value, len);
		n += len;
	}
	ret[n] = '\0';
}

static unsigned
delay_of(const struct fault_rule *r)
{
	return (unsigned)((r->seconds < 0 ? DEFAULT_SECONDS : r->seconds) * 1000);
}

static void
decide(const struct fault_rule *r, const struct fault_event *e, struct fault *ret)
{
	ret->action = r->action == FAULT_GREYLIST ? FAULT_REPLY : r->action;
	ret->rule = r->id;
	ret->code = r->code;
	if (is_http(r->stage) && r->code == 429)
		ret->retry_after = delay_of(r) / 1000;
	(void)snprintf(ret->enhanced, sizeof(ret->enhanced), "%s", r->enhanced);
	fill_in(r->text, e, ret->text, sizeof(ret->text));
}

bool
faults_named(const char *name, const struct fault_event *e, struct fault *ret)
{
	struct fault_rule r = {.seconds = -1};
	char why[256];

	*ret = (struct fault){.action = FAULT_NONE};
	if (read_name(&r, name, why) < 0)
		return false;
	decide(&r, e, ret);
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->stage = r.stage;
	return true;
}

static bool
find_chaos(const struct faults *f, const struct fault_event *e, struct fault *ret)
{
	static const struct {
		enum fault_stage stage;
		const char *text;
	} triggers[FAULT_TRIGGERS] = {{FAULT_MAIL, "Chaos sender error"},
	    {FAULT_RCPT, "Chaos recipient error"}, {FAULT_AUTH, "Chaos authentication error"}};

	for (size_t i = 0; i < FAULT_TRIGGERS; i++) {
		if (triggers[i].stage != e->stage || !chance(f, f->chaos[i].probability))
			continue;
		ret->action = FAULT_REPLY;
		ret->code = f->chaos[i].code;
		(void)snprintf(ret->text, sizeof(ret->text), "%s", triggers[i].text);
		(void)snprintf(ret->name, sizeof(ret->name), "chaos");
		return true;
	}
	return false;
}

bool
faults_find(struct faults *f, const struct fault_event *e, uint64_t now_ms, struct fault *ret)
{
	struct fault_rule *r;

	*ret = (struct fault){.action = FAULT_NONE, .stage = e->stage};
	TAILQ_FOREACH (r, &f->rules, link) {
		if (!applies(f, r, e, now_ms))
			continue;
		(void)snprintf(ret->name, sizeof(ret->name), "%s",
		    *r->name == '\0' ? actions[r->action] : r->name);
		if (r->action != FAULT_DELAY) {
			decide(r, e, ret);
			return true;
		}
		ret->delay_ms += delay_of(r);
	}
	return find_chaos(f, e, ret) || ret->delay_ms > 0;
}
