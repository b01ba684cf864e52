/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * environment.h: options from the environment, for containers: FRANK_SANDBOX_ and the option's name in capitals, as in
 * FRANK_SANDBOX_SUBMISSION_PORT=587. They come before the command line's, which so have the last word.
 *
 * An option that may be given several times has its values separated by spaces; one without a value wants yes or no. No option has a
 * secret as its value: those are in files.
 */
#ifndef FRANK_SANDBOX_ENVIRONMENT_H
#define FRANK_SANDBOX_ENVIRONMENT_H

#include <getopt.h>

/* Makes the whole list of arguments: argv[0], the environment's, the rest of `argv`, NULL. `options` are getopt_long's, and `several`
 * (NULL at the end) names those that may be repeated. 0, -ENOMEM, or -EINVAL: `*ret_wrong` is the variable, borrowed from
 * `environment`, that names no option or has no fitting value. The caller frees with environment_free. */
int environment_arguments(char *const *environment, const struct option *options,
    const char *const *several, int argc, char *const *argv, char ***ret, int *ret_count,
    const char **ret_wrong);
void environment_free(char **arguments);

#endif
