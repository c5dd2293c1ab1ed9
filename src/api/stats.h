/*
 * stats.h: statistics, added up from counters and descriptors on request.
 */
#ifndef API_STATS_H
#define API_STATS_H

#include "base/base.h"
#include "hakmem.h"

void stats_fill(struct hak_stats *stats);
void stats_print(int fd);

/* Is there such a node, or memory under such a policy? */
bool node_in_use(unsigned shard);
void node_fill(struct hak_node_stats *s, unsigned shard);

/* Of these, what descriptors and counters say without asking the kernel. */
void stats_fill_node(struct hak_node_stats *s, unsigned shard);

/* Appends as snprintf does; *used grows beyond `bytes` when text is cut. */
void text_append(char *text, size_t bytes, size_t *used, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What was learned on a shard, or (SHARE_PROCESS) at all, by class of sites. */
void policy_json(char *text, size_t bytes, size_t *used, unsigned slot);
void policy_world_json(char *text, size_t bytes, size_t *used);

/* The elements of the array of sites. */
void sites_json(char *text, size_t bytes, size_t *used);

#endif
