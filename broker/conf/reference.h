/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* reference.h: reads the secrets that the configuration names: a file, a credential of systemd, the output of a command. */
#ifndef FRANK_BROKER_CONF_REFERENCE_H
#define FRANK_BROKER_CONF_REFERENCE_H

#include <sys/types.h>

#include "broker/conf/conf.h"

/*
 * Reads what a reference names: a file (trailing newline removed), a credential of systemd
 * ($CREDENTIALS_DIRECTORY), or the standard output of a command (no shell, no arguments, 10 s, 16
 * KiB). Blocks; for main only. NULL on failure with a sentence in `why`, which never has the value
 * in it.
 */
struct secret *reference_read(const struct conf_reference *r, struct buf *why);

/* Its two halves, for a caller that must not wait: a command's output comes by *ret_fd (the
 * caller's), and what its end says is told with how reading went (`r`: 0, -ETIMEDOUT, -ENOBUFS for
 * more than REFERENCE_MAX, ...) and the status of waitpid. Errors as above. */
enum { REFERENCE_MAX = 16 * 1024, REFERENCE_COMMAND_SECONDS = 10 };
bool reference_is_command(const struct conf_reference *r);
int reference_command_start(
    const struct conf_reference *r, pid_t *ret_pid, int *ret_fd, struct buf *why);
struct secret *reference_command_end(
    const struct conf_reference *ref, int r, int status, struct buf *out, struct buf *why);

#endif
