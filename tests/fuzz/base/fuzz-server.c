/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fuzz-server: the SMTP server engine (base/smtp/server.h). The first octet chooses the
 * configuration, the second how the stream is cut. The stream is run cut and whole: output and
 * calls must be the same, calls must come in their order, and every mail() must end in one reset().
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/smtp/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct smtp_server *s;
	struct buf out, calls;
	bool open, content, later, challenge_later;
	enum smtp_decision answer;
	unsigned count;
};

static void
note(struct run *r, char what, const char *text, size_t len)
{
	r->content = false;
	(void)buf_append_char(&r->calls, what);
	(void)buf_append(&r->calls, text, len);
	(void)buf_append_char(&r->calls, '\n');
}

/* Decides by an octet of what is decided on, so that the fuzzer steers it and a cut does not. */
static enum smtp_decision
decide(struct run *r, const char *text)
{
	size_t len = strlen(text);

	switch (len == 0 ? '0' : text[0]) {
	case 'n':
		smtp_server_refuse(r->s, 550, "5.1.1", "no %s", text);
		return SMTP_REFUSE;
	case 'r':
		return SMTP_REFUSE;
	case 'c':
		smtp_server_close(r->s, "4.3.2", "closing");
		return SMTP_ACCEPT;
	case 'l':
		r->later = true;
		r->answer = len % 2 == 0 ? SMTP_ACCEPT : SMTP_REFUSE;
		return SMTP_LATER;
	default:
		return SMTP_ACCEPT;
	}
}

static enum smtp_decision
on_mail(void *arg, const char *sender, const struct smtp_mail_params *params)
{
	struct run *r = arg;

	if (r->open)
		abort();
	r->open = true;
	note(r, 'm', sender, strlen(sender));
	return decide(r, sender);
}

static enum smtp_decision
on_rcpt(void *arg, const char *recipient, const struct smtp_rcpt_params *params)
{
	struct run *r = arg;

	if (!r->open)
		abort();
	note(r, 'r', recipient, strlen(recipient));
	return decide(r, recipient);
}

static enum smtp_decision
on_data(void *arg)
{
	struct run *r = arg;

	if (!r->open)
		abort();
	note(r, 'd', "", 0);
	return ++r->count % 7 == 0 ? SMTP_REFUSE : SMTP_ACCEPT;
}

static enum smtp_decision
on_content(void *arg, const char *bytes, size_t len)
{
	struct run *r = arg;

	if (!r->open || len == 0)
		abort();
	if (!r->content)
		note(r, 'c', "", 0);
	r->content = true;
	(void)buf_append(&r->calls, bytes, len);
	return SMTP_ACCEPT;
}

static enum smtp_decision
on_end(void *arg)
{
	struct run *r = arg;

	if (!r->open)
		abort();
	note(r, 'e', "", 0);
	smtp_server_reply_text(r->s, "queued");
	r->answer = SMTP_ACCEPT;
	r->later = ++r->count % 2 == 0;
	return r->later ? SMTP_LATER : SMTP_ACCEPT;
}

static void
on_reset(void *arg)
{
	struct run *r = arg;

	r->open = false;
	note(r, 'x', "", 0);
}

static enum smtp_decision
on_auth(void *arg, const char *mechanism, const char *response, size_t len)
{
	struct run *r = arg;

	note(r, 'a', response == NULL ? "" : response, len);
	if (response == NULL || len > 3) {
		if (++r->count % 2 == 0)
			smtp_server_challenge(r->s, "more", 4);
		else
			r->challenge_later = true;
		return SMTP_LATER;
	}
	return len == 2 ? SMTP_REFUSE : SMTP_ACCEPT;
}

static void
on_starttls(void *arg)
{
	note(arg, 't', "", 0);
}

static bool
on_known(void *arg, const char *id)
{
	note(arg, 'k', id, strlen(id));
	return id[0] == 'a';
}

static enum smtp_decision
on_list(void *arg, struct buf *out)
{
	note(arg, 'l', "", 0);
	return buf_append_str(out, "one\ntwo\n") == 0 ? SMTP_ACCEPT : SMTP_REFUSE;
}

