/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Unit tests of broker/message/recode.c: no line stays too long, and no octet is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "broker/message/recode.h"

enum { LINE_MAX_OCTETS = 998 };

static int
on_write(void *arg, const char *bytes, size_t len)
{
	return buf_append(arg, bytes, len);
}

static enum recode_way
recode(enum recode_need need, struct complete_facts *facts, const struct buf *in, size_t piece,
    struct buf *out)
{
	struct recode *r = recode_new(need, facts, on_write, out);
	enum recode_way way;
	bool is_signed;

	assert_non_null(r);
	for (size_t at = 0; at < in->len; at += piece)
		assert_int_equal(
		    recode_input(r, in->data + at, in->len - at < piece ? in->len - at : piece), 0);
	assert_int_equal(recode_end(r, facts, &way, &is_signed), 0);
	(void)recode_free(r);
	assert_int_equal(facts->size, out->len);
	return way;
}

static int
unhex(char c)
{
	const char *at = strchr("0123456789ABCDEF", c);

	assert_non_null(at);
	return (int)(at - "0123456789ABCDEF");
}

/* What a reader of quoted-printable makes of it. */
static void
decode_qp(const char *s, struct buf *out)
{
	for (; *s != '\0'; s++) {
		if (*s != '=') {
			assert_int_equal(buf_append_char(out, *s), 0);
		} else if (s[1] == '\r') {
			s += 2;
		} else {
			assert_int_equal(
			    buf_append_char(out, (char)(unhex(s[1]) << 4 | unhex(s[2]))), 0);
			s += 2;
		}
	}
}

static void
check_lines(const char *message, size_t longest)
{
	for (const char *line = message; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strcspn(line, "\r\n") > longest)
			fail_msg("a line of %zu octets", strcspn(line, "\r\n"));
}

static void
long_message(struct buf *in, const char *header)
{
	buf_init(in, 1000000);
	assert_int_equal(buf_append_str(in, header), 0);
	assert_int_equal(buf_append_str(in, "\r\nshort \r\n.dot\r\n=\t\r\n"), 0);
	for (int i = 0; i < 998; i++)
		assert_int_equal(buf_append_char(in, 'b'), 0);
	assert_int_equal(buf_append_str(in, "\r\n"), 0);
	for (int i = 0; i < 1500; i++)
		assert_int_equal(buf_append_str(in, i % 300 == 7 ? "w " : "\xe2\x98\x83"), 0);
	assert_int_equal(buf_append_str(in, "\r\nend\r\n"), 0);
}

static const char *
body_of(const struct buf *message)
{
	return strstr(message->data, "\r\n\r\n") + 4;
}

static void
test_quoted_printable_is_lossless(void **state)
{
	static const struct {
		const char *header, *wanted;
	} rows[] = {
	    {"From: a@b.example\r\n",
		"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
		"charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"},
	    {"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/html;\r\n "
	     "charset=utf-8\r\n",
		"MIME-Version: 1.0\r\nContent-Type: text/html;\r\n "
		"charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"},
	};
	static const size_t pieces[] = {1, 2, 3, 64, 4095, 4096, 100000};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
			CLEANUP_BUF struct buf in, out = BUF_INIT(1000000),
						   back = BUF_INIT(1000000);
			struct complete_facts facts = {
			    .longest_line = 4490, .eight_bit_body = true, .body_is_utf8 = true};

			long_message(&in, rows[i].header);
			assert_int_equal(recode(RECODE_ENCODE, &facts, &in, pieces[k], &out),
			    RECODE_WAY_QUOTED_PRINTABLE);
			assert_memory_equal(out.data, rows[i].wanted, strlen(rows[i].wanted));
			check_lines(out.data, 76);
			decode_qp(body_of(&out), &back);
			assert_string_equal(back.data, body_of(&in));
			assert_null(strstr(body_of(&out), " \r\n"));
			assert_false(facts.eight_bit_body);
			assert_int_equal(facts.header_size, strlen(rows[i].wanted) - 2);
		}
}

