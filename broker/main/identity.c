/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * identity.c: see identity.h. In GECOS the full name ends at the first comma, and '&' stands for
 * the login name with a capital (passwd(5) of the BSDs, as sendmail took it).
 */
#include "broker/main/identity.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum {
	GROUPS_MAX = 512,
	FULL_NAME_MAX = 256,
	USER_ROW_FIRST = 1024, /* octets for one row of the user database */
	USER_ROW_MAX = 256 * 1024,
};

static const char *const user_names[ROLE_COUNT] = {
    [ROLE_QUEUE] = "frank",
    [ROLE_KEEPER] = "frank-keeper",
    [ROLE_FETCH] = "frank-net",
    [ROLE_SEND] = "frank-net",
    [ROLE_TLS] = "frank-net",
    [ROLE_POST] = "frank-net",
};

/* Unlike getpwnam, getpwnam_r tells "there is no such user" (0 and no result) from a database that
 * does not answer (an error). *ret_found: ret is filled. 0 or negative errno. */
static int
find_user(const char *name, struct identity *ret, bool *ret_found)
{
	size_t size = USER_ROW_FIRST;
	struct passwd row, *found = NULL;
	int r;

	do {
		CLEANUP_FREE char *room = malloc(size);

		if (room == NULL)
			return -ENOMEM;
		r = getpwnam_r(name, &row, room, size, &found);
		size *= 4;
	} while (r == ERANGE && size <= USER_ROW_MAX);
	*ret_found = r == 0 && found != NULL;
	if (*ret_found)
		*ret = (struct identity){.uid = row.pw_uid, .gid = row.pw_gid, .drop = true};
	/* what some services of nsswitch.conf say where the user, or their own file, is absent */
	return r == ENOENT || r == ESRCH ? 0 : -r;
}

const char *
identity_user_name(enum role_id role)
{
	return user_names[role];
}

int
identity_of(enum role_id role, bool one_user, const struct identity *owner, struct identity *ret)
{
	bool found;
	int r;

	*ret = (struct identity){.uid = geteuid(), .gid = getegid()};
	if (ret->uid != 0 || one_user)
		return 0;
	r = find_user(user_names[role], ret, &found);
	if (r < 0 || found)
		return r;
	*ret = (struct identity){.uid = owner->uid, .gid = owner->gid, .drop = owner->uid != 0};
	return 0;
}

int
identity_become(const struct identity *i)
{
	if (!i->drop)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(i->gid, i->gid, i->gid) < 0 ||
	    setresuid(i->uid, i->uid, i->uid) < 0)
		return -errno;
	return 0;
}

static void
put_full_name(struct message *m, const struct passwd *p)
{
	CLEANUP_BUF struct buf name = BUF_INIT(FULL_NAME_MAX);

	for (const char *s = p->pw_gecos; s != NULL && *s != '\0' && *s != ','; s++) {
		if (*s == '&') {
			(void)buf_append_char(&name, (char)toupper((unsigned char)p->pw_name[0]));
			(void)buf_append_str(&name, p->pw_name + 1);
		} else {
			(void)buf_append_char(&name, *s);
		}
	}
	if (name.len > 0)
		message_put_str(m, F_FULL_NAME, buf_str(&name));
}

static void
put_groups(struct message *m, const struct passwd *p)
{
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;

	if (getgrouplist(p->pw_name, p->pw_gid, groups, &count) < 0)
		count = GROUPS_MAX; /* in more than these: the rest counts for nothing */
	for (int i = 0; i < count; i++)
		message_put_u64(m, F_GROUP, groups[i]);
}

struct message *
identity_answer(uid_t uid)
{
	struct message *m = message_new(M_USER_ANSWER);
	const struct passwd *p = getpwuid(uid);

	message_put_u64(m, F_UID, uid);
	if (p != NULL && p->pw_name[0] != '\0') {
		message_put_str(m, F_USER_NAME, p->pw_name);
		put_full_name(m, p);
		put_groups(m, p);
	}
	return m;
}
