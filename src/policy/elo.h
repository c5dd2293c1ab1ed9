/*
 * elo.h: ratings of strategies that play against each other. A match compares
 * what two strategies would have cost in one window; the margin makes the score.
 * Pure functions on integers: the library and the simulator run the same code.
 */
#ifndef POLICY_ELO_H
#define POLICY_ELO_H

#include "base/base.h"

#define ELO_ARMS 12
#define ELO_PAIRS (ELO_ARMS * (ELO_ARMS - 1) / 2)

/* A rating is kept in units of 1/256 point, a score in units of 1/65536. */
#define ELO_POINT 256
#define ELO_START (1500 * ELO_POINT)
#define ELO_K 32
#define ELO_SCORE_ONE 65536

/*
 * Costs are per byte of traffic, in units of 1/65536. Added to them is what every
 * strategy pays: the work of the program itself, and its live memory.
 */
#define ELO_COST_ONE 65536
#define ELO_COST_COMMON (ELO_COST_ONE / 10 * 7)

/* How a strategy did against the others, ever. */
struct elo_results {
	uint32_t wins[ELO_ARMS], losses[ELO_ARMS], draws[ELO_ARMS];
};

/* The score to expect at a rating that is so much higher. */
int32_t elo_expected(int32_t difference);

/*
 * The score of a strategy against another, from what both cost: half a point
 * each up to 1% of difference, and more the wider the margin. The worst loser
 * still gets a sixteenth, so that ratings stay close enough to turn within two windows.
 */
int32_t elo_score(uint32_t own, uint32_t other);

/* A round robin over one window: all pairs, on the ratings that were before. */
void elo_play(int32_t rating[ELO_ARMS], const uint32_t cost[ELO_ARMS], struct elo_results *results);

/* The best strategy; `current` unless another leads it by more than `lead`. */
unsigned elo_leader(const int32_t rating[ELO_ARMS], unsigned current, int32_t lead);

#endif