static void
test_other_ways(void **state)
{
	static const struct {
		const char *header;
		enum recode_way way;
	} rows[] = {
	    {"Content-Type: multipart/mixed; boundary=x\r\n", RECODE_WAY_SPLIT},
	    {"Content-Transfer-Encoding: BASE64\r\n", RECODE_WAY_REFLOW},
	    {"Content-Transfer-Encoding:\r\n quoted-printable\r\n", RECODE_WAY_SOFT_BREAKS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t piece = 1; piece < 3000; piece = piece * 3 + 1) {
			CLEANUP_BUF struct buf in, out = BUF_INIT(1000000), a = BUF_INIT(1000000),
						   b = BUF_INIT(1000000);
			struct complete_facts facts = {.longest_line = 4490};

			long_message(&in, rows[i].header);
			assert_int_equal(
			    recode(RECODE_ENCODE, &facts, &in, piece, &out), rows[i].way);
			check_lines(out.data, LINE_MAX_OCTETS);
			assert_true(facts.longest_line <= LINE_MAX_OCTETS);
			assert_memory_equal(out.data, rows[i].header, strlen(rows[i].header));
			/* but for line ends (and soft breaks), every octet is there */
			for (const char *c = in.data; *c != '\0'; c++)
				if (*c != '\r' && *c != '\n')
					assert_int_equal(buf_append_char(&a, *c), 0);
			for (const char *c = out.data; *c != '\0'; c++)
				if (rows[i].way == RECODE_WAY_SOFT_BREAKS &&
				    memcmp(c, "=\r\n", 3) == 0)
					c += 2;
				else if (*c != '\r' && *c != '\n')
					assert_int_equal(buf_append_char(&b, *c), 0);
			assert_string_equal(a.data, b.data);
		}
}

/* In a row of parts: an octet that stands for a line of 1200. */
static void
expand(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		for (int i = 0; i < (*text == '@' ? 1200 : 1); i++)
			assert_int_equal(buf_append_char(out, *text == '@' ? 'y' : *text), 0);
}

#define QP "Content-Transfer-Encoding: quoted-printable\r\n"

/* The same, and '%' for the line encoded: 1200 times 'y' in lines of 75 and a soft break. */
static void
expand_wanted(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text != '%') {
			expand(out, (const char[]){*text, '\0'});
			continue;
		}
		for (int i = 0; i < 1200; i++) {
			if (i > 0 && i % 75 == 0)
				assert_int_equal(buf_append_str(out, "=\r\n"), 0);
			assert_int_equal(buf_append_char(out, 'y'), 0);
		}
	}
}

static const struct {
	const char *name, *in, *out;
	enum recode_way way;
} part_rows[] = {
    {"each in its own way",
	"Content-Type: multipart/mixed; charset=x; boundary=\"a b\"\r\n\r\npreamble\r\n"
	"--a b\r\n\r\n@\r\n--a b not\r\n--a b\r\nContent-Type: text/html\r\n"
	"Content-Transfer-Encoding: 8bit\r\nX: y\r\n\r\n\xc3\xa4@\r\n\r\n--a b  \r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--a b\r\n"
	"Content-Transfer-Encoding: base64\r\n\r\nQUFB\r\n--a b--\r\nepilogue\r\n",
	"Content-Type: multipart/mixed; charset=x; boundary=\"a b\"\r\n\r\npreamble\r\n"
	"--a b\r\n" QP "\r\n%\r\n--a b not\r\n--a b\r\nContent-Type: text/html\r\nX: y\r\n" QP
	"\r\n=C3=A4" /* six columns: the breaks fall elsewhere */
	"&\r\n\r\n--a b  \r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--a b\r\n"
	"Content-Transfer-Encoding: base64\r\n\r\nQUFB\r\n--a b--\r\nepilogue\r\n",
	RECODE_WAY_PARTS},
    {"nested; the outer boundary ends the inner parts",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
	"multipart/alternative;\r\n "
	"boundary=\"o1\"\r\n\r\n--o1\r\n\r\n@\r\n--o\r\n\r\n@\r\n--o1"
	"\r\n--o--\r\n",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
	"multipart/alternative;\r\n boundary=\"o1\"\r\n\r\n--o1\r\n" QP "\r\n%\r\n--o\r\n" QP
	"\r\n%\r\n--o1\r\n--o--\r\n",
	RECODE_WAY_PARTS},
    {"signed parts are not touched",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
	"multipart/signed; "
	"boundary=s\r\n\r\n--s\r\n\r\n@\r\n--s--\r\n--o\r\n\r\n@\r\n--o--\r\n",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
	"multipart/signed; "
	"boundary=s\r\n\r\n--s\r\n\r\n@\r\n--s--\r\n--o\r\n" QP "\r\n%\r\n--o--\r\n",
	RECODE_WAY_KEPT},
    {"nor is a message that is signed as a whole",
	"Content-Type: Multipart/Signed; boundary=s\r\n\r\n--s\r\n\r\n@\r\n--s--\r\n",
	"Content-Type: Multipart/Signed; boundary=s\r\n\r\n--s\r\n\r\n@\r\n--s--\r\n",
	RECODE_WAY_KEPT},
    {"short lines of what is signed are no trouble",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
	"multipart/signed; "
	"boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n--o\r\n\r\n@\r\n--o--\r\n",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
	"multipart/signed; "
	"boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n--o\r\n" QP "\r\n%\r\n--o--\r\n",
	RECODE_WAY_PARTS},
    {"messages of a digest are not encoded",
	"Content-Type: multipart/digest; boundary=o\r\n\r\n--o\r\n\r\nFrom: "
	"x\r\n\r\nx\r\n--o\r\nContent-Type: text/plain\r\n\r\n@\r\n--o--\r\n",
	"Content-Type: multipart/digest; boundary=o\r\n\r\n--o\r\n\r\nFrom: "
	"x\r\n\r\nx\r\n--o\r\nContent-Type: text/plain\r\n" QP "\r\n%\r\n--o--\r\n",
	RECODE_WAY_PARTS},
    {"a part without a blank line is no header, and stays",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nno "
	"field\r\n--o\r\n\r\n@\r\n",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nno field\r\n--o\r\n" QP
	"\r\n%\r\n",
	RECODE_WAY_PARTS},
    {"the message ends in the header of a part",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\n@\r\n--o\r\nX: y\r\n",
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" QP "\r\n%\r\n--o\r\nX: y\r\n",
	RECODE_WAY_PARTS},
};

