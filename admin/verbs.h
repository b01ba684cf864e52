/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* verbs.h: what frank can do: each returns an exit status, errors having been said. One file per
 * group. */
#ifndef FRANK_ADMIN_VERBS_H
#define FRANK_ADMIN_VERBS_H

#include "admin/cli.h"

typedef int verb_run(const struct cli *cli, const struct arguments *args);

verb_run verb_authorize;  /* verb-authorize.c */
verb_run verb_secret_set; /* verb-secret.c */
verb_run verb_unlock;     /* verb-key.c */
verb_run verb_key_list;
verb_run verb_key_add;
verb_run verb_key_remove;
verb_run verb_key_rotate;
verb_run verb_key_backup;
verb_run verb_key_restore;
verb_run verb_key_verify;
verb_run verb_token;  /* verb-token.c */
verb_run verb_status; /* verb-status.c */
verb_run verb_account_list;
verb_run verb_service_list; /* verb-service.c */
verb_run verb_service_explain;
verb_run verb_service_password;
verb_run verb_events, verb_events_replay, verb_events_test; /* verb-events.c */
verb_run verb_queue_list;                                   /* verb-queue.c */
verb_run verb_queue_show;
verb_run verb_queue_act; /* words[1] is the action */
verb_run verb_queue_move;
verb_run verb_account_act;    /* words[1] is the action */
verb_run verb_account_add;    /* verb-account-add.c */
verb_run verb_account_revoke; /* verb-account.c */
verb_run verb_transcript;
verb_run verb_audit;        /* verb-audit.c */
verb_run verb_check;        /* verb-check.c */
verb_run verb_test;         /* verb-test.c */
verb_run verb_test_deliver; /* verb-test-deliver.c */
verb_run verb_test_mark;    /* verb-test-wait.c */
verb_run verb_test_wait;
verb_run verb_test_release; /* verb-test-release.c */
verb_run verb_reload;       /* verb-reload.c */
verb_run verb_metrics;      /* verb-metrics.c */

verb_run verb_console; /* verb-console.c */

/* What queue and keeper know of one account, as `frank status --json` prints it: *ret is the
 * caller's. EX_OK, or the exit status after saying why not. verb-status.c */
int verb_status_of_account(const struct cli *cli, const char *account, json_t **ret);

/* Waits until a message is neither queued nor being sent, but two minutes at most. *ret gets the message as verb_queue_load gives it;
 * the caller frees it. EX_OK, or the exit status after saying why not. verb-test.c */
int verb_test_follow(const struct cli *cli, const char *id, json_t **ret);

/* All accounts as `frank status --json` prints them: *ret is the caller's. As below. verb-status.c */
int verb_status_of_accounts(const struct cli *cli, json_t **ret);
/* The services as `frank service list --json` prints them. verb-service.c */
int verb_service_rows(const struct cli *cli, json_t **ret);

/* `frank check ACCOUNT` and `frank check --host SERVER`. check-live.c */
int check_live(const struct cli *cli, const struct arguments *args);
/* The same of an account without printing anything: *ret is the object that --json prints, the caller's. EX_OK, whatever the verdict
 * is; or the exit status after saying why nothing was found out. */
int check_live_silent(
    const struct cli *cli, const struct arguments *args, const char *account, json_t **ret);
/* `frank check --compare A B`. check-compare.c */
int check_compare(const struct cli *cli, const struct arguments *args);

/* One message of the queue as `frank queue show --json` prints it: *ret is the caller's. EX_OK, or
 * the exit status after saying why not; and the same for people. verb-queue.c */
int verb_queue_load(const struct cli *cli, const char *id, json_t **ret);
void verb_queue_print(const struct cli *cli, const json_t *message);
/* The rows of an answer about messages: ROW_MESSAGE as such an object (the caller's), and ROW_RECIPIENT added to it.
 * EX_OK or EX_OSERR. verb-queue.c */
int verb_queue_row(const struct message *m, json_t **ret);
int verb_queue_recipient(const struct message *m, json_t *message);

#endif
