/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * address.c: see address.h.
 *
 * The list parser reads tokens (RFC 5322 section 3.2): words, quoted strings, domain literals and
 * single specials, white space and comments being skipped but remembered as a gap. What a run of
 * tokens means is known only at its end: before '<' it is a display name, before ':' the name of a
 * group, before a separator or the end it is one or more bare addresses. So each element is looked
 * over once to find its end, then read.
 *
 * Where real mail is sloppier than the standard and nothing can be misunderstood, it is taken: dots
 * and '@' in display names, ';' between addresses, a group that is not closed, an empty "<>". What
 * could send mail to somebody else is refused.
 *
 * There is one grammar of what an envelope takes. address_is_valid tells it; address_read is the only
 * way into it, and the list parser passes everything that it finds through address_read.
 */
#include "base/address.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

/* ---- addresses of the envelope ---- */

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_atext(unsigned char c)
{
	return is_alnum(c) || c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_utf8_text(const char *s, size_t len)
{
	uint32_t point;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_length(s + i, len - i, &point);
		if (n == 0 || (point >= 0x80 && point < 0xa0))
			return false;
	}
	return true;
}

/* Length of the quoted string at `s` with its quotes; 0 where it does not end or holds a control
 * character. */
static size_t
quoted_length(const char *s, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		if (s[i] == '"')
			return i + 1;
		if (s[i] == '\\' && i + 1 < len)
			i++;
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return 0;
	}
	return 0;
}

/* Length of the local part at `s`; 0 where there is none. */
static size_t
local_length(const char *s, size_t len)
{
	size_t i = 0;

	if (len > 0 && s[0] == '"')
		return quoted_length(s, len);
	while (
	    i < len && (is_atext((unsigned char)s[i]) || (s[i] == '.' && i > 0 && s[i - 1] != '.')))
		i++;
	return i > 0 && s[i - 1] == '.' ? 0 : i;
}

/* "[192.0.2.1]", "[IPv6:...]". RFC 5321 would allow nearly every character in a literal of a kind
 * yet to be defined; a quote or a bracket there only serves to confuse whoever splits a command. */
static bool
literal_is_valid(const char *s, size_t len)
{
	if (len < 3 || s[len - 1] != ']')
		return false;
	for (size_t i = 1; i < len - 1; i++)
		if (!is_alnum((unsigned char)s[i]) && (s[i] == '\0' || strchr(".:-", s[i]) == NULL))
			return false;
	return true;
}

/* Labels of letters, digits and inner hyphens. An underscore is no host's, but names with one exist
 * and are looked up. */
