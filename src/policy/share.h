/*
 * share.h: what threads have learned together: a snapshot for each node and one
 * for the process. A snapshot is immutable once published; merging makes the next
 * one and exchanges the pointer, under RCU, so that nothing is lost or counted twice
 * however merges race. Old ones are used again after a grace period, which the
 * helper thread waits for. Nothing here waits or allocates but share_reclaim.
 */
#ifndef POLICY_SHARE_H
#define POLICY_SHARE_H

#include "policy/learner.h"

/* By node, and the last one of the process. */
#define SHARE_PROCESS 128
/* Matches that an average stands for at most, so that it can still change. */
#define SHARE_WEIGHT_MAX (64 * ELO_PAIRS)
#define SHARE_SLOTS (SHARE_PROCESS + 1)

struct share {
	struct contest_record record[CONTEXTS]; /* of all merges */
	int32_t rating[CONTEXTS][ELO_ARMS];     /* averages, weighted by matches */
	uint32_t weight[CONTEXTS];              /* matches they stand for, bounded */
	uint8_t choice[CONTEXTS];
};

/*
 * Merges what the learner has not merged yet. False: not now, and it keeps it. Slow
 * paths of a thread that RCU knows; others never can.
 */
bool share_merge(struct learner *l);

/* The ratings to begin with in a context of a node: its own, the process's or the loaded ones. */
void share_begin(struct learner *l, unsigned node);

/* A copy of a snapshot; false where there is none, or RCU does not know this thread. */
bool share_read(unsigned slot, struct share *copy);

/* What was learned in all on a node or in the process, merged or not yet; near enough while
 * threads learn. */
void share_sum(unsigned slot, struct share *sum);

/* For threads without a learner: the strategy in force on a node. */
unsigned share_choice(unsigned node, unsigned context);

/* At start-up, before threads: ratings from a file. */
void share_load(const struct share *loaded);

/* Outside malloc and free, outside any read section: makes old snapshots usable again. */
void share_reclaim(void);

#endif
