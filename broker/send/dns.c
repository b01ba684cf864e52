/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* dns.c: see dns.h. */
#include "broker/send/dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/host.h"

enum dns_status
dns_status_of(int ares_status)
{
	switch (ares_status) {
	case ARES_SUCCESS:
		return DNS_FOUND;
	case ARES_ENODATA:
		return DNS_NO_RECORDS;
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return DNS_NO_NAME;
	default:
		return DNS_FAILED;
	}
}

void
dns_clear(struct dns_answer *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->records[i].text);
	free(a->records);
	a->records = NULL;
	a->count = 0;
}

static void
set_status(struct dns_answer *a, int status)
{
	if (status == ARES_SUCCESS && a->count == 0)
		status = ARES_ENODATA;
	if (status != ARES_SUCCESS)
		dns_clear(a);
	a->status = dns_status_of(status);
	a->words = ares_strerror(status);
}

/* A name that cannot be read makes the answer malformed; only the name that was asked for can be bad. */
static int
parse_status(int status)
{
	return status == ARES_EBADNAME ? ARES_EBADRESP : status;
}

/* A new record with the first octets of its text; NULL: no memory. */
static struct dns_record *
add_record(struct dns_answer *a, const void *text, size_t len)
{
	struct dns_record *list = reallocarray(a->records, a->count + 1, sizeof(*list)), *r;

	if (list == NULL)
		return NULL;
	a->records = list;
	r = &list[a->count];
	*r = (struct dns_record){.text = malloc(len + 1), .len = len};
	if (r->text == NULL)
		return NULL;
	if (len > 0)
		memcpy(r->text, text, len);
	r->text[len] = '\0';
	a->count++;
	return r;
}

static struct dns_record *
add_host(struct dns_answer *a, const char *host)
{
	return add_record(a, host == NULL ? "" : host, host == NULL ? 0 : strlen(host));
}

#if ARES_VERSION >= 0x011c00

static const ares_dns_rec_type_t types[] = {[DNS_A] = ARES_REC_TYPE_A,
    [DNS_MX] = ARES_REC_TYPE_MX,
    [DNS_SRV] = ARES_REC_TYPE_SRV,
    [DNS_TXT] = ARES_REC_TYPE_TXT};

static struct dns_record *
take_record(struct dns_answer *a, enum dns_type type, const ares_dns_rr_t *rr)
{
	struct dns_record *r;
	size_t len = 0;

	switch (type) {
	case DNS_A:
		return add_host(a, ares_dns_rr_get_name(rr));
	case DNS_MX:
		r = add_host(a, ares_dns_rr_get_str(rr, ARES_RR_MX_EXCHANGE));
		if (r != NULL)
			r->order = ares_dns_rr_get_u16(rr, ARES_RR_MX_PREFERENCE);
		return r;
	case DNS_SRV:
		r = add_host(a, ares_dns_rr_get_str(rr, ARES_RR_SRV_TARGET));
		if (r != NULL) {
			r->order = ares_dns_rr_get_u16(rr, ARES_RR_SRV_PRIORITY);
			r->weight = ares_dns_rr_get_u16(rr, ARES_RR_SRV_WEIGHT);
			r->port = ares_dns_rr_get_u16(rr, ARES_RR_SRV_PORT);
		}
		return r;
	case DNS_TXT:
		break;
	}
	/* All strings of the record, joined. */
	const unsigned char *text = ares_dns_rr_get_bin(rr, ARES_RR_TXT_DATA, &len);

	return add_record(a, text, text == NULL ? 0 : len);
}

static int
take_records(struct dns_answer *a, enum dns_type type, const ares_dns_record_t *answer)
{
	size_t count = ares_dns_record_rr_cnt(answer, ARES_SECTION_ANSWER);

	for (size_t i = 0; i < count; i++) {
		const ares_dns_rr_t *rr =
		    ares_dns_record_rr_get_const(answer, ARES_SECTION_ANSWER, i);

		if (ares_dns_rr_get_type(rr) == types[type] &&
		    ares_dns_rr_get_class(rr) == ARES_CLASS_IN && take_record(a, type, rr) == NULL)
			return ARES_ENOMEM;
	}
	return ARES_SUCCESS;
}

static void
on_answer(void *arg, ares_status_t status, size_t timeouts, const ares_dns_record_t *answer)
{
	const struct dns_question *q = arg;
	struct dns_answer a = {0};

	set_status(&a, status != ARES_SUCCESS ? (int)status : take_records(&a, q->type, answer));
	q->done(q->arg, &a);
}

