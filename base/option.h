/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * option.h: how much of a command line may be repeated in a message.
 *
 * Somebody's cron mails what a program writes to standard error, and other programs' options may hold
 * a password: ssmtp's -apPASSWORD, --password=PASSWORD. So an option that is not known is named
 * without what may be its value.
 */
#ifndef FRANK_BASE_OPTION_H
#define FRANK_BASE_OPTION_H

/* The octets of `word` that are an option's name: "-a" of "-apSECRET", "--password" of
 * "--password=SECRET", and nothing of a word that is no option. */
static inline int
option_name_length(const char *word)
{
	int len = 2;

	if (word[0] != '-' || word[1] == '\0')
		return 0;
	if (word[1] == '-')
		while ((word[len] >= 'a' && word[len] <= 'z') || word[len] == '-')
			len++;
	return len;
}

#endif
