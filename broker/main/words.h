/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * words.h: words of the configuration that main itself acts on.
 */
#ifndef FRANK_BROKER_MAIN_WORDS_H
#define FRANK_BROKER_MAIN_WORDS_H

#include <string.h>

#include "base/attr.h"
#include "base/log.h"

/* "error", "warning", "notice", "info", "debug"; info for NULL and anything else (the configuration
 * was checked). */
static inline enum log_level
log_level_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
	    {"error", LOG_LEVEL_ERROR},
	    {"warning", LOG_LEVEL_WARNING},
	    {"notice", LOG_LEVEL_NOTICE},
	    {"debug", LOG_LEVEL_DEBUG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (name != NULL && strcmp(name, levels[i].name) == 0)
			return levels[i].level;
	return LOG_LEVEL_INFO;
}

#endif
