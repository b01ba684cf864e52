/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* read.c: see read.h. A reader for each type of keys.def. */
#include "broker/conf/read.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/address.h"
#include "base/codec.h"
#include "base/smtp/sasl.h"
#include "broker/conf/event-kinds.h"
#include "broker/conf/values.h"

enum { WORDS_MAX = 16 };

/* The struct that has a member. */
#define CONTAINER(member_at, type, member) \
	((type *)(void *)((char *)(member_at)-offsetof(type, member)))

/* ---- pieces ---- */

static const char *
only(const struct raw_entry *e)
{
	return e->values.count == 0 ? "" : e->values.items[0];
}

static int
set_string(char **target, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return -ENOMEM;
	free(*target);
	*target = copy;
	return 0;
}

static int
wrong(struct raw *raw, const struct raw_entry *e, const char *value, const char *allowed)
{
	raw_error(raw, e->place, "%s = \"%s\": %s", e->key->name, value, allowed);
	return 0;
}

/* Which of `words` the entry is; `count`: none, and the error lists them, with the nearest first. */
static unsigned
find_word(struct raw *raw, const struct raw_entry *e, const char *const *words, unsigned count)
{
	CLEANUP_BUF struct buf list = BUF_INIT(512);
	const char *value = only(e), *allowed[WORDS_MAX + 1], *near;
	unsigned n = 0;

	for (; n < count; n++) {
		if (strcasecmp(value, words[n]) == 0)
			return n;
		allowed[n] = words[n];
		(void)buf_printf(&list, "%s%s", n == 0 ? "" : ", ", words[n]);
	}
	allowed[n] = NULL;
	near = value_did_you_mean(value, allowed);
	if (near != NULL)
		raw_error(raw, e->place, "%s = \"%s\": did you mean \"%s\"? Allowed are %s",
		    e->key->name, value, near, buf_str(&list));
	else
		raw_error(raw, e->place, "%s = \"%s\": allowed are %s", e->key->name, value,
		    buf_str(&list));
	return count;
}

static int
read_word(struct raw *raw, const struct raw_entry *e, void *target)
{
	const struct conf_words *w = &conf_words[e->key->type];
	unsigned found = find_word(raw, e, w->items + w->first, w->count - w->first) + w->first;

	if (found < w->count)
		*(unsigned *)target = found;
	return 0;
}

static bool
is_plain_text(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

/* ---- readers of single values ---- */

static int
read_string(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (*only(e) == '\0' || !is_plain_text(only(e)))
		return wrong(
		    raw, e, "", "wants a text that is not empty and has no control character");
	return set_string(target, only(e));
}

static int
read_path(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (*only(e) != '/' || !is_plain_text(only(e)))
		return wrong(raw, e, only(e), "wants an absolute path");
	return set_string(target, only(e));
}

static int
read_aliases(struct raw *raw, const struct raw_entry *e, void *target)
{
	if ((*only(e) != '/' && strcmp(only(e), "none") != 0) || !is_plain_text(only(e)))
		return wrong(raw, e, only(e), "wants the absolute path of a file, or \"none\"");
	return set_string(target, only(e));
}

static int
read_host(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (!value_host(only(e), strlen(only(e))))
		return wrong(raw, e, only(e), "wants a host name, such as \"mail.example.com\"");
	return set_string(target, only(e));
}

static int
read_address(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (address_read(only(e), strlen(only(e)), false, NULL) < 0)
		return wrong(
		    raw, e, only(e), "wants one mail address, such as \"billing@example.com\"");
	return set_string(target, only(e));
}

static int
read_name(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (!value_name(only(e)))
		return wrong(raw, e, only(e),
		    "wants a name of letters, digits, '.', '_' and '-', at most 64");
	return set_string(target, only(e));
}

static int
read_region(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (!value_region(only(e)))
		return wrong(raw, e, only(e), "wants a region such as \"eu-west-1\" or \"eu\"");
	return set_string(target, only(e));
}

/* Three octal digits; whoever may write may connect. */
static int
read_socket_mode(struct raw *raw, const struct raw_entry *e, void *target)
{
	const char *text = only(e)[0] == '0' ? only(e) + 1 : only(e);

	if (strlen(text) != 3 || strspn(text, "0246") != 3 || (text[0] != '6'))
		return wrong(raw, e, only(e),
		    "wants who may connect, as \"0600\", \"0660\" (with socket-group) or "
		    "\"0666\"");
	*(unsigned *)target = (unsigned)strtoul(text, NULL, 8);
	return 0;
}

static int
read_redirect_path(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (*only(e) != '/' || strpbrk(only(e), "?# \t\"<>\\") != NULL || !is_plain_text(only(e)))
		return wrong(
		    raw, e, only(e), "wants the path of an address, such as \"/callback\"");
	return set_string(target, only(e));
}

static int
read_tenant(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (*only(e) == '\0' || !value_host(only(e), strlen(only(e))))
		return wrong(raw, e, only(e),
		    "wants a tenant's domain or id, or common, organizations or consumers");
	return set_string(target, only(e));
}

static int
read_redirect_host(struct raw *raw, const struct raw_entry *e, void *target)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
	unsigned found = find_word(raw, e, hosts, ARRAY_SIZE(hosts));

	return found < ARRAY_SIZE(hosts) ? set_string(target, hosts[found]) : 0;
}

