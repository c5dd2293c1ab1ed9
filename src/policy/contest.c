/*
 * contest.c: see contest.h.
 */
#include "policy/contest.h"

#include <string.h>

/* A window is full with so many observations and so old, or with few and much older. */
#define WINDOW_EVENTS 32
#define WINDOW_MS 10
#define WINDOW_EVENTS_FEW 4
#define WINDOW_MS_LONG 1000

/*
 * To purge what is wanted at once costs many times what keeping in vain does: so many
 * observations of it, of one part in so many of the window's bytes, end a window.
 */
#define HARM_EVENTS 2
#define HARM_SHARE 8

/* Windows in a row that must speak for a lower choice. */
#define DOWN_WINDOWS 2

/* Points by which another strategy must lead to be chosen: about 1% of cost. */
#define LEAD (24 * ELO_POINT)

/* Windows without a change until a choice is frozen, and regret up to which it is. */
#define FREEZE_WINDOWS 16
#define FREEZE_REGRET (ELO_COST_ONE / 50)

/* Regret that re-opens learning, in so many windows running; and where harm is done, at once. */
#define RELEARN_REGRET (ELO_COST_ONE * 3 / 100)
#define RELEARN_WINDOWS 2
#define RELEARN_AT_ONCE (ELO_COST_ONE / 4)

/* One window in so many begins with a canary; rarer the longer the choice stands. */
#define CANARY_EVERY 10
#define CANARY_ANNEAL 4
#define CANARY_EVERY_FROZEN 256
#define CANARY_SHARE 512 /* of all traffic they are one part in so many, at most */

void contest_init(struct contest *c, unsigned choice, uint32_t seed)
{
	memset(c, 0, sizeof *c);
	for (unsigned arm = 0; arm < ELO_ARMS; arm++)
		c->rating[arm] = ELO_START;
	c->choice = (uint8_t)choice;
	c->random = seed ? seed : 1;
}

void contest_inherit(struct contest *c, const int32_t rating[ELO_ARMS], unsigned choice)
{
	memcpy(c->rating, rating, sizeof c->rating);
	c->choice = (uint8_t)choice;
}

static uint32_t next_random(struct contest *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 17;
	c->random ^= c->random << 5;
	return c->random;
}

bool contest_keeps(struct contest *c, unsigned bin, uint64_t bytes)
{
	bool keep = bin <= c->choice;
	if (likely(!c->canary || bin != c->canary_bin))
		return keep;
	c->canary -= min_size(bytes, c->canary);
	return !keep;
}

/* The choice is to purge such a block, and keeping it would have saved its faults. */
static void note_harm(
	struct contest *c, const struct estimate_world *w, const struct estimate_event *e)
{
	unsigned bin = estimate_bin(e->block);
	if (bin <= c->choice || bin == ELO_ARMS)
		return;
	struct estimate_fate kept = estimate_kept(w, e), purged = estimate_purged(w, e);
	uint64_t gone = purged.gone + purged.gone_huge, all = kept.gone + kept.gone_huge;
	if (gone < all + e->bytes / 2)
		return;
	c->harm += gone - all;
	c->harmed += c->harmed < UINT8_MAX;
}

bool contest_observe(struct contest *c, const struct estimate_world *w,
	const struct estimate_event *e, uint32_t now_ms)
{
	if (!c->tally.events)
		c->began_ms = now_ms;
	estimate_add(&c->tally, w, e);
	/* It has been wanted again: the canary has told what it can. */
	if (unlikely(c->canary) && estimate_bin(e->block) == c->canary_bin)
		c->canary = 0;
	note_harm(c, w, e);
	if (c->harmed >= HARM_EVENTS && c->harm >= c->tally.bytes / HARM_SHARE)
		return true;
	uint32_t age = now_ms - c->began_ms;
	return (c->tally.events >= WINDOW_EVENTS && age >= WINDOW_MS) ||
	       (c->tally.events >= WINDOW_EVENTS_FEW && age >= WINDOW_MS_LONG);
}

static void rate(struct contest *c, const uint32_t cost[ELO_ARMS])
{
	struct elo_results results;
	memset(&results, 0, sizeof results);
	elo_play(c->rating, cost, &results);
	c->record.matches += ELO_PAIRS;
	for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
		c->record.wins[arm] += results.wins[arm];
		c->record.losses[arm] += results.losses[arm];
		c->record.draws[arm] += results.draws[arm];
	}
}

