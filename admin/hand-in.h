/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * hand-in.h: hands in a message through a submission socket of frankd, as every program does.
 */
#ifndef FRANK_ADMIN_HAND_IN_H
#define FRANK_ADMIN_HAND_IN_H

#include "admin/cli.h"

struct hand_in {
	const char *socket;  /* the path of submit.sock, or of a service's own */
	const char *account; /* that it is to go by and no other (XACCOUNT); NULL: left open */
	const char *sender;  /* "": the null sender */
	const char *const *recipients;
	size_t count;
	const char *content; /* line ends are CRLF */
	size_t len;
	bool as_user; /* the caller is `uid`, with its groups: for root alone */
	unsigned uid;
};

/* What frankd said: of the first refusal, or to the whole message. */
struct hand_in_answer {
	int code;
	char enhanced[16];
	char *text;  /* the caller's */
	char id[64]; /* "": it was not taken */
};

/* May the address stand in a command as it is? */
bool hand_in_is_plain(const char *address);
/* Hands the message in. EX_OK if frankd answered, with its answer, also a refusal, in *ret; otherwise the exit status, and
 * the user has been told why. */
int hand_in(const struct cli *cli, const struct hand_in *what, struct hand_in_answer *ret);
void hand_in_answer_clear(struct hand_in_answer *a);

#endif
