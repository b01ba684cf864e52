/*
 * verb-secret.c: `frank secret set`: a password or another secret goes into the sealed store.
 */
#include "admin/ask.h"
#include "admin/verbs.h"

#include <string.h>

enum { SECRET_PATIENCE = 30 };

static int
read_secret(const struct cli *cli, const char *account, struct buf *b)
{
	char prompt[256];

	(void)snprintf(prompt, sizeof(prompt), "Secret for %.200s (not shown): ", account);
	return ask_all(cli, prompt, "the secret", b);
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
	message_put_bytes(m, F_SECRET, b.data, b.len);
	status = link_list(&l, m, NULL, NULL, NULL);
	if (status == EX_OK && cli->json)
		return cli_print_json(
		    json_pack("{s:s, s:s}", "account", args->words[2], "state", "stored"), EX_OK);
	if (status == EX_OK)
		(void)printf("The secret of %s is stored.\n", args->words[2]);
	return status;
}
