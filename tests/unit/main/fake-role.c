/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * A role for the test of frankd's supervision: it logs what it is given and does what signals say.
 * USR1: asks for its network role (ALRM: for tls). USR2: lets go of it. Which role it is, its name says
 * (frank-queue, ...).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/conf/conf.h"
#include "broker/role/role.h"

static const struct {
	const char *program, *log_name;
	enum role_id id, needs;
} roles[] = {
    {"frank-queue", "frankd[queue]", ROLE_QUEUE, ROLE_SEND},
    {"frank-keeper", "frankd[keeper]", ROLE_KEEPER, ROLE_FETCH},
    {"frank-https", "frankd[fetch]", ROLE_FETCH, ROLE_MAIN},
    {"frank-send", "frankd[send]", ROLE_SEND, ROLE_MAIN},
    {"frank-post", "frankd[post]", ROLE_POST, ROLE_MAIN},
    {"frank-tls", "frankd[tls]", ROLE_TLS, ROLE_MAIN},
};

struct fake {
	size_t which;
	unsigned accounts, services, listeners, secrets, files;
	struct event *usr1, *usr2, *winch, *hup, *alarm;
	struct role *role;
};

static void
on_usr1(evutil_socket_t number, short what, void *arg)
{
	struct fake *f = arg;

	role_need(f->role, roles[f->which].needs);
}

static void
on_alarm(evutil_socket_t number, short what, void *arg)
{
	struct fake *f = arg;

	role_need(f->role, ROLE_TLS);
}

static void
on_usr2(evutil_socket_t number, short what, void *arg)
{
	struct fake *f = arg;

	role_drop(f->role, roles[f->which].needs);
}

static void
on_winch(evutil_socket_t number, short what, void *arg)
{
	on_usr2(number, what, arg);
	on_usr1(number, what, arg);
}

static void
on_hup(evutil_socket_t number, short what, void *arg)
{
	struct fake *f = arg;
	struct message *m = message_new(M_RELOAD);

	message_put_u64(m, F_ID, 7);
	(void)channel_send(role_main_channel(f->role), m, -1);
}

/* Nothing of whoever started frankd is open here. */
static void
log_null_descriptors(void)
{
	struct stat st;

	for (int fd = 3; fd < 64; fd++)
		if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			log_notice("descriptor %d is /dev/null", fd);
}

static int
start(struct role *r)
{
	struct fake *f = role_state(r);
	static const char *const dirs[] = {"state", "bodies", "drop", "tokens"};

	f->role = r;
	log_null_descriptors();
	f->usr1 = evsignal_new(role_base(r), SIGUSR1, on_usr1, f);
	f->usr2 = evsignal_new(role_base(r), SIGUSR2, on_usr2, f);
	f->hup = evsignal_new(role_base(r), SIGHUP, on_hup, f);
	f->winch = evsignal_new(role_base(r), SIGWINCH, on_winch, f);
	f->alarm = evsignal_new(role_base(r), SIGALRM, on_alarm, f);
	if (f->alarm == NULL || event_add(f->alarm, NULL) < 0)
		return -ENOMEM;
	if (f->usr1 == NULL || f->winch == NULL || event_add(f->winch, NULL) < 0 ||
	    f->hup == NULL || event_add(f->hup, NULL) < 0 || f->usr2 == NULL ||
	    event_add(f->usr1, NULL) < 0 || event_add(f->usr2, NULL) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		struct stat st;

		if (role_dir(r, dirs[i]) >= 0 && fstat(role_dir(r, dirs[i]), &st) == 0)
			log_notice("dir %s %04o", dirs[i], (unsigned)st.st_mode & 07777);
	}
	log_notice("started uid=%d state=%s", (int)getuid(), role_state_path(r));
	return 0;
}

/* What of a block is a secret. */
static void
count_block(struct fake *f, const struct message *m)
{
	enum conf_block block = (enum conf_block)message_u64(m, F_BLOCK, CONF_BLOCK_TOP);
	const uint8_t *setting;
	size_t at = 0, len;

	f->accounts += block == CONF_BLOCK_ACCOUNT;
	f->services += block == CONF_BLOCK_SERVICE;
	f->listeners += block == CONF_BLOCK_LISTENER;
	while (message_next(m, F_SETTING, &at, &setting, &len))
		f->secrets += conf_types[conf_blocks[block].keys[setting[0]].type].kind ==
			      CONF_KIND_REFERENCE;
}

static void
count(struct fake *f, const struct message *m, int fd)
{
	const char *lapse;

	switch (message_type(m)) {
	case M_CONF_BEGIN:
		f->accounts = f->services = f->listeners = f->files = f->secrets = 0;
		for (size_t at = 0; message_next_str(m, F_WARNING, &at, &lapse);)
			log_notice("out of force: %s", lapse);
		break;
	case M_CONF_BLOCK:
		count_block(f, m);
		break;
	case M_CONF_FILE:
		f->files++;
		break;
	case M_CONF_END:
		if (f->listeners > 0)
			log_notice("listeners=%u secrets=%u", f->listeners, f->secrets);
		log_notice("configuration %d: accounts=%u services=%u secrets=%u files=%u",
		    (int)message_u64(m, F_GENERATION, 0), f->accounts, f->services, f->secrets,
		    f->files);
		break;
	case M_RELOAD_RESULT:
		log_notice("reload: %s%s",
		    message_has(m, F_ERROR) ? message_str(m, F_ERROR) : "good",
		    message_has(m, F_WARNING) ? message_str(m, F_WARNING) : "");
		break;
	case M_USER_ANSWER:
		log_notice("user %d is %s", (int)message_u64(m, F_UID, 0),
		    message_has(m, F_USER_NAME) ? message_str(m, F_USER_NAME) : "unknown");
		break;
	default:
		log_notice("message %s", message_type_name(message_type(m)));
	}
}

static void
on_message(struct role *r, struct channel *from, const struct message *m, int fd)
{
	count(role_state(r), m, fd);
	if (fd >= 0)
		(void)close(fd);
}

static void
on_listen(struct role *r, const char *name, const char *service, int fd)
{
	log_notice(
	    "listen %s%s%s", name, service == NULL ? "" : " of ", service == NULL ? "" : service);
	if (strcmp(name, "submit") == 0 && service == NULL) {
		struct message *m = message_new(M_USER_QUERY);

		message_put_u64(m, F_UID, 0);
		(void)channel_send(role_main_channel(r), m, -1);
	}
	(void)close(fd);
}

static void
on_peer(struct role *r, enum role_id peer, bool up)
{
	log_notice("peer %s %s", message_role_name(peer), up ? "up" : "down");
}

static void
on_shutdown(struct role *r)
{
	log_notice("shutdown");
	role_exit(r, 0);
}

int
main(int argc, char **argv)
{
	struct fake f = {0};
	struct role_def def = {
	    .start = start,
	    .message = on_message,
	    .listen = on_listen,
	    .peer = on_peer,
	    .shutdown = on_shutdown,
	};
	char hangs[4096];
	int status;

	while (f.which + 1 < sizeof(roles) / sizeof(roles[0]) &&
	       strcmp(basename(argv[0]), roles[f.which].program) != 0)
		f.which++;
	(void)snprintf(
	    hangs, sizeof(hangs), "%s/%s-hangs", argc > 1 ? argv[1] : "", roles[f.which].program);
	while (access(hangs, F_OK) == 0)
		(void)pause();
	def.id = roles[f.which].id;
	def.log_name = roles[f.which].log_name;
	status = role_main(&def, &f, argc, argv);
	return status;
}
