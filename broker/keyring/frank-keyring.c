/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * frank-keyring: keeps the key that opens the token store in the desktop's keyring (Secret Service,
 * by libsecret).
 *
 * A program of its own, so that GLib enters no role of the daemon. frankd runs it at start when the
 * configuration says `key = "keyring"`, and reads the key from its standard output, a pipe. The key
 * never comes by argv or environment.
 *
 *   frank-keyring STORE    writes 32 octets, made at random and put into the keyring where it had
 * none for STORE
 *
 * STORE names the token store (its state folder), so that two stores of one person have two keys.
 * Exit status: 0; 64 usage; 69 no keyring answers, or it is locked and nobody unlocked it; 70 it
 * gave what is no key; 74 the pipe broke.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include <libsecret/secret.h>

#include "base/buf.h"
#include "base/codec.h"

enum { KEY_SIZE = 32 };

static const SecretSchema schema = {
    "org.frank.TokenStoreKey",
    SECRET_SCHEMA_NONE,
    {{"store", SECRET_SCHEMA_ATTRIBUTE_STRING}, {NULL, 0}},
};

static int
fail(int status, const char *what, GError *error)
{
	(void)fprintf(stderr, "frank-keyring: %s%s%s\n", what, error == NULL ? "" : ": ",
	    error == NULL ? "" : error->message);
	g_clear_error(&error);
	return status;
}

/* Makes a key and puts it, as base64, into the default keyring. */
static int
make_key(const char *store, struct buf *text)
{
	unsigned char key[KEY_SIZE];
	GError *error = NULL;
	int r = EX_OSERR;

	if (getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key) &&
	    base64_encode(text, key, sizeof(key)) == 0)
		r = EX_OK;
	mem_wipe(key, sizeof(key));
	if (r != EX_OK)
		return fail(r, "no random bytes or no memory", NULL);
	if (!secret_password_store_sync(&schema, SECRET_COLLECTION_DEFAULT,
		"Frank: key of the token store", buf_str(text), NULL, &error, "store", store, NULL))
		return fail(EX_UNAVAILABLE, "the keyring did not take the new key", error);
	return EX_OK;
}

static int
write_key(const struct buf *text)
{
	CLEANUP_BUF struct buf key = BUF_INIT_WIPE(KEY_SIZE * 2);

	if (base64_decode(&key, text->data, text->len) < 0 || key.len != KEY_SIZE)
		return fail(EX_SOFTWARE,
		    "what the keyring holds for this store is no key of 32 octets", NULL);
	if (write(STDOUT_FILENO, key.data, key.len) != KEY_SIZE)
		return fail(EX_IOERR, strerror(errno), NULL);
	return EX_OK;
}

int
main(int argc, char **argv)
{
	CLEANUP_BUF struct buf text = BUF_INIT_WIPE(128);
	GError *error = NULL;
	gchar *found;
	int r = EX_OK;

	if (argc != 2 || isatty(STDOUT_FILENO)) {
		(void)fprintf(stderr, "usage: frank-keyring STORE   (run by frankd; writes a key "
				      "to a pipe, never to a terminal)\n");
		return EX_USAGE;
	}
	(void)prctl(PR_SET_DUMPABLE, 0);
	found = secret_password_lookup_sync(&schema, NULL, &error, "store", argv[1], NULL);
	if (error != NULL)
		return fail(EX_UNAVAILABLE, "the keyring does not answer", error);
	if (found != NULL) {
		r = buf_append_str(&text, found) < 0
			? fail(EX_SOFTWARE, "what the keyring holds is too long", NULL)
			: EX_OK;
		secret_password_wipe(found);
		secret_password_free(found);
	} else {
		r = make_key(argv[1], &text);
	}
	return r == EX_OK ? write_key(&text) : r;
}
