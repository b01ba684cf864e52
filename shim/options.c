/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * options.c: the argument vector of sendmail.
 *
 * The rules are those of Sendmail 8's getopt: letters may be grouped behind one '-', a value stands in
 * the same word or in the next, "--" ends the options; -q and -d take a value only within their word.
 * Real callers need more:
 *
 *   -f, -r        without an address (at the end, or before another option) mean the null sender:
 *                 losing the mail would be worse. The last of them counts.
 *   -oMa ...      Exim's -oM options take the next word.
 *   -M            is refused: Exim's acts on a message of its queue. Taken for a recipient, that message's
 *                 id would get an empty message.
 *   all others    that are unknown are refused: they belong to another program, and the caller means
 *                 something that we do not know.
 *
 * No message repeats a value: it may be a password.
 */
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/option.h"
#include "shim/shim.h"

/* Letters that take no value, and those that do. b, B, d, e, f, F, i, I, M, N, o, O, q, r, R, t
 * and V have meanings of their own. */
static const char plain[] = "cEGJmnsTUvx";
static const char valued[] = "AChDLpQX";

struct words {
	char **argv;
	int argc, at;
};

/* The value of an option: the rest of its word, else the next word; NULL where there is none. */
static const char *
value_of(struct words *w, const char *rest)
{
	if (*rest != '\0')
		return rest;
	if (w->at + 1 >= w->argc)
		return NULL;
	return w->argv[++w->at];
}

static const char *
sender_value(struct words *w, const char *rest)
{
	if (*rest == '\0' && w->at + 1 < w->argc && w->argv[w->at + 1][0] == '-')
		return "";
	rest = value_of(w, rest);
	return rest == NULL || strcmp(rest, "<>") == 0 ? "" : rest;
}

/* `word` is named up to where a value may begin. */
static int
wrong(struct shim_options *o, const char *what, const char *word)
{
	size_t len = (size_t)option_name_length(word);

	o->wrong = what;
	if (len > sizeof(o->wrong_word) - 1)
		len = sizeof(o->wrong_word) - 1;
	memcpy(o->wrong_word, word, len);
	o->wrong_word[len] = '\0';
	return EX_USAGE;
}

static int
wrong_letter(struct shim_options *o, const char *what, char letter)
{
	const char word[] = {'-', letter, '\0'};

	return wrong(o, what, word);
}

static int
parse_mode(struct shim_options *o, const char *value)
{
	static const struct {
		char letter;
		enum shim_mode mode;
	} modes[] = {
	    {'m', MODE_DELIVER},
	    {'a', MODE_DELIVER}, /* the ARPANET's way of -bm */
	    {'s', MODE_SMTP},
	    {'p', MODE_LIST},
	    {'i', MODE_ALIASES},
	    {'v', MODE_VERIFY},
	    {'t', MODE_VERIFY},
	    {'d', MODE_DAEMON},
	    {'D', MODE_DAEMON},
	    {'h', MODE_NOTHING}, /* the state of hosts, to be shown or forgotten: none is kept */
	    {'H', MODE_NOTHING},
	    {'V', MODE_VERSION},
	};

	/* Exim spells variants of -bp with more letters. */
	for (size_t i = 0; value != NULL && i < ARRAY_SIZE(modes); i++)
		if (value[0] == modes[i].letter && (value[1] == '\0' || value[0] == 'p')) {
			o->mode = modes[i].mode;
			return 0;
		}
	return wrong(o, "this mode of -b does not exist here", "");
}

static void
parse_error_mode(struct shim_options *o, const char *value)
{
	if (value != NULL)
		o->quiet = value[0] == 'q';
}

/* Sendmail's reading of a boolean: nothing or a yes means true. */
static bool
is_true(const char *value)
{
	return *value == '\0' || strchr("tTyY1", *value) != NULL;
}

/* -o: one letter and its value. */
static void
parse_short_option(struct shim_options *o, struct words *w, const char *value)
{
	static const char *const exim[] = {"Ma", "Maa", "Mai", "Mas", "Mi", "Mm", "Mr", "Ms", "Mt"};

	if (value[0] == 'i')
		o->ignore_dots = is_true(value + 1);
	else if (value[0] == 'e')
		parse_error_mode(o, value + 1);
	for (size_t i = 0; i < ARRAY_SIZE(exim); i++)
		if (strcmp(value, exim[i]) == 0 && w->at + 1 < w->argc)
			w->at++;
	/* -oA, -oP and the like in words of their own: a path is no recipient. */
	if (value[1] == '\0' && strchr("APQX", value[0]) != NULL && w->at + 1 < w->argc &&
	    w->argv[w->at + 1][0] == '/')
		w->at++;
}

/* -O: a name, '=' and a value. */
static void
parse_long_option(struct shim_options *o, const char *value)
{
	size_t name = strcspn(value, "=");
	const char *setting = value[name] == '=' ? value + name + 1 : "";

	if (text_is(value, name, "IgnoreDots"))
		o->ignore_dots = is_true(setting);
	else if (text_is(value, name, "RequireTLS"))
		o->require_tls = is_true(setting);
	else if (text_is(value, name, "ErrorMode"))
		parse_error_mode(o, setting);
}

