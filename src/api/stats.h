/*
 * stats.h: statistics, added up from counters and descriptors on request.
 */
#ifndef API_STATS_H
#define API_STATS_H

#include "base/base.h"
#include "hakmem.h"

void stats_fill(struct hak_stats *stats);
void stats_print(int fd);

#endif
