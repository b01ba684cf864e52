/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * frankd.c: the daemon's main(): options, configuration, folders, sockets; then it only supervises
 * (supervisor.h) and acts on signals. It reads nothing that comes from outside but its
 * configuration, and two kinds of question from queue.
 *
 * SIGHUP reloads, SIGTERM and SIGINT stop, a second one at once. Exit status: 0; 64 usage; 78
 * configuration; 69 another frankd has the state folder or a socket; 71 the system refused
 * something; 70 a role died before all were ready; 74 one could not use its files.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/option.h"
#include "broker/conf/describe.h"
#include "broker/main/entrances.h"
#include "broker/main/folders.h"
#include "broker/main/key.h"
#include "broker/main/notify.h"
#include "broker/main/places.h"
#include "broker/main/programs.h"
#include "broker/main/reload.h"
#include "broker/main/settings.h"
#include "broker/main/sockets.h"
#include "broker/main/supervisor.h"
#include "broker/role/confine.h"
#include "config.h"

enum { REPORT_MAX = 256 * 1024, INHERITED_MAX = 1024, LATE_FIRST = 4, LATE_MOST = 600 };

struct options {
	const char *config;
	bool check, providers, one_user, foreground;
};

struct frankd {
	struct options options;
	struct places places;
	char config[PATH_MAX], provider_dir[PATH_MAX];
	struct conf_environment environment;
	struct settings *settings;
	struct reload *reload;
	struct folders folders;
	struct sockets sockets;
	struct entrances entrances;
	struct programs programs;
	struct event_base *base;
	struct event *hangup, *terminate, *interrupt;
	struct event *late;    /* for users who were not known */
	unsigned late_seconds; /* until the next look */
	struct supervisor *supervisor;
	int launcher; /* pipe to the process that the shell waits for, or -1 */
	bool ready, stopped;
	int status;
};

static const char usage_text[] =
    "usage: frankd [-c FILE] [--check | --providers] [--user] [--foreground]\n"
    "\n"
    "The Frank daemon: takes mail from programs and submits it with credentials that only it "
    "holds.\n"
    "\n"
    "  -c, --config FILE  read this configuration (default: " FRANK_CONFIG_FILE ";\n"
    "                     with --user ~/.config/frank/frank.conf)\n"
    "      --check        check the configuration and every file it names; start nothing\n"
    "      --providers    print what providers there are, for frank account add; start nothing\n"
    "      --user         run every role as the user who starts it, with folders of their own\n"
    "      --foreground   stay in the foreground and log to standard error\n"
    "      --help         print this\n"
    "      --version      print the version\n"
    "\n"
    "See frankd(8) and frank.conf(5).\n";

/* ---- options ---- */

static void
complain_of_option(char *const *argv)
{
	const char letter[] = {'-', (char)optopt, '\0'};
	const char *word = optopt > 0 && optopt <= CHAR_MAX ? letter : argv[optind - 1];

	(void)fprintf(stderr,
	    "frankd: the option %.*s is unknown, or is not used so.\nTry 'frankd --help'.\n",
	    option_name_length(word), word);
}