static int
read_file(struct raw *raw, const struct raw_entry *e, void *target)
{
	return read_path(raw, e, &((struct conf_file *)target)->path);
}

/* A copy in which something stands where "{region}" will be filled in later, for the checks. */
static int
copy_filled(const char *s, struct buf *ret)
{
	const char *hole = strstr(s, "{region}");

	if (hole == NULL)
		return buf_append_str(ret, s);
	return buf_printf(ret, "%.*sregion%s", (int)(hole - s), s, hole + strlen("{region}"));
}

static int
read_url(struct raw *raw, const struct raw_entry *e, void *target)
{
	CLEANUP_BUF struct buf filled = BUF_INIT(4096);

	/* "{tenant}" is filled in later too: in a path, braces are no problem to the check */
	if (copy_filled(only(e), &filled) < 0 || !value_url(buf_str(&filled)))
		return wrong(raw, e, only(e),
		    "wants an https:// address (http:// to this machine's loopback only)");
	return set_string(target, only(e));
}

static int
read_boolean(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (!value_boolean(only(e), target))
		return wrong(raw, e, only(e), "wants true or false");
	return 0;
}

static int
read_duration(struct raw *raw, const struct raw_entry *e, void *target)
{
	unsigned seconds;

	if (!value_duration(only(e), &seconds))
		return wrong(raw, e, only(e), "wants a duration such as \"30m\", \"4h\" or \"5d\"");
	if (seconds > 0) /* 0 stands for the default */
		*(unsigned *)target = seconds;
	return 0;
}

static int
read_size(struct raw *raw, const struct raw_entry *e, void *target)
{
	uint64_t octets;

	if (!value_size(only(e), &octets))
		return wrong(raw, e, only(e), "wants a size such as \"500K\" or \"50M\"");
	if (octets > 0) /* 0 stands for the default */
		*(uint64_t *)target = octets;
	return 0;
}

static int
read_number(
    struct raw *raw, const struct raw_entry *e, void *target, uint64_t most, const char *allowed)
{
	uint64_t n;

	if (!value_number(only(e), 1, most, &n))
		return wrong(raw, e, only(e), allowed);
	*(unsigned *)target = (unsigned)n;
	return 0;
}

static int
read_sessions(struct raw *raw, const struct raw_entry *e, void *target)
{
	return read_number(raw, e, target, 100, "wants a number from 1 to 100");
}

static int
read_count(struct raw *raw, const struct raw_entry *e, void *target)
{
	return read_number(raw, e, target, 100000, "wants a number from 1 to 100000");
}

static int
read_port(struct raw *raw, const struct raw_entry *e, void *target)
{
	return read_number(raw, e, target, 65535, "wants a port, 1 to 65535");
}

static int
set_reference(
    struct raw *raw, const struct raw_entry *e, struct conf_reference *target, bool keyring)
{
	static const char *const schemes[] = {"file:/", "credential:", "command:/"};

	target->place = e->place;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strncmp(only(e), schemes[i], strlen(schemes[i])) == 0 &&
		    only(e)[strlen(schemes[i])] != '\0')
			return set_string(&target->text, only(e));
	if (keyring && (strcmp(only(e), "keyring") == 0 || strcmp(only(e), "passphrase") == 0))
		return set_string(&target->text, only(e));
	/* the value may be the secret itself: it is not shown */
	raw_error(raw, e->place,
	    "%s: a secret never stands in the configuration; give \"file:/PATH\", "
	    "\"credential:NAME\"%s%s",
	    e->key->name,
	    keyring ? ", \"command:/PATH\", \"passphrase\" or \"keyring\""
		    : " or \"command:/PATH\"",
	    keyring ? "" : ", or leave the key out and run: frank secret set ACCOUNT");
	return 0;
}

