/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* values.c: see values.h. */
#include "broker/conf/values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/host.h"

enum { NAME_MAX_LEN = 64, HOST_MAX = 253, TEN_YEARS = 10 * 366 * 86400 };

/* Reads digits; *ret_rest is behind them. */
static bool
leading_number(const char *s, uint64_t most, uint64_t *ret, const char **ret_rest)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*s))
		return false;
	for (; isdigit((unsigned char)*s); s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (n > (most - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	*ret_rest = s;
	return true;
}

bool
value_number(const char *s, uint64_t least, uint64_t most, uint64_t *ret)
{
	const char *rest;

	return leading_number(s, most, ret, &rest) && *rest == '\0' && *ret >= least;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static bool
with_unit(const char *s, const struct unit *units, size_t count, uint64_t most, uint64_t *ret)
{
	const char *rest;
	uint64_t n;

	if (!leading_number(s, most, &n, &rest))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(rest, units[i].name) == 0) {
			if (n > most / units[i].factor)
				return false;
			*ret = n * units[i].factor;
			return true;
		}
	}
	return false;
}

bool
value_duration(const char *s, unsigned *ret_seconds)
{
	static const struct unit units[] = {
	    {"", 1}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
	uint64_t n;

	if (!with_unit(s, units, ARRAY_SIZE(units), TEN_YEARS, &n))
		return false;
	*ret_seconds = (unsigned)n;
	return true;
}

bool
value_size(const char *s, uint64_t *ret)
{
	static const struct unit units[] = {
	    {"", 1}, {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}};

	return with_unit(s, units, ARRAY_SIZE(units), (uint64_t)1 << 40, ret);
}

bool
value_rate(const char *s, unsigned *ret, bool *ret_day)
{
	const char *rest;
	uint64_t n;

	if (!leading_number(s, 100000000, &n, &rest) || n == 0)
		return false;
	*ret_day = strcasecmp(rest, "/day") == 0 || strcasecmp(rest, "/d") == 0;
	if (!*ret_day && strcasecmp(rest, "/min") != 0 && strcasecmp(rest, "/m") != 0)
		return false;
	*ret = (unsigned)n;
	return true;
}

bool
value_host(const char *s, size_t len)
{
	if (len == 0 || len > HOST_MAX || s[0] == '-' || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && strchr("-._:", s[i]) == NULL)
			return false;
	return true;
}

bool
value_endpoint(const char *s, const char **ret_host, size_t *ret_host_len, unsigned *ret_port)
{
	const char *colon = strrchr(s, ':');
	uint64_t port;

	if (colon == NULL || !value_number(colon + 1, 1, 65535, &port))
		return false;
	*ret_host = s;
	*ret_host_len = (size_t)(colon - s);
	*ret_port = (unsigned)port;
	if (s[0] == '[') {
		if (*ret_host_len < 3 || colon[-1] != ']')
			return false;
		++*ret_host;
		*ret_host_len -= 2;
	} else if (memchr(s, ':', *ret_host_len) != NULL) {
		return false; /* an IPv6 address wants brackets */
	}
	return value_host(*ret_host, *ret_host_len);
}

bool
value_listen_address(const char *s, char *ret, bool *ret_loopback)
{
	char host[INET6_ADDRSTRLEN];
	const char *at;
	struct in6_addr v6;
	struct in_addr v4;
	unsigned port;
	size_t len;

	if (!value_endpoint(s, &at, &len, &port) || len >= sizeof(host))
		return false;
	memcpy(host, at, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &v4) == 1) {
		*ret_loopback = ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
		(void)snprintf(ret, VALUE_ADDRESS_MAX, "%s:%u", host, port);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6))
		return false;
	*ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6);
	(void)snprintf(
	    ret, VALUE_ADDRESS_MAX, "[%s]:%u", inet_ntop(AF_INET6, &v6, host, sizeof(host)), port);
	return true;
}

bool
value_boolean(const char *s, bool *ret)
{
	static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {
								    "false", "no", "off"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
			*ret = strcasecmp(s, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

bool
value_url(const char *s)
{
	const char *host = NULL;
	char name[HOST_MAX + 1];
	size_t len;

	for (const char *p = s; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '#')
			return false;
	if (strncasecmp(s, "https://", 8) == 0)
		host = s + 8;
	else if (strncasecmp(s, "http://", 7) == 0)
		host = s + 7;
	else
		return false;
	len = strcspn(host, "/?");
	if (memchr(host, '@', len) != NULL || len == 0)
		return false;
	if (host[0] == '[') {
		const char *end = memchr(host, ']', len);

		if (end == NULL)
			return false;
		host++;
		len = (size_t)(end - host);
	} else {
		const char *colon = memchr(host, ':', len);

		len = colon == NULL ? len : (size_t)(colon - host);
	}
	if (!value_host(host, len))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return s[4] == 's' || s[4] == 'S' || host_is_loopback(name);
}

bool
value_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > NAME_MAX_LEN || s[0] == '.' || s[0] == '-')
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("._-", *s) == NULL)
			return false;
	return true;
}

bool
value_region(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > NAME_MAX_LEN || s[0] == '-' || s[0] == '.')
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '.')
			return false;
	return true;
}

int
value_address_pattern(const char *s, struct buf *ret)
{
	bool any = strcmp(s, "*") == 0;

	if (any || (strncmp(s, "*@", 2) == 0 && value_host(s + 2, strlen(s + 2))))
		return buf_append_str(ret, s);
	return *s == '*' ? -EBADMSG : address_read(s, strlen(s), false, ret);
}

/* ---- did you mean ---- */

enum { WORD_MAX = 40 };

/* The number of letters to change, add, remove or swap with a neighbour. */
static unsigned
distance(const char *a, size_t alen, const char *b, size_t blen)
{
	unsigned row[3][WORD_MAX + 1];

	for (unsigned j = 0; j <= blen; j++)
		row[1][j] = j;
	for (unsigned i = 1; i <= alen; i++) {
		unsigned *now = row[(i + 1) % 3], *last = row[i % 3], *before = row[(i + 2) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= blen; j++) {
			char x = (char)tolower((unsigned char)a[i - 1]),
			     y = (char)tolower((unsigned char)b[j - 1]);
			unsigned best = last[j - 1] + (x != y);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    tolower((unsigned char)a[i - 2]) == y && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[(alen + 1) % 3][blen];
}

const char *
value_did_you_mean(const char *word, const char *const *allowed)
{
	size_t len = strlen(word);
	unsigned best = len < 4 ? 2 : (unsigned)len / 3 + 1; /* one less is the most */
	const char *found = NULL;

	if (len > WORD_MAX)
		return NULL;
	if (best > 3)
		best = 3;
	for (const char *const *w = allowed; len >= 4 && *w != NULL; w++)
		if (strncasecmp(*w, word, len) == 0 &&
		    (found == NULL || strlen(*w) < strlen(found)))
			found = *w;
	if (found != NULL)
		return found;
	for (; *allowed != NULL; allowed++) {
		size_t other = strlen(*allowed);
		unsigned d;

		if (other > WORD_MAX)
			continue;
		d = distance(word, len, *allowed, other);
		if (d < best) {
			best = d;
			found = *allowed;
		}
	}
	return found;
}