/* What the choice costs more than the best would have, of all that is paid. */
static uint32_t regret_of(const struct contest *c, const uint32_t cost[ELO_ARMS])
{
	uint32_t least = UINT32_MAX;
	for (unsigned arm = 0; arm < ELO_ARMS; arm++)
		least = cost[arm] < least ? cost[arm] : least;
	uint64_t more = (uint64_t)(cost[c->choice] - least) * ELO_COST_ONE;
	return (uint32_t)min_size(more / ((uint64_t)ELO_COST_COMMON + least), ELO_COST_ONE);
}

/* The size that passes most, of those that a canary of so many bytes can be. */
static unsigned busiest(const struct estimate_tally *t, uint64_t bytes)
{
	uint64_t most = 0;
	unsigned bin = ELO_ARMS;
	for (unsigned i = 0; i < ELO_ARMS && estimate_thresholds[i] <= bytes; i++) {
		uint64_t weight = t->purged[i].gone + t->purged[i].gone_huge;
		if (weight > most) {
			most = weight;
			bin = i;
		}
	}
	return bin;
}

static void plan_canary(struct contest *c)
{
	uint32_t every = c->phase == CONTEST_FROZEN ? CANARY_EVERY_FROZEN
						    : CANARY_EVERY + c->steady * CANARY_ANNEAL;
	c->allowed += c->tally.bytes / CANARY_SHARE;
	unsigned bin = busiest(&c->tally, c->allowed);
	c->canary = 0;
	if (bin == ELO_ARMS || next_random(c) % every)
		return;
	c->canary_bin = (uint8_t)bin;
	c->canary = 1;
	c->allowed -= estimate_thresholds[bin];
	c->record.canaries++;
}

static bool learn(struct contest *c, const uint32_t cost[ELO_ARMS])
{
	rate(c, cost);
	unsigned leader = elo_leader(c->rating, c->choice, LEAD);
	c->down = leader < c->choice ? c->down + 1 : 0;
	if (leader < c->choice && c->down < DOWN_WINDOWS)
		leader = c->choice;
	bool changed = leader != c->choice;
	c->choice = (uint8_t)leader;
	c->steady = changed ? 0 : c->steady + 1;
	if (c->steady >= FREEZE_WINDOWS && c->regret <= FREEZE_REGRET) {
		c->phase = CONTEST_FROZEN;
		c->high = 0;
		c->record.freezes++;
	}
	return changed;
}

/* In a frozen window nothing is rated, only watched. True: learn again, with this one. */
static bool thaw(struct contest *c, uint32_t now)
{
	c->high = c->regret > RELEARN_REGRET ? c->high + 1 : 0;
	if (c->high < RELEARN_WINDOWS && (now < RELEARN_AT_ONCE || c->harmed < HARM_EVENTS))
		return false;
	c->phase = CONTEST_LEARNING;
	c->steady = 0;
	c->record.relearns++;
	return true;
}

bool contest_close(struct contest *c, const struct estimate_prices *p)
{
	struct estimate_cost terms[ELO_ARMS];
	uint32_t cost[ELO_ARMS];
	if (!c->tally.bytes)
		return false;
	estimate_costs(&c->tally, p, terms, cost);
	uint64_t traffic = c->tally.bytes, in_force = c->choice;
	c->record.windows++;
	c->record.traffic += traffic;
	c->record.cpu += terms[in_force].cpu * (traffic >> 10) / (ELO_COST_ONE >> 10);
	c->record.faults += terms[in_force].faults * (traffic >> 10) / (ELO_COST_ONE >> 10);
	c->record.idle += terms[in_force].idle * (traffic >> 10) / (ELO_COST_ONE >> 10);
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		const struct estimate_fate *f =
			bin <= in_force ? &c->tally.kept[bin] : &c->tally.purged[bin];
		c->record.gone += f->gone + f->gone_huge;
	}
	uint32_t now = regret_of(c, cost);
	c->regret = (uint32_t)((3 * (uint64_t)c->regret + now) / 4);
	bool changed = (c->phase == CONTEST_LEARNING || thaw(c, now)) && learn(c, cost);
	plan_canary(c);
	memset(&c->tally, 0, sizeof c->tally);
	c->harm = c->harmed = 0;
	return changed;
}
