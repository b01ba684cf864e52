/*
 * main.c: frank-https, the program of the fetch role. It is started when the keeper needs it and
 * ends when the keeper lets go of it.
 */
#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "broker/https/document.h"
#include "broker/https/fetch.h"
#include "broker/https/http.h"
#include "broker/role/role.h"

struct state {
	struct role *role;
	struct fetch *fetch;
};

static int
send_answer(void *arg, struct message *m)
{
	struct state *s = arg;
	struct channel *keeper = role_peer(s->role, ROLE_KEEPER);
	int r;

	if (keeper == NULL) {
		(void)message_free(m);
		return -EPIPE;
	}
	r = channel_send(keeper, m, -1);
	if (r == -EAGAIN) {
		/* an answer that cannot be handed over may bear a rotated refresh token; a keeper
		 * that reads no more is told by our end */
		log_error("The keeper does not read its answers.");
		role_exit(s->role, 1);
	}
	return r;
}

static const struct fetch_ops ops = {.answer = send_answer};

static int
start(struct role *r)
{
	struct state *s = role_state(r);

	s->role = r;
	/* libcurl writes to sockets by way of OpenSSL, which knows no MSG_NOSIGNAL */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	document_init();
	if (http_init() < 0)
		return -ENOMEM;
	s->fetch = fetch_new(role_base(r), &ops, s);
	return s->fetch == NULL ? -ENOMEM : 0;
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	fetch_message(((struct state *)role_state(r))->fetch, m, fd);
}

int
main(int argc, char **argv)
{
	static const struct role_def def = {
	    .id = ROLE_FETCH,
	    .log_name = "frankd[fetch]",
	    .start = start,
	    .message = on_message,
	};
	struct state state = {0};
	int status = role_main(&def, &state, argc, argv);

	state.fetch = fetch_free(state.fetch);
	return status;
}