static int
read_reference(struct raw *raw, const struct raw_entry *e, void *target)
{
	return set_reference(raw, e, target, false);
}

static int
read_key_reference(struct raw *raw, const struct raw_entry *e, void *target)
{
	return set_reference(raw, e, target, true);
}

/* What holds a certificate or a key: the path of a file, or a reference. */
static int
read_pem_file(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct conf_reference *ref = target;
	CLEANUP_BUF struct buf text = BUF_INIT(4096);

	if (*only(e) != '/')
		return set_reference(raw, e, ref, false);
	ref->place = e->place;
	if (buf_printf(&text, "file:%s", only(e)) < 0)
		return -ENOMEM;
	return set_string(&ref->text, buf_str(&text));
}

static int
read_endpoint(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct conf_account *a = CONTAINER(target, struct conf_account, host);
	CLEANUP_BUF struct buf filled = BUF_INIT(4096);
	const char *value = only(e), *host;
	size_t len;

	a->srv = strncmp(value, "srv:", 4) == 0;
	if (a->srv) {
		host = value + strlen("srv:");
		if (!value_host(host, strlen(host)) || strchr(host, ':') != NULL)
			return wrong(raw, e, value, "wants a domain, such as \"srv:example.com\"");
		a->port = 0;
		return set_string(&a->host, host);
	}
	if (copy_filled(only(e), &filled) < 0 ||
	    !value_endpoint(buf_str(&filled), &host, &len, &a->port))
		return wrong(raw, e, only(e),
		    "wants HOST:PORT, such as \"smtp.example.com:587\", or \"srv:DOMAIN\"");
	free(a->host);
	a->host = strcmp(buf_str(&filled), only(e)) == 0
		      ? strndup(host, len)
		      : strndup(only(e), (size_t)(strrchr(only(e), ':') - only(e)));
	return a->host == NULL ? -ENOMEM : 0;
}

static int
read_rate_minute(struct raw *raw, const struct raw_entry *e, void *target)
{
	bool day;

	if (!value_rate(only(e), target, &day) || day)
		return wrong(raw, e, only(e), "wants messages a minute, such as \"30/min\"");
	return 0;
}

/* ---- readers of lists ---- */

