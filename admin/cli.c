/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* cli.c: see cli.h: speaking to people and programs. */
#include "admin/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/io.h"

enum {
	TEXT_MAX = 256 * 1024,
	LINE_MAX_SHOWN = 64 * 1024,
	SENTENCE_MAX = 16 * 1024,
	TWO_MINUTES = 120,
	TWO_HOURS = 2 * 3600,
	TWO_DAYS = 2 * 86400,
	MEGA = 1000 * 1000,
};

/* JSON may hold any character; a terminal that shows it may not. What jansson leaves as it is of those is in strings alone. */
static void
put_escaped(uint32_t point)
{
	if (point < 0x10000)
		(void)printf("\\u%04x", point);
	else
		(void)printf("\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
		    0xdc00 + ((point - 0x10000) & 0x3ff));
}

int
cli_write_json(const json_t *value, size_t flags)
{
	CLEANUP_FREE char *text = value == NULL ? NULL : json_dumps(value, flags);
	size_t len = text == NULL ? 0 : strlen(text), n;
	uint32_t point;

	for (size_t at = 0, from = 0; at < len; at += n) {
		n = utf8_length(text + at, len - at, &point);
		if (n == 0)
			return -1;
		if (point < ' ' || text_is_printable(point)) {
			if (at + n == len)
				(void)fwrite(text + from, 1, len - from, stdout);
			continue;
		}
		(void)fwrite(text + from, 1, at - from, stdout);
		put_escaped(point);
		from = at + n;
	}
	return text == NULL || ferror(stdout) ? -1 : 0;
}

int
cli_print_json(json_t *value, int status)
{
	int r = cli_write_json(value, JSON_INDENT(2));

	json_decref(value);
	if (r < 0)
		return EX_OSERR;
	(void)putchar('\n');
	return status;
}

