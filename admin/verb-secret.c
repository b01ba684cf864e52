/*
 * verb-secret.c: `frank secret set`: a password or another secret goes into the sealed store. From
 * a terminal one line, not shown; else all of standard input, without a line end at its end. It
 * never was an argument, so it is in no history and no process list.
 */
#include "admin/verbs.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "admin/terminal.h"

enum { SECRET_PATIENCE = 30 };

/* The terminal must be put back by whatever ends the command; tcsetattr is one of the functions
 * that a handler may call (signal-safety(7)). */
static struct terminal *hidden;

static void
on_signal(int number)
{
	terminal_restore(hidden);
	_exit(128 + number);
}

static int
read_terminal(struct buf *b)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct terminal t;
	enum terminal_line got = TERMINAL_MORE;
	char chunk[256];
	ssize_t n = 0;

	hidden = &t;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)signal(signals[i], on_signal);
	terminal_hide(&t, STDIN_FILENO);
	while (got == TERMINAL_MORE) {
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		got = n <= 0 ? TERMINAL_END : terminal_take(b, chunk, (size_t)n);
	}
	mem_wipe(chunk, sizeof(chunk));
	terminal_restore(&t);
	(void)fputc('\n', stderr);
	return n < 0 ? -errno : 0;
}

static int
read_input(struct buf *b)
{
	for (;;) {
		ssize_t n;
		int r = buf_reserve(b, 1024);

		if (r < 0)
			return r;
		n = read(STDIN_FILENO, b->data + b->len, 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
	if (b->len > 0 && b->data[b->len - 1] == '\n')
		b->len--;
	if (b->len > 0 && b->data[b->len - 1] == '\r')
		b->len--;
	return 0;
}

static int
read_secret(const struct cli *cli, const char *account, struct buf *b)
{
	int r;

	if (isatty(STDIN_FILENO)) {
		(void)fprintf(stderr, "Secret for %s (not shown): ", account);
		r = read_terminal(b);
	} else {
		r = read_input(b);
	}
	if (r == -ENOBUFS || b->failed)
		return cli_fail(
		    cli, EX_DATAERR, NULL, "the secret is longer than %d octets", SECRET_MAX);
	if (r < 0)
		return cli_fail(cli, EX_IOERR, NULL, "standard input: %s", strerror(-r));
	if (b->len == 0)
		return cli_fail(cli, EX_DATAERR, NULL, "no secret was given; nothing was changed");
	if (memchr(b->data, '\0', b->len) != NULL)
		return cli_fail(
		    cli, EX_DATAERR, NULL, "the secret holds a NUL; nothing was changed");
	return EX_OK;
}

int
verb_secret_set(const struct cli *cli, const struct arguments *args)
{
	CLEANUP_BUF struct buf b = BUF_INIT_WIPE(SECRET_MAX);
	CLEANUP_LINK struct link l = LINK_INIT;
	struct message *m;
	int status;

	/* connect first: nobody should type a password for a frankd that is not there */
	status = link_open(&l, cli, ROLE_KEEPER, SECRET_PATIENCE);
	if (status == EX_OK)
		status = read_secret(cli, args->words[2], &b);
	if (status != EX_OK)
		return status;
	m = message_new(M_SECRET_SET);
	message_put_str(m, F_ACCOUNT, args->words[2]);
	message_put_bytes(m, F_SECRET, b.data, b.len);
	status = link_list(&l, m, NULL, NULL, NULL);
	if (status == EX_OK && cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s}", "account", args->words[2], "state", "stored"), EX_OK);
	if (status == EX_OK)
		(void)printf("The secret of %s is stored.\n", args->words[2]);
	return status;
}