static void
test_parts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(part_rows); i++)
		for (size_t piece = 1; piece < 8000; piece = piece * 3 + 1) {
			CLEANUP_BUF struct buf in = BUF_INIT(100000), out = BUF_INIT(100000),
					       wanted = BUF_INIT(100000);
			struct complete_facts facts = {
			    .longest_line = 1200, .eight_bit_body = true};
			enum recode_way way;

			expand(&in, part_rows[i].in);
			for (const char *c = part_rows[i].out; *c != '\0'; c++) {
				if (*c != '&') {
					expand_wanted(&wanted, (const char[]){*c, '\0'});
					continue;
				}
				for (int n = 0; n < 1200; n++) {
					if ((n + 6) % 75 == 0)
						assert_int_equal(
						    buf_append_str(&wanted, "=\r\n"), 0);
					assert_int_equal(buf_append_char(&wanted, 'y'), 0);
				}
			}
			way = recode(RECODE_ENCODE, &facts, &in, piece, &out);
			assert_string_equal(buf_str(&out), buf_str(&wanted));
			assert_int_equal(way, part_rows[i].way);
			assert_false(facts.eight_bit_body);
			if (way == RECODE_WAY_KEPT)
				assert_int_equal(facts.longest_line, 1200);
			else
				assert_true(facts.longest_line <= LINE_MAX_OCTETS);
		}
}

#define B64 "Content-Transfer-Encoding: base64\r\n"
#define MULTI "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"