static enum smtp_decision
on_expand(void *arg, const char *address, struct buf *out)
{
	note(arg, 'x', address, strlen(address));
	(void)buf_append_str(out, "one\ntwo\n");
	return address[0] == 'n' ? SMTP_REFUSE : SMTP_ACCEPT;
}

static enum smtp_decision
on_aliases(void *arg)
{
	struct run *r = arg;

	note(r, 'A', "", 0);
	r->later = true;
	r->answer = SMTP_REFUSE;
	return SMTP_LATER;
}

/* NOOP waits, VRFY is refused. */
static enum smtp_decision
on_command(void *arg, enum smtp_verb verb)
{
	struct run *r = arg;

	if (verb == SMTP_VERB_NOOP) {
		r->later = true;
		r->answer = SMTP_ACCEPT;
		return SMTP_LATER;
	}
	return verb == SMTP_VERB_VRFY ? SMTP_REFUSE : SMTP_ACCEPT;
}

static void
on_trace(void *arg, bool from_client, const char *text, size_t len)
{
	struct run *r = arg;

	(void)buf_append(&r->calls, text, len);
}

static const struct smtp_server_ops ops = {
    .command = on_command,
    .trace = on_trace,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .end = on_end,
    .reset = on_reset,
    .auth = on_auth,
    .starttls = on_starttls,
    .known = on_known,
    .list = on_list,
    .expand = on_expand,
    .aliases = on_aliases,
};

static void
pump(struct run *r)
{
	for (;;) {
		const struct buf *out = smtp_server_output(r->s);

		if (out->len > 0) {
			(void)buf_append(&r->out, out->data, out->len);
			smtp_server_wrote(r->s, out->len);
		} else if (smtp_server_closing(r->s)) {
			return;
		} else if (r->challenge_later) {
			r->challenge_later = false;
			smtp_server_challenge(r->s, "later", 5);
		} else if (r->later) {
			r->later = false;
			smtp_server_answer(r->s, r->answer);
		} else {
			return;
		}
	}
}

static void
run(struct run *r, const struct smtp_server_config *config, const char *bytes, size_t size,
    size_t step)
{
	*r = (struct run){.out = BUF_INIT(8 << 20), .calls = BUF_INIT(8 << 20)};
	r->s = smtp_server_new(config, &ops, r);
	if (r->s == NULL)
		abort();
	for (size_t at = 0; at < size; at += step) {
		if (smtp_server_input(r->s, bytes + at, step < size - at ? step : size - at) < 0)
			abort();
		pump(r);
	}
	if (!smtp_server_closing(r->s) && r->later)
		abort();
	smtp_server_eof(r->s);
	if (!smtp_server_closing(r->s) || r->open)
		abort();
	r->s = smtp_server_free(r->s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_server_config config = {
	    .hostname = "h", .software = "s", .auth_mechanisms = "PLAIN LOGIN", .extensions = ~0U};
	struct run whole, cut;

	if (size < 2 || size > 60000)
		return 0;
	config.lenient = config.bare_line_ends = (data[0] & 1) != 0;
	config.lf_sessions = (data[0] & 2) != 0;
	config.size_max = (data[0] & 4) != 0 ? 20 : 0;
	config.recipients_max = (data[0] & 8) != 0 ? 2 : 0;
	config.bad_commands_max = (data[0] & 16) != 0 ? 3 : 0;
	config.auth_required = (data[0] & 32) != 0;
	/* Where STARTTLS is offered it matters what came together with it: nothing is compared
	 * then. */
	if ((data[0] & 64) == 0)
		config.extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
	run(&whole, &config, (const char *)data + 2, size - 2, size);
	run(&cut, &config, (const char *)data + 2, size - 2, 1 + data[1] % 40);
	if ((data[0] & 64) == 0 &&
	    (whole.out.len != cut.out.len ||
		memcmp(buf_str(&whole.out), buf_str(&cut.out), whole.out.len) != 0 ||
		whole.calls.len != cut.calls.len ||
		memcmp(buf_str(&whole.calls), buf_str(&cut.calls), whole.calls.len) != 0))
		abort();
	buf_free(&whole.out);
	buf_free(&whole.calls);
	buf_free(&cut.out);
	buf_free(&cut.calls);
	return 0;
}
