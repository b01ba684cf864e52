/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * cli.h: what every verb of frank uses: how to speak to a person or to a program, and to frankd.
 *
 * Results go to standard output, everything else to standard error. Texts that came from outside
 * are escaped before they reach a terminal. Exit statuses are those of sysexits.h; frank(1) lists
 * them.
 */
#ifndef FRANK_ADMIN_CLI_H
#define FRANK_ADMIN_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sysexits.h>

#include <jansson.h>

#include "admin/arguments.h"
#include "base/attr.h"
#include "base/buf.h"
#include "broker/ipc/message.h"

struct cli {
	bool json;
	bool colour;         /* standard output is a terminal and NO_COLOR is not set */
	const char *control; /* path of control.sock */
	const char *keeper;  /* path of keeper.sock, beside it */
	const char *submit;  /* path of submit.sock, beside it */
	struct buf keeper_path, submit_path;
};

/* ---- saying ---- */

/*
 * Says what failed and returns `status`. `next` is the next step for a person, or NULL. With --json
 * it is an object with "error", "next" and "exit" on standard output.
 */
int cli_fail(const struct cli *cli, int status, const char *next, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Says text from outside on standard error, escaped, as a line of its own. */
void cli_note(const char *text);

enum colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_WARN, COLOUR_BAD, COLOUR_DIM, COLOUR_BOLD };

/* Prints text from outside on standard output, escaped, padded with spaces to `width` columns (0:
 * not), in a colour. NULL prints as nothing. */
void cli_put(const struct cli *cli, enum colour colour, const char *text, unsigned width);
/* The same for a run of lines, each indented by `indent` spaces. */
void cli_put_lines(const struct cli *cli, const char *text, unsigned indent);
/* A line of its own: `label` in `width` columns, then text from outside. Nothing where that is NULL
 * or empty. */
void cli_put_field(const struct cli *cli, unsigned indent, const char *label, unsigned width,
    enum colour colour, const char *text);
/* The colour that goes with a state's name (NULL: none). */
enum colour cli_state_colour(const char *state);

/* "just now", "3 min ago", "in 57 min", "in 4 h", "in 2 days". */
void cli_relative_time(uint64_t when, uint64_t now, char *ret, size_t size);
/* "870", "1.5k", "2.0M": octets. */
void cli_size(uint64_t octets, char *ret, size_t size);

/* Writes a JSON value to standard output; characters that a terminal must not get stand in it as \\uXXXX. 0 or -1. */
int cli_write_json(const json_t *value, size_t flags);

/* Prints a JSON value (taken) on standard output, indented. Returns `status`, or EX_OSERR where
 * memory ran out. */
int cli_print_json(json_t *value, int status);

/* A field of a message and its key in JSON. */
struct column {
	enum field field;
	const char *key;
	bool number;
};
/* Sets those fields that the message has. -ENOMEM or 0. */
int cli_json_fields(
    json_t *object, const struct message *m, const struct column *columns, size_t count);
/* Appends an object with those fields to the list. *ret (may be NULL) borrows it. EX_OK or EX_OSERR. */
int cli_add_row(json_t *list, const struct message *m, const struct column *columns, size_t count,
    json_t **ret);

/* The member of a row: a string, or NULL; a number, or 0. */
const char *cli_text(const json_t *row, const char *key);
uint64_t cli_number(const json_t *row, const char *key);

/*
 * Prints a secret alone on a line of standard output, or within a JSON object whose text before and
 * behind it is given. It is written straight from its own locked memory: no buffer of the C library
 * ever holds it. EX_OK, or the exit status after saying why not.
 */
int cli_print_secret(
    const struct cli *cli, const struct secret *s, const char *head, const char *tail);

/* ---- asking frankd ---- */

/* A connection to control.sock (ROLE_QUEUE) or keeper.sock (ROLE_KEEPER). */
struct link {
	const struct cli *cli;
	enum role_id peer;
	int sock; /* -1: closed */
	unsigned patience;
	uint64_t end; /* of the answer under way */
};
#define LINK_INIT          \
	{                  \
		.sock = -1 \
	}

static inline void
cleanup_link(struct link *l)
{
	cleanup_close(&l->sock);
}
#define CLEANUP_LINK CLEANUP(cleanup_link)

/* Names frankd's sockets: control.sock is where FRANK_CONTROL_SOCKET says, or compiled in; the others are beside it. The variable gives
 * no right that a caller had not: whoever can name a socket could connect to it. */
void link_find_sockets(struct cli *cli);
void link_forget_sockets(struct cli *cli);

/* Milliseconds of a clock that nobody sets. */
uint64_t link_clock(void);
/* Waits until there is something to read: 1, 0 when link_clock() has come to `end`, negative errno. */
int link_wait(int sock, uint64_t end);

/* Connects. EX_OK, or the exit status after saying why not. `patience`: seconds to wait for each
 * packet of an answer, once the request was read; link.c bounds the rest. */
int link_open(struct link *l, const struct cli *cli, enum role_id peer, unsigned patience);

/* Sends a request (taken). EX_OK, or the exit status after saying why not. */
int link_send(struct link *l, struct message *m);
/* The same with a descriptor (borrowed; -1: none). */
int link_send_fd(struct link *l, struct message *m, int fd);
/* Receives one packet that the table allows; the caller frees it. EX_OK, or the exit status after
 * saying why not. */
int link_receive(struct link *l, struct message **ret);
/*
 * Sends a request (taken) and receives its answer. Where it is of the wanted type: EX_OK, and the
 * caller frees *ret. Else the exit status, the error of frankd having been said, or that it gave no
 * `what`.
 */
int link_exchange(struct link *l, struct message *request, enum message_type want, const char *what,
    struct message **ret);

/*
 * Handles the end of an answer (QUEUE_DONE, KEEPER_DONE): says its ERROR and NEXT, where there is
 * one, and returns its EXIT. Where the error is to be said differently, the caller looks itself.
 */
int link_done(const struct cli *cli, const struct message *m);

/* Called for every message of an answer but its end. A status other than EX_OK stops. */
typedef int link_row(void *arg, const struct message *m);

/* Sends a request (taken) and reads rows until the end of the answer. Returns the exit status,
 * errors having been said. With `ret_done` the last message goes there, whatever it says, and EX_OK
 * is returned for having got it. */
int link_rows(struct link *l, link_row *row, void *arg, struct message **ret_done); /* was sent */
int link_list(
    struct link *l, struct message *request, link_row *row, void *arg, struct message **ret_done);
/* The same over a connection of its own. */
int link_ask(const struct cli *cli, enum role_id peer, unsigned patience, struct message *request,
    link_row *row, void *arg, struct message **ret_done);

#endif