static const struct {
	const char *in;
	size_t len;
	const char *out; /* NULL: refused */
	enum recode_need need;
} odd_rows[] = {
#define ROW(in, out)                                   \
	{                                              \
		in, sizeof(in) - 1, out, RECODE_ENCODE \
	}
#define SEVEN(in, out)                                    \
	{                                                 \
		in, sizeof(in) - 1, out, RECODE_SEVEN_BIT \
	}
    ROW("MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\na\0b\rc \rd\r\r\ne\n",
	"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n" QP "\r\na=00b=0Dc =0Dd\r\ne\r\n"),
    ROW("MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nend\r", /* the CR stands alone */
	"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n" QP "\r\nend=0D\r\n"),
    /* "a\0b\rc\n" */
    ROW("MIME-Version: 1.0\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: "
	"binary\r\n\r\na\0b\rc\n",
	"MIME-Version: 1.0\r\nContent-Type: image/jpeg\r\n" B64 "\r\nYQBiDWMK\r\n"),
    ROW("MIME-Version: 1.0\r\nContent-Type: image/jpeg\r\n\r\n\r\r\n\r\n",
	"MIME-Version: 1.0\r\nContent-Type: image/jpeg\r\n" B64 "\r\nDQ0KDQo=\r\n"),
    /* in a part the last line end is the boundary's: "\0\n\n", "\r\r\n", and "\r" between LFs */
    ROW(MULTI "Content-Type: image/x\nContent-Transfer-Encoding: "
	      "binary\n\n\0\n\n\n--b\nContent-Type: "
	      "image/x\r\n\r\n\r\r\n\r\n--b\nContent-Type: image/x\n\n\r\n--b--\n",
	MULTI "Content-Type: image/x\r\n" B64 "\r\nAAoK\r\n--b\r\nContent-Type: image/x\r\n" B64
	      "\r\nDQ0K\r\n--b\r\nContent-Type: image/x\r\n" B64 "\r\nDQ==\r\n--b--\r\n"),
    ROW(MULTI "\nnone\n--b\nContent-Type: image/x\n\n--b--\n",
	MULTI QP "\r\nnone\r\n--b\r\nContent-Type: image/x\r\n" B64 "\r\n--b--\r\n"),
    /* what is encoded keeps its encoding */
    ROW(MULTI "Content-Transfer-Encoding: "
	      "base64\r\n\r\nY\0Q\r==\r\n--b\r\nContent-Transfer-Encoding: "
	      "quoted-printable\r\n\r\na\0=41\rb\r\n--b--\r\n",
	MULTI B64 "\r\nYQ==\r\n--b\r\n" QP "\r\na=00=41=0Db\r\n--b--\r\n"),
    /* within an attached message */
    ROW(MULTI "Content-Type: message/rfc822\r\n\r\nSubject: x\nMIME-Version: "
	      "1.0\n\na\0b\r\n--b--\r\n",
	MULTI "Content-Type: message/rfc822\r\n\r\nSubject: x\r\nMIME-Version: 1.0\r\n" QP
	      "\r\na=00b\r\n--b--\r\n"),
    ROW(MULTI "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "
	      "boundary=c\n\n--c\n\na\0"
	      "b\n--c--\n--b--\r\n",
	MULTI "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "
	      "boundary=c\r\n\r\n--c\r\n" QP "\r\na=00b\r\n--c--\r\n--b--\r\n"),
    ROW("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: "
	"binary\r\n\r\n--b\n\na\n--b--\n",
	"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: "
	"8bit\r\n\r\n--b\r\n" QP "\r\na\r\n--b--\r\n"),
    /* what may not be changed */
    ROW("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\na\0b\r\n--b--\r\n", NULL),
    ROW("Content-Type: application/pkcs7-mime\r\n\r\na\rb\r\n", NULL),
    ROW(MULTI "Content-Type: multipart/signed; "
	      "boundary=c\r\n\r\n--c\r\n\r\na\0b\r\n--c--\r\n--b--\r\n",
	NULL),
    ROW("Content-Transfer-Encoding: x-uuencode\r\n\r\na\0b\r\n", NULL),
    ROW(MULTI "Content-Type: message/delivery-status\r\n\r\na\0b\r\n--b--\r\n", NULL),
    ROW(MULTI "X: a\0b\r\n\r\n--b--\r\n", NULL),
    ROW(MULTI "Content-Type: message/rfc822\r\n\r\nDKIM-Signature: v=1\r\n\r\na\0b\r\n--b--\r\n",
	NULL),
    ROW("DKIM-Signature: v=1\r\n\r\na\0b\r\n", NULL),
    /* signed, and only its line ends are not those of the wire */
    ROW("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\n\na\r\r\nb\r\n--b--\n",
	"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\na\r\nb\r\n--b--\r\n"),
    /* 7 bits */
    SEVEN("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
	  "8bit\r\n\r\n\xc3\xa4\r\n",
	"Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n" QP "\r\n=C3=A4\r\n"),
    SEVEN("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: "
	  "8bit\r\n\r\n--b\r\n\r\n"
	  "\xc3\xa4\r\n--b\r\nContent-Type: image/x\r\n\r\n\xff\r\n--b--\r\n",
	MULTI QP "\r\n=C3=A4\r\n--b\r\nContent-Type: image/x\r\n" B64 "\r\n/w==\r\n--b--\r\n"),
    SEVEN("Content-Type: multipart/signed; "
	  "boundary=b\r\n\r\n--b\r\n\r\n\xc3\xa4\r\n--b--\r\n",
	NULL),
    SEVEN("ARC-Message-Signature: i=1\r\n\r\n\xc3\xa4\r\n", NULL),
};

