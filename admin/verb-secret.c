/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * verb-secret.c: `frank secret set`: a password or another secret goes into the sealed store.
 */
#include "admin/ask.h"
#include "admin/verbs.h"
#include "base/wipe.h"

#include <string.h>

enum { SECRET_PATIENCE = 30 };

static int
read_secret(const struct cli *cli, const char *account, struct buf *b)
{
	char prompt[256];

	(void)snprintf(prompt, sizeof(prompt), "Secret for %.200s (not shown): ", account);
	return ask_all(cli, prompt, "the secret", b);
}

/*
 * Google gives the key of a service account in a JSON file: the key goes to keeper, which reads no
 * JSON, with its name and with the address of the service account, so that no key ends up with
 * another account. The file's endpoints are not used: the configuration says where a key goes.
 */
static int
put_key_file(const struct cli *cli, struct message *m, const json_t *file)
{
	const char *type = cli_text(file, "type"), *key = cli_text(file, "private_key"),
		   *id = cli_text(file, "private_key_id"), *email = cli_text(file, "client_email");

	if (type == NULL || strcmp(type, "service_account") != 0 || key == NULL || email == NULL)
		return cli_fail(cli, EX_DATAERR,
		    "a service account's file has type, client_email, private_key_id and "
		    "private_key",
		    "this JSON is not the key file of a service account; nothing was changed");
	message_put_bytes(m, F_SECRET, key, strlen(key));
	message_put_str(m, F_KEY_ID, id);
	message_put_str(m, F_CLIENT_ID, email);
	return EX_OK;
}

static int
put_secret(const struct cli *cli, struct message *m, const struct buf *b)
{
	json_t *file;
	int status;

	if (b->len == 0 || b->data[0] != '{') {
		message_put_bytes(m, F_SECRET, b->data, b->len);
		return EX_OK;
	}
	/* What jansson holds of a key file is wiped when it lets go. */
	json_set_alloc_funcs(malloc, wipe_free);
	file = json_loadb(b->data, b->len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(file)) {
		/* a password may begin with a brace */
		json_decref(file);
		message_put_bytes(m, F_SECRET, b->data, b->len);
		return EX_OK;
	}
	status = put_key_file(cli, m, file);
	json_decref(file);
	return status;
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
	status = put_secret(cli, m, &b);
	if (status != EX_OK) {
		(void)message_free(m);
		return status;
	}
	status = link_list(&l, m, NULL, NULL, NULL);
	if (status == EX_OK && cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s}", "account", args->words[2], "state", "stored"), EX_OK);
	if (status == EX_OK)
		(void)printf("The secret of %s is stored.\n", args->words[2]);
	return status;
}
