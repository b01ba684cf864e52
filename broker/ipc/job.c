/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * job.c: see job.h. The message is copied out of the packet into one block; a body in a file is
 * mapped and never copied.
 */
#include "broker/ipc/job.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "broker/ipc/reply.h"

enum {
	TRANSCRIPT_MAX = 2 * SMTP_CLIENT_TRANSCRIPT_MAX + 1,
	TEXT_MAX = 2000, /* of one reply, as reply_put cuts it */
	TEXT_LEAST = 100,
	PACKET_REST = 4096, /* endpoint, mechanism and the like, with the fields' heads */
	RESULT_HEAD = 32,   /* of one RESULT: field, codes, enhanced code */
};

struct job *
job_free(struct job *j)
{
	if (j == NULL)
		return NULL;
	if (j->mapped > 0)
		(void)munmap(j->body, j->mapped);
	free(j->strings);
	free(j->own_body);
	free(j->own_strings);
	free(j->recipients);
	free(j);
	return NULL;
}

void
job_list_free(struct job_list *l)
{
	struct job *j;

	while ((j = STAILQ_FIRST(l)) != NULL) {
		STAILQ_REMOVE_HEAD(l, link);
		(void)job_free(j);
	}
}

/* What the strings of a job take, each with its NUL. */
static size_t
strings_size(const struct message *m, size_t body_len)
{
	size_t size = body_len + strlen(message_str(m, F_SENDER)) + 3, at = 0;
	const char *s;

	if (message_has(m, F_ENVID))
		size += strlen(message_str(m, F_ENVID));
	if (message_has(m, F_QUEUE_ID))
		size += strlen(message_str(m, F_QUEUE_ID));
	while (message_next_str(m, F_RCPT, &at, &s))
		size += strlen(s) + 1;
	at = 0;
	while (message_next_str(m, F_RCPT_PARAMS, &at, &s))
		size += strlen(s) + 1;
	return size + 1;
}

static size_t
count_recipients(const struct message *m)
{
	size_t at = 0, n = 0;
	const char *s;

	while (message_next_str(m, F_RCPT, &at, &s))
		n++;
	return n;
}

/* Copies a string to *to and moves *to behind it. Room was counted. */
static const char *
put_string(char **to, const char *s)
{
	size_t size = strlen(s) + 1;
	char *start = memcpy(*to, s, size);

	*to += size;
	return start;
}

static void
take_recipients(struct job *j, const struct message *m, char **to)
{
	size_t at = 0, params_at = 0;
	const char *s;

	for (size_t i = 0; message_next_str(m, F_RCPT, &at, &s); i++) {
		const char *params = "";

		(void)message_next_str(m, F_RCPT_PARAMS, &params_at, &params);
		j->recipients[i].address = put_string(to, s);
		j->recipients[i].params = *params == '\0' ? "" : put_string(to, params);
	}
}

static enum smtp_ret
ret_by_name(const char *name)
{
	if (name == NULL)
		return SMTP_RET_NONE;
	return strcmp(name, "FULL") == 0 ? SMTP_RET_FULL : SMTP_RET_HDRS;
}

/* The file's first SIZE octets. The file is queue's own and never shrinks while it is lent. */
static int
map_body(struct job *j, const struct message *m, int fd)
{
	uint64_t size = message_u64(m, F_SIZE, 0);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (size == 0 || size > SIZE_MAX / 2 || (uint64_t)st.st_size < size)
		return -EPROTO;
	j->body = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (j->body == MAP_FAILED)
		return -errno;
	j->mapped = (size_t)size;
	(void)madvise(j->body, j->mapped, MADV_SEQUENTIAL);
	return 0;
}