static int
read_strings(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++)
		if (conf_strings_add(target, e->values.items[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* "2027-01-31": the end of that day, in UTC. */
static int
read_date(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct tm day = {0};
	const char *end = strptime(only(e), "%Y-%m-%d", &day);

	if (end == NULL || *end != '\0' || strlen(only(e)) != 10)
		return wrong(raw, e, only(e), "wants a day, such as \"2027-01-31\"");
	*(int64_t *)target = (int64_t)timegm(&day) + 24 * 3600;
	return 0;
}

/* A duration that may be 0. */
static int
read_delay(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (strcmp(only(e), "0") == 0 || strcmp(only(e), "0s") == 0) {
		*(unsigned *)target = 0;
		return 0;
	}
	return read_duration(raw, e, target);
}

static int
read_command(struct raw *raw, const struct raw_entry *e, void *target)
{
	if (*only(e) != '/')
		return wrong(raw, e, only(e),
		    "wants the absolute path of a program and its arguments, such as "
		    "{\"/usr/local/sbin/tell-admin\", \"mail\"}; no shell is used");
	return read_strings(raw, e, target);
}

static int
read_addresses(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		CLEANUP_BUF struct buf address = BUF_INIT(ADDRESS_MAX);
		const char *item = e->values.items[i];

		if (address_read(item, strlen(item), false, &address) < 0)
			return wrong(
			    raw, e, item, "wants mail addresses, such as {\"admin@example.com\"}");
		if (conf_strings_add(target, address.data) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* And the words for several of them (outbox.c). */
static const char *const event_kinds[] = {EVENT_KINDS, "all", "messages", "conditions", NULL};

static int
read_events(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		const char *near, *item = e->values.items[i];
		bool known = false;

		for (const char *const *k = event_kinds; *k != NULL; k++)
			known = known || strcmp(*k, item) == 0;
		near = known ? NULL : value_did_you_mean(item, event_kinds);
		if (!known)
			raw_error(raw, e->place, "%s = \"%s\": no such event%s", e->key->name, item,
			    near == NULL ? " (frank.conf(5) lists them)" : raw_suggest(near));
	}
	return read_strings(raw, e, target);
}

/* Literally, or by reference: the address of many a service is a secret. */
static int
read_webhook_url(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct conf_reference *url = target;

	if (strncmp(only(e), "http", 4) != 0)
		return set_reference(raw, e, url, false);
	if (!value_url(only(e)))
		return wrong(raw, e, "",
		    "wants an https address (http only to this machine), or a reference to one");
	url->place = e->place;
	url->secret = secret_new(only(e), strlen(only(e)));
	return url->secret == NULL ? -ENOMEM : 0;
}

static int
read_hosts(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		const char *item = e->values.items[i];

		if (!value_host(item, strlen(item))) {
			(void)wrong(raw, e, item, "wants domains, such as \"localhost\"");
			continue;
		}
		if (conf_strings_add(target, item) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
read_scopes(struct raw *raw, const struct raw_entry *e, void *target)
{
	CLEANUP_BUF struct buf all = BUF_INIT(8192);

	for (size_t i = 0; i < e->values.count; i++) {
		if (strpbrk(e->values.items[i], "\"\\\t\r\n") != NULL)
			return wrong(raw, e, e->values.items[i],
			    "wants scopes without quotes, backslashes or line ends");
		if (buf_printf(&all, "%s%s", i == 0 ? "" : " ", e->values.items[i]) < 0)
			return -ENOMEM;
	}
	return set_string(target, buf_str(&all));
}

static int
read_parameters(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		const char *item = e->values.items[i], *equals = strchr(item, '=');

		if (equals == NULL || equals == item || !is_plain_text(item))
			return wrong(raw, e, item, "wants \"name=value\" in each");
		if (conf_strings_add(target, item) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
read_mechanisms(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		const char *item = e->values.items[i];

		if (sasl_mechanism_by_name(item, strlen(item)) == SASL_NONE) {
			(void)wrong(raw, e, item,
			    "allowed are xoauth2, oauthbearer, scram-sha-256-plus, "
			    "scram-sha-256, plain, login");
			continue;
		}
		if (conf_strings_add(target,
			sasl_mechanism_name(sasl_mechanism_by_name(item, strlen(item)))) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
read_pins(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		const char *item = e->values.items[i];
		CLEANUP_BUF struct buf hash = BUF_INIT(64);

		if (strncmp(item, "sha256/", 7) != 0 ||
		    base64_decode(&hash, item + 7, strlen(item + 7)) < 0 || hash.len != 32)
			return wrong(raw, e, item,
			    "wants \"sha256/\" and the base64 of the hash of a public key");
		if (conf_strings_add(target, item) < 0)
			return -ENOMEM;
	}
	return e->values.count <= 8 ? 0 : wrong(raw, e, e->values.items[8], "8 keys at most");
}

static int
read_patterns(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		CLEANUP_BUF struct buf pattern = BUF_INIT(ADDRESS_MAX);

		if (value_address_pattern(e->values.items[i], &pattern) < 0) {
			(void)wrong(raw, e, e->values.items[i],
			    "wants an address, \"*@example.com\" or \"*\"");
			continue;
		}
		if (conf_strings_add(target, pattern.data) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
read_listen_addresses(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		char address[VALUE_ADDRESS_MAX];
		bool loopback;

		if (!value_listen_address(e->values.items[i], address, &loopback)) {
			(void)wrong(raw, e, e->values.items[i],
			    "wants an IP address and a port, such as \"127.0.0.1:2525\" or "
			    "\"[::1]:2525\"");
			continue;
		}
		if (conf_strings_add(target, address) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
read_rates(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct conf_service *s = CONTAINER(target, struct conf_service, rate_minute);

	for (size_t i = 0; i < e->values.count; i++) {
		unsigned n;
		bool day;

		if (!value_rate(e->values.items[i], &n, &day))
			return wrong(raw, e, e->values.items[i],
			    "wants \"30/min\", \"1000/day\" or both as a list");
		if (day)
			s->rate_day = n;
		else
			s->rate_minute = n;
	}
	return 0;
}

static int
add_id(struct conf_ids *ids, uint32_t id)
{
	uint32_t *items = reallocarray(ids->items, ids->count + 1, sizeof(*items));

	if (items == NULL)
		return -ENOMEM;
	items[ids->count++] = id;
	ids->items = items;
	return 0;
}

static int
read_users(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct conf_service *s = CONTAINER(target, struct conf_service, users);

	for (size_t i = 0; i < e->values.count; i++) {
		const char *item = e->values.items[i];
		const struct passwd *pw;
		uint64_t uid;

		if (strcmp(item, "*") == 0) {
			s->any_user = true;
			continue;
		}
		if (!value_number(item, 0, UINT32_MAX - 1, &uid)) {
			pw = getpwnam(item);
			if (pw == NULL) {
				if (conf_strings_add(&raw->missing_users, item) < 0)
					return -ENOMEM;
				raw_missing(raw, e->place,
				    "%s = \"%s\": this machine has no such user; give a login "
				    "name, a uid or \"*\"",
				    e->key->name, item);
				continue;
			}
			uid = pw->pw_uid;
		}
		if (add_id(&s->users, (uid_t)uid) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The number of a group given by name or number. */
static bool
find_group(const char *item, gid_t *ret)
{
	const struct group *gr;
	uint64_t gid;

	if (value_number(item, 0, UINT32_MAX - 1, &gid)) {
		*ret = (gid_t)gid;
		return true;
	}
	gr = getgrnam(item);
	if (gr != NULL)
		*ret = gr->gr_gid;
	return gr != NULL;
}

static const char no_group[] = "this machine has no such group; give a group's name or a gid";

static int
read_socket_group(struct raw *raw, const struct raw_entry *e, void *target)
{
	struct conf_service *s = CONTAINER(target, struct conf_service, socket_group);

	s->has_socket_group = find_group(only(e), &s->socket_group);
	return s->has_socket_group ? 0 : wrong(raw, e, only(e), no_group);
}

static int
read_groups(struct raw *raw, const struct raw_entry *e, void *target)
{
	for (size_t i = 0; i < e->values.count; i++) {
		const char *item = e->values.items[i];
		gid_t gid;

		if (!find_group(item, &gid)) {
			if (conf_strings_add(&raw->missing_groups, item) < 0)
				return -ENOMEM;
			raw_missing(raw, e->place, "%s = \"%s\": %s", e->key->name, item, no_group);
			continue;
		}
		if (add_id(target, gid) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- the whole ---- */

/* Of members without a key, which nobody writes. */
static int
read_gid(struct raw *raw, const struct raw_entry *e, void *target)
{
	return 0;
}

#define read_WORD(type) read_word
#define read_TEXT(type) read_##type
#define read_LIST(type) read_##type
#define read_IDS(type) read_##type
#define read_NUMBER(type) read_##type
#define read_BOOLEAN(type) read_##type
#define read_SIZE(type) read_##type
#define read_TIME(type) read_##type
#define read_REFERENCE(type) read_##type
#define read_FILE(type) read_##type

static int (*const readers[CONF_TYPE_COUNT])(
    struct raw *raw, const struct raw_entry *e, void *target) = {
#define READER(type, kind, in_c, list) [CONF_TYPE_##type] = read_##kind(type),
    CONF_TYPES(READER)
#undef READER
};

int
read_defaults(struct raw *raw, enum conf_block block, void *target)
{
	const struct conf_block_def *d = &conf_blocks[block];
	int r = 0;

	for (size_t i = 0; i < d->key_count && r == 0; i++) {
		const struct conf_key *k = &d->keys[i];
		CLEANUP_FREE char *value = k->standard == NULL ? NULL : strdup(k->standard);
		const struct raw_entry e = {.key = k, .values = {&value, 1}};

		if (k->standard != NULL)
			r = value == NULL ? -ENOMEM
					  : readers[k->type](raw, &e, (char *)target + k->offset);
	}
	return r;
}

int
read_block(struct raw *raw, const struct raw_block *b, size_t size, void *target)
{
	int r = 0;

	for (size_t i = 0; b != NULL && i < b->count && r == 0; i++) {
		const struct conf_key *k = b->entries[i].key;

		if (k->offset < size)
			r = readers[k->type](raw, &b->entries[i], (char *)target + k->offset);
	}
	return r;
}
