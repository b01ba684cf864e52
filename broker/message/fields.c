/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * fields.c: see fields.h.
 *
 * An encoded word holds at most 75 octets, and several are separated by a fold that decoders drop
 * (RFC 2047 section 2), so blanks between two words that are both encoded are encoded with them.
 * Base64 is used: it has one length for all octets, and no character that a display name or a
 * comment could trip over.
 */
#include "broker/message/fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "broker/message/mime.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- dates ---- */

int
fields_date(struct buf *out, int64_t seconds, int offset)
{
	static const char days[] = "ThuFriSatSunMonTueWed",
			  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t local = seconds + (int64_t)offset * 60, day = local / 86400, rest = local % 86400;
	int64_t era, day_of_era, year_of_era, day_of_year, month, year;

	if (rest < 0) {
		rest += 86400;
		day--;
	}
	/* Days since 0000-03-01, in eras of 400 years, each year ending in February. */
	day += 719468;
	era = (day >= 0 ? day : day - 146096) / 146097;
	day_of_era = day - era * 146097;
	year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	year = year_of_era + era * 400 + (month >= 10);
	return buf_printf(out, "%.3s, %02d %.3s %04d %02d:%02d:%02d %c%02d%02d",
	    days + 3 * (((day - 719468) % 7 + 7) % 7),
	    (int)(day_of_year - (153 * month + 2) / 5 + 1), months + 3 * ((month + 2) % 12),
	    (int)year, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60),
	    offset < 0 ? '-' : '+', (offset < 0 ? -offset : offset) / 60,
	    (offset < 0 ? -offset : offset) % 60);
}

/* ---- encoded words ---- */

bool
fields_is_utf8(const char *s, size_t len)
{
	uint32_t point;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_length(s + i, len - i, &point);
		if (n == 0)
			return false;
	}
	return true;
}

size_t
fields_cut(const char *line, size_t len, size_t max)
{
	size_t cut = max;

	if (len <= max)
		return len;
	while (cut > 0 && max - cut < 4 && ((unsigned char)line[cut] & 0xc0) == 0x80)
		cut--;
	return cut == 0 || ((unsigned char)line[cut] & 0xc0) == 0x80 ? max : cut;
}

/* The octets, at most `max`, that an encoded word may hold: whole characters (RFC 2047 section 5). */
static size_t
word_length(const char *s, size_t len, size_t max, const char *charset)
{
	size_t end = 0, n;

	while (end < len) {
		n = mime_char_length(charset, s + end, len - end);
		if (end > 0 && end + n > max)
			break;
		end += n;
	}
	return end < max ? end : max;
}

/* What a run of text is labelled with. `label`: what its field is; "": it is judged by itself. */
static const char *
label_of(const char *s, size_t len, const char *label)
{
	if (*label != '\0')
		return label;
	return fields_is_utf8(s, len) ? "UTF-8" : "unknown-8bit";
}

/* What a field is labelled with: one that is not UTF-8 as a whole is in the charset of the message. */
static const char *
label_of_field(const char *value, size_t len, const char *charset)
{
	return *charset != '\0' && fields_is_utf8(value, len) ? "UTF-8" : charset;
}