/* Returns -1 to go on, else the exit status. */
static int
parse_options(struct options *o, int argc, char **argv)
{
	enum { CHECK = 256, PROVIDERS, ONE_USER, FOREGROUND, HELP, VERSION };
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, CHECK},
	    {"providers", no_argument, NULL, PROVIDERS},
	    {"user", no_argument, NULL, ONE_USER},
	    {"foreground", no_argument, NULL, FOREGROUND},
	    {"help", no_argument, NULL, HELP},
	    {"version", no_argument, NULL, VERSION},
	    {NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0; /* getopt's own words would repeat a value */
	while ((c = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case CHECK:
			o->check = true;
			break;
		case PROVIDERS:
			o->providers = true;
			break;
		case ONE_USER:
			o->one_user = true;
			break;
		case FOREGROUND:
			o->foreground = true;
			break;
		case HELP:
			return fputs(usage_text, stdout) < 0 ? EX_IOERR : EX_OK;
		case VERSION:
			return printf("frankd %s\n", FRANK_VERSION) < 0 ? EX_IOERR : EX_OK;
		default:
			complain_of_option(argv);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		(void)fputs("frankd: it takes options only.\nTry 'frankd --help'.\n", stderr);
		return EX_USAGE;
	}
	return -1;
}

/* Absolute, because a daemon in the background stands in the root folder when it reloads. */
static int
find_config(struct frankd *d)
{
	const char *path = d->options.config == NULL ? d->places.config : d->options.config;
	int r;

	if (realpath(path, d->config) != NULL)
		return 0;
	r = -errno;
	/* who adds a first account has none yet */
	if (r == -ENOENT && d->options.providers && *path == '/' &&
	    strlen(path) < sizeof(d->config)) {
		(void)snprintf(d->config, sizeof(d->config), "%s", path);
		return 0;
	}
	log_error("The configuration %s cannot be read: %s.%s", path, strerror(-r),
	    r == -ENOENT
		? " Write one: frank.conf(5) explains it, and examples are in " FRANK_EXAMPLES_DIR
		  "."
		: "");
	return r;
}

/* ---- configuration ---- */

/* One log line for each line of a report. */
static void
log_report(const struct buf *report, enum log_level level)
{
	const char *s = buf_str(report);

	while (*s != '\0') {
		size_t len = strcspn(s, "\n");
		CLEANUP_FREE char *line = strndup(s, len);
		bool warning = line != NULL && strstr(line, ": warning: ") != NULL;

		if (line != NULL && len > 0)
			log_line(
			    warning ? LOG_LEVEL_WARNING : level, line, LOG_PAIRS({LOG_END, NULL}));
		s += len + (s[len] == '\n');
	}
}

/*
 * Nothing would keep a role that runs as root apart from the others, or from the rest of the system.
 * So no role may, also where the users of the others exist. False where none would; else `why` says
 * which users are missing.
 */
static bool
would_run_as_root(const struct frankd *d, const struct identity *owner, struct buf *why)
{
	CLEANUP_BUF struct buf missing = BUF_INIT(256);
	const char *last = "", *user;
	struct identity i;

	if (geteuid() != 0 || d->options.one_user)
		return false;
	for (enum role_id role = 0; role < ROLE_COUNT; role++) {
		user = identity_user_name(role);
		if (user == NULL || strcmp(user, last) == 0 ||
		    identity_of(role, false, owner, &i) < 0 || i.uid != 0)
			continue;
		(void)buf_printf(&missing, "%s%s", missing.len == 0 ? "" : ", ", user);
		last = user;
	}
	if (missing.len == 0)
		return false;
	(void)buf_printf(why,
	    "There is no user %s, and root owns the state folder, so roles would run as root. Make "
	    "the users (systemd-sysusers), or give the state folder to another user; with --user "
	    "all roles run as whoever starts frankd.",
	    buf_str(&missing));
	return true;
}

/* What would be found only when frankd starts. */
static int
check_start(const struct settings *s, struct buf *report)
{
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	int r = sockets_check(settings_conf(s)->runtime_dir, &why);

	if (r == 0)
		r = entrances_check(settings_conf(s), &why);
	if (r == 0)
		r = key_check(s, &why);
	if (r < 0)
		(void)buf_printf(report, "error: %s\n", buf_str(&why));
	return r;
}

static void
warn_of_root(const struct frankd *d, const char *state_dir, struct buf *report)
{
	CLEANUP_BUF struct buf why = BUF_INIT(1024);
	struct identity owner = {0};
	struct stat st;

	if (stat(state_dir, &st) < 0)
		return;
	owner.uid = st.st_uid;
	if (would_run_as_root(d, &owner, &why))
		(void)buf_printf(report, "warning: frankd would not start: %s\n", buf_str(&why));
}

static int
check(const struct frankd *d)
{
	CLEANUP_BUF struct buf report = BUF_INIT(REPORT_MAX);
	struct settings *s = NULL;
	int r = settings_load(d->config, &d->environment, 1, &s, &report);

	if (r == 0)
		r = check_start(s, &report);
	if (r == 0)
		warn_of_root(d, settings_conf(s)->state_dir, &report);
	(void)fputs(buf_str(&report), stderr);
	if (r < 0) {
		(void)settings_free(s);
		(void)fprintf(stderr, "%s: not usable.\n", d->config);
		return EX_CONFIG;
	}
	(void)printf("%s: good (accounts: %zu, services: %zu).\n", d->config,
	    settings_conf(s)->account_count, settings_conf(s)->service_count);
	(void)settings_free(s);
	return EX_OK;
}

static int
print_providers(const struct frankd *d)
{
	CLEANUP_BUF struct buf out = BUF_INIT(REPORT_MAX), report = BUF_INIT(REPORT_MAX);
	int r = describe_conf(d->config, &d->environment, &out, &report);

	(void)fputs(buf_str(&report), stderr);
	if (r < 0)
		return EX_OSERR;
	return fputs(buf_str(&out), stdout) < 0 ? EX_IOERR : EX_OK;
}

static int
load_first(struct frankd *d)
{
	CLEANUP_BUF struct buf report = BUF_INIT(REPORT_MAX);
	struct conf_environment lenient = d->environment;
	int r;

	/* Mail of others does not wait for one secret or one user that is gone since. */
	lenient.lenient = true;
	r = settings_load(d->config, &lenient, 1, &d->settings, &report);
	log_report(&report, LOG_LEVEL_ERROR);
	if (r < 0) {
		log_error(
		    "The configuration %s is not usable, so frankd does not start.", d->config);
		return r;
	}
	log_open("frankd", settings_conf(d->settings)->log_level);
	return 0;
}

/* Where things live cannot change under running roles. */
static int
check_places(const struct frankd *d, const struct settings *next, struct buf *why)
{
	const struct conf *old = settings_conf(d->settings), *new = settings_conf(next);

	if (strcmp(old->runtime_dir, new->runtime_dir) == 0 &&
	    strcmp(old->state_dir, new->state_dir) == 0)
		return 0;
	(void)buf_printf(why, "runtime-dir and state-dir change only by a restart of frankd.\n");
	return -EINVAL;
}

static void
on_reload_begin(void *arg)
{
	struct frankd *d = arg;

	if (d->ready)
		notify_reloading();
	supervisor_reload_begins(d->supervisor);
}

static const struct settings *
current_settings(void *arg)
{
	const struct frankd *d = arg;

	return d->settings;
}

static int
take_settings(void *arg, struct settings *next, struct commands *commands, struct buf *why)
{
	struct frankd *d = arg;
	struct settings *old = d->settings;
	struct entrances entrances;
	int r = check_places(d, next, why);

	if (r == 0)
		r = key_read_again(next, old, &d->folders, commands, why);
	if (r == 0)
		r = entrances_open(&d->entrances, settings_conf(next),
		    settings_is_lenient(next) ? next : NULL, &entrances, why);
	if (r < 0)
		return r;
	d->settings = next;
	log_open("frankd", settings_conf(next)->log_level);
	entrances_replace(&d->entrances, &entrances);
	supervisor_reconfigure(d->supervisor, next);
	(void)settings_free(old);
	(void)malloc_trim(0);
	return 0;
}

/* A directory server may answer only after the start: users and groups who were not known are looked for again, less and less often. */
static void
watch_late(struct frankd *d)
{
	const struct conf *c = settings_conf(d->settings);
	const struct timeval tv = {.tv_sec = (time_t)d->late_seconds};

	if (c->missing_users.count + c->missing_groups.count > 0)
		(void)event_add(d->late, &tv);
	d->late_seconds = d->late_seconds * 2 < LATE_MOST ? d->late_seconds * 2 : LATE_MOST;
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct frankd *d = arg;
	const char *name = load_find_late(settings_conf(d->settings));

	if (name == NULL) {
		watch_late(d);
		return;
	}
	log_notice("%s is known now: the configuration is looked at again.", name);
	reload_look_again(d->reload);
}

static void
on_reload_end(void *arg, int r, const struct buf *why)
{
	struct frankd *d = arg;

	log_report(why, r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING);
	if (r < 0)
		log_error("The new configuration is not usable; the old one stays in force.");
	else
		log_notice("Configuration %llu is in force (accounts: %zu, services: %zu).",
		    (unsigned long long)settings_generation(d->settings),
		    settings_conf(d->settings)->account_count,
		    settings_conf(d->settings)->service_count);
	supervisor_reload_ends(d->supervisor, r, buf_str(why));
	watch_late(d);
	if (d->ready)
		notify_send("READY=1");
}

static void
on_reload_asked(void *arg)
{
	struct frankd *d = arg;

	reload_ask(d->reload);
}

/* newaliases. */
static int
read_aliases(void *arg, struct buf *report)
{
	struct frankd *d = arg;
	int r = settings_aliases_read(d->settings, report);

	if (r == 0)
		(void)buf_printf(report, "%s: %zu aliases in force\n",
		    settings_aliases(d->settings)->path, settings_aliases(d->settings)->count);
	log_report(report, r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE);
	return r;
}

/* ---- start ---- */

/* Logs what went wrong and turns it into an exit status. */
static int
give_up(const char *doing, const struct buf *why, int err)
{
	if (why->len > 0)
		log_error("%s: %s", doing, buf_str(why));
	else
		log_error("%s: %s.", doing, strerror(-err));
	return err == -EBUSY || err == -EADDRINUSE ? EX_UNAVAILABLE : EX_OSERR;
}

static int
open_places(struct frankd *d)
{
	const struct conf *c = settings_conf(d->settings);
	const struct entrances none = ENTRANCES_INIT;
	CLEANUP_BUF struct buf why = BUF_INIT(4096);
	int r = folders_open(&d->folders, c->state_dir, &why);

	if (r == 0 && would_run_as_root(d, &d->folders.owner, &why)) {
		log_error("frankd does not start: %s", buf_str(&why));
		return EX_CONFIG;
	}
	if (r == 0)
		r = folders_prepare(&d->folders, d->options.one_user, &why);
	if (r == 0)
		r = folder_make(c->runtime_dir, &why);
	if (r == 0)
		r = programs_open(&d->programs, &why);
	if (r == 0)
		r = sockets_open(&d->sockets, c->runtime_dir, &why);
	if (r == 0)
		r = entrances_open(&none, c, d->settings, &d->entrances, &why);
	if (r < 0)
		return give_up("frankd cannot start", &why, r);
	r = key_read(d->settings, &d->folders, d->programs.keyring, &why);
	if (r < 0) {
		log_error("frankd cannot start: %s", buf_str(&why));
		return EX_CONFIG;
	}
	return -1;
}

/*
 * Whatever the starter left behind must not matter: its umask would shut users out of the folder of
 * the sockets, and its descriptors would reach the roles. Undumpable before a secret is read, and
 * as many descriptors as the system allows: thousands of certificate files may be configured.
 */
static void
harden(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit files;

	(void)umask(022);
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0) /* Linux 5.11 */
		for (int fd = 3; fd < INHERITED_MAX; fd++)
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef FRANK_SANITIZED /* LeakSanitizer looks into the process as a debugger does */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void
warn_of_weakness(const struct frankd *d)
{
	if (confine_landlock_version() == 0)
		log_warning("This kernel has no Landlock: the roles are kept apart by their users "
			    "and by seccomp alone.");
}

/* ---- background ---- */

/* The process that the shell waits for ends when the daemon is ready, or with its status. -1: this
 * is the daemon. */
static int
go_background(struct frankd *d)
{
	unsigned char status;
	int ends[2], left;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_error("frankd cannot go to the background: %s.", strerror(errno));
		return EX_OSERR;
	}
	if (pid == 0) {
		(void)close(ends[0]);
		d->launcher = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
		(void)close(ends[1]);
		(void)setsid();
		return -1;
	}
	(void)close(ends[1]);
	while ((left = (int)read(ends[0], &status, 1)) < 0 && errno == EINTR)
		continue;
	return left == 1 ? status : EX_SOFTWARE;
}