/* -N never, or success, failure, delay in any number. */
static int
parse_notify(struct shim_options *o, const char *value)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {{"never", SMTP_NOTIFY_NEVER}, {"success", SMTP_NOTIFY_SUCCESS},
	    {"failure", SMTP_NOTIFY_FAILURE}, {"delay", SMTP_NOTIFY_DELAY}};
	const char *s = value != NULL ? value : "";

	o->notify = 0;
	do {
		size_t len = strcspn(s, ","), i = 0;

		while (i < ARRAY_SIZE(words) && !text_is(s, len, words[i].word))
			i++;
		if (i == ARRAY_SIZE(words))
			return wrong(o, "-N takes never, or a list of success, failure, delay", "");
		o->notify |= words[i].bit;
		s += len;
	} while (*s++ == ',');
	if ((o->notify & SMTP_NOTIFY_NEVER) != 0 && o->notify != SMTP_NOTIFY_NEVER)
		return wrong(o, "-N never goes with nothing else", "");
	return 0;
}

static int
parse_return(struct shim_options *o, const char *value)
{
	if (value != NULL && strcasecmp(value, "hdrs") == 0)
		o->ret = SMTP_RET_HDRS;
	else if (value != NULL && strcasecmp(value, "full") == 0)
		o->ret = SMTP_RET_FULL;
	else
		return wrong(o, "-R takes full or hdrs", "");
	return 0;
}

static void
parse_body(struct shim_options *o, const char *value)
{
	if (value != NULL && strcasecmp(value, "8BITMIME") == 0)
		o->body = "8BITMIME";
	else if (value != NULL && strcasecmp(value, "7BIT") == 0)
		o->body = "7BIT";
}

/* An option that takes a value: behind it the word is over. */
static int
parse_valued(struct shim_options *o, struct words *w, char letter, const char *rest)
{
	const char *value;

	if (letter == 'f' || letter == 'r') {
		o->sender = sender_value(w, rest);
		return 0;
	}
	value = value_of(w, rest);
	switch (letter) {
	case 'b':
		return parse_mode(o, value);
	case 'B':
		parse_body(o, value);
		return 0;
	case 'e':
		parse_error_mode(o, value);
		return 0;
	case 'F':
		o->full_name = value;
		return 0;
	case 'N':
		return parse_notify(o, value);
	case 'o':
		if (value != NULL)
			parse_short_option(o, w, value);
		return 0;
	case 'O':
		if (value != NULL)
			parse_long_option(o, value);
		return 0;
	case 'R':
		return parse_return(o, value);
	case 'V':
		o->envid = value;
		return 0;
	default:
		return 0;
	}
}

/* One word of options, behind its '-'. */
static int
parse_word(struct shim_options *o, struct words *w, const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("bBefFNoOrRV", *s) != NULL || strchr(valued, *s) != NULL)
			return parse_valued(o, w, *s, s + 1);
		switch (*s) {
		case 'q':
			/* -q, -q30m, -qf, -qRdomain ... */
			o->mode = o->mode == MODE_DELIVER ? MODE_FLUSH : o->mode;
			return 0;
		case 'd':
			return 0;
		case 't':
			o->extract = true;
			break;
		case 'i':
			o->ignore_dots = true;
			break;
		case 'I':
			o->mode = MODE_ALIASES;
			break;
		case 'M':
			/* Sendmail's macros have names in braces, or are of no use */
			if (s[1] == '{')
				return 0;
			return wrong(o,
			    "-M acts on the queue of another mail system; frank queue acts on this "
			    "one",
			    "");
		default:
			if (strchr(plain, *s) == NULL)
				return wrong_letter(o, "unknown option ", *s);
		}
	}
	return 0;
}

static enum shim_mode
mode_by_name(const char *argv0)
{
	const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : argv0;

	if (name != NULL && strcmp(name, "mailq") == 0)
		return MODE_LIST;
	if (name != NULL && strcmp(name, "newaliases") == 0)
		return MODE_ALIASES;
	return MODE_DELIVER;
}

int
options_parse(int argc, char **argv, struct shim_options *ret)
{
	struct words w = {.argv = argv, .argc = argc, .at = 1};
	bool options_over = false;
	int r;

	*ret = (struct shim_options){
	    .mode = mode_by_name(argc > 0 ? argv[0] : NULL), .recipients = argv};
	for (; w.at < argc; w.at++) {
		char *word = argv[w.at];

		if (options_over || word[0] != '-' || word[1] == '\0') {
			argv[ret->recipient_count++] = word;
		} else if (strcmp(word, "--") == 0) {
			options_over = true;
		} else if (word[1] == '-') {
			return wrong(ret, "unknown option ", word);
		} else {
			r = parse_word(ret, &w, word + 1);
			if (r != 0)
				return r;
		}
	}
	return 0;
}