static int
encode_words(struct buf *out, const char *s, size_t len, const char *label)
{
	const char *charset = label_of(s, len, label);
	/* 75 octets less "=?charset?B??=", in whole groups of base64. */
	size_t piece = (75 - 7 - strlen(charset)) / 4 * 3;

	for (size_t at = 0; at < len;) {
		size_t n = word_length(s + at, len - at, piece, charset);
		int r = buf_printf(out, "%s=?%s?B?", at > 0 ? "\r\n " : "", charset);

		if (r == 0)
			r = base64_encode(out, s + at, n);
		if (r == 0)
			r = buf_append(out, "?=", 2);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

static bool
is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

/* Text without the line ends of its folds, as encoded words. */
static int
encode_unfolded(struct buf *out, const char *s, size_t len, const char *label)
{
	CLEANUP_BUF struct buf text = BUF_INIT(len);
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++)
		if (s[i] != '\r' && s[i] != '\n')
			r = buf_append_char(&text, s[i]);
	return r < 0 ? r : encode_words(out, buf_str(&text), text.len, label);
}

/* The end of the run of words from `at` that all have octets above 0x7F. */
static size_t
eight_bit_run(const char *s, size_t len, size_t at)
{
	size_t end = at;

	for (size_t i = at; i < len;) {
		size_t word = i;

		while (i < len && !is_space(s[i]))
			i++;
		if (!text_has_eight_bit(s + word, i - word))
			break;
		end = i;
		while (i < len && is_space(s[i]))
			i++;
	}
	return end;
}

static int
encode_text(struct buf *out, const char *value, size_t len, const char *label)
{
	if (!text_has_eight_bit(value, len))
		return buf_append(out, value, len);
	for (size_t at = 0; at < len;) {
		size_t word = at, end;
		int r;

		while (word < len && is_space(value[word]))
			word++;
		end = eight_bit_run(value, len, word);
		r = buf_append(out, value + at, word - at);
		if (r == 0 && end > word) {
			r = encode_unfolded(out, value + word, end - word, label);
		} else if (r == 0) {
			for (end = word; end < len && !is_space(value[end]);)
				end++;
			r = buf_append(out, value + word, end - word);
		}
		if (r < 0)
			return r;
		at = end;
	}
	return 0;
}

int
fields_encode_text(struct buf *out, const char *value, size_t len, const char *charset)
{
	return encode_text(out, value, len, label_of_field(value, len, charset));
}

/* ---- fields of addresses ---- */

/* The end of what begins with a quote or a parenthesis at `at`; `len` where it does not end. */
static size_t
closed_end(const char *s, size_t len, size_t at)
{
	bool comment = s[at] == '(';
	size_t depth = 1;

	for (size_t i = at + 1; i < len; i++) {
		if (s[i] == '\\' && i + 1 < len)
			i++;
		else if (!comment && s[i] == '"')
			return i + 1;
		else if (comment && s[i] == '(')
			depth++;
		else if (comment && s[i] == ')' && --depth == 0)
			return i + 1;
	}
	return len;
}

/* Text inside quotes or parentheses, its backslashes taken away, as encoded words. */
static int
encode_closed(struct buf *out, const char *s, size_t len, const char *label)
{
	bool comment = s[0] == '(';
	CLEANUP_BUF struct buf text = BUF_INIT(len);
	size_t end = len > 1 && (s[len - 1] == ')' || s[len - 1] == '"') ? len - 1 : len;
	int r = 0;

	for (size_t i = 1; i < end && r == 0; i++) {
		if (s[i] == '\\' && i + 1 < end)
			i++;
		r = buf_append_char(&text, s[i]);
	}
	if (r == 0 && comment)
		r = buf_append_char(out, '(');
	if (r == 0)
		r = encode_unfolded(out, buf_str(&text), text.len, label);
	if (r == 0 && comment)
		r = buf_append_char(out, ')');
	return r;
}

/* The end of the element at `at`, and whether what stands before '<' in it is a display name. */
static size_t
element_end(const char *s, size_t len, size_t at, bool *ret_angle)
{
	size_t i = at;

	*ret_angle = false;
	while (i < len) {
		if (s[i] == '"' || s[i] == '(') {
			i = closed_end(s, len, i);
			continue;
		}
		if (s[i] == '<')
			*ret_angle = true;
		if (s[i] == ',' || s[i] == ';' || (s[i] == ':' && !*ret_angle))
			break;
		i++;
	}
	return i;
}

/* Is the quoted string that ends at `end` the local part of an address? */
static bool
is_local_part(const char *s, size_t len, size_t end)
{
	return end < len && (s[end] == '@' || s[end] == '.');
}

static int
encode_element(
    struct buf *out, const char *s, size_t len, bool name_first, const char *label, bool *ret_utf8)
{
	bool name = name_first;
	int r = 0;

	for (size_t at = 0, end; at < len && r == 0; at = end) {
		if (s[at] == '"' || s[at] == '(') {
			bool encode;

			end = closed_end(s, len, at);
			encode = text_has_eight_bit(s + at, end - at);
			if (encode && s[at] == '"' && (!name || is_local_part(s, len, end)))
				*ret_utf8 = true, encode = false;
			r = encode ? encode_closed(out, s + at, end - at, label)
				   : buf_append(out, s + at, end - at);
			continue;
		}
		if (s[at] == '<')
			name = false;
		for (end = at + 1; end < len && s[end] != '"' && s[end] != '(' && s[end] != '<';)
			end++;
		if (!text_has_eight_bit(s + at, end - at)) {
			r = buf_append(out, s + at, end - at);
		} else if (name) {
			r = encode_text(out, s + at, end - at, label);
		} else {
			*ret_utf8 = true;
			r = buf_append(out, s + at, end - at);
		}
	}
	return r;
}

int
fields_encode_addresses(
    struct buf *out, const char *value, size_t len, const char *charset, bool *ret_utf8)
{
	const char *label = label_of_field(value, len, charset);
	int r = 0;

	if (!text_has_eight_bit(value, len))
		return buf_append(out, value, len);
	for (size_t at = 0; at < len && r == 0;) {
		bool angle;
		size_t end = element_end(value, len, at, &angle);
		bool group = end < len && value[end] == ':';

		r = encode_element(out, value + at, end - at, angle || group, label, ret_utf8);
		if (r == 0 && end < len)
			r = buf_append_char(out, value[end++]);
		at = end;
	}
	return r;
}

/* A display name of plain words needs no quotes. */
static bool
is_phrase(const char *name)
{
	for (; *name != '\0'; name++)
		if (!((*name >= '0' && *name <= '9') || (*name >= 'A' && *name <= 'Z') ||
			(*name >= 'a' && *name <= 'z') ||
			strchr("!#$%&'*+-/=?^_`{|}~ ", *name) != NULL))
			return false;
	return true;
}

static int
append_quoted(struct buf *out, const char *name)
{
	int r = buf_append_char(out, '"');

	for (; *name != '\0' && r == 0; name++) {
		if (*name == '"' || *name == '\\')
			r = buf_append_char(out, '\\');
		if (r == 0)
			r = buf_append_char(out, *name);
	}
	return r < 0 ? r : buf_append_char(out, '"');
}

int
fields_mailbox(struct buf *out, const char *name, const char *charset, const char *address)
{
	CLEANUP_BUF struct buf clean = BUF_INIT(name == NULL ? 0 : strlen(name));
	int r = 0;

	if (name == NULL || *name == '\0')
		return buf_append_str(out, address);
	for (const char *c = name; *c != '\0' && r == 0; c++)
		r = buf_append_char(&clean, (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c);
	if (r < 0)
		return r;
	if (text_has_eight_bit(clean.data, clean.len))
		r = encode_words(
		    out, clean.data, clean.len, label_of_field(clean.data, clean.len, charset));
	else if (is_phrase(clean.data))
		r = buf_append(out, clean.data, clean.len);
	else
		r = append_quoted(out, clean.data);
	return r < 0 ? r : buf_printf(out, " <%s>", address);
}

/* ---- folds ---- */

/* Where to fold, so that at most `max` octets stay: before the last white space with text before
 * it; 0: nowhere. */
static size_t
fold_at(const char *line, size_t max)
{
	size_t first = 0;

	while (first < max && is_blank(line[first]))
		first++;
	for (size_t i = max; i > first; i--)
		if (is_blank(line[i]))
			return i;
	return 0;
}

/* Does the line hold white space alone? */
static bool
is_blank_line(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_space(line[i]))
			return false;
	return true;
}

/* One line without its line end, folded as often as it needs. */
static int
fold_line(struct buf *out, const char *line, size_t len, bool *ret_split)
{
	size_t space = 0; /* a cut put a space before what is left */
	int r = 0;

	/* White space at the end would become a line of its own. */
	while (len > 0 && is_blank(line[len - 1]))
		len--;
	while (len + space > FIELDS_LINE_MAX && r == 0) {
		size_t cut = fold_at(line, FIELDS_LINE_MAX - space);
		bool hard = cut == 0;

		if (hard) {
			cut = fields_cut(line, len, FIELDS_LINE_MAX - space);
			*ret_split = true;
		}
		r = buf_append(out, line, cut);
		if (r == 0)
			r = buf_append_str(out, hard ? "\r\n " : "\r\n");
		line += cut;
		len -= cut;
		space = hard ? 1 : 0;
	}
	if (r == 0)
		r = buf_append(out, line, len);
	return r < 0 ? r : buf_append_str(out, "\r\n");
}

int
fields_fold(struct buf *out, const char *field, size_t len, bool *ret_split)
{
	int r = 0;

	for (size_t at = 0; at < len && r == 0;) {
		const char *lf = memchr(field + at, '\n', len - at);
		size_t whole = lf == NULL ? len - at : (size_t)(lf - field) + 1 - at;

		if (at > 0 && is_blank_line(field + at, whole))
			r = 0; /* some take it for the end of the header section */
		else if (whole <= FIELDS_LINE_MAX + 2)
			r = buf_append(out, field + at, whole);
		else
			r = fold_line(out, field + at, whole - 2, ret_split);
		at += whole;
	}
	return r;
}

int
fields_fold_long(struct buf *out, const char *field, size_t len, bool *ret_split)
{
	for (size_t at = 0; at < len;) {
		const char *lf = memchr(field + at, '\n', len - at);
		size_t whole = lf == NULL ? len - at : (size_t)(lf - field) + 1 - at;

		if (whole > FIELDS_LINE_MAX + 2)
			return fields_fold(out, field, len, ret_split);
		at += whole;
	}
	return buf_append(out, field, len);
}