static void
tell_launcher(struct frankd *d, int status)
{
	unsigned char octet = (unsigned char)status;

	if (d->launcher < 0)
		return;
	(void)!write(d->launcher, &octet, 1);
	(void)close(TAKE_FD(d->launcher));
}

static void
leave_terminal(const struct frankd *d)
{
	if (dup2(d->programs.null, STDIN_FILENO) < 0 || dup2(d->programs.null, STDOUT_FILENO) < 0 ||
	    chdir("/") < 0)
		log_warning("The terminal cannot be left: %s.", strerror(errno));
}

/* ---- the loop ---- */

static void
on_ready(void *arg)
{
	struct frankd *d = arg;
	const struct conf *c = settings_conf(d->settings);

	log_notice("frankd %s is ready (accounts: %zu, services: %zu), sockets in %s.",
	    FRANK_VERSION, c->account_count, c->service_count, c->runtime_dir);
	d->ready = true;
	log_started();
	notify_send("READY=1");
	if (d->launcher >= 0)
		leave_terminal(d);
	tell_launcher(d, EX_OK);
	(void)malloc_trim(0);
}

static void
on_stopped(void *arg, int status)
{
	struct frankd *d = arg;

	d->stopped = true;
	d->status = status;
	(void)event_base_loopbreak(d->base);
}

