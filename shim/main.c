/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * main.c: sendmail, mailq, newaliases.
 *
 * See shim.h for what this program is, sendmail(8) for its options and exit statuses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/io.h"
#include "config.h"
#include "shim/shim.h"

/* The drop directory belongs to the built-in socket; another socket has the one that is named, or
 * none. A caller with rights that the environment's author has not (a set-uid program) is led
 * nowhere else. */
static struct shim_places
find_places(void)
{
	struct shim_places p = {.socket = secure_getenv("FRANK_SUBMIT_SOCKET"),
	    .drop = secure_getenv("FRANK_DROP_DIR")};

	if (p.drop != NULL && p.drop[0] == '\0')
		p.drop = NULL;
	if (p.socket == NULL || p.socket[0] == '\0') {
		p.socket = FRANK_SUBMIT_SOCKET;
		p.config = FRANK_CONFIG_FILE;
		p.drop = p.drop != NULL ? p.drop : FRANK_DROP_DIR;
	}
	return p;
}

static int
complain(const struct shim_options *o, int status, const char *what, const char *about)
{
	if (!o->quiet)
		say(what, about);
	return status;
}

static int
collect_arguments(const struct shim_options *o, struct recipients *to)
{
	for (size_t i = 0; i < o->recipient_count; i++) {
		int r = recipients_add_list(to, o->recipients[i], strlen(o->recipients[i]));

		if (r == -EBADMSG)
			return complain(
			    o, EX_USAGE, "this recipient is no address: ", o->recipients[i]);
		if (r < 0)
			return complain(
			    o, EX_TEMPFAIL, "too many recipients; nothing was stored", "");
	}
	return EX_OK;
}

static int
collect_header(const struct shim_options *o, struct recipients *to, struct input *in)
{
	const char *field = NULL;
	size_t len = 0;
	int r = input_fill_header(in, &len);

	if (r == -EMSGSIZE)
		return complain(
		    o, EX_DATAERR, "the header section is over 1 MiB; nothing was stored", "");
	if (r < 0)
		return complain(
		    o, EX_IOERR, "standard input could not be read; nothing was stored", "");
	r = recipients_add_header(to, in->data, len, &field);
	if (r == -EBADMSG)
		return complain(o, EX_DATAERR,
		    "nothing was stored: there is something that is no address in the field ",
		    field);
	if (r < 0)
		return complain(o, EX_TEMPFAIL, "too many recipients; nothing was stored", "");
	return EX_OK;
}

/* The sender of -f: an address, or a name with an address. *ret is NULL where none was given. */
static int
read_sender(const struct shim_options *o, struct recipients *scratch, const char **ret)
{
	size_t at = 0;

	*ret = o->sender;
	if (o->sender == NULL || o->sender[0] == '\0')
		return EX_OK;
	if (recipients_add_list(scratch, o->sender, strlen(o->sender)) < 0 || scratch->count > 1)
		return complain(o, EX_USAGE, "the sender is no address: ", o->sender);
	*ret = recipients_next(scratch, &at);
	/* such as "Name <>" */
	if (*ret == NULL)
		*ret = "";
	return EX_OK;
}

static int
deliver(const struct shim_options *o, const struct shim_places *where, struct recipients *to,
    const char *sender)
{
	static char first[INPUT_CHUNK]; /* not on a stack that a caller may have made small */
	struct input in;
	int status;

	input_init(&in, STDIN_FILENO, first, !o->ignore_dots);
	status = o->extract ? collect_header(o, to, &in) : EX_OK;
	if (status == EX_OK && to->count == 0)
		status = complain(o, EX_USAGE,
		    o->extract ? "no recipients, neither in the header nor as arguments"
			       : "no recipients: name them as arguments, or use -t",
		    "");
	if (status == EX_OK)
		status = submit(o, where, to, sender, &in);
	input_free(&in);
	return status;
}

/* What needs addresses. */
static int
with_addresses(const struct shim_options *o, const struct shim_places *where)
{
	struct recipients to = RECIPIENTS_INIT, from = RECIPIENTS_INIT;
	const char *sender = NULL;
	int status = read_sender(o, &from, &sender);

	if (status == EX_OK)
		status = collect_arguments(o, &to);
	if (status == EX_OK)
		status = o->mode == MODE_VERIFY ? mode_verify(o, where, &to, sender)
						: deliver(o, where, &to, sender);
	recipients_free(&to);
	recipients_free(&from);
	return status;
}

int
main(int argc, char **argv)
{
	static const char version[] = "Frank " FRANK_VERSION "\n";
	struct shim_places where = find_places();
	struct shim_options o;
	int status = options_parse(argc, argv, &o);

	if (status != EX_OK)
		return complain(&o, status, o.wrong, o.wrong_word);
	switch (o.mode) {
	case MODE_SMTP:
		return relay_smtp(&where);
	case MODE_LIST:
		return mode_list(&where);
	case MODE_FLUSH:
		return mode_flush(&where);
	case MODE_ALIASES:
		return mode_aliases(&o, &where);
	case MODE_DAEMON:
		/* Scripts of other mail systems start their daemon so; ours runs already, or is the
		 * service manager's to start. */
		say("the mail daemon is frankd, which the service manager starts; nothing was "
		    "started",
		    NULL);
		return EX_OK;
	case MODE_NOTHING:
		return EX_OK;
	case MODE_VERSION:
		return io_write_all(STDOUT_FILENO, version, sizeof(version) - 1) < 0 ? EX_IOERR
										     : EX_OK;
	case MODE_DELIVER:
	case MODE_VERIFY:
		break;
	}
	return with_addresses(&o, &where);
}
