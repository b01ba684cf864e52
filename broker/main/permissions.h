/*
 * permissions.h: who else may read or change what frankd acts on.
 */
#ifndef FRANK_BROKER_MAIN_PERMISSIONS_H
#define FRANK_BROKER_MAIN_PERMISSIONS_H

#include "broker/conf/conf.h"

/*
 * Looks at the files of the configuration, the certificates, secrets and commands that it names, and
 * the folders they are in. A warning in `report` for each that somebody may change, or a secret that
 * somebody may read, who is neither root nor frankd's own user: with owner, mode and
 * the command that mends it. Only warns: whether a group is trusted, the administrator knows.
 */
void permissions_check(const struct conf *c, struct buf *report);

#endif