static void
on_hangup(evutil_socket_t number, short what, void *arg)
{
	on_reload_asked(arg);
}

static void
on_terminate(evutil_socket_t number, short what, void *arg)
{
	struct frankd *d = arg;

	notify_send("STOPPING=1");
	log_notice("frankd stops.");
	supervisor_stop(d->supervisor, EX_OK);
}

static int
make_loop(struct frankd *d)
{
	d->base = event_base_new();
	if (d->base == NULL)
		return -ENOMEM;
	d->hangup = evsignal_new(d->base, SIGHUP, on_hangup, d);
	d->terminate = evsignal_new(d->base, SIGTERM, on_terminate, d);
	d->interrupt = evsignal_new(d->base, SIGINT, on_terminate, d);
	d->late = evtimer_new(d->base, on_late, d);
	d->late_seconds = LATE_FIRST;
	if (d->hangup == NULL || d->terminate == NULL || d->interrupt == NULL || d->late == NULL ||
	    event_add(d->hangup, NULL) < 0 || event_add(d->terminate, NULL) < 0 ||
	    event_add(d->interrupt, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int
supervise(struct frankd *d)
{
	const struct reload_def reload = {
	    .base = d->base,
	    .config = d->config,
	    .environment = &d->environment,
	    .begin = on_reload_begin,
	    .current = current_settings,
	    .take = take_settings,
	    .end = on_reload_end,
	    .arg = d,
	};
	const struct supervisor_def def = {
	    .base = d->base,
	    .programs = &d->programs,
	    .folders = &d->folders,
	    .sockets = &d->sockets,
	    .entrances = &d->entrances,
	    .one_user = d->options.one_user,
	    .ready = on_ready,
	    .stopped = on_stopped,
	    .reload = on_reload_asked,
	    .watch_ms = notify_watch_ms(),
	    .aliases = read_aliases,
	    .arg = d,
	};

	d->reload = reload_new(&reload);
	if (d->reload == NULL) {
		log_error("Out of memory.");
		return EX_OSERR;
	}
	d->supervisor = supervisor_new(&def, d->settings);
	if (d->supervisor == NULL) {
		log_error("The roles cannot be supervised: %s.", strerror(errno));
		return EX_OSERR;
	}
	watch_late(d);
	if (!d->stopped)
		(void)event_base_dispatch(d->base);
	return d->status;
}

static int
run(struct frankd *d)
{
	int r = find_config(d);

	if (r < 0)
		return EX_CONFIG;
	if (access(d->provider_dir, X_OK) < 0)
		log_warning("The providers' presets are not to be had: %s: %s.", d->provider_dir,
		    strerror(errno));
	if (d->options.providers)
		return print_providers(d);
	if (d->options.check)
		return check(d);
	r = load_first(d);
	if (r < 0)
		return EX_CONFIG;
	r = open_places(d);
	if (r >= 0)
		return r;
	warn_of_weakness(d);
	if (make_loop(d) < 0) {
		log_error("The event loop cannot be made.");
		return EX_OSERR;
	}
	return supervise(d);
}

static void
clear(struct frankd *d)
{
	(void)reload_free(d->reload);
	(void)supervisor_free(d->supervisor);
	if (d->hangup != NULL)
		event_free(d->hangup);
	if (d->terminate != NULL)
		event_free(d->terminate);
	if (d->interrupt != NULL)
		event_free(d->interrupt);
	if (d->late != NULL)
		event_free(d->late);
	if (d->base != NULL)
		event_base_free(d->base);
	(void)settings_free(d->settings);
	sockets_close(&d->sockets);
	entrances_close(&d->entrances);
	folders_close(&d->folders);
	programs_close(&d->programs);
}

int
main(int argc, char **argv)
{
	struct frankd d = {
	    .folders = FOLDERS_INIT,
	    .sockets = SOCKETS_INIT,
	    .entrances = ENTRANCES_INIT,
	    .programs = {.fds = {[0 ... ROLE_COUNT - 1] = -1}, .null = -1},
	    .launcher = -1,
	};
	int status = parse_options(&d.options, argc, argv);

	if (status >= 0)
		return status;
	log_open("frankd", LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN); /* until the loop takes it: what it asks for is being done */
	harden();
	if (places_find(&d.places, d.options.one_user) < 0) {
		log_error(
		    "You have no home folder; set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME.");
		return EX_CONFIG;
	}
	programs_provider_dir(d.provider_dir, sizeof(d.provider_dir));
	d.environment = (struct conf_environment){.provider_dir = d.provider_dir,
	    .check_files = true,
	    .runtime_dir = d.places.runtime,
	    .state_dir = d.places.state};
	/* under a service manager the daemon is where it belongs already */
	if (!d.options.check && !d.options.providers && !d.options.foreground &&
	    secure_getenv("NOTIFY_SOCKET") == NULL && secure_getenv("LISTEN_PID") == NULL) {
		status = go_background(&d);
		if (status >= 0)
			return status;
	}
	notify_open();
	status = run(&d);
	clear(&d);
	/* one that was stopped before it was ready has not started well */
	tell_launcher(&d, status == EX_OK ? EX_UNAVAILABLE : status);
	return status;
}