int
cli_json_fields(json_t *object, const struct message *m, const struct column *columns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_t *value;

		if (!message_has(m, columns[i].field))
			continue;
		if (columns[i].number)
			value = json_integer((json_int_t)message_u64(m, columns[i].field, 0));
		else
			value = json_string(message_str(m, columns[i].field));
		/* text that is not UTF-8 cannot be a JSON string: replies of servers are escaped by
		 * queue, the rest is ours */
		if (value == NULL)
			continue;
		if (json_object_set_new(object, columns[i].key, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int
cli_add_row(
    json_t *list, const struct message *m, const struct column *columns, size_t count, json_t **ret)
{
	json_t *row = json_object();

	if (row == NULL || cli_json_fields(row, m, columns, count) < 0) {
		json_decref(row);
		return EX_OSERR;
	}
	if (json_array_append_new(list, row) < 0)
		return EX_OSERR;
	if (ret != NULL)
		*ret = row;
	return EX_OK;
}

const char *
cli_text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

uint64_t
cli_number(const json_t *row, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(row, key));
}

int
cli_print_secret(const struct cli *cli, const struct secret *s, const char *head, const char *tail)
{
	const char *bytes = (const char *)secret_bytes(s);
	int r;

	/* nothing that is printed here needs quoting (RFC 6750 section 2.1), or it is refused */
	if (cli->json && (memchr(bytes, '"', secret_len(s)) != NULL ||
			     memchr(bytes, '\\', secret_len(s)) != NULL))
		return cli_fail(cli, EX_PROTOCOL, NULL, "it cannot be printed as JSON");
	(void)fflush(stdout);
	r = cli->json ? io_write_all(STDOUT_FILENO, head, strlen(head)) : 0;
	if (r == 0)
		r = io_write_all(STDOUT_FILENO, bytes, secret_len(s));
	if (r == 0)
		r = cli->json ? io_write_all(STDOUT_FILENO, tail, strlen(tail))
			      : io_write_all(STDOUT_FILENO, "\n", 1);
	return r == 0 ? EX_OK : cli_fail(cli, EX_IOERR, NULL, "standard output: %s", strerror(-r));
}

/* Line by line: a report of several errors stays one line each. A newline at the end is the caller's. */
static void
print_escaped(FILE *f, const char *text)
{
	for (;;) {
		CLEANUP_BUF struct buf b = BUF_INIT(TEXT_MAX);
		size_t len = strcspn(text, "\n");

		(void)text_escape(&b, text, len, false);
		(void)fputs(buf_str(&b), f);
		if (text[len] == '\0' || text[len + 1] == '\0')
			return;
		(void)fputc('\n', f);
		text += len + 1;
	}
}

void
cli_note(const char *text)
{
	print_escaped(stderr, text);
	(void)fputc('\n', stderr);
}

static int
fail_json(int status, const char *next, const char *sentence)
{
	json_t *o = json_pack("{s:s, s:i}", "error", sentence, "exit", status);

	if (o != NULL && next != NULL)
		(void)json_object_set_new(o, "next", json_string(next));
	return cli_print_json(o, status);
}

int
cli_fail(const struct cli *cli, int status, const char *next, const char *format, ...)
{
	CLEANUP_BUF struct buf sentence = BUF_INIT(SENTENCE_MAX);
	va_list ap;

	va_start(ap, format);
	(void)buf_vprintf(&sentence, format, ap);
	va_end(ap);
	if (cli->json)
		return fail_json(status, next, buf_str(&sentence));
	(void)fputs("frank: ", stderr);
	print_escaped(stderr, buf_str(&sentence));
	(void)fputc('\n', stderr);
	if (next != NULL) {
		(void)fputs("Next: ", stderr);
		print_escaped(stderr, next);
		(void)fputc('\n', stderr);
	}
	return status;
}

/* Columns of UTF-8 text: octets that begin a character. Wide characters are not worth a table here.
 */
static unsigned
columns_of(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		if (((unsigned char)*s & 0xc0) != 0x80)
			n++;
	return n;
}

void
cli_put(const struct cli *cli, enum colour colour, const char *text, unsigned width)
{
	static const char *const codes[] = {
	    "", "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[1m"};
	CLEANUP_BUF struct buf b = BUF_INIT(TEXT_MAX);
	bool coloured = cli->colour && colour != COLOUR_NONE;
	unsigned n;

	if (text != NULL)
		(void)text_escape(&b, text, strlen(text), false);
	if (coloured)
		(void)fputs(codes[colour], stdout);
	(void)fputs(buf_str(&b), stdout);
	if (coloured)
		(void)fputs("\033[0m", stdout);
	n = columns_of(buf_str(&b));
	if (width > n)
		(void)printf("%*s", (int)(width - n), "");
	else if (width > 0)
		(void)putchar(' ');
}

void
cli_put_lines(const struct cli *cli, const char *text, unsigned indent)
{
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");
		CLEANUP_BUF struct buf line = BUF_INIT(LINE_MAX_SHOWN);

		(void)text_escape(&line, text, len, false);
		(void)printf("%*s%s\n", (int)indent, "", buf_str(&line));
		text += len + (text[len] == '\n');
	}
}

void
cli_put_field(const struct cli *cli, unsigned indent, const char *label, unsigned width,
    enum colour colour, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	(void)printf("%*s%-*s", (int)indent, "", (int)width, label);
	cli_put(cli, colour, text, 0);
	(void)putchar('\n');
}

enum colour
cli_state_colour(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} table[] = {
	    {"active", COLOUR_GOOD},
	    {"ok", COLOUR_GOOD},
	    {"warn", COLOUR_WARN},
	    {"info", COLOUR_DIM},
	    {"delivered", COLOUR_GOOD},
	    {"none", COLOUR_NONE},
	    {"password", COLOUR_GOOD},
	    {"refreshing", COLOUR_GOOD},
	    {"queued", COLOUR_NONE},
	    {"captured", COLOUR_NONE},
	    {"sending", COLOUR_NONE},
	    {"authorizing", COLOUR_WARN},
	    {"deferred", COLOUR_WARN},
	    {"throttled", COLOUR_WARN},
	    {"unreachable", COLOUR_WARN},
	    {"held", COLOUR_WARN},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (state != NULL && strcmp(table[i].state, state) == 0)
			return table[i].colour;
	return state == NULL ? COLOUR_NONE : COLOUR_BAD;
}

void
cli_relative_time(uint64_t when, uint64_t now, char *ret, size_t size)
{
	uint64_t away = when > now ? when - now : now - when;
	const char *before = when > now ? "in " : "", *after = when > now ? "" : " ago";

	if (away < 5)
		(void)snprintf(ret, size, "now");
	else if (away < TWO_MINUTES)
		(void)snprintf(ret, size, "%s%u s%s", before, (unsigned)away, after);
	else if (away < TWO_HOURS)
		(void)snprintf(ret, size, "%s%u min%s", before, (unsigned)(away / 60), after);
	else if (away < TWO_DAYS)
		(void)snprintf(ret, size, "%s%u h%s", before, (unsigned)(away / 3600), after);
	else
		(void)snprintf(ret, size, "%s%u days%s", before, (unsigned)(away / 86400), after);
}

void
cli_size(uint64_t octets, char *ret, size_t size)
{
	if (octets < 1000)
		(void)snprintf(ret, size, "%u", (unsigned)octets);
	else if (octets < MEGA)
		(void)snprintf(ret, size, "%.1fk", (double)octets / 1e3);
	else
		(void)snprintf(ret, size, "%.1fM", (double)octets / 1e6);
}