static void
ask(ares_channel channel, const char *name, struct dns_question *q)
{
	(void)ares_query_dnsrec(channel, name, ARES_CLASS_IN, types[q->type], on_answer, q, NULL);
}

void
dns_parse(enum dns_type type, const uint8_t *octets, size_t len, struct dns_answer *ret)
{
	ares_dns_record_t *answer = NULL;
	int status = (int)ares_dns_parse(octets, len, 0, &answer);

	*ret = (struct dns_answer){0};
	set_status(
	    ret, status != ARES_SUCCESS ? parse_status(status) : take_records(ret, type, answer));
	ares_dns_record_destroy(answer);
}

#else

static int
take_a(struct dns_answer *a, const uint8_t *octets, int len)
{
	struct hostent *host = NULL;
	int status = ares_parse_a_reply(octets, len, &host, NULL, NULL);

	if (status == ARES_SUCCESS && add_host(a, host->h_name) == NULL)
		status = ARES_ENOMEM;
	if (host != NULL)
		ares_free_hostent(host);
	return status;
}

static int
take_mx(struct dns_answer *a, const uint8_t *octets, int len)
{
	struct ares_mx_reply *list = NULL;
	int status = ares_parse_mx_reply(octets, len, &list);

	for (struct ares_mx_reply *x = list; x != NULL && status == ARES_SUCCESS; x = x->next) {
		struct dns_record *r = add_host(a, x->host);

		if (r != NULL)
			r->order = x->priority;
		else
			status = ARES_ENOMEM;
	}
	ares_free_data(list);
	return status;
}

static int
take_srv(struct dns_answer *a, const uint8_t *octets, int len)
{
	struct ares_srv_reply *list = NULL;
	int status = ares_parse_srv_reply(octets, len, &list);

	for (struct ares_srv_reply *x = list; x != NULL && status == ARES_SUCCESS; x = x->next) {
		struct dns_record *r = add_host(a, x->host);

		if (r == NULL) {
			status = ARES_ENOMEM;
			break;
		}
		r->order = x->priority;
		r->weight = x->weight;
		r->port = x->port;
	}
	ares_free_data(list);
	return status;
}

/* More strings of the record that was added last. */
static bool
append(struct dns_record *r, const void *text, size_t len)
{
	char *longer = realloc(r->text, r->len + len + 1);

	if (longer == NULL)
		return false;
	memcpy(longer + r->len, text, len);
	r->text = longer;
	r->len += len;
	r->text[r->len] = '\0';
	return true;
}

static int
take_txt(struct dns_answer *a, const uint8_t *octets, int len)
{
	struct ares_txt_ext *list = NULL;
	int status = ares_parse_txt_reply_ext(octets, len, &list);

	for (struct ares_txt_ext *x = list; x != NULL && status == ARES_SUCCESS; x = x->next)
		if (x->record_start || a->count == 0
			? add_record(a, x->txt, x->length) == NULL
			: !append(&a->records[a->count - 1], x->txt, x->length))
			status = ARES_ENOMEM;
	ares_free_data(list);
	return status;
}

static const struct {
	int type;
	int (*take)(struct dns_answer *a, const uint8_t *octets, int len);
} types[] = {[DNS_A] = {ns_t_a, take_a},
    [DNS_MX] = {ns_t_mx, take_mx},
    [DNS_SRV] = {ns_t_srv, take_srv},
    [DNS_TXT] = {ns_t_txt, take_txt}};

void
dns_parse(enum dns_type type, const uint8_t *octets, size_t len, struct dns_answer *ret)
{
	*ret = (struct dns_answer){0};
	set_status(ret,
	    len > INT_MAX ? ARES_EBADRESP : parse_status(types[type].take(ret, octets, (int)len)));
}

static void
on_answer(void *arg, int status, int timeouts, unsigned char *octets, int len)
{
	const struct dns_question *q = arg;
	struct dns_answer a = {0};

	if (status == ARES_SUCCESS)
		dns_parse(q->type, octets, (size_t)len, &a);
	else
		set_status(&a, status);
	q->done(q->arg, &a);
}

static void
ask(ares_channel channel, const char *name, struct dns_question *q)
{
	ares_query(channel, name, ns_c_in, types[q->type].type, on_answer, q);
}

#endif

void
dns_ask(ares_channel channel, const char *name, struct dns_question *q)
{
	struct dns_answer none = {0};

	if (!host_is_localhost(name) && !host_is_invalid(name)) {
		ask(channel, name, q);
		return;
	}
	set_status(&none, host_is_invalid(name) ? ARES_ENOTFOUND : ARES_ENODATA);
	q->done(q->arg, &none);
}