/* What no line may hold: encoded where something may be encoded, refused where not. */
static void
test_odd_octets(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(odd_rows); i++)
		for (size_t piece = 1; piece < 500; piece = piece * 2 + 1) {
			struct complete_facts facts = {.mime = true, .odd_octets = true};
			CLEANUP_BUF struct buf out = BUF_INIT(100000);
			struct recode *r = recode_new(odd_rows[i].need, &facts, on_write, &out);
			enum recode_way way;
			bool is_signed;
			int e = 0;

			assert_non_null(r);
			for (size_t at = 0; at < odd_rows[i].len && e == 0; at += piece)
				e = recode_input(r, odd_rows[i].in + at,
				    odd_rows[i].len - at < piece ? odd_rows[i].len - at : piece);
			assert_int_equal(e, 0);
			e = recode_end(r, &facts, &way, &is_signed);
			(void)recode_free(r);
			if (e != (odd_rows[i].out == NULL ? -EILSEQ : 0))
				fail_msg("%s in %zu: %d", odd_rows[i].in, piece, e);
			if (e == 0)
				assert_string_equal(buf_str(&out), odd_rows[i].out);
			if (e == 0 && facts.odd_octets)
				fail_msg("%s", odd_rows[i].in);
		}
#undef ROW
#undef SEVEN
}

/* A part's header of nothing but CRs is looked over once: not once from each of them, which would take hours. */
static void
test_many_crs(void **state)
{
	static const char before[] =
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: ",
			  crs[] =
			      "\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r",
			  after[] = "x\r\n\r\ntext\r\n--b--\r\n";
	struct complete_facts facts = {.mime = true, .odd_octets = true};
	CLEANUP_BUF struct buf out = BUF_INIT(100000);
	struct recode *r = recode_new(RECODE_ENCODE, &facts, on_write, &out);
	enum recode_way way;
	bool is_signed;

	assert_non_null(r);
	assert_int_equal(recode_input(r, before, strlen(before)), 0);
	for (int i = 0; i < 128 * 1024; i++)
		assert_int_equal(recode_input(r, crs, strlen(crs)), 0);
	assert_int_equal(recode_input(r, after, strlen(after)), 0);
	assert_int_equal(recode_end(r, &facts, &way, &is_signed), -EILSEQ);
	(void)recode_free(r);
}

static void
test_soft_breaks_spare_escapes(void **state)
{
	for (size_t lead = 0; lead < 12; lead++) {
		CLEANUP_BUF struct buf in = BUF_INIT(100000), out = BUF_INIT(100000),
				       a = BUF_INIT(100000), b = BUF_INIT(100000);
		struct complete_facts facts = {.longest_line = 3000};

		assert_int_equal(
		    buf_append_str(&in, "Content-Transfer-Encoding: quoted-printable\r\n\r\n"), 0);
		for (size_t i = 0; i < lead; i++)
			assert_int_equal(buf_append_char(&in, 'x'), 0);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(buf_append_str(&in, "=C3"), 0);
		assert_int_equal(buf_append_str(&in, "\r\n"), 0);
		(void)recode(RECODE_ENCODE, &facts, &in, 100, &out);
		check_lines(out.data, LINE_MAX_OCTETS);
		decode_qp(body_of(&in), &a);
		decode_qp(body_of(&out), &b);
		assert_string_equal(a.data, b.data);
	}
}

static void
test_label(void **state)
{
	static const char text[] = "From: a@b.example\r\n\r\nK\xc3\xb6rper\r\n";
	struct complete_facts facts = {.eight_bit_body = true, .body_is_utf8 = true};
	CLEANUP_BUF struct buf in = BUF_INIT(1000), out = BUF_INIT(1000);

	assert_int_equal(recode_needed(&facts), RECODE_LABEL);
	assert_int_equal(buf_append_str(&in, text), 0);
	assert_int_equal(recode(RECODE_LABEL, &facts, &in, 1, &out), RECODE_WAY_LABEL);
	assert_string_equal(out.data,
	    "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
	    "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nK\xc3\xb6rper\r\n");
	assert_true(facts.eight_bit_body);
	assert_int_equal(recode_needed(&facts), RECODE_NONE);
}

static void
test_needs(void **state)
{
	assert_int_equal(recode_needed(&(struct complete_facts){.longest_line = 998}), RECODE_NONE);
	assert_int_equal(
	    recode_needed(&(struct complete_facts){.longest_line = 999}), RECODE_ENCODE);
	assert_int_equal(
	    recode_needed(&(struct complete_facts){.eight_bit_body = true, .mime = true}),
	    RECODE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_quoted_printable_is_lossless),
	    cmocka_unit_test(test_other_ways),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_odd_octets),
	    cmocka_unit_test(test_many_crs),
	    cmocka_unit_test(test_soft_breaks_spare_escapes),
	    cmocka_unit_test(test_label),
	    cmocka_unit_test(test_needs),
	};

	return cmocka_run_group_tests_name("queue/recode", tests, NULL, NULL);
}