static bool
domain_is_valid(const char *s, size_t len)
{
	size_t label = 0;

	if (len == 0 || len > ADDRESS_DOMAIN_MAX)
		return false;
	if (s[0] == '[')
		return literal_is_valid(s, len);
	for (size_t i = 0; i <= len; i++) {
		unsigned char c = i < len ? (unsigned char)s[i] : '.';

		if (c == '.') {
			if (label == 0 || label > 63 || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(c) && c != '_' && c < 0x80 && (c != '-' || label == 0))
			return false;
		label++;
	}
	return true;
}

bool
address_is_valid(const char *s, size_t len, bool bare_local)
{
	size_t local = local_length(s, len);

	if (local == 0 || len > ADDRESS_MAX || !is_utf8_text(s, len))
		return false;
	if (local == len)
		return bare_local;
	return s[local] == '@' && domain_is_valid(s + local + 1, len - local - 1);
}

/* What the local part at `s` means, its quotes taken away, is appended to `ret`: words, quoted or
 * not, and dots wherever they stand. Its length; 0 where it is none. */
static size_t
read_local(const char *s, size_t len, struct buf *ret)
{
	size_t i = 0;

	while (i < len && s[i] != '@') {
		size_t end = i + 1;

		if (s[i] == '"') {
			end = i + quoted_length(s + i, len - i);
			if (end == i || (i > 0 && s[i - 1] != '.') ||
			    (end < len && s[end] != '.' && s[end] != '@'))
				return 0;
			for (i++; i < end - 1; i++) {
				i += s[i] == '\\';
				(void)buf_append_char(ret, s[i]);
			}
		} else if (is_atext((unsigned char)s[i]) || s[i] == '.') {
			(void)buf_append_char(ret, s[i]);
		} else {
			return 0;
		}
		i = end;
	}
	return i;
}

static void
write_local(struct buf *ret, const char *s, size_t len)
{
	bool plain = len > 0 && *s != '"' && local_length(s, len) == len;

	if (!plain)
		(void)buf_append_char(ret, '"');
	for (size_t i = 0; i < len; i++) {
		if (!plain && (s[i] == '"' || s[i] == '\\'))
			(void)buf_append_char(ret, '\\');
		(void)buf_append_char(ret, s[i]);
	}
	if (!plain)
		(void)buf_append_char(ret, '"');
}

int
address_read(const char *s, size_t len, bool bare_local, struct buf *ret)
{
	CLEANUP_BUF struct buf local = BUF_INIT(len), address = BUF_INIT(2 * len + 2);
	size_t end;

	if (len > 0 && *s != '"' && address_is_valid(s, len, bare_local))
		return ret == NULL ? 0 : buf_append(ret, s, len);
	end = len > 2 * ADDRESS_MAX ? 0 : read_local(s, len, &local);
	if (end == 0)
		return local.failed ? -ENOMEM : -EBADMSG;
	write_local(&address, buf_str(&local), local.len);
	/* The root's dot, which a name of the DNS may end in, is no part of a domain in mail. */
	if (len > end + 2 && s[len - 1] == '.')
		len--;
	(void)buf_append(&address, s + end, len - end);
	if (local.failed || address.failed)
		return -ENOMEM;
	if (!address_is_valid(buf_str(&address), address.len, bare_local))
		return -EBADMSG;
	return ret == NULL ? 0 : buf_append(ret, address.data, address.len);
}

bool
address_is_utf8(const char *s, size_t len)
{
	return text_has_eight_bit(s, len);
}

const char *
address_domain(const char *s)
{
	const char *domain = NULL;
	bool quoted = false;

	for (; *s != '\0'; s++) {
		if (quoted && *s == '\\' && s[1] != '\0')
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (*s == '@' && !quoted)
			domain = s + 1;
	}
	return domain == NULL || *domain == '\0' ? NULL : domain;
}

bool
address_equal(const char *a, const char *b)
{
	const char *da = address_domain(a), *db = address_domain(b);

	if (da == NULL || db == NULL)
		return strcmp(a, b) == 0;
	return da - a == db - b && memcmp(a, b, (size_t)(da - a)) == 0 && strcasecmp(da, db) == 0;
}

/* FNV-1a, begun by the seed. */
uint32_t
address_hash(const char *s, uint32_t seed)
{
	const char *domain = address_domain(s);
	uint32_t h = 2166136261U ^ seed;

	for (; *s != '\0'; s++) {
		bool upper = domain != NULL && s >= domain && *s >= 'A' && *s <= 'Z';

		h = (h ^ (unsigned char)(upper ? *s + ('a' - 'A') : *s)) * 16777619U;
	}
	return h;
}

bool
address_equal_nocase(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

/* ---- address lists ---- */

enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_LITERAL, TOKEN_SPECIAL };

struct address_token {
	enum token_type type;
	char special;   /* TOKEN_SPECIAL: one of . @ < > , ; : */
	bool gap;       /* white space or a comment stands before it */
	size_t at, len; /* in the text; with quotes or brackets */
};

struct lexer {
	const char *s;
	size_t len, at;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_special(const struct address_token *t, char c)
{
	return t->type == TOKEN_SPECIAL && t->special == c;
}

/* Skips white space and comments, which nest: 0 or -EBADMSG with `at` at the comment that does not
 * end. */
static int
skip_blank(struct lexer *x)
{
	size_t depth = 0, start = x->at;

	for (; x->at < x->len; x->at++) {
		char c = x->s[x->at];

		if (c == '(' && depth++ == 0)
			start = x->at;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\' && x->at + 1 < x->len)
			x->at++;
		else if (depth == 0 && !is_space(c) && c != '(')
			return 0;
	}
	if (depth == 0)
		return 0;
	x->at = start;
	return -EBADMSG;
}

/* Moves behind a token that is closed by `close`. A line end in it is part of a fold and is dropped
 * later, so none may stand behind a backslash, which would then quote what follows. */
static int
skip_closed(struct lexer *x, char close)
{
	bool escaped = false;

	for (size_t i = x->at + 1; i < x->len; i++) {
		char c = x->s[i];

		if (c == close && !escaped) {
			x->at = i + 1;
			return 0;
		}
		if (((unsigned char)c < ' ' && (escaped || !is_space(c))) || c == 0x7f)
			return -EBADMSG;
		escaped = c == '\\' && !escaped;
	}
	return -EBADMSG;
}

/* A character of a word: more than atext, since names in headers hold what their writers liked. */
static bool
is_word_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

/* Reads the next token: 0, or -EBADMSG with x->at at the fault. */
static int
next_token(struct lexer *x, struct address_token *t)
{
	size_t before = x->at;
	int r = skip_blank(x);
	char c;

	*t = (struct address_token){.type = TOKEN_END, .gap = x->at > before, .at = x->at};
	if (r < 0 || x->at == x->len)
		return r;
	c = x->s[x->at];
	if (c == '"' || c == '[') {
		t->type = c == '"' ? TOKEN_QUOTED : TOKEN_LITERAL;
		r = skip_closed(x, c == '"' ? '"' : ']');
	} else if (c != '\0' && strchr(".@<>,;:", c) != NULL) {
		t->type = TOKEN_SPECIAL;
		t->special = c;
		x->at++;
	} else if (is_word_char(c)) {
		t->type = TOKEN_WORD;
		while (x->at < x->len && is_word_char(x->s[x->at]))
			x->at++;
	} else {
		r = -EBADMSG;
	}
	t->len = x->at - t->at;
	return r;
}

struct parser {
	struct lexer x;
	struct buf address, name, fit; /* fit: the address as an envelope wants it */
	size_t head, tail,
	    end;     /* where the address being built, and its local part, begin and end */
	bool has_at; /* an '@' stands in it */
	bool glue;   /* its last token was '.' or '@': the next word belongs to it */
	bool quoted; /* a quoted string stands in it */
	bool spaced; /* white space stands in it, or between it and its neighbour */
	bool angle;  /* it stands in angle brackets */
	address_visit *visit;
	void *arg;
};

static int
wrong(struct parser *p, size_t at)
{
	p->x.at = at;
	return -EBADMSG;
}

/* Appends a token as it stands, without the line ends of folds. */
static int
append_token(struct parser *p, struct buf *to, const struct address_token *t)
{
	int r = 0;

	for (size_t i = t->at; i < t->at + t->len && r == 0; i++)
		if (p->x.s[i] != '\r' && p->x.s[i] != '\n')
			r = buf_append_char(to, p->x.s[i]);
	return r;
}

static int
append_name(struct parser *p, const struct address_token *t)
{
	size_t i = t->at, end = t->at + t->len;
	int r = 0;

	if (t->gap && p->name.len > 0)
		r = buf_append_char(&p->name, ' ');
	if (t->type != TOKEN_QUOTED)
		return r < 0 ? r : append_token(p, &p->name, t);
	for (i++, end--; i < end && r == 0; i++) {
		if (p->x.s[i] == '\\' && i + 1 < end)
			i++;
		if (p->x.s[i] != '\r' && p->x.s[i] != '\n')
			r = buf_append_char(&p->name, p->x.s[i]);
	}
	return r;
}

/* May the token go on with the address being built? */
static bool
fits(const struct parser *p, const struct address_token *t)
{
	bool empty = p->address.len == 0;

	switch (t->type) {
	case TOKEN_SPECIAL:
		/* Dots may stand anywhere in a local part: what is none as it stands is quoted. */
		return t->special == '.' ? !p->has_at || !p->glue : !empty && !p->has_at;
	case TOKEN_LITERAL:
		return p->has_at && p->address.data[p->address.len - 1] == '@';
	case TOKEN_QUOTED:
		return !p->has_at && (empty || p->glue);
	case TOKEN_WORD:
		return empty || p->glue;
	case TOKEN_END:
		break;
	}
	return false;
}

static int
add_to_address(struct parser *p, const struct address_token *t)
{
	if (!fits(p, t))
		return wrong(p, t->at);
	if (p->address.len == 0)
		p->head = t->at;
	else
		p->spaced = p->spaced || t->gap;
	if (!p->has_at && !is_special(t, '@'))
		p->tail = t->at + t->len;
	p->end = t->at + t->len;
	p->has_at = p->has_at || is_special(t, '@');
	p->quoted = p->quoted || t->type == TOKEN_QUOTED;
	p->glue = t->type == TOKEN_SPECIAL;
	return append_token(p, &p->address, t);
}

/* Gives the address that was built to the visitor and begins another. Where it turns out to be none
 * it is wrong at `at` if something is missing there, else from its beginning. */
static int
give(struct parser *p, size_t at)
{
	struct address_item item = {
	    .name = buf_str(&p->name), .local_end = p->tail, .end = p->end, .bare = !p->angle};
	bool any = p->address.len > 0, open = any && p->address.data[p->address.len - 1] == '@';
	int r = 0;

	if (any)
		r = address_read(p->address.data, p->address.len, true, &p->fit);
	if (r == -EBADMSG)
		r = wrong(p, open ? at : p->head);
	item.address = buf_str(&p->fit);
	item.phrase = !p->has_at && item.bare &&
		      (p->quoted || p->spaced || strncmp(item.address, "=?", 2) == 0 ||
			  address_is_utf8(item.address, p->fit.len));
	if (r == 0 && any)
		r = p->visit(p->arg, &item);
	buf_clear(&p->address);
	buf_clear(&p->name);
	buf_clear(&p->fit);
	p->has_at = p->glue = p->quoted = p->spaced = false;
	return r;
}

/* The first comment in a blank that was skipped, as the name of the address before it: `root (Cron Daemon)`. */
static int
name_by_comment(struct parser *p, size_t from, size_t to)
{
	const char *open = memchr(p->x.s + from, '(', to - from);
	size_t depth = 1, i = open == NULL ? to : (size_t)(open - p->x.s) + 1;
	int r = 0;

	for (; r == 0 && i < to; i++) {
		char c = p->x.s[i];

		if (c == '\\' && i + 1 < to)
			c = p->x.s[++i];
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
		if ((unsigned char)c >= ' ' && c != 0x7f)
			r = buf_append_char(&p->name, c);
	}
	return r;
}

/* Bare addresses up to `end`: a word that follows a word begins another address. Where these have no
 * '@' they may be meant as a name (item.phrase). */
static int
parse_bare(struct parser *p, size_t end)
{
	size_t behind = p->x.at;
	struct address_token t;
	int r;

	while ((r = next_token(&p->x, &t)) == 0 && t.type != TOKEN_END && t.at < end) {
		if (t.type != TOKEN_SPECIAL && p->address.len > 0 && !p->glue && t.gap) {
			r = name_by_comment(p, behind, t.at);
			p->spaced = true;
			if (r == 0)
				r = give(p, t.at);
			p->spaced = true;
		}
		if (r == 0)
			r = add_to_address(p, &t);
		if (r != 0)
			return r;
		behind = p->x.at;
	}
	p->x.at = end;
	if (r == 0)
		r = name_by_comment(p, behind, end);
	return r < 0 ? r : give(p, end);
}

/* The source route of RFC 822, "@one,@two:": it is ignored (RFC 5321 appendix C). */
static int
skip_route(struct parser *p)
{
	struct lexer before = p->x;
	struct address_token t;
	int r = next_token(&p->x, &t);

	if (r == 0 && !is_special(&t, '@')) {
		p->x = before;
		return 0;
	}
	while (r == 0 && !is_special(&t, ':')) {
		if (t.type == TOKEN_END || t.type == TOKEN_QUOTED ||
		    (t.type == TOKEN_SPECIAL && strchr("<>;", t.special) != NULL))
			return wrong(p, t.at);
		r = next_token(&p->x, &t);
	}
	return r;
}

/* Behind '<': the address, '>' and whatever stands before the next separator, which nobody may take
 * for an address. */
static int
parse_angle(struct parser *p)
{
	struct lexer before;
	struct address_token t;
	int r = skip_route(p);

	p->angle = true;
	while (r == 0) {
		r = next_token(&p->x, &t);
		if (r < 0 || is_special(&t, '>'))
			break;
		if (t.type == TOKEN_END ||
		    (t.type == TOKEN_SPECIAL && t.special != '.' && t.special != '@'))
			return wrong(p, t.at);
		r = add_to_address(p, &t);
	}
	if (r == 0)
		r = give(p, t.at);
	p->angle = false;
	for (before = p->x; r == 0; before = p->x) {
		r = next_token(&p->x, &t);
		if (r < 0)
			break;
		if (t.type == TOKEN_END || is_special(&t, ',') || is_special(&t, ';')) {
			p->x = before;
			break;
		}
		if (t.type == TOKEN_SPECIAL && t.special != '.')
			return wrong(p, t.at);
	}
	return r;
}

static int
parse_name(struct parser *p, size_t end)
{
	struct address_token t;
	int r;

	while ((r = next_token(&p->x, &t)) == 0 && t.at < end) {
		r = append_name(p, &t);
		if (r < 0)
			return r;
	}
	/* The name ends where '<' stood. */
	p->x.at = end + 1;
	return r;
}

/* One element, from behind a separator to before the next. */
static int
parse_element(struct parser *p)
{
	struct lexer start = p->x;
	bool at_sign = false, empty = true;
	struct address_token t;
	int r;

	for (;;) {
		r = next_token(&p->x, &t);
		if (r < 0)
			return r;
		if (t.type == TOKEN_END ||
		    (t.type == TOKEN_SPECIAL && strchr("<>,;:", t.special) != NULL))
			break;
		at_sign = at_sign || is_special(&t, '@');
		empty = false;
	}
	if (is_special(&t, '>') || (is_special(&t, ':') && (empty || at_sign)))
		return wrong(p, t.at);
	/* A group's name says nothing about who gets the mail; its members follow as elements of
	 * their own. */
	if (is_special(&t, ':'))
		return 0;
	p->x = start;
	if (!is_special(&t, '<'))
		return parse_bare(p, t.at);
	r = parse_name(p, t.at);
	return r < 0 ? r : parse_angle(p);
}

int
address_list_parse(const char *s, size_t len, address_visit *visit, void *arg, size_t *ret_at)
{
	struct parser p = {
	    .x = {.s = s, .len = len},
	    .address = BUF_INIT(len),
	    .name = BUF_INIT(2 * len),
	    .fit = BUF_INIT(ADDRESS_MAX),
	    .visit = visit,
	    .arg = arg,
	};
	struct address_token t;
	int r = 0;

	while (r == 0 && p.x.at < len) {
		struct lexer before = p.x;

		r = next_token(&p.x, &t);
		if (r == 0 && t.type != TOKEN_END && !is_special(&t, ',') && !is_special(&t, ';')) {
			p.x = before;
			r = parse_element(&p);
		}
	}
	if (ret_at != NULL)
		*ret_at = p.x.at;
	buf_free(&p.address);
	buf_free(&p.name);
	buf_free(&p.fit);
	return r;
}
