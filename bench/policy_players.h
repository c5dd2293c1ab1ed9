/*
 * policy_players.h: who chooses thresholds in policy_sim. All see the same events;
 * the bandit and the climber learn from what their own choice cost, ELO from what
 * every choice would have cost.
 */
#ifndef BENCH_POLICY_PLAYERS_H
#define BENCH_POLICY_PLAYERS_H

#include "policy/learner.h"
#include "policy_model.h"

#include <stdbool.h>
#include <stdint.h>

/* FIXED always plays the arm it begins with; the others learn. */
enum kind { PLAY_FIXED, PLAY_ELO, PLAY_UCB1, PLAY_CLIMB };

/* One learner's state in one context, of the bandits: the window of the arm in force. */
struct bandit {
	unsigned arm;
	int direction;
	double cost, bytes; /* of the window so far */
	double before;      /* the last window's cost per byte; below 0: none yet */
	uint32_t events, began_ms;
	double reward[ELO_ARMS]; /* sums */
	double plays[ELO_ARMS];
};

struct player {
	enum kind kind;
	struct learner *learner;
	uint8_t full; /* its contexts whose window is */
	struct bandit bandits[CONTEXTS];
	uint64_t changes; /* of a choice */
};

/* A choice to begin with; FIRST_CHOICE: the library's, which depends on the context. */
#define FIRST_CHOICE ELO_ARMS

/* `turnover`: traffic per ms over peak bytes in use, of the bandits' idle memory. */
struct surroundings {
	double turnover, c0_ns;
};

void player_init(struct player *p, enum kind kind, unsigned arm, uint32_t seed);

/* The choice in force. */
unsigned player_arm(const struct player *p, unsigned context);

bool player_keeps(struct player *p, unsigned context, uint64_t bytes);

/* For how long, if it does: the number of policy/patience.h. */
unsigned player_patience(const struct player *p, uint64_t bytes);

/* A big block was claimed, of which `fresh` bytes were not resident. */
void player_claimed(struct player *p, uint64_t bytes, uint64_t fresh, uint64_t in_use);

/* Of one of the freed blocks that it was made of; before player_claimed. */
void player_reused(struct player *p, const struct reuse *r, const struct surroundings *around);

/* The claim is over. */
void player_close(struct player *p, uint64_t in_use, uint32_t now_ms);

void player_end(struct player *p);

#endif
