/* guard.c: see guard.h. */
#include "broker/queue/guard.h"

#include <stdio.h>
#include <string.h>

bool
guard_bars(const struct guard *g, const char *from, uint64_t now_ms)
{
	for (size_t i = 0; i < GUARD_PLACES; i++)
		if (strcmp(g->places[i].from, from) == 0)
			return policy_bucket_wait(&g->places[i].failures, GUARD_FAILURES,
				   GUARD_PERIOD_MS, now_ms) > 0;
	return false;
}

bool
guard_count(struct guard *g, const char *from, uint64_t now_ms)
{
	size_t at = 0;

	for (size_t i = 0; i < GUARD_PLACES; i++) {
		if (strcmp(g->places[i].from, from) == 0) {
			at = i;
			break;
		}
		if (g->places[i].failures.at < g->places[at].failures.at)
			at = i;
	}
	if (strcmp(g->places[at].from, from) != 0) {
		(void)snprintf(g->places[at].from, sizeof(g->places[at].from), "%s", from);
		g->places[at].failures = (struct policy_bucket){0};
	}
	policy_bucket_take(&g->places[at].failures, GUARD_FAILURES, GUARD_PERIOD_MS, now_ms, 1);
	return guard_bars(g, from, now_ms);
}