static int
fill(struct job *j, const struct message *m, int fd)
{
	size_t body_len = 0, count = count_recipients(m);
	const uint8_t *body = message_bytes(m, F_BODY, &body_len);
	uint64_t flags = message_u64(m, F_FLAGS, 0);
	char *to;
	int r;

	if (count == 0 || (body == NULL) == (fd < 0))
		return -EPROTO;
	j->strings = to = malloc(strings_size(m, body == NULL ? 0 : body_len));
	j->recipients = calloc(count, sizeof(*j->recipients));
	if (to == NULL || j->recipients == NULL)
		return -ENOMEM;
	j->id = j->spec.id = message_u64(m, F_ID, 0);
	j->spec.sender = put_string(&to, message_str(m, F_SENDER));
	j->spec.envid = message_has(m, F_ENVID) ? put_string(&to, message_str(m, F_ENVID)) : "";
	j->queue_id = message_has(m, F_QUEUE_ID) ? put_string(&to, message_str(m, F_QUEUE_ID)) : "";
	take_recipients(j, m, &to);
	if (body != NULL) {
		j->body = memcpy(to, body, body_len);
	} else {
		r = map_body(j, m, fd);
		if (r < 0)
			return r;
		body_len = j->mapped;
	}
	j->spec.recipients = j->recipients;
	j->spec.recipient_count = count;
	j->spec.body = j->body;
	j->spec.body_len = body_len;
	j->spec.eight_bit = (flags & JOB_8BIT) != 0;
	j->spec.smtputf8 = (flags & JOB_SMTPUTF8) != 0;
	j->spec.requiretls = (flags & JOB_REQUIRETLS) != 0;
	j->spec.ret = ret_by_name(message_str(m, F_RET));
	return 0;
}

struct job *
job_new(const struct message *m, int fd)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	if (j == NULL)
		return NULL;
	r = fill(j, m, fd);
	if (r < 0) {
		errno = -r;
		return job_free(j);
	}
	return j;
}

static void
put_result(struct message *m, const struct smtp_reply *r, size_t text_max)
{
	struct smtp_reply shown = *r;
	char text[TEXT_MAX + 1];

	if (r->text != NULL) {
		size_t len = reply_cut(r->text, text_max);

		memcpy(text, r->text, len);
		text[len] = '\0';
		shown.text = text;
	}
	reply_put(m, F_RESULT, &shown);
}

struct message *
job_done(const struct job *j, const struct smtp_reply *replies, bool one, bool untried,
    const struct job_session *session, const char *transcript)
{
	struct message *m = message_new(M_JOB_DONE);
	size_t count = j->spec.recipient_count, text_max;
	char both[TRANSCRIPT_MAX + 1];
	const char *before = session->transcript == NULL ? "" : session->transcript;
	size_t first = reply_cut(before, SMTP_CLIENT_TRANSCRIPT_MAX);
	size_t second = transcript == NULL ? 0 : reply_cut(transcript, SMTP_CLIENT_TRANSCRIPT_MAX);

	if (m == NULL)
		return NULL;
	memcpy(both, before, first);
	if (second > 0)
		memcpy(both + first, transcript, second);
	message_put_u64(m, F_ID, j->id);
	message_put_u64(
	    m, F_FLAGS, (untried ? JOB_UNTRIED : 0) | (session->dsn ? JOB_DSN_PASSED : 0));
	message_put_str(m, F_ENDPOINT, session->endpoint);
	message_put_str(m, F_TLS, session->tls);
	message_put_str(m, F_MECHANISM, session->mechanism);
	if (first + second > 0)
		message_put_strn(m, F_TRANSCRIPT, both, first + second);
	text_max = (MESSAGE_MAX - PACKET_REST - first - second) / count;
	text_max = text_max > RESULT_HEAD + TEXT_LEAST ? text_max - RESULT_HEAD : TEXT_LEAST;
	if (text_max > TEXT_MAX)
		text_max = TEXT_MAX;
	for (size_t i = 0; replies != NULL && i < count; i++)
		put_result(m, &replies[one ? 0 : i], text_max);
	if (message_error(m) < 0)
		return message_free(m);
	return m;
}

struct message *
job_refused(const struct message *m, const char *words)
{
	const struct smtp_reply reply = {.fault = SMTP_FAULT_LOCAL, .text = words};
	struct message *done = message_new(M_JOB_DONE);
	const char *rcpt;
	size_t at = 0;

	message_put_u64(done, F_ID, message_u64(m, F_ID, 0));
	message_put_u64(done, F_FLAGS, words == NULL ? JOB_UNTRIED : 0);
	while (done != NULL && words != NULL && message_next_str(m, F_RCPT, &at, &rcpt))
		reply_put(done, F_RESULT, &reply);
	return done;
}
