/*
 * contest.h: the contest of the strategies in one context: what was observed
 * since the window began, the ratings, which strategy is in force, and whether
 * that is settled (frozen). It has no clock and no other state: observations go
 * in, decisions come out, so that the simulator runs the library's own code.
 *
 *   learning --leader unchanged for long, regret small--> frozen
 *   frozen   --regret of the choice stays high----------> learning
 *
 * A canary, in either phase, is one block or a few that are treated the other way
 * than the choice says, so that what the estimate rests on is measured.
 */
#ifndef POLICY_CONTEST_H
#define POLICY_CONTEST_H

#include "policy/estimate.h"

enum contest_phase { CONTEST_LEARNING, CONTEST_FROZEN };

/* Sums, so that those of several threads can be added up. All are 64 bits wide. */
struct contest_record {
	uint64_t windows; /* matches: ELO_PAIRS in each that was not frozen */
	uint64_t matches;
	uint64_t freezes, relearns, canaries;
	uint64_t traffic;           /* bytes that were observed */
	uint64_t cpu, faults, idle; /* the cost of what was in force, in bytes */
	uint64_t gone,
		gone_found; /* bytes purged until they were wanted: estimated, and found so */
	uint64_t wins[ELO_ARMS], losses[ELO_ARMS], draws[ELO_ARMS];
};
#define CONTEST_WORDS (sizeof(struct contest_record) / sizeof(uint64_t))

struct contest {
	struct estimate_tally tally;
	struct contest_record record;
	int32_t rating[ELO_ARMS];
	uint32_t began_ms; /* when the window did; valid while tally.events > 0 */
	uint32_t steady;   /* windows since the choice changed, or learning began */
	uint32_t regret;   /* average of what the choice costs too much, in 1/65536 */
	uint32_t high;     /* windows in a row in which that was too much */
	uint32_t random;   /* never 0 */
	uint64_t canary;   /* bytes that may still be treated the other way */
	uint64_t allowed;  /* bytes that canaries may have */
	uint64_t harm;     /* bytes of the window that are purged and wanted too soon for that */
	uint8_t harmed;    /* in so many observations */
	uint8_t down;      /* windows in a row that spoke for a lower choice */
	uint8_t canary_bin;
	uint8_t choice; /* the strategy in force */
	uint8_t phase;  /* enum contest_phase */
};

/* `seed` is any number. Ratings are equal, and `choice` in force. */
void contest_init(struct contest *c, unsigned choice, uint32_t seed);

/* Something to begin with that others have learned. */
void contest_inherit(struct contest *c, const int32_t rating[ELO_ARMS], unsigned choice);

/* Is a freed block of this bin kept? It is asked once for each block. */
bool contest_keeps(struct contest *c, unsigned bin, uint64_t bytes);

/* A block was wanted again. True: the window is full, and contest_close due. */
bool contest_observe(struct contest *c, const struct estimate_world *w,
	const struct estimate_event *e, uint32_t now_ms);

/* Ends the window: rates, chooses, freezes or learns again. True: the choice has changed. */
bool contest_close(struct contest *c, const struct estimate_prices *p);

#endif
