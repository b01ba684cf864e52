/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * login.h: AUTH from the server's side: PLAIN (RFC 4616) and LOGIN (no RFC; its two prompts are those that
 * every client takes), one exchange, step by step; and how the password of a service is spelled. Pure.
 */
#ifndef FRANK_BROKER_QUEUE_INBOUND_LOGIN_H
#define FRANK_BROKER_QUEUE_INBOUND_LOGIN_H

#include <stddef.h>

#include "base/secret.h"

enum { LOGIN_NAME_MAX = 255, LOGIN_PASSWORD_MAX = 1024 };

struct login {
	char name[LOGIN_NAME_MAX + 1];
	struct secret *password;
	bool prompted, named; /* LOGIN */
};

enum login_step {
	LOGIN_ASK,  /* the client is to be sent *ret_prompt, which may be "" */
	LOGIN_DONE, /* name and password are there */
	LOGIN_BAD,  /* this is no exchange of the mechanism */
};

/* Takes a response: decoded octets, or NULL where the client sent none yet. */
enum login_step login_take(struct login *l, const char *mechanism, const char *response, size_t len,
    const char **ret_prompt);

/* Forgets the exchange. */
void login_clear(struct login *l);

/* "abcdefgh-ijkmnpqr-...": four groups of eight out of 32 letters that are not mistaken for each
 * other. */
enum { PASSWORD_BITS = 160, PASSWORD_TEXT_LEN = 32 + 3 };

/* Writes the text that stands for 20 random octets. */
void login_password_text(
    const unsigned char bytes[PASSWORD_BITS / 8], char text[PASSWORD_TEXT_LEN + 1]);

#endif
